//! The first lines: how much changed in all, and what stands against the comparison.

use crate::diff::{Confidence, Diff, EntryPoint, Mark, Mode, Quantiles};
use crate::model::{Side, units};
use crate::report::page::by_sign;
use crate::report::text::{entry_change, place};
use crate::tui::app::{App, Basis};
use crate::tui::canvas::Line;
use crate::tui::theme::Token;
use unicode_width::UnicodeWidthStr;

/// The first lines: what changed in all, how comparable the sides are.
pub fn answer(app: &App, width: usize) -> Vec<Line> {
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
        let more = units::counted(hidden as u64, "more entry point", "more entry points");
        totals.add(Token::Dim, &format!(" ⋯ {more}  "));
    }
    totals.add(Token::Plain, &format!(" {}", crate::report::text::totals(diff)));
    if let Some(instances) = diff.coverage.instances {
        let (paths, instances) = (units::percent(diff.coverage.paths), units::percent(instances));
        let seen = format!("   seen again: {paths} of call paths, {instances} of instances");
        if totals.width() + seen.len() <= width {
            totals.add(Token::Dim, &seen);
        }
    }
    lines.push(totals);
    lines.push(watch(app, width));
    lines
}

fn entry_line(app: &App, entry: &EntryPoint, only_one: bool, width: usize) -> Line {
    let mut line = Line::new(&app.look);
    let (times, mark, change) = match basis_change(app, entry) {
        Some(changed) => changed,
        None => entry_change(entry),
    };
    let basis = if app.model.diff.mode == Mode::Pair { String::new() } else { format!("{} ", app.basis.name()) };
    let mut rest = Line::new(&app.look);
    rest.add(Token::Plain, &format!("{basis}{times}  ")).glyphs(Token::of(mark), app.look.glyphs.mark(mark)).spaces(1);
    rest.add(Token::Strong, &change);
    let errors = errors(entry);
    if !errors.is_empty() {
        rest.spaces(2).add(Token::Failing, "!").add(Token::Plain, &errors);
    }
    let has_name = !only_one || app.model.diff.mode == Mode::Pair;
    if has_name {
        let room = width.saturating_sub(rest.width() + 4);
        let whole = place(&entry.operation);
        let name = if whole.width() <= room { whole } else { entry.operation.name.to_string() };
        line.spaces(1).glyphs(Token::Strong, app.look.shorten(&app.look.show(&name), room.max(8)));
    }
    line.spaces(if has_name { 2 } else { 1 }).append(&rest);
    if !has_name {
        quantiles(app, entry, width, &mut line);
    }
    line
}

/// The other quantiles of the only entry point, as far as there is room.
fn quantiles(app: &App, entry: &EntryPoint, width: usize, line: &mut Line) {
    for basis in [Basis::P95, Basis::P99] {
        let get = quantile(basis);
        let (Some(before), Some(after)) =
            (entry.duration_ns.before.and_then(get), entry.duration_ns.after.and_then(get))
        else {
            continue;
        };
        let (mark, change) = (by_sign(after - before), units::signed_duration(after - before));
        if line.width() + change.len() + 10 < width {
            line.add(Token::Plain, &format!("   {} ", basis.name()))
                .glyphs(Token::of(mark), app.look.glyphs.mark(mark));
            line.add(Token::Plain, &format!(" {change}"));
        }
    }
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
fn watch(app: &App, width: usize) -> Line {
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
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more: 7)", rest.len()) };
            line.add(Token::Strong, word);
            let room = width.saturating_sub(line.width() + more.len());
            line.cut(Token::Plain, first, room).add(Token::Dim, &more);
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
