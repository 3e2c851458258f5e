//! Who says what to whom: waits for what nobody says, and events that nobody makes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::model::{Name, Pattern, own_event};

use super::super::diagnostic::Diagnostic;
use super::super::suggest;
use super::super::yaml::Node;
use super::walk::{callee, each_step};
use super::{At, Written};

/// What comes from inbound webhooks, polls and files.
const BROUGHT: [&str; 3] = ["poll.", "webhook.", "file."];

/// Types of events that the daemon makes, those of records (`record.KIND`) left out.
const MADE: [&str; 22] = [
    "run.failed",
    "run.held",
    "run.storm",
    "escalation.acknowledged",
    "escalation.resolved",
    "message.held",
    "message.suppressed",
    "message.unsubscribed",
    "effect.poll_failed",
    "approval.requested",
    "approval.warning",
    "approval.decided",
    "approval.timed_out",
    "sla.warning",
    "sla.breached",
    "sla.met",
    "sla.reopened",
    "sla.error",
    "obligation.opened",
    "obligation.overdue",
    "obligation.orphaned",
    "obligation.closed",
];

/// Who says what to whom.
pub(super) struct Talk<'s> {
    /// Types that steps emit, by workflow.
    pub(super) emitted: Vec<(&'s str, &'s str, At<'s>)>,
    /// Who calls or raises whom.
    pub(super) calls: Vec<(&'s str, &'s str)>,
    /// Types that triggers take, by workflow.
    pub(super) triggers: Vec<(&'s str, &'s str, At<'s>)>,
    /// Types that runs wait for.
    waits: Vec<(&'s str, At<'s>)>,
    /// Workflows that choose among events themselves, that rest, or that want their own.
    pub(super) chosen: BTreeSet<&'s str>,
}

impl<'s> Talk<'s> {
    pub(super) fn of(written: &[Written<'s>]) -> Self {
        let mut talk = Self {
            emitted: Vec::new(),
            calls: Vec::new(),
            triggers: Vec::new(),
            waits: Vec::new(),
            chosen: BTreeSet::new(),
        };
        for one in written {
            for trigger in one.root.get("triggers").and_then(Node::items).unwrap_or_default() {
                for key in ["event", "count", "absent"] {
                    let types = trigger.get(key).map(types).unwrap_or_default();
                    let own = trigger.get("own").is_some();
                    let test = trigger.get("where").and_then(Node::scalar);
                    let rests = one.root.get("enabled").and_then(Node::scalar);
                    let rests = rests.is_some_and(|scalar| scalar.text == "false");
                    // Who chooses among events may well leave out its own; who rests hears none.
                    if test.is_some() || rests || own {
                        talk.chosen.insert(one.name);
                    }
                    talk.triggers.extend(
                        types.into_iter().map(|(kind, span)| (one.name, kind, (one.file, span))),
                    );
                }
            }
            let mut filters: Vec<&Node> = Vec::new();
            filters.extend(one.root.get("exit").and_then(Node::items).unwrap_or_default());
            each_step(one.root, &mut |step| {
                filters.extend(step.get("wait_for"));
                filters.extend(step.get("resolve"));
                talk.calls.extend(callee(step).map(|callee| (one.name, callee)));
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
        let patterns: Vec<&str> =
            known.iter().copied().filter(|kind| kind.ends_with('*')).collect();
        let mut slips = Slips::default();
        for (kind, (file, span)) in &self.waits {
            let said = known.contains(kind)
                || kind.contains('*')
                || own_event(kind).is_some()
                || BROUGHT.iter().any(|prefix| kind.starts_with(prefix))
                || patterns.iter().any(|other| takes(other, kind));
            // Waited for more than once it is no slip of the fingers.
            if said || slips.are_done() || waits.get(kind).is_some_and(|count| *count > 1) {
                continue;
            }
            let mut others = known.iter().chain(waits.keys().filter(|other| *other != kind));
            if let Some(near) = others.find(|other| slips.is_one(kind, other)) {
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
        let mut slips = Slips::default();
        for (_, kind, (file, span)) in &self.triggers {
            let known =
                emitted.contains(kind) || triggers.get(kind).is_some_and(|count| *count > 1);
            if known || slips.are_done() {
                continue;
            }
            // What is emitted and taken by somebody else is another type.
            let mut others = emitted.iter().filter(|other| !triggers.contains_key(**other));
            let Some(near) = others.find(|other| slips.is_one(kind, other)) else { continue };
            let message = format!("no rule emits `{kind}`, and none takes `{near}`");
            let mut warning =
                Diagnostic::warning("unheard-event", &file.name, span.clone(), message);
            warning.help(format!("did you mean `{near}`?"));
            out.push(warning);
        }
    }

    /// Types like those that the daemon makes, which it never makes.
    pub(super) fn unmade(&self, hooks: &BTreeSet<Name>, out: &mut Vec<Diagnostic>) {
        let triggers = self.triggers.iter().map(|(_, kind, at)| (*kind, at));
        for (kind, (file, span)) in triggers.chain(self.waits.iter().map(|(kind, at)| (*kind, at)))
        {
            let first = kind.split('.').next().unwrap_or_default();
            let (known, what): (Vec<String>, _) = match first {
                "run" | "escalation" | "message" | "effect" | "approval" | "sla" | "obligation" => {
                    (MADE.iter().map(|made| (*made).to_owned()).collect(), "the daemon never makes")
                }
                // A transform, or a rule, may make any; what looks like a hook is one.
                "webhook" => {
                    let made: Vec<String> =
                        hooks.iter().map(|hook| format!("webhook.{hook}")).collect();
                    let near = suggest::nearest(kind, made.iter().map(String::as_str));
                    let emitted = self.emitted.iter().any(|(_, other, _)| *other == kind);
                    if near.is_none() || emitted {
                        continue;
                    }
                    (made, "no inbound webhook makes")
                }
                _ => continue,
            };
            if kind.ends_with('*') || known.iter().any(|known| known == kind) {
                continue;
            }
            let message = format!("{what} an event `{kind}`");
            let mut warning =
                Diagnostic::warning("unheard-event", &file.name, span.clone(), message);
            let ours = known.iter().map(String::as_str).filter(|known| known.starts_with(first));
            warning.maybe_help(suggest::hint(kind, ours));
            out.push(warning);
        }
    }
}

/// Looks for slips of the fingers.
#[derive(Default)]
struct Slips {
    compared: usize,
}

impl Slips {
    /// Types that are compared: a second's work. In a set so large that it is not enough nobody reads them all.
    const COMPARED: usize = 1_000_000;

    /// Whether no more are looked for.
    const fn are_done(&self) -> bool {
        self.compared >= Self::COMPARED
    }

    /// Whether one of two types is probably the other, mistyped: a letter or two, in a longer word.
    fn is_one(&mut self, one: &str, other: &str) -> bool {
        /// Letters that may differ.
        const SLIPS: usize = 2;
        /// Letters a type must have for two of them to be a slip.
        const LONG: usize = 8;
        /// Letters of a last word below which another is another word.
        const SHORT: usize = 5;
        self.compared += 1;
        if one.len() < LONG || one.len().abs_diff(other.len()) > SLIPS || self.are_done() {
            return false;
        }
        let last = |kind: &'_ str| kind.rsplit('.').next().unwrap_or_default().to_owned();
        let (a, b) = (last(one), last(other));
        // `unsubscribed` and `reopened` are words of their own, as are short ones: `hot` and `lost`; and
        // numbers tell versions apart.
        let longer = a != b && (a.ends_with(&b) || b.ends_with(&a));
        let short = a != b && a.len().min(b.len()) < SHORT;
        let bare = |kind: &str| kind.replace(|c: char| c.is_ascii_digit(), "");
        let numbered = bare(one) == bare(other);
        let slips = if a.len().min(b.len()) < LONG { 1 } else { SLIPS };
        !longer && !short && !numbered && strsim::damerau_levenshtein(one, other) <= slips
    }
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
