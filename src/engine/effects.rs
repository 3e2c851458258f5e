//! Effects: announced, gated, started when there is credit.

use std::sync::Arc;

use crate::model::{
    ActionKind, Class, Command, Digest, Effect, EffectKey, EffectState, Map, ReadError, Run, RunNo,
    Status, Task, Text, Trace, Value, Wait,
};
use crate::rules::Step;

use super::advance::{Cursor, Flow, keep, trace};
use super::finish;
use super::gate::{self, Gate, Hold};
use super::scope;
use super::stage::Stage;
use super::start::{Fault, clipped};

/// What all mail queues for.
pub(super) const MAIL_LANE: &str = "smtp";

/// What a step wants performed.
pub(super) struct Order {
    pub(super) action: ActionKind,
    pub(super) lane: Text,
    pub(super) class: Class,
    pub(super) params: Value,
}

/// Why an attempt is to be started.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Its run came to it: it goes first only where nobody waits.
    Own,
    /// Its lane has room and it is the next one.
    Given,
}

/// Announces an effect and starts it at once if there is credit.
pub(super) fn arm(
    stage: &mut Stage<'_>,
    cursor: &mut Cursor,
    step: &Step,
    order: Order,
) -> Result<Flow, Fault> {
    let run = &cursor.run;
    let key = key_of(run, None);
    // A script performs nothing, and what follows may need its value.
    if run.shadow && order.action != ActionKind::Script {
        return Ok(shadowed(&order, key));
    }
    cursor.run.wait = Wait::Effect(Box::new(Effect {
        key,
        action: order.action,
        lane: order.lane,
        class: order.class,
        params: order.params,
        armed: stage.now,
        attempts: 0,
        generation: run.generation,
        uncertain: false,
        state: EffectState::Pending,
    }));
    match attempt(stage, cursor, step, Turn::Own)? {
        None => Ok(Flow::Wait),
        Some(reason) => {
            let value = gate::suppressed(stage, &cursor.run, &reason);
            cursor.run.wait = Wait::Ready;
            Ok(Flow::Done(value, format!("suppressed: {reason}").into()))
        }
    }
}

/// The key of the effect of a run's step, or of one of several requests that the step makes.
pub(super) fn key_of(run: &Run, request: Option<u16>) -> EffectKey {
    let (pc, generation) = (run.pc.to_be_bytes(), run.generation.to_be_bytes());
    let request = request.map(u16::to_be_bytes);
    let mut parts: Vec<&[u8]> = vec![b"effect", &run.hash.0, &pc, &generation];
    parts.extend(request.as_ref().map(|request| &request[..]));
    EffectKey(Digest::of(&parts))
}

/// In shadow mode a run goes on as if it had been performed.
fn shadowed(order: &Order, key: EffectKey) -> Flow {
    let (value, to) = match order.action {
        ActionKind::Email => {
            let to = order.params.get("to").map(Value::to_string).unwrap_or_default();
            (Value::from([("message", Value::text(key.to_string()))]), to)
        }
        ActionKind::Webhook | ActionKind::Script => (shadow_answer(), order.lane.to_string()),
        #[cfg(test)]
        ActionKind::Echo => (Value::Null, order.lane.to_string()),
    };
    Flow::Would(value, clipped(&format!("{} to {to} is not sent", order.action.as_str())))
}

/// What a request that is not sent is taken to be answered with.
pub(super) fn shadow_answer() -> Value {
    Value::from([
        ("status", Value::Int(200)),
        ("headers", Value::Map(Map::new())),
        ("body", Value::Null),
    ])
}

/// Starts the next attempt of a run's effect, if its gate lets it and its lane has room; else it
/// stays pending. The reason, if the gate suppressed it.
fn attempt(
    stage: &mut Stage<'_>,
    cursor: &mut Cursor,
    step: &Step,
    turn: Turn,
) -> Result<Option<Text>, Fault> {
    let Wait::Effect(effect) = &cursor.run.wait else { return Ok(None) };
    if turn == Turn::Own && !stage.has_credit(&effect.lane) {
        set_state(&mut cursor.run, EffectState::Pending);
        return Ok(None);
    }
    let params = match gate::pass(stage, effect)? {
        Gate::Open(params) => params,
        Gate::Shut(reason) => return Ok(Some(reason)),
        Gate::Hold(held) => {
            hold(stage, &mut cursor.run, held)?;
            return Ok(None);
        }
    };
    gate::count(stage, effect, &params)?;
    let Wait::Effect(effect) = &mut cursor.run.wait else { return Ok(None) };
    effect.attempts = effect.attempts.saturating_add(1);
    effect.state = EffectState::Started { at: stage.now };
    let (attempt, key) = (effect.attempts, effect.key);
    trace(stage, &mut cursor.run, Trace::Attempt(attempt, key));
    release(stage, cursor, step, params);
    Ok(None)
}

