//! `adjutant audit`: whether the ledgers are as they were written.
//!
//! Every entry is read and its hash computed again, here and not by the daemon. What a chain cannot show by
//! itself, that its end is missing or that all of it was made anew, shows beside a head that was kept
//! elsewhere: `adjutant audit head`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use comfy_table::Cell;
use serde_json::json;

use super::client::{Client, part, with_query};
use super::screen::{Screen, put, rows, table};
use super::{Exit, Failure};
use crate::api::wire;
use crate::engine::entry_hash;
use crate::model::{Map, Value};

/// Entries read at a time.
const PAGE: usize = 1_000;
/// What is wrong with a ledger is told up to this many times.
const FAULTS: usize = 20;

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Compute the hashes of every entry again, and compare with heads that were kept elsewhere
    #[command(after_help = "\
Examples:
  adjutant audit verify
  adjutant audit verify campaign-report --head /mnt/elsewhere/heads.json")]
    Verify {
        /// Only these ledgers
        kinds: Vec<String>,
        /// A file that `adjutant audit head` wrote earlier; may be given more than once
        #[arg(long, value_name = "FILE")]
        head: Vec<PathBuf>,
    },
    /// Print how far each ledger is, signed: keep it where nobody reaches who reaches the state
    #[command(after_help = "\
Examples:
  adjutant audit head > /mnt/elsewhere/heads.json
  adjutant audit head campaign-report")]
    Head {
        /// Only these ledgers
        kinds: Vec<String>,
    },
}

pub(super) async fn run(audit: Audit, client: &Client, screen: &Screen) -> Result<Exit, Failure> {
    match audit {
        Audit::Head { kinds } => {
            let mut answer = client.get::<wire::Ledgers>("/v1/ledgers").await?.value;
            answer.ledgers.retain(|head| kinds.is_empty() || kinds.contains(&head.kind));
            // For a file, so it is JSON for people as well.
            let text = serde_json::to_string_pretty(&answer).unwrap_or_default();
            let json = json!(answer);
            screen.show(&json, |_| format!("{text}\n"));
            Ok(Exit::Fine)
        }
        Audit::Verify { kinds, head } => verify(&kinds, &head, client, screen).await,
    }
}

/// What came of one ledger.
#[derive(serde::Serialize)]
struct Verified {
    kind: String,
    entries: u64,
    faults: Vec<String>,
}

async fn verify(
    kinds: &[String],
    files: &[PathBuf],
    client: &Client,
    screen: &Screen,
) -> Result<Exit, Failure> {
    let ledgers = client.get::<wire::Ledgers>("/v1/ledgers").await?.value.ledgers;
    if let Some(unknown) = kinds.iter().find(|kind| !ledgers.iter().any(|head| head.kind == **kind))
    {
        let message = format!("there is no ledger `{unknown}`: say `ledger: true` in its document");
        return Err(Failure::new(Exit::Usage, message));
    }
    let mut kept = Vec::new();
    for file in files {
        kept.extend(read(file)?);
    }
    let mut all = Vec::new();
    for now in ledgers.iter().filter(|head| kinds.is_empty() || kinds.contains(&head.kind)) {
        let mut faults = Vec::new();
        let entries = entries(&now.kind, client).await?;
        chain(&entries, &mut faults);
        against(&entries, now, "the state", &mut faults);
        for head in kept.iter().filter(|head| head.kind == now.kind) {
            let path = format!("/v1/ledgers/{}/check", part(&head.kind));
            if client.post::<wire::Checked>(&path, &json!(head)).await?.value.valid {
                against(&entries, head, "the head kept elsewhere", &mut faults);
            } else {
                faults.push("the head kept elsewhere was not signed by this state".to_owned());
            }
        }
        faults.truncate(FAULTS);
        all.push(Verified { kind: now.kind.clone(), entries: entries.len() as u64, faults });
    }
    for head in kept.iter().filter(|head| !ledgers.iter().any(|now| now.kind == head.kind)) {
        let faults = vec!["there is no such ledger any more".to_owned()];
        all.push(Verified { kind: head.kind.clone(), entries: 0, faults });
    }
    let sound = all.iter().all(|one| one.faults.is_empty());
    screen.show(&json!({ "sound": sound, "ledgers": all }), |_| report(&all));
    Ok(if sound { Exit::Fine } else { Exit::Failed })
}

fn read(file: &Path) -> Result<Vec<wire::Head>, Failure> {
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::new(Exit::Usage, format!("{} cannot be used: {why}", file.display()))
    };
    let text = std::fs::read_to_string(file).map_err(|error| wrong(&error))?;
    let heads: wire::Ledgers = serde_json::from_str(&text)
        .map_err(|error| wrong(&format!("{error}; write it with `adjutant audit head`")))?;
    Ok(heads.ledgers)
}

/// An entry as it is stored.
struct Entry {
    id: String,
    seq: u64,
    prev: String,
    hash: String,
    created: String,
    /// It was written more than once, as nothing in a ledger is, or says that it is of another kind.
    is_alien: bool,
    fields: Map,
}

impl Entry {
    /// What its hash must be.
    fn hashed(&self) -> String {
        entry_hash(&self.prev, self.seq, &self.id, &self.created, &self.fields)
    }
}

