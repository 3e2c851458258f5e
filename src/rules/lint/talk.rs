//! Who says what to whom: waits for what nobody says, and events that go round in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::model::Pattern;

use super::super::diagnostic::Diagnostic;
use super::super::yaml::Node;
use super::walk::each_step;
use super::{At, Written};

/// What the daemon makes itself, and what comes from inbound webhooks and polls.
const DAEMON: [&str; 9] = [
    "message.",
    "escalation.",
    "approval.",
    "sla.",
    "run.",
    "effect.",
    "record.",
    "poll.",
    "webhook.",
];

/// Who says what to whom.
pub(super) struct Talk<'s> {
    /// Types that steps emit, by workflow.
    emitted: Vec<(&'s str, &'s str, At<'s>)>,
    /// Types that triggers take, by workflow.
    triggers: Vec<(&'s str, &'s str, At<'s>)>,
    /// Types that runs wait for.
    waits: Vec<(&'s str, At<'s>)>,
}

impl<'s> Talk<'s> {
    pub(super) fn of(written: &[Written<'s>]) -> Self {
        let mut talk = Self { emitted: Vec::new(), triggers: Vec::new(), waits: Vec::new() };
        for one in written {
            for trigger in one.root.get("triggers").and_then(Node::items).unwrap_or_default() {
                for key in ["event", "count", "absent"] {
                    let types = trigger.get(key).map(types).unwrap_or_default();
                    let own = trigger.get("own").is_some();
                    talk.triggers.extend(
                        types
                            .into_iter()
                            .filter(|_| !own || key != "event")
                            .map(|(kind, span)| (one.name, kind, (one.file, span))),
                    );
                }
            }
            let mut filters: Vec<&Node> = Vec::new();
            filters.extend(one.root.get("exit").and_then(Node::items).unwrap_or_default());
            each_step(one.root, &mut |step| {
                filters.extend(step.get("wait_for"));
                filters.extend(step.get("resolve"));
                if let Some(node) = step.get("emit")
                    && let Some(scalar) = node.scalar()
                {
                    talk.emitted.push((one.name, &scalar.text, (one.file, node.head())));
                }
            });
            for filter in filters {
                let named = filter.get("event").unwrap_or(filter);
                talk.waits
                    .extend(types(named).into_iter().map(|(kind, at)| (kind, (one.file, at))));
            }
        }
        talk
    }

    /// Waits for types that nobody says or takes, and that look like one that somebody does.
    pub(super) fn unheard(&self, out: &mut Vec<Diagnostic>) {
        let emitted: BTreeSet<&str> = self.emitted.iter().map(|(_, kind, _)| *kind).collect();
        let triggers: BTreeSet<&str> = self.triggers.iter().map(|(_, kind, _)| *kind).collect();
        let known: BTreeSet<&str> = emitted.union(&triggers).copied().collect();
        let mut waits: BTreeMap<&str, usize> = BTreeMap::new();
        for (kind, _) in &self.waits {
            *waits.entry(kind).or_default() += 1;
        }
        for (kind, (file, span)) in &self.waits {
            let said = known.contains(kind)
                || kind.contains('*')
                || DAEMON.iter().any(|prefix| kind.starts_with(prefix))
                || known.iter().any(|other| takes(other, kind));
            // Waited for more than once it is no slip of the fingers.
            if said || waits.get(kind).is_some_and(|count| *count > 1) {
                continue;
            }
            let mut others = known.iter().chain(waits.keys().filter(|other| *other != kind));
            if let Some(near) = others.find(|other| is_slip(kind, other)) {
                let message = format!("no rule emits or takes `{kind}`");
                let mut warning =
                    Diagnostic::warning("unheard-event", &file.name, span.clone(), message);
                warning.help(format!(
                    "did you mean `{near}`? If it comes from outside, there is nothing to do: a second rule that names it ends this warning"
                ));
                out.push(warning);
            }
        }
    }

    /// Triggers for a type that looks like one that a step emits, mistyped.
    pub(super) fn misheard(&self, out: &mut Vec<Diagnostic>) {
        let emitted: BTreeSet<&str> = self.emitted.iter().map(|(_, kind, _)| *kind).collect();
        let mut triggers: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, kind, _) in &self.triggers {
            *triggers.entry(kind).or_default() += 1;
        }
        for (_, kind, (file, span)) in &self.triggers {
            let known =
                emitted.contains(kind) || triggers.get(kind).is_some_and(|count| *count > 1);
            let near = emitted.iter().find(|other| is_slip(kind, other));
            // What is emitted and taken by somebody else is another type.
            let Some(near) = near.filter(|near| !known && !triggers.contains_key(*near)) else {
                continue;
            };
            let message = format!("no rule emits `{kind}`, and none takes `{near}`");
            let mut warning =
                Diagnostic::warning("unheard-event", &file.name, span.clone(), message);
            warning.help(format!("did you mean `{near}`?"));
            out.push(warning);
        }
    }

    /// Workflows that start each other, or themselves, by events.
    pub(super) fn circles(&self, out: &mut Vec<Diagnostic>) {
        let mut told: BTreeSet<Vec<&str>> = BTreeSet::new();
        for (from, kind, (file, span)) in &self.emitted {
            let (mut path, mut seen) = (vec![*from], BTreeSet::new());
            if let Some(round) = self.back_to(from, kind, &mut path, &mut seen) {
                let mut members = round.clone();
                members.sort_unstable();
                members.dedup();
                if !told.insert(members) {
                    continue;
                }
                let round = round.join(" → ");
                let message = format!("`{kind}` comes back to the workflow that emits it: {round}");
                let mut warning =
                    Diagnostic::warning("event-loop", &file.name, span.clone(), message);
                let ends = "an event is not offered to a workflow that caused it, so the circle ends there";
                warning.help(format!("{ends}; emit another type, or say `own: true` on the trigger if each round is meant"));
                out.push(warning);
            }
        }
    }

    /// The way by which an event of `kind` starts `goal`, along what workflows emit.
    fn back_to(
        &self,
        goal: &str,
        kind: &str,
        path: &mut Vec<&'s str>,
        seen: &mut BTreeSet<&'s str>,
    ) -> Option<Vec<&'s str>> {
        for (workflow, pattern, _) in &self.triggers {
            if !takes(pattern, kind) {
                continue;
            }
            if *workflow == goal {
                path.push(workflow);
                return Some(path.clone());
            }
            // Where no way led to the goal before, none does now.
            if !seen.insert(workflow) {
                continue;
            }
            path.push(workflow);
            for (_, next, _) in self.emitted.iter().filter(|(from, ..)| from == workflow) {
                if let Some(found) = self.back_to(goal, next, path, seen) {
                    return Some(found);
                }
            }
            path.pop();
        }
        None
    }
}

/// Whether one of two types is probably the other, mistyped: a letter or two, in a longer word.
fn is_slip(one: &str, other: &str) -> bool {
    /// Letters that may differ.
    const SLIPS: usize = 2;
    /// Letters a type must have for two of them to be a slip.
    const LONG: usize = 8;
    // `unsubscribed` and `reopened` are words of their own.
    let last = |kind: &'_ str| kind.rsplit('.').next().unwrap_or_default().to_owned();
    let (a, b) = (last(one), last(other));
    let other_word = a != b && (a.ends_with(&b) || b.ends_with(&a));
    one.len() >= LONG && !other_word && strsim::damerau_levenshtein(one, other) <= SLIPS
}

fn takes(pattern: &str, kind: &str) -> bool {
    Pattern::parse(pattern).is_some_and(|pattern| pattern.matches(kind))
}

/// The types that a filter names literally.
fn types(node: &Node) -> Vec<(&str, Range<usize>)> {
    let items = node.items().unwrap_or(std::slice::from_ref(node));
    items
        .iter()
        .filter_map(|item| Some((item.scalar()?.text.as_str(), item.head())))
        .filter(|(text, _)| !text.contains("${"))
        .collect()
}
