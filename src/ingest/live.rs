//! Spans of a stream become traces: nobody says when a trace is complete, so the clock does.
//!
//! A trace is closed when nothing came for it for a while ([`Timing::idle_ns`]), sooner once its root has come
//! ([`Timing::root_grace_ns`]), and in any case after [`Timing::longest_ns`]. Beside one service no root ever comes: those
//! traces are closed by the idle timeout and are whole in their way (see `assemble`). Time is the receiver's own, given
//! with every call: no timestamp of a span moves it.
//!
//! What came again is used once, as senders may repeat a request whose answer was lost: within an open trace by the ids
//! of its spans, and after that by a bounded memory of what was closed ([`Memory`]). Only what is new is late.
//!
//! Every step costs time by what came, never by what is open: open traces hang in chains ordered by when they were
//! touched last and by when they began, so that whose time is over, or who must go for want of memory, is at their heads.

mod chain;
mod memory;

use super::assemble::assemble;
use super::gather::{Open, Run, Split, spans_of};
use super::identity::{Identifier, Ruled};
use super::{Batch, Rules};
use crate::model::{Limits, Symbol, Symbols, Trace, TraceId, Warning, Warnings};
use chain::Chain;
pub use memory::Memory;
use std::collections::{BTreeMap, HashMap};

/// What an open trace takes besides its spans, roughly, in bytes.
const OPEN_TRACE_BYTES: u64 = 512;
/// The memory of closed traces takes this part of the bytes of open ones.
const MEMORY_SHARE: u64 = 16;

/// When a trace is complete, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// After so long without a span.
    pub idle_ns: u64,
    /// The same once a root has come.
    pub root_grace_ns: u64,
    /// After so long whatever still comes.
    pub longest_ns: u64,
}

impl Default for Timing {
    /// SDKs export every 5 s: a trace whose root is there waits for one export more, any other for three.
    fn default() -> Timing {
        const SECOND: u64 = 1_000_000_000;
        Timing { idle_ns: 15 * SECOND, root_grace_ns: 7 * SECOND, longest_ns: 300 * SECOND }
    }
}

/// A trace that was closed.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'t> {
    /// The trace, assembled and identified; its own table of symbols is empty.
    pub trace: &'t Trace,
    /// Its symbols.
    pub symbols: &'t Symbols,
    /// What assembling it counted.
    pub warnings: &'t Warnings,
    /// What was given with its first span.
    pub tag: u64,
    /// Whether a span came that has no parent.
    pub has_root: bool,
    /// Whether it had to go early for want of memory.
    pub evicted: bool,
    /// What rules took out of it.
    pub ruled: Ruled,
}

/// Takes traces as they are closed.
pub trait EndedSink {
    /// Takes one.
    fn ended(&mut self, ended: Ended<'_>);
}

/// What became of spans that were not added to a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// They came after their trace was closed.
    pub late: u64,
    /// They had come before, in a trace that is closed since.
    pub duplicate: u64,
    /// Their trace has as many spans as it may.
    pub over_limit: u64,
}

/// Closed traces whose memory waits for others, and the bytes of one of them at most: 16 MiB in all.
const SPARES: usize = 128;
const SPARE_BYTES: u64 = 128 << 10;

/// An open trace.
#[derive(Debug, Default)]
struct Slot {
    id: TraceId,
    open: Open,
    tag: u64,
    born_ns: u64,
    touched_ns: u64,
    has_root: bool,
    /// Bytes that were counted for it.
    held: u64,
}

/// Puts the spans of a stream together to traces.
#[derive(Debug)]
pub struct Live<'r> {
    identifier: Identifier<'r>,
    rules: &'r Rules,
    limits: Limits,
    timing: Timing,
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_id: HashMap<TraceId, u32, foldhash::fast::RandomState>,
    /// Slots without a root, and those with one, by when they were touched last.
    unrooted: Chain,
    rooted: Chain,
    /// All open slots by when they began.
    births: Chain,
    /// Open traces by tag.
    tags: BTreeMap<u64, u64>,
    held: u64,
    closed: Memory,
    split: Split,
    /// Memory of traces that were closed, for those that begin.
    spare: Vec<Open>,
}

