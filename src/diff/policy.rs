//! What the gate is told: thresholds, rules for entry points and call paths, accepted changes.
//!
//! The defaults need no file. Rules are laid over each other: for each setting the last rule counts that matches and
//! sets it, so that a general rule can come first and an exception behind it.

use super::options::{Look, PopulationOptions};
use super::pattern::{Matcher, Pattern};
use super::types::Finding;
use super::{FindingKind, effects::Accepted};
use crate::model::Operation;

/// A day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub i64);

impl Day {
    /// The day of a calendar date; `None` when there is no such date.
    pub fn of_date(year: i64, month: i64, day: i64) -> Option<Day> {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            _ => return None,
        };
        if !(1..=length).contains(&day) || !(1..=9_999).contains(&year) {
            return None;
        }
        // Years that begin in March have their leap day at the end.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
        Some(Day(days - 719_468))
    }

    /// The day of an ISO date, `2026-12-31`.
    pub fn parse(text: &str) -> Option<Day> {
        let mut parts = text.split('-');
        let mut next = |digits: usize| {
            let part = parts.next()?;
            let right = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
            if right { part.parse::<i64>().ok() } else { None }
        };
        let (year, month, day) = (next(4)?, next(2)?, next(2)?);
        if parts.next().is_some() { None } else { Day::of_date(year, month, day) }
    }
}

/// What a verdict does that lets something through or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailOn {
    /// Also warnings end with exit code 1.
    Warn,
    /// Only failures do.
    #[default]
    Fail,
    /// Nothing does.
    Never,
}

/// What an inconclusive verdict ends with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnInconclusive {
    /// Its own exit code, 3.
    #[default]
    Exit3,
    /// 0, except when nothing was compared.
    Pass,
    /// 1, except when nothing was compared.
    Fail,
}

/// Limits of a 95th percentile.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct P95Limit {
    /// Largest increase, as a share of the before side's.
    pub max_increase: Option<f64>,
    /// Largest value after, nanoseconds.
    pub max_ns: Option<u64>,
}

/// Limits of an error rate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ErrorLimit {
    /// Largest increase, as a difference of shares: 0.005 is half a percentage point.
    pub max_increase: Option<f64>,
    /// Largest share after.
    pub max: Option<f64>,
}

/// Limits of the calls in one trace.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CallsLimit {
    /// Largest ratio after/before.
    pub max_ratio: Option<f64>,
    /// Largest number after.
    pub max: Option<f64>,
}

/// What a rule sets, or what all rules together set for one call path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// True: whatever is found there, and does harm, fails. False: latency there can only warn.
    pub critical: Option<bool>,
    /// True: nothing there can fail (a rule on trial).
    pub warn_only: Option<bool>,
    /// True: passing takes proof that it is not slower by more than the minimum effect.
    pub prove: Option<bool>,
    /// Smallest change of time that matters there, as a share.
    pub min_effect: Option<f64>,
    /// Limits of the 95th percentile.
    pub p95: Option<P95Limit>,
    /// Limits of the error rate.
    pub error_rate: Option<ErrorLimit>,
    /// Limits of the calls; of a rule for an entry point: at every call path below it.
    pub calls_per_trace: Option<CallsLimit>,
}

impl Settings {
    /// Lays `later` over these.
    fn lay(&mut self, later: &Settings) {
        self.critical = later.critical.or(self.critical);
        self.warn_only = later.warn_only.or(self.warn_only);
        self.prove = later.prove.or(self.prove);
        self.min_effect = later.min_effect.or(self.min_effect);
        self.p95 = later.p95.or(self.p95);
        self.error_rate = later.error_rate.or(self.error_rate);
        self.calls_per_trace = later.calls_per_trace.or(self.calls_per_trace);
    }

    /// The name of a setting that both have with different values.
    fn contradiction(&self, other: &Settings) -> Option<&'static str> {
        fn differ<T: PartialEq>(a: Option<&T>, b: Option<&T>) -> bool {
            a.is_some() && b.is_some() && a != b
        }
        [
            ("critical", differ(self.critical.as_ref(), other.critical.as_ref())),
            ("mode", differ(self.warn_only.as_ref(), other.warn_only.as_ref())),
            ("prove", differ(self.prove.as_ref(), other.prove.as_ref())),
            ("min_effect", differ(self.min_effect.as_ref(), other.min_effect.as_ref())),
            ("p95", differ(self.p95.as_ref(), other.p95.as_ref())),
            ("error_rate", differ(self.error_rate.as_ref(), other.error_rate.as_ref())),
            ("calls_per_trace", differ(self.calls_per_trace.as_ref(), other.calls_per_trace.as_ref())),
        ]
        .into_iter()
        .find_map(|(name, differs)| differs.then_some(name))
    }
}

