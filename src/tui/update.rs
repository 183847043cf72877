//! What every key, result and resize does to the state. Nothing here touches a terminal, a file or a clock.

use super::action::{Action, Command, Screen};
use super::app::{App, Basis, Jump, List, Phase, Progress};
use super::keymap::Found;
use super::keys::Key;
use super::live::{self, Link};
use super::model::Model;
use super::overlay::{self, Overlay};
use super::{folding, rows, screens};
use crate::diff::NodeDetail;
use crate::model::TraceId;
use std::sync::Arc;

/// What happened.
#[derive(Clone, Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(Key),
    /// A command by its name, from the palette or a replay.
    Run(String),
    /// Text was pasted.
    Paste(String),
    /// The mouse wheel was turned by so many rows.
    Scroll(i16),
    /// The mouse was pressed at a column and a row.
    Click(u16, u16),
    /// The terminal has another size.
    Resize(u16, u16),
    /// A comparison is there.
    Model(Arc<Model>),
    /// A comparison of what was read so far; the whole one follows.
    Provisional(Arc<Model>),
    /// A comparison could not be made: lines to show.
    Failed(Vec<String>),
    /// The source that is followed has something newer than what is shown.
    Newer,
    /// How that source is.
    Link(Link),
    /// How far the work in the background is; `None` when it is done.
    Progress(Option<Progress>),
    /// What is known of a node.
    Detail(u32, Arc<NodeDetail>),
    /// Something that was asked for was done, or not: a remark.
    Said(String),
}

/// What the host is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// End.
    Quit {
        /// Leave the summary in the shell.
        print: bool,
    },
    /// Back to the shell until `fg`.
    Suspend,
    /// What is known of this node.
    Detail(u32),
    /// Another comparison of the same inputs.
    Recompute(Request),
    /// Stop what is done in the background.
    Cancel,
    /// To the clipboard of the terminal.
    Copy(String),
    /// The incident note as a file.
    Export,
    /// This screen as a picture.
    Picture,
    /// Accept a finding in the policy file.
    Accept {
        /// Index of the finding.
        finding: usize,
        /// Why.
        reason: String,
        /// Until which day, ISO; empty for good.
        until: String,
    },
    /// Switch reports of the mouse.
    Mouse(bool),
    /// A step for the log of the session.
    Log(Step),
}

/// Another comparison of the same inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Whether the sides change places.
    pub swapped: bool,
    /// One trace of each side instead of all.
    pub pair: Option<(TraceId, TraceId)>,
    /// Whether the newest that the followed source has is taken, instead of what was compared before.
    pub newest: bool,
}

impl Request {
    /// Asked for by a key. It takes the place of newer data that were asked for and have not come, and of those brings
    /// as much.
    pub fn of(app: &mut App, swapped: bool, pair: Option<(TraceId, TraceId)>) -> Request {
        let newest = app.live.as_mut().is_some_and(|live| live.give_up() && !live.frozen && pair.is_none());
        Request { swapped, pair, newest }
    }
}

/// One step of a session, as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A command by its name.
    Command(&'static str),
    /// A key in a line of input or a list.
    Key(Key),
    /// Pasted text.
    Paste(String),
}

/// Changes the state; what it takes from outside is asked for by effects.
pub fn update(app: &mut App, msg: Msg) -> Vec<Effect> {
    let mut effects = match msg {
        Msg::Key(key) => on_key(app, key),
        Msg::Run(name) => run_named(app, &name),
        Msg::Paste(text) => paste(app, &text),
        Msg::Scroll(by) => scroll(app, by),
        Msg::Click(_, row) => screens::click(app, row),
        Msg::Resize(columns, rows) => {
            app.size = (columns, rows);
            Vec::new()
        }
        Msg::Model(model) => {
            live::take(app, model);
            (app.progress, app.provisional) = (None, false);
            ask_detail(app)
        }
        Msg::Provisional(model) => {
            // What is complete is not replaced by less.
            if app.phase != Phase::Ready || app.provisional {
                app.take(model);
                app.provisional = true;
            }
            Vec::new()
        }
        Msg::Failed(lines) => {
            live::failed(app);
            fail(app, lines);
            Vec::new()
        }
        Msg::Newer => {
            if let Some(live) = &mut app.live {
                live.newer = !live.asked;
            }
            Vec::new()
        }
        Msg::Link(link) => {
            if let Some(live) = &mut app.live {
                live.link = link;
            }
            Vec::new()
        }
        Msg::Progress(progress) => {
            app.progress = progress;
            Vec::new()
        }
        Msg::Detail(node, detail) => {
            app.detail = Some((node, detail));
            Vec::new()
        }
        Msg::Said(text) => {
            app.message = Some(text);
            Vec::new()
        }
    };
    effects.extend(live::refresh(app));
    app.settle();
    effects
}

