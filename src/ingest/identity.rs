//! Which operation each span is: service, kind and a name without identifiers.
//!
//! Names come from the user's rules, else from semantic conventions old or new, else from the masked display name
//! (`template`), and at last from what many names have in common (`drain`). Versions, hosts and SDKs are no part of
//! it. Work per span is one pass over its attributes; strings are made once per distinct name.

use super::rules::{Effect, Rules};
use super::template::{Source, template_into};
use crate::model::drain;
use crate::model::facts::{Fact, Facts};
use crate::model::{
    Kind, NO_PARENT, Operation, OperationId, Operations, Pair, Side, Span, SpanStore, Symbol, Symbols, Trace, Value,
    Warning, Warnings,
};
use std::collections::HashMap;
use std::hash::BuildHasher;

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
    let symbols = std::mem::take(&mut trace.store.symbols);
    let ruled = Identifier::new(rules).identify(trace, &symbols);
    trace.store.symbols = symbols;
    ruled
}

/// Operations and templates that are remembered; more of them, and all is forgotten.
const MAX_REMEMBERED: usize = 1 << 18;

/// Identifies the spans of many traces whose symbols are of one table. What was worked out for one trace serves the
/// next, and all of them count their operations in one table as long as it is not too large.
#[derive(Debug)]
pub struct Identifier<'r> {
    rules: &'r Rules,
    operations: Operations,
    /// The names of operations as strings stored once, so that a known one costs no allocation.
    templates: Symbols,
    /// The template of each display name that has no conventions beside it; `None` for not seen yet.
    by_name: Vec<Option<Symbol>>,
    known: Map<(Symbol, Kind, Symbol), OperationId>,
    recent: Recent,
    buffer: String,
}

/// Templates by what they were made from, for a while: most spans repeat others, and to look the same up costs less
/// than to mask it again.
#[derive(Debug)]
struct Recent {
    slots: Vec<(Vec<u8>, Symbol)>,
    /// What the template of the span at hand is made from.
    key: Vec<u8>,
    hasher: foldhash::fast::RandomState,
}

impl Recent {
    const SLOTS: usize = 1 << 12;
    /// Longer texts (statements) are not remembered.
    const MOST_BYTES: usize = 256;

    fn new() -> Recent {
        let slots = vec![(Vec::new(), Symbol::EMPTY); Self::SLOTS];
        Recent { slots, key: Vec::new(), hasher: foldhash::fast::RandomState::default() }
    }

    /// The place of a span's template; `None` when it is not to be remembered.
    fn place(&mut self, facts: &Facts<'_>, span: &Span) -> Option<usize> {
        // The URL of a server's span with a route plays no part, and is another one nearly every time.
        let has_route = span.kind == Kind::Server && facts.text(Fact::HttpRoute).is_some();
        self.key.clear();
        self.key.push(span.kind as u8);
        self.key.extend_from_slice(&span.name.0.to_le_bytes());
        for (fact, value) in facts.picked() {
            if has_route && matches!(fact, Fact::UrlPath | Fact::HttpTarget | Fact::UrlFull) {
                continue;
            }
            // Number, type, and a length where it is needed: two spans with equal bytes have equal facts.
            match value {
                Value::Str(text) => {
                    self.key.extend_from_slice(&[fact as u8, 1, u8::try_from(text.len()).ok()?]);
                    self.key.extend_from_slice(text.as_bytes());
                }
                Value::Int(int) => {
                    self.key.extend_from_slice(&[fact as u8, 2]);
                    self.key.extend_from_slice(&int.to_le_bytes());
                }
                Value::Bool(flag) => self.key.extend_from_slice(&[fact as u8, 3, u8::from(flag)]),
                _ => return None,
            }
        }
        (self.key.len() <= Self::MOST_BYTES).then(|| self.hasher.hash_one(&self.key) as usize % Self::SLOTS)
    }

    fn get(&self, place: usize) -> Option<Symbol> {
        self.slots.get(place).filter(|(key, _)| *key == self.key).map(|(_, template)| *template)
    }

    fn put(&mut self, place: usize, template: Symbol) {
        if let Some((key, held)) = self.slots.get_mut(place) {
            key.clone_from(&self.key);
            *held = template;
        }
    }
}

impl<'r> Identifier<'r> {
    /// Nothing is known yet.
    pub fn new(rules: &'r Rules) -> Self {
        Identifier {
            rules,
            operations: Operations::default(),
            templates: Symbols::default(),
            by_name: Vec::new(),
            known: Map::default(),
            recent: Recent::new(),
            buffer: String::new(),
        }
    }

