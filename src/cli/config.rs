//! What is in force: flag over `SPANDIFF_*` environment over configuration file over default.
//!
//! Flags and environment come from clap in that order already; the file is laid under them here.

use super::args::{Color, Common, DiffArgs, min_ratio, parse_size, parse_time, sigmas};
use super::engine::{OperationRule, Rules};
use super::error::Problem;
use super::policy;
use super::progress::Gauge;
use crate::diff::{DiffOptions, Policy};
use crate::model::Limits;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// Name of the configuration file.
const FILE: &str = "spandiff.toml";

/// What is in force.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Thresholds.
    pub options: DiffOptions,
    /// Bounds on what is read.
    pub limits: Limits,
    /// What the user says about operations.
    pub rules: Rules,
    /// What the gate is told, as far as the configuration file says.
    pub policy: Policy,
    /// When to colour.
    pub color: Color,
    /// Commands of the terminal UI that have other keys than usual.
    #[cfg(feature = "tui")]
    pub keys: Vec<(String, String)>,
    /// What the receiver is told, as far as the configuration file says.
    #[cfg(feature = "receiver")]
    pub receive: super::args::ReceiveArgs,
    /// How many threads.
    pub threads: usize,
    /// Hex SHA-256 over everything that can change a result.
    pub sha256: String,
    /// What shows how far reading is, instead of standard error.
    pub gauge: Option<Gauge>,
}

