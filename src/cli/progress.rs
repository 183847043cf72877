//! How far reading is, on standard error and only when that is a terminal.

use super::engine::{Batch, Census, Sink};
use crate::model::Symbols;
use crate::report::units::count;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Read};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts bytes and spans of all inputs together.
pub struct Progress {
    bar: ProgressBar,
    spans: AtomicU64,
}

impl Progress {
    /// Shows how much of `bytes` was read; `None` when that is not known.
    pub fn new(quiet: bool, bytes: Option<u64>) -> Progress {
        let shown = !quiet && io::stderr().is_terminal();
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
        Progress { bar, spans: AtomicU64::new(0) }
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
