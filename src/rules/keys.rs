//! What every object of the rule language may hold, as tables.
//!
//! What the language has and this version does not is in here as well, so that it is refused as
//! "not supported yet" instead of being unknown, or worse, ignored.

use super::decode::{Key, Table};

pub use super::trigger_keys::{TRIGGER, TRIGGERS, TriggerTable, trigger};

/// A kind of document.
#[derive(Debug)]
pub struct DocumentTable {
    /// Its kind key.
    pub kind: &'static str,
    /// What it may hold; `None`: not supported yet.
    pub table: Option<Table>,
}

/// A kind of step.
#[derive(Debug)]
pub struct StepTable {
    /// Its main key.
    pub main: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// The fields beside the main key; `None`: not supported yet.
    pub fields: Option<Table>,
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
    DocumentTable { kind: "scenario", table: None },
];

const WORKFLOW: Table = Table {
    what: "a workflow",
    keys: &[
        Key::required("workflow", "its name"),
        Key::optional("description", "what it is for"),
        Key::optional("owner", "who answers for it"),
        Key::optional("enabled", "`false` starts no new runs"),
        Key::required("triggers", "what starts it; `[]` if it is only called"),
        Key::optional("if", "decides, once a trigger matched, whether a run starts"),
        Key::optional("key", "what runs are kept apart by"),
        Key::optional("mode", "what happens when a run of the same key is alive"),
        Key::optional("max", "runs alive at a time; more are queued"),
        Key::optional("throttle", "how many runs of a key may start in a span of time"),
        Key::optional("debounce", "how long events of a key must have come to rest"),
        Key::optional("hours", "the calendar of its durations"),
        Key::optional("vars", "values computed once, when a run starts"),
        Key::optional("exit", "what ends a run wherever it is"),
        Key::optional("lifetime", "how long a run may live"),
        Key::optional("on_failure", "steps for a run that failed"),
        Key::optional("shadow", "`true` decides and tells, and performs nothing"),
        Key::required("steps", "what a run does, in order"),
    ],
};

const RECORD: Table = Table {
    what: "a record kind",
    keys: &[
        Key::required("record", "the kind"),
        Key::optional("index", "fields that `records(kind, field, value)` may look up"),
        Key::later("unique", "fields of which no two records have the same"),
        Key::later("personal", "fields that `erase` removes"),
        Key::later("ledger", "create-only and hash-chained"),
        Key::later("keep", "how long its records are kept"),
        Key::later("schema", "a JSON Schema of its fields"),
        Key::optional("rows", "read-only records shipped with the rules"),
    ],
};

const ESCALATION: Table = Table {
    what: "an escalation policy",
    keys: &[
        Key::required("escalation", "its name"),
        Key::optional("description", "what it is for"),
        Key::optional("owner", "who answers for it"),
        Key::optional("hours", "the calendar of its durations"),
        Key::required("levels", "who is told when, in order"),
        Key::optional(
            "unresolved",
            "after an acknowledgement: go on with the next level after this",
        ),
        Key::optional("repeat", "how many more rounds after the first"),
        Key::optional("template", "what `notify` sends, if not the built-in one"),
    ],
};

const CALENDAR: Table = Table {
    what: "a calendar",
    keys: &[
        Key::required("calendar", "its name"),
        Key::optional("timezone", "a zone such as `Europe/Berlin`, if not the configured one"),
        Key::required("open", "when it is open: `{ mon-fri: \"09:00-17:00\" }`"),
        Key::optional("closed", "days it is closed: `2026-04-03`, or `\"12-25\"` for every year"),
    ],
};

const PURPOSE: Table = Table {
    what: "a purpose",
    keys: &[
        Key::required("purpose", "its name"),
        Key::optional("allow", "must hold for each recipient"),
        Key::later("unsubscribe", "whether people can unsubscribe"),
        Key::later("quiet", "hours of the night in which nothing is sent"),
        Key::later("zone", "the recipient's time zone"),
        Key::later("cap", "how many mails a recipient may get"),
        Key::later("guard", "how many mails may go out before a person is asked"),
        Key::optional("expires", "later than this a mail is not sent any more"),
        Key::optional("on_uncertain", "`retry` or `hold` a mail whose fate is not known"),
    ],
};

