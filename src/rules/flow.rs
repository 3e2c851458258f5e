//! [`Flow`]: flattens nested blocks of steps into the one list of a [`Workflow`](super::Workflow).
//!
//! While it builds, every target is a *label*: a number that is bound to a place in the list once
//! that place is known. [`Flow::finish`] turns labels into places. A label is always bound after
//! the step that names it, so every target lies further down.

use crate::model::{Class, Name};

use super::compile::{Cx, Place};
use super::decode::Fields;
use super::program::{Action, BranchArm, Pc, Retry, Step};
use super::yaml::{Entry, Kind, Node};
use super::{
    keys, step_ask, step_mail, step_many, step_plugin, step_state, step_wait, step_web, team,
};

/// Steps of one document after flattening, ladders with their rounds included: a run's position
/// and its trace are kept by number, and people must be able to read the story.
const STEPS: usize = 10_000;

/// Builds the list.
pub(super) struct Flow<'c, 'a> {
    pub(super) cx: &'c mut Cx<'a>,
    pub(super) steps: Vec<Step>,
    /// Where each label is.
    labels: Vec<Pc>,
    /// Too many steps, which is said once.
    full: bool,
}

/// A place that is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(pub(super) Pc);

/// What surrounds a block.
#[derive(Clone, Debug)]
pub(super) struct Around {
    /// What expressions may use.
    pub place: Place,
    /// The calendar of durations.
    pub hours: Option<Name>,
    /// Where steps go that fail and say nothing about it.
    pub on_error: Option<Label>,
    /// The class of mails: urgent in a ladder.
    pub urgent: bool,
}

/// The common keys of a step, read.
pub(super) struct Common<'n> {
    pub fields: Fields<'n>,
    pub hours: Option<Name>,
}

impl<'c, 'a> Flow<'c, 'a> {
    pub(super) fn new(cx: &'c mut Cx<'a>) -> Self {
        Self { cx, steps: Vec::new(), labels: vec![Pc::MAX], full: false }
    }

    /// The end of the list, wherever that will be: the end of every run.
    #[expect(clippy::unused_self, reason = "a label means something within its list only")]
    pub(super) const fn end(&self) -> Label {
        Label(0)
    }

