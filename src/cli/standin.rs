//! STAND-IN, to be deleted by the merge: just enough of the rooms below to run the command line without them.
#![allow(clippy::all, clippy::pedantic, missing_docs, dead_code, reason = "deleted by the merge")]

pub mod rules;
pub mod select;

pub mod read {
    use crate::ingest::{Batch, Context, Format, InputFormat, ReadError};
    use crate::model::attributes::{Packer, SpanHead, field};
    use crate::model::*;
    use serde_json::Value as Json;
    use std::io::Read;

    pub fn read(input: &mut dyn Read, _said: Option<InputFormat>, context: &mut Context<'_>) -> Result<(), ReadError> {
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes)?;
        context.report.bytes = bytes.len() as u64;
        context.report.bytes_in = bytes.len() as u64;
        for document in serde_json::Deserializer::from_slice(&bytes).into_iter::<Json>() {
            let document = document.map_err(|error| ReadError::NotATrace {
                what: "this is no OTLP JSON".into(),
                at: error.column() as u64,
                hint: "give a file in a trace format".into(),
            })?;
            context.report.saw(Format::OtlpJson);
            context.report.records += 1;
            document_into(&document, context);
        }
        Ok(())
    }

    fn list<'a>(value: &'a Json, key: &str) -> impl Iterator<Item = &'a Json> {
        value[key].as_array().into_iter().flatten()
    }

    fn document_into(document: &Json, context: &mut Context<'_>) {
        let mut packer = Packer::default();
        let mut batch = Batch::default();
        for resource in list(document, "resourceSpans") {
            let service = list(&resource["resource"], "attributes")
                .find(|it| it["key"] == "service.name")
                .and_then(|it| it["value"]["stringValue"].as_str())
                .unwrap_or("unknown_service");
            let service = context.symbols.intern(service);
            batch.resources.push(Resource { service, body: Body::default() });
            for span in list(resource, "scopeSpans").flat_map(|scope| list(scope, "spans")) {
                let text = |key: &str| span[key].as_str().unwrap_or_default();
                let time = |key: &str| text(key).parse().unwrap_or(0);
                let hex = |key: &str| u64::from_str_radix(text(key), 16).unwrap_or(0);
                let trace_id = TraceId(u128::from_str_radix(text("traceId"), 16).unwrap_or(1));
                let head = SpanHead {
                    trace_id,
                    id: SpanId(hex("spanId")),
                    parent_id: SpanId(hex("parentSpanId")),
                    name: text("name"),
                    kind: Kind::from_otlp(span["kind"].as_u64().unwrap_or(0)),
                    start_ns: time("startTimeUnixNano"),
                    end_ns: time("endTimeUnixNano"),
                    status: Status::from_otlp(span["status"]["code"].as_u64().unwrap_or(0)),
                    ..SpanHead::default()
                };
                let start = packer.len() as u32;
                packer.span_head(&head);
                for it in list(span, "attributes") {
                    let value = Value::Str(it["value"]["stringValue"].as_str().unwrap_or_default());
                    packer.attribute(field::SPAN_ATTRIBUTES, it["key"].as_str().unwrap_or_default(), &value);
                }
                batch.spans.push(Span {
                    trace_id,
                    id: head.id,
                    parent_id: head.parent_id,
                    start_ns: head.start_ns,
                    end_ns: head.end_ns,
                    name: context.symbols.intern(head.name),
                    resource: batch.resources.len() as u32 - 1,
                    scope: 0,
                    body: Body { chunk: 0, start, len: packer.len() as u32 - start },
                    operation: OperationId::NONE,
                    parent: NO_PARENT,
                    kind: head.kind,
                    status: head.status,
                    marks: SpanMarks::default(),
                });
            }
        }
        batch.scopes.push(Scope {
            name: Symbol::EMPTY,
            version: Symbol::EMPTY,
            schema_url: Symbol::EMPTY,
            body: Body::default(),
        });
        batch.bytes = packer.into_bytes();
        context.report.spans += batch.spans.len() as u64;
        context.sink.batch(batch, context.symbols);
    }
}

pub mod assemble {
    use crate::model::*;

    pub fn assemble(mut store: SpanStore, id: TraceId, _warnings: &mut Warnings) -> Trace {
        let ids: Vec<SpanId> = store.spans.iter().map(|span| span.id).collect();
        for span in &mut store.spans {
            span.parent = ids.iter().position(|id| *id == span.parent_id).map_or(NO_PARENT, |at| at as u32);
        }
        Trace::new(id, store, Operations::default())
    }
}

pub mod identity {
    use super::rules::Rules;
    use crate::model::*;

    pub fn identify(trace: &mut Trace, _rules: &Rules) {
        for index in 0..trace.store.spans.len() {
            let span = trace.store.spans[index];
            let operation = Operation {
                service: trace.store.service(&span).into(),
                kind: span.kind,
                name: trace.store.name(&span).into(),
            };
            trace.store.spans[index].operation = trace.operations.intern(operation);
        }
    }

    pub fn unify(_traces: &mut Pair<Trace>, _warnings: &mut Pair<Warnings>) {}
}

pub mod pair {
    use crate::diff::*;
    use crate::model::*;

