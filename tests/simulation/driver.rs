//! The daemon on virtual time: the pump, a writer, a mailbox and a store that fails as told.
//!
//! It goes about it as `daemon/looping.rs` does: one batch is at the disk while the next is decided, what is
//! released leaves when its batch is durable, and whatever the store refuses is the end of the process. The
//! next one goes on from what is on the disk, and whoever has no answer asks again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use adjutant::actions::render;
use adjutant::model::{
    ActionKind, Command, Draft, EventNo, Input, Instant, Operator, Outcome, ReadError, Refusal,
    Reply, Retention, RunNo, Span, Text, View as _,
};
use adjutant::pump::{Answer, Pump, Query, Released, Response};
use adjutant::rules::{Bundle, RuleSet};
use adjutant::script::NoRecords;
use adjutant::store::{Batch, Faulty, MemoryStore, State, Store, StoreError};

use crate::diary::Diary;
use crate::faults::{Faults, Moment};
use crate::outside::Outside;
use crate::photo::Photo;
use crate::plants::Planted;
use crate::rest;
use crate::watch::{Watch, require};

/// Short enough for a story to see the end of it.
const RETENTION: Retention = Retention {
    events: Span::from_days(2),
    runs: Span::from_days(3),
    failed_runs: Span::from_days(5),
};
/// Turns in which a daemon comes to rest, however much there is to do.
const TURNS: usize = 20_000;
/// Pieces of work in a turn, at most: few, so that batches are small and there are many moments to fail.
const PIECES: u64 = 12;

/// Why the daemon does not go on.
pub(crate) enum Stop {
    /// As the real one: it is started again.
    Died,
    /// An invariant does not hold.
    Broken(String),
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(_) => Self::Died,
            ReadError::Corrupt(why) => Self::Broken(format!("damaged: {why}")),
        }
    }
}

impl From<StoreError> for Stop {
    fn from(_: StoreError) -> Self {
        Self::Died
    }
}

impl From<String> for Stop {
    fn from(why: String) -> Self {
        Self::Broken(why)
    }
}

/// What somebody waits for an answer to.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Input(Input),
    Query(Query),
}

/// See the file's description.
pub(crate) struct Driver {
    pub(crate) disk: Arc<Faulty<MemoryStore>>,
    pump: Pump<u64>,
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) now: Instant,
    /// Sealed, and given to the writer.
    at_disk: Option<Batch>,
    mailbox: VecDeque<(Option<u64>, Asked)>,
    /// Not answered yet: whoever asked asks again when the daemon is back.
    unanswered: BTreeMap<u64, Asked>,
    asked: u64,
    /// Of events that were answered: their numbers and what they said.
    known: BTreeMap<Text, (EventNo, Draft)>,
    pub(crate) outside: Outside,
    pub(crate) watch: Watch,
    pub(crate) faults: Faults,
    pub(crate) diary: Diary,
    planted: Planted,
    /// How often the daemon was started.
    life: u32,
    /// Events that came while these rules were in force.
    heard: EventNo,
}

impl Driver {
    pub(crate) fn start(
        rules: Arc<RuleSet>,
        now: Instant,
        (outside, faults): (Outside, Faults),
        (diary, planted): (Diary, Planted),
    ) -> Result<Self, String> {
        let disk = Arc::new(Faulty::new(MemoryStore::new()));
        let pump = open(&disk, &rules, now).map_err(|error| error.to_string())?;
        let durable = Photo::of(&disk).load()?.0;
        let mut watch = Watch::new(durable, RETENTION);
        watch.in_force(&rules, RunNo(1));
        Ok(Self {
            disk,
            pump,
            rules,
            now,
            at_disk: None,
            mailbox: VecDeque::new(),
            unanswered: BTreeMap::new(),
            asked: 0,
            known: BTreeMap::new(),
            outside,
            watch,
            faults,
            diary,
            planted,
            life: 1,
            heard: EventNo(1),
        })
    }

    /// Somebody asks, and waits for the answer.
    pub(crate) fn ask(&mut self, asked: Asked) {
        self.asked += 1;
        self.diary.note(|| format!("{} {asked:?}", self.now));
        if let Asked::Input(Input::Operator(operator)) = &asked {
            self.watch.asked(operator);
        }
        self.unanswered.insert(self.asked, asked.clone());
        self.mailbox.push_back((Some(self.asked), asked));
    }

    pub(crate) fn operator(&mut self, operator: Operator) {
        self.ask(Asked::Input(Input::Operator(operator)));
    }

    /// An input that nobody waits for.
    pub(crate) fn tell(&mut self, input: Input) {
        self.diary.note(|| format!("{} {}", self.now, input.describe()));
        self.mailbox.push_back((None, Asked::Input(input)));
    }

    /// Other rules from now on.
    pub(crate) fn reload(&mut self, rules: Arc<RuleSet>) -> Result<(), String> {
        self.watch.in_force(&rules, self.pump.view().next_run());
        self.heard = EventNo(u64::MAX);
        self.rules = rules.clone();
        let done = self.pump.put_in_force(self.now, rules, None);
        self.live_on(done.map_err(Stop::from))
    }

