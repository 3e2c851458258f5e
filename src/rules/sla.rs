//! `sla:` documents: by when something must have become true of a record.

use crate::model::{Duration, Name, is_own};
use crate::script::Condition;

use super::compile::{Cx, Place};
use super::directory::Sort;
use super::keys;
use super::program::{Sla, Target};
use super::step_ask::warnings;
use super::yaml::{Kind, Node};

/// Targets of an SLA: more is a table, and belongs into rows.
const TARGETS: usize = 20;

/// Compiles an `sla:` document; `None` if anything is wrong with it, which is reported.
pub(super) fn sla(cx: &mut Cx<'_>, root: &Node) -> Option<Sla> {
    let mistakes = cx.sink.errors();
    let table = keys::document("sla")?.table.as_ref()?;
    let fields = cx.sink.fields(root, table)?;
    let name = fields.get("sla").and_then(|node| cx.sink.name(node, "sla"));
    let of = fields.get("of").and_then(|node| kind(cx, node));
    let hours = fields.get("hours").and_then(|node| cx.hours(node));
    let condition = |cx: &mut Cx<'_>, key: &str| -> Option<Condition> {
        let node = fields.get(key)?;
        cx.condition(node, key, Place::RECORD, false)
    };
    let applies = condition(cx, "if");
    let pause = condition(cx, "pause");
    let done = condition(cx, "done");
    let targets = fields.get("target").and_then(|node| targets(cx, node, hours.as_ref()));
    let warn = warnings(cx, fields.get("warn"));
    let breach = fields.get("on_breach").and_then(|node| {
        let fields = cx.sink.fields(node, &keys::ON_BREACH)?;
        fields.get("escalate").and_then(|node| cx.reference(node, "escalate", Sort::Policy))
    });
    if cx.sink.errors() > mistakes {
        return None;
    }
    Some(Sla {
        name: name?.into(),
        of: of?,
        applies,
        hours,
        targets: targets?,
        pause,
        done: done?,
        warn: warn?,
        escalate: breach,
    })
}

/// The kind of records it is about.
fn kind(cx: &mut Cx<'_>, node: &Node) -> Option<Name> {
    let name = cx.sink.name(node, "of")?;
    if is_own(name) {
        let message = format!("records of kind `{name}` are the daemon's own");
        cx.sink.error("address", node.head(), message);
        return None;
    }
    Some(name.into())
}

/// `target: 1bh`, or a list of cases of which the first that holds counts.
fn targets(cx: &mut Cx<'_>, node: &Node, hours: Option<&Name>) -> Option<Vec<Target>> {
    let Kind::List(items) = &node.kind else {
        let within = cx.duration(node, "target", hours)?;
        return Some(vec![Target { condition: None, within }]);
    };
    if items.is_empty() || items.len() > TARGETS {
        let message = format!("there are between 1 and {TARGETS} targets");
        cx.sink.error("out-of-range", node.head(), message);
        return None;
    }
    let mut found = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let Some(fields) = cx.sink.fields(item, &keys::TARGET) else { continue };
        let within: Option<Duration> =
            fields.get("within").and_then(|node| cx.duration(node, "within", hours));
        let condition =
            fields.get("if").and_then(|node| cx.condition(node, "if", Place::RECORD, false));
        let last = at + 1 == items.len();
        match (fields.get("if"), last) {
            (None, false) => {
                cx.sink
                    .error("switch", item.head(), "no target after this one ever counts")
                    .help("put the one without `if` last");
            }
            (Some(_), true) => {
                cx.sink
                    .error("switch", item.head(), "what counts when none of them holds?")
                    .help("end with a target without `if`: `- within: 5bd`");
            }
            _ => {}
        }
        found.extend(within.map(|within| Target { condition, within }));
    }
    Some(found)
}
