//! One node with all that is known of it, in sections: a flat list of rows that is made anew for each screen.

pub mod histogram;
mod items;
mod numbers;
mod values;

use crate::diff::{Finding, TreeNode};
use crate::model::Side;
use crate::report::escape::{markdown_code, visible};
use crate::report::text::place;
use crate::tui::action::{Action, Screen};
use crate::tui::app::{App, List};
use crate::tui::canvas::{Canvas, Line};
use crate::tui::layout;
use crate::tui::overlay::Overlay;
use crate::tui::theme::Token;
use crate::tui::update::Effect;
use items::{Item, LABEL, Section};
use std::fmt::Write as _;

pub use values::{Layout, markdown as attribute_markdown, short_change, text as attribute_text};

/// What this screen remembers.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The cursor.
    pub list: List,
    /// Whether equal attributes are shown.
    pub equal: bool,
    /// A finding that stands at no node, and the node of the cursor when it was opened.
    pub alone: Option<(usize, u32)>,
}

/// What is shown: a node, its most important finding, or a finding that speaks of everything.
fn subject(app: &App) -> (Option<&TreeNode>, Option<&Finding>) {
    if let Some((finding, node)) = app.details.alone
        && node == app.node
    {
        return (None, app.model.finding(finding));
    }
    let node = app.model.node(app.node);
    let chosen = Some(app.finding).filter(|&finding| app.model.node_of(finding) == Some(app.node));
    let finding = chosen.or_else(|| node.and_then(|node| node.finding));
    (node, finding.and_then(|finding| app.model.finding(finding)))
}

/// A row of the screen: an item and which of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    item: usize,
    part: usize,
}

