//! Which instances a span speaks of: the database, host, queue or tenant that it calls, the process that it ran in.

use super::attributes::{Content, Looked, Role};
use crate::model::attributes::{Attributes, field};
use crate::model::profile::stable_hash;
use crate::model::{Kind, SpanStore, Symbol, Symbols, Value, semconv};
use std::collections::HashMap;

/// Attributes of the resource that instances may have in common.
const SHARED: [&str; 7] = [
    "k8s.cluster.name",
    "k8s.namespace.name",
    "cloud.region",
    "cloud.availability_zone",
    "deployment.environment.name",
    "service.version",
    "host.name",
];
const CLUSTER: &str = "k8s.cluster.name";
const VERSION: &str = "service.version";
/// What names a process, best first.
const PROCESS: [&str; 3] = ["service.instance.id", "k8s.pod.name", "host.name"];
/// Distinct resources that are remembered; more of them, and all is forgotten.
const MAX_RESOURCES: usize = 1 << 16;

/// The name of an instance and the key that it is a value of, with their hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub key_hash: u64,
    pub key: Symbol,
    pub hash: u64,
    pub name: Symbol,
}

/// What the spans of a resource have in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Home {
    /// The process.
    pub process: Option<Named>,
    /// `service.version`, empty for none.
    pub version: Symbol,
    /// Where it runs: hash of the key, key, value.
    pub shared: Vec<(u64, Symbol, Symbol)>,
    cluster: Option<Symbol>,
}

/// Remembers resources by their bytes.
#[derive(Debug, Default)]
pub(super) struct Homes {
    by_bytes: HashMap<Box<[u8]>, u32, foldhash::fast::RandomState>,
    homes: Vec<Home>,
}

impl Homes {
    /// Whether too much is remembered: then begin anew, between two traces.
    pub fn is_full(&self) -> bool {
        self.homes.len() > MAX_RESOURCES
    }

    pub fn get(&self, number: u32) -> Option<&Home> {
        self.homes.get(number as usize)
    }

    /// The numbers of a trace's resources.
    pub fn of_trace(&mut self, store: &SpanStore, strings: &mut Symbols, numbers: &mut Vec<u32>) {
        numbers.clear();
        for resource in &store.resources {
            let message = store.bytes(resource.body);
            let number = if let Some(&number) = self.by_bytes.get(message) {
                number
            } else {
                let number = self.homes.len() as u32;
                self.homes.push(home(Attributes::of_message(message, field::RESOURCE_ATTRIBUTES), strings));
                self.by_bytes.insert(message.into(), number);
                number
            };
            numbers.push(number);
        }
    }
}

fn home(attributes: Attributes<'_>, strings: &mut Symbols) -> Home {
    let mut values: Vec<(&str, String)> = Vec::new();
    for (key, value) in attributes {
        let key = semconv::canonical_key(key);
        let text = value.to_string();
        if !text.is_empty() && !matches!(value, Value::Array(_) | Value::Map(_)) {
            values.retain(|(other, _)| *other != key);
            values.push((key, text));
        }
    }
    let find = |key: &str| values.iter().find(|(other, _)| *other == key).map(|(_, text)| text.as_str());
    let process = PROCESS.into_iter().find_map(|key| Some((key, find(key)?)));
    let shared = SHARED.into_iter().filter_map(|key| Some((key, find(key)?)));
    Home {
        process: process.map(|(key, name)| named(key, name, strings)),
        version: find(VERSION).map_or(Symbol::EMPTY, |text| strings.intern(text)),
        shared: shared
            .map(|(key, text)| (stable_hash(key.as_bytes()), strings.intern(key), strings.intern(text)))
            .collect(),
        cluster: find(CLUSTER).map(|text| strings.intern(text)),
    }
}

fn named(key: &str, name: &str, strings: &mut Symbols) -> Named {
    Named {
        key_hash: stable_hash(key.as_bytes()),
        key: strings.intern(key),
        hash: stable_hash(name.as_bytes()),
        name: strings.intern(name),
    }
}

