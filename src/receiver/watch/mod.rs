//! Watches windows: compares each with its baseline as soon as it is sealed, judges the difference, and hangs the
//! verdict on the board.
//!
//! | after | before | look |
//! |---|---|---|
//! | all windows since the mark, when the number of looks is known | the baseline | planned: a group-sequential bound, one look a window |
//! | all windows since the mark, else | the baseline | open: a confidence sequence |
//! | one window, without a mark | the baseline | apart: the day's windows share the error equally |
//!
//! So watching all day raises as many false alarms as one look. A verdict fails as soon as a bound is crossed; it passes
//! when enough was seen that a slowdown would have been found, and when looks are planned not before the last of them,
//! whose verdict then stands. Baselines are explained at [`Baseline`]: by default the hour before the mark, but nothing
//! from before the mark before that one, whose deployment is another version.

mod baseline;
mod judging;
pub mod snapshots;

pub use baseline::Baseline;
pub use judging::Judging;

use super::board::{Board, Judged};
use super::cohort::{NONE, OTHER};
use super::counters::Counters;
use super::mark::{MAX_MARKS, Mark};
use super::pipeline::Sealed;
use super::windows::{Change, Keep, Windows};
use crate::diff::Look;
use crate::model::profile::Profile;
use crate::model::{Limits, Pair};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const HOUR_NS: u64 = 3_600_000_000_000;
const DAY_NS: u64 = 24 * HOUR_NS;
/// An open watch is sharpest after so many windows.
const BEST_AFTER_WINDOWS: u64 = 10;
/// ... but not before so many traces.
const LEAST_BEST_AT: u64 = 100;
/// Without a mark the hour before a window is added up anew every so many windows, for it takes time.
const HOUR_BEFORE_STEP: u64 = 10;
/// A baseline of another time reaches so much further on either side, at most: one window alone says little.
const AROUND_NS: u64 = HOUR_NS / 2;
/// Sums of windows that are remembered.
const MAX_SUMS: usize = 128;

/// What a watch is told.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// How windows are judged.
    pub judging: Judging,
    /// What they are compared with.
    pub baseline: Baseline,
    /// How often a deployment is looked at, when its mark does not say.
    pub looks: Option<u32>,
    /// What is kept.
    pub keep: Keep,
    /// Bounds on profiles that are read.
    pub limits: Limits,
}

/// Why there is no comparison.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing was sealed yet, or nothing of this cohort.
    #[error("no window with traces of {} is closed yet", shown(.0))]
    Nothing(String),
    /// The planned looks are over; the last one stands on the board.
    #[error("the planned looks are over: the last verdict stands")]
    Over,
    /// This is no baseline.
    #[error("`{0}` is no baseline; write mark, cohort:VALUE or window:AGE")]
    NoBaseline(String),
}

fn shown(cohort: &str) -> String {
    if cohort.is_empty() { "any cohort".to_owned() } else { format!("cohort {cohort}") }
}

/// A mark and the number of the first window behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Marked {
    mark: Mark,
    behind: u64,
}

/// The newest window that was sealed.
#[derive(Clone, Copy, Debug)]
struct Newest {
    number: u64,
    start_unix_ns: u64,
    end_unix_ns: u64,
}

/// Windows from one number on, added up.
#[derive(Debug)]
struct Sum {
    behind_last: u64,
    profile: Arc<Profile>,
    /// Traces at which an open watch of them is sharpest.
    best_at: u64,
}

#[derive(Debug)]
struct State {
    windows: Windows,
    /// Oldest first.
    marks: Vec<Marked>,
    newest: Option<Newest>,
    /// By cohort: its newest window with its number, examples and all.
    latest: BTreeMap<String, (u64, Arc<Profile>)>,
    /// By cohort and first number: what was added up from a mark on.
    since: BTreeMap<(String, u64), Sum>,
    /// By cohort and numbers: baselines that do not change any more.
    before: BTreeMap<(String, u64, u64), Option<Arc<Profile>>>,
}

/// Compares and judges windows. Share it as an `Arc`.
#[derive(Debug)]
pub struct Watch {
    options: WatchOptions,
    board: Arc<Board>,
    counters: Arc<Counters>,
    state: Mutex<State>,
}

/// A comparison that is to be made.
struct Task {
    cohort: String,
    baseline: String,
    window_ns: (u64, u64),
    mark: Option<Mark>,
    windows: u32,
    look: Look,
    sides: Pair<Arc<Profile>>,
}

