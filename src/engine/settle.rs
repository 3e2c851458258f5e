//! The end of an attempt: done, tried again, failed for good, or not known.
//!
//! An outcome that is not known is never guessed: the attempt is repeated with the same content
//! under the same key, or held for a person.

use crate::model::{
    ActionKind, Cause, EffectKey, EffectState, Outcome, ReadError, Run, RunNo, Settled, Span,
    Status, Trace, Value, Wait, limits,
};
use crate::rules::{Action, Retry, Step};

use super::advance::{Cursor, trace};
use super::effects;
use super::finish;
use super::gate::{self, Gate};
use super::plugin;
use super::stage::Stage;
use super::start::Fault;

/// The longest a receiver may have us wait: past it, it is better to say that it failed.
const RETRY_AFTER_MAX: Span = Span::from_days(1);

/// An attempt ended. One that the run does not wait for any more is late and changes nothing.
pub(super) fn outcome(stage: &mut Stage<'_>, settled: Settled) -> Result<(), ReadError> {
    let Some(run) = stage.take(settled.run)? else { return Ok(()) };
    if !is_under_way(&run, (settled.key, settled.attempt)) {
        stage.put_unchanged(run);
        return Ok(());
    }
    let Some((_, workflow)) = super::advance::locate(stage, &run) else {
        // Advancing says what is wrong with its version.
        return Cursor::new(stage, run).map(|_| ());
    };
    let Some(step) = workflow.steps.get(run.pc as usize) else {
        stage.put(run);
        return Ok(());
    };
    decide(stage, run, step, settled.outcome)
}

/// Whether a run waits for this attempt, and not for another one by now.
fn is_under_way(run: &Run, attempt: (EffectKey, u16)) -> bool {
    run.status == Status::Active
        && run.effect().is_some_and(|effect| {
            (effect.key, effect.attempts) == attempt
                && matches!(effect.state, EffectState::Started { .. })
        })
}

fn decide(
    stage: &mut Stage<'_>,
    mut run: Run,
    step: &Step,
    outcome: Outcome,
) -> Result<(), ReadError> {
    let Wait::Effect(effect) = &run.wait else {
        stage.put(run);
        return Ok(());
    };
    let (attempt, key) = (effect.attempts, effect.key);
    let uncertain = matches!(outcome, Outcome::Uncertain(_));
    // It is under way no more, whatever came of it.
    effects::set_state(&mut run, EffectState::Pending);
    match outcome {
        Outcome::Done(value) => {
            trace(stage, &mut run, Trace::Done(format!("attempt {attempt} succeeded").into()));
            if matches!(step.action, Action::Plugin(_)) {
                return plugin::answered(stage, run, step, value);
            }
            if matches!(step.action, Action::Script(_)) {
                return effects::settle(stage, run, step, value);
            }
            // It was performed: an answer that is too large to keep does not make it a failure.
            let fits = value.weight() <= limits::RESULT_BYTES;
            let value = if fits { value } else { Value::from([("too_large", true.into())]) };
            effects::settle(stage, run, step, value)
        }
        Outcome::Failed(cause) => finish::fail_step_and_go_on(stage, run, step, cause),
        // However many attempts it had: what may have happened is not called a failure.
        Outcome::Uncertain(why) if holds_uncertain(stage, &run, step) => {
            trace(stage, &mut run, Trace::Held(attempt, why));
            effects::set_state(&mut run, EffectState::Held);
            effects::mark_uncertain(&mut run);
            stage.put(run);
            Ok(())
        }
        Outcome::Retry { why, .. } | Outcome::Uncertain(why) if attempt >= step.retry.attempts => {
            let message = format!("attempt {attempt} of {} failed: {why}", step.retry.attempts);
            if uncertain {
                effects::mark_uncertain(&mut run);
            }
            finish::fail_step_and_go_on(stage, run, step, Cause::new(why.code, message))
        }
        Outcome::Retry { after, why } => {
            // What the receiver asks for is the least: `Retry-After: 0` must not burn all attempts
            // at once.
            let wait = backoff(step.retry, attempt, key.0.short())
                .max(after.unwrap_or(Span::ZERO).min(RETRY_AFTER_MAX));
            let until = stage.now + wait;
            trace(stage, &mut run, Trace::Retrying(attempt, why, until));
            effects::set_state(&mut run, EffectState::Backoff { until });
            stage.put(run);
            Ok(())
        }
        Outcome::Uncertain(why) => {
            let until = stage.now + backoff(step.retry, attempt, key.0.short());
            trace(stage, &mut run, Trace::Repeated(attempt, why));
            effects::set_state(&mut run, EffectState::Backoff { until });
            effects::mark_uncertain(&mut run);
            stage.put(run);
            Ok(())
        }
    }
}

