//! The registry of obligations: each open one has an owner who is there, or it is told of as orphaned, and is looked at
//! again, whatever happens.

use adjutant::model::{Operator, RunNo, Value, View as _};
use serde_json::json;

use crate::play::{act, begin, lines};
use crate::support::chance::Chance;
use crate::support::sim::{Setup, Sim, at};

const RULES: &str = r#"
record: person
index: [manager]
---
record: complaint
---
calendar: office
timezone: Europe/Berlin
open: { mon-fri: "09:00-17:00" }
---
workflow: write
triggers: [{ event: write }]
steps:
  - record: ${event.subject}
    set: ${event.data}
---
workflow: owe
triggers: [{ event: owe }]
steps:
  - record: obligation/${event.data.id}
    set: { owner: "${event.data.owner}", title: call, status: open, due: "${now + span(event.data.in)}" }
---
workflow: ask
triggers: [{ event: ask }]
steps:
  - approve: ["${event.data.who}", tom]
    need: 2
    timeout: 2d
    summary: A discount
---
sla: answer
of: complaint
hours: office
target: 4bh
done: record.status == "resolved"
pause: record.status == "pending"
"#;

fn person(sim: &mut Sim, id: &str, active: bool) {
    let data = json!({ "email": format!("{id}@ops.example"), "active": active });
    sim.event("write", &format!("person/{id}"), data);
}

fn started() -> Sim {
    let mut sim = begin(RULES);
    for id in ["ana", "tom"] {
        person(&mut sim, id, true);
    }
    sim
}

fn said(sim: &Sim, kind: &str) -> Vec<String> {
    let of = |event: &adjutant::model::Event| {
        let id = event.subject.as_deref().unwrap_or_default().replace("obligation/", "");
        format!("{} {id}", &event.accepted.to_string()[5..16])
    };
    sim.events_of(kind).iter().map(|event| of(event)).collect()
}

#[test]
fn what_is_due_is_told_of_once_for_each_time_it_is_due() {
    let mut sim = started();
    sim.event("owe", "x", json!({ "id": "a", "owner": "ana", "in": "3h" }));
    sim.event("owe", "x", json!({ "id": "b", "owner": "person:tom", "in": "1h" }));
    act(&mut sim, "+30m");
    sim.event("write", "obligation/b", json!({ "status": "done" }));
    sim.restart();
    act(&mut sim, "+5d");
    assert_eq!(said(&sim, "obligation.opened"), ["03-02T09:00 a", "03-02T09:00 b"]);
    assert_eq!(said(&sim, "obligation.closed"), ["03-02T09:30 b"]);
    assert_eq!(said(&sim, "obligation.overdue"), ["03-02T12:00 a"]);
    // Put off, it is due again.
    sim.event("write", "obligation/a", json!({ "due": "2026-03-10T09:00:00Z" }));
    act(&mut sim, "+10d");
    assert_eq!(said(&sim, "obligation.overdue"), ["03-02T12:00 a", "03-10T09:00 a"]);
    assert!(said(&sim, "obligation.orphaned").is_empty());
}

#[test]
fn without_an_owner_or_an_instant_nothing_is_promised() {
    let mut sim = started();
    sim.event("write", "obligation/a", json!({ "status": "open", "due": "2026-03-10T09:00:00Z" }));
    sim.event("write", "obligation/a", json!({ "status": "open", "owner": "ana", "due": "soon" }));
    let why: Vec<_> = lines(&mut sim).into_iter().filter(|line| line.contains("failed")).collect();
    assert!(why[0].contains("`obligation/a` is open and has no `owner`"), "{why:?}");
    assert!(why[1].contains("has no `due` that is an instant"), "{why:?}");
}

