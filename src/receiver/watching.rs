//! The thread that watches windows, and what the admin port asks of it.

use super::admin::{Answered, Keeper};
use super::board::Judged;
use super::counters::Counters;
use super::engine::{Event, Inbox};
use super::log::Log;
use super::mark::Mark;
use super::watch::Watch;
use super::watch::snapshots::Snapshots;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// Judges what the engine closes, and keeps the directory of snapshots up to date.
pub struct Watching {
    /// What judges.
    pub watch: Arc<Watch>,
    /// Where windows are written to, if they are.
    pub snapshots: Option<Snapshots>,
    /// Where counts go.
    pub counters: Arc<Counters>,
    /// Where words go.
    pub log: Log,
}

impl Watching {
    /// Works until nobody can tell it anything any more.
    pub fn run(self, events: &Receiver<Event>) {
        while let Ok(event) = events.recv() {
            // A comparison that fails is a bug; the next window is watched all the same.
            if catch_unwind(AssertUnwindSafe(|| self.take(event))).is_err() {
                self.counters.panics.add(1);
            }
        }
    }

    fn take(&self, event: Event) {
        let changes = match event {
            Event::Sealed(windows) => windows.iter().flat_map(|window| self.watch.sealed(window)).collect(),
            Event::Marked(mark, behind) => self.watch.mark(mark, behind),
        };
        let Some(snapshots) = &self.snapshots else { return };
        for (name, error) in snapshots.follow(&changes) {
            self.log.say("snapshots", || format!("the snapshot {name} cannot be written: {error}"));
        }
    }
}

/// What the admin port may ask.
pub struct Desk {
    /// The engine's, which sets marks between two requests.
    pub inbox: Inbox,
    /// What compares.
    pub watch: Arc<Watch>,
}

impl Keeper for Desk {
    fn mark(&self, mark: Mark) -> Answered<Option<Mark>> {
        let inbox = self.inbox.clone();
        Box::pin(async move { inbox.mark(mark).await })
    }

    fn judge(&self, cohort: Option<&str>, baseline: &str) -> Result<Judged, String> {
        self.watch.ask(cohort, Some(baseline)).map_err(|refusal| refusal.to_string())
    }
}
