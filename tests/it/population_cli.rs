//! Populations through the real program: profiles, sides, the gate, and what is wrong with them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A folder of its own, in which no configuration and no environment of the developer is seen.
struct Bench {
    dir: TempDir,
}

/// Traces of `GET /cart` that call `load`, one a second from `first` on, for all numbers of the range.
fn traces(numbers: std::ops::Range<u64>, version: &str, load_ms: u64) -> String {
    let mut text = String::new();
    for number in numbers {
        // Spread like real traffic is, the same in every run.
        let jitter = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60;
        let id =
            format!("{:032x}", u128::from(number.wrapping_mul(0xd6e8_feb8_6659_fd93)) << 64 | u128::from(number + 1));
        let start = (1_700_000_000_000 + number * 1_000) * 1_000_000;
        let load = (load_ms + jitter) * 1_000_000;
        let end = start + load + 20_000_000;
        let _ = writeln!(
            text,
            r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"shop"}}}},{{"key":"service.version","value":{{"stringValue":"{version}"}}}}]}},"scopeSpans":[{{"spans":[{{"traceId":"{id}","spanId":"00000000000000a1","name":"GET /cart","kind":2,"startTimeUnixNano":"{start}","endTimeUnixNano":"{end}"}},{{"traceId":"{id}","spanId":"00000000000000a2","parentSpanId":"00000000000000a1","name":"load","kind":1,"startTimeUnixNano":"{}","endTimeUnixNano":"{}"}}]}}]}}]}}"#,
            start + 10_000_000,
            start + 10_000_000 + load,
        );
    }
    text
}

impl Bench {
    /// `before.jsonl` and `after.jsonl` with 300 traces each, `both.jsonl` with all of them: the before side first, in
    /// version 1, then the after side in version 2.
    fn new() -> Bench {
        let bench = Bench { dir: tempfile::tempdir().unwrap() };
        let (before, after) = (traces(0..300, "1", 30), traces(300..600, "2", 30));
        bench.file("before.jsonl", &before);
        bench.file("after.jsonl", &after);
        bench.file("both.jsonl", &(before + &after));
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spandiff"));
        command.args(words).current_dir(self.dir.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SPANDIFF_")) {
            command.env_remove(name);
        }
        command.env("XDG_CONFIG_HOME", self.path("config")).env("TERM", "xterm").env("TMPDIR", self.dir.path());
        command
    }

    fn run(&self, words: &str) -> Output {
        self.command(&words.split_whitespace().collect::<Vec<_>>()).output().unwrap()
    }

    /// Standard output of a run that ends with 0.
    fn ok(&self, words: &str) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(0), "{words}: {}", error(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Standard error of a run that ends with `code`.
    fn fails(&self, code: i32, words: &str) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(code), "{words}: {}", error(&output));
        error(&output)
    }

    fn json(&self, words: &str) -> serde_json::Value {
        serde_json::from_str(&self.ok(words)).unwrap()
    }
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_hundred_profiles_merge_to_the_same_bytes_in_any_order() {
    let bench = Bench::new();
    let mut parts = Vec::new();
    for part in 0..100 {
        let name = format!("parts/{part}.jsonl");
        bench.file(&name, &traces(part * 6..part * 6 + 6, if part < 50 { "1" } else { "2" }, 30));
        bench.ok(&format!("record {name} -o parts/{part}.spanprofile"));
        parts.push(format!("parts/{part}.spanprofile"));
    }
    let merge = |order: Vec<&String>, to: &str| {
        let list: Vec<&str> = order.iter().map(|name| name.as_str()).collect();
        bench.ok(&format!("merge {} -o {to}", list.join(" ")));
        bench.bytes(to)
    };
    let forward = merge(parts.iter().collect(), "forward.spanprofile");
    assert_eq!(merge(parts.iter().rev().collect(), "backward.spanprofile"), forward);
    merge(parts.iter().step_by(2).collect(), "even.spanprofile");
    merge(parts.iter().skip(1).step_by(2).collect(), "odd.spanprofile");
    bench.ok("merge odd.spanprofile even.spanprofile -o halves.spanprofile");
    assert_eq!(bench.bytes("halves.spanprofile"), forward);
    // The same traces out of one file are the same, but for the hash of that file.
    bench.ok("record both.jsonl -o whole.spanprofile");
    let seen = |name: &str| {
        let mut seen = bench.json(&format!("inspect --format json {name}"))["profiles"][0].clone();
        for key in ["name", "inputs"] {
            seen[key].take();
        }
        seen
    };
    assert_eq!(seen("whole.spanprofile"), seen("forward.spanprofile"));
    assert!(!names(bench.dir.path()).iter().any(|name| name.contains("tmp")), "{:?}", names(bench.dir.path()));
}

