//! A [`MailContent`] as RFC 5322 bytes and as an SMTP envelope. The same content gives the same
//! bytes: the boundary comes from the effect's key, the date from the content.

use std::time::{Duration, SystemTime};

use lettre::address::Envelope;
use lettre::message::header::{ContentType, Date, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, MultiPartKind, SinglePart};

use super::content::MailContent;
use crate::model::{Cause, Instant};

/// `Auto-Submitted` (RFC 3834): keeps out-of-office replies from answering.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Whom a message is shown to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// The recipients: `Bcc` is left out.
    Recipients,
    /// A person who looks into the outbox.
    Outbox,
}

/// The message as sent.
///
/// # Errors
/// A cause `mail` when lettre refuses it.
pub(crate) fn bytes(content: &MailContent, reader: Reader) -> Result<Vec<u8>, Cause> {
    let refused = |error: lettre::error::Error| {
        Cause::new("mail", format!("the mail cannot be put together: {error}"))
    };
    let mut builder = Message::builder()
        .from(content.from.clone())
        .header(Date::from(system_time(content.date)))
        .message_id(Some(format!("<{}>", content.message_id())))
        .subject(content.subject.clone())
        .header(AutoSubmitted)
        .envelope(envelope(content)?);
    if let Some(reply_to) = &content.reply_to {
        builder = builder.reply_to(reply_to.clone());
    }
    for mailbox in &content.to {
        builder = builder.to(mailbox.clone());
    }
    for mailbox in &content.cc {
        builder = builder.cc(mailbox.clone());
    }
    if reader == Reader::Outbox {
        builder = builder.keep_bcc();
        for mailbox in &content.bcc {
            builder = builder.bcc(mailbox.clone());
        }
    }
    for (name, value) in &content.headers {
        let name = HeaderName::new_from_ascii(name.to_string())
            .map_err(|error| Cause::new("header", error.to_string()))?;
        builder = builder.raw_header(HeaderValue::new(name, value.clone()));
    }
    let text = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(content.text.clone());
    let message = match &content.html {
        None => builder.singlepart(text),
        Some(html) => {
            let html = SinglePart::builder().header(ContentType::TEXT_HTML).body(html.clone());
            builder.multipart(
                MultiPart::builder()
                    .kind(MultiPartKind::Alternative)
                    // `=_` cannot stand in quoted-printable text (RFC 2045 §6.7).
                    .boundary(format!("=_{}", content.key))
                    .singlepart(text)
                    .singlepart(html),
            )
        }
    };
    Ok(message.map_err(refused)?.formatted())
}

/// Who it goes from and to on the wire; an address named twice gets it once.
///
/// # Errors
/// A cause `mail` when nobody is left.
pub(crate) fn envelope(content: &MailContent) -> Result<Envelope, Cause> {
    let mut to = Vec::new();
    for Mailbox { email, .. } in content.to.iter().chain(&content.cc).chain(&content.bcc) {
        if !to.contains(email) {
            to.push(email.clone());
        }
    }
    Envelope::new(Some(content.from.email.clone()), to)
        .map_err(|error| Cause::new("mail", format!("the mail has no envelope: {error}")))
}

fn system_time(instant: Instant) -> SystemTime {
    // HTTP-style dates end with the year 9999, and so does `Instant::MAX`.
    let micros = u64::try_from(instant.min(Instant::MAX).as_micros()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}
