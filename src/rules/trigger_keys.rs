//! What every kind of trigger may hold, as tables: see [`keys`](super::keys).

use super::decode::{Key, Table};

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
        Key::required("event", "types of events: one, a list, or a prefix `lead.*`"),
        Key::optional("where", "which of them"),
        Key::optional("subject", "whose"),
        Key::optional("own", "`true`: also events that this workflow caused"),
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
                Key::required("record", "the kind of records"),
                Key::required("becomes", "what becomes true of one"),
                Key::optional("where", "which changes: `event.data.record`, `event.data.old`"),
                Key::optional("subject", "whose: the record's address"),
                Key::optional("own", "`true`: also changes that this workflow made"),
            ],
        }),
    },
    TriggerTable {
        main: "webhook",
        table: Some(Table {
            what: "a `webhook` trigger",
            keys: &[
                Key::required("webhook", "the name of an inbound webhook: `/hooks/NAME`"),
                Key::optional("where", "which of its events"),
                Key::optional("subject", "whose"),
            ],
        }),
    },
    TriggerTable {
        main: "schedule",
        table: Some(Table {
            what: "a `schedule` trigger",
            keys: &[
                Key::required("schedule", "minute, hour, day, month, weekday: `0 9 * * 1-5`"),
                Key::required("timezone", "whose clock: a zone such as `Europe/Berlin`"),
                Key::optional("hours", "moves an instant to this calendar's next opening"),
                Key::optional("catchup", "`none`, `last` or `all` of what was missed"),
            ],
        }),
    },
    TriggerTable {
        main: "count",
        table: Some(Table {
            what: "a `count` trigger",
            keys: &[
                Key::required("count", "types of events"),
                Key::optional("where", "which of them"),
                Key::required("by", "what is counted apart: `${event.subject}`"),
                Key::required("at_least", "how many make it start"),
                Key::required("within", "in how long"),
                Key::optional("own", "`true`: also events that this workflow caused"),
            ],
        }),
    },
    TriggerTable {
        main: "absent",
        table: Some(Table {
            what: "an `absent` trigger",
            keys: &[
                Key::required("absent", "types of events"),
                Key::optional("where", "which of them"),
                Key::required("by", "what is watched apart: `${event.subject}`"),
                Key::required("for", "how long none has come"),
                Key::optional("hours", "the calendar that counts"),
                Key::optional("own", "`true`: also events that this workflow caused"),
            ],
        }),
    },
    #[cfg(test)]
    TriggerTable {
        main: "nth",
        table: Some(Table {
            what: "an `nth` trigger",
            keys: &[
                Key::required("nth", "types of events"),
                Key::required("by", "what is counted apart"),
                Key::required("n", "each how many-th starts the workflow"),
            ],
        }),
    },
    TriggerTable { main: "files", table: None },
    TriggerTable {
        main: "poll",
        table: Some(Table {
            what: "a `poll` trigger",
            keys: &[
                Key::required("poll", "a function of a plugin that asks what is new"),
                Key::required("every", "how often it asks"),
                Key::optional("where", "which of its events"),
                Key::optional("subject", "whose"),
            ],
        }),
    },
];

/// The kind of trigger with this main key.
#[must_use]
pub fn trigger(main: &str) -> Option<&'static TriggerTable> {
    TRIGGERS.iter().find(|trigger| trigger.main == main)
}
