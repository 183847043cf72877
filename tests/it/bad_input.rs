//! Everything that can be wrong with an input, given to the real program: the exit code, and that people are told the
//! file, the place and the way out, or that the JSON counts what was not used.

use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const TRACE: &str = "5b8efff798038103d269b633813fc60c";
const START: u64 = 1_700_000_000_000_000_000;
const MS: u64 = 1_000_000;

/// A folder with one good trace of three spans in it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.put("good.json", good().to_string());
        folder
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spandiff"));
        command.args(words).current_dir(self.0.path()).stdin(Stdio::null());
        command.env_clear().env("XDG_CONFIG_HOME", self.0.path().join("none")).env("TERM", "xterm");
        command.output().unwrap()
    }

    /// The message of a comparison that cannot be made.
    fn refused(&self, name: &str) -> String {
        let output = self.run(&["diff", name, "good.json"]);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}: {message}");
        assert!(output.stdout.is_empty(), "{name}");
        assert!(message.starts_with("error: ") && !message.contains("bug"), "{name}: {message}");
        message
    }

    /// Spans used and warnings of the before side, as the JSON has them.
    fn used(&self, name: &str) -> (u64, Vec<(String, u64)>) {
        let output = self.run(&["diff", name, "good.json", "--format", "json"]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let side = &document["inputs"]["before"];
        let warnings = side["warnings"].as_array().unwrap().iter();
        let warnings = warnings.map(|it| (it["code"].as_str().unwrap().to_owned(), it["count"].as_u64().unwrap()));
        (side["spans"].as_u64().unwrap(), warnings.collect())
    }
}

fn span(id: u64, parent: u64, name: &str, ms: u64) -> Value {
    let parent = if parent == 0 { String::new() } else { format!("{parent:016x}") };
    json!({
        "traceId": TRACE, "spanId": format!("{id:016x}"), "parentSpanId": parent, "name": name, "kind": 2,
        "startTimeUnixNano": START.to_string(), "endTimeUnixNano": (START + ms * MS).to_string(),
    })
}

fn document(spans: &[Value]) -> Value {
    let service = json!([{"key": "service.name", "value": {"stringValue": "shop"}}]);
    json!({"resourceSpans": [{"resource": {"attributes": service}, "scopeSpans": [{"spans": spans}]}]})
}

fn good() -> Value {
    document(&[span(1, 0, "GET /a", 100), span(2, 1, "load", 90), span(3, 2, "SELECT", 40)])
}

