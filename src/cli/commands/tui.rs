//! `spandiff tui`: the terminal UI, or one of its screens without a terminal.

#[cfg(feature = "receiver")]
mod attach;
mod look;
mod session;
mod terminal;

pub use terminal::{is_wanted, open_diff};

use super::load::{self, Loaded};
use super::sides::{self, Sides};
use crate::cli::args::{Color, Common, SideArgs, TuiArgs};
use crate::cli::config::{Settings, settings};
use crate::cli::engine::{self, Profile};
use crate::cli::error::Failure;
use crate::cli::progress::Gauge;
use crate::cli::{accept, exit, output};
use crate::diff::{DiffOptions, InputSide};
use crate::model::{Pair, units};
use crate::tui::action::Screen;
use crate::tui::app::{App, Phase, Progress};
use crate::tui::canvas::Look;
use crate::tui::model::Model;
use crate::tui::session::{Host, Job, settle};
use crate::tui::theme::{Depth, Theme, Tone};
use crate::tui::update::{Msg, Request};
use crate::tui::{glyphs, headless};
#[cfg(feature = "receiver")]
use attach::Unfetched;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How often it is told how far a comparison is.
const TICK: Duration = Duration::from_millis(100);
/// When what was read so far is compared for the first time; then three times as late each time.
const FIRST_LOOK: Duration = Duration::from_millis(300);

/// Runs the command.
pub fn run(common: &Common, args: &TuiArgs) -> Result<ExitCode, Failure> {
    let mut settings = settings(common, None)?;
    let Some(screen) = args.render else { return terminal::open(common, args, settings) };
    settings.options.tree = true;
    let look = look(&settings, common, args);
    let empty = Arc::new(Model::new(crate::diff::Diff::default()));
    let mut app = App::new(look, args.size, empty);
    bind(&mut app, &settings);
    let mut host = Owner::new(common.clone(), settings, args, false)?;
    render(&mut app, &mut host, screen, common, args)
}

/// Gives commands the keys of the configuration, which was checked when it was read.
fn bind(app: &mut App, settings: &Settings) {
    for (name, keys) in &settings.keys {
        let _ = app.keymap.bind(name, keys);
    }
}

/// One screen, after the steps of a session and some keys.
fn render(
    app: &mut App,
    host: &mut Owner,
    screen: Screen,
    common: &Common,
    args: &TuiArgs,
) -> Result<ExitCode, Failure> {
    let steps = args.replay.as_deref().map_or_else(|| Ok(Vec::new()), session::read)?;
    let loaded = host.run(Job::Compare(Request::default()), &|_| {}, &AtomicBool::new(false));
    settle(app, host, loaded.unwrap_or(Msg::Progress(None)));
    if let Some(failure) = host.failure.lock().ok().and_then(|mut failure| failure.take()) {
        return Err(failure);
    }
    for step in steps {
        settle(app, &mut Played(host), step);
    }
    let shown = if screen == Screen::Detail { "open".to_owned() } else { screen.name() };
    settle(app, host, Msg::Run(shown));
    for key in args.keys.iter().flat_map(|keys| &keys.0) {
        settle(app, host, Msg::Key(*key));
    }
    let text = match args.form.as_str() {
        "svg" => headless::svg(app),
        "ansi" => headless::ansi(app),
        "json" => format!("{:#}\n", headless::json(app)),
        _ => headless::text(app),
    };
    output::to(common.output.as_deref(), |out| out.write_all(text.as_bytes()))?;
    Ok(ExitCode::from(if app.phase == Phase::Ready { exit::DONE } else { exit::ERROR }))
}

/// Compares what was read so far.
fn so_far(profiles: &Pair<Profile>, options: &DiffOptions) -> Model {
    let inputs = profiles.as_ref().map(|profile| InputSide {
        traces: profile.totals.traces,
        spans: profile.totals.spans,
        window_ns: profile.totals.window_ns,
        ..InputSide::default()
    });
    Model::new(engine::compare_populations(profiles, inputs, options))
}

