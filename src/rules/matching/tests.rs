//! The index against asking everybody, over random workflows and events.

use std::fmt::Write;

use proptest::prelude::*;

use super::super::ruleset::{Context, RuleSet, Sources};
use super::super::{SourceFile, Trigger};
use super::*;
use crate::model::{Instant, Map};
use crate::script::{EvalError, NoRecords, Scope, Shared, Test};

fn compile(text: &str) -> RuleSet {
    let sources =
        Sources { rules: vec![SourceFile::new("rules/t.yaml", text)], ..Sources::default() };
    RuleSet::compile(&sources, &Context::default()).unwrap_or_else(|found| panic!("{found:?}")).0
}

/// Also where there are few.
fn matching(rules: &RuleSet) -> Matching {
    Matching::asking(0, rules.workflows.values())
}

/// What expressions see of an event with these data.
fn event(kind: &str, data: Value) -> Value {
    Value::from([
        ("type", kind.into()),
        ("subject", "s/1".into()),
        ("time", Value::Instant(Instant::from_micros(1))),
        ("data", data),
    ])
}

fn found(matching: &Matching, event: &Value) -> Vec<String> {
    let kind = event.get("type").and_then(Value::as_text).unwrap();
    matching.find(kind, event, None, usize::MAX).map(|bundle| bundle.name.to_string()).collect()
}

/// One workflow for each condition, named a, b, c in order: those found for data.
fn asked(conditions: &[&str], data: Value) -> String {
    let mut text = String::new();
    for (letter, condition) in ('a'..).zip(conditions) {
        write!(text, "---\nworkflow: {letter}\ntriggers:\n  - event: go\n    where: '{condition}'\nsteps: [{{ log: x }}]\n").unwrap();
    }
    found(&matching(&compile(&text)), &event("go", data)).concat()
}

fn data<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::from(members)
}

#[test]
fn only_those_are_asked_that_name_the_value() {
    let regions = [
        r#"event.data.region == "EU""#,
        r#""US" == event.data.region"#,
        r#"event.data.region == "EU" || event.data.region == "UK""#,
        r#"event.data.region != "EU""#,
        "event.data.vip",
        "!event.data.vip",
    ];
    assert_eq!(asked(&regions, data([("region", "EU".into()), ("vip", true.into())])), "acde");
    assert_eq!(asked(&regions, data([("region", "US".into()), ("vip", false.into())])), "bdf");
    assert_eq!(asked(&regions, data([("region", "UK".into())])), "cd");
    assert_eq!(asked(&regions, data([("region", Value::Int(1))])), "d");
    assert_eq!(asked(&regions, data([("vip", "yes".into())])), "def", "text is no condition");
    assert_eq!(asked(&regions, "text".into()), "abcdef", "text has no members");
    assert_eq!(asked(&regions, Value::Null), "d");
}

#[test]
fn a_clause_that_would_fail_first_has_everybody_asked() {
    let scores = [
        r#"event.data.score >= 80 && event.data.region == "EU""#,
        r#"event.data.score >= 10 && event.data.region == "US""#,
        r#"event.data.name.len() > 3 && event.data.region == "US""#,
    ];
    assert_eq!(asked(&scores, data([("score", Value::Int(90)), ("region", "EU".into())])), "ac");
    assert_eq!(asked(&scores, data([("score", "90".into()), ("region", "EU".into())])), "abc");
    assert_eq!(asked(&scores, data([("region", "EU".into())])), "ac", "missing is false");
}

#[test]
fn the_rarest_constant_of_a_condition_counts() {
    let all: Vec<String> = (0..20)
        .map(|n| format!("event.data.region == \"EU\" && event.data.customer == {n}"))
        .collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let data = data([("region", "EU".into()), ("customer", Value::Float(3.0))]);
    assert_eq!(asked(&all, data), "d");
}

#[test]
fn the_if_of_a_workflow_counts_unless_something_may_fail_before_it() {
    let rules = compile(
        r#"
workflow: a
triggers: [{ event: go }]
if: event.data.region == "EU"
steps: [{ log: x }]
---
workflow: b
triggers: [{ event: go, where: event.data.score > 1 }]
vars: { n: 1 }
if: event.data.region == "EU"
steps: [{ log: x }]
---
workflow: c
triggers: [{ event: go }]
vars: { n: "${event.data.name}" }
if: event.data.region == "EU"
steps: [{ log: x }]
---
workflow: d
triggers: [{ event: go, subject: "${event.data.who}" }]
if: event.data.region == "EU"
steps: [{ log: x }]
"#,
    );
    let matching = matching(&rules);
    let asked = |data| found(&matching, &event("go", data)).concat();
    let us = || ("region", Value::from("US"));
    assert_eq!(asked(data([("region", "EU".into()), ("score", Value::Int(1))])), "abcd");
    assert_eq!(asked(data([us(), ("score", Value::Int(1))])), "cd");
    assert_eq!(asked(data([us(), ("score", "1".into())])), "bcd");
    assert_eq!(asked(data([])), "abcd", "in an `if`, missing is an error");
}

