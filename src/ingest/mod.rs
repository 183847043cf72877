//! Floor 2: bytes become traces.

pub mod batch;

pub use batch::{Batch, Sink};
