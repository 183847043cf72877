//! `spandiff tui --attach`: the screen goes on with a receiver, unless it is frozen, and outlives it.

use crate::admin::{judged, profiles};
use crate::pty::{Desk, PROGRAM, Terminal};
use spandiff::diff::{DiffOptions, InputSide, population};
use spandiff::receiver::admin::{self, AdminState, Phase};
use spandiff::receiver::board::{Board, WindowInfo};
use spandiff::receiver::counters::Counters;
use spandiff::receiver::moment::Clock;
use spandiff::receiver::serve::{Listener, Server};
use spandiff::receiver::token::Token;
use spandiff::tui::app::App;
use spandiff::tui::canvas::Look;
use spandiff::tui::keys::Key;
use spandiff::tui::live::{Link, Live};
use spandiff::tui::model::Model;
use spandiff::tui::theme::{Depth, Theme, Tone};
use spandiff::tui::update::{Effect, Msg, Request, update};
use spandiff::tui::{glyphs, headless};
use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The admin port of a receiver that receives nothing: what it says is hung on its board.
struct Port {
    board: Arc<Board>,
    counters: Arc<Counters>,
    address: SocketAddr,
    server: Arc<Server>,
    _phase: watch::Sender<Phase>,
    _runtime: tokio::runtime::Runtime,
}

