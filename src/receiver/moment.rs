//! The two clocks of the receiver: one that only goes forward, and one that people know.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A point in time on both clocks. Timeouts go by the steady one, which no correction of the clock can move; windows
/// and names go by the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds since the receiver began; never goes back.
    pub steady_ns: u64,
    /// Nanoseconds since 1970, as the machine's clock says.
    pub unix_ns: u64,
}

/// Tells the time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: Instant,
}

impl Clock {
    /// Begins now.
    #[expect(clippy::disallowed_methods, reason = "the receiver has a clock of its own")]
    pub fn start() -> Clock {
        Clock { began: Instant::now() }
    }

    /// The time.
    #[expect(clippy::disallowed_methods, reason = "the receiver has a clock of its own")]
    pub fn now(&self) -> Moment {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment { steady_ns: self.began.elapsed().as_nanos() as u64, unix_ns: unix.as_nanos() as u64 }
    }
}
