//! The receiver from outside: the real program on loopback, spoken to by peers that share no code with it.
//!
//! A test is named after the point of the checklist (`otlp.md` §2) that it proves: `t_05_…` for T-05. Points that cannot
//! be proved from outside, or are proved elsewhere, and why:
//!
//! | point | why not here |
//! |---|---|
//! | T-13, hint in the log | either port speaks either protocol, so there is no such mistake; that is what is tested |
//! | R-10 | of the gRPC codes only those that the receiver uses can be provoked; each is tested where it arises |
//! | H-11, constant time | cannot be measured over a socket without flakiness; that the token is never said is tested |
//! | H-13, H-16 | assembly: unit tests of the windows; here only that hostile structures do no harm |
//! | H-14 | what a name does to a terminal, HTML or CSV is tested with each report; here that it is stored as it came |

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
