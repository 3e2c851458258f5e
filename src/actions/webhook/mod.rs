//! `webhook`: render → fill in secrets, stamp, sign → send → judge the answer.
//!
//! One HTTP client for all: it keeps connections alive, follows no redirect, uses no proxy and
//! connects to permitted addresses only. Each attempt is one request.

mod body;
mod json;
mod request;
mod response;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Request, Response};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

pub(crate) use request::SECRETS_IN_BODY;
pub use request::{HttpRequestContent, Target, render};
pub use response::answer;

use self::body::WatchedBody;
use self::request::{WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, check_url};
use self::response::{Judge, Received, Room, Who, too_late};
use super::WallClock;
use super::excerpt::chain;
use super::marker::{self, Revealer};
use super::network::{NetworkPolicy, Refused, Resolver};
use super::outbox::Outbox;
use super::secrets::{SecretName, Secrets, UsedSecrets};
use super::settings::{Endpoint, SettingsError, WebhookSettings};
use super::tls;
use crate::model::{Cause, Command, KeyError, Map, Name, Outcome, Value, limits, sign};

/// How long a connection may take: a host that is up answers in far less.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle connections are closed after this: many servers close theirs after 60 s or more.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);

/// Performs webhooks.
pub(crate) struct Webhooks {
    client: Client,
    policy: Arc<NetworkPolicy>,
    timeout: Duration,
    secret: Option<SecretName>,
    endpoints: BTreeMap<Name, Endpoint>,
    outbox: Outbox,
    clock: WallClock,
}

impl Webhooks {
    /// Checks the settings, all of them, and builds the client.
    pub(crate) fn new(
        settings: &WebhookSettings,
        outbox: Outbox,
        secrets: &Secrets,
        clock: WallClock,
    ) -> Result<Self, Vec<SettingsError>> {
        let mut errors = check(settings, secrets);
        let policy = Arc::new(NetworkPolicy::new(settings.allow_networks.clone()));
        let client = client(settings, &policy).map_err(|error| errors.push(error)).ok();
        match client {
            Some(client) if errors.is_empty() => Ok(Self {
                client,
                policy,
                timeout: settings.timeout,
                secret: settings.secret.clone(),
                endpoints: settings.endpoints.clone(),
                outbox,
                clock,
            }),
            _ => Err(errors),
        }
    }

    /// Sends the request of one attempt.
    pub(crate) async fn perform(&self, command: &Command, secrets: &Secrets) -> Outcome {
        self.send(command, secrets, Room::OF_RESULTS).await
    }

    /// The same for an answer that is no step's result and may be larger.
    pub(crate) async fn fetch(&self, command: &Command, secrets: &Secrets) -> Outcome {
        let endpoint = command.params.get("endpoint").and_then(Value::as_text);
        let unset = |name: &&str| !self.endpoints.get(*name).is_some_and(Endpoint::has_address);
        if let Some(name) = endpoint.filter(unset) {
            let message = format!("the endpoint `{name}` has no address in the configuration");
            return Outcome::Failed(Cause::new("url", message));
        }
        self.send(command, secrets, Room::OF_FETCHES).await
    }

