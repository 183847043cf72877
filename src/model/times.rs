//! Self time, edges and the critical path of one trace, each exact in nanoseconds.

use super::{Kind, NO_PARENT, Span, Trace};

/// The times of one trace, by span index.
#[derive(Debug, Default)]
pub struct Times {
    /// Duration minus the union of the children's intervals.
    pub self_ns: Vec<u64>,
    /// Nanoseconds of the entry point's critical path that are this span's own.
    pub critical_ns: Vec<u64>,
    /// Whether the span is a client span with exactly one server span below: its self time is the edge to that
    /// server (network and queue), and is charged to the server's operation.
    pub is_edge: Vec<bool>,
}

impl Times {
    /// Measures a trace.
    pub fn new(trace: &Trace) -> Times {
        let mut times = Times {
            self_ns: Vec::with_capacity(trace.len()),
            critical_ns: critical_path(trace),
            is_edge: Vec::with_capacity(trace.len()),
        };
        for (index, span) in trace.spans().iter().enumerate() {
            times.self_ns.push(self_time(trace, index as u32, span));
            times.is_edge.push(is_edge(trace, index as u32, span));
        }
        times
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

fn self_time(trace: &Trace, index: u32, span: &Span) -> u64 {
    let (mut covered, mut until) = (0, span.start_ns);
    for (_, start, end) in child_intervals(trace, index, span.start_ns, span.end_ns) {
        let start = start.max(until);
        if end > start {
            covered += end - start;
            until = end;
        }
    }
    span.duration_ns() - covered
}

fn is_edge(trace: &Trace, index: u32, span: &Span) -> bool {
    if span.kind != Kind::Client {
        return false;
    }
    let mut children = trace.children(index).filter_map(|child| trace.spans().get(child as usize));
    let first = children.next();
    children.next().is_none() && first.is_some_and(|child| child.kind == Kind::Server && is_waited_for(span, child))
}

/// One span whose sections are being laid out, from its end towards its start.
struct Frame {
    span: u32,
    from: u64,
    cursor: u64,
    /// Children still to be looked at, the last-ending one at the end of the list.
    children: Vec<(u32, u64, u64)>,
}

impl Frame {
    fn new(trace: &Trace, span: u32, from: u64, to: u64) -> Frame {
        let mut children: Vec<_> = child_intervals(trace, span, from, to).collect();
        let id = |child: u32| trace.spans().get(child as usize).map_or(0, |span| span.id.0);
        children.sort_unstable_by_key(|&(child, start, end)| (end, start, std::cmp::Reverse(id(child))));
        Frame { span, from, cursor: to, children }
    }
}

/// Tiles the first root: from its end backwards always the child that ends last before the cursor. The sections are
/// contiguous, so their sum is the root's duration exactly. An explicit stack, since depth comes from the input.
fn critical_path(trace: &Trace) -> Vec<u64> {
    let mut own = vec![0u64; trace.len()];
    let Some(root) = trace.spans().first() else { return own };
    let mut stack = vec![Frame::new(trace, 0, root.start_ns, root.end_ns.max(root.start_ns))];
    while let Some(frame) = stack.last_mut() {
        let Some(slot) = own.get_mut(frame.span as usize) else { break };
        let Some((child, start, end)) = frame.children.pop() else {
            *slot += frame.cursor - frame.from;
            stack.pop();
            continue;
        };
        if end <= frame.cursor {
            *slot += frame.cursor - end;
            frame.cursor = start;
            stack.push(Frame::new(trace, child, start, end));
        }
    }
    own
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
}
