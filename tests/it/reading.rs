//! Reading OTLP protobuf in every wrapping, against prost as the oracle; and everything that is not as it should be.

use crate::data;
use crate::seen::{Seen, of_prost, of_store, read_all};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use proptest::prelude::*;
use prost::Message;
use spandiff::ingest::{Format, ReadError};
use spandiff::model::{Limits, Warning};
use std::io::Write;

fn any_value() -> impl Strategy<Value = AnyValue> {
    use any_value::Value as V;
    let leaf = prop_oneof![
        Just(None),
        "\\PC{0,12}".prop_map(|text| Some(V::StringValue(text))),
        any::<bool>().prop_map(|flag| Some(V::BoolValue(flag))),
        any::<i64>().prop_map(|int| Some(V::IntValue(int))),
        any::<f64>().prop_map(|double| Some(V::DoubleValue(double))),
        prop::collection::vec(any::<u8>(), 0..5).prop_map(|bytes| Some(V::BytesValue(bytes))),
    ]
    .prop_map(|value| AnyValue { value });
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|values| V::ArrayValue(ArrayValue { values })),
            prop::collection::vec(pair_of(inner), 0..3).prop_map(|values| V::KvlistValue(KeyValueList { values })),
        ]
        .prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn pair_of(value: impl Strategy<Value = AnyValue>) -> impl Strategy<Value = KeyValue> {
    ("[a-zé.]{0,8}", prop::option::weighted(0.9, value)).prop_map(|(key, value)| data::pair(&key, value))
}

fn pairs() -> impl Strategy<Value = Vec<KeyValue>> {
    prop::collection::vec(pair_of(any_value()), 0..4)
}

fn event() -> impl Strategy<Value = span::Event> {
    (any::<u64>(), "\\PC{0,6}", pairs(), 0..2_u32).prop_map(|(time_unix_nano, name, attributes, dropped)| span::Event {
        time_unix_nano,
        name,
        attributes,
        dropped_attributes_count: dropped,
    })
}

fn link() -> impl Strategy<Value = span::Link> {
    (1..u128::MAX, 1..u64::MAX, pairs(), "[a-z=]{0,4}", any::<u32>()).prop_map(
        |(trace_id, span_id, attributes, trace_state, flags)| span::Link {
            trace_id: trace_id.to_be_bytes().to_vec(),
            span_id: span_id.to_be_bytes().to_vec(),
            trace_state,
            attributes,
            flags,
            ..span::Link::default()
        },
    )
}

prop_compose! {
    fn a_span()(
        trace_id in 1..4_u128,
        (span_id, parent) in (1..u64::MAX, prop::option::of(1..u64::MAX)),
        (name, trace_state) in ("\\PC{0,12}", "[a-z=;]{0,6}"),
        kind in 0..6_i32,
        (start, length) in (1..1_u64 << 62, 0..1_u64 << 40),
        attributes in pairs(),
        events in prop::collection::vec(event(), 0..3),
        links in prop::collection::vec(link(), 0..3),
        status in prop::option::of((0..3_i32, "\\PC{0,6}")),
        (flags, dropped) in (any::<u32>(), prop::option::weighted(0.1, 0..9_u32)),
    ) -> Span {
        Span {
            trace_id: (trace_id << 64).to_be_bytes().to_vec(),
            span_id: span_id.to_be_bytes().to_vec(),
            parent_span_id: parent.map_or_else(Vec::new, |id| id.to_be_bytes().to_vec()),
            trace_state,
            flags,
            name,
            kind,
            start_time_unix_nano: start,
            end_time_unix_nano: start + length,
            attributes,
            events,
            links,
            status: status.map(|(code, message)| Status { code, message }),
            dropped_links_count: dropped.unwrap_or_default(),
            ..Span::default()
        }
    }
}

