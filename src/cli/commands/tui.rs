//! `spandiff tui`: the terminal UI, or one of its screens without a terminal.

use super::load::{self, Loaded};
use super::sides::{self, Sides};
use crate::cli::args::{Color, Common, TuiArgs};
use crate::cli::config::{Settings, settings};
use crate::cli::error::Failure;
use crate::cli::{accept, exit, output};
use crate::model::Pair;
use crate::tui::action::Screen;
use crate::tui::app::{App, Phase, Progress};
use crate::tui::canvas::Look;
use crate::tui::model::Model;
use crate::tui::session::{Host, Job, settle};
use crate::tui::theme::{Depth, Theme, Tone};
use crate::tui::update::{Msg, Request};
use crate::tui::{glyphs, headless};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Runs the command.
pub fn run(common: &Common, args: &TuiArgs) -> Result<ExitCode, Failure> {
    let mut settings = settings(common, None)?;
    settings.options.tree = true;
    let sides = sides::open(common, &args.sides, &settings.limits)?;
    let look = look(&settings, common, args);
    let empty = Arc::new(Model::new(crate::diff::Diff::default()));
    let mut host = Owner::new(common.clone(), settings, sides);
    let mut app = App::new(look, args.size, empty);
    let screen = args.render.unwrap_or(Screen::Findings);
    render(&mut app, &mut host, screen, common, args)
}

/// One screen, after some keys.
fn render(
    app: &mut App,
    host: &mut Owner,
    screen: Screen,
    common: &Common,
    args: &TuiArgs,
) -> Result<ExitCode, Failure> {
    let loaded = host.run(Job::Compare(Request::default()), &|_| {}, &AtomicBool::new(false));
    settle(app, host, loaded.unwrap_or(Msg::Progress(None)));
    if let Some(failure) = host.failure.take() {
        return Err(failure);
    }
    settle(app, host, Msg::Run(screen.name()));
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

/// How everything looks, as far as no terminal has to be asked.
fn look(settings: &Settings, common: &Common, args: &TuiArgs) -> Look {
    let file = common.output.as_deref();
    let colored = settings.color == Color::Always || args.form != "text";
    let depth = if args.theme == "mono" || !colored { Depth::Mono } else { Depth::True };
    let tone = if args.theme == "light" { Tone::Light } else { Tone::Dark };
    let ascii = args.ascii || output::is_ascii(file);
    Look { theme: Theme { depth, tone }, glyphs: if ascii { glyphs::ASCII } else { glyphs::UNICODE } }
}

/// Owns the inputs and answers what screens ask for.
struct Owner {
    common: Common,
    settings: Settings,
    sides: Sides,
    loaded: Option<Loaded>,
    swapped: bool,
    /// The example pair that was opened, and how its sides stand.
    pair: Option<(crate::model::TraceId, crate::model::TraceId)>,
    opened: Option<Loaded>,
    failure: Option<Failure>,
}

impl Owner {
    fn new(common: Common, settings: Settings, sides: Sides) -> Owner {
        Owner { common, settings, sides, loaded: None, swapped: false, pair: None, opened: None, failure: None }
    }

    fn compare(&mut self, request: Request) -> Result<Model, Failure> {
        if self.loaded.is_none() {
            self.loaded = Some(load::load(&self.common, &self.settings, &self.sides)?);
        }
        if self.swapped != request.swapped {
            self.loaded.iter_mut().chain(&mut self.opened).for_each(Loaded::swap);
            self.swapped = request.swapped;
        }
        if self.pair != request.pair {
            self.opened = match request.pair {
                None => None,
                Some((before, after)) => {
                    let ids = if request.swapped { Pair::new(after, before) } else { Pair::new(before, after) };
                    let mut opened = load::load_pair(&self.common, &self.settings, &self.sides, ids)?;
                    if request.swapped {
                        opened.iter_mut().for_each(Loaded::swap);
                    }
                    opened
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
    fn run(&mut self, job: Job, _progress: &dyn Fn(Progress), _cancel: &AtomicBool) -> Option<Msg> {
        match job {
            Job::Compare(request) => Some(match self.compare(request) {
                Ok(model) => Msg::Model(Arc::new(model)),
                Err(failure) => {
                    let lines = failure.lines();
                    self.failure = Some(failure);
                    Msg::Failed(lines)
                }
            }),
            Job::Detail(node, model) => {
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
            Job::Write(..) | Job::Log(_) => None,
        }
    }
}
