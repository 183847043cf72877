//! The templates of `samples/ci` are well-formed, their scripts are shell, and they call `spandiff` as it is called.

use serde_json::{Map, Value};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// A reader of the plain part of YAML that the templates keep to: block mappings and sequences, one-line scalars, flow
/// sequences of words, literal blocks. Everything else is an error, and so is what a careless edit makes of it.
struct Yaml<'a> {
    /// Number, indentation and content.
    lines: Vec<(usize, usize, &'a str)>,
    at: usize,
    text: &'a str,
}

impl<'a> Yaml<'a> {
    fn read(text: &'a str) -> Result<Value, String> {
        let mut lines = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if line.contains('\t') || line.ends_with(' ') {
                return Err(format!("line {}: a tab, or a blank at its end", number + 1));
            }
            lines.push((number, line.len() - line.trim_start().len(), line.trim_start()));
        }
        let mut yaml = Yaml { lines, at: 0, text };
        let value = yaml.node(0)?;
        match yaml.next() {
            None => Ok(value),
            Some((_, content)) => Err(yaml.error(&format!("`{content}` is at the wrong depth"))),
        }
    }

    fn error(&self, what: &str) -> String {
        format!("line {}: {what}", self.lines.get(self.at).map_or(0, |line| line.0) + 1)
    }

    /// The next line with content: indentation and content.
    fn next(&mut self) -> Option<(usize, &'a str)> {
        while let Some(&(_, depth, content)) = self.lines.get(self.at) {
            if !content.is_empty() && !content.starts_with('#') {
                return Some((depth, content));
            }
            self.at += 1;
        }
        None
    }

    fn node(&mut self, depth: usize) -> Result<Value, String> {
        match self.next() {
            Some((here, content)) if here == depth && content.starts_with("- ") => self.sequence(depth),
            Some((here, _)) if here == depth => self.mapping(depth),
            _ => Err(self.error("nothing where something should stand")),
        }
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, String> {
        let mut items = Vec::new();
        while let Some((here, content)) = self.next() {
            let Some(item) = content.strip_prefix("- ").filter(|_| here == depth) else { break };
            if item == "|" {
                self.at += 1;
                items.push(self.literal(depth));
            } else if split_key(item).is_some() {
                // The mapping begins behind the dash: as if its first key stood there alone.
                self.lines[self.at].1 = depth + 2;
                self.lines[self.at].2 = item;
                items.push(self.mapping(depth + 2)?);
            } else {
                items.push(self.scalar(item)?);
                self.at += 1;
            }
        }
        Ok(Value::Array(items))
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, String> {
        let mut map = Map::new();
        while let Some((here, content)) = self.next() {
            if here != depth || content.starts_with("- ") {
                break;
            }
            let (key, rest) = split_key(content).ok_or_else(|| self.error(&format!("`{content}` has no key")))?;
            let value = if rest == "|" {
                self.at += 1;
                self.literal(depth)
            } else if rest.is_empty() {
                self.at += 1;
                let inner = self.next().map_or(0, |(inner, _)| inner);
                if inner <= depth {
                    return Err(self.error(&format!("`{key}` is empty")));
                }
                self.node(inner)?
            } else {
                let value = self.scalar(rest)?;
                self.at += 1;
                value
            };
            if map.insert(key.to_owned(), value).is_some() {
                return Err(self.error(&format!("`{key}` stands there twice")));
            }
        }
        Ok(Value::Object(map))
    }

    fn scalar(&self, text: &str) -> Result<Value, String> {
        if let Some(list) = text.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
            return Ok(list.split(", ").map(|one| Value::from(one.trim())).collect());
        }
        if let Some(quoted) = text.strip_prefix('"') {
            let inner = quoted.strip_suffix('"').filter(|inner| !inner.contains(['"', '\\']));
            return inner.map(Value::from).ok_or_else(|| self.error(&format!("`{text}`: quotes do not match")));
        }
        let plain = !text.starts_with(['{', '&', '*', '!', '%', '@', '`', '\'', '|', '>'])
            && !text.contains(": ")
            && !text.contains(" #");
        if plain { Ok(Value::from(text)) } else { Err(self.error(&format!("`{text}` needs quotes"))) }
    }

    /// The lines that are deeper than `depth`, as they stand.
    fn literal(&mut self, depth: usize) -> Value {
        let mut block = String::new();
        let first = self.lines.get(self.at).map_or(0, |line| line.1);
        while let Some(&(number, here, content)) = self.lines.get(self.at) {
            if !content.is_empty() && here <= depth {
                break;
            }
            let line = self.text.lines().nth(number).unwrap_or_default();
            block.push_str(line.get(first..).unwrap_or_default());
            block.push('\n');
            self.at += 1;
        }
        Value::from(block)
    }
}

/// `key: rest` or `key:`.
fn split_key(content: &str) -> Option<(&str, &str)> {
    let (key, rest) = content.split_once(": ").or_else(|| Some((content.strip_suffix(':')?, "")))?;
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
    is_key.then_some((key, rest))
}

fn read(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/ci").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    Yaml::read(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn the_reader_reads_what_it_should_and_nothing_else() {
    let text = "a: 1\nb:\n  - x: \"y\"\n    z: [p, q]\n  - word\n  - |\n    one\n      two\n\n    three\nc:\n  d: e\n";
    let read = Yaml::read(text).unwrap();
    assert_eq!(
        read,
        serde_json::json!({
            "a": "1",
            "b": [{"x": "y", "z": ["p", "q"]}, "word", "one\n  two\n\nthree\n"],
            "c": {"d": "e"},
        })
    );
    for wrong in ["a: b: c\n", "a:\nb: 1\n", "a: 1\n   b: 2\n", "a: \"x\n", "a: 1\na: 2\n", "- x\nb: 1\n", "a:\t1\n"] {
        assert!(Yaml::read(wrong).is_err(), "{wrong:?}");
    }
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