prop_compose! {
    fn scope_spans()(
        scope in prop::option::of(("[a-z]{0,4}", "[0-9.]{0,3}", pairs())),
        schema_url in "[a-z:/]{0,5}",
        spans in prop::collection::vec(a_span(), 0..4),
    ) -> ScopeSpans {
        let scope = scope.map(|(name, version, attributes)| InstrumentationScope {
            name, version, attributes, ..InstrumentationScope::default()
        });
        ScopeSpans { scope, spans, schema_url }
    }
}

prop_compose! {
    fn request()(
        parts in prop::collection::vec(
            (prop::option::of((pairs(), "[a-z]{0,3}", "[a-z]{0,3}")), prop::collection::vec(scope_spans(), 0..3)), 0..4)
    ) -> ExportTraceServiceRequest {
        let resource_spans = parts.into_iter().map(|(resource, scope_spans)| ResourceSpans {
            resource: resource.map(|(mut attributes, name, namespace)| {
                attributes.push(data::pair("service.name", data::text(&name)));
                attributes.push(data::pair("service.namespace", data::text(&namespace)));
                Resource { attributes, ..Resource::default() }
            }),
            scope_spans,
            ..ResourceSpans::default()
        }).collect();
        ExportTraceServiceRequest { resource_spans }
    }
}

/// Reads what must be readable.
fn spans_of(bytes: &[u8]) -> Vec<Seen> {
    let (result, store, report) = read_all(bytes, None, Limits::default());
    result.unwrap();
    assert_eq!(report.spans as usize, store.spans.len());
    of_store(&store)
}

