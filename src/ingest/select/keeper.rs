//! Collects the spans of one trace from many batches into one store.
//!
//! A batch's bytes are adopted as they are when at least half of them are wanted; otherwise the wanted messages are
//! copied out, so that a trace picked from a large file holds at most twice its own bytes. Resources and scopes are
//! the same if their bytes are the same, however many frames repeat them.

use crate::ingest::Batch;
use crate::model::{Body, Limits, Resource, Scope, Span, SpanStore, Symbol, Symbols, TraceId, Warning, Warnings};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

/// Copied messages are collected in chunks of this size.
const CHUNK_BYTES: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Keeper {
    store: SpanStore,
    /// The chunk that copied messages go to; it joins the store when it is full.
    copies: Option<Vec<u8>>,
    resources: Table,
    scopes: Table,
    /// Spans beyond `limits.trace_spans`.
    pub over_limit: u64,
    pub warnings: Warnings,
}

/// Indices by a hash of the content. Equal hashes of different contents move on to the next free number.
#[derive(Debug, Default)]
struct Table {
    by_hash: HashMap<u64, u32, foldhash::fast::RandomState>,
}

impl Table {
    /// The index that `same` accepts for this content, or the place where a new one is to be put.
    fn find(&self, content: impl Hash, same: impl Fn(u32) -> bool) -> Result<u32, u64> {
        let mut hash = self.by_hash.hasher().hash_one(content);
        while let Some(&index) = self.by_hash.get(&hash) {
            if same(index) {
                return Ok(index);
            }
            hash = hash.wrapping_add(1);
        }
        Err(hash)
    }
}

/// Where the messages of the batch at hand go.
enum Home<'b> {
    /// The batch's bytes become this chunk.
    Adopted(u32),
    /// They are copied out of these bytes.
    Copied(&'b [u8]),
}

impl Keeper {
    /// Keeps the spans of trace `id`.
    pub fn keep(&mut self, mut batch: Batch, id: TraceId, limits: &Limits) {
        let all = batch.spans.len();
        batch.spans.retain(|span| span.trace_id == id);
        let room = (limits.trace_spans as usize).saturating_sub(self.store.spans.len());
        self.over_limit += batch.spans.len().saturating_sub(room) as u64;
        batch.spans.truncate(room);
        if batch.spans.is_empty() {
            return;
        }
        let wanted: usize = batch.spans.iter().map(|span| span.body.len as usize).sum();
        if batch.spans.len() == all || wanted >= batch.bytes.len() / 2 {
            self.close_copies();
            let mut bytes = std::mem::take(&mut batch.bytes);
            if bytes.capacity() - bytes.len() > bytes.len() / 8 {
                bytes.shrink_to_fit();
            }
            let chunk = self.store.chunks.len() as u32;
            self.store.chunks.push(Arc::new(bytes));
            self.add(&mut batch, &Home::Adopted(chunk), limits);
        } else {
            let bytes = std::mem::take(&mut batch.bytes);
            self.add(&mut batch, &Home::Copied(&bytes), limits);
        }
    }

    /// The store with everything that was kept.
    pub fn finish(mut self, symbols: Symbols) -> SpanStore {
        self.close_copies();
        self.store.spans.shrink_to_fit();
        self.store.symbols = symbols;
        self.store
    }

    fn close_copies(&mut self) {
        if let Some(mut copies) = self.copies.take() {
            copies.shrink_to_fit();
            self.store.chunks.push(Arc::new(copies));
        }
    }

    fn add(&mut self, batch: &mut Batch, home: &Home<'_>, limits: &Limits) {
        let mut resources = vec![None; batch.resources.len()];
        let mut scopes = vec![None; batch.scopes.len()];
        for span in &mut batch.spans {
            span.resource = renumber(&mut resources, &batch.resources, span.resource, |resource| {
                self.resource(resource, home, limits)
            });
            span.scope = renumber(&mut scopes, &batch.scopes, span.scope, |scope| self.scope(scope, home, limits));
            span.body = self.place(span.body, home);
        }
        if self.store.spans.is_empty() {
            self.store.spans = std::mem::take(&mut batch.spans);
        } else {
            self.reserve(batch.spans.len());
            self.store.spans.append(&mut batch.spans);
        }
    }

