//! Instances on profiles that are built by hand: one entry point, one call path per caller, traces spread over time.

use super::super::unify::unify;
use super::super::work::Work;
use super::*;
use crate::diff::draft::Draft;
use crate::diff::kind::FindingKind;
use crate::diff::options::DiffOptions;
use crate::model::profile::{Bucket, Exemplar, ONE, Profile, stable_hash};
use crate::model::{Kind, NO_PARENT, Operation, SpanId, TraceId};

const SECOND: u64 = 1_000_000_000;
/// When the before side begins: 2023-11-14 22:13:20 UTC. It lasts an hour, and so does the after side behind it.
const BEFORE: u64 = 1_700_000_000 * SECOND;
const HOUR: u64 = 3_600 * SECOND;
const AFTER: u64 = BEFORE + HOUR;

/// Pseudo-random numbers: a counter through the hash of the profiles.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 += 1;
        stable_hash(&self.0.to_le_bytes())
    }

    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// One side while it is filled.
struct Side1 {
    profile: Profile,
    start_ns: u64,
    traces: u64,
}

fn side(start_ns: u64) -> Side1 {
    let mut profile = Profile::default();
    profile.totals.window_ns = Some((start_ns, start_ns + HOUR));
    Side1 { profile, start_ns, traces: 0 }
}

impl Side1 {
    /// One trace with one call to an instance, `at` of the hour, made by the client operation `client`.
    fn call(&mut self, client: &str, key: &str, name: &str, at: f64, failed: bool, shared: &[(&str, &str)]) {
        self.traces += 1;
        let start_ns = self.start_ns + (at * HOUR as f64) as u64;
        let mut operation = |kind, name: &str| {
            self.profile.operations.intern(Operation { service: "api".into(), kind, name: name.into() })
        };
        let (entry, client) = (operation(Kind::Server, "GET /"), operation(Kind::Client, client));
        let entry = self.profile.path(NO_PARENT, entry);
        let client = self.profile.path(entry, client);
        let mut symbol = |text: &str| self.profile.strings.intern(text);
        let (key_symbol, name_symbol) = (symbol(key), symbol(name));
        let shared: Vec<_> =
            shared.iter().map(|(key, value)| (stable_hash(key.as_bytes()), symbol(key), symbol(value))).collect();
        for path in [entry, client] {
            let state = self.profile.state_mut(path).unwrap();
            let sums = state.shards.shard_mut((self.traces % 32) as u8);
            sums.traces += 1;
            sums.weight += u128::from(ONE);
            sums.calls += u128::from(ONE);
            state.timeline.add(start_ns, &Bucket { weight: u128::from(ONE), ..Bucket::default() });
        }
        let state = self.profile.state_mut(client).unwrap();
        let exemplar = Exemplar {
            trace_id: TraceId(u128::from(self.traces)),
            span_id: SpanId(self.traces),
            start_ns,
            duration_ns: 1_000,
        };
        state.exemplars.add(&exemplar, failed);
        let instances = state.instances.key_mut(stable_hash(key.as_bytes()), || key_symbol);
        if let Some(instance) = instances.instance_mut(stable_hash(name.as_bytes()), || name_symbol) {
            instance.spans += 1;
            instance.failed += u64::from(failed);
            instance.weight += u128::from(ONE);
            instance.first_ns = instance.first_ns.min(start_ns);
            instance.last_ns = instance.last_ns.max(start_ns);
            if !failed {
                instance.last_good_ns = instance.last_good_ns.max(start_ns);
            }
            for (hash, key, value) in shared {
                instance.share(hash, key, Some(value));
            }
        }
        self.profile.totals.traces += 1;
    }

