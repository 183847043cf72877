//! The one place that names the rooms below by their functions: reading, selecting, assembling, comparing, generating.

use crate::diff::{Day, Diff, DiffOptions, InputSide, Policy, Verdict, gate};
use crate::diff::{pair, population};
use crate::ingest::{self, Context, InputFormat};
use crate::model::{Limits, Pair, Symbols, Trace, TraceId, Warnings};
use std::io::Read;

pub use crate::generate;
pub use crate::ingest::census::Census;
pub use crate::ingest::filter::{Condition, Divided, Division, Filter, Filtered};
pub use crate::ingest::population::{Assembler, TraceSink};
pub use crate::ingest::profile_codec::{ProfileError, decode as decode_profile, encode as encode_profile, is_profile};
pub use crate::ingest::sampling::threshold;
pub use crate::ingest::select::{Catalog, Choices, SelectError, Selected, Selection, TracePrefix};
pub use crate::ingest::{Batch, Folder, OperationRule, ReadError, ReadReport, Rules, Sink};
pub use crate::model::profile::Profile;

/// Reads one input to its end into the context's sink.
pub fn read(input: &mut dyn Read, said: Option<InputFormat>, context: &mut Context<'_>) -> Result<(), ReadError> {
    ingest::read::read(input, said, context)
}

/// One side as it was read, and what is known about its sources.
pub struct SideInput {
    /// The selected trace.
    pub selected: Selected,
    /// Sources, hash and the warnings of reading; the rest is filled here.
    pub side: InputSide,
    /// SHA-256 of every source.
    pub hashes: Vec<[u8; 32]>,
}

/// Assembles and identifies two traces in one numbering; with several threads both sides at the same time.
pub fn assemble_both(sides: Pair<SideInput>, rules: &Rules, threads: usize) -> (Pair<Trace>, Pair<InputSide>) {
    let Pair { before, after } = both(sides, threads, |side| assemble(side, rules));
    let mut traces = Pair::new(before.0, after.0);
    let mut inputs = Pair::new(before.1, after.1);
    let mut warnings = Pair::<Warnings>::default();
    ingest::unify(&mut traces, &mut warnings);
    inputs.before.warnings.merge(&warnings.before);
    inputs.after.warnings.merge(&warnings.after);
    (traces, inputs)
}

/// Compares two traces that were assembled together.
pub fn compare_pair(traces: &Pair<Trace>, inputs: Pair<InputSide>, options: &DiffOptions) -> Diff {
    pair::compare(traces, inputs, options)
}

/// Compares two populations.
pub fn compare_populations(profiles: &Pair<Profile>, inputs: Pair<InputSide>, options: &DiffOptions) -> Diff {
    population::compare(profiles, inputs, options)
}

/// Judges a comparison by a policy.
pub fn judge(diff: &mut Diff, policy: &Policy, today: Day) -> Verdict {
    gate::judge(diff, policy, today)
}

/// One trace that a profile keeps as an example, read as if it were an input.
pub fn open_example(otlp: &[u8], id: TraceId, limits: &Limits, side: InputSide) -> Result<SideInput, SelectError> {
    let mut selection = Selection::new(TracePrefix::parse(&id.to_string()), limits);
    let (mut symbols, mut input) = (Symbols::default(), otlp);
    let report = ReadReport::default();
    let mut context = Context { limits: *limits, symbols: &mut symbols, sink: &mut selection, report };
    // What cannot be read of it selects nothing, which is told.
    let _ = read(&mut input, Some(InputFormat::OtlpProto), &mut context);
    let selected = selection.finish(symbols)?;
    Ok(SideInput { selected, side, hashes: Vec::new() })
}

/// Does `work` on both sides, at the same time where threads allow it.
pub fn both<T: Send, R: Send>(sides: Pair<T>, threads: usize, work: impl Fn(T) -> R + Sync) -> Pair<R> {
    if threads < 2 {
        return sides.map(work);
    }
    let Pair { before, after } = sides;
    std::thread::scope(|scope| {
        let after = scope.spawn(|| work(after));
        let before = work(before);
        Pair::new(before, after.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Assembles and identifies the trace of a side; with it what selecting and assembling it counted.
pub fn assemble_one(input: SideInput, rules: &Rules) -> (Trace, Warnings) {
    let mut warnings = input.selected.warnings;
    let mut trace = ingest::assemble(input.selected.store, input.selected.trace_id, &mut warnings);
    ingest::identify(&mut trace, rules);
    (trace, warnings)
}

fn assemble(mut input: SideInput, rules: &Rules) -> (Trace, InputSide) {
    let mut side = std::mem::take(&mut input.side);
    let (trace, warnings) = assemble_one(input, rules);
    side.warnings.merge(&warnings);
    side.traces = 1;
    side.spans = trace.len() as u64;
    side.trace_ids = vec![trace.id];
    let start = trace.spans().iter().map(|span| span.start_ns).min();
    let end = trace.spans().iter().map(|span| span.end_ns).max();
    side.window_ns = start.zip(end);
    (trace, side)
}
