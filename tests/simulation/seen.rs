//! What stories came to, so that it is noticed when a change of the grammar leaves something out.

use std::collections::{BTreeMap, BTreeSet};

use adjutant::model::{Name, Run, StoredEvent, Trace};
use adjutant::rules::RuleSet;

/// What a thousand stories have to come to: steps, what happened to runs, what became of events.
const EVERYTHING: [&str; 54] = [
    "metric",
    "script",
    "action",
    "email",
    "webhook",
    "escalate",
    "call",
    "record",
    "delay",
    "wait_for",
    "branch",
    "foreach",
    "parallel",
    "emit",
    "vars",
    "rhai",
    "log",
    "stop",
    "fail",
    "level",
    "summit",
    "Began",
    "Queued",
    "Done",
    "Skipped",
    "Branch",
    "Waiting",
    "Woken",
    "TimedOut",
    "Attempt",
    "Retrying",
    "Repeated",
    "Held",
    "Suppressed",
    "Called",
    "Returned",
    "Level",
    "Acknowledged",
    "Resolved",
    "Failed",
    "Operator",
    "Ended",
    "Moved",
    "fired",
    "busy",
    "woke",
    "exited",
    "resolved",
    "throttled",
    "rested",
    "noted",
    "if",
    "where",
    "own",
];

/// See the file's description.
#[derive(Default)]
pub(crate) struct Seen {
    words: BTreeSet<&'static str>,
    /// Of the workflows in force: the kinds of their steps.
    steps: BTreeMap<Name, Vec<&'static str>>,
}

impl Seen {
    pub(crate) fn in_force(&mut self, rules: &RuleSet) {
        let bundles = rules.workflows.iter().chain(&rules.policies);
        let kinds = bundles.map(|(name, bundle)| {
            let steps = bundle.main.steps.iter().map(|step| step.action.key());
            (name.clone(), steps.collect())
        });
        self.steps = kinds.collect();
    }

    /// What happened in a run since it was as it was before.
    pub(crate) fn run(&mut self, old: Option<&Run>, new: &Run) {
        let known = old.map_or(0, |old| old.spilled as usize + old.trace.len());
        let steps = self.steps.get(&new.workflow);
        for entry in new.trace.iter().skip(known.saturating_sub(new.spilled as usize)) {
            self.words.insert(word(&entry.what));
            let kind = steps.and_then(|steps| steps.get(entry.pc as usize));
            self.words.extend(kind);
        }
    }

    pub(crate) fn event(&mut self, stored: &StoredEvent) {
        self.words.extend(stored.verdicts.iter().map(|verdict| verdict.code.as_str()));
    }

    pub(crate) fn words(&self) -> &BTreeSet<&'static str> {
        &self.words
    }
}

/// What is missing of everything.
pub(crate) fn missing(words: &BTreeSet<&'static str>) -> Vec<&'static str> {
    EVERYTHING.into_iter().filter(|word| !words.contains(word)).collect()
}

fn word(what: &Trace) -> &'static str {
    match what {
        Trace::Began(_) => "Began",
        Trace::Queued => "Queued",
        Trace::Done(_) => "Done",
        Trace::Skipped(_) => "Skipped",
        Trace::Branch(_) => "Branch",
        Trace::Waiting(..) => "Waiting",
        Trace::Woken(_) => "Woken",
        Trace::TimedOut => "TimedOut",
        Trace::Attempt(..) => "Attempt",
        Trace::Retrying(..) => "Retrying",
        Trace::Repeated(..) => "Repeated",
        Trace::Held(..) => "Held",
        Trace::Suppressed(_) => "Suppressed",
        Trace::Called(_) => "Called",
        Trace::Returned(..) => "Returned",
        Trace::Level(_) => "Level",
        Trace::Acknowledged(_) => "Acknowledged",
        Trace::Resolved(_) => "Resolved",
        Trace::Failed(..) => "Failed",
        Trace::Operator(_) => "Operator",
        Trace::Ended(..) => "Ended",
        Trace::Moved(_) => "Moved",
    }
}
