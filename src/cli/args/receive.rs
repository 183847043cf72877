//! Options of the receiver.

use super::values::{parse_long_time, parse_size};
use clap::Args;
use std::path::PathBuf;

macro_rules! receive_args {
    ($($(#[$meta:meta])+ $name:ident: $type:ty,)+) => {
        /// What is received, and what is done with it. The same names, with `_` for `-`, stand in `[receive]` of the
        /// configuration file.
        #[derive(Clone, Debug, Default, Args)]
        pub struct ReceiveArgs {
            $($(#[$meta])+ pub $name: Option<$type>,)+
        }

        impl ReceiveArgs {
            /// The names of all options.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name),)+];

            /// These options, and under them those of `file`.
            #[must_use]
            pub fn over(self, file: ReceiveArgs) -> ReceiveArgs {
                ReceiveArgs { $($name: self.$name.or(file.$name),)+ }
            }
        }
    };
}

receive_args! {
    /// Where to listen for OTLP/gRPC; off for nowhere. Either port takes either protocol [default: 127.0.0.1:4317]
    #[arg(long, value_name = "ADDRESS", env = "SPANDIFF_GRPC_LISTEN")]
    grpc_listen: String,
    /// Where to listen for OTLP/HTTP; off for nowhere [default: 127.0.0.1:4318]
    #[arg(long, value_name = "ADDRESS", env = "SPANDIFF_HTTP_LISTEN")]
    http_listen: String,
    /// Where to answer about health, metrics, differences and verdicts; off for nowhere [default: 127.0.0.1:4319]
    #[arg(long, value_name = "ADDRESS", env = "SPANDIFF_ADMIN_LISTEN")]
    admin_listen: String,
    /// Also listen on a Unix socket, for OTLP over both protocols
    #[arg(long, value_name = "PATH", env = "SPANDIFF_UNIX_SOCKET")]
    unix_socket: PathBuf,
    /// Keep all traces that are received in this directory, as the Collector's file exporter writes them
    #[arg(long, value_name = "DIR", env = "SPANDIFF_CAPTURE")]
    capture: PathBuf,
    /// When captured bytes are forced onto the disk: always (before a request is answered), interval (once a second) or
    /// never [default: interval]. Whatever it is, what was acknowledged outlives this process
    #[arg(long, value_name = "WHEN", value_parser = ["always", "interval", "never"], env = "SPANDIFF_FSYNC")]
    fsync: String,
    /// Begin a new file of the capture after so many bytes [default: 256MiB]
    #[arg(long, value_name = "SIZE", value_parser = size, env = "SPANDIFF_CAPTURE_FILE_SIZE")]
    capture_file_size: u64,
    /// Begin a new file of the capture after so much time [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = parse_long_time, env = "SPANDIFF_CAPTURE_FILE_AGE")]
    capture_file_age: u64,
    /// Remove the oldest files of the capture beyond so many bytes [default: keep all]
    #[arg(long, value_name = "SIZE", value_parser = size, env = "SPANDIFF_CAPTURE_KEEP")]
    capture_keep: u64,
    /// Fold and compare in windows of this length; off only receives [default: 60s]
    #[arg(long, value_name = "TIME", env = "SPANDIFF_WINDOW")]
    window: String,
    /// How long windows are kept [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = parse_long_time, env = "SPANDIFF_RETAIN")]
    retain: u64,
    /// Write every closed window as a profile into this directory, and take up from there after a restart
    #[arg(long, value_name = "DIR", env = "SPANDIFF_SNAPSHOTS")]
    snapshots: PathBuf,
    /// Divide traces by a resource attribute, KEY or SERVICE:KEY, such as checkout:service.version
    #[arg(long, value_name = "KEY", env = "SPANDIFF_COHORT_BY")]
    cohort_by: String,
    /// What windows are compared with: a profile (file or http URL), cohort:VALUE, or window:AGE such as window:7d
    /// [default: what came before the last mark]
    #[arg(long, value_name = "WHAT", env = "SPANDIFF_BASELINE")]
    baseline: String,
    /// How often a deployment is looked at in all, from its mark on, one look a window [default: not known]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100), env = "SPANDIFF_LOOKS")]
    looks: u32,
    /// Thresholds, rules and accepted changes [default: those of the configuration file]
    #[arg(long, value_name = "FILE", env = "SPANDIFF_POLICY")]
    policy: PathBuf,
    /// A trace is complete when nothing came for it for so long [default: 15s]
    #[arg(long, value_name = "TIME", value_parser = parse_long_time, env = "SPANDIFF_TRACE_IDLE")]
    trace_idle: u64,
    /// The same once its root has come: exporters send every 5 s [default: 7s]
    #[arg(long, value_name = "TIME", value_parser = parse_long_time, env = "SPANDIFF_ROOT_GRACE")]
    root_grace: u64,
    /// A trace is closed after so long whatever still comes [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = parse_long_time, env = "SPANDIFF_TRACE_LONGEST")]
    trace_longest: u64,
    /// Pass every request on to this OTLP endpoint: http://HOST:PORT, https://… or grpc://HOST:PORT
    #[arg(long, value_name = "URL", env = "SPANDIFF_FORWARD")]
    forward: String,
    /// Bytes of requests that wait to be passed on; beyond it the oldest are dropped and counted [default: 64MiB]
    #[arg(long, value_name = "SIZE", value_parser = size, env = "SPANDIFF_FORWARD_QUEUE")]
    forward_queue: u64,
    /// Largest request, as it comes and after decompression [default: 64MiB]
    #[arg(long, value_name = "SIZE", value_parser = size, env = "SPANDIFF_MAX_REQUEST_BYTES")]
    max_request_bytes: u64,
    /// Memory that requests, open traces and windows may take together [default: 512MiB]
    #[arg(long, value_name = "SIZE", value_parser = size, env = "SPANDIFF_MAX_MEMORY")]
    max_memory: u64,
    /// Requests that are worked on at the same time [default: 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), env = "SPANDIFF_MAX_REQUESTS")]
    max_requests: u32,
    /// Connections that are open at the same time [default: 1024]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), env = "SPANDIFF_MAX_CONNECTIONS")]
    max_connections: u32,
    /// A request must have come as a whole after so long [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_long_time, env = "SPANDIFF_REQUEST_TIMEOUT")]
    request_timeout: u64,
    /// What becomes of metrics, logs and profiles: discard (answered well, and counted) or refuse [default: discard]
    #[arg(long, value_name = "WHAT", value_parser = ["discard", "refuse"], env = "SPANDIFF_OTHER_SIGNALS")]
    other_signals: String,
    /// Certificate chain of this server, PEM; turns TLS on for OTLP and admin
    #[arg(long, value_name = "FILE", env = "SPANDIFF_TLS_CERT")]
    tls_cert: PathBuf,
    /// Private key of the certificate, PEM
    #[arg(long, value_name = "FILE", env = "SPANDIFF_TLS_KEY")]
    tls_key: PathBuf,
    /// Certificates of authorities, PEM: senders must show a certificate that one of them signed
    #[arg(long, value_name = "FILE", env = "SPANDIFF_CLIENT_CA")]
    client_ca: PathBuf,
    /// File with a token that every request must carry as `authorization: Bearer …`
    #[arg(long, value_name = "FILE", env = "SPANDIFF_TOKEN_FILE")]
    token_file: PathBuf,
    /// Web pages of this origin may ask the admin port, such as `https://grafana.example`
    #[arg(long, value_name = "ORIGIN", env = "SPANDIFF_ADMIN_ORIGIN")]
    admin_origin: String,
    /// Send metrics about the receiver itself to this OTLP/HTTP endpoint once a minute
    #[arg(long, value_name = "URL", env = "SPANDIFF_TELEMETRY")]
    telemetry: String,
    /// How long stopping may take: answer, close windows, write [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = parse_long_time, env = "SPANDIFF_DRAIN_TIMEOUT")]
    drain_timeout: u64,
}

fn size(text: &str) -> Result<u64, String> {
    parse_size(text).ok_or_else(|| format!("`{text}` is no size; examples: 64MiB, 1GiB"))
}
