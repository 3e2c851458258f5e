//! [`Day`]: one working day of the company, told from one seed: what comes in, what people do about it, and what
//! breaks; and the year after, in which nobody does anything any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use adjutant::model::{
    Address, Draft, EffectKey, EffectState, EventNo, Instant, LinkVerb, Map, Operator, Refusal,
    Reply, Run, Span, Status, Text, Value, View as _, Wait,
};
use adjutant::rules::RuleSet;
use serde_json::{Value as Json, json};

use crate::company::{Company, Hand, Person, absurd, open_obligations};
use crate::outside::Said;
use crate::support::chance::Chance;
use crate::table::{ROWS, Row};
use crate::world::Daemon;

/// The midnight in Berlin at which it begins: a Friday, after which the clocks change.
pub(crate) const MIDNIGHT: &str = "2026-03-26T23:00:00Z";
/// How much of the day's events come in each hour.
const RHYTHM: [u64; 24] =
    [2, 1, 1, 1, 1, 2, 4, 8, 14, 18, 18, 17, 12, 14, 17, 16, 14, 10, 7, 6, 6, 5, 4, 3];
/// Hours in which people are at work.
const OFFICE: std::ops::Range<usize> = 9..17;
/// After which part of the events the power goes, in hundredths.
const DEATH: usize = 34;
/// How long an attempt may take, and a little more.
pub(crate) const ANSWER: Span = Span::from_secs(60);
/// While which part of them the CRM is down.
const OUTAGE: std::ops::Range<usize> = 60..63;

/// A type of events from outside.
pub(crate) type Kind = &'static str;

/// What was done, to be compared with what the daemon says of it.
#[derive(Default)]
pub(crate) struct Counted {
    /// Events that were accepted: number and type, by id.
    pub(crate) accepted: BTreeMap<String, (EventNo, Kind)>,
    /// Events that make no sense, by id.
    pub(crate) absurd: BTreeSet<String>,
    /// What they were about: what is remembered of that may make no sense either.
    pub(crate) spoiled: BTreeSet<String>,
    pub(crate) duplicates: usize,
    pub(crate) conflicts: usize,
    /// Answers to surveys that are such: how many by kind and class.
    pub(crate) answers: BTreeMap<(String, &'static str), i64>,
    /// What people did besides, and how often.
    pub(crate) deeds: BTreeMap<&'static str, usize>,
    /// Held effects that somebody found to have arrived.
    pub(crate) assumed: BTreeSet<EffectKey>,
    /// What the daemon said that it should not have.
    pub(crate) faults: Vec<String>,
}

/// See the file's description.
pub(crate) struct Day {
    chance: Chance,
    company: Company,
    pub(crate) daemon: Daemon,
    pub(crate) counted: Counted,
    /// When somebody last looked after what is held.
    looked: Instant,
    /// Some of what was sent, to be sent again.
    past: Vec<Draft>,
}

impl Day {
    /// Tells the whole day, in which so many events come in.
    pub(crate) fn told(rules: Arc<RuleSet>, seed: u64, events: usize) -> Self {
        let start: Instant = MIDNIGHT.parse().expect("an instant");
        let mut day = Self {
            chance: Chance::new(seed),
            company: Company::default(),
            daemon: Daemon::start(rules, start),
            counted: Counted::default(),
            looked: start,
            past: Vec::new(),
        };
        for (nth, at) in day.times(events).into_iter().enumerate() {
            day.daemon.pass(start + at);
            day.daemon.outside.crm_is_down = OUTAGE.contains(&(nth * 100 / events));
            if nth == events * DEATH / 100 {
                day.daemon.doom();
            }
            day.something(nth);
            let hour = (at.as_micros() / 3_600_000_000) as usize;
            day.people(OFFICE.contains(&hour));
        }
        day.daemon.pass(start + Span::from_days(1));
        day.look_after_held();
        day
    }

    /// So many days in which nothing comes in and only what is held is looked after.
    pub(crate) fn afterwards(&mut self, days: i64) {
        for _ in 0..days {
            let tomorrow = self.daemon.now + Span::from_days(1);
            self.daemon.pass(tomorrow);
            self.look_after_held();
        }
    }

    /// When something comes in, since midnight.
    fn times(&mut self, events: usize) -> Vec<Span> {
        let all: u64 = RHYTHM.iter().sum();
        let mut times: Vec<i64> = (0..events)
            .map(|_| {
                let mut left = self.chance.below(all);
                let hour = RHYTHM.iter().position(|share| {
                    let found = left < *share;
                    left = left.saturating_sub(*share);
                    found
                });
                let millis = self.chance.below(3_600_000) as i64;
                hour.unwrap_or_default() as i64 * 3_600_000 + millis
            })
            .collect();
        times.sort_unstable();
        times.into_iter().map(Span::from_millis).collect()
    }

