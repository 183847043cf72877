//! The state of the terminal UI: plain data, changed by `update` alone.

use super::action::Screen;
use super::canvas::Look;
use super::filter::Filter;
use super::keymap::Keymap;
use super::keys::Key;
use super::layout;
use super::live::Live;
use super::model::Model;
use super::overlay::Overlay;
use super::rows::{self, Folds, Row, RowKind};
use super::screens::{attributes, detail, findings, flame, notes, services, waterfall};
use crate::diff::NodeDetail;
use crate::model::TraceId;
use std::sync::Arc;

/// Rows that stay in sight above and below the cursor.
const CONTEXT: usize = 3;

/// Which number of a distribution counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Basis {
    /// The mean: what the rows of an attribution add up to.
    #[default]
    Mean,
    /// The median.
    P50,
    /// The 95th percentile.
    P95,
    /// The 99th percentile.
    P99,
}

impl Basis {
    /// All of them in the order of the key.
    pub const ALL: [Basis; 4] = [Basis::Mean, Basis::P50, Basis::P95, Basis::P99];

    /// The word on the screen.
    pub const fn name(self) -> &'static str {
        match self {
            Basis::Mean => "mean",
            Basis::P50 => "p50",
            Basis::P95 => "p95",
            Basis::P99 => "p99",
        }
    }
}

/// A cursor in a list that is longer than the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// The row of the cursor.
    pub cursor: usize,
    /// The first row that is seen.
    pub top: usize,
}

impl List {
    /// Brings the cursor into the list and the window over the cursor.
    pub fn settle(&mut self, len: usize, height: usize) {
        self.cursor = self.cursor.min(len.saturating_sub(1));
        let context = CONTEXT.min(height.saturating_sub(1) / 2);
        let lowest = (self.cursor + context + 1).saturating_sub(height);
        let highest = self.cursor.saturating_sub(context);
        self.top = self.top.clamp(lowest.min(highest), highest).min(len.saturating_sub(height));
    }

    /// To the next of some rows in ascending order, or to the one before, round the ends. As much as can be of what
    /// follows it is seen.
    pub fn go_round(&mut self, stops: &[usize], forward: bool) {
        let next = if forward {
            stops.iter().find(|&&stop| stop > self.cursor).or(stops.first())
        } else {
            stops.iter().rfind(|&&stop| stop < self.cursor).or(stops.last())
        };
        if let Some(&stop) = next {
            *self = List { cursor: stop, top: stop };
        }
    }

    /// Moves the cursor by rows, not beyond the ends.
    pub fn go(&mut self, by: isize, len: usize) {
        self.cursor = self.cursor.saturating_add_signed(by).min(len.saturating_sub(1));
    }
}

/// The rows of the merged tree, which tree and waterfall share.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// What is folded.
    pub folds: Folds,
    /// What is seen.
    pub rows: Vec<Row>,
    /// Where the cursor is.
    pub list: List,
    /// Only what lies on the critical path of a side.
    pub critical_only: bool,
}

/// A place to come back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// The screen.
    pub screen: Screen,
    /// The node of the cursor.
    pub node: u32,
    /// The finding of the cursor.
    pub finding: usize,
}

/// What was written down at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The node, if the note is about one.
    pub node: Option<u32>,
    /// The finding, if it is about one.
    pub finding: Option<usize>,
    /// The words; empty for a bookmark alone.
    pub text: String,
    /// Whether the place is bookmarked.
    pub bookmark: bool,
}

/// Something that is not done yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// What is done, in words.
    pub what: String,
    /// How much of it, 0 to 1, if that is known.
    pub share: Option<f64>,
}

/// What is shown when nothing has been compared yet, and what cannot be shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Phase {
    /// Nothing is there yet.
    #[default]
    Loading,
    /// A comparison is there.
    Ready,
    /// It went wrong: lines to show.
    Failed(Vec<String>),
}

