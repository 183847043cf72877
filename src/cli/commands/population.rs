//! All traces of each side as a profile: folded from traces in two passes, read from profiles, or both.

use super::diagnosis;
use super::side;
use super::sides::{Opening, Origin, Sides};
use crate::cli::args::Common;
use crate::cli::config::Settings;
use crate::cli::engine::{
    self, Assembler, Divided, Division, Filter, Filtered, Folder, Profile, TracePrefix, TraceSink,
};
use crate::cli::error::Problem;
use crate::cli::inputs::Source;
use crate::cli::opened::Opened;
use crate::cli::peek::Peeked;
use crate::cli::progress::{Gauge, Progress};
use crate::cli::reading::{Found, Reader, hash_of_hashes, total_bytes};
use crate::diff::{InputSide, Note};
use crate::model::profile::Totals;
use crate::model::{Pair, Side, TraceId, Warning, Warnings};
use crate::report::units::counted;
use std::sync::atomic::AtomicBool;

/// One side, folded.
pub struct Folded {
    /// What its traces come to, in canonical order.
    pub profile: Profile,
    /// Names of its sources.
    pub sources: Vec<String>,
    /// Profiles that were made of an input which is in another one too.
    pub twice: Vec<String>,
    /// Whether profiles were read, whose traces are gone.
    pub of_profiles: bool,
}

impl Folded {
    /// What reports say about the side.
    pub fn side(&self) -> InputSide {
        let side = InputSide::of_profile(&self.profile, self.sources.clone(), self.of_profiles);
        InputSide { sha256: hash_of_hashes(&self.profile.totals.inputs), ..side }
    }

    /// The id of the only trace, if there is only one and its spans can be read.
    pub fn only_trace(&self) -> Option<TraceId> {
        let example = self.profile.paths().iter().find_map(|path| path.state.exemplars.sample.first());
        example.filter(|_| self.profile.totals.traces == 1 && !self.of_profiles).map(|span| span.trace_id)
    }

    /// What to say when an input went in twice.
    pub fn note(&self) -> Option<Note> {
        let message = twice(&self.twice)?;
        Some(Note { code: "same_input_twice", message })
    }
}

/// What to say about profiles that share an input; nothing for none.
pub fn twice(names: &[String]) -> Option<String> {
    let first = names.first()?;
    let more = if names.len() > 1 { format!(" and {} more", names.len() - 1) } else { String::new() };
    Some(format!("{first}{more} shares an input with what was read before: traces that are in both count twice"))
}

