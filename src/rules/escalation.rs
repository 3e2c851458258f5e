//! An `escalation:` document, compiled to the workflow of its ladder.
//!
//! For each level: [`Action::Level`] waits for its time, then come its mails or steps. After the
//! last round [`Action::Summit`] waits for a resolution. Nothing that fails within a level stops
//! the ladder.

use crate::model::{Class, Duration, Name, limits};
use crate::script::Shape;

use super::compile::{Cx, Place};
use super::flow::{Around, Flow, Label};
use super::keys;
use super::program::{Action, EmailBody, EmailStep, LadderPolicy, Mode, Workflow};
use super::reach;
use super::step_mail;
use super::team;
use super::templates::ESCALATION_TEMPLATE;
use super::workflow::text;
use super::yaml::Node;

/// Rounds after the first: past this nobody is going to answer.
const ROUNDS: i64 = 20;
/// Levels of a policy, as many as anybody has superiors.
const LEVELS: usize = 20;

/// Compiles an `escalation:` document; `None` if anything is wrong with it, which is reported.
pub(super) fn escalation(cx: &mut Cx<'_>, root: &Node) -> Option<Workflow> {
    let mistakes = cx.sink.errors();
    let table = keys::document("escalation")?.table.as_ref()?;
    let fields = cx.sink.fields(root, table)?;
    let name = fields.get("escalation").and_then(|node| cx.sink.name(node, "escalation"));
    let description = text(cx, fields, "description");
    let owner = text(cx, fields, "owner");
    let hours = fields.get("hours").and_then(|node| cx.hours(node));
    let unresolved =
        fields.get("unresolved").and_then(|node| cx.duration(node, "unresolved", hours.as_ref()));
    let rounds = match fields.get("repeat") {
        Some(node) => cx.sink.whole(node, "repeat", 0..=ROUNDS).unwrap_or(0),
        None => 0,
    };
    let template = match fields.get("template") {
        Some(node) => step_mail::template_name(cx, node),
        None => Some(Name::from(ESCALATION_TEMPLATE)),
    };
    cx.declare_local(root);
    let levels = fields.get("levels").and_then(|node| {
        let levels = cx.sink.list(node, "levels")?;
        if levels.is_empty() || levels.len() > LEVELS {
            let message = format!("a policy has between 1 and {LEVELS} levels");
            cx.sink.error("out-of-range", node.head(), message);
        }
        Some(levels)
    });
    let around = Around { place: Place::STEP, hours: hours.clone(), on_error: None, urgent: true };
    let mut ladder = Ladder { flow: Flow::new(cx), around, template };
    for round in 0..=rounds {
        for (at, level) in levels.into_iter().flatten().enumerate() {
            let path = match round {
                0 => format!("levels[{at}]"),
                _ => format!("round {} levels[{at}]", round + 1),
            };
            ladder.level(level, &path);
        }
        // A mistake is the same in every round: say it once.
        if ladder.flow.cx.sink.errors() > mistakes {
            break;
        }
    }
    let steps = ladder.finish(root);
    reach::check(cx, &steps, None);
    if cx.sink.errors() > mistakes {
        return None;
    }
    Some(Workflow {
        name: name?.into(),
        description,
        owner,
        enabled: true,
        triggers: Vec::new(),
        condition: None,
        key: None,
        mode: Mode::Parallel,
        max: None,
        vars: Vec::new(),
        throttle: None,
        debounce: None,
        shadow: false,
        on_failure: None,
        exit: Vec::new(),
        lifetime: Duration::Elapsed(limits::LIFETIME),
        hours: hours.clone(),
        steps,
        ladder: Some(LadderPolicy { unresolved, hours }),
    })
}

struct Ladder<'c, 'a> {
    flow: Flow<'c, 'a>,
    around: Around,
    template: Option<Name>,
}

impl Ladder<'_, '_> {
    fn level(&mut self, node: &Node, path: &str) {
        let cx = &mut *self.flow.cx;
        let Some(fields) = cx.sink.fields(node, &keys::LEVEL) else { return };
        let after = fields
            .get("after")
            .and_then(|node| cx.duration(node, "after", self.around.hours.as_ref()));
        let end = self.flow.label();
        if let Some(after) = after {
            let next = self.flow.label();
            let mut step = self.flow.bare(node, path, Action::Level { after }, next);
            step.hours.clone_from(&self.around.hours);
            self.flow.push(step);
            self.flow.bind(next);
        }
        match (fields.get("notify"), fields.get("steps")) {
            (Some(people), None) => self.notify(people, path, end),
            (None, Some(steps)) => {
                // A step that fails leaves the level, never the ladder.
                let around = Around { on_error: Some(end), ..self.around.clone() };
                self.flow.block(steps, &format!("{path}.steps"), &around, end);
            }
            (Some(_), Some(_)) => {
                self.flow
                    .cx
                    .sink
                    .error("conflict", node.head(), "a level has either `notify` or `steps`")
                    .help("with `steps`, send the mails there");
            }
            (None, None) => {
                self.flow
                    .cx
                    .sink
                    .error("missing-key", node.head(), "this level tells nobody")
                    .help("add `notify: [PERSON]`, or `steps`");
            }
        }
        self.flow.bind(end);
    }

    /// One mail for each person, each with its own fate.
    fn notify(&mut self, node: &Node, path: &str, end: Label) {
        let Some(people) = self.flow.cx.sink.list(node, "notify") else { return };
        if people.is_empty() {
            self.flow.cx.sink.error("recipient", node.head(), "`notify` lists nobody");
        }
        for (at, person) in people.iter().enumerate() {
            let Some(to) = person_shape(self.flow.cx, person, "notify", Place::STEP) else {
                continue;
            };
            let Some(template) = self.template.clone() else { continue };
            let last = at + 1 == people.len();
            let next = if last { end } else { self.flow.label() };
            let mail = EmailStep {
                to,
                cc: None,
                bcc: None,
                from: None,
                reply_to: None,
                purpose: "internal".into(),
                body: EmailBody::Template(template),
                args: None,
                locale: None,
                headers: Vec::new(),
                class: Class::Urgent,
            };
            let action = Action::Email(Box::new(mail));
            let mut step = self.flow.bare(person, &format!("{path}.notify[{at}]"), action, next);
            step.on_error = Some(step.next);
            self.flow.push(step);
            if !last {
                self.flow.bind(next);
            }
        }
    }

    fn finish(mut self, root: &Node) -> Vec<super::program::Step> {
        let end = self.flow.label();
        let step = self.flow.bare(root, "unresolved", Action::Summit, end);
        self.flow.push(step);
        self.flow.bind(end);
        self.flow.finish()
    }
}

/// A person of `notify` or `approve`: an id, or a `${…}` that gives one.
pub(super) fn person_shape(
    cx: &mut Cx<'_>,
    node: &Node,
    what: &str,
    place: Place,
) -> Option<Shape> {
    let text = cx.sink.raw(node, what)?;
    if text.contains('@') && !text.contains("${") {
        let message = format!("`{what}` names people, not addresses");
        let help = "write the id of a `person` record that has an `email`";
        let instead = if what == "notify" { ", or use `steps` with `email: …`" } else { "" };
        cx.sink.error("recipient", node.head(), message).help(format!("{help}{instead}"));
        return None;
    }
    if let Some(name) = text.strip_prefix("team:") {
        team::recipient(cx, node, name)?;
        return cx.text_shape(node, what, place);
    }
    if text.starts_with("person:") {
        return cx.text_shape(node, what, place);
    }
    cx.person_shape(node, what, place)
}