fn with(mut span: Value, key: &str, value: Value) -> Value {
    span[key] = value;
    span
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn proto(spans: u64) -> Vec<u8> {
    use prost::Message as _;
    crate::data::request(spans as usize, 3).encode_to_vec()
}

#[test]
fn what_cannot_be_read_is_refused_with_file_place_and_way_out() {
    let folder = Folder::new();
    let text = good().to_string();
    let half = &text[..text.len() / 2];
    let (frames, lying) = (proto(20), [&[0xff; 4][..], &proto(20)].concat());
    let bare = [&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f][..], &proto(20)].concat();
    let deep = "{\"resourceSpans\":[{\"extra\":".to_owned() + &"[".repeat(10_000) + &"]".repeat(10_000) + "}]}";
    let garbage: Vec<u8> = (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8 | 0x80).collect();
    let cases: [(&str, &[u8], &[&str]); 15] = [
        ("garbage.bin", &garbage, &["no trace format is recognised at byte 0", "hint: spandiff reads OTLP"]),
        ("letter.json", b"dear all", &["this is text, not a trace", "hint: spandiff reads OTLP"]),
        ("page.json", b"<!doctype html>502", &["an HTML page", "hint: was a login or error page saved"]),
        (
            "keys.json",
            b"{\"a\":1}",
            &["JSON that is no trace format known here, with the keys \"a\"", "line 1", "hint: "],
        ),
        (
            "cut.json",
            half.as_bytes(),
            &["the JSON document that begins on line 1 is cut off", "hint: the file is not complete"],
        ),
        (
            "cut.json.gz",
            &gzip(text.as_bytes())[..60],
            &["broken gzip stream", "it ends in the middle", "hint: the file seems to be cut off"],
        ),
        (
            "cut.json.zst",
            &zstd(text.as_bytes())[..60],
            &["broken zstd stream", "it ends in the middle", "hint: the file seems to be cut off"],
        ),
        (
            "cut.binpb",
            &frames[..5],
            &["the input ends in the middle of its first record (5 bytes)", "hint: the file seems to be cut off"],
        ),
        (
            "lying.binpb",
            &lying,
            &["the first record claims 4294967299 bytes, and only", "at byte 0", "hint: the file is damaged"],
        ),
        ("lying_bare.binpb", &bare, &["the first record claims 4294967301 bytes", "hint: the file is damaged"]),
        (
            "deep.json",
            deep.as_bytes(),
            &[
                "the nesting of the JSON document at byte 0 (line 1) is over the limit of 128 (json_depth)",
                "--limit json_depth=N",
            ],
        ),
        ("archive.zip", b"PK\x03\x04....", &["this is a zip archive, which spandiff does not read", "hint: unpack it"]),
        ("utf16.json", b"\xff\xfe{\0}\0", &["UTF-16", "hint: save it as UTF-8"]),
        (
            "twice.gz",
            &gzip(&gzip(text.as_bytes())),
            &["a gzip stream inside a gzip stream", "hint: undo the outer gzip"],
        ),
        ("nul.bin", &[0; 3], &["", "hint: "]),
    ];
    for (name, bytes, parts) in cases {
        folder.put(name, bytes);
        let message = folder.refused(name);
        assert!(message.contains(name) || message.contains("before side"), "{name} is not named: {message}");
        for part in parts {
            assert!(message.contains(part), "{name}: {part:?} is not in {message}");
        }
    }
}

#[test]
fn a_wrong_name_of_the_format_is_said() {
    let folder = Folder::new();
    let output = folder.run(&["diff", "good.json", "good.json", "--input-format", "jaeger"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(message.contains("this is OTLP JSON, not what --input-format says"), "{message}");
    assert!(message.contains("hint: leave --input-format out"), "{message}");
    assert_eq!(message.matches("error: ").count(), 1, "one file, one error: {message}");
}

#[test]
fn a_side_without_a_trace_says_what_was_found_instead() {
    let folder = Folder::new();
    folder.put("empty.json", "");
    folder.put("none.json", "{\"resourceSpans\":[]}");
    folder.put("metrics.json", "{\"resourceMetrics\":[{\"scopeMetrics\":[]}]}");
    folder.put("noids.json", document(&[with(span(1, 0, "a", 1), "traceId", json!("xyz"))]).to_string());
    folder.put("folder/a.json", "{\"resourceSpans\":[]}");
    folder.put("other/readme.md", "x");
    let of = |name: &str| folder.refused(name);
    for name in ["empty.json", "none.json", "folder"] {
        let message = of(name);
        assert!(message.contains("the before side holds no trace: nothing to compare"), "{message}");
        assert!(message.contains(&format!("no span that can be used in {name}")), "{message}");
        assert!(message.contains("hint: "), "{message}");
    }
    assert!(of("metrics.json").contains("cause: non_trace_signal 1: records of metrics"));
    let message = of("noids.json");
    assert!(message.contains("cause: invalid_span 1: ") && message.contains("no valid trace id"), "{message}");
    assert!(of("other").contains("no trace file in directory other") && of("other").contains("hint: "));
    let message = of("gone.json");
    assert!(message.contains("cannot read gone.json") && message.contains("hint: check the name"), "{message}");
    let message = of("gone[a.json");
    assert!(message.contains("cannot read gone[a.json") && message.contains("no pattern either"), "{message}");
}

#[test]
fn bombs_stop_at_their_limit_and_name_it() {
    let folder = Folder::new();
    let padded = good().to_string() + &" ".repeat(80 << 20);
    for (name, bytes) in [("bomb.gz", gzip(padded.as_bytes())), ("bomb.zst", zstd(padded.as_bytes()))] {
        folder.put(name, bytes);
        for limit in ["input_bytes=1MiB", "compression_ratio=10"] {
            let output = folder.run(&["diff", name, "good.json", "--limit", limit]);
            let message = String::from_utf8(output.stderr).unwrap();
            let key = limit.split('=').next().unwrap();
            assert_eq!(output.status.code(), Some(2), "{name} {limit}: {message}");
            assert!(message.contains(&format!("({key})")), "{name} {limit}: {message}");
            assert!(message.contains(&format!("raise it: --limit {key}=N")), "{name} {limit}: {message}");
        }
    }
}

#[test]
fn several_bad_files_are_all_named() {
    let folder = Folder::new();
    folder.put("all/a.json", "no");
    folder.put("all/b.json", good().to_string());
    folder.put("all/c.json", "{\"cut\": ");
    let message = folder.refused("all");
    assert!(message.contains("cannot read all/a.json") && message.contains("cannot read all/c.json"), "{message}");
    assert!(!message.contains("b.json"), "{message}");
}

/// What is wrong, the spans of the document, how many are used, and the warnings, sorted.
type Case<'a> = (&'a str, Vec<Value>, u64, &'a [(&'a str, u64)]);

