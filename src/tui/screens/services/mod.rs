//! Who calls whom: one service with its neighbours, and all edges in a table.

mod edges;

use crate::diff::Mark;
use crate::model::{Pair, units};
use crate::report::page::by_sign;
use crate::tui::action::Action;
use crate::tui::app::{App, List};
use crate::tui::canvas::{Canvas, Line};
use crate::tui::layout;
use crate::tui::model::Model;
use crate::tui::theme::Token;
use crate::tui::update::Effect;
use edges::{Edge, Sort};
use ratatui_core::layout::Rect;
use std::fmt::Write as _;
use std::sync::Arc;

/// Rows of neighbours at most, when there is room.
const NEIGHBOURS: usize = 10;

/// What this screen remembers.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The cursor.
    pub list: List,
    /// The edges of the table, in order.
    pub edges: Vec<Edge>,
    /// How many are folded, and the largest change of time among them, nanoseconds.
    pub folded: (usize, u64),
    /// Whether those in which nothing changed are shown.
    pub equal: bool,
    /// In which order.
    pub sort: Sort,
    /// The service in the middle.
    pub centre: String,
    /// All edges, and the comparison that they are of.
    all: Option<(Arc<Model>, Vec<Edge>)>,
}

impl State {
    fn all(&self) -> &[Edge] {
        self.all.as_ref().map_or(&[], |(_, edges)| edges)
    }
}

/// Makes the table anew.
pub fn rebuild(app: &mut App) {
    let is_known = app.services.all.as_ref().is_some_and(|(model, _)| Arc::ptr_eq(model, &app.model));
    if !is_known {
        app.services.all = Some((Arc::clone(&app.model), edges::all(&app.model)));
    }
    let here = app.services.edges.get(app.services.list.cursor).map(|edge| (edge.caller.clone(), edge.callee.clone()));
    let filter = &app.filter;
    let passes = |edge: &&Edge| filter.is_empty() || filter.text(&format!("{} {}", edge.caller, edge.callee));
    let mut edges: Vec<Edge> = app.services.all().iter().filter(passes).cloned().collect();
    edges::order(&mut edges, app.services.sort);
    let changed = edges.iter().filter(|edge| edge.is_change()).count();
    app.services.folded = (0, 0);
    // Where nothing changed there is nothing to fold the rest behind.
    if changed > 0 && !app.services.equal && app.filter.is_empty() {
        let rest = edges.split_off(changed);
        let bound = rest.iter().map(|edge| edge.delta_ns().unsigned_abs()).max().unwrap_or(0);
        app.services.folded = (rest.len(), bound);
    }
    app.services.edges = edges;
    let same =
        |edge: &Edge| here.as_ref().is_some_and(|(caller, callee)| (caller, callee) == (&edge.caller, &edge.callee));
    app.services.list.cursor = app.services.edges.iter().position(same).unwrap_or(0);
    if !is_known || !app.services.all().iter().any(|edge| touches(edge, &app.services.centre)) {
        follow(app);
    }
}

fn touches(edge: &Edge, service: &str) -> bool {
    edge.caller == service || edge.callee == service
}

/// What commands do here.
pub fn act(app: &mut App, action: Action) -> Option<Vec<Effect>> {
    match action {
        Action::Open => recentre(app),
        Action::Sort => {
            app.services.sort = app.services.sort.next();
            rebuild(app);
        }
        Action::ShowEqual => {
            app.services.equal = !app.services.equal;
            rebuild(app);
        }
        Action::NextChange => step(app, true, Edge::is_change),
        Action::PreviousChange => step(app, false, Edge::is_change),
        Action::NextError => step(app, true, |edge| edge.mark == Mark::Failing),
        Action::PreviousError => step(app, false, |edge| edge.mark == Mark::Failing),
        Action::Left | Action::Right => walk(app, action == Action::Right),
        _ => return None,
    }
    Some(Vec::new())
}

/// The callee of the edge comes into the middle; if it is there, the caller.
fn recentre(app: &mut App) {
    let Some(edge) = app.services.edges.get(app.services.list.cursor) else { return };
    let next = if edge.callee == app.services.centre { &edge.caller } else { &edge.callee };
    app.services.centre = next.clone();
}

/// To the most changed caller or callee of the service in the middle.
fn walk(app: &mut App, to_callee: bool) {
    let around = Around::new(app);
    let next = if to_callee {
        around.callees.first().map(|edge| edge.callee.clone())
    } else {
        around.callers.first().map(|edge| edge.caller.clone())
    };
    match next {
        Some(service) => app.services.centre = service,
        None => app.message = Some(if to_callee { "it calls nobody" } else { "nobody calls it" }.to_owned()),
    }
}

