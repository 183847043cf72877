use super::*;
use crate::model::attributes::{Packer, SpanHead, field};
use crate::model::{Body, NO_PARENT, OperationId, Resource, Scope, Span, SpanId, Status, Symbol, Value, Warning};

/// A batch of spans `(trace, id, parent, start)`, each with `padding` bytes of attribute, from one service.
fn batch(symbols: &mut Symbols, spans: &[(u128, u64, u64, u64)], padding: usize) -> Batch {
    let mut packer = Packer::new();
    packer.attribute(field::RESOURCE_ATTRIBUTES, "service.name", &Value::Str("shop"));
    let resource = Body { chunk: 0, start: 0, len: packer.len() as u32 };
    let text = "x".repeat(padding);
    let mut batch = Batch {
        resources: vec![Resource { service: symbols.intern("shop"), body: resource }],
        scopes: vec![Scope {
            name: Symbol::EMPTY,
            version: Symbol::EMPTY,
            schema_url: Symbol::EMPTY,
            body: Body::default(),
        }],
        ..Batch::default()
    };
    for &(trace, id, parent, start_ns) in spans {
        let name = format!("op {id}");
        let head = SpanHead { trace_id: TraceId(trace), id: SpanId(id), name: &name, ..SpanHead::default() };
        let start = packer.len() as u32;
        packer.span_head(&head);
        packer.attribute(field::SPAN_ATTRIBUTES, "pad", &Value::Str(&text));
        batch.spans.push(Span {
            trace_id: head.trace_id,
            id: head.id,
            parent_id: SpanId(parent),
            start_ns,
            end_ns: start_ns + 10,
            name: symbols.intern(&name),
            resource: 0,
            scope: 0,
            body: Body { chunk: 0, start, len: packer.len() as u32 - start },
            operation: OperationId::NONE,
            parent: NO_PARENT,
            kind: crate::model::Kind::Internal,
            status: if id == 13 { Status::Error } else { Status::Unset },
            marks: crate::model::SpanMarks::default(),
        });
    }
    batch.bytes = packer.into_bytes();
    batch
}

fn select(wanted: Option<&str>, batches: &[&[(u128, u64, u64, u64)]]) -> Result<Selected, SelectError> {
    let mut symbols = Symbols::default();
    let mut selection = Selection::new(wanted.map(|text| TracePrefix::parse(text).unwrap()), &Limits::default());
    for spans in batches {
        let batch = batch(&mut symbols, spans, 100);
        selection.batch(batch, &symbols);
    }
    selection.finish(symbols)
}

fn ids(store: &SpanStore) -> Vec<u64> {
    store.spans.iter().map(|span| span.id.0).collect()
}

#[test]
fn prefixes_match_long_and_short_forms() {
    let prefix = |text: &str| TracePrefix::parse(text).unwrap();
    let long = TraceId(0xabcd_0000_0000_0000_0000_0000_0000_0001);
    let short = TraceId(0xabcd_0000_0000_0001);
    assert!(prefix("abCD").matches(long) && prefix("ab").matches(long) && !prefix("abce").matches(long));
    assert!(prefix("abcd").matches(short) && prefix("0000abcd0").matches(TraceId(short.0 << 48)));
    assert!(prefix("0000000000000000abcd").matches(short));
    assert!(prefix("abcd0000000000000000000000000001").matches(long));
    assert_eq!(prefix("0aB").to_string(), "0ab");
    for bad in ["", "0x1", "+1", "g", "111111111111111111111111111111111"] {
        assert_eq!(TracePrefix::parse(bad), None, "{bad}");
    }
}

#[test]
fn the_only_trace_is_kept_over_many_batches_with_one_resource() {
    let selected = select(None, &[&[(1, 1, 0, 5), (1, 2, 1, 6)], &[(1, 3, 1, 7)]]).unwrap();
    assert_eq!(selected.trace_id, TraceId(1));
    assert_eq!(ids(&selected.store), [1, 2, 3]);
    assert_eq!(selected.store.resources.len(), 1);
    assert_eq!(selected.store.scopes.len(), 1);
    for span in &selected.store.spans {
        assert_eq!(selected.store.service(span), "shop");
        assert_eq!(selected.store.name(span), format!("op {}", span.id.0));
        assert_eq!(selected.store.attributes(span).find("pad"), Some(Value::Str(&"x".repeat(100))));
        assert_eq!(selected.store.resource_attributes(span).find("service.name"), Some(Value::Str("shop")));
    }
}