#[test]
fn bad_spans_are_counted_and_cost_no_other() {
    let folder = Folder::new();
    let root = || span(1, 0, "GET /a", 100);
    let time = |start: &str, end: &str| {
        with(with(span(2, 1, "t", 1), "startTimeUnixNano", json!(start)), "endTimeUnixNano", json!(end))
    };
    let nested = |levels: usize| {
        let value = (0..levels).fold(json!({"intValue": 1}), |inner, _| json!({"arrayValue": {"values": [inner]}}));
        with(span(2, 1, "n", 1), "attributes", json!([{"key": "k", "value": value}]))
    };
    let cases: Vec<Case<'_>> = vec![
        ("duplicate", vec![root(), span(2, 1, "x", 1), span(2, 1, "x", 1)], 2, &[("duplicate_span", 1)]),
        ("same id, other span", vec![root(), span(2, 1, "x", 1), span(2, 1, "y", 2)], 2, &[("duplicate_span", 1)]),
        ("cycle", vec![span(1, 3, "a", 1), span(2, 1, "b", 1), span(3, 2, "c", 1)], 3, &[("cycle", 1)]),
        ("its own parent", vec![span(1, 1, "a", 1), span(2, 1, "b", 1)], 2, &[("cycle", 1)]),
        ("orphan", vec![root(), with(span(2, 77, "b", 1), "kind", json!(1))], 2, &[("missing_parent", 1)]),
        // A server whose caller is not there: the hop between was not recorded.
        ("server without caller", vec![root(), span(2, 77, "b", 1)], 2, &[("detached_root", 1)]),
        ("two roots", vec![root(), span(2, 0, "b", 1)], 2, &[("detached_root", 1)]),
        ("no trace id", vec![root(), with(span(2, 1, "b", 1), "traceId", json!("xyz"))], 1, &[("invalid_span", 1)]),
        ("zero span id", vec![root(), span(0, 1, "b", 1)], 1, &[("invalid_span", 1)]),
        ("no span at all", vec![root(), json!(null), json!(7), json!([])], 1, &[("invalid_span", 3)]),
        (
            "ends before it starts",
            vec![root(), time("1700000000000000009", "1700000000000000001")],
            2,
            &[("negative_duration", 1)],
        ),
        ("negative time", vec![root(), time("-5", "7")], 2, &[("clipped_child", 1), ("time_overflow", 1)]),
        (
            "time too large",
            vec![root(), time("99999999999999999999999", "18446744073709551615")],
            2,
            &[("clipped_child", 1), ("time_overflow", 2)],
        ),
        ("no time", vec![root(), time("0", "0")], 2, &[("clipped_child", 1)]),
        ("value too deep", vec![root(), nested(30)], 2, &[]),
    ];
    for (name, spans, used, warnings) in cases {
        folder.put("bad.json", document(&spans).to_string());
        let (found, warned) = folder.used("bad.json");
        let expected: Vec<_> = warnings.iter().map(|&(code, count)| (code.to_owned(), count)).collect();
        let mut sorted = warned.clone();
        sorted.sort();
        assert_eq!((found, sorted), (used, expected), "{name}");
    }
}

