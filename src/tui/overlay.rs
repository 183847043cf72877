//! What is laid over a screen: the list of commands, lines of input, choices, long values.

use super::action::{COMMANDS, Command};
use super::app::{App, List};
use super::canvas::Canvas;
use super::filter::Filter;
use super::keys::Key;
use super::theme::Token;
use super::update::{Effect, Request, run};
use crate::diff::Mode;
use crate::model::{TraceId, units};
use crate::report::text::place;
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use ratatui_core::layout::Rect;

/// A line of input with its cursor, counted in characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// What was typed.
    pub text: String,
    /// The character before which the next one goes.
    pub at: usize,
}

impl Input {
    fn new(text: &str) -> Input {
        Input { text: text.to_owned(), at: text.chars().count() }
    }

    fn byte(&self, at: usize) -> usize {
        self.text.char_indices().nth(at).map_or(self.text.len(), |(byte, _)| byte)
    }

    fn insert(&mut self, text: &str) {
        let byte = self.byte(self.at);
        self.text.insert_str(byte, text);
        self.at += text.chars().count();
    }

    fn remove(&mut self, from: usize, to: usize) {
        let (from_byte, to_byte) = (self.byte(from), self.byte(to));
        self.text.replace_range(from_byte..to_byte, "");
        self.at = from;
    }

    /// Whether the key was one of editing.
    fn on_key(&mut self, key: Key) -> bool {
        let len = self.text.chars().count();
        match key {
            Key::Char(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            Key::Backspace if self.at > 0 => self.remove(self.at - 1, self.at),
            Key::Delete if self.at < len => self.remove(self.at, self.at + 1),
            Key::Left => self.at = self.at.saturating_sub(1),
            Key::Right => self.at = (self.at + 1).min(len),
            Key::Home | Key::Ctrl('a') => self.at = 0,
            Key::End | Key::Ctrl('e') => self.at = len,
            Key::Ctrl('u') => self.remove(0, self.at),
            Key::Ctrl('w') => {
                let before: Vec<char> = self.text.chars().take(self.at).collect();
                let kept = before.iter().rposition(|c| !c.is_whitespace()).map_or(0, |end| {
                    before.iter().take(end).rposition(|c| c.is_whitespace()).map_or(0, |blank| blank + 1)
                });
                self.remove(kept, self.at);
            }
            Key::Backspace | Key::Delete => {}
            _ => return false,
        }
        true
    }
}

/// What a line of input is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The filter; what it was before.
    Filter(String),
    /// A note at the place of the cursor.
    Note,
    /// Why a finding is accepted.
    AcceptReason(usize),
    /// Until when, with the reason.
    AcceptUntil(usize, String),
}

/// Something over the screen.
#[derive(Clone, Debug, PartialEq)]
pub enum Overlay {
    /// All commands: the help lists those of the screen, the palette all by name.
    Commands {
        /// What is looked for.
        input: Input,
        /// The cursor among those that match.
        list: List,
        /// Whether it was opened as help.
        help: bool,
    },
    /// A line of input in the last row.
    Ask {
        /// What for.
        asked: Asked,
        /// What was typed.
        input: Input,
    },
    /// Example pairs to choose from.
    Pairs(List),
    /// A long text over the whole screen.
    Pager {
        /// Its heading.
        title: String,
        /// The text as it is: lines are broken when it is drawn.
        text: String,
        /// The first line that is seen.
        top: usize,
    },
}

/// Two traces that may be looked at as a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExamplePair {
    /// Before and after.
    pub ids: (TraceId, TraceId),
    /// Why these, in words.
    pub label: String,
}

impl Overlay {
    /// The filter's line.
    pub fn filter(app: &App) -> Overlay {
        let text = app.filter.text.clone();
        Overlay::Ask { input: Input::new(&text), asked: Asked::Filter(text) }
    }

    /// The list of commands.
    pub fn commands(help: bool) -> Overlay {
        Overlay::Commands { input: Input::default(), list: List::default(), help }
    }

    /// The line for a note at this place.
    pub fn note(app: &App) -> Overlay {
        let known = super::screens::notes::note_here(app).map_or("", |note| note.text.as_str());
        Overlay::Ask { input: Input::new(known), asked: Asked::Note }
    }

    /// The line for the reason of an acceptance.
    pub fn accept(app: &mut App) -> Option<Overlay> {
        if app.model.finding(app.finding).is_none() {
            app.message = Some("there is no finding to accept".to_owned());
            return None;
        }
        Some(Overlay::Ask { input: Input::default(), asked: Asked::AcceptReason(app.finding) })
    }

