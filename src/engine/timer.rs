//! Something fell due in a run: a delay, the end of a wait, the next attempt, the end of its life.

use crate::model::{
    ArmRole, Cause, EffectState, ReadError, Run, RunNo, Status, Task, Trace, Value, Wait,
};
use crate::rules::Action;

use super::advance::{Cursor, keep, locate, trace};
use super::effects;
use super::finish::{self, Ending};
use super::stage::Stage;
use super::{approve, fan, ladder, rest, waits};

/// Does what is due in a run. A timer that came too early, or twice, does nothing.
pub(super) fn due(stage: &mut Stage<'_>, no: RunNo) -> Result<(), ReadError> {
    let Some(run) = stage.take(no)? else { return Ok(()) };
    if run.due().is_none_or(|due| due > stage.now) {
        stage.put_unchanged(run);
        return Ok(());
    }
    if run.expires <= stage.now {
        let message = format!("its lifetime was over at {}", run.expires);
        return finish::close(stage, run, Ending::failed(Cause::new("lifetime", message)));
    }
    match run.wait {
        Wait::Until(_) => delay_over(stage, run),
        Wait::Event(_) => wait_over(stage, run),
        Wait::Child(child, _) => child_late(stage, run, child),
        Wait::Join(_) => join_late(stage, run),
        Wait::Effect(_) => try_again(stage, run),
        Wait::Rest(_) => rest::over(stage, run),
        Wait::Ready | Wait::Slot | Wait::Over => {
            stage.put_unchanged(run);
            Ok(())
        }
    }
}

fn delay_over(stage: &mut Stage<'_>, run: Run) -> Result<(), ReadError> {
    let Some((_, workflow)) = locate(stage, &run) else {
        return go_on(stage, run);
    };
    let Some(step) = workflow.steps.get(run.pc as usize) else {
        return go_on(stage, run);
    };
    match &step.action {
        Action::Level { .. } => ladder::level_due(stage, run, step),
        Action::Approve(approve) => approve::due(stage, run, step, approve),
        _ => effects::settle(stage, run, step, Value::Null),
    }
}

/// Lets a run go on so that advancing it says what is wrong.
fn go_on(stage: &mut Stage<'_>, mut run: Run) -> Result<(), ReadError> {
    run.wait = Wait::Ready;
    stage.push(Task::Advance { run: run.no });
    stage.put(run);
    Ok(())
}

fn wait_over(stage: &mut Stage<'_>, mut run: Run) -> Result<(), ReadError> {
    trace(stage, &mut run, Trace::TimedOut);
    run.arms.retain(|arm| arm.role != ArmRole::Wait);
    let Some((_, workflow)) = locate(stage, &run) else {
        return go_on(stage, run);
    };
    let Some(step) = workflow.steps.get(run.pc as usize) else {
        return go_on(stage, run);
    };
    if let Err(cause) = keep(&mut run, step, waits::timed_out()) {
        return finish::fail_step_and_go_on(stage, run, step, cause);
    }
    run.pc = match &step.action {
        Action::WaitFor { on_timeout: Some(target), .. } => *target,
        _ => step.next,
    };
    go_on(stage, run)
}

fn child_late(stage: &mut Stage<'_>, mut run: Run, child: RunNo) -> Result<(), ReadError> {
    trace(stage, &mut run, Trace::TimedOut);
    // The child is not waited for any more, so that its end does not come back here.
    run.wait = Wait::Ready;
    let located = locate(stage, &run);
    let step = located.as_ref().and_then(|(_, workflow)| workflow.steps.get(run.pc as usize));
    let Some(step) = step else { return go_on(stage, run) };
    let message = format!("run {child}, which it called, did not end in time");
    finish::fail_step_and_go_on(stage, run, step, Cause::new("timeout", message))?;
    finish::end(stage, child, Status::Cancelled, Cause::new("timeout", "its caller's time was up"))
}

fn join_late(stage: &mut Stage<'_>, mut run: Run) -> Result<(), ReadError> {
    trace(stage, &mut run, Trace::TimedOut);
    if let Wait::Join(join) = std::mem::replace(&mut run.wait, Wait::Ready) {
        fan::give_up(stage, run.no, &join);
    }
    let located = locate(stage, &run);
    let step = located.as_ref().and_then(|(_, workflow)| workflow.steps.get(run.pc as usize));
    let Some(step) = step else { return go_on(stage, run) };
    let cause = Cause::new("timeout", "not all of them were over in time");
    finish::fail_step_and_go_on(stage, run, step, cause)
}

fn try_again(stage: &mut Stage<'_>, run: Run) -> Result<(), ReadError> {
    let Some(mut cursor) = Cursor::new(stage, run)? else { return Ok(()) };
    effects::set_state(&mut cursor.run, EffectState::Pending);
    effects::start(stage, cursor, effects::Turn::Own)
}
