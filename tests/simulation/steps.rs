//! Blocks of steps made up from a seed: every kind of step, with every key that may stand beside it.

use serde_json::{Value, json};

use crate::grammar::Weather;
use crate::support::chance::Chance;

/// How deep blocks nest.
const DEPTH: u32 = 2;
/// Steps of one kind that make more runs, in a document: their number multiplies.
const EMITS: u32 = 2;
const FANS: u32 = 2;

/// Makes up the steps of one document.
pub(crate) struct Steps<'c> {
    pub(crate) chance: &'c mut Chance,
    weather: Weather,
    /// Whether what it sends may depend on records.
    reads: bool,
    /// How many calls lie above its runs: a callee calls only those below it.
    level: u32,
    ids: u32,
    emits: u32,
    fans: u32,
}

impl<'c> Steps<'c> {
    /// Of a document whose runs lie so many calls deep.
    pub(crate) fn new(chance: &'c mut Chance, weather: Weather, level: u32) -> Self {
        let reads = weather == Weather::Wild;
        Self { chance, weather, reads, level, ids: 0, emits: 0, fans: 0 }
    }

    pub(crate) fn is_wild(&self) -> bool {
        self.weather == Weather::Wild
    }

    /// A block of steps that lies so deep.
    pub(crate) fn block(&mut self, depth: u32) -> Vec<Value> {
        let count = if depth == 0 { 2 + self.chance.below(4) } else { 1 + self.chance.below(2) };
        (0..count).map(|_| self.step(depth)).collect()
    }

    fn step(&mut self, depth: u32) -> Value {
        let nests = depth < DEPTH;
        let mut step = match self.chance.below(26) {
            0 => json!({"log": "${vars.n} of ${event.subject}"}),
            1 => json!({"vars": {"n": "${vars.n + 1}", "m": "${event.type}"}}),
            2 => json!({"rhai": "vars.n * 2 + 1"}),
            3 | 4 => self.delay(),
            8 => self.email(depth),
            9 => self.record(depth),
            10 | 11 if self.is_wild() => self.wait_for(depth),
            12 if nests => self.then(depth),
            13 if nests => self.switch(depth),
            14 | 15 if nests && self.fans < FANS => self.fan(depth),
            16 if self.level < 2 => self.call(depth),
            17 if self.emits < EMITS => self.emit(),
            18 if self.is_wild() => self.escalate(depth),
            19 => self.end(),
            20 => self.metric(),
            21 => self.script(depth),
            22 => self.action(depth),
            23 if self.is_wild() => self.approve(depth),
            24 if self.is_wild() => self.pick(),
            _ => self.webhook(depth),
        };
        if step.get("id").is_none() && self.chance.one_in(4) {
            step["id"] = self.id();
        }
        if step.get("if").is_none() && self.chance.one_in(8) {
            step["if"] = json!("vars.n >= 1");
        }
        step
    }

    fn id(&mut self) -> Value {
        self.ids += 1;
        json!(format!("s{}", self.ids))
    }

    fn delay(&mut self) -> Value {
        match self.chance.below(6) {
            0 if self.is_wild() => json!({"delay": "1bh", "hours": "office"}),
            1 => json!({"delay": "${span(\"1m\") * (1 + vars.n)}"}),
            2 => json!({"delay": "1h"}),
            _ => json!({"delay": self.chance.pick(["10s", "2m", "5m"])}),
        }
    }

    fn webhook(&mut self, depth: u32) -> Value {
        let url = self.chance.pick([
            "https://x.example/in",
            "https://y.example/in",
            "https://z.example/in",
        ]);
        let mut step = json!({"webhook": url, "json": {"n": "${vars.n}", "of": "${event.id}"}});
        if self.reads && self.chance.one_in(3) {
            step["json"]["lead"] = json!("${record(\"lead\", \"1\")?.stage}");
        }
        self.attempts(&mut step);
        self.on_error(&mut step, depth);
        step
    }

