//! Links in mail: signed, so that only who got the mail can follow them, and only for a while.
//!
//! A token is `payload.signature`, both base64url: the payload names what is to be done, to which
//! run, by whom and until when; the signature is the first half of an HMAC-SHA256 over it. The same
//! mail has the same link at every attempt, since its end counts from when it was announced.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::exchange::Operator;
use super::id::RunId;
use super::time::{Instant, Span};
use super::value::Text;

/// How long a link may be followed: longer than anybody is on leave.
const LIFE: Span = Span::from_days(30);
/// Bytes of the signature that are kept: 128 bits, as RFC 2104 §5 allows.
const SIGNATURE_BYTES: usize = 16;
/// Bytes of a token: a longer one is none of ours.
const TOKEN_BYTES: usize = 4_096;

/// How long an unsubscribe link works: laws ask for 30 to 60 days, and people find mails much later.
const LIFE_OF_UNSUBSCRIBE: Span = Span::from_days(730);

/// What a link does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkVerb {
    /// Of an escalation: somebody is on it.
    Acknowledge,
    /// Of an escalation: it is over.
    Resolve,
    /// Of an approval: one of its outcomes.
    Decide,
    /// Of a purpose: no more mail of it (RFC 8058).
    Unsubscribe,
}

impl LinkVerb {
    /// The word in the token and in templates: `links.acknowledge`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Resolve => "resolve",
            Self::Decide => "decide",
            Self::Unsubscribe => "unsubscribe",
        }
    }

    /// Whether its token says what it is about, beside the run.
    const fn has_about(self) -> bool {
        matches!(self, Self::Decide | Self::Unsubscribe)
    }

    const fn life(self) -> Span {
        match self {
            Self::Unsubscribe => LIFE_OF_UNSUBSCRIBE,
            _ => LIFE,
        }
    }
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What is to be done.
    pub verb: LinkVerb,
    /// To which run; of an approval or a purpose the one that sent the mail.
    pub run: RunId,
    /// `APPROVAL OUTCOME`, or the name of the purpose; else empty.
    pub about: Text,
    /// By whom: the address the mail went to.
    pub by: Text,
}

impl Link {
    /// What following it asks for.
    #[must_use]
    pub fn wish(self) -> Operator {
        let Self { verb, run, about, by } = self;
        let run = run.no;
        match verb {
            LinkVerb::Acknowledge => Operator::Acknowledge { run, by },
            LinkVerb::Resolve => Operator::Resolve { run, by },
            LinkVerb::Decide => {
                let (approval, outcome) = about.split_once(' ').unwrap_or((&about, ""));
                let (approval, outcome) = (approval.into(), outcome.into());
                Operator::Decide { approval, outcome, comment: None, asked_only: true, by }
            }
            LinkVerb::Unsubscribe => Operator::Unsubscribe { purpose: about, address: by, run },
        }
    }
}

/// Why a link is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Not made by this daemon, or changed on the way.
    #[error("this link is not one of ours, or it was cut short on the way")]
    Forged,
    /// Too old.
    #[error("this link is too old to be followed")]
    Expired,
}

/// Makes and reads tokens under one key.
#[derive(Clone)]
pub struct LinkKey([u8; 32]);

impl LinkKey {
    /// From 32 secret random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The token of a link in a mail announced at `armed`.
    #[must_use]
    pub fn token(&self, link: &Link, armed: Instant) -> String {
        let until = (armed + link.verb.life()).as_micros();
        let about = if link.verb.has_about() { format!("{}\n", link.about) } else { String::new() };
        let payload = format!("{}\n{}\n{until}\n{about}{}", link.verb.as_str(), link.run, link.by);
        let signature = self.mac(payload.as_bytes()).finalize().into_bytes();
        let signature = BASE64.encode(&signature[..SIGNATURE_BYTES]);
        format!("{}.{signature}", BASE64.encode(payload))
    }

