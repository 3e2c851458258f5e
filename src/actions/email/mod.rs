//! `email`: render → hold back → send, or write to the outbox while no server is named.

mod address;
mod content;
mod message;
mod parking;
mod relay;

use std::time::Duration;

use lettre::message::Mailbox;

pub use content::{MailContent, render};

use self::message::Reader;
use self::relay::{Progress, Relay};
use super::TemplateSource;
use super::outbox::Outbox;
use super::secrets::Secrets;
use super::settings::{MailSettings, SettingsError};
use crate::model::{Cause, Command, Map, Outcome, Value};

/// How long an attempt may take whose command names no timeout.
const MAIL_TIMEOUT: Duration = Duration::from_mins(1);

/// Performs mails.
pub(crate) struct Mailer {
    from: Mailbox,
    only_to: Vec<String>,
    relay: Option<Relay>,
    outbox: Outbox,
}

impl Mailer {
    /// Checks the settings, all of them.
    pub(crate) fn new(
        settings: &MailSettings,
        outbox: Outbox,
        secrets: &Secrets,
    ) -> Result<Self, Vec<SettingsError>> {
        let mut errors = Vec::new();
        let from = sender(&settings.from).map_err(|error| errors.push(error)).ok();
        for pattern in &settings.only_to {
            if !(pattern.contains('@') || pattern == "*") {
                errors.push(SettingsError::new(
                    "smtp.only_to",
                    format!(
                        "`{pattern}` matches no address: write `ana@x.example` or `*@x.example`"
                    ),
                ));
            }
        }
        let relay = settings.server.as_ref().map(Relay::new).transpose();
        let relay = relay.map_err(|more| errors.extend(more)).ok().flatten();
        if let Some(password) = relay.as_ref().and_then(Relay::password)
            && let Err(error) = secrets.get(password)
        {
            errors.push(SettingsError::new("smtp.password", error.to_string()));
        }
        match from {
            Some(from) if errors.is_empty() => {
                Ok(Self { from, only_to: settings.only_to.clone(), relay, outbox })
            }
            _ => Err(errors),
        }
    }

    /// Sends the mail of one attempt.
    pub(crate) async fn perform(
        &self,
        command: &Command,
        templates: &dyn TemplateSource,
        secrets: &Secrets,
    ) -> Outcome {
        let mut content = match render(command, templates, &self.from) {
            Ok(content) => content,
            Err(cause) => return Outcome::Failed(cause),
        };
        let held_back = hold_back(&mut content, &self.only_to);
        if content.to.is_empty() && content.cc.is_empty() && content.bcc.is_empty() {
            return Outcome::Done(Value::from([("suppressed", Value::from("only_to"))]));
        }
        let mut result = Map::from([("message".into(), Value::from(content.message_id()))]);
        if !held_back.is_empty() {
            result.insert("held_back".into(), Value::List(held_back));
        }
        match &self.relay {
            None => match self.write(command, &content).await {
                Ok(path) => {
                    result.insert("outbox".into(), Value::from(path));
                    Outcome::Done(Value::Map(result))
                }
                Err(outcome) => outcome,
            },
            Some(relay) => match send(relay, command, &content, secrets).await {
                Ok(()) => Outcome::Done(Value::Map(result)),
                Err(outcome) => outcome,
            },
        }
    }

    async fn write(&self, command: &Command, content: &MailContent) -> Result<String, Outcome> {
        let bytes = message::bytes(content, Reader::Outbox).map_err(Outcome::Failed)?;
        match self.outbox.write(command, "eml", bytes).await {
            Ok(path) => Ok(path.display().to_string()),
            Err(why) => Err(Outcome::Retry { after: None, why }),
        }
    }
}

/// Reads the configured sender.
///
/// # Errors
/// The setting and what is wrong with it.
pub fn sender(text: &str) -> Result<Mailbox, SettingsError> {
    address::parse(text, "from")
        .map_err(|cause| SettingsError::new("smtp.from", cause.message.to_string()))
}

async fn send(
    relay: &Relay,
    command: &Command,
    content: &MailContent,
    secrets: &Secrets,
) -> Result<(), Outcome> {
    let envelope = message::envelope(content).map_err(Outcome::Failed)?;
    let bytes = message::bytes(content, Reader::Recipients).map_err(Outcome::Failed)?;
    let limit = match command.timeout {
        None => MAIL_TIMEOUT,
        Some(timeout) => timeout.to_std(),
    };
    let progress = Progress::default();
    let sending = relay.send(secrets, &envelope, &bytes, &progress);
    if let Ok(result) = tokio::time::timeout(limit, sending).await {
        return result;
    }
    let seconds = limit.as_secs_f64();
    if progress.handed_over() {
        let message = format!("the relay took the message and did not answer in {seconds} s");
        return Err(Outcome::Uncertain(Cause::new("timeout", message)));
    }
    let message = format!("the relay did not get as far as the message in {seconds} s");
    Err(Outcome::Retry { after: None, why: Cause::new("timeout", message) })
}

/// Takes out every recipient that no pattern of `only_to` matches; gives their addresses.
fn hold_back(content: &mut MailContent, only_to: &[String]) -> Vec<Value> {
    let mut held_back = Vec::new();
    if only_to.is_empty() {
        return held_back;
    }
    for list in [&mut content.to, &mut content.cc, &mut content.bcc] {
        list.retain(|mailbox| {
            let address = mailbox.email.to_string();
            let keep = only_to.iter().any(|pattern| address::matches(pattern, &address));
            if !keep {
                held_back.push(Value::from(address));
            }
            keep
        });
    }
    held_back
}
