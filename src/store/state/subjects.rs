//! Rows of subjects: which of a batch's new events are about what. A start reads these five bytes an event
//! and leaves the events where they are.
//!
//! ```text
//! s last                  version, then for each event that has a subject, oldest first:
//!                         how far its number lies below `last`: u16, hash of its subject: 3 bytes
//! ```
//!
//! They are written in the commit of their events and go with them. Keys are as those of the events' own
//! rows, numbers are big-endian, and the hash is the lower half and a half of CRC-32.

use std::ops::Range;

use crate::model::{EventNo, ReadError, StoredEvent};
use crate::store::{codec, keys};

use super::events::{Packed, reach};

/// Events of a row: what a batch under load brings.
const MOST: usize = 256;
/// Bytes of an event.
const ENTRY: usize = 5;

/// A hash of 24 bits, the same for ever.
pub(super) fn hash(subject: &str) -> u64 {
    u64::from(crc32fast::hash(subject.as_bytes()) & 0x00ff_ffff)
}

/// Where the row of an event is the first one.
pub(super) fn range(no: EventNo) -> Range<Vec<u8>> {
    keys::subjects(no, reach(no))
}

/// New events, oldest first, as rows.
pub(in crate::store) fn pack<'a>(events: impl Iterator<Item = &'a StoredEvent>) -> Vec<Packed> {
    let entry = |stored: &StoredEvent| {
        let subject = stored.event.subject.as_deref()?;
        Some((stored.event.no, hash(subject)))
    };
    let mut rows = Vec::new();
    let mut open: Vec<(EventNo, u64)> = Vec::new();
    for (no, hash) in events.filter_map(entry) {
        let far = open.first().is_some_and(|(first, _)| no.0 - first.0 > u64::from(u16::MAX));
        if open.len() == MOST || far {
            rows.extend(close(&mut open));
        }
        open.push((no, hash));
    }
    rows.extend(close(&mut open));
    rows
}

fn close(open: &mut Vec<(EventNo, u64)>) -> Option<Packed> {
    let (last, _) = *open.last()?;
    let mut row = codec::begin();
    for (no, hash) in open.drain(..) {
        push(&mut row, last, no, hash);
    }
    row.shrink_to_fit();
    Some((keys::subject(last), row))
}

fn push(row: &mut Vec<u8>, last: EventNo, no: EventNo, hash: u64) {
    row.extend_from_slice(&((last.0 - no.0) as u16).to_be_bytes());
    let [.., a, b, c] = hash.to_be_bytes();
    row.extend_from_slice(&[a, b, c]);
}

/// Visits the events of a row, each with the hash of its subject.
///
/// # Errors
/// [`ReadError::Corrupt`] when the row is damaged.
pub(super) fn each(
    key: &[u8],
    row: &[u8],
    mut visit: impl FnMut(EventNo, u64),
) -> Result<(), ReadError> {
    let damaged = || ReadError::Corrupt("a row of subjects is damaged".into());
    let last = keys::number_in(key).ok_or_else(damaged)?;
    let (entries, rest) = codec::body(row, "a row of subjects")?.as_chunks::<ENTRY>();
    for [far, near, a, b, c] in entries {
        let below = u16::from_be_bytes([*far, *near]);
        let no = last.checked_sub(below.into()).ok_or_else(damaged)?;
        visit(EventNo(no), u64::from(u32::from_be_bytes([0, *a, *b, *c])));
    }
    if rest.is_empty() { Ok(()) } else { Err(damaged()) }
}

/// The row without some events, given oldest first. `None`: nothing is left in it.
///
/// # Errors
/// As [`each`].
pub(super) fn without(
    key: &[u8],
    row: &[u8],
    gone: &[EventNo],
) -> Result<Option<Vec<u8>>, ReadError> {
    let last = EventNo(keys::number_in(key).unwrap_or_default());
    let mut left = codec::begin();
    let empty = left.len();
    each(key, row, |no, hash| {
        if gone.binary_search(&no).is_err() {
            push(&mut left, last, no, hash);
        }
    })?;
    Ok((left.len() > empty).then_some(left))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::events::tests::events;
    use super::*;

    fn all(rows: &[Packed]) -> Vec<(EventNo, u64)> {
        let mut found = Vec::new();
        for (key, row) in rows {
            each(key, row, |no, hash| found.push((no, hash))).unwrap();
        }
        found
    }

    proptest! {
        #[test]
        fn what_is_packed_is_found_until_it_is_taken_out(
            seed: u64,
            steps in prop::collection::vec(prop_oneof![9 => Just(1_u64), 1 => 1..200_000_u64], 1..600),
        ) {
            let events = events(seed, &steps);
            let mut rows = pack(events.iter());
            let subjects = events.iter().filter_map(|stored| {
                Some((stored.event.no, hash(stored.event.subject.as_deref()?)))
            });
            let mut expected: Vec<_> = subjects.collect();
            prop_assert_eq!(all(&rows), &expected[..]);
            while let Some((no, _)) = expected.pop() {
                let at = rows.iter().position(|(key, _)| range(no).contains(key)).unwrap();
                let (key, row) = rows.remove(at);
                if let Some(row) = without(&key, &row, &[no]).unwrap() {
                    rows.insert(at, (key, row));
                }
                prop_assert_eq!(all(&rows), &expected[..]);
            }
            prop_assert!(rows.is_empty());
        }

        #[test]
        fn bytes_of_anything_are_subjects_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let row = [&[1], bytes.as_slice()].concat();
            let read = without(&keys::subject(EventNo(9)), &row, &[EventNo(9)]);
            prop_assert!(matches!(read, Ok(_) | Err(ReadError::Corrupt(_))));
        }
    }

    #[test]
    fn a_hash_is_the_same_for_ever() {
        assert_eq!(hash("123456789"), 0x00f4_3926, "the check value of CRC-32 is cbf43926");
    }
}
