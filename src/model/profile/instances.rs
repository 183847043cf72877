//! The instances that spans speak of: databases, hosts, queues, tenants, and for servers the process itself.

use super::stable_hash;
use crate::model::{Symbol, Symbols};
use std::collections::BTreeMap;

/// Instances kept of one key at one path.
pub const MAX_INSTANCES: usize = 4_096;
/// Attributes remembered of one instance.
pub const MAX_SHARED: usize = 24;

/// One instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// Its name: the values of the key's attributes, joined by `/`.
    pub name: Symbol,
    /// Spans, each counted once whatever its weight.
    pub spans: u64,
    /// Spans that failed by themselves.
    pub failed: u64,
    /// Weight of the traces that called it, in units of 2⁻³².
    pub weight: u128,
    /// Weighted sum of the bins of the spans' self or edge times (each span 1/k of its trace): their mean is a mean of
    /// logarithms, in 1/32 octaves.
    pub bins: u128,
    /// Earliest start of a span, nanoseconds since 1970.
    pub first_ns: u64,
    /// Latest start of a span.
    pub last_ns: u64,
    /// Latest start of a span that did not fail; 0 for none.
    pub last_good_ns: u64,
    /// What is the same for all its spans, by the hash of the key: `None` for a key with several values.
    pub shared: BTreeMap<u64, (Symbol, Option<Symbol>)>,
}

impl Instance {
    /// An instance without any span.
    pub fn new(name: Symbol) -> Instance {
        Instance { name, first_ns: u64::MAX, ..Instance::default() }
    }

    /// Remembers an attribute of a span; `hash` is that of the key's text.
    pub fn share(&mut self, hash: u64, key: Symbol, value: Option<Symbol>) {
        if let Some((_, held)) = self.shared.get_mut(&hash) {
            if *held != value {
                *held = None;
            }
            return;
        }
        if self.shared.len() >= MAX_SHARED {
            if self.shared.last_key_value().is_some_and(|(&last, _)| hash > last) {
                return;
            }
            self.shared.pop_last();
        }
        self.shared.insert(hash, (key, value));
    }

    /// Remembers an attribute of a span by its text, which is stored only when it is the first of its key.
    #[inline]
    pub fn share_text(&mut self, hash: u64, key: Symbol, text: &[u8], strings: &mut Symbols) {
        if let Some((_, held)) = self.shared.get_mut(&hash) {
            if held.is_some_and(|held| strings.get(held).as_bytes() != text) {
                *held = None;
            }
            return;
        }
        let has_room =
            self.shared.len() < MAX_SHARED || self.shared.last_key_value().is_some_and(|(&last, _)| hash < last);
        if has_room {
            let value = strings.intern(std::str::from_utf8(text).unwrap_or_default());
            self.share(hash, key, Some(value));
        }
    }

    fn merge(&mut self, other: &Instance, strings: &impl Fn(Symbol) -> Symbol) {
        self.spans += other.spans;
        self.failed += other.failed;
        self.weight += other.weight;
        self.bins += other.bins;
        self.first_ns = self.first_ns.min(other.first_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
        self.last_good_ns = self.last_good_ns.max(other.last_good_ns);
        for (&hash, (key, value)) in &other.shared {
            self.share(hash, strings(*key), value.map(strings));
        }
    }
}

/// All instances of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceKey {
    /// Kept instances by the hash of their names.
    by_hash: BTreeMap<u64, Instance>,
    /// Whether there were more than are kept.
    pub more: bool,
}

impl InstanceKey {
    /// The instance of this name, which is created if there is room for it by its hash.
    #[inline]
    pub fn instance_mut(&mut self, hash: u64, name: impl FnOnce() -> Symbol) -> Option<&mut Instance> {
        if !self.by_hash.contains_key(&hash) {
            if self.by_hash.len() >= MAX_INSTANCES {
                self.more = true;
                if self.by_hash.last_key_value().is_some_and(|(&last, _)| hash > last) {
                    return None;
                }
                self.by_hash.pop_last();
            }
            self.by_hash.insert(hash, Instance::new(name()));
        }
        self.by_hash.get_mut(&hash)
    }

    /// The kept instances with the hashes of their names, in order of the hashes.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Instance)> {
        self.by_hash.iter().map(|(&hash, instance)| (hash, instance))
    }

    /// The instance whose name has this hash.
    pub fn get(&self, hash: u64) -> Option<&Instance> {
        self.by_hash.get(&hash)
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }
}

/// The instances of a path by their key. A key of several attributes is their names joined by `/`, for example
/// `server.address/db.namespace`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instances {
    keys: BTreeMap<u64, (Symbol, InstanceKey)>,
}

impl Instances {
    /// The instances of a key; `hash` is [`stable_hash`] of its text.
    #[inline]
    pub fn key_mut(&mut self, hash: u64, key: impl FnOnce() -> Symbol) -> &mut InstanceKey {
        &mut self.keys.entry(hash).or_insert_with(|| (key(), InstanceKey::default())).1
    }

    /// Keys with their instances, in order of the keys' hashes.
    pub fn iter(&self) -> impl Iterator<Item = (Symbol, &InstanceKey)> {
        self.keys.values().map(|(key, instances)| (*key, instances))
    }

    pub(super) fn symbols_mut(&mut self, visit: &mut impl FnMut(&mut Symbol)) {
        for (key, instances) in self.keys.values_mut() {
            visit(key);
            for instance in instances.by_hash.values_mut() {
                visit(&mut instance.name);
                for (key, value) in instance.shared.values_mut() {
                    visit(key);
                    value.iter_mut().for_each(&mut *visit);
                }
            }
        }
    }

    /// The instances of a key by its text.
    pub fn get(&self, key: &str) -> Option<&InstanceKey> {
        self.keys.get(&stable_hash(key.as_bytes())).map(|(_, instances)| instances)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Adds other instances, whose strings are translated.
    pub fn merge(&mut self, other: &Instances, strings: &impl Fn(Symbol) -> Symbol) {
        for (&hash, (key, instances)) in &other.keys {
            let mine = self.key_mut(hash, || strings(*key));
            mine.more |= instances.more;
            for (&name, instance) in &instances.by_hash {
                if let Some(held) = mine.instance_mut(name, || strings(instance.name)) {
                    held.merge(instance, strings);
                }
            }
        }
    }
}
