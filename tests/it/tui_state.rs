//! The terminal UI as a state: random trees, random keys, random sizes; nothing here needs a terminal.

use proptest::prelude::*;
use ratatui_core::backend::Backend;
use ratatui_core::buffer::Buffer;
use ratatui_core::style::{Color, Modifier};
use ratatui_crossterm::CrosstermBackend;
use spandiff::diff::{
    AttributeChange, AttributeRow, AttributeScope, Bin, Change, Confidence, Diff, EntryPoint, Example, Finding,
    FindingKind, Mark, MatchInfo, Mode, NodeDetail, NodeSide, NodeStats, Quantiles, TreeNode,
};
use spandiff::model::{Kind, Operation, Pair, SpanId, Status, TraceId};
use spandiff::report::escape::is_unseen;
use spandiff::tui::action::{COMMANDS, Screen};
use spandiff::tui::app::App;
use spandiff::tui::canvas::Look;
use spandiff::tui::keys::Key;
use spandiff::tui::live::{Link, Live};
use spandiff::tui::model::Model;
use spandiff::tui::session::{Fixed, settle};
use spandiff::tui::theme::{Depth, Theme, Tone};
use spandiff::tui::update::Msg;
use spandiff::tui::{glyphs, headless};
use std::collections::BTreeSet;
use std::sync::Arc;

const HOSTILE: [&str; 8] = [
    "GET /\u{1b}]0;owned\u{7}cart",
    "line\nbreak\r\tand tab",
    "\u{202e}backwards\u{2066}",
    "漢字かな交じり文とても長い名前のスパン",
    "zero\u{200b}width e\u{301}\u{301}",
    "",
    "a very long name that does not fit into any column of any screen whatever its width may be, and then some more",
    "\u{9b}31mC1\u{90}",
];

/// Numbers that look random, from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }

    fn flip(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }
}

fn operation(chance: &mut Chance) -> Operation {
    let name = if chance.flip(6) {
        HOSTILE[chance.below(HOSTILE.len() as u64) as usize].to_owned()
    } else {
        format!("GET /item/{}", chance.below(6))
    };
    Operation { service: format!("svc-{}", chance.below(4)).into(), kind: Kind::Server, name: name.into() }
}

fn detail(chance: &mut Chance) -> NodeDetail {
    let text = |chance: &mut Chance| Some(HOSTILE[chance.below(8) as usize].to_owned()).filter(|_| !chance.flip(4));
    let attributes = (0..chance.below(6)).map(|number| AttributeRow {
        key: format!("key.{number}"),
        scope: AttributeScope::Span,
        change: [None, Some(Change::Changed), Some(Change::Added), Some(Change::Removed)][chance.below(4) as usize],
        before: text(chance),
        after: text(chance),
        share: Pair::new(Some(0.25), None),
    });
    let attributes = attributes.collect();
    let bins = |chance: &mut Chance| -> Vec<Bin> {
        (0..chance.below(30)).map(|bin| Bin { ns: (bin as f64 * 1e6, (bin + 1) as f64 * 1e6), share: 0.03 }).collect()
    };
    let example = |chance: &mut Chance| Example {
        role: "typical",
        trace_id: TraceId(u128::from(chance.below(9)) + 1),
        span_id: SpanId(7),
        duration_ns: chance.below(1 << 40),
    };
    NodeDetail {
        attributes,
        durations: Pair::new(bins(chance), bins(chance)),
        examples: Pair::new(vec![example(chance)], vec![example(chance)]),
        ..NodeDetail::default()
    }
}

