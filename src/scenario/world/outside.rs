//! The outside of a [`World`]: what becomes of what the engine asks for.

use std::sync::Arc;

use crate::actions::render;
use crate::model::{
    ActionKind, Ask, Cause, Command, Found, Map, Outcome, POLL_BUSY, Settled, Span, Text, Value,
    View,
};
use crate::rules::{Action, Bundle};
use crate::script::Shared;

use super::super::answers::answer;
use super::super::effect::{Content, Happening};
use super::{Lookups, World, root_of};

/// How often a script is asked whether it is late before it is: each is 512 operations of Rhai, so this
/// is about a second.
const LATE_AFTER: usize = 100_000;

impl World {
    pub(super) fn perform(&mut self, command: &Command, bundle: Option<Arc<Bundle>>) {
        let (outcome, after) = match bundle {
            None => {
                let why = "the version of the rules this run began with cannot be read";
                (Outcome::Failed(Cause::new("version", why)), Span::ZERO)
            }
            Some(bundle) if command.action == ActionKind::Script => {
                let host = Lookups(&self.pump);
                (render::script(command, &bundle.sandbox, &host, &patience()), Span::ZERO)
            }
            Some(bundle) => self.send(command.clone(), &bundle),
        };
        self.tokens += 1;
        let settled =
            Settled { run: command.run, key: command.key, attempt: command.attempt, outcome };
        // An attempt that a crash repeats is answered when it would have been.
        let at = *self.answer_at.entry((command.key, command.attempt)).or_insert(self.now + after);
        self.under_way.insert((at.max(self.now), self.tokens), settled);
    }

    /// What comes of an attempt, which is seen from outside unless it cannot even be rendered.
    fn send(&mut self, mut command: Command, bundle: &Bundle) -> (Outcome, Span) {
        let action = self.action_of(&command, bundle);
        self.letters.write(&mut command);
        let (mut happening, content) = match Happening::of(&command, bundle, action, self.now) {
            Ok(rendered) => rendered,
            Err(cause) => return (Outcome::Failed(cause), Span::ZERO),
        };
        self.letters.read(&happening.texts());
        let answered = answer(&self.answers, &command, &content);
        let key = command.key;
        if let std::collections::btree_map::Entry::Vacant(new) = self.ledger.entry(key) {
            happening.cause = root_of(self.pump.view(), &command.event);
            let fields = if self.passing { Map::new() } else { happening.fields.clone() };
            new.insert(Happening { fields, ..happening.clone() });
            self.fresh.push(happening);
        }
        (answered.outcome, answered.after)
    }

    /// The action of a plugin that asked for a request.
    fn action_of(&self, command: &Command, bundle: &Bundle) -> Option<Text> {
        let run = self.pump.view().run(command.run).ok()??;
        let workflow = bundle.workflow(&run.workflow)?;
        match &workflow.steps.get(run.pc as usize)?.action {
            Action::Plugin(call) => Some(call.action_name().into()),
            _ => None,
        }
    }

    /// Carries out a poll: what there is, as far as the scenario says how it is answered.
    pub(super) fn poll(&self, ask: &Ask) -> Result<Found, Cause> {
        let host = Lookups(&self.pump);
        let sandbox = &self.rules.sandbox;
        let call = |args: Vec<Value>| {
            let args: Vec<Shared> = args.into_iter().map(Shared::new).collect();
            let called = sandbox.call(&ask.function, &args, ask.begun, &host, &patience());
            called.map_err(|error| error.to_cause())
        };
        let request = call(vec![ask.cursor.clone()])?;
        if request.is_null() {
            return Ok(Found { cursor: ask.cursor.clone(), ..Found::default() });
        }
        let grant = sandbox.grant(&ask.function, 1).cloned().unwrap_or_default();
        let command = render::poll(&request, &grant, ask)?;
        if !self.answers.iter().any(|answer| answer.is_of(&command)) {
            return Err(Cause::new(POLL_BUSY, "the scenario does not say what is answered"));
        }
        match answer(&self.answers, &command, &Content::Request).outcome {
            Outcome::Done(answer) => {
                let meant = call(vec![ask.cursor.clone(), answer])?;
                crate::triggers::from_poll(&ask.function, &meant)
            }
            Outcome::Retry { why, .. } | Outcome::Failed(why) | Outcome::Uncertain(why) => Err(why),
        }
    }

    /// Calls a function of a plugin.
    pub(in crate::scenario) fn call(&self, function: &str, args: &[Value]) -> Result<Value, Cause> {
        let args: Vec<Shared> = args.iter().cloned().map(Shared::new).collect();
        let called = self.rules.sandbox.call(function, &args, self.now, &self.host(), &patience());
        called.map_err(|error| error.to_cause())
    }
}

/// Tells a script that it is late after so many operations.
fn patience() -> impl Fn() -> bool {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    move || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= LATE_AFTER
}
