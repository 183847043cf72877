//! Options of the terminal UI.
#![expect(missing_docs, reason = "the doc comments are the help texts, shown as they stand")]

use super::SideArgs;
use clap::Args;
use std::path::PathBuf;

/// What is looked at, and how.
#[derive(Clone, Debug, Args)]
pub struct TuiArgs {
    #[command(flatten)]
    pub sides: SideArgs,
    /// Follow a receiver instead of reading inputs: what it compares, and again whenever there is something newer
    #[cfg(feature = "receiver")]
    #[arg(long, value_name = "URL", conflicts_with_all = ["sides", "before", "after", "input", "wheres", "entries"])]
    pub attach: Option<String>,
    /// The cohort that is followed [default: the one that was judged last]
    #[cfg(feature = "receiver")]
    #[arg(long, value_name = "VALUE", requires = "attach")]
    pub cohort: Option<String>,
    /// File with the token that the receiver asks for
    #[cfg(feature = "receiver")]
    #[arg(long, value_name = "FILE", requires = "attach")]
    pub token_file: Option<PathBuf>,
    /// Write one screen to standard output instead of opening the terminal UI: findings, tree, waterfall, flame,
    /// services, attributes, notes or detail
    #[arg(long, value_name = "SCREEN", value_parser = screen)]
    pub render: Option<crate::tui::action::Screen>,
    /// Columns and rows of the screen that is rendered
    #[arg(long, value_name = "WxH", default_value = "120x36", value_parser = size)]
    pub size: (u16, u16),
    /// Form of the screen that is rendered
    #[arg(long = "as", value_name = "FORM", default_value = "text", value_parser = ["text", "ansi", "svg", "json"])]
    pub form: String,
    // Not as a doc comment: rustdoc takes a key for HTML.
    #[arg(long, value_name = "KEYS", value_parser = keys, help = "Keys that are pressed first, such as 'j]c<Enter>'")]
    pub keys: Option<Keys>,
    /// Only ASCII
    #[arg(long, env = "SPANDIFF_ASCII", value_parser = clap::builder::FalseyValueParser::new())]
    pub ascii: bool,
    /// Colours for a dark or a light background [default: as the terminal says]
    #[arg(long, value_name = "THEME", value_parser = ["auto", "dark", "light", "mono"], default_value = "auto", env = "SPANDIFF_THEME")]
    pub theme: String,
    /// Play the steps of a session again
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,
    /// Write the steps of this session to a file, a JSON line each
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

/// Keys of `--keys`.
#[derive(Clone, Debug)]
pub struct Keys(pub Vec<crate::tui::keys::Key>);

fn keys(text: &str) -> Result<Keys, String> {
    crate::tui::keys::Key::stream(text).map(Keys).map_err(|name| format!("<{name}> is no key: <Enter>, <Esc>, <^d>, …"))
}

fn screen(text: &str) -> Result<crate::tui::action::Screen, String> {
    use crate::tui::action::Screen;
    Screen::from_name(text).ok_or_else(|| {
        let names: Vec<String> = Screen::ALL.into_iter().map(Screen::name).collect();
        format!("`{text}` is none of {}", names.join(", "))
    })
}

/// `120x36`.
fn size(text: &str) -> Result<(u16, u16), String> {
    let numbers = text.split_once('x').and_then(|(columns, rows)| Some((columns.parse().ok()?, rows.parse().ok()?)));
    numbers
        .filter(|&(columns, rows): &(u16, u16)| (1..=500).contains(&columns) && (1..=300).contains(&rows))
        .ok_or_else(|| "expected COLUMNSxROWS, such as 120x36 (at most 500x300)".into())
}
