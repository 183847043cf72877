//! What a JSON document is, by the keys of its first object.

use super::otlp::is_other_signal;
use super::tokens::{Cursor, Read, Scalar};

/// The shapes that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// OTLP/JSON and Tempo v1, also metrics and logs, and an object without keys.
    Otlp,
    /// Tempo v2: OTLP in `trace`.
    TempoV2,
    /// Jaeger API v3: OTLP in `result`.
    JaegerV3,
    /// Jaeger traces in `data`.
    JaegerEnvelope,
    /// A Jaeger trace, or an array of them.
    JaegerTraces,
    /// Zipkin v2 spans.
    Zipkin,
    /// Go `stdouttrace` spans.
    GoStdout,
    /// Python console spans.
    PythonConsole,
    /// An empty array.
    Empty,
}

/// What a document turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Something that is read.
    Known(Family),
    /// Something known that is not read: its name and what to do instead.
    Unsupported(&'static str, &'static str),
    /// Nothing known: the keys of its first object.
    Unknown(Vec<String>),
}

/// Keys of an object that are looked at, and listed when nothing fits.
const MOST_KEYS: usize = 64;
const AS_OTLP: &str = "export the trace as OTLP JSON or protobuf, for example through an OpenTelemetry Collector";
const XRAY: Verdict = Verdict::Unsupported("an AWS X-Ray document", AS_OTLP);
const GRAFANA: Verdict = Verdict::Unsupported(
    "a Grafana data frame",
    "download the trace itself, or fetch /api/traces/TRACE_ID from Tempo or Jaeger",
);
const CHROME: Verdict = Verdict::Unsupported("a Chrome or Perfetto trace", AS_OTLP);

/// Looks at the document under the cursor, which may stand anywhere afterwards.
pub(super) fn recognise(cursor: &mut Cursor<'_>) -> Read<Verdict> {
    let mut arrays = 0;
    while cursor.take(b'[') {
        arrays += 1;
        if cursor.peek() == b']' {
            return Ok(Verdict::Known(Family::Empty));
        }
        if arrays > 2 {
            return Ok(Verdict::Unknown(Vec::new()));
        }
    }
    if cursor.peek() != b'{' {
        return cursor.scalar().map(|_| Verdict::Unknown(Vec::new()));
    }
    let verdict = object(cursor)?;
    Ok(match verdict {
        // These are objects at the top, or spans in arrays, and nothing else.
        Verdict::Known(Family::Zipkin) => verdict,
        Verdict::Known(Family::Otlp | Family::JaegerTraces | Family::GoStdout | Family::PythonConsole)
            if arrays < 2 =>
        {
            verdict
        }
        Verdict::Known(_) if arrays > 0 => Verdict::Unknown(Vec::new()),
        _ => verdict,
    })
}

/// What the keys of an object say together.
fn object(cursor: &mut Cursor<'_>) -> Read<Verdict> {
    let mut keys = Vec::new();
    let mut first = true;
    cursor.enter_object()?;
    while let Some(key) = cursor.next_member(&mut first)? {
        if let Some(verdict) = decisive(cursor, &key)? {
            return Ok(verdict);
        }
        if keys.len() < MOST_KEYS {
            keys.push(key.into_owned());
        }
        cursor.skip()?;
    }
    Ok(together(keys))
}

/// What one key says alone, with the cursor at its value, which stays there if it says nothing.
fn decisive(cursor: &mut Cursor<'_>, key: &str) -> Read<Option<Verdict>> {
    let value = cursor.peek();
    let verdict = match key {
        "resourceSpans" | "resource_spans" | "batches" => Verdict::Known(Family::Otlp),
        "trace" if value == b'{' => Verdict::Known(Family::TempoV2),
        "result" if value == b'{' => Verdict::Known(Family::JaegerV3),
        "SpanContext" => Verdict::Known(Family::GoStdout),
        "data" if value == b'[' => Verdict::Known(Family::JaegerEnvelope),
        "data" if value == b'{' => return data_object(cursor),
        "traceEvents" => CHROME,
        "binaryAnnotations" => Verdict::Unsupported("Zipkin v1", "fetch /api/v2/trace/TRACE_ID from Zipkin instead"),
        "Segments" | "subsegments" | "TraceSegmentDocuments" => XRAY,
        "frames" => GRAFANA,
        "results" if matches!(value, b'{' | b'[') => GRAFANA,
        "trace.trace_id" | "trace.span_id" => Verdict::Unsupported("a Honeycomb query result", AS_OTLP),
        "trace_id" if is_xray_id(cursor)? => XRAY,
        "span_id" if value.is_ascii_digit() => Verdict::Unsupported("Datadog's trace JSON", AS_OTLP),
        _ => return Ok(None),
    };
    Ok(Some(verdict))
}

/// `data` holds a trace (Jaeger) or columns (Grafana).
fn data_object(cursor: &mut Cursor<'_>) -> Read<Option<Verdict>> {
    let back = cursor.at();
    let mut first = true;
    cursor.enter_object()?;
    let mut found = None;
    while let Some(key) = cursor.next_member(&mut first)? {
        match &*key {
            "spans" => found = Some(Verdict::Known(Family::JaegerEnvelope)),
            "values" => found = Some(GRAFANA),
            _ => {}
        }
        if found.is_some() {
            break;
        }
        cursor.skip()?;
    }
    cursor.go(back);
    Ok(found)
}

fn is_xray_id(cursor: &mut Cursor<'_>) -> Read<bool> {
    let back = cursor.at();
    let is_xray = cursor.peek() == b'"' && matches!(cursor.scalar()?, Scalar::Text(id) if id.starts_with("1-"));
    cursor.go(back);
    Ok(is_xray)
}

fn together(keys: Vec<String>) -> Verdict {
    let has = |wanted: &str| keys.iter().any(|key| key == wanted);
    if keys.is_empty() || keys.iter().any(|key| is_other_signal(key)) {
        return Verdict::Known(Family::Otlp);
    }
    if has("spans") && (has("processes") || has("traceID")) {
        return Verdict::Known(Family::JaegerTraces);
    }
    if has("context") && (has("start_time") || has("parent_id")) {
        return Verdict::Known(Family::PythonConsole);
    }
    if has("traceId") && has("id") {
        return Verdict::Known(Family::Zipkin);
    }
    if has("ph") && has("ts") {
        return CHROME;
    }
    Verdict::Unknown(keys)
}
