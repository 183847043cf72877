//! Identifiers in names and paths become `{}`, literals in statements become `?`.
//!
//! Masking lives in the model because ingest needs it for operation names and the model itself for
//! [`super::facts::likeness`]. It works on whole tokens between separators, so that `GET /users/123456`
//! equals `GET /users/987654` while `/v1/orders` and `/v2/orders`, `s3` and `oauth2` stay what they are.
//! Hand-written scanners instead of regular expressions: most names need no change and cost one look at each byte.

use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::ops::Range;

/// What an identifier becomes.
pub const MASK: &str = "{}";

/// A token at least this long that mixes digits and letters without pattern is an identifier.
const RANDOM_LEN: usize = 16;

/// `text` with its identifiers masked: UUIDs, hex of eight digits and more with a digit in it, numbers, quoted text,
/// e-mail addresses, IP addresses, ISO times, long random tokens, and placeholders such as `{id}`.
pub fn mask(text: &str) -> Cow<'_, str> {
    if !may_change(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut changed = false;
    scan(text, |piece| match piece {
        Piece::Kept(kept) => out.push_str(kept),
        Piece::Masked => {
            changed = true;
            out.push_str(MASK);
        }
    });
    if changed { Cow::Owned(out) } else { Cow::Borrowed(text) }
}

/// Appends [`mask`] of `text` to a buffer.
pub fn mask_into(out: &mut String, text: &str) {
    if !may_change(text) {
        out.push_str(text);
        return;
    }
    scan(text, |piece| match piece {
        Piece::Kept(kept) => out.push_str(kept),
        Piece::Masked => out.push_str(MASK),
    });
}

/// The value of an attribute as it is compared: masked as names are, and words that are mostly digits (`T7125605C`) too,
/// since in a name they may be a version, in a value they are a key. `None` when nothing but identifiers is in it.
pub fn mask_value(text: &str) -> Option<String> {
    let masked = mask_codes(&mask(text));
    let meaningful = masked.replace(MASK, "").chars().any(char::is_alphanumeric);
    meaningful.then_some(masked)
}

fn mask_codes(text: &str) -> String {
    let is_code = |word: &str| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        digits >= 4 && 2 * digits > word.len()
    };
    let words = text.split_inclusive(|c: char| !c.is_alphanumeric());
    words
        .map(|word| {
            let end = word.trim_end_matches(|c: char| !c.is_alphanumeric()).len();
            let (head, separator) = word.split_at(end);
            if is_code(head) { format!("{MASK}{separator}") } else { word.to_owned() }
        })
        .collect()
}

/// The path of a URL or of a request target, without scheme, host, query, fragment and `;parameters`; not masked.
/// `/` when there is none.
pub fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(scheme, rest)| {
        let is_scheme = !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        if is_scheme { rest.find(['/', '?', '#']).and_then(|at| rest.get(at..)).unwrap_or_default() } else { url }
    });
    let path = rest.split(['?', '#', ';']).next().unwrap_or_default();
    if path.is_empty() { "/" } else { path }
}

/// Appends the masked path of a URL or request target to a buffer.
pub fn mask_path_into(out: &mut String, url: &str) {
    mask_into(out, path_of(url));
}

/// The masked path of a URL or request target.
pub fn mask_path(url: &str) -> Cow<'_, str> {
    mask(path_of(url))
}

/// Appends a route with every way of writing a parameter (`{id}`, `:id`, `<int:id>`, `[id]`, `*`, `**`) as `{}`, so
/// that another framework, or a route where there was only a path before, is no change.
pub fn mask_route_into(out: &mut String, route: &str) {
    let mut first = true;
    for segment in route.split('/') {
        if !std::mem::take(&mut first) {
            out.push('/');
        }
        let bytes = segment.as_bytes();
        let wrapped = matches!((bytes.first(), bytes.last()), (Some(b'<'), Some(b'>')) | (Some(b'['), Some(b']')));
        let parameter = segment.len() > 1 && (wrapped || bytes.first() == Some(&b':'));
        if parameter || segment == "*" || segment == "**" {
            out.push_str(MASK);
        } else {
            mask_into(out, segment);
        }
    }
}

enum Piece<'a> {
    Kept(&'a str),
    Masked,
}

/// Everything that is ever masked contains one of these.
fn may_change(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_digit() || matches!(b, b'\'' | b'"' | b'@' | b'{'))
}

