//! Passing on: every request that was accepted goes to the next OTLP endpoint as well, as it came.
//!
//! A queue of bounded size stands between the receiver and the target, and a thread of its own works on it: whatever the
//! target does, nobody who sends to us waits for it. When the queue is full the oldest requests in it are dropped, which
//! is counted; a receiver that passes on is not a Collector with a queue on disk (the capture is what keeps).
//!
//! What may be tried again is tried again until it goes or the queue needs its room, with a pause that doubles and is
//! drawn at random, or as long as the target asks. Bodies keep their encoding. Only gRPC takes no JSON: traces are
//! written as protobuf for it, and other signals in JSON cannot be passed on, which is counted as well.

use super::client::{Answer, Client, ClientOptions, Endpoint, Protocol, Signal};
use super::counters::Counters;
use super::log::Log;
use super::pauses::Pauses;
use super::respond::Encoding;
use crate::ingest::{Batch, Context, ReadReport, Sink, json, otlp_proto};
use crate::model::{Limits, Symbols};
use bytes::Bytes;
use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// Requests on their way at a time, each over a connection of its own: enough for a target that takes its time.
const CONNECTIONS: usize = 4;
/// What a queued request takes beside its body.
const OVERHEAD_BYTES: u64 = 128;

/// A request that was tried so long is given up: it may be this one that the target cannot take, and others wait. The
/// Collector's exporters take as long.
const GIVE_UP_AFTER: Duration = Duration::from_secs(300);

/// Where and how to pass on.
#[derive(Clone)]
pub struct ForwardOptions {
    /// The target.
    pub endpoint: Endpoint,
    /// How requests are sent there.
    pub client: ClientOptions,
    /// Bytes of requests that wait, those on their way included.
    pub queue_bytes: u64,
    /// The pause after the first failure of a request; it doubles with each further one.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// Where is counted what went and what did not.
    pub counters: Arc<Counters>,
    /// Where words go.
    pub log: Log,
}

/// A request to be passed on.
#[derive(Clone, Debug)]
struct Item {
    signal: Signal,
    encoding: Encoding,
    body: Bytes,
}

impl Item {
    fn bytes(&self) -> u64 {
        self.body.len() as u64 + OVERHEAD_BYTES
    }
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Item>,
    /// Bytes of these.
    waiting_bytes: u64,
    /// How many are on their way.
    sending: u64,
    /// Bytes of these.
    sending_bytes: u64,
    /// No more come.
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    most_bytes: u64,
    counters: Arc<Counters>,
    log: Log,
    /// Something came, or the end has come.
    news: Notify,
    /// The queue is closed: pauses end.
    closing: Notify,
    /// Nothing is left of a closed queue.
    empty: Notify,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gauge(&self, queue: &Queue) {
        self.counters.forward_queue.set(queue.waiting.len() as u64 + queue.sending);
        self.counters.forward_queue_bytes.set(queue.waiting_bytes + queue.sending_bytes);
    }

    fn drop_counted(&self, count: u64, why: &str) {
        self.counters.forward_dropped.add(count);
        self.log.say("forward", || format!("{count} requests could not be passed on and were dropped: {why}"));
    }

    fn put(&self, item: Item) {
        let mut queue = self.queue();
        let (bytes, mut dropped) = (item.bytes(), 0);
        if queue.closed || queue.sending_bytes + bytes > self.most_bytes {
            dropped = 1;
        } else {
            while queue.waiting_bytes + queue.sending_bytes + bytes > self.most_bytes
                && let Some(oldest) = queue.waiting.pop_front()
            {
                queue.waiting_bytes -= oldest.bytes();
                dropped += 1;
            }
            queue.waiting_bytes += bytes;
            queue.waiting.push_back(item);
        }
        self.gauge(&queue);
        drop(queue);
        self.news.notify_one();
        if dropped > 0 {
            self.drop_counted(dropped, "the queue is full");
        }
    }

    /// The next request, if there is one.
    fn take(&self) -> Option<Item> {
        let mut queue = self.queue();
        let item = queue.waiting.pop_front()?;
        queue.waiting_bytes -= item.bytes();
        queue.sending += 1;
        queue.sending_bytes += item.bytes();
        Some(item)
    }

