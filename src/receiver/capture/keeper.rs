//! The thread that does what takes long: it syncs in intervals, gives finished files their names and removes the oldest.
//!
//! It works on handles that it shares with the writer, which never waits for it but at the very end.

use super::file::{PartFile, Shared};
use super::{CaptureOptions, Fsync, file, recover};
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the writer asks for.
enum Job {
    /// Sync this file in intervals, as long as it is written.
    Watch(Weak<Shared>),
    /// Give it its name.
    Finish(PartFile),
}

/// The writer's end.
#[derive(Debug)]
pub(super) struct Keeper {
    jobs: Sender<Job>,
    thread: JoinHandle<io::Result<()>>,
}

impl Keeper {
    /// Starts the thread.
    pub fn start(options: &CaptureOptions) -> io::Result<Keeper> {
        let (jobs, received) = channel();
        let worker = Worker { options: options.clone(), watched: Vec::new(), result: Ok(()) };
        let thread = std::thread::Builder::new().name("capture".to_owned()).spawn(move || worker.run(&received))?;
        Ok(Keeper { jobs, thread })
    }

    /// Syncs `file` in intervals from now on, if that is how it is to be.
    pub fn watch(&self, file: &PartFile) {
        let _ = self.jobs.send(Job::Watch(Arc::downgrade(file.shared())));
    }

    /// Gives `file` its name for good, later.
    pub fn finish(&self, file: PartFile) {
        let _ = self.jobs.send(Job::Finish(file));
    }

    /// Waits until everything is done.
    pub fn close(self) -> io::Result<()> {
        drop(self.jobs);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the capture's thread panicked")))
    }
}

struct Worker {
    options: CaptureOptions,
    /// The files that are being written.
    watched: Vec<Weak<Shared>>,
    /// The first thing that went wrong with finishing.
    result: io::Result<()>,
}

impl Worker {
    fn run(mut self, jobs: &Receiver<Job>) -> io::Result<()> {
        let interval = match self.options.fsync {
            Fsync::Interval(nanoseconds) => Duration::from_nanos(nanoseconds.max(1_000_000)),
            // Long enough to be never.
            Fsync::Always | Fsync::Never => Duration::from_secs(3600),
        };
        loop {
            match jobs.recv_timeout(interval) {
                Ok(Job::Watch(file)) => self.watched.push(file),
                Ok(Job::Finish(file)) => self.finish(&file),
                Err(RecvTimeoutError::Timeout) => self.sync(),
                Err(RecvTimeoutError::Disconnected) => return self.result,
            }
        }
    }

    fn sync(&mut self) {
        if !matches!(self.options.fsync, Fsync::Interval(_)) {
            return;
        }
        let before = self.watched.len();
        self.watched.retain(|file| file.strong_count() > 0);
        for file in self.watched.iter().filter_map(Weak::upgrade) {
            if file.dirty.swap(false, Ordering::AcqRel) && file.file.sync_data().is_err() {
                file.failed.store(true, Ordering::Release);
                self.options.counters.capture_failures.add(1);
            }
        }
        // New names as well; there is no harm in it when there are none.
        if before > 0 && file::sync_directory(&self.options.directory).is_err() {
            self.options.counters.capture_failures.add(1);
        }
    }

    fn finish(&mut self, file: &PartFile) {
        match file.finish(self.options.fsync != Fsync::Never) {
            Ok(true) => self.options.counters.capture_files.add(1),
            Ok(false) => {}
            Err(error) => {
                self.options.counters.capture_failures.add(1);
                if self.result.is_ok() {
                    self.result = Err(error);
                }
            }
        }
        recover::prune(&self.options);
    }
}
