//! The JSON readers from outside: every variant that files hold, real files, generated traces, damage.

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, TracesData, span};
use proptest::prelude::*;
use spandiff::ingest::json::{decode_document, read};
use spandiff::ingest::{Context, Format, InputFormat, ReadError, ReadReport};
use spandiff::model::{Kind, Limits, SpanId, SpanMarks, SpanStore, Symbols, TraceId, Value, Warning};
use std::fmt::Write as _;

/// What was read of an input.
struct Outcome {
    store: SpanStore,
    report: ReadReport,
    result: Result<(), ReadError>,
}

fn read_with(bytes: &[u8], said: Option<InputFormat>, limits: Limits) -> Outcome {
    let (mut store, mut symbols) = (SpanStore::default(), Symbols::default());
    let mut input = bytes;
    let mut context = Context { limits, symbols: &mut symbols, sink: &mut store, report: ReadReport::default() };
    let result = read(&mut input, said, &mut context);
    let report = context.report;
    store.symbols = symbols;
    Outcome { store, report, result }
}

fn read_all(text: &str) -> Outcome {
    let outcome = read_with(text.as_bytes(), None, Limits::default());
    assert!(outcome.result.is_ok(), "{:?} in {text}", outcome.result);
    outcome
}

fn error_of(bytes: &[u8]) -> (String, String) {
    match read_with(bytes, None, Limits::default()).result {
        Err(ReadError::NotATrace { what, at, hint }) => (format!("{what} @{at}"), hint),
        Err(ReadError::Unsupported { name, hint }) => (format!("unsupported {name}"), hint),
        Err(other) => (other.to_string(), String::new()),
        Ok(()) => panic!("no error for {}", String::from_utf8_lossy(bytes)),
    }
}

impl Outcome {
    /// Warnings as `code×count`.
    fn warnings(&self) -> String {
        let all: Vec<_> =
            self.report.warnings.iter().map(|(code, counted)| format!("{}×{}", code.code(), counted.count)).collect();
        all.join(" ")
    }

    /// All spans, one a line.
    fn shown(&self) -> String {
        let lines: Vec<_> = self.store.spans.iter().map(|span| show(&self.store, span)).collect();
        lines.join("\n")
    }
}

/// A span with everything in it, in words.
fn show(store: &SpanStore, span: &spandiff::model::Span) -> String {
    let mut out = format!(
        "{}:{:x}<{:x} {} {}-{}",
        store.service(span),
        span.id.0,
        span.parent_id.0,
        store.name(span),
        span.start_ns,
        span.end_ns
    );
    if span.kind != Kind::Internal {
        _ = write!(out, " {}", span.kind.name());
    }
    if span.status != spandiff::model::Status::Unset {
        _ = write!(out, " {:?}", span.status);
    }
    if !store.status_message(span).is_empty() {
        _ = write!(out, " msg={}", store.status_message(span));
    }
    if !store.trace_state(span).is_empty() {
        _ = write!(out, " state={}", store.trace_state(span));
    }
    if span.marks != SpanMarks(0) {
        _ = write!(out, " marks={}", span.marks.0);
    }
    for (key, value) in store.attributes(span) {
        _ = write!(out, " {key}={}", typed(&value));
    }
    for event in store.events(span) {
        _ = write!(out, " event({} {}", event.time_ns, event.name);
        for (key, value) in event.attributes {
            _ = write!(out, " {key}={}", typed(&value));
        }
        out += ")";
    }
    for link in store.links(span) {
        let trace = link.trace_id.map_or("?".to_owned(), |id| format!("{:x}", id.0));
        let span = link.span_id.map_or("?".to_owned(), |id| format!("{:x}", id.0));
        _ = write!(out, " link({trace} {span}");
        for (key, value) in link.attributes {
            _ = write!(out, " {key}={}", typed(&value));
        }
        out += ")";
    }
    out
}

/// A value with its type.
fn typed(value: &Value<'_>) -> String {
    match value {
        Value::Str(text) => format!("{text:?}"),
        Value::Double(double) => format!("{double:?}"),
        Value::Empty => "empty".to_owned(),
        Value::Array(values) => format!("[{}]", values.map(|value| typed(&value)).collect::<Vec<_>>().join(",")),
        Value::Map(map) => {
            let all: Vec<_> = map.map(|(key, value)| format!("{key}:{}", typed(&value))).collect();
            format!("{{{}}}", all.join(","))
        }
        other => other.to_string(),
    }
}

const TRACE: &str = "5b8efff798038103d269b633813fc60c";

/// A document with one span, whose fields besides its ids are `fields`.
fn with_fields(fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { "," };
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"s"}}}}]}},
        "scopeSpans":[{{"spans":[{{"traceId":"{TRACE}","spanId":"00000000000000a1"{comma}{fields}}}]}}]}}]}}"#
    )
}

