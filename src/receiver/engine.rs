//! The one owner of what is received: decodes, keeps, acknowledges, folds. One thread, off the reactor.
//!
//! Requests come through a queue that admission bounds. All that wait are taken together: each is decoded, all are
//! written to the capture with one write, then all are answered, and only then folded. So capture costs one write a
//! group, answers do not wait for statistics, and an answer means that the bytes are written.
//!
//! Why one thread: the strings, the open traces and the windows have one owner and need no locks, the order of folding
//! is the order of arrival, and one thread takes more spans than a core's worth of network brings.

use super::admission::Held;
use super::capture::{Body, Capture};
use super::client::Signal;
use super::counters::Counters;
use super::decode::{Decoded, decode};
use super::forward::ForwardInbox;
use super::log::Log;
use super::mark::Mark;
use super::moment::{Clock, Moment};
use super::pipeline::{Pipeline, Sealed};
use super::refusal::{Kind, Refusal};
use super::respond::{Accepted, Encoding};
use crate::model::{Limits, Symbols};
use bytes::Bytes;
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
    Mark(Mark, oneshot::Sender<Mark>),
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

    /// Sets a mark, and gives it back with its time; `None` when the engine has stopped.
    pub async fn mark(&self, mark: Mark) -> Option<Mark> {
        let (reply, marked) = oneshot::channel();
        self.0.send(Message::Mark(mark, reply)).ok()?;
        marked.await.ok()
    }

    /// Ends the engine, after all that was handed in.
    pub fn stop(&self) {
        // It may have ended already.
        let _ = self.0.send(Message::Stop);
    }
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
    /// What keeps bytes before they are acknowledged, if anything does.
    pub capture: Option<Capture>,
    /// Where requests that were acknowledged are passed on to, if they are.
    pub forward: Option<ForwardInbox>,
    /// What folds spans that were acknowledged, if anything does.
    pub pipeline: Option<Pipeline<'r>>,
    /// Takes the windows that were closed, and marks.
    pub watch: Option<Box<dyn FnMut(Event) + 'r>>,
}

/// What the watch is told.
#[derive(Debug)]
pub enum Event {
    /// Windows were closed.
    Sealed(Vec<Sealed>),
    /// A mark was set; with the number of the first window behind it.
    Marked(Mark, u64),
}

/// A request that was decoded and is not answered yet.
struct Pending {
    decoded: Decoded,
    encoding: Encoding,
    /// The body, if it is JSON: that of protobuf is in the batch.
    json: Vec<u8>,
    /// Length of the body.
    len: usize,
    reply: oneshot::Sender<Answer>,
    held: Held,
}

impl Pending {
    /// The body as it came.
    fn body(&self) -> &[u8] {
        match self.encoding {
            Encoding::Json => &self.json,
            Encoding::Proto => self.decoded.batch.bytes.get(..self.len).unwrap_or_default(),
        }
    }
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
            let stop = match queue.0.recv_timeout(TICK) {
                Ok(first) => self.group(first, queue, &mut symbols),
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
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
        // What was acknowledged first; closing windows may take its time.
        if let Some(Err(error)) = self.capture.take().map(Capture::close) {
            self.log.say("capture", || format!("the last file of the capture could not be finished: {error}"));
        }
        let sealed = self.pipeline.as_mut().map(|pipeline| pipeline.finish(&symbols, now)).unwrap_or_default();
        self.tell(sealed);
    }

    /// Takes the first message and all that wait behind it; true when told to stop.
    fn group(&mut self, first: Message, queue: &Queue, symbols: &mut Symbols) -> bool {
        let (mut pending, mut bytes, mut stop) = (Vec::new(), 0, false);
        let mut next = Some(first);
        while let Some(message) = next.take() {
            match message {
                Message::Job(job) => {
                    bytes += job.body.len();
                    pending.extend(self.decode(job, symbols));
                }
                Message::Mark(mark, reply) => {
                    // What came before the mark belongs before it.
                    self.finish_group(std::mem::take(&mut pending), symbols);
                    let mark = self.mark(mark);
                    let _ = reply.send(mark);
                }
                Message::Stop => {
                    stop = true;
                    break;
                }
            }
            if bytes < GROUP_BYTES {
                next = queue.0.try_recv().ok();
            }
        }
        self.finish_group(pending, symbols);
        stop
    }

