//! What answers mean: OTLP's tables of what may be tried again, for HTTP and gRPC.

use super::Read;
use crate::model::wire::{Field, Fields};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hyper::HeaderMap;
use hyper::header::{CONTENT_TYPE, RETRY_AFTER};
use std::time::Duration;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was taken.
    Accepted {
        /// Spans (data points, log records) of it that were not, for good.
        rejected: u64,
        /// What the server has to say about it; empty for nothing.
        message: String,
    },
    /// It was not taken, and may be later.
    Retry {
        /// How long the server asks to wait.
        after: Option<Duration>,
        /// What happened.
        why: String,
    },
    /// Nobody knows: it may have gone out, and no answer came. To be sent again; duplicates are the receiver's to notice.
    Lost {
        /// What happened.
        why: String,
    },
    /// It will never be taken.
    Refused {
        /// What the server has to say about it.
        why: String,
    },
}

/// Longest text of a server that is handed on, in bytes.
const LONGEST_TEXT: usize = 500;
/// gRPC's codes by name, for people.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const UNKNOWN: u64 = 2;
const RESOURCE_EXHAUSTED: u64 = 8;
/// `CANCELLED`, `DEADLINE_EXCEEDED`, `ABORTED`, `OUT_OF_RANGE`, `UNAVAILABLE`, `DATA_LOSS`.
const RETRYABLE: [u64; 6] = [1, 4, 10, 11, 14, 15];

/// The meaning of an answer over HTTP. `now_ns` is nanoseconds since 1970, for dates in it.
pub(super) fn http(read: &Read, now_ns: u64) -> Answer {
    let code = read.status.as_u16();
    let is_json = read.headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if read.status.is_success() {
        if !read.whole {
            return accepted(0, "the answer is too long to be read");
        }
        let (rejected, message) = if is_json { partial_json(&read.body) } else { partial_proto(&read.body) };
        return accepted(rejected, &message);
    }
    let message = if is_json { status_json(&read.body) } else { status_proto(&read.body).0 };
    let why = said(&format!("HTTP {}", read.status), &message);
    match code {
        429 | 502 | 503 | 504 => Answer::Retry { after: retry_after(&read.headers, now_ns), why },
        _ => Answer::Refused { why },
    }
}

/// The meaning of an answer over gRPC.
pub(super) fn grpc(read: &Read) -> Answer {
    let field = |name: &str| read.trailers.get(name).or_else(|| read.headers.get(name));
    let text = |name: &str| field(name).and_then(|value| value.to_str().ok());
    let code = match text("grpc-status").and_then(|code| code.parse::<u64>().ok()) {
        Some(code) => code,
        // Something that speaks no gRPC has answered: gRPC's table of what that means.
        None => match read.status.as_u16() {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502 | 503 | 504 => 14,
            _ => UNKNOWN,
        },
    };
    if code == 0 {
        let message = match read.body.split_first_chunk::<5>() {
            Some(([0, ..], message)) => message,
            _ => &[],
        };
        let (rejected, message) = partial_proto(message);
        return accepted(rejected, &message);
    }
    let name = usize::try_from(code).ok().and_then(|code| CODES.get(code)).copied().unwrap_or("unknown code");
    let why = said(name, &percent_decoded(text("grpc-message").unwrap_or_default()));
    let after = text("grpc-status-details-bin").and_then(|text| retry_info(&base64(text)?));
    if RETRYABLE.contains(&code) || (code == RESOURCE_EXHAUSTED && after.is_some()) {
        return Answer::Retry { after, why };
    }
    Answer::Refused { why }
}

fn accepted(rejected: u64, message: &str) -> Answer {
    Answer::Accepted { rejected, message: cut(message) }
}

fn said(what: &str, message: &str) -> String {
    if message.is_empty() { what.to_owned() } else { format!("{what}: {}", cut(message)) }
}

