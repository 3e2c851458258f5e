//! What every kind of step may hold, as tables: see [`keys`](super::keys).

use super::decode::{Definition, Holds, Key, Table};

/// A kind of step.
#[derive(Debug)]
pub struct StepTable {
    /// Its main key.
    pub main: &'static str,
    /// The shape of the main key's value.
    pub holds: Holds,
    /// What it does, in one line.
    pub about: &'static str,
    /// The fields beside the main key; `None`: not supported yet.
    pub fields: Option<Table>,
}

/// A list of steps.
const STEPS_HELD: Holds = Holds::Ref(Definition::Steps);
/// An address, or a list of them.
const PEOPLE: Holds = Holds::Any(&[Holds::Text, Holds::ListOf(&Holds::Text)]);
/// Values by name, or an expression that gives them.
const ARGS: Holds = Holds::Any(&[Holds::Values, Holds::ListOf(&Holds::Anything), Holds::Text]);

/// `retry:`
pub static RETRY: Table = Table {
    what: "`retry`",
    keys: &[
        Key::optional("attempts", "attempts in all, the first included").holds(Holds::Whole(1)),
        Key::optional("initial", "the wait before the second attempt; it doubles from then on")
            .holds(Holds::Duration),
        Key::optional("max_wait", "the longest wait").holds(Holds::Duration),
    ],
};

/// A case of `switch:`.
pub static CASE: Table = Table {
    what: "a case of `switch`",
    keys: &[
        Key::optional("if", "its condition").holds(Holds::Expression),
        Key::optional("then", "its steps").holds(STEPS_HELD),
        Key::optional("else", "the steps when no case before it matched").holds(STEPS_HELD),
    ],
};

/// Keys that stand beside every main key.
pub static COMMON: Table = Table {
    what: "a step",
    keys: &[
        Key::optional("id", "under which name its result is kept: `steps.<id>`")
            .holds(Holds::Variable),
        Key::optional("if", "leaves the step out when false").holds(Holds::Expression),
        Key::optional("hours", "the calendar of its durations").holds(Holds::Name),
        Key::optional("timeout", "how long it may take").holds(Holds::Text),
        Key::optional("retry", "how it is tried again").holds(Holds::Object(&RETRY)),
        Key::optional("on_error", "`fail`, `continue` or steps")
            .holds(Holds::Any(&[Holds::Choice(&["fail", "continue"]), STEPS_HELD])),
        Key::optional("on_uncertain", "`retry` or `hold` an attempt whose fate is not known")
            .holds(Holds::Choice(&["retry", "hold"])),
    ],
};

const fn fields(what: &'static str, keys: &'static [Key]) -> Table {
    Table { what, keys }
}

