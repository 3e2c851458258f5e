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
    DocumentTable { kind: "team", table: Some(TEAM) },
    DocumentTable { kind: "sla", table: Some(SLA) },
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
        Key::optional("unique", "fields of which no two records have the same, however spelled")
            .holds(Holds::ListOf(&Holds::Text)),
        Key::optional("personal", "fields that `erase` removes, everywhere")
            .holds(Holds::ListOf(&Holds::Text)),
        Key::optional("ledger", "`true`: only ever created, and chained by hashes")
            .holds(Holds::Flag),
        Key::optional("keep", "how long a record is kept that does not change")
            .holds(Holds::Duration),
        Key::optional("schema", "a JSON Schema of its fields").holds(Holds::Values),
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
        Key::optional("unsubscribe", "`true`: people can unsubscribe from it with one click")
            .holds(Holds::Flag),
        Key::optional("quiet", "hours in which nothing is sent: `\"21:00-08:00\"`")
            .holds(Holds::Text),
        Key::optional("zone", "the recipient's time zone, if not the configured one")
            .holds(Holds::Text),
        Key::optional("cap", "how many mails a recipient may get").holds(Holds::Object(&MAIL_CAP)),
        Key::optional("guard", "how many mails may go out before a person is asked")
            .holds(Holds::Object(&GUARD)),
        Key::optional("expires", "later than this a mail is not sent any more")
            .holds(Holds::Duration),
        Key::optional("on_uncertain", "`retry` or `hold` a mail whose fate is not known")
            .holds(Holds::Choice(&["retry", "hold"])),
    ],
};

const TEAM: Table = Table {
    what: "a team",
    keys: &[
        Key::required("team", "its name").holds(Holds::Name),
        Key::optional("description", "what it is for").holds(Holds::Text),
        Key::required("members", "who is in it, by the ids of `person` records")
            .holds(Holds::MapOf(&A_MEMBER)),
        Key::optional("available", "must hold for a `member` to be picked")
            .holds(Holds::Expression),
        Key::optional("active", "how much a `member` has to do, for `cap: { active }`")
            .holds(Holds::Expression),
        Key::required("fallback", "the person who is picked when nobody else can be")
            .holds(Holds::Text),
    ],
};

/// A member of a team.
pub static MEMBER: Table = Table {
    what: "a member",
    keys: &[
        Key::optional("weight", "turns for each turn of a member of weight 1")
            .holds(Holds::Whole(1)),
        Key::optional("cap", "how much it may get").holds(Holds::Object(&MEMBER_CAP)),
    ],
};

/// `cap:` of a member.
pub static MEMBER_CAP: Table = Table {
    what: "`cap`",
    keys: &[
        Key::optional("hour", "picks within 60 minutes").holds(Holds::Whole(1)),
        Key::optional("day", "picks within 24 hours").holds(Holds::Whole(1)),
        Key::optional("active", "what it may have to do at a time, as the team's `active` counts")
            .holds(Holds::Whole(1)),
    ],
};

const SLA: Table = Table {
    what: "a service level",
    keys: &[
        Key::required("sla", "its name").holds(Holds::Name),
        Key::optional("description", "what it is for").holds(Holds::Text),
        Key::required("of", "the kind of records; it is looked at with each change of one")
            .holds(Holds::Name),
        Key::optional("if", "of which of them; all otherwise").holds(Holds::Expression),
        Key::optional("hours", "the calendar that counts").holds(Holds::Name),
        Key::required("target", "in how long: a duration, or cases of which the first counts")
            .holds(Holds::Any(&A_TARGET_OR_MORE)),
        Key::optional("pause", "while this holds time does not count").holds(Holds::Expression),
        Key::required("done", "what must have become true; false again, it is reopened")
            .holds(Holds::Expression),
        Key::optional("warn", "when `sla.warning` is said, in percent of the target: `[75%]`")
            .holds(Holds::ListOf(&Holds::Text)),
        Key::optional("on_breach", "what follows when time is up, besides `sla.breached`")
            .holds(Holds::Object(&ON_BREACH)),
    ],
};

/// A target of an SLA.
pub static TARGET: Table = Table {
    what: "a target",
    keys: &[
        Key::optional("if", "of which records; the last one has none").holds(Holds::Expression),
        Key::required("within", "in how long").holds(Holds::Duration),
    ],
};

/// `on_breach:` of an SLA.
pub static ON_BREACH: Table = Table {
    what: "`on_breach`",
    keys: &[Key::required("escalate", "the escalation policy; resolved when the SLA is done")
        .holds(Holds::Name)],
};

static A_TARGET_OR_MORE: [Holds; 2] = [Holds::Duration, Holds::ListOf(&A_TARGET)];
static A_TARGET: Holds = Holds::Object(&TARGET);
static A_MEMBER: Holds = Holds::Object(&MEMBER);
static A_LEVEL: Holds = Holds::Object(&LEVEL);

/// `cap:` of a purpose.
pub static MAIL_CAP: Table = Table {
    what: "`cap`",
    keys: &[
        Key::required("max", "how many mails").holds(Holds::Whole(1)),
        Key::required("per", "in how long: `day`, which is the recipient's, or a duration")
            .holds(Holds::Text),
    ],
};

/// `guard:` of a purpose.
pub static GUARD: Table = Table {
    what: "`guard`",
    keys: &[
        Key::required("max", "how many mails").holds(Holds::Whole(1)),
        Key::required("per", "in how long").holds(Holds::Duration),
    ],
};

/// A level of an escalation policy.
pub static LEVEL: Table = Table {
    what: "a level",
    keys: &[
        Key::required("after", "counted from the level before").holds(Holds::Duration),
        Key::optional("notify", "people who get a mail: ids of `person` records, or `team:NAME`")
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
        let others = [
            &LEVEL,
            &MAIL_CAP,
            &GUARD,
            &TARGET,
            &ON_BREACH,
            &MEMBER,
            &MEMBER_CAP,
            &FILTER,
            &RECORD_FILTER,
            &THROTTLE,
            &RETRY,
            &CASE,
            &COMMON,
        ];
        let triggers = TRIGGERS.iter().filter_map(|trigger| trigger.table.as_ref());
        for table in documents.chain(steps).chain(others).chain(triggers) {
            let mut names: Vec<_> = table.keys.iter().map(|key| key.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), table.keys.len(), "{}", table.what);
        }
    }
}
