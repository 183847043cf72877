//! What a span's attributes count as: keys and values under their current names, looked up instead of worked out.
//!
//! Most spans repeat the keys and values of others, so that what a key is good for and what a value becomes is
//! remembered by their bytes. Spans whose attributes only make sense together (older conventions, keys that came
//! twice) take the slow way through [`semconv::canonical`].

use crate::model::attributes::{Attributes, Value};
use crate::model::masking::{self, MASK};
use crate::model::profile::stable_hash;
use crate::model::semconv::{self, KeyClass};
use crate::model::wire::plain_pair;
use crate::model::{Kind, Symbol, Symbols};
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

/// Attributes that name an instance, by their current keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Role {
    DbSystem,
    DbNamespace,
    Address,
    Port,
    Destination,
    Temporary,
    Anonymous,
    MessagingSystem,
    Peer,
    Tenant,
}

impl Role {
    pub const ALL: [(Role, &'static str); 10] = [
        (Role::DbSystem, "db.system.name"),
        (Role::DbNamespace, "db.namespace"),
        (Role::Address, "server.address"),
        (Role::Port, "server.port"),
        (Role::Destination, "messaging.destination.name"),
        (Role::Temporary, "messaging.destination.temporary"),
        (Role::Anonymous, "messaging.destination.anonymous"),
        (Role::MessagingSystem, "messaging.system"),
        (Role::Peer, "service.peer.name"),
        (Role::Tenant, "tenant.id"),
    ];
}

/// What is known about a key as it was sent.
#[derive(Clone, Copy, Debug)]
struct Key {
    hash: u64,
    symbol: Symbol,
    noise: bool,
    /// Its meaning depends on other attributes, or it is not current.
    entangled: bool,
    /// Its values may be spelled otherwise today.
    respelled: bool,
    role: Option<Role>,
    /// The span that had it last.
    last_span: u64,
}

/// The value of an attribute as far as it is looked at.
#[derive(Clone, Debug)]
pub(super) enum Content<'a> {
    /// Text, as it was sent.
    Text(&'a [u8]),
    /// A value that had to be put together or spelled otherwise.
    Made(Box<str>),
    Int(i64),
    Flag(bool),
    /// Nothing that is compared.
    Other,
}

impl<'a> Content<'a> {
    #[inline]
    fn of_any(message: &'a [u8]) -> Content<'a> {
        match message {
            [0x0a, len @ ..0x80, text @ ..] if usize::from(*len) == text.len() => Content::Text(text),
            _ => Content::of_value(&Value::decode(message)),
        }
    }

    fn of_value(value: &Value<'a>) -> Content<'a> {
        match value {
            Value::Str(text) => Content::Text(text.as_bytes()),
            Value::Int(int) => Content::Int(*int),
            Value::Bool(flag) => Content::Flag(*flag),
            _ => Content::Other,
        }
    }

    fn made(value: &Value<'_>) -> Content<'a> {
        match value {
            Value::Str(text) => Content::Made((*text).into()),
            Value::Int(int) => Content::Int(*int),
            Value::Bool(flag) => Content::Flag(*flag),
            _ => Content::Other,
        }
    }

    /// The value as the text that tells instances apart, handed on; nothing for one that is not looked at.
    #[inline]
    pub fn with_text(&self, then: impl FnOnce(&[u8])) {
        match self {
            Content::Text(text) => then(text),
            Content::Made(text) => then(text.as_bytes()),
            Content::Int(int) => then(int.to_string().as_bytes()),
            Content::Flag(flag) => then(if *flag { b"true" } else { b"false" }),
            Content::Other => {}
        }
    }

    /// The text of a value that instances may have in common: text as it was sent, and small numbers.
    #[inline]
    pub fn shared_text(&self) -> Option<Cow<'_, [u8]>> {
        match self {
            Content::Text(text) => Some(Cow::Borrowed(text)),
            Content::Made(text) => Some(Cow::Borrowed(text.as_bytes())),
            Content::Int(int) if (-SMALL..SMALL).contains(int) => Some(Cow::Owned(int.to_string().into_bytes())),
            Content::Int(_) | Content::Flag(_) | Content::Other => None,
        }
    }

    pub fn is_true(&self) -> bool {
        matches!(self, Content::Flag(true) | Content::Text(b"true"))
    }
}

/// One attribute of a span.
#[derive(Clone, Debug)]
pub(super) struct Found<'a> {
    pub key_hash: u64,
    pub key: Symbol,
    pub value: Counted,
    pub content: Content<'a>,
}

/// A value as it is counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub hash: u64,
    pub symbol: Symbol,
}

/// The attributes of one span that count.
#[derive(Debug, Default)]
pub(super) struct Looked<'a> {
    pub found: Vec<Found<'a>>,
    /// Where the attributes with a role stand in the list.
    roles: [Option<u16>; Role::ALL.len()],
}

