//! What makes two spans comparable: service, kind and normalised name.

use super::span::Kind;
use indexmap::IndexSet;
use std::fmt;
use std::sync::Arc;

/// An operation: spans of one operation are "the same thing happening again".
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Operation {
    /// `service.namespace/service.name`, or `service.name` alone without a namespace.
    pub service: Arc<str>,
    /// Span kind; unspecified counts as internal.
    pub kind: Kind,
    /// The normalised name (`GET /users/{}`).
    pub name: Arc<str>,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.service, self.name)
    }
}

/// An operation of one [`Operations`] table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationId(pub u32);

impl OperationId {
    /// Not identified yet.
    pub const NONE: OperationId = OperationId(u32::MAX);
}

/// A table of distinct operations, numbered in order of first use.
#[derive(Clone, Debug, Default)]
pub struct Operations {
    table: IndexSet<Operation, foldhash::fast::RandomState>,
}

impl Operations {
    /// The number of an operation, new or known.
    pub fn intern(&mut self, operation: Operation) -> OperationId {
        OperationId(self.table.insert_full(operation).0 as u32)
    }

    /// The operation with this number.
    pub fn get(&self, id: OperationId) -> Option<&Operation> {
        self.table.get_index(id.0 as usize)
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// All operations in order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Operation> {
        self.table.iter()
    }
}
