//! The terminal itself: keys and signals in, frames out.
//!
//! Three threads send into one channel: the reader of keys, the catcher of signals, the worker that owns the host; and
//! one that passes on what is said of a source that goes on. The thread of the screen sleeps until something comes, takes all there is, and draws once, at most every so often.

mod input;
mod screen;
mod worker;

pub use screen::{Screen, leaving};
pub use worker::note_place;

use super::app::{App, Phase, Progress};
use super::canvas::Look;
use super::headless;
use super::session::{Host, Job, job_of};
use super::update::{Effect, Msg, Request, Step, update};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode, size};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use worker::{Done, Worker};

/// The longest text that is handed to the clipboard, in bytes: terminals drop longer ones without a word.
const CLIPBOARD: usize = 100_000;
/// Events that are taken before a frame, so that a flood of them cannot keep it from being drawn.
const EVENTS: usize = 1_000;

/// What only the owner of environment, files and clock can do on the screen's own thread.
pub trait Outside {
    /// Now.
    fn now(&self) -> Instant;
    /// How the terminal is to look, which may ask it and wait for the answer.
    fn look(&mut self, look: Look) -> Look;
    /// Keeps a step of the session.
    ///
    /// # Errors
    /// A sentence when it cannot be kept.
    fn keep(&mut self, step: &Step) -> Result<(), String>;
    /// Hands text to what else keeps a clipboard around the terminal.
    fn copy(&mut self, text: &str);
}

/// How the terminal UI begins.
#[derive(Debug, Default)]
pub struct Start {
    /// The least time between two frames.
    pub pace: Duration,
    /// Steps of an earlier session, played when the first comparison is there.
    pub replay: Vec<Msg>,
    /// What whoever follows a source says of it.
    pub feed: Option<Receiver<Msg>>,
}

/// Why the terminal UI ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The user wished so.
    Quit {
        /// Leave the summary in the shell.
        print: bool,
    },
    /// The first comparison could not be made.
    Failed,
    /// A signal asked for it.
    Signal(i32),
}

/// What comes into the channel.
#[derive(Debug)]
pub enum Event {
    /// From the keyboard, or a new size.
    Input(crossterm::event::Event),
    /// There is no keyboard any more.
    Deaf(io::Error),
    /// A signal.
    Signal(i32),
    /// From whoever follows a source.
    Fed(Msg),
    /// How far the worker is with a job, and what it knows so far.
    Told(u64, Msg),
    /// The worker has done a job.
    Done(Done),
}

/// Runs the terminal UI until it ends; the terminal is as it was before.
///
/// # Errors
/// The terminal cannot be read or written any more.
pub fn run<W: Write>(
    app: &mut App,
    host: Box<dyn Host>,
    outside: &mut dyn Outside,
    out: W,
    start: Start,
) -> io::Result<End> {
    let (sender, events) = channel();
    // Before anything is drawn: a signal must not leave the terminal in disorder.
    let signals = Signals::new([SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGCONT])?;
    spawn("signals", sender.clone(), move |sender| pass_signals(signals, sender))?;
    if let Some(feed) = start.feed {
        spawn("feed", sender.clone(), move |sender| {
            let _ = feed.iter().try_for_each(|msg| sender.send(Event::Fed(msg)));
        })?;
    }
    let worker = Worker::start(host, sender.clone())?;
    let mut desk = Desk {
        app,
        outside,
        screen: Screen::new(out),
        worker,
        events,
        replay: start.replay.into(),
        pace: start.pace,
        compare: 0,
        wanted: Request::default(),
        shown: Request::default(),
        cancelled: false,
        dirty: true,
        drawn: None,
        end: None,
    };
    let ended = desk.begin(sender).and_then(|()| desk.serve());
    // What cannot be written to need not be put in order.
    let left = desk.screen.leave();
    let raw = disable_raw_mode();
    let end = ended?;
    if matches!(end, End::Quit { .. } | End::Failed) {
        left.and(raw)?;
    }
    Ok(end)
}

fn spawn(name: &str, sender: Sender<Event>, work: impl FnOnce(&Sender<Event>) + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.into()).spawn(move || work(&sender)).map(drop)
}

