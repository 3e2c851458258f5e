//! What people do in scenarios: acknowledge, resolve, write records, follow links.

use super::*;

#[test]
fn people_act() {
    let alarm = "timeline:\n  - { at: 10:00, event: alarm.raised, subject: alarm/1 }\n";
    holds(&format!(
        "{alarm}  - {{ at: 10:10, acknowledge: {{ escalation: ladder, by: ana }} }}\n  - at: +2d\n"
    ));
    holds(&format!(
        "{alarm}  - {{ at: 11:00, expect: [{{ email: boss@x.example }}] }}\n  - {{ at: +1m, resolve: {{ escalation: ladder }} }}\n"
    ));
    fails(
        &format!("{alarm}  - {{ at: 10:10, acknowledge: {{ escalation: leiter }} }}\n"),
        &["no escalation `leiter` is up"],
    );
    holds(
        "given: { lead/7: { email: x } }\ntimeline:\n  - { at: 10:00, set: { lead/7: { stage: new } }, check: ['record(\"lead/7\").email + record(\"lead/7\").stage == \"xnew\"', 'records(\"lead\", \"email\", \"x\").len() == 1'] }\n",
    );
}

#[test]
fn an_acknowledgement_is_one_however_often_the_process_dies() {
    let rules = format!(
        "{RULES}---
workflow: tells
triggers: [{{ event: escalation.acknowledged }}]
steps:
  - webhook: crm
    json: {{ acknowledged: true }}
"
    );
    let text = "scenario: s
start: 2026-03-02 09:00
timeline:
  - { at: 10:00, event: alarm.raised, subject: alarm/1 }
  - { at: 10:10, acknowledge: { escalation: ladder, by: ana }, expect: [{ webhook: crm }] }
";
    let tried = try_out(&pack(&rules), &scenarios(text).remove(0), false).unwrap();
    assert!(tried.failures.is_empty(), "{:?}", tried.failures);
}

/// The ladder's only mail, an hour after the alarm.
const TOLD: &str = "timeline:
  - { at: 10:00, event: alarm.raised, subject: alarm/1 }
  - at: 11:00
    expect: [{ email: boss@x.example, text: \"*https://*/acknowledge-*https://*/resolve-*\" }]
";

#[test]
fn links_in_mails_are_followed() {
    let open = |entry: &str| format!("{TOLD}  - {{ at: 11:10, open: {{ {entry} }} }}\n");
    holds(&format!(
        "{}  - {{ at: +2d, check: 'records(\"lead\").len() == 0' }}\n",
        open("link: acknowledge")
    ));
    holds(&open("link: resolve, mail: \"boss@*\""));
    // Whoever only looks has done nothing, so the ladder is still up.
    holds(&format!(
        "{}  - {{ at: 11:20, resolve: {{ escalation: ladder }} }}\n",
        open("link: resolve, method: GET")
    ));
    fails(
        &format!(
            "{}  - {{ at: 11:20, resolve: {{ escalation: ladder }} }}\n",
            open("link: resolve")
        ),
        &["no escalation `ladder` is up"],
    );
    fails(
        &open("link: acknowledge, mail: nobody@x.example"),
        &[
            "this link cannot be followed",
            "no link `acknowledge` stands in a mail to `nobody@x.example`",
        ],
    );
    fails(
        &format!("{TOLD}  - {{ at: +40d, open: {{ link: acknowledge }} }}\n"),
        &["this link is too old to be followed"],
    );
    fails(
        &format!("{}  - {{ at: 11:20, open: {{ link: resolve }} }}\n", open("link: resolve")),
        &["the engine refused this"],
    );
}

#[test]
fn alarms_of_one_instant_are_the_same_in_every_order() {
    let both = "timeline:
  - { at: 10:00, event: alarm.raised, subject: alarm/1 }
  - { at: 10:00, event: alarm.raised, subject: alarm/2 }
  - { at: 10:00, event: alarm.raised, subject: alarm/3 }
  - at: 11:00
    expect: [{ email: boss@x.example }, { email: boss@x.example }, { email: boss@x.example }]
";
    holds(both);
}

#[test]
fn what_nobody_waits_for_fails_the_scenario() {
    let calls = |wait: &str, rest: &str| {
        format!(
            "workflow: caller
triggers: [{{ event: go }}]
steps:
  - call: called
    await: {wait}
{rest}---
workflow: called
triggers: []
steps:
  - fail: it is broken
"
        )
    };
    let text = "scenario: s
start: 2026-03-02 09:00
timeline:
  - { at: 10:00, event: go, subject: x/1 }
  - { at: +1d }
";
    let failed = |rules: &str, text: &str| -> String {
        let tried = try_out(&pack(rules), &scenarios(text).remove(0), false).unwrap();
        let lines = tried.failures.iter().flat_map(|(_, failure)| failure.lines.clone());
        lines.collect::<Vec<_>>().join("\n")
    };
    let left = calls("false", "");
    assert!(failed(&left, text).contains("{ failed: called, reason: it is broken }"));
    let expected = text.replace("x/1 }", "x/1, expect: [{ failed: called }] }");
    assert_eq!(failed(&left, &expected), "");
    let handled = calls("true", "    on_error: continue\n");
    assert_eq!(failed(&handled, text), "", "who waits for it has taken care of it");
}
