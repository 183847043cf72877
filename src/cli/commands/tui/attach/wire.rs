//! Questions to the admin port of a receiver, and its answers.

use crate::cli::error::Problem;
use crate::receiver::client::{ClientOptions, Fetched, fetch};
use bytes::Bytes;
use hyper::Uri;
use serde::Deserialize;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// The largest answer about state, in bytes.
const STATUS_BYTES: usize = 1 << 20;
/// The largest profile, in bytes as it comes: compressed, it is a few hundred kilobytes for most.
const PROFILE_BYTES: usize = 256 << 20;
/// How long an answer may take beyond what it was asked to wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How often it is looked whether to stop.
const TICK: Duration = Duration::from_millis(50);
const OK: u16 = 200;
const UNAUTHORIZED: u16 = 401;
const FORBIDDEN: u16 = 403;
const NOT_FOUND: u16 = 404;
const TOO_MANY_REQUESTS: u16 = 429;

/// What the receiver says of itself, as far as it is needed.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Status {
    /// Which run of the receiver this is.
    pub started_unix_ns: String,
    /// Number of the newest publication of all cohorts.
    pub generation: u64,
    /// The newest comparison of each cohort, newest first.
    pub cohorts: Vec<Comparison>,
    /// Length of a window; `None` when nothing is compared.
    pub window_seconds: Option<f64>,
    /// What windows are compared with, in words.
    pub baseline: String,
    /// Closed windows that are kept.
    pub windows_total: u64,
    /// Marks that are kept.
    pub marks_total: u64,
    /// Spans that were acknowledged.
    pub spans_received: u64,
}

/// The newest comparison of a cohort.
#[derive(Clone, Debug, Deserialize)]
pub struct Comparison {
    /// The cohort; empty when traces are not divided.
    pub cohort: String,
    /// Its number.
    pub generation: u64,
    /// Time since the end of its window.
    pub age_seconds: f64,
}

/// Why there is no answer of use.
#[derive(Debug)]
pub enum Miss {
    /// Nobody answers, or not as a receiver would.
    Lost(String),
    /// It makes no sense to ask again.
    Refused(Problem),
}

/// Where the receiver is, and how it is asked.
#[derive(Clone, Debug)]
pub struct Wire(Arc<Place>);

