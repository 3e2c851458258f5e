//! What people ask for: cancel, retry, acknowledge, resolve, write a record, move a run.

use crate::model::{
    Cause, EffectState, Name, Operator, ReadError, Refusal, Reply, Run, RunNo, Status, Task, Text,
    Trace, Value, Wait,
};
use crate::rules::Action;

use super::advance::{Cursor, trace};
use super::approval;
use super::decide;
use super::effects;
use super::fan;
use super::finish::{self, Ending};
use super::gate;
use super::ladder;
use super::left;
use super::migrate;
use super::plugin;
use super::records;
use super::stage::Stage;
use super::start::{Fault, arm_exits};
use super::time;
use super::watch;

/// Does what a person asks for, or says why not.
pub(super) fn act(stage: &mut Stage<'_>, operator: Operator) -> Result<Reply, ReadError> {
    let no = match &operator {
        Operator::Reset { workflow, by } => return reset(stage, workflow, by),
        Operator::Write { address, fields, by } => {
            return records::write(stage, address, fields, by);
        }
        Operator::Decide { approval, outcome, comment, asked_only, by } => {
            let (comment, asked_only) = (comment.as_deref(), *asked_only);
            return decide::decide(
                stage,
                &decide::Choice { approval, outcome, comment, by, asked_only },
            );
        }
        Operator::Delegate { approval, to, by } => {
            return decide::delegate(stage, approval, (by, to));
        }
        Operator::Unsubscribe { purpose, address, run } => {
            return gate::unsubscribe(stage, purpose, address, *run);
        }
        Operator::Cancel { run, .. }
        | Operator::Retry { run, .. }
        | Operator::Acknowledge { run, .. }
        | Operator::Release { run, .. }
        | Operator::Migrate { run, .. }
        | Operator::Resolve { run, .. } => *run,
    };
    let Some(run) = stage.take(no)? else {
        return Ok(Reply::Refused(Refusal::NotFound(format!("run {no}"))));
    };
    match operator {
        // Done above: they are about no run.
        Operator::Reset { .. }
        | Operator::Write { .. }
        | Operator::Decide { .. }
        | Operator::Delegate { .. }
        | Operator::Unsubscribe { .. } => Ok(done(no, "done")),
        Operator::Cancel { reason, by, .. } => cancel(stage, run, reason, &by),
        Operator::Retry { assume_done, by, .. } => retry(stage, run, assume_done, &by),
        Operator::Migrate { dry_run, by, .. } => migrate::migrate(stage, run, dry_run, &by),
        Operator::Release { by, .. } => {
            let (id, status) = (run.id(), run.status.as_str());
            let approval = approval::id_of(&run);
            if fan::release(stage, run, &by) {
                decide::released(stage, &approval, &by)?;
                return Ok(done(no, "released"));
            }
            Ok(Reply::Refused(Refusal::State(format!(
                "run {id} is {status}: only a `foreach` with more items than its `limit` is released"
            ))))
        }
        Operator::Acknowledge { by, .. } => match escalation(stage, run)? {
            Ok(run) => {
                ladder::acknowledge(stage, run, &by)?;
                Ok(done(no, "acknowledged"))
            }
            Err(refusal) => Ok(Reply::Refused(refusal)),
        },
        Operator::Resolve { by, .. } => match escalation(stage, run)? {
            Ok(run) => {
                ladder::resolved(stage, run, None, Some(&by))?;
                Ok(done(no, "resolved"))
            }
            Err(refusal) => Ok(Reply::Refused(refusal)),
        },
    }
}

/// Lets a workflow start again whose storm breaker has tripped.
fn reset(stage: &mut Stage<'_>, workflow: &Name, by: &Text) -> Result<Reply, ReadError> {
    if watch::reset(stage, workflow)? {
        let value = Value::from([
            ("workflow", Value::Text(workflow.clone())),
            ("status", Value::from("reset")),
            ("by", Value::Text(by.clone())),
        ]);
        return Ok(Reply::Done(value));
    }
    let known = stage.rules.workflows.contains_key(workflow);
    Ok(Reply::Refused(if known {
        Refusal::State(format!("the storm breaker of `{workflow}` has not tripped"))
    } else {
        Refusal::NotFound(format!("workflow `{workflow}`"))
    }))
}

fn done(run: RunNo, what: &str) -> Reply {
    Reply::Done(Value::from([("run", Value::Int(run.0 as i64)), ("status", Value::from(what))]))
}

/// The run, if it is an escalation that is not over; else it is given back with the reason.
fn escalation(stage: &mut Stage<'_>, run: Run) -> Result<Result<Run, Refusal>, ReadError> {
    let refusal = if run.ladder.is_none() {
        Refusal::State(format!("run {} is not an escalation", run.id()))
    } else if run.status.is_alive() {
        return Ok(Ok(run));
    } else {
        Refusal::State(format!("escalation {} is over: it is {}", run.id(), run.status.as_str()))
    };
    stage.put_unchanged(run);
    Ok(Err(refusal))
}