/// A reader with a progress bar over all sources, traces in two passes.
pub fn with_reader<R>(
    common: &Common,
    settings: &Settings,
    openings: &[&Opening],
    work: impl FnOnce(Reader<'_>) -> R,
) -> R {
    let sources: Vec<&Source> = openings.iter().flat_map(|opening| &opening.inputs.sources).collect();
    let only_profiles = openings.iter().all(|opening| opening.those(false).is_empty());
    let passes = if only_profiles { 1 } else { 2 };
    let bytes = total_bytes(sources).map(|bytes| bytes.saturating_mul(passes));
    let progress = Progress::new(common.quiet, settings.gauge.as_ref(), bytes);
    work(Reader { settings, said: common.traces_said(), progress: &progress })
}

/// Folds both sides, at the same time where threads allow it.
pub fn fold_both(common: &Common, settings: &Settings, sides: &Sides) -> Result<Pair<Folded>, Vec<Problem>> {
    match &sides.origin {
        Origin::Own(pair) => with_reader(common, settings, &[&pair.before, &pair.after], |reader| {
            let fold = |side: Side| fold(pair, side, &sides.filter, reader);
            let Pair { before, after } = engine::both(Pair::new(Side::Before, Side::After), settings.threads, fold);
            match (before, after) {
                (Ok(before), Ok(after)) => Ok(Pair::new(before, after)),
                (before, after) => Err(side::distinct([before.err(), after.err()])),
            }
        }),
        Origin::Divided(opening, division) => {
            with_reader(common, settings, &[opening], |reader| divide(opening, division, &sides.filter, reader))
        }
    }
}

fn fold(pair: &Pair<Opening>, side: Side, filter: &Filter, reader: Reader<'_>) -> Result<Folded, Vec<Problem>> {
    let opening = pair.get(side);
    match opening.inputs.wanted {
        None => fold_side(opening, filter, reader, Some(side)),
        Some(wanted) => fold_one(&pair.as_ref(), side, wanted, filter, reader),
    }
}

/// Folds all that one list of inputs holds.
pub fn fold_list(opening: &Opening, filter: &Filter, reader: Reader<'_>) -> Result<Folded, Vec<Problem>> {
    fold_side(opening, filter, reader, None)
}

/// Folds all that one list of inputs holds; whoever looks at a side meanwhile sees what was folded so far.
fn fold_side(
    opening: &Opening,
    filter: &Filter,
    reader: Reader<'_>,
    side: Option<Side>,
) -> Result<Folded, Vec<Problem>> {
    let sink = Filtered::new(filter.clone(), Folder::new(&reader.settings.limits));
    let peek = reader.settings.gauge.as_ref().map(Gauge::peek).zip(side);
    let mut sink = Peeked { sink, peek };
    let streamed = stream(&opening.those(false), &mut sink, reader)?;
    let mut profile = sink.finish();
    streamed.tell(&mut profile.totals);
    let (mut twice, mut problems) = (Vec::new(), Vec::new());
    let profiles = opening.those(true);
    for source in &profiles {
        match reader.profile(source) {
            Ok(other) => {
                if !profile.totals.inputs.is_disjoint(&other.totals.inputs) {
                    twice.push(source.name.clone());
                }
                profile.merge(&other);
            }
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Folded {
        profile: if profiles.is_empty() { profile } else { profile.into_canonical() },
        sources: opening.names(),
        twice,
        of_profiles: !profiles.is_empty(),
    })
}

/// Folds the one trace that is wanted of a side.
fn fold_one(
    pair: &Pair<&Opening>,
    side: Side,
    wanted: TracePrefix,
    filter: &Filter,
    reader: Reader<'_>,
) -> Result<Folded, Vec<Problem>> {
    let input = side::read(pair, side, Some(wanted), reader, &AtomicBool::new(false))?;
    let (hashes, bytes, read) = (input.hashes.clone(), input.side.bytes, input.side.warnings.clone());
    let (trace, assembled) = engine::assemble_one(input, &reader.settings.rules);
    let mut sink = Filtered::new(filter.clone(), Folder::new(&reader.settings.limits));
    sink.trace(&trace, &trace.store.symbols, &assembled);
    let mut profile = sink.folder.finish();
    Streamed { hashes, bytes, warnings: read }.tell(&mut profile.totals);
    Ok(Folded { profile, sources: pair.get(side).names(), twice: Vec::new(), of_profiles: false })
}

/// Folds the traces of one list of inputs into two sides.
fn divide(
    opening: &Opening,
    division: &Division,
    filter: &Filter,
    reader: Reader<'_>,
) -> Result<Pair<Folded>, Vec<Problem>> {
    let folder = || Folder::new(&reader.settings.limits);
    let folders = Pair::new(folder(), folder());
    let mut sink = Divided { filter: filter.clone(), division: division.clone(), folders, left_out: 0 };
    let streamed = stream(&opening.those(false), &mut sink, reader)?;
    Ok(sink.folders.map(|folder| {
        let mut profile = folder.finish();
        streamed.tell(&mut profile.totals);
        Folded { profile, sources: opening.names(), twice: Vec::new(), of_profiles: false }
    }))
}

/// What is known about sources that were read.
struct Streamed {
    hashes: Vec<[u8; 32]>,
    bytes: (u64, u64),
    warnings: Warnings,
}

impl Streamed {
    fn of(found: &Found) -> Streamed {
        let hashes = found.sources.iter().map(|source| source.sha256).collect();
        Streamed { hashes, bytes: found.bytes(), warnings: found.warnings() }
    }

    fn tell(&self, totals: &mut Totals) {
        totals.inputs.extend(&self.hashes);
        totals.bytes = self.bytes;
        totals.warnings.merge(&self.warnings);
    }
}

/// Hands all traces of the sources to a sink: counted in a first pass, closed in the second when they are complete.
fn stream(sources: &[&Opened], sink: &mut dyn TraceSink, reader: Reader<'_>) -> Result<Streamed, Vec<Problem>> {
    let census = reader.census(sources)?;
    let mut assembler = Assembler::new(Some(census), &reader.settings.rules, &reader.settings.limits, sink);
    let found = reader.read(sources, &mut assembler, None)?;
    let summary = assembler.finish(&found.symbols);
    let mut streamed = Streamed::of(&found);
    streamed.warnings.merge(&summary.warnings);
    Ok(streamed)
}

fn both_sides(traces: u64) -> String {
    let traces = counted(traces, "trace", "traces");
    format!("{traces} that meet the conditions of both sides were left out")
}

/// Why sides are empty, one problem for each; nothing when both hold traces.
pub fn empty(common: &Common, settings: &Settings, sides: &Sides, folded: &Pair<Folded>) -> Vec<Problem> {
    let is_empty = |side: Side| folded.get(side).profile.totals.traces == 0;
    let empty: Vec<Side> = [Side::Before, Side::After].into_iter().filter(|side| is_empty(*side)).collect();
    let explain = |side: &Side| {
        let opening = match &sides.origin {
            Origin::Own(pair) => pair.get(*side),
            Origin::Divided(opening, _) => opening.as_ref(),
        };
        let divided = matches!(sides.origin, Origin::Divided(..));
        if sides.takes_all() && !divided {
            return side::empty(&opening.inputs.words, side.name(), &folded.get(*side).profile.totals.warnings);
        }
        with_reader(common, settings, &[opening], |reader| {
            let mut seen = diagnosis::Seen::new(sides);
            // It was read a moment ago: what can still go wrong is no better explanation.
            let _ = stream(&opening.those(false), &mut seen, reader);
            let both = folded.get(*side).profile.totals.warnings.count(Warning::BothSides);
            let problem = seen.explain(*side, sides);
            if both == 0 { problem } else { problem.cause(both_sides(both)) }
        })
    };
    let problems: Vec<Problem> = empty.iter().map(explain).collect();
    side::distinct([Some(problems), None])
}
