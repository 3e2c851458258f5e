//! JSON Schema, draft-07, of rule files, scenarios and manifests of plugins: for editors.
//!
//! Made of the tables that the files are read against, so that what an editor offers is what is taken. It
//! says what a file is made of; whether that makes sense is what `adjutant check` says.
//! <https://json-schema.org/draft-07/draft-handrews-json-schema-01>

use serde_json::{Map, Value as Json, json};

use super::codes;
use super::decode::{Definition, Holds, Key, State, Table};
use super::keys;
use super::schema_examples as examples;

/// The dialect that every editor knows.
const DIALECT: &str = "http://json-schema.org/draft-07/schema#";
/// What a name is.
const NAME: &str = "^[a-z][a-z0-9-]*$";
/// What the name of a result or variable is.
const VARIABLE: &str = "^[a-z_][a-z0-9_]*$";
/// What a literal duration is: a number and a unit, or ISO 8601.
const DURATION: &str = "^([0-9]+(ms|s|m|h|d|w|y|bm|bh|bd)|P[0-9.YMWDTHS]+)$";

/// Of rule files: each document is one of the kinds.
#[must_use]
pub fn rules() -> Json {
    let kinds: Vec<Json> =
        keys::DOCUMENTS.iter().filter_map(|document| document.table.as_ref()).map(object).collect();
    let definitions = json!({
        "steps": { "type": "array", "items": { "$ref": "#/definitions/step" } },
        "step": { "description": "a step: one main key, its fields beside it", "oneOf": steps() },
        "trigger": { "description": "what starts a workflow", "oneOf": triggers() },
        "filter": {
            "description": "selects events in a running workflow",
            "oneOf": [object(&keys::FILTER), object(&keys::RECORD_FILTER)],
        },
    });
    schema(
        "a document of an Adjutant rule file",
        json!({ "oneOf": kinds, "definitions": definitions }),
    )
}

/// Of `plugin.yaml`.
#[must_use]
pub fn plugin() -> Json {
    of("the manifest of an Adjutant plugin", &super::manifest::MANIFEST, json!({}))
}

/// Of what `adjutant check --format json` prints: the mistakes in the order of the files.
#[must_use]
pub fn diagnostics() -> Json {
    let codes: Vec<&str> = codes::all().iter().map(|code| code.name).collect();
    let number = |about: &str| json!({ "type": "integer", "minimum": 1, "description": about });
    let place = |mut properties: Json, required: &[&str]| {
        let common = json!({
            "file": { "type": "string", "description": "the file, as it was named" },
            "line": number("its line; left out when the file could not be read"),
            "col": number("its column, in characters"),
            "end": {
                "type": "object", "description": "where it ends, that character excluded",
                "properties": { "line": number("the line"), "col": number("the column") },
                "required": ["line", "col"], "additionalProperties": false,
            },
            "label": { "type": ["string", "null"], "description": "what is said beside the place" },
        });
        if let (Json::Object(all), Json::Object(common)) = (&mut properties, common) {
            all.extend(common);
        }
        let required: Vec<&str> = required.iter().chain(&["file", "label"]).copied().collect();
        json!({
            "type": "object", "properties": properties, "required": required,
            "additionalProperties": false,
            "dependencies": { "line": ["col", "end"], "col": ["line"], "end": ["line"] },
        })
    };
    let one = place(
        json!({
            "severity": { "enum": ["error", "warning"] },
            "code": { "enum": codes, "description": "`adjutant check --explain CODE` tells about it" },
            "message": { "type": "string", "minLength": 1, "description": "what is wrong" },
            "help": { "type": ["string", "null"], "description": "what to write instead" },
            "also": {
                "type": "array", "description": "other places that matter",
                "items": { "$ref": "#/definitions/place" },
            },
        }),
        &["severity", "code", "message", "help", "also"],
    );
    schema(
        "what `adjutant check --format json` prints",
        json!({
            "type": "array", "items": one,
            "definitions": { "place": place(json!({}), &[]) },
        }),
    )
}

