//! The real program in a real terminal: a pseudo-terminal whose screen is read back, and tmux where there is one.

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take before the test fails: the machine may have much else to do.
const PATIENCE: Duration = Duration::from_secs(30);
/// What looks at something other than the terminal's output does so this often.
const TICK: Duration = Duration::from_millis(20);

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_spandiff");
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/spot-the-difference");
const ADDED: &str = "SELECT vouchers";

/// A folder with a home of its own.
pub(crate) struct Desk {
    dir: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Desk {
        Desk { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// A program with nothing of the developer's environment.
    pub(crate) fn command(&self, program: &str, words: &[&str]) -> CommandBuilder {
        let mut command = CommandBuilder::new(program);
        command.args(words);
        command.env_clear();
        command.cwd(self.dir.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.dir.path());
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        // Said, so that nobody asks a terminal that does not answer.
        command.env("COLORFGBG", "15;0");
        command
    }

    fn shell(&self, line: &str) -> CommandBuilder {
        let line = line.replace("spandiff", PROGRAM).replace("SAMPLE", SAMPLE);
        self.command("sh", &["-c", &line])
    }

    /// The terminal UI on the sample.
    fn sample(&self, words: &[&str]) -> CommandBuilder {
        let (before, after) = sides();
        let mut all = words.to_vec();
        all.extend([before.as_str(), after.as_str()]);
        self.command(PROGRAM, &all)
    }
}

fn sides() -> (String, String) {
    (format!("{SAMPLE}/before.json"), format!("{SAMPLE}/after.json"))
}

fn number(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

/// A program in a terminal.
pub(crate) struct Terminal {
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    parser: vt100::Parser,
    /// Everything that was written.
    raw: Vec<u8>,
    /// What the terminal was set to before anybody touched it.
    calm: String,
}

impl Terminal {
    pub(crate) fn start(command: CommandBuilder, columns: u16, rows: u16) -> Terminal {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let calm = format!("{:?}", pair.master.get_termios().unwrap());
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let keys = pair.master.take_writer().unwrap();
        let parser = vt100::Parser::new(number(rows), number(columns), 0);
        Terminal { master: pair.master, child, keys, output, parser, raw: Vec::new(), calm }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Takes output for at most so long; whether there can be more.
    fn take(&mut self, most: Duration) -> bool {
        match self.output.recv_timeout(most) {
            Ok(bytes) => {
                self.parser.process(&bytes);
                self.raw.extend(bytes);
                true
            }
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => false,
        }
    }

    /// Waits until something is so.
    pub(crate) fn until(&mut self, what: &str, mut is_so: impl FnMut(&Terminal) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < deadline, "waited in vain for {what}:\n{}", self.text());
            assert!(self.take(TICK) || is_so(self), "ended before {what}:\n{}", self.text());
        }
    }

    pub(crate) fn until_shown(&mut self, text: &str) {
        self.until(text, |terminal| terminal.text().contains(text));
    }

    pub(crate) fn press_until(&mut self, keys: &str, text: &str) {
        self.press(keys);
        self.until_shown(text);
    }

    pub(crate) fn text(&self) -> String {
        self.parser.screen().contents()
    }

    pub(crate) fn row(&self, row: u16) -> String {
        let (_, columns) = self.parser.screen().size();
        self.parser.screen().rows(0, columns.get()).nth(usize::from(row)).unwrap_or_default()
    }

    fn flags(&self) -> String {
        format!("{:?}", self.master.get_termios().unwrap())
    }

    fn is_alternate(&self) -> bool {
        self.parser.screen().alternate_screen()
    }

    fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    fn signal(&self, name: &str) {
        let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.pid())).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end, with all that was written until then.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while self.take(TICK) {
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.text());
        }
        self.child.wait().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

#[test]
fn a_session_from_the_first_screen_to_the_end() {
    let desk = Desk::new();
    let mut terminal = Terminal::start(desk.sample(&[]), 80, 24);
    // Without a key: what was added is on the first screen.
    terminal.until_shown(ADDED);
    assert!(terminal.is_alternate() && terminal.parser.screen().bracketed_paste());
    assert_ne!(terminal.flags(), terminal.calm, "keys come one by one");
    terminal.press_until("]c", "finding 1 of 1");
    terminal.press_until("2", "[2 Tree]");
    terminal.press_until("\r", "[Detail]");
    terminal.press_until("q", "[2 Tree]");
    terminal.press_until("1/vouch", "vouch");
    terminal.press_until("\r", "filter: vouch");
    terminal.press_until("q", "filter removed");
    terminal.press_until("/\x1b[200~pasted\n\x1b[201~", "pasted");
    terminal.press_until("\x15\r", "[1 Findings]");
    terminal.press("\x03");
    terminal.until_shown("^c once more quits");
    terminal.press("\x03");
    assert!(terminal.end().success());
    assert!(!terminal.is_alternate() && !terminal.parser.screen().hide_cursor());
    assert!(!terminal.parser.screen().bracketed_paste());
    assert_eq!(terminal.text().trim(), "", "nothing is left behind");
    assert_eq!(terminal.flags(), terminal.calm, "the terminal is set as before");
}

#[test]
fn signals_end_it_in_order_and_a_lost_connection_saves_the_session() {
    let desk = Desk::new();
    let mut terminal = Terminal::start(desk.sample(&[]), 80, 24);
    terminal.until_shown(ADDED);
    terminal.signal("TERM");
    assert_eq!(terminal.end().signal(), Some("Terminated"));
    assert!(!terminal.is_alternate() && terminal.flags() == terminal.calm);

    let mut terminal = Terminal::start(desk.sample(&[]), 80, 24);
    terminal.until_shown(ADDED);
    terminal.press_until("2", "[2 Tree]");
    terminal.signal("HUP");
    assert_eq!(terminal.end().signal(), Some("Hangup"));
    assert!(!terminal.is_alternate() && terminal.flags() == terminal.calm);
    let saved = ".local/state/spandiff/session.jsonl";
    assert_eq!(desk.read(saved).lines().skip(1).collect::<Vec<_>>(), [r#"{"command":"tree"}"#]);

    // The next one says so and goes on there; who ends it has no more use for what was saved.
    let mut terminal = Terminal::start(desk.sample(&[]), 120, 24);
    terminal.until_shown("continue where you were: --replay");
    terminal.signal("KILL");
    terminal.end();
    let path = desk.path(saved).display().to_string();
    let mut terminal = Terminal::start(desk.sample(&["tui", "--replay", &path]), 80, 24);
    terminal.until_shown("[2 Tree]");
    terminal.press_until("1", "[1 Findings]");
    terminal.press("q");
    assert!(terminal.end().success());
    assert!(!Path::new(&path).exists());
}

#[test]
fn a_panic_in_any_thread_leaves_the_terminal_in_order() {
    if !cfg!(debug_assertions) {
        eprintln!("skipped: only debug builds panic on demand");
        return;
    }
    let desk = Desk::new();
    let panicking = |place: &str| {
        let mut command = desk.sample(&[]);
        command.env("SPANDIFF_TEST_PANIC", place);
        Terminal::start(command, 100, 24)
    };
    // A worker's is a remark; the screen goes on.
    let mut terminal = panicking("worker");
    terminal.until_shown("this is a bug in spandiff");
    terminal.press_until("2", "[2 Tree]");
    terminal.press_until("1", "[1 Findings]");
    terminal.press("q");
    assert!(terminal.end().success());
    assert!(!terminal.is_alternate() && terminal.flags() == terminal.calm);

    let mut terminal = panicking("screen");
    terminal.until_shown(ADDED);
    terminal.press("2");
    assert_eq!(terminal.end().exit_code(), 2);
    assert!(!terminal.is_alternate() && !terminal.parser.screen().hide_cursor());
    assert!(terminal.text().contains("this is a bug in spandiff"), "{}", terminal.text());
    assert_eq!(terminal.flags(), terminal.calm);
}

#[test]
fn it_stops_and_goes_on() {
    let desk = Desk::new();
    let mut terminal = Terminal::start(desk.sample(&[]), 80, 24);
    terminal.until_shown(ADDED);
    terminal.press("\x1a");
    let stat = PathBuf::from(format!("/proc/{}/stat", terminal.pid()));
    if !stat.exists() {
        eprintln!("skipped: without /proc nobody says whether a process is stopped");
        return;
    }
    terminal.until("the process to stop", |terminal| {
        let stopped = std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "));
        stopped && !terminal.is_alternate()
    });
    assert_eq!(terminal.flags(), terminal.calm);
    terminal.signal("CONT");
    terminal.until("the screen to come back", |terminal| terminal.is_alternate() && terminal.text().contains(ADDED));
    terminal.press_until("2", "[2 Tree]");
    terminal.press("Q");
    assert!(terminal.end().success());
    // The summary stays in the shell.
    assert!(terminal.text().contains("spans 50"), "{}", terminal.text());
}

#[test]
fn the_last_size_is_drawn() {
    let desk = Desk::new();
    let mut terminal = Terminal::start(desk.sample(&[]), 80, 24);
    terminal.until_shown(ADDED);
    for step in 0..60u16 {
        let size = PtySize { rows: 1 + step % 50, cols: 1 + step * 3, pixel_width: 0, pixel_height: 0 };
        terminal.master.resize(size).unwrap();
    }
    terminal.master.resize(PtySize { rows: 30, cols: 110, pixel_width: 0, pixel_height: 0 }).unwrap();
    terminal.parser.screen_mut().set_size(number(30), number(110));
    terminal.until("the last row", |terminal| {
        terminal.row(29).contains("finding 1 of 1") && terminal.row(0).contains("spandiff")
    });
    // And small ones are safe.
    terminal.master.resize(PtySize { rows: 2, cols: 7, pixel_width: 0, pixel_height: 0 }).unwrap();
    terminal.press("j2]ck3d4l5j6j7");
    terminal.master.resize(PtySize { rows: 30, cols: 110, pixel_width: 0, pixel_height: 0 }).unwrap();
    terminal.until("the screen to come back", |terminal| terminal.row(1).contains("[7 Notes"));
}

#[test]
fn nothing_happens_when_nothing_happens() {
    let desk = Desk::new();
    let mut terminal = Terminal::start(desk.sample(&[]), 80, 24);
    terminal.until_shown("finding 1 of 1");
    let wakeups = |terminal: &Terminal| -> Option<Vec<String>> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", terminal.pid())).ok()?;
        let status = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("status")).ok();
        let mut counts: Vec<String> = tasks
            .filter_map(|task| status(task.ok()?))
            .flat_map(|status| {
                status.lines().filter(|line| line.starts_with("voluntary")).map(String::from).collect::<Vec<_>>()
            })
            .collect();
        counts.sort();
        Some(counts)
    };
    // What starting up still has to do comes to its end first.
    let mut last = None;
    terminal.until("rest", |terminal| {
        let now = (terminal.raw.len(), wakeups(terminal));
        last.replace(now.clone()) == Some(now)
    });
    let rest = (terminal.raw.len(), wakeups(&terminal));
    assert!(terminal.take(Duration::from_millis(400)));
    assert_eq!((terminal.raw.len(), wakeups(&terminal)), rest, "no byte, no wakeup");
}

#[test]
fn data_comes_by_a_pipe_and_keys_from_the_terminal() {
    let desk = Desk::new();
    let line = "cat SAMPLE/before.json | spandiff tui - SAMPLE/after.json; echo ended with $?";
    let mut terminal = Terminal::start(desk.shell(line), 80, 24);
    terminal.until_shown(ADDED);
    terminal.press_until("2", "[2 Tree]");
    terminal.press_until("Q", "ended with 0");
    terminal.end();
}

#[test]
fn without_a_terminal_there_is_the_report_or_an_error() {
    let desk = Desk::new();
    let run = |line: &str| {
        let mut terminal = Terminal::start(desk.shell(line), 100, 60);
        terminal.end();
        assert!(!terminal.raw.windows(6).any(|bytes| bytes == b"\x1b[?104"), "{line}: no screen was opened");
        terminal.text()
    };
    run("spandiff SAMPLE/before.json SAMPLE/after.json > report.txt");
    assert!(desk.read("report.txt").contains(ADDED));
    run("echo | spandiff SAMPLE/before.json SAMPLE/after.json > piped.txt");
    assert_eq!(desk.read("report.txt"), desk.read("piped.txt"));
    let text = run("spandiff tui SAMPLE/before.json SAMPLE/after.json > nothing.txt; echo code $?");
    assert!(text.contains("needs a terminal") && text.contains("--render") && text.contains("code 2"), "{text}");
    assert_eq!(desk.read("nothing.txt"), "");
    for words in
        ["TERM=dumb spandiff", "SPANDIFF_PLAIN=1 spandiff", "spandiff --no-tui", "spandiff diff", "spandiff --tree"]
    {
        let text = run(&format!("{words} SAMPLE/before.json SAMPLE/after.json"));
        assert!(text.contains(ADDED) && text.contains("spans 50"), "{words}: {text}");
    }
    let text = run("TERM=dumb spandiff tui SAMPLE/before.json SAMPLE/after.json; echo code $?");
    assert!(text.contains("cannot place text") && text.contains("code 2"), "{text}");
    let text = run("spandiff tui - SAMPLE/after.json; echo code $?");
    assert!(text.contains("keys come from") && text.contains("code 2"), "{text}");
}

#[test]
fn what_cannot_be_read_is_told_in_the_shell() {
    let desk = Desk::new();
    let mut terminal = Terminal::start(desk.shell("spandiff missing.json SAMPLE/after.json; echo code $?"), 80, 24);
    terminal.until_shown("code 2");
    terminal.end();
    assert!(!terminal.is_alternate() && terminal.flags() == terminal.calm);
    assert!(terminal.text().contains("error:") && terminal.text().contains("missing.json"), "{}", terminal.text());
}

#[test]
fn without_colours_the_row_of_the_cursor_is_seen() {
    let desk = Desk::new();
    for (colour, variable) in [(false, "1"), (true, "")] {
        let mut command = desk.sample(&[]);
        command.env("NO_COLOR", variable);
        let mut terminal = Terminal::start(command, 80, 24);
        terminal.until_shown("finding 1 of 1");
        let screen = terminal.parser.screen();
        let row = (0..24).find(|row| terminal.row(*row).contains(" 1 + mysql")).unwrap();
        assert!((0..80).all(|column| screen.cell(row, column).unwrap().inverse()), "the row of the cursor is reversed");
        assert_eq!(screen.cursor_position(), (row, 0), "and the terminal's cursor stands on it");
        let colours = (0..24)
            .flat_map(|row| (0..80).map(move |column| (row, column)))
            .filter(|at| screen.cell(at.0, at.1).is_some_and(|cell| cell.fgcolor() != vt100::Color::Default))
            .count();
        assert_eq!(colours > 0, colour);
        terminal.press("q");
        assert!(terminal.end().success());
    }
}

#[test]
fn steps_are_logged_and_played_again() {
    let desk = Desk::new();
    let mut terminal = Terminal::start(desk.sample(&["tui", "--log", "log.jsonl"]), 80, 24);
    terminal.until_shown(ADDED);
    terminal.press_until("2", "[2 Tree]");
    terminal.press_until("/vou", "vou");
    terminal.press_until("\r", "filter: vou");
    terminal.press_until("S", "written to screen.svg");
    terminal.press_until("S", "written to screen-2.svg");
    terminal.press("Q");
    assert!(terminal.end().success());
    assert!(desk.read("screen.svg").starts_with("<svg") && desk.path("screen-2.svg").exists());
    let steps =
        [r#"{"command":"tree"}"#, r#"{"command":"filter"}"#, r#"{"key":"v"}"#, r#"{"key":"o"}"#, r#"{"key":"u"}"#];
    let rest = [r#"{"key":"Enter"}"#, r#"{"command":"picture"}"#, r#"{"command":"picture"}"#];
    assert_eq!(desk.read("log.jsonl").lines().collect::<Vec<_>>(), [&steps[..], &rest[..]].concat());

    let mut terminal = Terminal::start(desk.sample(&["tui", "--replay", "log.jsonl"]), 80, 24);
    terminal.until("the tree with its filter", |terminal| {
        terminal.text().contains("filter: vou") && terminal.text().contains("[2 Tree]")
    });
    terminal.press("Q");
    assert!(terminal.end().success());
    assert!(!desk.path("screen-3.svg").exists(), "what was written is not written again");

    let played = "spandiff tui --replay log.jsonl --render tree --size 80x24 SAMPLE/before.json SAMPLE/after.json";
    let mut terminal = Terminal::start(desk.shell(played), 80, 30);
    terminal.end();
    assert!(terminal.text().contains("filter: vou"), "{}", terminal.text());

    std::fs::write(desk.path("bad.jsonl"), "{\"command\":\"tree\"}\n{\"command\":\"dance\"}\n").unwrap();
    let bad = "spandiff tui --replay bad.jsonl SAMPLE/before.json SAMPLE/after.json";
    let mut terminal = Terminal::start(desk.shell(bad), 80, 24);
    terminal.end();
    let text = terminal.text();
    assert!(text.contains("bad.jsonl") && text.contains("line 2: there is no command `dance`"), "{text}");
}

/// Names and values that try to speak to the terminal.
const HOSTILE: &str =
    "a\\u001b]0;owned\\u0007b\\u001b[6nc\\u001bcd\\u202ee\\nf\\rg\\u009b5nh\\u001b]52;c;b3duZWQ=\\u0007i";

fn hostile_trace(name: &str, duration: u64) -> String {
    let span = |id: u8, parent: &str, name: &str, start: u64, end: u64| {
        format!(
            r#"{{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"00000000000000{id:02x}","parentSpanId":"{parent}","name":"{name}","kind":2,"startTimeUnixNano":"17000000{start:08}000","endTimeUnixNano":"17000000{end:08}000","attributes":[{{"key":"{HOSTILE}","value":{{"stringValue":"{HOSTILE}{duration}"}}}}]}}"#
        )
    };
    let spans = [
        span(1, "", &format!("GET {HOSTILE}"), 1_000, 900_000),
        span(2, "0000000000000001", &format!("{HOSTILE}{name}"), 2_000, 2_000 + duration),
    ];
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"{HOSTILE}"}}}}]}},"scopeSpans":[{{"spans":[{}]}}]}}]}}"#,
        spans.join(",")
    )
}