    /// An event comes in, perhaps after one that came before comes once more.
    fn something(&mut self, nth: usize) {
        if self.chance.one_in(50) {
            self.again();
        }
        let (row, (subject, data)) = self.make_up();
        let id = format!("event-{nth}");
        // One in sixty makes no sense; subjects are addresses all the same, or the sender is refused before.
        let is_absurd = self.chance.one_in(60);
        let data = if is_absurd { absurd(&mut self.chance, &data) } else { data };
        if is_absurd {
            self.counted.absurd.insert(id.clone());
            self.counted.spoiled.insert(subject.clone());
        }
        let draft = Draft {
            id: id.as_str().into(),
            source: "day".into(),
            kind: row.kind.into(),
            subject: (!subject.is_empty()).then(|| subject.into()),
            time: None,
            data: Value::from_json(data.clone()),
            extensions: Map::new(),
        };
        self.take_note(row.kind, &data);
        self.past.push(draft.clone());
        let deaths = self.daemon.deaths;
        match self.daemon.event(draft) {
            // Whoever heard nothing because the daemon died asks again, and may hear that it is known.
            Reply::Accepted { event, duplicate } if !duplicate || self.daemon.deaths > deaths => {
                self.counted.accepted.insert(id, (event, row.kind));
            }
            other => self.counted.faults.push(format!("{id} is new, and the answer is {other:?}")),
        }
    }

    /// An event of some type of which one can be made up now; each type comes before any comes by luck.
    fn make_up(&mut self) -> (&'static Row, crate::company::Made) {
        let all: u64 = ROWS.iter().map(|row| row.share).sum();
        let come: BTreeSet<Kind> = self.counted.accepted.values().map(|(_, kind)| *kind).collect();
        let mut owing: Vec<&Row> = Vec::new();
        if self.chance.one_in(10) {
            owing.extend(ROWS.iter().filter(|row| !come.contains(row.kind)));
        }
        loop {
            let row = owing.pop().unwrap_or_else(|| {
                let mut left = self.chance.below(all);
                let found = ROWS.iter().find(|row| {
                    let found = left < row.share;
                    left = left.saturating_sub(row.share);
                    found
                });
                found.unwrap_or(&ROWS[0])
            });
            let mut hand = Hand {
                chance: &mut self.chance,
                company: &mut self.company,
                state: self.daemon.state(),
                now: self.daemon.now,
            };
            if let Some(made) = (row.make)(&mut hand) {
                return (row, made);
            }
        }
    }

    /// Something that came before comes once more, rarely with other data under its id.
    fn again(&mut self) {
        if self.past.is_empty() {
            return;
        }
        let mut draft = self.past[self.chance.below(self.past.len() as u64) as usize].clone();
        let known = self.counted.accepted.get(&*draft.id).map(|(no, _)| *no);
        if self.chance.one_in(10) {
            draft.data = Value::from_json(json!({ "email": "somebody@else.example" }));
            match self.daemon.event(draft) {
                Reply::Refused(Refusal::Conflict { .. }) => self.counted.conflicts += 1,
                other => {
                    self.counted.faults.push(format!("another payload under an id: {other:?}"));
                }
            }
            return;
        }
        match self.daemon.event(draft) {
            Reply::Accepted { event, duplicate: true } if Some(event) == known => {
                self.counted.duplicates += 1;
            }
            other => self.counted.faults.push(format!("{known:?} came again: {other:?}")),
        }
    }

    /// What an event says that the day's mails and numbers are held to.
    fn take_note(&mut self, kind: Kind, data: &Json) {
        let field = |name: &str| data.get(name).and_then(Json::as_str).unwrap_or_default().trim();
        let email = field("email").to_lowercase();
        if !email.contains('@') {
            return;
        }
        let mut say = |what: Said| {
            let said = self.daemon.outside.said.entry(email.clone()).or_default();
            said.push((self.daemon.now, what));
        };
        match kind {
            "consent.given" if !field("text").is_empty() => say(Said::Yes),
            "lead.created" | "lead.imported" | "signup.completed"
                if !field("consent").is_empty() =>
            {
                say(Said::Yes);
            }
            "consent.withdrawn" => say(Said::No),
            "erasure.requested" => say(Said::Never),
            "survey.responded" => {
                let score = data.get("score").and_then(Json::as_i64);
                let class = match (field("kind"), score) {
                    ("nps", Some(9..=10)) | ("csat", Some(5)) => "promoter",
                    ("nps", Some(7..=8)) | ("csat", Some(3..=4)) => "passive",
                    ("nps", Some(0..=6)) | ("csat", Some(1..=2)) => "detractor",
                    _ => return,
                };
                *self.counted.answers.entry((field("kind").to_owned(), class)).or_default() += 1;
            }
            _ => {}
        }
    }