/// Of one table, whose keys may need `definitions`.
#[must_use]
pub fn of(title: &str, table: &'static Table, definitions: Json) -> Json {
    let Json::Object(mut fields) = object(table) else { return Json::Null };
    fields.insert("definitions".into(), definitions);
    schema(title, Json::Object(fields))
}

fn schema(title: &str, rest: Json) -> Json {
    let mut whole = Map::new();
    whole.insert("$schema".into(), DIALECT.into());
    whole.insert("title".into(), title.into());
    if let Json::Object(rest) = rest {
        whole.extend(rest);
    }
    Json::Object(whole)
}

/// What a table allows, and nothing else.
#[must_use]
pub fn object(table: &'static Table) -> Json {
    with_keys(table.what, table.keys.iter())
}

fn with_keys(what: &str, keys: impl Iterator<Item = &'static Key> + Clone) -> Json {
    let allowed = keys.clone().filter(|key| key.state != State::Later);
    let properties: Map<String, Json> = allowed
        .map(|key| (key.name.to_owned(), described(what, key.name, key.holds, key.about)))
        .collect();
    let required: Vec<&str> =
        keys.filter(|key| key.state == State::Required).map(|key| key.name).collect();
    json!({
        "type": "object",
        "description": what,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn steps() -> Vec<Json> {
    let built = keys::STEPS.iter().filter_map(|step| Some((step, step.fields.as_ref()?)));
    built
        .map(|(step, fields)| {
            let all = fields.keys.iter().chain(keys::COMMON.keys);
            let mut kind = with_keys(step.about, all);
            kind["properties"][step.main] =
                described(step.about, step.main, step.holds, step.about);
            if let Some(required) = kind["required"].as_array_mut() {
                required.insert(0, step.main.into());
            }
            kind
        })
        .collect()
}

fn triggers() -> Vec<Json> {
    keys::TRIGGERS.iter().filter_map(|trigger| trigger.table.as_ref()).map(object).collect()
}

/// The shape of the value of a key of the object that `what` describes, with what it is for, and an example: from
/// the words that say so, or of those that teach.
fn described(what: &str, key: &str, holds: Holds, about: &str) -> Json {
    let mut shape = self::shape(holds);
    // Beside `$ref` nothing else counts in draft-07.
    if shape.get("$ref").is_some() {
        shape = json!({ "allOf": [shape] });
    }
    shape["description"] = about.into();
    let example =
        about.split('`').nth(1).filter(|_| matches!(holds, Holds::Text | Holds::Duration));
    if let Some(example) = example {
        shape["examples"] = json!([example]);
    } else if let Some(example) = examples::of(what, key) {
        shape["examples"] = json!([example]);
    }
    shape
}

/// The shape of a value.
#[must_use]
pub fn shape(holds: Holds) -> Json {
    match holds {
        // An empty value and `null` are the same to a validator, and `null` may be meant.
        Holds::Anything => json!({}),
        // A number is text where text is wanted, and often so in a file.
        Holds::Text | Holds::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Holds::Expression => json!({ "type": ["string", "boolean"] }),
        Holds::Name => json!({ "type": "string", "pattern": NAME }),
        Holds::Variable => json!({ "type": "string", "pattern": VARIABLE }),
        Holds::Flag => json!({ "type": "boolean" }),
        Holds::Whole(least) => json!({ "type": "integer", "minimum": least }),
        Holds::Duration => json!({ "type": "string", "pattern": DURATION }),
        Holds::Values => json!({ "type": "object" }),
        Holds::Choice(words) => json!({ "enum": words }),
        Holds::ListOf(item) => json!({ "type": "array", "items": shape(*item) }),
        Holds::MapOf(value) => json!({ "type": "object", "additionalProperties": shape(*value) }),
        Holds::Any(kinds) => {
            let kinds: Vec<Json> = kinds.iter().map(|kind| shape(*kind)).collect();
            json!({ "anyOf": kinds })
        }
        Holds::Object(table) => object(table),
        Holds::Ref(definition) => {
            let name = match definition {
                Definition::Steps => "steps",
                Definition::Trigger => "trigger",
                Definition::Filter => "filter",
                Definition::Expected => "expected",
            };
            json!({ "$ref": format!("#/definitions/{name}") })
        }
    }
}
