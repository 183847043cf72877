//! Messages become a profile. Everything is checked: the file comes from a stranger.

use super::columns::{Part, ascending, counts, masses, numbers, of_rows, pieces};
use super::generated as wire;
use super::{MESSAGE_BYTES, ProfileError, SCHEMA};
use crate::model::profile::{
    Bucket, Cell, ENTRY_SHARDS, EXAMPLES_BYTES, Exemplar, Exemplars, Histogram, Instance, Instances, KeyCounts,
    MAX_ENTRIES, MAX_EXAMPLE_BYTES, MAX_EXAMPLES, PathState, Profile, SHARDS, Shards, Sums, TailCell, Timeline, Totals,
    ValueCount, ValueCounts, bin_of, stable_hash,
};
use crate::model::wire::{Field, Fields};
use crate::model::{
    Kind, Limits, NO_PARENT, Operation, OperationId, SpanId, Symbol, Symbols, TraceId, Warning, Warnings,
};
use prost::Message;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Keys of instances at one path.
const MAX_INSTANCE_KEYS: usize = 1_024;

/// The profile in the bytes of a message.
pub fn message(bytes: &[u8], limits: &Limits) -> Result<Profile, ProfileError> {
    let mut decoder =
        Decoder { profile: Profile::default(), limits, service: None, examples: Vec::new(), example_bytes: 0 };
    // Fields may stand in any order, and paths name what is in the tables: once over the bytes for each.
    let schemas = fields(bytes, 1)?;
    if schemas.last().is_none_or(|schema| *schema != SCHEMA.as_bytes()) {
        return Err(ProfileError::damaged("its beginning", format!("it does not say that it is a {SCHEMA}")));
    }
    for (index, text) in fields(bytes, 2)?.into_iter().enumerate() {
        decoder.string(index, text).map_err(|what| ProfileError::damaged(format!("string {index}"), what))?;
    }
    for (index, part) in fields(bytes, 3)?.into_iter().enumerate() {
        decoder.operation(index, part).map_err(|what| ProfileError::damaged(format!("operation {index}"), what))?;
    }
    for part in fields(bytes, 4)? {
        decoder.totals(part).map_err(|what| ProfileError::damaged("its totals", what))?;
    }
    for (index, part) in fields(bytes, 6)?.into_iter().enumerate() {
        decoder.example(part).map_err(|what| ProfileError::damaged(format!("example trace {index}"), what))?;
    }
    for (index, part) in fields(bytes, 5)?.into_iter().enumerate() {
        decoder.path(index, part).map_err(|what| ProfileError::damaged(format!("path {index}"), what))?;
    }
    decoder.profile.seal();
    Ok(decoder.profile)
}

/// The contents of all fields of a number.
fn fields(message: &[u8], number: u32) -> Result<Vec<&[u8]>, ProfileError> {
    let mut fields = Fields::new(message);
    let mut found = Vec::new();
    loop {
        let at = message.len() - fields.rest().len();
        match fields.next_field() {
            Ok(None) => return Ok(found),
            Ok(Some((other, _))) if other != number => {}
            Ok(Some((_, Field::Bytes(part)))) if part.len() <= MESSAGE_BYTES => found.push(part),
            Ok(Some((_, Field::Bytes(part)))) => {
                return Err(ProfileError::damaged(format!("byte {at}"), format!("a part of {} bytes", part.len())));
            }
            Ok(Some(_)) => {
                return Err(ProfileError::damaged(format!("byte {at}"), "a number stands where text belongs"));
            }
            Err(error) => return Err(ProfileError::damaged(format!("byte {at}"), error.to_string())),
        }
    }
}

struct Decoder<'a> {
    profile: Profile,
    limits: &'a Limits,
    /// The service of the last operation: they come sorted, and share its text.
    service: Option<Arc<str>>,
    /// The table of whole traces, and how many bytes they have.
    examples: Vec<Arc<[u8]>>,
    example_bytes: usize,
}

