//! The real program: arguments, streams, files, exit codes, messages.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const FIRST: &str = "5b8efff798038103d269b633813fc60c";
const SECOND: &str = "5b8eaaa798038103d269b633813fc60c";

/// A span: name, parent (0 for none), start and duration in milliseconds. Its id is its place, counted from 1.
type Span<'a> = (&'a str, usize, u64, u64);

const BEFORE: [Span<'_>; 3] = [("GET /cart", 0, 0, 120), ("load", 1, 10, 90), ("SELECT", 2, 15, 40)];
const AFTER: [Span<'_>; 4] =
    [("GET /cart", 0, 0, 150), ("load", 1, 10, 90), ("SELECT", 2, 15, 40), ("fraud check", 1, 105, 35)];

fn otlp(trace_id: &str, spans: &[Span<'_>]) -> String {
    let mut list = String::new();
    for (index, (name, parent, start, duration)) in spans.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let parent = if *parent == 0 { String::new() } else { format!("{parent:016x}") };
        let (start, end) = (1_700_000_000_000 + start, 1_700_000_000_000 + start + duration);
        let _ = write!(
            list,
            r#"{comma}{{"traceId":"{trace_id}","spanId":"{:016x}","parentSpanId":"{parent}","name":"{name}","kind":1,"startTimeUnixNano":"{start}000000","endTimeUnixNano":"{end}000000"}}"#,
            index + 1,
        );
    }
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"shop"}}}}]}},"scopeSpans":[{{"scope":{{"name":"test"}},"spans":[{list}]}}]}}]}}"#
    ) + "\n"
}

/// A folder of its own, in which no configuration and no environment of the developer is seen.
struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Bench {
        let bench = Bench { dir: tempfile::tempdir().unwrap() };
        bench.file("before.json", &otlp(FIRST, &BEFORE));
        bench.file("after.json", &otlp(FIRST, &AFTER));
        bench.file("two.jsonl", &(otlp(FIRST, &BEFORE) + &otlp(SECOND, &AFTER)));
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spandiff"));
        command.args(words.split_whitespace()).current_dir(self.dir.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SPANDIFF_")) {
            command.env_remove(name);
        }
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"] {
            command.env_remove(name);
        }
        command.env("XDG_CONFIG_HOME", self.path("config")).env("TERM", "xterm");
        command
    }

    fn run(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }

    /// Standard output of a run that ends with 0.
    fn ok(&self, words: &str) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(0), "{words}: {}", error(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Standard error of a run that ends with 2 and says nothing on standard output.
    fn fails(&self, words: &str) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(2), "{words}: {}", error(&output));
        assert!(output.stdout.is_empty(), "{words}");
        error(&output)
    }
}

fn error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn two_files_give_a_text_report_with_and_without_the_word_diff() {
    let bench = Bench::new();
    let plain = bench.ok("before.json after.json");
    assert!(plain.starts_with("shop ▸ GET /cart   120 ms → 150 ms   ▲ +30 ms (+25 %)\n"), "{plain}");
    assert!(plain.contains("one trace each: a difference, not a regression"), "{plain}");
    assert!(plain.contains("+ shop ▸ fraud check"), "{plain}");
    assert_eq!(plain, bench.ok("diff before.json after.json"));
    assert_eq!(plain, bench.ok("--before before.json --after after.json"));
    assert_eq!(plain, bench.ok("before.json after.json --threads 1"));
    assert!(!plain.contains('\x1b'));
}

#[test]
fn exit_code_counts_findings_only_when_asked() {
    let bench = Bench::new();
    assert_eq!(bench.run("before.json after.json").status.code(), Some(0));
    assert_eq!(bench.run("before.json after.json --exit-code").status.code(), Some(1));
    assert_eq!(bench.run("before.json before.json --exit-code").status.code(), Some(0));
    assert_eq!(bench.run("before.json after.json --exit-code --max-findings 0").status.code(), Some(1));
}

#[test]
fn one_run_writes_any_number_of_reports() {
    let bench = Bench::new();
    let words = "before.json after.json --format markdown -o out.md --report json=out.json --report dot=out.dot \
                 --report folded=out.folded --report text=out.txt";
    assert_eq!(bench.ok(words), "");
    assert!(read(&bench.path("out.md")).starts_with("### `shop ▸ GET /cart`"));
    assert_eq!(read(&bench.path("out.json")), bench.ok("before.json after.json --format json"));
    assert!(read(&bench.path("out.dot")).starts_with("digraph"));
    assert!(read(&bench.path("out.folded")).contains("shop: GET /cart;shop: load;shop: SELECT "));
    assert!(read(&bench.path("out.txt")).starts_with("shop ▸ GET /cart"));
}

