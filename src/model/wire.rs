//! The protobuf wire format over borrowed bytes: the one place that reads and writes tags, varints and lengths.
//!
//! The model keeps attributes, events and links packed (see [`super::attributes`]), ingest reads OTLP and generate
//! writes it: all three use this.

/// Why bytes are not protobuf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The message ends in the middle of a field.
    Truncated,
    /// A varint of more than ten bytes.
    LongVarint,
    /// Field number 0, or wire type 3, 4, 6 or 7 (groups are not used by OTLP).
    BadTag,
}

impl std::fmt::Display for WireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            WireError::Truncated => "the message is cut in the middle of a field",
            WireError::LongVarint => "a varint is longer than ten bytes",
            WireError::BadTag => "a field tag is not valid protobuf",
        })
    }
}

/// The value of one field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: bytes, text or a nested message.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

/// Walks the fields of one message. After an error it is finished.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of `message`.
    pub const fn new(message: &'a [u8]) -> Self {
        Fields { rest: message }
    }

    /// What has not been read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field's number and value; `None` at the end.
    #[inline]
    pub fn next_field(&mut self) -> Result<Option<(u32, Field<'a>)>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let result = self.read_field();
        if result.is_err() {
            self.rest = &[];
        }
        result.map(Some)
    }

    /// The payload of the next field if it has this tag of one byte, wire type 2 and a length of one byte: nearly
    /// every attribute is read this way, and it is several times faster than [`Fields::next_field`].
    #[inline]
    pub fn next_short(&mut self, tag: u8) -> Option<&'a [u8]> {
        let [first, len @ ..0x80, rest @ ..] = self.rest else { return None };
        if *first != tag {
            return None;
        }
        let (payload, rest) = rest.split_at_checked(usize::from(*len))?;
        self.rest = rest;
        Some(payload)
    }

    /// The payload of the next field `number` of wire type 2, others skipped; `None` at the end or where the message
    /// is malformed.
    #[inline]
    pub fn next_bytes(&mut self, number: u32) -> Option<&'a [u8]> {
        loop {
            if let [tag @ ..0x80, len @ ..0x80, rest @ ..] = self.rest
                && tag & 7 == 2
                && let Some((payload, rest)) = rest.split_at_checked(usize::from(*len))
            {
                self.rest = rest;
                if u32::from(tag >> 3) == number {
                    return Some(payload);
                }
                continue;
            }
            if let [tag @ ..0x80, rest @ ..] = self.rest
                && tag & 7 == 1
                && let Some((_, rest)) = rest.split_first_chunk::<8>()
            {
                self.rest = rest;
                continue;
            }
            match self.next_field() {
                Ok(Some((found, Field::Bytes(payload)))) if found == number => return Some(payload),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// The number and what there is of the payload of a field of wire type 2 that is cut off.
    pub fn cut_bytes(self) -> Option<(u32, &'a [u8])> {
        let mut rest = self.rest;
        let tag = read_varint(&mut rest).ok()?;
        read_varint(&mut rest).ok()?;
        (tag & 7 == 2).then_some((u32::try_from(tag >> 3).ok()?, rest))
    }

    #[inline]
    fn read_field(&mut self) -> Result<(u32, Field<'a>), WireError> {
        let tag = read_varint(&mut self.rest)?;
        let number = u32::try_from(tag >> 3).map_err(|_| WireError::BadTag)?;
        if number == 0 {
            return Err(WireError::BadTag);
        }
        let field = match tag & 7 {
            0 => Field::Varint(read_varint(&mut self.rest)?),
            1 => {
                let (head, rest) = self.rest.split_first_chunk::<8>().ok_or(WireError::Truncated)?;
                self.rest = rest;
                Field::Fixed64(u64::from_le_bytes(*head))
            }
            2 => {
                let len = usize::try_from(read_varint(&mut self.rest)?).map_err(|_| WireError::Truncated)?;
                let (head, rest) = self.rest.split_at_checked(len).ok_or(WireError::Truncated)?;
                self.rest = rest;
                Field::Bytes(head)
            }
            5 => {
                let (head, rest) = self.rest.split_first_chunk::<4>().ok_or(WireError::Truncated)?;
                self.rest = rest;
                Field::Fixed32(u32::from_le_bytes(*head))
            }
            _ => return Err(WireError::BadTag),
        };
        Ok((number, field))
    }
}

/// Key and value of a `KeyValue` message that is written as nearly all are: the key, then the value, nothing else,
/// lengths of one byte.
#[inline]
pub fn plain_pair(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = Fields::new(message);
    let key = fields.next_short(0x0a)?;
    let value = fields.next_short(0x12)?;
    fields.rest.is_empty().then_some((key, value))
}

/// Reads one varint off the front of `bytes`.
#[inline]
pub fn read_varint(bytes: &mut &[u8]) -> Result<u64, WireError> {
    if let Some((&first, rest)) = bytes.split_first()
        && first < 0x80
    {
        *bytes = rest;
        return Ok(u64::from(first));
    }
    read_long_varint(bytes)
}

fn read_long_varint(bytes: &mut &[u8]) -> Result<u64, WireError> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * index as u32);
        if byte < 0x80 {
            *bytes = bytes.get(index + 1..).unwrap_or_default();
            return Ok(value);
        }
    }
    Err(if bytes.len() < 10 { WireError::Truncated } else { WireError::LongVarint })
}

