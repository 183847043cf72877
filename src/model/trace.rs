//! A trace as a flat list of spans in pre-order, and the store that holds what its spans refer to.
//!
//! Pre-order makes every subtree a range and every parent earlier than its children: bottom-up is a reverse loop,
//! top-down a forward loop, and depth never touches the machine's stack.

use super::attributes::{Attributes, Event, Link, Parts, events, field, links, status_message, trace_state};
use super::{Body, NO_PARENT, Operations, Span, SpanMarks, Symbol, Symbols, TraceId};
use std::collections::HashMap;
use std::sync::Arc;

/// Who produced spans: the OTLP resource.
#[derive(Clone, Copy, Debug)]
pub struct Resource {
    /// Service name, with its namespace before a slash if it has one; `unknown_service` if the sender gave none.
    pub service: Symbol,
    /// Its packed `Resource` message.
    pub body: Body,
}

/// Which instrumentation library produced spans: the OTLP scope.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Library name.
    pub name: Symbol,
    /// Library version.
    pub version: Symbol,
    /// Schema URL that the spans follow; empty if unknown.
    pub schema_url: Symbol,
    /// Its packed `InstrumentationScope` message.
    pub body: Body,
}

/// Spans in any order with all that they refer to.
#[derive(Clone, Debug, Default)]
pub struct SpanStore {
    /// The spans.
    pub spans: Vec<Span>,
    /// The resources, by index.
    pub resources: Vec<Resource>,
    /// The scopes, by index.
    pub scopes: Vec<Scope>,
    /// The packed bytes, by chunk index. `Arc<Vec>` and not `Arc<[u8]>`, which would copy what was read.
    pub chunks: Vec<Arc<Vec<u8>>>,
    /// The strings.
    pub symbols: Symbols,
}

impl SpanStore {
    /// The bytes of a packed message; empty for a body that is not of this store.
    pub fn bytes(&self, body: Body) -> &[u8] {
        let start = body.start as usize;
        self.chunks
            .get(body.chunk as usize)
            .and_then(|chunk| chunk.get(start..start.checked_add(body.len as usize)?))
            .unwrap_or_default()
    }

    /// The attributes of a span.
    pub fn attributes(&self, span: &Span) -> Attributes<'_> {
        Attributes::of_message(self.bytes(span.body), field::SPAN_ATTRIBUTES)
    }

    /// All that is packed in a span, in one walk.
    pub fn parts(&self, span: &Span) -> Parts<'_> {
        Parts::of_span(self.bytes(span.body))
    }

    /// The attributes of a span's resource.
    pub fn resource_attributes(&self, span: &Span) -> Attributes<'_> {
        let body = self.resources.get(span.resource as usize).map(|resource| resource.body).unwrap_or_default();
        Attributes::of_message(self.bytes(body), field::RESOURCE_ATTRIBUTES)
    }

    /// The events of a span.
    pub fn events(&self, span: &Span) -> impl Iterator<Item = Event<'_>> {
        events(self.bytes(span.body))
    }

    /// The links of a span.
    pub fn links(&self, span: &Span) -> impl Iterator<Item = Link<'_>> {
        links(self.bytes(span.body))
    }

    /// The status message of a span.
    pub fn status_message(&self, span: &Span) -> &str {
        status_message(self.bytes(span.body))
    }

    /// The W3C trace state of a span.
    pub fn trace_state(&self, span: &Span) -> &str {
        trace_state(self.bytes(span.body))
    }

    /// The display name of a span.
    pub fn name(&self, span: &Span) -> &str {
        self.symbols.get(span.name)
    }

    /// The service of a span.
    pub fn service(&self, span: &Span) -> &str {
        self.symbols.get(self.service_symbol(span))
    }

    /// The service of a span as a symbol.
    pub fn service_symbol(&self, span: &Span) -> Symbol {
        self.resources.get(span.resource as usize).map_or(Symbol::EMPTY, |resource| resource.service)
    }

    /// The scope of a span.
    pub fn scope(&self, span: &Span) -> Option<&Scope> {
        self.scopes.get(span.scope as usize)
    }
}

/// A link between spans, resolved where the other end is in the same trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkEdge {
    /// Index of the span that carries the link.
    pub from: u32,
    /// Index of the span it points to; `None` for a span of another trace or one that was not recorded.
    pub to: Option<u32>,
}

/// One trace, repaired: a forest in pre-order with children sorted by start, end and span id.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Its id.
    pub id: TraceId,
    /// The spans in pre-order, with what they refer to.
    pub store: SpanStore,
    /// For each span the index behind the last span of its subtree.
    pub subtree_end: Vec<u32>,
    /// Link edges in order of the spans that carry them.
    pub links: Vec<LinkEdge>,
    /// The operations that `Span::operation` counts in.
    pub operations: Operations,
    /// Spans that rules took out: no part of the trace, though what they refer to is in the store.
    pub taken_out: Vec<Span>,
}

impl Trace {
    /// Puts a store's spans into pre-order by their `parent` indices.
    ///
    /// Spans that no root reaches (a cycle that nobody broke) become roots at their earliest span, so that every
    /// span is there exactly once whatever came in.
    pub fn new(id: TraceId, mut store: SpanStore, operations: Operations) -> Trace {
        let mut order = preorder(&store.spans);
        let mut position = vec![NO_PARENT; store.spans.len()];
        for (new, &old) in order.iter().enumerate() {
            if let Some(slot) = position.get_mut(old as usize) {
                *slot = new as u32;
            }
        }
        permute(&mut store.spans, &mut order);
        drop(order);
        for (index, span) in store.spans.iter_mut().enumerate() {
            let parent = position.get(span.parent as usize).copied().unwrap_or(NO_PARENT);
            span.parent = if (parent as usize) < index { parent } else { NO_PARENT };
        }
        drop(position);
        let subtree_end = subtree_ends(&store.spans);
        let links = resolve_links(&store);
        Trace { id, store, subtree_end, links, operations, taken_out: Vec::new() }
    }

