//! Rule sets made up from a seed: a small grammar over every step, trigger and option of the language.
//!
//! Documents are JSON, which is YAML as well. What a document says is drawn from few names, so that
//! workflows start each other, share keys and records, and wait for each other's events.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::steps::Steps;
use crate::support::chance::Chance;
use crate::support::sim::Setup;

/// Types of events that come from outside.
pub(crate) const KINDS: [&str; 6] = ["go", "ping", "pong", "bye", "fixed", "consent"];
/// Subjects of events.
pub(crate) const SUBJECTS: [&str; 3] = ["lead/1", "lead/2", "lead/3"];
/// Workflows that events start.
const STARTED: [&str; 4] = ["alpha", "beta", "gamma", "delta"];

/// A plugin for `script`, `action` and `poll`.
const MANIFEST: &str =
    "name: deeds\nversion: 1.0.0\npermissions: { hosts: [x.example, y.example], secrets: [key] }\n";
const DEEDS: &str = r#"
fn twice(n) { if n == 3 { throw "three" } n * 2 }

fn action_deeds(args) {
    let deed = |at| #{
        url: if at % 2 == 0 { "https://x.example/deed" } else { "https://y.example/deed" },
        headers: #{ "x-key": secret("key") },
        json: #{ at: at, of: args.of },
    };
    switch args.n { 0 => (), 1 => deed.call(0), _ => [0, 1, 2].extract(0, args.n).map(deed) }
}

