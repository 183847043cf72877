//! A histogram as a distribution: its function is a line inside each bin, its scatter that between shards.

use super::histogram::{Cell, Histogram, bin_ends};

/// A histogram made ready for tests: shares of the total mass, by bin and by shard.
pub struct Sample {
    /// The bins that occur, in order, each with its share.
    bins: Vec<(u16, f64)>,
    /// Per cell: index of its bin above and share. In order of shards.
    cells: Vec<(u32, f64)>,
    /// How many cells each shard has.
    lengths: Vec<u32>,
    /// 1/Σ(share of the shard)²: the number of shards when all weigh the same.
    units: f64,
}

/// A mean over traces and what the scatter between shards says about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scatter {
    /// The mean.
    pub mean: f64,
    /// The square of its standard error.
    pub variance: f64,
}

impl Sample {
    /// `None` with fewer than two shards: nothing can then be said about the scatter.
    pub fn new(histogram: &Histogram) -> Option<Sample> {
        let cells = histogram.cells();
        let mut bins: Vec<u16> = cells.iter().map(|cell| cell.bin).collect();
        bins.sort_unstable();
        bins.dedup();
        let mass = histogram.mass() as f64;
        let share = |cell: &Cell| cell.mass as f64 / mass;
        let mut bins: Vec<(u16, f64)> = bins.into_iter().map(|bin| (bin, 0.0)).collect();
        let mut sample = Sample { bins: Vec::new(), cells: Vec::new(), lengths: Vec::new(), units: 0.0 };
        let mut squares = 0.0;
        for shard in cells.chunk_by(|a, b| a.shard == b.shard) {
            let mut of_shard = 0.0;
            for cell in shard {
                let Ok(at) = bins.binary_search_by_key(&cell.bin, |bin| bin.0) else { continue };
                if let Some(bin) = bins.get_mut(at) {
                    bin.1 += share(cell);
                }
                of_shard += share(cell);
                sample.cells.push((at as u32, share(cell)));
            }
            sample.lengths.push(shard.len() as u32);
            squares += of_shard * of_shard;
        }
        sample.bins = bins;
        sample.units = 1.0 / squares;
        (sample.lengths.len() >= 2 && sample.units > 1.0).then_some(sample)
    }

    /// The number of equally heavy shards with the same unevenness: what counts as independent observations at least.
    pub fn units(&self) -> f64 {
        self.units
    }

    /// Degrees of freedom of the scatter.
    pub fn df(&self) -> f64 {
        self.units - 1.0
    }

    /// The bins that occur, in order, each with its share.
    pub fn bins(&self) -> &[(u16, f64)] {
        &self.bins
    }

    /// The cells of each shard: index of the bin in [`Sample::bins`] and share of the total mass.
    pub fn shards(&self) -> impl Iterator<Item = &[(u32, f64)]> {
        let mut rest = self.cells.as_slice();
        self.lengths.iter().map(move |&length| {
            let (shard, after) = rest.split_at_checked(length as usize).unwrap_or((rest, &[]));
            rest = after;
            shard
        })
    }

    /// Lowest and highest end of what occurs, zeros taken for half a nanosecond.
    pub fn range(&self) -> (f64, f64) {
        let low = self.bins.first().map_or(1.0, |bin| positive_ends(bin.0).0);
        let high = self.bins.last().map_or(1.0, |bin| positive_ends(bin.0).1);
        (low, high)
    }

    /// The distribution function when each bin lies between these ends, which must be in order.
    pub fn ecdf(&self, ends: impl Fn(u16) -> (f64, f64)) -> Ecdf {
        let mut ecdf = Ecdf { steps: Vec::with_capacity(self.bins.len()) };
        let mut before = Step { low: 0.0, high: 0.0, below: 0.0, share: 0.0, area: 0.0 };
        for &(bin, share) in &self.bins {
            let (low, high) = ends(bin);
            let high = if high > low { high } else { low };
            let area = if ecdf.steps.is_empty() { 0.0 } else { before.area_at(low) };
            before = Step { low, high, below: before.below + before.share, share, area };
            ecdf.steps.push(before);
        }
        ecdf
    }

    /// The mean of a value that depends on the bin (`values` in the order of [`Sample::bins`]), and its variance.
    ///
    /// The variance is that of a ratio over clusters, Σ(residual of the shard)²·n/(n−1) with n = [`Sample::units`];
    /// with shards of equal mass, such as one trace each, exactly the variance of a mean.
    pub fn scatter(&self, values: &[f64]) -> Scatter {
        let mean: f64 = self.bins.iter().zip(values).map(|(bin, value)| bin.1 * value).sum();
        let residual = |shard: &[(u32, f64)]| -> f64 {
            shard.iter().map(|&(bin, share)| share * (values.get(bin as usize).unwrap_or(&mean) - mean)).sum()
        };
        let sum: f64 = self.shards().map(|shard| residual(shard).powi(2)).sum();
        Scatter { mean, variance: sum * self.units / (self.units - 1.0) }
    }
}

