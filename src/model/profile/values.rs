//! How often which value occurs, capped: of too many values those with the smallest hashes are kept, with exact
//! counts, whatever the order in which they came.

use super::stable_hash;
use crate::model::Symbol;
use std::collections::BTreeMap;

/// Values kept of one key.
pub const MAX_VALUES: usize = 16;
/// Keys kept at one path.
pub const MAX_KEYS: usize = 128;

/// One value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueCount {
    /// [`stable_hash`] of its text: what decides which values are kept.
    pub hash: u64,
    /// Its text.
    pub value: Symbol,
    /// Its mass, in units of 2⁻³².
    pub mass: u128,
}

/// The values of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyCounts {
    /// Mass of all values, kept or not.
    pub mass: u128,
    /// Kept values in order of their hashes.
    values: Vec<ValueCount>,
    /// Whether there were more values than are kept.
    pub more: bool,
}

impl KeyCounts {
    /// The kept values, in order of their hashes.
    pub fn values(&self) -> &[ValueCount] {
        &self.values
    }

    pub(super) fn symbols_mut(&mut self, visit: &mut impl FnMut(&mut Symbol)) {
        self.values.iter_mut().for_each(|count| visit(&mut count.value));
    }

    /// Adds mass to the value whose text has this hash; its symbol is asked for only when it is to be kept.
    #[inline]
    pub fn add(&mut self, hash: u64, mass: u128, symbol: impl FnOnce() -> Symbol) {
        self.mass += mass;
        self.keep(hash, mass, symbol);
    }

    fn keep(&mut self, hash: u64, mass: u128, symbol: impl FnOnce() -> Symbol) {
        match self.values.binary_search_by_key(&hash, |count| count.hash) {
            Ok(at) => {
                if let Some(count) = self.values.get_mut(at) {
                    count.mass += mass;
                }
            }
            Err(at) if at < MAX_VALUES => {
                self.values.insert(at, ValueCount { hash, value: symbol(), mass });
                if self.values.len() > MAX_VALUES {
                    self.values.truncate(MAX_VALUES);
                    self.more = true;
                }
            }
            Err(_) => self.more = true,
        }
    }

    /// Adds other counts, whose strings are translated.
    pub fn merge(&mut self, other: &KeyCounts, strings: &impl Fn(Symbol) -> Symbol) {
        self.mass += other.mass;
        self.more |= other.more;
        for count in &other.values {
            self.keep(count.hash, count.mass, || strings(count.value));
        }
    }

    /// Counts as they were written.
    pub fn from_parts(mass: u128, values: Vec<ValueCount>, more: bool) -> KeyCounts {
        let mut counts = KeyCounts { mass, values: Vec::new(), more };
        for value in values {
            counts.keep(value.hash, value.mass, || value.value);
        }
        counts
    }
}

/// The values of all keys of a path. Of too many keys those with the smallest hashes are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueCounts {
    /// By hash of the key's text.
    keys: BTreeMap<u64, (Symbol, KeyCounts)>,
    /// Whether there were more keys than are kept.
    pub more: bool,
}

impl ValueCounts {
    /// The counts of a key, which is created if there is room for it by its hash ([`stable_hash`] of its text).
    #[inline]
    pub fn key_mut(&mut self, hash: u64, key: Symbol) -> Option<&mut KeyCounts> {
        if !self.keys.contains_key(&hash) {
            if self.keys.len() >= MAX_KEYS {
                self.more = true;
                if self.keys.last_key_value().is_some_and(|(&last, _)| hash > last) {
                    return None;
                }
                self.keys.pop_last();
            }
            self.keys.insert(hash, (key, KeyCounts::default()));
        }
        self.keys.get_mut(&hash).map(|(_, counts)| counts)
    }

    /// Keys with their counts, in order of the keys' hashes.
    pub fn iter(&self) -> impl Iterator<Item = (Symbol, &KeyCounts)> {
        self.keys.values().map(|(key, counts)| (*key, counts))
    }

    pub(super) fn symbols_mut(&mut self, visit: &mut impl FnMut(&mut Symbol)) {
        for (key, counts) in self.keys.values_mut() {
            visit(key);
            counts.symbols_mut(visit);
        }
    }

    /// The counts of a key by its text.
    pub fn get(&self, key: &str) -> Option<&KeyCounts> {
        self.keys.get(&stable_hash(key.as_bytes())).map(|(_, counts)| counts)
    }

    /// Adds other counts, whose strings are translated.
    pub fn merge(&mut self, other: &ValueCounts, strings: &impl Fn(Symbol) -> Symbol) {
        self.more |= other.more;
        for (&hash, (key, counts)) in &other.keys {
            if let Some(mine) = self.key_mut(hash, strings(*key)) {
                mine.merge(counts, strings);
            }
        }
    }

    /// How many keys are kept.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_hashes_are_kept_in_any_order() {
        let fill = |numbers: &mut dyn Iterator<Item = u64>| {
            let mut counts = KeyCounts::default();
            for number in numbers {
                let hash = stable_hash(&(number % 40).to_le_bytes());
                counts.add(hash, 1, || Symbol((number % 40) as u32));
            }
            counts
        };
        let forward = fill(&mut (0..1_000));
        assert_eq!(forward, fill(&mut (0..1_000).rev()));
        let mut merged = fill(&mut (700..1_000));
        merged.merge(&fill(&mut (0..700)), &|symbol| symbol);
        assert_eq!(forward, merged);
        assert_eq!((forward.values().len(), forward.mass, forward.more), (MAX_VALUES, 1_000, true));
        assert!(forward.values().iter().all(|count| count.mass == 25));
    }
}
