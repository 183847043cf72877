//! The verdict for rollout controllers: `/v1/gate` for Argo's web provider and everyone who reads JSON,
//! `/v1/gate/flagger` for Flagger, which looks at the status alone.
//!
//! Argo takes an answer that is no 2xx for an error of its own, so a verdict is always 200, whatever it says; before the
//! first window it is inconclusive. Flagger takes every 2xx for a pass.

use super::reply::{GENERATION, JSON, Refusal, Reply, TEXT, json, of_generation, reply};
use super::request::{self, BodyError, Parameters, body, content_type, object};
use super::{AdminState, chosen};
use crate::diff::{Look, Outcome, Verdict};
use crate::receiver::board::Judged;
use crate::receiver::mark::Mark;
use crate::report;
use bytes::Bytes;
use hyper::body::Body;
use hyper::header::HeaderValue;
use hyper::{Request, StatusCode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Parameters of `/v1/gate`.
pub const GATE: &[&str] = &["format", "cohort", "canary", "baseline"];
/// Parameters of `/v1/gate/flagger`.
pub const FLAGGER: &[&str] = &["inconclusive", "cohort", "canary", "baseline"];

/// Reasons that the short answer lists; the whole document has all.
const REASONS: usize = 10;
/// Columns of the line that Flagger puts into an event.
const LINE: usize = 400;

/// 425: come again when there is more to judge. hyper has no name for it.
const TOO_EARLY: u16 = 425;

/// The verdict in a few words.
#[derive(Debug, Serialize)]
struct Short<'a> {
    verdict: &'static str,
    /// Whether a rollout may go on: pass or warn.
    ok: bool,
    /// The verdict as a number: pass 1, warn 0.5, fail 0; null for inconclusive.
    score: Option<f64>,
    reason: String,
    reasons: Vec<Reason<'a>>,
    cohort: &'a str,
    baseline: &'a str,
    generation: u64,
    window: Option<Window>,
    age_seconds: Option<f64>,
    mark: Option<MarkView<'a>>,
    windows: u32,
    look: Option<LookView>,
    traces: Sides,
    needs: Sides,
    findings: usize,
}

#[derive(Debug, Serialize)]
struct Reason<'a> {
    code: &'a str,
    message: &'a str,
    result: &'a str,
}

/// Begin and end; strings, since they are beyond 2⁵³.
#[derive(Debug, Serialize)]
pub(super) struct Window {
    start_unix_ns: String,
    end_unix_ns: String,
}

impl Window {
    /// Of nanoseconds since 1970.
    pub(super) fn new((start, end): (u64, u64)) -> Window {
        Window { start_unix_ns: start.to_string(), end_unix_ns: end.to_string() }
    }
}

/// A mark as JSON has it.
#[derive(Debug, Serialize)]
pub(super) struct MarkView<'a> {
    label: &'a str,
    unix_ns: String,
    time: String,
    looks: Option<u32>,
    cohort: Option<&'a str>,
}

impl<'a> From<&'a Mark> for MarkView<'a> {
    fn from(mark: &'a Mark) -> MarkView<'a> {
        MarkView {
            label: &mark.label,
            unix_ns: mark.unix_ns.to_string(),
            time: report::clock::utc(mark.unix_ns),
            looks: mark.looks,
            cohort: mark.cohort.as_deref(),
        }
    }
}

#[derive(Debug, Serialize)]
struct LookView {
    kind: &'static str,
    look: Option<u32>,
    looks: Option<u32>,
}

impl From<Look> for LookView {
    fn from(look: Look) -> LookView {
        match look {
            Look::Planned { look, looks } => LookView { kind: "planned", look: Some(look), looks: Some(looks) },
            Look::Open { .. } => LookView { kind: "open", look: None, looks: None },
            Look::Apart { looks } => LookView { kind: "apart", look: None, looks: Some(looks) },
        }
    }
}

#[derive(Debug, Default, Serialize)]
struct Sides {
    before: u64,
    after: u64,
}

impl<'a> Short<'a> {
    /// What is said before there is a verdict.
    fn nothing(reason: String) -> Short<'a> {
        Short {
            verdict: Outcome::Inconclusive.name(),
            ok: false,
            score: None,
            reason,
            reasons: Vec::new(),
            cohort: "",
            baseline: "",
            generation: 0,
            window: None,
            age_seconds: None,
            mark: None,
            windows: 0,
            look: None,
            traces: Sides::default(),
            needs: Sides::default(),
            findings: 0,
        }
    }

    fn new(judged: &'a Judged, state: &AdminState) -> Short<'a> {
        let (diff, verdict) = (&judged.diff, &judged.verdict);
        let reason = |reason: &'a crate::diff::Reason| Reason {
            code: reason.code,
            message: &reason.message,
            result: reason.result.name(),
        };
        let (outcome, sentence) = standing(judged, state);
        Short {
            verdict: outcome.name(),
            ok: is_ok(outcome),
            score: score(outcome),
            reason: sentence,
            reasons: verdict.reasons.iter().take(REASONS).map(reason).collect(),
            cohort: &judged.cohort,
            baseline: &judged.baseline,
            generation: judged.generation,
            window: Some(Window::new(judged.window_ns)),
            age_seconds: Some(state.age_s(judged.window_ns.1)),
            mark: judged.mark.as_ref().map(MarkView::from),
            windows: judged.windows,
            look: judged.look.map(LookView::from),
            traces: Sides { before: diff.inputs.before.traces, after: diff.inputs.after.traces },
            needs: Sides { before: verdict.needs.before, after: verdict.needs.after },
            findings: diff.findings.len(),
        }
    }
}

