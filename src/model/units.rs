//! Numbers as people read them: durations, differences, shares, counts, bytes.
//!
//! Every value is rounded once, from an integer where the input is one, and a value that rounds to nothing has no
//! sign: `-0` never appears.

/// Below this many nanoseconds: resolution, size of the unit, name of the unit, decimals.
const STEPS: [(u64, u64, u64, &str, usize); 8] = [
    (1_000, 1, 1, "ns", 0),
    (10_000, 100, 1_000, "µs", 1),
    (1_000_000, 1_000, 1_000, "µs", 0),
    (10_000_000, 100_000, 1_000_000, "ms", 1),
    (1_000_000_000, 1_000_000, 1_000_000, "ms", 0),
    (10_000_000_000, 10_000_000, 1_000_000_000, "s", 2),
    (100_000_000_000, 100_000_000, 1_000_000_000, "s", 1),
    (600_000_000_000, 1_000_000_000, 1_000_000_000, "s", 0),
];

/// A duration in nanoseconds with two or three significant digits: `1.46 s`, `118 ms`, `9.8 ms`, `850 µs`, `12 ns`;
/// from ten minutes on `12 min 5 s`, `3 h 12 min`, `2 d 4 h`.
pub fn duration(ns: u64) -> String {
    for (below, resolution, unit_ns, unit, decimals) in STEPS {
        let steps = ns / resolution + u64::from(ns % resolution >= resolution.div_ceil(2));
        // Rounding up may reach the next unit: 999.7 ms is 1.00 s.
        if steps < below / resolution {
            let scale = unit_ns / resolution;
            return match decimals {
                0 => format!("{steps} {unit}"),
                _ => format!("{}.{:0decimals$} {unit}", steps / scale, steps % scale),
            };
        }
    }
    let seconds = ns / 1_000_000_000 + u64::from(ns % 1_000_000_000 >= 500_000_000);
    match seconds {
        0..7_200 => format!("{} min {} s", seconds / 60, seconds % 60),
        7_200..172_800 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", count(seconds / 86_400), seconds % 86_400 / 3_600),
    }
}

/// A difference in nanoseconds with its sign: `+118 ms`, `-14 ms`, `0 ms`.
pub fn signed_duration(ns: i64) -> String {
    match ns {
        0 => "0 ms".into(),
        1.. => format!("+{}", duration(ns.unsigned_abs())),
        _ => format!("-{}", duration(ns.unsigned_abs())),
    }
}

/// A count with separators: `1,204`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A mean count: whole where it is whole, else one decimal: `12`, `1.4`, `1,204`.
pub fn mean_count(number: f64) -> String {
    if !number.is_finite() {
        return "?".into();
    }
    let tenths = (number.abs() * 10.0).round().min(1e18) as u64;
    let sign = if number < 0.0 && tenths > 0 { "-" } else { "" };
    match tenths % 10 {
        0 => format!("{sign}{}", count(tenths / 10)),
        rest => format!("{sign}{}.{rest}", count(tenths / 10)),
    }
}

/// A count and its noun: `1 span`, `50 spans`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// Calls on both sides: `×1→×12`, or `×3` when they are equal.
pub fn calls(before: f64, after: f64) -> String {
    let (before, after) = (mean_count(before), mean_count(after));
    if before == after { format!("×{after}") } else { format!("×{before}→×{after}") }
}

/// A share of one as a percentage without sign for positive ones: `63 %`, `0.4 %`, `-8 %`.
pub fn percent(share: f64) -> String {
    if !share.is_finite() {
        return "?".into();
    }
    let value = share.abs() * 100.0;
    let (text, nothing) = if value >= 0.95 {
        (count(value.round().min(1e18) as u64), false)
    } else {
        let tenths = (value * 10.0).round() as u64;
        if tenths == 0 { ("0".into(), true) } else { (format!("0.{tenths}"), false) }
    };
    let sign = if share < 0.0 && !nothing { "-" } else { "" };
    format!("{sign}{text} %")
}

