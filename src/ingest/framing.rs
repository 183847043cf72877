//! Cuts a stream of protobuf into records: top-level fields of one bare message, or frames behind 4-byte big-endian
//! lengths as the Collector's file exporter writes them, each of which may be a zstd frame (its older layout).
//!
//! Blocks of a few megabytes are read, and the complete records in a block become one batch together: ten thousand
//! frames of one span do not make ten thousand batches, and a file of any size needs one block and its longest
//! record in memory. A length is believed only as far as bytes really come.

use super::decompress::{FrameDecoder, record_limit};
use super::otlp_proto::Decoder;
use super::sniff::{ZSTD_MAGIC, is_json};
use super::{Context, Format, InputFormat, ReadError, json};
use crate::model::Warning;
use crate::model::wire::read_varint;
use std::io::Read;
use std::ops::Range;

/// How much is read before records are decoded.
const BLOCK_BYTES: usize = 4 << 20;
/// Offsets are 32 bits, and mended messages follow the bytes.
const MOST_RECORD_BYTES: u64 = (u32::MAX - (64 << 20)) as u64;

/// How far is read to tell a length that lies from a record that is too large.
const MOST_TO_DOUBT: usize = 4 * BLOCK_BYTES;

/// How records are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// One message; its `resource_spans` are the records.
    Bare,
    /// 4-byte big-endian lengths.
    Framed,
}

/// What stands at an offset of a block.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    /// A record behind `header` bytes.
    Record { header: usize, len: usize },
    /// `len` bytes that hold no record (an unknown field).
    Other { len: usize },
    /// Too little of it is there: `header` bytes of header (0 if not even that), `total` in all if known.
    Partial { header: usize, total: u64 },
    /// Nothing that could be read.
    Broken,
}

impl Layout {
    fn piece(self, bytes: &[u8]) -> Piece {
        match self {
            Layout::Bare => bare_piece(bytes),
            Layout::Framed => match bytes.split_first_chunk::<4>() {
                Some((len, rest)) => complete(4, u64::from(u32::from_be_bytes(*len)), rest.len(), true),
                None => Piece::Partial { header: 0, total: 4 },
            },
        }
    }
}

fn bare_piece(bytes: &[u8]) -> Piece {
    let partial = Piece::Partial { header: 0, total: bytes.len() as u64 + 1 };
    let mut rest = bytes;
    let Ok(tag) = read_varint(&mut rest) else {
        return if bytes.len() < 10 { partial } else { Piece::Broken };
    };
    let field = tag >> 3;
    if field == 0 || field > u64::from(u32::MAX) {
        return Piece::Broken;
    }
    let len = match tag & 7 {
        0 | 2 => {
            let before = rest.len();
            let Ok(value) = read_varint(&mut rest) else {
                return if before < 10 { partial } else { Piece::Broken };
            };
            if tag & 7 == 2 { value } else { 0 }
        }
        1 => 8,
        5 => 4,
        _ => return Piece::Broken,
    };
    complete(bytes.len() - rest.len(), len, rest.len(), tag == 0x0a)
}

fn complete(header: usize, len: u64, available: usize, is_record: bool) -> Piece {
    let total = len.saturating_add(header as u64);
    match usize::try_from(len) {
        Ok(len) if len <= available && is_record => Piece::Record { header, len },
        Ok(len) if len <= available => Piece::Other { len: header + len },
        _ => Piece::Partial { header: if is_record { header } else { 0 }, total },
    }
}

/// The complete records at the beginning of a block.
struct Split {
    records: Vec<Range<usize>>,
    /// Bytes that they and what is between them take.
    used: usize,
    /// What follows; `None` when the block ends there.
    next: Option<Piece>,
}

fn split(layout: Layout, block: &[u8]) -> Split {
    let mut split = Split { records: Vec::new(), used: 0, next: None };
    while let Some(rest) = block.get(split.used..).filter(|rest| !rest.is_empty()) {
        match layout.piece(rest) {
            Piece::Record { header, len } => {
                let start = split.used + header;
                split.used = start + len;
                split.records.push(start..split.used);
            }
            Piece::Other { len } => split.used += len,
            piece => {
                split.next = Some(piece);
                break;
            }
        }
    }
    split
}

