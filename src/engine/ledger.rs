//! Ledgers: kinds of records that are only ever created, each chained to the one before by a hash.
//!
//! A chain shows what was changed in the middle. That its end was cut off, or all of it made anew, shows only
//! beside a head that was kept elsewhere: the number of entries and the hash of the last, signed under the key
//! of the state.

use sha2::{Digest as _, Sha256};

use crate::model::{Cause, Head, Map, ReadError, Record, Value, Window, WindowKey};
use crate::rules::RuleSet;

use super::key;
use super::stage::Stage;
use super::watch::window_key;

/// What a ledger's window is for.
const LEDGER: &str = "ledger";
/// The fields that a ledger adds to its records.
const CHAIN: [&str; 3] = ["seq", "prev", "hash"];

/// The heads of all ledgers of the rules in force, signed.
pub(super) fn heads(stage: &Stage<'_>) -> Result<Vec<Head>, ReadError> {
    let ledgers = stage.rules.records.iter().filter(|(_, kind)| kind.ledger);
    ledgers
        .map(|(kind, _)| {
            let window = stage.window(&ledger_key(kind))?.unwrap_or_default();
            let hash = window.last.as_text().unwrap_or_default().into();
            let at = window.times.first().copied();
            let head =
                Head { kind: kind.clone(), count: window.count, hash, at, ..Head::default() };
            let signature = signature(stage, &head)?.into();
            Ok(Head { signature, ..head })
        })
        .collect()
}

/// What a head is signed with.
pub(super) fn signature(stage: &Stage<'_>, head: &Head) -> Result<String, ReadError> {
    let at = head.at.map(|at| at.to_string()).unwrap_or_default();
    let text = format!("{}\n{}\n{}\n{at}", head.kind, head.count, head.hash);
    key::mac(stage, "ledger head", &text)
}

/// Chains a new record of a ledger to the one before.
pub(super) fn chain(stage: &mut Stage<'_>, record: &mut Record) -> Result<(), ReadError> {
    let kind = stage.rules.records.get(&record.address.kind);
    if !kind.is_some_and(|kind| kind.ledger) {
        return Ok(());
    }
    let (key, now) = (ledger_key(&record.address.kind), stage.now);
    let head = stage.window(&key)?.unwrap_or_default();
    let before = head.last.as_text().unwrap_or_default();
    let seq = head.count + 1;
    let created = record.created.to_string();
    let hash = entry_hash(before, seq, &record.address.id, &created, &record.fields);
    record.fields.extend([
        ("seq".into(), Value::Int(seq as i64)),
        ("prev".into(), Value::from(before)),
        ("hash".into(), Value::from(hash.as_str())),
    ]);
    stage.put_window(
        key,
        Some(Window { count: seq, last: Value::from(hash), times: vec![now], ..Window::default() }),
    )
}

/// Where the head of a ledger lies.
pub(super) fn ledger_key(kind: &str) -> WindowKey {
    window_key("", LEDGER, Some(kind))
}

/// The hash of an entry of a ledger: SHA-256 over the hash before it, its number, its id, when it was created
/// (RFC 3339, as the API has it) and its fields as JSON with sorted keys, each prefixed with its length; in hex. The fields are those without `seq`, `prev`
/// and `hash`.
#[must_use]
pub fn entry_hash(before: &str, seq: u64, id: &str, created: &str, fields: &Map) -> String {
    let own: Map = fields
        .iter()
        .filter(|(name, _)| !CHAIN.contains(&&***name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let json = Value::Map(own).to_json().to_string();
    let mut hasher = Sha256::new();
    let seq = seq.to_be_bytes();
    for part in [before.as_bytes(), &seq, id.as_bytes(), created.as_bytes(), json.as_bytes()] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    key::hex(&hasher.finalize())
}

/// Refuses fields that the ledger itself writes.
pub(super) fn refuse_chain(fields: &Map, rules: &RuleSet, kind: &str) -> Result<(), Cause> {
    let is_ledger = rules.records.get(kind).is_some_and(|kind| kind.ledger);
    let own = CHAIN.iter().find(|name| fields.contains_key(**name));
    match own.filter(|_| is_ledger) {
        Some(name) => {
            let message = format!("`{name}` is written by the ledger itself");
            Err(Cause::new("ledger", message))
        }
        None => Ok(()),
    }
}
