//! zstd frames: how a group becomes one, and how whole ones are told from a torn tail without decompressing them.

use std::io::{self, BufRead, Read, Seek};
use zstd::bulk::Compressor;
use zstd::zstd_safe::{CParameter, DCtx, ResetDirective};

/// The first of zstd's fast levels. On OTLP in groups of 4 MiB it takes about a quarter less time than level 1 (500 MB/s a
/// core against 400) and makes a tenth of the size, as level 1 does (10.1 against 10.8); in groups of 45 KB a fifth.
const LEVEL: i32 = -1;
/// Readers refuse what grows more than a thousandfold (`compression_ratio`), bombs that somebody sent us included.
/// What would pass half of that is padded with a frame that decoders skip.
const MOST_RATIO: usize = 500;
/// Magic number of a frame that decoders skip.
const SKIPPED_MAGIC: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// No block of a frame is longer (RFC 8878, 3.1.1.2).
const MOST_BLOCK_BYTES: u32 = 128 << 10;

/// Makes frames.
pub(super) struct Packer {
    compressor: Compressor<'static>,
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

impl Packer {
    /// A packer. Its frames have a checksum, by which a tail that was damaged inside is known.
    pub fn new() -> io::Result<Packer> {
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        Ok(Packer { compressor })
    }

    /// Replaces `out` by one frame that holds `content`, and what padding it needs before it.
    pub fn pack(&mut self, content: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        out.reserve(zstd::zstd_safe::compress_bound(content.len()));
        self.compressor.compress_to_buffer(content, out)?;
        let missing = (content.len() / MOST_RATIO).saturating_sub(out.len());
        if missing > 0 {
            // In front, so that a reader has seen it when it looks at the ratio.
            let padding = SKIPPED_MAGIC.into_iter().chain((missing as u32).to_le_bytes());
            out.splice(0..0, padding.chain(std::iter::repeat_n(0, missing)));
        }
        Ok(())
    }
}

/// A reader of frame structure, over `len` bytes.
struct Walker<'r, R> {
    input: &'r mut R,
    len: u64,
    at: u64,
}

impl<R: Read + Seek> Walker<'_, R> {
    fn take<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        if self.len - self.at < N as u64 {
            return Ok(None);
        }
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        self.at += N as u64;
        Ok(Some(bytes))
    }

    /// Goes on by `count` bytes; false when there are fewer.
    fn skip(&mut self, count: u64) -> io::Result<bool> {
        if self.len - self.at < count {
            return Ok(false);
        }
        self.input.seek_relative(count as i64)?;
        self.at += count;
        Ok(true)
    }

    /// Goes over one frame; false if there is none as a whole.
    fn frame(&mut self) -> io::Result<bool> {
        let magic = self.take::<4>()?;
        if magic == Some(SKIPPED_MAGIC) {
            let Some(len) = self.take::<4>()? else { return Ok(false) };
            return self.skip(u64::from(u32::from_le_bytes(len)));
        }
        if magic != Some(MAGIC) {
            return Ok(false);
        }
        let Some([descriptor]) = self.take::<1>()? else { return Ok(false) };
        let single_segment = descriptor & 0x20 != 0;
        let window = u64::from(!single_segment);
        let dictionary = [0, 1, 2, 4].get(usize::from(descriptor & 3)).copied().unwrap_or(0);
        let content_size = match descriptor >> 6 {
            0 => u64::from(single_segment),
            flag => 1 << flag,
        };
        // The reserved bit says that the frame is of a future we do not know.
        if descriptor & 0x08 != 0 || !self.skip(window + dictionary + content_size)? {
            return Ok(false);
        }
        loop {
            let Some([a, b, c]) = self.take::<3>()? else { return Ok(false) };
            let header = u32::from_le_bytes([a, b, c, 0]);
            let (last, kind, size) = (header & 1 == 1, header >> 1 & 3, header >> 3);
            let stored = match kind {
                0 | 2 => size,
                1 => 1,
                _ => return Ok(false),
            };
            if size > MOST_BLOCK_BYTES || !self.skip(u64::from(stored))? {
                return Ok(false);
            }
            if last {
                let checksum = if descriptor & 0x04 == 0 { 0 } else { 4 };
                return self.skip(checksum);
            }
        }
    }
}

