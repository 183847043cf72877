//! The one table of commands: it drives dispatch, footer, help, palette, the README's table and the key configuration.

use super::keys::Key;

/// The screens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Screen {
    /// What changed, most important first.
    Findings,
    /// Both sides in one tree.
    Tree,
    /// When spans ran.
    Waterfall,
    /// Where the time goes, as an icicle.
    Flame,
    /// Who calls whom.
    Services,
    /// Which attributes differ.
    Attributes,
    /// What was written down, and what was compared.
    Notes,
    /// One node with all that is known of it.
    Detail,
}

impl Screen {
    /// The screens with a number, in order.
    pub const NUMBERED: [Screen; 7] = [
        Screen::Findings,
        Screen::Tree,
        Screen::Waterfall,
        Screen::Flame,
        Screen::Services,
        Screen::Attributes,
        Screen::Notes,
    ];

    /// All screens.
    pub const ALL: [Screen; 8] = [
        Screen::Findings,
        Screen::Tree,
        Screen::Waterfall,
        Screen::Flame,
        Screen::Services,
        Screen::Attributes,
        Screen::Notes,
        Screen::Detail,
    ];

    /// Its title.
    pub const fn title(self) -> &'static str {
        match self {
            Screen::Findings => "Findings",
            Screen::Tree => "Tree",
            Screen::Waterfall => "Waterfall",
            Screen::Flame => "Flame",
            Screen::Services => "Services",
            Screen::Attributes => "Attributes",
            Screen::Notes => "Notes",
            Screen::Detail => "Detail",
        }
    }

    /// The word on the command line.
    pub fn name(self) -> String {
        self.title().to_lowercase()
    }

    /// The screen of a word.
    pub fn from_name(name: &str) -> Option<Screen> {
        Screen::ALL.into_iter().find(|screen| screen.name() == name)
    }

    /// Its number on the keyboard.
    pub fn number(self) -> Option<usize> {
        Screen::NUMBERED.iter().position(|screen| *screen == self).map(|index| index + 1)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the table below says what each does")]
pub enum Action {
    Next,
    Previous,
    HalfDown,
    HalfUp,
    PageDown,
    PageUp,
    Top,
    Bottom,
    NextChange,
    PreviousChange,
    NextError,
    PreviousError,
    NextBookmark,
    PreviousBookmark,
    NextByShare,
    PreviousByShare,
    Left,
    Right,
    ToggleFold,
    CloseAll,
    OpenAll,
    FoldMore,
    FoldLess,
    ChangesOnly,
    ShowEqual,
    LowerBound,
    RaiseBound,
    Parent,
    Open,
    Close,
    Back,
    Forward,
    Show(Screen),
    LastScreen,
    NextPane,
    PreviousPane,
    FullPane,
    Sort,
    Swap,
    Basis,
    Filter,
    NextMatch,
    PreviousMatch,
    SameName,
    ZoomIn,
    ZoomOut,
    ZoomFit,
    PanLeft,
    PanRight,
    FitSpan,
    MarkTime,
    Align,
    CriticalOnly,
    Layout,
    Waterfall,
    Widths,
    Elided,
    Bookmark,
    Note,
    Accept,
    Copy,
    CopyMarkdown,
    Export,
    Picture,
    OpenPair,
    ChoosePair,
    Palette,
    Help,
    Mouse,
    Mask,
    Freeze,
    Suspend,
    Quit,
    QuitPrinting,
}

/// A heading of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Getting around.
    Move,
    /// From change to change.
    Changes,
    /// What is shown and how.
    View,
    /// Looking for something.
    Find,
    /// Hiding and showing.
    Folds,
    /// What leaves the program.
    Keep,
    /// The program itself.
    Session,
}

impl Group {
    /// All of them in the order of the help.
    pub const ALL: [Group; 7] =
        [Group::Move, Group::Changes, Group::View, Group::Find, Group::Folds, Group::Keep, Group::Session];

    /// The heading.
    pub const fn title(self) -> &'static str {
        match self {
            Group::Move => "MOVE",
            Group::Changes => "CHANGES",
            Group::View => "VIEW",
            Group::Find => "FIND",
            Group::Folds => "FOLDS",
            Group::Keep => "KEEP AND SHARE",
            Group::Session => "SESSION",
        }
    }
}