/// Every kind of step.
pub static STEPS: &[StepTable] = &[
    StepTable {
        main: "email",
        holds: PEOPLE,
        about: "sends a mail: an address, a list of them, `person:ID` or `team:NAME`",
        fields: Some(fields(
            "an `email` step",
            &[
                Key::required("purpose", "why it is sent, which decides whether it may be")
                    .holds(Holds::Name),
                Key::optional("template", "what it says: a file in `templates/`")
                    .holds(Holds::Name),
                Key::optional("subject", "its subject, without a template").holds(Holds::Text),
                Key::optional("text", "its text, without a template").holds(Holds::Text),
                Key::optional("args", "values for the template").holds(ARGS),
                Key::optional("cc", "copies").holds(PEOPLE),
                Key::optional("bcc", "blind copies").holds(PEOPLE),
                Key::optional("from", "the sender, if not the configured one").holds(Holds::Text),
                Key::optional("reply_to", "where answers go").holds(Holds::Text),
                Key::optional("locale", "the language that picks the template's file")
                    .holds(Holds::Text),
                Key::later("attachments", "files"),
                Key::optional("headers", "further headers").holds(Holds::Values),
            ],
        )),
    },
    StepTable {
        main: "webhook",
        holds: Holds::Text,
        about: "sends an HTTP request: a URL, or the name of an endpoint",
        fields: Some(fields(
            "a `webhook` step",
            &[
                Key::optional("method", "`POST` unless said otherwise").holds(Holds::Text),
                Key::optional("headers", "further headers; may hold `secret(…)`")
                    .holds(Holds::Values),
                Key::optional("query", "added to the URL; may hold `secret(…)`")
                    .holds(Holds::Values),
                Key::optional("json", "the body, as JSON"),
                Key::optional("form", "the body, as a form").holds(ARGS),
                Key::optional("body", "the body, as it stands").holds(Holds::Text),
                Key::optional("expect", "statuses taken as success; every 2xx otherwise")
                    .holds(Holds::Any(&[Holds::Whole(100), Holds::ListOf(&Holds::Whole(100))])),
                Key::optional("sign", "`false` sends no signature").holds(Holds::Flag),
            ],
        )),
    },
    StepTable {
        main: "escalate",
        holds: Holds::Name,
        about: "starts an escalation policy",
        fields: Some(fields(
            "an `escalate` step",
            &[
                Key::optional("args", "what the policy sees as `args`").holds(ARGS),
                Key::optional("summary", "what it is about, for people").holds(Holds::Anything),
                Key::optional("severity", "how grave it is").holds(Holds::Anything),
                Key::optional("resolve", "the filter that ends it well")
                    .holds(Holds::Ref(Definition::Filter)),
                Key::optional("await", "`false` goes on at once").holds(Holds::Flag),
            ],
        )),
    },
    StepTable {
        main: "record",
        holds: Holds::Text,
        about: "reads or writes a record, `kind/id`",
        fields: Some(fields(
            "a `record` step",
            &[
                Key::optional("set", "fields to write over the old ones").holds(ARGS),
                Key::optional("create", "fields of a new record; fails if it is there").holds(ARGS),
                Key::optional("unset", "fields to take away").holds(Holds::ListOf(&Holds::Text)),
                Key::optional("delete", "`true` removes the record").holds(Holds::Flag),
                Key::optional("merge", "the address of another one, which goes on in this one")
                    .holds(Holds::Text),
            ],
        )),
    },
    StepTable {
        main: "delay",
        holds: Holds::Text,
        about: "waits for a time",
        fields: Some(fields("a `delay` step", &[])),
    },
    StepTable {
        main: "wait_for",
        holds: Holds::Any(&[
            Holds::Text,
            Holds::ListOf(&Holds::Text),
            Holds::Ref(Definition::Filter),
        ]),
        about: "waits for an event",
        fields: Some(fields(
            "a `wait_for` step",
            &[
                Key::optional("where", "which of the events").holds(Holds::Expression),
                Key::optional("subject", "whose, if not the run's own").holds(Holds::Text),
                Key::optional("on_timeout", "steps when time is up").holds(STEPS_HELD),
            ],
        )),
    },
    StepTable {
        main: "then",
        holds: STEPS_HELD,
        about: "does steps if the modifier `if` holds",
        fields: Some(fields(
            "a `then` step",
            &[Key::optional("else", "steps when it does not").holds(STEPS_HELD)],
        )),
    },
    StepTable {
        main: "switch",
        holds: Holds::ListOf(&Holds::Object(&CASE)),
        about: "does the steps of the first case that holds",
        fields: Some(fields("a `switch` step", &[])),
    },
    StepTable {
        main: "call",
        holds: Holds::Name,
        about: "runs another workflow",
        fields: Some(fields(
            "a `call` step",
            &[
                Key::optional("args", "what it sees as `args`").holds(ARGS),
                Key::optional("await", "`false` goes on at once").holds(Holds::Flag),
            ],
        )),
    },
    StepTable {
        main: "emit",
        holds: Holds::Text,
        about: "makes an event of this type",
        fields: Some(fields(
            "an `emit` step",
            &[
                Key::optional("subject", "whose, if not the run's own").holds(Holds::Text),
                Key::optional("data", "its payload"),
            ],
        )),
    },
    StepTable {
        main: "vars",
        holds: Holds::Values,
        about: "sets variables",
        fields: Some(fields("a `vars` step", &[])),
    },
    StepTable {
        main: "rhai",
        holds: Holds::Scalar,
        about: "computes a value",
        fields: Some(fields("a `rhai` step", &[])),
    },
    StepTable {
        main: "log",
        holds: Holds::Scalar,
        about: "writes into the run's story",
        fields: Some(fields("a `log` step", &[])),
    },
    StepTable {
        main: "stop",
        holds: Holds::Scalar,
        about: "ends the run well",
        fields: Some(fields("a `stop` step", &[])),
    },
    StepTable {
        main: "fail",
        holds: Holds::Scalar,
        about: "ends the run as failed",
        fields: Some(fields("a `fail` step", &[])),
    },
    StepTable {
        main: "action",
        holds: Holds::Name,
        about: "does what an action of a plugin asks for",
        fields: Some(fields(
            "an `action` step",
            &[Key::optional("args", "what the action is given; may hold `secret(…)`").holds(ARGS)],
        )),
    },
    StepTable {
        main: "script",
        holds: Holds::Text,
        about: "calls a function of a plugin that may take its time",
        fields: Some(fields(
            "a `script` step",
            &[Key::optional("args", "an object, or a list of the function's arguments")
                .holds(Holds::Any(&[Holds::Values, Holds::ListOf(&Holds::Anything), Holds::Text]))],
        )),
    },
    #[cfg(test)]
    StepTable {
        main: "echo",
        holds: Holds::Text,
        about: "says something back",
        fields: Some(fields(
            "an `echo` step",
            &[Key::optional("loud", "`true` says it louder").holds(Holds::Flag)],
        )),
    },
    StepTable {
        main: "approve",
        holds: Holds::Any(&[Holds::ListOf(&Holds::Text), Holds::Text]),
        about: "asks people, ids of `person` records or `team:NAME`, and waits for what they decide",
        fields: Some(fields(
            "an `approve` step",
            &[
                Key::optional("need", "how many must choose the first outcome; 1 otherwise")
                    .holds(Holds::Whole(1)),
                Key::optional(
                    "outcomes",
                    "what they choose from; `[approved, rejected]` otherwise",
                )
                .holds(Holds::ListOf(&Holds::Name)),
                Key::optional("summary", "what it is about, for people").holds(Holds::Anything),
                Key::optional("warn", "when they are reminded, in percent of the time: `[50%]`")
                    .holds(Holds::ListOf(&Holds::Text)),
                Key::optional("template", "what the mail says, if not the built-in one")
                    .holds(Holds::Name),
                Key::optional("on_timeout", "steps when nobody decided in time").holds(STEPS_HELD),
            ],
        )),
    },
    StepTable {
        main: "pick",
        holds: Holds::Name,
        about: "picks the person of a team whose turn it is",
        fields: Some(fields(
            "a `pick` step",
            &[Key::optional("except", "ids of people who are not picked this time")
                .holds(Holds::Any(&[Holds::ListOf(&Holds::Text), Holds::Text]))],
        )),
    },
    StepTable {
        main: "foreach",
        holds: Holds::Anything,
        about: "does steps for each item of a list, beside each other",
        fields: Some(fields(
            "a `foreach` step",
            &[
                Key::optional("as", "what an item is called; `item` otherwise")
                    .holds(Holds::Variable),
                Key::optional("limit", "with more items a person is asked first; 100 otherwise")
                    .holds(Holds::Whole(1)),
                Key::optional("max_parallel", "how many items are under way at a time")
                    .holds(Holds::Whole(1)),
                Key::optional("steps", "what is done for each").holds(STEPS_HELD),
            ],
        )),
    },
    StepTable {
        main: "parallel",
        holds: Holds::ListOf(&STEPS_HELD),
        about: "does lists of steps beside each other",
        fields: Some(fields("a `parallel` step", &[])),
    },
    StepTable {
        main: "metric",
        holds: Holds::Text,
        about: "counts or measures",
        fields: Some(fields(
            "a `metric` step",
            &[
                Key::optional("add", "how much is added; 1 if nothing else is said")
                    .holds(Holds::Scalar),
                Key::optional("set", "what it is now").holds(Holds::Scalar),
                Key::optional("labels", "what it is told apart by: texts by name")
                    .holds(Holds::Values),
            ],
        )),
    },
    StepTable {
        main: "erase",
        holds: Holds::Text,
        about: "forgets whom a record is about: its `personal` fields, here and wherever they were seen",
        fields: Some(fields(
            "an `erase` step",
            &[Key::optional("keep", "`suppression`: keep that nothing is sent there, as a hash")
                .holds(Holds::Choice(&["suppression"]))],
        )),
    },
];

/// The kind of step with this main key.
#[must_use]
pub fn step(main: &str) -> Option<&'static StepTable> {
    STEPS.iter().find(|step| step.main == main)
}
