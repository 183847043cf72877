//! The frame around every screen: title, screens, keys, state. A pure function of the state.

use super::action::{Action, COMMANDS, Command, Screen, command_of};
use super::app::{App, Phase};
use super::canvas::{Canvas, Line};
use super::theme::Token;
use super::{layout, overlay, screens};
use crate::diff::{Mark, Mode};
use crate::model::{Side, units};
use crate::report::text::place;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;

/// What the marks mean, for help and header.
pub const LEGEND: [(Mark, &str); 9] = [
    (Mark::Worse, "takes more time"),
    (Mark::Better, "less time"),
    (Mark::Added, "only after"),
    (Mark::Removed, "only before"),
    (Mark::Failing, "newly failing"),
    (Mark::Recovered, "no longer failing"),
    (Mark::Changed, "changed"),
    (Mark::Similar, "other name or place"),
    (Mark::Equal, "equal"),
];

/// Draws everything into a buffer of the terminal's size.
pub fn draw(app: &App, buffer: &mut Buffer) {
    let mut canvas = Canvas::new(buffer, &app.look);
    if app.size.0 < layout::SMALLEST.0 || app.size.1 < layout::SMALLEST.1 {
        small(app, &mut canvas);
        return;
    }
    let frame = layout::frame(app.size);
    title(app, frame.tabs.height > 0, &mut canvas.part(frame.title));
    tabs(app, &mut canvas.part(frame.tabs));
    if frame.rules {
        let above = Rect { y: frame.body.y - 1, height: 1, ..frame.body };
        canvas.part(above).rule(0, "", "");
        let below = Rect { y: frame.body.bottom(), height: 1, ..frame.body };
        canvas.part(below).rule(0, "", "");
    }
    let mut body = canvas.part(frame.body);
    match &app.phase {
        Phase::Loading => loading(app, &mut body),
        Phase::Failed(lines) => failed(lines, &mut body),
        Phase::Ready => screens::draw(app, &mut body),
    }
    keys(app, &mut canvas.part(frame.keys));
    state(app, &mut canvas.part(frame.state));
    if let Some(overlay) = &app.overlay {
        let area = if matches!(overlay, overlay::Overlay::Ask { .. }) { canvas.area } else { frame.body };
        overlay::draw(app, overlay, &mut canvas.part(area));
    }
}

/// What is compared, in a few words: the entry point, or how many there are.
pub fn subject(app: &App) -> String {
    let entries = &app.model.diff.entry_points;
    match entries.as_slice() {
        [] => "nothing compared".to_owned(),
        [only] => only.operation.name.to_string(),
        [first, rest @ ..] => format!("{} and {} more", first.operation.name, rest.len()),
    }
}

fn side_words(app: &App, side: Side) -> String {
    let input = app.model.diff.inputs.get(side);
    let letter = if side == Side::Before { 'A' } else { 'B' };
    if app.model.diff.mode == Mode::Pair {
        let id = input.trace_ids.first().map(ToString::to_string).unwrap_or_default();
        let short: String = id.chars().take(8).collect();
        format!("{letter} {short} {}", units::counted(input.spans, "span", "spans"))
    } else {
        format!("{letter} {}", units::counted(input.traces, "trace", "traces"))
    }
}

fn title(app: &App, has_tabs: bool, canvas: &mut Canvas<'_>) {
    let mut right = canvas.new_line();
    if has_tabs {
        right
            .add(Token::Dim, if app.swapped { "A = after (swapped)   B = before " } else { "A = before   B = after " });
    } else {
        compact_tabs(app, &mut right);
    }
    let mut line = canvas.new_line();
    let room = canvas.width().saturating_sub(right.width() + 1);
    if has_tabs {
        line.add(Token::Strong, " spandiff ▸");
    }
    let sides = format!("   {}   {}", side_words(app, Side::Before), side_words(app, Side::After));
    let name_room = room.saturating_sub(line.width() + 1);
    let sides =
        if app.phase == Phase::Ready && sides.chars().count() + 12 <= name_room { sides } else { String::new() };
    let name = if app.phase == Phase::Ready { subject(app) } else { "spandiff".to_owned() };
    let swapped = if app.swapped && !has_tabs { " (swapped)" } else { "" };
    let name =
        app.look.shorten(&app.look.show(&format!(" {name}{swapped}")), name_room.saturating_sub(sides.chars().count()));
    line.glyphs(Token::Strong, name).add(Token::Plain, &sides);
    canvas.line(0, &line);
    let start = canvas.width().saturating_sub(right.width());
    canvas.put(0, start, &right);
}

