//! What a run waits for is there, and comes no earlier than it should.

use std::collections::BTreeMap;
use std::sync::Arc;

use adjutant::model::{
    ArmRole, Effect, EffectState, Instant, Join, Origin, Run, RunNo, Status, Trace, Wait,
};

use crate::watch::require;

type Runs = BTreeMap<RunNo, Arc<Run>>;

/// A living run waits for something that fits its status and exists.
pub(crate) fn is_whole(runs: &Runs, run: &Run) -> Result<(), String> {
    let no = run.no;
    let fits = match run.wait {
        Wait::Slot | Wait::Rest(_) => run.status == Status::Queued,
        Wait::Over => false,
        _ => run.status == Status::Active,
    };
    require(fits, || format!("run {no} is {:?} and waits for {:?}", run.status, run.wait))?;
    let listens = run.arms.iter().any(|arm| arm.role == ArmRole::Wait);
    let waits = matches!(run.wait, Wait::Event(_));
    require(listens == waits, || format!("run {no} listens for nothing it waits for"))?;
    match &run.wait {
        Wait::Child(child, _) => {
            let child = runs.get(child).filter(|child| child.status.is_alive());
            let own = child.and_then(|child| child.parent.as_ref()).is_some_and(|p| p.run == no);
            require(own, || format!("run {no} waits for a child that is over: {:?}", run.wait))
        }
        Wait::Join(join) => joins(runs, run, join),
        _ => Ok(()),
    }
}

fn joins(runs: &Runs, run: &Run, join: &Join) -> Result<(), String> {
    let children = runs.values().filter(|child| child.status.is_alive() && is_awaited(run, child));
    let (alive, no) = (children.count() as u32, run.no);
    require(alive == join.running, || {
        format!("run {no} waits for {} children, of which {alive} live", join.running)
    })?;
    let left = join.begun < join.total;
    require(join.begun <= join.total && (join.running > 0 || left), || {
        format!("run {no} waits for children that are all over")
    })?;
    require(join.running > 0 || join.held || join.fanning, || {
        format!("run {no} waits for children that nobody begins")
    })
}

/// Whether a child is one of those that its caller waits for now.
pub(crate) fn is_awaited(caller: &Run, child: &Run) -> bool {
    let own = child.parent.as_ref().is_some_and(|parent| parent.run == caller.no);
    let Some(branch) = child.branch.as_ref().filter(|_| own) else { return false };
    let origin = Origin::Branch(caller.hash, caller.pc, caller.generation, branch.index);
    matches!(caller.wait, Wait::Join(_)) && origin.hash(&caller.workflow) == child.hash
}

/// Nothing that waited for an instant went on before it.
pub(crate) fn is_in_time(
    old: &Run,
    new: &Run,
    (now, retried): (Instant, bool),
) -> Result<(), String> {
    let early =
        |until: Instant, what: &str| Err(format!("run {} {what} before {until}, at {now}", new.no));
    // One that failed of it before has a little longer, for the handling of that.
    let ends = old.status.is_alive() && !new.status.is_alive() && old.failing.is_none();
    let over = new.reason.as_ref().filter(|_| ends && !retried);
    let aged = over.is_some_and(|cause| cause.message.starts_with("its lifetime"));
    if aged && old.expires > now {
        return early(old.expires, "ended");
    }
    let failed = new.failing.is_some() && old.failing.is_none();
    if retried || failed || !new.status.is_alive() {
        return Ok(());
    }
    match &old.wait {
        Wait::Until(until) if *until > now && new.pc != old.pc && !is_decided(old, new) => {
            early(*until, "went on")
        }
        Wait::Rest(until) if *until > now && !matches!(new.wait, Wait::Rest(_)) => {
            early(*until, "began")
        }
        Wait::Event(until) | Wait::Child(_, Some(until)) if *until > now => {
            if is_timed_out(old, new) { early(*until, "gave up") } else { Ok(()) }
        }
        Wait::Join(join) => match join.until {
            Some(until) if until > now && is_timed_out(old, new) => early(until, "gave up"),
            _ => Ok(()),
        },
        Wait::Effect(effect) => match effect.state {
            EffectState::Backoff { until } if until > now && is_tried(effect, new) => {
                early(until, "tried again")
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn is_tried(effect: &Effect, new: &Run) -> bool {
    new.effect().is_some_and(|tried| tried.key == effect.key && tried.attempts > effect.attempts)
}

/// Whether a person has decided since what it waited for.
fn is_decided(old: &Run, new: &Run) -> bool {
    let known = (old.spilled as usize + old.trace.len()).saturating_sub(new.spilled as usize);
    new.trace.iter().skip(known).any(|entry| match &entry.what {
        Trace::Operator(text) => text.contains(" decided: "),
        _ => false,
    })
}

/// Whether the first thing that happened since is that time was up.
fn is_timed_out(old: &Run, new: &Run) -> bool {
    let known = old.spilled as usize + old.trace.len();
    let next = known.checked_sub(new.spilled as usize).and_then(|place| new.trace.get(place));
    next.is_some_and(|entry| entry.what == Trace::TimedOut)
}
