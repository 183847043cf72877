//! The admin port: health, metrics, verdicts, differences, profiles and marks over HTTP.
//!
//! [`answer`] is a function from a request to an answer; listening, TLS and limits on connections are those of whoever
//! calls it. Probes, metrics and verdicts read what hangs on the [`Board`] and answer at once. What takes a processor
//! (reports, profiles, comparisons that were asked for) runs off the reactor, a few at a time, so that nobody who asks
//! for much keeps a probe waiting. Every path is in [`PATHS`], and in `samples/schema/openapi.json`, which a test holds
//! against each other.
//!
//! `/readyz` means "listening". A native sidecar's readiness counts for its pod, and a pod must not wait for a baseline
//! that only its traffic can make.

pub mod access;
mod files;
mod gate;
mod mark;
mod metrics;
mod reply;
mod request;
mod status;

pub use access::Access;
pub use reply::{GENERATION, Reply};
pub use request::{BodyError, MAX_BODY_BYTES};

use super::board::{Board, Judged};
use super::counters::Counters;
use super::mark::Mark;
use super::moment::Moment;
use super::serve::Handler;
use super::watch::Baseline;
use bytes::Bytes;
use hyper::body::Body;
use hyper::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use reply::{Refusal, TEXT, reply, without_body};
use request::Parameters;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// Requests that take a processor at the same time: verdicts on the traffic go first.
const HEAVY: usize = 2;
/// How long one of these waits for its turn, and anything for the keeper of the windows.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests that wait for a newer generation at the same time; more are answered at once.
const WAITING: usize = 64;

/// What the receiver is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Not every port is open yet.
    #[default]
    Starting,
    /// All ports are open.
    Listening,
    /// It was told to stop, and brings to its end what it has begun.
    Draining,
}

impl Phase {
    /// The word in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Listening => "listening",
            Phase::Draining => "draining",
        }
    }
}

/// An answer that may take its time.
pub type Answered<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What only the keeper of the windows can do.
pub trait Keeper: Send + Sync {
    /// Sets a mark and gives it back as it is kept; `None` when the receiver is stopping.
    fn mark(&self, mark: Mark) -> Answered<Option<Mark>>;

    /// Compares the newest traffic of a cohort (of `None` of the only one) with a baseline of its own. It takes a
    /// processor, and is called off the reactor.
    ///
    /// # Errors
    /// One lower-case sentence when there is no such comparison, or not yet.
    fn judge(&self, cohort: Option<&str>, baseline: &str) -> Result<Judged, String>;
}

/// What the receiver was told to do, for those who ask what it waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Length of a window in nanoseconds; `None` when nothing is compared.
    pub window_ns: Option<u64>,
    /// The resource attribute that divides traces.
    pub cohort_by: Option<String>,
    /// What windows are compared with, in words.
    pub baseline: String,
    /// When the receiver began, nanoseconds since 1970: another one is another receiver, whose generations begin anew.
    pub started_unix_ns: u64,
}

/// What the admin port knows and may do.
pub struct AdminState {
    /// What the receiver counts about itself.
    pub counters: Arc<Counters>,
    /// Verdicts, marks and windows.
    pub board: Arc<Board>,
    /// Who keeps the windows; `None` when nothing is compared.
    pub keeper: Option<Arc<dyn Keeper>>,
    /// Who may ask.
    pub access: Access,
    /// What the receiver was told to do.
    pub settings: Settings,
    /// What it is doing. Who waits for a newer generation is answered when this changes.
    pub phase: watch::Receiver<Phase>,
    now: Box<dyn Fn() -> Moment + Send + Sync>,
    heavy: Arc<Semaphore>,
    waiting: Semaphore,
}

