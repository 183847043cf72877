//! What the screen of one node says, item by item: each takes one row or more.

use super::values::{self, Layout};
use super::{histogram, numbers, subject};
use crate::diff::{AttributeRow, AttributeScope, Bin, Change, EventRow, Finding, Mark, Mode, NodeDetail, TreeNode};
use crate::model::{Pair, Side, units};
use crate::report::page::mark_of;
use crate::report::{details, population_words};
use crate::tui::app::App;
use crate::tui::layout;
use crate::tui::theme::Token;
use std::borrow::Cow;

/// Findings that are told in full where several stand at one node.
const FINDINGS: usize = 5;
/// Equal attributes that are named while they are folded.
const NAMED: usize = 12;

/// A part of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Both sides in numbers.
    Summary,
    /// How durations are distributed.
    Durations,
    /// Attributes.
    Attributes,
    /// Events, exceptions, links.
    Events,
    /// What the finding says, and why.
    Evidence,
    /// Spans to open.
    Examples,
    /// What was written down.
    Note,
}

impl Section {
    /// The word in the last line.
    pub const fn name(self) -> &'static str {
        match self {
            Section::Summary => "summary",
            Section::Durations => "durations",
            Section::Attributes => "attributes",
            Section::Events => "events",
            Section::Evidence => "evidence",
            Section::Examples => "examples",
            Section::Note => "note",
        }
    }
}

/// What is shown.
#[derive(Clone, Debug)]
pub enum Item<'a> {
    /// A rule with words at both ends; begins a section.
    Head(Section, String, String),
    /// A label and a sentence, broken at spaces.
    Words(&'static str, String),
    /// Cells of equal width: the first is a label.
    Cells(Token, Vec<String>),
    /// The durations of a side, and what stands behind them.
    Bars(Side, &'a Pair<Vec<Bin>>, String),
    /// The axis below.
    Axis(&'a Pair<Vec<Bin>>),
    /// An attribute, and whether shares stand beside it.
    Attribute(Cow<'a, AttributeRow>, bool),
    /// The equal ones, folded.
    Equal(String),
}

/// All of it.
pub fn items(app: &App) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    let (node, finding) = subject(app);
    if let Some(node) = node {
        numbers::summary(app, node, finding, &mut items);
    }
    match app.detail.as_ref().filter(|(known, _)| node.is_some() && *known == app.node) {
        Some((_, detail)) => known(app, node, finding, detail, &mut items),
        None if node.is_some() => {
            items.push(Item::Head(Section::Attributes, "attributes".to_owned(), String::new()));
            items.push(Item::Words("", "…".to_owned()));
            evidence(app, finding, &mut items);
        }
        None => {
            evidence(app, finding, &mut items);
            attributes(app, finding, &[], &mut items);
        }
    }
    note(app, &mut items);
    items
}

fn known<'a>(
    app: &'a App,
    node: Option<&TreeNode>,
    finding: Option<&'a Finding>,
    detail: &'a NodeDetail,
    items: &mut Vec<Item<'a>>,
) {
    durations(node, finding, (detail, is_narrow(app.size.0.into())), items);
    attributes(app, finding, &detail.attributes, items);
    events(finding, detail, items);
    evidence(app, finding, items);
    examples(app, detail, items);
}

fn durations<'a>(
    node: Option<&TreeNode>,
    finding: Option<&Finding>,
    (detail, is_narrow): (&'a NodeDetail, bool),
    items: &mut Vec<Item<'a>>,
) {
    let durations = &detail.durations;
    if histogram::Axis::new(durations).is_none() {
        return;
    }
    items.push(Item::Head(Section::Durations, "durations of its spans".to_owned(), "log axis".to_owned()));
    for side in [Side::Before, Side::After] {
        let bins = durations.get(side);
        let spans = node.and_then(|node| *node.sides.get(side)).map_or(0, |side| side.spans);
        let tail = match quantile_words(finding, side, bins, is_narrow) {
            Some(words) if is_narrow => words,
            Some(words) => format!("{words}  n {}", units::count(spans)),
            None => "none".to_owned(),
        };
        items.push(Item::Bars(side, durations, tail));
    }
    items.push(Item::Axis(durations));
}

/// Median and tail: as the finding has them, else as the bins do.
fn quantile_words(finding: Option<&Finding>, side: Side, bins: &[Bin], is_narrow: bool) -> Option<String> {
    let show = |ns: i64| units::duration(ns.max(0).unsigned_abs());
    if let Some(known) = finding.and_then(|finding| *finding.duration_ns.get(side)) {
        let p99 = known.p99.filter(|_| !is_narrow).map_or_else(String::new, |p99| format!("  p99 {}", show(p99)));
        return Some(format!("p50 {}  p95 {}{p99}", show(known.p50), show(known.p95)));
    }
    let at = |share: f64| histogram::quantile(bins, share).map(units::duration);
    Some(format!("p50 {}  p95 {}", at(0.5)?, at(0.95)?))
}

/// What a finding says of an attribute, in the form of a node's.
fn of_finding(attribute: &crate::diff::AttributeChange) -> AttributeRow {
    AttributeRow {
        key: attribute.key.clone(),
        scope: AttributeScope::Span,
        change: Some(attribute.change),
        before: attribute.before.clone(),
        after: attribute.after.clone(),
        share: Pair::default(),
    }
}

fn attributes<'a>(app: &App, finding: Option<&'a Finding>, rows: &'a [AttributeRow], items: &mut Vec<Item<'a>>) {
    let named = finding.map_or(&[][..], |finding| finding.attributes.as_slice());
    let mut differing: Vec<Cow<'a, AttributeRow>> =
        rows.iter().filter(|row| row.change.is_some()).map(Cow::Borrowed).collect();
    if rows.is_empty() {
        differing = named.iter().map(|attribute| Cow::Owned(of_finding(attribute))).collect();
    }
    // What the finding names comes first: the others may be ids that differ every time.
    differing.sort_by_key(|row| !named.iter().any(|attribute| attribute.key == row.key));
    let count = |change| differing.iter().filter(|row| row.change == Some(change)).count();
    let equal: Vec<&AttributeRow> = rows.iter().filter(|row| row.change.is_none()).collect();
    let counts = [count(Change::Changed), count(Change::Added), count(Change::Removed), equal.len()];
    let title = attributes_title(counts, app.details.equal, layout::is_wide(app.size));
    items.push(Item::Head(Section::Attributes, title, "Enter: all of it".to_owned()));
    if differing.is_empty() && equal.is_empty() {
        items.push(Item::Words("", "none are known".to_owned()));
    }
    let has_shares = rows.iter().any(|row| values::shares(row).is_some());
    items.extend(differing.into_iter().map(|row| Item::Attribute(row, has_shares)));
    if app.details.equal {
        items.extend(equal.into_iter().map(|row| Item::Attribute(Cow::Borrowed(row), has_shares)));
    } else if !equal.is_empty() {
        let names: Vec<&str> = equal.iter().take(NAMED).map(|row| row.key.as_str()).collect();
        let more = if equal.len() > NAMED { ", …" } else { "" };
        items.push(Item::Equal(format!("⋯ {} equal: {}{more}", equal.len(), names.join(", "))));
    }
}

