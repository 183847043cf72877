//! Decoded batches become sealed windows: traces are assembled, divided into cohorts and folded, each into the window in
//! which its first span arrived.
//!
//! Windows go by arrival. Their length is measured on the steady clock and their names come from the other one, so that
//! neither a corrected clock nor a timestamp of the year 2200 opens, loses or stretches one. A window ends at a multiple
//! of its length, so that those of other days match it, and at a mark. It is sealed when no open trace can belong to it
//! any more, but not for the sake of a few that go on and on: those are folded into the oldest window that is not sealed
//! when they end. Unless a mark lies between: then they are late, for what began before a deployment says nothing of it.

use super::cohort::{Belongs, CohortKey, Cohorts};
use super::counters::Counters;
use super::mark::Mark;
use super::moment::Moment;
use crate::ingest::live::{Ended, EndedSink, Live, Timing};
use crate::ingest::{Batch, Folder, ReadReport, Rules};
use crate::model::profile::Profile;
use crate::model::{Limits, Symbols, Warning, Warnings};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What a call path takes in a window that is not sealed, roughly, in bytes: all of them may take as much as open traces.
const PATH_BYTES: u64 = 4_096;
/// A window waits for its traces this many times the idle timeout: one more than a trace takes to end in silence.
const PATIENCE: u64 = 2;
/// The shortest window: more often than once a second nobody looks.
const SHORTEST_WINDOW_NS: u64 = 1_000_000_000;

/// What a pipeline is told.
#[derive(Clone, Debug)]
pub struct PipelineOptions {
    /// How long a window is, nanoseconds; at least a second.
    pub window_ns: u64,
    /// When a trace is complete.
    pub timing: Timing,
    /// By what traces are divided; `None` for not at all.
    pub cohort_by: Option<CohortKey>,
    /// The number of the first window: that behind the last one of a former run.
    pub first_window: u64,
}

impl Default for PipelineOptions {
    fn default() -> PipelineOptions {
        PipelineOptions { window_ns: 60_000_000_000, timing: Timing::default(), cohort_by: None, first_window: 0 }
    }
}

/// A window that nothing is added to any more.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Its number: one more than that of the window before it.
    pub number: u64,
    /// Its begin, nanoseconds since 1970.
    pub start_unix_ns: u64,
    /// Its end.
    pub end_unix_ns: u64,
    /// What was folded, by cohort; empty when nothing came. Without `cohort_by` the cohort's name is empty.
    pub cohorts: BTreeMap<String, Arc<Profile>>,
}

/// A window that traces are folded into.
#[derive(Debug)]
struct Window {
    start: Moment,
    end_steady_ns: u64,
    cohorts: BTreeMap<String, Folder>,
    /// What was lost, and belongs to no cohort.
    lost: Warnings,
    /// Bytes that came, and of those the bytes that could not be used.
    bytes: (u64, u64),
}

/// Where traces go that are closed.
#[derive(Debug)]
struct Folding {
    options: PipelineOptions,
    limits: Limits,
    counters: Arc<Counters>,
    cohorts: Cohorts,
    /// Windows that are not sealed; their numbers follow each other. The last one is open.
    windows: VecDeque<Window>,
    first: u64,
    /// Call paths of all of them.
    paths: usize,
    /// The numbers of windows that begin at a mark, as long as open traces can be older.
    marks: Vec<u64>,
}

/// From decoded batches to sealed windows.
#[derive(Debug)]
pub struct Pipeline<'r> {
    live: Live<'r>,
    folding: Folding,
}

impl Window {
    /// A window from `start` on, to the first multiple of `length` that is half a window away or more.
    fn begin(start: Moment, length: u64) -> Window {
        let left = length - start.unix_ns % length;
        let length = if left < length / 2 { left + length } else { left };
        Window {
            start,
            end_steady_ns: start.steady_ns.saturating_add(length),
            cohorts: BTreeMap::new(),
            lost: Warnings::default(),
            bytes: (0, 0),
        }
    }

    /// What was folded. What was lost belongs to all cohorts by their spans.
    fn seal(self, number: u64, divided: bool) -> Sealed {
        let length = self.end_steady_ns.saturating_sub(self.start.steady_ns);
        let mut profiles: BTreeMap<String, Profile> =
            self.cohorts.into_iter().map(|(name, folder)| (name, folder.finish())).collect();
        if profiles.is_empty() && !divided && !self.lost.is_empty() {
            profiles.insert(String::new(), Profile::default());
        }
        let spans: u64 = profiles.values().map(|profile| profile.totals.spans).sum();
        let cohorts = profiles.len();
        for profile in profiles.values_mut() {
            let totals = &mut profile.totals;
            // Not a tested share: rounded up, so that no loss disappears.
            let part = |lost: u64| match (cohorts, spans) {
                (1, _) | (_, 0) => lost,
                _ => (u128::from(lost) * u128::from(totals.spans)).div_ceil(u128::from(spans)) as u64,
            };
            let mut lost = Warnings::default();
            for (warning, counted) in self.lost.iter() {
                lost.add(warning, part(counted.count));
            }
            totals.bytes = (part(self.bytes.0), part(self.bytes.1));
            totals.warnings.merge(&lost);
        }
        Sealed {
            number,
            start_unix_ns: self.start.unix_ns,
            end_unix_ns: self.start.unix_ns.saturating_add(length),
            cohorts: profiles.into_iter().map(|(name, profile)| (name, Arc::new(profile))).collect(),
        }
    }
}

