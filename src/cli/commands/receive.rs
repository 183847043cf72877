//! `spandiff receive`: the OTLP receiver.

mod options;

use crate::cli::args::{Common, ReceiveArgs};
use crate::cli::config::settings;
use crate::cli::error::{Failure, Problem, warn};
use crate::cli::exit;
use crate::receiver::counters::Counters;
use crate::receiver::engine::{self, Engine};
use crate::receiver::log::Log;
use crate::receiver::moment::Clock;
use crate::receiver::run::{End, Parts, Sockets, StartError, run as serve};
use crate::report::escape::visible;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

/// Runs the command.
pub fn run(common: &Common, args: &ReceiveArgs) -> Result<ExitCode, Failure> {
    let settings = settings(common, None)?;
    let args = args.clone().over(settings.receive.clone());
    let log = Log::new(Arc::new(say));
    let options = options::options(&args, &settings, log)?;
    let counters = Arc::new(Counters::default());
    let sockets = Sockets::bind(&options).map_err(explain)?;
    let ready = ready_line(&sockets);
    let (inbox, queue) = engine::inbox();
    let plan = (options.limits, Arc::clone(&counters), options.log.clone());
    let engine = move |queue: &engine::Queue| {
        let (limits, counters, log) = plan;
        let clock = Clock::start();
        Engine { limits, counters, log, clock, keeper: None, downstream: None }.run(queue);
    };
    let parts = Parts { sockets, counters, inbox, queue, engine: Box::new(engine), admin: None };
    if options.is_public() {
        warn(common.quiet, "listening beyond this machine: whoever reaches the port can send, see --token-file and TLS");
    }
    let end = serve(&options, parts, || say_ready(&ready)).map_err(explain)?;
    if end == End::Cut {
        warn(common.quiet, "stopped before everything was written: the time for stopping was over");
    }
    Ok(ExitCode::from(exit::DONE))
}

/// The one line on standard output: where the receiver listens, as JSON.
fn ready_line(sockets: &Sockets) -> String {
    let parts: Vec<String> = sockets
        .addresses()
        .into_iter()
        .filter_map(|(name, address)| Some(format!("\"{name}\":\"{}\"", address?)))
        .collect();
    format!("{{{}}}\n", parts.join(","))
}

fn say_ready(line: &str) {
    let mut out = io::stdout().lock();
    // Who started us may not want to know.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

/// A line of the log, with its time.
fn say(text: &str) {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let _ = writeln!(io::stderr().lock(), "{now} {}", visible(text));
}

fn explain(error: StartError) -> Failure {
    match error {
        StartError::Listen { option, place, error } => {
            let problem = Problem::new(format!("cannot listen on {place}")).cause(error.to_string());
            match error.kind() {
                io::ErrorKind::AddrInUse => problem
                    .hint(format!("another program listens there; choose another address with {option}, or port 0"))
                    .hint("an OpenTelemetry Collector on this machine has the same default ports"),
                io::ErrorKind::PermissionDenied => {
                    problem.hint(format!("ports below 1024 need privileges; choose another with {option}"))
                }
                _ => problem.hint(format!("{option} takes an address of this machine and a port, or off")),
            }
        }
        StartError::Tls(cause) => Problem::new("cannot speak TLS").cause(cause),
        StartError::System(error) => Problem::new("cannot start the receiver").cause(error.to_string()),
    }
    .into()
}
