//! Writes into [`State`]: each typed write becomes rows in the overlay and entries in the index.

use std::ops::Range;
use std::sync::Arc;

use crate::model::{
    Address, Digest, EventNo, Name, ReadError, Record, StoredEvent, Value, View, Write,
};
use crate::store::contract::Row;
use crate::store::{codec, keys};

use super::State;
use super::identities::IDENTITIES;
use super::read::{RecordRow, value_digest};
use super::subjects::SUBJECTS;
use super::{events, subjects};

impl State {
    /// Applies the writes of one decision, in order.
    ///
    /// # Errors
    /// [`ReadError`] when the row that a write replaces cannot be read; nothing later is applied.
    pub fn apply(&mut self, writes: Vec<Write>) -> Result<(), ReadError> {
        writes.into_iter().try_for_each(|write| self.apply_one(write))
    }

    fn apply_one(&mut self, write: Write) -> Result<(), ReadError> {
        match write {
            Write::Event(stored) => {
                let no = stored.event.no;
                if no >= self.counters.event {
                    self.counters.event = no.next();
                    if let Some(subject) = &stored.event.subject {
                        self.index.add_event(no, subjects::hash(subject));
                    }
                }
                self.change_row_of(&stored)?;
                self.current.put_event(stored);
            }
            Write::EventsGone(gone) => self.remove_events(&gone)?,
            Write::RunGone(run) => {
                self.index.remove_run(&run);
                self.current.runs.insert(run.no, None);
                self.under_way.remove(&run.no);
                // most stories fit into their run's row, and looking for more costs a walk
                if run.spilled > 0 {
                    for key in self.spill_keys(run.no)? {
                        self.current.remove(key);
                    }
                }
            }
            Write::Identity(identity, event, fingerprint) => {
                self.index.known.add(identity, event);
                self.current.identities.insert(event, (identity, fingerprint));
            }
            Write::Run(old, new) => {
                self.counters.run = self.counters.run.max(new.no.next());
                self.index.replace_run(old.as_deref(), &new);
                self.under_way.remove(&new.no);
                self.current.put_run(new);
            }
            Write::Spill(run, first, entries) => {
                self.current.put(keys::trace(run, first), codec::encode(&entries));
            }
            Write::Window(key, due, window) => {
                let row = keys::window(&key);
                self.index.replace_window(&row, due, window.as_ref().and_then(|new| new.due));
                self.current.set(row, window.map(|window| codec::encode(&window)));
            }
            Write::Items(run, piece, items) => {
                self.current.put(keys::items(run, piece), codec::encode(&items));
            }
            Write::ItemsGone(run, piece) => self.current.remove(keys::items(run, piece)),
            Write::Record(record, indexed) => self.put_record(&record, &indexed)?,
            Write::RecordGone(address) => self.remove_record(&address)?,
            Write::Inbox(no, task) => {
                self.counters.inbox = self.counters.inbox.max(no.next());
                self.current.put(keys::inbox(no), codec::encode(&task));
            }
            Write::InboxDone(no) => self.current.remove(keys::inbox(no)),
            Write::Bundle(id, source) => {
                self.bundles.insert(id);
                self.current.put(keys::bundle(id), source.to_vec());
            }
            Write::BundleGone(id) => {
                self.bundles.remove(&id);
                self.current.remove(keys::bundle(id));
            }
            Write::Indexes(indexes) => {
                self.current.put(keys::INDEXES.to_vec(), codec::encode(&indexes));
                self.indexes = indexes;
            }
        }
        Ok(())
    }

    /// Changes the row of an event that is older than this batch; new ones get theirs at its end.
    fn change_row_of(&mut self, stored: &StoredEvent) -> Result<(), ReadError> {
        let no = stored.event.no;
        if no >= self.packed {
            return Ok(());
        }
        match self.rows(&events::range(no), 1)?.pop() {
            Some((key, row)) => {
                let row = events::change(&key, &row, stored)?;
                self.current.put(key, row);
            }
            None => {
                for (key, row) in events::pack(std::iter::once(stored)) {
                    self.current.put(key, row);
                }
            }
        }
        Ok(())
    }

