//! What the readers of all JSON formats share: a cursor over the document and the record it becomes.

use super::numbers::{Number, parse_number};
use super::record::{Draft, Record};
use super::tokens::{Cursor, Read, Scalar};
use crate::ingest::Batch;
use crate::model::{SpanMarks, Status, Value, Warning, Warnings};
use std::borrow::Cow;

/// Reads one document into one record.
pub(super) struct Reader<'a, 'c> {
    pub(super) cursor: Cursor<'a>,
    pub(super) record: Record<'c>,
}

/// A scalar value that owns or borrows its text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Leaf<'a> {
    Empty,
    Text(Cow<'a, str>),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(Vec<u8>),
}

impl Leaf<'_> {
    /// As the model's value.
    #[inline]
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Leaf::Empty => Value::Empty,
            Leaf::Text(text) => Value::Str(text),
            Leaf::Bool(flag) => Value::Bool(*flag),
            Leaf::Int(int) => Value::Int(*int),
            Leaf::Double(double) => Value::Double(*double),
            Leaf::Bytes(bytes) => Value::Bytes(bytes),
        }
    }
}

impl<'a> Reader<'a, '_> {
    /// Calls `item` at each element of an array.
    pub(super) fn each(&mut self, mut item: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        let mut first = true;
        self.cursor.enter_array()?;
        while self.cursor.next_element(&mut first)? {
            item(self)?;
        }
        Ok(())
    }

    /// Like [`Reader::each`] for at most `most` elements; the others are passed over and counted.
    #[inline]
    pub(super) fn each_within(&mut self, most: u64, mut item: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        let mut count = 0;
        let mut first = true;
        self.cursor.enter_array()?;
        while self.cursor.next_element(&mut first)? {
            count += 1;
            if count > most {
                self.cursor.skip()?;
                self.record.over_limit();
            } else {
                item(self)?;
            }
        }
        Ok(())
    }

    /// Calls `field` with each key of an object whose value is not `null`.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the closure's match on known keys belongs into the loop")]
    pub(super) fn fields(&mut self, mut field: impl FnMut(&mut Self, &str) -> Read<()>) -> Read<()> {
        let mut first = true;
        self.cursor.enter_object()?;
        while let Some(key) = self.cursor.next_field(&mut first)? {
            field(self, &key)?;
        }
        Ok(())
    }

    /// Reads one span at the cursor with `span`, which gives its draft and what `done` needs to assign resource and
    /// scope. A span that cannot be read is passed over and counted: it never costs its document.
    pub(super) fn guarded<T>(
        &mut self,
        span: impl FnOnce(&mut Self) -> Read<(Draft<'a>, T)>,
        done: impl FnOnce(&mut Self, T) -> Read<()>,
    ) -> Read<()> {
        // White space would count to the span.
        self.cursor.peek();
        let (at, start) = (self.cursor.at(), self.record.packer.len());
        self.record.left_out = false;
        let Ok((draft, rest)) = span(self) else {
            self.refuse_span(at, start);
            self.cursor.go(at);
            return self.cursor.skip_broken();
        };
        let end = self.cursor.at();
        if self.record.finish(draft, at) && done(self, rest).is_err() {
            self.record.spans.pop();
            // Its bytes stay: a resource that others share may lie behind them.
            self.refuse_span(at, self.record.packer.len());
        }
        self.cursor.go(end);
        Ok(())
    }

    #[cold]
    fn refuse_span(&mut self, at: usize, start: usize) {
        let (byte, why) = self.cursor.failure();
        self.record.refuse(start, || format!("span at byte {at} of its document: {why} at byte {byte}"));
    }

    /// A text within its limit.
    #[inline]
    pub(super) fn text(&mut self) -> Read<Cow<'a, str>> {
        let text = self.cursor.string()?;
        Ok(self.record.bounded(text))
    }

    /// A text; anything else that is a scalar as it stands in the document.
    pub(super) fn lenient_text(&mut self) -> Read<Cow<'a, str>> {
        if self.cursor.peek() == b'"' {
            return self.text();
        }
        Ok(match self.cursor.scalar()? {
            Scalar::Null => Cow::Borrowed(""),
            Scalar::Bool(flag) => Cow::Borrowed(if flag { "true" } else { "false" }),
            Scalar::Number(text) => Cow::Borrowed(text),
            Scalar::Text(text) => text,
        })
    }

    /// A count of things dropped, bounded by what its field can hold.
    pub(super) fn count(&mut self) -> Read<u32> {
        Ok(self.cursor.integer()?.clamp(0, i128::from(u32::MAX)) as u32)
    }

    /// A JSON scalar as the value it is. A list or map is kept as its JSON text.
    pub(super) fn plain_leaf(&mut self) -> Read<Leaf<'a>> {
        if matches!(self.cursor.peek(), b'{' | b'[') {
            let from = self.cursor.at();
            self.cursor.skip()?;
            let text = self.record.bounded(Cow::Borrowed(self.cursor.since(from)));
            return Ok(Leaf::Text(text));
        }
        Ok(match self.cursor.scalar()? {
            Scalar::Null => Leaf::Empty,
            Scalar::Bool(flag) => Leaf::Bool(flag),
            Scalar::Number(text) => number_leaf(text),
            Scalar::Text(text) => Leaf::Text(self.record.bounded(text)),
        })
    }

    /// Any JSON value as the inside of an `AnyValue` message, with `depth` levels of lists and maps left. With
    /// `doubles` numbers are floating point however they are written.
    pub(super) fn plain_value(&mut self, depth: u64, doubles: bool) -> Read<()> {
        let bracket = self.cursor.peek();
        if !matches!(bracket, b'{' | b'[') {
            let leaf = match self.plain_leaf()? {
                Leaf::Int(int) if doubles => Leaf::Double(int as f64),
                leaf => leaf,
            };
            self.record.packer.value(&leaf.value());
            return Ok(());
        }
        let Some(depth) = depth.checked_sub(1) else {
            self.cursor.skip()?;
            self.record.over_limit();
            return Ok(());
        };
        let list = self.record.packer.writer().begin(if bracket == b'[' { 5 } else { 6 });
        if bracket == b'[' {
            self.each(|reader| {
                let element = reader.record.packer.writer().begin(1);
                reader.plain_value(depth, doubles)?;
                reader.record.packer.writer().end(element);
                Ok(())
            })?;
        } else {
            self.plain_members(1, u64::MAX, depth)?;
        }
        self.record.packer.writer().end(list);
        Ok(())
    }

    /// A JSON object as attributes, at most `most`, in field `number` of the message being written.
    pub(super) fn plain_members(&mut self, number: u32, most: u64, depth: u64) -> Read<()> {
        let (mut first, mut count) = (true, 0);
        self.cursor.enter_object()?;
        while let Some(key) = self.cursor.next_member(&mut first)? {
            count += 1;
            if count > most {
                self.cursor.skip()?;
                self.record.over_limit();
                continue;
            }
            let key = self.record.bounded(key);
            let open = self.record.packer.begin_attribute(number, &key);
            self.plain_value(depth, false)?;
            self.record.packer.end_attribute(open);
        }
        Ok(())
    }

    /// The batch and what was noticed.
    pub(super) fn into_batch(mut self) -> (Batch, Warnings) {
        self.record.warnings.add(Warning::InvalidUtf8, self.cursor.bad_texts);
        self.record.into_batch()
    }
}

