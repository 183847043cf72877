//! `spandiff receive`: the OTLP receiver.

mod options;
mod watching;

use crate::cli::args::{Common, ReceiveArgs};
use crate::cli::config::{Settings, settings};
use crate::cli::error::{Failure, Problem, warn};
use crate::cli::exit;
use crate::ingest::Rules;
use crate::model::Limits;
use crate::receiver::admin::{self, Access, AdminState, Keeper, Phase};
use crate::receiver::capture::{Capture, CaptureOptions};
use crate::receiver::counters::Counters;
use crate::receiver::engine::{self, Engine, Event, Inbox};
use crate::receiver::forward::{ForwardInbox, Forwarder};
use crate::receiver::log::Log;
use crate::receiver::moment::Clock;
use crate::receiver::options::Options;
use crate::receiver::pipeline::Pipeline;
use crate::receiver::run::{End, Parts, Sockets, StartError, run as serve};
use crate::receiver::serve::Handler;
use crate::receiver::watching::{Desk, Watching};
use crate::report::escape::visible;
use crate::report::units::{bytes, counted};
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;
use watching::Watched;

/// Runs the command.
pub fn run(common: &Common, args: &ReceiveArgs) -> Result<ExitCode, Failure> {
    let settings = settings(common, None)?;
    let args = args.clone().over(settings.receive.clone());
    let log = Log::new(Arc::new(say));
    let options = options::options(&args, &settings, log)?;
    let counters = Arc::new(Counters::default());
    let watching = watching::open(&args, &settings, &options, &counters)?;
    let sockets = Sockets::bind(&options).map_err(explain)?;
    let ready = ready_line(&sockets);
    let capture = options::capture(&args, &counters).map(|options| open_capture(options, common)).transpose()?;
    let forwarder = options::forward(&args, &options, &sockets, &counters)?
        .map(|options| Forwarder::start(&options))
        .transpose()
        .map_err(|error| Problem::new("--forward cannot be used").cause(error.to_string()))?;
    let telemetry = options::telemetry(&args, &options, &sockets)?;
    let (inbox, queue) = engine::inbox();
    let (phase, seen_phase) = tokio::sync::watch::channel(Phase::default());
    let admin = admin(&args, &options, watching.as_ref(), &inbox, &counters, seen_phase);
    let forward = forwarder.as_ref().map(Forwarder::inbox);
    let plan = Plan {
        limits: limits(&options, &settings),
        rules: settings.rules,
        counters: Arc::clone(&counters),
        log: options.log.clone(),
        capture,
        forward: forward.clone(),
        watching,
    };
    let engine = move |queue: &engine::Queue| plan.run(queue);
    let parts = Parts { sockets, counters, inbox, queue, engine: Box::new(engine), admin, forward, telemetry, phase };
    if options.is_public() {
        warn(
            common.quiet,
            "listening beyond this machine: whoever reaches the port can send, see --token-file and TLS",
        );
    }
    let end = serve(&options, parts, || say_ready(&ready)).map_err(explain)?;
    let left = forwarder.map_or(0, |forwarder| forwarder.close(FORWARD_WITHIN));
    if left > 0 {
        let left = counted(left, "request", "requests");
        warn(common.quiet, &format!("{left} could not be passed on before the end"));
    }
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
    forward: Option<ForwardInbox>,
    watching: Option<Watched>,
}

impl Plan {
    fn run(self, queue: &engine::Queue) {
        let Plan { limits, rules, counters, log, capture, forward, watching } = self;
        let clock = Clock::start();
        let Some(Watched { pipeline, watch, snapshots, .. }) = watching else {
            let engine = Engine { limits, counters, log, clock, capture, forward, pipeline: None, watch: None };
            return engine.run(queue);
        };
        let pipeline = Pipeline::new(pipeline, &rules, &limits, Arc::clone(&counters), clock.now());
        let (tell, events) = channel();
        let watching = Watching { watch, snapshots, counters: Arc::clone(&counters), log: log.clone() };
        std::thread::scope(|scope| {
            scope.spawn(move || watching.run(&events));
            // The watch ends when nobody can tell it anything any more: with the engine.
            let watch: Box<dyn FnMut(Event)> = Box::new(move |event| _ = tell.send(event));
            let (pipeline, watch) = (Some(pipeline), Some(watch));
            Engine { limits, counters, log, clock, capture, forward, pipeline, watch }.run(queue);
        });
    }
}

/// How long passing on may take once everything else has ended.
const FORWARD_WITHIN: Duration = Duration::from_secs(1);

/// What answers on the admin port.
fn admin(
    args: &ReceiveArgs,
    options: &Options,
    watching: Option<&Watched>,
    inbox: &Inbox,
    counters: &Arc<Counters>,
    phase: tokio::sync::watch::Receiver<Phase>,
) -> Handler {
    let board = watching.map_or_else(Arc::default, |watched| Arc::clone(&watched.board));
    let clock = Clock::start();
    let mut state = AdminState::new(Arc::clone(counters), board, phase, move || clock.now());
    state.keeper = watching.map(|watched| {
        let desk = Desk { inbox: inbox.clone(), watch: Arc::clone(&watched.watch) };
        Arc::new(desk) as Arc<dyn Keeper>
    });
    state.access = Access {
        token: options.token.clone(),
        origin: args.admin_origin.clone(),
        is_loopback: options.admin.is_none_or(|address| address.ip().is_loopback()),
    };
    state.settings = admin::Settings {
        window_ns: watching.map(|watched| watched.pipeline.window_ns),
        cohort_by: args.cohort_by.clone(),
        baseline: watching.map(|watched| watched.baseline.clone()).unwrap_or_default(),
        started_unix_ns: clock.now().unix_ns,
    };
    admin::handler(Arc::new(state))
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
