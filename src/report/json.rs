//! `spandiff.diff/v1`: the [`Diff`] for programs.
//!
//! The document is written by serde; the tree node by node, because its nesting follows the depth of the trace and a
//! recursive writer would need a stack as deep. Each tree node stands on a line of its own without indentation, which
//! keeps the size linear in the number of nodes.

mod population;

use super::Options;
use super::escape::is_unseen;
use super::schema::{self, Sides};
use crate::diff::{self, Diff};
use crate::model::{Pair, Side, Status};
use population::{effect, instance};
use serde::Serialize;
use std::io::{self, Write};

/// Writes the document.
pub fn json(diff: &Diff, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    finish(pretty(&document(diff))?, diff, options, out)
}

/// Writes a document, with the tree as its last member when the options ask for it.
pub(super) fn finish(mut head: Vec<u8>, diff: &Diff, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    if options.tree.is_none() {
        head.push(b'\n');
        return out.write_all(&head);
    }
    // The document ends with "\n}": the tree goes in before that.
    head.truncate(head.len().saturating_sub(2));
    out.write_all(&head)?;
    out.write_all(b",\n  \"tree\": ")?;
    tree(&diff.tree, out)?;
    out.write_all(b"\n}\n")
}

/// A value as indented JSON in which nothing unseen is left raw.
pub fn pretty(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let formatter = Harmless(serde_json::ser::PrettyFormatter::new());
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))?;
    Ok(bytes)
}

fn compact(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let formatter = Harmless(serde_json::ser::CompactFormatter);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))?;
    Ok(bytes)
}

/// A formatter that writes what a terminal might obey (C1, bidirectional overrides, …) as `\u` escapes too.
struct Harmless<F>(F);

macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*);)+) => {
        $(fn $name<W: ?Sized + Write>(&mut self, writer: &mut W $(, $argument: $type)*) -> io::Result<()> {
            self.0.$name(writer $(, $argument)*)
        })+
    };
}

impl<F: serde_json::ser::Formatter> serde_json::ser::Formatter for Harmless<F> {
    forward! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, unseen)) = rest.char_indices().find(|&(_, c)| is_unseen(c)) {
            let (seen, behind) = rest.split_at(at);
            writer.write_all(seen.as_bytes())?;
            for unit in unseen.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = behind.get(unseen.len_utf8()..).unwrap_or_default();
        }
        writer.write_all(rest.as_bytes())
    }
}

/// Six decimals: enough for every share, and the same on every machine.
fn rounded(value: f64) -> f64 {
    if value.is_finite() { (value * 1e6).round() / 1e6 + 0.0 } else { 0.0 }
}

/// Three significant digits: probabilities go down to 1e-300, where fixed decimals say nothing.
fn significant(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(0.0)
}

fn sides<'a, T, U>(pair: &'a Pair<T>, mut of: impl FnMut(&'a T) -> U) -> Sides<U> {
    Sides { before: of(pair.get(Side::Before)), after: of(pair.get(Side::After)) }
}

/// The document, without its tree.
pub(super) fn document(diff: &Diff) -> schema::Document<'_> {
    schema::Document {
        schema: schema::SCHEMA,
        tool: schema::Tool { name: "spandiff", version: env!("CARGO_PKG_VERSION") },
        mode: match diff.mode {
            diff::Mode::Pair => "pair",
            diff::Mode::Population => "population",
        },
        inputs: sides(&diff.inputs, input),
        config_sha256: &diff.config_sha256,
        comparable: schema::Comparable { ok: diff.comparable.ok, reasons: notes(&diff.comparable.reasons) },
        coverage: schema::Coverage {
            paths: rounded(diff.coverage.paths),
            instances: diff.coverage.instances.map(rounded),
        },
        drift: schema::Drift {
            common_ratio: rounded(diff.drift.common_ratio),
            between_paths: rounded(diff.drift.between_paths),
        },
        stability: diff.stability.map(rounded),
        overall: rows(&diff.overall),
        summary: schema::Summary {
            findings: diff.findings.len() as u64 + diff.omitted.findings,
            by_kind: schema::Kinds(&diff.summary.by_kind),
            unchanged_operations: diff.summary.unchanged_operations,
            spans: schema::Spans {
                before: diff.summary.spans.before,
                after: diff.summary.spans.after,
                matched: diff.summary.matched,
            },
            errors: sides(&diff.summary.errors, |&errors| errors),
        },
        entry_points: diff.entry_points.iter().map(entry_point).collect(),
        findings: diff.findings.iter().enumerate().map(|(index, it)| finding(index, it)).collect(),
        notes: notes(&diff.notes),
        suspects: diff.suspects.iter().map(suspect).collect(),
        omitted: schema::Omitted { findings: diff.omitted.findings, contribution_ns: diff.omitted.contribution_ns },
        tree: None,
    }
}

