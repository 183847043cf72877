//! JSON in all its trace formats: OTLP/JSON (one document, JSON lines, concatenated), Tempo, Jaeger, Zipkin v2, Go
//! `stdouttrace`, Python console.
//!
//! A stream is cut into documents (`documents`); each becomes one [`super::Batch`] with packed bodies, or a counted
//! warning. A document counts as a whole or not at all; inside of one that can be read a bad span is left out and
//! counted. Memory is one document and what it becomes.

mod any_value;
mod documents;
mod go_stdout;
mod ids;
mod jaeger;
mod numbers;
mod otlp;
mod python_console;
mod reader;
mod recognise;
mod record;
mod tokens;
mod zipkin;

use super::{Batch, Context, Format, InputFormat, ReadError};
use crate::model::{Warning, Warnings};
use documents::{Documents, Piece};
use otlp::Signals;
use reader::Reader;
use recognise::{Family, Verdict, recognise};
use record::Record;
use std::borrow::Cow;
use std::io::Read;
use tokens::{Broken, Cursor, TOO_DEEP};

/// Documents in a row that may be anything but traces before reading stops: a terabyte of log lines is not read to
/// its end only to say that there is no trace in it.
const PATIENCE: u32 = 10_000;

const HINT: &str =
    "spandiff reads OTLP JSON and protobuf, Jaeger, Zipkin v2, Tempo, Go stdouttrace and Python console traces";

/// Why a document cannot be used.
enum Problem {
    /// It is broken at this byte of it.
    Broken { at: usize, why: &'static str },
    /// It is something else.
    Refused(ReadError),
}

/// Reads a stream of JSON documents to its end. `said` is the format that the user named: any other is an error.
///
/// Fails when the stream does, when a document is over a limit, or when nothing could be decoded at all. Bytes before
/// and after decompression are counted by the caller.
pub fn read(input: &mut dyn Read, said: Option<InputFormat>, context: &mut Context<'_>) -> Result<(), ReadError> {
    let before = context.report.records;
    let mut documents = Documents::new(input, context.limits.record_bytes);
    let mut first_error = None;
    let mut in_vain = 0;
    loop {
        let error = match documents.next()? {
            Piece::End => break,
            Piece::Offer(range) => {
                if let Some(length) = decode_line(documents.bytes(&range), said, context) {
                    documents.accept(&range, length);
                    in_vain = 0;
                }
                continue;
            }
            Piece::Document(range) => {
                let Err(problem) = decode(documents.bytes(&range), said, context) else {
                    in_vain = 0;
                    continue;
                };
                let place = documents.place(range.start);
                let error = explain(problem, documents.bytes(&range), place, context.limits.json_depth);
                lose_record(context, range.len() as u64, place, &error);
                error
            }
            Piece::Broken { at, line, bytes, why } => {
                let error = not_json(why, at, line, documents.bytes(&(0..8)));
                lose_record(context, bytes, (at, line), &error);
                error
            }
            Piece::Cut { at, line, bytes } => {
                context.report.bytes_lost += bytes;
                context.report.warnings.add(Warning::TruncatedTail, bytes);
                let what = format!("the JSON document that begins on line {line} is cut off");
                ReadError::NotATrace { what, at, hint: "the file is not complete: write or copy it again".to_owned() }
            }
        };
        first_error.get_or_insert(error);
        in_vain += 1;
        if in_vain > PATIENCE && context.report.records == before {
            break;
        }
    }
    match (documents.failure(), first_error) {
        (Some(failure), _) => Err(failure.into()),
        (None, Some(error)) if context.report.records == before => Err(error),
        _ => Ok(()),
    }
}

/// Reads one complete JSON document, as [`read`] does. Fails when it cannot be used.
pub fn decode_document(document: &[u8], said: Option<InputFormat>, context: &mut Context<'_>) -> Result<(), ReadError> {
    let (size, most) = (document.len() as u64, context.limits.record_bytes.min(u64::from(u32::MAX)));
    if size > most {
        let what = format!("a JSON document of {size} bytes");
        return Err(ReadError::Limit { what, name: "record_bytes", limit: most });
    }
    let document = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
    decode(document, said, context).map_err(|problem| explain(problem, document, (0, 1), context.limits.json_depth))
}

/// Reads the body of an OTLP/JSON export request: like [`decode_document`], but whatever its keys are it is taken for one,
/// since its sender says so; keys that are not known are passed over. Fails when it is not JSON, or not UTF-8.
pub fn decode_request(body: &[u8], context: &mut Context<'_>) -> Result<(), ReadError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let decoded = std::str::from_utf8(body).map_err(|error| (error.valid_up_to(), "not UTF-8")).and_then(|text| {
        let cursor = Cursor::new(text, context.limits.json_depth, false);
        let mut reader = Reader { cursor, record: Record::new(context.limits, context.symbols) };
        let decoded = reader.document(Family::Otlp).and_then(|format| reader.cursor.end().map(|()| format));
        match decoded {
            Ok(format) => Ok((format, reader.into_batch())),
            Err(Broken) => Err(reader.cursor.failure()),
        }
    });
    match decoded {
        Ok((format, (batch, warnings))) => {
            hand_on(format, batch, &warnings, context);
            Ok(())
        }
        Err((at, why)) => Err(explain(Problem::Broken { at, why }, body, (0, 1), context.limits.json_depth)),
    }
}