    /// Grows by a quarter instead of doubling: large traces are what fills the memory.
    fn reserve(&mut self, more: usize) {
        let spans: &mut Vec<Span> = &mut self.store.spans;
        if spans.capacity() - spans.len() < more {
            spans.reserve_exact(more.max(spans.len() / 4));
        }
    }

    fn place(&mut self, body: Body, home: &Home<'_>) -> Body {
        match home {
            Home::Adopted(chunk) => Body { chunk: *chunk, ..body },
            Home::Copied(bytes) => {
                let message = slice(bytes, body);
                if self.copies.as_ref().is_some_and(|copies| copies.len() + message.len() > CHUNK_BYTES) {
                    self.close_copies();
                }
                let chunk = self.store.chunks.len() as u32;
                let copies = self.copies.get_or_insert_default();
                let start = copies.len() as u32;
                copies.extend_from_slice(message);
                Body { chunk, start, len: body.len }
            }
        }
    }

    fn message<'s>(&'s self, body: Body, home: &Home<'s>) -> &'s [u8] {
        match home {
            Home::Adopted(chunk) => self.store.bytes(Body { chunk: *chunk, ..body }),
            Home::Copied(bytes) => slice(bytes, body),
        }
    }

    /// The bytes of a message that was kept.
    fn kept(&self, body: Body) -> &[u8] {
        match &self.copies {
            Some(copies) if body.chunk as usize == self.store.chunks.len() => slice(copies, body),
            _ => self.store.bytes(body),
        }
    }

    fn resource(&mut self, resource: &Resource, home: &Home<'_>, limits: &Limits) -> u32 {
        let message = self.message(resource.body, home);
        let known =
            |index: u32| self.store.resources.get(index as usize).is_some_and(|known| self.kept(known.body) == message);
        let hash = match self.resources.find(message, known) {
            Ok(index) => return index,
            Err(hash) => hash,
        };
        if self.store.resources.len() as u64 >= limits.resources {
            self.warnings.add_with(Warning::LimitReached, || "resources".to_owned());
            return u32::MAX;
        }
        let body = self.place(resource.body, home);
        let index = self.store.resources.len() as u32;
        self.store.resources.push(Resource { service: resource.service, body });
        self.resources.by_hash.insert(hash, index);
        index
    }

    fn scope(&mut self, scope: &Scope, home: &Home<'_>, limits: &Limits) -> u32 {
        let message = self.message(scope.body, home);
        let same = |known: &Scope| scope_names(known) == scope_names(scope) && self.kept(known.body) == message;
        let known = |index: u32| self.store.scopes.get(index as usize).is_some_and(same);
        let hash = match self.scopes.find((message, scope_names(scope)), known) {
            Ok(index) => return index,
            Err(hash) => hash,
        };
        if self.store.scopes.len() as u64 >= limits.resources {
            self.warnings.add_with(Warning::LimitReached, || "scopes".to_owned());
            return u32::MAX;
        }
        let body = self.place(scope.body, home);
        let index = self.store.scopes.len() as u32;
        self.store.scopes.push(Scope { body, ..*scope });
        self.scopes.by_hash.insert(hash, index);
        index
    }
}

const fn scope_names(scope: &Scope) -> (Symbol, Symbol, Symbol) {
    (scope.name, scope.version, scope.schema_url)
}

/// The new number of what had number `old` in its batch.
fn renumber<T>(known: &mut [Option<u32>], items: &[T], old: u32, mut add: impl FnMut(&T) -> u32) -> u32 {
    match (known.get_mut(old as usize), items.get(old as usize)) {
        (Some(Some(new)), _) => *new,
        (Some(slot), Some(item)) => *slot.insert(add(item)),
        _ => u32::MAX,
    }
}

fn slice(bytes: &[u8], body: Body) -> &[u8] {
    let start = body.start as usize;
    bytes.get(start..start + body.len as usize).unwrap_or_default()
}