impl Port {
    fn start(address: &str, token: Option<&str>) -> Port {
        let deadline = Instant::now() + Duration::from_secs(30);
        // After one that ended, the system may take a moment.
        let listener = loop {
            match Listener::tcp(address.parse().unwrap()) {
                Ok(listener) => break listener,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            std::thread::yield_now();
        };
        let address = listener.address().unwrap();
        let (board, counters) = (Arc::new(Board::new()), Arc::new(Counters::default()));
        let (phase, seen) = watch::channel(Phase::Listening);
        let clock = Clock::start();
        let mut state = AdminState::new(Arc::clone(&counters), Arc::clone(&board), seen, move || clock.now());
        state.settings.window_ns = Some(60_000_000_000);
        "what came before the last mark".clone_into(&mut state.settings.baseline);
        state.settings.started_unix_ns = clock.now().unix_ns;
        state.access.token = token.and_then(Token::of_file).map(Arc::new);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = Server::new(8, None, Arc::clone(&counters));
        runtime.spawn(Arc::clone(&server).accept(listener, admin::handler(Arc::new(state))));
        Port { board, counters, address, server, _phase: phase, _runtime: runtime }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Publishes a sample as if its window had ended just now.
    fn publish(&self, sample: &'static str, cohort: &str) {
        let now = Clock::start().now().unix_ns;
        let mut judged = judged(sample, cohort);
        judged.window_ns = (now - 60_000_000_000, now);
        self.board.publish(judged);
    }
}

fn spandiff(words: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(words).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.env("XDG_CONFIG_HOME", "/nonexistent").env("LC_ALL", "C.UTF-8");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SPANDIFF_")) {
        command.env_remove(name);
    }
    command.output().unwrap()
}

fn rendered(words: &[&str]) -> String {
    let output = spandiff(words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn fails(words: &[&str], needle: &str) {
    let output = spandiff(words);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && text.contains(needle), "{words:?}: {text}");
}

const BEFORE: &str = "samples/maintenance/before.spanprofile";
const AFTER: &str = "samples/maintenance/after.spanprofile";

#[test]
fn the_screen_shows_what_two_files_would_show() {
    let port = Port::start("127.0.0.1:0", None);
    let url = port.url();
    fails(&["tui", "--attach", &url, "--render", "findings"], "waiting for the first window of 60 s");
    port.counters.spans_received.add(1_234);
    fails(&["tui", "--attach", &url, "--render", "findings"], "1,234 spans received so far");
    let window = WindowInfo { cohort: String::new(), start_unix_ns: 0, end_unix_ns: 60, traces: 1, spans: 2, bytes: 3 };
    port.board.set_windows(vec![window]);
    fails(&["tui", "--attach", &url, "--render", "findings"], "no mark was set: POST /v1/mark sets one");
    port.publish("maintenance", "v1/ü&");
    port.publish("quiet-release", "v2");
    for (screen, keys) in [("findings", ""), ("tree", "x"), ("waterfall", "ox"), ("detail", "oq]c")] {
        let rest = ["--render", screen, "--size", "100x30", "--keys", keys];
        let attached = rendered(&[&["tui", "--attach", &url, "--cohort", "v1/ü&"], &rest[..]].concat());
        let files = rendered(&[&["tui", BEFORE, AFTER], &rest[..]].concat());
        assert_eq!(attached, files, "{screen} after {keys}");
    }
    // Without a name the newest cohort is followed; a name that is not there is waited for.
    let newest = rendered(&["tui", "--attach", &url, "--render", "notes"]);
    assert!(newest.contains("/v1/profile?side=after"), "{newest}");
    fails(&["tui", "--attach", &url, "--cohort", "v3", "--render", "findings"], "waiting for cohort v3");
}

#[test]
fn what_cannot_be_followed_is_told() {
    let port = Port::start("127.0.0.1:0", Some("s3cret"));
    port.publish("maintenance", "");
    let (url, folder) = (port.url(), tempfile::tempdir().unwrap());
    let url = url.as_str();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).display().to_string()
    };
    let (right, wrong, empty) = (file("right", "s3cret\n"), file("wrong", "secret\n"), file("empty", "\n"));
    let attach = |token: &str| {
        let mut words = ["tui", "--attach", url, "--render", "findings"].map(str::to_owned).to_vec();
        if !token.is_empty() {
            words.extend(["--token-file".to_owned(), token.to_owned()]);
        }
        words
    };
    let fails_with = |token: &str, needle: &str| {
        let words = attach(token);
        fails(&words.iter().map(String::as_str).collect::<Vec<_>>(), needle);
    };
    fails_with("", "a token is needed");
    fails_with("", "--token-file");
    fails_with(&wrong, "this is not the token");
    fails_with(&empty, "it holds no token");
    fails_with("/nowhere", "cannot read /nowhere");
    let words = attach(&right);
    let screen = rendered(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(screen.contains("230 of 1,300 databases"));
    fails(&["tui", "--attach", "ftp://localhost:1", "--render", "findings"], "http and https are spoken");
    // Nobody listens on this port: it was bound a moment ago and is free again.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fails(&["tui", "--attach", &format!("http://{free}"), "--render", "findings"], "is not reachable since");
    assert_eq!(spandiff(&["tui", "--attach", url, BEFORE, AFTER]).status.code(), Some(2), "either or");
    assert_eq!(spandiff(&["tui", "--cohort", "v2", BEFORE, AFTER]).status.code(), Some(2));
}

#[test]
fn the_screen_goes_on_is_frozen_and_outlives_the_receiver() {
    let port = Port::start("127.0.0.1:0", None);
    let (desk, url) = (Desk::new(), port.url());
    let mut terminal = Terminal::start(desk.command(PROGRAM, &["tui", "--attach", &url]), 120, 30);
    terminal.until_shown("waiting for the first window of 60 s at http://127.0.0.1:");
    port.publish("maintenance", "v2");
    terminal.until_shown("230 of 1,300 databases");
    terminal.until("the state of the receiver", |terminal| terminal.row(29).contains("live, v2, "));
    // Another cohort is none of ours.
    port.publish("paradox", "v1");
    port.publish("quiet-release", "v2");
    terminal.until("the newer comparison", |terminal| !terminal.text().contains("230 of 1,300 databases"));
    terminal.press_until("F", "frozen: what is shown stays");
    port.publish("maintenance", "v2");
    terminal.until("the news", |terminal| terminal.row(29).contains("frozen, v2, newer data wait"));
    assert!(!terminal.text().contains("230 of 1,300 databases"));
    // Swapped sides are those of what is held.
    terminal.press_until("x", "A = after (swapped)");
    assert!(!terminal.text().contains("230 of 1,300 databases"));
    terminal.press_until("x", "A = before");
    terminal.press_until("F", "230 of 1,300 databases");

    // The receiver ends and begins again: the screen stays, and follows the new one.
    let address = port.address.to_string();
    port.server.stop();
    drop(port);
    terminal.until_shown("not reachable since");
    assert!(terminal.text().contains("230 of 1,300 databases"));
    let port = Port::start(&address, None);
    port.publish("quiet-release", "v2");
    terminal.until("the new receiver", |terminal| {
        terminal.row(29).contains("live, v2, ") && !terminal.text().contains("230 of 1,300 databases")
    });
    terminal.press("q");
    assert!(terminal.end().success());
    // Who gives up waiting gets the shell back.
    let mut terminal =
        Terminal::start(desk.command(PROGRAM, &["tui", "--attach", &port.url(), "--cohort", "v9"]), 80, 24);
    terminal.until_shown("waiting for cohort v9");
    terminal.press_until("\x03", "^c once more quits");
    terminal.press("\x03");
    assert!(terminal.end().success());
}

fn model(sample: &'static str) -> Arc<Model> {
    static KNOWN: OnceLock<[(&str, Arc<Model>); 2]> = OnceLock::new();
    let make = |sample: &'static str| {
        let profiles = profiles(sample);
        let inputs = profiles.as_ref().map(|profile| InputSide {
            traces: profile.totals.traces,
            spans: profile.totals.spans,
            of_profiles: true,
            ..InputSide::default()
        });
        let options = DiffOptions { tree: true, ..DiffOptions::default() };
        (sample, Arc::new(Model::new(population::compare(&profiles, inputs, &options))))
    };
    let known = KNOWN.get_or_init(|| ["maintenance", "paradox"].map(make));
    Arc::clone(&known.iter().find(|(name, _)| *name == sample).unwrap().1)
}

