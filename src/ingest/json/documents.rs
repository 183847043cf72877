//! Cuts a stream into its top-level JSON values, holding one of them in memory at a time.
//!
//! The scanner keeps its state between reads, so that a document of any size is scanned once. It knows only strings
//! and brackets, and two things that no JSON can hold: a line break inside a string, and a bracket that opens where
//! no value may stand. Both mean that a record was cut (a writer that crashed or was killed and went on later); then
//! the next line that begins with `{` or `[` is taken for the next record.
//!
//! Most files hold one document a line, or one in all. So a line is first offered as it is: whoever parses it finds
//! out whether it is one document, without scanning it before ([`Documents::accept`]).

use super::tokens::line_stop;
use crate::ingest::ReadError;
use std::io::Read;
use std::ops::Range;

/// Bytes that are read in one step.
const CHUNK: usize = 256 << 10;

/// Bytes of a line that is offered unscanned; longer ones are scanned.
const LONGEST_OFFER: usize = 64 << 20;

/// What comes next in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A line, or all that is left, which may begin with a whole value: to be accepted, or [`Documents::next`] scans it.
    Offer(Range<usize>),
    /// A whole value, at these places of the buffer.
    Document(Range<usize>),
    /// Bytes that are no value, passed over.
    Broken {
        /// Offset of the first.
        at: u64,
        /// Its line, counted from 1.
        line: u64,
        /// How many.
        bytes: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// The stream ends inside of a value.
    Cut {
        /// Offset of the value.
        at: u64,
        /// Its line, counted from 1.
        line: u64,
        /// Bytes of it that are there.
        bytes: u64,
    },
    /// Nothing more.
    End,
}

/// How far a value was scanned.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    at: usize,
    depth: u64,
    in_string: bool,
}

enum Step {
    Whole(usize),
    More,
    Illegal(usize, &'static str),
}

/// The values of a stream.
pub(super) struct Documents<'r> {
    input: &'r mut dyn Read,
    buffer: Vec<u8>,
    /// Offset of the buffer in the stream.
    base: u64,
    /// Up to where in the buffer line breaks were counted, and how many there are in the stream up to there.
    counted: (usize, u64),
    start: usize,
    scan: Scan,
    ended: bool,
    failure: Option<std::io::Error>,
    /// The limit on one value.
    most: u64,
    /// Whether lines are offered, and whether the one at `start` was.
    offers: bool,
    offered: bool,
    /// Bytes that may still be scanned a second time in search of the next record: bounds the work on hostile input.
    second_looks: u64,
}

impl<'r> Documents<'r> {
    /// The values of `input`, each at most `most` bytes long.
    pub(super) fn new(input: &'r mut dyn Read, most: u64) -> Self {
        Documents {
            input,
            buffer: Vec::new(),
            base: 0,
            counted: (0, 0),
            start: 0,
            scan: Scan::default(),
            ended: false,
            failure: None,
            most: most.min(u64::from(u32::MAX)),
            offers: true,
            offered: false,
            second_looks: 1 << 20,
        }
    }

    /// The bytes at a range of the buffer.
    pub(super) fn bytes(&self, range: &Range<usize>) -> &[u8] {
        self.buffer.get(range.clone()).unwrap_or_default()
    }

    /// Offset in the stream and line of a place in the buffer. Places are asked for in their order, so that each
    /// line break is counted once.
    pub(super) fn place(&mut self, at: usize) -> (u64, u64) {
        let new = self.buffer.get(self.counted.0..at).unwrap_or_default();
        self.counted = (self.counted.0.max(at), self.counted.1 + line_breaks(new));
        (self.base + at as u64, self.counted.1 + 1)
    }

    /// The error with which the stream ended, if it did.
    pub(super) fn failure(&mut self) -> Option<std::io::Error> {
        self.failure.take()
    }

