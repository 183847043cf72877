//! Every screen of the terminal UI as the program writes it without a terminal, compared with what was looked at.
//!
//! `INSTA_UPDATE=always cargo test --test it screens` writes the snapshots anew, `SPANDIFF_UPDATE_SAMPLES=1` the
//! pictures and the table of commands in the README: read the difference.

use spandiff::tui::action::{COMMANDS, Group};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const SCREENS: [&str; 8] = ["findings", "tree", "waterfall", "flame", "services", "attributes", "notes", "detail"];
/// A pair and a population.
const STORIES: [(&str, [&str; 2]); 2] = [
    ("pair", ["samples/n-plus-one/before.json", "samples/n-plus-one/after.json"]),
    ("population", ["samples/paradox/before.spanprofile", "samples/paradox/after.spanprofile"]),
];
const SPOT: [&str; 2] = ["samples/spot-the-difference/before.json", "samples/spot-the-difference/after.json"];
const MAINTENANCE: [&str; 2] = ["samples/maintenance/before.spanprofile", "samples/maintenance/after.spanprofile"];

/// What the program writes; it must succeed.
fn rendered(inputs: [&str; 2], screen: &str, more: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spandiff"));
    command.args(["tui", inputs[0], inputs[1], "--render", screen]).args(more);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("XDG_CONFIG_HOME", "/nonexistent").env("LC_ALL", "C.UTF-8");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SPANDIFF_")) {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{screen} {more:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn compare(name: &str, text: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    insta::with_settings!({ snapshot_path => folder, prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn screens_look_as_they_did_when_they_were_looked_at() {
    for (story, inputs) in STORIES {
        for screen in SCREENS {
            let mut all = String::new();
            for (size, ascii) in [
                ("80x24", false),
                ("120x36", false),
                ("200x60", false),
                ("60x16", false),
                ("40x10", false),
                ("80x24", true),
            ] {
                let more: &[&str] = if ascii { &["--size", size, "--ascii"] } else { &["--size", size] };
                let text = rendered(inputs, screen, more);
                let (columns, rows) = size.split_once('x').unwrap();
                let widest = text.lines().map(unicode_width::UnicodeWidthStr::width).max().unwrap();
                assert!(widest <= columns.parse().unwrap(), "{screen} at {size} is {widest} columns wide");
                assert_eq!(text.lines().count(), rows.parse::<usize>().unwrap());
                assert!(!ascii || text.is_ascii(), "{screen}: {text}");
                let _ = writeln!(all, "=== {size}{}\n{text}", if ascii { " ascii" } else { "" });
            }
            compare(&format!("{story}-{screen}"), &all);
        }
    }
}

#[test]
fn runs_of_style_stay_as_they_were() {
    for (story, inputs) in STORIES {
        for screen in ["findings", "tree"] {
            let ansi = rendered(inputs, screen, &["--size", "80x24", "--as", "ansi", "--theme", "dark"]);
            compare(&format!("{story}-{screen}-ansi"), &ansi.replace('\u{1b}', "␛"));
        }
    }
}

#[test]
fn the_first_screen_answers() {
    let spot = rendered(SPOT, "findings", &["--size", "80x24"]);
    assert!(spot.contains("+ mysql ▸ SELECT vouchers"), "{spot}");
    // Enter opens all of it; nothing more is needed for the attributes.
    let detail = rendered(SPOT, "findings", &["--size", "80x24", "--keys", "<Enter>"]);
    assert!(detail.contains("db.collection.name") && detail.contains("vouchers"), "{detail}");
    let maintenance = rendered(MAINTENANCE, "findings", &["--size", "80x24"]);
    assert!(maintenance.contains("230 of 1,300 databases"), "{maintenance}");
}

#[test]
fn json_says_where_the_cursor_is() {
    let text = rendered(SPOT, "tree", &["--as", "json", "--keys", "]c"]);
    let screen: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(screen["schema"], "spandiff.screen/v1");
    assert_eq!(screen["screen"], "tree");
    assert_eq!(screen["cursor"]["node"]["name"], "SELECT vouchers");
    assert_eq!(screen["cursor"]["node"]["mark"], "added");
    assert_eq!(screen["lines"].as_array().unwrap().len(), 36);
}

#[test]
fn swapping_twice_is_nothing_and_once_turns_every_sign() {
    for inputs in [STORIES[0].1, SPOT] {
        let [before, after] = inputs;
        let swapped = rendered(inputs, "tree", &["--keys", "x"]);
        let turned = rendered([after, before], "tree", &[]);
        let body = |text: &str| text.lines().skip(3).take(20).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(body(&swapped), body(&turned));
        assert_eq!(rendered(inputs, "tree", &["--keys", "xx"]), rendered(inputs, "tree", &[]));
    }
}

/// Compares a file of the repository with what it should hold, or writes it.
fn holds(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("SPANDIFF_UPDATE_SAMPLES").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, expected).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == expected, "{path} is not what the program draws now: SPANDIFF_UPDATE_SAMPLES=1 writes it anew");
}

#[test]
fn the_pictures_of_the_readme_are_made_by_the_program() {
    let picture = |inputs, screen, keys| {
        rendered(inputs, screen, &["--size", "120x36", "--as", "svg", "--theme", "dark", "--keys", keys])
    };
    holds("samples/pictures/findings.svg", &picture(MAINTENANCE, "findings", "jjjj"));
    holds("samples/pictures/detail.svg", &picture(SPOT, "detail", ""));
    holds("samples/pictures/tree.svg", &picture(STORIES[0].1, "tree", ""));
    holds("samples/pictures/waterfall.svg", &picture(SPOT, "waterfall", ""));
    holds("samples/pictures/flame.svg", &picture(STORIES[1].1, "flame", ""));
}

#[test]
fn the_table_of_the_readme_is_the_table_of_the_program() {
    let mut table = String::from("\n| keys | command | |\n|---|---|---|\n");
    for group in Group::ALL {
        for command in COMMANDS.iter().filter(|command| command.group == group) {
            let key = |word: &str| match word {
                "`" => "`` ` ``".to_owned(),
                word => format!("`{}`", word.replace('|', "\\|")),
            };
            let keys: Vec<String> = command.keys.split(' ').map(key).collect();
            let _ = writeln!(table, "| {} | `{}` | {} |", keys.join(" "), command.name, command.help);
        }
    }
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (begin, end) = ("from the table that drives the program -->\n", "<!-- end of commands -->");
    let (front, rest) = readme.split_once(begin).unwrap();
    let (_, back) = rest.split_once(end).unwrap();
    holds("README.md", &format!("{front}{begin}{table}\n{end}{back}"));
}