/// A server's words, shortened, without what a terminal would act on.
fn cut(text: &str) -> String {
    let end = (0..=LONGEST_TEXT.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    let text = text.get(..end).unwrap_or_default();
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `Retry-After` in seconds or as a date; `None` if it is absent or not understood.
fn retry_after(headers: &HeaderMap, now_ns: u64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_nanosecond();
    Some(Duration::from_nanos(u64::try_from(date - i128::from(now_ns)).unwrap_or(0)))
}

/// `partial_success` of an `Export…ServiceResponse`: how much was rejected and why.
fn partial_proto(message: &[u8]) -> (u64, String) {
    let (mut rejected, mut text) = (0, String::new());
    let mut fields = Fields::new(message);
    while let Some(partial) = fields.next_bytes(1) {
        let mut fields = Fields::new(partial);
        while let Ok(Some((number, value))) = fields.next_field() {
            match (number, value) {
                // An int64, which a server of good will does not make negative.
                (1, Field::Varint(count)) => rejected = u64::try_from(count as i64).unwrap_or(0),
                (2, Field::Bytes(bytes)) => text = String::from_utf8_lossy(bytes).into_owned(),
                _ => {}
            }
        }
    }
    (rejected, text)
}

fn partial_json(document: &[u8]) -> (u64, String) {
    let document: serde_json::Value = serde_json::from_slice(document).unwrap_or_default();
    let Some(partial) = document.get("partialSuccess") else { return (0, String::new()) };
    let counts = ["rejectedSpans", "rejectedDataPoints", "rejectedLogRecords", "rejectedProfiles"];
    let count = counts.into_iter().find_map(|name| partial.get(name));
    let count = count.and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok()));
    let message = partial.get("errorMessage").and_then(|message| message.as_str());
    (count.unwrap_or(0), message.unwrap_or_default().to_owned())
}

fn status_json(document: &[u8]) -> String {
    let document: serde_json::Value = serde_json::from_slice(document).unwrap_or_default();
    document.get("message").and_then(|message| message.as_str()).unwrap_or_default().to_owned()
}

/// Message and `RetryInfo` of a `google.rpc.Status`.
fn status_proto(message: &[u8]) -> (String, Option<Duration>) {
    let (mut text, mut after) = (String::new(), None);
    let mut fields = Fields::new(message);
    while let Ok(Some((number, value))) = fields.next_field() {
        match (number, value) {
            (2, Field::Bytes(bytes)) => text = String::from_utf8_lossy(bytes).into_owned(),
            (3, Field::Bytes(any)) => after = after.or_else(|| of_any(any)),
            _ => {}
        }
    }
    (text, after)
}

/// The delay, if a `google.protobuf.Any` is a `RetryInfo`.
fn of_any(any: &[u8]) -> Option<Duration> {
    let url = Fields::new(any).next_bytes(1)?;
    if !url.ends_with(b"/google.rpc.RetryInfo") {
        return None;
    }
    // An empty delay is left out, and the message with it.
    let info = Fields::new(any).next_bytes(2).unwrap_or_default();
    let mut fields = Fields::new(Fields::new(info).next_bytes(1).unwrap_or_default());
    let (mut seconds, mut nanos) = (0i64, 0i64);
    while let Ok(Some((number, value))) = fields.next_field() {
        match (number, value) {
            (1, Field::Varint(count)) => seconds = count as i64,
            (2, Field::Varint(count)) => nanos = count as i64,
            _ => {}
        }
    }
    let (seconds, nanos) = (u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0));
    Some(Duration::from_secs(seconds).saturating_add(Duration::from_nanos(u64::from(nanos))))
}

fn retry_info(status: &[u8]) -> Option<Duration> {
    status_proto(status).1
}

/// The value of a `-bin` header: servers may leave the padding out.
fn base64(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&STANDARD, config).decode(text).ok()
}

