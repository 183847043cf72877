//! The filter language: words, exclusions, fields and numbers, all of which must hold.
//!
//! | written | holds when |
//! |---|---|
//! | `stok` | service and name contain these letters in this order |
//! | `'stock` | they contain exactly this |
//! | `!cache` | they do not contain this |
//! | `service:cart`, `name:GET` | that part contains this |
//! | `kind:added` | the mark or the kind of a finding is this: `slower`, `failing`, `added`, … |
//! | `on:path` | it is on the critical path of a side |
//! | `delta>10ms`, `share>5%`, `calls>2` | the number is larger (or with `<` smaller), whatever its sign |

use super::model::Model;
use crate::diff::{Finding, Mark};
use crate::model::Pair;

/// One condition.
#[derive(Clone, Debug, PartialEq)]
enum Term {
    Fuzzy(String),
    Exact(String),
    Not(String),
    Service(String),
    Name(String),
    Kind(String),
    OnPath,
    Number(Number, bool, f64),
}

/// What is compared with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Delta,
    Share,
    Calls,
}

/// A filter that was understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// As it was typed.
    pub text: String,
    terms: Vec<Term>,
}

/// What is filtered.
struct Subject<'a> {
    name: &'a str,
    words: String,
    on_path: bool,
    delta_ns: i64,
    share: Option<f64>,
    calls: Pair<f64>,
}

impl Filter {
    /// Understands a filter.
    ///
    /// # Errors
    /// A sentence about the part that cannot be understood.
    pub fn parse(text: &str) -> Result<Filter, String> {
        let terms = text.split_whitespace().map(term).collect::<Result<Vec<_>, _>>()?;
        Ok(Filter { text: text.trim().to_owned(), terms })
    }

    /// Whether everything passes.
    pub const fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// For each distinct operation whether its name can pass: what is asked of names is asked once for each of them.
    pub fn names(&self, model: &Model) -> Vec<bool> {
        model.names.iter().map(|name| self.terms.iter().all(|term| by_name(term, name).unwrap_or(true))).collect()
    }

    /// Whether a node passes; `names` are those of [`Filter::names`].
    pub fn node(&self, model: &Model, names: &[bool], node: u32) -> bool {
        if !names.get(model.place(node).name as usize).copied().unwrap_or(false) {
            return false;
        }
        if self.terms.iter().all(|term| by_name(term, "").is_some()) {
            return true;
        }
        let Some(row) = model.node(node) else { return false };
        let finding = row.finding.and_then(|finding| model.finding(finding));
        let kind = finding.map_or("", |finding| finding.kind.name());
        let subject = Subject {
            name: model.names.get(model.place(node).name as usize).map_or("", String::as_str),
            words: format!("{} {kind}", mark_word(row.mark)),
            on_path: [row.sides.before, row.sides.after].into_iter().flatten().any(|side| side.critical_ns > 0),
            delta_ns: model.deltas(node).0,
            share: finding.and_then(|finding| finding.share),
            calls: model.calls(node),
        };
        self.holds(&subject)
    }

    /// Whether a finding passes.
    pub fn finding(&self, finding: &Finding) -> bool {
        let name = finding.operation().map(|operation| format!("{} {}", operation.service, operation.name));
        let mark = crate::report::page::mark_of(finding);
        let subject = Subject {
            name: name.as_deref().unwrap_or("everything"),
            words: format!("{} {} {}", mark_word(mark), finding.kind.name(), finding.title),
            on_path: finding.on_critical_path.before || finding.on_critical_path.after,
            delta_ns: finding.contribution_ns,
            share: finding.share,
            calls: finding.calls_per_trace,
        };
        self.holds(&subject)
    }

    /// Whether any text passes: for lists of other things.
    pub fn text(&self, text: &str) -> bool {
        self.terms.iter().all(|term| by_name(term, text).unwrap_or(true))
    }

    fn holds(&self, subject: &Subject<'_>) -> bool {
        self.terms.iter().all(|term| match term {
            Term::Kind(kind) => contains(&subject.words, kind),
            Term::OnPath => subject.on_path,
            Term::Number(number, larger, limit) => {
                let value = match number {
                    Number::Delta => subject.delta_ns.unsigned_abs() as f64,
                    Number::Share => subject.share.unwrap_or(0.0).abs(),
                    Number::Calls => subject.calls.before.max(subject.calls.after),
                };
                if *larger { value > *limit } else { value < *limit }
            }
            by => by_name(by, subject.name).unwrap_or(true),
        })
    }
}

