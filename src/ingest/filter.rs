//! Which traces belong to which side: conditions on attributes, entry points, times.
//!
//! Keys are compared under their current names, so that a condition holds whatever the age of the conventions. For a
//! span the value of a key is that of its resource, else its own.

use super::fold::Folder;
use super::population::TraceSink;
use crate::model::attributes::{Attributes, Value};
use crate::model::{Pair, Symbols, Trace, Warning, Warnings, semconv};
use regex::Regex;
use std::fmt;

/// How large a compiled pattern may become, in bytes.
const PATTERN_BYTES: usize = 1 << 20;

/// A condition on the attributes of a trace: `key=value`, `key!=value`, `key~pattern`, `key!~pattern`, each with
/// `service:` before it to look at one service's spans only.
#[derive(Clone, Debug)]
pub struct Condition {
    service: Option<String>,
    /// The current name of the key.
    key: String,
    wanted: Wanted,
    /// Whether no span may have it, instead of some span must.
    negated: bool,
}

#[derive(Clone, Debug)]
enum Wanted {
    Text(String),
    Pattern(Regex),
}

/// Why a condition cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// Neither `=` nor `~` in it.
    #[error("`{0}` is no condition; write key=value, key!=value, key~pattern or key!~pattern")]
    NoOperator(String),
    /// Nothing before the operator.
    #[error("`{0}` names no attribute; write key=value, or service:key=value for one service")]
    NoKey(String),
    /// The pattern is not a regular expression.
    #[error("the pattern in `{condition}` is no regular expression: {cause}")]
    BadPattern {
        /// The condition.
        condition: String,
        /// What the parser says.
        cause: String,
    },
}

impl Condition {
    /// Reads a condition. The first `=` or `~` ends the key; a key that begins with a service's name and a colon is
    /// looked for in that service. Patterns match anywhere in the value unless they are anchored.
    pub fn parse(text: &str) -> Result<Condition, ConditionError> {
        let no_operator = || ConditionError::NoOperator(text.to_owned());
        let at = text.find(['=', '~']).ok_or_else(no_operator)?;
        let (left, right) = text.split_at(at);
        let (left, negated) = left.strip_suffix('!').map_or((left, false), |left| (left, true));
        let (service, key) = left.split_once(':').map_or((None, left), |(service, key)| (Some(service), key));
        let key = key.trim();
        if key.is_empty() || service.is_some_and(|service| service.trim().is_empty()) {
            return Err(ConditionError::NoKey(text.to_owned()));
        }
        let wanted = match right.strip_prefix('=') {
            Some(value) => Wanted::Text(value.to_owned()),
            None => Wanted::Pattern(
                pattern(right.strip_prefix('~').unwrap_or(right))
                    .map_err(|cause| ConditionError::BadPattern { condition: text.to_owned(), cause })?,
            ),
        };
        let service = service.map(|service| service.trim().to_owned());
        Ok(Condition { service, key: semconv::canonical_key(key).to_owned(), wanted, negated })
    }

    /// Whether a trace meets it. `symbols` is the table of the trace's symbols.
    pub fn holds(&self, trace: &Trace, symbols: &Symbols) -> bool {
        self.negated != self.occurs(trace, symbols)
    }

    fn occurs(&self, trace: &Trace, symbols: &Symbols) -> bool {
        let store = &trace.store;
        // What a resource says: `None` for nothing, then its spans are asked.
        let mut answers: Vec<Option<Option<bool>>> = vec![None; store.resources.len()];
        trace.spans().iter().any(|span| {
            let service = symbols.get(store.service_symbol(span));
            if self.service.as_deref().is_some_and(|wanted| !is_service(wanted, service)) {
                return false;
            }
            let mut unknown = None;
            let answer = answers.get_mut(span.resource as usize).unwrap_or(&mut unknown);
            let of_resource = *answer.get_or_insert_with(|| self.of(store.resource_attributes(span)));
            of_resource.or_else(|| self.of(store.attributes(span))).unwrap_or(false)
        })
    }

    /// Whether attributes have the value; `None` when they do not have the key.
    fn of(&self, attributes: Attributes<'_>) -> Option<bool> {
        let mut answer = None;
        for (key, value) in attributes.undecoded() {
            let is_key = std::str::from_utf8(key).is_ok_and(|key| semconv::canonical_key(key) == self.key);
            if is_key {
                answer = Some(self.is_wanted(&Value::decode(value)));
            }
        }
        answer
    }

