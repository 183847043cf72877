//! Semantic conventions: old attribute keys and values under their current names, and what a key is good for.
//!
//! The table of renames is compiled in. It stands in the model and not in ingest because ingest (identity) and diff
//! (attribute lists) both need it and diff may not import ingest. Where the registry and the schema files of the
//! conventions disagree the registry wins: it is corrected later, the schema files never are.

pub use super::canonical::{CanonicalValue, canonical, is_entangled};
pub use super::facts::{likeness, peer};

use super::attributes::Value;
use std::collections::HashMap;
use std::sync::OnceLock;

const TABLE: &str = include_str!("semconv_renames.tsv");

/// Names that are replaced in a chain, at most.
const MAX_CHAIN: usize = 8;

/// Old keys that keep their name here although the table renames them: reversed later (`enduser.id`), another type
/// (`enduser.role` is one role, `user.roles` a list), merged or split with their values ([`super::canonical`]), or so
/// general that other people use them for something else (`state`, `pool.name`: metric attributes).
const KEPT: [&str; 14] = [
    "enduser.id",
    "enduser.role",
    "code.function",
    "code.namespace",
    "rpc.service",
    "http.target",
    "http.flavor",
    "net.sock.family",
    "net.sock.peer.name",
    "pool.name",
    "state",
    "message.id",
    "message.type",
    "error.message",
];

/// Renames that are prose in the registry: merges without a change of value, and names that other programs use.
const ADDED: [(&str, &str); 16] = [
    ("db.instance", "db.namespace"),
    ("db.redis.database_index", "db.namespace"),
    ("db.mssql.instance_name", "db.namespace"),
    ("db.cosmosdb.status_code", "db.response.status_code"),
    ("db.type", "db.system.name"),
    ("feature_flag.evaluation.error.message", "feature_flag.error.message"),
    ("http.host", "server.address"),
    ("http.path", "url.path"),
    ("http.request_content_length", "http.request.body.size"),
    ("http.response_content_length", "http.response.body.size"),
    ("messaging.destination.subscription_name", "messaging.destination.subscription.name"),
    ("messaging.kafka.destination.partition", "messaging.destination.partition.id"),
    ("net.peer.name", "server.address"),
    ("net.peer.port", "server.port"),
    ("rpc.grpc.status_code", "rpc.status_code"),
    ("rpc.jsonrpc.error_code", "rpc.status_code"),
];

/// Beginnings of keys that are noise.
const NOISE_PREFIXES: [&str; 13] = [
    "enduser.",
    "network.peer.",
    "network.local.",
    "process.command",
    "db.query.parameter.",
    "db.operation.parameter.",
    "k8s.pod.",
    "thread.",
    "host.id",
    "host.ip",
    "host.mac",
    "host.name",
    "client.",
];

/// Keys that are noise; sorted.
const NOISE: [&str; 42] = [
    "aws.request_id",
    "busy_ns",
    "cloud.resource_id",
    "code.column.number",
    "code.line.number",
    "code.stacktrace",
    "container.id",
    "db.connection_string",
    "db.query.text",
    "exception.message",
    "exception.stacktrace",
    "faas.instance",
    "faas.invocation_id",
    "feature_flag.set.id",
    "gen_ai.completion",
    "gen_ai.conversation.id",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.prompt",
    "gen_ai.response.id",
    "gen_ai.tool.call.id",
    "http.target",
    "idle_ns",
    "jsonrpc.request.id",
    "k8s.replicaset.name",
    "k8s.replicaset.uid",
    "messaging.client.id",
    "messaging.kafka.offset",
    "messaging.message.conversation_id",
    "messaging.message.id",
    "net.sock.peer.name",
    "process.owner",
    "process.parent_pid",
    "process.pid",
    "service.instance.id",
    "session.id",
    "session.previous_id",
    "url.full",
    "url.path",
    "url.query",
    "user.id",
    "user_agent.original",
];

