//! A story: rules, and what happens to them, from one seed; then everything comes to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use adjutant::model::{
    Draft, EffectKey, EffectState, Input, Instant, Map, Operator, Run, RunNo, Span, Status, Value,
    View as _, Wait,
};
use adjutant::pump::Query;
use adjutant::rules::RuleSet;
use adjutant::store::Store as _;

use crate::diary::Diary;
use crate::driver::{Asked, Driver};
use crate::faults::Faults;
use crate::grammar::{KINDS, Rules, SUBJECTS, Weather};
use crate::outside::Outside;
use crate::plants::{Plant, Planted};
use crate::rest;
use crate::support::chance::Chance;
use crate::support::sim::at;
use crate::watch::require;

/// A Monday.
const START: &str = "2026-03-02T07:00:00Z";
/// Instants until everything is over that had begun.
const INSTANTS: usize = 4_000;

/// How a story is told.
#[derive(Clone, Copy)]
pub(crate) struct Telling {
    pub(crate) seed: u64,
    pub(crate) weather: Weather,
    /// One fault in so many acts; 0: none.
    pub(crate) faults: u64,
    pub(crate) plant: Option<Plant>,
    pub(crate) shown: bool,
}

/// What came of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) hash: u64,
    pub(crate) effects: BTreeMap<EffectKey, String>,
    pub(crate) runs: u64,
    pub(crate) words: BTreeSet<&'static str>,
}

/// Tells a story to its end, or until an invariant does not hold.
pub(crate) fn tell(telling: Telling) -> Result<Told, String> {
    Story::begin(telling)?.tell()
}

struct Story {
    chance: Chance,
    weather: Weather,
    rules: Rules,
    driver: Driver,
    events: u64,
}

impl Story {
    fn begin(telling: Telling) -> Result<Self, String> {
        let Telling { seed, weather, faults, plant, shown } = telling;
        let mut chance = Chance::new(seed);
        let rules = Rules::grow(&mut chance, weather);
        let mut diary = Diary::new(shown);
        diary.note(|| rules.text());
        let driver = Driver::start(
            compiled(&rules)?,
            at(START),
            (Outside::new(seed), Faults::new(seed, faults)),
            (diary, Planted::new(plant, seed)),
        )?;
        Ok(Self { chance, weather, rules, driver, events: 0 })
    }

    fn tell(mut self) -> Result<Told, String> {
        let acts = 15 + self.chance.below(20);
        for _ in 0..acts {
            self.driver.faults.plan(&self.driver.disk);
            self.act()?;
            self.a_while()?;
        }
        self.wind_down()?;
        let effects = self.driver.outside.effects().into_iter();
        let effects = effects.map(|(key, content)| (key, content.to_owned())).collect();
        let runs = self.driver.state().next_run().0 - 1;
        self.sweep_all()?;
        let words = self.driver.watch.seen.words().clone();
        Ok(Told { hash: self.driver.diary.hash(), effects, runs, words })
    }

    /// After an act the daemon comes to rest, or has only a little time until the next one.
    fn a_while(&mut self) -> Result<(), String> {
        if self.driver.faults.pace.one_in(3) {
            for _ in 0..self.driver.faults.pace.below(4) {
                self.driver.turn(false)?;
            }
            return Ok(());
        }
        self.driver.settle()?;
        self.driver.faults.set_clock();
        Ok(())
    }

    fn act(&mut self) -> Result<(), String> {
        let act = self.chance.below(24);
        match act {
            0..=7 => self.event(),
            8 => self.again(),
            _ if self.weather == Weather::Calm => return self.time(),
            9 => self.until_something(),
            10..=12 => self.operator(),
            13 => return self.reload(),
            14 => self.driver.tell(Input::Sweep),
            15 => self.at_a_wrong_time(),
            16 => self.late(),
            17 => self.look(),
            18 => return self.driver.stop(self.events.is_multiple_of(2)),
            _ => return self.time(),
        }
        Ok(())
    }

    /// Something happens outside.
    fn event(&mut self) {
        self.events += 1;
        let subject = self.chance.pick([Some(SUBJECTS[0]), Some(SUBJECTS[1]), None]);
        let data = serde_json::json!({
            "n": self.chance.below(4),
            "list": (0..self.chance.below(4)).collect::<Vec<_>>(),
        });
        let kind = if self.chance.one_in(2) { "go" } else { self.chance.pick(KINDS) };
        self.send(Draft {
            id: format!("event-{}", self.events).into(),
            source: "outside".into(),
            kind: kind.into(),
            subject: subject.map(Into::into),
            time: None,
            data: Value::from_json(data),
            extensions: Map::new(),
        });
    }