/// Reads all records of `input`.
///
/// # Errors
/// When the stream fails, a limit is passed, or not one record could be decoded.
pub(super) fn read(
    input: &mut dyn Read,
    layout: Layout,
    said: Option<InputFormat>,
    context: &mut Context<'_>,
) -> Result<(), ReadError> {
    let mut reader =
        Reader { input, layout, said, block: Vec::new(), ended: false, at: 0, frames: None, refused: None };
    while reader.step(context)? {}
    if layout == Layout::Bare && (context.report.spans > 0 || context.report.bytes_lost == 0) {
        context.report.records += 1;
    }
    if let Some(frames) = &reader.frames {
        context.report.compression = super::read::PER_FRAME;
        context.report.bytes = frames.bytes;
    }
    match reader.refused {
        Some(error) if context.report.records == 0 && context.report.spans == 0 => Err(error),
        _ => Ok(()),
    }
}

struct Reader<'r> {
    input: &'r mut dyn Read,
    layout: Layout,
    said: Option<InputFormat>,
    /// Bytes that were read and not decoded yet.
    block: Vec<u8>,
    ended: bool,
    /// Offset of the block in the stream.
    at: u64,
    /// Present once a frame was compressed.
    frames: Option<FrameDecoder>,
    /// Why the first JSON frame that could not be used could not.
    refused: Option<ReadError>,
}

