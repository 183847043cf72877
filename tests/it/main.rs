//! The integration tests, one binary: each file one subject.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_cmp,
    clippy::print_stderr,
    reason = "tests stop at the first surprise and say what they skip"
)]

#[path = "../bench/data.rs"]
#[allow(dead_code, reason = "benches use the rest of it")]
mod data;
mod fuzz_corpus;
mod generate;
mod json;
mod mutations;
mod reading;
mod rivals;
mod seen;
mod shared;