    async fn send(&self, command: &Command, secrets: &Secrets, room: Room) -> Outcome {
        let content = match render(command) {
            Ok(content) => content,
            Err(cause) => return Outcome::Failed(cause),
        };
        let mut address = None;
        let (url, secret, who) = match &content.target {
            Target::Url(url) => (url.clone(), self.secret.as_ref(), Who::Url(url)),
            Target::Endpoint(name) => {
                let Some(endpoint) = self.endpoints.get(name).filter(|one| one.has_address())
                else {
                    return self.write(command, &content, name).await;
                };
                let url = match address_of(endpoint, name, secrets) {
                    Ok((url, hidden)) => {
                        address = hidden;
                        url
                    }
                    Err(outcome) => return outcome,
                };
                (url, endpoint.secret.as_ref().or(self.secret.as_ref()), Who::Endpoint(name))
            }
        };
        if let Err(refused) = self.policy.check_url(&url) {
            return network_refused(&refused);
        }
        let (request, sent, mut used) =
            match self.request(&content, url, secret.filter(|_| content.sign), secrets) {
                Ok(ready) => ready,
                Err(outcome) => return outcome,
            };
        if let Some(address) = address {
            // Who answers may repeat the path without the host.
            if let Ok(url) = Url::parse(address.expose_secret().trim()) {
                used.add(url[url::Position::BeforePath..].to_owned().into());
                used.add(url.path().to_owned().into());
            }
            used.add(address);
        }
        let limit = match command.timeout {
            None => self.timeout,
            Some(timeout) => timeout.to_std(),
        };
        let mut time_up = pin!(tokio::time::sleep(limit));
        let answer = tokio::select! {
            biased;
            answer = self.client.execute(request) => answer,
            () = &mut time_up => return late(who, limit, sent.get()),
        };
        let mut response = match answer {
            Ok(response) => response,
            Err(error) => return unanswered(who, error, sent.get(), &used),
        };
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = Vec::new();
        let read = tokio::select! {
            biased;
            read = read(&mut response, &mut body, room.bytes) => read.map_err(|error| chain(&error.without_url())),
            () = &mut time_up => Err(too_late(limit)),
        };
        let (truncated, broken) = match read {
            Ok(truncated) => (truncated, None),
            Err(why) => (true, Some(used.scrub(&why).into_owned())),
        };
        let received = Received { status, headers, body, truncated, broken };
        let now = (self.clock)();
        Judge { who, expect: &content.expect, now, used: &used, room }.outcome(&received)
    }

    /// The request of this attempt: secrets filled in, stamped, signed.
    fn request(
        &self,
        content: &HttpRequestContent,
        mut url: Url,
        key: Option<&SecretName>,
        secrets: &Secrets,
    ) -> Result<(Request, body::Sent, UsedSecrets), Outcome> {
        let mut revealer = Revealer::new(secrets, content.secrets.as_deref());
        if !content.query.is_empty() {
            let mut pairs = url.query_pairs_mut();
            for (name, value) in &content.query {
                match revealer.reveal(value)? {
                    Some(secret) => pairs.append_pair(name, secret.expose_secret()),
                    None => pairs.append_pair(name, value),
                };
            }
        }
        let mut headers = HeaderMap::with_capacity(content.headers.len() + 4);
        let mut id = "";
        for (name, value) in &content.headers {
            if *name == WEBHOOK_ID {
                id = value;
            }
            headers.insert(name, header_value(name.as_str(), value, &mut revealer)?);
        }
        let body = match content.marked_body() {
            Some(text) => revealer.reveal_in_json(text)?,
            None => content.body.clone(),
        };
        // Seconds, as the standard has it; never negative on a sane clock.
        let timestamp = (self.clock)().as_micros().div_euclid(1_000_000);
        headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(timestamp));
        if let Some(name) = key {
            let key = secrets.get(name).map_err(|error| marker::missing(&error))?;
            let signature = sign(key.expose_secret(), id, timestamp, &body)
                .map_err(|error| unusable_key(name, error))?;
            let signature =
                HeaderValue::from_str(&signature).map_err(|_| unusable_key(name, KeyError))?;
            headers.insert(WEBHOOK_SIGNATURE, signature);
        }
        let (watched, sent) = WatchedBody::new(body);
        let mut request = Request::new(content.method.clone(), url);
        *request.headers_mut() = headers;
        if !content.body.is_empty() {
            *request.body_mut() = Some(reqwest::Body::wrap(watched));
        }
        Ok((request, sent, revealer.into_used()))
    }

    /// For an endpoint without an address: the request as a `.http` file. The result is that of an
    /// accepted request, `{ status: 202, headers: {}, body: (), outbox: PATH }`.
    async fn write(&self, command: &Command, content: &HttpRequestContent, name: &str) -> Outcome {
        match self.outbox.write(command, "http", http_file(content, name)).await {
            Ok(path) => Outcome::Done(Value::from([
                ("status", Value::Int(202)),
                ("headers", Value::Map(Map::new())),
                ("body", Value::Null),
                ("outbox", Value::from(path.display().to_string())),
            ])),
            Err(why) => Outcome::Retry { after: None, why },
        }
    }
}

