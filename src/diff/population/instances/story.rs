//! Findings about instances: one for what belongs together, at the caller with the most traffic to them.

use super::chance::{Beyond, Named, silent_together};
use super::pool::{Member, Pool, is_process_key};
use super::shared::shared;
use super::{noun, told_by};
use crate::diff::draft::Draft;
use crate::diff::effects::{Effect, InstanceGroup, Metric, SharedAttribute, Strength};
use crate::diff::kind::FindingKind;
use crate::diff::population::counts::newcombe;
use crate::diff::population::first_seen::clock;
use crate::diff::population::work::{Family, Work};
use crate::diff::types::{Confidence, MatchInfo, Note};
use crate::model::{Pair, Side, SpanId, TraceId, units};
use std::collections::{BTreeMap, BTreeSet};

/// Instances listed by name in one group.
const NAMED: usize = 500;
/// Places listed by name.
const PLACES: usize = 3;
/// Further callers listed by name.
const CALLERS: usize = 3;
/// Failing and vanished instances are told together when this share of the fewer ones are both.
const TOGETHER: f64 = 0.25;
/// From this share of instances on, of which none was replaced, the after side is one that does not reach them.
const OUT_OF_REACH: f64 = 2.0 / 3.0;
/// Fewer instances than this are never out of reach: that the one database is gone is news.
const REACH_FROM: u64 = 10;
/// Two groups are about the same calls when they differ by less than this share of them.
const SAME_CALLS: f64 = 0.1;

/// What is told of one pool, before it is known what other keys say about the same calls.
pub(super) struct Story {
    kind: FindingKind,
    groups: Vec<InstanceGroup>,
    /// Calling nodes by the named instances' traffic, most first.
    nodes: Vec<Pair<u32>>,
    /// Traces that called the named ones.
    traces: f64,
    title: String,
    evidence: Vec<String>,
    effect: Effect,
    first_seen: Option<(u64, TraceId)>,
    exemplars: Vec<(TraceId, SpanId)>,
}

/// The stories of one pool; what is only to be noted goes to `notes`.
pub(super) fn of_pool(work: &Work<'_>, pool: &Pool<'_>, beyond: &Beyond, notes: &mut Vec<Note>) -> Vec<Story> {
    let places = |named: &[Named]| named.iter().map(|named| named.member).collect::<BTreeSet<usize>>();
    let (mut gone, mut failing) = (places(&beyond.gone), places(&beyond.failing));
    let new = places(&beyond.new);
    let mut stories = Vec::new();
    notes.extend(out_of_reach(pool, beyond));
    if let Some(note) = only_a_note(pool, beyond) {
        notes.push(note);
    } else {
        let fewer = gone.len().min(failing.len());
        let both = gone.intersection(&failing).count();
        let together = fewer > 0 && both as f64 >= TOGETHER * fewer as f64;
        let silent = !failing.is_empty() && silent_together(pool, &failing) <= work.level(Family::Instances);
        if together || silent {
            let all = gone.union(&failing).copied().collect();
            let is_gone = silent || 2 * gone.len() >= failing.len();
            let kind = if is_gone { FindingKind::InstanceGone } else { FindingKind::InstanceFailing };
            stories.push(Telling { work, pool, beyond, named: &all, failing: true, gone: true }.tell(kind));
            gone.clear();
            failing.clear();
        }
        if !gone.is_empty() {
            let telling = Telling { work, pool, beyond, named: &gone, failing: false, gone: true };
            stories.push(telling.tell(FindingKind::InstanceGone));
        }
        if !new.is_empty() {
            let telling = Telling { work, pool, beyond, named: &new, failing: false, gone: false };
            stories.push(telling.tell(FindingKind::InstanceNew));
        }
    }
    if !failing.is_empty() {
        let telling = Telling { work, pool, beyond, named: &failing, failing: true, gone: false };
        stories.push(telling.tell(FindingKind::InstanceFailing));
    }
    stories
}

