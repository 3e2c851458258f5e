//! `approve:` asks people, and waits for what they decide.

use crate::model::{APPROVED, Name, REJECTED};
use crate::script::Shape;

use super::compile::{Cx, Place};
use super::escalation::person_shape;
use super::flow::{Around, Common, Flow, Label};
use super::program::{Action, ApproveStep};
use super::step_mail;
use super::templates::APPROVAL_TEMPLATE;
use super::yaml::{Kind, Node};

/// People who are asked at a time: more is a poll.
const PEOPLE: i64 = 50;
/// What they may choose from.
const OUTCOMES: usize = 8;
/// Reminders.
const WARNINGS: usize = 5;

/// `approve:`
pub(super) fn approve(
    flow: &mut Flow<'_, '_>,
    node: &Node,
    common: &Common<'_>,
    (path, around, next): (&str, &Around, Label),
) {
    let fields = common.fields;
    let place = around.place;
    let Some(main) = fields.entry("approve") else { return };
    let cx = &mut *flow.cx;
    let items = match &main.value.kind {
        Kind::List(items) => items.as_slice(),
        _ => std::slice::from_ref(&main.value),
    };
    if items.is_empty() {
        cx.sink.error("recipient", main.value.head(), "`approve` asks nobody");
    }
    let people: Vec<_> = items.iter().map(|item| asked(cx, item, place)).collect();
    let need = match fields.get("need") {
        Some(node) => cx.sink.whole(node, "need", 1..=PEOPLE),
        None => Some(1),
    };
    if let (Some(node), Some(need)) = (fields.get("need"), need)
        && items.iter().all(|item| {
            item.scalar().is_some_and(|scalar| {
                !scalar.text.contains("${") && !scalar.text.starts_with("team:")
            })
        })
        && need > items.len() as i64
        && !items.is_empty()
    {
        let message = format!("{need} are needed, and {} asked", items.len());
        cx.sink.error("out-of-range", node.head(), message);
    }
    let outcomes = outcomes(cx, fields.get("outcomes"));
    let summary = match fields.get("summary") {
        Some(node) => cx.shape(node, place).map(Some),
        None => Some(None),
    };
    let timeout = if let Some(node) = fields.get("timeout") {
        cx.deadline(node, "timeout", common.hours.as_ref(), place)
    } else {
        cx.sink
            .error("missing-key", main.key_span.clone(), "`approve` needs a `timeout`")
            .help("every wait has an end: `timeout: 2bd`");
        None
    };
    let warn = warnings(cx, fields.get("warn"));
    let template = match fields.get("template") {
        Some(node) => step_mail::template_name(cx, node),
        None => Some(Name::from(APPROVAL_TEMPLATE)),
    };
    let at = flow.here();
    if let (Some(people), Some(need), Some(outcomes), Some(summary), Some(timeout), Some(warn)) =
        (people.into_iter().collect(), need, outcomes, summary, timeout, warn)
    {
        let ask = flow.label();
        let action = Action::Approve(Box::new(ApproveStep {
            people,
            need: need as u32,
            outcomes,
            summary,
            timeout,
            warn,
            ask: ask.0,
            on_timeout: None,
        }));
        let step = flow.bare(node, path, action, next);
        flow.push(step);
        // Done by runs of their own, one for each mail.
        flow.bind(ask);
        if let Some(template) = template {
            let end = flow.end();
            let step = flow.bare(node, &format!("{path}.approve"), Action::Ask { template }, end);
            flow.push(step);
        }
    }
    if let Some(block) = fields.get("on_timeout") {
        let target = flow.block(block, &format!("{path}.on_timeout"), around, next);
        flow.set_on_timeout(at, target);
    }
}

/// Somebody who is asked; or everybody, where an expression gives a list.
fn asked(cx: &mut Cx<'_>, node: &Node, place: Place) -> Option<Shape> {
    let text = node.scalar().map(|scalar| scalar.text.trim()).unwrap_or_default();
    match crate::script::holes(text)[..] {
        [ref hole] if hole.start == 2 && hole.end + 1 == text.len() => cx.shape(node, place),
        _ => person_shape(cx, node, "approve", place),
    }
}

/// What may be chosen; the first is what `need` counts.
fn outcomes(cx: &mut Cx<'_>, node: Option<&Node>) -> Option<Vec<Name>> {
    let Some(node) = node else { return Some(vec![APPROVED.into(), REJECTED.into()]) };
    let items = cx.sink.list(node, "outcomes")?;
    if !(2..=OUTCOMES).contains(&items.len()) {
        let message = format!("there are between 2 and {OUTCOMES} outcomes to choose from");
        cx.sink.error("out-of-range", node.head(), message);
        return None;
    }
    let mut names: Vec<Name> = Vec::with_capacity(items.len());
    for item in items {
        let name = cx.sink.name(item, "outcomes")?;
        if names.iter().any(|known| **known == *name) {
            cx.sink.error("duplicate-key", item.head(), format!("`{name}` is listed twice"));
            return None;
        }
        names.push(name.into());
    }
    Some(names)
}

/// `warn: [50%, 75%]`, in ascending order.
pub(super) fn warnings(cx: &mut Cx<'_>, node: Option<&Node>) -> Option<Vec<u8>> {
    let Some(node) = node else { return Some(Vec::new()) };
    let items = cx.sink.list(node, "warn")?;
    if items.len() > WARNINGS {
        let message = format!("there are at most {WARNINGS} warnings");
        cx.sink.error("out-of-range", node.head(), message);
        return None;
    }
    let mut marks = Vec::with_capacity(items.len());
    for item in items {
        let text = cx.sink.raw(item, "warn")?;
        let percent = text.strip_suffix('%').and_then(|number| number.trim().parse::<u8>().ok());
        match percent.filter(|percent| (1..100).contains(percent)) {
            Some(percent) => marks.push(percent),
            None => {
                cx.sink
                    .error("out-of-range", item.head(), format!("`{text}` is no part of the time"))
                    .help("write a percentage between 1% and 99%: `warn: [50%]`");
                return None;
            }
        }
    }
    marks.sort_unstable();
    marks.dedup();
    Some(marks)
}