impl AdminState {
    /// The state of a receiver that compares nothing and lets in loopback alone; its fields say more. `now` tells the
    /// time.
    pub fn new(
        counters: Arc<Counters>,
        board: Arc<Board>,
        phase: watch::Receiver<Phase>,
        now: impl Fn() -> Moment + Send + Sync + 'static,
    ) -> AdminState {
        AdminState {
            counters,
            board,
            keeper: None,
            access: Access { is_loopback: true, ..Access::default() },
            settings: Settings::default(),
            phase,
            now: Box::new(now),
            heavy: Arc::new(Semaphore::new(HEAVY)),
            waiting: Semaphore::new(WAITING),
        }
    }

    /// Does what takes a processor, off the reactor.
    async fn off<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.heavy).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            let hint = "ask again in a moment";
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too much is asked at once", hint).retry(1));
        };
        // Work that has begun ends, also when who asked for it has gone: until then it keeps its turn.
        let work = move || {
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| {
            self.counters.panics.add(1);
            let hint = "please report it with the request";
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "this is a bug in spandiff", hint)
        })
    }

    /// Seconds since a time that is known in nanoseconds since 1970; 0 for one that is still to come.
    fn age_s(&self, unix_ns: u64) -> f64 {
        (self.now)().unix_ns.saturating_sub(unix_ns) as f64 / 1e9
    }
}

impl std::fmt::Debug for AdminState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminState")
            .field("access", &self.access)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Paths and their methods, as `Allow` lists them. `HEAD` is answered where `GET` is, `OPTIONS` everywhere.
pub const PATHS: [(&str, &str); 10] = [
    ("/healthz", "GET, HEAD, OPTIONS"),
    ("/readyz", "GET, HEAD, OPTIONS"),
    ("/metrics", "GET, HEAD, OPTIONS"),
    ("/openapi.json", "GET, HEAD, OPTIONS"),
    ("/v1/diff", "GET, HEAD, OPTIONS"),
    ("/v1/gate", "GET, HEAD, OPTIONS"),
    ("/v1/gate/flagger", "GET, HEAD, POST, OPTIONS"),
    ("/v1/mark", "POST, OPTIONS"),
    ("/v1/profile", "GET, HEAD, OPTIONS"),
    ("/v1/status", "GET, HEAD, OPTIONS"),
];

/// What describes all of it.
pub const OPENAPI: &str = include_str!("../../../samples/schema/openapi.json");

/// Answers a request. It always answers, and within a bound: 10 s for a body, 60 s for who waits for news.
pub async fn answer<B>(request: Request<B>, state: &AdminState) -> Reply
where
    B: Body<Data = Bytes>,
    B::Error: Into<BodyError>,
{
    let headers = kept(request.headers());
    let is_head = request.method() == Method::HEAD;
    let mut reply = guarded(request, state).await.unwrap_or_else(Refusal::reply);
    state.access.share(&headers, &mut reply);
    if is_head { without_body(reply) } else { reply }
}

/// What of a request's headers is looked at when it is answered.
fn kept(headers: &HeaderMap) -> HeaderMap {
    let origin = headers.get(hyper::header::ORIGIN).cloned();
    origin.map(|origin| (hyper::header::ORIGIN, origin)).into_iter().collect()
}

async fn guarded<B>(request: Request<B>, state: &AdminState) -> Result<Reply, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BodyError>,
{
    let path = request.uri().path();
    let known = PATHS.iter().find(|(known, _)| *known == path);
    // Probes come from the kubelet, by the pod's address and without a token, and learn nothing.
    match (path, request.method()) {
        ("/healthz", &Method::GET | &Method::HEAD) => return Ok(reply(StatusCode::OK, TEXT, "ok\n")),
        ("/readyz", &Method::GET | &Method::HEAD) => return Ok(ready(state)),
        _ => {}
    }
    if let Some((_, methods)) = known
        && let Some(answer) = state.access.preflight(request.method(), request.headers(), methods)
    {
        return Ok(answer);
    }
    state.access.check(request.uri(), request.headers())?;
    let Some((path, methods)) = known else {
        let paths: Vec<&str> = PATHS.iter().map(|(path, _)| *path).collect();
        let error = format!("there is nothing at {}", request::word(path));
        return Err(Refusal::new(StatusCode::NOT_FOUND, error, format!("there are {}", paths.join(", "))));
    };
    if !methods.split(", ").any(|method| method == request.method().as_str()) {
        let error = format!("{path} does not take {}", request::word(request.method().as_str()));
        let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, error, format!("it takes {methods}"));
        return Err(refusal.allow(methods));
    }
    dispatch(path, request, state).await
}

