//! Floor 0: numbers only. Binned samples, tests, intervals, multiplicity.
//!
//! May use: `std`, `statrs`. Never: anything of the model, files, clock.
//! Invariant: same numbers in, same numbers out, in whatever order they came.

pub mod distribution;
mod ecdf;
pub mod histogram;
pub mod multiple;
pub mod rank;
mod root;
pub mod shift;

pub use histogram::{Cell, Histogram};
pub use shift::Interval;
