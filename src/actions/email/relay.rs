//! The conversation with the relay (RFC 5321), step by step over lettre's connection.
//!
//! lettre's own transport answers "failed" without saying how far it came, and gives a connection
//! back to its pool when a send is cancelled half-way. Here every step is taken by itself, so that
//! an answer lost after the message was handed over is *uncertain* and everything before it is not,
//! and a connection is parked only between mails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Quit, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::Severity;
use secrecy::ExposeSecret as _;

use super::super::excerpt::{chain, excerpt};
use super::super::secrets::{SecretName, Secrets, UsedSecrets};
use super::super::settings::{SettingsError, SmtpServer, SmtpTls};
use super::super::{marker, tls};
use super::parking::Parking;
use crate::model::{Cause, Outcome, Text};

/// How long one address of the relay may take to answer a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Parked connections are closed after one to two of these: relays close idle ones after minutes.
const IDLE_ROUND: Duration = Duration::from_secs(30);

/// The only answer to `DATA` that asks for the message.
const GO_ON: u16 = 354;

/// A relay with its parked connections.
pub(crate) struct Relay {
    host: String,
    port: u16,
    tls: Option<TlsParameters>,
    from_first_byte: bool,
    login: Option<(String, SecretName)>,
    hello: ClientId,
    parked: Arc<Mutex<Parking<AsyncSmtpConnection>>>,
}

/// How far an attempt came, seen from outside when its time is up.
#[derive(Default)]
pub(crate) struct Progress(AtomicBool);