    /// What people do besides sending events: they follow links, and do what they promised.
    fn people(&mut self, at_work: bool) {
        if self.chance.one_in(12) {
            self.follow(at_work);
        }
        if at_work && self.chance.one_in(30) {
            self.keep_a_promise();
        }
        if self.chance.one_in(250) {
            self.look_after_held();
        }
    }

    /// Somebody follows a link of one of the mails; customers at any hour, colleagues at work.
    fn follow(&mut self, at_work: bool) {
        let links = &mut self.daemon.outside.links;
        if links.is_empty() {
            return;
        }
        let link = links.swap_remove(self.chance.below(links.len() as u64) as usize);
        let deed = match link.verb {
            LinkVerb::Acknowledge if at_work => "escalations acknowledged",
            LinkVerb::Resolve if at_work && self.chance.one_in(2) => "escalations resolved",
            LinkVerb::Decide if at_work => "approvals decided",
            LinkVerb::Unsubscribe if self.chance.one_in(3) => "unsubscribed",
            _ => return,
        };
        if link.verb == LinkVerb::Unsubscribe {
            let said = self.daemon.outside.said.entry(link.by.to_string()).or_default();
            said.push((self.daemon.now, Said::Never));
        }
        // What is over by now is refused, and says so.
        match self.daemon.operator(link.wish()) {
            Reply::Refused(Refusal::State(_) | Refusal::NotFound(_)) => self.did("links too late"),
            Reply::Refused(other) => self.counted.faults.push(format!("{deed}: {other}")),
            _ => self.did(deed),
        }
    }

    fn keep_a_promise(&mut self) {
        let open = open_obligations(self.daemon.state());
        if open.is_empty() {
            return;
        }
        let id: Text = open[self.chance.below(open.len() as u64) as usize].clone();
        let address = Address::new("obligation", &id).expect("it is one");
        let fields = Map::from([("status".into(), Value::from("done"))]);
        let write = Operator::Write { address, fields, by: "somebody".into() };
        match self.daemon.operator(write) {
            Reply::Done(_) => self.did("promises kept"),
            other => self.counted.faults.push(format!("a promise could not be kept: {other:?}")),
        }
    }

    /// Somebody asks the other side about what is held: what has arrived is done, the rest is sent again.
    fn look_after_held(&mut self) {
        // An answer is lost some seconds after the attempt; where none was, nothing is held.
        let lost = self.daemon.outside.lost.map(|lost| lost + ANSWER);
        if lost.is_none_or(|lost| lost < self.looked) {
            return;
        }
        self.looked = self.daemon.now;
        for run in alive(&self.daemon) {
            let Some(effect) = run.effect().filter(|effect| effect.state == EffectState::Held)
            else {
                continue;
            };
            let sent = self.daemon.outside.sent.get(&effect.key);
            let assume_done = sent.is_some_and(|sent| sent.accepted);
            let key = effect.key;
            if assume_done {
                self.counted.assumed.insert(key);
            }
            let retry = Operator::Retry { run: run.no, assume_done, by: "somebody".into() };
            match self.daemon.operator(retry) {
                Reply::Done(_) if assume_done => self.did("held, and found to have arrived"),
                Reply::Done(_) => self.did("held, and sent again"),
                other => self.counted.faults.push(format!("run {} is held: {other:?}", run.no)),
            }
        }
        self.daemon.pass(self.daemon.now);
    }

    fn did(&mut self, deed: &'static str) {
        *self.counted.deeds.entry(deed).or_default() += 1;
    }
}

/// Runs that are alive.
pub(crate) fn alive(daemon: &Daemon) -> Vec<Arc<Run>> {
    let state = daemon.state();
    let numbers = state.runs_in(Status::Active).expect("those that are alive are indexed");
    numbers.filter_map(|no| state.run(no).expect("readable")).collect()
}

/// What a run waits for, in a word.
pub(crate) fn waits_for(run: &Run) -> &'static str {
    match &run.wait {
        Wait::Ready => "a task",
        Wait::Slot => "its turn",
        Wait::Until(_) | Wait::Rest(_) => "an instant",
        Wait::Event(_) => "an event",
        Wait::Child(..) | Wait::Join(_) => "what it called",
        Wait::Effect(_) => "an answer",
        Wait::Over => "nothing",
    }
}

/// Whether an address is of somebody whose server refuses, or loses, what is sent there.
pub(crate) fn is_planted(email: &str) -> bool {
    ["bounce.example", "lost.example", "slow.example"].iter().any(|domain| email.ends_with(domain))
}

/// Nobody has two addresses: what the oracle of consent rests on.
#[test]
fn people_are_themselves() {
    let emails: BTreeSet<String> = (0..2_000).map(|number| Person::number(number).email).collect();
    assert_eq!(emails.len(), 2_000);
    assert!(emails.iter().filter(|email| is_planted(email)).count() > 20);
}