impl<'a> Looked<'a> {
    fn clear(&mut self) {
        self.found.clear();
        self.roles = [None; Role::ALL.len()];
    }

    pub fn role(&self, role: Role) -> Option<&Found<'a>> {
        let at = self.roles.get(role as usize).copied().flatten()?;
        self.found.get(usize::from(at))
    }

    fn push(&mut self, key: &Key, value: Counted, content: Content<'a>) {
        if let (Some(role), Ok(at)) = (key.role, u16::try_from(self.found.len()))
            && let Some(slot) = self.roles.get_mut(role as usize)
        {
            *slot = Some(at);
        }
        self.found.push(Found { key_hash: key.hash, key: key.symbol, value, content });
    }
}

/// Distinct keys that are remembered; more of them, and all is forgotten.
const MAX_KEYS: usize = 1 << 16;
/// Values that are remembered.
const VALUE_SLOTS: usize = 1 << 12;
/// Integers above are quantities or identifiers and count as the mask; those below may be codes.
const SMALL: i64 = 1_000;

/// Remembers what keys and values become.
#[derive(Debug)]
pub(super) struct Lexicon {
    keys: Vec<Key>,
    by_bytes: HashMap<Box<[u8]>, u32, foldhash::fast::RandomState>,
    /// Keys by their length and last bytes: comparing is cheaper than hashing.
    recent: Vec<(Box<[u8]>, u32)>,
    values: Vec<ValueSlot>,
    hasher: foldhash::fast::RandomState,
    mask: Counted,
    flags: [Counted; 2],
    span: u64,
}

#[derive(Clone, Debug, Default)]
struct ValueSlot {
    tag: u32,
    bytes: Vec<u8>,
    counted: Counted,
}

/// Tags of remembered values; larger ones are numbers of keys whose values are spelled otherwise.
const TEXT: u32 = 1;
const INT: u32 = 2;
const RESPELLED: u32 = 3;

fn counted(text: &str, strings: &mut Symbols) -> Counted {
    Counted { hash: stable_hash(text.as_bytes()), symbol: strings.intern(text) }
}

impl Lexicon {
    pub fn new(strings: &mut Symbols) -> Lexicon {
        Lexicon {
            keys: Vec::new(),
            by_bytes: HashMap::default(),
            recent: vec![(Box::default(), u32::MAX); 1 << 8],
            values: vec![ValueSlot::default(); VALUE_SLOTS],
            hasher: foldhash::fast::RandomState::default(),
            mask: counted(MASK, strings),
            flags: ["false", "true"].map(|text| counted(text, strings)),
            span: 0,
        }
    }

    /// Whether too much is remembered: then begin anew, between two traces.
    pub fn is_full(&self) -> bool {
        self.keys.len() > MAX_KEYS
    }

