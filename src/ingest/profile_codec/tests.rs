use super::*;
use crate::model::profile::{Bucket, ENTRY_SHARDS, Exemplar, ONE, Path, SHARDS, Sums, stable_hash};
use crate::model::{Kind, NO_PARENT, Operation, OperationId, SpanId, TraceId, Warning};
use proptest::prelude::*;

/// What one span adds to a profile.
#[derive(Clone, Debug)]
struct Seen {
    /// Indices of operations from the entry point down.
    path: Vec<u8>,
    trace: u64,
    at: u64,
    ns: u64,
    weight: u32,
    value: u8,
    failed: bool,
}

fn seen() -> impl Strategy<Value = Seen> {
    let time = prop_oneof![Just(0u64), 1u64..5_000_000_000, Just(u64::MAX)];
    let at = prop_oneof![1_700_000_000_000_000_000u64..1_700_000_900_000_000_000, Just(0), Just(u64::MAX)];
    (proptest::collection::vec(0u8..4, 1..5), any::<u64>(), at, time, 1u32.., 0u8..40, any::<bool>())
        .prop_map(|(path, trace, at, ns, weight, value, failed)| Seen { path, trace, at, ns, weight, value, failed })
}

fn operation(number: u8) -> Operation {
    let kind = [Kind::Server, Kind::Client, Kind::Internal][usize::from(number) % 3];
    Operation { service: format!("service {}", number / 2).into(), kind, name: format!("name {number}").into() }
}

fn add(profile: &mut Profile, seen: &Seen) {
    let mut parent = NO_PARENT;
    for &number in &seen.path {
        let id = profile.operations.intern(operation(number));
        parent = profile.path(parent, id);
    }
    let entry = seen.path.len() == 1;
    let shard = (seen.trace % u64::from(if entry { ENTRY_SHARDS } else { SHARDS })) as u8;
    let mass = ONE / u64::from(seen.weight);
    let texts = [format!("key {}", seen.value % 3), format!("value {}", seen.value)];
    let [key, value] = texts.each_ref().map(|text| profile.strings.intern(text));
    let [key_hash, value_hash] = texts.each_ref().map(|text| stable_hash(text.as_bytes()));
    let linked = profile.operations.intern(operation(seen.value));
    let state = profile.state_mut(parent).unwrap();
    let bin = crate::model::profile::bin_of(seen.ns);
    state.self_time.add(shard, bin, mass);
    state.edge_time.add(shard, bin / 2, u64::MAX);
    state.duration.add(if entry { shard } else { 0 }, bin, mass);
    let weighted = u128::from(mass) * u128::from(seen.ns);
    let mut values = [0; Sums::NAMES.len()];
    values[usize::from(seen.value) % Sums::NAMES.len()] = weighted;
    values[0] = u128::from(mass);
    state.shards.shard_mut(shard).add(&Sums::from_values(1, values));
    state.add_tail(bin, weighted, u128::from(mass));
    state.timeline.add(seen.at, &Bucket { weight: u128::from(mass), own_errors: 0, bins: u128::from(bin) });
    let example = Exemplar {
        trace_id: TraceId(u128::from(seen.trace) << 3 | 1),
        span_id: SpanId(seen.ns | 1),
        start_ns: seen.at,
        duration_ns: seen.ns,
    };
    state.exemplars.add(&example, seen.failed);
    if entry {
        // Now and then one that has no room among several entry points.
        let size = if seen.value == 9 { 800_000 } else { usize::from(seen.value) };
        let whole = [&seen.trace.to_be_bytes()[..], &vec![seen.value; size]].concat();
        state.exemplars.add_trace(&example, &whole.into());
    }
    if seen.failed {
        state.errors.add(value_hash, u128::from(mass), || value);
    }
    if let Some(counts) = state.attributes.key_mut(key_hash, key) {
        // A hash that is not that of the text, as of a text that was cut.
        counts.add(value_hash ^ u64::from(seen.value == 7), u128::from(mass), || value);
    }
    if let Some(instance) = state.instances.key_mut(key_hash, || key).instance_mut(value_hash, || value) {
        instance.spans += 1;
        instance.weight += u128::from(mass);
        instance.bins += u128::from(mass) * u128::from(bin);
        instance.first_ns = instance.first_ns.min(seen.at);
        instance.last_ns = instance.last_ns.max(seen.at);
        if !seen.failed {
            instance.last_good_ns = instance.last_good_ns.max(seen.at);
        }
        instance.share(key_hash, key, seen.value.is_multiple_of(2).then_some(value));
    }
    let target = if seen.value.is_multiple_of(5) { OperationId::NONE } else { linked };
    *state.links.entry(target).or_default() += u128::from(mass);
    count(profile, seen);
}

