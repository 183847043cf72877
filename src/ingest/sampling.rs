//! How a trace was sampled: the OpenTelemetry entry of the W3C trace state.
//!
//! `ot=th:c;rv:…` says that all traces with a randomness below the threshold were rejected, so that one that is here
//! stands for `2^56 / (2^56 − threshold)` of them. The older `ot=p:2;r:5` counts in powers of two.

use crate::model::TraceId;
use crate::model::profile::ONE;

/// Thresholds and random values have 56 bits.
const BITS: u32 = 56;
/// One trace stands for so many at most: 2^24. A histogram cell holds 2^32 traces, so it takes 256 of the heaviest
/// in one bin of one shard before a mass is saturated, and four thousand million of the lightest.
const MAX_WEIGHT: u64 = 1 << 24;

/// The threshold of a trace: 0 for "all were kept"; `None` when its trace state does not say, or says something that
/// cannot be (a trace that should have been rejected).
pub fn threshold(trace_state: &str, id: TraceId) -> Option<u64> {
    let entry = trace_state.split(',').find_map(|member| member.trim().strip_prefix("ot="))?;
    let value = |key: &str| {
        entry.split(';').find_map(|pair| pair.split_once(':').filter(|(name, _)| *name == key).map(|(_, value)| value))
    };
    if let Some(digits) = value("th") {
        let threshold = hex(digits, 1)?;
        let random = match value("rv") {
            Some(digits) => hex(digits, 14)?,
            None => id.0 as u64 & ((1 << BITS) - 1),
        };
        return (random >= threshold).then_some(threshold);
    }
    let power: u32 = value("p")?.parse().ok().filter(|&power| power <= BITS)?;
    let random = value("r").map(str::parse::<u32>).transpose().ok()?;
    random.is_none_or(|random| random >= power).then(|| (1 << BITS) - (1 << (BITS - power)))
}

/// Lower-case hex of `least` to 14 digits, filled up with zeros behind them.
fn hex(digits: &str, least: usize) -> Option<u64> {
    let valid = (least..=14).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let value = valid.then(|| u64::from_str_radix(digits, 16).ok())??;
    Some(value << (BITS - 4 * digits.len() as u32))
}

/// How many traces one with this threshold stands for, in units of 2⁻³², rounded to the nearest. One that does not say
/// counts as one.
pub fn weight(threshold: Option<u64>) -> u64 {
    let Some(threshold) = threshold else { return ONE };
    let kept = u128::from((1u64 << BITS).saturating_sub(threshold).max(1));
    let weight = ((u128::from(ONE) << BITS) + kept / 2) / kept;
    weight.min(u128::from(ONE) * u128::from(MAX_WEIGHT)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An id with the largest randomness: nothing rejects it.
    const KEPT: TraceId = TraceId((1 << 56) - 1);

    #[test]
    fn adjusted_counts_are_those_of_the_specification() {
        for (state, count) in [
            ("ot=th:0", 1.0),
            ("ot=th:8", 2.0),
            ("ot=th:c", 4.0),
            ("ot=th:e666", 9.999_389_685_688_13),
            ("ot=th:fd70a", 99.997_711_234_026_33),
            ("ot=th:ffff583a", 99_999.238_556_461),
            ("vendor=x, ot=rv:ffffffffffffff;th:8,other=th:c", 2.0),
            ("ot=p:8;r:62", 256.0),
            ("ot=p:0", 1.0),
        ] {
            let threshold = threshold(state, KEPT);
            assert!(threshold.is_some(), "{state}");
            let weight = weight(threshold) as f64 / ONE as f64;
            assert!((weight / count - 1.0).abs() < 1e-9, "{state}: {weight}");
        }
    }

    #[test]
    fn what_does_not_say_or_cannot_be_is_unknown_and_counts_as_one() {
        for state in [
            "",
            "ot=",
            "vendor=th:8",
            "ot=th:",
            "ot=th:G",
            "ot=th:C",
            "ot=th:123456789012345",
            "ot=th:8;rv:7fffffffffffff",
            "ot=th:8;rv:8",
            "ot=p:64",
            "ot=p:4;r:3",
            "ot=p:x",
            "not=th:8",
        ] {
            assert_eq!(threshold(state, KEPT), None, "{state}");
        }
        assert_eq!(threshold("ot=th:8", TraceId(1)), None, "its randomness is below the threshold");
        assert_eq!(threshold("ot=th:8;rv:80000000000000", TraceId(1)), Some(1 << 55));
        assert_eq!(weight(None), ONE);
    }

    #[test]
    fn no_trace_stands_for_too_many() {
        assert_eq!(weight(Some((1 << 56) - 1)), ONE << 24);
        assert_eq!(weight(Some(u64::MAX)), ONE << 24);
    }
}
