//! `debounce`: a run that rests until no more events of its key come, and then begins with the last of
//! them.

use crate::model::{
    Cause, Code, Duration, Instant, ReadError, Run, RunNo, Span, Status, Task, Trace, Value, Wait,
    Window, WindowKey,
};
use crate::rules::Workflow;

use super::advance::{locate, trace};
use super::finish::{self, Ending};
use super::stage::Stage;
use super::start::{
    Considered, Entry, Fault, Seed, Turn, arm_exits, begin as make, expiry, is_full, pin,
    takes_slot, turn, with_itself,
};
use super::time;
use super::watch::{REST, window_key};

/// How much longer than its run a window of a resting key is kept: a run that a person ended leaves it
/// behind.
const LEFT_OVER: Span = Span::from_secs(3_600);

fn remember(
    stage: &mut Stage<'_>,
    key: WindowKey,
    run: RunNo,
    until: Instant,
) -> Result<(), Fault> {
    let window = Window {
        due: Some(until + LEFT_OVER),
        last: Value::Int(run.0 as i64),
        ..Window::default()
    };
    Ok(stage.put_window(key, Some(window))?)
}

fn rested(no: RunNo, until: Instant) -> Considered {
    let text = format!("run {no} begins at {until} unless another of its key comes");
    (Code::Rested, Some(text.into()), Some(no))
}

/// Makes a run that rests.
pub(super) fn begin(
    stage: &mut Stage<'_>,
    seed: Seed<'_>,
    debounce: Duration,
) -> Result<Considered, Fault> {
    let until = time::end(stage, debounce, seed.workflow.hours.as_deref())?;
    let key = window_key(&seed.workflow.name, REST, seed.key.as_deref());
    let no = make(stage, seed, Entry::Rest(until))?;
    remember(stage, key, no, until)?;
    Ok(rested(no, until))
}

/// A run of this key rests already: it takes the event over, and rests anew. `None` if none does.
pub(super) fn begin_anew(
    stage: &mut Stage<'_>,
    seed: &Seed<'_>,
) -> Result<Option<Considered>, Fault> {
    let Some(debounce) = seed.workflow.debounce else { return Ok(None) };
    let key = window_key(&seed.workflow.name, REST, seed.key.as_deref());
    let known = stage.window(&key)?.map(|window| window.last);
    let Some(Value::Int(no)) = known else { return Ok(None) };
    let no = RunNo(no as u64);
    let until = time::end(stage, debounce, seed.workflow.hours.as_deref())?;
    let expires = expiry(stage, seed.workflow)?;
    let Some(mut run) = stage.take(no)? else { return Ok(None) };
    if !run.status.is_alive() || !matches!(run.wait, Wait::Rest(_)) {
        stage.put_unchanged(run);
        return Ok(None);
    }
    // It has done nothing yet, so nobody knows it by what it was.
    run.hash = seed.hash;
    run.event = seed.event.no;
    run.bundle = seed.bundle.id;
    run.subject.clone_from(&seed.event.subject);
    run.vars.clone_from(&seed.vars);
    run.depth = seed.depth;
    run.lineage = with_itself(seed.lineage.clone(), &seed.workflow.name);
    run.look_back = seed.look_back;
    run.expires = expires;
    run.wait = Wait::Rest(until);
    trace(stage, &mut run, Trace::Began(seed.event.no));
    if let Err(fault) = arm_exits(stage, seed.workflow, &mut run, seed.event) {
        stage.put(run);
        return Err(fault);
    }
    pin(stage, seed.bundle)?;
    stage.put(run);
    remember(stage, key, no, until)?;
    Ok(Some(rested(no, until)))
}

/// Its events have come to rest: the run begins, or waits for its turn.
pub(super) fn over(stage: &mut Stage<'_>, mut run: Run) -> Result<(), ReadError> {
    stage.put_window(window_key(&run.workflow, REST, run.key.as_deref()), None)?;
    let Some((_, pinned)) = locate(stage, &run) else {
        // Advancing says what is wrong with its version.
        (run.status, run.wait) = (Status::Active, Wait::Ready);
        stage.push(Task::Advance { run: run.no });
        stage.put(run);
        return Ok(());
    };
    // The version in force decides, as it does when a place is free again: a run that waited by another
    // one's `max` would wait for nobody. What the rules no longer have just drains.
    let live = stage.rules.workflows.get(&run.workflow).map(|bundle| bundle.main.clone());
    let Some(workflow) = live else {
        enter(stage, run, &pinned, true);
        return Ok(());
    };
    let goes = match turn(stage, &workflow, run.key.as_deref())? {
        Turn::Now => true,
        Turn::Wait => false,
        Turn::Busy(holder) => {
            let message = format!("run {holder} of the same key is alive");
            let cause = Cause::new("busy", message);
            return finish::close(
                stage,
                run,
                Ending { status: Status::Cancelled, cause, result: None },
            );
        }
        Turn::Replace(holders) => {
            let cause = Cause::new("replaced", format!("run {} took its place", run.no));
            finish::replace(stage, holders, cause)?;
            !is_full(stage, &workflow)?
        }
    };
    enter(stage, run, &workflow, goes);
    Ok(())
}

fn enter(stage: &mut Stage<'_>, mut run: Run, workflow: &Workflow, goes: bool) {
    run.slot = takes_slot(workflow);
    if goes {
        (run.status, run.wait) = (Status::Active, Wait::Ready);
        stage.push(Task::Advance { run: run.no });
    } else {
        run.wait = Wait::Slot;
        trace(stage, &mut run, Trace::Queued);
    }
    stage.put(run);
}
