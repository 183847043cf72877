//! Options that say which traces stand on which side.
#![expect(missing_docs, reason = "the doc comments are the help texts, shown as they stand")]

use super::values::{parse_long_time, parse_point};
use clap::Args;

/// Which traces are compared.
#[derive(Clone, Debug, Default, Args)]
pub struct SideArgs {
    /// Two inputs: before the change and after it
    #[arg(value_name = "BEFORE AFTER", num_args = 0.., hide_possible_values = true)]
    pub sides: Vec<String>,
    /// An input of the before side; may be repeated
    #[arg(long, value_name = "INPUT", requires = "after", conflicts_with = "sides")]
    pub before: Vec<String>,
    /// An input of the after side; may be repeated
    #[arg(long, value_name = "INPUT", requires = "before", conflicts_with = "sides")]
    pub after: Vec<String>,
    /// An input that holds both sides, told apart by --split-at or by --before-where and --after-where; may be repeated
    #[arg(long, value_name = "INPUT", conflicts_with_all = ["sides", "before", "after"])]
    pub input: Vec<String>,
    /// Traces of --input that begin earlier are the before side, the others the after side: 2026-11-22T14:00:00Z, or
    /// seconds or nanoseconds since 1970
    #[arg(long, value_name = "TIME", value_parser = parse_point, requires = "input")]
    pub split_at: Option<u64>,
    /// Leave out traces that begin within this time behind the split, such as 5m: the cold start
    #[arg(long, value_name = "TIME", value_parser = parse_long_time, requires = "split_at")]
    pub skip_after_split: Option<u64>,
    /// Traces of --input that meet this are the before side; may be repeated, all must hold
    #[arg(
        long,
        value_name = "CONDITION",
        requires_all = ["input", "after_where"],
        conflicts_with = "split_at"
    )]
    pub before_where: Vec<String>,
    /// Traces of --input that meet this are the after side; may be repeated, all must hold
    #[arg(
        long,
        value_name = "CONDITION",
        requires_all = ["input", "before_where"],
        conflicts_with = "split_at"
    )]
    pub after_where: Vec<String>,
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// Which traces of the inputs are used.
#[derive(Clone, Debug, Default, Args)]
pub struct FilterArgs {
    /// Only traces that meet this: key=value, key!=value, key~regex or key!~regex, on any span or its resource, or with
    /// service: in front on the spans of that service; may be repeated, all must hold
    #[arg(long = "where", value_name = "CONDITION")]
    pub wheres: Vec<String>,
    /// Only traces that enter here, such as 'GET /dispatch'; may be repeated for several
    #[arg(long = "entry", value_name = "NAME")]
    pub entries: Vec<String>,
}
