//! `POST /v1/mark`: a deployment begins now.

use super::gate::MarkView;
use super::reply::{Refusal, Reply, json};
use super::request::{self, BodyError, Parameters, body, content_type, object};
use super::{AdminState, PATIENCE};
use crate::receiver::mark::Mark;
use bytes::Bytes;
use hyper::body::Body;
use hyper::{Request, StatusCode};
use serde::Deserialize;

/// What a mark can say.
pub const MARK: &[&str] = &["label", "looks", "cohort"];

/// The most looks that a sequential bound is made for.
const MAX_LOOKS: u64 = 100;
/// What a mark is called that has no name.
const LABEL: &str = "deployment";

/// A mark as JSON says it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    label: Option<String>,
    looks: Option<u64>,
    cohort: Option<String>,
}

/// Sets a mark. What it says stands in the address, a form or JSON.
pub async fn mark<B>(mut parameters: Parameters, asked: Request<B>, state: &AdminState) -> Result<Reply, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BodyError>,
{
    let kind = content_type(asked.headers());
    let bytes = body(asked.into_body()).await?;
    for (name, value) in said(&kind, &bytes)? {
        parameters.add(name, &value);
    }
    let looks = parameters.number("looks")?;
    if looks.is_some_and(|looks| looks == 0 || looks > MAX_LOOKS) {
        return Err(Refusal::bad("looks is out of range", format!("it is 1 to {MAX_LOOKS}")));
    }
    let mut mark = Mark::new(parameters.get("label").unwrap_or(LABEL), (state.now)().unix_ns);
    mark.looks = looks.map(|looks| looks as u32);
    mark.cohort = parameters.get("cohort").map(str::to_owned);
    let Some(keeper) = state.keeper.clone() else {
        let hint = "start the receiver with --window 60s";
        return Err(Refusal::new(StatusCode::CONFLICT, "nothing is compared here, so there is nothing to mark", hint));
    };
    // The engine takes marks between two groups of requests.
    let kept = tokio::time::timeout(PATIENCE, keeper.mark(mark)).await.ok().flatten().ok_or_else(|| {
        let hint = "ask again in a moment";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the receiver is stopping or busy", hint).retry(1)
    })?;
    Ok(json(StatusCode::CREATED, &MarkView::from(&kept)))
}

/// What the body says. A body without a type is none of those that a page may send to strangers without asking, but
/// neither is it one of ours.
fn said(kind: &str, bytes: &[u8]) -> Result<Vec<(&'static str, String)>, Refusal> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let named = |name: &&'static str, value: Option<String>| value.map(|value| (*name, value));
    match kind {
        "application/json" => {
            let hint = "send {\"label\": \"deploy v2\", \"looks\": 10, \"cohort\": \"v2\"}";
            let asked: Asked = object(bytes).ok_or_else(|| Refusal::bad("this JSON is no mark", hint))?;
            let looks = asked.looks.map(|looks| looks.to_string());
            let values = [asked.label, looks, asked.cohort];
            Ok(MARK.iter().zip(values).filter_map(|(name, value)| named(name, value)).collect())
        }
        "application/x-www-form-urlencoded" => {
            let text = std::str::from_utf8(bytes)
                .map_err(|_| Refusal::bad("the form is no UTF-8", "write it as UTF-8, percent-encoded"))?;
            let form = Parameters::parse(text, MARK)?;
            Ok(MARK.iter().filter_map(|name| named(name, form.get(name).map(str::to_owned))).collect())
        }
        other => Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("a body of type `{}` is not understood", request::word(other)),
            "send application/json or application/x-www-form-urlencoded, or say it in the address: ?label=deploy+v2",
        )),
    }
}
