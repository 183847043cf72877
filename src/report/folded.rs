//! Differential folded stacks, one line a call path: `a;b;c before_ns after_ns`, self time of both sides.
//!
//! The format that differential flame graphs read. Lines stand in the order in which the merged tree reaches them.

use super::escape::frame;
use crate::diff::Diff;
use crate::model::Pair;
use std::collections::HashMap;
use std::io::{self, Write};

/// Frames of the longest stack. What lies deeper counts for the last frame, since a line for each level of a trace
/// that is 100,000 deep would be quadratic.
const FRAMES: usize = 512;

struct Path<'a> {
    parent: Option<usize>,
    service: &'a str,
    name: &'a str,
    self_ns: Pair<u64>,
}

/// Writes the stacks.
pub fn folded(diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
    let paths = paths(diff);
    for path in paths.iter().filter(|path| path.self_ns != Pair::default()) {
        writeln!(out, "{} {} {}", stack(&paths, path), path.self_ns.before, path.self_ns.after)?;
    }
    Ok(())
}

fn paths(diff: &Diff) -> Vec<Path<'_>> {
    let mut paths: Vec<Path<'_>> = Vec::new();
    let mut known: HashMap<(Option<usize>, &str, &str), usize, foldhash::fast::RandomState> = HashMap::default();
    let mut open: Vec<usize> = Vec::new();
    for node in &diff.tree {
        let depth = (node.depth as usize).min(open.len());
        open.truncate(depth.min(FRAMES));
        let (service, name) = (&*node.operation.service, &*node.operation.name);
        let index = if depth < FRAMES {
            let parent = open.last().copied();
            *known.entry((parent, service, name)).or_insert_with(|| {
                paths.push(Path { parent, service, name, self_ns: Pair::default() });
                paths.len() - 1
            })
        } else {
            open.last().copied().unwrap_or_default()
        };
        if let Some(path) = paths.get_mut(index) {
            let self_ns = node.sides.map(|side| side.map_or(0, |side| side.self_ns));
            path.self_ns.before = path.self_ns.before.saturating_add(self_ns.before);
            path.self_ns.after = path.self_ns.after.saturating_add(self_ns.after);
        }
        if depth < FRAMES {
            open.push(index);
        }
    }
    paths
}

fn stack(paths: &[Path<'_>], path: &Path<'_>) -> String {
    let mut frames = Vec::new();
    let mut next = Some(path);
    while let Some(path) = next {
        frames.push(frame(&format!("{}: {}", path.service, path.name)));
        next = path.parent.and_then(|parent| paths.get(parent));
    }
    frames.reverse();
    frames.join(";")
}