const fn is_ok(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Pass | Outcome::Warn)
}

const fn score(outcome: Outcome) -> Option<f64> {
    match outcome {
        Outcome::Pass => Some(1.0),
        Outcome::Warn => Some(0.5),
        Outcome::Inconclusive => None,
        Outcome::Fail => Some(0.0),
    }
}

/// The verdict in one line: `1 regression: POST /checkout takes 185 ms longer`.
pub(super) fn sentence(verdict: &Verdict) -> String {
    let first = verdict.reasons.iter().find(|reason| reason.result == verdict.result && reason.result > Outcome::Pass);
    let headline = report::gate::headline(verdict);
    let sentence = match first {
        // Some say it in the same words.
        Some(reason) if reason.message.starts_with(&headline) => reason.message.clone(),
        Some(reason) => format!("{headline}: {}", reason.message),
        None => headline,
    };
    let page = report::page::Page::new(&report::Options::default());
    page.shorten(&page.show(sentence), LINE)
}

/// Windows behind the one that was judged last, after which its verdict is old; and what sealing a window may take besides.
const OLD_AFTER_WINDOWS: f64 = 3.0;
const SEALED_WITHIN_S: f64 = 60.0;

/// What a verdict is worth now, in one line. Where nothing is judged any more since nothing comes, nothing is known to
/// be well: silence behind a deployment is no good sign. A failure stands, and so does the last of the planned looks.
fn standing(judged: &Judged, state: &AdminState) -> (Outcome, String) {
    let (outcome, sentence) = (judged.verdict.result, sentence(&judged.verdict));
    let is_last = matches!(judged.look, Some(Look::Planned { look, looks }) if look >= looks);
    let age_s = state.age_s(judged.window_ns.1);
    let window_s = state.settings.window_ns.unwrap_or_default() as f64 / 1e9;
    if is_ok(outcome) && !is_last && age_s > OLD_AFTER_WINDOWS * window_s + SEALED_WITHIN_S {
        return (Outcome::Inconclusive, format!("nothing was judged for {age_s:.0} s; before: {sentence}"));
    }
    (outcome, sentence)
}

/// `GET /v1/gate`.
pub async fn gate(parameters: &Parameters, state: &AdminState) -> Result<Reply, Refusal> {
    let is_full = parameters.one_of("format", &["short", "full"])? == "full";
    match chosen(parameters, state).await? {
        Ok(judged) if is_full => full(judged, state).await,
        Ok(judged) => Ok(of_generation(json(StatusCode::OK, &Short::new(&judged, state)), judged.generation)),
        Err(why) if is_full => Err(super::files::not_there(why)),
        Err(why) => Ok(json(StatusCode::OK, &Short::nothing(why))),
    }
}

/// The whole document `spandiff.gate/v1`.
async fn full(judged: Arc<Judged>, state: &AdminState) -> Result<Reply, Refusal> {
    let generation = judged.generation;
    let body = state.off(move || {
        let mut body = Vec::new();
        let options = report::Options::default();
        // Memory takes every byte.
        let _ = report::gate::write(report::gate::GateFormat::Json, &judged.diff, &judged.verdict, &options, &mut body);
        body
    });
    Ok(of_generation(reply(StatusCode::OK, JSON, body.await?), generation))
}

/// What Flagger sends: the canary's name and what its webhook was configured with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Question {
    metadata: BTreeMap<String, serde_json::Value>,
}

/// `GET` or `POST /v1/gate/flagger`: 200 goes on, 422 fails, 425 asks again. What the webhook's metadata say stands
/// behind what the address says.
pub async fn flagger<B>(mut parameters: Parameters, asked: Request<B>, state: &AdminState) -> Result<Reply, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BodyError>,
{
    let kind = content_type(asked.headers());
    let bytes = body(asked.into_body()).await?;
    if !bytes.is_empty() {
        if kind != "application/json" {
            return Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("a body of type `{}` is not understood", request::word(&kind)),
                "send application/json, as Flagger does, or no body",
            ));
        }
        let hint = "send {\"metadata\": {\"cohort\": \"…\"}}";
        let question: Question = object(&bytes).ok_or_else(|| Refusal::bad("this is not what Flagger sends", hint))?;
        for name in FLAGGER {
            let value = question.metadata.get(*name).and_then(serde_json::Value::as_str);
            parameters.add(name, value.unwrap_or_default());
        }
    }
    let passes = parameters.one_of("inconclusive", &["fail", "pass"])? == "pass";
    let (outcome, line, generation) = match chosen(&parameters, state).await? {
        Ok(judged) => {
            let (outcome, line) = standing(&judged, state);
            (outcome, line, judged.generation)
        }
        Err(why) => (Outcome::Inconclusive, why, 0),
    };
    let status = match outcome {
        Outcome::Pass | Outcome::Warn => StatusCode::OK,
        Outcome::Inconclusive if passes => StatusCode::OK,
        Outcome::Inconclusive => StatusCode::from_u16(TOO_EARLY).unwrap_or(StatusCode::CONFLICT),
        Outcome::Fail => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let mut answer = reply(status, TEXT, format!("spandiff: {}: {line}\n", outcome.name()));
    answer.headers_mut().insert(GENERATION, HeaderValue::from(generation));
    Ok(answer)
}
