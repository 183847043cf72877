//! The first screen: how much, what makes it up, how sure.

mod answer;
mod panel;

pub use panel::what;

use crate::diff::{Confidence, Diff, Finding, Mark, Mode};
use crate::model::units;
use crate::report::page::{by_sign, mark_of};
use crate::report::text::place;
use crate::tui::action::Action;
use crate::tui::app::{App, List};
use crate::tui::canvas::{Canvas, Line};
use crate::tui::layout;
use crate::tui::theme::Token;
use crate::tui::update::Effect;
use ratatui_core::layout::Rect;
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr;

/// In which order findings stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// As the comparison ranks them.
    #[default]
    Rank,
    /// By what they contribute.
    Contribution,
    /// By calls in a trace.
    Calls,
    /// By name.
    Name,
}

impl Sort {
    const ALL: [Sort; 4] = [Sort::Rank, Sort::Contribution, Sort::Calls, Sort::Name];

    const fn name(self) -> &'static str {
        match self {
            Sort::Rank => "rank",
            Sort::Contribution => "contribution",
            Sort::Calls => "calls",
            Sort::Name => "name",
        }
    }
}

/// What this screen remembers.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The cursor.
    pub list: List,
    /// Findings in the order in which they are listed: indices.
    pub order: Vec<usize>,
    /// Which order that is.
    pub sort: Sort,
}

/// Makes the list anew.
pub fn rebuild(app: &mut App) {
    let diff = &app.model.diff;
    let mut order: Vec<usize> = (0..diff.findings.len()).collect();
    if !app.filter.is_empty() {
        order.retain(|&finding| diff.findings.get(finding).is_some_and(|finding| app.filter.finding(finding)));
    }
    let of = |finding: &usize| diff.findings.get(*finding);
    match app.findings.sort {
        Sort::Rank => {}
        Sort::Contribution => order.sort_by_key(|finding| {
            std::cmp::Reverse(of(finding).map_or(0, |finding| finding.contribution_ns.unsigned_abs()))
        }),
        Sort::Calls => order.sort_by(|a, b| {
            let calls = |finding: &usize| {
                of(finding).map_or(0.0, |finding| finding.calls_per_trace.before.max(finding.calls_per_trace.after))
            };
            calls(b).total_cmp(&calls(a))
        }),
        Sort::Name => {
            order.sort_by_cached_key(|finding| of(finding).and_then(|finding| finding.operation().map(place)));
        }
    }
    app.findings.order = order;
    if let Some(at) = app.findings.order.iter().position(|&finding| finding == app.finding) {
        app.findings.list.cursor = at;
    } else {
        app.findings.list.cursor = 0;
        moved(app);
    }
}

/// What commands do here.
pub fn act(app: &mut App, action: Action) -> Option<Vec<Effect>> {
    match action {
        Action::Sort => {
            let at = Sort::ALL.iter().position(|sort| *sort == app.findings.sort).unwrap_or(0);
            app.findings.sort = Sort::ALL.get((at + 1) % Sort::ALL.len()).copied().unwrap_or_default();
            rebuild(app);
        }
        Action::NextChange => step(app, 1, |_| true),
        Action::PreviousChange => step(app, -1, |_| true),
        Action::NextError => step(app, 1, |finding| mark_of(finding) == Mark::Failing),
        Action::PreviousError => step(app, -1, |finding| mark_of(finding) == Mark::Failing),
        Action::Right => {
            if app.model.is_empty() {
                return None;
            }
            app.show(crate::tui::action::Screen::Tree);
        }
        Action::Left => {}
        _ => return None,
    }
    Some(Vec::new())
}

/// The next finding of the list that is meant, round the end.
fn step(app: &mut App, by: isize, is_meant: impl Fn(&Finding) -> bool) {
    let len = app.findings.order.len();
    let mut at = app.findings.list.cursor;
    for _ in 0..len {
        at = (at + len).saturating_add_signed(by) % len;
        let finding = app.findings.order.get(at).and_then(|&finding| app.model.finding(finding));
        if finding.is_some_and(&is_meant) {
            app.findings.list.cursor = at;
            moved(app);
            return;
        }
    }
    app.message = Some("there is none".to_owned());
}

/// The cursor was moved: the node follows.
pub fn moved(app: &mut App) {
    if let Some(&finding) = app.findings.order.get(app.findings.list.cursor) {
        app.finding = finding;
        if let Some(node) = app.model.node_of(finding) {
            app.node = node;
        }
    }
}

/// The finding was changed elsewhere: the cursor follows.
pub fn entered(app: &mut App) {
    if let Some(at) = app.findings.order.iter().position(|&finding| finding == app.finding) {
        app.findings.list.cursor = at;
    }
}

