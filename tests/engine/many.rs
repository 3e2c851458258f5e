//! `foreach` and `parallel`: children beside each other, and the run that waits for all of them.

use adjutant::model::{Status, View, limits};

use crate::play::{act, begin, lines, play, plays};

fn each(fields: &str, steps: &str) -> String {
    format!(
        "workflow: w\ntriggers: [{{ event: go }}]\nvars: {{ k: 10 }}\nsteps:\n  - foreach: \
         ${{event.data.list}}\n{fields}    steps:\n{steps}    id: all\n  - log: ${{steps.all}}\n"
    )
}

#[test]
fn each_item_has_a_run_of_its_own_and_the_results_are_in_order() {
    plays(
        &each(
            "    as: n\n",
            "      - delay: ${span(\"1m\") * (4 - n)}\n      - log: ${index} ${n * vars.k} ${item}\n",
        ),
        &["go s {\"list\": [1, 2, 3]}", "+1h"],
        &[
            "09:01:00 w: 2 30 3",
            "09:02:00 w: 1 20 2",
            "09:03:00 w: 0 10 1",
            "09:03:00 w: [{\"error\":null,\"ok\":true},{\"error\":null,\"ok\":true},{\"error\":null,\"ok\":true}]",
            "#1 w done",
            "#2 w done",
            "#3 w done",
            "#4 w done",
        ],
    );
}

#[test]
fn one_that_fails_stops_nobody_and_the_step_fails_at_the_end() {
    let rules = each(
        "    on_error: [{ log: \"${error.code}: ${error.message}\" }]\n",
        "      - if: item == 2\n        then: [{ fail: no two }]\n      - log: did ${item}\n",
    );
    let seen = play(&rules, &["go s {\"list\": [1, 2, 3]}"]);
    assert!(seen.contains(&"09:00:00 w: did 1".to_owned()), "{seen:?}");
    assert!(seen.contains(&"09:00:00 w: did 3".to_owned()), "{seen:?}");
    assert!(
        seen.contains(&"09:00:00 w: children: 1 of 3 failed; [1]: no two".to_owned()),
        "{seen:?}"
    );
    // Which failed, for whoever handles it.
    let list = seen.iter().find(|line| line.contains("\"ok\":false")).expect("the list");
    assert!(list.contains("{\"code\":\"fail\",\"message\":\"no two\"}"), "{list}");
    assert!(
        seen.contains(&"#1 w done".to_owned()) && seen.contains(&"#3 w failed: no two".to_owned())
    );
}

#[test]
fn without_a_handler_the_run_fails() {
    let seen = play(&each("", "      - fail: never\n"), &["go s {\"list\": [1, 2]}"]);
    assert!(seen.contains(&"#1 w failed: 2 of 2 failed; [0]: never".to_owned()), "{seen:?}");
}

#[test]
fn nothing_to_do_is_done_at_once_and_what_is_no_list_fails() {
    let rules = each("", "      - log: x\n");
    assert_eq!(play(&rules, &["go s {\"list\": []}"]), ["09:00:00 w: []", "#1 w done"]);
    let seen = play(&rules, &["go s {\"list\": 7}"]);
    assert_eq!(seen, ["#1 w failed: `foreach` needs a list, not a number"], "{seen:?}");
}

#[test]
fn so_many_at_a_time_and_no_more() {
    let rules = each("    max_parallel: 2\n", "      - delay: 1m\n      - log: ${item}\n");
    let seen = play(&rules, &["go s {\"list\": [1, 2, 3, 4, 5]}", "+1h"]);
    let times: Vec<&str> = seen.iter().take(5).map(|line| &line[..8]).collect();
    assert_eq!(times, ["09:01:00", "09:01:00", "09:02:00", "09:02:00", "09:03:00"], "{seen:?}");
}

