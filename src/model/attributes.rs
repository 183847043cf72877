//! Attributes, events and links, read from their packed form without copying.
//!
//! The packed form of a span is the bytes of an OTLP `Span` message, of a resource an OTLP `Resource`, of a scope an
//! OTLP `InstrumentationScope`. Nine of ten inputs hold exactly these bytes already, so the model keeps slices of the
//! input instead of building half a kilobyte of structures a span; readers of other formats write the same form
//! through [`Packer`]. Ingest has validated structure, depth and UTF-8 before a body gets here, so reading cannot
//! fail: a malformed rest would simply end the iteration.

pub use super::packer::{Packer, SpanHead};

use super::wire::{Field, Fields, plain_pair};
use super::{SpanId, TraceId};
use std::fmt;

/// Field numbers of the OTLP messages that the model reads from packed bodies.
pub mod field {
    /// `Span.trace_id`.
    pub const SPAN_TRACE_ID: u32 = 1;
    /// `Span.span_id`.
    pub const SPAN_ID: u32 = 2;
    /// `Span.trace_state`.
    pub const SPAN_TRACE_STATE: u32 = 3;
    /// `Span.parent_span_id`.
    pub const SPAN_PARENT_ID: u32 = 4;
    /// `Span.name`.
    pub const SPAN_NAME: u32 = 5;
    /// `Span.kind`.
    pub const SPAN_KIND: u32 = 6;
    /// `Span.start_time_unix_nano`.
    pub const SPAN_START: u32 = 7;
    /// `Span.end_time_unix_nano`.
    pub const SPAN_END: u32 = 8;
    /// `Span.attributes`.
    pub const SPAN_ATTRIBUTES: u32 = 9;
    /// `Span.dropped_attributes_count`.
    pub const SPAN_DROPPED_ATTRIBUTES: u32 = 10;
    /// `Span.events`.
    pub const SPAN_EVENTS: u32 = 11;
    /// `Span.dropped_events_count`.
    pub const SPAN_DROPPED_EVENTS: u32 = 12;
    /// `Span.links`.
    pub const SPAN_LINKS: u32 = 13;
    /// `Span.dropped_links_count`.
    pub const SPAN_DROPPED_LINKS: u32 = 14;
    /// `Span.status`.
    pub const SPAN_STATUS: u32 = 15;
    /// `Span.flags`.
    pub const SPAN_FLAGS: u32 = 16;
    /// `Resource.attributes`.
    pub const RESOURCE_ATTRIBUTES: u32 = 1;
    /// `InstrumentationScope.attributes`.
    pub const SCOPE_ATTRIBUTES: u32 = 3;
    /// `Event.attributes`.
    pub const EVENT_ATTRIBUTES: u32 = 3;
    /// `Link.attributes`.
    pub const LINK_ATTRIBUTES: u32 = 4;
}

/// The value of an attribute.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Present, but without a value.
    Empty,
    /// Text.
    Str(&'a str),
    /// Boolean.
    Bool(bool),
    /// Integer.
    Int(i64),
    /// Floating point.
    Double(f64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A list of values.
    Array(Values<'a>),
    /// A list of keys and values.
    Map(Attributes<'a>),
}

impl<'a> Value<'a> {
    /// Decodes an OTLP `AnyValue` message.
    #[inline]
    pub fn decode(message: &'a [u8]) -> Value<'a> {
        match message {
            [0x0a, len @ ..0x80, text @ ..] if usize::from(*len) == text.len() => Value::Str(text_of(text)),
            [0x10, flag @ ..0x80] => Value::Bool(*flag != 0),
            [0x18, int @ ..0x80] => Value::Int(i64::from(*int)),
            [0x18, low, high @ ..0x80] if *low >= 0x80 => Value::Int(i64::from(low & 0x7f) | i64::from(*high) << 7),
            [0x21, bits @ ..] if bits.len() == 8 => {
                Value::Double(bits.first_chunk().map_or(0.0, |bits| f64::from_le_bytes(*bits)))
            }
            _ => Value::decode_any(message),
        }
    }

    #[inline(never)]
    fn decode_any(message: &'a [u8]) -> Value<'a> {
        let mut value = Value::Empty;
        let mut fields = Fields::new(message);
        while let Ok(Some((number, field))) = fields.next_field() {
            value = match (number, field) {
                (1, Field::Bytes(text)) => Value::Str(text_of(text)),
                (2, Field::Varint(flag)) => Value::Bool(flag != 0),
                (3, Field::Varint(int)) => Value::Int(int as i64),
                (4, Field::Fixed64(bits)) => Value::Double(f64::from_bits(bits)),
                (5, Field::Bytes(list)) => Value::Array(Values { fields: Fields::new(list) }),
                (6, Field::Bytes(list)) => Value::Map(Attributes::of_message(list, 1)),
                (7, Field::Bytes(bytes)) => Value::Bytes(bytes),
                _ => value,
            };
        }
        value
    }

    /// The text, if it is text.
    pub const fn as_str(&self) -> Option<&'a str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, also when it was sent as text or as a whole double.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(int) => Some(*int),
            Value::Str(text) => text.parse().ok(),
            Value::Double(double) if double.fract() == 0.0 && double.abs() < 9e15 => Some(*double as i64),
            _ => None,
        }
    }
}

/// Values compare by what they show: bitwise for doubles, element by element for lists.
impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Empty, Value::Empty) => true,
            (Value::Str(a), Value::Str(b)) => a == b,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Double(a), Value::Double(b)) => a.to_bits() == b.to_bits(),
            (Value::Bytes(a), Value::Bytes(b)) => a == b,
            (Value::Array(a), Value::Array(b)) => (*a).eq(*b),
            (Value::Map(a), Value::Map(b)) => (*a).eq(*b),
            _ => false,
        }
    }
}

