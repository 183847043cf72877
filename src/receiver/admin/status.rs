//! `GET /v1/status`: what there is, and with `?after=N&wait=20s` not before there is something newer.

use super::gate::{MarkView, Window, sentence};
use super::reply::{Refusal, Reply, json, of_generation};
use super::request::Parameters;
use super::{AdminState, Phase};
use crate::receiver::board::{Judged, WindowInfo};
use crate::receiver::mark::Mark;
use hyper::StatusCode;
use serde::Serialize;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// Parameters of `/v1/status`.
pub const STATUS: &[&str] = &["after", "wait"];

/// The longest wait: less than what proxies on the way allow.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Cohorts, windows and marks that are listed, the newest of each; all are counted.
const LISTED: usize = 100;

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: &'static str,
    phase: &'static str,
    /// Tells this run of the receiver from the one before it, whose generations mean nothing here.
    started_unix_ns: String,
    uptime_seconds: f64,
    generation: u64,
    baseline: &'a str,
    cohort_by: Option<&'a str>,
    window_seconds: Option<f64>,
    cohorts: Vec<Comparison<'a>>,
    cohorts_total: usize,
    windows: Vec<WindowView<'a>>,
    windows_total: usize,
    marks: Vec<MarkView<'a>>,
    marks_total: usize,
    spans_received: u64,
    traces_open: u64,
    memory: Memory,
}

#[derive(Debug, Serialize)]
struct Comparison<'a> {
    cohort: &'a str,
    generation: u64,
    verdict: &'static str,
    reason: String,
    baseline: &'a str,
    window: Window,
    age_seconds: f64,
    traces: u64,
    findings: usize,
}

#[derive(Debug, Serialize)]
struct WindowView<'a> {
    cohort: &'a str,
    #[serde(flatten)]
    window: Window,
    traces: u64,
    spans: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the unit belongs to the name")]
struct Memory {
    resident_bytes: u64,
    open_bytes: u64,
    window_bytes: u64,
    in_flight_bytes: u64,
}

/// Answers, after a wait if one is asked for. A number that was never given out is none to wait for: it is of a receiver
/// that ended.
pub async fn status(parameters: &Parameters, state: &AdminState) -> Result<Reply, Refusal> {
    let (after, wait) = (parameters.number("after")?, parameters.time("wait")?);
    if let (Some(after), Some(wait)) = (after, wait) {
        news(after, wait.min(LONGEST_WAIT), state).await;
    }
    // Before what hangs there: what is newer than the number is found by the next wait.
    let generation = state.board.generation();
    let board = &state.board;
    let hanging = Hanging { judged: board.all(), windows: board.windows(), marks: board.marks() };
    Ok(of_generation(json(StatusCode::OK, &document(&hanging, generation, state)), generation))
}

/// Waits until there is a newer generation, the receiver begins to drain, or the time is over.
async fn news(after: u64, wait: Duration, state: &AdminState) {
    let Ok(_place) = state.waiting.try_acquire() else { return };
    let (mut generation, mut phase) = (state.board.subscribe(), state.phase.clone());
    // A board or a receiver that is gone will not change: that too ends the wait.
    let mut newer = pin!(generation.wait_for(|generation| *generation != after));
    let mut drains = pin!(phase.wait_for(|phase| *phase == Phase::Draining));
    let either = poll_fn(|context| {
        let ready = newer.as_mut().poll(context).is_ready() || drains.as_mut().poll(context).is_ready();
        if ready { Poll::Ready(()) } else { Poll::Pending }
    });
    // Whether it was the time or not, the answer says.
    let _ = tokio::time::timeout(wait, either).await;
}

/// What hangs on the board.
struct Hanging {
    judged: Vec<Arc<Judged>>,
    windows: Arc<[WindowInfo]>,
    marks: Arc<[Mark]>,
}

fn document<'a>(hanging: &'a Hanging, generation: u64, state: &'a AdminState) -> Document<'a> {
    let counters = &state.counters;
    let mut cohorts: Vec<&Judged> = hanging.judged.iter().map(AsRef::as_ref).collect();
    cohorts.sort_by_key(|judged| std::cmp::Reverse(judged.generation));
    let mut windows: Vec<&WindowInfo> = hanging.windows.iter().collect();
    windows.sort_by_key(|window| std::cmp::Reverse(window.end_unix_ns));
    Document {
        schema: "spandiff.status/v1",
        version: env!("CARGO_PKG_VERSION"),
        phase: state.phase.borrow().name(),
        started_unix_ns: state.settings.started_unix_ns.to_string(),
        uptime_seconds: state.age_s(state.settings.started_unix_ns),
        generation,
        baseline: &state.settings.baseline,
        cohort_by: state.settings.cohort_by.as_deref(),
        window_seconds: state.settings.window_ns.map(|ns| ns as f64 / 1e9),
        cohorts: cohorts.iter().take(LISTED).map(|judged| cohort(judged, state)).collect(),
        cohorts_total: cohorts.len(),
        windows: windows.iter().take(LISTED).map(|window| view(window)).collect(),
        windows_total: windows.len(),
        marks: hanging.marks.iter().rev().take(LISTED).map(MarkView::from).collect(),
        marks_total: hanging.marks.len(),
        spans_received: counters.spans_received.get(),
        traces_open: counters.traces_open.get(),
        memory: Memory {
            resident_bytes: counters.resident_bytes.get(),
            open_bytes: counters.open_bytes.get(),
            window_bytes: counters.window_bytes.get(),
            in_flight_bytes: counters.bytes_in_flight.get(),
        },
    }
}

fn cohort<'a>(judged: &'a Judged, state: &AdminState) -> Comparison<'a> {
    Comparison {
        cohort: &judged.cohort,
        generation: judged.generation,
        verdict: judged.verdict.result.name(),
        reason: sentence(&judged.verdict),
        baseline: &judged.baseline,
        window: Window::new(judged.window_ns),
        age_seconds: state.age_s(judged.window_ns.1),
        traces: judged.diff.inputs.after.traces,
        findings: judged.diff.findings.len(),
    }
}

fn view(window: &WindowInfo) -> WindowView<'_> {
    WindowView {
        cohort: &window.cohort,
        window: Window::new((window.start_unix_ns, window.end_unix_ns)),
        traces: window.traces,
        spans: window.spans,
        bytes: window.bytes,
    }
}
