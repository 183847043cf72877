//! What a screen shows of a call path, on folded traces that are written as text.

use super::of;
use crate::diff::detail::{AttributeRow, Bin, NodeDetail};
use crate::diff::options::DiffOptions;
use crate::diff::population::compare;
use crate::diff::population::finder_tests::{node, side, side_of, with_work};
use crate::diff::types::Change;
use crate::model::profile::Profile;
use crate::model::trace::LinkEdge;
use crate::model::{Pair, Side, fixture, units};
use std::fmt::Write as _;

/// The detail of the place called `pay` on both sides.
fn detail(before: Profile, after: Profile) -> NodeDetail {
    with_work(before, after, |work| {
        of(work, Pair::new(node(work, Side::Before, "pay"), node(work, Side::After, "pay")))
    })
}

fn with_attributes(attributes: impl Fn(u64) -> String) -> impl Fn(u64) -> String {
    move |number| format!("api GET / 100ms [server]\n  api pay 20ms [client] {{{}}}", attributes(number))
}

/// The rows of 100 traces a side, each with the attributes of its number.
fn rows(before: impl Fn(u64) -> String, after: impl Fn(u64) -> String) -> Vec<String> {
    lines(side(0, 100, with_attributes(before)), side(1_000, 100, with_attributes(after)))
}

fn lines(before: Profile, after: Profile) -> Vec<String> {
    detail(before, after).attributes.iter().map(shown).collect()
}

fn shown(row: &AttributeRow) -> String {
    let mark = row.change.map_or("equal", Change::name);
    let value = |value: &Option<String>, share: Option<f64>| match (value, share) {
        (Some(value), Some(share)) => format!("{value} {}", units::percent(share)),
        (None, None) => "—".to_owned(),
        other => format!("{other:?}"),
    };
    format!("{mark} {} {} → {}", row.key, value(&row.before, row.share.before), value(&row.after, row.share.after))
}

#[test]
fn the_most_common_values_of_both_sides() {
    let before = |number: u64| {
        let provider = if number < 5 { "adyen" } else { "stripe" };
        format!("provider={provider}, retry={}, db.name=shop, gone=yes", number % 2)
    };
    let after = |number: u64| {
        let provider = if number < 60 { "adyen" } else { "stripe" };
        format!("provider={provider}, retry={}, db.namespace=shop, tier=gold", number % 2)
    };
    assert_eq!(
        rows(before, after),
        [
            "changed provider stripe 95 % → adyen 60 %",
            "added tier — → gold 100 %",
            "removed gone yes 100 % → —",
            "equal db.namespace shop 100 % → shop 100 %",
            "equal retry 0 50 % → 0 50 %",
        ]
    );
}

#[test]
fn a_key_that_some_spans_lost_is_changed() {
    let before = |_: u64| "tier=gold".to_owned();
    let after = |number: u64| if number < 40 { "tier=gold".to_owned() } else { "a=1".to_owned() };
    assert_eq!(rows(before, after), ["changed tier gold 100 % → gold 40 %", "added a — → 1 60 %"]);
}

#[test]
fn chance_is_no_change() {
    // 52 of 100 have one value, then the other: the one that is first in order stands for both.
    let value = |first: u64| move |number: u64| format!("flag={}", if number < first { "on" } else { "off" });
    assert_eq!(rows(value(52), value(48)), ["equal flag off 48 % → off 52 %"]);
    // Five of ten and eight of ten are no difference either; one value for another is, with three traces a side.
    let few = |first: u64| with_attributes(value(first));
    assert_eq!(lines(side(0, 10, few(5)), side(1_000, 10, few(8))), ["equal flag on 50 % → on 80 %"]);
    assert_eq!(lines(side(0, 3, few(3)), side(1_000, 3, few(0))), ["changed flag on 100 % → off 100 %"]);
}

#[test]
fn of_too_many_values_one_of_each_side_is_shown() {
    let letter = |number: u64| char::from(b'a' + (number % 25) as u8);
    let many = |start: &'static str| move |number: u64| format!("word={start}{}", letter(number));
    let rows = rows(many("old"), many("new"));
    assert_eq!(rows.len(), 1);
    assert!(rows[0].starts_with("equal word old") && rows[0].contains(" 4 % → new"), "{rows:?}");
    assert!(rows[0].ends_with(" 4 %"), "{rows:?}");
}

