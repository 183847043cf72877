//! Everything that looks at the program from outside.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests stop at the first surprise, and read and write files"
)]

mod cli;
mod report;
mod tidy;
