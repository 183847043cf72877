//! Floor 4: a [`Diff`] becomes text, JSON, Markdown, DOT or folded stacks in a writer.
//!
//! May use: model, diff, serde, anstyle, unicode-width, quick-junit. Never: standard streams, the terminal, the environment.
//! Invariant: same [`Diff`] and [`Options`], same bytes. A report computes no result: it chooses, orders, folds and
//! names what the [`Diff`] says. Everything that came from an input passes through [`escape`].

pub mod clock;
pub mod details;
pub mod dot;
pub mod escape;
pub mod exposition;
pub mod folded;
pub mod gate;
pub mod json;
pub mod markdown;
pub mod page;
pub mod plain;
mod population;
pub use population::words as population_words;
pub mod rows;
pub mod schema;
pub mod text;
pub mod tree;
pub use crate::model::units;

use crate::diff::Diff;
use std::io;

/// In what form a [`Diff`] is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people, in columns.
    Text,
    /// For people who listen: lines in reading order, words for marks and units.
    Plain,
    /// For programs: schema `spandiff.diff/v1`.
    Json,
    /// For a pull-request comment.
    Markdown,
    /// For Graphviz: the service graph, or with a tree the merged spans.
    Dot,
    /// For flame graphs: `a;b;c before_ns after_ns`.
    Folded,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 6] =
        [Format::Text, Format::Plain, Format::Json, Format::Markdown, Format::Dot, Format::Folded];

    /// The word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Plain => "plain",
            Format::Json => "json",
            Format::Markdown => "markdown",
            Format::Dot => "dot",
            Format::Folded => "folded",
        }
    }

    /// The format of a command-line word.
    pub fn from_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// Which rows of the merged tree are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeView {
    /// What changed and the way to it; unchanged siblings are folded with their count and bound.
    Folded,
    /// Every node.
    All,
}

/// How a report looks. What it says does not depend on this, except for `tree` and `list`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Columns of a line of text; less than 60 counts as 60.
    pub width: usize,
    /// Whether text is coloured. Marks carry the meaning without.
    pub color: bool,
    /// Whether text is limited to ASCII.
    pub ascii: bool,
    /// Whether the merged tree is shown, and how much of it.
    pub tree: Option<TreeView>,
    /// How many findings text and Markdown list; the rest is counted. JSON lists all.
    pub list: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { width: 100, color: false, ascii: false, tree: None, list: 20 }
    }
}

/// Writes a [`Diff`] in any format.
pub fn write(format: Format, diff: &Diff, options: &Options, out: &mut dyn io::Write) -> io::Result<()> {
    match format {
        Format::Text => text::text(diff, options, out),
        Format::Plain => plain::plain(diff, options, out),
        Format::Json => json::json(diff, options, out),
        Format::Markdown => markdown::markdown(diff, options, out),
        Format::Dot => dot::dot(diff, options, out),
        Format::Folded => folded::folded(diff, out),
    }
}