/// The gate lets an effect through later.
pub(super) fn hold(stage: &mut Stage<'_>, run: &mut Run, held: Hold) -> Result<(), Fault> {
    // Asked again, it may say the same: that is no news.
    let said = matches!(run.trace.last().map(|entry| &entry.what),
        Some(Trace::Waiting(why, _)) if *why == held.why);
    if !said || held.reason != "guard" {
        gate::held(stage, run, &held)?;
        trace(stage, run, Trace::Waiting(held.why, Some(held.until)));
    }
    set_state(run, EffectState::Backoff { until: held.until });
    Ok(())
}

/// Hands the started attempt to the executor.
pub(super) fn release(stage: &mut Stage<'_>, cursor: &Cursor, step: &Step, params: Value) {
    let Wait::Effect(effect) = &cursor.run.wait else { return };
    let scope = match effect.action {
        ActionKind::Email => scope::for_templates(&cursor.run, &cursor.event.event),
        // The fields of these are all evaluated already.
        ActionKind::Webhook | ActionKind::Script => Arc::new(Map::new()),
        #[cfg(test)]
        ActionKind::Echo => Arc::new(Map::new()),
    };
    #[cfg(test)]
    let effect = &planted(effect);
    stage.release(Command {
        run: cursor.run.no,
        workflow: cursor.run.workflow.clone(),
        attempt: effect.attempts,
        key: effect.key,
        action: effect.action,
        lane: effect.lane.clone(),
        params,
        bundle: cursor.run.bundle,
        event: cursor.event.event.clone(),
        scope,
        armed: effect.armed,
        timeout: step.timeout.and_then(crate::model::Duration::elapsed),
    });
}

/// A mistake that tests plant.
#[cfg(test)]
fn planted(effect: &crate::model::Effect) -> crate::model::Effect {
    use crate::model::planted::{Plant, is};
    let mut effect = effect.clone();
    if effect.uncertain && is(Plant::DoublesEffects) {
        effect.key = EffectKey(Digest::of(&[b"again", &effect.key.0.0]));
    }
    effect
}

pub(super) fn set_state(run: &mut Run, state: EffectState) {
    if let Wait::Effect(effect) = &mut run.wait {
        effect.state = state;
    }
}

/// An attempt may have been performed without our knowing.
pub(super) fn mark_uncertain(run: &mut Run) {
    if let Wait::Effect(effect) = &mut run.wait {
        effect.uncertain = true;
    }
}

/// There is credit for this run's pending effect.
pub(super) fn start_pending(stage: &mut Stage<'_>, no: RunNo) -> Result<(), ReadError> {
    let Some(run) = stage.take(no)? else { return Ok(()) };
    let pending = run.effect().is_some_and(|effect| effect.state == EffectState::Pending);
    if run.status != Status::Active || !pending {
        stage.put_unchanged(run);
        return Ok(());
    }
    let Some(cursor) = Cursor::new(stage, run)? else { return Ok(()) };
    start(stage, cursor, Turn::Given)
}

/// Starts the effect of a run taken from the stage, and gives the run back.
pub(super) fn start(
    stage: &mut Stage<'_>,
    mut cursor: Cursor,
    turn: Turn,
) -> Result<(), ReadError> {
    let workflow = cursor.workflow.clone();
    let Some(step) = workflow.steps.get(cursor.run.pc as usize) else {
        stage.put(cursor.run);
        return Ok(());
    };
    match attempt(stage, &mut cursor, step, turn) {
        Ok(None) => stage.put(cursor.run),
        Ok(Some(reason)) => {
            let value = gate::suppressed(stage, &cursor.run, &reason);
            trace(stage, &mut cursor.run, Trace::Suppressed(reason));
            settle(stage, cursor.run, step, value)?;
        }
        Err(Fault::Read(error)) => return Err(error),
        Err(Fault::Cause(cause)) => {
            finish::fail_step_and_go_on(stage, cursor.run, step, cause)?;
        }
    }
    Ok(())
}

/// The step of a run taken from the stage has its result; the run goes on.
pub(super) fn settle(
    stage: &mut Stage<'_>,
    mut run: Run,
    step: &Step,
    value: Value,
) -> Result<(), ReadError> {
    if let Err(cause) = keep(&mut run, step, value) {
        return finish::fail_step_and_go_on(stage, run, step, cause);
    }
    run.pc = step.next;
    run.wait = Wait::Ready;
    stage.push(Task::Advance { run: run.no });
    stage.put(run);
    Ok(())
}