/// A rule for some call paths.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule {
    /// For which.
    pub matcher: Matcher,
    /// What.
    pub settings: Settings,
}

/// A change that somebody looked at and let through.
#[derive(Clone, Debug, PartialEq)]
pub struct Acceptance {
    /// Where; `None` for anywhere.
    pub path: Option<Pattern>,
    /// Which kind; `None` for any.
    pub kind: Option<FindingKind>,
    /// Which finding exactly; `None` for any.
    pub fingerprint: Option<String>,
    /// Why.
    pub reason: String,
    /// The last day on which it holds, with its text; `None` for good.
    pub until: Option<(Day, String)>,
}

impl Acceptance {
    /// Whether it speaks of this finding, were it in force.
    pub fn matches(&self, finding: &Finding) -> bool {
        self.kind.is_none_or(|kind| kind == finding.kind)
            && self.fingerprint.as_ref().is_none_or(|fingerprint| *fingerprint == finding.fingerprint)
            && self.matches_path(&finding.path)
    }

    /// Whether it speaks of this call path.
    pub fn matches_path(&self, path: &[Operation]) -> bool {
        let matcher = Matcher { path: self.path.clone(), ..Matcher::default() };
        self.path.is_none() || matcher.matches(path)
    }

    /// Whether its time is over.
    pub fn is_expired(&self, today: Day) -> bool {
        self.until.as_ref().is_some_and(|(day, _)| *day < today)
    }

    /// What it speaks of, in one line.
    pub fn text(&self) -> String {
        let path = self.path.as_ref().map(|path| path.text().to_owned());
        let kind = self.kind.map(|kind| kind.name().to_owned());
        let parts: Vec<String> = [kind, path, self.fingerprint.clone()].into_iter().flatten().collect();
        parts.join(" ")
    }

    /// What is put on an accepted finding.
    pub fn note(&self) -> Accepted {
        Accepted { reason: self.reason.clone(), until: self.until.as_ref().map(|(_, text)| text.clone()) }
    }
}

/// What the gate is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// False discovery rate of the whole comparison.
    pub q: f64,
    /// Smallest change of time that matters, as a share.
    pub min_effect: f64,
    /// Smallest change of time that matters, nanoseconds.
    pub min_effect_ns: u64,
    /// Traces a side below which no latency is judged.
    pub min_traces: u64,
    /// Slowdown that must have been found, had it been there, before anything passes, as a share.
    pub must_detect: f64,
    /// Spread between call paths beyond which latency gets no verdict, as a share.
    pub max_environment_drift: f64,
    /// Share of the before side's call paths and instances that the after side must exercise; `None` for any.
    pub min_coverage: Option<f64>,
    /// Whether latency is judged.
    pub latency: bool,
    /// What an inconclusive verdict ends with.
    pub on_inconclusive: OnInconclusive,
    /// Which verdicts end with exit code 1.
    pub fail_on: FailOn,
    /// Which of many looks this is.
    pub look: Option<Look>,
    /// Rules, the last ones counting most.
    pub rules: Vec<Rule>,
    /// Accepted changes; the first that matches is named.
    pub accepted: Vec<Acceptance>,
}

impl Default for Policy {
    fn default() -> Policy {
        let population = PopulationOptions::default();
        Policy {
            q: population.q,
            min_effect: population.min_effect,
            min_effect_ns: population.min_effect_ns,
            min_traces: population.min_traces,
            must_detect: population.must_detect,
            max_environment_drift: population.max_environment_drift,
            min_coverage: None,
            latency: population.latency,
            on_inconclusive: OnInconclusive::default(),
            fail_on: FailOn::default(),
            look: population.look,
            rules: Vec::new(),
            accepted: Vec::new(),
        }
    }
}

