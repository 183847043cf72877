//! What is sent: requests out of opentelemetry-proto's types, JSON by hand, and every compression.

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// `google.rpc.Status`, the body of every error.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Status {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) details: Vec<Any>,
}

/// `google.protobuf.Any`, of which only the type is looked at.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Any {
    #[prost(string, tag = "1")]
    pub(crate) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

/// A number that was not given before: no two spans of all tests have one id.
fn next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub(crate) fn value(value: any_value::Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

pub(crate) fn text(key: &str, text: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(value(any_value::Value::StringValue(text.to_owned()))),
        ..KeyValue::default()
    }
}

/// A root span that is valid in all that counts.
pub(crate) fn span(name: &str) -> Span {
    let id = next();
    Span {
        trace_id: (0xa000_0000_0000_0000_0000_0000_0000_0000 | u128::from(id)).to_be_bytes().to_vec(),
        span_id: (0xb000_0000_0000_0000 | id).to_be_bytes().to_vec(),
        name: name.to_owned(),
        kind: 2,
        start_time_unix_nano: 1_790_000_000_000_000_000,
        end_time_unix_nano: 1_790_000_000_005_000_000,
        ..Span::default()
    }
}

pub(crate) fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes: vec![text("service.name", "shop")], ..Resource::default() }),
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}

/// A request with one span of this name, encoded.
pub(crate) fn proto(name: &str) -> Vec<u8> {
    request(vec![span(name)]).encode_to_vec()
}

/// The members of a valid span of this name in JSON, without braces, and with a comma behind.
pub(crate) fn json_members(name: &str) -> String {
    let id = next();
    format!(
        r#""traceId":"{:032x}","spanId":"{:016x}","name":"{name}","kind":2,"startTimeUnixNano":"1790000000000000000","endTimeUnixNano":"1790000000005000000","#,
        0xc000_0000_0000_0000_0000_0000_0000_0000_u128 | u128::from(id),
        0xd000_0000_0000_0000_u64 | id,
    )
}

/// A JSON request around spans, which are whole objects.
pub(crate) fn json_around(spans: &str) -> String {
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"shop"}}}}]}},"scopeSpans":[{{"scope":{{"name":"test"}},"spans":[{spans}]}}]}}]}}"#
    )
}

/// A JSON request with one valid span, and `more` members in it.
pub(crate) fn json_with(name: &str, more: &str) -> String {
    let members = json_members(name);
    let members = if more.is_empty() { members.trim_end_matches(',') } else { &members };
    json_around(&format!("{{{members}{more}}}"))
}

/// A JSON request with one valid span.
pub(crate) fn json(name: &str) -> String {
    json_with(name, "")
}

/// What a protobuf answer to an accepted export says: rejected spans and message, none when nothing is said.
pub(crate) fn partial(body: &[u8]) -> Option<(i64, String)> {
    let response = ExportTraceServiceResponse::decode(body).unwrap();
    response.partial_success.map(|partial| (partial.rejected_spans, partial.error_message))
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What HTTP calls deflate: zlib.
pub(crate) fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 3).unwrap()
}

pub(crate) fn snappy_block(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap()
}

pub(crate) fn snappy_framed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.into_inner().unwrap()
}

pub(crate) fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Compresses.
pub(crate) type Code = fn(&[u8]) -> Vec<u8>;

/// Every content encoding of HTTP, and how it is made.
pub(crate) const CODECS: [(&str, Code); 8] = [
    ("gzip", gzip),
    ("zstd", zstd),
    ("deflate", zlib),
    ("zlib", zlib),
    ("snappy", snappy_block),
    ("snappy", snappy_framed),
    ("x-snappy-framed", snappy_framed),
    ("lz4", lz4),
];
