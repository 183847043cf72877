//! Real senders: applications with the OpenTelemetry SDKs for Python and Node, and rotel as a forwarder.
//!
//! They are installed once below the target directory (`tests/sdk/install.sh`), when `PyPI` and npm can be reached; what
//! cannot be installed is said on one line, and its tests pass.

use super::seen::{Seen, names};
use super::server::{PATIENCE, Server, wait};
use serde_json::Value;
use spandiff::model::{Kind, Status};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

const TRACES: usize = 3;
const PYTHON: [(&str, &[&str]); 3] =
    [("grpc", &["none", "gzip"]), ("http", &["none", "gzip", "deflate"]), ("json", &["none", "gzip", "deflate"])];
const NODE: [(&str, &[&str]); 3] =
    [("grpc", &["none", "gzip"]), ("http", &["none", "gzip"]), ("json", &["none", "gzip"])];

/// Says so past the capture of test output: what is not tested should be seen.
fn skipped(what: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {what}");
}

fn senders() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk")
}

/// Where the senders are; installs them on the first call.
fn home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdk");
        let status = Command::new("sh").arg(senders().join("install.sh")).arg(&home).status();
        if !status.is_ok_and(|status| status.success()) {
            skipped("the OpenTelemetry SDKs could not be installed");
        }
        home
    })
}

/// Whether a part is installed; says so when it is not.
fn has(part: &str) -> bool {
    let is_there = home().join(format!("{part}.ready")).exists();
    if !is_there {
        let log = home().join(format!("{part}.log"));
        skipped(&format!("{part} is not installed, so it sends nothing; see {}", log.display()));
    }
    is_there
}

/// The command of an application in a language.
fn application(language: &str, protocol: &str) -> Option<Command> {
    let mut command = match (language, protocol) {
        ("python", "json") if has("python-json") => Command::new(home().join("python-json/bin/python")),
        ("python", "grpc" | "http") if has("python") => Command::new(home().join("python/bin/python")),
        ("node", _) if has("node") => Command::new("node"),
        _ => return None,
    };
    if language == "node" {
        // Modules are found beside the file that names them.
        let script = home().join("node/send.mjs");
        std::fs::copy(senders().join("node/send.mjs"), &script).unwrap();
        command.arg(script);
    } else {
        command.arg(senders().join("python/send.py"));
    }
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OTEL_")) {
        command.env_remove(name);
    }
    Some(command)
}

