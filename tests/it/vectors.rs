//! The room of statistics against scipy, and against the definitions written out in numpy
//! (`tests/vectors/make_vectors.py`); and what a broken variance would break first, the rate of false alarms.

use crate::null;
use serde_json::Value;
use spandiff::stats::distribution::{SMALLEST_P, normal_above, normal_quantile_above, t_above, t_quantile_above};
use spandiff::stats::histogram::{Cell, Histogram, ONE, bin_of};
use spandiff::stats::{absence, counts, multiple, quantile, rank, shape, shift};
use std::path::Path;

fn cases(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name).with_extension("json");
    let mut file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases: Vec<Value> = serde_json::from_value(file["cases"].take()).unwrap();
    assert!(!cases.is_empty(), "{name}");
    cases
}

fn number(case: &Value, key: &str) -> f64 {
    case[key].as_f64().unwrap_or_else(|| panic!("{key} in {case}"))
}

fn whole(case: &Value, key: &str) -> u64 {
    case[key].as_u64().unwrap_or_else(|| panic!("{key} in {case}"))
}

/// Equal but for a relative difference of `digits`.
fn close(found: f64, expected: f64, tolerance: f64, what: &str) {
    let scale = expected.abs().max(1e-300);
    assert!((found - expected).abs() <= tolerance * scale, "{what}: {found}, expected {expected}");
}

/// One trace a shard where there are at most 64, else shards by turns.
fn sample(case: &Value, key: &str) -> Histogram {
    let values = case[key].as_array().unwrap().iter().enumerate();
    Histogram::from_cells(values.map(|(n, ns)| Cell {
        shard: (n % 64) as u8,
        bin: bin_of(ns.as_u64().unwrap()),
        mass: ONE,
    }))
}

#[test]
fn one_trace_a_shard_is_brunner_and_munzel() {
    for case in cases("brunner_munzel") {
        let test = rank::rank_test(&sample(&case, "before"), &sample(&case, "after")).unwrap();
        close(test.theta, number(&case, "theta"), 1e-9, "theta");
        close(test.se, number(&case, "se"), 1e-8, "se");
        // Taken back from a p value by root finding.
        close(test.df, number(&case, "df"), 1e-5, "df");
    }
}

#[test]
fn traces_are_the_observations() {
    let arm = |case: &Value, key: &str| {
        let mut cells = Vec::new();
        for trace in case[key].as_array().unwrap() {
            let (shard, weight) = (trace[0].as_u64().unwrap(), trace[1].as_u64().unwrap());
            let spans = trace[2].as_array().unwrap();
            cells.extend(spans.iter().map(|ns| Cell {
                shard: shard as u8,
                bin: bin_of(ns.as_u64().unwrap()),
                mass: ONE * weight / spans.len() as u64,
            }));
        }
        Histogram::from_cells(cells)
    };
    for case in cases("clustered") {
        let test = rank::rank_test(&arm(&case, "before"), &arm(&case, "after")).unwrap();
        // Thirds of 2^32 are rounded.
        close(test.theta, number(&case, "theta"), 1e-8, "theta");
        close(test.se, number(&case, "se"), 1e-7, "se");
        close(test.df, number(&case, "df"), 1e-6, "df");
    }
}

#[test]
fn the_shift_is_the_median_of_pairwise_differences() {
    for case in cases("hodges_lehmann") {
        let found = shift::hodges_lehmann(&sample(&case, "before"), &sample(&case, "after"), 0.95).unwrap();
        let (estimate, expected) = (found.log_ratio.estimate, number(&case, "estimate"));
        // A bin is 3 % wide; inside it values are taken for evenly spread.
        assert!((estimate - expected).abs() < 0.005, "{estimate}, expected {expected}");
    }
}

#[test]
fn distances_are_those_of_scipy() {
    for case in cases("distances") {
        let (before, after) = (sample(&case, "before"), sample(&case, "after"));
        close(shape::wasserstein_log(&before, &after), number(&case, "wasserstein"), 1e-9, "wasserstein");
        close(shape::anderson_darling(&before, &after), number(&case, "anderson_darling"), 1e-9, "anderson_darling");
    }
}

