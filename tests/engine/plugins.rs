//! Steps and triggers that call functions of plugins, and `metric`.

use adjutant::model::{
    ActionKind, Cause, Draft, Found, Input, Map, Operator, Polled, RunNo, Status, Value,
};

use crate::play::{START, act, lines, scripted};
use crate::support::sim::{Crash, Setup, Sim, at};

const MANIFEST: &str = "\
name: desk
version: 1.0.0
permissions:
  hosts: [api.example, \"*.chat.example\"]
  endpoints: [board]
  secrets: [desk_key]
  records: [lead]
";

const DESK: &str = r#"
/// Twice as much.
fn twice(n) { n * 2 }

fn plus(a, b) { a + b }

fn owner(args) { record(args.address)?.owner ?? "nobody" }

/// Tells a channel, and a second one if it is grave.
fn action_tell(args) {
    let ask = |channel| #{
        url: `https://api.example/${channel}`,
        headers: #{ "x-key": secret("desk_key") },
        json: #{ text: args.text },
    };
    if args?.grave ?? false { [ask.call("ok"), ask.call("retry-ok")] } else { ask.call("ok") }
}

fn action_nothing(args) { () }
fn action_many(args) { args.list.map(|to| #{ url: `https://a.chat.example/${to}` }) }
fn action_stray(args) { #{ url: "https://elsewhere.example/" } }
fn action_broken(args) { args.nothing.more }

fn news(cursor) { #{ url: "https://api.example/news", query: #{ since: cursor ?? 0 } } }
fn news(cursor, answer) { #{ cursor: answer.body.last, events: answer.body.items } }
"#;

fn desk(rules: &str) -> Setup {
    Setup::rules(rules).plugin_folder("desk", MANIFEST, DESK)
}

fn begin(rules: &str) -> Sim {
    Sim::start(&desk(rules), START).answers(scripted)
}

fn plays(rules: &str, timeline: &[&str], expected: &[&str]) {
    let mut sim = begin(rules);
    for line in timeline {
        act(&mut sim, line);
    }
    let seen = lines(&mut sim);
    assert!(seen == expected, "seen:\n  {}", seen.join("\n  "));
}

#[test]
fn a_script_gives_its_value() {
    let rules = r#"
workflow: w
triggers: [{ event: go }]
steps:
  - record: lead/1
    set: { owner: ana }
  - script: plus
    args: ["${event.data.n}", 1]
    id: sum
  - script: owner
    args: { address: lead/1 }
    id: owner
  - script: owner
    args: { address: lead/2 }
    id: none
  - log: "${steps.sum} ${steps.owner} ${steps.none}"
"#;
    let expected = [
        "09:00:00 script plus",
        "09:00:00 script owner",
        "09:00:00 script owner",
        "09:00:00 w: 42 ana nobody",
        "#1 w done",
    ];
    plays(rules, &["go - {\"n\":41}"], &expected);
}

#[test]
fn a_script_that_fails_names_its_place_and_the_line_that_called() {
    let rules = r#"
workflow: w
triggers: [{ event: go }]
steps:
  - script: plus
    args: [1, "${event.data}"]
    on_error: [{ log: "${error.code}: ${error.message}" }]
  - rhai: twice("x")
"#;
    let expected = [
        "09:00:00 script plus",
        "09:00:00 w: plugin: plugins/desk/desk.rhai:5:19: `+` does not work between a number and an object (called at rules/test.yaml:5)",
        "#1 w failed: plugins/desk/desk.rhai:3:17: `*` does not work between text and a number (called at rules/test.yaml:8)",
    ];
    plays(rules, &["go - {\"n\":41}"], &expected);
}

#[test]
fn an_action_performs_what_it_asks_for_one_after_the_other() {
    let rules = r#"
workflow: w
triggers: [{ event: go }]
steps:
  - action: tell
    args: { text: hi }
    id: one
  - action: tell
    args: { text: help, grave: true }
    id: two
  - action: nothing
    id: none
  - log: "${steps.one.status} ${steps.two.len()} ${steps.none == ()}"
"#;
    let expected = [
        "09:00:00 script action_tell",
        "09:00:00 webhook https://api.example/ok",
        "09:00:00 script action_tell",
        "09:00:00 webhook https://api.example/ok",
        "09:00:00 webhook https://api.example/retry-ok",
        "09:00:00.906681 webhook https://api.example/retry-ok",
        "09:00:00.906681 script action_nothing",
        "09:00:00.906681 w: 200 2 true",
        "#1 w done",
    ];
    plays(rules, &["go", "+5s"], &expected);
}

#[test]
fn the_requests_of_an_action_have_keys_of_their_own_and_no_secret_in_them() {
    let mut sim = begin(
        "workflow: w\ntriggers: [{ event: go }]\nsteps: [{ action: tell, args: { text: a, grave: true } }]\n",
    );
    act(&mut sim, "go");
    act(&mut sim, "+5s");
    let sent: Vec<_> =
        sim.effects.iter().filter(|effect| effect.action == ActionKind::Webhook).collect();
    assert_eq!(sent.len(), 3, "{sent:#?}");
    assert_ne!(sent[0].key, sent[1].key);
    assert_eq!((sent[1].key, &sent[1].params), (sent[2].key, &sent[2].params));
    assert_eq!(sent[0].params.get("secrets"), Some(&Value::List(vec!["desk_key".into()])));
    assert_eq!(sim.status(1), Status::Done);
}

#[test]
fn an_action_asks_for_nothing_it_may_not() {
    let rules = r#"
workflow: w
triggers: [{ event: go }]
steps:
  - action: stray
    on_error: [{ log: "${error.code}: ${error.message}" }]
  - action: broken
    on_error: [{ log: "${error.message}" }]
  - action: many
    args: { list: "${event.data.list}" }
    on_error: [{ log: "${error.message}" }]
"#;
    let list: Vec<String> = (0..17).map(|n| n.to_string()).collect();
    let expected = [
        "09:00:00 script action_stray",
        "09:00:00 w: permission: `action_stray`: requests to `elsewhere.example` are not in `permissions.hosts` of its `plugin.yaml` (called at rules/test.yaml:5)",
        "09:00:00 script action_broken",
        "09:00:00 w: plugins/desk/desk.rhai:22:31: `args.nothing` is missing (called at rules/test.yaml:7)",
        "09:00:00 script action_many",
        "09:00:00 w: `action_many`: it asks for 17 requests; at most 16 are one action (called at rules/test.yaml:9)",
        "#1 w done",
    ];
    plays(rules, &[&format!("go - {}", serde_json::json!({ "list": list }))], &expected);
}

/// Addresses that were asked, in order.
fn asked(sim: &Sim) -> Vec<&str> {
    let sent = sim.effects.iter().filter(|effect| effect.action == ActionKind::Webhook);
    sent.map(|effect| effect.to.rsplit('/').next().unwrap_or_default()).collect()
}

fn many(list: &str, more: &str) -> Sim {
    let rules = format!(
        "workflow: w\ntriggers: [{{ event: go }}]\nsteps:\n  - action: many\n    args: {{ list: [{list}] }}\n    \
         id: many\n{more}  - log: \"${{steps.many}}\"\n"
    );
    let mut sim = begin(&rules);
    act(&mut sim, "go");
    sim
}

#[test]
fn a_person_has_an_action_tried_again_from_the_request_that_failed() {
    let mut sim = many("ok, failed-ok, ok", "    retry: { attempts: 1 }\n");
    assert_eq!(sim.status(1), Status::Failed);
    assert_eq!(asked(&sim), ["ok", "failed-ok"]);
    // It failed for certain: it has a key of its own the next time, and what was done is not done again.
    let failed = sim.effects.last().expect("it was sent").key;
    let retry = |sim: &mut Sim, assume_done| {
        sim.operator(Operator::Retry { run: RunNo(1), assume_done, by: "tom".into() })
    };
    retry(&mut sim, false);
    assert_eq!(asked(&sim), ["ok", "failed-ok", "failed-ok"]);
    assert_ne!(sim.effects.last().expect("it was sent again").key, failed);
    assert_eq!(sim.status(1), Status::Failed);
    // Taken as done: the third is still sent.
    retry(&mut sim, true);
    assert_eq!(asked(&sim), ["ok", "failed-ok", "failed-ok", "ok"]);
    assert_eq!(sim.status(1), Status::Done);
    let said = lines(&mut sim);
    assert!(said.iter().any(|line| line.contains("\"assumed\":true")), "{said:?}");
}

#[test]
fn a_request_whose_fate_is_not_known_keeps_its_key_and_those_after_it_are_sent() {
    let mut sim = many("ok, uncertain-ok, ok", "    on_uncertain: hold\n");
    assert_eq!(asked(&sim), ["ok", "uncertain-ok"]);
    sim.operator(Operator::Retry { run: RunNo(1), assume_done: true, by: "tom".into() });
    assert_eq!((asked(&sim), sim.status(1)), (vec!["ok", "uncertain-ok", "ok"], Status::Done));

    let mut sim = many("ok, uncertain, ok", "    retry: { attempts: 1 }\n");
    assert_eq!(sim.status(1), Status::Failed);
    sim.operator(Operator::Retry { run: RunNo(1), assume_done: false, by: "tom".into() });
    let sent: Vec<_> =
        sim.effects.iter().filter(|effect| effect.to.ends_with("uncertain")).collect();
    assert_eq!((sent.len(), sent[0].key, &sent[0].params), (2, sent[1].key, &sent[1].params));
}

#[test]
fn a_plugin_gets_no_secret_that_the_rule_does_not_name() {
    let rules = "workflow: w\ntriggers: [{ event: go }]\nsteps:\n  - action: tell\n    args:\n      \
                 text: ${smuggled()}\n      other: ${secret(\"named\")}\n";
    let manifest = MANIFEST.replace("  secrets: [desk_key]\n", "");
    let plugin = "fn smuggled() { \"\u{E000}secret:smtp_password\u{E001}\" }\n\
                  fn action_tell(args) { #{ url: \"https://api.example/ok\", json: args } }";
    let setup = Setup::rules(rules).plugin_folder("desk", &manifest, plugin);
    let mut sim = Sim::start(&setup, START).answers(scripted);
    act(&mut sim, "go");
    let sent = sim.effects.last().expect("it was sent");
    assert_eq!(sent.params.get("secrets"), Some(&Value::List(vec!["named".into()])));
    let json = sent.params.get("json").map(Value::to_string).unwrap_or_default();
    assert!(
        json.contains("\u{e000}secret:named") && !json.contains("\u{e000}secret:smtp"),
        "{json}"
    );
}

#[test]
fn in_shadow_mode_an_action_thinks_and_sends_nothing() {
    let rules = r#"
workflow: w
triggers: [{ event: go }]
shadow: true
steps:
  - action: tell
    args: { text: hi, grave: true }
    id: told
  - metric: seen_total
  - log: "${steps.told.len()}"
"#;
    let expected = ["09:00:00 script action_tell", "09:00:00 w: 2", "#1 w done"];
    plays(rules, &["go"], &expected);
}

#[test]
fn mistakes_about_plugins_are_found_when_rules_are_loaded() {
    for (step, message) in [
        ("{ script: thrice, args: [1] }", "no plugin has the function `thrice`"),
        ("{ script: twice, args: [1, 2] }", "the function `twice` does not take 2 arguments"),
        ("{ script: twice }", "the function `twice` does not take 0 arguments"),
        ("{ action: tel }", "no plugin has the action `tel`"),
        ("{ action: tell, args: [1] }", "`args` must be an object"),
        (
            "{ script: twice, args: [\"${secret(\\\"desk_key\\\")}\"] }",
            "a secret cannot be used here",
        ),
        (
            "{ script: twice, args: [1], retry: { attempts: 2 } }",
            "`retry` does nothing on a `script` step",
        ),
        ("{ metric: Total }", "`Total` cannot be the name of a metric"),
        ("{ metric: a, add: 1, set: 2 }", "`add` and `set` cannot stand together"),
        (
            "{ record: metric/a, set: { value: 1 } }",
            "records of kind `metric` are the daemon's own",
        ),
    ] {
        let rules = format!("workflow: w\ntriggers: [{{ event: go }}]\nsteps: [{step}]\n");
        let found = desk(&rules).compile().expect_err(step);
        assert!(found.contains(message), "{step}:\n{found}");
    }
    for (trigger, message) in [
        ("{ poll: twice, every: 1m }", "the poll `twice` does not take 2 arguments"),
        ("{ poll: newss, every: 1m }", "did you mean `news`?"),
        ("{ poll: news, every: 1s }", "`every` is at least 5s"),
        ("{ poll: news }", "needs `every`"),
    ] {
        let rules = format!("workflow: w\ntriggers: [{trigger}]\nsteps: []\n");
        let found = desk(&rules).compile().expect_err(trigger);
        assert!(found.contains(message), "{trigger}:\n{found}");
    }
}

#[test]
fn manifests_are_checked() {
    let rules = "workflow: w\ntriggers: [{ event: go }]\nsteps: []\n";
    for (manifest, message) in [
        ("name: desk", "a plugin needs `version`"),
        ("name: Desk\nversion: 1", "`Desk` is not a name"),
        ("name: desk\nversion: 1\npermisions: {}", "did you mean `permissions`?"),
        (
            "name: desk\nversion: 1\npermissions: { hosts: [\"https://x.example\"] }",
            "`https://x.example` cannot stand in `hosts`",
        ),
        ("name: desk\nversion: 1\npermissions: { hosts: [\"*\"] }", "`*` cannot stand in `hosts`"),
        ("name: desk\nversion: 1\npermissions: { files: [a] }", "has no key `files`"),
        ("name: desk\nversion: 1\nsettings: { type: 5 }", "is not a JSON Schema"),
        (
            "name: desk\nversion: 1\nsettings: { properties: { a: { type: integer, default: x } } }",
            "`plugin_settings.desk.a` of the configuration",
        ),
    ] {
        let setup = Setup::rules(rules).plugin_folder("desk", manifest, "fn f() { 1 }");
        let found = setup.compile().expect_err(manifest);
        assert!(found.contains(message), "{manifest}:\n{found}");
    }
    // Without a manifest a plugin may only compute.
    let found = Setup::rules(rules).plugin("bare", "fn f() { record(\"lead/1\") }").compile();
    assert!(found.expect_err("no permission").contains("permissions: { records: [KIND] }"));
}

#[test]
fn metrics_are_counted_by_day() {
    let rules = r#"
workflow: count
triggers: [{ event: go }]
steps:
  - metric: seen_total
    labels: { country: "${event.data.country}", by: w }
    id: seen
  - metric: weight
    set: ${event.data.weight}
  - log: "${steps.seen}"
---
workflow: alarm
triggers: [{ record: metric, becomes: record.value >= 3, where: event.data.record.name == "seen_total" }]
steps: [{ log: "${event.subject}" }]
"#;
    let mut sim = begin(rules);
    for line in [
        "go - {\"country\":\"DE\",\"weight\":5}",
        "go - {\"country\":\"DE\",\"weight\":7.5}",
        "+1d",
        "go - {\"country\":\"FR\",\"weight\":1}",
        "go - {\"country\":\"DE\",\"weight\":2}",
        "go - {\"country\":5,\"weight\":2}",
        "go - {\"country\":\"DE\",\"weight\":\"x\"}",
    ] {
        act(&mut sim, line);
    }
    let series = "metric/seen_total{by=\"w\",country=\"DE\"}";
    assert_eq!(sim.field(series, "value"), Value::Int(4));
    let days =
        Map::from([("2026-03-02".into(), Value::Int(2)), ("2026-03-03".into(), Value::Int(2))]);
    assert_eq!(sim.field(series, "days"), Value::Map(days));
    assert_eq!(sim.field("metric/weight", "value"), Value::Int(2));
    let days =
        Map::from([("2026-03-02".into(), Value::Float(7.5)), ("2026-03-03".into(), Value::Int(2))]);
    assert_eq!(sim.field("metric/weight", "days"), Value::Map(days));
    assert_eq!(sim.field("metric/seen_total{by=\"w\",country=\"5\"}", "value"), Value::Int(1));
    let seen = lines(&mut sim).join("\n");
    assert!(seen.contains("alarm: metric/seen_total{by=\"w\",country=\"DE\"}"), "{seen}");
    assert!(seen.contains("count failed: `set` must be a number, not text"), "{seen}");
}

#[test]
fn a_metric_has_a_bound_of_series() {
    let rules = r#"
workflow: w
triggers: [{ event: go }]
steps:
  - metric: other_total
    labels: { n: "${event.data.n}" }
  - foreach: ${event.data.list}
    limit: 2000
    steps:
      - metric: seen_total
        labels: { n: "${item}" }
"#;
    let mut sim = begin(rules);
    let list: Vec<u32> = (0..1_001).collect();
    act(&mut sim, &format!("go - {}", serde_json::json!({ "n": 1, "list": list })));
    let seen = lines(&mut sim);
    let failed = seen.iter().filter(|line| line.contains("has 1000 series already")).count();
    // One of the children, and the run that waited for them.
    assert_eq!(failed, 2, "{:?}", seen.first());
    act(&mut sim, "go - {\"n\":2,\"list\":[5]}");
    assert_eq!(sim.field("metric/seen_total{n=\"5\"}", "value"), Value::Int(2));
    assert_eq!(sim.field("metric/other_total{n=\"2\"}", "value"), Value::Int(1));
}

const POLLING: &str = r#"
workflow: reader
triggers: [{ poll: news, every: 10m, where: event.data.text != "dull" }]
steps: [{ log: "${event.subject}: ${event.data.text}" }]
---
workflow: told
triggers: [{ event: effect.poll_failed }]
steps: [{ log: "${event.data.poll} of ${event.data.workflow}: ${event.data.error.message}" }]
"#;

fn item(id: &str, text: &str) -> Draft {
    Draft {
        id: id.into(),
        source: "poll/news".into(),
        kind: "poll.news".into(),
        subject: Some(format!("news/{id}").into()),
        time: None,
        data: Value::from([("text", Value::from(text))]),
        extensions: Map::new(),
    }
}

#[test]
fn a_workflow_that_was_disabled_polls_on_from_where_it_was() {
    let mut sim = begin(POLLING);
    answer(&mut sim, found(7, Vec::new()));
    let off = POLLING.replace("workflow: reader", "workflow: reader\nenabled: false");
    sim.reload(desk(&off).compile().expect("they compile").into());
    act(&mut sim, "+5d");
    assert!(sim.asks.is_empty());
    sim.reload(desk(POLLING).compile().expect("they compile").into());
    act(&mut sim, "+1m");
    assert_eq!(sim.asks.last().map(|ask| &ask.cursor), Some(&Value::Int(7)));
}

#[test]
fn a_poll_with_more_goes_on_unless_it_goes_in_a_circle() {
    let mut sim = begin(POLLING);
    let more = |cursor| Ok(Found { cursor: Value::Int(cursor), events: Vec::new(), more: true });
    answer(&mut sim, more(1));
    act(&mut sim, "+1s");
    answer(&mut sim, more(2));
    act(&mut sim, "+1s");
    answer(&mut sim, more(2));
    act(&mut sim, "+9m");
    assert!(sim.asks.is_empty(), "the same place twice");
    // Left alone as long as the other side wants, and not failed when it is we who have no room.
    act(&mut sim, "+1m");
    let ask = sim.asks.pop().expect("it asks");
    let after = Some(adjutant::model::Span::from_secs(3_600));
    let found = Err(Cause::new("http_429", "slowly"));
    sim.input(Input::Polled(Box::new(Polled { key: ask.key, begun: ask.begun, found, after })));
    act(&mut sim, "+59m");
    assert!(sim.asks.is_empty());
    act(&mut sim, "+1m");
    answer(&mut sim, Err(Cause::new("busy", "the disk is nearly full")));
    act(&mut sim, "+10m");
    assert_eq!(sim.asks.len(), 1);
}

fn answer(sim: &mut Sim, found: Result<Found, Cause>) {
    let ask = sim.asks.pop().expect("somebody asks");
    let polled = Polled { key: ask.key, begun: ask.begun, found, after: None };
    sim.input(Input::Polled(Box::new(polled)));
}

fn found(cursor: i64, events: Vec<Draft>) -> Result<Found, Cause> {
    Ok(Found { cursor: Value::Int(cursor), events, more: false })
}

#[test]
fn a_poll_goes_on_from_its_cursor() {
    let mut sim = begin(POLLING);
    assert_eq!((sim.asks.len(), &sim.asks[0].cursor), (1, &Value::Null));
    answer(&mut sim, found(2, vec![item("1", "a"), item("2", "dull")]));
    act(&mut sim, "+9m");
    assert!(sim.asks.is_empty());
    act(&mut sim, "+1m");
    assert_eq!(sim.asks[0].cursor, Value::Int(2));
    // What it brings again is known.
    answer(&mut sim, found(3, vec![item("2", "dull"), item("3", "c")]));
    let seen = lines(&mut sim);
    assert_eq!(
        seen,
        [
            "09:00:00 reader: news/1: a",
            "09:10:00 reader: news/3: c",
            "#1 reader done",
            "#2 reader done"
        ]
    );
}

#[test]
fn a_poll_that_fails_keeps_its_cursor_and_rests_longer_each_time() {
    let mut sim = begin(POLLING);
    answer(&mut sim, found(7, Vec::new()));
    let failed = || Err(Cause::new("http_503", "`api` answered 503"));
    act(&mut sim, "+10m");
    answer(&mut sim, failed());
    act(&mut sim, "+10m");
    answer(&mut sim, failed());
    act(&mut sim, "+19m");
    assert!(sim.asks.is_empty(), "after two failures it rests for twenty minutes");
    act(&mut sim, "+1m");
    assert_eq!(sim.asks[0].cursor, Value::Int(7));
    answer(&mut sim, found(8, Vec::new()));
    // Told once, and not again until it has worked in between.
    let seen = lines(&mut sim);
    assert_eq!(seen, ["09:10:00 told: news of reader: `api` answered 503", "#1 told done"]);
}

#[test]
fn an_answer_that_is_lost_is_asked_for_again_and_a_late_one_ignored() {
    let mut sim = begin(POLLING);
    let lost = sim.asks.pop().expect("it asks");
    sim.restart();
    assert!(sim.asks.is_empty(), "its answer may still come");
    act(&mut sim, "+10m");
    assert_eq!(sim.asks.len(), 1);
    let late = Polled {
        key: lost.key,
        begun: lost.begun,
        found: found(9, vec![item("9", "late")]),
        after: None,
    };
    sim.input(Input::Polled(Box::new(late)));
    answer(&mut sim, found(1, vec![item("1", "a")]));
    assert_eq!(lines(&mut sim), ["09:10:00 reader: news/1: a", "#1 reader done"]);
    // Rules without it forget it.
    let other = desk("workflow: other\ntriggers: [{ event: go }]\nsteps: []\n").compile();
    sim.reload(other.expect("they compile").into());
    sim.until_instant(at("2026-03-03T09:00:00Z"));
    assert!(sim.asks.is_empty());
}

#[test]
fn a_crash_at_any_commit_changes_nothing_for_scripts_actions_and_metrics() {
    let rules = r#"
workflow: w
triggers: [{ event: go }]
steps:
  - script: plus
    args: [1, 2]
    id: sum
  - metric: gone_total
    add: ${steps.sum}
    labels: { who: "${event.subject}" }
  - action: many
    args: { list: [ok, retry-ok, uncertain-ok, ok] }
    id: told
  - record: ${event.subject}
    set: { told: "${steps.told.len()}" }
"#;
    let story = |sim: &mut Sim| {
        act(sim, "go lead/1");
        act(sim, "+1m");
        act(sim, "go lead/1");
        act(sim, "+1m");
    };
    let mut plain = begin(rules);
    let opening = plain.commits;
    story(&mut plain);
    let expected = plain.final_state();
    assert_eq!(plain.field("metric/gone_total{who=\"lead/1\"}", "value"), Value::Int(6));
    for crash in [Crash::Before, Crash::After, Crash::AfterPerforming] {
        for commit in 1..=plain.commits - opening {
            let mut sim = begin(rules);
            sim.crash_at(commit, crash);
            story(&mut sim);
            assert!(sim.crashed, "{crash:?} {commit}");
            assert_eq!(expected, sim.final_state(), "{crash:?} at commit {commit}");
            let counted = sim.field("metric/gone_total{who=\"lead/1\"}", "value");
            assert_eq!(counted, Value::Int(6), "{crash:?} at commit {commit}");
        }
    }
}