/// Hands signals on; who asks twice for an end gets it at once, whatever the screen is doing.
fn pass_signals(mut signals: Signals, sender: &Sender<Event>) {
    let mut asked = false;
    for signal in signals.forever() {
        let ends = ![SIGTSTP, SIGCONT].contains(&signal);
        if ends && std::mem::replace(&mut asked, ends) {
            let _ = emulate_default_handler(signal);
        }
        if sender.send(Event::Signal(signal)).is_err() {
            return;
        }
    }
}

/// Hands on what the terminal reports, until it reports no more.
fn pass_input(sender: &Sender<Event>) {
    loop {
        let event = match crossterm::event::read() {
            Ok(event) => Event::Input(event),
            Err(error) => Event::Deaf(error),
        };
        let last = matches!(event, Event::Deaf(_));
        if sender.send(event).is_err() || last {
            return;
        }
    }
}

/// The thread of the screen.
struct Desk<'a, W: Write> {
    app: &'a mut App,
    outside: &'a mut dyn Outside,
    screen: Screen<W>,
    worker: Worker,
    events: Receiver<Event>,
    replay: VecDeque<Msg>,
    pace: Duration,
    /// The number of the last comparison that was asked for, and how.
    compare: u64,
    wanted: Request,
    /// How the comparison that is shown was asked for.
    shown: Request,
    /// Whether the job that runs was told to stop.
    cancelled: bool,
    /// Whether something may look different from what was drawn.
    dirty: bool,
    /// When the last frame was drawn.
    drawn: Option<Instant>,
    end: Option<io::Result<End>>,
}

