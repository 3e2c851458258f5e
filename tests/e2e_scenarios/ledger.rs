//! Ledgers tampered with on the disk, while the daemon is down: one byte of an entry, or the last entry taken away.

use adjutant::store::{Batch, JournaledStore, Op, Row, Store as _};

use crate::stage::Stage;
use crate::support::cli::Said;

/// Where heads are kept that nobody reaches who reaches the state.
const KEPT: &str = "kept-heads.json";

/// Changes a byte of each ledger that has entries, and then cuts off its end; what `audit verify` does not notice.
pub(crate) fn tamper(stage: &mut Stage) -> Vec<String> {
    let heads = stage.daemon.run(&["audit", "head"]);
    let ledgers = heads.json()["ledgers"].as_array().expect("a list").clone();
    let kinds = ledgers.iter().filter(|head| head["count"] != 0);
    let kinds: Vec<_> = kinds.filter_map(|head| head["kind"].as_str()).collect();
    if kinds.is_empty() {
        return Vec::new();
    }
    stage.daemon.folder.write(KEPT, &heads.out);
    let mut wrong = Vec::new();
    for kind in kinds {
        for (number, (key, value)) in entries(stage, kind).into_iter().enumerate() {
            let at = stage.chance.below(value.len() as u64) as usize;
            let mut other = value.clone();
            other[at] ^= 1 << stage.chance.below(8);
            let what = format!("{kind}: byte {at} of entry {number} was changed");
            wrong.extend(noticed(stage, &what, Op::Put(key.clone(), other), &[]));
            write(stage, Op::Put(key, value));
        }
        let (key, value) = entries(stage, kind).pop().expect("it has entries");
        let what = format!("{kind}: the last entry was cut off");
        wrong.extend(noticed(stage, &what, Op::Delete(key.clone()), &["--head", KEPT]));
        write(stage, Op::Put(key, value));
    }
    let put_back = verified(stage, &["--head", KEPT]);
    wrong.extend(
        (put_back.code != 0).then(|| format!("put back: {}{}", put_back.out, put_back.err)),
    );
    wrong
}

/// Whether a write is noticed; if not, what was written.
fn noticed(stage: &mut Stage, what: &str, op: Op, more: &[&str]) -> Option<String> {
    write(stage, op);
    let said = verified(stage, more);
    (said.code != 1).then(|| format!("{what}, and `audit verify` says {}{}", said.out, said.err))
}

/// What `audit verify` says of the state as it is.
fn verified(stage: &mut Stage, more: &[&str]) -> Said {
    stage.start();
    let said = stage.daemon.run(&[&["audit", "verify"], more].concat());
    stage.daemon.kill();
    said
}

/// The rows of a ledger's entries, in order of their ids.
fn entries(stage: &mut Stage, kind: &str) -> Vec<Row> {
    stage.daemon.kill();
    // A record's key is `c`, its kind, a zero and its id.
    let from = [b"c", kind.as_bytes(), &[0]].concat();
    let to = [b"c", kind.as_bytes(), &[1]].concat();
    open(stage).scan(&from, &to, usize::MAX).expect("it can be read")
}

fn write(stage: &Stage, op: Op) {
    let store = open(stage);
    let lead = store.lead().expect("nobody else leads");
    let batch = Batch { epoch: lead.epoch, number: lead.number + 1, ops: vec![op] };
    store.commit(&batch).expect("it is written");
}

fn open(stage: &Stage) -> JournaledStore {
    JournaledStore::open(&stage.daemon.folder.path("data/state")).expect("nobody else has it")
}