/// Text as it is; numbers plainly; lists and maps like JSON. Nesting was bounded by ingest.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Empty => Ok(()),
            Value::Str(text) => f.write_str(text),
            Value::Bool(flag) => write!(f, "{flag}"),
            Value::Int(int) => write!(f, "{int}"),
            Value::Double(double) => write!(f, "{double}"),
            Value::Bytes(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Value::Array(values) => {
                f.write_str("[")?;
                for (index, value) in values.enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{value}")?;
                }
                f.write_str("]")
            }
            Value::Map(attributes) => {
                f.write_str("{")?;
                for (index, (key, value)) in attributes.enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{key}: {value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

/// Iterates the elements of an array value.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    fields: Fields<'a>,
}

#[allow(clippy::copy_iterator, reason = "see Attributes")]
impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.fields.next_bytes(1).map(Value::decode)
    }
}

/// Iterates keys and values in the order in which they were sent.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    fields: Fields<'a>,
    number: u32,
}

impl<'a> Attributes<'a> {
    /// The attributes that stand as field `number` of `message`.
    pub const fn of_message(message: &'a [u8], number: u32) -> Self {
        Attributes { fields: Fields::new(message), number }
    }

    /// The `KeyValue` messages as their bytes, for walks that remember what they read before.
    pub fn messages(self) -> impl Iterator<Item = &'a [u8]> {
        let Attributes { mut fields, number } = self;
        std::iter::from_fn(move || fields.next_bytes(number))
    }

    /// Keys and values as their bytes, for walks that want few of many: a value is decoded by [`Value::decode`].
    pub fn undecoded(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let Attributes { mut fields, number } = self;
        std::iter::from_fn(move || {
            let mut message = Fields::new(fields.next_bytes(number)?);
            let (mut key, mut value) = (&[][..], &[][..]);
            while let Ok(Some((number, field))) = message.next_field() {
                match (number, field) {
                    (1, Field::Bytes(text)) => key = text,
                    (2, Field::Bytes(any)) => value = any,
                    _ => {}
                }
            }
            Some((key, value))
        })
    }

    /// The last value of a key (senders must not repeat keys; if they do, the last one wins).
    pub fn find(self, key: &str) -> Option<Value<'a>> {
        self.filter(|(name, _)| *name == key).last().map(|(_, value)| value)
    }
}

#[allow(clippy::copy_iterator, reason = "two words that are handed around a lot and iterated from the start each time")]
impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.fields.next_bytes(self.number).map(pair_of)
    }
}

/// Key and value of a `KeyValue` message.
#[inline]
fn pair_of(message: &[u8]) -> (&str, Value<'_>) {
    match plain_pair(message) {
        Some((key, value)) => match plain_texts(message, key, value) {
            Some((key, text)) => (key, Value::Str(text)),
            None => (text_of(key), Value::decode(value)),
        },
        None => odd_pair(message),
    }
}

/// Key and text of a plain pair, checked in one go: with tags and lengths of one byte the whole message is UTF-8, and
/// one check of forty bytes costs less than two of twenty.
#[inline]
fn plain_texts<'a>(message: &'a [u8], key: &[u8], value: &[u8]) -> Option<(&'a str, &'a str)> {
    let [0x0a, len @ ..0x80, text @ ..] = value else { return None };
    if usize::from(*len) != text.len() {
        return None;
    }
    let all = std::str::from_utf8(message).ok()?;
    Some((all.get(2..2 + key.len())?, all.get(all.len() - text.len()..)?))
}

#[inline(never)]
fn odd_pair(message: &[u8]) -> (&str, Value<'_>) {
    let (mut key, mut value) = ("", Value::Empty);
    let mut fields = Fields::new(message);
    while let Ok(Some((number, field))) = fields.next_field() {
        match (number, field) {
            (1, Field::Bytes(text)) => key = text_of(text),
            (2, Field::Bytes(any)) => value = Value::decode(any),
            _ => {}
        }
    }
    (key, value)
}

/// A timed event of a span.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// When, nanoseconds since 1970.
    pub time_ns: u64,
    /// Its name.
    pub name: &'a str,
    /// Its attributes.
    pub attributes: Attributes<'a>,
}

