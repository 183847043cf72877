//! The finders that need no tests of time, on folded traces that are written as text.

use super::attributes::{self, differing, errors};
use super::first_seen::{Onset, first_seen};
use super::unify::unify;
use super::work::Work;
use super::{context, links, services, shape};
use crate::align::Tree;
use crate::diff::draft::{Draft, Drafts};
use crate::diff::kind::FindingKind;
use crate::diff::options::DiffOptions;
use crate::diff::types::Change;
use crate::ingest::fold::Folder;
use crate::model::profile::Profile;
use crate::model::trace::LinkEdge;
use crate::model::{Limits, Pair, Side, Trace, TraceId, Warnings, fixture};

const SECOND: u64 = 1_000_000_000;

/// One side: so many traces a minute apart, each from the text of its number.
pub(super) fn side(first: u64, traces: u64, text: impl Fn(u64) -> String) -> Profile {
    side_of(first, traces, |number| fixture::trace(&text(number)))
}

pub(super) fn side_of(first: u64, traces: u64, trace: impl Fn(u64) -> Trace) -> Profile {
    let mut folder = Folder::new(&Limits::default());
    for number in 0..traces {
        let mut trace = trace(number);
        trace.id = TraceId(u128::from(first + number + 1));
        for span in &mut trace.store.spans {
            span.trace_id = trace.id;
            span.start_ns += (first + number) * 60 * SECOND;
            span.end_ns += (first + number) * 60 * SECOND;
        }
        folder.add(&trace, &Warnings::default());
    }
    folder.finish()
}

