//! The journal after damage and crashes that are cheaper made by hand than caught in images.

use std::fs;
use std::path::Path;

use super::super::contract::{Batch, Op, Store, StoreError};
use super::{JournalOptions, JournaledStore};

/// Nothing is settled but at the end of a process, which a crash does not reach.
fn options() -> JournalOptions {
    let mut options = JournalOptions { settled_at: usize::MAX, ..JournalOptions::default() };
    options.settled_after = std::time::Duration::from_hours(1);
    options.sled.tidy_every = None;
    options
}

fn batch(number: u64, ops: Vec<Op>) -> Batch {
    Batch { epoch: 1, number, ops }
}

fn put(key: &str, value: &[u8]) -> Op {
    Op::Put(key.into(), value.to_vec())
}

/// A directory as a crash leaves it after these commits: sled has none of them.
fn crashed(commits: &[Vec<Op>]) -> tempfile::TempDir {
    let live = tempfile::tempdir().unwrap();
    let store = JournaledStore::open_with(live.path(), &options()).unwrap();
    store.lead().unwrap();
    for (ops, number) in commits.iter().zip(1..) {
        store.commit(&batch(number, ops.clone())).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    for name in ["db", "conf", "format", "journal-0", "journal-1", "journal-2"] {
        fs::copy(live.path().join(name), dir.path().join(name)).unwrap();
    }
    fs::create_dir(dir.path().join("blobs")).unwrap();
    dir
}

/// The number of the last commit and the value of `k`.
fn found(dir: &Path) -> Result<(u64, Option<Vec<u8>>), StoreError> {
    let store = JournaledStore::open_with(dir, &options())?;
    store.verify()?;
    Ok((store.lead()?.number, store.get(b"k")?))
}

fn three() -> tempfile::TempDir {
    let second = vec![put("k", b"2"), put("long", &[7; 20_000])];
    crashed(&[vec![put("k", b"1")], second, vec![put("k", b"3")]])
}

/// Where the records of [`three`] begin: the first and third take a page, the second five and a bit.
const RECORDS: [u64; 3] = [4096, 2 * 4096, 7 * 4096];

fn cut(dir: &Path, length: u64) {
    let file = fs::File::options().write(true).open(dir.join("journal-0")).unwrap();
    file.set_len(length).unwrap();
}

#[test]
fn what_a_crash_left_is_there() {
    assert_eq!(found(three().path()), Ok((3, Some(b"3".to_vec()))));
}

/// Whoever starts has what was left in memory, commits, and is gone before any of it is settled.
#[test]
fn crash_after_crash_loses_nothing() {
    let mut dir = crashed(&[vec![put("0", b"first"), put("k", b"0")]]);
    for number in 2..9_u64 {
        let next = tempfile::tempdir().unwrap();
        let store = JournaledStore::open_with(dir.path(), &options()).unwrap();
        let lead = store.lead().unwrap();
        assert_eq!(lead.number, number - 1);
        let copy = |name: &str| fs::copy(dir.path().join(name), next.path().join(name)).unwrap();
        // what an opening settles is durable; nothing more is settled before the commit
        copy("db");
        let ops = vec![put(&number.to_string(), b"x"), put("k", number.to_string().as_bytes())];
        store.commit(&Batch { epoch: lead.epoch, number, ops }).unwrap();
        for name in ["conf", "format", "journal-0", "journal-1", "journal-2"] {
            copy(name);
        }
        fs::create_dir(next.path().join("blobs")).unwrap();
        dir = next;
    }
    assert_eq!(found(dir.path()), Ok((8, Some(b"8".to_vec()))));
}

#[test]
fn a_torn_last_commit_never_happened() {
    for length in [RECORDS[2], RECORDS[2] + 1, RECORDS[2] + 31] {
        let dir = three();
        cut(dir.path(), length);
        assert_eq!(found(dir.path()), Ok((2, Some(b"2".to_vec()))), "{length}");
    }
    for length in [RECORDS[1], RECORDS[1] + 4096, RECORDS[2] - 4096] {
        let dir = three();
        cut(dir.path(), length);
        assert_eq!(found(dir.path()), Ok((1, Some(b"1".to_vec()))), "{length}");
    }
    for length in [0, 10, 4095, 4096, RECORDS[0] + 1] {
        let dir = three();
        cut(dir.path(), length);
        assert_eq!(found(dir.path()), Ok((0, None)), "{length}");
    }
}

#[test]
fn a_commit_missing_between_others_is_damage() {
    for at in [RECORDS[0] + 30, RECORDS[1], RECORDS[1] + 10_000] {
        let dir = three();
        let path = dir.path().join("journal-0");
        let mut bytes = fs::read(&path).unwrap();
        bytes[at as usize] ^= 1;
        fs::write(&path, bytes).unwrap();
        match found(dir.path()) {
            Err(StoreError::Corrupt(why)) => assert!(why.contains("is missing"), "{why}"),
            other => panic!("{at}: {other:?}"),
        }
    }
}

#[test]
fn a_newer_format_is_refused() {
    let dir = three();
    let path = dir.path().join("journal-0");
    let mut bytes = fs::read(&path).unwrap();
    bytes[16] = 3;
    let crc = crc32fast::hash(&bytes[..36]).to_le_bytes();
    bytes[36..40].copy_from_slice(&crc);
    fs::write(&path, bytes).unwrap();
    assert!(matches!(found(dir.path()), Err(StoreError::Refused(why)) if why.contains("format 3")));
}

/// What an earlier use of a file left behind it is no part of what is there now, not even where a
/// value was made to look like a record.
#[test]
fn leftovers_are_no_commits() {
    // a value with the record of a second commit at the beginning of a page, as somebody would
    // write it who knows everything but the salt
    let mut record = 0_u32.to_le_bytes().to_vec();
    record.extend_from_slice(&1_u64.to_le_bytes());
    record.extend_from_slice(&2_u64.to_le_bytes());
    let mut forged = vec![0; 4096 - 24 - 6 - 1];
    forged.extend_from_slice(&crc32fast::hash(&record).to_le_bytes());
    forged.extend_from_slice(&record);
    let dir = crashed(&[vec![put("k", &forged)]]);
    let path = dir.path().join("journal-0");
    let whole = fs::read(&path).unwrap();
    let place = whole[8192..8192 + 24].to_vec();
    assert_eq!(place[4..], record, "it lies where a record could");
    let mut torn = whole.clone();
    torn[4096 + 40] ^= 1;
    fs::write(&path, torn).unwrap();
    assert_eq!(found(dir.path()).map(|found| found.0), Ok(0));

    let dir = crashed(&[vec![put("k", b"old"), put("long", &[7; 20_000])]]);
    // everything was settled when the store was opened and closed; the files are as they were
    let before = fs::read(dir.path().join("journal-0")).unwrap();
    assert_eq!(found(dir.path()).map(|found| found.0), Ok(1));
    assert_eq!(fs::read(dir.path().join("journal-0")).unwrap(), before, "nothing was written");
    let store = JournaledStore::open_with(dir.path(), &options()).unwrap();
    let epoch = store.lead().unwrap().epoch;
    store.commit(&Batch { epoch, number: 2, ops: vec![put("k", b"new")] }).unwrap();
    drop(store);
    assert_eq!(found(dir.path()), Ok((2, Some(b"new".to_vec()))));
}

#[test]
fn reads_go_through_what_is_not_settled() {
    let dir = tempfile::tempdir().unwrap();
    let store = JournaledStore::open_with(dir.path(), &options()).unwrap();
    let epoch = store.lead().unwrap().epoch;
    let key = |n: u32| n.to_be_bytes().to_vec();
    let ops = (0..500).map(|n| Op::Put(key(n), vec![0])).collect();
    store.commit(&Batch { epoch, number: 1, ops }).unwrap();
    store.verify().unwrap();
    // in sled: 0..500; above it all but every tenth are removed, and some are new
    let ops = (0..500).filter(|n| n % 10 != 0).map(|n| Op::Delete(key(n))).collect();
    store.commit(&Batch { epoch, number: 2, ops }).unwrap();
    let ops = (490..510).map(|n| Op::Put(key(n), vec![1])).collect();
    store.commit(&Batch { epoch, number: 3, ops }).unwrap();
    let expected: Vec<u32> = (0..490).step_by(10).chain(490..510).collect();
    for limit in [0, 1, 7, 49, 50, 69, 70, 1_000, usize::MAX] {
        let rows = store.scan(&key(0), &key(1_000), limit).unwrap();
        let found: Vec<_> = rows.iter().map(|row| row.0.clone()).collect();
        let expected: Vec<_> = expected.iter().take(limit).map(|n| key(*n)).collect();
        assert_eq!(found, expected, "{limit}");
    }
    assert_eq!(store.get(&key(1)).unwrap(), None);
    assert_eq!(store.get(&key(490)).unwrap(), Some(vec![1]));
}
