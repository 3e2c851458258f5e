//! [`mutate`]: whether the scenarios notice when a time in the rules is changed (mutation testing).
//!
//! Each time of a rule file is changed in the text, a unit down and a unit up; what sees the file is compiled
//! anew, and scenarios are played until one fails. A change that none notices is a promise that nobody holds
//! the rules to.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::{Name, Text};
use crate::rules::{Context, Diagnostic, RuleSet, SourceFile, Sources};

use super::play::{How, Pack, play};
use super::runner::{Ended, each};
use super::spots::{Excuse, Spot, spots};
use super::suite::{Found, Unit};

/// What there is to change, and who is to notice.
#[derive(Clone, Copy, Debug)]
pub struct Mutations<'m> {
    /// The rule files whose times are changed.
    pub files: &'m [SourceFile],
    /// The scenarios, and the rules that each of them sees.
    pub found: &'m Found,
    /// What came of the scenarios as the rules are, in their order: all of them pass.
    pub ended: &'m [Ended],
    /// What the configuration says that rules refer to.
    pub context: &'m Context,
}

/// What came of all changes.
#[derive(Clone, Debug, Default)]
pub struct Mutated {
    /// Times that were changed.
    pub times: usize,
    /// Changes that made a scenario fail.
    pub noticed: usize,
    /// Changes that the compiler refused, which is as good.
    pub refused: usize,
    /// Changes that no scenario noticed and nobody excused.
    pub unnoticed: usize,
    /// Changes that no scenario noticed, with the reason their author gives.
    pub excused: Vec<Excused>,
    /// Times with changes that nobody notices, and excuses that excuse nothing or say nothing; in order of place.
    pub diagnostics: Vec<Diagnostic>,
}

/// A time of which a comment says why nobody notices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excused {
    /// Its file.
    pub file: Text,
    /// Its bytes.
    pub at: Range<usize>,
    /// What was written there instead and made no difference.
    pub others: Vec<String>,
    /// Why.
    pub reason: String,
}

impl Mutated {
    /// Changes in all.
    #[must_use]
    pub fn changes(&self) -> usize {
        let excused: usize = self.excused.iter().map(|one| one.others.len()).sum();
        self.noticed + self.refused + self.unnoticed + excused
    }
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Refused,
    Noticed,
    Unnoticed,
}

/// A change.
struct Mutant<'m> {
    file: &'m SourceFile,
    spot: &'m Spot,
    other: &'m str,
}

impl Mutant<'_> {
    /// The file with the change in it.
    fn changed(&self) -> SourceFile {
        let (before, after) =
            (&self.file.text[..self.spot.at.start], &self.file.text[self.spot.at.end..]);
        SourceFile::new(self.file.name.clone(), [before, self.other, after].concat())
    }
}

/// Changes every time of the rule files, on so many threads; `told` of how many changes are done, of all there are.
#[must_use]
pub fn mutate(
    mutations: &Mutations<'_>,
    threads: usize,
    told: &(dyn Fn(usize, usize) + Sync),
) -> Mutated {
    let read: Vec<(&SourceFile, Vec<Spot>, Vec<Excuse>)> = mutations
        .files
        .iter()
        .map(|file| {
            let (spots, excuses) = spots(file);
            (file, spots, excuses)
        })
        .collect();
    let mutants: Vec<Mutant<'_>> = read
        .iter()
        .flat_map(|(file, spots, _)| spots.iter().map(move |spot| (*file, spot)))
        .flat_map(|(file, spot)| {
            spot.others.iter().map(move |other| Mutant { file, spot, other: other.as_str() })
        })
        .collect();
    let court = Court { mutations, last: Mutex::default() };
    let done = std::sync::atomic::AtomicUsize::new(0);
    told(0, mutants.len());
    let fates = each(mutants.len(), threads, &|at| court.try_one(&mutants[at]), &|_, _| {
        told(1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed), mutants.len());
    });
    // Rules that make the engine itself panic have been noticed.
    let mut fates = fates.into_iter().map(|fate| fate.unwrap_or(Fate::Noticed));
    let mut report = Mutated::default();
    for (file, spots, excuses) in &read {
        let mut used = vec![false; excuses.len()];
        for spot in spots {
            report.times += 1;
            let fates: Vec<Fate> = fates.by_ref().take(spot.others.len()).collect();
            report.spot(file, spot, &fates, excuses, &mut used);
        }
        report.excuses(file, excuses, &used);
    }
    report
}

impl Mutated {
    /// Takes in what came of the changes of one time.
    fn spot(
        &mut self,
        file: &SourceFile,
        spot: &Spot,
        fates: &[Fate],
        excuses: &[Excuse],
        used: &mut [bool],
    ) {
        let count = |fate: Fate| fates.iter().filter(|one| **one == fate).count();
        self.noticed += count(Fate::Noticed);
        self.refused += count(Fate::Refused);
        let pairs = spot.others.iter().zip(fates);
        let others: Vec<String> = pairs
            .filter(|(_, fate)| **fate == Fate::Unnoticed)
            .map(|(other, _)| other.clone())
            .collect();
        if others.is_empty() {
            return;
        }
        if let Some(at) = excuses.iter().position(|excuse| excuse.covers(spot)) {
            used[at] = true;
            let reason = excuses[at].reason.clone();
            let at = spot.at.clone();
            self.excused.push(Excused { file: file.name.clone(), at, others, reason });
            return;
        }
        self.unnoticed += others.len();
        let was = &file.text[spot.at.clone()];
        let instead: Vec<String> = others.iter().map(|other| format!("`{other}`")).collect();
        let message = format!("no scenario notices when `{was}` is {}", instead.join(" or "));
        let mut diagnostic = Diagnostic::error("unnoticed", &file.name, spot.at.clone(), message);
        diagnostic.help(
            "add entries to a scenario that see what happens right before this time and at it; \
             or say why nobody can, in a comment on the line: `# unnoticed: REASON`",
        );
        self.diagnostics.push(diagnostic);
    }