#[test]
fn who_goes_leaves_orphans_behind_and_they_are_found() {
    let mut sim = started();
    for id in ["a", "b"] {
        sim.event("owe", "x", json!({ "id": id, "owner": "ana", "in": "30d" }));
    }
    sim.event("owe", "x", json!({ "id": "c", "owner": "nobody", "in": "30d" }));
    assert_eq!(said(&sim, "obligation.orphaned"), ["03-02T09:00 c"]);
    act(&mut sim, "+1d");
    person(&mut sim, "ana", false);
    assert_eq!(said(&sim, "obligation.orphaned")[1..], ["03-03T09:00 a", "03-03T09:00 b"]);
    // Reassigned it is an orphan no more; she comes back and goes, and is told of anew.
    sim.event("write", "obligation/a", json!({ "owner": "tom" }));
    person(&mut sim, "ana", true);
    act(&mut sim, "+1d");
    person(&mut sim, "ana", false);
    assert_eq!(said(&sim, "obligation.orphaned")[3..], ["03-04T09:00 b"]);
}

#[test]
fn other_rules_may_have_other_people() {
    let rows = RULES.replace(
        "index: [manager]",
        "rows: { ana: { email: a@x.example }, tom: { email: t@x.example } }",
    );
    let mut sim = begin(&rows);
    sim.event("owe", "x", json!({ "id": "a", "owner": "ana", "in": "30d" }));
    let without = rows.replace("ana: { email: a@x.example }, ", "");
    sim.reload(std::sync::Arc::new(Setup::rules(&without).compile().unwrap()));
    act(&mut sim, "+1m");
    assert_eq!(said(&sim, "obligation.orphaned").len(), 1);
}

#[test]
fn approvals_and_service_levels_are_promises_too() {
    let mut sim = started();
    sim.event("ask", "x", json!({ "who": "ana" }));
    let open = sim.state().records_where("obligation", "status", &"open".into(), 9).unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].fields["owner"], "ana".into());
    assert_eq!(open[0].fields["due"], Value::Instant(at("2026-03-04T09:00:00Z")));
    let id = open[0].fields["about"].to_string().replace("approval/", "");
    let decide = |by: &str| Operator::Decide {
        approval: id.as_str().into(),
        outcome: "approved".into(),
        comment: None,
        asked_only: true,
        by: by.into(),
    };
    sim.operator(decide("ana"));
    let place = format!("obligation/approval-{id}");
    assert_eq!(sim.field(&place, "owner"), "tom".into());
    sim.operator(decide("tom"));
    assert_eq!(sim.field(&place, "status"), "done".into());

    sim.event("write", "complaint/1", json!({ "status": "open", "owner": "ana" }));
    let place = "obligation/sla-answer/complaint/1";
    assert_eq!(sim.field(place, "due"), Value::Instant(at("2026-03-02T13:00:00Z")));
    sim.event("write", "complaint/1", json!({ "owner": "tom" }));
    assert_eq!(sim.field(place, "owner"), "tom".into());
    sim.event("write", "complaint/1", json!({ "status": "pending" }));
    assert_eq!(sim.field(place, "status"), "done".into());
    sim.event("write", "complaint/1", json!({ "status": "open" }));
    assert_eq!(sim.field(place, "status"), "open".into());
    act(&mut sim, "+1d");
    assert_eq!(said(&sim, "obligation.overdue").len(), 1);
    sim.event("write", "complaint/1", json!({ "status": "resolved" }));
    assert_eq!(sim.field(place, "status"), "done".into());
}

const LADDER: &str = r"
record: person
rows:
  ana: { email: ana@ops.example }
  tom: { email: tom@ops.example }
---
escalation: waits
unresolved: 4h
levels:
  - { after: 1h, notify: [tom] }
  - { after: 1h, notify: [ana] }
---
workflow: w
triggers: [{ event: go }]
steps:
  - escalate: waits
    summary: somebody must call
    resolve: { event: called }
";