/// Rows of the terminal above the first finding.
pub fn first_row(app: &App) -> u16 {
    let frame = layout::frame(app.size);
    frame.body.y + answer::answer(app, usize::from(frame.body.width)).len() as u16 + 2
}

/// Rows of the list.
pub fn list_height(app: &App) -> usize {
    let (list, _) = split(app);
    let above = answer::answer(app, usize::from(list.width)).len() + 2;
    // The last row says what the rest comes to.
    usize::from(list.height).saturating_sub(above + 1)
}

/// The list above its panel: what a short list does not need goes to the panel.
fn split(app: &App) -> (Rect, Rect) {
    let (list, panel) = layout::split(app);
    if panel.height == 0 {
        return (list, panel);
    }
    let needed = answer::answer(app, usize::from(list.width)).len() + app.findings.order.len() + 4;
    let height = list.height.min(u16::try_from(needed).unwrap_or(u16::MAX));
    let given = list.height - height;
    let list = Rect { height, ..list };
    (list, Rect { y: panel.y - given, height: panel.height + given, ..panel })
}

/// Draws answer, list and panel.
pub fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let (list, panel) = split(app);
    let mut upper = canvas.part(list);
    let answer = answer::answer(app, upper.width());
    for (row, line) in answer.iter().enumerate() {
        upper.line(row, line);
    }
    let diff = &app.model.diff;
    let shown = app.findings.order.len();
    let all = diff.findings.len() as u64 + diff.omitted.findings;
    let counted = units::counted(all, "finding", "findings");
    let title = if shown as u64 == all { counted } else { format!("{} of {counted}", units::count(shown as u64)) };
    let filter =
        if app.filter.is_empty() { "filter: none (/)".to_owned() } else { format!("filter: {}", app.filter.text) };
    upper.rule(answer.len(), &format!("{title}, by {} (s)", app.findings.sort.name()), &filter);
    let mut row = answer.len() + 1;
    let columns = Columns::new(app, upper.width());
    upper.line(row, &columns.heading(&upper));
    row += 1;
    let height = upper.height().saturating_sub(row + 1);
    for (index, &finding) in app.findings.order.iter().enumerate().skip(app.findings.list.top).take(height) {
        let Some(found) = app.model.finding(finding) else { continue };
        let line = columns.finding(app, finding, found, &upper);
        upper.line(row, &line);
        if index == app.findings.list.cursor {
            upper.highlight(row);
        }
        row += 1;
    }
    let rest = rest(diff);
    let mut line = upper.new_line();
    line.glyphs(Token::Dim, format!(" {:>3} ", "")).left(
        Token::Dim,
        &format!("{} {rest}", app.look.glyphs.mark(Mark::Equal)),
        upper.width().saturating_sub(5),
    );
    upper.line(row, &line);
    if panel.height > 0 {
        panel::draw(app, &mut canvas.part(panel));
    }
}

/// What no finding covers, with its bound, so that the column adds up.
fn rest(diff: &Diff) -> String {
    let mut text = String::new();
    if diff.omitted.findings > 0 {
        text = format!(
            "⋯ {} more findings, together {}; ",
            units::count(diff.omitted.findings),
            units::signed_duration(diff.omitted.contribution_ns)
        );
    }
    let others = diff.entry_points.first().filter(|_| diff.entry_points.len() == 1);
    // All that no finding covers, so that the column adds up to the change.
    let together = others.filter(|entry| !entry.attribution.is_empty()).map_or_else(String::new, |entry| {
        let rows = entry.attribution.iter().filter(|row| row.finding.is_none());
        let sum = rows.fold(0i64, |sum, row| sum.saturating_add(row.contribution_ns));
        format!(", together {}", units::signed_duration(sum))
    });
    format!(
        "{text}⋯ {} unchanged, each |Δ| ≤ {}{together}",
        units::counted(diff.summary.unchanged_operations, "operation", "operations"),
        units::duration(diff.summary.unchanged_bound_ns)
    )
}

struct Columns {
    name: usize,
    what: usize,
    share: bool,
    confidence: bool,
    calls: bool,
}

impl Columns {
    /// Names get what they need, but leave most of the room to what happened.
    fn new(app: &App, width: usize) -> Columns {
        let (confidence, calls) = (width >= 76, width >= 100);
        // A column of dashes says nothing.
        let share = app.model.diff.findings.iter().any(|finding| finding.share.is_some());
        let columns = [(true, 7 + 10), (share, 8), (confidence, 9), (calls, 11)];
        let fixed: usize = columns.iter().filter(|column| column.0).map(|column| column.1).sum();
        let room = width.saturating_sub(fixed);
        let seen = app.findings.order.iter().skip(app.findings.list.top).take(usize::from(app.size.1));
        let names = seen.filter_map(|&finding| app.model.finding(finding)?.operation());
        let longest = names.map(|name| name.service.width() + name.name.width() + 4).max().unwrap_or(0);
        let name = longest.clamp(14.min(room), room * 11 / 20);
        Columns { name, what: room - name, share, confidence, calls }
    }

