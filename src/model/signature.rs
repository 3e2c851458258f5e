//! Signatures of webhooks, as Standard Webhooks has them:
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.
//!
//! `webhook-signature: v1,BASE64(HMAC-SHA256(key, "ID.TIMESTAMP.BODY"))`, the timestamp in seconds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What a key in the standard's own form begins with; base64 follows.
const PREFIX: &str = "whsec_";

/// Why a secret cannot sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("begins with `whsec_` and is not base64 after that")]
pub struct KeyError;

/// Signs one message. A key that begins with `whsec_` is base64; any other is used as it is.
///
/// # Errors
/// [`KeyError`] when the base64 is not.
pub fn sign(key: &str, id: &str, timestamp: i64, body: &[u8]) -> Result<String, KeyError> {
    let mut mac = match key.strip_prefix(PREFIX) {
        Some(encoded) => {
            let raw = STANDARD.decode(encoded).map_err(|_| KeyError)?;
            Hmac::<Sha256>::new_from_slice(&raw)
        }
        None => Hmac::<Sha256>::new_from_slice(key.as_bytes()),
    }
    .map_err(|_| KeyError)?;
    mac.update(id.as_bytes());
    mac.update(b".");
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the `standardwebhooks` libraries; computed once more with Python's `hmac`.
    #[test]
    fn the_published_example_is_signed_alike() {
        let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let signature =
            sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature.as_deref(), Ok("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn a_raw_key_is_used_as_it_is() {
        let raw = "0123456789abcdef";
        let encoded = format!("whsec_{}", STANDARD.encode(raw));
        assert_eq!(sign(raw, "a", 1, b"x"), sign(&encoded, "a", 1, b"x"));
        assert_ne!(sign(raw, "a", 1, b"x"), sign(raw, "a", 2, b"x"));
        assert_eq!(sign("whsec_%%", "a", 1, b"x"), Err(KeyError));
    }
}
