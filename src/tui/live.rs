//! A comparison that goes on: newer data replace what is shown, unless it is held.
//!
//! Whoever follows the source says that there is something newer ([`Msg::Newer`](super::update::Msg)), and how the
//! source is. What is shown is replaced only when nobody is in the middle of something that speaks of it: not while it
//! is frozen, while a line is typed or a list is open, nor while an example pair is looked at.

use super::app::{App, List};
use super::model::Model;
use super::update::{Effect, Request};
use crate::report::text::place;
use std::sync::Arc;

/// How the source is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// Nothing has come yet.
    #[default]
    Waiting,
    /// It answers: of what it speaks and how old that is, in words.
    Up {
        /// The cohort; empty for none.
        cohort: String,
        /// `12 s old`.
        age: String,
    },
    /// It does not answer, since a time of day.
    Lost {
        /// `14:03:22 UTC`.
        since: String,
    },
}

/// What is known of a source that goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Whether what is shown is held.
    pub frozen: bool,
    /// Whether there is something newer than what is shown.
    pub newer: bool,
    /// Whether it was asked for and has not come yet.
    pub asked: bool,
    /// How the source is.
    pub link: Link,
}

impl Live {
    /// Newer data that were asked for will not come: something else was asked for. Whether they were.
    pub fn give_up(&mut self) -> bool {
        self.newer |= self.asked;
        std::mem::take(&mut self.asked)
    }

    /// The state in words: `live, v2, 12 s old`; where there is little room only the first.
    pub fn words(&self, short: bool) -> String {
        let state = match (&self.link, self.frozen) {
            (_, true) => "frozen",
            (Link::Lost { .. }, false) => "not reachable",
            _ => "live",
        };
        if short {
            return state.to_owned();
        }
        let newer = "newer data wait".to_owned();
        let parts = match (&self.link, self.frozen) {
            (Link::Lost { since }, false) => return format!("{state} since {since}"),
            (Link::Lost { since }, true) => vec![format!("not reachable since {since}")],
            (Link::Up { cohort, .. }, true) if self.newer => vec![cohort.clone(), newer],
            (Link::Up { cohort, age }, _) => vec![cohort.clone(), age.clone()],
            (Link::Waiting, true) if self.newer => vec![newer],
            (Link::Waiting, _) => vec![],
        };
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        std::iter::once(state.to_owned()).chain(parts).collect::<Vec<_>>().join(", ")
    }
}

/// Whether what is shown must not be replaced now.
fn is_held(app: &App, live: &Live) -> bool {
    live.frozen || app.overlay.is_some() || app.pair.is_some() || !super::session::is_ready(app)
}

/// Holds what is shown, or goes on.
pub fn freeze(app: &mut App) {
    let Some(live) = &mut app.live else {
        app.message = Some("nothing is live here: spandiff tui --attach follows a receiver".to_owned());
        return;
    };
    live.frozen = !live.frozen;
    let words = if live.frozen { "frozen: what is shown stays" } else { "live again" };
    app.message = Some(words.to_owned());
}

/// Asks for what is newer, as soon as it may replace what is shown.
pub fn refresh(app: &mut App) -> Option<Effect> {
    let held = app.live.as_ref().is_none_or(|live| is_held(app, live));
    let request = Request { swapped: app.swapped, pair: None, newest: true };
    let live = app.live.as_mut()?;
    if held || !live.newer || live.asked {
        return None;
    }
    (live.newer, live.asked) = (false, true);
    Some(Effect::Recompute(request))
}

/// Takes a comparison: in place of what is shown when it was asked for by a key, else only if nothing was begun since
/// that speaks of what is shown.
pub fn take(app: &mut App, model: Arc<Model>) {
    let was_asked = app.live.as_mut().is_some_and(|live| std::mem::take(&mut live.asked));
    if !was_asked {
        app.take(model);
        return;
    }
    let held = app.live.as_ref().is_some_and(|live| is_held(app, live));
    match &mut app.live {
        Some(live) if held => live.newer = true,
        _ => renew(app, model),
    }
}

/// What was asked for did not come: it is still newer, which whoever follows the source says again.
pub fn failed(app: &mut App) {
    if let Some(live) = &mut app.live {
        live.asked = false;
    }
}

/// The same screen with newer data: the cursor, folds, notes and jumps stay at their operations.
fn renew(app: &mut App, model: Arc<Model>) {
    let old = Arc::clone(&app.model);
    let finding = old.finding(app.finding);
    let (at, folds, notes) = (app.finding, app.rows.folds.clone(), app.notes.clone());
    let (back, forward) = (app.back.clone(), app.forward.clone());
    let above = |list: &List| list.cursor.saturating_sub(list.top);
    let heights = (above(&app.findings.list), above(&app.rows.list));
    app.take(model);
    let new = Arc::clone(&app.model);
    let node = |node: u32| new.find(&old.path(node));
    let same = |finding: usize| {
        let fingerprint = &old.finding(finding)?.fingerprint;
        new.diff.findings.iter().position(|finding| finding.fingerprint == *fingerprint)
    };
    app.rows.folds.flipped = folds.flipped.iter().filter_map(|&flipped| node(flipped)).collect();
    app.rows.folds.shown = folds.shown.iter().filter_map(|&shown| node(shown)).collect();
    app.notes = notes;
    for note in &mut app.notes {
        // Words are kept when their place is gone.
        note.node = note.node.and_then(node);
        note.finding = note.finding.and_then(same);
    }
    (app.back, app.forward) = (back, forward);
    for jump in app.back.iter_mut().chain(&mut app.forward) {
        jump.node = node(jump.node).unwrap_or(0);
        jump.finding = same(jump.finding).unwrap_or(0);
    }
    if let Some(finding) = finding
        && same(at).is_none()
    {
        // The next one moved up to its place in the list.
        app.finding = at.min(new.diff.findings.len().saturating_sub(1));
        let name = finding.operation().map_or_else(|| "everything".to_owned(), place);
        app.message = Some(format!("no finding any more: {name}, {}", finding.title));
    }
    app.rebuild();
    // What a screen takes for its node's finding may be another of the same node.
    let finding = app.finding;
    super::screens::entered(app);
    app.finding = finding;
    for (list, height) in [(&mut app.findings.list, heights.0), (&mut app.rows.list, heights.1)] {
        list.top = list.cursor.saturating_sub(height);
    }
    app.settle();
}