impl Folding {
    /// The number of the open window.
    fn current(&self) -> u64 {
        self.first + self.windows.len() as u64 - 1
    }

    /// Counts spans that were lost in the open window.
    fn lose(&mut self, warning: Warning, count: u64) {
        if let Some(window) = self.windows.back_mut() {
            window.lost.add(warning, count);
        }
    }

    /// Begins the next window when the open one is over.
    fn roll(&mut self, now: Moment) {
        let length = self.options.window_ns;
        let Some(end) = self.windows.back().map(|window| window.end_steady_ns) else { return };
        if now.steady_ns < end {
            return;
        }
        // Where the multiple lies on the steady clock, unless the windows until then were missed.
        let since = now.unix_ns % length;
        let steady_ns = end.max(now.steady_ns.saturating_sub(since));
        let unix_ns = now.unix_ns.saturating_sub(now.steady_ns - steady_ns);
        self.windows.push_back(Window::begin(Moment { steady_ns, unix_ns }, length));
    }

    /// Ends the open window now, and begins the next one; nothing happens to one that begins now and is empty.
    fn cut(&mut self, now: Moment) {
        let Some(window) = self.windows.back_mut() else { return };
        let is_empty = window.cohorts.is_empty() && window.lost.is_empty();
        if window.start.steady_ns < now.steady_ns || !is_empty {
            window.end_steady_ns = now.steady_ns;
            self.windows.push_back(Window::begin(now, self.options.window_ns));
        }
    }

    /// Ends the open window at a mark; the number of the next one. Marks that come at once are one mark, so that no flood
    /// of them becomes one of windows.
    fn mark(&mut self, now: Moment) -> u64 {
        let since = self.windows.back().map_or(0, |window| now.steady_ns.saturating_sub(window.start.steady_ns));
        if self.marks.last() != Some(&self.current()) || since >= SHORTEST_WINDOW_NS {
            self.cut(now);
            self.marks.push(self.current());
        }
        self.current()
    }

    /// Takes out the windows that are over and wait for no trace: the oldest open one is of `earliest`.
    fn seal(&mut self, earliest: Option<u64>, now: Moment) -> Vec<Sealed> {
        let patience_ns = self.options.timing.idle_ns.saturating_mul(PATIENCE);
        let mut sealed = Vec::new();
        while let Some(window) = self.windows.front().filter(|_| self.windows.len() > 1) {
            let waits = earliest.is_some_and(|earliest| earliest <= self.first);
            if waits && now.steady_ns < window.end_steady_ns.saturating_add(patience_ns) {
                break;
            }
            sealed.extend(self.seal_first());
        }
        // A trace is open for no longer than it takes to fill these.
        let longest = self.options.timing.longest_ns / SHORTEST_WINDOW_NS + 1;
        let first = self.first;
        self.marks.retain(|mark| first.saturating_sub(*mark) <= longest);
        sealed
    }

    /// The place of the window in which a trace of a window is counted; `None` when it ended too late.
    fn place_of(&self, tag: u64) -> Option<usize> {
        let number = tag.max(self.first);
        let is_between = |mark: &u64| tag < *mark && *mark <= number;
        if self.marks.iter().any(is_between) { None } else { usize::try_from(number - self.first).ok() }
    }

    fn seal_first(&mut self) -> Option<Sealed> {
        let window = self.windows.pop_front()?;
        let paths: usize = window.cohorts.values().map(Folder::paths).sum();
        self.paths = self.paths.saturating_sub(paths);
        self.first += 1;
        self.counters.windows_closed.add(1);
        Some(window.seal(self.first - 1, self.options.cohort_by.is_some()))
    }
}

