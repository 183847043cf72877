//! From decoded batches to verdicts, in simulated time.

use crate::data::{pair, text};
use crate::watching::{Course, Mode, tally};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use spandiff::diff::{FindingKind, Outcome};
use spandiff::generate::{Change as GeneratorChange, System};
use spandiff::ingest::{Folder, ReadReport, Rules, otlp_proto};
use spandiff::model::profile::{Profile, stable_hash};
use spandiff::model::{Limits, Symbols, TraceId, Warning, Warnings, fixture};
use spandiff::receiver::board::{Board, Judged};
use spandiff::receiver::cohort::CohortKey;
use spandiff::receiver::counters::Counters;
use spandiff::receiver::mark::Mark;
use spandiff::receiver::moment::Moment;
use spandiff::receiver::pipeline::{Pipeline, PipelineOptions, Sealed};
use spandiff::receiver::watch::snapshots::Snapshots;
use spandiff::receiver::watch::{Baseline, Judging, Refusal, Watch, WatchOptions};
use spandiff::receiver::windows::{Change, Keep, Windows};
use std::collections::{BTreeMap, BTreeSet};
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

/// A request of spans that have nothing but ids (trace, span, parent): by hand, for there are many.
fn plain(spans: impl Iterator<Item = (u128, u64, u64)>) -> Vec<u8> {
    let mut message = Vec::new();
    for (trace, id, parent) in spans {
        message.extend([0x12, 38, 0x0a, 16]);
        message.extend(trace.to_be_bytes());
        message.extend([0x12, 8]);
        message.extend(id.to_be_bytes());
        message.extend([0x22, 8]);
        message.extend(parent.to_be_bytes());
    }
    // Scope spans, then resource spans.
    for tag in [0x12, 0x0a] {
        let mut outer = vec![tag];
        prost::encoding::encode_varint(message.len() as u64, &mut outer);
        outer.append(&mut message);
        message = outer;
    }
    message
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
}

