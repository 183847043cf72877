//! The terminal UI: what one key costs. In the process on trees of 100,000 and 1,000,000 nodes, and from key to bytes
//! through a pseudo-terminal with the real program.

use crate::ratio::time;
use portable_pty::{CommandBuilder, PtyPair, PtySize, native_pty_system};
use ratatui_core::backend::Backend;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_crossterm::CrosstermBackend;
use spandiff::diff::{Diff, Mark, MatchInfo, NodeSide, TreeNode};
use spandiff::model::{Kind, Operation, Pair, SpanId, Status};
use spandiff::tui::app::App;
use spandiff::tui::canvas::Look;
use spandiff::tui::glyphs;
use spandiff::tui::keys::Key;
use spandiff::tui::model::Model;
use spandiff::tui::session::{Fixed, settle};
use spandiff::tui::theme::{Depth, Theme, Tone};
use spandiff::tui::update::Msg;
use spandiff::tui::view;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Columns and rows of the terminal.
const SIZE: (u16, u16) = (200, 60);
/// Keys that are measured.
const KEYS: usize = 300;

/// Prints all lines.
pub fn run() {
    in_process(100_000);
    in_process(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let pair = crate::whole::write(folder.path());
    key_to_bytes("pair of 100,000 spans", &pair);
    let many = crate::gate::write(folder.path(), 1_000);
    first_screen("2 × 1,000 traces of 100 spans", &many);
}

/// A tree of five children each, every hundredth node slower.
fn model(nodes: u32) -> Model {
    let side = |ns: u64| NodeSide {
        spans: 1,
        start_ns: 0,
        duration_ns: ns,
        self_ns: ns / 2,
        critical_ns: ns / 3,
        status: Status::Unset,
        kind: Kind::Internal,
        span_id: SpanId(1),
        many: None,
    };
    let mut diff = Diff::default();
    for node in 0..nodes {
        let depth = if node == 0 { 0 } else { 1 + node.trailing_zeros() % 8 };
        let depth = depth.min(diff.tree.last().map_or(0, |last: &TreeNode| last.depth + 1));
        let mark = if node % 100 == 0 { Mark::Worse } else { Mark::Equal };
        let operation = Operation {
            service: format!("service-{}", node % 12).into(),
            kind: Kind::Internal,
            name: format!("GET /path/{}", node % 200).into(),
        };
        let before = side(1_000_000 + u64::from(node % 77) * 1_000);
        let after = side(1_000_000 + u64::from(node % 91) * 1_000);
        diff.tree.push(TreeNode {
            depth,
            operation,
            from: None,
            mark,
            sides: Pair::new(Some(before), Some(after)),
            inherited: false,
            finding: None,
            matched: MatchInfo { score: 1.0, reason: "operation" },
            detail: None,
        });
    }
    Model::new(diff)
}

fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: f64| times.get(((times.len() - 1) as f64 * share).round() as usize).copied().unwrap_or_default();
    format!("p50 {:.2?}, p99 {:.2?}, most {:.2?}", at(0.5), at(0.99), at(1.0))
}

/// Draws as the program does: all cells, then what differs from the last frame as bytes.
struct Screen {
    last: Buffer,
    bytes: Vec<u8>,
}

impl Screen {
    fn draw(&mut self, app: &App) -> usize {
        let mut next = Buffer::empty(Rect { x: 0, y: 0, width: SIZE.0, height: SIZE.1 });
        view::draw(app, &mut next);
        self.bytes.clear();
        CrosstermBackend::new(&mut self.bytes).draw(self.last.diff(&next).into_iter()).unwrap();
        self.last = next;
        self.bytes.len()
    }
}

fn in_process(nodes: u32) {
    let model = Arc::new(model(nodes));
    let look = Look { theme: Theme { depth: Depth::True, tone: Tone::Dark }, glyphs: glyphs::UNICODE };
    let mut host = Fixed(Arc::clone(&model));
    let mut app = App::new(look, SIZE, Arc::clone(&model));
    settle(&mut app, &mut host, Msg::Model(model));
    let mut screen =
        Screen { last: Buffer::empty(Rect { x: 0, y: 0, width: SIZE.0, height: SIZE.1 }), bytes: Vec::new() };
    let mut press = |app: &mut App, keys: &str| {
        for key in Key::stream(keys).unwrap() {
            settle(app, &mut host, Msg::Key(key));
        }
    };
    let mut measure = |name: &str, app: &mut App, keys: &str, times: usize| {
        let durations = (0..times)
            .map(|_| {
                time(|| {
                    press(app, keys);
                    screen.draw(app)
                })
            })
            .collect();
        println!("tui: {nodes} nodes, {name}: {}", quantiles(durations));
    };
    measure("open all (zR) and frame", &mut app, "2zR", 5);
    measure("down one row and frame", &mut app, "j", KEYS);
    measure("a page down and frame", &mut app, "^f".replace("^f", "<^f>").as_str(), KEYS);
    measure("close all (zM) and frame", &mut app, "zM", 5);
    measure("changes only (zx) and frame", &mut app, "zx", 5);
    measure("next change (]c) and frame", &mut app, "]c", KEYS);
    for number in 1..=7 {
        measure(&format!("switch to screen {number} and frame"), &mut app, &number.to_string(), 5);
    }
    press(&mut app, "2/");
    let mut typed = Vec::new();
    for letter in ["s", "e", "r", "v", "i", "c", "e", ":", "4", " ", "p", "a", "t", "h"] {
        typed.push(time(|| {
            press(&mut app, letter);
            screen.draw(&app)
        }));
    }
    println!("tui: {nodes} nodes, a letter of the filter and frame: {}", quantiles(typed));
}