/// Every entry of a ledger, in order of number.
async fn entries(kind: &str, client: &Client) -> Result<Vec<Entry>, Failure> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let pairs = [("after", after), ("limit", Some(PAGE.to_string()))];
        let path = with_query(&format!("/v1/records/{}", part(kind)), &pairs);
        let page = client.get::<wire::Records>(&path).await?.value;
        for record in page.records {
            let Value::Map(fields) = Value::from_json(serde_json::Value::Object(record.fields))
            else {
                continue;
            };
            let text = |name: &str| fields.get(name).map(Value::to_string).unwrap_or_default();
            found.push(Entry {
                id: record.id,
                seq: text("seq").parse().unwrap_or(0),
                prev: text("prev"),
                hash: text("hash"),
                is_alien: record.kind != kind
                    || record.revision != 1
                    || record.updated != record.created,
                created: record.created,
                fields,
            });
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    found.sort_by_key(|entry| entry.seq);
    Ok(found)
}

/// Whether each entry is what its hash says, and follows the one before.
fn chain(entries: &[Entry], faults: &mut Vec<String>) {
    let mut before = String::new();
    for (at, entry) in entries.iter().enumerate() {
        let expected = at as u64 + 1;
        if entry.seq != expected {
            faults.push(format!(
                "entry {expected} is missing: {} has number {}",
                entry.id, entry.seq
            ));
            return;
        }
        if entry.prev != before {
            faults
                .push(format!("entry {expected} ({}) does not follow the one before it", entry.id));
        }
        if entry.is_alien || entry.hashed() != entry.hash {
            faults.push(format!("entry {expected} ({}) was changed", entry.id));
        }
        before.clone_from(&entry.hash);
    }
}

/// Whether a head is among the entries.
fn against(entries: &[Entry], head: &wire::Head, whose: &str, faults: &mut Vec<String>) {
    if (entries.len() as u64) < head.count {
        let missing = head.count - entries.len() as u64;
        faults
            .push(format!("{missing} entries are missing at the end: {whose} has {}", head.count));
        return;
    }
    let last =
        usize::try_from(head.count).ok().and_then(|count| entries.get(count.checked_sub(1)?));
    if last.is_some_and(|entry| entry.hash != head.hash) {
        faults.push(format!("entry {} is not the one that {whose} has", head.count));
    }
}

fn report(all: &[Verified]) -> String {
    let mut table = table(&["LEDGER", "ENTRIES", "RESULT"]);
    for one in all {
        let result = if one.faults.is_empty() { "sound" } else { "not sound" };
        table.add_row([Cell::new(&one.kind), Cell::new(one.entries), Cell::new(result)]);
    }
    let mut text =
        rows(&table, "there are no ledgers: `ledger: true` in a `record:` document makes one");
    for one in all {
        for fault in &one.faults {
            put(&mut text, format_args!("{}: {fault}\n", one.kind));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(many: u64) -> Vec<Entry> {
        let mut before = String::new();
        (1..=many)
            .map(|seq| {
                let id = format!("r{seq}");
                let fields: Map = [("sum".into(), Value::Int(seq as i64))].into();
                let created = format!("2026-03-02T09:00:0{seq}Z");
                let hash = entry_hash(&before, seq, &id, &created, &fields);
                let prev = std::mem::replace(&mut before, hash.clone());
                Entry { id, seq, prev, hash, created, is_alien: false, fields }
            })
            .collect()
    }

    fn head(entries: &[Entry]) -> wire::Head {
        let hash = entries.last().map(|entry| entry.hash.clone()).unwrap_or_default();
        wire::Head { count: entries.len() as u64, hash, ..wire::Head::default() }
    }

    fn faults(entries: &[Entry], head: &wire::Head) -> Vec<String> {
        let mut faults = Vec::new();
        chain(entries, &mut faults);
        against(entries, head, "the head", &mut faults);
        faults
    }

    #[test]
    fn what_was_changed_taken_away_or_cut_off_is_told() {
        let sound = ledger(4);
        let kept = head(&sound);
        assert_eq!(faults(&sound, &kept), Vec::<String>::new());
        assert_eq!(faults(&ledger(6), &kept), Vec::<String>::new(), "it may have grown");
        let changed = |change: &dyn Fn(&mut Vec<Entry>)| {
            let mut entries = ledger(4);
            change(&mut entries);
            faults(&entries, &kept)
        };
        // One digit of one number.
        let one = changed(&|all| {
            all[1].fields.insert("sum".into(), Value::Int(3));
        });
        assert_eq!(one, ["entry 2 (r2) was changed"]);
        let named = changed(&|all| all[1].id = "r9".into());
        assert_eq!(named, ["entry 2 (r9) was changed"]);
        let dated = changed(&|all| all[1].created = "2026-03-02T09:00:00Z".to_owned());
        assert_eq!(dated, ["entry 2 (r2) was changed"]);
        let again = changed(&|all| all[1].is_alien = true);
        assert_eq!(again, ["entry 2 (r2) was changed"]);
        let gone = changed(&|all| {
            all.remove(1);
        });
        assert!(gone[0].starts_with("entry 2 is missing"), "{gone:?}");
        let cut = changed(&|all| all.truncate(3));
        assert_eq!(cut, ["1 entries are missing at the end: the head has 4"]);
        // All of it made anew, and sound in itself.
        let stamped = changed(&|all| {
            let mut before = String::new();
            for entry in all {
                entry.fields.insert("sum".into(), Value::Int(7));
                entry.prev.clone_from(&before);
                entry.hash = entry.hashed();
                before.clone_from(&entry.hash);
            }
        });
        assert_eq!(stamped, ["entry 4 is not the one that the head has"]);
        let none = wire::Head::default();
        assert_eq!(faults(&[], &none), Vec::<String>::new());
    }
}