impl Reader<'_> {
    /// Decodes what one block holds; false at the end.
    fn step(&mut self, context: &mut Context<'_>) -> Result<bool, ReadError> {
        self.fill(BLOCK_BYTES)?;
        let mut split = split(self.layout, &self.block);
        if let Some(Piece::Partial { total, .. }) = split.next
            && split.used == 0
        {
            if total > context.limits.record_bytes.min(MOST_RECORD_BYTES) {
                // A length that goes beyond the end is damage, and raising a limit is no way out.
                let end = self.fill(MOST_TO_DOUBT).map(|()| self.ended.then_some(self.block.len() as u64))?;
                return self.give_up(context, Some((total, end))).map(|()| false);
            }
            if !self.ended {
                self.fill((total as usize).max(self.block.len() + 1))?;
                return Ok(true);
            }
        }
        let rest = self.block.split_off(split.used);
        let block = std::mem::replace(&mut self.block, rest);
        self.at += block.len() as u64;
        self.emit(block, &split.records, context)?;
        match split.next.take() {
            None => Ok(!self.ended || !self.block.is_empty()),
            Some(Piece::Broken) => self.give_up(context, None).map(|()| false),
            // Also at the end: the next round looks at what is left by itself.
            Some(_) if !self.ended || split.used > 0 => Ok(true),
            Some(piece) => self.tail(&piece, context).map(|()| false),
        }
    }

    /// Reads until the block has `wanted` bytes or the stream ends.
    fn fill(&mut self, wanted: usize) -> Result<(), ReadError> {
        while !self.ended && self.block.len() < wanted {
            // Never more room than what is there already, beyond a block: lengths may lie.
            let missing = (wanted - self.block.len()).min(self.block.len().max(BLOCK_BYTES));
            self.block.reserve_exact(missing);
            self.ended = self.input.take(missing as u64).read_to_end(&mut self.block)? < missing;
        }
        Ok(())
    }

    /// Counts everything from here on as lost, because where the next record begins is not known. `claim` is the
    /// size of a record that is over the limit, and how much there is of it if the stream ends before.
    fn give_up(&mut self, context: &mut Context<'_>, claim: Option<(u64, Option<u64>)>) -> Result<(), ReadError> {
        let at = self.at;
        if context.report.records == 0 && context.report.spans == 0 {
            return Err(match claim {
                Some((total, Some(there))) => ReadError::NotATrace {
                    what: format!("the first record claims {total} bytes, and only {there} are there"),
                    at,
                    hint: "the file is damaged or cut off, or it is no trace at all".to_owned(),
                },
                Some((total, None)) => record_limit(total, &context.limits),
                None => not_protobuf(at),
            });
        }
        let mut lost = self.block.len() as u64;
        while !self.ended {
            self.block.clear();
            self.fill(BLOCK_BYTES)?;
            lost += self.block.len() as u64;
        }
        context.report.bytes_lost += lost;
        context.report.warnings.add_with(Warning::InvalidRecord, || {
            format!("{lost} bytes from byte {at} on cannot be told apart into records")
        });
        Ok(())
    }

    fn emit(&mut self, block: Vec<u8>, records: &[Range<usize>], context: &mut Context<'_>) -> Result<(), ReadError> {
        if self.layout == Layout::Bare {
            context.report.saw(Format::OtlpProto);
            batch(block, records.iter().map(|range| (range.clone(), Extent::Record { cut: false })), context);
            return Ok(());
        }
        if !records.iter().any(|range| packed(block.get(range.clone()))) {
            context.report.records += records.len() as u64;
            if !records.is_empty() {
                context.report.saw(Format::OtlpProtoFramed);
                batch(block, records.iter().map(|range| (range.clone(), Extent::Message { cut: false })), context);
            }
            return Ok(());
        }
        let mut joined = Joined::default();
        for range in records {
            self.packed_frame(block.get(range.clone()).unwrap_or_default(), false, &mut joined, context)?;
            if joined.bytes.len() >= BLOCK_BYTES {
                joined.flush(context);
            }
        }
        joined.flush(context);
        Ok(())
    }

    /// Decompresses one frame if it is compressed; protobuf is joined with its neighbours, JSON is read at once.
    fn packed_frame(
        &mut self,
        frame: &[u8],
        cut: bool,
        joined: &mut Joined,
        context: &mut Context<'_>,
    ) -> Result<(), ReadError> {
        let start = joined.bytes.len();
        let mut whole = !cut;
        if frame.starts_with(&ZSTD_MAGIC) {
            let frames = self.frames.get_or_insert_with(|| FrameDecoder::new(&context.limits));
            whole &= frames.append(frame, &mut joined.bytes)?;
        } else {
            joined.bytes.extend_from_slice(frame);
        }
        if !whole {
            // Its stored bytes count as lost, once: what would have come out of the rest is not known.
            lose_frame(frame.len() as u64, cut, context);
        }
        if is_json(joined.bytes.get(start..).unwrap_or_default()) {
            let document = joined.bytes.split_off(start);
            // A cut document is not used in part.
            return if whole { self.document(&document, context) } else { Ok(()) };
        }
        context.report.records += u64::from(whole);
        joined.records.push((start..joined.bytes.len(), whole));
        Ok(())
    }

    /// Reads a frame of JSON. One that is broken costs itself, unless there was nothing else.
    fn document(&mut self, document: &[u8], context: &mut Context<'_>) -> Result<(), ReadError> {
        match json::decode_document(document, self.said, context) {
            Err(error @ (ReadError::NotATrace { .. } | ReadError::Unsupported { .. })) => {
                context.report.bytes_lost += document.len() as u64;
                context.report.warnings.add_with(Warning::InvalidRecord, || format!("a JSON frame: {error}"));
                self.refused.get_or_insert(error);
                Ok(())
            }
            result => result,
        }
    }

    /// The record at the end of the stream whose rest is missing.
    fn tail(&mut self, piece: &Piece, context: &mut Context<'_>) -> Result<(), ReadError> {
        let block = std::mem::take(&mut self.block);
        let len = block.len();
        let header = match piece {
            Piece::Partial { header, .. } if *header > 0 => *header,
            _ => len,
        };
        let (spans, lost) = (context.report.spans, context.report.bytes_lost);
        if self.layout == Layout::Bare {
            context.report.saw(Format::OtlpProto);
            batch(block, [(header..len, Extent::Record { cut: true })].into_iter(), context);
        } else if packed(block.get(header..)) {
            let mut joined = Joined::default();
            self.packed_frame(block.get(header..).unwrap_or_default(), true, &mut joined, context)?;
            joined.flush(context);
        } else {
            batch(block, [(header..len, Extent::Message { cut: true })].into_iter(), context);
        }
        if context.report.spans == spans || context.report.bytes_lost == lost {
            // Nothing of it was of use, or the cut went between two spans: the header, which promised more, is lost
            // as well, so that no cut goes without a warning.
            context.report.bytes_lost += header as u64;
            context.report.warnings.add(Warning::TruncatedTail, header as u64);
        } else if self.layout == Layout::Framed {
            context.report.saw(Format::OtlpProtoFramed);
        }
        if context.report.records == 0 && context.report.spans == 0 {
            return Err(ReadError::NotATrace {
                what: format!("the input ends in the middle of its first record ({len} bytes)"),
                at: self.at,
                hint: "the file seems to be cut off; copy or download it again".to_owned(),
            });
        }
        Ok(())
    }
}

