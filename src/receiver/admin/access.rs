//! Who may ask: a token, the name that the request was sent to, and the origin of a web page.
//!
//! Three kinds of strangers are kept out. Other hosts: a port that is not bound to loopback needs the token. Web pages on
//! the same machine, whose scripts reach loopback too: a request from a foreign origin is refused, whether it could read
//! the answer or not, since a form can send a mark without asking first. And web pages whose name was pointed at
//! loopback after they were loaded (DNS rebinding), which their browser takes for the same origin: on loopback the name
//! in `Host` must be one of loopback.

use super::reply::{Refusal, Reply, TEXT, reply};
use crate::receiver::token::Token;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ALLOW, AUTHORIZATION, HOST,
    HeaderMap, HeaderValue, ORIGIN, VARY,
};
use hyper::{Method, StatusCode, Uri};
use std::net::IpAddr;
use std::sync::Arc;

/// Seconds for which a browser may remember what it was told about an origin.
const MAX_AGE_S: u64 = 600;

/// Who may ask.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The token that requests must carry, if one is asked for.
    pub token: Option<Arc<Token>>,
    /// The origin whose pages may ask, such as `https://grafana.example`.
    pub origin: Option<String>,
    /// Whether the port is bound to loopback, where no token is needed unless one is configured.
    pub is_loopback: bool,
}

impl Access {
    /// Lets a request in, or says why not.
    ///
    /// # Errors
    /// 400, 401, 403 or 421.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.is_loopback {
            check_host(uri, headers)?;
        }
        if headers.get_all(ORIGIN).iter().any(|origin| !self.allows(origin)) {
            let hint = "--admin-origin names the origin whose pages may ask";
            return Err(Refusal::new(StatusCode::FORBIDDEN, "pages of this origin may not ask", hint));
        }
        match &self.token {
            Some(token) => check_token(token, headers),
            None if self.is_loopback => Ok(()),
            None => {
                let hint = "start the receiver with --token-file, or listen on loopback";
                Err(Refusal::new(StatusCode::FORBIDDEN, "this port is not on loopback and has no token", hint))
            }
        }
    }

    /// What a browser is told before it lets a page ask; `None` when this is no such question.
    pub fn preflight(&self, method: &Method, headers: &HeaderMap, methods: &str) -> Option<Reply> {
        if method != Method::OPTIONS {
            return None;
        }
        let mut answer = reply(StatusCode::NO_CONTENT, TEXT, "");
        let answered = answer.headers_mut();
        let methods = HeaderValue::from_str(methods).ok()?;
        answered.insert(ALLOW, methods.clone());
        let asks = headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if asks && headers.get(ORIGIN).is_some_and(|origin| self.allows(origin)) {
            answered.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
            answered.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type"));
            answered.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(MAX_AGE_S));
        }
        Some(answer)
    }

    /// Lets pages of the allowed origin read an answer; never those of any origin, and never with cookies.
    pub fn share(&self, asked: &HeaderMap, reply: &mut Reply) {
        let Some(allowed) = self.origin.as_deref().and_then(|origin| HeaderValue::from_str(origin).ok()) else {
            return;
        };
        reply.headers_mut().insert(VARY, HeaderValue::from_static("origin"));
        if asked.get(ORIGIN).is_some_and(|origin| self.allows(origin)) {
            reply.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            reply
                .headers_mut()
                .insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("spandiff-generation, retry-after"));
        }
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        let known = self.origin.as_deref().map(|known| known.trim_end_matches('/'));
        known.is_some_and(|known| origin.as_bytes().eq_ignore_ascii_case(known.as_bytes()))
    }
}

fn check_token(token: &Token, headers: &HeaderMap) -> Result<(), Refusal> {
    if token.admits(headers) {
        return Ok(());
    }
    let error = if headers.contains_key(AUTHORIZATION) { "this is not the token" } else { "a token is needed" };
    Err(Refusal::new(StatusCode::UNAUTHORIZED, error, "send authorization: Bearer TOKEN").challenge())
}

fn check_host(uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    let mut names: Vec<&str> = Vec::new();
    for host in headers.get_all(HOST) {
        // What is no text is no name of loopback either.
        names.push(host.to_str().unwrap_or_default());
    }
    names.extend(uri.authority().map(hyper::http::uri::Authority::as_str));
    if names.is_empty() {
        return Err(Refusal::bad("the request names no host", "send a Host header"));
    }
    if names.iter().all(|name| is_loopback(name)) {
        return Ok(());
    }
    let hint = "ask it as localhost, 127.0.0.1 or [::1]; or listen on another address, with a token";
    Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, "this port is on loopback and answers to no other name", hint))
}

/// Whether `host`, `host:port` or `[host]:port` names loopback.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(host, _)| host),
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_loopback() {
        for name in ["localhost", "LOCALHOST:4319", "127.0.0.1:1", "127.8.9.1", "[::1]", "[::1]:4319"] {
            assert!(is_loopback(name), "{name}");
        }
        for name in ["", "evil.example", "localhost.evil.example:80", "10.0.0.1", "[::2]:1", "[", "127.0.0.1.nip.io"] {
            assert!(!is_loopback(name), "{name}");
        }
    }
}
