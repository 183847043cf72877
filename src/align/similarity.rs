//! How alike two subtrees are, by the sets of operations below them.

use super::tree::Tree;
use crate::model::OperationId;

/// Descendants looked at on each side. A subtree is judged by its first so many nodes in pre-order, so that a chain
/// of a hundred thousand renamed spans stays linear.
const SEEN: usize = 256;

/// Dice coefficient of two sorted lists without repeats: 2·common / (both lengths), 0 to 1; 1 when both are empty.
pub fn dice_of_sorted<T: Ord>(a: &[T], b: &[T]) -> f64 {
    if a.is_empty() && b.is_empty() {
        return 1.0;
    }
    2.0 * common(a, b) as f64 / (a.len() + b.len()) as f64
}

fn common<T: Ord>(mut a: &[T], mut b: &[T]) -> usize {
    let mut count = 0;
    while let (Some((x, a_rest)), Some((y, b_rest))) = (a.split_first(), b.split_first()) {
        match x.cmp(y) {
            std::cmp::Ordering::Less => a = a_rest,
            std::cmp::Ordering::Greater => b = b_rest,
            std::cmp::Ordering::Equal => {
                count += 1;
                a = a_rest;
                b = b_rest;
            }
        }
    }
    count
}

/// The distinct operations below a node, sorted.
pub fn operations_below(tree: &Tree, index: u32) -> Vec<OperationId> {
    let mut operations: Vec<OperationId> = tree.descendants(index, SEEN).iter().map(|node| node.operation).collect();
    operations.sort_unstable();
    operations.dedup();
    operations
}

/// Dice coefficient of the operation sets below two nodes; 1 when both are leaves.
pub fn below(before: &Tree, a: u32, after: &Tree, b: u32) -> f64 {
    if before.size(a) == 1 || after.size(b) == 1 {
        return f64::from(u8::from(before.size(a) == after.size(b)));
    }
    dice_of_sorted(&operations_below(before, a), &operations_below(after, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dice_counts_what_is_common() {
        assert!((dice_of_sorted(&[1, 2, 3], &[2, 3, 4]) - 2.0 / 3.0).abs() < 1e-12);
        assert!((dice_of_sorted::<u8>(&[], &[]) - 1.0).abs() < 1e-12);
        assert!(dice_of_sorted(&[1], &[2]).abs() < 1e-12);
    }
}
