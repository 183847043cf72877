//! Content codings: what compressed a body, and how it is undone within a bound.
//!
//! Every output byte is counted before it is kept. What a header claims about the size (snappy's varint, zstd's window)
//! is checked before anything is reserved.

use super::admission::Held;
use super::refusal::{Kind, Refusal};
use std::io::Read;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// gzip, with any number of members.
    Gzip,
    /// zlib, which HTTP calls deflate.
    Deflate,
    /// zstd.
    Zstd,
    /// Snappy's block format: one block for all.
    Snappy,
    /// Snappy's framed format.
    SnappyFramed,
    /// LZ4's frame format.
    Lz4,
}

/// What may stand in `Accept-Encoding` for a sender that asks.
pub const HTTP_CODINGS: &str = "gzip, zstd, deflate, snappy, x-snappy-framed, lz4";
/// The same for gRPC.
pub const GRPC_CODINGS: &str = "identity,gzip,zstd,snappy";

/// The largest window of a zstd stream as a power of two: 8 MiB, what RFC 9659 lets HTTP senders use.
const ZSTD_WINDOW_LOG: u32 = 23;
/// How snappy's framed format begins. As a block it would be text of 895 bytes that repeats what comes before its start.
const SNAPPY_STREAM: &[u8] = b"\xff\x06\x00\x00sNaPpY";
/// How an LZ4 frame begins.
const LZ4_FRAME: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// Bytes that are read in one step.
const STEP: usize = 64 << 10;

impl Coding {
    /// The coding of a `Content-Encoding` header; names are the Collector's. `None` for one that is not known, and
    /// for lists of several.
    pub fn of_http(name: &str) -> Option<Coding> {
        let is = |known: &[&str]| known.iter().any(|known| name.trim().eq_ignore_ascii_case(known));
        Some(match () {
            () if is(&["", "identity"]) => Coding::Identity,
            () if is(&["gzip", "x-gzip"]) => Coding::Gzip,
            () if is(&["deflate", "zlib"]) => Coding::Deflate,
            () if is(&["zstd"]) => Coding::Zstd,
            () if is(&["snappy"]) => Coding::Snappy,
            () if is(&["x-snappy-framed"]) => Coding::SnappyFramed,
            () if is(&["lz4"]) => Coding::Lz4,
            () => return None,
        })
    }

    /// The coding of a `grpc-encoding` header. gRPC's snappy is the framed format, as Go's is.
    pub fn of_grpc(name: &str) -> Option<Coding> {
        match Coding::of_http(name)? {
            Coding::Snappy => Some(Coding::SnappyFramed),
            coding @ (Coding::Identity | Coding::Gzip | Coding::Zstd) => Some(coding),
            Coding::Deflate | Coding::SnappyFramed | Coding::Lz4 => None,
        }
    }

    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Coding::Identity => "identity",
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            Coding::Zstd => "zstd",
            Coding::Snappy => "snappy",
            Coding::SnappyFramed => "x-snappy-framed",
            Coding::Lz4 => "lz4",
        }
    }

    /// Undoes it: at most `limit` bytes, each of which `held` pays for.
    pub fn inflate(self, body: &[u8], limit: u64, held: &mut Held) -> Result<Vec<u8>, Refusal> {
        let broken =
            |error: std::io::Error| Refusal::invalid(format!("the body is not valid {}: {error}", self.name()));
        match self {
            Coding::Identity => drain(body, limit, held),
            Coding::Gzip => drain(flate2::read::MultiGzDecoder::new(body), limit, held),
            Coding::Deflate => drain(flate2::read::ZlibDecoder::new(body), limit, held),
            Coding::SnappyFramed => drain(snap::read::FrameDecoder::new(body), limit, held),
            Coding::Lz4 if !is_whole_frame(body) => {
                return Err(Refusal::invalid("the body is not valid lz4: it is not one whole frame"));
            }
            Coding::Lz4 => drain(lz4_flex::frame::FrameDecoder::new(body), limit, held),
            // Senders say `snappy` for both of its formats.
            Coding::Snappy if body.starts_with(SNAPPY_STREAM) => {
                drain(snap::read::FrameDecoder::new(body), limit, held)
            }
            Coding::Snappy => return snappy_block(body, limit, held),
            Coding::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(broken)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(broken)?;
                drain(decoder, limit, held)
            }
        }
        .map_err(|failed| failed.explain(broken))
    }
}

/// Why a stream did not come to its end.
enum Failed {
    Broken(std::io::Error),
    Refused(Refusal),
}

