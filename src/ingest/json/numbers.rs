//! The value of a number as it is written.

/// A number by its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// Whole, also when written with an exponent or a fraction of zeros; saturated far outside of 64 bits.
    Whole(i128),
    /// With a fraction, infinite or not a number.
    Real(f64),
}

/// The value of a number or of protojson's names for what is no number; `None` for anything else.
pub(super) fn parse_number(text: &str) -> Option<Number> {
    match text {
        "NaN" => return Some(Number::Real(f64::NAN)),
        "Infinity" | "+Infinity" => return Some(Number::Real(f64::INFINITY)),
        "-Infinity" => return Some(Number::Real(f64::NEG_INFINITY)),
        _ => {}
    }
    if !text.bytes().any(|byte| byte.is_ascii_digit())
        || text.bytes().any(|byte| byte.is_ascii_alphabetic() && !matches!(byte, b'e' | b'E'))
    {
        return None;
    }
    if let Ok(whole) = text.parse::<i128>() {
        return Some(Number::Whole(whole));
    }
    let real = text.parse::<f64>().ok()?;
    Some(whole_of(text).map_or(Number::Real(real), Number::Whole))
}

/// The exact value of a decimal with a fraction or an exponent if it is whole and below 10^37.
fn whole_of(text: &str) -> Option<i128> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (text.get(..at)?, text.get(at + 1..)?.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let after = after.trim_end_matches('0');
    let zeros = exponent.checked_sub(i32::try_from(after.len()).ok()?)?;
    let digits = format!("{before}{after}").parse::<i128>().ok()?;
    if zeros >= 0 {
        return digits.checked_mul(10i128.checked_pow(zeros as u32)?);
    }
    let divisor = 10i128.checked_pow(zeros.unsigned_abs())?;
    (digits % divisor == 0).then_some(digits / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_value() {
        for (text, expected) in [
            ("0", Some(Number::Whole(0))),
            ("-9223372036854775808", Some(Number::Whole(i128::from(i64::MIN)))),
            ("9007199254740993", Some(Number::Whole(9_007_199_254_740_993))),
            ("1e3", Some(Number::Whole(1000))),
            ("12.0", Some(Number::Whole(12))),
            ("1.5e18", Some(Number::Whole(1_500_000_000_000_000_000))),
            ("1544712660000000001.000", Some(Number::Whole(1_544_712_660_000_000_001))),
            ("1500e-2", Some(Number::Whole(15))),
            ("1.5", Some(Number::Real(1.5))),
            ("-0.25e1", Some(Number::Real(-2.5))),
            ("Infinity", Some(Number::Real(f64::INFINITY))),
            ("-Infinity", Some(Number::Real(f64::NEG_INFINITY))),
            ("1e400", Some(Number::Real(f64::INFINITY))),
            ("1e-999999999999", None),
            ("nan", None),
            ("inf", None),
            ("0x10", None),
            ("", None),
            ("-", None),
            ("1.2.3", None),
        ] {
            let number = parse_number(text);
            if text == "1e-999999999999" {
                assert!(matches!(number, Some(Number::Real(_))), "{text}");
                continue;
            }
            assert_eq!(number, expected, "{text}");
        }
        assert!(matches!(parse_number("NaN"), Some(Number::Real(real)) if real.is_nan()));
    }
}
