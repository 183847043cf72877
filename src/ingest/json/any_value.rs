//! Attributes of OTLP/JSON: `[{"key":"…","value":{"stringValue":"…"}}]`.

use super::ids;
use super::numbers::{Number, parse_number};
use super::reader::{Leaf, Reader, number_leaf};
use super::tokens::{Read, Scalar};
use std::borrow::Cow;

impl<'a> Reader<'a, '_> {
    /// An array of `KeyValue`, as field `number` of the message being written.
    #[inline]
    pub(super) fn attributes(&mut self, number: u32) -> Read<()> {
        self.each_within(self.record.limits.attributes, |reader| {
            if reader.usual_pair(number) { Ok(()) } else { reader.key_value(number, reader.record.limits.value_depth) }
        })
    }

    /// A `KeyValue` in the very form in which exporters write nearly all: the key first, a scalar, no white space, no
    /// escapes. False and nothing read for any other, which [`Reader::key_value`] takes. Most of the bytes of a trace
    /// are such pairs.
    #[inline]
    fn usual_pair(&mut self, number: u32) -> bool {
        let back = self.cursor.at();
        if self.cursor.take_literal(b"{\"key\":\"")
            && let Some(key) = self.cursor.plain_text()
            && self.cursor.take_literal(b",\"value\":{\"")
            && let Some(leaf) = self.usual_leaf()
            && self.cursor.take_literal(b"}}")
            && key.len() as u64 <= self.record.limits.text_bytes
        {
            self.record.leaf(number, key, &leaf.value());
            return true;
        }
        self.cursor.go(back);
        false
    }

    #[inline]
    fn usual_leaf(&mut self) -> Option<Leaf<'a>> {
        if self.cursor.take_literal(b"stringValue\":\"") {
            let text = self.cursor.plain_text()?;
            return (text.len() as u64 <= self.record.limits.text_bytes).then_some(Leaf::Text(Cow::Borrowed(text)));
        }
        if self.cursor.take_literal(b"intValue\":") {
            return self.int_value().ok();
        }
        if self.cursor.take_literal(b"boolValue\":") {
            return self.bool_value().ok();
        }
        if self.cursor.take_literal(b"doubleValue\":") {
            return self.double_value().ok();
        }
        None
    }

    /// One `KeyValue`; `depth` levels of lists and maps are left.
    #[inline]
    fn key_value(&mut self, number: u32, depth: u64) -> Read<()> {
        let mut name: Cow<'a, str> = Cow::Borrowed("");
        let mut value = Leaf::Empty;
        // A list or map is written at once; its key then follows behind it.
        let start = self.record.packer.len();
        let mut open = None;
        let mut first = true;
        self.cursor.enter_object()?;
        while let Some(key) = self.cursor.next_field(&mut first)? {
            if key == "key" {
                name = self.text()?;
            } else if key == "value" {
                // Of a repeated value the last one wins.
                open = None;
                self.record.packer.writer().truncate(start);
                if let Some(leaf) = self.leaf()? {
                    value = leaf;
                } else {
                    open = Some(self.record.packer.writer().begin(number));
                    let inner = self.record.packer.writer().begin(2);
                    self.any_value(depth)?;
                    self.record.packer.writer().end(inner);
                }
            } else {
                self.cursor.skip()?;
            }
        }
        if let Some(outer) = open {
            let writer = self.record.packer.writer();
            writer.bytes_field(1, name.as_bytes());
            writer.end(outer);
        } else {
            self.record.leaf(number, &name, &value.value());
        }
        Ok(())
    }

    /// An `AnyValue` with one scalar member, which nearly all are; `None` and nothing read for any other.
    #[inline]
    fn leaf(&mut self) -> Read<Option<Leaf<'a>>> {
        let back = self.cursor.at();
        let mut first = true;
        self.cursor.enter_object()?;
        if let Some(key) = self.cursor.next_member(&mut first)?
            && let Some(leaf) = self.scalar_member(&key)?
            && self.cursor.take(b'}')
        {
            return Ok(Some(leaf));
        }
        self.cursor.go(back);
        Ok(None)
    }

    /// The scalar member `key` of an `AnyValue`; `None` and nothing read if it is none.
    #[inline]
    fn scalar_member(&mut self, key: &str) -> Read<Option<Leaf<'a>>> {
        if self.cursor.peek() == b'n' {
            return Ok(self.cursor.take_null().then_some(Leaf::Empty));
        }
        Ok(Some(match key {
            "stringValue" => Leaf::Text(self.lenient_text()?),
            "intValue" => self.int_value()?,
            "boolValue" => self.bool_value()?,
            "doubleValue" => self.double_value()?,
            "bytesValue" => self.bytes_value()?,
            "string_value" | "int_value" | "bool_value" | "double_value" | "bytes_value" => {
                self.record.snake_case = true;
                let camel = match key {
                    "string_value" => "stringValue",
                    "int_value" => "intValue",
                    "bool_value" => "boolValue",
                    "double_value" => "doubleValue",
                    _ => "bytesValue",
                };
                return self.scalar_member(camel);
            }
            _ => return Ok(None),
        }))
    }

    /// Any `AnyValue`, as the inside of its message. Recurses as deep as the limit allows.
    fn any_value(&mut self, depth: u64) -> Read<()> {
        let start = self.record.packer.len();
        let mut first = true;
        self.cursor.enter_object()?;
        while let Some(key) = self.cursor.next_field(&mut first)? {
            let is_list = match &*key {
                "arrayValue" | "array_value" => true,
                "kvlistValue" | "kvlist_value" => false,
                key => {
                    match self.scalar_member(key)? {
                        None => self.cursor.skip()?,
                        Some(leaf) => {
                            self.record.packer.writer().truncate(start);
                            self.record.packer.value(&leaf.value());
                        }
                    }
                    continue;
                }
            };
            self.record.snake_case |= key.contains('_');
            self.record.packer.writer().truncate(start);
            let Some(depth) = depth.checked_sub(1) else {
                self.cursor.skip()?;
                self.record.over_limit();
                continue;
            };
            let open = self.record.packer.writer().begin(if is_list { 5 } else { 6 });
            self.values(is_list, depth)?;
            self.record.packer.writer().end(open);
        }
        Ok(())
    }

    /// The object around a list or map.
    fn values(&mut self, is_list: bool, depth: u64) -> Read<()> {
        let start = self.record.packer.len();
        let mut first = true;
        self.cursor.enter_object()?;
        while let Some(key) = self.cursor.next_field(&mut first)? {
            if key != "values" {
                self.cursor.skip()?;
                continue;
            }
            self.record.packer.writer().truncate(start);
            self.each(|reader| {
                if !is_list {
                    return reader.key_value(1, depth);
                }
                let element = reader.record.packer.writer().begin(1);
                if !reader.cursor.take_null() {
                    reader.any_value(depth)?;
                }
                reader.record.packer.writer().end(element);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// An integer; what is none or too large keeps its value in another form.
    fn int_value(&mut self) -> Read<Leaf<'a>> {
        let at = self.cursor.at();
        if let Ok(whole) = self.cursor.integer()
            && let Ok(int) = i64::try_from(whole)
            && !self.cursor.since(at).contains(['.', 'e', 'E'])
        {
            return Ok(Leaf::Int(int));
        }
        self.cursor.go(at);
        Ok(match self.cursor.scalar()? {
            Scalar::Null => Leaf::Empty,
            Scalar::Bool(flag) => Leaf::Bool(flag),
            Scalar::Number(text) => number_leaf(text),
            Scalar::Text(text) => match number_leaf(&text) {
                Leaf::Int(int) => Leaf::Int(int),
                Leaf::Double(double) => Leaf::Double(double),
                _ => Leaf::Text(self.record.bounded(text)),
            },
        })
    }

    fn bool_value(&mut self) -> Read<Leaf<'a>> {
        Ok(match self.cursor.scalar()? {
            Scalar::Null => Leaf::Empty,
            Scalar::Bool(flag) => Leaf::Bool(flag),
            Scalar::Number(text) => number_leaf(text),
            Scalar::Text(text) => match &*text {
                "true" => Leaf::Bool(true),
                "false" => Leaf::Bool(false),
                _ => Leaf::Text(self.record.bounded(text)),
            },
        })
    }

    fn double_value(&mut self) -> Read<Leaf<'a>> {
        let text = match self.cursor.scalar()? {
            Scalar::Null => return Ok(Leaf::Empty),
            Scalar::Bool(flag) => return Ok(Leaf::Bool(flag)),
            Scalar::Number(text) => Cow::Borrowed(text),
            Scalar::Text(text) => text,
        };
        Ok(match text.parse::<f64>() {
            Ok(double) if text.ends_with(|last: char| last.is_ascii_digit() || last == '.') => Leaf::Double(double),
            _ => match parse_number(&text) {
                Some(Number::Real(real)) => Leaf::Double(real),
                Some(Number::Whole(whole)) => Leaf::Double(whole as f64),
                None => Leaf::Text(self.record.bounded(text)),
            },
        })
    }

    fn bytes_value(&mut self) -> Read<Leaf<'a>> {
        let text = self.cursor.string()?;
        Ok(match ids::base64(&text) {
            Some(mut bytes) => {
                if bytes.len() as u64 > self.record.limits.text_bytes {
                    bytes.truncate(self.record.limits.text_bytes as usize);
                    self.record.over_limit();
                }
                Leaf::Bytes(bytes)
            }
            None => Leaf::Text(self.record.bounded(text)),
        })
    }
}