    fn is_wanted(&self, value: &Value<'_>) -> bool {
        let accepts = |text: &str| match &self.wanted {
            Wanted::Text(wanted) => wanted == text,
            Wanted::Pattern(pattern) => pattern.is_match(text),
        };
        value.as_str().map_or_else(|| accepts(&value.to_string()), accepts)
    }
}

fn pattern(text: &str) -> Result<Regex, String> {
    // The last line of the parser's message says what is wrong, those before draw it.
    let build = regex::RegexBuilder::new(text).size_limit(PATTERN_BYTES).build();
    build.map_err(|error| error.to_string().lines().last().unwrap_or_default().trim().to_owned())
}

/// Whether a service has this name, with its namespace or without.
pub fn is_service(wanted: &str, service: &str) -> bool {
    service == wanted || service.rsplit_once('/').is_some_and(|(_, name)| name == wanted)
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(service) = &self.service {
            write!(f, "{service}:")?;
        }
        let not = if self.negated { "!" } else { "" };
        match &self.wanted {
            Wanted::Text(text) => write!(f, "{}{not}={text}", self.key),
            Wanted::Pattern(pattern) => write!(f, "{}{not}~{pattern}", self.key),
        }
    }
}

/// Which traces are looked at.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    /// Names of entry points (`GET /cart`) with or without their service (`shop: GET /cart`), one of which must be
    /// that of a root; empty for all.
    pub entries: Vec<String>,
}

impl Filter {
    /// Whether a trace is looked at.
    pub fn accepts(&self, trace: &Trace, symbols: &Symbols) -> bool {
        self.accepts_entry(trace) && self.conditions.iter().all(|condition| condition.holds(trace, symbols))
    }

    fn accepts_entry(&self, trace: &Trace) -> bool {
        let is_wanted = |root: u32| {
            let operation = trace.spans().get(root as usize).and_then(|span| trace.operations.get(span.operation));
            operation.is_some_and(|operation| {
                let shown = operation.to_string();
                self.entries.iter().any(|entry| *entry == *operation.name || *entry == shown)
            })
        };
        self.entries.is_empty() || trace.roots().any(is_wanted)
    }
}

/// Where a trace goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// To the before side.
    Before,
    /// To the after side.
    After,
    /// It meets the conditions of both sides.
    Both,
    /// It meets those of neither.
    Neither,
}

/// How the traces of one input are divided into two sides.
#[derive(Clone, Debug)]
pub enum Division {
    /// By the start of the trace (`--split-at`).
    At {
        /// The before side ends here, nanoseconds since 1970.
        ns: u64,
        /// The after side begins so many nanoseconds later: a cold start is left out.
        skip_ns: u64,
    },
    /// By conditions of each side (`--before-where`, `--after-where`).
    Where(Pair<Filter>),
}

impl Division {
    /// Where a trace goes.
    pub fn choose(&self, trace: &Trace, symbols: &Symbols) -> Choice {
        match self {
            Division::At { ns, skip_ns } => {
                let start_ns = trace.spans().iter().map(|span| span.start_ns).min().unwrap_or(0);
                if start_ns < *ns {
                    Choice::Before
                } else if start_ns >= ns.saturating_add(*skip_ns) {
                    Choice::After
                } else {
                    Choice::Neither
                }
            }
            Division::Where(sides) => {
                let accepts = sides.as_ref().map(|side| side.accepts(trace, symbols));
                match (accepts.before, accepts.after) {
                    (true, false) => Choice::Before,
                    (false, true) => Choice::After,
                    (true, true) => Choice::Both,
                    (false, false) => Choice::Neither,
                }
            }
        }
    }
}

/// Folds the traces of one side that a filter accepts.
#[derive(Debug)]
pub struct Filtered {
    /// What is looked at.
    pub filter: Filter,
    /// Where it goes.
    pub folder: Folder,
    /// Traces that were not accepted.
    pub left_out: u64,
}

impl Filtered {
    /// Nothing is folded yet.
    pub const fn new(filter: Filter, folder: Folder) -> Filtered {
        Filtered { filter, folder, left_out: 0 }
    }
}

impl TraceSink for Filtered {
    fn trace(&mut self, trace: &Trace, symbols: &Symbols, warnings: &Warnings) {
        if self.filter.accepts(trace, symbols) {
            self.folder.add(trace, warnings);
        } else {
            self.left_out += 1;
        }
    }
}

/// Folds the traces of one input into two sides.
#[derive(Debug)]
pub struct Divided {
    /// What is looked at at all.
    pub filter: Filter,
    /// How it is divided.
    pub division: Division,
    /// The sides.
    pub folders: Pair<Folder>,
    /// Traces that belong to neither side.
    pub left_out: u64,
}

