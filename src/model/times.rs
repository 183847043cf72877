//! Self time, edges and the critical path of one trace, each exact in nanoseconds.

use super::{Kind, NO_PARENT, Span, Trace};

/// The times of one trace, by span index. Can be used for one trace after the other without asking for memory again.
#[derive(Debug, Default)]
pub struct Times {
    /// Duration minus the union of the children's intervals.
    pub self_ns: Vec<u64>,
    /// Nanoseconds of the entry point's critical path that are this span's own.
    pub critical_ns: Vec<u64>,
    /// Nanoseconds of the children's durations: those that are waited for, cut to the span. More than the duration
    /// minus `self_ns` where children overlap.
    pub children_ns: Vec<u64>,
    /// Whether the span is a client span with exactly one server span below: its self time is the edge to that
    /// server (network and queue), and is charged to the server's operation.
    pub is_edge: Vec<bool>,
    scratch: Scratch,
}

/// Which roots of a trace have their critical path laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roots {
    /// The first, which names the entry point of the whole trace.
    First,
    /// Every one: from beside one service, each of its requests is an entry point in its own right.
    All,
}

#[derive(Debug, Default)]
struct Scratch {
    /// Up to where the children of a span that were looked at reach.
    covered_until: Vec<u64>,
    has_child: Vec<bool>,
    frames: Vec<Frame>,
    /// Children still to be looked at, those of the last frame at the end and of these the last-ending one last.
    children: Vec<(u32, u64, u64)>,
}

impl Times {
    /// Measures a trace; the critical path is that of its first root.
    pub fn new(trace: &Trace) -> Times {
        let mut times = Times::default();
        times.measure(trace, Roots::First);
        times
    }

    /// Measures another trace.
    pub fn measure(&mut self, trace: &Trace, roots: Roots) {
        self.intervals(trace.spans());
        self.critical_ns.clear();
        self.critical_ns.resize(trace.len(), 0);
        let most = if roots == Roots::First { 1 } else { usize::MAX };
        for root in trace.roots().take(most) {
            self.critical_path(trace, root);
        }
    }

    /// Self time of a span that is not an edge, 0 for an edge.
    pub fn own_ns(&self, index: u32) -> u64 {
        if self.is_edge.get(index as usize).copied().unwrap_or(false) { 0 } else { at(&self.self_ns, index) }
    }

    /// Time of the edge that leads to a span: the self time of its client span; `None` when its parent is no edge.
    pub fn edge_to_ns(&self, trace: &Trace, index: u32) -> Option<u64> {
        let parent = trace.spans().get(index as usize).map_or(NO_PARENT, |span| span.parent);
        self.is_edge.get(parent as usize).copied().unwrap_or(false).then(|| at(&self.self_ns, parent))
    }

    /// Self times, children and edges in one walk: children stand behind their parents, in order of their starts.
    fn intervals(&mut self, spans: &[Span]) {
        let Scratch { covered_until, has_child, .. } = &mut self.scratch;
        self.self_ns.clear();
        self.self_ns.extend(spans.iter().map(Span::duration_ns));
        covered_until.clear();
        covered_until.extend(spans.iter().map(|span| span.start_ns));
        self.children_ns.clear();
        self.children_ns.resize(spans.len(), 0);
        self.is_edge.clear();
        self.is_edge.resize(spans.len(), false);
        has_child.clear();
        has_child.resize(spans.len(), false);
        for span in spans {
            let place = span.parent as usize;
            let (Some(parent), Some(edge), Some(has_child), Some(children_ns), Some(self_ns), Some(until)) = (
                spans.get(place),
                self.is_edge.get_mut(place),
                has_child.get_mut(place),
                self.children_ns.get_mut(place),
                self.self_ns.get_mut(place),
                covered_until.get_mut(place),
            ) else {
                continue;
            };
            let waited_for = is_waited_for(parent, span);
            let only = !std::mem::replace(has_child, true);
            *edge = only && waited_for && parent.kind == Kind::Client && span.kind == Kind::Server;
            let (start, end) = (span.start_ns.max(parent.start_ns), span.end_ns.min(parent.end_ns));
            if !waited_for || start >= end {
                continue;
            }
            *children_ns = children_ns.saturating_add(end - start);
            let start = start.max(*until);
            if end > start {
                *self_ns -= end - start;
                *until = end;
            }
        }
    }

    /// Tiles a root: from its end backwards always the child that ends last before the cursor. The sections are
    /// contiguous, so their sum is the root's duration exactly. An explicit stack, since depth comes from the input.
    fn critical_path(&mut self, trace: &Trace, root: u32) {
        let Some(span) = trace.spans().get(root as usize) else { return };
        let Scratch { frames, children, .. } = &mut self.scratch;
        frames.clear();
        children.clear();
        frames.push(Frame::new(trace, children, root, span.start_ns, span.end_ns.max(span.start_ns)));
        while let Some(frame) = frames.last_mut() {
            let Some(slot) = self.critical_ns.get_mut(frame.span as usize) else { break };
            let next = if children.len() > frame.first { children.pop() } else { None };
            let Some((child, start, end)) = next else {
                *slot += frame.cursor - frame.from;
                frames.pop();
                continue;
            };
            if end <= frame.cursor {
                *slot += frame.cursor - end;
                frame.cursor = start;
                frames.push(Frame::new(trace, children, child, start, end));
            }
        }
    }
}

