//! Tells what an input is by its first bytes.
//!
//! The order matters: magic numbers cannot be anything else, JSON begins with a bracket, a 4-byte length is believed
//! if what follows looks like `TracesData`, and bare protobuf comes last because it has no magic at all. Formats that
//! are known and not read are named, so that nobody is told "0 spans".

use super::ReadError;
use super::context::InputFormat;
use super::decompress::Codec;
use super::framing::Layout;
use crate::model::wire::{Field, Fields, read_varint};

/// The first bytes of a zstd frame.
pub(super) const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];

/// How many bytes are looked at.
pub(super) const PEEK_BYTES: usize = 4096;

/// What can be read, as advice.
pub(super) const FORMATS_HINT: &str = "spandiff reads OTLP (protobuf, JSON, JSON lines), Tempo, Jaeger and Zipkin v2 \
     JSON, Go stdouttrace and Python console JSON, each also gzip or zstd compressed";

/// What the decompressed bytes are.
#[derive(Debug)]
pub(super) enum Content {
    /// Nothing but white space, or nothing at all: valid, and without spans.
    Empty,
    /// Some JSON.
    Json,
    /// OTLP protobuf.
    Proto(Layout),
}

/// The compression that the first bytes show.
pub(super) fn codec(head: &[u8]) -> Codec {
    if head.starts_with(&GZIP_MAGIC) {
        Codec::Gzip
    } else if head.starts_with(&ZSTD_MAGIC) || skippable_frame(head) {
        Codec::Zstd
    } else {
        Codec::None
    }
}

