//! What people who write rules have at hand, by the real binary: `test`, `explain`, reports for machines.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::{Value as Json, json};
use support::daemon::Daemon;
use support::folder::Folder;
use support::{cli, python, runs};

const RULES: &str = r#"
workflow: leads
triggers:
  - event: lead.created
    where: event.data.email != "" && event.data.score >= 80
if: record(event.subject) == ()
key: ${event.subject}
mode: single
steps:
  - record: ${event.subject}
    set: { score: "${event.data.score}" }
  - email: ${event.data.email}
    purpose: internal
    subject: Hello
    text: Hello
  - wait_for: lead.accepted
    timeout: 3d
"#;

const SCENARIO: &str = r"
scenario: A good lead is greeted
proves: [1]
start: 2026-03-02 09:00
timeline:
  - at: 10:00
    event: lead.created
    subject: lead/1
    data: { email: a@x.example, score: 90 }
    expect: [{ email: a@x.example, subject: Hello }]
  - { at: 11:00, event: lead.accepted, subject: lead/1 }
";

#[test]
fn explain_says_which_clause_was_false_and_what_a_run_waits_for() {
    let daemon = Daemon::start(Folder::new("").rule("leads.yaml", RULES));
    daemon.event("e-1", "lead.created", "lead/1", &json!({ "email": "a@x.example", "score": 49 }));
    let said = daemon.run(&["explain", "e-1"]);
    assert_eq!(said.code, 0, "{said:?}");
    for line in [
        "✓ triggers[0].where  event.data.email != \"\"  (event.data.email = \"a@x.example\")",
        "✗ triggers[0].where  event.data.score >= 80  (event.data.score = 49)",
        "✓ if  record(event.subject) == ()",
        "key  lead/1 (mode: single)",
    ] {
        assert!(said.out.contains(line), "`{line}` is not in:\n{}", said.out);
    }
    assert!(said.out.contains("`where`: event.data.score >= 80 was false"), "{}", said.out);
    let json = daemon.run(&["explain", "e-1", "leads", "--json"]).json();
    assert_eq!(json["workflows"][0]["clauses"][1]["held"], false, "{json}");

    daemon.event("e-2", "lead.created", "lead/2", &json!({ "email": "b@x.example", "score": 90 }));
    let run = runs::story(&daemon, "leads", "active");
    let said = daemon.run(&["explain", &run.id]);
    assert_eq!(said.code, 0, "{said:?}");
    for words in ["It stands at", "wait_for", "lead.accepted", "It moves when", "runs cancel"] {
        assert!(said.out.contains(words), "`{words}` is not in:\n{}", said.out);
    }
    let number = run.id.split('-').next().unwrap();
    assert_eq!(daemon.run(&["explain", "--run", number]).out, said.out);
    assert_eq!(daemon.run(&["explain", "nothing-of-the-kind"]).code, 1);
}

/// A folder with rules and a scenario in it.
fn pack() -> Folder {
    let folder = Folder::new("watch: false\n").rule("leads/leads.yaml", RULES);
    folder.write("rules/leads/tests/leads.yaml", SCENARIO);
    folder
}

