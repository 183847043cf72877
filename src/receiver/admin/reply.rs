//! Answers: JSON, text, bytes; and refusals, which say what is wrong and what to do.

use crate::receiver::respond;
use bytes::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// An answer with its whole body.
pub type Reply = Response<respond::Reply>;

/// The number of the publication that an answer speaks of: two answers of one number fit together.
pub const GENERATION: HeaderName = HeaderName::from_static("spandiff-generation");

/// JSON.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Plain text.
pub const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// An answer. No cache may keep it, and no browser may take it for something else than it says.
pub fn reply(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(respond::Reply::of(body));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

/// A value as JSON in which nothing from outside is a control character.
pub fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    match crate::report::json::pretty(value) {
        Ok(mut body) => {
            body.push(b'\n');
            reply(status, JSON, body)
        }
        // Only a map whose keys are no text cannot be written, and there is none here.
        Err(_) => reply(StatusCode::INTERNAL_SERVER_ERROR, JSON, "{\"error\": \"cannot be written as JSON\"}\n"),
    }
}

/// Says of which publication an answer speaks.
pub fn of_generation(mut reply: Reply, generation: u64) -> Reply {
    reply.headers_mut().insert(GENERATION, HeaderValue::from(generation));
    reply
}

/// The answer to `HEAD`: everything but the body.
pub fn without_body(mut reply: Reply) -> Reply {
    use hyper::body::Body as _;
    let length = reply.body().size_hint().exact().unwrap_or_default();
    reply.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    *reply.body_mut() = respond::Reply::default();
    reply
}

/// A request that is not answered with what it asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    error: String,
    hint: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// One lower-case sentence each: what is wrong, and what to do about it.
    pub fn new(status: StatusCode, error: impl Into<String>, hint: impl Into<String>) -> Refusal {
        Refusal { status, error: error.into(), hint: hint.into(), headers: Vec::new() }
    }

    /// 400: the request cannot be understood.
    pub fn bad(error: impl Into<String>, hint: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, error, hint)
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Refusal {
        self.headers.push((name, value));
        self
    }

    /// Says that it is worth trying again, and after how many seconds.
    #[must_use]
    pub fn retry(self, seconds: u64) -> Refusal {
        self.with(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Says which methods there are; their names are ASCII.
    #[must_use]
    pub fn allow(self, methods: &str) -> Refusal {
        match HeaderValue::from_str(methods) {
            Ok(value) => self.with(ALLOW, value),
            Err(_) => self,
        }
    }

    /// Says that a token is asked for.
    #[must_use]
    pub fn challenge(self) -> Refusal {
        self.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"spandiff\""))
    }

    /// The answer.
    pub fn reply(self) -> Reply {
        #[derive(Serialize)]
        struct Document<'a> {
            error: &'a str,
            hint: &'a str,
        }
        let mut reply = json(self.status, &Document { error: &self.error, hint: &self.hint });
        for (name, value) in self.headers {
            reply.headers_mut().insert(name, value);
        }
        reply
    }
}