fn framed(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.iter().flat_map(|frame| [&(frame.len() as u32).to_be_bytes()[..], frame].concat()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// Length, the tags and lengths of `ResourceSpans` and `Resource`, and the beginning of its first attribute.
const HEAD: usize = 16;

fn small() -> ExportTraceServiceRequest {
    data::request(25, 3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_field_is_what_prost_reads(request in request()) {
        let bytes = request.encode_to_vec();
        prop_assert_eq!(spans_of(&bytes), of_prost(&request));
    }

    #[test]
    fn wrapping_changes_nothing(requests in prop::collection::vec(request(), 1..4), cut in any::<prop::sample::Index>()) {
        let frames: Vec<Vec<u8>> = requests.iter().map(Message::encode_to_vec).collect();
        let expected: Vec<Seen> = requests.iter().flat_map(of_prost).collect();
        let one = framed(&frames);
        prop_assert_eq!(&spans_of(&one), &expected, "frames");
        prop_assert_eq!(&spans_of(&frames.concat()), &expected, "bare, concatenated");
        prop_assert_eq!(&spans_of(&framed(&frames.iter().map(|frame| zstd(frame)).collect::<Vec<_>>())), &expected, "zstd frames");
        let (head, tail) = one.split_at(cut.index(one.len()));
        prop_assert_eq!(&spans_of(&[gzip(head), gzip(tail), vec![0; 1000]].concat()), &expected, "gzip members");
        prop_assert_eq!(&spans_of(&[zstd(head), zstd(tail)].concat()), &expected, "zstd stream");
    }

    #[test]
    fn a_cut_input_gives_all_spans_before_the_cut(cut in any::<prop::sample::Index>(), is_framed in any::<bool>()) {
        let request = small();
        let frames = [request.encode_to_vec(), request.encode_to_vec()];
        let whole = if is_framed { framed(&frames) } else { frames.concat() };
        let expected = spans_of(&whole);
        let cut = cut.index(whole.len());
        let (result, store, report) = read_all(&whole[..cut], None, Limits::default());
        let seen = of_store(&store);
        prop_assert_eq!(seen.as_slice(), &expected[..seen.len()]);
        prop_assert_eq!(report.warnings.spans_lost(), 0);
        // At most the one span that the cut went through is missing, and what is missing is counted.
        let spans_before = cut * expected.len() / whole.len();
        prop_assert!(seen.len() + 4 >= spans_before, "{} of about {}", seen.len(), spans_before);
        match result {
            Ok(()) => prop_assert!(report.bytes_lost < 400, "{} bytes lost", report.bytes_lost),
            Err(error) => prop_assert!(seen.is_empty(), "{error}"),
        }
        prop_assert_eq!(report.warnings.count(Warning::TruncatedTail), report.bytes_lost);
    }

    /// Every `Span` field that can be reached is used or counted as a span that was lost: none is lost in the bytes
    /// of others, and none is counted twice. The first bytes, down to the first
    /// attribute, stay whole: they are what tells the format, and a file that cannot be told is an error as a whole.
    #[test]
    fn spans_in_are_used_or_warned_of(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = framed(&vec![small().encode_to_vec(); 4]);
        for (at, value) in &flips {
            let at = HEAD + at.index(bytes.len() - HEAD);
            bytes[at] = *value;
        }
        if let Some(cut) = cut {
            bytes.truncate(HEAD + cut.index(bytes.len() - HEAD));
        }
        let (result, store, report) = read_all(&bytes, None, Limits::default());
        prop_assert_eq!(store.spans.len() as u64, report.spans);
        let reachable = spans_of_frames(&bytes);
        match result {
            Ok(()) => prop_assert_eq!(report.spans + report.warnings.spans_lost(), reachable, "{:?}", report),
            // Not one usable span before the cut: what was reached is counted all the same.
            Err(error) => prop_assert_eq!((report.spans, report.warnings.spans_lost()), (0, reachable), "{}", error),
        }
        let told = report.warnings.count(Warning::InvalidRecord) + report.warnings.count(Warning::TruncatedTail);
        // A resource or scope that cannot be read is told of, and its bytes are not: its spans are used without it.
        prop_assert!(report.bytes_lost == 0 || told > 0, "{:?}", report);
        prop_assert!(report.bytes_lost <= bytes.len() as u64, "{:?}", report);
        // Every body is clean whatever came in.
        prop_assert_eq!(of_store(&store).len(), store.spans.len());
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), start in 0..6_usize) {
        let starts: [&[u8]; 6] = [&[], &[0x0a], &[0, 0, 0, 40, 0x0a], &[0x28, 0xb5, 0x2f, 0xfd], &[0x1f, 0x8b, 8, 0], &[0x0a, 60, 0x12, 58, 0x12]];
        let bytes = [starts[start], &bytes].concat();
        let (result, store, report) = read_all(&bytes, None, Limits::default());
        prop_assert_eq!(store.spans.len() as u64, report.spans);
        prop_assert!(result.is_ok() || report.spans == 0);
    }
}

/// The `Span` fields of a framed file, counted by a walker of its own that follows nothing but the encoding: fields in
/// front of a wire error count, and of a record that is cut what lies in front of the cut.
fn spans_of_frames(mut bytes: &[u8]) -> u64 {
    let mut count = 0;
    while let Some((len, rest)) = bytes.split_first_chunk::<4>() {
        let len = u64::from(u32::from_be_bytes(*len));
        if len + 4 > Limits::default().record_bytes {
            break;
        }
        let here = rest.len().min(len as usize);
        count += spans_below(&rest[..here], &[&[1], &[2, 1000], &[2]], here < len as usize);
        bytes = &rest[here..];
    }
    count
}

fn spans_below(mut message: &[u8], path: &[&[u64]], cut: bool) -> u64 {
    let Some((numbers, below)) = path.split_first() else { return 1 };
    let mut count = 0;
    while !message.is_empty() {
        let Some(tag) = varint(&mut message).filter(|tag| (8..1 << 35).contains(tag)) else { break };
        let len = match tag & 7 {
            0 if varint(&mut message).is_some() => 0,
            1 => 8,
            2 => match varint(&mut message) {
                Some(len) => len,
                None => break,
            },
            5 => 4,
            _ => break,
        };
        let is_wanted = tag & 7 == 2 && numbers.contains(&(tag >> 3));
        match usize::try_from(len).ok().and_then(|len| message.split_at_checked(len)) {
            Some((payload, rest)) => {
                message = rest;
                count += if is_wanted { spans_below(payload, below, false) } else { 0 };
            }
            None => {
                return count
                    + if is_wanted && cut && !below.is_empty() { spans_below(message, below, true) } else { 0 };
            }
        }
    }
    count
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let end = bytes.iter().take(10).position(|byte| byte & 0x80 == 0)?;
    let (number, rest) = bytes.split_at(end + 1);
    *bytes = rest;
    Some(number.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f)))
}

