//! What single settings mean: addresses, sizes, durations, networks, URLs, names.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use url::Url;

use crate::model::{Duration, Name, Span, Text, is_name};

use super::{Bad, nearest};

impl Bad {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: Some(help.into()) }
    }
}

/// `127.0.0.1:8750`, `[::1]:8750`.
pub(super) fn listen(text: &str) -> Result<SocketAddr, Bad> {
    text.parse().map_err(|_| {
        let help = if let Some(port) = text.strip_prefix("localhost:") {
            format!("write an address: 127.0.0.1:{port}")
        } else if let Some(port) =
            text.strip_prefix(':').or_else(|| text.parse::<u16>().is_ok().then_some(text))
        {
            format!("write 127.0.0.1:{port}, or 0.0.0.0:{port} for every address of the machine")
        } else if text.parse::<IpAddr>().is_ok() {
            format!("add the port: {text}:8750")
        } else {
            "write an IP address and a port: 127.0.0.1:8750".to_owned()
        };
        Bad::new(format!("`{text}` is not an address to listen on"), help)
    })
}

/// `1MiB`, `512KiB`: bytes.
pub(super) fn size(text: &str) -> Result<u64, Bad> {
    const UNITS: [(&str, u64); 4] =
        [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let wrong = |help: String| Bad::new(format!("`{text}` is not a size"), help);
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let general = || wrong("write a whole number and B, KiB, MiB or GiB, such as 1MiB".to_owned());
    let number: u64 = number.parse().map_err(|_| general())?;
    match UNITS.iter().find(|(name, _)| *name == unit.trim_start()) {
        Some((_, bytes)) => number.checked_mul(*bytes).ok_or_else(general),
        None if unit.is_empty() => {
            Err(wrong(format!("it has no unit: write {number}B, {number}KiB or {number}MiB")))
        }
        None => {
            Err(match unit.trim_start().chars().next().map(|first| first.to_ascii_lowercase()) {
                Some('k') => wrong(format!("write {number}KiB (1,024 bytes)")),
                Some('m') => wrong(format!("write {number}MiB (1,048,576 bytes)")),
                Some('g') => wrong(format!("write {number}GiB")),
                _ => general(),
            })
        }
    }
}

/// `15s`, `30d`: elapsed time, more than none.
pub(super) fn span(text: &str) -> Result<Span, Bad> {
    let duration: Duration = text.parse().map_err(|error: crate::model::DurationError| Bad {
        message: error.to_string(),
        help: None,
    })?;
    match duration.elapsed() {
        Some(Span::ZERO) => Err(Bad::new(
            format!("`{text}` is no time at all"),
            "write a longer one, such as 15s or 30d",
        )),
        Some(span) => Ok(span),
        None => Err(Bad::new(
            format!("`{text}` counts open time, and no calendar applies here"),
            "write it in s, m, h, d or y",
        )),
    }
}

/// `10.1.0.0/16`; a single address is a network of one.
pub(super) fn network(text: &str) -> Result<IpNet, Bad> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let network: IpNet = text.parse().map_err(|_| {
        Bad::new(
            format!("`{text}` is not a network"),
            "write an address and the length of its prefix: 10.1.0.0/16",
        )
    })?;
    let trimmed = network.trunc();
    if trimmed != network {
        return Err(Bad::new(
            format!("`{text}` has bits beyond its prefix"),
            format!("write {trimmed}, or {} alone", network.addr()),
        ));
    }
    Ok(network)
}

/// An `http` or `https` address without a login in it. Logins are secrets, and it may be printed.
pub(super) fn url(text: &str) -> Result<Url, Bad> {
    let url: Url = text.parse().map_err(|error| {
        Bad::new(
            format!("`{text}` is not a URL: {error}"),
            "write it whole: https://crm.example.com/in",
        )
    })?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(Bad::new(
            format!("`{text}` is not an http address"),
            "write it whole: https://crm.example.com/in",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Bad::new(
            "a URL must not hold a login",
            "name a secret and put it into a header",
        ));
    }
    Ok(url)
}

