//! What a `record:` document asks: schema, unique fields, `keep`, ledgers; records that go on in others; history; and
//! what `erase` leaves.

use adjutant::engine::entry_hash;
use adjutant::model::{Head, Input, Operator, Reply, Value, View as _};
use adjutant::pump::{Answer, Query};
use adjutant::store::Store as _;
use serde_json::json;

use crate::play::{act, begin, lines, play};
use crate::support::chance::Chance;
use crate::support::sim::{Setup, Sim};

const LEADS: &str = r#"
record: lead
index: [stage]
unique: [email]
personal: [email, name]
keep: 30d
schema:
  required: [stage]
  properties:
    stage: { enum: [new, won, lost] }
    score: { type: integer, minimum: 0 }
---
workflow: write
triggers: [{ event: write }]
steps:
  - record: ${event.subject}
    set: ${event.data}
  - log: ${event.subject} is written
---
workflow: find
triggers: [{ event: find }]
steps:
  - log: '${records("lead", "email", event.data.email).map(|one| one.subject).join(" ")}'
---
workflow: merge
triggers: [{ event: merge }]
steps:
  - record: ${event.subject}
    set: { merged: true }
    merge: ${event.data.other}
  - log: '${record(event.data.other).subject} ${records("lead").len()}'
---
"#;

fn write(sim: &mut Sim, subject: &str, fields: serde_json::Value) {
    sim.event("write", subject, fields);
}

fn failed(sim: &mut Sim) -> Vec<String> {
    let all = lines(sim);
    all.iter().filter_map(|line| Some(line.split_once(" failed: ")?.1.to_owned())).collect()
}

#[test]
fn what_does_not_fit_the_schema_is_not_written() {
    let mut sim = begin(LEADS);
    write(&mut sim, "lead/1", json!({ "stage": "new", "score": 3 }));
    write(&mut sim, "lead/1", json!({ "stage": "gone", "score": -1 }));
    write(&mut sim, "lead/2", json!({ "score": 3 }));
    let why = failed(&mut sim);
    assert!(
        why[0].contains("`lead/1` does not fit its schema") && why[0].contains(".score"),
        "{why:?}"
    );
    assert!(why[1].contains("\"stage\" is a required property"), "{why:?}");
    assert_eq!(sim.field("lead/1", "score"), Value::Int(3));
    // A person who writes it is told the same.
    let fields = [("stage".into(), "odd".into())].into();
    let write = Operator::Write { address: "lead/1".parse().unwrap(), fields, by: "tom".into() };
    assert!(matches!(sim.operator(write), Reply::Refused(_)));
}

#[test]
fn no_two_have_the_same_however_it_is_spelled() {
    let mut sim = begin(LEADS);
    write(&mut sim, "lead/1", json!({ "stage": "new", "email": " Ana@X.example" }));
    write(&mut sim, "lead/2", json!({ "stage": "new", "email": "ana@x.EXAMPLE " }));
    assert_eq!(failed(&mut sim), ["`email` of `lead/2` is that of `lead/1` already"]);
    for email in ["ana@x.example", "ANA@X.EXAMPLE "] {
        sim.event("find", "x", json!({ "email": email }));
    }
    assert_eq!(lines(&mut sim)[..2], ["09:00:00 find: lead/1", "09:00:00 find: lead/1"]);
    // It is free again when the other one changes.
    write(&mut sim, "lead/1", json!({ "email": "other@x.example" }));
    write(&mut sim, "lead/3", json!({ "stage": "new", "email": "ana@x.example" }));
    write(&mut sim, "lead/1", json!({ "stage": "won" }));
    assert_eq!(sim.field("lead/3", "email"), "ana@x.example".into());
    assert_eq!(sim.field("lead/1", "stage"), "won".into());
}

#[test]
fn a_field_that_becomes_unique_is_looked_up_so() {
    let before =
        LEADS.replace("unique: [email]\n", "").replace("index: [stage]", "index: [stage, email]");
    let mut sim = begin(&before);
    write(&mut sim, "lead/1", json!({ "stage": "new", "email": "Ana@x.example" }));
    sim.reload(std::sync::Arc::new(Setup::rules(LEADS).compile().unwrap()));
    act(&mut sim, "+1s");
    sim.event("find", "x", json!({ "email": "ana@x.example" }));
    assert!(lines(&mut sim).contains(&"09:00:01 find: lead/1".to_owned()));
}

