//! A small language for what a system does on a request: a tree of operations with steps.
//!
//! The sampler runs such a program with random numbers and gets a trace; a change is an edit of the program. That is
//! why the truth about a generated pair is known without looking at the spans.

use super::fleet::Fleet;
use crate::model::Kind;

/// A whole system: its services and what enters it.
#[derive(Clone, Debug)]
pub struct Program {
    /// The services that export spans.
    pub services: Vec<Service>,
    /// Entry points; the first is the main request, which every change is about.
    pub entries: Vec<Entry>,
    /// Factor on every piece of work.
    pub scale: f64,
    /// A service whose host clock is off, and by how many nanoseconds it is behind.
    pub slow_clock: Option<(&'static str, u64)>,
    /// The label of spans that are never exported.
    pub unexported: Option<&'static str>,
    /// An instance number of the sharded database that is not called any more.
    pub gone_instance: Option<u32>,
    /// A service one of whose pods runs another version, and that version.
    pub canary: Option<(&'static str, &'static str)>,
    /// The databases, where there are many in several clusters.
    pub fleet: Option<Fleet>,
}

/// An entry point and its share of the traffic.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Weight against the other entries.
    pub weight: u32,
    /// The operation.
    pub node: Node,
}

/// A service that exports spans.
#[derive(Clone, Debug)]
pub struct Service {
    /// `service.name`.
    pub name: &'static str,
    /// `service.version`.
    pub version: &'static str,
    /// The language its SDK is for.
    pub language: Language,
    /// Which semantic conventions its instrumentation follows.
    pub conventions: Conventions,
    /// How many pods it runs on.
    pub replicas: u32,
}

/// The language of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Go.
    Go,
    /// Java.
    Java,
    /// Python.
    Python,
    /// JavaScript on Node.js.
    Node,
    /// Envoy and other proxies written in C++.
    Cpp,
}

/// Generation of semantic conventions, of SDK and of instrumentation libraries: they change together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conventions {
    /// As of 2022: `http.method`, `db.statement`, `net.peer.name`.
    Old,
    /// As of 2026: `http.request.method`, `db.query.text`, `server.address`.
    New,
}

/// One operation: becomes one span each time it runs.
#[derive(Clone, Debug)]
pub struct Node {
    /// Unique in its program: edits and truth name operations by it.
    pub label: &'static str,
    /// The service that exports the span.
    pub service: &'static str,
    /// Span kind.
    pub kind: Kind,
    /// What it does: gives names and attributes.
    pub what: What,
    /// What happens inside, in order.
    pub steps: Vec<Step>,
    /// How often it runs where it is called.
    pub times: u32,
    /// How many of these runs fail at first and are tried again.
    pub flaky: u32,
    /// How long a failing first try takes, in microseconds.
    pub timeout_us: u32,
    /// It always fails, with this.
    pub failure: Option<Failure>,
    /// An error inside makes this one an error too.
    pub propagates: bool,
    /// It lost the trace context of its caller: it starts a trace of its own.
    pub severed: bool,
    /// Of a thousand runs, so many take so many times as long.
    pub tail: Option<(u64, f64)>,
    /// How many times as long its own work takes when the canary's code does it or asks for it.
    pub canary_factor: f64,
    /// Consumers of the messages sent inside; they run after it.
    pub follow: Vec<Follow>,
}

/// One step inside an operation.
#[derive(Clone, Debug)]
pub enum Step {
    /// Own work (or, in a client span, the network), in microseconds.
    Own(u32),
    /// Another operation, [`Node::times`] times one after another.
    Call(Node),
    /// Another operation, [`Node::times`] times, at most this many at once.
    Parallel(u32, Node),
}

/// A consumer that runs after the messages it is for were sent.
#[derive(Clone, Debug)]
pub struct Follow {
    /// Label of the producers whose messages it consumes.
    pub producers: &'static str,
    /// Time in the queue, in microseconds.
    pub delay_us: u32,
    /// One consumer for all messages, with a link to each (else the program has one producer).
    pub node: Node,
}

/// Why an operation fails.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// `exception.type`.
    pub exception: &'static str,
    /// `exception.message` and status message.
    pub message: &'static str,
}

/// What an operation does.
#[derive(Clone, Debug)]
pub enum What {
    /// An HTTP request, sent or served.
    Http(Http),
    /// A gRPC call, sent or served.
    Rpc(Rpc),
    /// An SQL statement.
    Sql(Sql),
    /// A Redis command.
    Redis(Redis),
    /// A Kafka message, sent or processed.
    Message(Message),
    /// Anything else: a function, or a client without semantic conventions.
    Plain(Plain),
}

