//! Two things measured by turns.

use std::time::{Duration, Instant};

/// Runs `slow` and `fast` by turns `rounds` times and prints how many times faster `fast` is, by medians.
pub fn print(name: &str, rounds: usize, bytes: usize, mut slow: impl FnMut() -> u64, mut fast: impl FnMut() -> u64) {
    assert_eq!(slow(), fast(), "{name}: the two sides do not see the same");
    let (mut slow_times, mut fast_times) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        slow_times.push(time(&mut slow));
        fast_times.push(time(&mut fast));
    }
    let best = best(&slow_times).as_secs_f64() / best(&fast_times).as_secs_f64();
    let (slow, fast) = (median(slow_times), median(fast_times));
    let rate = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
    println!(
        "{name} {:.1}x ({:.0} MB/s against {:.0} MB/s, medians of {rounds} turns; {best:.1}x by the best turns)",
        slow.as_secs_f64() / fast.as_secs_f64(),
        rate(fast),
        rate(slow),
    );
}

/// How long something takes.
pub fn time<T>(run: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    std::hint::black_box(run());
    start.elapsed()
}

/// The middle one.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The shortest one: what other processes on the machine disturbed least.
pub fn best(times: &[Duration]) -> Duration {
    times.iter().min().copied().unwrap_or_default()
}
