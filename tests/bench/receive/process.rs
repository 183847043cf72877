//! A server in a process of its own, and what the system says of it.

use super::client::Protocol;
use super::{PEER, SELF};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Ticks a second of `/proc/PID/stat` on every Linux.
const TICKS: f64 = 100.0;

/// A running server; killed when it is dropped.
pub struct Server {
    child: Child,
    /// The first line it printed.
    ready: String,
}

impl Server {
    /// A peer for a protocol.
    pub fn peer(protocol: Protocol) -> Server {
        Server::start(Command::new(std::env::current_exe().unwrap()).env(PEER, format!("{protocol:?}")))
    }

    /// spandiff with these options.
    pub fn ours(options: &[&str]) -> Server {
        let ports =
            ["--grpc-listen", "--http-listen", "--admin-listen"].into_iter().flat_map(|name| [name, "127.0.0.1:0"]);
        let mut command = Command::new(std::env::current_exe().unwrap());
        Server::start(command.env(SELF, "1").arg("receive").args(ports).args(options))
    }

    fn start(command: &mut Command) -> Server {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert!(!ready.is_empty(), "the server did not start");
        Server { child, ready }
    }

    /// Where a protocol is spoken.
    pub fn address(&self, protocol: Protocol) -> String {
        if !self.ready.starts_with('{') {
            return self.ready.trim().to_owned();
        }
        let ready: serde_json::Value = serde_json::from_str(&self.ready).unwrap();
        let port = if protocol == Protocol::Grpc { "grpc" } else { "http" };
        ready[port].as_str().unwrap().to_owned()
    }

    /// CPU time that the process has taken.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / TICKS
    }

    /// Bytes of memory that it has.
    pub fn resident_bytes(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        statm.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
    }

    /// Asks it to stop, and waits.
    pub fn stop(mut self) {
        let status = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
