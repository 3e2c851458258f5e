//! A damaged store never panics and never hangs: it opens with what is true, or says that it is
//! damaged and what to do. Its own process, because sled's threads do not outlive some damage.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends where it fails and prints figures"
)]

use std::fs;
use std::path::Path;

use std::process::Command;
use std::time::Duration;

use adjutant::store::{Batch, Op, SledOptions, SledStore, Store, StoreError};

const ROWS: u32 = 3_000;
const PER_COMMIT: usize = ROWS as usize / 10;

fn made(dir: &Path) {
    let options = SledOptions { segment_bytes: 512 * 1024, ..SledOptions::default() };
    let store = SledStore::open_with(dir, &options).unwrap();
    let lead = store.lead().unwrap();
    for number in 1..=10 {
        let rows = (number as u32 - 1) * ROWS / 10..number as u32 * ROWS / 10;
        let ops = rows.map(|n| Op::Put(n.to_be_bytes().to_vec(), value(n))).collect();
        store.commit(&Batch { epoch: lead.epoch, number, ops }).unwrap();
    }
}

fn value(n: u32) -> Vec<u8> {
    n.to_le_bytes().repeat(100)
}

/// Opens and reads everything; rows that are there must be as they were put.
fn open_and_read(dir: &Path) -> Result<usize, StoreError> {
    let options =
        SledOptions { segment_bytes: 512 * 1024, tidy_every: None, ..SledOptions::default() };
    let store = SledStore::open_with(dir, &options)?;
    let rows = store.scan(b"", &[255; 5], usize::MAX)?;
    for (key, value_read) in &rows {
        let n = u32::from_be_bytes(key.as_slice().try_into().unwrap());
        assert_eq!(*value_read, value(n));
    }
    match store.verify() {
        // a lost end of the log is an earlier state, which nothing in the store can tell
        Ok(()) => assert_eq!(rows.len() % PER_COMMIT, 0, "verify must notice lost rows"),
        Err(error) => {
            assert_ne!(rows.len(), ROWS as usize);
            return Err(error);
        }
    }
    Ok(rows.len())
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    let whole = tempfile::tempdir().unwrap();
    made(whole.path());
    let db = fs::read(whole.path().join("db")).unwrap();
    let conf = fs::read(whole.path().join("conf")).unwrap();
    let middle = db.len() / 2;
    let noise: Vec<u8> =
        (0..db.len() as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let with = |at: usize, bytes: &[u8]| {
        let mut db = db.clone();
        db[at..at + bytes.len()].copy_from_slice(bytes);
        db
    };
    let damages: Vec<(&str, &str, Vec<u8>)> = vec![
        ("nothing", "db", db.clone()),
        ("an empty file", "db", Vec::new()),
        ("zeros", "db", vec![0; db.len()]),
        ("noise", "db", noise.clone()),
        ("text", "db", b"this is no database\n".repeat(50_000)),
        ("a lost first segment", "db", with(0, &vec![0; 512 * 1024])),
        ("a torn header", "db", with(0, &[0xff; 20])),
        ("noise in the middle", "db", with(middle, &noise[..4096])),
        ("one flipped byte", "db", with(middle, &[!db[middle]])),
        ("half of it", "db", db[..middle].to_vec()),
        ("all but one byte", "db", db[..db.len() - 1].to_vec()),
        ("noise behind it", "db", [db.clone(), noise[..100_000].to_vec()].concat()),
        ("an empty conf", "conf", Vec::new()),
        ("noise for a conf", "conf", noise[..conf.len()].to_vec()),
        ("text for a conf", "conf", b"segment_size: twelve\nversion: 0.34\n".to_vec()),
        ("half of the conf", "conf", conf[..conf.len() / 2].to_vec()),
        ("an empty snapshot", "snap.0000000000000000", Vec::new()),
        ("noise for a snapshot", "snap.FFFFFFFFFFFFFFFF", noise[..5_000].to_vec()),
        ("noise for a mark", "format", noise[..50].to_vec()),
    ];
    let mut told = 0;
    for (what, file, bytes) in damages {
        let dir = tempfile::tempdir().unwrap();
        for name in ["db", "conf", "format"] {
            fs::copy(whole.path().join(name), dir.path().join(name)).unwrap();
        }
        fs::create_dir(dir.path().join("blobs")).unwrap();
        fs::write(dir.path().join(file), bytes).unwrap();
        let outcome = open_and_read(dir.path());
        println!("{what}: {outcome:?}");
        match outcome {
            Ok(rows) if what == "nothing" => assert_eq!(rows, ROWS as usize),
            Ok(_) => {}
            Err(StoreError::Corrupt(why)) => {
                assert!(why.contains("backup") || why.contains("should say"), "{what}: {why}");
                told += 1;
            }
            Err(other) => panic!("{what}: {other}"),
        }
    }
    assert!(told >= 10, "most damage is told: only {told}");
}

const CHILD: &str = "WATCHDOG_DIR";

/// Not a test by itself: the process that the next one starts.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let options = SledOptions { patience: Duration::from_nanos(1), ..SledOptions::default() };
    let store = SledStore::open_with(Path::new(&dir), &options).unwrap();
    let lead = store.lead().unwrap();
    for number in 1..10_000 {
        store.commit(&Batch { epoch: lead.epoch, number, ops: Vec::new() }).unwrap();
    }
}

#[test]
fn a_commit_that_takes_too_long_ends_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(74));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the disk has not answered"), "{said}");
    // and nothing is the matter afterwards
    SledStore::open(dir.path()).unwrap().verify().unwrap();
}
