//! `adjutant test --mutate`: changes of times that scenarios notice, that they do not, and that are excused.

#[path = "support/mod.rs"]
mod support;

use std::fs;

use support::cli::{self, Said};
use tempfile::TempDir;

/// `2h` is tried to the minute, the quiet hours from one side, `1m` must not be less, and the `3d` by nobody.
const RULES: &str = "\
workflow: care
triggers: [{ event: order.placed }]
steps:
  - email: ${event.data.email}
    purpose: care
    subject: Thank you
    text: It is on its way.
  - delay: 2h
  - email: ${event.data.email}
    purpose: transactional
    subject: Did it arrive?
    text: Tell us.
  - delay: 3d
  - log: done
---
purpose: care
quiet: \"21:00-08:00\"
zone: UTC
---
workflow: watch
triggers:
  - absent: order.placed
    by: ${event.subject}
    for: 1m
steps:
  - log: nothing for a minute
";

const SCENARIOS: &str = "\
scenario: An order is thanked for, not at night, and asked about two hours later
start: 2026-03-02 20:00
timeline:
  - at: 20:59
    event: order.placed
    subject: order/1
    data: { email: zoe@x.example }
    expect: [{ email: zoe@x.example, subject: Thank you }]
  - at: 22:58:59
  - at: 22:59
    expect: [{ email: zoe@x.example, subject: Did it arrive? }]
";

fn folder(rules: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let tests = folder.path().join("rules/shop/tests");
    fs::create_dir_all(&tests).expect("a folder");
    fs::write(folder.path().join("rules/shop/care.yaml"), rules).expect("a file");
    fs::write(tests.join("care.yaml"), SCENARIOS).expect("a file");
    folder
}

fn mutate(rules: &str, more: &[&str]) -> Said {
    let folder = folder(rules);
    cli::run(folder.path(), &[&["test", "--mutate", "rules"], more].concat())
}

/// Line, column and message of what is told, after the summary that the exit code belongs to.
fn told(said: &Said) -> (serde_json::Value, Vec<String>) {
    let json: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let diagnostics = json["diagnostics"].as_array().expect("a list").clone();
    let line = |one: serde_json::Value| {
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        format!("{}:{}: {}", one["line"], one["col"], text("message"))
    };
    (json, diagnostics.into_iter().map(line).collect())
}

#[test]
fn what_no_scenario_notices_is_listed_and_nothing_else() {
    let said = mutate(RULES, &["--json"]);
    assert_eq!(said.code, 1, "{}", said.err);
    let (json, told) = told(&said);
    // The scenario looks at 20:59 only, and neither at the morning nor at what comes days later.
    assert_eq!(
        told,
        [
            "13:12: no scenario notices when `3d` is `2d` or `4d`",
            "17:9: no scenario notices when `21:00` is `21:01`",
            "17:15: no scenario notices when `08:00` is `07:59` or `08:01`",
            "24:10: no scenario notices when `1m` is `2m`",
        ]
    );
    // 2h both ways and 20:59 were noticed, `for: 0m` was refused.
    let numbers =
        ["times", "changes", "noticed", "refused", "unnoticed"].map(|key| json[key].as_u64());
    assert_eq!(numbers, [5, 10, 3, 1, 6].map(Some));
    assert_eq!(json["ok"], false);
}

#[test]
fn people_are_shown_the_place_and_what_to_do() {
    let said = mutate(RULES, &[]);
    assert_eq!(said.code, 1);
    for text in [
        "rules/shop/care.yaml:13:12",
        "- delay: 3d",
        "^^",
        "# unnoticed: REASON",
        "10 changes of 5 times: 3 noticed, 1 refused when compiled, 6 unnoticed in ",
    ] {
        assert!(said.out.contains(text), "{text}:\n{}", said.out);
    }
    assert!(!said.out.contains("care.yaml:8:"), "two hours are noticed:\n{}", said.out);
}

#[test]
fn an_excuse_needs_a_reason_and_something_to_excuse() {
    let excused = RULES
        .replace("- delay: 3d", "- delay: 3d  # unnoticed: nothing is sent after it")
        .replace("quiet:", "# unnoticed: our mail server is asleep as well\nquiet:")
        .replace("    for: 1m", "    for: 1m  # unnoticed: a log is no effect");
    let said = mutate(&excused, &["--json"]);
    assert_eq!((said.code, told(&said).1), (0, vec![]), "{}", said.out);
    let json = said.json();
    let reasons: Vec<_> = json["excused"].as_array().expect("a list").iter().collect();
    assert_eq!(reasons.len(), 4, "two clock times are on one line");
    assert_eq!(reasons[0]["reason"], "nothing is sent after it");
    assert_eq!(reasons[0]["instead"], serde_json::json!(["2d", "4d"]));

    let bad = excused
        .replace(": nothing is sent after it", ":")
        .replace("- delay: 2h", "- delay: 2h  # unnoticed: this is not so");
    let said = mutate(&bad, &["--json"]);
    assert_eq!(said.code, 1);
    assert_eq!(
        told(&said).1,
        [
            "8:16: this excuses nothing: every change of the times it is about is noticed, or there are none",
            "13:16: this does not say why nobody notices",
        ]
    );
}

#[test]
fn it_wants_folders_and_scenarios_that_pass() {
    let folder = folder(RULES);
    let run = |args: &[&str]| cli::run(folder.path(), args);
    let said = run(&["test", "--mutate", "rules/shop/tests/care.yaml"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("name the folder of its pack"), "{}", said.err);
    assert_eq!(run(&["test", "--mutate", "--filter", "care", "rules"]).code, 2);

    let scenarios = folder.path().join("rules/shop/tests/care.yaml");
    fs::write(&scenarios, SCENARIOS.replace("22:59\n", "22:58:59\n")).expect("a file");
    let said = run(&["test", "--mutate", "rules"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("the scenarios do not pass as the rules are"), "{}", said.err);

    fs::remove_file(&scenarios).expect("a file");
    let said = run(&["test", "--mutate", "--json", "rules"]);
    assert_eq!(said.code, 1, "what nobody plays nobody notices");
    assert_eq!(told(&said).1.len(), 5, "{}", said.out);
}
