//! The limits of rules: promises somebody made in numbers.
//!
//! A limit is broken (fail) when the value is shown to lie beyond it, and in doubt (warn) when only the estimate does.
//! A largest value of a percentile has no interval: it takes the 200 traces of a 95th percentile to break it.

use super::numbers::{P95_TRACES, change};
use super::{Grounds, Outcome, Reason, RuleResult};
use crate::diff::effects::{Effect, Metric};
use crate::diff::merged::NodeStats;
use crate::diff::pattern::Walk;
use crate::diff::policy::{CallsLimit, ErrorLimit, P95Limit, Policy, Rule};
use crate::diff::types::{Diff, EntryPoint};
use crate::model::units::{count, duration, mean_count, percent, rate, ratio};
use crate::model::{Operation, Pair};
use crate::stats::counts::{share_difference, share_interval};

/// Level of the intervals.
const LEVEL: f64 = 0.95;

/// What is known about a place: an entry point or a call path below one.
struct Place<'a> {
    name: String,
    is_entry: bool,
    traces: Pair<u64>,
    p95_ns: Pair<Option<u64>>,
    error_rate: Pair<Option<f64>>,
    calls: Pair<Option<f64>>,
    effects: &'a [Effect],
}

impl<'a> Place<'a> {
    fn of_entry(entry: &'a EntryPoint) -> Place<'a> {
        Place {
            name: name(&entry.operation),
            is_entry: true,
            traces: entry.traces,
            p95_ns: entry.duration_ns.map(|side| side.map(|quantiles| quantiles.p95.max(0).unsigned_abs())),
            error_rate: entry.error_rate,
            calls: Pair::default(),
            effects: &entry.effects,
        }
    }

    fn of_node(operation: &Operation, sides: Pair<Option<NodeStats>>, effects: &'a [Effect]) -> Place<'a> {
        let there = sides.before.is_some() || sides.after.is_some();
        // A side without the node calls it zero times.
        let calls = |side: Option<NodeStats>| there.then(|| side.map_or(0.0, |stats| stats.calls_per_trace));
        Place {
            name: name(operation),
            is_entry: false,
            traces: sides.map(|side| side.map_or(0, |stats| stats.traces)),
            p95_ns: sides.map(|side| side.map(|stats| stats.p95_ns)),
            error_rate: sides.map(|side| side.map(|stats| stats.error_rate)),
            calls: sides.map(calls),
            effects,
        }
    }

    fn effect(&self, metric: Metric) -> Option<&Effect> {
        self.effects.iter().find(|effect| effect.metric == metric)
    }

    /// The lower end of the ratio of a metric, where it was tested.
    fn low(&self, metric: Metric) -> Option<f64> {
        self.effect(metric).filter(|effect| effect.unit == "ratio").map(|effect| effect.low)
    }
}

fn name(operation: &Operation) -> String {
    super::numbers::place(operation)
}

/// A limit at one place: what it says, what is so, and what comes of it.
struct Check {
    metric: &'static str,
    limit: String,
    value: String,
    result: Outcome,
}

/// Judges all limits. Each limit of a rule is one result, of the place where it is worst.
pub(super) fn judge(diff: &Diff, policy: &Policy) -> (Vec<RuleResult>, Vec<Reason>) {
    let mut walks: Vec<Walk<'_>> = policy.rules.iter().map(|rule| Walk::new(&rule.matcher)).collect();
    let mut book = Book { rules: &policy.rules, results: Vec::new(), matched: vec![false; policy.rules.len()] };
    for entry in &diff.entry_points {
        let path = std::slice::from_ref(&entry.operation);
        let matching: Vec<bool> = policy.rules.iter().map(|rule| rule.matcher.matches(path)).collect();
        book.enter(&matching, &Place::of_entry(entry), policy.min_traces);
    }
    if policy.needs_tree() {
        for node in &diff.tree {
            let matching: Vec<bool> =
                walks.iter_mut().map(|walk| walk.visit(node.depth as usize, &node.operation)).collect();
            if node.depth == 0 || !matching.contains(&true) {
                continue;
            }
            let finding = node.finding.and_then(|index| diff.findings.get(index));
            let effects = finding.map_or(&[][..], |finding| &finding.effects);
            let place =
                Place::of_node(&node.operation, node.sides.map(|side| side.and_then(|side| side.many)), effects);
            book.enter(&matching, &place, policy.min_traces);
        }
    }
    book.close(diff)
}

/// The results so far.
struct Book<'a> {
    rules: &'a [Rule],
    /// Number of the rule, and its worst result of each metric and limit.
    results: Vec<(usize, RuleResult)>,
    /// Whether a rule spoke of any place.
    matched: Vec<bool>,
}

impl Book<'_> {
    fn enter(&mut self, matching: &[bool], place: &Place<'_>, min_traces: u64) {
        // The last rule that sets a limit counts.
        let mut last: [Option<usize>; 3] = [None; 3];
        for (index, rule) in self.rules.iter().enumerate().filter(|(index, _)| matching.get(*index) == Some(&true)) {
            if let Some(matched) = self.matched.get_mut(index) {
                *matched = true;
            }
            // Of a rule for an entry point, times and errors are those of the entry point, calls those below.
            let below = rule.matcher.path.is_some();
            let sets = [
                rule.settings.p95.is_some() && (below || place.is_entry),
                rule.settings.error_rate.is_some() && (below || place.is_entry),
                rule.settings.calls_per_trace.is_some() && !place.is_entry,
            ];
            for (slot, _) in last.iter_mut().zip(sets).filter(|(_, sets)| *sets) {
                *slot = Some(index);
            }
        }
        let [p95, error_rate, calls] = last.map(|index| index.and_then(|index| Some((index, self.rules.get(index)?))));
        let mut checks: Vec<(usize, Check)> = Vec::new();
        let mut add = |index: usize, found: Vec<Check>| checks.extend(found.into_iter().map(|check| (index, check)));
        if let Some((index, limit)) = p95.and_then(|(index, rule)| Some((index, rule.settings.p95?))) {
            add(index, check_p95(limit, place, min_traces));
        }
        if let Some((index, limit)) = error_rate.and_then(|(index, rule)| Some((index, rule.settings.error_rate?))) {
            add(index, check_errors(limit, place));
        }
        if let Some((index, limit)) = calls.and_then(|(index, rule)| Some((index, rule.settings.calls_per_trace?))) {
            add(index, check_calls(limit, place));
        }
        for (index, check) in checks {
            self.record(index, check, place);
        }
    }

