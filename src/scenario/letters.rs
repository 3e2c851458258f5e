//! [`Letters`]: the links in mails that were sent, for people who follow them.

use std::sync::Arc;

use crate::actions::links;
use crate::model::{
    Command, EffectKey, Instant, Link, LinkKey, LinkVerb, Operator, RunId, RunNo, Text, Value,
};

use super::expect::matches;

/// Where links point.
const BASE: &str = "https://adjutant.example/links";
/// What they are signed with. They never leave the play.
const KEY: [u8; 32] = [0x5c; 32];
/// Mails whose links are remembered: more than a person looks back on.
const LETTERS: usize = 1_000;

/// A link in a mail.
#[derive(Debug)]
struct Letter {
    to: Text,
    /// What templates call it: `links.NAME`.
    name: Text,
    /// The mail's effect.
    key: EffectKey,
    url: String,
    token: String,
    /// It stands in the mail.
    shown: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Letters {
    key: LinkKey,
    sent: Vec<Letter>,
}

impl Default for Letters {
    fn default() -> Self {
        Self { key: LinkKey::new(KEY), sent: Vec::new() }
    }
}

impl Letters {
    /// Gives a mail its links. They are told apart by the effect, and the run that the mail names loses its
    /// number: both would depend on the order of events.
    pub(super) fn write(&mut self, command: &mut Command) {
        let (key, armed) = (command.key, command.armed);
        links::add(command, |link| {
            let name = name_of(link);
            let url = format!("{BASE}/{name}-{key}");
            self.sent.retain(|letter| letter.url != url);
            if self.sent.len() >= LETTERS {
                self.sent.remove(0);
            }
            self.sent.push(Letter {
                to: link.by.clone(),
                name,
                key,
                url: url.clone(),
                token: self.key.token(link, armed),
                // That one also stands in the head of the mail.
                shown: link.verb == LinkVerb::Unsubscribe,
            });
            url
        });
        let named = command.scope.get("run").and_then(Value::as_text);
        if let Some(run) = named.and_then(|run| run.parse::<RunId>().ok()) {
            let run = RunId { no: RunNo(0), ..run }.to_string();
            Arc::make_mut(&mut command.scope).insert("run".into(), Value::from(run));
        }
    }

    /// Takes note of the texts of the newest mail.
    pub(super) fn read(&mut self, texts: &[&str]) {
        let Some(newest) = self.sent.last().map(|letter| letter.key) else { return };
        for letter in self.sent.iter_mut().rev().take_while(|letter| letter.key == newest) {
            letter.shown |= texts.iter().any(|text| text.contains(&letter.url));
        }
    }

    /// What following a link of the newest mail to these recipients asks for.
    ///
    /// # Errors
    /// Why there is none to follow.
    pub(super) fn open(
        &self,
        name: &str,
        mail: Option<&str>,
        now: Instant,
    ) -> Result<Operator, String> {
        let whose = mail.map_or_else(|| "a mail".to_owned(), |mail| format!("a mail to `{mail}`"));
        let found = self.sent.iter().rev().find(|letter| {
            letter.shown
                && *letter.name == *name
                && mail.is_none_or(|mail| matches(mail, &letter.to))
        });
        let letter = found.ok_or_else(|| format!("no link `{name}` stands in {whose}"))?;
        let link = self.key.read(&letter.token, now).map_err(|error| error.to_string())?;
        Ok(link.wish())
    }
}

/// What templates call a link.
fn name_of(link: &Link) -> Text {
    match link.verb {
        LinkVerb::Decide => link.about.rsplit(' ').next().unwrap_or_default().into(),
        verb => verb.as_str().into(),
    }
}
