//! Adds an acceptance to the policy file: what was seen, was meant, and why.

use super::config;
use super::error::Problem;
use crate::cli::args::Common;
use crate::diff::{Day, Finding};
#[cfg(test)]
use crate::model::Pair;
use crate::report::text::place;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Where acceptances go when there is no configuration file yet.
const FILE: &str = "spandiff.toml";

/// Appends an acceptance of a finding to the configuration file in force, or to a new one here. `until` is an ISO day,
/// or empty for good. The file is written as a whole or not at all, and only if it is still understood.
///
/// # Errors
/// A day that is none, or a file that cannot be read or written.
pub fn accept(common: &Common, finding: &Finding, reason: &str, until: &str) -> Result<PathBuf, Problem> {
    if !until.is_empty() && Day::parse(until).is_none() {
        return Err(Problem::new(format!("`{until}` is no date")).hint("write it as 2026-12-31, or nothing for good"));
    }
    let path = config::file(common)?.unwrap_or_else(|| PathBuf::from(FILE));
    let cannot =
        |error: std::io::Error| Problem::new(format!("cannot write {}", path.display())).cause(error.to_string());
    let mut text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(cannot(error)),
    };
    text.push_str(&entry(finding, reason, until, text.is_empty()));
    let fresh = temporary(&path);
    std::fs::write(&fresh, &text).map_err(cannot)?;
    // Nobody wants a gate that stops because of an acceptance.
    if let Err(problem) = config::check(&fresh) {
        let _ = std::fs::remove_file(&fresh);
        return Err(problem);
    }
    std::fs::rename(&fresh, &path).map_err(cannot)?;
    Ok(path)
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

/// The table as it stands in the file.
fn entry(finding: &Finding, reason: &str, until: &str, first: bool) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let name = finding.operation().map_or_else(|| "everything".to_owned(), place);
    // A comment ends at its line.
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let mut out = String::new();
    if !first {
        out.push('\n');
    }
    let _ = writeln!(out, "# {}: {name}", finding.kind.name());
    let _ = writeln!(out, "[[accept]]\nfingerprint = {}\nreason = {}", quoted(&finding.fingerprint), quoted(reason));
    if !until.is_empty() {
        let _ = writeln!(out, "until = {}", quoted(until));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Cli;
    use clap::Parser;

    fn finding() -> Finding {
        let pair = crate::model::fixture::pair("shop GET / 9ms\n  db SELECT 2ms", "shop GET / 30ms\n  db SELECT 22ms");
        let diff = crate::diff::pair::compare(&pair, Pair::default(), &crate::diff::DiffOptions::default());
        diff.findings.into_iter().next().unwrap()
    }

    #[test]
    fn an_acceptance_is_appended_and_understood() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spandiff.toml");
        std::fs::write(&path, "[gate]\nq = 0.01\n").unwrap();
        let common = Cli::try_parse_from(["spandiff", "--config", path.to_str().unwrap()]).unwrap().common;
        let finding = finding();
        let reason = "meant \"so\"\n[gate]\nq = 0.5";
        accept(&common, &finding, reason, "2030-01-31").unwrap();
        let policy = config::settings(&common, None).unwrap().policy;
        assert!((policy.q - 0.01).abs() < 1e-12, "a reason is no configuration");
        let [acceptance] = policy.accepted.as_slice() else { panic!("{policy:?}") };
        assert!(acceptance.matches(&finding));
        assert_eq!(acceptance.reason, reason);
        let before = std::fs::read_to_string(&path).unwrap();
        assert!(accept(&common, &finding, "x", "tomorrow").is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no file is left behind");
    }
}