fn side(chance: &mut Chance, population: bool) -> NodeSide {
    let duration_ns = match chance.below(8) {
        0 => 0,
        1 => u64::MAX,
        _ => chance.below(1 << 33),
    };
    NodeSide {
        spans: 1 + chance.below(3),
        start_ns: if chance.flip(9) { i64::MIN } else { chance.below(1 << 33) as i64 },
        duration_ns,
        self_ns: duration_ns / 2,
        critical_ns: if chance.flip(2) { duration_ns } else { 0 },
        status: if chance.flip(5) { Status::Error } else { Status::Unset },
        kind: Kind::Server,
        span_id: SpanId(1 + chance.below(1000)),
        many: population.then_some(NodeStats {
            calls_per_trace: 1.5,
            error_rate: 0.1,
            traces: 40,
            p95_ns: duration_ns,
        }),
    }
}

const MARKS: [Mark; 9] = [
    Mark::Worse,
    Mark::Better,
    Mark::Added,
    Mark::Removed,
    Mark::Failing,
    Mark::Recovered,
    Mark::Changed,
    Mark::Similar,
    Mark::Equal,
];

/// A comparison whose tree and findings are made by chance, and are no more consistent than that.
fn diff(seed: u64, nodes: u64) -> Diff {
    let mut chance = Chance(seed);
    let population = chance.flip(2);
    let mut diff = Diff { mode: if population { Mode::Population } else { Mode::Pair }, ..Diff::default() };
    let mut depth = 0u32;
    for _ in 0..nodes {
        let mark = if chance.flip(2) { Mark::Equal } else { MARKS[chance.below(9) as usize] };
        let both = Pair::new(side(&mut chance, population), side(&mut chance, population));
        let sides = Pair::new(
            Some(both.before).filter(|_| mark != Mark::Added),
            Some(both.after).filter(|_| mark != Mark::Removed),
        );
        let operation = operation(&mut chance);
        let finding = (mark != Mark::Equal && chance.flip(2)).then(|| {
            diff.findings.push(finding(&mut chance, &operation));
            diff.findings.len() - 1
        });
        diff.tree.push(TreeNode {
            depth,
            operation,
            from: None,
            mark,
            sides,
            inherited: finding.is_none() && chance.flip(3),
            finding,
            matched: MatchInfo { score: 1.0, reason: "operation" },
            detail: population.then(|| Box::new(detail(&mut chance))),
        });
        depth = if chance.flip(4) { 0 } else { chance.below(u64::from(depth) + 2) as u32 };
    }
    if nodes > 0 {
        let quantiles = Some(Quantiles { mean: 5_000_000, p50: 4_000_000, p95: 9_000_000, p99: None });
        diff.entry_points.push(EntryPoint {
            operation: diff.tree[0].operation.clone(),
            traces: Pair::new(3, 4),
            duration_ns: Pair::new(quantiles, quantiles),
            delta_ns: Some(-12),
            error_rate: Pair::new(Some(0.0), Some(0.5)),
            attribution: Vec::new(),
            tail: Vec::new(),
            effects: Vec::new(),
            detectable: None,
            needed_traces: None,
        });
    }
    diff
}

fn finding(chance: &mut Chance, operation: &Operation) -> Finding {
    let text = HOSTILE[chance.below(8) as usize].to_owned();
    Finding {
        fingerprint: format!("{:x}", chance.below(u64::MAX)),
        kind: FindingKind::ALL[chance.below(FindingKind::ALL.len() as u64) as usize],
        path: vec![operation.clone()],
        from_path: None,
        spans: Pair::new(1, 2),
        subtree: None,
        calls_per_trace: Pair::new(1.0, chance.below(30) as f64),
        duration_ns: Pair::default(),
        self_time_ns: Pair::new(Some(5), None),
        edge_time_ns: Pair::default(),
        error_rate: Pair::default(),
        title: text.clone(),
        evidence: vec![text.clone()],
        contribution_ns: chance.below(1 << 40) as i64 - (1 << 39),
        share: Some(0.3),
        on_critical_path: Pair::new(true, false),
        confidence: Confidence::Likely,
        matched: MatchInfo { score: 0.6, reason: "renamed" },
        attributes: vec![AttributeChange {
            key: text.clone(),
            change: Change::Changed,
            before: Some(text.clone()),
            after: Some("x".into()),
        }],
        events: Vec::new(),
        because: vec![text],
        exemplars: Pair::new(vec![(TraceId(3), SpanId(4))], Vec::new()),
        effects: Vec::new(),
        instances: Vec::new(),
        first_seen: None,
        accepted: None,
    }
}