/// A level of an escalation policy.
pub static LEVEL: Table = Table {
    what: "a level",
    keys: &[
        Key::required("after", "counted from the level before"),
        Key::optional("notify", "people who get a mail: ids of `person` records"),
        Key::optional("steps", "what to do instead of `notify`"),
    ],
};

/// A change of a record that a running workflow waits for.
pub static RECORD_FILTER: Table = Table {
    what: "a filter",
    keys: &[
        Key::required("record", "the kind of records"),
        Key::required("becomes", "what becomes true of one"),
        Key::optional("where", "which changes: `event.data.record`, `event.data.old`"),
        Key::optional("subject", "whose, if not the run's own: an address, or `any`"),
    ],
};

/// `throttle:`
pub static THROTTLE: Table = Table {
    what: "`throttle`",
    keys: &[
        Key::required("max", "how many runs may start"),
        Key::required("per", "in how long: a duration, or `ever`"),
    ],
};

/// A filter in a running workflow.
pub static FILTER: Table = Table {
    what: "a filter",
    keys: &[
        Key::required("event", "types of events: one, a list, or a prefix `lead.*`"),
        Key::optional("where", "which of them"),
        Key::optional("subject", "whose, if not the run's own: a subject, or `any`"),
    ],
};

/// `retry:`
pub static RETRY: Table = Table {
    what: "`retry`",
    keys: &[
        Key::optional("attempts", "attempts in all, the first included"),
        Key::optional("initial", "the wait before the second attempt; it doubles from then on"),
        Key::optional("max_wait", "the longest wait"),
    ],
};

/// A case of `switch:`.
pub static CASE: Table = Table {
    what: "a case of `switch`",
    keys: &[
        Key::optional("if", "its condition"),
        Key::optional("then", "its steps"),
        Key::optional("else", "the steps when no case before it matched"),
    ],
};

/// Keys that stand beside every main key.
pub static COMMON: Table = Table {
    what: "a step",
    keys: &[
        Key::optional("id", "under which name its result is kept: `steps.<id>`"),
        Key::optional("if", "leaves the step out when false"),
        Key::optional("hours", "the calendar of its durations"),
        Key::optional("timeout", "how long it may take"),
        Key::optional("retry", "how it is tried again"),
        Key::optional("on_error", "`fail`, `continue` or steps"),
        Key::optional("on_uncertain", "`retry` or `hold` an attempt whose fate is not known"),
    ],
};

const fn fields(what: &'static str, keys: &'static [Key]) -> Table {
    Table { what, keys }
}