/// Namespaces of the semantic conventions and of instrumentation libraries' own keys; sorted.
const CONVENTIONS: [&str; 70] = [
    "android",
    "artifact",
    "aspnetcore",
    "aws",
    "az",
    "azure",
    "browser",
    "cassandra",
    "cicd",
    "client",
    "cloud",
    "cloudevents",
    "cloudfoundry",
    "code",
    "container",
    "cpu",
    "db",
    "deployment",
    "dns",
    "dotnet",
    "elasticsearch",
    "enduser",
    "error",
    "exception",
    "faas",
    "feature_flag",
    "gcp",
    "gen_ai",
    "graphql",
    "heroku",
    "host",
    "http",
    "internal",
    "ios",
    "jsonrpc",
    "jvm",
    "k8s",
    "kestrel",
    "library",
    "log",
    "mcp",
    "message",
    "messaging",
    "net",
    "network",
    "nodejs",
    "oci",
    "openai",
    "opentracing",
    "os",
    "otel",
    "peer",
    "process",
    "rpc",
    "sampler",
    "scope",
    "server",
    "service",
    "session",
    "signalr",
    "span",
    "system",
    "telemetry",
    "thread",
    "tls",
    "url",
    "user_agent",
    "v8js",
    "vcs",
    "webengine",
];

/// What a key is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyClass {
    /// High-cardinality or different on every run: shown, never compared.
    Noise,
    /// Versions and places: compared, and told as context of the whole comparison.
    Context,
    /// Compared.
    Plain,
}

fn renames() -> &'static HashMap<&'static str, &'static str, foldhash::fast::RandomState> {
    static RENAMES: OnceLock<HashMap<&str, &str, foldhash::fast::RandomState>> = OnceLock::new();
    RENAMES.get_or_init(|| {
        let steps = direct_renames();
        steps
            .keys()
            .map(|&old| {
                let mut key = old;
                for _ in 0..MAX_CHAIN {
                    let Some(&next) = steps.get(key) else { break };
                    key = next;
                }
                (old, key)
            })
            .filter(|(old, new)| old != new)
            .collect()
    })
}

/// One step from each old key: what the registry says, else what the schema files say.
fn direct_renames() -> HashMap<&'static str, &'static str, foldhash::fast::RandomState> {
    let mut steps = HashMap::default();
    let mut by_registry = HashMap::<_, _, foldhash::fast::RandomState>::default();
    for line in TABLE.lines().skip(1) {
        let mut columns = line.split('\t');
        let (Some(old), Some(new), Some(source)) = (columns.next(), columns.next(), columns.next()) else { continue };
        if KEPT.contains(&old) || new.is_empty() {
            continue;
        }
        steps.insert(old, new);
        if source.contains("model:renamed") {
            by_registry.insert(old, new);
        }
    }
    steps.extend(by_registry);
    steps.extend(ADDED);
    steps
}

/// The current name of a key; the key itself when it is current, unknown, or removed without a successor.
///
/// Keys whose name depends on the span kind (`net.peer.*`) come out as on client spans; [`super::canonical`] knows
/// the kind.
pub fn canonical_key(key: &str) -> &str {
    renames().get(key).copied().unwrap_or(key)
}

/// Calls `visit` with every old key of the table and its current name, in no particular order.
pub(super) fn each_rename(mut visit: impl FnMut(&'static str, &'static str)) {
    for (old, new) in renames() {
        visit(old, new);
    }
}

/// What a key, old or current, is good for.
pub fn class(key: &str) -> KeyClass {
    let key = canonical_key(key);
    if is_noise(key) {
        KeyClass::Noise
    } else if is_context(key) {
        KeyClass::Context
    } else {
        KeyClass::Plain
    }
}

fn is_noise(key: &str) -> bool {
    NOISE_PREFIXES.into_iter().any(|prefix| key.starts_with(prefix)) || NOISE.binary_search(&key).is_ok()
}

