//! Repair and identity on real traces, through the public interface.

use super::shared::{files, read, traces};
use spandiff::diff::{DiffOptions, InputSide, pair};
use spandiff::ingest;
use spandiff::model::{Kind, NO_PARENT, Pair, Span, Trace, Warning, Warnings};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

/// A file, and what was counted in it by other means than this program.
struct Counted {
    name: &'static str,
    spans: usize,
    traces: usize,
    /// Spans that repeat the id and the side of another one.
    duplicates: u64,
}

const fn counted(name: &'static str, spans: usize, traces: usize, duplicates: u64) -> Counted {
    Counted { name, spans, traces, duplicates }
}

const FILES: [Counted; 7] = [
    counted("jaeger-genai.json", 57, 1, 0),
    // Ten objects look like spans, but six are copies that stand in the references of the four.
    counted("jaeger-http.json", 4, 1, 0),
    counted("otel-demo.jsonl", 547, 141, 0),
    counted("otlp-spec-example.json", 1, 1, 0),
    counted("zipkin-messaging-kafka.json", 28, 1, 0),
    counted("zipkin-skew.json", 4, 1, 0),
    // One message was received five times under the id of its sender.
    counted("zipkin-smartthings-oauth.json", 175, 1, 4),
];

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// The traces of one file; none where the folder is not there.
fn of_file(name: &str) -> Vec<(Trace, Warnings)> {
    let path = files().into_iter().find(|path| file_name(path) == name);
    path.map_or_else(Vec::new, |path| traces(read(File::open(path).unwrap()).0))
}

fn parent<'a>(trace: &'a Trace, span: &Span) -> Option<&'a Span> {
    trace.spans().get(span.parent as usize)
}

#[test]
fn every_span_of_every_file_is_in_its_trace_or_counted() {
    let paths = files();
    if !paths.is_empty() {
        let names: Vec<&str> = paths.iter().map(|path| file_name(path)).collect();
        assert_eq!(names, FILES.map(|file| file.name), "a file came or went");
    }
    for (path, Counted { name, spans, traces: count, duplicates }) in paths.iter().zip(FILES) {
        let (store, report) = read(File::open(path).unwrap());
        assert_eq!((store.spans.len(), report.spans, report.warnings.spans_lost()), (spans, spans as u64, 0), "{name}");
        let ids: BTreeSet<_> = store.spans.iter().map(|span| (span.trace_id, span.id, span.kind)).collect();
        let traces = traces(store);
        assert_eq!(traces.len(), count, "{name}");
        let lost: u64 = traces.iter().map(|(_, warnings)| warnings.spans_lost()).sum();
        let found: u64 = traces.iter().map(|(_, warnings)| warnings.count(Warning::DuplicateSpan)).sum();
        assert_eq!((lost, found), (duplicates, duplicates), "{name}");
        let used: Vec<_> = traces
            .iter()
            .flat_map(|(trace, _)| trace.spans())
            .map(|span| (span.trace_id, span.id, span.kind))
            .collect();
        assert_eq!(used.len() as u64 + lost, spans as u64, "{name}");
        assert_eq!(BTreeSet::from_iter(used), ids, "{name}: whatever is left out is still there once");
    }
}

#[test]
fn every_span_has_an_operation_of_its_service_and_its_parent_before_it() {
    for path in files() {
        for (trace, _) in traces(read(File::open(&path).unwrap()).0) {
            for (index, span) in trace.spans().iter().enumerate() {
                let what = format!("{}: {span:?}", path.display());
                let operation = trace.operations.get(span.operation).unwrap();
                assert_eq!((&*operation.service, operation.kind), (trace.store.service(span), span.kind), "{what}");
                assert_eq!(operation.name.is_empty(), trace.store.name(span).is_empty(), "{what}");
                assert!(span.start_ns <= span.end_ns, "{what}");
                assert!(span.parent == NO_PARENT || (span.parent as usize) < index, "{what}");
            }
        }
    }
}

#[test]
fn a_real_trace_against_itself_has_no_finding() {
    for path in files() {
        for (trace, _) in traces(read(File::open(&path).unwrap()).0) {
            let mut pair = Pair::new(trace.clone(), trace);
            ingest::unify(&mut pair, &mut Pair::default());
            let sides = Pair::new(InputSide::default(), InputSide::default());
            let diff = pair::compare(&pair, sides, &DiffOptions::default());
            let titles: Vec<&str> = diff.findings.iter().map(|finding| finding.title.as_str()).collect();
            assert!(titles.is_empty(), "{} {}: {titles:?}", path.display(), pair.before.id);
            assert_eq!(diff.summary.matched, pair.before.len() as u64);
        }
    }
}

#[test]
fn a_server_with_a_wrong_clock_is_put_inside_its_client() {
    for (trace, warnings) in of_file("zipkin-skew.json") {
        // Server and the span below it.
        assert_eq!(warnings.count(Warning::ClockSkew), 2, "{warnings:?}");
        let shown: Vec<(&str, &str, Kind)> =
            trace.spans().iter().map(|span| (trace.store.service(span), trace.store.name(span), span.kind)).collect();
        let expected = [
            ("servicea", "get", Kind::Server),
            ("servicea", "post", Kind::Client),
            ("serviceb", "post", Kind::Server),
            ("serviceb", "async", Kind::Internal),
        ];
        assert_eq!(shown, expected);
        let spans = trace.spans();
        let parents: Vec<u32> = spans.iter().map(|span| span.parent).collect();
        assert_eq!(parents, [NO_PARENT, 0, 1, 2]);
        let (client, server) = (spans[1], spans[2]);
        assert!(client.start_ns <= server.start_ns && server.end_ns <= client.end_ns, "{client:?} {server:?}");
        assert_eq!(server.end_ns - server.start_ns, 93_577_000, "a correction moves and never stretches");
        assert_eq!(spans[3].start_ns - server.start_ns, 1_000, "what lies below moves along");
    }
}

#[test]
fn consumers_hang_below_their_producers() {
    for (trace, _) in of_file("zipkin-messaging-kafka.json") {
        assert_eq!(trace.roots().count(), 1);
        let polls = trace.spans().iter().filter(|span| span.kind == Kind::Consumer);
        let parents: Vec<Option<Kind>> = polls.map(|span| parent(&trace, span).map(|parent| parent.kind)).collect();
        assert_eq!(parents.iter().filter(|parent| parent.is_none()).count(), 1, "the poll that began it all");
        assert_eq!(parents.iter().filter(|parent| **parent == Some(Kind::Producer)).count(), 6);
        assert_eq!(parents.len(), 7);
    }
}

#[test]
fn the_calls_between_the_services_of_the_demo_are_edges() {
    let traces = of_file("otel-demo.jsonl");
    let mut calls = 0;
    for (trace, _) in &traces {
        for server in trace.spans().iter().filter(|span| span.kind == Kind::Server) {
            let Some(client) = parent(trace, server).filter(|parent| parent.kind == Kind::Client) else { continue };
            assert_ne!(trace.store.service(client), trace.store.service(server), "{}", trace.id);
            calls += 1;
        }
    }
    assert!(traces.is_empty() || calls == 213, "{calls} calls");
}
