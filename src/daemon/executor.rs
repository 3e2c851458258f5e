//! Performs effects: each attempt is a task, and its outcome goes back to the engine in any case.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::runtime;
use tokio::sync::Semaphore;

use crate::actions::{Performer, render};
use crate::model::{
    ActionKind, Ask, Cause, Command, EffectKey, Input, Outcome, POLL_BUSY, Polled, RunNo, Settled,
    Text, limits,
};
use crate::rules::Bundle;

use super::handle::Handle;
use super::links::Links;
use super::mailbox::Message;
use super::poll;
use super::scripts::Scripts;

/// Hosts that are remembered while nothing is sent to them.
const IDLE_HOSTS: usize = 256;

/// Performs commands on a runtime.
pub(super) struct Executor {
    performer: Arc<Performer>,
    links: Option<Arc<Links>>,
    scripts: Scripts,
    runtime: runtime::Handle,
    handle: Handle,
    /// Turns of requests, by host: the engine announces more than a host takes at a time.
    hosts: HashMap<Text, Arc<Semaphore>>,
}

impl Executor {
    pub(super) fn new(
        performer: Performer,
        links: Option<Arc<Links>>,
        scripts: Scripts,
        runtime: runtime::Handle,
        handle: Handle,
    ) -> Self {
        let performer = Arc::new(performer);
        Self { performer, links, scripts, runtime, handle, hosts: HashMap::new() }
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
        if command.action == ActionKind::Script {
            let scripts = self.scripts.clone();
            self.runtime.spawn(async move {
                let outcome = match bundle {
                    Some(bundle) => script(&scripts, command, bundle).await,
                    None => lost_version(),
                };
                report.finish(outcome);
            });
            return;
        }
        let turns = (command.action == ActionKind::Webhook).then(|| self.turns(&command.lane));
        self.runtime.spawn(async move {
            // Never closed, so a turn comes.
            let _turn = match &turns {
                Some(turns) => turns.acquire().await.ok(),
                None => None,
            };
            let outcome = match bundle {
                Some(bundle) => performer.perform(&command, &bundle.templates).await,
                None => lost_version(),
            };
            report.finish(outcome);
        });
    }

    /// Carries out a poll.
    pub(super) fn poll(&self, ask: Ask) {
        let (performer, scripts) = (self.performer.clone(), self.scripts.clone());
        let handle = self.handle.clone();
        self.runtime.spawn(async move {
            let (key, begun) = (ask.key.clone(), ask.begun);
            // What it brings is refused like any other event, before anything is asked.
            let (found, after) = match handle.takes_events() {
                Ok(()) => poll::carry_out(&performer, &scripts, handle.rules(), ask).await,
                Err(why) => (Err(Cause::new(POLL_BUSY, why.to_string())), None),
            };
            let polled = Polled { key, begun, found, after };
            // Without an engine it is asked again by the next one.
            let _ =
                handle.shared().mailbox.push(Message::Input(Input::Polled(Box::new(polled)), None));
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

/// Calls the function that a command names, with the plugins of its run's version.
async fn script(scripts: &Scripts, command: Command, bundle: Arc<Bundle>) -> Outcome {
    let time = command.timeout.unwrap_or(limits::SCRIPT_TIME);
    let called = scripts
        .step(time, move |host, is_late| render::script(&command, &bundle.sandbox, host, is_late));
    match called.await {
        // Perhaps it had only come too late for this process: the next one calls it again.
        Ok(Outcome::Failed(why)) if scripts.is_stopping() => Outcome::Uncertain(why),
        Ok(outcome) => outcome,
        Err(why) => Outcome::Failed(Cause::new("broken", why.to_string())),
    }
}

fn lost_version() -> Outcome {
    Outcome::Failed(Cause::new(
        "version",
        "the version of the rules this run began with can no longer be read",
    ))
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
