//! What differs between two long values, word by word: statements, URLs, messages.

use std::collections::HashMap;

/// Longest side, in tokens between the common beginning and the common end, that is compared token by token: the
/// table of the comparison then takes 8 MB at most.
const MAX_TOKENS: usize = 2_000;

/// Where a piece of text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceKind {
    /// On both sides.
    Same,
    /// Only before.
    Before,
    /// Only after.
    After,
}

/// A run of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it stands.
    pub kind: PieceKind,
    /// The text.
    pub text: String,
}

/// Two texts as one list: what is [`Same`](PieceKind::Same) and [`Before`](PieceKind::Before) makes up `before`, what
/// is [`Same`](PieceKind::Same) and [`After`](PieceKind::After) makes up `after`. No piece is empty, and none follows
/// one of its kind; of a change what was before comes first.
///
/// Words (runs of letters, digits and underscores) and runs of white space are kept whole. Texts that differ in more
/// than 2,000 tokens differ from the first to the last difference.
pub fn word_diff(before: &str, after: &str) -> Vec<Piece> {
    let (old, new) = (tokens(before), tokens(after));
    let start = common(old.iter(), new.iter());
    let (old_rest, new_rest) = (old.get(start..).unwrap_or_default(), new.get(start..).unwrap_or_default());
    let end = common(old_rest.iter().rev(), new_rest.iter().rev());
    let old_middle = old_rest.get(..old_rest.len().saturating_sub(end)).unwrap_or_default();
    let new_middle = new_rest.get(..new_rest.len().saturating_sub(end)).unwrap_or_default();
    let mut runs = Runs::default();
    runs.same(old.get(..start).unwrap_or_default());
    if old_middle.len().max(new_middle.len()) > MAX_TOKENS {
        runs.change(old_middle, new_middle);
    } else {
        align(old_middle, new_middle, &mut runs);
    }
    runs.same(old_rest.get(old_middle.len()..).unwrap_or_default());
    runs.into_pieces()
}

/// How many tokens two lists have in common from where they begin.
fn common<'a>(one: impl Iterator<Item = &'a &'a str>, other: impl Iterator<Item = &'a &'a str>) -> usize {
    one.zip(other).take_while(|(a, b)| a == b).count()
}

/// What a character is part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    Space,
    Other,
}

impl Class {
    fn of(character: char) -> Class {
        if character.is_alphanumeric() || character == '_' {
            Class::Word
        } else if character.is_whitespace() {
            Class::Space
        } else {
            Class::Other
        }
    }
}

/// Words, runs of white space, and every other character by itself.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let class = Class::of(first);
        let run = rest.char_indices().skip(1).find(|&(_, next)| class == Class::Other || Class::of(next) != class);
        let (token, behind) = rest.split_at_checked(run.map_or(rest.len(), |(at, _)| at)).unwrap_or((rest, ""));
        tokens.push(token);
        rest = behind;
    }
    tokens
}

/// Lengths of the longest common subsequences of all pairs of ends of two lists, row by row.
struct Table {
    width: usize,
    lengths: Vec<u16>,
}

impl Table {
    fn new(old: &[u32], new: &[u32]) -> Table {
        let width = new.len() + 1;
        let mut table = Table { width, lengths: vec![0; (old.len() + 1) * width] };
        for (row, token) in old.iter().enumerate().rev() {
            let Some((upper, lower)) = table.lengths.split_at_mut_checked((row + 1) * width) else { break };
            let Some(upper) = upper.get_mut(row * width..) else { break };
            let mut right = 0;
            // From the right: each length follows from those below, to the right, and below to the right.
            let below = lower.get(..width).unwrap_or_default().windows(2).rev();
            for ((slot, below), other) in upper.iter_mut().rev().skip(1).zip(below).zip(new.iter().rev()) {
                let &[down, diagonal] = below else { break };
                right = if token == other { diagonal + 1 } else { down.max(right) };
                *slot = right;
            }
        }
        table
    }

    fn at(&self, row: usize, column: usize) -> u16 {
        self.lengths.get(row * self.width + column).copied().unwrap_or_default()
    }
}

