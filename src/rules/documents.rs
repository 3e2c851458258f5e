//! The documents that are not workflows: `record`, `calendar`, `purpose`.

use crate::model::{Address, Class, Instant, Map, Name, Record, Text, Value};

use super::calendar::{Calendar, CalendarSpec, Hours, OpenRule, PieceError, Place as Piece};
use super::compile::{Cx, Place};
use super::keys;
use super::program::{Purpose, RecordKind};
use super::yaml::{Kind, Node};

/// Indexes of a record kind: each is a row more for every record.
const INDEXES: usize = 32;
/// Rows shipped with the rules; more is data, and belongs into records.
const ROWS: usize = 10_000;

/// The indexes that a `record:` document declares, without any check: for the directory.
pub(super) fn declared_indexes(root: &Node) -> Vec<Name> {
    match root.get("index").map(|node| &node.kind) {
        Some(Kind::List(items)) => items
            .iter()
            .filter_map(Node::scalar)
            .map(|scalar| scalar.text.as_str().into())
            .collect(),
        _ => Vec::new(),
    }
}

/// Compiles a `record:` document.
pub(super) fn record(cx: &mut Cx<'_>, root: &Node) -> Option<RecordKind> {
    let table = keys::document("record")?.table.as_ref()?;
    let fields = cx.sink.fields(root, table)?;
    let name = fields.get("record").and_then(|node| cx.sink.name(node, "record"));
    let mut kind = RecordKind::default();
    for item in fields.get("index").and_then(|node| cx.sink.list(node, "index")).unwrap_or_default()
    {
        let Some(field) = cx.sink.text(item, "index") else { continue };
        if Record::is_reserved(field) {
            cx.sink
                .error("reserved-field", item.head(), format!("`{field}` cannot be indexed"))
                .help("a record is found by its id without an index: `record(\"kind/id\")`");
        } else if kind.indexes.iter().any(|known| **known == *field) {
            cx.sink.error("duplicate-key", item.head(), format!("`{field}` is listed twice"));
        } else {
            kind.indexes.push(field.into());
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

/// Compiles a `purpose:` document.
pub(super) fn purpose(cx: &mut Cx<'_>, root: &Node) -> Option<Purpose> {
    let mistakes = cx.sink.errors();
    let table = keys::document("purpose")?.table.as_ref()?;
    let fields = cx.sink.fields(root, table)?;
    let name = fields.get("purpose").and_then(|node| cx.sink.name(node, "purpose"));
    let allow =
        fields.get("allow").and_then(|node| cx.condition(node, "allow", Place::PURPOSE, true));
    let expires = fields.get("expires").and_then(|node| cx.elapsed(node, "expires"));
    let hold = fields.get("on_uncertain").and_then(|node| cx.on_uncertain(node));
    if cx.sink.errors() > mistakes {
        return None;
    }
    Some(Purpose {
        allow,
        expires: expires.map(crate::model::Duration::Elapsed),
        hold_uncertain: hold.unwrap_or(false),
        ..plain_purpose(name?)
    })
}

/// A purpose without a document.
pub(super) fn plain_purpose(name: &str) -> Purpose {
    // Bulk is what people can unsubscribe from, which no purpose has yet.
    let class = Class::Normal;
    Purpose { name: name.into(), allow: None, expires: None, hold_uncertain: false, class }
}
