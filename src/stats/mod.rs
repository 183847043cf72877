//! Floor 0: numbers only. Binned samples, tests, intervals, multiplicity.
//!
//! May use: `std`, `statrs`. Never: anything of the model, files, clock.
//! Invariant: same numbers in, same numbers out, in whatever order they came.

pub mod absence;
pub mod change_point;
pub mod counts;
mod discrete;
pub mod distribution;
pub mod drift;
mod ecdf;
pub mod histogram;
pub mod multiple;
pub mod power;
pub mod prediction;
pub mod quantile;
mod random;
pub mod rank;
mod root;
pub mod sequential;
pub mod shape;
pub mod shift;

pub use histogram::{Cell, Histogram};
pub use shift::Interval;
