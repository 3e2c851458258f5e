//! `mode`, `key` and `max`: who begins, who waits, who goes next.

use std::sync::Arc;

use adjutant::model::Status;

use crate::play::{act, begin, plays};
use crate::support::sim::{Setup, Sim};

fn rules(options: &str) -> String {
    format!(
        "workflow: w\ntriggers: [{{ event: go }}]\nkey: ${{event.subject}}\n{options}\nsteps:\n  \
         - log: begins ${{event.data.n}}\n  - delay: 10m\n  - if: event.data.n == 9\n    then:\n      \
         - fail: nine\n  - log: ends ${{event.data.n}}\n"
    )
}

#[test]
fn parallel_runs_do_not_see_each_other() {
    plays(
        &rules("mode: parallel"),
        &["go s {\"n\": 1}", "go s {\"n\": 2}", "+1h"],
        &[
            "09:00:00 w: begins 1",
            "09:00:00 w: begins 2",
            "09:10:00 w: ends 1",
            "09:10:00 w: ends 2",
            "#1 w done",
            "#2 w done",
        ],
    );
}

#[test]
fn single_ignores_while_one_is_alive() {
    plays(
        &rules("mode: single"),
        &[
            "go s {\"n\": 1}",
            "+1m",
            "go s {\"n\": 2}",
            "go t {\"n\": 3}",
            "+10m",
            "go s {\"n\": 4}",
        ],
        &[
            "09:00:00 w: begins 1",
            "09:01:00 w: begins 3",
            "09:10:00 w: ends 1",
            "09:11:00 w: ends 3",
            "09:11:00 w: begins 4",
            "#1 w done",
            "#2 w done",
            "#3 w active",
        ],
    );
}

#[test]
fn restart_replaces() {
    plays(
        &rules("mode: restart"),
        &["go s {\"n\": 1}", "+1m", "go s {\"n\": 2}", "+1h"],
        &[
            "09:00:00 w: begins 1",
            "09:01:00 w: begins 2",
            "09:11:00 w: ends 2",
            "#1 w cancelled: event 2 started it anew",
            "#2 w done",
        ],
    );
}

#[test]
fn queued_runs_go_one_after_the_other_also_after_failure_and_cancel() {
    plays(
        &rules("mode: queued"),
        &[
            "go s {\"n\": 9}",
            "go s {\"n\": 2}",
            "go s {\"n\": 3}",
            "go s {\"n\": 4}",
            "go t {\"n\": 5}",
            "+11m",
            "cancel 3",
            "cancel 2",
            "+1h",
        ],
        &[
            "09:00:00 w: begins 9",
            "09:00:00 w: begins 5",
            "09:10:00 w: begins 2",
            "09:10:00 w: ends 5",
            "09:11:00 w: begins 4",
            "09:21:00 w: ends 4",
            "#1 w failed: nine",
            "#2 w cancelled: cancelled by tom",
            "#3 w cancelled: cancelled by tom",
            "#4 w done",
            "#5 w done",
        ],
    );
}

#[test]
fn max_queues_over_all_keys() {
    plays(
        &rules("max: 2"),
        &["go a {\"n\": 1}", "go b {\"n\": 2}", "go c {\"n\": 3}", "go d {\"n\": 4}", "+11m"],
        &[
            "09:00:00 w: begins 1",
            "09:00:00 w: begins 2",
            "09:10:00 w: ends 1",
            "09:10:00 w: begins 3",
            "09:10:00 w: ends 2",
            "09:10:00 w: begins 4",
            "#1 w done",
            "#2 w done",
            "#3 w active",
            "#4 w active",
        ],
    );
}

#[test]
fn restart_does_not_jump_the_queue() {
    // The run that is replaced was in the queue: so is the one that replaces it.
    plays(
        &rules("mode: restart\nmax: 1"),
        &["go a {\"n\": 1}", "go b {\"n\": 2}", "go b {\"n\": 3}", "+11m"],
        &[
            "09:00:00 w: begins 1",
            "09:10:00 w: ends 1",
            "09:10:00 w: begins 3",
            "#1 w done",
            "#2 w cancelled: event 3 started it anew",
            "#3 w active",
        ],
    );
}

#[test]
fn a_queued_run_can_exit() {
    plays(
        &rules("mode: queued\nexit: [{ event: bye, where: event.data.n == trigger.data.n }]"),
        &["go s {\"n\": 1}", "go s {\"n\": 2}", "bye s {\"n\": 2}", "+1h"],
        &[
            "09:00:00 w: begins 1",
            "09:10:00 w: ends 1",
            "#1 w done",
            "#2 w done: bye (event 3) ended it",
        ],
    );
}

#[test]
fn rules_without_max_let_those_go_that_waited_for_a_place() {
    let rules = "workflow: w\ntriggers: [{ event: go }]\nkey: ${event.subject}\nmax: 1\nsteps: [{ delay: 10m }]\n";
    let without = rules.replace("max: 1\n", "");
    let gone = "workflow: other\ntriggers: [{ event: go }]\nsteps: [{ log: hi }]\n";
    for after in [&*without, gone] {
        let mut sim = begin(rules);
        act(&mut sim, "go a");
        act(&mut sim, "go b");
        act(&mut sim, "go c");
        sim.reload(Arc::new(Setup::rules(after).compile().expect("they compile")));
        let alive = [1, 2, 3].map(|no| sim.status(no));
        assert_eq!(alive, [Status::Active; 3], "{after}");
        act(&mut sim, "+11m");
        assert_eq!([1, 2, 3].map(|no| sim.status(no)), [Status::Done; 3]);
    }
}

#[test]
fn what_has_come_to_rest_takes_its_turn_by_the_rules_in_force() {
    let with = |options: &str| {
        format!(
            "workflow: w\ntriggers: [{{ event: go }}]\nkey: ${{event.subject}}\n{options}\nsteps: [{{ delay: 10m }}]\n"
        )
    };
    let gone = "workflow: other\ntriggers: [{ event: go }]\nsteps: [{ log: hi }]\n";
    for after in [&*with("mode: queued"), gone] {
        let mut sim = begin(&with("debounce: 5m\nmax: 1"));
        act(&mut sim, "go a");
        sim.reload(Arc::new(Setup::rules(after).compile().expect("they compile")));
        // Of another key: nobody who ends would ever look for the one that waits by the old `max`.
        act(&mut sim, "go b");
        act(&mut sim, "+5m");
        assert_eq!(sim.status(1), Status::Active, "{after}");
        act(&mut sim, "+11m");
        assert_eq!(sim.status(1), Status::Done, "{after}");
    }
}

#[test]
fn what_handles_the_failure_of_one_that_waited_takes_nobodys_place() {
    let rules = "workflow: w\ntriggers: [{ event: go }]\nkey: k\nmode: queued\nlifetime: 20m\n\
                 steps: [{ wait_for: x, timeout: 1d }]\non_failure: [{ delay: 10m }]\n";
    let mut sim = begin(rules);
    for line in ["go", "+10m", "go", "go", "+21m"] {
        act(&mut sim, line);
    }
    let holds = |sim: &Sim, no: u64| sim.run(no).slot && sim.status(no) == Status::Active;
    let holders = (1..=3).filter(|no| holds(&sim, *no)).count();
    assert!(holders <= 1, "{holders} hold one place");
}
