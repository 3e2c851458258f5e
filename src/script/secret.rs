//! How `secret(name)` travels: a marker in the text, put in only when an attempt is performed.
//!
//! So a secret never reaches a run, a trace or the store. Whoever performs an attempt replaces each
//! `SECRET_OPEN secret:NAME SECRET_CLOSE` by the secret's value.

/// Begins the marker of a secret: U+E000, of the private use area, which no text from outside keeps.
pub const SECRET_OPEN: char = '\u{E000}';
/// Ends the marker of a secret: U+E001.
pub const SECRET_CLOSE: char = '\u{E001}';

/// The text that stands for the secret `name`: `SECRET_OPEN`, `secret:`, the name, `SECRET_CLOSE`.
#[must_use]
pub fn secret_marker(name: &str) -> String {
    format!("{SECRET_OPEN}secret:{name}{SECRET_CLOSE}")
}

/// Whether `name` may name a secret: it becomes a file name and an environment variable.
pub(super) fn is_secret_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_carries_the_name() {
        assert_eq!(secret_marker("crm_token"), "\u{E000}secret:crm_token\u{E001}");
        assert!(is_secret_name("crm_token-2"));
        for bad in ["", "a/b", "../x", "a b", "ü"] {
            assert!(!is_secret_name(bad), "{bad}");
        }
    }
}
