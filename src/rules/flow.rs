//! [`Flow`]: flattens nested blocks of steps into the one list of a [`Workflow`](super::Workflow).
//!
//! While it builds, every target is a *label*: a number that is bound to a place in the list once
//! that place is known. [`Flow::finish`] turns labels into places. A label is always bound after
//! the step that names it, so every target lies further down.

use crate::model::{Class, Name};

use super::compile::{Cx, Place};
use super::decode::Fields;
use super::program::{Action, BranchArm, Pc, Retry, Step};
use super::suggest;
use super::yaml::{Entry, Kind, Node};
use super::{filters, keys, step_mail, step_state, step_wait, step_web};

/// Steps of one document after flattening, ladders with their rounds included: a run's position
/// and its trace are kept by number, and people must be able to read the story.
const STEPS: usize = 10_000;

/// Builds the list.
pub(super) struct Flow<'c, 'a> {
    pub(super) cx: &'c mut Cx<'a>,
    steps: Vec<Step>,
    /// Where each label is.
    labels: Vec<Pc>,
}

/// A place that is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(Pc);

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
        Self { cx, steps: Vec::new(), labels: Vec::new() }
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
        let place = |pc: &mut Pc| *pc = self.labels[*pc as usize];
        for step in &mut self.steps {
            place(&mut step.next);
            step.on_error.iter_mut().for_each(place);
            match &mut step.action {
                Action::WaitFor { on_timeout, .. } => on_timeout.iter_mut().for_each(place),
                Action::Branch(arms) => arms.iter_mut().for_each(|arm| place(&mut arm.target)),
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

    fn step(&mut self, node: &Node, path: &str, around: &Around, next: Label) {
        if self.steps.len() >= STEPS {
            if self.steps.len() == STEPS {
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
        self.act(node, main, &common, path, &inner, next);
        if let Some(step) = self.steps.get_mut(at) {
            step.on_error = on_error.map(|label| label.0);
        }
        self.modifiers(at, main, &common, around);
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
            "wait_for" => return step_wait::wait_for(self, node, common, (path, around, next)),
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

    /// Finds the one main key of a step.
    fn main_key<'n>(&mut self, node: &'n Node) -> Option<(&'n Entry, &'static keys::StepTable)> {
        let sink = &mut self.cx.sink;
        let Kind::Map(entries) = &node.kind else {
            if !node.is_broken() {
                let written = node.scalar().map(|scalar| scalar.text.as_str()).unwrap_or_default();
                let help = match keys::step(written) {
                    Some(step) => format!("write `{}: …`: {}", step.main, step.about),
                    None => "write its main key and a value, such as `log: done`".to_owned(),
                };
                let message = format!("a step is an object, not {}", node.type_name());
                sink.error("wrong-type", node.head(), message).help(help);
            }
            return None;
        };
        let mains: Vec<_> =
            entries.iter().filter_map(|entry| Some((entry, keys::step(&entry.key)?))).collect();
        match mains[..] {
            [(main, table)] => {
                if table.fields.is_none() {
                    sink.later(main.key_span.clone(), &main.key).said(table.about);
                    return None;
                }
                Some((main, table))
            }
            [] => {
                let names = || keys::STEPS.iter().map(|step| step.main);
                let near = entries.iter().find_map(|entry| {
                    let known = keys::COMMON.key(&entry.key).is_some();
                    let near = suggest::nearest(&entry.key, names()).filter(|_| !known)?;
                    Some((entry, near))
                });
                if let Some((entry, near)) = near {
                    let message = format!("there is no step `{}`", entry.key);
                    sink.error("unknown-step-kind", entry.key_span.clone(), message)
                        .help(format!("did you mean `{near}`?"));
                } else if entries.iter().any(|entry| entry.key == "else") {
                    sink.error("no-main-key", node.head(), "`else` is not a step of its own")
                        .help("put it beside `then`, in the same item of the list");
                } else if let Some(owner) = owner_of(entries) {
                    let message = format!("this step has no `{owner}`");
                    sink.error("no-main-key", node.head(), message)
                        .help(format!("a step has exactly one main key, and its fields stand beside it: is a `- ` too many here, or `{owner}: …` missing?"));
                } else {
                    let built: Vec<_> = keys::STEPS
                        .iter()
                        .filter(|step| step.fields.is_some())
                        .map(|step| step.main)
                        .collect();
                    sink.error("no-main-key", node.head(), "this step does not say what it does")
                        .help(format!("it needs exactly one of {}", suggest::list(&built)));
                }
                None
            }
            _ => {
                let (first, second) = (mains[0].0, mains[1].0);
                let message = format!("`{}` and `{}` cannot be one step", first.key, second.key);
                let file = sink.file.name.clone();
                sink.error("two-main-keys", second.key_span.clone(), message)
                    .said("a second main key")
                    .also(&file, first.key_span.clone(), "the first")
                    .help("a step has exactly one main key: begin the second with `- `");
                None
            }
        }
    }

    /// Checks the keys of a step and reads the common ones that its action needs.
    fn common<'n>(
        &mut self,
        node: &'n Node,
        main: &Entry,
        kind: &keys::StepTable,
        around: &Around,
    ) -> Option<Common<'n>> {
        let table = kind.fields.as_ref()?;
        let entries = node.entries()?;
        let sink = &mut self.cx.sink;
        for entry in entries {
            if entry.key == main.key || keys::COMMON.key(&entry.key).is_some() {
                continue;
            }
            match table.key(&entry.key) {
                Some(key) if key.state == super::decode::State::Later => {
                    sink.later(entry.key_span.clone(), &entry.key);
                }
                Some(_) => {}
                None => {
                    let known = table.names().chain(keys::COMMON.names());
                    let near = suggest::nearest(&entry.key, known);
                    let owner = keys::STEPS.iter().find(|step| {
                        step.fields.as_ref().is_some_and(|table| table.key(&entry.key).is_some())
                    });
                    let help = match (near, owner) {
                        (Some(near), _) => format!("did you mean `{near}`?"),
                        (None, Some(owner)) => {
                            format!("it belongs to `{}` steps", owner.main)
                        }
                        (None, None) => {
                            let names: Vec<_> = table.names().collect();
                            match names.len() {
                                0 => format!(
                                    "it takes only {}",
                                    suggest::list(&["id", "if", "on_error"])
                                ),
                                _ => format!("its fields are {}", suggest::list(&names)),
                            }
                        }
                    };
                    let message = format!("{} has no field `{}`", table.what, entry.key);
                    sink.error("unknown-key", entry.key_span.clone(), message).help(help);
                }
            }
        }
        for key in table.keys.iter().filter(|key| key.state == super::decode::State::Required) {
            if !entries.iter().any(|entry| entry.key == key.name) {
                let message = format!("{} needs `{}`", table.what, key.name);
                sink.error("missing-key", main.key_span.clone(), message).help(key.how_to_add());
            }
        }
        let fields = Fields::of(entries);
        let hours = match fields.get("hours") {
            Some(node) => self.cx.hours(node),
            None => around.hours.clone(),
        };
        Some(Common { fields, hours })
    }

    /// The target of a step's own `on_error`.
    fn on_error(&mut self, node: &Node, next: Label) -> Option<Label> {
        match &node.kind {
            Kind::List(items) if items.is_empty() => Some(next),
            Kind::List(_) => Some(self.label()),
            Kind::Scalar(scalar) => {
                let choices = [("fail", false), ("continue", true)];
                let goes_on = self.cx.choice(node, "on_error", &scalar.text, &choices)?;
                goes_on.then_some(next)
            }
            _ => {
                self.cx.sink.wrong(node, "on_error", "`fail`, `continue` or a list of steps");
                None
            }
        }
    }

    /// `id`, `if`, `timeout`, `retry`, `on_uncertain` of the step at `at`.
    fn modifiers(&mut self, at: usize, main: &Entry, common: &Common<'_>, around: &Around) {
        let fields = common.fields;
        let kind = main.key.as_str();
        let acts = matches!(kind, "email" | "webhook");
        let waits = matches!(kind, "delay" | "wait_for" | "escalate" | "call");
        let blocks = matches!(kind, "then" | "switch");
        let id = fields.get("id").and_then(|node| variable(self.cx, node, "id"));
        let guard = fields
            .get("if")
            .filter(|_| kind != "then")
            .and_then(|node| self.cx.condition(node, "if", around.place, false));
        let timeout = fields.get("timeout").filter(|_| kind != "wait_for").and_then(|node| {
            if acts {
                self.cx.elapsed(node, "timeout").map(crate::model::Duration::Elapsed)
            } else if matches!(kind, "escalate" | "call") {
                self.cx.duration(node, "timeout", common.hours.as_ref())
            } else {
                useless(
                    self.cx,
                    fields,
                    "timeout",
                    kind,
                    "`email`, `webhook`, `wait_for`, `escalate` and `call`",
                );
                None
            }
        });
        let retry = fields.get("retry").and_then(|node| {
            if acts {
                return self.retry(node);
            }
            useless(self.cx, fields, "retry", kind, "`email` and `webhook`");
            None
        });
        let hold = fields.get("on_uncertain").and_then(|node| {
            if acts {
                return self.cx.on_uncertain(node);
            }
            useless(self.cx, fields, "on_uncertain", kind, "`email` and `webhook`");
            None
        });
        if fields.get("hours").is_some() && !waits && !blocks {
            useless(self.cx, fields, "hours", kind, "`delay`, `wait_for`, `escalate` and `call`");
        }
        let Some(step) = self.steps.get_mut(at) else { return };
        step.id = id;
        step.guard = guard;
        step.hours.clone_from(&common.hours);
        step.timeout = timeout;
        step.retry = retry.unwrap_or_default();
        step.hold_uncertain = hold;
    }

    fn retry(&mut self, node: &Node) -> Option<Retry> {
        /// Attempts a rule may ask for: at the longest wait this is more than ten days.
        const ATTEMPTS: i64 = 1_000;
        let fields = self.cx.sink.fields(node, &keys::RETRY)?;
        let attempts =
            fields.get("attempts").map(|node| self.cx.sink.whole(node, "attempts", 1..=ATTEMPTS));
        let initial = fields.get("initial").map(|node| self.cx.elapsed(node, "initial"));
        let max_wait = fields.get("max_wait").map(|node| self.cx.elapsed(node, "max_wait"));
        let default = Retry::default();
        let mut retry = Retry {
            attempts: match attempts {
                Some(attempts) => u16::try_from(attempts?).unwrap_or(default.attempts),
                None => default.attempts,
            },
            initial: initial.unwrap_or(Some(default.initial))?,
            max_wait: max_wait.unwrap_or(Some(default.max_wait))?,
        };
        if retry.max_wait < retry.initial {
            if fields.get("max_wait").is_some() {
                self.cx
                    .sink
                    .error("retry", node.head(), "`max_wait` is shorter than `initial`")
                    .help("the wait begins with `initial` and doubles up to `max_wait`");
                return None;
            }
            retry.max_wait = retry.initial;
        }
        Some(retry)
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
        if let Some(Step { action: Action::WaitFor { on_timeout, .. }, .. }) =
            self.steps.get_mut(at)
        {
            *on_timeout = Some(target.0);
        }
    }

    fn set_arms(&mut self, at: usize, arms: Vec<BranchArm>) {
        if let Some(step) = self.steps.get_mut(at) {
            step.action = Action::Branch(arms);
        }
    }
}

/// An id or the name of a variable: `[a-z_][a-z0-9_]*`.
pub(super) fn variable(cx: &mut Cx<'_>, node: &Node, what: &str) -> Option<crate::model::Text> {
    let text = cx.sink.raw(node, what)?;
    if filters::is_variable(text) {
        return Some(text.into());
    }
    bad_variable(cx, node.head(), text);
    None
}

/// Reports a text that is no id and no variable.
pub(super) fn bad_variable(cx: &mut Cx<'_>, span: std::ops::Range<usize>, text: &str) {
    let fixed = text.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let rule = "lower-case letters, digits and `_`, no digit first";
    let help = if filters::is_variable(&fixed) {
        format!("write `{fixed}`: {rule}")
    } else {
        rule.to_owned()
    };
    cx.sink
        .error("bad-name", span, format!("`{text}` cannot be the name of a result or variable"))
        .help(help);
}

fn useless(cx: &mut Cx<'_>, fields: Fields<'_>, key: &str, kind: &str, where_it_works: &str) {
    if let Some(entry) = fields.entry(key) {
        let message = format!("`{key}` does nothing on a `{kind}` step");
        cx.sink
            .error("useless-key", entry.key_span.clone(), message)
            .help(format!("it works on {where_it_works} steps"));
    }
}

/// The main key whose fields these are, if they are fields of one kind of step only.
fn owner_of(entries: &[Entry]) -> Option<&'static str> {
    keys::STEPS.iter().find_map(|step| {
        let table = step.fields.as_ref()?;
        entries.iter().any(|entry| table.key(&entry.key).is_some()).then_some(step.main)
    })
}
