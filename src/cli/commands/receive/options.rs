//! From the words of the command line to what the receiver is told.

use crate::cli::args::ReceiveArgs;
use crate::cli::args::values::parse_long_time;
use crate::cli::config::Settings;
use crate::cli::error::Problem;
use crate::ingest::live::Timing;
use crate::receiver::capture::{CaptureOptions, Fsync};
use crate::receiver::client::{ClientOptions, Endpoint};
use crate::receiver::cohort::CohortKey;
use crate::receiver::counters::Counters;
use crate::receiver::forward::ForwardOptions;
use crate::receiver::log::Log;
use crate::receiver::options::Options;
use crate::receiver::pipeline::PipelineOptions;
use crate::receiver::run::Sockets;
use crate::receiver::telemetry::{TelemetryOptions, check as check_endpoint, resource};
use crate::receiver::tls::Pem;
use crate::receiver::token::Token;
use crate::report::units::bytes;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Own numbers are sent so often, as SDKs do.
const TELEMETRY_EVERY: Duration = Duration::from_secs(60);
const MIB: u64 = 1 << 20;
const SECOND_NS: u64 = 1_000_000_000;
/// What turns something off.
const OFF: &str = "off";
/// Bytes of a file with certificates, a key or a token.
const SMALL_FILE: u64 = 4 * MIB;

/// Checks everything.
pub fn options(args: &ReceiveArgs, settings: &Settings, log: Log) -> Result<Options, Problem> {
    let time = |given: Option<u64>, default_s: u64| Duration::from_nanos(given.unwrap_or(default_s * SECOND_NS));
    let options = Options {
        grpc: address("--grpc-listen", args.grpc_listen.as_deref(), "127.0.0.1:4317")?,
        http: address("--http-listen", args.http_listen.as_deref(), "127.0.0.1:4318")?,
        admin: address("--admin-listen", args.admin_listen.as_deref(), "127.0.0.1:4319")?,
        unix_socket: args.unix_socket.clone(),
        tls: tls(args)?,
        token: args.token_file.as_deref().map(token).transpose()?.map(Arc::new),
        most_request_bytes: args.max_request_bytes.unwrap_or(64 * MIB),
        most_memory_bytes: args.max_memory.unwrap_or(512 * MIB),
        most_requests: args.max_requests.unwrap_or(256),
        most_connections: args.max_connections.unwrap_or(1024),
        request_timeout: time(args.request_timeout, 30),
        discards_others: args.other_signals.as_deref() != Some("refuse"),
        drain_timeout: time(args.drain_timeout, 5),
        limits: settings.limits,
        log,
    };
    check(&options)?;
    Ok(options)
}

/// How traces are folded; `None` when they are not.
pub fn pipeline(args: &ReceiveArgs) -> Result<Option<PipelineOptions>, Problem> {
    let window = args.window.as_deref().unwrap_or("60s");
    if window == OFF {
        return Ok(None);
    }
    let window_ns =
        parse_long_time(window).map_err(|cause| Problem::new("--window cannot be understood").cause(cause))?;
    if window_ns < SECOND_NS {
        return Err(Problem::new("--window is too short").hint("a second or more, or off"));
    }
    let cohort_by = args.cohort_by.as_deref().map(|text| {
        CohortKey::parse(text).ok_or_else(|| {
            Problem::new(format!("--cohort-by cannot be understood: {text}"))
                .hint("expected a resource attribute, KEY or SERVICE:KEY, such as checkout:service.version")
        })
    });
    let default = Timing::default();
    let timing = Timing {
        idle_ns: args.trace_idle.unwrap_or(default.idle_ns),
        root_grace_ns: args.root_grace.unwrap_or(default.root_grace_ns),
        longest_ns: args.trace_longest.unwrap_or(default.longest_ns),
    };
    Ok(Some(PipelineOptions { window_ns, timing, cohort_by: cohort_by.transpose()?, first_window: 0 }))
}

/// Where requests are passed on to, if they are.
pub fn forward(
    args: &ReceiveArgs,
    options: &Options,
    sockets: &Sockets,
    counters: &Arc<Counters>,
) -> Result<Option<ForwardOptions>, Problem> {
    let Some(text) = &args.forward else { return Ok(None) };
    let endpoint = endpoint("--forward", text, sockets)?;
    Ok(Some(ForwardOptions {
        endpoint,
        client: ClientOptions::default(),
        queue_bytes: args.forward_queue.unwrap_or(64 * MIB),
        first_pause: Duration::from_millis(500),
        longest_pause: Duration::from_secs(30),
        counters: Arc::clone(counters),
        log: options.log.clone(),
    }))
}