/// Runs one that ends by itself, within patience.
fn run(mut command: Command) -> Output {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > 3 * PATIENCE {
            let _ = child.kill();
            panic!("{command:?} does not end");
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

/// Lets an application send; spans that it was told are taken. None when it is not installed.
fn send(language: &str, protocol: &str, compression: &str, version: &str, to: SocketAddr) -> Option<usize> {
    let mut command = application(language, protocol)?;
    let traces = TRACES.to_string();
    command.args([protocol, &format!("http://{to}"), compression, version, &traces]);
    let output = run(command);
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    let what = format!("{language} {protocol} {compression}: {text} {said}");
    assert!(output.status.success(), "{what}");
    let report: Value = serde_json::from_str(text.trim()).unwrap();
    let results = report["results"].as_array().unwrap();
    assert!(!results.is_empty() && results.iter().all(|result| result == "SUCCESS"), "{what}");
    assert!(said.is_empty(), "the SDK complains: {what}");
    Some(report["spans"].as_u64().unwrap() as usize)
}

/// That what arrived is what `send.py` and `send.mjs` do: three traces of a request, a cache, a statement.
fn is_the_shop(spans: &[Seen], sender: &str) {
    let spans: Vec<&Seen> = spans.iter().filter(|span| span.resource["sender"] == format!("{sender:?}")).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for span in &spans {
        *counts.entry(&span.name).or_default() += 1;
        assert_eq!(span.service, "shop");
        assert!(span.start > 1_700_000_000_000_000_000 && span.end >= span.start);
    }
    let runs = counts["GET /cart"] / TRACES;
    assert_eq!(
        counts,
        BTreeMap::from([("GET", runs * TRACES), ("GET /cart", runs * TRACES), ("SELECT items", runs * TRACES)])
    );
    for root in spans.iter().filter(|span| span.name == "GET /cart") {
        assert_eq!((root.parent, root.kind), (0, Kind::Server), "{sender}");
        assert_eq!(root.attributes["tags"], r#"["a", "ü", "\u{1b}[2J"]"#, "{sender}");
        let is_first = root.attributes["number"] == "0";
        // NaN, which Node's JSON has no way to write.
        let ratio = root.attributes.get("ratio").map(String::as_str);
        let expected: &[Option<&str>] = if !is_first {
            &[Some("0.5")]
        } else if sender == "node json" {
            &[None, Some("empty"), Some("0.0")]
        } else {
            &[Some("NaN")]
        };
        assert!(expected.contains(&ratio), "{sender}: {ratio:?}");
        let children: Vec<&&Seen> =
            spans.iter().filter(|span| span.trace == root.trace && span.parent == root.id).collect();
        assert_eq!(children.len(), 2, "{sender}");
        for child in children {
            assert_eq!(child.kind, Kind::Client, "{sender}");
            if child.name == "GET" {
                assert_eq!(child.events[0].0, "miss", "{sender}");
                continue;
            }
            assert_eq!(child.links, [(Some(root.trace), Some(root.id))], "{sender}");
            let failed = root.attributes["number"] == "1";
            assert_eq!(child.status, if failed { Status::Error } else { Status::Unset }, "{sender}");
        }
    }
}

/// Every protocol with every compression of a language: all is acknowledged, and all of it is there.
fn over_everything(language: &str, modes: &[(&str, &[&str])]) {
    let server = Server::start();
    let mut acknowledged = 0;
    for (protocol, compressions) in modes {
        let to = if *protocol == "grpc" { server.grpc } else { server.http };
        let mut sent = 0;
        for compression in *compressions {
            let inflated = server.metric("bytes_inflated_total").unwrap();
            let received = server.metric("bytes_received_total").unwrap();
            let Some(spans) = send(language, protocol, compression, "1", to) else { continue };
            sent += spans;
            let inflated = server.metric("bytes_inflated_total").unwrap() - inflated;
            let received = server.metric("bytes_received_total").unwrap() - received;
            // gRPC's five bytes of frame come on top of what is not compressed.
            assert_eq!(*compression != "none", received < inflated, "{language} {protocol} {compression}");
        }
        if sent > 0 {
            is_the_shop(&server.spans(), &format!("{language} {protocol}"));
        }
        acknowledged += sent;
    }
    assert_eq!(server.metric("spans_rejected_total"), Some(0));
    let ended = server.stop();
    assert_eq!((ended.code, ended.spans.len()), (Some(0), acknowledged));
}

#[test]
fn python_over_every_protocol_and_compression() {
    over_everything("python", &PYTHON);
}

#[test]
fn node_over_every_protocol_and_compression() {
    over_everything("node", &NODE);
}

/// What is done when all is done: applications in two languages export over all protocols, and their captures compare.
#[test]
fn two_languages_export_a_release_and_its_difference_is_found() {
    let [before, after] = ["1", "2"].map(|version| {
        let server = Server::start();
        let mut sent = 0;
        for (language, modes) in [("python", PYTHON), ("node", NODE)] {
            for (protocol, compressions) in modes {
                let to = if protocol == "grpc" { server.grpc } else { server.http };
                sent += send(language, protocol, compressions[compressions.len() - 1], version, to).unwrap_or(0);
            }
        }
        let work = std::sync::Arc::clone(&server.work);
        assert_eq!(server.stop().spans.len(), sent);
        (work, sent)
    });
    if before.1 == 0 {
        return;
    }
    assert_eq!((before.1 % 3, after.1 % 4, after.1 / 4), (0, 0, before.1 / 3));
    let captures = [&before.0, &after.0].map(|work| work.path().join("capture"));
    let output = Command::new(env!("CARGO_BIN_EXE_spandiff"))
        .args(["diff", "--format", "json"])
        .args(&captures)
        .current_dir(before.0.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["inputs"]["before"]["spans"], before.1);
    assert_eq!(report["inputs"]["after"]["spans"], after.1);
    let findings = report["findings"].as_array().unwrap();
    let is_the_statement =
        |finding: &&Value| finding["kind"] == "added" && finding["operation"]["name"] == "SELECT vouchers";
    assert_eq!(findings.iter().filter(is_the_statement).count(), 1, "{findings:#?}");
}

/// A per-signal endpoint without a path is posted to as it stands. The answer says what to change; this SDK shows its user
/// the code alone, so the receiver's log must say the rest.
#[test]
fn t_10_python_that_posts_to_the_root_is_told_why_it_fails() {
    let Some(mut command) = application("python", "http") else { return };
    let server = Server::start();
    let program = "
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
provider.get_tracer('x').start_span('lost').end()
provider.shutdown()
";
    let interpreter = command.get_program().to_owned();
    command = Command::new(interpreter);
    command.args(["-c", program]).env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("http://{}", server.http));
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("404"), "{said}");
    let ended = server.stop();
    assert!(ended.said.contains("OTEL_EXPORTER_OTLP_ENDPOINT") && ended.spans.is_empty(), "{}", ended.said);
}

/// SDKs send all their signals to one endpoint: what is not wanted is answered so that they stay quiet.
#[test]
fn t_11_python_metrics_are_dropped_without_complaint() {
    let server = Server::start();
    let program = "
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
import sys
if sys.argv[1] == 'grpc':
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
else:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
provider = MeterProvider(metric_readers=[PeriodicExportingMetricReader(OTLPMetricExporter())])
provider.get_meter('x').create_counter('requests').add(1)
provider.shutdown()
";
    for (number, protocol) in ["grpc", "http"].into_iter().enumerate() {
        let Some(command) = application("python", protocol) else { return };
        let to = if protocol == "grpc" { server.grpc } else { server.http };
        let mut command = Command::new(command.get_program());
        command.args(["-c", program, protocol]).env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{to}"));
        let output = run(command);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{protocol}");
        assert_eq!(server.metric("other_signals_dropped_total"), Some(number as u64 + 1), "{protocol}");
    }
    assert!(server.stop().spans.is_empty());
}

/// A program that is killed in the end.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Node sends to rotel, and rotel, in batches of its own and compressed, to the receiver.
#[test]
fn rotel_forwards_what_an_sdk_sends() {
    if !has("rotel") || !has("node") {
        return;
    }
    let agent = std::fs::read_dir(home().join("rotel/lib"))
        .unwrap()
        .map(|entry| entry.unwrap().path().join("site-packages/rotel/rotel-agent"))
        .find(|path| path.exists());
    let Some(agent) = agent else {
        skipped("this wheel of rotel holds no agent for this machine");
        return;
    };
    let server = Server::start();
    let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [grpc, http] = free.map(|listener| listener.local_addr().unwrap());
    let child = Command::new(agent)
        .args(["start", "--otlp-grpc-endpoint", &grpc.to_string(), "--otlp-http-endpoint", &http.to_string()])
        .args(["--exporter", "otlp", "--otlp-exporter-protocol", "http", "--batch-timeout", "100ms"])
        .args(["--otlp-exporter-endpoint", &format!("http://{}", server.http)])
        .current_dir(server.work.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _agent = Killed(child);
    wait("rotel's port", || TcpStream::connect(grpc).ok());
    let sent = send("node", "grpc", "none", "1", grpc).unwrap();
    wait("what rotel passes on", || (server.spans().len() == sent).then_some(()));
    is_the_shop(&server.spans(), "node grpc");
    assert_eq!(names(&server.stop().spans).len(), sent);
}
