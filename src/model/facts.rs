//! The few attributes of a span that say what it does, picked in one pass, whatever the age of its conventions.
//!
//! Identity is computed for every span, so nothing here allocates: facts are slices of the packed span.

use super::attributes::{Attributes, Value};
use super::{Kind, masking, semconv, statement};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;

macro_rules! facts {
    ($($(#[doc = $doc:literal])+ $fact:ident = $key:literal,)+) => {
        /// One of the attributes that are picked, named by its current key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Fact {
            $($(#[doc = $doc])+ $fact,)+
        }

        impl Fact {
            /// All facts in order of their numbers.
            const ALL: &'static [(Fact, &'static str)] = &[$((Fact::$fact, $key),)+];

            /// The key under the current conventions.
            pub const fn key(self) -> &'static str {
                match self {
                    $(Fact::$fact => $key,)+
                }
            }
        }
    };
}

facts! {
    /// Database product.
    DbSystem = "db.system.name",
    /// What a statement does, in short.
    DbSummary = "db.query.summary",
    /// Database command.
    DbOperation = "db.operation.name",
    /// Table or collection.
    DbCollection = "db.collection.name",
    /// Database, schema or keyspace.
    DbNamespace = "db.namespace",
    /// Statement.
    DbText = "db.query.text",
    /// Stored procedure.
    DbProcedure = "db.stored_procedure.name",
    /// HTTP method.
    HttpMethod = "http.request.method",
    /// Route of the server's framework.
    HttpRoute = "http.route",
    /// Template of the client's URL.
    UrlTemplate = "url.template",
    /// Path of the URL.
    UrlPath = "url.path",
    /// Path and query of the URL.
    HttpTarget = "http.target",
    /// Whole URL.
    UrlFull = "url.full",
    /// RPC framework.
    RpcSystem = "rpc.system.name",
    /// Service of the interface, in older conventions.
    RpcService = "rpc.service",
    /// Method, fully qualified in newer conventions.
    RpcMethod = "rpc.method",
    /// Method that the framework does not know.
    RpcMethodOriginal = "rpc.method_original",
    /// Messaging product.
    MessagingSystem = "messaging.system",
    /// Kind of messaging operation.
    MessagingType = "messaging.operation.type",
    /// The product's name for the operation.
    MessagingName = "messaging.operation.name",
    /// Template of the destination's name.
    MessagingTemplate = "messaging.destination.template",
    /// Queue or topic.
    MessagingDestination = "messaging.destination.name",
    /// The destination lives only for a while.
    MessagingTemporary = "messaging.destination.temporary",
    /// The destination has a made-up name.
    MessagingAnonymous = "messaging.destination.anonymous",
    /// What a model is asked to do.
    GenAiOperation = "gen_ai.operation.name",
    /// Model asked for.
    GenAiModel = "gen_ai.request.model",
    /// Tool that is run.
    GenAiTool = "gen_ai.tool.name",
    /// Agent that is run.
    GenAiAgent = "gen_ai.agent.name",
    /// Workflow that is run.
    GenAiWorkflow = "gen_ai.workflow.name",
    /// Function that is called.
    FaasInvoked = "faas.invoked_name",
    /// Logical name of the other side.
    Peer = "service.peer.name",
    /// File that is worked on.
    FilePath = "file.path",
    /// Cache entry that is asked for.
    CacheKey = "cache.key",
    /// Feature flag that is asked for.
    FlagKey = "feature_flag.key",
    /// `GraphQL` operation.
    GraphqlName = "graphql.operation.name",
}

const COUNT: usize = Fact::ALL.len();
/// They are counted in the bits of one word.
const _: () = assert!(COUNT < 64);

/// Where keys go.
struct Slots {
    /// The fact's number and whether the key is current.
    by_key: HashMap<&'static [u8], (u8, bool), foldhash::fast::RandomState>,
    /// For each first byte the lengths of keys that begin with it, as bits: most keys are turned away by this alone.
    lengths: [u64; 256],
}