/// gRPC's messages hide everything that is not printable ASCII behind `%XX`.
fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hidden = after.split_first_chunk::<2>().filter(|_| byte == b'%').and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
            Some((u8::from_str_radix(digits, 16).ok()?, after))
        });
        let (byte, after) = hidden.unwrap_or((byte, after));
        out.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use hyper::StatusCode;
    use hyper::header::{HeaderName, HeaderValue};

    fn read(status: u16, fields: &[(&'static str, &str)], body: &[u8]) -> Read {
        let headers = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect();
        Read {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::copy_from_slice(body),
            whole: true,
            ..Read::default()
        }
    }

    fn retries(answer: &Answer) -> bool {
        matches!(answer, Answer::Retry { .. })
    }

    #[test]
    fn http_codes_by_the_table() {
        for code in [429, 502, 503, 504] {
            assert!(retries(&http(&read(code, &[], b""), 0)), "{code}");
        }
        for code in [301, 400, 401, 403, 404, 405, 408, 413, 415, 500, 501, 505] {
            assert!(matches!(http(&read(code, &[], b""), 0), Answer::Refused { .. }), "{code}");
        }
        for code in [200, 202, 204] {
            assert_eq!(http(&read(code, &[], b""), 0), accepted(0, ""), "{code}");
        }
    }

    #[test]
    fn grpc_codes_by_the_table() {
        for code in 0..=17u32 {
            let answer = grpc(&read(200, &[("grpc-status", &code.to_string())], b""));
            assert_eq!(retries(&answer), [1, 4, 10, 11, 14, 15].contains(&code), "{code}");
            assert_eq!(matches!(answer, Answer::Accepted { .. }), code == 0, "{code}");
        }
        assert!(retries(&grpc(&read(503, &[], b""))));
        assert_eq!(grpc(&read(404, &[], b"")), Answer::Refused { why: "UNIMPLEMENTED".into() });
        assert_eq!(grpc(&read(200, &[], b"")), Answer::Refused { why: "UNKNOWN".into() });
        let refused = grpc(&read(200, &[("grpc-status", "3"), ("grpc-message", "no %C3%BC %1b%zz 100%")], b""));
        assert_eq!(refused, Answer::Refused { why: "INVALID_ARGUMENT: no ü  %zz 100%".into() });
    }

    #[test]
    fn exhausted_resources_come_back_only_when_the_server_says_when() {
        // Status { code: 8, details: [Any { RetryInfo { retry_delay: 2.5 s } }] }, by hand.
        let info = [&[0x0a, 7, 0x08, 2, 0x10][..], &[0x80, 0xca, 0xb5, 0xee, 0x01]].concat();
        let info = [&[0x0a, (info.len() - 2) as u8][..], &info[2..]].concat();
        let url = b"type.googleapis.com/google.rpc.RetryInfo";
        let any = [&[0x0a, url.len() as u8][..], url, &[0x12, info.len() as u8], &info].concat();
        let status = [&[0x08, 8, 0x1a, any.len() as u8][..], &any].concat();
        let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&status);
        let fields = [("grpc-status", "8"), ("grpc-status-details-bin", text.as_str())];
        let after = Some(Duration::from_millis(2_500));
        assert_eq!(grpc(&read(200, &fields, b"")), Answer::Retry { after, why: "RESOURCE_EXHAUSTED".into() });
        assert!(!retries(&grpc(&read(200, &fields[..1], b""))));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let after = |text: &str| match http(&read(503, &[("retry-after", text)], b""), 784_111_777_000_000_000) {
            Answer::Retry { after, .. } => after,
            other => panic!("{other:?}"),
        };
        assert_eq!(after("2"), Some(Duration::from_secs(2)));
        assert_eq!(after("0"), Some(Duration::ZERO));
        // 784111777 is Sun, 06 Nov 1994 08:49:37 GMT.
        assert_eq!(after("Sun, 06 Nov 1994 08:50:07 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!((after("soon"), after("-1")), (None, None));
    }

    #[test]
    fn partial_success_is_read_in_both_encodings() {
        let proto = [0x0a, 8, 0x08, 3, 0x12, 4, b'b', b'a', b'd', b'!'];
        let expected = accepted(3, "bad!");
        assert_eq!(http(&read(200, &[("content-type", "application/x-protobuf")], &proto), 0), expected);
        assert_eq!(grpc(&read(200, &[("grpc-status", "0")], &[&[0, 0, 0, 0, 10][..], &proto].concat())), expected);
        for json in [
            r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"bad!"}}"#,
            r#"{"partialSuccess":{"rejectedSpans":3,"errorMessage":"bad!"}}"#,
        ] {
            assert_eq!(http(&read(200, &[("content-type", "application/json")], json.as_bytes()), 0), expected);
        }
        for json in ["{}", r#"{"partialSuccess":null}"#, "", "garbage"] {
            let answer = http(&read(200, &[("content-type", "application/json")], json.as_bytes()), 0);
            assert_eq!(answer, accepted(0, ""));
        }
        assert_eq!(http(&read(200, &[], b"\xff\xff garbage"), 0), accepted(0, ""));
    }

    #[test]
    fn words_of_servers_are_shortened_and_harmless() {
        let body = format!("{{\"message\":\"{}\\u001b[2J\"}}", "ü".repeat(10));
        let answer = http(&read(400, &[("content-type", "application/json")], body.as_bytes()), 0);
        assert_eq!(answer, Answer::Refused { why: "HTTP 400 Bad Request: üüüüüüüüüü [2J".into() });
        assert!(cut(&"ü".repeat(1_000)).len() <= LONGEST_TEXT);
    }
}
