//! Rows of events: those that were new in a batch lie a few in a row, since a row of sled costs more
//! than the bytes in it, in time and in memory.
//!
//! ```text
//! e last                  version, then for each event, oldest first:
//!                         how far its number lies below `last`: u16, length: u32, event
//! ```
//!
//! The key is that of the last event that the row was made for, so an event is in the first row whose
//! key is not below its own. Numbers are big-endian; an event is as [`codec::push`] writes it.

use std::ops::Range;

use crate::model::{EventNo, ReadError, StoredEvent};
use crate::store::{codec, keys};

/// Bytes of a row that takes no further event. Longer rows would be fewer, but up to sixteen of them are
/// on a page of sled, whose cache overlooks the last 64 pages read in each of its 256 parts.
const ENOUGH: usize = 768;
/// Bytes before an event.
const FRAME: usize = 6;

/// A row and its key.
pub(in crate::store) type Packed = (Vec<u8>, Vec<u8>);

/// Where the row of an event is the first one.
pub(super) fn range(no: EventNo) -> Range<Vec<u8>> {
    keys::events(no, reach(no))
}

/// Past the last number whose row can hold the event `no`.
pub(super) fn reach(no: EventNo) -> EventNo {
    EventNo(no.0.saturating_add(u64::from(u16::MAX)).saturating_add(1))
}

/// The events of a row, each with its bytes.
///
/// # Errors
/// [`ReadError::Corrupt`] when the row is damaged.
pub(super) fn unpack<'a>(key: &[u8], row: &'a [u8]) -> Result<Vec<(EventNo, &'a [u8])>, ReadError> {
    let mut events = Vec::new();
    each(key, row, |no, event| {
        events.push((no, event));
        true
    })?;
    Ok(events)
}

/// Visits the events of a row, each with its bytes, until `visit` says false.
///
/// # Errors
/// As [`unpack`].
pub(super) fn each<'a>(
    key: &[u8],
    row: &'a [u8],
    mut visit: impl FnMut(EventNo, &'a [u8]) -> bool,
) -> Result<(), ReadError> {
    let damaged = || ReadError::Corrupt("a row of events is damaged".into());
    let last = keys::number_in(key).ok_or_else(damaged)?;
    let mut rest = codec::body(row, "an event")?;
    while let Some((frame, behind)) = rest.split_first_chunk::<FRAME>() {
        let [a, b, length @ ..] = *frame;
        let no = last.checked_sub(u16::from_be_bytes([a, b]).into()).ok_or_else(damaged)?;
        let length = u32::from_be_bytes(length) as usize;
        let (event, behind) = behind.split_at_checked(length).ok_or_else(damaged)?;
        if !visit(EventNo(no), event) {
            return Ok(());
        }
        rest = behind;
    }
    if rest.is_empty() { Ok(()) } else { Err(damaged()) }
}

/// One event of a row.
///
/// # Errors
/// As [`unpack`].
pub(super) fn find(key: &[u8], row: &[u8], no: EventNo) -> Result<Option<StoredEvent>, ReadError> {
    let mut found = None;
    each(key, row, |at, event| {
        found = (at == no).then_some(event);
        found.is_none()
    })?;
    found.map(|event| codec::decode_body(event, "an event")).transpose()
}

/// New events, oldest first, as rows.
pub(in crate::store) fn pack<'a>(events: impl Iterator<Item = &'a StoredEvent>) -> Vec<Packed> {
    let mut rows = Vec::new();
    let mut open: Vec<(EventNo, Vec<u8>)> = Vec::new();
    let mut bytes = 0;
    for stored in events {
        let no = stored.event.no;
        let far = open.first().is_some_and(|(first, _)| no.0 - first.0 > u64::from(u16::MAX));
        if bytes >= ENOUGH || far {
            rows.extend(close(&mut open));
            bytes = 0;
        }
        let mut event = Vec::new();
        codec::push(&mut event, stored);
        bytes += event.len();
        open.push((no, event));
    }
    rows.extend(close(&mut open));
    rows
}

fn close(open: &mut Vec<(EventNo, Vec<u8>)>) -> Option<Packed> {
    let (last, _) = open.last()?;
    let last = *last;
    let mut row = codec::begin();
    for (no, event) in open.drain(..) {
        frame(&mut row, last, no, event.len());
        row.extend_from_slice(&event);
    }
    row.shrink_to_fit();
    Some((keys::event(last), row))
}

