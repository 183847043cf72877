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

#[test]
fn sides_are_chosen_by_files_times_and_conditions() {
    let bench = Bench::new();
    let sides = |words: &str| {
        let json = bench.json(&format!("diff --format json {words}"));
        assert_eq!(json["mode"], "population", "{words}");
        let side = |name: &str| (json["inputs"][name]["traces"].clone(), json["inputs"][name]["spans"].clone());
        [side("before"), side("after")]
    };
    let count = |traces: u64| (serde_json::Value::from(traces), serde_json::Value::from(2 * traces));
    assert_eq!(sides("before.jsonl after.jsonl"), [count(300), count(300)]);
    assert_eq!(sides("--before before.jsonl --after after.jsonl --after before.jsonl"), [count(300), count(600)]);
    let at = "--input both.jsonl --split-at";
    assert_eq!(sides(&format!("{at} 1700000300")), [count(300), count(300)]);
    assert_eq!(sides(&format!("{at} 2023-11-14T22:18:20Z")), [count(300), count(300)]);
    assert_eq!(sides(&format!("{at} 1700000300000000001")), [count(301), count(299)]);
    assert_eq!(sides(&format!("{at} 1700000300 --skip-after-split 1m")), [count(300), count(240)]);
    let by = "--input before.jsonl --input after.jsonl";
    let version = |before: &str, after: &str| format!("{by} --before-where {before} --after-where {after}");
    assert_eq!(sides(&version("service.version=1", "service.version=2")), [count(300), count(300)]);
    assert_eq!(sides(&version("service.version=1", "shop:service.version!~^1$")), [count(300), count(300)]);
    // What meets both stands on neither side, and is counted.
    let second = traces(600..610, "2", 30).replace("00000000000000a", "00000000000000b");
    bench.file("mixed.jsonl", &(traces(600..610, "1", 30) + &second));
    let chosen = version("service.version=1", "service.version=2");
    let json = bench.json(&format!("diff --format json --input mixed.jsonl {chosen}"));
    for side in ["before", "after"] {
        assert_eq!(json["inputs"][side]["traces"], 300);
        let warnings = json["inputs"][side]["warnings"].as_array().unwrap();
        let both = warnings.iter().find(|warning| warning["code"] == "both_sides").unwrap();
        assert_eq!(both["count"], 10);
    }
    let shown =
        bench.fails(2, "diff --input mixed.jsonl --before-where service.version=1 --after-where service.version=2");
    assert!(shown.contains("10 traces that meet the conditions of both sides were left out"), "{shown}");
}

