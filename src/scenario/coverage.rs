//! [`Coverage`]: which steps and branches no scenario has reached.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{Name, Text, Trace, TraceEntry};
use crate::rules::{Action, Bundle, RuleSet, Step, Workflow};

/// What happened at steps, by workflow and place in its list.
#[derive(Clone, Debug, Default)]
pub struct Reached(BTreeMap<Name, BTreeMap<u32, BTreeSet<What>>>);

/// What can happen at a step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// It was begun or done.
    Done,
    /// Its `if` was false.
    Skipped,
    /// The time was up.
    TimedOut,
    /// An event came.
    Woken,
    /// A branch was chosen, or none, in the words of the story.
    Branch(Text),
}

impl Reached {
    /// Takes note of an entry of a run's story.
    pub(super) fn note(&mut self, workflow: &Name, entry: &TraceEntry) {
        let what = match &entry.what {
            Trace::Skipped(_) => What::Skipped,
            Trace::TimedOut => What::TimedOut,
            Trace::Woken(_) => What::Woken,
            Trace::Branch(text) => {
                // What follows the label differs from run to run.
                What::Branch(text.split_once(':').map_or(&**text, |(label, _)| label).into())
            }
            Trace::Began(_) | Trace::Queued | Trace::Operator(_) | Trace::Moved(_) => return,
            // A `stop` leaves nothing else; where a run was ended from outside, it had begun to wait.
            _ => What::Done,
        };
        let steps = match self.0.get_mut(workflow) {
            Some(steps) => steps,
            None => self.0.entry(workflow.clone()).or_default(),
        };
        steps.entry(entry.pc).or_default().insert(what);
    }

    /// Takes over what another play reached.
    pub fn add(&mut self, other: &Self) {
        other.0.keys().for_each(|workflow| self.add_of(workflow, other));
    }

    /// The same of one workflow.
    fn add_of(&mut self, workflow: &Name, other: &Self) {
        let own = self.0.entry(workflow.clone()).or_default();
        for (pc, what) in other.0.get(workflow).into_iter().flatten() {
            own.entry(*pc).or_default().extend(what.iter().cloned());
        }
    }

    /// Whether a step of this workflow or policy was reached.
    pub(super) fn has(&self, workflow: &str) -> bool {
        self.0.contains_key(workflow)
    }

    fn at(&self, workflow: &str, pc: u32) -> impl Iterator<Item = &What> {
        self.0.get(workflow).and_then(|steps| steps.get(&pc)).into_iter().flatten()
    }
}

/// What no scenario has reached of a workflow.
#[derive(Clone, Debug)]
pub struct Coverage {
    /// The workflow or policy.
    pub workflow: Name,
    /// Its file, as shown to people.
    pub file: Text,
    /// Steps and branches that there are.
    pub all: usize,
    /// Those that were not reached.
    pub missing: Vec<Unreached>,
}

/// A step or a branch that was not reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// Where it stands: `steps[3].then[0]`.
    pub path: Text,
    /// Its main key.
    pub action: &'static str,
    /// Its line in the file.
    pub line: u32,
    /// What did not happen there.
    pub what: String,
    /// How many of [`Coverage::all`] that is.
    pub count: usize,
}

impl Coverage {
    /// Of every workflow and policy of some rule sets, in order of file and name. The same workflow in
    /// several sets counts once, and as reached by the plays of any of them.
    #[must_use]
    pub fn of(tried: &[(&RuleSet, &Reached)]) -> Vec<Self> {
        let mut known: BTreeMap<(Text, Name), (&Arc<Bundle>, Reached)> = BTreeMap::new();
        for (rules, reached) in tried {
            for bundle in rules.workflows.values().chain(rules.policies.values()) {
                let file = Text::from(bundle.file_of(&bundle.name));
                let entry = known.entry((file, bundle.name.clone()));
                entry
                    .or_insert_with(|| (bundle, Reached::default()))
                    .1
                    .add_of(&bundle.name, reached);
            }
        }
        known
            .into_iter()
            .map(|((file, _), (bundle, reached))| Self::one(file, bundle, &reached))
            .collect()
    }

    fn one(file: Text, bundle: &Bundle, reached: &Reached) -> Self {
        let workflow: &Workflow = &bundle.main;
        let mut all = 0;
        let mut missing = Vec::new();
        for (pc, step) in workflow.steps.iter().enumerate() {
            let pc = u32::try_from(pc).unwrap_or(u32::MAX);
            let seen: BTreeSet<&What> = reached.at(&workflow.name, pc).collect();
            let wanted = wanted(step);
            all += wanted.len();
            if seen.is_empty() {
                // One line says it all.
                if !wanted.is_empty() {
                    missing.push(unreached(step, "never reached".to_owned(), wanted.len()));
                }
                continue;
            }
            for (what, said) in wanted {
                if !what.is_among(&seen) {
                    missing.push(unreached(step, said, 1));
                }
            }
        }
        Self { workflow: workflow.name.clone(), file, all, missing }
    }

    /// How many of all were reached.
    #[must_use]
    pub fn reached(&self) -> usize {
        self.all - self.missing.iter().map(|one| one.count).sum::<usize>()
    }
}

/// What may be wanted of a step.
enum Wanted {
    /// This.
    Is(What),
    /// Anything but that its `if` was false.
    Begun,
    /// No branch matched.
    NoBranch(Vec<Text>),
}

impl Wanted {
    fn is_among(&self, seen: &BTreeSet<&What>) -> bool {
        match self {
            Self::Is(what) => seen.contains(what),
            Self::Begun => seen.iter().any(|what| match what {
                What::Skipped => false,
                What::Branch(text) => &**text != "left out",
                _ => true,
            }),
            Self::NoBranch(labels) => {
                seen.iter().any(|what| matches!(what, What::Branch(text) if !labels.contains(text)))
            }
        }
    }
}

fn wanted(step: &Step) -> Vec<(Wanted, String)> {
    let mut wanted = Vec::new();
    match &step.action {
        // Made by the compiler: a ladder that has come to its end.
        Action::Summit => return wanted,
        Action::Branch(arms) => {
            for arm in arms {
                let what = Wanted::Is(What::Branch(arm.label.clone()));
                wanted.push((what, format!("`{}` never taken", arm.label)));
            }
            if arms.iter().all(|arm| arm.condition.is_some()) {
                let labels = arms.iter().map(|arm| arm.label.clone()).collect();
                wanted.push((Wanted::NoBranch(labels), "its condition was never false".to_owned()));
            }
        }
        Action::WaitFor { .. } => {
            wanted.push((Wanted::Is(What::Woken), "the event never came".to_owned()));
            wanted.push((Wanted::Is(What::TimedOut), "never timed out".to_owned()));
        }
        _ => wanted.push((Wanted::Begun, "never done: its `if` was always false".to_owned())),
    }
    if step.guard.is_some() {
        wanted.push((Wanted::Is(What::Skipped), "its `if` was never false".to_owned()));
    }
    wanted
}

fn unreached(step: &Step, what: String, count: usize) -> Unreached {
    Unreached { path: step.path.clone(), action: step.action.key(), line: step.line, what, count }
}
