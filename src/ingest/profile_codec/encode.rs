//! A canonical profile becomes messages, one after the other.

use super::SCHEMA;
use super::columns::{count, differences, fixed};
use super::generated as wire;
use crate::model::profile::{
    Exemplar, Exemplars, Histogram, Instances, KeyCounts, Path, PathState, Profile, Shards, Timeline, Totals,
    ValueCounts, stable_hash,
};
use crate::model::{NO_PARENT, OperationId, Symbol};
use prost::Message;
use std::collections::{BTreeMap, HashMap};
use std::io;

/// Writes the message of a canonical profile, field by field: it never stands in memory as a whole.
pub fn message(profile: &Profile, write: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let examples: Vec<&[u8]> = profile.example_traces().into_iter().collect();
    let encoder = Encoder { profile, examples: examples.iter().copied().zip(0..).collect() };
    let mut buffer = Vec::new();
    prost::encoding::string::encode(1, &SCHEMA.to_owned(), &mut buffer);
    for text in profile.strings.iter() {
        prost::encoding::string::encode(2, &text.to_owned(), &mut buffer);
    }
    for operation in profile.operations.iter() {
        let message = wire::Operation {
            service: operation.service.to_string(),
            kind: operation.kind as u32,
            name: operation.name.to_string(),
        };
        field(3, &message, &mut buffer);
    }
    field(4, &Encoder::totals(&profile.totals), &mut buffer);
    for path in profile.paths() {
        write(&buffer)?;
        buffer.clear();
        field(5, &encoder.path(path), &mut buffer);
    }
    for example in examples {
        write(&buffer)?;
        buffer.clear();
        prost::encoding::bytes::encode(6, &example.to_vec(), &mut buffer);
    }
    write(&buffer)
}

fn field(number: u32, message: &impl Message, buffer: &mut Vec<u8>) {
    prost::encoding::message::encode(number, message, buffer);
}

/// The place of a string. Strings and operations of a canonical profile are sorted, and all are used.
const fn string(symbol: Symbol) -> u32 {
    symbol.0
}

/// Whole traces and where they stand.
type Places<'a> = HashMap<&'a [u8], u32, foldhash::fast::RandomState>;

struct Encoder<'a> {
    profile: &'a Profile,
    examples: Places<'a>,
}

impl Encoder<'_> {
    fn totals(totals: &Totals) -> wire::Totals {
        wire::Totals {
            traces: count(totals.traces),
            spans: count(totals.spans),
            failed_spans: count(totals.failed_spans),
            partial: count(totals.partial),
            window: totals.window_ns.map(|(start_unix_ns, end_unix_ns)| wire::Window { start_unix_ns, end_unix_ns }),
            thresholds: totals.thresholds.keys().copied().collect(),
            threshold_traces: totals.thresholds.values().copied().map(count).collect(),
            unsampled: count(totals.unsampled),
            version_services: totals.versions.keys().map(|(service, _)| string(*service)).collect(),
            versions: totals.versions.keys().map(|(_, version)| string(*version)).collect(),
            version_spans: totals.versions.values().copied().map(count).collect(),
            inputs: totals.inputs.iter().flatten().copied().collect(),
            bytes_read: count(totals.bytes.0),
            bytes_lost: count(totals.bytes.1),
            warnings: totals
                .warnings
                .iter()
                .map(|(warning, counted)| wire::Warning {
                    code: warning.code().to_owned(),
                    count: count(counted.count),
                    example: counted.example.clone(),
                })
                .collect(),
        }
    }

    fn path(&self, path: &Path) -> wire::Path {
        let state = &path.state;
        wire::Path {
            parent: if path.parent == NO_PARENT { 0 } else { path.parent + 1 },
            operation: path.operation.0,
            self_time: histogram(&state.self_time),
            edge_time: histogram(&state.edge_time),
            duration: histogram(&state.duration),
            sums: sums(&state.shards),
            tail: tail(state),
            errors: self.errors(&state.errors),
            timeline: timeline(&state.timeline),
            instances: self.instances(&state.instances),
            attributes: self.attributes(&state.attributes),
            links: links(&state.links),
            exemplars: exemplars(&state.exemplars, &self.examples),
        }
    }

    fn errors(&self, errors: &KeyCounts) -> Option<wire::Values> {
        (*errors != KeyCounts::default()).then(|| self.values(std::iter::once((Symbol::EMPTY, errors))))
    }

    fn attributes(&self, attributes: &ValueCounts) -> Option<wire::Values> {
        let some = attributes.more || !attributes.is_empty();
        some.then(|| wire::Values { more_keys: attributes.more, ..self.values(attributes.iter()) })
    }

    fn values<'k>(&self, keys: impl Iterator<Item = (Symbol, &'k KeyCounts)>) -> wire::Values {
        let mut values = wire::Values::default();
        let (mut key_mass, mut mass, mut hashed) = (Vec::new(), Vec::new(), Vec::new());
        for (key, counts) in keys {
            values.keys.push(string(key));
            key_mass.push(counts.mass);
            values.more_values.push(counts.more);
            values.counts.push(counts.values().len() as u32);
            for value in counts.values() {
                values.values.push(string(value.value));
                mass.push(value.mass);
                hashed.push((value.hash, value.value));
            }
        }
        values.key_mass = fixed(key_mass);
        values.mass = fixed(mass);
        values.hashes = self.hashes(&hashed);
        values
    }

    /// Hashes that are not those of their texts; none when all are.
    fn hashes(&self, hashed: &[(u64, Symbol)]) -> Vec<u64> {
        let usual = |&(hash, text): &(u64, Symbol)| hash == stable_hash(self.profile.strings.get(text).as_bytes());
        if hashed.iter().all(usual) { Vec::new() } else { hashed.iter().map(|(hash, _)| *hash).collect() }
    }

    fn instances(&self, instances: &Instances) -> Option<wire::Instances> {
        if instances.is_empty() {
            return None;
        }
        let mut table = wire::Instances::default();
        let (mut weight, mut bins, mut hashed) = (Vec::new(), Vec::new(), Vec::new());
        for (key, of_key) in instances.iter() {
            table.keys.push(string(key));
            table.more.push(of_key.more);
            table.counts.push(of_key.len() as u32);
            for (hash, instance) in of_key.iter() {
                hashed.push((hash, instance.name));
                table.names.push(string(instance.name));
                table.spans.push(count(instance.spans));
                table.failed.push(count(instance.failed));
                weight.push(instance.weight);
                bins.push(instance.bins);
                table.first_unix_ns.push(instance.first_ns);
                table.last_behind_first_ns.push(instance.last_ns.wrapping_sub(instance.first_ns));
                table.good_before_last_ns.push(instance.last_ns.wrapping_sub(instance.last_good_ns));
                table.shared_counts.push(instance.shared.len() as u32);
                for (key, value) in instance.shared.values() {
                    table.shared_keys.push(string(*key));
                    table.shared_values.push(value.map_or(0, |value| string(value) + 1));
                }
            }
        }
        table.hashes = self.hashes(&hashed);
        Some(wire::Instances { weight: fixed(weight), bins: fixed(bins), ..table })
    }
}