/// Appends protobuf fields to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

/// A nested message that was begun and not ended yet.
#[derive(Debug)]
#[must_use = "a nested message must be ended"]
pub struct Open(usize);

impl Writer {
    /// An empty buffer.
    pub const fn new() -> Self {
        Writer { bytes: Vec::new() }
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What was written so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes were written so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes back everything behind the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Bytes that are whole fields already.
    pub fn raw(&mut self, fields: &[u8]) {
        self.bytes.extend_from_slice(fields);
    }

    /// A bare varint.
    #[inline]
    pub fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// A varint field, also when it is zero.
    #[inline]
    pub fn varint(&mut self, number: u32, value: u64) {
        self.raw_varint(u64::from(number) << 3);
        self.raw_varint(value);
    }

    /// A fixed 64-bit field.
    #[inline]
    pub fn fixed64(&mut self, number: u32, value: u64) {
        self.raw_varint(u64::from(number) << 3 | 1);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A fixed 32-bit field.
    #[inline]
    pub fn fixed32(&mut self, number: u32, value: u32) {
        self.raw_varint(u64::from(number) << 3 | 5);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A field of bytes or text.
    #[inline]
    pub fn bytes_field(&mut self, number: u32, value: &[u8]) {
        self.raw_varint(u64::from(number) << 3 | 2);
        self.raw_varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// Begins a nested message.
    #[inline]
    pub fn begin(&mut self, number: u32) -> Open {
        self.raw_varint(u64::from(number) << 3 | 2);
        self.bytes.push(0);
        Open(self.bytes.len())
    }

    /// Ends a nested message: one length byte was reserved, which is enough for most; longer ones are shifted.
    #[inline]
    #[allow(clippy::needless_pass_by_value, reason = "the token is used up so that it cannot be ended twice")]
    pub fn end(&mut self, open: Open) {
        let len = self.bytes.len() - open.0;
        if len < 0x80 {
            if let Some(slot) = self.bytes.get_mut(open.0 - 1) {
                *slot = len as u8;
            }
            return;
        }
        let mut header = Writer::new();
        header.raw_varint(len as u64);
        self.bytes.splice(open.0 - 1..open.0, header.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut writer = Writer::new();
        writer.varint(1, 300);
        let open = writer.begin(2);
        writer.bytes_field(3, &[7; 200]);
        writer.end(open);
        writer.fixed64(4, u64::MAX);
        writer.fixed32(5, 7);
        let bytes = writer.into_bytes();
        let mut fields = Fields::new(&bytes);
        assert_eq!(fields.next_field(), Ok(Some((1, Field::Varint(300)))));
        let Ok(Some((2, Field::Bytes(nested)))) = fields.next_field() else { panic!("field 2") };
        assert_eq!(Fields::new(nested).next_field(), Ok(Some((3, Field::Bytes(&[7; 200])))));
        assert_eq!(fields.next_field(), Ok(Some((4, Field::Fixed64(u64::MAX)))));
        assert_eq!(fields.next_field(), Ok(Some((5, Field::Fixed32(7)))));
        assert_eq!(fields.next_field(), Ok(None));
    }

    #[test]
    fn the_fast_ways_read_the_same_as_the_slow_one() {
        let mut writer = Writer::new();
        writer.bytes_field(9, b"short");
        writer.fixed64(7, 1);
        writer.bytes_field(9, &[1; 200]);
        writer.bytes_field(200, b"high");
        writer.bytes_field(9, b"");
        let bytes = writer.into_bytes();
        let mut fields = Fields::new(&bytes);
        assert_eq!(fields.next_short(0x52), None);
        assert_eq!(fields.next_short(0x4a), Some(&b"short"[..]));
        assert_eq!(fields.next_short(0x4a), None, "field 7 comes first");
        assert_eq!(fields.next_bytes(9), Some(&[1; 200][..]));
        assert_eq!(fields.next_bytes(200), Some(&b"high"[..]));
        assert_eq!(fields.next_bytes(9), Some(&b""[..]));
        assert_eq!(fields.next_bytes(9), None);
        assert_eq!(Fields::new(&[0x4a, 5, 1]).next_bytes(9), None, "cut");
        assert_eq!(plain_pair(b"\x0a\x01k\x12\x02\x18\x07"), Some((&b"k"[..], &b"\x18\x07"[..])));
        for odd in [&b"\x12\x00\x0a\x01k"[..], b"\x0a\x01k", b"\x0a\x01k\x12\x00\x18\x01", b"\x0a\x80\x01", b""] {
            assert_eq!(plain_pair(odd), None);
        }
    }

    #[test]
    fn broken_bytes_are_errors_not_panics() {
        for (bytes, error) in [
            (&[0x0a, 0x05, 1][..], WireError::Truncated),
            (&[0x80], WireError::Truncated),
            (&[0xff; 11], WireError::LongVarint),
            (&[0x0b], WireError::BadTag),
            (&[0x00, 0x01], WireError::BadTag),
            (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], WireError::Truncated),
        ] {
            let mut fields = Fields::new(bytes);
            assert_eq!(fields.next_field(), Err(error), "{bytes:?}");
            assert_eq!(fields.next_field(), Ok(None), "finished after an error");
        }
    }
}
