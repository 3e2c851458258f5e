//! Performs effects: each attempt is a task, and its outcome goes back to the engine in any case.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::runtime;
use tokio::sync::Semaphore;

use crate::actions::Performer;
use crate::model::{
    ActionKind, Cause, Command, EffectKey, Input, Outcome, RunNo, Settled, Text, limits,
};
use crate::rules::Bundle;

use super::handle::Handle;
use super::links::Links;
use super::mailbox::Message;

/// Hosts that are remembered while nothing is sent to them.
const IDLE_HOSTS: usize = 256;

/// Performs commands on a runtime.
pub(super) struct Executor {
    performer: Arc<Performer>,
    links: Option<Arc<Links>>,
    runtime: runtime::Handle,
    handle: Handle,
    /// Turns of requests, by host: the engine announces more than a host takes at a time.
    hosts: HashMap<Text, Arc<Semaphore>>,
}

impl Executor {
    pub(super) fn new(
        performer: Performer,
        links: Option<Arc<Links>>,
        runtime: runtime::Handle,
        handle: Handle,
    ) -> Self {
        Self { performer: Arc::new(performer), links, runtime, handle, hosts: HashMap::new() }
    }

    /// Begins an attempt.
    pub(super) fn perform(&mut self, mut command: Command, bundle: Option<Arc<Bundle>>) {
        if let Some(links) = &self.links {
            links.add(&mut command);
        }
        let performer = self.performer.clone();
        let report = Report {
            handle: self.handle.clone(),
            run: command.run,
            key: command.key,
            attempt: command.attempt,
            outcome: None,
        };
        let turns = (command.action == ActionKind::Webhook).then(|| self.turns(&command.lane));
        self.runtime.spawn(async move {
            // Never closed, so a turn comes.
            let _turn = match &turns {
                Some(turns) => turns.acquire().await.ok(),
                None => None,
            };
            let outcome = match bundle {
                Some(bundle) => performer.perform(&command, &bundle.templates).await,
                None => Outcome::Failed(Cause::new(
                    "version",
                    "the version of the rules this run began with can no longer be read",
                )),
            };
            report.finish(outcome);
        });
    }

    fn turns(&mut self, host: &Text) -> Arc<Semaphore> {
        if let Some(turns) = self.hosts.get(host) {
            return turns.clone();
        }
        if self.hosts.len() >= IDLE_HOSTS {
            self.hosts.retain(|_, turns| Arc::strong_count(turns) > 1);
        }
        let turns = Arc::new(Semaphore::new(limits::HOST_REQUESTS));
        self.hosts.insert(host.clone(), turns.clone());
        turns
    }
}

/// Reports an outcome when the task is over, however it ends.
struct Report {
    handle: Handle,
    run: RunNo,
    key: EffectKey,
    attempt: u16,
    outcome: Option<Outcome>,
}

impl Report {
    fn finish(mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| {
            Outcome::Uncertain(Cause::new("broken", "the attempt was broken off"))
        });
        let settled = Settled { run: self.run, key: self.key, attempt: self.attempt, outcome };
        // Of an engine that is gone the next one finds the attempt without an outcome.
        let _ = self.handle.shared().mailbox.push(Message::Input(Input::Outcome(settled), None));
    }
}
