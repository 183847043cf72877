//! Reads one input: sniffs, decompresses and hands the bytes to the reader of their format.

use super::decompress::{Bounded, Codec, Failure, Meter, Peeked, Raw, decoder};
use super::sniff::{self, Content, PEEK_BYTES};
use super::{Context, InputFormat, ReadError, framing, json};
use crate::model::Warning;
use std::io::{self, Read};

/// Reads `input` to its end in whatever format it is, emits batches to the context's sink and fills its report.
///
/// `said` is what the user says the format is; compression is recognised in any case. An input of zero bytes is a
/// valid empty message. A stream that breaks off after its first usable record is used as far as it goes, with the
/// warning [`Warning::TruncatedTail`].
///
/// # Errors
/// When the source fails, a limit is passed, the format is not known or not supported, or not one record decodes.
pub fn read(input: &mut dyn Read, said: Option<InputFormat>, context: &mut Context<'_>) -> Result<(), ReadError> {
    let meter = Meter::default();
    let mut raw = Raw { input, meter: &meter };
    let mut broken_off = None;
    let result = stored(&mut raw, said, context, &mut broken_off);
    let result = settle(&mut raw, result, broken_off, context);
    context.report.bytes_in = meter.bytes_in.get();
    if context.report.compression != PER_FRAME {
        context.report.bytes = meter.bytes.get();
    }
    result
}

/// `ReadReport::compression` of frames that are compressed one by one.
pub(super) const PER_FRAME: &str = "zstd per frame";

/// A compressed stream that broke off.
struct BrokenOff {
    codec: Codec,
    what: String,
}

/// Looks at the bytes as they are stored, and reads what is in them.
fn stored(
    raw: &mut Raw<'_>,
    said: Option<InputFormat>,
    context: &mut Context<'_>,
    broken_off: &mut Option<BrokenOff>,
) -> Result<(), ReadError> {
    let meter = raw.meter;
    let result = (|| {
        let source = Peeked::new(&mut *raw, PEEK_BYTES)?;
        let codec = sniff::codec(source.head());
        let inner = decoder(source, codec, &context.limits)?;
        let mut stream = Peeked::new(Bounded { inner, meter, limits: context.limits, codec }, PEEK_BYTES)?;
        context.report.compression = codec.name();
        let result = decompressed(&mut stream, codec, said, context);
        if let Some(Failure::Broken(what)) = &*meter.failure.borrow() {
            *broken_off = Some(BrokenOff { codec, what: what.clone() });
        }
        result
    })();
    match meter.failure.take() {
        Some(Failure::Limit(limit)) => Err(limit),
        Some(Failure::Io(error)) => Err(ReadError::Io(error)),
        Some(Failure::Broken(_)) | None => result,
    }
}

/// Looks at the bytes after decompression, and reads what is in them.
fn decompressed(
    stream: &mut Peeked<impl Read>,
    codec: Codec,
    said: Option<InputFormat>,
    context: &mut Context<'_>,
) -> Result<(), ReadError> {
    let nested = sniff::codec(stream.head());
    if codec != Codec::None && nested != Codec::None {
        return Err(ReadError::Unsupported {
            name: format!("a {} stream inside a {} stream", nested.name(), codec.name()),
            hint: format!("undo the outer {} first", codec.name()),
        });
    }
    match sniff::content(stream.head(), said)? {
        Content::Empty => Ok(()),
        Content::Json => json::read(stream, said, context),
        Content::Proto(layout) => framing::read(stream, layout, said, context)
            .and_then(|()| if only_other_signals(context) { Err(other_signals(context)) } else { Ok(()) }),
    }
}

/// Whether there was something, and none of it about traces.
fn only_other_signals(context: &Context<'_>) -> bool {
    let warnings = &context.report.warnings;
    context.report.spans == 0 && warnings.count(Warning::NonTraceSignal) > 0 && warnings.spans_lost() == 0
}

fn other_signals(context: &Context<'_>) -> ReadError {
    let name = context
        .report
        .warnings
        .iter()
        .find(|(warning, _)| *warning == Warning::NonTraceSignal)
        .map_or_else(String::new, |(_, counted)| counted.example.clone());
    ReadError::Unsupported { name, hint: "give the file that the traces pipeline wrote".to_owned() }
}

/// Decides what a compressed stream that broke off means: used as far as it came, or an error when nothing came.
fn settle(
    raw: &mut Raw<'_>,
    result: Result<(), ReadError>,
    broken_off: Option<BrokenOff>,
    context: &mut Context<'_>,
) -> Result<(), ReadError> {
    let Some(BrokenOff { codec, what }) = broken_off else { return result };
    if let Err(error @ (ReadError::Limit { .. } | ReadError::Io(_))) = result {
        return Err(error);
    }
    if context.report.spans == 0 {
        return Err(ReadError::Compression { codec: codec.name(), at: raw.meter.bytes.get(), what });
    }
    // What follows in the stored bytes cannot be decompressed any more.
    let lost = io::copy(raw, &mut io::sink())?;
    context.report.bytes_lost += lost;
    context.report.warnings.add_with(Warning::TruncatedTail, || format!("broken {} stream: {what}", codec.name()));
    context.report.warnings.add(Warning::TruncatedTail, lost.saturating_sub(1));
    Ok(())
}