/// A screen that follows something.
fn following(sample: &'static str) -> App {
    let look = Look { theme: Theme { depth: Depth::Mono, tone: Tone::Dark }, glyphs: glyphs::UNICODE };
    let mut app = App::new(look, (120, 36), Arc::new(Model::new(spandiff::diff::Diff::default())));
    app.live = Some(Live::default());
    update(&mut app, Msg::Model(model(sample)));
    app
}

fn keys(app: &mut App, text: &str) {
    for key in Key::stream(text).unwrap() {
        update(app, Msg::Key(key));
    }
}

const NEWEST: Effect = Effect::Recompute(Request { swapped: false, pair: None, newest: true });

#[test]
fn newer_data_wait_for_whoever_is_in_the_middle_of_something() {
    for (begin, end) in [("F", "F"), ("/abc", "<Esc>"), ("?", "<Esc>"), ("A", "<Esc>")] {
        let mut app = following("maintenance");
        keys(&mut app, begin);
        assert!(!update(&mut app, Msg::Newer).contains(&NEWEST), "{begin}");
        let mut asked = Vec::new();
        for key in Key::stream(end).unwrap() {
            asked.extend(update(&mut app, Msg::Key(key)));
        }
        assert!(asked.contains(&NEWEST), "{begin} {end}");
        // Asked for once, until it is there.
        assert!(!update(&mut app, Msg::Newer).contains(&NEWEST));
        assert!(!update(&mut app, Msg::Model(model("paradox"))).contains(&NEWEST));
        assert!(update(&mut app, Msg::Newer).contains(&NEWEST));
        // What was begun meanwhile holds what comes, and nothing of it is lost.
        keys(&mut app, begin);
        let shown = Arc::clone(&app.model);
        update(&mut app, Msg::Model(model("maintenance")));
        assert!(Arc::ptr_eq(&app.model, &shown));
        let mut asked = Vec::new();
        for key in Key::stream(end).unwrap() {
            asked.extend(update(&mut app, Msg::Key(key)));
        }
        assert!(asked.contains(&NEWEST), "{begin} {end}");
    }
    // An example pair is looked at to its end; a swap brings what was asked for.
    let mut app = following("maintenance");
    app.pair = Some((spandiff::model::TraceId(1), spandiff::model::TraceId(2)));
    assert!(!update(&mut app, Msg::Newer).contains(&NEWEST));
    app.pair = None;
    assert!(update(&mut app, Msg::Resize(120, 36)).contains(&NEWEST));
    let swapped = Effect::Recompute(Request { swapped: true, pair: None, newest: true });
    assert!(update(&mut app, Msg::Run("swap".into())).contains(&swapped));
    // What could not be fetched is asked for when there is news again.
    let mut app = following("maintenance");
    assert!(update(&mut app, Msg::Newer).contains(&NEWEST));
    assert!(!update(&mut app, Msg::Failed(vec![])).contains(&NEWEST));
    assert_eq!(app.message, None);
    assert!(update(&mut app, Msg::Newer).contains(&NEWEST));
    // Without a source there is nothing to hold.
    app.live = None;
    keys(&mut app, "F");
    assert!(app.message.unwrap().contains("--attach"));
}

