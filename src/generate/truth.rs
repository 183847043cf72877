//! The truth about a generated pair: what a perfect diff would find, as JSON `spandiff.truth/v1`.
//!
//! ```text
//! {"schema":"spandiff.truth/v1","system":"ride","change":"n-plus-one","seed":"1","jitter":0.2,
//!  "traces":{"before":1,"after":1},"spans":{"before":50,"after":77},"nothing":false,
//!  "findings":[{"kind":"calls_up","required":true,
//!    "operation":{"service":"mysql","name":"SELECT addresses","kind":"client"},
//!    "path":[{"service":"frontend","name":"GET /dispatch","kind":"server"}, …],
//!    "from_path":null,"spans":{"before":3,"after":30}}]}
//! ```
//! `kind` is a word of the alignment design §4. `path` is the after side's (the before side's for what is gone), entry
//! point first; `from_path` stands where the before side's differs. `spans` counts the spans of that operation, on its
//! path, over all traces of a side. `nothing` says that the program did the same on both sides; jitter, clocks and lost
//! spans are no changes. A finding with `required: false` is a by-product that a diff may tell or explain by another
//! one. Where noise, drift or sampling are not the usual ones, they follow the jitter; findings about instances name them
//! (`instances`). When both sides are one population, `before` counts what no canary took part in. Operation names: [`super::program::What::operation_name`]. With jitter, further durations differ by chance;
//! the truth does not list them.

use super::changes::{Change, Expected};
use super::fleet::OLD_CLASS;
use super::json::{list, put, string};
use super::program::{Node, Program, What};
use super::record::Span;
use super::{Noise, Options};
use crate::model::{Pair, Side};
use std::collections::BTreeMap;

/// What was generated on one side.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Traces, those that lost their context included.
    pub traces: u64,
    /// Spans.
    pub spans: u64,
    /// Spans by label, without those cut off from their caller.
    pub by_label: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Counts the spans of one request.
    pub fn add(&mut self, spans: &[Span]) {
        self.spans += spans.len() as u64;
        let mut traces: Vec<_> = spans.iter().map(|span| span.trace_id).collect();
        traces.sort_unstable();
        traces.dedup();
        self.traces += traces.len() as u64;
        for span in spans.iter().filter(|span| !span.severed) {
            *self.by_label.entry(span.label).or_default() += 1;
        }
    }

    fn of(&self, label: &str) -> u64 {
        self.by_label.get(label).copied().unwrap_or_default()
    }
}

/// The truth as one JSON document, with a line end.
pub fn write(options: &Options, programs: &Pair<Program>, expected: &[Expected], tally: &Pair<Tally>) -> String {
    let mut out = String::from("{\"schema\":\"spandiff.truth/v1\",\"system\":");
    string(&mut out, options.system.name());
    out.push_str(",\"change\":");
    string(&mut out, options.change.name());
    put(&mut out, format_args!(",\"seed\":\"{}\",\"jitter\":{}", options.seed, options.usable_jitter()));
    conditions(&mut out, options);
    counts(&mut out, "traces", tally.before.traces, tally.after.traces);
    counts(&mut out, "spans", tally.before.spans, tally.after.spans);
    let nothing = !expected.iter().any(|finding| finding.required);
    put(&mut out, format_args!(",\"nothing\":{nothing},\"findings\":"));
    list(&mut out, ('[', ']'), expected, |out, one| finding(out, options, programs, one, tally));
    out.push_str("}\n");
    out
}

/// What is not as usual.
fn conditions(out: &mut String, options: &Options) {
    if options.noise != Noise::default() {
        put(out, format_args!(",\"noise\":\"{}\"", options.noise.name()));
    }
    for (name, value, usual) in [
        ("drift", options.drift, 0.0),
        ("replica_spread", options.replica_spread, 0.0),
        ("sampling", options.sampling, 1.0),
    ] {
        if value.is_finite() && value.total_cmp(&usual).is_ne() {
            put(out, format_args!(",\"{name}\":{value}"));
        }
    }
}

fn counts(out: &mut String, name: &str, before: u64, after: u64) {
    put(out, format_args!(",\"{name}\":{{\"before\":{before},\"after\":{after}}}"));
}

fn finding(out: &mut String, options: &Options, programs: &Pair<Program>, one: &Expected, tally: &Pair<Tally>) {
    put(out, format_args!("{{\"kind\":\"{}\",\"required\":{},\"operation\":", one.kind, one.required));
    let path = programs.get(one.side).path_to(one.label).unwrap_or_default();
    match path.last() {
        Some(node) => operation(out, node),
        None => out.push_str("null"),
    }
    out.push_str(",\"path\":");
    list(out, ('[', ']'), &path, |out, node| operation(out, node));
    out.push_str(",\"from_path\":");
    match programs.before.path_to(one.label) {
        Some(from) if one.side == Side::After && names(&from) != names(&path) => {
            list(out, ('[', ']'), &from, |out, node| operation(out, node));
        }
        _ => out.push_str("null"),
    }
    counts(out, "spans", tally.before.of(one.label), tally.after.of(one.label));
    instances(out, options, programs, path.last().map(|node| &node.what));
    out.push('}');
}

/// Which instances it is about, and what they share.
fn instances(out: &mut String, options: &Options, programs: &Pair<Program>, what: Option<&What>) {
    match (options.change, what) {
        (Change::InstanceGone, Some(What::Sql(sql))) => {
            let Some(gone) = programs.after.gone_instance else { return };
            put(
                out,
                format_args!(
                    ",\"instances\":[{{\"key\":\"db.namespace\",\"named\":[\"{}_{gone:03}\"]}}]",
                    sql.database
                ),
            );
        }
        (Change::Maintenance, Some(what)) => {
            let Some(fleet) = &programs.after.fleet else { return };
            out.push_str(",\"instances\":[{\"key\":\"server.address/db.namespace\",\"named\":");
            list(out, ('[', ']'), fleet.doomed(matches!(what, What::Sql(_))), |out, name| string(out, &name));
            out.push_str(",\"shared\":{\"key\":\"k8s.storageclass.name\",\"value\":");
            string(out, OLD_CLASS);
            out.push_str("}}]");
        }
        _ => {}
    }
}

fn names(path: &[&Node]) -> Vec<(&'static str, String)> {
    path.iter().map(|node| (node.service, node.what.operation_name(node.kind))).collect()
}

fn operation(out: &mut String, node: &Node) {
    out.push_str("{\"service\":");
    string(out, node.service);
    out.push_str(",\"name\":");
    string(out, &node.what.operation_name(node.kind));
    put(out, format_args!(",\"kind\":\"{}\"}}", node.kind.name()));
}