/// The program in a pseudo-terminal; its bytes arrive in a channel.
struct Running {
    pair: PtyPair,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    writer: Box<dyn Write + Send>,
    bytes: Receiver<(Instant, Vec<u8>)>,
    started: Instant,
}

impl Running {
    fn new(inputs: &[PathBuf; 2]) -> Running {
        let size = PtySize { rows: SIZE.1, cols: SIZE.0, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_spandiff"));
        command.args(["tui", "--theme", "dark"]);
        command.args(inputs);
        command.env("TERM", "xterm-256color");
        let mut reader = pair.master.try_clone_reader().unwrap();
        let writer = pair.master.take_writer().unwrap();
        let started = Instant::now();
        let child = pair.slave.spawn_command(command).unwrap();
        let (sender, bytes) = channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0u8; 1 << 16];
            while let Ok(read) = reader.read(&mut buffer) {
                let chunk = buffer.get(..read).unwrap_or_default().to_vec();
                if read == 0 || sender.send((Instant::now(), chunk)).is_err() {
                    return;
                }
            }
        });
        Running { pair, child, writer, bytes, started }
    }

    /// When the first bytes of the next chunk came.
    fn next(&self) -> Instant {
        self.bytes.recv_timeout(Duration::from_secs(30)).unwrap().0
    }

    /// Reads until the screen shows a text.
    fn until(&self, text: &str) -> Instant {
        let mut terminal = vt100::Parser::new(SIZE.1.try_into().unwrap(), SIZE.0.try_into().unwrap(), 0);
        loop {
            let (at, chunk) = self.bytes.recv_timeout(Duration::from_secs(60)).unwrap();
            terminal.process(&chunk);
            if terminal.screen().contents().contains(text) {
                return at;
            }
        }
    }

    fn drain(&self, quiet: Duration) -> usize {
        let mut bytes = 0;
        while let Ok((_, chunk)) = self.bytes.recv_timeout(quiet) {
            bytes += chunk.len();
        }
        bytes
    }

    fn press(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    /// Clock ticks (hundredths of a second) of the processor that the program has used.
    fn ticks(&self) -> u64 {
        let id = self.child.process_id().unwrap();
        let stat = std::fs::read_to_string(Path::new("/proc").join(id.to_string()).join("stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    fn end(mut self) {
        self.press("\u{3}\u{3}");
        self.child.wait().unwrap();
        drop(self.pair);
    }
}

fn key_to_bytes(name: &str, inputs: &[PathBuf; 2]) {
    let mut program = Running::new(inputs);
    let first = program.next() - program.started;
    let useful = program.until("finding") - program.started;
    println!("tui: {name}: first bytes after {first:.2?}, findings after {useful:.2?}");
    for (screen, keys) in [("tree", "2zR"), ("waterfall", "3"), ("flame", "4"), ("findings", "1")] {
        program.press(keys);
        program.drain(Duration::from_millis(700));
        let mut times = Vec::new();
        for number in 0..KEYS {
            let pressed = Instant::now();
            program.press(if number % 40 < 20 { "j" } else { "k" });
            if let Ok((at, _)) = program.bytes.recv_timeout(Duration::from_millis(200)) {
                times.push(at - pressed);
            }
            program.drain(Duration::from_millis(20));
        }
        if !times.is_empty() {
            println!("tui: {name}, {screen}: key to bytes {} of {} keys", quantiles(times.clone()), times.len());
        }
    }
    program.drain(Duration::from_millis(500));
    let before = program.ticks();
    let bytes = program.drain(Duration::from_secs(5));
    println!("tui: {name}: idle for 5 s: {bytes} bytes, {} ms of processor time", 10 * (program.ticks() - before));
    program.end();
}

fn first_screen(name: &str, inputs: &[PathBuf; 2]) {
    let program = Running::new(inputs);
    let useful = program.until("finding") - program.started;
    println!("tui: {name}: findings after {useful:.2?}");
    program.end();
}