/// One command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// What it does.
    pub action: Action,
    /// Its name in the palette, in session logs and in `[keys]`.
    pub name: &'static str,
    /// Its keys, separated by blanks; several characters are pressed one after another.
    pub keys: &'static str,
    /// Where the help lists it.
    pub group: Group,
    /// What it does, in words.
    pub help: &'static str,
    /// Its words in the footer; empty for none.
    pub footer: &'static str,
    /// The screens on which it does something, as bits.
    pub(super) screens: u8,
}

const EVERYWHERE: u8 = u8::MAX;
const FINDINGS: u8 = Screen::Findings.bit();
const TREE: u8 = Screen::Tree.bit();
const WATERFALL: u8 = Screen::Waterfall.bit();
const FLAME: u8 = Screen::Flame.bit();
const SERVICES: u8 = Screen::Services.bit();
const ATTRIBUTES: u8 = Screen::Attributes.bit();
const NOTES: u8 = Screen::Notes.bit();
const DETAIL: u8 = Screen::Detail.bit();
/// Where the rows of the merged tree are.
const ROWS: u8 = TREE | WATERFALL;
/// Where the cursor stands at a node.
const NODES: u8 = ROWS | FLAME | DETAIL | FINDINGS;

const fn command(
    action: Action,
    (name, keys): (&'static str, &'static str),
    group: Group,
    help: &'static str,
    footer: &'static str,
    screens: u8,
) -> Command {
    Command { action, name, keys, group, help, footer, screens }
}

