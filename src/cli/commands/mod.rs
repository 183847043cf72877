//! What each command does: arguments in, work in the rooms below, output, exit code.

mod calibrate;
mod diagnosis;
mod diff;
mod gate;
mod generate;
mod inspect;
mod load;
mod population;
mod profiles;
#[cfg(feature = "receiver")]
mod receive;
mod record;
mod shell;
mod side;
mod sides;
#[cfg(feature = "tui")]
mod tui;

use super::args::{Cli, Command};
use super::error::Failure;
use std::process::ExitCode;

/// Runs the command that was asked for.
pub fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let Cli { common, diff, command } = cli;
    match command {
        #[cfg(feature = "tui")]
        None if tui::is_wanted(&common, &diff) => tui::open_diff(&common, &diff),
        None => diff::run(&common, &diff),
        Some(Command::Diff(args)) => diff::run(&common, &args),
        #[cfg(feature = "tui")]
        Some(Command::Tui(args)) => tui::run(&common, &args),
        Some(Command::Gate(args)) => gate::run(&common, &args),
        Some(Command::Calibrate(args)) => calibrate::run(&common, &args),
        Some(Command::Record(args)) => record::record(&common, &args),
        Some(Command::Merge(args)) => record::merge(&common, &args),
        Some(Command::Inspect(args)) => inspect::run(&common, &args),
        #[cfg(feature = "receiver")]
        Some(Command::Receive(args)) => receive::run(&common, &args),
        Some(Command::Generate(args)) => generate::run(&common, &args),
        Some(Command::Completions { shell }) => shell::completions(shell, &common),
        Some(Command::Man) => shell::manual(&common),
    }
}
