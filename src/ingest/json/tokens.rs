//! A lenient JSON tokenizer over one document in memory: nothing is built that nobody asks for.
//!
//! Why our own: a trace document is mostly short strings under known keys. Borrowing them, matching keys where they
//! lie and writing values straight into their packed form avoids the trees and the copies that a general parser makes.
//!
//! A failure is the empty [`Broken`], so that results stay in a register; where and why is kept by the cursor.
//! Whole documents are checked for UTF-8 once, before: slices of a `&str` need no further check.

use super::numbers::{Number, parse_number};
use std::borrow::Cow;

/// The document does not go on as it should; [`Cursor::failure`] says where and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// Why a value that is skipped may fail although nothing is wrong with its text.
pub(super) const TOO_DEEP: &str = "nested deeper than the limit json_depth";

/// What reading a piece gives.
pub(super) type Read<T> = Result<T, Broken>;

/// A scalar as it stands in the document.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, not parsed; also the bare words `NaN` and `Infinity`, which some writers use.
    Number(&'a str),
    /// A string without its escapes.
    Text(Cow<'a, str>),
}

/// Walks one document.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    max_depth: u64,
    failure: (usize, &'static str),
    /// Whether broken UTF-8 was replaced in the whole document before.
    repaired: bool,
    /// Texts in which something that is no character was replaced.
    pub(super) bad_texts: u64,
}

impl<'a> Cursor<'a> {
    /// Over `text`; values that are skipped may be `max_depth` levels deep.
    pub(super) fn new(text: &'a str, max_depth: u64, repaired: bool) -> Self {
        Cursor { text, at: 0, max_depth, failure: (0, ""), repaired, bad_texts: 0 }
    }

    /// Where the cursor stands, in bytes.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// Back (or forward) to a place where [`Cursor::at`] was before.
    pub(super) const fn go(&mut self, at: usize) {
        self.at = at;
    }

    /// Where and why the last failure was.
    pub(super) const fn failure(&self) -> (usize, &'static str) {
        self.failure
    }

    /// Remembers a failure here.
    #[cold]
    pub(super) fn fail<T>(&mut self, why: &'static str) -> Read<T> {
        self.failure = (self.at, why);
        Err(Broken)
    }

    /// The document from `from` to the cursor.
    pub(super) fn since(&self, from: usize) -> &'a str {
        self.text.get(from..self.at).unwrap_or_default()
    }

    /// The byte at the cursor, 0 at the end.
    #[inline]
    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// The next byte that is not white space, 0 at the end.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "one load and one comparison")]
    pub(super) fn peek(&mut self) -> u8 {
        let byte = self.byte();
        if byte > b' ' {
            return byte;
        }
        self.peek_behind_space()
    }

    #[inline(never)]
    fn peek_behind_space(&mut self) -> u8 {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let space = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
        self.at += space;
        rest.get(space).copied().unwrap_or(0)
    }

    /// Takes `wanted` if it comes next.
    #[inline]
    pub(super) fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == wanted;
        self.at += usize::from(found);
        found
    }

    /// Takes `null` if it comes next.
    #[inline]
    pub(super) fn take_null(&mut self) -> bool {
        self.peek() == b'n' && self.take_word_null()
    }

    #[inline(never)]
    fn take_word_null(&mut self) -> bool {
        let found = self.text.as_bytes().get(self.at..self.at + 4) == Some(b"null");
        if found {
            self.at += 4;
        }
        found
    }

    /// Begins an object.
    #[inline]
    pub(super) fn enter_object(&mut self) -> Read<()> {
        if self.take(b'{') { Ok(()) } else { self.fail("expected an object") }
    }

    /// The key of the next member of an object that was entered; `None` once it ended. `first` is true before.
    #[inline]
    pub(super) fn next_member(&mut self, first: &mut bool) -> Read<Option<Cow<'a, str>>> {
        match self.peek() {
            b',' if !*first => {
                self.at += 1;
                if self.peek() != b'"' {
                    return self.fail("expected a key");
                }
            }
            b'"' if *first => {}
            b'}' => {
                self.at += 1;
                return Ok(None);
            }
            _ => return self.fail("expected ',' or '}' in an object"),
        }
        *first = false;
        let key = self.quoted()?;
        if !self.take(b':') {
            return self.fail("expected ':' behind a key");
        }
        Ok(Some(key))
    }

    /// Like [`Cursor::next_member`], without members that are `null`: those mean "default", as if they were missing.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see quoted")]
    pub(super) fn next_field(&mut self, first: &mut bool) -> Read<Option<Cow<'a, str>>> {
        loop {
            let key = self.next_member(first)?;
            if key.is_none() || !self.take_null() {
                return Ok(key);
            }
        }
    }

    /// Begins an array.
    #[inline]
    pub(super) fn enter_array(&mut self) -> Read<()> {
        if self.take(b'[') { Ok(()) } else { self.fail("expected an array") }
    }

    /// Whether an element follows in an array that was entered. `first` is true before.
    #[inline]
    pub(super) fn next_element(&mut self, first: &mut bool) -> Read<bool> {
        match self.peek() {
            b']' => {
                self.at += 1;
                Ok(false)
            }
            b',' if !*first => {
                self.at += 1;
                if self.peek() == b']' { self.fail("expected a value behind ','") } else { Ok(true) }
            }
            _ if *first => {
                *first = false;
                Ok(true)
            }
            _ => self.fail("expected ',' or ']' in an array"),
        }
    }

    /// A string.
    #[inline]
    pub(super) fn string(&mut self) -> Read<Cow<'a, str>> {
        if self.peek() == b'"' { self.quoted() } else { self.fail("expected a string") }
    }

    /// A string at whose opening quote the cursor stands.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "its result, four words, would go through memory for each key and text")]
    fn quoted(&mut self) -> Read<Cow<'a, str>> {
        let start = self.at + 1;
        let end = text_stop(self.text.as_bytes(), start);
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return self.escaped(start, end).map(Cow::Owned);
        }
        self.at = end + 1;
        let text = self.text.get(start..end).unwrap_or_default();
        if self.repaired && text.contains(char::REPLACEMENT_CHARACTER) {
            self.bad_texts += 1;
        }
        Ok(Cow::Borrowed(text))
    }

    /// Takes `literal` if it comes next, white space and all.
    #[inline]
    pub(super) fn take_literal(&mut self, literal: &[u8]) -> bool {
        let found = self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(literal));
        self.at += if found { literal.len() } else { 0 };
        found
    }

    /// The rest of a string without escapes, whose opening quote was taken. `None` if it is any other.
    #[inline]
    pub(super) fn plain_text(&mut self) -> Option<&'a str> {
        let (start, end) = (self.at, text_stop(self.text.as_bytes(), self.at));
        if self.repaired || self.text.as_bytes().get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        self.text.get(start..end)
    }

    /// A string with escapes, or one that never ends: `start` is behind its quote, `stop` at its first backslash.
    #[inline(never)]
    fn escaped(&mut self, start: usize, mut stop: usize) -> Read<String> {
        let mut out = String::with_capacity(stop - start + 32);
        let (mut from, mut bad) = (start, false);
        loop {
            out.push_str(self.text.get(from..stop).unwrap_or_default());
            self.at = stop;
            match self.byte() {
                b'"' => break,
                b'\\' => bad |= self.escape(&mut out)?,
                _ => return self.fail("a string does not end"),
            }
            from = self.at;
            stop = text_stop(self.text.as_bytes(), from);
        }
        self.at += 1;
        bad |= self.repaired && out.contains(char::REPLACEMENT_CHARACTER);
        self.bad_texts += u64::from(bad);
        Ok(out)
    }

    /// One escape, at its backslash. True when it is half of a surrogate pair, which becomes U+FFFD.
    fn escape(&mut self, out: &mut String) -> Read<bool> {
        self.at += 1;
        let plain = match self.byte() {
            b'u' => {
                self.at += 1;
                return self.unicode_escape(out);
            }
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            byte @ (b'"' | b'\\' | b'/') => char::from(byte),
            _ => return self.fail("unknown escape in a string"),
        };
        out.push(plain);
        self.at += 1;
        Ok(false)
    }

    /// Behind `\u`.
    fn unicode_escape(&mut self, out: &mut String) -> Read<bool> {
        let Some(first) = self.four_hex() else { return self.fail("expected four hex digits behind \\u") };
        let mut code = u32::from(first);
        if (0xd800..0xdc00).contains(&code) && self.text.as_bytes().get(self.at..self.at + 2) == Some(b"\\u") {
            let back = self.at;
            self.at += 2;
            match self.four_hex() {
                Some(low) if (0xdc00..0xe000).contains(&low) => {
                    code = 0x1_0000 + ((code - 0xd800) << 10) + (u32::from(low) - 0xdc00);
                }
                _ => self.at = back,
            }
        }
        let character = char::from_u32(code);
        out.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
        Ok(character.is_none())
    }

    fn four_hex(&mut self) -> Option<u16> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u16::from_str_radix(digits, 16).ok()
    }

    /// A number or a bare word.
    fn bare(&mut self) -> &'a str {
        let start = self.at;
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        self.at +=
            rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')).count();
        self.since(start)
    }

    /// A scalar; an object or array is a failure.
    pub(super) fn scalar(&mut self) -> Read<Scalar<'a>> {
        if self.peek() == b'"' {
            return self.quoted().map(Scalar::Text);
        }
        let start = self.at;
        Ok(match self.bare() {
            "null" => Scalar::Null,
            "true" => Scalar::Bool(true),
            "false" => Scalar::Bool(false),
            word if parse_number(word).is_some() => Scalar::Number(word),
            _ => {
                self.at = start;
                return self.fail("expected a value");
            }
        })
    }

    /// A whole number, bare or quoted; fractions are cut off, `null` and an empty string are 0.
    #[inline]
    pub(super) fn integer(&mut self) -> Read<i128> {
        let quote = usize::from(self.peek() == b'"');
        let digits = self.text.as_bytes().get(self.at + quote..).unwrap_or_default();
        let mut value = 0u64;
        for (count, byte) in digits.iter().enumerate().take(20) {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 && count < 19 {
                value = value * 10 + u64::from(digit);
                continue;
            }
            let ended =
                if quote == 1 { *byte == b'"' } else { matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r') };
            if count == 0 || !ended {
                break;
            }
            self.at += count + 2 * quote;
            return Ok(i128::from(value));
        }
        self.unusual_integer()
    }

    #[cold]
    fn unusual_integer(&mut self) -> Read<i128> {
        let number = match self.scalar()? {
            Scalar::Null => return Ok(0),
            Scalar::Bool(_) => None,
            Scalar::Number(text) => parse_number(text),
            Scalar::Text(text) if text.is_empty() => return Ok(0),
            Scalar::Text(text) => parse_number(&text),
        };
        match number {
            Some(Number::Whole(whole)) => Ok(whole),
            Some(Number::Real(real)) if real.is_finite() => Ok(real as i128),
            _ => self.fail("expected a whole number"),
        }
    }

    /// Passes over any value that is not too deep.
    #[inline]
    pub(super) fn skip(&mut self) -> Read<()> {
        self.skip_levels(self.max_depth)
    }

    /// Passes over any value, broken inside or not, as long as its strings end and its brackets come in pairs.
    pub(super) fn skip_broken(&mut self) -> Read<()> {
        self.skip_levels(u64::MAX)
    }

    fn skip_levels(&mut self, limit: u64) -> Read<()> {
        match self.peek() {
            b'"' => return self.skip_quoted(),
            b'{' | b'[' => {}
            _ => return self.scalar().map(drop),
        }
        let mut depth = 0u64;
        loop {
            match self.byte() {
                b'"' => {
                    self.skip_quoted()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                0 if self.at >= self.text.len() => return self.fail("a bracket is never closed"),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
            if depth > limit {
                return self.fail(TOO_DEEP);
            }
        }
    }

    fn skip_quoted(&mut self) -> Read<()> {
        self.at += 1;
        loop {
            self.at = text_stop(self.text.as_bytes(), self.at);
            match self.byte() {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => return self.fail("a string does not end"),
            }
        }
        self.at += 1;
        // An escaped character may be of several bytes: the quote behind it is a boundary again.
        Ok(())
    }

    /// Fails unless nothing but white space is left.
    pub(super) fn end(&mut self) -> Read<()> {
        if self.peek() == 0 && self.at >= self.text.len() { Ok(()) } else { self.fail("more text behind the document") }
    }
}

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
const QUOTES: u64 = LOW_BITS * b'"' as u64;
const SLASHES: u64 = LOW_BITS * b'\\' as u64;
const BREAKS: u64 = LOW_BITS * b'\n' as u64;

/// The first `"` or `\` at or behind `from`; the end if there is none.
#[inline]
pub(super) fn text_stop(bytes: &[u8], from: usize) -> usize {
    stop(
        bytes,
        from,
        |word| zero_bytes(word ^ QUOTES) | zero_bytes(word ^ SLASHES),
        |rest| memchr::memchr2(b'"', b'\\', rest),
    )
}

/// Like [`text_stop`], and stops at line breaks too.
#[inline]
pub(super) fn line_stop(bytes: &[u8], from: usize) -> usize {
    let hits = |word| zero_bytes(word ^ QUOTES) | zero_bytes(word ^ SLASHES) | zero_bytes(word ^ BREAKS);
    stop(bytes, from, hits, |rest| memchr::memchr3(b'"', b'\\', b'\n', rest))
}

/// Eight bytes at a time for the usual short string, then `memchr`, which is faster once it runs. `hits` sets the
/// high bit of the lowest byte that is wanted (those of higher bytes may be wrong).
#[inline]
fn stop(bytes: &[u8], from: usize, hits: impl Fn(u64) -> u64, search: impl Fn(&[u8]) -> Option<usize>) -> usize {
    let mut at = from;
    for _ in 0..4 {
        let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) else { break };
        let hit = hits(u64::from_le_bytes(*word)) & HIGH_BITS;
        if hit != 0 {
            return at + (hit.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    search(bytes.get(at..).unwrap_or_default()).map_or(bytes.len(), |found| at + found)
}

/// Marks bytes that are zero with their high bit.
#[inline]
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(LOW_BITS) & !word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(text: &str) -> Cursor<'_> {
        Cursor::new(text, 8, false)
    }

    #[test]
    fn strings_are_borrowed_or_unescaped() {
        for (text, expected, bad) in [
            (r#""plain""#, "plain", 0),
            (r#""""#, "", 0),
            (
                r#""a string longer than four words of eight bytes, with a quote \" in it""#,
                "a string longer than four words of eight bytes, with a quote \" in it",
                0,
            ),
            (r#""\u0041\n\t\r\b\f\/\\\"""#, "A\n\t\r\u{8}\u{c}/\\\"", 0),
            (r#""\ud83d\ude00""#, "😀", 0),
            (r#""x\ud800""#, "x\u{fffd}", 1),
            (r#""\ud800\ud800\u0041""#, "\u{fffd}\u{fffd}A", 1),
            (r#""\udc00y""#, "\u{fffd}y", 1),
            (r#""\u0000""#, "\0", 0),
            ("\"Zürich \u{1F600}\"", "Zürich 😀", 0),
        ] {
            let mut cursor = cursor(text);
            assert_eq!(cursor.string().as_deref(), Ok(expected), "{text}");
            assert_eq!((cursor.bad_texts, cursor.end()), (bad, Ok(())), "{text}");
        }
        for text in [r#""never ends"#, r#""\x""#, r#""\u12""#, r#""\"#, "5", ""] {
            assert_eq!(cursor(text).string(), Err(Broken), "{text}");
        }
    }

    #[test]
    fn text_stop_finds_the_first_stop_at_every_distance() {
        for stop in [b'"', b'\\'] {
            for length in 0..80 {
                let mut bytes = vec![0xa2; length];
                bytes.push(stop);
                bytes.extend([b'#', b'"', b'\\']);
                assert_eq!(text_stop(&bytes, 0), length);
                assert_eq!(text_stop(&bytes, length.min(3)), length);
            }
        }
        assert_eq!(text_stop(b"none of them in here", 2), 20);
        assert_eq!(text_stop(b"", 0), 0);
    }

    #[test]
    fn integers_are_read_bare_or_quoted() {
        for (text, expected) in [
            ("5,", 5),
            ("\"5\"", 5),
            ("18446744073709551615", 18_446_744_073_709_551_615),
            ("\"1544712660000000000\"", 1_544_712_660_000_000_000),
            ("\"1.5e18\"", 1_500_000_000_000_000_000),
            ("-3", -3),
            ("2.9", 2),
            ("null", 0),
            ("\"\"", 0),
        ] {
            let mut cursor = cursor(text);
            assert_eq!(cursor.integer(), Ok(expected), "{text}");
        }
        for text in ["true", "{}", "\"abc\"", "NaN", "5x"] {
            assert_eq!(cursor(text).integer(), Err(Broken), "{text}");
        }
    }

    #[test]
    fn values_are_skipped_without_recursion_and_within_the_depth() {
        for text in ["5", "\"a\\\"]\"", "{\"a\":[1,{\"b\":\"}\"}]}", "[[[[[[[[]]]]]]]]", "null", "NaN"] {
            let mut cursor = cursor(text);
            assert_eq!(cursor.skip().and_then(|()| cursor.end()), Ok(()), "{text}");
        }
        for text in ["[[[[[[[[[]]]]]]]]]", "{", "[\"", "nope", "", "\"\\"] {
            assert_eq!(cursor(text).skip(), Err(Broken), "{text}");
        }
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(cursor(&deep).skip_broken(), Ok(()));
    }

    #[test]
    fn members_and_elements_need_their_commas() {
        let mut reader = cursor(r#"{"a":1,"b":null,"c":[1,2]}"#);
        let (mut first, mut keys) = (true, Vec::new());
        reader.enter_object().unwrap();
        while let Some(key) = reader.next_field(&mut first).unwrap() {
            keys.push(key.into_owned());
            reader.skip().unwrap();
        }
        assert_eq!(keys, ["a", "c"]);
        for text in [r#"{"a":1 "b":2}"#, r#"{"a" 1}"#, r"{,}", r#"{"a":1,}"#, r"{a:1}"] {
            let mut reader = cursor(text);
            let mut first = true;
            let broken = reader.enter_object().and_then(|()| {
                while reader.next_member(&mut first)?.is_some() {
                    reader.skip()?;
                }
                Ok(())
            });
            assert_eq!(broken, Err(Broken), "{text}");
        }
        for text in ["[1 2]", "[,]", "[1,]"] {
            let mut reader = cursor(text);
            let mut first = true;
            let broken = reader.enter_array().and_then(|()| {
                while reader.next_element(&mut first)? {
                    reader.skip()?;
                }
                Ok(())
            });
            assert_eq!(broken, Err(Broken), "{text}");
        }
    }
}