impl Failed {
    fn explain(self, broken: impl FnOnce(std::io::Error) -> Refusal) -> Refusal {
        match self {
            Failed::Broken(error) => broken(error),
            Failed::Refused(refusal) => refusal,
        }
    }
}

/// Reads a stream to its end.
fn drain(mut stream: impl Read, limit: u64, held: &mut Held) -> Result<Vec<u8>, Failed> {
    let mut out = Vec::new();
    let mut step = vec![0; STEP];
    loop {
        let count = match stream.read(&mut step) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failed::Broken(error)),
        };
        if out.len() as u64 + count as u64 > limit {
            return Err(Failed::Refused(Refusal::too_large(limit)));
        }
        let before = out.capacity();
        out.extend_from_slice(step.get(..count).unwrap_or_default());
        held.grow((out.capacity() - before) as u64).map_err(Failed::Refused)?;
    }
    // The empty body is no stream in any of these formats, though some decoders take it for one.
    Ok(out)
}

/// Whether a body is one LZ4 frame from its beginning to its end. The decoder takes a frame that breaks off between two
/// blocks for whole, and what is missing may be spans.
fn is_whole_frame(body: &[u8]) -> bool {
    body.starts_with(&LZ4_FRAME) && behind_end_mark(body).is_some_and(|(rest, checksum)| rest.len() == checksum)
}

/// What follows the end mark of an LZ4 frame, and the bytes of checksum that should stand there; `None` without the mark.
fn behind_end_mark(body: &[u8]) -> Option<(&[u8], usize)> {
    let (&[_, _, _, _, flags, _], rest) = body.split_first_chunk::<6>()?;
    let when = |flag: u8, bytes: usize| if flags & flag == 0 { 0 } else { bytes };
    let (content_size, dictionary, block_checksum, content_checksum) =
        (when(0x08, 8), when(0x01, 4), when(0x10, 4), when(0x04, 4));
    let mut rest = rest.get(content_size + dictionary + 1..)?;
    loop {
        let (len, behind) = rest.split_first_chunk::<4>()?;
        // The highest bit says that the block is not compressed.
        match u32::from_le_bytes(*len) & 0x7fff_ffff {
            0 => return Some((behind, content_checksum)),
            len => rest = behind.get(len as usize + block_checksum..)?,
        }
    }
}

fn snappy_block(body: &[u8], limit: u64, held: &mut Held) -> Result<Vec<u8>, Refusal> {
    let broken = |error: snap::Error| Refusal::invalid(format!("the body is not valid snappy: {error}"));
    let len = snap::raw::decompress_len(body).map_err(broken)?;
    if len as u64 > limit {
        return Err(Refusal::too_large(limit));
    }
    // A block of n bytes makes at most about 22 n: a claim beyond that is a lie, and nothing is reserved for it.
    if len > body.len().saturating_mul(64) {
        return Err(Refusal::invalid("the body is not valid snappy: it claims to be larger than it can be"));
    }
    held.grow(len as u64)?;
    snap::raw::Decoder::new().decompress_vec(body).map_err(broken)
}

/// An empty body that says it is compressed.
pub fn empty(coding: Coding) -> Refusal {
    Refusal::new(Kind::Invalid, format!("the body is empty, which is not valid {}", coding.name()))
}

#[cfg(test)]
mod tests {
    use super::super::admission::Admission;
    use super::*;
    use std::io::Write;
    use std::sync::Arc;

    fn packed(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        match coding {
            Coding::Identity => bytes.to_vec(),
            Coding::Gzip => {
                let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                out.write_all(bytes).unwrap();
                out.finish().unwrap()
            }
            Coding::Deflate => {
                let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                out.write_all(bytes).unwrap();
                out.finish().unwrap()
            }
            Coding::Zstd => zstd::encode_all(bytes, 1).unwrap(),
            Coding::Snappy => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
            Coding::SnappyFramed => {
                let mut out = snap::write::FrameEncoder::new(Vec::new());
                out.write_all(bytes).unwrap();
                out.into_inner().unwrap()
            }
            Coding::Lz4 => {
                let mut out = lz4_flex::frame::FrameEncoder::new(Vec::new());
                out.write_all(bytes).unwrap();
                out.finish().unwrap()
            }
        }
    }

    const ALL: [Coding; 7] = [
        Coding::Identity,
        Coding::Gzip,
        Coding::Deflate,
        Coding::Zstd,
        Coding::Snappy,
        Coding::SnappyFramed,
        Coding::Lz4,
    ];

    async fn held() -> (Arc<Admission>, Held) {
        let door = Admission::new(1, 16 << 20, Arc::default());
        let held = door.enter().await.unwrap();
        (door, held)
    }

