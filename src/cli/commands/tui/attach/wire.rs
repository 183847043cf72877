//! Questions to the admin port of a receiver, and its answers.

use crate::cli::error::Problem;
use crate::receiver::admin::GENERATION;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// The largest answer about state, in bytes.
const STATUS_BYTES: usize = 1 << 20;
/// The largest profile, in bytes as it comes: compressed, it is a few hundred kilobytes for most.
const PROFILE_BYTES: usize = 256 << 20;
/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long an answer may take beyond what it was asked to wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How often it is looked whether to stop.
const TICK: Duration = Duration::from_millis(50);

/// What the receiver says of itself, as far as it is needed.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Status {
    /// Which run of the receiver this is.
    pub started_unix_ns: String,
    /// Number of the newest publication of all cohorts.
    pub generation: u64,
    /// The newest comparison of each cohort, newest first.
    pub cohorts: Vec<Cohort>,
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
pub struct Cohort {
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
    host: String,
    port: u16,
    /// What stands in front of every path.
    root: String,
    authority: HeaderValue,
    token: Option<HeaderValue>,
    runtime: tokio::runtime::Runtime,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// An answer with its status, its number and its body.
struct Got {
    status: StatusCode,
    generation: Option<u64>,
    body: Bytes,
}

impl Wire {
    /// A receiver at `http://HOST:PORT`, perhaps with a path in front of its own.
    ///
    /// # Errors
    /// When this is no such address, or the token cannot be sent.
    pub fn new(address: &str, token: Option<String>) -> Result<Wire, Problem> {
        let wrong = |cause: &str| {
            Problem::new(format!("--attach takes no such address: {address}"))
                .cause(cause)
                .hint("expected http://HOST:PORT of a receiver's admin port, such as http://127.0.0.1:4319")
        };
        let full = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let uri: Uri = full.parse().map_err(|_| wrong("it is no URL"))?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let authority = authority.ok_or_else(|| wrong("it names no host, or a user"))?;
        if uri.scheme_str() != Some("http") {
            return Err(
                wrong("only http is spoken here").hint("reach a receiver with TLS through kubectl port-forward")
            );
        }
        let secret = |token: String| {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
            value.set_sensitive(true);
            Ok::<_, hyper::header::InvalidHeaderValue>(value)
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let place = Place {
            name: full.trim_end_matches('/').to_owned(),
            host: authority.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: authority.port_u16().unwrap_or(80),
            root: uri.path().trim_end_matches('/').to_owned(),
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| wrong("its host cannot be sent"))?,
            token: token.map(secret).transpose().map_err(|_| Problem::new("the token holds what cannot be sent"))?,
            runtime: runtime.map_err(|error| Problem::new("cannot attach").cause(error.to_string()))?,
        };
        Ok(Wire(Arc::new(place)))
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
        let got = self.get(&path, STATUS_BYTES, wait, stops)?;
        let Some(got) = got else { return Err(self.refused("/v1/status", StatusCode::NOT_FOUND, &[])) };
        serde_json::from_slice(&got.body).map_err(|_| self.refused("/v1/status", got.status, &got.body))
    }

    /// A profile and its number; `None` when it is gone.
    pub fn profile(&self, side: &str, cohort: &str, stops: &dyn Fn() -> bool) -> Result<Option<(u64, Bytes)>, Miss> {
        let path = format!("/v1/profile?side={side}&cohort={}", encoded(cohort));
        let got = self.get(&path, PROFILE_BYTES, Duration::ZERO, stops)?;
        Ok(got.map(|got| (got.generation.unwrap_or_default(), got.body)))
    }

    /// Asks; `None` for what is not there.
    fn get(&self, path: &str, most: usize, wait: Duration, stops: &dyn Fn() -> bool) -> Result<Option<Got>, Miss> {
        let got = self.0.runtime.block_on(async {
            let mut asked = pin!(tokio::time::timeout(wait + ANSWER_WITHIN, ask(&self.0, path, most)));
            loop {
                match tokio::time::timeout(TICK, asked.as_mut()).await {
                    Ok(Ok(got)) => return got,
                    Ok(Err(_)) => return Err("it takes too long to answer".to_owned()),
                    Err(_) if stops() => return Err("cancelled".to_owned()),
                    Err(_) => {}
                }
            }
        });
        let got = got.map_err(Miss::Lost)?;
        match got.status {
            StatusCode::OK => Ok(Some(got)),
            StatusCode::NOT_FOUND if path.starts_with("/v1/profile") => Ok(None),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(Miss::Lost(format!("it answers {status}")))
            }
            status => Err(self.refused(path, status, &got.body)),
        }
    }

    /// What to say of an answer that is none.
    fn refused(&self, path: &str, status: StatusCode, body: &[u8]) -> Miss {
        #[derive(Deserialize)]
        struct Refusal {
            error: String,
            hint: String,
        }
        let path = path.split('?').next().unwrap_or_default();
        let problem = Problem::new(format!("{}{path} does not answer as a receiver does", self.name()));
        let problem = match serde_json::from_slice::<Refusal>(body) {
            Ok(refusal) => problem.cause(format!("{status}: {}", refusal.error)).hint(refusal.hint),
            Err(_) => problem.cause(format!("it answers {status}")),
        };
        Miss::Refused(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                problem.hint("--token-file names the file of its token")
            }
            _ => problem.hint("--attach takes the admin port, 4319 unless --admin-listen says otherwise"),
        })
    }
}

async fn ask(place: &Place, path: &str, most: usize) -> Result<Got, String> {
    let said = |error: hyper::Error| error.to_string();
    let connect = TcpStream::connect((place.host.as_str(), place.port));
    let stream = match tokio::time::timeout(CONNECT_WITHIN, connect).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err("it cannot be connected to in time".to_owned()),
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(said)?;
    // It ends when the answer has come and `sender` is gone; what goes wrong with it, the answer says.
    tokio::spawn(connection);
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() =
        format!("{}{path}", place.root).parse().map_err(|_| "its path cannot be asked for".to_owned())?;
    request.headers_mut().insert(HOST, place.authority.clone());
    if let Some(token) = &place.token {
        request.headers_mut().insert(AUTHORIZATION, token.clone());
    }
    let (parts, body) = sender.send_request(request).await.map_err(said)?.into_parts();
    let generation = parts.headers.get(GENERATION).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = Limited::new(body, most).collect().await.map_err(|error| error.to_string())?.to_bytes();
    Ok(Got { status: parts.status, generation, body })
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
        let place = |address: &str| Wire::new(address, None).unwrap().0;
        let full = place("http://[::1]:4319/spandiff/");
        assert_eq!((full.host.as_str(), full.port, full.root.as_str()), ("::1", 4319, "/spandiff"));
        assert_eq!(full.authority, "[::1]:4319");
        let short = place("localhost:4319");
        assert_eq!((short.host.as_str(), short.port, short.root.as_str()), ("localhost", 4319, ""));
        assert_eq!(place("http://receiver").port, 80);
        for wrong in ["", "https://receiver:1", "http://me@receiver:1", "ftp://receiver", "http://", "no host"] {
            assert!(Wire::new(wrong, None).is_err(), "{wrong}");
        }
        assert!(Wire::new("http://receiver", Some("a\nb".into())).is_err());
    }

    #[test]
    fn values_are_encoded() {
        assert_eq!(encoded("v1.2-rc_3~"), "v1.2-rc_3~");
        assert_eq!(encoded("a b&c=ü/"), "a%20b%26c%3D%C3%BC%2F");
    }
}
