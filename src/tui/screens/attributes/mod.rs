//! Which attributes differ, wherever they do.

mod rows;

use super::detail;
use crate::diff::{AttributeRow, AttributeScope, Change, Mode};
use crate::model::units;
use crate::report::text::place;
use crate::tui::action::{Action, Screen};
use crate::tui::app::{App, List};
use crate::tui::canvas::{Canvas, Line};
use crate::tui::layout;
use crate::tui::model::Model;
use crate::tui::theme::Token;
use crate::tui::update::Effect;
use rows::{Difference, Sort};
use std::sync::Arc;

/// What this screen remembers.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The cursor.
    pub list: List,
    /// Rows in order: places in all differences.
    pub rows: Vec<usize>,
    /// In which order.
    pub sort: Sort,
    /// All differences in that order, and the comparison that they are of.
    all: Option<(Arc<Model>, Sort, Vec<Difference>)>,
}

impl State {
    fn row(&self, at: usize) -> Option<&Difference> {
        let row = self.rows.get(at).copied()?;
        self.all.as_ref()?.2.get(row)
    }

    fn here(&self) -> Option<&Difference> {
        self.row(self.list.cursor)
    }
}

/// Makes the list anew.
pub fn rebuild(app: &mut App) {
    let sort = app.attributes.sort;
    let is_known =
        app.attributes.all.as_ref().is_some_and(|(model, known, _)| Arc::ptr_eq(model, &app.model) && *known == sort);
    if !is_known {
        let mut all = rows::all(&app.model);
        rows::order(&mut all, sort);
        app.attributes.all = Some((Arc::clone(&app.model), sort, all));
        app.attributes.list = List::default();
    }
    let filter = &app.filter;
    let value = |side: &Option<String>| side.as_deref().map_or("", |text| text.get(..200).unwrap_or(text)).to_owned();
    let passes = |row: &Difference| {
        filter.is_empty() || filter.text(&format!("{} {} {}", row.key, value(&row.before), value(&row.after)))
    };
    let all = app.attributes.all.as_ref().map_or(&[][..], |(_, _, rows)| rows);
    app.attributes.rows = all.iter().enumerate().filter(|(_, row)| passes(row)).map(|(at, _)| at).collect();
}

/// What commands do here.
pub fn act(app: &mut App, action: Action) -> Option<Vec<Effect>> {
    match action {
        Action::Open | Action::Right => {
            if app.attributes.here().is_some_and(|row| !row.nodes.is_empty()) {
                moved(app);
                app.show(Screen::Detail);
            } else {
                app.message = Some("no span of it is known".to_owned());
            }
        }
        Action::Sort => {
            app.attributes.sort = app.attributes.sort.next();
            rebuild(app);
        }
        Action::NextChange | Action::PreviousChange => {
            let len = app.attributes.rows.len().max(1);
            let by = if action == Action::NextChange { 1 } else { len - 1 };
            app.attributes.list.cursor = app.attributes.list.cursor.saturating_add(by) % len;
            moved(app);
        }
        _ => return None,
    }
    Some(Vec::new())
}

/// The cursor was moved: node and finding of all screens follow.
pub fn moved(app: &mut App) {
    let Some(row) = app.attributes.here() else { return };
    let (node, finding) = (row.nodes.first().copied(), row.finding);
    if let Some(node) = node {
        app.node = node;
    }
    if let Some(finding) = finding {
        app.finding = finding;
    }
}

/// The node was changed elsewhere: the cursor goes to the first difference that it shows.
pub fn entered(app: &mut App) {
    let state = &app.attributes;
    let shows = |at: &usize| state.row(*at).is_some_and(|row| row.nodes.contains(&app.node));
    if state.here().is_some_and(|row| row.nodes.contains(&app.node)) {
        return;
    }
    if let Some(at) = (0..state.rows.len()).find(shows) {
        app.attributes.list.cursor = at;
    }
}

/// Columns by width.
struct Columns {
    key: usize,
    values: usize,
    shares: bool,
    many: bool,
}

/// Columns of a share, of the number of places, of the finding.
const SHARE: usize = 7;
const PLACES: usize = 8;
const FINDING: usize = 8;

impl Columns {
    fn new(app: &App, width: usize) -> Columns {
        let (shares, many) = (app.model.diff.mode == Mode::Population, width >= 72);
        let taken = 3 + if shares { 2 * SHARE } else { 0 } + if many { PLACES + FINDING } else { PLACES };
        let room = width.saturating_sub(taken + 1);
        let key = (room * 2 / 5).min(40);
        Columns { key, values: room.saturating_sub(key), shares, many }
    }

    fn heading(&self, line: &mut Line) {
        line.spaces(3).left(Token::Dim, "attribute", self.key).left(Token::Dim, "A → B", self.values);
        if self.shares {
            line.right(Token::Dim, "A has", SHARE).right(Token::Dim, "B has", SHARE);
        }
        line.right(Token::Dim, "places", PLACES);
        if self.many {
            line.right(Token::Dim, "finding", FINDING);
        }
    }

