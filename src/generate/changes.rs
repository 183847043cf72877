//! The changes: edits of a program on one side, each with the findings that a perfect diff would name.

use super::population_changes as population;
use super::program::{Conventions, Http, Language, Node, Program, Service, Step, What};
use super::systems::Targets;
use crate::model::{Kind, Side};

macro_rules! changes {
    ($($(#[doc = $doc:literal])* $variant:ident $name:literal $description:literal)*) => {
        /// What differs between the two sides.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Change {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Change {
            /// All changes.
            pub const ALL: &'static [Change] = &[$(Change::$variant),*];

            /// Its name on the command line and in the truth.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Change::$variant => $name,)*
                }
            }

            /// What it does, in a line.
            pub const fn description(self) -> &'static str {
                match self {
                    $(Change::$variant => $description,)*
                }
            }
        }
    };
}

changes! {
    /// Nothing.
    None "none" "nothing differs but chance"
    /// A leaf gets slow.
    SlowLeaf "slow-leaf" "one leaf does twice the work"
    /// A statement per row.
    NPlusOne "n-plus-one" "a statement runs 30 times in a row instead of 3"
    /// One call more.
    AddedCall "added-call" "one leaf is called in addition"
    /// A proxy enters.
    LayerAdded "layer-added" "a proxy stands between a caller and its callee"
    /// A proxy leaves.
    LayerRemoved "layer-removed" "a proxy between a caller and its callee is gone"
    /// Another ingress.
    IngressMigration "ingress-migration" "traefik at the root is replaced by envoy, with a sidecar as a further layer"
    /// Another name.
    Renamed "renamed" "an operation with others inside has a new name"
    /// Another caller.
    Moved "moved" "a call with all below it is made by another operation"
    /// A first try fails.
    Retry "retry" "the first try of a call times out and is repeated"
    /// The cache is cold.
    LostCache "lost-cache" "a cache hit becomes a miss and a database query"
    /// One after another.
    Serialized "serialized" "calls that ran in parallel run one after another"
    /// A leaf fails.
    NewError "new-error" "a leaf fails, and with it its callers below the entry point"
    /// A service fails at once.
    FailsEarly "fails-early" "a service fails at once: faster, and without its callees"
    /// Context is lost.
    ContextLost "context-lost" "a service starts traces of its own instead of continuing its caller's"
    /// A database is gone.
    InstanceGone "instance-gone" "one of the database's instances is not called any more"
    /// Everything is slower.
    Drift "drift" "everything takes 1.04 times as long"
    /// Other traffic.
    Mix "mix" "the entry points' shares of the traffic change"
    /// Newer instrumentation.
    SdkUpgrade "sdk-upgrade" "old semantic conventions, names and SDKs become new ones"
    /// A clock is off.
    ClockSkew "clock-skew" "one service's clock is 350 ms behind"
    /// Spans are missing.
    Orphans "orphans" "some spans in the middle were not exported"
    /// Another order.
    Reorder "reorder" "independent calls come in another order"
    /// A release without effect.
    QuietRelease "quiet-release" "a new version of a service does what the old one did"
    /// One pod is newer.
    Canary "canary" "one of ten pods of a service runs a new version with a slow leaf: one population in all.*"
    /// A slow tail.
    TailOnly "tail-only" "3 % of a leaf's calls take five times as long"
    /// A busy neighbour.
    NoisyNeighbour "noisy-neighbour" "everything takes 1.03 times as long"
    /// Simpson's paradox.
    Paradox "paradox" "a leaf does 1.5 times the work, and traffic moves to the cheaper entry points"
    /// A service is cut in two.
    MonolithSplit "monolith-split" "a service is cut in two that do the same work"
    /// Databases are lost.
    Maintenance "maintenance" "an update takes 230 of a fleet's databases: calls to them fail, then stop"
    /// The trial of the same.
    MaintenanceTrial "maintenance-trial" "the same update on the fleet's lab cluster: 25 databases, none of them affected"
}

