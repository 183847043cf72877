//! Large traces as files: realistic trees of calls, and shapes that hurt.

use crate::data::{pair, text};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// What the tree looks like.
#[derive(Clone, Copy)]
pub enum Shape {
    /// A root that calls 25 operations over and over; nine levels, 200 operations, every third call repeated.
    Calls,
    /// All spans below the root.
    FanOut,
    /// Each span below the one before.
    Chain,
}

const LEVELS: usize = 8;
const WIDTH: usize = 25;
const SERVICES: usize = 12;
/// Spans of one export request: what a collector writes at once.
const BATCH: usize = 8_192;

/// One span before it is written.
struct Call {
    operation: usize,
    parent: Option<usize>,
    start: u64,
    end: u64,
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
}

fn mix(seed: u64) -> u64 {
    let x = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// Writes a trace of `spans` spans of protobuf, each with ten attributes. Even seeds are the other side: other ids,
/// other jitter, one operation 1.5 times slower and one more call in another.
pub fn write_trace(path: &Path, shape: Shape, spans: usize, seed: u64) {
    let mut random = Random(seed);
    let mut calls = Vec::with_capacity(spans);
    let epoch = 1_700_000_000_000_000_000;
    calls.push(Call { operation: 0, parent: None, start: epoch, end: epoch });
    match shape {
        Shape::Calls => {
            let mut program = Program { calls, most: spans, random, changed: seed.is_multiple_of(2) };
            let mut at = epoch;
            for turn in 0.. {
                if program.calls.len() >= spans {
                    break;
                }
                at = program.call(turn % WIDTH, 0, mix(turn as u64), at);
            }
            calls = program.calls;
        }
        Shape::FanOut => {
            for index in 1..spans {
                let start = epoch + index as u64 * 10_000;
                let end = start + 5_000 + random.next() % 20_000;
                calls.push(Call { operation: index % 7, parent: Some(0), start, end });
            }
        }
        Shape::Chain => {
            for index in 1..spans {
                let start = epoch + index as u64 * 1_000;
                let end = epoch + (2 * spans - index) as u64 * 1_000 + random.next() % 500;
                calls.push(Call { operation: index % 7, parent: Some(index - 1), start, end });
            }
        }
    }
    let end = calls.iter().map(|call| call.end).max().unwrap();
    calls[0].end = end + 1_000_000;
    let mut file = BufWriter::new(File::create(path).unwrap());
    for first in (0..calls.len()).step_by(BATCH) {
        let batch = first..(first + BATCH).min(calls.len());
        file.write_all(&request(&calls, batch, seed).encode_to_vec()).unwrap();
    }
    file.flush().unwrap();
}

/// Grows a trace call by call. What calls what follows from the path to it, so that both sides do the same, except
/// where something changed and in one of 200 repeated calls.
struct Program {
    calls: Vec<Call>,
    most: usize,
    random: Random,
    changed: bool,
}

impl Program {
    /// One call at `path` and all below it, one after another; returns when it ends. Nine levels deep at most.
    fn call(&mut self, operation: usize, parent: usize, path: u64, start: u64) -> u64 {
        if self.calls.len() >= self.most {
            return start;
        }
        let index = self.calls.len();
        let own = (100_000 + mix(operation as u64) % 900_000) * (80 + self.random.next() % 41) / 100;
        let own = if self.changed && operation == 57 { own * 3 / 2 } else { own };
        self.calls.push(Call { operation, parent: Some(parent), start, end: start });
        let mut at = start + own / 2;
        let level = operation / WIDTH + 1;
        let added = u64::from(self.changed && operation == 31);
        let kinds = if level < LEVELS { mix(operation as u64 + 1_000) % 4 + added } else { 0 };
        for kind in 0..kinds {
            let draw = mix(operation as u64 * 8 + kind + 5_000);
            let callee = level * WIDTH + draw as usize % WIDTH;
            let path = mix(path ^ draw);
            let one_more = u64::from(self.random.next().is_multiple_of(200));
            let times = if (draw >> 32).is_multiple_of(4) { 2 + path % 4 + one_more } else { 1 };
            for time in 0..times {
                at = self.call(callee, index, mix(path + time), at);
            }
        }
        self.calls[index].end = at + own / 2;
        self.calls[index].end
    }
}

fn request(calls: &[Call], batch: std::ops::Range<usize>, seed: u64) -> ExportTraceServiceRequest {
    let of_service = |service: usize| {
        let mine = batch.clone().filter(|&index| calls[index].operation % SERVICES == service);
        let spans: Vec<Span> = mine.map(|index| span(calls, index, seed)).collect();
        (!spans.is_empty()).then(|| ResourceSpans {
            resource: Some(Resource {
                attributes: vec![
                    pair("service.name", text(&format!("service-{service}"))),
                    pair("host.name", text(&format!("host-{seed}-{service}.example"))),
                ],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope { name: "instrumentation".to_owned(), ..Default::default() }),
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        })
    };
    ExportTraceServiceRequest { resource_spans: (0..SERVICES).filter_map(of_service).collect() }
}

fn span(calls: &[Call], index: usize, seed: u64) -> Span {
    let call = &calls[index];
    let id = |index: usize| mix(seed << 32 | index as u64).to_be_bytes().to_vec();
    let trace_id = u128::from(mix(seed)) << 64 | u128::from(mix(seed + 99));
    let (name, kind, attributes) = described(call.operation, index, seed);
    Span {
        trace_id: trace_id.to_be_bytes().to_vec(),
        span_id: id(index),
        parent_span_id: call.parent.map(id).unwrap_or_default(),
        name,
        kind,
        start_time_unix_nano: call.start,
        end_time_unix_nano: call.end,
        attributes,
        status: Some(Status {
            code: i32::from(mix(call.operation as u64 ^ 7).is_multiple_of(40)) * 2,
            ..Status::default()
        }),
        flags: 0x101,
        ..Span::default()
    }
}

#[allow(clippy::unnecessary_wraps, reason = "that is the field's type")]
fn int(value: i64) -> Option<AnyValue> {
    Some(AnyValue { value: Some(any_value::Value::IntValue(value)) })
}

/// Name, kind and ten attributes: a server, a database client or work inside.
fn described(operation: usize, index: usize, seed: u64) -> (String, i32, Vec<KeyValue>) {
    let word = word(operation);
    let draw = mix(seed << 40 | index as u64);
    let mut attributes = match operation % 3 {
        0 => vec![
            pair("http.request.method", text("GET")),
            pair("http.route", text(&format!("/api/v1/{word}/{{id}}"))),
            pair("url.path", text(&format!("/api/v1/{word}/{}", draw % 100_000))),
            pair("http.response.status_code", int(200)),
            pair("server.address", text("orders.internal.example")),
            pair("server.port", int(8443)),
        ],
        1 => vec![
            pair("db.system.name", text("postgresql")),
            pair("db.namespace", text("shop")),
            pair("db.operation.name", text("SELECT")),
            pair("db.collection.name", text(&word)),
            pair("db.query.text", text(&format!("SELECT a, b FROM {word} WHERE id = {}", draw % 100_000))),
            pair("server.address", text("db-1.internal.example")),
        ],
        _ => vec![
            pair("code.function.name", text(&format!("app.module{}.{word}", operation % 9))),
            pair("app.tenant", text("tenant-7")),
            pair("app.items", int((draw % 20) as i64)),
            pair("app.region", text("eu-central-1")),
            pair("app.cache.key", text(&format!("item:{}", draw % 5_000))),
            pair("app.attempt", int(1)),
        ],
    };
    attributes.extend([
        pair("thread.id", int((draw % 64) as i64)),
        pair("thread.name", text(&format!("worker-{}", draw % 64))),
        pair("app.cache.hit", Some(AnyValue { value: Some(any_value::Value::BoolValue(operation.is_multiple_of(2))) })),
        pair("app.score", Some(AnyValue { value: Some(any_value::Value::DoubleValue((draw % 1_000) as f64 / 7.0)) })),
    ]);
    let (name, kind) = match operation % 3 {
        0 => (format!("GET /api/v1/{word}/{{id}}"), 2),
        1 => (format!("SELECT shop.{word}"), 3),
        _ => (format!("compute {word}"), 1),
    };
    (name, kind, attributes)
}

/// A word of its own for each operation, without digits, which would be taken for an identifier.
fn word(operation: usize) -> String {
    const SYLLABLES: [&str; 16] = [
        "or", "der", "pay", "ment", "cart", "user", "price", "stock", "ship", "tax", "geo", "mail", "auth", "plan",
        "rate", "item",
    ];
    format!("{}{}", SYLLABLES[operation % 16], SYLLABLES[operation / 16 % 16])
}
