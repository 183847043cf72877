//! The names and attributes that instrumentation gives a span, in old and new semantic conventions.

use super::deployment::uuid;
use super::fleet::Database;
use super::program::{Conventions, Failure, Http, Message, Node, Plain, Redis, Rpc, Sql, What};
use super::random::Random;
use super::record::{Attributes, Value};
use crate::model::Kind;
use std::borrow::Cow;
use std::fmt::Write as _;

/// How a run of an operation ended.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// Well.
    Fine,
    /// It failed itself.
    Failed(Failure),
    /// No answer came in time; the caller tries again.
    TimedOut,
    /// Something inside failed.
    Inherited,
}

impl Outcome {
    /// The failure that this span itself met.
    pub const fn failure(self) -> Option<Failure> {
        match self {
            Outcome::Fine | Outcome::Inherited => None,
            Outcome::Failed(failure) => Some(failure),
            Outcome::TimedOut => Some(Failure { exception: "TimeoutError", message: "no reply in time, trying again" }),
        }
    }

    /// Whether the span's status is an error.
    pub const fn is_error(self) -> bool {
        !matches!(self, Outcome::Fine)
    }
}

/// What the attributes of one run depend on besides its operation.
#[derive(Debug)]
pub struct Run<'a> {
    /// Conventions of the service.
    pub conventions: Conventions,
    /// Path, statement or key with its holes filled.
    pub filled: &'a str,
    /// IP address of the other side, where that is another process of the system.
    pub peer: Option<&'a str>,
    /// Which instance of a sharded database.
    pub instance: u32,
    /// The database of a fleet that it asks.
    pub database: Option<&'a Database>,
    /// How many messages it handles.
    pub messages: usize,
    /// How it ended.
    pub outcome: Outcome,
}

/// Fills the holes of a pattern: `{n}` a number, `{u}` a UUID, `{x}` eight hex digits, `{f}` a coordinate.
pub fn fill(pattern: &str, random: &mut Random) -> String {
    let mut text = String::with_capacity(pattern.len() + 32);
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (hole, tail) = after.split_once('}').unwrap_or((after, ""));
        match hole {
            "u" => text.push_str(&uuid(random)),
            "x" => push(&mut text, format_args!("{:08x}", random.bits() >> 32)),
            "f" => push(&mut text, format_args!("{}.{:04}", random.below(90), random.below(10_000))),
            _ => push(&mut text, format_args!("{}", 100 + random.below(999_900))),
        }
        rest = tail;
    }
    text.push_str(rest);
    text
}

fn push(text: &mut String, piece: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = text.write_fmt(piece);
}

/// The pattern with holes that a run of this operation fills.
pub fn pattern(what: &What) -> &'static str {
    match what {
        What::Http(http) => http.target,
        What::Sql(sql) => sql.text,
        What::Redis(redis) => redis.key,
        What::Rpc(_) | What::Message(_) | What::Plain(_) => "",
    }
}

/// The name that instrumentation of these conventions shows for a span.
pub fn display_name(what: &What, kind: Kind, conventions: Conventions) -> Cow<'static, str> {
    let new = conventions == Conventions::New;
    match what {
        What::Http(http) => http_name(http, kind, new),
        What::Rpc(rpc) if rpc.display.is_empty() => format!("{}/{}", rpc.service, rpc.method).into(),
        What::Rpc(rpc) => rpc.display.into(),
        What::Sql(sql) if !sql.display.is_empty() => sql.display.into(),
        What::Sql(sql) if new => format!("{} {}", sql.verb, sql.table).into(),
        What::Sql(sql) => format!("{} {}.{}", sql.verb, sql.database, sql.table).into(),
        What::Redis(redis) => redis.command.into(),
        What::Message(message) => match (kind, new) {
            (Kind::Producer, true) => format!("send {}", message.topic).into(),
            (_, true) => format!("process {}", message.topic).into(),
            (Kind::Producer, false) => format!("{} send", message.topic).into(),
            (_, false) => format!("{} process", message.topic).into(),
        },
        What::Plain(plain) => plain.name.into(),
    }
}