    /// The example pairs of this place.
    pub fn pairs(app: &mut App) -> Option<Overlay> {
        if example_pairs(app).is_empty() {
            app.message = Some("no example of both sides is known here".to_owned());
            return None;
        }
        Some(Overlay::Pairs(List::default()))
    }

    /// Text at the cursor of its input, if it has one.
    pub fn insert(&mut self, text: &str) {
        if let Overlay::Commands { input, .. } | Overlay::Ask { input, .. } = self {
            input.insert(text);
        }
    }
}

/// Pairs of examples at the node of the cursor: the most typical ones first.
pub fn example_pairs(app: &App) -> Vec<ExamplePair> {
    if app.model.diff.mode == Mode::Pair {
        return Vec::new();
    }
    // Of profiles only examples of entry points can be opened.
    let inputs = &app.model.diff.inputs;
    let node = if inputs.before.of_profiles || inputs.after.of_profiles { app.model.entry(app.node) } else { app.node };
    let Some(detail) = app.model.node(node).and_then(|node| node.detail.as_deref()) else { return Vec::new() };
    let mut pairs: Vec<ExamplePair> = Vec::new();
    for after in &detail.examples.after {
        let same = detail.examples.before.iter().find(|before| before.role == after.role);
        let Some(before) = same.or_else(|| detail.examples.before.first()) else { continue };
        let ids = (before.trace_id, after.trace_id);
        if pairs.iter().any(|pair| pair.ids == ids) {
            continue;
        }
        let label = format!(
            "{} {} → {} {}",
            before.role,
            units::duration(before.duration_ns),
            after.role,
            units::duration(after.duration_ns)
        );
        pairs.push(ExamplePair { ids, label });
    }
    pairs.sort_by_key(|pair| !pair.label.starts_with("typical"));
    pairs
}

/// The commands that a list shows, best match first.
pub fn matching(app: &App, typed: &str, help: bool) -> Vec<&'static Command> {
    let here = |command: &&Command| !help || command.works_on(app.screen);
    let commands: Vec<&'static Command> = COMMANDS.iter().filter(here).collect();
    if typed.is_empty() {
        return commands;
    }
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
    let mut buffer = Vec::new();
    let mut scored: Vec<(u32, &'static Command)> = commands
        .into_iter()
        .filter_map(|command| {
            let text = format!("{} {} {}", command.name, command.help, command.keys);
            pattern.score(Utf32Str::new(&text, &mut buffer), &mut matcher).map(|score| (score, command))
        })
        .collect();
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.into_iter().map(|(_, command)| command).collect()
}

/// A key for what is laid over the screen.
pub fn on_key(app: &mut App, key: Key) -> Vec<Effect> {
    let Some(mut overlay) = app.overlay.take() else { return Vec::new() };
    match (&mut overlay, key) {
        (Overlay::Ask { asked: Asked::Filter(before), .. }, Key::Esc) => {
            let before = before.clone();
            set_filter(app, &before);
            return Vec::new();
        }
        (_, Key::Esc) | (Overlay::Pager { .. } | Overlay::Pairs(_), Key::Char('q')) => return Vec::new(),
        (Overlay::Commands { input, list, help }, _) => {
            if let Some(effects) = commands_key(app, (input, list, *help), key) {
                return effects;
            }
        }
        (Overlay::Ask { asked, input }, Key::Enter) => return answer(app, asked.clone(), &input.text.clone()),
        (Overlay::Ask { input, .. }, _) => {
            input.on_key(key);
        }
        (Overlay::Pairs(list), _) => {
            if let Some(effects) = pairs_key(app, list, key) {
                return effects;
            }
        }
        (Overlay::Pager { text, top, .. }, _) => {
            let page = usize::from(app.size.1).saturating_sub(4);
            *top = match key {
                Key::Char('j') | Key::Down => *top + 1,
                Key::Char('k') | Key::Up => top.saturating_sub(1),
                Key::PageDown | Key::Char(' ') => *top + page,
                Key::PageUp => top.saturating_sub(page),
                Key::Home | Key::Char('g') => 0,
                Key::End | Key::Char('G') => usize::MAX,
                _ => *top,
            };
            *top = (*top).min(pager_lines(app, text).len().saturating_sub(page));
        }
    }
    app.overlay = Some(overlay);
    changed(app);
    Vec::new()
}

