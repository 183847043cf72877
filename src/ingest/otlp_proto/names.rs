//! Symbols of names without hashing.

use crate::model::Symbol;

/// Remembers the symbols of recent names: most spans share few of them, and comparing is cheaper than hashing.
#[derive(Debug)]
pub(super) struct NameCache<'b> {
    slots: Vec<(&'b [u8], Symbol)>,
}

impl<'b> NameCache<'b> {
    const SLOTS: usize = 256;

    pub fn new() -> Self {
        NameCache { slots: vec![(&[], Symbol::EMPTY); Self::SLOTS] }
    }

    /// From the length and the last eight bytes: names of one program tend to differ at their end.
    #[inline]
    fn slot(name: &[u8]) -> usize {
        let tail = name.last_chunk::<8>().map_or_else(
            || name.iter().fold(0, |tail, &byte| tail << 8 | u64::from(byte)),
            |tail| u64::from_le_bytes(*tail),
        );
        let mixed = (tail ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 56) as usize
    }

    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<Symbol> {
        self.slots.get(Self::slot(name)).filter(|(known, _)| *known == name).map(|(_, symbol)| *symbol)
    }

    pub fn put(&mut self, name: &'b [u8], symbol: Symbol) {
        if let Some(slot) = self.slots.get_mut(Self::slot(name)) {
            *slot = (name, symbol);
        }
    }
}
