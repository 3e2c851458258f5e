//! Who asks, and may they: the socket, tokens with scopes, and the checks that keep web pages out.
//!
//! A page in somebody's browser can send requests to a loopback address. What stops it: `Host` must
//! be a name of ours (else a foreign name was pointed at our address, "DNS rebinding"), `Origin` must
//! be ours, and a body must be of a type that a page cannot send without being asked first.
//! A request with a valid token skips the check of `Host`: no page has the token.

use std::net::IpAddr;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::Url;

use super::problem::Problem;
use crate::daemon::{Scope, TokenConfig};
use crate::model::Text;
use crate::triggers::{Media, media_of};

/// The header in which a client on the Unix socket says whose hands it is in.
pub(crate) const USER_HEADER: &str = "adjutant-user";
/// Bytes of a user's name that are kept; Linux allows 32.
const USER_BYTES: usize = 64;

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// The Unix socket.
    Socket,
    /// A TCP address.
    Tcp(IpAddr),
}

/// Who asks, once admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// The token's name, the user on the socket, or `local`.
    pub(super) name: Text,
    /// The source of its plain events: the token's name, or `local`.
    pub(super) source: Text,
}

/// Decides who is let in.
#[derive(Debug)]
pub(super) struct Gate {
    tokens: Vec<TokenConfig>,
    public: Option<Url>,
    local: Text,
}

/// The head of a request, as far as the gate looks at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    /// Whether a body may be of any type where no page is on the other end.
    pub(super) any_media: bool,
}

impl Gate {
    pub(super) fn new(tokens: Vec<TokenConfig>, public: Option<Url>) -> Self {
        Self { tokens, public, local: "local".into() }
    }

    /// Lets a request in that may do what needs `scope`.
    pub(super) fn admit(
        &self,
        peer: Peer,
        head: Head<'_>,
        scope: Scope,
    ) -> Result<Caller, Problem> {
        let Peer::Tcp(address) = peer else {
            check_media(head, true)?;
            return Ok(Caller { name: self.user(head.headers), source: self.local.clone() });
        };
        let token = self.token(head.headers)?;
        let Some(token) = token else {
            if !address.to_canonical().is_loopback() {
                return Err(Problem::new(
                    StatusCode::FORBIDDEN,
                    "no-tokens",
                    "no tokens are configured, so that only this machine may ask: make one with \
                     `adjutant token new`",
                ));
            }
            self.check_host(head)?;
            self.check_origin(head.headers)?;
            check_media(head, false)?;
            return Ok(Caller { name: self.local.clone(), source: self.local.clone() });
        };
        self.check_origin(head.headers)?;
        check_media(head, true)?;
        if !allow(&token.scopes, scope) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "scope",
                format!("token `{}` lacks the scope `{}`", token.name, word(scope)),
            ));
        }
        Ok(Caller { name: token.name.clone(), source: token.name.clone() })
    }

    /// The token of a request; `None` while none are configured.
    fn token(&self, headers: &HeaderMap) -> Result<Option<&TokenConfig>, Problem> {
        if self.tokens.is_empty() {
            return Ok(None);
        }
        let unauthorized =
            |detail: &str| Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail);
        let header = headers
            .get(AUTHORIZATION)
            .ok_or_else(|| unauthorized("a token is needed: send `Authorization: Bearer TOKEN`"))?;
        let given = bearer(header)
            .ok_or_else(|| unauthorized("write the header as `Authorization: Bearer TOKEN`"))?;
        let hash: [u8; 32] = Sha256::digest(given).into();
        // Every token is compared, so that the time taken says nothing.
        let mut found = None;
        for token in &self.tokens {
            if bool::from(token.sha256.ct_eq(&hash)) {
                found = Some(token);
            }
        }
        found.map(Some).ok_or_else(|| unauthorized("the token is not known"))
    }

    fn user(&self, headers: &HeaderMap) -> Text {
        headers
            .get(USER_HEADER)
            .and_then(|value| value.to_str().ok())
            .filter(|name| !name.is_empty() && name.len() <= USER_BYTES)
            .map_or_else(|| self.local.clone(), Into::into)
    }

    fn check_host(&self, head: Head<'_>) -> Result<(), Problem> {
        let named = head.headers.get(HOST).and_then(|host| host.to_str().ok());
        // A request line with a whole URL overrules `Host` (RFC 9112 §3.2.2); both must be ours.
        let in_line = head.uri.authority().map(axum::http::uri::Authority::as_str);
        let ours = named.is_some_and(|host| self.is_ours(host))
            && in_line.is_none_or(|host| self.is_ours(host));
        if ours {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "host",
            format!(
                "`{}` is not a name of this daemon: ask 127.0.0.1, set `http.public_url`, or send a \
                 token",
                named.unwrap_or_default()
            ),
        ))
    }

    /// Whether `authority` (`host[:port]`) is a literal address, a loopback name or the public host.
    /// A literal address is always ours: no name was resolved on the way, so nothing was rebound.
    fn is_ours(&self, authority: &str) -> bool {
        let host = host_of(authority);
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let public = self.public.as_ref().and_then(Url::host_str);
        bare.parse::<IpAddr>().is_ok()
            || host.eq_ignore_ascii_case("localhost")
            || public.is_some_and(|public| public.eq_ignore_ascii_case(host))
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
        let origin = origin.to_str().unwrap_or_default();
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let same = origin
            .split_once("://")
            .is_some_and(|(_, authority)| host.is_some_and(|host| host == authority));
        let public = self
            .public
            .as_ref()
            .is_some_and(|public| public.origin().ascii_serialization() == origin);
        if same || public {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "origin",
            format!("pages of `{origin}` may not use this API"),
        ))
    }
}