/// The parts of a peer's name, of which each has a bit in the combination that makes its key.
const PARTS: [&str; 7] = [
    CLUSTER,
    "server.address",
    "server.port",
    "db.namespace",
    "messaging.destination.name",
    "service.peer.name",
    "tenant.id",
];

/// Makes names of peers; keys are made once for each combination of attributes.
#[derive(Debug, Default)]
pub(super) struct Peers {
    keys: Vec<Option<(u64, Symbol)>>,
    name: Vec<u8>,
    parts: u8,
}

impl Peers {
    /// Calls `then` with the hash and symbol of the key, and the name, of every peer of a span.
    pub fn each(
        &mut self,
        looked: &Looked<'_>,
        kind: Kind,
        home: Option<&Home>,
        strings: &mut Symbols,
        mut then: impl FnMut((u64, Symbol), &[u8], &mut Symbols),
    ) {
        if (kind.is_outgoing() || kind == Kind::Consumer) && self.peer(looked, home, strings) {
            then(self.key(strings), &self.name, strings);
        }
        self.begin();
        if self.part(6, looked, Role::Tenant) {
            then(self.key(strings), &self.name, strings);
        }
    }

    fn begin(&mut self) {
        self.name.clear();
        self.parts = 0;
    }

    /// Puts the name of the peer together; false when there is none.
    fn peer(&mut self, looked: &Looked<'_>, home: Option<&Home>, strings: &Symbols) -> bool {
        self.begin();
        if looked.role(Role::DbSystem).is_some() || looked.role(Role::DbNamespace).is_some() {
            if let Some(cluster) = home.and_then(|home| home.cluster) {
                self.add(0, strings.get(cluster).as_bytes());
            }
            let place = self.part(1, looked, Role::Address);
            if place {
                self.part(2, looked, Role::Port);
            }
            return self.part(3, looked, Role::DbNamespace) || place;
        }
        let is_message = looked.role(Role::MessagingSystem).is_some() || looked.role(Role::Destination).is_some();
        if is_message {
            let passing = [Role::Temporary, Role::Anonymous]
                .into_iter()
                .any(|role| looked.role(role).is_some_and(|found| found.content.is_true()));
            return !passing && self.part(4, looked, Role::Destination);
        }
        kind_of_place(looked).is_some_and(|(part, role)| self.part(part, looked, role))
    }

    /// Appends the value of a role, if it has one.
    fn part(&mut self, part: u8, looked: &Looked<'_>, role: Role) -> bool {
        let Some(found) = looked.role(role) else { return false };
        let before = self.parts;
        found.content.with_text(|text| {
            if !text.is_empty() {
                self.add(part, text);
            }
        });
        self.parts != before
    }

    fn add(&mut self, part: u8, text: &[u8]) {
        if self.parts != 0 {
            self.name.push(b'/');
        }
        self.name.extend_from_slice(text);
        self.parts |= 1 << part;
    }

    fn key(&mut self, strings: &mut Symbols) -> (u64, Symbol) {
        self.keys.resize(1 << PARTS.len(), None);
        let parts = self.parts;
        let make = || {
            let present: Vec<&str> =
                PARTS.iter().zip(0..).filter(|(_, bit)| parts >> bit & 1 == 1).map(|(part, _)| *part).collect();
            let key = present.join("/");
            (stable_hash(key.as_bytes()), strings.intern(&key))
        };
        self.keys.get_mut(usize::from(parts)).map_or((0, Symbol::EMPTY), |slot| *slot.get_or_insert_with(make))
    }
}

/// Where the other side of a call that is neither database nor message is named.
fn kind_of_place(looked: &Looked<'_>) -> Option<(u8, Role)> {
    let has = |role: Role| looked.role(role).is_some_and(|found| !matches!(found.content, Content::Other));
    if has(Role::Address) { Some((1, Role::Address)) } else { has(Role::Peer).then_some((5, Role::Peer)) }
}
