//! From decoded batches to verdicts, in simulated time.

use crate::data::{pair, text};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use spandiff::ingest::{ReadReport, Rules, otlp_proto};
use spandiff::model::profile::Profile;
use spandiff::model::{Limits, Symbols, Warning};
use spandiff::receiver::cohort::CohortKey;
use spandiff::receiver::counters::Counters;
use spandiff::receiver::mark::Mark;
use spandiff::receiver::moment::Moment;
use spandiff::receiver::pipeline::{Pipeline, PipelineOptions, Sealed};
use std::collections::BTreeMap;
use std::sync::Arc;

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
/// 2026-03-02T10:00:00Z, a whole minute.
const EPOCH: u64 = 1_772_445_600 * SECOND;

/// A pipeline with a clock that the test moves.
struct Rig<'r> {
    pipeline: Pipeline<'r>,
    symbols: Symbols,
    limits: Limits,
    counters: Arc<Counters>,
    now: Moment,
    sealed: Vec<Sealed>,
}

impl<'r> Rig<'r> {
    fn new(options: PipelineOptions, rules: &'r Rules, limits: Limits) -> Rig<'r> {
        let (counters, now) = (Arc::new(Counters::default()), Moment { steady_ns: 0, unix_ns: EPOCH });
        let pipeline = Pipeline::new(options, rules, &limits, Arc::clone(&counters), now);
        Rig { pipeline, symbols: Symbols::default(), limits, counters, now, sealed: Vec::new() }
    }

    fn plain(rules: &'r Rules) -> Rig<'r> {
        Rig::new(PipelineOptions::default(), rules, Limits::default())
    }

    fn send(&mut self, bytes: Vec<u8>) {
        let mut report = ReadReport::default();
        let batch = otlp_proto::decode(bytes, &self.limits, &mut self.symbols, &mut report);
        self.pipeline.batch(batch, &report, &self.symbols, self.now);
    }

    fn spans(&mut self, service: &str, spans: Vec<Span>) {
        self.send(request(&[("service.name", service)], spans));
    }

    /// Lets time pass, a tick a second.
    fn pass(&mut self, ns: u64) {
        let end = self.now.steady_ns + ns;
        while self.now.steady_ns < end {
            let step = SECOND.min(end - self.now.steady_ns);
            self.now.steady_ns += step;
            self.now.unix_ns += step;
            self.sealed.extend(self.pipeline.tick(&self.symbols, self.now));
        }
    }

    fn finish(&mut self) {
        self.sealed.extend(self.pipeline.finish(&self.symbols, self.now));
    }

    /// All windows of a cohort together.
    fn all(&self, cohort: &str) -> Profile {
        let mut all = Profile::default();
        self.sealed.iter().filter_map(|sealed| sealed.cohorts.get(cohort)).for_each(|profile| all.merge(profile));
        all.into_canonical()
    }

    fn totals(&self) -> (u64, u64) {
        let totals = self.all("").totals;
        (totals.traces, totals.spans)
    }
}

fn request(resource: &[(&str, &str)], spans: Vec<Span>) -> Vec<u8> {
    let attributes = resource.iter().map(|(key, value)| pair(key, text(value))).collect();
    let resource = Some(Resource { attributes, ..Resource::default() });
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// A server's span of a trace; parent 0 for a root.
fn span(trace: u128, id: u64, parent: u64) -> Span {
    Span {
        trace_id: trace.to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: if parent == 0 { Vec::new() } else { parent.to_be_bytes().to_vec() },
        name: "work".to_owned(),
        kind: 2,
        start_time_unix_nano: EPOCH,
        end_time_unix_nano: EPOCH + 5_000_000,
        ..Span::default()
    }
}

#[test]
fn a_trace_is_closed_a_while_after_its_root_or_its_last_span() {
    let rules = Rules::default();
    let mut rig = Rig::plain(&rules);
    rig.spans("a", vec![span(1, 1, 0), span(1, 2, 1)]);
    rig.spans("a", vec![span(2, 1, 9)]);
    rig.pass(6 * SECOND);
    assert_eq!((rig.counters.traces_folded.get(), rig.counters.traces_open.get()), (0, 2));
    rig.pass(SECOND);
    assert_eq!((rig.counters.traces_folded.get(), rig.counters.traces_open.get()), (1, 1));
    rig.pass(7 * SECOND);
    assert_eq!(rig.counters.traces_open.get(), 1);
    rig.pass(SECOND);
    assert_eq!((rig.counters.traces_folded.get(), rig.counters.traces_open.get()), (2, 0));
    // Beside one service no root ever comes: whole in its way, though partial.
    assert_eq!((rig.counters.traces_partial.get(), rig.counters.spans_orphaned.get()), (1, 0));
    rig.finish();
    assert_eq!(rig.totals(), (2, 3));
}

#[test]
fn a_trace_that_never_ends_is_closed_after_its_longest_life() {
    let rules = Rules::default();
    let mut rig = Rig::plain(&rules);
    for id in 1..=400 {
        rig.spans("a", vec![span(1, id, id - 1)]);
        rig.pass(SECOND);
    }
    // At second 300 it was closed; what came after that is late.
    assert_eq!((rig.counters.traces_folded.get(), rig.counters.spans_late.get()), (1, 100));
    rig.finish();
    assert_eq!(rig.totals(), (1, 300));
    assert_eq!(rig.all("").totals.warnings.count(Warning::LateSpan), 100);
    // It is in the window in which it began.
    let windows: Vec<u64> = rig.sealed.iter().filter(|s| !s.cohorts.is_empty()).map(|s| s.start_unix_ns).collect();
    assert_eq!(windows[0], EPOCH);
}

#[test]
fn a_request_that_comes_twice_changes_no_population() {
    let rules = Rules::default();
    let run = |again_after: Option<u64>| {
        let mut rig = Rig::plain(&rules);
        let bytes =
            request(&[("service.name", "a")], (1..=20).map(|id| span(u128::from(id) % 4 + 1, id, id / 4)).collect());
        rig.send(bytes.clone());
        if let Some(after) = again_after {
            rig.pass(after);
            rig.send(bytes);
        }
        rig.pass(MINUTE);
        rig.finish();
        (rig.all(""), rig.counters)
    };
    let (once, _) = run(None);
    for after in [0, SECOND, 3 * SECOND, 30 * SECOND] {
        let (twice, counters) = run(Some(after));
        assert_eq!(counters.spans_duplicate.get(), 20, "{after}");
        assert_eq!(counters.spans_late.get(), 0, "{after}");
        assert_eq!((twice.totals.traces, twice.totals.spans), (once.totals.traces, once.totals.spans));
        assert_eq!(twice.paths(), once.paths());
    }
}

#[test]
fn what_is_too_much_is_evicted_counted_and_said() {
    let rules = Rules::default();
    let limits = Limits { open_bytes: 200_000, ..Limits::default() };
    let mut rig = Rig::new(PipelineOptions::default(), &rules, limits);
    for trace in 1..=1_000 {
        rig.spans("a", vec![span(trace, 1, 0)]);
        assert!(rig.counters.open_bytes.get() <= 220_000);
    }
    let evicted = rig.counters.traces_evicted.get();
    assert!(evicted > 500 && evicted < 900, "{evicted}");
    // Those idle longest went first: the last one is open, and the second half of it comes in time.
    rig.spans("a", vec![span(1_000, 2, 1)]);
    rig.spans("a", vec![span(u128::from(evicted), 2, 1)]);
    assert_eq!((rig.counters.spans_late.get(), rig.counters.traces_evicted.get()), (1, evicted));
    rig.finish();
    assert_eq!(rig.totals(), (1_000, 1_001));
    assert_eq!(rig.all("").totals.warnings.count(Warning::EvictedTrace), evicted);
}

#[test]
fn windows_follow_the_steady_clock_whatever_the_other_one_does() {
    let rules = Rules::default();
    let mut rig = Rig::plain(&rules);
    let hour = 60 * MINUTE;
    let mut sent = 0;
    for minute in 0..30u64 {
        match minute {
            10 => rig.now.unix_ns -= hour,
            20 => rig.now.unix_ns += hour,
            _ => {}
        }
        for _ in 0..6 {
            sent += 1;
            rig.spans("a", vec![span(sent, 1, 0)]);
            rig.pass(10 * SECOND);
        }
    }
    rig.finish();
    assert_eq!(rig.totals(), (sent as u64, sent as u64));
    assert!((30..=33).contains(&rig.sealed.len()), "{}", rig.sealed.len());
    let numbers: Vec<u64> = rig.sealed.iter().map(|sealed| sealed.number).collect();
    assert!(numbers.iter().copied().eq(0..numbers.len() as u64));
    for sealed in &rig.sealed {
        let length = sealed.end_unix_ns - sealed.start_unix_ns;
        assert!(length <= 90 * SECOND, "{length}");
        let traces: u64 = sealed.cohorts.values().map(|profile| profile.totals.traces).sum();
        assert!(traces <= 9, "{traces}");
    }
    assert_eq!(rig.sealed[0].start_unix_ns, EPOCH);
    let last = &rig.sealed[rig.sealed.len() - 2];
    assert_eq!((last.start_unix_ns % MINUTE, last.end_unix_ns), (0, EPOCH + 30 * MINUTE));
}

#[test]
fn timestamps_of_strangers_move_no_clock() {
    let rules = Rules::default();
    let mut rig = Rig::plain(&rules);
    let year_2200 = 7_258_118_400 * SECOND;
    for (trace, start, end) in [(1, year_2200, year_2200 + 1), (2, 0, 0), (3, u64::MAX, u64::MAX), (4, EPOCH, 0)] {
        rig.spans("a", vec![Span { start_time_unix_nano: start, end_time_unix_nano: end, ..span(trace, 1, 0) }]);
    }
    rig.pass(3 * MINUTE);
    assert_eq!(rig.sealed.len(), 3);
    assert_eq!(rig.totals(), (4, 4));
    assert!(rig.sealed.iter().all(|sealed| sealed.end_unix_ns <= EPOCH + 3 * MINUTE));
}

#[test]
fn windows_wait_for_their_traces_and_then_are_sealed() {
    let rules = Rules::default();
    let mut rig = Rig::plain(&rules);
    rig.pass(50 * SECOND);
    rig.spans("a", vec![span(1, 2, 1)]);
    rig.pass(14 * SECOND);
    rig.spans("a", vec![span(1, 1, 0)]);
    rig.pass(6 * SECOND);
    assert_eq!(rig.sealed.len(), 0);
    rig.pass(SECOND);
    assert_eq!(rig.sealed.len(), 1);
    assert_eq!(rig.totals(), (1, 2));
}

#[test]
fn a_mark_ends_a_window() {
    let rules = Rules::default();
    let mut rig = Rig::plain(&rules);
    rig.spans("a", vec![span(1, 1, 0)]);
    rig.pass(20 * SECOND);
    let mut mark = Mark::new("deploy", 0);
    let behind = rig.pipeline.mark(&mut mark, rig.now);
    assert_eq!((behind, mark.unix_ns), (1, EPOCH + 20 * SECOND));
    rig.spans("a", vec![span(2, 1, 0), span(1, 2, 1)]);
    rig.pass(MINUTE);
    rig.finish();
    let traces: Vec<(u64, u64, u64)> = rig
        .sealed
        .iter()
        .map(|sealed| {
            let spans = sealed.cohorts.get("").map_or(0, |profile| profile.totals.spans);
            ((sealed.start_unix_ns - EPOCH) / SECOND, (sealed.end_unix_ns - EPOCH) / SECOND, spans)
        })
        .collect();
    // A trace that began before the mark stays there; its late spans too, as long as it is open.
    assert_eq!(traces, [(0, 20, 1), (20, 60, 1), (60, 80, 0)]);
    assert_eq!(rig.counters.spans_late.get(), 1);
}

#[test]
fn structures_of_strangers_terminate() {
    let rules = Rules::default();
    let mut rig = Rig::plain(&rules);
    // Its own parent; two that are each other's; a deep one; a wide one.
    rig.spans("a", vec![span(1, 1, 1)]);
    rig.spans("a", vec![span(2, 1, 2), span(2, 2, 1)]);
    rig.spans("a", (1..=100_000).map(|id| span(3, id, id - 1)).collect());
    for part in 0..20 {
        rig.spans("a", (1..=50_000).map(|id| span(4, part * 50_000 + id, 1)).collect());
    }
    rig.pass(MINUTE);
    rig.finish();
    assert_eq!(rig.counters.traces_folded.get() + u64::from(rig.counters.spans_dropped.get() > 0), 4);
    assert!(rig.totals().1 >= 1_000_003);
}

#[test]
fn cohorts_are_told_by_resources() {
    let rules = Rules::default();
    let options = |key: &str| PipelineOptions { cohort_by: CohortKey::parse(key), ..PipelineOptions::default() };
    let send = |rig: &mut Rig<'_>, trace: u128, version: &str, id: u64, parent: u64, service: &str| {
        let resource = [("service.name", service), ("service.version", version)];
        rig.send(request(&resource, vec![span(trace, id, parent)]));
    };
    let run = |key: &str| {
        let mut rig = Rig::new(options(key), &rules, Limits::default());
        for (trace, version) in [(1, "v1"), (2, "v2"), (3, "v1")] {
            send(&mut rig, trace, "edge-7", 1, 0, "edge");
            send(&mut rig, trace, version, 2, 1, "checkout");
        }
        // One request meets both versions, one none.
        send(&mut rig, 4, "edge-7", 1, 0, "edge");
        send(&mut rig, 4, "v1", 2, 1, "checkout");
        send(&mut rig, 4, "v2", 3, 1, "checkout");
        send(&mut rig, 5, "edge-8", 1, 0, "edge");
        rig.finish();
        let cohorts = &rig.sealed[0].cohorts;
        let traces: BTreeMap<String, u64> = cohorts.iter().map(|(name, p)| (name.clone(), p.totals.traces)).collect();
        let both: u64 = cohorts.values().map(|profile| profile.totals.warnings.count(Warning::BothSides)).sum();
        (traces, both > 0)
    };
    let of = |list: &[(&str, u64)]| list.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<BTreeMap<_, _>>();
    assert_eq!(run("checkout:service.version"), (of(&[("none", 1), ("v1", 2), ("v2", 1)]), true));
    assert_eq!(run("service.version"), (of(&[("edge-7", 4), ("edge-8", 1)]), false));
    assert_eq!(run("k8s.pod.name"), (of(&[("none", 5)]), false));
}

#[test]
fn a_new_table_of_symbols_changes_nothing() {
    let rules = Rules::default();
    let run = |renew: bool| {
        let mut rig = Rig::plain(&rules);
        for trace in 1..=20 {
            let named = |id, parent, name: &str| Span { name: name.to_owned(), ..span(trace, id, parent) };
            rig.spans("shop", vec![named(1, 0, "GET /"), named(2, 1, &format!("once {trace} only-{trace}"))]);
            if renew && trace % 5 == 0 {
                rig.symbols = rig.pipeline.renew(&rig.symbols);
            }
            rig.spans("cart", vec![named(3, 1, "load")]);
            rig.pass(2 * SECOND);
        }
        let names = rig.symbols.len();
        rig.finish();
        (rig.all(""), names)
    };
    let ((plain, many), (renewed, few)) = (run(false), run(true));
    assert_eq!(plain.paths().len(), renewed.paths().len());
    assert!(plain == renewed);
    assert!(few < many, "{few} {many}");
}