    /// A span of a process in a cluster: its callers run there, whether or not they call what is there.
    fn pod(&mut self, cluster: &str, at: f64) {
        let operation = Operation { service: "api".into(), kind: Kind::Server, name: "GET /".into() };
        let operation = self.profile.operations.intern(operation);
        let entry = self.profile.path(NO_PARENT, operation);
        let mut symbol = |text: &str| (stable_hash(text.as_bytes()), self.profile.strings.intern(text));
        let (pod, place, cluster) = (symbol("k8s.pod.name"), symbol("k8s.cluster.name"), symbol(cluster));
        let instances = &mut self.profile.state_mut(entry).unwrap().instances;
        let instance = instances.key_mut(pod.0, || pod.1).instance_mut(cluster.0, || cluster.1).unwrap();
        instance.spans += 1;
        instance.weight += u128::from(ONE);
        instance.last_ns = instance.last_ns.max(self.start_ns + (at * HOUR as f64) as u64);
        instance.share(place.0, place.1, Some(cluster.1));
    }
}

fn found(before: Side1, after: Side1) -> (Vec<Draft>, Vec<Note>) {
    found_at(0.05, before, after)
}

/// Instances have a fiftieth of the false discovery rate `q` of all families.
fn found_at(q: f64, before: Side1, after: Side1) -> (Vec<Draft>, Vec<Note>) {
    let options = DiffOptions::default();
    let work = Work::new(unify(&Pair::new(before.profile, after.profile)), &options, q);
    let mut drafts = Drafts::new(work.trees.as_ref().map(crate::align::Tree::len));
    let notes = find(&work, &mut drafts);
    (drafts.list, notes)
}

const DATABASE: &str = "server.address/db.namespace";