#[test]
fn a_profile_stands_for_its_traces() {
    let bench = Bench::new();
    bench.ok("record before.jsonl -o before.spanprofile");
    bench.ok("record after.jsonl -o after.spanprofile");
    let of = |words: &str| {
        let mut json = bench.json(&format!("diff --format json {words}"));
        for side in ["before", "after"] {
            json["inputs"][side]["sources"].take();
        }
        json
    };
    let traces = of("before.jsonl after.jsonl");
    for words in
        ["before.spanprofile after.spanprofile", "before.spanprofile after.jsonl", "before.jsonl after.spanprofile"]
    {
        assert_eq!(of(words), traces, "{words}");
    }
    for threads in ["1", "2"] {
        assert_eq!(of(&format!("before.jsonl after.jsonl --threads {threads}")), traces, "{threads}");
    }
    let pipe = |input: &str| {
        let mut command = bench.command(&["diff", "--format", "json", "-", "after.jsonl"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&bench.bytes(input)).unwrap();
        let output = child.wait_with_output().unwrap();
        let mut json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        for side in ["before", "after"] {
            json["inputs"][side]["sources"].take();
        }
        json
    };
    assert_eq!(pipe("before.jsonl"), traces);
    assert_eq!(pipe("before.spanprofile"), traces);
    std::fs::copy(bench.path("before.spanprofile"), bench.path("again.spanprofile")).unwrap();
    let json =
        bench.json("diff --format json --before before.spanprofile --before again.spanprofile --after after.jsonl");
    let reasons = json["comparable"]["reasons"].as_array().unwrap().clone();
    assert!(reasons.iter().any(|reason| reason["code"] == "same_input_twice"), "{reasons:?}");
}

#[test]
fn one_trace_on_each_side_is_a_pair_however_it_was_chosen() {
    let bench = Bench::new();
    bench.file("first.jsonl", &traces(0..1, "1", 30));
    bench.file("second.jsonl", &traces(1..2, "2", 30));
    bench.file("two.jsonl", &traces(0..2, "1", 30));
    for words in
        ["first.jsonl second.jsonl", "first.jsonl second.jsonl --entry GET", "--input two.jsonl --split-at 1700000001"]
    {
        let words = words.replace("--entry GET", "--where service.name=shop");
        assert_eq!(bench.json(&format!("diff --format json {words}"))["mode"], "pair", "{words}");
    }
    bench.ok("record first.jsonl -o first.spanprofile");
    assert_eq!(bench.json("diff --format json first.spanprofile second.jsonl")["mode"], "population");
    assert_eq!(bench.json("diff --format json first.jsonl before.jsonl")["mode"], "population");
}

#[test]
fn an_empty_side_says_which_condition_no_trace_meets() {
    let bench = Bench::new();
    for (words, parts) in [
        (
            "before.jsonl after.jsonl --where service.version=2",
            &["no trace is left on the before side", "none of 300 traces meets --where service.version=2", "`1`"][..],
        ),
        ("before.jsonl after.jsonl --where color=red", &["no span has the attribute color"]),
        ("before.jsonl after.jsonl --entry POST", &["--entry `POST` was wanted", "traces enter at `GET /cart`"]),
        (
            "--input both.jsonl --before-where service.version=1 --after-where service.version=7",
            &["no trace is left on the after side", "meets --after-where service.version=7", "`1`, `2`"],
        ),
        ("--input both.jsonl --split-at 1600000000", &["before side", "begin between 2023-11-14T22:13:20.000Z and"]),
    ] {
        let shown = bench.fails(2, &format!("diff {words}"));
        for part in parts {
            assert!(shown.contains(part), "{words}: {part:?} is not in {shown}");
        }
        let output = bench.run(&format!("gate {words}"));
        assert_eq!(output.status.code(), Some(3), "{words}: {}", error(&output));
        assert!(error(&output).contains(parts[0]), "{words}: {}", error(&output));
        assert!(String::from_utf8_lossy(&output.stdout).contains("INCONCLUSIVE"), "{words}");
    }
    bench.file("empty.jsonl", "");
    for flags in ["", "--on-inconclusive pass", "--fail-on never --on-inconclusive pass"] {
        assert_ne!(bench.run(&format!("gate before.jsonl empty.jsonl {flags}")).status.code(), Some(0), "{flags}");
    }
    assert_eq!(bench.run("gate empty.jsonl after.jsonl").status.code(), Some(3));
    assert!(bench.fails(2, "diff before.jsonl empty.jsonl").contains("the after side holds no trace"));
    assert!(bench.fails(2, "gate before.jsonl gone.jsonl").contains("cannot read gone.jsonl"));
}

#[test]
fn the_gate_ends_with_its_verdict() {
    let bench = Bench::new();
    bench.file("slow.jsonl", &traces(300..600, "2", 90));
    assert_eq!(bench.run("gate before.jsonl after.jsonl").status.code(), Some(0));
    let output = bench.run("gate before.jsonl slow.jsonl");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains("GET /cart"), "{shown}");
    assert_eq!(bench.run("gate before.jsonl slow.jsonl --fail-on never").status.code(), Some(0));
    bench.file("few.jsonl", &traces(300..305, "2", 30));
    assert_eq!(bench.run("gate before.jsonl few.jsonl").status.code(), Some(3));
    assert_eq!(bench.run("gate before.jsonl few.jsonl --on-inconclusive pass").status.code(), Some(0));
    assert_eq!(bench.run("gate before.jsonl few.jsonl --on-inconclusive fail").status.code(), Some(1));
    // One trace each is no population to judge.
    bench.file("one.jsonl", &traces(0..1, "1", 30));
    assert_eq!(bench.run("gate one.jsonl one.jsonl").status.code(), Some(3));
    let formats = ["text", "json", "markdown", "junit", "github", "openmetrics", "chat"];
    let reports = formats.map(|format| format!(" --report {format}=out.{format}")).concat();
    let first = bench.run(&format!("gate before.jsonl slow.jsonl --format json --threads 1{reports}"));
    let files: Vec<Vec<u8>> = formats.iter().map(|format| bench.bytes(&format!("out.{format}"))).collect();
    let second = bench.run(&format!("gate before.jsonl slow.jsonl --format json --threads 2{reports}"));
    assert_eq!(first.stdout, second.stdout);
    let again: Vec<Vec<u8>> = formats.iter().map(|format| bench.bytes(&format!("out.{format}"))).collect();
    assert!(files == again && files.iter().all(|file| !file.is_empty()));
    let json: serde_json::Value = serde_json::from_slice(&first.stdout).unwrap();
    assert_eq!((&json["schema"], &json["verdict"]["result"]), (&"spandiff.gate/v1".into(), &"fail".into()));
    // However few findings a report lists, all are judged.
    assert_eq!(bench.run("gate before.jsonl slow.jsonl --max-findings 0").status.code(), Some(1));
}

