//! How the terminal wants things to look: what it says in the environment, and what it answers when it is asked.

use crate::cli::args::Color;
use crate::tui::theme::{Depth, Tone};
use std::env;
use std::time::Duration;
use terminal_colorsaurus::{QueryOptions, ThemeMode, theme_mode};

/// A variable that is set to something.
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// How many colours there are: what the user says goes before what the terminal says.
pub fn depth(color: Color, theme: &str, variable: impl Fn(&str) -> Option<String>) -> Depth {
    let forbidden = color == Color::Never || (color == Color::Auto && variable("NO_COLOR").is_some());
    if theme == "mono" || forbidden {
        return Depth::Mono;
    }
    if variable("COLORTERM").is_some_and(|value| ["truecolor", "24bit"].contains(&value.as_str())) {
        return Depth::True;
    }
    let term = variable("TERM").unwrap_or_default();
    if term.ends_with("-direct") || term.contains("256color") { Depth::Indexed } else { Depth::Ansi }
}

/// What the background is, as far as nobody has to be asked.
pub fn said_tone(theme: &str, variable: impl Fn(&str) -> Option<String>) -> Option<Tone> {
    match theme {
        "dark" | "mono" => return Some(Tone::Dark),
        "light" => return Some(Tone::Light),
        _ => {}
    }
    let colors = variable("COLORFGBG")?;
    let background: u8 = colors.rsplit(';').next()?.trim().parse().ok()?;
    Some(if background < 7 || background == 8 { Tone::Dark } else { Tone::Light })
}

/// Asks the terminal for its background; over SSH it may take longer to answer.
pub fn asked_tone() -> Tone {
    let mut options = QueryOptions::default();
    options.timeout = Duration::from_millis(if variable("SSH_CONNECTION").is_some() { 1_000 } else { 200 });
    match theme_mode(options) {
        Ok(ThemeMode::Light) => Tone::Light,
        Ok(ThemeMode::Dark) | Err(_) => Tone::Dark,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<'a>(set: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_user_goes_before_the_terminal() {
        let full = [("COLORTERM", "truecolor"), ("TERM", "xterm-256color")];
        assert_eq!(depth(Color::Auto, "auto", with(&full)), Depth::True);
        assert_eq!(depth(Color::Auto, "mono", with(&full)), Depth::Mono);
        assert_eq!(depth(Color::Never, "auto", with(&full)), Depth::Mono);
        let forbidden = [("NO_COLOR", "1"), ("COLORTERM", "24bit")];
        assert_eq!(depth(Color::Auto, "dark", with(&forbidden)), Depth::Mono);
        assert_eq!(depth(Color::Always, "dark", with(&forbidden)), Depth::True);
    }

    #[test]
    fn the_terminal_says_how_many_colours_it_has() {
        let of = |term: &str| depth(Color::Auto, "auto", with(&[("TERM", term)]));
        assert_eq!(of("xterm-256color"), Depth::Indexed);
        assert_eq!(of("xterm-direct"), Depth::Indexed);
        assert_eq!(of("linux"), Depth::Ansi);
        assert_eq!(depth(Color::Auto, "auto", with(&[])), Depth::Ansi);
    }

    #[test]
    fn the_background_is_given_or_set() {
        assert_eq!(said_tone("light", with(&[("COLORFGBG", "15;0")])), Some(Tone::Light));
        assert_eq!(said_tone("auto", with(&[("COLORFGBG", "15;0")])), Some(Tone::Dark));
        assert_eq!(said_tone("auto", with(&[("COLORFGBG", "0;default;15")])), Some(Tone::Light));
        assert_eq!(said_tone("auto", with(&[("COLORFGBG", "nonsense")])), None);
        assert_eq!(said_tone("auto", with(&[])), None);
    }
}