fn frame(row: &mut Vec<u8>, last: EventNo, no: EventNo, length: usize) {
    row.extend_from_slice(&((last.0 - no.0) as u16).to_be_bytes());
    row.extend_from_slice(&(length as u32).to_be_bytes());
}

/// The row with an event changed or put in.
///
/// # Errors
/// As [`unpack`].
pub(super) fn change(key: &[u8], row: &[u8], event: &StoredEvent) -> Result<Vec<u8>, ReadError> {
    let no = event.event.no;
    let mut bytes = Vec::new();
    codec::push(&mut bytes, event);
    let mut events = unpack(key, row)?;
    match events.binary_search_by_key(&no, |(at, _)| *at) {
        Ok(place) => events[place].1 = &bytes,
        Err(place) => events.insert(place, (no, &bytes)),
    }
    Ok(repack(key, &events))
}

/// The row without some events, given oldest first. `None`: nothing is left in it.
///
/// # Errors
/// As [`unpack`].
pub(super) fn without(
    key: &[u8],
    row: &[u8],
    gone: &[EventNo],
) -> Result<Option<Vec<u8>>, ReadError> {
    let mut events = unpack(key, row)?;
    events.retain(|(no, _)| gone.binary_search(no).is_err());
    Ok((!events.is_empty()).then(|| repack(key, &events)))
}

fn repack(key: &[u8], events: &[(EventNo, &[u8])]) -> Vec<u8> {
    let mut row = codec::begin();
    // [`unpack`] has found a number in it
    let last = EventNo(keys::number_in(key).unwrap_or_default());
    for (no, bytes) in events {
        frame(&mut row, last, *no, bytes.len());
        row.extend_from_slice(bytes);
    }
    row
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::store::samples::Samples;

    /// Events with rising numbers.
    pub(in super::super) fn events(seed: u64, steps: &[u64]) -> Vec<StoredEvent> {
        let mut s = Samples::new(seed);
        let numbers = steps.iter().scan(0, |no, step| {
            *no += step;
            Some(*no)
        });
        let event = |no| {
            let mut stored = s.event();
            Arc::make_mut(&mut stored.event).no = EventNo(no);
            stored
        };
        numbers.map(event).collect()
    }

    fn all(rows: &[Packed]) -> Vec<StoredEvent> {
        let events = rows.iter().flat_map(|(key, row)| unpack(key, row).unwrap());
        events.map(|(_, event)| codec::decode_body(event, "an event").unwrap()).collect()
    }

    proptest! {
        #[test]
        fn what_is_packed_is_found(
            seed: u64,
            steps in prop::collection::vec(prop_oneof![9 => Just(1_u64), 1 => 1..200_000_u64], 1..40),
        ) {
            let events = events(seed, &steps);
            let rows = pack(events.iter());
            prop_assert_eq!(all(&rows), &events[..]);
            for event in &events {
                let no = event.event.no;
                let (key, row) = rows.iter().find(|(key, _)| range(no).contains(key)).unwrap();
                let found = find(key, row, no).unwrap();
                prop_assert_eq!(found.as_ref(), Some(event));
            }
        }

        #[test]
        fn a_row_changes_in_one_place(seed: u64, at: prop::sample::Index, gone: bool) {
            let mut events = events(seed, &[1; 12]);
            let (key, row) = pack(events.iter()).remove(0);
            events.retain(|stored| range(stored.event.no).contains(&key));
            events.truncate(unpack(&key, &row).unwrap().len());
            let at = at.index(events.len());
            let no = events[at].event.no;
            events[at].runs.push(crate::model::RunNo(7));
            let new = if gone {
                events.remove(at);
                without(&key, &row, &[no]).unwrap()
            } else {
                Some(change(&key, &row, &events[at]).unwrap())
            };
            let rows: Vec<_> = new.into_iter().map(|new| (key.clone(), new)).collect();
            prop_assert_eq!(all(&rows), events);
        }

        #[test]
        fn bytes_of_anything_are_events_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let row = [&[1], bytes.as_slice()].concat();
            let read = find(&keys::event(EventNo(9)), &row, EventNo(9));
            prop_assert!(matches!(read, Ok(_) | Err(ReadError::Corrupt(_))));
        }
    }

    #[test]
    fn a_row_is_given_up_with_its_last_event() {
        let events = events(1, &[1, 1]);
        let (key, row) = pack(events.iter()).remove(0);
        let row = without(&key, &row, &[EventNo(2)]).unwrap().unwrap();
        assert_eq!(unpack(&key, &row).unwrap().len(), 1);
        assert_eq!(without(&key, &row, &[EventNo(1), EventNo(2)]).unwrap(), None);
    }
}
