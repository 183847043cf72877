//! The receiver against plain servers that only decode and count: tonic + prost, axum + prost, axum + `serde_json`.
//!
//! Every server is a process of its own, so that its CPU time is its own; the sender is this one. Both share the cores.
//! What counts is spans that were acknowledged for each second of CPU time that the server took: on a machine with other
//! load that is steadier than spans a second. Servers take turns; medians of several rounds are compared.

mod client;
mod payload;
mod peers;
mod process;
mod soak;

use client::{Load, Protocol};
use process::Server;
use std::time::Duration;

pub use peers::serve as serve_peer;
pub use soak::run as soak;

/// Set for a process of this bench that is a server.
pub const PEER: &str = "SPANDIFF_BENCH_PEER";
/// Set for a process of this bench that is spandiff, with the arguments it was given.
pub const SELF: &str = "SPANDIFF_BENCH_SELF";

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
const CONNECTIONS: usize = 8;

/// One server, and how it is spoken to.
struct Contestant {
    name: &'static str,
    protocol: Protocol,
    server: Server,
    rates: Vec<f64>,
}

impl Contestant {
    fn peer(name: &'static str, protocol: Protocol) -> Contestant {
        Contestant { name, protocol, server: Server::peer(protocol), rates: Vec::new() }
    }

    fn ours(name: &'static str, protocol: Protocol, arguments: &[&str]) -> Contestant {
        Contestant { name, protocol, server: Server::ours(arguments), rates: Vec::new() }
    }

    /// Spans a CPU second of the server, over one round.
    fn round(&mut self) {
        let before = self.server.cpu_seconds();
        let sent = client::run(&self.server.address(self.protocol), Load::full(self.protocol, CONNECTIONS, ROUND));
        assert_eq!(sent.refused, 0, "{}", self.name);
        self.rates.push(sent.spans as f64 / (self.server.cpu_seconds() - before));
    }

    fn median(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    }
}

/// All of them, by turns.
pub fn run() {
    println!("receive: {} spans of 10 attributes a request, {CONNECTIONS} connections", payload::SPANS);
    for (protocol, peer) in [
        (Protocol::Grpc, "tonic + prost, decodes and counts"),
        (Protocol::HttpProto, "axum + prost, decodes and counts"),
        (Protocol::HttpJson, "axum + serde_json, decodes and counts"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let capture = folder.path().display().to_string();
        let mut all = [
            Contestant::peer(peer, protocol),
            Contestant::ours("spandiff, receives and acknowledges", protocol, &["--window", "off"]),
            Contestant::ours("spandiff, assembles and folds too", protocol, &["--window", "60s"]),
            Contestant::ours(
                "spandiff, and keeps a capture",
                protocol,
                &["--window", "60s", "--capture", &capture, "--capture-keep", "1GiB"],
            ),
        ];
        // The first round warms up.
        for round in 0..=ROUNDS {
            for contestant in &mut all {
                contestant.round();
                if round == 0 {
                    contestant.rates.clear();
                }
            }
        }
        let base = all[0].median();
        println!("{}", protocol.name());
        for contestant in &all {
            let rate = contestant.median();
            println!("  {:<42} {:>8.0} spans/CPU s  {:.2}x", contestant.name, rate, rate / base);
        }
        println!("  capture on: {:.0} % of receiving and folding", 100.0 * all[3].median() / all[2].median());
    }
}
