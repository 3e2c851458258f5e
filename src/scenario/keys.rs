//! What scenario files may hold, as tables.

use crate::rules::decode::{Definition, Holds, Key, Table};

/// A scenario.
pub(super) static SCENARIO: Table = Table {
    what: "a scenario",
    keys: &[
        Key::required("scenario", "what it shows, in a sentence").holds(Holds::Text),
        Key::optional("description", "more about it").holds(Holds::Text),
        Key::optional("proves", "rows of the table of responsibilities that it covers")
            .holds(Holds::ListOf(&Holds::Whole(1))),
        Key::optional("timezone", "the zone of its times; UTC otherwise").holds(Holds::Text),
        Key::required("start", "when it begins: `2026-03-02 09:55`").holds(Holds::Text),
        Key::optional("packs", "other packs whose rules it needs, by the names of their folders")
            .holds(Holds::ListOf(&Holds::Text)),
        Key::optional("given", "records that are there at the start, by address")
            .holds(Holds::MapOf(&Holds::Values)),
        Key::optional("answers", "how the other side answers; 200 otherwise")
            .holds(Holds::ListOf(&AN_ANSWER)),
        Key::optional("ordered", "`true`: the order of events of one instant matters")
            .holds(Holds::Flag),
        Key::required("timeline", "what happens, in order").holds(Holds::ListOf(&AN_ENTRY)),
    ],
};

static AN_ANSWER: Holds = Holds::Object(&ANSWER);
static AN_ENTRY: Holds = Holds::Object(&ENTRY);

/// An entry of the timeline.
pub(super) static ENTRY: Table = Table {
    what: "an entry of the timeline",
    keys: &[
        Key::required("at", "when: `10:05`, `2026-03-09 12:00`, or `+5m` from the entry before")
            .holds(Holds::Text),
        Key::optional("event", "the type of an event that comes in").holds(Holds::Text),
        Key::optional("id", "the event's id; unique if nothing is said").holds(Holds::Scalar),
        Key::optional("source", "who sends the event; `scenario` otherwise").holds(Holds::Text),
        Key::optional("subject", "what the event is about").holds(Holds::Text),
        Key::optional("data", "the event's payload"),
        Key::optional("time", "when it happened, if not now: RFC 3339").holds(Holds::Text),
        Key::optional("file", "a file that is laid into the spool, by its path there")
            .holds(Holds::Text),
        Key::optional("text", "what is in the file").holds(Holds::Text),
        Key::optional("set", "fields that a person writes into records, by address")
            .holds(Holds::MapOf(&Holds::Values)),
        Key::optional("acknowledge", "an escalation that a person acknowledges")
            .holds(Holds::Object(&ESCALATION)),
        Key::optional("resolve", "an escalation that a person resolves")
            .holds(Holds::Object(&ESCALATION)),
        Key::optional("decide", "an approval that a person decides, or passes on")
            .holds(Holds::Object(&DECISION)),
        Key::optional("open", "a link in a mail that a person follows").holds(Holds::Object(&OPEN)),
        Key::optional("reload", "a folder whose rules are put in force").holds(Holds::Text),
        Key::optional("call", "a function of a plugin that is called").holds(Holds::Text),
        Key::optional("args", "its arguments, a list").holds(Holds::ListOf(&Holds::Anything)),
        Key::optional("returns", "what it must return"),
        Key::optional("fails", "why it must fail; `*` matches anything").holds(Holds::Text),
        Key::optional("expect", "everything sent since the entry before")
            .holds(Holds::ListOf(&Holds::Ref(Definition::Expected))),
        Key::optional("check", "expressions that must hold now")
            .holds(Holds::Any(&[Holds::Text, Holds::ListOf(&Holds::Text)])),
    ],
};

/// The verbs of an entry, with the keys that belong to each.
pub(super) const VERBS: [(&str, &[&str]); 9] = [
    ("event", &["id", "source", "subject", "data", "time"]),
    ("file", &["text"]),
    ("set", &[]),
    ("acknowledge", &[]),
    ("resolve", &[]),
    ("decide", &[]),
    ("open", &[]),
    ("reload", &[]),
    ("call", &["args", "returns", "fails"]),
];

/// `acknowledge:` and `resolve:`.
pub(super) static ESCALATION: Table = Table {
    what: "an escalation",
    keys: &[
        Key::required("escalation", "its policy").holds(Holds::Name),
        Key::optional("subject", "what it is about, if there are several").holds(Holds::Text),
        Key::optional("by", "who does it").holds(Holds::Text),
    ],
};

/// `decide:`.
pub(super) static DECISION: Table = Table {
    what: "a decision",
    keys: &[
        Key::required("approval", "the workflow that asks, or the purpose of mails that wait")
            .holds(Holds::Name),
        Key::optional("subject", "what it is about, if there are several").holds(Holds::Text),
        Key::required("by", "who decides: the id of a person").holds(Holds::Text),
        Key::optional("outcome", "what is decided").holds(Holds::Text),
        Key::optional("comment", "why").holds(Holds::Text),
        Key::optional("to", "whom it is passed on to, instead of an `outcome`").holds(Holds::Text),
    ],
};

