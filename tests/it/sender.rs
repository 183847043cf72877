//! The real programs against each other: `spandiff generate --otlp` sends, `spandiff receive --capture` keeps, and what
//! the one counts as acknowledged is what the other has on disk.

use super::capture::{Tmpfs, any_part, captured};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_spandiff");

/// A receiver that listens.
struct Receiver {
    process: Child,
    grpc: String,
    http: String,
}

impl Receiver {
    fn start(directory: &Path, more: &[&str]) -> Receiver {
        let mut words = vec!["receive", "--admin-listen", "off", "--window", "off", "--drain-timeout", "30s"];
        for (option, value) in [("--grpc-listen", "127.0.0.1:0"), ("--http-listen", "127.0.0.1:0")] {
            if !more.contains(&option) {
                words.extend([option, value]);
            }
        }
        words.extend(more);
        let mut command = Command::new(PROGRAM);
        command.args(words).arg("--capture").arg(directory).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let address = |name: &str| ready[name].as_str().unwrap_or_default().to_owned();
        Receiver { grpc: address("grpc"), http: address("http"), process }
    }

    fn terminate(&mut self) -> ExitStatus {
        signal("TERM", &self.process);
        wait_for(&mut self.process)
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Nothing outlives a test that fails.
impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn signal(name: &str, process: &Child) {
    let status = Command::new("kill").args([format!("-{name}"), process.id().to_string()]).status().unwrap();
    assert!(status.success());
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(90);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen within 90 s");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn wait_for(process: &mut Child) -> ExitStatus {
    let mut status = None;
    wait_until("the end of a process", || {
        status = process.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

/// A sender at work; its summary goes to a file.
struct Sender {
    process: Child,
    summary: PathBuf,
}

impl Sender {
    fn start(directory: &Path, endpoint: &str, more: &[&str]) -> Sender {
        let summary = directory.join(format!("{}.json", endpoint.replace(['/', ':'], "-")));
        let mut command = Command::new(PROGRAM);
        command.args(["generate", "--otlp", endpoint, "--quiet"]).args(more).arg("-o").arg(&summary);
        Sender { process: command.spawn().unwrap(), summary }
    }

    /// Waits for the end; whether all was acknowledged, and the summary.
    fn end(mut self) -> (bool, Value) {
        let status = wait_for(&mut self.process);
        let summary = serde_json::from_slice(&fs::read(&self.summary).unwrap()).unwrap();
        assert!(matches!(status.code(), Some(0 | 1)), "{status}");
        (status.success(), summary)
    }

    fn stop(self) -> (bool, Value) {
        signal("INT", &self.process);
        self.end()
    }
}

fn count(summary: &Value, name: &str) -> u64 {
    summary[name].as_u64().unwrap_or_else(|| panic!("{name} in {summary}"))
}

/// Bytes of all files of a capture.
fn size(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|metadata| metadata.len()).sum()
}

fn distinct_and_all(found: &BTreeMap<u64, u32>) -> (u64, u64) {
    (found.len() as u64, found.values().map(|times| u64::from(*times)).sum())
}

#[test]
fn every_way_to_send_is_kept_to_the_span() {
    let directory = tempfile::tempdir().unwrap();
    let capture = directory.path().join("capture");
    let mut receiver = Receiver::start(&capture, &[]);
    let (grpc, http) = (format!("grpc://{}", receiver.grpc), format!("http://{}", receiver.http));
    let mut acknowledged = 0;
    for (endpoint, encoding, compression) in [
        (&grpc, "proto", "none"),
        (&grpc, "proto", "gzip"),
        (&grpc, "proto", "zstd"),
        (&http, "proto", "none"),
        (&http, "proto", "gzip"),
        (&http, "proto", "zstd"),
        (&http, "json", "none"),
        (&http, "json", "gzip"),
        (&http, "json", "zstd"),
    ] {
        let words = ["--encoding", encoding, "--compression", compression, "--rate", "0", "--traces", "20"];
        let words = [&words[..], &["--connections", "2", "--side", "after"]].concat();
        let (complete, summary) = Sender::start(directory.path(), endpoint, &words).end();
        assert!(complete, "{endpoint} {encoding} {compression}: {summary}");
        assert_eq!((count(&summary, "traces_sent"), count(&summary, "spans_unanswered")), (20, 0));
        assert!(count(&summary, "spans_sent") > 100 && summary["answer_p99_ms"].as_f64() > Some(0.0));
        acknowledged += count(&summary, "spans_acknowledged");
    }
    // At a rate, for the main path alone.
    let words = ["--rate", "50", "--traces", "25"];
    let (complete, summary) = Sender::start(directory.path(), &format!("{http}/v1/traces"), &words).end();
    assert!(complete && (0.45..30.0).contains(&summary["seconds"].as_f64().unwrap()), "{summary}");
    acknowledged += count(&summary, "spans_acknowledged");
    assert!(receiver.terminate().success());
    assert_eq!(distinct_and_all(&captured(&capture, false)), (acknowledged, acknowledged));
    assert!(!any_part(&capture));
}

#[test]
fn sigterm_under_load_keeps_exactly_what_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let capture = directory.path().join("capture");
    let mut receiver = Receiver::start(&capture, &["--capture-file-size", "64KiB"]);
    let (grpc, http) = (format!("grpc://{}", receiver.grpc), format!("http://{}", receiver.http));
    let load = ["--rate", "0", "--connections", "2", "--for", "60s"];
    let senders = [
        Sender::start(directory.path(), &grpc, &load),
        Sender::start(directory.path(), &http, &load),
        Sender::start(directory.path(), &format!("{http}/v1/traces"), &[&load[..], &["--encoding", "json"]].concat()),
    ];
    wait_until("load", || size(&capture) > 400_000);
    assert!(receiver.terminate().success());
    let found = captured(&capture, false);
    let summaries = senders.map(|sender| sender.stop().1);
    let acknowledged: u64 = summaries.iter().map(|summary| count(summary, "spans_acknowledged")).sum();
    assert!(acknowledged > 1_000);
    assert_eq!(distinct_and_all(&found), (acknowledged, acknowledged), "{summaries:?}");
}

#[test]
fn kill_9_under_load_and_restarts_keep_what_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let capture = directory.path().join("capture");
    let mut receiver = Receiver::start(&capture, &["--capture-file-size", "100KiB"]);
    let (grpc, http) = (receiver.grpc.clone(), receiver.http.clone());
    let load = ["--rate", "0", "--connections", "2", "--for", "600s"];
    let senders = [
        Sender::start(directory.path(), &format!("grpc://{grpc}"), &load),
        Sender::start(directory.path(), &format!("http://{http}"), &load),
    ];
    for round in 0..4 {
        let before = size(&capture);
        wait_until("load", || size(&capture) > before + 50_000 * (round + 1));
        receiver.kill();
        let ports = ["--grpc-listen", &grpc, "--http-listen", &http, "--capture-file-size", "100KiB"];
        receiver = Receiver::start(&capture, &ports);
    }
    let before = size(&capture);
    wait_until("load", || size(&capture) > before + 50_000);
    let ends = senders.map(Sender::stop);
    assert!(receiver.terminate().success());
    let found = captured(&capture, false);
    let sum = |name| ends.iter().map(|(_, summary)| count(summary, name)).sum::<u64>();
    assert_eq!((sum("spans_rejected"), sum("spans_refused"), sum("spans_unanswered")), (0, 0, 0), "{ends:?}");
    let (distinct, all) = distinct_and_all(&found);
    assert_eq!(distinct, sum("spans_acknowledged"), "every one that was sent, for all were acknowledged in the end");
    assert!(sum("retries") > 0);
    // A request whose answer was lost is sent again, and may be there twice.
    assert!(all - distinct <= sum("answers_lost") * 1_000, "{all} spans, {distinct} different, {ends:?}");
}

#[test]
fn a_full_disk_refuses_and_then_everything_arrives() {
    let Some(disk) = Tmpfs::mount(64 << 20) else {
        eprintln!("skipped: no right to mount a small file system");
        return;
    };
    let capture = disk.0.path().join("capture");
    let ballast = disk.0.path().join("ballast");
    let mut receiver = Receiver::start(&capture, &[]);
    fs::write(&ballast, vec![1; (64 << 20) - (200 << 10)]).unwrap();
    let summaries = tempfile::tempdir().unwrap();
    // Some megabytes: more than there is room for at first.
    let load = ["--rate", "0", "--traces", "1000"];
    let senders = [
        Sender::start(summaries.path(), &format!("grpc://{}", receiver.grpc), &load),
        Sender::start(summaries.path(), &format!("http://{}", receiver.http), &load),
    ];
    let probe = disk.0.path().join("probe");
    wait_until("a full disk", || {
        let full = fs::write(&probe, [1; 16 << 10]).is_err();
        fs::remove_file(&probe).unwrap();
        full
    });
    fs::remove_file(&ballast).unwrap();
    let ends = senders.map(Sender::end);
    assert!(receiver.terminate().success());
    let acknowledged: u64 = ends.iter().map(|(_, summary)| count(summary, "spans_acknowledged")).sum();
    assert!(ends.iter().all(|(complete, _)| *complete), "{ends:?}");
    assert!(ends.iter().any(|(_, summary)| count(summary, "retries") > 0), "{ends:?}");
    assert_eq!(distinct_and_all(&captured(&capture, false)), (acknowledged, acknowledged));
}

#[test]
fn tls_is_spoken_over_both_protocols() {
    let directory = tempfile::tempdir().unwrap();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    fs::write(&certificate, certified.cert.pem()).unwrap();
    fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let token = directory.path().join("token");
    fs::write(&token, "secret\n").unwrap();
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    let (certificate, key, token) = (path(&certificate), path(&key), path(&token));
    let capture = directory.path().join("capture");
    let tls = ["--tls-cert", &certificate, "--tls-key", &key, "--token-file", &token];
    let mut receiver = Receiver::start(&capture, &tls);
    let port = |address: &str| address.rsplit_once(':').unwrap().1.to_owned();
    let (grpc, http) = (port(&receiver.grpc), port(&receiver.http));
    let mut acknowledged = 0;
    for endpoint in [format!("grpcs://localhost:{grpc}"), format!("https://localhost:{http}")] {
        let words = ["--rate", "0", "--traces", "5"];
        let trusted = [&words[..], &["--authorities", &certificate, "--token-file", &token]].concat();
        let (complete, summary) = Sender::start(directory.path(), &endpoint, &trusted).end();
        assert!(complete, "{summary}");
        acknowledged += count(&summary, "spans_acknowledged");
        // Without the token it is refused for good.
        let (complete, summary) =
            Sender::start(directory.path(), &endpoint, &[&words[..], &["--authorities", &certificate]].concat()).end();
        assert!(!complete && count(&summary, "spans_refused") == count(&summary, "spans_sent"), "{summary}");
    }
    assert!(receiver.terminate().success());
    assert_eq!(distinct_and_all(&captured(&capture, false)), (acknowledged, acknowledged));
}

#[test]
fn what_does_not_arrive_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let words = ["--rate", "0", "--traces", "3", "--for", "100ms"];
    let (complete, summary) = Sender::start(directory.path(), "grpc://127.0.0.1:1", &words).end();
    assert!(!complete);
    assert_eq!(count(&summary, "spans_acknowledged"), 0);
    assert_eq!(count(&summary, "spans_unanswered"), count(&summary, "spans_sent"));
    assert!(summary["last_error"].as_str().unwrap().contains("cannot connect to 127.0.0.1 port 1"), "{summary}");
    for (words, said) in [
        (&["--otlp", "localhost"][..], "is no OTLP endpoint"),
        (&["--otlp", "grpc://localhost", "--encoding", "json"], "gRPC has no JSON"),
        (&["--rate", "5"], "--otlp"),
        (&["--otlp", "http://localhost", "--format", "xml"], "there is no format of a summary `xml`"),
    ] {
        let output = Command::new(PROGRAM).arg("generate").args(words).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(said), "{text}");
    }
}