#[test]
fn pages_continue_and_types_select() {
    let text: String = (0..10)
        .map(|n| {
            let kind = ["go", "go.*", "*", "[go, go.far]", "come"][n % 5];
            format!("---\nworkflow: w{n}\ntriggers: [{{ event: {kind} }}]\nsteps: [{{ log: x }}]\n")
                .replace("event: *", "event: \"*\"")
        })
        .collect();
    let matching = matching(&compile(&text));
    let page = |kind: &str, after: Option<&str>, limit: usize| {
        let event = event(kind, Value::Null);
        let found = matching.find(kind, &event, after, limit);
        found.map(|bundle| bundle.name.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(page("go", None, 99), "w0 w2 w3 w5 w7 w8");
    assert_eq!(page("go", None, 2), "w0 w2");
    assert_eq!(page("go", Some("w2"), 2), "w3 w5");
    assert_eq!(page("go", Some("w4"), 99), "w5 w7 w8", "one that is not there");
    assert_eq!(page("go.far", None, 99), "w1 w2 w3 w6 w7 w8");
    assert_eq!(page("go.far.away", None, 99), "w1 w2 w6 w7");
    assert_eq!(page("gone", None, 99), "w2 w7");
    assert!(matching.listens("anything"));
    assert!(!super::tests::matching(&compile("")).listens("go"));
}

const PATHS: [&str; 8] = [
    "event.data.k",
    "event.data.j.k",
    "event.data.l[0]",
    "event.data[\"k\"]",
    "event.data",
    "event.data.missing",
    "event.subject",
    "event.time",
];
const CONSTANTS: [&str; 8] = ["1", "1.0", "0.5", "\"x\"", "\"s/1\"", "true", "false", "()"];

fn clause() -> impl Strategy<Value = String> {
    let path = || prop::sample::select(PATHS.to_vec());
    let constant = || prop::sample::select(CONSTANTS.to_vec());
    prop_oneof![
        6 => (path(), constant()).prop_map(|(p, c)| format!("{p} == {c}")),
        1 => (path(), constant()).prop_map(|(p, c)| format!("{c} == {p}")),
        1 => (path(), constant()).prop_map(|(p, c)| format!("{p} != {c}")),
        2 => (path(), constant()).prop_map(|(p, c)| format!("{p} >= {c}")),
        1 => path().prop_map(str::to_owned),
        1 => path().prop_map(|p| format!("!{p}")),
        2 => (path(), constant(), constant()).prop_map(|(p, a, b)| format!("({p} == {a} || {p} == {b})")),
        1 => (path(), constant(), path(), constant())
            .prop_map(|(p, a, q, b)| format!("({p} == {a} && {q} == {b})")),
        1 => (path(), constant(), path(), constant())
            .prop_map(|(p, a, q, b)| format!("({p} == {a} || {q} < {b})")),
        1 => (path(), path()).prop_map(|(p, q)| format!("{p} == {q}")),
        1 => path().prop_map(|p| format!("{p}.len() > 1")),
        1 => Just("event?.data?.k == 1".to_owned()),
        1 => Just("event.time < now".to_owned()),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    prop::collection::vec(clause(), 1..4).prop_map(|clauses| clauses.join(" && "))
}

fn workflow() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec!["go", "go", "go.*", "\"*\"", "[go, go.far]", "come"]);
    let subject = prop::sample::select(vec!["", "", "", "s/1", "s/2", "any", "${event.data.k}"]);
    let trigger =
        (kind, prop::option::of(condition()), subject).prop_map(|(kind, condition, subject)| {
            let mut text = format!("  - event: {kind}\n");
            if let Some(condition) = condition {
                writeln!(text, "    where: '{condition}'").unwrap();
            }
            if !subject.is_empty() {
                writeln!(text, "    subject: \"{subject}\"").unwrap();
            }
            text
        });
    let vars = prop::sample::select(vec![
        "",
        "",
        "vars: { n: 1 }\n",
        "vars: { n: \"${event.data.k}\" }\n",
    ]);
    (prop::collection::vec(trigger, 1..3), vars, prop::option::of(condition())).prop_map(
        |(triggers, vars, condition)| {
            let condition = condition.map(|text| format!("if: '{text}'\n")).unwrap_or_default();
            format!("triggers:\n{}{vars}{condition}steps: [{{ log: x }}]\n", triggers.concat())
        },
    )
}

fn payload() -> impl Strategy<Value = Value> {
    let scalar = || {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            prop::sample::select(vec![
                Value::Int(0),
                Value::Int(1),
                Value::Float(1.0),
                Value::Float(0.5)
            ]),
            prop::sample::select(vec!["x", "s/1", "1", ""]).prop_map(Value::from),
        ]
    };
    let object = || {
        prop::option::of(scalar())
            .prop_map(|k| Value::Map(k.into_iter().map(|k| ("k".into(), k)).collect::<Map>()))
    };
    let list = || prop::collection::vec(scalar(), 0..2).prop_map(Value::List);
    let member = || prop::option::of(prop_oneof![3 => scalar(), 1 => object(), 1 => list()]);
    let members = (member(), prop::option::of(object()), prop::option::of(list()), member())
        .prop_map(|(k, j, l, other)| {
            let mut map = Map::new();
            for (key, value) in [("k", k), ("j", j.or(other.clone())), ("l", l.or(other))] {
                map.extend(value.map(|value| (key.into(), value)));
            }
            Value::Map(map)
        });
    prop_oneof![8 => members, 1 => scalar(), 1 => list()]
}