/// `open:`.
pub(super) static OPEN: Table = Table {
    what: "a link that is followed",
    keys: &[
        Key::required("link", "which: `acknowledge`, `resolve`, `unsubscribe`, or an outcome")
            .holds(Holds::Name),
        Key::optional(
            "mail",
            "in the newest mail to this address; `*` matches anything, of any mail otherwise",
        )
        .holds(Holds::Text),
        Key::optional(
            "method",
            "`POST`: its button is pressed, as otherwise; `GET`, `HEAD`: it is only looked at, as a mail scanner does",
        )
        .holds(Holds::Choice(&["POST", "GET", "HEAD"])),
    ],
};

/// An item of `answers`.
pub(super) static ANSWER: Table = Table {
    what: "an answer",
    keys: &[
        Key::optional("webhook", "whose: a URL or the name of an endpoint; `*` matches anything")
            .holds(Holds::Text),
        Key::optional("email", "whose: a recipient; `*` matches anything")
            .holds(Holds::Any(&[Holds::Text, Holds::ListOf(&Holds::Text)])),
        Key::optional(
            "status",
            "the status, or a list of them: one an attempt, the last for the rest",
        )
        .holds(Holds::Any(&[Holds::Whole(100), Holds::ListOf(&Holds::Whole(100))])),
        Key::optional("body", "what is answered, as text or data"),
        Key::optional("headers", "headers of the answer").holds(Holds::Values),
        Key::optional("after", "how long the answer takes").holds(Holds::Duration),
    ],
};

/// What may be expected: the main key, and what stands beside it.
pub(super) static EXPECTED: [(&str, Table); 5] = [
    (
        "email",
        Table {
            what: "an expected mail",
            keys: &[
                Key::required("email", "to whom: an address or a list")
                    .holds(Holds::Any(&[Holds::Text, Holds::ListOf(&Holds::Text)])),
                Key::optional("template", "the template").holds(Holds::Text),
                Key::optional("subject", "the subject as sent").holds(Holds::Text),
                Key::optional("text", "the text part as sent").holds(Holds::Text),
                Key::optional("html", "the HTML part as sent").holds(Holds::Text),
                Key::optional("purpose", "why it is sent").holds(Holds::Text),
                Key::optional("locale", "its language").holds(Holds::Text),
                Key::optional("cc", "who gets a copy")
                    .holds(Holds::Any(&[Holds::Text, Holds::ListOf(&Holds::Text)])),
                Key::optional("bcc", "who gets a blind copy")
                    .holds(Holds::Any(&[Holds::Text, Holds::ListOf(&Holds::Text)])),
                Key::optional("from", "who sends it").holds(Holds::Text),
                Key::optional("reply_to", "where answers go").holds(Holds::Text),
                Key::optional("headers", "further headers").holds(Holds::Values),
            ],
        },
    ),
    (
        "webhook",
        Table {
            what: "an expected webhook",
            keys: &[
                Key::required("webhook", "where to: a URL, or the name of an endpoint")
                    .holds(Holds::Text),
                Key::optional("method", "the method").holds(Holds::Text),
                Key::optional("json", "the body, as JSON"),
                Key::optional("form", "the body, as a form"),
                Key::optional("body", "the body, as it stands"),
                Key::optional("headers", "headers that the rule adds").holds(Holds::Values),
                Key::optional("query", "what is added to the URL").holds(Holds::Values),
            ],
        },
    ),
    (
        "action",
        Table {
            what: "an expected action",
            keys: &[
                Key::required("action", "the plugin's action").holds(Holds::Text),
                Key::optional("webhook", "where its request goes").holds(Holds::Text),
                Key::optional("method", "the method").holds(Holds::Text),
                Key::optional("json", "the body, as JSON"),
                Key::optional("form", "the body, as a form"),
                Key::optional("body", "the body, as it stands"),
                Key::optional("headers", "headers that the plugin adds").holds(Holds::Values),
                Key::optional("query", "what is added to the URL").holds(Holds::Values),
            ],
        },
    ),
    (
        "event",
        Table {
            what: "an expected event",
            keys: &[
                Key::required("event", "the type of an event that the rules emit")
                    .holds(Holds::Text),
                Key::optional("subject", "what it is about").holds(Holds::Text),
                Key::optional("data", "its payload"),
                Key::optional("never", "`true`: no such event must have been emitted")
                    .holds(Holds::Flag),
            ],
        },
    ),
    (
        "failed",
        Table {
            what: "an expected failure",
            keys: &[
                Key::required("failed", "the workflow whose run fails").holds(Holds::Text),
                Key::optional("reason", "why").holds(Holds::Text),
            ],
        },
    ),
];
