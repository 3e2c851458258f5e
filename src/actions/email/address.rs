//! Addresses of mails: `ana@x.example` or `Ana Lima <ana@x.example>`, one in a text.
//!
//! Stricter than RFC 5322 on purpose: what comes from an event must not become two recipients, a
//! header or a command. Domains are turned into their ASCII form, so that any relay takes them.

use lettre::Address;
use lettre::message::Mailbox;

use super::super::marker;
use crate::model::Cause;

/// Bytes of an address with its name: RFC 5321 §4.5.3.1 allows 64 + 1 + 255 for the address.
const ADDRESS_BYTES: usize = 1024;

/// Reads one address; `field` is where it stands, for the error.
pub(crate) fn parse(text: &str, field: &str) -> Result<Mailbox, Cause> {
    let wrong = |why: &str| {
        let shown: String =
            text.chars().take(80).map(|c| if c.is_control() { '␤' } else { c }).collect();
        Cause::new("address", format!("`{shown}` in `{field}` is not a mail address: {why}"))
    };
    marker::refuse(text, &format!("`{field}` of a mail"))?;
    if text.chars().any(char::is_control) {
        return Err(wrong("it has a line break or another control character"));
    }
    if text.len() > ADDRESS_BYTES {
        return Err(wrong("it is too long"));
    }
    let text = text.trim();
    if text.is_empty() {
        return Err(wrong("it is empty"));
    }
    let (name, address) = match text.strip_suffix('>') {
        None => (None, text),
        Some(inner) => {
            let (name, address) =
                inner.rsplit_once('<').ok_or_else(|| wrong("it ends in `>` without a `<`"))?;
            (Some(unquote(name.trim())), address.trim())
        }
    };
    let (user, domain) = address.rsplit_once('@').ok_or_else(|| wrong("it has no `@`"))?;
    if user.contains(|c: char| c.is_whitespace() || "\"<>,;:\\()[]@".contains(c)) {
        return Err(wrong("write one plain address, or a list of them"));
    }
    let domain = ascii_domain(domain).ok_or_else(|| wrong("its domain is not one"))?;
    let address = Address::new(user, domain).map_err(|error| match error {
        lettre::address::AddressError::InvalidDomain => wrong("its domain is not one"),
        _ => wrong("the part before the `@` is not allowed"),
    })?;
    Ok(Mailbox::new(name.filter(|name| !name.is_empty()), address))
}

/// Whether an address matches a pattern of `smtp.only_to`: text with `*` for anything, case aside.
pub(crate) fn matches(pattern: &str, address: &str) -> bool {
    let (pattern, address) = (pattern.to_lowercase(), address.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = address.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The name without the quotes around it.
fn unquote(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(inner) => inner.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => name.to_owned(),
    }
}

/// `münchen.example` as `xn--mnchen-3ya.example`; lower case. `None` if it is no domain.
fn ascii_domain(domain: &str) -> Option<String> {
    if domain.starts_with('[') && domain.is_ascii() {
        return Some(domain.to_owned());
    }
    match url::Host::parse(domain).ok()? {
        url::Host::Domain(domain) => Some(domain),
        url::Host::Ipv4(_) | url::Host::Ipv6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_and_named_addresses_are_read() {
        let cases = [
            ("ana@x.example", None, "ana@x.example"),
            (" Ana Lima <ana@x.example> ", Some("Ana Lima"), "ana@x.example"),
            ("\"Lima, Ana\" <ana@x.example>", Some("Lima, Ana"), "ana@x.example"),
            ("Жанна <ana+tag@MÜNCHEN.example>", Some("Жанна"), "ana+tag@xn--mnchen-3ya.example"),
            ("<ana@localhost>", None, "ana@localhost"),
        ];
        for (text, name, address) in cases {
            let mailbox = parse(text, "to").unwrap();
            assert_eq!((mailbox.name.as_deref(), &*mailbox.email.to_string()), (name, address));
        }
    }

    #[test]
    fn nothing_becomes_two_recipients_or_a_header() {
        for bad in [
            "",
            "ana",
            "ana@",
            "@x.example",
            "a@x.example, b@x.example",
            "a@x.example b@x.example",
            "a@x.example\r\nBcc: b@x.example",
            "A\nB <a@x.example>",
            "a@x.example>",
            "<a@x.example> b",
            "\"a> <b\"@x.example",
            "a@b@x.example",
            "a@exa mple",
            "a@x.example;b@x.example",
            "\u{e000}secret:x\u{e001}@x.example",
        ] {
            let error = parse(bad, "to");
            assert!(error.is_err(), "{bad:?} gave {error:?}");
            assert!(!error.unwrap_err().message.contains(['\r', '\n']));
        }
    }

    #[test]
    fn only_to_patterns_select_addresses() {
        let cases = [
            ("*@example.com", "ana@example.com", true),
            ("*@example.com", "ANA@Example.COM", true),
            ("*@example.com", "ana@example.com.evil.example", false),
            ("*@example.com", "ana@sub.example.com", false),
            ("ana@x.example", "ana@x.example", true),
            ("ana@x.example", "bana@x.example", false),
            ("qa+*@*.example", "qa+1@x.example", true),
            ("qa+*@*.example", "qb+1@x.example", false),
            ("*", "anybody@anywhere.example", true),
            ("", "a@b.example", false),
        ];
        for (pattern, address, expected) in cases {
            assert_eq!(matches(pattern, address), expected, "{pattern} {address}");
        }
    }
}