/// The configuration file as it is written.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    diff: DiffTable,
    limits: LimitsTable,
    output: OutputTable,
    operation: Vec<OperationRule>,
    schema: Option<policy::Schema>,
    gate: policy::GateTable,
    rule: Vec<Spanned<policy::RuleTable>>,
    accept: Vec<policy::Accept>,
    /// Options of the receiver.
    receive: BTreeMap<String, Spanned<toml::Value>>,
    /// The same, understood.
    #[cfg(feature = "receiver")]
    #[serde(skip)]
    receive_args: super::args::ReceiveArgs,
    /// Commands of the terminal UI and their keys.
    keys: BTreeMap<String, Spanned<String>>,
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DiffTable {
    #[serde(deserialize_with = "ratio")]
    min_ratio: Option<f64>,
    #[serde(deserialize_with = "time")]
    min_time: Option<u64>,
    #[serde(deserialize_with = "deviations")]
    jitter_sigmas: Option<f64>,
    #[serde(deserialize_with = "ratio")]
    drift_ratio: Option<f64>,
    max_findings: Option<usize>,
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OutputTable {
    #[serde(deserialize_with = "color")]
    color: Option<Color>,
    threads: Option<NonZeroUsize>,
}

#[derive(Clone, Debug, Default)]
struct LimitsTable(BTreeMap<String, u64>);

/// Puts all layers together.
pub fn settings(common: &Common, diff: Option<&DiffArgs>) -> Result<Settings, Problem> {
    let (written, policy) = match file(common)? {
        Some(path) => parse(&path)?,
        None => (Written::default(), Policy::default()),
    };
    let mut limits = Limits::default();
    let mut set = written.limits.0;
    set.extend(common.limits.iter().cloned());
    for (name, value) in &set {
        limits.set(name, *value);
    }
    let options = options(&written.diff, diff, &policy);
    let rules = Rules { operations: written.operation };
    let sha256 = fingerprint(&options, &set, &rules);
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Ok(Settings {
        options,
        limits,
        rules,
        policy,
        #[cfg(feature = "tui")]
        keys: written.keys.into_iter().map(|(name, keys)| (name, keys.into_inner())).collect(),
        #[cfg(feature = "receiver")]
        receive: written.receive_args,
        color: common.color.or(written.output.color).unwrap_or(Color::Auto),
        threads: common.threads.or(written.output.threads).map_or_else(cores, NonZeroUsize::get),
        sha256,
        gauge: None,
    })
}

fn options(table: &DiffTable, args: Option<&DiffArgs>, policy: &Policy) -> DiffOptions {
    let default = DiffOptions::default();
    DiffOptions {
        min_ratio: args.and_then(|args| args.min_ratio).or(table.min_ratio).unwrap_or(default.min_ratio),
        min_time_ns: args.and_then(|args| args.min_time).or(table.min_time).unwrap_or(default.min_time_ns),
        jitter_sigmas: args
            .and_then(|args| args.jitter_sigmas)
            .or(table.jitter_sigmas)
            .unwrap_or(default.jitter_sigmas),
        drift_ratio: table.drift_ratio.unwrap_or(default.drift_ratio),
        max_findings: args.and_then(|args| args.max_findings).or(table.max_findings).unwrap_or(default.max_findings),
        // Folded stacks are made of the tree; the other formats show it when asked to.
        tree: args.is_some_and(DiffArgs::needs_tree),
        population: policy.population(),
    }
}

/// The same settings give the same number, whichever layer they come from and in whatever order they stand.
fn fingerprint(options: &DiffOptions, set: &BTreeMap<String, u64>, rules: &Rules) -> String {
    let DiffOptions { min_ratio, min_time_ns, jitter_sigmas, drift_ratio, max_findings, tree: _, population } = options;
    let mut text = format!(
        "diff {min_ratio} {min_time_ns} {jitter_sigmas} {drift_ratio} {max_findings}\npopulation {population:?}\nrules {:?}\n",
        rules.operations
    );
    for (name, default, _) in Limits::TABLE {
        let _ = writeln!(text, "{name} {}", set.get(*name).unwrap_or(default));
    }
    hex(&Sha256::digest(text))
}

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The file that was named, else the nearest one upwards, else the user's.
/// The configuration file in force.
pub fn file(common: &Common) -> Result<Option<PathBuf>, Problem> {
    if let Some(path) = &common.config {
        return match std::fs::metadata(path) {
            Ok(_) => Ok(Some(path.clone())),
            Err(error) => {
                Err(Problem::new(format!("cannot read configuration {}", path.display())).cause(error.to_string()))
            }
        };
    }
    let above = env::current_dir()
        .ok()
        .and_then(|here| here.ancestors().map(|directory| directory.join(FILE)).find(|path| path.is_file()));
    Ok(above.or_else(|| user_directory().map(|home| home.join("spandiff").join(FILE)).filter(|path| path.is_file())))
}

/// Whether a configuration file is understood.
#[cfg(feature = "tui")]
pub fn check(path: &Path) -> Result<(), Problem> {
    parse(path).map(drop)
}

fn user_directory() -> Option<PathBuf> {
    let directory = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    directory("XDG_CONFIG_HOME")
        .or_else(|| directory("APPDATA"))
        .or_else(|| directory("HOME").map(|home| home.join(".config")))
}

fn parse(path: &Path) -> Result<(Written, Policy), Problem> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Problem::new(format!("cannot read configuration {}", path.display())).cause(error.to_string())
    })?;
    let invalid = |at: usize| {
        let line = text.get(..at).unwrap_or(&text).matches('\n').count() + 1;
        Problem::new(format!("configuration {} is not valid at line {line}", path.display()))
    };
    let mut written: Written = toml::from_str(&text)
        .map_err(|error| invalid(error.span().map_or(0, |span| span.start)).cause(error.message()))?;
    #[cfg(feature = "tui")]
    for (name, keys) in &written.keys {
        let bound = crate::tui::keymap::Keymap::default().bind(name, keys.get_ref());
        bound.map_err(|cause| invalid(keys.span().start).cause(cause))?;
    }
    #[cfg(feature = "receiver")]
    {
        let receive = std::mem::take(&mut written.receive);
        written.receive_args = receive_args(receive).map_err(|(at, cause)| invalid(at).cause(cause))?;
    }
    let tables = policy::Written {
        schema: written.schema.take(),
        gate: std::mem::take(&mut written.gate),
        rule: std::mem::take(&mut written.rule),
        accept: std::mem::take(&mut written.accept),
    };
    let policy = policy::policy(&tables).map_err(|conflict| invalid(conflict.at).cause(conflict.cause(&text)))?;
    Ok((written, policy))
}

/// The options in `[receive]`, read as if they stood on the command line; else where and why they are not understood.
#[cfg(feature = "receiver")]
fn receive_args(table: BTreeMap<String, Spanned<toml::Value>>) -> Result<super::args::ReceiveArgs, (usize, String)> {
    use super::args::ReceiveArgs;
    use clap::{Args, FromArgMatches};
    let mut all = ReceiveArgs::default();
    for (name, value) in table {
        let at = value.span().start;
        let text = match value.into_inner() {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            other => return Err((at, format!("`{name}` takes text or a number, not {}", other.type_str()))),
        };
        if !ReceiveArgs::NAMES.contains(&name.as_str()) {
            return Err((at, format!("`{name}` is no option of the receiver")));
        }
        let word = format!("--{}={text}", name.replace('_', "-"));
        let command = ReceiveArgs::augment_args(clap::Command::new("receive").no_binary_name(true));
        let read = command.try_get_matches_from([word]).and_then(|matches| ReceiveArgs::from_arg_matches(&matches));
        let read = read.map_err(|error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            (at, first.strip_prefix("error: ").unwrap_or(first).to_owned())
        })?;
        all = read.over(all);
    }
    Ok(all)
}

fn ratio<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    checked(deserializer, min_ratio)
}

fn deviations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    checked(deserializer, sigmas)
}

