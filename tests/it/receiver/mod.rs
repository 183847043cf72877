//! The receiver from outside: the real program on loopback, spoken to by peers that share no code with it.
//!
//! A test is named after the point of the checklist (`otlp.md` §2) that it proves: `t_05_…` for T-05. Points that cannot
//! be proved from outside, or are proved elsewhere, and why:
//!
//! | point | why not here |
//! |---|---|
//! | T-13 | there is no wrong port: that either takes either protocol is tested instead of a hint in the log |
//! | R-10 | only those gRPC codes can be provoked that the receiver uses; each is tested where it arises |
//! | H-11 | equal time cannot be measured over a socket; that the token is never said is |
//! | H-13, H-16 | what becomes of windows is tested beside them; here, that hostile structures do no harm |
//! | H-14 | what a name does to a terminal or a page is tested with each report; here, that it is kept as it came |

mod collector;
mod hardening;
mod http;
mod json;
mod payload;
mod peer;
mod response;
mod sdk;
mod secure;
mod seen;
mod semantics;
mod server;
mod transport;

pub(crate) use server::Server;