    fn send(&mut self, draft: Draft) {
        self.driver.ask(Asked::Input(Input::Event(Box::new(draft))));
    }

    /// A sender sends again what it sent, or something else under the same id.
    fn again(&mut self) {
        let (place, other) = (self.chance.below(64), self.chance.one_in(4));
        let yesterday = self.driver.now - Span::from_days(1);
        let Some(mut draft) = self.driver.known_since(yesterday, place) else { return };
        if other {
            draft.data = Value::from("something else");
        }
        self.send(draft);
    }

    fn time(&mut self) -> Result<(), String> {
        let span = match self.chance.below(12) {
            0..=3 => Span::from_millis(1 + self.chance.below(30_000) as i64),
            4..=7 => Span::from_secs(60 * (1 + self.chance.below(15)) as i64),
            8..=10 => Span::from_secs(3_600 * (1 + self.chance.below(5)) as i64),
            _ if self.weather == Weather::Calm => Span::from_secs(60),
            _ => Span::from_days(1 + self.chance.below(3) as i64),
        };
        self.driver.pass(self.driver.now + span)
    }

    /// Exactly until the next thing is due, so that it meets what happens then.
    fn until_something(&mut self) {
        let tomorrow = self.driver.now + Span::from_days(1);
        if let Some(next) = self.driver.next().filter(|next| *next < tomorrow) {
            self.driver.now = self.driver.now.max(next);
        }
    }

    fn some_run(&mut self) -> RunNo {
        let runs = self.driver.state().next_run().0;
        RunNo(runs.saturating_sub(self.chance.below(12)).max(1))
    }

    /// One that failed, or waits for a person, or can be acknowledged.
    fn some_run_in_need(&mut self) -> Option<RunNo> {
        let needs = |run: &Run| match &run.wait {
            Wait::Effect(effect) => effect.state == EffectState::Held,
            Wait::Join(join) => join.held,
            _ => run.status == Status::Failed || run.ladder.is_some() && run.status.is_alive(),
        };
        let runs = self.driver.watch.runs.values();
        let needy: Vec<RunNo> = runs.filter(|run| needs(run)).map(|run| run.no).collect();
        needy.get(self.chance.below(needy.len().max(1) as u64) as usize).copied()
    }

    fn operator(&mut self) {
        let anybody = self.some_run();
        let run = self.some_run_in_need().filter(|_| !self.chance.one_in(4)).unwrap_or(anybody);
        let by = "tom".into();
        let assume_done = self.chance.one_in(3);
        let operator = match self.chance.below(16) {
            12 | 13 => match self.open_approvals().first() {
                Some(approval) => Operator::Decide {
                    approval: approval.clone(),
                    outcome: self.chance.pick(["approved", "rejected"]).into(),
                    comment: None,
                    asked_only: self.chance.one_in(2),
                    by: self.chance.pick(["ana", "tom"]).into(),
                },
                None => return,
            },
            14 => match self.open_approvals().last() {
                Some(approval) => Operator::Delegate {
                    approval: approval.clone(),
                    to: "tom".into(),
                    by: "ana".into(),
                },
                None => return,
            },
            15 => Operator::Unsubscribe {
                purpose: "news".into(),
                address: "ana@x.example".into(),
                run: anybody,
            },
            0 => Operator::Cancel { run, reason: None, by },
            1 => Operator::Acknowledge { run, by },
            2 => Operator::Resolve { run, by },
            3 => Operator::Release { run, by },
            4 => Operator::Reset { workflow: "alpha".into(), by },
            5 | 6 => {
                let alive: Vec<RunNo> = self.driver.watch.alive.iter().copied().collect();
                let run = alive.get(self.chance.below(alive.len().max(1) as u64) as usize);
                Operator::Migrate {
                    run: run.copied().unwrap_or(anybody),
                    dry_run: self.chance.one_in(4),
                    by,
                }
            }
            _ => Operator::Retry { run, assume_done, by },
        };
        self.driver.operator(operator);
    }

    /// What waits to be decided, as the state has it that decides.
    fn open_approvals(&self) -> Vec<adjutant::model::Text> {
        let open = self.driver.state().records_where("approval", "status", &"open".into(), 20);
        open.unwrap_or_default().iter().map(|record| record.address.id.clone()).collect()
    }

