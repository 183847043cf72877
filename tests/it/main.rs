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

#[cfg(feature = "receiver")]
mod admin;
#[cfg(all(feature = "receiver", feature = "tui"))]
mod attach;
mod bad_input;
#[cfg(feature = "receiver")]
mod capture;
mod ci_samples;
mod cli;
#[path = "../bench/data.rs"]
#[allow(dead_code, reason = "benches use the rest of it")]
mod data;
#[cfg(feature = "receiver")]
mod deploy;
mod fold;
#[cfg(feature = "receiver")]
mod forward;
mod fuzz_corpus;
mod gate;
mod gate_numbers;
mod gate_reports;
mod generate;
mod identity;
mod json;
mod mutations;
#[path = "../bench/null.rs"]
#[allow(dead_code, clippy::print_stdout, reason = "benches use the rest of it")]
mod null;
#[path = "../bench/gate_numbers.rs"]
#[allow(clippy::print_stdout, reason = "benches print")]
mod numbers;
mod population;
mod population_cli;
mod population_samples;
mod profiles;
mod pty;
mod reading;
#[cfg(feature = "receiver")]
mod receiver;
mod report;
mod rivals;
mod rivals_identity;
mod samples;
#[cfg(feature = "tui")]
mod screens;
mod seen;
#[cfg(feature = "receiver")]
mod sender;
mod shared;
mod stories;
#[path = "../bench/synthetic.rs"]
#[allow(dead_code, reason = "benches use the rest of it")]
mod synthetic;
#[cfg(feature = "receiver")]
mod telemetry;
mod tidy;
#[cfg(feature = "tui")]
mod tui_state;
mod vectors;
#[cfg(feature = "receiver")]
mod watch;
#[cfg(feature = "receiver")]
#[path = "../bench/watch.rs"]
#[allow(dead_code, clippy::print_stdout, reason = "benches use the rest of it")]
mod watching;
mod yaml;