/// How many attributes differ in which way: in words where there is room, else by their marks.
fn attributes_title([changed, added, removed, equal]: [usize; 4], shows_equal: bool, is_wide: bool) -> String {
    let toggle = if shows_equal { "hides" } else { "shows" };
    if is_wide {
        format!("attributes: {changed} changed, {added} added, {removed} removed, {equal} equal (= {toggle})")
    } else {
        format!("attributes {changed} ~ {added} + {removed} - {equal} = (= {toggle})")
    }
}

fn event_words(event: &EventRow) -> String {
    let kind = event.exception_type.as_ref().map_or_else(String::new, |kind| format!(" {kind}"));
    let message = event.message.as_ref().map_or_else(String::new, |message| format!(": {message}"));
    let (before, after) = (units::count(event.count.before), units::count(event.count.after));
    format!("{}{kind} {before} → {after}{message}", event.name)
}

fn events(finding: Option<&Finding>, detail: &NodeDetail, items: &mut Vec<Item<'_>>) {
    let mut lines: Vec<String> = detail.events.iter().map(event_words).collect();
    if lines.is_empty() {
        lines = finding.map_or_else(Vec::new, |finding| finding.events.iter().map(details::event).collect());
    }
    let links = detail.links;
    if lines.is_empty() && links == Pair::default() {
        return;
    }
    let title = format!("events, links: {}", units::counted(lines.len() as u64, "kind of event", "kinds of events"));
    items.push(Item::Head(Section::Events, title, "A → B".to_owned()));
    items.extend(lines.into_iter().map(|line| Item::Words("event", line)));
    if links != Pair::default() {
        let words = format!("{} → {}", units::count(links.before), units::count(links.after));
        items.push(Item::Words("links", words));
    }
}

fn evidence(app: &App, finding: Option<&Finding>, items: &mut Vec<Item<'_>>) {
    let Some(first) = finding else { return };
    let others: Vec<&Finding> = app
        .model
        .findings_at(app.node)
        .filter_map(|at| app.model.finding(at))
        .filter(|other| subject(app).0.is_some() && !std::ptr::eq(*other, first))
        .collect();
    for finding in std::iter::once(first).chain(others.iter().copied()).take(FINDINGS) {
        let mark = app.look.glyphs.mark(mark_of(finding));
        let name = finding.kind.name().replace('_', " ");
        let title = format!("finding: {mark} {name}, contributes {}", units::signed_duration(finding.contribution_ns));
        items.push(Item::Head(Section::Evidence, title, finding.confidence.name().to_owned()));
        // The summary of a node says first what happened to it.
        if subject(app).0.is_none() || !std::ptr::eq(finding, first) {
            items.push(Item::Words("what", crate::tui::screens::findings::what(finding)));
        }
        one_evidence(finding, items);
    }
    let hidden = others.len().saturating_sub(FINDINGS - 1) as u64;
    if hidden > 0 {
        items.push(Item::Words("", format!("⋯ {} here", units::counted(hidden, "more finding", "more findings"))));
    }
}

