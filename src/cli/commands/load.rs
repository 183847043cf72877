//! What both sides hold, kept so that it can be compared more than once.

use super::population::{self, Folded};
use super::side::read_both;
use super::sides::{Origin, Sides};
use crate::cli::args::Common;
use crate::cli::config::Settings;
use crate::cli::engine::{self, Profile, TracePrefix};
use crate::cli::error::{Failure, Problem};
use crate::diff::{Diff, DiffOptions, InputSide, NodeDetail, Note, PairDetails, TreeNode};
use crate::model::{Pair, Side, Trace, TraceId};
use std::sync::OnceLock;

/// Both sides, ready to be compared.
pub enum Loaded {
    /// One trace each, what is said about each side, and where their spans are once somebody asked for one.
    One(Box<(Pair<Trace>, Pair<InputSide>, OnceLock<PairDetails>)>),
    /// Anything else: the profiles, and what is said about each side.
    Many(Box<(Pair<Profile>, Pair<InputSide>, Vec<Note>)>),
}

impl Loaded {
    /// Compares them.
    pub fn compare(&self, options: &DiffOptions) -> Diff {
        match self {
            Loaded::One(one) => engine::compare_pair(&one.0, one.1.clone(), options),
            Loaded::Many(many) => {
                let (profiles, inputs, notes) = &**many;
                let mut diff = engine::compare_populations(profiles, inputs.clone(), options);
                diff.comparable.reasons.extend(notes.iter().cloned());
                diff
            }
        }
    }

    /// All that is known of a node of the merged tree.
    pub fn detail(&self, node: &TreeNode) -> NodeDetail {
        match self {
            Loaded::One(one) => one.2.get_or_init(|| PairDetails::new(&one.0)).of(&one.0, node),
            Loaded::Many(_) => node.detail.as_deref().cloned().unwrap_or_default(),
        }
    }

    /// Before becomes after.
    pub fn swap(&mut self) {
        fn swap<T>(pair: &mut Pair<T>) {
            std::mem::swap(&mut pair.before, &mut pair.after);
        }
        match self {
            Loaded::One(one) => {
                swap(&mut one.0);
                swap(&mut one.1);
                one.2 = OnceLock::new();
            }
            Loaded::Many(many) => {
                swap(&mut many.0);
                swap(&mut many.1);
            }
        }
    }
}

/// Reads both sides: a pair when each holds exactly one trace, else populations.
pub fn load(common: &Common, settings: &Settings, sides: &Sides) -> Result<Loaded, Failure> {
    if let Origin::Own(own) = &sides.origin
        && sides.takes_all()
        && own.before.those(true).is_empty()
        && own.after.those(true).is_empty()
    {
        let own = own.as_ref();
        let wanted = own.map(|opening| opening.inputs.wanted);
        if let Some(pair) = read_both(&own, wanted, settings, common).map_err(Failure::Problems)? {
            return Ok(one(pair, settings));
        }
    }
    let folded = population::fold_both(common, settings, sides).map_err(Failure::Problems)?;
    let problems = population::empty(common, settings, sides, &folded);
    if !problems.is_empty() {
        return Err(Failure::Problems(problems));
    }
    if let (Some(before), Some(after)) = (folded.before.only_trace(), folded.after.only_trace())
        && let Some(pair) = load_pair(common, settings, sides, Pair::new(before, after))?
    {
        return Ok(pair);
    }
    Ok(many(folded))
}

/// One trace of each side of populations: an example that a profile keeps, else read from the inputs. `ids` stand as the
/// sides of what was loaded do, which may have been swapped since. Without `sides` there is nothing to read.
pub fn open_pair(
    common: &Common,
    settings: &Settings,
    (sides, loaded, swapped): (Option<&Sides>, &Loaded, bool),
    ids: Pair<TraceId>,
) -> Result<Option<Loaded>, Failure> {
    let Loaded::Many(many) = loaded else { return Ok(None) };
    let kept = |side: Side| {
        let (profile, input) = (many.0.get(side), many.1.get(side));
        let otlp = profile.example_of(*ids.get(side))?;
        // What is said about the side is said of all its traces; of the one only where it came from.
        let about = InputSide { sources: input.sources.clone(), sha256: input.sha256.clone(), ..InputSide::default() };
        engine::open_example(&otlp, *ids.get(side), &settings.limits, about).ok()
    };
    if let (Some(before), Some(after)) = (kept(Side::Before), kept(Side::After)) {
        return Ok(Some(one(Pair::new(before, after), settings)));
    }
    if many.1.before.of_profiles || many.1.after.of_profiles {
        return Err(Problem::new("this trace is not in the profile, which keeps a few examples of each entry point")
            .hint("O lists the pairs; or compare the traces that the profile was made of")
            .into());
    }
    let given = if swapped { Pair::new(ids.after, ids.before) } else { ids };
    let Some(sides) = sides else { return Ok(None) };
    let mut pair = load_pair(common, settings, sides, given)?;
    if swapped {
        pair.iter_mut().for_each(Loaded::swap);
    }
    Ok(pair)
}

/// Reads one trace of each side; `None` when the inputs hold several of that id.
fn load_pair(
    common: &Common,
    settings: &Settings,
    sides: &Sides,
    ids: Pair<TraceId>,
) -> Result<Option<Loaded>, Failure> {
    let openings = match &sides.origin {
        Origin::Own(own) => own.as_ref(),
        Origin::Divided(opening, _) => Pair::new(opening.as_ref(), opening.as_ref()),
    };
    let wanted = ids.map(|id| TracePrefix::parse(&id.to_string()));
    let pair = read_both(&openings, wanted, settings, common).map_err(Failure::Problems)?;
    Ok(pair.map(|pair| one(pair, settings)))
}

fn one(pair: Pair<engine::SideInput>, settings: &Settings) -> Loaded {
    let (traces, inputs) = engine::assemble_both(pair, &settings.rules, settings.threads);
    Loaded::One(Box::new((traces, inputs, OnceLock::new())))
}

/// Two populations; what their reading has to say about them stands in every comparison.
pub fn many(folded: Pair<Folded>) -> Loaded {
    let inputs = folded.as_ref().map(Folded::side);
    let notes = [folded.before.note(), folded.after.note()].into_iter().flatten().collect();
    Loaded::Many(Box::new((folded.map(|side| side.profile), inputs, notes)))
}