/// A failure replaces an empty screen; what is there already stays, with a remark.
fn fail(app: &mut App, lines: Vec<String>) {
    app.progress = None;
    if app.phase == Phase::Ready {
        (app.swapped, app.pair) = app.seen;
        // The way out matters as much as what went wrong; nothing is said of what is seen anyway.
        if !lines.is_empty() {
            app.message = Some(lines.join("; "));
        }
    } else {
        app.phase = Phase::Failed(lines);
    }
}

fn on_key(app: &mut App, key: Key) -> Vec<Effect> {
    let cancelled = std::mem::take(&mut app.cancelled);
    app.message = None;
    if key == Key::Ctrl('c') {
        return cancel(app, cancelled);
    }
    if app.overlay.is_some() {
        let mut effects = overlay::on_key(app, key);
        effects.insert(0, Effect::Log(Step::Key(key)));
        return effects;
    }
    app.pressed.push(key);
    match app.keymap.find(&app.pressed, app.screen) {
        Found::Run(command) => {
            app.pressed.clear();
            run(app, command)
        }
        Found::Partial => Vec::new(),
        Found::Nothing => {
            let keys: String = std::mem::take(&mut app.pressed).iter().map(Key::to_string).collect();
            if key != Key::Esc {
                app.message = Some(format!("{keys} does nothing here; ? lists all keys"));
            }
            Vec::new()
        }
    }
}

/// Once: stops what runs or closes what is open. Twice: ends.
fn cancel(app: &mut App, again: bool) -> Vec<Effect> {
    if again {
        return vec![Effect::Quit { print: false }];
    }
    app.cancelled = true;
    app.pressed.clear();
    app.message = Some("^c once more quits".to_owned());
    if app.overlay.take().is_some() {
        return Vec::new();
    }
    if app.progress.is_some() { vec![Effect::Cancel] } else { Vec::new() }
}

fn paste(app: &mut App, text: &str) -> Vec<Effect> {
    if let Some(overlay) = &mut app.overlay {
        // A line of input is one line.
        let line: String = text.chars().filter(|c| !c.is_control()).take(10_000).collect();
        overlay.insert(&line);
        overlay::changed(app);
        return vec![Effect::Log(Step::Paste(line))];
    }
    Vec::new()
}

fn scroll(app: &mut App, by: i16) -> Vec<Effect> {
    if app.overlay.is_some() {
        return Vec::new();
    }
    go(app, isize::from(by))
}

fn run_named(app: &mut App, name: &str) -> Vec<Effect> {
    if let Some(command) = super::action::COMMANDS.iter().find(|command| command.name == name) {
        return run(app, command);
    }
    app.message = Some(format!("there is no command `{name}`"));
    Vec::new()
}

/// Runs a command.
pub fn run(app: &mut App, command: &'static Command) -> Vec<Effect> {
    if !command.works_on(app.screen) {
        app.message = Some(format!("{} does nothing on this screen", command.name));
        return Vec::new();
    }
    let before = app.node;
    let mut effects = vec![Effect::Log(Step::Command(command.name))];
    effects.extend(match screens::act(app, command.action) {
        Some(effects) => effects,
        None => act(app, command.action),
    });
    if app.node != before || app.detail.is_none() {
        effects.extend(ask_detail(app));
    }
    effects
}

