//! A test as data: rules and a timeline, and what is seen of it.
//!
//! A line of the timeline is an event (`type subject {data}`, subject `-` for none), `+5m` or
//! `@instant` to let time pass, `restart`, or what a person does: `cancel 1`, `retry 1`, `assume 1`,
//! `ack 1`, `resolve 1`, `release 1`, `reset workflow`.
//!
//! How an effect ends stands in its address: the last part of a URL's path, or the part of a mail's
//! address before the `@`, is a list such as `retry-uncertain-ok`, one word for each attempt; an attempt that a crash
//! has repeated ends as it did.

use adjutant::model::{
    Cause, Command, Duration, Operator, Outcome, Reply, RunNo, Span, Value, View as _,
};

use crate::support::sim::{Setup, Sim};

/// A Monday.
pub(crate) const START: &str = "2026-03-02T09:00:00Z";

/// Plays a timeline from [`START`]; gives what was performed and logged, then every run.
pub(crate) fn play(rules: &str, timeline: &[&str]) -> Vec<String> {
    let mut sim = begin(rules);
    for line in timeline {
        act(&mut sim, line);
    }
    lines(&mut sim)
}

/// Requires exactly these lines.
pub(crate) fn plays(rules: &str, timeline: &[&str], expected: &[&str]) {
    let seen = play(rules, timeline);
    assert!(seen == expected, "seen:\n  {}\nof {timeline:#?}", seen.join("\n  "));
}

/// A simulation whose effects end as their addresses say.
pub(crate) fn begin(rules: &str) -> Sim {
    Sim::start(&Setup::rules(rules), START).answers(scripted)
}

/// What was seen, and every run.
pub(crate) fn lines(sim: &mut Sim) -> Vec<String> {
    let mut seen = std::mem::take(&mut sim.log);
    for no in 1..=sim.runs() {
        // One that retention or an `erase` has removed.
        let Ok(Some(run)) = sim.state().run(RunNo(no)) else { continue };
        let why = match (&run.reason, run.status.as_str()) {
            (Some(cause), status @ ("failed" | "cancelled")) => format!("{status}: {cause}"),
            (Some(cause), status) if &*cause.code != "done" => format!("{status}: {cause}"),
            (_, status) => status.to_owned(),
        };
        seen.push(format!("#{no} {} {why}", run.workflow));
    }
    seen
}

/// Does one line of a timeline.
pub(crate) fn act(sim: &mut Sim, line: &str) {
    if let Some(span) = line.strip_prefix('+') {
        let span: Duration = span.parse().expect("a duration");
        let span = span.elapsed().expect("an elapsed duration");
        sim.until_instant(sim.now + span);
        return;
    }
    if let Some(instant) = line.strip_prefix('@') {
        sim.until(instant);
        return;
    }
    let mut words = line.splitn(3, ' ');
    let verb = words.next().unwrap_or_default();
    let second = words.next();
    let run = second.and_then(|word| word.parse().ok()).map(RunNo);
    let by = || "tom".into();
    let operator = match (verb, run) {
        ("restart", None) => return sim.restart(),
        ("cancel", Some(run)) => Operator::Cancel { run, reason: None, by: by() },
        ("retry", Some(run)) => Operator::Retry { run, assume_done: false, by: by() },
        ("assume", Some(run)) => Operator::Retry { run, assume_done: true, by: by() },
        ("ack", Some(run)) => Operator::Acknowledge { run, by: by() },
        ("resolve", Some(run)) => Operator::Resolve { run, by: by() },
        ("release", Some(run)) => Operator::Release { run, by: by() },
        ("decide", None) => {
            // `decide ID by outcome`, `delegate ID by to`
            let mut rest = words.next().unwrap_or_default().splitn(2, ' ');
            let by = rest.next().unwrap_or_default().into();
            let outcome = rest.next().unwrap_or_default().into();
            let approval = second.unwrap_or_default().into();
            Operator::Decide { approval, outcome, comment: None, asked_only: true, by }
        }
        ("delegate", None) => {
            let mut rest = words.next().unwrap_or_default().splitn(2, ' ');
            let by = rest.next().unwrap_or_default().into();
            let to = rest.next().unwrap_or_default().into();
            Operator::Delegate { approval: second.unwrap_or_default().into(), to, by }
        }
        ("reset", None) => {
            Operator::Reset { workflow: second.unwrap_or_default().into(), by: by() }
        }
        _ => {
            let subject = second.filter(|subject| *subject != "-").unwrap_or_default();
            let data = words.next().unwrap_or("{}");
            let data = serde_json::from_str(data).expect("data is JSON");
            sim.event(verb, subject, data);
            return;
        }
    };
    if let Reply::Refused(why) = sim.operator(operator) {
        sim.log.push(format!("refused: {why}"));
    }
}

pub(crate) fn scripted(command: &Command, _times: usize) -> Outcome {
    let text = |name: &str| command.params.get(name).and_then(Value::as_text).map(str::to_owned);
    let to = match command.params.get("to") {
        Some(Value::List(to)) => to.first().and_then(Value::as_text).map(str::to_owned),
        _ => None,
    };
    let address = to.or_else(|| text("url")).unwrap_or_default();
    let script = address.rsplit('/').next().unwrap_or_default();
    let script = script.split('@').next().unwrap_or_default();
    let words: Vec<&str> = script.split('-').collect();
    let word =
        words.get(usize::from(command.attempt) - 1).or(words.last()).copied().unwrap_or_default();
    match word {
        "retry" => Outcome::Retry { after: None, why: Cause::new("http_503", "status 503") },
        "failed" => Outcome::Failed(Cause::new("http_400", "status 400")),
        "uncertain" => Outcome::Uncertain(Cause::new("timeout", "no answer")),
        other => match other.strip_prefix("after").and_then(|s| s.parse().ok()) {
            Some(secs) => Outcome::Retry {
                after: Some(Span::from_secs(secs)),
                why: Cause::new("http_429", "status 429"),
            },
            None => Outcome::Done(Value::from([("status", Value::Int(200))])),
        },
    }
}