fn input(side: &diff::InputSide) -> schema::Input<'_> {
    schema::Input {
        sources: &side.sources,
        traces: side.traces,
        spans: side.spans,
        trace_ids: side.trace_ids.iter().map(ToString::to_string).collect(),
        window: side
            .window_ns
            .map(|(start, end)| schema::Window { start_unix_ns: start.to_string(), end_unix_ns: end.to_string() }),
        sha256: &side.sha256,
        sampling: side.sampling.name(),
        warnings: warnings(&side.warnings),
    }
}

/// The warnings of one side or input.
pub fn warnings(warnings: &crate::model::Warnings) -> Vec<schema::Warning<'_>> {
    let message = |explanation: &str, example: &str| match example {
        "" => explanation.to_owned(),
        example => format!("{explanation}; first: {example}"),
    };
    warnings
        .iter()
        .map(|(warning, counted)| schema::Warning {
            code: warning.code(),
            count: counted.count,
            message: message(warning.explanation(), &counted.example),
        })
        .collect()
}

fn notes(notes: &[diff::Note]) -> Vec<schema::Note<'_>> {
    notes.iter().map(|note| schema::Note { code: note.code, message: &note.message }).collect()
}

/// An operation.
pub(super) fn operation(operation: &crate::model::Operation) -> schema::Operation<'_> {
    schema::Operation { service: &operation.service, name: &operation.name, kind: operation.kind.name() }
}

fn quantiles(quantiles: &diff::Quantiles) -> schema::Quantiles {
    let diff::Quantiles { mean, p50, p95, p99 } = *quantiles;
    schema::Quantiles { mean, p50, p95, p99 }
}

/// The id of the finding at this index.
pub fn finding_id(index: usize) -> String {
    format!("F{}", index + 1)
}

fn entry_point(entry: &diff::EntryPoint) -> schema::EntryPoint<'_> {
    schema::EntryPoint {
        operation: operation(&entry.operation),
        traces: sides(&entry.traces, |&traces| traces),
        duration_ns: schema::Durations {
            before: entry.duration_ns.before.as_ref().map(quantiles),
            after: entry.duration_ns.after.as_ref().map(quantiles),
            delta: schema::Mean { mean: entry.delta_ns },
        },
        error_rate: sides(&entry.error_rate, |rate| rate.map(rounded)),
        attribution: rows(&entry.attribution),
        tail: rows(&entry.tail),
        effects: entry.effects.iter().map(effect).collect(),
        detectable: entry.detectable.map(rounded),
        needed_traces: entry.needed_traces,
    }
}

fn rows(rows: &[diff::AttributionRow]) -> Vec<schema::Attribution<'_>> {
    rows.iter()
        .map(|row| schema::Attribution {
            finding: row.finding.map(finding_id),
            label: &row.label,
            contribution_ns: row.contribution_ns,
        })
        .collect()
}

