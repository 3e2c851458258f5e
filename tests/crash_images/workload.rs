//! The same commits from the same seed, for the process that makes them and the one that audits.

use std::collections::BTreeMap;

use adjutant::store::{Batch, Lead, Op};

/// A small generator (`SplitMix64`, Steele et al. 2014): the same numbers for the same seed for ever.
#[derive(Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Commits without end: many small ones, some of a full batch, long values, queue-like churn that
/// makes sled reuse its segments.
#[derive(Clone)]
pub(crate) struct Workload {
    random: Random,
    next: u64,
    oldest: u64,
    number: u64,
}

/// Rows of the queue kept alive.
const LIVE: u64 = 1_500;

impl Workload {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random(seed), next: 0, oldest: 0, number: 0 }
    }

    /// The operations of the next commit.
    pub(crate) fn ops(&mut self) -> Vec<Op> {
        self.number += 1;
        let rows = match self.random.below(20) {
            0 => 512,
            1..6 => 64,
            _ => 1 + self.random.below(8),
        };
        let mut ops = Vec::new();
        for _ in 0..rows {
            ops.push(Op::Put(queue_key(self.next), self.value(400)));
            self.next += 1;
        }
        // what is behind is removed, so that segments empty and are used again
        while self.next - self.oldest > LIVE {
            ops.push(Op::Delete(queue_key(self.oldest)));
            self.oldest += 1;
        }
        for _ in 0..self.random.below(6) {
            let key = [b"r", self.random.below(400).to_be_bytes().as_slice()].concat();
            ops.push(Op::Put(key, self.value(900)));
        }
        if self.random.below(6) == 0 {
            let key = [b"l", self.random.below(12).to_be_bytes().as_slice()].concat();
            let length = match self.random.below(12) {
                0 => 1_000_000,
                1..4 => 100_000,
                _ => 6_000,
            };
            ops.push(match self.random.below(5) {
                0 => Op::Delete(key),
                _ => Op::Put(key, self.value(length)),
            });
        }
        ops
    }

    /// Bytes that say which commit they are from.
    fn value(&mut self, about: u64) -> Vec<u8> {
        let length = about / 2 + self.random.below(about);
        let mut random = Random(self.number);
        (0..length.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).collect()
    }
}

fn queue_key(n: u64) -> Vec<u8> {
    [b"q", n.to_be_bytes().as_slice()].concat()
}

/// The batch after `lead`.
pub(crate) fn batch(lead: Lead, ops: Vec<Op>) -> Batch {
    Batch { epoch: lead.epoch, number: lead.number + 1, ops }
}

/// What a store must hold after so many commits; asked with rising numbers.
#[derive(Clone)]
pub(crate) struct Expected {
    workload: Workload,
    number: u64,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Expected {
    pub(crate) fn new(seed: u64) -> Self {
        Self { workload: Workload::new(seed), number: 0, rows: BTreeMap::new() }
    }

    pub(crate) fn at(&mut self, number: u64) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        assert!(self.number <= number, "asked backwards");
        while self.number < number {
            for op in self.workload.ops() {
                match op {
                    Op::Put(key, value) => self.rows.insert(key, value),
                    Op::Delete(key) => self.rows.remove(&key),
                };
            }
            self.number += 1;
        }
        &self.rows
    }

    /// As `at`, without going there.
    pub(crate) fn peek(&self, number: u64) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.clone().at(number).clone()
    }
}
