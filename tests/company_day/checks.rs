//! What must be true of a day, whatever came in: each check gives everything that is wrong, one a line.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use adjutant::engine::{Reading, entry_hash};
use adjutant::model::{
    ActionKind, EffectKey, Event, EventNo, Instant, OBLIGATION, Run, RunNo, Span, Text, Trace,
    Value, View as _, Wait, WindowKey,
};

use crate::day::{ANSWER, Counted, Day, MIDNIGHT, alive, waits_for};
use crate::marketing;
use crate::outside::Sent;
use crate::world::{is_failed, record, records, runs, text};

/// Events at a time.
const PAGE: usize = 1_000;
/// An open obligation is looked at each day.
const AGAIN: Span = Span::from_days(1);

/// Everything that is checked both at the end of the day and when all is over.
pub(crate) fn all(day: &Day) -> Vec<String> {
    let mut wrong = day.counted.faults.clone();
    wrong.extend(day.daemon.outside.faults.iter().cloned());
    wrong.extend(events_once(day));
    wrong.extend(failures(day));
    wrong.extend(obligations(day));
    wrong.extend(one_key(&day.daemon.outside.sent));
    wrong.extend(marketing::check(&day.daemon.outside));
    wrong.extend(mails(day));
    wrong.extend(answered_once(day));
    wrong.extend(waiting(day));
    wrong.extend(metrics(day));
    wrong.extend(ledgers(day));
    wrong
}

/// Every accepted event is there once, under the number that its sender was told; and no other from outside.
fn events_once(day: &Day) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen: BTreeMap<String, EventNo> = BTreeMap::new();
    let mut after = EventNo(0);
    loop {
        let page = day.daemon.state().events_after(after, PAGE).expect("readable");
        let Some(last) = page.last() else { break };
        after = last.event.no;
        for event in page.iter().map(|stored| &stored.event).filter(|one| *one.source == *"day") {
            if let Some(other) = seen.insert(event.id.to_string(), event.no) {
                wrong.push(format!("{} is event {} and event {other}", event.id, event.no));
            }
        }
    }
    let told = day.counted.accepted.iter().map(|(id, (no, _))| (id.clone(), *no));
    let told: BTreeMap<String, EventNo> = told.collect();
    if told != seen {
        let missing: Vec<_> = told.iter().filter(|(id, no)| seen.get(*id) != Some(no)).collect();
        wrong.push(format!("{} told, {} kept; not kept: {missing:?}", told.len(), seen.len()));
    }
    wrong
}

/// Why a run may have failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Blame {
    /// The other side refused for good, as the day wanted it.
    Refused,
    /// The event that is behind it makes no sense.
    Nonsense,
    /// Nobody did what the rule waited for, and it says so in its own words, or its lifetime was over.
    Nobody,
    /// What it called failed for one of these reasons.
    Called,
}

/// Who is to blame for a failed run; `None`: we are.
pub(crate) fn blame(day: &Day, run: &Run, refused: &BTreeSet<RunNo>) -> Option<Blame> {
    let code = run.reason.as_ref().map_or("", |reason| &*reason.code);
    let state = day.daemon.state();
    let children = || state.children(run.no).into_iter().filter_map(|no| state.run(no).ok()?);
    if refused.contains(&run.no) {
        Some(Blame::Refused)
    } else if matches!(code, "fail" | "lifetime") {
        Some(Blame::Nobody)
    } else if is_nonsense(day, run) {
        Some(Blame::Nonsense)
    } else if children().any(|child| is_failed(&child) && blame(day, &child, refused).is_some()) {
        Some(Blame::Called)
    } else {
        None
    }
}

/// Whether one of the events behind a run, that it has taken, or that was about the same, makes no sense.
fn is_nonsense(day: &Day, run: &Run) -> bool {
    let state = day.daemon.state();
    let woken = run.trace.iter().filter_map(|entry| match entry.what {
        Trace::Woken(no) => Some(state.event(no).expect("readable")?.event.id.clone()),
        _ => None,
    });
    // What resolved a ladder is known to the run that climbs it, and by its result to its caller.
    let results = run.steps.values().filter_map(|result| result.get("event")?.get("id"));
    let results = results.filter_map(|id| id.as_text().map(Text::from));
    let spoiled = run.subject.as_ref().is_some_and(|about| day.counted.spoiled.contains(&**about));
    if spoiled || woken.chain(results).any(|id| day.counted.absurd.contains(&*id)) {
        return true;
    }
    let mut event = run.event;
    loop {
        let Some(stored) = state.event(event).expect("readable") else { return false };
        if day.counted.absurd.contains(&*stored.event.id) {
            return true;
        }
        let before = stored.event.lineage.run.and_then(|no| state.run(no).expect("readable"));
        let Some(before) = before else { return false };
        event = before.event;
    }
}