    /// The spans in pre-order.
    pub fn spans(&self) -> &[Span] {
        &self.store.spans
    }

    /// How many spans there are.
    pub fn len(&self) -> usize {
        self.store.spans.len()
    }

    /// Whether there is no span.
    pub fn is_empty(&self) -> bool {
        self.store.spans.is_empty()
    }

    /// The indices of a span's children, in order.
    pub fn children(&self, index: u32) -> Siblings<'_> {
        let end = self.subtree_end.get(index as usize).copied().unwrap_or(index + 1);
        Siblings { subtree_end: &self.subtree_end, next: index + 1, end }
    }

    /// The indices of the roots, in order: the first names the entry point.
    pub fn roots(&self) -> Siblings<'_> {
        Siblings { subtree_end: &self.subtree_end, next: 0, end: self.subtree_end.len() as u32 }
    }

    /// Whether a span's time counts inside its parent's: not for detached, orphaned and linked spans.
    pub fn is_timed_child(span: &Span) -> bool {
        span.marks.0 & (SpanMarks::DETACHED.0 | SpanMarks::ORPHAN.0 | SpanMarks::LINKED.0) == 0
    }
}

/// Iterates siblings in pre-order.
#[derive(Clone, Debug)]
pub struct Siblings<'a> {
    subtree_end: &'a [u32],
    next: u32,
    end: u32,
}

impl Iterator for Siblings<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        if self.next >= self.end {
            return None;
        }
        let index = self.next;
        self.next = self.subtree_end.get(index as usize).copied().unwrap_or(self.end).max(index + 1);
        Some(index)
    }
}

/// The order in which siblings stand: start, then longer first, then span id.
fn sibling_key(span: &Span) -> (u64, std::cmp::Reverse<u64>, u64, u8) {
    (span.start_ns, std::cmp::Reverse(span.end_ns), span.id.0, span.kind as u8)
}

fn preorder(spans: &[Span]) -> Vec<u32> {
    let mut by_start: Vec<u32> = (0..spans.len() as u32).collect();
    by_start.sort_unstable_by_key(|&index| spans.get(index as usize).map(sibling_key));
    // First child and next sibling, filled from the last sibling to the first.
    let mut first_child = vec![NO_PARENT; spans.len()];
    let mut next_sibling = vec![NO_PARENT; spans.len()];
    let mut roots = Vec::new();
    for &index in by_start.iter().rev() {
        let parent = spans.get(index as usize).map_or(NO_PARENT, |span| span.parent);
        match first_child.get_mut(parent as usize) {
            Some(head) if parent != index => {
                if let Some(next) = next_sibling.get_mut(index as usize) {
                    *next = *head;
                }
                *head = index;
            }
            _ => roots.push(index),
        }
    }
    let mut order = Vec::with_capacity(spans.len());
    let mut seen = vec![false; spans.len()];
    let mut stack = Vec::new();
    // After the real roots, whatever no root reached, earliest first.
    for index in roots.into_iter().rev().chain(by_start) {
        stack.push(index);
        while let Some(index) = stack.pop() {
            let Some(slot) = seen.get_mut(index as usize) else { continue };
            if std::mem::replace(slot, true) {
                continue;
            }
            order.push(index);
            let from = stack.len();
            let mut child = first_child.get(index as usize).copied().unwrap_or(NO_PARENT);
            while child != NO_PARENT {
                stack.push(child);
                child = next_sibling.get(child as usize).copied().unwrap_or(NO_PARENT);
            }
            if let Some(children) = stack.get_mut(from..) {
                children.reverse();
            }
        }
    }
    order
}

/// Puts `spans[order[i]]` at `i` for every `i`, along the cycles of the permutation: a second list of all spans would
/// be the largest thing in memory. `order` is used up.
#[allow(clippy::indexing_slicing, reason = "order is a permutation of the indices of spans")]
fn permute(spans: &mut [Span], order: &mut [u32]) {
    for start in 0..order.len() {
        let (first, mut at) = (spans[start], start);
        loop {
            let from = order[at] as usize;
            order[at] = at as u32;
            if from == start || from == at {
                break;
            }
            spans[at] = spans[from];
            at = from;
        }
        spans[at] = first;
    }
}

fn subtree_ends(spans: &[Span]) -> Vec<u32> {
    let mut ends: Vec<u32> = (1..=spans.len() as u32).collect();
    for (index, span) in spans.iter().enumerate().rev() {
        let end = ends.get(index).copied().unwrap_or_default();
        if let Some(parent_end) = ends.get_mut(span.parent as usize) {
            *parent_end = (*parent_end).max(end);
        }
    }
    ends
}

fn resolve_links(store: &SpanStore) -> Vec<LinkEdge> {
    let mut edges = Vec::new();
    let mut by_id: Option<HashMap<u64, u32, foldhash::fast::RandomState>> = None;
    for (from, span) in store.spans.iter().enumerate() {
        for link in store.links(span) {
            let to = link.span_id.filter(|_| link.trace_id == Some(span.trace_id)).and_then(|id| {
                let table = by_id.get_or_insert_with(|| {
                    store.spans.iter().enumerate().rev().map(|(index, span)| (span.id.0, index as u32)).collect()
                });
                table.get(&id.0).copied()
            });
            edges.push(LinkEdge { from: from as u32, to });
        }
    }
    edges
}
