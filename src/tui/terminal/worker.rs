//! The thread that owns the host: one job after another, the latest wish wins, a panic ends a job and not the program.

use super::Event;
use crate::tui::session::{Host, Job};
use crate::tui::update::Msg;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// A job with its number, counted from 1.
type Numbered = (u64, Job);

/// What became of a job.
#[derive(Debug)]
pub struct Done {
    /// Its number.
    pub number: u64,
    /// The answer; nothing for a job that has none, or that a later one made needless.
    pub answer: Option<Msg>,
}

/// The way to the thread.
#[derive(Debug)]
pub struct Worker {
    jobs: Sender<Numbered>,
    cancel: Arc<AtomicBool>,
    numbered: u64,
    /// Jobs that were not answered yet.
    pub open: usize,
}

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(host: Box<dyn Host>, events: Sender<Event>) -> io::Result<Worker> {
        let (jobs, open) = channel();
        let cancel = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&cancel);
        std::thread::Builder::new().name("worker".into()).spawn(move || work(host, &open, &events, &flag))?;
        Ok(Worker { jobs, cancel, numbered: 0, open: 0 })
    }

    /// Hands in a job; its number.
    pub fn submit(&mut self, job: Job) -> u64 {
        self.numbered += 1;
        if self.jobs.send((self.numbered, job)).is_ok() {
            self.open += 1;
        }
        self.numbered
    }

    /// Tells the job that runs to stop.
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }
}

fn work(mut host: Box<dyn Host>, jobs: &Receiver<Numbered>, events: &Sender<Event>, cancel: &AtomicBool) {
    let mut queue: VecDeque<Numbered> = VecDeque::new();
    loop {
        if queue.is_empty() {
            match jobs.recv() {
                Ok(job) => queue.push_back(job),
                Err(_) => return,
            }
        }
        queue.extend(jobs.try_iter());
        for number in take_needless(&mut queue) {
            let _ = events.send(Event::Done(Done { number, answer: None }));
        }
        let Some((number, job)) = queue.pop_front() else { continue };
        cancel.store(false, Ordering::Relaxed);
        let tell = |msg| {
            let _ = events.send(Event::Told(number, msg));
        };
        let answer = catch_unwind(AssertUnwindSafe(|| host.run(job, &tell, cancel)))
            .unwrap_or_else(|panic| Some(Msg::Failed(bug(&*panic))));
        if events.send(Event::Done(Done { number, answer })).is_err() {
            return;
        }
    }
}

/// Takes out what a later wish makes needless: comparisons before the last one, and details before the last wish of
/// either kind.
fn take_needless(queue: &mut VecDeque<Numbered>) -> Vec<u64> {
    let last = |is_meant: fn(&Job) -> bool| queue.iter().rposition(|(_, job)| is_meant(job));
    let compare = last(|job| matches!(job, Job::Compare(_)));
    let detail = last(|job| matches!(job, Job::Detail(..))).max(compare);
    let mut needless = Vec::new();
    let mut index = 0;
    queue.retain(|(number, job)| {
        let is_needless = match job {
            Job::Compare(_) => Some(index) < compare,
            Job::Detail(..) => Some(index) < detail,
            _ => false,
        };
        index += 1;
        if is_needless {
            needless.push(*number);
        }
        !is_needless
    });
    needless
}

/// Where the last panic of a thread other than that of the screen was, which only a panic hook learns.
static PLACE: Mutex<String> = Mutex::new(String::new());

/// Keeps where a panic was, for the message on the screen.
pub fn note_place(place: String) {
    if let Ok(mut kept) = PLACE.lock() {
        *kept = place;
    }
}

fn bug(panic: &(dyn std::any::Any + Send)) -> Vec<String> {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    let place = PLACE.lock().map(|mut place| std::mem::take(&mut *place)).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    vec![format!("this is a bug in spandiff{place}: {line}"), "please report it with the inputs".to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::Diff;
    use crate::tui::model::Model;
    use crate::tui::update::Request;
    use std::time::Duration;

    struct Fragile;

    impl Host for Fragile {
        fn run(&mut self, job: Job, _: &dyn Fn(Msg), _: &AtomicBool) -> Option<Msg> {
            match job {
                Job::Write(name, _) => Some(Msg::Said(name.to_owned())),
                _ => panic!("glass"),
            }
        }
    }

    #[test]
    fn a_panic_is_an_answer_and_the_next_job_is_done() {
        let (events, answers) = channel();
        let mut worker = Worker::start(Box::new(Fragile), events).unwrap();
        let first = worker.submit(Job::Compare(Request::default()));
        let second = worker.submit(Job::Write("a.md", String::new()));
        let next = || match answers.recv_timeout(Duration::from_secs(10)).unwrap() {
            Event::Done(done) => done,
            other => panic!("{other:?}"),
        };
        let done = next();
        assert_eq!(done.number, first);
        assert!(matches!(done.answer, Some(Msg::Failed(lines)) if lines[0].contains("glass")));
        let done = next();
        assert_eq!(done.number, second);
        assert!(matches!(done.answer, Some(Msg::Said(text)) if text == "a.md"));
    }

    #[test]
    fn the_latest_wish_wins_and_writing_is_never_lost() {
        let model = || Arc::new(Model::new(Diff::default()));
        let mut queue: VecDeque<Numbered> = [
            Job::Compare(Request::default()),
            Job::Detail(1, model()),
            Job::Write("a.md", String::new()),
            Job::Compare(Request { swapped: true, ..Request::default() }),
            Job::Detail(2, model()),
            Job::Detail(3, model()),
        ]
        .into_iter()
        .enumerate()
        .map(|(index, job)| (index as u64 + 1, job))
        .collect();
        assert_eq!(take_needless(&mut queue), [1, 2, 5]);
        assert_eq!(queue.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [3, 4, 6]);
    }
}
