//! `spandiff receive`: the OTLP receiver.

mod options;

use crate::cli::args::{Common, ReceiveArgs};
use crate::cli::config::{Settings, settings};
use crate::cli::error::{Failure, Problem, warn};
use crate::cli::exit;
use crate::ingest::Rules;
use crate::model::Limits;
use crate::receiver::capture::{Capture, CaptureOptions};
use crate::receiver::counters::Counters;
use crate::receiver::engine::{self, Engine};
use crate::receiver::log::Log;
use crate::receiver::moment::Clock;
use crate::receiver::options::Options;
use crate::receiver::pipeline::{Pipeline, PipelineOptions};
use crate::receiver::run::{End, Parts, Sockets, StartError, run as serve};
use crate::report::escape::visible;
use crate::report::units::{bytes, counted};
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
    let capture = options::capture(&args, &counters)?.map(|options| open_capture(options, common)).transpose()?;
    let (inbox, queue) = engine::inbox();
    let plan = Plan {
        limits: limits(&options, &settings),
        rules: settings.rules,
        counters: Arc::clone(&counters),
        log: options.log.clone(),
        capture,
        pipeline: options::pipeline(&args)?,
    };
    let engine = move |queue: &engine::Queue| plan.run(queue);
    let parts = Parts { sockets, counters, inbox, queue, engine: Box::new(engine), admin: None };
    if options.is_public() {
        warn(
            common.quiet,
            "listening beyond this machine: whoever reaches the port can send, see --token-file and TLS",
        );
    }
    let end = serve(&options, parts, || say_ready(&ready)).map_err(explain)?;
    if end == End::Cut {
        warn(common.quiet, "stopped before everything was written: the time for stopping was over");
    }
    Ok(ExitCode::from(exit::DONE))
}

/// What the engine's thread needs to build its engine.
struct Plan {
    limits: Limits,
    rules: Rules,
    counters: Arc<Counters>,
    log: Log,
    capture: Option<Capture>,
    pipeline: Option<PipelineOptions>,
}

impl Plan {
    fn run(self, queue: &engine::Queue) {
        let Plan { limits, rules, counters, log, capture, pipeline } = self;
        let clock = Clock::start();
        let pipeline =
            pipeline.map(|options| Pipeline::new(options, &rules, &limits, Arc::clone(&counters), clock.now()));
        Engine { limits, counters, log, clock, capture, pipeline, watch: None }.run(queue);
    }
}

/// Call paths of all windows that are open: more than any system has, and few enough to stay within the memory.
const PATHS: u64 = 50_000;

/// The limits of reading, as far as a receiver's memory allows them.
fn limits(options: &Options, settings: &Settings) -> Limits {
    let mut limits = settings.limits;
    limits.open_bytes = limits.open_bytes.min(options.open_budget());
    limits.paths = limits.paths.min(PATHS);
    limits
}

fn open_capture(options: CaptureOptions, common: &Common) -> Result<Capture, Problem> {
    let place = options.directory.display().to_string();
    let capture = Capture::open(options).map_err(|error| {
        Problem::new(format!("cannot keep a capture in {place}"))
            .cause(error.to_string())
            .hint("one receiver writes to a directory; give each its own with --capture")
    })?;
    let recovered = capture.recovered();
    if recovered.files > 0 {
        let files = counted(recovered.files, "file", "files");
        let text = format!("{place}: {files} of a run that was killed finished, {} cut", bytes(recovered.bytes_cut));
        warn(common.quiet, &text);
    }
    for failed in &recovered.failed {
        warn(common.quiet, &format!("{place}: left as it is, since it cannot be mended: {failed}"));
    }
    Ok(capture)
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
