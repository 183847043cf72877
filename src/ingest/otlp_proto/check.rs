//! Walks one span's bytes and checks all of them, so that whoever reads its body later cannot meet a surprise.
//!
//! One pass, no allocation. What is wrong in structure is a [`Fault`] and costs the span. What can be mended (text
//! that is not UTF-8, lists and values beyond a limit) only sets [`Checker::dirty`]: [`super::rewrite`] mends it.

use crate::model::attributes::field;
use crate::model::wire::{Field, Fields, WireError, plain_pair};
use crate::model::{Kind, Limits, SpanId, SpanMarks, Status, TraceId};
use std::fmt;

/// The deepest value that is ever walked, whatever the limit says: the walk is recursive.
const DEEPEST: u64 = 256;

/// Tag of an attribute of a span.
const ATTRIBUTE_TAG: u8 = (field::SPAN_ATTRIBUTES as u8) << 3 | 2;

/// The limits that are checked within a span, as they are compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub attributes: usize,
    pub events: usize,
    pub links: usize,
    pub depth: usize,
    pub text: usize,
}

impl Bounds {
    pub fn new(limits: &Limits) -> Self {
        Bounds {
            attributes: limits.attributes as usize,
            events: limits.events as usize,
            links: limits.links as usize,
            depth: limits.value_depth.min(DEEPEST) as usize,
            text: limits.text_bytes as usize,
        }
    }
}

/// Why a span cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Not protobuf.
    Wire(WireError),
    /// A field that has another wire type than OTLP gives it.
    WireType { message: &'static str, number: u32 },
    /// A trace id that is not 16 bytes, or is all zero.
    TraceId { len: usize },
    /// A span id that is not 8 bytes, or is all zero.
    SpanId { len: usize },
}

impl From<WireError> for Fault {
    fn from(error: WireError) -> Self {
        Fault::Wire(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Wire(error) => error.fmt(f),
            Fault::WireType { message, number } => write!(f, "field {number} of {message} has the wrong wire type"),
            Fault::TraceId { len: 0 } => f.write_str("no trace id"),
            Fault::TraceId { len: 16 } => f.write_str("the trace id is all zero"),
            Fault::TraceId { len } => write!(f, "the trace id has {len} bytes instead of 16"),
            Fault::SpanId { len: 0 } => f.write_str("no span id"),
            Fault::SpanId { len: 8 } => f.write_str("the span id is all zero"),
            Fault::SpanId { len } => write!(f, "the span id has {len} bytes instead of 8"),
        }
    }
}

const fn wrong(message: &'static str, number: u32) -> Fault {
    Fault::WireType { message, number }
}

/// What a span's own fields say. The name may be anything but UTF-8 if the checker is dirty.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head<'b> {
    pub trace_id: TraceId,
    pub id: SpanId,
    pub parent_id: SpanId,
    pub name: &'b [u8],
    pub kind: Kind,
    pub start_ns: u64,
    pub end_ns: u64,
    pub status: Status,
    pub marks: SpanMarks,
}

/// Checks messages. `dirty` collects over one message; its owner resets it.
#[derive(Debug)]
pub(super) struct Checker {
    pub bounds: Bounds,
    pub dirty: bool,
}

impl Checker {
    pub const fn new(bounds: Bounds) -> Self {
        Checker { bounds, dirty: false }
    }