    fn record(&mut self, index: usize, check: Check, place: &Place<'_>) {
        let Some(rule) = self.rules.get(index) else { return };
        let on_trial = rule.settings.warn_only == Some(true);
        let result = if on_trial { check.result.min(Outcome::Warn) } else { check.result };
        let value = format!("{} at {}", check.value, place.name);
        let matched = rule.matcher.text();
        let new = RuleResult { matched, metric: check.metric, limit: check.limit, value, result };
        let same = |(held, result): &&mut (usize, RuleResult)| {
            *held == index && result.metric == new.metric && result.limit == new.limit
        };
        match self.results.iter_mut().find(same) {
            Some((_, held)) if new.result > held.result => *held = new,
            Some(_) => {}
            None => self.results.push((index, new)),
        }
    }

    fn close(mut self, diff: &Diff) -> (Vec<RuleResult>, Vec<Reason>) {
        let mut reasons: Vec<Reason> = Vec::new();
        self.results.sort_by_key(|(index, result)| (*index, result.metric));
        for (_, result) in self.results.iter().filter(|(_, result)| result.result > Outcome::Pass) {
            let word = match result.result {
                Outcome::Fail => "broken",
                Outcome::Warn | Outcome::Pass => "in doubt",
                Outcome::Inconclusive => "not judged",
            };
            let message = format!("limit {word}: {} {}: {}", result.metric, result.limit, result.value);
            let mut reason = Reason::about_data("limit", result.result, message);
            reason.grounds = Grounds::Limit;
            reasons.push(reason);
        }
        for (rule, _) in self.rules.iter().zip(&self.matched).filter(|(_, matched)| !**matched) {
            reasons.extend(without_match(rule, diff));
        }
        (self.results.into_iter().map(|(_, result)| result).collect(), reasons)
    }
}