#[test]
fn a_policy_comes_from_its_file_or_the_configuration() {
    let bench = Bench::new();
    bench.file("slow.jsonl", &traces(300..600, "2", 90));
    bench.file("ok.toml", "[[accept]]\npath = \"GET /cart/**\"\nreason = \"known\"\nuntil = \"2026-06-30\"\n[[accept]]\npath = \"GET /cart\"\nreason = \"known\"\nuntil = \"2026-06-30\"\n");
    let gate = |today: &str, words: &[&str]| {
        let mut all = vec!["gate", "before.jsonl", "slow.jsonl"];
        all.extend(words);
        bench.command(&all).env("SPANDIFF_TODAY", today).output().unwrap()
    };
    assert_eq!(gate("2026-06-30", &["--policy", "ok.toml"]).status.code(), Some(0));
    assert_eq!(gate("2026-07-01", &["--policy", "ok.toml"]).status.code(), Some(1));
    let output = gate("someday", &[]);
    assert!(
        output.status.code() == Some(2) && error(&output).contains("SPANDIFF_TODAY is no date"),
        "{}",
        error(&output)
    );
    bench.file("spandiff.toml", "[gate]\nfail_on = \"never\"\n");
    assert_eq!(gate("2026-06-30", &[]).status.code(), Some(0));
    assert_eq!(gate("2026-06-30", &["--fail-on", "fail"]).status.code(), Some(1));
    for (text, parts) in [
        ("[gate]\nmin_efect = \"5%\"\n", &["policy bad.toml is not valid at line 2", "min_efect"][..]),
        ("[gate]\nmin_effect = 5\n", &["at line 2"]),
        ("[[rule]]\nmatch = { entry = \"GET /cart\" }\ncritcal = true\n", &["critcal"]),
    ] {
        bench.file("bad.toml", text);
        let output = gate("2026-06-30", &["--policy", "bad.toml"]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        for part in parts {
            assert!(error(&output).contains(part), "{text}: {}", error(&output));
        }
    }
    assert!(error(&gate("2026-06-30", &["--policy", "gone.toml"])).contains("cannot read policy gone.toml"));
}

#[test]
fn calibration_counts_false_alarms_and_finds_the_smallest_slowdown() {
    let bench = Bench::new();
    let json = bench.json("calibrate both.jsonl --splits 20 --format json");
    assert_eq!((&json["schema"], &json["traces"]), (&"spandiff.calibrate/v1".into(), &600.into()));
    let splits: u64 = ["pass", "warn", "inconclusive", "fail"]
        .iter()
        .map(|name| json["verdicts"][name]["splits"].as_u64().unwrap())
        .sum();
    assert_eq!(splits, 20);
    assert_eq!(json["verdicts"]["fail"]["splits"], 0);
    let slowest = &json["slowdowns"][0];
    assert_eq!(slowest["path"][1], "shop: load");
    let named = slowest["named_from"].as_f64().unwrap();
    assert!((1.05..=1.5).contains(&named), "{slowest}");
    assert_eq!(bench.json("calibrate both.jsonl --splits 20 --format json --threads 1"), json);
    bench.ok("record both.jsonl -o both.spanprofile");
    assert_eq!(bench.json("calibrate both.spanprofile --splits 20 --format json"), json);
    let text = bench.ok("calibrate both.spanprofile --splits 3");
    assert!(text.contains("3 splits of 600 traces") && text.contains("not calibrated"), "{text}");
    bench.file("empty.jsonl", "");
    assert!(bench.fails(2, "calibrate empty.jsonl").contains("no trace was found"));
}
