//! States as files of hex: a row on each line, its key and its value.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use adjutant::store::{Batch, MemoryStore, Op, Store as _};

/// Every row of a store as such a file.
pub(crate) fn text(store: &MemoryStore) -> String {
    let rows = store.scan(&[], &[0xff; 8], usize::MAX).expect("a memory store reads");
    let line = |(key, value): &(Vec<u8>, Vec<u8>)| format!("{} {}\n", hex(key), hex(value));
    rows.iter().map(line).collect()
}

/// Writes a store's rows into the file that `ADJUTANT_WRITE_SAMPLE` names, if it names one.
pub(crate) fn write_if_asked(store: &MemoryStore) {
    if let Ok(path) = std::env::var("ADJUTANT_WRITE_SAMPLE") {
        std::fs::write(path, text(store)).expect("the sample is written");
    }
}

/// A store with the rows of a file in `tests/fixtures/`, and the first bytes of its keys: the kinds of rows.
pub(crate) fn read(file: &str) -> (Arc<MemoryStore>, BTreeSet<u8>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file);
    let text = std::fs::read_to_string(path).expect("a sample");
    let rows = text.lines().map(|line| line.split_once(' ').expect("a key and a value"));
    let rows: Vec<_> = rows.map(|(key, value)| (unhex(key), unhex(value))).collect();
    let kinds = rows.iter().map(|(key, _)| key[0]).collect();
    let ops = rows.into_iter().map(|(key, value)| Op::Put(key, value)).collect();
    let store = Arc::new(MemoryStore::new());
    let lead = store.lead().expect("a new store");
    store.commit(&Batch { epoch: lead.epoch, number: 1, ops }).expect("a memory store commits");
    (store, kinds)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = (0..text.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}
