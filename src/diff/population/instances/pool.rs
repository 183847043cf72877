//! All instances of one key, gathered from every call path that speaks of them.

use crate::align::MatchReason;
use crate::diff::population::work::{SIDES, Work};
use crate::model::profile::{Instance, InstanceKey, PathState, Profile};
use crate::model::{Pair, Side};
use std::collections::BTreeMap;

/// Beginnings of the keys that name a process or the machine below it. They change with every rollout.
const PROCESS_KEYS: [&str; 8] = [
    "service.instance.",
    "k8s.pod.",
    "k8s.replicaset.",
    "k8s.node.",
    "container.",
    "host.",
    "process.",
    "faas.instance",
];

/// Whether instances of this key are processes, which come and go, and not peers that are called.
pub(super) fn is_process_key(key: &str) -> bool {
    key.split('/').all(|part| PROCESS_KEYS.iter().any(|prefix| part.starts_with(prefix)))
}

/// One call path of both sides that speaks of instances.
pub(super) struct Caller<'a> {
    /// Its nodes.
    pub nodes: Pair<u32>,
    /// Its entry point: traces of different entry points are different traces.
    pub entry: u32,
    pub states: Pair<&'a PathState>,
}

/// What one side says about one instance.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen<'a> {
    /// Traces that called it, at least: of the paths below one entry point only the one that most traces took counts.
    pub traces: f64,
    pub spans: u64,
    pub failed: u64,
    pub first_ns: u64,
    pub last_ns: u64,
    pub last_good_ns: u64,
    /// What is the same for all its spans; `None` for a key with several values.
    pub shared: BTreeMap<&'a str, Option<&'a str>>,
}

/// One instance on both sides.
#[derive(Clone, Debug, Default)]
pub(super) struct Member<'a> {
    pub name: &'a str,
    pub seen: Pair<Seen<'a>>,
    /// Where it was called from, for each side and entry point: the path (an index into [`Pool::callers`]) that most
    /// of its traces took, and how many.
    pub ways: Pair<BTreeMap<u32, (usize, f64)>>,
}

/// The instances of one key, sorted by name.
pub(super) struct Pool<'a> {
    pub key: &'a str,
    /// The service whose processes they are; empty for peers.
    pub service: String,
    pub members: Vec<Member<'a>>,
    pub callers: Vec<Caller<'a>>,
    /// Traces with an instance, over all instances, of each caller on each side.
    traffic: Vec<Pair<f64>>,
    /// Whether there were more instances than a profile keeps.
    pub more: bool,
}

/// Where a caller's instances are put: the key, and for processes their service.
type Place = (String, String);

/// All pools of a comparison, in order of key and service.
pub(super) fn gather<'a>(work: &'a Work<'_>) -> Vec<Pool<'a>> {
    let mut callers: BTreeMap<Place, Vec<Caller<'a>>> = BTreeMap::new();
    for nodes in work.matched() {
        let (Some(before), Some(after)) =
            (work.state(Side::Before, nodes.before), work.state(Side::After, nodes.after))
        else {
            continue;
        };
        let states = Pair::new(before, after);
        let split = calls_another_service(work, nodes);
        for key in keys_of(work, states) {
            if split && !is_process_key(&key) {
                // Another service has another address: told by what was split.
                continue;
            }
            let service = if is_process_key(&key) {
                work.operation_at(Side::After, nodes.after).map_or_else(String::new, |known| known.service.to_string())
            } else {
                String::new()
            };
            let caller = Caller { nodes, entry: work.entry(Side::Before, nodes.before), states };
            callers.entry((key, service)).or_default().push(caller);
        }
    }
    let profiles = Pair::new(&*work.profiles.before, &*work.profiles.after);
    callers.into_iter().filter_map(|((key, service), callers)| pool(profiles, &key, service, callers)).collect()
}

/// Whether what is called went to another service.
fn calls_another_service(work: &Work<'_>, nodes: Pair<u32>) -> bool {
    work.trees.after.children(nodes.after).any(|child| work.is_match(Side::After, child, MatchReason::Split))
}