/// Where the whole frames at the beginning of `len` bytes end, one after another; empty when there is none. Only
/// headers are read.
pub(super) fn ends(input: &mut (impl Read + Seek), len: u64) -> io::Result<Vec<u64>> {
    let mut walker = Walker { input, len, at: 0 };
    let mut ends = Vec::new();
    while walker.at < len && walker.frame()? {
        ends.push(walker.at);
    }
    Ok(ends)
}

/// Decompresses frames to see whether they are what their checksums say. One for many: they may be small.
pub(super) struct Checker {
    context: DCtx<'static>,
}

impl Checker {
    /// A checker.
    pub fn new() -> Checker {
        Checker { context: DCtx::create() }
    }

    /// Whether the frame that `input` consists of can be decompressed and has its checksum; then it was read to its end.
    /// What comes out is thrown away as it comes; `most` bounds it.
    pub fn is_sound(&mut self, input: impl BufRead, most: u64) -> bool {
        // Resetting only the session cannot fail.
        let _ = self.context.reset(ResetDirective::SessionOnly);
        let mut decoder =
            zstd::stream::read::Decoder::with_context(input, &mut self.context).take(most.saturating_add(1));
        io::copy(&mut decoder, &mut io::sink()).is_ok_and(|count| count <= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn pack(content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Packer::new().unwrap().pack(content, &mut out).unwrap();
        out
    }

    /// Bytes that do not compress.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    fn is_sound(frame: &[u8], most: u64) -> bool {
        Checker::new().is_sound(frame, most)
    }

    #[test]
    fn frames_are_found_and_a_cut_one_is_not() {
        for content in [noise(1), noise(300), b"abc".repeat(100_000), noise(1 << 20), vec![0; 3 << 20]] {
            let (first, second) = (pack(b"first"), pack(&content));
            let mut all = [first.as_slice(), &second].concat();
            let whole = ends(&mut Cursor::new(&all), all.len() as u64).unwrap();
            assert_eq!((whole.first(), whole.last()), (Some(&(first.len() as u64)), Some(&(all.len() as u64))));
            assert!(is_sound(second.as_slice(), content.len() as u64));
            assert!(!is_sound(second.as_slice(), content.len() as u64 - 1), "more than allowed");
            all.pop();
            let cut = ends(&mut Cursor::new(&all), all.len() as u64).unwrap();
            assert_eq!(cut.len(), whole.len() - 1);
            assert_eq!(zstd::decode_all(second.as_slice()).unwrap(), content);
        }
    }

    #[test]
    fn what_is_no_frame_ends_the_walk() {
        let good = pack(b"good");
        for rest in
            [&b"\0\0\0\0"[..], b"\x28\xb5\x2f\xfd", b"\x28\xb5\x2f\xfd\x08", b"\x28\xb5\x2f\xfd\x20\x01\x07\0\0"]
        {
            let all = [good.as_slice(), rest].concat();
            assert_eq!(ends(&mut Cursor::new(&all), all.len() as u64).unwrap(), [good.len() as u64], "{rest:?}");
        }
        assert!(ends(&mut Cursor::new(b""), 0).unwrap().is_empty());
    }

    #[test]
    fn damage_inside_a_frame_is_noticed() {
        let mut frame = pack(&noise(10_000));
        if let Some(byte) = frame.get_mut(5_000) {
            *byte ^= 1;
        }
        assert_eq!(ends(&mut Cursor::new(&frame), frame.len() as u64).unwrap().len(), 1, "its structure is whole");
        assert!(!is_sound(frame.as_slice(), 10_000));
    }

    #[test]
    fn nothing_is_packed_so_well_that_readers_take_it_for_a_bomb() {
        let zeros = vec![0u8; 16 << 20];
        let packed = pack(&zeros);
        assert!(packed.len() >= zeros.len() / MOST_RATIO && packed.len() < zeros.len() / MOST_RATIO + 100);
        assert_eq!(zstd::decode_all(packed.as_slice()).unwrap(), zeros);
        assert_eq!(ends(&mut Cursor::new(&packed), packed.len() as u64).unwrap().len(), 2, "the padding and the frame");
    }
}