impl Change {
    /// The change with this name.
    pub fn from_name(name: &str) -> Option<Change> {
        Change::ALL.iter().copied().find(|change| change.name() == name)
    }

    /// Whether both sides are one population, to be told apart by `service.version`.
    pub const fn is_one_population(self) -> bool {
        matches!(self, Change::Canary)
    }

    /// Whether somebody released another version of a service, as opposed to what happens to it.
    const fn is_a_release(self) -> bool {
        matches!(
            self,
            Change::TailOnly
                | Change::SlowLeaf
                | Change::NPlusOne
                | Change::AddedCall
                | Change::Renamed
                | Change::Moved
                | Change::Serialized
                | Change::ContextLost
        )
    }
}

/// A finding that a perfect diff would name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Kind of finding.
    pub kind: &'static str,
    /// Label of the operation at which it stands.
    pub label: &'static str,
    /// The side whose path it stands on.
    pub side: Side,
    /// Whether it must be named; a by-product may be explained by another finding.
    pub required: bool,
}

/// A finding on the after side that must be named.
pub(super) const fn expect(kind: &'static str, label: &'static str) -> Expected {
    Expected { kind, label, side: Side::After, required: true }
}

/// A finding on the before side that must be named.
pub(super) const fn expect_before(kind: &'static str, label: &'static str) -> Expected {
    Expected { kind, label, side: Side::Before, required: true }
}

pub(super) const fn by_product(expected: Expected) -> Expected {
    Expected { required: false, ..expected }
}

/// Edits the two programs, which are equal at first, and says what a diff should find.
pub fn apply(change: Change, before: &mut Program, after: &mut Program, targets: &Targets) -> Vec<Expected> {
    let expected = edit(change, before, after, targets);
    if change.is_a_release()
        && let Some(changed) = expected.first()
    {
        release(after, changed.label);
    }
    expected
}

/// The next version of a service.
pub(super) const NEXT_VERSION: &str = "2.15.0";

/// Gives the service whose code changed its next version.
pub(super) fn release(after: &mut Program, label: &str) {
    let changed = owner(after, label);
    for service in after.services.iter_mut().filter(|service| Some(service.name) == changed) {
        service.version = NEXT_VERSION;
    }
}

/// The service whose code is behind an operation: its own or, for an outgoing call, its caller's.
pub(super) fn owner(program: &Program, label: &str) -> Option<&'static str> {
    let path = program.path_to(label).unwrap_or_default();
    path.iter().rev().find(|node| !node.kind.is_outgoing()).map(|node| node.service)
}

fn edit(change: Change, before: &mut Program, after: &mut Program, t: &Targets) -> Vec<Expected> {
    match change {
        Change::None => Vec::new(),
        Change::SlowLeaf => slow_leaf(after, t),
        Change::NPlusOne => {
            after.edit(t.repeated, |node| node.times *= 10);
            vec![expect("calls_up", t.repeated)]
        }
        Change::AddedCall => added_call(after, t),
        Change::LayerAdded => {
            add_proxy(after, t.layer);
            vec![expect("layer_added", "proxy.server")]
        }
        Change::LayerRemoved => {
            add_proxy(before, t.layer);
            vec![expect_before("layer_removed", "proxy.server")]
        }
        Change::IngressMigration => ingress_migration(before, after),
        Change::Renamed => renamed(after, t),
        Change::Moved => moved(after, t),
        Change::Retry => {
            after.edit(t.retried.0, |node| (node.flaky, node.timeout_us) = (1, t.retried.1));
            vec![expect("calls_up", t.retried.0)]
        }
        Change::LostCache => lost_cache(after, t),
        Change::Serialized => serialized(after, t),
        Change::NewError => new_error(after, t),
        Change::FailsEarly => fails_early(before, after, t),
        Change::ContextLost => {
            after.edit(t.severed, |node| node.severed = true);
            vec![expect_before("context_lost", t.severed)]
        }
        Change::InstanceGone => {
            after.gone_instance = Some(7);
            vec![expect_before("instance_gone", t.sharded)]
        }
        Change::Drift => {
            after.scale = 1.04;
            after.entries.iter().take(1).map(|entry| expect("drift", entry.node.label)).collect()
        }
        Change::Mix => mix(after),
        Change::SdkUpgrade => {
            before.services.iter_mut().for_each(|service| service.conventions = Conventions::Old);
            after.services.iter_mut().for_each(|service| service.conventions = Conventions::New);
            Vec::new()
        }
        Change::ClockSkew => {
            after.slow_clock = Some((t.skewed, 350_000_000));
            Vec::new()
        }
        Change::Orphans => {
            after.unexported = Some(t.lost);
            vec![by_product(expect_before("removed", t.lost))]
        }
        Change::Reorder => {
            after.edit(t.reordered, reverse_calls);
            Vec::new()
        }
        _ => population::edit(change, before, after, t),
    }
}

