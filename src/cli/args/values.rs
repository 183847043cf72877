//! Values of options: sizes, times, ratios, reports.

/// A whole number, with `KiB`, `MiB` or `GiB` behind it if wanted.
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text.get(digits.len()..)?.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    let number: u64 = digits.trim().replace('_', "").parse().ok()?;
    number.checked_mul(1 << shift)
}

/// A time with its unit: `1ms`, `250us`, `1.5s`, `0`. In nanoseconds.
pub fn parse_time(text: &str) -> Result<u64, String> {
    time(text, &[("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)], "500us, 1ms, 1.5s")
}

/// A time that may be long: `90s`, `5m`, `2h`, `1d`. In nanoseconds.
pub fn parse_long_time(text: &str) -> Result<u64, String> {
    time(text, &[("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3_600e9), ("d", 86_400e9)], "90s, 5m, 2h")
}

fn time(text: &str, units: &[(&str, f64)], examples: &str) -> Result<u64, String> {
    let text = text.trim();
    let number = text.trim_end_matches(|c: char| c.is_alphabetic());
    let unit = text.get(number.len()..).unwrap_or_default();
    let factor = match units.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => *factor,
        None if unit.is_empty() && number == "0" => 1.0,
        None => return Err(format!("expected a time with its unit: {examples}")),
    };
    match number.trim().parse::<f64>() {
        Ok(value) if (0.0..1e9).contains(&value) => Ok((value * factor).round() as u64),
        _ => Err(format!("`{text}` is no time; examples: {examples}")),
    }
}

/// A point in time: RFC 3339, or a whole number of seconds, milliseconds, microseconds or nanoseconds since 1970, told
/// apart by its size. In nanoseconds since 1970.
pub fn parse_point(text: &str) -> Result<u64, String> {
    let text = text.trim();
    if let Ok(number) = text.parse::<u64>() {
        // Seconds reach 10^11 in the year 5138; nanoseconds have passed 10^17 since 1973.
        let factor = match number {
            0..100_000_000_000 => 1_000_000_000,
            100_000_000_000..100_000_000_000_000 => 1_000_000,
            100_000_000_000_000..100_000_000_000_000_000 => 1_000,
            _ => 1,
        };
        return Ok(number.saturating_mul(factor));
    }
    let time: jiff::Timestamp = text.parse().map_err(|error| {
        format!("{error}; expected a time with its zone such as 2026-11-22T14:00:00Z, or seconds since 1970")
    })?;
    u64::try_from(time.as_nanosecond()).map_err(|_| "the time is before 1970".to_owned())
}

/// A ratio of at least 1.
pub fn min_ratio(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(ratio) if (1.0..=1e6).contains(&ratio) => Ok(ratio),
        _ => Err("expected a ratio of 1 or more, such as 1.1 for 10 %".into()),
    }
}

/// A number of deviations.
pub fn sigmas(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(sigmas) if (0.0..=1e6).contains(&sigmas) => Ok(sigmas),
        _ => Err("expected a number of 0 or more".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_have_units() {
        for (text, ns) in [("1ms", 1_000_000), ("250us", 250_000), ("1.5s", 1_500_000_000), ("0", 0), ("7 ns", 7)] {
            assert_eq!(parse_time(text), Ok(ns), "{text}");
        }
        for text in ["", "5", "ms", "-1ms", "1h", "nan ms", "inf s", "1e300s"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
        for (text, seconds) in [("90s", 90), ("5m", 300), ("1.5h", 5_400), ("0", 0), ("1d", 86_400)] {
            assert_eq!(parse_long_time(text), Ok(seconds * 1_000_000_000), "{text}");
        }
        assert!(parse_long_time("5").is_err() && parse_long_time("5 weeks").is_err());
        for (text, size) in [("7", Some(7)), ("64KiB", Some(65_536)), ("1_000", Some(1_000)), ("2 GiB", Some(2 << 30))]
        {
            assert_eq!(parse_size(text), size, "{text}");
        }
        for text in ["", "KiB", "1.5MiB", "-1", "1kb", "99999999999999999999", "99999999TiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn points_in_time_are_dates_or_numbers() {
        let ns = 1_795_183_200_000_000_000;
        for text in [
            "2026-11-20T14:00:00Z",
            "2026-11-20T16:00:00+02:00",
            "2026-11-20 14:00:00Z",
            "1795183200",
            "1795183200000",
            "1795183200000000",
            "1795183200000000000",
        ] {
            assert_eq!(parse_point(text), Ok(ns), "{text}");
        }
        for text in ["", "yesterday", "2026-11-22", "2026-11-22T14:00:00", "1960-01-01T00:00:00Z", "-5"] {
            assert!(parse_point(text).is_err(), "{text}");
        }
    }
}
