//! The bearer token: who carries it may send.

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use std::fmt;

/// A token. It is never shown, and compared in a time that does not tell how much of a guess was right.
pub struct Token(Vec<u8>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// The text of a token file, without the line break at its end; `None` when nothing is in it.
    pub fn of_file(text: &str) -> Option<Token> {
        let text = text.trim();
        (!text.is_empty()).then(|| Token(text.as_bytes().to_vec()))
    }

    /// Whether a request carries it.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(AUTHORIZATION).into_iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let Some((scheme, token)) = value.as_bytes().split_at_checked("Bearer ".len()) else { return false };
        scheme.eq_ignore_ascii_case(b"Bearer ") && self.is(token.trim_ascii())
    }

    /// Compares all bytes, whichever differ.
    fn is(&self, guess: &[u8]) -> bool {
        let differences = self.0.iter().zip(guess).fold(0, |seen, (a, b)| seen | (a ^ b));
        std::hint::black_box(differences) == 0 && self.0.len() == guess.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h_11_only_the_whole_token_opens() {
        let token = Token::of_file("secret-7\n").unwrap();
        let admits = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            token.admits(&headers)
        };
        assert!(admits("Bearer secret-7") && admits("bearer secret-7"));
        for wrong in ["Bearer secret-", "Bearer secret-77", "Bearer ", "secret-7", "Basic secret-7", "Bearer secret-8"]
        {
            assert!(!admits(wrong), "{wrong}");
        }
        assert!(!token.admits(&HeaderMap::new()));
        assert!(Token::of_file(" \n").is_none());
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