impl Decoder<'_> {
    fn string(&mut self, index: usize, text: &[u8]) -> Part<()> {
        let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
        if index as u64 >= self.limits.symbols {
            return Err(format!("more than {} strings (raise with --limit symbols=N)", self.limits.symbols));
        }
        if self.profile.strings.intern(text).0 as usize == index { Ok(()) } else { Err("it stands there twice".into()) }
    }

    fn operation(&mut self, index: usize, part: &[u8]) -> Part<()> {
        let message = wire::Operation::decode(part).map_err(|error| error.to_string())?;
        if index as u64 >= self.limits.symbols {
            return Err(format!("more than {} operations (raise with --limit symbols=N)", self.limits.symbols));
        }
        let service = match &self.service {
            Some(last) if **last == *message.service => last.clone(),
            _ => Arc::from(message.service),
        };
        self.service = Some(service.clone());
        let kind = Kind::from_otlp(u64::from(message.kind));
        let operation = Operation { service, kind, name: message.name.into() };
        let id = self.profile.operations.intern(operation);
        if id.0 as usize == index { Ok(()) } else { Err("it stands there twice".into()) }
    }

    fn totals(&mut self, part: &[u8]) -> Part<()> {
        let message = wire::Totals::decode(part).map_err(|error| error.to_string())?;
        let single = [message.traces, message.spans, message.failed_spans, message.partial, message.unsampled];
        let &[traces, spans, failed_spans, partial, unsampled] = counts(&single, single.len())? else {
            return Err("counts are missing".into());
        };
        let &[read, lost] = counts(&[message.bytes_read, message.bytes_lost], 2)? else {
            return Err("counts are missing".into());
        };
        let totals = Totals {
            traces,
            spans,
            failed_spans,
            partial,
            window_ns: message.window.map(|window| (window.start_unix_ns, window.end_unix_ns)),
            thresholds: thresholds(&message)?,
            unsampled,
            versions: self.versions(&message)?,
            inputs: message.inputs.as_chunks::<32>().0.iter().copied().collect(),
            bytes: (read, lost),
            warnings: warnings(&message.warnings)?,
        };
        if !message.inputs.len().is_multiple_of(32) {
            return Err("the hashes of its inputs are cut".into());
        }
        // Merging keeps the caps.
        self.profile.totals.merge(&totals, &|symbol| symbol);
        Ok(())
    }

    fn versions(&self, message: &wire::Totals) -> Part<BTreeMap<(Symbol, Symbol), u64>> {
        let rows = message.versions.len();
        let services = of_rows(&message.version_services, rows)?;
        let spans = counts(&message.version_spans, rows)?;
        let mut versions = BTreeMap::new();
        for ((&service, &version), &spans) in services.iter().zip(&message.versions).zip(spans) {
            versions.insert((self.symbol(service)?, self.symbol(version)?), spans);
        }
        Ok(versions)
    }

    fn symbol(&self, number: u32) -> Part<Symbol> {
        symbol(&self.profile.strings, number)
    }

    fn path(&mut self, index: usize, part: &[u8]) -> Part<()> {
        if index as u64 >= self.limits.paths {
            return Err(format!("more than {} paths (raise with --limit paths=N)", self.limits.paths));
        }
        let message = wire::Path::decode(part).map_err(|error| error.to_string())?;
        let parent = match message.parent.checked_sub(1) {
            None => NO_PARENT,
            Some(parent) if (parent as usize) < index => parent,
            Some(parent) => return Err(format!("its parent is path {parent}, which does not come before it")),
        };
        let operation = self.operation_id(message.operation)?;
        let shards = if parent == NO_PARENT { ENTRY_SHARDS } else { SHARDS };
        let state = self.state(&message, shards)?;
        let place = self.profile.path(parent, operation);
        match self.profile.state_mut(place) {
            Some(slot) if place as usize == index => *slot = state,
            _ => return Err(format!("it is path {place} again")),
        }
        Ok(())
    }

    fn operation_id(&self, number: u32) -> Part<OperationId> {
        let known = (number as usize) < self.profile.operations.len();
        if known { Ok(OperationId(number)) } else { Err(format!("there is no operation {number}")) }
    }

    fn state(&self, message: &wire::Path, shards: u8) -> Part<PathState> {
        let strings = &self.profile.strings;
        let within = |what: &'static str| move |error: String| format!("{what}: {error}");
        Ok(PathState {
            self_time: histogram(message.self_time.as_ref(), shards).map_err(within("self time"))?,
            edge_time: histogram(message.edge_time.as_ref(), shards).map_err(within("edge time"))?,
            duration: histogram(message.duration.as_ref(), shards).map_err(within("duration"))?,
            shards: sums(message.sums.as_ref(), shards).map_err(within("sums"))?,
            tail: tail(message.tail.as_ref()).map_err(within("tail"))?,
            errors: errors(message.errors.as_ref(), strings).map_err(within("errors"))?,
            timeline: timeline(message.timeline.as_ref()).map_err(within("timeline"))?,
            instances: instances(message.instances.as_ref(), strings).map_err(within("instances"))?,
            attributes: attributes(message.attributes.as_ref(), strings).map_err(within("attributes"))?,
            links: self.links(message.links.as_ref()).map_err(within("links"))?,
            exemplars: exemplars(message.exemplars.as_ref(), &self.examples).map_err(within("examples"))?,
        })
    }

    fn links(&self, message: Option<&wire::Links>) -> Part<BTreeMap<OperationId, u128>> {
        let Some(message) = message else { return Ok(BTreeMap::new()) };
        let weights = numbers(message.weight.as_ref(), message.operations.len())?;
        let mut links = BTreeMap::new();
        for (&number, weight) in message.operations.iter().zip(weights) {
            let id = match number.checked_sub(1) {
                None => OperationId::NONE,
                Some(number) => self.operation_id(number)?,
            };
            links.insert(id, weight);
        }
        Ok(links)
    }

    /// A whole trace.
    fn example(&mut self, part: &[u8]) -> Part<()> {
        if part.is_empty() || part.len() > MAX_EXAMPLE_BYTES {
            return Err(format!("it has {} bytes, at most {MAX_EXAMPLE_BYTES} are kept", part.len()));
        }
        if self.examples.len() >= MAX_ENTRIES * MAX_EXAMPLES {
            return Err(format!("at most {} are kept", MAX_ENTRIES * MAX_EXAMPLES));
        }
        self.example_bytes += part.len();
        if self.example_bytes > EXAMPLES_BYTES {
            return Err(format!("with it they have more than {EXAMPLES_BYTES} bytes"));
        }
        self.examples.push(part.into());
        Ok(())
    }
}

