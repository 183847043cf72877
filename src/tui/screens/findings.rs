//! The first screen: how much, what makes it up, how sure.

use crate::diff::{Confidence, Diff, EntryPoint, Finding, Mark, Mode, Quantiles};
use crate::model::{Pair, Side, units};
use crate::report::details;
use crate::report::page::{by_sign, mark_of};
use crate::report::text::{entry_change, place};
use crate::tui::action::Action;
use crate::tui::app::{App, Basis, List};
use crate::tui::canvas::{Canvas, Line};
use crate::tui::layout;
use crate::tui::theme::Token;
use crate::tui::update::Effect;
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
            order.sort_by_cached_key(|finding| of(finding).and_then(|finding| finding.operation().map(place)))
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
        Action::NextChange => return step(app, 1, |_| true),
        Action::PreviousChange => return step(app, -1, |_| true),
        Action::NextError => return step(app, 1, |finding| mark_of(finding) == Mark::Failing),
        Action::PreviousError => return step(app, -1, |finding| mark_of(finding) == Mark::Failing),
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
fn step(app: &mut App, by: isize, is_meant: impl Fn(&Finding) -> bool) -> Option<Vec<Effect>> {
    let len = app.findings.order.len();
    let mut at = app.findings.list.cursor;
    for _ in 0..len {
        at = (at + len).saturating_add_signed(by) % len;
        let finding = app.findings.order.get(at).and_then(|&finding| app.model.finding(finding));
        if finding.is_some_and(&is_meant) {
            app.findings.list.cursor = at;
            moved(app);
            return Some(Vec::new());
        }
    }
    app.message = Some("there is none".to_owned());
    Some(Vec::new())
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
    frame.body.y + answer(app, usize::from(frame.body.width)).len() as u16 + 2
}

/// Rows of the list.
pub fn list_height(app: &App) -> usize {
    let (list, _) = layout::split(app);
    let above = answer(app, usize::from(list.width)).len() + 2;
    // The last row says what the rest comes to.
    usize::from(list.height).saturating_sub(above + 1)
}

/// Draws answer, list and panel.
pub fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let (list, panel) = layout::split(app);
    let mut upper = canvas.part(list);
    let answer = answer(app, upper.width());
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
        draw_panel(app, &mut canvas.part(panel));
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
    let unexplained = others.and_then(|entry| entry.attribution.iter().find(|row| row.finding.is_none()));
    let together = unexplained
        .map_or_else(String::new, |row| format!(", together {}", units::signed_duration(row.contribution_ns)));
    format!(
        "{text}⋯ {} unchanged, each |Δ| ≤ {}{together}",
        units::counted(diff.summary.unchanged_operations, "operation", "operations"),
        units::duration(diff.summary.unchanged_bound_ns)
    )
}

struct Columns {
    name: usize,
    what: usize,
    confidence: bool,
    calls: bool,
}

impl Columns {
    /// Names get what they need, but leave most of the room to what happened.
    fn new(app: &App, width: usize) -> Columns {
        let (confidence, calls) = (width >= 76, width >= 100);
        let fixed = 7 + 11 + 8 + if confidence { 9 } else { 0 } + if calls { 11 } else { 0 };
        let room = width.saturating_sub(fixed);
        let seen = app.findings.order.iter().skip(app.findings.list.top).take(usize::from(app.size.1));
        let names = seen.filter_map(|&finding| app.model.finding(finding)?.operation());
        let longest = names.map(|name| name.service.width() + name.name.width() + 4).max().unwrap_or(0);
        let name = longest.clamp(14.min(room), room * 11 / 20);
        Columns { name, what: room - name, confidence, calls }
    }

    fn heading(&self, canvas: &Canvas<'_>) -> Line {
        let mut line = canvas.new_line();
        line.add(Token::Dim, "   #   ").left(Token::Dim, "where", self.name).left(Token::Dim, "what", self.what);
        if self.calls {
            line.right(Token::Dim, "calls", 11);
        }
        line.right(Token::Dim, "Δ", 11).right(Token::Dim, "share", 8);
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
        let title =
            if finding.accepted.is_some() { format!("accepted: {}", finding.title) } else { finding.title.clone() };
        line.left(Token::Plain, &title, self.what.saturating_sub(1)).spaces(1);
        if self.calls {
            let calls = finding.calls_per_trace;
            line.right(Token::Plain, &units::calls(calls.before, calls.after), 11);
        }
        let delta = finding.contribution_ns;
        line.right(Token::of(by_sign(delta)), &units::signed_duration(delta), 11);
        let share = finding.share.filter(|share| share.abs() <= 10.0);
        line.right(Token::Plain, &share.map_or_else(|| "—".to_owned(), units::signed_percent), 8);
        if self.confidence {
            line.right(Token::Dim, finding.confidence.name(), 9);
        }
        line
    }
}

