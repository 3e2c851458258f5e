//! What every object of the rule language may hold, as tables.
//!
//! What the language has and this version does not is in here as well, so that it is refused as
//! "not supported yet" instead of being unknown, or worse, ignored.

use super::decode::{Definition, Holds, Key, Table};

pub use super::step_tables::{CASE, COMMON, RETRY, STEPS, StepTable, step};
pub use super::trigger_keys::{TRIGGER, TRIGGERS, TriggerTable, trigger};

/// A list of steps.
const STEPS_HELD: Holds = Holds::Ref(Definition::Steps);
/// Types of events: one, or a list.
pub(super) const TYPES: Holds = Holds::Any(&[Holds::Text, Holds::ListOf(&Holds::Text)]);

/// A kind of document.
#[derive(Debug)]
pub struct DocumentTable {
    /// Its kind key.
    pub kind: &'static str,
    /// What it may hold; `None`: not supported yet.
    pub table: Option<Table>,
}

/// Every kind of document.
pub static DOCUMENTS: &[DocumentTable] = &[
    DocumentTable { kind: "workflow", table: Some(WORKFLOW) },
    DocumentTable { kind: "record", table: Some(RECORD) },
    DocumentTable { kind: "escalation", table: Some(ESCALATION) },
    DocumentTable { kind: "calendar", table: Some(CALENDAR) },
    DocumentTable { kind: "purpose", table: Some(PURPOSE) },
    DocumentTable { kind: "team", table: None },
    DocumentTable { kind: "sla", table: None },
    DocumentTable { kind: "board", table: None },
];

const WORKFLOW: Table = Table {
    what: "a workflow",
    keys: &[
        Key::required("workflow", "its name").holds(Holds::Name),
        Key::optional("description", "what it is for").holds(Holds::Text),
        Key::optional("owner", "who answers for it").holds(Holds::Text),
        Key::optional("enabled", "`false` starts no new runs").holds(Holds::Flag),
        Key::required("triggers", "what starts it; `[]` if it is only called")
            .holds(Holds::ListOf(&Holds::Ref(Definition::Trigger))),
        Key::optional("if", "decides, once a trigger matched, whether a run starts")
            .holds(Holds::Expression),
        Key::optional("key", "what runs are kept apart by").holds(Holds::Text),
        Key::optional("mode", "what happens when a run of the same key is alive")
            .holds(Holds::Choice(&["parallel", "single", "restart", "queued"])),
        Key::optional("max", "runs alive at a time; more are queued").holds(Holds::Whole(1)),
        Key::optional("throttle", "how many runs of a key may start in a span of time")
            .holds(Holds::Object(&THROTTLE)),
        Key::optional("debounce", "how long events of a key must have come to rest")
            .holds(Holds::Duration),
        Key::optional("hours", "the calendar of its durations").holds(Holds::Name),
        Key::optional("vars", "values computed once, when a run starts").holds(Holds::Values),
        Key::optional("exit", "what ends a run wherever it is")
            .holds(Holds::ListOf(&Holds::Ref(Definition::Filter))),
        Key::optional("lifetime", "how long a run may live").holds(Holds::Duration),
        Key::optional("on_failure", "steps for a run that failed").holds(STEPS_HELD),
        Key::optional("shadow", "`true` decides and tells, and performs nothing")
            .holds(Holds::Flag),
        Key::required("steps", "what a run does, in order").holds(STEPS_HELD),
    ],
};

const RECORD: Table = Table {
    what: "a record kind",
    keys: &[
        Key::required("record", "the kind").holds(Holds::Name),
        Key::optional("index", "fields that `records(kind, field, value)` may look up")
            .holds(Holds::ListOf(&Holds::Text)),
        Key::later("unique", "fields of which no two records have the same"),
        Key::later("personal", "fields that `erase` removes"),
        Key::later("ledger", "create-only and hash-chained"),
        Key::later("keep", "how long its records are kept"),
        Key::later("schema", "a JSON Schema of its fields"),
        Key::optional("rows", "read-only records shipped with the rules")
            .holds(Holds::MapOf(&Holds::Values)),
    ],
};

const ESCALATION: Table = Table {
    what: "an escalation policy",
    keys: &[
        Key::required("escalation", "its name").holds(Holds::Name),
        Key::optional("description", "what it is for").holds(Holds::Text),
        Key::optional("owner", "who answers for it").holds(Holds::Text),
        Key::optional("hours", "the calendar of its durations").holds(Holds::Name),
        Key::required("levels", "who is told when, in order").holds(Holds::ListOf(&A_LEVEL)),
        Key::optional(
            "unresolved",
            "after an acknowledgement: go on with the next level after this",
        )
        .holds(Holds::Duration),
        Key::optional("repeat", "how many more rounds after the first").holds(Holds::Whole(0)),
        Key::optional("template", "what `notify` sends, if not the built-in one")
            .holds(Holds::Name),
    ],
};

