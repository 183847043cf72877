//! Sealed windows, kept as encoded profiles for as long as they are asked for: single ones at first, merged by the hour
//! when they are older, at most so many bytes.
//!
//! What is kept is addressed by the numbers of windows, which no correction of the clock can mix up; the clock only says
//! which of them are those of last week. Examples, the largest part of a profile, go with the newest windows only, which
//! the watch holds decoded. What became of windows is told as [`Change`]s, so that a directory can follow.

use super::board::WindowInfo;
use super::pipeline::Sealed;
use crate::ingest::profile_codec;
use crate::model::Limits;
use crate::model::profile::Profile;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

const MINUTE_NS: u64 = 60_000_000_000;
/// Windows are merged by the hour.
const HOUR_NS: u64 = 60 * MINUTE_NS;
/// Single windows are kept for so long: baselines look back an hour.
const FINE_NS: u64 = 2 * HOUR_NS;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// For how long, nanoseconds.
    pub retain_ns: u64,
    /// Bytes of encoded profiles, at most; the oldest go first.
    pub most_bytes: u64,
    /// The length of a window, nanoseconds.
    pub window_ns: u64,
}

/// Something that a directory of snapshots is to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A file is to be written.
    Write {
        /// Its name.
        name: String,
        /// Its content, a profile.
        bytes: Arc<[u8]>,
    },
    /// A file is to be removed.
    Remove {
        /// Its name.
        name: String,
    },
}

/// One window of one cohort, or several that were merged.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The cohort.
    pub cohort: String,
    /// The numbers of its windows: the first, and the one behind the last.
    pub numbers: Range<u64>,
    /// Its begin, nanoseconds since 1970.
    pub start_unix_ns: u64,
    /// Its end.
    pub end_unix_ns: u64,
    /// Traces in it.
    pub traces: u64,
    /// Spans in it.
    pub spans: u64,
    /// The profile, encoded.
    pub bytes: Arc<[u8]>,
}

/// The windows that are kept.
#[derive(Debug)]
pub struct Windows {
    keep: Keep,
    limits: Limits,
    /// By first number and cohort.
    kept: BTreeMap<(u64, String), Kept>,
    bytes: u64,
    /// Windows that had to go for want of room.
    dropped: u64,
}

impl Windows {
    /// Nothing is kept.
    pub fn new(keep: Keep, limits: &Limits) -> Windows {
        Windows { keep, limits: *limits, kept: BTreeMap::new(), bytes: 0, dropped: 0 }
    }

    /// Bytes of all windows.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Windows that went before their time, for want of room.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The number behind the last window that is kept.
    pub fn next_number(&self) -> u64 {
        self.kept.values().map(|kept| kept.numbers.end).max().unwrap_or(0)
    }

    /// How many windows such a time is.
    pub fn count_of(&self, ns: u64) -> u64 {
        ns.div_ceil(self.keep.window_ns.max(1))
    }

    /// Keeps a sealed window, and lets go of what is too old or too much. Windows are not merged across `bounds`, the
    /// numbers of the first windows behind marks.
    pub fn add(&mut self, sealed: &Sealed, bounds: &BTreeSet<u64>) -> Vec<Change> {
        let mut changes = Vec::new();
        for (cohort, profile) in &sealed.cohorts {
            let times = (sealed.start_unix_ns, sealed.end_unix_ns);
            if let Some(kept) = encoded(cohort, sealed.number..sealed.number + 1, times, profile) {
                self.insert(kept, &mut changes);
            }
        }
        let behind = sealed.number + 1;
        let too_old = behind.saturating_sub(self.count_of(self.keep.retain_ns));
        let old: Vec<(u64, String)> =
            self.kept.iter().filter(|(_, kept)| kept.numbers.end <= too_old).map(|(key, _)| key.clone()).collect();
        for key in &old {
            self.remove(key, &mut changes);
        }
        if sealed.number.is_multiple_of(self.count_of(HOUR_NS).max(1)) {
            self.merge_old(behind.saturating_sub(self.count_of(FINE_NS)), bounds, &mut changes);
        }
        self.make_room(&mut changes);
        changes
    }

    /// The number behind the last window of a snapshot, by its name; `None` for another file.
    pub fn number_of(name: &str) -> Option<u64> {
        parse_name(name).map(|(_, numbers, ..)| numbers.end)
    }

