//! Minimum-cost assignment of two small lists, and the pairing of two sorted lists that is optimal on a line.

/// Assigns rows to columns so that the sum of costs is smallest: `result[row]` is a column, or `None` for the rows
/// that are left over when there are more rows than columns. Ties go to smaller columns.
///
/// Successive shortest paths with potentials (Jonker–Volgenant style), O(rows² · columns).
pub fn assign(rows: usize, columns: usize, cost: &dyn Fn(usize, usize) -> i64) -> Vec<Option<usize>> {
    if rows > columns {
        let transposed = assign(columns, rows, &|row, column| cost(column, row));
        let mut result = vec![None; rows];
        for (column, row) in transposed.into_iter().enumerate() {
            if let Some(slot) = row.and_then(|row| result.get_mut(row)) {
                *slot = Some(column);
            }
        }
        return result;
    }
    let mut solver = Solver::new(rows, columns);
    for row in 1..=rows {
        solver.add_row(row, cost);
    }
    solver.into_result(rows)
}

/// Rows and columns count from 1 in here; column 0 is the start of every augmenting path.
struct Solver {
    row_potential: Vec<i64>,
    column_potential: Vec<i64>,
    row_of: Vec<usize>,
    came_from: Vec<usize>,
}

#[allow(clippy::indexing_slicing, reason = "all indices are bounded by the sizes the vectors were made with")]
impl Solver {
    fn new(rows: usize, columns: usize) -> Solver {
        Solver {
            row_potential: vec![0; rows + 1],
            column_potential: vec![0; columns + 1],
            row_of: vec![0; columns + 1],
            came_from: vec![0; columns + 1],
        }
    }

    fn add_row(&mut self, row: usize, cost: &dyn Fn(usize, usize) -> i64) {
        let columns = self.row_of.len();
        self.row_of[0] = row;
        let mut distance = vec![i64::MAX; columns];
        let mut done = vec![false; columns];
        let mut column = 0;
        while self.row_of[column] != 0 {
            done[column] = true;
            let here = self.row_of[column];
            let (mut step, mut next) = (i64::MAX, 0);
            for other in 1..columns {
                if done[other] {
                    continue;
                }
                let reduced = cost(here - 1, other - 1) - self.row_potential[here] - self.column_potential[other];
                if reduced < distance[other] {
                    distance[other] = reduced;
                    self.came_from[other] = column;
                }
                if distance[other] < step {
                    step = distance[other];
                    next = other;
                }
            }
            for other in 0..columns {
                if done[other] {
                    self.row_potential[self.row_of[other]] += step;
                    self.column_potential[other] -= step;
                } else if distance[other] != i64::MAX {
                    distance[other] -= step;
                }
            }
            column = next;
        }
        while column != 0 {
            let previous = self.came_from[column];
            self.row_of[column] = self.row_of[previous];
            column = previous;
        }
    }

    fn into_result(self, rows: usize) -> Vec<Option<usize>> {
        let mut result = vec![None; rows];
        for (column, &row) in self.row_of.iter().enumerate().skip(1) {
            if row != 0 {
                result[row - 1] = Some(column - 1);
            }
        }
        result
    }
}

/// Pairs two ascending lists so that the sum of the distances is smallest and the shorter list is used up.
/// Returns pairs of indices. Up to `EXACT` cells by dynamic programming, above that in order.
pub fn pair_sorted(a: &[f64], b: &[f64]) -> Vec<(usize, usize)> {
    const EXACT: usize = 64 * 64;
    if a.len() == b.len() || a.len().saturating_mul(b.len()) > EXACT {
        return (0..a.len().min(b.len())).map(|index| (index, index)).collect();
    }
    if a.len() > b.len() {
        return pair_sorted(b, a).into_iter().map(|(x, y)| (y, x)).collect();
    }
    skip_some(a, b)
}

/// `short` is used up, `long` may be skipped: best[i][j] is the cost of pairing the first i of `short` within the
/// first j of `long`.
#[allow(clippy::indexing_slicing, reason = "all indices are bounded by the lengths of the two lists")]
fn skip_some(short: &[f64], long: &[f64]) -> Vec<(usize, usize)> {
    let width = long.len() + 1;
    let mut best = vec![f64::INFINITY; (short.len() + 1) * width];
    best[..width].fill(0.0);
    for i in 1..=short.len() {
        for j in i..width {
            let take = best[(i - 1) * width + j - 1] + (short[i - 1] - long[j - 1]).abs();
            best[i * width + j] = take.min(best[i * width + j - 1]);
        }
    }
    let (mut i, mut j) = (short.len(), long.len());
    let mut pairs = Vec::with_capacity(short.len());
    while i > 0 {
        if j > i && best[i * width + j - 1] <= best[i * width + j] {
            j -= 1;
        } else {
            pairs.push((i - 1, j - 1));
            i -= 1;
            j -= 1;
        }
    }
    pairs.reverse();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_assignment_is_found() {
        let cost = [[4, 1, 3], [2, 0, 5], [3, 2, 2]];
        let result = assign(3, 3, &|row, column| cost[row][column]);
        assert_eq!(result, [Some(1), Some(0), Some(2)]);
    }

    #[test]
    fn left_over_rows_and_columns_are_left_over() {
        let cost = [[9, 1], [1, 9], [5, 5]];
        assert_eq!(assign(3, 2, &|row, column| cost[row][column]), [Some(1), Some(0), None]);
        assert_eq!(assign(2, 3, &|row, column| cost[column][row]), [Some(1), Some(0)]);
        assert_eq!(assign(0, 3, &|_, _| 0), []);
        assert_eq!(assign(2, 0, &|_, _| 0), [None, None]);
    }

    #[test]
    fn assignment_agrees_with_trying_everything() {
        let mut state = 1u64;
        for _ in 0..200 {
            let mut next = || {
                state = super::super::hash::mix(state.wrapping_add(0x9e37_79b9));
                (state % 20) as i64
            };
            let cost: Vec<Vec<i64>> = (0..4).map(|_| (0..4).map(|_| next()).collect()).collect();
            let total = |order: &[usize]| order.iter().enumerate().map(|(row, &column)| cost[row][column]).sum::<i64>();
            let mut best = i64::MAX;
            for code in 0..256usize {
                let order = [code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6];
                if (0..4).all(|column| order.contains(&column)) {
                    best = best.min(total(&order));
                }
            }
            let found: Vec<usize> = assign(4, 4, &|row, column| cost[row][column]).into_iter().flatten().collect();
            assert_eq!(total(&found), best);
        }
    }

    #[test]
    fn sorted_lists_are_paired_by_distance() {
        assert_eq!(pair_sorted(&[5.0, 5.0, 100.0], &[5.0, 5.0, 100.0]), [(0, 0), (1, 1), (2, 2)]);
        assert_eq!(pair_sorted(&[5.0, 100.0], &[5.0, 6.0, 99.0]), [(0, 0), (1, 2)]);
        assert_eq!(pair_sorted(&[1.0, 2.0, 3.0], &[3.0]), [(2, 0)]);
    }
}