#[test]
fn quantiles_are_within_a_bin() {
    for case in cases("quantiles") {
        let histogram = sample(&case, "values");
        for (q, expected) in case["quantiles"].as_object().unwrap() {
            let found = quantile::quantile(&histogram, q.parse().unwrap()).unwrap();
            close(found, expected.as_f64().unwrap(), 1.0 / 32.0, q);
        }
    }
}

#[test]
fn counts_are_those_of_scipy() {
    for case in cases("fisher") {
        let [x1, n1, x2, n2] = ["x1", "n1", "x2", "n2"].map(|key| whole(&case, key));
        let what = case.to_string();
        close(counts::fisher_greater(x1, n1, x2, n2), number(&case, "greater").max(SMALLEST_P), 1e-6, &what);
        close(counts::fisher_less(x1, n1, x2, n2), number(&case, "less").max(SMALLEST_P), 1e-6, &what);
        if let Some(two_sided) = case["two_sided"].as_f64() {
            close(counts::fisher_two_sided(x1, n1, x2, n2), two_sided, 1e-6, &what);
        }
    }
    for case in cases("newcombe") {
        let [x1, n1, x2, n2] = ["x1", "n1", "x2", "n2"].map(|key| whole(&case, key));
        let found = counts::newcombe(x1, n1, x2, n2, number(&case, "level"));
        assert!((found.low - number(&case, "low")).abs() < 1e-9, "{found:?} {case}");
        assert!((found.high - number(&case, "high")).abs() < 1e-9, "{found:?} {case}");
    }
}

#[test]
fn absence_is_beta_binomial() {
    for case in cases("absence") {
        let found = absence::p_absent(whole(&case, "x"), whole(&case, "m"), whole(&case, "n"));
        close(found, number(&case, "p"), 1e-6, &case.to_string());
    }
    for case in cases("enrichment") {
        let [inside_with, inside, all_with, all] =
            ["inside_with", "inside", "all_with", "all"].map(|key| whole(&case, key));
        let found = absence::hypergeometric_enrichment(inside_with, inside, all_with, all);
        close(found, number(&case, "p"), 1e-8, &case.to_string());
    }
}

#[test]
fn tails_are_those_of_scipy() {
    for case in cases("tails") {
        let (t, what) = (number(&case, "t"), case.to_string());
        let (p, quantile) = match case["df"].as_f64() {
            Some(df) => (t_above(t, df), t_quantile_above(0.025, df)),
            None => (normal_above(t), normal_quantile_above(0.025)),
        };
        close(p, number(&case, "p"), 1e-7, &what);
        close(quantile, number(&case, "quantile_05"), 1e-9, &what);
    }
}

#[test]
fn false_discoveries_are_those_of_scipy() {
    for case in cases("false_discovery") {
        let list = |key: &str| -> Vec<f64> { serde_json::from_value(case[key].clone()).unwrap() };
        for (found, expected) in multiple::benjamini_hochberg(&list("p")).iter().zip(list("q")) {
            close(*found, expected, 1e-12, "q");
        }
    }
}

#[test]
fn false_alarms_are_as_rare_as_promised() {
    // The short version of `cargo bench --bench bench -- null`. Of 600, 30 ± 5.3 are expected; spans taken for
    // independent would give 130 at 4 calls and 290 at 20, shards taken for traces none or far more.
    for calls in [1, 4, 20] {
        let alarms = null::alarms(200, 200, calls, 600, 0.0, 41 + calls as u64);
        assert!((13..=52).contains(&alarms), "{calls} calls: {alarms} of 600 at 5 %");
    }
    // And the test does see something: 20 % slower with log sd 0.6 and 200 traces.
    assert!(null::alarms(200, 200, 4, 100, 0.2, 77) > 80);
}
