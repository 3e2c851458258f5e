//! [`Known`]: which identities of events may be in the store.
//!
//! Every new event is looked up by its identity, and hardly any is there. The keys are random, so each
//! look would bring another page of sled in; and sled, when it meets a page that is too full, splits it
//! in the reader's thread, behind whatever is being written. So forty bits of each identity are kept in
//! memory, in some eight bytes, and only where these are met is the row looked for.
//!
//! A start does not wait for it: until all identities have been learned, page by page, every event is
//! looked up as ever.

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use crate::model::Digest;

/// Sets, so that none of them is so large that its growing holds anybody up.
const SETS: usize = 256;

/// See the file's description. Never says no to an identity that is there.
#[derive(Default)]
pub(super) struct Known {
    /// By the first byte of an identity, four more of it.
    sets: Vec<HashSet<u32, BuildHasherDefault<AsItIs>>>,
    /// Those that two identities share. They stay, whichever of the two goes.
    shared: BTreeSet<(u8, u32)>,
    /// Whether everything was learned.
    pub(super) is_complete: bool,
}

impl Known {
    /// One that is new, or learned from the store: once each.
    pub(super) fn add(&mut self, identity: Digest) {
        let (set, rest) = split(identity);
        if self.sets.is_empty() {
            self.sets.resize_with(SETS, HashSet::default);
        }
        if !self.sets[usize::from(set)].insert(rest) {
            self.shared.insert((set, rest));
        }
    }

    /// Until everything was learned nothing is taken out: it may not be in yet, and another in its place.
    pub(super) fn remove(&mut self, identity: Digest) {
        let (set, rest) = split(identity);
        if self.is_complete
            && let Some(found) = self.sets.get_mut(usize::from(set))
            && !self.shared.contains(&(set, rest))
        {
            found.remove(&rest);
        }
    }

    /// Whether there may be such an identity.
    pub(super) fn may_have(&self, identity: Digest) -> bool {
        let (set, rest) = split(identity);
        let has = || self.sets.get(usize::from(set)).is_some_and(|found| found.contains(&rest));
        !self.is_complete || has()
    }
}

/// The first bytes of an identity, which is a hash and so as random as any.
fn split(identity: Digest) -> (u8, u32) {
    let [set, a, b, c, d, ..] = identity.0;
    (set, u32::from_be_bytes([a, b, c, d]))
}

/// A hash of what is random already: all of it in both halves, as the table looks at either end.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = u64::from(number) << 32 | u64::from(number);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Few enough that forty bits are often shared by two.
    fn identity(no: u8) -> Digest {
        let mut bytes = [0; 16];
        bytes[0] = no & 1;
        bytes[4] = no >> 1 & 3;
        bytes[15] = no;
        Digest(bytes)
    }

    proptest! {
        #[test]
        fn it_never_denies_what_is_there(
            stored in prop::collection::btree_set(0_u8..32, 0..20),
            steps in prop::collection::vec((0_u8..32, any::<bool>()), 0..200),
            learned_at in 0_usize..200,
        ) {
            let mut known = Known::default();
            let mut there = stored.clone();
            for (at, (no, add)) in steps.into_iter().enumerate() {
                if at == learned_at {
                    // some of these are gone by now
                    for no in &stored {
                        known.add(identity(*no));
                    }
                    known.is_complete = true;
                }
                match add {
                    true if there.insert(no) => known.add(identity(no)),
                    false if there.remove(&no) => known.remove(identity(no)),
                    _ => {}
                }
                for no in &there {
                    prop_assert!(known.may_have(identity(*no)), "{no}");
                }
            }
        }
    }

    #[test]
    fn what_went_is_forgotten() {
        let mut known = Known { is_complete: true, ..Known::default() };
        assert!(!known.may_have(identity(1)));
        known.add(identity(1));
        assert!(known.may_have(identity(1)) && !known.may_have(identity(2)));
        known.remove(identity(1));
        assert!(!known.may_have(identity(1)));
    }
}