fn ask_detail(app: &mut App) -> Vec<Effect> {
    // Of many traces the tree itself knows all.
    if let Some(detail) = app.model.node(app.node).and_then(|node| node.detail.as_deref()) {
        app.detail = Some((app.node, Arc::new(detail.clone())));
        return Vec::new();
    }
    let known = app.detail.as_ref().is_some_and(|(node, _)| *node == app.node);
    if known || app.model.is_empty() { Vec::new() } else { vec![Effect::Detail(app.node)] }
}

/// What commands do that mean the same on every screen.
fn act(app: &mut App, action: Action) -> Vec<Effect> {
    let page = super::layout::list_height(app) as isize;
    match action {
        Action::Next => return go(app, 1),
        Action::Previous => return go(app, -1),
        Action::HalfDown => return go(app, page / 2),
        Action::HalfUp => return go(app, -(page / 2)),
        Action::PageDown => return go(app, page),
        Action::PageUp => return go(app, -page),
        Action::Top => return go(app, isize::MIN),
        Action::Bottom => return go(app, isize::MAX),
        Action::NextChange => seek(app, true, "change", Model::is_change),
        Action::PreviousChange => seek(app, false, "change", Model::is_change),
        Action::NextError => seek(app, true, "new error", Model::is_new_error),
        Action::PreviousError => seek(app, false, "new error", Model::is_new_error),
        Action::NextBookmark => bookmark(app, true),
        Action::PreviousBookmark => bookmark(app, false),
        Action::NextByShare => by_share(app, 1),
        Action::PreviousByShare => by_share(app, -1),
        Action::Show(screen) => app.show(screen),
        Action::LastScreen => app.show(app.last_screen),
        Action::Waterfall => app.show(Screen::Waterfall),
        Action::Open => app.show(Screen::Detail),
        Action::Close => return close(app),
        Action::Back => travel(app, false),
        Action::Forward => travel(app, true),
        Action::Parent => match app.model.parent(app.node) {
            Some(parent) => app.reveal(parent),
            None => app.message = Some("this is an entry point".to_owned()),
        },
        Action::FullPane => app.full_pane = !app.full_pane,
        Action::Basis => next_basis(app),
        Action::Swap => return vec![Effect::Recompute(Request::of(app, !app.swapped, app.pair))],
        Action::Filter => app.overlay = Some(Overlay::filter(app)),
        Action::Palette => app.overlay = Some(Overlay::commands(false)),
        Action::Help => app.overlay = Some(Overlay::commands(true)),
        Action::Note => app.overlay = Some(Overlay::note(app)),
        Action::Accept => app.overlay = Overlay::accept(app),
        Action::ChoosePair => app.overlay = Overlay::pairs(app),
        Action::OpenPair => return open_pair(app),
        Action::Bookmark => super::screens::notes::toggle_bookmark(app),
        Action::Copy => return vec![Effect::Copy(screens::copy(app, false))],
        Action::CopyMarkdown => return vec![Effect::Copy(screens::copy(app, true))],
        Action::Export => return vec![Effect::Export],
        Action::Picture => return vec![Effect::Picture],
        Action::Mouse => {
            app.mouse = !app.mouse;
            return vec![Effect::Mouse(app.mouse)];
        }
        Action::Mask => {
            app.masked = !app.masked;
            let state = if app.masked { "masked" } else { "shown as they are" };
            app.message = Some(format!("values of attributes are {state} in notes and copies"));
        }
        Action::Freeze => live::freeze(app),
        Action::Suspend => return vec![Effect::Suspend],
        Action::Quit => return vec![Effect::Quit { print: false }],
        Action::QuitPrinting => return vec![Effect::Quit { print: true }],
        other => {
            return folding::act(app, other);
        }
    }
    Vec::new()
}

