//! Memory stays flat under many small commits. In a process of its own, so that what is measured
//! is the store.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends where it fails and prints figures"
)]

use adjutant::store::{Batch, Op, SledStore, Store};

/// Small writes and removes in all.
const CHANGES: u64 = 300_000;
/// Changes in a commit.
const BATCH: u64 = 512;
/// Rows alive at a time.
const LIVE: u64 = 100_000;
/// sled's cache may take 64 MB and the test itself takes 24. sled alone, with its garbage left in
/// the writer's thread, took gigabytes.
const MOST: u64 = 256 * 1024 * 1024;

#[test]
fn memory_stays_flat() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    let lead = store.lead().unwrap();
    let before = resident();
    let (mut put, mut removed, mut number, mut most) = (0_u64, 0_u64, 0, 0);
    while put + removed < CHANGES {
        let mut ops = Vec::new();
        while (ops.len() as u64) < BATCH {
            ops.push(Op::Put(key(put), vec![put as u8; 120]));
            put += 1;
            if put - removed > LIVE {
                ops.push(Op::Delete(key(removed)));
                removed += 1;
            }
        }
        number += 1;
        store.commit(&Batch { epoch: lead.epoch, number, ops }).unwrap();
        most = most.max(resident());
    }
    let space = store.space().unwrap();
    println!(
        "{CHANGES} changes in {number} commits: {} MB before, at most {} MB; {} MB on disk",
        before >> 20,
        most >> 20,
        space.used >> 20
    );
    assert!(most < MOST, "{} MB of memory", most >> 20);
}

/// Random order, which is what makes the most garbage.
fn key(n: u64) -> Vec<u8> {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().to_vec()
}

/// Bytes of memory that this process has (`VmRSS` of proc(5)).
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