/// Processes come and go with every rollout; and a test of a part of the system reaches only a part of its peers.
fn only_a_note(pool: &Pool<'_>, beyond: &Beyond) -> Option<Note> {
    let (absent, of) = (beyond.absent, beyond.of);
    let many = noun(pool.key).1;
    if is_process_key(pool.key) {
        if absent.before + absent.after == 0 {
            return None;
        }
        return Some(Note {
            code: "instances_replaced",
            message: format!(
                "{many} of {} ({}): {} of {} before are not seen after, {} of {} after are new; a rollout does that",
                pool.service,
                pool.key,
                units::count(absent.before),
                units::count(of.before),
                units::count(absent.after),
                units::count(of.after)
            ),
        });
    }
    let out_of_reach = beyond.failing.is_empty()
        && absent.after == 0
        && of.before >= REACH_FROM
        && absent.before as f64 > OUT_OF_REACH * of.before as f64;
    out_of_reach.then(|| Note {
        code: "coverage",
        message: format!(
            "the after side calls {} of {} {many} ({}) and no others: it says nothing about the rest",
            units::count(of.before - absent.before),
            units::count(of.before),
            pool.key
        ),
    })
}

/// Places of which nothing was seen on the after side, so that their instances are neither gone nor there.
fn out_of_reach(pool: &Pool<'_>, beyond: &Beyond) -> Option<Note> {
    let count: u64 = beyond.out_of_reach.values().sum();
    let mut places: Vec<String> = beyond.out_of_reach.keys().map(|(key, value)| format!("{key}={value}")).collect();
    let more = places.len().saturating_sub(PLACES);
    places.truncate(PLACES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (count > 0 && !is_process_key(pool.key)).then(|| Note {
        code: "coverage",
        message: format!(
            "{} of {} {} were not in reach: on the after side their callers do not run in {}{more}",
            units::count(count),
            units::count(beyond.of.before),
            noun(pool.key).1,
            places.join(", ")
        ),
    })
}

/// One group of named instances while it is being told.
struct Telling<'a> {
    work: &'a Work<'a>,
    pool: &'a Pool<'a>,
    beyond: &'a Beyond,
    named: &'a BTreeSet<usize>,
    /// Whether some of them fail.
    failing: bool,
    /// Whether some of them are gone.
    gone: bool,
}