const CALENDAR: Table = Table {
    what: "a calendar",
    keys: &[
        Key::required("calendar", "its name").holds(Holds::Name),
        Key::optional("timezone", "a zone such as `Europe/Berlin`, if not the configured one")
            .holds(Holds::Text),
        Key::required("open", "when it is open: `{ mon-fri: \"09:00-17:00\" }`")
            .holds(Holds::MapOf(&Holds::Any(&[Holds::Text, Holds::ListOf(&Holds::Text)]))),
        Key::optional("closed", "days it is closed: `2026-04-03`, or `\"12-25\"` for every year")
            .holds(Holds::ListOf(&Holds::Text)),
    ],
};

const PURPOSE: Table = Table {
    what: "a purpose",
    keys: &[
        Key::required("purpose", "its name").holds(Holds::Name),
        Key::optional("allow", "must hold for each recipient").holds(Holds::Expression),
        Key::later("unsubscribe", "whether people can unsubscribe"),
        Key::later("quiet", "hours of the night in which nothing is sent"),
        Key::later("zone", "the recipient's time zone"),
        Key::later("cap", "how many mails a recipient may get"),
        Key::later("guard", "how many mails may go out before a person is asked"),
        Key::optional("expires", "later than this a mail is not sent any more")
            .holds(Holds::Duration),
        Key::optional("on_uncertain", "`retry` or `hold` a mail whose fate is not known")
            .holds(Holds::Choice(&["retry", "hold"])),
    ],
};

static A_LEVEL: Holds = Holds::Object(&LEVEL);

/// A level of an escalation policy.
pub static LEVEL: Table = Table {
    what: "a level",
    keys: &[
        Key::required("after", "counted from the level before").holds(Holds::Duration),
        Key::optional("notify", "people who get a mail: ids of `person` records")
            .holds(Holds::ListOf(&Holds::Text)),
        Key::optional("steps", "what to do instead of `notify`").holds(STEPS_HELD),
    ],
};

/// A change of a record that a running workflow waits for.
pub static RECORD_FILTER: Table = Table {
    what: "a filter",
    keys: &[
        Key::required("record", "the kind of records").holds(Holds::Name),
        Key::required("becomes", "what becomes true of one").holds(Holds::Expression),
        Key::optional("where", "which changes: `event.data.record`, `event.data.old`")
            .holds(Holds::Expression),
        Key::optional("subject", "whose, if not the run's own: an address, or `any`")
            .holds(Holds::Text),
    ],
};

/// `throttle:`
pub static THROTTLE: Table = Table {
    what: "`throttle`",
    keys: &[
        Key::required("max", "how many runs may start").holds(Holds::Whole(1)),
        Key::required("per", "in how long: a duration, or `ever`").holds(Holds::Text),
    ],
};

/// A filter in a running workflow.
pub static FILTER: Table = Table {
    what: "a filter",
    keys: &[
        Key::required("event", "types of events: one, a list, or a prefix `lead.*`").holds(TYPES),
        Key::optional("where", "which of them").holds(Holds::Expression),
        Key::optional("subject", "whose, if not the run's own: a subject, or `any`")
            .holds(Holds::Text),
    ],
};

/// The kind of document with this kind key.
#[must_use]
pub fn document(kind: &str) -> Option<&'static DocumentTable> {
    DOCUMENTS.iter().find(|document| document.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn main_keys_are_told_from_fields() {
        for step in STEPS {
            assert!(COMMON.key(step.main).is_none(), "{}", step.main);
            for other in STEPS.iter().filter_map(|other| other.fields.as_ref()) {
                assert!(other.key(step.main).is_none(), "{} in {}", step.main, other.what);
            }
        }
    }

    #[test]
    fn no_table_names_a_key_twice() {
        let documents = DOCUMENTS.iter().filter_map(|document| document.table.as_ref());
        let steps = STEPS.iter().filter_map(|step| step.fields.as_ref());
        let others = [&LEVEL, &FILTER, &RECORD_FILTER, &THROTTLE, &RETRY, &CASE, &COMMON];
        let triggers = TRIGGERS.iter().filter_map(|trigger| trigger.table.as_ref());
        for table in documents.chain(steps).chain(others).chain(triggers) {
            let mut names: Vec<_> = table.keys.iter().map(|key| key.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), table.keys.len(), "{}", table.what);
        }
    }
}
