//! The receiver's own counters as OTLP metrics, sent once a minute to an endpoint that was named.
//!
//! Never about itself: an endpoint that is one of the receiver's own listeners is refused, before the first export and
//! before each, since names come to mean other addresses. An export that fails is counted and told, and not tried again:
//! sums are cumulative, so the next one says all that it would have said. Nothing here keeps the receiver from ending.

use super::client::{Answer, Client, ClientOptions, Endpoint, Signal};
use super::counters::Counters;
use super::log::Log;
use super::moment::Clock;
use super::respond::Encoding;
use crate::model::wire::Writer;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What the service is called when nobody gives it a name.
const SERVICE: &str = "spandiff-receiver";
/// How long the last export may take: stopping has five seconds for everything.
const LAST_WITHIN: Duration = Duration::from_secs(1);
/// Attributes of the resource that are taken from the environment, and bytes of each part of one.
const ATTRIBUTES: usize = 64;
const ATTRIBUTE_BYTES: usize = 4096;
/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u64 = 2;

/// Where the numbers go.
#[derive(Clone)]
pub struct TelemetryOptions {
    /// The endpoint, over HTTP or gRPC.
    pub endpoint: Endpoint,
    /// How it is spoken with.
    pub client: ClientOptions,
    /// Attributes of the resource, as [`resource`] makes them.
    pub resource: Vec<(String, String)>,
    /// Time between two exports; 60 s is what SDKs take.
    pub every: Duration,
    /// Where this receiver listens.
    pub listeners: Vec<SocketAddr>,
    /// Where words go.
    pub log: Log,
}

/// Attributes of the resource: `name` is `OTEL_SERVICE_NAME`, `attributes` are `OTEL_RESOURCE_ATTRIBUTES` (`k=v,k=v`,
/// percent-encoded). Name goes before attributes, both before what we are by ourselves. What cannot be understood of the
/// attributes is left out.
pub fn resource(name: Option<&str>, attributes: Option<&str>) -> Vec<(String, String)> {
    let mut resource: Vec<(String, String)> = Vec::new();
    let mut add = |key: &str, value: &str| {
        if !key.is_empty() && !value.is_empty() && !resource.iter().any(|(known, _)| known == key) {
            resource.push((key.to_owned(), value.to_owned()));
        }
    };
    add("service.name", name.unwrap_or_default());
    for pair in attributes.unwrap_or_default().split(',').take(ATTRIBUTES) {
        if let Some((key, value)) = pair.split_once('=')
            && let (Some(key), Some(value)) = (decoded(key.trim()), decoded(value.trim()))
        {
            add(&key, &value);
        }
    }
    add("service.name", SERVICE);
    add("service.version", env!("CARGO_PKG_VERSION"));
    resource
}

fn decoded(text: &str) -> Option<String> {
    let digit = |byte: &u8| (*byte as char).to_digit(16).map(|digit| digit as u8);
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first == b'%' {
            let [high, low, behind @ ..] = behind else { return None };
            bytes.push(digit(high)? << 4 | digit(low)?);
            rest = behind;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok().filter(|text| text.len() <= ATTRIBUTE_BYTES)
}

/// An `ExportMetricsServiceRequest` with all counters: sums since `start_unix_ns`, and gauges, at `now_unix_ns`.
pub fn export(counters: &Counters, resource: &[(String, String)], start_unix_ns: u64, now_unix_ns: u64) -> Vec<u8> {
    let mut out = Writer::new();
    let metrics = out.begin(1);
    let described = out.begin(1);
    for (key, value) in resource {
        let attribute = out.begin(1);
        out.bytes_field(1, key.as_bytes());
        let any = out.begin(2);
        out.bytes_field(1, value.as_bytes());
        out.end(any);
        out.end(attribute);
    }
    out.end(described);
    let scoped = out.begin(2);
    let scope = out.begin(1);
    out.bytes_field(1, b"spandiff.receiver");
    out.bytes_field(2, env!("CARGO_PKG_VERSION").as_bytes());
    out.end(scope);
    for (name, kind, help, value) in counters.all() {
        let metric = out.begin(2);
        out.bytes_field(1, format!("spandiff.receiver.{name}").as_bytes());
        out.bytes_field(2, help.trim().as_bytes());
        out.bytes_field(3, unit(name).as_bytes());
        let is_sum = kind == "counter";
        let data = out.begin(if is_sum { 7 } else { 5 });
        let point = out.begin(1);
        if is_sum {
            out.fixed64(2, start_unix_ns);
        }
        out.fixed64(3, now_unix_ns);
        // A count beyond 2⁶³ would turn negative; none gets there.
        out.fixed64(6, value.min(i64::MAX as u64));
        out.end(point);
        if is_sum {
            out.varint(2, CUMULATIVE);
            out.varint(3, 1);
        }
        out.end(data);
        out.end(metric);
    }
    out.end(scoped);
    out.end(metrics);
    out.into_bytes()
}

/// The unit in UCUM: bytes, or the things that are counted.
fn unit(name: &str) -> &'static str {
    let of = |word: &str| name.split('_').any(|part| part == word);
    match () {
        () if of("bytes") => "By",
        () if of("spans") => "{span}",
        () if of("traces") => "{trace}",
        () if of("requests") => "{request}",
        () => "1",
    }
}

