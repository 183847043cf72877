//! Floor 5: sockets in, windows out: the OTLP receiver beside a Collector or a service.
//!
//! May use: `model`, `stats`, `ingest`, `diff`, `report`, tokio, hyper, rustls. Never: `tui`, `cli`, the environment.
//! Invariant: a request is answered after admission, within a bound, whatever the sender does; an acknowledged span is
//! never lost silently.

pub mod capture;
pub mod client;
pub mod counters;
pub mod moment;
