//! Examples for the JSON Schema, taken from those with which `adjutant check --explain` teaches: a test compiles
//! them, so what an editor shows is right.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde_json::Value as Json;

use super::codes;
use super::decode::{Definition, Holds, Key, Table};
use super::diagnostic::SourceFile;
use super::keys;
use super::yaml::{self, Kind, Node};

/// Bytes of an example as JSON: a longer one hides what it is an example of.
const LONGEST: usize = 160;

/// Examples by the description of an object and one of its keys.
type Found = HashMap<(&'static str, &'static str), Json>;

/// An example of a key of the object that is described so.
pub(super) fn of(what: &str, key: &str) -> Option<&'static Json> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    let found = FOUND.get_or_init(gathered);
    found.iter().find(|((of, name), _)| *of == what && *name == key).map(|(_, example)| example)
}

fn gathered() -> Found {
    let mut found = Found::new();
    let examples = codes::all().iter().flat_map(codes::Code::examples);
    for example in examples.filter(|example| !example.wrong && !example.configuration) {
        // Only the rules: templates and plugins follow.
        let text = example.text.split("#### ").next().unwrap_or_default();
        let file = SourceFile::new("example.yaml", format!("{text}\n"));
        for document in yaml::parse(&file, &mut Vec::new()).documents {
            let mut kinds = document.root.entries().unwrap_or_default().iter();
            let table = kinds.find_map(|entry| keys::document(&entry.key)?.table.as_ref());
            if let Some(table) = table {
                object(&document.root, table.what, &mut table.keys.iter(), &mut found);
            }
        }
    }
    found
}

fn object(
    node: &Node,
    what: &'static str,
    keys: &mut dyn Iterator<Item = &'static Key>,
    found: &mut Found,
) {
    for key in keys {
        if let Some(value) = node.get(key.name) {
            note(value, what, key.name, found);
            within(value, key.holds, found);
        }
    }
}

/// The shortest that is no mere beginning.
fn note(value: &Node, what: &'static str, key: &'static str, found: &mut Found) {
    let example = value.value().to_json();
    let bytes = example.to_string().len();
    let better = found.get(&(what, key)).is_none_or(|old| bytes < old.to_string().len());
    if bytes > 2 && bytes <= LONGEST && better {
        found.insert((what, key), example);
    }
}

fn within(node: &Node, holds: Holds, found: &mut Found) {
    let table = |table: &'static Table, found: &mut Found| {
        object(node, table.what, &mut table.keys.iter(), found);
    };
    match (holds, &node.kind) {
        (Holds::Object(one), Kind::Map(_)) => table(one, found),
        (Holds::ListOf(item), Kind::List(items)) => {
            for node in items {
                within(node, *item, found);
            }
        }
        (Holds::MapOf(value), Kind::Map(entries)) => {
            for entry in entries {
                within(&entry.value, *value, found);
            }
        }
        (Holds::Any(kinds), _) => {
            for kind in kinds {
                within(node, *kind, found);
            }
        }
        (Holds::Ref(Definition::Steps), Kind::List(steps)) => {
            for node in steps {
                step(node, found);
            }
        }
        (Holds::Ref(Definition::Trigger), Kind::Map(entries)) => {
            let main = entries.iter().find_map(|entry| keys::trigger(&entry.key)?.table.as_ref());
            if let Some(main) = main {
                table(main, found);
            }
        }
        (Holds::Ref(Definition::Filter), Kind::Map(_)) => {
            let by_record = node.get("record").is_some();
            table(if by_record { &keys::RECORD_FILTER } else { &keys::FILTER }, found);
        }
        _ => {}
    }
}

fn step(node: &Node, found: &mut Found) {
    let Some(table) =
        node.entries().and_then(|all| all.iter().find_map(|one| keys::step(&one.key)))
    else {
        return;
    };
    let Some(fields) = &table.fields else { return };
    if let Some(value) = node.get(table.main) {
        note(value, table.about, table.main, found);
        within(value, table.holds, found);
    }
    object(node, table.about, &mut fields.keys.iter().chain(keys::COMMON.keys), found);
}
