//! What went wrong, for people: `error:` one lower-case sentence, then `cause:` and `hint:` lines.

use super::exit;
use crate::report::escape::visible;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// One thing that went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    message: String,
    causes: Vec<String>,
    items: Vec<String>,
    hints: Vec<String>,
}

impl Problem {
    /// One lower-case sentence without a full stop.
    pub fn new(message: impl Into<String>) -> Problem {
        Problem { message: message.into(), ..Problem::default() }
    }

    /// Adds why; nothing for an empty text.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Problem {
        let cause = cause.into();
        if !cause.is_empty() {
            self.causes.push(cause);
        }
        self
    }

    /// Adds a line of a list.
    #[must_use]
    pub fn item(mut self, item: impl Into<String>) -> Problem {
        self.items.push(item.into());
        self
    }

    /// Adds what to do about it; nothing for an empty text.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        let hint = hint.into();
        if !hint.is_empty() {
            self.hints.push(hint);
        }
        self
    }
}

/// Why the program ends without having done what was asked.
#[derive(Debug)]
pub enum Failure {
    /// Things that went wrong, in order.
    Problems(Vec<Problem>),
    /// What clap has to say: usage errors, but also `--help` and `--version`.
    Usage(Box<clap::Error>),
    /// The reader of our output has gone: nothing is wrong.
    ClosedPipe,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure::Problems(vec![problem])
    }
}

impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Failure {
        Failure::Usage(Box::new(error))
    }
}

impl Failure {
    /// What went wrong as lines without colour, for a screen.
    #[cfg(feature = "tui")]
    pub fn lines(&self) -> Vec<String> {
        match self {
            Failure::ClosedPipe => Vec::new(),
            Failure::Usage(error) => vec![error.to_string()],
            Failure::Problems(problems) => {
                let mut text = Vec::new();
                let _ = print(problems, &mut anstream::StripStream::new(&mut text));
                String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
            }
        }
    }

    /// Prints what went wrong and returns the exit code.
    pub fn report(self) -> ExitCode {
        match self {
            Failure::ClosedPipe => ExitCode::from(exit::DONE),
            Failure::Usage(error) => {
                // A pipe that was closed while help is printed is no error either.
                let _ = error.print();
                ExitCode::from(if error.use_stderr() { exit::ERROR } else { exit::DONE })
            }
            Failure::Problems(problems) => {
                let _ = print(&problems, &mut anstream::stderr().lock());
                ExitCode::from(exit::ERROR)
            }
        }
    }
}

fn print(problems: &[Problem], out: &mut dyn Write) -> io::Result<()> {
    let (red, reset) = (anstyle::AnsiColor::Red.on_default().bold(), anstyle::Reset);
    let dim = anstyle::Style::new().bold();
    for problem in problems {
        writeln!(out, "{red}error:{reset} {}", visible(&problem.message))?;
        for cause in &problem.causes {
            writeln!(out, "{dim}cause:{reset} {}", visible(cause))?;
        }
        for item in &problem.items {
            writeln!(out, "  {}", visible(item))?;
        }
        for hint in &problem.hints {
            writeln!(out, "{dim}hint:{reset} {}", visible(hint))?;
        }
    }
    Ok(())
}

/// Makes a panic say that it is a bug, in two lines instead of a stack.
pub fn install_panic_message() {
    std::panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let message = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
        let place = info.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        let _ = print(
            &[Problem::new(format!("this is a bug in spandiff {}{place}", env!("CARGO_PKG_VERSION")))
                .cause(message)
                .hint("please report it with the command line and, if you may share them, the inputs")],
            &mut anstream::stderr().lock(),
        );
    }));
}

/// Says something that does not stop the work, unless standard error is not for people to read or `quiet` is asked for.
pub fn remark(quiet: bool, text: &str) {
    if !quiet && io::stderr().is_terminal() {
        let _ = writeln!(io::stderr(), "{}", visible(text));
    }
}

/// Says something that a result rests on, whoever reads standard error, unless `quiet` is asked for.
pub fn warn(quiet: bool, text: &str) {
    if !quiet {
        let (yellow, reset) = (anstyle::AnsiColor::Yellow.on_default().bold(), anstyle::Reset);
        let _ = writeln!(anstream::stderr().lock(), "{yellow}warning:{reset} {}", visible(text));
    }
}

/// Prints problems that do not end the work.
pub fn print_problems(problems: &[Problem]) {
    let _ = print(problems, &mut anstream::stderr().lock());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_printed_with_cause_and_hint() {
        let problem = Problem::new("cannot read a\x1b.json").cause("not found").cause("").hint("look elsewhere");
        let mut out = Vec::new();
        print(&[problem], &mut out).unwrap();
        let plain = anstream::adapter::strip_bytes(&out).into_vec();
        assert_eq!(
            String::from_utf8(plain).unwrap(),
            "error: cannot read a\\u{1b}.json\ncause: not found\nhint: look elsewhere\n"
        );
    }
}