    fn row(&self, app: &App, row: &Difference, canvas: &Canvas<'_>) -> Line {
        let mut line = canvas.new_line();
        line.spaces(1).glyphs(Token::of(row.mark()), app.look.glyphs.mark(row.mark())).spaces(1);
        let token = if row.with_span { Token::Plain } else { Token::Strong };
        line.left(token, &row.key, self.key.saturating_sub(1)).spaces(1);
        let end = line.width() + self.values;
        line.glyphs(Token::Plain, values(app, row, self.values.saturating_sub(1))).until(end);
        if self.shares {
            let share = |share: Option<f64>| share.map_or_else(|| "—".to_owned(), units::percent);
            line.right(Token::Plain, &share(row.share.before), SHARE);
            line.right(Token::Plain, &share(row.share.after), SHARE);
        }
        line.right(Token::Plain, &units::count(row.nodes.len() as u64), PLACES);
        if self.many {
            let finding = row.finding.map_or_else(|| "—".to_owned(), |finding| (finding + 1).to_string());
            line.right(Token::Dim, &finding, FINDING);
        }
        line
    }
}

fn values(app: &App, row: &Difference, room: usize) -> String {
    let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "—".to_owned());
    match row.change {
        Change::Changed => detail::short_change(&app.look, &side(&row.before), &side(&row.after), room),
        Change::Added => app.look.cut(&side(&row.after), room),
        Change::Removed => app.look.cut(&side(&row.before), room),
    }
}

/// Draws the list and the panel of the row under the cursor.
pub fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let (list, panel) = layout::split(app);
    let mut upper = canvas.part(list);
    let columns = Columns::new(app, upper.width());
    let mut line = upper.new_line();
    columns.heading(&mut line);
    upper.line(0, &line);
    let (state, height) = (&app.attributes, upper.height().saturating_sub(1));
    for (y, at) in (state.list.top..state.rows.len()).take(height).enumerate() {
        let Some(row) = state.row(at) else { continue };
        let line = columns.row(app, row, &upper);
        upper.line(y + 1, &line);
        if at == state.list.cursor {
            upper.highlight(y + 1);
        }
    }
    if state.rows.is_empty() {
        let mut line = upper.new_line();
        let words =
            if app.filter.is_empty() { " no attribute differs" } else { " nothing passes the filter: Esc removes it" };
        line.add(Token::Plain, words);
        upper.line(1, &line);
    }
    if panel.height > 0 {
        draw_panel(app, &mut canvas.part(panel));
    }
}

/// The row in the form that the screen of one node shows.
fn as_row(row: &Difference) -> AttributeRow {
    AttributeRow {
        key: row.key.clone(),
        scope: AttributeScope::Span,
        change: Some(row.change),
        before: row.before.clone(),
        after: row.after.clone(),
        share: row.share,
    }
}

fn draw_panel(app: &App, canvas: &mut Canvas<'_>) {
    let Some(row) = app.attributes.here() else {
        canvas.rule(0, "", "");
        return;
    };
    canvas.rule(0, &row.key, "Enter the first span that shows it");
    let width = canvas.width();
    let attribute = as_row(row);
    let layout = detail::Layout::new(width, app.model.diff.mode == Mode::Population);
    let mut y = 1;
    for part in 0..layout.rows(&app.look, &attribute) {
        let line = layout.line(&app.look, &attribute, part);
        canvas.line(y, &line);
        y += 1;
    }
    for text in places(app, row) {
        let mut line = canvas.new_line();
        line.spaces(3).left(Token::Dim, &text, width.saturating_sub(4));
        canvas.line(y, &line);
        y += 1;
    }
}

/// Where it shows: the first places by name, the rest counted.
fn places(app: &App, row: &Difference) -> Vec<String> {
    const NAMED: usize = 5;
    let name = |node: &u32| app.model.node(*node).map(|node| format!("at {}", place(&node.operation)));
    let mut names: Vec<String> = row.nodes.iter().take(NAMED).filter_map(name).collect();
    // Many spans of one operation say the same.
    names.dedup();
    let hidden = row.nodes.len().saturating_sub(NAMED) as u64;
    if hidden > 0 {
        names.push(format!("⋯ {}", units::counted(hidden, "more place", "more places")));
    }
    if let Some(finding) = row.finding {
        let title = app.model.finding(finding).map_or("", |finding| finding.title.as_str());
        names.push(format!("finding {}: {title}", finding + 1));
    }
    names
}

/// Where the cursor is.
pub fn status(app: &App) -> String {
    let state = &app.attributes;
    let at = if state.rows.is_empty() { 0 } else { state.list.cursor + 1 };
    format!("attribute {at} of {}   by {} (s)", units::count(state.rows.len() as u64), state.sort.name())
}

/// The row under the cursor; as Markdown all that are listed.
pub fn copy(app: &App, markdown: bool) -> String {
    let state = &app.attributes;
    if markdown {
        let rows = (0..state.rows.len().min(50)).filter_map(|at| state.row(at));
        let lines: Vec<String> = rows.map(|row| format!("- {}", detail::attribute_markdown(&as_row(row)))).collect();
        return lines.join("\n");
    }
    let Some(row) = state.here() else { return String::new() };
    crate::report::escape::visible(&detail::attribute_text(&as_row(row))).into_owned()
}