/// Doubles from `initial` to `max_wait`, a tenth of it spread by the effect's key, so that a
/// thousand effects that failed together do not come back together.
fn backoff(retry: Retry, attempt: u16, spread: u64) -> Span {
    let doublings = u32::from(attempt.saturating_sub(1)).min(30);
    let wait = retry.initial.times(1 << doublings).min(retry.max_wait);
    let tenth = wait.as_micros() / 10;
    let share = if tenth > 0 { (spread % tenth.unsigned_abs()) as i64 } else { 0 };
    Span::from_micros(wait.as_micros() - share)
}

/// Whether an attempt with unknown outcome waits for a person: as the step says, else its purpose. A
/// script has performed nothing, so calling it again does no harm.
fn holds_uncertain(stage: &Stage<'_>, run: &Run, step: &Step) -> bool {
    if run.effect().is_some_and(|effect| effect.action == ActionKind::Script) {
        return false;
    }
    step.hold_uncertain.unwrap_or_else(|| {
        run.effect()
            .and_then(|effect| effect.params.get("purpose"))
            .and_then(|name| stage.rules.purposes.get(name.as_text()?))
            .is_some_and(|purpose| purpose.hold_uncertain)
    })
}

/// The daemon started and this attempt of a run has no outcome: it was stopped in between. One that
/// the run has begun since then is another.
pub(super) fn recover(
    stage: &mut Stage<'_>,
    no: RunNo,
    found: (EffectKey, u16),
) -> Result<(), ReadError> {
    let Some(run) = stage.take(no)? else { return Ok(()) };
    if !is_under_way(&run, found) {
        stage.put_unchanged(run);
        return Ok(());
    }
    let Some(mut cursor) = Cursor::new(stage, run)? else { return Ok(()) };
    let workflow = cursor.workflow.clone();
    let Some(step) = workflow.steps.get(cursor.run.pc as usize) else {
        stage.put(cursor.run);
        return Ok(());
    };
    let Wait::Effect(effect) = &cursor.run.wait else {
        stage.put(cursor.run);
        return Ok(());
    };
    let attempt = effect.attempts;
    let why = Cause::new("restart", "the daemon stopped while it was being performed");
    effects::mark_uncertain(&mut cursor.run);
    if holds_uncertain(stage, &cursor.run, step) {
        trace(stage, &mut cursor.run, Trace::Held(attempt, why));
        effects::set_state(&mut cursor.run, EffectState::Held);
        stage.put(cursor.run);
        return Ok(());
    }
    trace(stage, &mut cursor.run, Trace::Repeated(attempt, why));
    let gate = match &cursor.run.wait {
        Wait::Effect(effect) => gate::pass(stage, effect),
        _ => {
            stage.put(cursor.run);
            return Ok(());
        }
    };
    match gate {
        Ok(Gate::Open(params)) => {
            effects::release(stage, &cursor, step, params);
            stage.put(cursor.run);
            Ok(())
        }
        Ok(Gate::Hold(held)) => match effects::hold(stage, &mut cursor.run, held) {
            Ok(()) => {
                stage.put(cursor.run);
                Ok(())
            }
            Err(Fault::Read(error)) => Err(error),
            Err(Fault::Cause(cause)) => finish::fail_step_and_go_on(stage, cursor.run, step, cause),
        },
        // It may have been sent already; what is certain is that it is not sent again.
        Ok(Gate::Shut(reason)) => {
            let value = gate::suppressed(stage, &cursor.run, &reason);
            trace(stage, &mut cursor.run, Trace::Suppressed(reason));
            effects::settle(stage, cursor.run, step, value)
        }
        Err(Fault::Read(error)) => Err(error),
        Err(Fault::Cause(cause)) => finish::fail_step_and_go_on(stage, cursor.run, step, cause),
    }
}
