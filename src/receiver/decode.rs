//! From a body to a batch of spans, and to what its sender is told about it.

use super::refusal::{Kind, Refusal};
use super::respond::{Accepted, Encoding};
use crate::ingest::{Batch, Context, ReadReport, Sink, json, otlp_proto};
use crate::model::wire::Fields;
use crate::model::{Limits, Symbols, Warning};
use std::fmt::Write as _;

/// Spans of one request: what they become takes about 100 bytes each, beside the body. Exporters send some hundred.
pub const MOST_SPANS: u64 = 500_000;

/// Resources and scopes of one protobuf request: exporters send one resource, Collectors some thousand in a batch. Each
/// empty one is two bytes and costs a hundred times what an empty span does, since a resource is looked up.
pub const MOST_ENVELOPES: usize = 100_000;

/// The fewest bytes that a span has in JSON, with its two ids.
const SHORTEST_JSON_SPAN: usize = 80;
/// The same in protobuf.
const SHORTEST_PROTO_SPAN: usize = 30;

/// Warnings that a sender can do something about.
const TOLD: [Warning; 5] = [
    Warning::SnakeCaseBody,
    Warning::LimitReached,
    Warning::InvalidUtf8,
    Warning::TimeOverflow,
    Warning::NonTraceSignal,
];

/// A request that can be used.
#[derive(Debug)]
pub struct Decoded {
    /// Its spans. The bytes of a protobuf request stand at the beginning of the batch's.
    pub batch: Batch,
    /// What reading it counted.
    pub report: ReadReport,
    /// What its sender is told.
    pub accepted: Accepted,
}

/// Takes the one batch that a request is.
#[derive(Default)]
struct Keep(Batch);

impl Sink for Keep {
    fn batch(&mut self, batch: Batch, _symbols: &Symbols) {
        self.0 = batch;
    }
}

/// Decodes a request as a whole, so that nothing is acknowledged that nobody could read.
///
/// A body that breaks anywhere in its frames is refused as a whole; a span that is wrong in itself (its ids, its own
/// bytes) is rejected alone.
pub fn decode(
    encoding: Encoding,
    body: &mut Vec<u8>,
    limits: &Limits,
    symbols: &mut Symbols,
) -> Result<Decoded, Refusal> {
    let (batch, report) = match encoding {
        Encoding::Proto => {
            if body.len() / SHORTEST_PROTO_SPAN > MOST_SPANS as usize
                && otlp_proto::count_usable_spans(body) > MOST_SPANS
            {
                return Err(too_many());
            }
            if has_too_many_envelopes(body) {
                let message =
                    format!("the request has more than {MOST_ENVELOPES} resources and scopes; send smaller batches");
                return Err(Refusal::new(Kind::TooLarge, message));
            }
            let mut report = ReadReport::default();
            let batch = otlp_proto::decode(std::mem::take(body), limits, symbols, &mut report);
            (batch, report)
        }
        Encoding::Json => {
            if body.iter().any(|&byte| is_never_json(byte)) {
                return Err(Refusal::invalid("the body is not OTLP/JSON: control characters must be escaped"));
            }
            let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
            if text.trim_ascii_start().first() != Some(&b'{') {
                return Err(Refusal::invalid("the body is not OTLP/JSON: it is no object"));
            }
            let mut keep = Keep::default();
            let report = ReadReport::default();
            let mut context = Context { limits: *limits, symbols, sink: &mut keep, report };
            let read = json::decode_request(body, &mut context);
            let report = context.report;
            read.map_err(|error| Refusal::invalid(format!("the body is not OTLP/JSON: {error}")))?;
            if body.len() / SHORTEST_JSON_SPAN > MOST_SPANS as usize && keep.0.spans.len() as u64 > MOST_SPANS {
                return Err(too_many());
            }
            (keep.0, report)
        }
    };
    let rejected = report.warnings.count(Warning::InvalidSpan);
    let lost = report.bytes_lost > 0 || report.warnings.count(Warning::InvalidRecord) > 0;
    if lost {
        return Err(Refusal::invalid(format!("the body is not OTLP protobuf: {}", what_is_wrong(&report))));
    }
    if report.spans == 0 && report.warnings.count(Warning::NonTraceSignal) > 0 {
        return Err(Refusal::invalid("the body holds metrics or logs: send them to /v1/metrics or /v1/logs"));
    }
    let message = message(&report, rejected);
    let accepted = Accepted { spans: report.spans, rejected, message };
    Ok(Decoded { batch, report, accepted })
}

/// Whether a protobuf request has more resources and scopes than may be; a walk over their frames alone.
fn has_too_many_envelopes(body: &[u8]) -> bool {
    let mut count = 0;
    let mut resources = Fields::new(body);
    while let Some(resource) = resources.next_bytes(1) {
        let mut scopes = Fields::new(resource);
        count += 1;
        while count <= MOST_ENVELOPES && scopes.next_bytes(2).is_some() {
            count += 1;
        }
        if count > MOST_ENVELOPES {
            return true;
        }
    }
    false
}

/// Whether a byte can stand nowhere in JSON. The reader of files does not mind these in texts.
const fn is_never_json(byte: u8) -> bool {
    byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')
}

