//! [`View`]: everything a decision may read. It shows the state with all earlier decisions applied,
//! durable or not.

use std::sync::Arc;

use super::address::Address;
use super::event::{Pattern, StoredEvent};
use super::id::{BundleId, Digest, EventNo, InboxNo, Name, RunNo};
use super::record::Record;
use super::run::{ArmSubject, Run};
use super::time::Instant;
use super::value::{Text, Value};
use super::window::{Window, WindowKey};

/// Why a read failed. The decision that asked is dropped whole.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The store failed: the daemon stops with exit code 74.
    #[error("state could not be read: {0}")]
    Store(Text),
    /// A row could not be decoded.
    #[error("state is damaged: {0}")]
    Corrupt(Text),
}

/// What decisions read. One method per question; each is answered from an index or one row.
pub trait View {
    /// The run with this number.
    ///
    /// # Errors
    /// As for every method here: [`ReadError`].
    fn run(&self, no: RunNo) -> Result<Option<Arc<Run>>, ReadError>;
    /// The event with this number.
    ///
    /// # Errors
    /// See [`View::run`].
    fn event(&self, no: EventNo) -> Result<Option<Arc<StoredEvent>>, ReadError>;
    /// The event known under a (source, id), with its fingerprint.
    ///
    /// # Errors
    /// See [`View::run`].
    fn identity(&self, identity: Digest) -> Result<Option<(EventNo, Digest)>, ReadError>;
    /// A record.
    ///
    /// # Errors
    /// See [`View::run`].
    fn record(&self, address: &Address) -> Result<Option<Arc<Record>>, ReadError>;
    /// Records of a kind in order of id, after `after`, at most `limit`.
    ///
    /// # Errors
    /// See [`View::run`].
    fn records(
        &self,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, ReadError>;
    /// Records of a kind whose indexed field equals `value`, in order of id, at most `limit`.
    ///
    /// # Errors
    /// See [`View::run`].
    fn records_where(
        &self,
        kind: &str,
        index: &str,
        value: &Value,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, ReadError>;
    /// Events after `after`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// See [`View::run`].
    fn events_after(
        &self,
        after: EventNo,
        limit: usize,
    ) -> Result<Vec<Arc<StoredEvent>>, ReadError>;
    /// Runs after `after`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// See [`View::run`].
    fn runs_after(&self, after: RunNo, limit: usize) -> Result<Vec<Arc<Run>>, ReadError>;
    /// Whether a run that lives, or failed and may be retried, began with this event.
    fn is_event_used(&self, no: EventNo) -> bool;
    /// Whether a bundle's sources are stored.
    ///
    /// # Errors
    /// See [`View::run`].
    fn has_bundle(&self, id: BundleId) -> Result<bool, ReadError>;
    /// Versions that are stored and that no living or failed run is pinned to.
    fn idle_bundles(&self) -> Vec<BundleId>;
    /// The declared indexes at the last [`super::Write::Indexes`].
    ///
    /// # Errors
    /// See [`View::run`].
    fn indexes(&self) -> Result<Vec<(Name, Vec<Name>)>, ReadError>;
    /// Runs with an arm of this pattern and subject, in order, after `after`, at most `limit`.
    /// May contain a few that do not: the arm in the run's row decides.
    fn waiters(
        &self,
        pattern: &Pattern,
        subject: &ArmSubject,
        after: RunNo,
        limit: usize,
    ) -> Vec<RunNo>;
    /// Living runs that count for `mode` and `max` of a workflow, oldest first; with a key, only
    /// those of that key. At most `limit`.
    fn holders(&self, workflow: &str, key: Option<&str>, limit: usize) -> Vec<RunNo>;
    /// Runs in the queue of their key or workflow, in order, after `after`, at most `limit`.
    fn queued(&self, after: RunNo, limit: usize) -> Vec<RunNo>;
    /// Living children of a run.
    fn children(&self, run: RunNo) -> Vec<RunNo>;
    /// A piece of what the children of a run are for, if none of them has begun.
    ///
    /// # Errors
    /// See [`View::run`].
    fn items(&self, run: RunNo, piece: u32) -> Result<Option<Vec<Value>>, ReadError>;
    /// What is remembered under a key.
    ///
    /// # Errors
    /// See [`View::run`].
    fn window(&self, key: &WindowKey) -> Result<Option<Window>, ReadError>;
    /// Keys of windows in order, after `after`, at most `limit`.
    ///
    /// # Errors
    /// See [`View::run`].
    fn windows(&self, after: Option<&WindowKey>, limit: usize)
    -> Result<Vec<WindowKey>, ReadError>;
    /// Events with this subject after `after`, the newest `limit` of them, oldest first. May contain a few
    /// with another subject: the event's row decides.
    fn events_about(&self, subject: &str, after: EventNo, limit: usize) -> Vec<EventNo>;
    /// How many attempts may be started in a lane at once: none while others wait in it.
    fn credit(&self, lane: &str) -> usize;
    /// The number the next event gets.
    fn next_event(&self) -> EventNo;
    /// The number the next run gets.
    fn next_run(&self) -> RunNo;
    /// The number the next inbox item gets.
    fn next_inbox(&self) -> InboxNo;
    /// The latest engine time written.
    fn clock(&self) -> Instant;
}