    /// A label that is not bound yet.
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(Pc::MAX);
        Label(self.labels.len() as Pc - 1)
    }

    /// A label of the place where the next step will be.
    pub(super) fn here(&mut self) -> Label {
        let label = self.label();
        self.bind(label);
        label
    }

    /// Binds a label to the place where the next step will be.
    pub(super) fn bind(&mut self, label: Label) {
        self.labels[label.0 as usize] = self.steps.len() as Pc;
    }

    /// Adds a step; its targets are labels.
    pub(super) fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// A step without anything special, whose targets are labels.
    pub(super) fn bare(&self, node: &Node, path: &str, action: Action, next: Label) -> Step {
        Step {
            path: path.into(),
            line: self.cx.line(node.head().start),
            id: None,
            guard: None,
            action,
            next: next.0,
            on_error: None,
            hours: None,
            timeout: None,
            retry: Retry::default(),
            hold_uncertain: None,
        }
    }

    /// The list, with every label resolved.
    pub(super) fn finish(mut self) -> Vec<Step> {
        self.bind(self.end());
        let place = |pc: &mut Pc| *pc = self.labels[*pc as usize];
        for step in &mut self.steps {
            place(&mut step.next);
            step.on_error.iter_mut().for_each(place);
            match &mut step.action {
                Action::WaitFor { on_timeout, .. } => on_timeout.iter_mut().for_each(place),
                Action::Branch(arms) => arms.iter_mut().for_each(|arm| place(&mut arm.target)),
                Action::ForEach(each) => place(&mut each.body),
                Action::Approve(approve) => {
                    place(&mut approve.ask);
                    approve.on_timeout.iter_mut().for_each(place);
                }
                Action::Parallel(lists) => lists.iter_mut().for_each(place),
                _ => {}
            }
        }
        self.steps
    }

    /// Compiles a list of steps that goes on at `end`; the label of its beginning.
    pub(super) fn block(&mut self, node: &Node, path: &str, around: &Around, end: Label) -> Label {
        let what = path.rsplit('.').next().unwrap_or(path);
        let Some(items) = self.cx.sink.list(node, what) else { return end };
        if items.is_empty() {
            return end;
        }
        let begin = self.here();
        for (at, item) in items.iter().enumerate() {
            let next = if at + 1 == items.len() { end } else { self.label() };
            self.step(item, &format!("{path}[{at}]"), around, next);
            if at + 1 < items.len() {
                self.bind(next);
            }
        }
        begin
    }

    /// Compiles a list of steps that is done by runs of its own; the label of its beginning. A step of it
    /// that fails ends its run, and what surrounds the list handles the failure of all of them.
    pub(super) fn apart(&mut self, node: &Node, path: &str, around: &Around) -> Label {
        let around = Around { on_error: None, ..around.clone() };
        let end = self.end();
        self.block(node, path, &around, end)
    }

    fn step(&mut self, node: &Node, path: &str, around: &Around, next: Label) {
        if self.steps.len() >= STEPS {
            if !std::mem::replace(&mut self.full, true) {
                let message = format!("more than {STEPS} steps");
                self.cx.sink.error("too-large", node.head(), message);
            }
            return;
        }
        let Some((main, kind)) = self.main_key(node) else { return };
        let Some(common) = self.common(node, main, kind, around) else { return };
        let own = common.fields.get("on_error");
        let on_error = match own {
            None => around.on_error,
            Some(own) => self.on_error(own, next),
        };
        let inner = Around { hours: common.hours.clone(), on_error, ..around.clone() };
        let at = self.steps.len();
        let outer = self.cx.local.at.replace(at as Pc);
        let read = self.cx.local.reads.len();
        self.act(node, main, &common, path, &inner, next);
        self.modifiers(at, main, &common, around);
        self.cx.local.at = outer;
        if let Some(step) = self.steps.get_mut(at) {
            step.on_error = on_error.map(|label| label.0);
        } else {
            self.cx.used.dropped = Some(node.head());
            self.cx.local.reads.truncate(read);
        }
        // The handler itself comes after everything that may jump to it.
        if let (Some(own), Some(label)) = (own, on_error)
            && matches!(&own.kind, Kind::List(steps) if !steps.is_empty())
        {
            let handled = Around { place: around.place.with_error(), ..around.clone() };
            self.bind(label);
            self.block(own, &format!("{path}.on_error"), &handled, next);
        }
    }

    /// What the step does; the first step pushed is the step itself.
    fn act(
        &mut self,
        node: &Node,
        main: &Entry,
        common: &Common<'_>,
        path: &str,
        around: &Around,
        next: Label,
    ) {
        let fields = common.fields;
        let place = around.place;
        let cx = &mut *self.cx;
        let action = match main.key.as_str() {
            "then" => return self.branch(node, main, fields, path, (around, next)),
            "switch" => return self.switch(node, main, path, around, next),
            "foreach" => {
                return step_many::foreach(self, node, main, common, (path, around, next));
            }
            "parallel" => return step_many::parallel(self, node, main, (path, around, next)),
            "wait_for" => return step_wait::wait_for(self, node, common, (path, around, next)),
            "approve" => return step_ask::approve(self, node, common, (path, around, next)),
            "email" => {
                let class = around.urgent.then_some(Class::Urgent);
                step_mail::email(cx, &main.value, fields, place, class)
                    .map(|step| Action::Email(Box::new(step)))
            }
            "webhook" => step_web::webhook(cx, &main.value, fields, place)
                .map(|step| Action::Webhook(Box::new(step))),
            "escalate" => step_wait::escalate(cx, &main.value, fields, place),
            "call" => step_wait::call(cx, main, fields, place),
            "delay" => {
                cx.deadline(&main.value, "delay", common.hours.as_ref(), place).map(Action::Delay)
            }
            "record" => step_state::record(cx, &main.value, fields, place),
            "emit" => step_state::emit(cx, &main.value, fields, place),
            "vars" => step_state::vars(cx, &main.value, place),
            "script" => step_plugin::script(cx, &main.value, fields, place).map(Action::Script),
            "action" => step_plugin::action(cx, &main.value, fields, place).map(Action::Plugin),
            "metric" => step_state::metric(cx, main, fields, place),
            "erase" => step_state::erase(cx, &main.value, fields, place),
            "pick" => team::pick(cx, &main.value, fields, place),
            #[cfg(test)]
            "echo" => super::step_echo::echo(cx, &main.value, fields, place),
            "rhai" => cx.expression(&main.value, "rhai", place).map(Action::Rhai),
            "log" => cx.text_shape(&main.value, "log", place).map(Action::Log),
            "stop" => cx.text_shape(&main.value, "stop", place).map(Action::Stop),
            "fail" => cx.text_shape(&main.value, "fail", place).map(Action::Fail),
            // The tables and this match name the same keys: a test walks the tables.
            _ => None,
        };
        if let Some(action) = action {
            let step = self.bare(node, path, action, next);
            self.push(step);
        }
    }

    /// `then:`/`else:` with the modifier `if`.
    fn branch(
        &mut self,
        node: &Node,
        main: &Entry,
        fields: Fields<'_>,
        path: &str,
        (around, next): (&Around, Label),
    ) {
        let Some(test) = fields.get("if") else {
            self.cx
                .sink
                .error("missing-key", main.key_span.clone(), "`then` needs `if` beside it")
                .help("write `if: CONDITION` in the same item of the list");
            return;
        };
        let condition = self.cx.condition(test, "if", around.place, false);
        let at = self.steps.len();
        let step = self.bare(node, path, Action::Branch(Vec::new()), next);
        self.push(step);
        let then = self.block(&main.value, &format!("{path}.then"), around, next);
        let mut arms = vec![BranchArm { condition, target: then.0, label: "then".into() }];
        if let Some(node) = fields.get("else") {
            let target = self.block(node, &format!("{path}.else"), around, next);
            arms.push(BranchArm { condition: None, target: target.0, label: "else".into() });
        }
        self.set_arms(at, arms);
    }

    fn switch(&mut self, node: &Node, main: &Entry, path: &str, around: &Around, next: Label) {
        let Some(cases) = self.cx.sink.list(&main.value, "switch") else { return };
        let at = self.steps.len();
        let step = self.bare(node, path, Action::Branch(Vec::new()), next);
        self.push(step);
        let mut arms = Vec::with_capacity(cases.len());
        for (number, case) in cases.iter().enumerate() {
            let Some(fields) = self.cx.sink.fields(case, &keys::CASE) else { continue };
            let last = number + 1 == cases.len();
            let (test, block, otherwise) =
                (fields.get("if"), fields.get("then"), fields.get("else"));
            let path = format!("{path}.switch[{number}]");
            match (test, block, otherwise) {
                (Some(test), Some(block), None) => {
                    let condition = self.cx.condition(test, "if", around.place, false);
                    let target = self.block(block, &format!("{path}.then"), around, next);
                    let label = format!("case {}", number + 1).into();
                    arms.push(BranchArm { condition, target: target.0, label });
                }
                (None, None, Some(block)) => {
                    if !last {
                        self.cx
                            .sink
                            .error("switch", case.head(), "no case after `else` is ever reached")
                            .help("put `else` last");
                    }
                    let target = self.block(block, &format!("{path}.else"), around, next);
                    arms.push(BranchArm {
                        condition: None,
                        target: target.0,
                        label: "else".into(),
                    });
                }
                _ if case.is_broken() => {}
                _ => {
                    self.cx
                        .sink
                        .error(
                            "switch",
                            case.head(),
                            "a case has `if` and `then`, the last one only `else`",
                        )
                        .help("write `- { if: …, then: […] }` and, last, `- { else: […] }`");
                }
            }
        }
        if !cases.iter().any(|case| case.get("else").is_some()) {
            self.cx
                .sink
                .error("switch", main.key_span.clone(), "this `switch` has no `else`")
                .help("say what happens when nothing matches: `- else: []` if nothing is meant to");
        }
        self.set_arms(at, arms);
    }

    /// Sets where the wait at `at` goes on when time is up.
    pub(super) fn set_on_timeout(&mut self, at: Label, target: Label) {
        let at = self.labels[at.0 as usize] as usize;
        match self.steps.get_mut(at).map(|step| &mut step.action) {
            Some(Action::WaitFor { on_timeout, .. }) => *on_timeout = Some(target.0),
            Some(Action::Approve(approve)) => approve.on_timeout = Some(target.0),
            _ => {}
        }
    }

    fn set_arms(&mut self, at: usize, arms: Vec<BranchArm>) {
        if let Some(step) = self.steps.get_mut(at) {
            step.action = Action::Branch(arms);
        }
    }
}
