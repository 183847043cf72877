//! One comparison of two sides that were folded, and its verdict.

use crate::diff::gate::{self, Outcome};
use crate::diff::{Day, Diff, DiffOptions, InputSide, Look, Policy, Verdict, population};
use crate::model::Pair;
use crate::model::profile::Profile;
use std::sync::Arc;

/// Findings that are judged; reports may list fewer.
const MAX_JUDGED: usize = 10_000;
const DAY_NS: u64 = 86_400_000_000_000;

/// How comparisons are made and judged.
#[derive(Clone, Debug, Default)]
pub struct Judging {
    /// What the gate is told.
    pub policy: Policy,
    /// How sides are compared.
    pub diff: DiffOptions,
    /// SHA-256 of the configuration, as hex.
    pub config_sha256: String,
}

impl Judging {
    /// Compares and judges. `sources` names the sides; `unix_ns` says which day it is for acceptances that end.
    pub(super) fn judge(
        &self,
        sides: &Pair<Arc<Profile>>,
        sources: Pair<String>,
        look: Option<Look>,
        unix_ns: u64,
    ) -> (Diff, Verdict) {
        let policy = Policy { look, ..self.policy.clone() };
        let mut options = self.diff.clone();
        options.population = policy.population();
        options.max_findings = options.max_findings.max(MAX_JUDGED);
        options.tree |= policy.needs_tree();
        let side = |profile: &Arc<Profile>, source: String| InputSide::of_profile(profile, vec![source], true);
        let Pair { before, after } = sources;
        let inputs = Pair::new(side(&sides.before, before), side(&sides.after, after));
        let mut diff = population::compare(sides, inputs, &options);
        diff.config_sha256.clone_from(&self.config_sha256);
        let mut verdict = gate::judge(&mut diff, &policy, Day((unix_ns / DAY_NS) as i64));
        // Fail as soon as a bound is crossed; pass at the end only, for what is slow to show may show yet.
        if let Some(Look::Planned { look, looks }) = look
            && look < looks
            && verdict.result < Outcome::Inconclusive
        {
            let message = format!("look {look} of {looks} found nothing so far; it takes all of them to pass");
            gate::hold(&mut verdict, &policy, "looks_left", message);
        }
        (diff, verdict)
    }
}