    /// Gives every span of a trace its operation, and takes out what the rules take out. The symbols of the trace are
    /// those of `symbols`, whatever its own table holds. The trace takes the table of operations with it:
    /// [`Identifier::take_back`] returns it.
    pub fn identify(&mut self, trace: &mut Trace, symbols: &Symbols) -> Ruled {
        if self.operations.len() > MAX_REMEMBERED || self.templates.len() > MAX_REMEMBERED {
            *self = Identifier::new(self.rules);
        }
        if self.by_name.len() < symbols.len() {
            self.by_name.resize(symbols.len(), None);
        }
        let mut effects = Vec::new();
        for index in 0..trace.store.spans.len() {
            let Some(span) = trace.store.spans.get(index) else { break };
            let (operation, effect) = self.span(&trace.store, symbols, span);
            if !self.rules.operations.is_empty() {
                effects.push(effect);
            }
            if let Some(span) = trace.store.spans.get_mut(index) {
                span.operation = operation;
            }
        }
        trace.operations = std::mem::take(&mut self.operations);
        if effects.iter().all(|&effect| effect == Effect::Keep) { Ruled::default() } else { prune(trace, &effects) }
    }

    /// Takes the table of operations back from the trace that was identified last.
    pub fn take_back(&mut self, trace: &mut Trace) {
        self.operations = std::mem::take(&mut trace.operations);
    }

    fn span(&mut self, store: &SpanStore, symbols: &Symbols, span: &Span) -> (OperationId, Effect) {
        let service = store.service_symbol(span);
        let rule = if self.rules.operations.is_empty() {
            None
        } else {
            self.rules.find(symbols.get(service), symbols.get(span.name), span.kind, store.attributes(span))
        };
        let effect = rule.map(|rule| rule.effect).unwrap_or_default();
        let template = match rule.and_then(|rule| rule.template.as_deref()) {
            Some(template) => self.templates.intern(template),
            None => self.template(store, symbols, span),
        };
        let (templates, operations) = (&self.templates, &mut self.operations);
        let id = *self.known.entry((service, span.kind, template)).or_insert_with(|| {
            operations.intern(Operation {
                service: symbols.get(service).into(),
                kind: span.kind,
                name: templates.get(template).into(),
            })
        });
        (id, effect)
    }

