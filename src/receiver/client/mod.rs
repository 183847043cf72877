//! A small OTLP client on hyper: one request at a time over one connection, over HTTP/1.1 or gRPC, with or without TLS.
//!
//! Forwarding, the load sender and the receiver's own telemetry use it. gRPC's unary call is written out, as on the
//! receiving side: five bytes in front of the message, a status in the trailers. What an answer means follows OTLP's
//! tables; whether and when to try again is the caller's decision. Nothing here waits longer than the timeout, and no
//! answer takes more than [`MOST_ANSWER_BYTES`].

mod answer;
mod connection;
mod endpoint;
mod fetch;

pub use answer::Answer;
pub use endpoint::{Endpoint, Protocol, Signal};
pub use fetch::{Fetched, fetch};

use super::moment::Clock;
use super::respond::Encoding;
use bytes::Bytes;
use connection::{Connection, Failed, Target};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderValue, TE, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use std::io::Write;
use std::time::Duration;

/// An answer that is longer is cut off: the specification's bound on what servers may answer.
pub const MOST_ANSWER_BYTES: usize = 4 << 20;
/// Who we are.
const AGENT: &str = concat!("spandiff/", env!("CARGO_PKG_VERSION"));

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, the fastest level.
    Gzip,
    /// zstd, level 1.
    Zstd,
}

impl Compression {
    /// All of them.
    pub const ALL: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

    /// Its name, in headers and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }

    fn pack(self, body: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
        match self {
            Compression::None => out.write_all(body),
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
                encoder.write_all(body)?;
                encoder.finish().map(drop)
            }
            Compression::Zstd => zstd::stream::copy_encode(body, out, 1),
        }
    }
}

/// How requests are sent.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Certificates of the authorities to trust, PEM; the system's if there are none.
    pub authorities: Option<Vec<u8>>,
    /// Goes along as `authorization: Bearer …`.
    pub token: Option<String>,
    /// After so long without an answer a request has failed, connecting included.
    pub timeout: Duration,
    /// How bodies are compressed.
    pub compression: Compression,
}

impl Default for ClientOptions {
    /// No token, the system's authorities, no compression, and the 10 s that exporters wait.
    fn default() -> Self {
        ClientOptions {
            authorities: None,
            token: None,
            timeout: Duration::from_secs(10),
            compression: Compression::None,
        }
    }
}

/// A body, ready to be sent as often as it takes.
#[derive(Clone, Debug)]
pub struct Parcel {
    signal: Signal,
    encoding: Encoding,
    body: Bytes,
}

/// One connection to an endpoint, made when it is needed and made again when it broke.
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint,
    target: Target,
    authorization: Option<HeaderValue>,
    timeout: Duration,
    compression: Compression,
    connection: Option<Connection>,
    clock: Clock,
}

impl Client {
    /// A client that is not connected yet.
    ///
    /// # Errors
    /// In words, when the certificates or the token cannot be used.
    pub fn new(endpoint: Endpoint, options: &ClientOptions) -> Result<Client, String> {
        let target = Target::new(&endpoint.url, endpoint.protocol == Protocol::Grpc, options.authorities.as_deref())?;
        Ok(Client {
            endpoint,
            target,
            authorization: options.token.as_deref().map(bearer).transpose()?,
            timeout: options.timeout,
            compression: options.compression,
            connection: None,
            clock: Clock::start(),
        })
    }

    /// A body in the form in which this client sends it.
    pub fn pack(&self, signal: Signal, encoding: Encoding, body: Bytes) -> Parcel {
        let grpc = self.endpoint.protocol == Protocol::Grpc;
        if !grpc && self.compression == Compression::None {
            return Parcel { signal, encoding, body };
        }
        let mut packed = if grpc { vec![u8::from(self.compression != Compression::None), 0, 0, 0, 0] } else { vec![] };
        let before = packed.len();
        // Writing into memory does not fail.
        let _ = self.compression.pack(&body, &mut packed);
        let len = (packed.len() - before) as u32;
        if let Some(field) = packed.get_mut(1..before) {
            field.copy_from_slice(&len.to_be_bytes());
        }
        Parcel { signal, encoding, body: packed.into() }
    }

