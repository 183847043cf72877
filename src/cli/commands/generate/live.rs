//! `spandiff generate --otlp`: load for a receiver, with an account of every span.

use super::unknown;
use crate::cli::args::{Common, GenerateArgs};
use crate::cli::engine::generate::live::Traffic;
use crate::cli::engine::generate::{Options, OutputFormat};
use crate::cli::error::{Failure, Problem, warn};
use crate::cli::exit;
use crate::cli::output::to;
use crate::model::Side;
use crate::receiver::client::{ClientOptions, Compression, Endpoint, Protocol};
use crate::receiver::log::Log;
use crate::receiver::respond::Encoding;
use crate::receiver::sender::{Batch, SendOptions, Summary, send};
use crate::report::escape::visible;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Traces a second unless told otherwise: something to see, and no load.
const RATE: u64 = 10;

/// Sends traffic until it is enough, and says what became of it. Exit code 0 when every span was acknowledged.
pub fn run(common: &Common, args: &GenerateArgs, options: Options, endpoint: &str) -> Result<ExitCode, Failure> {
    let json = match args.format.as_deref() {
        None => common.output.is_some(),
        Some("text") => false,
        Some("json") => true,
        Some(other) => return Err(unknown("format of a summary", other, &["text", "json"]).into()),
    };
    let sending = sending(args, endpoint, common.quiet)?;
    let format = if sending.encoding == Encoding::Json { OutputFormat::OtlpJson } else { OutputFormat::OtlpProto };
    // The same ids again would be taken for the same spans sent twice.
    let seed = args.seed.unwrap_or_else(of_now);
    let side = if args.live.side.as_deref() == Some("after") { Side::After } else { Side::Before };
    let traffic = Traffic::new(&Options { seed, format, ..options }, side);
    let mut requests = traffic.requests();
    let mut source = |traces: u32, now_ns: u64| {
        let batch = requests.batch(traces, now_ns);
        Batch { body: batch.body, spans: batch.spans, traces: batch.requests }
    };
    let stop = stop().map_err(|error| Problem::new("cannot wait for signals").cause(error.to_string()))?;
    let summary = send(&sending, &mut source, &stop)
        .map_err(|error| Problem::new(format!("cannot send to {endpoint}")).cause(error.to_string()))?;
    to(common.output.as_deref(), |out| {
        if json {
            serde_json::to_writer(&mut *out, &summary)?;
            writeln!(out)
        } else {
            writeln!(out, "{}", line(&summary))
        }
    })?;
    Ok(ExitCode::from(if summary.is_complete() { exit::DONE } else { exit::FINDINGS }))
}

fn sending(args: &GenerateArgs, endpoint: &str, quiet: bool) -> Result<SendOptions, Failure> {
    let live = &args.live;
    let endpoint = Endpoint::parse(endpoint).map_err(|why| Problem::new("--otlp is no endpoint").cause(why))?;
    let encoding = if live.encoding.as_deref() == Some("json") { Encoding::Json } else { Encoding::Proto };
    if encoding == Encoding::Json && endpoint.protocol == Protocol::Grpc {
        return Err(Problem::new("gRPC has no JSON").hint("give an http:// endpoint, or --encoding proto").into());
    }
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| {
            Failure::from(Problem::new(format!("cannot read {}", path.display())).cause(error.to_string()))
        })
    };
    let token = live.token_file.as_deref().map(read).transpose()?;
    let compression = live.compression.as_deref();
    let client = ClientOptions {
        authorities: live.authorities.as_deref().map(read).transpose()?,
        token: token.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()),
        compression: Compression::ALL.into_iter().find(|one| Some(one.name()) == compression).unwrap_or_default(),
        ..ClientOptions::default()
    };
    Ok(SendOptions {
        endpoint,
        client,
        encoding,
        connections: usize::from(live.connections.unwrap_or(1)),
        rate: live.rate.unwrap_or(RATE),
        time: live.time.map(Duration::from_nanos),
        traces: args.traces.map(u64::from),
        log: Log::new(Arc::new(move |text| warn(quiet, text))),
    })
}

/// Set by the first ^C or SIGTERM; the second ends the process at once.
fn stop() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, i32::from(exit::ERROR), Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

fn of_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
}

/// The summary in one line.
fn line(summary: &Summary) -> String {
    let mut text = format!(
        "{} of {} spans acknowledged in {:.1} s ({} a second), {} requests; answers p50 {} ms, p99 {} ms, max {} ms",
        summary.spans_acknowledged,
        summary.spans_sent,
        summary.seconds,
        summary.spans_per_second,
        summary.requests_acknowledged,
        summary.answer_p50_ms,
        summary.answer_p99_ms,
        summary.answer_max_ms
    );
    for (count, what) in [
        (summary.spans_rejected, "spans rejected"),
        (summary.spans_refused, "spans refused"),
        (summary.spans_unanswered, "spans without an answer"),
        (summary.retries, "retries"),
    ] {
        if count > 0 {
            let _ = write!(text, "; {count} {what}");
        }
    }
    if !summary.last_error.is_empty() {
        let _ = write!(text, "; last: {}", visible(&summary.last_error));
    }
    text
}
