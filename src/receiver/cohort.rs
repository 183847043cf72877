//! Which cohort a trace belongs to: canary or stable, told by an attribute of resources.
//!
//! `KEY` looks at the entry point's resource, else at the first one that has the key; `SERVICE:KEY` at the resources of
//! that service, wherever in the trace it is called. Names come from strangers: few of them are told apart.

use crate::ingest::filter::is_service;
use crate::model::attributes::{Attributes, Value, field};
use crate::model::{Symbols, Trace, semconv};
use std::borrow::Cow;
use std::collections::HashMap;

/// Cohorts that are told apart at the same time; each has a profile a window.
pub const MAX_COHORTS: usize = 32;
/// The cohort of those beyond [`MAX_COHORTS`].
pub const OTHER: &str = "other";
/// The cohort of traces that do not have the attribute.
pub const NONE: &str = "none";
/// Bytes of a value that are kept: it becomes part of a file's name.
const MAX_NAME_BYTES: usize = 60;
/// A cohort that had no trace for so many windows makes room for another one.
const FORGOTTEN_AFTER: u64 = 60;

/// `KEY` or `SERVICE:KEY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CohortKey {
    service: Option<String>,
    /// The key under its current name.
    key: String,
}

/// Which cohort a trace belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Belongs<'t> {
    /// To that of this value; [`NONE`] without one.
    To(Cow<'t, str>),
    /// To several: calls of a canary met the old version further down.
    Several,
}

impl CohortKey {
    /// Reads `KEY` or `SERVICE:KEY`; `None` when a part is empty.
    pub fn parse(text: &str) -> Option<CohortKey> {
        let (service, key) = text.rsplit_once(':').map_or((None, text), |(service, key)| (Some(service), key));
        let (service, key) = (service.map(str::trim), key.trim());
        if key.is_empty() || service.is_some_and(str::is_empty) {
            return None;
        }
        Some(CohortKey { service: service.map(str::to_owned), key: semconv::canonical_key(key).to_owned() })
    }

    /// The cohort of a trace whose symbols are those of `symbols`.
    pub fn of<'t>(&self, trace: &'t Trace, symbols: &Symbols) -> Belongs<'t> {
        let store = &trace.store;
        let value = |resource: u32| {
            let body = store.resources.get(resource as usize)?.body;
            self.value(Attributes::of_message(store.bytes(body), field::RESOURCE_ATTRIBUTES))
        };
        let none = || Belongs::To(Cow::Borrowed(NONE));
        let Some(service) = &self.service else {
            let entry = trace.spans().first().and_then(|root| value(root.resource));
            let first = || (0..store.resources.len() as u32).find_map(value);
            return entry.or_else(first).map_or_else(none, Belongs::To);
        };
        let of_service = |number: &u32| {
            let resource = store.resources.get(*number as usize);
            resource.is_some_and(|resource| is_service(service, symbols.get(resource.service)))
        };
        let mut values = (0..store.resources.len() as u32).filter(of_service).filter_map(value);
        let Some(first) = values.next() else { return none() };
        if values.all(|other| other == first) { Belongs::To(first) } else { Belongs::Several }
    }

    fn value<'t>(&self, attributes: Attributes<'t>) -> Option<Cow<'t, str>> {
        let is_key = |key: &[u8]| std::str::from_utf8(key).is_ok_and(|key| semconv::canonical_key(key) == self.key);
        let value = attributes.undecoded().filter(|(key, _)| is_key(key)).last()?.1;
        let text = match Value::decode(value) {
            Value::Str(text) => Cow::Borrowed(cut(text)),
            other => Cow::Owned(cut(&other.to_string()).to_owned()),
        };
        (!text.is_empty()).then_some(text)
    }
}

/// At most [`MAX_NAME_BYTES`], on whole characters.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_NAME_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// The names that are told apart, and when each was seen last.
#[derive(Debug, Default)]
pub struct Cohorts {
    last_seen: HashMap<String, u64, foldhash::fast::RandomState>,
}

impl Cohorts {
    /// The name under which a value is kept in a window: itself, or [`OTHER`] when too many are known.
    pub fn name<'n>(&mut self, value: &'n str, window: u64) -> &'n str {
        if let Some(seen) = self.last_seen.get_mut(value) {
            *seen = window.max(*seen);
            return value;
        }
        if self.last_seen.len() >= MAX_COHORTS {
            self.last_seen.retain(|_, seen| window.saturating_sub(*seen) <= FORGOTTEN_AFTER);
        }
        if self.last_seen.len() >= MAX_COHORTS {
            return OTHER;
        }
        self.last_seen.insert(value.to_owned(), window);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read() {
        let key = |service: Option<&str>, key: &str| {
            Some(CohortKey { service: service.map(str::to_owned), key: key.to_owned() })
        };
        assert_eq!(CohortKey::parse("service.version"), key(None, "service.version"));
        assert_eq!(CohortKey::parse("checkout:service.version"), key(Some("checkout"), "service.version"));
        assert_eq!(CohortKey::parse("deployment.environment"), key(None, "deployment.environment.name"));
        for wrong in ["", ":", "a:", ":b", " "] {
            assert_eq!(CohortKey::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn few_names_are_told_apart_and_old_ones_make_room() {
        let mut cohorts = Cohorts::default();
        let names: Vec<String> = (0..100).map(|number| format!("v{number}")).collect();
        let own = names.iter().filter(|name| cohorts.name(name, 1) == name.as_str()).count();
        assert_eq!(own, MAX_COHORTS);
        assert_eq!(cohorts.name("v0", FORGOTTEN_AFTER), "v0");
        assert_eq!(cohorts.name("new", FORGOTTEN_AFTER + 1), OTHER);
        assert_eq!(cohorts.name("new", FORGOTTEN_AFTER + 2), "new");
        assert_eq!(cohorts.name("v0", FORGOTTEN_AFTER + 2), "v0");
    }
}