fn commands_key(app: &mut App, (input, list, help): (&mut Input, &mut List, bool), key: Key) -> Option<Vec<Effect>> {
    let matches = matching(app, &input.text, help);
    match key {
        Key::Enter => return Some(matches.get(list.cursor).map_or_else(Vec::new, |command| run(app, command))),
        Key::Down | Key::Ctrl('n') | Key::Tab => list.go(1, matches.len()),
        Key::Up | Key::Ctrl('p') | Key::BackTab => list.go(-1, matches.len()),
        Key::PageDown => list.go(10, matches.len()),
        Key::PageUp => list.go(-10, matches.len()),
        _ => {
            if input.on_key(key) {
                *list = List::default();
            }
        }
    }
    None
}

fn pairs_key(app: &mut App, list: &mut List, key: Key) -> Option<Vec<Effect>> {
    let pairs = example_pairs(app);
    match key {
        Key::Char('j') | Key::Down => list.go(1, pairs.len()),
        Key::Char('k') | Key::Up => list.go(-1, pairs.len()),
        Key::Enter => {
            let ids = pairs.get(list.cursor).map(|pair| pair.ids);
            return Some(vec![Effect::Recompute(Request::of(app, app.swapped, ids))]);
        }
        _ => {}
    }
    None
}

/// What must follow a change of the input: the filter works while it is typed.
pub fn changed(app: &mut App) {
    if let Some(Overlay::Ask { asked: Asked::Filter(_), input }) = &app.overlay {
        let text = input.text.clone();
        set_filter(app, &text);
    }
}

/// Puts a filter in force; one that is not understood changes nothing, and says why.
pub fn set_filter(app: &mut App, text: &str) {
    match Filter::parse(text) {
        Ok(filter) if filter != app.filter => {
            app.filter = filter;
            app.names = app.filter.names(&app.model);
            app.rebuild();
        }
        Ok(_) => {}
        Err(reason) => app.message = Some(reason),
    }
}

fn answer(app: &mut App, asked: Asked, text: &str) -> Vec<Effect> {
    match asked {
        Asked::Filter(_) => match Filter::parse(text) {
            Ok(_) => set_filter(app, text),
            Err(reason) => app.message = Some(reason),
        },
        Asked::Note => super::screens::notes::write(app, text),
        Asked::AcceptReason(_) if text.trim().is_empty() => {
            app.message = Some("not accepted: an acceptance needs a reason".to_owned());
        }
        Asked::AcceptReason(finding) => {
            let asked = Asked::AcceptUntil(finding, text.trim().to_owned());
            app.overlay = Some(Overlay::Ask { input: Input::default(), asked });
        }
        Asked::AcceptUntil(finding, reason) => {
            return vec![Effect::Accept { finding, reason, until: text.trim().to_owned() }];
        }
    }
    Vec::new()
}

/// The broken lines of a long text.
pub fn pager_lines(app: &App, text: &str) -> Vec<String> {
    let width = usize::from(app.size.0).saturating_sub(2).max(1);
    // Line breaks within a value are shown as such, and end the line.
    text.split('\n').flat_map(|line| pieces(&app.look.show(line), width)).collect()
}

fn pieces(line: &str, width: usize) -> Vec<String> {
    use unicode_width::UnicodeWidthChar;
    let mut lines = vec![String::new()];
    let mut used = 0;
    for c in line.chars() {
        let columns = c.width().unwrap_or(0);
        if used + columns > width {
            lines.push(String::new());
            used = 0;
        }
        used += columns;
        if let Some(last) = lines.last_mut() {
            last.push(c);
        }
    }
    lines
}

/// Draws it.
pub fn draw(app: &App, overlay: &Overlay, canvas: &mut Canvas<'_>) {
    match overlay {
        Overlay::Commands { input, list, help } => draw_commands(app, (input, list, *help), canvas),
        Overlay::Ask { asked, input } => draw_ask(asked, input, canvas),
        Overlay::Pairs(list) => draw_pairs(app, list, canvas),
        Overlay::Pager { title, text, top } => {
            canvas.clear();
            canvas.rule(0, title, "j k scroll  q back");
            let height = canvas.height().saturating_sub(1);
            for (row, part) in pager_lines(app, text).iter().skip(*top).take(height).enumerate() {
                let mut line = canvas.new_line();
                line.glyphs(Token::Plain, " ").glyphs(Token::Plain, part.as_str());
                canvas.line(row + 1, &line);
            }
        }
    }
}

