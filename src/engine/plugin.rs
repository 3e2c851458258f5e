//! Functions of plugins off the loop: `script`, and `action` with the requests it asks for.
//!
//! Both are effects. That of an action is first its function and then, one after the other, each of
//! its requests, with a key of its own. What is still to be sent and what was answered so far lies in
//! the fields of the effect, so a crash between two of them goes on where it was.

use crate::model::{
    ActionKind, Class, Effect, EffectState, Instant, Map, ReadError, Run, Text, Trace, Value, Wait,
    limits,
};
use crate::rules::{PluginCall, Step};

use super::advance::{Cursor, Flow, trace};
use super::effects::{self, Turn};
use super::fields;
use super::metric;
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
        ("secrets", fields::named_secrets(call.args.iter())),
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
        let what = format!("{} requests are not sent", open.rest.len());
        open.answers.extend(open.rest.drain(..).map(|_| effects::shadow_answer()));
        let said = metric::would(stage, &run, step, &what)?;
        trace(stage, &mut run, Trace::Done(said));
    }
    let Some(request) = open.next() else {
        return effects::settle(stage, run, step, open.result());
    };
    let armed = run.effect().map_or(stage.now, |effect| effect.armed);
    run.wait = Wait::Effect(Box::new(request_of(&run, request, armed)));
    match Cursor::new(stage, run)? {
        Some(cursor) => effects::start(stage, cursor, Turn::Own),
        None => Ok(()),
    }
}

/// The effect of one request, whose fields say how many were answered before it.
fn request_of(run: &Run, fields: Map, armed: Instant) -> Effect {
    let params = Value::Map(fields);
    let lane = params.get("lane").and_then(Value::as_text).unwrap_or(LANE);
    Effect {
        key: effects::key_of(run, number(&params)),
        action: ActionKind::Webhook,
        lane: lane.into(),
        class: Class::Normal,
        params,
        armed,
        attempts: 0,
        generation: run.generation,
        uncertain: false,
        state: EffectState::Pending,
    }
}

/// Whether an effect is a request of an action.
pub(super) fn is_request(effect: &Effect) -> bool {
    effect.params.get(REST).is_some()
}

/// Which request of an action has these fields; `None`: they are those of another effect.
pub(super) fn number(fields: &Value) -> Option<u16> {
    match fields.get(ANSWERS)? {
        Value::List(answers) => u16::try_from(answers.len()).ok(),
        _ => None,
    }
}

/// A person takes the effect of an action as done: of a request the action goes on with the next.
pub(super) fn assume(stage: &mut Stage<'_>, run: Run, step: &Step) -> Result<(), ReadError> {
    let assumed = Value::from([("assumed", Value::Bool(true))]);
    match run.effect() {
        Some(effect) if is_request(effect) => answered(stage, run, step, assumed),
        _ => effects::settle(stage, run, step, assumed),
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
        answers.push(shortened(value, if fits { limits::RESULT_BYTES } else { room }));
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

/// An answer within its room: without its headers, and then without its body. It was performed, so that
/// its answer is too large to keep does not make it a failure.
fn shortened(mut answer: Value, room: usize) -> Value {
    for field in ["headers", "body"] {
        if let (true, Value::Map(fields)) = (answer.weight() > room, &mut answer) {
            fields.remove(field);
            fields.insert("truncated".into(), Value::Bool(true));
        }
    }
    if answer.weight() > room { Value::from([("too_large", true.into())]) } else { answer }
}
