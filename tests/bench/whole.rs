//! The whole process: two traces in files, `spandiff diff`, a text report. Against prost, which only decodes the two
//! files; and its memory; and traces of awkward shapes, which must not take more than seconds.

use crate::ratio::{best, median, time};
use crate::trees::{Shape, write_trace};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SPANS: usize = 100_000;
const ROUNDS: usize = 9;

/// Prints all lines.
pub fn run() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, shape: Shape, spans: usize, seed: u64| -> PathBuf {
        let path = folder.path().join(name);
        write_trace(&path, shape, spans, seed);
        path
    };
    let pair = write(folder.path());
    ratio(&pair);
    memory(&pair);
    for (name, shape, spans) in [
        ("fan_out_100k", Shape::FanOut, SPANS),
        ("depth_100k", Shape::Chain, SPANS),
        ("one_million_spans", Shape::Calls, 10 * SPANS),
    ] {
        let pair = [file("c.pb", shape, spans, 3), file("d.pb", shape, spans, 4)];
        let time = time(|| diff(&pair));
        println!("whole_{name} {:.2} s (two traces of {spans} spans)", time.as_secs_f64());
    }
}

/// Writes the two traces.
pub fn write(folder: &Path) -> [PathBuf; 2] {
    [("a.pb", 1), ("b.pb", 2)].map(|(name, seed)| {
        let path = folder.join(name);
        write_trace(&path, Shape::Calls, SPANS, seed);
        path
    })
}

/// `whole_process_ratio`: the process against decoding alone, by turns.
fn ratio(pair: &[PathBuf; 2]) {
    let bytes = pair.each_ref().map(|path| std::fs::read(path).unwrap());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut decoded = Vec::new();
        theirs.push(time(|| decoded.extend(bytes.iter().map(|b| ExportTraceServiceRequest::decode(&**b).unwrap()))));
        drop(decoded);
        ours.push(time(|| diff(pair)));
    }
    let best = best(&ours).as_secs_f64() / best(&theirs).as_secs_f64();
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "whole_process_ratio {:.2}x ({:.0} ms, prost alone decodes in {:.0} ms; 2 traces of {SPANS} spans, {:.0} MB; medians of {ROUNDS} turns; {best:.2}x by the best turns)",
        ours.as_secs_f64() / theirs.as_secs_f64(),
        ours.as_secs_f64() * 1e3,
        theirs.as_secs_f64() * 1e3,
        bytes.iter().map(Vec::len).sum::<usize>() as f64 / 1e6,
    );
}

/// `peak_memory_beyond_input`: the most memory that the process had, without the size of its input.
fn memory(pair: &[PathBuf; 2]) {
    let input: u64 = pair.iter().map(|path| path.metadata().unwrap().len()).sum();
    match peak_memory(command(pair).spawn().unwrap()) {
        Some(peak) => println!(
            "peak_memory_beyond_input {} bytes a span ({:.0} MB in all, {:.0} MB of it input)",
            (peak as i64 - input as i64) / (2 * SPANS as i64),
            peak as f64 / 1e6,
            input as f64 / 1e6,
        ),
        None => println!("peak_memory_beyond_input unknown: no /proc here"),
    }
}

/// `VmHWM` of a process, looked at until it ends: it only grows, so the last look is right but for what a process
/// asks for in its very last moments.
pub fn peak_memory(mut child: Child) -> Option<u64> {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = None;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = kilobytes.map(|kilobytes| kilobytes * 1024).max(peak);
        std::thread::sleep(Duration::from_micros(200));
    }
    peak
}

fn command(pair: &[PathBuf; 2]) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_spandiff")));
    command.arg("diff").args(pair).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn diff(pair: &[PathBuf; 2]) {
    assert!(command(pair).status().unwrap().success());
}
