//! The suite that every [`Store`] must pass, whoever wrote it. It is public so that a store outside
//! of this crate's tests can be held to it as well.
//!
//! Each case gets an empty store and may close and open it between its steps; most look at the
//! state before and after doing so, because what only memory remembers is not stored.

use super::contract::{Batch, Lead, MAX_KEY, MAX_VALUE, Op, Row, Store, StoreError};

/// What a store did wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{case}: {what}")]
pub struct Violation {
    /// The case it was found in.
    pub case: &'static str,
    /// What was expected and what came.
    pub what: String,
}

/// Runs every case. `fresh` makes an empty place for a store and returns what opens it; that is
/// called again after the store it returned was dropped, and must then find the same state.
///
/// # Errors
/// Every [`Violation`], at most one for each case.
pub fn check<S, Open>(mut fresh: impl FnMut() -> Open) -> Result<(), Vec<Violation>>
where
    S: Store,
    Open: FnMut() -> Result<S, StoreError>,
{
    let cases: &[(&'static str, Case<S, Open>)] = &[
        ("a new store is empty", new_store),
        ("rows are put, overwritten and deleted", put_and_delete),
        ("the last operation on a key wins", last_wins),
        ("scans are ordered and half open", scan_bounds),
        ("scans stop at their limit", scan_limits),
        ("empty keys and values are ordinary", empty),
        ("long values come back whole", long_values),
        ("long values leave nothing behind", long_values_replaced),
        ("scans count long values as one row", long_values_scanned),
        ("what is too large is refused whole", too_large),
        ("a known number is a success without effect", known_numbers),
        ("a gap in the numbers is refused", gaps),
        ("a new leader fences the old one", fencing),
        ("position and epoch outlive a restart", position_lasts),
        ("a batch is whole after a restart", many_rows),
        ("an empty batch counts", empty_batch),
        ("readers see a commit whole or not at all", readers),
        ("space is told", space),
    ];
    let mut violations = Vec::new();
    for &(case, run) in cases {
        let result = Subject::open(fresh()).and_then(|mut subject| run(&mut subject));
        if let Err(what) = result {
            violations.push(Violation { case, what });
        }
    }
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

type Check = Result<(), String>;
type Case<S, Open> = fn(&mut Subject<S, Open>) -> Check;

/// A store under test, with its lead.
struct Subject<S, Open> {
    open: Open,
    store: Option<S>,
    lead: Lead,
}

impl<S: Store, Open: FnMut() -> Result<S, StoreError>> Subject<S, Open> {
    fn open(open: Open) -> Result<Self, String> {
        let mut subject = Self { open, store: None, lead: Lead::default() };
        subject.reopen()?;
        Ok(subject)
    }

    /// Closes the store, opens it again and takes the lead.
    fn reopen(&mut self) -> Check {
        // closed first: a store may be open once
        drop(self.store.take());
        let store = (self.open)().map_err(|error| format!("cannot be opened: {error}"))?;
        self.lead = store.lead().map_err(|error| format!("cannot be led: {error}"))?;
        self.store = Some(store);
        Ok(())
    }

    fn store(&self) -> Result<&S, String> {
        self.store.as_ref().ok_or_else(|| "is not open".to_owned())
    }

    /// Commits the next batch.
    fn commit(&mut self, ops: Vec<Op>) -> Check {
        let batch = Batch { epoch: self.lead.epoch, number: self.lead.number + 1, ops };
        self.store()?.commit(&batch).map_err(|error| format!("cannot commit: {error}"))?;
        self.lead.number += 1;
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        self.store()?.get(key).map_err(|error| format!("cannot get: {error}"))
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, String> {
        let store = self.store()?;
        let rows = store.scan(from, to, limit).map_err(|error| format!("cannot scan: {error}"))?;
        let mut walked = Vec::new();
        let mut visit = |key: &[u8], value: &[u8]| {
            if walked.len() < limit {
                walked.push((key.to_vec(), value.to_vec()));
            }
            walked.len() < limit
        };
        store.walk(from, to, &mut visit).map_err(|error| format!("cannot walk: {error}"))?;
        same("what a walk sees", &walked, &rows)?;
        Ok(rows)
    }

    /// Every key, in the order of the store.
    fn keys(&self) -> Result<Vec<Vec<u8>>, String> {
        let rows = self.scan(b"", &[u8::MAX; 8], usize::MAX)?;
        Ok(rows.into_iter().map(|(key, _)| key).collect())
    }

    /// Runs a check before and after the store was closed and opened.
    fn twice(&mut self, check: impl Fn(&Self) -> Check) -> Check {
        check(self)?;
        self.reopen()?;
        check(self).map_err(|what| format!("after opening again: {what}"))
    }
}

fn new_store<S: Store, O: FnMut() -> Result<S, StoreError>>(s: &mut Subject<S, O>) -> Check {
    same("position", &s.lead, &Lead { epoch: 1, number: 0 })?;
    s.twice(|s| {
        same("a missing key", &s.get(b"a")?, &None)?;
        same("keys", &s.keys()?, &vec![])
    })
}

fn put_and_delete<S: Store, O: FnMut() -> Result<S, StoreError>>(s: &mut Subject<S, O>) -> Check {
    s.commit(vec![put(b"a", b"1"), put(b"b", b"2"), put(b"c", b"3")])?;
    s.commit(vec![put(b"b", b"two"), delete(b"c"), delete(b"never there")])?;
    s.twice(|s| {
        same("an untouched row", &s.get(b"a")?, &Some(b"1".to_vec()))?;
        same("an overwritten row", &s.get(b"b")?, &Some(b"two".to_vec()))?;
        same("a deleted row", &s.get(b"c")?, &None)
    })
}

fn last_wins<S: Store, O: FnMut() -> Result<S, StoreError>>(s: &mut Subject<S, O>) -> Check {
    let long = vec![7; 10_000];
    s.commit(vec![
        put(b"a", b"1"),
        put(b"a", b"2"),
        put(b"b", b"1"),
        delete(b"b"),
        delete(b"c"),
        put(b"c", b"1"),
        put(b"d", &long),
        put(b"d", b"short"),
        put(b"e", b"short"),
        put(b"e", &long),
    ])?;
    s.twice(|s| {
        same("put, put", &s.get(b"a")?, &Some(b"2".to_vec()))?;
        same("put, delete", &s.get(b"b")?, &None)?;
        same("delete, put", &s.get(b"c")?, &Some(b"1".to_vec()))?;
        same("long, short", &s.get(b"d")?, &Some(b"short".to_vec()))?;
        same("short, long", &s.get(b"e")?.map(|value| value.len()), &Some(long.len()))
    })
}

fn scan_bounds<S: Store, O: FnMut() -> Result<S, StoreError>>(s: &mut Subject<S, O>) -> Check {
    // in the order of bytes, however they are put
    let keys: [&[u8]; 8] = [b"\0", b"\0\0", b"\x01", b"a", b"a\0", b"a\xff", b"b", b"\xff\xff"];
    s.commit(keys.iter().rev().map(|key| put(key, key)).collect())?;
    s.twice(|s| {
        let scan = |from: &[u8], to: &[u8]| -> Result<Vec<Vec<u8>>, String> {
            Ok(s.scan(from, to, 100)?.into_iter().map(|(key, _)| key).collect())
        };
        same("all", &scan(b"", b"\xff\xff\xff")?, &keys.map(<[u8]>::to_vec).to_vec())?;
        same(
            "from is in, to is out",
            &scan(b"a", b"b")?,
            &keys[3..6].iter().map(|k| k.to_vec()).collect(),
        )?;
        same("bounds that are no keys", &scan(b"a\0\0", b"az")?, &vec![])?;
        same("the last key excluded", &scan(b"b", b"\xff\xff")?, &vec![b"b".to_vec()])?;
        same("an empty range", &scan(b"a", b"a")?, &vec![])?;
        same("a range the wrong way round", &scan(b"b", b"a")?, &vec![])?;
        for (key, value) in s.scan(b"", b"\xff\xff\xff", 100)? {
            same("the value beside its key", &value, &key)?;
        }
        Ok(())
    })
}

fn scan_limits<S: Store, O: FnMut() -> Result<S, StoreError>>(s: &mut Subject<S, O>) -> Check {
    s.commit((0..50_u8).map(|n| put(&[n], &[n])).collect())?;
    s.twice(|s| {
        for limit in [0, 1, 7, 49, 50, 51, usize::MAX] {
            let rows = s.scan(b"", b"\xff", limit)?;
            same("rows at a limit", &rows.len(), &limit.min(50))?;
            let keys: Vec<u8> = rows.iter().filter_map(|(key, _)| key.first().copied()).collect();
            same("the first ones", &keys, &(0..limit.min(50) as u8).collect())?;
        }
        Ok(())
    })
}

fn empty<S: Store, O: FnMut() -> Result<S, StoreError>>(s: &mut Subject<S, O>) -> Check {
    s.commit(vec![put(b"", b"root"), put(b"k", b"")])?;
    s.twice(|s| {
        same("the empty key", &s.get(b"")?, &Some(b"root".to_vec()))?;
        same("the empty value", &s.get(b"k")?, &Some(Vec::new()))?;
        same("the order", &s.keys()?, &vec![Vec::new(), b"k".to_vec()])
    })?;
    s.commit(vec![delete(b"")])?;
    s.twice(|s| same("the empty key, deleted", &s.get(b"")?, &None))
}

/// Lengths around every boundary a store may have.
const LENGTHS: [usize; 14] = [
    4_000, 4_092, 4_093, 4_094, 4_095, 4_096, 4_097, 8_191, 8_192, 8_193, 40_960, 65_536, 131_073,
    1_048_576,
];

fn long_values<S: Store, O: FnMut() -> Result<S, StoreError>>(s: &mut Subject<S, O>) -> Check {
    let rows: Vec<_> =
        LENGTHS.iter().map(|&length| (format!("{length:08}"), noise(length))).collect();
    for (key, value) in &rows {
        s.commit(vec![put(key.as_bytes(), value)])?;
    }
    s.twice(|s| {
        for (key, value) in &rows {
            require(&format!("value {key}"), s.get(key.as_bytes())?.as_ref() == Some(value))?;
        }
        Ok(())
    })
}

fn long_values_replaced<S: Store, O: FnMut() -> Result<S, StoreError>>(
    s: &mut Subject<S, O>,
) -> Check {
    // every length follows every other
    for (index, &before) in LENGTHS.iter().enumerate() {
        for &after in LENGTHS.iter().skip(index % 3).step_by(3) {
            let value = noise(after);
            s.commit(vec![put(b"k", &noise(before))])?;
            s.commit(vec![put(b"k", &value)])?;
            require(
                &format!("{after} bytes after {before}"),
                s.get(b"k")?.as_deref() == Some(&value),
            )?;
        }
    }
    s.commit(vec![put(b"k", b"x")])?;
    s.twice(|s| same("a short one at last", &s.get(b"k")?, &Some(b"x".to_vec())))?;
    s.commit(vec![put(b"k", &noise(50_000))])?;
    s.commit(vec![delete(b"k")])?;
    s.twice(|s| {
        same("deleted", &s.get(b"k")?, &None)?;
        same("nothing is left", &s.keys()?, &vec![])
    })
}

fn long_values_scanned<S: Store, O: FnMut() -> Result<S, StoreError>>(
    s: &mut Subject<S, O>,
) -> Check {
    let rows: Vec<(Vec<u8>, Vec<u8>)> = (0..40_u8)
        .map(|n| (vec![b'k', n], if n % 3 == 0 { noise(9_000 + usize::from(n)) } else { vec![n] }))
        .collect();
    s.commit(rows.iter().map(|(key, value)| put(key, value)).collect())?;
    s.twice(|s| {
        require("all rows", s.scan(b"k", b"l", 100)? == rows)?;
        for limit in [1, 2, 3, 4, 5, 39] {
            require(
                &format!("the first {limit} rows"),
                s.scan(b"k", b"l", limit)? == rows[..limit],
            )?;
        }
        require("rows in the middle", s.scan(b"k\x03", b"k\x07", 100)? == rows[3..7])
    })
}

fn too_large<S: Store, O: FnMut() -> Result<S, StoreError>>(s: &mut Subject<S, O>) -> Check {
    let key = vec![b'k'; MAX_KEY];
    let value = noise(MAX_VALUE);
    s.commit(vec![put(&key, b"x"), put(b"large", &value)])?;
    s.twice(|s| {
        same("the longest key", &s.get(&key)?, &Some(b"x".to_vec()))?;
        require("the longest value", s.get(b"large")?.as_deref() == Some(&value))
    })?;
    let next = Batch { epoch: s.lead.epoch, number: s.lead.number + 1, ops: Vec::new() };
    for op in [
        put(&vec![b'k'; MAX_KEY + 1], b"x"),
        delete(&vec![b'k'; MAX_KEY + 1]),
        put(b"k", &vec![0; MAX_VALUE + 1]),
    ] {
        let batch = Batch { ops: vec![put(b"beside", b"x"), op], ..next.clone() };
        refused("one byte more", s.store()?.commit(&batch))?;
        same("nothing of it", &s.get(b"beside")?, &None)?;
    }
    s.commit(vec![put(b"after", b"x")])
}

fn known_numbers<S: Store, O: FnMut() -> Result<S, StoreError>>(s: &mut Subject<S, O>) -> Check {
    s.commit(vec![put(b"a", b"1")])?;
    s.commit(vec![put(b"b", b"1")])?;
    s.twice(|s| {
        for number in 0..=2 {
            let ops = vec![put(b"a", b"again"), put(b"c", b"again")];
            let batch = Batch { epoch: s.lead.epoch, number, ops };
            same("a known number", &s.store()?.commit(&batch), &Ok(()))?;
        }
        same("a row", &s.get(b"a")?, &Some(b"1".to_vec()))?;
        same("another row", &s.get(b"c")?, &None)
    })
}

fn gaps<S: Store, O: FnMut() -> Result<S, StoreError>>(s: &mut Subject<S, O>) -> Check {
    s.commit(vec![put(b"a", b"1")])?;
    for number in [3, 1_000, u64::MAX] {
        let batch = Batch { epoch: s.lead.epoch, number, ops: vec![put(b"a", b"2")] };
        refused("a gap", s.store()?.commit(&batch))?;
    }
    s.twice(|s| same("the row", &s.get(b"a")?, &Some(b"1".to_vec())))?;
    s.commit(vec![put(b"a", b"2")])
}

fn fencing<S: Store, O: FnMut() -> Result<S, StoreError>>(s: &mut Subject<S, O>) -> Check {
    s.commit(vec![put(b"a", b"old")])?;
    let old = s.lead;
    let lead = s.store()?.lead().map_err(|error| error.to_string())?;
    same("the new lead", &lead, &Lead { epoch: old.epoch + 1, number: old.number })?;
    for number in 1..=3 {
        let batch = Batch { epoch: old.epoch, number, ops: vec![put(b"a", b"fenced")] };
        same("the old leader", &s.store()?.commit(&batch), &Err(StoreError::Fenced))?;
    }
    s.lead = lead;
    s.commit(vec![put(b"b", b"new")])?;
    s.twice(|s| {
        same("the row", &s.get(b"a")?, &Some(b"old".to_vec()))?;
        same("the new leader's row", &s.get(b"b")?, &Some(b"new".to_vec()))
    })
}

fn position_lasts<S: Store, O: FnMut() -> Result<S, StoreError>>(s: &mut Subject<S, O>) -> Check {
    for round in 1..=5 {
        same("position", &s.lead, &Lead { epoch: round, number: 2 * (round - 1) })?;
        s.commit(vec![put(b"a", b"1")])?;
        s.commit(Vec::new())?;
        s.reopen()?;
    }
    Ok(())
}

fn many_rows<S: Store, O: FnMut() -> Result<S, StoreError>>(s: &mut Subject<S, O>) -> Check {
    const ROWS: u32 = 8_192;
    let key = |n: u32| n.to_be_bytes();
    let value = |n: u32| noise(100 + (n % 300) as usize);
    s.commit((0..ROWS).rev().map(|n| put(&key(n), &value(n))).collect())?;
    s.commit((0..ROWS).step_by(2).map(|n| delete(&key(n))).collect())?;
    s.twice(|s| {
        let rows = s.scan(b"", &[u8::MAX; 5], usize::MAX)?;
        same("rows", &rows.len(), &(ROWS as usize / 2))?;
        let expected = (1..ROWS).step_by(2).map(|n| (key(n).to_vec(), value(n)));
        require("each row", rows.into_iter().eq(expected))
    })
}

fn empty_batch<S: Store, O: FnMut() -> Result<S, StoreError>>(s: &mut Subject<S, O>) -> Check {
    s.commit(Vec::new())?;
    s.reopen()?;
    same("the number", &s.lead.number, &1)
}

fn readers<S: Store, O: FnMut() -> Result<S, StoreError>>(s: &mut Subject<S, O>) -> Check {
    const COMMITS: u8 = 60;
    const ROWS: u8 = 40;
    // a short and a long value in each commit, all of them saying which commit it was
    let row =
        |n: u8, commit: u8| put(&[n], &vec![commit; if n.is_multiple_of(8) { 9_000 } else { 9 }]);
    s.commit((0..ROWS).map(|n| row(n, 0)).collect())?;
    let lead = s.lead;
    let store = s.store()?;
    let done = std::sync::atomic::AtomicBool::new(false);
    let scan_all = || -> Check {
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            let rows = store.scan(b"", b"\xff", usize::MAX).map_err(|error| error.to_string())?;
            let first = rows.first().and_then(|(_, value)| value.first().copied());
            let whole = rows.iter().flat_map(|(_, value)| value).all(|byte| Some(*byte) == first);
            require("a scan beside commits", whole && rows.len() == usize::from(ROWS))?;
        }
        Ok(())
    };
    let commit_all = || -> Check {
        for commit in 1..=COMMITS {
            let ops = (0..ROWS).map(|n| row(n, commit)).collect();
            let number = lead.number + u64::from(commit);
            let batch = Batch { epoch: lead.epoch, number, ops };
            store.commit(&batch).map_err(|error| error.to_string())?;
        }
        Ok(())
    };
    let (wrote, seen) = std::thread::scope(|scope| {
        let beside = scope.spawn(scan_all);
        let wrote = commit_all();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        let panicked = |_| Err("a reader panicked".to_owned());
        (wrote, beside.join().unwrap_or_else(panicked))
    });
    wrote.and(seen)
}

fn space<S: Store, O: FnMut() -> Result<S, StoreError>>(s: &mut Subject<S, O>) -> Check {
    s.commit(vec![put(b"a", &noise(300_000))])?;
    let space = s.store()?.space().map_err(|error| error.to_string())?;
    require("what is used is counted", space.used >= 300_000)?;
    require("what is free is on the medium", space.free > 0 && space.free <= space.total)
}

fn put(key: &[u8], value: &[u8]) -> Op {
    Op::Put(key.to_vec(), value.to_vec())
}

fn delete(key: &[u8]) -> Op {
    Op::Delete(key.to_vec())
}

/// Bytes of which no stretch repeats soon, so that a piece out of place is seen.
fn noise(length: usize) -> Vec<u8> {
    (0..length as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, came: &T, expected: &T) -> Check {
    if came == expected {
        return Ok(());
    }
    Err(format!("{what}: expected {expected:?}, got {came:?}"))
}

fn require(what: &str, holds: bool) -> Check {
    if holds { Ok(()) } else { Err(format!("{what}: not as it was put")) }
}

fn refused(what: &str, result: Result<(), StoreError>) -> Check {
    match result {
        Err(StoreError::Refused(_)) => Ok(()),
        other => Err(format!("{what}: expected a refusal, got {other:?}")),
    }
}
