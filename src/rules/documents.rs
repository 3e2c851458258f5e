//! `record:` and `calendar:` documents.

use std::sync::Arc;

use jsonschema::Validator;

use crate::model::{Address, Instant, Map, Name, Record, Text, Value};

use super::calendar::{Calendar, CalendarSpec, Hours, OpenRule, PieceError, Place as Piece};
use super::compile::Cx;
use super::decode::Fields;
use super::keys;
use super::program::RecordKind;
use super::yaml::{Kind, Node};

/// Indexes of a record kind: each is a row more for every record.
const INDEXES: usize = 32;
/// Rows shipped with the rules; more is data, and belongs into records.
const ROWS: usize = 10_000;

/// The indexes that a `record:` document declares, without any check: for the directory.
pub(super) fn declared_indexes(root: &Node) -> Vec<Name> {
    let lists = ["index", "unique"].into_iter().filter_map(|key| root.get(key)?.items());
    let fields = lists.flatten().filter_map(Node::scalar);
    fields.map(|scalar| scalar.text.as_str().into()).collect()
}

/// Compiles a `record:` document.
pub(super) fn record(cx: &mut Cx<'_>, root: &Node) -> Option<RecordKind> {
    let table = keys::document("record")?.table.as_ref()?;
    let fields = cx.sink.fields(root, table)?;
    let name = fields.get("record").and_then(|node| cx.sink.name(node, "record"));
    let mut kind = RecordKind {
        indexes: names(cx, fields, "index"),
        unique: names(cx, fields, "unique"),
        personal: names(cx, fields, "personal"),
        ..RecordKind::default()
    };
    for field in &kind.unique {
        if !kind.indexes.contains(field) {
            kind.indexes.push(field.clone());
        }
    }
    kind.ledger =
        fields.get("ledger").and_then(|node| cx.sink.boolean(node, "ledger")) == Some(true);
    kind.keep = fields.get("keep").and_then(|node| cx.elapsed(node, "keep"));
    kind.schema = fields.get("schema").and_then(|node| schema(cx, node));
    if kind.ledger {
        for (key, help) in [
            ("personal", "what is in a ledger stays there: keep personal data in another record"),
            ("keep", "a ledger loses nothing: leave `keep` out"),
            ("rows", "rows are shipped, and a ledger is written: use another kind"),
        ] {
            if let Some(entry) = fields.entry(key) {
                let message = format!("a ledger has no `{key}`");
                cx.sink.error("conflict", entry.key_span.clone(), message).help(help);
            }
        }
    }
    if kind.indexes.len() > INDEXES {
        let message = format!("a record kind has at most {INDEXES} indexes");
        cx.sink.error("out-of-range", root.head(), message);
    }
    let rows = fields.get("rows").and_then(|node| cx.sink.map(node, "rows")).unwrap_or_default();
    if rows.len() > ROWS {
        let message = format!("more than {ROWS} rows");
        cx.sink.error("out-of-range", root.head(), message);
    }
    for row in rows {
        if let Some(name) = name
            && let Err(error) = Address::new(name, &row.key)
        {
            cx.sink.error("address", row.key_span.clone(), error.to_string());
        }
        if cx.sink.map(&row.value, &row.key).is_none() {
            continue;
        }
        for entry in row.value.entries().into_iter().flatten() {
            if Record::is_reserved(&entry.key) {
                cx.sink
                    .error(
                        "reserved-field",
                        entry.key_span.clone(),
                        format!("`{}` cannot be written", entry.key),
                    )
                    .help("every record has `id`, `kind` and `subject` from its address");
            }
        }
        if let Some(Value::Map(values)) = cx.literal(&row.value) {
            let values: Map =
                values.into_iter().map(|(key, value)| (key, as_written(value))).collect();
            kind.rows.insert(Text::from(row.key.as_str()), values);
        }
    }
    name.map(|_| kind)
}

/// Names of fields.
fn names(cx: &mut Cx<'_>, fields: Fields<'_>, key: &str) -> Vec<Name> {
    let items = fields.get(key).and_then(|node| cx.sink.list(node, key)).unwrap_or_default();
    let mut names: Vec<Name> = Vec::with_capacity(items.len());
    for item in items {
        let Some(field) = cx.sink.text(item, key) else { continue };
        if Record::is_reserved(field) {
            let what = if key == "index" { "indexed" } else { "listed here" };
            cx.sink
                .error("reserved-field", item.head(), format!("`{field}` cannot be {what}"))
                .help("a record is found by its id without an index: `record(\"kind/id\")`");
        } else if names.iter().any(|known| **known == *field) {
            cx.sink.error("duplicate-key", item.head(), format!("`{field}` is listed twice"));
        } else {
            names.push(field.into());
        }
    }
    names
}

