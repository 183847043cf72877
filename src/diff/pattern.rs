//! Which call paths a rule speaks of: globs over the names of their operations, joined by `/`.
//!
//! In a path `?` is one character and `*` any number of them, but neither is a `/`; `**` is anything; `**/` at the beginning or
//! behind a `/` is any number of whole operations, also none. Everything else is itself: braces, brackets and
//! backslashes occur in names. In a single name, which is no path, `*` is anything. A pattern is matched as a set of states, so that no pattern and no name makes it slow,
//! and so that a walk over a tree extends its parent's states instead of starting again at the root.

use crate::model::Operation;

/// Characters of the longest pattern.
pub const MAX_PATTERN: usize = 1_000;

/// One step of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// This character.
    Char(char),
    /// One character that is no `/`.
    One,
    /// One character.
    Any,
    /// Any number of characters that are no `/`.
    Star,
    /// Anything.
    Deep,
    /// Either nothing, past the next token too, or what the next token takes.
    Operations,
    /// Anything up to and including a `/`.
    UpToSlash,
}

/// A glob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    tokens: Vec<Token>,
}

/// How far a pattern has come: for each of its tokens whether matching may go on there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress(Vec<bool>);

impl Pattern {
    /// A pattern of a single name, in which a `/` is a character as any other.
    pub fn name(text: &str) -> Result<Pattern, String> {
        let mut pattern = Pattern::new(text)?;
        pattern.tokens = text
            .chars()
            .map(|c| match c {
                '*' => Token::Deep,
                '?' => Token::Any,
                other => Token::Char(other),
            })
            .collect();
        Ok(pattern)
    }

    /// A pattern of a path; the error says what is wrong with it.
    pub fn new(text: &str) -> Result<Pattern, String> {
        if text.is_empty() {
            return Err("a pattern must not be empty".into());
        }
        if text.chars().count() > MAX_PATTERN {
            return Err(format!("a pattern has at most {MAX_PATTERN} characters"));
        }
        let mut tokens = Vec::new();
        let mut rest = text;
        let mut at_start = true;
        while let Some(first) = rest.chars().next() {
            let (length, token) = match first {
                '*' if at_start && rest.starts_with("**/") => {
                    tokens.push(Token::Operations);
                    (3, Token::UpToSlash)
                }
                '*' if rest.starts_with("**") => (2, Token::Deep),
                '*' => (1, Token::Star),
                '?' => (1, Token::One),
                other => (other.len_utf8(), Token::Char(other)),
            };
            tokens.push(token);
            at_start = first == '/' || token == Token::UpToSlash;
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(Pattern { text: text.to_owned(), tokens })
    }

    /// The pattern as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Before the first character.
    pub fn start(&self) -> Progress {
        let mut states = vec![false; self.tokens.len() + 1];
        if let Some(first) = states.first_mut() {
            *first = true;
        }
        self.skip(&mut states);
        Progress(states)
    }

    /// Enters what may be left out. Tokens only lead forwards, so one pass does.
    fn skip(&self, states: &mut [bool]) {
        for (index, token) in self.tokens.iter().enumerate() {
            let ahead = match token {
                Token::Star | Token::Deep => [Some(1), None],
                Token::Operations => [Some(1), Some(2)],
                Token::Char(_) | Token::One | Token::Any | Token::UpToSlash => [None, None],
            };
            if states.get(index) == Some(&true) {
                for step in ahead.into_iter().flatten() {
                    enter(states, index + step);
                }
            }
        }
    }

    /// After more text.
    #[must_use]
    pub fn advance(&self, progress: &Progress, text: &str) -> Progress {
        let mut states = progress.0.clone();
        for c in text.chars() {
            let mut next = vec![false; states.len()];
            for (index, token) in self.tokens.iter().enumerate() {
                if states.get(index) != Some(&true) {
                    continue;
                }
                let (stay, go) = match token {
                    Token::Char(own) => (false, *own == c),
                    Token::One => (false, c != '/'),
                    Token::Any => (false, true),
                    Token::Star => (c != '/', false),
                    Token::Deep => (true, false),
                    Token::Operations => (false, false),
                    Token::UpToSlash => (true, c == '/'),
                };
                if stay {
                    enter(&mut next, index);
                }
                if go {
                    enter(&mut next, index + 1);
                }
            }
            self.skip(&mut next);
            states = next;
        }
        Progress(states)
    }

    /// Whether the text so far matches as a whole.
    pub fn accepts(&self, progress: &Progress) -> bool {
        progress.0.last() == Some(&true)
    }

    /// Whether a text matches as a whole.
    pub fn matches(&self, text: &str) -> bool {
        self.accepts(&self.advance(&self.start(), text))
    }
}

fn enter(states: &mut [bool], index: usize) {
    if let Some(state) = states.get_mut(index) {
        *state = true;
    }
}

/// What a rule speaks of. All parts that are there must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matcher {
    /// The name of the entry point: the rule speaks of it and of everything below.
    pub entry: Option<Pattern>,
    /// The names of the call path's operations, joined by `/`.
    pub path: Option<Pattern>,
    /// The service of the last operation.
    pub service: Option<Pattern>,
}

impl Matcher {
    /// Whether it speaks of this call path, entry point first.
    pub fn matches(&self, path: &[Operation]) -> bool {
        let (Some(entry), Some(operation)) = (path.first(), path.last()) else { return false };
        self.entry.as_ref().is_none_or(|pattern| pattern.matches(&entry.name))
            && self.service.as_ref().is_none_or(|pattern| pattern.matches(&operation.service))
            && self.path.as_ref().is_none_or(|pattern| matches_path(pattern, path))
    }

