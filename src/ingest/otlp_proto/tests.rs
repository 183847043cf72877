use super::*;
use crate::model::attributes::Packer;
use crate::model::wire::Writer;
use crate::model::{SpanId, Status, TraceId};

/// A message of one resource and one scope around span messages.
fn message(spans: &[Vec<u8>]) -> Vec<u8> {
    let mut w = Writer::new();
    let resource_spans = w.begin(1);
    let resource = w.begin(1);
    let service = w.begin(1);
    w.bytes_field(1, b"service.name");
    let value = w.begin(2);
    w.bytes_field(1, b"cart");
    w.end(value);
    w.end(service);
    w.end(resource);
    let scope_spans = w.begin(2);
    for span in spans {
        w.bytes_field(2, span);
    }
    w.end(scope_spans);
    w.end(resource_spans);
    w.into_bytes()
}

/// A span's fields: ids, name and times, then what `more` adds.
fn span(more: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut w = Writer::new();
    w.bytes_field(1, &[1; 16]);
    w.bytes_field(2, &[2; 8]);
    w.bytes_field(5, b"GET /");
    w.fixed64(7, 1_000);
    w.fixed64(8, 3_000);
    more(&mut w);
    w.into_bytes()
}

struct Read {
    batch: Batch,
    report: ReadReport,
    symbols: Symbols,
}

impl Read {
    fn body(&self, index: usize) -> &[u8] {
        let body = self.batch.spans[index].body;
        &self.batch.bytes[body.start as usize..(body.start + body.len) as usize]
    }

    fn attributes(&self, index: usize) -> Vec<(&str, String)> {
        Attributes::of_message(self.body(index), 9).map(|(key, value)| (key, value.to_string())).collect()
    }

    fn count(&self, warning: Warning) -> u64 {
        self.report.warnings.count(warning)
    }
}

fn decoded(bytes: Vec<u8>, limits: Limits) -> Read {
    let (mut symbols, mut report) = (Symbols::default(), ReadReport::default());
    let batch = decode(bytes, &limits, &mut symbols, &mut report);
    Read { batch, report, symbols }
}

fn one(more: impl FnOnce(&mut Writer)) -> Read {
    decoded(message(&[span(more)]), Limits::default())
}

fn text_attribute(w: &mut Writer, key: &[u8], value: &[u8]) {
    let pair = w.begin(9);
    w.bytes_field(1, key);
    let any = w.begin(2);
    w.bytes_field(1, value);
    w.end(any);
    w.end(pair);
}

#[test]
fn a_span_is_read_with_its_service_and_its_body_in_place() {
    let read = one(|w| {
        w.bytes_field(4, &[3; 8]);
        w.varint(6, 3);
        text_attribute(w, b"k", b"v");
        let status = w.begin(15);
        w.varint(3, 2);
        w.end(status);
        w.fixed32(16, 0x301);
    });
    let span = read.batch.spans[0];
    assert_eq!((span.trace_id, span.id), (TraceId(u128::from_be_bytes([1; 16])), SpanId(0x0202_0202_0202_0202)));
    assert_eq!(span.parent_id, SpanId(0x0303_0303_0303_0303));
    assert_eq!((span.start_ns, span.end_ns), (1_000, 3_000));
    assert_eq!((span.kind, span.status), (crate::model::Kind::Client, Status::Error));
    assert!(span.marks.has(SpanMarks::REMOTE_PARENT));
    assert_eq!(read.symbols.get(span.name), "GET /");
    assert_eq!(read.symbols.get(read.batch.resources[0].service), "cart");
    assert_eq!(read.attributes(0), [("k", "v".to_owned())]);
    assert!(read.report.warnings.is_empty());
}

#[test]
fn ids_that_cannot_be_used_cost_their_span_alone() {
    for (ids, what) in [
        ((&[1; 15][..], &[2; 8][..]), "the trace id has 15 bytes instead of 16"),
        ((&[0; 16], &[2; 8]), "the trace id is all zero"),
        ((&[], &[2; 8]), "no trace id"),
        ((&[1; 16], &[2; 9]), "the span id has 9 bytes instead of 8"),
        ((&[1; 16], &[0; 8]), "the span id is all zero"),
    ] {
        let mut w = Writer::new();
        w.bytes_field(1, ids.0);
        w.bytes_field(2, ids.1);
        let read = decoded(message(&[w.into_bytes(), span(|_| ())]), Limits::default());
        assert_eq!(read.batch.spans.len(), 1);
        assert_eq!(read.count(Warning::InvalidSpan), 1);
        let (_, counted) = read.report.warnings.iter().next().unwrap();
        assert!(counted.example.contains(what), "{}", counted.example);
    }
}

#[test]
fn a_parent_id_of_wrong_length_still_names_a_parent() {
    let parent = |bytes: &[u8]| one(|w| w.bytes_field(4, bytes)).batch.spans[0].parent_id;
    assert_eq!(parent(&[]), SpanId::NONE);
    assert_eq!(parent(&[0; 8]), SpanId::NONE);
    assert_eq!(parent(&[7]), SpanId(7));
    assert_eq!(parent(&[9, 0, 0, 0, 0, 0, 0, 0, 8]), SpanId(8));
}

