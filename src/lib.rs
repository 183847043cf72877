//! spandiff: the diff tool for distributed traces.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests stop at the first surprise")
)]

pub mod align;
pub mod diff;
pub mod generate;
pub mod ingest;
pub mod model;
pub mod report;
