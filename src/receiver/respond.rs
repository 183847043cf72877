//! Answers: what a sender gets back, in its own encoding, over HTTP and gRPC.
//!
//! Every HTTP error, whatever it is about, is a `google.rpc.Status` in the encoding of the request (JSON where that is
//! not known), as OTLP asks for. An answer never holds more of the request than a short message.

use super::refusal::{Kind, RETRY_AFTER_S, Refusal, code};
use crate::model::wire::Writer;
use base64::Engine;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{HeaderMap, Response, StatusCode};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`.
    Proto,
    /// `application/json`.
    Json,
}

impl Encoding {
    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Encoding::Proto => "application/x-protobuf",
            Encoding::Json => "application/json",
        }
    }
}

/// What became of a request that was accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Spans that were taken.
    pub spans: u64,
    /// Spans that were not.
    pub rejected: u64,
    /// Why they were not, or what else the sender should know; empty for nothing.
    pub message: String,
}

/// A body: at most one piece of data, then trailers.
#[derive(Debug, Default)]
pub struct Reply {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Reply {
    /// A body of these bytes.
    pub fn of(data: impl Into<Bytes>) -> Reply {
        let data = data.into();
        Reply { data: (!data.is_empty()).then_some(data), trailers: None }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.data.take().map(Frame::data);
        Poll::Ready(data.or_else(|| self.trailers.take().map(Frame::trailers)).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}

/// The message of a success: `ExportTraceServiceResponse`, whose fields the other signals share.
fn success(accepted: &Accepted, encoding: Encoding) -> Vec<u8> {
    let partial = accepted.rejected > 0 || !accepted.message.is_empty();
    match encoding {
        Encoding::Proto if !partial => Vec::new(),
        Encoding::Proto => {
            let mut inner = Writer::new();
            if accepted.rejected > 0 {
                inner.varint(1, accepted.rejected);
            }
            inner.bytes_field(2, accepted.message.as_bytes());
            let mut out = Writer::new();
            out.bytes_field(1, &inner.into_bytes());
            out.into_bytes()
        }
        Encoding::Json if !partial => b"{}".to_vec(),
        Encoding::Json => {
            let message = json_text(&accepted.message);
            // A 64-bit number is text in protobuf's JSON.
            let rejected = accepted.rejected;
            format!("{{\"partialSuccess\":{{\"rejectedSpans\":\"{rejected}\",\"errorMessage\":{message}}}}}")
                .into_bytes()
        }
    }
}

fn json_text(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned())
}

const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// A `google.rpc.Status` with the details that OTLP names: what is wrong with a bad request, when to try again.
fn status(refusal: &Refusal, encoding: Encoding) -> Vec<u8> {
    let code = refusal.grpc();
    match encoding {
        Encoding::Proto => {
            let mut out = Writer::new();
            out.varint(1, u64::from(code));
            out.bytes_field(2, refusal.message.as_bytes());
            if let Some((kind, detail)) = detail(refusal) {
                let mut any = Writer::new();
                any.bytes_field(1, kind.as_bytes());
                any.bytes_field(2, &detail);
                out.bytes_field(3, &any.into_bytes());
            }
            out.into_bytes()
        }
        Encoding::Json => {
            let message = json_text(&refusal.message);
            let details = match refusal.kind {
                Kind::Invalid => format!(
                    ",\"details\":[{{\"@type\":\"{BAD_REQUEST}\",\"fieldViolations\":[{{\"field\":\"body\",\
                     \"description\":{message}}}]}}]"
                ),
                _ if refusal.is_retryable() => {
                    format!(",\"details\":[{{\"@type\":\"{RETRY_INFO}\",\"retryDelay\":\"{RETRY_AFTER_S}s\"}}]")
                }
                _ => String::new(),
            };
            format!("{{\"code\":{code},\"message\":{message}{details}}}").into_bytes()
        }
    }
}

fn detail(refusal: &Refusal) -> Option<(&'static str, Vec<u8>)> {
    let mut inner = Writer::new();
    let mut out = Writer::new();
    if refusal.kind == Kind::Invalid {
        inner.bytes_field(1, b"body");
        inner.bytes_field(2, refusal.message.as_bytes());
        out.bytes_field(1, &inner.into_bytes());
        Some((BAD_REQUEST, out.into_bytes()))
    } else if refusal.is_retryable() {
        // RetryInfo { retry_delay: Duration { seconds } }
        inner.varint(1, u64::from(RETRY_AFTER_S));
        out.bytes_field(1, &inner.into_bytes());
        Some((RETRY_INFO, out.into_bytes()))
    } else {
        None
    }
}

/// An answer over HTTP.
pub fn http(result: &Result<Accepted, Refusal>, encoding: Encoding) -> Response<Reply> {
    let (code, body) = match result {
        Ok(accepted) => (200, success(accepted, encoding)),
        Err(refusal) => (refusal.http(), status(refusal, encoding)),
    };
    let mut response = Response::new(Reply::of(body));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(encoding.media_type()));
    match result {
        Err(refusal) if refusal.is_retryable() => _ = headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S)),
        Err(Refusal { kind: Kind::Method, .. }) => _ = headers.insert(ALLOW, HeaderValue::from_static("POST")),
        Err(Refusal { kind: Kind::Unauthenticated, .. }) => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Err(Refusal { kind: Kind::Unsupported, .. }) => {
            headers.insert("accept-encoding", HeaderValue::from_static(super::inflate::HTTP_CODINGS));
        }
        _ => {}
    }
    response
}

/// An answer over gRPC: the message in its envelope and the status behind it, or the status alone.
pub fn grpc(result: &Result<Accepted, Refusal>, content_type: &HeaderValue) -> Response<Reply> {
    match result {
        Ok(accepted) => grpc_message(&success(accepted, Encoding::Proto), content_type),
        Err(refusal) => {
            let mut response = Response::new(Reply::default());
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, content_type.clone());
            grpc_status(headers, refusal);
            response
        }
    }
}

/// A message that is an answer over gRPC.
pub fn grpc_message(message: &[u8], content_type: &HeaderValue) -> Response<Reply> {
    let mut data = Vec::with_capacity(5 + message.len());
    data.push(0);
    data.extend_from_slice(&(message.len() as u32).to_be_bytes());
    data.extend_from_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(code::OK));
    let mut response = Response::new(Reply { data: Some(data.into()), trailers: Some(trailers) });
    response.headers_mut().insert(CONTENT_TYPE, content_type.clone());
    response
}

fn grpc_status(headers: &mut HeaderMap, refusal: &Refusal) {
    headers.insert("grpc-status", HeaderValue::from(refusal.grpc()));
    if let Ok(message) = HeaderValue::from_str(&percent_encoded(&refusal.message)) {
        headers.insert("grpc-message", message);
    }
    if detail(refusal).is_some() {
        let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(status(refusal, Encoding::Proto));
        if let Ok(text) = HeaderValue::from_str(&text) {
            headers.insert("grpc-status-details-bin", text);
        }
    }
    if refusal.kind == Kind::Unsupported {
        headers.insert("grpc-accept-encoding", HeaderValue::from_static(super::inflate::GRPC_CODINGS));
    }
}

/// gRPC's percent encoding of a message: all but printable ASCII, and the per cent sign.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
    use prost::Message;

    #[test]
    fn r_01_j_16_full_success_is_empty() {
        assert_eq!(success(&Accepted::default(), Encoding::Proto), b"");
        assert_eq!(success(&Accepted { spans: 3, ..Accepted::default() }, Encoding::Json), b"{}");
    }

    #[test]
    fn r_03_j_17_partial_success_names_the_number_as_text() {
        let accepted = Accepted { spans: 1, rejected: 3, message: "bad \"ids\"".into() };
        assert_eq!(
            String::from_utf8(success(&accepted, Encoding::Json)).unwrap(),
            r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"bad \"ids\""}}"#
        );
        let read = ExportTraceServiceResponse::decode(&success(&accepted, Encoding::Proto)[..]).unwrap();
        let partial = read.partial_success.unwrap();
        assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (3, "bad \"ids\""));
    }

    #[test]
    fn r_05_errors_are_a_status_in_both_encodings() {
        let response = http(&Err(Refusal::invalid("no")), Encoding::Json);
        assert_eq!(
            (response.status().as_u16(), &response.headers()[CONTENT_TYPE]),
            (400, &HeaderValue::from_static("application/json"))
        );
        let text = status(&Refusal::invalid("no"), Encoding::Json);
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!((&value["code"], &value["message"]), (&3.into(), &"no".into()));
        assert_eq!(value["details"][0]["fieldViolations"][0]["description"], "no");
        let busy = http(&Err(Refusal::busy("full")), Encoding::Proto);
        assert_eq!((busy.status().as_u16(), &busy.headers()[RETRY_AFTER]), (503, &HeaderValue::from_static("1")));
    }

    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(percent_encoded("50 % ü\n"), "50 %25 %C3%BC%0A");
    }
}
