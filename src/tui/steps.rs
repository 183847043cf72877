//! Steps of a session as JSON lines: what `--log` writes and `--replay` plays.

use super::action::COMMANDS;
use super::keys::Key;
use super::update::{Msg, Step};
use serde::{Deserialize, Serialize};

/// A line of the log: `{"command":"next-change"}`, `{"key":"x"}` or `{"paste":"text"}`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Command(String),
    Key(String),
    Paste(String),
}

/// A step as one line without its end.
pub fn line(step: &Step) -> String {
    let line = match step {
        Step::Command(name) => Line::Command((*name).to_owned()),
        Step::Key(key) => Line::Key(key.to_string()),
        Step::Paste(text) => Line::Paste(text.clone()),
    };
    serde_json::to_string(&line).unwrap_or_default()
}

/// What the lines of a log do, in order. Empty lines and lines that begin with `#` do nothing.
///
/// # Errors
/// The number of the first line that is no step, from 1, and what is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Msg>, (usize, String)> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines.map(|(index, line)| parse_line(line).map_err(|wrong| (index + 1, wrong))).collect()
}

fn parse_line(text: &str) -> Result<Msg, String> {
    let line: Line = serde_json::from_str(text)
        .map_err(|_| r#"expected {"command":NAME}, {"key":KEY} or {"paste":TEXT}"#.to_owned())?;
    Ok(match line {
        Line::Command(name) => {
            if !COMMANDS.iter().any(|command| command.name == name) {
                return Err(format!("there is no command `{name}`"));
            }
            Msg::Run(name)
        }
        Line::Key(name) => Msg::Key(Key::parse(&name).ok_or_else(|| format!("`{name}` is no key"))?),
        Line::Paste(text) => Msg::Paste(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_lines() {
        assert_eq!(line(&Step::Command("next-change")), r#"{"command":"next-change"}"#);
        assert_eq!(line(&Step::Key(Key::Char('x'))), r#"{"key":"x"}"#);
        assert_eq!(line(&Step::Key(Key::Char(' '))), r#"{"key":"Space"}"#);
        assert_eq!(line(&Step::Paste("a\"b".into())), r#"{"paste":"a\"b"}"#);
    }

    #[test]
    fn lines_are_read_as_they_were_written() {
        let text = "# a session\n{\"command\":\"next-change\"}\n\n{\"key\":\"^u\"}\n{\"paste\":\"sql\"}\n";
        let steps = parse(text).unwrap();
        let shown: Vec<String> = steps.iter().map(|step| format!("{step:?}")).collect();
        assert_eq!(shown, [r#"Run("next-change")"#, "Key(Ctrl('u'))", r#"Paste("sql")"#]);
    }

    #[test]
    fn a_bad_line_is_named_by_its_number() {
        assert_eq!(parse("\n{\"command\":\"dance\"}").unwrap_err(), (2, "there is no command `dance`".into()));
        assert_eq!(parse("{\"key\":\"Entr\"}").unwrap_err(), (1, "`Entr` is no key".into()));
        assert_eq!(parse("nonsense").unwrap_err().0, 1);
        assert_eq!(parse("{\"key\":1}").unwrap_err().0, 1);
        assert_eq!(parse("{\"key\":\"x\",\"command\":\"next\"}").unwrap_err().0, 1);
    }
}