    /// Tells of excuses that are of no use.
    fn excuses(&mut self, file: &SourceFile, excuses: &[Excuse], used: &[bool]) {
        for (excuse, used) in excuses.iter().zip(used) {
            let (message, help) = if !used {
                let message = "this excuses nothing: every change of the times it is about is noticed, \
                               or there are none";
                (message, "remove the comment")
            } else if excuse.reason.is_empty() {
                ("this does not say why nobody notices", "write `# unnoticed: REASON`")
            } else {
                continue;
            };
            let at = excuse.at.clone();
            let mut diagnostic = Diagnostic::error("unnoticed-excuse", &file.name, at, message);
            diagnostic.help(help);
            self.diagnostics.push(diagnostic);
        }
    }
}

/// Tries changes.
struct Court<'m> {
    mutations: &'m Mutations<'m>,
    /// The scenario that noticed the last change of a document: it is likely to notice the next one too.
    last: Mutex<BTreeMap<(Text, Option<Name>), usize>>,
}

impl Court<'_> {
    fn try_one(&self, mutant: &Mutant<'_>) -> Fate {
        let changed = mutant.changed();
        let mut compiled = Compiled { court: self, changed: &changed, sets: Vec::new() };
        for at in self.order(mutant) {
            let unit = &self.mutations.found.units[at];
            let Some(pack) = compiled.pack(&unit.pack) else { return Fate::Refused };
            let hasty = How { hasty: true, ..How::default() };
            // An engine that could not go on is not what the scenario says either.
            if !play(&pack, &unit.scenario, &hasty).is_ok_and(|played| played.failures.is_empty()) {
                let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
                last.insert(key(mutant), at);
                return Fate::Noticed;
            }
        }
        Fate::Unnoticed
    }

    /// The scenarios that see the file: first the one that noticed the last change of this document, then those
    /// that reach it, the quick ones first. A document that is no workflow has an effect in any of them.
    fn order(&self, mutant: &Mutant<'_>) -> Vec<usize> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let last = last.get(&key(mutant)).copied();
        let Mutations { found, ended, .. } = self.mutations;
        let sees = |unit: &Unit| {
            let rules = std::iter::once(&unit.pack.rules).chain(unit.pack.reloads.values());
            rules.into_iter().any(|rules| self.sources(rules, &mutant.file.name).is_some())
        };
        let mut order: Vec<usize> =
            (0..found.units.len()).filter(|at| sees(&found.units[*at])).collect();
        let reaches = |at: usize| match (&ended[at].0, &mutant.spot.document) {
            (Ok(tried), Some(document)) => tried.reached.has(document),
            _ => false,
        };
        order.sort_by_key(|at| (Some(*at) != last, !reaches(*at), ended[*at].1));
        order
    }

    /// What rules were compiled from, if this file is a part of them.
    fn sources(&self, rules: &Arc<RuleSet>, file: &str) -> Option<&Arc<Sources>> {
        let mut sets = self.mutations.found.sets.iter();
        let (_, sources) = sets.find(|(compiled, _)| Arc::ptr_eq(compiled, rules))?;
        sources.rules.iter().any(|one| *one.name == *file).then_some(sources)
    }
}

fn key(mutant: &Mutant<'_>) -> (Text, Option<Name>) {
    (mutant.file.name.clone(), mutant.spot.document.clone())
}

/// Rule sets with one change in them, each compiled when it is first wanted.
struct Compiled<'c> {
    court: &'c Court<'c>,
    changed: &'c SourceFile,
    sets: Vec<(Arc<RuleSet>, Option<Arc<RuleSet>>)>,
}

impl Compiled<'_> {
    /// A pack with the change in it; `None` if it does not compile.
    fn pack(&mut self, pack: &Pack) -> Option<Pack> {
        let rules = self.rules(&pack.rules)?;
        let mut reloads = BTreeMap::new();
        for (folder, rules) in &pack.reloads {
            reloads.insert(folder.clone(), self.rules(rules)?);
        }
        Some(Pack { rules, nothing: pack.nothing.clone(), reloads })
    }

    fn rules(&mut self, rules: &Arc<RuleSet>) -> Option<Arc<RuleSet>> {
        let Some(sources) = self.court.sources(rules, &self.changed.name) else {
            return Some(rules.clone());
        };
        let known = self.sets.iter().find(|(unchanged, _)| Arc::ptr_eq(unchanged, rules));
        if let Some((_, known)) = known {
            return known.clone();
        }
        let mut sources = Sources::clone(sources);
        for file in sources.rules.iter_mut().filter(|file| file.name == self.changed.name) {
            file.clone_from(self.changed);
        }
        let compiled = RuleSet::compile(&sources, self.court.mutations.context);
        let compiled = compiled.ok().map(|(rules, _)| Arc::new(rules));
        self.sets.push((rules.clone(), compiled.clone()));
        compiled
    }
}
