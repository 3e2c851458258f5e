//! The end of steps and runs: failures go to their handlers, callers get their results, the next in
//! the queue gets its turn.

use std::collections::BTreeSet;

use crate::model::{
    Cause, Digest, Effect, Failing, Parent, ReadError, Run, RunNo, Status, Task, Text, Trace,
    Value, Wait, limits,
};
use crate::rules::{Mode, Step};

use super::advance::{keep, locate, trace};
use super::alert;
use super::decide;
use super::fan;
use super::ladder;
use super::left;
use super::stage::Stage;

/// How a run ends.
pub(super) struct Ending {
    pub(super) status: Status,
    pub(super) cause: Cause,
    /// What its caller gets; by default what it remembers.
    pub(super) result: Option<Value>,
}

impl Ending {
    pub(super) fn done(why: &str) -> Self {
        Self { status: Status::Done, cause: Cause::new("done", why), result: None }
    }

    pub(super) fn failed(cause: Cause) -> Self {
        Self { status: Status::Failed, cause, result: None }
    }
}

/// Ends the runs whose place another one takes.
pub(super) fn replace(
    stage: &mut Stage<'_>,
    holders: Vec<RunNo>,
    cause: Cause,
) -> Result<(), ReadError> {
    holders.into_iter().try_for_each(|no| end(stage, no, Status::Cancelled, cause.clone()))
}

/// Ends a living run.
pub(super) fn end(
    stage: &mut Stage<'_>,
    no: RunNo,
    status: Status,
    cause: Cause,
) -> Result<(), ReadError> {
    let Some(run) = stage.take(no)? else { return Ok(()) };
    if !run.status.is_alive() {
        stage.put_unchanged(run);
        return Ok(());
    }
    close(stage, run, Ending { status, cause, result: None })
}

/// Ends a run taken from the stage, with everything that follows from it. One that fails does first what
/// its workflow says for that.
pub(super) fn close(stage: &mut Stage<'_>, mut run: Run, ending: Ending) -> Result<(), ReadError> {
    let Ending { mut status, mut cause, result } = ending;
    if status == Status::Failed {
        left::keep(stage, &run);
    }
    if status == Status::Failed
        && let Some(pc) = handler(stage, &run)
    {
        return handle(stage, run, pc, cause);
    }
    decide::withdraw(stage, &run)?;
    ladder::forgiven(stage, &run)?;
    let awaited = leave(stage, &run);
    run.uncertain = run.effect().is_some_and(Effect::may_have_happened);
    if let Some(failing) = run.failing.take() {
        // However its handling went, it failed of what it failed of, there; a person may retry it.
        run.pc = failing.pc;
        run.uncertain = failing.uncertain;
        if status != Status::Cancelled {
            (status, cause) = (Status::Failed, failing.cause);
        }
    }
    trace(stage, &mut run, Trace::Ended(status, cause.message.clone()));
    run.status = status;
    run.ended = Some(stage.now);
    run.wait = Wait::Over;
    run.arms.clear();
    run.reason = Some(cause.clone());
    announce(stage, &run);
    let (no, parent) = (run.no, run.parent);
    let branch = run.branch.as_ref().map(|branch| (branch.index, run.hash));
    let result = result.unwrap_or_else(|| {
        Value::from([
            ("run", Value::text(run.id().to_string())),
            ("vars", Value::Map(run.vars.clone())),
            ("steps", Value::Map(run.steps.clone())),
        ])
    });
    stage.put(run);
    if let Some(child) = awaited {
        end(stage, child, Status::Cancelled, Cause::new("caller", "its caller ended"))?;
    }
    match parent {
        Some(parent) => returned(stage, (no, branch), &parent, (status, cause, result)),
        None => Ok(()),
    }
}

/// Children that a run waits for: many are given up, and the one is told.
fn leave(stage: &mut Stage<'_>, run: &Run) -> Option<RunNo> {
    match &run.wait {
        Wait::Child(child, _) => Some(*child),
        Wait::Join(join) => {
            fan::give_up(stage, run.no, join);
            None
        }
        _ => None,
    }
}

/// Where a run goes on that fails now: at the `on_failure` of its workflow, once. One of many beside each
/// other has none of its own: its caller fails in turn.
fn handler(stage: &Stage<'_>, run: &Run) -> Option<u32> {
    let own = run.failing.is_none() && run.branch.is_none() && run.ladder.is_none();
    locate(stage, run).filter(|_| own).and_then(|(_, workflow)| workflow.on_failure)
}

