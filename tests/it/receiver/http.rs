//! HTTP/1.1 by hand: whatever a client may send, and exactly what comes back.

use super::server::PATIENCE;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

/// A stream that bytes go over: TCP, TLS, a Unix socket.
pub(crate) trait Wire: Read + Write {}

impl<T: Read + Write> Wire for T {}

pub(crate) fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&to, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// The head of a request; `Host` is always there.
pub(crate) fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head + "\r\n"
}

/// Reads one byte at a time up to the blank line, so that nothing of what follows is taken.
fn read_head(wire: &mut dyn Wire) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match wire.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
        assert!(head.len() < 1 << 20, "endless headers");
    }
    Some(String::from_utf8(head).unwrap())
}

fn read_line(wire: &mut dyn Wire) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        wire.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap().trim().to_owned()
}

fn read_exact(wire: &mut dyn Wire, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    wire.read_exact(&mut bytes).unwrap();
    bytes
}

/// Reads one answer; `None` when the connection ended instead. 100 (Continue) is passed over.
pub(crate) fn answer(wire: &mut dyn Wire) -> Option<Answer> {
    let head = read_head(wire)?;
    let mut lines = head.split("\r\n");
    let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    if status == 100 {
        return answer(wire);
    }
    let pairs = lines.filter_map(|line| line.split_once(':'));
    let headers: Vec<_> = pairs.map(|(k, v)| (k.to_ascii_lowercase(), v.trim().to_owned())).collect();
    let mut answer = Answer { status, headers, body: Vec::new() };
    if let Some(len) = answer.header("content-length") {
        answer.body = read_exact(wire, len.parse().unwrap());
    } else if answer.header("transfer-encoding") == Some("chunked") {
        loop {
            let len = usize::from_str_radix(&read_line(wire), 16).unwrap();
            answer.body.extend(read_exact(wire, len));
            assert_eq!(read_line(wire), "");
            if len == 0 {
                break;
            }
        }
    } else if status != 204 {
        let _ = wire.read_to_end(&mut answer.body);
    }
    Some(answer)
}

/// One request on a stream that stays open. A server may answer and hang up before it has read everything: failures to
/// write are no failures, what counts is the answer.
pub(crate) fn ask(wire: &mut dyn Wire, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let length = body.len().to_string();
    let mut all = headers.to_vec();
    let is = |name: &str| headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
    if !is("content-length") && !is("transfer-encoding") {
        all.push(("Content-Length", &length));
    }
    let _ = wire.write_all(head(method, path, &all).as_bytes());
    let _ = wire.write_all(body);
    let _ = wire.flush();
    answer(wire).unwrap_or_else(|| panic!("no answer to {method} {path} {headers:?}"))
}

/// One request on a connection of its own.
pub(crate) fn send(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    ask(&mut connect(to), method, path, headers, body)
}

pub(crate) fn get(from: SocketAddr, path: &str) -> Answer {
    send(from, "GET", path, &[], &[])
}

pub(crate) const PROTO: (&str, &str) = ("Content-Type", "application/x-protobuf");
pub(crate) const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Posts traces as protobuf.
pub(crate) fn post_proto(to: SocketAddr, body: &[u8]) -> Answer {
    send(to, "POST", "/v1/traces", &[PROTO], body)
}

/// Posts traces as JSON.
pub(crate) fn post_json(to: SocketAddr, body: &str) -> Answer {
    send(to, "POST", "/v1/traces", &[JSON], body.as_bytes())
}

/// Posts traces that are compressed.
pub(crate) fn post_coded(to: SocketAddr, kind: (&str, &str), encoding: &str, body: &[u8]) -> Answer {
    send(to, "POST", "/v1/traces", &[kind, ("Content-Encoding", encoding)], body)
}

/// `body` in chunks of `size` bytes, as `Transfer-Encoding: chunked` has it.
pub(crate) fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in body.chunks(size) {
        out.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        out.extend(chunk);
        out.extend(b"\r\n");
    }
    out.extend(b"0\r\n\r\n");
    out
}