/// What a workflow comes to that is asked: whether a run would start.
fn brute(workflow: &Workflow, kind: &str, event: &Value) -> Result<bool, EvalError> {
    let mut scope = Scope::new(Instant::from_micros(2));
    scope.share("event", &Shared::new(event.clone()));
    let holds = |trigger: &Trigger| -> Result<bool, EvalError> {
        if !trigger.filter.patterns.iter().any(|pattern| pattern.matches(kind)) {
            return Ok(false);
        }
        if let FilterSubject::Is(shape) = &trigger.filter.subject
            && Some(&shape.eval(&scope, &NoRecords)?) != event.get("subject")
        {
            return Ok(false);
        }
        match &trigger.filter.condition {
            Some(condition) => Ok(condition.test(&scope, &NoRecords)? == Test::True),
            None => Ok(true),
        }
    };
    let mut matched = false;
    for trigger in &workflow.triggers {
        matched = matched || holds(trigger)?;
    }
    if !matched {
        return Ok(false);
    }
    for (_, shape) in &workflow.vars {
        shape.eval(&scope, &NoRecords)?;
    }
    match &workflow.condition {
        Some(condition) => Ok(condition.test(&scope, &NoRecords)? == Test::True),
        None => Ok(true),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn who_is_ruled_out_would_not_have_started_nor_failed(
        workflows in prop::collection::vec(workflow(), 1..16),
        events in prop::collection::vec(
            (prop::sample::select(vec!["go", "go.far"]), payload()), 1..24),
    ) {
        let mut text = String::new();
        for (letter, workflow) in ('a'..).zip(&workflows) {
            write!(text, "---\nworkflow: {letter}\n{workflow}").unwrap();
        }
        let rules = compile(&text);
        let matching = matching(&rules);
        for (kind, data) in events {
            let event = event(kind, data);
            let asked: Vec<_> = found(&matching, &event);
            let out: Vec<_> =
                matching.ruled_out(kind, &event).map(|bundle| bundle.name.to_string()).collect();
            let mut both = [asked.clone(), out.clone()].concat();
            both.sort();
            let listens = |workflow: &Workflow| {
                let mut patterns = workflow.triggers.iter().flat_map(|t| &t.filter.patterns);
                patterns.any(|pattern| pattern.matches(kind))
            };
            let listening: Vec<_> = rules
                .workflows
                .values()
                .filter(|bundle| listens(&bundle.main))
                .map(|bundle| bundle.name.to_string())
                .collect();
            prop_assert_eq!(both, listening);
            for name in out {
                let said = brute(&rules.workflows[&*name].main, kind, &event);
                prop_assert!(
                    matches!(said, Ok(false)),
                    "{} was ruled out and said {:?} to {}\n{}",
                    name, said, event, text
                );
            }
        }
    }
}