fn draw_commands(app: &App, (input, list, help): (&Input, &List, bool), canvas: &mut Canvas<'_>) {
    canvas.clear();
    let title = if help { format!("Help: {}", app.screen.title()) } else { "Commands".to_owned() };
    let mut line = canvas.new_line();
    line.add(Token::Strong, &format!(" {title}   "))
        .add(Token::Plain, "type to filter: ")
        .add(Token::Plain, &input.text);
    line.add(Token::Cursor, " ");
    let hint = "Enter runs  Esc closes ";
    if line.width() + hint.len() < canvas.width() {
        line.until(canvas.width() - hint.len()).add(Token::Dim, hint);
    }
    canvas.line(0, &line);
    canvas.rule(1, "", "");
    let matches = matching(app, &input.text, help);
    let height = canvas.height().saturating_sub(3);
    // Two columns where there is room and nothing is looked for: the whole help at a glance.
    let columns = if help && input.text.is_empty() && canvas.width() >= 110 { 2 } else { 1 };
    let mut list = *list;
    list.settle(matches.len(), height * columns);
    let width = canvas.width() / columns;
    for (index, command) in matches.iter().enumerate().skip(list.top).take(height * columns) {
        let (row, column) = ((index - list.top) % height.max(1), (index - list.top) / height.max(1));
        let mut line = canvas.new_line();
        let keys = app.keymap.keys_of(command.name);
        let marker = if index == list.cursor { app.look.glyphs.cursor } else { ' ' };
        line.glyphs(Token::Strong, marker.to_string()).left(Token::Key, &keys, 11);
        line.left(Token::Plain, command.help, width.saturating_sub(12 + 20).max(20));
        line.add(Token::Dim, command.name);
        canvas.put(row + 2, column * width, &line);
    }
    let mut line = canvas.new_line();
    let position = if matches.is_empty() { 0 } else { list.cursor + 1 };
    line.add(Token::Dim, &format!(" {position} of {}", matches.len()));
    if help {
        line.add(Token::Dim, "   marks: ");
        for (mark, words) in super::view::LEGEND {
            line.add(Token::of(mark), app.look.glyphs.mark(mark)).add(Token::Dim, &format!(" {words}  "));
        }
    }
    canvas.line(canvas.height().saturating_sub(1), &line);
}

fn draw_ask(asked: &Asked, input: &Input, canvas: &mut Canvas<'_>) {
    let label = match asked {
        Asked::Filter(_) => "filter (words, 'exact, !not, service:x, kind:added, delta>10ms): ",
        Asked::Note => "note: ",
        Asked::AcceptReason(_) => "accept this change because: ",
        Asked::AcceptUntil(..) => "until which day (2026-12-31; empty: for good): ",
    };
    let label = if canvas.width() < label.len() + 20 { "filter: " } else { label };
    let row = canvas.height().saturating_sub(1);
    let area = Rect { y: canvas.area.y + row as u16, height: 1, ..canvas.area };
    let mut canvas = canvas.part(area);
    canvas.clear();
    let mut line = canvas.new_line();
    line.add(Token::Strong, &format!(" {label}"));
    let room = canvas.width().saturating_sub(line.width() + 2);
    // Of a long line its end is seen: that is where typing happens.
    let before: String = input.text.chars().take(input.at).collect();
    let hidden = before.chars().count().saturating_sub(room);
    line.add(Token::Plain, &before.chars().skip(hidden).collect::<String>());
    let mut rest = input.text.chars().skip(input.at);
    line.add(Token::Cursor, &rest.next().unwrap_or(' ').to_string()).add(Token::Plain, &rest.collect::<String>());
    canvas.line(0, &line);
}

fn draw_pairs(app: &App, list: &List, canvas: &mut Canvas<'_>) {
    canvas.clear();
    let name = app.model.node(app.node).map_or_else(String::new, |node| place(&node.operation));
    canvas.rule(0, &format!("Example pairs of {name}"), "Enter opens  q back");
    for (row, pair) in example_pairs(app).iter().enumerate() {
        let mut line = canvas.new_line();
        let marker = if row == list.cursor { app.look.glyphs.cursor } else { ' ' };
        line.glyphs(Token::Strong, marker.to_string()).add(Token::Plain, &pair.label);
        line.add(Token::Dim, &format!("   {} → {}", pair.ids.0, pair.ids.1));
        canvas.line(row + 1, &line);
        if row == list.cursor {
            canvas.highlight(row + 1);
        }
    }
}
