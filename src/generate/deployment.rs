//! Where a system runs: pods, hosts, addresses, resource attributes, SDK and instrumentation versions.

use super::fleet::CLUSTERS;
use super::program::{Conventions, Language, Program, Service, What};
use super::random::Random;
use super::record::{Attributes, Process, Scope};

/// The processes of all services, in the order of the services; each side draws its own, as a new deployment does.
pub fn processes(program: &Program, namespace: &'static str, random: &mut Random) -> Vec<Process> {
    let clusters = if program.fleet.is_some() { &CLUSTERS[..] } else { &["eu-1"] };
    let mut all = Vec::new();
    for (cluster, name) in clusters.iter().enumerate() {
        for (number, service) in program.services.iter().enumerate() {
            let replica_set = letters(random, 9);
            let canary = program.canary.filter(|(canary, _)| *canary == service.name);
            for replica in 0..service.replicas {
                let address = format!("10.{}.{}.{}", 42 + random.below(2), random.below(256), 2 + random.below(250));
                let version = canary.filter(|_| replica == 0).map(|(_, version)| version);
                let place = Place { namespace, cluster: name, replica_set: &replica_set };
                let resource = resource(service, version.unwrap_or(service.version), &place, random);
                all.push(Process {
                    service: number,
                    cluster,
                    is_canary: version.is_some(),
                    address,
                    resource,
                    schema_url: schema_url(service.conventions),
                });
            }
        }
    }
    all
}

/// Where a pod runs.
struct Place<'a> {
    namespace: &'static str,
    cluster: &'static str,
    replica_set: &'a str,
}

fn resource(service: &Service, version: &'static str, place: &Place<'_>, random: &mut Random) -> Attributes {
    let node = format!("ip-10-0-{}-{}.eu-central-1.compute.internal", random.below(64), random.below(256));
    let environment = match service.conventions {
        Conventions::Old => "deployment.environment",
        Conventions::New => "deployment.environment.name",
    };
    let (language, sdk) = sdk(service);
    vec![
        ("service.name", service.name.into()),
        ("service.version", version.into()),
        ("service.instance.id", uuid(random).into()),
        (environment, "production".into()),
        ("host.name", node.clone().into()),
        ("k8s.cluster.name", place.cluster.into()),
        ("k8s.namespace.name", place.namespace.into()),
        ("k8s.deployment.name", service.name.into()),
        ("k8s.pod.name", format!("{}-{}-{}", service.name, place.replica_set, letters(random, 5)).into()),
        ("k8s.node.name", node.into()),
        ("process.pid", (1 + random.below(40) as i64).into()),
        ("telemetry.sdk.language", language.into()),
        ("telemetry.sdk.name", "opentelemetry".into()),
        ("telemetry.sdk.version", sdk.into()),
    ]
}

/// A random UUID, version 4.
pub fn uuid(random: &mut Random) -> String {
    let (a, b) = (random.bits(), random.bits());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        0x8000 | b >> 48 & 0x3fff,
        b & 0xffff_ffff_ffff
    )
}

/// Characters as Kubernetes uses them in generated names.
fn letters(random: &mut Random, count: usize) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    (0..count).filter_map(|_| random.pick(ALPHABET).map(|&byte| char::from(byte))).collect()
}

const fn schema_url(conventions: Conventions) -> &'static str {
    match conventions {
        Conventions::Old => "https://opentelemetry.io/schemas/1.12.0",
        Conventions::New => "https://opentelemetry.io/schemas/1.40.0",
    }
}

const fn sdk(service: &Service) -> (&'static str, &'static str) {
    use Conventions::{New, Old};
    match (service.language, service.conventions) {
        (Language::Go, Old) => ("go", "1.10.0"),
        (Language::Go, New) => ("go", "1.38.0"),
        (Language::Java, Old) => ("java", "1.19.0"),
        (Language::Java, New) => ("java", "1.54.1"),
        (Language::Python, Old) => ("python", "1.13.0"),
        (Language::Python, New) => ("python", "1.38.0"),
        (Language::Node, Old) => ("nodejs", "1.7.0"),
        (Language::Node, New) => ("nodejs", "2.1.0"),
        (Language::Cpp, Old) => ("cpp", "1.8.0"),
        (Language::Cpp, New) => ("cpp", "1.23.0"),
    }
}

/// The instrumentation library that makes such a span in such a service.
pub fn scope(service: &Service, what: &What) -> Scope {
    if matches!(what, What::Plain(_)) {
        return Scope { name: service.name, version: service.version };
    }
    let (http, rpc, sql, redis, kafka) = libraries(service.language);
    let name = match what {
        What::Http(_) => http,
        What::Rpc(_) => rpc,
        What::Sql(_) => sql,
        What::Redis(_) => redis,
        What::Message(_) | What::Plain(_) => kafka,
    };
    Scope { name, version: library_version(service) }
}

type Names = (&'static str, &'static str, &'static str, &'static str, &'static str);

const fn libraries(language: Language) -> Names {
    match language {
        Language::Go => (
            "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp",
            "go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc",
            "github.com/XSAM/otelsql",
            "github.com/redis/go-redis/extra/redisotel",
            "github.com/dnwe/otelsarama",
        ),
        Language::Java => (
            "io.opentelemetry.http-client",
            "io.opentelemetry.grpc-1.6",
            "io.opentelemetry.jdbc",
            "io.opentelemetry.lettuce-5.1",
            "io.opentelemetry.kafka-clients-0.11",
        ),
        Language::Python => (
            "opentelemetry.instrumentation.fastapi",
            "opentelemetry.instrumentation.grpc",
            "opentelemetry.instrumentation.psycopg",
            "opentelemetry.instrumentation.redis",
            "opentelemetry.instrumentation.confluent_kafka",
        ),
        Language::Node => (
            "@opentelemetry/instrumentation-http",
            "@opentelemetry/instrumentation-grpc",
            "@opentelemetry/instrumentation-pg",
            "@opentelemetry/instrumentation-redis",
            "@opentelemetry/instrumentation-kafkajs",
        ),
        Language::Cpp => ("proxy.http", "proxy.grpc", "proxy.sql", "proxy.redis", "proxy.kafka"),
    }
}

const fn library_version(service: &Service) -> &'static str {
    use Conventions::{New, Old};
    match (service.language, service.conventions) {
        (Language::Go, Old) => "0.36.0",
        (Language::Go, New) => "0.63.0",
        (Language::Java, Old) => "1.19.0-alpha",
        (Language::Java, New) => "2.20.1-alpha",
        (Language::Python, Old) => "0.34b0",
        (Language::Python, New) => "0.59b0",
        (Language::Node, Old) => "0.33.0",
        (Language::Node, New) => "0.205.0",
        (Language::Cpp, Old) => "1.22.0",
        (Language::Cpp, New) => "1.35.0",
    }
}