fn finding(index: usize, finding: &diff::Finding) -> schema::Finding<'_> {
    schema::Finding {
        id: finding_id(index),
        fingerprint: &finding.fingerprint,
        kind: finding.kind.name(),
        operation: finding.operation().map(operation),
        path: finding.path.iter().map(operation).collect(),
        from_path: finding.from_path.as_ref().map(|path| path.iter().map(operation).collect()),
        title: &finding.title,
        spans: schema::NodeSpans { before: finding.spans.before, after: finding.spans.after, subtree: finding.subtree },
        calls_per_trace: sides(&finding.calls_per_trace, |&calls| rounded(calls)),
        duration_ns: sides(&finding.duration_ns, |side| side.as_ref().map(quantiles)),
        self_time_ns: sides(&finding.self_time_ns, |&mean| schema::Mean { mean }),
        edge_time_ns: sides(&finding.edge_time_ns, |&mean| schema::Mean { mean }),
        error_rate: sides(&finding.error_rate, |rate| rate.map(rounded)),
        effects: finding.effects.iter().map(effect).collect(),
        contribution_ns: finding.contribution_ns,
        share: finding.share.map(rounded),
        on_critical_path: sides(&finding.on_critical_path, |&on| on),
        confidence: finding.confidence.name(),
        matched: matched(&finding.matched),
        attributes: finding.attributes.iter().map(attribute).collect(),
        events: finding.events.iter().map(event).collect(),
        instances: finding.instances.iter().map(instance).collect(),
        first_seen: finding
            .first_seen
            .map(|(unix_ns, trace)| schema::FirstSeen { unix_ns: unix_ns.to_string(), trace_id: trace.to_string() }),
        accepted: finding
            .accepted
            .as_ref()
            .map(|accepted| schema::Accepted { reason: &accepted.reason, until: accepted.until.as_deref() }),
        because: &finding.because,
        evidence: &finding.evidence,
        exemplars: sides(&finding.exemplars, |example| example.iter().map(|(trace, _)| trace.to_string()).collect()),
        exemplar_spans: sides(&finding.exemplars, |example| example.iter().map(|(_, span)| span.to_string()).collect()),
    }
}

fn matched(matched: &diff::MatchInfo) -> schema::Match<'_> {
    schema::Match { score: rounded(matched.score), reason: matched.reason }
}

fn attribute(attribute: &diff::AttributeChange) -> schema::Attribute<'_> {
    schema::Attribute {
        key: &attribute.key,
        change: attribute.change.name(),
        before: attribute.before.as_deref(),
        after: attribute.after.as_deref(),
    }
}

fn event(event: &diff::EventChange) -> schema::Event<'_> {
    schema::Event {
        name: &event.name,
        change: event.change.name(),
        exception_type: event.exception_type.as_deref(),
        before: event.count.before,
        after: event.count.after,
    }
}

fn suspect(suspect: &diff::Suspect) -> schema::Suspect<'_> {
    schema::Suspect {
        service: &suspect.service,
        score: rounded(suspect.score),
        operations: suspect
            .operations
            .iter()
            .map(|(operation, score)| schema::SuspectOperation {
                name: &operation.name,
                kind: operation.kind.name(),
                score: rounded(*score),
            })
            .collect(),
        reasons: notes(&suspect.reasons),
    }
}

fn tree_node(node: &diff::TreeNode) -> schema::TreeNode<'_> {
    schema::TreeNode {
        operation: Some(operation(&node.operation)),
        from: node.from.as_ref().map(operation),
        mark: node.mark.glyph(),
        inherited: node.inherited,
        matched: matched(&node.matched),
        before: node.sides.before.map(tree_side),
        after: node.sides.after.map(tree_side),
        finding: node.finding.map(finding_id),
        children: Vec::new(),
    }
}

fn tree_side(side: diff::NodeSide) -> schema::TreeSide {
    schema::TreeSide {
        spans: side.spans,
        start_ns: side.start_ns,
        duration_ns: side.duration_ns,
        self_time_ns: side.self_ns,
        critical_path_ns: side.critical_ns,
        status: match side.status {
            Status::Unset => "unset",
            Status::Ok => "ok",
            Status::Error => "error",
        }
        .to_owned(),
        span_id: side.span_id.to_string(),
    }
}