struct Place {
    /// As the user wrote it, without its end.
    name: String,
    token: Option<String>,
    runtime: tokio::runtime::Runtime,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl Wire {
    /// A receiver at `http://HOST:PORT` or `https://HOST:PORT`, perhaps with a path in front of its own.
    ///
    /// # Errors
    /// When this is no such address.
    pub fn new(address: &str, token: Option<String>) -> Result<Wire, Problem> {
        let wrong = |cause: &str| {
            Problem::new(format!("--attach takes no such address: {address}"))
                .cause(cause)
                .hint("expected http://HOST:PORT of a receiver's admin port, such as http://127.0.0.1:4319")
        };
        let full = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let uri: Uri = full.parse().map_err(|_| wrong("it is no URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong("http and https are spoken here"));
        }
        match uri.authority() {
            Some(authority) if authority.as_str().contains('@') => return Err(wrong("it names a user")),
            Some(authority) if !authority.host().is_empty() => {}
            _ => return Err(wrong("it names no host")),
        }
        if uri.query().is_some() {
            return Err(wrong("it has a query"));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| Problem::new("cannot attach").cause(error.to_string()))?;
        Ok(Wire(Arc::new(Place { name: full.trim_end_matches('/').to_owned(), token, runtime })))
    }

    /// The address, for people.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What the receiver says of itself; when a number is given not before there is another, or the time is over.
    pub fn status(&self, after: Option<(u64, Duration)>, stops: &dyn Fn() -> bool) -> Result<Status, Miss> {
        let (path, wait) = match after {
            Some((after, wait)) => (format!("/v1/status?after={after}&wait={}s", wait.as_secs()), wait),
            None => ("/v1/status".to_owned(), Duration::ZERO),
        };
        let fetched = self.get(&path, STATUS_BYTES, wait, stops)?;
        if fetched.status != OK {
            return Err(self.refused(&path, &fetched));
        }
        serde_json::from_slice(&fetched.body).map_err(|_| self.refused(&path, &fetched))
    }

    /// A profile and its tag; `None` when it is gone.
    pub fn profile(&self, side: &str, cohort: &str, stops: &dyn Fn() -> bool) -> Result<Option<(String, Bytes)>, Miss> {
        let path = format!("/v1/profile?side={side}&cohort={}", encoded(cohort));
        let fetched = self.get(&path, PROFILE_BYTES, Duration::ZERO, stops)?;
        match fetched.status {
            // A proxy that compresses calls the tag weak.
            OK => Ok(Some((fetched.etag.trim_start_matches("W/").to_owned(), fetched.body))),
            NOT_FOUND => Ok(None),
            _ => Err(self.refused(&path, &fetched)),
        }
    }

    /// Asks, unless it is to stop. What is wrong for now is no answer.
    fn get(&self, path: &str, most: usize, wait: Duration, stops: &dyn Fn() -> bool) -> Result<Fetched, Miss> {
        let url = format!("{}{path}", self.0.name);
        let timeout = wait + ANSWER_WITHIN;
        let options = ClientOptions { token: self.0.token.clone(), timeout, ..ClientOptions::default() };
        let fetched = self.0.runtime.block_on(async {
            let mut asked = pin!(fetch(&url, None, most, &options));
            loop {
                match tokio::time::timeout(TICK, asked.as_mut()).await {
                    Ok(fetched) => return fetched,
                    Err(_) if stops() => return Err("cancelled".to_owned()),
                    Err(_) => {}
                }
            }
        });
        let fetched = fetched.map_err(Miss::Lost)?;
        match fetched.status {
            TOO_MANY_REQUESTS | 500.. => Err(Miss::Lost(format!("it answers {}", fetched.status))),
            _ => Ok(fetched),
        }
    }

    /// What to say of an answer that is none.
    fn refused(&self, path: &str, fetched: &Fetched) -> Miss {
        #[derive(Deserialize)]
        struct Refusal {
            error: String,
            hint: String,
        }
        let (path, status) = (path.split('?').next().unwrap_or_default(), fetched.status);
        let problem = Problem::new(format!("{}{path} does not answer as a receiver does", self.name()));
        let problem = match serde_json::from_slice::<Refusal>(&fetched.body) {
            Ok(refusal) => problem.cause(format!("{status}: {}", refusal.error)).hint(refusal.hint),
            Err(_) => problem.cause(format!("it answers {status} and {}", fetched.content_type)),
        };
        Miss::Refused(match status {
            UNAUTHORIZED | FORBIDDEN => problem.hint("--token-file names the file of its token"),
            _ => problem.hint("--attach takes the admin port, 4319 unless --admin-listen says otherwise"),
        })
    }
}

/// A value of a query: everything but letters, digits and `-._~` percent-encoded.
fn encoded(value: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood_or_not() {
        let name = |address: &str| Wire::new(address, None).unwrap().name().to_owned();
        assert_eq!(name("http://[::1]:4319/spandiff/"), "http://[::1]:4319/spandiff");
        assert_eq!(name("localhost:4319"), "http://localhost:4319");
        assert_eq!(name("https://receiver"), "https://receiver");
        for wrong in ["", "http://me@receiver:1", "ftp://receiver", "http://", "no host", "http://a/?x=1"] {
            assert!(Wire::new(wrong, None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn values_are_encoded() {
        assert_eq!(encoded("v1.2-rc_3~"), "v1.2-rc_3~");
        assert_eq!(encoded("a b&c=ü/"), "a%20b%26c%3D%C3%BC%2F");
    }
}
