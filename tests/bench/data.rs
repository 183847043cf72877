//! OTLP requests made of `opentelemetry-proto`'s types: the same bytes for every reader.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

/// A text value.
pub fn text(value: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) })
}

/// An attribute.
pub fn pair(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// One trace of `spans` spans in five services, each span with `attributes` attributes of the usual kinds and
/// lengths; with ten it takes about 410 bytes of protobuf.
pub fn request(spans: usize, attributes: usize) -> ExportTraceServiceRequest {
    const SERVICES: usize = 5;
    let resource_spans = (0..SERVICES)
        .map(|service| ResourceSpans {
            resource: Some(Resource {
                attributes: vec![
                    pair("service.name", text(&format!("service-{service}"))),
                    pair("host.name", text(&format!("host-{service}.example"))),
                ],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: format!("bench-{service}"),
                    ..InstrumentationScope::default()
                }),
                spans: (service..spans).step_by(SERVICES).map(|index| span(index, attributes)).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        })
        .collect();
    ExportTraceServiceRequest { resource_spans }
}

/// Span number `index` of trace 1: its parent is the span with half its number.
pub fn span(index: usize, attributes: usize) -> Span {
    let start = 1_700_000_000_000_000_000 + index as u64 * 1_000;
    let id = index as u64 + 1;
    Span {
        trace_id: 0x5b8e_fff7_9803_8103_d269_b633_813f_c60c_u128.to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: if id == 1 { Vec::new() } else { (id / 2).to_be_bytes().to_vec() },
        name: format!("GET /api/v1/orders/{}", index % 40),
        kind: (index % 5 + 1) as i32,
        start_time_unix_nano: start,
        end_time_unix_nano: start + 250_000 + (index as u64 * 7_919) % 1_000_000,
        attributes: (0..attributes).map(|number| attribute(index, number)).collect(),
        status: Some(Status { code: i32::from(index.is_multiple_of(50)) * 2, message: String::new() }),
        flags: 0x101,
        ..Span::default()
    }
}

fn attribute(index: usize, number: usize) -> KeyValue {
    const KEYS: [&str; 10] = [
        "http.request.method",
        "url.path",
        "server.address",
        "server.port",
        "http.response.status_code",
        "network.protocol.version",
        "user_agent.original",
        "http.route",
        "app.cache.hit",
        "app.score",
    ];
    let value = match number % 10 {
        0 => text("GET"),
        1 => text(&format!("/api/v1/orders/{index}")),
        2 => text("orders.internal.example"),
        3 => Some(AnyValue { value: Some(any_value::Value::IntValue(8443)) }),
        4 => Some(AnyValue { value: Some(any_value::Value::IntValue(200)) }),
        5 => text("1.1"),
        6 => text("Mozilla/5.0 (X11; Linux x86_64)"),
        7 => text("/api/v1/orders/{id}"),
        8 => Some(AnyValue { value: Some(any_value::Value::BoolValue(index.is_multiple_of(2))) }),
        _ => Some(AnyValue { value: Some(any_value::Value::DoubleValue(index as f64 / 3.0)) }),
    };
    let key = KEYS.get(number % 10).copied().unwrap_or_default();
    if number < 10 { pair(key, value) } else { pair(&format!("{key}.{number}"), value) }
}