impl Policy {
    /// How the comparison has to be made for this policy.
    pub fn population(&self) -> PopulationOptions {
        PopulationOptions {
            q: self.q,
            min_effect: self.min_effect,
            min_effects: self
                .rules
                .iter()
                .filter_map(|rule| rule.settings.min_effect.map(|min_effect| (rule.matcher.clone(), min_effect)))
                .collect(),
            min_effect_ns: self.min_effect_ns,
            min_traces: self.min_traces,
            must_detect: self.must_detect,
            max_environment_drift: self.max_environment_drift,
            look: self.look,
            latency: self.latency,
        }
    }

    /// What all rules together set for a call path, entry point first.
    pub fn settings(&self, path: &[Operation]) -> Settings {
        let mut settings = Settings::default();
        for rule in self.rules.iter().filter(|rule| rule.matcher.matches(path)) {
            settings.lay(&rule.settings);
        }
        settings
    }

    /// Two rules for the same call paths that contradict each other, by their places, and in what; or one rule that
    /// contradicts itself.
    pub fn conflict(&self) -> Option<(usize, usize, &'static str)> {
        self.rules.iter().enumerate().find_map(|(index, rule)| {
            if rule.settings.critical == Some(true) && rule.settings.warn_only == Some(true) {
                return Some((index, index, "critical and mode"));
            }
            let earlier = self.rules.iter().take(index).enumerate().rev();
            earlier.filter(|(_, other)| other.matcher == rule.matcher).find_map(|(other, earlier)| {
                rule.settings.contradiction(&earlier.settings).map(|what| (other, index, what))
            })
        })
    }

    /// Whether any rule looks at single call paths, for which the comparison must keep its tree.
    pub fn needs_tree(&self) -> bool {
        let looks = |rule: &Rule| {
            let Settings { p95, error_rate, calls_per_trace, .. } = &rule.settings;
            calls_per_trace.is_some() || p95.is_some() || error_rate.is_some()
        };
        self.rules.iter().any(looks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    #[test]
    fn days_are_counted() {
        for (text, day) in [
            ("1970-01-01", Some(0)),
            ("1970-03-01", Some(59)),
            ("2000-02-29", Some(11_016)),
            ("2026-12-31", Some(20_818)),
            ("1969-12-31", Some(-1)),
            ("2026-02-29", None),
            ("2026-13-01", None),
            ("2026-00-10", None),
            ("2026-1-1", None),
            ("2026-01-01-01", None),
            ("+026-01-01", None),
            ("tomorrow", None),
        ] {
            assert_eq!(Day::parse(text), day.map(Day), "{text}");
        }
    }

    fn rule(entry: &str, settings: Settings) -> Rule {
        Rule { matcher: Matcher { entry: Pattern::name(entry).ok(), ..Matcher::default() }, settings }
    }

    #[test]
    fn the_last_rule_that_sets_something_counts() {
        let policy = Policy {
            rules: vec![
                rule("*", Settings { critical: Some(true), min_effect: Some(0.1), ..Settings::default() }),
                rule("GET /", Settings { min_effect: Some(0.2), prove: Some(true), ..Settings::default() }),
            ],
            ..Policy::default()
        };
        let path = |name: &str| [Operation { service: "a".into(), kind: Kind::Server, name: name.into() }];
        let settings = policy.settings(&path("GET /"));
        assert_eq!((settings.critical, settings.min_effect, settings.prove), (Some(true), Some(0.2), Some(true)));
        assert_eq!(policy.settings(&path("PING")).min_effect, Some(0.1));
        let population = policy.population();
        assert!((population.min_effect_at(&path("GET /")) - 0.2).abs() < 1e-12);
        assert!((population.min_effect_at(&path("a/b")) - 0.1).abs() < 1e-12);
        assert_eq!(Policy::default().population(), PopulationOptions::default());
    }

    #[test]
    fn contradictions_are_found() {
        let set = |min_effect: f64| Settings { min_effect: Some(min_effect), ..Settings::default() };
        let with = |rules: Vec<Rule>| Policy { rules, ..Policy::default() }.conflict();
        assert_eq!(with(vec![rule("a", set(0.1)), rule("b", set(0.2)), rule("a", set(0.1))]), None);
        let expected = Some((0, 2, "min_effect"));
        assert_eq!(with(vec![rule("a", set(0.1)), rule("b", set(0.2)), rule("a", set(0.2))]), expected);
        let both = Settings { critical: Some(true), warn_only: Some(true), ..Settings::default() };
        assert_eq!(with(vec![rule("a", both)]), Some((0, 0, "critical and mode")));
    }
}