/// Where the receiver's own numbers go, if they go anywhere.
pub fn telemetry(
    args: &ReceiveArgs,
    options: &Options,
    sockets: &Sockets,
) -> Result<Option<TelemetryOptions>, Problem> {
    let Some(text) = &args.telemetry else { return Ok(None) };
    let variable = |name| std::env::var(name).ok();
    // Whoever turns the SDK off in the environment wants no telemetry of anything in it.
    if variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let (name, attributes) = (variable("OTEL_SERVICE_NAME"), variable("OTEL_RESOURCE_ATTRIBUTES"));
    Ok(Some(TelemetryOptions {
        endpoint: endpoint("--telemetry", text, sockets)?,
        client: ClientOptions::default(),
        resource: resource(name.as_deref(), attributes.as_deref()),
        every: TELEMETRY_EVERY,
        listeners: listeners(sockets),
        log: options.log.clone(),
    }))
}

fn listeners(sockets: &Sockets) -> Vec<SocketAddr> {
    sockets.addresses().into_iter().filter_map(|(_, address)| address).collect()
}

/// An endpoint that is not this receiver itself: it would send to itself for ever.
fn endpoint(option: &str, text: &str, sockets: &Sockets) -> Result<Endpoint, Problem> {
    let problem = |cause: String| Problem::new(format!("{option} cannot be used: {text}")).cause(cause);
    let endpoint = Endpoint::parse(text)
        .map_err(|cause| problem(cause).hint("expected http://HOST:PORT, https://…, grpc://… or grpcs://…"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| problem(error.to_string()))?;
    runtime.block_on(check_endpoint(&endpoint, &listeners(sockets))).map_err(problem)?;
    Ok(endpoint)
}

/// How a capture is kept, if one is.
pub fn capture(args: &ReceiveArgs, counters: &Arc<Counters>) -> Option<CaptureOptions> {
    let directory = args.capture.as_ref()?;
    let fsync = match args.fsync.as_deref() {
        Some("always") => Fsync::Always,
        Some("never") => Fsync::Never,
        _ => Fsync::Interval(SECOND_NS),
    };
    Some(CaptureOptions {
        directory: directory.clone(),
        fsync,
        file_bytes: args.capture_file_size.unwrap_or(256 * MIB),
        file_age_ns: args.capture_file_age.unwrap_or(600 * SECOND_NS),
        keep_bytes: args.capture_keep,
        counters: Arc::clone(counters),
    })
}

fn check(options: &Options) -> Result<(), Problem> {
    if options.grpc.is_none() && options.http.is_none() && options.unix_socket.is_none() {
        return Err(Problem::new("there is nowhere to receive").hint("leave one of --grpc-listen and --http-listen on"));
    }
    if options.most_memory_bytes < options.least_memory() {
        let (memory, request) = (bytes(options.most_memory_bytes), bytes(options.most_request_bytes));
        return Err(Problem::new(format!("requests of {request} do not fit in a memory of {memory}"))
            .cause("half of the memory is for requests, and the largest takes three times its size while it is decoded")
            .hint(format!(
                "raise --max-memory to {} or lower --max-request-bytes to {}",
                bytes(options.least_memory()),
                bytes(options.most_memory_bytes / 6)
            )));
    }
    Ok(())
}

/// An address, by number or name; `None` for off.
fn address(option: &str, text: Option<&str>, default: &str) -> Result<Option<SocketAddr>, Problem> {
    let text = text.unwrap_or(default);
    if text == OFF {
        return Ok(None);
    }
    // `:4317` is what other receivers take for every address.
    let full = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    let problem = || {
        Problem::new(format!("{option} is no address: {text}"))
            .hint("expected HOST:PORT, such as 127.0.0.1:4317, or off")
    };
    let mut found = full.to_socket_addrs().map_err(|error| problem().cause(error.to_string()))?;
    found.next().map(Some).ok_or_else(problem)
}

fn tls(args: &ReceiveArgs) -> Result<Option<Pem>, Problem> {
    let (certificates, key) = match (&args.tls_cert, &args.tls_key) {
        (None, None) if args.client_ca.is_none() => return Ok(None),
        (Some(certificates), Some(key)) => (certificates, key),
        (Some(_), None) => return Err(Problem::new("--tls-cert needs --tls-key")),
        (None, _) => {
            return Err(Problem::new("--tls-key and --client-ca need --tls-cert")
                .hint("TLS is spoken with a certificate and its key"));
        }
    };
    Ok(Some(Pem {
        certificates: small_file(certificates)?,
        key: small_file(key)?,
        client_ca: args.client_ca.as_deref().map(small_file).transpose()?,
    }))
}

fn token(path: &Path) -> Result<Token, Problem> {
    let text = String::from_utf8(small_file(path)?).unwrap_or_default();
    Token::of_file(&text).ok_or_else(|| {
        Problem::new(format!("{} holds no token", path.display())).hint("write one line of text into it")
    })
}

fn small_file(path: &Path) -> Result<Vec<u8>, Problem> {
    let cannot = |cause: String| Problem::new(format!("cannot read {}", path.display())).cause(cause);
    let size = std::fs::metadata(path).map_err(|error| cannot(error.to_string()))?.len();
    if size > SMALL_FILE {
        return Err(cannot(format!("it has {}, which no certificate, key or token has", bytes(size))));
    }
    std::fs::read(path).map_err(|error| cannot(error.to_string()))
}