#[test]
fn more_than_the_limit_waits_for_a_person() {
    let rules = format!(
        "{}---\nworkflow: tell\ntriggers: [{{ event: run.held }}]\nsteps: [{{ log: \"${{event.data.items}} of ${{event.data.limit}}\" }}]\n",
        each("    limit: 2\n", "      - log: ${item}\n")
    );
    let mut sim = begin(&rules);
    act(&mut sim, "go s {\"list\": [1, 2, 3]}");
    act(&mut sim, "restart");
    act(&mut sim, "+1h");
    assert_eq!(sim.runs(), 2, "nothing but the run and who is told");
    act(&mut sim, "release 2");
    act(&mut sim, "release 1");
    act(&mut sim, "release 1");
    let seen = lines(&mut sim);
    assert_eq!(seen[0], "09:00:00 tell: 3 of 2");
    assert!(seen[1].starts_with("refused: run 2-") && seen[1].contains("is released"), "{seen:?}");
    assert_eq!(seen.iter().filter(|line| line.starts_with("10:00:00 w: ")).count(), 4, "{seen:?}");
    assert!(seen.iter().any(|line| line.starts_with("refused: run 1-")), "{seen:?}");
}

#[test]
fn what_they_write_stays_inside() {
    plays(
        r#"
workflow: w
triggers: [{ event: go }]
vars: { n: 1 }
steps:
  - parallel:
      - [{ vars: { n: "${vars.n + 1}" } }, { rhai: 5, id: inner }, { log: "${vars.n} ${steps.inner} ${index}" }]
      - [{ vars: { n: "${vars.n + 2}" } }, { log: "${vars.n} ${index}" }]
    id: both
  - log: ${vars.n} ${steps.len()}
"#,
        &["go s"],
        &[
            "09:00:00 w: 2 5 0",
            "09:00:00 w: 3 1",
            "09:00:00 w: 1 1",
            "#1 w done",
            "#2 w done",
            "#3 w done",
        ],
    );
}

#[test]
fn loops_within_loops_see_the_outer_item() {
    plays(
        r#"
workflow: w
triggers: [{ event: go }]
steps:
  - foreach: ${[1, 2]}
    as: a
    steps:
      - foreach: ${["x"]}
        as: b
        steps: [{ log: "${a}${b}" }]
"#,
        &["go s"],
        &[
            "09:00:00 w: 1x",
            "09:00:00 w: 2x",
            "#1 w done",
            "#2 w done",
            "#3 w done",
            "#4 w done",
            "#5 w done",
        ],
    );
}

#[test]
fn an_exit_ends_those_under_way_and_the_others_never_begin() {
    let rules = "workflow: w\ntriggers: [{ event: go }]\nexit: [{ event: stop }]\nsteps:\n  - foreach: \
                 ${[1, 2, 3]}\n    max_parallel: 2\n    steps: [{ delay: 1h }]\n";
    let seen = play(rules, &["go s", "+1m", "stop s", "+3h"]);
    assert_eq!(seen[0], "#1 w done: stop (event 2) ended it", "{seen:?}");
    assert_eq!(seen.len(), 3, "the third never began: {seen:?}");
    assert!(seen[1].contains("cancelled") && seen[2].contains("cancelled"), "{seen:?}");
}

#[test]
fn a_timeout_is_for_the_whole() {
    let rules = "workflow: w\ntriggers: [{ event: go }]\nsteps:\n  - parallel:\n      - [{ delay: 1h }]\n      \
                 - [{ delay: 1m }]\n    timeout: 10m\n    on_error: [{ log: \"${error.code}\" }]\n";
    let seen = play(rules, &["go s", "+3h"]);
    assert_eq!(seen[0], "09:10:00 w: timeout", "{seen:?}");
    assert!(seen.iter().any(|line| line.starts_with("#2 w cancelled")), "{seen:?}");
    assert!(seen.contains(&"#3 w done".to_owned()), "{seen:?}");
}

