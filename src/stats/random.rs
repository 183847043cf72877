//! Repeatable chance: the same content gives the same draws.

/// A generator of 64-bit numbers (`SplitMix64`).
pub struct Random(u64);

impl Random {
    /// Starts from what the draws are about, so that equal content has equal draws.
    pub fn of(content: impl Iterator<Item = u64>) -> Random {
        let mut random = Random(0);
        for number in content {
            random.0 ^= number;
            random.0 = random.draw();
        }
        random
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.draw()) * end as u128) >> 64) as usize
    }
}