/// Where people reach the daemon: links in mail begin with it.
pub(super) fn public_url(text: &str) -> Result<Url, Bad> {
    let url = url(text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Bad::new(
            format!("`{text}` has a query or a fragment"),
            "links are made by adding a path: https://ops.example.com",
        ));
    }
    Ok(url)
}

/// The name of a secret. The text itself is not repeated: it may be the secret.
pub(super) fn secret(text: &str) -> Result<Text, Bad> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if text.is_empty() || text.len() > 128 || !text.chars().all(allowed) {
        return Err(Bad::new(
            "this is not the name of a secret: letters, digits, `_` and `-`",
            "never write a secret here: name it, and put it into $CREDENTIALS_DIRECTORY/NAME or ADJUTANT_SECRET_NAME",
        ));
    }
    Ok(text.into())
}

/// `[a-z][a-z0-9-]*`
pub(super) fn name(text: &str) -> Result<Name, Bad> {
    if is_name(text) {
        Ok(text.into())
    } else {
        Err(Bad::new(
            format!("`{text}` is not a name"),
            "lower-case letters, digits and `-`, a letter first",
        ))
    }
}

/// One of a few words.
pub(super) fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, Bad> {
    if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
    let help = match nearest(text, words.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("write one of {}", words.join(", ")),
    };
    Err(Bad::new(format!("`{text}` is not possible here"), help))
}

/// 1 to 65535.
pub(super) fn port(text: &str) -> Result<u16, Bad> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
        Bad::new(format!("`{text}` is not a port"), "write a number from 1 to 65535")
    })
}

/// A host name or an IP address, without scheme and port.
pub(super) fn host(text: &str) -> Result<String, Bad> {
    let bare = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if text.is_empty()
        || !text.chars().all(bare)
        || (text.contains(':') && text.parse::<IpAddr>().is_err())
    {
        return Err(Bad::new(
            format!("`{text}` is not the name of a host"),
            "write the name alone, mail.example.com; the port is `smtp.port`",
        ));
    }
    Ok(text.to_owned())
}

/// `Ops <ops@example.com>` or `ops@example.com`.
pub(super) fn sender(text: &str) -> Result<String, Bad> {
    text.parse::<lettre::message::Mailbox>().map(|_| text.to_owned()).map_err(|_| {
        Bad::new(
            format!("`{text}` is not the address of a sender"),
            "write \"Ops <ops@example.com>\" or ops@example.com",
        )
    })
}

/// `*@example.com`, `ana@example.com`, `*`.
pub(super) fn recipients(text: &str) -> Result<String, Bad> {
    let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == ',');
    if plain && (text == "*" || (text.contains('@') && text.len() > 2)) {
        Ok(text.to_owned())
    } else {
        Err(Bad::new(
            format!("`{text}` matches no address"),
            "write an address or a pattern such as \"*@example.com\"",
        ))
    }
}

