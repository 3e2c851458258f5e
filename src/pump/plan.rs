//! [`Plan`]: what another rule set would change, said before it is put in force.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::Bundles as _;
use crate::model::{BundleId, Name, ReadError, Text, View as _, WindowKey};
use crate::rules::{Bundle, RuleSet};
use crate::store::State;

use super::library::Library;

/// Windows looked at: about 50 ms of the loop's time. With more, those beyond are not counted.
const WINDOWS: usize = 20_000;
/// Versions that are looked at, those with most runs first: an old one may have to be compiled, which takes a
/// millisecond.
const VERSIONS: usize = 64;
/// Windows read at a time.
const PAGE: usize = 1_000;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Every workflow and policy of either set, in order of name.
    pub changes: Vec<Change>,
}

/// What becomes of a workflow or policy.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its name.
    pub name: Name,
    /// Whether it is a policy.
    pub policy: bool,
    /// What becomes of it.
    pub what: What,
    /// Runs by version: those that live, and those that failed and may be retried. They keep theirs.
    pub versions: Vec<(BundleId, usize)>,
    /// Windows of its triggers that begin anew or end: what a count, an absence or a schedule remembers.
    pub timers: usize,
}

/// What becomes of a workflow or policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It is new.
    Added,
    /// It changes, or what it uses does.
    Changed,
    /// It stays as it is.
    Same,
    /// It is gone; its runs end with the version they have.
    Removed,
}

impl What {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Same => "same",
            Self::Removed => "removed",
        }
    }
}

/// Compares the rules in force with others.
pub(super) fn plan(
    state: &State,
    rules: &RuleSet,
    new: &RuleSet,
    library: &Library,
) -> Result<Plan, ReadError> {
    let mut versions: BTreeMap<(Name, bool), Vec<(BundleId, usize)>> = BTreeMap::new();
    let shelf = library.over(state);
    let mut pinned: Vec<(BundleId, usize)> = state.pinned().collect();
    pinned.sort_unstable_by_key(|(id, runs)| (std::cmp::Reverse(*runs), *id));
    for (id, runs) in pinned.into_iter().take(VERSIONS) {
        if let Some(bundle) = shelf.bundle(id) {
            versions.entry((bundle.name.clone(), bundle.policy)).or_default().push((id, runs));
        }
    }
    let timers = timers(state, rules, new)?;
    let of = |rules: &RuleSet| -> BTreeMap<(Name, bool), Arc<Bundle>> {
        let all = rules.workflows.values().chain(rules.policies.values());
        all.map(|bundle| ((bundle.name.clone(), bundle.policy), bundle.clone())).collect()
    };
    let (old, new) = (of(rules), of(new));
    let names: BTreeSet<&(Name, bool)> = old.keys().chain(new.keys()).collect();
    let changes = names.into_iter().map(|key| {
        let what = match (old.get(key), new.get(key)) {
            (None, _) => What::Added,
            (Some(_), None) => What::Removed,
            (Some(old), Some(new)) if old.id == new.id => What::Same,
            _ => What::Changed,
        };
        Change {
            name: key.0.clone(),
            policy: key.1,
            what,
            versions: versions.get(key).cloned().unwrap_or_default(),
            timers: timers.get(&key.0).copied().unwrap_or(0),
        }
    });
    Ok(Plan { changes: changes.collect() })
}

/// Windows of triggers that the other set does not have, by workflow.
fn timers(
    state: &State,
    rules: &RuleSet,
    new: &RuleSet,
) -> Result<BTreeMap<Name, usize>, ReadError> {
    let watched = |rules: &RuleSet, name: &str| -> BTreeSet<Text> {
        let triggers = rules.workflows.get(name).into_iter().flat_map(|one| &one.main.triggers);
        triggers.filter_map(|trigger| trigger.kind.window().cloned()).collect()
    };
    let gone: BTreeMap<&Name, BTreeSet<Text>> = rules
        .workflows
        .keys()
        .map(|name| (name, &watched(rules, name) - &watched(new, name)))
        .filter(|(_, gone)| !gone.is_empty())
        .collect();
    let mut counts = BTreeMap::new();
    let mut after: Option<WindowKey> = None;
    let mut looked = 0;
    while looked < WINDOWS && !gone.is_empty() {
        let page = state.windows(after.as_ref(), PAGE)?;
        for key in &page {
            if gone.get(&key.workflow).is_some_and(|gone| gone.contains(&key.what)) {
                *counts.entry(key.workflow.clone()).or_default() += 1;
            }
        }
        looked += page.len();
        if page.len() < PAGE {
            break;
        }
        after = page.last().cloned();
    }
    Ok(counts)
}
