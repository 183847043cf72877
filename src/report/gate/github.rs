//! Annotations of GitHub Actions: workflow commands on standard output.
//!
//! GitHub shows ten of each type a step and hides the rest without a word, so nine are written and the rest counted.

use super::words::{headline, shout};
use crate::diff::{Outcome, Reason, Verdict};
use crate::report::escape::visible;
use std::io::{self, Write};

/// Annotations of each type.
const SHOWN: usize = 9;

/// Writes the annotations.
pub(super) fn github(verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    let of = |results: &[Outcome]| -> Vec<(String, String)> {
        let chosen = verdict.reasons.iter().filter(|reason| results.contains(&reason.result));
        chosen.map(|reason| (title(reason), reason.message.clone())).collect()
    };
    let mut notices = vec![("spandiff gate".to_owned(), format!("{}: {}", shout(verdict.result), headline(verdict)))];
    notices.extend(of(&[Outcome::Pass]));
    command("error", &of(&[Outcome::Fail]), out)?;
    command("warning", &of(&[Outcome::Inconclusive, Outcome::Warn]), out)?;
    command("notice", &notices, out)
}

fn title(reason: &Reason) -> String {
    format!("spandiff gate, {}: {}", reason.result.name(), reason.code.replace('_', " "))
}

fn command(kind: &str, messages: &[(String, String)], out: &mut dyn Write) -> io::Result<()> {
    for (title, message) in messages.iter().take(SHOWN) {
        writeln!(out, "::{kind} title={}::{}", property(title), data(message))?;
    }
    let hidden = messages.len().saturating_sub(SHOWN);
    if hidden > 0 {
        writeln!(out, "::{kind} title=spandiff gate::{hidden} more")?;
    }
    Ok(())
}

/// The message of a command.
fn data(text: &str) -> String {
    visible(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