#[test]
fn a_retry_does_those_again_that_failed_and_no_others() {
    let rules = "workflow: w\ntriggers: [{ event: go }]\nsteps:\n  - foreach: ${[\"ok\", \"failed\", \
                 \"ok\"]}\n    limit: 2\n    steps: [{ webhook: \"https://x.example/${item}\", retry: { \
                 attempts: 1 } }]\n    id: all\n  - log: ${steps.all.len()}\n---\nworkflow: watch\ntriggers: [{ \
                 event: run.failed }]\nsteps: [{ log: \"${event.data.error.message}\" }]\n";
    let mut sim = begin(rules);
    act(&mut sim, "go s");
    act(&mut sim, "release 1");
    assert_eq!(sim.status(1), Status::Failed);
    // Told of once, and by the one that people know.
    assert_eq!(
        sim.log.last().map(String::as_str),
        Some("09:00:00 watch: 1 of 3 failed; [1]: status 400")
    );
    let keys = |sim: &crate::support::sim::Sim| -> Vec<_> {
        sim.effects.iter().map(|effect| effect.key).collect()
    };
    assert_eq!(keys(&sim).len(), 3);
    act(&mut sim, "retry 3");
    assert!(
        sim.log.last().is_some_and(|line| line.contains("one of many of run 1")),
        "{:?}",
        sim.log
    );
    let mut sim = sim.answers(|_, _| adjutant::model::Outcome::Done(adjutant::model::Value::Null));
    act(&mut sim, "restart");
    act(&mut sim, "retry 1");
    assert_eq!(sim.status(1), Status::Done);
    let keys = keys(&sim);
    assert_eq!(keys.len(), 4, "only the one that failed");
    assert!(!keys[..3].contains(&keys[3]), "under another key, since it failed for certain");
    assert_eq!(sim.log.last().map(String::as_str), Some("09:00:00 w: 3"));
    assert_eq!(sim.state().items(adjutant::model::RunNo(1), 0).expect("readable"), None);
}

#[test]
fn ten_thousand_are_begun_and_nothing_is_left() {
    // One text, so that each of ten thousand runs does not carry ten thousand values.
    let rules = "workflow: w\ntriggers: [{ event: go }]\nsteps:\n  - foreach: \
                 '${event.data.text.split(\",\")}'\n    limit: 10000\n    steps: [{ rhai: item }]\n    id: \
                 all\n  - log: ${steps.all.len()}\n";
    let numbers = |count: usize| {
        let numbers: Vec<String> = (0..count).map(|n| n.to_string()).collect();
        format!("go s {{\"text\": \"{}\"}}", numbers.join(","))
    };
    let mut sim = begin(rules);
    act(&mut sim, &numbers(limits::CHILDREN));
    assert_eq!(sim.log, ["09:00:00 w: 10000"]);
    assert_eq!(sim.runs() as usize, 1 + limits::CHILDREN);
    assert_eq!(
        sim.state().items(adjutant::model::RunNo(1), 0).expect("readable"),
        None,
        "nothing is left"
    );
    act(&mut sim, &numbers(limits::CHILDREN + 1));
    assert_eq!(sim.status(sim.runs()), Status::Failed);
}

#[test]
fn what_is_damaged_fails_its_caller_and_holds_nobody_up() {
    let rules = "workflow: w\ntriggers: [{ event: go }]\nsteps:\n  - foreach: ${[1, 2, 3]}\n    max_parallel: 1\n    \
                 steps: [{ delay: 1h }]\n---\nworkflow: watch\ntriggers: [{ event: run.failed }]\nsteps: [{ \
                 log: told }]\n";
    let mut sim = begin(rules);
    act(&mut sim, "go s");
    // The row of what the others are for: a tag, the run, the piece.
    let key = [b"f".as_slice(), &1_u64.to_be_bytes(), &0_u32.to_be_bytes()].concat();
    sim.damage(adjutant::store::Op::Put(key, vec![2, 0xff]));
    act(&mut sim, "+2h");
    assert_eq!(sim.status(1), Status::Failed);
    assert_eq!(sim.log, ["10:00:00 watch: told"]);
}
