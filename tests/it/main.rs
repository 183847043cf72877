//! Integration tests: one binary.

mod generate;