/// The address of an endpoint, and the secret that it is, if it is one.
fn address_of(
    endpoint: &Endpoint,
    name: &str,
    secrets: &Secrets,
) -> Result<(Url, Option<SecretString>), Outcome> {
    let wrong = |why: &str| {
        let message = format!("the address of `{name}`, which is a secret, {why}");
        Outcome::Failed(Cause::new("url", message))
    };
    if let Some(url) = &endpoint.url {
        return Ok((url.clone(), None));
    }
    let Some(secret) = &endpoint.url_secret else { return Err(wrong("is not set")) };
    let value = secrets.get(secret).map_err(|error| marker::missing(&error))?;
    let url = Url::parse(value.expose_secret().trim()).map_err(|_| wrong("is not a URL"))?;
    check_url(&url).map_err(wrong)?;
    Ok((url, Some(value)))
}

/// What is wrong with the settings but for the client's own.
fn check(settings: &WebhookSettings, secrets: &Secrets) -> Vec<SettingsError> {
    let mut errors = Vec::new();
    let mut key = |setting: String, name: &SecretName| {
        let problem = match secrets.get(name) {
            Ok(value) => match sign(value.expose_secret(), "", 0, b"") {
                Ok(_) => return,
                Err(error) => format!("the secret `{name}` {error}"),
            },
            Err(error) => error.to_string(),
        };
        errors.push(SettingsError::new(setting, problem));
    };
    if let Some(name) = &settings.secret {
        key("webhooks.secret".to_owned(), name);
    }
    for (endpoint, Endpoint { secret, .. }) in &settings.endpoints {
        if let Some(name) = secret {
            key(format!("webhooks.endpoints.{endpoint}.secret"), name);
        }
    }
    for (endpoint, Endpoint { url_secret, .. }) in &settings.endpoints {
        if let Some(Err(error)) = url_secret.as_ref().map(|name| secrets.get(name)) {
            let setting = format!("webhooks.endpoints.{endpoint}.url_secret");
            errors.push(SettingsError::new(setting, error.to_string()));
        }
    }
    for (endpoint, Endpoint { url, .. }) in &settings.endpoints {
        if let Some(Err(why)) = url.as_ref().map(check_url) {
            let setting = format!("webhooks.endpoints.{endpoint}.url");
            errors.push(SettingsError::new(setting, format!("the address {why}")));
        }
    }
    errors
}

fn client(
    settings: &WebhookSettings,
    policy: &Arc<NetworkPolicy>,
) -> Result<Client, SettingsError> {
    let ca = settings.ca.as_deref().map(|path| tls::read_pem("webhooks.ca", path)).transpose()?;
    Client::builder()
        .tls_backend_preconfigured(tls::client_config("webhooks.ca", ca.as_deref())?)
        .dns_resolver(Resolver { policy: Arc::clone(policy) })
        .redirect(reqwest::redirect::Policy::none())
        // The engine counts attempts; a silent second one would not be known to it.
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(limits::HOST_REQUESTS)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .build()
        .map_err(|error| SettingsError::new("webhooks", chain(&error)))
}