fn symbol(strings: &Symbols, number: u32) -> Part<Symbol> {
    if (number as usize) < strings.len() { Ok(Symbol(number)) } else { Err(format!("there is no string {number}")) }
}

fn thresholds(message: &wire::Totals) -> Part<BTreeMap<u64, u64>> {
    let traces = counts(&message.threshold_traces, message.thresholds.len())?;
    Ok(message.thresholds.iter().copied().zip(traces.iter().copied()).collect())
}

fn warnings(messages: &[wire::Warning]) -> Part<Warnings> {
    let mut warnings = Warnings::default();
    for message in messages {
        let count = *counts(&[message.count], 1)?.first().unwrap_or(&0);
        // A later version may know more codes.
        let Some(warning) = Warning::ALL.into_iter().find(|warning| warning.code() == message.code) else { continue };
        if count > 0 {
            warnings.add(warning, count - 1);
            warnings.add_with(warning, || message.example.clone());
        }
    }
    Ok(warnings)
}

fn histogram(message: Option<&wire::Histogram>, shards: u8) -> Part<Histogram> {
    let Some(message) = message else { return Ok(Histogram::default()) };
    let most = u64::from(shards - 1) << 16 | u64::from(u16::MAX);
    let keys = ascending(message.cells.iter().copied().map(u64::from), most)?;
    let mass = masses(message.mass.as_ref(), keys.len())?;
    let cells = keys.into_iter().zip(mass).map(|(key, mass)| {
        let cell = Cell { shard: (key >> 16) as u8, bin: key as u16, mass };
        if cell.bin <= bin_of(u64::MAX) { Ok(cell) } else { Err(format!("there is no bin {}", cell.bin)) }
    });
    Ok(Histogram::from_cells(cells.collect::<Part<Vec<Cell>>>()?))
}

