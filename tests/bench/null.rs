//! How often tests cry wolf, and whether profiles say what exact per-trace data say: `cargo bench --bench bench --
//! null`. Seeds are fixed; every share is printed with its 95 % interval.

use spandiff::stats::counts::wilson;
use spandiff::stats::distribution::t_two_sided;
use spandiff::stats::drift::empirical_null;
use spandiff::stats::histogram::{BINS_PER_OCTAVE, Cell, Histogram, ONE, bin_of};
use spandiff::stats::multiple::benjamini_hochberg;
use spandiff::stats::rank::{RankTest, rank_test, rank_test_shifted};
use spandiff::stats::shift::{Interval, hodges_lehmann};

/// Standard deviation of the logarithms of durations.
const LOG_SD: f64 = 0.6;
/// Correlation of the logarithms of two calls in one trace.
const CORRELATION: f64 = 0.4;
const SHARDS: u64 = 32;

/// A repeatable source of chance.
pub struct Chance(pub u64);

impl Chance {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn uniform(&mut self) -> f64 {
        ((self.draw() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// Traces, each with its shard and the durations of its calls: one call, or any number from 1 to twice `calls` − 1.
fn traces(chance: &mut Chance, count: usize, calls: usize, shift: f64) -> Vec<(u8, Vec<u64>)> {
    let trace = |_| {
        let shard = (chance.draw() % SHARDS) as u8;
        let common = CORRELATION.sqrt() * chance.normal();
        let own = 1 + (chance.draw() % (2 * calls as u64 - 1)) as usize;
        let call = |_| (1e6 * (shift + LOG_SD * (common + (1.0 - CORRELATION).sqrt() * chance.normal())).exp()) as u64;
        (shard, (0..own).map(call).collect())
    };
    (0..count).map(trace).collect()
}

fn folded(traces: &[(u8, Vec<u64>)]) -> Histogram {
    let cells = traces.iter().flat_map(|(shard, calls)| {
        calls.iter().map(|&ns| Cell { shard: *shard, bin: bin_of(ns), mass: ONE / calls.len() as u64 })
    });
    Histogram::from_cells(cells)
}

/// In how many of `runs` comparisons the two-sided test rejects at 5 %.
pub fn alarms(before: usize, after: usize, calls: usize, runs: usize, shift: f64, seed: u64) -> usize {
    let mut chance = Chance(seed);
    let mut alarm = |_: &usize| {
        let left = folded(&traces(&mut chance, before, calls, 0.0));
        let right = folded(&traces(&mut chance, after, calls, shift));
        rank_test(&left, &right).unwrap().p_two_sided() < 0.05
    };
    (0..runs).filter(&mut alarm).count()
}

fn print_share(name: &str, count: usize, runs: usize) {
    let share = wilson(count as u64, runs as u64, 0.95);
    println!("{name}: {:.4} [{:.4}, {:.4}] of {runs}", share.estimate, share.low, share.high);
}

/// Everything, the null rates first.
pub fn run() {
    let runs = 10_000;
    for (before, after) in [(200, 200), (1_000, 1_000), (25, 25), (50, 50), (200, 20)] {
        for calls in [1, 4, 20] {
            let found = alarms(before, after, calls, runs, 0.0, 1_000 + calls as u64);
            print_share(&format!("null p < .05, {before} + {after} traces, ~{calls} calls each"), found, runs);
        }
    }
    against_exact();
    deploys();
}

/// The shift of profiles against that of the traces themselves, both by the clustered test: difference of estimates
/// and of the ends of their intervals, as a share of the ratio.
fn against_exact() {
    let (mut estimates, mut ends) = (Vec::new(), Vec::new());
    for (calls, shift) in [(1, 0.0), (1, 0.1), (4, 0.1), (4, -0.2), (20, 0.05)].repeat(8) {
        let mut chance = Chance(5_000 + estimates.len() as u64);
        let left = traces(&mut chance, 1_000, calls, 0.0);
        let right = traces(&mut chance, 1_000, calls, shift);
        let binned = hodges_lehmann(&folded(&left), &folded(&right), 0.95).unwrap().log_ratio;
        let exact = Exact::new(&left, &right).interval();
        estimates.push(((binned.estimate - exact.estimate).exp() - 1.0).abs());
        ends.push(((binned.low - exact.low).exp() - 1.0).abs());
        ends.push(((binned.high - exact.high).exp() - 1.0).abs());
    }
    let most = |list: &[f64]| 100.0 * list.iter().copied().fold(0.0, f64::max);
    let mean = |list: &[f64]| 100.0 * list.iter().sum::<f64>() / list.len() as f64;
    println!(
        "profile against exact per-trace data, {} comparisons of 1,000 + 1,000 traces: estimate off by {:.3} % on \
         average and {:.3} % at most, ends of the interval by {:.2} % and {:.2} % (bins are {:.1} % wide)",
        estimates.len(),
        mean(&estimates),
        most(&estimates),
        mean(&ends),
        most(&ends),
        100.0 / f64::from(BINS_PER_OCTAVE),
    );
}

/// The clustered test with traces as units and unbinned logarithms.
struct Exact {
    left: Vec<Vec<f64>>,
    right: Vec<Vec<f64>>,
}

/// All values of an arm in order, each with the weight of everything below it.
struct Sorted(Vec<(f64, f64)>, f64);

impl Sorted {
    fn new(arm: &[Vec<f64>]) -> Sorted {
        let mut values: Vec<(f64, f64)> =
            arm.iter().flat_map(|calls| calls.iter().map(|&x| (x, 1.0 / calls.len() as f64))).collect();
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut sum = 0.0;
        for value in &mut values {
            (value.1, sum) = (sum, sum + value.1);
        }
        Sorted(values, sum)
    }

    fn mid_share(&self, x: f64) -> f64 {
        let below = |at: usize| self.0.get(at).map_or(self.1, |value| value.1);
        let low = below(self.0.partition_point(|value| value.0 < x));
        let high = below(self.0.partition_point(|value| value.0 <= x));
        0.5 * (low + high) / self.1
    }
}

impl Exact {
    fn new(left: &[(u8, Vec<u64>)], right: &[(u8, Vec<u64>)]) -> Exact {
        let logs = |arm: &[(u8, Vec<u64>)]| -> Vec<Vec<f64>> {
            arm.iter().map(|(_, calls)| calls.iter().map(|&ns| (ns as f64).ln()).collect()).collect()
        };
        Exact { left: logs(left), right: logs(right) }
    }

    fn test(&self, shift: f64, sorted: &(Sorted, Sorted)) -> RankTest {
        let side = |arm: &[Vec<f64>], other: &Sorted, by: f64| -> (f64, f64) {
            let place =
                |calls: &Vec<f64>| calls.iter().map(|x| other.mid_share(x + by)).sum::<f64>() / calls.len() as f64;
            let places: Vec<f64> = arm.iter().map(place).collect();
            let count = places.len() as f64;
            let mean = places.iter().sum::<f64>() / count;
            (mean, places.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / (count - 1.0) / count)
        };
        let (theta, a) = side(&self.right, &sorted.0, -shift);
        let (_, b) = side(&self.left, &sorted.1, shift);
        let df = (self.left.len() + self.right.len() - 2) as f64;
        RankTest { theta, se: (a + b).sqrt(), df, units: self.left.len().min(self.right.len()) as f64 }
    }

    fn interval(&self) -> Interval {
        let sorted = (Sorted::new(&self.left), Sorted::new(&self.right));
        let find = |target: f64| {
            let (mut low, mut high) = (-2.0, 2.0);
            for _ in 0..32 {
                let middle = f64::midpoint(low, high);
                *(if self.test(middle, &sorted).statistic() > target { &mut low } else { &mut high }) = middle;
            }
            f64::midpoint(low, high)
        };
        Interval { estimate: find(0.0), low: find(1.96), high: find(-1.96) }
    }
}

/// False alarms of whole comparisons in which nothing changed: 200 paths, shared by traces of ten entry points.
fn deploys() {
    let runs = 1_000;
    for (drift, common) in [(0.0, 0.0), (0.02, 0.0), (0.04, 0.0), (0.02, 0.03)] {
        let mut flagged = [0, 0];
        for run in 0..runs {
            let [warns, fails] = deploy(&mut Chance(90_000 + run as u64), drift, common);
            flagged[0] += usize::from(warns > 0);
            flagged[1] += usize::from(fails > 0);
        }
        let name = format!("A/A of 200 paths, drift {:.0} %, common {:+.0} %", 100.0 * drift, 100.0 * common);
        print_share(&format!("{name}: any warn (E1)"), flagged[0], runs);
        print_share(&format!("{name}: any fail (E2)"), flagged[1], runs);
    }
}

/// How many of 200 unchanged paths are flagged, by the rules of `diff/population/latency.rs`. E1 (a warning): different
/// from the common shift beyond its own error and the scatter between paths, and 5 % or more by estimate. E2 (a
/// failure): besides, more than 5 % beyond doubt.
fn deploy(chance: &mut Chance, drift: f64, common: f64) -> [usize; 2] {
    const PATHS: usize = 200;
    const MARGIN: f64 = 1.05;
    let mut paths = Vec::new();
    for path in 0..PATHS {
        let count = [40, 100, 200, 500][path % 4];
        let calls = [1, 1, 4][path % 3];
        let moved = common + drift * chance.normal();
        let left = folded(&traces(chance, count, calls, 0.0));
        let right = folded(&traces(chance, count, calls, moved));
        let shift = hodges_lehmann(&left, &right, 0.95).unwrap();
        paths.push((left, right, shift));
    }
    let shifts: Vec<(f64, f64)> = paths.iter().map(|path| (path.2.log_ratio.estimate, path.2.se)).collect();
    let null = empirical_null(&shifts);
    let (mut differs, mut exceeds) = (Vec::new(), Vec::new());
    for (left, right, shift) in &paths {
        let (d, shrink) = (shift.log_ratio.estimate, shift.se / shift.se.hypot(null.tau));
        let p = |factor: f64| {
            let found = rank_test_shifted(left, right, &|ns| ns * factor * (-null.mu).exp()).unwrap();
            t_two_sided(found.statistic() * shrink, found.df)
        };
        let is_large = d.abs() > MARGIN.ln() && (d - null.mu).abs() > MARGIN.ln();
        let slower = d > null.mu;
        differs.push((p(1.0), is_large));
        exceeds.push(if is_large { p(if slower { 1.0 / MARGIN } else { MARGIN }) } else { 1.0 });
    }
    let warn = benjamini_hochberg(&differs.iter().map(|path| path.0).collect::<Vec<_>>());
    let fail = benjamini_hochberg(&exceeds);
    let warns = warn.iter().zip(&differs).filter(|(q, path)| **q <= 0.05 && path.1).count();
    [warns, fail.iter().filter(|q| **q <= 0.05).count()]
}