#[test]
fn ten_thousand_levels_inside_a_span_cost_that_span() {
    let folder = Folder::new();
    let deep = "{\"arrayValue\":{\"values\":[".repeat(10_000) + "{\"intValue\":1}" + &"]}}".repeat(10_000);
    let bad = with(span(2, 1, "n", 1), "attributes", json!([{"key": "k", "value": "@@"}]));
    let text = document(&[span(1, 0, "GET /a", 100), bad, span(3, 1, "c", 1)]).to_string();
    folder.put("deep.json", text.replace("\"@@\"", &deep));
    assert_eq!(folder.used("deep.json"), (2, vec![("invalid_span".to_owned(), 1)]));
    // The same in protobuf, where a value may be cut instead.
    let mut value = vec![0x18, 1];
    for _ in 0..10_000 {
        for tag in [0x0a, 0x2a] {
            let mut outer = vec![tag];
            prost::encoding::encode_varint(value.len() as u64, &mut outer);
            outer.append(&mut value);
            value = outer;
        }
    }
    let field = |tag: u8, bytes: &[u8]| {
        let mut out = vec![tag];
        prost::encoding::encode_varint(bytes.len() as u64, &mut out);
        [out, bytes.to_vec()].concat()
    };
    let pair = [field(0x0a, b"k"), field(0x12, &value)].concat();
    let span = |id: u8| [field(0x0a, &[7; 16]), field(0x12, &[id; 8]), field(0x2a, b"n")].concat();
    let spans = [field(0x12, &[span(1), field(0x4a, &pair)].concat()), field(0x12, &span(2))].concat();
    folder.put("deep.binpb", field(0x0a, &field(0x12, &spans)));
    let (used, warnings) = folder.used("deep.binpb");
    assert_eq!(used, 2);
    assert!(warnings.contains(&("limit_reached".to_owned(), 1)), "{warnings:?}");
}

#[test]
fn odd_text_is_replaced_or_kept_and_counted() {
    let folder = Folder::new();
    let text = good().to_string();
    for (name, replacement, expected) in [
        ("a lone surrogate", &b"GET \\ud800/a"[..], Some("invalid_utf8")),
        ("invalid UTF-8", b"GET \xff/a", Some("invalid_utf8")),
        ("an escaped NUL", b"GET \\u0000/a", None),
        ("a raw NUL", b"GET \x00/a", None),
    ] {
        let at = text.find("GET /a").unwrap();
        let bytes = [&text.as_bytes()[..at], replacement, &text.as_bytes()[at + 6..]].concat();
        folder.put("odd.json", bytes);
        let (used, warnings) = folder.used("odd.json");
        assert_eq!(used, 3, "{name}");
        let expected: Vec<_> = expected.map(|code| (code.to_owned(), 1)).into_iter().collect();
        assert_eq!(warnings, expected, "{name}");
    }
}

