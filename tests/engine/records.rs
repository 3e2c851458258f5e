//! `record:` steps and indexes.

use std::sync::Arc;

use adjutant::model::{Address, View};

use crate::play::{START, act, begin, lines, plays};
use crate::support::sim::{Setup, Sim, at};

#[test]
fn set_create_unset_delete_and_old() {
    let rules = r#"
record: lead
---
workflow: w
triggers: [{ event: go }]
steps:
  - record: lead/1
    create: { n: 1, due: "2026-03-02T10:00:00+01:00", gone: 1 }
  - record: lead/1
    set: { n: "${old.n + 1}" }
    unset: [gone]
    id: r
  - log: ${steps.r.n} ${steps.r.due} ${steps.r.id} ${steps.r.kind} ${record("lead/1").get("gone") ?? "no"}
  - record: lead/1
    create: { n: 1 }
    on_error: [{ log: "${error.message}" }]
  - record: lead/1
    set: { id: 5 }
    on_error: continue
  - record: lead/1
    delete: true
  - log: ${record("lead/1") == ()}
  - record: lead/9
    unset: [x]
  - log: ${record("lead/9") == ()}
"#;
    // `id` is refused by the compiler already when it can see it.
    let rules =
        rules.replace("  - record: lead/1\n    set: { id: 5 }\n    on_error: continue\n", "");
    plays(
        &rules,
        &["go s"],
        &[
            "09:00:00 w: 2 2026-03-02T09:00:00Z 1 lead no",
            "09:00:00 w: `lead/1` is there already",
            "09:00:00 w: true",
            "09:00:00 w: true",
            "#1 w done",
        ],
    );
}

#[test]
fn indexes_see_what_the_same_decision_wrote() {
    let rules = r#"
record: lead
index: [owner]
rows: { shipped: { owner: ana } }
---
workflow: w
triggers: [{ event: go }]
steps:
  - record: lead/1
    set: { owner: ana }
  - record: lead/2
    set: { owner: ben }
  - log: ${records("lead", "owner", "ana").len()} ${records("lead").len()}
  - record: lead/1
    set: { owner: ben }
  - log: ${records("lead", "owner", "ana").len()} ${records("lead", "owner", "ben").len()}
  - record: lead/2
    delete: true
  - log: ${records("lead", "owner", "ben").len()}
  - delay: 1m
  - log: ${records("lead", "owner", "ben").len()} ${records("lead", "owner", "ana").len()}
  - record: lead/${"ship" + "ped"}
    set: { owner: ben }
"#;
    plays(
        rules,
        &["go s", "+1m"],
        &[
            "09:00:00 w: 2 3",
            "09:00:00 w: 1 2",
            "09:00:00 w: 1",
            "09:01:00 w: 1 1",
            "#1 w failed: `lead/shipped` is shipped with the rules and cannot be changed",
        ],
    );
}

#[test]
fn an_index_declared_later_gets_its_rows() {
    let rules = |index: &str, read: &str| {
        format!(
            "record: lead\n{index}---\nworkflow: w\ntriggers: [{{ event: go }}]\nsteps:\n  \
                 - record: lead/${{event.data.n}}\n    set: {{ owner: ana }}\n---\n\
                 workflow: r\ntriggers: [{{ event: read }}]\nsteps:\n  - log: ${{{read}}}\n"
        )
    };
    let mut sim = begin(&rules("", "1"));
    for n in 0..600 {
        act(&mut sim, &format!("go s {{\"n\": {n}}}"));
    }
    sim.log.clear();
    let with =
        Setup::rules(&rules("index: [owner]\n", "records(\"lead\", \"owner\", \"ana\").len()"));
    sim.restart_with(Arc::new(with.compile().expect("it compiles")));
    act(&mut sim, "read s");
    assert_eq!(sim.log, ["09:00:00 r: 600"]);
    let address: Address = "lead/599".parse().expect("an address");
    let record = sim.state().record(&address).expect("readable").expect("there");
    assert_eq!(record.revision, 1, "new index rows are no change");
}

#[test]
fn a_check_and_its_write_do_not_race() {
    let rules = r#"
record: seat
---
workflow: w
triggers: [{ event: go }]
steps:
  - if: record("seat/1") == ()
    then:
      - record: seat/1
        create: { by: "${event.data.by}" }
    else:
      - stop: taken
"#;
    let mut sim =
        Sim::with_rules(Arc::new(Setup::rules(rules).compile().expect("it compiles")), at(START));
    act(&mut sim, "go s {\"by\": 1}");
    act(&mut sim, "go s {\"by\": 2}");
    assert_eq!(lines(&mut sim), ["#1 w done", "#2 w done: taken"]);
    assert_eq!(sim.field("seat/1", "by"), 1i64.into());
}
