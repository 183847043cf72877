//! What windows are compared with.

use crate::model::profile::Profile;
use crate::receiver::mark::Mark;
use std::fmt;
use std::sync::Arc;

/// What windows are compared with.
#[derive(Clone, Debug, Default)]
pub enum Baseline {
    /// What came before the last mark; without a mark the hour before.
    #[default]
    Mark,
    /// A profile, and where it came from.
    Profile(String, Arc<Profile>),
    /// The same windows of another cohort.
    Cohort(String),
    /// What came so many nanoseconds earlier.
    Window(u64),
}

const SECOND_NS: u64 = 1_000_000_000;
const UNITS: [(&str, u64); 5] = [
    ("w", 7 * 86_400 * SECOND_NS),
    ("d", 86_400 * SECOND_NS),
    ("h", 3_600 * SECOND_NS),
    ("m", 60 * SECOND_NS),
    ("s", SECOND_NS),
];

impl Baseline {
    /// Reads `mark`, `cohort:VALUE` or `window:AGE`; `None` for anything else, which may be the name of a profile.
    pub fn parse(text: &str) -> Option<Baseline> {
        match text.split_once(':') {
            None if text == "mark" => Some(Baseline::Mark),
            Some(("cohort", value)) if !value.is_empty() => Some(Baseline::Cohort(value.to_owned())),
            Some(("window", age)) => age_ns(age).map(Baseline::Window),
            _ => None,
        }
    }
}

impl Baseline {
    /// What it is called beside a verdict; `mark` is the one since which windows are added up.
    pub(super) fn named(&self, mark: Option<&Mark>) -> String {
        match (self, mark) {
            (Baseline::Mark, None) => "the hour before".to_owned(),
            (Baseline::Mark, Some(mark)) if mark.label.is_empty() => "before the mark".to_owned(),
            (Baseline::Mark, Some(mark)) => format!("before {}", mark.label),
            (Baseline::Profile(name, _), _) => name.clone(),
            (Baseline::Cohort(value), _) => format!("cohort {value} at the same time"),
            (Baseline::Window(_), _) => {
                let text = self.to_string();
                format!("{} earlier", text.strip_prefix("window:").unwrap_or_default())
            }
        }
    }
}

/// A time in words: `7d`, `90m`; at least a second.
fn age_ns(text: &str) -> Option<u64> {
    let (number, factor) = UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok().filter(|number| *number > 0)?.checked_mul(factor)
}

/// As it is written on the command line.
impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Baseline::Mark => f.write_str("mark"),
            Baseline::Profile(name, _) => f.write_str(name),
            Baseline::Cohort(value) => write!(f, "cohort:{value}"),
            Baseline::Window(age_ns) => {
                let whole = UNITS.iter().find(|(_, factor)| age_ns.is_multiple_of(*factor));
                let (unit, factor) = whole.copied().unwrap_or(("ns", 1));
                write!(f, "window:{}{unit}", age_ns / factor)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn baselines_are_read_as_they_are_written() {
        for text in ["mark", "cohort:stable", "cohort:a:b", "window:1w", "window:1d", "window:90m", "window:36h"] {
            assert_eq!(Baseline::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Baseline::parse("window:7d").unwrap().to_string(), "window:1w");
        for text in [
            "",
            "cohort:",
            "window:",
            "window:d",
            "window:0s",
            "window:-1d",
            "window:+1d",
            "window:1y",
            "x.spanprofile",
        ] {
            assert!(Baseline::parse(text).is_none(), "{text}");
        }
        assert!(Baseline::parse("window:99999999999999999w").is_none());
    }
}
