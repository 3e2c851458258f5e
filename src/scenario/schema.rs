//! JSON Schema of scenario files.

use serde_json::{Value as Json, json};

use crate::rules::schema;

use super::keys;

/// See [`crate::rules::schema`].
#[must_use]
pub fn schema() -> Json {
    let expected: Vec<Json> =
        keys::EXPECTED.iter().map(|(_, table)| schema::object(table)).collect();
    let definitions =
        json!({ "expected": { "description": "something that must happen", "oneOf": expected } });
    schema::of("a scenario of `adjutant test`", &keys::SCENARIO, definitions)
}