    /// Takes up a window from a file of a former run; false when it is damaged, or there is no room for it. The newest
    /// are to come first.
    pub fn restore(&mut self, name: &str, bytes: Vec<u8>) -> bool {
        let Some((cohort, numbers, start_unix_ns, end_unix_ns)) = parse_name(name) else { return false };
        let has_room = self.bytes.saturating_add(bytes.len() as u64) <= self.keep.most_bytes;
        let overlaps =
            |kept: &Kept| kept.cohort == cohort && kept.numbers.start < numbers.end && numbers.start < kept.numbers.end;
        if !has_room || self.kept.values().any(overlaps) {
            return false;
        }
        let Ok(profile) = profile_codec::decode(&mut &*bytes, &self.limits) else { return false };
        let (traces, spans) = (profile.totals.traces, profile.totals.spans);
        let bytes: Arc<[u8]> = bytes.into();
        self.insert(Kept { cohort, numbers, start_unix_ns, end_unix_ns, traces, spans, bytes }, &mut Vec::new());
        true
    }

    /// The windows of a cohort (`None` for all cohorts) whose numbers lie in a range, added up; `None` for none. Where a
    /// range begins in the midst of merged windows, they are in it as a whole.
    pub fn between(&self, cohort: Option<&str>, numbers: &Range<u64>) -> Option<Profile> {
        self.sum(cohort, |kept| numbers.start < kept.numbers.end && kept.numbers.end <= numbers.end)
    }

    /// The windows of a cohort that overlap a stretch of time and lie before a number, added up; `None` for none.
    pub fn around(&self, cohort: &str, (from_ns, to_ns): (u64, u64), before: u64) -> Option<Profile> {
        let overlaps = |kept: &Kept| kept.start_unix_ns < to_ns && from_ns < kept.end_unix_ns;
        self.sum(Some(cohort), |kept| overlaps(kept) && kept.numbers.end <= before)
    }

    /// What is kept, by cohort and begin.
    pub fn list(&self) -> Vec<WindowInfo> {
        let info = |kept: &Kept| WindowInfo {
            cohort: kept.cohort.clone(),
            start_unix_ns: kept.start_unix_ns,
            end_unix_ns: kept.end_unix_ns,
            traces: kept.traces,
            spans: kept.spans,
            bytes: kept.bytes.len() as u64,
        };
        let mut list: Vec<WindowInfo> = self.kept.values().map(info).collect();
        // Numbers order those of one cohort, whatever the clock did.
        list.sort_by(|a, b| a.cohort.cmp(&b.cohort));
        list
    }

    /// Whether any window of a cohort is kept.
    pub fn has(&self, cohort: &str) -> bool {
        self.kept.values().any(|kept| kept.cohort == cohort)
    }

    fn sum(&self, cohort: Option<&str>, takes: impl Fn(&Kept) -> bool) -> Option<Profile> {
        let mut sum: Option<Profile> = None;
        for kept in self.kept.values().filter(|kept| cohort.is_none_or(|cohort| kept.cohort == cohort) && takes(kept)) {
            // It was encoded here or checked when it was taken up.
            let Ok(profile) = profile_codec::decode(&mut &*kept.bytes, &self.limits) else { continue };
            match &mut sum {
                Some(sum) => sum.merge(&profile),
                None => sum = Some(profile),
            }
        }
        sum.map(Profile::into_canonical)
    }

    fn insert(&mut self, kept: Kept, changes: &mut Vec<Change>) {
        self.bytes += kept.bytes.len() as u64;
        changes.push(Change::Write { name: name_of(&kept), bytes: Arc::clone(&kept.bytes) });
        self.kept.insert((kept.numbers.start, kept.cohort.clone()), kept);
    }

    fn remove(&mut self, key: &(u64, String), changes: &mut Vec<Change>) {
        if let Some(kept) = self.kept.remove(key) {
            self.bytes -= kept.bytes.len() as u64;
            changes.push(Change::Remove { name: name_of(&kept) });
        }
    }

    /// Merges windows of one cohort and hour that end by a number.
    fn merge_old(&mut self, by: u64, bounds: &BTreeSet<u64>, changes: &mut Vec<Change>) {
        let mut groups: BTreeMap<(&str, u64, u64), Vec<&Kept>> = BTreeMap::new();
        for kept in self.kept.values().filter(|kept| kept.numbers.end <= by) {
            let mark = bounds.range(..=kept.numbers.start).next_back().copied().unwrap_or(0);
            groups.entry((&kept.cohort, mark, kept.start_unix_ns / HOUR_NS)).or_default().push(kept);
        }
        let mut merged = Vec::new();
        for ((cohort, ..), members) in groups.into_iter().filter(|(_, members)| members.len() > 1) {
            let (Some(first), Some(last)) = (members.first(), members.last()) else { continue };
            let mut sum = Profile::default();
            for kept in &members {
                if let Ok(profile) = profile_codec::decode(&mut &*kept.bytes, &self.limits) {
                    sum.merge(&profile);
                }
            }
            let start = members.iter().map(|kept| kept.start_unix_ns).min().unwrap_or(0);
            let end = members.iter().map(|kept| kept.end_unix_ns).max().unwrap_or(0);
            let keys: Vec<(u64, String)> = members.iter().map(|kept| (kept.numbers.start, cohort.to_owned())).collect();
            let numbers = first.numbers.start..last.numbers.end;
            merged.extend(encoded(cohort, numbers, (start, end), &sum.into_canonical()).map(|kept| (keys, kept)));
        }
        for (keys, kept) in merged {
            // The new file is there before the old ones go: a crash between leaves too much, which is noticed.
            let mut removed = Vec::new();
            for key in &keys {
                self.remove(key, &mut removed);
            }
            self.insert(kept, changes);
            changes.append(&mut removed);
        }
    }

