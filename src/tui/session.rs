//! Between the state and the world: effects become jobs, and whoever owns files and inputs answers them.

use super::app::{App, Phase};
use super::model::Model;
use super::update::{Effect, Msg, Request, Step, update};
use crate::diff::NodeDetail;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What only the owner of inputs, files and clock can do.
#[derive(Clone, Debug)]
pub enum Job {
    /// Compare, the sides as wished.
    Compare(Request),
    /// What is known of a node.
    Detail(u32, Arc<Model>),
    /// Write a file and say where: a base name with its ending, and its content.
    Write(&'static str, String),
    /// Accept a finding in the policy file.
    Accept {
        /// The comparison.
        model: Arc<Model>,
        /// Index of the finding.
        finding: usize,
        /// Why.
        reason: String,
        /// Until which day, ISO; empty for good.
        until: String,
    },
    /// Keep a step of the session.
    Log(Step),
}

/// Does jobs. Each may take long, tells how far it is and what it knows so far, and stops when it is told to.
pub trait Host: Send {
    /// Does one job; the answer goes into the state.
    fn run(&mut self, job: Job, tell: &dyn Fn(Msg), cancel: &AtomicBool) -> Option<Msg>;
}

/// What an effect asks of the host; the effect itself where the terminal has to do it.
///
/// # Errors
/// An effect that is no job: quit, suspend, cancel, copy, mouse.
pub fn job_of(app: &App, effect: Effect) -> Result<Job, Effect> {
    Ok(match effect {
        Effect::Detail(node) => Job::Detail(node, Arc::clone(&app.model)),
        Effect::Recompute(request) => Job::Compare(request),
        Effect::Export => Job::Write("incident.md", super::note::incident(app)),
        Effect::Picture => Job::Write("screen.svg", super::headless::svg(app)),
        Effect::Accept { finding, reason, until } => {
            Job::Accept { model: Arc::clone(&app.model), finding, reason, until }
        }
        Effect::Log(step) => Job::Log(step),
        other => return Err(other),
    })
}

/// Runs messages to their end without a terminal: every job is done at once. Whether the program would go on, and what
/// was copied last.
pub fn settle(app: &mut App, host: &mut dyn Host, msg: Msg) -> Driven {
    let mut driven = Driven::default();
    let mut open = std::collections::VecDeque::from([msg]);
    while let Some(msg) = open.pop_front() {
        for effect in update(app, msg) {
            match job_of(app, effect) {
                Ok(job) => {
                    if let Job::Compare(request) = &job {
                        (app.swapped, app.pair) = (request.swapped, request.pair);
                    }
                    open.extend(host.run(job, &|_| {}, &AtomicBool::new(false)));
                }
                Err(Effect::Quit { .. }) => driven.ended = true,
                Err(Effect::Copy(text)) => driven.copied = Some(text),
                Err(_) => {}
            }
        }
    }
    driven
}

/// What came of messages that were run without a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Driven {
    /// Whether the program would have ended.
    pub ended: bool,
    /// What was copied last.
    pub copied: Option<String>,
}

/// A host that knows one comparison: for tests, and for screens that nobody works with.
#[derive(Debug)]
pub struct Fixed(pub Arc<Model>);

impl Host for Fixed {
    fn run(&mut self, job: Job, _: &dyn Fn(Msg), _: &AtomicBool) -> Option<Msg> {
        match job {
            Job::Compare(_) => Some(Msg::Model(Arc::clone(&self.0))),
            Job::Detail(node, model) => {
                let detail = model.node(node).and_then(|node| node.detail.as_deref()).cloned();
                Some(Msg::Detail(node, Arc::new(detail.unwrap_or_else(NodeDetail::default))))
            }
            Job::Write(..) | Job::Accept { .. } | Job::Log(_) => None,
        }
    }
}

/// Whether there is anything to look at.
pub fn is_ready(app: &App) -> bool {
    app.phase == Phase::Ready
}