fn lose_record(context: &mut Context<'_>, bytes: u64, (at, line): (u64, u64), why: &ReadError) {
    context.report.bytes_lost += bytes;
    context.report.warnings.add_with(Warning::InvalidRecord, || match why {
        ReadError::NotATrace { what, .. } => what.clone(),
        other => format!("line {line}, byte {at}: {other}"),
    });
}

fn not_json(why: &str, at: u64, line: u64, head: &[u8]) -> ReadError {
    if at == 0 && matches!(head, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, b'{' | b'[', ..]) {
        let hint = "convert it to UTF-8, for example with `iconv -f UTF-16 -t UTF-8`".to_owned();
        return ReadError::NotATrace { what: "this is UTF-16 text, not UTF-8".to_owned(), at, hint };
    }
    let what = format!("invalid JSON on line {line}: {why}");
    ReadError::NotATrace { what, at, hint: HINT.to_owned() }
}

/// A problem as an error that names the place in the stream.
fn explain(problem: Problem, document: &[u8], (base, line): (u64, u64), depth: u64) -> ReadError {
    let (at, why) = match problem {
        Problem::Refused(ReadError::NotATrace { what, at, hint }) => {
            return ReadError::NotATrace { what: format!("{what} (line {line})"), at: base + at, hint };
        }
        Problem::Refused(error) => return error,
        Problem::Broken { at, why } => (at, why),
    };
    if why == TOO_DEEP {
        let what = format!("the nesting of the JSON document at byte {base} (line {line})");
        return ReadError::Limit { what, name: "json_depth", limit: depth };
    }
    let before = document.get(..at).unwrap_or(document);
    let line = line + memchr::memchr_iter(b'\n', before).count() as u64;
    let what = format!("invalid JSON on line {line}: {why}");
    ReadError::NotATrace { what, at: base + at as u64, hint: HINT.to_owned() }
}

/// Decodes the document at the beginning of a line and gives its length. `None` for anything unusual, which is then
/// looked at with more care.
fn decode_line(line: &[u8], said: Option<InputFormat>, context: &mut Context<'_>) -> Option<usize> {
    let text = std::str::from_utf8(line).ok()?;
    let mut cursor = Cursor::new(text, context.limits.json_depth, false);
    let family = accept(recognise(&mut cursor).ok()?, said).ok()?;
    cursor.go(0);
    let mut reader = Reader { cursor, record: Record::new(context.limits, context.symbols) };
    let format = reader.document(family).ok()?;
    let length = reader.cursor.at();
    let (batch, warnings) = reader.into_batch();
    hand_on(format, batch, &warnings, context);
    Some(length)
}

/// Decodes one document into a batch and hands it on.
fn decode(document: &[u8], said: Option<InputFormat>, context: &mut Context<'_>) -> Result<(), Problem> {
    let text = match std::str::from_utf8(document) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(document),
    };
    let repaired = matches!(text, Cow::Owned(_));
    let mut cursor = Cursor::new(&text, context.limits.json_depth, repaired);
    let verdict = recognise(&mut cursor).map_err(|Broken| broken(&cursor, document, repaired))?;
    let family = accept(verdict, said)?;
    let cursor = Cursor::new(&text, context.limits.json_depth, repaired);
    let mut reader = Reader { cursor, record: Record::new(context.limits, context.symbols) };
    let decoded = reader.document(family).and_then(|format| reader.cursor.end().map(|()| format));
    let format = decoded.map_err(|Broken| broken(&reader.cursor, document, repaired))?;
    let (batch, warnings) = reader.into_batch();
    hand_on(format, batch, &warnings, context);
    Ok(())
}

/// Counts a decoded document and gives its spans to the sink.
fn hand_on(format: Option<Format>, batch: Batch, warnings: &Warnings, context: &mut Context<'_>) {
    let report = &mut context.report;
    match format {
        Some(format) => report.saw(format),
        None => report.warnings.add(Warning::NonTraceSignal, 1),
    }
    report.records += 1;
    report.spans += batch.spans.len() as u64;
    report.warnings.merge(warnings);
    if !batch.spans.is_empty() {
        context.sink.batch(batch, context.symbols);
    }
}

/// Where the cursor failed, counted in the bytes before bad ones were replaced.
fn broken(cursor: &Cursor<'_>, document: &[u8], repaired: bool) -> Problem {
    let (at, why) = cursor.failure();
    let at = if repaired { unrepaired(document, at) } else { at };
    Problem::Broken { at, why }
}