/// The first lines: what changed in all, how comparable the sides are.
fn answer(app: &App, width: usize) -> Vec<Line> {
    let diff = &app.model.diff;
    let room = match app.size.1 {
        0..24 => 1,
        24..30 => 2,
        _ => 4,
    };
    let mut lines = Vec::new();
    let mut entries: Vec<&EntryPoint> = diff.entry_points.iter().collect();
    // What changed most comes first where not all have room.
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.delta_ns.map_or(0, i64::unsigned_abs)));
    let only_one = diff.entry_points.len() == 1;
    for entry in entries.iter().take(room) {
        lines.push(entry_line(app, entry, only_one, width));
    }
    let hidden = diff.entry_points.len().saturating_sub(room);
    let mut totals = Line::new(&app.look);
    if hidden > 0 {
        totals
            .add(Token::Dim, &format!(" ⋯ {}", units::counted(hidden as u64, "more entry point", "more entry points")));
    }
    totals.add(
        Token::Plain,
        &format!("  {}", crate::report::text::totals(diff)).split_at(usize::from(hidden == 0)).1.to_owned(),
    );
    if let Some(instances) = diff.coverage.instances {
        totals.add(
            Token::Dim,
            &format!(
                "   seen again: {} of call paths, {} of instances",
                units::percent(diff.coverage.paths),
                units::percent(instances)
            ),
        );
    }
    lines.push(totals);
    lines.push(watch(app));
    lines
}

fn entry_line(app: &App, entry: &EntryPoint, only_one: bool, width: usize) -> Line {
    let mut line = Line::new(&app.look);
    let (times, mark, change) = match basis_change(app, entry) {
        Some(changed) => changed,
        None => entry_change(entry),
    };
    line.spaces(1);
    let basis = if app.model.diff.mode == Mode::Pair { String::new() } else { format!("{} ", app.basis.name()) };
    let errors = errors(entry);
    let tail = format!("{basis}{times}  ");
    let used = tail.chars().count() + change.chars().count() + errors.chars().count() + 6;
    let name = if only_one && app.model.diff.mode == Mode::Population {
        String::new()
    } else {
        app.look.shorten(&app.look.show(&place(&entry.operation)), width.saturating_sub(used).max(12))
    };
    if !name.is_empty() {
        line.glyphs(Token::Strong, name).spaces(2);
    }
    line.add(Token::Plain, &tail).glyphs(Token::of(mark), app.look.glyphs.mark(mark)).spaces(1);
    line.add(Token::Strong, &change);
    line.add(Token::Failing, if errors.is_empty() { "" } else { " !" }).add(Token::Plain, &errors);
    if only_one && app.model.diff.mode == Mode::Population {
        for (basis, get) in [("p95", quantile(Basis::P95)), ("p99", quantile(Basis::P99))] {
            if let (Some(before), Some(after)) =
                (entry.duration_ns.before.and_then(get), entry.duration_ns.after.and_then(get))
            {
                let delta = after - before;
                let text = format!("   {basis} ");
                if line.width() + text.len() + 14 < width {
                    line.add(Token::Plain, &text)
                        .glyphs(Token::of(by_sign(delta)), app.look.glyphs.mark(by_sign(delta)));
                    line.add(Token::Plain, &format!(" {}", units::signed_duration(delta)));
                }
            }
        }
    }
    line
}

fn quantile(basis: Basis) -> fn(Quantiles) -> Option<i64> {
    match basis {
        Basis::Mean => |quantiles| Some(quantiles.mean),
        Basis::P50 => |quantiles| Some(quantiles.p50),
        Basis::P95 => |quantiles| Some(quantiles.p95),
        Basis::P99 => |quantiles| quantiles.p99,
    }
}

/// The change of an entry point on another basis than the mean.
fn basis_change(app: &App, entry: &EntryPoint) -> Option<(String, Mark, String)> {
    if app.basis == Basis::Mean {
        return None;
    }
    let get = quantile(app.basis);
    let (before, after) = (entry.duration_ns.before.and_then(get)?, entry.duration_ns.after.and_then(get)?);
    let show = |ns: i64| units::duration(ns.max(0).unsigned_abs());
    let delta = after - before;
    let share = units::relative(delta, before).map_or_else(String::new, |share| format!(" ({share})"));
    Some((
        format!("{} → {}", show(before), show(after)),
        by_sign(delta),
        format!("{}{share}", units::signed_duration(delta)),
    ))
}

fn errors(entry: &EntryPoint) -> String {
    let rate = |side: Side| entry.error_rate.get(side).unwrap_or(0.0);
    let (before, after) = (rate(Side::Before), rate(Side::After));
    if before <= 0.0 && after <= 0.0 {
        return String::new();
    }
    format!(" errors {} → {}", units::rate(before), units::rate(after))
}

