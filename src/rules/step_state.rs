//! Steps that change what is known: `record`, `metric`, `emit`, `vars`.

use crate::model::{Address, METRIC, Map, Record, Text, Value, is_own, limits};
use crate::script::Shape;

use super::compile::{Cx, Place};
use super::decode::Fields;
use super::filters;
use super::program::{Action, MetricChange, MetricStep, RecordChange, RecordStep};
use super::step_common::bad_variable;
use super::step_wait::object;
use super::yaml::{Entry, Node};

/// `record:`
pub(super) fn record(
    cx: &mut Cx<'_>,
    address: &Node,
    fields: Fields<'_>,
    place: Place,
) -> Option<Action> {
    let main = address;
    let address = self::address(cx, main, place);
    let changes: Vec<_> =
        ["set", "create", "delete"].iter().filter_map(|key| fields.entry(key)).collect();
    if let [first, second, ..] = changes[..] {
        let message = format!("`{}` and `{}` cannot stand together", first.key, second.key);
        let file = cx.sink.file.name.clone();
        cx.sink
            .error("conflict", second.key_span.clone(), message)
            .also(&file, first.key_span.clone(), "the first")
            .help("one `record` step makes one change: write two steps");
        return None;
    }
    let change = if let Some(node) = fields.get("set") {
        written(cx, node, "set", place.with_old()).map(RecordChange::Set)
    } else if let Some(node) = fields.get("create") {
        written(cx, node, "create", place).map(RecordChange::Create)
    } else if let Some(node) = fields.get("delete") {
        if cx.sink.boolean(node, "delete")? {
            Some(RecordChange::Delete)
        } else {
            cx.sink
                .error("unknown-word", node.head(), "`delete` can only be `true`")
                .help("leave the line out to keep the record");
            None
        }
    } else {
        Some(RecordChange::Keep)
    };
    let unset = match fields.get("unset") {
        Some(node) => unset(cx, node, fields),
        None => Some(Vec::new()),
    };
    let merge = match fields.get("merge") {
        Some(node) => merged(cx, node, fields, place).map(Some),
        None => Some(None),
    };
    let step = RecordStep { address: address?, change: change?, unset: unset?, merge: merge? };
    let kind = step.address.literal().and_then(|text| text.as_text()?.parse::<Address>().ok());
    if let Some(address) = kind.filter(|address| is_own(&address.kind))
        && !step.only_reads()
    {
        let message = format!("records of kind `{}` are the daemon's own", address.kind);
        let help = (*address.kind == *METRIC).then(|| "use a `metric` step".to_owned());
        cx.sink.error("address", main.head(), message).maybe_help(help);
        return None;
    }
    Some(Action::Record(Box::new(step)))
}

/// `merge:` the address of another record.
fn merged(cx: &mut Cx<'_>, node: &Node, fields: Fields<'_>, place: Place) -> Option<Shape> {
    if fields.get("create").is_some() || fields.get("delete").is_some() {
        cx.sink
            .error("conflict", node.head(), "`merge` goes with `set` and `unset` only")
            .help("what goes on in a record needs one that is there");
        return None;
    }
    address(cx, node, place)
}

/// `erase:` with `keep`.
pub(super) fn erase(
    cx: &mut Cx<'_>,
    main: &Node,
    fields: Fields<'_>,
    place: Place,
) -> Option<Action> {
    let address = address(cx, main, place);
    let suppress = match fields.get("keep") {
        Some(node) => {
            let word = cx.sink.raw(node, "keep")?;
            cx.choice(node, "keep", word, &[("suppression", true)])
        }
        None => Some(false),
    };
    Some(Action::Erase { address: address?, suppress: suppress? })
}

/// `kind/id`, literal or computed.
fn address(cx: &mut Cx<'_>, node: &Node, place: Place) -> Option<Shape> {
    let shape = cx.text_shape(node, "record", place)?;
    let literal = shape.literal();
    if let Some(text) = literal.as_ref().and_then(Value::as_text)
        && let Err(error) = text.parse::<Address>()
    {
        cx.sink.error("address", node.head(), error.to_string());
        return None;
    }
    Some(shape)
}

/// The fields that `set` or `create` writes.
fn written(cx: &mut Cx<'_>, node: &Node, what: &str, place: Place) -> Option<Shape> {
    let shape = object(cx, node, what, place)?;
    let mut reserved = false;
    for entry in node.entries().into_iter().flatten() {
        if Record::is_reserved(&entry.key) {
            reserved = true;
            reserved_field(cx, entry.key_span.clone(), &entry.key);
        }
    }
    (!reserved).then_some(shape)
}