/// Cuts `text` into what stays and what is masked. Linear: each look-ahead is bounded or consumed.
fn scan<'a>(text: &'a str, mut emit: impl FnMut(Piece<'a>)) {
    let bytes = text.as_bytes();
    let (mut at, mut kept_from) = (0, 0);
    while at < bytes.len() {
        let masked = compound(text, at).or_else(|| {
            let end = word_end(bytes, at);
            (end > at && is_identifier(text, at..end)).then_some(end)
        });
        if let Some(end) = masked {
            if kept_from < at {
                emit(Piece::Kept(text.get(kept_from..at).unwrap_or_default()));
            }
            emit(Piece::Masked);
            at = end;
            kept_from = end;
        } else {
            at = version_end(bytes, at).unwrap_or_else(|| word_end(bytes, at)).max(at + 1);
        }
    }
    if kept_from < bytes.len() {
        emit(Piece::Kept(text.get(kept_from..).unwrap_or_default()));
    }
}

fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or_default()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// The end of the word at `at`; an escaped byte (`%20`) is part of a word.
fn word_end(bytes: &[u8], mut at: usize) -> usize {
    loop {
        if is_word(byte(bytes, at)) {
            at += 1;
        } else if byte(bytes, at) == b'%'
            && byte(bytes, at + 1).is_ascii_hexdigit()
            && byte(bytes, at + 2).is_ascii_hexdigit()
        {
            at += 3;
        } else {
            return at;
        }
    }
}

/// `v2`, `v1.4.2`: a version stays whole.
fn version_end(bytes: &[u8], at: usize) -> Option<usize> {
    if !matches!(byte(bytes, at), b'v' | b'V') || !byte(bytes, at + 1).is_ascii_digit() {
        return None;
    }
    let mut end = digits_end(bytes, at + 1);
    while byte(bytes, end) == b'.' && byte(bytes, end + 1).is_ascii_digit() {
        end = digits_end(bytes, end + 1);
    }
    (!is_word(byte(bytes, end))).then_some(end)
}

fn digits_end(bytes: &[u8], at: usize) -> usize {
    at + bytes.iter().skip(at).take_while(|b| b.is_ascii_digit()).count()
}

fn is_identifier(text: &str, range: Range<usize>) -> bool {
    let word = text.get(range).unwrap_or_default();
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 {
        return false;
    }
    let hex = word.strip_prefix("0x").unwrap_or(word);
    let is_hex = hex.len() >= 8 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    digits == word.len() || is_hex || is_random(word, digits) || is_shouted_key(word)
}

/// Keys in capitals and digits as shops number their goods (`1YMWWN1N4O`): at least eight of them, and either long or
/// with a digit before a letter, since a version stands at the end of a word (`CHECKOUT2`).
fn is_shouted_key(word: &str) -> bool {
    let digit_first =
        word.as_bytes().windows(2).any(|w| byte(w, 0).is_ascii_digit() && byte(w, 1).is_ascii_uppercase());
    let shouted = word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    shouted && word.len() >= 8 && (digit_first || word.len() >= 10)
}

/// Letters and digits that alternate as no word does: ULIDs, nano ids, base-62 keys.
fn is_random(word: &str, digits: usize) -> bool {
    let turns = word.as_bytes().windows(2).filter(|w| byte(w, 0).is_ascii_digit() != byte(w, 1).is_ascii_digit());
    word.len() >= RANDOM_LEN && digits >= 3 && word.is_ascii() && turns.count() >= 4
}

/// The end of an identifier made of several words that begins at `at`.
fn compound(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    match byte(bytes, at) {
        b'{' => placeholder(bytes, at),
        b'\'' | b'"' => quoted(bytes, at),
        b':' => ipv6(text, at),
        first if first.is_ascii_digit() => uuid(bytes, at)
            .or_else(|| iso_time(bytes, at))
            .or_else(|| ipv6(text, at))
            .or_else(|| email(bytes, at))
            .or_else(|| dotted(bytes, at)),
        first if first.is_ascii_hexdigit() => uuid(bytes, at).or_else(|| ipv6(text, at)).or_else(|| email(bytes, at)),
        first if first.is_ascii_alphabetic() => email(bytes, at),
        _ => None,
    }
}

/// `{id}`: already a placeholder, whatever its name.
fn placeholder(bytes: &[u8], at: usize) -> Option<usize> {
    let inside = bytes.iter().skip(at + 1).take(64).position(|&b| b == b'}' || b == b'{' || b == b' ')?;
    (byte(bytes, at + 1 + inside) == b'}').then_some(at + 2 + inside)
}

