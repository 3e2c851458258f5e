//! Steps that are done beside each other: `foreach` and `parallel`. Each of their blocks ends a run of
//! its own, so all of them go on at the end of the list.

use crate::model::{Text, Value, limits};
use crate::script::Shape;

use super::expressions;
use super::flow::{Around, Common, Flow, Label};
use super::program::{Action, ForEachStep};
use super::step_common::variable;
use super::yaml::{Entry, Node};

/// Lists of steps beside each other: more is a list that should be computed, with `foreach`.
const LISTS: usize = 100;
/// What an item is called that a rule gives no name.
const ITEM: &str = "item";
/// What its place is called.
const INDEX: &str = "index";

/// `foreach:`
pub(super) fn foreach(
    flow: &mut Flow<'_, '_>,
    node: &Node,
    main: &Entry,
    common: &Common<'_>,
    (path, around, next): (&str, &Around, Label),
) {
    let fields = common.fields;
    let cx = &mut *flow.cx;
    let items = cx.shape(&main.value, around.place);
    let literal = items.as_ref().and_then(Shape::literal);
    let bare =
        main.value.scalar().map(|scalar| scalar.text.as_str()).filter(|text| {
            expressions::is_path(text, &["event", "trigger", "vars", "steps", "args"])
        });
    let no_list = literal.is_some_and(|value| !matches!(value, Value::List(_)))
        || matches!(items, Some(Shape::Text(_)));
    if no_list && cx.directory.is_some() {
        let help = match bare {
            Some(path) => format!("for its value, write `${{{path}}}`"),
            None => "write a list, or one `${…}` that gives one".to_owned(),
        };
        cx.sink
            .error(
                "wrong-type",
                main.value.head(),
                "`foreach` goes through a list, and this is none",
            )
            .help(help);
    }
    let name = match fields.get("as") {
        Some(node) => variable(cx, node, "as"),
        None => Some(Text::from(ITEM)),
    };
    let most = limits::CHILDREN as i64;
    let limit = match fields.get("limit") {
        Some(node) => cx.sink.whole(node, "limit", 1..=most),
        None => Some(limits::CHILDREN_USUAL as i64),
    };
    let together = limits::CHILDREN_RUNNING as i64;
    let max_parallel = match fields.get("max_parallel") {
        Some(node) => cx.sink.whole(node, "max_parallel", 1..=together),
        None => Some(together),
    };
    let at = flow.steps.len();
    if let (Some(items), Some(name), Some(limit), Some(max_parallel)) =
        (items, name.clone(), limit, max_parallel)
    {
        let action = Action::ForEach(Box::new(ForEachStep {
            items,
            name,
            limit: limit as u32,
            max_parallel: max_parallel as u32,
            body: 0,
        }));
        let step = flow.bare(node, path, action, next);
        flow.push(step);
    }
    let Some(steps) = fields.get("steps") else {
        flow.cx
            .sink
            .error("missing-key", main.key_span.clone(), "`foreach` needs `steps` beside it")
            .help("write what is to be done for each item: `steps: […]`");
        return;
    };
    // A name that is no name is reported already, and what uses it is not wrong besides.
    let meant = fields.get("as").and_then(Node::scalar).map(|scalar| scalar.text.to_lowercase());
    let meant = meant.map(Text::from).filter(|_| name.is_none());
    let names = [Text::from(ITEM), Text::from(INDEX)].into_iter().chain(name).chain(meant);
    let before = flow.cx.local.items.len();
    flow.cx.local.items.extend(names);
    let body = flow.apart(steps, &format!("{path}.steps"), around);
    flow.cx.local.items.truncate(before);
    if let Some(Action::ForEach(each)) = flow.steps.get_mut(at).map(|step| &mut step.action) {
        each.body = body.0;
    }
}

/// `parallel:`
pub(super) fn parallel(
    flow: &mut Flow<'_, '_>,
    node: &Node,
    main: &Entry,
    (path, around, next): (&str, &Around, Label),
) {
    let Some(lists) = flow.cx.sink.list(&main.value, "parallel") else { return };
    if lists.len() > LISTS || lists.is_empty() {
        let message = format!("`parallel` takes between 1 and {LISTS} lists of steps");
        flow.cx.sink.error("out-of-range", main.value.head(), message);
        return;
    }
    let at = flow.steps.len();
    let step = flow.bare(node, path, Action::Parallel(Vec::new()), next);
    flow.push(step);
    let before = flow.cx.local.items.len();
    flow.cx.local.items.push(INDEX.into());
    let mut begins = Vec::with_capacity(lists.len());
    for (number, list) in lists.iter().enumerate() {
        begins.push(flow.apart(list, &format!("{path}.parallel[{number}]"), around).0);
    }
    flow.cx.local.items.truncate(before);
    if let Some(step) = flow.steps.get_mut(at) {
        step.action = Action::Parallel(begins);
    }
}
