//! Durations in logarithmic bins, kept apart by shard, so that adding is merging and variances follow traces.
//!
//! A bin is the top bits of the duration as a float: 32 bins an octave, each at most 1/32 of its value wide, the same
//! on every machine and in every query engine. A shard is a few bits of the trace id: all spans of a trace fall into
//! one shard, so the scatter between shards is that between traces however many spans each of them has.

/// Bins in each doubling.
pub const BINS_PER_OCTAVE: u32 = 32;
/// The mass of one trace of weight 1: masses are fixed-point numbers with 32 binary places.
pub const ONE: u64 = 1 << 32;

/// The bin of a duration in nanoseconds; bin 0 is zero alone.
#[inline]
pub fn bin_of(ns: u64) -> u16 {
    ((ns as f64).to_bits() >> 47) as u16
}

/// Lower (inclusive) and upper (exclusive) end of a bin in nanoseconds. Bin 0 ends at 1.
pub fn bin_ends(bin: u16) -> (f64, f64) {
    let end = |bin: u64| f64::from_bits(bin << 47);
    if bin == 0 { (0.0, 1.0) } else { (end(u64::from(bin)), end(u64::from(bin) + 1)) }
}

/// What fell into one bin of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cell {
    /// The shard, 0 to 63.
    pub shard: u8,
    /// The bin, see [`bin_of`].
    pub bin: u16,
    /// Mass, in units of 2⁻³². A trace with k spans of the path adds 1/k of its weight for each.
    pub mass: u64,
}

impl Cell {
    const fn key(self) -> u32 {
        (self.shard as u32) << 16 | self.bin as u32
    }
}

/// A binned sample. Its content does not depend on the order in which it was added.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Cells in order of shard and bin up to `sorted`, then what was added since.
    cells: Vec<Cell>,
    sorted: usize,
}

/// Added cells that are kept unsorted at least.
const SLACK: usize = 64;

impl Histogram {
    /// A histogram of cells in any order.
    pub fn from_cells(cells: impl IntoIterator<Item = Cell>) -> Histogram {
        let mut histogram = Histogram { cells: cells.into_iter().collect(), sorted: 0 };
        histogram.seal();
        histogram
    }

    /// Adds mass to a bin of a shard.
    #[inline]
    pub fn add(&mut self, shard: u8, bin: u16, mass: u64) {
        // Amortised: the unsorted tail never exceeds the sorted part by much, so that sorting is a few steps each.
        if self.cells.len() >= 2 * self.sorted + SLACK {
            self.seal();
        }
        self.cells.push(Cell { shard, bin, mass });
    }

    /// Adds all of another histogram.
    pub fn merge(&mut self, other: &Histogram) {
        self.cells.extend_from_slice(&other.cells);
        self.seal();
    }

    /// Sorts and adds up what was added. Must be called before [`Histogram::cells`] after the last addition.
    pub fn seal(&mut self) {
        if self.sorted == self.cells.len() {
            return;
        }
        self.cells.sort_unstable_by_key(|cell| cell.key());
        self.cells.dedup_by(|next, kept| {
            let same = next.key() == kept.key();
            if same {
                kept.mass = kept.mass.saturating_add(next.mass);
            }
            same
        });
        self.cells.retain(|cell| cell.mass > 0);
        self.sorted = self.cells.len();
    }

    /// The cells in order of shard and bin, each once, none empty. Only what was sealed.
    pub fn cells(&self) -> &[Cell] {
        self.cells.get(..self.sorted).unwrap_or_default()
    }

    /// The total mass.
    pub fn mass(&self) -> u128 {
        self.cells.iter().map(|cell| u128::from(cell.mass)).sum()
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The sealed cells of the shards that `keep` accepts.
    #[must_use]
    pub fn of_shards(&self, keep: impl Fn(u8) -> bool) -> Histogram {
        let cells: Vec<Cell> = self.cells().iter().copied().filter(|cell| keep(cell.shard)).collect();
        Histogram { sorted: cells.len(), cells }
    }
}

impl PartialEq for Histogram {
    /// Equal content, sealed on both sides.
    fn eq(&self, other: &Histogram) -> bool {
        self.cells == other.cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_narrow_and_in_order() {
        assert_eq!((bin_of(0), bin_of(1), bin_of(2)), (0, 32_736, 32_768));
        assert!((bin_ends(bin_of(1)).0 - 1.0).abs() < f64::EPSILON);
        for ns in [1, 2, 3, 7, 100, 1_000, 123_456_789, u64::MAX / 2, u64::MAX] {
            let (low, high) = bin_ends(bin_of(ns));
            assert!(low <= ns as f64 && (ns as f64) < high, "{ns}");
            assert!(high / low <= 1.0 + 1.0 / f64::from(BINS_PER_OCTAVE), "{ns}");
        }
    }

    #[test]
    fn order_does_not_show() {
        let mut cells: Vec<(u8, u16, u64)> =
            (0..5_000u64).map(|n| ((n % 7) as u8, (n * n % 61) as u16, n % 5)).collect();
        let fill = |cells: &[(u8, u16, u64)]| {
            let mut histogram = Histogram::default();
            for &(shard, bin, mass) in cells {
                histogram.add(shard, bin, mass);
            }
            histogram.seal();
            histogram
        };
        let forward = fill(&cells);
        let (left, right) = cells.split_at(1_234);
        let mut merged = fill(right);
        merged.merge(&fill(left));
        assert_eq!(forward, merged);
        cells.reverse();
        assert_eq!(forward, fill(&cells));
        assert_eq!(forward.mass(), cells.iter().map(|cell| u128::from(cell.2)).sum());
    }
}
