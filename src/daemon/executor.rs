//! Performs effects: each attempt is a task, and its outcome goes back to the engine in any case.

use std::sync::Arc;

use tokio::runtime;

use crate::actions::{Performer, RenderedMail, TemplateSource};
use crate::model::{Cause, Command, EffectKey, Input, Map, Outcome, RunNo, Settled};
use crate::rules::Bundle;

use super::handle::Handle;
use super::mailbox::Message;

/// Performs commands on a runtime.
#[derive(Clone)]
pub(super) struct Executor {
    performer: Arc<Performer>,
    runtime: runtime::Handle,
    handle: Handle,
}

impl Executor {
    pub(super) fn new(performer: Performer, runtime: runtime::Handle, handle: Handle) -> Self {
        Self { performer: Arc::new(performer), runtime, handle }
    }

    /// Begins an attempt.
    pub(super) fn perform(&self, command: Command, bundle: Option<Arc<Bundle>>) {
        let performer = self.performer.clone();
        let mut report = Report {
            handle: self.handle.clone(),
            run: command.run,
            key: command.key,
            attempt: command.attempt,
            outcome: None,
        };
        self.runtime.spawn(async move {
            report.outcome = Some(performer.perform(&command, &Templates(bundle)).await);
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

impl Drop for Report {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| {
            Outcome::Uncertain(Cause::new("broken", "the attempt was broken off"))
        });
        let settled =
            Settled { run: self.run, key: self.key, attempt: self.attempt, outcome };
        self.handle.shared().mailbox.push(Message::Input(Input::Outcome(settled), None));
    }
}

/// The templates of a bundle.
struct Templates(Option<Arc<Bundle>>);

impl TemplateSource for Templates {
    fn render(
        &self,
        name: &str,
        locale: Option<&str>,
        scope: &Map,
    ) -> Result<RenderedMail, Cause> {
        let Some(bundle) = &self.0 else {
            return Err(Cause::new("version", "the templates of this run can no longer be read"));
        };
        let rendered = bundle
            .templates
            .render(name, locale, scope)
            .map_err(|fault| Cause::new("template", fault.to_string()))?;
        Ok(RenderedMail { subject: rendered.subject, text: rendered.text, html: rendered.html })
    }
}
