//! Questions of people and the API about the state, answered between decisions from what is durable.

use std::sync::Arc;

use crate::engine::{self, Bundles, World};
use crate::model::{
    APPROVAL, Address, BundleId, EventNo, Explained, Head, Name, Pattern, ReadError, Record,
    Retention, Run, RunId, RunNo, Status, StoredEvent, Text, Trace, TraceEntry, Value, Verdict,
    View, limits,
};
use crate::rules::RuleSet;
use crate::store::State;

use super::library::Library;
use super::plan::{self, Plan};

/// A question. Listings are newest first and at most `limits::PAGE` long.
#[derive(Clone, Debug)]
pub enum Query {
    /// Runs.
    Runs {
        /// Only these.
        status: Option<Status>,
        /// Only of this workflow.
        workflow: Option<Name>,
        /// Only those before this one.
        before: Option<RunNo>,
        /// At most so many.
        limit: usize,
    },
    /// The whole story of one run.
    Run(RunId),
    /// Escalations: runs of a policy.
    Escalations {
        /// Those that are over as well.
        all: bool,
        /// At most so many.
        limit: usize,
    },
    /// Approvals.
    Approvals {
        /// Those that are decided as well.
        all: bool,
        /// At most so many.
        limit: usize,
    },
    /// How far the ledgers are.
    Ledgers,
    /// Whether a head of a ledger was signed by this state.
    Signed(Head),
    /// Events.
    Events {
        /// Only of these types.
        kind: Option<Pattern>,
        /// Only about this subject.
        subject: Option<Text>,
        /// Only those before this number.
        before: Option<u64>,
        /// At most so many.
        limit: usize,
    },
    /// One event, and what workflows say that were not asked about it.
    Event {
        /// Its number or its id.
        id: Text,
        /// Of those workflows only this one.
        workflow: Option<Name>,
    },
    /// One event, and what every clause of the workflows comes to that listen to its type.
    Explain {
        /// Its number or its id.
        id: Text,
        /// Only this workflow.
        workflow: Option<Name>,
    },
    /// What these rules would change.
    Plan(Arc<RuleSet>),
    /// Kinds of which there are records.
    Kinds,
    /// Records of a kind, in order of id.
    Records {
        /// The kind.
        kind: Name,
        /// Only those after this id.
        after: Option<Text>,
        /// At most so many.
        limit: usize,
    },
    /// One record.
    Record(Address),
    /// What a script off the loop asks besides records.
    Reading(engine::Reading),
    /// `record(kind, id)` of a script off the loop.
    Lookup(Name, Text),
    /// `records(kind, index, value)` of a script off the loop; without an index all of the kind.
    LookupAll(Name, Option<(Name, Value)>),
}

/// The answer to a [`Query`].
#[derive(Clone, Debug)]
pub enum Answer {
    /// To `Runs` and `Escalations`.
    Runs(Vec<Arc<Run>>),
    /// To `Run`; `None`: there is no such run.
    Story(Option<Box<Story>>),
    /// To `Events`.
    Events(Vec<Arc<StoredEvent>>),
    /// To `Event`.
    Event(Option<Box<Account>>),
    /// To `Explain`.
    Explained(Option<(Arc<StoredEvent>, Vec<Explained>)>),
    /// To `Plan`.
    Plan(Plan),
    /// To `Kinds`.
    Kinds(Vec<Text>),
    /// To `Ledgers`.
    Heads(Vec<Head>),
    /// To `Signed`.
    Signed(bool),
    /// To `Records` and `Approvals`.
    Records(Vec<Arc<Record>>),
    /// To `Record`.
    Record(Option<Arc<Record>>),
    /// To `Lookup` and `Reading`.
    Value(Value),
    /// To `LookupAll`; `None`: there are too many.
    Values(Option<Vec<Value>>),
}

/// An event and what came of it.
#[derive(Clone, Debug)]
pub struct Account {
    /// The event, with what workflows said that were asked about it.
    pub stored: Arc<StoredEvent>,
    /// What some of those would say by the rules in force that were not asked.
    pub ruled_out: Vec<Verdict>,
    /// How many more were not asked.
    pub others: usize,
}

/// Path, main key and id of each step of a version.
pub type Steps = Vec<(Text, Text, Option<Text>)>;

