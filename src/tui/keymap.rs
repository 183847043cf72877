//! Which keys run which command: the table of commands with the user's changes over it.

use super::action::{COMMANDS, Command, Screen};
use super::keys::Key;

/// What keys come to on a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A command.
    Run(&'static Command),
    /// More keys are needed.
    Partial,
    /// Nothing.
    Nothing,
}

/// Which keys run which command: the table with the user's changes over it.
#[derive(Clone, Debug)]
pub struct Keymap {
    bindings: Vec<(Vec<Key>, &'static Command)>,
}

impl Default for Keymap {
    fn default() -> Keymap {
        let bindings = COMMANDS.iter().flat_map(|command| command.sequences().map(move |keys| (keys, command)));
        Keymap { bindings: bindings.collect() }
    }
}

impl Keymap {
    /// Gives a command other keys, separated by blanks.
    ///
    /// # Errors
    /// A sentence when there is no such command.
    pub fn bind(&mut self, name: &str, keys: &str) -> Result<(), String> {
        let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
            return Err(format!("there is no command `{name}`: see : in the terminal UI for the names"));
        };
        self.bindings.retain(|(_, bound)| bound.name != name);
        for word in keys.split_whitespace() {
            let sequence = Key::sequence(word);
            // The user's word goes before the table's.
            self.bindings.retain(|(bound, other)| *bound != sequence || other.screens & command.screens == 0);
            self.bindings.push((sequence, command));
        }
        Ok(())
    }

    /// What the keys pressed so far come to.
    pub fn find(&self, pressed: &[Key], screen: Screen) -> Found {
        let mut partial = false;
        for (keys, command) in self.bindings.iter().filter(|(_, command)| command.works_on(screen)) {
            if keys == pressed {
                return Found::Run(command);
            }
            partial |= keys.starts_with(pressed);
        }
        if partial { Found::Partial } else { Found::Nothing }
    }

    /// The keys of a command as they are written.
    pub fn keys_of(&self, name: &str) -> String {
        let write = |keys: &[Key]| keys.iter().map(Key::to_string).collect::<String>();
        let bound = self.bindings.iter().filter(|(_, command)| command.name == name);
        bound.map(|(keys, _)| write(keys)).collect::<Vec<_>>().join(" ")
    }

    /// How the keys pressed so far can go on: the rest and what it does.
    pub fn continuations(&self, pressed: &[Key], screen: Screen) -> Vec<(String, &'static Command)> {
        let works = |command: &Command| command.works_on(screen);
        let rest = |keys: &[Key]| keys.iter().skip(pressed.len()).map(Key::to_string).collect::<String>();
        self.bindings
            .iter()
            .filter(|(keys, command)| works(command) && keys.len() > pressed.len() && keys.starts_with(pressed))
            .map(|(keys, command)| (rest(keys), *command))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::action::Action;

    #[test]
    fn keys_can_be_changed() {
        let mut keymap = Keymap::default();
        let key = |c: char| vec![Key::Char(c)];
        assert!(keymap.bind("nonsense", "x").is_err());
        keymap.bind("swap", "X ]x").unwrap();
        assert_eq!(keymap.find(&key('x'), Screen::Tree), Found::Nothing);
        assert!(matches!(keymap.find(&key('X'), Screen::Tree), Found::Run(command) if command.action == Action::Swap));
        assert_eq!(keymap.find(&key(']'), Screen::Tree), Found::Partial);
        keymap.bind("help", "j").unwrap();
        assert!(matches!(keymap.find(&key('j'), Screen::Tree), Found::Run(command) if command.action == Action::Help));
        assert_eq!(keymap.keys_of("next"), "Down");
    }
}
