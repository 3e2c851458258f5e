//! `team:` and `pick`: turns, weights, caps, absences, and that nobody is forgotten.

use std::collections::BTreeMap;

use adjutant::model::{Operator, Value};
use serde_json::json;

use crate::play::{begin, lines};
use crate::support::chance::Chance;
use crate::support::sim::{Setup, Sim};

const TEAM: &str = r#"
record: person
rows:
  ana: { email: ana@ops.example }
  ben: { email: ben@ops.example }
  cara: { email: cara@ops.example }
  tom: { email: tom@ops.example }
---
record: lead
index: [owner]
---
workflow: w
triggers: [{ event: go }]
steps:
  - pick: sales
    except: ['${event.data.get("not")}']
    id: owner
  - log: ${steps.owner.id}
  - record: lead/${event.id}
    set: { owner: "${steps.owner.id}" }
---
workflow: away
triggers: [{ event: [away, back] }]
steps:
  - record: absence/${event.subject}
    set: { away: '${event.type == "away"}' }
---
workflow: tell
triggers: [{ event: tell }]
steps:
  - email: team:sales
    purpose: internal
    subject: Hello
    text: all
---
"#;

fn with(team: &str) -> String {
    format!(
        "{TEAM}team: sales\nmembers: {team}\n\
         available: record(\"absence\", member)?.away != true\n\
         active: records(\"lead\", \"owner\", member).len()\nfallback: tom\n"
    )
}

/// Whom each of so many picks took.
fn picked(rules: &str, timeline: &[&str]) -> Vec<String> {
    let mut sim = begin(rules);
    for line in timeline {
        crate::play::act(&mut sim, line);
    }
    lines(&mut sim)
        .iter()
        .filter_map(|line| line.split_once(" w: ").map(|(_, id)| id.to_owned()))
        .collect()
}

#[test]
fn turns_go_round_and_weights_are_spread() {
    let go = ["go x"; 10];
    assert_eq!(
        picked(&with("{ ana: {}, ben: {}, cara: {} }"), &go[..7]),
        ["ana", "ben", "cara", "ana", "ben", "cara", "ana"]
    );
    assert_eq!(
        picked(&with("{ ana: { weight: 2 }, ben: {}, cara: {} }"), &go[..8]),
        ["ana", "ben", "ana", "cara", "ana", "ben", "ana", "cara"]
    );
}

