//! Trace and span ids as the formats write them.

use crate::model::{SpanId, TraceId};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The value of a hex digit by its byte, 16 for anything else.
const HEX: [u8; 256] = hex_table();

const fn hex_table() -> [u8; 256] {
    let mut table = [16; 256];
    let mut digit = 0;
    while digit < 10 {
        table[b'0' as usize + digit] = digit as u8;
        digit += 1;
    }
    let mut letter = 0;
    while letter < 6 {
        table[b'a' as usize + letter] = 10 + letter as u8;
        table[b'A' as usize + letter] = 10 + letter as u8;
        letter += 1;
    }
    table
}

/// Standard base64, padded or not.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Bytes of standard or URL-safe base64, padded or not; `None` for anything else.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    if text.contains(['-', '_']) {
        return LENIENT.decode(text.replace('-', "+").replace('_', "/")).ok();
    }
    LENIENT.decode(text).ok()
}

/// The number that 1 to 32 hex digits of any case write.
#[inline]
fn hex(text: &str) -> Option<u128> {
    if text.is_empty() || text.len() > 32 {
        return None;
    }
    let (mut value, mut bad) = (0u128, 0u8);
    for chunk in text.as_bytes().chunks(16) {
        let mut part = 0u64;
        for byte in chunk {
            let digit = HEX.get(usize::from(*byte)).copied().unwrap_or(16);
            bad |= digit;
            part = part << 4 | u64::from(digit);
        }
        value = value << (4 * chunk.len()) | u128::from(part);
    }
    (bad < 16).then_some(value)
}

/// An id of OTLP/JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Id<T> {
    /// Empty or all zeros.
    None,
    /// Of a wrong length or with other characters.
    Invalid,
    /// Hex, as the specification asks for.
    Hex(T),
    /// Base64, as Tempo and Grafana write it.
    Base64(T),
}

impl<T> Id<T> {
    /// The id, if there is a valid one.
    pub(super) fn valid(self) -> Option<T> {
        match self {
            Id::Hex(id) | Id::Base64(id) => Some(id),
            Id::None | Id::Invalid => None,
        }
    }
}

/// A trace id: 32 hex digits, or 16 bytes in base64.
#[inline]
pub(super) fn otlp_trace_id(text: &str) -> Id<TraceId> {
    match text.len() {
        32 => number(hex(text).map(TraceId), &TraceId(0), Id::Hex),
        22 | 24 => {
            let bytes = base64(text).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
            number(bytes.map(|bytes| TraceId(u128::from_be_bytes(bytes))), &TraceId(0), Id::Base64)
        }
        0 => Id::None,
        _ => Id::Invalid,
    }
}

/// A span id: 16 hex digits, or 8 bytes in base64.
#[inline]
pub(super) fn otlp_span_id(text: &str) -> Id<SpanId> {
    match text.len() {
        16 => number(hex(text).map(|id| SpanId(id as u64)), &SpanId::NONE, Id::Hex),
        11 | 12 => {
            let bytes = base64(text).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
            number(bytes.map(|bytes| SpanId(u64::from_be_bytes(bytes))), &SpanId::NONE, Id::Base64)
        }
        0 => Id::None,
        _ => Id::Invalid,
    }
}

#[inline]
fn number<T: PartialEq>(id: Option<T>, zero: &T, found: impl Fn(T) -> Id<T>) -> Id<T> {
    match id {
        None => Id::Invalid,
        Some(id) if id == *zero => Id::None,
        Some(id) => found(id),
    }
}

/// A trace id of 1 to 32 hex digits: Jaeger strips zeros, Zipkin may use 64 bits.
pub(super) fn short_trace_id(text: &str) -> Id<TraceId> {
    if text.is_empty() { Id::None } else { number(hex(text).map(TraceId), &TraceId(0), Id::Hex) }
}

/// A span id of 1 to 16 hex digits.
pub(super) fn short_span_id(text: &str) -> Id<SpanId> {
    match text.len() {
        0 => Id::None,
        1..=16 => number(hex(text).map(|id| SpanId(id as u64)), &SpanId::NONE, Id::Hex),
        _ => Id::Invalid,
    }
}

/// A parent's id. One of another length or with other characters still says that there is a parent: the span is kept
/// and becomes an orphan unless a span has that number.
pub(super) fn parent(text: &str, id: Id<SpanId>) -> SpanId {
    match id {
        Id::Hex(id) | Id::Base64(id) => id,
        Id::None => SpanId::NONE,
        Id::Invalid => SpanId(match hex(text) {
            Some(id) => id as u64,
            None => text.bytes().fold(0, |id, byte| id << 8 | u64::from(byte)),
        }),
    }
}

/// Without the `0x` that Python's console exporter writes.
pub(super) fn without_prefix(text: &str) -> &str {
    text.strip_prefix("0x").unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn otlp_ids_are_hex_of_any_case_or_base64() {
        let id = TraceId(0x5b8e_fff7_9803_8103_d269_b633_813f_c60c);
        for text in
            ["5b8efff798038103d269b633813fc60c", "5B8EFFF798038103D269B633813FC60C", "5B8efff798038103d269B633813fc60C"]
        {
            assert_eq!(otlp_trace_id(text), Id::Hex(id), "{text}");
        }
        assert_eq!(otlp_trace_id("W47/95gDgQPSabYzgT/GDA=="), Id::Base64(id));
        assert_eq!(otlp_trace_id("W47_95gDgQPSabYzgT_GDA"), Id::Base64(id));
        let id = SpanId(0xeee1_9b7e_c3c1_b174);
        assert_eq!(otlp_span_id("EEE19B7EC3C1B174"), Id::Hex(id));
        assert_eq!(otlp_span_id("7uGbfsPBsXQ="), Id::Base64(id));
        assert_eq!(otlp_span_id("7uGbfsPBsXQ"), Id::Base64(id));
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in [
            "5b8efff798038103",
            "0x8efff798038103d269b633813fc60c",
            "5b8efff798038103d269b633813fc60",
            "ä".repeat(16).as_str(),
            "!!!!!!!!!!!!!!!!!!!!!!!!",
        ] {
            assert_eq!(otlp_trace_id(text), Id::Invalid, "{text}");
        }
        assert_eq!(otlp_trace_id(""), Id::None);
        assert_eq!(otlp_trace_id(&"0".repeat(32)), Id::None);
        for text in ["eee19b7ec3c1b17", "0xe19b7ec3c1b174", "eee19b7ec3c1b17g", "5"] {
            assert_eq!(otlp_span_id(text), Id::Invalid, "{text}");
        }
        assert_eq!(otlp_span_id("0000000000000000"), Id::None);
        assert_eq!(otlp_span_id("AAAAAAAAAAA="), Id::None);
    }

    #[test]
    fn short_ids_are_padded() {
        assert_eq!(short_trace_id("1e223ff1f80f1c69"), Id::Hex(TraceId(0x1e22_3ff1_f80f_1c69)));
        assert_eq!(short_span_id("1"), Id::Hex(SpanId(1)));
        assert_eq!(short_span_id("11112222333344445"), Id::Invalid);
        assert_eq!(short_trace_id("0"), Id::None);
        assert_eq!(without_prefix("0x1f"), "1f");
    }
}