#[test]
fn a_second_trace_makes_the_answer_a_list() {
    let Err(SelectError::Several(choices)) = select(None, &[&[(1, 1, 0, 5)], &[(2, 2, 0, 6)], &[(1, 3, 1, 7)]]) else {
        panic!("two traces")
    };
    assert_eq!(choices.ids, [TraceId(1), TraceId(2)]);
    assert_eq!(choices.catalog.get(TraceId(1)).map(|summary| summary.spans), Some(2));
    assert!(matches!(select(None, &[]), Err(SelectError::Empty)));
}

#[test]
fn a_prefix_picks_one_trace_and_copies_it_when_it_is_a_small_part() {
    let many: Vec<_> = (0..50).map(|index| (0xb0_u128 << 120 | index, 100 + index as u64, 0, 1)).collect();
    let mut mixed = many.clone();
    mixed.push((0xa0 << 120, 1, 0, 5));
    let selected = select(Some("a"), &[&mixed, &many, &[(0xa0 << 120, 2, 1, 6)]]).unwrap();
    assert_eq!(ids(&selected.store), [1, 2]);
    assert_eq!(selected.catalog.len(), 51);
    let bytes: usize = selected.store.chunks.iter().map(|chunk| chunk.len()).sum();
    assert!(bytes < 600, "{bytes} bytes for two spans");
    for span in &selected.store.spans {
        assert_eq!(selected.store.attributes(span).find("pad"), Some(Value::Str(&"x".repeat(100))));
        assert_eq!(selected.store.resource_attributes(span).find("service.name"), Some(Value::Str("shop")));
    }
    let Err(SelectError::Ambiguous { choices, .. }) = select(Some("b"), &[&mixed]) else { panic!("50 match") };
    assert_eq!(choices.ids.len(), 50);
    let Err(SelectError::Absent { choices, .. }) = select(Some("c"), &[&mixed]) else { panic!("none matches") };
    assert_eq!(choices.ids.len(), 51);
}

#[test]
fn the_catalog_names_entry_points_and_counts() {
    let mut symbols = Symbols::default();
    let mut catalog = Catalog::new(&Limits { traces: 2, ..Limits::default() });
    // The root comes late; a second, later root does not replace it. Span 13 has an error.
    catalog.add(&batch(&mut symbols, &[(1, 2, 1, 50), (1, 1, 0, 40), (1, 9, 0, 45), (2, 13, 7, 10), (3, 5, 0, 1)], 0));
    let shown: Vec<_> = catalog
        .traces()
        .map(|t| (t.id.0, t.spans, t.errors, t.start_ns, t.duration_ns(), symbols.get(t.name), t.has_root))
        .collect();
    assert_eq!(shown, [(1, 3, 0, 40, 20, "op 1", true), (2, 1, 1, 10, 10, "op 13", false)]);
    assert_eq!(catalog.warnings().count(Warning::LimitReached), 1);
    assert_eq!(catalog.time_range(), Some((10, 60)));
    assert_eq!(catalog.services(&symbols), [("shop", ServiceTotals { spans: 5, errors: 1 })]);
    assert_eq!(
        catalog.entry_points(&symbols),
        [
            (("shop", "op 1"), EntryTotals { traces: 1, spans: 3, with_errors: 0 }),
            (("shop", "op 13"), EntryTotals { traces: 1, spans: 1, with_errors: 1 }),
        ]
    );
}

#[test]
fn a_trace_over_its_limit_is_an_error() {
    let mut symbols = Symbols::default();
    let mut selection = Selection::new(None, &Limits { trace_spans: 2, ..Limits::default() });
    let batch = batch(&mut symbols, &[(1, 1, 0, 1), (1, 2, 1, 1), (1, 3, 1, 1)], 0);
    selection.batch(batch, &symbols);
    let error = selection.finish(symbols).unwrap_err().to_string();
    assert_eq!(error, "trace 00000000000000000000000000000001 has 3 spans, over the limit of 2 (trace_spans)");
}