#[test]
fn what_is_readable_before_the_damage_is_used() {
    let folder = Folder::new();
    let line = good().to_string() + "\n";
    folder.put("tail.jsonl", line.clone() + &line[..80]);
    assert_eq!(folder.used("tail.jsonl"), (3, vec![("truncated_tail".to_owned(), 80)]));
    folder.put("middle.jsonl", format!("{line}{{\"broken\": \n{}\n", document(&[span(9, 1, "late", 1)])));
    assert_eq!(folder.used("middle.jsonl"), (4, vec![("invalid_record".to_owned(), 1)]));
    let bytes = proto(200);
    for (name, bytes) in [
        ("cut.binpb", bytes[..bytes.len() - 7].to_vec()),
        ("cut.framed.binpb", [&(bytes.len() as u32).to_be_bytes()[..], &bytes[..bytes.len() - 7]].concat()),
    ] {
        folder.put(name, bytes);
        let (used, warnings) = folder.used(name);
        assert_eq!(used, 199, "{name}");
        assert!(warnings.iter().any(|(code, count)| code == "truncated_tail" && *count > 0), "{name}: {warnings:?}");
    }
}

/// Names, values, keys, messages and file names with escape codes: none may reach a terminal, in any report.
#[test]
fn no_escape_code_of_the_data_reaches_the_terminal() {
    const EVIL: &str = "\u{1b}[31mred\u{1b}]0;title\u{7}\r\n\u{9b}2J\u{202e}\u{0}";
    let folder = Folder::new();
    let evil = |ms: u64, value: &str| {
        let root = with(span(1, 0, &format!("GET {EVIL}"), ms), "status", json!({"code": 2, "message": EVIL}));
        let event = json!([{"name": EVIL, "attributes": [{"key": "exception.type", "value": {"stringValue": EVIL}}]}]);
        let attributes = json!([{"key": format!("k{EVIL}"), "value": {"stringValue": format!("{value}{EVIL}")}}]);
        let child = with(with(span(2, 1, &format!("c{EVIL}"), ms / 2), "attributes", attributes), "events", event);
        let document = document(&[root, child]).to_string();
        document.replace("\"shop\"", &serde_json::to_string(&format!("shop{EVIL}")).unwrap())
    };
    folder.put("b\u{1b}[31m.json", evil(100, "x"));
    folder.put("a\u{1b}[31m.json", evil(300, "y"));
    folder.put("bad\u{1b}[31m.json", "nothing");
    folder.put("two\u{1b}[31m.jsonl", evil(100, "x") + "\n" + &evil(100, "x").replace("5b8e", "6b8e"));
    let (before, after) = ("b\u{1b}[31m.json", "a\u{1b}[31m.json");
    let mut runs: Vec<Vec<&str>> = vec![
        vec!["inspect", before],
        vec!["inspect", before, "--format", "json"],
        vec!["diff", "bad\u{1b}[31m.json", after],
        vec!["diff", "gone\u{1b}[31m.json", after],
        vec!["diff", "gone\u{1b}[3*.json", after],
        vec!["diff", "two\u{1b}[31m.jsonl", after],
        vec!["inspect", "two\u{1b}[31m.jsonl"],
        vec!["diff", before, after, "--\u{1b}[31m"],
        vec!["diff", before, after, "--format", "\u{1b}[31m"],
        vec!["diff", before, after, "--limit", "\u{1b}[31m=1"],
        vec!["\u{1b}[31m"],
        vec!["diff", before, after, "-o", "no\u{1b}[31m/x"],
        vec!["diff", before, after, "--config", "no\u{1b}[31m"],
    ];
    for format in ["text", "json", "markdown", "dot", "folded"] {
        runs.push(vec!["diff", before, after, "--format", format]);
        runs.push(vec!["diff", before, after, "--format", format, "--tree=all"]);
        runs.push(vec!["diff", before, "good.json", "--format", format, "--tree"]);
    }
    for words in runs {
        let output = folder.run(&words);
        for stream in [output.stdout, output.stderr] {
            let text = String::from_utf8(stream).unwrap();
            let raw = text.chars().find(|&c| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c));
            assert!(raw.is_none(), "{raw:?} in the output of {words:?}:\n{}", text.escape_debug());
        }
    }
}