impl Telling<'_> {
    fn tell(&self, kind: FindingKind) -> Story {
        let is_new = kind == FindingKind::InstanceNew;
        let shared = shared(self.pool, self.named, told_by(is_new));
        let group = self.group(kind, &shared);
        let nodes = self.callers(if is_new { Side::After } else { Side::Before });
        Story {
            kind,
            title: self.title(&group),
            evidence: self.evidence(kind, &group, &nodes),
            effect: self.effect(kind),
            first_seen: self.first_seen(&nodes),
            exemplars: self.failed_examples(&nodes),
            traces: self.members().map(|member| member.seen.get(told_by(is_new)).traces).sum(),
            groups: vec![group],
            nodes,
        }
    }

    fn members(&self) -> impl Iterator<Item = &Member<'_>> {
        self.named.iter().filter_map(|&place| self.pool.members.get(place))
    }

    fn group(&self, kind: FindingKind, shared: &[SharedAttribute]) -> InstanceGroup {
        let side = told_by(kind == FindingKind::InstanceNew);
        let named = self.named.len() as u64;
        // Who was called for a while and then not any more is missing too, though no count of absent ones says so.
        let (observed, expected) = if self.gone || kind == FindingKind::InstanceNew {
            let came_back = self.members().filter(|member| member.seen.get(side.other()).spans > 0).count() as u64;
            (self.beyond.absent.get(side) + came_back, *self.beyond.expected.get(side))
        } else {
            (named, 0.0)
        };
        InstanceGroup {
            key: self.pool.key.to_owned(),
            of: *self.beyond.of.get(side),
            observed,
            expected_by_chance: expected,
            named: self.members().take(NAMED).map(|member| member.name.to_owned()).collect(),
            named_total: named,
            shared: shared.to_vec(),
        }
    }

    fn title(&self, group: &InstanceGroup) -> String {
        let (one, many) = noun(self.pool.key);
        let what = match (self.gone, self.failing) {
            (true, true) => "failed, then were not called any more",
            (true, false) => "are not called any more",
            (false, true) => "fail",
            (false, false) => "are called that were not before",
        };
        let whole = units::counted(group.of, one, many);
        let mut title = format!("{} of {whole} {what}", units::count(group.named_total));
        if let Some(first) = group.shared.first().filter(|first| 10 * first.inside >= 9 * group.named_total) {
            let _ = std::fmt::Write::write_fmt(&mut title, format_args!(": {}={}", first.key, first.value));
        }
        title
    }

    fn evidence(&self, kind: FindingKind, group: &InstanceGroup, nodes: &[Pair<u32>]) -> Vec<String> {
        let mut evidence = Vec::new();
        let (_, many) = noun(self.pool.key);
        if self.gone || kind == FindingKind::InstanceNew {
            let absent = if kind == FindingKind::InstanceNew { "not seen before" } else { "missing" };
            evidence.push(format!(
                "{} of {} {many} {absent}, {} expected by chance, {} named beyond it",
                units::count(group.observed),
                units::count(group.of),
                units::mean_count(group.expected_by_chance),
                units::count(group.named_total)
            ));
        }
        evidence.extend(self.times());
        for attribute in &group.shared {
            evidence.push(format!(
                "{} of the {} have {}={}, as have {} of all {}",
                units::count(attribute.inside),
                units::count(group.named_total),
                attribute.key,
                attribute.value,
                units::count(attribute.all),
                units::count(group.of)
            ));
        }
        if self.pool.more {
            evidence.push(format!("there are more {many} than are kept: the counts are of a random part of them"));
        }
        let others = nodes.get(1..).unwrap_or_default();
        if !others.is_empty() {
            let side = told_by(kind == FindingKind::InstanceNew);
            let mut labels: Vec<String> =
                others.iter().map(|nodes| format!("`{}`", self.work.label(side, *nodes.get(side)))).collect();
            labels.sort_unstable();
            labels.dedup();
            let more = labels.len().saturating_sub(CALLERS);
            labels.truncate(CALLERS);
            let more = if more > 0 { format!(" and {} more", units::count(more as u64)) } else { String::new() };
            evidence.push(format!("called from {} more call paths too: {}{more}", others.len(), labels.join(", ")));
        }
        evidence
    }

    /// When the failing ones began to fail, and when the vanished ones were called last.
    fn times(&self) -> Vec<String> {
        let window = self.work.profiles.after.totals.window_ns;
        let mut times = Vec::new();
        if let Some(from) = self.failing_from() {
            let (calls, failed) = self.members().fold((0, 0), |(calls, failed), member| {
                (calls + member.seen.after.spans, failed + member.seen.after.failed)
            });
            times.push(format!(
                "failed from {}: {} of {} calls",
                clock(from, window),
                units::count(failed),
                units::count(calls)
            ));
        }
        if self.gone {
            let last = self.members().map(|member| member.seen.after.last_ns).max().unwrap_or(0);
            times.push(if last > 0 {
                format!("last called at {}", clock(last, window))
            } else {
                let before = self.members().map(|member| member.seen.before.last_ns).max().unwrap_or(0);
                let window = self.work.profiles.before.totals.window_ns;
                format!("last called at {}, on the before side", clock(before, window))
            });
        }
        times
    }

    /// When the first of them began to fail: its first call, or the last good one.
    fn failing_from(&self) -> Option<u64> {
        let seen = self.members().map(|member| &member.seen.after).filter(|seen| seen.failed > 0);
        seen.map(|seen| if seen.last_good_ns > 0 { seen.last_good_ns } else { seen.first_ns }).min()
    }

    /// The calling nodes of the named ones, those with most of their traffic first.
    fn callers(&self, side: Side) -> Vec<Pair<u32>> {
        let mut traffic: BTreeMap<usize, f64> = BTreeMap::new();
        for member in self.members() {
            for &(caller, traces) in member.ways.get(side).values() {
                *traffic.entry(caller).or_default() += traces;
            }
        }
        let mut callers: Vec<(usize, f64)> = traffic.into_iter().collect();
        callers.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        callers.into_iter().filter_map(|(caller, _)| self.pool.callers.get(caller)).map(|caller| caller.nodes).collect()
    }

    /// How their share of their callers' traffic, or of failed calls among theirs, changed.
    fn effect(&self, kind: FindingKind) -> Effect {
        let all = Pair::new(Side::Before, Side::After)
            .map(|side| self.pool.members.iter().map(|member| member.seen.get(side).traces).sum::<f64>());
        let theirs = Pair::new(Side::Before, Side::After)
            .map(|side| self.members().map(|member| member.seen.get(side).traces).sum::<f64>());
        let failed = Pair::new(Side::Before, Side::After).map(|side| {
            let seen = self.members().map(|member| member.seen.get(side));
            seen.map(|seen| if seen.spans == 0 { 0.0 } else { seen.traces * seen.failed as f64 / seen.spans as f64 })
                .sum::<f64>()
        });
        let fails = kind == FindingKind::InstanceFailing;
        let (part, whole) = if fails { (failed, theirs) } else { (theirs, all) };
        let (part, whole) = (part.map(|x| x.round() as u64), whole.map(|x| x.round() as u64));
        let (estimate, low, high) = newcombe(part, whole);
        let list = match kind {
            FindingKind::InstanceNew => vec![&self.beyond.new],
            FindingKind::InstanceFailing => vec![&self.beyond.failing],
            _ if self.failing => vec![&self.beyond.gone, &self.beyond.failing],
            _ => vec![&self.beyond.gone],
        };
        let worst = |value: fn(&Named) -> f64| list.iter().copied().flatten().map(value).fold(0.0, f64::max);
        Effect {
            metric: if fails { Metric::ErrorRate } else { Metric::Presence },
            estimate,
            low,
            high,
            unit: "share",
            p: worst(|named| named.p),
            q: worst(|named| named.q),
            n: whole,
            method: if fails { "fisher" } else { "vanished_instances" },
            strength: if self.failing { Strength::Fail } else { Strength::Warn },
        }
    }

    /// When the failures began, if later than the after side, with the first failed trace.
    fn first_seen(&self, nodes: &[Pair<u32>]) -> Option<(u64, TraceId)> {
        let from = self.failing_from().filter(|_| self.failing)?;
        let (start, end) = self.work.profiles.after.totals.window_ns?;
        // Failures from the first call on say nothing: rare ones are called late.
        let is_later = from > start + (end - start) / 20 && self.members().all(|member| member.seen.after.first_ns > 0);
        let failed = nodes.iter().filter_map(|nodes| self.work.state(Side::After, nodes.after)?.exemplars.failed);
        let first = failed.filter(|span| span.start_ns >= from).min_by_key(|span| (span.start_ns, span.trace_id));
        first.filter(|_| is_later).map(|span| (span.start_ns, span.trace_id))
    }

    fn failed_examples(&self, nodes: &[Pair<u32>]) -> Vec<(TraceId, SpanId)> {
        if !self.failing {
            return Vec::new();
        }
        let failed = nodes.iter().filter_map(|nodes| self.work.state(Side::After, nodes.after)?.exemplars.failed);
        failed.take(CALLERS).map(|span| (span.trace_id, span.span_id)).collect()
    }
}

