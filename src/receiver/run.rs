//! A receiver from its first socket to its last answer.

use super::admin::Phase;
use super::admission::Admission;
use super::counters::Counters;
use super::engine::{Inbox, Queue};
use super::forward::ForwardInbox;
use super::moment::Clock;
use super::options::Options;
use super::request::Service;
use super::serve::{Handler, Listener, Server};
use super::telemetry::{self, TelemetryOptions};
use super::tls;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Connections of the admin port at a time.
const ADMIN_CONNECTIONS: u32 = 64;
/// Threads that read and write sockets, at most: the engine needs a core too.
const MOST_THREADS: usize = 4;
/// Threads that decompress, at most.
const MOST_INFLATING: usize = 16;

/// The share of the time for stopping in which requests may still be answered; the rest is for windows and files.
const ANSWERING_SHARE: (u32, u32) = (3, 5);

/// Why a receiver could not begin.
#[derive(Debug)]
pub enum StartError {
    /// An address cannot be listened on.
    Listen {
        /// The option that names it.
        option: &'static str,
        /// The address or path.
        place: String,
        /// What the system says.
        error: io::Error,
    },
    /// TLS cannot be spoken with these files.
    Tls(String),
    /// The system refuses threads or signals.
    System(io::Error),
}

/// Sockets that are bound.
#[derive(Debug, Default)]
pub struct Sockets {
    grpc: Option<Listener>,
    http: Option<Listener>,
    admin: Option<Listener>,
    unix: Option<Listener>,
}

impl Sockets {
    /// Binds all that are wanted, or none.
    pub fn bind(options: &Options) -> Result<Sockets, StartError> {
        let tcp = |option, address: Option<SocketAddr>| match address {
            None => Ok(None),
            Some(address) => Listener::tcp(address).map(Some).map_err(|error| StartError::Listen {
                option,
                place: address.to_string(),
                error,
            }),
        };
        let unix = options.unix_socket.as_ref().map(|path| {
            Listener::unix(path).map_err(|error| StartError::Listen {
                option: "--unix-socket",
                place: path.display().to_string(),
                error,
            })
        });
        Ok(Sockets {
            grpc: tcp("--grpc-listen", options.grpc)?,
            http: tcp("--http-listen", options.http)?,
            admin: tcp("--admin-listen", options.admin)?,
            unix: unix.transpose()?,
        })
    }

    /// Where they listen: gRPC, HTTP, admin.
    pub fn addresses(&self) -> [(&'static str, Option<SocketAddr>); 3] {
        let of = |listener: &Option<Listener>| listener.as_ref().and_then(Listener::address);
        [("grpc", of(&self.grpc)), ("http", of(&self.http)), ("admin", of(&self.admin))]
    }
}

/// What a receiver is made of.
pub struct Parts {
    /// Its sockets.
    pub sockets: Sockets,
    /// Where counts go.
    pub counters: Arc<Counters>,
    /// Where requests are handed in.
    pub inbox: Inbox,
    /// The queue behind it.
    pub queue: Queue,
    /// Runs the engine on the queue until it is stopped.
    pub engine: Box<dyn FnOnce(&Queue) + Send>,
    /// Answers on the admin port.
    pub admin: Handler,
    /// Where requests are passed on to, if they are.
    pub forward: Option<ForwardInbox>,
    /// Where its own numbers are sent, if they are.
    pub telemetry: Option<TelemetryOptions>,
    /// Where it is said what the receiver is doing.
    pub phase: watch::Sender<Phase>,
}

/// How a receiver ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All that was acknowledged is where it belongs.
    Drained,
    /// The time for stopping was over, or a second signal came: what was not written is lost.
    Cut,
}