    fn heading(&self, canvas: &Canvas<'_>) -> Line {
        let mut line = canvas.new_line();
        line.add(Token::Dim, "   #   ").left(Token::Dim, "where", self.name).left(Token::Dim, "what", self.what);
        if self.calls {
            line.right(Token::Dim, "calls", 11);
        }
        line.right(Token::Dim, "Δ", 10);
        if self.share {
            line.right(Token::Dim, "share", 8);
        }
        if self.confidence {
            line.right(Token::Dim, "sure", 9);
        }
        line
    }

    fn finding(&self, app: &App, index: usize, finding: &Finding, canvas: &Canvas<'_>) -> Line {
        let mut line = canvas.new_line();
        let mark = mark_of(finding);
        let noted = app.notes.iter().any(|note| note.finding == Some(index));
        line.glyphs(Token::Strong, (if noted { app.look.glyphs.bookmark } else { ' ' }).to_string());
        line.right(Token::Dim, &(index + 1).to_string(), 3).spaces(1);
        let token = if finding.confidence == Confidence::Weak && app.model.diff.mode == Mode::Population {
            Token::Weak
        } else {
            Token::of(mark)
        };
        line.glyphs(token, app.look.glyphs.mark(mark)).spaces(1);
        let name = finding.operation().map_or_else(|| "everything".to_owned(), place);
        let strong = finding.share.is_some_and(|share| share.abs() >= 0.1) || index == 0;
        line.left(if strong { Token::Strong } else { Token::Plain }, &name, self.name.saturating_sub(1)).spaces(1);
        let end = line.width() + self.what;
        let title =
            if finding.accepted.is_some() { format!("accepted: {}", finding.title) } else { finding.title.clone() };
        line.cut(Token::Plain, &brief(&title, self.what.saturating_sub(1)), self.what.saturating_sub(1)).until(end);
        if self.calls {
            let calls = finding.calls_per_trace;
            line.right(Token::Plain, &units::calls(calls.before, calls.after), 11);
        }
        let delta = finding.contribution_ns;
        line.right(Token::of(by_sign(delta)), &units::signed_duration(delta), 10);
        let share = finding.share.filter(|share| share.abs() <= 10.0);
        if self.share {
            line.right(Token::Plain, &share.map_or_else(|| "—".to_owned(), units::signed_percent), 8);
        }
        if self.confidence {
            line.right(Token::Dim, finding.confidence.name(), 9);
        }
        line
    }
}

/// A title that is too long without what stands in brackets.
fn brief(title: &str, width: usize) -> String {
    if title.width() <= width {
        return title.to_owned();
    }
    let mut depth = 0usize;
    let mut out = String::new();
    for c in title.chars() {
        match c {
            '(' => depth += 1,
            ')' if depth > 0 => depth -= 1,
            ' ' if depth == 0 && out.ends_with(' ') => {}
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

/// Where the cursor is.
pub fn status(app: &App) -> String {
    let diff = &app.model.diff;
    let at = if app.findings.order.is_empty() { 0 } else { app.findings.list.cursor + 1 };
    let traces = diff.inputs.before.traces + diff.inputs.after.traces;
    let spans = diff.inputs.before.spans + diff.inputs.after.spans;
    format!(
        "finding {at} of {}   basis: {}   {}, {}",
        app.findings.order.len(),
        app.basis.name(),
        units::counted(traces, "trace", "traces"),
        units::counted(spans, "span", "spans")
    )
}

/// The finding under the cursor.
pub fn copy(app: &App, markdown: bool) -> String {
    let Some(finding) = app.model.finding(app.finding) else { return String::new() };
    let mark = mark_of(finding);
    let name = finding.operation().map_or_else(|| "everything".to_owned(), place);
    let lines = panel::lines(app, finding);
    let mut text = String::new();
    if markdown {
        use crate::report::escape::{markdown, markdown_code};
        let _ = writeln!(text, "**{} {}**: {}", mark.glyph(), markdown_code(&name, false), markdown(&finding.title));
        for (label, words) in lines.iter().skip(1) {
            let _ = writeln!(text, "- {label}: {}", markdown(words));
        }
    } else {
        use crate::report::escape::visible;
        let _ = writeln!(text, "{} {}: {}", mark.glyph(), visible(&name), visible(&finding.title));
        for (label, words) in lines.iter().skip(1) {
            let _ = writeln!(text, "  {label}: {}", visible(words));
        }
    }
    text
}