/// The next edge that is meant, round the ends.
fn step(app: &mut App, forward: bool, is_meant: fn(&Edge) -> bool) {
    let (edges, cursor) = (&app.services.edges, app.services.list.cursor);
    let meant: Vec<usize> = (0..edges.len()).filter(|&at| edges.get(at).is_some_and(is_meant)).collect();
    let next = if forward {
        meant.iter().find(|&&at| at > cursor).or(meant.first())
    } else {
        meant.iter().rfind(|&&at| at < cursor).or(meant.last())
    };
    match next {
        Some(&at) => {
            app.services.list.cursor = at;
            moved(app);
        }
        None => app.message = Some("there is none".to_owned()),
    }
}

/// The cursor was moved: the node of all screens is the one of the edge that changed most.
pub fn moved(app: &mut App) {
    let Some(node) = app.services.edges.get(app.services.list.cursor).and_then(|edge| edge.node) else { return };
    app.node = node;
    if let Some(finding) = app.model.node(node).and_then(|node| node.finding) {
        app.finding = finding;
    }
}

/// The node was changed elsewhere: its service comes into the middle, the cursor to the edge that leads to it.
pub fn entered(app: &mut App) {
    follow(app);
}

fn follow(app: &mut App) {
    let Some(node) = app.model.node(app.node) else { return };
    let callee = node.operation.service.to_string();
    let mut above = app.model.parent(app.node);
    let caller = loop {
        let Some(parent) = above.and_then(|parent| app.model.node(parent)) else { break None };
        if *parent.operation.service != *callee {
            break Some(parent.operation.service.to_string());
        }
        above = above.and_then(|parent| app.model.parent(parent));
    };
    let is_meant = |edge: &Edge| edge.callee == callee && Some(&edge.caller) == caller.as_ref();
    if let Some(at) = app.services.edges.iter().position(is_meant) {
        app.services.list.cursor = at;
    }
    // What calls nobody says more from the side of its caller.
    let calls = app.services.all().iter().any(|edge| edge.caller == callee);
    app.services.centre = caller.filter(|_| !calls).unwrap_or(callee);
}

/// The service in the middle and its neighbours, most changed first.
struct Around<'a> {
    callers: Vec<&'a Edge>,
    callees: Vec<&'a Edge>,
}

impl<'a> Around<'a> {
    fn new(app: &'a App) -> Around<'a> {
        let centre = &app.services.centre;
        let sorted = |is_meant: &dyn Fn(&Edge) -> bool| {
            let mut edges: Vec<&Edge> = app.services.all().iter().filter(|edge| is_meant(edge)).collect();
            edges.sort_by_key(|edge| (!edge.is_change(), std::cmp::Reverse(edge.delta_ns().unsigned_abs())));
            edges
        };
        Around { callers: sorted(&|edge| edge.callee == *centre), callees: sorted(&|edge| edge.caller == *centre) }
    }

    fn rows(&self, room: usize) -> usize {
        self.callers.len().max(self.callees.len()).max(1).min(room.min(NEIGHBOURS))
    }
}

/// Rows of the upper part, its rule included; none where the table has the screen for itself.
fn upper_rows(app: &App) -> usize {
    let body = usize::from(layout::frame(app.size).body.height);
    if app.full_pane || body < 8 { 0 } else { Around::new(app).rows(body / 3) + 2 }
}

/// Rows of the list.
pub fn list_height(app: &App) -> usize {
    let body = usize::from(layout::frame(app.size).body.height);
    // The rule, the heading, and the line of what is folded.
    body.saturating_sub(upper_rows(app) + 3)
}

/// Draws both parts.
pub fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let upper = upper_rows(app) as u16;
    let area = canvas.area;
    if upper > 0 {
        draw_around(app, &mut canvas.part(Rect { height: upper, ..area }));
    }
    let lower = Rect { y: area.y.saturating_add(upper), height: area.height.saturating_sub(upper), ..area };
    draw_table(app, &mut canvas.part(lower));
}

