//! The attributes of a span under the current conventions, whatever the age of those that it was sent with.
//!
//! Renames come from the table of [`super::semconv`]; here are the changes that no table holds: keys that were split
//! or merged, values that are spelled otherwise, and names that depend on the span kind. Where a sender writes both
//! sets (`OTEL_SEMCONV_STABILITY_OPT_IN=…/dup`) the result is that of the new set alone.

use super::attributes::{Attributes, Value};
use super::{Kind, semconv};
use std::fmt;

/// A value under the current conventions: as it was sent, or made from what was sent.
#[derive(Clone, Debug)]
pub enum CanonicalValue<'a> {
    /// As it was sent.
    Sent(Value<'a>),
    /// Text that was put together.
    Made(Box<str>),
}

impl CanonicalValue<'_> {
    /// The value.
    pub fn as_value(&self) -> Value<'_> {
        match self {
            CanonicalValue::Sent(value) => *value,
            CanonicalValue::Made(text) => Value::Str(text),
        }
    }
}

impl PartialEq for CanonicalValue<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_value() == other.as_value()
    }
}

impl fmt::Display for CanonicalValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_value().fmt(f)
    }
}

/// How much a value counts when two are there for one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// A stand-in from another key.
    Guessed,
    /// From an old key.
    Old,
    /// From the current key.
    Current,
}

/// The attributes of a span under current keys and values, sorted by key, each key once.
pub fn canonical(attributes: Attributes<'_>, kind: Kind) -> Vec<(&str, CanonicalValue<'_>)> {
    let mut collector = Collector { kind, found: Vec::new(), parts: Parts::default() };
    for (key, value) in attributes {
        collector.attribute(key, value);
    }
    collector.finish()
}

/// Whether what becomes of a key depends on other keys, on the span kind or on the type of its value: all that are
/// not current, and the few current ones that older instrumentation gave another meaning.
pub fn is_entangled(key: &str) -> bool {
    const CURRENT: [&str; 7] = [
        "rpc.service",
        "code.namespace",
        "code.function",
        "http.flavor",
        "net.sock.family",
        "db.namespace",
        "messaging.destination.partition.id",
    ];
    key == "http.target" || CURRENT.contains(&key) || semconv::canonical_key(key) != key
}

struct Collector<'a> {
    kind: Kind,
    found: Vec<(&'a str, Rank, CanonicalValue<'a>)>,
    parts: Parts<'a>,
}

/// Values that only make sense together.
#[derive(Default)]
struct Parts<'a> {
    rpc_service: Option<&'a str>,
    rpc_method: Option<&'a str>,
    code_namespace: Option<&'a str>,
    code_function: Option<&'a str>,
    code_function_name: Option<&'a str>,
    database: Option<Value<'a>>,
    instance: Option<&'a str>,
    target: Option<&'a str>,
    scheme: Option<Value<'a>>,
}

impl<'a> Collector<'a> {
    fn push(&mut self, key: &'a str, rank: Rank, value: Value<'a>) {
        self.found.push((key, rank, CanonicalValue::Sent(value)));
    }

    fn attribute(&mut self, key: &'a str, value: Value<'a>) {
        let text = value.as_str();
        match (key, text) {
            ("rpc.service", Some(text)) => self.parts.rpc_service = Some(text),
            ("rpc.method", Some(text)) => self.parts.rpc_method = Some(text),
            ("code.namespace", Some(text)) => self.parts.code_namespace = Some(text),
            ("code.function", Some(text)) => self.parts.code_function = Some(text),
            ("code.function.name", Some(text)) => self.parts.code_function_name = Some(text),
            ("db.mssql.instance_name", Some(text)) => self.parts.instance = Some(text),
            ("db.name" | "db.redis.database_index", _) => self.parts.database = Some(value),
            ("http.target", Some(text)) => self.parts.target = Some(text),
            ("http.scheme", _) => self.parts.scheme = Some(value),
            ("http.method", Some(text)) => self.method(text),
            ("http.flavor", Some(text)) => self.flavor(text),
            ("http.host", Some(text)) => self.host(text, Rank::Guessed),
            ("net.peer.name", _) if self.kind == Kind::Server => self.push("client.address", Rank::Guessed, value),
            ("net.peer.port", _) if self.kind == Kind::Server => self.push("client.port", Rank::Old, value),
            ("net.sock.family", Some(text)) => self.family(text, value),
            ("rpc.jsonrpc.error_code", _) => self.text("rpc.status_code", value),
            _ => self.renamed(key, value),
        }
    }