fn links(links: &BTreeMap<OperationId, u128>) -> Option<wire::Links> {
    (!links.is_empty()).then(|| wire::Links {
        // One more than the number, so that none (the largest) becomes 0.
        operations: links.keys().map(|id| id.0.wrapping_add(1)).collect(),
        weight: fixed(links.values().copied()),
    })
}

fn histogram(histogram: &Histogram) -> Option<wire::Histogram> {
    let cells = histogram.cells();
    let keys = cells.iter().map(|cell| u64::from(cell.shard) << 16 | u64::from(cell.bin));
    (!cells.is_empty()).then(|| wire::Histogram {
        cells: differences(keys).map(|key| key as u32).collect(),
        mass: fixed(cells.iter().map(|cell| u128::from(cell.mass))),
    })
}

fn sums(shards: &Shards) -> Option<wire::Sums> {
    let mask = shards.iter().fold(0, |mask, (shard, _)| mask | 1 << shard);
    let column = |at: usize| fixed(shards.iter().map(|(_, sums)| sums.values().get(at).copied().unwrap_or(0)));
    let [
        weight,
        calls,
        critical_calls,
        own_errors,
        errors,
        failed_calls,
        critical_ns,
        self_ns,
        edge_ns,
        duration_ns,
        children_ns,
        covered_ns,
    ] = std::array::from_fn(column);
    (mask != 0).then(|| wire::Sums {
        shards: mask,
        traces: shards.iter().map(|(_, sums)| count(sums.traces)).collect(),
        weight,
        calls,
        critical_calls,
        own_errors,
        errors,
        failed_calls,
        critical_ns,
        self_ns,
        edge_ns,
        duration_ns,
        children_ns,
        covered_ns,
    })
}

fn tail(state: &PathState) -> Option<wire::Tail> {
    let cells = &state.tail;
    (!cells.is_empty()).then(|| wire::Tail {
        bins: differences(cells.iter().map(|cell| u64::from(cell.bin))).map(|bin| bin as u32).collect(),
        critical_ns: fixed(cells.iter().map(|cell| cell.critical_ns)),
        critical_calls: fixed(cells.iter().map(|cell| cell.critical_calls)),
    })
}

fn timeline(timeline: &Timeline) -> Option<wire::Timeline> {
    timeline.iter().next()?;
    Some(wire::Timeline {
        shift: timeline.shift(),
        buckets: differences(timeline.iter().map(|(at_ns, _)| at_ns >> timeline.shift())).collect(),
        weight: fixed(timeline.iter().map(|(_, bucket)| bucket.weight)),
        own_errors: fixed(timeline.iter().map(|(_, bucket)| bucket.own_errors)),
        bins: fixed(timeline.iter().map(|(_, bucket)| bucket.bins)),
    })
}

fn exemplars(exemplars: &Exemplars, places: &Places<'_>) -> Option<wire::Exemplars> {
    let mut rows: Vec<Exemplar> = Vec::new();
    let mut row = |span: &Exemplar| {
        let known = rows.iter().position(|held| held == span);
        if known.is_none() {
            rows.push(*span);
        }
        known.unwrap_or(rows.len() - 1) as u32
    };
    let sample = exemplars.sample.iter().map(&mut row).collect();
    let mut place = |span: &Option<Exemplar>| span.as_ref().map_or(0, |span| row(span) + 1);
    let table = wire::Exemplars {
        sample,
        first: place(&exemplars.first),
        slowest: place(&exemplars.slowest),
        fastest: place(&exemplars.fastest),
        failed: place(&exemplars.failed),
        ..wire::Exemplars::default()
    };
    let mut traces: Vec<u32> = rows
        .iter()
        .map(|span| exemplars.trace_of(span).and_then(|trace| places.get(&**trace)).map_or(0, |at| at + 1))
        .collect();
    if traces.iter().all(|trace| *trace == 0) {
        traces.clear();
    }
    (!rows.is_empty()).then(|| wire::Exemplars {
        trace_ids: rows.iter().flat_map(|span| span.trace_id.0.to_be_bytes()).collect(),
        span_ids: rows.iter().map(|span| span.span_id.0).collect(),
        start_unix_ns: rows.iter().map(|span| span.start_ns).collect(),
        duration_ns: rows.iter().map(|span| span.duration_ns).collect(),
        traces,
        ..table
    })
}
