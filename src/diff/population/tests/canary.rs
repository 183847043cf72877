//! One instance against others: what it is slower by must exceed what they differ by.

use super::compare;
use crate::diff::effects::{Effect, Metric, Strength};
use crate::diff::kind::FindingKind;
use crate::diff::options::DiffOptions;
use crate::diff::types::{Diff, Finding, InputSide};
use crate::model::profile::{ONE, Profile, Sums, stable_hash};
use crate::model::{Kind, NO_PARENT, Operation, Pair};
use crate::stats::histogram::bin_of;

/// Nine pods that differ by 10 %: the standard deviation of these logarithms is 0.099.
const PODS: [f64; 9] = [-0.15, -0.1, -0.06, -0.03, 0.0, 0.03, 0.06, 0.1, 0.15];
const TRACES: u64 = 320;
/// Calls that a request makes to the back service.
const CALLS: usize = 10;

/// Who serves an entry point and what it calls: the logarithm of every pod's pace, by its name.
#[derive(Clone)]
struct Fleet {
    front: Vec<(String, f64)>,
    back: Vec<(String, f64)>,
    /// How long each call takes there, milliseconds.
    back_ms: f64,
}

fn pods(service: &str, paces: &[f64]) -> Vec<(String, f64)> {
    paces.iter().enumerate().map(|(number, &pace)| (format!("{service}-{number}"), pace)).collect()
}

/// A new pod that is so much slower.
fn canary(service: &str, slower: f64) -> Vec<(String, f64)> {
    vec![(format!("{service}-canary"), slower.ln())]
}

/// Numbers that look random (`SplitMix64`).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Requests by turns at all pods: 10 ms of the front's own, 20 ms in a call of an inner function, and the calls.
fn side(fleet: &Fleet, first: u64, traces: u64) -> Profile {
    let mut profile = Profile::default();
    let mut path = |parent: u32, service: &str, kind: Kind, name: &str| {
        let operation = Operation { service: service.into(), kind, name: name.into() };
        let operation = profile.operations.intern(operation);
        profile.path(parent, operation)
    };
    let entry = path(NO_PARENT, "front", Kind::Server, "GET /");
    let inner = path(entry, "front", Kind::Internal, "render");
    let calls: Vec<u32> = (0..CALLS).map(|n| path(entry, "back", Kind::Server, &format!("GET /stock/{n}"))).collect();
    for trace in first..first + traces {
        // Pods take turns by one number of the trace, times and shards are drawn by others.
        let draw = |salt: u64| mixed(trace * 64 + salt);
        let of = |pods: &[(String, f64)], salt: u64| {
            let turn = draw(salt) as usize % pods.len().max(1);
            pods.get(turn).cloned().unwrap_or_default()
        };
        let (front_pod, back_pod) = (of(&fleet.front, 0), of(&fleet.back, 1));
        // Three uniform numbers have a standard deviation of ½.
        let time = |pace: f64, ms: f64, salt: u64| {
            let unit = |part: u64| (draw(salt + 20 * part) >> 11) as f64 / (1u64 << 53) as f64;
            (1e6 * ms * (pace + 0.6 * ((0..3).map(unit).sum::<f64>() - 1.5)).exp()) as u64
        };
        let (own, inner_ns) = (time(front_pod.1, 10.0, 2), time(front_pod.1, 20.0, 3));
        let times: Vec<u64> = (6u64..).take(CALLS).map(|salt| time(back_pod.1, fleet.back_ms, salt)).collect();
        let whole = own + inner_ns + times.iter().sum::<u64>();
        let (shard, of_entry) = ((draw(5) % 32) as u8, (draw(5) % 64) as u8);
        add(&mut profile, entry, (own, whole), of_entry, &front_pod.0);
        add(&mut profile, inner, (inner_ns, inner_ns), shard, "");
        for (&call, ns) in calls.iter().zip(times) {
            add(&mut profile, call, (ns, ns), shard, &back_pod.0);
        }
        profile.totals.traces += 1;
        profile.totals.spans += 2 + CALLS as u64;
    }
    profile.seal();
    profile
}

fn add(profile: &mut Profile, node: u32, (own, whole): (u64, u64), shard: u8, pod: &str) {
    let key = profile.strings.intern("k8s.pod.name");
    let name = profile.strings.intern(pod);
    let Some(state) = profile.state_mut(node) else { return };
    let one = u128::from(ONE);
    let times = |ns: u64| u128::from(ns) * one;
    state.shards.shard_mut(shard).add(&Sums {
        traces: 1,
        weight: one,
        calls: one,
        critical_calls: one,
        critical_ns: times(own),
        self_ns: times(own),
        duration_ns: times(whole),
        children_ns: times(whole - own),
        covered_ns: times(whole - own),
        ..Sums::default()
    });
    state.self_time.add(shard, bin_of(own), ONE);
    state.duration.add(shard, bin_of(whole), ONE);
    if pod.is_empty() {
        return;
    }
    let pods = state.instances.key_mut(stable_hash(b"k8s.pod.name"), || key);
    if let Some(instance) = pods.instance_mut(stable_hash(pod.as_bytes()), || name) {
        instance.spans += 1;
        instance.weight += one;
        instance.bins += one * u128::from(bin_of(own));
    }
}

fn judged(before: &Fleet, after: &Fleet) -> Diff {
    let sides = Pair::new(side(before, 0, 9 * TRACES), side(after, 1_000_000, 3 * TRACES));
    compare(&sides, Pair::<InputSide>::default(), &DiffOptions::default())
}