    /// A key that is current, or that was only renamed.
    fn renamed(&mut self, key: &'a str, value: Value<'a>) {
        let current = semconv::canonical_key(key);
        let rank = match key {
            _ if current == key => Rank::Current,
            "http.server_name" => Rank::Guessed,
            _ => Rank::Old,
        };
        if current == "messaging.destination.partition.id" || current == "db.namespace" {
            self.text_ranked(current, rank, value);
        } else {
            let value = semconv::current_value(current, value).unwrap_or(value);
            self.push(current, rank, value);
        }
    }

    /// A number that is text now.
    fn text(&mut self, key: &'a str, value: Value<'a>) {
        self.text_ranked(key, Rank::Old, value);
    }

    fn text_ranked(&mut self, key: &'a str, rank: Rank, value: Value<'a>) {
        match value {
            Value::Int(int) => self.found.push((key, rank, CanonicalValue::Made(int.to_string().into()))),
            _ => self.push(key, rank, value),
        }
    }

    fn method(&mut self, method: &'a str) {
        if let Some(known) = semconv::http_method(method) {
            self.push("http.request.method", Rank::Old, Value::Str(known));
        } else {
            self.push("http.request.method", Rank::Old, Value::Str("_OTHER"));
            self.push("http.request.method_original", Rank::Old, Value::Str(method));
        }
    }

    fn flavor(&mut self, flavor: &'a str) {
        match flavor {
            "SPDY" => self.push("network.protocol.name", Rank::Old, Value::Str("spdy")),
            "QUIC" => self.push("network.protocol.name", Rank::Old, Value::Str("quic")),
            _ => {
                let version = flavor.strip_prefix("HTTP/").unwrap_or(flavor);
                let version = version.strip_suffix(".0").filter(|major| *major != "1").unwrap_or(version);
                self.push("network.protocol.version", Rank::Old, Value::Str(version));
            }
        }
    }

    /// `example.com:8080` is an address and a port.
    fn host(&mut self, host: &'a str, rank: Rank) {
        let split = host.rsplit_once(':').filter(|(address, _)| !address.contains(':') || address.ends_with(']'));
        let port = split.and_then(|(address, port)| Some((address, port.parse().ok()?)));
        if let Some((address, port)) = port {
            self.push("server.address", rank, Value::Str(address));
            self.push("server.port", rank, Value::Int(port));
        } else {
            self.push("server.address", rank, Value::Str(host));
        }
    }

    fn family(&mut self, family: &'a str, value: Value<'a>) {
        match family {
            "inet" => self.push("network.type", Rank::Old, Value::Str("ipv4")),
            "inet6" => self.push("network.type", Rank::Old, Value::Str("ipv6")),
            "unix" => self.push("network.transport", Rank::Guessed, Value::Str("unix")),
            _ => self.push("net.sock.family", Rank::Current, value),
        }
    }

    fn has(&self, key: &str) -> bool {
        self.found.iter().any(|(other, ..)| *other == key)
    }

    fn finish(mut self) -> Vec<(&'a str, CanonicalValue<'a>)> {
        self.rpc();
        self.code();
        self.namespace();
        self.url();
        // The best rank first; of equals the one that was sent last.
        self.found.reverse();
        self.found.sort_by(|a, b| a.0.cmp(b.0).then(b.1.cmp(&a.1)));
        self.found.dedup_by(|later, kept| later.0 == kept.0);
        self.found.into_iter().map(|(key, _, value)| (key, value)).collect()
    }

    /// `rpc.service` and `rpc.method` are one name now.
    fn rpc(&mut self) {
        match (self.parts.rpc_service, self.parts.rpc_method) {
            (Some(service), Some(method)) if !method.contains('/') && method != "_OTHER" => {
                let full = format!("{service}/{method}").into();
                self.found.push(("rpc.method", Rank::Current, CanonicalValue::Made(full)));
            }
            (_, Some(method)) => self.push("rpc.method", Rank::Current, Value::Str(method)),
            (Some(service), None) => self.push("rpc.service", Rank::Current, Value::Str(service)),
            (None, None) => {}
        }
    }

    /// `code.namespace` and `code.function` are one name now; for a while the new name was only the function.
    fn code(&mut self) {
        let function = self.parts.code_function_name.or(self.parts.code_function);
        match (self.parts.code_namespace, function) {
            (Some(namespace), Some(function)) if !function.starts_with(namespace) => {
                let glue = if namespace.contains("::") {
                    "::"
                } else if namespace.contains('\\') {
                    "\\"
                } else {
                    "."
                };
                let full = format!("{namespace}{glue}{function}").into();
                self.found.push(("code.function.name", Rank::Current, CanonicalValue::Made(full)));
            }
            (_, Some(function)) => self.push("code.function.name", Rank::Current, Value::Str(function)),
            (Some(namespace), None) => self.push("code.namespace", Rank::Current, Value::Str(namespace)),
            (None, None) => {}
        }
    }

