//! The merged tree of a population: one row a call path.

mod detail;

use super::numbers;
use super::work::Work;
use crate::align::{Alignment, Tree};
use crate::diff::detail::NodeDetail;
use crate::diff::merged::{NodeSide, NodeStats};
use crate::diff::merged_tree::Sides;
use crate::diff::options::DiffOptions;
use crate::model::{Kind, Operation, OperationId, Pair, Side, SpanId, Status};
use crate::stats::quantile::quantile;

impl Sides for Work<'_> {
    fn trees(&self) -> &Pair<Tree> {
        &self.trees
    }

    fn alignment(&self) -> &Alignment {
        &self.alignment
    }

    fn options(&self) -> &DiffOptions {
        self.options
    }

    fn operation(&self, id: OperationId) -> Operation {
        Work::operation(self, id)
    }

    fn numbers(&self, side: Side, node: u32) -> NodeSide {
        let sums = self.sums(side, node);
        let entry = self.sums(side, self.entry(side, node));
        let mean = |sum: u128, of: u128| numbers::rounded(sum, of).unwrap_or(0);
        let p95 = self.state(side, node).and_then(|state| quantile(&state.duration, 0.95)).unwrap_or(0.0);
        let span = self.state(side, node).and_then(|state| state.exemplars.sample.first());
        NodeSide {
            spans: self.spans(side, node),
            start_ns: 0,
            duration_ns: mean(sums.duration_ns, sums.calls).unsigned_abs(),
            self_ns: mean(sums.self_ns, sums.calls).unsigned_abs(),
            critical_ns: mean(sums.critical_ns, entry.calls).unsigned_abs(),
            status: if self.node(side, node).failed { Status::Error } else { Status::Unset },
            kind: self.operation_at(side, node).map_or(Kind::Internal, |operation| operation.kind),
            span_id: span.map_or(SpanId::NONE, |span| span.span_id),
            many: Some(NodeStats {
                calls_per_trace: sums.calls as f64 / entry.calls.max(1) as f64,
                error_rate: self.per_trace(side, node, |sums| sums.errors),
                traces: sums.traces,
                p95_ns: p95.round() as u64,
            }),
        }
    }
    fn detail(&self, place: Pair<Option<u32>>) -> Option<Box<NodeDetail>> {
        Some(Box::new(detail::of(self, place)))
    }
}