fn handle(stage: &mut Stage<'_>, mut run: Run, pc: u32, cause: Cause) -> Result<(), ReadError> {
    decide::withdraw(stage, &run)?;
    let awaited = leave(stage, &run);
    trace(stage, &mut run, Trace::Failed(cause.clone(), "on_failure".into()));
    let uncertain = run.effect().is_some_and(Effect::may_have_happened);
    run.failing = Some(Failing { cause: cause.clone(), pc: run.pc, uncertain });
    run.error = Some(cause);
    run.pc = pc;
    // One that waited for a place has none, and needs none for this.
    run.slot &= run.status != Status::Queued;
    run.status = Status::Active;
    run.wait = Wait::Ready;
    run.arms.clear();
    if run.expires <= stage.now {
        run.expires = stage.now + limits::FAILURE_LIFETIME;
    }
    stage.push(Task::Advance { run: run.no });
    stage.put(run);
    match awaited {
        Some(child) => {
            end(stage, child, Status::Cancelled, Cause::new("caller", "its caller failed"))
        }
        None => Ok(()),
    }
}

/// A failure is an event, and a free place is given away.
fn announce(stage: &mut Stage<'_>, run: &Run) {
    // One of many beside each other is told of by its caller.
    if let (Status::Failed, Some(cause), None) = (run.status, &run.reason, &run.branch) {
        let data = Value::from([("error", cause.to_value())]);
        alert::raise(stage, run, "run.failed", data);
    }
    if run.slot {
        stage.push(Task::Promote { workflow: run.workflow.clone(), key: run.key.clone() });
    }
}

/// A run was put aside as broken: what follows from its end is done now.
pub(super) fn closed(stage: &mut Stage<'_>, no: RunNo) -> Result<(), ReadError> {
    let Some(run) = stage.run(no)?.filter(|run| !run.status.is_alive()) else { return Ok(()) };
    announce(stage, &run);
    stage.push_later(Task::Orphans { run: no });
    for child in stage.view().children(no) {
        let awaited = stage.run(child)?.is_some_and(|child| {
            run.trace.iter().rev().find_map(|entry| match entry.what {
                Trace::Called(called) => Some(called),
                _ => None,
            }) == Some(child.no)
        });
        if awaited {
            end(stage, child, Status::Cancelled, Cause::new("caller", "its caller ended"))?;
        }
    }
    match (&run.parent, &run.reason) {
        (Some(parent), Some(cause)) => {
            let branch = run.branch.as_ref().map(|branch| (branch.index, run.hash));
            returned(stage, (no, branch), parent, (run.status, cause.clone(), Value::Null))
        }
        _ => Ok(()),
    }
}

/// A child run ended: its caller goes on.
fn returned(
    stage: &mut Stage<'_>,
    (child, branch): (RunNo, Option<(u32, Digest)>),
    parent: &Parent,
    (status, cause, result): (Status, Cause, Value),
) -> Result<(), ReadError> {
    let Some(mut run) = stage.take(parent.run)? else { return Ok(()) };
    if let Some(branch) = branch {
        return fan::ended(stage, run, branch, (status, cause));
    }
    let waits = matches!(run.wait, Wait::Child(awaited, _) if awaited == child);
    if run.status != Status::Active || !waits {
        stage.put_unchanged(run);
        return Ok(());
    }
    trace(stage, &mut run, Trace::Returned(child, status));
    let located = locate(stage, &run);
    let step = located.as_ref().and_then(|(_, workflow)| workflow.steps.get(run.pc as usize));
    let Some(step) = step else {
        // Advancing says what is wrong with its version.
        run.wait = Wait::Ready;
        stage.push(Task::Advance { run: run.no });
        stage.put(run);
        return Ok(());
    };
    if status != Status::Done {
        let code = if status == Status::Failed { cause.code } else { "cancelled".into() };
        let message =
            format!("run {child}, which it called, {}: {}", status.as_str(), cause.message);
        return fail_step_and_go_on(stage, run, step, Cause::new(code, message));
    }
    if let Err(cause) = keep(&mut run, step, result) {
        return fail_step_and_go_on(stage, run, step, cause);
    }
    run.pc = step.next;
    run.wait = Wait::Ready;
    stage.push(Task::Advance { run: run.no });
    stage.put(run);
    Ok(())
}

