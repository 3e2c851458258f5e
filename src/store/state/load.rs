//! Loading [`State`]: the index is made anew from the fronts of the rows.
//!
//! Reading rows is what a start with a million of them takes its time for, so threads share it: each
//! takes the next few thousand numbers, reads, and enters what it found.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::{
    BundleId, Digest, EffectKey, EventNo, InboxNo, ReadError, Run, RunNo, Task, Window,
};
use crate::store::contract::Store;
use crate::store::{codec, keys};

use super::head::{Head, Read};
use super::identities::{self, IDENTITIES};
use super::index::{self, Index};
use super::subjects::{self, SUBJECTS};

/// What was found when the state was loaded and has to be gone on with.
#[derive(Debug, Default)]
pub struct Unfinished {
    /// Items of the inbox, in order.
    pub inbox: Vec<(InboxNo, Task)>,
    /// Runs with an effect started and no outcome, and which attempt of it that was.
    pub started: Vec<(RunNo, EffectKey, u16)>,
    /// Rows of runs, subjects and identities that cannot be read. They stay as they are; nothing waits for them.
    pub damaged: Vec<ReadError>,
}

/// Numbers that a thread takes at a time, at least: rows for some tens of milliseconds.
const SHARE: u64 = 8_192;
/// Shares at most, however few of the numbers given are still in use.
const SHARES: u64 = 4_096;
/// Threads at most: the index is entered by one at a time, which takes about a fifth of the work.
const THREADS: usize = 4;
/// Damaged rows that are told one by one.
const TOLD: usize = 100;

/// What a thread found in its numbers.
#[derive(Default)]
struct Found {
    heads: Vec<Head>,
    busy: Vec<Run>,
    subjects: Vec<(EventNo, u64)>,
    identities: Vec<(EventNo, Digest)>,
    damaged: Vec<ReadError>,
}

/// Reads every run, and of every event its subject and its identity. Numbers below these have been given.
///
/// # Errors
/// [`ReadError`] when the store fails, or holds what only a newer adjutant can read.
pub(super) fn index(
    store: &dyn Store,
    (runs, events): (RunNo, EventNo),
    unfinished: &mut Unfinished,
) -> Result<Index, ReadError> {
    let index = Mutex::new(Index::default());
    let found = Mutex::new(unfinished);
    share(runs.0, |numbers| {
        let mut found_here = Found::default();
        let range = keys::runs(RunNo(numbers.start), RunNo(numbers.end));
        walk(store, range, |_, row| read_run(row, &mut found_here))?;
        let mut index = lock(&index);
        enter(&mut index, found_here, &mut lock(&found));
        Ok(())
    })?;
    share(events.0, |numbers| {
        let mut found_here = Found::default();
        let range = keys::subjects(EventNo(numbers.start), EventNo(numbers.end));
        walk(store, range, |key, row| read_subjects(key, row, &mut found_here))?;
        let range = keys::event_identities(EventNo(numbers.start), EventNo(numbers.end));
        walk(store, range, |key, row| read_identities(key, row, &mut found_here))?;
        let mut index = lock(&index);
        enter(&mut index, found_here, &mut lock(&found));
        Ok(())
    })?;
    let mut found_here = Found::default();
    walk(store, keys::identities(), |key, row| {
        read_old_identity(key, row, &mut found_here);
        Ok(())
    })?;
    let mut index = index.into_inner().unwrap_or_else(PoisonError::into_inner);
    index.known.has_old_rows = !found_here.identities.is_empty();
    let unfinished = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    enter(&mut index, found_here, unfinished);
    unfinished.started.sort_unstable_by_key(|(run, ..)| *run);
    for error in unfinished.damaged.iter().take(TOLD) {
        tracing::error!(%error, "a row is damaged and put aside: it stays, and nothing waits for it");
    }
    if unfinished.damaged.len() > TOLD {
        let rows = unfinished.damaged.len();
        tracing::error!(rows, "so many rows are damaged: restore the store from a backup");
    }
    Ok(index)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has threads do the numbers below `end`, and those above, which are few or none, share by share.
fn share(
    end: u64,
    work: impl Fn(Range<u64>) -> Result<(), ReadError> + Sync,
) -> Result<(), ReadError> {
    let size = SHARE.max(end / SHARES + 1);
    let shares = end / size + 1;
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let turns = || {
        while !stop.load(Ordering::Relaxed) {
            let share = next.fetch_add(1, Ordering::Relaxed);
            if share >= shares {
                break;
            }
            let to = if share + 1 == shares { u64::MAX } else { (share + 1) * size };
            let done = work(share * size..to);
            if done.is_err() {
                stop.store(true, Ordering::Relaxed);
                return done;
            }
        }
        Ok(())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let more = cores.min(THREADS).min(shares as usize).saturating_sub(1);
        let others: Vec<_> = (0..more).map(|_| scope.spawn(turns)).collect();
        let mine = turns();
        let theirs = others.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err(ReadError::Store("a thread panicked".into())))
        });
        theirs.fold(mine, Result::and)
    })
}

