//! [`Faulty`]: a store around another one that fails as told, for tests and the simulation.
//!
//! The model: the inner store is the disk. A commit that is *lost* is visible to reads and stays
//! in a volatile tail, as in a page cache, until [`Faulty::sync`] writes it or [`Faulty::crash`]
//! drops it. Commits reach the disk in order: after a lost one every later commit is volatile too,
//! until a sync. After a power cut nothing works until [`Faulty::crash`] ends it, which stands for
//! the restart.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::contract::{Admission, Batch, Lead, Op, Row, Space, Store, StoreError};

/// When a fault happens. Calls are counted from 1 and go on counting over a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// At the n-th call of [`Store::commit`].
    Commit(u64),
    /// At the n-th call of any method of [`Store`].
    Call(u64),
}

/// What happens then. The faults that speak of a commit do nothing special to another method
/// than to let it go on or fail likewise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call does nothing and fails so.
    Fail(StoreError),
    /// The call does its work, durably, and fails so all the same.
    FailAfter(StoreError),
    /// The call does nothing and panics.
    Panic,
    /// The call does its work, durably, and panics.
    PanicAfter,
    /// The commit says it is done and is only in the volatile tail: a disk that lies.
    Lose,
    /// The power goes: nothing of this call is done, and every call fails until `crash`.
    Cut,
    /// The power goes after the work was done durably and before anybody hears of it.
    CutAfter,
}

/// A store that fails as told.
#[derive(Debug)]
pub struct Faulty<S> {
    inner: S,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    plan: BTreeMap<When, Fault>,
    calls: u64,
    commits: u64,
    down: bool,
    /// Commits that are not on the disk, in order.
    tail: Vec<Batch>,
    /// What `tail` changes: `None` is a removed row.
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Where the disk is: the last epoch and number seen going into the inner store.
    at: Lead,
}

impl<S: Store> Faulty<S> {
    /// Wraps a store; without a plan it changes nothing.
    pub fn new(inner: S) -> Self {
        Self { inner, state: Mutex::default() }
    }

    /// Plans a fault; another one planned for the same moment is replaced.
    pub fn plan(&self, when: When, fault: Fault) {
        self.state().plan.insert(when, fault);
    }

    /// As [`Faulty::plan`], for building.
    #[must_use]
    pub fn with(self, when: When, fault: Fault) -> Self {
        self.plan(when, fault);
        self
    }

    /// Forgets every fault that has not happened yet.
    pub fn forgive(&self) {
        self.state().plan.clear();
    }

    /// The process died, or the power went, and all is started again: what was not durable is gone.
    /// Faults that are still planned stay planned.
    pub fn crash(&self) {
        let mut state = self.state();
        state.down = false;
        state.tail.clear();
        state.rows.clear();
    }

    /// Writes the volatile tail to the inner store.
    ///
    /// # Errors
    /// Those of the inner store's commit; what was not written stays volatile.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.drain(&mut self.state())
    }

    /// Calls of [`Store::commit`] so far.
    pub fn commits(&self) -> u64 {
        self.state().commits
    }

    /// Calls of any method of [`Store`] so far.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Whether the power is off.
    pub fn is_down(&self) -> bool {
        self.state().down
    }

    /// The store inside: what a disk would show after a crash now.
    pub fn durable(&self) -> &S {
        &self.inner
    }

    // The state is never left half changed by a planned panic: those are raised with the lock
    // released or before anything is touched.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and looks up what is planned for it.
    fn begin(&self, commit: bool) -> Result<(MutexGuard<'_, State>, Option<Fault>), StoreError> {
        let mut state = self.state();
        if state.down {
            return Err(power_cut());
        }
        state.calls += 1;
        let calls = state.calls;
        let mut fault = state.plan.remove(&When::Call(calls));
        if commit {
            state.commits += 1;
            let commits = state.commits;
            fault = state.plan.remove(&When::Commit(commits)).or(fault);
        }
        match fault {
            Some(Fault::Fail(error)) => Err(error),
            Some(Fault::Panic) => {
                drop(state);
                panic!("a planned panic of the store, before the call")
            }
            Some(Fault::Cut) => {
                state.down = true;
                Err(power_cut())
            }
            other => Ok((state, other)),
        }
    }

    /// Runs one method under its fault.
    fn run<T>(
        &self,
        commit: bool,
        work: impl FnOnce(&mut State, bool) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (mut state, fault) = self.begin(commit)?;
        let lose = fault == Some(Fault::Lose);
        let done = work(&mut state, lose)?;
        match fault {
            Some(Fault::FailAfter(error)) => {
                self.drain(&mut state)?;
                Err(error)
            }
            Some(Fault::CutAfter) => {
                self.drain(&mut state)?;
                state.down = true;
                Err(power_cut())
            }
            Some(Fault::PanicAfter) => {
                self.drain(&mut state)?;
                drop(state);
                panic!("a planned panic of the store, after the call")
            }
            _ => Ok(done),
        }
    }

    fn drain(&self, state: &mut State) -> Result<(), StoreError> {
        while let Some(batch) = state.tail.first() {
            self.inner.commit(batch)?;
            state.at = Lead { epoch: batch.epoch, number: batch.number };
            state.tail.remove(0);
        }
        state.rows.clear();
        Ok(())
    }
}

