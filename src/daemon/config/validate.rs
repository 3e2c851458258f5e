//! [`RawConfig`] → [`Config`]: what the settings mean, alone and together, every mistake at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::model::{Name, Span, Text, Value, limits};
use crate::rules;

use super::places::{Misplaced, Places};
use super::raw::{
    List, RawConfig, RawEndpoint, RawHttp, RawLimits, RawLog, RawRetention, RawSmtp, RawToken,
    RawWebhooks, Scalar,
};
use super::{
    Bad, Config, DEFAULT_LISTEN, Endpoint, HttpConfig, Limits, LogConfig, LogFormat, LogLevel,
    QUEUE_BYTES, Retention, Scope, SmtpConfig, SmtpTls, TokenConfig, WEBHOOK_TIMEOUT,
    WebhookConfig, values,
};

/// A webhook's answer that takes longer is a job, and should be told by an event.
const LONGEST_WEBHOOK: Span = Span::from_secs(3_600);
/// Room for a few requests, or a burst of small events cannot be taken at all.
const SMALLEST_QUEUE: u64 = 2 * limits::EVENT_BYTES as u64;

/// Reads one section after the other.
pub(super) struct Reader<'a> {
    pub(super) places: &'a Places,
    /// What relative paths start from.
    pub(super) base: &'a Path,
    pub(super) errors: Vec<Misplaced>,
}

