//! What becomes of an input that the engine could not decide: a panic, or a damaged row.
//!
//! It is put aside and never tried again by itself: a run is failed as `broken` and waits for a
//! person, an event is refused, an item of the inbox is dropped. Nothing loops.

use std::sync::Arc;

use crate::model::{
    Cause, Decision, Effect, Input, Operator, ReadError, Refusal, Reply, RunNo, Status, Task,
    Trace, TraceEntry, Wait, Write, limits,
};

use super::World;

/// The decision that puts `input` aside. `why` is what went wrong.
///
/// # Errors
/// [`ReadError`] when the store fails; a run whose row is damaged is left as it is.
pub fn quarantine(world: &World<'_>, input: &Input, why: &str) -> Result<Decision, ReadError> {
    let mut decision = Decision::default();
    if let Input::Window(key) = input {
        // It would fall due again at once.
        let due = world.view.window(key).ok().flatten().and_then(|window| window.due);
        decision.writes.push(Write::Window(key.clone(), due, None));
    }
    let run = match input {
        Input::Event(_)
        | Input::Rules
        | Input::Sweep
        | Input::Key(_)
        | Input::Window(_)
        | Input::Polled(_) => {
            decision.reply = Some(Reply::Refused(Refusal::Broken(why.to_owned())));
            None
        }
        Input::Operator(operator) => {
            decision.reply = Some(Reply::Refused(Refusal::Broken(why.to_owned())));
            match operator {
                // A person may still cancel what cannot be decided.
                Operator::Cancel { run, .. } => Some(*run),
                _ => None,
            }
        }
        Input::Timer(run) | Input::Start(run) | Input::Recover(run, ..) => Some(*run),
        Input::Outcome(settled) => Some(settled.run),
        Input::Inbox(no, task) => {
            decision.writes.push(Write::InboxDone(*no));
            match task {
                Task::Advance { run } | Task::Fan { run } => Some(*run),
                _ => None,
            }
        }
    };
    if let Some(failed) = run.map(|no| fail(world, no, why)).transpose()?.flatten() {
        // Its caller and the next in its queue go on; that is decided by itself, so that it can
        // be put aside as well if it is what went wrong.
        let Write::Run(old, run) = &failed else { return Ok(decision) };
        if let Some(Wait::Join(join)) = old.as_ref().map(|old| &old.wait) {
            let pieces = join.of / limits::ITEMS_PER_PIECE as u32;
            let gone = (0..=pieces).map(|piece| Write::ItemsGone(run.no, piece));
            decision.writes.extend(gone);
        }
        let task = Task::Closed { run: run.no };
        decision.writes.push(failed);
        decision.writes.push(Write::Inbox(world.view.next_inbox(), task));
    }
    Ok(decision)
}

fn fail(world: &World<'_>, no: RunNo, why: &str) -> Result<Option<Write>, ReadError> {
    let old = match world.view.run(no) {
        Ok(Some(run)) if run.status.is_alive() => run,
        Ok(_) | Err(ReadError::Corrupt(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut run = (*old).clone();
    run.status = Status::Failed;
    run.reason = Some(Cause::new("broken", why));
    run.ended = Some(world.now);
    run.uncertain = run.effect().is_some_and(Effect::may_have_happened);
    run.wait = Wait::Over;
    run.arms.clear();
    let what = Trace::Ended(Status::Failed, why.into());
    run.trace.push(TraceEntry { at: world.now, pc: run.pc, what });
    Ok(Some(Write::Run(Some(old), Arc::new(run))))
}
