//! Floor 2: bytes become traces.

pub mod batch;
pub mod context;
pub mod drain;
pub mod identity;
pub mod rules;
pub mod template;

pub use batch::{Batch, Sink};
pub use context::{Context, Format, InputFormat, ReadError, ReadReport};
pub use identity::{Ruled, identify, unify};
pub use rules::{Effect, OperationRule, Rules};