impl Reader<'_> {
    pub(super) fn config(&mut self, raw: RawConfig) -> Config {
        let data_dir =
            self.path("data_dir", raw.data_dir).unwrap_or_else(|| self.base.join("data"));
        let rules = self.folders("rules", raw.rules);
        let plugins = self.folders("plugins", raw.plugins);
        let watch = self
            .value("watch", raw.watch, |text| {
                values::choice(text, &[("true", true), ("false", false)])
            })
            .unwrap_or(true);
        let plugin_settings = self.plugin_settings(raw.plugin_settings.unwrap_or_default());
        let http = self.http(raw.http.unwrap_or_default());
        let timezone = self.value("timezone", raw.timezone, |text| {
            rules::zone(text)
                .map(|_| Text::from(text))
                .map_err(|error| Bad { message: error.message, help: error.help })
        });
        let smtp = self.smtp(raw.smtp.unwrap_or_default());
        let outbox = self.path("outbox", raw.outbox).unwrap_or_else(|| self.base.join("outbox"));
        let spool = self.path("spool", raw.spool).unwrap_or_else(|| self.base.join("spool"));
        let webhooks = self.webhooks(raw.webhooks.unwrap_or_default());
        let limits = self.limits(&raw.limits.unwrap_or_default());
        let retention = self.retention(raw.retention.unwrap_or_default());
        let log = self.log(raw.log.unwrap_or_default());
        let timezone = timezone.unwrap_or_else(|| "UTC".into());
        Config {
            file: None,
            data_dir,
            rules,
            plugins,
            watch,
            plugin_settings,
            http,
            timezone,
            smtp,
            outbox,
            spool,
            webhooks,
            limits,
            retention,
            log,
        }
    }

    fn http(&mut self, raw: RawHttp) -> HttpConfig {
        let public_url = self.value("http.public_url", raw.public_url, values::public_url);
        let had_tokens = raw.tokens.as_ref().is_some_and(|tokens| !tokens.is_empty());
        let tokens = self.tokens(raw.tokens.unwrap_or_default());
        let listen =
            self.value("http.listen", raw.listen, values::listen).unwrap_or(DEFAULT_LISTEN);
        if !listen.ip().is_loopback() && !had_tokens {
            self.refuse("http.listen", "no-tokens", Bad::new(
                format!("`{listen}` can be reached from other machines, and there are no tokens"),
                "list a token in http.tokens: { name: crm, scopes: [ingest], sha256: \"…\" }, or listen on 127.0.0.1",
            ));
        }
        let hooks = self.hooks(raw.hooks.unwrap_or_default());
        HttpConfig { listen, public_url, tokens, hooks }
    }

    fn tokens(&mut self, raw: List<RawToken>) -> Vec<TokenConfig> {
        let mut tokens: Vec<TokenConfig> = Vec::new();
        for (index, token) in raw.into_iter().enumerate() {
            let Some(token) = token else { continue };
            let path = format!("http.tokens[{index}]");
            let at = |key: &str| format!("{path}.{key}");
            for (key, missing) in [
                ("name", token.name.is_none()),
                ("scopes", token.scopes.is_none()),
                ("sha256", token.sha256.is_none()),
            ] {
                if missing && self.places.get(&at(key)).is_none() {
                    self.refuse(
                        &path,
                        "missing",
                        Bad::new(
                            format!("the token has no `{key}`"),
                            "write { name: crm, scopes: [ingest], sha256: \"…\" }",
                        ),
                    );
                }
            }
            let name = self.value(&at("name"), token.name, |text| match values::name(text)? {
                name if &*name == "local" => Err(Bad::new(
                    "`local` is what callers without a token are called",
                    "choose another name",
                )),
                name => Ok(name),
            });
            let wrote_scopes = token.scopes.as_ref().is_some_and(|scopes| !scopes.is_empty());
            let scopes = self
                .list(&at("scopes"), token.scopes, |text| values::choice(text, &SCOPES))
                .unwrap_or_default();
            if !wrote_scopes && self.places.get(&at("scopes")).is_some() {
                self.refuse(
                    &at("scopes"),
                    "bad-value",
                    Bad::new(
                        "a token without scopes may do nothing",
                        "write some of ingest, read, operate, admin",
                    ),
                );
            }
            let sha256 = self.value(&at("sha256"), token.sha256, values::sha256);
            let (Some(name), Some(sha256)) = (name, sha256) else { continue };
            if let Some(first) =
                tokens.iter().position(|other| other.name == name || other.sha256 == sha256)
            {
                let message = if tokens[first].name == name {
                    format!("there are two tokens `{name}`")
                } else {
                    "this token is there already".to_owned()
                };
                let other = self
                    .places
                    .get(&format!("http.tokens[{first}]"))
                    .map(|place| place.value.clone());
                let bad = Bad::new(message, "give each caller a token and a name of its own");
                let span = self.span(&path);
                self.errors.push(Misplaced { code: "duplicate", span, other, bad });
            }
            tokens.push(TokenConfig { name, scopes, sha256 });
        }
        tokens
    }

    fn smtp(&mut self, raw: RawSmtp) -> SmtpConfig {
        let wrote = |value: &Option<Scalar>| value.is_some();
        let (has_username, has_password, has_from) =
            (wrote(&raw.username), wrote(&raw.password), wrote(&raw.from));
        let host = self.value("smtp.host", raw.host, values::host);
        let tls = self
            .value("smtp.tls", raw.tls, |text| values::choice(text, &TLS))
            .unwrap_or(SmtpTls::Starttls);
        let port = self.value("smtp.port", raw.port, values::port).unwrap_or(tls.port());
        let username = self.value("smtp.username", raw.username, |text| Ok(text.to_owned()));
        let password = self.value("smtp.password", raw.password, values::secret);
        let from = self.value("smtp.from", raw.from, values::sender);
        let ca = self.path("smtp.ca", raw.ca);
        let only_to =
            self.list("smtp.only_to", raw.only_to, values::recipients).unwrap_or_default();
        if has_username && !has_password {
            self.refuse(
                "smtp.username",
                "missing",
                Bad::new("a username without a password", "name its secret in smtp.password"),
            );
        }
        if has_password && !has_username {
            self.refuse(
                "smtp.password",
                "missing",
                Bad::new(
                    "a password without a username",
                    "write the name to log in with in smtp.username",
                ),
            );
        }
        if host.is_some() && !has_from {
            self.refuse(
                "smtp.host",
                "missing",
                Bad::new("mail has no sender", "write smtp.from: \"Ops <ops@example.com>\""),
            );
        }
        let from = from.unwrap_or_else(|| "Adjutant <adjutant@localhost>".to_owned());
        SmtpConfig { host, port, tls, username, password, from, ca, only_to }
    }

    fn webhooks(&mut self, raw: RawWebhooks) -> WebhookConfig {
        let allow_networks = self
            .list("webhooks.allow_networks", raw.allow_networks, values::network)
            .unwrap_or_default();
        let timeout =
            self.value("webhooks.timeout", raw.timeout, |text| match values::span(text)? {
                span if span > LONGEST_WEBHOOK => Err(Bad::new(
                    format!("`{text}` is too long for one request"),
                    "at most 1h; let the receiver send an event when a longer job is done",
                )),
                span => Ok(span),
            });
        let secret = self.value("webhooks.secret", raw.secret, values::secret);
        let ca = self.path("webhooks.ca", raw.ca);
        let endpoints = self.endpoints(raw.endpoints.unwrap_or_default());
        WebhookConfig {
            allow_networks,
            timeout: timeout.unwrap_or(WEBHOOK_TIMEOUT),
            secret,
            ca,
            endpoints,
        }
    }

    fn endpoints(
        &mut self,
        raw: BTreeMap<String, Option<RawEndpoint>>,
    ) -> BTreeMap<Name, Endpoint> {
        let mut endpoints = BTreeMap::new();
        for (name, endpoint) in raw {
            let path = format!("webhooks.endpoints.{name}");
            let endpoint = endpoint.unwrap_or_default();
            let url = self.value(&format!("{path}.url"), endpoint.url, values::url);
            let secret = self.value(&format!("{path}.secret"), endpoint.secret, values::secret);
            let hidden = format!("{path}.url_secret");
            let url_secret = self.value(&hidden, endpoint.url_secret, values::secret);
            if url.is_some() && url_secret.is_some() {
                let bad = Bad::new("`url` and `url_secret` cannot stand together", "keep one");
                self.refuse(&hidden, "conflict", bad);
            }
            match values::name(&name) {
                Ok(name) => drop(endpoints.insert(name, Endpoint { url, url_secret, secret })),
                Err(bad) => {
                    let span = self.places.get(&path).map_or(0..0, |place| place.key.clone());
                    self.errors.push(Misplaced { code: "bad-value", span, other: None, bad });
                }
            }
        }
        endpoints
    }

    /// Each is an object; what may be in it is said by the plugin's manifest.
    fn plugin_settings(
        &mut self,
        raw: BTreeMap<String, serde_yaml::Value>,
    ) -> BTreeMap<Name, Value> {
        let mut settings = BTreeMap::new();
        for (name, value) in raw {
            let path = format!("plugin_settings.{name}");
            let json = serde_json::to_value(&value).ok().map(Value::from_json);
            match (values::name(&name), json) {
                (Ok(name), Some(value @ Value::Map(_))) => drop(settings.insert(name, value)),
                (Err(bad), _) => self.refuse(&path, "bad-value", bad),
                (Ok(_), _) => {
                    let help = "write settings, each `key: value`";
                    let message = format!("the settings of `{name}` are not an object");
                    self.refuse(&path, "wrong-type", Bad::new(message, help));
                }
            }
        }
        settings
    }

    fn limits(&mut self, raw: &RawLimits) -> Limits {
        let event_size = self.value("limits.event_size", raw.event_size.clone(), |text| {
            match values::size(text)? {
                0 => Err(Bad::new("no event fits into nothing", "write a size such as 256KiB")),
                bytes if bytes > limits::EVENT_BYTES as u64 => Err(Bad::new(
                    format!("`{text}` is more than the engine takes"),
                    "at most 1MiB: let the event point at larger things",
                )),
                bytes => Ok(bytes),
            }
        });
        let queue =
            self.value("limits.queue", raw.queue.clone(), |text| match values::size(text)? {
                bytes if bytes < SMALLEST_QUEUE => Err(Bad::new(
                    format!("`{text}` is too small for a queue"),
                    "at least 2MiB, room for two of the largest events",
                )),
                bytes => Ok(bytes),
            });
        Limits {
            event_size: event_size.unwrap_or(limits::EVENT_BYTES as u64) as usize,
            queue: queue.unwrap_or(QUEUE_BYTES) as usize,
        }
    }

    fn retention(&mut self, raw: RawRetention) -> Retention {
        let defaults = Retention::default();
        Retention {
            events: self
                .value("retention.events", raw.events, values::span)
                .unwrap_or(defaults.events),
            runs: self.value("retention.runs", raw.runs, values::span).unwrap_or(defaults.runs),
            failed_runs: self
                .value("retention.failed_runs", raw.failed_runs, values::span)
                .unwrap_or(defaults.failed_runs),
        }
    }

    fn log(&mut self, raw: RawLog) -> LogConfig {
        let format = match raw.format {
            Some(Scalar(text)) if text == "journald" => {
                self.unsupported("log.format", "`journald` is not supported yet: write text, which systemd puts into the journal");
                None
            }
            other => self.value("log.format", other, |text| {
                values::choice(text, &[("text", LogFormat::Text), ("json", LogFormat::Json)])
            }),
        };
        let level = self.value("log.level", raw.level, |text| values::choice(text, &LEVELS));
        LogConfig {
            format: format.unwrap_or(LogFormat::Text),
            level: level.unwrap_or(LogLevel::Info),
        }
    }

    /// A setting, if it is there and right.
    pub(super) fn value<T>(
        &mut self,
        path: &str,
        raw: Option<Scalar>,
        parse: impl Fn(&str) -> Result<T, Bad>,
    ) -> Option<T> {
        match parse(&raw?.0) {
            Ok(value) => Some(value),
            Err(bad) => {
                self.refuse(path, "bad-value", bad);
                None
            }
        }
    }

    /// The elements of a list that are right.
    fn list<T>(
        &mut self,
        path: &str,
        raw: Option<List<Scalar>>,
        parse: impl Fn(&str) -> Result<T, Bad>,
    ) -> Option<Vec<T>> {
        let items = raw?.into_iter().enumerate();
        Some(
            items
                .filter_map(|(index, item)| self.value(&format!("{path}[{index}]"), item, &parse))
                .collect(),
        )
    }

    fn path(&mut self, path: &str, raw: Option<Scalar>) -> Option<PathBuf> {
        let base = self.base;
        self.value(path, raw, |text| match text {
            "" => Err(Bad::new(
                "an empty path",
                "write a path; it starts from the folder of this file",
            )),
            text if text.starts_with("~/") => {
                Err(Bad::new("`~` is not expanded", "write the path in full"))
            }
            text => Ok(base.join(text)),
        })
    }

    fn folders(&mut self, key: &str, raw: Option<List<Scalar>>) -> Vec<PathBuf> {
        let Some(raw) = raw else { return vec![self.base.join(key)] };
        let items = raw.into_iter().enumerate();
        items.filter_map(|(index, item)| self.path(&format!("{key}[{index}]"), item)).collect()
    }

    fn span(&self, path: &str) -> Range<usize> {
        self.places.get(path).map_or(0..0, |place| place.value.clone())
    }

    pub(super) fn refuse(&mut self, path: &str, code: &'static str, bad: Bad) {
        let span = self.span(path);
        self.errors.push(Misplaced { code, span, other: None, bad });
    }

    fn unsupported(&mut self, path: &str, message: &str) {
        let span = self.places.get(path).map_or(0..0, |place| place.key.clone());
        let bad = Bad { message: message.to_owned(), help: None };
        self.errors.push(Misplaced { code: "not-supported-yet", span, other: None, bad });
    }
}

const SCOPES: [(&str, Scope); 4] = [
    ("ingest", Scope::Ingest),
    ("read", Scope::Read),
    ("operate", Scope::Operate),
    ("admin", Scope::Admin),
];

const TLS: [(&str, SmtpTls); 3] =
    [("starttls", SmtpTls::Starttls), ("tls", SmtpTls::Tls), ("none", SmtpTls::None)];

const LEVELS: [(&str, LogLevel); 5] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];