impl Watch {
    /// Nothing was sealed yet.
    pub fn new(options: WatchOptions, board: Arc<Board>, counters: Arc<Counters>) -> Watch {
        let state = State {
            windows: Windows::new(options.keep, &options.limits),
            marks: Vec::new(),
            newest: None,
            latest: BTreeMap::new(),
            since: BTreeMap::new(),
            before: BTreeMap::new(),
        };
        Watch { options, board, counters, state: Mutex::new(state) }
    }

    /// Takes up what a former run left, the newest windows first; how many files could not be used.
    pub fn restore(&self, files: Vec<(String, Vec<u8>)>) -> usize {
        let mut state = self.state();
        let mut unused = 0;
        for (name, bytes) in files {
            let used = if snapshots::is_marks(&name) {
                snapshots::read_marks(&bytes).is_some_and(|marks| {
                    state.marks = marks.into_iter().map(|(mark, behind)| Marked { mark, behind }).collect();
                    true
                })
            } else {
                state.windows.restore(&name, bytes)
            };
            unused += usize::from(!used);
        }
        self.show(&state);
        unused
    }

    /// The number that the next window is to have: behind all that were restored.
    pub fn next_number(&self) -> u64 {
        let state = self.state();
        let behind = state.marks.iter().map(|marked| marked.behind).max().unwrap_or(0);
        state.windows.next_number().max(behind)
    }

    /// Takes a sealed window, judges it, and publishes what comes of it. What a directory of snapshots is to follow.
    pub fn sealed(&self, sealed: &Sealed) -> Vec<Change> {
        let mut state = self.state();
        let bounds: BTreeSet<u64> = state.marks.iter().map(|marked| marked.behind).collect();
        let changes = state.windows.add(sealed, &bounds);
        let Sealed { number, start_unix_ns, end_unix_ns, .. } = *sealed;
        state.newest = Some(Newest { number, start_unix_ns, end_unix_ns });
        for (cohort, profile) in &sealed.cohorts {
            state.latest.insert(cohort.clone(), (number, Arc::clone(profile)));
        }
        state.forget();
        let cohorts: Vec<String> = state.latest.keys().filter(|cohort| self.is_judged(cohort)).cloned().collect();
        let tasks: Vec<Task> =
            cohorts.iter().filter_map(|cohort| self.task(&mut state, cohort, &self.options.baseline).ok()).collect();
        self.show(&state);
        drop(state);
        for task in tasks {
            let judged = self.judge(task, end_unix_ns);
            self.board.publish(judged);
        }
        changes
    }

    /// Takes a mark behind which the window of this number is the first. Until that is sealed, verdicts say that nothing
    /// was compared.
    pub fn mark(&self, mark: Mark, behind: u64) -> Vec<Change> {
        let unix_ns = mark.unix_ns;
        let mut state = self.state();
        let concerned = state.latest.keys().filter(|cohort| mark.concerns(cohort) && self.is_judged(cohort));
        let tasks: Vec<Task> = concerned.map(|cohort| self.waiting(cohort, &mark)).collect();
        state.marks.push(Marked { mark, behind });
        let surplus = state.marks.len().saturating_sub(MAX_MARKS);
        state.marks.drain(..surplus);
        let file = snapshots::marks_file(state.marks.iter().map(|marked| (&marked.mark, marked.behind)));
        self.show(&state);
        drop(state);
        for task in tasks {
            let judged = self.judge(task, unix_ns);
            self.board.publish(judged);
        }
        file.into_iter().collect()
    }

    /// What there is to say right behind a mark: nothing was compared.
    fn waiting(&self, cohort: &str, mark: &Mark) -> Task {
        let look = match mark.looks.or(self.options.looks) {
            Some(looks) => Look::Planned { look: 1, looks },
            None => Look::Open { best_at: LEAST_BEST_AT },
        };
        Task {
            cohort: cohort.to_owned(),
            baseline: self.options.baseline.named(Some(mark)),
            window_ns: (mark.unix_ns, mark.unix_ns),
            mark: Some(mark.clone()),
            windows: 0,
            look,
            sides: Pair::default(),
        }
    }

