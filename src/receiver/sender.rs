//! A load sender that accounts for every span: what was sent, acknowledged, rejected, refused, and what nobody knows about.
//!
//! Batches come from the caller's thread, at a given rate or as fast as they are taken; connections on a thread of its own
//! send one at a time each. Like an exporter it sends again what it is asked to send again; unlike one it drops nothing
//! before it has to end. So `spans_acknowledged` is what a receiver has answered for: it must be found there.

use super::client::{Answer, Client, ClientOptions, Endpoint, Parcel, Signal};
use super::log::Log;
use super::moment::Clock;
use super::pauses::Pauses;
use super::respond::Encoding;
use crate::stats::histogram::{Histogram, ONE, bin_of};
use crate::stats::quantile::quantile;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Batches that wait for each connection: enough that none is idle.
const AHEAD: usize = 2;
/// Spans of a batch, about: what OpenTelemetry's batch processors send at most.
const BATCH_SPANS: f64 = 512.0;
/// Batches a second at least, if there is a trace for each: so that slow traffic flows.
const LEAST_BATCHES: f64 = 5.0;
/// Requests of one batch at most.
const MOST_REQUESTS: f64 = 10_000.0;
/// How long the end may take: what is on its way is answered, or given up.
const GRACE: Duration = Duration::from_secs(5);
/// How often somebody looks whether it is time to stop.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What to send, where and how fast.
#[derive(Clone)]
pub struct SendOptions {
    /// Where.
    pub endpoint: Endpoint,
    /// How.
    pub client: ClientOptions,
    /// The form of the bodies.
    pub encoding: Encoding,
    /// How many connections send at a time.
    pub connections: usize,
    /// Traces a second; 0 for as many as are taken.
    pub rate: u64,
    /// When to end, from the beginning on.
    pub time: Option<Duration>,
    /// After how many traces to end.
    pub traces: Option<u64>,
    /// Where trouble is told.
    pub log: Log,
}

/// Some traces in one body.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The body.
    pub body: Vec<u8>,
    /// Its spans; one without any is not sent.
    pub spans: u64,
    /// Its traces.
    pub traces: u64,
}

/// What became of it all. Every span that was sent is in exactly one of the four counts behind it.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Summary {
    /// Traces in the requests that were sent.
    pub traces_sent: u64,
    /// Spans in them.
    pub spans_sent: u64,
    /// Spans that the receiver has answered for.
    pub spans_acknowledged: u64,
    /// Spans that it rejected out of requests it took (partial success).
    pub spans_rejected: u64,
    /// Spans in requests that it refused for good.
    pub spans_refused: u64,
    /// Spans in requests that were given up at the end without an answer. It may have some of them.
    pub spans_unanswered: u64,
    /// Requests that were sent, each counted once.
    pub requests_sent: u64,
    /// Requests that it took.
    pub requests_acknowledged: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Attempts that had no answer: what was in them may have been taken twice.
    pub answers_lost: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Spans acknowledged a second.
    pub spans_per_second: f64,
    /// Time from sending to acknowledgement in milliseconds: the median.
    pub answer_p50_ms: f64,
    /// The 99th percentile.
    pub answer_p99_ms: f64,
    /// The longest.
    pub answer_max_ms: f64,
    /// The last thing that went wrong; empty for nothing.
    pub last_error: String,
}

impl Summary {
    /// Whether the receiver has answered for every span.
    pub const fn is_complete(&self) -> bool {
        self.spans_acknowledged == self.spans_sent
    }
}

#[derive(Default)]
struct Tally {
    summary: Summary,
    times: Histogram,
    longest_ns: u64,
}

struct Shared {
    tally: Mutex<Tally>,
    /// No more is tried.
    over: AtomicBool,
    clock: Clock,
    log: Log,
}

