//! Floor 3: an alignment becomes a [`Diff`]: findings, attribution, suspects.
//!
//! May use: model, align, stats, petgraph. Never: serde, report.
//! Invariant: a [`Diff`] is complete: no reader computes anything.
//!
//! `pair::compare` runs the steps in order. Each looks at one thing and adds `draft`s: `structure` what came,
//! went, moved; `errors`; `timing` self and edge times against the jitter of the pair; `shape` siblings that
//! overlapped; `links`; `attributes`. `attribution` splits the entry point's change among them exactly, and
//! `finish` ranks them and fills in their numbers.

mod attributes;
mod attribution;
mod because;
pub mod detail;
mod draft;
pub mod effects;
mod errors;
mod finish;
pub mod gate;
mod inputs;
pub mod kind;
mod links;
pub mod merged;
mod merged_tree;
mod notes;
pub mod options;
pub mod pair;
pub mod pair_detail;
pub mod paths;
pub mod pattern;
pub mod policy;
pub mod population;
pub mod services;
mod shape;
mod structure;
mod suspects;
mod timing;
pub mod types;
mod units;
pub mod words;
mod work;

pub use detail::{AttributeRow, AttributeScope, Bin, EventRow, Example, NodeDetail};
pub use effects::{Accepted, Effect, InstanceGroup, Metric, SharedAttribute, Strength};
pub use gate::{Outcome, Reason, Role, RuleResult, Verdict};
pub use kind::FindingKind;
pub use merged::{Mark, NodeSide, NodeStats, TreeNode};
pub use options::{DiffOptions, Look, PopulationOptions};
pub use pair_detail::PairDetails;
pub use policy::{Day, Policy};
pub use types::*;