    /// Looks at the attributes of a span.
    pub fn look<'a>(&mut self, attributes: Attributes<'a>, kind: Kind, looked: &mut Looked<'a>, strings: &mut Symbols) {
        self.span += 1;
        looked.clear();
        for message in attributes.messages() {
            let Some((key, any)) = plain_pair(message) else {
                return self.look_slowly(attributes, kind, looked, strings);
            };
            let number = self.key(key, strings);
            let Some(known) = self.keys.get_mut(number as usize) else { continue };
            let twice = std::mem::replace(&mut known.last_span, self.span) == self.span;
            let known = *known;
            if known.entangled || twice {
                return self.look_slowly(attributes, kind, looked, strings);
            }
            if known.noise {
                continue;
            }
            if known.respelled {
                let (value, content) = self.respelled(&known, number, any, strings);
                looked.push(&known, value, content);
            } else {
                let content = Content::of_any(any);
                let value = self.value(&content, strings);
                looked.push(&known, value, content);
            }
        }
    }

    /// The same by way of the whole list.
    #[inline(never)]
    fn look_slowly<'a>(
        &mut self,
        attributes: Attributes<'a>,
        kind: Kind,
        looked: &mut Looked<'a>,
        strings: &mut Symbols,
    ) {
        looked.clear();
        for (key, value) in semconv::canonical(attributes, kind) {
            let number = self.key(key.as_bytes(), strings);
            let Some(known) = self.keys.get(number as usize).copied().filter(|key| !key.noise) else { continue };
            let content = match &value {
                semconv::CanonicalValue::Sent(value) => Content::of_value(value),
                made @ semconv::CanonicalValue::Made(_) => Content::made(&made.as_value()),
            };
            // The same spelling as on the fast way, whatever the key was called when it was sent.
            let value = if known.respelled {
                counted(&spelled(&value.as_value()), strings)
            } else {
                self.value(&content, strings)
            };
            looked.push(&known, value, content);
        }
    }

    #[inline]
    fn key(&mut self, key: &[u8], strings: &mut Symbols) -> u32 {
        let slot = recent_slot(key);
        if let Some((bytes, number)) = self.recent.get(slot)
            && bytes.as_ref() == key
            && *number != u32::MAX
        {
            return *number;
        }
        self.look_up_key(key, slot, strings)
    }

    #[inline(never)]
    fn look_up_key(&mut self, key: &[u8], slot: usize, strings: &mut Symbols) -> u32 {
        let number = if let Some(&number) = self.by_bytes.get(key) {
            number
        } else {
            let number = self.keys.len() as u32;
            self.keys.push(new_key(std::str::from_utf8(key).unwrap_or_default(), strings));
            self.by_bytes.insert(key.into(), number);
            number
        };
        if let Some(slot) = self.recent.get_mut(slot) {
            *slot = (key.into(), number);
        }
        number
    }

    /// What a value counts as.
    #[inline]
    fn value(&mut self, content: &Content<'_>, strings: &mut Symbols) -> Counted {
        match content {
            Content::Text(text) => self.remembered(TEXT, text, || mask(text), strings),
            Content::Made(text) => self.remembered(TEXT, text.as_bytes(), || mask(text.as_bytes()), strings),
            Content::Int(int) if (-SMALL..SMALL).contains(int) => {
                self.remembered(INT, &int.to_le_bytes(), || int.to_string(), strings)
            }
            Content::Flag(flag) => self.flags.get(usize::from(*flag)).copied().unwrap_or_default(),
            Content::Int(_) | Content::Other => self.mask,
        }
    }

    /// A value that may be spelled otherwise today: a code, whatever its size.
    fn respelled<'a>(
        &mut self,
        key: &Key,
        number: u32,
        any: &'a [u8],
        strings: &mut Symbols,
    ) -> (Counted, Content<'a>) {
        let name = strings.get(key.symbol);
        let sent = Value::decode(any);
        let (value, current) = match semconv::current_value(name, sent) {
            Some(current) => (current, Content::made(&current)),
            None => (sent, Content::of_value(&sent)),
        };
        (self.remembered(RESPELLED + number, any, || spelled(&value), strings), current)
    }

    #[inline]
    fn remembered(&mut self, tag: u32, bytes: &[u8], text: impl FnOnce() -> String, strings: &mut Symbols) -> Counted {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u32(tag);
        hasher.write(bytes);
        let Some(slot) = self.values.get_mut(hasher.finish() as usize % VALUE_SLOTS) else { return self.mask };
        if slot.tag == tag && slot.bytes == bytes {
            return slot.counted;
        }
        slot.tag = tag;
        slot.bytes.clear();
        slot.bytes.extend_from_slice(bytes);
        slot.counted = counted(&text(), strings);
        slot.counted
    }
}

/// A code in full.
fn spelled(value: &Value<'_>) -> String {
    if let Value::Double(_) = value { MASK.to_owned() } else { value.to_string() }
}

/// The value without identifiers.
fn mask(text: &[u8]) -> String {
    masking::mask_value(std::str::from_utf8(text).unwrap_or_default()).unwrap_or_else(|| MASK.to_owned())
}

/// From the length and the last eight bytes.
#[inline]
fn recent_slot(key: &[u8]) -> usize {
    let tail = key.last_chunk::<8>().map_or_else(
        || key.iter().fold(0, |tail, &byte| tail << 8 | u64::from(byte)),
        |tail| u64::from_le_bytes(*tail),
    );
    ((tail ^ key.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize
}

fn new_key(key: &str, strings: &mut Symbols) -> Key {
    Key {
        hash: stable_hash(key.as_bytes()),
        symbol: strings.intern(key),
        noise: semconv::class(key) == KeyClass::Noise,
        entangled: semconv::is_entangled(key),
        respelled: semconv::has_current_values(key),
        role: Role::ALL.into_iter().find(|(_, name)| *name == key).map(|(role, _)| role),
        last_span: 0,
    }
}