fn sums(message: Option<&wire::Sums>, count: u8) -> Part<Shards> {
    let mut shards = Shards::new(count);
    let Some(message) = message else { return Ok(shards) };
    if count < 64 && message.shards >> count != 0 {
        return Err(format!("there are only {count} shards"));
    }
    let rows = message.shards.count_ones() as usize;
    let traces = counts(&message.traces, rows)?;
    let columns = [
        &message.weight,
        &message.calls,
        &message.critical_calls,
        &message.own_errors,
        &message.errors,
        &message.failed_calls,
        &message.critical_ns,
        &message.self_ns,
        &message.edge_ns,
        &message.duration_ns,
        &message.children_ns,
        &message.covered_ns,
    ];
    let columns = columns.into_iter().map(|column| numbers(column.as_ref(), rows)).collect::<Part<Vec<_>>>()?;
    let occurring = (0..64u8).filter(|shard| message.shards >> shard & 1 == 1);
    for (row, (shard, &traces)) in occurring.zip(traces).enumerate() {
        let value = |at: usize| columns.get(at).and_then(|column| column.get(row)).copied().unwrap_or(0);
        *shards.shard_mut(shard) = Sums::from_values(traces, std::array::from_fn(value));
    }
    Ok(shards)
}

fn tail(message: Option<&wire::Tail>) -> Part<Vec<TailCell>> {
    let Some(message) = message else { return Ok(Vec::new()) };
    let bins = ascending(message.bins.iter().copied().map(u64::from), u64::from(bin_of(u64::MAX)))?;
    let times = numbers(message.critical_ns.as_ref(), bins.len())?;
    let calls = numbers(message.critical_calls.as_ref(), bins.len())?;
    let cells = bins.into_iter().zip(times).zip(calls);
    let cell = |((bin, critical_ns), critical_calls)| TailCell { bin: bin as u16, critical_ns, critical_calls };
    Ok(cells.map(cell).collect())
}

fn timeline(message: Option<&wire::Timeline>) -> Part<Timeline> {
    let Some(message) = message else { return Ok(Timeline::default()) };
    if !(30..64).contains(&message.shift) {
        return Err(format!("there are no buckets of 2^{} ns", message.shift));
    }
    let buckets = ascending(message.buckets.iter().copied(), u64::MAX >> message.shift)?;
    let weight = numbers(message.weight.as_ref(), buckets.len())?;
    let own_errors = numbers(message.own_errors.as_ref(), buckets.len())?;
    let bins = numbers(message.bins.as_ref(), buckets.len())?;
    let parts = buckets.into_iter().zip(weight).zip(own_errors).zip(bins);
    let bucket = |(((number, weight), own_errors), bins): (((u64, u128), u128), u128)| {
        (number << message.shift, Bucket { weight, own_errors, bins })
    };
    Ok(Timeline::from_parts(message.shift, parts.map(bucket)))
}

