//! The pump on virtual time: real rules, the real engine, a memory store that loses what was not
//! synced, and actions that answer as scripted.
//!
//! The ledger of effects is the outside world: it survives crashes. A crash can be planned at any
//! commit: before it (nothing of it is left), after it (nobody heard of it), or after what it
//! released was performed (the outcomes are lost).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::tampered::Tampered;
use adjutant::actions::{render, sender};
use adjutant::model::{
    ActionKind, Address, Ask, Command, Draft, EffectKey, Event, EventNo, Input, Instant, Map,
    Operator, Outcome, ReadError, Reply, RunNo, Settled, Status, Value, View,
};
use adjutant::pump::{Answer, Pump, Query, Released, Response};
use adjutant::rules::{
    Bundle, Context, Files, HookContext, Look, RuleSet, SourceFile, Sources, TemplateFile,
};
use adjutant::script::Host;
use adjutant::store::{Batch, MemoryStore, Op, State, Store};

/// One effect as the outside world saw it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Performed {
    pub(crate) at: Instant,
    pub(crate) key: EffectKey,
    pub(crate) action: ActionKind,
    pub(crate) workflow: String,
    /// Recipients of a mail, the address of a webhook.
    pub(crate) to: String,
    pub(crate) params: Value,
    /// Of a mail: its subject and text as sent.
    pub(crate) said: Option<(String, String)>,
}

/// When the planned crash happens, relative to its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    Before,
    After,
    AfterPerforming,
}

/// What a simulation is started with.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    pub(crate) rules: Vec<(String, String)>,
    pub(crate) templates: Vec<(String, String)>,
    pub(crate) plugins: Vec<(String, String)>,
    pub(crate) endpoints: Vec<String>,
    pub(crate) hooks: Vec<HookContext>,
}

impl Setup {
    pub(crate) fn rules(text: &str) -> Self {
        Self { rules: vec![("rules/test.yaml".to_owned(), text.to_owned())], ..Self::default() }
    }

    /// Adds a template with a subject that names it.
    pub(crate) fn template(mut self, name: &str, text: &str) -> Self {
        self.templates.push((name.to_owned(), text.to_owned()));
        self
    }

    pub(crate) fn plugin(mut self, name: &str, text: &str) -> Self {
        self.plugins.push((format!("plugins/{name}.rhai"), text.to_owned()));
        self
    }

    /// A plugin that is a folder.
    pub(crate) fn plugin_folder(mut self, name: &str, manifest: &str, text: &str) -> Self {
        self.plugins.push((format!("plugins/{name}/plugin.yaml"), manifest.to_owned()));
        self.plugins.push((format!("plugins/{name}/{name}.rhai"), text.to_owned()));
        self
    }

    /// Compiled, or the diagnostics as a person would read them.
    pub(crate) fn compile(&self) -> Result<RuleSet, String> {
        let file = |(name, text): &(String, String)| SourceFile {
            name: name.as_str().into(),
            text: text.as_str().into(),
        };
        let sources = Sources {
            rules: self.rules.iter().map(file).collect(),
            templates: self
                .templates
                .iter()
                .map(|(name, text)| TemplateFile {
                    file: file(&(format!("rules/templates/{name}"), text.clone())),
                    dir: "rules".into(),
                })
                .collect(),
            plugins: self.plugins.iter().map(file).collect(),
        };
        let context = Context {
            endpoints: self.endpoints.iter().map(|name| name.as_str().into()).collect(),
            timezone: "UTC".into(),
            hooks: self.hooks.clone(),
            ..Context::default()
        };
        match RuleSet::compile(&sources, &context) {
            Ok((rules, _)) => Ok(rules),
            Err(found) => {
                Err(adjutant::rules::render(&found, &Files::of(sources.files()), Look::Plain))
            }
        }
    }
}

type Script = Box<dyn FnMut(&Command, usize) -> Outcome>;

/// See the room's description.
pub(crate) struct Sim {
    store: Arc<Tampered>,
    rules: Arc<RuleSet>,
    pump: Pump<usize>,
    pub(crate) now: Instant,
    pub(crate) effects: Vec<Performed>,
    /// Effects and what `log:` steps said, in order: `09:00:00 workflow: text`.
    pub(crate) log: Vec<String>,
    answer: Option<Answer>,
    pub(crate) replies: BTreeMap<usize, Reply>,
    script: Script,
    /// How often each effect was performed.
    performed: BTreeMap<EffectKey, usize>,
    /// Commands whose outcome is not fed yet.
    under_way: VecDeque<(Command, Outcome)>,
    /// Inputs not answered yet: their sender tries again after a crash.
    unanswered: BTreeMap<usize, Input>,
    /// Polls to be carried out.
    pub(crate) asks: Vec<Ask>,
    tokens: usize,
    events: usize,
    /// Outcomes are kept back: everything performed is still under way.
    paused: bool,
    pub(crate) commits: usize,
    crash: Option<(usize, Crash)>,
    pub(crate) crashed: bool,
}