fn totals(app: &App) -> String {
    let edges = app.services.all();
    let count = |mark: Mark| edges.iter().filter(|edge| edge.mark == mark).count();
    let mut text = format!(
        "{}, {}",
        units::counted(app.model.diff.services.node_count() as u64, "service", "services"),
        units::counted(edges.len() as u64, "edge", "edges")
    );
    for (mark, word) in [(Mark::Added, "new"), (Mark::Removed, "gone"), (Mark::Failing, "newly failing")] {
        if count(mark) > 0 {
            let _ = write!(text, "  {} {} {word}", mark.glyph(), count(mark));
        }
    }
    text
}

fn draw_around(app: &App, canvas: &mut Canvas<'_>) {
    canvas.rule(0, &format!("around {}", app.services.centre), &totals(app));
    let around = Around::new(app);
    let width = canvas.width();
    let rows = around.rows(canvas.height().saturating_sub(2));
    // A third for callers where there are some, and as much as its name needs for the middle.
    let left = if around.callers.is_empty() { 2 } else { (width * 3 / 10).min(44) };
    let centre = app.look.show(&app.services.centre).chars().count().clamp(6, width / 5) + 2;
    for row in 0..rows {
        let mut line = canvas.new_line();
        neighbour_left(app, &around.callers, row, rows, left, &mut line);
        line.until(left);
        if row == 0 {
            line.left(Token::Strong, &app.services.centre, centre.saturating_sub(1)).spaces(1);
        }
        line.until(left + centre);
        neighbour_right(app, &around.callees, row, rows, width, &mut line);
        canvas.line(row + 1, &line);
    }
}

/// How many neighbours a row stands for that has no room for all the others: none where all are seen.
const fn hidden(len: usize, row: usize, rows: usize) -> usize {
    if row + 1 == rows && len > rows { len - row } else { 0 }
}

fn neighbour_left(app: &App, callers: &[&Edge], row: usize, rows: usize, width: usize, line: &mut Line) {
    let more = hidden(callers.len(), row, rows);
    if more > 0 {
        line.add(Token::Dim, &format!(" ⋯ {more} more"));
        return;
    }
    let Some(edge) = callers.get(row) else { return };
    line.spaces(1).glyphs(Token::of(edge.mark), app.look.glyphs.mark(edge.mark)).spaces(1);
    let words = format!("{} {}", edge.calls_words(), change(edge));
    let room = width.saturating_sub(3 + words.chars().count() + 5);
    if room >= 8 {
        line.left(Token::Plain, &edge.caller, room).spaces(1).add(Token::Dim, &words);
    } else {
        line.left(Token::Plain, &edge.caller, width.saturating_sub(7));
    }
    line.spaces(1).glyphs(Token::of(edge.mark), stroke(app, edge)).spaces(1);
}

fn neighbour_right(app: &App, callees: &[&Edge], row: usize, rows: usize, width: usize, line: &mut Line) {
    let glyphs = &app.look.glyphs;
    let more = hidden(callees.len(), row, rows);
    if more > 0 {
        line.glyphs(Token::Dim, glyphs.last.to_string()).add(Token::Dim, &format!(" ⋯ {more} more"));
        return;
    }
    let Some(edge) = callees.get(row) else { return };
    let branch = if row + 1 == callees.len() { glyphs.last } else { glyphs.branch };
    line.glyphs(Token::Dim, branch.to_string()).glyphs(Token::of(edge.mark), stroke(app, edge)).spaces(1);
    line.glyphs(Token::of(edge.mark), glyphs.mark(edge.mark)).spaces(1);
    let rest = width.saturating_sub(line.width());
    let name = (rest / 3).clamp(8, 26);
    line.left(if edge.is_change() { Token::Plain } else { Token::Dim }, &edge.callee, name).spaces(1);
    line.left(Token::Plain, &edge.calls_words(), 10);
    line.right(Token::of(edge.mark), &change(edge), 9);
    let next: Vec<String> = app
        .services
        .all()
        .iter()
        .filter(|below| below.caller == edge.callee)
        .map(|below| format!("{} {}", app.look.glyphs.mark(below.mark), below.callee))
        .collect();
    let rest = width.saturating_sub(line.width() + 4);
    if !next.is_empty() && rest >= 10 {
        line.spaces(1).glyphs(Token::Dim, glyphs.closed.to_string()).spaces(1);
        line.left(Token::Dim, &next.join(", "), rest);
    }
}

/// An arrow: thick for a change, dotted for what is gone, thin for the rest.
fn stroke(app: &App, edge: &Edge) -> String {
    let glyphs = &app.look.glyphs;
    let stroke = match edge.mark {
        Mark::Equal => glyphs.off,
        Mark::Removed => glyphs.absent,
        _ => glyphs.critical,
    };
    format!("{stroke}{}", glyphs.closed)
}