/// `schema:` a JSON Schema of draft 7, which refers to nothing outside of itself.
fn schema(cx: &mut Cx<'_>, node: &Node) -> Option<Arc<Validator>> {
    match jsonschema::draft7::new(&node.value().to_json()) {
        Ok(validator) => Some(Arc::new(validator)),
        Err(error) => {
            let message = format!("`schema` is not a JSON Schema (draft 7): {error}");
            cx.sink
                .error("settings", node.head(), message)
                .help("write `{ required: [stage], properties: { stage: { enum: [new, won] } } }`");
            None
        }
    }
}

/// A value as a record keeps it: full RFC 3339 text with an offset becomes an instant.
fn as_written(value: Value) -> Value {
    match value {
        Value::Text(text) => {
            let dated = text.len() >= 20 && matches!(text.as_bytes().get(10), Some(b'T' | b't'));
            match text.parse::<Instant>() {
                Ok(instant) if dated => Value::Instant(instant),
                _ => Value::Text(text),
            }
        }
        Value::List(items) => Value::List(items.into_iter().map(as_written).collect()),
        Value::Map(map) => {
            Value::Map(map.into_iter().map(|(key, value)| (key, as_written(value))).collect())
        }
        other => other,
    }
}

/// Compiles a `calendar:` document.
pub(super) fn calendar(cx: &mut Cx<'_>, root: &Node) -> Option<Calendar> {
    let mistakes = cx.sink.errors();
    let table = keys::document("calendar")?.table.as_ref()?;
    let fields = cx.sink.fields(root, table)?;
    fields.get("calendar").and_then(|node| cx.sink.name(node, "calendar"));
    let mut spec = CalendarSpec::default();
    if let Some(zone) = fields.get("timezone").and_then(|node| cx.sink.text(node, "timezone")) {
        zone.clone_into(&mut spec.timezone);
    } else if fields.get("timezone").is_none() {
        let configured = cx.directory.map(|directory| &*directory.timezone).unwrap_or_default();
        let zone = if configured.is_empty() { "UTC" } else { configured };
        zone.clone_into(&mut spec.timezone);
    }
    // Where each span stands, to point at when spans do not fit together.
    let mut spans: Vec<Vec<&Node>> = Vec::new();
    for entry in fields.get("open").and_then(|node| cx.sink.map(node, "open")).unwrap_or_default() {
        let days = entry.key.parse().map_err(|error| piece(cx, entry.key_span.clone(), error)).ok();
        let nodes: Vec<&Node> = match &entry.value.kind {
            Kind::List(items) => items.iter().collect(),
            _ => vec![&entry.value],
        };
        let hours: Vec<Hours> = nodes
            .iter()
            .filter_map(|node| {
                let text = cx.sink.raw(node, "open")?;
                text.parse().map_err(|error| piece(cx, node.head(), error)).ok()
            })
            .collect();
        if let Some(days) = days {
            spec.open.push(OpenRule { days, hours });
            spans.push(nodes);
        }
    }
    let closed = fields.get("closed").and_then(|node| cx.sink.list(node, "closed"));
    for item in closed.unwrap_or_default() {
        if let Some(text) = cx.sink.raw(item, "closed") {
            match text.parse() {
                Ok(day) => spec.closed.push(day),
                Err(error) => piece(cx, item.head(), error),
            }
        }
    }
    if cx.sink.errors() > mistakes {
        // The zone is a piece of its own: say what is wrong with it in the same go.
        if let (Some(node), false) = (fields.get("timezone"), spec.timezone.is_empty())
            && let Err(error) = super::calendar::zone(&spec.timezone)
        {
            piece(cx, node.head(), error);
        }
        return None;
    }
    match Calendar::compile(&spec) {
        Ok(calendar) => Some(calendar),
        Err(errors) => {
            for error in errors {
                let key = |key: &str| fields.get(key).map(Node::head);
                let span = match error.place {
                    Piece::Zone => key("timezone"),
                    Piece::Open => key("open"),
                    Piece::Hours(rule, span) => {
                        spans.get(rule).and_then(|nodes| nodes.get(span)).map(|node| node.head())
                    }
                    Piece::Closed => key("closed"),
                };
                piece(cx, span.unwrap_or_else(|| root.head()), error.error);
            }
            None
        }
    }
}

fn piece(cx: &mut Cx<'_>, span: std::ops::Range<usize>, error: PieceError) {
    cx.sink.error("calendar", span, error.message).maybe_help(error.help);
}
