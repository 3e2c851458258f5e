//! [`Outside`]: mail servers, the CRM, and what people have agreed to, which the day's mails are held to.
//!
//! It remembers everything over the crash of the daemon. How an attempt ends follows from the address and from
//! the effect's key, so it ends the same however often it is performed.

use std::collections::BTreeMap;

use adjutant::actions::{links, render, sender};
use adjutant::model::{
    ActionKind, Cause, Command, EffectKey, Instant, Link, Outcome, RunNo, Span, Value,
};
use adjutant::rules::Bundle;
use adjutant::store::State;

use crate::support::sim::Lookups;
use crate::world::{record, text};

/// A mail or a request that was performed for the first time.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) run: RunNo,
    pub(crate) at: Instant,
    pub(crate) action: ActionKind,
    pub(crate) workflow: String,
    pub(crate) purpose: String,
    pub(crate) template: String,
    /// The first recipient.
    pub(crate) to: String,
    pub(crate) params: Value,
    /// The other side took it, whether or not we heard of that.
    pub(crate) accepted: bool,
    /// It was refused for good, or could not even be rendered.
    pub(crate) refused: bool,
    /// When it was tried, and the zone in which whoever it is for was then, as far as the rules know.
    pub(crate) attempts: Vec<(Instant, String)>,
}

/// What somebody said about mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// They agreed to marketing.
    Yes,
    /// They did so no more.
    No,
    /// They are never to hear of us again: unsubscribed, or erased.
    Never,
}

/// See the file's description.
#[derive(Default)]
pub(crate) struct Outside {
    pub(crate) sent: BTreeMap<EffectKey, Sent>,
    /// The links of mails, which nobody has followed yet.
    pub(crate) links: Vec<Link>,
    /// What people said about mail, and when, by address.
    pub(crate) said: BTreeMap<String, Vec<(Instant, Said)>>,
    /// When an answer was last lost: there may be something to look after.
    pub(crate) lost: Option<Instant>,
    /// The webhook's receiver is down.
    pub(crate) crm_is_down: bool,
    /// What should not have been asked for.
    pub(crate) faults: Vec<String>,
}

impl Outside {
    /// Performs an attempt, and says how it ends and how long that takes.
    pub(crate) fn perform(
        &mut self,
        mut command: Command,
        bundle: Option<&Bundle>,
        state: &State,
        now: Instant,
    ) -> (Outcome, Span) {
        let mut letters = Vec::new();
        links::add(&mut command, |link| {
            letters.push(link.clone());
            format!("https://ops.example/l/{}", letters.len())
        });
        let luck = command.key.0.short();
        let outcome = match command.action {
            ActionKind::Email => match rendered(&command, bundle) {
                Err(cause) => Outcome::Failed(cause),
                Ok(()) => mail_server(&first_recipient(&command), command.attempt, luck),
            },
            ActionKind::Webhook => self.receiver(command.attempt, luck),
            ActionKind::Script => {
                let sandbox = &bundle.expect("a run's version is there").sandbox;
                render::script(&command, sandbox, &Lookups(state), &|| false)
            }
        };
        let new = !self.sent.contains_key(&command.key);
        let contact = record(state, "contact", &first_recipient(&command));
        let zone = contact.map(|contact| text(&contact, "zone").to_owned()).unwrap_or_default();
        self.remember(&command, &outcome, (now, zone));
        if command.action == ActionKind::Email && new {
            self.links.extend(letters);
        }
        (outcome, Span::from_millis(200 + (luck % 1_800) as i64))
    }

    fn receiver(&self, attempt: u16, luck: u64) -> Outcome {
        let status = match luck {
            _ if self.crm_is_down => 503,
            luck if luck.is_multiple_of(150) => 422,
            luck if luck.is_multiple_of(20) && attempt <= 2 => 503,
            _ => return Outcome::Done(Value::Null),
        };
        let why = Cause::new(format!("http_{status}"), format!("the CRM answered {status}"));
        if status == 503 { Outcome::Retry { after: None, why } } else { Outcome::Failed(why) }
    }

    fn remember(&mut self, command: &Command, outcome: &Outcome, attempt: (Instant, String)) {
        let param = |name: &str| {
            let value = command.params.get(name).and_then(Value::as_text);
            value.unwrap_or_default().to_owned()
        };
        let sent = self.sent.entry(command.key).or_insert_with(|| Sent {
            run: command.run,
            at: attempt.0,
            action: command.action,
            workflow: command.workflow.to_string(),
            purpose: param("purpose"),
            template: param("template"),
            to: first_recipient(command),
            params: command.params.clone(),
            accepted: false,
            refused: false,
            attempts: Vec::new(),
        });
        if sent.params != command.params || sent.run != command.run {
            self.faults.push(format!("{}: two contents under one key", command.key));
        }
        if matches!(outcome, Outcome::Uncertain(_)) {
            self.lost = Some(attempt.0);
        }
        sent.attempts.push(attempt);
        // The answer to an uncertain one was lost on its way back.
        sent.accepted |= matches!(outcome, Outcome::Done(_) | Outcome::Uncertain(_));
        sent.refused |= matches!(outcome, Outcome::Failed(_));
    }
}

/// How the mail server of an address answers: by its domain.
fn mail_server(to: &str, attempt: u16, luck: u64) -> Outcome {
    let refused =
        |code: u16| Cause::new(format!("smtp_{code}"), format!("the mail server answered {code}"));
    match to.rsplit_once('@').map_or("", |(_, domain)| domain) {
        "bounce.example" => Outcome::Failed(refused(550)),
        "slow.example" if attempt <= 2 => Outcome::Retry { after: None, why: refused(451) },
        "lost.example" if attempt == 1 => {
            Outcome::Uncertain(Cause::new("timeout", "the connection broke after the text"))
        }
        _ if luck.is_multiple_of(100) && attempt == 1 => {
            Outcome::Retry { after: None, why: refused(421) }
        }
        _ => Outcome::Done(Value::from([("message", "queued".into())])),
    }
}

/// Renders a mail as the daemon would before it connects.
fn rendered(command: &Command, bundle: Option<&Bundle>) -> Result<(), Cause> {
    let bundle = bundle.expect("a run's version is there");
    let from = sender("Adjutant <adjutant@ops.example>").expect("an address");
    let mail = render::email(command, &bundle.templates, &from)?;
    assert!(!mail.subject.is_empty() && !mail.text.trim().is_empty(), "{command:?}");
    Ok(())
}

fn first_recipient(command: &Command) -> String {
    let to = match command.params.get("to") {
        Some(Value::List(to)) => to.first().and_then(Value::as_text),
        other => other.and_then(Value::as_text),
    };
    to.unwrap_or_default().to_owned()
}
