//! Floor 1: what a trace is. Spans, traces, operations, attributes, warnings, limits.
//!
//! May use: `indexmap`, `foldhash`. Never: serde, clock, files, OpenTelemetry types.
//! Invariant: a value built by its constructor is valid, and every walk over data that came from outside is bounded.

pub mod attributes;
pub mod canonical;
pub mod drain;
pub mod facts;
pub mod fixture;
pub mod id;
pub mod limits;
pub mod masking;
pub mod operation;
pub mod packer;
pub mod pair;
pub mod profile;
pub mod semconv;
pub mod span;
pub mod statement;
pub mod symbol;
pub mod times;
pub mod trace;
pub mod units;
pub mod warning;
pub mod wire;

pub use attributes::{Attributes, Event, Link, Part, Parts, Value};
pub use id::{SpanId, TraceId};
pub use limits::Limits;
pub use operation::{Operation, OperationId, Operations};
pub use pair::{Pair, Side};
pub use span::{Body, Kind, NO_PARENT, Span, SpanMarks, Status};
pub use symbol::{Symbol, Symbols};
pub use trace::{Resource, Scope, SpanStore, Trace};
pub use warning::{Warning, Warnings};
