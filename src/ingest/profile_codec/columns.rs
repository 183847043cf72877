//! Columns of tables: fixed-point numbers, differences, rows.

use super::generated::FixedPoints;

/// What is wrong with a part, for the error that names its place.
pub type Part<T> = Result<T, String>;

/// The largest fixed-point number that is written or read: 2¹⁶ files of nothing else can be added.
pub const MOST_FIXED: u128 = (1 << 112) - 1;
/// The largest count that is written or read.
pub const MOST_COUNT: u64 = (1 << 48) - 1;

/// Numbers with 32 binary places as three columns; `None` when all are zero.
pub fn fixed(numbers: impl IntoIterator<Item = u128>) -> Option<FixedPoints> {
    let mut points = FixedPoints::default();
    for number in numbers {
        let number = number.min(MOST_FIXED);
        points.whole.push((number >> 32) as u64);
        points.fraction.push(number as u32);
        points.over.push((number >> 96) as u32);
    }
    clear_zeros(&mut points.whole);
    clear_zeros(&mut points.fraction);
    clear_zeros(&mut points.over);
    let some = !(points.whole.is_empty() && points.fraction.is_empty() && points.over.is_empty());
    some.then_some(points)
}

fn clear_zeros<T: Default + PartialEq>(list: &mut Vec<T>) {
    if list.iter().all(|value| *value == T::default()) {
        *list = Vec::new();
    }
}

/// The numbers of so many rows, the reverse of [`fixed`].
pub fn numbers(points: Option<&FixedPoints>, rows: usize) -> Part<Vec<u128>> {
    let Some(FixedPoints { whole, fraction, over }) = points else { return Ok(vec![0; rows]) };
    for length in [whole.len(), fraction.len(), over.len()] {
        if length != 0 && length != rows {
            return Err(format!("{length} numbers for {rows} rows"));
        }
    }
    let part = |at: usize| {
        let fraction = fraction.get(at).copied().unwrap_or(0);
        let (whole, over) = (whole.get(at).copied().unwrap_or(0), over.get(at).copied().unwrap_or(0));
        u128::from(over) << 96 | u128::from(whole) << 32 | u128::from(fraction)
    };
    let numbers: Vec<u128> = (0..rows).map(part).collect();
    if numbers.iter().any(|number| *number > MOST_FIXED) { Err("a number is out of range".into()) } else { Ok(numbers) }
}

/// Numbers that must fit into 64 bits.
pub fn masses(points: Option<&FixedPoints>, rows: usize) -> Part<Vec<u64>> {
    let number = |number| u64::try_from(number).map_err(|_| "a mass is out of range".to_owned());
    numbers(points, rows)?.into_iter().map(number).collect()
}

/// A column of counts, one for each of so many rows.
pub fn counts(column: &[u64], rows: usize) -> Part<&[u64]> {
    if column.iter().any(|count| *count > MOST_COUNT) {
        return Err("a count is out of range".into());
    }
    of_rows(column, rows)
}

/// A column, which must have so many rows.
pub fn of_rows<T>(column: &[T], rows: usize) -> Part<&[T]> {
    if column.len() == rows { Ok(column) } else { Err(format!("{} entries for {rows} rows", column.len())) }
}

/// A count as it is written.
pub fn count(count: u64) -> u64 {
    count.min(MOST_COUNT)
}

/// Ascending numbers as the first and the differences.
pub fn differences(numbers: impl IntoIterator<Item = u64>) -> impl Iterator<Item = u64> {
    let mut last = 0;
    numbers.into_iter().map(move |number| number.wrapping_sub(std::mem::replace(&mut last, number)))
}

/// The ascending numbers, at most `most`, the reverse of [`differences`].
pub fn ascending(differences: impl IntoIterator<Item = u64>, most: u64) -> Part<Vec<u64>> {
    let mut last: Option<u64> = None;
    let add = |difference: u64| {
        let number = match last {
            Some(_) if difference == 0 => return Err("the same number twice".to_owned()),
            Some(last) => last.checked_add(difference),
            None => Some(difference),
        };
        last = number;
        number.filter(|number| *number <= most).ok_or_else(|| format!("a number over {most}"))
    };
    differences.into_iter().map(add).collect()
}

/// Cuts a column of `rows` entries into pieces of these lengths, which must use it up.
pub fn pieces<'a, T>(column: &'a [T], lengths: &[u32]) -> Part<Vec<&'a [T]>> {
    let mut rest = column;
    let mut pieces = Vec::with_capacity(lengths.len());
    for &length in lengths {
        let (piece, behind) = rest.split_at_checked(length as usize).ok_or("counts are larger than their table")?;
        pieces.push(piece);
        rest = behind;
    }
    if rest.is_empty() { Ok(pieces) } else { Err("counts are smaller than their table".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_point_numbers_survive_and_zeros_take_no_room() {
        let ones = 1 << 32;
        for list in [vec![], vec![0, 0], vec![ones, 7 * ones], vec![1, ones - 1], vec![0, MOST_FIXED, 1 << 97]] {
            let points = fixed(list.iter().copied());
            assert_eq!(numbers(points.as_ref(), list.len()), Ok(list.clone()), "{points:?}");
        }
        assert_eq!(fixed([0, 0]), None);
        assert!(fixed([ones, ones]).unwrap().fraction.is_empty());
        assert_eq!(numbers(fixed([u128::MAX]).as_ref(), 1), Ok(vec![MOST_FIXED]));
        assert!(numbers(fixed([1]).as_ref(), 2).is_err());
        let over = FixedPoints { over: vec![1 << 16], ..FixedPoints::default() };
        assert!(numbers(Some(&over), 1).is_err());
    }

    #[test]
    fn differences_are_summed_up_again() {
        let list = vec![0, 1, 5, u64::MAX];
        let written: Vec<u64> = differences(list.iter().copied()).collect();
        assert_eq!(written, [0, 1, 4, u64::MAX - 5]);
        assert_eq!(ascending(written.iter().copied(), u64::MAX), Ok(list));
        assert!(ascending(written, 100).is_err());
        assert!(ascending([1, 0], 100).is_err());
        assert!(ascending([1, u64::MAX], u64::MAX).is_err());
    }

    #[test]
    fn pieces_use_their_table_up() {
        assert_eq!(pieces(&[1, 2, 3], &[1, 0, 2]), Ok(vec![&[1][..], &[], &[2, 3]]));
        assert!(pieces(&[1, 2, 3], &[1, 1]).is_err());
        assert!(pieces(&[1], &[u32::MAX]).is_err());
    }
}
