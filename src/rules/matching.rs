//! [`Matching`]: which workflows an event could start, at a cost that grows with those and not with all.
//!
//! First by the type of the event. Then by a constant: most conditions of one type compare the same few
//! values (`event.data.region == "EU"`), so those values are looked up once in the event and lead to the
//! workflows that name them. What a condition wants is foreseen when rules are loaded, see
//! [`crate::script::Foreseen`].
//!
//! Invariant: a workflow that is ruled out would not have started, and none of its expressions would
//! have failed; asking all would have come to the same. So a condition counts only as far as the event
//! has the types it needs: everybody whose condition could fail on this event is asked.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::model::{Pattern, Text, Value};
use crate::script::{Check, Constant, Foreseen, Path, Want};

use super::bundle::Bundle;
use super::program::{FilterSubject, Trigger, Workflow};

/// So many workflows of one type are all asked: what they say is kept with the event, and stays true
/// whatever becomes of the rules. More of them would make a row mostly of reasons.
const FEW: usize = 8;

/// What expressions call the event.
const EVENT: &str = "event";

/// The index. Workflows are numbered in order of their names.
#[derive(Debug, Default)]
pub(super) struct Matching {
    bundles: Vec<Arc<Bundle>>,
    exact: HashMap<Text, Listeners>,
    prefix: HashMap<Text, Listeners>,
    /// Bytes of the longest prefix: a type may have hundreds of dots.
    longest: usize,
    few: usize,
}

/// The workflows with a trigger for one pattern. All lists are in order.
#[derive(Debug, Default)]
struct Listeners {
    all: Vec<u32>,
    /// Of those, the ones about which nothing is known.
    any: Vec<u32>,
    groups: Vec<Group>,
}

/// Workflows that want something of the same value.
#[derive(Debug)]
struct Group {
    /// As long as these hold for an event, none of the conditions fails on it.
    checks: BTreeSet<Check>,
    path: Path,
    all: Vec<u32>,
    by_constant: HashMap<Constant, Vec<u32>>,
}

/// One way to find a trigger.
struct Way {
    checks: BTreeSet<Check>,
    want: Want,
}

impl Matching {
    /// Of workflows in order of name; those that are not enabled are left out.
    pub(super) fn of<'b>(bundles: impl Iterator<Item = &'b Arc<Bundle>>) -> Self {
        Self::asking(FEW, bundles)
    }

    /// [`Matching::of`], where so `few` are all asked.
    fn asking<'b>(few: usize, bundles: impl Iterator<Item = &'b Arc<Bundle>>) -> Self {
        let bundles: Vec<_> = bundles.filter(|bundle| bundle.main.enabled).cloned().collect();
        let mut triggers: HashMap<&Pattern, Vec<(u32, Vec<Way>)>> = HashMap::new();
        for (at, bundle) in (0..).zip(&bundles) {
            for trigger in &bundle.main.triggers {
                for pattern in &trigger.filter.patterns {
                    triggers.entry(pattern).or_default().push((at, ways(&bundle.main, trigger)));
                }
            }
        }
        let mut matching = Self { few, ..Self::default() };
        for (pattern, found) in triggers {
            let listeners = Listeners::of(found);
            match pattern {
                Pattern::Exact(kind) => matching.exact.insert(kind.clone(), listeners),
                Pattern::Prefix(prefix) => {
                    matching.longest = matching.longest.max(prefix.len());
                    matching.prefix.insert(prefix.clone(), listeners)
                }
            };
        }
        matching.bundles = bundles;
        matching
    }

    /// Whether there is a trigger for events of this type.
    pub(super) fn listens(&self, kind: &str) -> bool {
        self.listeners(kind).next().is_some()
    }

    /// The workflows after `after` that an event could start, `event` being what expressions see of it:
    /// the first `limit` in order of name.
    pub(super) fn find(
        &self,
        kind: &str,
        event: &Value,
        after: Option<&str>,
        limit: usize,
    ) -> impl Iterator<Item = &Arc<Bundle>> {
        let first = after.map_or(0, |after| {
            self.bundles.partition_point(|bundle| *bundle.name <= *after) as u32
        });
        let mut found: Vec<u32> = Vec::new();
        self.each(kind, event, |list| {
            let from = list.partition_point(|at| *at < first);
            found.extend(list[from..].iter().take(limit));
        });
        found.sort_unstable();
        found.dedup();
        found.truncate(limit);
        found.into_iter().map(|at| &self.bundles[at as usize])
    }

    /// The workflows with a trigger for this type that [`Matching::find`] leaves out.
    pub(super) fn ruled_out(
        &self,
        kind: &str,
        event: &Value,
    ) -> impl Iterator<Item = &Arc<Bundle>> {
        let mut out: BTreeSet<u32> =
            self.listeners(kind).flat_map(|listeners| listeners.all.iter().copied()).collect();
        self.each(kind, event, |list| {
            for at in list {
                out.remove(at);
            }
        });
        out.into_iter().map(|at| &self.bundles[at as usize])
    }

    /// Every list of workflows that have to be asked.
    fn each(&self, kind: &str, event: &Value, mut ask: impl FnMut(&[u32])) {
        let few = self.listeners(kind).map(|listeners| listeners.all.len()).sum::<usize>();
        for listeners in self.listeners(kind) {
            if few <= self.few {
                ask(&listeners.all);
                continue;
            }
            ask(&listeners.any);
            for group in &listeners.groups {
                ask(group.find(event));
            }
        }
    }

    /// By every pattern that selects a type: itself, and each of its prefixes.
    fn listeners(&self, kind: &str) -> impl Iterator<Item = &Listeners> {
        let reach = if self.prefix.is_empty() { &[][..] } else { kind.as_bytes() };
        let dots = reach.iter().take(self.longest).enumerate().filter(|(_, byte)| **byte == b'.');
        let below = dots.filter_map(|(dot, _)| self.prefix.get(&kind[..=dot]));
        self.exact.get(kind).into_iter().chain(self.prefix.get("")).chain(below)
    }
}

