//! Functions of plugins off the loop: `script`, and `action` with the requests it asks for.
//!
//! Both are effects. That of an action is first its function and then, one after the other, each of
//! its requests, with a key of its own. What is still to be sent and what was answered so far lies in
//! the fields of the effect, so a crash between two of them goes on where it was.

use crate::model::{
    ActionKind, Class, Effect, EffectState, Map, ReadError, Run, Text, Trace, Value, Wait, limits,
};
use crate::rules::{PluginCall, Step};

use super::advance::{Cursor, Flow, trace};
use super::effects::{self, Turn};
use super::stage::Stage;
use super::start::Fault;
use super::steps::eval;

/// What all scripts queue for.
const LANE: &str = "script";
/// Requests that are still to be sent.
const REST: &str = "rest";
/// What was answered so far.
const ANSWERS: &str = "answers";
/// Whether the action asked for a list of requests, even of one.
const LIST: &str = "list";

/// Has a function called.
pub(super) fn arm(
    stage: &mut Stage<'_>,
    cursor: &mut Cursor,
    step: &Step,
    call: &PluginCall,
    asks: bool,
) -> Result<Flow, Fault> {
    let args: Result<Vec<Value>, Fault> =
        call.args.iter().map(|shape| eval(stage, cursor, shape)).collect();
    let params = Value::from([
        ("function", Value::Text(call.function.clone())),
        ("args", Value::List(args?)),
        ("asks", Value::Bool(asks)),
    ]);
    let (action, lane) = (ActionKind::Script, Text::from(LANE));
    effects::arm(stage, cursor, step, effects::Order { action, lane, class: Class::Normal, params })
}

/// An action has said what it asks for, or one of its requests was answered: the next one, or the
/// end of the step.
pub(super) fn answered(
    stage: &mut Stage<'_>,
    mut run: Run,
    step: &Step,
    value: Value,
) -> Result<(), ReadError> {
    let shadow = run.shadow;
    let Wait::Effect(effect) = &mut run.wait else {
        stage.put(run);
        return Ok(());
    };
    let mut open = Open::of(effect, value);
    if shadow && !open.rest.is_empty() {
        let said = format!("in shadow mode: {} requests are not sent", open.rest.len());
        open.answers.extend(open.rest.drain(..).map(|_| effects::shadow_answer()));
        trace(stage, &mut run, Trace::Done(said.into()));
    }
    let number = open.answers.len() as u16;
    let Some(request) = open.next() else {
        return effects::settle(stage, run, step, open.result());
    };
    let key = effects::key_of(&run, Some(number));
    if let Wait::Effect(effect) = &mut run.wait {
        let lane = request.get("lane").and_then(Value::as_text).unwrap_or(LANE);
        **effect = Effect {
            key,
            action: ActionKind::Webhook,
            lane: lane.into(),
            class: effect.class,
            params: Value::Map(request),
            armed: effect.armed,
            attempts: 0,
            generation: effect.generation,
            uncertain: false,
            state: EffectState::Pending,
        };
    }
    match Cursor::new(stage, run)? {
        Some(cursor) => effects::start(stage, cursor, Turn::Own),
        None => Ok(()),
    }
}

/// How far an action is.
struct Open {
    rest: Vec<Value>,
    answers: Vec<Value>,
    list: bool,
}

impl Open {
    /// Of an effect that came to `value`: the requests of its function, or the answer to one of them.
    fn of(effect: &Effect, value: Value) -> Self {
        let list = |from: &Value, field: &str| match from.get(field) {
            Some(Value::List(items)) => items.clone(),
            _ => Vec::new(),
        };
        let flag = |from: &Value| from.get(LIST) == Some(&Value::Bool(true));
        if effect.action == ActionKind::Script {
            return Self { rest: list(&value, REST), answers: Vec::new(), list: flag(&value) };
        }
        let mut answers = list(&effect.params, ANSWERS);
        let room = limits::RESULT_BYTES / limits::ACTION_REQUESTS;
        let fits = effect.params.get(REST).is_none_or(|rest| *rest == Value::List(Vec::new()))
            && answers.is_empty();
        // It was performed: an answer that is too large to keep does not make it a failure.
        let kept = value.weight() <= if fits { limits::RESULT_BYTES } else { room };
        answers.push(if kept { value } else { Value::from([("too_large", true.into())]) });
        Self { rest: list(&effect.params, REST), answers, list: flag(&effect.params) }
    }

    /// The fields of the next request, with what is open besides.
    fn next(&mut self) -> Option<Map> {
        if self.rest.is_empty() {
            return None;
        }
        // The executor gives nothing else.
        let Value::Map(mut request) = self.rest.remove(0) else { return None };
        request.insert(REST.into(), Value::List(std::mem::take(&mut self.rest)));
        request.insert(ANSWERS.into(), Value::List(std::mem::take(&mut self.answers)));
        request.insert(LIST.into(), Value::Bool(self.list));
        Some(request)
    }

    /// What the step gives: the answer to its one request, those of a list, or nothing.
    fn result(mut self) -> Value {
        if self.list { Value::List(self.answers) } else { self.answers.pop().unwrap_or_default() }
    }
}
