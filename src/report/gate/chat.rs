//! At most five lines and 3,000 characters of plain text, for a robot to post.

use super::words::{compared, deciding, headline, next, shout};
use crate::diff::{Diff, Verdict};
use crate::report::escape::visible;
use crate::report::page::Page;
use std::io::{self, Write};

/// Reasons that are told.
const REASONS: usize = 2;
/// Columns of a line, so that five of them stay below 3,000 characters.
const LINE: usize = 560;

/// Writes the lines.
pub(super) fn chat(diff: &Diff, verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    let result = shout(verdict.result);
    let mut lines = vec![format!("spandiff gate: {result}: {} ({})", headline(verdict), compared(diff))];
    let all = deciding(verdict).count();
    lines.extend(deciding(verdict).take(REASONS).map(|reason| format!("- {}", reason.message)));
    if all > REASONS {
        lines.push(format!("… and {} more", all - REASONS));
    }
    let next = next(diff, verdict).join("; ");
    if !next.is_empty() {
        lines.push(format!("next: {next}"));
    }
    let page = Page::new(&crate::report::Options::default());
    for line in lines {
        writeln!(out, "{}", page.shorten(&harmless(&line), LINE))?;
    }
    Ok(())
}

/// Text in which no chat finds a mention, a command or a link: its special characters by look-alikes.
fn harmless(text: &str) -> String {
    visible(text).replace('<', "‹").replace('>', "›").replace('@', "＠").replace("://", ":∕∕").replace("www.", "www·")
}