impl Progress {
    /// Whether the relay may have taken the message.
    pub(crate) fn handed_over(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Relay {
    /// Reads what TLS needs.
    ///
    /// # Errors
    /// Every setting that cannot be used.
    pub(crate) fn new(server: &SmtpServer) -> Result<Self, Vec<SettingsError>> {
        let mut errors = Vec::new();
        let login = match (&server.username, &server.password) {
            (Some(user), Some(password)) => Some((user.clone(), password.clone())),
            (None, None) => None,
            (Some(_), None) => {
                errors.push(SettingsError::new(
                    "smtp.username",
                    "there is no smtp.password: name the secret that holds it",
                ));
                None
            }
            (None, Some(_)) => {
                errors.push(SettingsError::new("smtp.password", "there is no smtp.username"));
                None
            }
        };
        let tls = match server.tls {
            SmtpTls::None => None,
            SmtpTls::Starttls | SmtpTls::Tls => {
                tls_parameters(server).map_err(|error| errors.push(error)).ok()
            }
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            host: server.host.clone(),
            port: server.port,
            tls,
            from_first_byte: server.tls == SmtpTls::Tls,
            login,
            hello: ClientId::default(),
            parked: Arc::default(),
        })
    }

    /// The secret its login needs.
    pub(crate) fn password(&self) -> Option<&SecretName> {
        self.login.as_ref().map(|(_, password)| password)
    }

    /// Hands one message over. `progress` tells how far it came if this future is dropped.
    pub(crate) async fn send(
        &self,
        secrets: &Secrets,
        envelope: &Envelope,
        message: &[u8],
        progress: &Progress,
    ) -> Result<(), Outcome> {
        let mut connection = self.begin(secrets, envelope).await?;
        if let Err(outcome) = self.recipients(&mut connection, envelope).await {
            // A connection that resets cleanly is as good as new.
            if connection.command(Rset).await.is_ok() {
                self.park(connection);
            }
            return Err(outcome);
        }
        let go = connection.command(Data).await.map_err(|error| self.failed("DATA", &error))?;
        if !go.has_code(GO_ON) {
            // Answers are out of step, as after plain text slipped in before STARTTLS: what would
            // be taken for the answer to the message would be that to DATA.
            let message =
                format!("{} answered {} to DATA, not 354", self.host, u16::from(go.code()));
            return Err(retry("smtp", message));
        }
        progress.0.store(true, Ordering::Release);
        match connection.message(message).await {
            Ok(answer) if answer.code().severity == Severity::PositiveCompletion => {
                self.park(connection);
                Ok(())
            }
            Ok(answer) => Err(Outcome::Uncertain(Cause::new(
                "smtp",
                format!("{} answered {} to the message", self.host, u16::from(answer.code())),
            ))),
            Err(error) if error.status().is_some() => {
                self.park(connection);
                Err(self.failed("the message", &error))
            }
            Err(error) => Err(Outcome::Uncertain(Cause::new(
                "answer_lost",
                format!(
                    "{} took the message and the connection broke before its answer: {}",
                    self.host,
                    chain(&error)
                ),
            ))),
        }
    }

    /// A connection on which the relay has taken the sender: a parked one if it still lives.
    async fn begin(
        &self,
        secrets: &Secrets,
        envelope: &Envelope,
    ) -> Result<AsyncSmtpConnection, Outcome> {
        while let Some(mut connection) = self.unpark() {
            match self.sender(&mut connection, envelope).await {
                Ok(()) => return Ok(connection),
                // Closed while it was parked, or about to be.
                Err(SenderError::Smtp(error)) if code(&error).is_none_or(|code| code == 421) => {}
                Err(error) => return Err(self.sender_failed(error)),
            }
        }
        let mut connection = self.connect(secrets).await?;
        match self.sender(&mut connection, envelope).await {
            Ok(()) => Ok(connection),
            Err(error) => Err(self.sender_failed(error)),
        }
    }

    async fn connect(&self, secrets: &Secrets) -> Result<AsyncSmtpConnection, Outcome> {
        let address = (self.host.as_str(), self.port);
        let at_once = self.tls.clone().filter(|_| self.from_first_byte);
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            address,
            Some(CONNECT_TIMEOUT),
            &self.hello,
            at_once,
            None,
        )
        .await
        .map_err(|error| self.failed("the connection", &error))?;
        if let Some(tls) = self.tls.clone().filter(|_| !self.from_first_byte) {
            if !connection.can_starttls() {
                return Err(retry(
                    "tls",
                    format!(
                        "{} does not offer STARTTLS, and mail is not sent in the clear: see `smtp.tls`",
                        self.host
                    ),
                ));
            }
            connection
                .starttls(tls, &self.hello)
                .await
                .map_err(|error| self.failed("STARTTLS", &error))?;
        }
        if let Some((user, password)) = &self.login {
            let password = secrets.get(password).map_err(|error| marker::missing(&error))?;
            let credentials = Credentials::new(user.clone(), password.expose_secret().to_owned());
            let answer = connection.auth(DEFAULT_MECHANISMS, &credentials).await;
            if let Err(error) = answer {
                let mut used = UsedSecrets::default();
                used.add(password);
                return Err(scrubbed(self.failed("the login", &error), &used));
            }
        }
        Ok(connection)
    }

    async fn sender(
        &self,
        connection: &mut AsyncSmtpConnection,
        envelope: &Envelope,
    ) -> Result<(), SenderError> {
        let mut options = Vec::new();
        let from = envelope.from();
        let ascii = |address: &lettre::Address| address.user().is_ascii();
        if !from.iter().copied().chain(envelope.to()).all(ascii) {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(SenderError::Utf8);
            }
            options.push(MailParameter::SmtpUtfEight);
            if connection.server_info().supports_feature(Extension::EightBitMime) {
                options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
            }
        }
        connection.command(Mail::new(from.cloned(), options)).await?;
        Ok(())
    }

    /// Names every recipient. If one is refused nobody gets the mail: a mail that reached half of
    /// its people could be repeated only to all of them.
    async fn recipients(
        &self,
        connection: &mut AsyncSmtpConnection,
        envelope: &Envelope,
    ) -> Result<(), Outcome> {
        let mut worst: Option<Error> = None;
        let mut refused = Vec::new();
        for address in envelope.to() {
            let Err(error) = connection.command(Rcpt::new(address.clone(), Vec::new())).await
            else {
                continue;
            };
            if error.status().is_none() {
                return Err(self.failed("RCPT TO", &error));
            }
            refused.push(format!("{address} ({})", said(&error)));
            if worst.as_ref().is_none_or(|worst| worst.is_transient() && error.is_permanent()) {
                worst = Some(error);
            }
        }
        match worst {
            None => Ok(()),
            Some(error) => {
                let why = format!(
                    "{} refused {} of {} recipients, so nobody got the mail: {}",
                    self.host,
                    refused.len(),
                    envelope.to().len(),
                    excerpt(&refused.join("; "))
                );
                Err(answered(&error, why))
            }
        }
    }

    fn sender_failed(&self, error: SenderError) -> Outcome {
        match error {
            SenderError::Smtp(error) => self.failed("MAIL FROM", &error),
            SenderError::Utf8 => Outcome::Failed(Cause::new(
                "smtputf8",
                format!("{} takes only addresses in ASCII (it has no SMTPUTF8)", self.host),
            )),
        }
    }

    /// What a failure before the message was handed over means.
    fn failed(&self, step: &str, error: &Error) -> Outcome {
        if error.status().is_some() {
            return answered(error, format!("{} answered to {step}: {}", self.host, said(error)));
        }
        let tls = error.is_tls() || tls::find::<rustls::Error>(error).is_some();
        let message = format!("{}:{}: {step} failed: {}", self.host, self.port, chain(error));
        retry(if tls { "tls" } else { "connect" }, message)
    }

    fn unpark(&self) -> Option<AsyncSmtpConnection> {
        lock(&self.parked).take()
    }

    fn park(&self, connection: AsyncSmtpConnection) {
        if lock(&self.parked).put(connection) {
            tokio::spawn(sweep(Arc::downgrade(&self.parked)));
        }
    }
}

