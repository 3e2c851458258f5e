//! The vocabulary every other room speaks: values, time, events, runs, records, effects.
//!
//! Invariants: nothing here reads a clock, a disk or the network, and nothing here imports another
//! room. A type that reaches the disk derives serde; its versioned envelope lives in `store/codec`.

mod address;
mod duration;
mod effect;
mod event;
mod exchange;
mod glob;
mod id;
mod ledger;
pub mod limits;
mod link;
#[cfg(test)]
pub(crate) mod planted;
mod poll;
mod record;
mod retention;
mod run;
mod signature;
mod task;
mod time;
mod value;
mod verdict;
mod view;
mod window;

pub use address::{Address, AddressError};
pub use duration::{Duration, DurationError};
pub use effect::{ActionKind, Cause, Class, Command, Effect, EffectState, Outcome};
pub use event::{Draft, Event, Lineage, Pattern, StoredEvent, own_event};
pub use exchange::{Decision, Input, Operator, Refusal, Reply, Settled, Write};
pub use glob::{FileGlob, SPOOL_KEPT};
pub use id::{BundleId, Digest, EffectKey, EventNo, Hasher, InboxNo, Name, RunId, RunNo, is_name};
pub use ledger::Head;
pub use link::{Link, LinkError, LinkKey, LinkVerb};
pub use poll::{Ask, Found, POLL_BUSY, Polled};
pub use record::{
    APPROVAL, APPROVED, KNOWN_KINDS, METRIC, OBLIGATION, OWN_KINDS, PERSON, REJECTED, Record, SLA,
    SUPPRESSION, is_own,
};
pub use retention::Retention;
pub use run::{
    Arm, ArmRole, ArmSubject, Branch, Failing, Join, Ladder, Origin, Parent, Redo, Run, Status,
    Trace, TraceEntry, Wait,
};
pub use signature::{KeyError, sign};
pub use task::Task;
pub use time::{Instant, Span};
pub use value::{Map, Text, Value};
pub use verdict::{Code, Explained, Tested, Verdict};
pub use view::{ReadError, View};
pub use window::{Window, WindowKey};