/// Quoted text, if the quotes stand where quotes can stand: `don't` has none.
fn quoted(bytes: &[u8], at: usize) -> Option<usize> {
    if at > 0 && is_word(byte(bytes, at - 1)) {
        return None;
    }
    let quote = byte(bytes, at);
    // Bounded, or a text full of opening quotes would cost quadratic time.
    let end = at + 1 + bytes.iter().skip(at + 1).take(256).position(|&b| b == quote)?;
    (end > at + 1 && !is_word(byte(bytes, end + 1))).then_some(end + 1)
}

fn uuid(bytes: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    for (group, len) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if group > 0 {
            if byte(bytes, end) != b'-' {
                return None;
            }
            end += 1;
        }
        if !(0..len).all(|offset| byte(bytes, end + offset).is_ascii_hexdigit()) {
            return None;
        }
        end += len;
    }
    (!is_word(byte(bytes, end))).then_some(end)
}

/// `dd` digits at `at`, then `then`.
fn fixed_digits(bytes: &[u8], at: usize, count: usize) -> Option<usize> {
    (digits_end(bytes, at) == at + count).then_some(at + count)
}

/// `2024-08-06`, with a time and a zone if they follow.
fn iso_time(bytes: &[u8], at: usize) -> Option<usize> {
    let dash = |at: usize| (byte(bytes, at) == b'-').then_some(at + 1);
    let year = dash(fixed_digits(bytes, at, 4)?)?;
    let month = dash(fixed_digits(bytes, year, 2)?)?;
    let day = month + 2;
    if digits_end(bytes, month) < day || byte(bytes, day).is_ascii_digit() {
        return None;
    }
    let time = match byte(bytes, day) {
        b'T' | b't' | b' ' | b'_' => clock(bytes, day + 1),
        _ => None,
    };
    let end = time.unwrap_or(day);
    (!is_word(byte(bytes, end))).then_some(end)
}

/// `12:34:56.789+02:00`, seconds and zone optional.
fn clock(bytes: &[u8], at: usize) -> Option<usize> {
    let part = |at: usize| (byte(bytes, at) == b':').then(|| fixed_digits(bytes, at + 1, 2)).flatten();
    let mut end = part(fixed_digits(bytes, at, 2)?)?;
    end = part(end).unwrap_or(end);
    if matches!(byte(bytes, end), b'.' | b',') && byte(bytes, end + 1).is_ascii_digit() {
        end = digits_end(bytes, end + 1);
    }
    Some(match byte(bytes, end) {
        b'Z' | b'z' => end + 1,
        b'+' | b'-' => match digits_end(bytes, end + 1) - end - 1 {
            4 => end + 5,
            2 => part(end + 3).unwrap_or(end + 3),
            _ => end,
        },
        _ => end,
    })
}

/// An IPv6 address. Two words around `::` are more likely a class and its member than an address, so an address
/// needs a digit at its end or three colons.
fn ipv6(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    if at > 0 && (is_word(byte(bytes, at - 1)) || byte(bytes, at - 1) == b':') {
        return None;
    }
    let run = bytes.iter().skip(at).take(46).take_while(|&&b| b.is_ascii_hexdigit() || b == b':' || b == b'.').count();
    let run = text.get(at..at + run)?;
    let address = run.strip_suffix(':').filter(|rest| !rest.ends_with(':')).unwrap_or(run);
    let colons = address.bytes().filter(|&b| b == b':').count();
    let plausible = colons >= 3 || address.ends_with(|c: char| c.is_ascii_digit());
    let end = at + address.len();
    let whole = !is_word(byte(bytes, end));
    (colons >= 2 && plausible && whole && address.parse::<Ipv6Addr>().is_ok()).then_some(end)
}

/// An e-mail address.
fn email(bytes: &[u8], at: usize) -> Option<usize> {
    let local = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'%' | b'+' | b'-');
    if at > 0 && local(byte(bytes, at - 1)) {
        return None;
    }
    let sign = at + bytes.iter().skip(at).take(65).position(|&b| !local(b))?;
    if byte(bytes, sign) != b'@' {
        return None;
    }
    let domain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    let len = bytes.iter().skip(sign + 1).take(254).take_while(|&&b| domain(b)).count();
    let host = bytes.get(sign + 1..sign + 1 + len)?;
    let host = host.strip_suffix(b".").unwrap_or(host);
    let dot = host.iter().rposition(|&b| b == b'.')?;
    let top = host.get(dot + 1..)?;
    (dot > 0 && top.len() >= 2 && top.iter().all(u8::is_ascii_alphabetic)).then_some(sign + 1 + host.len())
}

