//! Traffic of one side, a batch at a time, that happens when the caller says: for load on a receiver.

use super::program::Program;
use super::random::Random;
use super::record::Span;
use super::sampler::{self, Request};
use super::{Generator, Options, OutputFormat, changes};
use crate::model::{Pair, Side};

/// Where in its window a request stands, as a share: changes that begin within the window have begun.
const MOMENT: f64 = 0.5;

/// A system as it is before or after a change.
#[derive(Debug)]
pub struct Traffic {
    options: Options,
    side: Side,
    program: Program,
}

/// Some requests to the system, as one OTLP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// An `ExportTraceServiceRequest`, as protobuf or JSON.
    pub body: Vec<u8>,
    /// Its spans.
    pub spans: u64,
    /// Its requests.
    pub requests: u64,
}

impl Traffic {
    /// The system of `options`, whose sizes and times do not matter here.
    pub fn new(options: &Options, side: Side) -> Traffic {
        let (before, targets) = options.system.build();
        let mut programs = Pair::new(before.clone(), before);
        changes::apply(options.change, &mut programs.before, &mut programs.after, &targets);
        let Pair { before, after } = programs;
        let side = if options.change.is_one_population() { Side::After } else { side };
        Traffic { options: *options, side, program: if side == Side::Before { before } else { after } }
    }

    /// Its requests, one after another.
    pub fn requests(&self) -> Requests<'_> {
        Requests { generator: Generator::new(&self.options, self.side, &self.program), next: 0 }
    }
}

/// Makes requests.
pub struct Requests<'a> {
    generator: Generator<'a>,
    next: u64,
}

impl std::fmt::Debug for Requests<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Requests(next: {})", self.next)
    }
}

impl Requests<'_> {
    /// The next `requests`, each of which ended at `now_ns`, nanoseconds since 1970. Some may be without a span: sampled
    /// away, or never answered.
    pub fn batch(&mut self, requests: u32, now_ns: u64) -> Batch {
        let mut spans = Vec::new();
        for _ in 0..requests {
            spans.append(&mut self.one(now_ns));
        }
        let mut body = if spans.is_empty() { Vec::new() } else { self.generator.encode(&spans) };
        if self.generator.options.format == OutputFormat::OtlpJson {
            body.truncate(body.trim_ascii_end().len());
        }
        Batch { body, spans: spans.len() as u64, requests: u64::from(requests) }
    }

    fn one(&mut self, now_ns: u64) -> Vec<Span> {
        let (generator, number) = (&self.generator, self.next);
        self.next += 1;
        let mut random = Random::stream(generator.options.seed, generator.side as u64, number);
        let entry = generator.entry(&mut random);
        let mut spans =
            sampler::sample(&generator.setting, Request { entry, start_ns: now_ns, moment: MOMENT }, random);
        generator.keep_sampled(&mut spans);
        let end_ns = spans.iter().map(|span| span.end_ns).max().unwrap_or(now_ns);
        let back_ns = end_ns.saturating_sub(now_ns);
        for span in &mut spans {
            let times = [&mut span.start_ns, &mut span.end_ns].into_iter();
            for time in times.chain(span.events.iter_mut().map(|event| &mut event.time_ns)) {
                *time = time.saturating_sub(back_ns);
            }
        }
        spans
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Change, System};
    use super::*;
    use opentelemetry_proto::tonic::trace::v1::TracesData;
    use prost::Message as _;

    const NOW: u64 = 1_795_395_723_000_000_000;

    fn options(format: OutputFormat) -> Options {
        Options { format, ..Options::new(System::ALL[0], Change::ALL[0]) }
    }

    fn data(batch: &Batch) -> TracesData {
        TracesData::decode(batch.body.as_slice()).unwrap()
    }

    #[test]
    fn batches_end_now_and_never_repeat() {
        let traffic = Traffic::new(&options(OutputFormat::OtlpProto), Side::Before);
        let mut requests = traffic.requests();
        let mut ids = std::collections::BTreeSet::new();
        for round in 1..=5 {
            let batch = requests.batch(10, NOW + round);
            let data = data(&batch);
            let spans: Vec<_> =
                data.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans).collect();
            assert_eq!((spans.len() as u64, batch.requests), (batch.spans, 10));
            assert!(spans.iter().all(|span| span.start_time_unix_nano <= span.end_time_unix_nano));
            assert_eq!(spans.iter().map(|span| span.end_time_unix_nano).max(), Some(NOW + round));
            ids.extend(spans.iter().map(|span| span.trace_id.clone()));
        }
        assert!(ids.len() >= 50);
        let again = traffic.requests().batch(10, NOW + 1);
        assert_eq!(again, Traffic::new(&options(OutputFormat::OtlpProto), Side::Before).requests().batch(10, NOW + 1));
    }

    #[test]
    fn the_sides_differ_and_json_is_one_document() {
        let body = |side| Traffic::new(&options(OutputFormat::OtlpJson), side).requests().batch(3, NOW).body;
        assert_ne!(body(Side::Before), body(Side::After));
        let document: serde_json::Value = serde_json::from_slice(&body(Side::Before)).unwrap();
        assert!(document["resourceSpans"].is_array() && !body(Side::Before).contains(&b'\n'));
    }
}
