//! The integration tests, one binary: each file one subject.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_cmp,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests stop at the first surprise, say what they skip, and read and write files"
)]

mod bad_input;
mod cli;
#[path = "../bench/data.rs"]
#[allow(dead_code, reason = "benches use the rest of it")]
mod data;
mod fold;
mod fuzz_corpus;
mod gate;
mod gate_reports;
mod generate;
mod identity;
mod json;
mod mutations;
mod profiles;
mod reading;
mod report;
mod rivals;
mod rivals_identity;
mod samples;
mod seen;
mod shared;
mod stories;
mod tidy;
