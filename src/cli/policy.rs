//! The policy of the gate as it is written: `[gate]`, `[[rule]]` and `[[accept]]`, in a file of their own or in the
//! configuration file.
//!
//! Sizes of changes are written with their unit ("5%", "2ms"), so that 0.05 and 5 cannot be mistaken for each other.
//! Whatever is not understood is an error that names its line.

use super::args::parse_time;
use super::error::Problem;
use crate::diff::pattern::{Matcher, Pattern};
use crate::diff::policy::{
    Acceptance, CallsLimit, Day, ErrorLimit, FailOn, OnInconclusive, P95Limit, Policy, Rule, Settings,
};
use crate::diff::{FindingKind, Look};
use serde::de::{Deserialize, Deserializer, Error as _};
use std::path::Path;
use toml::Spanned;

/// The version of the tables that this program reads.
const SCHEMA: u32 = 1;

/// The tables as they are written, to be held by the configuration file too.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Written {
    /// Version of the tables.
    pub schema: Option<Schema>,
    /// `[gate]`.
    pub gate: GateTable,
    /// `[[rule]]`.
    pub rule: Vec<Spanned<RuleTable>>,
    /// `[[accept]]`.
    pub accept: Vec<Accept>,
}

/// A version that this program reads.
#[derive(Clone, Copy, Debug)]
pub struct Schema;

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            SCHEMA => Ok(Schema),
            other => Err(D::Error::custom(format!("schema {other} is not known; this version reads schema {SCHEMA}"))),
        }
    }
}

/// `[gate]`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GateTable {
    q: Option<Level>,
    min_effect: Option<Percent>,
    min_effect_abs: Option<Time>,
    min_traces: Option<Traces>,
    must_detect: Option<Percent>,
    max_environment_drift: Option<Percent>,
    min_coverage: Option<Share>,
    on_inconclusive: Option<Inconclusive>,
    fail_on: Option<Fail>,
    latency: Option<Latency>,
}

/// `[[rule]]`.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleTable {
    #[serde(rename = "match")]
    matched: Match,
    critical: Option<bool>,
    mode: Option<Mode>,
    prove: Option<bool>,
    min_effect: Option<Percent>,
    p95: Option<P95Table>,
    error_rate: Option<ErrorTable>,
    calls_per_trace: Option<CallsTable>,
}

#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct P95Table {
    max_increase: Option<Percent>,
    max: Option<Time>,
}

#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorTable {
    max_increase_pp: Option<Points>,
    max: Option<Percent>,
}

#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct CallsTable {
    max_ratio: Option<Ratio>,
    max: Option<Calls>,
}

/// A value that is checked where it stands, so that the error names its line.
macro_rules! checked {
    ($($(#[$doc:meta])* $name:ident($held:ty) from $written:ty: $check:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name($held);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let check: fn($written) -> Result<$held, String> = $check;
                check(<$written>::deserialize(deserializer)?).map($name).map_err(D::Error::custom)
            }
        }
    )+};
}

