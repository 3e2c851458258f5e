//! [`Hooks`]: inbound webhooks, from a request to the events it means.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::HeaderMap;
use secrecy::ExposeSecret as _;

use crate::actions::{SecretName, Secrets, SettingsError};
use crate::model::{Draft, Instant, Name, Text, Value, limits, sign};
use crate::script::{EvalError, Shared};
use crate::triggers::{self, Around, EventError, Unverified, Verify};

use super::clock::Clock;
use super::config::HookConfig;
use super::handle::{Handle, Unavailable};
use super::scripts::Scripts;

/// Every inbound webhook of the configuration.
pub struct Hooks {
    known: BTreeMap<Name, Hook>,
    secrets: Secrets,
    scripts: Scripts,
    handle: Handle,
    clock: Clock,
}

struct Hook {
    config: HookConfig,
    secret: Option<SecretName>,
    source: Text,
}

/// A request to `/hooks/NAME`.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The name.
    pub name: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its query.
    pub query: Option<&'a str>,
    /// Its body as it came.
    pub body: &'a Bytes,
}

/// Why a delivery brings no events.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// It is not from whom it says: 401.
    #[error(transparent)]
    Unverified(#[from] Unverified),
    /// It cannot be read: 400, 413, 415.
    #[error(transparent)]
    Event(#[from] EventError),
    /// There is no time or no state for it now: 503.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Our own fault, and worth another try: the secret cannot be read, the transform fails: 500. What
    /// exactly is in the log.
    #[error("{0}")]
    Failed(String),
}

impl Hooks {
    /// Checks that every secret is there.
    ///
    /// # Errors
    /// Every setting that cannot be used.
    pub(super) fn new(
        hooks: &[HookConfig],
        secrets: Secrets,
        scripts: Scripts,
        handle: Handle,
        clock: Clock,
    ) -> Result<Self, Vec<SettingsError>> {
        let mut errors = Vec::new();
        let mut known = BTreeMap::new();
        for config in hooks {
            let parsed = config.secret.as_ref().map(|name| name.parse::<SecretName>());
            let usable = parsed
                .transpose()
                .map_err(|error| error.to_string())
                .and_then(|secret| usable(secret, config, &secrets));
            match usable {
                Ok(secret) => {
                    let source = format!("hooks/{}", config.name).into();
                    let hook = Hook { config: config.clone(), secret, source };
                    known.insert(config.name.clone(), hook);
                }
                Err(error) => errors.push(SettingsError {
                    setting: format!("http.hooks of `{}`: secret", config.name),
                    message: error,
                }),
            }
        }
        if errors.is_empty() {
            Ok(Self { known, secrets, scripts, handle, clock })
        } else {
            Err(errors)
        }
    }

    /// Whether there is one of this name, and if so whether who sends to it needs a token.
    #[must_use]
    pub fn needs_token(&self, name: &str) -> Option<bool> {
        self.known.get(name).map(|hook| hook.config.verify == Verify::None)
    }

    /// Verifies a delivery, reads it, and has its transform make events of it.
    ///
    /// # Errors
    /// [`HookError`]. The same delivery may be sent again: its events have the ids they had before.
    pub async fn take(&self, delivery: Delivery<'_>) -> Result<Vec<Draft>, HookError> {
        let Delivery { name, headers, query, body } = delivery;
        let Some(hook) = self.known.get(name) else { return Ok(Vec::new()) };
        let now = self.clock.wall();
        if let Some(secret) = &hook.secret {
            let key = self.secrets.get(secret).map_err(|why| HookError::Failed(why.to_string()))?;
            hook.config.verify.check(key.expose_secret(), headers, body, now)?;
        }
        let known_by = match hook.config.verify {
            Verify::Standard => Some("webhook-id"),
            _ => hook.config.id_header.as_deref(),
        };
        let id = triggers::delivery_id(known_by, headers, body)?;
        let content = triggers::content(headers, body)?;
        let kind = format!("webhook.{name}");
        let around = |id: String| Around {
            kind: &kind,
            may_choose: true,
            source: &hook.source,
            id: Some(id),
        };
        let Some(transform) = hook.config.transform.clone() else {
            let event = Value::from([("data", content)]);
            return Ok(vec![triggers::from_plugin(&event, around(id.to_string()))?]);
        };
        let seen = triggers::seen((name, &id), headers, query, (&content, body), now);
        match self.transform(&transform, seen, now).await? {
            Value::Null => Ok(Vec::new()),
            Value::List(events) => {
                if events.len() > limits::EVENTS_PER_REQUEST {
                    let most = limits::EVENTS_PER_REQUEST;
                    let why = format!("it made {} events of one; at most {most}", events.len());
                    return Err(misunderstood(&transform, &why));
                }
                let made = events.iter().enumerate();
                made.map(|(at, event)| triggers::from_plugin(event, around(format!("{id}/{at}"))))
                    .map(|made| made.map_err(|error| misunderstood(&transform, &error)))
                    .collect()
            }
            event => triggers::from_plugin(&event, around(id.to_string()))
                .map(|draft| vec![draft])
                .map_err(|error| misunderstood(&transform, &error)),
        }
    }

    async fn transform(
        &self,
        function: &Text,
        seen: Value,
        now: Instant,
    ) -> Result<Value, HookError> {
        let (rules, called) = (self.handle.rules(), function.clone());
        let call = self.scripts.soon(move |host, is_late| {
            rules.sandbox.call(&called, &[Shared::new(seen)], now, host, is_late)
        });
        match call.await? {
            Ok(value) => Ok(value),
            Err(EvalError::Read(error)) => Err(Unavailable::Failed(error.to_string()).into()),
            Err(error) => Err(misunderstood(function, &error)),
        }
    }
}

/// The secret of a hook, if there is one, it can be read, and it can verify.
fn usable(
    secret: Option<SecretName>,
    config: &HookConfig,
    secrets: &Secrets,
) -> Result<Option<SecretName>, String> {
    let Some(name) = secret else { return Ok(None) };
    let value = secrets.get(&name).map_err(|error| error.to_string())?;
    match sign(value.expose_secret(), "", 0, b"") {
        Err(error) if config.verify == Verify::Standard => {
            Err(format!("the secret `{name}` {error}"))
        }
        _ => Ok(Some(name)),
    }
}

/// What a transform made wrong is ours to mend, not the sender's.
fn misunderstood(transform: &str, why: &dyn std::fmt::Display) -> HookError {
    tracing::error!(transform, %why, "a delivery could not be made into events");
    HookError::Failed("the delivery could not be made into events: the log says why".to_owned())
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.known.keys()).finish()
    }
}

/// What rules must know of the hooks of a configuration.
#[must_use]
pub fn hook_contexts(hooks: &[HookConfig]) -> Vec<crate::rules::HookContext> {
    let context = |hook: &HookConfig| crate::rules::HookContext {
        name: hook.name.clone(),
        transform: hook.transform.clone(),
    };
    hooks.iter().map(context).collect()
}
