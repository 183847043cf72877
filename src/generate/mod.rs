//! Floor 2: seeded traffic of believable systems with one known change, as bytes.
//!
//! May use: `model`. Never: files, clock, environment; randomness other than its own seed.
//! Invariant: same options, same bytes, in every build and on every machine.
//!
//! A [`System`] is a program in a small tree language (`program`), a [`Change`] is an edit of that program
//! (`changes`, and `population_changes` for those that only show in many traces), the sampler runs it with random
//! numbers (`sampler`), which `noise` shapes, `semconv` and `deployment` give the spans the names, attributes and
//! resources that real instrumentation would give them, and a writer turns them into OTLP. The edit knows what a perfect
//! diff would find; that is the truth document.

mod changes;
mod deployment;
mod fleet;
mod json;
pub mod live;
mod noise;
mod otlp_json_writer;
mod otlp_writer;
mod population_changes;
mod program;
mod random;
mod record;
mod sampler;
mod semconv;
mod systems;
mod truth;

pub use changes::Change;
pub use noise::Noise;
pub use systems::System;

use crate::model::{Pair, Side};
use noise::Climate;
use program::Program;
use random::Random;
use sampler::{Request, Setting};
use std::convert::Infallible;
use std::io;

/// 2026-03-02T10:00:00Z: when generated traffic begins unless told otherwise. A fixed time, so that a seed alone gives
/// the same bytes.
pub const DEFAULT_START_UNIX_NS: u64 = 1_772_445_600_000_000_000;
/// Requests come four times a second.
const BETWEEN_TRACES_NS: u64 = 250_000_000;
/// The after side begins an hour later, or when the before side is over.
const BETWEEN_SIDES_NS: u64 = 3_600_000_000_000;
/// Streams of random numbers for what does not belong to one trace.
const DEPLOYMENT_STREAM: u64 = u64::MAX;
/// How many numbers the random part of a trace id can be, in OpenTelemetry's sampling.
const TRACE_NUMBERS: u64 = 1 << 56;

/// How the traces are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// OTLP JSON, one document and one line a request (`.json`, JSON lines).
    #[default]
    OtlpJson,
    /// OTLP protobuf, one message (`.binpb`).
    OtlpProto,
    /// OTLP protobuf as the Collector's file exporter writes it: one message a request, each after its length as four
    /// bytes, big-endian.
    OtlpProtoFramed,
}

impl OutputFormat {
    /// All formats.
    pub const ALL: [OutputFormat; 3] = [OutputFormat::OtlpJson, OutputFormat::OtlpProto, OutputFormat::OtlpProtoFramed];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            OutputFormat::OtlpJson => "otlp-json",
            OutputFormat::OtlpProto => "otlp-proto",
            OutputFormat::OtlpProtoFramed => "otlp-proto-framed",
        }
    }

    /// The format with this name.
    pub fn from_name(name: &str) -> Option<OutputFormat> {
        OutputFormat::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// What to generate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// The system.
    pub system: System,
    /// What differs on the after side.
    pub change: Change,
    /// Determines everything that is random.
    pub seed: u64,
    /// Requests a side. With one it is the main request; with more, every entry point gets its share.
    pub traces: u32,
    /// Requests of the after side, if they are not as many.
    pub traces_after: Option<u32>,
    /// How far each piece of work strays from its usual time, as a share of it: 0.2 is ±20 %, or a standard deviation
    /// of the logarithm of 0.2 where noise is log-normal. Clamped to 0–0.95.
    pub jitter: f64,
    /// How durations vary.
    pub noise: Noise,
    /// Standard deviation by which an operation's own work differs between the two windows though nothing changed, as a
    /// share: 0.02 is 2 %. Clamped to 0–1.
    pub drift: f64,
    /// Standard deviation by which a pod's work differs from other pods', as a share. Clamped to 0–1.
    pub replica_spread: f64,
    /// Share of the traces that are kept, with `ot=th:` in their trace state; 1 keeps all and says nothing.
    pub sampling: f64,
    /// How long each side lasts, in seconds; 0 for four requests a second. So sides of different sizes differ in load.
    pub window_s: u32,
    /// Format of both sides.
    pub format: OutputFormat,
    /// When the before side begins, nanoseconds since 1970.
    pub start_unix_ns: u64,
}

impl Options {
    /// One request a side with ±20 % jitter, seed 1, OTLP JSON.
    pub const fn new(system: System, change: Change) -> Options {
        Options {
            system,
            change,
            seed: 1,
            traces: 1,
            traces_after: None,
            jitter: 0.2,
            noise: Noise::Uniform,
            drift: 0.0,
            replica_spread: 0.0,
            sampling: 1.0,
            window_s: 0,
            format: OutputFormat::OtlpJson,
            start_unix_ns: DEFAULT_START_UNIX_NS,
        }
    }

    /// Requests of a side.
    fn traces_of(&self, side: Side) -> u32 {
        if side == Side::Before { self.traces } else { self.traces_after.unwrap_or(self.traces) }
    }

    /// How long a side lasts, in nanoseconds.
    fn window_ns(&self, side: Side) -> u64 {
        match self.window_s {
            0 => u64::from(self.traces_of(side)) * BETWEEN_TRACES_NS,
            seconds => u64::from(seconds) * 1_000_000_000,
        }
    }

    /// The jitter within its range; none for a value that is no number.
    fn usable_jitter(&self) -> f64 {
        if self.jitter > 0.0 { self.jitter.min(0.95) } else { 0.0 }
    }

    /// The sampling threshold of OpenTelemetry: traces are kept whose id's last 56 bits are not below it.
    fn threshold(&self) -> u64 {
        if self.sampling > 0.0 && self.sampling < 1.0 {
            (((1.0 - self.sampling) * TRACE_NUMBERS as f64) as u64).min(TRACE_NUMBERS - 1)
        } else {
            0
        }
    }

