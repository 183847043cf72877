//! gRPC's envelope of one message, over the same HTTP/2 that everything else comes by.
//!
//! Why not tonic: its server answers an oversized message with `OUT_OF_RANGE`, which OTLP lets senders repeat for ever,
//! where the specification asks for `RESOURCE_EXHAUSTED`; it inflates on the reactor; and it reads the body before anybody
//! could refuse it. A unary call is five bytes in front of a message and a status behind the answer.

use super::admission::Held;
use super::client::Signal;
use super::engine::Answer;
use super::inflate::{Coding, GRPC_CODINGS, empty};
use super::refusal::{Kind, Refusal};
use super::request::{SIGNALS, Service};
use super::respond::{self, Encoding, Reply};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Method, Request, Response};

/// Bytes in front of a message: whether it is compressed, and its length.
const ENVELOPE: usize = 5;

/// What Kubernetes and load balancers ask, with its answer: SERVING.
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const SERVING: [u8; 2] = [0x08, 0x01];

/// Whether a content type is gRPC with protobuf.
pub fn is_grpc(content_type: &HeaderValue) -> bool {
    let text = content_type.to_str().unwrap_or_default();
    let media_type = text.split(';').next().unwrap_or_default().trim();
    ["application/grpc", "application/grpc+proto"].iter().any(|known| media_type.eq_ignore_ascii_case(known))
}

/// Answers a call.
pub async fn answer(service: &Service, request: Request<Incoming>, content_type: &HeaderValue) -> Response<Reply> {
    if request.uri().path() == HEALTH && request.method() == Method::POST {
        return respond::grpc_message(&SERVING, content_type);
    }
    let answer = call(service, request).await;
    service.count(&answer);
    respond::grpc(&answer, content_type)
}

async fn call(service: &Service, request: Request<Incoming>) -> Answer {
    service.authorise(request.headers())?;
    let signal = signal(request.uri().path(), service.discards_others)?;
    let encoding = request.headers().get("grpc-encoding");
    let coding = encoding.map_or(Some(Coding::Identity), |value| Coding::of_grpc(value.to_str().unwrap_or("?")));
    let coding = coding
        .ok_or_else(|| Refusal::new(Kind::Unsupported, format!("the grpc-encoding is none of {GRPC_CODINGS}")))?;
    let mut held = service.admission.enter().await?;
    let most = service.most_bytes.saturating_add(ENVELOPE as u64);
    let body = service.collect(request, most, &mut held).await?;
    let (message, coding) = open(body, coding, service.most_bytes)?;
    take(service, signal, coding, message, held).await
}

async fn take(service: &Service, signal: Signal, coding: Coding, message: Vec<u8>, held: Held) -> Answer {
    service.take(signal, Encoding::Proto, coding, message, held).await
}

fn signal(path: &str, discards_others: bool) -> Result<Signal, Refusal> {
    let known = SIGNALS.into_iter().find(|signal| signal.grpc_path() == path);
    known
        .filter(|signal| *signal == Signal::Traces || discards_others)
        .ok_or_else(|| Refusal::new(Kind::NotFound, "this receiver answers the Export method of OTLP's services alone"))
}

/// Takes the message out of its envelope; and what it is compressed with.
fn open(mut body: Vec<u8>, coding: Coding, limit: u64) -> Result<(Vec<u8>, Coding), Refusal> {
    let Some((&[flag, a, b, c, d], message)) = body.split_first_chunk::<ENVELOPE>() else {
        return Err(broken("the call holds no message"));
    };
    let len = u32::from_be_bytes([a, b, c, d]);
    if u64::from(len) > limit {
        return Err(Refusal::too_large(limit));
    }
    if message.len() != len as usize {
        return Err(broken("the call does not hold one message of the length that it says"));
    }
    let coding = match flag {
        0 => Coding::Identity,
        1 if coding == Coding::Identity => {
            return Err(broken("the message is compressed, and no grpc-encoding says how"));
        }
        1 if message.is_empty() => return Err(empty(coding)),
        1 => coding,
        _ => return Err(broken("the envelope of the message is broken")),
    };
    body.drain(..ENVELOPE);
    Ok((body, coding))
}

fn broken(message: &'static str) -> Refusal {
    Refusal::new(Kind::Internal, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_hold_one_message() {
        let open = |bytes: &[u8], coding| open(bytes.to_vec(), coding, 10);
        assert_eq!(open(&[0, 0, 0, 0, 2, 7, 8], Coding::Gzip), Ok((vec![7, 8], Coding::Identity)));
        assert_eq!(open(&[1, 0, 0, 0, 1, 7], Coding::Gzip), Ok((vec![7], Coding::Gzip)));
        assert_eq!(open(&[0, 0, 0, 0, 0], Coding::Identity), Ok((vec![], Coding::Identity)));
        let code = |bytes: &[u8], coding| open(bytes, coding).unwrap_err().grpc();
        assert_eq!(code(&[0, 0, 0, 0], Coding::Identity), 13);
        assert_eq!(code(&[0, 0, 0, 0, 2, 7], Coding::Identity), 13);
        assert_eq!(code(&[0, 0, 0, 0, 1, 7, 0], Coding::Identity), 13);
        assert_eq!(code(&[1, 0, 0, 0, 1, 7], Coding::Identity), 13);
        assert_eq!(code(&[2, 0, 0, 0, 1, 7], Coding::Gzip), 13);
        assert_eq!(code(&[1, 0, 0, 0, 0], Coding::Gzip), 3);
        // The claim alone is enough.
        assert_eq!(code(&[0, 0, 0, 0, 11, 7], Coding::Identity), 8);
    }
}
