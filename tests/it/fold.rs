//! Folding traces into profiles: what is counted adds up, and neither order nor division shows.

use crate::shared;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message;
use spandiff::diff::DiffOptions;
use spandiff::generate;
use spandiff::ingest::fold::Folder;
use spandiff::ingest::population::{Assembler, Census, Summary};
use spandiff::ingest::{self, Context, Effect, OperationRule, ReadReport, Rules, Sink, profile_codec};
use spandiff::model::profile::{Example, Examples, MAX_EXAMPLE_SPANS, MAX_NAMES, ONE, Profile};
use spandiff::model::{
    Limits, NO_PARENT, Pair, Span, SpanMarks, SpanStore, Symbols, Trace, TraceId, Warning, Warnings,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;

fn fold<'a>(traces: impl IntoIterator<Item = &'a (Trace, Warnings)>) -> Profile {
    let mut folder = Folder::new(&Limits::default());
    for (trace, warnings) in traces {
        folder.add(trace, warnings);
    }
    folder.finish()
}

fn real() -> Vec<(Trace, Warnings)> {
    shared::files().into_iter().flat_map(|path| shared::traces(shared::read(File::open(path).unwrap()).0)).collect()
}

/// What must hold in every profile of traces that weigh one each.
fn check_sums(profile: &Profile, traces: &[(Trace, Warnings)]) {
    let one = u128::from(ONE);
    let spans: usize = traces.iter().map(|(trace, _)| trace.len()).sum();
    assert_eq!(profile.totals.spans, spans as u64);
    let calls: u128 = profile.paths().iter().map(|path| path.state.shards.total().calls).sum();
    assert_eq!(calls, spans as u128 * one, "every span is counted at one path");
    let mut critical = 0;
    for path in profile.paths() {
        let (state, total) = (&path.state, path.state.shards.total());
        assert_eq!(state.self_time.mass(), total.weight, "a trace counts with its weight");
        assert_eq!(state.duration.mass(), total.weight);
        assert!(state.edge_time.mass() <= total.weight);
        assert!(total.covered_ns + total.self_ns <= total.duration_ns);
        assert!(total.children_ns >= total.covered_ns);
        critical += total.critical_ns;
        let tail: u128 = state.tail.iter().map(|cell| cell.critical_ns).sum();
        assert_eq!(tail, total.critical_ns);
        let timeline: u128 = state.timeline.iter().map(|(_, bucket)| bucket.weight).sum();
        assert_eq!(timeline, total.weight);
        assert!(state.errors.mass >= total.own_errors);
        assert!(state.attributes.iter().all(|(_, counts)| counts.mass <= total.weight));
    }
    let roots = traces.iter().flat_map(|(trace, _)| trace.roots().map(|root| trace.spans()[root as usize]));
    let durations: u128 = roots.map(|root| u128::from(root.duration_ns())).sum();
    assert_eq!(critical, durations * one, "the critical path of every root is its duration");
    let entries = profile.paths().iter().filter(|path| path.parent == NO_PARENT);
    let entry_durations: u128 = entries.map(|path| path.state.shards.total().duration_ns).sum();
    assert_eq!(entry_durations, durations * one);
}

#[test]
fn every_span_of_real_traces_is_counted_once() {
    let traces = real();
    check_sums(&fold(&traces), &traces);
}

#[test]
fn neither_order_nor_division_of_real_traces_shows() {
    let traces = real();
    let whole = fold(&traces);
    assert_eq!(fold(traces.iter().rev()), whole);
    for parts in [2, 3, 7] {
        let mut merged = Profile::default();
        for part in (0..parts).rev() {
            merged.merge(&fold(traces.iter().skip(part).step_by(parts)));
        }
        assert_eq!(merged.into_canonical(), whole);
    }
}

