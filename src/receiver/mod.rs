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
pub mod pipeline;
pub mod refusal;
pub mod request;
pub mod respond;
pub mod run;
pub mod serve;
pub mod tls;
pub mod token;