fn count(profile: &mut Profile, seen: &Seen) {
    let version = (profile.strings.intern("service 1"), profile.strings.intern(&format!("1.{}", seen.value)));
    let totals = &mut profile.totals;
    totals.traces += 1;
    totals.spans += 1;
    totals.failed_spans += u64::from(seen.failed);
    totals.partial += u64::from(seen.value == 3);
    totals.seen(seen.at, seen.at.saturating_add(seen.ns));
    totals.sampled((seen.value > 4).then_some(u64::from(seen.value) << 40));
    *totals.versions.entry(version).or_default() += 1;
    totals.inputs.insert([seen.value; 32]);
    totals.bytes = (totals.bytes.0 + 100, totals.bytes.1 + 1);
    totals.warnings.add_with(Warning::MissingParent, || "span 1".into());
    totals.warnings.add(Warning::ClockSkew, 2);
}

fn profile<'a>(all: impl IntoIterator<Item = &'a Seen>) -> Profile {
    let mut profile = Profile::default();
    for seen in all {
        add(&mut profile, seen);
    }
    profile.seal();
    profile
}

fn read(bytes: &[u8]) -> Result<Profile, ProfileError> {
    decode(&mut &bytes[..], &Limits::default())
}

/// A small profile with something of everything in it.
fn small() -> Profile {
    let one = |value: u8, path: &[u8]| Seen {
        path: path.to_vec(),
        trace: u64::from(value) * 77,
        at: 1_700_000_000_000_000_000 + u64::from(value) * 1_000_000_000,
        ns: u64::from(value) * 1_000_003,
        weight: u32::from(value) + 1,
        value,
        failed: value % 2 == 1,
    };
    profile(&[one(1, &[0]), one(2, &[0, 1]), one(5, &[0, 1, 2]), one(7, &[3])])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(all in proptest::collection::vec(seen(), 0..40)) {
        let profile = profile(&all);
        let bytes = encode(&profile).unwrap();
        let read = read(&bytes).unwrap();
        let canonical = profile.canonical();
        prop_assert_eq!(read.paths().len(), canonical.paths().len());
        for (read, written) in read.paths().iter().zip(canonical.paths()) {
            prop_assert_eq!(read.parent, written.parent);
        }
        // Numbers of strings and operations may differ, since what is not used is not written: compare both after
        // merging them into tables that hold everything.
        let mut wide = Profile::default();
        wide.strings.clone_from(&canonical.strings);
        wide.operations.clone_from(&canonical.operations);
        wide.merge(&read);
        wide.seal();
        prop_assert_eq!(&wide.totals, &canonical.totals);
        let same = |path: &Path, other: &Path| path == other;
        prop_assert!(wide.paths().iter().zip(canonical.paths()).all(|(a, b)| same(a, b)));
        prop_assert_eq!(encode(&read).unwrap(), bytes);
    }

    #[test]
    fn the_order_of_adding_and_merging_does_not_show(
        all in proptest::collection::vec(seen(), 1..40),
        turn in 0usize..40,
        cut in 0usize..40,
    ) {
        let together = encode(&profile(&all)).unwrap();
        let mut turned = all.clone();
        turned.rotate_left(turn % all.len());
        prop_assert_eq!(&encode(&profile(&turned)).unwrap(), &together);
        let (left, right) = turned.split_at(cut % all.len());
        let mut merged = read(&encode(&profile(right)).unwrap()).unwrap();
        merged.merge(&read(&encode(&profile(left)).unwrap()).unwrap());
        merged.seal();
        prop_assert_eq!(&encode(&merged).unwrap(), &together);
    }

    #[test]
    fn noise_is_an_error_or_a_profile(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut file = [&MAGIC[..], &VERSION.to_be_bytes()].concat();
        file.extend(&bytes);
        prop_assert!(read(&file).is_err());
        if let Ok(profile) = decode::message(&bytes, &Limits::default()) {
            encode(&profile).unwrap();
        }
    }
}

/// The message of a profile without header and compression.
fn plain(profile: &Profile) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode::message(&profile.canonical(), &mut |part| {
        bytes.extend_from_slice(part);
        Ok(())
    })
    .unwrap();
    bytes
}

#[test]
fn the_message_is_what_the_schema_says() {
    use prost::Message;
    let bytes = plain(&small());
    let message = generated::Profile::decode(&*bytes).unwrap();
    assert_eq!((message.paths.len(), message.schema.as_str()), (4, SCHEMA));
    assert!(message.strings.is_sorted() && message.strings[0].is_empty());
    assert_eq!(message.encode_to_vec(), bytes);
}