    /// How it is written, in one line: `entry POST /checkout`, `path **/cache.get`.
    pub fn text(&self) -> String {
        [("entry", &self.entry), ("path", &self.path), ("service", &self.service)]
            .into_iter()
            .filter_map(|(word, pattern)| pattern.as_ref().map(|pattern| format!("{word} {}", pattern.text())))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

fn matches_path(pattern: &Pattern, path: &[Operation]) -> bool {
    let mut progress = pattern.start();
    for (depth, operation) in path.iter().enumerate() {
        progress = step(pattern, &progress, depth, &operation.name);
    }
    pattern.accepts(&progress)
}

fn step(pattern: &Pattern, progress: &Progress, depth: usize, name: &str) -> Progress {
    if depth == 0 { pattern.advance(progress, name) } else { pattern.advance(&pattern.advance(progress, "/"), name) }
}

/// A matcher on its way down a tree in pre-order: each node costs its own name, however deep it lies.
pub struct Walk<'a> {
    matcher: &'a Matcher,
    /// For each level whether the entry point matches, and how far the path's pattern has come.
    levels: Vec<(bool, Option<Progress>)>,
}

impl<'a> Walk<'a> {
    /// Above the entry points.
    pub fn new(matcher: &'a Matcher) -> Walk<'a> {
        Walk { matcher, levels: Vec::new() }
    }

    /// Goes to the next node in pre-order and says whether the matcher speaks of it.
    pub fn visit(&mut self, depth: usize, operation: &Operation) -> bool {
        self.levels.truncate(depth);
        let depth = self.levels.len();
        let entry = match self.levels.first() {
            Some((entry, _)) => *entry,
            None => self.matcher.entry.as_ref().is_none_or(|pattern| pattern.matches(&operation.name)),
        };
        let progress = self.matcher.path.as_ref().map(|pattern| {
            let above = self.levels.last().and_then(|(_, progress)| progress.clone());
            step(pattern, &above.unwrap_or_else(|| pattern.start()), depth, &operation.name)
        });
        let on_path = match (&self.matcher.path, &progress) {
            (Some(pattern), Some(progress)) => pattern.accepts(progress),
            _ => true,
        };
        let service = self.matcher.service.as_ref().is_none_or(|pattern| pattern.matches(&operation.service));
        self.levels.push((entry, progress));
        entry && on_path && service
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    #[test]
    fn globs() {
        for (pattern, text, matches) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a", "", false),
            ("a*c", "abbc", true),
            ("a*c", "ab/c", false),
            ("a**c", "ab/c", true),
            ("a?c", "a/c", false),
            ("a?c", "aéc", true),
            ("GET /users/{}", "GET /users/{}", true),
            ("SELECT * FROM [t]", "SELECT * FROM [t]", true),
            ("**/cache.get", "cache.get", true),
            ("**/cache.get", "GET /a/cart/cache.get", true),
            ("**/cache.get", "GET /a/mycache.get", false),
            ("GET /a/**/cache.get", "GET /a/cache.get", true),
            ("GET /a/**/cache.get", "GET /a/x/y/cache.get", true),
            ("GET /a/**/cache.get", "GET /ab/cache.get", false),
            ("GET /a/**", "GET /a/x/y", true),
            ("GET /a/**", "GET /a", false),
            ("**/**/x", "x", true),
            ("**", "anything/at all", true),
            ("*", "a/b", false),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().matches(text), matches, "{pattern} on {text}");
        }
        assert!(Pattern::new("").is_err());
        assert!(Pattern::new(&"x".repeat(MAX_PATTERN + 1)).is_err());
    }

    #[test]
    fn no_pattern_is_slow() {
        let pattern = Pattern::new(&"*a".repeat(400)).unwrap();
        assert!(!pattern.matches(&"a".repeat(399)));
        assert!(pattern.matches(&"a".repeat(5_000)));
    }

    fn operation(service: &str, name: &str) -> Operation {
        Operation { service: service.into(), kind: Kind::Server, name: name.into() }
    }

    #[test]
    fn a_walk_says_what_the_paths_say() {
        let tree = [
            (0, "shop", "POST /checkout"),
            (1, "cart", "cart.get"),
            (2, "cache", "cache.get"),
            (1, "fraud", "fraud.score"),
            (0, "shop", "GET /"),
            (1, "cache", "cache.get"),
        ];
        let pattern = |text: &str| Some(Pattern::new(text).unwrap());
        let name = |text: &str| Some(Pattern::name(text).unwrap());
        let matchers = [
            Matcher { entry: name("POST /checkout"), ..Matcher::default() },
            Matcher { path: pattern("**/cache.get"), ..Matcher::default() },
            Matcher { path: pattern("POST /checkout/**"), service: name("c?*"), ..Matcher::default() },
            Matcher { entry: name("GET *"), path: pattern("**/cache.get"), ..Matcher::default() },
        ];
        let expected = [
            [true, true, true, true, false, false],
            [false, false, true, false, false, true],
            [false, true, true, false, false, false],
            [false, false, false, false, false, true],
        ];
        for (matcher, expected) in matchers.iter().zip(expected) {
            let mut walk = Walk::new(matcher);
            let mut path: Vec<Operation> = Vec::new();
            for (&(depth, service, name), expected) in tree.iter().zip(expected) {
                path.truncate(depth);
                path.push(operation(service, name));
                assert_eq!(walk.visit(depth, &path[depth]), expected, "{} at {path:?}", matcher.text());
                assert_eq!(matcher.matches(&path), expected, "{} at {path:?}", matcher.text());
            }
        }
        assert_eq!(matchers[2].text(), "path POST /checkout/**, service c?*");
    }
}