#[test]
fn the_cursor_folds_and_notes_stay_where_they_were() {
    let whole = model("maintenance");
    let last = whole.diff.findings.len() - 1;
    // A finding that is the main one of its node, so that all screens agree on it.
    let is_main = |finding: usize| whole.node(whole.node_of(finding)?)?.finding.filter(|main| *main == finding);
    let at = (2..=last).rev().find_map(is_main).unwrap();
    // The same data with the findings in another order, and one that is gone.
    let mut diff = whole.diff.clone();
    let gone = diff.findings.remove(0);
    diff.findings.reverse();
    for node in &mut diff.tree {
        node.finding = node.finding.filter(|finding| *finding > 0).map(|finding| last - finding);
    }
    let newer = Arc::new(Model::new(diff));
    for screen in ["1", "2", "3"] {
        let mut app = following("maintenance");
        keys(&mut app, &format!("1{}2zRza{screen}", "j".repeat(at)));
        let (fingerprint, path) = (whole.diff.findings[at].fingerprint.clone(), whole.path(app.node));
        keys(&mut app, "1ahere<Enter>");
        keys(&mut app, screen);
        assert_eq!(app.model.finding(app.finding).unwrap().fingerprint, fingerprint);
        update(&mut app, Msg::Newer);
        update(&mut app, Msg::Model(Arc::clone(&newer)));
        assert!(Arc::ptr_eq(&app.model, &newer));
        assert_eq!(newer.finding(app.finding).unwrap().fingerprint, fingerprint, "{screen}");
        assert_eq!(newer.path(app.node), path, "{screen}");
        let note = &app.notes[0];
        assert_eq!((note.text.as_str(), newer.path(note.node.unwrap())), ("here", path));
        assert_eq!(app.message, None);
    }
    // A finding that is gone is told, and the cursor does not jump to the first.
    let mut app = following("maintenance");
    update(&mut app, Msg::Newer);
    update(&mut app, Msg::Model(newer));
    assert!(app.message.as_deref().unwrap().contains(&gone.title), "{:?}", app.message);
}

#[test]
fn the_last_line_says_how_the_source_is() {
    let mut app = following("maintenance");
    let line = |app: &App| headless::text(app).lines().last().unwrap().to_owned();
    assert!(line(&app).ends_with(" live"), "{}", line(&app));
    update(&mut app, Msg::Link(Link::Up { cohort: "v2\u{1b}[2J".into(), age: "12 s old".into() }));
    assert!(line(&app).ends_with("live, v2\\u{1b}[2J, 12 s old"), "{}", line(&app));
    update(&mut app, Msg::Link(Link::Up { cohort: String::new(), age: "12 s old".into() }));
    keys(&mut app, "F");
    assert!(line(&app).ends_with("frozen, 12 s old"), "{}", line(&app));
    update(&mut app, Msg::Newer);
    assert!(line(&app).ends_with("frozen, newer data wait"), "{}", line(&app));
    update(&mut app, Msg::Link(Link::Lost { since: "14:03:22 UTC".into() }));
    assert!(line(&app).ends_with("frozen, not reachable since 14:03:22 UTC"), "{}", line(&app));
    keys(&mut app, "F");
    assert!(line(&app).ends_with("not reachable since 14:03:22 UTC"), "{}", line(&app));
    update(&mut app, Msg::Resize(60, 20));
    assert!(line(&app).ends_with("not reachable"), "{}", line(&app));
}
