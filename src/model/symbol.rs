//! Strings stored once and named by a small number.

use indexmap::IndexSet;

/// A string of one [`Symbols`] table. Its number says nothing about order: sort by the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(pub u32);

impl Symbol {
    /// The empty string, in every table.
    pub const EMPTY: Symbol = Symbol(0);
}

/// A table of distinct strings. The hash is seeded per process, since the strings come from strangers;
/// numbers follow first use, so the seed never shows.
#[derive(Clone, Debug)]
pub struct Symbols {
    strings: IndexSet<Box<str>, foldhash::fast::RandomState>,
    bytes: usize,
}

impl Default for Symbols {
    fn default() -> Self {
        let mut strings = IndexSet::default();
        strings.insert("".into());
        Symbols { strings, bytes: 0 }
    }
}

impl Symbols {
    /// The symbol of `text`, new or known.
    pub fn intern(&mut self, text: &str) -> Symbol {
        if let Some(index) = self.strings.get_index_of(text) {
            return Symbol(index as u32);
        }
        self.bytes += text.len();
        Symbol(self.strings.insert_full(text.into()).0 as u32)
    }

    /// The symbol of `text` if it is known.
    pub fn find(&self, text: &str) -> Option<Symbol> {
        self.strings.get_index_of(text).map(|index| Symbol(index as u32))
    }

    /// The text of a symbol; empty for a number that is not of this table.
    pub fn get(&self, symbol: Symbol) -> &str {
        self.strings.get_index(symbol.0 as usize).map_or("", |text| text)
    }

    /// All strings in order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.strings.iter().map(AsRef::as_ref)
    }

    /// How many distinct strings the table holds, the empty one included.
    pub fn len(&self) -> usize {
        self.strings.len()
    }

    /// Bytes of all its strings.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Never true: the empty string is always there.
    pub fn is_empty(&self) -> bool {
        self.strings.is_empty()
    }
}