/// An HTTP request.
#[derive(Clone, Copy, Debug)]
pub struct Http {
    /// Method.
    pub method: &'static str,
    /// `http.route` of the server; empty where the server does not know it (a proxy).
    pub route: &'static str,
    /// Path and query with holes (see `semconv::fill`).
    pub target: &'static str,
    /// The called service or host.
    pub host: &'static str,
    /// Its port.
    pub port: u16,
}

/// A gRPC call.
#[derive(Clone, Copy, Debug)]
pub struct Rpc {
    /// Fully qualified service.
    pub service: &'static str,
    /// Method.
    pub method: &'static str,
    /// Display name; empty for `service/method`.
    pub display: &'static str,
    /// The called service.
    pub host: &'static str,
    /// Its port.
    pub port: u16,
}

/// An SQL statement.
#[derive(Clone, Copy, Debug)]
pub struct Sql {
    /// `postgresql` or `mysql`.
    pub system: &'static str,
    /// Database.
    pub database: &'static str,
    /// Verb.
    pub verb: &'static str,
    /// Table.
    pub table: &'static str,
    /// Statement with holes.
    pub text: &'static str,
    /// Display name; empty for the one of the conventions.
    pub display: &'static str,
    /// Over how many instances the database is sharded; 0 for a single one.
    pub instances: u32,
}

/// A Redis command.
#[derive(Clone, Copy, Debug)]
pub struct Redis {
    /// Command.
    pub command: &'static str,
    /// Key with holes, and further arguments.
    pub key: &'static str,
    /// Whether it is found; `None` where that says nothing.
    pub hit: Option<bool>,
}

/// A Kafka message.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Topic.
    pub topic: &'static str,
    /// Consumer group; empty for a producer.
    pub group: &'static str,
}

/// Anything else.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    /// Span name.
    pub name: &'static str,
    /// Attributes with holes.
    pub attributes: &'static [(&'static str, &'static str)],
}

impl What {
    /// The normalised name that alignment (§1 of its design) gives a span of this kind with our attributes; the truth
    /// speaks of operations by it. HTTP servers that know their route: `{method} {route}`; clients and proxies:
    /// `{method} {path}` without the query; in both, parameters and identifiers, which are whole path segments here, are
    /// `{}`. SQL: `{verb} {table}`. Redis: the command (it has no collection). gRPC: `{service}/{method}`. Kafka: `send`
    /// or `process` and the topic. Everything else: the span name, which never holds an identifier here.
    pub fn operation_name(&self, kind: Kind) -> String {
        match self {
            What::Http(http) if kind == Kind::Server && !http.route.is_empty() => {
                format!("{} {}", http.method, masked_path(http.route))
            }
            What::Http(http) => format!("{} {}", http.method, masked_path(http.target)),
            What::Rpc(rpc) => format!("{}/{}", rpc.service, rpc.method),
            What::Sql(sql) => format!("{} {}", sql.verb, sql.table),
            What::Redis(redis) => redis.command.to_owned(),
            What::Message(message) => {
                format!("{} {}", if kind == Kind::Producer { "send" } else { "process" }, message.topic)
            }
            What::Plain(plain) => plain.name.to_owned(),
        }
    }
}

