//! `spandiff tui --attach URL`: what a receiver compares, on the screen, and again whenever there is something newer.
//!
//! The receiver sends both profiles and the comparison is made here, as for two files: so the screen has everything that
//! it has for files, swapped sides and example pairs too. Two parts speak with the receiver. [`Follower`] belongs to the
//! worker and fetches profiles when the screen asks for them. [`watch`] has a thread of its own, waits for news and says
//! how the receiver is. Neither gives up: what does not answer is asked again, less and less often.

mod wire;

use crate::cli::args::TuiArgs;
use crate::cli::commands::load::{self, Loaded};
use crate::cli::commands::population::Folded;
use crate::cli::config::Settings;
use crate::cli::engine;
use crate::cli::error::{Failure, Problem};
use crate::cli::reading::unreadable;
use crate::model::{Pair, units};
use crate::report::clock::utc;
use crate::tui::app::Progress;
use crate::tui::live::Link;
use crate::tui::update::Msg;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wire::{Comparison, Miss, Status, Wire};

/// How long the receiver is asked to wait for news: so often the age on the screen is made anew.
const WAIT: Duration = Duration::from_secs(5);
/// The least time between two questions, whatever the receiver answers.
const PACE: Duration = Duration::from_secs(1);
/// The longest time between two questions to a receiver that does not answer.
const SELDOM: Duration = Duration::from_secs(15);
/// How often somebody who waits for the first comparison hears whether to stop.
const TICK: Duration = Duration::from_millis(100);
/// How often both profiles are fetched anew when they turn out to be of two comparisons.
const TRIES: usize = 3;
/// Bytes of a token file.
const TOKEN_BYTES: u64 = 64 << 10;

/// Which comparison of which run of the receiver: the tag of what can be fetched of it.
type Edition = String;

/// What the two that speak with the receiver know of each other.
#[derive(Debug, Default)]
struct Shared {
    /// The cohort that is followed; the first one that is seen when none is named.
    cohort: Mutex<Option<String>>,
    /// What the worker fetched last.
    fetched: Mutex<Option<Edition>>,
}