impl Sim {
    /// Starts at `start` (RFC 3339).
    pub(crate) fn start(setup: &Setup, start: &str) -> Self {
        let rules = match setup.compile() {
            Ok(rules) => Arc::new(rules),
            Err(text) => panic!("the rules do not compile:\n{text}"),
        };
        Self::with_rules(rules, at(start))
    }

    pub(crate) fn with_rules(rules: Arc<RuleSet>, now: Instant) -> Self {
        Self::over(Arc::new(MemoryStore::new()), rules, now)
    }

    /// On a store that holds something already.
    pub(crate) fn over(store: Arc<MemoryStore>, rules: Arc<RuleSet>, now: Instant) -> Self {
        let store = Arc::new(Tampered::over(store));
        let pump = Pump::open(store.clone(), rules.clone(), now).expect("the store opens");
        let pump = pump.with_key(now, [7; 32]).expect("the store can be read");
        let mut sim = Self {
            store,
            rules,
            pump,
            now,
            effects: Vec::new(),
            log: Vec::new(),
            answer: None,
            replies: BTreeMap::new(),
            script: Box::new(|_, _| Outcome::Done(Value::from([("message", "sent".into())]))),
            performed: BTreeMap::new(),
            under_way: VecDeque::new(),
            unanswered: BTreeMap::new(),
            asks: Vec::new(),
            tokens: 0,
            events: 0,
            paused: false,
            commits: 0,
            crash: None,
            crashed: false,
        };
        sim.settle();
        sim
    }

    /// How effects end: by command and how often it was performed before.
    pub(crate) fn answers(
        mut self,
        script: impl FnMut(&Command, usize) -> Outcome + 'static,
    ) -> Self {
        self.script = Box::new(script);
        self
    }

    /// Plans a crash at the n-th commit from now on, counted from 1.
    pub(crate) fn crash_at(&mut self, commit: usize, crash: Crash) {
        self.crash = Some((self.commits + commit, crash));
    }

    /// From now on nothing that is performed comes to its end.
    pub(crate) fn pause(&mut self) {
        self.paused = true;
    }

    /// Everything under way comes to its end.
    pub(crate) fn resume(&mut self) {
        self.paused = false;
        self.settle();
    }

    /// Other rules from the next (re)start on.
    pub(crate) fn restart_with(&mut self, rules: Arc<RuleSet>) {
        self.rules = rules;
        self.reopen();
        self.settle();
    }

    /// Other rules from now on, without a restart.
    pub(crate) fn reload(&mut self, rules: Arc<RuleSet>) {
        self.rules = rules.clone();
        self.pump.put_in_force(self.now, rules, None).expect("the store works");
        self.settle();
    }

    /// The process dies and is started again.
    pub(crate) fn restart(&mut self) {
        self.reopen();
        self.settle();
    }

    /// Hands in an event and lets everything happen that follows at this instant.
    pub(crate) fn event(&mut self, kind: &str, subject: &str, data: serde_json::Value) -> usize {
        // Counted apart: what a person does in between must not change the ids of events.
        self.events += 1;
        let id = format!("event-{}", self.events);
        self.event_with_id(&id, kind, subject, data)
    }

    pub(crate) fn event_with_id(
        &mut self,
        id: &str,
        kind: &str,
        subject: &str,
        data: serde_json::Value,
    ) -> usize {
        self.input(Input::Event(Box::new(Draft {
            id: id.into(),
            source: "test".into(),
            kind: kind.into(),
            subject: (!subject.is_empty()).then(|| subject.into()),
            time: None,
            data: Value::from_json(data),
            extensions: Map::new(),
        })))
    }

    pub(crate) fn operator(&mut self, operator: Operator) -> Reply {
        let token = self.input(Input::Operator(operator));
        self.replies[&token].clone()
    }

    pub(crate) fn input(&mut self, input: Input) -> usize {
        self.tokens += 1;
        let token = self.tokens;
        self.unanswered.insert(token, input.clone());
        self.pump.take(self.now, input, Some(token)).expect("the store works");
        self.settle();
        token
    }

    /// Lets time pass until `until`, stopping wherever something is due.
    pub(crate) fn until(&mut self, until: &str) {
        self.until_instant(at(until));
    }

