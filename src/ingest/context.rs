//! What travels through the readers: limits and strings in, batches, counts and errors out.

use super::batch::Sink;
use crate::model::{Limits, Symbols, Warnings};

/// The format of an input, as it was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// OTLP protobuf: one bare `ExportTraceServiceRequest` / `TracesData`.
    OtlpProto,
    /// OTLP protobuf behind 4-byte big-endian lengths (Collector file exporter).
    OtlpProtoFramed,
    /// OTLP JSON: one document, JSON lines or concatenated documents.
    OtlpJson,
    /// Tempo `/api/traces/{id}` and Grafana downloads.
    TempoV1,
    /// Tempo `/api/v2/traces/{id}`.
    TempoV2,
    /// Jaeger UI and API v1 JSON.
    Jaeger,
    /// Jaeger API v3 JSON.
    JaegerV3,
    /// Zipkin v2 JSON.
    Zipkin,
    /// OpenTelemetry Go `stdouttrace`.
    GoStdout,
    /// OpenTelemetry Python `ConsoleSpanExporter`.
    PythonConsole,
}

impl Format {
    /// A name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Format::OtlpProto => "OTLP protobuf",
            Format::OtlpProtoFramed => "OTLP protobuf, length-prefixed frames",
            Format::OtlpJson => "OTLP JSON",
            Format::TempoV1 => "Tempo v1 JSON",
            Format::TempoV2 => "Tempo v2 JSON",
            Format::Jaeger => "Jaeger JSON",
            Format::JaegerV3 => "Jaeger API v3 JSON",
            Format::Zipkin => "Zipkin v2 JSON",
            Format::GoStdout => "Go stdouttrace JSON",
            Format::PythonConsole => "Python console JSON",
        }
    }
}

/// What the user said the format is (`--input-format`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputFormat {
    /// `otlp-proto`, bare or framed.
    OtlpProto,
    /// `otlp-json`.
    OtlpJson,
    /// `jaeger`.
    Jaeger,
    /// `zipkin`.
    Zipkin,
    /// `tempo`.
    Tempo,
}

/// What was found in one input.
#[derive(Clone, Debug, Default)]
pub struct ReadReport {
    /// The formats found: one, except in mixed files. Sorted.
    pub formats: Vec<Format>,
    /// How it was compressed: empty, `gzip`, `zstd`, `zstd per frame`.
    pub compression: &'static str,
    /// Bytes before decompression.
    pub bytes_in: u64,
    /// Bytes after decompression.
    pub bytes: u64,
    /// Bytes that could not be used: broken records and a cut tail.
    pub bytes_lost: u64,
    /// Decoded records (documents, frames), those without spans included.
    pub records: u64,
    /// Spans handed to the sink. Those lost on the way are in `warnings`.
    pub spans: u64,
    /// What was not as it should be.
    pub warnings: Warnings,
}

impl ReadReport {
    /// Notes a format once.
    pub fn saw(&mut self, format: Format) {
        if let Err(at) = self.formats.binary_search(&format) {
            self.formats.insert(at, format);
        }
    }
}

/// Why an input could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The stream itself failed.
    #[error("cannot read: {0}")]
    Io(#[from] std::io::Error),
    /// No trace format that we know.
    #[error("{what} at byte {at}")]
    NotATrace {
        /// What is wrong or what it seems to be.
        what: String,
        /// Byte offset after decompression.
        at: u64,
        /// What to do instead; empty when there is nothing to say.
        hint: String,
    },
    /// A known format that is not supported.
    #[error("this is {name}, which spandiff does not read")]
    Unsupported {
        /// The format's name.
        name: String,
        /// How to get a format that is read.
        hint: String,
    },
    /// A limit was passed.
    #[error("{what} is over the limit of {limit} ({name})")]
    Limit {
        /// What is too large, with its size.
        what: String,
        /// The limit's name for `--limit`.
        name: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The compressed stream is broken before its first usable record.
    #[error("broken {codec} stream after {at} decompressed bytes: {what}")]
    Compression {
        /// `gzip` or `zstd`.
        codec: &'static str,
        /// Bytes that came out before.
        at: u64,
        /// What the decoder says.
        what: String,
    },
}

/// What a reader needs and fills while it reads one input.
pub struct Context<'a> {
    /// Bounds.
    pub limits: Limits,
    /// The string table of the side.
    pub symbols: &'a mut Symbols,
    /// Takes the batches.
    pub sink: &'a mut dyn Sink,
    /// What was found.
    pub report: ReadReport,
}
