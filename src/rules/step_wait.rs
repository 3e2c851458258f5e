//! Steps that wait for others: `wait_for`, `escalate`, `call`.

use std::collections::btree_map::Entry as Slot;

use crate::model::{Map, Value};
use crate::script::Shape;

use super::compile::{Cx, Place};
use super::decode::Fields;
use super::directory::Sort;
use super::filters;
use super::flow::{Around, Common, Flow, Label};
use super::program::{Action, EscalateStep, Filter};
use super::yaml::{Entry, Kind, Node};

/// `wait_for:` an event, a list of events, or a whole filter as a map.
pub(super) fn wait_for(
    flow: &mut Flow<'_, '_>,
    node: &Node,
    common: &Common<'_>,
    (path, around, next): (&str, &Around, Label),
) {
    let fields = common.fields;
    let place = around.place;
    let Some(main) = fields.entry("wait_for") else { return };
    let cx = &mut *flow.cx;
    let filter = if matches!(main.value.kind, Kind::Map(_)) {
        filters::inside(cx, fields, &["where", "subject"], "wait_for");
        filters::running(cx, &main.value, place)
    } else {
        let patterns = filters::patterns(cx, &main.value, "wait_for");
        let (condition, subject) = filters::qualifiers(cx, fields, place);
        match (patterns, condition, subject) {
            (Some(patterns), Ok(condition), Some(subject)) => {
                Some(Filter { patterns, condition, subject, becomes: None })
            }
            _ => None,
        }
    };
    let timeout = if let Some(node) = fields.get("timeout") {
        cx.deadline(node, "timeout", common.hours.as_ref(), place)
    } else {
        cx.sink
            .error("missing-key", main.key_span.clone(), "`wait_for` needs a `timeout`")
            .help("every wait has an end: `timeout: 3d`");
        None
    };
    let at = flow.here();
    if let (Some(filter), Some(timeout)) = (filter, timeout) {
        let action = Action::WaitFor { filter, timeout, on_timeout: None };
        let step = flow.bare(node, path, action, next);
        flow.push(step);
    }
    if let Some(block) = fields.get("on_timeout") {
        let target = flow.block(block, &format!("{path}.on_timeout"), around, next);
        flow.set_on_timeout(at, target);
    }
}

/// `escalate:`
pub(super) fn escalate(
    cx: &mut Cx<'_>,
    policy: &Node,
    fields: Fields<'_>,
    place: Place,
) -> Option<Action> {
    let policy = cx.reference(policy, "escalate", Sort::Policy);
    let args = args(cx, fields, place);
    let mut text = |key: &str| match fields.get(key) {
        Some(node) => cx.shape(node, place).map(Some),
        None => Some(None),
    };
    let (summary, severity) = (text("summary"), text("severity"));
    let resolve = match fields.get("resolve") {
        Some(node) => filters::running(cx, node, place).map(Some),
        None => Some(None),
    };
    let wait = awaits(cx, fields);
    Some(Action::Escalate(Box::new(EscalateStep {
        policy: policy?,
        args: args?,
        summary: summary?,
        severity: severity?,
        resolve: resolve?,
        wait: wait?,
    })))
}

/// `call:`
pub(super) fn call(
    cx: &mut Cx<'_>,
    main: &Entry,
    fields: Fields<'_>,
    place: Place,
) -> Option<Action> {
    let workflow = cx.reference(&main.value, "call", Sort::Workflow);
    if let Some(name) = &workflow
        && let Slot::Vacant(slot) = cx.used.calls.entry(name.clone())
    {
        slot.insert(main.value.head());
    }
    let args = args(cx, fields, place);
    let wait = awaits(cx, fields);
    Some(Action::Call { workflow: workflow?, args: args?, wait: wait? })
}

/// `args:` an object, or a `${…}` that gives one.
pub(super) fn args(cx: &mut Cx<'_>, fields: Fields<'_>, place: Place) -> Option<Shape> {
    let Some(node) = fields.get("args") else {
        return Some(Shape::Literal(Value::Map(Map::new())));
    };
    object(cx, node, "args", place)
}

/// An object, or a `${…}` that gives one.
pub(super) fn object(cx: &mut Cx<'_>, node: &Node, what: &str, place: Place) -> Option<Shape> {
    let shape = cx.shape(node, place)?;
    match &shape {
        Shape::Map(_) | Shape::Expr(_) | Shape::Literal(Value::Map(_)) => Some(shape),
        _ => {
            cx.sink
                .wrong(node, what, "an object, or one `${…}` that gives one")
                .map(|error| error.help("write `key: value` pairs"));
            None
        }
    }
}

fn awaits(cx: &mut Cx<'_>, fields: Fields<'_>) -> Option<bool> {
    match fields.get("await") {
        Some(node) => cx.sink.boolean(node, "await"),
        None => Some(true),
    }
}