/// Whether scopes allow what needs `scope`: `admin` allows everything, `operate` also to read.
fn allow(held: &[Scope], scope: Scope) -> bool {
    held.iter().any(|held| {
        *held == scope || *held == Scope::Admin || (*held == Scope::Operate && scope == Scope::Read)
    })
}

/// A scope as the configuration writes it.
fn word(scope: Scope) -> &'static str {
    match scope {
        Scope::Ingest => "ingest",
        Scope::Read => "read",
        Scope::Operate => "operate",
        Scope::Admin => "admin",
    }
}

/// The token of an `Authorization` header.
fn bearer(header: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = header.as_bytes().split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// The host of `host[:port]`, with the brackets of a v6 address.
fn host_of(authority: &str) -> &str {
    match authority.rfind([':', ']']) {
        Some(at) if authority.as_bytes()[at] == b':' => &authority[..at],
        _ => authority,
    }
}

/// Refuses bodies that a page can send without being asked. `trusted`: no page is on the other end,
/// so that a body may also come without a type.
fn check_media(head: Head<'_>, trusted: bool) -> Result<(), Problem> {
    if head.method == Method::GET || head.method == Method::HEAD {
        return Ok(());
    }
    let event = head.headers.contains_key("ce-specversion");
    let media =
        head.headers.get(CONTENT_TYPE).map(|value| value.to_str().map_or(Media::Binary, media_of));
    match media {
        Some(Media::Json | Media::Event | Media::Batch | Media::OtherEvent) => Ok(()),
        None if trusted => Ok(()),
        Some(_) if trusted && head.any_media => Ok(()),
        // A page that wants to send a header of this name has to ask first, and is not answered.
        _ if event => Ok(()),
        Some(Media::Text | Media::Form | Media::Binary) | None => Err(Problem::media(
            "send JSON: `Content-Type: application/json` (with curl: `-H 'content-type: \
             application/json'` or `--json`)",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: Peer = Peer::Tcp(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
    const ELSEWHERE: Peer = Peer::Tcp(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9)));

    fn gate(tokens: &[(&str, &str, Scope)]) -> Gate {
        let tokens = tokens
            .iter()
            .map(|(name, secret, scope)| TokenConfig {
                name: (*name).into(),
                scopes: vec![*scope],
                sha256: Sha256::digest(secret).into(),
            })
            .collect();
        Gate::new(tokens, Some("https://ops.example.com".parse().unwrap()))
    }

    fn ask(
        gate: &Gate,
        peer: Peer,
        method: &str,
        pairs: &[(&'static str, &str)],
    ) -> Result<Text, u16> {
        let headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let head = Head {
            any_media: false,
            method: &method.parse().unwrap(),
            uri: &Uri::from_static("/v1/runs"),
            headers: &headers,
        };
        let scope = if method == "GET" { Scope::Read } else { Scope::Operate };
        gate.admit(peer, head, scope)
            .map(|caller| caller.name)
            .map_err(|problem| problem.status.as_u16())
    }

    #[test]
    fn only_names_of_ours_are_answered() {
        let gate = gate(&[]);
        for host in [
            "localhost",
            "LOCALHOST:8750",
            "127.0.0.1:8750",
            "[::1]:8750",
            "[::1]",
            "10.0.0.1",
            "ops.example.com",
        ] {
            assert_eq!(
                ask(&gate, LOOPBACK, "GET", &[("host", host)]),
                Ok("local".into()),
                "{host}"
            );
        }
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8750", "", "[::1"]
        {
            assert_eq!(ask(&gate, LOOPBACK, "GET", &[("host", host)]), Err(421), "{host}");
        }
        assert_eq!(ask(&gate, LOOPBACK, "GET", &[]), Err(421));
        assert_eq!(ask(&gate, ELSEWHERE, "GET", &[("host", "10.0.0.1")]), Err(403));
    }

    #[test]
    fn pages_are_kept_out() {
        let gate = gate(&[]);
        let post = |pairs: &[(&'static str, &str)]| {
            let mut all = vec![("host", "localhost:8750")];
            all.extend_from_slice(pairs);
            ask(&gate, LOOPBACK, "POST", &all)
        };
        let json = ("content-type", "application/json");
        assert!(post(&[json]).is_ok());
        assert!(post(&[json, ("origin", "http://localhost:8750")]).is_ok());
        assert!(post(&[json, ("origin", "https://ops.example.com")]).is_ok());
        assert_eq!(post(&[json, ("origin", "http://localhost:3000")]), Err(403));
        assert_eq!(post(&[json, ("origin", "null")]), Err(403));
        for simple in
            ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
        {
            assert_eq!(post(&[("content-type", simple)]), Err(415), "{simple}");
        }
        assert_eq!(post(&[]), Err(415));
        assert!(post(&[("content-type", "text/plain"), ("ce-specversion", "1.0")]).is_ok());
    }

    #[test]
    fn tokens_have_scopes() {
        let gate = gate(&[("crm", "s3cret", Scope::Operate), ("log", "other", Scope::Read)]);
        let with = |token: &str, method: &str| {
            ask(
                &gate,
                ELSEWHERE,
                method,
                &[("authorization", token), ("host", "adjutant.internal")],
            )
        };
        assert_eq!(with("Bearer s3cret", "GET"), Ok("crm".into()));
        assert_eq!(with("bearer s3cret", "POST"), Ok("crm".into()));
        assert_eq!(with("Bearer other", "GET"), Ok("log".into()));
        assert_eq!(with("Bearer other", "POST"), Err(403));
        assert_eq!(with("Bearer s3cre", "GET"), Err(401));
        assert_eq!(with("Basic s3cret", "GET"), Err(401));
        assert_eq!(ask(&gate, LOOPBACK, "GET", &[("host", "localhost")]), Err(401));
        assert_eq!(ask(&gate, Peer::Socket, "POST", &[("adjutant-user", "ana")]), Ok("ana".into()));
    }

    #[test]
    fn scopes_include_less() {
        assert!(allow(&[Scope::Admin], Scope::Ingest));
        assert!(allow(&[Scope::Ingest, Scope::Operate], Scope::Read));
        assert!(!allow(&[Scope::Operate], Scope::Ingest));
        assert!(!allow(&[Scope::Ingest], Scope::Read));
        assert!(!allow(&[], Scope::Read));
    }
}
