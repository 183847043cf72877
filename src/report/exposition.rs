//! `OpenMetrics` text: the form of numbers for Prometheus and those who read what it reads. Labels come from strangers:
//! none leaves its place, none is long, and no series is there twice.

use super::escape::visible;
use super::page::Page;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Columns of a label's value.
const LABEL: usize = 200;

/// What a family of series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; the names of its samples end with `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Text in labels; the names of its samples end with `_info`, and their value is 1.
    Info,
}

/// A text that is being written.
#[derive(Debug)]
pub struct Exposition {
    text: String,
    /// Series that are there: each may be there once only.
    seen: BTreeSet<String>,
    page: Page,
}

impl Default for Exposition {
    fn default() -> Exposition {
        Exposition { text: String::new(), seen: BTreeSet::new(), page: Page::new(&super::Options::default()) }
    }
}

impl Exposition {
    /// Begins a family: its samples follow, before the next one begins. `help` is ours and one line.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Info => "info",
        };
        let help = help.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = writeln!(self.text, "# TYPE {name} {kind}\n# HELP {name} {help}");
    }

    /// Adds a sample; of two with the same labels the first stays.
    pub fn sample(&mut self, name: &str, labels: &[(&str, String)], value: &str) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(key, value)| {
                let value = self.page.shorten(&visible(value), LABEL).replace('\\', "\\\\").replace('"', "\\\"");
                format!("{key}=\"{value}\"")
            })
            .collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let series = format!("{name}{labels}");
        if !self.seen.contains(&series) {
            let _ = writeln!(self.text, "{series} {value}");
            self.seen.insert(series);
        }
    }

    /// The whole text.
    pub fn finish(mut self) -> String {
        self.text.push_str("# EOF\n");
        self.text
    }
}

/// A number of a sample.
pub fn number(value: f64) -> String {
    if value.is_finite() { format!("{value:.6}") } else { "NaN".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stay_in_their_place_and_series_are_there_once() {
        let mut out = Exposition::default();
        out.family("a", Kind::Gauge, "says \"what\"");
        out.sample("a", &[("k", "x\"} 1\nb \\".into())], "2");
        out.sample("a", &[("k", "x\"} 1\nb \\".into())], "3");
        out.family("b", Kind::Counter, "c");
        out.sample("b_total", &[], &number(f64::NAN));
        assert_eq!(
            out.finish(),
            "# TYPE a gauge\n# HELP a says \\\"what\\\"\na{k=\"x\\\"} 1\\\\nb \\\\\"} 2\n# TYPE b counter\n# HELP b c\n\
             b_total NaN\n# EOF\n"
        );
    }
}