    pub(crate) fn until_instant(&mut self, until: Instant) {
        self.settle();
        while let Some(due) = self.pump.next_due().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.settle();
        }
        self.now = self.now.max(until);
        self.settle();
    }

    /// Does everything there is to do at this instant.
    fn settle(&mut self) {
        loop {
            while !self.pump.is_full() && self.pump.work(self.now).expect("the store works") {}
            if let Some(batch) = self.pump.seal() {
                self.commits += 1;
                let planned = self.crash.filter(|(commit, _)| *commit == self.commits);
                if matches!(planned, Some((_, Crash::Before))) {
                    self.crash_now();
                    continue;
                }
                self.store.commit(&batch).expect("a memory store commits");
                if matches!(planned, Some((_, Crash::After))) {
                    self.crash_now();
                    continue;
                }
                let released = self.pump.durable();
                self.release(released);
                if planned.is_some() {
                    self.crash_now();
                }
                continue;
            }
            if let Some(released) = self.pump.unwritten() {
                self.release(released);
                continue;
            }
            if self.paused {
                return;
            }
            let Some((command, outcome)) = self.under_way.pop_front() else { return };
            let settled =
                Settled { run: command.run, key: command.key, attempt: command.attempt, outcome };
            self.pump.take(self.now, Input::Outcome(settled), None).expect("the store works");
        }
    }

    fn crash_now(&mut self) {
        self.crash = None;
        self.crashed = true;
        self.reopen();
        for (token, input) in self.unanswered.clone() {
            self.pump.take(self.now, input, Some(token)).expect("the store works");
        }
    }

    fn reopen(&mut self) {
        self.under_way.clear();
        self.pump = Pump::open(self.store.clone(), self.rules.clone(), self.now)
            .expect("what was committed can be read");
    }

    fn release(&mut self, released: Released<usize>) {
        for (token, response) in released.responses {
            self.unanswered.remove(&token);
            match response {
                Response::Reply(reply) => drop(self.replies.insert(token, reply)),
                Response::Answer(answer) => self.answer = Some(answer),
                Response::Damaged(why) => panic!("damaged: {why}"),
            }
        }
        for (_, workflow, text) in released.said {
            self.log.push(format!("{} {workflow}: {text}", clock(self.now)));
        }
        self.asks.extend(released.asks);
        for (command, bundle) in released.commands {
            let times = self.performed.entry(command.key).or_default();
            let outcome = match (command.action, &bundle) {
                (ActionKind::Script, Some(bundle)) => {
                    let host = Lookups(self.pump.view());
                    render::script(&command, &bundle.sandbox, &host, &|| false)
                }
                _ => (self.script)(&command, *times),
            };
            *times += 1;
            let seen = see(&command, bundle.as_deref(), self.now);
            self.log.push(format!("{} {} {}", clock(self.now), seen.action.as_str(), seen.to));
            self.effects.push(seen);
            self.under_way.push_back((command, outcome));
        }
    }

    /// Asks what the API may ask.
    pub(crate) fn ask(&mut self, query: &Query) -> Answer {
        self.pump.ask(query, 0).expect("the store works");
        self.settle();
        self.answer.take().expect("an answer")
    }

    /// The store under the state.
    pub(crate) fn store(&self) -> &Tampered {
        &self.store
    }

    /// Changes a row behind the engine's back.
    pub(crate) fn damage(&mut self, op: Op) {
        self.store.damage(op);
    }

    /// The state as another process would load it.
    pub(crate) fn reloaded(&self) -> State {
        let copy = Arc::new(MemoryStore::new());
        let at = copy.lead().expect("a new store");
        let rows = self.store.scan(&[], &[0xff], usize::MAX).expect("readable");
        let ops = rows.into_iter().map(|(key, value)| Op::Put(key, value)).collect();
        copy.commit(&Batch { epoch: at.epoch, number: 1, ops }).expect("a memory store commits");
        State::load(copy).expect("readable").0
    }

    /// The state, for looking at.
    pub(crate) fn state(&self) -> &State {
        self.pump.view()
    }

    /// A field of a record.
    pub(crate) fn field(&self, address: &str, field: &str) -> Value {
        let address: Address = address.parse().expect("an address");
        let record = self.state().record(&address).expect("readable");
        record.and_then(|record| record.fields.get(field).cloned()).unwrap_or_default()
    }

    pub(crate) fn run(&self, no: u64) -> Arc<adjutant::model::Run> {
        self.state().run(RunNo(no)).expect("readable").unwrap_or_else(|| panic!("no run {no}"))
    }

    pub(crate) fn status(&self, no: u64) -> Status {
        self.run(no).status
    }

    /// Events of a type so far, oldest first.
    pub(crate) fn events_of(&self, kind: &str) -> Vec<Arc<Event>> {
        let all = self.state().events_after(EventNo(0), 10_000).expect("readable");
        let events = all.iter().map(|stored| stored.event.clone());
        events.filter(|event| *event.kind == *kind).collect()
    }

    /// How many runs there are.
    pub(crate) fn runs(&self) -> u64 {
        self.state().next_run().0 - 1
    }

    /// Effects since the last call, as `time to (template)`.
    pub(crate) fn seen(&mut self) -> Vec<String> {
        self.effects
            .drain(..)
            .map(|effect| {
                let what = effect.params.get("template").and_then(Value::as_text);
                format!("{} {} {}", effect.at, effect.to, what.unwrap_or(effect.action.as_str()))
            })
            .collect()
    }

    /// What must not depend on crashes: effects by key, runs by hash, records.
    pub(crate) fn final_state(&self) -> Vec<String> {
        let mut lines: BTreeMap<String, String> = BTreeMap::new();
        for effect in &self.effects {
            let line = format!("{} {:?} {}", effect.to, effect.said, effect.params);
            let old = lines.insert(format!("effect {}", effect.key), line.clone());
            assert!(old.is_none_or(|old| old == line), "one key, two contents: {line}");
        }
        for no in 1..=self.runs() {
            let run = self.run(no);
            let story = format!(
                "{} {} pc {} vars {} steps {}",
                run.workflow,
                run.status.as_str(),
                run.pc,
                Value::Map(run.vars.clone()),
                Value::Map(run.steps.clone())
            );
            let old = lines.insert(format!("run {}", run.hash), without_numbers(&story));
            assert!(old.is_none(), "two runs of one hash: {}", run.hash);
        }
        for kind in self.rules.records.keys() {
            for record in self.state().records(kind, None, 1_000).expect("readable") {
                let fields = Value::Map(record.fields.clone());
                lines.insert(format!("record {}", record.address), fields.to_string());
            }
        }
        lines.into_iter().map(|(key, line)| format!("{key}: {line}")).collect()
    }
}

