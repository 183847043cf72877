//! Random numbers of our own: splitmix64 for seeding, xoshiro256** for drawing (both by Blackman and Vigna, public
//! domain algorithms).
//!
//! Why not the `rand` crate: a seed must give the same bytes in every version of spandiff and on every machine, and
//! `rand` reserves the right to change its generators. For the same reason only `+ − × ÷` and roots are used on floating
//! point: IEEE 754 fixes their results to the bit, which it does not for `ln` or `exp`.

/// A stream of random numbers, determined by its seed alone.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

const fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Random {
    /// The stream of a seed.
    pub const fn new(seed: u64) -> Self {
        let mut s = seed;
        Random { state: [splitmix(&mut s), splitmix(&mut s), splitmix(&mut s), splitmix(&mut s)] }
    }

    /// A stream of its own for `(seed, a, b)`: trace 17 of the after side does not depend on what was drawn before it.
    pub const fn stream(seed: u64, a: u64, b: u64) -> Self {
        let mut s = seed;
        let mixed = splitmix(&mut s) ^ a.wrapping_mul(0xd6e8_feb8_6659_fd93);
        s = mixed;
        Random::new(splitmix(&mut s) ^ b.wrapping_mul(0xa076_1d64_78bd_642f))
    }

    /// 64 random bits.
    pub const fn bits(&mut self) -> u64 {
        let [s0, s1, s2, s3] = self.state;
        let result = s1.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t2 = s2 ^ s0;
        let t3 = s3 ^ s1;
        self.state = [s0 ^ t3, s1 ^ t2, t2 ^ (s1 << 17), t3.rotate_left(45)];
        result
    }

    /// 64 random bits that are not all zero: an id.
    pub const fn nonzero(&mut self) -> u64 {
        match self.bits() {
            0 => 1,
            bits => bits,
        }
    }

    /// A whole number below `bound`; zero for a bound of zero.
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.bits() as u128 * bound as u128) >> 64) as u64
    }

    /// A number from zero up to but without one.
    pub const fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// A number of about the standard normal distribution: twelve even ones of 16 bits each, added up. It needs no
    /// logarithm, and its tails end at six.
    pub fn normal(&mut self) -> f64 {
        let mut sum = 0u64;
        for _ in 0..3 {
            let bits = self.bits();
            sum += (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
        }
        (sum as f64 + 6.0) / 65_536.0 - 6.0
    }

    /// One element of a slice; `None` of an empty one.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len() as u64) as usize)
    }

    /// Brings a slice into random order (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix_gives_the_published_sequence() {
        let mut state = 1_234_567;
        let drawn: Vec<u64> = (0..3).map(|_| splitmix(&mut state)).collect();
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn xoshiro_gives_the_published_sequence() {
        let mut random = Random { state: [1, 2, 3, 4] };
        let drawn: Vec<u64> = (0..4).map(|_| random.bits()).collect();
        assert_eq!(drawn, [11_520, 0, 1_509_978_240, 1_215_971_899_390_074_240]);
    }

    #[test]
    fn draws_stay_in_their_range_and_reach_its_ends() {
        let mut random = Random::new(7);
        let mut seen = [0u32; 6];
        for _ in 0..600 {
            seen[random.below(6) as usize] += 1;
            let unit = random.unit();
            assert!((0.0..1.0).contains(&unit));
        }
        assert!(seen.iter().all(|&count| (60..=140).contains(&count)), "{seen:?}");
        assert_eq!(random.below(0), 0);
        assert_eq!(random.pick::<u8>(&[]), None);
    }

    #[test]
    fn normal_draws_have_mean_zero_and_deviation_one() {
        let mut random = Random::new(5);
        let drawn: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        let mean = drawn.iter().sum::<f64>() / 20_000.0;
        let deviation = (drawn.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 20_000.0).sqrt();
        assert!(mean.abs() < 0.02 && (deviation - 1.0).abs() < 0.02, "{mean} {deviation}");
        let beyond = drawn.iter().filter(|x| x.abs() > 1.96).count();
        assert!((850..1_150).contains(&beyond), "{beyond} of 20,000 beyond 1.96");
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..50).collect();
        Random::new(1).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn streams_differ_by_each_part_of_their_key() {
        let first = |seed, a, b| Random::stream(seed, a, b).bits();
        let all = [first(1, 0, 0), first(2, 0, 0), first(1, 1, 0), first(1, 0, 1), first(1, 1, 1)];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one));
        }
    }
}
