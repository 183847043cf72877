//! Profile files: the generated code is what the schema says, and files keep what profiles hold.

use std::path::Path;
use std::process::{Command, Stdio};

/// The Rust code of the schema, as `src/ingest/profile_codec/generated.rs` must be.
fn generated() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = protox::compile(["spandiff/v1/profile.proto"], [root.join("proto")]).unwrap();
    let out = tempfile::tempdir().unwrap();
    prost_build::Config::new().out_dir(out.path()).compile_fds(schema).unwrap();
    let code = std::fs::read_to_string(out.path().join("spandiff.v1.rs")).unwrap();
    format!(
        "//! Generated from proto/spandiff/v1/profile.proto by the test `the_code_is_what_the_schema_says`.\n{code}"
    )
}

#[test]
fn the_code_is_what_the_schema_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ingest/profile_codec/generated.rs");
    let expected = generated();
    if std::fs::read_to_string(&path).unwrap_or_default() != expected {
        let fresh = std::env::temp_dir().join("spandiff-generated.rs");
        std::fs::write(&fresh, expected).unwrap();
        panic!("{} is not what the schema says; copy {}", path.display(), fresh.display());
    }
}

/// What `spandiff` says on standard output or, where it says nothing there, on standard error.
fn said(folder: &Path, words: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_spandiff"))
        .args(words.split_whitespace())
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(if output.stdout.is_empty() { output.stderr } else { output.stdout }).unwrap()
}

#[test]
fn examples_hold_all_values_and_are_left_out_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let holds = |name: &str, text: &str| {
        let file = std::fs::read(folder.path().join(name)).unwrap();
        let message = zstd::decode_all(&file[10..]).unwrap();
        message.windows(text.len()).any(|part| part == text.as_bytes())
    };
    // A value that nothing but an example keeps: that of an event.
    let secret = "hunter2-and-more";
    let trace = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{:032x}","spanId":"{:016x}","name":"GET /cart","kind":2,"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000100000000","events":[{{"name":"login","attributes":[{{"key":"note","value":{{"stringValue":"{secret}"}}}}]}}]}}]}}]}}]}}"#,
        77, 7
    );
    std::fs::write(folder.path().join("trace.json"), trace).unwrap();
    said(folder.path(), "record trace.json -o with.spanprofile");
    said(folder.path(), "record trace.json --no-examples -o without.spanprofile");
    // Also those of profiles among the inputs.
    said(folder.path(), "record with.spanprofile --no-examples -o again.spanprofile");
    let [with, without, again] = ["with", "without", "again"].map(|name| holds(&format!("{name}.spanprofile"), secret));
    assert_eq!([with, without, again], [true, false, false]);
    let same = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert_eq!(same("without.spanprofile"), same("again.spanprofile"));
    let shown = said(folder.path(), "inspect with.spanprofile");
    assert!(shown.contains("1 example trace with all attributes, "), "{shown}");
    assert!(said(folder.path(), "inspect without.spanprofile").contains("no example traces"));
    let json: serde_json::Value =
        serde_json::from_str(&said(folder.path(), "inspect --format json with.spanprofile without.spanprofile"))
            .unwrap();
    assert_eq!(json["profiles"][0]["example_traces"], 1);
    assert!(json["profiles"][0]["example_bytes"].as_u64().unwrap() > 100);
    assert_eq!((&json["profiles"][1]["example_traces"], &json["profiles"][1]["example_bytes"]), (&0.into(), &0.into()));
    assert!(said(folder.path(), "record --help").contains("--no-examples"));
}
