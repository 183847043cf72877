//! Floor 3: an alignment becomes a [`Diff`]: findings, attribution, suspects.

pub mod options;
pub mod types;

pub use options::DiffOptions;
pub use types::*;