impl EndedSink for Folding {
    fn ended(&mut self, ended: Ended<'_>) {
        let Ended { trace, symbols, warnings, tag, has_root, evicted, .. } = ended;
        let cohort = self.options.cohort_by.as_ref().map(|key| key.of(trace, symbols));
        let counters = &self.counters;
        counters.spans_duplicate.add(warnings.count(Warning::DuplicateSpan));
        counters.spans_orphaned.add(warnings.count(Warning::MissingParent));
        counters.traces_partial.add(u64::from(!has_root));
        counters.traces_evicted.add(u64::from(evicted));
        let Some(place) = self.place_of(tag) else {
            counters.spans_late.add(trace.len() as u64);
            self.lose(Warning::LateSpan, trace.len() as u64);
            return;
        };
        let Some(window) = self.windows.get_mut(place) else { return };
        let name = match &cohort {
            None => "",
            Some(Belongs::To(value)) => self.cohorts.name(value, tag),
            Some(Belongs::Several) => {
                window.lost.add_with(Warning::BothSides, || format!("trace {}", trace.id));
                return;
            }
        };
        if !window.cohorts.contains_key(name) {
            window.cohorts.insert(name.to_owned(), Folder::new(&self.limits));
        }
        let Some(folder) = window.cohorts.get_mut(name) else { return };
        let (paths, traces) = (folder.paths(), folder.traces());
        let others = self.paths.saturating_sub(paths);
        folder.bound_paths((self.limits.paths as usize).saturating_sub(others));
        folder.add(trace, warnings);
        self.paths = others + folder.paths();
        if folder.traces() > traces {
            counters.traces_folded.add(1);
        } else if !trace.is_empty() {
            counters.spans_dropped.add(trace.len() as u64);
            window.lost.add(Warning::DroppedSpan, trace.len() as u64);
        }
    }
}

impl<'r> Pipeline<'r> {
    /// Begins with an empty window. `limits.open_bytes` bounds what open traces take, and once more what windows that are
    /// not sealed do.
    pub fn new(
        mut options: PipelineOptions,
        rules: &'r Rules,
        limits: &Limits,
        counters: Arc<Counters>,
        now: Moment,
    ) -> Pipeline<'r> {
        options.window_ns = options.window_ns.max(SHORTEST_WINDOW_NS);
        let limits = &Limits { paths: limits.paths.min(limits.open_bytes / PATH_BYTES), ..*limits };
        let live = Live::new(options.timing, rules, limits);
        let windows = VecDeque::from([Window::begin(now, options.window_ns)]);
        let first = options.first_window;
        let folding = Folding {
            options,
            limits: *limits,
            counters,
            cohorts: Cohorts::default(),
            windows,
            first,
            paths: 0,
            marks: Vec::new(),
        };
        Pipeline { live, folding }
    }

    /// Takes a batch and what decoding it said. Its symbols are those of `symbols`.
    pub fn batch(&mut self, batch: Batch, report: &ReadReport, symbols: &Symbols, now: Moment) {
        self.folding.roll(now);
        if let Some(window) = self.folding.windows.back_mut() {
            window.lost.merge(&report.warnings);
            window.bytes.0 += report.bytes;
            window.bytes.1 += report.bytes_lost;
        }
        let tag = self.folding.current();
        let refused = self.live.batch(batch, symbols, (now.steady_ns, tag), &mut self.folding);
        let counters = &self.folding.counters;
        counters.spans_late.add(refused.late);
        counters.spans_duplicate.add(refused.duplicate);
        counters.spans_dropped.add(refused.over_limit);
        self.folding.lose(Warning::LateSpan, refused.late);
        self.folding.lose(Warning::DroppedSpan, refused.over_limit);
        self.measure();
    }

    /// Spans that were acknowledged and dropped before they came here, for want of memory or time.
    pub fn dropped(&mut self, spans: u64, now: Moment) {
        self.folding.roll(now);
        self.folding.counters.spans_dropped.add(spans);
        self.folding.lose(Warning::DroppedSpan, spans);
    }

    /// Closes the traces whose time is over, and seals the windows that are complete with them, oldest first.
    pub fn tick(&mut self, symbols: &Symbols, now: Moment) -> Vec<Sealed> {
        self.folding.roll(now);
        self.live.tick(symbols, now.steady_ns, &mut self.folding);
        let sealed = self.folding.seal(self.live.earliest_tag(), now);
        self.measure();
        sealed
    }

    /// Ends the open window at a mark; the number of the first window behind it. A mark without a time gets this one.
    pub fn mark(&mut self, mark: &mut Mark, now: Moment) -> u64 {
        self.folding.roll(now);
        if mark.unix_ns == 0 {
            mark.unix_ns = now.unix_ns;
        }
        self.folding.mark(now)
    }

    /// A new, smaller table of symbols, in which open traces speak from now on.
    pub fn renew(&mut self, old: &Symbols) -> Symbols {
        self.live.renew(old)
    }

    /// Closes everything and seals all windows, the open one included, which ends now. A new one begins.
    pub fn finish(&mut self, symbols: &Symbols, now: Moment) -> Vec<Sealed> {
        self.folding.roll(now);
        self.live.finish(symbols, &mut self.folding);
        self.folding.cut(now);
        let sealed = self.folding.seal(None, now);
        self.measure();
        sealed
    }

    fn measure(&self) {
        let counters = &self.folding.counters;
        counters.traces_open.set(self.live.open() as u64);
        counters.open_bytes.set(self.live.bytes());
    }
}
