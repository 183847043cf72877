//! The systems that traffic is generated for, and where each change hits them.

mod fleet;
mod messaging;
mod ride;
mod shop;

use super::program::{
    Conventions, Entry, Failure, Http, Language, Message, Node, Plain, Program, Redis, Rpc, Service, Sql, What,
};

/// A system to generate traffic for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Ride hailing: one request is exactly 50 spans.
    Ride,
    /// An online shop.
    Shop,
    /// Orders over Kafka.
    Messaging,
    /// Sites in twelve clusters with 1,300 databases.
    Fleet,
}

impl System {
    /// All systems.
    pub const ALL: [System; 4] = [System::Ride, System::Shop, System::Messaging, System::Fleet];

    /// Its name on the command line and in the truth.
    pub const fn name(self) -> &'static str {
        match self {
            System::Ride => "ride",
            System::Shop => "shop",
            System::Messaging => "messaging",
            System::Fleet => "fleet",
        }
    }

    /// The system with this name.
    pub fn from_name(name: &str) -> Option<System> {
        System::ALL.into_iter().find(|system| system.name() == name)
    }

    /// What it is, in a line.
    pub const fn description(self) -> &'static str {
        match self {
            System::Ride => "ride hailing: customer, drivers and ten routes; 50 spans a request",
            System::Shop => "online shop: gateway, catalogue, cart, stock, checkout, payment, rendered page",
            System::Messaging => "orders over Kafka: HTTP in, two consumers with links, outbox, batch consumer",
            System::Fleet => "hosted sites: 12 clusters, 600 MariaDB and 700 Redis instances, few with much traffic",
        }
    }

    /// Its program and where changes hit it.
    pub(super) fn build(self) -> (Program, Targets) {
        match self {
            System::Ride => ride::build(),
            System::Shop => shop::build(),
            System::Messaging => messaging::build(),
            System::Fleet => fleet::build(),
        }
    }
}

/// Where in a system each change takes place, by label; all in the main request.
#[derive(Clone, Debug)]
pub struct Targets {
    /// A leaf that gets slow.
    pub slow: &'static str,
    /// A statement that runs three times in a row.
    pub repeated: &'static str,
    /// A server that a proxy is put before.
    pub layer: &'static str,
    /// A plain operation with operations inside, and its new name.
    pub renamed: (&'static str, &'static str),
    /// An operation and, in the same service, its new caller.
    pub moved: (&'static str, &'static str),
    /// A leaf whose first try fails, and after how many microseconds.
    pub retried: (&'static str, u32),
    /// A cache hit, and what a miss needs.
    pub cache: (&'static str, Node),
    /// An operation with a parallel group.
    pub parallel: &'static str,
    /// A leaf that begins to fail.
    pub failing: (&'static str, Failure),
    /// A server with callees that begins to fail at once.
    pub early: (&'static str, Failure),
    /// A server that loses the context of its caller.
    pub severed: &'static str,
    /// A statement on a sharded database.
    pub sharded: &'static str,
    /// An operation, and the leaf that it calls in addition.
    pub added: (&'static str, Node),
    /// An operation whose calls come in another order.
    pub reordered: &'static str,
    /// A service whose clock is off.
    pub skewed: &'static str,
    /// Spans in the middle that are not exported.
    pub lost: &'static str,
    /// A leaf that its service asks once a request.
    pub canary: &'static str,
    /// A service, the one that it was part of, and the uppermost operation of the part.
    pub split: (&'static str, &'static str, &'static str),
}

fn service(name: &'static str, language: Language, conventions: Conventions, replicas: u32) -> Service {
    Service { name, version: "2.14.0", language, conventions, replicas }
}

fn entry(weight: u32, node: Node) -> Entry {
    Entry { weight, node }
}

fn http(method: &'static str, route: &'static str, target: &'static str, host: &'static str, port: u16) -> What {
    What::Http(Http { method, route, target, host, port })
}

fn rpc(service: &'static str, method: &'static str, host: &'static str, port: u16) -> What {
    What::Rpc(Rpc { service, method, display: "", host, port })
}

fn postgres(database: &'static str, verb: &'static str, table: &'static str, text: &'static str) -> Sql {
    Sql { system: "postgresql", database, verb, table, text, display: "", instances: 0 }
}

fn redis(command: &'static str, key: &'static str, hit: Option<bool>) -> What {
    What::Redis(Redis { command, key, hit })
}

fn message(topic: &'static str, group: &'static str) -> What {
    What::Message(Message { topic, group })
}

fn plain(name: &'static str, attributes: &'static [(&'static str, &'static str)]) -> What {
    What::Plain(Plain { name, attributes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(node: &Node, into: &mut Vec<&'static str>) {
        into.push(node.label);
        node.children().for_each(|child| labels(child, into));
    }

    #[test]
    fn labels_are_unique_and_every_target_and_service_exists() {
        for system in System::ALL {
            let (program, t) = system.build();
            let mut all = Vec::new();
            program.entries.iter().for_each(|entry| labels(&entry.node, &mut all));
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count, "{system:?}");
            for target in [
                t.slow,
                t.repeated,
                t.layer,
                t.renamed.0,
                t.moved.0,
                t.moved.1,
                t.retried.0,
                t.cache.0,
                t.parallel,
                t.failing.0,
                t.early.0,
                t.severed,
                t.sharded,
                t.added.0,
                t.reordered,
                t.lost,
                t.canary,
                t.split.2,
            ] {
                let path = program.path_to(target).unwrap_or_else(|| panic!("{system:?} has no {target}"));
                assert_eq!(path[0].label, program.entries[0].node.label, "{target} is in the main request");
                assert!(path.iter().all(|node| program.service(node.service).is_some()), "{target}");
            }
            for service in [t.skewed, t.split.0, t.split.1] {
                assert!(program.service(service).is_some());
            }
            assert!(program.entries.len() > 1);
        }
    }

    #[test]
    fn names_lead_back_to_systems() {
        for system in System::ALL {
            assert_eq!(System::from_name(system.name()), Some(system));
        }
        assert_eq!(System::from_name("bank"), None);
    }
}