/// A step failed: the run goes on at its handler, or ends. The run, if it goes on.
pub(super) fn fail_step(
    stage: &mut Stage<'_>,
    mut run: Run,
    step: &Step,
    cause: Cause,
) -> Result<Option<Run>, ReadError> {
    let cause = placed(stage, &run, step, cause);
    let Some(target) = step.on_error else {
        trace(stage, &mut run, Trace::Failed(cause.clone(), "the run ends".into()));
        close(stage, run, Ending::failed(cause))?;
        return Ok(None);
    };
    let way = if target == step.next { "the run continues" } else { "on_error" };
    trace(stage, &mut run, Trace::Failed(cause.clone(), way.into()));
    if let Some(id) = &step.id {
        run.steps.insert(id.clone(), Value::Null);
    }
    run.error = Some(cause);
    run.pc = target;
    run.wait = Wait::Ready;
    Ok(Some(run))
}

/// What went wrong inside of a plugin, with the line of the rule that called it.
fn placed(stage: &Stage<'_>, run: &Run, step: &Step, cause: Cause) -> Cause {
    if !matches!(&*cause.code, "plugin" | "permission") {
        return cause;
    }
    let Some((bundle, _)) = locate(stage, run) else { return cause };
    let place = format!("{}:{}", bundle.file_of(&run.workflow), step.line);
    Cause::new(cause.code, format!("{} (called at {place})", cause.message))
}

/// [`fail_step`] for a run that is not being advanced at the moment.
pub(super) fn fail_step_and_go_on(
    stage: &mut Stage<'_>,
    run: Run,
    step: &Step,
    cause: Cause,
) -> Result<(), ReadError> {
    if let Some(run) = fail_step(stage, run, step, cause)? {
        stage.push(Task::Advance { run: run.no });
        stage.put(run);
    }
    Ok(())
}

/// Runs looked at in one task.
const QUEUED_PER_TASK: usize = 64;

/// Other rules may give places to runs for which nobody has to end: where `max` is gone, or the workflow.
pub(super) fn look_at_queues(stage: &mut Stage<'_>, after: RunNo) -> Result<(), ReadError> {
    let page = stage.view().queued(after, QUEUED_PER_TASK);
    if let (true, Some(last)) = (page.len() == QUEUED_PER_TASK, page.last()) {
        stage.push_later(Task::Queues { after: *last });
    }
    let mut seen = BTreeSet::new();
    for no in page {
        let Some(run) = stage.run(no)?.filter(|run| run.slot) else { continue };
        if seen.insert((run.workflow.clone(), run.key.clone())) {
            stage.push(Task::Promote { workflow: run.workflow.clone(), key: run.key.clone() });
        }
    }
    Ok(())
}

/// Gives free places to the runs that wait for one, oldest first.
pub(super) fn promote(
    stage: &mut Stage<'_>,
    workflow: &str,
    key: Option<&str>,
) -> Result<(), ReadError> {
    // The version in force decides; what it no longer knows just drains.
    let live = stage.rules.workflows.get(workflow).map(|bundle| bundle.main.clone());
    let (mode, max) = live.map_or((Mode::Queued, None), |live| (live.mode, live.max));
    // Without `max` only the runs of the key matter. There may be some in the queue even where
    // the mode in force has none: they were queued before the rules changed.
    let key = if max.is_some() { None } else { key };
    let alive = stage.holders(workflow, key, usize::MAX)?;
    let mut active = alive.iter().filter(|run| run.status == Status::Active).count();
    let mut busy: BTreeSet<Option<Text>> = alive
        .iter()
        .filter(|run| run.status == Status::Active)
        .map(|run| run.key.clone())
        .collect();
    let mut promoted = 0;
    for run in alive.iter().filter(|run| run.status == Status::Queued) {
        if max.is_some_and(|max| active >= max as usize) {
            return Ok(());
        }
        if mode == Mode::Queued && run.key.is_some() && busy.contains(&run.key) {
            continue;
        }
        if promoted == limits::TASKS_PER_INPUT / 2 {
            stage.push(Task::Promote { workflow: workflow.into(), key: key.map(Text::from) });
            return Ok(());
        }
        let Some(mut next) = stage.take(run.no)? else { continue };
        next.status = Status::Active;
        next.wait = Wait::Ready;
        stage.push(Task::Advance { run: next.no });
        busy.insert(next.key.clone());
        stage.put(next);
        active += 1;
        promoted += 1;
    }
    Ok(())
}