fn http_name(http: &Http, kind: Kind, new: bool) -> Cow<'static, str> {
    let named = kind == Kind::Server && !http.route.is_empty();
    match (new, named) {
        (true, true) => format!("{} {}", http.method, http.route).into(),
        (true, false) => http.method.into(),
        (false, true) => format!("HTTP {} {}", http.method, http.route).into(),
        (false, false) => format!("HTTP {}", http.method).into(),
    }
}

/// The attributes of one run of an operation.
pub fn attributes(node: &Node, run: &Run<'_>, random: &mut Random) -> Attributes {
    let mut sheet = Sheet { new: run.conventions == Conventions::New, attributes: Vec::with_capacity(16) };
    match &node.what {
        What::Http(http) if node.kind == Kind::Server => sheet.http_server(http, run, random),
        What::Http(http) => sheet.http_client(http, run),
        What::Rpc(rpc) => sheet.rpc(rpc, node.kind, run, random),
        What::Sql(sql) => sheet.sql(sql, run),
        What::Redis(redis) => sheet.redis(redis, run),
        What::Message(message) => sheet.message(message, node.kind, run, random),
        What::Plain(plain) => sheet.plain(plain, node.kind, random),
    }
    if let Some(failure) = run.outcome.failure() {
        sheet.put("error.type", "", failure.exception);
    }
    let thread = 1 + random.below(64) as i64;
    sheet.put("thread.id", "thread.id", thread);
    sheet.put("thread.name", "thread.name", format!("worker-{thread}"));
    sheet.attributes
}

struct Sheet {
    new: bool,
    attributes: Attributes,
}

impl Sheet {
    /// Adds a value under the key that it has in the conventions in use; an empty key means that it has none there.
    fn put(&mut self, new_key: &'static str, old_key: &'static str, value: impl Into<Value>) {
        let key = if self.new { new_key } else { old_key };
        if !key.is_empty() {
            self.attributes.push((key, value.into()));
        }
    }

    fn http_server(&mut self, http: &Http, run: &Run<'_>, random: &mut Random) {
        let (path, query) = run.filled.split_once('?').unwrap_or((run.filled, ""));
        self.put("http.request.method", "http.method", http.method);
        self.put("url.scheme", "http.scheme", "http");
        self.put("url.path", "", path.to_owned());
        if !query.is_empty() {
            self.put("url.query", "", query.to_owned());
        }
        self.put("", "http.target", run.filled.to_owned());
        if !http.route.is_empty() {
            self.put("http.route", "http.route", http.route);
        }
        self.put("server.address", "net.host.name", http.host);
        self.put("server.port", "net.host.port", i64::from(http.port));
        let client = run.peer.map_or_else(|| public_address(random), str::to_owned);
        self.put("client.address", "http.client_ip", client.clone());
        self.put("network.peer.address", "net.sock.peer.addr", client);
        self.put("network.peer.port", "net.sock.peer.port", 32_768 + random.below(28_000) as i64);
        self.put("network.protocol.version", "http.flavor", "1.1");
        let agent = if run.peer.is_some() { "Go-http-client/1.1" } else { browser(random) };
        self.put("user_agent.original", "http.user_agent", agent);
        self.http_status(run);
    }

    fn http_client(&mut self, http: &Http, run: &Run<'_>) {
        self.put("http.request.method", "http.method", http.method);
        let scheme = if http.port == 443 { "https" } else { "http" };
        self.put("url.full", "http.url", format!("{scheme}://{}:{}{}", http.host, http.port, run.filled));
        self.peer(http.host.into(), http.port, run);
        self.put("network.protocol.version", "http.flavor", "1.1");
        self.http_status(run);
    }

    fn http_status(&mut self, run: &Run<'_>) {
        let code = match run.outcome {
            Outcome::Fine => 200,
            Outcome::Failed(_) => 503,
            Outcome::Inherited => 500,
            // No answer, no status.
            Outcome::TimedOut => return,
        };
        self.put("http.response.status_code", "http.status_code", code);
    }