/// Runs of which an effect was refused for good.
pub(crate) fn refused(day: &Day) -> BTreeSet<RunNo> {
    let sent = day.daemon.outside.sent.values();
    sent.filter(|sent| sent.refused).map(|sent| sent.run).collect()
}

/// No run failed but for a reason that the day gave it.
fn failures(day: &Day) -> Vec<String> {
    let refused = refused(day);
    let all = runs(day.daemon.state());
    let ours = all.iter().filter(|run| is_failed(run) && blame(day, run, &refused).is_none());
    ours.map(|run| {
        let reason = run.reason.as_ref().map(|cause| format!("{}: {}", cause.code, cause.message));
        format!("{} {} failed: {}", run.workflow, run.no, reason.unwrap_or_default())
    })
    .collect()
}

/// Whoever has promised something that is still open is there, and it is looked at again in time.
fn obligations(day: &Day) -> Vec<String> {
    let (state, now) = (day.daemon.state(), day.daemon.now);
    let mut wrong = Vec::new();
    for promise in records(state, OBLIGATION).iter().filter(|one| text(one, "status") == "open") {
        let (owner, address) = (text(promise, "owner"), &promise.address);
        let id = owner.strip_prefix("person:").unwrap_or(owner);
        let shipped = day.daemon.rules().records.get("person");
        let lives = shipped.is_some_and(|people| people.rows.contains_key(id))
            || record(state, "person", id).is_some();
        if !lives {
            wrong.push(format!("{address} is `{owner}`'s, who is nobody"));
        }
        let key =
            WindowKey { workflow: "".into(), what: "obligation".into(), key: address.id.clone() };
        let window = state.window(&key).expect("readable");
        let look = window.and_then(|window| window.due);
        let due = match promise.fields.get("due") {
            Some(Value::Instant(due)) => *due,
            _ => now,
        };
        let latest = due.max(now + AGAIN);
        if look.is_none_or(|look| look < now || look > latest) {
            wrong.push(format!("{address} is due {due} and looked at {look:?}"));
        }
    }
    wrong
}

/// Nothing was performed under two keys: no run has said the same twice at a time.
fn one_key(sent: &BTreeMap<EffectKey, Sent>) -> Vec<String> {
    let mut seen: BTreeMap<(RunNo, Instant, String), EffectKey> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (key, one) in sent {
        let what = (one.run, one.at, one.params.to_string());
        if let Some(other) = seen.insert(what, *key) {
            wrong.push(format!("{} {}: {key} says what {other} said", one.workflow, one.run));
        }
    }
    wrong
}

/// Mails that servers have taken are those that the daemon knows to be sent, and no others.
fn mails(day: &Day) -> Vec<String> {
    let state = day.daemon.state();
    // What somebody found to have arrived is known to be sent.
    let mut settled = day.counted.assumed.clone();
    let (mut open, mut there) = (BTreeSet::new(), BTreeSet::new());
    for run in runs(state) {
        there.insert(run.no);
        let mut trace = state.spilled(run.no).expect("readable");
        trace.extend(run.trace.iter().cloned());
        let mut attempted: BTreeMap<u32, EffectKey> = BTreeMap::new();
        for entry in &trace {
            match &entry.what {
                Trace::Attempt(_, key) => {
                    attempted.insert(entry.pc, *key);
                }
                Trace::Done(_) => settled.extend(attempted.remove(&entry.pc)),
                _ => {}
            }
        }
        open.extend(run.effect().map(|effect| effect.key));
        open.extend(attempted.into_values().filter(|_| !run.status.is_alive() && !is_failed(&run)));
    }
    let mut wrong = Vec::new();
    // Of whom everything was erased there is nothing to compare with.
    let sent = day.daemon.outside.sent.iter();
    for (key, one) in
        sent.filter(|(_, one)| one.action == ActionKind::Email && there.contains(&one.run))
    {
        if one.accepted != settled.contains(key) && !open.contains(key) {
            let (took, knows) = (one.accepted, settled.contains(key));
            wrong.push(format!(
                "{} to {} of {}: taken {took}, known {knows}",
                one.template, one.to, one.run
            ));
        }
    }
    wrong
}

/// Who writes is answered once: each lead that is known, and each complaint.
fn answered_once(day: &Day) -> Vec<String> {
    let state = day.daemon.state();
    let mut answers: BTreeMap<(String, String), usize> = BTreeMap::new();
    for one in day.daemon.outside.sent.values() {
        let run = state.run(one.run).expect("readable");
        if let Some(subject) = run.and_then(|run| run.subject.clone()) {
            *answers.entry((one.template.clone(), subject.to_string())).or_default() += 1;
        }
    }
    let mut wrong = Vec::new();
    for (kind, template) in [("lead", "lead-ack"), ("complaint", "complaint-received")] {
        for record in records(state, kind) {
            let subject = record.address.to_string();
            let count = answers.get(&(template.to_owned(), subject.clone())).copied();
            // One that was erased, and is written to by what still came about it, was answered before.
            let whole =
                !text(&record, "email").is_empty() && record.fields.contains_key("language");
            if whole && count != Some(1) {
                wrong.push(format!("{subject} has {} × {template}", count.unwrap_or_default()));
            }
        }
    }
    wrong
}

