//! [`Task`]: a unit of the engine's own work. What one input cannot finish within its bounds goes
//! on from the durable inbox, written in the same batch.

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::id::{EventNo, Name, RunNo};
use super::value::Text;

/// Something the engine owes itself. Doing one twice does no harm. Append only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// Wake the runs that listen for an event, those after `after`.
    Wake {
        /// The event.
        event: EventNo,
        /// The last run already woken.
        after: RunNo,
    },
    /// Start workflows for an event, those whose name comes after `after`.
    Start {
        /// The event.
        event: EventNo,
        /// The last workflow already asked.
        after: Option<Name>,
    },
    /// Go on with a run that is ready.
    Advance {
        /// The run.
        run: RunNo,
    },
    /// Give the free place of a key (or of a whole workflow) to the next run in the queue.
    Promote {
        /// The workflow.
        workflow: Name,
        /// The key, if the mode is `queued`.
        key: Option<Text>,
    },
    /// Remove events that are past their retention, those after `after`.
    SweepEvents {
        /// The last event already looked at.
        after: EventNo,
    },
    /// Remove runs that are past their retention, those after `after`.
    SweepRuns {
        /// The last run already looked at.
        after: RunNo,
    },
    /// Rebuild the index rows of a record kind after its declaration changed.
    Reindex {
        /// The kind.
        kind: Name,
        /// The last id already done.
        after: Option<Text>,
    },
    /// Do what follows from the end of a run that was put aside.
    Closed {
        /// The run.
        run: RunNo,
    },
    /// Begin children of a run that waits for many.
    Fan {
        /// The run.
        run: RunNo,
    },
    /// End the children that a run still has, which is over or waits for them no more.
    Orphans {
        /// The run.
        run: RunNo,
    },
    /// Remove windows that no rule in force asks for, those after a workflow, a purpose and a key.
    Windows {
        /// The last one looked at.
        after: Option<(Name, Text, Text)>,
    },
    /// Look for runs that wait for a place which the rules in force give them, those after a run.
    Queues {
        /// The last one looked at.
        after: RunNo,
    },
    /// Forget what was personal of a record: in the events about it, those after `after`, and in their runs;
    /// then in windows.
    Erase {
        /// The record.
        address: Address,
        /// What is looked for, in lower case.
        values: Vec<Text>,
        /// The last event looked at.
        after: EventNo,
        /// The events are done; the last window looked at.
        windows: Option<(Name, Text, Text)>,
    },
    /// Remove records that have not changed for as long as their kind keeps them, those after an id.
    SweepRecords {
        /// The kind.
        kind: Name,
        /// The last id looked at.
        after: Option<Text>,
    },
    /// Look whether the owners of open obligations are there, those after an id.
    Orphaned {
        /// Only of this owner.
        owner: Option<Text>,
        /// The last id looked at.
        after: Option<Text>,
    },
}