const COLORED: Look = Look { theme: Theme { depth: Depth::True, tone: Tone::Dark }, glyphs: glyphs::UNICODE };

fn app(diff: Diff, look: Look, size: (u16, u16)) -> (App, Fixed) {
    let model = Arc::new(Model::new(diff));
    let mut host = Fixed(Arc::clone(&model));
    let mut app = App::new(look, size, Arc::new(Model::new(Diff::default())));
    settle(&mut app, &mut host, Msg::Model(model));
    (app, host)
}

fn press(app: &mut App, host: &mut Fixed, keys: &str) {
    for key in Key::stream(keys).unwrap() {
        settle(app, host, Msg::Key(key));
    }
}

/// All keys of the table, and what is typed into lines of input.
fn keys() -> Vec<Key> {
    let mut keys: Vec<Key> = COMMANDS.iter().flat_map(spandiff::tui::action::Command::sequences).flatten().collect();
    keys.extend("abc é漢".chars().map(Key::Char));
    keys.extend([Key::Enter, Key::Enter, Key::Enter, Key::Tab, Key::Backspace, Key::Delete, Key::Esc, Key::F(9)]);
    keys
}

fn check(app: &App) {
    let (rows, nodes) = (app.rows.rows.len(), app.model.len());
    assert!(app.rows.list.cursor < rows.max(1), "cursor {} of {rows} rows", app.rows.list.cursor);
    assert!(app.node < nodes.max(1) && app.finding < app.model.diff.findings.len().max(1));
    let buffer = headless::buffer(app);
    for cell in &buffer.content {
        assert!(!cell.symbol().chars().any(is_unseen), "{:?}", cell.symbol());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_keys_at_any_size_break_anything(
        seed in any::<u64>(),
        nodes in 0u64..60,
        pressed in prop::collection::vec(0usize..1000, 0..120),
        sizes in prop::collection::vec((1u16..180, 1u16..70), 1..6),
    ) {
        let (mut app, mut host) = app(diff(seed, nodes), COLORED, sizes[0]);
        let keys = keys();
        for (step, number) in pressed.iter().enumerate() {
            let key = keys[number % keys.len()];
            settle(&mut app, &mut host, Msg::Key(key));
            if step % 17 == 0 {
                let (columns, rows) = sizes[step / 17 % sizes.len()];
                settle(&mut app, &mut host, Msg::Resize(columns, rows));
            }
            check(&app);
        }
    }

    #[test]
    fn whatever_a_live_source_sends_between_keys_breaks_nothing(
        seed in any::<u64>(),
        pressed in prop::collection::vec(0usize..1000, 0..120),
        sizes in prop::collection::vec((0u64..60, 0u8..4), 1..6),
    ) {
        let (mut app, mut host) = app(diff(seed, 40), COLORED, (100, 30));
        app.live = Some(Live::default());
        let keys = keys();
        for (step, number) in pressed.iter().enumerate() {
            settle(&mut app, &mut host, Msg::Key(keys[number % keys.len()]));
            if step % 5 == 0 {
                let (nodes, what) = sizes[step / 5 % sizes.len()];
                host = Fixed(Arc::new(Model::new(diff(seed.wrapping_add(step as u64), nodes))));
                let msg = match what {
                    0 => Msg::Link(Link::Lost { since: HOSTILE[step % 8].to_owned() }),
                    1 => Msg::Failed(vec![]),
                    _ => Msg::Newer,
                };
                settle(&mut app, &mut host, msg);
            }
            check(&app);
        }
    }

    #[test]
    fn colour_only_repeats_what_a_mark_says(seed in any::<u64>(), screen in 0usize..8, wide in any::<bool>()) {
        let size = if wide { (120, 36) } else { (80, 24) };
        let mono = Look { theme: Theme::MONO, ..COLORED };
        let shown = |look: Look| {
            let (mut app, mut host) = app(diff(seed, 40), look, size);
            settle(&mut app, &mut host, Msg::Run(Screen::ALL[screen].name()));
            headless::buffer(&app)
        };
        let (colored, plain) = (shown(COLORED), shown(mono));
        let symbols = |buffer: &Buffer| buffer.content.iter().map(|cell| cell.symbol().to_owned()).collect::<Vec<_>>();
        prop_assert_eq!(symbols(&colored), symbols(&plain));
        for y in 0..size.1 {
            let row: Vec<_> = (0..size.0).filter_map(|x| colored.cell((x, y))).collect();
            let marks = ['▲', '▼', '+', '-', '!', 'o', '~', '≈'];
            let says = |c: &char| marks.contains(c);
            let text: String = row.iter().map(|cell| cell.symbol()).collect();
            if row.iter().any(|cell| cell.fg != Color::Reset) {
                prop_assert!(text.chars().any(|c| says(&c)), "{text}");
            }
        }
    }

    #[test]
    fn every_change_is_visited_once(seed in any::<u64>(), nodes in 1u64..60) {
        let (mut app, mut host) = app(diff(seed, nodes), COLORED, (100, 30));
        press(&mut app, &mut host, "2gg");
        let changes: Vec<u32> = (0..app.model.len()).filter(|&node| app.model.is_change(node)).collect();
        let mut visited = Vec::new();
        for _ in 0..changes.len() {
            press(&mut app, &mut host, "]c");
            visited.push(app.node);
        }
        let distinct: BTreeSet<u32> = visited.iter().copied().collect();
        prop_assert_eq!(distinct.into_iter().collect::<Vec<_>>(), changes);
    }

    #[test]
    fn folding_and_unfolding_come_back(seed in any::<u64>(), nodes in 1u64..60) {
        let (mut app, mut host) = app(diff(seed, nodes), COLORED, (100, 30));
        press(&mut app, &mut host, "2");
        let before = app.rows.rows.clone();
        press(&mut app, &mut host, "zR");
        prop_assert_eq!(app.rows.rows.len() as u32, app.model.len());
        press(&mut app, &mut host, "zMzx");
        prop_assert_eq!(&app.rows.rows, &before);
        press(&mut app, &mut host, "gg");
        for _ in 0..nodes {
            let fold = app.row().is_some_and(|row| !row.is_node());
            press(&mut app, &mut host, if fold { "==" } else { "zaza" });
            prop_assert_eq!(&app.rows.rows, &before);
            press(&mut app, &mut host, "j");
        }
    }

    #[test]
    fn a_terminal_shows_what_the_buffer_holds(seed in any::<u64>(), screen in 0usize..8) {
        let (mut app, mut host) = app(diff(seed, 30), COLORED, (90, 28));
        settle(&mut app, &mut host, Msg::Run(Screen::ALL[screen].name()));
        let buffer = headless::buffer(&app);
        let mut bytes = Vec::new();
        let blank = Buffer::empty(buffer.area);
        CrosstermBackend::new(&mut bytes).draw(blank.diff(&buffer).into_iter()).unwrap();
        let mut terminal = vt100::Parser::new(28.try_into().unwrap(), 90.try_into().unwrap(), 0);
        terminal.process(&bytes);
        for y in 0..28 {
            let row: String = (0..90).filter_map(|x| terminal.screen().cell(y, x)).map(|cell| {
                if cell.has_contents() { cell.contents().to_owned() } else if cell.is_wide_continuation() { String::new() } else { " ".to_owned() }
            }).collect();
            let mut expected = String::new();
            let mut hidden = 0;
            for x in 0..90 {
                let symbol = buffer.cell((x, y)).unwrap().symbol();
                if hidden == 0 {
                    expected.push_str(symbol);
                    hidden = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
                } else {
                    hidden -= 1;
                }
            }
            prop_assert_eq!(row.trim_end(), expected.trim_end());
        }
    }
}

#[test]
fn the_row_of_the_cursor_is_reversed() {
    for screen in [Screen::Findings, Screen::Tree] {
        let (mut app, mut host) = app(diff(3, 30), Look { theme: Theme::MONO, ..COLORED }, (80, 24));
        settle(&mut app, &mut host, Msg::Run(screen.name()));
        let buffer = headless::buffer(&app);
        let reversed = |y: u16| (0..80).all(|x| buffer.cell((x, y)).unwrap().modifier.contains(Modifier::REVERSED));
        assert_eq!((0..24).filter(|&y| reversed(y)).count(), 1, "{}", screen.title());
    }
}

#[test]
fn a_filter_hides_and_its_removal_shows_again() {
    let (mut app, mut host) = app(diff(11, 50), COLORED, (100, 30));
    press(&mut app, &mut host, "2");
    let all = app.rows.rows.clone();
    press(&mut app, &mut host, "/service:svc-1<Enter>");
    assert_eq!(app.filter.text, "service:svc-1");
    let shown = app.rows.rows.clone();
    assert!(shown.len() < all.len());
    press(&mut app, &mut host, "/<^u>delta>much<Enter>");
    assert!(app.message.as_deref().unwrap().contains("for example"), "{:?}", app.message);
    press(&mut app, &mut host, "q");
    assert!(app.filter.is_empty());
    assert_eq!(app.rows.rows, all);
}

#[test]
fn what_is_complete_is_not_replaced_by_less() {
    let (part, whole) = (Arc::new(Model::new(diff(5, 10))), Arc::new(Model::new(diff(5, 40))));
    let mut app = App::new(COLORED, (100, 30), Arc::new(Model::new(Diff::default())));
    let mut host = Fixed(Arc::clone(&whole));
    settle(&mut app, &mut host, Msg::Provisional(Arc::clone(&part)));
    assert!(app.provisional && app.model.len() == 10);
    assert!(headless::text(&app).contains("provisional"), "it must be said");
    settle(&mut app, &mut host, Msg::Model(whole));
    assert!(!app.provisional && app.model.len() == 40);
    settle(&mut app, &mut host, Msg::Provisional(part));
    assert!(!app.provisional && app.model.len() == 40);
}

#[test]
fn jumps_lead_back_and_forth() {
    let (mut app, mut host) = app(diff(5, 40), COLORED, (100, 30));
    press(&mut app, &mut host, "23");
    assert_eq!(app.screen, Screen::Waterfall);
    press(&mut app, &mut host, "H");
    assert_eq!(app.screen, Screen::Tree);
    press(&mut app, &mut host, "H");
    assert_eq!(app.screen, Screen::Findings);
    press(&mut app, &mut host, "LL");
    assert_eq!(app.screen, Screen::Waterfall);
    press(&mut app, &mut host, "`");
    assert_eq!(app.screen, Screen::Tree);
}

#[test]
fn notes_and_what_was_masked_go_into_the_incident_note() {
    let mut diff = diff(5, 40);
    diff.findings[0].attributes[0] = AttributeChange {
        key: "user.email".into(),
        change: Change::Changed,
        before: Some("ann@example.org".into()),
        after: Some("bob@example.org".into()),
    };
    let (mut app, mut host) = app(diff, COLORED, (100, 30));
    press(&mut app, &mut host, "aroll [back](x)<Enter>");
    let note = spandiff::tui::note::incident(&app);
    assert!(note.contains("roll \\[back"), "{note}");
    assert!(!note.contains("ann@example.org"), "{note}");
    press(&mut app, &mut host, "zv");
    assert!(spandiff::tui::note::incident(&app).contains("ann"));
    assert!(!note.chars().any(|c| is_unseen(c) && c != '\n'), "control characters");
}
