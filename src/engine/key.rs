//! The key of the state: it never leaves it, and what is hashed or signed under it means something to this
//! state alone. The daemon gives it once; a backup carries it along.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::model::{ReadError, Value, Window, WindowKey};

use super::stage::Stage;
use super::watch::window_key;

/// What its window is for.
const KEY: &str = "key";

fn place() -> WindowKey {
    window_key("", KEY, None)
}

/// The daemon gives the state a key of its own; it keeps the first.
pub(super) fn give(stage: &mut Stage<'_>, key: [u8; 32]) -> Result<(), ReadError> {
    if stage.window(&place())?.is_some() {
        return Ok(());
    }
    let last = Value::from(hex(&key));
    stage.put_window(place(), Some(Window { last, ..Window::default() }))
}

/// HMAC-SHA256 (RFC 2104) of a text under the key, in hex; `what` keeps uses apart.
pub(super) fn mac(stage: &Stage<'_>, what: &str, text: &str) -> Result<String, ReadError> {
    let key = stage.window(&place())?.unwrap_or_default();
    let key = key.last.as_text().unwrap_or_default();
    // HMAC takes a key of any length, so this never fails.
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes())
        .unwrap_or_else(|_| Hmac::<Sha256>::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
    mac.update(what.as_bytes());
    mac.update(b"\n");
    mac.update(text.as_bytes());
    Ok(hex(&mac.finalize().into_bytes()))
}

/// Bytes as text.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
