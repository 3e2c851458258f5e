//! A `workflow:` document, compiled.

use crate::model::{Duration, Name, Text, limits};

use super::compile::{Cx, Given, Place};
use super::decode::Fields;
use super::filters;
use super::flow::{Around, Flow};
use super::keys;
use super::program::{Mode, Pc, Throttle, Workflow};
use super::reach;
use super::step_common::bad_variable;
use super::trigger;
use super::yaml::{Kind, Node};

/// Triggers and exits of one workflow: each is looked at for every event of its type.
const FILTERS: usize = 100;

/// The highest `max:`, as many waiting runs as the engine is built for.
const MAX: i64 = 1_000_000;

/// Compiles a `workflow:` document; `None` if anything is wrong with it, which is reported.
pub(super) fn workflow(cx: &mut Cx<'_>, root: &Node) -> Option<Workflow> {
    let mistakes = cx.sink.errors();
    let table = keys::document("workflow")?.table.as_ref()?;
    let fields = cx.sink.fields(root, table)?;
    let name = fields.get("workflow").and_then(|node| cx.sink.name(node, "workflow"));
    let description = text(cx, fields, "description");
    let owner = text(cx, fields, "owner");
    let enabled = fields.get("enabled").map_or(Some(true), |node| cx.sink.boolean(node, "enabled"));
    let hours = fields.get("hours").and_then(|node| cx.hours(node));
    let triggers = fields
        .get("triggers")
        .map(|node| filters_of(cx, node, "triggers", trigger::trigger))
        .unwrap_or_default();
    let key = fields.get("key").and_then(|node| cx.text_shape(node, "key", Place::TRIGGER));
    let mode = mode(cx, fields);
    let max = fields
        .get("max")
        .and_then(|node| cx.sink.whole(node, "max", 1..=MAX))
        .and_then(|max| u32::try_from(max).ok());
    let lifetime = match fields.get("lifetime") {
        Some(node) => cx.duration(node, "lifetime", hours.as_ref()),
        None => Some(Duration::Elapsed(limits::LIFETIME)),
    };
    let vars = fields.get("vars").map(|node| vars(cx, node)).unwrap_or_default();
    let throttle = match fields.get("throttle") {
        Some(node) => throttle(cx, node).map(Some),
        None => Some(None),
    };
    let debounce = match fields.get("debounce") {
        Some(node) => debounce(cx, node, fields, hours.as_ref()).map(Some),
        None => Some(None),
    };
    let shadow = fields.get("shadow").map_or(Some(false), |node| cx.sink.boolean(node, "shadow"));
    // The engine computes `vars` first, so that `if` may use all of them.
    let condition = fields.get("if").and_then(|node| cx.condition(node, "if", Place::START, false));
    cx.declare_local(root);
    let exit = fields
        .get("exit")
        .map(|node| {
            filters_of(cx, node, "exit", |cx, item| filters::running(cx, item, Place::STEP))
        })
        .unwrap_or_default();
    let around = Around { place: Place::STEP, hours: hours.clone(), on_error: None, urgent: false };
    let mut flow = Flow::new(cx);
    if let Some(node) = fields.get("steps") {
        let end = flow.end();
        flow.block(node, "steps", &around, end);
    }
    let on_failure = fields.get("on_failure").map(|node| {
        let begin = flow.steps.len() as Pc;
        let around = Around { place: Place::STEP.with_error(), ..around };
        flow.apart(node, "on_failure", &around);
        begin
    });
    let steps = flow.finish();
    reach::check(cx, &steps, on_failure);
    if cx.sink.errors() > mistakes {
        return None;
    }
    Some(Workflow {
        name: name?.into(),
        description,
        owner,
        enabled: enabled?,
        triggers,
        condition,
        key,
        mode: mode?,
        max,
        vars,
        throttle: throttle?,
        debounce: debounce?,
        shadow: shadow?,
        on_failure,
        exit,
        lifetime: lifetime?,
        hours,
        steps,
        ladder: None,
    })
}

/// A line of text for people.
pub(super) fn text(cx: &mut Cx<'_>, fields: Fields<'_>, key: &str) -> Option<Text> {
    fields.get(key).and_then(|node| cx.sink.raw(node, key)).map(Text::from)
}

