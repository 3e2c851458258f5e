//! A state that an earlier version wrote still opens and goes on: waiting runs are woken, timers
//! fire, what was under way is repeated under its key, and what failed can be retried.
//!
//! `tests/fixtures/state-v1.txt` holds the rows of such a state, a key and a value in hex on each
//! line. It never changes; a format's next version adds a file. It was made with
//! `ADJUTANT_WRITE_SAMPLE=tests/fixtures/state-v1.txt cargo test --test state_samples write`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::fmt::Write as _;
use std::sync::Arc;

use adjutant::model::{
    Cause, Digest, Draft, EffectState, EventNo, Input, Map, Operator, Outcome, Reply, RunNo,
    Status, Task, Value, View, Wait, Write,
};
use adjutant::pump::Pump;
use adjutant::store::{MemoryStore, State, Store};
use serde_json::json;
use support::sim::{Setup, Sim, at};
use support::stored;

const RULES: &str = r#"
record: lead
index: [owner]
---
record: person
rows:
  ana: { email: ana@ops.example }
  tom: { email: tom@ops.example }
---
workflow: waits
triggers: [{ event: a.waits }]
exit: [{ event: a.left }]
steps:
  - record: ${event.subject}
    set: { owner: ana, at: "2026-03-02T10:00:00+01:00", score: 1.5, tags: [x, 1, true, null] }
  - wait_for: a.came
    where: event.data.n == 1
    timeout: 3d
    on_timeout:
      - email: ana@ops.example
        purpose: internal
        template: late
    id: came
  - record: ${event.subject}
    set: { came: "${!steps.came.timed_out}" }
---
workflow: sleeps
triggers: [{ event: b.sleeps }]
vars: { who: "${event.data.who}" }
steps:
  - delay: 2d
  - email: ana@ops.example
    purpose: internal
    subject: Good morning ${vars.who}
    text: It is time.
---
workflow: queues
triggers: [{ event: c.queues }]
key: one
mode: queued
steps:
  - delay: 1d
  - record: ${event.subject}
    set: { done: "${now}" }
---
workflow: fails
triggers: [{ event: d.fails }]
steps:
  - webhook: https://fails.example/in
    json: { n: "${event.data.n}" }
    retry: { attempts: 1 }
---
workflow: holds
triggers: [{ event: e.holds }]
steps:
  - webhook: https://holds.example/in
    json: { n: "${event.data.n}" }
    on_uncertain: hold
  - record: ${event.subject}
    set: { sent: true }
---
workflow: backs-off
triggers: [{ event: f.backs-off }]
steps:
  - webhook: https://backs-off.example/in
    json: { n: "${event.data.n}" }
---
workflow: talks
triggers: [{ event: g.talks }]
steps:
TALK  - delay: 5d
---
workflow: escalates
triggers: [{ event: h.escalates }]
steps:
  - escalate: ladder
    summary: About ${event.subject}
    severity: high
    resolve: { event: h.resolved }
    id: over
  - record: ${event.subject}
    set: { by: "${steps.over.event.data.by}" }
---
escalation: ladder
levels:
  - { after: 1h, notify: [ana] }
  - { after: 1d, notify: [tom] }
---
workflow: sends
triggers: [{ event: i.sends }]
steps:
  - email: tom@ops.example
    purpose: internal
    subject: Number ${event.data.n}
    text: Hello.
"#;

const LATE: &str = "Subject: {{ event.subject }} is late\n\nNobody came.\n";

/// Steps of the workflow whose story is too long for one row.
const STEPS: i64 = 60;

/// When the sample was made.
const MADE: &str = "2026-03-02T12:00:00Z";

fn setup() -> Setup {
    let talk = (1..=STEPS).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "  - vars: {{ a: {n} }}");
        text
    });
    Setup::rules(&RULES.replace("TALK", &talk)).template("late.txt", LATE)
}

/// Rules that know nothing of the runs in the sample: those go on with what is stored.
fn other_rules() -> Setup {
    Setup::rules(
        "record: lead\nindex: [owner]\n---\nrecord: person\nrows:\n  ana: { email: new@ops.example }\n  tom: { email: tom@ops.example }\n",
    )
}

/// How the receivers answer while the sample is made.
fn badly(command: &adjutant::model::Command, _: usize) -> Outcome {
    let cause = Cause::new("http_503", "the receiver answered 503");
    match &*command.workflow {
        "fails" => Outcome::Failed(cause),
        "holds" => Outcome::Uncertain(cause),
        "backs-off" => Outcome::Retry { after: None, why: cause },
        _ => Outcome::Done(Value::from([("message", "sent".into())])),
    }
}

