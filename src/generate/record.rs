//! What a sampled trace is made of, before it is written: plain values close to OTLP's messages.

use crate::model::{Kind, SpanId, Status, TraceId};
use std::borrow::Cow;

/// An attribute's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(Cow<'static, str>),
    /// Integer.
    Int(i64),
    /// Boolean.
    Flag(bool),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(Cow::Owned(text))
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Value::Int(int)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Value::Flag(flag)
    }
}

/// Keys and values in the order in which they are written.
pub type Attributes = Vec<(&'static str, Value)>;

/// A timed event.
#[derive(Clone, Debug)]
pub struct Event {
    /// When, nanoseconds since 1970.
    pub time_ns: u64,
    /// Its name.
    pub name: &'static str,
    /// Its attributes.
    pub attributes: Attributes,
}

/// A span.
#[derive(Clone, Debug)]
pub struct Span {
    /// The label of its operation in the program; not written.
    pub label: &'static str,
    /// It is in a trace of its own, cut off from its caller; not written.
    pub severed: bool,
    /// Trace id.
    pub trace_id: TraceId,
    /// Span id.
    pub id: SpanId,
    /// Parent id, none for a root.
    pub parent_id: SpanId,
    /// OTLP flags.
    pub flags: u32,
    /// Display name.
    pub name: Cow<'static, str>,
    /// Kind.
    pub kind: Kind,
    /// Start, nanoseconds since 1970.
    pub start_ns: u64,
    /// End, nanoseconds since 1970.
    pub end_ns: u64,
    /// Attributes.
    pub attributes: Attributes,
    /// Events.
    pub events: Vec<Event>,
    /// Links: trace and span.
    pub links: Vec<(TraceId, SpanId)>,
    /// Status.
    pub status: Status,
    /// Status message.
    pub status_message: &'static str,
    /// Number of the process that exports it.
    pub process: usize,
    /// Its instrumentation scope.
    pub scope: Scope,
}

/// An instrumentation scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// A process that exports spans.
#[derive(Clone, Debug)]
pub struct Process {
    /// Number of its service in the program.
    pub service: usize,
    /// Number of its cluster, where the system has several.
    pub cluster: usize,
    /// Whether it is the one that runs another version than its service does elsewhere.
    pub is_canary: bool,
    /// Its IP address.
    pub address: String,
    /// Its resource attributes.
    pub resource: Attributes,
    /// The schema its attributes follow.
    pub schema_url: &'static str,
}

/// The spans of one process in one batch, by scope, as an SDK's exporter groups them.
#[derive(Debug)]
pub struct Group<'a> {
    /// The process.
    pub process: &'a Process,
    /// Its spans by scope, each in the order in which they ended.
    pub scopes: Vec<(Scope, Vec<&'a Span>)>,
}

/// Groups spans by process and scope; groups come in the order in which their first span began.
pub fn group<'a>(spans: &'a [Span], processes: &'a [Process]) -> Vec<Group<'a>> {
    let mut order: Vec<usize> = Vec::new();
    for span in spans {
        if !order.contains(&span.process) {
            order.push(span.process);
        }
    }
    order.into_iter().filter_map(|number| Some(group_of(spans, number, processes.get(number)?))).collect()
}

fn group_of<'a>(spans: &'a [Span], number: usize, process: &'a Process) -> Group<'a> {
    let mut scopes: Vec<(Scope, Vec<&Span>)> = Vec::new();
    for span in spans.iter().filter(|span| span.process == number) {
        match scopes.iter_mut().find(|(scope, _)| *scope == span.scope) {
            Some((_, members)) => members.push(span),
            None => scopes.push((span.scope, vec![span])),
        }
    }
    for (_, members) in &mut scopes {
        members.sort_by_key(|span| span.end_ns);
    }
    Group { process, scopes }
}
