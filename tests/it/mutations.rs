//! Known edits on hard trees must be found again: the judgement as a whole, measured.
//!
//! Trees of 30 to 300 spans from a vocabulary of twenty operations, in which a child repeats with probability 0.3, and
//! real traces of `../shared/data`. One to three edits, which may nest; ±20 % jitter on every span's own time and
//! siblings in another order in every case. What each edit should be called is written down where the edit is made.

use crate::shared::real_traces;
use spandiff::diff::{Diff, DiffOptions, FindingKind, InputSide, pair};
use spandiff::model::attributes::{Packer, SpanHead, field};
use spandiff::model::{
    Body, Kind, NO_PARENT, Operation, Operations, Pair, Resource, Scope, Side, Span, SpanId, SpanMarks, SpanStore,
    Status, Symbol, Trace, TraceId, Value,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const MS: u64 = 1_000_000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// How the children of a span run.
#[derive(Clone, Copy, PartialEq)]
enum Run {
    InTurn,
    AtOnce,
}

/// A span that keeps its identity through edits.
#[derive(Clone)]
struct Node {
    service: String,
    name: String,
    kind: Kind,
    own_ns: u64,
    status: Status,
    statement: Option<String>,
    children_run: Run,
    children: Vec<usize>,
    parent: usize,
    alive: bool,
    /// Touched by an edit: no second edit here.
    edited: bool,
    /// Made by an edit.
    new: bool,
}

#[derive(Clone)]
struct Tree {
    nodes: Vec<Node>,
}

const NOWHERE: usize = usize::MAX;
const VERBS: [&str; 5] = ["Load", "Check", "Store", "Send", "Render"];
const NOUNS: [&str; 4] = ["Cart", "Price", "User", "Page"];

fn vocabulary(index: usize) -> (String, String) {
    (format!("svc{}", index % 4), format!("{} {}", VERBS[index % 5], NOUNS[index / 5]))
}

impl Tree {
    fn path(&self, mut at: usize) -> Vec<(String, String)> {
        let mut path = Vec::new();
        while at != NOWHERE {
            let node = &self.nodes[at];
            path.push((node.service.clone(), node.name.clone()));
            at = node.parent;
        }
        path.reverse();
        path
    }

    fn add(&mut self, parent: usize, service: String, name: String, random: &mut Random) -> usize {
        let statement = random.chance(50).then(|| format!("SELECT {} FROM t{}", "x", random.below(500)));
        self.nodes.push(Node {
            service,
            name,
            kind: Kind::Internal,
            own_ns: (1 + random.below(20) as u64) * MS,
            status: Status::Unset,
            statement,
            children_run: if random.chance(30) { Run::AtOnce } else { Run::InTurn },
            children: Vec::new(),
            parent,
            alive: true,
            edited: false,
            new: false,
        });
        let index = self.nodes.len() - 1;
        if parent != NOWHERE {
            self.nodes[parent].children.push(index);
        }
        index
    }

    fn copy(&mut self, from: usize, parent: usize) -> usize {
        let mut node = self.nodes[from].clone();
        let children = std::mem::take(&mut node.children);
        node.parent = parent;
        self.nodes.push(node);
        let index = self.nodes.len() - 1;
        self.nodes[parent].children.push(index);
        for child in children {
            self.copy(child, index);
        }
        index
    }

    fn random(random: &mut Random) -> Tree {
        let mut tree = Tree { nodes: Vec::new() };
        let size = 30 + random.below(271);
        tree.add(NOWHERE, "gateway".into(), "GET /".into(), random);
        while tree.nodes.len() < size {
            let parent = random.below(tree.nodes.len());
            let (service, name) = vocabulary(random.below(20));
            let child = tree.add(parent, service, name, random);
            if random.chance(30) {
                for _ in 0..=random.below(4) {
                    tree.copy(child, parent);
                }
            }
        }
        tree
    }

    fn alive(&self) -> Vec<usize> {
        let mut order = Vec::new();
        let mut stack = vec![0];
        while let Some(at) = stack.pop() {
            order.push(at);
            stack.extend(self.nodes[at].children.iter().rev());
        }
        order
    }

    fn below(&self, top: usize) -> Vec<usize> {
        let (mut order, mut stack) = (Vec::new(), vec![top]);
        while let Some(at) = stack.pop() {
            order.push(at);
            stack.extend(&self.nodes[at].children);
        }
        order
    }

    fn detach(&mut self, at: usize) {
        let parent = self.nodes[at].parent;
        self.nodes[parent].children.retain(|&child| child != at);
    }

    /// Own times become intervals: children one after another, or all at once; then a trace.
    fn trace(&self, random: &mut Random, jitter: u64) -> Trace {
        let order = self.alive();
        let mut tree = self.clone();
        for &at in &order {
            let node = &mut tree.nodes[at];
            node.own_ns = node.own_ns * (100 - jitter + random.next() % (2 * jitter + 1)) / 100;
            for i in (1..node.children.len()).rev() {
                node.children.swap(i, random.below(i + 1));
            }
        }
        let mut duration: BTreeMap<usize, u64> = BTreeMap::new();
        for &at in order.iter().rev() {
            let node = &tree.nodes[at];
            let children = node.children.iter().map(|child| duration[child]);
            let inside: u64 = match node.children_run {
                Run::InTurn => children.sum(),
                Run::AtOnce => children.max().unwrap_or(0),
            };
            duration.insert(at, node.own_ns + inside);
        }
        let mut builder = Builder::default();
        let mut stack = vec![(0, NO_PARENT, 1_700_000_000_000_000_000u64)];
        while let Some((at, parent, start)) = stack.pop() {
            let node = &tree.nodes[at];
            let index = builder.span(node, parent, start, duration[&at]);
            let mut cursor = start + node.own_ns / 2;
            for &child in &node.children {
                stack.push((child, index, cursor));
                if node.children_run == Run::InTurn {
                    cursor += duration[&child];
                }
            }
        }
        builder.finish()
    }

    fn from_trace(trace: &Trace) -> Tree {
        let times = spandiff::model::times::Times::new(trace);
        let mut tree = Tree { nodes: Vec::new() };
        for (index, span) in trace.spans().iter().enumerate() {
            let operation = trace.operations.get(span.operation).unwrap();
            let parent =
                if span.parent == NO_PARENT { if index == 0 { NOWHERE } else { 0 } } else { span.parent as usize };
            tree.nodes.push(Node {
                service: operation.service.to_string(),
                name: operation.name.to_string(),
                kind: Kind::Internal,
                own_ns: times.self_ns[index].clamp(MS, 1000 * MS),
                status: Status::Unset,
                statement: Some(format!("SELECT {} FROM t{}", operation.name.len(), index)),
                children_run: Run::InTurn,
                children: Vec::new(),
                parent,
                alive: true,
                edited: false,
                new: false,
            });
            if parent != NOWHERE {
                tree.nodes[parent].children.push(index);
            }
        }
        tree
    }
}

#[derive(Default)]
struct Builder {
    store: SpanStore,
    packer: Packer,
    operations: Operations,
}

impl Builder {
    fn span(&mut self, node: &Node, parent: u32, start_ns: u64, duration_ns: u64) -> u32 {
        let index = self.store.spans.len() as u32;
        let service = self.store.symbols.intern(&node.service);
        let resource =
            self.store.resources.iter().position(|resource| resource.service == service).unwrap_or_else(|| {
                self.store.resources.push(Resource { service, body: Body::default() });
                self.store.resources.len() - 1
            });
        let head = SpanHead {
            trace_id: TraceId(1),
            id: SpanId(u64::from(index) + 1),
            name: &node.name,
            ..SpanHead::default()
        };
        let start = self.packer.len() as u32;
        self.packer.span_head(&head);
        if let Some(statement) = &node.statement {
            self.packer.attribute(field::SPAN_ATTRIBUTES, "db.query.text", &Value::Str(statement));
        }
        let operation =
            Operation { service: node.service.as_str().into(), kind: node.kind, name: node.name.as_str().into() };
        self.store.spans.push(Span {
            trace_id: head.trace_id,
            id: head.id,
            parent_id: SpanId::NONE,
            start_ns,
            end_ns: start_ns + duration_ns,
            name: self.store.symbols.intern(&node.name),
            resource: resource as u32,
            scope: 0,
            body: Body { chunk: 0, start, len: self.packer.len() as u32 - start },
            operation: self.operations.intern(operation),
            parent,
            kind: node.kind,
            status: node.status,
            marks: SpanMarks::default(),
        });
        index
    }

    fn finish(mut self) -> Trace {
        self.store.scopes.push(Scope {
            name: Symbol::EMPTY,
            version: Symbol::EMPTY,
            schema_url: Symbol::EMPTY,
            body: Body::default(),
        });
        self.store.chunks.push(Arc::new(self.packer.into_bytes()));
        Trace::new(TraceId(1), self.store, self.operations)
    }
}

/// What a finding must be: kind and operation.
type Expected = (String, String);

const EDITS: [&str; 11] =
    ["wrap", "unwrap", "rename", "move", "delete", "add", "repeat", "reorder", "jitter", "slow", "error"];

struct Edited<'a> {
    before: &'a Tree,
    after: Tree,
    expected: Vec<(&'static str, Expected)>,
}

impl Edited<'_> {
    fn untouched(&self, random: &mut Random, fits: impl Fn(&Tree, usize) -> bool) -> Option<usize> {
        let list: Vec<usize> = self
            .after
            .alive()
            .into_iter()
            .filter(|&at| at != 0 && !self.after.nodes[at].edited && !self.after.nodes[at].new && fits(&self.after, at))
            .collect();
        (!list.is_empty()).then(|| list[random.below(list.len())])
    }

    fn label(&self, at: usize) -> String {
        format!("{}: {}", self.after.nodes[at].service, self.after.nodes[at].name)
    }

    fn expect(&mut self, edit: &'static str, kind: &str, at: usize) {
        let label = self.label(at);
        self.expected.push((edit, (kind.to_owned(), label)));
    }

    fn siblings_of_same_operation(&self, at: usize) -> Vec<usize> {
        let nodes = &self.after.nodes;
        let same = |other: usize| nodes[other].service == nodes[at].service && nodes[other].name == nodes[at].name;
        nodes[nodes[at].parent].children.iter().copied().filter(|&other| same(other)).collect()
    }

    /// Whether an original span, other than `except` and still there, has this call path; `path` is told in the words
    /// of the before side.
    fn has_twin_at(&self, path: &[(String, String)], except: usize) -> bool {
        self.after
            .alive()
            .into_iter()
            .any(|at| at != except && at < self.before.nodes.len() && self.before.path(at) == path)
    }

    fn apply(&mut self, edit: &'static str, random: &mut Random) -> bool {
        match edit {
            "wrap" => self.wrap(random),
            "unwrap" => self.unwrap(random),
            "rename" => self.rename(random),
            "move" => self.relocate(random),
            "delete" => self.delete(random),
            "add" => self.insert(random),
            "repeat" => self.repeat(random),
            "slow" => self.slow(random),
            "error" => self.error(random),
            // Every case has other jitter and another order on each side.
            _ => Some(()),
        }
        .is_some()
    }

    /// A new span between a parent and one of its children, with all that lies below it.
    fn wrap(&mut self, random: &mut Random) -> Option<()> {
        let at = self.untouched(random, |_, _| true)?;
        let parent = self.after.nodes[at].parent;
        let (service, name) = loop {
            let (service, name) = vocabulary(random.below(20));
            // A wrapper that is named like what it wraps, or like its parent, cannot be told from it.
            if [at, parent]
                .iter()
                .all(|&other| self.after.nodes[other].name != name || self.after.nodes[other].service != service)
            {
                break (service, name);
            }
        };
        self.after.detach(at);
        let layer = self.after.add(parent, service, name, random);
        self.after.nodes[layer].new = true;
        self.after.nodes[layer].children.push(at);
        self.after.nodes[at].parent = layer;
        self.after.nodes[at].edited = true;
        self.expect("wrap", "layer_added", layer);
        Some(())
    }

    /// A span goes, its children stay.
    fn unwrap(&mut self, random: &mut Random) -> Option<()> {
        let at = self.untouched(random, |tree, at| {
            let node = &tree.nodes[at];
            let like = |other: usize| tree.nodes[other].name == node.name && tree.nodes[other].service == node.service;
            !node.children.is_empty() && !node.children.iter().any(|&child| like(child)) && !like(node.parent)
        })?;
        let parent = self.after.nodes[at].parent;
        self.expect("unwrap", "layer_removed", at);
        self.after.detach(at);
        for child in std::mem::take(&mut self.after.nodes[at].children) {
            self.after.nodes[child].parent = parent;
            self.after.nodes[child].edited = true;
            self.after.nodes[parent].children.push(child);
        }
        self.after.nodes[at].alive = false;
        Some(())
    }

    /// All calls of an operation under one parent get another name that shares a word with the old one.
    fn rename(&mut self, random: &mut Random) -> Option<()> {
        let at = self.untouched(random, |_, _| true)?;
        let group = self.siblings_of_same_operation(at);
        if group.iter().any(|&other| self.after.nodes[other].edited || self.after.nodes[other].new) {
            return None;
        }
        let name = format!("{} again", self.after.nodes[at].name);
        for other in group {
            self.after.nodes[other].name.clone_from(&name);
            self.after.nodes[other].edited = true;
        }
        self.expect("rename", "renamed", at);
        Some(())
    }

    /// A subtree of at least two spans, or a leaf with a statement, goes to another parent.
    fn relocate(&mut self, random: &mut Random) -> Option<()> {
        let at = self
            .untouched(random, |tree, at| !tree.nodes[at].children.is_empty() || tree.nodes[at].statement.is_some())?;
        if self.siblings_of_same_operation(at).len() > 1 {
            return None;
        }
        let inside = self.after.below(at);
        let old_path = self.after.path(at);
        let targets: Vec<usize> = self
            .after
            .alive()
            .into_iter()
            .filter(|other| {
                !inside.contains(other) && *other != self.after.nodes[at].parent && !self.after.nodes[*other].new
            })
            .collect();
        let target = *targets.get(random.below(targets.len()))?;
        self.after.detach(at);
        self.after.nodes[at].parent = target;
        self.after.nodes[at].edited = true;
        self.after.nodes[target].children.push(at);
        if self.after.path(at) != old_path {
            self.expect("move", "moved", at);
        }
        Some(())
    }

    fn delete(&mut self, random: &mut Random) -> Option<()> {
        let at = self.untouched(random, |tree, at| {
            tree.below(at).len() * 4 < tree.nodes.len()
                && tree.below(at).iter().all(|&other| !tree.nodes[other].edited && !tree.nodes[other].new)
        })?;
        let path = self.before.path(at);
        self.after.detach(at);
        let kind = if self.has_twin_at(&path, at) { "calls_down" } else { "removed" };
        self.expect("delete", kind, at);
        Some(())
    }

    fn insert(&mut self, random: &mut Random) -> Option<()> {
        let parent = self.untouched(random, |_, _| true)?;
        let (service, name) = vocabulary(random.below(20));
        let top = self.after.add(parent, service, name, random);
        self.after.nodes[top].new = true;
        self.after.nodes[parent].edited = true;
        for _ in 0..random.below(4) {
            let (service, name) = vocabulary(random.below(20));
            let child = self.after.add(top, service, name, random);
            self.after.nodes[child].new = true;
        }
        let mut path = self.before.path(parent);
        path.push((self.after.nodes[top].service.clone(), self.after.nodes[top].name.clone()));
        let kind = if self.has_twin_at(&path, top) { "calls_up" } else { "added" };
        self.expect("add", kind, top);
        Some(())
    }

    /// One call becomes many.
    fn repeat(&mut self, random: &mut Random) -> Option<()> {
        let at = self.untouched(random, |tree, at| {
            tree.below(at).len() <= 4 && tree.below(at).iter().all(|&other| !tree.nodes[other].edited)
        })?;
        let parent = self.after.nodes[at].parent;
        for _ in 0..5 + random.below(20) {
            let copy = self.after.copy(at, parent);
            for node in self.after.below(copy) {
                self.after.nodes[node].new = true;
            }
        }
        self.after.nodes[at].edited = true;
        self.expect("repeat", "calls_up", at);
        Some(())
    }

    /// All calls at one call path take five times as long and at least 50 ms more.
    fn slow(&mut self, random: &mut Random) -> Option<()> {
        let at = self.untouched(random, |_, _| true)?;
        let path = self.after.path(at);
        for other in self.after.alive() {
            if !self.after.nodes[other].new && self.after.path(other) == path {
                let own = self.after.nodes[other].own_ns;
                self.after.nodes[other].own_ns = (own * 5).max(own + 50 * MS);
                self.after.nodes[other].edited = true;
            }
        }
        self.expect("slow", "slower", at);
        Some(())
    }

    /// A span fails, and none to three of its callers with it.
    fn error(&mut self, random: &mut Random) -> Option<()> {
        let at = self.untouched(random, |tree, at| {
            !tree.below(at).iter().any(|&other| tree.nodes[other].status == Status::Error)
        })?;
        let mut failing = at;
        for _ in 0..=random.below(4) {
            self.after.nodes[failing].status = Status::Error;
            if self.after.nodes[failing].parent == NOWHERE {
                break;
            }
            failing = self.after.nodes[failing].parent;
        }
        self.after.nodes[at].edited = true;
        self.expect("error", "failing", at);
        Some(())
    }
}