impl Slots {
    fn new() -> Slots {
        let mut slots = Slots {
            by_key: Fact::ALL.iter().map(|&(fact, key)| (key.as_bytes(), (fact as u8, true))).collect(),
            lengths: [0; 256],
        };
        semconv::each_rename(|old, new| {
            if let Some(&(fact, _)) = slots.by_key.get(new.as_bytes()) {
                slots.by_key.entry(old.as_bytes()).or_insert((fact, false));
            }
        });
        for key in slots.by_key.keys() {
            if let Some(lengths) = key.first().and_then(|&first| slots.lengths.get_mut(usize::from(first))) {
                *lengths |= 1 << (key.len() % 64);
            }
        }
        slots
    }

    #[inline]
    fn get(&self, key: &[u8]) -> Option<(u8, bool)> {
        let first = key.first()?;
        let lengths = self.lengths.get(usize::from(*first))?;
        if lengths >> (key.len() % 64) & 1 == 0 { None } else { self.by_key.get(key).copied() }
    }
}

fn slots() -> &'static Slots {
    static SLOTS: OnceLock<Slots> = OnceLock::new();
    SLOTS.get_or_init(Slots::new)
}

/// What was picked from one span. A current key wins over old ones, else the last one sent.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    values: [Value<'a>; COUNT],
    /// Bit n says that fact n was picked.
    picked: u64,
}

impl<'a> Facts<'a> {
    /// Picks from a span's attributes.
    pub fn of(attributes: Attributes<'a>) -> Facts<'a> {
        let slots = slots();
        let mut facts = Facts { values: [Value::Empty; COUNT], picked: 0 };
        let mut current = [false; COUNT];
        for (key, value) in attributes.undecoded() {
            let Some((number, is_current)) = slots.get(key) else { continue };
            let number = usize::from(number);
            let (Some(slot), Some(held)) = (facts.values.get_mut(number), current.get_mut(number)) else { continue };
            if is_current || !*held {
                *slot = Value::decode(value);
                *held = is_current;
                facts.picked |= 1 << number;
            }
        }
        facts
    }

    /// Whether nothing was picked.
    pub const fn is_empty(&self) -> bool {
        self.picked == 0
    }

    /// What was picked, in order of the facts' numbers.
    pub fn picked(&self) -> impl Iterator<Item = (Fact, Value<'a>)> {
        let mut left = self.picked;
        std::iter::from_fn(move || {
            let number = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            Some((Fact::ALL.get(number)?.0, self.values.get(number).copied()?))
        })
    }

    /// The value of a fact as it was sent.
    pub fn sent(&self, fact: Fact) -> Value<'a> {
        self.values.get(fact as usize).copied().unwrap_or(Value::Empty)
    }

    /// The value of a fact under the current conventions.
    pub fn value(&self, fact: Fact) -> Value<'a> {
        let value = self.sent(fact);
        semconv::current_value(fact.key(), value).unwrap_or(value)
    }

    /// The text of a fact; `None` when it is absent, empty or no text.
    pub fn text(&self, fact: Fact) -> Option<&'a str> {
        self.value(fact).as_str().filter(|text| !text.is_empty())
    }

    /// Whether a flag is set.
    pub fn flag(&self, fact: Fact) -> bool {
        matches!(self.value(fact), Value::Bool(true) | Value::Str("true"))
    }

    /// The URL, request target or path, whichever is there: for [`masking::path_of`].
    pub fn url(&self) -> Option<&'a str> {
        self.text(Fact::UrlPath).or_else(|| self.text(Fact::HttpTarget)).or_else(|| self.text(Fact::UrlFull))
    }

    /// Appends `package.Service/Method`; false when the method is not known.
    pub fn rpc_method_into(&self, out: &mut String) -> bool {
        let method = self.text(Fact::RpcMethod).filter(|&method| method != "_OTHER");
        let Some(method) = method.or_else(|| self.text(Fact::RpcMethodOriginal)) else { return false };
        let method = method.trim_start_matches('/');
        if let Some(service) = self.text(Fact::RpcService)
            && !method.contains('/')
        {
            out.push_str(service);
            out.push('/');
        }
        out.push_str(method);
        true
    }

    /// Whether statements are commands with values in plain text (`SET key value`) and not SQL.
    pub fn has_command_statements(&self) -> bool {
        matches!(self.text(Fact::DbSystem), Some("redis" | "valkey" | "memcached" | "keydb" | "dragonfly"))
    }

    /// Appends the destination without identifiers; false when there is none.
    pub fn destination_into(&self, out: &mut String) -> bool {
        if let Some(template) = self.text(Fact::MessagingTemplate) {
            masking::mask_into(out, template);
        } else if self.flag(Fact::MessagingTemporary) || self.flag(Fact::MessagingAnonymous) {
            out.push_str("(temporary)");
        } else if let Some(name) = self.text(Fact::MessagingDestination) {
            masking::mask_into(out, name);
        } else {
            return false;
        }
        true
    }

    /// Appends a command and its first argument, masked: the rest of a command is data.
    fn command_into(out: &mut String, text: &str) {
        for word in text.split_ascii_whitespace().take(2) {
            masking::mask_into(out, word);
            out.push(' ');
        }
    }
}