    fn email(&mut self, depth: u32) -> Value {
        let to = match self.chance.below(3) {
            0 => json!("person:ana"),
            1 => json!(["a@x.example", "tom@x.example"]),
            _ => json!("tom@x.example"),
        };
        let mut step = json!({"email": to, "purpose": "internal", "subject": "n ${vars.n}",
            "text": "about ${event.id}"});
        if self.is_wild() && self.chance.one_in(3) {
            step["email"] = json!("person:ana");
            step["purpose"] = json!("news");
        }
        self.attempts(&mut step);
        self.on_error(&mut step, depth);
        step
    }

    fn attempts(&mut self, step: &mut Value) {
        if self.chance.one_in(2) {
            let attempts = 1 + self.chance.below(3);
            step["retry"] = json!({"attempts": attempts, "initial": "10s", "max_wait": "1m"});
        }
        if self.is_wild() && self.chance.one_in(4) {
            step["on_uncertain"] = json!(self.chance.pick(["hold", "retry"]));
        }
        if self.chance.one_in(6) {
            step["timeout"] = json!("30s");
        }
    }

    fn on_error(&mut self, step: &mut Value, depth: u32) {
        match self.chance.below(4) {
            0 => step["on_error"] = json!("continue"),
            1 if depth < DEPTH => {
                let mut block = self.block(depth + 1);
                block.insert(0, json!({"log": "${error.code}"}));
                step["on_error"] = json!(block);
            }
            _ => {}
        }
    }

    fn record(&mut self, depth: u32) -> Value {
        let address = "lead/${event.data.get(\"n\") ?? 1}";
        let change = self.chance.below(7);
        let mut step = match change {
            // What fails, or not, by what others did to the record before.
            _ if !self.is_wild() => json!({"record": address, "set": {"stage": "new"}}),
            0 => json!({"record": address, "create": {"stage": "new"}}),
            1 => json!({"record": address, "delete": true}),
            2 => json!({"record": address, "unset": ["count"]}),
            3 => json!({"record": address}),
            4 => json!({"record": address,
                "set": {"count": "${(old.get(\"count\") ?? 0) + 1}"}}),
            _ => {
                json!({"record": address, "set": {"stage": self.chance.pick(["new", "open", "lost"])}})
            }
        };
        self.on_error(&mut step, depth);
        step
    }

    fn wait_for(&mut self, depth: u32) -> Value {
        let timeout = self.chance.pick(["30s", "10m", "2h"]);
        let mut step = match self.chance.below(5) {
            0 => json!({"wait_for": {"record": "lead", "becomes": "record.stage == \"open\"",
                "subject": "any"}, "timeout": timeout}),
            1 => json!({"wait_for": ["pong", "note"], "timeout": timeout, "subject": "any"}),
            2 => json!({"wait_for": "pong", "where": "event.data.n >= vars.n",
                "timeout": timeout}),
            3 => json!({"wait_for": "fixed", "subject": "lead/2", "timeout": timeout}),
            _ => json!({"wait_for": "pong", "timeout": timeout}),
        };
        if depth < DEPTH && self.chance.one_in(2) {
            step["on_timeout"] = json!(self.block(depth + 1));
        }
        step
    }

    fn then(&mut self, depth: u32) -> Value {
        let mut step = json!({"if": "vars.n > 1", "then": self.block(depth + 1)});
        if self.chance.one_in(2) {
            step["else"] = json!(self.block(depth + 1));
        }
        step
    }

    fn switch(&mut self, depth: u32) -> Value {
        let first = json!({"if": "vars.n == 1", "then": self.block(depth + 1)});
        let second = json!({"if": "vars.n == 2", "then": self.block(depth + 1)});
        let last = json!({"else": self.block(depth + 1)});
        json!({"switch": [first, second, last]})
    }