/// What scripts read of records.
pub(crate) struct Lookups<'s>(pub(crate) &'s State);

impl Host for Lookups<'_> {
    fn record(&self, kind: &str, id: &str) -> Result<Value, ReadError> {
        let Ok(address) = Address::new(kind, id) else { return Ok(Value::Null) };
        Ok(self.0.record(&address)?.map_or(Value::Null, |record| record.as_read()))
    }

    fn records(
        &self,
        kind: &str,
        _: Option<(&str, &Value)>,
    ) -> Result<Option<Vec<Value>>, ReadError> {
        let found = self.0.records(kind, None, 1_000)?;
        Ok(Some(found.iter().map(|record| record.as_read()).collect()))
    }
}

fn see(command: &Command, bundle: Option<&Bundle>, at: Instant) -> Performed {
    let param = |name: &str| command.params.get(name).map(Value::to_json);
    let (to, said) = match command.action {
        ActionKind::Email => {
            let to = param("to").and_then(|to| to.as_array().cloned()).unwrap_or_default();
            let to: Vec<&str> = to.iter().filter_map(serde_json::Value::as_str).collect();
            let bundle = bundle.expect("a run's version is there");
            let from = sender("Adjutant <adjutant@ops.example>").expect("an address");
            let mail = render::email(command, &bundle.templates, &from);
            let mail = mail.unwrap_or_else(|cause| panic!("the mail does not render: {cause}"));
            (to.join(","), Some((mail.subject, mail.text)))
        }
        ActionKind::Webhook => {
            let url = param("url").or_else(|| param("endpoint")).unwrap_or_default();
            (url.as_str().unwrap_or_default().to_owned(), None)
        }
        ActionKind::Script => {
            let function = param("function").unwrap_or_default();
            (function.as_str().unwrap_or_default().to_owned(), None)
        }
    };
    Performed {
        at,
        key: command.key,
        action: command.action,
        workflow: command.workflow.to_string(),
        to,
        params: command.params.clone(),
        said,
    }
}

/// The time of day, with the date unless it is that on which most tests begin.
fn clock(at: Instant) -> String {
    let text = at.to_string();
    let text = text.trim_end_matches('Z');
    text.strip_prefix("2026-03-02T").unwrap_or(text).to_owned()
}

/// An instant from RFC 3339.
pub(crate) fn at(text: &str) -> Instant {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Numbers of runs are given in the order of beginning, which a crash may change: only their hashes stay.
fn without_numbers(text: &str) -> String {
    const BEFORE: &str = "\"run\":\"";
    let mut parts = text.split(BEFORE);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(BEFORE);
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out
}
