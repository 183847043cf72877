//! Many traces against many traces: folded trees, aligned as those of a pair, and judged by tests.
//!
//! `compare` runs the steps in order. Each looks at one thing and adds drafts, as for a pair.

mod unify;
mod work;