/// Numbers with dots: IPv4 addresses, decimals, bare versions.
fn dotted(bytes: &[u8], at: usize) -> Option<usize> {
    let mut end = digits_end(bytes, at);
    let first = end;
    while byte(bytes, end) == b'.' && byte(bytes, end + 1).is_ascii_digit() {
        end = digits_end(bytes, end + 1);
    }
    (end > first && !is_word(byte(bytes, end))).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn identifiers_are_masked_as_whole_tokens() {
        for (text, expected) in [
            ("GET /users/123456", "GET /users/{}"),
            ("GET /users/987654/orders/1", "GET /users/{}/orders/{}"),
            ("order 550e8400-e29b-41d4-a716-446655440000 paid", "order {} paid"),
            ("tx-9f86d081884c", "tx-{}"),
            ("block 0x9f86d0818", "block {}"),
            ("lookup alice.b+c@example.co.uk", "lookup {}"),
            ("dial 10.0.12.7:8080", "dial {}:{}"),
            ("dial [2001:db8::8a2e:370:7334]:443", "dial [{}]:{}"),
            ("dial ::1", "dial {}"),
            ("dial fe80::1", "dial {}"),
            ("job 2024-08-06", "job {}"),
            ("job 2024-08-06T12:13:14.123Z done", "job {} done"),
            ("job 2024-08-06 12:13 done", "job {} done"),
            ("job 2024-08-06T12:13:14+02:00.", "job {}."),
            ("load 'user one' and \"two\"", "load {} and {}"),
            ("shard_17", "shard_{}"),
            ("db-017", "db-{}"),
            ("key 01ARZ3NDEKTSV4RRFFQ69G5FAV", "key {}"),
            ("GET /users/{userId}/x", "GET /users/{}/x"),
            ("retry #3", "retry #{}"),
            ("took 1.5", "took {}"),
        ] {
            assert_eq!(mask(text), expected);
            let mut out = String::from("^");
            mask_into(&mut out, text);
            assert_eq!(out, format!("^{expected}"));
        }
    }

    #[test]
    fn versions_and_digits_inside_words_stay() {
        for text in [
            "/v1/orders",
            "/v2/orders",
            "api v1.4.2 call",
            "s3 oauth2 utf8 sha256 base64",
            "SHA256 UTF8 BASE64 CHECKOUT2",
            "S3.PutObject",
            "deadbeef",
            "don't mask the user's name",
            "std::fmt::Display",
            "Dead::Beef",
            "10ms",
            "2xx",
            "GET /a%20b/c",
            "@app/package",
            "prüfung2",
            "",
            "{",
            "'",
        ] {
            assert!(matches!(mask(text), Cow::Borrowed(same) if same == text), "{text} became {}", mask(text));
        }
        assert_ne!(mask("/v1/orders"), mask("/v2/orders"));
    }

    #[test]
    fn a_path_is_without_host_and_query() {
        for (url, expected) in [
            ("http://shop.example:8080/users/12?x=1#y", "/users/{}"),
            ("https://shop.example", "/"),
            ("https://shop.example?x=/a", "/"),
            ("/users/12?next=http://other/12", "/users/{}"),
            ("/login;jsessionid=AB12?x", "/login"),
            ("grpc+tls://h/a.B/C", "/a.B/C"),
            ("", "/"),
            ("*", "*"),
        ] {
            assert_eq!(mask_path(url), expected, "{url}");
        }
    }

    #[test]
    fn parameters_of_routes_look_alike() {
        for route in
            ["/users/{id}/x", "/users/:id/x", "/users/<int:id>/x", "/users/[id]/x", "/users/*/x", "/users/12/x"]
        {
            let mut out = String::new();
            mask_route_into(&mut out, route);
            assert_eq!(out, "/users/{}/x");
        }
    }

    proptest! {
        #[test]
        fn masking_anything_does_not_panic(text in ".{0,60}", near in "[a-f0-9'\"{}:./@%é T+-]{0,60}") {
            for text in [text, near] {
                let mut out = String::new();
                mask_into(&mut out, &text);
                prop_assert_eq!(mask(&text), out);
            }
        }

        #[test]
        fn what_is_masked_stays_as_it_is(text in "[a-z0-9{}:./%é ᾱ-]{0,60}") {
            let once = mask(&text).into_owned();
            prop_assert_eq!(mask(&once).into_owned(), once.clone());
        }

        #[test]
        fn numbers_of_any_size_mask_alike(a in any::<u64>(), b in any::<u64>()) {
            let [a, b] = [a, b].map(|id| mask(&format!("GET /users/{id}/cart")).into_owned());
            prop_assert_eq!(a, b);
        }

        #[test]
        fn paths_of_anything_are_part_of_it(text in ".{0,60}") {
            let path = path_of(&text);
            prop_assert!(path == "/" || text.contains(path));
        }
    }
}
