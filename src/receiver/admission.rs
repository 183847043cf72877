//! Who may come in: one budget of bytes, one number of requests, for all ports and protocols together.
//!
//! A request is admitted before its body is read. From then on it holds every byte that was read for it, inflated or
//! decoded, until it is answered and folded, and asks before it takes more. So memory has a bound that no header can
//! lie about: `Content-Length` and gRPC's length are used to refuse early, never to reserve.

use super::counters::Counters;
use super::refusal::Refusal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A request waits so long for its turn before it is refused. Some exporters (Node's over gRPC) drop their data at the
/// first refusal, so that a short wait saves data.
const PATIENCE: Duration = Duration::from_secs(2);

/// The door.
#[derive(Debug)]
pub struct Admission {
    turns: Arc<Semaphore>,
    bytes: AtomicU64,
    most_bytes: u64,
    /// Memory is short elsewhere: nobody comes in.
    is_full: AtomicBool,
    /// The receiver stops: nobody comes in.
    is_draining: AtomicBool,
    counters: Arc<Counters>,
}

impl Admission {
    /// A door for `requests` at a time that hold `bytes` together.
    pub fn new(requests: u32, bytes: u64, counters: Arc<Counters>) -> Arc<Admission> {
        Arc::new(Admission {
            turns: Arc::new(Semaphore::new(requests as usize)),
            bytes: AtomicU64::new(0),
            most_bytes: bytes,
            is_full: AtomicBool::new(false),
            is_draining: AtomicBool::new(false),
            counters,
        })
    }

    /// Says whether memory is short.
    pub fn set_full(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::Relaxed);
    }

    /// From now on nobody is admitted.
    pub fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
    }

    /// Whether the receiver stops.
    pub fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }

    /// Lets a request in, or says why not. Its body has not been read yet.
    pub async fn enter(self: &Arc<Self>) -> Result<Held, Refusal> {
        if self.is_draining() {
            return Err(Refusal::busy("the receiver is stopping"));
        }
        if self.is_full.load(Ordering::Relaxed) {
            return Err(Refusal::busy("the receiver's memory is full"));
        }
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Refusal::busy("too many requests at the same time"));
        };
        if self.is_draining() {
            return Err(Refusal::busy("the receiver is stopping"));
        }
        self.counters.requests_in_flight.add(1);
        Ok(Held { door: Arc::clone(self), bytes: 0, _turn: turn })
    }
}

/// What an admitted request holds; given back when it is dropped.
#[derive(Debug)]
pub struct Held {
    door: Arc<Admission>,
    bytes: u64,
    _turn: OwnedSemaphorePermit,
}

impl Held {
    /// Takes `more` bytes of the budget.
    pub fn grow(&mut self, more: u64) -> Result<(), Refusal> {
        let before = self.door.bytes.fetch_add(more, Ordering::Relaxed);
        self.bytes += more;
        self.door.counters.bytes_in_flight.add(more);
        // What was taken is given back when the request ends, which it now does.
        if before + more > self.door.most_bytes {
            return Err(Refusal::busy("the requests at hand take all the memory that requests may take"));
        }
        Ok(())
    }

    /// Gives `less` bytes back.
    pub fn shrink(&mut self, less: u64) {
        let less = less.min(self.bytes);
        self.bytes -= less;
        self.door.bytes.fetch_sub(less, Ordering::Relaxed);
        self.door.counters.bytes_in_flight.sub(less);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shrink(self.bytes);
        self.door.counters.requests_in_flight.sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_and_turns_are_given_back() {
        let counters = Arc::new(Counters::default());
        let door = Admission::new(1, 100, Arc::clone(&counters));
        let mut held = door.enter().await.unwrap();
        held.grow(60).unwrap();
        assert!(held.grow(60).is_err());
        held.shrink(80);
        held.grow(60).unwrap();
        assert_eq!((counters.bytes_in_flight.get(), counters.requests_in_flight.get()), (100, 1));
        drop(held);
        assert_eq!((counters.bytes_in_flight.get(), counters.requests_in_flight.get()), (0, 0));
        door.set_full(true);
        assert!(door.enter().await.is_err());
        door.set_full(false);
        drop(door.enter().await.unwrap());
        door.drain();
        assert!(door.enter().await.is_err());
    }
}
