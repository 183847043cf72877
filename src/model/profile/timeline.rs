//! When a path was seen: at most 64 buckets of equal width, a power of two of nanoseconds.

use std::collections::BTreeMap;

/// Buckets kept at most.
const MAX_BUCKETS: u64 = 64;
/// Width of the narrowest bucket: 2^30 ns, about a second.
const NARROWEST: u32 = 30;

/// What happened in one bucket. Weighted sums, in units of 2⁻³².
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Weight of the traces with the path.
    pub weight: u128,
    /// Weight of those in which it failed by itself.
    pub own_errors: u128,
    /// Weighted sum of the bins of the self or edge times, each span 1/k of its trace; divided by `weight` it is a mean
    /// of logarithms in 1/32 octaves.
    pub bins: u128,
}

impl Bucket {
    fn add(&mut self, other: &Bucket) {
        self.weight += other.weight;
        self.own_errors += other.own_errors;
        self.bins += other.bins;
    }
}

/// Buckets by time. The width is the narrowest at which all fit, so that the order of adding does not show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    shift: u32,
    buckets: BTreeMap<u64, Bucket>,
}

impl Default for Timeline {
    fn default() -> Self {
        Timeline { shift: NARROWEST, buckets: BTreeMap::new() }
    }
}

impl Timeline {
    /// Adds what happened at a time, nanoseconds since 1970.
    #[inline]
    pub fn add(&mut self, at_ns: u64, what: &Bucket) {
        let number = at_ns >> self.shift;
        if let Some(bucket) = self.buckets.get_mut(&number) {
            bucket.add(what);
            return;
        }
        self.buckets.insert(number, *what);
        self.fit();
    }

    /// Buckets in order of time: when each begins, nanoseconds since 1970, and what happened in it.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Bucket)> {
        self.buckets.iter().map(|(&number, bucket)| (number << self.shift, bucket))
    }

    /// Width of a bucket as a power of two of nanoseconds.
    pub const fn shift(&self) -> u32 {
        self.shift
    }

    /// A timeline as it was written: width and buckets by their beginnings.
    pub fn from_parts(shift: u32, buckets: impl IntoIterator<Item = (u64, Bucket)>) -> Timeline {
        let mut timeline = Timeline { shift: shift.clamp(NARROWEST, 63), buckets: BTreeMap::new() };
        for (at_ns, bucket) in buckets {
            timeline.add(at_ns, &bucket);
        }
        timeline
    }

    /// Adds another timeline.
    pub fn merge(&mut self, other: &Timeline) {
        while self.shift < other.shift {
            self.widen();
        }
        for (at_ns, bucket) in other.iter() {
            self.add(at_ns, bucket);
        }
    }

    fn fit(&mut self) {
        while let (Some((first, _)), Some((last, _))) = (self.buckets.first_key_value(), self.buckets.last_key_value())
        {
            if last - first < MAX_BUCKETS {
                return;
            }
            self.widen();
        }
    }

    fn widen(&mut self) {
        self.shift += 1;
        for (number, bucket) in std::mem::take(&mut self.buckets) {
            self.buckets.entry(number >> 1).or_default().add(&bucket);
        }
    }
}