fn too_many() -> Refusal {
    Refusal::new(Kind::TooLarge, format!("the request has more than {MOST_SPANS} spans; send smaller batches"))
}

fn what_is_wrong(report: &ReadReport) -> String {
    let counted = report.warnings.iter().find(|(warning, _)| *warning == Warning::InvalidRecord);
    let example = counted.map(|(_, counted)| counted.example.clone()).filter(|example| !example.is_empty());
    example.unwrap_or_else(|| format!("{} bytes of it cannot be read", report.bytes_lost))
}

/// What the sender should know though the request was accepted.
fn message(report: &ReadReport, rejected: u64) -> String {
    let mut message = String::new();
    let told = |warning: &Warning| TOLD.contains(warning) || (*warning == Warning::InvalidSpan && rejected > 0);
    for (warning, counted) in report.warnings.iter().filter(|(warning, _)| told(warning)) {
        let separator = if message.is_empty() { "" } else { "; " };
        let _ = write!(message, "{separator}{} {}", counted.count, warning.explanation());
        if !counted.example.is_empty() {
            let _ = write!(message, " ({:.100})", counted.example);
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(encoding: Encoding, body: &[u8]) -> Result<Decoded, Refusal> {
        decode(encoding, &mut body.to_vec(), &Limits::default(), &mut Symbols::default())
    }

    const SPAN: &str = r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"a","kind":2,
        "startTimeUnixNano":"1","endTimeUnixNano":"2"}"#;

    fn request(spans: &[&str]) -> String {
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(","))
    }

    #[test]
    fn r_02_empty_requests_succeed() {
        assert_eq!(of(Encoding::Proto, b"").unwrap().accepted, Accepted::default());
        for body in ["{}", r#"{"resourceSpans":[]}"#, r#"{"resourceSpans":[{}]}"#, r#"{"resourceSpans":null}"#] {
            assert_eq!(of(Encoding::Json, body.as_bytes()).unwrap().accepted, Accepted::default(), "{body}");
        }
        assert!(of(Encoding::Json, b"").is_err());
    }

    #[test]
    fn r_03_one_bad_span_costs_that_span() {
        let bad = SPAN.replace("5b8efff798038103d269b633813fc60c", "5b8e");
        let decoded = of(Encoding::Json, request(&[SPAN, &bad]).as_bytes()).unwrap();
        assert_eq!((decoded.accepted.spans, decoded.accepted.rejected), (1, 1));
        assert!(!decoded.accepted.message.is_empty());
    }

    #[test]
    fn j_04_unknown_fields_are_passed_over() {
        let body = request(&[SPAN]).replacen('{', r#"{"zz":{"a":[1]},"#, 1);
        assert_eq!(of(Encoding::Json, body.as_bytes()).unwrap().accepted.spans, 1);
        assert_eq!(of(Encoding::Json, br#"{"zz":{"a":[1]}}"#).unwrap().accepted.spans, 0);
    }

    #[test]
    fn r_06_h_17_broken_frames_cost_the_request() {
        for body in [&b"garbage"[..], &[0x0a, 5, 1], &[0x0a, 4, 0x12, 2, 0x12, 9]] {
            assert_eq!(of(Encoding::Proto, body).unwrap_err().http(), 400, "{body:?}");
        }
        for body in ["{", "[1", "nonsense", "{\"resourceSpans\":[{}]} x", "{\"a\":\"\\ud800\"}", "{\"a\":\"\0\"}"] {
            assert_eq!(of(Encoding::Json, body.as_bytes()).unwrap_err().http(), 400, "{body:?}");
        }
        assert_eq!(of(Encoding::Json, b"{\"a\":\"\xff\"}").unwrap_err().http(), 400);
    }

    #[test]
    fn h_04_empty_resources_and_scopes_are_counted_first() {
        let scopes = |count: usize| {
            let mut message = crate::model::wire::Writer::new();
            message.bytes_field(1, &[0x12, 0].repeat(count));
            message.into_bytes()
        };
        for body in [[0x0a, 0].repeat(MOST_ENVELOPES), scopes(MOST_ENVELOPES - 1)] {
            assert_eq!(of(Encoding::Proto, &body).unwrap().accepted, Accepted::default());
        }
        for body in [[0x0a, 0].repeat(MOST_ENVELOPES + 1), scopes(MOST_ENVELOPES)] {
            assert_eq!(of(Encoding::Proto, &body).unwrap_err().http(), 413);
        }
    }

    #[test]
    fn h_04_empty_spans_are_rejected_without_memory() {
        // Twice as many bytes as spans, all of them without ids.
        let spans = 1_000_000;
        let scope: Vec<u8> = [0x12, 0].repeat(spans);
        let mut message = crate::model::wire::Writer::new();
        let resource = message.begin(1);
        message.bytes_field(2, &scope);
        message.end(resource);
        let decoded = of(Encoding::Proto, message.bytes()).unwrap();
        assert_eq!((decoded.accepted.spans, decoded.accepted.rejected), (0, spans as u64));
        assert!(decoded.batch.spans.capacity() < 1_000);
    }
}
