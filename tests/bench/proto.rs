//! OTLP protobuf into our model, against prost's `decode` alone; both sides checksum all they read.

use crate::{checksum, data, ratio};
use criterion::{Criterion, Throughput};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use spandiff::ingest::{Context, ReadReport, read};
use spandiff::model::{Limits, SpanStore, Symbols};

const SPANS: usize = 8_000;
const ATTRIBUTES: usize = 10;

fn by_prost(bytes: &[u8]) -> u64 {
    checksum::of_prost(&ExportTraceServiceRequest::decode(bytes).unwrap())
}

/// The whole pipeline: sniffed, streamed, checked, kept.
fn read_into_store(mut bytes: &[u8]) -> SpanStore {
    let (mut store, mut symbols) = (SpanStore::default(), Symbols::default());
    let mut context =
        Context { limits: Limits::default(), symbols: &mut symbols, sink: &mut store, report: ReadReport::default() };
    read::read(&mut bytes, None, &mut context).unwrap();
    assert!(context.report.warnings.is_empty());
    store.symbols = symbols;
    store
}

fn by_us(bytes: &[u8]) -> u64 {
    checksum::of_store(&read_into_store(bytes))
}

pub fn criterion(criterion: &mut Criterion) {
    let bytes = data::request(SPANS, ATTRIBUTES).encode_to_vec();
    let mut group = criterion.benchmark_group("proto");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("prost", |bencher| bencher.iter(|| by_prost(&bytes)));
    group.bench_function("spandiff", |bencher| bencher.iter(|| by_us(&bytes)));
    group.bench_function("spandiff_read_only", |bencher| bencher.iter(|| read_into_store(&bytes).spans.len()));
    group.finish();
}

pub fn ratio() {
    let bytes = data::request(SPANS, ATTRIBUTES).encode_to_vec();
    println!("proto: {SPANS} spans, {ATTRIBUTES} attributes, {} bytes a span", bytes.len() / SPANS);
    ratio::print("proto_decode_ratio", 41, bytes.len(), || by_prost(&bytes), || by_us(&bytes));
}
