//! Stored events replayed through two rule sets on virtual time, and what comes out differently.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{Address, Draft, Instant, Map, Name, Reply, Retention, Span, Text, Value};
use crate::rules::RuleSet;

use super::effect::Happening;
use super::expect::flow;
use super::world::{Broken, World};

/// How long runs that are over are kept: nobody looks at them.
const KEPT: Span = Span::from_days(1);

/// An event as it came in.
#[derive(Clone, Debug)]
pub struct Past {
    /// When it was accepted.
    pub at: Instant,
    /// What it was.
    pub draft: Draft,
}

/// What a rule set makes of events.
#[derive(Debug, Default)]
pub struct Replayed {
    /// How many runs each workflow began, those that others called left out.
    pub fired: BTreeMap<Name, usize>,
    /// What would have been sent, and runs that would have failed.
    pub effects: Vec<Sent>,
}

/// Something that would have been sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When.
    pub at: Instant,
    /// By which workflow.
    pub workflow: Name,
    /// `email`, `webhook` or `failed`.
    pub kind: &'static str,
    /// The event from outside that led to it: source and id; `None`: time did.
    pub cause: Option<(Text, Text)>,
    what: Happening,
}

/// What differs between two rule sets.
#[derive(Debug, Default)]
pub struct Difference {
    /// Only the candidate sends it.
    pub added: Vec<Sent>,
    /// Only what is in force sends it.
    pub gone: Vec<Sent>,
    /// Both send it, the candidate with other contents: `name: new, not old`.
    pub changed: Vec<(Sent, Vec<String>)>,
}

/// Replays events, oldest first, and lets time go on until `until`. Only `given` is remembered at the beginning,
/// and every receiver answers well. `progress` is told how many events are done.
///
/// # Errors
/// [`Broken`]: the engine or the store could not go on, which is our fault.
pub fn replay(
    rules: &Arc<RuleSet>,
    nothing: &Arc<RuleSet>,
    events: &[Past],
    given: &[(Address, Map)],
    until: Instant,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Replayed, Broken> {
    let start = events.first().map_or(until, |first| first.at);
    let mut world = World::begin(rules, nothing.clone(), start, given, &[])?;
    world.only_pass_through(Retention { runs: KEPT, failed_runs: KEPT, ..Retention::default() });
    let mut replayed = Replayed::default();
    for past in events {
        world.pass(past.at)?;
        // What was accepted once may be refused by a rule set that knows nothing of the time before.
        let _: Reply = world.event(past.draft.clone())?;
        replayed.take(world.take_fresh());
        progress(1);
    }
    world.pass(until)?;
    replayed.take(world.take_fresh());
    replayed.fired = std::mem::take(&mut world.seen().fired);
    Ok(replayed)
}

impl Replayed {
    fn take(&mut self, fresh: Vec<Happening>) {
        let sent = fresh.into_iter().filter(|one| one.kind != "event").map(|one| Sent {
            at: one.at,
            workflow: one.workflow.clone(),
            kind: one.kind,
            cause: one.cause.clone(),
            what: one,
        });
        self.effects.extend(sent);
    }
}

/// What the candidate does that the other does not, and the other way round. Effects are the same if the
/// same workflow sends them to the same because of the same event, one after the other.
#[must_use]
pub fn compare(in_force: &Replayed, candidate: &Replayed) -> Difference {
    let mut open: BTreeMap<_, Vec<&Sent>> = BTreeMap::new();
    for sent in &in_force.effects {
        open.entry(sent.whose()).or_default().push(sent);
    }
    let mut difference = Difference::default();
    // First what is the same, so that one that is missing does not shift all behind it.
    let mut rest = Vec::new();
    for sent in &candidate.effects {
        let others = open.get_mut(&sent.whose());
        let same = |before: &&Sent| before.at == sent.at && before.what.fields == sent.what.fields;
        match others.and_then(|others| Some((others.iter().position(same)?, others))) {
            Some((at, others)) => drop(others.remove(at)),
            None => rest.push(sent),
        }
    }
    for sent in rest {
        let others = open.get_mut(&sent.whose()).filter(|others| !others.is_empty());
        match others.map(|others| others.remove(0)) {
            None => difference.added.push(sent.clone()),
            Some(before) => difference.changed.push((sent.clone(), sent.differs(before))),
        }
    }
    difference.gone = open.into_values().flatten().cloned().collect();
    difference.gone.sort_by_key(|sent| sent.at);
    difference
}

impl Sent {
    /// As a scenario would expect it.
    #[must_use]
    pub fn say(&self) -> String {
        self.what.say()
    }

    fn whose(&self) -> (Option<(Text, Text)>, Name, &'static str, String) {
        let to = self.what.fields.get(self.kind).map(Value::to_string).unwrap_or_default();
        (self.cause.clone(), self.workflow.clone(), self.kind, to)
    }

    fn differs(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        differences("", &self.what.fields, &before.what.fields, &mut changes);
        if self.at != before.at {
            changes.push(format!("at: {}, not {}", self.at, before.at));
        }
        changes
    }
}

/// Where two objects differ: `json.details.tier: hot, not warm`.
fn differences(path: &str, new: &Map, old: &Map, changes: &mut Vec<String>) {
    let names: BTreeSet<&Text> = new.keys().chain(old.keys()).collect();
    for name in names {
        let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
        match (new.get(name), old.get(name)) {
            (Some(Value::Map(new)), Some(Value::Map(old))) => differences(&path, new, old, changes),
            (new, old) if new != old => {
                let said = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), flow);
                changes.push(format!("{path}: {}, not {}", said(new), said(old)));
            }
            _ => {}
        }
    }
}
