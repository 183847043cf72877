//! Database statements: literals out, lists folded, comments dropped; and what a statement does to which table.
//!
//! Newer instrumentation sanitises statements, older does not, and comments carry trace ids: all three must read the
//! same. The scanner knows tokens, not grammar, so it works for every SQL dialect and does no harm to others.

use super::masking;

/// Bytes of a statement that are looked at: what differs only behind that is the same statement.
const MAX_STATEMENT: usize = 16 << 10;
/// Targets that a summary names.
const MAX_TARGETS: usize = 8;

/// A token of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    /// A keyword or a name without its quotes.
    Word(&'a str),
    /// A literal or a parameter.
    Literal,
    /// Anything else, one byte.
    Sign(u8),
}

struct Tokens<'a> {
    text: &'a str,
    at: usize,
    /// The last token, to tell a quoted name from quoted text and a sign from an operator.
    last: Option<Token<'a>>,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Self {
        let mut end = text.len().min(MAX_STATEMENT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Tokens { text: text.get(..end).unwrap_or_default(), at: 0, last: None }
    }

    fn byte(&self, at: usize) -> u8 {
        self.text.as_bytes().get(at).copied().unwrap_or_default()
    }

    fn run_end(&self, from: usize, test: impl Fn(u8) -> bool) -> usize {
        from + self.text.as_bytes().iter().skip(from).take_while(|&&b| test(b)).count()
    }

    /// Skips white space and comments.
    fn skip_blank(&mut self) {
        loop {
            self.at = self.run_end(self.at, |b| b.is_ascii_whitespace());
            let rest = self.text.get(self.at..).unwrap_or_default();
            if rest.starts_with("--") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                self.at += rest.find("*/").map_or(rest.len(), |end| end + 2);
            } else {
                return;
            }
        }
    }

    /// The end of quoted text whose quote stands at `from`; doubled quotes and backslashes do not end it.
    fn quoted_end(&self, from: usize) -> usize {
        let close = match self.byte(from) {
            b'[' => b']',
            quote => quote,
        };
        let mut at = from + 1;
        while at < self.text.len() {
            if self.byte(at) == b'\\' && close != b']' {
                at += 2;
            } else if self.byte(at) == close {
                if self.byte(at + 1) != close || close == b']' {
                    return at + 1;
                }
                at += 2;
            } else {
                at += 1;
            }
        }
        self.text.len()
    }

    /// Double quotes are names in standard SQL and text in `MySQL` and JSON: a name looks like one and does not
    /// stand where a value stands.
    fn quoted_name(&self, from: usize, end: usize) -> Option<&'a str> {
        let inside = self.text.get(from + 1..end.checked_sub(1)?)?;
        let looks_like = !inside.is_empty()
            && inside.bytes().all(|b| b.is_ascii_alphanumeric() || b >= 0x80 || b"_.$-".contains(&b));
        let value_place = matches!(self.last, Some(Token::Sign(b'=' | b'<' | b'>' | b':')));
        (looks_like && !value_place).then_some(inside)
    }

    fn number_end(&self, from: usize) -> usize {
        let end = self.run_end(from, |b| b.is_ascii_alphanumeric() || b == b'.');
        let exponent = matches!(self.byte(end.saturating_sub(1)), b'e' | b'E') && matches!(self.byte(end), b'+' | b'-');
        if exponent { self.run_end(end + 1, |b| b.is_ascii_digit()) } else { end }
    }

    /// A parameter (`?`, `$1`, `:name`, `@name`, `%s`, `%(name)s`, `{}`) at `from`: its end.
    fn parameter_end(&self, from: usize) -> Option<usize> {
        let name = |from| self.run_end(from, is_name);
        match (self.byte(from), self.byte(from + 1)) {
            (b'?', _) => Some(from + 1),
            (b'$', digit) if digit.is_ascii_digit() => Some(name(from + 1)),
            (b':' | b'@', letter) if letter.is_ascii_alphanumeric() || letter == b'_' => Some(name(from + 1)),
            (b'%', b's' | b'd') if !is_name(self.byte(from + 2)) => Some(from + 2),
            (b'%', b'(') => {
                let end = name(from + 2);
                (self.byte(end) == b')').then_some(end + 2)
            }
            _ => None,
        }
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_blank();
        let from = self.at;
        let first = *self.text.as_bytes().get(from)?;
        let (token, end) = match first {
            b'\'' => (Token::Literal, self.quoted_end(from)),
            b'"' | b'`' => {
                let end = self.quoted_end(from);
                (self.quoted_name(from, end).map_or(Token::Literal, Token::Word), end)
            }
            b'0'..=b'9' => (Token::Literal, self.number_end(from)),
            b':' if self.byte(from + 1) == b':' => {
                // A cast: the type that follows is a word, not a parameter.
                let end = self.run_end(from + 2, is_name);
                (Token::Word(self.text.get(from..end).unwrap_or_default()), end)
            }
            _ if is_name(first) && !(first == b'$' && self.byte(from + 1).is_ascii_digit()) => {
                let end = self.run_end(from, |b| is_name(b) || b == b'.');
                (Token::Word(self.text.get(from..end).unwrap_or_default()), end)
            }
            _ => match self.parameter_end(from) {
                Some(end) => (Token::Literal, end),
                None => (Token::Sign(first), from + 1),
            },
        };
        self.at = end.max(from + 1).min(self.text.len());
        self.last = Some(token);
        Some(token)
    }
}