    /// A request that was taken has gone, one way or the other.
    fn done(&self, bytes: u64) {
        let mut queue = self.queue();
        queue.sending -= 1;
        queue.sending_bytes -= bytes;
        self.gauge(&queue);
        if queue.closed && queue.sending == 0 && queue.waiting.is_empty() {
            self.empty.notify_one();
        }
    }

    fn is_closed(&self) -> bool {
        self.queue().closed
    }
}

/// Where requests are handed in to be passed on.
#[derive(Clone)]
pub struct ForwardInbox(Arc<Shared>);

impl ForwardInbox {
    /// Hands a request in. Never waits.
    pub fn put(&self, signal: Signal, encoding: Encoding, body: Bytes) {
        self.0.put(Item { signal, encoding, body });
    }
}

/// The thread that passes on.
pub struct Forwarder {
    shared: Arc<Shared>,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
}

impl Forwarder {
    /// Starts it. The target need not be there yet.
    ///
    /// # Errors
    /// When the certificates or the token cannot be used, or the system refuses a thread.
    pub fn start(options: &ForwardOptions) -> io::Result<Forwarder> {
        let clients: Result<Vec<_>, _> =
            (0..CONNECTIONS).map(|_| Client::new(options.endpoint.clone(), &options.client)).collect();
        let clients = clients.map_err(io::Error::other)?;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            most_bytes: options.queue_bytes,
            counters: Arc::clone(&options.counters),
            log: options.log.clone(),
            news: Notify::new(),
            closing: Notify::new(),
            empty: Notify::new(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (options, work) = (options.clone(), Arc::clone(&shared));
        let (done, ended) = channel();
        std::thread::Builder::new().name("spandiff-forward".to_owned()).spawn(move || {
            runtime.block_on(async {
                for client in clients {
                    let worker = Worker { client, shared: Arc::clone(&work), options: options.clone() };
                    tokio::spawn(worker.run());
                }
                work.empty.notified().await;
            });
            runtime.shutdown_background();
            drop(done);
        })?;
        Ok(Forwarder { shared, ended })
    }

    /// Where requests are handed in.
    pub fn inbox(&self) -> ForwardInbox {
        ForwardInbox(Arc::clone(&self.shared))
    }

    /// Takes no more, sends what is there, and ends after `within` at the latest. Returns how many requests were left,
    /// which are counted as dropped.
    pub fn close(self, within: Duration) -> u64 {
        {
            let mut queue = self.shared.queue();
            queue.closed = true;
            if queue.sending == 0 && queue.waiting.is_empty() {
                self.shared.empty.notify_one();
            }
        }
        self.shared.closing.notify_waiters();
        // Nothing is ever sent: this waits for the end, or for as long as there is time.
        let _ = self.ended.recv_timeout(within);
        let mut queue = self.shared.queue();
        let left = queue.waiting.len() as u64 + queue.sending;
        queue.waiting.clear();
        queue.waiting_bytes = 0;
        self.shared.gauge(&queue);
        drop(queue);
        self.shared.empty.notify_one();
        if left > 0 {
            self.shared.drop_counted(left, "the receiver stops");
        }
        left
    }
}

/// One of the connections.
struct Worker {
    client: Client,
    shared: Arc<Shared>,
    options: ForwardOptions,
}

impl Worker {
    async fn run(mut self) {
        let mut pauses = Pauses::new(self.options.first_pause, self.options.longest_pause);
        loop {
            let Some(item) = self.shared.take() else {
                self.shared.news.notified().await;
                continue;
            };
            // One call of `notify_one` wakes one of us; who finds something looks whether there is more for another.
            self.shared.news.notify_one();
            let bytes = item.bytes();
            self.pass_on(item, &mut pauses).await;
            self.shared.done(bytes);
        }
    }

