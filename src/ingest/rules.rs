//! What the user says about operations: names for spans, spans to leave out, subtrees to fold.
//!
//! Plain data. The configuration file is read by cli; here rules are only matched. The first rule that matches wins.

use crate::model::{Attributes, Kind, Value};
use serde::Deserialize;
use std::collections::BTreeMap;

/// All rules, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The rules (`[[operation]]` in the configuration).
    pub operations: Vec<OperationRule>,
}

/// One rule: spans that meet all conditions get the template and the effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct OperationRule {
    /// Service, with `*` for any text; `None` for every service.
    pub service: Option<String>,
    /// Display name, with `*` for any text; `None` for every name.
    pub name: Option<String>,
    /// Span kind; `None` for every kind.
    pub kind: Option<Kind>,
    /// Attributes that must be there, each with its value as text, with `*` for any text.
    pub attributes: BTreeMap<String, String>,
    /// The operation's name; `None` keeps the one that is found without rules.
    pub template: Option<String>,
    /// What becomes of the span.
    pub effect: Effect,
}

/// What a rule does with spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// They stay.
    #[default]
    Keep,
    /// They are left out; their children go to their parent.
    Ignore,
    /// They stay without their subtree: what is below counts as their own work.
    Fold,
}

/// A rule as it stands in the configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    service: Option<String>,
    name: Option<String>,
    kind: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    template: Option<String>,
    #[serde(default)]
    ignore: bool,
    #[serde(default)]
    fold: bool,
}

/// Why a rule makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Neither template nor ignore nor fold.
    #[error("an operation rule needs `template`, `ignore = true` or `fold = true`")]
    NoEffect,
    /// Nothing to match on.
    #[error("an operation rule needs `service`, `name`, `kind` or `attributes` to match on")]
    NoCondition,
    /// Two effects that exclude each other.
    #[error("an operation rule cannot ignore a span and also fold or name it")]
    TwoEffects,
    /// A kind that does not exist.
    #[error("`{0}` is no span kind; use internal, server, client, producer or consumer")]
    UnknownKind(String),
}

impl TryFrom<Written> for OperationRule {
    type Error = RuleError;

    fn try_from(written: Written) -> Result<Self, RuleError> {
        let effect = match (written.ignore, written.fold) {
            (true, true) => return Err(RuleError::TwoEffects),
            (true, false) if written.template.is_some() => return Err(RuleError::TwoEffects),
            (true, false) => Effect::Ignore,
            (false, true) => Effect::Fold,
            (false, false) if written.template.is_none() => return Err(RuleError::NoEffect),
            (false, false) => Effect::Keep,
        };
        let kind = written.kind.map(|word| kind_of(&word).ok_or(RuleError::UnknownKind(word))).transpose()?;
        let (service, name) = (written.service, written.name);
        if service.is_none() && name.is_none() && kind.is_none() && written.attributes.is_empty() {
            return Err(RuleError::NoCondition);
        }
        Ok(OperationRule { service, name, kind, attributes: written.attributes, template: written.template, effect })
    }
}

fn kind_of(word: &str) -> Option<Kind> {
    [Kind::Internal, Kind::Server, Kind::Client, Kind::Producer, Kind::Consumer]
        .into_iter()
        .find(|kind| kind.name() == word)
}

impl Rules {
    /// The first rule for a span.
    pub fn find(&self, service: &str, name: &str, kind: Kind, attributes: Attributes<'_>) -> Option<&OperationRule> {
        self.operations.iter().find(|rule| rule.matches(service, name, kind, attributes))
    }
}

impl OperationRule {
    fn matches(&self, service: &str, name: &str, kind: Kind, attributes: Attributes<'_>) -> bool {
        self.kind.is_none_or(|wanted| wanted == kind)
            && self.service.as_deref().is_none_or(|pattern| glob_matches(pattern, service))
            && self.name.as_deref().is_none_or(|pattern| glob_matches(pattern, name))
            && self.attributes.iter().all(|(key, pattern)| match attributes.find(key) {
                Some(Value::Str(text)) => glob_matches(pattern, text),
                Some(value) => glob_matches(pattern, &value.to_string()),
                None => false,
            })
    }
}

/// Whether the whole text matches a pattern in which `*` stands for any text. Linear in text × stars.
pub fn glob_matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        let Some(found) = text.find(part) else { return false };
        text = text.get(found + part.len()..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text) in [
            ("cart", "cart"),
            ("*", ""),
            ("cart*", "cart-v2"),
            ("*health*", "GET /healthz"),
            ("GET /*/items", "GET /cart/items"),
            ("a*b*c", "a-b-b-c"),
            ("**", "x"),
        ] {
            assert!(glob_matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("cart", "carts"), ("cart*", "my cart"), ("a*b*c", "a-c-b"), ("ab*ba", "aba"), ("", "x")]
        {
            assert!(!glob_matches(pattern, text), "{pattern} {text}");
        }
    }

    fn read(text: &str) -> Result<OperationRule, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_rule_is_read_from_its_written_form() {
        let rule =
            read("service = 'cart*'\nattributes = {'http.route' = '/x/*'}\ntemplate = 'x'\nfold = true").unwrap();
        assert_eq!(rule.service.as_deref(), Some("cart*"));
        assert_eq!((rule.template.as_deref(), rule.effect), (Some("x"), Effect::Fold));
        assert_eq!(read("name = 'a'\nkind = 'client'\nignore = true").map(|rule| rule.effect), Ok(Effect::Ignore));
    }

    #[test]
    fn rules_without_sense_are_refused_with_the_reason() {
        for (text, reason) in [
            ("service = 'a'", "needs `template`"),
            ("template = 'a'", "to match on"),
            ("name = 'a'\nignore = true\nfold = true", "cannot ignore"),
            ("name = 'a'\nignore = true\ntemplate = 'b'", "cannot ignore"),
            ("name = 'a'\nkind = 'worker'\nfold = true", "`worker` is no span kind"),
            ("nmae = 'a'\nfold = true", "nmae"),
        ] {
            assert!(read(text).is_err_and(|error| error.contains(reason)), "{text}");
        }
    }
}
