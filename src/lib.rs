//! spandiff: the diff tool for distributed traces.
//!
//! # Bird's-eye view
//! Two inputs are read and decoded, traces are repaired and identified. One trace on each side is a pair, compared span
//! by span; anything else is folded by call path into a [`model::profile::Profile`] a side, whose memory follows paths
//! and not spans. The two trees are aligned, the difference is judged, and one complete result, [`diff::Diff`], is
//! written in whatever form is wanted; a policy makes a [`diff::gate::Verdict`] of it.
//! ```text
//! pair        bytes → records → spans of one trace → operations ─────────────┬→ alignment → Diff → text, JSON, …
//! population  bytes → records → traces → operations → profile (record, merge) ┘              └→ verdict → exit code
//! receive     socket → admit → decode → capture → acknowledge → traces → windows → [compare, judge] → admin port
//! ```
//!
//! # Map
//! Imports go down only; rooms on one floor do not know each other. `tests/it/tidy.rs` reads the sources and enforces
//! it.
//! ```text
//! floor 7  main.rs                     run, exit
//! floor 6  cli                         paths, environment, streams, exit codes; wires all others
//! floor 5  tui | receiver              Diff → screens, keys → commands | sockets in, windows out
//! floor 4  report                      Diff → bytes
//! floor 3  diff                        alignment + statistics → findings, attribution, suspects, verdict
//! floor 2  ingest | align | generate   bytes → traces | two trees → alignment | seeded traffic → bytes
//! floor 1  model                       span, trace, operation, profile, warning, limits
//! floor 0  stats                       binned samples, tests, intervals
//! ```
//!
//! # Invariants
//! - A readable container never fails as a whole; what was not used is a counted [`model::Warning`].
//! - Every node of both sides stands in the alignment exactly once.
//! - The rows of an attribution sum to the entry point's change to the nanosecond.
//! - A [`diff::Diff`] is complete: no report computes a result. Same `Diff` and options, same bytes.
//! - A screen is a pure function of [`tui::app::App`], which changes in [`tui::update::update`] alone.
//! - Nothing that iterates a hash map reaches output; results depend neither on threads nor on the order of files.
//!
//! # Rules for everything
//! Depth, counts and sizes come from strangers: walks use an explicit stack, every limit has a name in
//! [`model::Limits`], and text from an input passes through [`report::escape`] before a terminal sees it. Errors of
//! data are values; only `cli` turns errors into sentences and exit codes.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::disallowed_methods,
        reason = "tests stop at the first surprise, and may read files"
    )
)]

pub mod align;
#[cfg_attr(not(feature = "tui"), allow(dead_code, reason = "the terminal UI asks for more than the other commands"))]
pub mod cli;
pub mod diff;
pub mod generate;
pub mod ingest;
pub mod model;
#[cfg(feature = "receiver")]
pub mod receiver;
pub mod report;
pub mod stats;
#[cfg(feature = "tui")]
pub mod tui;
