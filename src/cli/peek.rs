//! A look at sides that are still being read: what was folded so far, for findings that are marked provisional.

use super::engine::{Filtered, Profile, TraceSink};
use crate::model::{Pair, Side, Symbols, Trace, Warnings};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Traces of a side below which nothing can be said of it.
const LEAST: u64 = 200;

/// Where readers leave a copy when somebody asks for one.
#[derive(Debug, Default)]
pub struct Peek {
    wanted: Pair<AtomicBool>,
    slots: Mutex<Pair<Slot>>,
}

#[derive(Debug, Default)]
struct Slot {
    profile: Option<Profile>,
    /// Whether the side was read to its end: there will be no newer copy.
    done: bool,
}

impl Peek {
    /// Asks both sides for a copy.
    pub fn ask(&self) {
        for side in [Side::Before, Side::After] {
            self.wanted.get(side).store(true, Ordering::Relaxed);
        }
    }

    /// The copies, once both sides have left one and not both are at their end.
    pub fn take(&self) -> Option<Pair<Profile>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let both = slots.before.profile.is_some() && slots.after.profile.is_some();
        if !both || (slots.before.done && slots.after.done) {
            return None;
        }
        let mut copy = |side: Side| {
            let slot = slots.get_mut(side);
            if slot.done { slot.profile.clone() } else { slot.profile.take() }
        };
        Some(Pair::new(copy(Side::Before)?, copy(Side::After)?))
    }

    fn is_wanted(&self, side: Side) -> bool {
        self.wanted.get(side).load(Ordering::Relaxed)
    }

    fn leave(&self, side: Side, profile: Profile, done: bool) {
        self.wanted.get(side).store(false, Ordering::Relaxed);
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        *slots.get_mut(side) = Slot { profile: Some(profile), done };
    }
}

/// Folds the traces of a side, and leaves copies of what they come to so far.
pub struct Peeked<'a> {
    /// Where the traces go.
    pub sink: Filtered,
    /// Who may ask, and for which side.
    pub peek: Option<(&'a Peek, Side)>,
}

impl Peeked<'_> {
    /// Leaves a copy of all of the side.
    pub fn finish(self) -> Profile {
        let profile = self.sink.folder.finish();
        if let Some((peek, side)) = self.peek {
            peek.leave(side, profile.clone(), true);
        }
        profile
    }
}

impl TraceSink for Peeked<'_> {
    fn trace(&mut self, trace: &Trace, symbols: &Symbols, warnings: &Warnings) {
        self.sink.trace(trace, symbols, warnings);
        if let Some((peek, side)) = self.peek
            && peek.is_wanted(side)
            && self.sink.folder.traces() >= LEAST
        {
            peek.leave(side, self.sink.folder.so_far(), false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(traces: u64) -> Profile {
        let mut profile = Profile::default();
        profile.totals.traces = traces;
        profile
    }

    fn traces(pair: Option<Pair<Profile>>) -> Option<(u64, u64)> {
        pair.map(|pair| (pair.before.totals.traces, pair.after.totals.traces))
    }

    #[test]
    fn copies_are_taken_when_both_sides_left_one() {
        let peek = Peek::default();
        assert!(!peek.is_wanted(Side::Before));
        peek.ask();
        assert!(peek.is_wanted(Side::Before) && peek.is_wanted(Side::After));
        peek.leave(Side::Before, profile(3), false);
        assert!(!peek.is_wanted(Side::Before));
        assert_eq!(traces(peek.take()), None);
        peek.leave(Side::After, profile(5), true);
        assert_eq!(traces(peek.take()), Some((3, 5)));
        // The one that goes on has to leave a new copy; the one at its end has none.
        assert_eq!(traces(peek.take()), None);
        peek.leave(Side::Before, profile(4), false);
        assert_eq!(traces(peek.take()), Some((4, 5)));
        // When both are at their end, the whole comparison is under way.
        peek.leave(Side::Before, profile(9), true);
        assert_eq!(traces(peek.take()), None);
    }
}