#[test]
fn a_broken_span_is_counted_and_its_neighbours_stay() {
    let cut_attribute = span(|w| w.raw(&[0x4a, 0x7f, 0x0a]));
    let group = span(|w| w.raw(&[0x4b]));
    let wrong_type = span(|w| w.varint(9, 1));
    let read = decoded(message(&[span(|_| ()), cut_attribute, group, wrong_type, span(|_| ())]), Limits::default());
    assert_eq!(read.batch.spans.len(), 2);
    assert_eq!(read.count(Warning::InvalidSpan), 3);
    assert_eq!(read.report.spans, 2);
}

#[test]
fn invalid_utf8_is_replaced_in_a_copy() {
    let read = decoded(
        message(&[span(|w| {
            w.bytes_field(5, b"caf\xff");
            text_attribute(w, b"good", "ü".as_bytes());
            text_attribute(w, b"bad", b"\xfe\x00x");
            let event = w.begin(11);
            w.bytes_field(2, b"\xc0");
            w.end(event);
        })]),
        Limits::default(),
    );
    assert_eq!(read.symbols.get(read.batch.spans[0].name), "caf\u{fffd}");
    assert_eq!(read.attributes(0), [("good", "ü".to_owned()), ("bad", "\u{fffd}\0x".to_owned())]);
    let names: Vec<_> = crate::model::attributes::events(read.body(0)).map(|event| event.name).collect();
    assert_eq!(names, ["\u{fffd}"]);
    assert_eq!(read.count(Warning::InvalidUtf8), 3);
}

#[test]
fn a_service_name_that_is_not_utf8_is_mended() {
    let mut packer = Packer::new();
    packer.attribute(1, "service.namespace", &Value::Str("eu"));
    let resource = [packer.into_bytes(), {
        let mut w = Writer::new();
        let pair = w.begin(1);
        w.bytes_field(1, b"service.name");
        let any = w.begin(2);
        w.bytes_field(1, b"s\xff");
        w.end(any);
        w.end(pair);
        w.into_bytes()
    }]
    .concat();
    let mut w = Writer::new();
    let outer = w.begin(1);
    w.bytes_field(1, &resource);
    let scope = w.begin(1000);
    w.bytes_field(2, &span(|_| ()));
    w.end(scope);
    w.end(outer);
    let read = decoded(w.into_bytes(), Limits::default());
    assert_eq!(read.batch.spans.len(), 1, "the old instrumentationLibrarySpans");
    assert_eq!(read.symbols.get(read.batch.resources[0].service), "eu/s\u{fffd}");
}

#[test]
fn what_is_over_a_limit_is_left_out_and_marked() {
    let limits = Limits { attributes: 2, events: 1, links: 1, value_depth: 1, text_bytes: 4, ..Limits::default() };
    let read = decoded(
        message(&[span(|w| {
            text_attribute(w, b"a", "längst".as_bytes());
            let pair = w.begin(9);
            w.bytes_field(1, b"b");
            let any = w.begin(2);
            let array = w.begin(5);
            let element = w.begin(1);
            let inner = w.begin(5);
            w.end(inner);
            w.end(element);
            let element = w.begin(1);
            w.varint(3, 7);
            w.end(element);
            w.end(array);
            w.end(any);
            w.end(pair);
            text_attribute(w, b"c", b"x");
            for number in [11, 11, 13, 13, 13] {
                let open = w.begin(number);
                w.end(open);
            }
        })]),
        limits,
    );
    assert_eq!(read.attributes(0), [("a", "län".to_owned()), ("b", "[, 7]".to_owned())]);
    assert_eq!(crate::model::attributes::events(read.body(0)).count(), 1);
    assert_eq!(crate::model::attributes::links(read.body(0)).count(), 1);
    // The name, a value, a key of the resource; the third attribute, the deep list, one event, two links.
    assert_eq!(read.count(Warning::LimitReached), 8);
    assert!(read.batch.spans[0].marks.has(SpanMarks::DROPPED));
    assert_eq!(read.symbols.get(read.batch.spans[0].name), "GET ");
}

#[test]
fn ten_thousand_levels_neither_recurse_nor_take_quadratic_time() {
    let mut nested: Vec<u8> = Vec::new();
    for _ in 0..10_000 {
        let mut w = Writer::new();
        let array = w.begin(5);
        w.bytes_field(1, &nested);
        w.end(array);
        nested = w.into_bytes();
    }
    let read = one(|w| {
        let pair = w.begin(9);
        w.bytes_field(1, b"deep");
        w.bytes_field(2, &nested);
        w.end(pair);
    });
    assert_eq!(read.batch.spans.len(), 1);
    assert_eq!(read.count(Warning::LimitReached), 1);
    let (key, text) = &read.attributes(0)[0];
    assert_eq!((*key, text.len()), ("deep", 128), "64 levels of brackets");
}