/// A rule that speaks of nothing here: a typing error must not pass for a kept promise.
fn without_match(rule: &Rule, diff: &Diff) -> Option<Reason> {
    let settings = &rule.settings;
    let limits = settings.p95.is_some() || settings.error_rate.is_some() || settings.calls_per_trace.is_some();
    let critical = settings.critical == Some(true) || settings.prove == Some(true);
    // Without a tree or findings a rule for call paths cannot be looked up.
    let looked_up = rule.matcher.path.is_none() || limits || !diff.tree.is_empty();
    let found = || diff.findings.iter().any(|finding| rule.matcher.matches(&finding.path));
    if !(limits || critical) || !looked_up || found() {
        return None;
    }
    let result = match (settings.warn_only, critical) {
        (Some(true), _) => Outcome::Pass,
        (_, true) => Outcome::Inconclusive,
        (_, false) => Outcome::Warn,
    };
    let message = format!("the rule for {} matches nothing in this data", rule.matcher.text());
    Some(Reason::about_data("rule_matches_nothing", result, message))
}

fn check_p95(limit: P95Limit, place: &Place<'_>, min_traces: u64) -> Vec<Check> {
    let mut checks = Vec::new();
    let few = |n: u64| if n < min_traces { Some(Outcome::Inconclusive) } else { None };
    let mut add = |limit, value, result| checks.push(Check { metric: "p95", limit, value, result });
    if let Some(most) = limit.max_increase
        && let (Some(before), Some(after)) = (place.p95_ns.before, place.p95_ns.after)
    {
        let grown = after as f64 / (before as f64).max(1.0);
        let shown = place.low(Metric::P95).is_some_and(|low| low > 1.0 + most);
        let by_size = beyond(shown, grown > 1.0 + most);
        let result = few(place.traces.before.min(place.traces.after)).unwrap_or(by_size);
        let value = format!("{} → {} ({})", duration(before), duration(after), change(grown));
        add(format!("at most {} more", percent(most)), value, result);
    }
    if let Some(most) = limit.max_ns {
        let limit = format!("at most {}", duration(most));
        match place.p95_ns.after {
            Some(after) => {
                let n = place.traces.after;
                let result = few(n).unwrap_or(beyond(after > most && n >= P95_TRACES, after > most));
                add(limit, format!("{} (n {})", duration(after), count(n)), result);
            }
            None if place.is_entry => add(limit, "not known".into(), Outcome::Inconclusive),
            None => {}
        }
    }
    checks
}

fn check_errors(limit: ErrorLimit, place: &Place<'_>) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut add = |limit, value, result| checks.push(Check { metric: "error_rate", limit, value, result });
    let Some(after) = place.error_rate.after else { return checks };
    if let Some(most) = limit.max_increase
        && let Some(before) = place.error_rate.before
    {
        let tested = place.effect(Metric::ErrorRate).filter(|effect| effect.unit == "share");
        let low = tested.map_or_else(
            || share_difference((before, place.traces.before), (after, place.traces.after), LEVEL).low,
            |effect| effect.low,
        );
        let limit = format!("at most {:.2} points more", 100.0 * most);
        add(limit, format!("{} → {}", rate(before), rate(after)), beyond(low > most, after - before > most));
    }
    if let Some(most) = limit.max {
        let low = share_interval(after, place.traces.after, LEVEL).low;
        add(format!("at most {}", rate(most)), rate(after), beyond(low > most, after > most));
    }
    checks
}

fn check_calls(limit: CallsLimit, place: &Place<'_>) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut add = |limit, value, result| checks.push(Check { metric: "calls_per_trace", limit, value, result });
    let (Some(before), Some(after)) = (place.calls.before, place.calls.after) else { return checks };
    let value = || format!("{} → {}", mean_count(before), mean_count(after));
    if let Some(most) = limit.max_ratio.filter(|_| before > 0.0) {
        let shown = place.low(Metric::Calls).is_some_and(|low| low > most);
        add(format!("at most {}", ratio(most)), value(), beyond(shown, after / before > most));
    }
    if let Some(most) = limit.max {
        // A mean over many traces is near the truth: the number itself is compared.
        add(format!("at most {}", mean_count(most)), value(), beyond(after > most, after > most));
    }
    checks
}

/// What comes of a value that is shown to be, or only seems, beyond its limit.
const fn beyond(shown: bool, seems: bool) -> Outcome {
    match (shown, seems) {
        (true, _) => Outcome::Fail,
        (false, true) => Outcome::Warn,
        (false, false) => Outcome::Pass,
    }
}
