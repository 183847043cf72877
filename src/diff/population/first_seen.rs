//! When a change began within the after side: at its start, or at some time later, and then in which trace.
//!
//! The buckets of a timeline are told apart by likelihood: up to which one do they look like the before side, and from
//! which one on like something else? Only a clear answer counts.

use super::work::{Work, plain};
use crate::align::ROOT;
use crate::model::profile::{Bucket, Exemplar, PathState, Timeline};
use crate::model::{Pair, Side, TraceId};
use std::collections::BTreeMap;

/// How much more likely "later" must be than "from the start": the natural logarithm of 3,000.
const CLEARLY: f64 = 8.0;
/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// What about a path changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Onset {
    /// Its self or edge time.
    Time,
    /// How often it fails by itself.
    Errors,
    /// In how many of its parent's traces it occurs.
    Presence,
}

/// When and where a change was first seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FirstSeen {
    /// Nanoseconds since 1970.
    pub unix_ns: u64,
    /// The first affected trace that is known; `None` when no example of it was kept.
    pub trace: Option<TraceId>,
    /// `since 14:07 UTC`.
    pub text: String,
}

/// When the change at a node began; `None` when it was so from the start of the after side or nothing is known. The
/// node of the before side may be missing: what is new was not there before.
pub(super) fn first_seen(work: &Work<'_>, nodes: Pair<Option<u32>>, onset: Onset) -> Option<FirstSeen> {
    let node = nodes.after?;
    let state = work.state(Side::After, node)?;
    let series = series(work, Side::After, node, onset)?;
    let before = nodes.before.and_then(|node| self::series(work, Side::Before, node, onset));
    let before = before.unwrap_or_else(|| never(work, node, onset));
    let cost = Cost::new(&before, &series, onset, nodes.before.and_then(|node| work.state(Side::Before, node)));
    let began = began(&series, cost)?;
    // What did not occur at all before began with the very first one, in or behind the last quiet stretch.
    let example = example(state, onset, if cost.from_nothing { 0 } else { began });
    let unix_ns = example.filter(|_| cost.from_nothing).map_or(began, |first| first.start_ns);
    let window = work.profiles.after.totals.window_ns;
    Some(FirstSeen {
        unix_ns,
        trace: example.map(|example| example.trace_id),
        text: format!("since {}", clock(unix_ns, window)),
    })
}

/// What the before side says of a node that it has not: nothing, or that none of its parent's traces had it.
fn never(work: &Work<'_>, node: u32, onset: Onset) -> Vec<Stretch> {
    let parent = work.partner(Side::After, work.parent(Side::After, node)).filter(|_| onset == Onset::Presence);
    let weight = parent.map(|parent| plain(work.sums(Side::Before, parent).weight));
    weight.map(|weight| Stretch { weight, ..Stretch::default() }).into_iter().collect()
}

/// What one stretch of time says: its weight, and the weighted sum of what is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Stretch {
    start_ns: u64,
    weight: f64,
    sum: f64,
}

/// A node's timeline as a series; for presence the parent's traces and how many of them have the node.
fn series(work: &Work<'_>, side: Side, node: u32, onset: Onset) -> Option<Vec<Stretch>> {
    let timeline = &work.state(side, node)?.timeline;
    if onset != Onset::Presence {
        let sum = |bucket: &Bucket| plain(if onset == Onset::Time { bucket.bins } else { bucket.own_errors });
        let stretch =
            |(start_ns, bucket): (u64, &Bucket)| Stretch { start_ns, weight: plain(bucket.weight), sum: sum(bucket) };
        return Some(timeline.iter().map(stretch).collect());
    }
    let parent = work.parent(side, node);
    let parent = if parent == ROOT { None } else { work.state(side, parent) };
    parent.map(|parent| together(&parent.timeline, timeline))
}

/// Two timelines in the wider one's buckets: the weights of the first and of the second.
fn together(all: &Timeline, some: &Timeline) -> Vec<Stretch> {
    let shift = all.shift().max(some.shift());
    let mut stretches: BTreeMap<u64, Stretch> = BTreeMap::new();
    for (timeline, is_part) in [(all, false), (some, true)] {
        for (start_ns, bucket) in timeline.iter() {
            let start_ns = start_ns >> shift << shift;
            let stretch = stretches.entry(start_ns).or_insert(Stretch { start_ns, ..Stretch::default() });
            *(if is_part { &mut stretch.sum } else { &mut stretch.weight }) += plain(bucket.weight);
        }
    }
    // A child may begin in the bucket behind its parent's: no stretch has more of the one than of the other.
    let stretches = stretches.into_values();
    stretches.map(|stretch| Stretch { weight: stretch.weight.max(stretch.sum), ..stretch }).collect()
}