fn is_context(key: &str) -> bool {
    const PREFIXES: [&str; 6] = ["telemetry.", "vcs.", "container.image.", "otel.scope.", "process.runtime.", "os."];
    PREFIXES.into_iter().any(|prefix| key.starts_with(prefix))
        || matches!(
            key,
            "deployment.environment.name"
                | "faas.version"
                | "gen_ai.agent.version"
                | "k8s.deployment.name"
                | "schema_url"
                | "scope.version"
                | "service.version"
                | "user_agent.version"
        )
}

/// Whether a key belongs to a namespace of the semantic conventions or to an instrumentation library's own keys: one
/// that comes or goes with an SDK upgrade, which is instrumentation and not behaviour.
pub fn is_convention(key: &str) -> bool {
    let Some((namespace, _)) = key.split_once('.') else {
        return matches!(key, "component" | "busy_ns" | "idle_ns" | "schema_url");
    };
    CONVENTIONS.binary_search(&namespace).is_ok()
}

/// The current value of a value under its current key, where the conventions changed values and not only names.
/// `None` when it stays as it is.
pub fn current_value<'a>(key: &str, value: Value<'a>) -> Option<Value<'a>> {
    let text = value.as_str();
    match key {
        "http.response.status_code" | "server.port" | "client.port" => text.and(value.as_int()).map(Value::Int),
        "http.request.method" => http_method(text?).map(Value::Str),
        "db.system.name" => lookup(&DB_SYSTEMS, text?),
        "rpc.system.name" => lookup(&[("connect_rpc", "connectrpc"), ("apache_dubbo", "dubbo")], text?),
        "gen_ai.provider.name" => lookup(&GEN_AI_PROVIDERS, text?),
        "messaging.operation.type" => lookup(&[("publish", "send"), ("deliver", "process")], text?),
        "network.transport" => lookup(&[("ip_tcp", "tcp"), ("ip_udp", "udp"), ("IP.TCP", "tcp")], text?),
        "network.protocol.version" => text?.strip_suffix(".0").map(Value::Str),
        "rpc.status_code" => GRPC_CODES.get(usize::try_from(value.as_int()?).ok()?).map(|&name| Value::Str(name)),
        _ => None,
    }
}

/// Whether [`current_value`] may change values of a current key.
pub fn has_current_values(key: &str) -> bool {
    matches!(
        key,
        "http.response.status_code"
            | "server.port"
            | "client.port"
            | "http.request.method"
            | "db.system.name"
            | "rpc.system.name"
            | "gen_ai.provider.name"
            | "messaging.operation.type"
            | "network.transport"
            | "network.protocol.version"
            | "rpc.status_code"
    )
}

fn lookup<'a>(table: &[(&str, &'static str)], text: &str) -> Option<Value<'a>> {
    table.iter().find(|(old, _)| *old == text).map(|&(_, new)| Value::Str(new))
}

const HTTP_METHODS: [&str; 10] =
    ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY"];

/// The method as the conventions spell it; `None` for one they do not know.
pub fn http_method(method: &str) -> Option<&'static str> {
    HTTP_METHODS.into_iter().find(|known| known.eq_ignore_ascii_case(method))
}

/// gRPC status codes by number.
const GRPC_CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// `db.system` values that are spelled otherwise in `db.system.name`.
const DB_SYSTEMS: [(&str, &str); 20] = [
    ("adabas", "softwareag.adabas"),
    ("cache", "intersystems.cache"),
    ("cosmosdb", "azure.cosmosdb"),
    ("db2", "ibm.db2"),
    ("dynamodb", "aws.dynamodb"),
    ("firebird", "firebirdsql"),
    ("h2", "h2database"),
    ("hanadb", "sap.hana"),
    ("informix", "ibm.informix"),
    ("ingres", "actian.ingres"),
    ("intersystems_cache", "intersystems.cache"),
    ("maxdb", "sap.maxdb"),
    ("mssql", "microsoft.sql_server"),
    ("mssqlcompact", "microsoft.sql_server"),
    ("netezza", "ibm.netezza"),
    ("oracle", "oracle.db"),
    ("postgres", "postgresql"),
    ("redshift", "aws.redshift"),
    ("spanner", "gcp.spanner"),
    ("sql", "other_sql"),
];