/// A statement with literals and parameters as `?`, lists of them and repeated rows folded to one, without comments
/// and superfluous white space. Empty for an empty statement.
pub fn mask_statement(statement: &str) -> String {
    let mut out: Vec<Token<'_>> = Vec::new();
    for token in Tokens::new(statement) {
        match (token, out.as_slice()) {
            // `?, ?` is `?`.
            (Token::Literal, [.., Token::Literal, Token::Sign(b',')]) => {
                out.pop();
                continue;
            }
            // `= -5` is `= 5`.
            (Token::Literal, [.., Token::Sign(sign), Token::Sign(b'-' | b'+')]) if *sign != b')' => {
                out.pop();
            }
            _ => {}
        }
        // After a dropped sign the list may go on.
        if token == Token::Literal && out.ends_with(&[Token::Literal, Token::Sign(b',')]) {
            out.pop();
            continue;
        }
        out.push(token);
        // `(?), (?)` is `(?)`.
        let [open, close] = [b'(', b')'].map(Token::Sign);
        if out.ends_with(&[open, Token::Literal, close, Token::Sign(b','), open, Token::Literal, close]) {
            out.truncate(out.len() - 4);
        }
    }
    while out.last() == Some(&Token::Sign(b';')) {
        out.pop();
    }
    written(&out)
}

fn written(tokens: &[Token<'_>]) -> String {
    let mut text = String::new();
    let mut glued = true;
    for token in tokens {
        let closes = matches!(token, Token::Sign(b',' | b')' | b'(' | b';' | b'.'));
        if !glued && !closes {
            text.push(' ');
        }
        match token {
            Token::Word(word) => text.push_str(word),
            Token::Literal => text.push('?'),
            Token::Sign(sign) => text.push(char::from(*sign)),
        }
        glued = matches!(token, Token::Sign(b'(' | b'.'));
    }
    text
}

const VERBS: [&str; 18] = [
    "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "UPSERT", "CREATE", "DROP", "ALTER", "TRUNCATE",
    "CALL", "EXEC", "EXECUTE", "BEGIN", "COMMIT", "ROLLBACK", "SHOW",
];

/// The upper-case form of a verb of SQL.
pub fn sql_verb(word: &str) -> Option<&'static str> {
    VERBS.into_iter().find(|verb| verb.eq_ignore_ascii_case(word))
}

/// What a statement does to what, as `db.query.summary` says it: `SELECT orders customers`. Identifiers in names
/// are masked. `None` when this is not SQL.
pub fn summarize(statement: &str) -> Option<String> {
    let mut summary = Summary::default();
    for token in Tokens::new(statement) {
        summary.token(token);
    }
    (!summary.text.is_empty()).then_some(summary.text)
}

