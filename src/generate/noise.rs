//! Chance: how long a piece of work takes when it is asked again, and what differs between windows and replicas though
//! nobody changed anything.
//!
//! As in `random`, only `+ − × ÷` and roots are used on floating point, so that a seed gives the same bytes everywhere.

use super::Options;
use super::program::{Node, Program};
use super::random::Random;
use super::record::Process;
use crate::model::Side;
use std::collections::BTreeMap;

/// Streams of random numbers for labels begin here; those of requests and of the deployment are elsewhere.
const LABEL_STREAMS: u64 = 1 << 63;
/// One run of an operation in so many is slow for no reason that a trace shows: a collection of garbage, a cold page.
const SLOW_ONE_IN: u64 = 64;
/// … and its own work takes so many times as long.
const SLOW_FACTOR: f64 = 2.5;

/// How durations vary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Noise {
    /// Every piece of work on its own, evenly around its usual time.
    #[default]
    Uniform,
    /// As in production: skewed to the right, with slow requests in which everything is slow, and now and then a run
    /// that takes 2.5 times as long.
    LogNormal,
}

impl Noise {
    /// All kinds.
    pub const ALL: [Noise; 2] = [Noise::Uniform, Noise::LogNormal];

    /// Its name on the command line and in the truth.
    pub const fn name(self) -> &'static str {
        match self {
            Noise::Uniform => "uniform",
            Noise::LogNormal => "lognormal",
        }
    }

    /// The noise with this name.
    pub fn from_name(name: &str) -> Option<Noise> {
        Noise::ALL.into_iter().find(|noise| noise.name() == name)
    }
}

/// The conditions of one side: what chance does there.
#[derive(Debug)]
pub struct Climate {
    noise: Noise,
    jitter: f64,
    /// Factor on the own work of operations by label, for this window.
    paths: BTreeMap<&'static str, f64>,
    /// Factor on the work of processes by number.
    processes: Vec<f64>,
}

impl Climate {
    /// The conditions of a side: `options` says how rough they are.
    pub fn new(options: &Options, side: Side, program: &Program, processes: &[Process]) -> Climate {
        // Both windows stray, so that they differ by the deviation asked for.
        let drift = share(options.drift) * std::f64::consts::FRAC_1_SQRT_2;
        let mut paths = BTreeMap::new();
        if drift > 0.0 {
            program.visit(&mut |node| {
                let mut random = Random::stream(options.seed, side as u64, LABEL_STREAMS | hash(node.label) >> 1);
                paths.insert(node.label, exp(drift * random.normal()));
            });
        }
        let spread = share(options.replica_spread);
        let mut random = Random::stream(options.seed, side as u64, LABEL_STREAMS - 1);
        let factor = |_: &Process| if spread > 0.0 { exp(spread * random.normal()) } else { 1.0 };
        Climate {
            noise: options.noise,
            jitter: options.usable_jitter(),
            paths,
            processes: processes.iter().map(factor).collect(),
        }
    }

    /// The factor that everything in one request shares.
    pub fn of_request(&self, random: &mut Random) -> f64 {
        match self.noise {
            Noise::Uniform => 1.0,
            Noise::LogNormal => exp(self.jitter / 2.0 * random.normal()),
        }
    }

    /// The factor on the own work of one run of an operation in a process.
    pub fn of_run(&self, node: &Node, process: Option<usize>, random: &mut Random) -> f64 {
        let path = self.paths.get(node.label).copied().unwrap_or(1.0);
        let here = process.and_then(|number| self.processes.get(number)).copied().unwrap_or(1.0);
        let slow = self.noise == Noise::LogNormal && random.below(SLOW_ONE_IN) == 0;
        path * here * if slow { SLOW_FACTOR } else { 1.0 }
    }

    /// The factor on one piece of work.
    pub fn of_work(&self, random: &mut Random) -> f64 {
        match self.noise {
            Noise::Uniform => 1.0 + self.jitter * (2.0 * random.unit() - 1.0),
            Noise::LogNormal => exp(self.jitter * random.normal()),
        }
    }
}

/// A deviation as a share, within a range in which `exp` of it is no surprise; none for a value that is no number.
fn share(value: f64) -> f64 {
    if value > 0.0 { value.min(1.0) } else { 0.0 }
}

fn hash(label: &str) -> u64 {
    label.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The exponential function for |x| ≤ 700, to a few units in the last place: a power of two times a short series.
fn exp(x: f64) -> f64 {
    let whole = (x * std::f64::consts::LOG2_E).round();
    let rest = x - whole * std::f64::consts::LN_2;
    let series = (1..=14).rev().fold(1.0, |sum, n| 1.0 + sum * rest / f64::from(n));
    series * f64::from_bits(((1_023 + whole as i64) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_the_exponential_function() {
        for step in -400..=400 {
            let x = f64::from(step) * 0.05;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-13, "{x}: {} {}", exp(x), x.exp());
        }
        assert!((exp(0.0) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn noise_without_jitter_leaves_work_alone() {
        let climate = Climate { noise: Noise::Uniform, jitter: 0.0, paths: BTreeMap::new(), processes: vec![1.0, 1.5] };
        let mut random = Random::new(1);
        assert!((climate.of_work(&mut random) - 1.0).abs() < f64::EPSILON);
        assert!((climate.of_request(&mut random) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn names_lead_back_to_noises() {
        for noise in Noise::ALL {
            assert_eq!(Noise::from_name(noise.name()), Some(noise));
        }
        assert_eq!(Noise::from_name("pink"), None);
    }
}