/// Runs a finder over two sides.
fn run(before: Profile, after: Profile, find: impl Fn(&Work<'_>, &mut Drafts)) -> Vec<Draft> {
    with_work(before, after, |work| {
        let mut drafts = Drafts::new(work.trees.as_ref().map(Tree::len));
        find(work, &mut drafts);
        drafts.list
    })
}

pub(super) fn with_work<T>(before: Profile, after: Profile, then: impl FnOnce(&Work<'_>) -> T) -> T {
    let options = DiffOptions::default();
    then(&Work::new(unify(&Pair::new(before, after)), &options, 0.05))
}

/// Kind and title of every draft.
fn told(drafts: &[Draft]) -> Vec<(FindingKind, &str)> {
    drafts.iter().map(|draft| (draft.kind, draft.title.as_str())).collect()
}

/// The node of an operation's name, the first in order.
pub(super) fn node(work: &Work<'_>, side: Side, name: &str) -> Option<u32> {
    work.nodes(side).find(|&node| work.operation_at(side, node).is_some_and(|operation| &*operation.name == name))
}

// ---- trace context

fn joined(_: u64) -> String {
    "web GET / 100ms [server]
       web call-pay 60ms [client]
         pay POST /pay 50ms [server]
           pay charge 30ms
       web call-mail 10ms [client]
         mail POST /mail 8ms [server]"
        .to_owned()
}

fn severed_pay(_: u64) -> String {
    "web GET / 100ms [server]
       web call-pay 60ms [client]
       web call-mail 10ms [client]
         mail POST /mail 8ms [server]
pay POST /pay 50ms [server]
       pay charge 30ms"
        .to_owned()
}

/// As a sidecar or an exporter sees it: the severed callee's traces are traces of their own.
fn apart(first: u64, traces: u64) -> Profile {
    let web = |_: u64| {
        "web GET / 100ms [server]
           web call-pay 60ms [client]
           web call-mail 10ms [client]
             mail POST /mail 8ms [server]"
            .to_owned()
    };
    let mut all = side(first, traces, web);
    all.merge(&side(first + 10_000, traces, |_| "pay POST /pay 50ms [server]\n  pay charge 30ms".to_owned()));
    all.canonical()
}

fn find_context(work: &Work<'_>, drafts: &mut Drafts) {
    context::find(work, drafts, &context::severed(work));
}

#[test]
fn lost_context_is_one_finding_at_the_client() {
    for after in [apart(1_000, 100), side(1_000, 100, severed_pay)] {
        let drafts = run(side(0, 100, joined), after, find_context);
        assert_eq!(
            told(&drafts),
            [(
                FindingKind::ContextLost,
                "trace context lost between `web: call-pay` and `pay: POST /pay`: the callee begins traces of its own"
            )]
        );
        assert_eq!(drafts[0].subtree, Some(2));
        assert!(drafts[0].evidence[0].starts_with("100 calls without"), "{:?}", drafts[0].evidence);
    }
}

#[test]
fn lost_context_explains_what_went_and_what_came() {
    with_work(side(0, 100, joined), apart(1_000, 100), |work| {
        let severed = context::severed(work);
        let tops: Vec<_> = severed.iter().flat_map(context::Severed::tops).collect();
        let name = |side, node| work.label(side, node);
        let told: Vec<_> = tops.into_iter().map(|(side, node)| (side, name(side, node))).collect();
        assert_eq!(told, [(Side::Before, "pay: POST /pay".to_owned()), (Side::After, "pay: POST /pay".to_owned())]);
    });
}

#[test]
fn mended_context_is_the_reverse() {
    let drafts = run(apart(0, 100), side(1_000, 100, joined), find_context);
    assert_eq!(
        told(&drafts),
        [(FindingKind::ContextJoined, "trace context passed on again between `web: call-pay` and `pay: POST /pay`")]
    );
}

#[test]
fn a_part_of_the_calls_can_lose_it() {
    let after = |number: u64| if number.is_multiple_of(4) { severed_pay(number) } else { joined(number) };
    let drafts = run(side(0, 200, joined), side(1_000, 200, after), find_context);
    assert_eq!(drafts.len(), 1);
    assert!(drafts[0].evidence[0].starts_with("50 calls"), "{:?}", drafts[0].evidence);
    // Three quarters still have it: nothing of the callee's path is explained away.
    assert_eq!(drafts[0].subtree, None);
}

#[test]
fn neither_a_removed_callee_nor_a_new_direct_caller_is_lost_context() {
    let without = |_: u64| {
        "web GET / 100ms [server]
           web call-pay 60ms [client]
           web call-mail 10ms [client]
             mail POST /mail 8ms [server]"
            .to_owned()
    };
    assert!(run(side(0, 100, joined), side(1_000, 100, without), find_context).is_empty());
    // The callee is called as before, and by somebody without traces too.
    let direct = |number: u64| format!("{}\npay POST /pay 50ms [server]\n  pay charge 30ms", joined(number));
    assert!(run(side(0, 100, joined), side(1_000, 100, direct), find_context).is_empty());
    // It is gone below its caller, but comes three times as often by itself: that is other traffic.
    let busy = |number: u64| {
        let own = "\npay POST /pay 50ms [server]\n  pay charge 30ms".repeat(2);
        format!("{}{own}", severed_pay(number))
    };
    assert!(run(side(0, 100, joined), side(1_000, 100, busy), find_context).is_empty());
}

#[test]
fn unchanged_traces_have_none_of_it() {
    for text in [joined, severed_pay] {
        let (before, after) = (side(0, 100, text), side(1_000, 80, text));
        let drafts = run(before, after, |work, drafts| {
            find_context(work, drafts);
            links::find(work, drafts);
            shape::find(work, drafts);
            attributes::find(work, drafts);
        });
        assert_eq!(told(&drafts), []);
    }
}

// ---- links

/// Ten messages that are sent, and a batch that links to the first so many of them.
fn batch(number: u64, linked: u32, to: &str) -> Trace {
    let mut trace = fixture::trace(&format!(
        "shop POST /order 50ms [server]
           shop {to} 5ms [producer] ×3
         bill take 20ms [consumer]"
    ));
    let from = trace.spans().len() as u32 - 1;
    trace.links =
        (1..=linked.min(3)).map(|to| LinkEdge { from, to: (!number.is_multiple_of(7)).then_some(to) }).collect();
    trace
}

#[test]
fn links_match_by_what_they_point_to() {
    let linked =
        |first: u64, linked: u32, to: &'static str| side_of(first, 70, move |number| batch(number, linked, to));
    assert_eq!(told(&run(linked(0, 0, "send"), linked(100, 0, "send"), links::find)), []);
    // One or three messages in a batch is no change.
    assert_eq!(told(&run(linked(0, 1, "send"), linked(100, 3, "send"), links::find)), []);
    let drafts = run(linked(0, 0, "send"), linked(100, 2, "send"), links::find);
    let kinds: Vec<_> = drafts.iter().map(|draft| draft.kind).collect();
    assert_eq!(kinds, [FindingKind::LinkAdded]);
    assert!(drafts[0].title.starts_with("links to `shop: send`: in 0 % →"), "{}", drafts[0].title);
    let drafts = run(linked(0, 2, "send"), linked(100, 0, "send"), links::find);
    assert_eq!(drafts.iter().map(|draft| draft.kind).collect::<Vec<_>>(), [FindingKind::LinkRemoved]);
}

// ---- shape

/// Three calls that are waited for, each with some jitter; `step` is how much later the next one starts.
fn calls(number: u64, step: u64, slow: u64) -> String {
    let jitter = number * 7 % 5;
    let length = |call: u64| 20 + (jitter + call) % 5 + if call == 2 { slow } else { 0 };
    let starts = [0, step, 2 * step].map(|start| start + jitter / 4);
    format!(
        "api GET / {}ms [server]
           api a {}ms @{}ms [client]
           api b {}ms @{}ms [client]
           api c {}ms @{}ms [client]",
        200 + slow,
        length(0),
        starts[0],
        length(1),
        starts[1],
        length(2),
        starts[2]
    )
}

#[test]
fn calls_that_overlapped_and_now_follow_each_other() {
    let parallel = |first| side(first, 100, |number| calls(number, 0, 0));
    let serial = |first| side(first, 100, |number| calls(number, 26, 0));
    let drafts = run(parallel(0), serial(1_000), shape::find);
    assert_eq!(told(&drafts), [(FindingKind::Serialized, "calls that overlapped now run one after another")]);
    assert!(drafts[0].evidence[0].contains("a trace, now 0"), "{:?}", drafts[0].evidence);
    let effect = drafts[0].effects[0];
    // Three calls of about 22 ms that were over after 24 ms.
    assert!((38e6..48e6).contains(&effect.estimate), "{}", effect.estimate);
    let drafts = run(serial(0), parallel(1_000), shape::find);
    assert_eq!(told(&drafts), [(FindingKind::Parallelized, "calls that ran one after another now overlap")]);
}

#[test]
fn a_slower_child_keeps_its_siblings_order() {
    let parallel = |first, slow| side(first, 100, move |number| calls(number, 0, slow));
    assert_eq!(told(&run(parallel(0, 0), parallel(1_000, 300), shape::find)), []);
    // More calls one after another are more calls, not another order.
    let more = side(1_000, 100, |number| format!("{}\n           api d 30ms @60ms [client] ×9", calls(number, 0, 0)));
    assert_eq!(told(&run(parallel(0, 0), more, shape::find)), []);
}

// ---- attributes

fn with_attributes(attributes: impl Fn(u64) -> String) -> impl Fn(u64) -> String {
    move |number| {
        format!(
            "api GET / 100ms [server]
               api pay 20ms [client] {{{}}}
               api audit 5ms",
            attributes(number)
        )
    }
}

#[test]
fn a_value_that_moves_is_told_with_its_shares() {
    let provider = |share: u64| {
        with_attributes(move |number| {
            let name = if number * 37 % 100 < share { "adyen" } else { "stripe" };
            format!("payment.provider={name}, retry={}", number % 2)
        })
    };
    let drafts = run(side(0, 400, provider(5)), side(1_000, 400, provider(60)), attributes::find);
    assert_eq!(told(&drafts), [(FindingKind::Attributes, "payment.provider: `adyen` 5 % → 60 %")]);
    let change = &drafts[0].attributes[0];
    assert_eq!((change.key.as_str(), change.change), ("payment.provider", Change::Changed));
    assert_eq!((change.before.as_deref(), change.after.as_deref()), (Some("stripe"), Some("adyen")));
    // A few points are noise, however many traces there are.
    assert!(run(side(0, 400, provider(50)), side(1_000, 400, provider(53)), attributes::find).is_empty());
}

#[test]
fn keys_come_and_go() {
    let key = |text: &'static str| with_attributes(move |_| text.to_owned());
    let drafts = run(side(0, 100, key("a=1")), side(1_000, 100, key("a=1, tier=gold")), attributes::find);
    assert_eq!(told(&drafts), [(FindingKind::Attributes, "tier: without it 100 % → 0 %")]);
    let change = &drafts[0].attributes[0];
    assert_eq!((change.change, change.before.as_deref(), change.after.as_deref()), (Change::Added, None, Some("gold")));
    // What a convention names is instrumentation; noise and status are not compared.
    let changed = "http.request.method=PUT, url.full=/b, http.response.status_code=500, session.id=2";
    let drafts = run(
        side(0, 100, key("url.full=/a, http.response.status_code=200, session.id=1")),
        side(1_000, 100, key(changed)),
        attributes::find,
    );
    assert_eq!(told(&drafts), []);
}

#[test]
fn keys_with_many_values_are_only_there_or_not() {
    let many = |offset: u64| with_attributes(move |number| format!("cart.owner=user-{}", offset + number));
    assert!(run(side(0, 200, many(0)), side(1_000, 200, many(5_000)), attributes::find).is_empty());
    let none = with_attributes(|_| "a=1".to_owned());
    let drafts = run(side(0, 200, many(0)), side(1_000, 200, none), attributes::find);
    let keys: Vec<_> =
        drafts.iter().flat_map(|draft| &draft.attributes).map(|change| (change.key.as_str(), change.change)).collect();
    assert!(keys.contains(&("cart.owner", Change::Removed)), "{keys:?}");
}

#[test]
fn what_differs_at_the_place_of_another_finding() {
    let before = with_attributes(|_| "statement=SELECT a, retry=0".to_owned());
    let after = with_attributes(|number| format!("statement=SELECT b, retry={}", u64::from(number.is_multiple_of(10))));
    with_work(side(0, 100, before), side(1_000, 100, after), |work| {
        let place = Pair::new(node(work, Side::Before, "pay"), node(work, Side::After, "pay"));
        let told: Vec<_> =
            differing(work, place).into_iter().map(|change| (change.key, change.before, change.after)).collect();
        assert_eq!(told, [("statement".to_owned(), Some("SELECT a".to_owned()), Some("SELECT b".to_owned()))]);
        let added = differing(work, Pair::new(None, place.after));
        assert_eq!(added.iter().map(|change| change.key.as_str()).collect::<Vec<_>>(), ["retry", "statement"]);
    });
}

// ---- errors and when they began

#[test]
fn errors_are_told_by_type_and_dated() {
    let failing = |from: u64| {
        move |number: u64| {
            let failed =
                if number >= from && number.is_multiple_of(2) { "!error {error.type=TimeoutError}" } else { "" };
            format!("api GET / 100ms [server]\n  api pay 20ms [client] {failed}")
        }
    };
    with_work(side(0, 200, failing(u64::MAX)), side(1_000, 200, failing(120)), |work| {
        let place = Pair::new(node(work, Side::Before, "pay"), node(work, Side::After, "pay"));
        let events = errors(work, place);
        let told: Vec<_> = events.iter().map(|event| (event.exception_type.as_deref(), event.count)).collect();
        assert_eq!(told, [(Some("TimeoutError"), Pair::new(0, 40))]);
        let seen = first_seen(work, place, Onset::Errors).unwrap();
        // Trace 1,121 is the first one that failed: 1,120 minutes after the epoch of the fixtures (22:13:20).
        assert_eq!((seen.trace, seen.unix_ns), (Some(TraceId(1_121)), 1_700_000_000 * SECOND + 1_120 * 60 * SECOND));
        assert_eq!(seen.text, "since 16:53 UTC");
    });
    with_work(side(0, 200, failing(u64::MAX)), side(1_000, 200, failing(0)), |work| {
        let place = Pair::new(node(work, Side::Before, "pay"), node(work, Side::After, "pay"));
        assert_eq!(first_seen(work, place, Onset::Errors), None);
    });
}

#[test]
fn slowness_and_new_calls_are_dated() {
    let text = |slow: bool, call: bool| {
        let length = if slow { 40 } else { 20 };
        let call = if call { "\n  api audit 1ms" } else { "" };
        format!("api GET / 100ms [server]\n  api pay {length}ms{call}")
    };
    let later = |number: u64| text(number >= 100, number >= 150);
    with_work(side(0, 200, |_| text(false, false)), side(1_000, 200, later), |work| {
        let pay = Pair::new(node(work, Side::Before, "pay"), node(work, Side::After, "pay"));
        let began = |place, onset| first_seen(work, place, onset).map(|seen| seen.unix_ns);
        let minute = |number: u64| 1_700_000_000 * SECOND + number * 60 * SECOND;
        let slow = began(pay, Onset::Time).unwrap();
        // A bucket of the timeline is 2^38 ns wide: four and a half minutes.
        assert!(slow.abs_diff(minute(1_100)) <= 1 << 38, "{slow}");
        let audit = Pair::new(None, node(work, Side::After, "audit"));
        // The first example is exact: 40 ms after its trace began.
        assert_eq!(began(audit, Onset::Presence), Some(minute(1_150) + 40_000_000));
        assert_eq!(began(pay, Onset::Errors), None);
        assert_eq!(began(pay, Onset::Presence), None);
    });
}

// ---- services

#[test]
fn the_service_graph_has_both_sides() {
    let failing = |_: u64| joined(0).replace("pay POST /pay 50ms [server]", "pay POST /pay 50ms [server] !error");
    with_work(side(0, 10, joined), side(1_000, 20, failing), |work| {
        let graph = services::graph(work);
        let nodes: Vec<_> = graph.node_weights().map(|node| (node.service.as_str(), node.spans, node.errors)).collect();
        assert_eq!(
            nodes,
            [
                ("mail", Pair::new(10, 20), Pair::new(0, 0)),
                ("pay", Pair::new(20, 40), Pair::new(0, 20)),
                ("web", Pair::new(30, 60), Pair::new(0, 0)),
            ]
        );
        let edges: Vec<_> = graph.edge_weights().map(|edge| (edge.calls, edge.errors)).collect();
        assert_eq!(edges, [(Pair::new(10, 20), Pair::new(0, 0)), (Pair::new(10, 20), Pair::new(0, 20))]);
        // Self time: 30 ms of the root, 10 ms and 2 ms on the edges, in each of ten traces.
        let web = graph.node_weights().find(|node| node.service == "web").unwrap();
        assert_eq!(web.self_ns.before, 420_000_000);
        assert!(services::versions(work).is_empty());
    });
}
