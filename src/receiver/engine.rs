//! The one owner of what is received: decodes, keeps, acknowledges, folds. One thread, off the reactor.
//!
//! Requests come through a queue that admission bounds. All that wait are taken together: each is decoded, all are
//! written to the capture with one write, then all are answered, and only then folded. So capture costs one write a
//! group, answers do not wait for statistics, and an answer means that the bytes are written.
//!
//! Why one thread: the strings, the open traces and the windows have one owner and need no locks, the order of folding
//! is the order of arrival, and one thread takes more spans than a core's worth of network brings.

use super::admission::Held;
use super::counters::Counters;
use super::decode::{Decoded, decode};
use super::log::Log;
use super::moment::{Clock, Moment};
use super::refusal::{Kind, Refusal};
use super::respond::{Accepted, Encoding};
use crate::ingest::{Batch, ReadReport};
use crate::model::{Limits, Symbols};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use tokio::sync::oneshot;

/// How often time passes for what waits for it.
const TICK: Duration = Duration::from_millis(100);
/// Bytes of requests that are taken together: more would keep the first of them waiting.
const GROUP_BYTES: usize = 4 << 20;
/// Strings, and bytes of strings, of the table of names before it is begun anew.
const SYMBOLS: usize = 500_000;
const SYMBOL_BYTES: usize = 32 << 20;

/// The answer to a request.
pub type Answer = Result<Accepted, Refusal>;

/// A request whose body has come as a whole.
#[derive(Debug)]
pub struct Job {
    /// Form of the body.
    pub encoding: Encoding,
    /// The body, inflated.
    pub body: Vec<u8>,
    /// What it holds of the budget, until it is folded.
    pub held: Held,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Answer>,
}

/// Something for the engine to do.
enum Message {
    Job(Job),
    Stop,
}

/// Where requests are handed in.
#[derive(Clone)]
pub struct Inbox(Sender<Message>);

impl Inbox {
    /// Hands a request in, and gives the answer when there is one.
    pub async fn handle(&self, encoding: Encoding, body: Vec<u8>, held: Held) -> Answer {
        let (reply, answer) = oneshot::channel();
        let stopped = || Refusal::busy("the receiver is stopping");
        self.0.send(Message::Job(Job { encoding, body, held, reply })).map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Ends the engine, after all that was handed in.
    pub fn stop(&self) {
        // It may have ended already.
        let _ = self.0.send(Message::Stop);
    }
}

/// What is done with spans that were acknowledged.
pub trait Downstream {
    /// Takes the spans of one request.
    fn batch(&mut self, batch: Batch, report: &ReadReport, symbols: &Symbols, now: Moment);
    /// Lets time pass.
    fn tick(&mut self, symbols: &Symbols, now: Moment);
    /// Moves the names that are still needed into a fresh table.
    fn renew(&mut self, symbols: &Symbols) -> Symbols;
    /// Closes everything.
    fn finish(&mut self, symbols: &Symbols, now: Moment);
}

/// What keeps bytes before they are acknowledged.
pub trait Keeper {
    /// Adds a body to the group.
    fn add(&mut self, encoding: Encoding, body: &[u8]);
    /// Writes the group; after an error nothing of it was written.
    fn commit(&mut self, now: Moment) -> std::io::Result<()>;
    /// Closes the files.
    fn close(&mut self, now: Moment);
}

/// The parts of an engine.
pub struct Engine<'r> {
    /// Bounds of decoding.
    pub limits: Limits,
    /// Where counts go.
    pub counters: Arc<Counters>,
    /// Where words go.
    pub log: Log,
    /// The time.
    pub clock: Clock,
    /// What keeps bytes, if anything does.
    pub keeper: Option<Box<dyn Keeper + 'r>>,
    /// What folds, if anything does.
    pub downstream: Option<Box<dyn Downstream + 'r>>,
}

/// A request that was decoded and is not answered yet.
struct Pending {
    decoded: Decoded,
    reply: oneshot::Sender<Answer>,
    held: Held,
}

/// An inbox, and the queue behind it for [`Engine::run`].
pub fn inbox() -> (Inbox, Queue) {
    let (sender, receiver) = channel();
    (Inbox(sender), Queue(receiver))
}

/// The queue behind an inbox.
pub struct Queue(Receiver<Message>);