/// A hash over what tells two calls of one operation apart and what a span keeps when it moves: statement and
/// database, route or path, method, destination, model, file. Identifiers are masked; never a host or an instance.
/// 0 when the span has none of it. The same in every process.
pub fn likeness(attributes: Attributes<'_>) -> u64 {
    let facts = Facts::of(attributes);
    if facts.is_empty() {
        return 0;
    }
    let mut text = String::new();
    database_likeness(&facts, &mut text);
    if let Some(route) = facts.text(Fact::HttpRoute).or_else(|| facts.text(Fact::UrlTemplate)) {
        masking::mask_route_into(&mut text, route);
    } else if let Some(url) = facts.url() {
        masking::mask_path_into(&mut text, url);
    }
    text.push('\n');
    facts.rpc_method_into(&mut text);
    text.push('\n');
    facts.destination_into(&mut text);
    for fact in [
        Fact::GenAiModel,
        Fact::GenAiTool,
        Fact::GenAiAgent,
        Fact::FaasInvoked,
        Fact::FilePath,
        Fact::CacheKey,
        Fact::FlagKey,
        Fact::GraphqlName,
    ] {
        text.push('\n');
        masking::mask_into(&mut text, facts.text(fact).unwrap_or_default());
    }
    if text.bytes().all(|b| b == b'\n') {
        return 0;
    }
    let mut hasher = foldhash::quality::FixedState::default().build_hasher();
    hasher.write(text.as_bytes());
    hasher.finish().max(1)
}

fn database_likeness(facts: &Facts<'_>, out: &mut String) {
    // The table is left out where there is a statement: newer instrumentation does not repeat it.
    match facts.text(Fact::DbText) {
        Some(text) if facts.has_command_statements() => Facts::command_into(out, text),
        Some(text) => out.push_str(&statement::mask_statement(text)),
        None => masking::mask_into(out, facts.text(Fact::DbCollection).unwrap_or_default()),
    }
    out.push('\n');
    masking::mask_into(out, facts.text(Fact::DbProcedure).unwrap_or_default());
    out.push('\n');
    masking::mask_into(out, facts.text(Fact::DbNamespace).unwrap_or_default());
    out.push('\n');
}