impl Listeners {
    fn of(triggers: Vec<(u32, Vec<Way>)>) -> Self {
        // How many share a constant: of several ways the one that leads to the fewest is taken.
        let mut shared: HashMap<(Path, Constant), usize> = HashMap::new();
        for want in triggers.iter().flat_map(|(_, ways)| ways).map(|way| &way.want) {
            for constant in &want.constants {
                *shared.entry((want.path.clone(), constant.clone())).or_default() += 1;
            }
        }
        let cost = |way: &Way| {
            let of = |constant: &Constant| shared.get(&(way.want.path.clone(), constant.clone()));
            way.want.constants.iter().filter_map(of).sum::<usize>()
        };
        let mut listeners = Self::default();
        let mut groups: HashMap<(BTreeSet<Check>, Path), usize> = HashMap::new();
        for (at, ways) in triggers {
            add(&mut listeners.all, at);
            let Some(Way { checks, want }) = ways.into_iter().min_by_key(cost) else {
                add(&mut listeners.any, at);
                continue;
            };
            let key = (checks, want.path);
            let index = *groups.entry(key.clone()).or_insert(listeners.groups.len());
            if index == listeners.groups.len() {
                let (checks, path) = key;
                let (all, by_constant) = (Vec::new(), HashMap::new());
                listeners.groups.push(Group { checks, path, all, by_constant });
            }
            let group = &mut listeners.groups[index];
            add(&mut group.all, at);
            for constant in want.constants {
                add(group.by_constant.entry(constant).or_default(), at);
            }
        }
        listeners
    }
}

impl Group {
    fn find(&self, event: &Value) -> &[u32] {
        if !self.checks.iter().all(|check| check.holds(event)) {
            return &self.all;
        }
        let constant = self.path.constant(event);
        constant.and_then(|constant| self.by_constant.get(&constant)).map_or(&[], Vec::as_slice)
    }
}

/// Adds a workflow once: they come in order, with all their triggers together.
fn add(list: &mut Vec<u32>, at: u32) {
    if list.last() != Some(&at) {
        list.push(at);
    }
}

/// Every way to find a trigger by a constant, the workflow's `if` included: without it no run starts
/// either. None if the trigger has to be asked.
fn ways(workflow: &Workflow, trigger: &Trigger) -> Vec<Way> {
    let mut ways = Vec::new();
    let mut checks = BTreeSet::new();
    let literal = |subject: &FilterSubject| match subject {
        FilterSubject::Own | FilterSubject::Any => true,
        FilterSubject::Is(shape) => shape.literal().is_some(),
    };
    if !literal(&trigger.filter.subject) {
        return ways;
    }
    let (clauses, all) = match &trigger.filter.condition {
        Some(condition) => condition.foreseen(),
        None => (Vec::new(), true),
    };
    let known = clauses.into_iter().all(|clause| take(clause, &mut checks, &mut ways));
    // What is counted is counted whatever `if` says later; and `vars` are computed before it.
    let starts = trigger.kind.starts_by_itself();
    if starts && all && known && workflow.vars.iter().all(|(_, shape)| shape.literal().is_some()) {
        let clauses = workflow.condition.as_ref().map(|condition| condition.foreseen().0);
        let _: bool =
            clauses.into_iter().flatten().all(|clause| take(clause, &mut checks, &mut ways));
    }
    ways
}

/// Takes one more clause. False if it looks at more than the event: what comes after it is unknown.
fn take(clause: Foreseen, checks: &mut BTreeSet<Check>, ways: &mut Vec<Way>) -> bool {
    if clause.checks.iter().any(|check| check.root() != EVENT) {
        return false;
    }
    checks.extend(clause.checks);
    ways.extend(clause.wants.into_iter().map(|want| Way { checks: checks.clone(), want }));
    true
}

#[cfg(test)]
mod tests;
