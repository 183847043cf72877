//! The real program as a server: started on free ports, asked what it keeps, stopped within a deadline.

use super::http::{Answer, get};
use super::seen::{Seen, seen};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take that should take no time: long enough for a machine that does other things as well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `done` gives something; fails with `what` when it never does.
pub(crate) fn wait<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Exit code; none after a signal.
    pub(crate) code: Option<i32>,
    /// What it said on standard error.
    pub(crate) said: String,
    /// All spans that it kept.
    pub(crate) spans: Vec<Seen>,
}

/// A receiver that runs; killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    /// Working directory: `capture` is in it, and whatever a test puts there.
    pub(crate) work: Arc<TempDir>,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) admin: SocketAddr,
    said: Arc<Mutex<String>>,
}

/// `spandiff receive` without anything of the developer's environment.
pub(crate) fn command(work: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spandiff"));
    command.arg("receive").args(args).current_dir(work).env("XDG_CONFIG_HOME", work);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SPANDIFF_") || name.starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Collects what a stream says, line by line, so that the program never waits for a reader.
fn listen(stream: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let said = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&said);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut said = kept.lock().unwrap();
            said.push_str(&line);
            said.push('\n');
        }
    });
    said
}

/// The lines of a stream as they come.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    receive
}

impl Server {
    /// Starts one with a capture and without windows.
    pub(crate) fn start() -> Server {
        Server::with(&[])
    }

    /// The same, with more options.
    pub(crate) fn with(more: &[&str]) -> Server {
        Server::within(tempfile::tempdir().unwrap(), more)
    }

    /// The same, in a directory that may hold certificates, tokens and configuration.
    pub(crate) fn within(work: impl Into<Arc<TempDir>>, more: &[&str]) -> Server {
        let work = work.into();
        let mut args = vec!["--capture", "capture"];
        if !more.contains(&"--fsync") {
            args.extend(["--fsync", "never"]);
        }
        for option in ["--grpc-listen", "--http-listen", "--admin-listen"] {
            if !more.contains(&option) {
                args.extend([option, "127.0.0.1:0"]);
            }
        }
        args.extend(more);
        let mut child = command(work.path(), &args).spawn().unwrap();
        let said = listen(child.stderr.take().unwrap());
        let out = lines(child.stdout.take().unwrap());
        let Ok(ready) = out.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            panic!("{args:?}: not ready: {}", said.lock().unwrap());
        };
        let ready: serde_json::Value = serde_json::from_str(&ready).unwrap_or_else(|_| panic!("ready line: {ready}"));
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let address = |name: &str| ready[name].as_str().map_or(nowhere, |text| text.parse().unwrap());
        let [grpc, http, admin] = ["grpc", "http", "admin"].map(address);
        Server { child, work, grpc, http, admin, said }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    /// What it has said on standard error so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// All spans that its capture holds now, while it runs.
    pub(crate) fn spans(&self) -> Vec<Seen> {
        seen(&self.path("capture"))
    }

    /// Whether it still runs and answers about its health.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none() && get(self.admin, "/healthz").status == 200
    }

    /// A page of the admin port.
    pub(crate) fn page(&self, path: &str) -> Answer {
        get(self.admin, path)
    }

    /// A number of `/metrics` behind `spandiff_receiver_`, summed over its labels; none that is not there.
    pub(crate) fn metric(&self, name: &str) -> Option<u64> {
        let name = format!("spandiff_receiver_{name}");
        let page = self.page("/metrics").text();
        let mut lines = page.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let is_it = series.split('{').next() == Some(&name);
            is_it.then(|| value.parse::<f64>().unwrap() as u64)
        });
        let first = lines.next()?;
        Some(first + lines.sum::<u64>())
    }

    /// A line of `/proc/PID/status` in bytes: `VmRSS` is resident now, `VmHWM` the most that ever was.
    pub(crate) fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end without doing anything for it.
    pub(crate) fn ended(mut self) -> Ended {
        let status = wait("the end of the receiver", || self.child.try_wait().unwrap());
        Ended { code: status.code(), said: self.said(), spans: self.spans() }
    }

    /// Kills it; what it has left behind stays.
    pub(crate) fn kill(self) -> Arc<TempDir> {
        self.signal("KILL");
        let work = Arc::clone(&self.work);
        drop(self);
        work
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn stop(self) -> Ended {
        self.signal("TERM");
        self.ended()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `spandiff receive` that is expected to end by itself, at once.
pub(crate) fn fails(work: &Path, args: &[&str]) -> Ended {
    let mut child = command(work, args).spawn().unwrap();
    let said = listen(child.stderr.take().unwrap());
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begin.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{args:?} runs instead of failing: {}", said.lock().unwrap());
        }
        thread::sleep(Duration::from_millis(5));
    };
    // The stream may be read a moment later than the program ended.
    let said = wait("its last words", || {
        let text = said.lock().unwrap().clone();
        (!text.is_empty()).then_some(text)
    });
    Ended { code: status.code(), said, spans: Vec::new() }
}