#[test]
fn who_acknowledges_promises_to_see_to_it_until_the_ladder_goes_on() {
    let mut sim = begin(LADDER);
    sim.event("go", "lead/1", json!({}));
    act(&mut sim, "+30m");
    let ladder = RunNo(2);
    let ack = |sim: &mut Sim, by: &str| {
        sim.operator(Operator::Acknowledge { run: ladder, by: by.into() });
    };
    // Somebody whom nobody knows holds the ladder as well, but is no person who could be asked.
    ack(&mut sim, "root");
    let open = |sim: &Sim| {
        sim.state().records_where("obligation", "status", &"open".into(), 9).unwrap().len()
    };
    assert_eq!(open(&sim), 0);
    // By the address, as a link in a mail says it.
    ack(&mut sim, "ANA@ops.example");
    let id = format!("escalation-{:016x}", sim.run(2).hash.short());
    let place = &*format!("obligation/{id}");
    for (field, value) in [
        ("owner", "ana".into()),
        ("title", "somebody must call".into()),
        ("about", "lead/1".into()),
        ("due", Value::Instant(at("2026-03-02T13:30:00Z"))),
    ] {
        assert_eq!(sim.field(place, field), value, "{field}");
    }
    // Unresolved by then: the ladder goes on, and the promise is overdue until somebody else makes it.
    act(&mut sim, "@2026-03-02T14:00:00Z");
    assert_eq!(said(&sim, "obligation.overdue"), [format!("03-02T13:30 {id}")]);
    assert_eq!(sim.field(place, "owner"), "ana".into());
    ack(&mut sim, "tom");
    assert_eq!(sim.field(place, "owner"), "tom".into());
    assert_eq!(sim.field(place, "due"), Value::Instant(at("2026-03-02T18:00:00Z")));
    assert_eq!(open(&sim), 1);
    sim.restart();
    sim.event("called", "lead/1", json!({}));
    assert_eq!(open(&sim), 0, "it is resolved");
    assert_eq!(said(&sim, "obligation.closed"), [format!("03-02T14:00 {id}")]);
}

/// Whatever comes, an open obligation has an owner who is there, or was told of as orphaned, and a next look.
#[test]
fn nothing_open_is_ever_off_the_radar() {
    let seed = Chance::seed("OBLIGATION_SEED");
    let mut chance = Chance::new(seed);
    let mut sim = started();
    let owners = ["ana", "tom", "eve"];
    for round in 0..200 {
        let owner = chance.pick(owners);
        let id = chance.pick(["a", "b", "c", "d"]);
        match chance.below(7) {
            0 => person(&mut sim, owner, chance.one_in(2)),
            1 => {
                sim.event("write", &format!("obligation/{id}"), json!({ "status": "done" }));
            }
            2 => act(&mut sim, &format!("+{}m", chance.below(3_000))),
            3 if chance.one_in(3) => sim.restart(),
            4 => {
                sim.event("ask", "x", json!({ "who": owner }));
            }
            5 => {
                let status = chance.pick(["open", "pending", "resolved"]);
                let data = json!({ "status": status, "owner": owner });
                sim.event("write", &format!("complaint/{id}"), data);
            }
            _ => {
                let span = format!("{}h", 1 + chance.below(90));
                sim.event("owe", "x", json!({ "id": id, "owner": owner, "in": span }));
            }
        }
        act(&mut sim, "+1s");
        let windows = sim.state().windows(None, 9_999).unwrap();
        let open = sim.state().records_where("obligation", "status", &"open".into(), 999).unwrap();
        for one in &open {
            let place = &one.address;
            let key = windows.iter().find(|key| *key.what == *"obligation" && key.key == place.id);
            let window = key.and_then(|key| sim.state().window(key).unwrap());
            let next = window.and_then(|window| window.due);
            assert!(
                next.is_some_and(|next| next > sim.now),
                "seed {seed}, {round}: {place} at {next:?}"
            );
            let owner = one.fields["owner"].to_string();
            let is = |name: &str| sim.field(&format!("person/{owner}"), name);
            let live = is("email") != Value::Null && is("active") != Value::Bool(false);
            let told = sim.events_of("obligation.orphaned");
            let told =
                told.iter().any(|event| event.subject.as_deref() == Some(&place.to_string()));
            assert!(live || told, "seed {seed}, {round}: {place} of {owner} is nobody's");
        }
        let looked = windows.iter().filter(|key| *key.what == *"obligation").count();
        assert_eq!(looked, open.len(), "seed {seed}, {round}: a look at what is closed");
    }
}
