//! Delays, branches, variables: everything that is done at once or by the clock.

use crate::play::{play, plays};

fn delays(hours: &str, delay: &str) -> String {
    format!(
        "calendar: office\ntimezone: Europe/Berlin\nopen: {{ mon-fri: \"09:00-17:00\" }}\n\
         closed: [2026-04-03, 2026-04-06]\n---\nworkflow: w\ntriggers: [{{ event: go }}]\n{hours}\
         steps:\n  - delay: {delay}\n  - log: now\n"
    )
}

#[test]
fn delays_end_when_they_should() {
    let office = "hours: office\n";
    for (start, hours, delay, end) in [
        ("2026-03-02T09:00:00Z", "", "90s", "09:01:30"),
        ("2026-03-02T09:00:00Z", "", "2026-03-02T09:30:00Z", "09:30:00"),
        // In the past: at once.
        ("2026-03-02T09:00:00Z", "", "2020-03-02T09:30:00Z", "09:00:00"),
        ("2026-03-02T09:00:00Z", "", "${event.time + span(\"1h\")}", "10:00:00"),
        // Moves to the next opening: 9:00 in Berlin.
        ("2026-03-06T15:00:00Z", office, "2h", "2026-03-09T08:00:00"),
        // Over the change to summer time of 29 March: Friday 15:00 to Monday 13:00 and 15:00.
        ("2026-03-27T14:00:00Z", office, "6bh", "2026-03-30T11:00:00"),
        ("2026-03-27T14:00:00Z", office, "1bd", "2026-03-30T13:00:00"),
        ("2026-03-27T14:00:00Z", "", "3d", "2026-03-30T14:00:00"),
        // Good Friday and Easter Monday are closed.
        ("2026-04-02T14:00:00Z", office, "2bh", "2026-04-07T08:00:00"),
    ] {
        let seen = play(&delays(hours, delay), &[&format!("@{start}"), "go s", "+10d"]);
        assert_eq!(seen[0], format!("{end} w: now"), "{delay} from {start}");
        if !hours.is_empty() {
            let at_step = format!("{delay}\n    hours: office");
            let seen = play(&delays("", &at_step), &[&format!("@{start}"), "go s", "+10d"]);
            assert_eq!(seen[0], format!("{end} w: now"), "{delay} from {start}, at the step");
        }
    }
}

#[test]
fn a_delay_that_is_no_duration_fails() {
    let seen = play(&delays("", "${event.data.n}"), &["go s {\"n\": 5}"]);
    assert!(seen[0].contains("a wait needs a duration"), "{seen:?}");
}

#[test]
fn branches_nest_and_what_is_left_out_is_nothing() {
    let rules = r#"
workflow: w
triggers: [{ event: go }]
vars: { n: "${event.data.n}", twice: "${vars.n * 2}" }
steps:
  - if: vars.n > 1
    then:
      - switch:
          - if: vars.n == 2
            then:
              - rhai: vars.n * 10
                id: inner
          - if: vars.n == 3
            then: [{ log: three }]
          - else:
              - log: many
      - log: then
    else:
      - log: else
  - log: left out
    if: vars.n > 100
    id: skipped
  - vars: { a: "${vars.n + 1}", b: "${vars.a + 1}" }
  - log: ${steps.get("inner") ?? "none"} ${steps.skipped == ()} ${vars.twice} ${vars.b}
"#;
    let ran = |n: u32| {
        let seen = play(rules, &[&format!("go s {{\"n\": {n}}}")]);
        let said: Vec<&str> =
            seen.iter().filter_map(|line| line.strip_prefix("09:00:00 w: ")).collect();
        said.join("; ")
    };
    assert_eq!(ran(1), "else; none true 2 3");
    assert_eq!(ran(2), "then; 20 true 4 4");
    assert_eq!(ran(3), "three; then; none true 6 5");
    assert_eq!(ran(4), "many; then; none true 8 6");
}

#[test]
fn a_lifetime_ends_a_run() {
    plays(
        "workflow: w\ntriggers: [{ event: go }]\nlifetime: 1h\nsteps: [{ delay: 2h }, { log: no }]\n",
        &["go s", "+5h"],
        &["#1 w failed: its lifetime was over at 2026-03-02T10:00:00Z"],
    );
}
