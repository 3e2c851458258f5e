//! What the actions are told of the configuration.

use crate::actions::{
    Endpoint, MailSettings, SecretName, Settings, SettingsError, SmtpServer, SmtpTls,
    WebhookSettings,
};
use crate::daemon::{self, Config};
use crate::model::Text;

/// The settings of the actions; every name of a secret that cannot be one is an error.
pub(super) fn of(config: &Config) -> Result<Settings, Vec<SettingsError>> {
    let mut errors = Vec::new();
    let mut secret = |setting: &str, name: Option<&Text>| -> Option<SecretName> {
        name?
            .parse()
            .map_err(|error| errors.push(SettingsError::new(setting, format!("{error}"))))
            .ok()
    };
    let smtp = &config.smtp;
    let server = smtp.host.clone().map(|host| SmtpServer {
        host,
        port: smtp.port,
        tls: match smtp.tls {
            daemon::SmtpTls::Starttls => SmtpTls::Starttls,
            daemon::SmtpTls::Tls => SmtpTls::Tls,
            daemon::SmtpTls::None => SmtpTls::None,
        },
        username: smtp.username.clone(),
        password: secret("smtp.password", smtp.password.as_ref()),
        ca: smtp.ca.clone(),
    });
    let hooks = &config.webhooks;
    let mut endpoints = std::collections::BTreeMap::new();
    for (name, endpoint) in &hooks.endpoints {
        let setting = format!("webhooks.endpoints.{name}.secret");
        let hidden = format!("webhooks.endpoints.{name}.url_secret");
        let url_secret = secret(&hidden, endpoint.url_secret.as_ref());
        let secret = secret(&setting, endpoint.secret.as_ref());
        endpoints.insert(name.clone(), Endpoint { url: endpoint.url.clone(), url_secret, secret });
    }
    let webhooks = WebhookSettings {
        allow_networks: hooks.allow_networks.clone(),
        timeout: hooks.timeout.to_std(),
        secret: secret("webhooks.secret", hooks.secret.as_ref()),
        ca: hooks.ca.clone(),
        endpoints,
    };
    let mail = MailSettings { server, from: smtp.from.clone(), only_to: smtp.only_to.clone() };
    if errors.is_empty() {
        Ok(Settings { mail, webhooks, outbox: config.outbox.clone() })
    } else {
        Err(errors)
    }
}