/// How unlikely stretches are at a level, as a negative logarithm of their likelihood.
#[derive(Clone, Copy, Debug)]
struct Cost {
    /// The before side's level.
    old: f64,
    /// Whether the before side had none of it.
    from_nothing: bool,
    /// Variance of a single trace's value; `None` for shares, which bring their own.
    variance: Option<f64>,
}

impl Cost {
    fn new(before: &[Stretch], after: &[Stretch], onset: Onset, state: Option<&PathState>) -> Cost {
        let total = total(before);
        if onset != Onset::Time {
            // Half an event more than were seen: what never happened may still happen.
            let old = (total.sum + 0.5) / (total.weight + 1.0);
            return Cost { old, from_nothing: total.sum <= 0.0, variance: None };
        }
        let old = if total.weight > 0.0 { total.sum / total.weight } else { level(after) };
        let single = state.map_or(1.0, bin_variance).max(1.0);
        // Minutes differ from each other by more than their traces do: what the before side shows of that counts too.
        let between = before.iter().filter(|s| s.weight > 0.0).map(|s| s.weight * (s.sum / s.weight - old).powi(2));
        let spread = between.sum::<f64>() / (before.len() as f64 - 1.0).max(1.0);
        Cost { old, from_nothing: false, variance: Some(single.max(spread)) }
    }

    fn of(&self, stretch: Stretch, level: f64) -> f64 {
        match self.variance {
            Some(_) if stretch.weight <= 0.0 => 0.0,
            Some(variance) => stretch.weight * (stretch.sum / stretch.weight - level).powi(2) / (2.0 * variance),
            None => {
                let level = level.clamp(1e-9, 1.0 - 1e-9);
                let sum = stretch.sum.min(stretch.weight);
                -(sum * level.ln() + (stretch.weight - sum) * (1.0 - level).ln())
            }
        }
    }
}

fn total(stretches: &[Stretch]) -> Stretch {
    stretches.iter().fold(Stretch::default(), |sum, stretch| Stretch {
        start_ns: 0,
        weight: sum.weight + stretch.weight,
        sum: sum.sum + stretch.sum,
    })
}

fn level(stretches: &[Stretch]) -> f64 {
    let total = total(stretches);
    if total.weight > 0.0 { total.sum / total.weight } else { 0.0 }
}

