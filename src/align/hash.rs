//! Structure hashes, bottom-up: the operation and the multiset of the children's hashes.
//!
//! Children are added up after mixing, so order does not matter and no sorting is needed. Equal structures have equal
//! hashes; unequal ones may collide (the input is hostile), which only makes a worse match, never a wrong walk.

use super::tree::Tree;

/// The structure hash of every node.
pub fn structure(tree: &Tree) -> Vec<u64> {
    let mut hashes: Vec<u64> = vec![0; tree.len()];
    for (index, node) in tree.nodes().iter().enumerate().rev() {
        let below = hashes.get(index).copied().unwrap_or_default();
        let own = mix(below ^ mix(u64::from(node.operation.0) + 1));
        if let Some(slot) = hashes.get_mut(index) {
            *slot = own;
        }
        if let Some(parent) = hashes.get_mut(node.parent as usize) {
            *parent = parent.wrapping_add(mix(own));
        }
    }
    hashes
}

/// A 64-bit finalizer (multiply and shift twice): every input bit reaches every output bit.
pub const fn mix(mut value: u64) -> u64 {
    value ^= value >> 32;
    value = value.wrapping_mul(0xd6e8_feb8_6659_fd93);
    value ^= value >> 32;
    value = value.wrapping_mul(0xd6e8_feb8_6659_fd93);
    value ^ (value >> 32)
}