impl Shared {
    /// The comparison that is followed, if the receiver has one.
    fn choose<'a>(&self, status: &'a Status) -> Option<&'a Comparison> {
        let mut followed = self.cohort.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match &*followed {
            Some(cohort) => status.cohorts.iter().find(|known| known.cohort == *cohort),
            None => status.cohorts.first(),
        };
        if let (Some(found), None) = (found, &*followed) {
            *followed = Some(found.cohort.clone());
        }
        found
    }

    fn named(&self) -> Option<String> {
        self.cohort.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fetched(&self) -> Option<Edition> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Fetches what the screen asks for.
pub struct Follower {
    wire: Wire,
    shared: Arc<Shared>,
    /// Whether it waits for the first comparison.
    waits: bool,
}

/// Why there is nothing to show.
pub enum Unfetched {
    /// The receiver does not answer, which is said elsewhere too.
    Lost(Failure),
    /// Anything else.
    Failed(Failure),
}

impl Follower {
    /// Follows what the options name.
    ///
    /// # Errors
    /// When the address or the token file makes no sense.
    pub fn new(args: &TuiArgs, waits: bool) -> Result<Option<Follower>, Failure> {
        let Some(address) = &args.attach else { return Ok(None) };
        let token = args.token_file.as_deref().map(token).transpose()?;
        let wire = Wire::new(address, token)?;
        let shared = Shared { cohort: Mutex::new(args.cohort.clone()), fetched: Mutex::default() };
        Ok(Some(Follower { wire, shared: Arc::new(shared), waits }))
    }

    /// Says on a channel when there is something newer, and how the receiver is.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn watch(&self) -> Result<Receiver<Msg>, Problem> {
        let (sender, feed) = channel();
        let (wire, shared) = (self.wire.clone(), Arc::clone(&self.shared));
        let thread = std::thread::Builder::new().name("attach".into());
        let started = thread.spawn(move || watch(&wire, &shared, &sender));
        started.map(|_| feed).map_err(|error| Problem::new("cannot attach").cause(error.to_string()))
    }

    /// Both sides of the newest comparison. The first one is waited for, and `tell` says what for.
    pub fn fetch(&self, settings: &Settings, tell: &dyn Fn(Msg), cancel: &AtomicBool) -> Result<Loaded, Unfetched> {
        let stops = || cancel.load(Ordering::Relaxed);
        let is_first = self.shared.fetched().is_none();
        let (mut pause, mut lost) = (PACE, Lost::default());
        loop {
            let words = match self.once(settings, &stops) {
                Ok(Ok(loaded)) => return Ok(loaded),
                Ok(Err(waiting)) => {
                    (pause, lost) = (PACE, Lost::default());
                    waiting
                }
                Err(Miss::Lost(why)) => {
                    pause = (pause * 2).min(SELDOM);
                    format!("{} is not reachable since {}: {why}; trying again", self.wire.name(), lost.since())
                }
                Err(Miss::Refused(problem)) => return Err(Unfetched::Failed(problem.into())),
            };
            if stops() {
                return Err(Unfetched::Failed(Problem::new("cancelled").into()));
            }
            if !is_first || !self.waits {
                return Err(Unfetched::Lost(Problem::new(words).into()));
            }
            tell(Msg::Progress(Some(Progress { what: words, share: None })));
            rest(pause, &stops);
        }
    }

    /// Fetches both sides, or says what there is to wait for.
    fn once(&self, settings: &Settings, stops: &dyn Fn() -> bool) -> Result<Result<Loaded, String>, Miss> {
        for _ in 0..TRIES {
            let status = self.wire.status(None, stops)?;
            let Some(newest) = self.shared.choose(&status) else { return Ok(Err(self.waiting(&status))) };
            let before = self.wire.profile("before", &newest.cohort, stops)?;
            let after = self.wire.profile("after", &newest.cohort, stops)?;
            let (Some(before), Some(after)) = (before, after) else { continue };
            if before.0 != after.0 {
                continue;
            }
            let sides = Pair::new(self.side("before", &before.1, settings)?, self.side("after", &after.1, settings)?);
            *self.shared.fetched.lock().unwrap_or_else(PoisonError::into_inner) = Some(before.0);
            return Ok(Ok(load::many(sides)));
        }
        Ok(Err(format!("{} compares faster than its profiles can be fetched; trying again", self.wire.name())))
    }

    fn side(&self, side: &str, mut bytes: &[u8], settings: &Settings) -> Result<Folded, Miss> {
        let name = format!("{}/v1/profile?side={side}", self.wire.name());
        let profile = engine::decode_profile(&mut bytes, &settings.limits)
            .map_err(|error| Miss::Refused(unreadable(&name, error)))?;
        Ok(Folded { profile, sources: vec![name], twice: Vec::new(), of_profiles: true })
    }

    /// What a receiver that answers and has nothing to show yet is waited for.
    fn waiting(&self, status: &Status) -> String {
        let name = self.wire.name();
        let spans = units::counted(status.spans_received, "span", "spans");
        if status.window_seconds.is_none() {
            return format!("{name} compares nothing: it was started with --window off ({spans} received)");
        }
        if let (Some(cohort), false) = (self.shared.named(), status.cohorts.is_empty()) {
            let known: Vec<&str> = status.cohorts.iter().map(|known| known.cohort.as_str()).take(5).collect();
            return format!("waiting for cohort {cohort} at {name}; there is {}", known.join(", "));
        }
        let every = status.window_seconds.map_or_else(String::new, |seconds| format!(" of {seconds} s"));
        if status.windows_total == 0 {
            return format!("waiting for the first window{every} at {name}; {spans} received so far");
        }
        let windows = units::counted(status.windows_total, "window", "windows");
        let baseline = if status.baseline.is_empty() { "a baseline" } else { &status.baseline };
        let marks = if status.marks_total == 0 { "; no mark was set: POST /v1/mark sets one" } else { "" };
        format!("waiting for a comparison at {name}: {windows}{every} closed; the baseline is {baseline}{marks}")
    }
}

/// Since when a receiver has not answered.
#[derive(Debug, Default)]
struct Lost(Option<String>);

impl Lost {
    /// The time of day at which this was asked for the first time.
    fn since(&mut self) -> &str {
        self.0.get_or_insert_with(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let time = utc(now.as_nanos() as u64);
            time.split_once(' ').map_or(time.clone(), |(_, time)| time.to_owned())
        })
    }
}