/// Every command there is. Where two share a key, no screen has both.
pub const COMMANDS: &[Command] = &[
    command(Action::Next, ("next", "j Down"), Group::Move, "next row", "", EVERYWHERE),
    command(Action::Previous, ("previous", "k Up"), Group::Move, "previous row", "", EVERYWHERE),
    command(Action::Left, ("left", "h Left"), Group::Move, "close, or to the parent; left", "", EVERYWHERE),
    command(Action::Right, ("right", "l Right"), Group::Move, "open; right", "", EVERYWHERE),
    command(Action::HalfDown, ("half-down", "^d"), Group::Move, "half a page down", "", EVERYWHERE),
    command(Action::HalfUp, ("half-up", "^u"), Group::Move, "half a page up", "", EVERYWHERE),
    command(Action::PageDown, ("page-down", "PgDn ^f"), Group::Move, "a page down", "", EVERYWHERE),
    command(Action::PageUp, ("page-up", "PgUp ^b"), Group::Move, "a page up", "", EVERYWHERE),
    command(Action::Top, ("top", "gg Home"), Group::Move, "first row", "", EVERYWHERE),
    command(Action::Bottom, ("bottom", "G End"), Group::Move, "last row", "", EVERYWHERE),
    command(Action::Parent, ("parent", "u"), Group::Move, "parent span", "", NODES),
    command(Action::Open, ("open", "Enter"), Group::Move, "open what the cursor is on", "open", EVERYWHERE),
    command(Action::Close, ("close", "q Esc"), Group::Session, "back; at the first screen: quit", "", EVERYWHERE),
    command(Action::Back, ("back", "H"), Group::Move, "back in the list of jumps", "", EVERYWHERE),
    command(Action::Forward, ("forward", "L"), Group::Move, "forward in the list of jumps", "", EVERYWHERE),
    command(Action::NextChange, ("next-change", "]c d"), Group::Changes, "next change", "change", EVERYWHERE),
    command(Action::PreviousChange, ("previous-change", "[c D"), Group::Changes, "previous change", "", EVERYWHERE),
    command(Action::NextError, ("next-error", "]e"), Group::Changes, "next new error", "error", EVERYWHERE),
    command(Action::PreviousError, ("previous-error", "[e"), Group::Changes, "previous new error", "", EVERYWHERE),
    command(
        Action::NextByShare,
        ("next-by-share", "]s"),
        Group::Changes,
        "next by share of the change",
        "",
        EVERYWHERE,
    ),
    command(Action::PreviousByShare, ("previous-by-share", "[s"), Group::Changes, "previous by share", "", EVERYWHERE),
    command(Action::NextBookmark, ("next-bookmark", "]b"), Group::Changes, "next bookmark", "", EVERYWHERE),
    command(Action::PreviousBookmark, ("previous-bookmark", "[b"), Group::Changes, "previous bookmark", "", EVERYWHERE),
    command(Action::Show(Screen::Findings), ("findings", "1"), Group::View, "findings", "", EVERYWHERE),
    command(Action::Show(Screen::Tree), ("tree", "2"), Group::View, "merged tree", "", EVERYWHERE),
    command(Action::Show(Screen::Waterfall), ("waterfall", "3"), Group::View, "waterfall", "", EVERYWHERE),
    command(Action::Show(Screen::Flame), ("flame", "4"), Group::View, "flame (icicle)", "", EVERYWHERE),
    command(Action::Show(Screen::Services), ("services", "5"), Group::View, "services", "", EVERYWHERE),
    command(Action::Show(Screen::Attributes), ("attributes", "6"), Group::View, "attributes", "", EVERYWHERE),
    command(Action::Show(Screen::Notes), ("notes", "7"), Group::View, "notes, bookmarks, inputs", "", EVERYWHERE),
    command(Action::LastScreen, ("last-screen", "`"), Group::View, "the screen before this one", "", EVERYWHERE),
    command(
        Action::Waterfall,
        ("to-waterfall", "w"),
        Group::View,
        "this row in the waterfall",
        "waterfall",
        TREE | FINDINGS | SERVICES | DETAIL,
    ),
    command(Action::Widths, ("widths", "w"), Group::View, "widths: after, before, both, change", "widths", FLAME),
    command(Action::Elided, ("elided", "v"), Group::View, "only what is gone", "gone", FLAME),
    command(Action::NextPane, ("next-pane", "Tab"), Group::View, "next pane or section", "", EVERYWHERE),
    command(Action::PreviousPane, ("previous-pane", "S-Tab"), Group::View, "previous pane or section", "", EVERYWHERE),
    command(Action::FullPane, ("full-pane", "_"), Group::View, "list alone, or with its panel", "", EVERYWHERE),
    command(Action::Layout, ("layout", "t"), Group::View, "sides beside or above each other", "layout", ROWS),
    command(Action::ZoomIn, ("zoom-in", "+"), Group::View, "zoom in", "zoom", WATERFALL),
    command(Action::ZoomOut, ("zoom-out", "-"), Group::View, "zoom out", "", WATERFALL),
    command(Action::ZoomFit, ("zoom-all", "0"), Group::View, "all of the time", "", WATERFALL),
    command(Action::PanLeft, ("pan-left", ","), Group::View, "earlier", "", WATERFALL),
    command(Action::PanRight, ("pan-right", "."), Group::View, "later", "", WATERFALL),
    command(Action::FitSpan, ("zoom-span", "f"), Group::View, "zoom to this span", "fit", WATERFALL),
    command(Action::MarkTime, ("mark-time", "m"), Group::View, "begin and end of a range to zoom to", "", WATERFALL),
    command(
        Action::Align,
        ("align", "r"),
        Group::View,
        "times from the start of the trace or of the parent",
        "",
        WATERFALL,
    ),
    command(Action::CriticalOnly, ("critical-path", "p"), Group::View, "the critical path only", "path", ROWS),
    command(
        Action::Sort,
        ("sort", "s"),
        Group::View,
        "next order of the list",
        "sort",
        FINDINGS | SERVICES | ATTRIBUTES | FLAME,
    ),
    command(
        Action::Basis,
        ("basis", "c"),
        Group::View,
        "which number counts: mean, p50, p95, p99",
        "",
        FINDINGS | DETAIL | TREE,
    ),
    command(Action::Swap, ("swap", "x"), Group::View, "swap before and after", "", EVERYWHERE),
    command(Action::Filter, ("filter", "/"), Group::Find, "filter rows", "filter", EVERYWHERE),
    command(Action::NextMatch, ("next-match", "n"), Group::Find, "next match", "", ROWS | FLAME),
    command(Action::PreviousMatch, ("previous-match", "N"), Group::Find, "previous match", "", ROWS | FLAME),
    command(Action::SameName, ("same-name", "*"), Group::Find, "next row of this name", "", ROWS | FLAME),
    command(Action::ToggleFold, ("fold", "za Space"), Group::Folds, "open or close", "", ROWS),
    command(Action::OpenAll, ("open-all", "zR"), Group::Folds, "open everything", "", ROWS),
    command(Action::CloseAll, ("close-all", "zM"), Group::Folds, "close everything", "", ROWS),
    command(Action::FoldLess, ("fold-less", "zr"), Group::Folds, "one level more", "", ROWS),
    command(Action::FoldMore, ("fold-more", "zm"), Group::Folds, "one level less", "", ROWS),
    command(Action::ChangesOnly, ("changes-only", "zx"), Group::Folds, "changes and the way to them", "", ROWS),
    command(
        Action::ShowEqual,
        ("equal", "="),
        Group::Folds,
        "show or hide what is equal",
        "equal",
        ROWS | DETAIL | SERVICES,
    ),
    command(Action::LowerBound, ("lower-bound", "<"), Group::Folds, "smaller changes count too", "", ROWS),
    command(Action::RaiseBound, ("raise-bound", ">"), Group::Folds, "only larger changes count", "", ROWS),
    command(Action::Bookmark, ("bookmark", "b"), Group::Keep, "set or remove a bookmark", "mark", NODES | NOTES),
    command(Action::Note, ("note", "a"), Group::Keep, "write a note here", "note", NODES | NOTES),
    command(
        Action::Accept,
        ("accept", "A"),
        Group::Keep,
        "accept this change in the policy file",
        "",
        FINDINGS | DETAIL,
    ),
    command(Action::Copy, ("copy", "y"), Group::Keep, "copy this", "copy", EVERYWHERE),
    command(Action::CopyMarkdown, ("copy-markdown", "Y"), Group::Keep, "copy this as Markdown", "", EVERYWHERE),
    command(Action::Export, ("export", "e"), Group::Keep, "write the incident note", "export", EVERYWHERE),
    command(Action::Picture, ("picture", "S"), Group::Keep, "write this screen as SVG", "", EVERYWHERE),
    command(
        Action::OpenPair,
        ("open-pair", "o"),
        Group::View,
        "open an example pair, or go back to all traces",
        "pair",
        FINDINGS | DETAIL | TREE,
    ),
    command(
        Action::ChoosePair,
        ("choose-pair", "O"),
        Group::View,
        "choose the example pair",
        "",
        FINDINGS | DETAIL | TREE,
    ),
    command(
        Action::Mask,
        ("mask", "zv"),
        Group::Keep,
        "mask values of attributes in notes and copies, or not",
        "",
        EVERYWHERE,
    ),
    command(Action::Palette, ("palette", ": ^p"), Group::Session, "run a command by name", "", EVERYWHERE),
    command(Action::Help, ("help", "? F1"), Group::Session, "all commands", "help", EVERYWHERE),
    command(Action::Mouse, ("mouse", "M"), Group::Session, "mouse on or off", "", EVERYWHERE),
    command(
        Action::Freeze,
        ("freeze", "F"),
        Group::Session,
        "hold what is shown while a receiver goes on, or follow it again",
        "",
        EVERYWHERE,
    ),
    command(Action::Suspend, ("suspend", "^z"), Group::Session, "to the shell, back with fg", "", EVERYWHERE),
    command(Action::Quit, ("quit", "^c"), Group::Session, "cancel what runs; twice: quit", "", EVERYWHERE),
    command(
        Action::QuitPrinting,
        ("quit-printing", "Q"),
        Group::Session,
        "quit and leave the summary in the shell",
        "",
        EVERYWHERE,
    ),
];

