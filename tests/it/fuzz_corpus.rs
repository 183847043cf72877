//! Replays the fuzzers' corpus through the same functions, with tight limits.