fn how_far(gauge: &Gauge) -> Progress {
    match gauge.bytes() {
        (read, 0) => Progress { what: format!("reading, {} so far", units::bytes(read)), share: None },
        (read, of) if read < of => Progress { what: "reading".to_owned(), share: Some(read as f64 / of as f64) },
        _ => Progress { what: "comparing".to_owned(), share: None },
    }
}

/// How everything looks, as far as no terminal has to be asked.
fn look(settings: &Settings, common: &Common, args: &TuiArgs) -> Look {
    let file = common.output.as_deref();
    let colored = settings.color == Color::Always || args.form != "text";
    let depth = if args.theme == "mono" || !colored { Depth::Mono } else { Depth::True };
    let tone = if args.theme == "light" { Tone::Light } else { Tone::Dark };
    let ascii = args.ascii || output::is_ascii(file);
    Look { theme: Theme { depth, tone }, glyphs: if ascii { glyphs::ASCII } else { glyphs::UNICODE } }
}

/// Answers steps that are played again: what they wrote is written already.
struct Played<'a>(&'a mut Owner);

impl Host for Played<'_> {
    fn run(&mut self, job: Job, tell: &dyn Fn(Msg), cancel: &AtomicBool) -> Option<Msg> {
        match job {
            Job::Compare(_) | Job::Detail(..) => self.0.run(job, tell, cancel),
            Job::Write(..) | Job::Accept { .. } | Job::Log(_) => None,
        }
    }
}

/// Owns the inputs and answers what screens ask for.
struct Owner {
    common: Common,
    settings: Settings,
    args: SideArgs,
    /// The receiver that is followed instead of inputs.
    #[cfg(feature = "receiver")]
    follower: Option<attach::Follower>,
    /// The inputs, once they were opened.
    sides: Option<Sides>,
    loaded: Option<Loaded>,
    swapped: bool,
    /// The example pair that was opened, and how its sides stand.
    pair: Option<(crate::model::TraceId, crate::model::TraceId)>,
    opened: Option<Loaded>,
    /// The last one, for whoever prints it.
    failure: terminal::Left,
}

impl Owner {
    /// `waits` says whether a receiver's first comparison is waited for.
    fn new(common: Common, mut settings: Settings, args: &TuiArgs, waits: bool) -> Result<Owner, Failure> {
        settings.gauge = Some(Gauge::default());
        #[cfg(feature = "receiver")]
        let follower = attach::Follower::new(args, waits)?;
        #[cfg(not(feature = "receiver"))]
        let _ = waits;
        Ok(Owner {
            common,
            settings,
            args: args.sides.clone(),
            #[cfg(feature = "receiver")]
            follower,
            sides: None,
            loaded: None,
            swapped: false,
            pair: None,
            opened: None,
            failure: terminal::Left::default(),
        })
    }

    /// News of the receiver that is followed.
    fn watch(&self) -> Result<Option<Receiver<Msg>>, Failure> {
        #[cfg(feature = "receiver")]
        if let Some(follower) = &self.follower {
            return Ok(Some(follower.watch()?));
        }
        Ok(None)
    }

    /// Fetches what a receiver has, when that is asked for or there is nothing yet.
    #[cfg(feature = "receiver")]
    fn fetch(&mut self, request: Request, tell: &dyn Fn(Msg), cancel: &AtomicBool) -> Result<(), Unfetched> {
        let Some(follower) = self.follower.as_ref().filter(|_| request.newest || self.loaded.is_none()) else {
            return Ok(());
        };
        self.loaded = Some(follower.fetch(&self.settings, tell, cancel)?);
        (self.swapped, self.pair, self.opened) = (false, None, None);
        Ok(())
    }

    /// Says why there is no comparison, on the screen and to whoever prints it when the screen is gone.
    fn failed(&self, failure: Failure) -> Msg {
        let lines = failure.lines();
        if let Ok(mut left) = self.failure.lock() {
            *left = Some(failure);
        }
        Msg::Failed(lines)
    }

