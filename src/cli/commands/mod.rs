//! What each command does: arguments in, work in the rooms below, output, exit code.

mod diff;
mod generate;
mod inspect;
mod shell;
mod side;

use super::args::{Cli, Command};
use super::error::Failure;
use std::process::ExitCode;

/// Runs the command that was asked for.
pub fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let Cli { common, diff, command } = cli;
    match command {
        None => diff::run(&common, &diff),
        Some(Command::Diff(args)) => diff::run(&common, &args),
        Some(Command::Inspect(args)) => inspect::run(&common, &args),
        Some(Command::Generate(args)) => generate::run(&common, &args),
        Some(Command::Completions { shell }) => shell::completions(shell, &common),
        Some(Command::Man) => shell::manual(&common),
    }
}