/// Where in a statement the next word stands.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// Before the first word.
    #[default]
    Start,
    /// Where a word is no target.
    Elsewhere,
    /// Behind `INTO`, `UPDATE`, `JOIN`, `TABLE` …: the next word is a target.
    Target,
    /// Behind `FROM` or a comma of its list: the next word is a target, and there may be more.
    Listed,
    /// Behind a target of a `FROM` list: a comma brings another one.
    List,
}

#[derive(Default)]
struct Summary<'a> {
    text: String,
    /// It began with a verb or with `WITH`: not SQL otherwise.
    is_sql: bool,
    targets: Vec<&'a str>,
    place: Place,
    /// The previous word was one that makes a following verb something else: `FOR UPDATE`, `ON DELETE`.
    guarded: bool,
}

impl<'a> Summary<'a> {
    fn token(&mut self, token: Token<'a>) {
        self.place = match (token, self.place) {
            (Token::Word(word), _) => self.word(word),
            (Token::Sign(b','), Place::List) => Place::Listed,
            (Token::Sign(b'('), Place::Target | Place::Listed) | (Token::Sign(b';'), _) | (_, Place::Start) => {
                Place::Elsewhere
            }
            (_, place) => place,
        };
    }

    /// Takes a word; says where the next one stands.
    fn word(&mut self, word: &'a str) -> Place {
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        let expected = matches!(self.place, Place::Target | Place::Listed);
        let first = self.place == Place::Start;
        let verb = sql_verb(word).filter(|_| !self.guarded && !expected && (first || self.is_sql));
        self.guarded = ["FOR", "ON", "DO", "KEY", "WHEN", "THEN"].into_iter().any(is);
        if first && is("WITH") {
            // Common table expressions: the verbs follow.
            self.is_sql = true;
            Place::Elsewhere
        } else if let Some(verb) = verb {
            self.push(verb);
            self.is_sql = true;
            let takes_target = matches!(verb, "UPDATE" | "CALL" | "EXEC" | "EXECUTE" | "TRUNCATE");
            if takes_target { Place::Target } else { Place::Elsewhere }
        } else if self.is_sql && is("FROM") {
            Place::Listed
        } else if self.is_sql && ["INTO", "JOIN", "TABLE", "INDEX", "VIEW", "USING"].into_iter().any(is) {
            Place::Target
        } else if expected {
            self.target(word)
        } else if first || ["WHERE", "SET", "VALUES", "GROUP", "ORDER", "LIMIT", "HAVING"].into_iter().any(is) {
            Place::Elsewhere
        } else {
            self.place
        }
    }

    fn target(&mut self, word: &'a str) -> Place {
        let noise = ["ONLY", "IF", "NOT", "EXISTS", "TABLE", "LATERAL", "OR", "IGNORE", "LOW_PRIORITY"];
        if noise.into_iter().any(|other| word.eq_ignore_ascii_case(other)) {
            return self.place;
        }
        if self.targets.len() < MAX_TARGETS && !self.targets.contains(&word) {
            self.targets.push(word);
            self.push(word);
        }
        if self.place == Place::Listed { Place::List } else { Place::Elsewhere }
    }

