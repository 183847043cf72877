//! Where verdicts hang for everyone to read: the watch publishes, the admin port and whoever waits for it read.
//!
//! Readers take clones of `Arc`s, so that no answer ever keeps the watch from going on. A generation is a number that
//! grows with everything that is published; who has seen one can wait for a newer one.

use super::mark::Mark;
use crate::diff::{Diff, Look, Verdict};
use crate::model::profile::Profile;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// A comparison that was judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Number of the publication; larger is newer. 0 for one that was asked for and not published.
    pub generation: u64,
    /// The cohort that was judged; empty when traces are not divided.
    pub cohort: String,
    /// What it was compared with, in words: `before mark "deploy v2"`, `cohort stable`, `window 7d ago`, a file.
    pub baseline: String,
    /// Begin and end of the windows that were judged, nanoseconds since 1970.
    pub window_ns: (u64, u64),
    /// The mark since which they were added up; `None` for one window by itself.
    pub mark: Option<Mark>,
    /// Windows since the mark, this one included; 1 for one window by itself.
    pub windows: u32,
    /// How much of the error that all looks share this one was allowed.
    pub look: Option<Look>,
    /// The comparison.
    pub diff: Arc<Diff>,
    /// Its verdict.
    pub verdict: Arc<Verdict>,
    /// The side it was compared with.
    pub before: Arc<Profile>,
    /// The side that was judged.
    pub after: Arc<Profile>,
}

/// A closed window that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowInfo {
    /// Its cohort; empty when traces are not divided.
    pub cohort: String,
    /// Its begin, nanoseconds since 1970.
    pub start_unix_ns: u64,
    /// Its end.
    pub end_unix_ns: u64,
    /// Traces in it.
    pub traces: u64,
    /// Spans in it.
    pub spans: u64,
    /// Bytes that it takes.
    pub bytes: u64,
}

/// What hangs there.
#[derive(Debug, Default)]
struct State {
    generation: u64,
    judged: BTreeMap<String, Arc<Judged>>,
    marks: Arc<[Mark]>,
    windows: Arc<[WindowInfo]>,
}

/// The board. Share it as an `Arc`.
#[derive(Debug)]
pub struct Board {
    state: Mutex<State>,
    generation: watch::Sender<u64>,
}

impl Default for Board {
    fn default() -> Board {
        Board { state: Mutex::default(), generation: watch::Sender::new(0) }
    }
}

impl Board {
    /// Nothing hangs there yet.
    pub fn new() -> Board {
        Board::default()
    }

    /// Hangs up a judged comparison in place of its cohort's last one, with the next generation, which is returned.
    pub fn publish(&self, mut judged: Judged) -> u64 {
        let mut state = self.state();
        state.generation += 1;
        let generation = state.generation;
        judged.generation = generation;
        state.judged.insert(judged.cohort.clone(), Arc::new(judged));
        drop(state);
        self.generation.send_replace(generation);
        generation
    }

    /// Takes down what is said of cohorts that are not kept any more.
    pub fn retain(&self, keeps: impl Fn(&str) -> bool) {
        self.state().judged.retain(|cohort, _| keeps(cohort));
    }

    /// Hangs up the list of marks, oldest first.
    pub fn set_marks(&self, marks: Vec<Mark>) {
        self.state().marks = marks.into();
    }

    /// Hangs up the list of windows, by cohort and begin.
    pub fn set_windows(&self, windows: Vec<WindowInfo>) {
        self.state().windows = windows.into();
    }

    /// The newest comparison of a cohort; of `None` the newest of any.
    pub fn newest(&self, cohort: Option<&str>) -> Option<Arc<Judged>> {
        let state = self.state();
        match cohort {
            Some(cohort) => state.judged.get(cohort).cloned(),
            None => state.judged.values().max_by_key(|judged| judged.generation).cloned(),
        }
    }

    /// The newest comparison of each cohort, by cohort.
    pub fn all(&self) -> Vec<Arc<Judged>> {
        self.state().judged.values().cloned().collect()
    }

    /// The marks that are kept, oldest first.
    pub fn marks(&self) -> Arc<[Mark]> {
        Arc::clone(&self.state().marks)
    }

    /// The windows that are kept, by cohort and begin.
    pub fn windows(&self) -> Arc<[WindowInfo]> {
        Arc::clone(&self.state().windows)
    }

    /// The generation of the newest publication; 0 before the first.
    pub fn generation(&self) -> u64 {
        *self.generation.borrow()
    }

    /// A receiver that sees every newer generation: `wait_for(|generation| *generation > seen).await`.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// A reader that panicked changed nothing: what hangs there is whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::gate::judge;
    use crate::diff::{Day, Policy};

    fn judged(cohort: &str) -> Judged {
        let mut diff = Diff::default();
        let verdict = judge(&mut diff, &Policy::default(), Day(0));
        Judged {
            generation: 0,
            cohort: cohort.to_owned(),
            baseline: String::new(),
            window_ns: (0, 1),
            mark: None,
            windows: 1,
            look: None,
            diff: Arc::new(diff),
            verdict: Arc::new(verdict),
            before: Arc::default(),
            after: Arc::default(),
        }
    }

    #[test]
    fn the_newest_of_each_cohort_hangs_there() {
        let board = Board::new();
        assert!(board.newest(None).is_none() && board.generation() == 0);
        let seen = board.subscribe();
        assert_eq!([board.publish(judged("a")), board.publish(judged("b")), board.publish(judged("a"))], [1, 2, 3]);
        assert_eq!(*seen.borrow(), 3);
        let generation = |cohort: Option<&str>| board.newest(cohort).map(|judged| judged.generation);
        assert_eq!([generation(None), generation(Some("b")), generation(Some("c"))], [Some(3), Some(2), None]);
        board.retain(|cohort| cohort == "b");
        assert_eq!(board.all().iter().map(|judged| judged.generation).collect::<Vec<_>>(), [2]);
    }
}