/// Reads sources in two passes, or in one, and folds what the filter of the limits lets through.
fn stream(sources: &[Vec<u8>], limits: &Limits, passes: usize) -> (Profile, Summary, u64) {
    let census = (passes == 2).then(|| {
        let mut census = Census::new(limits);
        for source in sources {
            read_into(source, limits, &mut Symbols::default(), &mut census);
        }
        census
    });
    let (mut folder, rules, mut symbols) = (Folder::new(limits), Rules::default(), Symbols::default());
    let mut assembler = Assembler::new(census, &rules, limits, &mut folder);
    let mut spans = 0;
    for source in sources {
        spans += read_into(source, limits, &mut symbols, &mut assembler).spans;
    }
    let summary = assembler.finish(&symbols);
    (folder.finish(), summary, spans)
}

fn read_into(mut source: &[u8], limits: &Limits, symbols: &mut Symbols, sink: &mut dyn Sink) -> ReadReport {
    let mut context = Context { limits: *limits, symbols, sink, report: ReadReport::default() };
    ingest::read::read(&mut source, None, &mut context).unwrap();
    context.report
}

#[test]
fn streamed_traces_of_real_files_make_the_same_profile() {
    let sources: Vec<Vec<u8>> = shared::files().into_iter().map(|path| std::fs::read(path).unwrap()).collect();
    for source in sources {
        let whole = fold(&shared::traces(shared::read(source.as_slice()).0));
        for passes in [1, 2] {
            let (profile, summary, spans) = stream(std::slice::from_ref(&source), &Limits::default(), passes);
            assert_eq!((summary.traces, summary.spans), (whole.totals.traces, whole.totals.spans));
            assert!(summary.spans <= spans);
            assert_eq!(profile, whole);
        }
    }
}

fn generated(traces: u32, seed: u64) -> Vec<u8> {
    let options = generate::Options {
        traces,
        seed,
        format: generate::OutputFormat::OtlpProto,
        ..generate::Options::new(generate::System::ALL[0], generate::Change::None)
    };
    generate::generate(&options).before
}

/// Every span by itself with its resource, in a random order, over several sources.
fn scattered(source: &[u8], sources: usize, seed: u64) -> Vec<Vec<u8>> {
    let request = ExportTraceServiceRequest::decode(source).unwrap();
    let mut alone: Vec<ResourceSpans> = Vec::new();
    for record in request.resource_spans {
        for scope in &record.scope_spans {
            for span in &scope.spans {
                let scope_spans = vec![ScopeSpans { spans: vec![span.clone()], ..scope.clone() }];
                alone.push(ResourceSpans { scope_spans, ..record.clone() });
            }
        }
    }
    let mut state = seed;
    for last in (1..alone.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        alone.swap(last, (state >> 33) as usize % (last + 1));
    }
    let each = alone.len().div_ceil(sources);
    alone.chunks(each).map(|part| ExportTraceServiceRequest { resource_spans: part.to_vec() }.encode_to_vec()).collect()
}

#[test]
fn neither_the_order_of_spans_nor_that_of_files_shows() {
    let source = generated(60, 5);
    let (whole, summary, spans) = stream(std::slice::from_ref(&source), &Limits::default(), 2);
    assert_eq!((summary.spans, summary.traces), (spans, 60));
    assert_eq!(summary.warnings, Warnings::default());
    for seed in 0..3 {
        let mut sources = scattered(&source, 4, seed);
        for passes in [1, 2] {
            let (profile, scattered, _) = stream(&sources, &Limits::default(), passes);
            assert_eq!(scattered, summary);
            assert_eq!(profile, whole);
        }
        sources.reverse();
        assert_eq!(stream(&sources, &Limits::default(), 2).0, whole);
    }
}

#[test]
fn traces_that_wait_too_long_are_closed_and_what_comes_later_is_counted() {
    let sources = scattered(&generated(40, 9), 400, 1);
    let limits = Limits { open_bytes: 64 << 10, ..Limits::default() };
    for passes in [1, 2] {
        let (profile, summary, spans) = stream(&sources, &limits, passes);
        let late = summary.warnings.count(Warning::LateSpan);
        assert!(late > 0);
        assert_eq!(summary.spans + late, spans, "every span is used or counted");
        assert_eq!(profile.totals.spans, summary.spans);
    }
}