const fn mark_word(mark: Mark) -> &'static str {
    match mark {
        Mark::Worse => "slower",
        Mark::Better => "faster",
        Mark::Added => "added",
        Mark::Removed => "removed",
        Mark::Failing => "failing",
        Mark::Recovered => "recovered",
        Mark::Changed => "changed",
        Mark::Similar => "renamed",
        Mark::Equal => "equal",
    }
}

/// `None` for terms that do not look at names.
fn by_name(term: &Term, name: &str) -> Option<bool> {
    let service = || name.split(' ').next().unwrap_or_default();
    let rest = || name.split_once(' ').map_or("", |parts| parts.1);
    match term {
        Term::Fuzzy(word) => Some(in_order(name, word)),
        Term::Exact(word) => Some(contains(name, word)),
        Term::Not(word) => Some(!contains(name, word)),
        Term::Service(word) => Some(contains(service(), word)),
        Term::Name(word) => Some(contains(rest(), word)),
        Term::Kind(_) | Term::OnPath | Term::Number(..) => None,
    }
}

/// Whether the text contains the word, in any case of letters. The word is in lower case already.
fn contains(text: &str, word: &str) -> bool {
    word.is_empty() || text.to_lowercase().contains(word)
}

/// Whether the letters of the word occur in this order.
fn in_order(text: &str, word: &str) -> bool {
    let mut letters = text.chars().flat_map(char::to_lowercase);
    word.chars().all(|wanted| letters.any(|letter| letter == wanted))
}

fn term(word: &str) -> Result<Term, String> {
    let lower = word.to_lowercase();
    if let Some(rest) = lower.strip_prefix('\'') {
        return Ok(Term::Exact(rest.to_owned()));
    }
    if let Some(rest) = lower.strip_prefix('!') {
        return Ok(Term::Not(rest.to_owned()));
    }
    if let Some(at) = lower.find(['>', '<']) {
        let (name, rest) = lower.split_at(at);
        return number(word, name, rest);
    }
    match lower.split_once(':') {
        Some(("service", value)) => Ok(Term::Service(value.to_owned())),
        Some(("name", value)) => Ok(Term::Name(value.to_owned())),
        Some(("kind" | "is", value)) => Ok(Term::Kind(value.to_owned())),
        Some(("on", "path")) => Ok(Term::OnPath),
        // Names have colons too.
        _ => Ok(Term::Fuzzy(lower)),
    }
}

fn number(word: &str, name: &str, rest: &str) -> Result<Term, String> {
    let (larger, value) = (rest.starts_with('>'), rest.get(1..).unwrap_or_default());
    let number = match name {
        "delta" | "δ" | "d" => Number::Delta,
        "share" => Number::Share,
        "calls" => Number::Calls,
        _ => return Err(format!("{word}: what is compared is delta, share or calls")),
    };
    let units: [(&str, f64); 5] = match number {
        Number::Delta => [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)],
        Number::Share => [("%", 0.01), ("", 0.01), ("", 0.01), ("", 0.01), ("", 0.01)],
        Number::Calls => [("", 1.0), ("", 1.0), ("", 1.0), ("", 1.0), ("", 1.0)],
    };
    let parsed = units.iter().find_map(|(unit, factor)| {
        let digits = value.strip_suffix(unit)?;
        digits.parse::<f64>().ok().map(|number| number * factor)
    });
    match parsed.filter(|number| number.is_finite()) {
        Some(limit) => Ok(Term::Number(number, larger, limit)),
        None => Err(format!("{word}: for example delta>10ms, share>5%, calls>2")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(filter: &str, text: &str) -> bool {
        Filter::parse(filter).unwrap().text(text)
    }

    #[test]
    fn words_are_looked_for_as_letters_in_order() {
        assert!(passes("stck", "inventory SELECT stock"));
        assert!(!passes("'stck", "inventory SELECT stock"));
        assert!(passes("'select inv", "inventory SELECT stock"));
        assert!(!passes("!stock", "inventory SELECT stock"));
        assert!(passes("service:inv name:select", "inventory SELECT stock"));
        assert!(!passes("service:stock", "inventory SELECT stock"));
        assert!(passes("", "anything"));
    }

    #[test]
    fn numbers_have_units() {
        assert_eq!(Filter::parse("Δ>10ms").unwrap().terms, [Term::Number(Number::Delta, true, 1e7)]);
        assert_eq!(Filter::parse("share<2.5%").unwrap().terms, [Term::Number(Number::Share, false, 0.025)]);
        assert_eq!(Filter::parse("calls>2").unwrap().terms, [Term::Number(Number::Calls, true, 2.0)]);
        assert!(Filter::parse("size>2").unwrap_err().contains("delta, share or calls"));
        assert!(Filter::parse("delta>much").unwrap_err().contains("for example"));
    }
}
