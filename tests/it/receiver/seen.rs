//! What a capture holds, in plain words: read with the library's own reader, as every other command would.

use spandiff::model::{Kind, SpanMarks, SpanStore, Status, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A span as it was stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) trace: u128,
    pub(crate) id: u64,
    pub(crate) parent: u64,
    pub(crate) kind: Kind,
    pub(crate) status: Status,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) service: String,
    pub(crate) marks: SpanMarks,
    pub(crate) trace_state: String,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) resource: BTreeMap<String, String>,
    pub(crate) events: Vec<(String, u64)>,
    /// Trace and span id; none where the sender's was invalid.
    pub(crate) links: Vec<(Option<u128>, Option<u64>)>,
}

/// A value with its type: `"text"`, `5`, `5.0`, `true`, `0xff`, `empty`, `[…]`, `{…}`.
fn shown(value: Value<'_>) -> String {
    match value {
        Value::Empty => "empty".to_owned(),
        Value::Str(text) => format!("{text:?}"),
        Value::Double(double) => format!("{double:?}"),
        Value::Array(values) => format!("[{}]", values.map(shown).collect::<Vec<_>>().join(", ")),
        Value::Map(pairs) => {
            let mut text = String::from("{");
            for (key, value) in pairs {
                let _ = write!(text, "{}{key}: {}", if text.len() > 1 { ", " } else { "" }, shown(value));
            }
            text + "}"
        }
        plain => plain.to_string(),
    }
}

fn of_store(store: &SpanStore) -> impl Iterator<Item = Seen> {
    store.spans.iter().map(|span| Seen {
        name: store.name(span).to_owned(),
        trace: span.trace_id.0,
        id: span.id.0,
        parent: span.parent_id.0,
        kind: span.kind,
        status: span.status,
        start: span.start_ns,
        end: span.end_ns,
        service: store.service(span).to_owned(),
        marks: span.marks,
        trace_state: store.trace_state(span).to_owned(),
        attributes: store.attributes(span).map(|(key, value)| (key.to_owned(), shown(value))).collect(),
        resource: store.resource_attributes(span).map(|(key, value)| (key.to_owned(), shown(value))).collect(),
        events: store.events(span).map(|event| (event.name.to_owned(), event.time_ns)).collect(),
        links: store.links(span).map(|link| (link.trace_id.map(|id| id.0), link.span_id.map(|id| id.0))).collect(),
    })
}

/// The data files of a capture, those that are being written included.
pub(crate) fn files(capture: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(capture) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'));
    files.sort();
    files
}

/// All spans of a capture, by name and id.
pub(crate) fn seen(capture: &Path) -> Vec<Seen> {
    let mut all = Vec::new();
    for path in files(capture) {
        let bytes = std::fs::read(&path).unwrap();
        if !bytes.is_empty() {
            all.extend(of_store(&crate::shared::read(bytes.as_slice()).0));
        }
    }
    all.sort_by(|a: &Seen, b: &Seen| (&a.name, a.trace, a.id).cmp(&(&b.name, b.trace, b.id)));
    all
}

/// Their names.
pub(crate) fn names(spans: &[Seen]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}