impl Shared {
    fn count(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A batch on its way to a connection.
struct Sending {
    parcel: Parcel,
    spans: u64,
}

/// Sends until the time is over, the traces are sent or `stop` is set. `source` is asked for so many traces as of a point in
/// time, nanoseconds since 1970.
///
/// # Errors
/// When the certificates or the token cannot be used, or the system refuses a thread.
pub fn send(
    options: &SendOptions,
    source: &mut dyn FnMut(u32, u64) -> Batch,
    stop: &AtomicBool,
) -> io::Result<Summary> {
    let clients: Result<Vec<_>, _> =
        (0..options.connections.max(1)).map(|_| Client::new(options.endpoint.clone(), &options.client)).collect();
    let clients = clients.map_err(io::Error::other)?;
    let packer = Client::new(options.endpoint.clone(), &options.client).map_err(io::Error::other)?;
    let shared = Arc::new(Shared {
        tally: Mutex::default(),
        over: AtomicBool::new(false),
        clock: Clock::start(),
        log: options.log.clone(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (sender, receiver) = mpsc::channel(clients.len() * AHEAD);
    let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
    let work = Arc::clone(&shared);
    let thread = std::thread::Builder::new().name("spandiff-send".to_owned()).spawn(move || {
        runtime.block_on(async {
            let workers: Vec<_> = clients
                .into_iter()
                .map(|client| tokio::spawn(worker(client, Arc::clone(&receiver), Arc::clone(&work))))
                .collect();
            for worker in workers {
                let _ = worker.await;
            }
        });
        runtime.shutdown_background();
    })?;
    let mut producer = Producer { options, packer, sender, handle, shared: &shared, stop };
    producer.run(source);
    drop(producer);
    let ends_ns = shared.clock.now().steady_ns + GRACE.as_nanos() as u64;
    while !thread.is_finished() && shared.clock.now().steady_ns < ends_ns {
        std::thread::sleep(LOOK_EVERY.min(Duration::from_millis(1)));
    }
    // Who still waits for an answer is left alone with it.
    shared.over.store(true, Ordering::Release);
    Ok(summary(&shared))
}

fn summary(shared: &Shared) -> Summary {
    let mut tally = shared.tally.lock().unwrap_or_else(PoisonError::into_inner);
    let ms = |ns: f64| (ns / 1e3).round() / 1e3;
    tally.times.seal();
    let at = |q| quantile(&tally.times, q).map_or(0.0, |ns| ms(ns.min(tally.longest_ns as f64)));
    let (p50, p99) = (at(0.5), at(0.99));
    let mut summary = tally.summary.clone();
    let known = summary.spans_acknowledged + summary.spans_rejected + summary.spans_refused;
    summary.spans_unanswered = summary.spans_sent.saturating_sub(known);
    summary.seconds = ms(shared.clock.now().steady_ns as f64 / 1e3);
    summary.spans_per_second = (summary.spans_acknowledged as f64 / summary.seconds.max(1e-3)).round();
    (summary.answer_p50_ms, summary.answer_p99_ms) = (p50, p99);
    summary.answer_max_ms = ms(tally.longest_ns as f64);
    summary
}

struct Producer<'a> {
    options: &'a SendOptions,
    packer: Client,
    sender: mpsc::Sender<Sending>,
    handle: Handle,
    shared: &'a Shared,
    stop: &'a AtomicBool,
}

impl Producer<'_> {
    fn run(&mut self, source: &mut dyn FnMut(u32, u64) -> Batch) {
        let began_ns = self.shared.clock.now().steady_ns;
        let rate = self.options.rate as f64;
        // One trace at first, because nobody knows how many spans a trace has.
        let (mut asked, mut traces, mut spans) = (1, 0u64, 0u64);
        loop {
            if let Some(most) = self.options.traces {
                asked = asked.min(u32::try_from(most - traces).unwrap_or(u32::MAX));
            }
            let due = if rate > 0.0 { (traces + u64::from(asked)) as f64 / rate } else { 0.0 };
            if asked == 0 || !self.wait_until(began_ns, due) {
                return;
            }
            let batch = source(asked, self.shared.clock.now().unix_ns);
            traces += u64::from(asked);
            spans += batch.spans;
            if batch.spans > 0 && !self.hand_on(batch, began_ns) {
                return;
            }
            let fits = BATCH_SPANS * traces as f64 / spans.max(1) as f64;
            let in_time = if rate > 0.0 { rate / LEAST_BATCHES } else { MOST_REQUESTS };
            // Twice as many at most: the first few traces may be small ones.
            let grown = f64::from(asked) * 2.0;
            asked = fits.min(in_time).min(grown).clamp(1.0, MOST_REQUESTS) as u32;
        }
    }

    /// Whether it is time to end.
    fn is_over(&self, began_ns: u64) -> bool {
        let passed = Duration::from_nanos(self.shared.clock.now().steady_ns.saturating_sub(began_ns));
        self.stop.load(Ordering::Acquire) || self.options.time.is_some_and(|time| passed >= time)
    }

    /// Waits until so many seconds after the beginning; false when it is time to end before.
    fn wait_until(&self, began_ns: u64, due: f64) -> bool {
        loop {
            if self.is_over(began_ns) {
                return false;
            }
            let passed = self.shared.clock.now().steady_ns.saturating_sub(began_ns) as f64 / 1e9;
            if passed >= due {
                return true;
            }
            std::thread::sleep(LOOK_EVERY.min(Duration::from_secs_f64((due - passed).min(1.0))));
        }
    }

    /// Hands a batch to the connections, once they have room; false when it is time to end before.
    fn hand_on(&self, batch: Batch, began_ns: u64) -> bool {
        let Batch { body, spans, traces } = batch;
        let parcel = self.packer.pack(Signal::Traces, self.options.encoding, body.into());
        let room = loop {
            match self.handle.block_on(async { tokio::time::timeout(LOOK_EVERY, self.sender.reserve()).await }) {
                Ok(Ok(room)) => break room,
                Ok(Err(_)) => return false,
                Err(_) if self.is_over(began_ns) => return false,
                Err(_) => {}
            }
        };
        self.shared.count(|tally| {
            tally.summary.requests_sent += 1;
            tally.summary.traces_sent += traces;
            tally.summary.spans_sent += spans;
        });
        room.send(Sending { parcel, spans });
        true
    }
}

async fn worker(mut client: Client, batches: Arc<tokio::sync::Mutex<mpsc::Receiver<Sending>>>, shared: Arc<Shared>) {
    let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        let batch = batches.lock().await.recv().await;
        let Some(batch) = batch else { return };
        deliver(&mut client, &batch, &shared, &mut pauses).await;
    }
}

/// Sends a batch until it is answered for, and counts what came of it.
async fn deliver(client: &mut Client, batch: &Sending, shared: &Shared, pauses: &mut Pauses) {
    let spans = batch.spans;
    let mut first = true;
    loop {
        if shared.over.load(Ordering::Acquire) {
            return;
        }
        if !std::mem::take(&mut first) {
            shared.count(|tally| tally.summary.retries += 1);
        }
        let began_ns = shared.clock.now().steady_ns;
        let answer = client.send(&batch.parcel).await;
        let took_ns = shared.clock.now().steady_ns.saturating_sub(began_ns);
        let (after, why, lost) = match answer {
            Answer::Accepted { rejected, message } => {
                pauses.reset();
                return shared.count(|tally| accept(tally, spans, rejected.min(spans), message, took_ns));
            }
            Answer::Refused { why } => {
                shared.log.say("refused", || format!("a request was refused: {why}"));
                return shared.count(|tally| {
                    tally.summary.spans_refused += spans;
                    tally.summary.last_error = why;
                });
            }
            Answer::Retry { after, why } => (after, why, 0),
            Answer::Lost { why } => (None, why, 1),
        };
        shared.log.say("retry", || format!("a request is sent again: {why}"));
        shared.count(|tally| {
            tally.summary.answers_lost += lost;
            tally.summary.last_error = why;
        });
        pause(shared, pauses.next(after)).await;
    }
}

fn accept(tally: &mut Tally, spans: u64, rejected: u64, message: String, took_ns: u64) {
    tally.summary.requests_acknowledged += 1;
    tally.summary.spans_acknowledged += spans - rejected;
    tally.summary.spans_rejected += rejected;
    if !message.is_empty() {
        tally.summary.last_error = message;
    }
    tally.times.add(0, bin_of(took_ns), ONE);
    tally.longest_ns = tally.longest_ns.max(took_ns);
}

/// Waits, but not beyond the end.
async fn pause(shared: &Shared, pause: Duration) {
    let ends_ns = shared.clock.now().steady_ns + pause.as_nanos() as u64;
    while !shared.over.load(Ordering::Acquire) {
        let left = ends_ns.saturating_sub(shared.clock.now().steady_ns);
        if left == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_nanos(left).min(LOOK_EVERY)).await;
    }
}
