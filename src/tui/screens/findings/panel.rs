//! The panel: all that matters of the finding under the cursor, in a few lines.

use crate::diff::{Finding, Mode};
use crate::model::{Pair, Side, units};
use crate::report::details;
use crate::report::page::mark_of;
use crate::report::text::place;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::screens::detail::histogram::{Axis, quantile};
use crate::tui::theme::Token;

/// What happened, in one sentence.
pub fn what(finding: &Finding) -> String {
    let times = details::times(finding);
    if times.is_empty() { finding.title.clone() } else { format!("{}; {times}", finding.title) }
}

/// The lines of the panel: a label and words.
pub fn lines(app: &App, finding: &Finding) -> Vec<(&'static str, String)> {
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

pub fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let shown = app.findings.order.get(app.findings.list.cursor).and_then(|&finding| app.model.finding(finding));
    let Some(finding) = shown else {
        canvas.rule(0, "", "");
        return;
    };
    let name = finding.operation().map_or_else(|| "everything".to_owned(), place);
    let mark = app.look.glyphs.mark(mark_of(finding));
    canvas.rule(0, &format!("{} {mark} {name}", app.finding + 1), "Enter all of it  l tree  a note");
    let width = canvas.width().saturating_sub(8);
    let mut row = 1 + durations(app, canvas);
    for (label, text) in lines(app, finding) {
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

/// Both sides' durations over one axis in the first rows, where it is known how they are distributed; how many rows.
fn durations(app: &App, canvas: &mut Canvas<'_>) -> usize {
    let known = app.detail.as_ref().filter(|(node, _)| *node == app.node);
    let Some((durations, axis)) =
        known.and_then(|(_, detail)| Some((&detail.durations, Axis::new(&detail.durations)?)))
    else {
        return 0;
    };
    // A low panel has no room for a picture.
    if canvas.height() < 10 {
        return 0;
    }
    let columns = canvas.width().saturating_sub(40).min(60);
    for (row, (letter, bins)) in [("A", &durations.before), ("B", &durations.after)].into_iter().enumerate() {
        let shares = axis.columns(bins, columns);
        let tallest = shares.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let heights: Vec<f64> = shares.iter().map(|share| share / tallest).collect();
        let at = |share: f64| quantile(bins, share).map_or_else(|| "—".to_owned(), units::duration);
        let mut line = canvas.new_line();
        line.spaces(1).left(Token::Dim, letter, 6).glyphs(Token::Plain, app.look.glyphs.sparkline(&heights));
        line.add(Token::Plain, &format!("  p50 {}  p95 {}", at(0.5), at(0.95)));
        canvas.line(row + 1, &line);
    }
    let mut line = canvas.new_line();
    line.spaces(7).add(Token::Dim, &axis.labels(columns));
    canvas.line(3, &line);
    3
}
