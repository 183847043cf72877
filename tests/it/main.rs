//! Integration tests: the library and the program from outside.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "tests stop at the first surprise"
)]

mod json;