#[test]
fn traces_beyond_a_limit_are_left_out_and_counted() {
    let source = [generated(30, 3)];
    let spans = stream(&source, &Limits::default(), 2).2;
    for limits in [Limits { traces: 10, ..Limits::default() }, Limits { paths: 2, ..Limits::default() }] {
        for passes in [1, 2] {
            let (profile, summary, _) = stream(&source, &limits, passes);
            let left_out =
                summary.warnings.count(Warning::LimitReached) + profile.totals.warnings.count(Warning::LimitReached);
            assert!(left_out > 0);
            assert_eq!(profile.totals.spans + left_out, spans);
        }
    }
    let (profile, summary, _) = stream(&source, &Limits { trace_spans: 3, ..Limits::default() }, 2);
    assert_eq!(summary.spans + summary.warnings.count(Warning::LimitReached), spans);
    assert_eq!(profile.totals.spans, summary.spans);
}

/// A trace of its own id whose root calls so many operations, with names that no other trace has to share.
fn many_names(id: u128, names: std::ops::Range<usize>) -> (Trace, Warnings) {
    let mut text = "shop GET /cart 900ms [server]\n".to_owned();
    for name in names {
        let _ = writeln!(text, "  shop load item {name} 1ms\n    db SELECT 1ms [client]");
    }
    let mut trace = spandiff::model::fixture::trace(&text);
    trace.id = TraceId(id);
    (trace, Warnings::default())
}

#[test]
fn too_many_names_below_one_parent_stand_together_whatever_the_order() {
    let traces: Vec<_> = (0..40).map(|n| many_names(n as u128 + 1, n * 50..n * 50 + 100)).collect();
    let whole = fold(&traces);
    check_sums(&whole, &traces);
    let root = whole.paths().iter().position(|path| path.parent == NO_PARENT).unwrap() as u32;
    let children = whole.paths().iter().filter(|path| path.parent == root);
    assert_eq!(children.count(), MAX_NAMES + 1);
    let names = 39 * 50 + 100;
    let calls: u64 = 40 * 100;
    let folded = whole.totals.warnings.count(Warning::HighCardinalityName);
    assert!(folded > 0 && folded < calls);
    // Names of the first and last fifty come once, all others in two traces.
    assert!(folded >= (names - MAX_NAMES) as u64 && folded <= 2 * (names - MAX_NAMES) as u64);
    assert_eq!(fold(traces.iter().rev()), whole);
    let mut merged = fold(&traces[..13]);
    merged.merge(&fold(&traces[13..14]));
    merged.merge(&fold(&traces[14..]));
    assert_eq!(merged.into_canonical(), whole);
    assert_eq!(whole.canonical(), whole, "once is enough");
}

/// One trace of one span, written as protobuf, with a trace state.
fn sampled(id: u128, state: &str) -> Vec<u8> {
    let mut request = crate::data::request(1, 1);
    for span in request.resource_spans.iter_mut().flat_map(|r| &mut r.scope_spans).flat_map(|s| &mut s.spans) {
        span.trace_id = id.to_be_bytes().to_vec();
        state.clone_into(&mut span.trace_state);
        span.kind = 2;
        span.start_time_unix_nano = 1_700_000_000_000_000_000;
        span.end_time_unix_nano = span.start_time_unix_nano + 1_000;
    }
    request.encode_to_vec()
}