    /// What sampling leaves in the trace state.
    fn trace_state(&self) -> String {
        match self.threshold() {
            0 => String::new(),
            threshold => format!("ot=th:{}", format!("{threshold:014x}").trim_end_matches('0')),
        }
    }
}

/// Both sides and the truth about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The before side, in the format asked for; empty when both sides are one population.
    pub before: Vec<u8>,
    /// The after side, or both (see [`Change::is_one_population`]).
    pub after: Vec<u8>,
    /// What a perfect diff would find: JSON `spandiff.truth/v1`.
    pub truth: String,
}

/// Generates both sides in memory.
pub fn generate(options: &Options) -> Generated {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let truth = run(options, |side, bytes| {
        let side = if side == Side::Before { &mut before } else { &mut after };
        side.extend_from_slice(bytes);
        Ok::<(), Infallible>(())
    });
    let Ok(truth) = truth;
    Generated { before, after, truth }
}

/// Generates both sides into writers, one request at a time, the before side first; returns the truth.
///
/// # Errors
/// The first error of a writer; nothing is written after it.
pub fn generate_into(options: &Options, before: &mut dyn io::Write, after: &mut dyn io::Write) -> io::Result<String> {
    run(options, |side, bytes| if side == Side::Before { before.write_all(bytes) } else { after.write_all(bytes) })
}

fn run<E>(options: &Options, mut write: impl FnMut(Side, &[u8]) -> Result<(), E>) -> Result<String, E> {
    let (before, targets) = options.system.build();
    let mut programs = Pair::new(before.clone(), before);
    let expected = changes::apply(options.change, &mut programs.before, &mut programs.after, &targets);
    let mut tally = Pair::<truth::Tally>::default();
    let one = options.change.is_one_population();
    for side in [Side::Before, Side::After] {
        if one && side == Side::Before {
            continue;
        }
        let generator = Generator::new(options, side, programs.get(side));
        for number in 0..options.traces_of(side) {
            let spans = generator.request(number);
            if spans.is_empty() {
                continue;
            }
            let canary = spans.iter().any(|span| generator.is_canary(span));
            tally.get_mut(if one && !canary { Side::Before } else { side }).add(&spans);
            write(side, &generator.encode(&spans))?;
        }
    }
    Ok(truth::write(options, &programs, &expected, &tally))
}

/// What all requests of one side share.
struct Generator<'a> {
    options: &'a Options,
    side: Side,
    setting: Setting<'a>,
    start_ns: u64,
    trace_state: String,
}

impl<'a> Generator<'a> {
    fn new(options: &'a Options, side: Side, program: &'a Program) -> Self {
        let mut random = Random::stream(options.seed, side as u64, DEPLOYMENT_STREAM);
        let processes = deployment::processes(program, options.system.name(), &mut random);
        let all_ns = options.window_ns(Side::Before);
        // A day before the end of time is late enough for any request.
        let windows_ns = all_ns + options.window_ns(Side::After);
        let latest_ns = u64::MAX - 86_400_000_000_000 - windows_ns - BETWEEN_SIDES_NS;
        let before_ns = options.start_unix_ns.min(latest_ns);
        let is_first = side == Side::Before || options.change.is_one_population();
        let start_ns = if is_first { before_ns } else { before_ns + all_ns.max(BETWEEN_SIDES_NS) };
        let climate = Climate::new(options, side, program, &processes);
        let setting = Setting { program, processes, climate };
        Generator { options, side, setting, start_ns, trace_state: options.trace_state() }
    }

    fn request(&self, number: u32) -> Vec<record::Span> {
        let mut random = Random::stream(self.options.seed, self.side as u64, u64::from(number));
        let traces = self.options.traces_of(self.side);
        let entry = if traces == 1 { 0 } else { self.entry(&mut random) };
        let between_ns = self.options.window_ns(self.side) / u64::from(traces.max(1));
        let start_ns = self.start_ns + u64::from(number) * between_ns + random.below(between_ns);
        let request = Request { entry, start_ns, moment: f64::from(number) / f64::from(traces.max(1)) };
        let mut spans = sampler::sample(&self.setting, request, random);
        self.keep_sampled(&mut spans);
        spans
    }

    fn keep_sampled(&self, spans: &mut Vec<record::Span>) {
        let threshold = self.options.threshold();
        spans.retain(|span| (span.trace_id.0 as u64) & (TRACE_NUMBERS - 1) >= threshold);
    }

    fn entry(&self, random: &mut Random) -> usize {
        let entries = &self.setting.program.entries;
        let all: u32 = entries.iter().map(|entry| entry.weight).sum();
        let mut drawn = random.below(u64::from(all)) as u32;
        for (number, entry) in entries.iter().enumerate() {
            if drawn < entry.weight {
                return number;
            }
            drawn -= entry.weight;
        }
        0
    }

    fn is_canary(&self, span: &record::Span) -> bool {
        self.setting.processes.get(span.process).is_some_and(|process| process.is_canary)
    }

    fn encode(&self, spans: &[record::Span]) -> Vec<u8> {
        let (processes, trace_state) = (&self.setting.processes, self.trace_state.as_str());
        match self.options.format {
            OutputFormat::OtlpJson => otlp_json_writer::write(spans, processes, trace_state).into_bytes(),
            OutputFormat::OtlpProto => otlp_writer::write(spans, processes, trace_state),
            OutputFormat::OtlpProtoFramed => {
                let message = otlp_writer::write(spans, processes, trace_state);
                let mut framed = (message.len() as u32).to_be_bytes().to_vec();
                framed.extend_from_slice(&message);
                framed
            }
        }
    }
}
