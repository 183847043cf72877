//! The exit codes of the contract.

/// Done.
pub const DONE: u8 = 0;
/// Findings, with `--exit-code`.
pub const FINDINGS: u8 = 1;
/// Usage, a side that could not be read, nothing to compare, a bug.
pub const ERROR: u8 = 2;