#[test]
fn a_trace_counts_as_many_as_it_stands_for() {
    let high = (1 << 56) - 1;
    let sources =
        [sampled(high, "ot=th:8"), sampled(high << 1, "x=y,ot=th:c;rv:f0000000000000"), sampled(1, "ot=th:8")];
    let (profile, ..) = stream(&sources, &Limits::default(), 2);
    let total = profile.paths()[0].state.shards.total();
    assert_eq!(profile.paths().len(), 1);
    // 2 and 4, and one whose threshold it could not have passed.
    assert_eq!((total.traces, total.weight / u128::from(ONE), total.calls / u128::from(ONE)), (3, 7, 7));
    assert_eq!(total.duration_ns, 7_000 * u128::from(ONE));
    assert_eq!(profile.paths()[0].state.duration.mass(), total.weight);
    assert_eq!(profile.totals.thresholds.into_iter().collect::<Vec<_>>(), [(1 << 55, 1), (3 << 54, 1)]);
    assert_eq!(profile.totals.unsampled, 1);
}

#[test]
fn sampling_is_told_once_from_the_totals() {
    let warnings = |states: &[&str]| {
        let sources: Vec<_> =
            states.iter().zip(1u128..).map(|(state, id)| sampled(id << 60 | ((1 << 56) - 1), state)).collect();
        let warnings = stream(&sources, &Limits::default(), 1).0.totals.sampling_warnings();
        (warnings.count(Warning::UnknownSampling), warnings.count(Warning::MixedSampling))
    };
    assert_eq!(warnings(&["ot=th:8", "ot=th:8"]), (0, 0));
    assert_eq!(warnings(&["", "", ""]), (3, 0));
    assert_eq!(warnings(&["ot=th:8", "ot=th:0", "ot=th:0"]), (0, 1));
    assert_eq!(warnings(&["ot=th:8", "ot=th:8", ""]), (1, 1));
}

#[test]
fn a_span_that_comes_twice_is_counted_once_wherever_it_comes_from() {
    let source = generated(10, 4);
    let (whole, ..) = stream(std::slice::from_ref(&source), &Limits::default(), 2);
    let (twice, summary, spans) = stream(&[source.clone(), source], &Limits::default(), 2);
    let duplicates = twice.totals.warnings.count(Warning::DuplicateSpan);
    assert_eq!((summary.spans + duplicates, duplicates), (spans, whole.totals.spans));
    assert_eq!(twice.paths(), whole.paths());
}

#[test]
fn what_a_database_call_says_of_its_instance_is_counted_by_instance() {
    let call = |id: u128, cluster: &str, db: &str, error: &str| {
        let text = format!(
            "shop GET /cart 90ms [server]\n  shop q 10ms [client] {error} {{db.system=mysql, server.address={cluster}-db, \
             server.port=3306, db.namespace={db}, app.tier=gold}}"
        );
        let mut trace = spandiff::model::fixture::trace(&text);
        trace.id = TraceId(id);
        (trace, Warnings::default())
    };
    let traces =
        [call(1, "c1", "a", ""), call(2, "c1", "a", "!error"), call(3, "c1", "b", ""), call(4, "c2", "b", "!error")];
    let profile = fold(&traces);
    let path = profile.paths().iter().find(|path| path.parent != NO_PARENT).unwrap();
    let instances = path.state.instances.get("server.address/server.port/db.namespace").unwrap();
    let mut found: Vec<_> = instances
        .iter()
        .map(|(_, instance)| (profile.strings.get(instance.name), instance.spans, instance.failed))
        .collect();
    found.sort_unstable();
    assert_eq!(found, [("c1-db/3306/a", 2, 1), ("c1-db/3306/b", 1, 0), ("c2-db/3306/b", 1, 1)]);
    let dead = instances.iter().find(|(_, instance)| instance.failed == instance.spans).unwrap().1;
    assert_eq!(dead.last_good_ns, 0);
    let shared: Vec<_> = dead
        .shared
        .values()
        .map(|(key, value)| (profile.strings.get(*key), value.map(|value| profile.strings.get(value))))
        .collect();
    for pair in [("app.tier", Some("gold")), ("db.namespace", Some("b")), ("server.address", Some("c2-db"))] {
        assert!(shared.contains(&pair), "{pair:?} in {shared:?}");
    }
    // An old key counts as its current one, and its value as the current one's.
    let system = path.state.attributes.get("db.system.name").unwrap();
    assert_eq!(profile.strings.get(system.values()[0].value), "mysql");
    assert!(path.state.attributes.get("db.system").is_none());
    assert_eq!(path.state.errors.mass, 2 * u128::from(ONE));
}

