//! Floor 3: an alignment becomes a [`Diff`]: findings, attribution, suspects.

pub mod types;

pub use types::*;