    fn fan(&mut self, depth: u32) -> Value {
        self.fans += 1;
        let mut step = if self.chance.one_in(2) {
            let lists: Vec<_> =
                (0..2 + self.chance.below(2)).map(|_| self.block(depth + 1)).collect();
            json!({"parallel": lists})
        } else {
            let items = self.chance.pick(["${event.data.get(\"list\") ?? [1, 2]}", "${[1, 2, 3]}"]);
            let mut block = self.block(depth + 1);
            block.insert(0, json!({"vars": {"n": "${vars.n + index}"}}));
            let mut step = json!({"foreach": items, "as": "one", "steps": block});
            if self.chance.one_in(2) {
                step["max_parallel"] = json!(1 + self.chance.below(2));
            }
            if self.chance.one_in(4) {
                step["limit"] = json!(2);
            }
            step
        };
        if self.is_wild() && self.chance.one_in(5) {
            step["timeout"] = json!("4m");
        }
        self.on_error(&mut step, depth);
        step
    }

    fn call(&mut self, depth: u32) -> Value {
        let callee =
            if self.level == 0 { self.chance.pick(["callee", "helper"]) } else { "helper" };
        let mut step = json!({"call": callee, "args": {"n": "${vars.n}"}});
        if self.chance.one_in(4) {
            step["await"] = json!(false);
        } else if self.is_wild() && self.chance.one_in(4) {
            step["timeout"] = json!("3m");
        }
        self.on_error(&mut step, depth);
        step
    }

    fn emit(&mut self) -> Value {
        self.emits += 1;
        let kind = self.chance.pick(["ping", "pong", "note"]);
        let mut step = json!({"emit": kind, "data": {"n": "${vars.n}"}});
        if self.is_wild() && self.chance.one_in(4) {
            step["subject"] = json!("lead/3");
        }
        step
    }

    fn escalate(&mut self, depth: u32) -> Value {
        let mut step = json!({"escalate": self.chance.pick(["up", "over"])});
        match self.chance.below(4) {
            0 => {}
            1 => {
                step["resolve"] = json!({"event": "fixed", "where": "event.data.n >= vars.n"});
            }
            _ => step["resolve"] = json!({"event": "fixed"}),
        }
        match self.chance.below(4) {
            0 => step["await"] = json!(false),
            1 => step["timeout"] = json!("20m"),
            _ => {}
        }
        self.on_error(&mut step, depth);
        step
    }

    fn approve(&mut self, depth: u32) -> Value {
        let timeout = self.chance.pick(["5m", "40m", "6h"]);
        let mut step = json!({"approve": ["ana", "tom"], "timeout": timeout,
            "need": 1 + self.chance.below(2), "summary": "n ${vars.n}"});
        if self.chance.one_in(2) {
            step["warn"] = json!(["25%", "50%"]);
        }
        if depth < DEPTH && self.chance.one_in(3) {
            step["on_timeout"] = json!(self.block(depth + 1));
        }
        self.on_error(&mut step, depth);
        step
    }

    fn pick(&mut self) -> Value {
        json!({"pick": "crew", "except": self.chance.pick(["ana", "tom", "nobody"])})
    }

    fn metric(&mut self) -> Value {
        let mut step = json!({"metric": "steps_total"});
        match self.chance.below(3) {
            0 => step["add"] = json!("${vars.n}"),
            1 => step = json!({"metric": "last_n", "set": "${vars.n}"}),
            _ => step["labels"] = json!({"about": "${event.subject}"}),
        }
        step
    }

    fn script(&mut self, depth: u32) -> Value {
        // Of three it throws: what a plugin does wrong is a failure of the step.
        let mut step = json!({"script": "twice", "args": ["${vars.n}"]});
        self.on_error(&mut step, depth);
        step
    }

    fn action(&mut self, depth: u32) -> Value {
        let mut step =
            json!({"action": "deeds", "args": {"n": self.chance.below(4), "of": "${vars.n}"}});
        self.attempts(&mut step);
        self.on_error(&mut step, depth);
        step
    }

    fn end(&mut self) -> Value {
        if self.chance.one_in(2) {
            json!({"stop": "enough", "if": "vars.n == 2"})
        } else {
            json!({"fail": "no ${vars.n}", "if": "vars.n == 3"})
        }
    }
}