fn slow_leaf(after: &mut Program, t: &Targets) -> Vec<Expected> {
    after.edit(t.slow, |node| node.slow_down(200));
    vec![expect("slower", t.slow)]
}

fn added_call(after: &mut Program, t: &Targets) -> Vec<Expected> {
    let (parent, ref leaf) = t.added;
    after.edit(parent, |node| {
        let last = node.steps.len().saturating_sub(1);
        node.steps.insert(last, Step::Call(leaf.clone()));
    });
    vec![expect("added", leaf.label)]
}

fn proxy_service(name: &'static str) -> Service {
    Service { name, version: "1.35.0", language: Language::Cpp, conventions: Conventions::New, replicas: 2 }
}

/// A proxy's server span and client span around `server`. It knows the path, but no route.
fn proxied(labels: (&'static str, &'static str), service: &'static str, server: Node) -> Node {
    let what = match server.what {
        What::Http(http) => What::Http(Http { route: "", ..http }),
        ref other => other.clone(),
    };
    let mut client = Node::new(labels.1, service, Kind::Client, what.clone());
    client.propagates = true;
    let client = client.own(900).then(server).own(900);
    let mut proxy = Node::new(labels.0, service, Kind::Server, what);
    proxy.propagates = true;
    proxy.own(700).then(client).own(500)
}

fn add_proxy(program: &mut Program, label: &'static str) {
    program.services.push(proxy_service("edge-proxy"));
    program.edit(label, |node| {
        *node = proxied(("proxy.server", "proxy.client"), "edge-proxy", node.clone());
    });
}

fn ingress_migration(before: &mut Program, after: &mut Program) -> Vec<Expected> {
    let ingress = ("ingress.server", "ingress.client");
    before.services.insert(0, proxy_service("traefik"));
    if let Some(entry) = before.entries.first_mut() {
        entry.node = proxied(ingress, "traefik", entry.node.clone());
    }
    after.services.insert(0, proxy_service("envoy-sidecar"));
    after.services.insert(0, proxy_service("envoy"));
    if let Some(entry) = after.entries.first_mut() {
        let inner = proxied(("sidecar.server", "sidecar.client"), "envoy-sidecar", entry.node.clone());
        entry.node = proxied(ingress, "envoy", inner);
    }
    vec![expect("renamed", ingress.0), expect("layer_added", "sidecar.server")]
}

fn renamed(after: &mut Program, t: &Targets) -> Vec<Expected> {
    let (label, name) = t.renamed;
    after.edit(label, |node| {
        if let What::Plain(plain) = &mut node.what {
            plain.name = name;
        }
    });
    vec![expect("renamed", label)]
}

fn moved(after: &mut Program, t: &Targets) -> Vec<Expected> {
    let (label, caller) = t.moved;
    let taken = after.entries.first_mut().and_then(|entry| entry.node.take_step(label));
    after.edit(caller, |node| {
        if let Some(step) = taken {
            node.steps.insert(1, step);
        }
    });
    vec![expect("moved", label)]
}

