//! What a request says: parameters of its query or of a form, and a body within a bound.

use super::reply::Refusal;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::body::Body;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The largest body in bytes: marks and Flagger's questions are a few hundred.
pub const MAX_BODY_BYTES: usize = 64 << 10;
/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Parameters of one query or form.
const MAX_PARAMETERS: usize = 32;
/// Columns of a stranger's word that an error repeats.
const WORD: usize = 40;

/// Errors of a body that is read.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// Parameters by name, each at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads `a=1&b=two+words&c=%C3%BC`, as queries and forms write it. A name without a value means nothing, and is left
    /// out like an empty value.
    ///
    /// # Errors
    /// 400 for a name that is not among `known`, one that comes twice, and what is no UTF-8.
    pub fn parse(text: &str, known: &[&str]) -> Result<Parameters, Refusal> {
        let mut found: Vec<(String, String)> = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = decoded(name)?;
            if !known.contains(&name.as_str()) {
                let hint = match known {
                    [] => "this path has no parameters".to_owned(),
                    known => format!("parameters here are {}", known.join(", ")),
                };
                return Err(Refusal::bad(format!("there is no parameter `{}`", word(&name)), hint));
            }
            if found.len() >= MAX_PARAMETERS || found.iter().any(|(other, _)| *other == name) {
                return Err(Refusal::bad(format!("the parameter `{}` comes twice", word(&name)), "say it once"));
            }
            found.push((name, decoded(value)?));
        }
        found.retain(|(_, value)| !value.is_empty());
        Ok(Parameters(found))
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of the first of two names that has one: words that mean the same.
    pub fn either(&self, name: &str, other: &str) -> Option<&str> {
        self.get(name).or_else(|| self.get(other))
    }

    /// Adds what is not there yet.
    pub fn add(&mut self, name: &str, value: &str) {
        if self.get(name).is_none() && !value.is_empty() {
            self.0.push((name.to_owned(), value.to_owned()));
        }
    }

    /// The value of a parameter that is one of some words; the first of them when it is not there.
    ///
    /// # Errors
    /// 400 for another word.
    pub fn one_of<'a>(&self, name: &str, words: &[&'a str]) -> Result<&'a str, Refusal> {
        let Some(value) = self.get(name) else { return Ok(words.first().copied().unwrap_or_default()) };
        words.iter().copied().find(|known| *known == value).ok_or_else(|| {
            Refusal::bad(
                format!("{name} cannot be `{}`", word(value)),
                format!("{name} is one of {}", words.join(", ")),
            )
        })
    }

    /// A whole number.
    ///
    /// # Errors
    /// 400 for what is none.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let wrong =
            |_| Refusal::bad(format!("{name} cannot be `{}`", word(value)), format!("{name} is a whole number"));
        value.parse().map(Some).map_err(wrong)
    }

    /// A time: `500ms`, `20s`, `1m`, or seconds without a unit.
    ///
    /// # Errors
    /// 400 for what is none.
    pub fn time(&self, name: &str) -> Result<Option<Duration>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        time(value).map(Some).ok_or_else(|| {
            Refusal::bad(
                format!("{name} cannot be `{}`", word(value)),
                format!("{name} is a time such as 20s or 500ms"),
            )
        })
    }
}

fn time(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "" | "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.saturating_mul(60))),
        _ => None,
    }
}

/// A stranger's word, short and harmless, for an error that repeats it.
pub fn word(text: &str) -> String {
    let page = crate::report::page::Page::new(&crate::report::Options::default());
    page.shorten(&crate::report::escape::visible(text), WORD)
}

fn decoded(text: &str) -> Result<String, Refusal> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        match (first, behind) {
            (b'+', _) => bytes.push(b' '),
            (b'%', &[high, low, ref behind @ ..]) if digit(high).is_some() && digit(low).is_some() => {
                bytes.push(digit(high).unwrap_or_default() << 4 | digit(low).unwrap_or_default());
                rest = behind;
            }
            _ => bytes.push(first),
        }
    }
    String::from_utf8(bytes).map_err(|_| Refusal::bad("a parameter is no UTF-8", "write it as UTF-8, percent-encoded"))
}

/// What a body is written in: the content type without its parameters, in lower case; empty for none.
pub fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A JSON object; `None` for anything else, also for a list of values in the order of the fields, which would do for
/// serde.
pub fn object<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(bytes).ok()?;
    serde_json::from_value(object.into()).ok()
}

/// The body, if it comes in time and is not too large.
///
/// # Errors
/// 413, 408, or 400 when the connection breaks.
pub async fn body<B>(body: B) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BodyError>,
{
    let too_large = || {
        let error = format!("the body is larger than {MAX_BODY_BYTES} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error, "a mark takes a few hundred")
    };
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_TIME, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::bad("the body ended too early", "send it again")),
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body took too long", "send it again")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_as_forms_write_them() {
        let parameters =
            Parameters::parse("label=a+b%2Bc&&cohort=%C3%BC&looks=", &["label", "cohort", "looks"]).unwrap();
        assert_eq!(parameters.get("label"), Some("a b+c"));
        assert_eq!(parameters.get("cohort"), Some("ü"));
        assert_eq!(parameters.get("looks"), None);
        // A percent sign that begins nothing is itself.
        assert_eq!(Parameters::parse("a=100%&b=%zz", &["a", "b"]).unwrap().get("b"), Some("%zz"));
        for wrong in ["other=1", "a=1&a=2", "a=%ff", "%=1", "=1"] {
            assert!(Parameters::parse(wrong, &["a", "b"]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_and_numbers() {
        let of = |text: &str| Parameters::parse(text, &["wait"]).unwrap();
        assert_eq!(of("wait=20s").time("wait").unwrap(), Some(Duration::from_secs(20)));
        assert_eq!(of("wait=20").time("wait").unwrap(), Some(Duration::from_secs(20)));
        assert_eq!(of("wait=250ms").time("wait").unwrap(), Some(Duration::from_millis(250)));
        assert_eq!(of("wait=18446744073709551615m").time("wait").unwrap(), Some(Duration::from_secs(u64::MAX)));
        assert!(of("wait=soon").time("wait").is_err() && of("wait=18446744073709551616").number("wait").is_err());
        assert_eq!(of("").time("wait").unwrap(), None);
    }
}