/// What of these bytes is neither text nor a sequence that places, colours or switches.
fn foreign(raw: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(raw).into_owned();
    let mut foreign = Vec::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(|c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)) {
        let (_, found) = rest.split_at(at);
        let sequence = found.strip_prefix("\u{1b}[").map(|inside| {
            let end = inside.find(|c: char| !"0123456789;?".contains(c)).unwrap_or(inside.len());
            inside.split_at(end)
        });
        let length = match sequence {
            Some((parameters, after)) if after.starts_with(['m', 'H', 'J', 'h', 'l']) => 3 + parameters.len(),
            _ => {
                foreign.push(found.chars().take(12).collect::<String>().escape_debug().to_string());
                found.chars().next().map_or(1, char::len_utf8)
            }
        };
        rest = found.get(length..).unwrap_or_default();
    }
    foreign
}

#[test]
fn no_control_byte_of_the_data_reaches_the_terminal() {
    assert_eq!(foreign(b"a\x1b[1;38;5;204mb\x1b[?2026h"), Vec::<String>::new());
    assert_eq!(foreign(b"a\x1b]0;x\x07").len(), 2);
    assert_eq!(foreign("\u{9b}5n\u{202e}\u{1b}[6n".as_bytes()).len(), 3);
    let desk = Desk::new();
    std::fs::write(desk.path("before.json"), hostile_trace("", 300_000)).unwrap();
    std::fs::write(desk.path("after.json"), hostile_trace("more", 800_000)).unwrap();
    let mut terminal = Terminal::start(desk.command(PROGRAM, &["before.json", "after.json"]), 120, 40);
    terminal.until_shown("[1 Findings]");
    for (key, title) in [("2zR", "[2 Tree]"), ("3", "[3 Waterfall]"), ("4", "[4 Flame]"), ("5", "[5 Services]")] {
        terminal.press_until(key, title);
    }
    for (key, title) in [("6", "[6 Attributes]"), ("7", "[7 Notes"), ("2G\r", "[Detail]")] {
        terminal.press_until(key, title);
    }
    terminal.press_until("/\x1b[200~\x1b]0;pasted\x07\x1b[201~", "pasted");
    terminal.press("\x03\x03");
    assert!(terminal.end().success());
    assert!(String::from_utf8_lossy(&terminal.raw).contains("\\u{1b}"), "escapes are seen as text");
    assert_eq!(foreign(&terminal.raw), Vec::<String>::new());
}