fn reserved_field(cx: &mut Cx<'_>, span: std::ops::Range<usize>, field: &str) {
    cx.sink
        .error("reserved-field", span, format!("`{field}` cannot be written"))
        .help("every record has `id`, `kind` and `subject` from its address");
}

fn unset(cx: &mut Cx<'_>, node: &Node, fields: Fields<'_>) -> Option<Vec<Text>> {
    if fields.get("delete").is_some() {
        cx.sink.error("conflict", node.head(), "`unset` means nothing beside `delete`");
        return None;
    }
    let items = cx.sink.list(node, "unset")?;
    let mut names = Vec::with_capacity(items.len());
    for item in items {
        let name = cx.sink.raw(item, "unset");
        if let Some(name) = name.filter(|name| Record::is_reserved(name)) {
            reserved_field(cx, item.head(), name);
            names.push(None);
        } else {
            names.push(name.map(Text::from));
        }
    }
    names.into_iter().collect()
}

/// `metric:` with `add` or `set`, and `labels`.
pub(super) fn metric(
    cx: &mut Cx<'_>,
    main: &Entry,
    fields: Fields<'_>,
    place: Place,
) -> Option<Action> {
    let name = cx.sink.raw(&main.value, "metric")?;
    if !filters::is_variable(name) {
        let message = format!("`{name}` cannot be the name of a metric");
        cx.sink
            .error("bad-name", main.value.head(), message)
            .help("lower-case letters, digits and `_`, no digit first: `leads_received_total`");
        return None;
    }
    let change = match (fields.get("add"), fields.entry("set")) {
        (Some(_), Some(set)) => {
            cx.sink
                .error("conflict", set.key_span.clone(), "`add` and `set` cannot stand together")
                .help("what is counted is added to, what is measured is set: use two metrics");
            None
        }
        (None, Some(set)) => amount(cx, &set.value, "set", place).map(MetricChange::Set),
        (Some(add), None) => amount(cx, add, "add", place).map(MetricChange::Add),
        (None, None) => Some(MetricChange::Add(Shape::Literal(Value::Int(1)))),
    };
    let mut labels = match fields.get("labels") {
        Some(node) => cx.named(node, "labels", place)?,
        None => Vec::new(),
    };
    for entry in fields.get("labels").and_then(Node::entries).into_iter().flatten() {
        if !filters::is_variable(&entry.key) {
            bad_variable(cx, entry.key_span.clone(), &entry.key);
            return None;
        }
    }
    if labels.len() > limits::METRIC_LABELS {
        let message = format!("a metric has at most {} labels", limits::METRIC_LABELS);
        cx.sink.error("too-large", main.key_span.clone(), message);
        return None;
    }
    labels.sort_by(|(a, _), (b, _)| a.cmp(b));
    Some(Action::Metric(Box::new(MetricStep { name: name.into(), change: change?, labels })))
}

/// A number, or what is told to be one only when the step is performed.
fn amount(cx: &mut Cx<'_>, node: &Node, key: &str, place: Place) -> Option<Shape> {
    let shape = cx.shape(node, place)?;
    match shape.literal() {
        Some(value) if !matches!(value, Value::Int(_) | Value::Float(_)) => {
            let message = format!("`{key}` of a metric is a number, not {}", value.type_name());
            cx.sink
                .error("wrong-type", node.head(), message)
                .help(format!("write a number, or an expression: `{key}: ${{event.data.amount}}`"));
            None
        }
        _ => Some(shape),
    }
}

/// `emit:`
pub(super) fn emit(
    cx: &mut Cx<'_>,
    kind: &Node,
    fields: Fields<'_>,
    place: Place,
) -> Option<Action> {
    let shape = cx.text_shape(kind, "emit", place);
    let literal = shape.as_ref().and_then(Shape::literal);
    let valid = match literal.as_ref().and_then(Value::as_text) {
        Some(text) => filters::check_emitted(cx, kind, &text.into()),
        None => Some(()),
    };
    let subject = match fields.get("subject") {
        Some(node) => cx.text_shape(node, "subject", place).map(Some),
        None => Some(None),
    };
    let data = match fields.get("data") {
        Some(node) => cx.shape(node, place),
        None => Some(Shape::Literal(Value::Map(Map::new()))),
    };
    valid?;
    Some(Action::Emit { kind: shape?, subject: subject?, data: data? })
}

/// `vars:`
pub(super) fn vars(cx: &mut Cx<'_>, node: &Node, place: Place) -> Option<Action> {
    let entries = cx.sink.map(node, "vars")?;
    for entry in entries {
        if !filters::is_variable(&entry.key) {
            bad_variable(cx, entry.key_span.clone(), &entry.key);
        }
    }
    cx.named(node, "vars", place).map(Action::Vars)
}
