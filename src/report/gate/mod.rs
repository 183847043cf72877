//! A verdict in every form that a pipeline, a pull request, a dashboard or a robot takes.
//!
//! All say the same: what was decided, why, what to do next. What came from an input is made harmless for each form.

mod chat;
mod github;
mod json;
mod junit;
mod markdown;
mod openmetrics;
mod text;
mod words;

use super::Options;
use crate::diff::{Diff, Verdict};
use std::io;

/// In what form a verdict is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateFormat {
    /// For people, in columns.
    Text,
    /// For programs: schema `spandiff.gate/v1`.
    Json,
    /// For a pull-request comment or a step summary.
    Markdown,
    /// For test reports.
    Junit,
    /// Annotations of GitHub Actions.
    Github,
    /// For a Prometheus text file or a GitLab metrics report.
    Openmetrics,
    /// A few lines that a robot can post.
    Chat,
}

impl GateFormat {
    /// All formats.
    pub const ALL: [GateFormat; 7] = [
        GateFormat::Text,
        GateFormat::Json,
        GateFormat::Markdown,
        GateFormat::Junit,
        GateFormat::Github,
        GateFormat::Openmetrics,
        GateFormat::Chat,
    ];

    /// The word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            GateFormat::Text => "text",
            GateFormat::Json => "json",
            GateFormat::Markdown => "markdown",
            GateFormat::Junit => "junit",
            GateFormat::Github => "github",
            GateFormat::Openmetrics => "openmetrics",
            GateFormat::Chat => "chat",
        }
    }

    /// The format of a command-line word.
    pub fn from_name(name: &str) -> Option<GateFormat> {
        GateFormat::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// What decided, in one line: `2 regressions, 1 warning`.
pub fn headline(verdict: &Verdict) -> String {
    words::headline(verdict)
}

/// Writes a verdict in any format. `verdict` must be of this `diff`.
pub fn write(
    format: GateFormat,
    diff: &Diff,
    verdict: &Verdict,
    options: &Options,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    match format {
        GateFormat::Text => text::text(diff, verdict, options, out),
        GateFormat::Json => json::json(diff, verdict, options, out),
        GateFormat::Markdown => markdown::markdown(diff, verdict, options, out),
        GateFormat::Junit => junit::junit(diff, verdict, out),
        GateFormat::Github => github::github(verdict, out),
        GateFormat::Openmetrics => openmetrics::openmetrics(diff, verdict, out),
        GateFormat::Chat => chat::chat(diff, verdict, out),
    }
}
