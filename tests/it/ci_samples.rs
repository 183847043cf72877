//! The templates of `samples/ci` are well-formed, their scripts are shell, and they call `spandiff` as it is called.

use crate::yaml;
use serde_json::Value;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

fn read(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/ci").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    yaml::read(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every script of a document: values of `run`, and of `script`, `before_script` and `args`.
fn scripts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                match inner {
                    Value::String(script) if key == "run" => found.push(script),
                    Value::Array(lines) if ["script", "before_script", "args"].contains(&key.as_str()) => {
                        found.extend(lines.iter().filter_map(Value::as_str));
                    }
                    _ => {}
                }
                scripts(inner, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| scripts(item, found)),
        _ => {}
    }
}

/// What `sh` says about a script without running it.
fn syntax(script: &str) -> Option<String> {
    let mut shell = Command::new("sh").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

fn help(command: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_spandiff")).args([command, "--help"]).output().unwrap();
    assert!(output.status.success(), "there is no `spandiff {command}`");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn scripts_are_shell_and_call_the_program_as_it_is() {
    for name in ["github-actions.yml", "gitlab-ci.yml", "argo-analysis-template.yml"] {
        let document = read(name);
        let mut all = Vec::new();
        scripts(&document, &mut all);
        let mut calls = 0;
        for script in all {
            assert_eq!(syntax(script), None, "{name}: {script}");
            let script = script.replace("\\\n", " ");
            for line in script.lines() {
                let Some((_, call)) = line.split_once("spandiff ").filter(|(before, _)| before.trim().is_empty())
                else {
                    continue;
                };
                let call = call.split("||").next().unwrap_or_default();
                let mut words = call.split_whitespace();
                let command = words.next().unwrap();
                let help = help(command);
                let flags: Vec<&str> = words.filter(|word| word.starts_with('-')).collect();
                for flag in flags {
                    assert!(help.contains(flag), "{name}: `spandiff {command}` has no {flag}");
                }
                calls += 1;
            }
        }
        assert!(calls > 0, "{name} never calls spandiff");
    }
}

#[test]
fn the_templates_have_the_shape_that_their_systems_expect() {
    let github = read("github-actions.yml");
    assert_eq!(github["jobs"]["gate"]["runs-on"], "ubuntu-24.04");
    for step in github["jobs"]["gate"]["steps"].as_array().unwrap() {
        assert!(step["uses"].is_string() != step["run"].is_string(), "{step}: one of uses and run");
    }
    let gitlab = read("gitlab-ci.yml");
    assert_eq!(gitlab["spandiff"]["allow_failure"]["exit_codes"], "3");
    assert_eq!(gitlab["spandiff"]["artifacts"]["reports"]["junit"], "spandiff.xml");
    let argo = read("argo-analysis-template.yml");
    assert_eq!((&argo["apiVersion"], &argo["kind"]), (&"argoproj.io/v1alpha1".into(), &"AnalysisTemplate".into()));
    let metric = &argo["spec"]["metrics"][0];
    let pod = &metric["provider"]["job"]["spec"]["template"]["spec"];
    assert_eq!(pod["restartPolicy"], "Never");
    let known: Vec<&str> = argo["spec"]["args"].as_array().unwrap().iter().filter_map(|a| a["name"].as_str()).collect();
    let text = argo.to_string();
    for used in text.split("{{args.").skip(1) {
        let name = used.split("}}").next().unwrap_or_default();
        assert!(known.contains(&name), "{name} is no argument");
    }
}
