//! The keys of the one map that holds everything: a tag, then big-endian numbers or names.
//!
//! Rows that are written together lie together: events and runs are numbered in the order of
//! commit, and so is what is kept about them.

use std::ops::Range;

use crate::model::{Address, Digest, EventNo, InboxNo, RunNo, Text, WindowKey};

/// Events by number.
const EVENT: u8 = b'e';
/// Subjects of events, by number.
const SUBJECT: u8 = b's';
/// Identities of events, by number.
const KNOWN: u8 = b'k';
/// Of the first version: (source, id) of an event to its number.
const IDENTITY: u8 = b'd';
/// Runs by number.
const RUN: u8 = b'r';
/// Older parts of a run's story.
const TRACE: u8 = b't';
/// Windows by workflow, purpose and key.
const WINDOW: u8 = b'w';
/// What children of a run are for that have not begun.
const ITEMS: u8 = b'f';
/// Records by kind and id.
const RECORD: u8 = b'c';
/// Records by kind, field and value.
const INDEX: u8 = b'x';
/// Work to go on with.
const INBOX: u8 = b'i';
/// Sources of bundles.
const BUNDLE: u8 = b'b';
/// Everything there is one of.
const META: u8 = b'm';

pub(super) const COUNTERS: &[u8] = b"mcounters";
pub(super) const INDEXES: &[u8] = b"mindexes";

fn numbered(tag: u8, no: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(9);
    key.push(tag);
    key.extend_from_slice(&no.to_be_bytes());
    key
}

pub(super) fn number_in(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(1..9)?.try_into().ok()?))
}

pub(super) fn event(no: EventNo) -> Vec<u8> {
    numbered(EVENT, no.0)
}

pub(super) fn events(from: EventNo, to: EventNo) -> Range<Vec<u8>> {
    event(from)..event(to)
}

pub(super) fn subject(no: EventNo) -> Vec<u8> {
    numbered(SUBJECT, no.0)
}

pub(super) fn subjects(from: EventNo, to: EventNo) -> Range<Vec<u8>> {
    subject(from)..subject(to)
}

pub(super) fn event_identities(from: EventNo, to: EventNo) -> Range<Vec<u8>> {
    numbered(KNOWN, from.0)..numbered(KNOWN, to.0)
}

pub(super) fn identity(digest: Digest) -> Vec<u8> {
    [&[IDENTITY], digest.0.as_slice()].concat()
}

pub(super) fn identities() -> Range<Vec<u8>> {
    vec![IDENTITY]..vec![IDENTITY + 1]
}

pub(super) fn identity_in(key: &[u8]) -> Option<Digest> {
    key.get(1..)?.try_into().ok().map(Digest)
}

pub(super) fn run(no: RunNo) -> Vec<u8> {
    numbered(RUN, no.0)
}

pub(super) fn runs(from: RunNo, to: RunNo) -> Range<Vec<u8>> {
    run(from)..run(to)
}

pub(super) fn trace(no: RunNo, first: u32) -> Vec<u8> {
    let mut key = numbered(TRACE, no.0);
    key.extend_from_slice(&first.to_be_bytes());
    key
}

pub(super) fn traces(no: RunNo) -> Range<Vec<u8>> {
    numbered(TRACE, no.0)..numbered(TRACE, no.0 + 1)
}

/// A workflow's name and a purpose hold no zero byte.
pub(super) fn window(key: &WindowKey) -> Vec<u8> {
    let WindowKey { workflow, what, key } = key;
    [&[WINDOW], workflow.as_bytes(), &[0], what.as_bytes(), &[0], key.as_bytes()].concat()
}

/// Those after `after`.
pub(super) fn windows(after: Option<&WindowKey>) -> Range<Vec<u8>> {
    let from = match after {
        Some(after) => [window(after).as_slice(), &[0]].concat(),
        None => vec![WINDOW],
    };
    from..vec![WINDOW + 1]
}

pub(super) fn window_in(key: &[u8]) -> Option<WindowKey> {
    let mut parts = std::str::from_utf8(key.get(1..)?).ok()?.splitn(3, '\0').map(Text::from);
    Some(WindowKey { workflow: parts.next()?, what: parts.next()?, key: parts.next()? })
}

pub(super) fn items(run: RunNo, piece: u32) -> Vec<u8> {
    let mut key = numbered(ITEMS, run.0);
    key.extend_from_slice(&piece.to_be_bytes());
    key
}

pub(super) fn inbox(no: InboxNo) -> Vec<u8> {
    numbered(INBOX, no.0)
}

pub(super) fn inbox_all() -> Range<Vec<u8>> {
    vec![INBOX]..vec![INBOX + 1]
}

pub(super) fn inbox_no(key: &[u8]) -> Option<InboxNo> {
    number_in(key).map(InboxNo)
}

pub(super) fn bundle(digest: Digest) -> Vec<u8> {
    [&[BUNDLE], digest.0.as_slice()].concat()
}

pub(super) fn bundles() -> Range<Vec<u8>> {
    vec![BUNDLE]..vec![BUNDLE + 1]
}

pub(super) fn bundle_id(key: &[u8]) -> Option<Digest> {
    key.get(1..)?.try_into().ok().map(Digest)
}

/// A kind is a name, so it holds no zero byte and ends the prefix.
pub(super) fn record(address: &Address) -> Vec<u8> {
    [&[RECORD], address.kind.as_bytes(), &[0], address.id.as_bytes()].concat()
}

/// Records of a kind whose id comes after `after`.
pub(super) fn records(kind: &str, after: Option<&str>) -> Range<Vec<u8>> {
    let from = match after {
        // The smallest key above the id: ids hold no control characters.
        Some(id) => [&[RECORD], kind.as_bytes(), &[0], id.as_bytes(), &[0]].concat(),
        None => [&[RECORD], kind.as_bytes(), &[0]].concat(),
    };
    from..[&[RECORD], kind.as_bytes(), &[1]].concat()
}

/// The first record of a kind behind `after`.
pub(super) fn kinds(after: Option<&str>) -> Range<Vec<u8>> {
    let from =
        after.map_or_else(|| vec![RECORD], |kind| [&[RECORD], kind.as_bytes(), &[1]].concat());
    from..vec![RECORD + 1]
}

/// The kind of the record that a key is of.
pub(super) fn kind(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.get(1..)?.split(|byte| *byte == 0).next()?).ok()
}

pub(super) fn index(kind: &str, field: &str, value: Digest, id: &str) -> Vec<u8> {
    let mut key = index_prefix(kind, field, value);
    key.extend_from_slice(id.as_bytes());
    key
}

pub(super) fn index_prefix(kind: &str, field: &str, value: Digest) -> Vec<u8> {
    [&[INDEX], kind.as_bytes(), &[0], field.as_bytes(), &[0], value.0.as_slice()].concat()
}

/// The end of every key that begins with `prefix`.
pub(super) fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![META + 0x10]
}
