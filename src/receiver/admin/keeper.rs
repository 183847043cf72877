//! The keeper of the windows of a receiver that runs: its engine, which knows where in the traffic a mark belongs, and
//! its watch.

use super::{Answered, Keeper};
use crate::receiver::board::Judged;
use crate::receiver::engine::Inbox;
use crate::receiver::mark::Mark;
use crate::receiver::watch::Watch;
use std::sync::Arc;

/// Engine and watch.
pub struct Receiving {
    /// The way to the engine.
    pub inbox: Inbox,
    /// What compares windows.
    pub watch: Arc<Watch>,
}

impl Keeper for Receiving {
    fn mark(&self, mark: Mark) -> Answered<Option<Mark>> {
        let inbox = self.inbox.clone();
        Box::pin(async move { inbox.mark(mark).await })
    }

    fn judge(&self, cohort: Option<&str>, baseline: &str) -> Result<Judged, String> {
        self.watch.ask(cohort, Some(baseline)).map_err(|refusal| refusal.to_string())
    }
}