/// A reference to another span, of this or another trace.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// The trace linked to; `None` when the sender wrote an invalid id.
    pub trace_id: Option<TraceId>,
    /// The span linked to; `None` when the sender wrote an invalid id.
    pub span_id: Option<SpanId>,
    /// Its attributes.
    pub attributes: Attributes<'a>,
}

impl<'a> Event<'a> {
    fn decode(message: &'a [u8]) -> Self {
        let mut event =
            Event { time_ns: 0, name: "", attributes: Attributes::of_message(message, field::EVENT_ATTRIBUTES) };
        let mut fields = Fields::new(message);
        while let Ok(Some((number, value))) = fields.next_field() {
            match (number, value) {
                (1, Field::Fixed64(time)) => event.time_ns = time,
                (2, Field::Bytes(name)) => event.name = text_of(name),
                _ => {}
            }
        }
        event
    }
}

impl<'a> Link<'a> {
    fn decode(message: &'a [u8]) -> Self {
        let mut link =
            Link { trace_id: None, span_id: None, attributes: Attributes::of_message(message, field::LINK_ATTRIBUTES) };
        let mut fields = Fields::new(message);
        while let Ok(Some((number, value))) = fields.next_field() {
            match (number, value) {
                (1, Field::Bytes(id)) => link.trace_id = TraceId::from_bytes(id),
                (2, Field::Bytes(id)) => link.span_id = SpanId::from_bytes(id),
                _ => {}
            }
        }
        link
    }
}

/// The events of a packed span.
pub fn events(body: &[u8]) -> impl Iterator<Item = Event<'_>> {
    let mut fields = Fields::new(body);
    std::iter::from_fn(move || fields.next_bytes(field::SPAN_EVENTS)).map(Event::decode)
}

/// The links of a packed span.
pub fn links(body: &[u8]) -> impl Iterator<Item = Link<'_>> {
    let mut fields = Fields::new(body);
    std::iter::from_fn(move || fields.next_bytes(field::SPAN_LINKS)).map(Link::decode)
}

/// The status message of a packed span; empty without one.
pub fn status_message(body: &[u8]) -> &str {
    let mut fields = Fields::new(body);
    let mut text = "";
    while let Some(status) = fields.next_bytes(field::SPAN_STATUS) {
        text = message_of(status).unwrap_or(text);
    }
    text
}

/// The message in a `Status`, if it has one.
fn message_of(status: &[u8]) -> Option<&str> {
    let mut fields = Fields::new(status);
    std::iter::from_fn(|| fields.next_bytes(2)).last().map(text_of)
}

/// A piece of a packed span that is not in its [`super::Span`].
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// Key and value of an attribute.
    Attribute(&'a str, Value<'a>),
    /// An event.
    Event(Event<'a>),
    /// A link.
    Link(Link<'a>),
    /// The status message; of several the last one counts.
    StatusMessage(&'a str),
    /// The W3C trace state; of several the first one counts.
    TraceState(&'a str),
}

/// Everything in a packed span that is not in its [`super::Span`], in the order in which it was sent: for walks that
/// want more than one kind, which cost as much as one walk for each otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    fields: Fields<'a>,
}

impl<'a> Parts<'a> {
    /// The parts of the span packed in `body`.
    pub const fn of_span(body: &'a [u8]) -> Self {
        Parts { fields: Fields::new(body) }
    }
}

#[allow(clippy::copy_iterator, reason = "see Attributes")]
impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    #[inline]
    fn next(&mut self) -> Option<Part<'a>> {
        const ATTRIBUTE: u8 = (field::SPAN_ATTRIBUTES as u8) << 3 | 2;
        if let Some(message) = self.fields.next_short(ATTRIBUTE) {
            let (key, value) = pair_of(message);
            return Some(Part::Attribute(key, value));
        }
        self.next_other()
    }
}

impl<'a> Parts<'a> {
    /// The next part, which is no short attribute.
    #[inline(never)]
    fn next_other(&mut self) -> Option<Part<'a>> {
        while let Ok(Some((number, value))) = self.fields.next_field() {
            let Field::Bytes(message) = value else { continue };
            match number {
                field::SPAN_ATTRIBUTES => {
                    let (key, value) = pair_of(message);
                    return Some(Part::Attribute(key, value));
                }
                field::SPAN_EVENTS => return Some(Part::Event(Event::decode(message))),
                field::SPAN_LINKS => return Some(Part::Link(Link::decode(message))),
                field::SPAN_STATUS => {
                    if let Some(text) = message_of(message) {
                        return Some(Part::StatusMessage(text));
                    }
                }
                field::SPAN_TRACE_STATE => return Some(Part::TraceState(text_of(message))),
                _ => {}
            }
        }
        None
    }
}

/// The W3C trace state of a packed span; empty without one.
pub fn trace_state(body: &[u8]) -> &str {
    Fields::new(body).next_bytes(field::SPAN_TRACE_STATE).map_or("", text_of)
}

#[inline]
fn text_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