fn news(cursor) { #{ url: "https://x.example/news" } }
fn news(cursor, answer) { #{ cursor: answer.body } }
"#;

/// How much a story may depend on the order and the time of what happens in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Everything the language has.
    Wild,
    /// Nothing that a delay could change: the effects are the same whatever fails.
    Calm,
}

/// A rule set that can be changed and rendered again.
#[derive(Clone)]
pub(crate) struct Rules {
    weather: Weather,
    documents: BTreeMap<String, Value>,
}

impl Rules {
    /// Makes one up.
    pub(crate) fn grow(chance: &mut Chance, weather: Weather) -> Self {
        let mut rules = Self { weather, documents: fixed() };
        let started = 2 + chance.below(3) as usize;
        for name in STARTED.iter().take(started) {
            rules.renew(chance, name);
        }
        for name in ["callee", "helper"] {
            rules.renew(chance, name);
        }
        if weather == Weather::Wild {
            rules.renew(chance, "up");
            rules.renew(chance, "over");
        }
        for name in ["often", "quiet", "hourly", "reader", "staged", "watcher"] {
            if weather == Weather::Wild && chance.one_in(3) {
                rules.renew(chance, name);
            }
        }
        rules
    }

    /// Another version: some documents say something else, some are gone, some new.
    pub(crate) fn changed(&self, chance: &mut Chance) -> Self {
        let mut rules = self.clone();
        for _ in 0..=chance.below(3) {
            let name = chance.pick(STARTED);
            let below = chance.pick(["up", "callee", "helper"]);
            let clocked = chance.pick(["often", "quiet", "hourly", "reader"]);
            match chance.below(8) {
                0 => drop(rules.documents.remove(name)),
                1 => rules.renew(chance, below),
                2 => rules.renew(chance, clocked),
                3 => rules.turn(chance, name),
                _ => rules.renew(chance, name),
            }
        }
        rules
    }

    /// The same rules, by which nothing new begins.
    pub(crate) fn closed(&self) -> Self {
        let mut rules = self.clone();
        for document in rules.documents.values_mut() {
            if document.get("workflow").is_some() {
                document["enabled"] = json!(false);
            }
        }
        rules
    }

    /// As a file of rules.
    pub(crate) fn text(&self) -> String {
        let documents: Vec<String> = self.documents.values().map(Value::to_string).collect();
        documents.join("\n---\n")
    }

    /// Ready to compile.
    pub(crate) fn setup(&self) -> Setup {
        Setup::rules(&self.text()).plugin_folder("deeds", MANIFEST, DEEDS)
    }

    fn renew(&mut self, chance: &mut Chance, name: &str) {
        let weather = self.weather;
        let document = match name {
            "up" | "over" => policy(&mut Steps::new(chance, weather, 2), name),
            "callee" => called(&mut Steps::new(chance, weather, 1), name),
            "helper" => called(&mut Steps::new(chance, weather, 2), name),
            _ => started(&mut Steps::new(chance, weather, 0), name),
        };
        self.documents.insert(name.to_owned(), document);
    }

    /// Changes only who has to wait for whom.
    fn turn(&mut self, chance: &mut Chance, name: &str) {
        let Some(document) = self.documents.get_mut(name).and_then(Value::as_object_mut) else {
            return;
        };
        turn_taking(chance, document);
    }
}

/// What every rule set has: people, records, purposes, opening hours.
fn fixed() -> BTreeMap<String, Value> {
    let documents = [
        ("lead", json!({"record": "lead", "index": ["stage"]})),
        ("consents", json!({"record": "consents"})),
        (
            "person",
            json!({"record": "person", "rows": {
                "ana": {"email": "ana@x.example"}, "tom": {"email": "tom@x.example"}
            }}),
        ),
        (
            "news",
            json!({"purpose": "news", "expires": "10h", "on_uncertain": "hold",
                "cap": {"max": 2, "per": "1h"}, "quiet": "12:00-13:30",
                "guard": {"max": 5, "per": "2h"}, "unsubscribe": true,
                "allow": "record(\"consents\", recipient)?.yes == true"}),
        ),
        (
            "crew",
            json!({"team": "crew", "members": {
                "ana": {"weight": 2, "cap": {"hour": 3}}, "tom": {"cap": {"active": 2}}
            }, "active": "records(\"lead\", \"stage\", \"open\").len()", "fallback": "tom"}),
        ),
        (
            "level",
            json!({"sla": "level", "of": "lead", "target": "30m", "warn": ["50%"],
                "done": "record.get(\"stage\") == \"open\"",
                "pause": "record.get(\"stage\") == \"lost\""}),
        ),
        (
            "office",
            json!({"calendar": "office", "timezone": "Europe/Berlin",
                "open": {"mon-fri": "09:00-17:00"}}),
        ),
        (
            "consent",
            json!({"workflow": "consent", "triggers": [{"event": "consent"}], "steps": [
                {"record": "consents/ana@x.example", "set": {"yes": "${event.data.n > 1}"}}
            ]}),
        ),
    ];
    documents.into_iter().map(|(name, document)| (name.to_owned(), document)).collect()
}

fn called(steps: &mut Steps<'_>, name: &str) -> Value {
    let mut block = steps.block(0);
    block.insert(0, json!({"vars": {"n": "${(args.get(\"n\") ?? 0) + 1}"}}));
    json!({"workflow": name, "triggers": [], "steps": block})
}

fn policy(steps: &mut Steps<'_>, name: &str) -> Value {
    let mut levels = vec![json!({"after": "5m", "notify": ["ana"]})];
    if steps.chance.one_in(2) {
        levels.push(json!({"after": "10m", "notify": ["tom", "ana"]}));
    }
    if steps.chance.one_in(3) {
        levels.push(json!({"after": "1h", "steps": [
            {"webhook": "https://y.example/level", "on_error": "continue"}
        ]}));
    }
    let mut document = json!({"escalation": name, "levels": levels});
    if steps.chance.one_in(3) {
        document["repeat"] = json!(1);
    }
    if steps.chance.one_in(3) {
        document["unresolved"] = json!("30m");
    }
    if steps.chance.one_in(4) {
        document["hours"] = json!("office");
    }
    document
}

/// A workflow with triggers and, by chance, every option there is.
fn started(steps: &mut Steps<'_>, name: &str) -> Value {
    let mut document = json!({
        "workflow": name,
        "triggers": triggers(steps, name),
        "vars": {"n": "${event.data.get(\"n\") ?? 0}"},
    });
    let wild = steps.is_wild();
    let fields = document.as_object_mut().expect("an object");
    if steps.chance.one_in(2) {
        fields.insert("key".into(), json!("${event.subject ?? \"nobody\"}"));
    }
    turn_taking_of(steps, fields);
    if wild {
        options(steps, fields);
    }
    fields.insert("steps".into(), json!(steps.block(0)));
    if steps.chance.one_in(3) {
        fields.insert("on_failure".into(), json!(steps.block(1)));
    }
    document
}

fn turn_taking_of(steps: &mut Steps<'_>, fields: &mut serde_json::Map<String, Value>) {
    let wild = steps.is_wild();
    if wild {
        turn_taking(steps.chance, fields);
    } else if fields.contains_key("key") && steps.chance.one_in(2) {
        fields.insert("mode".into(), json!("queued"));
    } else if steps.chance.one_in(4) {
        fields.insert("max".into(), json!(2));
    }
}

/// `mode` and `max`.
fn turn_taking(chance: &mut Chance, fields: &mut serde_json::Map<String, Value>) {
    if fields.contains_key("key") {
        let mode = chance.pick(["parallel", "single", "restart", "queued"]);
        fields.insert("mode".into(), json!(mode));
    }
    if chance.one_in(3) {
        fields.insert("max".into(), json!(1 + chance.below(2)));
    }
}

fn options(steps: &mut Steps<'_>, fields: &mut serde_json::Map<String, Value>) {
    if fields.contains_key("key") && steps.chance.one_in(5) {
        fields.insert("debounce".into(), json!("3m"));
    }
    if steps.chance.one_in(5) {
        let per = steps.chance.pick(["10m", "1d", "ever"]);
        fields.insert("throttle".into(), json!({"max": 3, "per": per}));
    }
    if steps.chance.one_in(4) {
        let lost = json!({"record": "lead", "becomes": "record.stage == \"lost\""});
        let exit = if steps.chance.one_in(4) { lost } else { json!({"event": "bye"}) };
        fields.insert("exit".into(), json!([exit]));
    }
    if steps.chance.one_in(5) {
        fields.insert("lifetime".into(), json!(steps.chance.pick(["20m", "6h", "3d"])));
    }
    if steps.chance.one_in(6) {
        fields.insert("hours".into(), json!("office"));
    }
    if steps.chance.one_in(12) {
        fields.insert("shadow".into(), json!(true));
    }
    if steps.chance.one_in(8) {
        fields.insert("if".into(), json!("vars.n != 3"));
    }
}

fn triggers(steps: &mut Steps<'_>, name: &str) -> Value {
    let by = "${event.subject ?? \"nobody\"}";
    match name {
        "often" => {
            json!([{"count": ["go", "ping"], "by": by, "at_least": 2, "within": "1h"}])
        }
        "quiet" => json!([{"absent": "ping", "by": by, "for": "40m"}]),
        "reader" => json!([{"poll": "news", "every": "5h"}]),
        "hourly" => {
            let catchup = steps.chance.pick(["none", "last", "all"]);
            json!([{"schedule": "0 */6 * * *", "timezone": "Europe/Berlin", "catchup": catchup}])
        }
        "staged" => json!([{"record": "lead", "becomes": "record.stage == \"new\""}]),
        "watcher" => {
            json!([{"event": ["run.failed", "run.held", "message.*", "escalation.*", "approval.*", "sla.*"]}])
        }
        _ => {
            let kind = steps.chance.pick(["go", "go", "ping", "note"]);
            let mut trigger = json!({"event": kind});
            if steps.chance.one_in(4) {
                trigger["where"] = json!("event.data.n > 0");
            }
            if kind == "note" {
                return json!([trigger, {"event": "go", "where": "event.data.n == 2"}]);
            }
            json!([trigger])
        }
    }
}