#[test]
fn json_names_inputs_and_hashes() {
    let bench = Bench::new();
    let json = |words: &str| serde_json::from_str::<serde_json::Value>(&bench.ok(words)).unwrap();
    let value = json("before.json after.json --format json");
    assert_eq!(value["inputs"]["before"]["sources"][0], "before.json");
    assert_eq!(value["inputs"]["after"]["spans"], 4);
    assert_eq!(value["inputs"]["before"]["trace_ids"][0], FIRST);
    assert_eq!(value["inputs"]["before"]["window"]["start_unix_ns"], "1700000000000000000");
    // SHA-256 over the list of the files' hashes.
    let hash = |bytes: &str| {
        use sha2::Digest;
        sha2::Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    };
    assert_eq!(value["inputs"]["before"]["sha256"], hash(&hash(&otlp(FIRST, &BEFORE))).as_str());
    assert_eq!(value["config_sha256"], json("before.json after.json --format json --min-ratio 1.1")["config_sha256"]);
    assert_ne!(value["config_sha256"], json("before.json after.json --format json --min-ratio 2")["config_sha256"]);
}

#[test]
fn inputs_are_files_directories_globs_streams_and_trace_ids() {
    let bench = Bench::new();
    let expected = bench.ok("before.json after.json");
    bench.file("left/sub/x.json", &otlp(FIRST, &BEFORE[..2]));
    bench.file("left/y.json", &otlp(FIRST, &[]).replace("[]", &otlp_spans_only(&BEFORE)));
    bench.file("left/readme.txt", "no trace");
    assert_eq!(bench.ok("left after.json"), expected);
    assert_eq!(bench.ok("left/**/*.json after.json"), expected);
    assert_eq!(bench.ok("--before left/y.json --before left/sub --after after.json"), expected);
    assert_eq!(bench.ok("two.jsonl#5b8eff after.json"), expected);
    assert_eq!(bench.ok("two.jsonl#5B8EFF after.json"), expected);
    let mut child = bench.command("- after.json").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(otlp(FIRST, &BEFORE).as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

/// The third span of a list as a JSON list: the part of the trace that the other file of the directory does not have.
fn otlp_spans_only(spans: &[Span<'_>]) -> String {
    let document: serde_json::Value = serde_json::from_str(&otlp(FIRST, spans)).unwrap();
    format!("[{}]", document["resourceSpans"][0]["scopeSpans"][0]["spans"][2])
}

#[test]
fn several_traces_on_a_side_are_a_population_unless_one_is_wanted() {
    let bench = Bench::new();
    let mode = |words: &str| {
        let value: serde_json::Value = serde_json::from_str(&bench.ok(&format!("{words} --format json"))).unwrap();
        value["mode"].clone()
    };
    assert_eq!(mode("two.jsonl after.json"), "population");
    assert_eq!(mode("two.jsonl#5b8eff two.jsonl"), "population");
    assert_eq!(mode("two.jsonl#5b8eff after.json"), "pair");
    let message = bench.fails("before.json two.jsonl#5b8e");
    assert!(message.starts_with("error: #5b8e is not enough: 2 traces of the after side begin with it\n"), "{message}");
    assert!(message.contains("  #5b8eff    120 ms        3 spans  shop ▸ GET /cart\n"), "{message}");
    assert!(message.contains("  #5b8eaa    150 ms        4 spans  shop ▸ GET /cart\n"), "{message}");
    assert!(message.contains("hint: choose one: spandiff 'before.json' 'two.jsonl#5b8eaa'\n"), "{message}");
    let message = bench.fails("before.json two.jsonl#77");
    assert!(message.contains("no trace of the after side begins with #77"), "{message}");
    assert!(bench.ok("two.jsonl#5b8eff two.jsonl#5b8eaa").contains("fraud check"));
}

#[test]
fn more_traces_than_a_screen_holds_are_counted() {
    let bench = Bench::new();
    let many: String = (1..=30u128).map(|n| otlp(&format!("{:032x}", n << 100), &BEFORE)).collect();
    bench.file("many.jsonl", &many);
    let message = bench.fails("many.jsonl#0 after.json");
    assert_eq!(message.lines().filter(|line| line.starts_with("  #")).count(), 20, "{message}");
    assert!(message.contains("more: spandiff inspect lists them all"), "{message}");
}

#[test]
fn what_cannot_be_read_is_named_all_of_it() {
    let bench = Bench::new();
    bench.file("empty.json", "");
    bench.file("no.json", r#"{"resourceSpans":[]}"#);
    bench.file("bad/a.json", "this is a letter, not a trace");
    bench.file("bad/b.json", "\u{0}\u{1}\u{2}garbage");
    bench.file("none/readme.md", "");
    for (words, parts) in [
        ("nope.json after.json", &["error: cannot read nope.json\ncause: "][..]),
        ("nope.json gone.json", &["cannot read nope.json", "cannot read gone.json"]),
        ("bad after.json", &["bad/a.json", "bad/b.json"]),
        ("none after.json", &["error: no trace file in directory none\n", "cause: looked for"]),
        ("*.xml after.json", &["error: no file matches *.xml\n"]),
        ("empty.json after.json", &["the before side holds no trace: nothing to compare", "empty.json"]),
        ("before.json no.json", &["the after side holds no trace"]),
        ("- -", &["both sides are standard input", "hint: "]),
        ("before.json#zz after.json", &["cannot read before.json#zz", "hint: `zz` is no trace id"]),
        ("before.json after.json --config nope.toml", &["cannot read configuration nope.toml"]),
        ("before.json after.json -o nope/x.txt", &["error: cannot write nope/x.txt\ncause: "]),
        ("inspect nope.json", &["cannot read nope.json"]),
    ] {
        let message = bench.fails(words);
        for part in parts {
            assert!(message.contains(part), "{words}: {part:?} is not in {message}");
        }
    }
}

#[test]
fn wrong_words_get_help() {
    let bench = Bench::new();
    for (words, parts) in [
        ("", &["error: two inputs are needed", "hint: usage: spandiff BEFORE AFTER"][..]),
        ("before.json", &["only one input was given: before.json"]),
        ("before.json after.json before.json", &["3 inputs were given, not two", "--before"]),
        ("dif before.json after.json", &["did you mean `diff`?"]),
        ("receive --grpc-listen nowhere", &["--grpc-listen is no address: nowhere", "hint: expected HOST:PORT"]),
        ("tui before.json after.json", &["the terminal UI needs a terminal", "hint: --render"]),
        ("rekord before.json after.json", &["did you mean `record`?"]),
        ("gate before.json", &["only one input was given: before.json"]),
        ("--tree diff before.json after.json", &["--tree stands in front of the command `diff`"]),
        ("diff --frmat json before.json after.json", &["unexpected argument '--frmat'", "--format"]),
        ("before.json after.json --format xml", &["invalid value 'xml'", "markdown"]),
        ("before.json after.json --limit evnts=1", &["there is no limit `evnts`", "events"]),
        ("before.json after.json --min-time 5", &["a time with its unit"]),
        ("before.json after.json --min-ratio 0.9", &["a ratio of 1 or more"]),
        ("before.json after.json --report xml=x", &["`xml` is none of text, plain, json"]),
        ("--before before.json", &["--after"]),
        ("generate --system shoop -o x", &["there is no system `shoop`", "hint: systems are"]),
        ("generate", &["needs a directory", "hint: add -o DIR"]),
    ] {
        let message = bench.fails(words);
        for part in parts {
            assert!(message.contains(part), "{words}: {part:?} is not in {message}");
        }
    }
}

#[test]
fn flags_go_over_environment_over_file() {
    let bench = Bench::new();
    let count = |command: &mut Command| {
        let output = command.output().unwrap();
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        value["findings"].as_array().unwrap().len()
    };
    let words = "before.json after.json --format json";
    assert_eq!(count(&mut bench.command(words)), 1);
    bench.file("config/spandiff/spandiff.toml", "[diff]\nmax_findings = 0\n");
    assert_eq!(count(&mut bench.command(words)), 0, "the user's file");
    bench.file("spandiff.toml", "[diff]\nmax_findings = 1\n");
    assert_eq!(count(&mut bench.command(words)), 1, "a nearer file");
    assert_eq!(count(bench.command(words).env("SPANDIFF_MAX_FINDINGS", "0")), 0, "environment");
    let words = format!("{words} --max-findings 1");
    assert_eq!(count(bench.command(&words).env("SPANDIFF_MAX_FINDINGS", "0")), 1, "flag");
}

#[test]
fn mistakes_in_the_configuration_name_file_and_line() {
    let bench = Bench::new();
    bench.file("spandiff.toml", "[diff]\nmin_ratio = 1.2\nmin_ration = 1.5\n");
    let message = bench.fails("before.json after.json");
    assert!(message.contains("spandiff.toml is not valid at line 3\ncause: unknown field `min_ration`"), "{message}");
    bench.file("spandiff.toml", "[[operation]]\nservice = \"shop\"\nnam = \"x\"\nignore = true\n");
    assert!(bench.fails("before.json after.json").contains("nam"));
}

#[test]
fn colour_follows_flag_and_environment() {
    let bench = Bench::new();
    let colored = |command: &mut Command| command.output().unwrap().stdout.contains(&0x1b);
    let words = "before.json after.json";
    assert!(!colored(&mut bench.command(words)));
    assert!(colored(&mut bench.command("before.json after.json --color always")));
    assert!(colored(bench.command(words).env("CLICOLOR_FORCE", "1")));
    assert!(colored(bench.command(words).env("SPANDIFF_COLOR", "always")));
    assert!(!colored(bench.command("before.json after.json --color never").env("CLICOLOR_FORCE", "1")));
    assert!(!colored(bench.command(words).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1")));
}

#[test]
fn columns_set_the_width() {
    let bench = Bench::new();
    let output = bench.command("before.json after.json").env("COLUMNS", "72").output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.lines().any(|line| line.chars().count() == 72), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 72), "{shown}");
    assert!(bench.ok("before.json after.json --ascii --tree").is_ascii());
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let bench = Bench::new();
    let wide: Vec<Span<'_>> =
        std::iter::once(("root", 0, 0, 9_000)).chain((0..5_000).map(|n| ("call", 1, n, 1))).collect();
    bench.file("wide.json", &otlp(FIRST, &wide));
    let mut child = bench
        .command("wide.json before.json --format json --tree")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), error(&output).as_str()), (Some(0), ""));
}

#[test]
fn inspect_says_what_is_there() {
    let bench = Bench::new();
    let shown = bench.ok("inspect two.jsonl");
    assert!(shown.starts_with("2 traces, 7 spans, 0 errors, 1 service, 1 entry point\n"), "{shown}");
    assert!(shown.contains("from 2023-11-14T22:13:20.000Z to 2023-11-14T22:13:20.150Z\n"), "{shown}");
    assert!(shown.contains("  #5b8eaa  shop ▸ GET /cart    150 ms  4 spans\n"), "{shown}");
    let value: serde_json::Value = serde_json::from_str(&bench.ok("inspect two.jsonl --format json")).unwrap();
    assert_eq!(value["schema"], "spandiff.inspect/v1");
    assert_eq!(value["totals"]["spans"], 7);
    assert_eq!(value["sources"][0]["formats"][0], "OTLP JSON");
    assert_eq!(value["traces"][0]["trace_id"], SECOND);
    assert_eq!(value["entry_points"][0]["traces"], 2);
}

#[test]
fn generate_writes_both_sides_and_the_truth() {
    let bench = Bench::new();
    assert_eq!(bench.ok("generate --system ride --change slow-leaf --seed 7 -o a"), "");
    bench.ok("generate --system ride --change slow-leaf --seed 7 -o b");
    for name in ["before.json", "after.json", "truth.json"] {
        assert_eq!(read(&bench.path("a").join(name)), read(&bench.path("b").join(name)), "{name}");
    }
    serde_json::from_str::<serde_json::Value>(&read(&bench.path("a/truth.json"))).unwrap();
    bench.ok("generate --format otlp-proto -o c");
    assert!(bench.path("c/after.binpb").is_file());
    let list = bench.ok("generate --list");
    assert!(list.contains("systems\n") && list.contains("  ride ") && list.contains("  slow-leaf "), "{list}");
}

#[test]
fn help_version_completions_and_manual_come_from_one_definition() {
    let bench = Bench::new();
    assert!(bench.ok("--help").contains("Usage: spandiff"));
    assert!(bench.ok("diff --help").contains("--max-findings"));
    assert_eq!(bench.ok("--version"), format!("spandiff {}\n", env!("CARGO_PKG_VERSION")));
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(bench.ok(&format!("completions {shell}")).contains("inspect"), "{shell}");
    }
    assert!(bench.ok("man").contains(".TH spandiff 1"));
    bench.ok("man -o pages");
    assert!(bench.path("pages/spandiff-inspect.1").is_file());
}
