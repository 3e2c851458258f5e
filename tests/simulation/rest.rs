//! What must hold whenever everything that can be done at an instant is done: what is derived in memory is
//! what another process would derive, and whatever is alive waits for something that will come.

use std::fmt::Debug;

use adjutant::model::{
    ArmSubject, EffectState, EventNo, Instant, Pattern, Run, RunNo, Status, Task, View, Wait,
};
use adjutant::rules::{RuleSet, TriggerKind};
use adjutant::store::{State, Unfinished};

use crate::grammar::{KINDS, SUBJECTS};
use crate::outside::Outside;
use crate::waits::is_awaited;
use crate::watch::{Watch, require};

/// More of anything than a simulation makes.
const ALL: usize = 9_999;
/// What effects queue for.
const LANES: [&str; 4] = ["smtp", "https://x.example", "https://y.example", "https://z.example"];

/// What is derived and kept in memory is what another process derives from the same rows.
pub(crate) fn agrees(live: &State, fresh: &(State, Unfinished)) -> Result<(), String> {
    let (fresh, unfinished) = fresh;
    require(unfinished.damaged.is_empty(), || format!("damaged: {:?}", unfinished.damaged))?;
    require(unfinished.inbox.is_empty(), || format!("left over: {:?}", unfinished.inbox))?;
    same("the next event", live.next_event(), fresh.next_event())?;
    same("the next run", live.next_run(), fresh.next_run())?;
    same("the next item", live.next_inbox(), fresh.next_inbox())?;
    same("what is due", live.next_due(), fresh.next_due())?;
    same("effects under way", live.in_flight(), fresh.in_flight())?;
    same("idle versions", live.idle_bundles(), fresh.idle_bundles())?;
    require(live.clock() >= fresh.clock(), || "the clock went back".to_owned())?;
    for lane in LANES {
        same("credit", live.credit(lane), fresh.credit(lane))?;
    }
    by_subject(live, fresh)?;
    by_run(live, fresh)?;
    for no in (1..live.next_event().0).map(EventNo) {
        same("use of an event", live.is_event_used(no), fresh.is_event_used(no))?;
    }
    Ok(())
}

fn same<T: PartialEq + Debug>(what: &str, live: T, fresh: T) -> Result<(), String> {
    require(live == fresh, || format!("{what}: {live:?} in memory, {fresh:?} on disk"))
}

fn by_subject(live: &State, fresh: &State) -> Result<(), String> {
    let mut subjects = vec![ArmSubject::Any, ArmSubject::None];
    for subject in SUBJECTS {
        let about = |state: &State| state.events_about(subject, EventNo(0), ALL);
        same("events about a subject", about(live), about(fresh))?;
        subjects.push(ArmSubject::Is(subject.into()));
    }
    for kind in KINDS.into_iter().chain(["note", "record.lead"]) {
        let pattern = Pattern::Exact(kind.into());
        for subject in &subjects {
            let waiters = |state: &State| state.waiters(&pattern, subject, RunNo(0), ALL);
            same("who waits", waiters(live), waiters(fresh))?;
        }
    }
    Ok(())
}

fn by_run(live: &State, fresh: &State) -> Result<(), String> {
    for status in [Status::Active, Status::Failed] {
        let some = |state: &State| state.runs_in(status).map(Iterator::collect::<Vec<_>>);
        same("runs by status", some(live), some(fresh))?;
    }
    let ladders = |state: &State| state.ladders().collect::<Vec<_>>();
    same("ladders", ladders(live), ladders(fresh))?;
    for no in (1..live.next_run().0).map(RunNo) {
        same("children", live.children(no), fresh.children(no))?;
    }
    Ok(())
}