/// Whom an outgoing span calls: the other side's logical name, else its system; never a host or an instance.
/// `None` for spans that call nobody and when nothing is known.
pub fn peer(attributes: Attributes<'_>, kind: Kind) -> Option<&str> {
    if !kind.is_outgoing() {
        return None;
    }
    let facts = Facts::of(attributes);
    [Fact::Peer, Fact::DbSystem, Fact::MessagingSystem, Fact::RpcSystem].into_iter().find_map(|fact| facts.text(fact))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attributes::{Packer, field};

    fn packed(attributes: &[(&str, Value<'_>)]) -> Vec<u8> {
        let mut packer = Packer::new();
        for (key, value) in attributes {
            packer.attribute(field::SPAN_ATTRIBUTES, key, value);
        }
        packer.into_bytes()
    }

    fn likeness_of(attributes: &[(&str, &str)]) -> u64 {
        let attributes: Vec<_> = attributes.iter().map(|&(key, value)| (key, Value::Str(value))).collect();
        likeness(Attributes::of_message(&packed(&attributes), field::SPAN_ATTRIBUTES))
    }

    fn peer_of(attributes: &[(&str, &str)], kind: Kind) -> Option<String> {
        let attributes: Vec<_> = attributes.iter().map(|&(key, value)| (key, Value::Str(value))).collect();
        peer(Attributes::of_message(&packed(&attributes), field::SPAN_ATTRIBUTES), kind).map(str::to_owned)
    }

    #[test]
    fn a_current_key_wins_over_an_old_one_in_any_order() {
        for keys in [["http.method", "http.request.method"], ["http.request.method", "http.method"]] {
            let values = keys.map(|key| (key, Value::Str(if key == "http.method" { "old" } else { "GET" })));
            let body = packed(&values);
            let facts = Facts::of(Attributes::of_message(&body, field::SPAN_ATTRIBUTES));
            assert_eq!(facts.text(Fact::HttpMethod), Some("GET"));
        }
    }

    #[test]
    fn likeness_is_the_same_for_old_and_new_conventions_and_other_identifiers() {
        type Sent<'a> = &'a [(&'a str, &'a str)];
        let pairs: [(Sent<'_>, Sent<'_>); 6] = [
            (
                &[("db.system", "mssql"), ("db.statement", "SELECT a FROM t WHERE id = 7"), ("db.sql.table", "t")],
                &[("db.system.name", "microsoft.sql_server"), ("db.query.text", "SELECT a FROM t WHERE id = ?")],
            ),
            (&[("http.url", "http://10.0.0.1:80/users/1?x")], &[("url.full", "https://users.example/users/2")]),
            (&[("http.target", "/users/1?x=y")], &[("url.path", "/users/2"), ("url.query", "x=y")]),
            (&[("rpc.service", "p.S"), ("rpc.method", "M")], &[("rpc.method", "p.S/M")]),
            (&[("messaging.destination", "orders-1")], &[("messaging.destination.name", "orders-2")]),
            (
                &[("db.system", "redis"), ("db.statement", "SET user:1 aaa")],
                &[("db.system.name", "redis"), ("db.query.text", "SET user:2 bbb")],
            ),
        ];
        for (old, new) in pairs {
            assert_ne!(likeness_of(old), 0);
            assert_eq!(likeness_of(old), likeness_of(new), "{old:?}");
        }
    }

    #[test]
    fn likeness_tells_other_work_apart_and_ignores_places() {
        let base = likeness_of(&[("db.query.text", "SELECT a FROM t"), ("db.namespace", "shop")]);
        for other in [
            &[("db.query.text", "SELECT b FROM t"), ("db.namespace", "shop")],
            &[("db.query.text", "SELECT a FROM t"), ("db.namespace", "billing")],
            &[("db.query.text", "SELECT a FROM t"), ("http.route", "shop")],
        ] {
            assert_ne!(likeness_of(other), base, "{other:?}");
        }
        let moved = [("db.query.text", "SELECT a FROM t"), ("db.namespace", "shop"), ("server.address", "db-7")];
        assert_eq!(likeness_of(&moved), base);
        assert_eq!(likeness_of(&[("server.address", "a"), ("net.peer.name", "b"), ("db.system", "mysql")]), 0);
    }

    #[test]
    fn a_peer_is_a_logical_name_of_somebody_called() {
        assert_eq!(peer_of(&[("peer.service", "cart"), ("db.system", "mysql")], Kind::Client).as_deref(), Some("cart"));
        assert_eq!(peer_of(&[("db.system", "oracle")], Kind::Client).as_deref(), Some("oracle.db"));
        assert_eq!(peer_of(&[("messaging.system", "kafka")], Kind::Producer).as_deref(), Some("kafka"));
        assert_eq!(peer_of(&[("server.address", "10.0.0.1")], Kind::Client), None);
        assert_eq!(peer_of(&[("peer.service", "cart")], Kind::Server), None);
    }
}
