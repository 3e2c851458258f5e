//! Service levels: by when something must have become true of a record.
//!
//! How far one is lies in a record of kind `sla`: the spans of time that counted, what they had to come
//! to, and what was said already. Everything else is computed of that, with the calendar in force, so a
//! pause or a change of the target is exact over nights, holidays and changes of the clocks. When it has
//! to be looked at next is a window.

use crate::model::{
    Address, Cause, Digest, Draft, EventNo, Instant, Lineage, Map, ReadError, RunNo, SLA, Span,
    Text, Value, Window, WindowKey,
};
use crate::rules::Sla;
use crate::script::{Condition, EvalError, Scope, Test};

use super::admit;
use super::ladder;
use super::obligations::{self, Promise};
use super::reads::Reads;
use super::records::{self, Changer};
use super::stage::Stage;
use super::start::{Fault, lineage_of};
use super::watch::window_key;

/// What its windows are for.
pub(super) const WINDOW: &str = "sla";
/// The words of the field `status`.
pub(super) mod status {
    /// Time counts.
    pub(in crate::engine) const RUNNING: &str = "running";
    /// It does not.
    pub(in crate::engine) const PAUSED: &str = "paused";
    /// Time is up; it counts on.
    pub(in crate::engine) const BREACHED: &str = "breached";
    /// Done in time.
    pub(in crate::engine) const MET: &str = "met";
    /// Done when time was up.
    pub(in crate::engine) const LATE: &str = "late";
    /// It is not about this record any more.
    pub(in crate::engine) const DROPPED: &str = "dropped";
}

/// A record changed: what that means for the service levels of its kind. `new` is null when it is gone.
pub(super) fn record_changed(
    stage: &mut Stage<'_>,
    changer: &Changer<'_>,
    address: &Address,
    new: &Value,
) {
    let rules = stage.rules;
    for sla in rules.slas.values().filter(|sla| *sla.of == *address.kind) {
        let lineage = match changer {
            Changer::Run(run) => lineage_of(run),
            Changer::Person(_) => Lineage::default(),
        };
        let mut level = match Level::read(stage, sla, address, lineage) {
            Ok(level) => level,
            Err(error) => {
                stage.spoil(error);
                return;
            }
        };
        match level.look(stage, new) {
            Ok(()) => {}
            Err(Fault::Read(error)) => stage.spoil(error),
            // The record is written all the same: a service level never keeps anybody from working.
            Err(Fault::Cause(cause)) => level.failed(stage, &cause),
        }
    }
}

/// Something fell due of a service level.
pub(super) fn due(stage: &mut Stage<'_>, key: &WindowKey) -> Result<(), ReadError> {
    let parts = key
        .key
        .split_once('/')
        .and_then(|(name, of)| Some((stage.rules.slas.get(name)?, of.parse::<Address>().ok()?)));
    let Some((sla, address)) = parts else { return gone(stage, key) };
    let mut level = Level::read(stage, sla, &address, Lineage::default())?;
    match level.pass(stage).and_then(|()| level.keep(stage)) {
        Ok(()) => Ok(()),
        Err(Fault::Read(error)) => Err(error),
        Err(Fault::Cause(cause)) => {
            level.failed(stage, &cause);
            stage.put_window(key.clone(), None)
        }
    }
}

/// The document of one is gone: nobody waits for it any more.
fn gone(stage: &mut Stage<'_>, key: &WindowKey) -> Result<(), ReadError> {
    let by = Text::from("sla");
    let changer = Changer::Person(&by);
    let place = Address { kind: SLA.into(), id: key.key.clone() };
    if let Some(record) = stage.record(&place)? {
        let mut fields = record.fields.clone();
        fields.insert("status".into(), status::DROPPED.into());
        fields.insert("ended".into(), Value::Instant(stage.now));
        records::replace(stage, &changer, place, fields);
    }
    obligations::keep(stage, &changer, &format!("sla-{}", key.key), None)?;
    stage.put_window(key.clone(), None)
}

/// One service level of one record.
pub(super) struct Level<'s> {
    pub(super) sla: &'s Sla,
    of: &'s Address,
    place: Address,
    lineage: Lineage,
    /// As it is stored; empty: it has not begun.
    pub(super) fields: Map,
}

impl<'s> Level<'s> {
    fn read(
        stage: &Stage<'_>,
        sla: &'s Sla,
        of: &'s Address,
        lineage: Lineage,
    ) -> Result<Self, ReadError> {
        let place = Address { kind: SLA.into(), id: format!("{}/{of}", sla.name).into() };
        let record = stage.record(&place)?;
        let fields = record.map(|record| record.fields.clone()).unwrap_or_default();
        Ok(Self { sla, of, place, lineage, fields })
    }