/// The traces in some bytes, assembled and identified by rules, each with what assembling it counted.
fn identified(bytes: &[u8], rules: &Rules) -> BTreeMap<TraceId, (Trace, Warnings)> {
    let store = shared::read(bytes).0;
    let mut by_trace: BTreeMap<TraceId, Vec<_>> = BTreeMap::new();
    for span in &store.spans {
        by_trace.entry(span.trace_id).or_default().push(*span);
    }
    let assembled = by_trace.into_iter().map(|(id, spans)| {
        let mut warnings = Warnings::default();
        let mut trace = ingest::assemble(SpanStore { spans, ..store.clone() }, id, &mut warnings);
        ingest::identify(&mut trace, rules);
        (id, (trace, warnings))
    });
    assembled.collect()
}

/// All that a trace says, a line for each span.
fn shown(trace: &Trace) -> Vec<String> {
    let store = &trace.store;
    let line = |span: &Span| {
        let mut line = format!(
            "{} {} {} {:?} {:?} {} {} {} {:?} {} {} {:?}",
            span.parent as i32,
            span.id,
            span.parent_id,
            span.kind,
            span.status,
            span.start_ns,
            span.end_ns,
            store.name(span),
            // Zipkin's mark has no field in OTLP; what it is for shows in the parents.
            SpanMarks(span.marks.0 & !SpanMarks::SHARED.0),
            store.status_message(span),
            store.trace_state(span),
            trace.operations.get(span.operation),
        );
        for (key, value) in store.resource_attributes(span).chain(store.attributes(span)) {
            let _ = write!(line, " {key}={value}");
        }
        for event in store.events(span) {
            let _ = write!(line, " event {} {} {:?}", event.time_ns, event.name, event.attributes.collect::<Vec<_>>());
        }
        for link in store.links(span) {
            let _ =
                write!(line, " link {:?} {:?} {:?}", link.trace_id, link.span_id, link.attributes.collect::<Vec<_>>());
        }
        line
    };
    trace.spans().iter().map(line).collect()
}

/// The examples of all entry points.
fn examples(profile: &Profile) -> Vec<Example<'_>> {
    let of_path = |path: u32| {
        let Examples { fastest, typical, slowest, failed } = profile.examples(path);
        [fastest, typical, slowest, failed].into_iter().flatten()
    };
    (0..profile.paths().len() as u32).flat_map(of_path).collect()
}

/// Every example of what was folded reads back as the trace that it was. How many there are.
fn check_examples(source: &[u8], rules: &Rules) -> usize {
    let traces = identified(source, rules);
    let profile = fold(traces.values());
    let stored = profile_codec::encode(&profile).unwrap();
    let profile = profile_codec::decode(&mut &stored[..], &Limits::default()).unwrap();
    for path in profile.paths() {
        let slowest = path.state.exemplars.slowest.unwrap();
        let fits = traces[&slowest.trace_id].0.len() < 200;
        let kept = path.state.exemplars.trace_of(&slowest).is_some();
        assert!(kept == (path.parent == NO_PARENT) || !fits, "{slowest:?}");
    }
    let examples = examples(&profile);
    for example in &examples {
        let (trace, warnings) = &traces[&example.trace_id];
        let mut read = identified(example.otlp, rules);
        assert_eq!(read.len(), 1);
        let (again, counted) = read.remove(&example.trace_id).unwrap();
        assert_eq!(shown(&again), shown(trace));
        assert_eq!(again.links, trace.links);
        assert_eq!(again.spans().len() + again.taken_out.len(), example.spans());
        // Only spans that came twice are not there any more.
        let of_tree = |warnings: &Warnings| {
            let counted = warnings.iter().filter(|(warning, _)| *warning != Warning::DuplicateSpan);
            counted.map(|(warning, counted)| (warning, counted.clone())).collect::<Vec<_>>()
        };
        assert_eq!(of_tree(&counted), of_tree(warnings));
        assert!(again.roots().any(|root| again.spans()[root as usize].duration_ns() == example.duration_ns));
    }
    examples.len()
}