fn error_of(bytes: &[u8], limits: Limits) -> String {
    match read_all(bytes, None, limits).0 {
        Err(error) => error.to_string(),
        Ok(()) => panic!("read without an error"),
    }
}

#[test]
fn the_report_says_what_was_found() {
    let request = small();
    let bytes = request.encode_to_vec();
    let packed = gzip(&bytes);
    let (result, _, report) = read_all(&packed, None, Limits::default());
    result.unwrap();
    assert_eq!(report.formats, [Format::OtlpProto]);
    assert_eq!((report.compression, report.bytes_in, report.bytes), ("gzip", packed.len() as u64, bytes.len() as u64));
    assert_eq!((report.records, report.spans, report.bytes_lost), (1, 25, 0));
    assert!(report.warnings.is_empty());
    let frames = framed(&[zstd(&bytes), zstd(&bytes)]);
    let (_, _, report) = read_all(&frames, None, Limits::default());
    assert_eq!(report.formats, [Format::OtlpProtoFramed]);
    assert_eq!(report.compression, "zstd per frame");
    assert_eq!((report.records, report.bytes_in, report.bytes), (2, frames.len() as u64, 2 * bytes.len() as u64));
}

#[test]
fn nothing_is_a_valid_message() {
    for bytes in [&b""[..], b"\n", &[0; 4], &[0; 12], &gzip(b""), &zstd(b"")] {
        let (result, store, _) = read_all(bytes, None, Limits::default());
        result.unwrap();
        assert!(store.spans.is_empty());
    }
}

#[test]
fn ten_thousand_frames_are_few_batches() {
    let frame = data::request(1, 2).encode_to_vec();
    let (result, store, report) = read_all(&framed(&vec![frame; 10_000]), None, Limits::default());
    result.unwrap();
    assert_eq!((store.spans.len(), report.records), (10_000, 10_000));
    assert!(store.chunks.len() < 5 && store.resources.len() < 20, "{} resources", store.resources.len());
}

#[test]
fn a_length_of_four_gibibytes_is_not_believed() {
    let frame = small().encode_to_vec();
    let lying = [&[0xff; 4][..], &frame].concat();
    assert_eq!(
        error_of(&lying, Limits::default()),
        format!("the first record claims 4294967299 bytes, and only {} are there at byte 0", lying.len())
    );
    let behind = [framed(std::slice::from_ref(&frame)), lying].concat();
    let (result, store, report) = read_all(&behind, None, Limits::default());
    result.unwrap();
    assert_eq!(store.spans.len(), 25);
    assert_eq!(report.bytes_lost, frame.len() as u64 + 4);
    assert_eq!(report.warnings.count(Warning::InvalidRecord), 1);
    // Below the limit it is a cut frame: everything that is there is used.
    let long = [&[0x70, 0, 0, 0][..], &frame].concat();
    let (result, store, _) = read_all(&long, None, Limits::default());
    result.unwrap();
    assert_eq!(store.spans.len(), 25);
}