#[test]
fn one_that_goes_on_in_another_is_found_as_that() {
    let mut sim = begin(LEADS);
    write(&mut sim, "lead/1", json!({ "stage": "new", "email": "ana@x.example", "score": 5 }));
    write(&mut sim, "lead/2", json!({ "stage": "won", "name": "Ana", "phone": "1" }));
    sim.event("merge", "lead/2", json!({ "other": "lead/1" }));
    assert!(lines(&mut sim).contains(&"09:00:00 merge: lead/2 1".to_owned()));
    let of = |sim: &Sim, name: &str| sim.field("lead/2", name);
    assert_eq!(of(&sim, "email"), "ana@x.example".into());
    assert_eq!(
        (of(&sim, "stage"), of(&sim, "score")),
        ("won".into(), Value::Int(5)),
        "its own come first"
    );
    // What is written to the old address reaches the new one, and so on.
    write(&mut sim, "lead/1", json!({ "score": 9 }));
    assert_eq!(of(&sim, "score"), Value::Int(9));
    write(&mut sim, "lead/3", json!({ "stage": "new" }));
    sim.event("merge", "lead/3", json!({ "other": "lead/1" }));
    assert_eq!(sim.field("lead/3", "score"), Value::Int(9));
    sim.event("merge", "lead/3", json!({ "other": "lead/2" }));
    sim.event("merge", "lead/3", json!({ "other": "lead/77" }));
    assert_eq!(failed(&mut sim), ["there is no `lead/77` to go on in it"]);
}

#[test]
fn the_last_changes_are_kept_with_who_made_them() {
    let mut sim = begin(LEADS);
    for score in 0..30 {
        write(&mut sim, "lead/1", json!({ "stage": "new", "score": score }));
    }
    let fields = [("stage".into(), "won".into())].into();
    sim.operator(Operator::Write { address: "lead/1".parse().unwrap(), fields, by: "tom".into() });
    let Value::List(changes) = sim.field("history/lead/1", "changes") else { panic!("a list") };
    assert_eq!(changes.len(), 20);
    let last = changes.last().unwrap();
    assert_eq!(last.get("by"), Some(&"tom".into()));
    let pair = last.get("fields").and_then(|fields| fields.get("stage")).cloned();
    assert_eq!(pair, Some(Value::List(vec!["new".into(), "won".into()])));
    assert!(changes[0].get("by").unwrap().to_string().starts_with("write "));
}

#[test]
fn what_does_not_change_for_long_enough_goes() {
    let mut sim = begin(LEADS);
    write(&mut sim, "lead/1", json!({ "stage": "new" }));
    act(&mut sim, "+20d");
    write(&mut sim, "lead/2", json!({ "stage": "new" }));
    act(&mut sim, "+11d");
    sim.input(Input::Sweep);
    act(&mut sim, "+1s");
    let left = sim.state().records("lead", None, 10).unwrap();
    let left: Vec<_> = left.iter().map(|record| record.address.to_string()).collect();
    assert_eq!(left, ["lead/2"]);
    assert_eq!(sim.field("history/lead/1", "changes"), Value::Null);
}

const LEDGER: &str = r#"
record: report
ledger: true
---
workflow: seal
triggers: [{ event: seal }]
steps:
  - record: report/${event.subject}
    create: ${event.data}
  - log: '${ledger("report").count}'
---
workflow: spoil
triggers: [{ event: spoil }]
steps:
  - record: report/${event.subject}
    set: ${event.data}
---
workflow: remove
triggers: [{ event: remove }]
steps:
  - record: report/${event.subject}
    delete: true
"#;

fn head(sim: &mut Sim) -> Head {
    let Answer::Heads(heads) = sim.ask(&Query::Ledgers) else { panic!("heads") };
    heads[0].clone()
}

fn signed(sim: &mut Sim, head: &Head) -> bool {
    matches!(sim.ask(&Query::Signed(head.clone())), Answer::Signed(true))
}

