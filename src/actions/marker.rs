//! Marks that stand for secrets in the fields of a step: `secret("crm")` in a rule evaluates to
//! U+E000 `secret:crm` U+E001, so that what is stored and traced holds the name and not the value.
//!
//! Only the webhook action replaces marks, in headers and query values, and in the JSON of requests that
//! plugins ask for, at each attempt. A mark anywhere else is an error. If the step lists its `secrets`,
//! no other name is replaced: a mark that arrived in an event's data cannot pull out a secret the rule
//! does not use.

use std::borrow::Cow;

use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};

use super::excerpt::excerpt;
use super::secrets::{SecretError, SecretName, Secrets, UsedSecrets, in_json};
use crate::model::{Cause, Outcome, Text};

/// How a mark begins.
const OPEN: &str = "\u{e000}secret:";
/// How a mark ends.
const CLOSE: char = '\u{e001}';

/// Whether `text` holds the beginning of a mark.
pub(crate) fn is_marked(text: &str) -> bool {
    text.contains(OPEN)
}

/// Refuses a mark where no secret may stand; `place` names the field.
pub(crate) fn refuse(text: &str, place: &str) -> Result<(), Cause> {
    if is_marked(text) {
        return Err(Cause::new(
            "secret",
            format!(
                "a secret may not stand in {place}: only in `headers` and `query` of a webhook, and in \
                 what an action of a plugin asks for"
            ),
        ));
    }
    Ok(())
}

/// `text` with each mark shown as `[secret NAME]`, for files and people.
pub(crate) fn redact(text: &str) -> Cow<'_, str> {
    if !is_marked(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        out.push_str(before);
        let (name, behind) = after.split_once(CLOSE).unwrap_or((after, ""));
        out.push_str("[secret ");
        out.push_str(name);
        out.push(']');
        rest = behind;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Replaces marks by values, for one attempt.
pub(crate) struct Revealer<'a> {
    secrets: &'a Secrets,
    allowed: Option<&'a [Text]>,
    used: UsedSecrets,
}

impl<'a> Revealer<'a> {
    pub(crate) fn new(secrets: &'a Secrets, allowed: Option<&'a [Text]>) -> Self {
        Self { secrets, allowed, used: UsedSecrets::default() }
    }

    /// `None` when there is no mark in `text`.
    ///
    /// # Errors
    /// `Failed` for a mark that may not stand there; `Retry` for a secret that is not there now, as
    /// a credential may be about to be renewed.
    pub(crate) fn reveal(&mut self, text: &str) -> Result<Option<SecretString>, Outcome> {
        if is_marked(text) { self.replace(text, str::to_owned).map(Some) } else { Ok(None) }
    }

    fn replace(
        &mut self,
        text: &str,
        escape: impl Fn(&str) -> String,
    ) -> Result<SecretString, Outcome> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(OPEN) {
            out.push_str(before);
            let (name, behind) = after
                .split_once(CLOSE)
                .ok_or_else(|| failed("the mark of a secret has no end".to_owned()))?;
            let value = self.value(name)?;
            out.push_str(&escape(value.expose_secret()));
            self.used.add(value);
            rest = behind;
        }
        out.push_str(rest);
        Ok(SecretString::from(out))
    }

    /// A text of JSON with its marks, all of them inside of strings, replaced.
    ///
    /// # Errors
    /// See [`Revealer::reveal`].
    pub(crate) fn reveal_in_json(&mut self, text: &str) -> Result<Bytes, Outcome> {
        let revealed = self.replace(text, in_json)?;
        Ok(Bytes::from(revealed.expose_secret().to_owned()))
    }

    /// Everything revealed so far.
    pub(crate) fn into_used(self) -> UsedSecrets {
        self.used
    }

    fn value(&self, name: &str) -> Result<SecretString, Outcome> {
        if self.allowed.is_some_and(|allowed| !allowed.iter().any(|one| **one == *name)) {
            let name: String = name.chars().take(40).collect();
            return Err(failed(format!(
                "the data of this step asks for the secret `{}`, which its rule does not use",
                excerpt(&name)
            )));
        }
        let name: SecretName =
            name.parse().map_err(|error: SecretError| failed(error.to_string()))?;
        self.secrets.get(&name).map_err(|error| missing(&error))
    }
}

/// A secret that cannot be had now: tried again, as it may be about to be renewed.
pub(crate) fn missing(error: &SecretError) -> Outcome {
    Outcome::Retry { after: None, why: Cause::new("secret", error.to_string()) }
}

fn failed(message: String) -> Outcome {
    Outcome::Failed(Cause::new("secret", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        Secrets::new(None, [("ADJUTANT_SECRET_CRM".into(), "hunter2".into())])
    }

    #[test]
    fn marks_become_values_and_are_remembered() {
        let secrets = secrets();
        let mut revealer = Revealer::new(&secrets, None);
        let value = revealer.reveal("Bearer \u{e000}secret:crm\u{e001}!").unwrap().unwrap();
        assert_eq!(value.expose_secret(), "Bearer hunter2!");
        assert!(revealer.reveal("plain").unwrap().is_none());
        assert_eq!(revealer.into_used().scrub("hunter2"), "[secret]");
    }

    #[test]
    fn a_secret_in_json_stays_one_string() {
        let secrets = Secrets::new(None, [("ADJUTANT_SECRET_K".into(), "a\"b\\".into())]);
        let mut revealer = Revealer::new(&secrets, None);
        let body = revealer.reveal_in_json("{\"k\":\"\u{e000}secret:k\u{e001}\"}").unwrap();
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(json["k"], "a\"b\\");
    }

    #[test]
    fn only_listed_secrets_are_revealed() {
        let secrets = secrets();
        let listed: [Text; 1] = ["crm".into()];
        let mark = "\u{e000}secret:crm\u{e001}";
        assert!(Revealer::new(&secrets, Some(&listed)).reveal(mark).is_ok());
        let Err(Outcome::Failed(refused)) = Revealer::new(&secrets, Some(&[])).reveal(mark) else {
            panic!("a secret that is not listed was revealed");
        };
        assert!(refused.message.contains("does not use"), "{refused}");
        let reveal = |text| Revealer::new(&secrets, None).reveal(text);
        assert!(matches!(reveal("\u{e000}secret:gone\u{e001}"), Err(Outcome::Retry { .. })));
        assert!(matches!(reveal("\u{e000}secret:crm"), Err(Outcome::Failed(_))));
    }

    #[test]
    fn marks_print_as_names() {
        assert_eq!(redact("a \u{e000}secret:crm\u{e001} b"), "a [secret crm] b");
        assert!(refuse("\u{e000}secret:crm\u{e001}", "the body").is_err());
        assert!(refuse("plain", "the body").is_ok());
    }
}
