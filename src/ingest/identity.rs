//! Which operation each span is: service, kind and a name without identifiers.
//!
//! Names come from the user's rules, else from semantic conventions old or new, else from the masked display name
//! (`template`), and at last from what many names have in common (`drain`). Versions, hosts and SDKs are no part of
//! it. Work per span is one pass over its attributes; strings are made once per distinct name.

use super::drain;
use super::rules::{Effect, Rules};
use super::template::{Source, template_into};
use crate::model::facts::Facts;
use crate::model::{
    Kind, NO_PARENT, Operation, OperationId, Operations, Pair, Side, Span, SpanStore, Symbol, Symbols, Trace, Warning,
    Warnings,
};
use std::collections::HashMap;

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Distinct names under one parent operation beyond which they are looked at together.
const MANY_NAMES: usize = 32;
/// Folding a level of the tree can make the parents of the next one equal: so often at most.
const MAX_ROUNDS: usize = 8;

/// What the user's rules took out of a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ruled {
    /// Spans left out by `ignore` rules.
    pub ignored: u64,
    /// Spans that went into an ancestor by `fold` rules.
    pub folded: u64,
}

/// Gives every span its operation, and takes out what the rules take out.
pub fn identify(trace: &mut Trace, rules: &Rules) -> Ruled {
    let mut identifier = Identifier::new(rules, &trace.store);
    let mut effects = Vec::new();
    for index in 0..trace.store.spans.len() {
        let Some(span) = trace.store.spans.get(index) else { break };
        let (operation, effect) = identifier.span(&trace.store, span);
        if !rules.operations.is_empty() {
            effects.push(effect);
        }
        if let Some(span) = trace.store.spans.get_mut(index) {
            span.operation = operation;
        }
    }
    trace.operations = identifier.operations;
    if effects.iter().all(|&effect| effect == Effect::Keep) { Ruled::default() } else { prune(trace, &effects) }
}

struct Identifier<'r> {
    rules: &'r Rules,
    operations: Operations,
    /// The names of operations as strings stored once, so that a known one costs no allocation.
    templates: Symbols,
    /// The template of each display name that has no conventions beside it; `None` for not seen yet.
    by_name: Vec<Option<Symbol>>,
    known: Map<(Symbol, Kind, Symbol), OperationId>,
    buffer: String,
}

impl<'r> Identifier<'r> {
    fn new(rules: &'r Rules, store: &SpanStore) -> Self {
        Identifier {
            rules,
            operations: Operations::default(),
            templates: Symbols::default(),
            by_name: vec![None; store.symbols.len()],
            known: Map::default(),
            buffer: String::new(),
        }
    }

    fn span(&mut self, store: &SpanStore, span: &Span) -> (OperationId, Effect) {
        let rule = if self.rules.operations.is_empty() {
            None
        } else {
            self.rules.find(store.service(span), store.name(span), span.kind, store.attributes(span))
        };
        let effect = rule.map(|rule| rule.effect).unwrap_or_default();
        let template = match rule.and_then(|rule| rule.template.as_deref()) {
            Some(template) => self.templates.intern(template),
            None => self.template(store, span),
        };
        let service = store.service_symbol(span);
        let (templates, operations) = (&self.templates, &mut self.operations);
        let id = *self.known.entry((service, span.kind, template)).or_insert_with(|| {
            operations.intern(Operation {
                service: store.symbols.get(service).into(),
                kind: span.kind,
                name: templates.get(template).into(),
            })
        });
        (id, effect)
    }

    fn template(&mut self, store: &SpanStore, span: &Span) -> Symbol {
        let facts = Facts::of(store.attributes(span));
        let known = self.by_name.get(span.name.0 as usize).copied().flatten();
        if let (true, Some(template)) = (facts.is_empty(), known) {
            return template;
        }
        self.buffer.clear();
        template_into(&mut self.buffer, &facts, span.kind, store.name(span));
        let template = self.templates.intern(&self.buffer);
        if let (true, Some(slot)) = (facts.is_empty(), self.by_name.get_mut(span.name.0 as usize)) {
            *slot = Some(template);
        }
        template
    }
}

/// Takes ignored spans and the insides of folded ones out of a trace.
fn prune(trace: &mut Trace, effects: &[Effect]) -> Ruled {
    let mut ruled = Ruled::default();
    let store = std::mem::take(&mut trace.store);
    // For each old span its place among the kept ones, or that of its nearest kept ancestor.
    let mut places: Vec<u32> = Vec::with_capacity(store.spans.len());
    let mut spans = Vec::new();
    let mut folded_until = 0;
    for (index, span) in store.spans.iter().enumerate() {
        let parent = places.get(span.parent as usize).copied().unwrap_or(NO_PARENT);
        let effect = effects.get(index).copied().unwrap_or_default();
        if index < folded_until {
            ruled.folded += 1;
            places.push(parent);
        } else if effect == Effect::Ignore {
            ruled.ignored += 1;
            places.push(parent);
        } else {
            if effect == Effect::Fold {
                folded_until = trace.subtree_end.get(index).map_or(0, |&end| end as usize);
            }
            places.push(spans.len() as u32);
            spans.push(Span { parent, ..*span });
        }
    }
    let operations = std::mem::take(&mut trace.operations);
    *trace = Trace::new(trace.id, SpanStore { spans, ..store }, operations);
    ruled
}