fn sample() -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    let rules = Arc::new(setup().compile().unwrap_or_else(|text| panic!("{text}")));
    let mut sim =
        Sim::over(store.clone(), rules.clone(), at("2026-03-02T10:00:00Z")).answers(badly);
    sim.event_with_id(
        "1",
        "a.waits",
        "lead/1",
        json!({ "text": "\u{e9}", "deep": { "a": [1, 2.5] } }),
    );
    sim.event_with_id("2", "a.waits", "lead/2", json!({}));
    sim.event_with_id("3", "a.waits", "lead/3", json!({}));
    sim.event_with_id("4", "b.sleeps", "lead/4", json!({ "who": "Joe" }));
    sim.event_with_id("5", "c.queues", "lead/5", json!({}));
    sim.event_with_id("6", "c.queues", "lead/6", json!({}));
    sim.event_with_id("7", "d.fails", "lead/7", json!({ "n": 7 }));
    sim.event_with_id("8", "e.holds", "lead/8", json!({ "n": 8 }));
    sim.event_with_id("9", "g.talks", "", json!({}));
    sim.event_with_id("10", "h.escalates", "lead/10", json!({}));
    sim.until(MADE);
    sim.event_with_id("11", "f.backs-off", "lead/11", json!({ "n": 11 }));
    let now = sim.now;
    drop(sim);

    // The last mail is under way: started, and nobody heard of its end.
    let mut pump: Pump<()> = Pump::open(store.clone(), rules, now).unwrap();
    let draft = Draft {
        id: "12".into(),
        source: "test".into(),
        kind: "i.sends".into(),
        subject: None,
        time: None,
        data: Value::from([("n", Value::Int(12))]),
        extensions: Map::from([("trace".into(), "x".into())]),
    };
    pump.take(now, Input::Event(Box::new(draft)), None).unwrap();
    while pump.work(now).unwrap() {}
    let batch = pump.seal().unwrap();
    store.commit(&batch).unwrap();
    assert_eq!(pump.durable().commands.len(), 1);
    drop(pump);

    // And there is work of the engine's own to go on with: to offer an event once more does no harm.
    let (mut state, _) = State::load(store.clone()).unwrap();
    let no = state.next_inbox();
    let task = Task::Wake { event: EventNo(1), after: RunNo(0) };
    state.apply(vec![Write::Inbox(no, task)]).unwrap();
    store.commit(&state.seal().unwrap()).unwrap();
    store
}

#[test]
fn write_the_sample_if_asked() {
    let store = sample();
    stored::write_if_asked(&store);
    // What is made today goes on as well as what was made then.
    goes_on(&store);
}

#[test]
fn version_1_still_opens_and_goes_on() {
    let (store, kinds) = stored::read("state-v1.txt");
    assert_eq!(kinds, b"bcdeimrstx".iter().copied().collect(), "every kind of row is in it");
    goes_on(&store);
}

/// The run that the event with this id began.
fn run_of(sim: &Sim, id: u64) -> Arc<adjutant::model::Run> {
    let identity = Digest::of(&[b"test", id.to_string().as_bytes()]);
    let (no, _) = sim.state().identity(identity).unwrap().unwrap();
    let stored = sim.state().event(no).unwrap().unwrap();
    sim.run(stored.runs[0].0)
}

