//! Trace and span ids: fixed-size, compared as numbers, printed as lower-case hex.

use std::fmt;

/// A 16-byte trace id, big-endian. Zero is invalid in OTLP; readers refuse it before it gets here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(pub u128);

/// An 8-byte span id, big-endian. Zero means "none" (a root's parent).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(pub u64);

impl TraceId {
    /// From the 16 bytes of the wire; `None` for another length or all zeros.
    pub fn from_bytes(bytes: &[u8]) -> Option<TraceId> {
        let id = u128::from_be_bytes(bytes.try_into().ok()?);
        (id != 0).then_some(TraceId(id))
    }
}

impl SpanId {
    /// No span: the parent of a root.
    pub const NONE: SpanId = SpanId(0);

    /// From the 8 bytes of the wire; `None` for another length or all zeros.
    pub fn from_bytes(bytes: &[u8]) -> Option<SpanId> {
        let id = u64::from_be_bytes(bytes.try_into().ok()?);
        (id != 0).then_some(SpanId(id))
    }

    /// Whether this is no id at all.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
