//! Options of the generator.
#![cfg_attr(
    feature = "receiver",
    expect(missing_docs, reason = "the doc comments are the help texts, shown as they stand")
)]

#[cfg(feature = "receiver")]
use super::values::parse_long_time;
use clap::Args;
#[cfg(feature = "receiver")]
use std::path::PathBuf;

/// What is generated.
#[derive(Clone, Debug, Args)]
pub struct GenerateArgs {
    /// List the systems and the changes
    #[arg(long)]
    pub list: bool,
    /// The system that is simulated
    #[arg(long, value_name = "NAME", default_value = "ride")]
    pub system: String,
    /// What changes on the after side
    #[arg(long, value_name = "NAME", default_value = "slow-leaf")]
    pub change: String,
    /// Determines everything random: same seed, same bytes [default: 1; with --otlp another every time]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Requests on each side [default: 1]; with --otlp after how many to end
    #[arg(long, value_name = "N")]
    pub traces: Option<u32>,
    /// Requests on the after side, if they are not as many
    #[arg(long, value_name = "N")]
    pub traces_after: Option<u32>,
    /// How long each side lasts, in seconds [default: four requests a second]
    #[arg(long, value_name = "SECONDS", default_value_t = 0, hide_default_value = true)]
    pub window: u32,
    /// How far a piece of work strays from its usual time, as a share of it
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    pub jitter: f64,
    /// How durations vary: uniform, or lognormal with slow requests and a slow run now and then
    #[arg(long, value_name = "KIND", default_value = "uniform")]
    pub noise: String,
    /// Deviation between the two windows of every operation's work though nothing changed, as a share
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub drift: f64,
    /// Deviation between the pods of a service, as a share
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub replica_spread: f64,
    /// Share of the traces that are kept, with the threshold in their trace state
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    pub sampling: f64,
    /// Form of the two sides: otlp-json, otlp-proto or otlp-proto-framed [default: otlp-json]; with --otlp form of the
    /// summary, text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    #[cfg(feature = "receiver")]
    #[command(flatten)]
    pub live: LiveArgs,
}

/// Traffic of now for an OTLP endpoint.
#[cfg(feature = "receiver")]
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Load")]
pub struct LiveArgs {
    /// Send one side to an OTLP endpoint as if it happened now, and count what is acknowledged: grpc://HOST:PORT or
    /// http://HOST:PORT (grpcs, https for TLS)
    #[arg(long, value_name = "URL")]
    pub otlp: Option<String>,
    /// Traces a second; 0 for as many as are taken [default: 10]
    #[arg(long, value_name = "N", requires = "otlp")]
    pub rate: Option<u64>,
    /// How long to send [default: until ^C, or --traces]
    #[arg(long = "for", value_name = "TIME", value_parser = parse_long_time, requires = "otlp")]
    pub time: Option<u64>,
    /// Which side: before or after [default: before]
    #[arg(long, value_name = "SIDE", value_parser = ["before", "after"], requires = "otlp")]
    pub side: Option<String>,
    /// Form of the requests: proto, or json over HTTP [default: proto]
    #[arg(long, value_name = "FORM", value_parser = ["proto", "json"], requires = "otlp")]
    pub encoding: Option<String>,
    /// How they are compressed [default: none]
    #[arg(long, value_name = "CODEC", value_parser = ["none", "gzip", "zstd"], requires = "otlp")]
    pub compression: Option<String>,
    /// Connections that send at a time [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000), requires = "otlp")]
    pub connections: Option<u16>,
    /// File with a token that goes along as `authorization: Bearer …`
    #[arg(long, value_name = "FILE", requires = "otlp")]
    pub token_file: Option<PathBuf>,
    /// Certificates of the authorities to trust, PEM [default: the system's]
    #[arg(long, value_name = "FILE", requires = "otlp")]
    pub authorities: Option<PathBuf>,
}