    #[tokio::test]
    async fn h_01_every_coding_has_the_limit_to_the_byte() {
        let (_door, mut held) = held().await;
        let text: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        for coding in ALL {
            assert_eq!(Coding::of_http(coding.name()), Some(coding));
            let body = packed(coding, &text);
            let limit = text.len() as u64;
            assert_eq!(coding.inflate(&body, limit, &mut held).unwrap(), text, "{coding:?}");
            held.shrink(u64::MAX);
            let over = coding.inflate(&body, limit - 1, &mut held).unwrap_err();
            assert_eq!(over.http(), 413, "{coding:?}");
            held.shrink(u64::MAX);
        }
    }

    #[tokio::test]
    async fn r_07_corrupt_bodies_are_invalid_in_every_coding() {
        let (_door, mut held) = held().await;
        let text = b"a trace, or something like it, again and again and again and again".repeat(50);
        for coding in ALL.into_iter().filter(|&coding| coding != Coding::Identity) {
            let body = packed(coding, &text);
            for broken in [&b"not compressed at all"[..], &body[..body.len() / 2], &body[..body.len() - 1]] {
                let refusal = coding.inflate(broken, 1 << 20, &mut held).unwrap_err();
                assert_eq!(refusal.http(), 400, "{coding:?} {refusal:?}");
            }
        }
    }

    #[tokio::test]
    async fn t_04_snappy_is_told_by_its_beginning() {
        let (_door, mut held) = held().await;
        let body = packed(Coding::SnappyFramed, b"either format");
        assert_eq!(Coding::Snappy.inflate(&body, 100, &mut held).unwrap(), b"either format");
        let body = packed(Coding::Snappy, b"either format");
        assert_eq!(Coding::Snappy.inflate(&body, 100, &mut held).unwrap(), b"either format");
    }

    #[tokio::test]
    async fn r_07_an_lz4_frame_must_have_its_end() {
        let (_door, mut held) = held().await;
        let mut info = lz4_flex::frame::FrameInfo::new();
        info.block_size = lz4_flex::frame::BlockSize::Max64KB;
        for (content_checksum, block_checksums) in [(false, false), (true, true)] {
            (info.content_checksum, info.block_checksums) = (content_checksum, block_checksums);
            let mut out = lz4_flex::frame::FrameEncoder::with_frame_info(info.clone(), Vec::new());
            out.write_all(&vec![7; 200_000]).unwrap();
            let whole = out.finish().unwrap();
            assert_eq!(Coding::Lz4.inflate(&whole, 1 << 20, &mut held).unwrap().len(), 200_000);
            for len in 0..whole.len() {
                assert!(Coding::Lz4.inflate(&whole[..len], 1 << 20, &mut held).is_err(), "{len} of {}", whole.len());
            }
            assert!(Coding::Lz4.inflate(&[&whole[..], &[0]].concat(), 1 << 20, &mut held).is_err());
        }
    }

    #[tokio::test]
    async fn h_02_h_03_claims_reserve_nothing() {
        let (_door, mut held) = held().await;
        // Snappy's header says 4 GiB - 1.
        let claim = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0];
        assert_eq!(Coding::Snappy.inflate(&claim, 64 << 20, &mut held).unwrap_err().http(), 413);
        assert_eq!(Coding::Snappy.inflate(&claim, u64::MAX, &mut held).unwrap_err().http(), 400);
        // A zstd frame with a window of 2 GiB: magic, descriptor, window descriptor (exponent 21), last empty block.
        let window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0x00, 0x00];
        assert_eq!(Coding::Zstd.inflate(&window, 64 << 20, &mut held).unwrap_err().http(), 400);
        // The budget counts although the limit would allow more.
        let zeros = packed(Coding::Zstd, &vec![0; 20 << 20]);
        assert_eq!(Coding::Zstd.inflate(&zeros, 64 << 20, &mut held).unwrap_err().http(), 503);
    }

    #[test]
    fn t_05_names_are_those_of_the_collector() {
        assert_eq!(Coding::of_http(" GZIP "), Some(Coding::Gzip));
        assert_eq!(Coding::of_http("identity"), Some(Coding::Identity));
        assert_eq!(Coding::of_http("zlib"), Some(Coding::Deflate));
        assert_eq!(Coding::of_http("gzip, gzip"), None);
        assert_eq!(Coding::of_http("br"), None);
        assert_eq!(Coding::of_grpc("deflate"), None);
        assert_eq!(Coding::of_grpc("snappy"), Some(Coding::SnappyFramed));
    }
}