#[test]
fn test_plays_scenarios_and_says_where_one_is_wrong() {
    let folder = pack();
    let root = folder.path("");
    let said = cli::run(&root, &["test"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("ok    A good lead is greeted"), "{}", said.out);
    assert!(said.out.contains("1 passed"), "{}", said.out);
    assert!(said.out.contains("coverage: "), "{}", said.out);
    // The timeout and the second lead were not tried.
    let said = cli::run(&root, &["test", "--full-coverage", "rules"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains("never timed out"), "{}", said.out);

    folder.write("rules/leads/tests/wrong.yaml", &SCENARIO.replace("Hello }", "Goodbye }"));
    let said = cli::run(&root, &["test", "--junit", "report.xml"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.out.contains("rules/leads/tests/wrong.yaml:10:16: by 2026-03-02 10:00"),
        "{}",
        said.out
    );
    assert!(said.out.contains("subject: Hello, not Goodbye"), "{}", said.out);
    let report = std::fs::read_to_string(folder.path("report.xml")).unwrap();
    let seen = python::run_with("read_junit.py", &[], &report);
    assert_eq!(seen.out, "2 1\n", "{seen:?}");

    let json = cli::run(&root, &["test", "--json", "--filter", "wrong"]);
    let json: Json = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["failed"], 1);
    assert_eq!(json["scenarios"][0]["failures"][0]["line"], 10);
    assert_eq!(cli::run(&root, &["test", "--filter", "nobody"]).code, 2);
    assert_eq!(cli::run(&root, &["test", "nowhere"]).code, 2);
    folder.write("rules/leads/tests/more/again.yaml", SCENARIO);
    let said = cli::run(&root, &["test", "rules/leads/tests/more"]);
    assert!(said.code == 0 && said.out.contains("1 passed"), "{said:?}");
    std::fs::create_dir_all(folder.path("rules/empty")).unwrap();
    assert_eq!(cli::run(&root, &["test", "rules/empty"]).code, 2, "there are none");
    let said = cli::run(&root, &["test", "rules/leads/tests/leads.yaml", "--plain", "-j", "1"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("1 effect, 0 crashes"), "{}", said.out);
}

#[test]
fn a_scenario_reloads_other_rules_and_lists_other_packs() {
    let folder = pack();
    folder.write("rules/others/other.yaml", "workflow: other\ntriggers: [{ event: lead.created }]\nsteps:\n  - email: o@x.example\n    purpose: internal\n    subject: Other\n    text: Other\n");
    folder.write("rules/leads/later/later.yaml", "");
    folder.write("other-rules/leads.yaml", &RULES.replace("subject: Hello", "subject: Later"));
    std::fs::remove_file(folder.path("rules/leads/later/later.yaml")).unwrap();
    let text = SCENARIO
        .replace("proves: [1]", "packs: [others]")
        .replace("expect: [{", "expect: [{ email: o@x.example }, {")
        + "  - { at: 12:00, reload: ../../../other-rules }\n  - { at: 12:01, event: lead.created, subject: lead/3, data: { email: c@x.example, score: 99 }, expect: [{ email: c@x.example, subject: Later }] }\n";
    folder.write("rules/leads/tests/leads.yaml", &text);
    let said = cli::run(&folder.path(""), &["test"]);
    assert_eq!(said.code, 0, "{said:?}");
    folder.write("rules/leads/tests/leads.yaml", &text.replace("[others]", "[othrs]"));
    let said = cli::run(&folder.path(""), &["test"]);
    assert!(said.code == 1 && said.out.contains("there is no pack `othrs`"), "{said:?}");
    folder.write("rules/leads/tests/leads.yaml", &text.replace("other-rules", "no-rules"));
    let said = cli::run(&folder.path(""), &["test"]);
    assert!(said.code == 1 && said.out.contains("there is no folder"), "{said:?}");
}

#[test]
fn machines_read_what_check_finds() {
    let folder = Folder::new("")
        .rule("a, b.yaml", "workflow: a\ntriggerz: []\nsteps:\n  - lgo: 100% wrong\n");
    let root = folder.path("");
    let said = cli::run(&root, &["check", "--format", "sarif"]);
    assert_eq!(said.code, 1, "{said:?}");
    let seen = python::run_with("read_sarif.py", &[], &said.out);
    assert!(
        seen.code == 0 && seen.out.contains("unknown-key error rules/a%2C%20b.yaml:2:1"),
        "{seen:?}"
    );

    let said = cli::run(&root, &["check", "--format", "github"]);
    assert_eq!(said.code, 1, "{said:?}");
    let seen = python::run_with("read_github.py", &[], &said.out);
    assert!(seen.code == 0, "{seen:?}");
    assert!(seen.out.contains("error rules/a, b.yaml 2 1 unknown-key"), "{}", seen.out);

    let json: Json = serde_json::from_str(&cli::run(&root, &["check", "--json"]).out).unwrap();
    assert_eq!(json[0]["code"], "missing-key", "{json}");
    let said = cli::run(&root, &["check", "--explain", "unknown-key"]);
    assert!(said.code == 0 && said.out.contains("misspelt"), "{said:?}");
    let said = cli::run(&root, &["check", "--explain", "unknwn-key"]);
    assert!(said.code == 2 && said.err.contains("unknown-key"), "{said:?}");
    assert!(cli::run(&root, &["check", "--explain"]).out.lines().count() > 60);
}

#[test]
fn backtest_tells_what_other_rules_would_have_done() {
    let daemon = Daemon::start(Folder::new("").rule("leads.yaml", RULES));
    for (at, score) in [90, 49, 85].into_iter().enumerate() {
        let (id, subject) = (format!("e-{at}"), format!("lead/{at}"));
        let email = format!("a{at}@x.example");
        daemon.event(&id, "lead.created", &subject, &json!({ "email": email, "score": score }));
    }
    let other =
        RULES.replace(">= 80", ">= 40 && event.data.score < 90").replace("text: Hello", "text: Hi");
    let folder = daemon.folder.path("drafts");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("leads.yaml"), other).unwrap();
    let json = daemon.run(&["backtest", "--rules", "drafts", "--json"]).json();
    assert_eq!(json["events"], 3, "{json}");
    assert_eq!(json["in_force"], "the rules in force");
    let fired = &json["fired"][0];
    assert_eq!((&fired["in_force"], &fired["candidate"]), (&json!(2), &json!(2)), "{json}");
    assert_eq!(json["added"][0]["sent"], "{ email: a1@x.example, subject: Hello }", "{json}");
    assert_eq!(json["added"][0]["event"], 2, "{json}");
    assert_eq!(json["gone"][0]["sent"], "{ email: a0@x.example, subject: Hello }", "{json}");
    assert_eq!(json["changed"][0]["changes"], json!(["text: Hi, not Hello"]), "{json}");
    let said = daemon.run(&["backtest", "--rules", "drafts"]);
    assert!(said.out.contains("1 added, 1 gone, 1 changed"), "{}", said.out);
    assert!(said.out.contains("event 2 lead.created lead/1"), "{}", said.out);
    // Nothing was sent by it.
    assert_eq!(daemon.run(&["runs", "list", "--json"]).json()["runs"].as_array().unwrap().len(), 2);

    // The same from a file, without a daemon.
    let events = daemon.run(&["events", "list", "--json"]);
    std::fs::write(daemon.folder.path("events.json"), &events.out).unwrap();
    let same =
        daemon.run(&["backtest", "--rules", "drafts", "--events", "events.json", "--json"]).json();
    assert_eq!(same["added"], json["added"]);
    assert_eq!(daemon.run(&["backtest", "--since", "soon"]).code, 2);
    assert_eq!(daemon.run(&["backtest", "--rules", "nowhere"]).code, 2);
}

#[test]
fn a_workflow_in_shadow_mode_says_what_it_would_have_done() {
    let daemon = Daemon::start(
        Folder::new("").rule("leads.yaml", &RULES.replace("steps:", "shadow: true\nsteps:")),
    );
    let data = json!({ "email": "a@x.example", "score": 90 });
    daemon.event("e-1", "lead.created", "lead/1", &data);
    daemon.event("e-1", "lead.created", "lead/1", &data);
    let story = runs::story(&daemon, "leads", "active");
    let said = daemon.run(&["explain", &story.id]).out;
    assert!(said.contains("It is in shadow mode: it decides, and performs nothing."), "{said}");
    assert!(said.contains("steps[1] email: email to [\"a@x.example\"] is not sent"), "{said}");
    let counted = daemon.get("/metrics").body;
    let series = "adjutant_shadow_total{workflow=\"leads\",would=\"email\"} 1";
    assert!(counted.contains(series), "{counted}");
    let said = daemon.run(&["explain", "e-1"]).out;
    assert!(said.contains("in shadow mode: it performs nothing"), "{said}");
    assert!(said.contains("came again on "), "{said}");
}

#[test]
fn backtest_begins_with_the_records_there_were() {
    let rules = "workflow: consents
triggers: [{ event: contact.agreed }]
steps:
  - record: consent/${event.data.who}
    set: { given: true, times: '${(old?.times ?? 0) + 1}' }
---
workflow: greets
triggers: [{ event: contact.came, where: 'record(\"consent\", event.data.who)?.given == true' }]
steps:
  - email: ${event.data.who}@x.example
    purpose: internal
    subject: Hello
    text: Hello
";
    let daemon = Daemon::start(Folder::new("").rule("rules.yaml", rules));
    let event = |id: &str, kind: &str, who: &str| {
        daemon.event(id, kind, "contact/1", &json!({ "who": who }));
    };
    event("e-1", "contact.agreed", "ana");
    event("e-2", "contact.agreed", "ben");
    runs::ended(&daemon, "consents", 2);
    event("e-3", "contact.came", "ana");
    event("e-4", "contact.agreed", "ben");
    event("e-5", "contact.came", "ben");
    runs::ended(&daemon, "greets", 2);
    assert_eq!(daemon.run(&["records", "list"]).out, "consent\n");
    let third = daemon.run(&["events", "show", "e-3", "--json"]).json();
    let since = third["accepted"].as_str().unwrap();
    let told = daemon.run(&["backtest", "--since", since, "--json"]);
    let json = told.json();
    assert_eq!((&json["events"], &json["records"]), (&json!(3), &json!(2)), "{json}");
    assert_eq!(json["records_as_they_are_now"], 1, "ben has agreed again: {json}");
    assert!(told.err.contains("1 record changed since then"), "{}", told.err);
    let greets = json["fired"].as_array().unwrap().iter().find(|one| one["workflow"] == "greets");
    assert_eq!(greets.unwrap()["candidate"], 2, "what was agreed before counts: {json}");
}

#[test]
fn reload_says_what_it_would_change_and_can_ask_the_scenarios_first() {
    let folder = pack();
    folder.write(
        "rules/old.yaml",
        "workflow: old\ntriggers: [{ event: old.one }]\nsteps: [{ log: old }]\n",
    );
    let daemon = Daemon::start(folder);
    daemon.event("e-1", "lead.created", "lead/1", &json!({ "email": "a@x.example", "score": 90 }));
    runs::story(&daemon, "leads", "active");
    assert!(daemon.run(&["reload", "--plan"]).out.starts_with("nothing would change"), "as it is");

    daemon
        .folder
        .write("rules/leads/leads.yaml", &RULES.replace("subject: Hello", "subject: Later"));
    daemon.folder.write(
        "rules/new.yaml",
        "workflow: new\ntriggers: [{ event: new.one }]\nsteps: [{ log: new }]\n",
    );
    std::fs::remove_file(daemon.folder.path("rules/old.yaml")).unwrap();
    let said = daemon.run(&["reload", "--plan"]);
    assert_eq!(said.code, 0, "{said:?}");
    for line in
        ["changed   leads", "          1 run keeps version ", "added     new", "removed   old"]
    {
        assert!(said.out.contains(line), "`{line}` is not in:\n{}", said.out);
    }
    assert!(
        said.out.contains("scenarios: 1 of 1 fail: `adjutant test` says which"),
        "{}",
        said.out
    );
    let json = daemon.run(&["reload", "--plan", "--json"]).json();
    assert_eq!(json["changes"].as_array().unwrap().len(), 3, "{json}");
    assert_eq!(json["scenarios"], json!({ "passed": 0, "failed": 1, "unread": false }), "{json}");
    // The scenario still expects the old subject.
    let said = daemon.run(&["reload", "--test"]);
    assert!(said.code == 1 && said.err.contains("nothing was changed"), "{said:?}");
    assert!(said.out.contains("subject: Later, not Hello"), "{}", said.out);
    daemon.folder.write("rules/leads/tests/leads.yaml", &SCENARIO.replace("Hello", "Later"));
    let said = daemon.run(&["reload", "--test"]);
    assert!(said.code == 0 && said.out.contains("in force: 2 workflows"), "{said:?}");

    daemon.folder.write("rules/new.yaml", "workflow: new\n");
    let said = daemon.run(&["reload", "--plan"]);
    assert!(
        said.code == 1 && format!("{}{}", said.out, said.err).contains("missing-key"),
        "{said:?}"
    );
}

#[test]
fn a_new_plugin_is_sound_and_its_test_passes() {
    let folder = Folder::new("");
    let root = folder.path("");
    let said = cli::run(&root, &["plugin", "new", "greet-us"]);
    assert!(said.code == 0 && said.out.contains("plugins/greet-us/plugin.yaml"), "{said:?}");
    assert_eq!(cli::run(&root, &["check"]).code, 0);
    let said = cli::run(&root, &["test"]);
    assert!(said.code == 0 && said.out.contains("1 passed"), "{said:?}");
    assert_eq!(cli::run(&root, &["plugin", "new", "greet-us"]).code, 2, "it is there already");
    assert_eq!(cli::run(&root, &["plugin", "new", "Greet us"]).code, 2);
}

#[test]
fn docs_are_those_of_the_language_and_of_the_workflows() {
    let folder = pack();
    let root = folder.path("");
    let language = cli::run(&root, &["docs", "language"]);
    assert_eq!(language.code, 0, "{language:?}");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/rules/REFERENCE.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(file, &language.out).unwrap();
    }
    let kept = std::fs::read_to_string(file).unwrap_or_default();
    assert!(kept == language.out, "rules/REFERENCE.md is old: UPDATE_DOCS=1");

    let said = cli::run(&root, &["docs", "workflows"]);
    for words in ["## leads", "```mermaid", "wait for lead.accepted", "event.data.score >= 80"] {
        assert!(said.out.contains(words), "`{words}` is not in:\n{}", said.out);
    }
}

#[test]
fn a_scenario_is_written_from_what_happened() {
    let daemon = Daemon::start(pack());
    daemon.event("e-1", "lead.created", "lead/1", &json!({ "email": "a@x.example", "score": 90 }));
    runs::story(&daemon, "leads", "active");
    daemon.event("e-2", "lead.accepted", "lead/1", &json!({ "by": "ana" }));
    runs::story(&daemon, "leads", "done");
    let said = daemon.run(&["test", "--record", "e-1", "e-2"]);
    assert_eq!(said.code, 0, "{said:?}");
    for words in [
        "scenario: \"lead.created about lead/1, as it happened\"",
        "- { email: a@x.example, subject: Hello }",
    ] {
        assert!(said.out.contains(words), "`{words}` is not in:\n{}", said.out);
    }
    assert!(!said.out.contains("are not among these"), "the same keys as then: {}", said.out);
    daemon.folder.write("rules/leads/tests/recorded.yaml", &said.out);
    let played = daemon.run(&["test", "rules/leads/tests/recorded.yaml"]);
    assert!(played.code == 0 && played.out.contains("1 passed"), "{played:?}\n{}", said.out);
    assert_eq!(daemon.run(&["test", "--record", "nothing"]).code, 1);
}

#[test]
fn the_language_s_own_example_passes() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let said = cli::run(root, &["test", "tests/language"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.out.contains("ok    A hot lead goes round until somebody accepts"),
        "{}",
        said.out
    );
}
