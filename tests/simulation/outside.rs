//! The outside world: it performs what it is told, remembers it over every crash, and answers as scripted.
//!
//! How an attempt ends, and how long it takes, is drawn from the effect's key and the number of the
//! attempt: so it ends the same whenever it is performed, and however often.

use std::collections::BTreeMap;

use adjutant::model::{
    Ask, Cause, Command, Draft, EffectKey, Found, Instant, Map, Outcome, Polled, RunNo, Settled,
    Span, Value, View as _,
};
use adjutant::store::State;

use crate::support::chance::Chance;
use crate::watch::{evidence, require};

/// What became known of an effect when it was last performed.
struct Performed {
    content: String,
    attempt: u16,
    /// In which life of the daemon.
    life: u32,
}

/// See the file's description.
pub(crate) struct Outside {
    seed: u64,
    ledger: BTreeMap<EffectKey, Performed>,
    /// Outcomes that are under way, by when they arrive.
    under_way: BTreeMap<(Instant, u64), Settled>,
    /// Those that arrived, for arriving once more.
    past: Vec<Settled>,
    performed: u64,
    /// Polls that are under way, by when they are answered.
    asked: BTreeMap<(Instant, u64), Ask>,
}

impl Outside {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            ledger: BTreeMap::new(),
            under_way: BTreeMap::new(),
            past: Vec::new(),
            performed: 0,
            asked: BTreeMap::new(),
        }
    }

    /// Somebody asks what is new.
    pub(crate) fn asked(&mut self, asks: Vec<Ask>, now: Instant) {
        for ask in asks {
            self.performed += 1;
            let takes = Span::from_secs((self.performed % 90) as i64);
            self.asked.insert((now + takes, self.performed), ask);
        }
    }

    /// What there was for those who asked: what comes after their cursor, or nothing that anybody knows.
    pub(crate) fn found(&mut self, now: Instant) -> Vec<Polled> {
        let later = self.asked.split_off(&(now, u64::MAX));
        let answered = std::mem::replace(&mut self.asked, later);
        answered.into_iter().map(|((_, number), ask)| self.answer(number, ask)).collect()
    }

    fn answer(&self, number: u64, ask: Ask) -> Polled {
        let mut chance = Chance::new(self.seed ^ number << 9);
        let (key, begun) = (ask.key, ask.begun);
        let seen = match ask.cursor {
            Value::Int(seen) => seen,
            _ => 0,
        };
        let found = match chance.below(4) {
            0 => Err(Cause::new("http_503", "status 503")),
            // Perhaps what was brought before comes once more.
            _ => {
                let last = seen + chance.below(3) as i64;
                let events = (seen.max(1)..=last).map(news).collect();
                Ok(Found { cursor: Value::Int(last), events, more: chance.one_in(4) })
            }
        };
        Polled { key, begun, found, after: None }
    }

    /// Performs an attempt. Its announcement must be durable, and it must say what it said before.
    pub(crate) fn perform(
        &mut self,
        (command, computed): (&Command, Option<Outcome>),
        durable: &State,
        (now, life): (Instant, u32),
        retried: bool,
    ) -> Result<(), String> {
        let (key, attempt) = (command.key, command.attempt);
        let run = durable.run(command.run).map_err(|error| error.to_string())?;
        let announced = run.as_deref().is_some_and(|run| evidence(durable, run, key, attempt));
        require(announced, || format!("{key}: attempt {attempt} is performed, not announced"))?;
        let content = content(command);
        if let Some(before) = self.ledger.get(&key) {
            require(before.content == content, || {
                format!("{key} of run {}: `{}`, now `{content}`", command.run, before.content)
            })?;
            let again = before.life < life && attempt >= before.attempt;
            let anew = retried && attempt == 1;
            require(again || anew || attempt == before.attempt + 1, || {
                format!("{key} of run {}: attempt {attempt} after {}", command.run, before.attempt)
            })?;
        }
        self.ledger.insert(key, Performed { content, attempt, life });
        let (outcome, takes) = self.script(key, attempt);
        let outcome = computed.unwrap_or(outcome);
        let settled = Settled { run: command.run, key, attempt, outcome };
        self.performed += 1;
        self.under_way.insert((now + takes, self.performed), settled);
        Ok(())
    }

    /// What has arrived until now.
    pub(crate) fn arrived(&mut self, now: Instant) -> Vec<Settled> {
        let later = self.under_way.split_off(&(now, u64::MAX));
        let arrived: Vec<_> = std::mem::replace(&mut self.under_way, later).into_values().collect();
        self.past.extend(arrived.iter().cloned());
        arrived
    }

    /// When the next outcome arrives.
    pub(crate) fn next(&self) -> Option<Instant> {
        let asked = self.asked.keys().next().map(|(at, _)| *at);
        self.under_way.keys().next().map(|(at, _)| *at).into_iter().chain(asked).min()
    }

    /// Whoever waits for the outcomes is gone.
    pub(crate) fn forget(&mut self) {
        self.under_way.clear();
        self.asked.clear();
    }

    /// Whether an attempt is under way.
    pub(crate) fn is_busy_with(&self, run: RunNo, key: EffectKey, attempt: u16) -> bool {
        let same = |one: &Settled| one.run == run && one.key == key && one.attempt == attempt;
        self.under_way.values().any(same)
    }

    /// An outcome that arrived before, or another one of the same attempt.
    pub(crate) fn once_more(&self, chance: &mut Chance) -> Option<Settled> {
        let count = self.past.len() as u64;
        let mut settled = self.past.get(chance.below(count.max(1)) as usize)?.clone();
        if chance.one_in(2) {
            settled.outcome = Outcome::Failed(Cause::new("late", "a second opinion"));
        }
        Some(settled)
    }

    /// Effects by key, with what they say.
    pub(crate) fn effects(&self) -> BTreeMap<EffectKey, &str> {
        self.ledger.iter().map(|(key, performed)| (*key, performed.content.as_str())).collect()
    }

    fn script(&self, key: EffectKey, attempt: u16) -> (Outcome, Span) {
        let mut chance = Chance::new(self.seed ^ key.0.short() ^ u64::from(attempt) << 17);
        let busy = || Cause::new("http_503", "status 503");
        let outcome = match chance.below(16) {
            0 | 1 => Outcome::Retry { after: None, why: busy() },
            2 => Outcome::Retry { after: Some(Span::from_secs(90)), why: busy() },
            3 | 4 => Outcome::Failed(Cause::new("http_400", "status 400")),
            5 | 6 => Outcome::Uncertain(Cause::new("timeout", "no answer")),
            _ => Outcome::Done(Value::from([("status", Value::Int(200))])),
        };
        let takes = match chance.below(4) {
            0 => Span::ZERO,
            1 | 2 => Span::from_millis(1 + chance.below(20_000) as i64),
            _ => Span::from_secs(1 + chance.below(600) as i64),
        };
        (outcome, takes)
    }
}

/// What a poll brings.
fn news(number: i64) -> Draft {
    Draft {
        id: number.to_string().into(),
        source: "poll/news".into(),
        kind: "poll.news".into(),
        subject: Some("lead/1".into()),
        time: None,
        data: Value::from([("n", Value::Int(number % 4))]),
        extensions: Map::new(),
    }
}

/// What a receiver sees of an effect. Who may not get a mail any more is left out of its later attempts.
fn content(command: &Command) -> String {
    let mut params = command.params.clone();
    if let Value::Map(fields) = &mut params {
        for field in ["to", "cc", "bcc"] {
            fields.remove(field);
        }
    }
    format!("{} of {}: {params}", command.action.as_str(), command.workflow)
}