/// The whole story of a run.
#[derive(Clone, Debug)]
pub struct Story {
    /// The run.
    pub run: Arc<Run>,
    /// What began it.
    pub event: Option<Arc<StoredEvent>>,
    /// Every entry of its trace, oldest first.
    pub trace: Vec<TraceEntry>,
    /// For each `pc`: the path of its step (`steps[3].then[0]`), its main key (`email`) and its id.
    /// Empty when its version can no longer be compiled.
    pub steps: Steps,
    /// The same for versions that it had before: up to which entry of its trace, and the steps. Empty where a
    /// version is not kept any more.
    pub earlier: Vec<(usize, Steps)>,
    /// Runs it called, living or over, in order.
    pub children: Vec<Arc<Run>>,
}

/// Rows looked at for one answer: about 20 ms of the loop's time. Further ones are on further pages.
const SCAN: u64 = 5_000;
/// Bytes of events in one answer, give or take the last one.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Answers a question from the state.
pub(super) fn answer(
    state: &State,
    rules: &RuleSet,
    library: &Library,
    query: &Query,
) -> Result<Answer, ReadError> {
    match query {
        Query::Runs { status, workflow, before, limit } => {
            let before = before.unwrap_or(state.next_run());
            let wanted = |run: &Run| {
                run.ladder.is_none()
                    && status.is_none_or(|status| run.status == status)
                    && workflow.as_ref().is_none_or(|workflow| run.workflow == *workflow)
            };
            let indexed = status.and_then(|status| state.runs_in(status));
            let limit = (*limit).min(limits::PAGE);
            Ok(Answer::Runs(match indexed {
                Some(numbers) => collect(state, numbers.filter(|no| *no < before), limit, wanted)?,
                None => {
                    let lowest = before.0.saturating_sub(SCAN).max(1);
                    let numbers = (lowest..before.0).rev().map(RunNo);
                    collect(state, numbers, limit, wanted)?
                }
            }))
        }
        Query::Escalations { all, limit } => {
            let limit = (*limit).min(limits::PAGE);
            Ok(Answer::Runs(if *all {
                let next = state.next_run().0;
                let numbers = (next.saturating_sub(SCAN).max(1)..next).rev().map(RunNo);
                collect(state, numbers, limit, |run| run.ladder.is_some())?
            } else {
                collect(state, state.ladders(), limit, |_| true)?
            }))
        }
        Query::Approvals { all, limit } => {
            let limit = (*limit).min(limits::PAGE);
            let found = if *all {
                state.records(APPROVAL, None, limit)
            } else {
                state.records_where(APPROVAL, "status", &"open".into(), limit)
            };
            found.map(Answer::Records)
        }
        Query::Ledgers => {
            let shelf = library.over(state);
            engine::ledgers(&world(rules, &shelf, state)).map(Answer::Heads)
        }
        Query::Signed(head) => {
            let shelf = library.over(state);
            engine::signed(&world(rules, &shelf, state), head).map(Answer::Signed)
        }
        Query::Run(id) => story(state, library, *id).map(Answer::Story),
        Query::Events { kind, subject, before, limit } => {
            let before = before.unwrap_or(state.next_event().0);
            let numbers: Vec<u64> = match subject {
                Some(subject) => {
                    let about = state.events_about(subject, EventNo(0), usize::MAX);
                    about.into_iter().rev().map(|no| no.0).filter(|no| *no < before).collect()
                }
                None => (before.saturating_sub(SCAN).max(1)..before).rev().collect(),
            };
            let mut found = Vec::new();
            let mut bytes = 0;
            for no in numbers.into_iter().take(SCAN as usize) {
                if found.len() >= (*limit).min(limits::PAGE) || bytes > PAGE_BYTES {
                    break;
                }
                found.extend(state.event(EventNo(no))?.filter(|stored| {
                    kind.as_ref().is_none_or(|kind| kind.matches(&stored.event.kind))
                        && (subject.is_none() || stored.event.subject == *subject)
                }));
                bytes += found.last().map_or(0, |stored| stored.event.data.weight());
            }
            Ok(Answer::Events(found))
        }
        Query::Event { id, workflow } => {
            let found = event(state, id)?;
            Ok(Answer::Event(found.map(|stored| {
                let (ruled_out, others) = engine::ruled_out(rules, &stored, workflow.as_deref());
                Box::new(Account { stored, ruled_out, others })
            })))
        }
        Query::Explain { id, workflow } => {
            let shelf = library.over(state);
            let found = event(state, id)?;
            Ok(Answer::Explained(found.map(|stored| {
                let world = world(rules, &shelf, state);
                let explained = engine::explained(&world, &stored, workflow.as_deref());
                (stored, explained)
            })))
        }
        Query::Plan(new) => plan::plan(state, rules, new, library).map(Answer::Plan),
        Query::Kinds => state.record_kinds(limits::PAGE).map(Answer::Kinds),
        Query::Records { kind, after, limit } => {
            let limit = (*limit).min(limits::PAGE);
            state.records(kind, after.as_deref(), limit).map(Answer::Records)
        }
        Query::Record(address) => state.record(address).map(Answer::Record),
        Query::Reading(reading) => read(state, rules, library, reading).map(Answer::Value),
        Query::Lookup(kind, id) => lookup(state, rules, library, kind, id).map(Answer::Value),
        Query::LookupAll(kind, filter) => {
            let filter = filter.as_ref().map(|(index, value)| (&**index, value));
            lookup_all(state, rules, library, kind, filter).map(Answer::Values)
        }
    }
}

