//! Under which identities events are known.
//!
//! On disk they are [tags](super::tags) of their events, so that they lie together, are written forward
//! and go with them: a key of its own for each would be a random one, and bring another page of the
//! store in for every event that comes and for every one that goes. In memory [`Known`] leads from an
//! identity to the events that may have it: forty bits of it and the lower half of a number, in some
//! fourteen bytes.
//!
//! The first version had a row for each identity, under it. Such rows are read where there are any, and
//! go with their events.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use crate::model::{Digest, EventNo, ReadError};
use crate::store::{codec, keys};

use super::State;
use super::events::Packed;
use super::tags::Tags;

/// An identity, then its fingerprint. A row is as long as other rows of events are.
pub(super) const IDENTITIES: Tags<32> =
    Tags { what: "a row of identities", keys: keys::event_identities, most: 24 };

/// New events, oldest first, each with its identity and its fingerprint, as rows.
pub(in crate::store) fn pack<'a>(
    events: impl Iterator<Item = (&'a EventNo, &'a (Digest, Digest))>,
) -> Vec<Packed> {
    IDENTITIES.pack(events.map(|(no, (identity, fingerprint))| {
        let mut tag = [0; 32];
        tag[..16].copy_from_slice(&identity.0);
        tag[16..].copy_from_slice(&fingerprint.0);
        (*no, tag)
    }))
}

/// The identity and the fingerprint of a tag.
pub(super) fn of_tag(tag: [u8; 32]) -> (Digest, Digest) {
    let (mut identity, mut fingerprint) = (Digest([0; 16]), Digest([0; 16]));
    identity.0.copy_from_slice(&tag[..16]);
    fingerprint.0.copy_from_slice(&tag[16..]);
    (identity, fingerprint)
}

impl State {
    /// The event known under an identity, and its fingerprint.
    pub(super) fn event_known_as(
        &self,
        identity: Digest,
    ) -> Result<Option<(EventNo, Digest)>, ReadError> {
        for no in self.index.known.find(identity, self.counters.event) {
            let (found, fingerprint) = match self.current.identities.get(&no) {
                Some(found) => *found,
                None => match self.identity_row(no, identity)? {
                    Some(found) => found,
                    None => continue,
                },
            };
            if found == identity {
                return Ok(Some((no, fingerprint)));
            }
        }
        Ok(None)
    }

    /// The identity and the fingerprint of an event that has its row.
    fn identity_row(
        &self,
        no: EventNo,
        identity: Digest,
    ) -> Result<Option<(Digest, Digest)>, ReadError> {
        let mut found = None;
        if let Some((key, row)) = self.rows(&IDENTITIES.range(no), 1)?.pop() {
            IDENTITIES.each(&key, &row, |at, tag| {
                if at == no {
                    found = Some(of_tag(tag));
                }
            })?;
        }
        if found.is_some() || !self.index.known.has_old_rows {
            return Ok(found);
        }
        let row = self.row(&keys::identity(identity))?;
        let known = row.map(|row| codec::decode::<(EventNo, Digest)>(&row, "an event's identity"));
        let known = known.transpose()?.filter(|(known, _)| *known == no);
        Ok(known.map(|(_, fingerprint)| (identity, fingerprint)))
    }
}

/// Parts, so that none of them is so large that its growing holds anybody up.
const PARTS: usize = 256;

/// See the file's description.
#[derive(Default)]
pub(super) struct Known {
    /// By the first byte of an identity and the four that follow: the lower half of an event's number.
    parts: Vec<HashMap<u32, u32, BuildHasherDefault<AsItIs>>>,
    /// Further events whose identities begin with the same forty bits.
    more: BTreeMap<(u8, u32), Vec<u32>>,
    /// Whether the store has rows of the first version.
    pub(super) has_old_rows: bool,
}

impl Known {
    /// An event has this identity. No two have the same.
    pub(super) fn add(&mut self, identity: Digest, no: EventNo) {
        let (part, rest) = split(identity);
        if self.parts.is_empty() {
            self.parts.resize_with(PARTS, HashMap::default);
        }
        let low = no.0 as u32;
        if let Some(other) = self.parts[usize::from(part)].insert(rest, low) {
            self.more.entry((part, rest)).or_default().push(other);
        }
    }

    /// The event has gone.
    pub(super) fn remove(&mut self, identity: Digest, no: EventNo) {
        let (part, rest) = split(identity);
        let Some(found) = self.parts.get_mut(usize::from(part)) else { return };
        let low = no.0 as u32;
        let more = self.more.get_mut(&(part, rest));
        match (found.get(&rest) == Some(&low), more) {
            (true, None) => drop(found.remove(&rest)),
            (true, Some(more)) => match more.pop() {
                Some(other) => drop(found.insert(rest, other)),
                None => drop(found.remove(&rest)),
            },
            (false, Some(more)) => more.retain(|other| *other != low),
            (false, None) => {}
        }
        if self.more.get(&(part, rest)).is_some_and(Vec::is_empty) {
            self.more.remove(&(part, rest));
        }
    }

    /// Events that may have this identity. All numbers given are below `next`, and no event is kept
    /// until four billion later ones have come.
    fn find(&self, identity: Digest, next: EventNo) -> impl Iterator<Item = EventNo> {
        let (part, rest) = split(identity);
        let first = self.parts.get(usize::from(part)).and_then(|found| found.get(&rest));
        let more = first.and_then(|_| self.more.get(&(part, rest)));
        let low = first.into_iter().chain(more.into_iter().flatten());
        low.map(move |low| EventNo(next.0 - u64::from((next.0 as u32).wrapping_sub(*low))))
    }
}

/// The first bytes of an identity, which is a hash and so as random as any.
fn split(identity: Digest) -> (u8, u32) {
    let [part, a, b, c, d, ..] = identity.0;
    (part, u32::from_be_bytes([a, b, c, d]))
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
    use std::collections::BTreeMap;
    use std::collections::btree_map::Entry;

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
        fn it_leads_to_every_event_that_is_there_and_to_none_that_went(
            first in prop_oneof![Just(1_u64), Just(u64::from(u32::MAX) - 20)],
            steps in prop::collection::vec((0_u8..32, any::<bool>()), 0..200),
        ) {
            let mut known = Known::default();
            let mut there = BTreeMap::new();
            let mut next = EventNo(first);
            for (which, add) in steps {
                if !add {
                    if let Some(no) = there.remove(&which) {
                        known.remove(identity(which), no);
                    }
                } else if let Entry::Vacant(free) = there.entry(which) {
                    known.add(identity(which), next);
                    free.insert(next);
                    next = next.next();
                }
                for which in 0..32 {
                    let mut found: Vec<_> = known.find(identity(which), next).collect();
                    found.sort_unstable();
                    let same = there.iter().filter(|(other, _)| split(identity(**other)) == split(identity(which)));
                    let mut expected: Vec<_> = same.map(|(_, no)| *no).collect();
                    expected.sort_unstable();
                    prop_assert_eq!(found, expected);
                }
            }
            for (which, no) in there {
                known.remove(identity(which), no);
            }
            prop_assert!(known.more.is_empty() && known.parts.iter().all(HashMap::is_empty));
        }
    }

    #[test]
    fn what_an_event_does_not_have_is_not_taken_from_it() {
        let mut known = Known::default();
        known.add(identity(1), EventNo(5));
        // an event that a run emitted has no identity of its own, and may look like another's
        known.remove(identity(1), EventNo(6));
        known.remove(identity(3), EventNo(5));
        assert_eq!(known.find(identity(1), EventNo(9)).collect::<Vec<_>>(), [EventNo(5)]);
    }
}
