//! Scenarios that hold, scenarios that must not, and mistakes of the engine that the ways must notice.

use std::collections::BTreeMap;
use std::sync::Arc;

mod people;

use super::*;
use crate::model::planted::{self, Plant};
use crate::rules::{Context, Files, Look, RuleSet, SourceFile, Sources, TemplateFile, render};

/// A lead is thanked at once, chased after a day, and told to the CRM.
const RULES: &str = "
record: lead
index: [email]
---
record: person
rows: { boss: { email: boss@x.example } }
---
workflow: thanks
triggers: [{ event: lead.created }]
key: ${event.subject}
steps:
  - record: ${event.subject}
    set: { email: \"${event.data.email}\" }
  - email: ${event.data.email}
    purpose: internal
    template: thanks
  - webhook: crm
    json: { lead: \"${event.subject}\", extra: 1 }
  - wait_for: lead.accepted
    id: accepted
    timeout: 1d
    on_timeout:
      - email: tom@x.example
        purpose: internal
        subject: Still waiting
        text: ${event.subject}
        cc: mia@x.example
  - if: not(steps.accepted.timed_out)
    then:
      - emit: lead.done
        data: { by: \"${steps.accepted.event.data.by}\" }
---
workflow: breaks
triggers: [{ event: lead.broken, where: 'event.data.x < 3' }]
steps:
  - fail: it is broken
---
escalation: ladder
levels:
  - { after: 1h, notify: [boss] }
---
workflow: alarm
triggers: [{ event: alarm.raised }]
steps:
  - escalate: ladder
    summary: An alarm
    resolve: { event: alarm.over }
";

fn pack(rules: &str) -> Pack {
    let template =
        SourceFile::new("rules/templates/thanks.txt", "Subject: Thank you\nWe got it.\n");
    let plugin = "fn doubled(x) { x * 2 }\nfn nobody(x) { throw \"not today\" }\n\
                  fn action_tell(args) { #{ endpoint: \"crm\", json: args } }";
    let sources = Sources {
        rules: vec![SourceFile::new("rules/a.yaml", rules)],
        templates: vec![TemplateFile { file: template, dir: "rules".into() }],
        plugins: vec![
            SourceFile::new("plugins/tell/tell.rhai", plugin),
            SourceFile::new(
                "plugins/tell/plugin.yaml",
                "name: tell\nversion: 1.0.0\npermissions: { endpoints: [crm] }\n",
            ),
        ],
    };
    let context = Context { endpoints: vec!["crm".into()], ..Context::default() };
    let rules = RuleSet::compile(&sources, &context).unwrap_or_else(|found| {
        panic!("{}", render(&found, &Files::of(sources.files()), Look::Plain))
    });
    let nothing = Arc::new(RuleSet::empty().unwrap());
    Pack { rules: Arc::new(rules.0), nothing, reloads: BTreeMap::new() }
}

fn scenarios(text: &str) -> Vec<Scenario> {
    let file = SourceFile::new("t.yaml", text);
    let (scenarios, found) = parse(&file);
    assert!(found.is_empty(), "{}", render(&found, &Files::of([&file]), Look::Plain));
    scenarios
}

/// What is wrong with a timeline, as text.
fn wrong(timeline: &str) -> String {
    let text = format!("scenario: s\nstart: 2026-03-02 09:00\n{timeline}");
    let scenario = scenarios(&text).remove(0);
    let tried = try_out(&pack(RULES), &scenario, false).unwrap();
    let mut said = String::new();
    for (_, failure) in &tried.failures {
        said.push_str(&failure.title);
        said.push('\n');
        for line in &failure.lines {
            said.push_str(line);
            said.push('\n');
        }
    }
    said
}

#[track_caller]
fn holds(timeline: &str) {
    let said = wrong(timeline);
    assert!(said.is_empty(), "{said}");
}

#[track_caller]
fn fails(timeline: &str, words: &[&str]) {
    let said = wrong(timeline);
    for word in words {
        assert!(said.contains(word), "`{word}` is not in:\n{said}");
    }
}

const CREATED: &str = "  - at: 10:00
    event: lead.created
    subject: lead/1
    data: { email: a@x.example }
";

#[test]
fn everything_that_happens_must_be_expected() {
    holds(&format!(
        "timeline:
{CREATED}    expect:
      - {{ webhook: crm, method: POST, json: {{ lead: lead/1 }} }}
      - {{ email: \"*@x.example\", template: thanks, subject: Thank*, text: \"*got*\" }}
    check: ['record(\"lead/1\").email == \"a@x.example\"']
  - {{ at: +1h, event: lead.accepted, subject: lead/1, data: {{ by: ana }}, expect: [{{ event: lead.done, data: {{ by: ana }} }}] }}
  - at: +9d
"
    ));
    fails(
        &format!("timeline:\n{CREATED}"),
        &[
            "by 2026-03-02 10:00: this happened and is not expected",
            "+ happened  { email: a@x.example, template: thanks }  # thanks",
            "+ happened  { webhook: crm, json: { extra: 1, lead: lead/1 } }  # thanks",
        ],
    );
    fails(
        &format!(
            "timeline:\n{CREATED}    expect: [{{ email: b@x.example, template: thanks }}, {{ webhook: crm }}, {{ email: c@x.example }}, {{ event: lead.done }}]\n"
        ),
        &[
            "what happened is not what was expected",
            "- expected  { email: b@x.example, template: thanks }",
            "email: a@x.example, not b@x.example",
            "- expected  { email: c@x.example }",
            "- expected  { event: lead.done }",
        ],
    );
}

#[test]
fn what_happens_later_is_seen_at_the_next_entry() {
    let first =
        format!("timeline:\n{CREATED}    expect: [{{ email: a@x.example }}, {{ webhook: crm }}]\n");
    holds(&format!("{first}  - {{ at: 2026-03-03 09:59 }}\n"));
    holds(&format!(
        "{first}  - {{ at: 2026-03-03 10:00, expect: [{{ email: tom@x.example, cc: mia@x.example, text: lead/1 }}] }}\n"
    ));
    fails(
        &format!(
            "{first}  - {{ at: 2026-03-05 10:00, expect: [{{ email: tom@x.example, cc: ana@x.example }}] }}\n"
        ),
        &["cc: mia@x.example, not ana@x.example", "at 2026-03-03 10:00"],
    );
}

#[test]
fn runs_and_conditions_that_fail_must_be_expected() {
    let broken = "timeline:\n  - { at: 10:00, event: lead.broken, data: { x: 1 }";
    fails(&format!("{broken} }}\n"), &["+ happened  { failed: breaks, reason: it is broken }"]);
    holds(&format!("{broken}, expect: [{{ failed: breaks, reason: \"*broken\" }}] }}\n"));
    fails(
        "timeline:\n  - { at: 10:00, event: lead.broken, data: { x: text } }\n",
        &["failed: breaks", "`lead.broken`"],
    );
}

#[test]
fn receivers_answer_as_they_are_told() {
    let again = "answers:\n  - { webhook: crm, status: [503, 200], body: { ok: true } }\n";
    holds(&format!(
        "{again}timeline:\n{CREATED}    expect: [{{ email: a@x.example }}, {{ webhook: crm }}]\n  - at: +5m\n"
    ));
    let refused = "answers:\n  - { email: \"a@*\", status: 550 }\n";
    fails(
        &format!("{refused}timeline:\n{CREATED}    expect: [{{ email: a@x.example }}]\n"),
        &["{ failed: thanks, reason: the mail server answered 550 }"],
    );
    let slow = "answers:\n  - { webhook: crm, after: 10s }\n";
    // Nothing is waited for yet when the lead is accepted: the wait looks back.
    holds(&format!(
        "{slow}timeline:\n{CREATED}    expect: [{{ email: a@x.example }}, {{ webhook: crm }}]\n  - {{ at: +5s, event: lead.accepted, subject: lead/1, data: {{ by: x }} }}\n  - {{ at: +5s, expect: [{{ event: lead.done }}] }}\n"
    ));
}

#[test]
fn functions_of_plugins_are_called() {
    holds("timeline:\n  - { at: 10:00, call: doubled, args: [21], returns: 42 }\n");
    holds(
        "timeline:\n  - { at: 10:00, call: action_tell, args: [{ a: 1 }], returns: { endpoint: crm } }\n",
    );
    fails(
        "timeline:\n  - { at: 10:00, call: doubled, args: [21], returns: 43 }\n",
        &["`doubled` did not return", "expected  43", "returned  42"],
    );
    fails(
        "timeline:\n  - { at: 10:00, call: nobody, args: [1] }\n",
        &["`nobody` failed", "not today"],
    );
}

#[test]
fn checks_say_their_operands() {
    fails(
        "given: { lead/7: { score: 49 } }\ntimeline:\n  - { at: 10:00, check: ['record(\"lead/7\").score >= 80'] }\n",
        &["the check does not hold", "= 49"],
    );
    fails("timeline:\n  - { at: 10:00, check: ['recrd(1)'] }\n", &["there is no function `recrd`"]);
}

/// Two leads at once, and one of them is chased.
const COMPANY: &str = "scenario: two at once
start: 2026-03-02 09:00
timeline:
  - { at: 10:00, event: lead.created, subject: lead/1, data: { email: a@x.example }, expect: [{ email: a@x.example }, { webhook: crm }] }
  - { at: 10:00, event: lead.created, subject: lead/2, data: { email: b@x.example }, expect: [{ email: b@x.example }, { webhook: crm }] }
  - { at: 12:00, event: lead.accepted, subject: lead/1, data: { by: ana } }
  - { at: +1d, expect: [{ email: tom@x.example, text: lead/2 }] }
";

#[test]
fn the_ways_notice_what_the_plain_one_cannot() {
    let (pack, scenario) = (pack(RULES), scenarios(COMPANY).remove(0));
    let tried = try_out(&pack, &scenario, false).unwrap();
    assert!(tried.failures.is_empty(), "{:?}", tried.failures);
    assert!(tried.crashes >= tried.commits && tried.effects == 5, "{tried:?}");
    for (plant, way) in [
        (Plant::DropsTimers, Way::Crashed),
        (Plant::DoublesEffects, Way::Crashed),
        (Plant::KnowsNoDuplicates, Way::Doubled),
        (Plant::KnowsNoDuplicates, Way::Reordered),
    ] {
        let (plain, tried) = planted::with(plant, || {
            (try_out(&pack, &scenario, true).unwrap(), try_out(&pack, &scenario, false).unwrap())
        });
        assert!(plain.failures.is_empty(), "{plant:?} is not for the plain way to notice");
        let ways: Vec<Way> = tried.failures.iter().map(|(way, _)| *way).collect();
        assert!(ways.contains(&way), "{plant:?}: {way:?} is not among {:?}", tried.failures);
    }
}

#[test]
fn an_order_that_matters_can_be_said_to() {
    let rules = "
workflow: counts
triggers: [{ event: a.b }]
steps:
  - record: n/1
    set: { n: '${(old?.n ?? 0) + 1}' }
  - webhook: crm
    json: { n: '${record(\"n/1\").n}', of: \"${event.subject}\" }
";
    let text = "scenario: s
start: 2026-03-02 09:00
timeline:
  - { at: 10:00, event: a.b, subject: x/1, expect: [{ webhook: crm, json: { n: 1 } }] }
  - { at: 10:00, event: a.b, subject: x/2, expect: [{ webhook: crm, json: { n: 2 } }] }
";
    let tried = try_out(&pack(rules), &scenarios(text).remove(0), false).unwrap();
    assert!(tried.failures.iter().all(|(way, _)| *way == Way::Reordered), "{:?}", tried.failures);
    assert!(tried.failures[0].1.lines.join("\n").contains("~ changed"), "{:?}", tried.failures);
    let ordered = text.replace("start:", "ordered: true\nstart:");
    let tried = try_out(&pack(rules), &scenarios(&ordered).remove(0), false).unwrap();
    assert!(tried.failures.is_empty(), "{:?}", tried.failures);
}

#[test]
fn what_was_not_reached_is_listed() {
    let pack = pack(RULES);
    let mut reached = Reached::default();
    reached.add(&try_out(&pack, &scenarios(COMPANY).remove(0), true).unwrap().reached);
    let coverage = Coverage::of(&[(&pack.rules, &reached)]);
    let missing = |name: &str| -> Vec<String> {
        let one = coverage.iter().find(|one| &*one.workflow == name).unwrap();
        one.missing.iter().map(|one| format!("{} {}: {}", one.line, one.path, one.what)).collect()
    };
    assert_eq!(missing("thanks"), Vec::<String>::new());
    assert_eq!(missing("breaks"), ["36 steps[0]: never reached"]);
    let all: usize = coverage.iter().map(|one| one.all).sum();
    let found: usize = coverage.iter().map(Coverage::reached).sum();
    assert!(found < all && found > 0, "{found} of {all}");
}

#[test]
fn what_is_wrong_with_a_file_is_said_where_it_stands() {
    for (text, words) in [
        ("scenario: s\ntimeline: []\n", "a scenario needs `start`"),
        ("scenario: s\nstart: 10:00\ntimeline: []\n", "a date is missing"),
        (
            "scenario: s\nstart: 2026-01-01\ntimezone: Berlin\ntimeline: []\n",
            "`Berlin` is not a time zone",
        ),
        ("scenario: s\nstart: 2026-01-01\ngiven: { lead: {} }\ntimeline: []\n", "lead"),
        (
            "scenario: s\nstart: 2026-01-01\nanswers: [{ status: 200 }]\ntimeline: []\n",
            "either of a `webhook` or",
        ),
        (
            "scenario: s\nstart: 2026-01-01\nanswers: [{ webhook: x, status: 700 }]\ntimeline: []\n",
            "not between 100 and 599",
        ),
        (
            "scenario: s\nstart: 2026-01-01\ntimeline: [{ at: +1h, data: {} }]\n",
            "`data` says nothing without `event`",
        ),
        (
            "scenario: s\nstart: 2026-01-01\ntimeline: [{ at: +1h, event: run.failed }]\n",
            "made by the daemon alone",
        ),
        (
            "scenario: s\nstart: 2026-01-01\ntimeline: [{ at: +1h, decide: { approval: w, by: mia } }]\n",
            "a person either decides or passes it on",
        ),
        (
            "scenario: s\nstart: 2026-01-01\ntimeline: [{ at: +1h, expect: [{ mail: x }] }]\n",
            "has one of",
        ),
    ] {
        let file = SourceFile::new("t.yaml", text);
        let (scenarios, found) = parse(&file);
        let said = render(&found, &Files::of([&file]), Look::Plain);
        assert!(scenarios.is_empty() && said.contains(words), "{text}\n{said}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = parse(&SourceFile::new("t.yaml", text));
    }

    #[test]
    fn any_scenario_like_text_is_read_or_refused(
        at in "[-+0-9: TZa-z]{0,20}",
        key in "(event|set|call|expect|check|acknowledge|answers|given)",
        value in "[\\[\\]{}a-z0-9:/, \"*]{0,30}",
    ) {
        let text = format!("scenario: s\nstart: 2026-01-01\ntimeline:\n  - at: {at}\n    {key}: {value}\n");
        let _ = parse(&SourceFile::new("t.yaml", text));
    }
}

const HOLDING: &str = "
workflow: holding
triggers: [{ event: go }]
steps:
  - webhook: https://x.example/a
    on_uncertain: hold
  - webhook: https://x.example/b
    on_uncertain: hold
    timeout: 5s
";

#[test]
fn only_what_a_crash_left_is_released() {
    // The second is never answered, and stays with a person: also after a crash at the first.
    let text = "scenario: s
start: 2026-03-02 09:00
answers: [{ webhook: \"https://x.example/b\", after: 1h }]
timeline:
  - { at: 10:00, event: go, subject: x/1, expect: [{ webhook: \"*/a\" }, { webhook: \"*/b\" }] }
  - { at: +4d }
";
    let tried = try_out(&pack(HOLDING), &scenarios(text).remove(0), false).unwrap();
    assert!(tried.failures.is_empty(), "{:?}", tried.failures);
    assert!(tried.crashes < 200, "{} crashes", tried.crashes);
}

#[test]
fn what_cannot_be_given_is_said() {
    fails(
        "given: { lead/1: { id: seven, email: x } }\ntimeline: []\n",
        &["`lead/1` cannot be given", "reserved"],
    );
}

#[test]
fn an_event_may_have_happened_before() {
    let rules = "
workflow: late
triggers: [{ event: a.b }]
steps:
  - webhook: crm
    json: { at: \"${event.time}\" }
";
    let text = "scenario: s
start: 2026-03-02 09:00
timeline:
  - { at: 10:00, event: a.b, time: \"2020-01-01T00:00:00Z\", expect: [{ webhook: crm, json: { at: 2020-01-01T00:00:00Z } }] }
";
    let tried = try_out(&pack(rules), &scenarios(text).remove(0), false).unwrap();
    assert!(tried.failures.is_empty(), "{:?}", tried.failures);
}

#[test]
fn backtests_pair_what_is_the_same_first() {
    let rules = |word: &str, only: &str| {
        Arc::new(pack(&format!(
            "workflow: w\ntriggers: [{{ event: a.b{only} }}]\nsteps:\n  - webhook: crm\n    json: {{ word: {word}, of: \"${{event.data.n}}\" }}\n---\nworkflow: bad\ntriggers: [{{ event: a.b, where: event.data.n == {word} }}]\nsteps: [{{ fail: \"no\" }}]\n"
        )))
    };
    let events: Vec<Past> = (1..=3)
        .map(|n| {
            let at: crate::model::Instant = format!("2026-03-02T09:0{n}:00Z").parse().unwrap();
            let data = crate::model::Value::from([("n", crate::model::Value::Int(n))]);
            let draft = crate::model::Draft {
                id: format!("e-{n}").into(),
                source: "s".into(),
                kind: "a.b".into(),
                subject: None,
                time: None,
                data,
                extensions: crate::model::Map::new(),
            };
            Past { at, draft }
        })
        .collect();
    let until = "2026-03-03T00:00:00Z".parse().unwrap();
    let play =
        |pack: &Pack| replay(&pack.rules, &pack.nothing, &events, &[], until, &|_| {}).unwrap();
    let one = play(&rules("1", ""));
    let other = play(&rules("2", ", where: event.data.n >= 1"));
    let difference = compare(&one, &other);
    assert_eq!(difference.changed.len(), 3, "the word of each: {difference:?}");
    assert_eq!(difference.changed[0].1, ["json.word: 2, not 1"]);
    let causes = |list: &[Sent]| -> Vec<String> {
        list.iter().map(|sent| sent.cause.as_ref().unwrap().1.to_string()).collect()
    };
    assert_eq!(
        (causes(&difference.gone), causes(&difference.added)),
        (vec!["e-1".into()], vec!["e-2".into()])
    );
    let fewer = play(&rules("1", ", where: event.data.n != 2"));
    let difference = compare(&one, &fewer);
    assert_eq!(
        (difference.gone.len(), difference.added.len(), difference.changed.len()),
        (1, 0, 0)
    );
    assert_eq!((one.fired["w"], fewer.fired["w"]), (3, 2));
}
