//! What a comparison says about a side that was folded.

use super::types::{InputSide, Sampling};
use crate::model::profile::{Profile, Totals};

impl InputSide {
    /// What there is to say about a profile. `of_profiles`: of its traces only examples are left. The hash of its
    /// inputs is left empty.
    pub fn of_profile(profile: &Profile, sources: Vec<String>, of_profiles: bool) -> InputSide {
        let totals = &profile.totals;
        let mut warnings = totals.warnings.clone();
        warnings.merge(&totals.sampling_warnings());
        InputSide {
            sources,
            traces: totals.traces,
            spans: totals.spans,
            trace_ids: Vec::new(),
            window_ns: totals.window_ns,
            sha256: String::new(),
            sampling: Sampling::of(totals),
            of_profiles,
            bytes: totals.bytes,
            warnings,
        }
    }
}

impl Sampling {
    /// How the traces of a profile were sampled.
    pub fn of(totals: &Totals) -> Sampling {
        let all_kept = totals.thresholds.keys().all(|&threshold| threshold == 0);
        match (totals.thresholds.len(), totals.unsampled) {
            (0, _) => Sampling::Unknown,
            (1, 0) if all_kept => Sampling::None,
            (1, 0) => Sampling::Consistent,
            _ => Sampling::Mixed,
        }
    }
}
