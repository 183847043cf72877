//! Notes and bookmarks, and what was compared.

mod inputs;

use crate::report::text::place;
use crate::tui::action::{Action, Screen};
use crate::tui::app::{App, List, Note};
use crate::tui::canvas::Canvas;
use crate::tui::layout;
use crate::tui::theme::Token;
use crate::tui::update::Effect;
use std::fmt::Write as _;

/// What this screen remembers.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The cursor.
    pub list: List,
}

/// The note at the place of the cursor.
pub fn note_here(app: &App) -> Option<&Note> {
    app.notes.iter().find(|note| note.node == Some(app.node))
}

/// Sets or removes the bookmark of the node of the cursor.
pub fn toggle_bookmark(app: &mut App) {
    let node = Some(app.node).filter(|_| !app.model.is_empty());
    let finding = app.model.node(app.node).and_then(|node| node.finding);
    if let Some(note) = app.notes.iter_mut().find(|note| note.node == node) {
        note.bookmark = !note.bookmark;
        app.notes.retain(|note| note.bookmark || !note.text.is_empty());
    } else {
        app.notes.push(Note { node, finding, text: String::new(), bookmark: true });
    }
}

/// Writes a note at the node of the cursor; an empty one removes it.
pub fn write(app: &mut App, text: &str) {
    let node = Some(app.node).filter(|_| !app.model.is_empty());
    let finding = app.model.node(app.node).and_then(|node| node.finding);
    let text = text.trim().to_owned();
    if let Some(note) = app.notes.iter_mut().find(|note| note.node == node) {
        note.text = text;
        app.notes.retain(|note| note.bookmark || !note.text.is_empty());
    } else if !text.is_empty() {
        app.notes.push(Note { node, finding, text, bookmark: false });
    }
}

/// One line of the screen.
#[derive(Clone, Debug)]
enum Entry {
    /// A rule that begins a section.
    Head(String, String),
    /// A note by its place in the list, and one of the lines of it.
    Note(usize, String),
    /// A label and text.
    Words(&'static str, String),
}

/// Columns of labels.
const LABEL: usize = 12;

fn entries(app: &App) -> Vec<Entry> {
    let mut entries = vec![Entry::Head(
        crate::model::units::counted(app.notes.len() as u64, "note or bookmark", "notes and bookmarks"),
        "Enter goes there  a writes  b marks".to_owned(),
    )];
    if app.notes.is_empty() {
        entries.push(Entry::Words("", "none yet: a writes one, b sets a bookmark, on any screen".to_owned()));
    }
    let width = usize::from(app.size.0).saturating_sub(4);
    for (index, note) in app.notes.iter().enumerate() {
        entries.extend(app.look.wrap(&note_words(app, note), width).into_iter().map(|line| Entry::Note(index, line)));
    }
    for section in inputs::sections(&app.model.diff) {
        entries.push(Entry::Head(section.title, String::new()));
        for (label, text) in section.lines {
            let lines = app.look.wrap(&text, usize::from(app.size.0).saturating_sub(LABEL + 2));
            let label = |index: usize| if index == 0 { label } else { "" };
            entries.extend(lines.into_iter().enumerate().map(|(index, line)| Entry::Words(label(index), line)));
        }
    }
    entries
}

/// Where it is and what it says.
fn note_words(app: &App, note: &Note) -> String {
    let operation = note.node.and_then(|node| app.model.node(node)).map(|node| place(&node.operation));
    let finding = note.finding.map_or_else(String::new, |finding| format!(" (finding {})", finding + 1));
    let text = if note.text.is_empty() { "bookmark" } else { &note.text };
    format!("{}{finding}: {text}", operation.unwrap_or_else(|| "everything".to_owned()))
}

/// Lines of it.
pub fn len(app: &App) -> usize {
    entries(app).len()
}

/// The note under the cursor.
fn here(app: &App) -> Option<usize> {
    match entries(app).get(app.notes_screen.list.cursor) {
        Some(Entry::Note(index, _)) => Some(*index),
        _ => None,
    }
}

/// What commands do here.
pub fn act(app: &mut App, action: Action) -> Option<Vec<Effect>> {
    match action {
        Action::Open | Action::Right => match here(app).and_then(|index| app.notes.get(index)) {
            Some(note) => {
                let (node, finding) = (note.node, note.finding);
                app.remember();
                if let Some(node) = node.filter(|&node| node < app.model.len()) {
                    app.reveal(node);
                }
                app.finding = finding.unwrap_or(app.finding);
                app.show(Screen::Detail);
            }
            None => app.message = Some("no note here".to_owned()),
        },
        Action::NextPane | Action::PreviousPane => section(app, action == Action::NextPane),
        Action::Bookmark | Action::Note if here(app).is_none() && !app.notes.is_empty() => {
            app.message = Some("move to a note to change it".to_owned());
        }
        _ => return None,
    }
    Some(Vec::new())
}

/// The heading of the next section, or of the one before; round the ends.
fn section(app: &mut App, forward: bool) {
    let entries = entries(app);
    let heads: Vec<usize> = (0..entries.len()).filter(|&at| matches!(entries.get(at), Some(Entry::Head(..)))).collect();
    app.notes_screen.list.go_round(&heads, forward);
}

/// The cursor was moved: the node of all screens is the one of the note.
pub fn moved(app: &mut App) {
    let Some(note) = here(app).and_then(|index| app.notes.get(index)) else { return };
    let (node, finding) = (note.node, note.finding);
    app.node = node.filter(|&node| node < app.model.len()).unwrap_or(app.node);
    app.finding = finding.unwrap_or(app.finding);
}

/// Rows of the list.
pub fn list_height(app: &App) -> usize {
    usize::from(layout::frame(app.size).body.height)
}

/// Draws it.
pub fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let list = app.notes_screen.list;
    let width = canvas.width();
    for (at, entry) in entries(app).iter().enumerate().skip(list.top).take(canvas.height()) {
        let row = at - list.top;
        let mut line = canvas.new_line();
        match entry {
            Entry::Head(left, right) => canvas.rule(row, left, right),
            Entry::Note(index, text) => {
                let bookmark = app.notes.get(*index).is_some_and(|note| note.bookmark);
                let sign = if bookmark { app.look.glyphs.bookmark } else { ' ' };
                line.spaces(1).glyphs(Token::Strong, sign.to_string()).spaces(1).glyphs(Token::Plain, text.as_str());
            }
            Entry::Words(label, text) => {
                line.spaces(1);
                if !label.is_empty() || at > 1 {
                    line.left(Token::Dim, label, LABEL);
                }
                line.glyphs(Token::Plain, text.as_str()).until(width);
            }
        }
        if !matches!(entry, Entry::Head(..)) {
            canvas.line(row, &line);
        }
        if at == list.cursor {
            canvas.highlight(row);
        }
    }
}

