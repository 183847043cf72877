//! Floor 6: the command line. Wires all other rooms.
//!
//! May use: everything below. The only room that knows paths, environment, standard streams, exit codes and
//! wall-clock time. Invariant: whatever happens, the exit code is one of `exit` and what went wrong stands on
//! standard error as `error:`, `cause:`, `hint:`.
#![expect(clippy::disallowed_methods, reason = "this is the room that talks to files, environment and streams")]

#[cfg(feature = "tui")]
mod accept;
pub mod args;
mod commands;
mod config;
mod engine;
mod error;
mod exit;
mod halves;
mod inputs;
mod opened;
mod output;
mod peek;
mod policy;
mod progress;
mod reading;

use clap::{CommandFactory, FromArgMatches};
use error::Failure;
use std::process::ExitCode;

/// Parses the arguments of the process, runs the command and returns the exit code of the contract.
pub fn run() -> ExitCode {
    error::install_panic_message();
    let result = std::panic::catch_unwind(|| match parse() {
        Ok(cli) => commands::run(cli),
        Err(failure) => Err(failure),
    });
    match result {
        Ok(Ok(code)) => code,
        Ok(Err(failure)) => failure.report(),
        // The panic hook has said what there is to say.
        Err(_) => ExitCode::from(exit::ERROR),
    }
}

fn parse() -> Result<args::Cli, Failure> {
    let matches = args::Cli::command().try_get_matches()?;
    args::check(&matches)?;
    Ok(args::Cli::from_arg_matches(&matches)?)
}