    /// Removes events with all that points at them. They lie near each other, so what they share is
    /// read and written once.
    fn remove_events(&mut self, gone: &[Arc<StoredEvent>]) -> Result<(), ReadError> {
        let numbers = gone.iter().map(|stored| stored.event.no);
        // what is new in this batch has no row yet and gets none
        let mut packed: Vec<EventNo> = numbers.filter(|no| *no < self.packed).collect();
        packed.sort_unstable();
        for (key, row) in self.rows_of(&packed, events::range)? {
            let left = events::without(&key, &row, &packed);
            self.rewrite(key, &row, left);
        }
        for (key, row) in self.rows_of(&packed, |no| SUBJECTS.range(no))? {
            let left = SUBJECTS.without(&key, &row, &packed);
            self.rewrite(key, &row, left);
        }
        for (key, row) in self.rows_of(&packed, |no| IDENTITIES.range(no))? {
            let left = IDENTITIES.without(&key, &row, &packed);
            self.rewrite(key, &row, left);
        }
        for stored in gone {
            let event = &stored.event;
            self.index.remove_event(event);
            self.current.events.insert(event.no, None);
            self.current.identities.remove(&event.no);
            let identity = event.identity();
            self.index.known.remove(identity, event.no);
            if self.index.known.has_old_rows {
                self.current.remove(keys::identity(identity));
            }
        }
        Ok(())
    }

    /// Puts what is left of a row in its place. A damaged one stays as it is: it may lie between those
    /// that a sweep removes, and must not end it.
    fn rewrite(&mut self, key: Vec<u8>, row: &[u8], left: Result<Option<Vec<u8>>, ReadError>) {
        match left {
            Ok(left) if left.as_deref() != Some(row) => self.current.set(key, left),
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "a damaged row is left as it is"),
        }
    }

    /// The rows that hold what is numbered so, given where the row of one number is the first.
    fn rows_of(
        &self,
        numbers: &[EventNo],
        range: impl Fn(EventNo) -> Range<Vec<u8>>,
    ) -> Result<Vec<Row>, ReadError> {
        let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else {
            return Ok(Vec::new());
        };
        let last = range(*last);
        let mut rows = Vec::new();
        self.walk(&(range(*first).start..last.end), &mut |key, row| {
            rows.push((key.to_vec(), row.to_vec()));
            key < last.start.as_slice()
        })?;
        Ok(rows)
    }

    fn put_record(&mut self, record: &Record, indexed: &[(Name, Value)]) -> Result<(), ReadError> {
        let address = &record.address;
        let old = self.record_row(address)?;
        let digests: Vec<(Name, Digest)> =
            indexed.iter().map(|(field, value)| (field.clone(), value_digest(value))).collect();
        for (field, digest) in old.iter().flat_map(|row| &row.indexed) {
            if !digests.iter().any(|(f, d)| f == field && d == digest) {
                self.current.remove(keys::index(&address.kind, field, *digest, &address.id));
            }
        }
        for (field, digest) in &digests {
            self.current.put(keys::index(&address.kind, field, *digest, &address.id), Vec::new());
        }
        let row = RecordRow { record: record.clone(), indexed: digests };
        self.current.put(keys::record(address), codec::encode(&row));
        Ok(())
    }

    fn remove_record(&mut self, address: &Address) -> Result<(), ReadError> {
        if let Some(row) = self.record_row(address)? {
            for (field, digest) in &row.indexed {
                self.current.remove(keys::index(&address.kind, field, *digest, &address.id));
            }
        }
        self.current.remove(keys::record(address));
        debug_assert!(self.record(address).is_ok_and(|record| record.is_none()));
        Ok(())
    }
}