/// What was found of the entry point's duration: the strongest of middle and tail.
fn entry(diff: &Diff) -> Strength {
    let times = |effect: &&Effect| matches!(effect.metric, Metric::Duration | Metric::P95);
    diff.entry_points[0].effects.iter().filter(times).map(|effect| effect.strength).max().unwrap()
}

/// Where times were found to have changed.
fn places(diff: &Diff) -> Vec<String> {
    let is_time = |it: &&Finding| matches!(it.kind, FindingKind::Slower | FindingKind::Faster);
    let found = diff.findings.iter().filter(is_time);
    found.filter_map(|finding| Some(finding.operation()?.to_string())).collect()
}

fn nameless(pods: &[(String, f64)]) -> Vec<(String, f64)> {
    pods.iter().map(|(_, pace)| (String::new(), *pace)).collect()
}

/// A canary of the front service, whose calls go where they went.
fn front(before: &[f64], slower: f64) -> (Fleet, Fleet) {
    let fleet = |front| Fleet { front, back: pods("back", &PODS), back_ms: 1.0 };
    (fleet(pods("front", before)), fleet(canary("front", slower)))
}

#[test]
fn a_canary_that_differs_as_the_others_do_is_no_finding() {
    for slower in [1.05, 1.12] {
        let (before, after) = front(&PODS, slower);
        let diff = judged(&before, &after);
        assert_eq!((entry(&diff), places(&diff)), (Strength::None, Vec::new()), "{slower}");
        assert!(diff.notes.iter().all(|note| note.code != "one_instance"));
    }
}

#[test]
fn without_names_nobody_knows_that_they_differ() {
    // The control of the test above: what is not found there would be found without the pods.
    let (before, after) = front(&PODS, 1.12);
    let hide = |fleet: &Fleet| Fleet { front: nameless(&fleet.front), back: nameless(&fleet.back), ..*fleet };
    let diff = judged(&hide(&before), &hide(&after));
    assert!(places(&diff).contains(&"front: render".to_owned()), "{:?}", places(&diff));
}

#[test]
fn a_canary_beyond_the_others_is_found_at_the_entry_point_and_at_the_path() {
    let (before, after) = front(&PODS, 1.6);
    let diff = judged(&before, &after);
    assert!(entry(&diff) >= Strength::Warn, "{:?}", diff.entry_points[0].effects);
    // The interval has room for one more pod: 2.3 · 0.079 · √(1 + 1/9) to each side, three quarters of the time and
    // more being the front's.
    let effect = diff.entry_points[0].effects[0];
    assert!((effect.estimate / effect.low).ln() > 0.17 && (effect.high / effect.estimate).ln() > 0.17, "{effect:?}");
    // Paths share their part of the error among more tests.
    let (before, after) = front(&PODS, 2.2);
    let found = places(&judged(&before, &after));
    assert!(found.contains(&"front: render".to_owned()) && found.contains(&"front: GET /".to_owned()), "{found:?}");
}

#[test]
fn alike_pods_make_a_canary_sharp() {
    let alike: Vec<f64> = PODS.iter().map(|pace| 0.1 * pace).collect();
    let (before, after) = front(&alike, 1.6);
    let diff = judged(&before, &after);
    assert_eq!(entry(&diff), Strength::Fail);
}

#[test]
fn a_canary_further_down_counts_at_the_entry_point_by_its_share() {
    let fleet = |back| Fleet { front: pods("front", &PODS), back, back_ms: 10.0 };
    let back = |slower: f64| judged(&fleet(pods("back", &PODS)), &fleet(canary("back", slower)));
    let diff = back(1.12);
    assert_eq!(entry(&diff), Strength::None);
    assert!(places(&diff).iter().all(|place| !place.starts_with("back: ")), "{:?}", places(&diff));
    let diff = back(1.8);
    assert!(entry(&diff) >= Strength::Warn, "{:?}", diff.entry_points[0].effects);
    assert!(places(&diff).iter().all(|place| place.starts_with("back: ")), "{:?}", places(&diff));
}

#[test]
fn one_against_one_or_against_few_only_warns() {
    for before in [&PODS[..1], &PODS[..4]] {
        let (before, after) = front(before, 2.0);
        let diff = judged(&before, &after);
        assert_eq!(entry(&diff), Strength::Warn);
        let at_front = diff.findings.iter().filter(|it| it.operation().is_some_and(|last| &*last.service == "front"));
        let strengths: Vec<Strength> =
            at_front.flat_map(|it| it.effects.iter().map(|effect| effect.strength)).collect();
        assert!(!strengths.is_empty() && strengths.iter().all(|&strength| strength <= Strength::Warn), "{strengths:?}");
        assert!(diff.notes.iter().any(|note| note.code == "one_instance"));
    }
}

#[test]
fn one_against_one_further_down_caps_what_it_explains() {
    let one = |back| Fleet { front: pods("front", &PODS), back, back_ms: 10.0 };
    let diff = judged(&one(pods("back", &[0.0])), &one(canary("back", 2.0)));
    assert_eq!(entry(&diff), Strength::Warn);
    // The same pod on both sides is no other machine: what it does later is the change's.
    let diff = judged(&one(canary("back", 1.0)), &one(canary("back", 2.0)));
    assert_eq!(entry(&diff), Strength::Fail);
    assert!(diff.notes.iter().all(|note| note.code != "one_instance"));
}