/// The place in `document` that is byte `at` of its lossy text.
fn unrepaired(document: &[u8], at: usize) -> usize {
    let (mut lossy, mut original) = (0, 0);
    for chunk in document.utf8_chunks() {
        let replaced = if chunk.invalid().is_empty() { 0 } else { char::REPLACEMENT_CHARACTER.len_utf8() };
        let length = chunk.valid().len();
        if at < lossy + length + replaced {
            return original + (at - lossy).min(length);
        }
        lossy += length + replaced;
        original += length + chunk.invalid().len();
    }
    original
}

/// The family of a verdict, if it is one that is read and the one that the user named.
fn accept(verdict: Verdict, said: Option<InputFormat>) -> Result<Family, Problem> {
    let family = match verdict {
        Verdict::Known(family) => family,
        Verdict::Unsupported(name, hint) => {
            let error = ReadError::Unsupported { name: name.to_owned(), hint: hint.to_owned() };
            return Err(Problem::Refused(error));
        }
        Verdict::Unknown(keys) => return Err(Problem::Refused(unknown(&keys))),
    };
    let fits = match said {
        None => true,
        Some(InputFormat::OtlpProto) => false,
        Some(InputFormat::OtlpJson | InputFormat::Tempo) => {
            matches!(family, Family::Otlp | Family::TempoV2 | Family::JaegerV3 | Family::Empty)
        }
        Some(InputFormat::Jaeger) => {
            matches!(family, Family::JaegerEnvelope | Family::JaegerTraces | Family::JaegerV3 | Family::Empty)
        }
        Some(InputFormat::Zipkin) => matches!(family, Family::Zipkin | Family::Empty),
    };
    if fits {
        return Ok(family);
    }
    let what = format!("this is {}, not what --input-format says", family.name());
    Err(Problem::Refused(ReadError::NotATrace { what, at: 0, hint: "leave --input-format out".to_owned() }))
}

fn unknown(keys: &[String]) -> ReadError {
    let mut listed = String::new();
    for key in keys.iter().take(8) {
        let comma = if listed.is_empty() { "" } else { ", " };
        listed = format!("{listed}{comma}{key:.40?}");
    }
    if keys.len() > 8 {
        listed.push_str(", …");
    }
    let what = match (keys.is_empty(), keys.iter().any(|key| key == "spanId" || key == "traceId")) {
        (true, _) => "JSON without any trace".to_owned(),
        (_, true) => format!("JSON spans without the object around them that OTLP asks for, with the keys {listed}"),
        _ => format!("JSON that is no trace format known here, with the keys {listed}"),
    };
    ReadError::NotATrace { what, at: 0, hint: HINT.to_owned() }
}

impl Family {
    /// A name for people.
    const fn name(self) -> &'static str {
        match self {
            Family::Otlp => Format::OtlpJson.name(),
            Family::TempoV2 => Format::TempoV2.name(),
            Family::JaegerV3 => Format::JaegerV3.name(),
            Family::JaegerEnvelope | Family::JaegerTraces => Format::Jaeger.name(),
            Family::Zipkin => Format::Zipkin.name(),
            Family::GoStdout => Format::GoStdout.name(),
            Family::PythonConsole => Format::PythonConsole.name(),
            Family::Empty => "an empty JSON array",
        }
    }
}

impl Reader<'_, '_> {
    /// A whole document; its format, `None` if it holds other signals than traces.
    fn document(&mut self, family: Family) -> tokens::Read<Option<Format>> {
        let mut signals = Signals::default();
        let format = match family {
            Family::Otlp | Family::TempoV2 | Family::JaegerV3 => {
                if self.cursor.peek() == b'[' {
                    self.each(|reader| reader.traces(&mut signals))?;
                } else {
                    self.traces(&mut signals)?;
                }
                match family {
                    Family::TempoV2 => Format::TempoV2,
                    Family::JaegerV3 => Format::JaegerV3,
                    _ if signals.batches || self.record.base64_ids => Format::TempoV1,
                    _ => Format::OtlpJson,
                }
            }
            Family::JaegerEnvelope | Family::JaegerTraces => {
                self.jaeger(family == Family::JaegerEnvelope)?;
                Format::Jaeger
            }
            Family::Zipkin => {
                self.zipkin()?;
                Format::Zipkin
            }
            Family::GoStdout => {
                self.go_stdout()?;
                Format::GoStdout
            }
            Family::PythonConsole => {
                self.python_console()?;
                Format::PythonConsole
            }
            Family::Empty => {
                self.cursor.skip()?;
                Format::Zipkin
            }
        };
        if signals.traces && signals.other {
            self.record.warnings.add(Warning::NonTraceSignal, 1);
        }
        Ok((signals.traces || !signals.other).then_some(format))
    }
}