/// The change of time in words; nothing where that is not known.
fn change(edge: &Edge) -> String {
    if edge.time_ns == Pair::new(0.0, 0.0) { "—".to_owned() } else { units::signed_duration(edge.delta_ns()) }
}

/// Columns of the table by width.
struct Columns {
    name: usize,
    times: bool,
    errors: bool,
    apart: bool,
}

/// Columns of calls, of a time on both sides, of a difference, of error rates.
const CALLS: usize = 11;
const TIMES: usize = 16;
const DELTA: usize = 10;
const ERRORS: usize = 13;

impl Columns {
    fn new(width: usize) -> Columns {
        let (times, errors) = (width >= 76, width >= 66);
        let taken = 3 + CALLS + DELTA + if times { TIMES } else { 0 } + if errors { ERRORS } else { 0 };
        Columns { name: width.saturating_sub(taken + 1), times, errors, apart: width >= 110 }
    }

    fn heading(&self, line: &mut Line) {
        line.spaces(3);
        self.names(("caller", "callee"), (Token::Dim, "▸"), line);
        line.right(Token::Dim, "calls", CALLS);
        if self.times {
            line.right(Token::Dim, "time A→B", TIMES);
        }
        line.right(Token::Dim, "Δ", DELTA);
        if self.errors {
            line.right(Token::Dim, "errors A→B", ERRORS);
        }
    }

    fn names(&self, (caller, callee): (&str, &str), (token, arrow): (Token, &str), line: &mut Line) {
        if self.apart {
            let half = self.name.saturating_sub(4) / 2;
            line.left(token, caller, half).add(Token::Dim, &format!(" {arrow} ")).left(token, callee, half);
            line.until(3 + self.name);
        } else {
            line.left(token, &format!("{caller} {arrow} {callee}"), self.name);
        }
    }

    fn edge(&self, app: &App, edge: &Edge, canvas: &Canvas<'_>) -> Line {
        let mut line = canvas.new_line();
        line.spaces(1).glyphs(Token::of(edge.mark), app.look.glyphs.mark(edge.mark)).spaces(1);
        let token = if edge.is_change() && !edge.inherited { Token::Plain } else { Token::Dim };
        self.names((&edge.caller, &edge.callee), (token, "▸"), &mut line);
        line.right(Token::Plain, &edge.calls_words(), CALLS);
        if self.times {
            line.right(Token::Plain, &times(edge), TIMES);
        }
        line.right(Token::of(by_sign(edge.delta_ns())), &change(edge), DELTA);
        if self.errors {
            line.right(if edge.mark == Mark::Failing { Token::Failing } else { Token::Plain }, &errors(edge), ERRORS);
        }
        line
    }
}

/// `84 ms→79 ms`, one side alone as a dash.
fn times(edge: &Edge) -> String {
    let side = |ns: f64, calls: f64| if calls > 0.0 { units::duration(ns as u64) } else { "—".to_owned() };
    format!("{}→{}", side(edge.time_ns.before, edge.calls.before), side(edge.time_ns.after, edge.calls.after))
}

fn errors(edge: &Edge) -> String {
    let side = |rate: Option<f64>| rate.map_or_else(|| "—".to_owned(), units::percent);
    let (before, after) = (side(edge.errors.before), side(edge.errors.after));
    if before == after { after } else { format!("{before}→{after}") }
}

fn draw_table(app: &App, canvas: &mut Canvas<'_>) {
    let state = &app.services;
    let title = format!("edges by {} (s)", state.sort.name());
    canvas.rule(0, &title, "Enter into the middle  / filter");
    let columns = Columns::new(canvas.width());
    let mut line = canvas.new_line();
    columns.heading(&mut line);
    canvas.line(1, &line);
    let height = canvas.height().saturating_sub(3);
    let mut row = 2;
    for (at, edge) in state.edges.iter().enumerate().skip(state.list.top).take(height) {
        let line = columns.edge(app, edge, canvas);
        canvas.line(row, &line);
        if at == state.list.cursor {
            canvas.highlight(row);
        }
        row += 1;
    }
    let mut line = canvas.new_line();
    if state.folded.0 > 0 {
        let edges = units::counted(state.folded.0 as u64, "edge", "edges");
        let words = format!("⋯ {edges} unchanged, each |Δ| ≤ {} (= shows)", units::duration(state.folded.1));
        line.spaces(1).add(Token::Dim, "= ").left(Token::Dim, &words, canvas.width().saturating_sub(4));
    } else if state.edges.is_empty() {
        let words = if app.filter.is_empty() {
            "no service calls another"
        } else {
            "nothing passes the filter: Esc removes it"
        };
        line.spaces(1).add(Token::Plain, words);
    }
    canvas.line(row, &line);
}