/// Several entry points, or none, hang under a node without operation, so that a tree is always one object.
fn root() -> schema::TreeNode<'static> {
    schema::TreeNode {
        operation: None,
        from: None,
        mark: diff::Mark::Equal.glyph(),
        inherited: true,
        matched: schema::Match { score: 1.0, reason: "structure" },
        before: None,
        after: None,
        finding: None,
        children: Vec::new(),
    }
}

fn tree(nodes: &[diff::TreeNode], out: &mut dyn Write) -> io::Result<()> {
    let virtual_root = nodes.iter().filter(|node| node.depth == 0).count() != 1;
    let mut open = 0u32;
    if virtual_root {
        begin(&root(), out)?;
        open = 1;
    }
    let mut first = true;
    for node in nodes {
        let depth = (node.depth + u32::from(virtual_root)).min(open);
        let deeper = depth == open;
        for _ in depth..open {
            out.write_all(b"]}")?;
        }
        if !deeper {
            out.write_all(b",")?;
        }
        if !first || virtual_root {
            out.write_all(b"\n")?;
        }
        first = false;
        begin(&tree_node(node), out)?;
        open = depth + 1;
    }
    for _ in 0..open {
        out.write_all(b"]}")?;
    }
    Ok(())
}

/// Writes a node up to the opening bracket of its children.
fn begin(node: &schema::TreeNode<'_>, out: &mut dyn Write) -> io::Result<()> {
    let bytes = compact(node)?;
    out.write_all(bytes.strip_suffix(b"]}").unwrap_or(&bytes))
}

#[cfg(test)]
mod tests {
    use super::super::rows::tests::node;
    use super::*;
    use crate::diff::Mark;

    fn written(nodes: &[diff::TreeNode]) -> String {
        let mut bytes = Vec::new();
        tree(nodes, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Names with their children in brackets.
    fn outline(value: &serde_json::Value) -> String {
        let name = value["operation"]["name"].as_str().unwrap_or("-");
        let children: Vec<_> = value["children"].as_array().unwrap().iter().map(outline).collect();
        if children.is_empty() { name.into() } else { format!("{name}[{}]", children.join(" ")) }
    }

    #[test]
    fn the_tree_nests_as_the_depths_say() {
        let one = |depth, name| node(depth, name, Mark::Equal, Some(1), Some(1));
        for (nodes, shown) in [
            (vec![one(0, "a"), one(1, "b"), one(2, "c"), one(1, "d")], "a[b[c] d]"),
            (vec![one(0, "a"), one(1, "b"), one(0, "c"), one(1, "d")], "-[a[b] c[d]]"),
            (vec![one(0, "a")], "a"),
            (vec![], "-"),
        ] {
            let value = serde_json::from_str(&written(&nodes)).unwrap();
            assert_eq!(outline(&value), shown);
        }
    }

    #[test]
    fn depth_needs_no_stack() {
        let nodes: Vec<_> = (0..100_000).map(|depth| node(depth, "x", Mark::Equal, Some(1), Some(1))).collect();
        let text = written(&nodes);
        assert_eq!(text.matches("\"children\":[").count(), 100_000);
        assert_eq!(text.matches("]}").count(), 100_000);
        assert_eq!(text.lines().count(), 100_000);
    }

    #[test]
    fn nothing_unseen_is_left_raw() {
        let bytes = compact(&"a\u{9b}2J \u{202e}b\u{7f}\u{1b}\n\u{e0041}").unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text, r#""a\u009b2J \u202eb\u007f\u001b\n\udb40\udc41""#);
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), "a\u{9b}2J \u{202e}b\u{7f}\u{1b}\n\u{e0041}");
    }

    #[test]
    fn floats_are_the_same_everywhere() {
        assert_eq!(rounded(0.1 + 0.2).to_bits(), 0.3f64.to_bits());
        assert_eq!(rounded(f64::NAN).to_bits(), 0.0f64.to_bits());
        assert_eq!(rounded(-1e-9).to_bits(), 0.0f64.to_bits());
    }
}