#[derive(Default, Debug)]
struct Score {
    right: u32,
    missed: u32,
    wrong: u32,
}

impl Score {
    fn f1(&self) -> f64 {
        let all = 2 * self.right + self.missed + self.wrong;
        if all == 0 { 1.0 } else { f64::from(2 * self.right) / f64::from(all) }
    }
}

/// Which edit a surplus finding is held against.
fn blamed(kind: &str, edits: &[&'static str]) -> &'static str {
    let candidates: &[&'static str] = match kind {
        "layer_added" => &["wrap"],
        "layer_removed" => &["unwrap"],
        "renamed" => &["rename"],
        "moved" => &["move"],
        "removed" | "calls_down" => &["delete", "move", "rename", "unwrap"],
        "added" => &["add", "move", "rename", "wrap"],
        "calls_up" => &["repeat", "add", "move"],
        "slower" | "faster" => &["slow"],
        "failing" | "recovered" => &["error"],
        _ => &[],
    };
    let made = candidates.iter().copied().find(|candidate| edits.contains(candidate));
    made.or(edits.first().copied()).unwrap_or("jitter")
}

fn merged(before: &Trace, after: &Trace) -> Pair<Trace> {
    let mut traces = Pair::new(before.clone(), after.clone());
    spandiff::ingest::unify(&mut traces, &mut Pair::default());
    traces
}

/// What must hold for every pair, whatever was found.
fn check_invariants(traces: &Pair<Trace>, case: u64) -> Diff {
    let compare = |traces: &Pair<Trace>, tree: bool| {
        let options = DiffOptions { tree, ..DiffOptions::default() };
        pair::compare(traces, Pair::new(InputSide::default(), InputSide::default()), &options)
    };
    let diff = compare(traces, true);
    let entry = &diff.entry_points[0];
    let sum: i64 = entry.attribution.iter().map(|row| row.contribution_ns).sum();
    assert_eq!(Some(sum), entry.delta_ns, "case {case}: the attribution adds up");
    let on = |side: Side| diff.tree.iter().filter(|node| node.sides.get(side).is_some()).count();
    assert_eq!(
        Pair::new(on(Side::Before), on(Side::After)),
        traces.as_ref().map(Trace::len),
        "case {case}: every node once"
    );

    let swapped = compare(&Pair::new(traces.after.clone(), traces.before.clone()), false);
    let mut kinds: Vec<FindingKind> = diff.findings.iter().map(|finding| finding.kind).collect();
    let mut mirrored: Vec<FindingKind> = swapped.findings.iter().map(|finding| finding.kind.mirrored()).collect();
    kinds.sort();
    mirrored.sort();
    assert_eq!(kinds, mirrored, "case {case}: swapping the sides mirrors the result");

    let same = compare(&Pair::new(traces.after.clone(), traces.after.clone()), false);
    assert!(same.findings.is_empty(), "case {case}: a trace against itself");
    diff
}

#[test]
fn known_edits_are_found_again() {
    let cases: u64 = 1000;
    let real: Vec<Tree> = real_traces().iter().filter(|trace| trace.len() >= 8).map(Tree::from_trace).collect();
    let mut total = Score::default();
    let mut by_edit: BTreeMap<&str, Score> = EDITS.iter().map(|&edit| (edit, Score::default())).collect();
    for case in 0..cases {
        let mut random = Random(case);
        let before = if case % 3 == 0 && !real.is_empty() {
            real[random.below(real.len())].clone()
        } else {
            Tree::random(&mut random)
        };
        let mut edited = Edited { before: &before, after: before.clone(), expected: Vec::new() };
        let mut edits: Vec<&'static str> = Vec::new();
        for _ in 0..=random.below(3) {
            let edit = EDITS[random.below(EDITS.len())];
            if edited.apply(edit, &mut random) {
                edits.push(edit);
            }
        }
        let traces = merged(&before.trace(&mut random, 20), &edited.after.trace(&mut random, 20));
        let diff = check_invariants(&traces, case);
        let found: BTreeSet<Expected> =
            diff.findings.iter().map(|f| (f.kind.name().to_owned(), f.operation().unwrap().to_string())).collect();
        let expected: BTreeSet<&Expected> = edited.expected.iter().map(|(_, expected)| expected).collect();
        let mut trouble = Vec::new();
        for (edit, expected) in &edited.expected {
            let right = found.contains(expected);
            let score = by_edit.get_mut(edit).unwrap();
            if right {
                score.right += 1;
                total.right += 1;
            } else {
                score.missed += 1;
                total.missed += 1;
                trouble.push(format!("missed {expected:?}"));
            }
        }
        for wrong in found.iter().filter(|found| !expected.contains(found)) {
            total.wrong += 1;
            by_edit.get_mut(blamed(&wrong.0, &edits)).unwrap().wrong += 1;
            trouble.push(format!("wrong {wrong:?}"));
        }
        for quiet in ["reorder", "jitter"] {
            if edits.contains(&quiet) {
                by_edit.get_mut(quiet).unwrap().right += 1;
            }
        }
        if std::env::var("SPANDIFF_CASE").is_ok_and(|only| only == case.to_string()) {
            eprintln!("{:?}", edited.expected);
            for f in &diff.findings {
                eprintln!(
                    "  {} {:?} {} {:?}\n     path {:?}\n     from {:?}",
                    f.kind.name(),
                    f.spans,
                    f.title,
                    f.evidence,
                    f.path.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    f.from_path.as_ref().map(|p| p.iter().map(ToString::to_string).collect::<Vec<_>>())
                );
            }
        }
        if !trouble.is_empty() && std::env::var_os("SPANDIFF_SHOW_MISSES").is_some() {
            eprintln!("case {case} {edits:?} spans {}: {trouble:?}", before.nodes.len());
        }
    }
    let scores: Vec<String> = by_edit.iter().map(|(edit, score)| format!("{edit} {:.3}", score.f1())).collect();
    eprintln!("F1 {:.4} over {cases} cases ({} real traces); {}", total.f1(), real.len(), scores.join(", "));
    assert!(total.f1() >= 0.95, "F1 {:.4}: {total:?} {by_edit:?}", total.f1());
    for (edit, score) in by_edit {
        assert!(score.f1() >= 0.9, "{edit}: F1 {:.3} {score:?}", score.f1());
    }
}