#[test]
fn bombs_are_stopped_while_they_inflate() {
    let zeros = vec![0; 80 << 20];
    for bomb in [gzip(&zeros), zstd(&zeros), framed(&[zstd(&zeros)])] {
        let limits = Limits { compression_ratio: 10, ..Limits::default() };
        let error = error_of(&bomb, limits);
        // A stream of zeros is given up at its first frame already; the others are stopped by the ratio.
        assert!(error.contains("compression_ratio") || error.contains("no trace format"), "{error}");
    }
    let spans = data::request(2_000, 10).encode_to_vec();
    let repeated = vec![spans; 100].concat();
    let limits = Limits { compression_ratio: 1, ..Limits::default() };
    assert!(error_of(&zstd(&repeated), limits).contains("(compression_ratio)"));
    assert!(error_of(&framed(&[zstd(&repeated)]), limits).contains("(compression_ratio)"));
    let limits = Limits { input_bytes: 1_000_000, ..Limits::default() };
    for bytes in [gzip(&repeated), zstd(&repeated), framed(&[zstd(&repeated)])] {
        assert!(error_of(&bytes, limits).contains("over the limit of 1000000 (input_bytes)"));
    }
    let limits = Limits { zstd_window_bytes: 1 << 12, ..Limits::default() };
    let error = error_of(&zstd(&repeated), limits);
    assert_eq!(error, "the window of a zstd frame is over the limit of 4096 (zstd_window_bytes)");
}

#[test]
fn a_cut_compressed_stream_is_used_as_far_as_it_goes() {
    let bytes = data::request(20_000, 10).encode_to_vec();
    for (packed, codec) in [(gzip(&bytes), "gzip"), (zstd(&bytes), "zstd")] {
        let half = &packed[..packed.len() / 2];
        let (result, store, report) = read_all(half, None, Limits::default());
        result.unwrap();
        assert!(store.spans.len() > 5_000 && store.spans.len() < 15_000, "{} spans of {codec}", store.spans.len());
        assert!(report.warnings.count(Warning::TruncatedTail) > 0);
        let error = error_of(&packed[..20], Limits::default());
        assert!(error.starts_with(&format!("broken {codec} stream after ")), "{error}");
        let mut damaged = packed.clone();
        let middle = damaged.len() / 2;
        damaged[middle..middle + 8].copy_from_slice(&[0x5a; 8]);
        let (result, store, report) = read_all(&damaged, None, Limits::default());
        assert!(result.is_ok() && !store.spans.is_empty() && report.warnings.iter().count() > 0);
    }
}

#[test]
fn a_broken_frame_costs_itself() {
    let frame = small().encode_to_vec();
    let mut frames = vec![zstd(&frame); 3];
    let len = frames[1].len();
    frames[1].truncate(len / 2);
    let (result, store, report) = read_all(&framed(&frames), None, Limits::default());
    result.unwrap();
    assert_eq!((store.spans.len(), report.records), (50, 2));
    assert_eq!(report.warnings.count(Warning::InvalidRecord), 1);
    assert_eq!(report.bytes_lost, len as u64 / 2);
}

/// What came out of a frame before it broke is used, and its bytes are lost once, whatever came out.
#[test]
fn a_frame_that_breaks_in_its_middle_is_lost_once() {
    let large = zstd(&data::request(20_000, 10).encode_to_vec());
    let broken = large[..large.len() / 2].to_vec();
    let lost = broken.len() as u64;
    let whole = zstd(&small().encode_to_vec());
    let (result, store, report) = read_all(&framed(&[whole.clone(), broken, whole]), None, Limits::default());
    result.unwrap();
    assert!(store.spans.len() > 5_000, "{}", store.spans.len());
    assert_eq!((report.records, report.bytes_lost), (2, lost));
    assert_eq!(report.warnings.count(Warning::InvalidRecord), 1);
    assert_eq!(report.warnings.count(Warning::TruncatedTail), 0);
}

#[test]
fn a_broken_frame_of_json_costs_itself() {
    let line = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"00000000000000a1"}]}]}]}"#;
    let frames = [zstd(line), zstd(b"{\"resourceSpans\":[nonsense]}"), zstd(line)];
    let (result, store, report) = read_all(&framed(&frames), None, Limits::default());
    result.unwrap();
    assert_eq!((store.spans.len(), report.records), (2, 2));
    assert_eq!(report.warnings.count(Warning::InvalidRecord), 1);
    assert!(error_of(&framed(&frames[1..2]), Limits::default()).contains("invalid JSON on line 1"));
}

