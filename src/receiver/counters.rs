//! What the receiver counts about itself, for `/metrics` and for the log: numbers that only grow, and gauges.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that many threads add to or set.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Takes away, for gauges.
    pub fn sub(&self, less: u64) {
        self.0.fetch_sub(less, Ordering::Relaxed);
    }

    /// Sets, for gauges.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $kind:ident $name:ident;)+) => {
        /// All counters and gauges.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $name: Counter,)+
        }

        impl Counters {
            /// Name, kind (`counter` or `gauge`), explanation and value of each, in the order of this file.
            pub fn all(&self) -> Vec<(&'static str, &'static str, &'static str, u64)> {
                vec![$((stringify!($name), stringify!($kind), concat!($($doc),+), self.$name.get()),)+]
            }
        }
    };
}

counters! {
    /// Requests over gRPC, whatever became of them.
    counter grpc_requests;
    /// Requests over HTTP, whatever became of them.
    counter http_requests;
    /// Requests that were refused because the receiver had no room (503, UNAVAILABLE); their senders may try again.
    counter requests_refused;
    /// Requests that were wrong in themselves (every 4xx, and what gRPC has for it).
    counter requests_invalid;
    /// Bytes of request bodies as they came.
    counter bytes_received;
    /// Bytes of request bodies after decompression.
    counter bytes_inflated;
    /// Spans that were acknowledged.
    counter spans_received;
    /// Spans that were refused one by one in requests that were accepted.
    counter spans_rejected;
    /// Metric and log requests that were accepted and dropped.
    counter other_signals_dropped;
    /// Requests that are being worked on.
    gauge requests_in_flight;
    /// Bytes that these requests hold.
    gauge bytes_in_flight;
    /// Open connections.
    gauge connections;
    /// Panics that were caught; each is a bug.
    counter panics;
    /// Traces that were closed and folded.
    counter traces_folded;
    /// Spans that came again and were used once.
    counter spans_duplicate;
    /// Spans that came after their trace was closed.
    counter spans_late;
    /// Spans whose parent never came.
    counter spans_orphaned;
    /// Traces without a root of their own (beside one service all of them).
    counter traces_partial;
    /// Traces that were closed too early because memory was short.
    counter traces_evicted;
    /// Spans that were dropped because memory was short or a limit was reached.
    counter spans_dropped;
    /// Traces of which more spans may come.
    gauge traces_open;
    /// Bytes that these take.
    gauge open_bytes;
    /// Bytes that windows take, roughly.
    gauge window_bytes;
    /// Bytes of memory that the process has, as the operating system says.
    gauge resident_bytes;
    /// Windows that were closed.
    counter windows_closed;
    /// Windows that were forgotten before their time because there was no room.
    counter windows_dropped;
    /// Bytes that were written to the capture.
    counter capture_bytes;
    /// Files of the capture that were finished.
    counter capture_files;
    /// Writes to the capture that failed.
    counter capture_failures;
    /// Requests that wait to be forwarded.
    gauge forward_queue;
    /// Bytes of these.
    gauge forward_queue_bytes;
    /// Requests that were forwarded.
    counter forward_sent;
    /// Requests that could not be forwarded and were dropped.
    counter forward_dropped;
    /// Attempts to forward that failed and were made again.
    counter forward_retries;
    /// Exports of the receiver's own telemetry that failed.
    counter telemetry_failures;
}
