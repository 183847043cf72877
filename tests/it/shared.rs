//! Real traces of other projects, where the folder is there.

use spandiff::ingest::{self, Context, ReadReport, Rules};
use spandiff::model::{Limits, SpanStore, Symbols, Trace, Warnings};
use std::collections::BTreeMap;
use std::io::Read;
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

/// Reads one input to its end.
pub(crate) fn read(mut input: impl Read) -> (SpanStore, ReadReport) {
    let mut symbols = Symbols::default();
    let mut store = SpanStore::default();
    let mut context =
        Context { limits: Limits::default(), symbols: &mut symbols, sink: &mut store, report: ReadReport::default() };
    ingest::read::read(&mut input, None, &mut context).unwrap();
    let report = context.report;
    store.symbols = symbols;
    (store, report)
}

/// The traces of a store, assembled and identified, each with what assembling it counted; by trace id.
pub(crate) fn traces(mut store: SpanStore) -> Vec<(Trace, Warnings)> {
    let mut by_trace: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for span in std::mem::take(&mut store.spans) {
        by_trace.entry(span.trace_id).or_default().push(span);
    }
    let assembled = by_trace.into_iter().map(|(id, spans)| {
        let mut warnings = Warnings::default();
        let mut trace = ingest::assemble(SpanStore { spans, ..store.clone() }, id, &mut warnings);
        ingest::identify(&mut trace, &Rules::default());
        (trace, warnings)
    });
    assembled.collect()
}

/// The one trace that a text holds.
pub(crate) fn trace_of_text(text: &str) -> Trace {
    let (store, report) = read(text.as_bytes());
    assert!(report.warnings.is_empty(), "{:?} in {text}", report.warnings);
    let mut traces = traces(store);
    assert_eq!(traces.len(), 1, "{text}");
    let (trace, warnings) = traces.remove(0);
    assert!(warnings.is_empty(), "{warnings:?} in {text}");
    trace
}

/// All traces of all files, identified.
pub(crate) fn real_traces() -> Vec<Trace> {
    let of_file = |path: PathBuf| traces(read(std::fs::File::open(path).unwrap()).0);
    files().into_iter().flat_map(of_file).map(|(trace, _)| trace).collect()
}
