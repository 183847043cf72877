//! Many traces against many traces: folded trees, aligned as those of a pair, and judged by tests.
//!
//! `compare` runs the steps in order. Each looks at one thing and adds drafts, as for a pair.

mod attributes;
mod context;
mod counts;
mod first_seen;
mod instances;
mod links;
mod services;
mod shape;
mod unify;
mod work;

#[cfg(test)]
#[path = "tests/finders.rs"]
mod finder_tests;