fn lost_cache(after: &mut Program, t: &Targets) -> Vec<Expected> {
    let (label, ref query) = t.cache;
    after.edit(label, |node| {
        if let What::Redis(redis) = &mut node.what {
            redis.hit = Some(false);
        }
    });
    let parent = parent_of(after, label);
    after.edit(parent, |node| {
        let calls = |step: &Step| matches!(step, Step::Call(callee) if callee.label == label);
        if let Some(at) = node.steps.iter().position(calls) {
            node.steps.insert(at + 1, Step::Call(query.clone()));
        }
    });
    vec![expect("added", query.label)]
}

fn serialized(after: &mut Program, t: &Targets) -> Vec<Expected> {
    after.edit(t.parallel, |node| {
        for step in &mut node.steps {
            if let Step::Parallel(width, _) = step {
                *width = 1;
            }
        }
    });
    vec![expect("serialized", t.parallel)]
}

fn new_error(after: &mut Program, t: &Targets) -> Vec<Expected> {
    let (label, failure) = t.failing;
    let path = after.path_to(label).unwrap_or_default();
    let callers: Vec<&'static str> = path.iter().skip(1).map(|node| node.label).collect();
    for caller in callers {
        after.edit(caller, |node| node.propagates = true);
    }
    after.edit(label, |node| node.failure = Some(failure));
    vec![expect("failing", label)]
}

fn fails_early(before: &Program, after: &mut Program, t: &Targets) -> Vec<Expected> {
    let (label, failure) = t.early;
    after.edit(label, |node| {
        node.failure = Some(failure);
        node.steps = vec![Step::Own(400)];
    });
    let mut expected = vec![expect("failing", label), by_product(expect("faster", label))];
    let callees = before.path_to(label).and_then(|path| path.last().copied()).into_iter().flat_map(Node::children);
    expected.extend(callees.map(|callee| expect_before("removed", callee.label)));
    expected
}

fn mix(after: &mut Program) -> Vec<Expected> {
    if let [first, second, ..] = after.entries.as_mut_slice() {
        std::mem::swap(&mut first.weight, &mut second.weight);
    }
    after.entries.iter().take(1).map(|entry| expect("mix", entry.node.label)).collect()
}

fn reverse_calls(node: &mut Node) {
    let mut calls: Vec<Step> = node.steps.iter().filter(|step| !matches!(step, Step::Own(_))).cloned().collect();
    for step in &mut node.steps {
        if !matches!(step, Step::Own(_))
            && let Some(last) = calls.pop()
        {
            *step = last;
        }
    }
}

fn parent_of(program: &Program, label: &str) -> &'static str {
    let path = program.path_to(label).unwrap_or_default();
    path.iter().rev().nth(1).map_or("", |node| node.label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::systems::System;

    #[test]
    fn names_lead_back_to_changes() {
        for &change in Change::ALL {
            assert_eq!(Change::from_name(change.name()), Some(change));
            assert!(!change.description().is_empty());
        }
        assert_eq!(Change::from_name("surprise"), None);
    }

    #[test]
    fn every_expected_operation_is_on_its_side() {
        for system in System::ALL {
            for &change in Change::ALL {
                let (mut before, targets) = system.build();
                let mut after = before.clone();
                for expected in apply(change, &mut before, &mut after, &targets) {
                    let program = if expected.side == Side::Before { &before } else { &after };
                    assert!(program.path_to(expected.label).is_some(), "{system:?} {change:?} {expected:?}");
                }
            }
        }
    }

    #[test]
    fn a_reversed_node_does_the_same_calls_in_another_order() {
        let (program, targets) = System::Ride.build();
        let mut node = program.path_to(targets.reordered).unwrap().last().copied().unwrap().clone();
        let labels = |node: &Node| node.children().map(|child| child.label).collect::<Vec<_>>();
        assert_eq!(labels(&node), ["mysql.tariffs", "mysql.surcharges"]);
        reverse_calls(&mut node);
        assert_eq!(labels(&node), ["mysql.surcharges", "mysql.tariffs"]);
    }
}
