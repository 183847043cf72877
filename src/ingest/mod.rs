//! Floor 2: bytes become traces.
//!
//! May use: `model`, `flate2`, `zstd`, `serde_json`. Never: files, network, clock.
//! Invariant: a readable container never fails as a whole; what was not used is a counted warning (spans in = used +
//! warned); no wire type leaves the room; every allocation is bounded by the bytes that really came.

pub mod batch;
pub mod context;
<<<<<<< HEAD
mod decompress;
mod framing;
pub mod json;
pub mod otlp_proto;
pub mod read;
pub mod select;
mod sniff;
=======
pub mod json;
>>>>>>> json

pub use batch::{Batch, Sink};
pub use context::{Context, Format, InputFormat, ReadError, ReadReport};
