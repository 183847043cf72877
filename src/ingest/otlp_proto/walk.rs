//! A walk through the messages above the span that knows its place, and what to do where a record was cut off.

use crate::model::wire::{Field, Fields, WireError};

/// One step of a walk through a message above the span.
pub(super) enum Step<'b> {
    Field(u32, Field<'b>),
    /// The last field of a record that was cut off: as much of its payload as is there.
    Cut(u32, &'b [u8]),
}

/// Walks the fields of a message and knows where it is.
pub(super) struct Walk<'b> {
    fields: Fields<'b>,
    /// Offset behind the message.
    pub end: usize,
    /// Whether the message is what is left of a longer one.
    cut: bool,
    /// Bytes that could not be read.
    pub lost: usize,
}

impl<'b> Walk<'b> {
    pub const fn new(message: &'b [u8], start: usize, cut: bool) -> Self {
        Walk { fields: Fields::new(message), end: start + message.len(), cut, lost: 0 }
    }

    /// The next field, if one can be read.
    pub fn next(&mut self) -> Option<Step<'b>> {
        let before = self.fields.rest();
        match self.fields.next_field() {
            Ok(Some((number, field))) => Some(Step::Field(number, field)),
            Ok(None) => None,
            Err(error) => {
                self.lost = before.len();
                if !self.cut || error != WireError::Truncated {
                    return None;
                }
                Fields::new(before).cut_bytes().map(|(number, rest)| Step::Cut(number, rest))
            }
        }
    }

    /// Where the payload that was just read begins.
    pub const fn start_of(&self, payload: &[u8]) -> usize {
        self.end - self.fields.rest().len() - payload.len()
    }
}