#[test]
fn threads_streams_and_the_order_of_files_do_not_show_in_a_profile() {
    let bench = Bench::new();
    bench.ok("record before.jsonl after.jsonl -o one.spanprofile --threads 1");
    bench.ok("record after.jsonl before.jsonl -o two.spanprofile --threads 2");
    assert_eq!(bench.bytes("one.spanprofile"), bench.bytes("two.spanprofile"));
    let mut child = bench
        .command(&["record", "-", "after.jsonl", "-o", "stream.spanprofile"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&bench.bytes("before.jsonl")).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(bench.bytes("stream.spanprofile"), bench.bytes("one.spanprofile"));
    // A trace whose spans lie in several files is put together.
    let text = String::from_utf8(bench.bytes("before.jsonl")).unwrap();
    let (mut roots, mut rest) = (String::new(), String::new());
    for line in text.lines() {
        let (head, tail) = line.split_once(r#",{"traceId""#).unwrap();
        let open = head.split_once(r#"{"traceId""#).unwrap().0;
        let _ = writeln!(roots, "{head}]}}]}}]}}");
        let _ = writeln!(rest, r#"{open}{{"traceId"{tail}"#);
    }
    bench.file("roots.jsonl", &roots);
    bench.file("rest.jsonl", &rest);
    bench.ok("record rest.jsonl roots.jsonl -o cut.spanprofile");
    let cut = bench.json("inspect --format json cut.spanprofile");
    assert_eq!((&cut["profiles"][0]["traces"], &cut["profiles"][0]["partial_traces"]), (&300.into(), &0.into()));
}

#[test]
fn a_profile_says_what_is_in_it() {
    let bench = Bench::new();
    bench.ok("record both.jsonl -o both.spanprofile");
    let text = bench.ok("inspect both.spanprofile");
    for part in
        ["600 traces, 1,200 spans", "2 call paths", "shop ▸ GET /cart", "shop 1", "sampling: unknown", "2023-11-14"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json = bench.json("inspect --format json both.spanprofile before.jsonl");
    let profile = &json["profiles"][0];
    assert_eq!((&profile["traces"], &profile["spans"], &profile["paths"]), (&600.into(), &1_200.into(), &2.into()));
    assert_eq!((&json["totals"]["traces"], &json["sampling"]), (&300.into(), &"unknown".into()));
    let stored = bench.bytes("both.spanprofile").len();
    assert!(stored < 8_000, "{stored} bytes");
    // A trace state says how traces were sampled.
    let sampled =
        |text: &str, state: &str| text.replace(r#""kind":2"#, &format!(r#""kind":2,"traceState":"ot=th:{state}""#));
    let before = String::from_utf8(bench.bytes("before.jsonl")).unwrap();
    bench.file("all.jsonl", &sampled(&before, "0"));
    assert_eq!(bench.json("inspect --format json all.jsonl")["sampling"], "none");
    bench.ok("record all.jsonl -o all.spanprofile");
    assert_eq!(bench.json("inspect --format json all.spanprofile")["profiles"][0]["sampling"], "none");
}

#[test]
fn filters_choose_traces_when_recording() {
    let bench = Bench::new();
    let traces = |words: &str| {
        bench.ok(&format!("record both.jsonl -o chosen.spanprofile {words}"));
        bench.json("inspect --format json chosen.spanprofile")["profiles"][0]["traces"].clone()
    };
    assert_eq!(traces("--where service.version=1"), 300);
    assert_eq!(traces("--where service.version!=1"), 300);
    assert_eq!(traces("--where service.version~[12] --where shop:service.version=2"), 300);
    assert!(bench.fails(2, "record both.jsonl -o chosen.spanprofile --entry load").contains("no trace was found"));
}

#[test]
fn the_same_input_twice_is_said() {
    let bench = Bench::new();
    bench.ok("record before.jsonl -o a.spanprofile");
    std::fs::copy(bench.path("a.spanprofile"), bench.path("b.spanprofile")).unwrap();
    let output = bench.run("merge a.spanprofile b.spanprofile -o c.spanprofile");
    assert_eq!(output.status.code(), Some(0));
    assert!(error(&output).contains("warning: b.spanprofile shares an input"), "{}", error(&output));
    assert!(error(&bench.run("merge a.spanprofile b.spanprofile -o c.spanprofile -q")).is_empty());
}

#[test]
fn what_is_no_profile_is_refused_with_its_name() {
    let bench = Bench::new();
    bench.ok("record before.jsonl -o good.spanprofile");
    let good = bench.bytes("good.spanprofile");
    let damaged = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        std::fs::write(bench.path(name), bytes).unwrap();
    };
    damaged("later.spanprofile", &|bytes| bytes[9] = 7);
    damaged("cut.spanprofile", &|bytes| bytes.truncate(bytes.len() / 2));
    damaged("flipped.spanprofile", &|bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
    });
    damaged("head.spanprofile", &|bytes| bytes.truncate(9));
    for (name, words) in [
        ("later.spanprofile", "version 7, and this program reads version 1"),
        ("cut.spanprofile", "broken zstd stream"),
        ("flipped.spanprofile", "zstd stream"),
        ("head.spanprofile", "damaged at its first bytes"),
    ] {
        for command in ["merge good.spanprofile {} -o x.spanprofile", "inspect {}", "diff good.spanprofile {}"] {
            let shown = bench.fails(2, &command.replace("{}", name));
            assert!(
                shown.contains(&format!("error: cannot read {name}")) && shown.contains(words),
                "{command} {name}: {shown}"
            );
        }
    }
    assert!(!bench.path("x.spanprofile").exists());
    let shown = bench.fails(2, "merge good.spanprofile before.jsonl -o x.spanprofile");
    assert!(shown.contains("before.jsonl is not a profile") && shown.contains("spandiff record"), "{shown}");
    let shown = bench.fails(2, "merge before.jsonl -o x.spanprofile --input-format profile");
    assert!(shown.contains("cannot read before.jsonl") && shown.contains("not a profile"), "{shown}");
    let shown = bench.fails(2, "inspect good.spanprofile --input-format otlp-json");
    assert!(shown.contains("cannot read good.spanprofile"), "{shown}");
    for (words, part) in [
        ("record good.spanprofile --where a=b -o x.spanprofile", "--where and --entry cannot be applied"),
        ("record before.jsonl#12 -o x.spanprofile", "not #12 alone"),
        ("record before.jsonl", "add -o FILE"),
        ("merge good.spanprofile", "add -o FILE"),
        ("record before.jsonl -o missing/x.spanprofile", "cannot write missing/x.spanprofile"),
        ("record before.jsonl --where service.version=9 -o x.spanprofile", "no trace was found"),
        ("record before.jsonl --where nonsense -o x.spanprofile", "`nonsense` is no condition"),
        ("record before.jsonl --where k~( -o x.spanprofile", "no regular expression"),
        ("diff good.spanprofile#12 good.spanprofile", "#12 cannot be taken out of good.spanprofile"),
    ] {
        let shown = bench.fails(2, words);
        assert!(shown.contains(part), "{words}: {shown}");
    }
}

#[test]
fn contradictions_of_the_sides_are_errors() {
    let bench = Bench::new();
    bench.ok("record before.jsonl -o good.spanprofile");
    for (words, part) in [
        ("diff --input both.jsonl", "nothing says which trace is on which"),
        ("diff both.jsonl --split-at 1700000300", "--input"),
        ("diff both.jsonl", "--input both.jsonl --split-at"),
        ("diff --input both.jsonl --split-at yesterday", "2026-11-22T14:00:00Z"),
        ("diff --input both.jsonl --split-at 1700000300 --before-where a=b --after-where a=c", "cannot be used with"),
        ("diff --input both.jsonl --before-where service.version=1", "--after-where"),
        ("diff --input both.jsonl before.jsonl after.jsonl", "cannot be used with"),
        ("diff before.jsonl after.jsonl --skip-after-split 5m", "--split-at"),
        ("diff --input both.jsonl --split-at 1700000300 --skip-after-split 5", "90s, 5m, 2h"),
        ("diff --input both.jsonl#12 --split-at 1700000300", "cannot be divided"),
        ("diff --input good.spanprofile --split-at 1700000300", "good.spanprofile cannot be divided"),
        ("diff good.spanprofile good.spanprofile --where a=b", "cannot be applied to good.spanprofile"),
    ] {
        let shown = bench.fails(2, words);
        assert!(shown.contains(part), "{words}: {shown}");
    }
}