checked! {
    /// An error rate of decisions.
    Level(f64) from f64: |level| within(level, 1e-6, 0.5, "a rate between 0.000001 and 0.5, such as 0.05");
    /// Traces a side.
    Traces(u64) from u64: |traces| if (2..=1_000_000_000).contains(&traces) { Ok(traces) } else {
        Err(format!("{traces} is no number of traces from 2 on"))
    };
    /// A change in percent.
    Percent(f64) from String: |text| percent(&text);
    /// A share between 0 and 1, or in percent.
    Share(f64) from WrittenShare: |written| match written {
        WrittenShare::Number(share) => within(share, 0.0, 1.0, "a share between 0 and 1, or a percentage such as \"80%\""),
        WrittenShare::Text(text) => percent(&text).and_then(|share| within(share, 0.0, 1.0, "at most \"100%\"")),
    };
    /// Percentage points.
    Points(f64) from f64: |points| within(points, 0.0, 100.0, "percentage points between 0 and 100, such as 0.5").map(|it| it / 100.0);
    /// A ratio of at least one.
    Ratio(f64) from f64: |ratio| within(ratio, 1.0, 1e6, "a ratio of 1 or more, such as 1.5");
    /// A number of calls.
    Calls(f64) from f64: |calls| within(calls, 0.0, 1e9, "a number of calls");
    /// Nanoseconds.
    Time(u64) from String: |text| parse_time(&text);
    /// A day and its text.
    Date((Day, String)) from String: |text| match Day::parse(&text) {
        Some(day) => Ok((day, text)),
        None => Err(format!("`{text}` is no date; example: \"2026-12-31\"")),
    };
    /// A glob.
    Glob(Pattern) from String: |text| Pattern::new(&text);
    /// A glob of a single name.
    Name(Pattern) from String: |text| Pattern::name(&text);
    /// A kind of finding.
    Kind(FindingKind) from String: |text| match FindingKind::ALL.into_iter().find(|kind| kind.name() == text) {
        Some(kind) => Ok(kind),
        None => Err(format!("there is no kind `{text}`; kinds are {}", FindingKind::ALL.map(FindingKind::name).join(", "))),
    };
    /// A finding's fingerprint.
    Fingerprint(String) from String: |text| {
        let is_hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex { Ok(text.to_ascii_lowercase()) } else { Err(format!("`{text}` is no fingerprint of a finding")) }
    };
    /// A reason, which must say something.
    Words(String) from String: |text| if text.trim().is_empty() { Err("a reason must say something".into()) } else {
        Ok(text.trim().to_owned())
    };
    /// What an inconclusive verdict ends with.
    Inconclusive(OnInconclusive) from String: |text| on_inconclusive(&text);
    /// Which verdicts end with 1.
    Fail(FailOn) from String: |text| fail_on(&text);
    /// Whether latency is judged.
    Latency(bool) from String: |text| one_of(&text, &[("judge", true), ("ignore", false)]);
    /// Whether a rule can only warn.
    Mode(bool) from String: |text| one_of(&text, &[("warn", true), ("fail", false)]);
    /// What a rule speaks of.
    Match(Matcher) from WrittenMatch: |written| {
        let WrittenMatch { entry, path, service } = written;
        if entry.is_none() && path.is_none() {
            return Err("match names an entry or a path: { entry = \"POST /checkout\" } or { path = \"**/cache.get\" }".into());
        }
        let [entry, service] = [entry, service].map(|name| name.map(|Name(pattern)| pattern));
        Ok(Matcher { entry, path: path.map(|Glob(pattern)| pattern), service })
    };
    /// An accepted change.
    Accept(Acceptance) from WrittenAccept: |written| {
        let WrittenAccept { path, kind, fingerprint, reason, until } = written;
        if path.is_none() && fingerprint.is_none() {
            return Err("an acceptance names a path or a fingerprint: anything at all is too much to accept".into());
        }
        Ok(Acceptance {
            path: path.map(|it| it.0),
            kind: kind.map(|it| it.0),
            fingerprint: fingerprint.map(|it| it.0),
            reason: reason.0,
            until: until.map(|it| it.0),
        })
    };
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAccept {
    path: Option<Glob>,
    kind: Option<Kind>,
    fingerprint: Option<Fingerprint>,
    reason: Words,
    until: Option<Date>,
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum WrittenShare {
    Number(f64),
    Text(String),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenMatch {
    entry: Option<Name>,
    path: Option<Glob>,
    service: Option<Name>,
}

fn within(value: f64, low: f64, high: f64, what: &str) -> Result<f64, String> {
    if (low..=high).contains(&value) { Ok(value) } else { Err(format!("{value} is not {what}")) }
}

/// `5%`, `0.5%`: a share.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').and_then(|number| number.trim_end().parse::<f64>().ok());
    match number {
        Some(percent) if (0.0..=10_000.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err(format!("`{text}` is no percentage; example: \"5%\"")),
    }
}

fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        format!("`{text}` is none of {}", known.join(", "))
    })
}

/// The word of `--on-inconclusive` and of the file.
pub fn on_inconclusive(text: &str) -> Result<OnInconclusive, String> {
    use OnInconclusive::{Exit3, Fail, Pass};
    one_of(text, &[("exit3", Exit3), ("pass", Pass), ("fail", Fail)])
}

/// The word of `--fail-on` and of the file.
pub fn fail_on(text: &str) -> Result<FailOn, String> {
    one_of(text, &[("warn", FailOn::Warn), ("fail", FailOn::Fail), ("never", FailOn::Never)])
}

/// `3/10` of `--look`: the third of ten planned looks.
pub fn look(text: &str) -> Result<Look, String> {
    let parts = text.split_once('/').and_then(|(look, of)| Some((look.trim().parse().ok()?, of.trim().parse().ok()?)));
    match parts {
        Some((look, looks)) if (1..=looks).contains(&look) && looks <= 1_000 => Ok(Look::Planned { look, looks }),
        _ => Err(format!("`{text}` is no look; example: 3/10, the third of ten planned ones")),
    }
}

/// Reads a policy file.
pub fn load(path: &Path) -> Result<Policy, Problem> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Problem::new(format!("cannot read policy {}", path.display())).cause(error.to_string()))?;
    let written = toml::from_str::<Written>(&text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        invalid(path, &text, at).cause(error.message())
    })?;
    policy(&written).map_err(|conflict| invalid(path, &text, conflict.at).cause(conflict.cause(&text)))
}

