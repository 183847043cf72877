//! What a receiver is told, checked.

use super::log::Log;
use super::tls::Pem;
use super::token::Token;
use crate::model::Limits;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Everything that is configured.
#[derive(Clone)]
pub struct Options {
    /// Where OTLP/gRPC is taken; `None` for nowhere.
    pub grpc: Option<SocketAddr>,
    /// Where OTLP/HTTP is taken.
    pub http: Option<SocketAddr>,
    /// Where questions are answered.
    pub admin: Option<SocketAddr>,
    /// A Unix socket for OTLP.
    pub unix_socket: Option<PathBuf>,
    /// Certificate and key, if TLS is spoken.
    pub tls: Option<Pem>,
    /// Who may come.
    pub token: Option<Arc<Token>>,
    /// Largest request in bytes, as it comes and inflated.
    pub most_request_bytes: u64,
    /// Bytes that requests, open traces and windows may take together.
    pub most_memory_bytes: u64,
    /// Requests at a time.
    pub most_requests: u32,
    /// Connections at a time.
    pub most_connections: u32,
    /// A body must have come after so long.
    pub request_timeout: Duration,
    /// Whether metrics, logs and profiles are answered well and dropped.
    pub discards_others: bool,
    /// How long stopping may take.
    pub drain_timeout: Duration,
    /// Bounds of decoding.
    pub limits: Limits,
    /// Where words go.
    pub log: Log,
}

/// The share of the memory that requests may take at a time: one half; open traces and windows share the other.
const REQUESTS_SHARE: u64 = 2;
/// A request can need so many times its largest size while it is inflated and decoded.
const REQUEST_NEEDS: u64 = 3;

impl Options {
    /// Bytes that requests may hold together.
    pub const fn request_budget(&self) -> u64 {
        self.most_memory_bytes / REQUESTS_SHARE
    }

    /// Bytes that open traces may take.
    pub const fn open_budget(&self) -> u64 {
        self.most_memory_bytes / 4
    }

    /// Bytes that windows may take.
    pub const fn window_budget(&self) -> u64 {
        self.most_memory_bytes / 4
    }

    /// Whether anything listens on more than this machine.
    pub fn is_public(&self) -> bool {
        [self.grpc, self.http, self.admin].into_iter().flatten().any(|address| !address.ip().is_loopback())
    }

    /// The smallest memory in which the largest request can be taken.
    pub const fn least_memory(&self) -> u64 {
        self.most_request_bytes.saturating_mul(REQUEST_NEEDS * REQUESTS_SHARE)
    }
}