    /// The next piece.
    pub(super) fn next(&mut self) -> Result<Piece, ReadError> {
        loop {
            match self.begin() {
                None if self.ended => return Ok(Piece::End),
                None => self.fill(),
                Some(b'{' | b'[') => break,
                Some(_) => {
                    let start = self.start;
                    return Ok(self.pass_over(start, "not JSON"));
                }
            }
        }
        if self.offers
            && !self.offered
            && let Some(range) = self.line()
        {
            self.offered = true;
            return Ok(Piece::Offer(range));
        }
        self.scan = Scan { at: self.start, depth: 0, in_string: false };
        loop {
            match self.step() {
                Step::Whole(end) => {
                    let range = self.start..end;
                    self.check_size(end)?;
                    self.go(end);
                    return Ok(Piece::Document(range));
                }
                Step::Illegal(at, why) => return Ok(self.pass_over(at, why)),
                Step::More => {
                    self.check_size(self.buffer.len())?;
                    if self.ended {
                        return Ok(self.cut());
                    }
                    self.fill();
                }
            }
        }
    }

    /// Takes the first `bytes` of the line that was offered for a document.
    pub(super) fn accept(&mut self, offer: &Range<usize>, bytes: usize) {
        // Several documents on a line: each offer would look at all of them again.
        self.offers = offer.start + bytes >= offer.end;
        self.go(offer.start + bytes);
    }

    fn go(&mut self, start: usize) {
        self.start = start;
        self.offered = false;
    }

    /// The rest of the line at hand, or all that is left when there is no other line.
    fn line(&mut self) -> Option<Range<usize>> {
        let mut searched = 0;
        loop {
            let rest = self.buffer.get(self.start + searched..).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', rest) {
                return Some(self.start..self.start + searched + end);
            }
            searched += rest.len();
            if searched > LONGEST_OFFER || searched as u64 > self.most {
                self.offers = false;
                return None;
            }
            if self.ended {
                return Some(self.start..self.buffer.len());
            }
            self.fill();
        }
    }

    /// Passes over what may stand between values; the byte behind it.
    fn begin(&mut self) -> Option<u8> {
        if self.base == 0 && self.start == 0 && self.buffer.starts_with(b"\xef\xbb\xbf") {
            self.start = 3;
        }
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        // 0x1e begins a record of RFC 7464; a comma is left when the array around its elements was cut.
        let space = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | 0x1e | b',')).count();
        self.start += space;
        rest.get(space).copied()
    }

    fn check_size(&mut self, end: usize) -> Result<(), ReadError> {
        let bytes = (end - self.start) as u64;
        if bytes <= self.most {
            return Ok(());
        }
        let (at, line) = self.place(self.start);
        let what = format!("the JSON document at byte {at} (line {line}), of {bytes} bytes or more,");
        Err(ReadError::Limit { what, name: "record_bytes", limit: self.most })
    }

    /// Reads on, after it has thrown away what is done with.
    fn fill(&mut self) {
        if self.start > 0 && self.start >= self.buffer.len() / 2 {
            self.place(self.start);
            self.counted.0 -= self.start;
            self.base += self.start as u64;
            self.buffer.drain(..self.start);
            self.scan.at = self.scan.at.saturating_sub(self.start);
            self.start = 0;
        }
        match (&mut *self.input).take(CHUNK as u64).read_to_end(&mut self.buffer) {
            Ok(read) => {
                self.ended = read < CHUNK;
                self.second_looks += 4 * read as u64;
            }
            Err(error) => {
                self.ended = true;
                self.failure = Some(error);
            }
        }
    }

    /// Scans on, until the value ends or the buffer does.
    fn step(&mut self) -> Step {
        let bytes = self.buffer.as_slice();
        let Scan { mut at, mut depth, mut in_string } = self.scan;
        loop {
            if in_string {
                at = line_stop(bytes, at);
                match bytes.get(at) {
                    Some(b'"') => at += 1,
                    Some(b'\n') => return Step::Illegal(at, "a line break in a string"),
                    Some(_) if at + 1 < bytes.len() => {
                        at += 2;
                        continue;
                    }
                    _ => {
                        self.scan = Scan { at: at.min(bytes.len()), depth, in_string };
                        return Step::More;
                    }
                }
            }
            in_string = false;
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(found) = rest.iter().position(|byte| STRUCTURE.contains(byte)) else {
                self.scan = Scan { at: bytes.len(), depth, in_string };
                return Step::More;
            };
            at += found;
            match bytes.get(at) {
                Some(b'"') => in_string = true,
                Some(b'{' | b'[') => {
                    if depth > 0 && !value_may_follow(bytes.get(..at).unwrap_or_default()) {
                        return Step::Illegal(at, "a bracket where no value may stand");
                    }
                    depth += 1;
                }
                _ => depth -= 1,
            }
            at += 1;
            if depth == 0 {
                return Step::Whole(at);
            }
        }
    }

    /// Passes over a record that is broken at `wrong`, up to the next line that may begin one.
    fn pass_over(&mut self, wrong: usize, why: &'static str) -> Piece {
        let (at, line) = self.place(self.start);
        let mut bytes = 0;
        let twice = (wrong - self.start) as u64;
        let mut from = self.start;
        match self.second_looks.checked_sub(twice) {
            Some(left) => self.second_looks = left,
            None => from = wrong,
        }
        loop {
            if let Some(next) = next_record(&self.buffer, from) {
                bytes += (next - self.start) as u64;
                self.go(next);
                return Piece::Broken { at, line, bytes, why };
            }
            // The last byte may be the line break that a record follows.
            let keep = usize::from(!self.ended && self.buffer.last() == Some(&b'\n'));
            let end = self.buffer.len() - keep;
            bytes += end.saturating_sub(self.start) as u64;
            self.go(end.max(self.start));
            if self.ended {
                return Piece::Broken { at, line, bytes, why };
            }
            self.fill();
            from = self.start;
        }
    }

    /// The stream ended inside of a value: either that is its cut end, or a record before was cut and swallowed others.
    fn cut(&mut self) -> Piece {
        let end = self.buffer.len();
        let bytes = (end - self.start) as u64;
        if let Some(left) = self.second_looks.checked_sub(bytes)
            && next_record(&self.buffer, self.start).is_some()
        {
            self.second_looks = left;
            return self.pass_over(self.start, "a bracket is never closed");
        }
        let (at, line) = self.place(self.start);
        self.go(end);
        Piece::Cut { at, line, bytes }
    }
}