/// Where the cursor is.
pub fn status(app: &App) -> String {
    let note = here(app).map_or_else(String::new, |index| format!("   note {} of {}", index + 1, app.notes.len()));
    format!("line {} of {}{note}", app.notes_screen.list.cursor + 1, len(app))
}

/// The note under the cursor, or the line; as Markdown all notes and what was compared.
pub fn copy(app: &App, markdown: bool) -> String {
    use crate::report::escape::{markdown as sentence, visible};
    if !markdown {
        let note = here(app).and_then(|index| app.notes.get(index)).map(|note| note_words(app, note));
        let line = entries(app).get(app.notes_screen.list.cursor).map(|entry| match entry {
            Entry::Head(text, _) | Entry::Note(_, text) => text.clone(),
            Entry::Words(label, text) => format!("{label} {text}").trim().to_owned(),
        });
        return note.or(line).map_or_else(String::new, |text| visible(&text).into_owned());
    }
    let mut text = String::new();
    for note in &app.notes {
        let _ = writeln!(text, "- {}", sentence(&note_words(app, note)));
    }
    for section in inputs::sections(&app.model.diff) {
        let _ = write!(text, "\n**{}**\n", sentence(&section.title));
        for (label, words) in section.lines {
            let _ = writeln!(text, "- {} {}", sentence(label), sentence(&words));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::DiffOptions;
    use crate::model::{Pair, fixture};
    use crate::tui::canvas::Look;
    use crate::tui::glyphs;
    use crate::tui::headless;
    use crate::tui::model::Model;
    use crate::tui::theme::Theme;
    use crate::tui::update::{Msg, update};
    use std::sync::Arc;

    fn app() -> App {
        let traces = fixture::pair("a GET 100ms\n  db SELECT 5ms", "a GET 150ms\n  db SELECT 50ms");
        let options = DiffOptions { tree: true, ..DiffOptions::default() };
        let model = Model::new(crate::diff::pair::compare(&traces, Pair::default(), &options));
        let look = Look { theme: Theme::MONO, glyphs: glyphs::UNICODE };
        let mut app = App::new(look, (80, 24), Arc::new(Model::new(crate::diff::Diff::default())));
        update(&mut app, Msg::Model(Arc::new(model)));
        app
    }

    fn run(app: &mut App, name: &str) {
        update(app, Msg::Run(name.to_owned()));
    }

    #[test]
    fn notes_stand_oldest_first_above_what_was_compared() {
        let mut app = app();
        app.node = 1;
        write(&mut app, "roll back \u{1b}[2J @all");
        app.node = 0;
        toggle_bookmark(&mut app);
        run(&mut app, "notes");
        let screen = headless::text(&app);
        let at = |words: &str| screen.find(words).unwrap_or_else(|| panic!("{words} is not in\n{screen}"));
        assert!(at("db ▸ SELECT (finding 1): roll back \\u{1b}[2J @all") < at("◆ a ▸ GET"), "{screen}");
        assert!(at("◆ a ▸ GET") < at("── A (before)"), "{screen}");
        assert!(
            copy(&app, true).starts_with("- db ▸ SELECT \\(finding 1\\): roll back \\\\u\\{1b\\}\\[2J @<!-- -->all\n")
        );
    }

    #[test]
    fn the_cursor_leads_to_the_place_of_a_note() {
        let mut app = app();
        app.node = 1;
        write(&mut app, "here");
        app.node = 0;
        run(&mut app, "notes");
        run(&mut app, "open");
        assert_eq!(app.message.as_deref(), Some("no note here"));
        run(&mut app, "next");
        assert_eq!(copy(&app, false), "db ▸ SELECT (finding 1): here");
        run(&mut app, "open");
        assert_eq!((app.screen, app.node), (Screen::Detail, 1));
    }

    #[test]
    fn an_empty_note_is_none_and_tab_goes_from_section_to_section() {
        let mut app = app();
        write(&mut app, "x");
        write(&mut app, " ");
        assert!(app.notes.is_empty());
        run(&mut app, "notes");
        run(&mut app, "next-pane");
        assert_eq!(copy(&app, false), "A (before)");
        run(&mut app, "previous-pane");
        run(&mut app, "previous-pane");
        assert_eq!(copy(&app, false), "good to know");
    }
}
