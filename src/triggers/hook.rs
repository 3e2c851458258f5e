//! Inbound webhooks: who sent a delivery, told by its signature over the raw bytes, and what is in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::error::EventError;
use super::json;
use super::payload::{Media, media_of};
use crate::model::{Instant, Map, Span, Text, Value, sign};

/// How far the clock of a sender may be off, and how old a delivery may be: what Standard Webhooks
/// recommends.
const TOLERANCE: Span = Span::from_secs(300);
/// Headers that must not reach a transform: they are credentials.
const CREDENTIALS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "set-cookie"];

/// How a delivery is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Not by itself: whoever sends it needs a token of the API.
    None,
    /// As Standard Webhooks has it: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    Standard,
    /// An HMAC-SHA256 over the body in a header.
    Hmac {
        /// The header.
        header: Text,
        /// What stands before the signature in it: `sha256=`.
        prefix: Text,
        /// How the signature is written.
        encoding: Encoding,
    },
}

/// How the bytes of a signature are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// In hexadecimal.
    Hex,
    /// In base64.
    Base64,
}

/// Why a delivery is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unverified(String);

impl Verify {
    /// Checks a delivery against the secret `key`, in constant time.
    ///
    /// # Errors
    /// [`Unverified`], which tells nothing about the key.
    pub fn check(
        &self,
        key: &str,
        headers: &HeaderMap,
        body: &[u8],
        now: Instant,
    ) -> Result<(), Unverified> {
        match self {
            Self::None => Ok(()),
            Self::Standard => standard(key, headers, body, now),
            Self::Hmac { header, prefix, encoding } => {
                let given = one(headers, header)?;
                let wrong = || Unverified(format!("`{header}` is not the signature of this body"));
                let given = given.strip_prefix(&**prefix).ok_or_else(wrong)?;
                let given = match encoding {
                    Encoding::Hex => unhex(given),
                    Encoding::Base64 => STANDARD.decode(given).ok(),
                };
                let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(|_| wrong())?;
                mac.chain_update(body).verify_slice(&given.ok_or_else(wrong)?).map_err(|_| wrong())
            }
        }
    }
}

fn standard(key: &str, headers: &HeaderMap, body: &[u8], now: Instant) -> Result<(), Unverified> {
    let id = one(headers, "webhook-id")?;
    let written = one(headers, "webhook-timestamp")?;
    let given = one(headers, "webhook-signature")?;
    let seconds: i64 = written
        .parse()
        .ok()
        .filter(|seconds| (0..=i64::from(u32::MAX)).contains(seconds))
        .ok_or_else(|| Unverified("`webhook-timestamp` is not a time in seconds".to_owned()))?;
    let age = now.as_micros() - seconds * 1_000_000;
    if age.abs() > TOLERANCE.as_micros() {
        return Err(Unverified(format!(
            "`webhook-timestamp` is {} s off: a delivery is taken within 5 minutes",
            age / 1_000_000
        )));
    }
    let wrong = || Unverified("`webhook-signature` is not that of this delivery".to_owned());
    let expected = sign(key, id, seconds, body).map_err(|_| wrong())?;
    let matches = given.split(' ').any(|one| one.as_bytes().ct_eq(expected.as_bytes()).into());
    if matches { Ok(()) } else { Err(wrong()) }
}

/// The one value of a header.
fn one<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, Unverified> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (Some(Ok(value)), None) if !value.is_empty() => Ok(value),
        (None, _) => Err(Unverified(format!("the header `{name}` is missing"))),
        _ => Err(Unverified(format!("the header `{name}` has more than one readable value"))),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// What a delivery is known by, so that its repetition is: the sender's id, else a hash of its body.