#[test]
fn a_damaged_file_is_an_error() {
    let bytes = encode(&small()).unwrap();
    assert!(bytes.len() < 4_000, "{}", bytes.len());
    for at in 0..bytes.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            // The checksum of the frame notices every one, except where a bit of its header says nothing.
            if let Ok(profile) = read(&damaged) {
                assert_eq!(encode(&profile).unwrap(), bytes, "byte {at}");
            }
        }
        assert!(read(&bytes[..at]).is_err(), "cut at {at}");
    }
    assert!(read(&[&bytes[..], b"x"].concat()).is_err());
    assert!(read(&[&bytes[..], &bytes[..]].concat()).is_err());
}

#[test]
fn a_damaged_message_is_an_error_or_another_profile() {
    let bytes = plain(&small());
    let mut refused = 0;
    for at in 0..bytes.len() {
        for flip in [1, 2, 0x40, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            match decode::message(&damaged, &Limits::default()) {
                Ok(profile) => {
                    let mut merged = small();
                    merged.merge(&profile);
                    encode(&merged).unwrap();
                }
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().contains("damaged at"), "{error}");
                }
            }
        }
    }
    assert!(refused > bytes.len(), "{refused} of {} refused", 5 * bytes.len());
}

#[test]
fn other_versions_and_other_files_are_named() {
    let mut bytes = encode(&small()).unwrap();
    bytes[MAGIC.len() + 1] = 9;
    assert_eq!(read(&bytes).unwrap_err().to_string(), "the profile is of version 9, and this program reads version 1");
    for other in [&b""[..], b"{}", b"\x89SPAN", &bytes[1..]] {
        assert!(matches!(read(other), Err(ProfileError::NotAProfile)), "{other:?}");
    }
    assert!(read(&bytes[..9]).unwrap_err().to_string().contains("its first bytes"));
}

#[test]
fn limits_hold() {
    let bytes = encode(&small()).unwrap();
    let read = |limits: Limits| decode(&mut &bytes[..], &limits).unwrap_err().to_string();
    assert!(read(Limits { record_bytes: 100, ..Limits::default() }).contains("record_bytes"));
    assert!(read(Limits { input_bytes: 100, ..Limits::default() }).contains("input_bytes"));
    assert!(read(Limits { symbols: 3, ..Limits::default() }).contains("symbols"));
    // A bomb of a gigabyte of zeros.
    let mut bomb = [&MAGIC[..], &VERSION.to_be_bytes()].concat();
    bomb.extend(zstd::encode_all(std::io::repeat(0).take(1 << 30), 1).unwrap());
    let error = decode(&mut &bomb[..], &Limits::default()).unwrap_err().to_string();
    assert!(error.contains("compression_ratio"), "{error}");
}

#[test]
fn fields_of_later_minor_versions_are_skipped() {
    let mut bytes = plain(&small());
    // Field 99: a number, a text, a double.
    bytes.extend([0x98, 0x06, 0x01, 0x9a, 0x06, 0x02, b'h', b'i', 0x99, 0x06, 0, 0, 0, 0, 0, 0, 0, 0]);
    let read = decode::message(&bytes, &Limits::default()).unwrap();
    assert_eq!(encode(&read).unwrap(), encode(&small()).unwrap());
}

#[test]
fn example_traces_are_written_once_and_checked() {
    use prost::Message;
    let message = generated::Profile::decode(&*plain(&small())).unwrap();
    assert_eq!(message.examples.len(), 2);
    assert!(message.examples.is_sorted());
    let read = |change: &dyn Fn(&mut generated::Profile)| {
        let mut changed = message.clone();
        change(&mut changed);
        decode::message(&changed.encode_to_vec(), &Limits::default()).map_err(|error| error.to_string())
    };
    let refused = |change: &dyn Fn(&mut generated::Profile), what: &str| {
        let error = read(change).unwrap_err();
        assert!(error.contains(what), "{error}");
    };
    assert_eq!(read(&|_| {}).unwrap().example_traces().len(), 2);
    refused(&|profile| profile.examples[0].clear(), "example trace 0: it has 0 bytes");
    refused(&|profile| profile.examples[1] = vec![1; 2 << 20], "example trace 1: it has 2097152 bytes");
    refused(&|profile| profile.examples = vec![vec![1; 1 << 20]; 17], "more than 16777216 bytes");
    refused(&|profile| profile.examples = vec![vec![1]; 1_000], "at most 768");
    refused(&|profile| profile.examples.truncate(1), "there is no example trace 1");
    refused(&|profile| profile.paths[0].exemplars.as_mut().unwrap().traces.push(1), "entries for");
    // Without them it is a profile of an earlier version.
    let earlier = read(&|profile| {
        profile.examples.clear();
        profile.paths.iter_mut().filter_map(|path| path.exemplars.as_mut()).for_each(|table| table.traces.clear());
    });
    let mut without = small();
    without.drop_examples();
    assert_eq!(encode(&earlier.unwrap()).unwrap(), encode(&without).unwrap());
}
