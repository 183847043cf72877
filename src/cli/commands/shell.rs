//! Completions and manual pages, made from the same definition that parses the arguments.

use crate::cli::args::{Cli, Common};
use crate::cli::error::Failure;
use crate::cli::exit;
use crate::cli::output::{cannot_write, to};
use clap::CommandFactory;
use std::process::ExitCode;

/// Prints the completion script of a shell.
pub fn completions(shell: clap_complete::Shell, common: &Common) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "spandiff", &mut script);
    to(common.output.as_deref(), |out| out.write_all(&script))?;
    Ok(ExitCode::from(exit::DONE))
}

/// Prints the manual page, or writes those of all commands into a directory.
pub fn manual(common: &Common) -> Result<ExitCode, Failure> {
    let mut command = Cli::command();
    command.build();
    match &common.output {
        None => to(None, |out| clap_mangen::Man::new(command).render(&mut &mut *out))?,
        Some(directory) => std::fs::create_dir_all(directory)
            .and_then(|()| clap_mangen::generate_to(command, directory))
            .map_err(|error| cannot_write(&directory.display().to_string(), &error))?,
    }
    Ok(ExitCode::from(exit::DONE))
}
