//! What every reader hands on: the spans of one record with the bytes they point into.

use super::census::Census;
use crate::model::{Resource, Scope, Span, SpanStore, Symbols};
use std::sync::Arc;

/// The spans of one record (a protobuf frame, a JSON document). Bodies point into `bytes` with chunk number 0;
/// `resource` and `scope` of a span count in the lists here; symbols are those of the reader's table.
#[derive(Debug, Default)]
pub struct Batch {
    /// The spans in the order of the record.
    pub spans: Vec<Span>,
    /// The resources that the spans refer to.
    pub resources: Vec<Resource>,
    /// The scopes that the spans refer to.
    pub scopes: Vec<Scope>,
    /// The packed messages.
    pub bytes: Vec<u8>,
}

/// Takes batches as they are read.
pub trait Sink {
    /// Takes one batch. Its symbols are in `symbols`, which only grows while one input is read.
    fn batch(&mut self, batch: Batch, symbols: &Symbols);

    /// A sink that only counts the spans of each trace gives itself here; readers of formats in which that can be done
    /// without decoding then call [`Census::add`] instead of [`Sink::batch`]. A sink around another one hands it on.
    fn census(&mut self) -> Option<&mut Census> {
        None
    }
}

/// Keeps everything: for tests, benches and inputs that are known to be one trace.
impl Sink for SpanStore {
    fn batch(&mut self, mut batch: Batch, _symbols: &Symbols) {
        let (chunk, resource, scope) =
            (self.chunks.len() as u32, self.resources.len() as u32, self.scopes.len() as u32);
        for span in &mut batch.spans {
            span.body.chunk = chunk;
            span.resource += resource;
            span.scope += scope;
        }
        for body in batch.resources.iter_mut().map(|r| &mut r.body).chain(batch.scopes.iter_mut().map(|s| &mut s.body))
        {
            body.chunk = chunk;
        }
        self.spans.append(&mut batch.spans);
        self.resources.append(&mut batch.resources);
        self.scopes.append(&mut batch.scopes);
        self.chunks.push(Arc::new(batch.bytes));
    }
}