    /// Checks a `Span` message and reads its head.
    pub fn span<'b>(&mut self, message: &'b [u8]) -> Result<Head<'b>, Fault> {
        let mut head = Head::default();
        let (mut trace_id, mut id): (&[u8], &[u8]) = (&[], &[]);
        let (mut attributes, mut events, mut links) = (0, 0, 0);
        let mut dropped = false;
        let mut fields = Fields::new(message);
        loop {
            while let Some(pair) = fields.next_short(ATTRIBUTE_TAG) {
                attributes += 1;
                self.pair(pair, self.bounds.depth)?;
            }
            let Some((number, value)) = fields.next_field()? else { break };
            match (number, value) {
                (field::SPAN_ATTRIBUTES, Field::Bytes(pair)) => {
                    attributes += 1;
                    self.pair(pair, self.bounds.depth)?;
                }
                (field::SPAN_TRACE_ID, Field::Bytes(bytes)) => trace_id = bytes,
                (field::SPAN_ID, Field::Bytes(bytes)) => id = bytes,
                (field::SPAN_PARENT_ID, Field::Bytes(bytes)) => head.parent_id = lenient_id(bytes),
                (field::SPAN_NAME, Field::Bytes(name)) => {
                    self.text(name);
                    head.name = name;
                }
                (field::SPAN_KIND, Field::Varint(kind)) => head.kind = Kind::from_otlp(kind),
                (field::SPAN_START, Field::Fixed64(time)) => head.start_ns = time,
                (field::SPAN_END, Field::Fixed64(time)) => head.end_ns = time,
                (field::SPAN_EVENTS, Field::Bytes(event)) => {
                    events += 1;
                    self.event(event)?;
                }
                (field::SPAN_LINKS, Field::Bytes(link)) => {
                    links += 1;
                    self.link(link)?;
                }
                (field::SPAN_STATUS, Field::Bytes(status)) => self.status(status, &mut head.status)?,
                (field::SPAN_FLAGS, Field::Fixed32(flags)) => head.marks = head.marks.with(parent_marks(flags)),
                (field::SPAN_TRACE_STATE, Field::Bytes(text)) => self.text(text),
                (
                    field::SPAN_DROPPED_ATTRIBUTES | field::SPAN_DROPPED_EVENTS | field::SPAN_DROPPED_LINKS,
                    Field::Varint(count),
                ) => dropped |= count > 0,
                (field::SPAN_TRACE_ID..=field::SPAN_FLAGS, _) => return Err(wrong("Span", number)),
                _ => {}
            }
        }
        if dropped {
            head.marks = head.marks.with(SpanMarks::DROPPED);
        }
        let Bounds { attributes: most_attributes, events: most_events, links: most_links, .. } = self.bounds;
        self.dirty |= attributes > most_attributes || events > most_events || links > most_links;
        head.trace_id = TraceId::from_bytes(trace_id).ok_or(Fault::TraceId { len: trace_id.len() })?;
        head.id = SpanId::from_bytes(id).ok_or(Fault::SpanId { len: id.len() })?;
        Ok(head)
    }

    /// Checks a message that is known by its attributes and texts: `Resource`, `InstrumentationScope`.
    pub fn labelled(&mut self, message: &[u8], attributes_field: u32, text_fields: &[u32]) -> Result<(), Fault> {
        let mut attributes = 0;
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next_field()? {
            if number == attributes_field {
                let Field::Bytes(pair) = value else { return Err(wrong("Resource or Scope", number)) };
                attributes += 1;
                self.pair(pair, self.bounds.depth)?;
            } else if text_fields.contains(&number) {
                let Field::Bytes(text) = value else { return Err(wrong("Resource or Scope", number)) };
                self.text(text);
            }
        }
        self.dirty |= attributes > self.bounds.attributes;
        Ok(())
    }

    fn event(&mut self, message: &[u8]) -> Result<(), Fault> {
        let mut attributes = 0;
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next_field()? {
            match (number, value) {
                (1, Field::Fixed64(_)) | (4, Field::Varint(_)) => {}
                (2, Field::Bytes(name)) => self.text(name),
                (field::EVENT_ATTRIBUTES, Field::Bytes(pair)) => {
                    attributes += 1;
                    self.pair(pair, self.bounds.depth)?;
                }
                (1..=4, _) => return Err(wrong("Span.Event", number)),
                _ => {}
            }
        }
        self.dirty |= attributes > self.bounds.attributes;
        Ok(())
    }

    fn link(&mut self, message: &[u8]) -> Result<(), Fault> {
        let mut attributes = 0;
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next_field()? {
            match (number, value) {
                (1 | 2, Field::Bytes(_)) | (5, Field::Varint(_)) | (6, Field::Fixed32(_)) => {}
                (3, Field::Bytes(state)) => self.text(state),
                (field::LINK_ATTRIBUTES, Field::Bytes(pair)) => {
                    attributes += 1;
                    self.pair(pair, self.bounds.depth)?;
                }
                (1..=6, _) => return Err(wrong("Span.Link", number)),
                _ => {}
            }
        }
        self.dirty |= attributes > self.bounds.attributes;
        Ok(())
    }

    fn status(&mut self, message: &[u8], status: &mut Status) -> Result<(), Fault> {
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next_field()? {
            match (number, value) {
                (2, Field::Bytes(text)) => self.text(text),
                (3, Field::Varint(code)) => *status = Status::from_otlp(code),
                (2 | 3, _) => return Err(wrong("Status", number)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Checks a `KeyValue`; `depth` levels of lists and maps are left.
    #[inline]
    fn pair(&mut self, message: &[u8], depth: usize) -> Result<(), Fault> {
        match plain_pair(message) {
            // Tags and lengths of one byte are ASCII, so that one check of the message is that of key and text.
            Some((_, [0x0a, len, text @ ..]))
                if usize::from(*len) == text.len() && message.len() <= self.bounds.text =>
            {
                self.text(message);
                Ok(())
            }
            Some((key, value)) => {
                self.text(key);
                self.value(value, depth)
            }
            None => self.odd_pair(message, depth),
        }
    }

    #[inline(never)]
    fn odd_pair(&mut self, message: &[u8], depth: usize) -> Result<(), Fault> {
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next_field()? {
            match (number, value) {
                (1, Field::Bytes(key)) => self.text(key),
                (2, Field::Bytes(any)) => self.value(any, depth)?,
                (1 | 2, _) => return Err(wrong("KeyValue", number)),
                _ => {}
            }
        }
        Ok(())
    }

    #[inline]
    fn value(&mut self, message: &[u8], depth: usize) -> Result<(), Fault> {
        match message {
            [0x0a, len @ ..0x80, text @ ..] if usize::from(*len) == text.len() => self.text(text),
            [0x10 | 0x18, ..0x80] | [0x18, 0x80..=0xff, ..0x80] | [0x21, _, _, _, _, _, _, _, _] => {}
            _ => return self.any_value(message, depth),
        }
        Ok(())
    }

    #[inline(never)]
    fn any_value(&mut self, message: &[u8], depth: usize) -> Result<(), Fault> {
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next_field()? {
            match (number, value) {
                (1, Field::Bytes(text)) => self.text(text),
                (2 | 3, Field::Varint(_)) | (4, Field::Fixed64(_)) | (7, Field::Bytes(_)) => {}
                (5 | 6, Field::Bytes(list)) => self.list(list, number == 6, depth)?,
                (1..=7, _) => return Err(wrong("AnyValue", number)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Checks an `ArrayValue` or `KeyValueList`. What is too deep is not looked at: it will be left out.
    #[inline(never)]
    fn list(&mut self, message: &[u8], is_map: bool, depth: usize) -> Result<(), Fault> {
        let Some(depth) = depth.checked_sub(1) else {
            self.dirty = true;
            return Ok(());
        };
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next_field()? {
            match (number, value) {
                (1, Field::Bytes(pair)) if is_map => self.pair(pair, depth)?,
                (1, Field::Bytes(any)) => self.value(any, depth)?,
                (1, _) => return Err(wrong("ArrayValue or KeyValueList", number)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Almost all texts are short ASCII, which is found out faster than that something is UTF-8.
    #[inline]
    fn text(&mut self, bytes: &[u8]) {
        if bytes.len() > self.bounds.text || !(is_ascii(bytes) || std::str::from_utf8(bytes).is_ok()) {
            self.dirty = true;
        }
    }
}

/// As `<[u8]>::is_ascii`, but inlined and without loops for the shortest texts.
#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let Some(last) = bytes.last_chunk::<8>() else {
        return bytes.iter().fold(0, |all, byte| all | byte) < 0x80;
    };
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().fold(u64::from_le_bytes(*last), |all, word| all | u64::from_le_bytes(*word)) & HIGH == 0
}

/// A parent's id of another length than 8 bytes still says that there is a parent: its last 8 bytes are the id. It
/// is found under that number or the span is an orphan, which repair counts; the span is never lost for it.
fn lenient_id(bytes: &[u8]) -> SpanId {
    SpanId(bytes.iter().fold(0, |id, &byte| id << 8 | u64::from(byte)))
}

/// OTLP span flags: 0x100 says that 0x200 is known, 0x200 that the parent is remote. All other bits mean something else.
pub(super) const fn parent_marks(flags: u32) -> SpanMarks {
    match flags & 0x300 {
        0x300 => SpanMarks::REMOTE_PARENT,
        0x100 => SpanMarks::LOCAL_PARENT,
        _ => SpanMarks(0),
    }
}

/// What else the items of a record can be: all OTLP requests look alike down to here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Metrics,
    Logs,
}

/// Whether something that is no span is a metric or a log record, told by wire types that a span cannot have.
pub(super) fn other_signal(message: &[u8]) -> Option<Signal> {
    let mut fields = Fields::new(message);
    let (mut named, mut data) = (false, false);
    while let Ok(Some((number, value))) = fields.next_field() {
        match (number, value) {
            // LogRecord: time, observed time, severity number, flags.
            (1 | 11, Field::Fixed64(_)) | (2, Field::Varint(_)) | (8, Field::Fixed32(_)) => return Some(Signal::Logs),
            // Metric: sum and exponential histogram stand where spans have numbers.
            (7 | 10, Field::Bytes(_)) => return Some(Signal::Metrics),
            // Gauge, histogram and summary stand where spans have a name, attributes and events: the name and the
            // missing times decide.
            (1, Field::Bytes(name)) => named = !name.is_empty() && std::str::from_utf8(name).is_ok(),
            (5 | 9 | 11, Field::Bytes(_)) => data = true,
            (6, Field::Varint(_)) | (7 | 8, Field::Fixed64(_)) => return None,
            _ => {}
        }
    }
    (named && data).then_some(Signal::Metrics)
}