    /// Decodes a request, and answers it at once if it cannot be used.
    fn decode(&mut self, mut job: Job, symbols: &mut Symbols) -> Option<Pending> {
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
        let Job { encoding, body: json, reply, held } = job;
        let pending = Pending { decoded, encoding, json, len, reply, held };
        if let Some(capture) = self.capture.as_mut().filter(|_| pending.decoded.report.spans > 0) {
            capture.add(match encoding {
                Encoding::Proto => Body::Proto(pending.body()),
                Encoding::Json => Body::Json(pending.body()),
            });
        }
        Some(pending)
    }

    /// Keeps a group, answers it and folds it.
    fn finish_group(&mut self, pending: Vec<Pending>, symbols: &mut Symbols) {
        let now = self.clock.now();
        if let Some(capture) = &mut self.capture
            && let Err(error) = capture.commit(now)
        {
            self.log.say("capture", || format!("cannot write the capture, so requests are refused for now: {error}"));
            for request in pending {
                self.answer(request.reply, Err(Refusal::busy("the capture cannot be written at the moment")));
            }
            return;
        }
        let mut to_fold = Vec::with_capacity(pending.len());
        for pending in pending {
            if let Some(forward) = &self.forward {
                forward.put(Signal::Traces, pending.encoding, Bytes::copy_from_slice(pending.body()));
            }
            let Pending { decoded: Decoded { batch, report, accepted }, reply, held, .. } = pending;
            self.answer(reply, Ok(accepted));
            to_fold.push((batch, report, held));
        }
        let Some(pipeline) = &mut self.pipeline else { return };
        for (batch, report, held) in to_fold {
            pipeline.batch(batch, &report, symbols, now);
            drop(held);
        }
    }

    fn answer(&self, reply: oneshot::Sender<Answer>, answer: Answer) {
        if let Ok(accepted) = &answer {
            self.counters.spans_received.add(accepted.spans);
            self.counters.spans_rejected.add(accepted.rejected);
            if !accepted.message.is_empty() {
                // Exporters do not tell their users, so we do.
                let (spans, rejected) = (accepted.spans, accepted.rejected);
                let message = accepted.message.clone();
                self.log.say("partial", || format!("{spans} spans accepted, {rejected} rejected: {message}"));
            }
        }
        // Who has hung up wants no answer; the spans count all the same.
        let _ = reply.send(answer);
    }

    /// Lets time pass: traces and windows are closed, files finished.
    fn tick(&mut self, symbols: &mut Symbols, now: Moment) {
        let sealed = self.pipeline.as_mut().map(|pipeline| pipeline.tick(symbols, now)).unwrap_or_default();
        self.tell(sealed);
        if let Some(Err(error)) = self.capture.as_mut().map(|capture| capture.commit(now)) {
            self.log.say("capture", || format!("the capture cannot be written: {error}"));
        }
        if symbols.len() > SYMBOLS || symbols.bytes() > SYMBOL_BYTES {
            *symbols = self.pipeline.as_mut().map_or_else(Symbols::default, |pipeline| pipeline.renew(symbols));
        }
    }

    fn mark(&mut self, mut mark: Mark) -> Mark {
        let now = self.clock.now();
        mark.unix_ns = now.unix_ns;
        if let Some(pipeline) = &mut self.pipeline {
            let window = pipeline.mark(&mut mark, now);
            if let Some(watch) = &mut self.watch {
                watch(Event::Marked(mark.clone(), window));
            }
        }
        mark
    }

    fn tell(&mut self, sealed: Vec<Sealed>) {
        if let Some(watch) = self.watch.as_mut().filter(|_| !sealed.is_empty()) {
            watch(Event::Sealed(sealed));
        }
    }
}