    fn reload(&mut self) -> Result<(), String> {
        self.rules = self.rules.changed(&mut self.chance);
        self.put_in_force()
    }

    fn put_in_force(&mut self) -> Result<(), String> {
        let (rules, now) = (&self.rules, self.driver.now);
        self.driver.diary.note(|| format!("{now} other rules:\n{}", rules.text()));
        let rules = compiled(rules)?;
        self.driver.reload(rules)
    }

    /// Inputs that only the engine's own indexes make, when nothing of the kind is due.
    fn at_a_wrong_time(&mut self) {
        for _ in 0..4 {
            let run = self.some_run();
            self.driver.tell(Input::Timer(run));
        }
        if let Ok(windows) = self.driver.state().windows(None, 4) {
            for key in windows {
                self.driver.tell(Input::Window(key));
            }
        }
    }

    fn late(&mut self) {
        if let Some(settled) = self.driver.outside.once_more(&mut self.chance) {
            self.driver.tell(Input::Outcome(settled));
        }
    }

    fn look(&mut self) {
        let runs = Query::Runs { status: None, workflow: None, before: None, limit: 50 };
        self.driver.ask(Asked::Query(runs));
    }

    /// Nothing fails any more and nothing new begins: whatever lives comes to its end, with the help of a
    /// person where it needs one.
    fn wind_down(&mut self) -> Result<(), String> {
        self.driver.faults.end(&self.driver.disk);
        self.driver.settle()?;
        // What a calm story begins is the same however late it is, so nothing may be cut off.
        if self.weather == Weather::Wild {
            self.rules = self.rules.closed();
            self.put_in_force()?;
        }
        for _ in 0..INSTANTS {
            self.driver.settle()?;
            if self.driver.watch.alive.is_empty() {
                return self.driver.audit();
            }
            let needed = self.needed();
            let idle = needed.is_empty();
            for operator in needed {
                self.driver.operator(operator);
            }
            if idle {
                let next = self.driver.next().filter(|next| *next < Instant::MAX);
                let next = next.ok_or_else(|| format!("stuck: {}", self.living()))?;
                self.driver.now = self.driver.now.max(next);
            }
        }
        Err(format!("without end: {}", self.living()))
    }

    /// What people have to do so that everything goes on.
    fn needed(&self) -> Vec<Operator> {
        let watch = &self.driver.watch;
        let living = watch.alive.iter().map(|no| (*no, &watch.runs[no]));
        let need = living.filter_map(|(run, row)| {
            let by = "tom".into();
            match &row.wait {
                Wait::Effect(effect) if effect.state == EffectState::Held => {
                    let assume_done = run.0.is_multiple_of(2);
                    Some(Operator::Retry { run, assume_done, by })
                }
                Wait::Join(join) if join.held => Some(Operator::Release { run, by }),
                Wait::Until(at) if *at == Instant::MAX && row.ladder.is_some() => {
                    Some(Operator::Resolve { run, by })
                }
                _ => None,
            }
        });
        let mut need: Vec<Operator> = need.collect();
        // Mails over a guard wait for somebody who has looked.
        let guards = self.open_approvals().into_iter().filter(|id| id.starts_with("guard-"));
        need.extend(guards.map(|approval| Operator::Decide {
            approval,
            outcome: "approved".into(),
            comment: None,
            asked_only: false,
            by: "tom".into(),
        }));
        need
    }

    fn living(&self) -> String {
        let watch = &self.driver.watch;
        let rows = watch.alive.iter().map(|no| &watch.runs[no]);
        let rows = rows.map(|run| format!("{} of {}: {:?}", run.no, run.workflow, run.wait));
        rows.collect::<Vec<_>>().join("; ")
    }

    /// All of it is past its retention: nothing is left.
    fn sweep_all(&mut self) -> Result<(), String> {
        for _ in 0..2 {
            self.driver.pass(self.driver.now + Span::from_days(30))?;
            self.driver.tell(Input::Sweep);
            self.driver.settle()?;
        }
        require(self.driver.watch.runs.is_empty(), || "runs are left".to_owned())?;
        let rows = self.driver.disk.durable().scan(&[], &[0xff], usize::MAX);
        rest::nothing_is_left(&rows.map_err(|error| error.to_string())?, self.driver.now)
    }
}

fn compiled(rules: &Rules) -> Result<Arc<RuleSet>, String> {
    rules.setup().compile().map(Arc::new).map_err(|why| format!("made-up rules: {why}"))
}
