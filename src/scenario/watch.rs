//! [`Seen`]: what is noticed of the engine's decisions besides what they send: events emitted, runs that
//! failed, expressions that failed, and which steps were reached.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    Code, EffectKey, EffectState, EventNo, Name, Parent, Run, RunNo, Status, Write,
};

use super::coverage::Reached;
use super::effect::Happening;

/// What sources of events begin with that rules emit.
const OURS: &str = "adjutant/";
/// The source of what the daemon says itself: `sla.breached`, `message.suppressed`.
const DAEMON: &str = "adjutant";

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Seen {
    fresh: Vec<Happening>,
    /// The newest event that was looked at.
    last: EventNo,
    /// Expressions that failed: of which workflow, about which event.
    errors: BTreeSet<(EventNo, Name)>,
    /// Called runs that failed. Who waits for one says itself what comes of it.
    pub(super) left: Vec<(Happening, Parent)>,
    /// Effects that a crash has left for a person to decide.
    pub(super) held: Vec<(RunNo, EffectKey)>,
    /// Runs that began, those that others called left out, by workflow.
    pub(super) fired: BTreeMap<Name, usize>,
    /// Other rules came into force: what is reached from here on is theirs.
    pub(super) is_over: bool,
    /// Steps that were reached.
    pub(super) reached: Reached,
}

impl Seen {
    /// What happened since this was last called.
    pub(super) fn take_fresh(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.fresh)
    }

    /// Takes note of a write.
    pub(super) fn write(&mut self, write: &Write) {
        match write {
            Write::Event(stored) => {
                let event = &*stored.event;
                if event.no > self.last {
                    self.last = event.no;
                    if event.source.starts_with(OURS) || *event.source == *DAEMON {
                        self.fresh.push(Happening::event(event));
                    }
                }
                for verdict in stored.verdicts.iter().filter(|one| one.code == Code::Error) {
                    if self.errors.insert((event.no, verdict.workflow.clone())) {
                        let detail = verdict.detail.as_deref().unwrap_or_default();
                        self.fresh.push(Happening::error(event, &verdict.workflow, detail));
                    }
                }
            }
            Write::Run(old, new) => self.run(old.as_deref(), new),
            _ => {}
        }
    }

    fn run(&mut self, old: Option<&Run>, new: &Run) {
        if old.is_none() && new.parent.is_none() {
            *self.fired.entry(new.workflow.clone()).or_default() += 1;
        }
        let known = old.map_or(0, |old| old.spilled as usize + old.trace.len());
        if !self.is_over {
            for entry in new.trace.iter().skip(known.saturating_sub(new.spilled as usize)) {
                self.reached.note(&new.workflow, entry);
            }
        }
        let failed = |run: &Run| run.status == Status::Failed;
        if failed(new) && !old.is_some_and(failed) {
            let failure = Happening::failed(new, new.ended.unwrap_or(new.began));
            match new.parent {
                None => self.fresh.push(failure),
                Some(parent) => self.left.push((failure, parent)),
            }
        }
        let held = |run: &Run| {
            run.effect().filter(|effect| effect.state == EffectState::Held).map(|effect| effect.key)
        };
        if let Some(key) = held(new).filter(|_| old.is_none_or(|old| held(old).is_none()))
            && is_left_by_a_crash(new)
        {
            self.held.push((new.no, key));
        }
    }
}

fn is_left_by_a_crash(run: &Run) -> bool {
    let newest = run.trace.iter().rev().find_map(|entry| match &entry.what {
        crate::model::Trace::Held(_, why) => Some(&*why.code == "restart"),
        _ => None,
    });
    newest == Some(true)
}