/// A share of one as a percentage with its sign: `+63 %`, `-10 %`, `0 %`.
pub fn signed_percent(share: f64) -> String {
    let text = percent(share);
    if text.starts_with(['-', '?']) || text.starts_with("0 ") { text } else { format!("+{text}") }
}

/// How much `delta` is of `base`, as a signed percentage; `None` when the base is zero.
pub fn relative(delta: i64, base: i64) -> Option<String> {
    (base != 0).then(|| signed_percent(delta as f64 / base as f64))
}

/// A ratio after/before: `×1.12`.
pub fn ratio(ratio: f64) -> String {
    if ratio.is_finite() { format!("×{ratio:.2}") } else { "?".into() }
}

/// A probability with up to two digits: `0.032`, `4e-9`.
pub fn probability(p: f64) -> String {
    match p {
        p if !p.is_finite() => "?".into(),
        p if p >= 0.0995 => format!("{p:.2}"),
        p if p >= 0.001 => format!("{p:.3}"),
        p if p > 0.0 => format!("{p:.0e}"),
        _ => "0".into(),
    }
}

/// Bytes in binary units: `512 B`, `1.5 KiB`, `64 MiB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if number < 1_024 {
        return format!("{number} B");
    }
    let mut value = number as f64 / 1_024.0;
    let mut unit = 0;
    // 1023.95 would be shown as 1024.
    while value >= 1_023.95 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if value < 9.95 { format!("{value:.1} {name}") } else { format!("{value:.0} {name}") }
}