    fn push(&mut self, word: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        masking::mask_into(&mut self.text, word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn literals_lists_and_comments_do_not_tell_statements_apart() {
        for (statement, expected) in [
            ("SELECT * FROM orders WHERE id = 5", "SELECT * FROM orders WHERE id = ?"),
            ("SELECT * FROM orders WHERE id = ?", "SELECT * FROM orders WHERE id = ?"),
            ("SELECT * FROM orders WHERE id = $1;", "SELECT * FROM orders WHERE id = ?"),
            ("SELECT  *\n FROM orders -- x\n WHERE id = :id", "SELECT * FROM orders WHERE id = ?"),
            ("SELECT * FROM orders WHERE id = -5 /*traceparent='00-1-2'*/", "SELECT * FROM orders WHERE id = ?"),
            ("SELECT a FROM t WHERE b IN (1, 'x''y', ?, %s)", "SELECT a FROM t WHERE b IN(?)"),
            ("SELECT a FROM t WHERE b IN (?)", "SELECT a FROM t WHERE b IN(?)"),
            ("SELECT a FROM t WHERE b IN (-1, -2, -3)", "SELECT a FROM t WHERE b IN(?)"),
            ("INSERT INTO t (a, b) VALUES (1, 2), (3, 4), (5, 6)", "INSERT INTO t(a, b) VALUES(?)"),
            ("SELECT \"Id\" FROM \"public\".\"Users\"", "SELECT Id FROM public.Users"),
            ("SELECT x FROM t WHERE n = \"alice\"", "SELECT x FROM t WHERE n = ?"),
            ("SELECT x::int FROM t LIMIT 10", "SELECT x ::int FROM t LIMIT ?"),
            ("SELECT a - 1 FROM t", "SELECT a - ? FROM t"),
            ("{\"find\": \"orders\", \"limit\": 5}", "{ find : ?, limit : ? }"),
            ("", ""),
        ] {
            assert_eq!(mask_statement(statement), expected, "{statement}");
        }
    }

    #[test]
    fn another_table_column_or_condition_is_another_statement() {
        let base = mask_statement("SELECT a FROM t WHERE b = 1");
        for other in ["SELECT a FROM u WHERE b = 1", "SELECT c FROM t WHERE b = 1", "SELECT a FROM t WHERE b > 1"] {
            assert_ne!(mask_statement(other), base);
        }
    }

    #[test]
    fn a_summary_names_verbs_and_targets() {
        for (statement, expected) in [
            ("select * from orders where id = 1", Some("SELECT orders")),
            ("SELECT * FROM songs, artists a WHERE songs.a = a.id", Some("SELECT songs artists")),
            ("SELECT o.id FROM orders o LEFT JOIN customers c ON c.id = o.c", Some("SELECT orders customers")),
            (
                "SELECT d FROM (SELECT * FROM orders o JOIN customers c ON 1=1) x",
                Some("SELECT SELECT orders customers"),
            ),
            ("INSERT INTO shipping (a) SELECT b FROM orders", Some("INSERT shipping SELECT orders")),
            ("UPDATE stock SET n = n - 1 WHERE sku = 'x'", Some("UPDATE stock")),
            ("DELETE FROM `cart` WHERE id IN (1,2)", Some("DELETE cart")),
            ("SELECT * FROM jobs FOR UPDATE", Some("SELECT jobs")),
            ("INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 1", Some("INSERT t")),
            ("INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = 1", Some("INSERT t")),
            ("CREATE TABLE IF NOT EXISTS log_2024 (a int)", Some("CREATE log_{}")),
            ("WITH x AS (SELECT 1 FROM a) SELECT * FROM x", Some("SELECT a SELECT x")),
            ("BEGIN", Some("BEGIN")),
            ("SELECT 1", Some("SELECT")),
            ("GET key:1", None),
            ("{\"find\": \"select\"}", None),
            ("", None),
        ] {
            assert_eq!(summarize(statement).as_deref(), expected, "{statement}");
        }
    }

    proptest! {
        #[test]
        fn statements_of_anything_do_not_panic(text in ".{0,80}", sql in "[a-z0-9'\"`:;,()=?$%*/@ .\\\\-]{0,80}") {
            for statement in [text, sql] {
                mask_statement(&statement);
                summarize(&statement);
            }
        }

        #[test]
        fn the_length_of_an_in_list_does_not_matter(values in proptest::collection::vec(any::<i32>(), 1..40)) {
            let list: Vec<String> = values.iter().map(ToString::to_string).collect();
            prop_assert_eq!(
                mask_statement(&format!("SELECT a FROM t WHERE b IN ({})", list.join(", "))),
                "SELECT a FROM t WHERE b IN(?)"
            );
        }
    }
}