/// One finding for the stories that speak of the same calls: a database is named by its host, too.
pub(super) fn drafts(work: &Work<'_>, mut stories: Vec<Story>) -> Vec<Draft> {
    // Of two keys that say the same, the finer one tells it.
    stories.sort_by(|a, b| {
        let size = |story: &Story| story.groups.first().map_or(0, |group| group.named_total);
        let key = |story: &Story| story.groups.first().map(|group| group.key.clone());
        (size(b), key(a), a.kind).cmp(&(size(a), key(b), b.kind))
    });
    let mut told: Vec<Story> = Vec::new();
    for story in stories {
        let same = told.iter_mut().find(|other| {
            let larger = other.traces.max(story.traces);
            other.kind == story.kind
                && (other.traces - story.traces).abs() <= SAME_CALLS * larger
                && story.nodes.iter().all(|nodes| other.nodes.contains(nodes))
        });
        match same {
            Some(other) => other.groups.extend(story.groups),
            None => told.push(story),
        }
    }
    told.into_iter().map(|story| draft(work, story)).collect()
}

fn draft(work: &Work<'_>, story: Story) -> Draft {
    let nodes = Pair::new(
        story.nodes.iter().map(|nodes| nodes.before).collect::<Vec<u32>>(),
        story.nodes.iter().map(|nodes| nodes.after).collect::<Vec<u32>>(),
    );
    let first = nodes.before.first().copied().unwrap_or_default();
    let path = work.path(Side::Before, first);
    Draft {
        title: story.title,
        evidence: story.evidence,
        confidence: if story.effect.q < 0.001 { Confidence::Certain } else { Confidence::Likely },
        matched: MatchInfo { ..work.match_info(Side::Before, first) },
        effects: vec![story.effect],
        instances: story.groups,
        first_seen: story.first_seen,
        exemplars: Pair::new(Vec::new(), story.exemplars),
        ..Draft::new(story.kind, path, nodes)
    }
}