async fn dispatch<B>(path: &str, request: Request<B>, state: &AdminState) -> Result<Reply, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BodyError>,
{
    let query = request.uri().query().unwrap_or_default();
    let parameters = |known: &[&str]| Parameters::parse(query, known);
    match path {
        "/metrics" => {
            parameters(&[])?;
            Ok(metrics::metrics(state))
        }
        "/v1/diff" => files::diff(&parameters(files::DIFF)?, state).await,
        "/v1/profile" => files::profile(&parameters(files::PROFILE)?, state).await,
        "/v1/gate" => gate::gate(&parameters(gate::GATE)?, state).await,
        "/v1/gate/flagger" => {
            let parameters = parameters(gate::FLAGGER)?;
            gate::flagger(parameters, request, state).await
        }
        "/v1/mark" => {
            let parameters = parameters(mark::MARK)?;
            mark::mark(parameters, request, state).await
        }
        "/v1/status" => status::status(&parameters(status::STATUS)?, state).await,
        _ => Ok(reply(StatusCode::OK, reply::JSON, OPENAPI)),
    }
}

fn ready(state: &AdminState) -> Reply {
    let phase = *state.phase.borrow();
    if phase == Phase::Listening {
        return reply(StatusCode::OK, TEXT, "listening\n");
    }
    let mut not_ready = reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{}\n", phase.name()));
    not_ready.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    not_ready
}

/// Parameters that choose a comparison; `canary` is Argo's word for the cohort.
const CHOICE: [&str; 3] = ["cohort", "canary", "baseline"];

/// The comparison that is asked for; `Err` with a sentence when there is none, or not yet.
async fn chosen(parameters: &Parameters, state: &AdminState) -> Result<Result<Arc<Judged>, String>, Refusal> {
    let cohort = parameters.either("cohort", "canary").map(str::to_owned);
    if let Some(baseline) = parameters.get("baseline") {
        let Some(keeper) = state.keeper.clone() else { return Ok(Err(nothing_yet(cohort.as_deref(), state))) };
        // A word by itself is a cohort, as rollouts name them: baseline=stable.
        let is_word = !baseline.contains(':') && baseline != "mark";
        let baseline = if is_word { format!("cohort:{baseline}") } else { baseline.to_owned() };
        if Baseline::parse(&baseline).is_none() {
            let error = format!("baseline cannot be `{}`", request::word(&baseline));
            return Err(Refusal::bad(error, "baseline is mark, cohort:VALUE or window:AGE such as window:7d"));
        }
        return state.off(move || keeper.judge(cohort.as_deref(), &baseline).map(Arc::new)).await;
    }
    Ok(state.board.newest(cohort.as_deref()).ok_or_else(|| nothing_yet(cohort.as_deref(), state)))
}

/// Why there is no verdict.
fn nothing_yet(cohort: Option<&str>, state: &AdminState) -> String {
    if state.keeper.is_none() {
        return "nothing is compared here: the receiver was started with --window off".to_owned();
    }
    match cohort {
        Some(cohort) if state.board.generation() > 0 => {
            format!("nothing was judged of cohort {}", request::word(cohort))
        }
        _ => "no window has been judged yet".to_owned(),
    }
}

/// [`answer`] for the server of the admin port.
pub fn handler(state: Arc<AdminState>) -> Handler {
    Arc::new(move |request| {
        let state = Arc::clone(&state);
        Box::pin(async move { answer(request, &state).await })
    })
}