#[test]
fn text_is_handed_to_the_clipboard() {
    let desk = Desk::new();
    let mut terminal = Terminal::start(desk.sample(&[]), 80, 24);
    terminal.until_shown(ADDED);
    terminal.press_until("y", "sent to the terminal");
    assert!(terminal.raw.windows(7).any(|bytes| bytes == b"\x1b]52;c;"));
    terminal.press("q");
    assert!(terminal.end().success());
}

#[test]
fn it_runs_in_tmux() {
    let desk = Desk::new();
    let tmux = |words: &[&str]| {
        let mut command = Command::new("tmux");
        command.args(["-L", "spandiff-test", "-f", "/dev/null"]).args(words).env_remove("TMUX");
        command.env("TMUX_TMPDIR", desk.dir.path()).env("LANG", "C.UTF-8").env("TERM", "xterm-256color");
        command.output()
    };
    if !tmux(&["-V"]).is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: there is no tmux here");
        return;
    }
    let (before, after) = sides();
    let line = format!("SPANDIFF_THEME=dark {PROGRAM} {before} {after}");
    tmux(&["-u", "new-session", "-d", "-x", "80", "-y", "24", &line]).unwrap();
    let wait = |words: &[&str], text: &str| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = String::from_utf8(tmux(words).unwrap().stdout).unwrap();
            if seen.contains(text) {
                return;
            }
            assert!(Instant::now() < deadline, "{words:?} never shows {text}:\n{seen}");
        }
    };
    wait(&["capture-pane", "-p"], ADDED);
    tmux(&["send-keys", "2"]).unwrap();
    wait(&["capture-pane", "-p"], "[2 Tree]");
    tmux(&["send-keys", "1", "y"]).unwrap();
    wait(&["show-buffer"], ADDED);
    tmux(&["kill-server"]).unwrap();
}