    fn template(&mut self, store: &SpanStore, symbols: &Symbols, span: &Span) -> Symbol {
        let facts = Facts::of(store.attributes(span));
        let known = self.by_name.get(span.name.0 as usize).copied().flatten();
        if let (true, Some(template)) = (facts.is_empty(), known) {
            return template;
        }
        let place = self.recent.place(&facts, span);
        if let Some(template) = place.and_then(|place| self.recent.get(place)) {
            return template;
        }
        self.buffer.clear();
        template_into(&mut self.buffer, &facts, span.kind, symbols.get(span.name));
        let template = self.templates.intern(&self.buffer);
        if let Some(place) = place {
            self.recent.put(place, template);
        }
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
    let (mut spans, mut taken_out) = (Vec::new(), Vec::new());
    let mut folded_until = 0;
    for (index, span) in store.spans.iter().enumerate() {
        let parent = places.get(span.parent as usize).copied().unwrap_or(NO_PARENT);
        let effect = effects.get(index).copied().unwrap_or_default();
        if index < folded_until {
            ruled.folded += 1;
            places.push(parent);
            taken_out.push(*span);
        } else if effect == Effect::Ignore {
            ruled.ignored += 1;
            places.push(parent);
            taken_out.push(*span);
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
    trace.taken_out = taken_out;
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

/// An operation, its name and the sides on which it stands.
type Name<'a> = (OperationId, &'a str, Pair<bool>);

/// The new operations of one round.
fn renames(
    relations: &Relations,
    traces: &Pair<Trace>,
    union: &mut Operations,
    free: &mut Option<Vec<bool>>,
    warnings: &mut Pair<Warnings>,
) -> Map<(OperationId, OperationId), OperationId> {
    let mut groups: Map<(OperationId, &str, Kind), Vec<Name<'_>>> = Map::default();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::rules::OperationRule;
    use crate::model::fixture;
    use std::fmt::Write as _;

    fn identified(text: &str) -> Trace {
        let mut trace = fixture::trace(text);
        identify(&mut trace, &Rules::default());
        trace
    }

    fn unified(before: &str, after: &str) -> (Pair<Trace>, Pair<Warnings>) {
        let mut traces = Pair::new(identified(before), identified(after));
        let mut warnings = Pair::default();
        unify(&mut traces, &mut warnings);
        (traces, warnings)
    }

    /// Operations in pre-order.
    fn names(trace: &Trace) -> Vec<String> {
        let shown = |span: &Span| trace.operations.get(span.operation).map(ToString::to_string).unwrap_or_default();
        trace.spans().iter().map(shown).collect()
    }

    fn ids(trace: &Trace) -> Vec<OperationId> {
        trace.spans().iter().map(|span| span.operation).collect()
    }

    #[test]
    fn identifiers_in_names_and_new_conventions_are_no_other_operation() {
        let (traces, warnings) = unified(
            "gateway GET 100ms [server] {http.method=GET, http.target=/users/123456?x}
               gateway HTTP_GET 80ms [client] {http.method=GET, http.url=http://users-1:80/users/123456}
                 users load 10ms
                   users shop 5ms [client] {db.system=mssql, db.operation=SELECT, db.sql.table=users, net.peer.name=db-1}",
            "gateway GET 100ms [server] {http.request.method=GET, url.path=/users/987654}
               gateway GET 80ms [client] {http.request.method=GET, url.full=http://users-2/users/987654}
                 users load 10ms
                   users SELECT 5ms [client] {db.system.name=microsoft.sql_server, db.query.summary=SELECT users}",
        );
        assert_eq!(ids(&traces.before), ids(&traces.after));
        assert_eq!(
            names(&traces.after),
            ["gateway: GET /users/{}", "gateway: GET /users/{}", "users: load", "users: SELECT users"]
        );
        assert_eq!(warnings, Pair::default());
    }

    #[test]
    fn service_kind_and_version_in_a_path_are_part_of_identity() {
        let trace = identified(
            "a x 9ms [server]
               b x 1ms [server]
               a x 1ms [client]
               a /v1/orders 1ms
               a /v2/orders 1ms",
        );
        assert_eq!(trace.operations.len(), 5);
    }

    #[test]
    fn hosts_and_versions_are_no_part_of_identity() {
        let (traces, _) = unified(
            "a x 9ms [client] {server.address=h1, service.version=1, net.peer.port=1}",
            "a x 9ms [client] {server.address=h2, service.version=2, net.peer.port=2}",
        );
        assert_eq!(ids(&traces.before), ids(&traces.after));
    }

    #[test]
    fn both_sides_count_in_one_sorted_table_whichever_comes_first() {
        let (one, two) = ("a r 9ms\n  c x 1ms\n  b y 1ms", "a r 9ms\n  d z 1ms\n  c x 1ms");
        let (straight, _) = unified(one, two);
        let (swapped, _) = unified(two, one);
        let table = |trace: &Trace| trace.operations.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(table(&straight.before), ["a: r", "b: y", "c: x", "d: z"]);
        for trace in [&straight.after, &swapped.before, &swapped.after] {
            assert_eq!(table(trace), table(&straight.before));
        }
        assert_eq!(ids(&straight.before), ids(&swapped.after));
        assert_eq!(ids(&straight.after), ids(&swapped.before));
    }

    fn word(index: usize) -> String {
        (0..4).map(|place| char::from(b'a' + (index / 7usize.pow(place) % 7) as u8)).collect()
    }

    fn many(range: std::ops::Range<usize>, attributes: &str) -> String {
        let mut text = String::from("a r 9ms\n");
        for index in range {
            writeln!(text, "  a load user {} 1ms {attributes}\n    a query of {} 1ms", word(index), word(index))
                .unwrap();
        }
        text
    }

    #[test]
    fn very_many_names_under_one_parent_are_folded_over_both_sides_and_below() {
        for (before, after) in [(0..20, 20..45), (0..40, 40..43), (20..45, 0..20)] {
            let (traces, warnings) = unified(&many(before.clone(), ""), &many(after.clone(), ""));
            for (trace, spans) in [(&traces.before, before.len()), (&traces.after, after.len())] {
                let names = names(trace);
                assert_eq!(names.len(), 1 + 2 * spans);
                assert!(names.iter().skip(1).step_by(2).all(|name| name == "a: load user {}"));
                // Their children had few names each; under one parent now they have many.
                assert!(names.iter().skip(2).step_by(2).all(|name| name == "a: query of {}"), "{names:?}");
            }
            assert_eq!(warnings.before.count(Warning::HighCardinalityName), 2 * before.len() as u64);
        }
    }

    #[test]
    fn few_names_and_vocabularies_stay() {
        let (traces, warnings) = unified(&many(0..16, ""), &many(16..32, ""));
        assert_eq!(traces.before.operations.len(), 65);
        assert!(warnings.before.is_empty());
        // The same names on both sides match as they are.
        let (traces, _) = unified(&many(0..60, ""), &many(0..60, ""));
        assert_eq!(traces.before.operations.len(), 121);
        // Words of a convention are operations, however many there are.
        let routes: Vec<String> = [0..30, 30..60]
            .into_iter()
            .map(|range| {
                range.fold("a r 9ms\n".to_owned(), |text, index| {
                    format!("{text}  a x 1ms [server] {{http.method=GET, http.route=/api/{}}}\n", word(index))
                })
            })
            .collect();
        let (traces, _) = unified(&routes[0], &routes[1]);
        assert_eq!(traces.before.operations.len(), 61);
    }

    fn ruled(text: &str, rules: Vec<OperationRule>) -> (Trace, Ruled) {
        let mut trace = fixture::trace(text);
        let ruled = identify(&mut trace, &Rules { operations: rules });
        (trace, ruled)
    }

    fn rule(name: &str, template: Option<&str>, effect: Effect) -> OperationRule {
        OperationRule {
            name: Some(name.to_owned()),
            template: template.map(str::to_owned),
            effect,
            ..OperationRule::default()
        }
    }

    const RULED: &str = "a r 90ms
               a wrap 50ms
                 a inner-1 20ms
                   a leaf 5ms
                 a inner-2 20ms
               b health 1ms {http.route=/x}";

    #[test]
    fn the_first_rule_that_matches_wins() {
        let by_attribute = OperationRule {
            service: Some("b*".into()),
            attributes: [("http.route".to_owned(), "/*".to_owned())].into(),
            template: Some("probe".into()),
            ..OperationRule::default()
        };
        let rules = vec![
            rule("inner-2", Some("second"), Effect::Keep),
            rule("inner*", Some("inner"), Effect::Keep),
            by_attribute,
        ];
        let (trace, ruled) = ruled(RULED, rules);
        assert_eq!(names(&trace), ["a: r", "a: wrap", "a: inner", "a: leaf", "a: second", "b: probe"]);
        assert_eq!(ruled, Ruled::default());
    }

    #[test]
    fn ignored_spans_leave_their_children_and_folded_ones_take_them_in() {
        let (trace, counts) =
            ruled(RULED, vec![rule("wrap", None, Effect::Ignore), rule("health", None, Effect::Ignore)]);
        assert_eq!(names(&trace), ["a: r", "a: inner-{}", "a: leaf", "a: inner-{}"]);
        assert_eq!(trace.subtree_end, [4, 3, 3, 4]);
        assert_eq!(counts, Ruled { ignored: 2, folded: 0 });

        let (trace, counts) = ruled(RULED, vec![rule("wrap", Some("all"), Effect::Fold)]);
        assert_eq!(names(&trace), ["a: r", "a: all", "b: health"]);
        assert_eq!(counts, Ruled { ignored: 0, folded: 3 });

        let (trace, counts) = ruled(RULED, vec![rule("r", None, Effect::Ignore)]);
        assert_eq!(trace.roots().collect::<Vec<_>>(), [0, 4]);
        assert_eq!(counts, Ruled { ignored: 1, folded: 0 });

        let (trace, counts) = ruled(RULED, vec![rule("*", None, Effect::Ignore)]);
        assert!(trace.is_empty());
        assert_eq!(counts, Ruled { ignored: 6, folded: 0 });
    }

    #[test]
    fn names_given_by_rules_are_never_folded() {
        let rules = |range: std::ops::Range<usize>| {
            let rules = range.map(|index| {
                let name = format!("load user {}", word(index));
                rule(&name, Some(&format!("user {}", word(index))), Effect::Keep)
            });
            rules.collect::<Vec<_>>()
        };
        let (before, _) = ruled(&many(0..30, ""), rules(0..30));
        let (after, _) = ruled(&many(30..60, ""), rules(30..60));
        let mut traces = Pair::new(before, after);
        unify(&mut traces, &mut Pair::default());
        assert!(traces.before.operations.iter().all(|operation| !operation.name.contains("{}")));
    }
}