/// Why the sender was not taken.
enum SenderError {
    Smtp(Error),
    Utf8,
}

impl From<Error> for SenderError {
    fn from(error: Error) -> Self {
        Self::Smtp(error)
    }
}

/// Closes connections that stay idle, until none is left.
async fn sweep(parked: Weak<Mutex<Parking<AsyncSmtpConnection>>>) {
    loop {
        tokio::time::sleep(IDLE_ROUND).await;
        let Some(parked) = parked.upgrade() else { return };
        let (idle, more) = lock(&parked).round();
        for mut connection in idle {
            // Politeness with a bound: the relay may be gone.
            let _ = tokio::time::timeout(CONNECT_TIMEOUT, connection.command(Quit)).await;
        }
        if !more {
            return;
        }
    }
}

fn lock<T>(parked: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds the lock can panic half-way through a change.
    parked.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tls_parameters(server: &SmtpServer) -> Result<TlsParameters, SettingsError> {
    let broken = |error: Error| SettingsError::new("smtp.tls", chain(&error));
    let mut builder = TlsParameters::builder(server.host.clone());
    if let Some(path) = &server.ca {
        let pem = tls::read_pem("smtp.ca", path)?;
        let certificate = Certificate::from_pem(&pem)
            .map_err(|error| SettingsError::new("smtp.ca", chain(&error)))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(broken)
}

fn code(error: &Error) -> Option<u16> {
    error.status().map(u16::from)
}

/// The relay's answer: its code and its words.
fn said(error: &Error) -> String {
    let words = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    match code(error) {
        Some(code) => excerpt(&format!("{code} {words}")),
        None => chain(error),
    }
}

/// An answer of 4xx may change, one of 5xx will not.
fn answered(error: &Error, message: String) -> Outcome {
    let code: Text = format!("smtp_{}", code(error).unwrap_or_default()).into();
    if error.is_permanent() {
        Outcome::Failed(Cause::new(code, message))
    } else {
        Outcome::Retry { after: None, why: Cause::new(code, message) }
    }
}

fn retry(code: &str, message: String) -> Outcome {
    Outcome::Retry { after: None, why: Cause::new(code, message) }
}

fn scrubbed(outcome: Outcome, used: &UsedSecrets) -> Outcome {
    let clean = |cause: Cause| Cause::new(cause.code, &*used.scrub(&cause.message));
    match outcome {
        done @ Outcome::Done(_) => done,
        Outcome::Retry { after, why } => Outcome::Retry { after, why: clean(why) },
        Outcome::Failed(why) => Outcome::Failed(clean(why)),
        Outcome::Uncertain(why) => Outcome::Uncertain(clean(why)),
    }
}