fn filters_of<T>(
    cx: &mut Cx<'_>,
    node: &Node,
    what: &str,
    one: impl Fn(&mut Cx<'_>, &Node) -> Option<T>,
) -> Vec<T> {
    let Some(items) = cx.sink.list(node, what) else { return Vec::new() };
    if items.len() > FILTERS {
        let message = format!("`{what}` lists more than {FILTERS}");
        cx.sink.error("out-of-range", node.head(), message);
    }
    items.iter().filter_map(|item| one(cx, item)).collect()
}

fn mode(cx: &mut Cx<'_>, fields: Fields<'_>) -> Option<Mode> {
    let Some(node) = fields.get("mode") else { return Some(Mode::Parallel) };
    let word = cx.sink.raw(node, "mode")?;
    let choices = [
        ("parallel", Mode::Parallel),
        ("single", Mode::Single),
        ("restart", Mode::Restart),
        ("queued", Mode::Queued),
    ];
    let mode = cx.choice(node, "mode", word, &choices)?;
    if mode != Mode::Parallel && fields.get("key").is_none() {
        cx.sink
            .error("missing-key", node.head(), format!("`mode: {word}` needs a `key`"))
            .help("say what runs are kept apart by, such as `key: ${event.subject}`");
        return None;
    }
    Some(mode)
}

/// `throttle: { max, per }`
fn throttle(cx: &mut Cx<'_>, node: &Node) -> Option<Throttle> {
    let fields = cx.sink.fields(node, &keys::THROTTLE)?;
    let per = fields.get("per")?;
    let ever = per.scalar().is_some_and(|scalar| scalar.text == "ever");
    let most = if ever { MAX } else { limits::WINDOW_TIMES as i64 };
    let max = fields.get("max").and_then(|node| cx.sink.whole(node, "max", 1..=most));
    let per = if ever { Some(None) } else { cx.elapsed(per, "per").map(Some) };
    Some(Throttle { max: max? as u32, per: per? })
}

/// `debounce:` a duration; of what is told apart by `key`.
fn debounce(
    cx: &mut Cx<'_>,
    node: &Node,
    fields: Fields<'_>,
    hours: Option<&Name>,
) -> Option<Duration> {
    let duration = cx.duration(node, "debounce", hours);
    if fields.get("key").is_none() {
        cx.sink
            .error("missing-key", node.head(), "`debounce` needs a `key`")
            .help("say whose events come to rest, such as `key: ${event.subject}`");
        return None;
    }
    duration
}

/// `vars:` in order, each seeing the earlier.
fn vars(cx: &mut Cx<'_>, node: &Node) -> Vec<(Text, crate::script::Shape)> {
    let Some(entries) = cx.sink.map(node, "vars") else { return Vec::new() };
    let mut vars = Vec::with_capacity(entries.len());
    for entry in entries {
        if !filters::is_variable(&entry.key) {
            bad_variable(cx, entry.key_span.clone(), &entry.key);
        }
        let name = Text::from(entry.key.as_str());
        if let Some(shape) = cx.shape(&entry.value, Place::START) {
            vars.push((name.clone(), shape));
        }
        cx.local.vars.insert(name);
    }
    vars
}

impl Cx<'_> {
    /// Notes the ids and variables of all steps of a document, so that expressions may name them;
    /// an id that stands twice is an error.
    pub(super) fn declare_local(&mut self, root: &Node) {
        for step in steps_below(root) {
            for entry in step.get("vars").and_then(Node::entries).unwrap_or_default() {
                let name = Text::from(entry.key.as_str());
                if self.local.vars.insert(name.clone()) {
                    self.local.set_later.insert(name, entry.key_span.clone());
                }
            }
            let Some(node) = step.get("id") else { continue };
            let Some(id) = node.scalar().map(|scalar| Text::from(scalar.text.as_str())) else {
                continue;
            };
            if let Some(first) = self.local.ids.get(&id) {
                let file = self.sink.file.name.clone();
                let message = format!("two steps have the id `{id}`");
                self.sink
                    .error("duplicate-id", node.head(), message)
                    .said("again here")
                    .also(&file, first.at.clone(), "first here")
                    .help("an id names one result of the whole document");
            } else {
                let keys = step.entries().unwrap_or_default().iter();
                let main =
                    keys.rev().find_map(|entry| keys::step(&entry.key)).map(|table| table.main);
                self.local.ids.insert(id, Given { at: node.head(), main });
            }
        }
    }
}

/// Every step of a document, however deep.
fn steps_below(root: &Node) -> Vec<&Node> {
    /// Keys that hold steps, or lists of things that hold steps.
    const BLOCKS: [&str; 9] = [
        "steps",
        "then",
        "else",
        "switch",
        "levels",
        "on_timeout",
        "on_error",
        "on_failure",
        "parallel",
    ];
    let mut found: Vec<&Node> = Vec::new();
    let mut open = vec![root];
    while let Some(node) = open.pop() {
        for entry in node.entries().into_iter().flatten() {
            if !BLOCKS.contains(&entry.key.as_str()) {
                continue;
            }
            if let Kind::List(items) = &entry.value.kind {
                // `switch` and `levels` list holders of steps, and `parallel` lists of them.
                let inner: Vec<&Node> = match entry.key.as_str() {
                    "parallel" => items.iter().filter_map(Node::items).flatten().collect(),
                    _ => items.iter().collect(),
                };
                if !matches!(entry.key.as_str(), "switch" | "levels") {
                    found.extend(&inner);
                }
                open.extend(inner.iter().rev());
            }
        }
    }
    // In the order of the file, so that "first" is what a reader calls first.
    found.sort_by_key(|node| node.span.start);
    found
}