#[test]
fn examples_of_real_files_read_back_as_the_traces_that_they_were() {
    for path in shared::files() {
        let source = std::fs::read(&path).unwrap();
        assert!(check_examples(&source, &Rules::default()) > 0, "{}", path.display());
    }
}

#[test]
fn examples_are_traces_as_they_came_before_rules() {
    let source = generated(40, 8);
    assert!(check_examples(&source, &Rules::default()) >= 3);
    let traces = identified(&source, &Rules::default());
    let (trace, _) = traces.values().next().unwrap();
    // The operations of the root and of the first span below it with children.
    let parent = (1..trace.len() as u32).find(|&index| trace.children(index).next().is_some()).unwrap();
    let named = |index: u32, effect: Effect| OperationRule {
        name: Some(trace.store.name(&trace.spans()[index as usize]).to_owned()),
        effect,
        ..OperationRule::default()
    };
    for rules in [
        vec![named(0, Effect::Ignore)],
        vec![named(parent, Effect::Ignore)],
        vec![named(parent, Effect::Fold)],
        vec![named(0, Effect::Fold)],
    ] {
        let rules = Rules { operations: rules };
        assert!(identified(&source, &rules).values().any(|(trace, _)| !trace.taken_out.is_empty()));
        assert!(check_examples(&source, &rules) >= 3);
    }
}

#[test]
fn a_pair_of_examples_differs_as_the_pair_of_their_traces_does() {
    let source = generated(60, 11);
    let profile = stream(std::slice::from_ref(&source), &Limits::default(), 2).0;
    let traces = identified(&source, &Rules::default());
    let entries = (0..profile.paths().len() as u32).filter(|&path| profile.paths()[path as usize].parent == NO_PARENT);
    for entry in entries {
        let examples = profile.examples(entry);
        let (fastest, slowest) = (examples.fastest.unwrap(), examples.slowest.unwrap());
        let read =
            |example: Example<'_>| identified(example.otlp, &Rules::default()).remove(&example.trace_id).unwrap().0;
        let report = |mut traces: Pair<Trace>| {
            ingest::unify(&mut traces, &mut Pair::default());
            let diff = spandiff::diff::pair::compare(&traces, Pair::default(), &DiffOptions::default());
            let mut json = Vec::new();
            spandiff::report::json::json(&diff, &spandiff::report::Options::default(), &mut json).unwrap();
            String::from_utf8(json).unwrap()
        };
        let of_examples = report(Pair::new(read(fastest), read(slowest)));
        let of_traces = report(Pair::new(traces[&fastest.trace_id].0.clone(), traces[&slowest.trace_id].0.clone()));
        assert_eq!(of_examples, of_traces);
        assert!(fastest.duration_ns <= slowest.duration_ns);
    }
}

#[test]
fn traces_that_are_too_large_are_no_examples() {
    let calls = |id: u128, calls: usize| {
        let mut trace =
            spandiff::model::fixture::trace(&format!("shop GET /cart 900ms [server]\n  db SELECT 1us ×{calls}"));
        trace.id = TraceId(id);
        (trace, Warnings::default())
    };
    let traces = [calls(1, 10), calls(2, MAX_EXAMPLE_SPANS - 1), calls(3, MAX_EXAMPLE_SPANS)];
    let profile = fold(&traces);
    let spans: Vec<usize> = profile.example_traces().into_iter().map(<[u8]>::len).collect();
    assert_eq!(spans.len(), 2, "{spans:?}");
    let exemplars = &profile.paths()[0].state.exemplars;
    assert_eq!(exemplars.sample.iter().filter(|span| exemplars.trace_of(span).is_none()).count(), 1);
}
