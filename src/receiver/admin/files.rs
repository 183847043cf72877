//! What can be downloaded: the report of a comparison, and the profiles that it was made of.

use super::reply::{JSON, Refusal, Reply, TEXT, of_generation, reply};
use super::request::Parameters;
use super::{AdminState, CHOICE, chosen};
use crate::ingest::profile_codec::encode;
use crate::report::{self, Format};
use hyper::StatusCode;
use hyper::header::{CONTENT_DISPOSITION, ETAG, HeaderValue};
use std::sync::Arc;

/// Parameters of `/v1/diff`.
pub const DIFF: &[&str] = &["format", CHOICE[0], CHOICE[1], CHOICE[2]];
/// Parameters of `/v1/profile`.
pub const PROFILE: &[&str] = &["side", CHOICE[0], CHOICE[1], CHOICE[2]];

/// Characters of a cohort that become part of a file's name.
const NAME: usize = 40;

/// Says which comparison of which run of the receiver an answer is of: files with one tag fit together.
fn tagged(reply: Reply, generation: u64, state: &AdminState) -> Reply {
    let mut reply = of_generation(reply, generation);
    let tag = format!("\"{}-{generation}\"", state.settings.started_unix_ns);
    // One that was made for this request has no number, and fits to nothing else.
    if let Some(tag) = HeaderValue::from_str(&tag).ok().filter(|_| generation > 0) {
        reply.headers_mut().insert(ETAG, tag);
    }
    reply
}

/// There is no such comparison, or not yet.
pub(super) fn not_there(why: String) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, why, "/v1/status says what there is, and waits for news with ?after=N&wait=20s")
        .retry(5)
}

/// `GET /v1/diff`: `spandiff.diff/v1`, or the report as text or Markdown.
pub async fn diff(parameters: &Parameters, state: &AdminState) -> Result<Reply, Refusal> {
    let (format, content_type) = match parameters.one_of("format", &["json", "text", "markdown"])? {
        "text" => (Format::Text, TEXT),
        "markdown" => (Format::Markdown, HeaderValue::from_static("text/markdown; charset=utf-8")),
        _ => (Format::Json, JSON),
    };
    let judged = chosen(parameters, state).await?.map_err(not_there)?;
    let generation = judged.generation;
    let body = state.off(move || {
        let mut body = Vec::new();
        // Memory takes every byte.
        let _ = report::write(format, &judged.diff, &report::Options::default(), &mut body);
        body
    });
    Ok(tagged(reply(StatusCode::OK, content_type, body.await?), generation, state))
}

/// `GET /v1/profile`: one side as a `.spanprofile`.
pub async fn profile(parameters: &Parameters, state: &AdminState) -> Result<Reply, Refusal> {
    let side = parameters.one_of("side", &["after", "before"])?;
    let judged = chosen(parameters, state).await?.map_err(not_there)?;
    let generation = judged.generation;
    let profile = Arc::clone(if side == "before" { &judged.before } else { &judged.after });
    let encoded = state.off(move || encode(&profile)).await?;
    let bytes = encoded.map_err(|_| {
        let hint = "the receiver's --max-memory may be too small";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the profile cannot be compressed", hint).retry(5)
    })?;
    let mut answer = reply(StatusCode::OK, HeaderValue::from_static("application/octet-stream"), bytes);
    let name = format!("attachment; filename=\"{}{side}.spanprofile\"", file_name(&judged.cohort));
    if let Ok(name) = HeaderValue::from_str(&name) {
        answer.headers_mut().insert(CONTENT_DISPOSITION, name);
    }
    Ok(tagged(answer, generation, state))
}

/// A cohort as the beginning of a file's name: nothing that a shell or a folder would take for something else.
fn file_name(cohort: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '_' { c } else { '-' };
    let name: String = cohort.trim_start_matches('.').chars().take(NAME).map(plain).collect();
    if name.is_empty() { name } else { format!("{name}-") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cohort_is_no_path() {
        assert_eq!(file_name(""), "");
        assert_eq!(file_name("v1.2_3"), "v1.2_3-");
        assert_eq!(file_name("../../etc/pass\"wd\n"), "-..-etc-pass-wd--");
    }
}
