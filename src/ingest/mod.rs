//! Floor 2: bytes become traces.

pub mod assemble;
pub mod batch;
pub mod context;
pub mod drain;
pub mod identity;
pub mod rules;
mod skew;
pub mod template;

pub use assemble::assemble;
pub use batch::{Batch, Sink};
pub use context::{Context, Format, InputFormat, ReadError, ReadReport};
pub use identity::{Ruled, identify, unify};
pub use rules::{Effect, OperationRule, Rules};