/// Runs a receiver until it gets SIGTERM or SIGINT, and drains it. `ready` is called when it listens.
///
/// # Errors
/// When it cannot begin.
pub fn run(options: &Options, parts: Parts, ready: impl FnOnce()) -> Result<End, StartError> {
    let Parts { sockets, counters, inbox, queue, engine, admin, forward, telemetry, phase } = parts;
    let tls = options.tls.as_ref().map(tls::acceptor).transpose().map_err(StartError::Tls)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(MOST_INFLATING)
        .thread_name("spandiff-io")
        .enable_all()
        .build()
        .map_err(StartError::System)?;
    let (done, ended) = channel::<()>();
    std::thread::Builder::new()
        .name("spandiff-engine".to_owned())
        .spawn(move || {
            engine(&queue);
            drop(done);
        })
        .map_err(StartError::System)?;
    let clock = Clock::start();
    let admission = Admission::new(options.most_requests, options.request_budget(), Arc::clone(&counters));
    let service = Arc::new(Service {
        admission: Arc::clone(&admission),
        inbox: inbox.clone(),
        counters: Arc::clone(&counters),
        log: options.log.clone(),
        token: options.token.clone(),
        most_bytes: options.most_request_bytes,
        timeout: options.request_timeout,
        discards_others: options.discards_others,
        forward,
    });
    let otlp: Handler = Arc::new(move |request| Box::pin(Arc::clone(&service).answer(request)));
    let servers = Servers {
        otlp: Server::new(options.most_connections, tls.clone(), Arc::clone(&counters)),
        admin: Server::new(ADMIN_CONNECTIONS, tls, Arc::clone(&counters)),
    };
    let (end, told) = runtime.block_on(async {
        servers.open(sockets, &otlp, admin);
        tokio::spawn(watch_memory(Arc::clone(&admission), Arc::clone(&counters), options.most_memory_bytes));
        let (stop, stopped) = watch::channel(false);
        let telemetry = telemetry.map(|own| tokio::spawn(telemetry::run(own, counters, clock, stopped)));
        let signals = Signals::new().map_err(StartError::System)?;
        phase.send_replace(Phase::Listening);
        ready();
        let end = servers.until_told(signals, &admission, &phase, options.drain_timeout).await;
        stop.send_replace(true);
        if let Some(telemetry) = telemetry {
            // It bounds its last export itself; what it has to say it has said.
            let _ = telemetry.await;
        }
        Ok(end)
    })?;
    inbox.stop();
    let rest = options.drain_timeout.saturating_sub(told.elapsed());
    let end = match (end, ended.recv_timeout(rest)) {
        (End::Drained, Err(RecvTimeoutError::Disconnected) | Ok(())) => End::Drained,
        _ => End::Cut,
    };
    runtime.shutdown_background();
    Ok(end)
}

/// What tells the receiver to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
    }
}

struct Servers {
    otlp: Arc<Server>,
    admin: Arc<Server>,
}

impl Servers {
    /// Begins to accept connections.
    fn open(&self, sockets: Sockets, otlp: &Handler, admin: Handler) {
        for listener in [sockets.grpc, sockets.http, sockets.unix].into_iter().flatten() {
            tokio::spawn(Arc::clone(&self.otlp).accept(listener, Arc::clone(otlp)));
        }
        if let Some(listener) = sockets.admin {
            tokio::spawn(Arc::clone(&self.admin).accept(listener, admin));
        }
    }

    /// Waits until it is told to stop, then until all requests at hand are answered; also when it was told.
    async fn until_told(
        &self,
        mut signals: Signals,
        admission: &Admission,
        phase: &watch::Sender<Phase>,
        within: Duration,
    ) -> (End, Instant) {
        signals.next().await;
        let told = Instant::now();
        phase.send_replace(Phase::Draining);
        admission.drain();
        self.otlp.stop();
        let drained = tokio::select! {
            () = self.otlp.ended() => End::Drained,
            () = tokio::time::sleep(within * ANSWERING_SHARE.0 / ANSWERING_SHARE.1) => End::Cut,
            () = signals.next() => End::Cut,
        };
        self.admin.stop();
        (drained, told)
    }
}

/// Refuses requests while the process has more memory than it may.
async fn watch_memory(admission: Arc<Admission>, counters: Arc<Counters>, most: u64) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        let resident = resident_bytes().unwrap_or_default();
        counters.resident_bytes.set(resident);
        admission.set_full(resident > most);
    }
}

/// Bytes of memory that the process has, where the system says so.
fn resident_bytes() -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "Linux says it in a file")]
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}