    /// Sends a body and says what became of it.
    pub async fn send(&mut self, parcel: &Parcel) -> Answer {
        let seconds = self.timeout.as_secs_f64();
        let answer = tokio::time::timeout(self.timeout, self.exchange(parcel)).await;
        let answer = answer.unwrap_or_else(|_| Answer::Lost { why: format!("no answer within {seconds} s") });
        if matches!(answer, Answer::Lost { .. }) {
            self.connection = None;
        }
        answer
    }

    async fn exchange(&mut self, parcel: &Parcel) -> Answer {
        let mut request = match self.request(parcel) {
            Ok(request) => request,
            Err(why) => return Answer::Refused { why },
        };
        // A connection that was kept may have been closed meanwhile. What was not sent over it is sent over a new one.
        if let Some(connection) = &mut self.connection {
            match connection.send(request).await {
                Ok(response) => return self.understand(response).await,
                Err((_, Some(unsent))) => request = unsent,
                Err((why, None)) => return Answer::Lost { why },
            }
        }
        self.connection = None;
        let connection = match Connection::open(&self.target).await {
            Ok(connection) => self.connection.insert(connection),
            Err(why) => return Answer::Retry { after: None, why },
        };
        match connection.send(request).await {
            Ok(response) => self.understand(response).await,
            Err((why, None)) => Answer::Lost { why },
            Err((why, Some(_))) => {
                self.connection = None;
                Answer::Retry { after: None, why }
            }
        }
    }

    fn request(&self, parcel: &Parcel) -> Result<Request<Full<Bytes>>, Failed> {
        let url = &self.endpoint.url;
        let mut request = Request::new(Full::new(parcel.body.clone()));
        *request.method_mut() = Method::POST;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let packed = (self.compression != Compression::None).then(|| HeaderValue::from_static(self.compression.name()));
        let uri = match self.endpoint.protocol {
            Protocol::Grpc => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert(TE, HeaderValue::from_static("trailers"));
                let milliseconds = self.timeout.as_millis().min(99_999_999);
                headers.extend(HeaderValue::try_from(format!("{milliseconds}m")).ok().map(|v| (GRPC_TIMEOUT, v)));
                headers.extend(packed.map(|packed| (GRPC_ENCODING, packed)));
                format!("{}://{}{}", url.scheme(), url.authority, parcel.signal.grpc_path())
            }
            Protocol::Http => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(parcel.encoding.media_type()));
                headers.extend(HeaderValue::try_from(url.authority.as_str()).ok().map(|host| (HOST, host)));
                headers.extend(packed.map(|packed| (CONTENT_ENCODING, packed)));
                self.endpoint.http_path(parcel.signal)
            }
        };
        *request.uri_mut() = uri.parse().map_err(|error| format!("{uri}: {error}"))?;
        Ok(request)
    }

    async fn understand(&mut self, response: Response<Incoming>) -> Answer {
        let read = match Read::of(response, MOST_ANSWER_BYTES).await {
            Ok(read) => read,
            Err(why) => return Answer::Lost { why },
        };
        if !read.whole {
            self.connection = None;
        }
        let now_ns = self.clock.now().unix_ns;
        match self.endpoint.protocol {
            Protocol::Grpc => answer::grpc(&read),
            Protocol::Http => answer::http(&read, now_ns),
        }
    }
}

const GRPC_TIMEOUT: hyper::header::HeaderName = hyper::header::HeaderName::from_static("grpc-timeout");
const GRPC_ENCODING: hyper::header::HeaderName = hyper::header::HeaderName::from_static("grpc-encoding");

fn bearer(token: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| "the token holds characters that no header can have".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// An answer that was read to its end, or as far as it may be long.
#[derive(Debug, Default)]
struct Read {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    trailers: HeaderMap,
    /// Whether this is all of it.
    whole: bool,
}

impl Read {
    async fn of(response: Response<Incoming>, most: usize) -> Result<Read, Failed> {
        let (parts, body) = response.into_parts();
        let mut read = Read { status: parts.status, headers: parts.headers, ..Read::default() };
        match Limited::new(body, most).collect().await {
            Ok(collected) => {
                read.trailers = collected.trailers().cloned().unwrap_or_default();
                read.body = collected.to_bytes();
                read.whole = true;
            }
            Err(error) if error.is::<LengthLimitError>() => {}
            Err(error) => return Err(format!("the answer broke off: {error}")),
        }
        Ok(read)
    }
}