/// Variance of the self or edge times' bins, in squared bins.
fn bin_variance(state: &PathState) -> f64 {
    let times = if state.edge_time.is_empty() { &state.self_time } else { &state.edge_time };
    let (mut mass, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for cell in times.cells() {
        let (weight, bin) = (cell.mass as f64, f64::from(cell.bin));
        mass += weight;
        sum += weight * bin;
        squares += weight * bin * bin;
    }
    if mass > 0.0 { (squares / mass - (sum / mass).powi(2)).max(0.0) } else { 0.0 }
}

/// Start of the stretch from which on the series left the old level; `None` when that was so from the first one on.
fn began(series: &[Stretch], cost: Cost) -> Option<u64> {
    let all_new = level(series);
    let from_start: f64 = series.iter().map(|&stretch| cost.of(stretch, all_new)).sum();
    let mut best = (from_start - CLEARLY, None);
    let mut old = 0.0;
    for (place, stretch) in series.iter().enumerate() {
        let rest = series.get(place..).unwrap_or_default();
        let new = level(rest);
        let total = old + rest.iter().map(|&stretch| cost.of(stretch, new)).sum::<f64>();
        if place > 0 && total < best.0 {
            best = (total, Some(stretch.start_ns));
        }
        old += cost.of(*stretch, cost.old);
    }
    best.1
}

/// The earliest known span that shows the change: it began after the change did.
fn example(state: &PathState, onset: Onset, began_ns: u64) -> Option<Exemplar> {
    let known = &state.exemplars;
    let first = match onset {
        Onset::Errors => known.failed,
        Onset::Presence => known.first,
        Onset::Time => None,
    };
    let others = (onset != Onset::Errors).then(|| known.sample.iter().chain(&known.slowest).copied());
    let all = first.into_iter().chain(others.into_iter().flatten());
    all.filter(|span| span.start_ns >= began_ns).min_by_key(|span| (span.start_ns, span.trace_id, span.span_id))
}

/// A time of day as people say it: `14:07 UTC`; with seconds when the window is shorter than half an hour, with the
/// day when it is longer than one.
pub(super) fn clock(unix_ns: u64, window_ns: Option<(u64, u64)>) -> String {
    let length = window_ns.map_or(0, |(start, end)| end.saturating_sub(start)) / SECOND;
    let seconds = unix_ns / SECOND;
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    let time =
        if length < 1_800 { format!("{hour:02}:{minute:02}:{second:02}") } else { format!("{hour:02}:{minute:02}") };
    if length < 86_400 {
        return format!("{time} UTC");
    }
    let (year, month, day) = civil(seconds / 86_400);
    format!("{year}-{month:02}-{day:02} {time} UTC")
}

/// Year, month and day of a number of days since 1970-01-01 (the Gregorian calendar in eras of 400 years).
const fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // Months are counted from March, so that the leap day comes last.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + if month <= 2 { 1 } else { 0 }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60 * SECOND;

    fn series(values: &[(f64, f64)]) -> Vec<Stretch> {
        let stretch =
            |(at, &(weight, sum)): (usize, &(f64, f64))| Stretch { start_ns: at as u64 * MINUTE, weight, sum };
        values.iter().enumerate().map(stretch).collect()
    }

    #[test]
    fn errors_that_begin_half_way() {
        let before = series(&[(50.0, 0.0); 10]);
        let mut values = vec![(50.0, 0.0); 7];
        values.extend([(50.0, 12.0), (50.0, 9.0), (50.0, 14.0)]);
        let after = series(&values);
        let cost = Cost::new(&before, &after, Onset::Errors, None);
        assert_eq!(began(&after, cost), Some(7 * MINUTE));
        assert!(cost.from_nothing);
        // From the start: no time to tell.
        let always = series(&[(50.0, 10.0), (50.0, 12.0), (50.0, 9.0), (50.0, 8.0)]);
        assert_eq!(began(&always, Cost::new(&before, &always, Onset::Errors, None)), None);
        // Three errors in a thousand say nothing about when.
        let few = series(&[(500.0, 0.0), (500.0, 3.0)]);
        assert_eq!(began(&few, Cost::new(&before, &few, Onset::Errors, None)), None);
        assert_eq!(began(&[], cost), None);
    }

    #[test]
    fn times_that_rise_half_way() {
        // Bins around 800, a bit different every minute; 22 bins more are 60 % slower.
        let level = |bins: f64| (40.0, 40.0 * bins);
        let before = series(&[level(800.0), level(801.0), level(799.5), level(800.5), level(799.0)]);
        let after = series(&[level(800.2), level(799.4), level(822.0), level(821.0), level(823.0)]);
        assert_eq!(began(&after, Cost::new(&before, &after, Onset::Time, None)), Some(2 * MINUTE));
        let same = series(&[level(800.2), level(799.4), level(800.9), level(799.8)]);
        assert_eq!(began(&same, Cost::new(&before, &same, Onset::Time, None)), None);
    }

    #[test]
    fn timelines_of_different_widths_are_told_together() {
        let bucket = |weight: u64| Bucket { weight: u128::from(weight) << 32, ..Bucket::default() };
        let all = Timeline::from_parts(32, [(0, bucket(10)), (1 << 32, bucket(20))]);
        let some = Timeline::from_parts(30, [(1 << 30, bucket(3)), (3 << 30, bucket(4)), (5 << 30, bucket(5))]);
        let stretches = together(&all, &some);
        assert_eq!(
            stretches.iter().map(|s| (s.start_ns, s.weight, s.sum)).collect::<Vec<_>>(),
            [(0, 10.0, 7.0), (1 << 32, 20.0, 5.0)]
        );
    }

    #[test]
    fn clocks() {
        let at = 1_700_000_000 * SECOND;
        assert_eq!(clock(at, Some((at, at + 3_600 * SECOND))), "22:13 UTC");
        assert_eq!(clock(at, Some((at, at + 60 * SECOND))), "22:13:20 UTC");
        assert_eq!(clock(at, Some((at, at + 200_000 * SECOND))), "2023-11-14 22:13 UTC");
        assert_eq!(
            (civil(0), civil(59), civil(11_016), civil(19_782)),
            ((1970, 1, 1), (1970, 3, 1), (2000, 2, 29), (2024, 2, 29))
        );
    }
}