/// Where the cursor is.
pub fn status(app: &App) -> String {
    let state = &app.services;
    let at = if state.edges.is_empty() { 0 } else { state.list.cursor + 1 };
    let total = state.edges.len() + state.folded.0;
    let unit = if app.model.diff.mode == crate::diff::Mode::Pair {
        "sums over the trace"
    } else {
        "for one request, the mean"
    };
    let edge = state.edges.get(state.list.cursor).map_or_else(String::new, |edge| {
        let below = if edge.inherited { ": by what stands below" } else { "" };
        format!("   {} ▸ {}{below}", edge.caller, edge.callee)
    });
    format!("edge {at} of {total}{edge}   {unit}")
}

/// The edge under the cursor; as Markdown all that are listed.
pub fn copy(app: &App, markdown: bool) -> String {
    use crate::report::escape::{markdown_code, visible};
    let words = |edge: &Edge| {
        format!("calls {}, time {} ({}), errors {}", edge.calls_words(), times(edge), change(edge), errors(edge))
    };
    let state = &app.services;
    if markdown {
        let row = |edge: &Edge| {
            let names = markdown_code(&format!("{} ▸ {}", edge.caller, edge.callee), false);
            format!("- {} {names}: {}\n", edge.mark.glyph(), words(edge))
        };
        return state.edges.iter().take(50).map(row).collect();
    }
    state.edges.get(state.list.cursor).map_or_else(String::new, |edge| {
        format!("{} {} ▸ {}: {}", edge.mark.glyph(), visible(&edge.caller), visible(&edge.callee), words(edge))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::canvas::Look;
    use crate::tui::glyphs;
    use crate::tui::theme::Theme;
    use crate::tui::update::{Msg, update};

    const BEFORE: &str = "gate GET /a 100ms [server]\n  cart Load 40ms\n    db SELECT 30ms\n  mail Send 10ms";
    const AFTER: &str = "gate GET /a 200ms [server]\n  cart Load 140ms\n    db SELECT ×5 26ms\n  mail Send 10ms";

    fn app() -> App {
        let look = Look { theme: Theme::MONO, glyphs: glyphs::UNICODE };
        let mut app = App::new(look, (80, 24), Arc::new(Model::new(crate::diff::Diff::default())));
        update(&mut app, Msg::Model(Arc::new(edges::tests::model(BEFORE, AFTER))));
        update(&mut app, Msg::Run("services".to_owned()));
        app
    }

    fn run(app: &mut App, name: &str) {
        update(app, Msg::Run(name.to_owned()));
    }

    fn listed(app: &App) -> Vec<&str> {
        app.services.edges.iter().map(|edge| edge.callee.as_str()).collect()
    }

    #[test]
    fn what_is_equal_is_folded_with_its_bound_until_it_is_asked_for() {
        let mut app = app();
        assert_eq!((listed(&app), app.services.folded), (vec!["db", "cart"], (1, 0)));
        run(&mut app, "equal");
        assert_eq!((listed(&app), app.services.folded), (vec!["db", "cart", "mail"], (0, 0)));
    }

    #[test]
    fn the_middle_follows_the_edge_and_the_node_the_cursor() {
        let mut app = app();
        run(&mut app, "top");
        run(&mut app, "open");
        assert_eq!(app.services.centre, "db");
        run(&mut app, "open");
        assert_eq!(app.services.centre, "cart");
        run(&mut app, "next");
        let service = app.model.node(app.node).map(|node| node.operation.service.to_string());
        assert_eq!(service.as_deref(), Some("cart"));
        run(&mut app, "left");
        assert_eq!(app.services.centre, "gate");
    }

    #[test]
    fn an_edge_is_copied_as_a_line() {
        let app = app();
        let text = copy(&app, false);
        assert!(text.starts_with("▲ cart ▸ db: calls ×1→×5, time 30 ms→130 ms (+100 ms)"), "{text}");
        assert!(copy(&app, true).starts_with("- ▲ `cart ▸ db`: calls ×1→×5"));
    }
}