/// Keys with their counts.
fn keys(message: &wire::Values, strings: &Symbols) -> Part<Vec<(Symbol, KeyCounts)>> {
    let rows = message.values.len();
    let mass = numbers(message.mass.as_ref(), rows)?;
    let mut counts = Vec::with_capacity(rows);
    for (at, (&value, mass)) in message.values.iter().zip(mass).enumerate() {
        let value = symbol(strings, value)?;
        counts.push(ValueCount { hash: hash(&message.hashes, rows, at, strings.get(value))?, value, mass });
    }
    let pieces = pieces(&counts, of_rows(&message.counts, message.keys.len())?)?;
    let key_mass = numbers(message.key_mass.as_ref(), message.keys.len())?;
    let more = of_rows(&message.more_values, message.keys.len())?;
    let mut keys = Vec::with_capacity(pieces.len());
    for (((&key, values), mass), &more) in message.keys.iter().zip(pieces).zip(key_mass).zip(more) {
        keys.push((symbol(strings, key)?, KeyCounts::from_parts(mass, values.to_vec(), more)));
    }
    Ok(keys)
}

/// The hash of a row: as it was written, or that of the text.
fn hash(column: &[u64], rows: usize, at: usize, text: &str) -> Part<u64> {
    if column.is_empty() {
        return Ok(stable_hash(text.as_bytes()));
    }
    of_rows(column, rows)?.get(at).copied().ok_or_else(|| "a hash is missing".to_owned())
}

fn errors(message: Option<&wire::Values>, strings: &Symbols) -> Part<KeyCounts> {
    let Some(message) = message else { return Ok(KeyCounts::default()) };
    let mut keys = keys(message, strings)?;
    match (keys.pop(), keys.is_empty()) {
        (Some((_, counts)), true) => Ok(counts),
        _ => Err("there is not exactly one key".into()),
    }
}

fn attributes(message: Option<&wire::Values>, strings: &Symbols) -> Part<ValueCounts> {
    let Some(message) = message else { return Ok(ValueCounts::default()) };
    let mut attributes = ValueCounts::default();
    for (key, counts) in keys(message, strings)? {
        if let Some(slot) = attributes.key_mut(stable_hash(strings.get(key).as_bytes()), key) {
            *slot = counts;
        }
    }
    attributes.more |= message.more_keys;
    Ok(attributes)
}

/// One row of the table of instances.
struct InstanceRow<'a> {
    hash: u64,
    name: Symbol,
    at: usize,
    /// Keys and values.
    shared: (&'a [u32], &'a [u32]),
}

fn instances(message: Option<&wire::Instances>, strings: &Symbols) -> Part<Instances> {
    let Some(message) = message else { return Ok(Instances::default()) };
    if message.keys.len() > MAX_INSTANCE_KEYS {
        return Err(format!("more than {MAX_INSTANCE_KEYS} keys"));
    }
    let rows = message.names.len();
    let fill = InstanceColumns::new(message, rows)?;
    let shared_counts = of_rows(&message.shared_counts, rows)?;
    let shared_keys = pieces(&message.shared_keys, shared_counts)?;
    let shared_values = pieces(&message.shared_values, shared_counts)?;
    let mut table = Vec::with_capacity(rows);
    for (at, (&name, shared)) in message.names.iter().zip(shared_keys.into_iter().zip(shared_values)).enumerate() {
        let name = symbol(strings, name)?;
        table.push(InstanceRow { hash: hash(&message.hashes, rows, at, strings.get(name))?, name, at, shared });
    }
    let of_keys = pieces(&table, of_rows(&message.counts, message.keys.len())?)?;
    let more = of_rows(&message.more, message.keys.len())?;
    let mut instances = Instances::default();
    for ((&key, rows), &more) in message.keys.iter().zip(of_keys).zip(more) {
        let key = symbol(strings, key)?;
        let of_key = instances.key_mut(stable_hash(strings.get(key).as_bytes()), || key);
        of_key.more |= more;
        for row in rows {
            let Some(instance) = of_key.instance_mut(row.hash, || row.name) else { continue };
            fill.fill(row.at, instance);
            for (&key, &value) in row.shared.0.iter().zip(row.shared.1) {
                let key = symbol(strings, key)?;
                let value = value.checked_sub(1).map(|value| symbol(strings, value)).transpose()?;
                instance.share(stable_hash(strings.get(key).as_bytes()), key, value);
            }
        }
    }
    Ok(instances)
}