#[test]
fn a_ledger_only_grows_and_each_entry_says_what_came_before() {
    let mut sim = begin(LEDGER);
    for at in 1..=3 {
        sim.event(
            "seal",
            &format!("r{at}"),
            json!({ "sum": at, "at": "2026-03-02T10:00:00+01:00" }),
        );
    }
    sim.event("seal", "r1", json!({ "sum": 9 }));
    sim.event("spoil", "r2", json!({ "sum": 9 }));
    sim.event("remove", "r2", json!({}));
    sim.event("seal", "r4", json!({ "hash": "0" }));
    let why = failed(&mut sim);
    assert_eq!(
        why,
        [
            "`report/r1` is there already",
            "`report/r2` is in a ledger: what stands there is never changed",
            "`report/r2` is in a ledger: what stands there is never changed",
            "`hash` is written by the ledger itself",
        ]
    );
    let mut before = String::new();
    for (at, record) in sim.state().records("report", None, 10).unwrap().iter().enumerate() {
        assert_eq!(record.fields["seq"], Value::Int(at as i64 + 1));
        assert_eq!(record.fields["prev"], before.as_str().into());
        // As others would compute it, from JSON.
        let json = Value::Map(record.fields.clone()).to_json();
        let Value::Map(fields) = Value::from_json(json) else { panic!("an object") };
        let (id, created) = (&record.address.id, record.created.to_string());
        let hash = entry_hash(&before, at as u64 + 1, id, &created, &fields);
        assert_eq!(record.fields["hash"], hash.as_str().into());
        before = hash;
    }
    let head = head(&mut sim);
    assert_eq!((head.count, &*head.hash), (3, before.as_str()));
    assert!(signed(&mut sim, &head));
    for other in [
        Head { count: 2, ..head.clone() },
        Head { hash: "00".into(), ..head.clone() },
        Head { kind: "other".into(), ..head.clone() },
        Head { signature: head.signature.replace('a', "b").into(), ..head.clone() },
    ] {
        assert!(other == head || !signed(&mut sim, &other), "{other:?}");
    }
    sim.restart();
    assert!(signed(&mut sim, &head), "after a restart as well");
}

const FORGET: &str = r#"
record: contact
personal: [email, name]
---
record: note
---
purpose: marketing
unsubscribe: true
cap: { max: 2, per: day }
---
workflow: intake
triggers: [{ event: came }]
steps:
  - record: ${event.subject}
    set: { email: "${event.data.email}", name: "${event.data.name}", plan: gold }
  - record: note/${event.data.email.to_lower()}
    set: { text: called }
  - email: ${event.data.email}
    purpose: marketing
    subject: Welcome
    text: ${event.data.name}
---
workflow: later
triggers: [{ event: came }]
steps:
  - delay: 20d
  - email: ${event.data.email}
    purpose: transactional
    subject: Still there
    text: x
---
workflow: forget
triggers: [{ event: erasure.requested }]
steps:
  - email: ${record(event.subject).email}
    purpose: transactional
    subject: You are forgotten
    text: x
  - erase: ${event.subject}
    keep: suppression
---
workflow: ask
triggers: [{ event: ask }]
steps:
  - log: '${suppressed(event.data.email, "marketing")}'
"#;