impl<'r> Live<'r> {
    /// Nothing is open. `limits.open_bytes` bounds what open traces take, roughly; `limits.trace_spans` a trace.
    pub fn new(timing: Timing, rules: &'r Rules, limits: &Limits) -> Live<'r> {
        Live {
            identifier: Identifier::new(rules),
            rules,
            limits: *limits,
            timing,
            slots: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::default(),
            unrooted: Chain::default(),
            rooted: Chain::default(),
            births: Chain::default(),
            tags: BTreeMap::new(),
            held: 0,
            closed: Memory::new(limits.open_bytes / MEMORY_SHARE),
            split: Split::default(),
            spare: Vec::new(),
        }
    }

    /// How many traces are open.
    pub fn open(&self) -> usize {
        self.by_id.len()
    }

    /// Bytes that open traces and the memory of closed ones take, roughly.
    pub fn bytes(&self) -> u64 {
        self.held + self.closed.bytes()
    }

    /// The smallest tag of an open trace.
    pub fn earliest_tag(&self) -> Option<u64> {
        self.tags.keys().next().copied()
    }

    /// Adds the spans of a batch at `now_ns`, which never goes back. Traces that begin with it get `tag`.
    pub fn batch(
        &mut self,
        mut batch: Batch,
        symbols: &Symbols,
        (now_ns, tag): (u64, u64),
        sink: &mut dyn EndedSink,
    ) -> Refused {
        let mut refused = Refused::default();
        self.split.divide(&batch);
        let bytes = std::mem::take(&mut batch.bytes);
        let runs = std::mem::take(&mut self.split.runs);
        for runs in runs.chunk_by(|a, b| a.0 == b.0) {
            self.part(runs, (&batch, &bytes), (now_ns, tag), &mut refused);
            self.evict(symbols, sink);
        }
        self.split.runs = runs;
        refused
    }

    /// Closes the traces whose time is over.
    pub fn tick(&mut self, symbols: &Symbols, now_ns: u64, sink: &mut dyn EndedSink) {
        let Timing { idle_ns, root_grace_ns, longest_ns } = self.timing;
        while let Some(slot) = self.over(&self.births, |slot| slot.born_ns, longest_ns, now_ns) {
            self.close(slot, false, symbols, sink);
        }
        while let Some(slot) = self.over(&self.rooted, |slot| slot.touched_ns, root_grace_ns, now_ns) {
            self.close(slot, false, symbols, sink);
        }
        while let Some(slot) = self.over(&self.unrooted, |slot| slot.touched_ns, idle_ns, now_ns) {
            self.close(slot, false, symbols, sink);
        }
    }

    /// Closes all that is open, oldest first.
    pub fn finish(&mut self, symbols: &Symbols, sink: &mut dyn EndedSink) {
        while let Some(slot) = self.births.head() {
            self.close(slot, false, symbols, sink);
        }
    }

    /// A new table of symbols that holds only what open traces need, which speak in its numbers from now on: tables only
    /// grow, and names come from strangers.
    pub fn renew(&mut self, old: &Symbols) -> Symbols {
        let mut new = Symbols::default();
        let mut numbers: HashMap<Symbol, Symbol, foldhash::fast::RandomState> = HashMap::default();
        let mut renumber = |symbol: &mut Symbol| {
            *symbol = *numbers.entry(*symbol).or_insert_with(|| new.intern(old.get(*symbol)));
        };
        for slot in &mut self.slots {
            slot.open.spans.iter_mut().for_each(|span| renumber(&mut span.name));
            slot.open.resources.iter_mut().for_each(|resource| renumber(&mut resource.service));
        }
        // What it remembers goes by the old numbers.
        self.identifier = Identifier::new(self.rules);
        new
    }

    /// The first of a chain, if its time is over.
    fn over(&self, chain: &Chain, since: impl Fn(&Slot) -> u64, after_ns: u64, now_ns: u64) -> Option<u32> {
        let head = chain.head()?;
        let slot = self.slots.get(head as usize)?;
        (since(slot).saturating_add(after_ns) <= now_ns).then_some(head)
    }

    /// Takes the spans of one trace of a batch.
    fn part(
        &mut self,
        runs: &[Run],
        (batch, bytes): (&Batch, &[u8]),
        (now_ns, tag): (u64, u64),
        refused: &mut Refused,
    ) {
        let Some(&(number, ..)) = runs.first() else { return };
        let Some(&id) = self.split.ids.get(number as usize) else { return };
        let known = self.by_id.get(&id).copied();
        if known.is_none()
            && let Some(seen) = self.closed.find(id)
        {
            for span in spans_of(runs, batch) {
                *(if seen.has(span.id) { &mut refused.duplicate } else { &mut refused.late }) += 1;
            }
            return;
        }
        let at = known.unwrap_or_else(|| self.begin(id, now_ns, tag));
        let Some(slot) = self.slots.get_mut(at as usize) else { return };
        let (came, size) = spans_of(runs, batch).fold((0, 0), |(n, size), span| (n + 1, size + span.body.len as usize));
        slot.open.spans.reserve(came);
        slot.open.bytes.reserve(size);
        let had_root = slot.has_root;
        for span in spans_of(runs, batch) {
            slot.has_root |= span.parent_id.is_none();
            if !slot.open.add(number, span, (batch, bytes), &mut self.split, &self.limits) {
                refused.over_limit += 1;
            }
        }
        slot.touched_ns = now_ns;
        let held = slot.open.held() + OPEN_TRACE_BYTES;
        self.held = self.held.saturating_sub(slot.held) + held;
        slot.held = held;
        let has_root = slot.has_root;
        (if had_root { &mut self.rooted } else { &mut self.unrooted }).remove(at);
        (if has_root { &mut self.rooted } else { &mut self.unrooted }).push(at);
    }

    /// Opens a trace.
    fn begin(&mut self, id: TraceId, now_ns: u64, tag: u64) -> u32 {
        let open = self.spare.pop().unwrap_or_default();
        let held = OPEN_TRACE_BYTES;
        let slot = Slot { id, open, tag, born_ns: now_ns, touched_ns: now_ns, held, ..Slot::default() };
        self.held += slot.held;
        let at = self.free.pop().unwrap_or(self.slots.len() as u32);
        match self.slots.get_mut(at as usize) {
            Some(free) => *free = slot,
            None => self.slots.push(slot),
        }
        self.by_id.insert(id, at);
        self.births.push(at);
        self.unrooted.push(at);
        *self.tags.entry(tag).or_default() += 1;
        at
    }

    /// Closes the traces that were idle longest, until the rest has room.
    fn evict(&mut self, symbols: &Symbols, sink: &mut dyn EndedSink) {
        while self.held > self.limits.open_bytes {
            let touched = |at: &u32| self.slots.get(*at as usize).map(|slot| slot.touched_ns);
            let heads = [self.unrooted.head(), self.rooted.head()];
            let Some(oldest) = heads.into_iter().flatten().min_by_key(touched) else { return };
            self.close(oldest, true, symbols, sink);
        }
    }

    fn close(&mut self, at: u32, evicted: bool, symbols: &Symbols, sink: &mut dyn EndedSink) {
        self.births.remove(at);
        let Some(slot) = self.slots.get_mut(at as usize).map(std::mem::take) else { return };
        (if slot.has_root { &mut self.rooted } else { &mut self.unrooted }).remove(at);
        self.free.push(at);
        self.by_id.remove(&slot.id);
        self.held = self.held.saturating_sub(slot.held);
        if let Some(open) = self.tags.get_mut(&slot.tag) {
            *open -= 1;
            if *open == 0 {
                self.tags.remove(&slot.tag);
            }
        }
        self.closed.remember(slot.id, slot.open.spans.iter().map(|span| span.id));
        let mut warnings = Warnings::default();
        if evicted {
            warnings.add_with(Warning::EvictedTrace, || format!("trace {}", slot.id));
        }
        let Slot { id, open, tag, has_root, .. } = slot;
        let mut trace = assemble(open.into_store(), id, &mut warnings);
        let ruled = self.identifier.identify(&mut trace, symbols);
        sink.ended(Ended { trace: &trace, symbols, warnings: &warnings, tag, has_root, evicted, ruled });
        self.identifier.take_back(&mut trace);
        let used = Open::of_used(&mut trace.store);
        if self.spare.len() < SPARES && used.held() <= SPARE_BYTES {
            self.spare.push(used);
        }
    }
}
