//! Why a request is refused, and what that is in HTTP and in gRPC.

use std::borrow::Cow;

/// Status codes of gRPC that are used here.
pub mod code {
    /// Done.
    pub const OK: u32 = 0;
    /// The request is wrong in itself.
    pub const INVALID_ARGUMENT: u32 = 3;
    /// It took too long; may be tried again.
    pub const DEADLINE_EXCEEDED: u32 = 4;
    /// Too large: not to be tried again, since no `RetryInfo` comes with it.
    pub const RESOURCE_EXHAUSTED: u32 = 8;
    /// There is no such method, or no such compression.
    pub const UNIMPLEMENTED: u32 = 12;
    /// A bug here, or a broken envelope.
    pub const INTERNAL: u32 = 13;
    /// To be tried again.
    pub const UNAVAILABLE: u32 = 14;
    /// The token is missing or wrong.
    pub const UNAUTHENTICATED: u32 = 16;
}

/// What was wrong. The order of kinds is that of their HTTP codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The body or a header cannot be used.
    Invalid,
    /// The token is missing or wrong.
    Unauthenticated,
    /// There is nothing under this path.
    NotFound,
    /// The path takes POST alone.
    Method,
    /// Over a limit: the same request will never be taken.
    TooLarge,
    /// Neither protobuf nor JSON, or an unknown compression.
    Unsupported,
    /// A bug in the receiver.
    Internal,
    /// No room at the moment: the sender should try again.
    Busy,
    /// The request did not come to its end in time: the sender may try again.
    Slow,
}

impl Kind {
    /// A word for the log, which says each kind once in a while.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Invalid => "invalid",
            Kind::Unauthenticated => "unauthenticated",
            Kind::NotFound => "not found",
            Kind::Method => "method",
            Kind::TooLarge => "too large",
            Kind::Unsupported => "unsupported",
            Kind::Internal => "internal",
            Kind::Busy => "busy",
            Kind::Slow => "slow",
        }
    }
}

/// Seconds after which a sender that was refused for want of room may try again. Short: exporters hold few seconds of
/// spans.
pub const RETRY_AFTER_S: u32 = 1;

/// Longest message in bytes: what a sender reads is bounded whatever was sent.
const LONGEST_MESSAGE: usize = 1_000;

/// Why a request is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of thing was wrong.
    pub kind: Kind,
    /// One sentence for people.
    pub message: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with a message, which is cut if it is long.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Refusal {
        let mut message = message.into();
        if message.len() > LONGEST_MESSAGE {
            let end = (0..=LONGEST_MESSAGE).rev().find(|&at| message.is_char_boundary(at)).unwrap_or(0);
            message = format!("{}…", message.get(..end).unwrap_or_default()).into();
        }
        Refusal { kind, message }
    }

    /// The request cannot be used.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal::new(Kind::Invalid, message)
    }

    /// There is no room at the moment.
    pub fn busy(message: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal::new(Kind::Busy, message)
    }

    /// More bytes than a request may have.
    pub fn too_large(limit: u64) -> Refusal {
        Refusal::new(
            Kind::TooLarge,
            format!("the request is over the limit of {limit} bytes (--max-request-bytes), as it came or decompressed"),
        )
    }

    /// Whether the same request may be taken later.
    pub const fn is_retryable(&self) -> bool {
        matches!(self.kind, Kind::Busy | Kind::Slow)
    }

    /// The code in HTTP.
    pub const fn http(&self) -> u16 {
        match self.kind {
            Kind::Invalid => 400,
            Kind::Unauthenticated => 401,
            Kind::NotFound => 404,
            Kind::Method => 405,
            Kind::TooLarge => 413,
            Kind::Unsupported => 415,
            Kind::Internal => 500,
            Kind::Busy | Kind::Slow => 503,
        }
    }

    /// The code in gRPC, which also stands in the `Status` that HTTP bodies are.
    pub const fn grpc(&self) -> u32 {
        match self.kind {
            Kind::Invalid => code::INVALID_ARGUMENT,
            Kind::Unauthenticated => code::UNAUTHENTICATED,
            Kind::NotFound | Kind::Method | Kind::Unsupported => code::UNIMPLEMENTED,
            Kind::TooLarge => code::RESOURCE_EXHAUSTED,
            Kind::Internal => code::INTERNAL,
            Kind::Busy => code::UNAVAILABLE,
            Kind::Slow => code::DEADLINE_EXCEEDED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_want_of_room_and_time_may_be_tried_again() {
        // The retryable codes of the OTLP specification.
        for kind in [
            Kind::Invalid,
            Kind::Unauthenticated,
            Kind::NotFound,
            Kind::Method,
            Kind::TooLarge,
            Kind::Unsupported,
            Kind::Internal,
            Kind::Busy,
            Kind::Slow,
        ] {
            let refusal = Refusal::new(kind, "x");
            assert_eq!(refusal.is_retryable(), [429, 502, 503, 504].contains(&refusal.http()), "{kind:?}");
            assert_eq!(refusal.is_retryable(), [1, 4, 10, 11, 14, 15].contains(&refusal.grpc()), "{kind:?}");
        }
    }

    #[test]
    fn messages_are_cut() {
        let refusal = Refusal::invalid("ü".repeat(2_000));
        assert!(refusal.message.len() < 1_010 && refusal.message.ends_with('…'));
    }
}