    /// What a token says, if it is ours and not too old.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn read(&self, token: &str, now: Instant) -> Result<Link, LinkError> {
        let forged = LinkError::Forged;
        if token.len() > TOKEN_BYTES {
            return Err(forged);
        }
        let (payload, signature) = token.split_once('.').ok_or(forged)?;
        let payload = BASE64.decode(payload).map_err(|_| forged)?;
        let signature = BASE64.decode(signature).map_err(|_| forged)?;
        if signature.len() != SIGNATURE_BYTES {
            return Err(forged);
        }
        self.mac(&payload).verify_truncated_left(&signature).map_err(|_| forged)?;
        let payload = String::from_utf8(payload).map_err(|_| forged)?;
        let (verb, rest) = payload.split_once('\n').ok_or(forged)?;
        let all =
            [LinkVerb::Acknowledge, LinkVerb::Resolve, LinkVerb::Decide, LinkVerb::Unsubscribe];
        let verb = all.into_iter().find(|known| known.as_str() == verb).ok_or(forged)?;
        let mut lines = rest.splitn(if verb.has_about() { 4 } else { 3 }, '\n');
        let mut line = || lines.next().ok_or(forged);
        let run = line()?.parse().map_err(|_| forged)?;
        let until = line()?.parse().map(Instant::from_micros).map_err(|_| forged)?;
        let about = if verb.has_about() { line()?.into() } else { Text::default() };
        let by = line()?.into();
        if until < now {
            return Err(LinkError::Expired);
        }
        Ok(Link { verb, run, about, by })
    }

    fn mac(&self, payload: &[u8]) -> Hmac<Sha256> {
        // HMAC takes a key of any length, so this never fails; an empty key would only make every
        // signature fail to verify against one made with ours.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0)
            .unwrap_or_else(|_| Hmac::<Sha256>::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
        mac.update(b"adjutant link\n");
        mac.update(payload);
        mac
    }
}

/// Says nothing of the key.
impl std::fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RunNo;

    fn link() -> Link {
        Link {
            verb: LinkVerb::Acknowledge,
            run: RunId { no: RunNo(17), check: Some(7) },
            about: Text::default(),
            by: "tom@ops.example".into(),
        }
    }

    #[test]
    fn a_token_reads_back_until_it_is_too_old() {
        let key = LinkKey::new([7; 32]);
        let armed = Instant::from_micros(1_000_000);
        let token = key.token(&link(), armed);
        assert_eq!(token, key.token(&link(), armed), "the same at every attempt");
        assert_eq!(key.read(&token, armed), Ok(link()));
        assert_eq!(key.read(&token, armed + LIFE), Ok(link()));
        let late = armed + LIFE + Span::from_secs(1);
        assert_eq!(key.read(&token, late), Err(LinkError::Expired));
    }

    #[test]
    fn what_a_link_is_about_is_in_its_token() {
        let key = LinkKey::new([7; 32]);
        let armed = Instant::from_micros(0);
        for (verb, about) in
            [(LinkVerb::Decide, "00ff approved"), (LinkVerb::Unsubscribe, "marketing")]
        {
            let link = Link { verb, about: about.into(), ..link() };
            let token = key.token(&link, armed);
            assert_eq!(key.read(&token, armed), Ok(link));
        }
        let token = key.token(&Link { verb: LinkVerb::Unsubscribe, ..link() }, armed);
        assert!(key.read(&token, armed + LIFE + LIFE).is_ok(), "a year-old mail can be followed");
    }

    #[test]
    fn nothing_can_be_changed_or_made_without_the_key() {
        let key = LinkKey::new([7; 32]);
        let token = key.token(&link(), Instant::from_micros(0));
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            // The last letter of a base64 part may hold bits that are not used.
            if let Ok(read) = key.read(&changed, Instant::from_micros(0)) {
                assert_eq!(read, link(), "at {at}");
            }
        }
        let other = LinkKey::new([8; 32]).token(&link(), Instant::from_micros(0));
        assert_eq!(key.read(&other, Instant::from_micros(0)), Err(LinkError::Forged));
        for junk in ["", ".", "a.b", "é.é", &"x".repeat(5_000)] {
            assert_eq!(key.read(junk, Instant::from_micros(0)), Err(LinkError::Forged), "{junk}");
        }
    }
}
