//! The name of an operation: from semantic conventions where a span follows them, else from its display name.
//!
//! Conventions are asked from the most specific to the most general, since one span often carries several: a model is
//! called over HTTP, a remote procedure too.

use crate::model::facts::{Fact, Facts};
use crate::model::{Kind, masking, statement};

/// What a name was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A template or a word of a vocabulary: many of them are many operations.
    Convention,
    /// A path or a display name: may still have identifiers in it that masking does not know.
    Free,
}

/// Appends the name of a span's operation.
pub fn template_into(out: &mut String, facts: &Facts<'_>, kind: Kind, name: &str) -> Source {
    let start = out.len();
    let parts: [fn(&mut String, &Facts<'_>, Kind, &str) -> Option<Source>; 6] =
        [gen_ai_into, messaging_into, database_into, rpc_into, http_into, faas_into];
    if !facts.is_empty() {
        for part in parts {
            if let Some(source) = part(out, facts, kind, name) {
                return source;
            }
            out.truncate(start);
        }
    }
    masking::mask_into(out, name);
    Source::Free
}

/// `chat gpt-4o`, `execute_tool search`, `invoke_agent planner`.
fn gen_ai_into(out: &mut String, facts: &Facts<'_>, _kind: Kind, _name: &str) -> Option<Source> {
    let operation = facts.text(Fact::GenAiOperation)?;
    let object = match operation {
        "execute_tool" => facts.text(Fact::GenAiTool),
        "invoke_agent" | "create_agent" => facts.text(Fact::GenAiAgent),
        "invoke_workflow" => facts.text(Fact::GenAiWorkflow),
        _ => facts.text(Fact::GenAiModel),
    };
    out.push_str(operation);
    if let Some(object) = object {
        out.push(' ');
        out.push_str(object);
    }
    Some(Source::Convention)
}

/// `send orders`, in this order whatever the display name says.
fn messaging_into(out: &mut String, facts: &Facts<'_>, kind: Kind, name: &str) -> Option<Source> {
    if kind == Kind::Server || facts.text(Fact::MessagingSystem).is_none() {
        return None;
    }
    out.push_str(messaging_operation(facts, kind, name)?);
    out.push(' ');
    facts.destination_into(out).then_some(Source::Free)
}

fn messaging_operation<'a>(facts: &Facts<'a>, kind: Kind, name: &str) -> Option<&'a str> {
    let stated = facts.text(Fact::MessagingType).or_else(|| {
        facts.text(Fact::MessagingName).map(|operation| match operation {
            "publish" => "send",
            "deliver" => "process",
            other => other,
        })
    });
    // Old producers say nothing, and old consumers only in the name (`orders receive`).
    stated.or_else(|| match kind {
        Kind::Producer => Some("send"),
        Kind::Consumer => {
            let says = |word: &str| name.split(' ').any(|part| part.eq_ignore_ascii_case(word));
            Some(if says("receive") || says("poll") { "receive" } else { "process" })
        }
        _ => None,
    })
}

/// `SELECT orders`, `GET` (of a cache), else the display name, else the system.
fn database_into(out: &mut String, facts: &Facts<'_>, kind: Kind, name: &str) -> Option<Source> {
    if kind != Kind::Client {
        return None;
    }
    let system = facts.text(Fact::DbSystem);
    let (operation, text) = (facts.text(Fact::DbOperation), facts.text(Fact::DbText));
    if let Some(summary) = facts.text(Fact::DbSummary) {
        for (index, word) in summary.split_ascii_whitespace().enumerate() {
            push_word(out, index, statement::sql_verb(word).unwrap_or_else(|| word.trim_matches(['"', '`', '\''])));
        }
        return Some(Source::Convention);
    }
    let target = facts.text(Fact::DbCollection).or_else(|| facts.text(Fact::DbProcedure));
    if let (Some(operation), Some(target)) = (operation, target) {
        push_word(out, 0, statement::sql_verb(operation).unwrap_or(operation));
        push_word(out, 1, target.trim_matches(['"', '`']));
        return Some(Source::Convention);
    }
    if facts.has_command_statements() {
        let command = operation.or_else(|| text?.split_ascii_whitespace().next());
        if let Some(command) = command.filter(|command| command.bytes().all(|b| b.is_ascii_alphabetic() || b == b'.')) {
            out.extend(command.chars().map(|c| c.to_ascii_uppercase()));
            return Some(Source::Convention);
        }
    } else if let Some(summary) = text.and_then(statement::summarize) {
        out.push_str(&summary);
        return Some(Source::Convention);
    }
    if let Some(word) = operation.or(target) {
        push_word(out, 0, statement::sql_verb(word).unwrap_or(word));
        return Some(Source::Convention);
    }
    let system = system?;
    // A display name that is only the system or the database says less than the system's current name.
    let says_nothing = name.is_empty() || Some(name) == facts.text(Fact::DbNamespace) || is_system(facts, name);
    says_nothing.then(|| {
        out.push_str(system);
        Source::Convention
    })
}

/// Whether a display name is the system's name, old or current.
fn is_system(facts: &Facts<'_>, name: &str) -> bool {
    facts.sent(Fact::DbSystem).as_str() == Some(name) || facts.text(Fact::DbSystem) == Some(name)
}

fn push_word(out: &mut String, index: usize, word: &str) {
    if index > 0 {
        out.push(' ');
    }
    masking::mask_into(out, word);
}

/// `package.Service/Method`.
fn rpc_into(out: &mut String, facts: &Facts<'_>, kind: Kind, name: &str) -> Option<Source> {
    if !matches!(kind, Kind::Server | Kind::Client) {
        return None;
    }
    facts.text(Fact::RpcSystem).or_else(|| facts.text(Fact::RpcService)).or_else(|| facts.text(Fact::RpcMethod))?;
    let start = out.len();
    let known = facts.rpc_method_into(out);
    let qualified = out.get(start..).is_some_and(|method| method.contains('/'));
    // The display name may know the service that the attributes do not.
    let name = name.trim_start_matches('/');
    if !qualified && name.contains('/') && !name.contains(' ') {
        out.truncate(start);
        out.push_str(name);
        return Some(Source::Convention);
    }
    known.then_some(Source::Convention)
}

/// `GET /users/{}`: route or template, else the masked path, else the method alone.
fn http_into(out: &mut String, facts: &Facts<'_>, kind: Kind, name: &str) -> Option<Source> {
    if !matches!(kind, Kind::Server | Kind::Client) {
        return None;
    }
    let method = match facts.text(Fact::HttpMethod)? {
        "_OTHER" => "HTTP",
        known if known.bytes().all(|b| b.is_ascii_uppercase()) => known,
        _ => "HTTP",
    };
    out.push_str(method);
    let template = if kind == Kind::Server { Fact::HttpRoute } else { Fact::UrlTemplate };
    if let Some(route) = facts.text(template) {
        out.push(' ');
        masking::mask_route_into(out, masking::path_of(route));
        return Some(Source::Convention);
    }
    if let Some(url) = facts.url() {
        out.push(' ');
        masking::mask_path_into(out, url);
        return Some(Source::Free);
    }
    let bare = name.strip_prefix("HTTP ").unwrap_or(name);
    (bare.is_empty() || bare == "HTTP" || bare.eq_ignore_ascii_case(method)).then_some(Source::Convention)
}

/// The function that is called.
fn faas_into(out: &mut String, facts: &Facts<'_>, kind: Kind, _name: &str) -> Option<Source> {
    let function = facts.text(Fact::FaasInvoked).filter(|_| kind == Kind::Client)?;
    out.push_str(function);
    Some(Source::Convention)
}
