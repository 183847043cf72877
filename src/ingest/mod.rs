//! Floor 2: bytes become traces.

pub mod batch;
pub mod context;
pub mod json;

pub use batch::{Batch, Sink};
pub use context::{Context, Format, InputFormat, ReadError, ReadReport};
