//! The samples of `samples/deploy`: well-formed, without loose ends, and in the words of the program as it is.

use crate::yaml;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Ports that stand in the contract, and 9090, which is Prometheus, and 8080, which is the service that is deployed.
const PORTS: [&str; 5] = ["4317", "4318", "4319", "8080", "9090"];
const PATHS: [&str; 10] = [
    "/healthz",
    "/metrics",
    "/openapi.json",
    "/readyz",
    "/v1/diff",
    "/v1/gate",
    "/v1/gate/flagger",
    "/v1/mark",
    "/v1/profile",
    "/v1/status",
];
const COLLECTORS: [&str; 2] = ["collector-fanout.yml", "collector-files.yml"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/deploy")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

fn documents(name: &str) -> Vec<Value> {
    yaml::documents(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// All files, sorted: name and content.
fn files() -> Vec<(String, String)> {
    let names = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut all: Vec<_> = names.map(|name| (name.clone(), text(&name))).collect();
    all.sort();
    all
}

fn help() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_spandiff")).args(["receive", "--help"]).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// Every value below `key`, wherever it stands.
fn under<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                if name == key {
                    found.push(inner);
                }
                under(inner, key, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| under(item, key, found)),
        _ => {}
    }
}

fn names(value: &Value) -> BTreeSet<&str> {
    match value {
        Value::Object(map) => map.keys().map(String::as_str).collect(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn every_file_is_named_in_the_readme_and_every_link_leads_somewhere() {
    let readme = text("README.md");
    for (name, _) in files() {
        assert!(name == "README.md" || readme.contains(&format!("({name})")), "{name}");
    }
    for link in readme.split("](").skip(1).map(|rest| rest.split(')').next().unwrap_or_default()) {
        assert!(folder().join(link).exists(), "{link}");
    }
}

#[test]
fn a_collector_defines_what_its_pipelines_name_and_uses_what_it_defines() {
    for file in COLLECTORS {
        let config = &documents(file)[0];
        let service = &config["service"];
        let mut used = BTreeSet::new();
        for (name, pipeline) in service["pipelines"].as_object().unwrap() {
            for part in ["receivers", "processors", "exporters"] {
                let (named, defined) = (names(&pipeline[part]), names(&config[part]));
                assert!(!named.is_empty(), "{file}: {name} has no {part}");
                assert!(named.is_subset(&defined), "{file}: {name} names {named:?} of {defined:?}");
                used.extend(named.into_iter().map(|one| (part, one)));
            }
        }
        used.extend(names(&service["extensions"]).into_iter().map(|one| ("extensions", one)));
        for part in ["receivers", "processors", "exporters", "extensions"] {
            for defined in names(&config[part]) {
                assert!(used.contains(&(part, defined)), "{file}: nothing uses {defined}");
            }
        }
        let mut authenticators = Vec::new();
        under(config, "authenticator", &mut authenticators);
        for one in authenticators {
            assert!(names(&config["extensions"]).contains(one.as_str().unwrap()), "{file}: {one}");
        }
    }
}

/// What the file exporter of a sample writes is found by a command that is given the directory.
#[test]
fn the_collector_writes_files_whose_names_are_known() {
    let config = &documents("collector-files.yml")[0];
    let path = Path::new(config["exporters"]["file/spandiff"]["path"].as_str().unwrap());
    let directory = tempfile::tempdir().unwrap();
    // A message without content is a valid trace file.
    std::fs::write(directory.path().join(path.file_name().unwrap()), []).unwrap();
    let inspect = |path: &Path| Command::new(env!("CARGO_BIN_EXE_spandiff")).arg("inspect").arg(path).output().unwrap();
    let output = inspect(directory.path());
    assert!(!String::from_utf8_lossy(&output.stderr).contains("looked for names"), "{output:?}");
    std::fs::rename(directory.path().join(path.file_name().unwrap()), directory.path().join("traces.txt")).unwrap();
    let output = inspect(directory.path());
    assert!(String::from_utf8_lossy(&output.stderr).contains("looked for names"), "{output:?}");
}

/// Digits behind a colon: `host:4317`, `port: 4317`, `containerPort: 4317`.
fn ports(line: &str) -> Vec<String> {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    let mut found: Vec<String> = line.split(':').skip(1).map(digits).filter(|port| port.len() == 4).collect();
    if let Some((key, value)) = line.trim().trim_start_matches("- ").split_once(": ")
        && key.to_ascii_lowercase().ends_with("port")
    {
        found.push(digits(value));
    }
    found
}

#[test]
fn every_port_and_every_path_is_one_that_the_receiver_has() {
    for (name, content) in files() {
        for line in content.lines().filter(|line| !line.trim_start().starts_with('#')) {
            for port in ports(line) {
                let beside = name == "spandiff.toml" && ["4417", "4418"].contains(&port.as_str());
                assert!(beside || PORTS.contains(&port.as_str()), "{name}: {line}");
            }
            let ends = |c: char| c.is_whitespace() || "\"?`|)".contains(c);
            for rest in line.split(":4319").skip(1).chain(line.split("{{args.spandiff}}").skip(1)) {
                let path = rest.split(ends).next().unwrap_or_default();
                assert!(path.is_empty() || PATHS.contains(&path), "{name}: {line}");
            }
        }
        if name.starts_with("kubernetes") {
            for document in documents(&name) {
                let mut probes = Vec::new();
                under(&document, "httpGet", &mut probes);
                for probe in probes {
                    assert!(["/healthz", "/readyz"].contains(&probe["path"].as_str().unwrap()), "{name}: {probe}");
                    assert_eq!(probe["port"], "4319", "{name}");
                }
            }
        }
    }
    let table = text("README.md").lines().find(|line| line.starts_with("| 4319")).unwrap().to_owned();
    assert!(PATHS.iter().all(|path| table.contains(&format!("`{path}`"))), "{table}");
}

/// The arguments of each container that runs spandiff.
fn containers(document: &Value) -> Vec<Vec<String>> {
    let mut lists = Vec::new();
    under(document, "containers", &mut lists);
    under(document, "initContainers", &mut lists);
    let all = lists.into_iter().filter_map(Value::as_array).flatten();
    let ours = all.filter(|one| one["image"].as_str().is_some_and(|image| image.contains("/spandiff:")));
    ours.map(|one| one["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap().to_owned()).collect())
        .collect()
}

/// Every call of `spandiff receive` in the samples: file and arguments behind `receive`.
fn calls() -> Vec<(&'static str, Vec<String>)> {
    let mut calls = Vec::new();
    for name in ["kubernetes-sidecar.yml", "kubernetes-behind-collector.yml"] {
        for args in documents(name).iter().flat_map(containers) {
            assert_eq!(args[0], "receive", "{name}");
            calls.push((name, args[1..].to_vec()));
        }
    }
    let docker = text("Dockerfile");
    let list = docker.lines().find_map(|line| line.strip_prefix("CMD ")).unwrap();
    let list: Vec<String> = serde_json::from_str(list).unwrap();
    assert_eq!(list[0], "receive");
    calls.push(("Dockerfile", list[1..].to_vec()));
    let unit = text("spandiff.service").replace("\\\n", " ");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/spandiff receive ")).unwrap();
    calls.push(("spandiff.service", line.split_whitespace().map(str::to_owned).collect()));
    calls
}

#[test]
fn every_option_is_one_of_spandiff_receive() {
    let help = help();
    let mut seen = 0;
    for (name, args) in calls() {
        for flag in args.iter().filter(|arg| arg.starts_with("--")) {
            let flag = flag.split('=').next().unwrap();
            let known = help.split_whitespace().any(|word| word == flag);
            assert!(known, "{name}: there is no {flag}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
    for flag in text("README.md").split(|c: char| !c.is_alphanumeric() && c != '-').filter(|w| w.starts_with("--")) {
        let of_others =
            ["--from-file", "--from-literal", "--target"].contains(&flag) || flag.trim_matches('-').is_empty();
        assert!(of_others || help.contains(flag), "README.md: there is no {flag}");
    }
}

/// Options are read in their order, and the first that is wrong is named: when that is the one put behind them all, every
/// value before it is one that the option takes.
#[test]
fn every_value_is_one_that_its_option_takes() {
    for (name, args) in calls() {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spandiff"));
        let output = command.arg("receive").args(&args).args(["--max-requests", "0"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(said.contains("'--max-requests <N>'"), "{name}: {said}");
    }
}

#[test]
fn containers_mount_the_volumes_that_there_are_and_hold_what_is_written() {
    for name in ["kubernetes-sidecar.yml", "kubernetes-behind-collector.yml"] {
        for document in documents(name) {
            let pod = &document["spec"]["template"]["spec"];
            let mut volumes: BTreeSet<&str> = BTreeSet::new();
            for list in [&pod["volumes"], &document["spec"]["volumeClaimTemplates"]] {
                for volume in list.as_array().into_iter().flatten() {
                    volumes.extend(volume["name"].as_str().or(volume["metadata"]["name"].as_str()));
                }
            }
            let (mut mounts, mut mounted, mut writable) = (Vec::new(), BTreeSet::new(), Vec::new());
            under(pod, "volumeMounts", &mut mounts);
            for mount in mounts.into_iter().filter_map(Value::as_array).flatten() {
                mounted.insert(mount["name"].as_str().unwrap());
                if mount["readOnly"] != "true" {
                    writable.push(mount["mountPath"].as_str().unwrap());
                }
            }
            assert_eq!(mounted, volumes, "{name}");
            for arg in containers(&document).into_iter().flatten() {
                for flag in ["--capture=", "--snapshots="] {
                    if let Some(path) = arg.strip_prefix(flag) {
                        assert!(writable.iter().any(|mount| path.starts_with(mount)), "{name}: {arg}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_rollout_controllers_ask_in_their_own_shape() {
    let argo = &documents("argo-analysis-template.yml")[0];
    let known: Vec<&str> = argo["spec"]["args"].as_array().unwrap().iter().filter_map(|a| a["name"].as_str()).collect();
    for used in argo.to_string().split("{{args.").skip(1) {
        let name = used.split("}}").next().unwrap_or_default();
        assert!(known.contains(&name), "{name} is no argument");
    }
    let metrics = argo["spec"]["metrics"].as_array().unwrap();
    assert_eq!(metrics[0]["provider"]["web"]["method"], "POST");
    assert_eq!(metrics[1]["successCondition"], "result.verdict == \"pass\" || result.verdict == \"warn\"");
    assert_eq!(metrics[1]["failureCondition"], "result.verdict == \"fail\"");
    let flagger = documents("flagger.yml");
    let template = flagger[0]["spec"]["analysis"]["metrics"][0]["templateRef"]["name"].clone();
    assert_eq!(template, flagger[1]["metadata"]["name"]);
}

/// The receiver itself says which paths it has, and takes the sample of its configuration.
#[test]
fn a_receiver_that_runs_has_these_paths_and_takes_this_configuration() {
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("spandiff.toml"), text("spandiff.toml")).unwrap();
    let snapshots = work.path().join("windows");
    let server = crate::receiver::Server::within(
        work,
        // What stands in the file, but for directories and ports that this machine may have no room for.
        &["--snapshots", snapshots.to_str().unwrap()],
    );
    let described: Value = serde_json::from_str(&server.page("/openapi.json").text()).unwrap();
    assert_eq!(names(&described["paths"]), BTreeSet::from(PATHS));
    let exposed = server.page("/metrics").text();
    let flagger = text("flagger.yml");
    let query = flagger.split("max(").nth(1).unwrap().split('{').next().unwrap();
    assert!(exposed.contains(&format!("# TYPE {query} gauge")), "{query}");
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn systemd_takes_the_unit() {
    let Ok(version) = Command::new("systemd-analyze").arg("--version").output() else {
        let _ = writeln!(std::io::stderr(), "skipped: systemd-analyze is not there, so the unit is not verified");
        return;
    };
    assert!(version.status.success());
    let directory = tempfile::tempdir().unwrap();
    let unit = directory.path().join("spandiff.service");
    // The unit as it is, but for the place of the program, which is not installed here.
    std::fs::write(&unit, text("spandiff.service").replace("/usr/bin/spandiff", env!("CARGO_BIN_EXE_spandiff")))
        .unwrap();
    let verified = Command::new("systemd-analyze").arg("verify").arg(&unit).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    let about_it: Vec<&str> = said.lines().filter(|line| line.contains("spandiff.service")).collect();
    assert!(about_it.is_empty(), "{about_it:?}");
}