    /// Lets the oldest go until the rest has room.
    fn make_room(&mut self, changes: &mut Vec<Change>) {
        while self.bytes > self.keep.most_bytes {
            let Some(key) = self.kept.keys().next().cloned() else { return };
            self.remove(&key, changes);
            self.dropped += 1;
        }
    }
}

/// A window as it is kept, without examples; `None` when it cannot be encoded for want of memory.
fn encoded(cohort: &str, numbers: Range<u64>, times: (u64, u64), profile: &Profile) -> Option<Kept> {
    let mut profile = profile.clone();
    profile.drop_examples();
    Some(Kept {
        cohort: cohort.to_owned(),
        numbers,
        start_unix_ns: times.0,
        end_unix_ns: times.1,
        traces: profile.totals.traces,
        spans: profile.totals.spans,
        bytes: profile_codec::encode(&profile).ok()?.into(),
    })
}

/// The ending of a snapshot's name.
const ENDING: &str = ".spanprofile";
/// What stands for the cohort of traces that are not divided: no value can be empty.
const ALL: &str = "all_";
const MILLI_NS: u64 = 1_000_000;

/// The name of a snapshot: cohort, begin in milliseconds since 1970, length in milliseconds, numbers. So names sort by
/// cohort and time.
fn name_of(kept: &Kept) -> String {
    let (start, end) = (kept.start_unix_ns / MILLI_NS, kept.end_unix_ns / MILLI_NS);
    let cohort = if kept.cohort.is_empty() { ALL.to_owned() } else { escape(&kept.cohort) };
    let length = end.saturating_sub(start);
    format!("{cohort}@{start:013}+{length}@{:010}-{:010}{ENDING}", kept.numbers.start, kept.numbers.end)
}

/// Cohort, numbers, begin and end of a snapshot by its name; `None` for another file.
fn parse_name(name: &str) -> Option<(String, Range<u64>, u64, u64)> {
    let mut parts = name.strip_suffix(ENDING)?.split('@');
    let (cohort, times, numbers) = (parts.next()?, parts.next()?, parts.next()?);
    let (start, length) = times.split_once('+')?;
    let (first, behind) = numbers.split_once('-')?;
    let number = |text: &str| text.parse::<u64>().ok();
    let (start, length) = (number(start)?.checked_mul(MILLI_NS)?, number(length)?.checked_mul(MILLI_NS)?);
    let numbers = number(first)?..number(behind)?;
    let cohort = if cohort == ALL { String::new() } else { unescape(cohort)? };
    let whole = parts.next().is_none() && numbers.start < numbers.end;
    whole.then_some((cohort, numbers, start, start.checked_add(length)?))
}

/// Letters, digits, dots and hyphens as they are, any other byte as `%xx`.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => escaped.push(char::from(byte)),
            // A name that begins with a dot would be hidden, or another directory.
            b'.' if !escaped.is_empty() => escaped.push('.'),
            _ => {
                let _ = write!(escaped, "%{byte:02x}");
            }
        }
    }
    escaped
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push(match byte {
            b'%' => (digit(rest.next()?)? * 16 + digit(rest.next()?)?) as u8,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_were_written() {
        for cohort in ["", "v1", "../x y_z@+-%", "größe", "all_", "all"] {
            let kept = Kept {
                cohort: cohort.to_owned(),
                numbers: 3..63,
                start_unix_ns: 1_772_445_600_000_000_000,
                end_unix_ns: 1_772_449_200_000_000_000,
                traces: 0,
                spans: 0,
                bytes: Arc::default(),
            };
            let name = name_of(&kept);
            assert!(!name.contains(['/', '\\', ' ']) && !name.starts_with('.'), "{name}");
            assert_eq!(parse_name(&name), Some((cohort.to_owned(), 3..63, kept.start_unix_ns, kept.end_unix_ns)));
        }
        for other in [
            "x",
            "all_@1+1@3-3.spanprofile",
            "all_@1+1@1-2",
            "@@.spanprofile",
            "a@99999999999999999999+1@1-2.spanprofile",
        ] {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }
}
