//! Opens the terminal UI: whether there is a terminal for it, what it looks like, how it ends.

use super::session::{self, Session};
use super::{Owner, look};
use crate::cli::args::{Common, DiffArgs, TuiArgs};
use crate::cli::config::{Settings, settings};
use crate::cli::error::{self, Failure, Problem};
use crate::cli::{exit, output};
use crate::report::{self, Format, Options};
use crate::tui::app::App;
use crate::tui::canvas::Look;
use crate::tui::glyphs;
use crate::tui::live::Live;
use crate::tui::model::Model;
use crate::tui::terminal::{self, End, Outside, Start};
use crate::tui::theme::{Depth, Theme, Tone};
use crate::tui::update::{Msg, Step};
use clap::{Args, FromArgMatches};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The least time between two frames, here and over a connection.
const PACE: (Duration, Duration) = (Duration::from_millis(16), Duration::from_millis(33));
/// Lines of the report that are left in the shell: what one still sees of the screen above the prompt.
const SUMMARY: usize = 20;

/// Whether `spandiff BEFORE AFTER` opens the terminal UI: people at a terminal that can show it, and nothing asked for
/// that only a report has.
pub fn is_wanted(common: &Common, args: &DiffArgs) -> bool {
    let sides = &args.sides;
    let words = [&sides.sides, &sides.before, &sides.after, &sides.input];
    let names_inputs = words.iter().any(|words| !words.is_empty());
    let asks_for_report = args.no_tui
        || args.exit_code
        || args.format.is_some()
        || args.tree.is_some()
        || !args.reports.is_empty()
        || common.output.is_some();
    names_inputs && !asks_for_report && io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb()
}

fn is_dumb() -> bool {
    look::variable("TERM").is_none_or(|term| term == "dumb")
}

/// Opens it for `spandiff BEFORE AFTER`.
pub fn open_diff(common: &Common, diff: &DiffArgs) -> Result<ExitCode, Failure> {
    // What the environment says of the terminal UI counts here too.
    let matches = TuiArgs::augment_args(clap::Command::new("spandiff")).try_get_matches_from(["spandiff"])?;
    let mut args = TuiArgs::from_arg_matches(&matches)?;
    args.sides = diff.sides.clone();
    args.ascii |= diff.ascii;
    open(common, &args, settings(common, Some(diff))?)
}

/// Opens it.
pub fn open(common: &Common, args: &TuiArgs, mut settings: Settings) -> Result<ExitCode, Failure> {
    check(args)?;
    settings.options.tree = true;
    let mut session = Session::new(args)?;
    let mut replay = args.replay.as_deref().map_or_else(|| Ok(Vec::new()), session::read)?;
    replay.extend(args.keys.iter().flat_map(|keys| &keys.0).map(|key| Msg::Key(*key)));
    let saved = session.saved();
    let theme = Theme { depth: look::depth(settings.color, &args.theme, look::variable), tone: Tone::Dark };
    let ascii = args.ascii || output::is_ascii(None);
    let look = Look { theme, glyphs: if ascii { glyphs::ASCII } else { glyphs::UNICODE } };
    let color = settings.color;
    let mut app = App::new(look, args.size, Arc::new(Model::new(crate::diff::Diff::default())));
    super::bind(&mut app, &settings);
    if let Some(path) = saved.as_ref().filter(|_| args.replay.is_none()) {
        app.message = Some(format!("continue where you were: --replay {}", path.display()));
    }
    // Nobody but the screen may write to the terminal.
    let mut quiet = common.clone();
    (quiet.quiet, quiet.verbose) = (true, false);
    let owner = Owner::new(quiet, settings, args, true)?;
    let feed = owner.watch()?;
    app.live = feed.is_some().then(Live::default);
    let failure = Arc::clone(&owner.failure);
    let remote = look::variable("SSH_CONNECTION").is_some();
    let start = Start { pace: if remote { PACE.1 } else { PACE.0 }, replay, feed };
    let ended = run(&mut app, owner, &mut World { session: &mut session, theme: &args.theme }, start);
    match ended {
        Ok(End::Quit { print }) => {
            // Who was told of the saved session and ended this one has no more use for it.
            saved.map(std::fs::remove_file);
            if print {
                let options = Options { ascii, ..output::options(color, None) };
                let text = summary(&app, &options);
                output::to(None, |out| out.write_all(&text))?;
            }
            Ok(ExitCode::from(exit::DONE))
        }
        Ok(End::Failed) => {
            let failure = failure.lock().ok().and_then(|mut failure| failure.take());
            Err(failure.unwrap_or_else(|| broken(&app)))
        }
        Ok(End::Signal(signal)) => {
            // Only a lost connection is an end that nobody wished for.
            if signal == signal_hook::consts::SIGHUP {
                session.save();
            }
            // Whoever waits for this process sees that the signal ended it.
            let _ = signal_hook::low_level::emulate_default_handler(signal);
            Ok(ExitCode::from(exit::ERROR))
        }
        Err(error) => {
            session.save();
            Err(Problem::new("the terminal is gone").cause(error.to_string()).into())
        }
    }
}