/// Moves the cursor of the screen by rows.
pub(super) fn go(app: &mut App, by: isize) -> Vec<Effect> {
    let before = app.node;
    if let Some((list, len)) = screens::list(app) {
        let mut moved: List = *list;
        moved.go(by, len);
        *list = moved;
        screens::moved(app);
    }
    if app.node == before { Vec::new() } else { ask_detail(app) }
}

/// The next node that `is_meant` accepts becomes the cursor's.
pub(super) fn seek(app: &mut App, forward: bool, what: &str, is_meant: impl Fn(&Model, u32) -> bool) {
    let mut from = Some(app.node).filter(|_| !app.model.is_empty());
    // A row of repeated calls is one stop.
    if let Some(row) = app.row().filter(|row| forward && row.kind == rows::RowKind::Repeated && row.first == app.node) {
        from = row.end.checked_sub(1);
    }
    match app.model.seek(from, forward, is_meant) {
        Some(node) => {
            let round = if forward { node <= app.node } else { node >= app.node };
            app.reveal(node);
            screens::entered(app);
            if round {
                let end = if forward { "the last" } else { "the first" };
                app.message = Some(format!("{end} {what}: went on at the other end"));
            }
        }
        None => app.message = Some(format!("there is no {what}")),
    }
}

fn by_share(app: &mut App, by: isize) {
    let mut order: Vec<usize> = (0..app.model.diff.findings.len()).collect();
    let contribution = |finding: &usize| app.model.finding(*finding).map_or(0, |finding| finding.contribution_ns.abs());
    order.sort_by_key(|finding| std::cmp::Reverse(contribution(finding)));
    let at = order.iter().position(|&finding| finding == app.finding).unwrap_or(0);
    let Some(&next) = order.get(at.saturating_add_signed(by).min(order.len().saturating_sub(1))) else { return };
    app.finding = next;
    if let Some(node) = app.model.node_of(next) {
        app.reveal(node);
        app.finding = next;
    }
    screens::entered(app);
}

fn bookmark(app: &mut App, forward: bool) {
    let marked: std::collections::BTreeSet<u32> =
        app.notes.iter().filter(|note| note.bookmark).filter_map(|note| note.node).collect();
    seek(app, forward, "bookmark", |_, node| marked.contains(&node));
}

fn next_basis(app: &mut App) {
    let at = Basis::ALL.iter().position(|basis| *basis == app.basis).unwrap_or(0);
    app.basis = Basis::ALL.get((at + 1) % Basis::ALL.len()).copied().unwrap_or_default();
    app.message = Some(format!("basis: {}", app.basis.name()));
}

fn travel(app: &mut App, forward: bool) {
    let here = app.here();
    let (from, to) = if forward { (&mut app.forward, &mut app.back) } else { (&mut app.back, &mut app.forward) };
    let target: Option<Jump> = from.pop();
    if let Some(jump) = target {
        to.push(here);
        app.jump(jump);
    } else {
        app.message = Some(if forward { "nothing to go forward to" } else { "nothing to go back to" }.to_owned());
    }
}

/// Back: out of a pair, to the screen before, and at the first one out of the program.
fn close(app: &mut App) -> Vec<Effect> {
    if !app.filter.is_empty() {
        overlay::set_filter(app, "");
        app.message = Some("filter removed".to_owned());
    } else if app.screen == Screen::Findings {
        if app.pair.is_some() {
            return vec![Effect::Recompute(Request::of(app, app.swapped, None))];
        }
        return vec![Effect::Quit { print: false }];
    } else if app.back.is_empty() {
        app.show(Screen::Findings);
        app.back.clear();
    } else {
        travel(app, false);
    }
    Vec::new()
}

/// The most typical example pair of this place, or all traces again.
fn open_pair(app: &mut App) -> Vec<Effect> {
    if app.pair.is_some() {
        return vec![Effect::Recompute(Request::of(app, app.swapped, None))];
    }
    if let Some(pair) = overlay::example_pairs(app).first() {
        return vec![Effect::Recompute(Request::of(app, app.swapped, Some(pair.ids)))];
    }
    app.message = Some("no example of both sides is known here".to_owned());
    Vec::new()
}
