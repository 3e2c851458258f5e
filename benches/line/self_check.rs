//! The instruments are tried on what is known before they are believed: an audit that has gone blind
//! would find every daemon faultless.

use std::sync::atomic::Ordering::Relaxed;

use super::latency::Latencies;
use super::ledger::{Audit, Ledgers, Matching};
use super::outcome::Result;
use super::work;

/// Fails if the audit overlooks a fault or finds one that is not there, or if a percentile is wrong.
pub(crate) fn run() -> Result<()> {
    audit()?;
    let mut latencies = Latencies::of((1..=1_000).rev().map(|ms| ms * 1_000_000).collect());
    let found = [0.5, 0.99, 0.999, 1.0].map(|share| latencies.at(share));
    let expected = [500.0, 990.0, 999.0, 1_000.0].map(Some);
    if found != expected || Latencies::default().at(0.5).is_some() {
        return Err(format!("percentiles are wrong: {found:?}").into());
    }
    Ok(())
}

fn audit() -> Result<()> {
    let ledgers = Ledgers::default();
    let ledger = ledgers.open(Matching::Half);
    // Status of each event and the keys under which its webhook comes; those with an even number match.
    let events: [(u16, &[&[u8]]); 8] = [
        (202, &[b"a"]),
        (202, &[]),
        (202, &[]),
        (503, &[]),
        (202, &[b"b", b"b"]),
        (202, &[b"c"]),
        (0, &[b"d", b"e"]),
        (0, &[]),
    ];
    for ((status, keys), seq) in events.iter().zip(ledger.take(events.len())) {
        ledger.row(seq).status.store(*status, Relaxed);
        let event = work::event(&ledger, seq);
        for key in *keys {
            if !ledgers.received(&event, key, 1) {
                return Err("the receiver does not find the id of an event".into());
            }
        }
    }
    let strange = ledgers.received(br#"{"id":"r1-0000001"}"#, b"f", 1);
    let expected = Audit {
        accepted: 5,
        unanswered: 2,
        delivered: 4,
        repeated: 1,
        lost: 1,
        unasked: 1,
        two_keys: 1,
    };
    let found = ledger.audit();
    if found != expected || strange || ledger.is_settled() {
        return Err(format!("the audit is blind: {found:?} instead of {expected:?}").into());
    }
    Ok(())
}