    async fn pass_on(&mut self, item: Item, pauses: &mut Pauses) {
        let Some(Item { signal, encoding, body }) = self.suitable(item) else {
            return self.shared.drop_counted(1, "the target speaks gRPC, which has no JSON");
        };
        let parcel = self.client.pack(signal, encoding, body);
        let mut waited = Duration::ZERO;
        loop {
            let (after, why) = match self.client.send(&parcel).await {
                Answer::Accepted { rejected, message } => {
                    pauses.reset();
                    self.shared.counters.forward_sent.add(1);
                    if rejected > 0 || !message.is_empty() {
                        let said = || format!("the forward target rejected {rejected} spans or points: {message}");
                        self.shared.log.say("forward_partial", said);
                    }
                    return;
                }
                Answer::Refused { why } => return self.shared.drop_counted(1, &why),
                Answer::Retry { after, why } => (after, why),
                Answer::Lost { why } => (None, why),
            };
            self.shared.counters.forward_retries.add(1);
            self.shared.log.say("forward_retry", || format!("cannot pass on for now: {why}"));
            if waited >= GIVE_UP_AFTER {
                return self.shared.drop_counted(1, &why);
            }
            let pause = pauses.next(after);
            waited += pause;
            self.pause(pause).await;
        }
    }

    /// Waits, but once the queue is closed no longer than the first pause: time is short then.
    async fn pause(&self, pause: Duration) {
        let closing = self.shared.closing.notified();
        if self.shared.is_closed() {
            return sleep(pause.min(self.options.first_pause)).await;
        }
        // Either of the two will do.
        let _ = timeout(pause, closing).await;
    }

    /// The request as the target takes it.
    fn suitable(&self, item: Item) -> Option<Item> {
        if item.encoding == Encoding::Proto || self.options.endpoint.protocol == Protocol::Http {
            return Some(item);
        }
        if item.signal != Signal::Traces {
            return None;
        }
        let body = as_protobuf(&item.body)?.into();
        Some(Item { encoding: Encoding::Proto, body, ..item })
    }
}

/// Traces in JSON as protobuf, unabridged; `None` for what is not JSON.
fn as_protobuf(document: &[u8]) -> Option<Vec<u8>> {
    struct Keep(Batch);
    impl Sink for Keep {
        fn batch(&mut self, batch: Batch, _symbols: &Symbols) {
            self.0 = batch;
        }
    }
    // The receiver has bounded the body; what it holds goes on as it is.
    let most = u64::from(u32::MAX);
    let limits =
        Limits { attributes: most, events: most, links: most, text_bytes: most, symbols: most, ..Limits::default() };
    let (mut keep, mut symbols) = (Keep(Batch::default()), Symbols::default());
    let report = ReadReport::default();
    json::decode_request(document, &mut Context { limits, symbols: &mut symbols, sink: &mut keep, report }).ok()?;
    Some(otlp_proto::encode(&keep.0, &symbols))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(most_bytes: u64) -> Shared {
        Shared {
            queue: Mutex::default(),
            most_bytes,
            counters: Arc::default(),
            log: Log::new(Arc::new(|_| {})),
            news: Notify::new(),
            closing: Notify::new(),
            empty: Notify::new(),
        }
    }

    fn item(body: &'static [u8]) -> Item {
        Item { signal: Signal::Traces, encoding: Encoding::Proto, body: Bytes::from_static(body) }
    }

    #[test]
    fn the_oldest_go_when_the_queue_is_full() {
        let shared = shared(3 * (4 + OVERHEAD_BYTES));
        for body in [b"aaaa", b"bbbb", b"cccc", b"dddd"] {
            shared.put(item(body));
        }
        assert_eq!((shared.counters.forward_dropped.get(), shared.counters.forward_queue.get()), (1, 3));
        let first = shared.take().unwrap();
        assert_eq!(&first.body[..], b"bbbb");
        // What is on its way takes room as well, and is not taken back.
        shared.put(item(b"eeee"));
        assert_eq!((shared.counters.forward_dropped.get(), shared.counters.forward_queue.get()), (2, 3));
        // One that could never fit drives nobody out.
        shared.put(item(&[0; 4000]));
        assert_eq!((shared.counters.forward_dropped.get(), shared.counters.forward_queue.get()), (3, 3));
        shared.done(first.bytes());
        assert_eq!(shared.counters.forward_queue_bytes.get(), 2 * (4 + OVERHEAD_BYTES));
    }
}
