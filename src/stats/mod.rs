//! Floor 0: numbers only. Binned samples, tests, intervals, multiplicity.
//!
//! May use: `std`, `statrs`. Never: anything of the model, files, clock.
//! Invariant: same numbers in, same numbers out, in whatever order they came.

pub mod histogram;

pub use histogram::{Cell, Histogram};