#[allow(clippy::too_many_lines, reason = "one story")]
fn goes_on(store: &Arc<MemoryStore>) {
    // As it lies there.
    let (state, unfinished) = State::load(store.clone()).unwrap();
    let runs = state.runs_after(RunNo(0), 1_000).unwrap();
    assert_eq!(runs.len(), 13, "twelve events, and a ladder");
    assert_eq!((unfinished.inbox.len(), unfinished.started.len()), (1, 1));
    let sent = state.run(unfinished.started[0].0).unwrap().unwrap();
    let key = sent.effect().unwrap().key;
    let first = state.event(EventNo(1)).unwrap().unwrap();
    assert_eq!(first.event.data.get("deep").unwrap().to_json(), json!({ "a": [1, 2.5] }));
    drop(state);

    let rules = Arc::new(other_rules().compile().unwrap_or_else(|text| panic!("{text}")));
    let mut sim = Sim::over(store.clone(), rules, at(MADE)).answers(|_, _| {
        Outcome::Done(Value::from([("status", Value::Int(200)), ("message", "sent".into())]))
    });
    sim.restart();
    assert_eq!(run_of(&sim, 1).wait, Wait::Event(at("2026-03-05T10:00:00Z")));
    assert_eq!(run_of(&sim, 4).wait, Wait::Until(at("2026-03-04T10:00:00Z")));
    assert_eq!(run_of(&sim, 5).status, Status::Active);
    assert_eq!((run_of(&sim, 6).status, &run_of(&sim, 6).wait), (Status::Queued, &Wait::Slot));
    assert_eq!(run_of(&sim, 7).status, Status::Failed);
    assert_eq!(run_of(&sim, 8).effect().unwrap().state, EffectState::Held);
    assert!(matches!(
        run_of(&sim, 11).effect().unwrap().state,
        EffectState::Backoff { until } if until > at(MADE)
    ));
    let talk = run_of(&sim, 9);
    assert!(talk.spilled > 0);
    let story = sim.state().spilled(talk.no).unwrap();
    assert_eq!(story.len(), talk.spilled as usize);
    assert_eq!(talk.vars["a"], Value::Int(STEPS));
    let ana = sim.state().records_where("lead", "owner", &"ana".into(), 10).unwrap();
    let ana: Vec<_> = ana.iter().map(|record| record.address.to_string()).collect();
    assert_eq!(ana, ["lead/1", "lead/2", "lead/3"]);
    assert_eq!(sim.field("lead/1", "at"), at("2026-03-02T09:00:00Z").into());

    // What was under way was performed once more, under the key it had.
    let again: Vec<_> = sim.effects.iter().map(|effect| (effect.key, effect.to.clone())).collect();
    assert_eq!(again, [(key, "tom@ops.example".to_owned())]);
    assert_eq!(sim.run(sent.no.0).status, Status::Done);
    sim.effects.clear();

    // A known event is known.
    let token = sim.event_with_id("4", "b.sleeps", "lead/4", json!({ "who": "Joe" }));
    assert!(matches!(&sim.replies[&token], Reply::Accepted { event: EventNo(4), duplicate: true }));

    // An event wakes its waiter and no other, and an exit ends a run.
    sim.event("a.came", "lead/1", json!({ "n": 2 }));
    assert_eq!(run_of(&sim, 1).status, Status::Active);
    sim.event("a.came", "lead/1", json!({ "n": 1 }));
    assert_eq!(sim.field("lead/1", "came"), true.into());
    assert_eq!(run_of(&sim, 1).status, Status::Done);
    assert_eq!(run_of(&sim, 2).status, Status::Active);
    sim.event("a.left", "lead/3", json!({}));
    assert_eq!(run_of(&sim, 3).status, Status::Done);
    sim.event("h.resolved", "lead/10", json!({ "by": "tom" }));
    assert_eq!(sim.field("lead/10", "by"), "tom".into());

    // A person has the failed one tried again, and lets the held one go.
    let by = || "ana".into();
    for (event, assume_done) in [(7, false), (8, true)] {
        let run = run_of(&sim, event).no;
        let reply = sim.operator(Operator::Retry { run, assume_done, by: by() });
        assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
        let run = run_of(&sim, event);
        assert_eq!(run.status, Status::Done, "{:?}", run.reason);
    }

    // Timers fire, with the text of the version they began with, and the queue moves up.
    sim.effects.clear();
    sim.until("2026-03-20T00:00:00Z");
    let said: Vec<_> = sim
        .effects
        .iter()
        .map(|effect| {
            let subject = effect.said.as_ref().map_or("", |(subject, _)| subject.as_str());
            format!("{} {} {subject}", effect.at, effect.to)
        })
        .collect();
    assert_eq!(
        said[1..],
        [
            "2026-03-04T10:00:00Z ana@ops.example Good morning Joe",
            "2026-03-05T10:00:00Z ana@ops.example lead/2 is late",
        ]
    );
    assert!(said[0].contains("https://backs-off.example/in"), "{said:?}");
    assert_eq!(sim.field("lead/5", "done"), at("2026-03-03T10:00:00Z").into());
    assert_eq!(sim.field("lead/6", "done"), at("2026-03-04T10:00:00Z").into());
    assert_eq!(sim.state().next_due(), None);
    let alive = sim.state().runs_in(Status::Active).unwrap().count();
    assert_eq!(alive, 0);
}
