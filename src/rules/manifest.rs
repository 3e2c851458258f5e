//! `plugin.yaml`: the manifest of a plugin that is a folder. What it may do, and its settings.

use crate::model::{Map, Text, Value};
use crate::script::{Grant, Permissions};

use super::decode::{Holds, Key, Sink, Table};
use super::diagnostic::{Diagnostic, SourceFile};
use super::yaml::{self, Node};

/// Texts.
const NAMES: Holds = Holds::ListOf(&Holds::Text);

/// The name of the file.
pub(super) const FILE: &str = "plugin.yaml";

pub(super) static MANIFEST: Table = Table {
    what: "a plugin",
    keys: &[
        Key::required("name", "its name, by which the configuration sets its settings")
            .holds(Holds::Text),
        Key::required("version", "its version, for people: `1.0.0`").holds(Holds::Text),
        Key::optional("description", "what it is for").holds(Holds::Text),
        Key::optional("permissions", "what it may reach besides computing")
            .holds(Holds::Object(&PERMISSIONS)),
        Key::optional("settings", "a JSON Schema of what `plugin_settings.NAME` may hold")
            .holds(Holds::Values),
    ],
};

static PERMISSIONS: Table = Table {
    what: "`permissions`",
    keys: &[
        Key::optional("hosts", "where its requests may go: `api.example.com`, `*.example.com`")
            .holds(NAMES),
        Key::optional("endpoints", "endpoints its requests may go to; `\"*\"`: the rule's choice")
            .holds(NAMES),
        Key::optional("secrets", "secrets it may put into its requests").holds(NAMES),
        Key::optional("records", "kinds of records it may read; `\"*\"`: every kind").holds(NAMES),
    ],
};

/// A manifest as read.
#[derive(Debug)]
pub(super) struct Manifest {
    /// Its name.
    pub name: Text,
    /// What its functions may do, with the settings it was given.
    pub grant: Grant,
}

/// Reads a manifest; `given` finds what the configuration sets for a plugin of a name.
pub(super) fn read<'v>(
    file: &SourceFile,
    given: impl Fn(&str) -> Option<&'v Value>,
    out: &mut Vec<Diagnostic>,
) -> Option<Manifest> {
    let parsed = yaml::parse(file, out);
    let mut sink = Sink::new(file, out);
    let [document] = &parsed.documents[..] else {
        if !parsed.incomplete {
            sink.error("manifest", 0..0, "a manifest is one document")
                .help("begin it with `name: …`");
        }
        return None;
    };
    let fields = sink.fields(&document.root, &MANIFEST)?;
    let name = fields.get("name").and_then(|node| sink.name(node, "name")).map(Text::from);
    let version = fields.get("version").and_then(|node| sink.raw(node, "version"));
    let permissions = match fields.get("permissions") {
        Some(node) => permissions(&mut sink, node),
        None => Some(Permissions::default()),
    };
    let name = name?;
    let settings = match (fields.get("settings"), given(&name)) {
        (Some(node), given) => Some(settings(&mut sink, node, &name, given)?),
        (None, Some(_)) => {
            let message = format!("the configuration has settings for `{name}`, which takes none");
            sink.error("settings", document.root.head(), message)
                .help(format!("take `plugin_settings.{name}` out of the configuration"));
            return None;
        }
        (None, None) => None,
    };
    version?;
    Some(Manifest { name, grant: Grant { permissions: permissions?, settings } })
}

fn permissions(sink: &mut Sink<'_>, node: &Node) -> Option<Permissions> {
    let fields = sink.fields(node, &PERMISSIONS)?;
    let mut list = |key: &str| -> Option<Vec<Text>> {
        let Some(node) = fields.get(key) else { return Some(Vec::new()) };
        let items = sink.list(node, key)?;
        let all: Vec<_> = items.iter().map(|item| permission(sink, key, item)).collect();
        all.into_iter().collect()
    };
    let (hosts, endpoints) = (list("hosts"), list("endpoints"));
    let (secrets, records) = (list("secrets"), list("records"));
    Some(Permissions { hosts: hosts?, endpoints: endpoints?, secrets: secrets?, records: records? })
}

fn permission(sink: &mut Sink<'_>, key: &str, node: &Node) -> Option<Text> {
    let text = sink.raw(node, key)?;
    let bare = text.strip_prefix("*.").unwrap_or(text);
    let allowed = match key {
        "hosts" => url::Host::parse(bare).is_ok() && !bare.contains(['*', ':', '/']),
        "endpoints" | "records" => text == "*" || crate::model::is_name(text),
        _ => text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'),
    };
    if allowed && !text.is_empty() {
        return Some(text.into());
    }
    let help = match key {
        "hosts" => {
            "write a host without scheme, port and path: `api.example.com`, or `*.example.com` for all below it"
        }
        "endpoints" => "write the name of an endpoint, or `\"*\"`",
        "records" => "write a kind of records, or `\"*\"`",
        _ => "write the name of a secret",
    };
    sink.error("permission", node.head(), format!("`{text}` cannot stand in `{key}`")).help(help);
    None
}

/// What the configuration sets, checked against the schema, with its defaults.
fn settings(sink: &mut Sink<'_>, schema: &Node, name: &str, given: Option<&Value>) -> Option<Map> {
    let plain = schema.value();
    let mut settings = match given {
        Some(Value::Map(map)) => map.clone(),
        _ => Map::new(),
    };
    let properties = plain.get("properties").and_then(Value::as_map);
    for (key, property) in properties.into_iter().flatten() {
        if let Some(default) = property.get("default").filter(|_| !settings.contains_key(key)) {
            settings.insert(key.clone(), default.clone());
        }
    }
    let validator = match jsonschema::draft7::new(&plain.to_json()) {
        Ok(validator) => validator,
        Err(error) => {
            let message = format!("`settings` is not a JSON Schema (draft 7): {error}");
            sink.error("settings", schema.head(), message)
                .help("write `properties: { NAME: { type: string, default: … } }`");
            return None;
        }
    };
    let value = Value::Map(settings.clone()).to_json();
    let mut good = true;
    for error in validator.iter_errors(&value) {
        let at = error.instance_path().to_string().replace('/', ".");
        let message = format!("`plugin_settings.{name}{at}` of the configuration: {error}");
        sink.error("settings", schema.head(), message)
            .said("what it has to be")
            .help("mend it in the configuration");
        good = false;
    }
    good.then_some(settings)
}