    /// Compares on a thread of its own, and meanwhile tells how far it is and hears whether it is to stop.
    fn watched(&mut self, request: Request, tell: &dyn Fn(Msg), cancel: &AtomicBool) -> Result<Model, Failure> {
        let gauge = self.settings.gauge.get_or_insert_default().clone();
        gauge.stop(false);
        let (options, started) = (self.settings.options.clone(), Instant::now());
        let mut next = FIRST_LOOK;
        std::thread::scope(|scope| {
            let (done, ended) = channel::<()>();
            let work = scope.spawn(move || {
                let _done = done;
                self.compare(request)
            });
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                gauge.stop(cancel.load(Ordering::Relaxed));
                tell(Msg::Progress(Some(how_far(&gauge))));
                if started.elapsed() >= next {
                    gauge.peek().ask();
                    next *= 3;
                }
                if let Some(profiles) = gauge.peek().take() {
                    tell(Msg::Provisional(Arc::new(so_far(&profiles, &options))));
                }
            }
            work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn compare(&mut self, request: Request) -> Result<Model, Failure> {
        if self.loaded.is_none() {
            if self.sides.is_none() {
                self.sides = Some(sides::open(&self.common, &self.args, &self.settings.limits)?);
            }
            let Some(sides) = &self.sides else { return Ok(Model::new(crate::diff::Diff::default())) };
            self.loaded = Some(load::load(&self.common, &self.settings, sides)?);
        }
        if self.swapped != request.swapped {
            self.loaded.iter_mut().chain(&mut self.opened).for_each(Loaded::swap);
            self.swapped = request.swapped;
        }
        if self.pair != request.pair {
            self.opened = match request.pair {
                None => None,
                Some((before, after)) => {
                    let Some(loaded) = &self.loaded else { return Ok(Model::new(crate::diff::Diff::default())) };
                    let (sides, ids) = (self.sides.as_ref(), Pair::new(before, after));
                    load::open_pair(&self.common, &self.settings, (sides, loaded, request.swapped), ids)?
                }
            };
            self.pair = request.pair;
        }
        let Some(loaded) = self.opened.as_ref().or(self.loaded.as_ref()) else {
            return Ok(Model::new(crate::diff::Diff::default()));
        };
        let mut diff = loaded.compare(&self.settings.options);
        diff.config_sha256.clone_from(&self.settings.sha256);
        Ok(Model::new(diff))
    }
}

impl Host for Owner {
    fn run(&mut self, job: Job, tell: &dyn Fn(Msg), cancel: &AtomicBool) -> Option<Msg> {
        match job {
            Job::Compare(request) => {
                #[cfg(feature = "receiver")]
                if let Err(unfetched) = self.fetch(request, tell, cancel) {
                    return Some(match unfetched {
                        _ if cancel.load(Ordering::Relaxed) => Msg::Failed(vec!["cancelled".to_owned()]),
                        // The state of the receiver is on the screen already, and what was fetched before too.
                        Unfetched::Lost(_) if self.loaded.is_some() => Msg::Failed(Vec::new()),
                        Unfetched::Lost(failure) | Unfetched::Failed(failure) => self.failed(failure),
                    });
                }
                Some(match self.watched(request, tell, cancel) {
                    Ok(model) => Msg::Model(Arc::new(model)),
                    Err(_) if cancel.load(Ordering::Relaxed) => Msg::Failed(vec!["cancelled".to_owned()]),
                    Err(failure) => self.failed(failure),
                })
            }
            Job::Detail(node, model) => {
                terminal::panic_for_tests("worker");
                let shown = self.opened.as_ref().or(self.loaded.as_ref());
                let detail = model.node(node).zip(shown).map(|(node, loaded)| loaded.detail(node));
                Some(Msg::Detail(node, Arc::new(detail.unwrap_or_default())))
            }
            Job::Accept { model, finding, reason, until } => {
                let accepted = accept::accept(&self.common, model.finding(finding)?, &reason, &until);
                Some(Msg::Said(match accepted {
                    Ok(path) => format!("accepted in {}: the gate passes it over from now on", path.display()),
                    Err(problem) => Failure::from(problem).lines().join("; "),
                }))
            }
            Job::Write(name, text) => Some(Msg::Said(terminal::write_new(name, &text))),
            Job::Log(_) => None,
        }
    }
}
