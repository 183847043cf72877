//! Ten minutes at 80 % of what goes: memory, answers, and whether every acknowledged span is in the capture.

use super::client::{self, Load, Protocol};
use super::payload::SPANS;
use super::process::Server;
use std::process::Command;
use std::time::Duration;

/// The memory that the receiver is allowed.
const MEMORY: &str = "512MiB";
const MEMORY_BYTES: u64 = 512 << 20;
/// How long the soak lasts, in seconds, unless the environment says otherwise.
const SECONDS: u64 = 600;
/// Parts of the soak, after each of which memory is looked at.
const PARTS: u64 = 20;
const CONNECTIONS: usize = 8;

/// Measures, and panics when a promise is broken.
pub fn run() {
    let seconds = std::env::var("SPANDIFF_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().display().to_string();
    let server = Server::ours(&["--capture", &capture, "--max-memory", MEMORY]);
    let address = server.address(Protocol::Grpc);
    let send = |rate: Option<f64>, seconds: u64| {
        let time = Duration::from_secs(seconds);
        client::run(&address, Load { protocol: Protocol::Grpc, connections: CONNECTIONS, time, rate })
    };
    let most = send(None, 10);
    let rate = most.spans as f64 / SPANS as f64 / 10.0;
    println!("soak: at most {:.0} spans/s, sender and receiver on the same cores", rate * SPANS as f64);
    let (mut acknowledged, mut refused) = (most.spans, most.refused);
    let mut half = send(Some(rate / 2.0), 20);
    (acknowledged, refused) = (acknowledged + half.spans, refused + half.refused);
    println!(
        "  half load: p50 {:?}, p99 {:?}, max {:?}",
        half.percentile(0.5),
        half.percentile(0.99),
        half.percentile(1.0)
    );
    let mut resident = Vec::new();
    for part in 0..PARTS {
        let sent = send(Some(rate * 0.8), seconds / PARTS);
        (acknowledged, refused) = (acknowledged + sent.spans, refused + sent.refused);
        let now = server.resident_bytes();
        println!("  80 %, part {:>2}: {:>9} spans, resident {} MiB", part + 1, sent.spans, now >> 20);
        resident.push(now);
    }
    server.stop();
    let kept = spans_in(&capture);
    let settled = &resident[resident.len() / 4..];
    let (low, high) = (settled.iter().min().unwrap(), settled.iter().max().unwrap());
    println!("  {acknowledged} spans acknowledged, {kept} in the capture, {refused} requests refused");
    println!(
        "  memory after a quarter of the time: {} to {} MiB of {} allowed",
        low >> 20,
        high >> 20,
        MEMORY_BYTES >> 20
    );
    assert_eq!(acknowledged, kept, "acknowledged spans are missing");
    assert!(*high < MEMORY_BYTES, "memory is over its bound");
}

/// The spans that the capture holds, as `spandiff inspect` counts them.
fn spans_in(capture: &str) -> u64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spandiff"));
    let output = command.args(["inspect", "--format", "json", capture]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    report["totals"]["spans"].as_u64().unwrap()
}