/// A document with one span with one attribute `a` of this value.
fn with_value(value: &str) -> String {
    with_fields(&format!(r#""attributes":[{{"key":"a","value":{value}}}]"#))
}

#[test]
fn every_variant_of_a_span_field_is_read() {
    for (fields, expected, warnings) in [
        // Omitted, null and default are the same (J-09, J-10).
        ("", "s:a1<0  0-0", ""),
        (
            r#""name":null,"kind":null,"startTimeUnixNano":null,"endTimeUnixNano":null,"attributes":null,"events":null,"links":null,"status":null,"parentSpanId":null,"flags":null,"traceState":null,"droppedAttributesCount":null"#,
            "s:a1<0  0-0",
            "",
        ),
        (r#""parentSpanId":"","attributes":[],"events":[],"links":[],"status":{}"#, "s:a1<0  0-0", ""),
        // Ids (J-01, J-02).
        (r#""parentSpanId":"EEE19B7EC3C1B173""#, "s:a1<eee19b7ec3c1b173  0-0", ""),
        (r#""parentSpanId":"eee19b7ec3c1B173""#, "s:a1<eee19b7ec3c1b173  0-0", ""),
        (r#""parentSpanId":"0000000000000000""#, "s:a1<0  0-0", ""),
        (r#""parentSpanId":"7uGbfsPBsXQ=""#, "s:a1<eee19b7ec3c1b174  0-0", ""),
        (r#""parentSpanId":"b7""#, "s:a1<b7  0-0", ""),
        // Enums (J-03).
        (r#""kind":2"#, "s:a1<0  0-0 server", ""),
        (r#""kind":"3""#, "s:a1<0  0-0 client", ""),
        (r#""kind":"SPAN_KIND_PRODUCER""#, "s:a1<0  0-0 producer", ""),
        (r#""kind":"SPAN_KIND_INTERNAL""#, "s:a1<0  0-0", ""),
        (r#""kind":42"#, "s:a1<0  0-0", ""),
        (r#""kind":-1"#, "s:a1<0  0-0", ""),
        (r#""status":{"code":2}"#, "s:a1<0  0-0 Error", ""),
        (r#""status":{"code":"1"}"#, "s:a1<0  0-0 Ok", ""),
        (r#""status":{"code":"STATUS_CODE_ERROR","message":"boom"}"#, "s:a1<0  0-0 Error msg=boom", ""),
        (r#""status":{"code":"STATUS_CODE_UNSET"}"#, "s:a1<0  0-0", ""),
        (r#""status":{"code":9}"#, "s:a1<0  0-0", ""),
        // 64-bit numbers (J-06).
        (
            r#""startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000""#,
            "s:a1<0  1544712660000000000-1544712661000000000",
            "",
        ),
        (
            r#""startTimeUnixNano":1544712660000000001,"endTimeUnixNano":1544712661000000003"#,
            "s:a1<0  1544712660000000001-1544712661000000003",
            "",
        ),
        (
            r#""startTimeUnixNano":1.5e18,"endTimeUnixNano":"1.6e18""#,
            "s:a1<0  1500000000000000000-1600000000000000000",
            "",
        ),
        (r#""startTimeUnixNano":12.0,"endTimeUnixNano":13.000"#, "s:a1<0  12-13", ""),
        // Times that cannot be.
        (r#""startTimeUnixNano":5,"endTimeUnixNano":3"#, "s:a1<0  5-5", "negative_duration×1"),
        (
            r#""startTimeUnixNano":5,"endTimeUnixNano":"18446744073709551615""#,
            "s:a1<0  5-9223372036854775807",
            "time_overflow×1",
        ),
        (
            r#""startTimeUnixNano":1e30,"endTimeUnixNano":99999999999999999999999999"#,
            "s:a1<0  9223372036854775807-9223372036854775807",
            "time_overflow×2",
        ),
        (r#""startTimeUnixNano":-5,"endTimeUnixNano":7"#, "s:a1<0  0-7", "time_overflow×1"),
        (r#""endTimeUnixNano":7"#, "s:a1<0  7-7", "time_overflow×1"),
        // 32-bit numbers (J-07), flags (S-01), dropped counts (S-03).
        (r#""flags":"257""#, "s:a1<0  0-0 marks=2", ""),
        (r#""flags":769"#, "s:a1<0  0-0 marks=1", ""),
        (r#""flags":513"#, "s:a1<0  0-0", ""),
        (r#""flags":4294967295"#, "s:a1<0  0-0 marks=1", ""),
        (r#""droppedAttributesCount":"7""#, "s:a1<0  0-0 marks=4", "dropped_by_sender×1"),
        (r#""droppedEventsCount":1,"droppedLinksCount":2"#, "s:a1<0  0-0 marks=4", "dropped_by_sender×1"),
        (r#""droppedAttributesCount":0"#, "s:a1<0  0-0", ""),
        // Unknown fields (J-04), escapes, trace state.
        (r#""zz":{"a":[1,{"b":"]}"}]},"name":"n","yy":null"#, "s:a1<0 n 0-0", ""),
        (r#""name":"a \"quoted\" n\u00e4me \ud83d\ude00\n""#, "s:a1<0 a \"quoted\" näme 😀\n 0-0", ""),
        (r#""name":"lone \ud800 half""#, "s:a1<0 lone \u{fffd} half 0-0", "invalid_utf8×1"),
        (r#""name":"nul \u0000""#, "s:a1<0 nul \0 0-0", ""),
        (r#""na\u006de":"escaped key""#, "s:a1<0 escaped key 0-0", ""),
        (r#""traceState":"ot=th:8""#, "s:a1<0  0-0 state=ot=th:8", ""),
        // Snake case (J-05): read anyway, and said.
        (
            r#""start_time_unix_nano":1,"end_time_unix_nano":2,"parent_span_id":"00000000000000b1""#,
            "s:a1<b1  1-2",
            "snake_case_body×1",
        ),
        // Repeated keys (J-13): the last one wins.
        (r#""name":"first","name":"second""#, "s:a1<0 second 0-0", ""),
        (
            r#""attributes":[{"key":"a","value":{"intValue":1}}],"events":[{"name":"e"}],"attributes":[{"key":"b","value":{"intValue":2}}],"events":[{"name":"f"}]"#,
            "s:a1<0  0-0 b=2 event(0 f)",
            "",
        ),
        // Events and links.
        (
            r#""events":[{"timeUnixNano":"5","name":"e","attributes":[{"key":"k","value":{"boolValue":true}}]},{"attributes":[],"name":"f","timeUnixNano":6},{}]"#,
            "s:a1<0  0-0 event(5 e k=true) event(6 f) event(0 )",
            "",
        ),
        (
            r#""links":[{"traceId":"00000000000000000000000000000002","spanId":"0000000000000003","flags":257,"attributes":[{"key":"k","value":{"intValue":"1"}}]},{"traceId":"x"}]"#,
            "s:a1<0  0-0 link(2 3 k=1) link(? ?)",
            "",
        ),
    ] {
        let outcome = read_all(&with_fields(fields));
        assert_eq!((outcome.shown().as_str(), outcome.warnings().as_str()), (expected, warnings), "{fields}");
    }
}

#[test]
fn every_variant_of_a_value_is_read() {
    for (value, expected) in [
        (r#"{"stringValue":"x"}"#, "\"x\""),
        (r#"{"stringValue":""}"#, "\"\""),
        (r#"{"stringValue":5}"#, "\"5\""),
        (r#"{"boolValue":true}"#, "true"),
        (r#"{"boolValue":"false"}"#, "false"),
        (r#"{"intValue":"1"}"#, "1"),
        (r#"{"intValue":-1}"#, "-1"),
        (r#"{"intValue":"9223372036854775807"}"#, "9223372036854775807"),
        (r#"{"intValue":-9223372036854775808}"#, "-9223372036854775808"),
        (r#"{"intValue":9007199254740993}"#, "9007199254740993"),
        (r#"{"intValue":1e3}"#, "1000"),
        (r#"{"intValue":12.0}"#, "12"),
        (r#"{"intValue":1.5}"#, "1.5"),
        (r#"{"intValue":"18446744073709551615"}"#, "\"18446744073709551615\""),
        (r#"{"doubleValue":5.5}"#, "5.5"),
        (r#"{"doubleValue":5}"#, "5.0"),
        (r#"{"doubleValue":"5.5"}"#, "5.5"),
        (r#"{"doubleValue":"NaN"}"#, "NaN"),
        (r#"{"doubleValue":NaN}"#, "NaN"),
        (r#"{"doubleValue":"Infinity"}"#, "inf"),
        (r#"{"doubleValue":"-Infinity"}"#, "-inf"),
        (r#"{"doubleValue":1e300}"#, "1e300"),
        (r#"{"doubleValue":null}"#, "empty"),
        (r#"{"bytesValue":"+/8="}"#, "0xfbff"),
        (r#"{"bytesValue":"+/8"}"#, "0xfbff"),
        (r#"{"bytesValue":"-_8"}"#, "0xfbff"),
        (r#"{"bytesValue":"-_8="}"#, "0xfbff"),
        (r#"{"bytesValue":"?"}"#, "\"?\""),
        (r"{}", "empty"),
        (r"null", "empty"),
        (r#"{"unknownValue":{"a":1}}"#, "empty"),
        (r#"{"zz":1,"stringValue":"x","yy":[]}"#, "\"x\""),
        (r#"{"arrayValue":{}}"#, "[]"),
        (r#"{"arrayValue":null}"#, "empty"),
        (r#"{"kvlistValue":{}}"#, "{}"),
        (r#"{"arrayValue":{"values":[]}}"#, "[]"),
        (r#"{"arrayValue":{"values":null}}"#, "[]"),
        (
            r#"{"arrayValue":{"values":[{"intValue":1},{"stringValue":"b"},{},null,{"doubleValue":1}]}}"#,
            "[1,\"b\",empty,empty,1.0]",
        ),
        (
            r#"{"arrayValue":{"values":[{"kvlistValue":{"values":[{"key":"k","value":{"arrayValue":{"values":[{"boolValue":true}]}}}]}}]}}"#,
            "[{k:[true]}]",
        ),
        (
            r#"{"kvlistValue":{"values":[{"value":{"intValue":2},"key":"late"},{"value":{"kvlistValue":{}},"key":"m"},{"key":"none"},{}]}}"#,
            "{late:2,m:{},none:empty,:empty}",
        ),
        (r#"{"string_value":"snake"}"#, "\"snake\""),
        (r#"{"array_value":{"values":[{"int_value":1}]}}"#, "[1]"),
        (r#"{"stringValue":"first","stringValue":"last"}"#, "\"last\""),
    ] {
        let outcome = read_all(&with_value(value));
        assert_eq!(outcome.shown(), format!("s:a1<0  0-0 a={expected}"), "{value}");
    }
}

#[test]
fn attributes_may_lack_or_repeat_their_parts() {
    for (attributes, expected) in [
        (r#"{"value":{"intValue":1}}"#, " =1"),
        (r#"{"key":"a"}"#, " a=empty"),
        (r#"{"value":{"intValue":1},"key":"a"}"#, " a=1"),
        (r#"{"value":{"arrayValue":{}},"key":"a"}"#, " a=[]"),
        (r#"{"key":"a","value":{"arrayValue":{}},"value":{"intValue":1}}"#, " a=1"),
        (r#"{"key":"a","value":{"intValue":1},"value":{"arrayValue":{}}}"#, " a=[]"),
        (r#"{"key":"a","key":"b","value":{"intValue":1}}"#, " b=1"),
        (r#"{"key":"a","value":{"intValue":1}},{"key":"a","value":{"intValue":2}}"#, " a=1 a=2"),
        (r#"{"key":"a","zz":[],"value":{"intValue":1}}"#, " a=1"),
    ] {
        let outcome = read_all(&with_fields(&format!(r#""attributes":[{attributes}]"#)));
        assert_eq!(outcome.shown(), format!("s:a1<0  0-0{expected}"), "{attributes}");
    }
}

#[test]
fn a_bad_span_never_costs_its_document() {
    for bad in [
        r#"{"traceId":"5b8efff798038103","spanId":"00000000000000a1"}"#,
        r#"{"traceId":"0x8efff798038103d269b633813fc60c","spanId":"00000000000000a1"}"#,
        r#"{"traceId":"00000000000000000000000000000000","spanId":"00000000000000a1"}"#,
        r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"00000000000000a"}"#,
        r#"{"traceId":"5b8efff798038103d269b633813fc60c"}"#,
        r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":5}"#,
        r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"00000000000000a1","name":[]}"#,
        r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"00000000000000a1","attributes":{}}"#,
        r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"00000000000000a1","attributes":[{"key":"a"},5]}"#,
        r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"00000000000000a1","startTimeUnixNano":"soon"}"#,
        r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"00000000000000a1","name":nope}"#,
        r#"{"traceId":"5b8efff798038103d269b633813fc60c" "spanId":"00000000000000a1"}"#,
        "{}",
        "null",
        "5",
        "[]",
    ] {
        let good = format!(
            r#"{{"traceId":"{TRACE}","spanId":"00000000000000b1","name":"good","attributes":[{{"key":"k","value":{{"intValue":1}}}}]}}"#
        );
        let text = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{good},{bad}, {good}]}}]}}]}}"#);
        let outcome = read_all(&text);
        assert_eq!(outcome.shown(), "unknown_service:b1<0 good 0-0 k=1\nunknown_service:b1<0 good 0-0 k=1", "{bad}");
        assert_eq!(outcome.warnings(), "invalid_span×1", "{bad}");
    }
}

#[test]
fn resources_and_scopes_are_named_and_kept_once() {
    let span = |id: u32| format!(r#"{{"traceId":"{TRACE}","spanId":"{id:016x}"}}"#);
    let resource = |service: &str, namespace: &str| {
        format!(
            r#"{{"attributes":[{{"key":"service.name","value":{{"stringValue":"{service}"}}}},{{"key":"service.namespace","value":{{"stringValue":"{namespace}"}}}}]}}"#
        )
    };
    // The resource may follow its spans, and the scope and its schema too.
    let text = format!(
        r#"{{"resourceSpans":[
          {{"scopeSpans":[{{"spans":[{}],"schemaUrl":"u","scope":{{"name":"lib","version":"1"}}}}],"resource":{}}},
          {{"resource":{},"scopeSpans":[{{"scope":{{"version":"1","name":"lib"}},"schemaUrl":"u","spans":[{}]}},{{"spans":[{}]}}]}},
          {{"resource":{},"instrumentationLibrarySpans":[{{"instrumentationLibrary":{{"name":"old"}},"spans":[{}]}}]}},
          {{"scope_spans":[{{"spans":[{}]}}]}},
          {{"resource":null,"scopeSpans":[{{"scope":null,"spans":[]}}]}}, {{}}
        ]}}"#,
        span(1),
        resource("a", "n"),
        resource("a", "n"),
        span(2),
        span(3),
        resource("b", ""),
        span(4),
        span(5)
    );
    let outcome = read_all(&text);
    let store = &outcome.store;
    assert_eq!(
        outcome.shown().lines().map(|line| line.split('<').next().unwrap()).collect::<Vec<_>>(),
        ["n/a:1", "n/a:2", "n/a:3", "b:4", "unknown_service:5"]
    );
    assert_eq!((store.resources.len(), store.scopes.len()), (3, 3));
    let scopes: Vec<_> = store
        .spans
        .iter()
        .map(|span| store.scope(span).map(|s| [s.name, s.version, s.schema_url].map(|text| store.symbols.get(text))))
        .collect();
    assert_eq!(
        scopes,
        [
            Some(["lib", "1", "u"]),
            Some(["lib", "1", "u"]),
            Some(["", "", ""]),
            Some(["old", "", ""]),
            Some(["", "", ""])
        ]
    );
    assert_eq!(outcome.warnings(), "snake_case_body×1");
    assert_eq!(store.resource_attributes(&store.spans[0]).find("service.namespace"), Some(Value::Str("n")));
}

#[test]
fn the_wrappings_of_otlp_are_known() {
    let inner = format!(r#"{{"scopeSpans":[{{"spans":[{{"traceId":"{TRACE}","spanId":"00000000000000a1"}}]}}]}}"#);
    let tempo = inner.replace(TRACE, "W47/95gDgQPSabYzgT/GDA==").replace("00000000000000a1", "AAAAAAAAAKE=");
    for (text, format, warnings) in [
        (format!(r#"{{"resourceSpans":[{inner}]}}"#), Format::OtlpJson, ""),
        (format!("[{{\"resourceSpans\":[{inner}]}}]"), Format::OtlpJson, ""),
        (format!(r#"{{"resource_spans":[{inner}]}}"#), Format::OtlpJson, "snake_case_body×1"),
        (format!(r#"{{"batches":[{inner}]}}"#), Format::TempoV1, ""),
        (format!(r#"{{"resourceSpans":[{tempo}]}}"#), Format::TempoV1, ""),
        (format!(r#"{{"metrics":{{}},"trace":{{"resourceSpans":[{inner}]}}}}"#), Format::TempoV2, ""),
        (
            format!(r#"{{"trace":{{"batches":[{inner}]}},"status":"PARTIAL","message":"m"}}"#),
            Format::TempoV2,
            "partial_trace×1",
        ),
        (format!(r#"{{"trace":{{"resourceSpans":[{inner}]}},"status":"COMPLETE"}}"#), Format::TempoV2, ""),
        (format!(r#"{{"result":{{"resourceSpans":[{inner}]}}}}"#), Format::JaegerV3, ""),
        (format!(r#"{{"resourceSpans":[{inner}],"resourceLogs":[]}}"#), Format::OtlpJson, "non_trace_signal×1"),
        (
            format!(r#"{{"resourceSpans":[5],"resourceSpans":[{inner}]}}"#)
                .replace("[5]", &format!("[{inner},{inner}]")),
            Format::OtlpJson,
            "",
        ),
    ] {
        let outcome = read_all(&text);
        assert_eq!(outcome.shown(), "unknown_service:a1<0  0-0", "{text}");
        assert_eq!(outcome.store.spans[0].trace_id, TraceId(0x5b8e_fff7_9803_8103_d269_b633_813f_c60c), "{text}");
        assert_eq!(
            (outcome.report.formats.as_slice(), outcome.warnings().as_str()),
            (&[format][..], warnings),
            "{text}"
        );
    }
}

#[test]
fn a_stream_may_hold_many_documents_of_several_signals() {
    let one = with_fields("").replace('\n', " ");
    for (text, spans, records, warnings) in [
        (String::new(), 0, 0, ""),
        ("{}".to_owned(), 0, 1, ""),
        ("[]".to_owned(), 0, 1, ""),
        (format!("\u{feff}{one}"), 1, 1, ""),
        (format!("{one}\n{one}\r\n{one}"), 3, 3, ""),
        (format!("{one}{one}  {one}"), 3, 3, ""),
        (
            format!("{{\"resourceMetrics\":[]}}\n{one}\n{{\"resourceLogs\":[1]}}\n{{\"resourceProfiles\":[]}}\n"),
            1,
            4,
            "non_trace_signal×3",
        ),
        ("{\"resourceMetrics\":[]}\n".to_owned(), 0, 1, "non_trace_signal×1"),
        (format!("{one}\n{{\"resourceSpans\":[}}\n{one}"), 2, 2, "invalid_record×1"),
        (format!("{one}\n{{\"resourceSpans\":[{{\"a\":\"b\n{one}"), 2, 2, "invalid_record×1"),
        (format!("{one}\n{{\"resourceSpans\":nonsense}}\n{one}"), 2, 2, "invalid_record×1"),
        (format!("starting up {{\n{one}\nbye\n"), 1, 1, "invalid_record×2"),
        (format!("{one}\n{{\"resourceSpans\":[{{"), 1, 1, "truncated_tail×19"),
    ] {
        let outcome = read_all(&text);
        assert_eq!(
            (outcome.report.spans, outcome.report.records, outcome.warnings().as_str()),
            (spans, records, warnings),
            "{text}"
        );
        assert_eq!(outcome.store.spans.len() as u64, spans);
    }
    let lost = read_all(&format!("{one}\n{{\"resourceSpans\":[{{")).report.bytes_lost;
    assert_eq!(lost, 19);
}

#[test]
fn what_is_no_trace_is_an_error_that_says_why() {
    for (text, what) in [
        ("{\"resourceSpans\":[", "the JSON document that begins on line 1 is cut off @0"),
        ("\n\n{\"resourceSpans\":", "the JSON document that begins on line 3 is cut off @2"),
        ("{\"resourceSpans\":\n NaN}", "invalid JSON on line 2: expected an array @19"),
        ("{\"resourceSpans\":\n [}]}", "invalid JSON on line 2: expected an object @20"),
        ("hello", "invalid JSON on line 1: not JSON @0"),
        (
            "{\"msg\":\"started\",\"level\":\"info\"}",
            "JSON that is no trace format known here, with the keys \"msg\", \"level\" (line 1) @0",
        ),
        ("[1,2]", "JSON without any trace (line 1) @0"),
        (
            "{\"traceId\":\"a\",\"spanId\":\"b\"}",
            "JSON spans without the object around them that OTLP asks for, with the keys \"traceId\", \"spanId\" (line 1) @0",
        ),
        ("[{\"traceId\":\"1\",\"id\":\"2\",\"binaryAnnotations\":[]}]", "unsupported Zipkin v1"),
        ("[[{\"trace_id\":5,\"span_id\":6,\"meta\":{}}]]", "unsupported Datadog's trace JSON"),
        (
            "{\"trace_id\":\"1-581cf771-a006649127e371903a2de979\",\"id\":\"70de5b6f19ff9a0a\"}",
            "unsupported an AWS X-Ray document",
        ),
        ("{\"traceEvents\":[]}", "unsupported a Chrome or Perfetto trace"),
        ("[{\"name\":\"a\",\"ph\":\"X\",\"ts\":5}]", "unsupported a Chrome or Perfetto trace"),
        ("{\"schema\":{},\"data\":{\"values\":[]}}", "unsupported a Grafana data frame"),
        ("{\"results\":{\"A\":{\"frames\":[]}}}", "unsupported a Grafana data frame"),
        ("[{\"trace.trace_id\":\"x\",\"duration_ms\":5}]", "unsupported a Honeycomb query result"),
    ] {
        let (found, hint) = error_of(text.as_bytes());
        assert_eq!(found, what, "{text}");
        assert!(!hint.is_empty(), "{text}");
    }
    let utf16: Vec<u8> = "\u{feff}{\"resourceSpans\":[]}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (found, hint) = error_of(&utf16);
    assert_eq!(found, "this is UTF-16 text, not UTF-8 @0");
    assert!(hint.contains("iconv"), "{hint}");
}

#[test]
fn the_named_format_must_be_the_one_found() {
    let zipkin = r#"[{"traceId":"1","id":"2"}]"#;
    let fits = |text: &str, said| read_with(text.as_bytes(), Some(said), Limits::default()).result;
    assert!(fits(zipkin, InputFormat::Zipkin).is_ok());
    assert!(fits(&with_fields(""), InputFormat::OtlpJson).is_ok());
    assert!(fits(&with_fields(""), InputFormat::Tempo).is_ok());
    for said in [InputFormat::OtlpJson, InputFormat::Jaeger, InputFormat::Tempo, InputFormat::OtlpProto] {
        let error = fits(zipkin, said).unwrap_err().to_string();
        assert!(error.starts_with("this is Zipkin v2 JSON, not what --input-format says"), "{error}");
    }
}

#[test]
fn limits_cut_and_say_so() {
    let mut limits = Limits::default();
    for (name, value) in [("attributes", 2), ("events", 1), ("links", 1), ("value_depth", 2), ("text_bytes", 5)] {
        assert!(limits.set(name, value));
    }
    let attribute = |key: &str| format!(r#"{{"key":"{key}","value":{{"intValue":1}}}}"#);
    let link = r#"{"traceId":"00000000000000000000000000000002","spanId":"0000000000000003"}"#;
    for (fields, expected, warnings) in [
        (
            format!(r#""attributes":[{},{},{},{}]"#, attribute("a"), attribute("b"), attribute("c"), attribute("d")),
            "s:a1<0  0-0 marks=4 a=1 b=1",
            2,
        ),
        (r#""events":[{"name":"e"},{"name":"f"}]"#.to_owned(), "s:a1<0  0-0 marks=4 event(0 e)", 1),
        (format!(r#""links":[{link},{link},{link}]"#), "s:a1<0  0-0 marks=4 link(2 3)", 2),
        (r#""name":"ab\u00e9\u00e9\u00e9""#.to_owned(), "s:a1<0 abé 0-0", 1),
    ] {
        let outcome = read_with(with_fields(&fields).replace("service.name", "x").as_bytes(), None, limits);
        let expected = expected.replacen('s', "unknown_service", 1);
        assert_eq!(
            (outcome.shown(), outcome.report.warnings.count(Warning::LimitReached)),
            (expected, warnings),
            "{fields}"
        );
    }
    let nested = r#"{"arrayValue":{"values":[{"arrayValue":{"values":[{"arrayValue":{"values":[{"intValue":1}]}},{"intValue":2}]}}]}}"#;
    let mut outcome = read_with(with_value(nested).as_bytes(), None, limits);
    assert!(outcome.shown().ends_with("a=[[empty,2]]"), "{}", outcome.shown());
    outcome = read_with(
        &[b"{\"resourceSpans\":[\"".as_slice(), &[b'x'; 100]].concat(),
        None,
        Limits { record_bytes: 50, ..limits },
    );
    assert!(matches!(outcome.result, Err(ReadError::Limit { name: "record_bytes", .. })), "{:?}", outcome.result);
}

#[test]
fn deep_nesting_is_cut_or_refused_and_never_recursed_into() {
    for levels in [64, 65, 10_000, 100_000] {
        let open = r#"{"arrayValue":{"values":["#.repeat(levels);
        let close = "]}}".repeat(levels);
        let outcome = read_all(&with_value(&format!("{open}{close}")));
        let expected = match levels {
            64 => (1, ""),
            65 => (1, "limit_reached×1"),
            _ => (0, "invalid_span×1"),
        };
        assert_eq!((outcome.report.spans, outcome.warnings().as_str()), expected, "{levels}");
    }
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    assert!(error_of(deep.as_bytes()).0.starts_with("JSON without any trace"));
    let (error, _) = error_of(format!("{{\"resourceSpans\":[],\"x\":{deep}}}").as_bytes());
    assert!(error.contains("json_depth"), "{error}");
    let (error, _) = error_of(format!("{}{}", r#"{"trace":"#.repeat(50_000), "}".repeat(50_000)).as_bytes());
    assert!(error.contains("json_depth"), "{error}");
}

#[test]
fn invalid_utf8_is_replaced_and_counted() {
    let mut bytes = with_fields(r#""name":"bad @@ name""#).into_bytes();
    for byte in bytes.iter_mut().filter(|byte| **byte == b'@') {
        *byte = 0xff;
    }
    let outcome = read_with(&bytes, None, Limits::default());
    assert_eq!(outcome.shown(), "s:a1<0 bad \u{fffd}\u{fffd} name 0-0");
    assert_eq!(outcome.warnings(), "invalid_utf8×1");
    let (error, _) = error_of(b"{\"\xff\xff\":1,\"resourceSpans\":5}");
    assert_eq!(error, "invalid JSON on line 1: expected an array @24");
}

#[test]
fn one_document_is_read_like_a_stream() {
    let (mut store, mut symbols) = (SpanStore::default(), Symbols::default());
    let mut context =
        Context { limits: Limits::default(), symbols: &mut symbols, sink: &mut store, report: ReadReport::default() };
    decode_document(with_fields("").as_bytes(), None, &mut context).unwrap();
    assert_eq!(context.report.spans, 1);
    let error = decode_document(b"{} {}", None, &mut context).unwrap_err().to_string();
    assert_eq!(error, "invalid JSON on line 1: more text behind the document at byte 3");
    assert!(decode_document(b"", None, &mut context).is_err());
}

#[test]
fn jaeger_traces_are_read_in_every_shape() {
    let trace = r#"{"traceID":"1f","spans":[
      {"traceID":"1f","spanID":"a","operationName":"root","references":[],"startTime":1000,"duration":50,
       "tags":[{"key":"span.kind","type":"string","value":"server"},{"key":"error","type":"bool","value":true},
               {"key":"n","type":"int64","value":5},{"key":"f","type":"float64","value":2},{"key":"b","type":"bool","value":false},
               {"key":"bin","type":"binary","value":"+/8="},{"key":"big","type":"int64","value":"9007199254740993"},
               {"key":"internal.span.format","type":"string","value":"otlp"},{"key":"otel.scope.name","type":"string","value":"lib"},
               {"key":"otel.library.version","type":"string","value":"2"}],
       "logs":[{"timestamp":1010,"fields":[{"key":"k","type":"string","value":"v"},{"key":"event","type":"string","value":"boom"}]},
               {"timestamp":1020,"fields":[{"key":"message","type":"string","value":"m"}]}],
       "processID":"p1","warnings":null,"flags":1},
      {"traceID":"1f","spanID":"b","operationName":"child","startTime":1001,"duration":null,
       "references":[{"refType":"FOLLOWS_FROM","traceID":"1f","spanID":"c"},{"refType":"CHILD_OF","traceID":"2f","spanID":"a"},
                     {"refType":"CHILD_OF","traceID":"1f","spanID":"a"}],
       "tags":[{"key":"otel.status_code","type":"string","value":"OK"},{"key":"error","type":"bool","value":false}],"logs":null,"processID":"p2"},
      {"references":[{"spanID":"a","traceID":"1f","refType":"FOLLOWS_FROM"}],"traceID":"1f","spanID":"c","operationName":"late",
       "startTime":1002,"duration":1,"process":{"serviceName":"inline","tags":[]}},
      {"traceID":"1f","spanID":"d","parentSpanID":"a","operationName":"legacy","startTime":1002,"duration":1,"processID":"p9",
       "tags":[{"key":"otel.status_code","value":"ERROR"},{"key":"otel.status_description","value":"why"},{"key":"error","value":"true"}]}],
     "processes":{"p1":{"serviceName":"api","tags":[{"key":"service.namespace","type":"string","value":"shop"}]},"p2":{"serviceName":"db"}},
     "warnings":null}"#;
    let expected = "shop/api:a<0 root 1000000-1050000 server Error n=5 f=2.0 b=false bin=0xfbff big=9007199254740993 event(1010000 boom k=\"v\") event(1020000 log message=\"m\")
db:b<a child 1001000-1001000 Ok link(1f c) link(2f a)
inline:c<a late 1002000-1003000
unknown_service:d<a legacy 1002000-1003000 Error msg=why";
    for text in [
        format!(r#"{{"data":[{trace}],"total":0,"errors":null}}"#),
        format!(r#"{{"data":{trace}}}"#),
        trace.to_owned(),
        format!("[{trace}]"),
        format!(r#"{{"_comment":"x",{}"#, &trace[1..]),
    ] {
        let outcome = read_all(&text);
        assert_eq!(outcome.shown(), expected);
        assert_eq!((outcome.warnings().as_str(), outcome.report.formats.as_slice()), ("", &[Format::Jaeger][..]));
        let store = &outcome.store;
        assert_eq!(store.spans[0].trace_id, TraceId(0x1f));
        let scope = store.scope(&store.spans[0]).unwrap();
        assert_eq!([store.symbols.get(scope.name), store.symbols.get(scope.version)], ["lib", "2"]);
    }
    let bad = r#"{"data":[{"spans":[{"traceID":"1f","spanID":"xyz"},{"traceID":"1f","spanID":"1","process":5},{"traceID":"1f","spanID":"2"}],"processes":{}}]}"#;
    let outcome = read_all(bad);
    assert_eq!((outcome.report.spans, outcome.warnings().as_str()), (1, "invalid_span×2"));
}

#[test]
fn zipkin_spans_are_read_in_every_shape() {
    let spans = r#"{"traceId":"0000000000000001","id":"2","parentId":"1","name":"get","kind":"CLIENT","timestamp":5,"duration":2,
        "localEndpoint":{"serviceName":"api","ipv4":"10.0.0.1","port":80},"remoteEndpoint":{"serviceName":"db","ipv6":"::1","port":5432},
        "tags":{"http.path":"/x","error":"timeout"},"annotations":[{"timestamp":6,"value":"ws"}],"debug":true},
      {"traceId":"463ac35c9f6413ad48485a3953bb6124","id":"2","parentId":null,"name":null,"kind":null,"timestamp":null,"duration":null,"shared":true,
        "localEndpoint":{"serviceName":"db"},"tags":{"error":""}},
      {"traceId":"1","id":"3","shared":false}"#;
    let expected = "api:2<1 get 5000-7000 client Error msg=timeout network.local.address=\"10.0.0.1\" network.local.port=80 network.peer.address=\"::1\" network.peer.port=5432 service.peer.name=\"db\" http.path=\"/x\" event(6000 ws)
db:2<0  0-0 Error marks=64
unknown_service:3<0  0-0";
    let lines = spans.replace('\n', " ").replace("},       {", "}\n{").replace("},      {", "}\n{");
    for text in [format!("[{spans}]"), format!("[[{spans}]]"), lines] {
        let outcome = read_all(&text);
        assert_eq!(outcome.shown(), expected, "{text}");
        assert_eq!((outcome.warnings().as_str(), outcome.report.formats.as_slice()), ("", &[Format::Zipkin][..]));
    }
    assert_eq!(read_all(&format!("[{spans}]")).store.spans[0].trace_id, TraceId(1));
}

#[test]
fn go_stdout_spans_are_read() {
    let span = r#"{"Name":"GET /","SpanContext":{"TraceID":"5b8efff798038103d269b633813fc60c","SpanID":"00000000000000a1","TraceFlags":"01","TraceState":"a=b","Remote":false},
      "Parent":{"TraceID":"5b8efff798038103d269b633813fc60c","SpanID":"00000000000000b1","TraceFlags":"01","TraceState":"","Remote":true},
      "SpanKind":3,"StartTime":"2024-01-01T01:00:00.123456789+01:00","EndTime":"2024-01-01T00:00:01Z",
      "Attributes":[{"Key":"s","Value":{"Type":"STRING","Value":"x"}},{"Key":"d","Value":{"Type":"FLOAT64","Value":1}},{"Key":"i","Value":{"Value":7,"Type":"INT64"}},
        {"Key":"l","Value":{"Type":"FLOAT64SLICE","Value":[1,2.5]}},{"Key":"m","Value":{"Type":"STRINGSLICE","Value":["a","b"]}}],
      "Events":[{"Name":"e","Attributes":[{"Key":"k","Value":{"Type":"BOOL","Value":true}}],"DroppedAttributeCount":0,"Time":"2024-01-01T00:00:00.5Z"}],
      "Links":[{"SpanContext":{"TraceID":"00000000000000000000000000000002","SpanID":"0000000000000003"},"Attributes":null,"DroppedAttributeCount":0}],
      "Status":{"Code":"Error","Description":"bad"},"DroppedAttributes":0,"DroppedEvents":1,"DroppedLinks":0,"ChildSpanCount":2,
      "Resource":[{"Key":"service.name","Value":{"Type":"STRING","Value":"shop"}}],
      "InstrumentationScope":{"Name":"lib","Version":"1","SchemaURL":""},"InstrumentationLibrary":{"Name":"lib","Version":"1","SchemaURL":""}}"#;
    let expected = "shop:a1<b1 GET / 1704067200123456789-1704067201000000000 client Error msg=bad state=a=b marks=5 s=\"x\" d=1.0 i=7 l=[1.0,2.5] m=[\"a\",\"b\"] event(1704067200500000000 e k=true) link(2 3)";
    for text in [span.to_owned(), format!("[{span}]")] {
        let outcome = read_all(&text);
        assert_eq!(outcome.shown(), expected);
        assert_eq!(
            (outcome.warnings().as_str(), outcome.report.formats.as_slice()),
            ("dropped_by_sender×1", &[Format::GoStdout][..])
        );
    }
    let twice = read_all(&format!("{span}\n{span}"));
    assert_eq!((twice.report.spans, twice.report.records), (2, 2));
    let bad_scope = span.replace("\"SchemaURL\":\"\"}}", "\"SchemaURL\":nope}}").replace("shop", "other");
    let shared = read_all(&format!("[{bad_scope},{}]", span.replace("shop", "other")));
    assert_eq!(shared.shown(), expected.replace("shop", "other"));
    assert_eq!(shared.store.resource_attributes(&shared.store.spans[0]).count(), 1);
    let bad = read_all(&format!("[{span},{}]", span.replace("2024-01-01T00:00:01Z", "tomorrow")));
    assert_eq!((bad.report.spans, bad.warnings().as_str()), (1, "invalid_span×1 dropped_by_sender×1"));
}

#[test]
fn python_console_spans_are_read() {
    let span = r#"{
    "name": "work",
    "context": {"trace_id": "0x5b8efff798038103d269b633813fc60c", "span_id": "0x00000000000000a1", "trace_state": "[]"},
    "kind": "SpanKind.SERVER",
    "parent_id": "0x00000000000000b1",
    "start_time": "2025-01-09T14:21:04.800962Z",
    "end_time": "2025-01-09T14:21:05.800963Z",
    "status": {"status_code": "ERROR", "description": "bad"},
    "attributes": {"s": "x", "i": 1, "d": 0.5, "b": true, "l": [1, "a"], "n": NaN, "none": null},
    "events": [{"name": "e", "timestamp": "2025-01-09T14:21:05Z", "attributes": {"k": "v"}}],
    "links": [{"context": {"trace_id": "0x2", "span_id": "0x3", "trace_state": "[]"}, "attributes": {"k": 1}}],
    "resource": {"attributes": {"service.name": "shop", "telemetry.sdk.language": "python"}, "schema_url": ""}
}"#;
    let expected = "shop:a1<b1 work 1736432464800962000-1736432465800963000 server Error msg=bad s=\"x\" i=1 d=0.5 b=true l=[1,\"a\"] n=NaN none=empty event(1736432465000000000 e k=\"v\") link(2 3 k=1)";
    let old = span.replace(
        r#"{"attributes": {"service.name": "shop", "telemetry.sdk.language": "python"}, "schema_url": ""}"#,
        r#"{"service.name": "shop"}"#,
    );
    for text in [span.to_owned(), format!("[{span}]"), old, format!("Starting\n{span}\nDone")] {
        let outcome = read_all(&text);
        assert_eq!(outcome.shown(), expected);
        assert_eq!(outcome.report.formats, [Format::PythonConsole]);
    }
    let root = read_all(&span.replace("\"0x00000000000000b1\"", "null"));
    assert_eq!(root.store.spans[0].parent_id, SpanId::NONE);
}

#[test]
fn real_files_hold_the_spans_of_their_readme() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !folder.is_dir() {
        eprintln!("skipped: {} is not here", folder.display());
        return;
    }
    for (name, format, spans, traces, warnings) in [
        ("otel-demo.jsonl", Format::OtlpJson, 547, 141, None),
        ("zipkin-smartthings-oauth.json", Format::Zipkin, 175, 1, Some("")),
        ("zipkin-skew.json", Format::Zipkin, 4, 1, Some("")),
        ("zipkin-messaging-kafka.json", Format::Zipkin, 28, 1, None),
        // Its references carry copies of their spans, which are not spans of the file: four are.
        ("jaeger-http.json", Format::Jaeger, 4, 1, Some("")),
        ("jaeger-genai.json", Format::Jaeger, 57, 1, Some("")),
        ("otlp-spec-example.json", Format::OtlpJson, 1, 1, Some("")),
    ] {
        let outcome = read_with(&std::fs::read(folder.join(name)).unwrap(), None, Limits::default());
        assert!(outcome.result.is_ok(), "{name}: {:?}", outcome.result);
        let ids: std::collections::BTreeSet<_> = outcome.store.spans.iter().map(|span| span.trace_id).collect();
        assert_eq!(
            (outcome.report.spans, ids.len(), outcome.report.formats.as_slice()),
            (spans, traces, &[format][..]),
            "{name} {}",
            outcome.warnings()
        );
        assert!(outcome.store.spans.iter().all(|span| outcome.store.service(span) != "unknown_service"), "{name}");
        if let Some(warnings) = warnings {
            assert_eq!(outcome.warnings(), warnings, "{name}");
        }
    }
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z.]{0,12}".prop_map(String::from), "\\PC{0,40}".prop_map(String::from), any::<String>(),]
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    use any_value::Value;
    let leaf = prop_oneof![
        any_text().prop_map(|text| Some(Value::StringValue(text))),
        any::<bool>().prop_map(|flag| Some(Value::BoolValue(flag))),
        any::<i64>().prop_map(|int| Some(Value::IntValue(int))),
        (-1e300..1e300f64).prop_map(|double| Some(Value::DoubleValue(double))),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Some(Value::BytesValue(bytes))),
        Just(None),
    ];
    let leaf = leaf.prop_map(|value| AnyValue { value });
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|values| AnyValue { value: Some(Value::ArrayValue(ArrayValue { values })) }),
            proptest::collection::vec((any_text(), inner), 0..4).prop_map(|pairs| {
                let values = pairs.into_iter().map(|(key, value)| pair(key, value)).collect();
                AnyValue { value: Some(Value::KvlistValue(KeyValueList { values })) }
            }),
        ]
    })
}

fn pair(key: String, value: AnyValue) -> KeyValue {
    KeyValue { key, value: Some(value), ..KeyValue::default() }
}

fn any_attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    proptest::collection::vec((any_text(), any_value()).prop_map(|(key, value)| pair(key, value)), 0..5)
}

fn any_span() -> impl Strategy<Value = Span> {
    let ids = (1..u128::MAX, 1..u64::MAX, any::<u64>());
    let times = (1..i64::MAX as u64 / 2, 0..i64::MAX as u64 / 2);
    let lists = (
        any_attributes(),
        proptest::collection::vec((any::<i64>(), any_text(), any_attributes()), 0..3),
        proptest::collection::vec((1..u128::MAX, 1..u64::MAX, any_attributes()), 0..3),
    );
    (ids, times, any_text(), 0..6i32, proptest::option::of((0..3i32, any_text())), lists, any_text()).prop_map(
        |(ids, times, name, kind, status, (attributes, events, links), trace_state)| Span {
            trace_id: ids.0.to_be_bytes().to_vec(),
            span_id: ids.1.to_be_bytes().to_vec(),
            parent_span_id: if ids.2 % 3 == 0 { Vec::new() } else { ids.2.to_be_bytes().to_vec() },
            name,
            kind,
            start_time_unix_nano: times.0,
            end_time_unix_nano: times.0 + times.1,
            status: status.map(|(code, message)| Status { code, message }),
            attributes,
            events: events
                .into_iter()
                .map(|(time, name, attributes)| span::Event {
                    time_unix_nano: time.unsigned_abs().min(i64::MAX as u64),
                    name,
                    attributes,
                    ..span::Event::default()
                })
                .collect(),
            links: links
                .into_iter()
                .map(|(trace_id, span_id, attributes)| span::Link {
                    trace_id: trace_id.to_be_bytes().to_vec(),
                    span_id: span_id.to_be_bytes().to_vec(),
                    attributes,
                    ..span::Link::default()
                })
                .collect(),
            trace_state,
            ..Span::default()
        },
    )
}

fn any_traces() -> impl Strategy<Value = TracesData> {
    let scope_spans = (any_text(), proptest::collection::vec(any_span(), 0..4)).prop_map(|(name, spans)| ScopeSpans {
        scope: Some(InstrumentationScope { name, ..InstrumentationScope::default() }),
        spans,
        ..ScopeSpans::default()
    });
    let resource_spans =
        ("[a-z]{1,8}", proptest::collection::vec(scope_spans, 0..3)).prop_map(|(service, scope_spans)| {
            let service = AnyValue { value: Some(any_value::Value::StringValue(service)) };
            ResourceSpans {
                resource: Some(Resource {
                    attributes: vec![pair("service.name".to_owned(), service)],
                    ..Resource::default()
                }),
                scope_spans,
                ..ResourceSpans::default()
            }
        });
    proptest::collection::vec(resource_spans, 0..3).prop_map(|resource_spans| TracesData { resource_spans })
}

/// Packs with prost and reads through the model: the expectation does not pass through JSON.
fn expected(data: &TracesData) -> String {
    use prost::Message as _;
    use spandiff::model::attributes::{Attributes, events, field, links, status_message, trace_state};
    let mut lines = Vec::new();
    for resource_spans in &data.resource_spans {
        for scope_spans in &resource_spans.scope_spans {
            for span in &scope_spans.spans {
                let body = span.encode_to_vec();
                let scope = scope_spans.scope.as_ref().unwrap();
                let attributes = |attributes: Attributes<'_>| {
                    attributes.map(|(key, value)| format!("{key:?}={}", typed(&value))).collect::<Vec<_>>()
                };
                lines.push(format!(
                    "{:?}",
                    (
                        (span.trace_id.clone(), span.span_id.clone(), &span.name, &scope.name),
                        (Kind::from_otlp(span.kind as u64), span.start_time_unix_nano, span.end_time_unix_nano),
                        (
                            span.status.as_ref().map_or(0, |status| status.code),
                            status_message(&body),
                            trace_state(&body)
                        ),
                        attributes(Attributes::of_message(&body, field::SPAN_ATTRIBUTES)),
                        events(&body)
                            .map(|e| (e.time_ns, e.name.to_owned(), attributes(e.attributes)))
                            .collect::<Vec<_>>(),
                        links(&body).map(|l| (l.trace_id, l.span_id, attributes(l.attributes))).collect::<Vec<_>>(),
                    )
                ));
            }
        }
    }
    lines.join("\n")
}

/// What was read, in the same words.
fn found(store: &SpanStore) -> String {
    use spandiff::model::Attributes;
    let attributes = |attributes: Attributes<'_>| {
        attributes.map(|(key, value)| format!("{key:?}={}", typed(&value))).collect::<Vec<_>>()
    };
    let lines: Vec<_> = store
        .spans
        .iter()
        .map(|span| {
            let scope = store.symbols.get(store.scope(span).unwrap().name).to_owned();
            let ids = (span.trace_id.0.to_be_bytes().to_vec(), span.id.0.to_be_bytes().to_vec());
            format!(
                "{:?}",
                (
                    (ids.0, ids.1, store.name(span), &scope),
                    (span.kind, span.start_ns, span.end_ns),
                    (span.status as i32, store.status_message(span), store.trace_state(span)),
                    attributes(store.attributes(span)),
                    store
                        .events(span)
                        .map(|e| (e.time_ns, e.name.to_owned(), attributes(e.attributes)))
                        .collect::<Vec<_>>(),
                    store.links(span).map(|l| (l.trace_id, l.span_id, attributes(l.attributes))).collect::<Vec<_>>(),
                )
            )
        })
        .collect();
    lines.join("\n")
}

/// Reads damaged bytes: whatever they are, all that comes out can be walked, and the counts agree.
fn survives(bytes: &[u8]) -> Outcome {
    let outcome = read_with(bytes, None, Limits::default());
    assert_eq!(outcome.report.spans, outcome.store.spans.len() as u64);
    assert!(outcome.report.bytes_lost <= bytes.len() as u64);
    assert_eq!(outcome.shown().is_empty(), outcome.store.spans.is_empty());
    if outcome.report.bytes_lost > 0 {
        let warnings = &outcome.report.warnings;
        assert!(warnings.count(Warning::InvalidRecord) + warnings.count(Warning::TruncatedTail) > 0);
    }
    if outcome.result.is_err() {
        assert_eq!(outcome.report.records, 0, "{:?}", outcome.result);
    }
    outcome
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_trace_that_serde_writes_is_read_as_it_was(data in any_traces(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&data) } else { serde_json::to_string(&data) }.unwrap();
        let outcome = read_all(&text);
        prop_assert_eq!(found(&outcome.store), expected(&data));
        prop_assert_eq!(outcome.report.warnings.spans_lost(), 0);
    }

    #[test]
    fn a_cut_stream_keeps_its_whole_records(data in any_traces(), cut in any::<prop::sample::Index>()) {
        let line = serde_json::to_string(&data).unwrap() + "\n";
        let spans = data.resource_spans.iter().flat_map(|r| &r.scope_spans).map(|s| s.spans.len()).sum::<usize>();
        let text = line.repeat(3);
        let cut = cut.index(text.len() + 1);
        let outcome = survives(&text.as_bytes()[..cut]);
        let whole = (cut + 1) / line.len();
        prop_assert_eq!(outcome.report.records as usize, whole);
        prop_assert_eq!(outcome.report.spans as usize, whole * spans);
        let lost = cut.saturating_sub(whole * line.len());
        prop_assert_eq!(outcome.report.bytes_lost as usize, lost);
        prop_assert_eq!(outcome.report.warnings.count(Warning::TruncatedTail) as usize, lost);
    }

    #[test]
    fn a_damaged_span_is_counted_and_costs_no_other(
        data in any_traces(),
        damage in prop::sample::select(vec!["\"zz\"", "5", "\"00000000000000000000000000000000\"", "nope", "[]", "-", "{\"a\":[1}"]),
    ) {
        let text = serde_json::to_string(&data).unwrap();
        let Some(at) = text.find("\"traceId\":\"") else { return Ok(()) };
        let value = at + "\"traceId\":".len();
        let damaged = format!("{}{damage}{}", &text[..value], &text[value + 34..]);
        let whole = read_all(&text).report.spans;
        let outcome = survives(damaged.as_bytes());
        prop_assume!(outcome.report.records == 1);
        prop_assert_eq!(outcome.report.spans + outcome.report.warnings.count(Warning::InvalidSpan), whole);
        prop_assert_eq!(outcome.report.warnings.count(Warning::InvalidSpan), 1);
    }

    /// Whatever stands in one span or in its place, as long as the document is JSON, is used or counted as one span,
    /// and costs no other.
    #[test]
    fn anything_in_the_place_of_a_span_is_used_or_counted(
        data in any_traces(),
        which in any::<prop::sample::Index>(),
        field in proptest::option::of(any::<prop::sample::Index>()),
        junk in prop::sample::select(vec![
            "null", "true", "-1", "1e999", "99999999999999999999999999", "\"\"", "\"x\"", "\"\\ud800\"", "[]", "[null]", "[[5]]",
            "[{}]", "{}", "{\"a\":null}", "[{\"key\":5}]", "[{\"value\":{\"arrayValue\":5}}]", "\"0000000000000000\"",
        ]),
    ) {
        let mut document = serde_json::to_value(&data).unwrap();
        let count = spans_mut(&mut document).len();
        prop_assume!(count > 0);
        {
            let mut spans = spans_mut(&mut document);
            let at = which.index(count);
            let span = &mut *spans[at];
            match (field, span.as_object_mut()) {
                (Some(field), Some(fields)) => {
                    let key = fields.keys().nth(field.index(fields.len())).unwrap().clone();
                    fields.insert(key, serde_json::Value::from("@@"));
                }
                _ => *span = serde_json::Value::from("@@"),
            }
        }
        let text = document.to_string().replacen("\"@@\"", junk, 1);
        let outcome = survives(text.as_bytes());
        let lost = outcome.report.warnings.spans_lost();
        prop_assert_eq!((outcome.report.records, outcome.report.bytes_lost), (1, 0), "{:?}", outcome.report);
        prop_assert_eq!(outcome.report.spans + lost, count as u64, "{}", text);
        prop_assert!(lost <= 1, "{}", text);
    }

    #[test]
    fn no_damage_makes_a_reader_fail_badly(
        which in 0..6usize,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..12),
    ) {
        let mut bytes = SAMPLES[which].repeat(2).into_bytes();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, b"{}[]\",:\\\n"[usize::from(byte) % 9]),
                _ => bytes.truncate(at.max(1)),
            }
            if bytes.is_empty() {
                break;
            }
        }
        survives(&bytes);
        survives(&bytes[bytes.len() / 3..]);
    }
}

/// All spans of an OTLP document.
fn spans_mut(document: &mut serde_json::Value) -> Vec<&mut serde_json::Value> {
    fn list<'v>(value: &'v mut serde_json::Value, key: &str) -> impl Iterator<Item = &'v mut serde_json::Value> {
        value.get_mut(key).and_then(serde_json::Value::as_array_mut).into_iter().flatten()
    }
    list(document, "resourceSpans")
        .flat_map(|resource| list(resource, "scopeSpans"))
        .flat_map(|scope| list(scope, "spans"))
        .collect()
}

/// A small document of each format.
const SAMPLES: [&str; 6] = [
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"s\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"l\"},\"spans\":[{\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"00000000000000a1\",\"name\":\"\\u00e4\\ud83d\\ude00\",\"kind\":2,\"startTimeUnixNano\":\"5\",\"endTimeUnixNano\":7,\"attributes\":[{\"key\":\"a\",\"value\":{\"kvlistValue\":{\"values\":[{\"key\":\"b\",\"value\":{\"arrayValue\":{\"values\":[{\"doubleValue\":1.5}]}}}]}}}],\"events\":[{\"name\":\"e\"}],\"links\":[{\"traceId\":\"\"}],\"status\":{\"code\":2,\"message\":\"m\"}}]}]}]}\n",
    "{\"data\":[{\"traceID\":\"1f\",\"spans\":[{\"traceID\":\"1f\",\"spanID\":\"a\",\"operationName\":\"r\",\"references\":[{\"refType\":\"CHILD_OF\",\"traceID\":\"1f\",\"spanID\":\"b\"}],\"startTime\":1000,\"duration\":50,\"tags\":[{\"key\":\"k\",\"type\":\"int64\",\"value\":5}],\"logs\":[{\"timestamp\":1,\"fields\":[{\"key\":\"event\",\"value\":\"e\"}]}],\"processID\":\"p1\"}],\"processes\":{\"p1\":{\"serviceName\":\"s\",\"tags\":[]}}}]}\n",
    "[{\"traceId\":\"1\",\"id\":\"2\",\"name\":\"n\",\"kind\":\"CLIENT\",\"timestamp\":5,\"duration\":2,\"localEndpoint\":{\"serviceName\":\"s\"},\"tags\":{\"a\":\"b\"},\"annotations\":[{\"timestamp\":6,\"value\":\"ws\"}]}]\n",
    "{\"Name\":\"n\",\"SpanContext\":{\"TraceID\":\"5b8efff798038103d269b633813fc60c\",\"SpanID\":\"00000000000000a1\"},\"StartTime\":\"2024-01-01T00:00:00Z\",\"EndTime\":\"2024-01-01T00:00:01Z\",\"Attributes\":[{\"Key\":\"s\",\"Value\":{\"Type\":\"STRING\",\"Value\":\"x\"}}],\"Resource\":[{\"Key\":\"service.name\",\"Value\":{\"Type\":\"STRING\",\"Value\":\"s\"}}]}\n",
    "{\n    \"name\": \"n\",\n    \"context\": {\"trace_id\": \"0x1\", \"span_id\": \"0x2\"},\n    \"parent_id\": null,\n    \"start_time\": \"2025-01-09T14:21:04.800962Z\",\n    \"attributes\": {\"a\": [1, {\"b\": null}]},\n    \"resource\": {\"attributes\": {\"service.name\": \"s\"}}\n}\n",
    "{\"trace\":{\"batches\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"W47/95gDgQPSabYzgT/GDA==\",\"spanId\":\"AAAAAAAAAKE=\"}]}]}]},\"status\":\"PARTIAL\"}\n",
];
