//! Floor 2: two trees become an [`Alignment`]: which node of one side corresponds to which node of the other.
//!
//! May use: model, petgraph. Never: stats, ingest.
//! Invariant: every node of both sides appears exactly once, matched or unmatched.
//!
//! Siblings run concurrently, so trees are unordered, and exact unordered edit distance is NP-hard. Instead:
//! hash bottom-up ([`hash`]), match top-down by operation with minimum-cost assignment inside groups
//! ([`matching`], [`assignment`]), rescue what is left under matched parents (layers, splits, renames: [`rescue`]),
//! then take in spans without a parent, and look for moves anywhere ([`moves`]). What remains was added or removed. The same code aligns the two
//! traces of a pair and folded trees, in which an operation simply stands once under its parent.

pub mod alignment;
pub mod assignment;
pub mod hash;
pub mod matching;
pub mod moves;
mod orphans;
pub mod rescue;
pub mod similarity;
pub mod tree;

pub use alignment::{Alignment, MatchReason, UNMATCHED};
pub use matching::align;
pub use tree::{Node, ROOT, Tree};