/// A number as the narrowest value that holds it; text if none does.
pub(super) fn number_leaf(text: &str) -> Leaf<'_> {
    match parse_number(text) {
        Some(Number::Whole(whole)) => i64::try_from(whole).map_or(Leaf::Text(Cow::Borrowed(text)), Leaf::Int),
        Some(Number::Real(real)) => Leaf::Double(real),
        None => Leaf::Text(Cow::Borrowed(text)),
    }
}

/// OTLP span flags: 0x100 says that 0x200 is known, 0x200 that the parent is remote. All other bits mean something else.
pub(super) const fn parent_marks(flags: u32) -> SpanMarks {
    match flags & 0x300 {
        0x300 => SpanMarks::REMOTE_PARENT,
        0x100 => SpanMarks::LOCAL_PARENT,
        _ => SpanMarks(0),
    }
}

/// A status by its number or by one of its names, with or without prefix, in any case.
pub(super) fn status_of(text: &str) -> Status {
    let word = text.rsplit(['_', '.']).next().unwrap_or_default();
    match word {
        "1" => Status::Ok,
        "2" => Status::Error,
        _ if word.eq_ignore_ascii_case("ok") => Status::Ok,
        _ if word.eq_ignore_ascii_case("error") => Status::Error,
        _ => Status::Unset,
    }
}