/// The value of a span, 0 outside the list.
pub fn at(list: &[u64], index: u32) -> u64 {
    list.get(index as usize).copied().unwrap_or(0)
}

/// Whether a child's time counts inside its parent's: a message is not waited for.
pub fn is_waited_for(parent: &Span, child: &Span) -> bool {
    Trace::is_timed_child(child) && !(parent.kind == Kind::Producer && child.kind == Kind::Consumer)
}

/// The timed children of a span as intervals cut to `[from, to]`, empty ones left out, in order of their starts.
pub fn child_intervals(trace: &Trace, index: u32, from: u64, to: u64) -> impl Iterator<Item = (u32, u64, u64)> + '_ {
    let parent = trace.spans().get(index as usize).copied();
    trace.children(index).filter_map(move |child| {
        let span = trace.spans().get(child as usize)?;
        let (start, end) = (span.start_ns.max(from), span.end_ns.min(to));
        (is_waited_for(&parent?, span) && start < end).then_some((child, start, end))
    })
}

/// One span whose sections are being laid out, from its end towards its start.
#[derive(Debug)]
struct Frame {
    span: u32,
    from: u64,
    cursor: u64,
    /// Where its children begin in the list of all that are still to be looked at.
    first: usize,
}

impl Frame {
    fn new(trace: &Trace, children: &mut Vec<(u32, u64, u64)>, span: u32, from: u64, to: u64) -> Frame {
        let first = children.len();
        children.extend(child_intervals(trace, span, from, to));
        let id = |child: u32| trace.spans().get(child as usize).map_or(0, |span| span.id.0);
        if let Some(mine) = children.get_mut(first..) {
            mine.sort_unstable_by_key(|&(child, start, end)| (end, start, std::cmp::Reverse(id(child))));
        }
        Frame { span, from, cursor: to, first }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    const MS: u64 = 1_000_000;

    fn check(text: &str, self_ms: &[u64], critical_ms: &[u64]) {
        let times = Times::new(&fixture::trace(text));
        assert_eq!(times.self_ns.iter().map(|ns| ns / MS).collect::<Vec<_>>(), self_ms, "self time");
        assert_eq!(times.critical_ns.iter().map(|ns| ns / MS).collect::<Vec<_>>(), critical_ms, "critical path");
    }

    #[test]
    fn sequential_children_are_all_critical() {
        check("a root 100ms\n  a one 30ms\n  a two 20ms", &[50, 30, 20], &[50, 30, 20]);
    }

    #[test]
    fn of_parallel_children_the_last_one_to_end_is_critical() {
        check("a root 100ms\n  a one 30ms @10ms\n  a two 60ms @10ms", &[40, 60, 30], &[40, 60, 0]);
    }

    #[test]
    fn a_child_that_ends_where_the_next_begins_counts() {
        check("a root 50ms\n  a one 20ms @0ms\n  a two 30ms @20ms", &[0, 20, 30], &[0, 20, 30]);
    }

    #[test]
    fn a_child_that_outlives_its_parent_is_cut() {
        check("a root 50ms\n  a one 100ms @20ms", &[20, 100], &[20, 30]);
    }

    #[test]
    fn a_message_is_not_waited_for() {
        check("a root 50ms\n  a send 10ms [producer]\n    b take 500ms [consumer]", &[40, 10, 500], &[40, 10, 0]);
    }

    #[test]
    fn the_client_of_a_server_is_an_edge() {
        let trace = fixture::trace("a GET 50ms [client]\n  b GET 30ms [server]");
        let times = Times::new(&trace);
        assert_eq!(times.is_edge, [true, false]);
        assert_eq!((times.own_ns(0), times.edge_to_ns(&trace, 1)), (0, Some(20 * MS)));
    }

    #[test]
    fn every_root_can_be_tiled() {
        let trace = fixture::trace("a one 100ms\n  a x 30ms\nb two 50ms\n  b y 20ms");
        let mut times = Times::new(&trace);
        assert_eq!(times.critical_ns, [70, 30, 0, 0].map(|ms| ms * MS));
        times.measure(&trace, Roots::All);
        assert_eq!(times.critical_ns, [70, 30, 30, 20].map(|ms| ms * MS));
    }

    #[test]
    fn children_that_overlap_are_summed_apart_from_what_they_cover() {
        let trace = fixture::trace("a root 100ms\n  a one 60ms @10ms\n  a two 60ms @50ms\n  a late 50ms @90ms");
        let times = Times::new(&trace);
        assert_eq!((times.children_ns[0], times.self_ns[0]), (120 * MS, 10 * MS));
    }
}
