//! What scenario files may hold, as tables.

use crate::rules::decode::{Key, Table};

/// A scenario.
pub(super) static SCENARIO: Table = Table {
    what: "a scenario",
    keys: &[
        Key::required("scenario", "what it shows, in a sentence"),
        Key::optional("description", "more about it"),
        Key::optional("proves", "rows of the table of responsibilities that it covers"),
        Key::optional("timezone", "the zone of its times; UTC otherwise"),
        Key::required("start", "when it begins: `2026-03-02 09:55`"),
        Key::optional("packs", "other packs whose rules it needs, by the names of their folders"),
        Key::optional("given", "records that are there at the start, by address"),
        Key::optional("answers", "how the other side answers; 200 otherwise"),
        Key::optional("ordered", "`true`: the order of events of one instant matters"),
        Key::required("timeline", "what happens, in order"),
    ],
};

/// An entry of the timeline.
pub(super) static ENTRY: Table = Table {
    what: "an entry of the timeline",
    keys: &[
        Key::required("at", "when: `10:05`, `2026-03-09 12:00`, or `+5m` from the entry before"),
        Key::optional("event", "the type of an event that comes in"),
        Key::optional("id", "the event's id; unique if nothing is said"),
        Key::optional("source", "who sends the event; `scenario` otherwise"),
        Key::optional("subject", "what the event is about"),
        Key::optional("data", "the event's payload"),
        Key::optional("set", "fields that a person writes into records, by address"),
        Key::optional("acknowledge", "an escalation that a person acknowledges"),
        Key::optional("resolve", "an escalation that a person resolves"),
        Key::later("decide", "an approval that a person decides"),
        Key::later("open", "a link in a mail that a person follows"),
        Key::optional("reload", "a folder whose rules are put in force"),
        Key::optional("call", "a function of a plugin that is called"),
        Key::optional("args", "its arguments, a list"),
        Key::optional("returns", "what it must return"),
        Key::optional("expect", "everything sent since the entry before"),
        Key::optional("check", "expressions that must hold now"),
    ],
};

/// The verbs of an entry, with the keys that belong to each.
pub(super) const VERBS: [(&str, &[&str]); 6] = [
    ("event", &["id", "source", "subject", "data"]),
    ("set", &[]),
    ("acknowledge", &[]),
    ("resolve", &[]),
    ("reload", &[]),
    ("call", &["args", "returns"]),
];

/// `acknowledge:` and `resolve:`.
pub(super) static ESCALATION: Table = Table {
    what: "an escalation",
    keys: &[
        Key::required("escalation", "its policy"),
        Key::optional("subject", "what it is about, if there are several"),
        Key::optional("by", "who does it"),
    ],
};

/// An item of `answers`.
pub(super) static ANSWER: Table = Table {
    what: "an answer",
    keys: &[
        Key::optional("webhook", "whose: a URL or the name of an endpoint; `*` matches anything"),
        Key::optional("email", "whose: a recipient; `*` matches anything"),
        Key::optional(
            "status",
            "the status, or a list of them: one an attempt, the last for the rest",
        ),
        Key::optional("body", "what is answered, as text or data"),
        Key::optional("headers", "headers of the answer"),
        Key::optional("after", "how long the answer takes"),
    ],
};

/// What may be expected: the main key, and what stands beside it.
pub(super) static EXPECTED: [(&str, Table); 5] = [
    (
        "email",
        Table {
            what: "an expected mail",
            keys: &[
                Key::required("email", "to whom: an address or a list"),
                Key::optional("template", "the template"),
                Key::optional("subject", "the subject as sent"),
                Key::optional("text", "the text part as sent"),
                Key::optional("html", "the HTML part as sent"),
                Key::optional("purpose", "why it is sent"),
                Key::optional("locale", "its language"),
                Key::optional("cc", "who gets a copy"),
                Key::optional("bcc", "who gets a blind copy"),
                Key::optional("from", "who sends it"),
                Key::optional("reply_to", "where answers go"),
                Key::optional("headers", "further headers"),
            ],
        },
    ),
    (
        "webhook",
        Table {
            what: "an expected webhook",
            keys: &[
                Key::required("webhook", "where to: a URL, or the name of an endpoint"),
                Key::optional("method", "the method"),
                Key::optional("json", "the body, as JSON"),
                Key::optional("form", "the body, as a form"),
                Key::optional("body", "the body, as it stands"),
                Key::optional("headers", "headers that the rule adds"),
                Key::optional("query", "what is added to the URL"),
            ],
        },
    ),
    (
        "action",
        Table {
            what: "an expected action",
            keys: &[
                Key::required("action", "the plugin's action"),
                Key::optional("webhook", "where its request goes"),
                Key::optional("method", "the method"),
                Key::optional("json", "the body, as JSON"),
                Key::optional("form", "the body, as a form"),
                Key::optional("body", "the body, as it stands"),
                Key::optional("headers", "headers that the plugin adds"),
                Key::optional("query", "what is added to the URL"),
            ],
        },
    ),
    (
        "event",
        Table {
            what: "an expected event",
            keys: &[
                Key::required("event", "the type of an event that the rules emit"),
                Key::optional("subject", "what it is about"),
                Key::optional("data", "its payload"),
            ],
        },
    ),
    (
        "failed",
        Table {
            what: "an expected failure",
            keys: &[
                Key::required("failed", "the workflow whose run fails"),
                Key::optional("reason", "why"),
            ],
        },
    ),
];