/// Counts the stored bytes of a frame that cannot be used as a whole.
fn lose_frame(bytes: u64, cut: bool, context: &mut Context<'_>) {
    context.report.bytes_lost += bytes;
    if cut {
        context.report.warnings.add(Warning::TruncatedTail, bytes);
    } else {
        context.report.warnings.add_with(Warning::InvalidRecord, || format!("a zstd frame of {bytes} bytes is broken"));
    }
}

/// Frames that were decompressed next to each other.
#[derive(Default)]
struct Joined {
    bytes: Vec<u8>,
    /// Where each record lies, and whether it is whole.
    records: Vec<(Range<usize>, bool)>,
}

impl Joined {
    fn flush(&mut self, context: &mut Context<'_>) {
        let joined = std::mem::take(self);
        if joined.records.is_empty() {
            return;
        }
        context.report.saw(Format::OtlpProtoFramed);
        let extent = |whole: bool| if whole { Extent::Message { cut: false } } else { Extent::Remains };
        batch(joined.bytes, joined.records.into_iter().map(|(range, whole)| (range, extent(whole))), context);
    }
}

/// What lies at a range of a block.
#[derive(Clone, Copy, Debug)]
enum Extent {
    /// A `ResourceSpans`.
    Record { cut: bool },
    /// A whole request.
    Message { cut: bool },
    /// The beginning of a request, of which what was lost is counted already.
    Remains,
}

/// Makes one batch of a block and hands it on, unless it is empty; or counts its spans, if that is all the sink wants.
fn batch(mut block: Vec<u8>, records: impl Iterator<Item = (Range<usize>, Extent)>, context: &mut Context<'_>) {
    if let Some(census) = context.sink.census() {
        for (range, extent) in records {
            let record = block.get(range).unwrap_or_default();
            context.report.spans += match extent {
                Extent::Record { .. } => census.skim_record(record),
                Extent::Message { .. } | Extent::Remains => census.skim(record),
            };
        }
        return;
    }
    if block.capacity() - block.len() > block.len() / 8 {
        block.shrink_to_fit();
    }
    let mut decoder = Decoder::new(&block, &context.limits, context.symbols, &mut context.report);
    for (range, extent) in records {
        match extent {
            Extent::Record { cut } => decoder.record(range, cut),
            Extent::Message { cut } => decoder.message(range, cut),
            Extent::Remains => decoder.remains(range),
        }
    }
    let parts = decoder.finish();
    let batch = parts.into_batch(block);
    if !batch.spans.is_empty() {
        context.sink.batch(batch, context.symbols);
    }
}

fn packed(frame: Option<&[u8]>) -> bool {
    frame.is_some_and(|frame| frame.starts_with(&ZSTD_MAGIC) || is_json(frame))
}

fn not_protobuf(at: u64) -> ReadError {
    ReadError::NotATrace {
        what: "no trace format is recognised".to_owned(),
        at,
        hint: super::sniff::FORMATS_HINT.to_owned(),
    }
}
