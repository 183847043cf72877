//! The name of an operation: from semantic conventions where a span follows them, else from its display name.
//!
//! Conventions are asked from the most specific to the most general, since one span often carries several: a model is
//! called over HTTP, a remote procedure too.

use crate::model::facts::{Fact, Facts};
use crate::model::{Kind, masking, semconv, statement};

/// What a name was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A template or a word of a vocabulary: many of them are many operations.
    Convention,
    /// A path or a display name: may still have identifiers in it that masking does not know.
    Free,
}

/// Appends the name that one area of the conventions gives to a span of a kind and a display name; `None` when the
/// span does not belong there, whatever was appended.
type Part = fn(&mut String, &Facts<'_>, Kind, &str) -> Option<Source>;

/// Appends the name of a span's operation.
pub fn template_into(out: &mut String, facts: &Facts<'_>, kind: Kind, name: &str) -> Source {
    let start = out.len();
    let parts: [Part; 6] = [gen_ai_into, messaging_into, database_into, rpc_into, http_into, faas_into];
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
    let method = semconv::http_method(facts.text(Fact::HttpMethod)?).unwrap_or("HTTP");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attributes::{Packer, field};
    use crate::model::{Attributes, Value};

    type Spans<'a> = (&'a str, &'a [(&'a str, &'a str)]);

    fn template(kind: Kind, (name, attributes): Spans<'_>) -> (String, Source) {
        let mut packer = Packer::new();
        for (key, value) in attributes {
            let value = match *value {
                "true" => Value::Bool(true),
                text => Value::Str(text),
            };
            packer.attribute(field::SPAN_ATTRIBUTES, key, &value);
        }
        let body = packer.into_bytes();
        let mut out = String::from("^");
        let facts = Facts::of(Attributes::of_message(&body, field::SPAN_ATTRIBUTES));
        let source = template_into(&mut out, &facts, kind, name);
        (out.trim_start_matches('^').to_owned(), source)
    }

    /// All spans have the expected name, though their display names and conventions differ.
    fn check(kind: Kind, expected: &str, spans: &[Spans<'_>]) {
        for span in spans {
            assert_eq!(template(kind, *span).0, expected, "{span:?}");
        }
    }

    use Kind::{Client, Consumer, Internal, Producer, Server};

    #[test]
    fn http_servers_of_all_ages_and_frameworks() {
        check(
            Server,
            "GET /users/{}",
            &[
                (
                    "/users/:id",
                    &[("http.method", "GET"), ("http.route", "/users/:id"), ("http.target", "/users/7?x=1")],
                ),
                ("HTTP GET", &[("http.method", "GET"), ("http.target", "/users/123456?x=1")]),
                ("GET /users/{id}", &[("http.request.method", "GET"), ("http.route", "/users/{id}")]),
                ("GET", &[("http.request.method", "GET"), ("url.path", "/users/987654")]),
                ("get", &[("http.method", "get"), ("http.path", "/users/5")]),
                ("GET", &[("http.method", "GET"), ("http.url", "http://10.0.0.1:8080/users/8")]),
                // Both sets at once.
                (
                    "GET /users/{id}",
                    &[
                        ("http.method", "GET"),
                        ("http.request.method", "GET"),
                        ("http.target", "/users/1"),
                        ("url.path", "/users/1"),
                        ("http.route", "/users/{id}"),
                    ],
                ),
            ],
        );
        check(Server, "GET", &[("HTTP GET", &[("http.method", "GET")]), ("GET", &[("http.request.method", "GET")])]);
        check(
            Server,
            "HTTP /dav",
            &[
                ("HTTP", &[("http.request.method", "_OTHER"), ("url.path", "/dav")]),
                ("PROPFIND /dav", &[("http.method", "PROPFIND"), ("http.target", "/dav")]),
            ],
        );
        check(Server, "checkout", &[("checkout", &[("http.method", "GET")])]);
    }

    #[test]
    fn http_clients_of_all_ages() {
        check(
            Client,
            "POST /api/carts/{}/items",
            &[
                ("HTTP POST", &[("http.method", "POST"), ("http.url", "http://cart:80/api/carts/7/items?q=1")]),
                ("POST", &[("http.request.method", "POST"), ("url.full", "https://cart/api/carts/8/items")]),
                (
                    "POST /api/carts/{id}/items",
                    &[
                        ("http.request.method", "POST"),
                        ("url.template", "/api/carts/{id}/items"),
                        ("url.full", "http://x/y"),
                    ],
                ),
            ],
        );
        assert_ne!(
            template(Client, ("GET", &[("http.method", "GET"), ("http.url", "http://a/v1/orders")])),
            template(Client, ("GET", &[("http.method", "GET"), ("http.url", "http://a/v2/orders")])),
        );
    }

    #[test]
    fn databases_of_all_ages() {
        check(
            Client,
            "SELECT orders",
            &[
                (
                    "SELECT shop.orders",
                    &[("db.system", "mysql"), ("db.operation", "SELECT"), ("db.sql.table", "orders")],
                ),
                ("shop", &[("db.system", "mysql"), ("db.statement", "select * from orders where id = 17")]),
                (
                    "SELECT shop",
                    &[("db.system", "mysql"), ("db.operation", "SELECT"), ("db.statement", "SELECT a FROM `orders`")],
                ),
                ("SELECT orders", &[("db.system.name", "mysql"), ("db.query.summary", "SELECT orders")]),
                (
                    "SELECT orders",
                    &[("db.system.name", "mysql"), ("db.operation.name", "select"), ("db.collection.name", "orders")],
                ),
            ],
        );
        check(
            Client,
            "SELECT orders customers",
            &[
                ("shop", &[("db.system", "mysql"), ("db.statement", "SELECT 1 FROM orders o JOIN customers c ON 1=1")]),
                ("x", &[("db.system.name", "mysql"), ("db.query.summary", "SELECT orders customers")]),
            ],
        );
        check(
            Client,
            "GET",
            &[
                ("GET", &[("db.system", "redis"), ("db.statement", "GET user:17")]),
                ("get", &[("db.system.name", "redis"), ("db.operation.name", "GET"), ("db.query.text", "GET ?")]),
            ],
        );
        check(
            Client,
            "find carts",
            &[
                (
                    "find shop.carts",
                    &[("db.system", "mongodb"), ("db.operation", "find"), ("db.mongodb.collection", "carts")],
                ),
                (
                    "find carts",
                    &[("db.system.name", "mongodb"), ("db.operation.name", "find"), ("db.collection.name", "carts")],
                ),
            ],
        );
        check(
            Client,
            "microsoft.sql_server",
            &[
                ("mssql", &[("db.system", "mssql")]),
                ("shop", &[("db.system", "mssql"), ("db.name", "shop")]),
                ("microsoft.sql_server", &[("db.system.name", "microsoft.sql_server")]),
            ],
        );
        check(
            Client,
            "SELECT logs_{}",
            &[("q", &[("db.system", "mysql"), ("db.statement", "SELECT 1 FROM logs_2024")])],
        );
        // A name that somebody chose says more than the system alone.
        check(Client, "FindDrivers", &[("FindDrivers", &[("db.system", "redis")])]);
        check(
            Internal,
            "OrderRepository.find",
            &[("OrderRepository.find", &[("db.system", "mysql"), ("db.statement", "SELECT 1")])],
        );
    }

    #[test]
    fn remote_procedures_of_all_ages() {
        for kind in [Client, Server] {
            check(
                kind,
                "shop.Cart/Add",
                &[
                    ("Add", &[("rpc.system", "grpc"), ("rpc.service", "shop.Cart"), ("rpc.method", "Add")]),
                    ("shop.Cart/Add", &[("rpc.system", "grpc"), ("rpc.service", "shop.Cart"), ("rpc.method", "Add")]),
                    ("shop.Cart/Add", &[("rpc.system.name", "grpc"), ("rpc.method", "shop.Cart/Add")]),
                    ("/shop.Cart/Add", &[("rpc.system", "grpc")]),
                    ("shop.Cart/Add", &[("rpc.system", "grpc"), ("rpc.method", "Add")]),
                    (
                        "POST",
                        &[
                            ("rpc.system", "connect_rpc"),
                            ("rpc.method", "shop.Cart/Add"),
                            ("http.method", "POST"),
                            ("url.path", "/x"),
                        ],
                    ),
                ],
            );
        }
    }

    #[test]
    fn messages_of_all_ages_in_one_order_of_words() {
        check(
            Producer,
            "send orders",
            &[
                ("orders send", &[("messaging.system", "kafka"), ("messaging.destination", "orders")]),
                (
                    "orders publish",
                    &[
                        ("messaging.system", "kafka"),
                        ("messaging.destination.name", "orders"),
                        ("messaging.operation", "publish"),
                    ],
                ),
                (
                    "send orders",
                    &[
                        ("messaging.system", "kafka"),
                        ("messaging.destination.name", "orders"),
                        ("messaging.operation.type", "send"),
                        ("messaging.operation.name", "produce"),
                    ],
                ),
            ],
        );
        check(
            Consumer,
            "process orders",
            &[
                ("orders process", &[("messaging.system", "kafka"), ("messaging.destination", "orders")]),
                (
                    "x",
                    &[
                        ("messaging.system", "kafka"),
                        ("messaging.destination.name", "orders"),
                        ("messaging.operation", "deliver"),
                    ],
                ),
            ],
        );
        check(
            Consumer,
            "receive orders.{}",
            &[("orders.7 receive", &[("messaging.system", "kafka"), ("messaging.destination", "orders.7")])],
        );
        check(
            Producer,
            "send (temporary)",
            &[(
                "a8f6",
                &[
                    ("messaging.system", "jms"),
                    ("messaging.destination.name", "a8f6"),
                    ("messaging.temp_destination", "true"),
                ],
            )],
        );
    }

    #[test]
    fn models_tools_and_functions() {
        check(
            Client,
            "chat gpt-4o-2024-08-06",
            &[("chat", &[("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "gpt-4o-2024-08-06")])],
        );
        check(
            Internal,
            "execute_tool search",
            &[(
                "tool",
                &[
                    ("gen_ai.operation.name", "execute_tool"),
                    ("gen_ai.tool.name", "search"),
                    ("gen_ai.request.model", "m"),
                ],
            )],
        );
        check(
            Internal,
            "invoke_agent planner",
            &[("x", &[("gen_ai.operation.name", "invoke_agent"), ("gen_ai.agent.name", "planner")])],
        );
        check(Client, "resize", &[("invoke", &[("faas.invoked_name", "resize")])]);
    }

    #[test]
    fn display_names_without_conventions_are_masked() {
        check(
            Internal,
            "load user {}",
            &[("load user 17", &[]), ("load user 550e8400-e29b-41d4-a716-446655440000", &[])],
        );
        check(Internal, "middleware /a", &[("middleware /a", &[("http.method", "GET"), ("http.route", "/b")])]);
        check(Internal, "", &[("", &[])]);
    }

    #[test]
    fn paths_and_display_names_are_free_and_conventions_are_not() {
        let free = |kind, span| template(kind, span).1 == Source::Free;
        assert!(free(Internal, ("x", &[])));
        assert!(free(Server, ("x", &[("http.method", "GET"), ("url.path", "/x")])));
        assert!(!free(Server, ("x", &[("http.method", "GET"), ("http.route", "/x")])));
        assert!(!free(Client, ("x", &[("db.system", "mysql"), ("db.query.summary", "SELECT x")])));
    }
}