/// 64 hexadecimal digits.
pub(super) fn sha256(text: &str) -> Result<[u8; 32], Bad> {
    let wrong = || {
        Bad::new(
            "this is not a SHA-256 in hexadecimal: 64 digits, quoted",
            "only the hash of a token stands here: printf %s \"$TOKEN\" | sha256sum",
        )
    };
    if text.len() != 64 || !text.is_ascii() {
        return Err(wrong());
    }
    let mut hash = [0; 32];
    for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        let digits = text
            .get(at..at + 2)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .ok_or_else(wrong)?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help<T: std::fmt::Debug>(result: Result<T, Bad>) -> String {
        let bad = result.unwrap_err();
        format!("{}; {}", bad.message, bad.help.unwrap_or_default())
    }

    #[test]
    fn addresses_to_listen_on() {
        assert!(listen("127.0.0.1:8750").is_ok() && listen("[::1]:0").is_ok());
        assert!(help(listen("localhost:80")).ends_with("write an address: 127.0.0.1:80"));
        assert!(help(listen(":80")).contains("0.0.0.0:80 for every address"));
        assert!(help(listen("8750")).contains("write 127.0.0.1:8750"));
        assert!(help(listen("10.0.0.1")).ends_with("add the port: 10.0.0.1:8750"));
    }

    #[test]
    fn sizes_have_units_of_1024() {
        assert_eq!(size("1MiB").unwrap(), 1_048_576);
        assert_eq!(size("64 KiB").unwrap(), 65_536);
        assert_eq!(size("7B").unwrap(), 7);
        assert!(help(size("1048576")).contains("it has no unit"));
        assert!(help(size("1MB")).contains("write 1MiB (1,048,576 bytes)"));
        assert!(help(size("2k")).contains("write 2KiB"));
        for bad in ["", "MiB", "-1MiB", "1.5MiB", "99999999999GiB", "1XiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn networks_are_exact() {
        assert_eq!(network("10.1.0.0/16").unwrap().to_string(), "10.1.0.0/16");
        assert_eq!(network("127.0.0.1").unwrap().to_string(), "127.0.0.1/32");
        assert_eq!(network("fd00::/8").unwrap().to_string(), "fd00::/8");
        assert!(help(network("10.1.2.3/16")).contains("write 10.1.0.0/16, or 10.1.2.3 alone"));
        assert!(network("10.1.0.0/33").is_err() && network("intranet").is_err());
    }

    #[test]
    fn urls_are_whole_and_hold_no_login() {
        assert!(url("https://crm.example.com/in?x=1").is_ok());
        for bad in ["crm.example.com", "ftp://x", "/in", "https://", "mailto:a@b"] {
            assert!(url(bad).is_err(), "{bad}");
        }
        let login = help(url("https://bot:hunter2@crm.example.com/"));
        assert!(login.contains("login") && !login.contains("hunter2"));
        assert!(public_url("https://ops.example.com/?a").is_err());
    }

    #[test]
    fn a_secret_written_out_is_not_repeated() {
        assert_eq!(&*secret("smtp_password").unwrap(), "smtp_password");
        assert!(!help(secret("hunter2!")).contains("hunter2"));
        assert!(help(secret("")).contains("CREDENTIALS_DIRECTORY"));
        assert!(!help(sha256("my token in the clear")).contains("in the clear"));
        assert_eq!(sha256(&"0fA1".repeat(16)).unwrap()[..2], [0x0f, 0xa1]);
        assert!(sha256(&"+f".repeat(32)).is_err() && sha256(&"ü".repeat(32)).is_err());
    }

    #[test]
    fn words_ports_hosts_and_addresses() {
        assert_eq!(choice("tls", &[("starttls", 1), ("tls", 2)]).unwrap(), 2);
        assert!(
            help(choice("startls", &[("starttls", 1), ("tls", 2)]))
                .contains("did you mean `starttls`?")
        );
        assert!(help(choice("ssl", &[("json", 1)])).contains("write one of json"));
        assert!(
            port("587").is_ok()
                && port("0").is_err()
                && port("70000").is_err()
                && port("smtp").is_err()
        );
        assert!(host("mail.example.com").is_ok() && host("::1").is_ok());
        assert!(host("mail.example.com:25").is_err() && host("smtp://mail").is_err());
        assert!(sender("Ops <ops@example.com>").is_ok() && sender("ops").is_err());
        assert!(
            recipients("*@example.com").is_ok()
                && recipients("*").is_ok()
                && recipients("example.com").is_err()
        );
        assert!(span("15s").is_ok() && span("4bh").is_err() && span("0s").is_err());
        assert!(help(span("15")).contains("has no unit"));
        assert!(name("crm").is_ok() && name("CRM").is_err());
    }
}
