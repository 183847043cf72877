//! Decompression while streaming, with every byte counted on both sides and the bounds checked as bytes come out.
//!
//! A compressed stream that breaks ends for its reader like a file that ends there: what came out before is used.
//! [`Meter`] remembers why, and [`super::read`] decides afterwards whether that is an error or a warning.

use super::ReadError;
use crate::model::Limits;
use flate2::bufread::GzDecoder;
use std::cell::{Cell, RefCell};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};

/// Bytes out that need no justification by bytes in.
const RATIO_FREE_BYTES: u64 = 64 << 20;
/// How much compressed input is read at once.
const BUFFER_BYTES: usize = 128 << 10;

/// A compression that is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not compressed.
    None,
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 8878, any number of frames.
    Zstd,
}

impl Codec {
    /// A word for reports and errors; empty for none.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::None => "",
            Codec::Gzip => "gzip",
            Codec::Zstd => "zstd",
        }
    }
}

/// Why a stream ended before its end.
#[derive(Debug)]
pub(super) enum Failure {
    /// The source failed.
    Io(io::Error),
    /// A bound was passed.
    Limit(ReadError),
    /// The compressed data is broken: what the decoder says.
    Broken(String),
}

/// Counts what flows through the layers of one input.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Bytes before decompression.
    pub bytes_in: Cell<u64>,
    /// Bytes after decompression.
    pub bytes: Cell<u64>,
    /// Why it ended, if not by itself.
    pub failure: RefCell<Option<Failure>>,
}

impl Meter {
    fn fail(&self, failure: Failure) {
        self.failure.borrow_mut().get_or_insert(failure);
    }
}

/// The input as it is stored, counted.
pub(super) struct Raw<'a> {
    pub input: &'a mut dyn Read,
    pub meter: &'a Meter,
}

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.input.read(buffer) {
            Ok(count) => {
                self.meter.bytes_in.set(self.meter.bytes_in.get() + count as u64);
                Ok(count)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let again = io::Error::new(error.kind(), "the source failed");
                self.meter.fail(Failure::Io(error));
                Err(again)
            }
        }
    }
}

/// A reader whose first bytes can be looked at.
pub(super) struct Peeked<R> {
    inner: R,
    head: Vec<u8>,
    at: usize,
}

impl<R: Read> Peeked<R> {
    /// Reads up to `most` bytes ahead.
    pub fn new(mut inner: R, most: usize) -> io::Result<Self> {
        let mut head = Vec::with_capacity(most);
        (&mut inner).take(most as u64).read_to_end(&mut head)?;
        Ok(Peeked { inner, head, at: 0 })
    }

    /// The bytes that were read ahead.
    pub fn head(&self) -> &[u8] {
        &self.head
    }
}

impl<R: Read> Read for Peeked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.head.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return self.inner.read(buffer);
        }
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        Ok(count)
    }
}

/// gzip members one after another; zero bytes between or behind them (tape padding) are skipped.
struct GzipMembers<R> {
    state: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(decoder) = &mut self.state {
            let count = decoder.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Some(mut source) = self.state.take().map(GzDecoder::into_inner) else { break };
            if skip_zeros(&mut source)? {
                self.state = Some(GzDecoder::new(source));
            }
        }
        Ok(0)
    }
}

/// Whether anything but zeros follows.
fn skip_zeros(source: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let available = source.fill_buf()?;
        if available.is_empty() {
            return Ok(false);
        }
        let zeros = available.iter().take_while(|&&byte| byte == 0).count();
        let more = zeros < available.len();
        source.consume(zeros);
        if more {
            return Ok(true);
        }
    }
}

/// The decompressed stream of `source`.
pub(super) fn decoder<'a>(source: impl Read + 'a, codec: Codec, limits: &Limits) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match codec {
        Codec::None => Box::new(source),
        Codec::Gzip => {
            let buffered = BufReader::with_capacity(BUFFER_BYTES, source);
            Box::new(GzipMembers { state: Some(GzDecoder::new(buffered)) })
        }
        Codec::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(BUFFER_BYTES, source))?;
            decoder.window_log_max(window_log(limits))?;
            Box::new(decoder)
        }
    })
}

/// The largest window as a power of two, within what zstd allows.
fn window_log(limits: &Limits) -> u32 {
    limits.zstd_window_bytes.checked_ilog2().unwrap_or(0).clamp(10, 31)
}