#[test]
fn who_is_skipped_keeps_the_turn_and_has_no_more_than_that() {
    let rules = with("{ ana: {}, ben: {}, cara: {} }");
    let timeline =
        ["away ana", "go x", "go x", "go x", "go x", "back ana", "go x", "go x", "go x", "go x"];
    assert_eq!(
        picked(&rules, &timeline),
        ["ben", "cara", "ben", "cara", "ana", "ben", "cara", "ana"]
    );
    // Excepted for once is skipped as well.
    assert_eq!(
        picked(
            &rules,
            &[r#"go x {"not": "ana"}"#, "go x", r#"go x {"not": "person:cara"}"#, "go x"]
        ),
        ["ben", "ana", "ben", "cara"]
    );
}

#[test]
fn caps_hold_by_the_hour_by_the_day_and_by_what_is_under_way() {
    let go = "go x";
    let hour = with("{ ana: { cap: { hour: 2 } } }");
    assert_eq!(
        picked(&hour, &[go, go, go, "+59m", go, "+1m", go, go, go]),
        ["ana", "ana", "tom", "tom", "ana", "ana", "tom"]
    );
    let day = with("{ ana: { cap: { hour: 3, day: 3 } } }");
    assert_eq!(
        picked(&day, &[go, "+12h", go, "+11h", go, go, "+1h", go, go, "+12h", go]),
        ["ana", "ana", "ana", "tom", "ana", "tom", "ana"]
    );
    let active = with("{ ana: { cap: { active: 2 } }, ben: { cap: { active: 1 } } }");
    assert_eq!(picked(&active, &[go, go, go, go]), ["ana", "ben", "ana", "tom"]);
}

#[test]
fn picks_survive_a_restart_and_a_change_of_the_team() {
    let three = with("{ ana: {}, ben: {}, cara: {} }");
    let mut sim = begin(&three);
    sim.event("go", "x", json!({}));
    sim.event("go", "x", json!({}));
    sim.restart();
    // Ana goes, Tom comes: he is one of them, and not the next for as long as they have been at it.
    let changed = Setup::rules(&with("{ ben: {}, cara: {}, tom: {} }"));
    sim.reload(std::sync::Arc::new(changed.compile().unwrap()));
    for _ in 0..6 {
        sim.event("go", "x", json!({}));
    }
    let seen: Vec<_> = lines(&mut sim).into_iter().filter(|line| line.contains(" w: ")).collect();
    let who: Vec<_> = seen.iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(who, ["ana", "ben", "cara", "tom", "ben", "cara", "tom", "ben"]);
}

#[test]
fn mail_goes_to_those_of_a_team_who_are_there() {
    let rules = with("{ ana: {}, ben: {}, cara: {} }");
    let mut sim = begin(&rules);
    for line in ["away ben", "tell x", "away ana", "away cara", "tell x"] {
        crate::play::act(&mut sim, line);
    }
    let to: Vec<_> = sim.effects.iter().map(|one| one.to.clone()).collect();
    assert_eq!(to, ["ana@ops.example,cara@ops.example", "tom@ops.example"]);
}

#[test]
fn what_is_wrong_with_a_team_fails_the_step_and_says_so() {
    let bad = |team: &str| {
        format!(
            "{TEAM}team: sales\nmembers: {{ ana: {{ cap: {{ active: 1 }} }} }}\n{team}fallback: tom\n"
        )
    };
    let failed = |why: &str| vec![format!("#1 w failed: {why}")];
    let seen = |team: &str| {
        let mut sim = begin(&bad(team));
        sim.event("go", "x", json!({}));
        lines(&mut sim)
    };
    assert_eq!(
        seen("active: '\"many\".to_upper()'\n"),
        failed("`active` of the team `sales` is text, not a number")
    );
    let why = seen("active: 1\navailable: record(\"absence\", member).away != true\n");
    assert!(why[0].contains("failed") && why[0].contains("absence"), "{why:?}");
}

#[test]
fn in_shadow_mode_nobody_loses_a_turn() {
    let rules = with("{ ana: {}, ben: {} }")
        .replace("triggers: [{ event: go }]", "triggers: [{ event: go }]\nshadow: true");
    assert_eq!(picked(&rules, &["go x", "go x"]), ["ana", "ana"]);
}

#[test]
fn nobody_is_left_who_is_not_there() {
    let gone = TEAM.replace("  cara: { email: cara@ops.example }\n", "");
    // The person's record was there when the rules were loaded, and is not any more.
    let rules = gone.replace("rows:\n  ana: { email: ana@ops.example }\n  ben: { email: ben@ops.example }\n  tom: { email: tom@ops.example }\n", "index: [email]\n")
        + "team: sales\nmembers: { ana: {}, ben: {} }\nfallback: tom\n";
    let mut sim = begin(&rules);
    let person = |sim: &mut Sim, id: &str| {
        let fields = [("email".into(), Value::text(format!("{id}@ops.example")))].into();
        let address = format!("person/{id}").parse().unwrap();
        sim.operator(Operator::Write { address, fields, by: "tom".into() });
    };
    sim.event("go", "x", json!({}));
    person(&mut sim, "tom");
    sim.event("go", "x", json!({}));
    person(&mut sim, "ben");
    sim.event("go", "x", json!({}));
    let seen = lines(&mut sim);
    assert_eq!(seen[..2], ["09:00:00 w: tom", "09:00:00 w: ben"], "{seen:#?}");
    assert!(seen[2].contains("the fallback of the team `sales`, `person/tom`, is not there"));
}

/// A model of turns that shares nothing with the engine's: how many turns each should have had by now is counted
/// in fractions of those dealt while it could be picked.
#[test]
fn nobody_waits_longer_than_its_weight_says() {
    let seed = Chance::seed("TEAM_SEED");
    let mut chance = Chance::new(seed);
    for round in 0..30 {
        let many = 2 + chance.below(6) as usize;
        let names: Vec<String> = (0..many).map(|at| format!("m{at}")).collect();
        let weights: Vec<u64> = (0..many).map(|_| 1 + chance.below(5)).collect();
        let rows: String = names
            .iter()
            .map(|name| format!("  {name}: {{ email: {name}@x.example }}\n"))
            .collect::<Vec<_>>()
            .concat();
        let members: Vec<String> = names
            .iter()
            .zip(&weights)
            .map(|(name, weight)| format!("{name}: {{ weight: {weight} }}"))
            .collect();
        let rules = with(&format!("{{ {} }}", members.join(", ")))
            .replace("  ana: { email: ana@ops.example }\n", &rows);
        let mut sim = begin(&rules);
        let mut got: BTreeMap<&str, u64> = BTreeMap::new();
        let turns = 60 + chance.below(60);
        let total: u64 = weights.iter().sum();
        for turn in 1..=turns {
            sim.event("go", "x", json!({}));
            let seen = std::mem::take(&mut sim.log);
            let id = seen[0].rsplit(' ').next().unwrap().to_owned();
            let name = names.iter().find(|name| **name == id).unwrap();
            *got.entry(name).or_default() += 1;
            for (name, weight) in names.iter().zip(&weights) {
                let has = got.get(name.as_str()).copied().unwrap_or(0) as f64;
                let due = turn as f64 * *weight as f64 / total as f64;
                // Never a whole round of its own ahead or behind.
                assert!(
                    (has - due).abs() < 2.0,
                    "seed {seed}, round {round}, turn {turn}: {name} of {weights:?} has {has}, {due:.2} are due"
                );
            }
        }
    }
}

/// With people who come and go: whoever is there is never passed over twice by one of the same weight.
#[test]
fn among_equals_nobody_is_passed_over_twice() {
    let seed = Chance::seed("TEAM_SEED");
    let mut chance = Chance::new(seed);
    let rules = with("{ ana: {}, ben: {}, cara: {} }");
    let mut sim = begin(&rules);
    let names = ["ana", "ben", "cara"];
    let mut away = [false; 3];
    // How often each other one was picked since one was picked or came back.
    let mut passed = [[0u32; 3]; 3];
    for turn in 0..400 {
        if chance.one_in(4) {
            let who = chance.below(3) as usize;
            away[who] = !away[who];
            sim.event(if away[who] { "away" } else { "back" }, names[who], json!({}));
            passed[who] = [0; 3];
        }
        sim.event("go", "x", json!({}));
        let seen = std::mem::take(&mut sim.log);
        let id = seen.last().unwrap().rsplit(' ').next().unwrap().to_owned();
        let Some(picked) = names.iter().position(|name| **name == id) else {
            assert!(away.iter().all(|away| *away), "seed {seed}: {id} while somebody was there");
            continue;
        };
        assert!(!away[picked], "seed {seed}, turn {turn}: {id} is away");
        for other in (0..3).filter(|other| *other != picked && !away[*other]) {
            passed[other][picked] += 1;
            assert!(
                passed[other][picked] <= 2,
                "seed {seed}, turn {turn}: {} passed over",
                names[other]
            );
        }
        passed[picked] = [0; 3];
    }
}