impl<S: Store> Store for Faulty<S> {
    fn lead(&self) -> Result<Lead, StoreError> {
        self.run(false, |state, _| {
            self.drain(state)?;
            let lead = self.inner.lead()?;
            state.at = lead;
            Ok(lead)
        })
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.run(false, |state, _| match state.rows.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.inner.get(key),
        })
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        self.run(false, |state, _| {
            if from >= to || state.rows.is_empty() {
                return self.inner.scan(from, to, limit);
            }
            // every row of the tail may hide one row of the disk
            let rows = self.inner.scan(from, to, limit.saturating_add(state.rows.len()))?;
            let mut rows: BTreeMap<_, _> = rows.into_iter().collect();
            for (key, value) in &state.rows {
                if (from..to).contains(&key.as_slice()) {
                    match value {
                        Some(value) => rows.insert(key.clone(), value.clone()),
                        None => rows.remove(key),
                    };
                }
            }
            Ok(rows.into_iter().take(limit).collect())
        })
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.run(true, |state, lose| {
            if !lose && state.tail.is_empty() {
                self.inner.commit(batch)?;
                state.at = Lead { epoch: batch.epoch, number: batch.number.max(state.at.number) };
                return Ok(());
            }
            let at = match state.tail.last() {
                Some(last) => Lead { epoch: last.epoch, number: last.number },
                None => state.at,
            };
            if batch.admit(at)? == Admission::Apply {
                for op in &batch.ops {
                    match op {
                        Op::Put(key, value) => state.rows.insert(key.clone(), Some(value.clone())),
                        Op::Delete(key) => state.rows.insert(key.clone(), None),
                    };
                }
                state.tail.push(batch.clone());
            }
            Ok(())
        })
    }

    fn space(&self) -> Result<Space, StoreError> {
        self.run(false, |state, _| {
            let rows = state.rows.iter();
            let tail = rows.map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len));
            let space = self.inner.space()?;
            Ok(Space { used: space.used.saturating_add(tail.sum::<usize>() as u64), ..space })
        })
    }
}

fn power_cut() -> StoreError {
    StoreError::Unknown("the power was cut".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryStore;
    use super::*;

    fn put(lead: Lead, number: u64, key: &str) -> Batch {
        Batch { epoch: lead.epoch, number, ops: vec![Op::Put(key.into(), b"x".to_vec())] }
    }

    fn keys(store: &impl Store) -> Vec<String> {
        let rows = store.scan(b"", b"\xff", 100).unwrap();
        rows.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
    }

    fn with(commit: u64, fault: Fault) -> (Faulty<MemoryStore>, Lead) {
        let store = Faulty::new(MemoryStore::new()).with(When::Commit(commit), fault);
        let lead = store.lead().unwrap();
        (store, lead)
    }

    #[test]
    fn a_lost_commit_is_seen_until_the_crash_and_takes_the_later_ones_with_it() {
        let (store, lead) = with(2, Fault::Lose);
        for (number, key) in [(1, "a"), (2, "b"), (3, "c")] {
            store.commit(&put(lead, number, key)).unwrap();
        }
        assert_eq!(keys(&store), ["a", "b", "c"]);
        store.crash();
        assert_eq!(keys(&store), ["a"]);
        assert_eq!(store.lead().unwrap(), Lead { epoch: 2, number: 1 });
    }

    #[test]
    fn a_sync_saves_what_would_be_lost() {
        let (store, lead) = with(1, Fault::Lose);
        store.commit(&put(lead, 1, "a")).unwrap();
        let delete = Batch { epoch: 1, number: 2, ops: vec![Op::Delete(b"a".to_vec())] };
        store.commit(&delete).unwrap();
        store.commit(&put(lead, 3, "b")).unwrap();
        assert_eq!(keys(store.durable()), Vec::<String>::new());
        store.sync().unwrap();
        store.crash();
        assert_eq!(keys(&store), ["b"]);
        assert_eq!(store.lead().unwrap().number, 3);
    }

    #[test]
    fn a_power_cut_stops_everything_until_the_restart() {
        for (fault, left) in [(Fault::Cut, 1), (Fault::CutAfter, 2)] {
            let (store, lead) = with(2, fault);
            store.commit(&put(lead, 1, "a")).unwrap();
            assert_eq!(store.commit(&put(lead, 2, "b")), Err(power_cut()));
            assert_eq!(store.get(b"a"), Err(power_cut()));
            assert!(store.is_down());
            store.crash();
            assert_eq!(keys(&store).len(), left);
        }
    }

    #[test]
    fn failures_and_panics_happen_before_or_after_the_work() {
        let full = StoreError::Full("planned".to_owned());
        for (fault, left) in [(Fault::Fail(full.clone()), 0), (Fault::FailAfter(full.clone()), 1)] {
            let (store, lead) = with(1, fault);
            assert_eq!(store.commit(&put(lead, 1, "a")), Err(full.clone()));
            assert_eq!(keys(&store).len(), left);
        }
        for (fault, left) in [(Fault::Panic, 0), (Fault::PanicAfter, 1)] {
            let (store, lead) = with(1, fault);
            let commit = || store.commit(&put(lead, 1, "a"));
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(commit)).is_err());
            assert_eq!(keys(&store).len(), left);
        }
    }

    #[test]
    fn any_call_can_fail() {
        let io = StoreError::Io("planned".to_owned());
        let store = Faulty::new(MemoryStore::new()).with(When::Call(2), Fault::Fail(io.clone()));
        store.lead().unwrap();
        assert_eq!(store.get(b"a"), Err(io));
        assert_eq!(store.get(b"a"), Ok(None));
        assert_eq!(store.calls(), 3);
    }
}