/// All state.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "switches of the user, each by itself")]
pub struct App {
    /// What is looked at.
    pub model: Arc<Model>,
    /// Whether it is there.
    pub phase: Phase,
    /// Whether it was made of a part of the inputs, the rest being read still.
    pub provisional: bool,
    /// What is known of a source that goes on; `None` for inputs that are what they are.
    pub live: Option<Live>,
    /// What is being done in the background.
    pub progress: Option<Progress>,
    /// How it looks.
    pub look: Look,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Which key does what.
    pub keymap: Keymap,
    /// The screen that is seen.
    pub screen: Screen,
    /// The one before it.
    pub last_screen: Screen,
    /// The node of the cursor, on all screens.
    pub node: u32,
    /// The finding of the cursor.
    pub finding: usize,
    /// What is laid over the screen.
    pub overlay: Option<Overlay>,
    /// Keys of a command that is not complete.
    pub pressed: Vec<Key>,
    /// The last remark, shown in the last line.
    pub message: Option<String>,
    /// What is looked for.
    pub filter: Filter,
    /// For each operation whether it can pass the filter.
    pub names: Vec<bool>,
    /// Where to go back to.
    pub back: Vec<Jump>,
    /// Where to go forward to.
    pub forward: Vec<Jump>,
    /// Whether the list has the screen for itself.
    pub full_pane: bool,
    /// Which number counts.
    pub basis: Basis,
    /// Whether the sides are the other way round than they were given.
    pub swapped: bool,
    /// The example pair that is looked at instead of all traces.
    pub pair: Option<(TraceId, TraceId)>,
    /// Swapped sides and example pair of what is seen: what was asked for and failed is given up again.
    pub seen: (bool, Option<(TraceId, TraceId)>),
    /// Whether the mouse is on.
    pub mouse: bool,
    /// Whether values of attributes are masked in what leaves the session.
    pub masked: bool,
    /// Notes and bookmarks, oldest first.
    pub notes: Vec<Note>,
    /// What is known of the node of the cursor, once it was asked for.
    pub detail: Option<(u32, Arc<NodeDetail>)>,
    /// The rows of the merged tree.
    pub rows: Rows,
    /// The screen of findings.
    pub findings: findings::State,
    /// The waterfall.
    pub waterfall: waterfall::State,
    /// The flame graph.
    pub flame: flame::State,
    /// The services.
    pub services: services::State,
    /// The attributes.
    pub attributes: attributes::State,
    /// The notes.
    pub notes_screen: notes::State,
    /// One node.
    pub details: detail::State,
    /// Whether `^c` was the last key.
    pub cancelled: bool,
}

impl App {
    /// Nothing loaded yet.
    pub fn new(look: Look, size: (u16, u16), empty: Arc<Model>) -> App {
        App {
            model: empty,
            phase: Phase::Loading,
            provisional: false,
            live: None,
            progress: None,
            look,
            size,
            keymap: Keymap::default(),
            screen: Screen::Findings,
            last_screen: Screen::Tree,
            node: 0,
            finding: 0,
            overlay: None,
            pressed: Vec::new(),
            message: None,
            filter: Filter::default(),
            names: Vec::new(),
            back: Vec::new(),
            forward: Vec::new(),
            full_pane: false,
            basis: Basis::default(),
            swapped: false,
            pair: None,
            seen: (false, None),
            mouse: false,
            masked: true,
            notes: Vec::new(),
            detail: None,
            rows: Rows::default(),
            findings: findings::State::default(),
            waterfall: waterfall::State::default(),
            flame: flame::State::default(),
            services: services::State::default(),
            attributes: attributes::State::default(),
            notes_screen: notes::State::default(),
            details: detail::State::default(),
            cancelled: false,
        }
    }

    /// Takes a new comparison: another pair, other sides, or more data. The cursor stays at the same operation.
    pub fn take(&mut self, model: Arc<Model>) {
        let path = if self.model.is_empty() { Vec::new() } else { self.model.path(self.node) };
        let fingerprint = self.model.finding(self.finding).map(|finding| finding.fingerprint.clone());
        self.model = model;
        self.seen = (self.swapped, self.pair);
        self.phase = Phase::Ready;
        self.detail = None;
        self.names = self.filter.names(&self.model);
        let same = |finding: &crate::diff::Finding| Some(&finding.fingerprint) == fingerprint.as_ref();
        self.finding = self.model.diff.findings.iter().position(same).unwrap_or(0);
        self.node = self.model.find_way(&path).or_else(|| self.model.node_of(self.finding)).unwrap_or(0);
        self.rows.folds.flipped.clear();
        self.rows.folds.shown.clear();
        self.rebuild();
        if !path.is_empty() {
            // Who stood at a span stands there still, also where nothing changed around it.
            let finding = self.finding;
            self.reveal(self.node);
            self.finding = finding;
            self.settle();
        }
    }