/// The keys that name instances at a path: of a caller those it calls, of everything else also its own process.
fn keys_of(work: &Work<'_>, states: Pair<&PathState>) -> Vec<String> {
    let mut keys: Vec<String> = SIDES
        .into_iter()
        .flat_map(|side| states.get(side).instances.iter().map(move |(key, _)| work.text(side, key).to_owned()))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Gathers the instances of one key; `None` when nobody names the key after all.
pub(super) fn pool<'a>(
    profiles: Pair<&'a Profile>,
    key: &str,
    service: String,
    callers: Vec<Caller<'a>>,
) -> Option<Pool<'a>> {
    let known = |side: Side| profiles.get(side).strings.find(key).map(|symbol| profiles.get(side).strings.get(symbol));
    let key = known(Side::Before).or(known(Side::After))?;
    let traffic = vec![Pair::default(); callers.len()];
    let mut pool = Pool { key, service, members: Vec::new(), callers, traffic, more: false };
    let limit = highest_hash(&pool);
    pool.more = limit < u64::MAX;
    let mut by_name: BTreeMap<&'a str, Member<'a>> = BTreeMap::new();
    for (number, caller) in pool.callers.iter().enumerate() {
        for side in SIDES {
            let (profile, state) = (*profiles.get(side), *caller.states.get(side));
            let Some(instances) = state.instances.get(key) else { continue };
            let total = state.shards.total();
            let weight = total.weight as f64 / total.traces.max(1) as f64;
            for (_, instance) in instances.iter().take_while(|&(hash, _)| hash <= limit) {
                let name = profile.strings.get(instance.name);
                let member = by_name.entry(name).or_insert_with(|| Member { name, ..Member::default() });
                let traces = if weight > 0.0 { instance.weight as f64 / weight } else { 0.0 };
                let way = member.ways.get_mut(side).entry(caller.entry).or_insert((number, 0.0));
                if traces > way.1 {
                    *way = (number, traces);
                }
                member.seen.get_mut(side).add(profile, instance);
                if let Some(traffic) = pool.traffic.get_mut(number) {
                    *traffic.get_mut(side) += traces;
                }
            }
        }
    }
    for member in by_name.values_mut() {
        for side in SIDES {
            member.seen.get_mut(side).traces = member.ways.get(side).values().map(|way| way.1).sum();
        }
    }
    pool.members = by_name.into_values().collect();
    Some(pool)
}

/// The hash up to which every path kept its instances: of those above it a side may know some by chance only.
fn highest_hash(pool: &Pool<'_>) -> u64 {
    let kept = |state: &PathState| {
        let last = |instances: &InstanceKey| instances.iter().last().map_or(u64::MAX, |(hash, _)| hash);
        state.instances.get(pool.key).filter(|instances| instances.more).map_or(u64::MAX, last)
    };
    let limits = pool.callers.iter().flat_map(|caller| SIDES.map(|side| kept(caller.states.get(side))));
    limits.min().unwrap_or(u64::MAX)
}

impl<'a> Seen<'a> {
    fn add(&mut self, profile: &'a Profile, instance: &Instance) {
        let texts =
            |(key, value): &(_, Option<_>)| (profile.strings.get(*key), value.map(|value| profile.strings.get(value)));
        if self.spans == 0 {
            (self.first_ns, self.shared) = (instance.first_ns, instance.shared.values().map(texts).collect());
        } else {
            self.first_ns = self.first_ns.min(instance.first_ns);
            for (key, value) in instance.shared.values().map(texts) {
                let held = self.shared.entry(key).or_insert(value);
                if *held != value {
                    *held = None;
                }
            }
        }
        self.spans += instance.spans;
        self.failed += instance.failed;
        self.last_ns = self.last_ns.max(instance.last_ns);
        self.last_good_ns = self.last_good_ns.max(instance.last_good_ns);
    }
}

impl Pool<'_> {
    /// How often the other side could have called what this side called, by caller: the ratio of the traces with any
    /// instance. A path that is taken less often expects less, whatever the reason.
    pub fn ratio(&self, from: Side, caller: usize) -> f64 {
        let traffic = self.traffic.get(caller).copied().unwrap_or_default();
        if *traffic.get(from) > 0.0 { traffic.get(from.other()) / traffic.get(from) } else { 0.0 }
    }
}