    fn rpc(&mut self, rpc: &Rpc, kind: Kind, run: &Run<'_>, random: &mut Random) {
        self.put("rpc.system.name", "rpc.system", "grpc");
        self.put("rpc.method", "", format!("{}/{}", rpc.service, rpc.method));
        self.put("", "rpc.service", rpc.service);
        self.put("", "rpc.method", rpc.method);
        if kind == Kind::Server {
            self.put("server.address", "net.host.name", rpc.host);
            self.put("server.port", "net.host.port", i64::from(rpc.port));
            let client = run.peer.map_or_else(|| public_address(random), str::to_owned);
            self.put("network.peer.address", "net.sock.peer.addr", client);
            self.put("network.peer.port", "net.sock.peer.port", 32_768 + random.below(28_000) as i64);
        } else {
            self.peer(rpc.host.into(), rpc.port, run);
        }
        let (code, name) = match run.outcome {
            Outcome::Fine => (0, "OK"),
            Outcome::Failed(_) => (14, "UNAVAILABLE"),
            Outcome::TimedOut => (4, "DEADLINE_EXCEEDED"),
            Outcome::Inherited => (13, "INTERNAL"),
        };
        self.put("rpc.status_code", "", name);
        self.put("", "rpc.grpc.status_code", code);
    }

    fn sql(&mut self, sql: &Sql, run: &Run<'_>) {
        let (database, host) = if let Some(one) = run.database {
            (Cow::from(one.namespace.clone()), one.address.clone())
        } else if sql.instances > 0 {
            let shard = run.instance;
            (Cow::from(format!("{}_{shard:03}", sql.database)), format!("{}-db-{}", sql.database, shard / 8))
        } else {
            (Cow::from(sql.database), format!("{}-db", sql.database))
        };
        self.put("db.system.name", "db.system", sql.system);
        self.put("db.namespace", "db.name", Value::Text(database));
        self.put("db.operation.name", "db.operation", sql.verb);
        self.put("db.collection.name", "db.sql.table", sql.table);
        self.put("db.query.text", "db.statement", run.filled.to_owned());
        self.put("db.query.summary", "", format!("{} {}", sql.verb, sql.table));
        self.put("", "db.user", "app");
        self.peer(host.into(), if sql.system == "postgresql" { 5432 } else { 3306 }, run);
        self.volume(run);
    }

    /// What the platform knows about the database: its client adds it to every call.
    fn volume(&mut self, run: &Run<'_>) {
        if let Some(one) = run.database {
            self.put("k8s.storageclass.name", "k8s.storageclass.name", one.storage_class);
        }
    }

    fn redis(&mut self, redis: &Redis, run: &Run<'_>) {
        self.put("db.system.name", "db.system", "redis");
        self.put("db.namespace", "", "0");
        self.put("", "db.redis.database_index", 0);
        self.put("db.operation.name", "db.operation", redis.command);
        self.put("db.query.text", "db.statement", format!("{} {}", redis.command, run.filled));
        if let Some(hit) = redis.hit {
            self.put("cache.hit", "cache.hit", hit);
        }
        self.peer(run.database.map_or("redis".into(), |one| one.address.clone().into()), 6379, run);
        self.volume(run);
    }

    fn message(&mut self, message: &Message, kind: Kind, run: &Run<'_>, random: &mut Random) {
        let sent = kind == Kind::Producer;
        self.put("messaging.system", "messaging.system", "kafka");
        self.put("messaging.destination.name", "messaging.destination", message.topic);
        self.put("messaging.operation.name", "", if sent { "send" } else { "process" });
        self.put(
            "messaging.operation.type",
            "messaging.operation",
            match (sent, self.new) {
                (true, true) => "send",
                (true, false) => "publish",
                (false, _) => "process",
            },
        );
        let partition = random.below(12) as i64;
        self.put("messaging.destination.partition.id", "", partition.to_string());
        self.put("", "messaging.kafka.destination.partition", partition);
        self.put("messaging.kafka.offset", "messaging.kafka.message.offset", 40_000 + random.below(900_000) as i64);
        self.put("messaging.client.id", "messaging.client_id", format!("rdkafka-{:08x}", random.bits() >> 32));
        if !sent {
            self.put("messaging.consumer.group.name", "messaging.kafka.consumer.group", message.group);
        }
        if run.messages > 1 {
            self.put("messaging.batch.message_count", "messaging.batch.message_count", run.messages as i64);
        }
        let broker = random.below(3);
        self.peer(format!("kafka-{broker}").into(), 9092, run);
    }