/// Every row of the store as text, to look for what should not be there.
fn rows(sim: &Sim) -> Vec<u8> {
    let mut all = Vec::new();
    let last = [255; 9];
    for (key, row) in sim.store().scan(b"", &last, usize::MAX).expect("it can be read") {
        all.extend(key);
        all.extend(row);
    }
    all
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.to_ascii_lowercase().windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[test]
fn who_is_erased_is_nowhere_any_more_but_the_wish_not_to_be_written_to() {
    let mut sim = begin(FORGET);
    let data = json!({ "email": "Zelda.Quirk@x.example", "name": "Zelda Quirk", "note": "from zelda.quirk@x.example!" });
    sim.event("came", "contact/7", data);
    sim.event("came", "contact/8", json!({ "email": "other@x.example", "name": "Other" }));
    act(&mut sim, "+1d");
    assert!(holds(&rows(&sim), "zelda.quirk"));
    sim.event("erasure.requested", "contact/7", json!({}));
    act(&mut sim, "+1m");
    assert_eq!(sim.effects.last().unwrap().to, "Zelda.Quirk@x.example", "told at last");
    let left = rows(&sim);
    assert!(!holds(&left, "zelda"), "nothing of it is left");
    assert!(holds(&left, "other@x.example"), "of others everything is");
    assert_eq!(sim.field("contact/7", "plan"), "gold".into());
    // The run that would have written later is over.
    let before = sim.effects.len();
    act(&mut sim, "+30d");
    assert_eq!(sim.effects.len(), before + 1, "only the other one's");
    sim.event("ask", "x", json!({ "email": "ZELDA.quirk@x.example" }));
    sim.event("ask", "x", json!({ "email": "other@x.example" }));
    let said: Vec<_> = lines(&mut sim).into_iter().filter(|line| line.contains(" ask: ")).collect();
    assert!(said[0].ends_with("true") && said[1].ends_with("false"), "{said:?}");
    // She comes again by an import: what is for marketing is not sent.
    sim.event(
        "came",
        "contact/9",
        json!({ "email": "zelda.quirk@x.example", "name": "Zelda Quirk" }),
    );
    let suppressed = sim.events_of("message.suppressed");
    assert_eq!(suppressed.last().unwrap().data.get("reason"), Some(&"unsubscribed".into()));
}

#[test]
fn an_objection_outlives_whoever_made_it_and_crashes_change_nothing() {
    let seed = Chance::seed("ERASE_SEED");
    let mut chance = Chance::new(seed);
    let forget = FORGET.replace("    keep: suppression\n", "");
    for round in 0..10 {
        let mut sim = begin(&forget);
        for at in 0..40 {
            sim.event(
                "came",
                "contact/7",
                json!({ "email": "zelda@x.example", "name": format!("Zelda {at}") }),
            );
        }
        let unsubscribe = Operator::Unsubscribe {
            purpose: "marketing".into(),
            address: "zelda@x.example".into(),
            run: adjutant::model::RunNo(1),
        };
        sim.operator(unsubscribe);
        act(&mut sim, "+1d");
        sim.event("erasure.requested", "contact/7", json!({}));
        for _ in 0..4 {
            if chance.one_in(2) {
                sim.restart();
            }
            act(&mut sim, "+1s");
        }
        act(&mut sim, "+1m");
        assert!(!holds(&rows(&sim), "zelda@x"), "seed {seed}, round {round}");
        sim.event("ask", "x", json!({ "email": "zelda@x.example" }));
        assert!(lines(&mut sim).iter().any(|line| line.ends_with("ask: true")));
    }
}

#[test]
fn what_cannot_be_erased_says_why() {
    let erase = |address: &str| {
        format!(
            "record: contact\n---\nrecord: report\nledger: true\n---\nworkflow: w\ntriggers: [{{ event: go }}]\nsteps:\n  \
         - record: {address}\n    create: {{ a: 1 }}\n    on_error: continue\n  - erase: {address}\n"
        )
    };
    let seen = play(&erase("contact/1"), &["go x"]);
    assert_eq!(seen, ["#1 w failed: nothing says what is personal of `contact` records"]);
    let seen = play(&erase("report/1"), &["go x"]);
    assert_eq!(seen, ["#1 w failed: `report/1` is in a ledger: what stands there stays"]);
    let none = "record: contact\npersonal: [email]\n---\nworkflow: w\ntriggers: [{ event: go }]\nsteps: [{ erase: contact/1 }]\n";
    assert_eq!(play(none, &["go x"]), ["#1 w done"]);
}

#[test]
fn metrics_are_asked_by_name_and_day() {
    let rules = r#"
workflow: count
triggers: [{ event: count }]
steps:
  - metric: sold_total
    add: ${event.data.n}
    labels: { region: "${event.data.region}" }
  - metric: stock
    set: ${event.data.n}
---
workflow: ask
triggers: [{ event: ask }]
steps:
  - log: '${metric("sold_total", now - span(event.data.since))} ${metric("stock", now)} ${metric("nothing", now)}'
  - log: '${metric("sold_total{region=\"eu\"}", now - span("90d"))}'
"#;
    let mut sim = begin(rules);
    for (n, region) in [(1, "eu"), (2, "us")] {
        sim.event("count", "x", json!({ "n": n, "region": region }));
        act(&mut sim, "+10d");
    }
    sim.event("count", "x", json!({ "n": 4, "region": "eu" }));
    for since in ["1d", "11d", "30d"] {
        sim.event("ask", "x", json!({ "since": since }));
    }
    let said: Vec<_> = lines(&mut sim)
        .iter()
        .filter_map(|line| Some(line.split_once(" ask: ")?.1.to_owned()))
        .collect();
    assert_eq!(said, ["4 4 0", "5", "6 4 0", "5", "7 4 0", "5"]);
}
