//! STAND-IN, to be deleted by the merge: just enough of the rooms below to run the command line without them.
#![allow(clippy::all, clippy::pedantic, missing_docs, dead_code, reason = "deleted by the merge")]

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
