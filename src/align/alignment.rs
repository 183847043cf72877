//! The result: partners, reasons and scores.

use super::tree::Tree;
use crate::model::{Pair, Side};

/// No partner.
pub const UNMATCHED: u32 = u32::MAX;

/// Why two nodes were matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MatchReason {
    /// Same operation under matched parents.
    Operation,
    /// Same operation, above or below a layer that only one side has.
    Layer,
    /// Same kind and name in another service.
    Split,
    /// Other name, same place and similar below.
    Renamed,
    /// Same operation under another caller.
    Moved,
}

impl MatchReason {
    /// The word in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            MatchReason::Operation => "operation",
            MatchReason::Layer => "layer",
            MatchReason::Split => "split",
            MatchReason::Renamed => "renamed",
            MatchReason::Moved => "moved",
        }
    }
}

/// Which node corresponds to which. Indices count in the two trees; both virtual roots (0) are matched.
#[derive(Clone, Debug)]
pub struct Alignment {
    partner: Pair<Vec<u32>>,
    /// By before index.
    reason: Vec<(MatchReason, f32)>,
}

impl Alignment {
    pub(super) fn new(before: &Tree, after: &Tree) -> Alignment {
        Alignment {
            partner: Pair::new(vec![UNMATCHED; before.len()], vec![UNMATCHED; after.len()]),
            reason: vec![(MatchReason::Operation, 0.0); before.len()],
        }
    }

    /// Matches two nodes; false, without doing anything, when one of them has a partner already.
    pub(super) fn join(&mut self, before: u32, after: u32, reason: MatchReason, score: f64) -> bool {
        if self.is_matched(Side::Before, before) || self.is_matched(Side::After, after) {
            return false;
        }
        if let (Some(a), Some(b), Some(why)) = (
            self.partner.before.get_mut(before as usize),
            self.partner.after.get_mut(after as usize),
            self.reason.get_mut(before as usize),
        ) {
            (*a, *b, *why) = (after, before, (reason, score as f32));
        }
        true
    }

    /// The partner of a node, or [`UNMATCHED`].
    #[inline]
    pub fn partner(&self, side: Side, index: u32) -> u32 {
        self.partner.get(side).get(index as usize).copied().unwrap_or(UNMATCHED)
    }

    /// Whether a node has a partner.
    #[inline]
    pub fn is_matched(&self, side: Side, index: u32) -> bool {
        self.partner(side, index) != UNMATCHED
    }

    /// Why a node was matched and how sure that is, 0 to 1; `None` without a partner.
    pub fn reason(&self, side: Side, index: u32) -> Option<(MatchReason, f64)> {
        let partner = self.partner(side, index);
        if partner == UNMATCHED {
            return None;
        }
        let before = if side == Side::Before { index } else { partner };
        self.reason.get(before as usize).map(|&(reason, score)| (reason, f64::from(score)))
    }

    /// All matched pairs in order of the before side, without the virtual roots.
    pub fn pairs(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.partner
            .before
            .iter()
            .enumerate()
            .skip(1)
            .filter(|&(_, &after)| after != UNMATCHED)
            .map(|(before, &after)| (before as u32, after))
    }
}