/// zstd frames may be preceded by frames of user data, `184D2A50` to `184D2A5F` in little endian.
fn skippable_frame(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// Whether the first character that is not white space opens a JSON document.
///
/// A message whose first field is 123 or 91 bytes long begins with a line feed and a bracket too. It has control
/// characters among its first bytes, which JSON never has.
pub(super) fn is_json(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(&BOM).unwrap_or(bytes);
    let head = bytes.get(..PEEK_BYTES).unwrap_or(bytes);
    matches!(text.trim_ascii_start(), [b'{' | b'[', ..])
        && !(bytes.starts_with(b"\n") && !head.iter().all(is_text) && is_bare(head))
}

/// Whether a byte can stand in text of one byte a character or more.
const fn is_text(byte: &u8) -> bool {
    !byte.is_ascii_control() || matches!(byte, b'\n' | b'\r' | b'\t')
}

/// What decompressed bytes are, given the first [`PEEK_BYTES`] of them. What the user said decides where it can.
///
/// # Errors
/// [`ReadError::Unsupported`] for a known format that is not read, [`ReadError::NotATrace`] for anything else.
pub(super) fn content(head: &[u8], said: Option<InputFormat>) -> Result<Content, ReadError> {
    match said {
        Some(InputFormat::OtlpProto) if is_framed(head) => return Ok(Content::Proto(Layout::Framed)),
        Some(InputFormat::OtlpProto) => return Ok(Content::Proto(Layout::Bare)),
        Some(_) => return Ok(Content::Json),
        None => {}
    }
    let text = head.strip_prefix(&BOM).unwrap_or(head).trim_ascii_start();
    if text.is_empty() {
        return Ok(Content::Empty);
    }
    if is_json(head) {
        return Ok(Content::Json);
    }
    if let Some((name, hint)) = known_magic(head) {
        return Err(ReadError::Unsupported { name: name.to_owned(), hint: hint.to_owned() });
    }
    if let Some(error) = text_error(head) {
        return Err(error);
    }
    if is_bare(head) {
        return Ok(Content::Proto(Layout::Bare));
    }
    if is_framed(head) {
        return Ok(Content::Proto(Layout::Framed));
    }
    if let Some((name, hint)) = known_structure(head) {
        return Err(ReadError::Unsupported { name: name.to_owned(), hint: hint.to_owned() });
    }
    Err(not_a_trace("no trace format is recognised", FORMATS_HINT))
}

fn not_a_trace(what: &str, hint: &str) -> ReadError {
    ReadError::NotATrace { what: what.to_owned(), at: 0, hint: hint.to_owned() }
}

/// Whether `bytes` begin like a `TracesData`: its first field is a `ResourceSpans` that begins with one of its fields.
fn is_bare(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    if read_varint(&mut rest) != Ok(0x0a) {
        return false;
    }
    let Ok(len) = read_varint(&mut rest) else { return bytes.len() < 11 };
    let inside = usize::try_from(len).ok().and_then(|len| rest.get(..len)).unwrap_or(rest);
    let mut inner = inside;
    match read_varint(&mut inner) {
        // An empty message, or one that is cut right here.
        Err(_) => len == 0 || rest.is_empty(),
        // resource, scope_spans, schema_url, instrumentation_library_spans.
        Ok(tag @ (0x0a | 0x12 | 0x1a | 8002)) => {
            let Ok(inner_len) = read_varint(&mut inner) else { return inner.len() < 10 };
            inner_len <= len && (tag != 0x0a || is_resource(inner, inner_len))
        }
        Ok(_) => false,
    }
}

/// Whether a message begins like a `Resource`: attributes, a count, entity references or nothing. This tells OTLP
/// from pprof and Jaeger's own protobuf.
fn is_resource(bytes: &[u8], len: u64) -> bool {
    let mut rest = usize::try_from(len).ok().and_then(|len| bytes.get(..len)).unwrap_or(bytes);
    match read_varint(&mut rest) {
        Err(_) => rest.is_empty(),
        Ok(0x0a) => {
            let Ok(pair_len) = read_varint(&mut rest) else { return rest.len() < 10 };
            // The attribute begins with its key, its value or not at all.
            pair_len <= len && (pair_len == 0 || matches!(rest.first(), None | Some(0x0a | 0x12)))
        }
        Ok(0x10 | 0x1a) => true,
        Ok(_) => false,
    }
}

/// Whether a 4-byte length stands before something that can be a frame.
fn is_framed(head: &[u8]) -> bool {
    let Some((len, rest)) = head.split_first_chunk::<4>() else { return false };
    let len = u32::from_be_bytes(*len);
    if len == 0 {
        // An empty message: the next frame decides, or nothing follows.
        return rest.is_empty() || is_framed_after_empty(rest);
    }
    let content = rest.get(..len as usize).unwrap_or(rest);
    content.starts_with(&ZSTD_MAGIC) || is_bare(content) || is_json(content) && content.len() > 1
}

fn is_framed_after_empty(rest: &[u8]) -> bool {
    let frames = rest.chunks_exact(4).take_while(|frame| **frame == [0; 4]).count();
    rest.get(frames * 4..).is_some_and(|rest| rest.len() < 4 || !rest.starts_with(&[0; 4]) && is_framed(rest))
}

const CONVERT: &str = "export the trace as OTLP or Jaeger JSON instead";
const EXTRACT: &str = "unpack it and give the files inside";
const RECOMPRESS: &str = "decompress it first; spandiff reads gzip and zstd";

/// Formats that begin with a magic number.
fn known_magic(head: &[u8]) -> Option<(&'static str, &'static str)> {
    const MAGIC: &[(&[u8], &str, &str)] = &[
        (&[0xfd, b'7', b'z', b'X', b'Z', 0], "an xz file", RECOMPRESS),
        (b"BZh", "a bzip2 file", RECOMPRESS),
        (&[0x04, 0x22, 0x4d, 0x18], "an lz4 frame", RECOMPRESS),
        (&[0xff, 6, 0, 0, b's', b'N', b'a', b'P', b'p', b'Y'], "a snappy stream", RECOMPRESS),
        (&[b'P', b'K', 3, 4], "a zip archive", EXTRACT),
        (&[b'7', b'z', 0xbc, 0xaf], "a 7-Zip archive", EXTRACT),
        (b"PAR1", "a Parquet file", CONVERT),
        (b"ARROW1", "an Arrow file", CONVERT),
        (&[b'O', b'b', b'j', 1], "an Avro file", CONVERT),
        (b"SQLite format 3\0", "an SQLite database", CONVERT),
        (&[0xd4, 0xc3, 0xb2, 0xa1], "a network capture (pcap)", CONVERT),
        (&[0x0a, 0x0d, 0x0d, 0x0a], "a network capture (pcapng)", CONVERT),
        (&[0x7f, b'E', b'L', b'F'], "a program (ELF)", FORMATS_HINT),
        (b"%PDF", "a PDF document", CONVERT),
        (&[0x89, b'P', b'N', b'G'], "a picture (PNG)", CONVERT),
        (&[0xff, 0xfe], "UTF-16 text", "save it as UTF-8 (in PowerShell: `Out-File -Encoding utf8`)"),
        (&[0xfe, 0xff], "UTF-16 text", "save it as UTF-8"),
    ];
    if head.get(257..262) == Some(b"ustar") {
        return Some(("a tar archive", EXTRACT));
    }
    MAGIC.iter().find(|(magic, ..)| head.starts_with(magic)).map(|(_, name, hint)| (*name, *hint))
}

/// Binary trace and profile formats without a magic number, told by their first fields.
fn known_structure(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let zipkin = "export it from Zipkin's API as v2 JSON instead";
    let contains = |word: &[u8]| head.windows(word.len()).any(|window| window == word);
    match head {
        // A thrift list of structures whose first field is the 64-bit trace id.
        [0x0c, 0, _, _, _, 0x0a, 0, 1, ..] => Some(("Zipkin v1 thrift", zipkin)),
        [0x0c, 0, 1, 0x0b, 0, 1, ..] | [0x1c, 0x18, ..] => Some(("Jaeger thrift", "export it from Jaeger as JSON")),
        _ if contains(b"emitBatch") => Some(("Jaeger thrift", "export it from Jaeger as JSON")),
        [0x91..=0x9f | 0xdc | 0xdd, ..] if contains(b"trace_id") => Some(("Datadog msgpack", CONVERT)),
        [0x0a, ..] => known_protobuf(head),
        _ => None,
    }
}

fn known_protobuf(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let Ok(Some((1, Field::Bytes(first)))) = Fields::new(head).next_field() else { return None };
    let mut fields = Fields::new(first);
    match fields.next_field() {
        // A list of spans that begin with their trace id: Zipkin's, or Jaeger's own model one level down.
        Ok(Some((1, Field::Bytes(id)))) if id.len() == 16 || id.len() == 8 => match fields.next_field() {
            Ok(Some((2, Field::Bytes(id)))) if id.len() == 8 => {
                Some(("Jaeger protobuf", "export it from Jaeger as JSON"))
            }
            Ok(Some((2 | 3, Field::Bytes(_)))) => Some(("Zipkin protobuf", "export it from Zipkin as v2 JSON")),
            _ => None,
        },
        // sample_type { type, unit } as indices into the string table.
        Ok(Some((1, Field::Varint(_)))) if first.len() <= 8 => {
            Some(("a pprof profile", "spandiff compares traces, not profiles"))
        }
        Ok(Some((8 | 10, Field::Varint(_)) | (6, Field::Bytes(_)))) => {
            Some(("a Perfetto trace or another protobuf", CONVERT))
        }
        _ => None,
    }
}

/// An error for text. Protobuf of traces never gets through its first attribute without a control character.
fn text_error(head: &[u8]) -> Option<ReadError> {
    let valid = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && head.len() == PEEK_BYTES,
    };
    if !valid || !head.iter().all(is_text) {
        return None;
    }
    let text = head.trim_ascii_start();
    let lower = text.get(..text.len().min(64)).unwrap_or_default().to_ascii_lowercase();
    let first_line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    Some(if lower.starts_with(b"<!doctype html") || lower.starts_with(b"<html") {
        not_a_trace("this is an HTML page, not a trace", "was a login or error page saved instead of the download?")
    } else if lower.starts_with(b"<") {
        not_a_trace("this is XML, not a trace", FORMATS_HINT)
    } else if first_line.iter().filter(|&&byte| byte == b',' || byte == b'\t').count() >= 2 {
        not_a_trace("this looks like a table (CSV), not a trace", CONVERT)
    } else {
        not_a_trace("this is text, not a trace", FORMATS_HINT)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(head: &[u8]) -> String {
        match content(head, None) {
            Err(error) => error.to_string(),
            Ok(content) => format!("{content:?}"),
        }
    }

    #[test]
    fn known_formats_that_are_not_read_are_named() {
        for (head, name) in [
            (&b"PK\x03\x04rest"[..], "a zip archive"),
            (b"PAR1....", "a Parquet file"),
            (b"\xfd7zXZ\0...", "an xz file"),
            (b"\x04\x22\x4d\x18....", "an lz4 frame"),
            (b"\xff\x06\0\0sNaPpY....", "a snappy stream"),
            (b"\xff\xfe{\0\"\0", "UTF-16 text"),
            (b"\x0c\0\0\0\x01\x0a\0\x01\x11\x22\x33\x44\x55\x66\x77\x88", "Zipkin v1 thrift"),
            (b"\x91\x92\x8c\xa8trace_id\xcf", "Datadog msgpack"),
            (b"\x0a\x04\x08\x01\x10\x02\x0a\x04\x08\x03\x10\x04", "a pprof profile"),
        ] {
            assert_eq!(error_of(head), format!("this is {name}, which spandiff does not read"));
        }
        let mut tar = vec![b'x'; 512];
        tar.splice(257..262, *b"ustar");
        assert!(error_of(&tar).contains("a tar archive"));
        let jaeger = [&[0x0a, 28, 0x0a, 16][..], &[7; 16], &[0x12, 8], &[9; 8]].concat();
        assert!(error_of(&jaeger).contains("Jaeger protobuf"), "{}", error_of(&jaeger));
    }

    #[test]
    fn text_that_is_no_trace_gets_an_explanation() {
        for (head, what) in [
            (&b"hello"[..], "this is text"),
            (b"\nhello", "this is text"),
            (b"<!DOCTYPE html><html>", "an HTML page"),
            (b"<?xml version=\"1.0\"?>", "XML"),
            (b"trace_id,span_id,name\n1,2,x\n", "a table (CSV)"),
        ] {
            assert!(error_of(head).contains(what), "{}", error_of(head));
        }
        assert_eq!(error_of(&[0x99, 0x01, 0x02]), "no trace format is recognised at byte 0");
    }

    #[test]
    fn bare_and_framed_protobuf_are_told_apart() {
        let bare = [0x0a, 2, 0x0a, 0];
        assert!(matches!(content(&bare, None), Ok(Content::Proto(Layout::Bare))));
        let framed = [&[0, 0, 0, 4][..], &bare].concat();
        assert!(matches!(content(&framed, None), Ok(Content::Proto(Layout::Framed))));
        let after_empty = [&[0, 0, 0, 0][..], &framed].concat();
        assert!(matches!(content(&after_empty, None), Ok(Content::Proto(Layout::Framed))));
        // A frame of 0x0a...... bytes begins like a bare message.
        let long = [&[0x0a, 0, 0, 4][..], &bare].concat();
        assert!(matches!(content(&long, None), Ok(Content::Proto(_))));
        let zstd = [&[0, 0, 0, 9][..], &ZSTD_MAGIC].concat();
        assert!(matches!(content(&zstd, None), Ok(Content::Proto(Layout::Framed))));
    }

    #[test]
    fn json_is_seen_behind_white_space_and_a_byte_order_mark() {
        for head in
            [&b"{"[..], b" \n[", b"\xef\xbb\xbf{}", b"\xef\xbb\xbf\n[", b"\n{\n \"a\": 1}", b"\n{\n\n\n\n\n\n\n"]
        {
            assert!(matches!(content(head, None), Ok(Content::Json)));
        }
        // 123 bytes of protobuf, not a line feed and a brace.
        let proto = [&b"\n{\n\x00"[..], &[0x12, 119], &[0x12; 119]].concat();
        assert!(matches!(content(&proto, None), Ok(Content::Proto(Layout::Bare))));
        assert!(matches!(content(b" \r\n", None), Ok(Content::Empty)));
        assert!(matches!(content(b"", None), Ok(Content::Empty)));
    }
}