/// The first paragraphs of the report.
fn summary(app: &App, options: &Options) -> Vec<u8> {
    let mut text = Vec::new();
    // Memory takes every byte.
    let _ = report::write(Format::Text, &app.model.diff, options, &mut text);
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let Some(first) = lines.get(..SUMMARY) else { return text };
    let end = first.iter().rposition(|line| *line == b"\n").filter(|end| *end > SUMMARY / 2).unwrap_or(SUMMARY);
    let mut summary = lines.iter().take(end).copied().collect::<Vec<_>>().concat();
    summary.extend_from_slice(b"more: spandiff diff writes the whole report\n");
    summary
}

/// A first comparison that failed without a failure of its own was a panic.
fn broken(app: &App) -> Failure {
    let crate::tui::app::Phase::Failed(lines) = &app.phase else { return Problem::new("nothing was compared").into() };
    let mut lines = lines.iter();
    let problem = Problem::new(lines.next().cloned().unwrap_or_default());
    lines.fold(problem, Problem::hint).into()
}

/// Why there is no terminal to open.
fn check(args: &TuiArgs) -> Result<(), Problem> {
    let problem = |cause: &str| {
        Problem::new("the terminal UI needs a terminal")
            .cause(cause)
            .hint("--render SCREEN writes one screen without a terminal")
            .hint("spandiff diff writes the report")
    };
    if !io::stdout().is_terminal() {
        return Err(problem("standard output is not a terminal"));
    }
    if is_dumb() {
        return Err(problem("TERM says that this one cannot place text"));
    }
    let sides = &args.sides;
    let mut words = [&sides.sides, &sides.before, &sides.after, &sides.input].into_iter().flatten();
    let reads_stdin = words.any(|word| word == "-" || word.starts_with("-#"));
    match io::stdin().is_terminal() {
        true if reads_stdin => Err(problem("standard input is the terminal, which keys come from")
            .hint("- is for input by a pipe: command | spandiff tui - AFTER")),
        true => Ok(()),
        false => File::open("/dev/tty").map(drop).map_err(|error| problem(&format!("no keyboard: /dev/tty: {error}"))),
    }
}

/// Runs it with a panic hook that brings the terminal back before it says anything.
fn run(app: &mut App, owner: Owner, world: &mut World<'_>, start: Start) -> io::Result<End> {
    // NO_COLOR is heard when the theme is chosen. crossterm hears it too, and its empty colours undo reversal.
    crossterm::style::force_color_output(true);
    let screen = std::thread::current().id();
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == screen {
            restore();
            previous(info);
        } else {
            // Another thread's panic is shown as a line of the screen, which goes on.
            terminal::note_place(
                info.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line())),
            );
        }
    }));
    // Not through the buffer of standard output: a frame is one write.
    let out = io::stdout().as_fd().try_clone_to_owned().map(File::from)?;
    let ended = terminal::run(app, Box::new(owner), world, out, start);
    error::install_panic_message();
    ended
}

/// Panics in a debug build when `SPANDIFF_TEST_PANIC` names this place: what no test could bring about otherwise.
#[expect(clippy::panic, reason = "that is what it is for")]
pub(super) fn panic_for_tests(place: &str) {
    if cfg!(debug_assertions) && look::variable("SPANDIFF_TEST_PANIC").is_some_and(|wanted| wanted == place) {
        std::panic::panic_any("a test wants it");
    }
}

fn restore() {
    let mut bytes = Vec::new();
    let _ = terminal::leaving(&mut bytes, true);
    let mut out = io::stdout();
    let _ = out.write_all(&bytes).and_then(|()| out.flush());
    let _ = crossterm::terminal::disable_raw_mode();
}

/// Environment, clock and files, as far as the screen needs them itself.
struct World<'a> {
    session: &'a mut Session,
    theme: &'a str,
}

impl Outside for World<'_> {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn look(&mut self, mut look: Look) -> Look {
        if look.theme.depth != Depth::Mono {
            look.theme.tone = look::said_tone(self.theme, look::variable).unwrap_or_else(look::asked_tone);
        }
        look
    }

    fn keep(&mut self, step: &Step) -> Result<(), String> {
        panic_for_tests("screen");
        self.session.keep(step)
    }

    /// tmux hands what it is given on to the terminal around it, where the escape code alone may not get through.
    fn copy(&mut self, text: &str) {
        if look::variable("TMUX").is_none() {
            return;
        }
        let text = text.to_owned();
        // A thread of its own: whatever tmux does, the screen goes on.
        let _ = std::thread::Builder::new().name("tmux".into()).spawn(move || load_buffer(&text));
    }
}

fn load_buffer(text: &str) -> io::Result<()> {
    let mut tmux = Command::new("tmux")
        .args(["load-buffer", "-w", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = tmux.stdin.take() {
        stdin.write_all(text.as_bytes())?;
    }
    tmux.wait().map(drop)
}

/// Writes a new file in the current directory and says where: `incident.md`, else `incident-2.md` and so on.
pub fn write_new(name: &str, text: &str) -> String {
    let (stem, end) = name.rsplit_once('.').unwrap_or((name, ""));
    for number in 1..1_000u32 {
        let name = if number == 1 { name.to_owned() } else { format!("{stem}-{number}.{end}") };
        let path = Path::new(&name);
        match File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes())) {
            Ok(()) => return format!("written to {name}"),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return format!("cannot write {name}: {error}"),
        }
    }
    format!("cannot write {name}: there are too many of that name here")
}

/// Where a failure is left for whoever prints it when the screen is gone.
pub type Left = Arc<Mutex<Option<Failure>>>;