#[test]
fn times_are_made_usable() {
    let times = |start: u64, end: u64| {
        let read = one(|w| {
            w.fixed64(7, start);
            w.fixed64(8, end);
        });
        let span = read.batch.spans[0];
        let counts = (read.count(Warning::TimeOverflow), read.count(Warning::NegativeDuration));
        (span.start_ns, span.end_ns, counts)
    };
    let latest = i64::MAX as u64;
    assert_eq!(times(5, 9), (5, 9, (0, 0)));
    assert_eq!(times(0, 0), (0, 0, (0, 0)));
    assert_eq!(times(9, 5), (9, 9, (0, 1)));
    assert_eq!(times(9, 0), (9, 9, (0, 1)));
    assert_eq!(times(0, 9), (9, 9, (1, 0)), "an unknown start is not 1970");
    assert_eq!(times(5, u64::MAX), (5, latest, (1, 0)));
    assert_eq!(times(u64::MAX, u64::MAX), (latest, latest, (1, 0)));
    assert_eq!(times(u64::MAX, 5), (latest, latest, (1, 1)));
    assert_eq!(times(0, u64::MAX), (latest, latest, (1, 0)));
}

#[test]
fn what_the_sender_dropped_is_marked() {
    for number in [10, 12, 14] {
        let read = one(|w| w.varint(number, 1));
        assert!(read.batch.spans[0].marks.has(SpanMarks::DROPPED));
        assert_eq!(read.count(Warning::DroppedBySender), 1);
        assert!(one(|w| w.varint(number, 0)).report.warnings.is_empty());
    }
}

#[test]
fn metrics_and_logs_are_not_called_invalid_spans() {
    let metric = {
        let mut w = Writer::new();
        w.bytes_field(1, b"http.requests");
        w.bytes_field(3, b"1");
        let sum = w.begin(7);
        w.varint(2, 2);
        w.end(sum);
        w.into_bytes()
    };
    let log = {
        let mut w = Writer::new();
        w.fixed64(1, 1_700_000_000_000_000_000);
        w.varint(2, 9);
        w.into_bytes()
    };
    for (item, name) in [(metric.clone(), "OTLP metrics"), (log, "OTLP logs")] {
        let read = decoded(message(&[item.clone(), item]), Limits::default());
        assert_eq!((read.count(Warning::NonTraceSignal), read.count(Warning::InvalidSpan)), (1, 0));
        assert_eq!(read.report.warnings.iter().next().map(|(_, counted)| counted.example.as_str()), Some(name));
    }
    let mixed = decoded(message(&[metric, span(|_| ())]), Limits::default());
    assert_eq!(mixed.count(Warning::InvalidSpan), 1, "among spans it is a broken span");
}

#[test]
fn a_cut_message_gives_its_whole_spans() {
    let whole = message(&[span(|_| ()), span(|w| text_attribute(w, b"k", b"v")), span(|_| ())]);
    let last = span(|_| ()).len() + 2;
    for cut in 1..last {
        let bytes = &whole[..whole.len() - cut];
        let (mut symbols, mut report) = (Symbols::default(), ReadReport::default());
        let limits = Limits::default();
        let mut decoder = Decoder::new(bytes, &limits, &mut symbols, &mut report);
        decoder.message(0..bytes.len(), true);
        let parts = decoder.finish();
        assert_eq!(parts.spans.len(), 2, "without the last {cut} bytes");
        assert_eq!(report.bytes_lost, (last - cut) as u64);
        assert_eq!(report.warnings.count(Warning::TruncatedTail), report.bytes_lost);
        assert_eq!(report.warnings.spans_lost(), 0);
    }
}

#[test]
fn equal_resources_and_scopes_are_one() {
    let bytes = [message(&[span(|_| ())]), message(&[span(|_| ())])].concat();
    let read = decoded(bytes, Limits::default());
    assert_eq!((read.batch.spans.len(), read.batch.resources.len(), read.batch.scopes.len()), (2, 1, 1));
}

#[test]
fn empty_spans_do_not_reserve_room() {
    let mut w = Writer::new();
    let outer = w.begin(1);
    let scope = w.begin(2);
    for _ in 0..100_000 {
        w.bytes_field(2, &[]);
    }
    w.end(scope);
    w.end(outer);
    let read = decoded(w.into_bytes(), Limits::default());
    assert_eq!(read.batch.spans.capacity(), 0);
    assert_eq!(read.count(Warning::InvalidSpan), 100_000);
}

#[test]
fn symbols_stop_at_their_limit() {
    let limits = Limits { symbols: 2, ..Limits::default() };
    let renamed = span(|w| w.bytes_field(5, b"other"));
    let read = decoded(message(&[span(|_| ()), renamed]), limits);
    let names: Vec<_> = read.batch.spans.iter().map(|span| read.symbols.get(span.name)).collect();
    assert_eq!(names, ["GET /", ""]);
    assert_eq!(read.count(Warning::LimitReached), 2, "the other name and the service");
}
