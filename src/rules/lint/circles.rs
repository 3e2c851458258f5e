//! Workflows that start each other, or themselves, by events.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::model::Pattern;

use super::super::diagnostic::Diagnostic;
use super::talk::Talk;

/// Steps of the search in all: a second's work, and far more than people write.
const STEPS: usize = 2_000_000;

/// Reports every circle once.
pub(super) fn check(talk: &Talk<'_>, out: &mut Vec<Diagnostic>) {
    let graph = Graph::of(talk);
    let mut told: BTreeSet<Vec<&str>> = BTreeSet::new();
    let mut steps = STEPS;
    for (from, kind, (file, span)) in &talk.emitted {
        for first in graph.started_by(kind) {
            let Some(round) = graph.way(first, from, &mut steps) else { continue };
            let round: Vec<&str> = std::iter::once(*from).chain(round).collect();
            let mut members = round.clone();
            members.sort_unstable();
            members.dedup();
            if !told.insert(members) {
                continue;
            }
            let round = round.join(" → ");
            let message = format!("`{kind}` comes back to the workflow that emits it: {round}");
            let mut warning = Diagnostic::warning("event-loop", &file.name, span.clone(), message);
            let ends =
                "an event is not offered to a workflow that caused it, so the circle ends there";
            warning.help(format!("{ends}; emit another type, or say `own: true` on the trigger if each round is meant"));
            out.push(warning);
        }
    }
}

/// Who leads to whom: by an event that one emits and the other is started by, or by calling it.
struct Graph<'s> {
    exact: HashMap<&'s str, Vec<&'s str>>,
    prefixes: Vec<(Pattern, &'s str)>,
    emitted: HashMap<&'s str, Vec<&'s str>>,
    called: HashMap<&'s str, Vec<&'s str>>,
}

impl<'s> Graph<'s> {
    fn of(talk: &Talk<'s>) -> Self {
        let mut graph = Self {
            exact: HashMap::new(),
            prefixes: Vec::new(),
            emitted: HashMap::new(),
            called: HashMap::new(),
        };
        // Who asks for the type itself knows what it does.
        for (workflow, kind, _) in talk.triggers.iter().filter(|one| !talk.chosen.contains(one.0)) {
            match Pattern::parse(kind) {
                Some(Pattern::Exact(_)) => graph.exact.entry(kind).or_default().push(workflow),
                Some(prefix) => graph.prefixes.push((prefix, workflow)),
                None => {}
            }
        }
        for (workflow, kind, _) in &talk.emitted {
            graph.emitted.entry(workflow).or_default().push(kind);
        }
        for (caller, callee) in &talk.calls {
            graph.called.entry(caller).or_default().push(callee);
        }
        graph
    }

    /// Workflows that an event of this type starts.
    fn started_by(&self, kind: &str) -> Vec<&'s str> {
        let exact = self.exact.get(kind).into_iter().flatten().copied();
        let prefixes = self.prefixes.iter().filter(|(pattern, _)| pattern.matches(kind));
        exact.chain(prefixes.map(|(_, workflow)| *workflow)).collect()
    }

    /// The shortest way from one workflow to another, both included; at most so many steps are taken.
    fn way(&self, from: &'s str, to: &str, steps: &mut usize) -> Option<Vec<&'s str>> {
        let mut before: HashMap<&str, Option<&'s str>> = HashMap::from([(from, None)]);
        let mut open = VecDeque::from([from]);
        while let Some(here) = open.pop_front() {
            if here == to {
                let mut way = vec![here];
                while let Some(Some(previous)) = way.last().and_then(|last| before.get(last)) {
                    way.push(previous);
                }
                way.reverse();
                return Some(way);
            }
            let kinds = self.emitted.get(here).into_iter().flatten();
            let started = kinds.flat_map(|kind| self.started_by(kind));
            let called = self.called.get(here).into_iter().flatten().copied();
            for next in started.chain(called).collect::<Vec<_>>() {
                *steps = steps.checked_sub(1)?;
                if !before.contains_key(next) {
                    before.insert(next, Some(here));
                    open.push_back(next);
                }
            }
        }
        None
    }
}
