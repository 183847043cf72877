//! Folding traces into profiles: what is counted adds up, and neither order nor division shows.

use crate::shared;
use spandiff::ingest::fold::Folder;
use spandiff::model::profile::{ONE, Profile};
use spandiff::model::{Limits, NO_PARENT, Trace, Warnings};
use std::fs::File;

fn fold<'a>(traces: impl IntoIterator<Item = &'a (Trace, Warnings)>) -> Profile {
    let mut folder = Folder::new(&Limits::default());
    for (trace, warnings) in traces {
        folder.add(trace, warnings);
    }
    folder.finish()
}

fn real() -> Vec<(Trace, Warnings)> {
    shared::files().into_iter().flat_map(|path| shared::traces(shared::read(File::open(path).unwrap()).0)).collect()
}

/// What must hold in every profile of traces that weigh one each.
fn check_sums(profile: &Profile, traces: &[(Trace, Warnings)]) {
    let one = u128::from(ONE);
    let spans: usize = traces.iter().map(|(trace, _)| trace.len()).sum();
    assert_eq!(profile.totals.spans, spans as u64);
    let calls: u128 = profile.paths().iter().map(|path| path.state.shards.total().calls).sum();
    assert_eq!(calls, spans as u128 * one, "every span is counted at one path");
    let mut critical = 0;
    for path in profile.paths() {
        let (state, total) = (&path.state, path.state.shards.total());
        assert_eq!(state.self_time.mass(), total.weight, "a trace counts with its weight");
        assert_eq!(state.duration.mass(), total.weight);
        assert!(state.edge_time.mass() <= total.weight);
        assert_eq!(total.covered_ns + total.self_ns <= total.duration_ns, true);
        assert!(total.children_ns >= total.covered_ns);
        critical += total.critical_ns;
        let tail: u128 = state.tail.iter().map(|cell| cell.critical_ns).sum();
        assert_eq!(tail, total.critical_ns);
        let timeline: u128 = state.timeline.iter().map(|(_, bucket)| bucket.weight).sum();
        assert_eq!(timeline, total.weight);
        assert!(state.errors.mass >= total.own_errors);
        assert!(state.attributes.iter().all(|(_, counts)| counts.mass <= total.weight));
    }
    let roots = traces.iter().flat_map(|(trace, _)| trace.roots().map(|root| trace.spans()[root as usize]));
    let durations: u128 = roots.map(|root| u128::from(root.duration_ns())).sum();
    assert_eq!(critical, durations * one, "the critical path of every root is its duration");
    let entries = profile.paths().iter().filter(|path| path.parent == NO_PARENT);
    let entry_durations: u128 = entries.map(|path| path.state.shards.total().duration_ns).sum();
    assert_eq!(entry_durations, durations * one);
}

#[test]
fn every_span_of_real_traces_is_counted_once() {
    let traces = real();
    check_sums(&fold(&traces), &traces);
}

#[test]
fn neither_order_nor_division_of_real_traces_shows() {
    let traces = real();
    let whole = fold(&traces);
    assert_eq!(fold(traces.iter().rev()), whole);
    for parts in [2, 3, 7] {
        let mut merged = Profile::default();
        for part in (0..parts).rev() {
            merged.merge(&fold(traces.iter().skip(part).step_by(parts)));
        }
        assert_eq!(merged.into_canonical(), whole);
    }
}
