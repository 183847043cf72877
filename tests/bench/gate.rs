//! Populations: two files of traces, read in two passes and folded, on two threads; against prost, which only decodes
//! the two files on one. And how time and memory grow with the number of spans.

use crate::data;
use crate::ratio::{best, median, time};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use spandiff::ingest::fold::Folder;
use spandiff::ingest::population::{Assembler, Census};
use spandiff::ingest::{Context, ReadReport, Rules, Sink, read};
use spandiff::model::profile::Profile;
use spandiff::model::{Limits, Symbols};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const TRACES: usize = 5_000;
const SPANS: usize = 100;
const ATTRIBUTES: usize = 10;
const ROUNDS: usize = 7;
/// Set for a process of this bench that only folds the two files of a folder, for its memory.
pub const FOLDER: &str = "SPANDIFF_BENCH_FOLD";

/// Prints all lines.
pub fn run() {
    let folder = tempfile::tempdir().unwrap();
    let pair = write(folder.path(), TRACES);
    ratio(&pair);
    for traces in [500, 5_000, 50_000] {
        grow(traces);
    }
}

/// Two sides of so many traces each; those of the second are a little slower.
pub fn write(folder: &Path, traces: usize) -> [PathBuf; 2] {
    [("before.pb", 1), ("after.pb", 2)].map(|(name, side)| {
        let path = folder.join(name);
        let mut file = BufWriter::new(File::create(&path).unwrap());
        for number in 0..traces {
            file.write_all(&request(number as u64, side).encode_to_vec()).unwrap();
        }
        file.flush().unwrap();
        path
    })
}

fn mix(seed: u64) -> u64 {
    let x = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// One trace in one request, with ids, times and durations of its own.
fn request(number: u64, side: u64) -> ExportTraceServiceRequest {
    let mut request = data::request(SPANS, ATTRIBUTES);
    let seed = mix(number << 8 | side);
    let id = u128::from(seed) << 64 | u128::from(mix(seed));
    let later = side * 3_600_000_000_000 + number * 20_000_000;
    for span in request.resource_spans.iter_mut().flat_map(|record| &mut record.scope_spans).flat_map(|s| &mut s.spans)
    {
        let jitter = 50 + mix(seed ^ span.start_time_unix_nano) % 100 + 5 * side;
        let duration = span.end_time_unix_nano - span.start_time_unix_nano;
        span.trace_id = id.to_be_bytes().to_vec();
        span.start_time_unix_nano += later;
        span.end_time_unix_nano = span.start_time_unix_nano + duration * jitter / 100;
    }
    request
}

/// Folds the two sides, each on a thread.
pub fn fold(folder: &Path) -> [Profile; 2] {
    fold_both(&["before.pb", "after.pb"].map(|name| folder.join(name)))
}

fn fold_both(pair: &[PathBuf; 2]) -> [Profile; 2] {
    std::thread::scope(|scope| {
        let [before, after] = pair.each_ref().map(|path| scope.spawn(|| fold_file(path)));
        [before.join().unwrap(), after.join().unwrap()]
    })
}

fn fold_file(path: &Path) -> Profile {
    let (limits, rules) = (Limits::default(), Rules::default());
    let mut census = Census::new(&limits);
    read_into(path, &mut Symbols::default(), &mut census);
    let (mut folder, mut symbols) = (Folder::new(&limits), Symbols::default());
    let mut assembler = Assembler::new(Some(census), &rules, &limits, &mut folder);
    read_into(path, &mut symbols, &mut assembler);
    assembler.finish(&symbols);
    folder.finish()
}

fn read_into(path: &Path, symbols: &mut Symbols, sink: &mut dyn Sink) {
    let mut context = Context { limits: Limits::default(), symbols, sink, report: ReadReport::default() };
    read::read(&mut File::open(path).unwrap(), None, &mut context).unwrap();
    assert!(context.report.warnings.is_empty());
}

/// Folding against decoding alone, by turns; and the whole process, once it is there.
fn ratio(pair: &[PathBuf; 2]) {
    let bytes = pair.each_ref().map(|path| std::fs::read(path).unwrap());
    let (mut folding, mut gating, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let mut decoded = Vec::new();
        theirs.push(time(|| decoded.extend(bytes.iter().map(|b| ExportTraceServiceRequest::decode(&**b).unwrap()))));
        drop(decoded);
        folding.push(time(|| {
            let profiles = fold_both(pair);
            assert!(profiles.iter().all(|profile| profile.totals.spans == (TRACES * SPANS) as u64));
        }));
        if round == 0 && !has_gate() {
            println!("gate: this binary has no such command yet");
        } else if has_gate() {
            gating.push(time(|| gate(pair)));
        }
    }
    let input = bytes.iter().map(Vec::len).sum::<usize>() as f64 / 1e6;
    for (name, ours) in [("fold", folding), ("gate", gating)].into_iter().filter(|(_, ours)| !ours.is_empty()) {
        let best = best(&ours).as_secs_f64() / best(&theirs).as_secs_f64();
        let (ours, theirs) = (median(ours), median(theirs.clone()));
        println!(
            "{name}_ratio {:.2}x ({:.0} ms on two threads, prost alone decodes in {:.0} ms; 2 x {TRACES} traces of {SPANS} spans, {input:.0} MB; medians of {ROUNDS} turns; {best:.2}x by the best turns)",
            ours.as_secs_f64() / theirs.as_secs_f64(),
            ours.as_secs_f64() * 1e3,
            theirs.as_secs_f64() * 1e3,
        );
    }
}

/// Time and memory of a process that folds two sides of so many traces.
fn grow(traces: usize) {
    let folder = tempfile::tempdir().unwrap();
    let _pair = write(folder.path(), traces);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(FOLDER, folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
    let mut peak = None;
    let took: Duration = time(|| peak = crate::whole::peak_memory(command.spawn().unwrap()));
    println!(
        "fold_growth {:>9} spans: {:>6.2} s, {:>4.0} ns a span, {:>5.0} MB",
        2 * traces * SPANS,
        took.as_secs_f64(),
        took.as_nanos() as f64 / (2 * traces * SPANS) as f64,
        peak.unwrap_or_default() as f64 / 1e6,
    );
}

fn command(arguments: &[&str], pair: &[PathBuf]) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_spandiff")));
    command.args(arguments).args(pair).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn has_gate() -> bool {
    command(&["gate", "--help"], &[]).status().unwrap().success()
}

fn gate(pair: &[PathBuf; 2]) {
    // Pass or fail, but no error.
    assert_ne!(command(&["gate", "--threads", "2"], pair).status().unwrap().code(), Some(2));
}