fn compact_tabs(app: &App, line: &mut Line) {
    for screen in Screen::NUMBERED {
        let number = screen.number().unwrap_or_default();
        if screen == app.screen {
            line.add(Token::Strong, &format!("[{number} {}]", screen.title()));
        } else {
            line.add(Token::Dim, &number.to_string());
        }
    }
    if app.screen == Screen::Detail {
        line.add(Token::Strong, "[Detail]");
    }
    line.add(Token::Dim, " ?help");
}

fn tabs(app: &App, canvas: &mut Canvas<'_>) {
    let mut line = canvas.new_line();
    for screen in Screen::NUMBERED {
        let number = screen.number().unwrap_or_default();
        let mut title = format!("{number} {}", screen.title());
        if screen == Screen::Notes && !app.notes.is_empty() {
            title = format!("{title}·{}", app.notes.len());
        }
        if screen == app.screen {
            line.add(Token::Strong, &format!(" [{title}]"));
        } else {
            line.add(Token::Dim, &format!("  {title}"));
        }
    }
    if app.screen == Screen::Detail {
        line.add(Token::Strong, " [Detail]");
    }
    canvas.line(0, &line);
    let mut right = canvas.new_line();
    for (mark, words) in LEGEND.iter().take(5) {
        let words = match mark {
            Mark::Worse => "more",
            Mark::Better => "less time",
            Mark::Added => "new",
            Mark::Removed => "gone",
            _ => words.trim_start_matches("newly "),
        };
        right.glyphs(Token::of(*mark), app.look.glyphs.mark(*mark)).add(Token::Dim, &format!(" {words}  "));
    }
    if line.width() + right.width() < canvas.width() {
        canvas.put(0, canvas.width() - right.width(), &right);
    }
}

/// The keys of this screen that matter most, as many as there is room for.
fn keys(app: &App, canvas: &mut Canvas<'_>) {
    let mut line = canvas.new_line();
    let mut tail = canvas.new_line();
    tail.add(Token::Key, "?")
        .add(Token::Dim, " help  ")
        .add(Token::Key, "q")
        .add(Token::Dim, if leaves(app) { " quit" } else { " back" });
    line.spaces(1);
    if app.pressed.is_empty() {
        let mut shown: Vec<_> = COMMANDS
            .iter()
            .filter(|command| command.works_on(app.screen) && !command.footer.is_empty() && command.footer != "help")
            .filter(|command| command.action != Action::OpenPair || app.model.diff.mode == Mode::Population)
            .collect();
        shown.sort_by_key(|command| footer_place(command));
        for command in shown {
            let keys = app.keymap.keys_of(command.name);
            let key = keys.split(' ').next().unwrap_or_default();
            let words = format!(" {}  ", command.footer);
            if line.width() + key.chars().count() + words.chars().count() + tail.width() > canvas.width() {
                break;
            }
            line.add(Token::Key, key).add(Token::Dim, &words);
        }
        let start = canvas.width().saturating_sub(tail.width() + 1);
        canvas.line(0, &line);
        canvas.put(0, start, &tail);
    } else {
        let pressed: String = app.pressed.iter().map(ToString::to_string).collect();
        line.add(Token::Strong, &pressed).add(Token::Dim, " … ");
        for (rest, command) in app.keymap.continuations(&app.pressed, app.screen) {
            line.add(Token::Key, &rest).add(Token::Dim, &format!(" {}  ", command.help));
        }
        canvas.line(0, &line);
    }
}

/// What everybody needs comes first, then what this screen alone can do, then the rest.
fn footer_place(command: &Command) -> usize {
    match command.action {
        Action::Open => 0,
        Action::NextChange => 1,
        Action::Filter => 2,
        _ => 2 + Screen::ALL.into_iter().filter(|screen| command.works_on(*screen)).count(),
    }
}

/// Whether `q` ends the program here.
fn leaves(app: &App) -> bool {
    app.screen == Screen::Findings && app.filter.is_empty() && app.pair.is_none()
}