/// See [`super::Pump::lookup`].
pub(super) fn lookup(
    state: &State,
    rules: &RuleSet,
    library: &Library,
    kind: &str,
    id: &str,
) -> Result<Value, ReadError> {
    engine::lookup(&world(rules, &library.over(state), state), kind, id)
}

/// See [`super::Pump::read`].
pub(super) fn read(
    state: &State,
    rules: &RuleSet,
    library: &Library,
    reading: &engine::Reading,
) -> Result<Value, ReadError> {
    engine::read(&world(rules, &library.over(state), state), reading)
}

/// See [`super::Pump::lookup_all`].
pub(super) fn lookup_all(
    state: &State,
    rules: &RuleSet,
    library: &Library,
    kind: &str,
    filter: Option<(&str, &Value)>,
) -> Result<Option<Vec<Value>>, ReadError> {
    engine::lookup_all(&world(rules, &library.over(state), state), kind, filter)
}

fn world<'w>(rules: &'w RuleSet, bundles: &'w dyn Bundles, state: &'w State) -> World<'w> {
    World { rules, bundles, view: state, now: state.clock(), retention: Retention::default() }
}

fn collect(
    state: &State,
    numbers: impl Iterator<Item = RunNo>,
    limit: usize,
    wanted: impl Fn(&Run) -> bool,
) -> Result<Vec<Arc<Run>>, ReadError> {
    let mut found = Vec::new();
    for no in numbers.take(SCAN as usize) {
        if found.len() >= limit {
            break;
        }
        found.extend(state.run(no)?.filter(|run| wanted(run)));
    }
    Ok(found)
}

fn event(state: &State, id: &str) -> Result<Option<Arc<StoredEvent>>, ReadError> {
    if let Ok(no) = id.parse()
        && let Some(found) = state.event(EventNo(no))?
    {
        return Ok(Some(found));
    }
    let next = state.next_event().0;
    for no in (next.saturating_sub(SCAN).max(1)..next).rev() {
        if let Some(found) = state.event(EventNo(no))?.filter(|stored| *stored.event.id == *id) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn story(state: &State, library: &Library, id: RunId) -> Result<Option<Box<Story>>, ReadError> {
    let run = state.run(id.no)?;
    let Some(run) = run.filter(|run| id.check.is_none_or(|check| check == run.hash.short())) else {
        return Ok(None);
    };
    let mut trace = state.spilled(run.no)?;
    trace.extend(run.trace.iter().cloned());
    let called: Vec<RunNo> = trace
        .iter()
        .filter_map(|entry| match entry.what {
            Trace::Called(child) => Some(child),
            _ => None,
        })
        .collect();
    let mut children = Vec::with_capacity(called.len());
    for child in called {
        children.extend(state.run(child)?);
    }
    let steps = steps_of(state, library, run.bundle, &run.workflow);
    let moves = trace.iter().enumerate().filter_map(|(at, entry)| match entry.what {
        Trace::Moved(before) => Some((at, steps_of(state, library, before, &run.workflow))),
        _ => None,
    });
    let earlier = moves.collect();
    let event = state.event(run.event)?;
    Ok(Some(Box::new(Story { run, event, trace, steps, earlier, children })))
}

fn steps_of(state: &State, library: &Library, bundle: BundleId, workflow: &str) -> Steps {
    let bundle = library.over(state).bundle(bundle);
    let workflow = bundle.as_ref().and_then(|bundle| bundle.workflow(workflow));
    let steps = workflow.into_iter().flat_map(|workflow| &workflow.steps);
    steps.map(|step| (step.path.clone(), step.action.key().into(), step.id.clone())).collect()
}
