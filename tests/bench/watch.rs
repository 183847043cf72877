//! How often the receiver's watch cries wolf, and how soon it sees a canary: generated traffic through the whole pipeline
//! behind the decoder, in simulated time.
//!
//! `cargo bench --bench bench -- watch` runs 200 seeds of 60 windows each; the tests run a few.

use spandiff::diff::Outcome;
use spandiff::generate::{Change, Noise, Options, OutputFormat, System, generate};
use spandiff::ingest::{ReadReport, Rules, otlp_proto};
use spandiff::model::{Limits, Symbols};
use spandiff::receiver::board::Board;
use spandiff::receiver::counters::Counters;
use spandiff::receiver::mark::Mark;
use spandiff::receiver::moment::Moment;
use spandiff::receiver::pipeline::{Pipeline, PipelineOptions};
use spandiff::receiver::watch::{Baseline, Judging, Watch, WatchOptions};
use spandiff::receiver::windows::Keep;
use std::sync::Arc;

const SECOND_NS: u64 = 1_000_000_000;
const WINDOW_NS: u64 = 60 * SECOND_NS;
/// Ten o'clock.
const BEGIN_NS: u64 = 1_772_445_600 * SECOND_NS;

/// How a deployment is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A mark, after which nobody knows how often it will be looked at.
    Open,
    /// A mark with so many planned looks.
    Planned(u32),
    /// No mark: every window by itself, against the hour before.
    Apart,
}

/// One course of windows.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    pub change: Change,
    pub mode: Mode,
    /// Windows before the mark, and behind it.
    pub before: u32,
    pub after: u32,
    /// Requests a window.
    pub traces: u32,
    pub seed: u64,
}

/// The watch of a receiver, with a clock that the course moves.
struct Rig<'r> {
    pipeline: Pipeline<'r>,
    symbols: Symbols,
    limits: Limits,
    watch: Watch,
    board: Arc<Board>,
    now: Moment,
    /// Of every window that was sealed: its number and what the board says then.
    said: Vec<(u64, Option<Outcome>)>,
}

impl<'r> Rig<'r> {
    fn new(rules: &'r Rules, looks: Option<u32>) -> Rig<'r> {
        let limits = Limits::default();
        let (counters, board) = (Arc::new(Counters::default()), Arc::new(Board::new()));
        let keep = Keep { retain_ns: 24 * 60 * WINDOW_NS, most_bytes: 64 << 20, window_ns: WINDOW_NS };
        let options = WatchOptions {
            judging: Judging::default(),
            baseline: Baseline::Mark,
            looks,
            keep,
            limits: Limits::default(),
        };
        let watch = Watch::new(options, Arc::clone(&board), Arc::clone(&counters));
        let now = Moment { steady_ns: 0, unix_ns: BEGIN_NS };
        let pipeline = Pipeline::new(PipelineOptions::default(), rules, &limits, counters, now);
        Rig { pipeline, symbols: Symbols::default(), limits, watch, board, now, said: Vec::new() }
    }

    /// Sends requests evenly over the time, a tick a second.
    fn pass(&mut self, ns: u64, requests: &[&[u8]]) {
        let begin = self.now.steady_ns;
        let mut sent = 0;
        for second in 1..=ns / SECOND_NS {
            let due = requests.len() * second as usize / (ns / SECOND_NS) as usize;
            for request in &requests[sent..due] {
                let mut report = ReadReport::default();
                let batch = otlp_proto::decode(request.to_vec(), &self.limits, &mut self.symbols, &mut report);
                self.pipeline.batch(batch, &report, &self.symbols, self.now);
            }
            sent = due;
            self.now.unix_ns += SECOND_NS;
            self.now.steady_ns = begin + second * SECOND_NS;
            for sealed in self.pipeline.tick(&self.symbols, self.now) {
                self.watch.sealed(&sealed);
                let newest = self.board.newest(None);
                // What hangs there may be of an earlier window.
                let newest = newest.filter(|judged| judged.window_ns.1 == sealed.end_unix_ns);
                self.said.push((sealed.number, newest.map(|judged| judged.verdict.result)));
            }
        }
    }
}

/// The requests of length-prefixed frames.
fn frames(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let (frame, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        frames.push(frame);
        bytes = rest;
    }
    frames
}

/// The outcome of every window behind the mark.
pub fn watch(course: &Course, system: System) -> Vec<Option<Outcome>> {
    let generated = generate(&Options {
        seed: course.seed,
        traces: course.before * course.traces,
        traces_after: Some(course.after * course.traces),
        noise: Noise::LogNormal,
        jitter: 0.3,
        drift: 0.02,
        replica_spread: 0.02,
        format: OutputFormat::OtlpProtoFramed,
        ..Options::new(system, course.change)
    });
    let looks = if let Mode::Planned(looks) = course.mode { Some(looks) } else { None };
    let rules = Rules::default();
    let mut rig = Rig::new(&rules, looks);
    let per_window = course.traces as usize;
    for requests in frames(&generated.before).chunks(per_window) {
        rig.pass(WINDOW_NS, requests);
    }
    if course.mode != Mode::Apart {
        let mut mark = Mark::new("deploy", 0);
        let behind = rig.pipeline.mark(&mut mark, rig.now);
        rig.watch.mark(mark, behind);
    }
    for requests in frames(&generated.after).chunks(per_window) {
        rig.pass(WINDOW_NS, requests);
    }
    // The last window waits for its traces.
    rig.pass(WINDOW_NS / 2, &[]);
    // A mark on a full minute begins a window where one ends anyway.
    let first = rig.said.len().saturating_sub(course.after as usize);
    rig.said.drain(first..).map(|(_, said)| said).collect()
}

/// What came of many courses.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub seeds: usize,
    /// Windows until the first failure, of those that had one.
    pub failed: Vec<usize>,
    /// With a pass in the end, and at any time.
    pub passed: usize,
    pub inconclusive: usize,
}