    /// Instance and database of SQL Server are one name now.
    fn namespace(&mut self) {
        match (self.parts.instance, self.parts.database) {
            (Some(instance), Some(database)) => {
                let full = format!("{instance}|{database}").into();
                self.found.push(("db.namespace", Rank::Old, CanonicalValue::Made(full)));
            }
            (Some(instance), None) => self.push("db.namespace", Rank::Old, Value::Str(instance)),
            (None, Some(database)) => self.text("db.namespace", database),
            (None, None) => {}
        }
    }

    /// Client spans have the whole URL and not its parts now, server spans the parts.
    fn url(&mut self) {
        if self.kind == Kind::Client && self.has("url.full") {
            return;
        }
        if let Some(scheme) = self.parts.scheme {
            self.push("url.scheme", Rank::Old, scheme);
        }
        if let Some(target) = self.parts.target {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            self.push("url.path", Rank::Old, Value::Str(path));
            if !query.is_empty() {
                self.push("url.query", Rank::Old, Value::Str(query));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attributes::{Packer, field};
    use proptest::prelude::*;

    type Sent<'a> = [(&'a str, Value<'a>)];

    fn run(attributes: &Sent<'_>, kind: Kind) -> Vec<String> {
        let mut packer = Packer::new();
        for (key, value) in attributes {
            packer.attribute(field::SPAN_ATTRIBUTES, key, value);
        }
        let body = packer.into_bytes();
        let result = canonical(Attributes::of_message(&body, field::SPAN_ATTRIBUTES), kind);
        result
            .iter()
            .map(|(key, value)| match value.as_value() {
                Value::Str(text) => format!("{key}={text:?}"),
                other => format!("{key}={other}"),
            })
            .collect()
    }

    /// Old and new conventions of the same span, and both at once in either order, give the new ones.
    fn check(kind: Kind, old: &Sent<'_>, new: &Sent<'_>, expected: &[&str]) {
        assert_eq!(run(old, kind), expected);
        assert_eq!(run(new, kind), expected);
        assert_eq!(run(&[old, new].concat(), kind), expected);
        assert_eq!(run(&[new, old].concat(), kind), expected);
    }

    use Value::{Int, Str};

    #[test]
    fn http_servers() {
        check(
            Kind::Server,
            &[
                ("http.method", Str("GET")),
                ("http.status_code", Str("200")),
                ("http.target", Str("/a?b=c")),
                ("http.scheme", Str("https")),
                ("http.flavor", Str("2.0")),
                ("http.user_agent", Str("curl")),
                ("net.host.name", Str("shop")),
                ("net.host.port", Int(443)),
                ("http.host", Str("other:80")),
                ("net.peer.name", Str("10.0.0.9")),
                ("http.client_ip", Str("1.2.3.4")),
                ("net.sock.peer.addr", Str("5.6.7.8")),
            ],
            &[
                ("http.request.method", Str("GET")),
                ("http.response.status_code", Int(200)),
                ("url.path", Str("/a")),
                ("url.query", Str("b=c")),
                ("url.scheme", Str("https")),
                ("network.protocol.version", Str("2")),
                ("user_agent.original", Str("curl")),
                ("server.address", Str("shop")),
                ("server.port", Int(443)),
                ("client.address", Str("1.2.3.4")),
                ("network.peer.address", Str("5.6.7.8")),
            ],
            &[
                "client.address=\"1.2.3.4\"",
                "http.request.method=\"GET\"",
                "http.response.status_code=200",
                "network.peer.address=\"5.6.7.8\"",
                "network.protocol.version=\"2\"",
                "server.address=\"shop\"",
                "server.port=443",
                "url.path=\"/a\"",
                "url.query=\"b=c\"",
                "url.scheme=\"https\"",
                "user_agent.original=\"curl\"",
            ],
        );
    }

    #[test]
    fn http_clients() {
        check(
            Kind::Client,
            &[
                ("http.method", Str("PROPFIND")),
                ("http.url", Str("http://h:8080/a?b")),
                ("http.target", Str("/a?b")),
                ("http.scheme", Str("http")),
                ("net.peer.name", Str("h")),
                ("net.peer.port", Str("8080")),
                ("http.retry_count", Int(1)),
                ("net.transport", Str("ip_tcp")),
            ],
            &[
                ("http.request.method", Str("_OTHER")),
                ("http.request.method_original", Str("PROPFIND")),
                ("url.full", Str("http://h:8080/a?b")),
                ("server.address", Str("h")),
                ("server.port", Int(8080)),
                ("http.request.resend_count", Int(1)),
                ("network.transport", Str("tcp")),
            ],
            &[
                "http.request.method=\"_OTHER\"",
                "http.request.method_original=\"PROPFIND\"",
                "http.request.resend_count=1",
                "network.transport=\"tcp\"",
                "server.address=\"h\"",
                "server.port=8080",
                "url.full=\"http://h:8080/a?b\"",
            ],
        );
    }

    #[test]
    fn databases() {
        check(
            Kind::Client,
            &[
                ("db.system", Str("mssql")),
                ("db.mssql.instance_name", Str("i")),
                ("db.name", Str("shop")),
                ("db.statement", Str("SELECT 1")),
                ("db.operation", Str("SELECT")),
                ("db.sql.table", Str("t")),
            ],
            &[
                ("db.system.name", Str("microsoft.sql_server")),
                ("db.namespace", Str("i|shop")),
                ("db.query.text", Str("SELECT 1")),
                ("db.operation.name", Str("SELECT")),
                ("db.collection.name", Str("t")),
            ],
            &[
                "db.collection.name=\"t\"",
                "db.namespace=\"i|shop\"",
                "db.operation.name=\"SELECT\"",
                "db.query.text=\"SELECT 1\"",
                "db.system.name=\"microsoft.sql_server\"",
            ],
        );
        check(
            Kind::Client,
            &[("db.redis.database_index", Int(3))],
            &[("db.namespace", Str("3"))],
            &["db.namespace=\"3\""],
        );
    }

    #[test]
    fn remote_procedures() {
        check(
            Kind::Client,
            &[
                ("rpc.system", Str("grpc")),
                ("rpc.service", Str("p.S")),
                ("rpc.method", Str("M")),
                ("rpc.grpc.status_code", Int(4)),
            ],
            &[
                ("rpc.system.name", Str("grpc")),
                ("rpc.method", Str("p.S/M")),
                ("rpc.response.status_code", Str("DEADLINE_EXCEEDED")),
            ],
            &["rpc.method=\"p.S/M\"", "rpc.status_code=\"DEADLINE_EXCEEDED\"", "rpc.system.name=\"grpc\""],
        );
    }

    #[test]
    fn messages_models_and_code() {
        check(
            Kind::Producer,
            &[
                ("messaging.operation", Str("publish")),
                ("messaging.destination", Str("orders")),
                ("messaging.kafka.partition", Int(2)),
                ("messaging.kafka.client_id", Str("c")),
            ],
            &[
                ("messaging.operation.type", Str("send")),
                ("messaging.destination.name", Str("orders")),
                ("messaging.destination.partition.id", Str("2")),
                ("messaging.client.id", Str("c")),
            ],
            &[
                "messaging.client.id=\"c\"",
                "messaging.destination.name=\"orders\"",
                "messaging.destination.partition.id=\"2\"",
                "messaging.operation.type=\"send\"",
            ],
        );
        check(
            Kind::Internal,
            &[
                ("code.namespace", Str("com.shop.Cart")),
                ("code.function", Str("load")),
                ("gen_ai.system", Str("vertex_ai")),
                ("gen_ai.usage.prompt_tokens", Int(5)),
            ],
            &[
                ("code.function.name", Str("com.shop.Cart.load")),
                ("gen_ai.provider.name", Str("gcp.vertex_ai")),
                ("gen_ai.usage.input_tokens", Int(5)),
            ],
            &[
                "code.function.name=\"com.shop.Cart.load\"",
                "gen_ai.provider.name=\"gcp.vertex_ai\"",
                "gen_ai.usage.input_tokens=5",
            ],
        );
    }

    #[test]
    fn what_is_no_convention_stays() {
        let own = [("order.id", Int(1)), ("enduser.id", Str("u")), ("state", Str("open")), ("db.user", Str("app"))];
        assert_eq!(run(&own, Kind::Internal), ["db.user=\"app\"", "enduser.id=\"u\"", "order.id=1", "state=\"open\""]);
    }

    proptest! {
        #[test]
        fn once_is_enough(
            keys in proptest::collection::vec(
                proptest::sample::select(&[
                    "http.method", "http.target", "http.url", "http.host", "http.flavor", "net.peer.name", "rpc.service",
                    "rpc.method", "code.namespace", "code.function", "db.name", "db.system", "x", "url.full",
                ][..]),
                0..10,
            ),
            text in "[a-zA-Z0-9/:?.]{0,12}",
        ) {
            let sent: Vec<_> = keys.iter().map(|key| (*key, Str(text.as_str()))).collect();
            let once = run(&sent, Kind::Client);
            let mut keys: Vec<_> = once.iter().filter_map(|line| line.split_once('=')).map(|(key, _)| key).collect();
            prop_assert!(keys.is_sorted());
            keys.dedup();
            prop_assert_eq!(keys.len(), once.len());
        }
    }
}