/// Every kind of step.
pub static STEPS: &[StepTable] = &[
    StepTable {
        main: "email",
        about: "sends a mail: an address, a list of them, or `person:ID`",
        fields: Some(fields(
            "an `email` step",
            &[
                Key::required("purpose", "why it is sent, which decides whether it may be"),
                Key::optional("template", "what it says: a file in `templates/`"),
                Key::optional("subject", "its subject, without a template"),
                Key::optional("text", "its text, without a template"),
                Key::optional("args", "values for the template"),
                Key::optional("cc", "copies"),
                Key::optional("bcc", "blind copies"),
                Key::optional("from", "the sender, if not the configured one"),
                Key::optional("reply_to", "where answers go"),
                Key::optional("locale", "the language that picks the template's file"),
                Key::later("attachments", "files"),
                Key::optional("headers", "further headers"),
            ],
        )),
    },
    StepTable {
        main: "webhook",
        about: "sends an HTTP request: a URL, or the name of an endpoint",
        fields: Some(fields(
            "a `webhook` step",
            &[
                Key::optional("method", "`POST` unless said otherwise"),
                Key::optional("headers", "further headers; may hold `secret(…)`"),
                Key::optional("query", "added to the URL; may hold `secret(…)`"),
                Key::optional("json", "the body, as JSON"),
                Key::optional("form", "the body, as a form"),
                Key::optional("body", "the body, as it stands"),
                Key::optional("expect", "statuses taken as success; every 2xx otherwise"),
                Key::optional("sign", "`false` sends no signature"),
            ],
        )),
    },
    StepTable {
        main: "escalate",
        about: "starts an escalation policy",
        fields: Some(fields(
            "an `escalate` step",
            &[
                Key::optional("args", "what the policy sees as `args`"),
                Key::optional("summary", "what it is about, for people"),
                Key::optional("severity", "how grave it is"),
                Key::optional("resolve", "the filter that ends it well"),
                Key::optional("await", "`false` goes on at once"),
            ],
        )),
    },
    StepTable {
        main: "record",
        about: "reads or writes a record, `kind/id`",
        fields: Some(fields(
            "a `record` step",
            &[
                Key::optional("set", "fields to write over the old ones"),
                Key::optional("create", "fields of a new record; fails if it is there"),
                Key::optional("unset", "fields to take away"),
                Key::optional("delete", "`true` removes the record"),
            ],
        )),
    },
    StepTable {
        main: "delay",
        about: "waits for a time",
        fields: Some(fields("a `delay` step", &[])),
    },
    StepTable {
        main: "wait_for",
        about: "waits for an event",
        fields: Some(fields(
            "a `wait_for` step",
            &[
                Key::optional("where", "which of the events"),
                Key::optional("subject", "whose, if not the run's own"),
                Key::optional("on_timeout", "steps when time is up"),
            ],
        )),
    },
    StepTable {
        main: "then",
        about: "does steps if the modifier `if` holds",
        fields: Some(fields("a `then` step", &[Key::optional("else", "steps when it does not")])),
    },
    StepTable {
        main: "switch",
        about: "does the steps of the first case that holds",
        fields: Some(fields("a `switch` step", &[])),
    },
    StepTable {
        main: "call",
        about: "runs another workflow",
        fields: Some(fields(
            "a `call` step",
            &[
                Key::optional("args", "what it sees as `args`"),
                Key::optional("await", "`false` goes on at once"),
            ],
        )),
    },
    StepTable {
        main: "emit",
        about: "makes an event of this type",
        fields: Some(fields(
            "an `emit` step",
            &[
                Key::optional("subject", "whose, if not the run's own"),
                Key::optional("data", "its payload"),
            ],
        )),
    },
    StepTable { main: "vars", about: "sets variables", fields: Some(fields("a `vars` step", &[])) },
    StepTable {
        main: "rhai",
        about: "computes a value",
        fields: Some(fields("a `rhai` step", &[])),
    },
    StepTable {
        main: "log",
        about: "writes into the run's story",
        fields: Some(fields("a `log` step", &[])),
    },
    StepTable {
        main: "stop",
        about: "ends the run well",
        fields: Some(fields("a `stop` step", &[])),
    },
    StepTable {
        main: "fail",
        about: "ends the run as failed",
        fields: Some(fields("a `fail` step", &[])),
    },
    StepTable {
        main: "action",
        about: "does what an action of a plugin asks for",
        fields: Some(fields(
            "an `action` step",
            &[Key::optional("args", "what the action is given; may hold `secret(…)`")],
        )),
    },
    StepTable {
        main: "script",
        about: "calls a function of a plugin that may take its time",
        fields: Some(fields(
            "a `script` step",
            &[Key::optional("args", "an object, or a list of the function's arguments")],
        )),
    },
    #[cfg(test)]
    StepTable {
        main: "echo",
        about: "says something back",
        fields: Some(fields("an `echo` step", &[Key::optional("loud", "`true` says it louder")])),
    },
    StepTable { main: "approve", about: "asks people", fields: None },
    StepTable { main: "pick", about: "picks a person of a team", fields: None },
    StepTable {
        main: "foreach",
        about: "does steps for each item of a list, beside each other",
        fields: Some(fields(
            "a `foreach` step",
            &[
                Key::optional("as", "what an item is called; `item` otherwise"),
                Key::optional("limit", "with more items a person is asked first; 100 otherwise"),
                Key::optional("max_parallel", "how many items are under way at a time"),
                Key::optional("steps", "what is done for each"),
            ],
        )),
    },
    StepTable {
        main: "parallel",
        about: "does lists of steps beside each other",
        fields: Some(fields("a `parallel` step", &[])),
    },
    StepTable {
        main: "metric",
        about: "counts or measures",
        fields: Some(fields(
            "a `metric` step",
            &[
                Key::optional("add", "how much is added; 1 if nothing else is said"),
                Key::optional("set", "what it is now"),
                Key::optional("labels", "what it is told apart by: texts by name"),
            ],
        )),
    },
    StepTable { main: "erase", about: "forgets a person", fields: None },
];

/// The kind of step with this main key.
#[must_use]
pub fn step(main: &str) -> Option<&'static StepTable> {
    STEPS.iter().find(|step| step.main == main)
}

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
