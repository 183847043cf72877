//! How far reading is: on standard error and only when that is a terminal, or for a screen that asks.

use super::engine::{Batch, Census, Sink};
use super::peek::Peek;
use crate::model::Symbols;
use crate::report::units::count;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What a screen that has the terminal for itself looks at while others read, and how it makes them stop.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    read: AtomicU64,
    /// Bytes there are in all; 0 when that is not known.
    of: AtomicU64,
    stop: AtomicBool,
    peek: Peek,
}

#[cfg(feature = "tui")]
impl Gauge {
    /// Bytes that were read and bytes that there are, 0 when that is not known.
    pub fn bytes(&self) -> (u64, u64) {
        (self.0.read.load(Ordering::Relaxed), self.0.of.load(Ordering::Relaxed))
    }

    /// Whether readers are to stop: the next piece that they ask for is an error.
    pub fn stop(&self, stop: bool) {
        self.0.stop.store(stop, Ordering::Relaxed);
    }
}

impl Gauge {
    /// What was folded so far.
    pub fn peek(&self) -> &Peek {
        &self.0.peek
    }
}

/// Counts bytes and spans of all inputs together.
pub struct Progress {
    bar: ProgressBar,
    spans: AtomicU64,
    gauge: Option<Gauge>,
}

impl Progress {
    /// Shows how much of `bytes` was read, `None` when that is not known: on the gauge if there is one.
    pub fn new(quiet: bool, gauge: Option<&Gauge>, bytes: Option<u64>) -> Progress {
        if let Some(Gauge(counts)) = gauge {
            counts.read.store(0, Ordering::Relaxed);
            counts.of.store(bytes.unwrap_or(0), Ordering::Relaxed);
        }
        let shown = !quiet && gauge.is_none() && io::stderr().is_terminal();
        let bar = match bytes {
            _ if !shown => ProgressBar::hidden(),
            Some(bytes) => ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr_with_hz(10)),
            None => ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10)),
        };
        let template = match bytes {
            Some(_) => "{bar:24} {bytes}/{total_bytes} {msg} {bytes_per_sec} ETA {eta}",
            None => "{spinner} {bytes} {msg} {bytes_per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar, spans: AtomicU64::new(0), gauge: gauge.cloned() }
    }

    fn spans(&self, more: u64) {
        let spans = self.spans.fetch_add(more, Ordering::Relaxed) + more;
        if !self.bar.is_hidden() {
            self.bar.set_message(format!("{} spans", count(spans)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Counts the bytes that pass.
pub struct Watched<'a, R> {
    /// Where they come from.
    pub inner: R,
    /// Where they are counted.
    pub progress: &'a Progress,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.progress.bar.inc(read as u64);
        if let Some(Gauge(counts)) = &self.progress.gauge {
            counts.read.fetch_add(read as u64, Ordering::Relaxed);
            if counts.stop.load(Ordering::Relaxed) {
                return Err(io::Error::other("cancelled"));
            }
        }
        Ok(read)
    }
}

/// Counts the spans that pass.
pub struct WatchedSink<'a> {
    /// Where they go.
    pub inner: &'a mut dyn Sink,
    /// Where they are counted.
    pub progress: &'a Progress,
}

impl Sink for WatchedSink<'_> {
    fn batch(&mut self, batch: Batch, symbols: &Symbols) {
        self.progress.spans(batch.spans.len() as u64);
        self.inner.batch(batch, symbols);
    }

    fn census(&mut self) -> Option<&mut Census> {
        self.inner.census()
    }
}