/// What comes out, counted and bounded.
pub(super) struct Bounded<'a> {
    pub inner: Box<dyn Read + 'a>,
    pub meter: &'a Meter,
    pub limits: Limits,
    pub codec: Codec,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.meter.failure.borrow().is_some() {
            return Ok(0);
        }
        let error = match self.inner.read(buffer) {
            Ok(count) => {
                let bytes = self.meter.bytes.get() + count as u64;
                self.meter.bytes.set(bytes);
                match check_bounds(&self.limits, self.meter.bytes_in.get(), bytes) {
                    Ok(()) => return Ok(count),
                    Err(limit) => Failure::Limit(limit),
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted || self.codec == Codec::None => return Err(error),
            Err(error) => broken(&error, &self.limits),
        };
        let stop = matches!(error, Failure::Limit(_));
        self.meter.fail(error);
        if stop || matches!(*self.meter.failure.borrow(), Some(Failure::Io(_))) {
            return Err(io::Error::other("stopped"));
        }
        Ok(0)
    }
}

/// zstd says in words only that a frame wants more memory than allowed.
fn broken(error: &io::Error, limits: &Limits) -> Failure {
    let text = error.to_string();
    if text.contains("too much memory") {
        return Failure::Limit(ReadError::Limit {
            what: "the window of a zstd frame".to_owned(),
            name: "zstd_window_bytes",
            limit: limits.zstd_window_bytes,
        });
    }
    let cut = error.kind() == ErrorKind::UnexpectedEof;
    Failure::Broken(if cut { "it ends in the middle".to_owned() } else { text })
}

/// Checks the size and the compression ratio of what came out so far.
pub(super) fn check_bounds(limits: &Limits, bytes_in: u64, bytes: u64) -> Result<(), ReadError> {
    if bytes > limits.input_bytes {
        return Err(ReadError::Limit {
            what: format!("the decompressed size ({bytes} bytes so far)"),
            name: "input_bytes",
            limit: limits.input_bytes,
        });
    }
    if bytes > limits.compression_ratio.saturating_mul(bytes_in).saturating_add(RATIO_FREE_BYTES) {
        return Err(ReadError::Limit {
            what: format!("{bytes} bytes out of {bytes_in} compressed ones"),
            name: "compression_ratio",
            limit: limits.compression_ratio,
        });
    }
    Ok(())
}

/// Decompresses the zstd frames that the file exporter writes one by one, sharing one context.
pub(super) struct FrameDecoder {
    context: zstd::zstd_safe::DCtx<'static>,
    limits: Limits,
    bytes_in: u64,
    /// Bytes that came out of all frames.
    pub bytes: u64,
}

impl FrameDecoder {
    /// A decoder with the limits of one input, shared by all its frames.
    pub fn new(limits: &Limits) -> Self {
        let mut context = zstd::zstd_safe::DCtx::create();
        // Can only fail for a number out of range, which `window_log` excludes.
        let _ = context.set_parameter(zstd::zstd_safe::DParameter::WindowLogMax(window_log(limits)));
        FrameDecoder { context, limits: *limits, bytes_in: 0, bytes: 0 }
    }

    /// Appends what is in `frame` to `out`; true if it was complete. What came out before it broke stays in `out`.
    ///
    /// # Errors
    /// When a limit is passed.
    pub fn append(&mut self, frame: &[u8], out: &mut Vec<u8>) -> Result<bool, ReadError> {
        self.bytes_in += frame.len() as u64;
        let before = out.len();
        let _ = self.context.reset(zstd::zstd_safe::ResetDirective::SessionOnly);
        let mut decoder = zstd::stream::read::Decoder::with_context(frame, &mut self.context);
        loop {
            let from = out.len();
            // In steps, so that a bomb is noticed before it fills the memory.
            let result = (&mut decoder).take(1 << 20).read_to_end(out);
            let count = (out.len() - from) as u64;
            self.bytes += count;
            check_bounds(&self.limits, self.bytes_in, self.bytes)?;
            if (out.len() - before) as u64 > self.limits.record_bytes {
                return Err(record_limit((out.len() - before) as u64, &self.limits));
            }
            match result {
                Ok(0) => return Ok(true),
                Ok(_) => {}
                Err(error) => match broken(&error, &self.limits) {
                    Failure::Limit(limit) => return Err(limit),
                    _ => return Ok(false),
                },
            }
        }
    }
}

/// A record that is too large to be held.
pub(super) fn record_limit(bytes: u64, limits: &Limits) -> ReadError {
    ReadError::Limit { what: format!("a record of {bytes} bytes"), name: "record_bytes", limit: limits.record_bytes }
}