/// The same check as on the command line.
fn checked<'de, D: Deserializer<'de>>(
    deserializer: D,
    check: impl Fn(&str) -> Result<f64, String>,
) -> Result<Option<f64>, D::Error> {
    let number = f64::deserialize(deserializer)?;
    check(&number.to_string()).map(Some).map_err(de::Error::custom)
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    parse_time(&String::deserialize(deserializer)?).map(Some).map_err(de::Error::custom)
}

fn color<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Color>, D::Error> {
    let text = String::deserialize(deserializer)?;
    clap::ValueEnum::from_str(&text, false)
        .map(Some)
        .map_err(|_| de::Error::custom(format!("`{text}` is none of auto, always, never")))
}

impl<'de> Deserialize<'de> for LimitsTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LimitsVisitor)
    }
}

struct LimitsVisitor;

impl<'de> Visitor<'de> for LimitsVisitor {
    type Value = LimitsTable;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a table of limits")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LimitsTable, A::Error> {
        let mut table = BTreeMap::new();
        while let Some(LimitName(name)) = map.next_key()? {
            let Size(size) = map.next_value()?;
            table.insert(name, size);
        }
        Ok(LimitsTable(table))
    }
}

/// The name of a limit that exists: refused at the key, so that the error names its line.
struct LimitName(String);

impl<'de> Deserialize<'de> for LimitName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if Limits::default().set(&name, 1) {
            Ok(LimitName(name))
        } else {
            Err(de::Error::custom(format!("there is no limit `{name}`")))
        }
    }
}

/// A number, or text with a unit.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum WrittenSize {
    Number(u64),
    Text(String),
}

struct Size(u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match WrittenSize::deserialize(deserializer)? {
            WrittenSize::Number(number) => Ok(Size(number)),
            WrittenSize::Text(text) => parse_size(&text).map(Size).ok_or_else(|| {
                de::Error::custom(format!("`{text}` is no size; examples: 1000000, \"64KiB\", \"1GiB\""))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<Written, Problem> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        std::fs::write(&path, text).unwrap();
        parse(&path).map(|(written, _)| written)
    }

    #[test]
    fn a_file_sets_thresholds_limits_and_rules() {
        let written = written(
            "[diff]\nmin_ratio = 1.5\nmin_time = \"2ms\"\n[limits]\nevents = 7\nrecord_bytes = \"1MiB\"\n\
             [output]\ncolor = \"never\"\n[[operation]]\nservice = \"a\"\nignore = true\n",
        )
        .unwrap();
        let options = options(&written.diff, None, &Policy::default());
        assert_eq!((options.min_ratio, options.min_time_ns, options.jitter_sigmas), (1.5, 2_000_000, 3.5));
        assert_eq!(written.limits.0, BTreeMap::from([("events".into(), 7), ("record_bytes".into(), 1 << 20)]));
        assert_eq!(written.output.color, Some(Color::Never));
        assert_eq!(written.operation.len(), 1);
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, line, word) in [
            ("[diff]\nmin_ration = 1.5\n", 2, "min_ration"),
            ("\n\n[dif]\n", 3, "dif"),
            ("[diff]\nmin_ratio = 0.5\n", 2, "ratio of 1 or more"),
            ("[diff]\nmin_time = \"5\"\n", 2, "unit"),
            ("[limits]\nevents = 1\nevent = 2\n", 3, "event"),
            ("[limits]\nevents = \"many\"\n", 2, "many"),
            ("[output]\ncolor = \"red\"\n", 2, "red"),
            ("[[operation]]\nservice = \"a\"\nname = 7\n", 3, "string"),
            ("[gate]\nmin_effect = \"5\"\n", 2, "percentage"),
            ("[[rule]]\nmatch = { entry = \"a\" }\ncritical = true\nmode = \"warn\"\n", 1, "contradicts"),
            ("diff = [\n", 1, ""),
        ] {
            let shown = format!("{:?}", written(text).unwrap_err());
            assert!(shown.contains(&format!("at line {line}")) && shown.contains(word), "{text:?}: {shown}");
        }
    }

    #[test]
    fn equal_settings_have_equal_fingerprints() {
        let options = DiffOptions::default();
        let rules = Rules::default();
        let none = fingerprint(&options, &BTreeMap::new(), &rules);
        let events = Limits::default().events;
        assert_eq!(none, fingerprint(&options, &BTreeMap::from([("events".into(), events)]), &rules));
        assert_ne!(none, fingerprint(&options, &BTreeMap::from([("events".into(), 1)]), &rules));
        assert_ne!(none, fingerprint(&DiffOptions { min_ratio: 2.0, ..options }, &BTreeMap::new(), &rules));
        assert_eq!(none.len(), 64);
    }
}
