//! One request, from its headers to its answer. Either port takes either protocol: gRPC is told by its content type.
//!
//! The order is the point: what can be refused by the headers alone is refused first, then the request is admitted, and
//! only then is its body read.

use super::admission::{Admission, Held};
use super::client::Signal;
use super::counters::Counters;
use super::engine::{Answer, Inbox};
use super::forward::ForwardInbox;
use super::grpc;
use super::inflate::{self, Coding, HTTP_CODINGS};
use super::log::Log;
use super::refusal::{Kind, Refusal};
use super::respond::{self, Accepted, Encoding, Reply};
use super::token::Token;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use hyper::{HeaderMap, Method, Request, Response};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Bytes that are reserved for a body because its sender says that it is so long. More is reserved as more comes.
const RESERVED: u64 = 256 << 10;

/// What every request needs.
pub struct Service {
    /// The door.
    pub admission: Arc<Admission>,
    /// The engine's.
    pub inbox: Inbox,
    /// Where counts go.
    pub counters: Arc<Counters>,
    /// Where words go.
    pub log: Log,
    /// Who may come, if not everybody.
    pub token: Option<Arc<Token>>,
    /// Largest body, as it comes and inflated.
    pub most_bytes: u64,
    /// A body must have come after so long.
    pub timeout: Duration,
    /// Whether metrics, logs and profiles are answered well, and dropped.
    pub discards_others: bool,
    /// Where they are passed on to, if they are.
    pub forward: Option<ForwardInbox>,
}

impl Service {
    /// Answers a request; never fails.
    pub async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Reply> {
        let content_type = request.headers().get(CONTENT_TYPE).cloned();
        let response = match content_type.filter(|value| grpc::is_grpc(value)) {
            Some(content_type) => {
                self.counters.grpc_requests.add(1);
                grpc::answer(&self, request, &content_type).await
            }
            None => {
                self.counters.http_requests.add(1);
                self.http(request).await
            }
        };
        response
    }

    async fn http(&self, request: Request<Incoming>) -> Response<Reply> {
        let encoding = encoding(request.headers());
        let answer = self.http_answer(request, encoding).await;
        self.count(&answer);
        respond::http(&answer, encoding.unwrap_or(Encoding::Json))
    }

    async fn http_answer(&self, request: Request<Incoming>, encoding: Option<Encoding>) -> Answer {
        self.authorise(request.headers())?;
        let signal = signal(request.uri().path())?;
        if request.method() != Method::POST {
            return Err(Refusal::new(Kind::Method, "OTLP is sent by POST"));
        }
        let Some(encoding) = encoding else {
            return Err(Refusal::new(
                Kind::Unsupported,
                "the content type must be application/x-protobuf or application/json",
            ));
        };
        let coding = coding(request.headers())?;
        if signal != Signal::Traces && !self.discards_others {
            return Err(Refusal::new(Kind::NotFound, "this receiver takes traces alone (--other-signals refuse)"));
        }
        let mut held = self.admission.enter().await?;
        let body = self.collect(request, self.most_bytes, &mut held).await?;
        if body.is_empty() && coding != Coding::Identity {
            return Err(inflate::empty(coding));
        }
        self.take(signal, encoding, coding, body, held).await
    }

    /// Inflates a body and hands it to the engine; or drops it, if it is of another signal.
    pub(super) async fn take(
        &self,
        signal: Signal,
        encoding: Encoding,
        coding: Coding,
        body: Vec<u8>,
        held: Held,
    ) -> Answer {
        let (body, held) = self.inflated(coding, body, held).await?;
        self.counters.bytes_inflated.add(body.len() as u64);
        if signal != Signal::Traces {
            self.counters.other_signals_dropped.add(1);
            if let Some(forward) = &self.forward {
                forward.put(signal, encoding, body.into());
            }
            return Ok(Accepted::default());
        }
        self.inbox.handle(encoding, body, held).await
    }