fn state(app: &App, canvas: &mut Canvas<'_>) {
    let mut line = canvas.new_line();
    let mut right = canvas.new_line();
    if let Some(progress) = &app.progress {
        let share = progress.share.map_or_else(String::new, |share| format!(" {}", units::percent(share)));
        let part = if app.provisional { "provisional: " } else { "" };
        right.add(Token::Strong, &format!("{part}{}{share}, ^c cancels ", progress.what));
    } else if app.provisional {
        right.add(Token::Strong, "provisional: a part of the inputs ");
    } else if !app.filter.is_empty() {
        right.add(Token::Match, &format!("filter: {}", app.filter.text)).spaces(1);
    } else if app.pair.is_some() {
        right.add(Token::Strong, "one example pair: q goes back to all traces ");
    }
    if let Some(live) = &app.live {
        let token = if live.frozen { Token::Match } else { Token::Strong };
        let short = canvas.width() < 80 || right.width() > 0;
        right.add(token, &format!("{} ", live.words(short)));
    }
    let words = match &app.message {
        Some(message) => message.clone(),
        None if app.phase == Phase::Ready => screens::status(app),
        None => String::new(),
    };
    let room = canvas.width().saturating_sub(right.width() + 2);
    let token = if app.message.is_some() { Token::Strong } else { Token::Plain };
    line.spaces(1).glyphs(token, app.look.shorten(&app.look.show(&words), room));
    canvas.line(0, &line);
    let start = canvas.width().saturating_sub(right.width());
    canvas.put(0, start, &right);
}

fn loading(app: &App, canvas: &mut Canvas<'_>) {
    let words = app.progress.as_ref().map_or("reading", |progress| progress.what.as_str());
    let share = app.progress.as_ref().and_then(|progress| progress.share);
    // What is waited for may take more words than a line has.
    let mut lines = app.look.wrap(words, canvas.width().saturating_sub(2)).into_iter();
    let mut line = canvas.new_line();
    line.add(Token::Strong, &format!(" {}", lines.next().unwrap_or_default()));
    for (row, text) in lines.take(3).enumerate() {
        let mut more = canvas.new_line();
        more.add(Token::Plain, &format!(" {text}"));
        canvas.line(row + 2, &more);
    }
    if let Some(share) = share {
        line.add(Token::Plain, &format!("  {}", units::percent(share)));
        let mut bar = canvas.new_line();
        bar.spaces(1).glyphs(Token::Plain, app.look.glyphs.meter(share, canvas.width().saturating_sub(2).min(60)));
        canvas.line(3, &bar);
    }
    canvas.line(1, &line);
    let mut hint = canvas.new_line();
    hint.add(Token::Dim, " ^c cancels");
    canvas.line(6, &hint);
}

fn failed(lines: &[String], canvas: &mut Canvas<'_>) {
    for (row, text) in lines.iter().enumerate() {
        let mut line = canvas.new_line();
        line.spaces(1).add(if row == 0 { Token::Strong } else { Token::Plain }, text);
        canvas.line(row + 1, &line);
    }
}

/// What a window that is too small for screens still shows: the findings, one a line.
fn small(app: &App, canvas: &mut Canvas<'_>) {
    let width = canvas.width();
    for row in 0..canvas.height() {
        let mut line = canvas.new_line();
        match row.checked_sub(1) {
            None => {
                let text = format!(
                    "{} findings; {}x{} is the least for screens",
                    app.model.diff.findings.len(),
                    layout::SMALLEST.0,
                    layout::SMALLEST.1
                );
                line.left(Token::Strong, &text, width);
            }
            Some(index) => {
                let Some(finding) = app.model.finding(index) else { break };
                let mark = crate::report::page::mark_of(finding);
                let name = finding.operation().map_or_else(|| "everything".to_owned(), place);
                line.glyphs(Token::of(mark), app.look.glyphs.mark(mark)).spaces(1);
                line.left(Token::Plain, &format!("{name}  {}", finding.title), width.saturating_sub(2));
            }
        }
        canvas.line(row, &line);
    }
}

/// The key of an action as it is written, for hints on screens.
pub fn key_of(app: &App, action: Action) -> String {
    let name = command_of(action).map_or("", |command| command.name);
    app.keymap.keys_of(name).split(' ').next().unwrap_or_default().to_owned()
}