/// Visits rows until one is an error.
pub(super) fn walk(
    store: &dyn Store,
    range: Range<Vec<u8>>,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut done = Ok(());
    store.walk(&range.start, &range.end, &mut |key, row| {
        done = visit(key, row);
        done.is_ok()
    })?;
    done
}

fn read_run(row: &[u8], found: &mut Found) -> Result<(), ReadError> {
    match Head::read(row) {
        Ok(Read::Head(head)) => found.heads.push(head),
        Ok(Read::Busy(run)) => found.busy.push(*run),
        Err(error) if codec::is_newer(row) => return Err(error),
        Err(error) => found.damaged.push(error),
    }
    Ok(())
}

fn read_subjects(key: &[u8], row: &[u8], found: &mut Found) -> Result<(), ReadError> {
    let read = SUBJECTS.each(key, row, |no, tag| found.subjects.push((no, subjects::of_tag(tag))));
    note(read, row, found)
}

fn read_identities(key: &[u8], row: &[u8], found: &mut Found) -> Result<(), ReadError> {
    let read = IDENTITIES.each(key, row, |no, tag| {
        found.identities.push((no, identities::of_tag(tag).0));
    });
    note(read, row, found)
}

fn read_old_identity(key: &[u8], row: &[u8], found: &mut Found) {
    let known = codec::decode::<(EventNo, Digest)>(row, "an event's identity");
    match (keys::identity_in(key), known) {
        (Some(identity), Ok((no, _))) => found.identities.push((no, identity)),
        (_, Err(error)) => found.damaged.push(error),
        (None, Ok(_)) => {}
    }
}

/// What is damaged is put aside; what is newer than this adjutant ends the start.
fn note(read: Result<(), ReadError>, row: &[u8], found: &mut Found) -> Result<(), ReadError> {
    match read {
        Err(error) if codec::is_newer(row) => return Err(error),
        Err(error) => found.damaged.push(error),
        Ok(()) => {}
    }
    Ok(())
}

fn enter(index: &mut Index, found: Found, unfinished: &mut Unfinished) {
    for head in &found.heads {
        index.add(head);
    }
    for run in &found.busy {
        index.add_run(run);
        if let Some(effect) =
            run.effect().filter(|_| run.status.is_alive() && index::is_started(run))
        {
            unfinished.started.push((run.no, effect.key, effect.attempts));
        }
    }
    for (no, subject) in found.subjects {
        index.add_event(no, subject);
    }
    for (no, identity) in found.identities {
        index.known.add(identity, no);
    }
    unfinished.damaged.extend(found.damaged);
}

/// What of the state is not in the index: bundles there are, and items of the inbox.
pub(super) fn rest(
    store: &dyn Store,
    unfinished: &mut Unfinished,
) -> Result<HashSet<BundleId>, ReadError> {
    let mut bundles = HashSet::new();
    walk(store, keys::bundles(), |key, _| {
        bundles.extend(keys::bundle_id(key));
        Ok(())
    })?;
    walk(store, keys::inbox_all(), |key, row| {
        if let Some(no) = keys::inbox_no(key) {
            unfinished.inbox.push((no, codec::decode(row, "an item of the inbox")?));
        }
        Ok(())
    })?;
    Ok(bundles)
}

/// When windows have to be looked at.
pub(super) fn windows(
    store: &dyn Store,
    index: &mut Index,
    unfinished: &mut Unfinished,
) -> Result<(), ReadError> {
    walk(store, keys::windows(None), |key, row| {
        match codec::decode::<Window>(row, "a window") {
            Ok(window) => index.replace_window(key, None, window.due),
            Err(error) if codec::is_newer(row) => return Err(error),
            Err(error) => unfinished.damaged.push(error),
        }
        Ok(())
    })
}
