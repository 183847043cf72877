//! Benches: each against its alternative in the same run.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench prints and stops at the first surprise"
)]

mod json;

fn main() {
    let mut criterion = criterion::Criterion::default().configure_from_args();
    json::bench(&mut criterion);
    criterion.final_summary();
}