    /// Makes everything anew that depends on the model, the filter or the folds.
    pub fn rebuild(&mut self) {
        self.rebuild_rows();
        findings::rebuild(self);
        flame::rebuild(self);
        services::rebuild(self);
        attributes::rebuild(self);
        self.settle();
    }

    /// Makes the rows of the merged tree anew.
    pub fn rebuild_rows(&mut self) {
        let model = &self.model;
        let critical = |node: u32| {
            let on = |side: Option<crate::diff::NodeSide>| side.is_some_and(|side| side.critical_ns > 0);
            model.node(node).is_some_and(|node| on(node.sides.before) || on(node.sides.after))
        };
        let (filter, names, only) = (&self.filter, &self.names, self.rows.critical_only);
        let passes = |node: u32| (!only || critical(node)) && filter.node(model, names, node);
        let matches: Option<&dyn Fn(u32) -> bool> = if only || !filter.is_empty() { Some(&passes) } else { None };
        self.rows.rows = rows::visible(model, &self.rows.folds, matches);
        if let Some(row) = rows::row_of(&self.rows.rows, self.node) {
            self.rows.list.cursor = row;
        }
    }

    /// Brings every cursor into its list and every window over its cursor.
    pub fn settle(&mut self) {
        let (len, height) = (self.rows.rows.len(), layout::list_height(self));
        self.rows.list.settle(len, height);
        super::screens::settle(self);
    }

    /// The row under the cursor.
    pub fn row(&self) -> Option<Row> {
        self.rows.rows.get(self.rows.list.cursor).copied()
    }

    /// Puts the cursor at a node, opening what hides it.
    pub fn reveal(&mut self, node: u32) {
        self.node = node;
        if self.rows_hide(node) {
            rows::open_way(&self.model, &mut self.rows.folds, node);
            self.rebuild_rows();
            // A fold within what was just opened: one round is enough for each kind.
            for _ in 0..2 {
                let hides =
                    |row: &Row| !row.is_node() && row.end > node && (row.first != node || row.kind == RowKind::Same);
                let Some(row) = self.row().filter(hides) else { break };
                self.rows.folds.shown.insert(row.first);
                self.rebuild_rows();
            }
        }
        if let Some(row) = rows::row_of(&self.rows.rows, node) {
            self.rows.list.cursor = row;
        }
        if let Some(finding) = self.model.node(node).and_then(|node| node.finding) {
            self.finding = finding;
        }
    }

    fn rows_hide(&self, node: u32) -> bool {
        let row = rows::row_of(&self.rows.rows, node).and_then(|row| self.rows.rows.get(row));
        // Calls that are told together stay together: their row stands for the first of them.
        row.is_none_or(|row| row.first != node || row.kind == RowKind::Same)
    }

    /// What the cursor of tree and waterfall stands at becomes the node of all screens.
    pub fn follow_rows(&mut self) {
        if let Some(row) = self.row() {
            self.node = row.first;
            if let Some(finding) = self.model.node(row.first).and_then(|node| node.finding)
                && row.kind != RowKind::Same
            {
                self.finding = finding;
            }
        }
    }

    /// Another screen; the way back is kept.
    pub fn show(&mut self, screen: Screen) {
        if screen == self.screen {
            return;
        }
        self.remember();
        self.last_screen = self.screen;
        self.screen = screen;
        super::screens::entered(self);
    }

    /// Keeps this place in the list of jumps.
    pub fn remember(&mut self) {
        let here = self.here();
        if self.back.last() != Some(&here) {
            self.back.push(here);
        }
        // A list that nobody ever reads to its end needs no more.
        if self.back.len() > 200 {
            self.back.remove(0);
        }
        self.forward.clear();
    }

    /// This place.
    pub const fn here(&self) -> Jump {
        Jump { screen: self.screen, node: self.node, finding: self.finding }
    }

    /// Goes to a place.
    pub fn jump(&mut self, jump: Jump) {
        if jump.screen != self.screen {
            self.last_screen = self.screen;
            self.screen = jump.screen;
        }
        self.finding = jump.finding.min(self.model.diff.findings.len().saturating_sub(1));
        self.reveal(jump.node.min(self.model.len().saturating_sub(1)));
        super::screens::entered(self);
    }
}
