//! Populations made straight as profiles: call paths with log-normal self times, one after another, so that a root
//! lasts as long as all of them together. Much faster than spans, and what is true is known.

use spandiff::model::profile::{Exemplar, ONE, Profile, Sums};
use spandiff::model::{Kind, NO_PARENT, Operation, SpanId, TraceId};
use spandiff::stats::histogram::bin_of;

/// Numbers that look random (`SplitMix64`), the same in every build.
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Standard normal (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// One call path.
#[derive(Clone, Debug)]
pub struct PathPlan {
    /// Index of the parent in the plan of the entry point; `None` for the entry point itself.
    pub parent: Option<usize>,
    pub service: String,
    pub name: String,
    /// Median of the self time, nanoseconds, and the standard deviation of its logarithm.
    pub median_ns: f64,
    pub log_sd: f64,
    /// Chance of a trace to have it, when it has the parent.
    pub presence: f64,
    /// Calls in one trace.
    pub calls: u32,
    /// Share of the calls that take `slow` times as long.
    pub slow: (f64, f64),
    /// Chance of a trace to fail here.
    pub error: f64,
}

/// An entry point: its paths, parents first.
pub type Plan = Vec<PathPlan>;

impl PathPlan {
    pub fn new(parent: Option<usize>, service: &str, name: &str, median_ns: f64, log_sd: f64) -> PathPlan {
        PathPlan {
            parent,
            service: service.to_owned(),
            name: name.to_owned(),
            median_ns,
            log_sd,
            presence: 1.0,
            calls: 1,
            slow: (0.0, 1.0),
            error: 0.0,
        }
    }
}

/// Entry points of so many paths each: self times of 5 to 50 ms whose logarithms scatter by 0.2 to 0.8.
pub fn plans(entries: usize, paths: usize, random: &mut Random) -> Vec<Plan> {
    let plan = |entry: usize, random: &mut Random| -> Plan {
        let mut plan: Plan = Vec::new();
        for path in 0..paths {
            let parent = (path > 0).then(|| (random.bits() % path as u64) as usize);
            let median_ns = 5e6 * 10f64.powf(random.unit());
            let log_sd = 0.2 + 0.6 * random.unit();
            let service = format!("service-{}", random.bits() % 12);
            plan.push(PathPlan::new(parent, &service, &format!("work {entry} {path}"), median_ns, log_sd));
        }
        plan
    };
    (0..entries).map(|entry| plan(entry, random)).collect()
}

/// What a side does to all paths: a common factor, and one of its own for each with this scatter of its logarithm.
#[derive(Clone, Copy, Debug, Default)]
pub struct Climate {
    pub common_log: f64,
    pub scatter: f64,
}

/// `traces` requests of every plan, folded.
pub fn profile(plans: &[(Plan, u64)], climate: Climate, random: &mut Random) -> Profile {
    let mut profile = Profile::default();
    for (plan, traces) in plans {
        let mut places = Vec::new();
        for path in plan {
            let kind = if path.parent.is_none() { Kind::Server } else { Kind::Internal };
            let operation = Operation { service: path.service.as_str().into(), kind, name: path.name.as_str().into() };
            let operation = profile.operations.intern(operation);
            places.push(profile.path(path.parent.map_or(NO_PARENT, |parent| places[parent]), operation));
        }
        let factors: Vec<f64> =
            plan.iter().map(|_| climate.common_log + climate.scatter * random.normal()).map(f64::exp).collect();
        for _ in 0..*traces {
            add_trace(&mut profile, plan, &places, &factors, random);
        }
    }
    let start = 1_700_000_000_000_000_000;
    profile.totals.window_ns = Some((start, start + 60_000_000_000));
    profile.seal();
    profile
}

/// What one path did in one trace.
struct Done {
    own: Vec<u64>,
    below: u64,
    failed: bool,
}

fn add_trace(profile: &mut Profile, plan: &Plan, places: &[u32], factors: &[f64], random: &mut Random) {
    let id = u128::from(random.bits()) << 64 | u128::from(random.bits());
    let mut done: Vec<Option<Done>> = Vec::with_capacity(plan.len());
    for (path, factor) in plan.iter().zip(factors) {
        let there = path.parent.is_none_or(|parent| done[parent].is_some());
        if !there || (path.presence < 1.0 && random.unit() >= path.presence) {
            done.push(None);
            continue;
        }
        let call = |random: &mut Random| {
            let slow = if path.slow.0 > 0.0 && random.unit() < path.slow.0 { path.slow.1 } else { 1.0 };
            (path.median_ns * factor * slow * (path.log_sd * random.normal()).exp()) as u64
        };
        let own = (0..path.calls).map(|_| call(random)).collect();
        let failed = path.error > 0.0 && random.unit() < path.error;
        done.push(Some(Done { own, below: 0, failed }));
    }
    for path in (1..plan.len()).rev() {
        let Some(one) = &done[path] else { continue };
        let total = one.own.iter().sum::<u64>() + one.below;
        let parent = plan[path].parent.unwrap();
        done[parent].as_mut().unwrap().below += total;
    }
    let root = done[0].as_ref().unwrap();
    let root_bin = bin_of(root.own.iter().sum::<u64>() + root.below);
    profile.totals.traces += 1;
    for ((path, place), one) in plan.iter().zip(places).zip(&done) {
        let Some(one) = one else { continue };
        profile.totals.spans += u64::from(path.calls);
        let is_entry = path.parent.is_none();
        add_path(profile, *place, id, (one, path.calls), (root_bin, is_entry));
    }
}

fn add_path(profile: &mut Profile, place: u32, id: u128, (one, calls): (&Done, u32), (bin, is_entry): (u16, bool)) {
    let shard = (id % if is_entry { 64 } else { 32 }) as u8;
    let state = profile.state_mut(place).unwrap();
    let own: u64 = one.own.iter().sum();
    let whole = |sum: u64| u128::from(sum) * u128::from(ONE);
    let failed = whole(u64::from(one.failed));
    state.shards.shard_mut(shard).add(&Sums {
        traces: 1,
        weight: u128::from(ONE),
        calls: whole(u64::from(calls)),
        critical_calls: whole(u64::from(calls)),
        own_errors: failed,
        errors: failed,
        failed_calls: failed,
        critical_ns: whole(own),
        self_ns: whole(own),
        duration_ns: whole(own + one.below),
        children_ns: whole(one.below),
        covered_ns: whole(one.below),
        edge_ns: 0,
    });
    for &ns in &one.own {
        state.self_time.add(shard, bin_of(ns), ONE / u64::from(calls));
        let duration = ns + one.below / u64::from(calls);
        state.duration.add(if is_entry { shard } else { 0 }, bin_of(duration), ONE / u64::from(calls));
    }
    state.add_tail(bin, whole(own), whole(u64::from(calls)));
    let start_ns = 1_700_000_000_000_000_000;
    let span = Exemplar { trace_id: TraceId(id), span_id: SpanId(1), start_ns, duration_ns: own + one.below };
    state.exemplars.add(&span, one.failed);
}