fn one_evidence(finding: &Finding, items: &mut Vec<Item<'_>>) {
    let mut add = |label, text: String| items.push(Item::Words(label, text));
    for group in &finding.instances {
        add("which", population_words::instances(finding.kind, group));
        for shared in population_words::shared(group) {
            add("shared", shared);
        }
    }
    for because in &finding.because {
        add("because", because.clone());
    }
    for effect in &finding.effects {
        add("test", population_words::effect(effect));
    }
    for evidence in &finding.evidence {
        add("note", evidence.clone());
    }
    if let Some(from) = &finding.from_path {
        add("from", details::path(from));
    }
    add("spans", details::spans(finding));
    if let Some(since) = details::first_seen(finding) {
        add("since", since);
    }
    if let Some(accepted) = details::accepted(finding) {
        add("accepted", accepted);
    }
    add("id", finding.fingerprint.clone());
}

fn examples(app: &App, detail: &NodeDetail, items: &mut Vec<Item<'_>>) {
    let examples = &detail.examples;
    if examples.before.is_empty() && examples.after.is_empty() {
        return;
    }
    let is_pair = app.model.diff.mode == Mode::Pair;
    let hint = if is_pair { "y copies" } else { "o opens the first pair  O chooses" };
    items.push(Item::Head(
        Section::Examples,
        if is_pair { "spans" } else { "example traces" }.to_owned(),
        hint.to_owned(),
    ));
    for (side, list) in [("A", &examples.before), ("B", &examples.after)] {
        for example in list {
            let words = if is_pair { String::new() } else { format!("{} ", example.role) };
            let text = format!(
                "{words}{}  trace {}  span {}",
                units::duration(example.duration_ns),
                example.trace_id,
                example.span_id
            );
            items.push(Item::Words(side, text));
        }
    }
}

fn note(app: &App, items: &mut Vec<Item<'_>>) {
    let note = crate::tui::screens::notes::note_here(app);
    let right = if note.is_some_and(|note| note.bookmark) { "bookmarked" } else { "a writes, b bookmarks" };
    items.push(Item::Head(Section::Note, "note".to_owned(), right.to_owned()));
    let text = note.map_or("", |note| note.text.as_str());
    items.push(Item::Words("", if text.is_empty() { "none" } else { text }.to_owned()));
}

impl Item<'_> {
    /// Rows that it takes.
    pub fn rows(&self, app: &App, width: usize) -> usize {
        match self {
            Item::Words(_, text) => app.look.wrap(text, words_width(width)).len().max(1),
            Item::Attribute(row, has_shares) => Layout::new(width, *has_shares).rows(&app.look, row),
            _ => 1,
        }
    }

    /// The section that it begins.
    pub const fn section(&self) -> Option<Section> {
        if let Item::Head(section, ..) = self { Some(*section) } else { None }
    }

    /// It as text that a terminal need not obey.
    pub fn text(&self) -> String {
        let text = match self {
            Item::Head(_, left, _) => left.clone(),
            Item::Words("", text) | Item::Equal(text) => text.clone(),
            Item::Words(label, text) => format!("{label}: {text}"),
            Item::Cells(_, cells) => {
                cells.iter().filter(|cell| !cell.is_empty()).map(String::as_str).collect::<Vec<_>>().join("  ")
            }
            Item::Bars(side, _, tail) => format!("{}  {tail}", side_letter(*side)),
            Item::Axis(_) => String::new(),
            Item::Attribute(row, _) => values::text(row),
        };
        crate::report::escape::visible(&text).into_owned()
    }

    /// It as Markdown that mentions nobody.
    pub fn markdown(&self) -> String {
        match self {
            Item::Attribute(row, _) => values::markdown(row),
            Item::Words("", text) => crate::report::escape::markdown(text),
            Item::Words(label, text) => format!("{label}: {}", crate::report::escape::markdown(text)),
            _ => crate::report::escape::markdown(&self.text()),
        }
    }

    /// All of a value with its heading, for what may not have room.
    pub fn full(&self) -> Option<(String, String)> {
        match self {
            Item::Attribute(row, _) => Some((row.key.clone(), values::full(row))),
            Item::Words(label, text) if !text.is_empty() => Some(((*label).to_owned(), text.clone())),
            _ => None,
        }
    }
}

/// Columns of the sentence behind a label.
pub const fn words_width(width: usize) -> usize {
    width.saturating_sub(LABEL + 2)
}

/// Columns of labels.
pub const LABEL: usize = 9;

/// The letter of a side.
pub const fn side_letter(side: Side) -> &'static str {
    match side {
        Side::Before => "A",
        Side::After => "B",
    }
}

/// The mark of what is shown: the node's, or the finding's where there is none.
pub fn mark(node: Option<&TreeNode>, finding: Option<&Finding>) -> Mark {
    node.map(|node| node.mark).or_else(|| finding.map(mark_of)).unwrap_or(Mark::Equal)
}

/// Whether histograms have room for the most important quantiles only.
pub const fn is_narrow(width: usize) -> bool {
    width < 72
}