/// A header's value with its secrets, which are kept out of debug output.
fn header_value(
    name: &str,
    value: &str,
    revealer: &mut Revealer<'_>,
) -> Result<HeaderValue, Outcome> {
    let wrong = || {
        let message =
            format!("the header `{name}` of the webhook has a character no header can have");
        Outcome::Failed(Cause::new("header", message))
    };
    let secret: Option<SecretString> = revealer.reveal(value)?;
    match secret {
        None => HeaderValue::from_bytes(value.as_bytes()).map_err(|_| wrong()),
        Some(secret) => {
            let mut value =
                HeaderValue::from_bytes(secret.expose_secret().as_bytes()).map_err(|_| wrong())?;
            value.set_sensitive(true);
            Ok(value)
        }
    }
}

/// Reads at most so many bytes; whether there was more.
async fn read(response: &mut Response, body: &mut Vec<u8>, most: usize) -> reqwest::Result<bool> {
    while let Some(chunk) = response.chunk().await? {
        let room = most - body.len();
        if chunk.len() > room {
            body.extend_from_slice(&chunk[..room]);
            return Ok(true);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(false)
}

/// What an attempt without an answer means.
fn unanswered(who: Who<'_>, error: reqwest::Error, sent: bool, used: &UsedSecrets) -> Outcome {
    let error = error.without_url();
    if let Some(refused) = tls::find::<Refused>(&error) {
        return network_refused(refused);
    }
    let said = chain(&error);
    let said = used.scrub(&said);
    let retry = |code: &str, message: String| Outcome::Retry {
        after: None,
        why: Cause::new(code, message),
    };
    if error.is_dns() {
        return retry("dns", format!("the name of {who} cannot be resolved: {said}"));
    }
    if error.is_connect() {
        // A certificate that is invalid today may be renewed tomorrow, so this may pass as well.
        let tls = tls::find::<rustls::Error>(&error).is_some();
        let code = if tls { "tls" } else { "connect" };
        return retry(code, format!("{who} cannot be connected to: {said}"));
    }
    if error.is_builder() {
        return Outcome::Failed(Cause::new(
            "request",
            format!("the request cannot be made: {said}"),
        ));
    }
    if !sent {
        return retry("connect", format!("the request to {who} was not sent: {said}"));
    }
    let message = format!("the request to {who} was sent and its answer was lost: {said}");
    Outcome::Uncertain(Cause::new("answer_lost", message))
}

fn late(who: Who<'_>, limit: Duration, sent: bool) -> Outcome {
    let seconds = limit.as_secs_f64();
    if sent {
        let message = format!("{who} did not answer in {seconds} s");
        Outcome::Uncertain(Cause::new("timeout", message))
    } else {
        let message = format!("{who} could not be connected to in {seconds} s");
        Outcome::Retry { after: None, why: Cause::new("timeout", message) }
    }
}

fn network_refused(refused: &Refused) -> Outcome {
    Outcome::Failed(Cause::new("network_refused", refused.to_string()))
}

fn unusable_key(name: &SecretName, error: KeyError) -> Outcome {
    Outcome::Failed(Cause::new("secret", format!("the secret `{name}` cannot sign: it {error}")))
}

/// The request as text: `POST {{crm}}?a=b HTTP/1.1`, headers, an empty line, the body. Secrets are
/// named, and what is made at each attempt (timestamp, signature) is not there.
fn http_file(content: &HttpRequestContent, endpoint: &str) -> Vec<u8> {
    let mut head = format!("{} {{{{{endpoint}}}}}", content.method);
    for (number, (name, value)) in content.query.iter().enumerate() {
        head.push(if number == 0 { '?' } else { '&' });
        head.push_str(&encoded(name));
        head.push('=');
        if marker::is_marked(value) {
            head.push_str(&marker::redact(value));
        } else {
            head.push_str(&encoded(value));
        }
    }
    head.push_str(" HTTP/1.1\r\n");
    for (name, value) in &content.headers {
        head.push_str(name.as_str());
        head.push_str(": ");
        head.push_str(&marker::redact(value));
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    let mut file = head.into_bytes();
    match content.marked_body() {
        Some(text) => file.extend_from_slice(marker::redact(text).as_bytes()),
        None => file.extend_from_slice(&content.body),
    }
    file
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
