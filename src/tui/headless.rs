//! Every screen without a terminal, by the same code: text, text with escape codes, a picture, data.

use super::app::App;
use super::{screens, view};
use crate::diff::Mark;
use ratatui_core::buffer::{Buffer, Cell};
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier};
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr;

/// A screen as cells.
pub fn buffer(app: &App) -> Buffer {
    let mut buffer = Buffer::empty(Rect { x: 0, y: 0, width: app.size.0, height: app.size.1 });
    view::draw(app, &mut buffer);
    buffer
}

/// Neighbouring cells of one look.
struct Run<'a> {
    column: u16,
    text: String,
    look: &'a Cell,
}

impl Run<'_> {
    fn is_blank(&self) -> bool {
        self.text.trim().is_empty() && !self.look.modifier.contains(Modifier::REVERSED)
    }
}

/// The runs of one row, from left to right.
fn runs(buffer: &Buffer, y: u16) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    let mut hidden = 0;
    for x in 0..buffer.area.width {
        let Some(cell) = buffer.cell((x, y)) else { continue };
        // A wide character covers the next cell too.
        if hidden > 0 {
            hidden -= 1;
            continue;
        }
        hidden = cell.symbol().width().saturating_sub(1);
        let same =
            |run: &&mut Run<'_>| (run.look.fg, run.look.bg, run.look.modifier) == (cell.fg, cell.bg, cell.modifier);
        match runs.last_mut().filter(same) {
            Some(run) => run.text.push_str(cell.symbol()),
            None => runs.push(Run { column: x, text: cell.symbol().to_owned(), look: cell }),
        }
    }
    runs
}

/// A screen as text: lines without blanks at their ends.
pub fn text(app: &App) -> String {
    let buffer = buffer(app);
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let line: String = runs(&buffer, y).into_iter().map(|run| run.text).collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A screen as text with escape codes for colour and weight.
pub fn ansi(app: &App) -> String {
    let buffer = buffer(app);
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut runs = runs(&buffer, y);
        while runs.last().is_some_and(Run::is_blank) {
            runs.pop();
        }
        for run in runs {
            let codes = codes(run.look);
            if codes.is_empty() {
                out.push_str(&run.text);
            } else {
                let _ = write!(out, "\x1b[{codes}m{}\x1b[0m", run.text);
            }
        }
        out.push('\n');
    }
    out
}

/// The parameters of an SGR sequence; nothing for plain text.
fn codes(cell: &Cell) -> String {
    let mut codes: Vec<String> = Vec::new();
    for (modifier, code) in [
        (Modifier::BOLD, "1"),
        (Modifier::DIM, "2"),
        (Modifier::ITALIC, "3"),
        (Modifier::UNDERLINED, "4"),
        (Modifier::REVERSED, "7"),
    ] {
        if cell.modifier.contains(modifier) {
            codes.push(code.to_owned());
        }
    }
    match cell.fg {
        Color::Rgb(red, green, blue) => codes.push(format!("38;2;{red};{green};{blue}")),
        Color::Indexed(index) => codes.push(format!("38;5;{index}")),
        Color::Red => codes.push("31".into()),
        Color::Green => codes.push("32".into()),
        Color::Yellow => codes.push("33".into()),
        Color::Magenta => codes.push("35".into()),
        Color::Cyan => codes.push("36".into()),
        _ => {}
    }
    codes.join(";")
}

/// Width and height of a cell of a picture, in its units, and how far above its lower edge text stands.
const CELL: (f64, f64, f64) = (8.4, 17.0, 4.5);
/// Space around the screen.
const MARGIN: f64 = 10.0;
/// The picture's own paper and ink: pictures have no terminal to ask.
const PAPER: &str = "#14171c";
const INK: &str = "#d8dee9";

/// A screen as a picture: text stays text, blocks and rules are drawn so that no font leaves seams.
pub fn svg(app: &App) -> String {
    let buffer = buffer(app);
    let (width, height) =
        (f64::from(buffer.area.width) * CELL.0 + 2.0 * MARGIN, f64::from(buffer.area.height) * CELL.1 + 2.0 * MARGIN);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} \
         {height:.0}\">\n<rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{PAPER}\"/>\n<g font-family=\"ui-monospace, \
         'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\" shape-rendering=\"crispEdges\" fill=\"{INK}\" xml:space=\"preserve\">\n"
    );
    for y in 0..buffer.area.height {
        for run in runs(&buffer, y) {
            picture_run(&run, y, &mut out);
        }
    }
    out.push_str("</g>\n</svg>\n");
    out
}