/// Ends of a bin where zeros count as half to one nanosecond, so that they have a logarithm.
pub fn positive_ends(bin: u16) -> (f64, f64) {
    if bin == 0 { (0.5, 1.0) } else { bin_ends(bin) }
}

/// Ends of a bin after a monotone map of its values. Zeros lie just below where zero goes, apart from all others.
pub fn mapped_ends(bin: u16, map: &dyn Fn(f64) -> f64) -> (f64, f64) {
    let zero = map(0.0);
    if bin == 0 {
        return (zero - 1.0, zero);
    }
    let (low, high) = bin_ends(bin);
    (map(low), map(high))
}

/// Shares closer than this are equal but for rounding.
const SHARE_ROUNDING: f64 = 1e-12;

/// A distribution function that is a line over each bin.
pub struct Ecdf {
    steps: Vec<Step>,
}

#[derive(Clone, Copy)]
struct Step {
    low: f64,
    high: f64,
    /// Share of what lies below `low`.
    below: f64,
    share: f64,
    /// Integral of the function up to `low`.
    area: f64,
}

impl Step {
    /// Integral of the function up to `x` ≥ `low`, where nothing else begins in between.
    fn area_at(&self, x: f64) -> f64 {
        let inside = x.min(self.high) - self.low;
        let width = self.high - self.low;
        let part = if width > 0.0 { inside / width } else { 0.0 };
        let beyond = (x - self.high).max(0.0);
        self.area + self.below * inside + 0.5 * self.share * part * inside + (self.below + self.share) * beyond
    }
}

impl Ecdf {
    /// The step in or above which `x` lies, if any.
    fn step(&self, x: f64) -> Option<&Step> {
        let at = self.steps.partition_point(|step| step.low <= x);
        self.steps.get(at.checked_sub(1)?)
    }

    /// The share of what is below `x`.
    pub fn at(&self, x: f64) -> f64 {
        self.step(x).map_or(0.0, |step| {
            let width = step.high - step.low;
            let part = if width > 0.0 { ((x - step.low) / width).min(1.0) } else { 1.0 };
            step.below + step.share * part
        })
    }

    /// Below which value this share lies; the middle of a gap where it lies between two.
    pub fn inverse(&self, share: f64) -> f64 {
        let at = self.steps.partition_point(|step| step.below + step.share < share - SHARE_ROUNDING);
        let Some(step) = self.steps.get(at).or(self.steps.last()) else { return 0.0 };
        let part = ((share - step.below) / step.share).clamp(0.0, 1.0);
        let value = step.low + part * (step.high - step.low);
        let is_end = (step.below + step.share - share).abs() <= SHARE_ROUNDING;
        match self.steps.get(at + 1) {
            Some(next) if is_end => value.midpoint(next.low),
            _ => value,
        }
    }

    /// The mean of the function between two points: the share below a value that lies anywhere between them, half of
    /// what is equal included.
    pub fn mean(&self, low: f64, high: f64) -> f64 {
        if high <= low {
            return self.at(low);
        }
        let area = |x: f64| self.step(x).map_or(0.0, |step| step.area_at(x));
        ((area(high) - area(low)) / (high - low)).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::histogram::{ONE, bin_of};

    fn sample(values: &[(u8, u64)]) -> Sample {
        let cells = values.iter().map(|&(shard, ns)| Cell { shard, bin: bin_of(ns), mass: ONE });
        Sample::new(&Histogram::from_cells(cells)).unwrap()
    }

    #[test]
    fn equal_values_count_half() {
        let sample = sample(&[(0, 0), (1, 1_000), (2, 1_000), (3, 5_000)]);
        let ecdf = sample.ecdf(|bin| mapped_ends(bin, &|x| x));
        let placed = |ns: u64| {
            let (low, high) = mapped_ends(bin_of(ns), &|x| x);
            ecdf.mean(low, high)
        };
        let expected = [(0, 0.125), (1, 0.25), (900, 0.25), (1_000, 0.5), (2_000, 0.75), (5_000, 0.875), (9_000, 1.0)];
        for (ns, share) in expected {
            assert!((placed(ns) - share).abs() < 1e-12, "{ns}: {}", placed(ns));
        }
    }

    #[test]
    fn one_trace_a_shard_is_the_variance_of_a_mean() {
        let sample = sample(&[(0, 10), (1, 20), (2, 40), (3, 80)]);
        let found = sample.scatter(&[1.0, 2.0, 3.0, 6.0]);
        // Mean 3, squares 4 + 1 + 0 + 9 = 14; 14/3 over 4.
        assert!((found.mean - 3.0).abs() < 1e-12 && (found.variance - 14.0 / 12.0).abs() < 1e-12);
        assert!((sample.df() - 3.0).abs() < 1e-12);
    }

    #[test]
    fn one_shard_is_not_enough() {
        assert!(Sample::new(&Histogram::default()).is_none());
        let one = Histogram::from_cells([Cell { shard: 3, bin: 5, mass: ONE }, Cell { shard: 3, bin: 7, mass: ONE }]);
        assert!(Sample::new(&one).is_none());
    }
}