fn masked_path(target: &str) -> String {
    let path = target.split('?').next().unwrap_or_default();
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

impl Node {
    /// An operation without steps.
    pub fn new(label: &'static str, service: &'static str, kind: Kind, what: What) -> Node {
        Node {
            label,
            service,
            kind,
            what,
            steps: Vec::new(),
            times: 1,
            flaky: 0,
            timeout_us: 0,
            failure: None,
            propagates: false,
            severed: false,
            tail: None,
            canary_factor: 1.0,
            follow: Vec::new(),
        }
    }

    /// The client's side of a call to `server`; half of `network_us` before it and half after.
    pub fn call(label: &'static str, service: &'static str, network_us: u32, server: Node) -> Node {
        let mut client = Node::new(label, service, Kind::Client, server.what.clone());
        client.propagates = true;
        client.own(network_us / 2).then(server).own(network_us / 2)
    }

    /// Then its own work, in microseconds.
    #[must_use]
    pub fn own(mut self, us: u32) -> Node {
        self.steps.push(Step::Own(us));
        self
    }

    /// Then another operation.
    #[must_use]
    pub fn then(mut self, node: Node) -> Node {
        self.steps.push(Step::Call(node));
        self
    }

    /// Then another operation [`Node::times`] times, `width` at once.
    #[must_use]
    pub fn parallel(mut self, width: u32, node: Node) -> Node {
        self.steps.push(Step::Parallel(width, node));
        self
    }

    /// So many times where it is called.
    #[must_use]
    pub fn times(mut self, times: u32) -> Node {
        self.times = times;
        self
    }

    /// So many of its runs fail at first, after `timeout_us`, and are tried again.
    #[must_use]
    pub fn flaky(mut self, flaky: u32, timeout_us: u32) -> Node {
        self.flaky = flaky;
        self.timeout_us = timeout_us;
        self
    }

    /// Afterwards `node` consumes what `producers` sent.
    #[must_use]
    pub fn followed_by(mut self, producers: &'static str, delay_us: u32, node: Node) -> Node {
        self.follow.push(Follow { producers, delay_us, node });
        self
    }

    /// Operations directly inside, in order, consumers last.
    pub fn children(&self) -> impl Iterator<Item = &Node> {
        let called = self.steps.iter().filter_map(|step| match step {
            Step::Own(_) => None,
            Step::Call(node) | Step::Parallel(_, node) => Some(node),
        });
        called.chain(self.follow.iter().map(|follow| &follow.node))
    }

    fn children_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        let called = self.steps.iter_mut().filter_map(|step| match step {
            Step::Own(_) => None,
            Step::Call(node) | Step::Parallel(_, node) => Some(node),
        });
        called.chain(self.follow.iter_mut().map(|follow| &mut follow.node))
    }

    /// The operation with this label here or below. Recursion ends with the program, which we wrote.
    pub fn find_mut(&mut self, label: &str) -> Option<&mut Node> {
        if self.label == label {
            return Some(self);
        }
        self.children_mut().find_map(|child| child.find_mut(label))
    }

    /// The operations from here to the one with this label, both included.
    pub fn path_to<'a>(&'a self, label: &str) -> Option<Vec<&'a Node>> {
        if self.label == label {
            return Some(vec![self]);
        }
        let mut path = self.children().find_map(|child| child.path_to(label))?;
        path.insert(0, self);
        Some(path)
    }

    /// Calls `each` for this operation and all below it. Recursion ends with the program, which we wrote.
    fn visit<'a>(&'a self, each: &mut dyn FnMut(&'a Node)) {
        each(self);
        self.children().for_each(|child| child.visit(each));
    }

    /// The same, to change them.
    fn visit_mut(&mut self, each: &mut dyn FnMut(&mut Node)) {
        each(self);
        self.children_mut().for_each(|child| child.visit_mut(each));
    }

    /// Makes every piece of its own work so many percent of what it is.
    pub fn slow_down(&mut self, percent: u32) {
        for step in &mut self.steps {
            if let Step::Own(us) = step {
                *us = *us * percent / 100;
            }
        }
    }

    /// Takes the step that calls this label out of the tree below.
    pub fn take_step(&mut self, label: &str) -> Option<Step> {
        let calls = |step: &Step| matches!(step, Step::Call(node) | Step::Parallel(_, node) if node.label == label);
        if let Some(at) = self.steps.iter().position(calls) {
            return Some(self.steps.remove(at));
        }
        self.children_mut().find_map(|child| child.take_step(label))
    }
}

impl Program {
    /// A system at its usual load.
    pub fn new(services: Vec<Service>, entries: Vec<Entry>) -> Program {
        Program {
            services,
            entries,
            scale: 1.0,
            slow_clock: None,
            unexported: None,
            gone_instance: None,
            canary: None,
            fleet: None,
        }
    }

    /// Calls `each` for every operation.
    pub fn visit<'a>(&'a self, each: &mut dyn FnMut(&'a Node)) {
        self.entries.iter().for_each(|entry| entry.node.visit(each));
    }

    /// Lets one service do the work of another, which is gone: calls to it go to the one that took it over.
    pub fn merge_service(&mut self, gone: &'static str, into: &'static str) {
        for entry in &mut self.entries {
            entry.node.visit_mut(&mut |node| {
                if node.service == gone {
                    node.service = into;
                }
                match &mut node.what {
                    What::Http(http) if http.host == gone => http.host = into,
                    What::Rpc(rpc) if rpc.host == gone => rpc.host = into,
                    _ => {}
                }
            });
        }
        self.services.retain(|service| service.name != gone);
    }

    /// Changes the operation with this label, in whatever entry it is.
    pub fn edit(&mut self, label: &str, edit: impl FnOnce(&mut Node)) {
        if let Some(node) = self.entries.iter_mut().find_map(|entry| entry.node.find_mut(label)) {
            edit(node);
        }
    }

    /// The operations from the entry point to the one with this label, both included.
    pub fn path_to(&self, label: &str) -> Option<Vec<&Node>> {
        self.entries.iter().find_map(|entry| entry.node.path_to(label))
    }

    /// The service with this name and its number.
    pub fn service(&self, name: &str) -> Option<(usize, &Service)> {
        self.services.iter().enumerate().find(|(_, service)| service.name == name)
    }
}
