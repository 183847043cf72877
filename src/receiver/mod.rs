//! Floor 5: sockets in, windows out: the OTLP receiver beside a Collector or a service.
//!
//! May use: `model`, `stats`, `ingest`, `diff`, `report`, tokio, hyper, rustls. Never: `tui`, `cli`, the environment.
//! Invariant: a request is answered after admission, within a bound, whatever the sender does; an acknowledged span is
//! never lost silently.
//!
//! ```text
//! serve → request | grpc → admission → collect → inflate → engine: decode → keep → answer → fold
//!         (tokio threads)                        (pool)    (one thread)
//! ```
//!
//! # Two placements
//! *Beside one service* every span has a remote parent and no root ever comes. Such spans are local entry points, each a
//! request in its own right (`ingest::assemble`); a trace ends when nothing came for a while. There is one version of the
//! service to be seen, so the baseline comes from a file, a URL or from before the last mark.
//! *Behind a Collector* whole traces of all services come together, and they can be divided into cohorts: the canary is
//! compared with what is stable at the same time.
//!
//! # The checklist
//! The requirements of OTLP 1.11 and of its real senders, by their ids in the design, and what becomes of each. Tests are
//! named after the ids.
//!
//! | id | what is done |
//! |---|---|
//! | T-01 | 4317 and 4318 by default |
//! | T-02 | 127.0.0.1 by default; listening beyond this machine is said once, at the start |
//! | T-03, T-04 | none, gzip, zstd, deflate (zlib), snappy, framed snappy, lz4 over HTTP; none, gzip, zstd, snappy over gRPC |
//! | T-05 | `identity` is none; names in any case; unknown codings and lists of them are 415 with a `Status` |
//! | T-06, T-12, T-13 | either port takes protobuf, JSON and gRPC, over HTTP/1.1 and HTTP/2 (by prior knowledge or ALPN): a sender with the wrong port is served |
//! | T-07, T-08 | the media type alone counts, in any case; 415 for others, 405 with `Allow: POST` |
//! | T-09, T-11 | all four paths and services; metrics, logs and profiles are answered well, counted and dropped, or refused with 404 and UNIMPLEMENTED (`--other-signals`) |
//! | T-10 | no other paths: POST to `/` or with a slash at the end is 404 with the way out in its message |
//! | T-14 | bodies are counted as they come; `Content-Length` only refuses early |
//! | T-15 | all sockets are bound before anything runs; one that cannot be is an error that names it, and the others close |
//! | T-16 | draining: requests at hand are answered, later ones get 503 and UNAVAILABLE, then the engine empties its queue |
//! | T-17 | no: answers have a few bytes |
//! | T-18 | no CORS for OTLP; the admin port has it for one configured origin |
//! | T-19 | TLS and mTLS by rustls with ALPN, for both protocols; bearer token from a file |
//! | T-20 | `--unix-socket` |
//! | T-21 | unary `Export` and `grpc.health.v1.Health/Check`; pings of senders are answered; no reflection: the service is the specification's |
//! | J-01, J-02 | hexadecimal ids in any case; a wrong length, zeros or `0x` cost the span (a wrong parent id is read as a number, since the span itself is known) |
//! | J-03 | numbers, names and quoted numbers; unknown numbers are kept as unspecified |
//! | J-04, J-05 | unknown keys are passed over at every level; `snake_case` bodies are read and warned of |
//! | J-06 to J-12 | all forms of numbers, `null`, omitted fields, base64 and values of any shape |
//! | J-13 | of a duplicate key the last counts for messages; duplicate attributes are both kept, and the last is looked up |
//! | J-14 | what is not JSON or not UTF-8 is 400; a byte order mark is passed over |
//! | J-15 | 64 levels of values in both encodings (`value_depth`); what is deeper is cut and counted |
//! | J-16, J-17 | `{}` for full success; 64-bit numbers as text |
//! | R-01 to R-04 | empty on success and for empty requests; `partial_success` with the number of rejected spans, or with 0 and a warning |
//! | R-05, R-06 | every HTTP error is a `google.rpc.Status` in the request's encoding, JSON where that is unknown; `BadRequest` in the details |
//! | R-07 | corrupt compression is 400, wherever it shows |
//! | R-08 | 413, and RESOURCE_EXHAUSTED without `RetryInfo` |
//! | R-09 to R-11 | want of room is 503 with `Retry-After` and UNAVAILABLE with `RetryInfo`, after a short wait; nothing else may be tried again, but a body that did not come in time |
//! | R-12 | messages are cut at 1,000 bytes |
//! | R-13 | a span that comes again is used once: within an open trace by its id, later by its trace's; counted |
//! | H-01 to H-03 | `--max-request-bytes` on the wire and inflated, counted as it streams; claims of snappy and zstd are checked first |
//! | H-04 | [`decode::MOST_SPANS`] and [`decode::MOST_ENVELOPES`] a request; attributes, events and links by `model::Limits`, before anything is reserved |
//! | H-05, H-06 | values are walked within `value_depth`, texts cut at `text_bytes`, on a character |
//! | H-07 | one number of requests and one of connections for all ports; time limits on handshake, headers, body and idleness |
//! | H-08 | 503 and UNAVAILABLE before the body is read when memory is short |
//! | H-09 | 128 streams a connection, 16 KiB of headers; floods of resets and continuations end the connection (h2) |
//! | H-10 | panics of decoders are caught, counted and answered |
//! | H-11 | the token is compared whole, read from a file, never shown |
//! | H-12 | only OTLP's content types; no CORS; the admin port looks at `Host` |
//! | H-13 | open traces, windows and requests have their shares of `--max-memory`; what is closed early or dropped is counted and lowers the verdict |
//! | H-14 | text of senders is made visible before a terminal or a page sees it (`report::escape`) |
//! | H-15, H-16 | times are clamped, cycles cut, walks need no stack (`ingest::assemble`) |
//! | H-17 | a request is decoded as a whole before it is acknowledged |
//! | H-18 | bytes that are not UTF-8 are replaced and counted in protobuf; in JSON they are 400 |
//! | S-01 to S-07 | as in files: `ingest::otlp_proto`, `ingest::json` |

pub mod admin;
pub mod admission;
pub mod board;
pub mod capture;
pub mod client;
pub mod cohort;
pub mod counters;
pub mod decode;
pub mod engine;
pub mod forward;
mod grpc;
pub mod inflate;
pub mod log;
pub mod mark;
pub mod moment;
pub mod options;
mod pauses;
pub mod pipeline;
pub mod refusal;
pub mod request;
pub mod respond;
pub mod run;
pub mod sender;
pub mod serve;
pub mod telemetry;
pub mod tls;
pub mod token;
pub mod watch;
pub mod watching;
pub mod windows;