fn invalid(path: &Path, text: &str, at: usize) -> Problem {
    Problem::new(format!("policy {} is not valid at line {}", path.display(), line(text, at)))
}

fn line(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).matches('\n').count() + 1
}

/// Two rules that contradict each other.
#[derive(Clone, Copy, Debug)]
pub struct Conflict {
    /// Where the later rule begins, bytes.
    pub at: usize,
    /// Where the earlier one begins; the same for a rule that contradicts itself.
    earlier: usize,
    what: &'static str,
}

impl Conflict {
    /// Why this is an error; `text` is the file's.
    pub fn cause(&self, text: &str) -> String {
        let what = self.what;
        if self.earlier == self.at {
            return format!("the rule contradicts itself in {what}");
        }
        format!("the rule has the same match as the one at line {}, but another {what}", line(text, self.earlier))
    }
}

/// The policy that the tables of a file make.
pub fn policy(written: &Written) -> Result<Policy, Conflict> {
    let gate = &written.gate;
    let default = Policy::default();
    let policy = Policy {
        q: gate.q.as_ref().map_or(default.q, |it| it.0),
        min_effect: gate.min_effect.as_ref().map_or(default.min_effect, |it| it.0),
        min_effect_ns: gate.min_effect_abs.as_ref().map_or(default.min_effect_ns, |it| it.0),
        min_traces: gate.min_traces.as_ref().map_or(default.min_traces, |it| it.0),
        must_detect: gate.must_detect.as_ref().map_or(default.must_detect, |it| it.0),
        max_environment_drift: gate.max_environment_drift.as_ref().map_or(default.max_environment_drift, |it| it.0),
        min_coverage: gate.min_coverage.as_ref().map(|it| it.0),
        latency: gate.latency.as_ref().map_or(default.latency, |it| it.0),
        on_inconclusive: gate.on_inconclusive.as_ref().map_or(default.on_inconclusive, |it| it.0),
        fail_on: gate.fail_on.as_ref().map_or(default.fail_on, |it| it.0),
        look: default.look,
        rules: written.rule.iter().map(|rule| self::rule(rule.get_ref())).collect(),
        accepted: written.accept.iter().map(|accept| accept.0.clone()).collect(),
    };
    let Some((first, second, what)) = policy.conflict() else { return Ok(policy) };
    let at = |index: usize| written.rule.get(index).map_or(0, |rule| rule.span().start);
    Err(Conflict { at: at(second), earlier: at(first), what })
}