    /// Compares what is there of a cohort (of the only one, for `None`) with a baseline (the configured one, for `None`)
    /// without publishing it.
    ///
    /// # Errors
    /// When there is nothing to compare.
    pub fn ask(&self, cohort: Option<&str>, baseline: Option<&str>) -> Result<Judged, Refusal> {
        let baseline = match baseline {
            Some(text) => Baseline::parse(text).ok_or_else(|| Refusal::NoBaseline(text.to_owned()))?,
            None => self.options.baseline.clone(),
        };
        let mut state = self.state();
        let cohort = match cohort {
            Some(cohort) => cohort.to_owned(),
            None => state.latest.keys().find(|cohort| self.is_judged(cohort)).cloned().unwrap_or_default(),
        };
        let task = self.task(&mut state, &cohort, &baseline)?;
        let unix_ns = state.newest.map_or(0, |newest| newest.end_unix_ns);
        drop(state);
        Ok(self.judge(task, unix_ns))
    }

    /// All that is kept of a cohort (of all of them, for `None`), added up.
    pub fn profile(&self, cohort: Option<&str>) -> Option<Profile> {
        self.state().windows.between(cohort, &(0..u64::MAX))
    }

    /// Whether windows of a cohort are judged: not those that others are compared with, nor mixtures.
    fn is_judged(&self, cohort: &str) -> bool {
        match &self.options.baseline {
            Baseline::Cohort(value) => cohort != value && cohort != NONE && cohort != OTHER,
            _ => true,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings board and gauges up to date.
    fn show(&self, state: &State) {
        self.counters.window_bytes.set(state.windows.bytes());
        self.counters.windows_dropped.set(state.windows.dropped());
        self.board.set_windows(state.windows.list());
        self.board.set_marks(state.marks.iter().map(|marked| marked.mark.clone()).collect());
        self.board.retain(|cohort| state.windows.has(cohort) || state.latest.contains_key(cohort));
    }

    fn judge(&self, task: Task, unix_ns: u64) -> Judged {
        let Task { cohort, baseline, window_ns, mark, windows, look, sides } = task;
        let own = if cohort.is_empty() { "the windows watched".to_owned() } else { format!("cohort {cohort}") };
        let sources = Pair::new(baseline.clone(), own);
        let (diff, verdict) = self.options.judging.judge(&sides, sources, Some(look), unix_ns);
        Judged {
            generation: 0,
            cohort,
            baseline,
            window_ns,
            mark,
            windows,
            look: Some(look),
            diff: Arc::new(diff),
            verdict: Arc::new(verdict),
            before: sides.before,
            after: sides.after,
        }
    }

    /// What is to be compared now.
    fn task(&self, state: &mut State, cohort: &str, baseline: &Baseline) -> Result<Task, Refusal> {
        let nothing = || Refusal::Nothing(cohort.to_owned());
        let newest = state.newest.ok_or_else(nothing)?;
        let marked = state.marks.iter().rfind(|marked| marked.mark.concerns(cohort)).cloned();
        let Some(Marked { mark, behind }) = marked else {
            let (number, after) = state.latest.get(cohort).cloned().ok_or_else(nothing)?;
            if number != newest.number || after.totals.traces == 0 {
                return Err(nothing());
            }
            let window_ns = (newest.start_unix_ns, newest.end_unix_ns);
            let (baseline, before) = state.side_before(cohort, baseline, (number..number + 1, window_ns), None);
            let looks = state.windows.count_of(DAY_NS).clamp(1, u64::from(u32::MAX)) as u32;
            let sides = Pair::new(before, after);
            let cohort = cohort.to_owned();
            return Ok(Task {
                cohort,
                baseline,
                window_ns,
                mark: None,
                windows: 1,
                look: Look::Apart { looks },
                sides,
            });
        };
        if newest.number < behind {
            return Err(nothing());
        }
        let numbers = behind..newest.number + 1;
        let windows = u32::try_from(numbers.end - numbers.start).unwrap_or(u32::MAX);
        let looks = mark.looks.or(self.options.looks);
        if looks.is_some_and(|looks| windows > looks) {
            return Err(Refusal::Over);
        }
        let (after, best_at) = state.sum(cohort, &numbers).ok_or_else(nothing)?;
        let window_ns = (mark.unix_ns, newest.end_unix_ns);
        let (baseline, before) = state.side_before(cohort, baseline, (numbers, window_ns), Some(&mark));
        let look = looks.map_or(Look::Open { best_at }, |looks| Look::Planned { look: windows, looks });
        let sides = Pair::new(before, after);
        Ok(Task { cohort: cohort.to_owned(), baseline, window_ns, mark: Some(mark), windows, look, sides })
    }
}

impl State {
    /// The side that windows are compared with, and what it is called; an empty one when there is none.
    fn side_before(
        &mut self,
        cohort: &str,
        baseline: &Baseline,
        (numbers, window_ns): (Range<u64>, (u64, u64)),
        mark: Option<&Mark>,
    ) -> (String, Arc<Profile>) {
        let name = baseline.named(mark);
        let found = match baseline {
            Baseline::Profile(_, profile) => Some(Arc::clone(profile)),
            Baseline::Cohort(value) => self.sum(value, &numbers).map(|(profile, _)| profile),
            Baseline::Window(age_ns) => {
                let around = AROUND_NS.min(age_ns / 4);
                let back = |ns: u64| ns.saturating_sub(*age_ns);
                let range = (back(window_ns.0).saturating_sub(around), back(window_ns.1).saturating_add(around));
                self.windows.around(cohort, range, numbers.start).map(Arc::new)
            }
            Baseline::Mark => {
                let range = self.hour_before(cohort, numbers.start, mark.is_some());
                self.range(cohort, &range)
            }
        };
        (name, found.unwrap_or_default())
    }

    /// Forgets what nobody asks for any more.
    fn forget(&mut self) {
        let State { windows, latest, since, before, marks, newest } = self;
        let number = newest.map_or(0, |newest| newest.number);
        let fresh = windows.count_of(HOUR_NS);
        latest.retain(|cohort, (last, _)| number.saturating_sub(*last) <= fresh || windows.has(cohort));
        since.retain(|(cohort, first), _| {
            latest.contains_key(cohort) && (*first == number || marks.iter().any(|marked| marked.behind == *first))
        });
        while before.len() > MAX_SUMS {
            before.pop_first();
        }
    }

    /// Windows of a cohort from a mark on to the newest one, added up; and where an open watch of them is sharpest.
    fn sum(&mut self, cohort: &str, numbers: &Range<u64>) -> Option<(Arc<Profile>, u64)> {
        let key = (cohort.to_owned(), numbers.start);
        let from = self.since.get(&key).map_or(numbers.start, |sum| sum.behind_last);
        if from < numbers.end {
            let added = match self.latest.get(cohort) {
                // With its examples, which what is kept has not.
                Some((number, profile)) if *number == from && from + 1 == numbers.end => Some(Arc::clone(profile)),
                _ => self.windows.between(Some(cohort), &(from..numbers.end)).map(Arc::new),
            };
            let held = self.since.get(&key).map(|sum| (Arc::clone(&sum.profile), sum.best_at));
            let (profile, best_at) = match (held, added) {
                (held, None) => held?,
                (None, Some(added)) => {
                    let a_window = added.totals.traces / (numbers.end - numbers.start).max(1);
                    (added, (a_window * BEST_AFTER_WINDOWS).max(LEAST_BEST_AT))
                }
                (Some((held, best_at)), Some(added)) => {
                    let mut sum = Profile::clone(&held);
                    sum.merge(&added);
                    (Arc::new(sum.into_canonical()), best_at)
                }
            };
            self.since.insert(key.clone(), Sum { behind_last: numbers.end, profile, best_at });
        }
        self.since.get(&key).map(|sum| (Arc::clone(&sum.profile), sum.best_at))
    }

    /// The numbers of the hour before a window: behind a mark not of what came before the mark before that.
    fn hour_before(&self, cohort: &str, number: u64, is_mark: bool) -> Range<u64> {
        let hour = self.windows.count_of(HOUR_NS);
        if !is_mark {
            let end = if number < hour { number } else { number - number % HOUR_BEFORE_STEP };
            return end.saturating_sub(hour)..end;
        }
        let concerned = self.marks.iter().filter(|marked| marked.mark.concerns(cohort) && marked.behind < number);
        let earlier = concerned.map(|marked| marked.behind).max().unwrap_or(0);
        number.saturating_sub(hour).max(earlier)..number
    }

    /// Windows of a range that is over, added up: those of the cohort, or of all when it was not there then.
    fn range(&mut self, cohort: &str, numbers: &Range<u64>) -> Option<Arc<Profile>> {
        let key = (cohort.to_owned(), numbers.start, numbers.end);
        let windows = &self.windows;
        let sum = || {
            let own = windows.between(Some(cohort), numbers);
            own.or_else(|| windows.between(None, numbers)).map(Arc::new)
        };
        self.before.entry(key).or_insert_with(sum).clone()
    }
}