#[test]
fn traces_that_go_on_and_on_hold_up_no_window() {
    let rules = Rules::default();
    let mut rig = Rig::plain(&rules);
    let mut traces = 0;
    for second in 0..180u64 {
        // One trace has a span every second, others end.
        rig.spans("a", vec![span(1, second + 1, second)]);
        if second % 10 == 0 {
            traces += 1;
            rig.spans("a", vec![span(1_000 + traces, 1, 0)]);
        }
        if second == 150 {
            let behind = rig.pipeline.mark(&mut Mark::new("deploy", 0), rig.now);
            assert_eq!(behind, 3);
            // Marks that come at once are one.
            assert_eq!(rig.pipeline.mark(&mut Mark::new("deploy", 0), rig.now), 3);
        }
        rig.pass(SECOND);
        let over = [60, 120, 150].iter().filter(|end| *end + 30 <= second + 1).count();
        assert_eq!(rig.sealed.len(), over, "{second}");
    }
    rig.pass(MINUTE);
    rig.finish();
    // It began before the mark and ended behind it, in no window from before: it says nothing.
    assert_eq!(rig.totals().0, traces as u64);
    assert_eq!(rig.counters.spans_late.get(), 180);
    assert_eq!(rig.all("").totals.warnings.count(Warning::LateSpan), 180);
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
    let last = rig.sealed.last().unwrap();
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
    rig.send(plain((1..=100_000).map(|id| (3, id, id - 1))));
    for part in 0..10 {
        rig.send(plain((1..=100_000).map(|id| (4, part * 100_000 + id, 1))));
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

/// A pipeline and the watch behind it.
struct Watched<'r> {
    rig: Rig<'r>,
    watch: Watch,
    board: Arc<Board>,
    changes: Vec<Change>,
    /// What the board said when each window was sealed, if it said something about that window.
    said: Vec<Option<Arc<Judged>>>,
}

fn keep(window_ns: u64) -> Keep {
    Keep { retain_ns: 14 * 24 * 60 * MINUTE, most_bytes: 64 << 20, window_ns }
}

fn watch(baseline: Baseline, looks: Option<u32>, keep: Keep, counters: &Arc<Counters>) -> (Watch, Arc<Board>) {
    let board = Arc::new(Board::new());
    let options = WatchOptions { judging: Judging::default(), baseline, looks, keep, limits: Limits::default() };
    (Watch::new(options, Arc::clone(&board), Arc::clone(counters)), board)
}

impl<'r> Watched<'r> {
    fn new(options: PipelineOptions, baseline: Baseline, looks: Option<u32>, rules: &'r Rules) -> Watched<'r> {
        let keep = keep(options.window_ns);
        let rig = Rig::new(options, rules, Limits::default());
        let (watch, board) = watch(baseline, looks, keep, &rig.counters);
        Watched { rig, watch, board, changes: Vec::new(), said: Vec::new() }
    }

    fn pass(&mut self, ns: u64) {
        self.rig.pass(ns);
        for sealed in std::mem::take(&mut self.rig.sealed) {
            self.changes.extend(self.watch.sealed(&sealed));
            let newest = self.board.newest(None).filter(|judged| judged.windows > 0);
            self.said.push(newest.filter(|judged| judged.window_ns.1 == sealed.end_unix_ns));
        }
    }

    fn mark(&mut self, label: &str) {
        let mut mark = Mark::new(label, 0);
        let behind = self.rig.pipeline.mark(&mut mark, self.rig.now);
        self.changes.extend(self.watch.mark(mark, behind));
    }

    /// A minute with so many requests, each a page and a query that take about so long.
    fn minute(&mut self, requests: u64, query_ms: u64) {
        for number in 0..requests {
            let trace = u128::from(stable(self.rig.now.steady_ns + number)) << 64 | u128::from(stable(number));
            let jitter = |salt: u64| 80 + stable(self.rig.now.steady_ns ^ number << 20 ^ salt) % 40;
            let query_ns = query_ms * jitter(1) * 10_000;
            let page_ns = query_ns + 30 * jitter(2) * 10_000;
            let timed = |span: Span, length: u64| Span { end_time_unix_nano: EPOCH + length, ..span };
            let page = Span { name: "GET /".to_owned(), ..timed(span(trace, 1, 0), page_ns) };
            let query = Span { name: "SELECT".to_owned(), kind: 3, ..timed(span(trace, 2, 1), query_ns) };
            self.rig.spans("shop", vec![page, query]);
            if (number + 1) % 10 == 0 {
                self.pass(MINUTE / requests * 10);
            }
        }
    }

    fn results(&self) -> Vec<Option<Outcome>> {
        self.said.iter().map(|judged| judged.as_ref().map(|judged| judged.verdict.result)).collect()
    }
}

/// A number that looks like chance and is the same every time.
fn stable(number: u64) -> u64 {
    stable_hash(&number.to_le_bytes())
}

fn codes(judged: &Judged) -> Vec<&'static str> {
    judged.verdict.reasons.iter().map(|reason| reason.code).collect()
}

#[test]
fn a_slow_leaf_behind_a_mark_fails_within_three_windows() {
    // Without a mark every window stands alone, and the day's windows share the error: that takes more traffic.
    for (mode, before, traces) in [(Mode::Open, 4, 80), (Mode::Planned(10), 4, 80), (Mode::Apart, 6, 120)] {
        let course = Course { change: GeneratorChange::SlowLeaf, mode, before, after: 3, traces, seed: 70_000 };
        let slow = tally(2, &course, &[System::Ride]);
        assert_eq!(slow.failed.len(), 2, "{mode:?} {slow:?}");
        assert!(slow.failed.iter().all(|at| *at <= 3), "{mode:?} {slow:?}");
    }
}

#[test]
fn control_runs_stay_quiet() {
    for (mode, after) in [(Mode::Open, 6), (Mode::Planned(6), 6), (Mode::Apart, 4)] {
        let course = Course { change: GeneratorChange::None, mode, before: 5, after, traces: 80, seed: 80_000 };
        let quiet = tally(2, &course, &[System::Shop, System::Messaging]);
        assert!(quiet.failed.is_empty(), "{mode:?} {quiet:?}");
    }
}

#[test]
fn verdicts_begin_anew_at_a_mark_and_pass_when_all_looks_were_taken() {
    let rules = Rules::default();
    let mut watched = Watched::new(PipelineOptions::default(), Baseline::Mark, Some(3), &rules);
    for _ in 0..10 {
        watched.minute(120, 40);
    }
    watched.mark("deploy v2");
    // Nothing was compared since: what was said of earlier windows does not stand any more.
    let waiting = watched.board.newest(None).unwrap();
    assert_eq!((waiting.verdict.result, waiting.verdict.compared), (Outcome::Inconclusive, false));
    assert_eq!((waiting.windows, waiting.baseline.as_str()), (0, "before deploy v2"));
    watched.said.clear();
    for _ in 0..5 {
        watched.minute(120, 40);
    }
    watched.pass(20 * SECOND);
    // The last window before the mark says nothing; the third look is the last one.
    let results = watched.results();
    let [inconclusive, pass] = [Some(Outcome::Inconclusive), Some(Outcome::Pass)];
    assert_eq!(results, [None, inconclusive, inconclusive, pass, None, None], "{results:?}");
    let first = watched.said[1].as_ref().unwrap();
    assert!(codes(first).contains(&"looks_left"), "{:?}", first.verdict.reasons);
    let last = watched.board.newest(None).unwrap();
    assert_eq!((last.verdict.result, last.windows), (Outcome::Pass, 3));
    assert_eq!(last.after.totals.traces, 360);
    assert!(matches!(watched.watch.ask(None, None), Err(Refusal::Over)));
    let marks: Vec<String> = watched.board.marks().iter().map(|mark| mark.label.clone()).collect();
    assert_eq!(marks, ["deploy v2"]);

    watched.mark("deploy v3");
    watched.said.clear();
    for _ in 0..3 {
        watched.minute(120, 90);
    }
    watched.pass(20 * SECOND);
    assert_eq!(watched.results()[1], Some(Outcome::Fail), "{:?}", watched.results());
    let failed = watched.board.newest(None).unwrap();
    assert_eq!(failed.diff.findings[0].kind, FindingKind::Slower);
    // Only what was of the version before.
    assert!(failed.before.totals.traces <= 5 * 120, "{}", failed.before.totals.traces);
    // The newest windows have their examples.
    assert!(!failed.after.example_traces().is_empty());
}

#[test]
fn lost_data_keep_a_verdict_from_being_sure() {
    let rules = Rules::default();
    let mut watched = Watched::new(PipelineOptions::default(), Baseline::Mark, None, &rules);
    for _ in 0..6 {
        watched.minute(120, 40);
    }
    watched.mark("deploy");
    watched.said.clear();
    watched.minute(120, 90);
    // 2 % of the window's spans.
    watched.rig.pipeline.dropped(5, watched.rig.now);
    watched.minute(120, 90);
    watched.pass(20 * SECOND);
    let judged = watched.board.newest(None).unwrap();
    assert_eq!(judged.verdict.result, Outcome::Inconclusive, "{:?}", judged.verdict.reasons);
    assert!(codes(&judged).contains(&"data_shed"), "{:?}", judged.verdict.reasons);
}

#[test]
fn a_canary_is_compared_with_the_stable_version_at_the_same_time() {
    let rules = Rules::default();
    let options = PipelineOptions { cohort_by: CohortKey::parse("shop:service.version"), ..PipelineOptions::default() };
    let mut watched = Watched::new(options, Baseline::parse("cohort:v1").unwrap(), None, &rules);
    watched.mark("canary");
    for window in 0..4u64 {
        for number in 0..240u64 {
            // Everything gets slower with time, for both; the canary is half as slow again.
            let canary = number % 3 == 0;
            let base = 40 + 10 * window + if canary { 30 } else { 0 };
            let trace = u128::from(stable(window << 32 | number)) << 64 | u128::from(number);
            let jitter = 80 + stable(number ^ window << 40) % 40;
            let end_time_unix_nano = EPOCH + base * jitter * 10_000;
            let resource = [("service.name", "shop"), ("service.version", if canary { "v2" } else { "v1" })];
            watched.rig.send(request(&resource, vec![Span { end_time_unix_nano, ..span(trace, 1, 0) }]));
            if (number + 1) % 4 == 0 {
                watched.pass(SECOND);
            }
        }
    }
    watched.pass(20 * SECOND);
    let canary = watched.board.newest(Some("v2")).unwrap();
    assert_eq!(canary.verdict.result, Outcome::Fail, "{:?}", canary.verdict.reasons);
    assert_eq!(canary.baseline, "cohort v1 at the same time");
    assert_eq!((canary.after.totals.traces, canary.before.totals.traces), (320, 640));
    // The stable version is what others are compared with.
    assert!(watched.board.newest(Some("v1")).is_none());
    let asked = watched.watch.ask(Some("v1"), Some("cohort:v2")).unwrap();
    assert_eq!((asked.generation, asked.after.totals.traces), (0, 640));
    assert!(matches!(watched.watch.ask(Some("v2"), Some("nonsense")), Err(Refusal::NoBaseline(_))));
    assert!(matches!(watched.watch.ask(Some("v3"), None), Err(Refusal::Nothing(_))));
}

/// A window of half an hour with requests to the databases of tenants; some sleep at night.
fn tenants(watched: &mut Watched<'_>, window: u64) {
    let is_night = window % 48 >= 24;
    for number in 0..360u64 {
        let tenant = number % 12;
        if is_night && tenant >= 6 {
            continue;
        }
        let trace = u128::from(stable(window << 32 | number)) << 64 | u128::from(number);
        let jitter = 80 + stable(number ^ window << 40) % 40;
        // Calls that all come at once would say little about a tenant.
        let start_time_unix_nano = watched.rig.now.unix_ns + number * 5 * SECOND;
        let end_time_unix_nano = start_time_unix_nano + 20 * jitter * 10_000;
        let query = Span {
            start_time_unix_nano,
            end_time_unix_nano: start_time_unix_nano + 5_000_000,
            kind: 3,
            name: "SELECT".to_owned(),
            attributes: vec![
                pair("db.system.name", text("mariadb")),
                pair("db.namespace", text(&format!("tenant-{tenant}"))),
                pair("server.address", text("db.example")),
            ],
            ..span(trace, 2, 1)
        };
        watched.rig.spans("shop", vec![Span { start_time_unix_nano, end_time_unix_nano, ..span(trace, 1, 0) }, query]);
    }
    watched.pass(30 * MINUTE);
}

#[test]
fn tenants_that_sleep_at_night_are_not_gone_when_nights_are_compared_with_nights() {
    let rules = Rules::default();
    let options = PipelineOptions { window_ns: 30 * MINUTE, ..PipelineOptions::default() };
    let mut watched = Watched::new(options, Baseline::parse("window:1d").unwrap(), None, &rules);
    for window in 0..48 + 28 {
        tenants(&mut watched, window);
    }
    let said: Vec<Outcome> = watched.results().into_iter().skip(50).flatten().collect();
    assert!(said.len() > 20 && said.iter().all(|result| *result != Outcome::Fail), "{said:?}");
    let night = watched.board.newest(None).unwrap();
    assert_eq!(night.baseline, "1d earlier");
    assert!(night.diff.findings.is_empty(), "{:?}", night.diff.findings);
    assert!(night.before.totals.traces > 60);
    // Against the day they are: that is what a profile of a day says about a night.
    let day = watched.watch.ask(None, Some("window:12h")).unwrap();
    let gone = day.diff.findings.iter().any(|finding| finding.kind == FindingKind::InstanceGone);
    assert!(gone, "{:?}", day.diff.findings);
}

/// A window of one service with so many traces.
fn window(number: u64, start_unix_ns: u64, length_ns: u64, traces: u64) -> Sealed {
    let mut folder = Folder::new(&Limits::default());
    let mut trace = fixture::trace("shop GET /cart 90ms [server]\n  cache GET 10ms [client]");
    for one in 0..traces {
        trace.id = TraceId(u128::from(stable(number << 32 | one)));
        folder.add(&trace, &Warnings::default());
    }
    let cohorts = BTreeMap::from([(String::new(), Arc::new(folder.finish()))]);
    Sealed { number, start_unix_ns, end_unix_ns: start_unix_ns + length_ns, cohorts }
}

#[test]
fn the_same_hour_of_last_week_is_found_among_merged_windows() {
    const LENGTH: u64 = 10 * MINUTE;
    let hour = 60 * MINUTE;
    let mut windows = Windows::new(keep(LENGTH), &Limits::default());
    // Every hour has its own number of traces: 1 to 24 in each of its six windows.
    for number in 0..8 * 144u64 {
        let start = EPOCH + number * LENGTH;
        windows.add(&window(number, start, LENGTH, 1 + number / 6 % 24), &BTreeSet::new());
    }
    let list = windows.list();
    // An hour each but for the last two.
    assert!(list.len() < 8 * 24 + 24, "{}", list.len());
    assert_eq!(list.iter().map(|window| window.traces).sum::<u64>(), 8 * 6 * (24 * 25 / 2));
    for hours in [0, 5, 23] {
        let start = EPOCH + hours * hour;
        let found = windows.around("", (start + 20 * MINUTE, start + 30 * MINUTE), u64::MAX).unwrap();
        assert_eq!(found.totals.traces, 6 * (1 + hours));
    }
    assert!(windows.around("", (EPOCH - hour, EPOCH), u64::MAX).is_none());
    assert!(windows.around("v2", (EPOCH, EPOCH + hour), u64::MAX).is_none());
}

#[test]
fn what_is_kept_has_bounds() {
    let mut windows = Windows::new(keep(MINUTE), &Limits::default());
    windows.add(&window(0, EPOCH, MINUTE, 3), &BTreeSet::new());
    let most_bytes = 20 * windows.bytes();
    let mut windows = Windows::new(Keep { most_bytes, ..keep(MINUTE) }, &Limits::default());
    for number in 0..50 {
        windows.add(&window(number, EPOCH + number * MINUTE, MINUTE, 3), &BTreeSet::new());
        assert!(windows.bytes() <= most_bytes);
    }
    assert!((25..35).contains(&windows.dropped()), "{}", windows.dropped());
    // The oldest went.
    assert_eq!(windows.between(None, &(40..50)).map(|profile| profile.totals.traces), Some(30));
    assert!(windows.between(None, &(0..25)).is_none());

    let retain_ns = 60 * MINUTE;
    let mut windows = Windows::new(Keep { retain_ns, ..keep(MINUTE) }, &Limits::default());
    for number in 0..200 {
        windows.add(&window(number, EPOCH + number * MINUTE, MINUTE, 1), &BTreeSet::new());
    }
    assert_eq!((windows.list().len(), windows.dropped()), (60, 0));
}

#[test]
fn marks_divide_what_is_merged() {
    let mut windows = Windows::new(keep(MINUTE), &Limits::default());
    let bounds = BTreeSet::from([20]);
    for number in 0..240 {
        windows.add(&window(number, EPOCH + number * MINUTE, MINUTE, 1), &bounds);
    }
    let traces = |numbers| windows.between(None, &numbers).map_or(0, |profile| profile.totals.traces);
    assert_eq!((traces(0..20), traces(20..60)), (20, 40));
    assert!(windows.list().len() <= 2 + 1 + 180);
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let rules = Rules::default();
    let folder = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::open(folder.path().join("deep/er")).unwrap();
    let mut watched = Watched::new(PipelineOptions::default(), Baseline::Mark, None, &rules);
    for _ in 0..5 {
        watched.minute(60, 40);
    }
    watched.mark("deploy");
    for _ in 0..3 {
        watched.minute(60, 40);
    }
    watched.rig.finish();
    watched.pass(0);
    assert!(snapshots.follow(&watched.changes).is_empty());
    let directory = folder.path().join("deep/er");
    std::fs::write(directory.join("marks.json.unfinished"), "[").unwrap();
    std::fs::write(directory.join("notes.txt"), "mine").unwrap();
    let damaged = "all_@1772440000000+60000@0000000900-0000000901.spanprofile";
    std::fs::write(directory.join(damaged), "no profile").unwrap();

    let snapshots = Snapshots::open(directory.clone()).unwrap();
    assert!(!directory.join("marks.json.unfinished").exists() && directory.join("notes.txt").exists());
    let files = snapshots.load(1 << 30).unwrap();
    let (again, board) = watch(Baseline::Mark, None, keep(MINUTE), &Arc::new(Counters::default()));
    assert_eq!(again.restore(files), 1);
    assert_eq!(board.windows(), watched.board.windows());
    assert_eq!(board.marks(), watched.board.marks());
    assert_eq!(again.profile(None), watched.watch.profile(None));
    let next = again.next_number();
    assert_eq!(next, watched.watch.next_number());
    // A window later the verdict is about all since the mark, though the process is another.
    let sealed = window(next, watched.rig.now.unix_ns, MINUTE, 1);
    again.sealed(&sealed);
    let judged = board.newest(None).unwrap();
    assert_eq!(judged.after.totals.traces, 3 * 60 + 1);
    assert_eq!(judged.before.totals.traces, 5 * 60);
    assert_eq!(judged.mark.as_ref().map(|mark| mark.label.as_str()), Some("deploy"));
    // Room for a part only: the newest.
    let some = snapshots.load(board.windows().iter().map(|window| window.bytes).max().unwrap() * 2).unwrap();
    assert!(
        some.len() >= 3 && some[1].0.contains("-0000000901"),
        "{:?}",
        some.iter().map(|f| &f.0).collect::<Vec<_>>()
    );
}
