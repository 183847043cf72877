//! Benches, each against its alternative in the same run: `cargo bench --bench bench -- [NAME]`.
//!
//! Besides criterion's groups every module measures its ratio by itself: the two sides take turns many times and
//! medians are compared, since machines are noisy and only the ratio means something. Its line stands last.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench stops at the first surprise, and measures time"
)]

mod checksum;
mod data;
mod gate;
mod gate_numbers;
mod json;
mod null;
mod proto;
mod ratio;
#[cfg(feature = "receiver")]
mod receive;
mod synthetic;
mod trees;
#[cfg(feature = "tui")]
mod tui;
#[cfg(feature = "receiver")]
mod watch;
mod whole;

use criterion::Criterion;

fn main() -> std::process::ExitCode {
    #[cfg(feature = "receiver")]
    if std::env::var_os(receive::SELF).is_some() {
        return spandiff::cli::run();
    }
    benches();
    std::process::ExitCode::SUCCESS
}

fn benches() {
    #[cfg(feature = "receiver")]
    if let Ok(protocol) = std::env::var(receive::PEER) {
        return receive::serve_peer(&protocol);
    }
    // The first word that is not an option is the filter, as criterion has it.
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    if let Some(folder) = std::env::var_os("SPANDIFF_BENCH_TRACES") {
        // For profilers: only writes the two traces of `whole`.
        whole::write(folder.as_ref());
        return;
    }
    if let Some(folder) = std::env::var_os(gate::FOLDER) {
        // For `gate` itself: a process that only folds.
        std::hint::black_box(gate::fold(folder.as_ref()));
        return;
    }
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    proto::criterion(&mut criterion);
    if filter.is_empty() || filter.starts_with("json") {
        json::bench(&mut criterion);
    }
    criterion.final_summary();
    let wants = |name: &str| filter.is_empty() || filter.starts_with(name);
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    if wants("null") {
        null::run();
    }
    if wants("null-deploys") {
        null::deploys();
    }
    if wants("proto") {
        proto::ratio();
    }
    if wants("numbers") {
        gate_numbers::run(&filter);
    }
    #[cfg(feature = "tui")]
    if wants("tui") {
        tui::run();
    }
    #[cfg(feature = "receiver")]
    if wants("receive") {
        receive::run();
    }
    #[cfg(feature = "receiver")]
    if filter == "soak" {
        receive::soak();
    }
    #[cfg(feature = "receiver")]
    if filter.is_empty() || filter.starts_with("watch") {
        watch::run(&filter);
    }
    if wants("whole") {
        whole::run();
    }
    if wants("gate") {
        gate::run();
    }
}