/// Walks along a longest common subsequence.
fn align<'a>(old: &[&'a str], new: &[&'a str], runs: &mut Runs<'a>) {
    let mut numbers: HashMap<&str, u32, foldhash::fast::RandomState> = HashMap::default();
    let mut number = |token: &&'a str| {
        let next = numbers.len() as u32;
        *numbers.entry(token).or_insert(next)
    };
    let (old_numbers, new_numbers): (Vec<u32>, Vec<u32>) =
        (old.iter().map(&mut number).collect(), new.iter().map(&mut number).collect());
    let table = Table::new(&old_numbers, &new_numbers);
    let (mut row, mut column) = (0, 0);
    while let (Some(before), Some(after)) = (old.get(row), new.get(column)) {
        if before == after {
            runs.same(&[before]);
            (row, column) = (row + 1, column + 1);
        } else if table.at(row + 1, column) >= table.at(row, column + 1) {
            runs.change(&[before], &[]);
            row += 1;
        } else {
            runs.change(&[], &[after]);
            column += 1;
        }
    }
    runs.change(old.get(row..).unwrap_or_default(), new.get(column..).unwrap_or_default());
}

/// What was found so far, common runs and changes in turn.
#[derive(Default)]
struct Runs<'a> {
    list: Vec<Run<'a>>,
}

/// A common run, or what stands in one place before and after.
enum Run<'a> {
    Same(Vec<&'a str>),
    Change(Change<'a>),
}

/// Tokens of which at least one side has some.
struct Change<'a> {
    before: Vec<&'a str>,
    after: Vec<&'a str>,
}

impl<'a> Change<'a> {
    /// Whether one text took the place of another.
    const fn is_replacement(&self) -> bool {
        !self.before.is_empty() && !self.after.is_empty()
    }

    fn extend(&mut self, before: &[&'a str], after: &[&'a str]) {
        self.before.extend(before);
        self.after.extend(after);
    }

    /// Takes in what follows, if that is easier to read: `between` is the same, then comes `next`. What remains the
    /// same is what it returns; `None` when nothing was taken in.
    fn take_in(&mut self, between: &[&'a str], next: &Change<'a>) -> Option<Vec<&'a str>> {
        let is_space = |token: &&str| token.chars().all(char::is_whitespace);
        if self.is_replacement() && next.is_replacement() && between.iter().all(is_space) {
            // `a b` became `c d`, not word by word.
            self.extend(between, between);
            self.extend(&next.before, &next.after);
            return Some(Vec::new());
        }
        // `, ` and `b ` came before and after a space: that is `, b` and the space behind it.
        if next.after.is_empty()
            && let Some(rest) = next.before.strip_suffix(between)
        {
            self.extend(between, &[]);
            self.extend(rest, &[]);
        } else if next.before.is_empty()
            && let Some(rest) = next.after.strip_suffix(between)
        {
            self.extend(&[], between);
            self.extend(&[], rest);
        } else {
            return None;
        }
        Some(between.to_vec())
    }
}

impl<'a> Runs<'a> {
    fn same(&mut self, tokens: &[&'a str]) {
        if tokens.is_empty() {
            return;
        }
        if let Some(Run::Same(run)) = self.list.last_mut() {
            run.extend(tokens);
        } else {
            self.list.push(Run::Same(tokens.to_vec()));
        }
    }

    fn change(&mut self, before: &[&'a str], after: &[&'a str]) {
        if before.is_empty() && after.is_empty() {
            return;
        }
        if let Some(Run::Change(run)) = self.list.last_mut() {
            run.extend(before, after);
        } else {
            self.list.push(Run::Change(Change { before: before.to_vec(), after: after.to_vec() }));
        }
    }

    /// The same with fewer and longer changes.
    fn joined(self) -> Runs<'a> {
        let mut joined = Runs::default();
        for run in self.list {
            match run {
                Run::Same(tokens) => joined.same(&tokens),
                Run::Change(next) => {
                    if let [.., Run::Change(last), Run::Same(between)] = joined.list.as_mut_slice()
                        && let Some(same) = last.take_in(between, &next)
                    {
                        joined.list.pop();
                        joined.same(&same);
                    } else {
                        joined.change(&next.before, &next.after);
                    }
                }
            }
        }
        joined
    }