impl Command {
    /// Whether it does something on a screen.
    pub const fn works_on(&self, screen: Screen) -> bool {
        self.screens & screen.bit() != 0
    }

    /// Its keys as sequences.
    pub fn sequences(&self) -> impl Iterator<Item = Vec<Key>> {
        self.keys.split(' ').map(Key::sequence)
    }

    /// The first of its keys as it is written.
    pub fn first_key(&self) -> &'static str {
        self.keys.split(' ').next().unwrap_or_default()
    }
}

/// The command of an action.
pub fn command_of(action: Action) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.action == action)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_screen_has_two_commands_for_one_key() {
        for screen in Screen::ALL {
            let mut taken = BTreeSet::new();
            for command in COMMANDS.iter().filter(|command| command.works_on(screen)) {
                for keys in command.sequences() {
                    assert!(!keys.is_empty() && taken.insert(keys), "{} on {}", command.name, screen.title());
                }
            }
            // A key that runs a command must not be the beginning of another.
            let all: Vec<_> = taken.iter().collect();
            for keys in &all {
                assert!(!all.iter().any(|other| other.len() > keys.len() && other.starts_with(keys)), "{keys:?}");
            }
        }
    }

    #[test]
    fn names_are_unique_and_escape_is_never_needed() {
        let names: BTreeSet<_> = COMMANDS.iter().map(|command| command.name).collect();
        assert_eq!(names.len(), COMMANDS.len());
        assert!(COMMANDS.iter().all(|command| command.keys != "Esc" && !command.help.is_empty()));
    }
}