/// Waits, unless it is to stop.
fn rest(time: Duration, stops: &dyn Fn() -> bool) {
    let until = Instant::now() + time;
    while !stops() && Instant::now() < until {
        std::thread::sleep(TICK.min(until.saturating_duration_since(Instant::now())));
    }
}

/// Waits for news until nobody listens any more.
fn watch(wire: &Wire, shared: &Shared, out: &Sender<Msg>) {
    let (mut after, mut pause, mut lost) = (0, PACE, Lost::default());
    loop {
        let asked = Instant::now();
        let messages = match wire.status(Some((after, WAIT)), &|| false) {
            Ok(status) => {
                (after, pause, lost) = (status.generation, PACE, Lost::default());
                news(shared, &status)
            }
            // Whatever it is, it was an answer before: a proxy says so when what is behind it is gone.
            Err(Miss::Lost(_) | Miss::Refused(_)) => {
                pause = (pause * 2).min(SELDOM);
                vec![Msg::Link(Link::Lost { since: lost.since().to_owned() })]
            }
        };
        if messages.into_iter().any(|msg| out.send(msg).is_err()) {
            return;
        }
        std::thread::sleep(pause.saturating_sub(asked.elapsed()));
    }
}

/// What there is to say of an answer.
fn news(shared: &Shared, status: &Status) -> Vec<Msg> {
    let Some(newest) = shared.choose(status) else { return vec![Msg::Link(Link::Waiting)] };
    let link = Link::Up { cohort: newest.cohort.clone(), age: age(newest.age_seconds) };
    let edition = format!("\"{}-{}\"", status.started_unix_ns, newest.generation);
    // Before the first one is there, the worker fetches it anyway.
    let is_newer = shared.fetched().is_some_and(|fetched| fetched != edition);
    std::iter::once(Msg::Link(link)).chain(is_newer.then_some(Msg::Newer)).collect()
}

/// `12 s old`, `3 min old`.
fn age(seconds: f64) -> String {
    match seconds.max(0.0) as u64 {
        seconds @ ..120 => format!("{seconds} s old"),
        seconds @ ..7_200 => format!("{} min old", seconds / 60),
        seconds => format!("{} h old", seconds / 3_600),
    }
}

/// The token of a file.
fn token(path: &Path) -> Result<String, Problem> {
    let cannot = |cause: String| Problem::new(format!("cannot read {}", path.display())).cause(cause);
    let size = std::fs::metadata(path).map_err(|error| cannot(error.to_string()))?.len();
    if size > TOKEN_BYTES {
        return Err(cannot("it is too large for a token".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| cannot(error.to_string()))?;
    match text.trim() {
        "" => Err(cannot("it holds no token".to_owned())),
        token => Ok(token.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_round() {
        assert_eq!([age(0.4), age(119.0), age(120.0), age(7_200.0)], ["0 s old", "119 s old", "2 min old", "2 h old"]);
        assert_eq!(age(-3.0), "0 s old");
    }

    #[test]
    fn one_cohort_is_followed() {
        let of = |cohort: &str, generation: u64| Comparison { cohort: cohort.into(), generation, age_seconds: 1.0 };
        let status = |cohorts| Status { started_unix_ns: "5".into(), cohorts, ..Status::default() };
        let shared = Shared::default();
        assert!(matches!(news(&shared, &status(vec![]))[..], [Msg::Link(Link::Waiting)]));
        // The first that is seen, also when others are newer.
        assert_eq!(shared.choose(&status(vec![of("v2", 4), of("v1", 3)])).map(|found| found.generation), Some(4));
        let later = status(vec![of("v1", 5), of("v2", 4)]);
        assert_eq!(shared.choose(&later).map(|found| found.generation), Some(4));
        assert_eq!(news(&shared, &later).len(), 1, "nothing was fetched yet");
        *shared.fetched.lock().unwrap() = Some("\"5-4\"".into());
        assert_eq!(news(&shared, &later).len(), 1);
        assert!(matches!(news(&shared, &status(vec![of("v2", 6)]))[..], [_, Msg::Newer]));
        // Another run of the receiver counts anew.
        let other = Status { started_unix_ns: "9".into(), ..status(vec![of("v2", 4)]) };
        assert!(matches!(news(&shared, &other)[..], [_, Msg::Newer]));
        assert!(shared.choose(&status(vec![of("v1", 9)])).is_none());
    }
}