    async fn inflated(&self, coding: Coding, body: Vec<u8>, mut held: Held) -> Result<(Vec<u8>, Held), Refusal> {
        if coding == Coding::Identity {
            return Ok((body, held));
        }
        let most = self.most_bytes;
        let work = move || {
            // Decoders are other people's code, and these bytes are a stranger's.
            let inflated =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| coding.inflate(&body, most, &mut held)));
            let result = inflated.unwrap_or_else(|_| Err(Refusal::invalid("the body cannot be decompressed")));
            held.shrink(body.len() as u64);
            result.map(|inflated| (inflated, held))
        };
        let failed = |_| Refusal::new(Kind::Internal, "the receiver failed to decompress this body");
        tokio::task::spawn_blocking(work).await.map_err(failed)?
    }

    /// Reads a body to its end: within the limit, the budget and the time.
    pub(super) async fn collect(
        &self,
        request: Request<Incoming>,
        limit: u64,
        held: &mut Held,
    ) -> Result<Vec<u8>, Refusal> {
        let said = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if said.is_some_and(|said| said > limit) {
            return Err(Refusal::too_large(self.most_bytes));
        }
        let read = read(request.into_body(), said.unwrap_or(0).min(RESERVED), limit, self.most_bytes, held);
        let body = tokio::time::timeout(self.timeout, read)
            .await
            .map_err(|_| Refusal::new(Kind::Slow, "the request did not come to its end in time"))??;
        self.counters.bytes_received.add(body.len() as u64);
        Ok(body)
    }

    /// Lets in who carries the token.
    pub(super) fn authorise(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        match &self.token {
            Some(token) if !token.admits(headers) => {
                Err(Refusal::new(Kind::Unauthenticated, "the bearer token is missing or wrong"))
            }
            _ => Ok(()),
        }
    }

    /// Counts an answer that is no success, and says it here too: most SDKs show their users the code and nothing else.
    pub(super) fn count(&self, answer: &Answer) {
        let Err(refusal) = answer else { return };
        let counter =
            if refusal.is_retryable() { &self.counters.requests_refused } else { &self.counters.requests_invalid };
        counter.add(1);
        self.log.say(refusal.kind.name(), || format!("request refused: {}", refusal.message));
    }
}

async fn read(
    mut body: Incoming,
    reserve: u64,
    limit: u64,
    named_limit: u64,
    held: &mut Held,
) -> Result<Vec<u8>, Refusal> {
    held.grow(reserve)?;
    let mut bytes: Vec<u8> = Vec::with_capacity(reserve as usize);
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        let frame = match frame {
            None => return Ok(bytes),
            Some(Err(error)) => return Err(Refusal::invalid(format!("the body broke off: {error}"))),
            Some(Ok(frame)) => frame,
        };
        let Some(data) = frame.data_ref() else { continue };
        if (bytes.len() + data.len()) as u64 > limit {
            return Err(Refusal::too_large(named_limit));
        }
        let before = bytes.capacity();
        bytes.extend_from_slice(data);
        held.grow((bytes.capacity() - before) as u64)?;
    }
}

/// The form of a body by its content type: case and parameters do not count.
fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let media_type = value.split(';').next().unwrap_or_default().trim();
    [Encoding::Proto, Encoding::Json].into_iter().find(|known| media_type.eq_ignore_ascii_case(known.media_type()))
}

fn coding(headers: &HeaderMap) -> Result<Coding, Refusal> {
    let mut values = headers.get_all(CONTENT_ENCODING).into_iter();
    let value = values.next().map_or(Ok(""), |value| value.to_str()).unwrap_or("?");
    let several = values.next().is_some();
    Coding::of_http(value).filter(|_| !several).ok_or_else(|| {
        Refusal::new(Kind::Unsupported, format!("the content encoding is none of {HTTP_CODINGS}; lists are not taken"))
    })
}

/// All that a sender may send.
pub(super) const SIGNALS: [Signal; 4] = [Signal::Traces, Signal::Metrics, Signal::Logs, Signal::Profiles];

/// What a path takes.
fn signal(path: &str) -> Result<Signal, Refusal> {
    if let Some(signal) = SIGNALS.into_iter().find(|signal| signal.http_path() == path) {
        return Ok(signal);
    }
    match path {
        "/" | "" => Err(Refusal::new(
            Kind::NotFound,
            "there is nothing at /: traces go to /v1/traces. OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is used as it stands: put \
             /v1/traces behind it, or set OTEL_EXPORTER_OTLP_ENDPOINT instead",
        )),
        _ if path.ends_with('/') && signal(path.trim_end_matches('/')).is_ok() => {
            Err(Refusal::new(Kind::NotFound, "there is nothing here: leave out the slash at the end of the path"))
        }
        _ => Err(Refusal::new(
            Kind::NotFound,
            "there is nothing here: this is an OTLP receiver, traces go to /v1/traces",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t_09_t_10_paths() {
        assert_eq!(signal("/v1/traces"), Ok(Signal::Traces));
        assert_eq!(signal("/v1/metrics"), Ok(Signal::Metrics));
        assert_eq!(signal("/v1/logs"), Ok(Signal::Logs));
        assert_eq!(signal("/v1development/profiles"), Ok(Signal::Profiles));
        let hint = |path| signal(path).unwrap_err().message;
        assert!(hint("/").contains("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"));
        assert!(hint("/v1/traces/").contains("slash"));
        assert!(hint("//").contains("/v1/traces") && hint("/api/v2/spans").contains("/v1/traces"));
    }

    #[test]
    fn t_07_content_types() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, text.parse().unwrap());
            encoding(&headers)
        };
        assert_eq!(of("application/json; charset=utf-8"), Some(Encoding::Json));
        assert_eq!(of("APPLICATION/JSON"), Some(Encoding::Json));
        assert_eq!(of("application/x-protobuf"), Some(Encoding::Proto));
        assert_eq!(of("text/plain"), None);
    }
}