    fn plain(&mut self, plain: &Plain, kind: Kind, random: &mut Random) {
        for (key, pattern) in plain.attributes {
            self.put(key, key, fill(pattern, random));
        }
        if kind == Kind::Internal {
            self.put("code.function.name", "code.function", plain.name);
        }
    }

    /// The other side of an outgoing call.
    fn peer(&mut self, host: Cow<'static, str>, port: u16, run: &Run<'_>) {
        let address = run.peer.map_or_else(|| private_address(&host), str::to_owned);
        self.put("server.address", "net.peer.name", Value::Text(host));
        self.put("server.port", "net.peer.port", i64::from(port));
        self.put("network.peer.address", "net.sock.peer.addr", address);
        self.put("network.peer.port", "net.sock.peer.port", i64::from(port));
    }
}

/// The address of a host outside the traced services: always the same for the same name.
fn private_address(host: &str) -> String {
    let hash = host
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("10.96.{}.{}", hash >> 8 & 0xff, hash >> 24 & 0xff)
}

/// An address from the ranges that are reserved for documentation.
fn public_address(random: &mut Random) -> String {
    let net = random.pick(&["192.0.2", "198.51.100", "203.0.113"]).copied().unwrap_or("192.0.2");
    format!("{net}.{}", 1 + random.below(254))
}

fn browser(random: &mut Random) -> &'static str {
    const BROWSERS: [&str; 3] = [
        "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 Version/18.6 Mobile Safari/604.1",
        "RideApp/7.31.0 (Android 15)",
    ];
    random.pick(&BROWSERS).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::program::Http;

    const HTTP: Http =
        Http { method: "GET", route: "/users/{id}", target: "/users/{n}?page=2", host: "users", port: 8080 };

    fn keys(conventions: Conventions, kind: Kind, outcome: Outcome) -> Vec<&'static str> {
        let node = Node::new("a", "s", kind, What::Http(HTTP));
        let run = Run {
            conventions,
            filled: "/users/7?page=2",
            peer: None,
            instance: 0,
            database: None,
            messages: 0,
            outcome,
        };
        attributes(&node, &run, &mut Random::new(1)).into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn holes_are_filled() {
        let mut random = Random::new(3);
        let text = fill("/a/{n}/b-{x}?q={u}&at={f}", &mut random);
        assert!(!text.contains(['{', '}']), "{text}");
        assert!(text.starts_with("/a/") && text.contains("/b-") && text.contains("?q=") && text.contains("&at="));
        assert_eq!(fill("plain", &mut random), "plain");
    }

    #[test]
    fn a_service_uses_one_generation_of_conventions_only() {
        let old = keys(Conventions::Old, Kind::Client, Outcome::Fine);
        assert!(old.contains(&"http.method") && old.contains(&"http.url") && old.contains(&"net.peer.name"), "{old:?}");
        assert!(!old.iter().any(|key| key.starts_with("url.") || key.starts_with("network.")), "{old:?}");
        let new = keys(Conventions::New, Kind::Server, Outcome::Fine);
        assert!(new.contains(&"http.request.method") && new.contains(&"url.path") && new.contains(&"url.query"));
        assert!(!new.iter().any(|key| key.starts_with("net.") || *key == "http.method"), "{new:?}");
    }

    #[test]
    fn a_timeout_has_no_http_status() {
        let fine = keys(Conventions::New, Kind::Client, Outcome::Fine);
        let late = keys(Conventions::New, Kind::Client, Outcome::TimedOut);
        assert!(fine.contains(&"http.response.status_code") && !late.contains(&"http.response.status_code"));
        assert!(late.contains(&"error.type"));
    }

    #[test]
    fn names_follow_the_conventions() {
        let what = What::Http(HTTP);
        assert_eq!(display_name(&what, Kind::Server, Conventions::Old), "HTTP GET /users/{id}");
        assert_eq!(display_name(&what, Kind::Server, Conventions::New), "GET /users/{id}");
        assert_eq!(display_name(&what, Kind::Client, Conventions::Old), "HTTP GET");
        assert_eq!(display_name(&what, Kind::Client, Conventions::New), "GET");
        assert_eq!(what.operation_name(Kind::Server), "GET /users/{}");
        assert_eq!(what.operation_name(Kind::Client), "GET /users/{}");
    }
}
