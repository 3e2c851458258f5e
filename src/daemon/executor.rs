//! Performs effects: each attempt is a task, and its outcome goes back to the engine in any case.

use std::sync::Arc;

use tokio::runtime;

use crate::actions::Performer;
use crate::model::{Cause, Command, EffectKey, Input, Outcome, RunNo, Settled};
use crate::rules::Bundle;

use super::handle::Handle;
use super::links::Links;
use super::mailbox::Message;

/// Performs commands on a runtime.
#[derive(Clone)]
pub(super) struct Executor {
    performer: Arc<Performer>,
    links: Option<Arc<Links>>,
    runtime: runtime::Handle,
    handle: Handle,
}

impl Executor {
    pub(super) fn new(
        performer: Performer,
        links: Option<Arc<Links>>,
        runtime: runtime::Handle,
        handle: Handle,
    ) -> Self {
        Self { performer: Arc::new(performer), links, runtime, handle }
    }

    /// Begins an attempt.
    pub(super) fn perform(&self, mut command: Command, bundle: Option<Arc<Bundle>>) {
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
        self.runtime.spawn(async move {
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
