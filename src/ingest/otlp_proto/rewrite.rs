//! Writes a mended copy of a message that [`super::check`] found dirty: bad UTF-8 replaced, long texts cut, what is
//! over a limit left out. Everything else is copied as it is. Each mend is counted.

use super::check::Bounds;
use crate::model::attributes::field;
use crate::model::wire::{Field, Fields, Writer};
use crate::model::{Warning, Warnings};
use std::borrow::Cow;

/// Mends messages into a buffer.
#[derive(Debug)]
pub(super) struct Rewriter<'r> {
    pub bounds: Bounds,
    pub warnings: &'r mut Warnings,
    pub out: Writer,
    /// Whether something was left out (then its absence says nothing about the sender).
    pub left_out: bool,
}

/// What is done with a field.
#[derive(Clone, Copy)]
enum Part {
    Text,
    Pair,
    Event,
    Link,
    Status,
    Value,
    Array,
    Map,
    AsIs,
}

/// The kinds of messages and what their fields are.
#[derive(Clone, Copy)]
pub(super) enum Message {
    Span,
    Resource,
    Scope,
    Event,
    Link,
    Status,
    Pair,
    Value,
    Array,
    Map,
}

impl Message {
    const fn part(self, number: u32) -> Part {
        match (self, number) {
            (Message::Span, field::SPAN_ATTRIBUTES)
            | (Message::Resource, field::RESOURCE_ATTRIBUTES)
            | (Message::Scope, field::SCOPE_ATTRIBUTES)
            | (Message::Event, field::EVENT_ATTRIBUTES)
            | (Message::Link, field::LINK_ATTRIBUTES)
            | (Message::Map, 1) => Part::Pair,
            (Message::Span, field::SPAN_NAME | field::SPAN_TRACE_STATE)
            | (Message::Scope, 1 | 2)
            | (Message::Event | Message::Status, 2)
            | (Message::Link, 3)
            | (Message::Pair | Message::Value, 1) => Part::Text,
            (Message::Span, field::SPAN_EVENTS) => Part::Event,
            (Message::Span, field::SPAN_LINKS) => Part::Link,
            (Message::Span, field::SPAN_STATUS) => Part::Status,
            (Message::Pair, 2) | (Message::Array, 1) => Part::Value,
            (Message::Value, 5) => Part::Array,
            (Message::Value, 6) => Part::Map,
            _ => Part::AsIs,
        }
    }
}

impl Rewriter<'_> {
    /// Appends the mended fields of `message`; `depth` levels of lists and maps are left. The recursion is bounded:
    /// messages nest four deep, values as deep as the limit.
    pub fn message(&mut self, kind: Message, message: &[u8], depth: usize) {
        let (mut attributes, mut events, mut links) = (0, 0, 0);
        let mut fields = Fields::new(message);
        loop {
            let before = fields.rest();
            let Ok(Some((number, value))) = fields.next_field() else { return };
            let raw = before.get(..before.len() - fields.rest().len()).unwrap_or_default();
            let Field::Bytes(bytes) = value else {
                self.out.raw(raw);
                continue;
            };
            match kind.part(number) {
                Part::AsIs => self.out.raw(raw),
                Part::Text => {
                    let text = self.mended(bytes);
                    self.out.bytes_field(number, text.as_bytes());
                }
                // Elements of maps are not counted against the limit: they are bounded by the span's bytes.
                Part::Pair if matches!(kind, Message::Map) => self.nested(number, Message::Pair, bytes, depth),
                Part::Pair if self.admit(&mut attributes, self.bounds.attributes) => {
                    self.nested(number, Message::Pair, bytes, depth);
                }
                Part::Event if self.admit(&mut events, self.bounds.events) => {
                    self.nested(number, Message::Event, bytes, depth);
                }
                Part::Link if self.admit(&mut links, self.bounds.links) => {
                    self.nested(number, Message::Link, bytes, depth);
                }
                Part::Pair | Part::Event | Part::Link => {}
                Part::Status => self.nested(number, Message::Status, bytes, depth),
                Part::Value => self.nested(number, Message::Value, bytes, depth),
                Part::Array => self.deeper(number, Message::Array, bytes, depth),
                Part::Map => self.deeper(number, Message::Map, bytes, depth),
            }
        }
    }

    fn nested(&mut self, number: u32, kind: Message, message: &[u8], depth: usize) {
        let open = self.out.begin(number);
        self.message(kind, message, depth);
        self.out.end(open);
    }

    fn deeper(&mut self, number: u32, kind: Message, message: &[u8], depth: usize) {
        match depth.checked_sub(1) {
            Some(depth) => self.nested(number, kind, message, depth),
            None => self.over_limit(),
        }
    }

    fn admit(&mut self, count: &mut usize, most: usize) -> bool {
        *count += 1;
        if *count > most {
            self.over_limit();
        }
        *count <= most
    }

    fn over_limit(&mut self) {
        self.left_out = true;
        self.warnings.add(Warning::LimitReached, 1);
    }

    /// The text as UTF-8 within its limit.
    pub fn mended<'t>(&mut self, bytes: &'t [u8]) -> Cow<'t, str> {
        let text = String::from_utf8_lossy(bytes);
        if matches!(text, Cow::Owned(_)) {
            self.warnings.add_with(Warning::InvalidUtf8, || format!("{:?}", shortened(&text, 60)));
        }
        if text.len() <= self.bounds.text {
            return text;
        }
        self.warnings.add(Warning::LimitReached, 1);
        match text {
            Cow::Borrowed(text) => Cow::Borrowed(shortened(text, self.bounds.text)),
            Cow::Owned(text) => Cow::Owned(shortened(&text, self.bounds.text).to_owned()),
        }
    }
}

/// At most `most` bytes of a text, cut between characters.
fn shortened(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
