//! Actions: what touches the world, or takes its time. The engine hands over a [`Command`] once its state
//! is durable; [`Performer`] performs it and answers with an [`Outcome`].
//!
//! Each action is a folder of the same shape: *render* (a pure function of the command, the
//! templates of its bundle and the settings, in [`render`]) and *perform* (secrets, timestamps and
//! signatures are made here, at each attempt). A new action is one folder and one arm of
//! [`Performer::perform`].
//!
//! Invariants: a retry sends the same content under the same key. No secret is in a log, a result
//! or a cause. Everything that reached the other side without an answer is `Uncertain`, everything
//! that surely did not is not.

mod asked;
#[cfg(test)]
mod echo;
mod email;
mod excerpt;
pub mod links;
mod marker;
mod network;
mod outbox;
mod params;
mod script;
mod secrets;
mod settings;
mod tls;
mod webhook;

use std::sync::Arc;

pub use email::{MailContent, sender};
pub use network::{NetworkPolicy, Refused};
pub use secrets::{SecretError, SecretName, Secrets};
pub use settings::{
    Endpoint, MailSettings, Settings, SettingsError, SmtpServer, SmtpTls, WebhookSettings,
};
pub use webhook::{HttpRequestContent, Target};

use crate::model::{ActionKind, Ask, Cause, Command, Instant, Map, Outcome, Span, Value};
use crate::rules::Templates;
use crate::script::Grant;

/// What each action would send, without sending it: used by the performer and by rule tests.
pub mod render {
    pub use super::asked::poll;
    pub use super::email::render as email;
    pub use super::script::call as script;
    pub use super::webhook::answer;
    pub use super::webhook::render as webhook;
}

/// Reads the wall clock. The daemon gives its own; only signatures and `Retry-After` use it.
pub type WallClock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// The templates that a command's run is pinned to.
pub trait TemplateSource: Send + Sync {
    /// Renders the template `name` for a locale such as `de-AT`, falling back to the plain one.
    ///
    /// # Errors
    /// A cause for people, with the place in the template.
    fn render(&self, name: &str, locale: Option<&str>, scope: &Map) -> Result<RenderedMail, Cause>;
}

impl TemplateSource for Templates {
    fn render(&self, name: &str, locale: Option<&str>, scope: &Map) -> Result<RenderedMail, Cause> {
        // The inherent method: what the rules room makes of it.
        let rendered = Self::render(self, name, locale, scope)
            .map_err(|fault| Cause::new("template", fault.to_string()))?;
        Ok(RenderedMail { subject: rendered.subject, text: rendered.text, html: rendered.html })
    }
}

/// What a template makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RenderedMail {
    /// Its first line after `Subject:`.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part, if there is one.
    pub html: Option<String>,
}

/// Performs effects. One for the life of a configuration: it holds the connections.
pub struct Performer {
    mail: email::Mailer,
    webhooks: webhook::Webhooks,
    secrets: Secrets,
}

impl std::fmt::Debug for Performer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Performer").finish_non_exhaustive()
    }
}

impl Performer {
    /// Checks the settings: addresses, certificates, and that every secret they name is there.
    ///
    /// # Errors
    /// Every setting that cannot be used, not only the first.
    pub fn new(
        settings: &Settings,
        secrets: Secrets,
        clock: WallClock,
    ) -> Result<Self, Vec<SettingsError>> {
        let outbox = outbox::Outbox::new(settings.outbox.clone());
        let mail = email::Mailer::new(&settings.mail, outbox.clone(), &secrets);
        let webhooks = webhook::Webhooks::new(&settings.webhooks, outbox, &secrets, clock);
        match (mail, webhooks) {
            (Ok(mail), Ok(webhooks)) => Ok(Self { mail, webhooks, secrets }),
            (mail, webhooks) => {
                let mut errors = mail.err().unwrap_or_default();
                errors.extend(webhooks.err().unwrap_or_default());
                Err(errors)
            }
        }
    }

    /// Sends a request that a poll asks for, and gives its answer with a body of up to a megabyte.
    ///
    /// # Errors
    /// A cause for people: a request that its plugin may not make, or one that was not answered well; and
    /// how long the other side wants to be left alone.
    pub async fn fetch(
        &self,
        request: &Value,
        grant: &Grant,
        ask: &Ask,
    ) -> Result<Value, (Cause, Option<Span>)> {
        let command = render::poll(request, grant, ask).map_err(|cause| (cause, None))?;
        match self.webhooks.fetch(&command, &self.secrets).await {
            Outcome::Done(answer) => Ok(answer),
            Outcome::Retry { why, after } => Err((why, after)),
            Outcome::Failed(why) | Outcome::Uncertain(why) => Err((why, None)),
        }
    }

    /// Performs one attempt. Takes at most `command.timeout` (each action's own default without one)
    /// once the request is rendered.
    ///
    /// Dropping the future abandons the attempt; its outcome is then uncertain.
    pub async fn perform(&self, command: &Command, templates: &dyn TemplateSource) -> Outcome {
        match command.action {
            ActionKind::Email => self.mail.perform(command, templates, &self.secrets).await,
            ActionKind::Webhook => self.webhooks.perform(command, &self.secrets).await,
            #[cfg(test)]
            ActionKind::Echo => echo::perform(command),
            // Computes, on a thread that may: see [`render::script`].
            ActionKind::Script => Outcome::Failed(Cause::new("plugin", "scripts are not sent")),
        }
    }
}
