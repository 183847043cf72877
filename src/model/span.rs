//! One span: the fields that every walk needs in a flat record, the rest as a slice of packed bytes.

use super::{OperationId, SpanId, Symbol, TraceId};

/// The parent index of a root.
pub const NO_PARENT: u32 = u32::MAX;

/// Span kind. OTLP's "unspecified" is read as internal, as its specification allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Work inside a service.
    #[default]
    Internal = 1,
    /// A request received.
    Server = 2,
    /// A request sent.
    Client = 3,
    /// A message sent.
    Producer = 4,
    /// A message received.
    Consumer = 5,
}

impl Kind {
    /// From OTLP's number; unknown numbers count as internal.
    pub const fn from_otlp(number: u64) -> Kind {
        match number {
            2 => Kind::Server,
            3 => Kind::Client,
            4 => Kind::Producer,
            5 => Kind::Consumer,
            _ => Kind::Internal,
        }
    }

    /// The lower-case word of the specification.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Internal => "internal",
            Kind::Server => "server",
            Kind::Client => "client",
            Kind::Producer => "producer",
            Kind::Consumer => "consumer",
        }
    }

    /// Whether the span calls or sends to somebody else.
    pub const fn is_outgoing(self) -> bool {
        matches!(self, Kind::Client | Kind::Producer)
    }

    /// Whether the span was caused by somebody else's call or message.
    pub const fn is_incoming(self) -> bool {
        matches!(self, Kind::Server | Kind::Consumer)
    }
}

/// Span status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Status {
    /// Not set.
    #[default]
    Unset = 0,
    /// Explicitly fine.
    Ok = 1,
    /// Failed.
    Error = 2,
}

impl Status {
    /// From OTLP's number; unknown numbers count as unset.
    pub const fn from_otlp(number: u64) -> Status {
        match number {
            1 => Status::Ok,
            2 => Status::Error,
            _ => Status::Unset,
        }
    }
}

/// What was noticed about a span while reading and repairing it, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SpanMarks(pub u8);

impl SpanMarks {
    /// The parent is in another process (OTLP span flags 0x100 and 0x200 both set).
    pub const REMOTE_PARENT: SpanMarks = SpanMarks(1);
    /// The flags say that the parent is local (0x100 set, 0x200 not).
    pub const LOCAL_PARENT: SpanMarks = SpanMarks(2);
    /// The sender dropped attributes, events or links: what is missing is unknown, not removed.
    pub const DROPPED: SpanMarks = SpanMarks(4);
    /// Its interval was shifted (clock skew) or cut (outside the parent): time claims about it are weak.
    pub const CLIPPED: SpanMarks = SpanMarks(8);
    /// A second root that was hung under the first.
    pub const DETACHED: SpanMarks = SpanMarks(16);
    /// Its parent was missing: it hangs where repair put it.
    pub const ORPHAN: SpanMarks = SpanMarks(32);
    /// Zipkin's `shared`: this server span carries its client's span id.
    pub const SHARED: SpanMarks = SpanMarks(64);
    /// Hung under its linked producer for display; takes no part in its parent's time.
    pub const LINKED: SpanMarks = SpanMarks(128);

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: SpanMarks) -> bool {
        self.0 & other.0 == other.0
    }

    /// These bits too.
    #[must_use]
    pub const fn with(self, other: SpanMarks) -> SpanMarks {
        SpanMarks(self.0 | other.0)
    }
}

/// Where a packed message lies: a chunk of its store, an offset and a length in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Body {
    /// Index into the store's chunks.
    pub chunk: u32,
    /// Offset in the chunk.
    pub start: u32,
    /// Length.
    pub len: u32,
}

/// One span. Attributes, events, links and the status message stay in `body` (see [`super::attributes`]).
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// Its own id.
    pub id: SpanId,
    /// The id of its parent as it was sent; [`SpanId::NONE`] for a root.
    pub parent_id: SpanId,
    /// Start, nanoseconds since 1970.
    pub start_ns: u64,
    /// End, nanoseconds since 1970; after repair never before the start.
    pub end_ns: u64,
    /// Display name as it was sent.
    pub name: Symbol,
    /// Index into the store's resources.
    pub resource: u32,
    /// Index into the store's scopes.
    pub scope: u32,
    /// Its packed OTLP `Span` message.
    pub body: Body,
    /// Its operation, once identified.
    pub operation: OperationId,
    /// Index of its parent in the trace, once assembled; [`NO_PARENT`] for a root.
    pub parent: u32,
    /// Kind.
    pub kind: Kind,
    /// Status.
    pub status: Status,
    /// What was noticed about it.
    pub marks: SpanMarks,
}

impl Span {
    /// End minus start in nanoseconds; zero for a span that ends before it starts.
    pub const fn duration_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }
}