/// Puts both sides on one table of operations, so that equal numbers are equal operations, and folds names that have
/// very many values under one parent. Operations are sorted: neither the order of files nor of sides shows.
pub fn unify(traces: &mut Pair<Trace>, warnings: &mut Pair<Warnings>) {
    let mut union = Operations::default();
    for side in [Side::Before, Side::After] {
        let trace = traces.get_mut(side);
        let ids: Vec<OperationId> = trace.operations.iter().map(|operation| union.intern(operation.clone())).collect();
        renumber(&mut trace.store.spans, &ids);
    }
    if union.len() > MANY_NAMES {
        fold_many_names(traces, &mut union, warnings);
    }
    let mut used = vec![false; union.len()];
    for span in traces.before.spans().iter().chain(traces.after.spans()) {
        if let Some(slot) = used.get_mut(span.operation.0 as usize) {
            *slot = true;
        }
    }
    let mut sorted: Vec<(usize, &Operation)> =
        union.iter().enumerate().filter(|(index, _)| used.get(*index) == Some(&true)).collect();
    sorted.sort_unstable_by_key(|&(_, operation)| operation);
    let mut ids = vec![OperationId::NONE; union.len()];
    let mut table = Operations::default();
    for (index, operation) in sorted {
        if let Some(id) = ids.get_mut(index) {
            *id = table.intern(operation.clone());
        }
    }
    renumber(&mut traces.before.store.spans, &ids);
    renumber(&mut traces.after.store.spans, &ids);
    traces.before.operations = table.clone();
    traces.after.operations = table;
}

fn renumber(spans: &mut [Span], ids: &[OperationId]) {
    for span in spans {
        span.operation = ids.get(span.operation.0 as usize).copied().unwrap_or(OperationId::NONE);
    }
}

/// The operation of a span's parent.
fn parent_operation(spans: &[Span], span: &Span) -> OperationId {
    spans.get(span.parent as usize).map_or(OperationId::NONE, |parent| parent.operation)
}

/// Parent operation and operation, and on which sides they stand together.
type Relations = Map<(OperationId, OperationId), Pair<bool>>;

fn relations(traces: &Pair<Trace>) -> Relations {
    let mut relations = Relations::default();
    for side in [Side::Before, Side::After] {
        let spans = traces.get(side).spans();
        for span in spans {
            *relations.entry((parent_operation(spans, span), span.operation)).or_default().get_mut(side) = true;
        }
    }
    relations
}

fn fold_many_names(traces: &mut Pair<Trace>, union: &mut Operations, warnings: &mut Pair<Warnings>) {
    let mut free: Option<Vec<bool>> = None;
    for _ in 0..MAX_ROUNDS {
        let renamed = renames(&relations(traces), traces, union, &mut free, warnings);
        if renamed.is_empty() {
            return;
        }
        for side in [Side::Before, Side::After] {
            let spans = &mut traces.get_mut(side).store.spans;
            // Parents come first, and their old operations are needed: from the last span to the first.
            for index in (0..spans.len()).rev() {
                let Some(span) = spans.get(index) else { continue };
                let new = renamed.get(&(parent_operation(spans, span), span.operation)).copied();
                if let (Some(new), Some(span)) = (new, spans.get_mut(index)) {
                    span.operation = new;
                }
            }
        }
    }
}

/// The new operations of one round.
fn renames(
    relations: &Relations,
    traces: &Pair<Trace>,
    union: &mut Operations,
    free: &mut Option<Vec<bool>>,
    warnings: &mut Pair<Warnings>,
) -> Map<(OperationId, OperationId), OperationId> {
    let mut groups: Map<(OperationId, &str, Kind), Vec<(OperationId, &str, Pair<bool>)>> = Map::default();
    for (&(parent, id), &sides) in relations {
        if let Some(operation) = union.get(id) {
            groups.entry((parent, &operation.service, operation.kind)).or_default().push((id, &operation.name, sides));
        }
    }
    let mut found: Vec<(OperationId, OperationId, Operation, Pair<bool>)> = Vec::new();
    for ((parent, service, kind), mut names) in groups {
        if names.len() <= MANY_NAMES {
            continue;
        }
        let free = free.get_or_insert_with(|| free_names(traces, union));
        names.retain(|(id, ..)| free.get(id.0 as usize) == Some(&true));
        let texts: Vec<(&str, Pair<bool>)> = names.iter().map(|&(_, name, sides)| (name, sides)).collect();
        for ((id, _, sides), template) in names.iter().zip(drain::templates(&texts)) {
            if let Some(name) = template {
                found.push((parent, *id, Operation { service: service.into(), kind, name: name.into() }, *sides));
            }
        }
    }
    // The groups came in the order of a hash: make it one that does not change.
    found.sort_unstable_by(|a, b| (&a.2, a.0, a.1).cmp(&(&b.2, b.0, b.1)));
    let mut renamed = Map::default();
    for (parent, id, operation, sides) in found {
        for side in [Side::Before, Side::After] {
            if *sides.get(side) {
                warnings.get_mut(side).add_with(Warning::HighCardinalityName, || operation.to_string());
            }
        }
        renamed.insert((parent, id), union.intern(operation));
    }
    renamed
}

/// For each operation whether its name is a path or a display name, and not the word of a convention or of a rule.
fn free_names(traces: &Pair<Trace>, union: &Operations) -> Vec<bool> {
    let mut known = vec![None; union.len()];
    let mut buffer = String::new();
    for trace in [&traces.before, &traces.after] {
        for span in trace.spans() {
            let Some(slot @ None) = known.get_mut(span.operation.0 as usize) else { continue };
            buffer.clear();
            let facts = Facts::of(trace.store.attributes(span));
            let source = template_into(&mut buffer, &facts, span.kind, trace.store.name(span));
            // Another name than the span would have got was given by a rule.
            let own = union.get(span.operation).is_some_and(|operation| *operation.name == *buffer);
            *slot = Some(own && source == Source::Free);
        }
    }
    known.into_iter().map(|free| free == Some(true)).collect()
}