/// Differences in one unit, so that the printed rows add up to the printed total.
///
/// Each value is rounded to the column's resolution; what rounding loses is given to the rows with the largest
/// rounding errors, so that no row is off by more than one in its last digit.
pub fn adding_up(rows: &[i64], total: i64) -> (Vec<String>, String) {
    let largest = rows.iter().chain([&total]).map(|value| value.unsigned_abs()).max().unwrap_or_default();
    let (resolution, per_unit, unit, decimals) = match largest {
        1..1_000 => (1, 1, "ns", 0),
        1_000..1_000_000 => (100, 10, "µs", 1),
        0 | 1_000_000..10_000_000_000 => (100_000, 10, "ms", 1),
        _ => (10_000_000, 100, "s", 2),
    };
    let round = |value: i64| value.saturating_add(resolution / 2 * value.signum()) / resolution;
    let mut steps: Vec<i64> = rows.iter().map(|&value| round(value)).collect();
    let goal = round(total);
    let mut missing = goal - steps.iter().sum::<i64>();
    let mut by_error: Vec<usize> = (0..rows.len()).collect();
    let error = |index: &usize| rows.get(*index).map_or(0, |&value| value - round(value) * resolution);
    by_error.sort_by_key(|index| (-error(index) * missing.signum(), *index));
    for index in by_error {
        if let Some(step) = steps.get_mut(index)
            && missing != 0
        {
            *step += missing.signum();
            missing -= missing.signum();
        }
    }
    let show = |step: i64| {
        let sign = match step {
            0 => "",
            1.. => "+",
            _ => "-",
        };
        let size = step.unsigned_abs();
        match decimals {
            0 => format!("{sign}{} {unit}", count(size)),
            _ => format!("{sign}{}.{:0decimals$} {unit}", count(size / per_unit), size % per_unit),
        }
    };
    (steps.into_iter().map(show).collect(), show(goal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_or_three_digits() {
        for (ns, shown) in [
            (0, "0 ns"),
            (12, "12 ns"),
            (999, "999 ns"),
            (1_000, "1.0 µs"),
            (9_949, "9.9 µs"),
            (9_950, "10 µs"),
            (850_000, "850 µs"),
            (999_499, "999 µs"),
            (999_500, "1.0 ms"),
            (9_800_000, "9.8 ms"),
            (117_600_000, "118 ms"),
            (999_499_999, "999 ms"),
            (999_500_000, "1.00 s"),
            (1_460_000_000, "1.46 s"),
            (9_994_999_999, "9.99 s"),
            (9_995_000_000, "10.0 s"),
            (125_000_000_000, "125 s"),
            (599_500_000_000, "10 min 0 s"),
            (725_000_000_000, "12 min 5 s"),
            (11_520_000_000_000, "3 h 12 min"),
            (187_200_000_000_000, "2 d 4 h"),
            (u64::MAX, "213,503 d 23 h"),
        ] {
            assert_eq!(duration(ns), shown, "{ns} ns");
        }
    }

    #[test]
    fn probabilities_are_short() {
        for (p, shown) in [(0.5, "0.50"), (0.0321, "0.032"), (4.2e-9, "4e-9"), (0.0, "0"), (f64::NAN, "?")] {
            assert_eq!(probability(p), shown);
        }
    }

    #[test]
    fn differences_carry_their_sign() {
        for (ns, shown) in [
            (0, "0 ms"),
            (1, "+1 ns"),
            (-1, "-1 ns"),
            (118_000_000, "+118 ms"),
            (-150_000_000, "-150 ms"),
            (i64::MIN, "-106,751 d 23 h"),
        ] {
            assert_eq!(signed_duration(ns), shown);
        }
    }

    #[test]
    fn shares_never_show_a_negative_zero() {
        for (share, plain, signed) in [
            (0.0, "0 %", "0 %"),
            (-0.0, "0 %", "0 %"),
            (-0.000_4, "0 %", "0 %"),
            (0.004, "0.4 %", "+0.4 %"),
            (0.006, "0.6 %", "+0.6 %"),
            (0.009_96, "1 %", "+1 %"),
            (-0.08, "-8 %", "-8 %"),
            (0.625, "63 %", "+63 %"),
            (12.0, "1,200 %", "+1,200 %"),
            (f64::NAN, "?", "?"),
            (f64::INFINITY, "?", "?"),
        ] {
            assert_eq!(percent(share), plain);
            assert_eq!(signed_percent(share), signed);
        }
        assert_eq!(relative(-150, 1_460).as_deref(), Some("-10 %"));
        assert_eq!(relative(5, 0), None);
    }

    #[test]
    fn counts_have_separators() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_204), "1,204");
        assert_eq!(count(1_000_000), "1,000,000");
        assert_eq!(counted(1, "span", "spans"), "1 span");
        assert_eq!(counted(0, "span", "spans"), "0 spans");
        assert_eq!(mean_count(1.44), "1.4");
        assert_eq!(mean_count(1.96), "2");
        assert_eq!(mean_count(-0.01), "0");
        assert_eq!(calls(1.0, 12.0), "×1→×12");
        assert_eq!(calls(3.0, 3.0), "×3");
        assert_eq!(ratio(1.125), "×1.12");
    }

    #[test]
    fn bytes_are_binary() {
        for (number, shown) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (10_240, "10 KiB"),
            (1_048_575, "1.0 MiB"),
            (64 << 20, "64 MiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(bytes(number), shown, "{number}");
        }
    }

    #[test]
    fn a_column_adds_up_as_printed() {
        let (rows, total) = adding_up(&[33_340_000, 33_340_000, 33_340_000], 100_020_000);
        assert_eq!(total, "+100.0 ms");
        assert_eq!(rows, ["+33.4 ms", "+33.3 ms", "+33.3 ms"]);
        let (rows, total) = adding_up(&[-160_000_000, 40_000, 9_960_000], -150_000_000);
        assert_eq!((rows.join(" "), total), ("-160.0 ms 0.0 ms +10.0 ms".into(), "-150.0 ms".into()));
        assert_eq!(adding_up(&[0], 0), (vec!["0.0 ms".into()], "0.0 ms".into()));
    }
}
