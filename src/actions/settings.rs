//! [`Settings`]: what the actions need to know of the configuration, as plain data.
//!
//! The daemon makes it from `adjutant.yaml`; names of fields follow that file. Nothing here is a
//! secret: passwords and keys are named, and looked up at each attempt.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use super::secrets::SecretName;
use crate::model::Name;

/// Everything the actions are told at start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `smtp:`
    pub mail: MailSettings,
    /// `webhooks:`
    pub webhooks: WebhookSettings,
    /// `outbox:` the folder for mails without a server and requests without an address.
    pub outbox: PathBuf,
}

/// `smtp:` of the configuration.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// Where mails go; `None`, while `smtp.host` is not set, writes them to the outbox.
    pub server: Option<SmtpServer>,
    /// `smtp.from`: the sender of mails that name none, as `a@x.example` or `Ops <a@x.example>`.
    pub from: String,
    /// `smtp.only_to`: patterns such as `*@example.com`; every other recipient is held back.
    /// Empty: nobody is.
    pub only_to: Vec<String>,
}

/// A relay.
#[derive(Clone, Debug)]
pub struct SmtpServer {
    /// `smtp.host`: a name or an address; the server's certificate must be for it.
    pub host: String,
    /// `smtp.port`
    pub port: u16,
    /// `smtp.tls`
    pub tls: SmtpTls,
    /// `smtp.username`: logs in when given; needs a password.
    pub username: Option<String>,
    /// `smtp.password`: the name of the secret.
    pub password: Option<SecretName>,
    /// `smtp.ca`: a PEM file of certificates trusted beside those of the system.
    pub ca: Option<PathBuf>,
}

/// How the way to the relay is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// Begins in the clear and must be upgraded before anything else is said.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// In the clear, logins included: for a relay on the same machine.
    None,
}

/// `webhooks:` of the configuration.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// `webhooks.allow_networks`: private networks that requests may go to.
    pub allow_networks: Vec<IpNet>,
    /// `webhooks.timeout`: for an attempt whose command names no timeout.
    pub timeout: Duration,
    /// `webhooks.secret`: signs requests, unless the endpoint has its own.
    pub secret: Option<SecretName>,
    /// `webhooks.ca`: a PEM file of certificates trusted beside those of the system.
    pub ca: Option<PathBuf>,
    /// `webhooks.endpoints`
    pub endpoints: BTreeMap<Name, Endpoint>,
}

/// A receiver that rules know by name.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    /// Its address; while there is none, nor a secret one, requests are written to the outbox.
    pub url: Option<Url>,
    /// The secret that is its address.
    pub url_secret: Option<SecretName>,
    /// Signs its requests.
    pub secret: Option<SecretName>,
}

impl Endpoint {
    /// Whether requests can go anywhere.
    #[must_use]
    pub fn has_address(&self) -> bool {
        self.url.is_some() || self.url_secret.is_some()
    }
}

/// How long an attempt at a webhook may take where nothing else is said.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(15);

/// With no configuration at all: everything goes to `outbox/`.
impl Default for Settings {
    fn default() -> Self {
        Self {
            mail: MailSettings {
                server: None,
                from: "Adjutant <adjutant@localhost>".to_owned(),
                only_to: Vec::new(),
            },
            webhooks: WebhookSettings {
                allow_networks: Vec::new(),
                timeout: WEBHOOK_TIMEOUT,
                secret: None,
                ca: None,
                endpoints: BTreeMap::new(),
            },
            outbox: PathBuf::from("outbox"),
        }
    }
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {message}")]
pub struct SettingsError {
    /// Its path in the configuration: `smtp.from`.
    pub setting: String,
    /// What is wrong and what to do about it, free of secrets.
    pub message: String,
}

impl SettingsError {
    pub(crate) fn new(setting: impl Into<String>, message: impl Into<String>) -> Self {
        Self { setting: setting.into(), message: message.into() }
    }
}