/// What stands against the comparison comes before everything else.
fn watch(app: &App) -> Line {
    let diff = &app.model.diff;
    let mut line = Line::new(&app.look);
    line.spaces(1);
    let reasons: Vec<&str> = diff
        .comparable
        .reasons
        .iter()
        .filter(|note| note.code != "one_trace_each")
        .map(|note| note.message.as_str())
        .collect();
    match reasons.split_first() {
        Some((first, rest)) => {
            let word = if diff.comparable.ok { "mind: " } else { "not comparable: " };
            line.add(Token::Strong, word).add(Token::Plain, first);
            if !rest.is_empty() {
                line.add(Token::Dim, &format!(" (and {} more: 7)", rest.len()));
            }
        }
        None if diff.findings.is_empty() => {
            line.add(Token::Strong, &nothing(diff));
        }
        None if diff.mode == Mode::Pair => {
            line.add(Token::Dim, crate::report::text::ONE_TRACE_EACH);
        }
        None => {
            line.add(Token::Dim, &summary(diff));
        }
    }
    line
}

fn nothing(diff: &Diff) -> String {
    if diff.mode == Mode::Pair {
        crate::report::text::nothing_found(diff)
    } else {
        "no difference beyond chance and drift".to_owned()
    }
}

/// How much of the change the first findings make up.
fn summary(diff: &Diff) -> String {
    let certain = diff.findings.iter().filter(|finding| finding.confidence == Confidence::Certain).count();
    let weak = diff.findings.iter().filter(|finding| finding.confidence == Confidence::Weak).count();
    format!("{certain} of {} certain, {weak} weak", units::counted(diff.findings.len() as u64, "finding", "findings"))
}

/// What happened, in one sentence.
pub fn what(finding: &Finding) -> String {
    let times = details::times(finding);
    if times.is_empty() { finding.title.clone() } else { format!("{}; {times}", finding.title) }
}

/// The lines of the panel: a label and words.
fn panel(app: &App, finding: &Finding) -> Vec<(&'static str, String)> {
    let mut lines = vec![("What", what(finding))];
    for group in &finding.instances {
        lines.push(("Which", crate::report::population_words::instances(finding.kind, group)));
    }
    for because in &finding.because {
        lines.push(("Why", because.clone()));
    }
    lines.push(("Where", details::path(&finding.path)));
    for attribute in finding.attributes.iter().take(2) {
        lines.push(("Attr", details::attribute(attribute)));
    }
    lines.push(("Spans", details::spans(finding)));
    for effect in &finding.effects {
        lines.push(("Sure", crate::report::population_words::effect(effect)));
    }
    for evidence in &finding.evidence {
        lines.push(("Note", evidence.clone()));
    }
    if let Some(first) = details::first_seen(finding) {
        lines.push(("Since", first));
    }
    if let Some(accepted) = details::accepted(finding) {
        lines.push(("OK'd", accepted));
    }
    let example = |side: Side| finding.exemplars.get(side).first().map(|(trace, _)| trace.to_string());
    let examples = Pair::new(example(Side::Before), example(Side::After));
    if app.model.diff.mode == Mode::Population && (examples.before.is_some() || examples.after.is_some()) {
        let word = |side: Option<String>| side.unwrap_or_else(|| "—".to_owned());
        lines.push(("Trace", format!("A {}   B {}", word(examples.before), word(examples.after))));
    }
    lines
}

fn draw_panel(app: &App, canvas: &mut Canvas<'_>) {
    let shown = app.findings.order.get(app.findings.list.cursor).and_then(|&finding| app.model.finding(finding));
    let Some(finding) = shown else {
        canvas.rule(0, "", "");
        return;
    };
    let name = finding.operation().map_or_else(|| "everything".to_owned(), place);
    let mark = app.look.glyphs.mark(mark_of(finding));
    canvas.rule(0, &format!("{} {mark} {name}", app.finding + 1), "Enter all of it  l tree  a note");
    let width = canvas.width().saturating_sub(8);
    let mut row = 1;
    for (label, text) in panel(app, finding) {
        for (index, part) in app.look.wrap(&text, width).into_iter().enumerate() {
            if row >= canvas.height() {
                return;
            }
            let mut line = canvas.new_line();
            line.spaces(1).left(Token::Dim, if index == 0 { label } else { "" }, 6).glyphs(Token::Plain, part);
            canvas.line(row, &line);
            row += 1;
        }
    }
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
    let lines = panel(app, finding);
    let mut text = String::new();
    if markdown {
        use crate::report::escape::{markdown, markdown_code};
        text.push_str(&format!("**{} {}**: {}\n", mark.glyph(), markdown_code(&name, false), markdown(&finding.title)));
        for (label, words) in lines.iter().skip(1) {
            text.push_str(&format!("- {label}: {}\n", markdown(words)));
        }
    } else {
        use crate::report::escape::visible;
        text.push_str(&format!("{} {}: {}\n", mark.glyph(), visible(&name), visible(&finding.title)));
        for (label, words) in lines.iter().skip(1) {
            text.push_str(&format!("  {label}: {}\n", visible(words)));
        }
    }
    text
}