impl Engine<'_> {
    /// Works until it is told to stop or nobody can hand anything in any more.
    pub fn run(mut self, queue: &Queue) {
        let mut symbols = Symbols::default();
        let mut ticked_ns = 0;
        loop {
            let first = match queue.0.recv_timeout(TICK) {
                Ok(Message::Job(job)) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            };
            let mut stop = false;
            if let Some(first) = first {
                stop = self.group(first, queue, &mut symbols);
            }
            let now = self.clock.now();
            if now.steady_ns.saturating_sub(ticked_ns) >= TICK.as_nanos() as u64 {
                ticked_ns = now.steady_ns;
                self.tick(&mut symbols, now);
            }
            if stop {
                break;
            }
        }
        let now = self.clock.now();
        if let Some(downstream) = &mut self.downstream {
            downstream.finish(&symbols, now);
        }
        if let Some(keeper) = &mut self.keeper {
            keeper.close(now);
        }
    }

    /// Takes the first request and all that wait behind it; true when told to stop.
    fn group(&mut self, first: Job, queue: &Queue, symbols: &mut Symbols) -> bool {
        let (mut pending, mut bytes, mut stop) = (Vec::new(), 0, false);
        let mut next = Some(first);
        while let Some(job) = next.take() {
            bytes += job.body.len();
            pending.extend(self.decode(job, symbols));
            if bytes >= GROUP_BYTES {
                break;
            }
            match queue.0.try_recv() {
                Ok(Message::Job(job)) => next = Some(job),
                Ok(Message::Stop) => stop = true,
                Err(_) => {}
            }
        }
        self.finish_group(pending, symbols);
        stop
    }

    /// Decodes a request, and answers it at once if it cannot be used.
    fn decode(&mut self, mut job: Job, symbols: &mut Symbols) -> Option<Pending> {
        let kept = self.keeper.is_some() && job.encoding == Encoding::Json;
        let len = job.body.len();
        let decoded = catch_unwind(AssertUnwindSafe(|| decode(job.encoding, &mut job.body, &self.limits, symbols)));
        let decoded = decoded.unwrap_or_else(|_| {
            self.counters.panics.add(1);
            Err(Refusal::new(Kind::Internal, "the receiver failed on this request, which is a bug in it"))
        });
        let decoded = match decoded {
            Ok(decoded) => decoded,
            Err(refusal) => {
                self.answer(job.reply, Err(refusal));
                return None;
            }
        };
        if let Some(keeper) = self.keeper.as_mut().filter(|_| decoded.report.spans > 0) {
            let body = if kept { job.body.as_slice() } else { decoded.batch.bytes.get(..len).unwrap_or_default() };
            keeper.add(job.encoding, body);
        }
        Some(Pending { decoded, reply: job.reply, held: job.held })
    }

    /// Keeps a group, answers it and folds it.
    fn finish_group(&mut self, pending: Vec<Pending>, symbols: &mut Symbols) {
        let now = self.clock.now();
        if let Some(keeper) = &mut self.keeper
            && let Err(error) = keeper.commit(now)
        {
            self.counters.capture_failures.add(1);
            self.log.say("capture", || format!("cannot write the capture, so requests are refused for now: {error}"));
            for request in pending {
                self.answer(request.reply, Err(Refusal::busy("the capture cannot be written at the moment")));
            }
            return;
        }
        let mut to_fold = Vec::with_capacity(pending.len());
        for Pending { decoded, reply, held } in pending {
            let Decoded { batch, report, accepted } = decoded;
            self.answer(reply, Ok(accepted));
            to_fold.push((batch, report, held));
        }
        let Some(downstream) = &mut self.downstream else { return };
        for (batch, report, held) in to_fold {
            downstream.batch(batch, &report, symbols, now);
            drop(held);
        }
    }

    fn answer(&self, reply: oneshot::Sender<Answer>, answer: Answer) {
        match &answer {
            Ok(accepted) => {
                self.counters.spans_received.add(accepted.spans);
                self.counters.spans_rejected.add(accepted.rejected);
                if !accepted.message.is_empty() {
                    // Exporters do not tell their users, so we do.
                    let (spans, rejected) = (accepted.spans, accepted.rejected);
                    let message = accepted.message.clone();
                    self.log.say("partial", || format!("{spans} spans accepted, {rejected} rejected: {message}"));
                }
            }
            Err(refusal) => self.log.say("refused", || format!("request refused: {}", refusal.message)),
        }
        // Who has hung up wants no answer; the spans count all the same.
        let _ = reply.send(answer);
    }

    fn tick(&mut self, symbols: &mut Symbols, now: Moment) {
        if let Some(downstream) = &mut self.downstream {
            downstream.tick(symbols, now);
        }
        if symbols.len() > SYMBOLS || symbols.bytes() > SYMBOL_BYTES {
            *symbols = self.downstream.as_mut().map_or_else(Symbols::default, |downstream| downstream.renew(symbols));
        }
    }
}