fn cancel(
    stage: &mut Stage<'_>,
    mut run: Run,
    reason: Option<Text>,
    by: &Text,
) -> Result<Reply, ReadError> {
    let no = run.no;
    let why = match reason {
        Some(reason) => format!("cancelled by {by}: {reason}"),
        None => format!("cancelled by {by}"),
    };
    let cause = Cause::new("cancelled", why);
    if run.status.is_alive() {
        finish::close(stage, run, Ending { status: Status::Cancelled, cause, result: None })?;
        return Ok(done(no, "cancelled"));
    }
    if run.status == Status::Failed {
        // A dead letter that nobody will retry.
        trace(stage, &mut run, Trace::Operator(cause.message.clone()));
        run.status = Status::Cancelled;
        run.reason = Some(cause);
        stage.put(run);
        return Ok(done(no, "cancelled"));
    }
    let message = format!("run {} is over: it is {}", run.id(), run.status.as_str());
    stage.put_unchanged(run);
    Ok(Reply::Refused(Refusal::State(message)))
}

/// A failed run goes on from the failed step; a held effect is performed again under its key, or
/// taken as done.
fn retry(
    stage: &mut Stage<'_>,
    mut run: Run,
    assume_done: bool,
    by: &Text,
) -> Result<Reply, ReadError> {
    let no = run.no;
    let held = run.effect().is_some_and(|effect| effect.state == EffectState::Held);
    if run.status != Status::Failed && !(run.status == Status::Active && held) {
        let message = format!(
            "run {} is {}: only a failed run or a held effect can be retried",
            run.id(),
            run.status.as_str()
        );
        stage.put_unchanged(run);
        return Ok(Reply::Refused(Refusal::State(message)));
    }
    if let (Status::Failed, Some(parent), Some(_)) = (run.status, &run.parent, &run.branch) {
        let message = format!(
            "run {} is one of many of run {}: have that one tried again, which does those again that failed",
            run.id(),
            parent.run
        );
        stage.put_unchanged(run);
        return Ok(Reply::Refused(Refusal::State(message)));
    }
    let how = if assume_done { "took it as done" } else { "had it tried again" };
    trace(stage, &mut run, Trace::Operator(format!("{by} {how}").into()));
    let Some(mut cursor) = Cursor::new(stage, run)? else {
        let message = format!("the version of run {no} can no longer be read");
        return Ok(Reply::Refused(Refusal::State(message)));
    };
    let workflow = cursor.workflow.clone();
    let step = workflow.steps.get(cursor.run.pc as usize);
    if held && !assume_done {
        effects::set_state(&mut cursor.run, EffectState::Pending);
        effects::start(stage, cursor, effects::Turn::Own)?;
        return Ok(done(no, "retried"));
    }
    if !held && let Err(fault) = revive(stage, &mut cursor) {
        return match fault {
            Fault::Read(error) => Err(error),
            Fault::Cause(cause) => {
                stage.put_unchanged(cursor.run);
                Ok(Reply::Refused(Refusal::State(cause.message.to_string())))
            }
        };
    }
    if !held && let Some(effect) = left::take(stage, &cursor.run)? {
        cursor.run.wait = Wait::Effect(Box::new(effect));
        if !assume_done {
            effects::start(stage, cursor, effects::Turn::Own)?;
            return Ok(done(no, "retried"));
        }
    }
    match step {
        Some(step) if assume_done && matches!(step.action, Action::Plugin(_)) => {
            plugin::assume(stage, cursor.run, step)?;
        }
        Some(step) if assume_done => {
            let result = match step.action {
                Action::WaitFor { .. } => super::waits::timed_out(),
                _ => Value::from([("assumed", Value::Bool(true))]),
            };
            effects::settle(stage, cursor.run, step, result)?;
        }
        _ => {
            cursor.run.wait = Wait::Ready;
            stage.push(Task::Advance { run: no });
            stage.put(cursor.run);
        }
    }
    Ok(done(no, "retried"))
}

/// A failed run lives again: it listens for its exits and has a new lifetime; what it performs from
/// here has new keys if the old ones failed for certain.
fn revive(stage: &mut Stage<'_>, cursor: &mut Cursor) -> Result<(), Fault> {
    let workflow = cursor.workflow.clone();
    let expires = time::end(stage, workflow.lifetime, workflow.hours.as_deref())?;
    let event = cursor.event.clone();
    arm_exits(stage, &workflow, &mut cursor.run, &event.event)?;
    let run = &mut cursor.run;
    run.status = Status::Active;
    run.reason = None;
    run.ended = None;
    run.expires = expires;
    // An effect that may have been performed is kept with its key. One of before effects were kept is made
    // anew under that key instead, so that the receiver can tell.
    let kept = stage.view().items(run.no, left::LEFT)?.is_some();
    if !std::mem::take(&mut run.uncertain) || kept {
        run.generation = run.generation.saturating_add(1);
    }
    Ok(())
}
