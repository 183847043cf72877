//! Real traces of other projects, where the folder is there.

use spandiff::ingest::{self, Context, ReadReport, Rules};
use spandiff::model::{Limits, SpanStore, Symbols, Trace, Warnings};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The files of `../shared/data`, sorted; empty, with a line that says so, where the folder is not there.
pub(crate) fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: {} is not there, so no real traces are read", folder.display());
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json" || extension == "jsonl"))
        .collect();
    files.sort();
    files
}

/// All traces of all files, identified.
pub(crate) fn real_traces() -> Vec<Trace> {
    let mut traces = Vec::new();
    for path in files() {
        let mut symbols = Symbols::default();
        let mut store = SpanStore::default();
        let mut context = Context {
            limits: Limits::default(),
            symbols: &mut symbols,
            sink: &mut store,
            report: ReadReport::default(),
        };
        let mut input = std::fs::File::open(&path).unwrap();
        ingest::read::read(&mut input, None, &mut context).unwrap();
        store.symbols = symbols;
        let mut by_trace: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for span in std::mem::take(&mut store.spans) {
            by_trace.entry(span.trace_id).or_default().push(span);
        }
        for (id, spans) in by_trace {
            let mut trace = ingest::assemble(SpanStore { spans, ..store.clone() }, id, &mut Warnings::default());
            ingest::identify(&mut trace, &Rules::default());
            traces.push(trace);
        }
    }
    traces
}