    fn into_pieces(self) -> Vec<Piece> {
        let pieces = self.joined().list.into_iter().flat_map(|run| match run {
            Run::Same(tokens) => [(PieceKind::Same, tokens), (PieceKind::After, Vec::new())],
            Run::Change(change) => [(PieceKind::Before, change.before), (PieceKind::After, change.after)],
        });
        let pieces = pieces.filter(|(_, tokens)| !tokens.is_empty());
        pieces.map(|(kind, tokens)| Piece { kind, text: tokens.concat() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Changes in brackets: `same [before|after] same`.
    fn shown(before: &str, after: &str) -> String {
        let pieces = word_diff(before, after);
        let mut text = String::new();
        for (number, piece) in pieces.iter().enumerate() {
            let next = pieces.get(number + 1).map(|piece| piece.kind);
            let open = number.checked_sub(1).is_some_and(|last| pieces[last].kind == PieceKind::Before);
            let (left, right) = match piece.kind {
                PieceKind::Same => ("", ""),
                PieceKind::Before if next == Some(PieceKind::After) => ("[", "|"),
                PieceKind::Before => ("[", "|]"),
                PieceKind::After if open => ("", "]"),
                PieceKind::After => ("[|", "]"),
            };
            text.extend([left, &piece.text, right]);
        }
        text
    }

    #[test]
    fn words_space_and_single_signs() {
        assert_eq!(tokens("SELECT  qty_1,(é)\n--"), ["SELECT", "  ", "qty_1", ",", "(", "é", ")", "\n", "-", "-"]);
        assert_eq!(tokens(""), [""; 0]);
    }

    #[test]
    fn statements_differ_in_words() {
        for (before, after, expected) in [
            (
                "SELECT qty FROM stock WHERE sku = ANY($1)",
                "SELECT qty FROM stock WHERE sku = $1",
                "SELECT qty FROM stock WHERE sku = [ANY(|]$1[)|]",
            ),
            ("SELECT a FROM t", "SELECT a, b FROM t LIMIT 5", "SELECT a[|, b] FROM t[| LIMIT 5]"),
            ("", "x", "[|x]"),
            ("x y", "", "[x y|]"),
            ("same", "same", "same"),
            ("", "", ""),
            ("order by a", "group by b", "[order|group] by [a|b]"),
            ("old words here", "new text here", "[old words|new text] here"),
            ("itemId", "item_id", "[itemId|item_id]"),
        ] {
            assert_eq!(shown(before, after), expected, "{before} → {after}");
        }
    }

    #[test]
    fn very_long_texts_differ_from_the_first_to_the_last_difference() {
        let list = |first: &str, middle: usize, last: &str| format!("a {first}{} {last} z", " x".repeat(middle));
        // 1,000 words in between, with space: 2,003 tokens.
        assert_eq!(shown(&list("1", 1_000, "2"), &list("3", 1_000, "4")), {
            let words = " x".repeat(1_000);
            format!("a [1{words} 2|3{words} 4] z")
        });
        assert_eq!(shown(&list("1", 900, "2"), &list("3", 900, "4")), format!("a [1|3]{} [2|4] z", " x".repeat(900)));
        // What is in common at both ends does not count.
        let long = "x ".repeat(50_000);
        assert_eq!(shown(&format!("{long}a {long}"), &format!("{long}b {long}")), format!("{long}[a|b] {long}"));
    }

    /// Length of the longest common subsequence, by its definition.
    fn longest(old: &[&str], new: &[&str]) -> usize {
        match (old.split_first(), new.split_first()) {
            (Some((a, old_rest)), Some((b, new_rest))) if a == b => 1 + longest(old_rest, new_rest),
            (Some((_, old_rest)), Some((_, new_rest))) => longest(old_rest, new).max(longest(old, new_rest)),
            _ => 0,
        }
    }

    fn check(before: &str, after: &str) -> Result<Vec<Piece>, TestCaseError> {
        let pieces = word_diff(before, after);
        let without = |kind: PieceKind| -> String {
            pieces.iter().filter(|piece| piece.kind != kind).map(|piece| piece.text.as_str()).collect()
        };
        prop_assert_eq!(without(PieceKind::After), before);
        prop_assert_eq!(without(PieceKind::Before), after);
        prop_assert!(pieces.iter().all(|piece| !piece.text.is_empty()));
        for neighbours in pieces.windows(2) {
            let (first, second) = (neighbours[0].kind, neighbours[1].kind);
            prop_assert!(first != second && (first, second) != (PieceKind::After, PieceKind::Before));
        }
        Ok(pieces)
    }

    proptest! {
        #[test]
        fn both_texts_are_in_the_pieces(before in "\\PC{0,60}", after in "\\PC{0,60}") {
            check(&before, &after)?;
        }

        #[test]
        fn similar_texts_too(before in "[ab_ ,\n]{0,40}", after in "[ab_ ,\n]{0,40}") {
            check(&before, &after)?;
        }

        #[test]
        fn as_much_is_kept_as_can_be(before in "[abc,]{0,12}", after in "[abc,]{0,12}") {
            // Without white space nothing is joined: what is the same is a longest common subsequence.
            let pieces = check(&before, &after)?;
            let same = pieces.iter().filter(|piece| piece.kind == PieceKind::Same);
            let kept: usize = same.map(|piece| tokens(&piece.text).len()).sum();
            prop_assert_eq!(kept, longest(&tokens(&before), &tokens(&after)));
        }
    }
}