    /// The process ends, at once or when its last batch is written, and is started again.
    pub(crate) fn stop(&mut self, drained: bool) -> Result<(), String> {
        if drained {
            self.pump.drain();
            let done = self.write();
            self.live_on(done)?;
        }
        self.restart()
    }

    /// Does everything there is to do at this instant.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        for _ in 0..TURNS {
            if !self.turn(true)? {
                return self.at_rest();
            }
        }
        Err("it does not come to rest".to_owned())
    }

    /// Time passes until `until`, stopping wherever something is due.
    pub(crate) fn pass(&mut self, until: Instant) -> Result<(), String> {
        self.faults.set_clock();
        self.settle()?;
        while let Some(next) = self.next().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.settle()?;
        }
        self.now = self.now.max(until);
        self.settle()
    }

    /// When something happens next without anybody's doing.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.pump.next_due().into_iter().chain(self.outside.next()).min()
    }

    /// One turn of the loop. Whether there is more to do.
    pub(crate) fn turn(&mut self, in_haste: bool) -> Result<bool, String> {
        let done = self.one_turn(in_haste);
        match done {
            Ok(more) => Ok(more),
            stopped => self.live_on(stopped.map(|_| ())).map(|()| true),
        }
    }

    fn one_turn(&mut self, in_haste: bool) -> Result<bool, Stop> {
        let mut more = false;
        if self.at_disk.is_some() && (in_haste || self.faults.pace.one_in(2)) {
            self.write()?;
            more = true;
        }
        for polled in self.outside.found(self.now) {
            self.tell(Input::Polled(Box::new(polled)));
        }
        for settled in self.outside.arrived(self.now) {
            if !self.planted.loses_outcome() {
                self.tell(Input::Outcome(settled));
            }
        }
        let clock = self.planted.clock(self.now - self.faults.behind);
        while !self.pump.is_full()
            && let Some((token, asked)) = self.mailbox.pop_front()
        {
            more = true;
            match asked {
                Asked::Input(input) => self.pump.take(clock, input, token)?,
                Asked::Query(query) => self.pump.ask(&query, token.unwrap_or_default())?,
            }
        }
        let mut pieces = 1 + self.faults.pace.below(PIECES);
        while pieces > 0 && !self.pump.is_full() && self.pump.work(clock)? {
            pieces -= 1;
            more = true;
        }
        self.faults.strike(Moment::Decided)?;
        self.seal()?;
        Ok(more || self.at_disk.is_some())
    }

    fn seal(&mut self) -> Result<(), Stop> {
        if self.pump.is_syncing() {
            self.pump.attach_unwritten();
            return Ok(());
        }
        if let Some(mut batch) = self.pump.seal() {
            self.diary.batch(&batch);
            self.planted.spoil(&mut batch, self.pump.view());
            self.at_disk = Some(batch);
            if self.planted.releases_early() {
                let released = self.pump.durable();
                self.release(released)?;
            }
        } else if let Some(released) = self.pump.unwritten() {
            self.release(released)?;
        }
        Ok(())
    }

    /// What is at the disk is written, or not: whatever the store says, what it did is looked at.
    fn write(&mut self) -> Result<(), Stop> {
        let Some(batch) = self.at_disk.take() else { return Ok(()) };
        self.planted.before(&self.disk);
        let done = self.disk.commit(&batch);
        self.watch.committed(&batch, self.now)?;
        let owed = self.watch.owed();
        if !owed.is_empty() {
            rest::is_remembered(&owed, &Photo::of(&self.disk).load()?.1)?;
        }
        if let Err(error) = done {
            self.diary.note(|| format!("{} the store: {error}", self.now));
            // Whoever is left of this process must not write any more.
            self.at_disk = Some(batch);
            return Err(Stop::Died);
        }
        self.faults.strike(Moment::Written)?;
        let released = self.pump.durable();
        self.release(released)?;
        self.faults.strike(Moment::Released)
    }

    fn release(&mut self, released: Released<u64>) -> Result<(), Stop> {
        for (token, response) in released.responses {
            let asked = self.unanswered.remove(&token);
            match response {
                Response::Reply(reply) => self.replied(asked, reply)?,
                Response::Answer(answer) => self.answered(&answer)?,
                Response::Damaged(why) => return Err(format!("damaged: {why}").into()),
            }
        }
        for (command, bundle) in released.commands {
            let (key, attempt) = (command.key, command.attempt);
            self.diary.note(|| format!("{} {key} attempt {attempt}", self.now));
            require(bundle.is_some(), || format!("{key} has lost its version"))?;
            let retried = self.watch.retried.contains(&command.run);
            for _ in 0..self.planted.performances() {
                let at = (self.now, self.life);
                let computed = bundle.as_ref().and_then(|bundle| compute(&command, bundle));
                let performed = (&command, computed);
                self.outside.perform(performed, &self.watch.durable, at, retried)?;
            }
        }
        self.outside.asked(released.asks, self.now);
        for (run, _, text) in released.said {
            self.diary.note(|| format!("{} {run} says {text}", self.now));
        }
        Ok(())
    }

    fn replied(&mut self, asked: Option<Asked>, reply: Reply) -> Result<(), String> {
        self.diary.note(|| format!("{} {reply:?}", self.now));
        let broken = matches!(reply, Reply::Refused(Refusal::Broken(_)));
        require(!broken, || format!("put aside: {reply:?}"))?;
        let Some(Asked::Input(Input::Event(draft))) = asked else { return Ok(()) };
        let id = draft.id.clone();
        let known = self.known.get(&id);
        match reply {
            Reply::Accepted { event, duplicate } => {
                if let Some((no, said)) = known {
                    let same = event == *no && duplicate && *said == *draft;
                    require(same, || format!("{id} is event {no}, and event {event} again"))?;
                }
                self.watch.accepted(event, &id)?;
                self.known.insert(id, (event, *draft));
                Ok(())
            }
            other => {
                let another = known.is_none_or(|(_, said)| *said != *draft);
                require(another, || format!("{id} was accepted, and now {other:?}"))
            }
        }
    }

    /// People see only what is durable.
    fn answered(&self, answer: &Answer) -> Result<(), String> {
        let Answer::Runs(runs) = answer else { return Ok(()) };
        runs.iter().try_for_each(|run| {
            require(run.no <= self.watch.newest, || {
                format!("run {} was shown and is not durable", run.no)
            })
        })
    }

    /// Goes on after whatever a turn came to: a process that died is started again.
    fn live_on(&mut self, done: Result<(), Stop>) -> Result<(), String> {
        match done {
            Ok(()) => Ok(()),
            Err(Stop::Died) => self.restart(),
            Err(Stop::Broken(why)) => Err(why),
        }
    }

    fn restart(&mut self) -> Result<(), String> {
        self.diary.note(|| format!("{} it starts again", self.now));
        self.disk.crash();
        self.life += 1;
        self.outside.forget();
        self.mailbox.clear();
        self.pump = loop {
            match open(&self.disk, &self.rules, self.now) {
                Ok(pump) => break pump,
                Err(ReadError::Store(_)) => self.disk.crash(),
                Err(ReadError::Corrupt(why)) => return Err(format!("damaged: {why}")),
            }
        };
        if let Some(batch) = self.at_disk.take() {
            self.is_fenced(batch)?;
        }
        for (token, asked) in self.unanswered.clone() {
            self.mailbox.push_back((Some(token), asked));
        }
        Ok(())
    }

    /// A batch of the process that died comes to the disk when the next one has taken the lead.
    fn is_fenced(&mut self, mut batch: Batch) -> Result<(), String> {
        self.planted.forge(&mut batch);
        let late = self.disk.commit(&batch);
        if late.is_ok() {
            self.watch.committed(&batch, self.now)?;
            return if self.planted.forges() {
                Ok(())
            } else {
                Err("it was not fenced".to_owned())
            };
        }
        Ok(())
    }

    fn at_rest(&mut self) -> Result<(), String> {
        let live = self.pump.view();
        let wall = self.now - self.faults.behind;
        rest::nothing_is_stuck(live, &self.watch, &self.outside, wall)?;
        let heard = (self.heard.0..self.watch.next_event.0).map(EventNo);
        rest::everybody_was_asked(&self.watch.durable, &self.rules, heard)?;
        self.heard = self.watch.next_event;
        if self.faults.pace.one_in(4) {
            self.audit()?;
        }
        Ok(())
    }

    /// Compares what is in memory with what is on the disk. Dear, so it is not done all the time.
    pub(crate) fn audit(&mut self) -> Result<(), String> {
        rest::agrees(self.pump.view(), &Photo::of(&self.disk).load()?)?;
        self.watch.all_accepted(self.now)
    }

    /// The state, for choosing what to do next.
    pub(crate) fn state(&self) -> &State {
        self.pump.view()
    }

    /// An event that was answered not longer ago than this, by chance.
    pub(crate) fn known_since(&self, since: Instant, place: u64) -> Option<Draft> {
        let young = |no: EventNo| {
            self.watch.durable.event(no).ok().flatten().is_some_and(|e| e.event.accepted >= since)
        };
        let place = place as usize % self.known.len().max(1);
        self.known.values().nth(place).filter(|(no, _)| young(*no)).map(|(_, draft)| draft.clone())
    }
}

fn open(
    disk: &Arc<Faulty<MemoryStore>>,
    rules: &Arc<RuleSet>,
    now: Instant,
) -> Result<Pump<u64>, ReadError> {
    Ok(Pump::open(disk.clone(), rules.clone(), now)?.keeping(RETENTION))
}

/// What a script comes to; other effects end as the outside says.
fn compute(command: &Command, bundle: &Bundle) -> Option<Outcome> {
    let is_script = command.action == ActionKind::Script;
    is_script.then(|| render::script(command, &bundle.sandbox, &NoRecords, &|| false))
}
