//! [`Library`]: the versions that living runs are pinned to, compiled when first needed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::Bundles;
use crate::model::BundleId;
use crate::rules::{Bundle, RuleSet};
use crate::store::State;

/// Old versions kept compiled: more than this in use at once is rare, and compiling takes about a
/// millisecond.
const OLD_VERSIONS: usize = 256;

/// Compiled bundles: those in force, and a bounded number of older ones.
pub struct Library {
    current: HashMap<BundleId, Arc<Bundle>>,
    old: Mutex<Old>,
}

#[derive(Default)]
struct Old {
    bundles: HashMap<BundleId, (Option<Arc<Bundle>>, u64)>,
    /// When each was used last.
    uses: BTreeMap<u64, BundleId>,
    clock: u64,
}

/// The library over a state, which has the sources of what is not compiled yet.
pub struct Shelf<'a> {
    library: &'a Library,
    state: &'a State,
}

impl Library {
    /// With the bundles of a rule set.
    #[must_use]
    pub fn new(rules: &RuleSet) -> Self {
        let all = rules.workflows.values().chain(rules.policies.values());
        Self {
            current: all.map(|bundle| (bundle.id, bundle.clone())).collect(),
            old: Mutex::default(),
        }
    }

    /// Takes the bundles of another rule set as those in force. The earlier ones may have runs, and are kept
    /// as other old versions are.
    pub(super) fn put_in_force(&mut self, rules: &RuleSet) {
        let new = Self::new(rules).current;
        let earlier = std::mem::replace(&mut self.current, new);
        let old = self.old.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (id, bundle) in earlier {
            if !self.current.contains_key(&id) {
                old.keep(id, Some(bundle));
            }
        }
    }

    /// Reading sources from `state`.
    #[must_use]
    pub fn over<'a>(&'a self, state: &'a State) -> Shelf<'a> {
        Shelf { library: self, state }
    }
}

impl Bundles for Shelf<'_> {
    fn bundle(&self, id: BundleId) -> Option<Arc<Bundle>> {
        if let Some(bundle) = self.library.current.get(&id) {
            return Some(bundle.clone());
        }
        let mut old = self.library.old.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((bundle, used)) = old.bundles.get(&id).cloned() {
            old.uses.remove(&used);
            old.keep(id, bundle.clone());
            return bundle;
        }
        let bundle = compile(self.state, id);
        old.keep(id, bundle.clone());
        bundle
    }
}

impl Old {
    fn keep(&mut self, id: BundleId, bundle: Option<Arc<Bundle>>) {
        self.clock += 1;
        self.uses.insert(self.clock, id);
        self.bundles.insert(id, (bundle, self.clock));
        while self.bundles.len() > OLD_VERSIONS {
            let Some((_, oldest)) = self.uses.pop_first() else { return };
            self.bundles.remove(&oldest);
        }
    }
}

fn compile(state: &State, id: BundleId) -> Option<Arc<Bundle>> {
    let source = match state.bundle_source(id) {
        Ok(source) => source?,
        Err(error) => {
            tracing::error!(%id, %error, "an older version of the rules could not be read");
            return None;
        }
    };
    match Bundle::decode(&source) {
        Ok(bundle) => Some(Arc::new(bundle)),
        Err(diagnostics) => {
            let first = diagnostics.first().map(|d| d.message.as_str()).unwrap_or_default();
            tracing::error!(%id, error = first, "an older version of the rules no longer compiles");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Write;
    use crate::rules::{Context, SourceFile, Sources};
    use crate::store::MemoryStore;

    fn rules(text: &str) -> RuleSet {
        let sources =
            Sources { rules: vec![SourceFile::new("rules/t.yaml", text)], ..Sources::default() };
        RuleSet::compile(&sources, &Context::default()).unwrap().0
    }

    fn version(n: usize) -> Arc<Bundle> {
        let text = format!("workflow: w\ntriggers: []\nsteps:\n  - log: version {n}\n");
        rules(&text).workflows["w"].clone()
    }

    #[test]
    fn old_versions_are_kept_in_a_bounded_number_the_latest_used_ones() {
        let (mut state, _) = State::load(Arc::new(MemoryStore::new())).unwrap();
        let library = Library::new(&rules("workflow: now\ntriggers: []\nsteps: [{ log: x }]\n"));
        let mut ids = Vec::new();
        for n in 0..OLD_VERSIONS + 10 {
            let bundle = version(n);
            let source = bundle.source.encode().into();
            state.apply(vec![Write::Bundle(bundle.id, source)]).unwrap();
            ids.push(bundle.id);
            assert_eq!(library.over(&state).bundle(bundle.id).map(|b| b.id), Some(bundle.id));
            // The first one is used all the time.
            assert!(library.over(&state).bundle(ids[0]).is_some());
        }
        let old = library.old.lock().unwrap();
        assert_eq!(old.bundles.len(), OLD_VERSIONS);
        assert_eq!(old.uses.len(), OLD_VERSIONS);
        assert!(old.bundles.contains_key(&ids[0]), "used latest");
        assert!(!old.bundles.contains_key(&ids[1]), "used longest ago");
        drop(old);
        let again = library.over(&state).bundle(ids[1]);
        assert_eq!(again.map(|bundle| bundle.id), Some(ids[1]), "compiled once more");
    }

    #[test]
    fn what_is_not_there_or_does_not_compile_is_none() {
        let (mut state, _) = State::load(Arc::new(MemoryStore::new())).unwrap();
        let library = Library::new(&rules("workflow: now\ntriggers: []\nsteps: [{ log: x }]\n"));
        let id = version(1).id;
        assert!(library.over(&state).bundle(id).is_none());
        let broken = version(2).id;
        let bytes: Arc<[u8]> = b"not a bundle".as_slice().into();
        state.apply(vec![Write::Bundle(broken, bytes)]).unwrap();
        assert!(library.over(&state).bundle(broken).is_none());
    }
}