///
/// # Errors
/// [`EventError`] for an id that stands there twice or is not text.
pub fn delivery_id(
    header: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Text, EventError> {
    match header.filter(|header| headers.contains_key(*header)) {
        Some(header) => {
            one(headers, header).map(Text::from).map_err(|why| EventError::Invalid(why.to_string()))
        }
        None => {
            let hash = STANDARD.encode(Sha256::digest(body));
            Ok(format!("sha256:{hash}").into())
        }
    }
}

/// The body as data: JSON, the fields of a form (a list where a name stands more than once), or text.
///
/// # Errors
/// [`EventError`]: it is not what its type says, or of a type that is not taken.
pub fn content(headers: &HeaderMap, body: &[u8]) -> Result<Value, EventError> {
    let written = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let form =
        |essence: &str| essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded");
    if body.is_empty() {
        return Ok(Value::Null);
    }
    match written.map(|written| (media_of(written), written.split(';').next().unwrap_or_default()))
    {
        None | Some((Media::Json | Media::Event | Media::Batch, _)) => {
            json::parse("the body", body)
        }
        Some((Media::Form, essence)) if form(essence) => Ok(Value::Map(fields(body))),
        Some((Media::Text, _)) => json::utf8("the body", body).map(Value::from),
        Some((_, essence)) => Err(EventError::Media(format!(
            "a body of type `{essence}` is not taken: send JSON, application/x-www-form-urlencoded or text"
        ))),
    }
}

fn fields(form: &[u8]) -> Map {
    let mut fields = Map::new();
    for (name, value) in url::form_urlencoded::parse(form) {
        let value = Value::from(&*value);
        match fields.get_mut(&*name) {
            None => drop(fields.insert(Text::from(&*name), value)),
            Some(Value::List(values)) => values.push(value),
            Some(first) => {
                let first = std::mem::take(first);
                fields.insert(Text::from(&*name), Value::List(vec![first, value]));
            }
        }
    }
    fields
}

/// What a transform sees of a delivery: `{ hook, id, body, text, headers, query, received }`. Headers
/// have names in lower case, and none of them is a credential.
#[must_use]
pub fn seen(
    (hook, id): (&str, &Text),
    headers: &HeaderMap,
    query: Option<&str>,
    (content, body): (&Value, &[u8]),
    now: Instant,
) -> Value {
    let mut shown = Map::new();
    for name in headers.keys().filter(|name| !CREDENTIALS.contains(&name.as_str())) {
        let all: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        shown.insert(name.as_str().into(), Value::from(all.join(", ")));
    }
    Value::from([
        ("hook", Value::from(hook)),
        ("id", Value::Text(id.clone())),
        ("body", content.clone()),
        ("text", Value::from(&*String::from_utf8_lossy(body))),
        ("headers", Value::Map(shown)),
        ("query", Value::Map(fields(query.unwrap_or_default().as_bytes()))),
        ("received", Value::Instant(now)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    fn at(seconds: i64) -> Instant {
        Instant::default() + Span::from_secs(seconds)
    }

    /// The example of the `standardwebhooks` libraries.
    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn delivery(signature: &str) -> HeaderMap {
        headers(&[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", signature),
        ])
    }

    #[test]
    fn a_standard_delivery_is_believed_for_five_minutes() {
        let good = delivery(&format!("v1,other {SIGNATURE}"));
        let check = |headers: &HeaderMap, body: &[u8], now| {
            Verify::Standard.check(KEY, headers, body, at(now)).map_err(|why| why.to_string())
        };
        assert_eq!(check(&good, BODY, 1_614_265_330 + 300), Ok(()));
        assert_eq!(check(&good, BODY, 1_614_265_330 - 300), Ok(()));
        assert!(check(&good, BODY, 1_614_265_330 + 301).unwrap_err().contains("301 s off"));
        assert!(check(&good, BODY, 1_614_265_330 - 301).is_err());
        assert!(check(&good, b"{}", 1_614_265_330).unwrap_err().contains("is not that of this"));
        assert!(check(&delivery("v1,"), BODY, 1_614_265_330).is_err());
        assert!(check(&delivery(&SIGNATURE[3..]), BODY, 1_614_265_330).is_err());
        assert!(check(&headers(&[]), BODY, 0).unwrap_err().contains("`webhook-id` is missing"));
        let mut twice = good.clone();
        twice.append("webhook-id", "x".parse().unwrap());
        assert!(check(&twice, BODY, 1_614_265_330).is_err());
        assert!(Verify::Standard.check("whsec_other", &good, BODY, at(1_614_265_330)).is_err());
    }

    /// RFC 4231, test case 2.
    #[test]
    fn an_hmac_is_that_of_the_raw_body() {
        let mac = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let verify = |prefix: &str, encoding| Verify::Hmac {
            header: "x-signature".into(),
            prefix: prefix.into(),
            encoding,
        };
        let check = |verify: &Verify, given: &str, body: &[u8]| {
            verify.check("Jefe", &headers(&[("x-signature", given)]), body, at(0)).is_ok()
        };
        let body = b"what do ya want for nothing?";
        let hex = verify("sha256=", Encoding::Hex);
        assert!(check(&hex, &format!("sha256={mac}"), body));
        assert!(check(&hex, &format!("sha256={}", mac.to_uppercase()), body));
        assert!(!check(&hex, mac, body));
        assert!(!check(&hex, &format!("sha256={mac}"), b"what do ya want for nothing!"));
        assert!(
            !check(&hex, "sha256=", body) && !check(&hex, &format!("sha256={}", &mac[2..]), body)
        );
        assert!(!check(&hex, "sha256=é", body));
        let base64 = STANDARD.encode(unhex(mac).unwrap());
        assert!(check(&verify("", Encoding::Base64), &base64, body));
        assert!(!check(&verify("", Encoding::Base64), mac, body));
    }

    #[test]
    fn bodies_become_data() {
        let content = |kind: &str, body: &str| {
            content(&headers(&[("content-type", kind)]), body.as_bytes()).map_err(|e| e.to_string())
        };
        let form =
            content("application/x-www-form-urlencoded; charset=utf-8", "a=1&b=x+y&b=%C3%BC");
        let many = Value::List(vec!["x y".into(), "ü".into()]);
        assert_eq!(form.unwrap(), Value::from([("a", "1".into()), ("b", many)]));
        assert_eq!(content("application/json", "[1]"), Ok(Value::List(vec![Value::Int(1)])));
        assert_eq!(content("text/plain", "hi"), Ok("hi".into()));
        assert!(
            content("multipart/form-data; boundary=x", "--x").unwrap_err().contains("multipart")
        );
        assert!(content("application/json", "{").is_err());
    }

    #[test]
    fn a_delivery_without_an_id_is_known_by_its_body() {
        let none = headers(&[]);
        let id = delivery_id(Some("x-id"), &none, b"a").unwrap();
        assert_eq!(id, delivery_id(None, &none, b"a").unwrap());
        assert_ne!(id, delivery_id(None, &none, b"b").unwrap());
        let given = headers(&[("x-id", "7")]);
        assert_eq!(&*delivery_id(Some("x-id"), &given, b"a").unwrap(), "7");
    }

    #[test]
    fn credentials_are_not_shown_to_plugins() {
        let all = headers(&[("authorization", "Bearer x"), ("x-a", "1"), ("cookie", "s=1")]);
        let id = Text::from("1");
        let seen = seen(("crm", &id), &all, Some("k=v"), (&Value::Null, b"raw"), at(0));
        let text = seen.to_json().to_string();
        assert!(!text.contains("Bearer") && !text.contains("s=1"), "{text}");
        assert_eq!(seen.get("query").and_then(|query| query.get("k")), Some(&"v".into()));
    }
}