/// A cut exactly between two spans leaves nothing half, and still something is missing.
#[test]
fn no_cut_goes_without_a_warning() {
    let whole = small().encode_to_vec();
    for layout in [whole.clone(), framed(std::slice::from_ref(&whole))] {
        let mut used = 0;
        // The first byte alone is a line feed: an empty text.
        for cut in 2..layout.len() {
            let (result, store, report) = read_all(&layout[..cut], None, Limits::default());
            if result.is_ok() && report.warnings.is_empty() {
                // Between two records of a bare message nothing shows that there were more.
                assert!(report.formats == [Format::OtlpProto], "cut at {cut}");
            }
            used = store.spans.len().max(used);
        }
        assert!(used >= 24);
    }
}

#[test]
fn what_is_no_trace_is_named() {
    let of = |bytes: &[u8]| error_of(bytes, Limits::default());
    assert_eq!(of(b"hello"), "this is text, not a trace at byte 0");
    assert_eq!(of(b"<html><body>502"), "this is an HTML page, not a trace at byte 0");
    assert_eq!(of(&gzip(b"a,b,c\n1,2,3\n")), "this looks like a table (CSV), not a trace at byte 0");
    assert_eq!(of(&gzip(&zstd(b"{}"))), "this is a zstd stream inside a gzip stream, which spandiff does not read");
    assert_eq!(of(&[0xca, 0xfe, 0xba, 0xbe, 0, 1, 2]), "no trace format is recognised at byte 0");
    let Err(ReadError::NotATrace { hint, .. }) = read_all(b"hello", None, Limits::default()).0 else { panic!() };
    assert!(hint.contains("OTLP"));
}

#[test]
fn metrics_are_named_and_not_zero_spans() {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics, Sum, metric};
    let metric = Metric {
        name: "http.server.requests".to_owned(),
        data: Some(metric::Data::Sum(Sum::default())),
        ..Metric::default()
    };
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            scope_metrics: vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        }],
    };
    let bytes = request.encode_to_vec();
    assert_eq!(error_of(&bytes, Limits::default()), "this is OTLP metrics, which spandiff does not read");
    let mixed = framed(&[bytes, small().encode_to_vec()]);
    let (result, store, report) = read_all(&mixed, None, Limits::default());
    result.unwrap();
    assert_eq!((store.spans.len(), report.warnings.count(Warning::NonTraceSignal)), (25, 1));
}

#[test]
fn a_source_that_fails_is_an_error() {
    struct Failing(usize);
    impl std::io::Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 += 1;
            match self.0 {
                1 => Err(std::io::ErrorKind::Interrupted.into()),
                2 => {
                    buffer[..4].copy_from_slice(&[0x0a, 2, 0x0a, 0]);
                    Ok(4)
                }
                _ => Err(std::io::Error::other("the disk is gone")),
            }
        }
    }
    let mut symbols = spandiff::model::Symbols::default();
    let mut store = spandiff::model::SpanStore::default();
    let mut context = spandiff::ingest::Context {
        limits: Limits::default(),
        symbols: &mut symbols,
        sink: &mut store,
        report: spandiff::ingest::ReadReport::default(),
    };
    let error = spandiff::ingest::read::read(&mut Failing(0), None, &mut context).unwrap_err();
    assert_eq!(error.to_string(), "cannot read: the disk is gone");
}

#[test]
fn a_large_trace_is_read_in_blocks() {
    let request = data::request(40_000, 10);
    let bytes = request.encode_to_vec();
    let (result, store, _) = read_all(&bytes, None, Limits::default());
    result.unwrap();
    assert_eq!(of_store(&store), of_prost(&request));
    assert!(store.chunks.len() >= 3);
    let held: usize = store.chunks.iter().map(|chunk| chunk.capacity()).sum();
    assert!(held < bytes.len() + bytes.len() / 2, "{held} bytes held of {}", bytes.len());
}