fn picture_run(run: &Run<'_>, row: u16, out: &mut String) {
    if run.is_blank() {
        return;
    }
    let ink = ink(run.look.fg);
    let (left, top) = (MARGIN + f64::from(run.column) * CELL.0, MARGIN + f64::from(row) * CELL.1);
    let reversed = run.look.modifier.contains(Modifier::REVERSED);
    if reversed {
        let width = run.text.width() as f64 * CELL.0;
        let _ = writeln!(
            out,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{ink}\"/>",
            CELL.1
        );
    }
    let color = if reversed { PAPER } else { &ink };
    let mut column = 0;
    let mut words = String::new();
    for c in run.text.chars() {
        let x = left + column as f64 * CELL.0;
        if let Some((from, to, tall)) = block(c) {
            // Parts of a cell as shares of it: left to right, and its height from below.
            let (width, y) = ((to - from) * CELL.0, top + CELL.1 * (1.0 - tall.1));
            let _ = writeln!(
                out,
                "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{color}\"{}/>",
                x + from * CELL.0,
                CELL.1 * (tall.1 - tall.0),
                opacity(run.look.modifier)
            );
            words.push(' ');
        } else {
            words.push(c);
        }
        column += c.to_string().width();
    }
    let shown = words.trim_end();
    let start = shown.len() - shown.trim_start().len();
    let (blank, shown) = shown.split_at(start);
    if shown.is_empty() {
        return;
    }
    let x = left + blank.width() as f64 * CELL.0;
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{:.1}\" fill=\"{color}\"{}{}>{}</text>",
        top + CELL.1 - CELL.2,
        shown.width() as f64 * CELL.0,
        weight(run.look.modifier),
        opacity(run.look.modifier),
        xml(shown)
    );
}

/// Blocks and lines as parts of a cell: from left to right, from below to above, as shares of the cell.
fn block(c: char) -> Option<(f64, f64, (f64, f64))> {
    let eighths = |first: char| f64::from(c as u32 - first as u32 + 1) / 8.0;
    Some(match c {
        '▁'..='█' => (0.0, 1.0, (0.0, eighths('▁'))),
        '▉'..='▏' => (0.0, f64::from('▏' as u32 - c as u32 + 1) / 8.0, (0.0, 1.0)),
        '─' => (0.0, 1.0, (0.47, 0.53)),
        '━' => (0.0, 1.0, (0.43, 0.57)),
        '│' => (0.46, 0.54, (0.0, 1.0)),
        _ => return None,
    })
}

fn ink(color: Color) -> String {
    match color {
        Color::Rgb(red, green, blue) => format!("#{red:02x}{green:02x}{blue:02x}"),
        _ => INK.to_owned(),
    }
}

fn weight(modifier: Modifier) -> String {
    let mut text = String::new();
    if modifier.contains(Modifier::BOLD) {
        text.push_str(" font-weight=\"bold\"");
    }
    if modifier.contains(Modifier::ITALIC) {
        text.push_str(" font-style=\"italic\"");
    }
    if modifier.contains(Modifier::UNDERLINED) {
        text.push_str(" text-decoration=\"underline\"");
    }
    text
}

fn opacity(modifier: Modifier) -> &'static str {
    if modifier.contains(Modifier::DIM) { " opacity=\"0.6\"" } else { "" }
}

fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            ' ' => out.push('\u{a0}'),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// A screen as data: where the cursor is and what the lines say.
pub fn json(app: &App) -> serde_json::Value {
    let node = app.model.node(app.node);
    let finding = app.model.finding(app.finding);
    serde_json::json!({
        "schema": "spandiff.screen/v1",
        "screen": app.screen.name(),
        "size": [app.size.0, app.size.1],
        "mode": if app.model.diff.mode == crate::diff::Mode::Pair { "pair" } else { "population" },
        "swapped": app.swapped,
        "filter": app.filter.text,
        "status": screens::status(app),
        "cursor": {
            "finding": finding.map(|finding| finding.fingerprint.clone()),
            "node": node.map(|node| serde_json::json!({
                "service": node.operation.service.as_ref(),
                "name": node.operation.name.as_ref(),
                "mark": mark_name(node.mark),
            })),
        },
        "lines": text(app).lines().collect::<Vec<_>>(),
    })
}

const fn mark_name(mark: Mark) -> &'static str {
    match mark {
        Mark::Worse => "worse",
        Mark::Better => "better",
        Mark::Added => "added",
        Mark::Removed => "removed",
        Mark::Failing => "failing",
        Mark::Recovered => "recovered",
        Mark::Changed => "changed",
        Mark::Similar => "similar",
        Mark::Equal => "equal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_parts_of_their_cell() {
        assert_eq!(block('█'), Some((0.0, 1.0, (0.0, 1.0))));
        assert_eq!(block('▄'), Some((0.0, 1.0, (0.0, 0.5))));
        assert_eq!(block('▌'), Some((0.0, 0.5, (0.0, 1.0))));
        assert_eq!(block('▏'), Some((0.0, 0.125, (0.0, 1.0))));
        assert_eq!(block('x'), None);
    }

    #[test]
    fn text_cannot_leave_its_element() {
        assert_eq!(xml("</text><script>&\u{1b}"), "&lt;/text&gt;&lt;script&gt;&amp;");
    }
}
