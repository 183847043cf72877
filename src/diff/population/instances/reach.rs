//! Which instances a side could have called at all: a test on one cluster says nothing about the databases of others.

use super::pool::{Member, Pool};
use crate::diff::population::work::{SIDES, Work};
use crate::model::{Pair, Side};
use std::collections::{BTreeMap, BTreeSet};

/// Where a caller runs. Versions and hosts are no places: they change with what is deployed.
const PLACES: [&str; 5] = [
    "k8s.cluster.name",
    "k8s.namespace.name",
    "cloud.region",
    "cloud.availability_zone",
    "deployment.environment.name",
];

/// A key of a place and one of its values.
pub(super) type Place<'a> = (&'a str, &'a str);

/// The places from which every service was seen to run, by service.
pub(super) struct Reach<'a> {
    services: BTreeMap<&'a str, Pair<BTreeSet<Place<'a>>>>,
}

impl<'a> Reach<'a> {
    pub fn new(work: &'a Work<'_>) -> Reach<'a> {
        let mut services: BTreeMap<&'a str, Pair<BTreeSet<Place<'a>>>> = BTreeMap::new();
        for side in SIDES {
            for node in work.nodes(side) {
                let (Some(state), Some(operation)) = (work.state(side, node), work.operation_at(side, node)) else {
                    continue;
                };
                let places = services.entry(&operation.service).or_default().get_mut(side);
                for (_, instances) in state.instances.iter() {
                    for (_, instance) in instances.iter() {
                        let shared = instance.shared.values().filter_map(|&(key, value)| Some((key, value?)));
                        let texts = shared.map(|(key, value)| (work.text(side, key), work.text(side, value)));
                        places.extend(texts.filter(|(key, _)| PLACES.contains(key)));
                    }
                }
            }
        }
        Reach { services }
    }

    /// The place from which an instance was called on one side, and at which none of its callers runs on the other,
    /// though they run at other such places; `None` for an instance that could have been called.
    pub fn beyond(&self, work: &Work<'_>, pool: &Pool<'a>, member: &Member<'a>, from: Side) -> Option<Place<'a>> {
        let callers = member.ways.get(from).values().filter_map(|&(caller, _)| pool.callers.get(caller));
        let services: BTreeSet<&str> = callers
            .filter_map(|caller| work.operation_at(from.other(), *caller.nodes.get(from.other())))
            .map(|operation| &*operation.service)
            .collect();
        let places = member.seen.get(from).shared.iter().filter_map(|(&key, &value)| Some((key, value?)));
        places.filter(|(key, _)| PLACES.contains(key)).find(|place| {
            !services.is_empty() && services.iter().all(|&service| self.is_missing(service, *place, from.other()))
        })
    }

    fn is_missing(&self, service: &str, place: Place<'a>, side: Side) -> bool {
        let Some(seen) = self.services.get(service) else { return false };
        let seen = seen.get(side);
        !seen.contains(&place) && seen.iter().any(|(key, _)| *key == place.0)
    }
}