/// `gen_ai.system` values that are spelled otherwise in `gen_ai.provider.name`.
const GEN_AI_PROVIDERS: [(&str, &str); 5] = [
    ("az.ai.inference", "azure.ai.inference"),
    ("az.ai.openai", "azure.ai.openai"),
    ("gemini", "gcp.gemini"),
    ("vertex_ai", "gcp.vertex_ai"),
    ("xai", "x_ai"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_keys_have_their_current_names() {
        for (old, new) in [
            ("http.method", "http.request.method"),
            ("http.url", "url.full"),
            ("net.peer.ip", "network.peer.address"),
            ("net.sock.peer.addr", "network.peer.address"),
            ("net.host.ip", "network.local.address"),
            ("messaging.kafka.client_id", "messaging.client.id"),
            ("messaging.kafka.partition", "messaging.destination.partition.id"),
            ("messaging.kafka.consumer_group", "messaging.consumer.group.name"),
            ("messaging.protocol_version", "network.protocol.version"),
            ("db.hbase.namespace", "db.namespace"),
            ("db.sql.table", "db.collection.name"),
            ("rpc.response.status_code", "rpc.status_code"),
            ("rpc.connect_rpc.error_code", "rpc.status_code"),
            ("deployment.environment", "deployment.environment.name"),
            ("peer.service", "service.peer.name"),
            ("http.retry_count", "http.request.resend_count"),
            ("gen_ai.system", "gen_ai.provider.name"),
        ] {
            assert_eq!(canonical_key(old), new, "{old}");
        }
    }

    #[test]
    fn what_is_searched_is_sorted() {
        assert!(NOISE.is_sorted());
        assert!(CONVENTIONS.is_sorted());
    }

    #[test]
    fn current_reversed_and_foreign_keys_stay() {
        for key in [
            "http.request.method",
            "enduser.id",
            "enduser.role",
            "user.id",
            "state",
            "pool.name",
            "db.user",
            "gen_ai.request.model",
            "order.id",
            "",
        ] {
            assert_eq!(canonical_key(key), key);
        }
    }

    #[test]
    fn every_chain_ends_at_a_name_that_is_not_renamed() {
        let mut count = 0;
        each_rename(|old, new| {
            count += 1;
            assert_eq!(canonical_key(new), new, "{old} → {new}");
        });
        assert!(count > 140, "{count} renames");
    }

    #[test]
    fn keys_are_noise_context_or_plain_under_old_and_new_names() {
        for key in [
            "http.url",
            "http.target",
            "url.full",
            "db.statement",
            "net.peer.ip",
            "net.sock.peer.port",
            "http.client_ip",
            "http.user_agent",
            "thread.id",
            "process.command_args",
            "enduser.id",
            "faas.execution",
            "code.lineno",
            "messaging.message_id",
            "host.name",
            "k8s.pod.uid",
        ] {
            assert_eq!(class(key), KeyClass::Noise, "{key}");
        }
        for key in ["service.version", "deployment.environment", "telemetry.sdk.version", "otel.library.version"] {
            assert_eq!(class(key), KeyClass::Context, "{key}");
        }
        for key in ["http.status_code", "db.name", "order.total", "server.address", "error.type"] {
            assert_eq!(class(key), KeyClass::Plain, "{key}");
        }
    }

    #[test]
    fn conventions_are_told_from_the_applications_own_keys() {
        for key in ["http.route", "db.user", "net.peer.name", "error.type", "otel.status_code", "component"] {
            assert!(is_convention(key), "{key}");
        }
        for key in ["order.id", "app.user", "user.plan", "https.x", "http", "cache.hit"] {
            assert!(!is_convention(key), "{key}");
        }
    }
}