fn rule(table: &RuleTable) -> Rule {
    Rule {
        matcher: table.matched.0.clone(),
        settings: Settings {
            critical: table.critical,
            warn_only: table.mode.as_ref().map(|it| it.0),
            prove: table.prove,
            min_effect: table.min_effect.as_ref().map(|it| it.0),
            p95: table.p95.as_ref().map(|it| P95Limit {
                max_increase: it.max_increase.as_ref().map(|it| it.0),
                max_ns: it.max.as_ref().map(|it| it.0),
            }),
            error_rate: table.error_rate.as_ref().map(|it| ErrorLimit {
                max_increase: it.max_increase_pp.as_ref().map(|it| it.0),
                max: it.max.as_ref().map(|it| it.0),
            }),
            calls_per_trace: table.calls_per_trace.as_ref().map(|it| CallsLimit {
                max_ratio: it.max_ratio.as_ref().map(|it| it.0),
                max: it.max.as_ref().map(|it| it.0),
            }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Policy, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.toml");
        std::fs::write(&path, text).unwrap();
        load(&path).map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn the_sample_of_the_design_is_read() {
        let policy = read(
            r#"
schema = 1
[gate]
q = 0.01
min_effect = "10%"
min_effect_abs = "5ms"
min_traces = 50
must_detect = "30%"
on_inconclusive = "pass"
fail_on = "warn"
latency = "ignore"
max_environment_drift = "15%"
min_coverage = 0.8
[[rule]]
match = { entry = "POST /checkout" }
critical = true
prove = true
min_effect = "2.5%"
p95 = { max_increase = "10%", max = "600ms" }
error_rate = { max_increase_pp = 0.5, max = "1%" }
calls_per_trace = { max_ratio = 1.5, max = 40 }
[[rule]]
match = { path = "**/cache.get", service = "cart" }
mode = "warn"
[[accept]]
path = "POST /checkout/**/fraud.score"
kind = "slower"
reason = "new model, ADR-41"
until = "2026-12-31"
[[accept]]
fingerprint = "9C41"
reason = "known"
"#,
        )
        .unwrap();
        assert_eq!((policy.q, policy.min_effect, policy.min_effect_ns, policy.min_traces), (0.01, 0.1, 5_000_000, 50));
        assert_eq!((policy.must_detect, policy.max_environment_drift, policy.min_coverage), (0.3, 0.15, Some(0.8)));
        assert_eq!((policy.on_inconclusive, policy.fail_on), (OnInconclusive::Pass, FailOn::Warn));
        assert!(!policy.latency);
        let checkout = &policy.rules[0].settings;
        assert_eq!((checkout.critical, checkout.prove, checkout.min_effect), (Some(true), Some(true), Some(0.025)));
        assert_eq!(checkout.p95, Some(P95Limit { max_increase: Some(0.1), max_ns: Some(600_000_000) }));
        assert_eq!(checkout.error_rate, Some(ErrorLimit { max_increase: Some(0.005), max: Some(0.01) }));
        assert_eq!(checkout.calls_per_trace, Some(CallsLimit { max_ratio: Some(1.5), max: Some(40.0) }));
        assert_eq!(policy.rules[1].settings.warn_only, Some(true));
        assert_eq!(policy.rules[1].matcher.text(), "path **/cache.get, service cart");
        assert_eq!(policy.accepted[0].until, Some((Day(20_818), "2026-12-31".into())));
        assert_eq!(policy.accepted[0].kind, Some(FindingKind::Slower));
        assert_eq!(policy.accepted[1].fingerprint.as_deref(), Some("9c41"));
        assert_eq!(read("").unwrap(), Policy::default());
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, line, word) in [
            ("schema = 2\n", 1, "schema 1"),
            ("\n[gates]\n", 2, "gates"),
            ("[gate]\nmin_effects = \"5%\"\n", 2, "min_effects"),
            ("[gate]\nmin_effect = 0.05\n", 2, "string"),
            ("[gate]\nmin_effect = \"5\"\n", 2, "percentage"),
            ("[gate]\nmin_effect = \"-5%\"\n", 2, "percentage"),
            ("[gate]\nmin_effect = \"nan%\"\n", 2, "percentage"),
            ("[gate]\nmin_effect_abs = \"2\"\n", 2, "unit"),
            ("[gate]\nq = 5\n", 2, "0.05"),
            ("[gate]\nq = nan\n", 2, "0.05"),
            ("[gate]\nmin_coverage = 80\n", 2, "80%"),
            ("[gate]\nmin_traces = 1\n", 2, "traces"),
            ("[gate]\non_inconclusive = \"maybe\"\n", 2, "exit3, pass, fail"),
            ("[gate]\nlatency = \"no\"\n", 2, "judge, ignore"),
            ("[[rule]]\ncritical = true\n", 1, "match"),
            ("[[rule]]\nmatch = { service = \"a\" }\n", 2, "an entry or a path"),
            ("[[rule]]\nmatch = { entry = \"\" }\n", 2, "empty"),
            ("[[rule]]\nmatch = { entry = \"a\" }\np95 = { maximum = \"1s\" }\n", 3, "maximum"),
            ("[[rule]]\nmatch = { entry = \"a\" }\ncalls_per_trace = { max_ratio = 0.5 }\n", 3, "ratio of 1"),
            ("[[accept]]\npath = \"a\"\n", 1, "reason"),
            ("[[accept]]\npath = \"a\"\nreason = \" \"\n", 3, "say something"),
            ("[[accept]]\npath = \"a\"\nreason = \"b\"\nuntil = \"2026-02-30\"\n", 4, "2026-02-30"),
            ("[[accept]]\nkind = \"slower\"\nreason = \"b\"\n", 1, "too much"),
            ("[[accept]]\nkind = \"slow\"\nreason = \"b\"\n", 2, "slower"),
            ("[gate\n", 1, ""),
        ] {
            let shown = read(text).unwrap_err();
            assert!(shown.contains(&format!("at line {line}")) && shown.contains(word), "{text:?}: {shown}");
        }
    }

    #[test]
    fn rules_must_not_contradict_each_other() {
        let shown = read(
            "[[rule]]\nmatch = { entry = \"a\" }\nmin_effect = \"5%\"\n\n\
             [[rule]]\nmatch = { entry = \"a\" }\nmin_effect = \"6%\"\n",
        )
        .unwrap_err();
        assert!(shown.contains("at line 5") && shown.contains("at line 1, but another min_effect"), "{shown}");
        let shown = read("[[rule]]\nmatch = { entry = \"a\" }\ncritical = true\nmode = \"warn\"\n").unwrap_err();
        assert!(shown.contains("at line 1") && shown.contains("contradicts itself"), "{shown}");
    }

    #[test]
    fn looks_are_counted_from_one() {
        assert_eq!(look("3/10"), Ok(Look::Planned { look: 3, looks: 10 }));
        for text in ["0/3", "4/3", "3", "a/b", "1/1000000"] {
            assert!(look(text).is_err(), "{text}");
        }
    }
}