fn rows(app: &App, items: &[Item<'_>]) -> Vec<Row> {
    let width = usize::from(app.size.0);
    let of = |(item, content): (usize, &Item<'_>)| (0..content.rows(app, width)).map(move |part| Row { item, part });
    items.iter().enumerate().flat_map(of).collect()
}

/// The item under the cursor.
fn here<'a>(app: &App, items: &'a [Item<'a>]) -> Option<(usize, &'a Item<'a>)> {
    let row = rows(app, items).get(app.details.list.cursor).copied()?;
    items.get(row.item).map(|item| (row.item, item))
}

/// What commands do here.
pub fn act(app: &mut App, action: Action) -> Option<Vec<Effect>> {
    match action {
        Action::NextPane => section(app, true),
        Action::PreviousPane => section(app, false),
        Action::ShowEqual => app.details.equal = !app.details.equal,
        Action::Open | Action::Right => open(app),
        Action::Parent | Action::Left => match app.model.parent(app.node) {
            Some(parent) => {
                app.reveal(parent);
                app.details.list = List::default();
            }
            None => app.message = Some("this is an entry point".to_owned()),
        },
        _ => return None,
    }
    Some(Vec::new())
}

/// The heading of the next section, or of the one before; round the ends.
fn section(app: &mut App, forward: bool) {
    let items = items::items(app);
    let heads: Vec<usize> = rows(app, &items)
        .iter()
        .enumerate()
        .filter(|(_, row)| items.get(row.item).is_some_and(|item| item.section().is_some()))
        .map(|(at, _)| at)
        .collect();
    app.details.list.go_round(&heads, forward);
}

/// All of the value under the cursor; the list of pairs for an example.
fn open(app: &mut App) {
    let items = items::items(app);
    let found = here(app, &items).map(|(at, item)| (section_of(&items, at), item.full()));
    match found {
        Some((Some(Section::Examples), Some(_))) if app.model.diff.mode == crate::diff::Mode::Population => {
            app.overlay = Overlay::pairs(app);
        }
        Some((_, Some((title, text)))) => app.overlay = Some(Overlay::Pager { title, text, top: 0 }),
        _ => app.message = Some("nothing to open here: Tab goes to the next section".to_owned()),
    }
}

fn section_of(items: &[Item<'_>], at: usize) -> Option<Section> {
    items.iter().take(at.saturating_add(1)).rev().find_map(Item::section)
}

/// The screen was opened, or the node was changed elsewhere.
pub fn entered(app: &mut App) {
    app.details.list = List::default();
    let is_alone = app.last_screen == Screen::Findings && app.model.node_of(app.finding).is_none();
    let exists = app.model.finding(app.finding).is_some();
    app.details.alone = (is_alone && exists).then_some((app.finding, app.node));
}

/// Rows of the list.
pub fn list_height(app: &App) -> usize {
    usize::from(layout::frame(app.size).body.height)
}

/// Lines of it.
pub fn len(app: &App) -> usize {
    rows(app, &items::items(app)).len()
}

/// Draws it.
pub fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let items = items::items(app);
    let list = app.details.list;
    for (at, row) in rows(app, &items).iter().enumerate().skip(list.top).take(canvas.height()) {
        let Some(item) = items.get(row.item) else { continue };
        let y = at - list.top;
        if let Item::Head(_, left, right) = item {
            canvas.rule(y, left, right);
        } else {
            let line = line(app, item, row.part, canvas);
            canvas.line(y, &line);
        }
        if at == list.cursor {
            canvas.highlight(y);
        }
    }
}

fn line(app: &App, item: &Item<'_>, part: usize, canvas: &Canvas<'_>) -> Line {
    let mut line = canvas.new_line();
    let width = canvas.width();
    match item {
        Item::Head(..) => {}
        Item::Words(label, text) => {
            let wrapped = app.look.wrap(text, items::words_width(width));
            line.spaces(1).left(Token::Dim, if part == 0 { label } else { "" }, LABEL);
            line.glyphs(Token::Plain, wrapped.get(part).cloned().unwrap_or_default());
        }
        Item::Cells(token, cells) => {
            let count = cells.len().saturating_sub(1).max(1);
            let each = (width.saturating_sub(4) / count).clamp(1, 12);
            for (index, cell) in cells.iter().enumerate() {
                if index == 0 {
                    line.spaces(1).left(Token::Strong, cell, 3);
                } else {
                    line.right(*token, cell, each);
                }
            }
        }
        Item::Bars(side, durations, tail) => {
            let columns = bar_columns(width);
            line.spaces(1).left(Token::Strong, items::side_letter(*side), 2);
            if let Some(axis) = histogram::Axis::new(durations) {
                // One scale for both sides: heights can be compared.
                let shares = durations.as_ref().map(|bins| axis.columns(bins, columns));
                let highest = shares.before.iter().chain(&shares.after).copied().fold(f64::MIN_POSITIVE, f64::max);
                let heights: Vec<f64> = shares.get(*side).iter().map(|share| share / highest).collect();
                let token = if *side == Side::Before { Token::Removed } else { Token::Added };
                line.glyphs(token, app.look.glyphs.sparkline(&heights));
            }
            line.spaces(2).add(Token::Plain, tail);
        }
        Item::Axis(durations) => {
            line.spaces(3);
            if let Some(axis) = histogram::Axis::new(durations) {
                line.add(Token::Dim, &axis.labels(bar_columns(width)));
            }
        }
        Item::Attribute(row, has_shares) => {
            return values::Layout::new(width, *has_shares).line(&app.look, row, part);
        }
        Item::Equal(text) => {
            line.spaces(1).add(Token::Dim, "= ").left(Token::Dim, text, width.saturating_sub(4));
        }
    }
    line
}

/// Columns of a histogram: what the numbers behind it leave.
fn bar_columns(width: usize) -> usize {
    let numbers = if items::is_narrow(width) { 24 } else { 46 };
    width.saturating_sub(3 + 2 + numbers).clamp(8, 100)
}

/// Where the cursor is.
pub fn status(app: &App) -> String {
    let items = items::items(app);
    let all = rows(app, &items).len();
    let mut sections: Vec<Section> = items.iter().filter_map(Item::section).collect();
    sections.dedup();
    let section = here(app, &items).and_then(|(at, _)| section_of(&items, at));
    let number = section.and_then(|section| sections.iter().position(|other| *other == section)).unwrap_or(0);
    let name = section.map_or("", Section::name);
    let line = if all == 0 { 0 } else { app.details.list.cursor + 1 };
    format!("section {} of {}: {name}   line {line} of {all}", number + 1, sections.len())
}

fn name(app: &App) -> String {
    let (node, finding) = subject(app);
    let operation = node.map(|node| &node.operation).or_else(|| finding.and_then(Finding::operation));
    operation.map_or_else(|| "everything".to_owned(), place)
}

/// The item under the cursor, a section where the cursor is on its heading; all of it as Markdown.
pub fn copy(app: &App, markdown: bool) -> String {
    let items = items::items(app);
    if !markdown {
        let Some((at, item)) = here(app, &items) else { return String::new() };
        if item.section().is_none() {
            return item.text();
        }
        let mut lines = vec![format!("{}: {}", visible(&name(app)), item.text())];
        let below = items.iter().skip(at.saturating_add(1)).take_while(|item| item.section().is_none());
        lines.extend(below.map(Item::text).filter(|line| !line.is_empty()).map(|line| format!("  {line}")));
        return lines.join("\n");
    }
    let (node, finding) = subject(app);
    let mut text = format!("**{} {}**\n", items::mark(node, finding).glyph(), markdown_code(&name(app), false));
    for item in &items {
        let line = item.markdown();
        match item.section() {
            Some(Section::Summary) => {}
            Some(_) => {
                let _ = write!(text, "\n**{line}**\n");
            }
            None if line.is_empty() => {}
            None => {
                let _ = writeln!(text, "- {line}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::{AttributeRow, AttributeScope, Bin, Change, DiffOptions, Example, NodeDetail};
    use crate::model::{Pair, SpanId, TraceId, fixture};
    use crate::tui::canvas::Look;
    use crate::tui::glyphs;
    use crate::tui::headless;
    use crate::tui::model::Model;
    use crate::tui::theme::Theme;
    use crate::tui::update::{Msg, update};
    use std::sync::Arc;

    const HOSTILE: &str = "SELECT \u{1b}[31m`x` @everyone\u{202e}";

    fn attribute(key: &str, change: Option<Change>, before: &str, after: &str) -> AttributeRow {
        let side = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let scope = AttributeScope::Span;
        let (key, share) = (key.to_owned(), Pair::default());
        AttributeRow { key, scope, change, before: side(before), after: side(after), share }
    }

    fn known() -> NodeDetail {
        let example = Example { role: "typical", trace_id: TraceId(1), span_id: SpanId(2), duration_ns: 5 };
        NodeDetail {
            attributes: vec![
                attribute("db.statement", Some(Change::Changed), HOSTILE, "SELECT 2"),
                attribute("new", Some(Change::Added), "", "yes"),
                attribute("same", None, "x", "x"),
            ],
            durations: Pair::new(vec![Bin { ns: (1e6, 2e6), share: 1.0 }], vec![Bin { ns: (2e6, 4e6), share: 1.0 }]),
            examples: Pair::new(vec![example], Vec::new()),
            ..NodeDetail::default()
        }
    }

    /// The screen of `db SELECT`, which takes ten times as long after.
    fn app(detail: Option<NodeDetail>) -> App {
        let traces = fixture::pair("a GET 100ms\n  db SELECT 5ms", "a GET 150ms\n  db SELECT 50ms");
        let options = DiffOptions { tree: true, ..DiffOptions::default() };
        let model = Model::new(crate::diff::pair::compare(&traces, Pair::default(), &options));
        let look = Look { theme: Theme::MONO, glyphs: glyphs::UNICODE };
        let mut app = App::new(look, (80, 24), Arc::new(Model::new(crate::diff::Diff::default())));
        update(&mut app, Msg::Model(Arc::new(model)));
        app.node = 1;
        update(&mut app, Msg::Run("open".to_owned()));
        if let Some(detail) = detail {
            update(&mut app, Msg::Detail(1, Arc::new(detail)));
        }
        app
    }

    fn run(app: &mut App, name: &str) {
        update(app, Msg::Run(name.to_owned()));
    }

    fn sections(app: &App) -> Vec<&'static str> {
        items::items(app).iter().filter_map(Item::section).map(Section::name).collect()
    }

    #[test]
    fn all_that_is_known_stands_in_sections() {
        let all = ["summary", "durations", "attributes", "evidence", "examples", "note"];
        assert_eq!(sections(&app(Some(known()))), all);
        // Until the host has answered, what the comparison knows is shown already.
        let waiting = app(None);
        assert_eq!(sections(&waiting), ["summary", "attributes", "evidence", "note"]);
        assert!(headless::text(&waiting).contains(" …\n"));
    }

    #[test]
    fn tab_goes_round_the_sections() {
        let mut app = app(Some(known()));
        let here = |app: &App| status(app).split("   ").next().unwrap_or_default().to_owned();
        assert_eq!(here(&app), "section 1 of 6: summary");
        for expected in ["2 of 6: durations", "3 of 6: attributes", "4 of 6: evidence"] {
            run(&mut app, "next-pane");
            assert_eq!(here(&app), format!("section {expected}"));
        }
        run(&mut app, "previous-pane");
        assert_eq!(here(&app), "section 3 of 6: attributes");
        for _ in 0..4 {
            run(&mut app, "next-pane");
        }
        assert_eq!(here(&app), "section 1 of 6: summary");
    }

    #[test]
    fn equal_attributes_are_folded_until_they_are_asked_for() {
        let mut app = app(Some(known()));
        assert!(headless::text(&app).contains("⋯ 1 equal: same"));
        run(&mut app, "equal");
        assert!(headless::text(&app).contains(" = same"));
    }

    #[test]
    fn enter_opens_all_of_a_value() {
        let mut app = app(Some(known()));
        run(&mut app, "next-pane");
        run(&mut app, "next-pane");
        run(&mut app, "next");
        run(&mut app, "open");
        let Some(Overlay::Pager { title, text, .. }) = &app.overlay else { panic!("{:?}", app.overlay) };
        assert_eq!(title, "db.statement");
        assert!(text.contains(HOSTILE) && text.contains("{+2+}"), "{text}");
    }

    #[test]
    fn what_is_copied_is_harmless() {
        let mut app = app(Some(known()));
        let text = copy(&app, true);
        assert!(text.starts_with("**▲ `db ▸ SELECT`**\n"), "{text}");
        assert!(
            text.contains("- ~ `db.statement`: ``SELECT \\u{1b}[31m`x` @everyone\\u{202e}`` → `SELECT 2`\n"),
            "{text}"
        );
        run(&mut app, "next-pane");
        run(&mut app, "next-pane");
        run(&mut app, "next");
        assert_eq!(copy(&app, false), "~ db.statement: SELECT \\u{1b}[31m`x` @everyone\\u{202e} → SELECT 2");
    }

    #[test]
    fn every_size_is_safe() {
        let mut app = app(Some(known()));
        for size in [(1, 1), (60, 16), (61, 17), (80, 24), (200, 60)] {
            update(&mut app, Msg::Resize(size.0, size.1));
            for name in ["bottom", "next-pane", "equal", "top", "parent", "open"] {
                run(&mut app, name);
                headless::text(&app);
            }
            app.overlay = None;
        }
    }
}
