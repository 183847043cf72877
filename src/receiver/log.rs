//! What the receiver says to people: few lines, each kind at most once in a while, with a count of what was left out.

use super::moment::Clock;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Nanoseconds between two lines of one kind.
const BETWEEN_NS: u64 = 10_000_000_000;

/// Takes a line. It may hold anything that a sender sent: whoever shows it makes it visible first.
pub type Writer = Arc<dyn Fn(&str) + Send + Sync>;

/// Says things, but nothing over and over.
#[derive(Clone)]
pub struct Log {
    writer: Writer,
    clock: Clock,
    kinds: Arc<Mutex<BTreeMap<&'static str, Kind>>>,
}

#[derive(Default)]
struct Kind {
    quiet_until_ns: u64,
    left_out: u64,
}

impl Log {
    /// Says things to `writer`.
    pub fn new(writer: Writer) -> Log {
        Log { writer, clock: Clock::start(), kinds: Arc::default() }
    }

    /// Says `text`, unless something of this kind was said a moment ago.
    pub fn say(&self, kind: &'static str, text: impl FnOnce() -> String) {
        let now_ns = self.clock.now().steady_ns;
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kinds.entry(kind).or_default();
        if now_ns < known.quiet_until_ns {
            known.left_out += 1;
            return;
        }
        known.quiet_until_ns = now_ns + BETWEEN_NS;
        let left_out = std::mem::take(&mut known.left_out);
        drop(kinds);
        let more = if left_out > 0 { format!(" (and {left_out} more of the kind since)") } else { String::new() };
        (self.writer)(&format!("{}{more}", text()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_said_once_in_a_while() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let log = Log::new({
            let said = Arc::clone(&said);
            Arc::new(move |text: &str| said.lock().unwrap().push(text.to_owned()))
        });
        log.say("a", || "one".into());
        log.say("a", || "two".into());
        log.say("b", || "three".into());
        assert_eq!(*said.lock().unwrap(), ["one", "three"]);
        log.kinds.lock().unwrap().get_mut("a").unwrap().quiet_until_ns = 0;
        log.say("a", || "four".into());
        assert_eq!(said.lock().unwrap().last().unwrap(), "four (and 1 more of the kind since)");
    }
}
