//! What every kind of trigger may hold, as tables: see [`keys`](super::keys).

use super::decode::{Holds, Key, Table};
use super::keys::TYPES;

/// A kind of trigger.
#[derive(Debug)]
pub struct TriggerTable {
    /// Its main key.
    pub main: &'static str,
    /// What it may hold; `None`: not supported yet.
    pub table: Option<Table>,
}

/// Events, the most common trigger.
pub static TRIGGER: Table = EVENT;

const EVENT: Table = Table {
    what: "a trigger",
    keys: &[
        Key::required("event", "types of events: one, a list, or a prefix `lead.*`").holds(TYPES),
        Key::optional("where", "which of them").holds(Holds::Expression),
        Key::optional("subject", "whose").holds(Holds::Text),
        Key::optional("own", "`true`: also events that this workflow caused").holds(Holds::Flag),
    ],
};

/// Every kind of trigger.
pub static TRIGGERS: &[TriggerTable] = &[
    TriggerTable { main: "event", table: Some(EVENT) },
    TriggerTable {
        main: "record",
        table: Some(Table {
            what: "a `record` trigger",
            keys: &[
                Key::required("record", "the kind of records").holds(Holds::Name),
                Key::required("becomes", "what becomes true of one").holds(Holds::Expression),
                Key::optional("where", "which changes: `event.data.record`, `event.data.old`")
                    .holds(Holds::Expression),
                Key::optional("subject", "whose: the record's address").holds(Holds::Text),
                Key::optional("own", "`true`: also changes that this workflow made")
                    .holds(Holds::Flag),
            ],
        }),
    },
    TriggerTable {
        main: "webhook",
        table: Some(Table {
            what: "a `webhook` trigger",
            keys: &[
                Key::required("webhook", "the name of an inbound webhook: `/hooks/NAME`")
                    .holds(Holds::Name),
                Key::optional("where", "which of its events").holds(Holds::Expression),
                Key::optional("subject", "whose").holds(Holds::Text),
            ],
        }),
    },
    TriggerTable {
        main: "schedule",
        table: Some(Table {
            what: "a `schedule` trigger",
            keys: &[
                Key::required("schedule", "minute, hour, day, month, weekday: `0 9 * * 1-5`")
                    .holds(Holds::Text),
                Key::required("timezone", "whose clock: a zone such as `Europe/Berlin`")
                    .holds(Holds::Text),
                Key::optional("hours", "moves an instant to this calendar's next opening")
                    .holds(Holds::Name),
                Key::optional("catchup", "`none`, `last` or `all` of what was missed")
                    .holds(Holds::Choice(&["none", "last", "all"])),
            ],
        }),
    },
    TriggerTable {
        main: "count",
        table: Some(Table {
            what: "a `count` trigger",
            keys: &[
                Key::required("count", "types of events").holds(TYPES),
                Key::optional("where", "which of them").holds(Holds::Expression),
                Key::required("by", "what is counted apart: `${event.subject}`").holds(Holds::Text),
                Key::required("at_least", "how many make it start").holds(Holds::Whole(1)),
                Key::required("within", "in how long").holds(Holds::Duration),
                Key::optional("own", "`true`: also events that this workflow caused")
                    .holds(Holds::Flag),
            ],
        }),
    },
    TriggerTable {
        main: "absent",
        table: Some(Table {
            what: "an `absent` trigger",
            keys: &[
                Key::required("absent", "types of events").holds(TYPES),
                Key::optional("where", "which of them").holds(Holds::Expression),
                Key::required("by", "what is watched apart: `${event.subject}`").holds(Holds::Text),
                Key::required("for", "how long none has come").holds(Holds::Duration),
                Key::optional("hours", "the calendar that counts").holds(Holds::Name),
                Key::optional("own", "`true`: also events that this workflow caused")
                    .holds(Holds::Flag),
            ],
        }),
    },
    #[cfg(test)]
    TriggerTable {
        main: "nth",
        table: Some(Table {
            what: "an `nth` trigger",
            keys: &[
                Key::required("nth", "types of events").holds(TYPES),
                Key::required("by", "what is counted apart").holds(Holds::Text),
                Key::required("n", "each how many-th starts the workflow").holds(Holds::Whole(1)),
            ],
        }),
    },
    TriggerTable {
        main: "files",
        table: Some(Table {
            what: "a `files` trigger",
            keys: &[
                Key::required(
                    "files",
                    "files of the spool, each row an event `file.FOLDER`: `leads/*.csv`",
                )
                .holds(Holds::Text),
                Key::optional("where", "which rows").holds(Holds::Expression),
                Key::optional("subject", "whose").holds(Holds::Text),
            ],
        }),
    },
    TriggerTable {
        main: "poll",
        table: Some(Table {
            what: "a `poll` trigger",
            keys: &[
                Key::required("poll", "a function of a plugin that asks what is new")
                    .holds(Holds::Text),
                Key::required("every", "how often it asks").holds(Holds::Duration),
                Key::optional("where", "which of its events").holds(Holds::Expression),
                Key::optional("subject", "whose").holds(Holds::Text),
            ],
        }),
    },
];

/// The kind of trigger with this main key.
#[must_use]
pub fn trigger(main: &str) -> Option<&'static TriggerTable> {
    TRIGGERS.iter().find(|trigger| trigger.main == main)
}