/// What waits is the same for another process that reads the state, and nobody waits for what is past.
fn waiting(day: &Day) -> Vec<String> {
    let (state, now) = (day.daemon.state(), day.daemon.now);
    let other = day.daemon.reloaded();
    let far = now + Span::from_days(100_000);
    let mut wrong = Vec::new();
    if state.next_due() != other.next_due() {
        wrong.push(format!("due {:?}, when read again {:?}", state.next_due(), other.next_due()));
    }
    if state.due(far, usize::MAX) != other.due(far, usize::MAX) {
        wrong.push("other runs wait for an instant when the state is read again".to_owned());
    }
    if state.due_windows(far, usize::MAX) != other.due_windows(far, usize::MAX) {
        wrong.push("other windows are due when the state is read again".to_owned());
    }
    if !state.ladders().eq(other.ladders()) {
        wrong.push("other ladders are up when the state is read again".to_owned());
    }
    for run in alive(&day.daemon) {
        let until = match &run.wait {
            Wait::Until(at) | Wait::Event(at) | Wait::Rest(at) => Some(*at),
            Wait::Child(_, at) => *at,
            // It comes back, or is held; what is held at midnight has been looked after.
            Wait::Effect(_) => Some(run.trace.last().map_or(run.began, |entry| entry.at) + AGAIN),
            Wait::Slot | Wait::Join(_) => None,
            Wait::Ready | Wait::Over => Some(Instant::from_timestamp(jiff::Timestamp::MIN)),
        };
        if until.is_some_and(|until| until + ANSWER < now) {
            let what = waits_for(&run);
            wrong.push(format!("{} {} waits for {what} that is past", run.workflow, run.no));
        }
    }
    wrong
}

/// What is counted by day is what came.
fn metrics(day: &Day) -> Vec<String> {
    let since: Instant = MIDNIGHT.parse().expect("an instant");
    let value = |series: &str| match day.daemon.read(&Reading::Metric(series.into(), since)) {
        Value::Int(count) => count,
        Value::Float(count) => count as i64,
        _ => 0,
    };
    let Counted { answers, .. } = &day.counted;
    let mut wrong = Vec::new();
    for ((kind, class), count) in answers {
        let series = format!(r#"survey_answers{{class="{class}",kind="{kind}"}}"#);
        if value(&series) != *count {
            wrong.push(format!("{series} is {}, and {count} came", value(&series)));
        }
    }
    let all = answers.values().sum::<i64>();
    let closed = events_of(day, "complaint.closed").len() as i64;
    for (name, count) in [("survey_answers", all), ("complaints_closed_total", closed)] {
        if value(name) != count {
            wrong.push(format!("{name} is {}, and {count} came", value(name)));
        }
    }
    wrong
}

/// All events of a type.
pub(crate) fn events_of(day: &Day, kind: &str) -> Vec<Arc<Event>> {
    let (mut found, mut after) = (Vec::new(), EventNo(0));
    loop {
        let page = day.daemon.state().events_after(after, PAGE).expect("readable");
        let Some(last) = page.last() else { return found };
        after = last.event.no;
        let events = page.iter().map(|stored| stored.event.clone());
        found.extend(events.filter(|event| *event.kind == *kind));
    }
}

/// Each ledger is a chain from its first entry to its head.
fn ledgers(day: &Day) -> Vec<String> {
    let mut wrong = Vec::new();
    let rules = day.daemon.rules();
    for (kind, _) in rules.records.iter().filter(|(_, one)| one.ledger) {
        let mut entries = records(day.daemon.state(), kind);
        let number = |record: &adjutant::model::Record| match record.fields.get("seq") {
            Some(Value::Int(seq)) => *seq as u64,
            _ => 0,
        };
        entries.sort_by_key(|entry| number(entry));
        let mut before = String::new();
        for (at, entry) in entries.iter().enumerate() {
            let (id, created) = (&entry.address.id, entry.created.to_string());
            let hash = entry_hash(&before, at as u64 + 1, id, &created, &entry.fields);
            if number(entry) != at as u64 + 1 || text(entry, "hash") != hash {
                wrong.push(format!("{} does not follow from what is before it", entry.address));
            }
            before = hash;
        }
        let head = day.daemon.read(&Reading::Ledger(kind.clone()));
        if head.get("count") != Some(&Value::Int(entries.len() as i64)) {
            wrong.push(format!("the head of {kind} is {head}, and it has {}", entries.len()));
        }
    }
    wrong
}