impl TraceSink for Divided {
    fn trace(&mut self, trace: &Trace, symbols: &Symbols, warnings: &Warnings) {
        if !self.filter.accepts(trace, symbols) {
            self.left_out += 1;
            return;
        }
        match self.division.choose(trace, symbols) {
            Choice::Before => self.folders.before.add(trace, warnings),
            Choice::After => self.folders.after.add(trace, warnings),
            Choice::Neither => self.left_out += 1,
            Choice::Both => {
                let mut both = Warnings::default();
                both.add_with(Warning::BothSides, || format!("trace {}", trace.id));
                self.folders.before.warn(&both);
                self.folders.after.warn(&both);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    fn holds(condition: &str) -> bool {
        let trace = fixture::trace(
            "shop GET /cart 90ms [server] {http.method=GET, order.id=17}
               cache GET 10ms [client] {db.system.name=redis, server.address=cache-1}",
        );
        let condition = Condition::parse(condition).unwrap();
        condition.holds(&trace, &trace.store.symbols)
    }

    #[test]
    fn a_condition_is_met_by_some_span_or_by_none() {
        for yes in [
            "server.address=cache-1",
            "net.peer.name=cache-1",
            "http.request.method=GET",
            "server.address~^cache-[0-9]$",
            "server.address!=cache-2",
            "server.address!~db",
            "cache:server.address=cache-1",
            "shop:server.address!=cache-1",
            "order.id=17",
            "nothing!=x",
        ] {
            assert!(holds(yes), "{yes}");
        }
        for no in [
            "server.address=cache",
            "server.address!=cache-1",
            "server.address!~cache",
            "shop:server.address=cache-1",
            "other:order.id=17",
            "nothing=x",
            "nothing~.*",
        ] {
            assert!(!holds(no), "{no}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_said() {
        for (text, error) in [
            ("shop", "`shop` is no condition"),
            ("=x", "names no attribute"),
            ("!=x", "names no attribute"),
            ("a:=x", "names no attribute"),
            (":k=x", "names no attribute"),
            ("k~(", "no regular expression"),
            ("k~(a{1000}){1000}", "no regular expression"),
        ] {
            let found = Condition::parse(text).unwrap_err().to_string();
            assert!(found.contains(error), "{text}: {found}");
        }
        for text in ["k=", "k!=a=b", "s:k~a.*b", "k=v!=w"] {
            assert_eq!(Condition::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn entry_points_are_named_with_or_without_their_service() {
        let trace = fixture::trace("shop GET /cart 9ms\n  shop GET /price 1ms\nshop POST /cart 3ms");
        let accepts = |entry: &str| {
            let filter = Filter { entries: vec![entry.to_owned()], ..Filter::default() };
            filter.accepts(&trace, &trace.store.symbols)
        };
        assert!(accepts("GET /cart") && accepts("shop: GET /cart") && accepts("POST /cart"));
        assert!(!accepts("GET /price") && !accepts("cart: GET /cart") && !accepts(""));
    }

    #[test]
    fn a_split_leaves_the_cold_start_out() {
        let trace = fixture::trace("a r 9ms");
        let start = trace.spans()[0].start_ns;
        let choose = |ns, skip_ns| Division::At { ns, skip_ns }.choose(&trace, &trace.store.symbols);
        assert_eq!(choose(start + 1, 0), Choice::Before);
        assert_eq!(choose(start, 0), Choice::After);
        assert_eq!(choose(start - 5, 5), Choice::After);
        assert_eq!(choose(start - 5, 6), Choice::Neither);
    }

    #[test]
    fn a_trace_of_both_sides_goes_to_none_and_is_counted() {
        let side = |text| Filter { conditions: vec![Condition::parse(text).unwrap()], ..Filter::default() };
        let limits = crate::model::Limits::default();
        let mut divided = Divided {
            filter: Filter::default(),
            division: Division::Where(Pair::new(side("v=1"), side("v=2"))),
            folders: Pair::new(Folder::new(&limits), Folder::new(&limits)),
            left_out: 0,
        };
        for text in ["a r 1ms {v=1}", "a r 1ms {v=2}", "a r 2ms {v=1}\n  a x 1ms {v=2}", "a r 1ms {v=3}"] {
            let trace = fixture::trace(text);
            divided.trace(&trace, &trace.store.symbols, &Warnings::default());
        }
        assert_eq!(divided.left_out, 1);
        let profiles = divided.folders.map(Folder::finish);
        for profile in [profiles.before, profiles.after] {
            assert_eq!(profile.totals.traces, 1);
            assert_eq!(profile.totals.warnings.count(Warning::BothSides), 1);
        }
    }
}