    /// The record is this now.
    fn look(&mut self, stage: &mut Stage<'_>, record: &Value) -> Result<(), Fault> {
        // What fell due before this change is said first, however late the daemon is.
        self.pass(stage)?;
        let holds = |stage: &Stage<'_>, condition: Option<&Condition>, otherwise: bool| {
            let Some(condition) = condition else { return Ok(otherwise) };
            let mut scope = Scope::new(stage.now);
            scope.set("record", record);
            Ok::<bool, EvalError>(condition.test(&scope, &Reads(stage))? == Test::True)
        };
        let there = !record.is_null();
        let applies = there && holds(stage, self.sla.applies.as_ref(), true)?;
        let is_done = there && holds(stage, Some(&self.sla.done), false)?;
        let counts = self.is(&[status::RUNNING, status::BREACHED, status::PAUSED]);
        if !applies || is_done {
            if counts {
                self.end(stage, is_done && there)?;
            }
            return Ok(());
        }
        let pauses = holds(stage, self.sla.pause.as_ref(), false)?;
        let mut target = self.sla.targets.len().saturating_sub(1);
        for (at, one) in self.sla.targets.iter().enumerate() {
            if holds(stage, one.condition.as_ref(), true)? {
                target = at;
                break;
            }
        }
        if self.fields.is_empty() || self.is(&[status::DROPPED]) {
            self.begin(stage);
        } else if self.is(&[status::MET, status::LATE]) {
            self.reopen(stage);
        }
        self.aim(stage, target)?;
        match (pauses, self.open_since().is_some()) {
            (true, true) => self.close_span(stage)?,
            (false, false) => self.fields.extend([("since".into(), Value::Instant(stage.now))]),
            _ => {}
        }
        if !self.is(&[status::BREACHED]) {
            self.set_status(if pauses { status::PAUSED } else { status::RUNNING });
        }
        self.keep(stage)
    }

    pub(super) fn is(&self, any: &[&str]) -> bool {
        let status = self.fields.get("status").and_then(Value::as_text).unwrap_or_default();
        any.contains(&status)
    }

    fn set_status(&mut self, status: &str) {
        self.fields.insert("status".into(), status.into());
    }

    fn begin(&mut self, stage: &Stage<'_>) {
        // What the document says now counts for as long as this one lasts.
        let targets =
            self.sla.targets.iter().map(|one| Value::from(one.within.to_string())).collect();
        self.fields = Map::from([
            ("policy".into(), Value::Text(self.sla.name.clone())),
            ("of".into(), Value::text(self.of.to_string())),
            ("started".into(), Value::Instant(stage.now)),
            ("targets".into(), Value::List(targets)),
            ("used".into(), Value::Span(Span::ZERO)),
            ("spans".into(), Value::List(Vec::new())),
            ("warned".into(), Value::Int(0)),
        ]);
    }

    /// What was done is not: time counts on where it stood.
    fn reopen(&mut self, stage: &mut Stage<'_>) {
        let times = match self.fields.get("reopened") {
            Some(Value::Int(times)) => *times,
            _ => 0,
        };
        self.fields.insert("reopened".into(), Value::Int(times + 1));
        self.fields.remove("ended");
        let late = self.is(&[status::LATE]);
        self.set_status(if late { status::BREACHED } else { status::RUNNING });
        self.say(stage, "sla.reopened");
    }

    /// It is done, or not about this record any more.
    fn end(&mut self, stage: &mut Stage<'_>, done: bool) -> Result<(), Fault> {
        if self.open_since().is_some() {
            self.close_span(stage)?;
        }
        let breached = self.is(&[status::BREACHED]);
        self.set_status(match (done, breached) {
            (true, false) => status::MET,
            (true, true) => status::LATE,
            (false, _) => status::DROPPED,
        });
        self.fields.insert("ended".into(), Value::Instant(stage.now));
        if let Some(Value::Int(no)) = self.fields.remove("run_no") {
            let why = format!("{} of {}", self.sla.name, self.of).into();
            ladder::over(stage, RunNo(no.unsigned_abs()), &why)?;
        }
        if done {
            self.say(stage, "sla.met");
        }
        self.keep(stage)
    }

    /// Says what has fallen due by now.
    fn pass(&mut self, stage: &mut Stage<'_>) -> Result<(), Fault> {
        while let Some((at, mark)) = self.next(stage)? {
            if at > stage.now {
                break;
            }
            match mark {
                Some(percent) => {
                    self.fields.insert("warned".into(), Value::Int(i64::from(percent)));
                    self.say(stage, "sla.warning");
                }
                None => self.breach(stage, at)?,
            }
        }
        Ok(())
    }

    /// Time is up.
    fn breach(&mut self, stage: &mut Stage<'_>, at: Instant) -> Result<(), Fault> {
        self.set_status(status::BREACHED);
        self.fields.insert("breached".into(), Value::Instant(at));
        self.fields.insert("due".into(), Value::Instant(at));
        let event = self.say(stage, "sla.breached");
        let Some(policy) = &self.sla.escalate else { return Ok(()) };
        let stored = stage.event(event)?;
        let hash = Digest::of(&[b"sla", &self.identity("sla.breached").0]);
        let args = Value::from([("sla", self.told())]);
        let summary = format!("{} of {} is overdue since {at}", self.sla.name, self.of).into();
        let alarm = ladder::Alarm { policy, event: &stored.event, hash, args, summary };
        if let Some(run) = ladder::alone(stage, alarm)? {
            self.fields.insert("run_no".into(), Value::Int(run.0 as i64));
        }
        Ok(())
    }

    /// Keeps it, and when it has to be looked at next.
    fn keep(&mut self, stage: &mut Stage<'_>) -> Result<(), Fault> {
        let total = self.span("total");
        match self.when(stage, total)? {
            Some(due) if !self.is(&[status::BREACHED]) => {
                self.fields.insert("due".into(), Value::Instant(due));
            }
            // Nobody knows when, as long as it is paused.
            None if self.is(&[status::PAUSED]) => {
                self.fields.remove("due");
            }
            _ => {}
        }
        let next = self.next(stage)?.map(|(at, _)| at);
        let window = next.map(|at| Window { due: Some(at), ..Window::default() });
        stage.put_window(self.window(), window)?;
        let old = stage.record(&self.place)?;
        if old.is_none_or(|old| old.fields != self.fields) {
            let by = Text::from("sla");
            let (place, fields) = (self.place.clone(), self.fields.clone());
            records::replace(stage, &Changer::Person(&by), place, fields);
        }
        Ok(self.promise(stage, &Changer::Person(&Text::from("sla")))?)
    }

    /// While time counts it is what the owner of the record has to do, if it has one.
    fn promise(&self, stage: &mut Stage<'_>, changer: &Changer<'_>) -> Result<(), ReadError> {
        let record = stage.record(self.of)?;
        let owner = record.as_ref().and_then(|record| record.fields.get("owner")?.as_text());
        let about = self.of.to_string();
        let title = format!("{} of {about}", self.sla.name);
        let counts = self.is(&[status::RUNNING, status::BREACHED]);
        let promise = match (owner, self.instant("due")) {
            (Some(owner), Some(due)) if counts && !owner.is_empty() => {
                Some(Promise { owner, due, title: &title, about: &about })
            }
            _ => None,
        };
        obligations::keep(stage, changer, &format!("sla-{}", self.place.id), promise.as_ref())
    }

    fn window(&self) -> WindowKey {
        window_key("", WINDOW, Some(&self.place.id))
    }

    /// What its events and its ladder are told of it.
    fn told(&self) -> Value {
        let mut told = Map::new();
        for name in ["policy", "of", "started", "due", "within", "breached", "reopened"] {
            if let Some(value) = self.fields.get(name) {
                told.insert(name.into(), value.clone());
            }
        }
        if self.warned() > 0 {
            told.insert("percent".into(), Value::Int(self.warned()));
        }
        Value::Map(told)
    }

    /// Each thing is said once of each beginning and reopening.
    fn identity(&self, kind: &str) -> Digest {
        let started = self.instant("started").map_or(0, Instant::as_micros).to_be_bytes();
        let reopened = self.fields.get("reopened").map(Value::to_string).unwrap_or_default();
        let warned = self.warned().to_be_bytes();
        Digest::of(&[
            kind.as_bytes(),
            self.place.id.as_bytes(),
            &started,
            reopened.as_bytes(),
            &warned,
        ])
    }

    fn say(&self, stage: &mut Stage<'_>, kind: &str) -> EventNo {
        let draft = Draft {
            id: self.identity(kind).to_string().into(),
            source: "adjutant".into(),
            kind: kind.into(),
            subject: Some(self.of.to_string().into()),
            time: None,
            data: self.told(),
            extensions: Map::new(),
        };
        admit::accept(stage, draft, self.lineage.clone())
    }

    /// What it says cannot be computed: the record lacks a field, or its calendar is gone.
    fn failed(&self, stage: &mut Stage<'_>, cause: &Cause) {
        let Value::Map(mut data) = self.told() else { return };
        data.insert("policy".into(), Value::Text(self.sla.name.clone()));
        data.insert("error".into(), cause.to_value());
        let micros = stage.now.as_micros().to_be_bytes();
        let id = Digest::of(&[b"sla.error", self.place.id.as_bytes(), &micros]);
        let draft = Draft {
            id: id.to_string().into(),
            source: "adjutant".into(),
            kind: "sla.error".into(),
            subject: Some(self.of.to_string().into()),
            time: None,
            data: Value::Map(data),
            extensions: Map::new(),
        };
        admit::accept(stage, draft, self.lineage.clone());
    }
}
