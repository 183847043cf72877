//! Placeholder: the JSON readers come from another branch, with this entry.

use super::{Context, InputFormat, ReadError};
use std::io::Read;

/// Reads a stream of JSON documents to its end.
pub fn read(_: &mut dyn Read, _: Option<InputFormat>, _: &mut Context<'_>) -> Result<(), ReadError> {
    Err(ReadError::Unsupported { name: "JSON".to_owned(), hint: String::new() })
}

/// Reads one complete JSON document.
pub fn decode_document(_: &[u8], _: Option<InputFormat>, _: &mut Context<'_>) -> Result<(), ReadError> {
    Err(ReadError::Unsupported { name: "JSON".to_owned(), hint: String::new() })
}