/// Nothing that lives is stuck, and nothing waits for what is not there.
pub(crate) fn nothing_is_stuck(
    live: &State,
    watch: &Watch,
    outside: &Outside,
    wall: Instant,
) -> Result<(), String> {
    for no in &watch.alive {
        let run = &*watch.runs[no];
        let stored = watch.durable.event(run.event).map_err(|error| error.to_string())?;
        require(stored.is_some(), || format!("run {no} has lost its event"))?;
        // The mail about an approval is its own; whoever asks does not wait for it.
        let about = run.branch.as_ref().is_some_and(|branch| branch.names.contains_key("approval"));
        if run.branch.is_some() && !about {
            let caller = run.parent.as_ref().and_then(|parent| watch.runs.get(&parent.run));
            let awaited = caller.is_some_and(|caller| is_awaited(caller, run));
            require(awaited, || format!("run {no} is an orphan"))?;
        }
        goes_on(live, watch, outside, run)?;
    }
    let late = live.next_due().filter(|due| *due <= wall);
    require(late.is_none(), || format!("due at {late:?} and not done"))
}

/// What runs are owed stands in the durable inbox.
pub(crate) fn is_remembered(owed: &[RunNo], unfinished: &Unfinished) -> Result<(), String> {
    let tasks: Vec<RunNo> = unfinished.inbox.iter().filter_map(|(_, task)| task_of(task)).collect();
    let forgotten = owed.iter().find(|run| !tasks.contains(run));
    require(forgotten.is_none(), || format!("nothing in the inbox is for run {forgotten:?}"))
}

fn task_of(task: &Task) -> Option<RunNo> {
    match task {
        Task::Advance { run } | Task::Fan { run } => Some(*run),
        _ => None,
    }
}

fn goes_on(live: &State, watch: &Watch, outside: &Outside, run: &Run) -> Result<(), String> {
    let holds = match &run.wait {
        Wait::Ready | Wait::Over => false,
        Wait::Slot => watch.alive.iter().map(|no| &watch.runs[no]).any(|other| {
            other.slot && other.status == Status::Active && other.workflow == run.workflow
        }),
        Wait::Effect(effect) => match effect.state {
            EffectState::Pending => live.credit(&effect.lane) == 0 && live.in_flight() > 0,
            EffectState::Started { .. } => {
                outside.is_busy_with(run.no, effect.key, effect.attempts)
            }
            EffectState::Backoff { .. } | EffectState::Held => true,
        },
        Wait::Join(join) => !join.fanning,
        Wait::Until(_) | Wait::Event(_) | Wait::Child(..) | Wait::Rest(_) => true,
    };
    require(holds, || {
        format!("run {} of {} is stuck: {:?} {:?}", run.no, run.workflow, run.status, run.wait)
    })
}

/// Every workflow that listens for the type of an event has said something about it, if the same rules
/// were in force all the time.
pub(crate) fn everybody_was_asked(
    durable: &State,
    rules: &RuleSet,
    events: impl Iterator<Item = EventNo>,
) -> Result<(), String> {
    for no in events {
        let Some(stored) = durable.event(no).map_err(|error| error.to_string())? else { continue };
        for (name, bundle) in &rules.workflows {
            let listens = bundle.main.enabled
                && bundle.main.triggers.iter().any(|trigger| {
                    let mut patterns = trigger.filter.patterns.iter();
                    !matches!(trigger.kind, TriggerKind::Schedule(_))
                        && patterns.any(|pattern| pattern.matches(&stored.event.kind))
                });
            let asked = stored.verdicts.iter().any(|verdict| verdict.workflow == *name);
            require(!listens || asked, || format!("{name} was not asked about event {no}"))?;
        }
    }
    Ok(())
}

/// When everything is over and past its retention, only what is kept for ever is left.
pub(crate) fn nothing_is_left(rows: &[(Vec<u8>, Vec<u8>)], now: Instant) -> Result<(), String> {
    for (key, _) in rows {
        // The counters, records with their indexes, versions in force, throttles that never forget, how many
        // series metrics have, how far polls are, whose turn it is in teams, what guards let out, and the key.
        let kept = matches!(key.first(), Some(b'm' | b'c' | b'x' | b'b'))
            || [&b"throttle"[..], b"series", b"poll:", b"pick", b"guard", b"key"]
                .iter()
                .any(|what| key.windows(what.len()).any(|part| part == *what));
        require(kept, || format!("left at {now}: {}", String::from_utf8_lossy(key)))?;
    }
    Ok(())
}