/// The columns of numbers of the table of instances, all of one length.
struct InstanceColumns<'a> {
    spans: &'a [u64],
    failed: &'a [u64],
    weight: Vec<u128>,
    bins: Vec<u128>,
    first: &'a [u64],
    last: &'a [u64],
    good: &'a [u64],
}

impl<'a> InstanceColumns<'a> {
    fn new(message: &'a wire::Instances, rows: usize) -> Part<InstanceColumns<'a>> {
        Ok(InstanceColumns {
            spans: counts(&message.spans, rows)?,
            failed: counts(&message.failed, rows)?,
            weight: numbers(message.weight.as_ref(), rows)?,
            bins: numbers(message.bins.as_ref(), rows)?,
            first: of_rows(&message.first_unix_ns, rows)?,
            last: of_rows(&message.last_behind_first_ns, rows)?,
            good: of_rows(&message.good_before_last_ns, rows)?,
        })
    }

    fn fill(&self, at: usize, instance: &mut Instance) {
        let number = |column: &[u64]| column.get(at).copied().unwrap_or(0);
        let fixed = |column: &[u128]| column.get(at).copied().unwrap_or(0);
        instance.spans = number(self.spans);
        instance.failed = number(self.failed);
        instance.weight = fixed(&self.weight);
        instance.bins = fixed(&self.bins);
        instance.first_ns = number(self.first);
        instance.last_ns = instance.first_ns.wrapping_add(number(self.last));
        instance.last_good_ns = instance.last_ns.wrapping_sub(number(self.good));
    }
}

fn exemplars(message: Option<&wire::Exemplars>, traces: &[Arc<[u8]>]) -> Part<Exemplars> {
    let Some(message) = message else { return Ok(Exemplars::default()) };
    let rows = message.span_ids.len();
    let (ids, rest) = message.trace_ids.as_chunks::<16>();
    if !rest.is_empty() {
        return Err("the ids of traces are cut".into());
    }
    if message.sample.len() > rows {
        return Err("more examples than rows".into());
    }
    let ids = of_rows(ids, rows)?;
    let starts = of_rows(&message.start_unix_ns, rows)?;
    let durations = of_rows(&message.duration_ns, rows)?;
    let table = ids.iter().zip(&message.span_ids).zip(starts).zip(durations);
    let spans: Vec<Exemplar> = table
        .map(|(((id, &span_id), &start_ns), &duration_ns)| Exemplar {
            trace_id: TraceId(u128::from_be_bytes(*id)),
            span_id: SpanId(span_id),
            start_ns,
            duration_ns,
        })
        .collect();
    let row = |at: u32| spans.get(at as usize).copied().ok_or_else(|| format!("there is no row {at}"));
    let place = |place: u32| place.checked_sub(1).map(row).transpose();
    let read = Exemplars {
        sample: message.sample.iter().map(|&at| row(at)).collect::<Part<Vec<_>>>()?,
        first: place(message.first)?,
        slowest: place(message.slowest)?,
        fastest: place(message.fastest)?,
        failed: place(message.failed)?,
        ..Exemplars::default()
    };
    // Merging keeps the cap.
    let mut exemplars = Exemplars::default();
    exemplars.merge(&read);
    if !message.traces.is_empty() {
        for (span, &trace) in spans.iter().zip(of_rows(&message.traces, rows)?) {
            let Some(at) = trace.checked_sub(1) else { continue };
            let trace = traces.get(at as usize).ok_or_else(|| format!("there is no example trace {at}"))?;
            exemplars.add_trace(span, trace);
        }
    }
    Ok(exemplars)
}
