//! How long to wait before something is tried again.

use std::time::Duration;

/// Longest pause that a server may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(60);

/// Pauses between attempts: each up to twice as long as the one before, and drawn at random from its second half, so that
/// those who failed together do not come back together.
#[derive(Debug)]
pub(super) struct Pauses {
    first: Duration,
    longest: Duration,
    next: Duration,
    random: u64,
}

impl Pauses {
    /// Pauses from `first` to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Pauses {
        use std::hash::BuildHasher;
        // Seeded by the standard library from the system; an odd number never becomes zero below.
        let random = std::hash::RandomState::new().hash_one(0) | 1;
        Pauses { first, longest, next: first, random }
    }

    /// Begins again with the first, after something went well.
    pub fn reset(&mut self) {
        self.next = self.first;
    }

    /// The next pause; what the target asks for counts, within reason.
    pub fn next(&mut self, asked: Option<Duration>) -> Duration {
        // Marsaglia's xorshift: quality does not matter here.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let share = (self.random >> 11) as f64 / (1u64 << 53) as f64;
        let drawn = self.next.mul_f64(0.5 + share / 2.0);
        self.next = self.next.saturating_mul(2).min(self.longest);
        asked.map_or(drawn, |asked| asked.min(LONGEST_ASKED).max(drawn.min(self.first)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_drawn() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_millis(700));
        let mut pauses = Pauses::new(first, longest);
        for expected in [100, 200, 400, 700, 700] {
            let pause = pauses.next(None).as_millis();
            assert!(pause * 2 >= expected - 1 && pause <= expected, "{pause} of {expected}");
        }
        assert_eq!(pauses.next(Some(Duration::from_secs(5))), Duration::from_secs(5));
        assert_eq!(pauses.next(Some(Duration::from_secs(50_000))), LONGEST_ASKED);
        assert!(pauses.next(Some(Duration::ZERO)) >= first / 2, "never without a pause");
        pauses.reset();
        assert!(pauses.next(None) <= first);
        let draws = |mut pauses: Pauses| (0..4).map(|_| pauses.next(None)).collect::<Vec<_>>();
        assert_ne!(draws(Pauses::new(first, longest)), draws(Pauses::new(first, longest)));
    }
}
