//! Floor 2: bytes become traces, and traces profiles.
//!
//! May use: `model`, `flate2`, `zstd`, `memchr`, `base64`, `jiff`, `petgraph`, `prost` (profiles), `regex`
//! (conditions), `serde` and `toml` (the user's rules).
//! Never: files, network, clock.
//! Invariant: a readable container never fails as a whole; what was not used is a counted warning (spans in = used +
//! warned); no wire type leaves the room; every allocation is bounded by the bytes that really came.

pub mod assemble;
pub mod batch;
pub mod census;
pub mod context;
mod decompress;
pub mod filter;
pub mod fold;
mod framing;
mod gather;
pub mod identity;
pub mod json;
pub mod live;
pub mod otlp_proto;
pub mod population;
pub mod profile_codec;
pub mod read;
pub mod rules;
pub mod sampling;
pub mod select;
mod skew;
mod sniff;
pub mod template;

pub use assemble::assemble;
pub use batch::{Batch, Sink};
pub use context::{Context, Format, InputFormat, ReadError, ReadReport};
pub use fold::Folder;
pub use identity::{Ruled, identify, unify};
pub use rules::{Effect, OperationRule, Rules};
