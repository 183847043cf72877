//! temporary
use super::{Attributes, Kind, Value, semconv};
use std::borrow::Cow;
/// temporary
pub fn attributes(attributes: Attributes<'_>, _kind: Kind) -> Vec<(Cow<'_, str>, Value<'_>)> {
    attributes.map(|(k, v)| (Cow::Borrowed(semconv::canonical_key(k)), v)).collect()
}