const STRUCTURE: [u8; 5] = *b"\"{}[]";

/// Whether a value may follow behind `before`, by its last byte that is not white space.
fn value_may_follow(before: &[u8]) -> bool {
    let last = before.iter().rev().find(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
    matches!(last, Some(b'[' | b',' | b':'))
}

/// The first `{` or `[` at the beginning of a line behind `from`.
fn next_record(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    memchr::memchr_iter(b'\n', rest)
        .map(|line_break| from + line_break + 1)
        .find(|&next| matches!(bytes.get(next), Some(b'{' | b'[')))
}

fn line_breaks(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives at most `step` bytes at a time.
    struct Slow<'a> {
        bytes: &'a [u8],
        step: usize,
    }

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.step.min(self.bytes.len()).min(buffer.len());
            let (head, rest) = self.bytes.split_at(count);
            buffer[..count].copy_from_slice(head);
            self.bytes = rest;
            Ok(count)
        }
    }

    /// Documents as text, `!` and a count of bytes for what is broken, `>` for what is cut.
    fn pieces(text: &str) -> Vec<String> {
        let mut input = Slow { bytes: text.as_bytes(), step: 7 };
        let mut documents = Documents::new(&mut input, 1 << 20);
        let mut found = Vec::new();
        loop {
            match documents.next().unwrap() {
                // Not accepted: what is scanned afterwards must not depend on the offer.
                Piece::Offer(_) => {}
                Piece::Document(range) => found.push(String::from_utf8_lossy(documents.bytes(&range)).into_owned()),
                Piece::Broken { line, bytes, .. } => found.push(format!("!{bytes} line {line}")),
                Piece::Cut { line, bytes, .. } => found.push(format!(">{bytes} line {line}")),
                Piece::End => return found,
            }
        }
    }

    #[test]
    fn documents_may_stand_in_any_layout() {
        for (text, expected) in [
            ("", vec![]),
            (" \n\t ", vec![]),
            ("{}", vec!["{}"]),
            ("\u{feff}{}", vec!["{}"]),
            ("{\"a\":1}\n{\"b\":2}\n", vec!["{\"a\":1}", "{\"b\":2}"]),
            ("{\"a\":\"}{\\\"\"}[1]{}", vec!["{\"a\":\"}{\\\"\"}", "[1]", "{}"]),
            ("{\n \"a\": [\n  {},\n{}\n ]\n}\r\n[]", vec!["{\n \"a\": [\n  {},\n{}\n ]\n}", "[]"]),
            ("\u{1e}{}\n\u{1e}{}\n", vec!["{}", "{}"]),
        ] {
            assert_eq!(pieces(text), expected, "{text:?}");
        }
    }

    #[test]
    fn after_a_cut_record_the_next_one_is_found() {
        for (text, expected) in [
            ("{\"a\":[1,\n{\"b\":2}\n{\"c\":3}\n", vec!["!9 line 1", "{\"b\":2}", "{\"c\":3}"]),
            ("{\"a\":\"cut in a str\n{\"b\":2}\n", vec!["!19 line 1", "{\"b\":2}"]),
            ("{}\n{\"a\":1\n{\"b\":2}\n", vec!["{}", "!7 line 2", "{\"b\":2}"]),
            ("log line {\n{\"b\":2}\nmore\n[1]", vec!["!11 line 1", "{\"b\":2}", "!5 line 3", "[1]"]),
            ("{\"b\":2}\n{\"a\":[1,", vec!["{\"b\":2}", ">8 line 2"]),
            ("{\"b\":2}\n{\"a\":\"x\\", vec!["{\"b\":2}", ">8 line 2"]),
            ("garbage", vec!["!7 line 1"]),
            ("[\n{\"a\":1},\n{\"b\":2},\n{\"c\"", vec!["!2 line 1", "{\"a\":1}", "{\"b\":2}", ">4 line 4"]),
        ] {
            assert_eq!(pieces(text), expected, "{text:?}");
        }
    }

    #[test]
    fn lines_are_offered_once_until_one_holds_more_than_a_document() {
        let mut input = "{\"a\":1}\n{}\n{}{}\n{}\n".as_bytes();
        let mut documents = Documents::new(&mut input, 1 << 20);
        for expected in ["{\"a\":1}", "{}"] {
            let Piece::Offer(range) = documents.next().unwrap() else { panic!("no offer") };
            assert_eq!(documents.bytes(&range), expected.as_bytes());
            documents.accept(&range, expected.len());
        }
        let Piece::Offer(range) = documents.next().unwrap() else { panic!("no offer") };
        assert_eq!(documents.bytes(&range), b"{}{}");
        documents.accept(&range, 2);
        for _ in 0..2 {
            assert!(matches!(documents.next().unwrap(), Piece::Document(range) if range.len() == 2));
        }
        assert_eq!(documents.next().unwrap(), Piece::End);
    }

    #[test]
    fn hostile_nesting_is_linear() {
        // Each line could begin a record, and none ends.
        for line in ["[\n", "{\n", "[\"\n", "{}\n["] {
            let text = line.repeat(300_000);
            assert!(!pieces(&text).is_empty());
        }
        assert_eq!(pieces(&("[".repeat(100_000) + &"]".repeat(100_000))).len(), 1);
    }

    #[test]
    fn a_document_over_the_limit_is_an_error_with_its_place() {
        let text = "{}\n[\"".to_owned() + &"x".repeat(2 << 20);
        let mut input = text.as_bytes();
        let mut documents = Documents::new(&mut input, 1 << 20);
        assert_eq!(documents.next().unwrap(), Piece::Offer(0..2));
        assert_eq!(documents.next().unwrap(), Piece::Document(0..2));
        let error = documents.next().unwrap_err().to_string();
        assert!(error.starts_with("the JSON document at byte 3 (line 2)"), "{error}");
        assert!(error.contains("record_bytes"), "{error}");
    }
}