/// Whether one of these addresses is a listener of this receiver. `is_local` says whether an address is one of this
/// machine, which a listener on all addresses takes in.
fn is_own(addresses: &[SocketAddr], listeners: &[SocketAddr], is_local: impl Fn(IpAddr) -> bool) -> bool {
    addresses.iter().any(|address| {
        listeners.iter().any(|listener| {
            let (to, at) = (address.ip().to_canonical(), listener.ip().to_canonical());
            let same = to == at
                || (at.is_unspecified() && (to.is_unspecified() || is_local(to)))
                || (to.is_unspecified() && at.is_loopback());
            address.port() == listener.port() && same
        })
    })
}

/// Whether an address is one of this machine: only such a one can be bound.
fn is_of_this_machine(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

/// Says why an endpoint may not be sent to: it is this receiver itself. A name that means nothing now is no reason.
///
/// # Errors
/// One lower-case sentence.
pub async fn check(endpoint: &Endpoint, listeners: &[SocketAddr]) -> Result<(), String> {
    let found = tokio::net::lookup_host(endpoint.address()).await;
    let addresses: Vec<SocketAddr> = found.map_or_else(|_| Vec::new(), Iterator::collect);
    if is_own(&addresses, listeners, is_of_this_machine) {
        return Err(format!("{endpoint} is this receiver itself"));
    }
    Ok(())
}

/// Sends the numbers until `stop` says so, then once more.
///
/// # Errors
/// When the client cannot be made, in words.
pub async fn run(
    options: TelemetryOptions,
    counters: Arc<Counters>,
    clock: Clock,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let start_unix_ns = clock.now().unix_ns;
    let mut client = Client::new(options.endpoint.clone(), &options.client)?;
    loop {
        // Who is told to stop sends what there is at once.
        let stops = tokio::time::timeout(options.every, stop.wait_for(|&stop| stop)).await.is_ok();
        let body = export(&counters, &options.resource, start_unix_ns, clock.now().unix_ns);
        let sent = send(&mut client, &options, body);
        let sent = if stops { tokio::time::timeout(LAST_WITHIN, sent).await } else { Ok(sent.await) };
        let failed = sent.unwrap_or_else(|_| Err("no answer in time".to_owned())).err();
        if let Some(why) = failed {
            counters.telemetry_failures.add(1);
            options.log.say("telemetry", || format!("own telemetry was not sent to {}: {why}", options.endpoint));
        }
        if stops {
            return Ok(());
        }
    }
}

async fn send(client: &mut Client, options: &TelemetryOptions, body: Vec<u8>) -> Result<(), String> {
    check(&options.endpoint, &options.listeners).await?;
    let parcel = client.pack(Signal::Metrics, Encoding::Proto, body.into());
    match client.send(&parcel).await {
        Answer::Accepted { rejected: 0, .. } => Ok(()),
        Answer::Accepted { rejected, message } => Err(format!("{rejected} numbers were rejected: {message}")),
        Answer::Retry { why, .. } | Answer::Refused { why } | Answer::Lost { why } => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resource_is_what_the_environment_says() {
        let of = |name, attributes| {
            let pairs = resource(name, attributes);
            pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
        };
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(of(None, None), format!("service.name=spandiff-receiver service.version={version}"));
        assert_eq!(
            of(Some("side"), Some("service.name=other, k8s.pod.name=a%2Cb ,bad,=x,y=,z=%zz,service.version=9")),
            "service.name=side k8s.pod.name=a,b service.version=9"
        );
        assert_eq!(of(Some(""), Some("service.name=other")), format!("service.name=other service.version={version}"));
    }

    #[test]
    fn the_receiver_recognises_itself() {
        let addresses = |text: &str| text.split(' ').map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let local = |ip: IpAddr| ip.is_loopback() || ip.to_string() == "10.0.0.7";
        let own = |to: &str, at: &str| is_own(&addresses(to), &addresses(at), local);
        assert!(own("127.0.0.1:4318", "127.0.0.1:4317 127.0.0.1:4318"));
        assert!(own("[::1]:4318 127.0.0.1:4318", "127.0.0.1:4318"));
        assert!(own("[::ffff:127.0.0.1]:4318", "127.0.0.1:4318"));
        assert!(own("10.0.0.7:4318", "0.0.0.0:4318"));
        assert!(own("10.0.0.7:4318", "[::]:4318"));
        assert!(own("0.0.0.0:4318", "127.0.0.1:4318"));
        assert!(!own("10.0.0.8:4318", "0.0.0.0:4318"));
        assert!(!own("127.0.0.1:4320", "127.0.0.1:4318"));
        assert!(!own("127.0.0.1:4318", "10.0.0.7:4318"));
    }

    #[test]
    fn units_are_told_by_names() {
        assert_eq!(["capture_bytes", "spans_late", "panics"].map(unit), ["By", "{span}", "1"]);
    }
}
