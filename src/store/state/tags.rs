//! Rows of tags: a few bytes about each of a batch's new events, many in a row. A start reads them and
//! leaves the events where they are.
//!
//! ```text
//! KEY last                version, then for each event that has such a tag, oldest first:
//!                         how far its number lies below `last`: u16, the tag: N bytes
//! ```
//!
//! They are written in the commit of their events and go with them. Keys are as those of the events' own
//! rows: that of the last event that the row was made for. Numbers are big-endian.

use std::ops::Range;

use crate::model::{EventNo, ReadError};
use crate::store::codec;
use crate::store::keys;

use super::events::{Packed, reach};

/// Bytes before a tag.
const BELOW: usize = 2;

/// One sort of tags, of `N` bytes each.
pub(super) struct Tags<const N: usize> {
    /// What a row is called when it is damaged.
    pub(super) what: &'static str,
    /// Keys of the rows made for the events from the first up to, not including, the second.
    pub(super) keys: fn(EventNo, EventNo) -> Range<Vec<u8>>,
    /// Events of a row.
    pub(super) most: usize,
}

impl<const N: usize> Tags<N> {
    /// Where the row of an event is the first one.
    pub(super) fn range(&self, no: EventNo) -> Range<Vec<u8>> {
        (self.keys)(no, reach(no))
    }

    /// The tags of new events, oldest first, as rows.
    pub(super) fn pack(&self, tags: impl Iterator<Item = (EventNo, [u8; N])>) -> Vec<Packed> {
        let mut rows = Vec::new();
        let mut open: Vec<(EventNo, [u8; N])> = Vec::new();
        for (no, tag) in tags {
            let far = open.first().is_some_and(|(first, _)| no.0 - first.0 > u64::from(u16::MAX));
            if open.len() == self.most || far {
                rows.extend(self.close(&mut open));
            }
            open.push((no, tag));
        }
        rows.extend(self.close(&mut open));
        rows
    }

    fn close(&self, open: &mut Vec<(EventNo, [u8; N])>) -> Option<Packed> {
        let (last, _) = *open.last()?;
        let mut row = codec::begin();
        row.reserve_exact(open.len() * (BELOW + N));
        for (no, tag) in open.drain(..) {
            push(&mut row, last, no, tag);
        }
        Some(((self.keys)(last, last.next()).start, row))
    }

    /// Visits the events of a row, each with its tag.
    ///
    /// # Errors
    /// [`ReadError::Corrupt`] when the row is damaged.
    pub(super) fn each(
        &self,
        key: &[u8],
        row: &[u8],
        mut visit: impl FnMut(EventNo, [u8; N]),
    ) -> Result<(), ReadError> {
        let damaged = || ReadError::Corrupt(format!("{} is damaged", self.what).into());
        let last = keys::number_in(key).ok_or_else(damaged)?;
        let mut rest = codec::body(row, self.what)?;
        while let Some((below, behind)) = rest.split_first_chunk::<BELOW>() {
            let (tag, behind) = behind.split_first_chunk::<N>().ok_or_else(damaged)?;
            let below = u16::from_be_bytes(*below);
            visit(EventNo(last.checked_sub(below.into()).ok_or_else(damaged)?), *tag);
            rest = behind;
        }
        if rest.is_empty() { Ok(()) } else { Err(damaged()) }
    }

    /// The row without some events, given oldest first. `None`: nothing is left in it.
    ///
    /// # Errors
    /// As [`Tags::each`].
    pub(super) fn without(
        &self,
        key: &[u8],
        row: &[u8],
        gone: &[EventNo],
    ) -> Result<Option<Vec<u8>>, ReadError> {
        let last = EventNo(keys::number_in(key).unwrap_or_default());
        let mut left = codec::begin();
        let empty = left.len();
        self.each(key, row, |no, tag| {
            if gone.binary_search(&no).is_err() {
                push(&mut left, last, no, tag);
            }
        })?;
        Ok((left.len() > empty).then_some(left))
    }
}

fn push<const N: usize>(row: &mut Vec<u8>, last: EventNo, no: EventNo, tag: [u8; N]) {
    row.extend_from_slice(&((last.0 - no.0) as u16).to_be_bytes());
    row.extend_from_slice(&tag);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TAGS: Tags<3> = Tags { what: "a row of tags", keys: keys::subjects, most: 50 };

    fn all(rows: &[Packed]) -> Vec<(EventNo, [u8; 3])> {
        let mut found = Vec::new();
        for (key, row) in rows {
            TAGS.each(key, row, |no, tag| found.push((no, tag))).unwrap();
        }
        found
    }

    proptest! {
        #[test]
        fn what_is_packed_is_found_until_it_is_taken_out(
            steps in prop::collection::vec(
                (prop_oneof![9 => Just(1_u64), 1 => 1..200_000_u64], any::<[u8; 3]>()),
                1..200,
            ),
        ) {
            let mut no = 0;
            let tags = steps.into_iter().map(|(step, tag)| {
                no += step;
                (EventNo(no), tag)
            });
            let mut expected: Vec<_> = tags.collect();
            let mut rows = TAGS.pack(expected.iter().copied());
            prop_assert_eq!(all(&rows), &expected[..]);
            while let Some((no, _)) = expected.pop() {
                let at = rows.iter().position(|(key, _)| TAGS.range(no).contains(key)).unwrap();
                let (key, row) = rows.remove(at);
                if let Some(row) = TAGS.without(&key, &row, &[no]).unwrap() {
                    rows.insert(at, (key, row));
                }
                prop_assert_eq!(all(&rows), &expected[..]);
            }
            prop_assert!(rows.is_empty());
        }

        #[test]
        fn bytes_of_anything_are_tags_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let row = [&[1], bytes.as_slice()].concat();
            let read = TAGS.without(&keys::subject(EventNo(9)), &row, &[EventNo(9)]);
            prop_assert!(matches!(read, Ok(_) | Err(ReadError::Corrupt(_))));
        }
    }
}