/// Courses of many seeds on two threads, of the systems by turns.
pub fn tally(seeds: u64, course: &Course, systems: &[System]) -> Tally {
    let one = |seed: u64| {
        let system = systems[seed as usize / 2 % systems.len()];
        watch(&Course { seed: course.seed + seed, ..*course }, system)
    };
    let half = |first: u64| (first..seeds).step_by(2).map(one).collect::<Vec<_>>();
    let mut outcomes = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        let mut outcomes = half(0);
        outcomes.extend(other.join().unwrap());
        outcomes
    });
    let mut tally = Tally { seeds: outcomes.len(), ..Tally::default() };
    for said in &mut outcomes {
        tally.failed.extend(said.iter().position(|outcome| *outcome == Some(Outcome::Fail)).map(|at| at + 1));
        let last = said.iter().rev().flatten().next();
        tally.passed += usize::from(last.is_some_and(|last| *last < Outcome::Inconclusive));
        tally.inconclusive += usize::from(last == Some(&Outcome::Inconclusive));
    }
    tally.failed.sort_unstable();
    tally
}

/// A share and its 95 % interval by Wilson's score.
fn share(some: usize, all: usize) -> String {
    let interval = spandiff::stats::counts::wilson(some as u64, all as u64, 0.95);
    format!("{:.1} % ({:.1} to {:.1})", 100.0 * interval.estimate, 100.0 * interval.low, 100.0 * interval.high)
}

/// Time for each span of decoding alone, and of decoding, assembling and folding, nanoseconds. Requests of 100 spans with
/// ten attributes, each of `traces` traces whose parts come in as many requests.
fn speed(traces: usize) -> [f64; 2] {
    const SPANS: usize = 100;
    const REQUESTS: usize = 4_000;
    let bytes: Vec<Vec<u8>> = (0..REQUESTS)
        .map(|number| {
            let mut request = crate::data::request(SPANS, 10);
            let spans =
                request.resource_spans.iter_mut().flat_map(|one| &mut one.scope_spans).flat_map(|one| &mut one.spans);
            for (index, span) in spans.enumerate() {
                // Spans of a trace lie in `traces` requests that follow each other.
                let trace = (number / traces * traces + index % traces) as u64;
                let id = spandiff::model::profile::stable_hash(&trace.to_le_bytes());
                span.trace_id = (u128::from(id) << 64 | u128::from(trace)).to_be_bytes().to_vec();
                if number % traces != 0 {
                    // Other spans of the same trace below the first ones.
                    let id = (number % traces * SPANS + index + 1) as u64;
                    span.parent_span_id.clone_from(&span.span_id);
                    span.span_id = (id << 8).to_be_bytes().to_vec();
                }
            }
            prost::Message::encode_to_vec(&request)
        })
        .collect();
    let all = (REQUESTS * SPANS) as f64;
    let begin = cpu_ns();
    let (limits, mut symbols) = (Limits::default(), Symbols::default());
    for request in &bytes {
        let batch = otlp_proto::decode(request.clone(), &limits, &mut symbols, &mut ReadReport::default());
        std::hint::black_box(batch);
    }
    let decoding = (cpu_ns() - begin) as f64 / all;
    let begin = cpu_ns();
    let rules = Rules::default();
    let mut rig = Rig::new(&rules, None);
    let requests: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    rig.pass(WINDOW_NS, &requests);
    rig.pass(WINDOW_NS, &[]);
    [decoding, (cpu_ns() - begin) as f64 / all]
}

/// Nanoseconds that this thread has run: what the clock says on a machine with other things to do is no measure.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

/// Prints all rows, or one: `watch-open`.
#[allow(dead_code, reason = "the tests run single rows")]
pub fn run(filter: &str) {
    let control = Course { change: Change::None, mode: Mode::Open, before: 10, after: 60, traces: 100, seed: 10_000 };
    let canary = Course { change: Change::SlowLeaf, after: 10, seed: 50_000, ..control };
    for traces in [1, 10].into_iter().filter(|_| "watch-speed".starts_with(filter)) {
        let [decoding, all] = speed(traces);
        println!(
            "watch-speed: {traces} traces a request: decoding {decoding:.0} ns a span, with assembling, folding and sealing \
             {all:.0} ns"
        );
    }
    let rows = [("watch-open", Mode::Open), ("watch-planned", Mode::Planned(60)), ("watch-apart", Mode::Apart)];
    for (name, mode) in rows.into_iter().filter(|(name, _)| name.starts_with(filter)) {
        let begin = std::time::Instant::now();
        let quiet = tally(200, &Course { mode, ..control }, &[System::Ride, System::Shop, System::Messaging]);
        println!(
            "{name}: nothing changed, 2 % drift, {} seeds × {} windows of {} traces: any fail in {}; in the end {} pass or \
             warn, {} inconclusive ({:.0} s)",
            quiet.seeds,
            control.after,
            control.traces,
            share(quiet.failed.len(), quiet.seeds),
            quiet.passed,
            quiet.inconclusive,
            begin.elapsed().as_secs_f64()
        );
        let slow = tally(200, &Course { mode, ..canary }, &[System::Ride]);
        println!(
            "{name}: one leaf does twice the work, {} seeds: failed in {}, windows until then: median {:?}, at most {:?}",
            slow.seeds,
            slow.failed.len(),
            slow.failed.get(slow.failed.len() / 2),
            slow.failed.last()
        );
    }
}