impl<W: Write> Desk<'_, W> {
    /// The first frame, before anything is known; the terminal is asked for its colours only then, and listened to
    /// last, so that its answer is not taken for keys.
    fn begin(&mut self, sender: Sender<Event>) -> io::Result<()> {
        self.submit(Job::Compare(self.wanted));
        self.open()?;
        self.frame()?;
        self.app.look = self.outside.look(self.app.look);
        self.dirty = true;
        spawn("keys", sender, pass_input)
    }

    /// Takes the terminal, and learns its size. Changes of the size are noticed from here on.
    fn open(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        self.screen.enter()?;
        crossterm::event::poll(Duration::ZERO)?;
        let (columns, rows) = size()?;
        self.apply(Msg::Resize(columns, rows), false);
        Ok(())
    }

    fn serve(&mut self) -> io::Result<End> {
        loop {
            self.play();
            if let Some(end) = self.end.take() {
                return end;
            }
            let event = match self.rest() {
                Some(Duration::ZERO) => {
                    self.frame()?;
                    continue;
                }
                Some(rest) => self.events.recv_timeout(rest),
                None => self.events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match event {
                Ok(event) => self.take_all(event)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("all threads have ended")),
            }
        }
    }

    /// How long until the next frame; `None` when nothing has changed.
    fn rest(&self) -> Option<Duration> {
        let passed = |drawn: Instant| self.outside.now().saturating_duration_since(drawn);
        let waits = !self.dirty || !self.screen.is_active();
        (!waits).then(|| self.drawn.map_or(Duration::ZERO, |drawn| self.pace.saturating_sub(passed(drawn))))
    }

    fn frame(&mut self) -> io::Result<()> {
        self.dirty = false;
        self.drawn = Some(self.outside.now());
        self.screen.draw(headless::buffer(self.app))
    }

    /// This event and all that wait behind it.
    fn take_all(&mut self, first: Event) -> io::Result<()> {
        let mut next = Some(first);
        for _ in 0..EVENTS {
            let Some(event) = next else { break };
            self.on_event(event)?;
            next = if self.end.is_none() { self.events.try_recv().ok() } else { None };
        }
        match next {
            Some(event) => self.on_event(event),
            None => Ok(()),
        }
    }

    fn on_event(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Input(event) => {
                if let Some(msg) = input::message(event) {
                    self.apply(msg, false);
                }
            }
            Event::Deaf(error) => self.end = Some(Err(error)),
            Event::Signal(SIGTSTP) => self.suspend()?,
            Event::Signal(SIGCONT) => self.resume()?,
            Event::Signal(signal) => self.end = Some(Ok(End::Signal(signal))),
            Event::Fed(msg) => self.apply(msg, false),
            Event::Told(number, msg) if number == self.compare || matches!(msg, Msg::Progress(_)) => {
                self.apply(msg, false);
            }
            Event::Told(..) => {}
            Event::Done(done) => self.on_done(done),
        }
        Ok(())
    }

    fn on_done(&mut self, done: Done) {
        self.worker.open = self.worker.open.saturating_sub(1);
        let is_compare = matches!(done.answer, Some(Msg::Model(_) | Msg::Failed(_)));
        // What was asked for before the last wish is of no interest any more.
        if is_compare && done.number != self.compare && matches!(done.answer, Some(Msg::Model(_))) {
            return;
        }
        match &done.answer {
            Some(Msg::Model(_)) => self.shown = self.wanted,
            Some(Msg::Failed(_)) if done.number == self.compare => {
                if self.app.phase == Phase::Loading && !self.cancelled {
                    self.end = Some(Ok(End::Failed));
                }
                self.want(self.shown);
            }
            _ => {}
        }
        self.cancelled = false;
        if let Some(msg) = done.answer {
            self.apply(msg, false);
        }
    }

    /// Plays steps as long as nothing is open that they may rest on.
    fn play(&mut self) {
        while self.app.phase == Phase::Ready && self.worker.open == 0 && self.end.is_none() {
            let Some(msg) = self.replay.pop_front() else { return };
            self.apply(msg, true);
        }
    }

    /// Changes the state and does what it asks for. Steps that are played change nothing outside.
    fn apply(&mut self, msg: Msg, played: bool) {
        self.dirty = true;
        let effects = update(self.app, msg);
        let leaves = effects.iter().any(|effect| matches!(effect, Effect::Quit { .. } | Effect::Suspend));
        for effect in effects {
            match effect {
                Effect::Log(_) if leaves => {}
                Effect::Log(step) => {
                    if let Err(why) = self.outside.keep(&step) {
                        self.app.message = Some(why);
                    }
                }
                Effect::Cancel => {
                    self.cancelled = true;
                    self.worker.cancel();
                }
                Effect::Detail(_) | Effect::Recompute(_) => self.ask(effect),
                _ if played => {}
                Effect::Quit { print } => self.end = Some(Ok(End::Quit { print })),
                Effect::Suspend => self.end = self.suspend().err().map(Err),
                Effect::Copy(text) => self.copy(text),
                Effect::Mouse(on) => self.mouse(on),
                Effect::Export | Effect::Picture | Effect::Accept { .. } => self.ask(effect),
            }
        }
    }

    fn ask(&mut self, effect: Effect) {
        if let Ok(job) = job_of(self.app, effect) {
            self.submit(job);
        }
    }

    fn submit(&mut self, job: Job) {
        let request = if let Job::Compare(request) = &job { Some(*request) } else { None };
        let number = self.worker.submit(job);
        if let Some(request) = request {
            self.compare = number;
            self.want(request);
            if self.app.phase == Phase::Loading {
                // From the first moment on there is something to cancel.
                self.app.progress = Some(Progress { what: "reading".to_owned(), share: None });
            }
        }
    }

    /// What the state says is wished for: keys that follow at once build on it.
    fn want(&mut self, request: Request) {
        self.wanted = request;
        (self.app.swapped, self.app.pair) = (request.swapped, request.pair);
    }

    fn mouse(&mut self, on: bool) {
        let words = if on { "mouse on; shift selects text in most terminals" } else { "mouse off" };
        self.app.message = Some(words.to_owned());
        if let Err(error) = self.screen.mouse(on) {
            self.end = Some(Err(error));
        }
    }

    fn copy(&mut self, text: String) {
        let characters = text.chars().count();
        if text.is_empty() {
            self.app.message = Some("there is nothing to copy".to_owned());
        } else if text.len() > CLIPBOARD {
            self.submit(Job::Write("copy.txt", text));
        } else {
            self.outside.copy(&text);
            match self.screen.copy(&text) {
                Ok(()) => self.app.message = Some(format!("sent to the terminal: {characters} characters to copy")),
                Err(error) => self.end = Some(Err(error)),
            }
        }
    }

    /// Stops the process until the shell wakes it; `resume` follows.
    fn suspend(&mut self) -> io::Result<()> {
        self.screen.leave()?;
        disable_raw_mode()?;
        emulate_default_handler(SIGTSTP)
    }

    fn resume(&mut self) -> io::Result<()> {
        // Stopped by another hand than ours: what the terminal is set to now, nobody knows.
        self.screen.leave()?;
        disable_raw_mode()?;
        self.open()
    }
}