    pub fn compare(traces: &Pair<Trace>, inputs: Pair<InputSide>, options: &DiffOptions) -> Diff {
        let operation = |trace: &Trace, span: &Span| {
            trace.operations.get(span.operation).cloned().unwrap_or_else(|| unreachable!())
        };
        let total = |trace: &Trace| trace.spans().first().map_or(0, Span::duration_ns) as i64;
        let (before, after) = (total(&traces.before), total(&traces.after));
        let quantiles = |ns: i64| Some(Quantiles { mean: ns, p50: ns, p95: ns, p99: None });
        let mut findings = Vec::new();
        let mut tree = Vec::new();
        let mut depths: Vec<u32> = Vec::new();
        for span in traces.after.spans() {
            let depth = depths.get(span.parent as usize).map_or(0, |depth| depth + 1);
            depths.push(depth);
            let op = operation(&traces.after, span);
            let twin = traces.before.spans().iter().find(|other| operation(&traces.before, other) == op);
            let side = |span: &Span| NodeSide {
                spans: 1,
                start_ns: 0,
                duration_ns: span.duration_ns(),
                self_ns: span.duration_ns(),
                critical_ns: 0,
                status: span.status,
                kind: span.kind,
                span_id: span.id,
            };
            tree.push(TreeNode {
                depth,
                operation: op.clone(),
                from: None,
                mark: if twin.is_some() { Mark::Equal } else { Mark::Added },
                sides: Pair::new(twin.map(side), Some(side(span))),
                inherited: false,
                finding: None,
                matched: MatchInfo { score: 1.0, reason: "operation" },
            });
            if twin.is_none() {
                findings.push(finding(op, span));
            }
        }
        let all = findings.len();
        findings.truncate(options.max_findings);
        let root = traces.after.spans().first().map(|span| operation(&traces.after, span));
        Diff {
            mode: Mode::Pair,
            inputs,
            config_sha256: String::new(),
            comparable: Comparable { ok: true, reasons: vec![] },
            coverage: Coverage { paths: 1.0, instances: None },
            drift: Drift { common_ratio: 1.0, between_paths: 0.0 },
            summary: Summary {
                by_kind: vec![(FindingKind::Added, all as u64)],
                unchanged_operations: 1,
                spans: Pair::new(traces.before.len() as u64, traces.after.len() as u64),
                matched: (traces.after.len() - all) as u64,
                errors: Pair::default(),
            },
            entry_points: root
                .into_iter()
                .map(|operation| EntryPoint {
                    operation,
                    traces: Pair::new(1, 1),
                    duration_ns: Pair::new(quantiles(before), quantiles(after)),
                    delta_ns: Some(after - before),
                    error_rate: Pair::new(Some(0.0), Some(0.0)),
                    attribution: vec![AttributionRow {
                        finding: None,
                        label: "unchanged, together".into(),
                        contribution_ns: after - before,
                    }],
                })
                .collect(),
            omitted: Omitted { findings: (all - findings.len()) as u64, contribution_ns: 0 },
            findings,
            notes: vec![],
            suspects: vec![],
            tree,
            services: ServiceGraph::new(),
        }
    }

    fn finding(operation: Operation, span: &Span) -> Finding {
        Finding {
            fingerprint: "0".into(),
            kind: FindingKind::Added,
            path: vec![operation],
            from_path: None,
            spans: Pair::new(0, 1),
            subtree: Some(1),
            calls_per_trace: Pair::new(0.0, 1.0),
            duration_ns: Pair::default(),
            self_time_ns: Pair::default(),
            edge_time_ns: Pair::default(),
            error_rate: Pair::default(),
            title: "new".into(),
            evidence: vec![],
            contribution_ns: span.duration_ns() as i64,
            share: None,
            on_critical_path: Pair::new(false, true),
            confidence: Confidence::Weak,
            matched: MatchInfo { score: 0.0, reason: "none" },
            attributes: vec![],
            events: vec![],
            because: vec![],
            exemplars: Pair::default(),
        }
    }
}

pub mod generate {
    use std::io;

    macro_rules! words {
        ($type:ident { $($variant:ident = $name:literal),+ }) => {
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum $type { $($variant),+ }
            impl $type {
                pub const ALL: [$type; [$($name),+].len()] = [$($type::$variant),+];
                pub const fn name(self) -> &'static str { match self { $($type::$variant => $name),+ } }
                pub const fn description(self) -> &'static str { "stand-in" }
                pub fn from_name(name: &str) -> Option<$type> { $type::ALL.into_iter().find(|it| it.name() == name) }
            }
        };
    }
    words!(System { Ride = "ride", Shop = "shop" });
    words!(Change { None = "none", SlowLeaf = "slow-leaf", NewSpan = "n-plus-one" });
    words!(OutputFormat { OtlpJson = "otlp-json", OtlpProto = "otlp-proto", OtlpProtoFramed = "otlp-proto-framed" });

    pub struct Options {
        pub system: System,
        pub change: Change,
        pub seed: u64,
        pub traces: u32,
        pub format: OutputFormat,
    }

    impl Options {
        pub const fn new(system: System, change: Change) -> Options {
            Options { system, change, seed: 1, traces: 1, format: OutputFormat::OtlpJson }
        }
    }

    pub fn generate_into(
        _options: &Options,
        before: &mut dyn io::Write,
        after: &mut dyn io::Write,
    ) -> io::Result<String> {
        writeln!(before, "{{\"resourceSpans\":[]}}")?;
        writeln!(after, "{{\"resourceSpans\":[]}}")?;
        Ok("{}".into())
    }
}