#[test]
fn a_key_that_may_have_been_dropped_is_not_missing() {
    let many = |_: u64| {
        (0..130).fold(String::new(), |mut text, key| {
            let _ = write!(text, "key.{key:03}=x, ");
            text
        })
    };
    let one = |_: u64| "other=x".to_owned();
    let rows = rows(many, one);
    assert_eq!(rows.len(), 128);
    assert!(rows.iter().all(|row| row.starts_with("removed key.")), "{rows:?}");
}

#[test]
fn values_stay_as_they_were_sent() {
    let escape = |_: u64| "k=\u{1b}[31m".to_owned();
    assert_eq!(rows(escape, escape), ["equal k \u{1b}[31m 100 % → \u{1b}[31m 100 %"]);
}

#[test]
fn errors_durations_and_examples() {
    let text = |number: u64, kind: &str| {
        let fate =
            if number.is_multiple_of(4) { format!("40ms !error {{error.type={kind}}}") } else { "20ms".to_owned() };
        format!("api GET / 100ms [server]\n  api pay {fate}")
    };
    let before = side(0, 8, |number| text(number, "Reset"));
    let after = side(1_000, 12, |number| text(number, if number < 8 { "Timeout" } else { "Reset" }));
    let detail = detail(before, after);
    let events: Vec<_> = detail
        .events
        .iter()
        .map(|row| (row.name.as_str(), row.exception_type.as_deref(), (row.count.before, row.count.after)))
        .collect();
    // Equally frequent at their most: in order of their names.
    assert_eq!(events, [("exception", Some("Reset"), (2, 1)), ("exception", Some("Timeout"), (0, 2))]);
    // A bin is 2^24 / 32 ns wide at 20 ms, and twice as wide at 40 ms.
    let bins = vec![
        Bin { ns: (19_922_944.0, 20_447_232.0), share: 0.75 },
        Bin { ns: (39_845_888.0, 40_894_464.0), share: 0.25 },
    ];
    assert_eq!(detail.durations, Pair::new(bins.clone(), bins));
    for examples in [&detail.examples.before, &detail.examples.after] {
        let role =
            |role: &str| examples.iter().find(|example| example.role == role).map(|one| one.duration_ns / 1_000_000);
        assert_eq!(["typical", "fastest", "slowest", "failed"].map(role), [20, 20, 40, 40].map(Some));
        assert_eq!(examples.iter().filter(|example| example.role == "sampled").count(), 2);
    }
    let failed = detail.examples.after.iter().find(|example| example.role == "failed").unwrap();
    assert_eq!((failed.trace_id.0, failed.span_id.0), (1_001, 2));
}

#[test]
fn links_are_counted() {
    let linked = |first: u64, links: usize| {
        side_of(first, 10, move |_| {
            let mut trace = fixture::trace("api GET / 100ms [server]\n  api pay 20ms");
            trace.links = vec![LinkEdge { from: 1, to: Some(0) }; links];
            trace
        })
    };
    assert_eq!(detail(linked(0, 0), linked(1_000, 3)).links, Pair::new(0, 30));
}

#[test]
fn a_path_of_one_side_has_only_its_own() {
    let before = side(0, 10, |_| "api GET / 100ms [server]".to_owned());
    let detail = detail(before, side(1_000, 10, with_attributes(|_| "k=v".to_owned())));
    assert_eq!(detail.attributes.iter().map(shown).collect::<Vec<_>>(), ["added k — → v 100 %"]);
    assert_eq!((detail.durations.before.len(), detail.durations.after.len()), (0, 1));
    assert_eq!(detail.examples.before, []);
}

#[test]
fn only_a_tree_that_is_asked_for_has_details() {
    let sides = || {
        Pair::new(
            side(0, 10, with_attributes(|_| "k=v".to_owned())),
            side(1_000, 10, with_attributes(|_| "k=w".to_owned())),
        )
    };
    let options = DiffOptions { tree: true, ..DiffOptions::default() };
    let diff = compare(&sides(), Pair::default(), &options);
    let keys: Vec<_> = diff
        .tree
        .iter()
        .map(|node| node.detail.as_ref().map(|detail| detail.attributes.iter().map(shown).collect::<Vec<_>>()))
        .collect();
    assert_eq!(keys, [Some(vec![]), Some(vec!["changed k v 100 % → w 100 %".to_owned()])]);
    assert!(compare(&sides(), Pair::default(), &DiffOptions::default()).tree.is_empty());
}
