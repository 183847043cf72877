//! Changes that only show in many traces, or that releases and updates of a whole system bring.

use super::changes::{Change, Expected, NEXT_VERSION, by_product, expect, expect_before, owner, release};
use super::fleet::Outage;
use super::program::Program;
use super::systems::Targets;

/// A canary's service runs on so many pods, one of which is newer.
const CANARY_PODS: u32 = 10;
/// A thousand of a leaf's calls have so many in the slow tail, which take so many times as long.
const TAIL: (u64, f64) = (30, 5.0);

/// Edits the two programs and says what a diff should find. Any other change is none.
pub fn edit(change: Change, before: &mut Program, after: &mut Program, t: &Targets) -> Vec<Expected> {
    match change {
        Change::QuietRelease => {
            release(after, t.slow);
            Vec::new()
        }
        Change::Canary => canary(before, after, t),
        Change::TailOnly => {
            after.edit(t.slow, |node| node.tail = Some(TAIL));
            vec![expect("slower", t.slow)]
        }
        Change::NoisyNeighbour => {
            after.scale = 1.03;
            after.entries.iter().take(1).map(|entry| expect("drift", entry.node.label)).collect()
        }
        Change::Paradox => paradox(after, t),
        Change::MonolithSplit => monolith_split(before, after, t),
        Change::Maintenance => maintenance(after, t),
        Change::MaintenanceTrial => {
            update(after, Outage::Lab);
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// The leaf of the target is asked once a request, so that no request meets both versions.
fn canary(before: &mut Program, after: &mut Program, t: &Targets) -> Vec<Expected> {
    let Some(service) = owner(after, t.canary) else { return Vec::new() };
    for program in [&mut *before, &mut *after] {
        for one in program.services.iter_mut().filter(|one| one.name == service) {
            one.replicas = CANARY_PODS;
        }
    }
    after.canary = Some((service, NEXT_VERSION));
    after.edit(t.canary, |node| node.canary_factor = 1.5);
    vec![expect("slower", t.canary)]
}

fn paradox(after: &mut Program, t: &Targets) -> Vec<Expected> {
    after.edit(t.slow, |node| node.slow_down(150));
    for entry in after.entries.iter_mut().skip(1) {
        entry.weight *= 4;
    }
    release(after, t.slow);
    let mix = after.entries.iter().take(1).map(|entry| expect("mix", entry.node.label));
    std::iter::once(expect("slower", t.slow)).chain(mix).collect()
}

fn monolith_split(before: &mut Program, after: &mut Program, t: &Targets) -> Vec<Expected> {
    let (part, monolith, label) = t.split;
    // Cutting a service in two is no rewrite in another language.
    if let Some((_, whole)) = after.service(monolith) {
        let (language, conventions) = (whole.language, whole.conventions);
        for service in after.services.iter_mut().filter(|service| service.name == part) {
            (service.language, service.conventions) = (language, conventions);
        }
    }
    before.merge_service(part, monolith);
    vec![expect("split", label)]
}

fn maintenance(after: &mut Program, t: &Targets) -> Vec<Expected> {
    update(after, Outage::Everywhere);
    if after.fleet.is_none() {
        return Vec::new();
    }
    vec![
        expect_before("instance_failing", t.sharded),
        expect_before("instance_failing", t.cache.0),
        by_product(expect_before("instance_gone", t.sharded)),
        by_product(expect_before("instance_gone", t.cache.0)),
        by_product(expect("failing", t.sharded)),
        by_product(expect("failing", t.cache.0)),
    ]
}

fn update(after: &mut Program, outage: Outage) {
    if let Some(fleet) = &mut after.fleet {
        fleet.update(outage);
    }
}