fn database(number: usize) -> (String, [(&'static str, String); 3]) {
    // 13 clusters of 100 databases; the region says less than the cluster.
    let cluster = number % 13;
    let shared = [
        ("k8s.cluster.name", format!("c{cluster}")),
        ("cloud.region", if cluster < 6 { "eu" } else { "us" }.to_owned()),
        ("db.system.name", "mariadb".to_owned()),
    ];
    (format!("10.0.{cluster}.{}/db-{number:04}", number / 13), shared)
}

/// Calls of databases by Zipf's law; those that `state` calls gone are not called, the others fail as it says.
fn zipf(side: &mut Side1, random: &mut Random, spans: usize, state: impl Fn(usize, f64) -> Option<bool>) {
    let weights: Vec<f64> = (1..=1_300).map(|rank| 1.0 / f64::from(rank)).collect();
    let total: f64 = weights.iter().sum();
    let sums: Vec<f64> = weights
        .iter()
        .scan(0.0, |sum, weight| {
            *sum += weight / total;
            Some(*sum)
        })
        .collect();
    for _ in 0..spans {
        let (pick, at) = (random.share(), random.share());
        // A rank is some database: 7 has no divisor in common with 1,300.
        let number = sums.partition_point(|&sum| sum < pick).min(1_299) * 7 % 1_300;
        let (name, shared) = database(number);
        side.pod(&shared[0].1, at);
        if let Some(failed) = state(number, at) {
            let shared: Vec<(&str, &str)> = shared.iter().map(|(key, value)| (*key, value.as_str())).collect();
            side.call("SELECT", DATABASE, &name, at, failed, &shared);
        }
    }
}

#[allow(clippy::unnecessary_wraps, reason = "the state of a database: not called, called, failed")]
const fn alive(_: usize, _: f64) -> Option<bool> {
    Some(false)
}

/// 230 of the databases: two clusters, and a third of a third one.
const fn is_dead(number: usize) -> bool {
    number % 13 < 2 || (number % 13 == 2 && number / 13 < 30)
}

#[test]
fn two_halves_of_one_population_name_nothing() {
    for (spans, seed) in [(2_000, 1), (20_000, 2), (20_000, 3), (100_000, 4)] {
        let mut random = Random(seed << 40);
        let (mut before, mut after) = (side(BEFORE), side(AFTER));
        zipf(&mut before, &mut random, spans, alive);
        zipf(&mut after, &mut random, spans / 5, alive);
        let (drafts, notes) = found(before, after);
        assert!(drafts.is_empty(), "{spans}: {:?}", drafts.iter().map(|d| &d.title).collect::<Vec<_>>());
        assert!(notes.is_empty(), "{notes:?}");
    }
}

/// The settings of the table of the design: Zipf traffic, 230 databases are gone; how many are missing, how many chance
/// would give, how many are named at a false discovery rate of 0.05. The bounds hold what four runs of an independent
/// simulation of the rule gave. Chance is told larger than there, since the callers' traffic lacks that of the dead
/// ones, and fewer are named, since what is new or fails is tested in the same family.
#[test]
fn the_table_of_the_design() {
    let rows = [
        (20_000, 4_000, 570..640, 560.0..740.0, 3..20),
        (20_000, 20_000, 240..290, 140.0..240.0, 18..55),
        (100_000, 20_000, 250..285, 110.0..190.0, 28..65),
        (100_000, 100_000, 229..234, 0.0..8.0, 180..236),
    ];
    for (seed, (before_spans, after_spans, missing, expected, named)) in (11..).zip(rows) {
        let mut random = Random(seed << 40);
        let (mut before, mut after) = (side(BEFORE), side(AFTER));
        zipf(&mut before, &mut random, before_spans, alive);
        zipf(&mut after, &mut random, after_spans, |number, _| (!is_dead(number)).then_some(false));
        let (drafts, _) = found_at(2.5, before, after);
        let gone: Vec<_> = drafts.iter().filter(|draft| draft.kind == FindingKind::InstanceGone).collect();
        let [draft] = gone.as_slice() else { panic!("{} drafts", gone.len()) };
        let group = &draft.instances[0];
        assert!(missing.contains(&group.observed), "{} missing", group.observed);
        assert!(expected.contains(&group.expected_by_chance), "{} expected", group.expected_by_chance);
        assert!(named.contains(&group.named_total), "{} named", group.named_total);
        let wrong = group.named.iter().filter(|name| !is_dead(name[name.len() - 4..].parse().unwrap())).count();
        assert!(wrong as f64 <= 0.08 * group.named.len() as f64 + 1.0, "{wrong} of {} wrong", group.named.len());
    }
}

#[test]
fn vanished_databases_are_named_with_what_they_share() {
    let mut random = Random(7 << 40);
    let (mut before, mut after) = (side(BEFORE), side(AFTER));
    zipf(&mut before, &mut random, 400_000, alive);
    zipf(&mut after, &mut random, 400_000, |number, _| (!is_dead(number)).then_some(false));
    let (drafts, _) = found(before, after);
    assert_eq!(drafts.len(), 1);
    let [draft] = drafts.as_slice() else { return };
    let group = &draft.instances[0];
    assert_eq!((draft.kind, group.key.as_str(), group.of), (FindingKind::InstanceGone, DATABASE, 1_300));
    assert_eq!((group.observed, group.named_total), (230, 230));
    assert!(group.expected_by_chance < 1.0, "{}", group.expected_by_chance);
    assert!(group.named.iter().all(|name| is_dead(name[name.len() - 4..].parse().unwrap())));
    assert!(group.named.is_sorted());
    let shared: Vec<(&str, &str, u64, u64)> =
        group.shared.iter().map(|s| (s.key.as_str(), s.value.as_str(), s.inside, s.all)).collect();
    // All lie in the region of the three clusters, and two clusters are gone whole.
    assert_eq!(
        shared,
        [("cloud.region", "eu", 230, 600), ("k8s.cluster.name", "c0", 100, 100), ("k8s.cluster.name", "c1", 100, 100)]
    );
}

#[test]
fn what_fails_first_and_is_gone_then_is_one_story() {
    let mut random = Random(9 << 40);
    let (mut before, mut after) = (side(BEFORE), side(AFTER));
    zipf(&mut before, &mut random, 100_000, alive);
    // Dead ones fail from minute 6 on, and are not called any more from minute 30 on.
    zipf(&mut after, &mut random, 100_000, |number, at| match is_dead(number) {
        true if at < 0.1 => Some(false),
        true if at < 0.5 => Some(true),
        true => None,
        false => Some(false),
    });
    let (drafts, _) = found(before, after);
    let titles: Vec<&str> = drafts.iter().map(|draft| draft.title.as_str()).collect();
    assert_eq!(drafts.len(), 1, "{titles:?}");
    let draft = &drafts[0];
    assert_eq!(draft.kind, FindingKind::InstanceGone);
    assert!(draft.title.contains("of 1,300 databases failed, then were not called any more"), "{}", draft.title);
    let group = &draft.instances[0];
    assert!(group.named_total > 200 && group.named_total <= 230, "{}", group.named_total);
    let wrong: Vec<_> = group.named.iter().filter(|name| !is_dead(name[name.len() - 4..].parse().unwrap())).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    // The window begins at 23:13:20.
    assert!(draft.evidence.iter().any(|line| line == "last called at 23:43 UTC"), "{:?}", draft.evidence);
    assert!(draft.evidence.iter().any(|line| line.starts_with("failed from 23:1")), "{:?}", draft.evidence);
}

#[test]
fn failing_is_more_than_before_and_more_than_the_others() {
    let side_of = |start, rate: fn(usize) -> f64| {
        let mut side = side(start);
        let mut random = Random(start);
        for number in 0..20 {
            for call in 0..50 {
                let failed = random.share() < rate(number);
                side.call("GET", "server.address", &format!("cache-{number}"), f64::from(call) / 50.0, failed, &[]);
            }
        }
        side
    };
    let (drafts, _) = found(side_of(BEFORE, |_| 0.02), side_of(AFTER, |number| if number == 3 { 1.0 } else { 0.02 }));
    let told: Vec<_> = drafts.iter().map(|draft| (draft.kind, draft.title.as_str())).collect();
    assert_eq!(told, [(FindingKind::InstanceFailing, "1 of 20 hosts fail")]);
    assert_eq!(drafts[0].instances[0].named, ["cache-3"]);
    // All fail alike: that is the caller's finding.
    let (drafts, _) = found(side_of(BEFORE, |_| 0.02), side_of(AFTER, |_| 0.7));
    assert!(drafts.is_empty());
    // It failed before.
    let always = |number| if number == 3 { 0.9 } else { 0.0 };
    let (drafts, _) = found(side_of(BEFORE, always), side_of(AFTER, always));
    assert!(drafts.is_empty());
}

#[test]
fn the_sides_swapped_say_the_reverse() {
    let side_of = |start, from: usize| {
        let mut side = side(start);
        for number in from..from + 15 {
            for call in 0..40 {
                side.call(
                    "send",
                    "messaging.destination.name",
                    &format!("q-{number}"),
                    f64::from(call) / 40.0,
                    false,
                    &[],
                );
            }
        }
        side
    };
    let told = |before, after| {
        let (drafts, _) = found(side_of(BEFORE, before), side_of(AFTER, after));
        drafts.into_iter().map(|draft| (draft.kind, draft.instances[0].named.join(" "))).collect::<Vec<_>>()
    };
    assert_eq!(
        told(0, 2),
        [(FindingKind::InstanceGone, "q-0 q-1".to_owned()), (FindingKind::InstanceNew, "q-15 q-16".to_owned())]
    );
    assert_eq!(
        told(2, 0),
        [(FindingKind::InstanceGone, "q-15 q-16".to_owned()), (FindingKind::InstanceNew, "q-0 q-1".to_owned())]
    );
}

#[test]
fn processes_come_and_go_and_a_part_of_the_peers_is_no_loss() {
    let calls = |start, key: &str, names: std::ops::Range<usize>| {
        let mut side = side(start);
        for number in names {
            for call in 0..40 {
                side.call("GET", key, &format!("n-{number}"), f64::from(call) / 40.0, false, &[]);
            }
        }
        side
    };
    let (drafts, notes) =
        found(calls(BEFORE, "service.instance.id", 0..10), calls(AFTER, "service.instance.id", 10..20));
    assert!(drafts.is_empty());
    assert_eq!(
        notes[0].message,
        "instances of api (service.instance.id): 10 of 10 before are not seen after, 10 of 10 after are new; a rollout does that"
    );
    // A test against 2 of 30 databases.
    let (drafts, notes) = found(calls(BEFORE, "db.namespace", 0..30), calls(AFTER, "db.namespace", 0..2));
    assert!(drafts.is_empty());
    assert_eq!(notes[0].code, "coverage");
}

#[test]
fn what_no_caller_was_there_to_call_is_not_gone() {
    // Three clusters with ten databases each; afterwards only the first one is tested.
    let calls = |start, clusters: usize, dead: bool| {
        let mut side = side(start);
        for number in (0..30).filter(|number| number % 3 < clusters && !(dead && *number == 6)) {
            for call in 0..40 {
                let cluster = format!("eu-{}", number % 3);
                let name = format!("{cluster}/db-{number}");
                let shared = [("k8s.cluster.name", cluster.as_str()), ("service.version", "2")];
                side.call("SELECT", "k8s.cluster.name/db.namespace", &name, f64::from(call) / 40.0, false, &shared);
            }
        }
        side
    };
    let (drafts, notes) = found(calls(BEFORE, 3, false), calls(AFTER, 1, true));
    let told: Vec<_> = drafts.iter().map(|draft| (draft.kind, draft.instances[0].named.join(" "))).collect();
    assert_eq!(told, [(FindingKind::InstanceGone, "eu-0/db-6".to_owned())]);
    assert_eq!((drafts[0].instances[0].observed, drafts[0].instances[0].of), (1, 30));
    let notes: Vec<_> = notes.iter().map(|note| note.message.as_str()).collect();
    assert_eq!(
        notes,
        [
            "20 of 30 databases were not in reach: on the after side their callers do not run in k8s.cluster.name=eu-1, k8s.cluster.name=eu-2"
        ]
    );
}

#[test]
fn coverage_counts_peers_once() {
    let options = DiffOptions::default();
    let (mut before, mut after) = (side(BEFORE), side(AFTER));
    for number in 0..8 {
        before.call("GET", "db.namespace", &format!("db-{number}"), 0.5, false, &[]);
        before.call("PUT", "db.namespace", &format!("db-{number}"), 0.5, false, &[]);
        before.call("GET", "k8s.pod.name", &format!("pod-{number}"), 0.5, false, &[]);
    }
    after.call("GET", "db.namespace", "db-1", 0.5, false, &[]);
    after.call("GET", "db.namespace", "db-9", 0.5, false, &[]);
    let work = Work::new(unify(&Pair::new(before.profile, after.profile)), &options, 0.05);
    let exercised = exercised(&work);
    assert_eq!(exercised, [Exercised { key: "db.namespace".to_owned(), both: 1, of: 8, more: false }]);
    assert_eq!((coverage(&exercised), coverage(&[])), (Some(0.125), None));
}

#[test]
fn one_burst_says_little() {
    let (mut before, mut after) = (side(BEFORE), side(AFTER));
    for call in 0..400 {
        let at = f64::from(call) / 400.0;
        before.call("SELECT", "db.namespace", &format!("db-{}", call % 8), at, false, &[]);
        after.call("SELECT", "db.namespace", &format!("db-{}", call % 8), at, false, &[]);
        // A nightly job: forty calls within a minute and a half.
        if call < 40 {
            before.call("SELECT", "db.namespace", "reports", 0.5 + at / 4.0, false, &[]);
        }
    }
    let (drafts, _) = found(before, after);
    assert!(drafts.is_empty(), "{:?}", drafts[0].title);
}
