//! As much of MIME (RFC 2045 to 2047) as our own mails use: parts, their encodings, and words in headers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::mail::Mail;

/// The text and the HTML part of a mail, as a reader sees them.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) text: Option<String>,
    pub(crate) html: Option<String>,
}

/// What a mail says.
pub(crate) fn parts(mail: &Mail) -> Parts {
    let mut found = Parts::default();
    take(mail, &mut found);
    found
}

fn take(mail: &Mail, found: &mut Parts) {
    let kind = mail.header("Content-Type").unwrap_or_else(|| "text/plain".to_owned());
    if let Some(boundary) = kind.starts_with("multipart/").then(|| parameter(&kind, "boundary")) {
        let mark = format!("--{}", boundary.expect("parts have a boundary"));
        for part in mail.body().split(mark.as_str()).skip(1).filter(|part| !part.starts_with("--"))
        {
            take(&Mail::new(part.trim_start_matches("\r\n").as_bytes()), found);
        }
        return;
    }
    let encoding = mail.header("Content-Transfer-Encoding").unwrap_or_default();
    let text = decode(mail.body(), &encoding.to_ascii_lowercase());
    let place = if kind.starts_with("text/html") { &mut found.html } else { &mut found.text };
    *place = Some(text.replace("\r\n", "\n"));
}

fn parameter(header: &str, name: &str) -> Option<String> {
    let (_, rest) = header.split_once(&format!("{name}="))?;
    Some(match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or_default().to_owned(),
        None => rest.split([';', ' ']).next().unwrap_or_default().to_owned(),
    })
}

fn decode(body: &str, encoding: &str) -> String {
    let bytes = match encoding {
        "base64" => {
            let plain: String = body.split_whitespace().collect();
            STANDARD.decode(plain).expect("base64 as it says")
        }
        "quoted-printable" => quoted(&body.replace("=\r\n", ""), b'='),
        _ => body.as_bytes().to_vec(),
    };
    String::from_utf8(bytes).expect("our mails are UTF-8")
}

/// `=C3=A4`: an escape and two hexadecimal digits.
fn quoted(text: &str, escape: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        rest = others;
        if *first == escape && others.len() >= 2 {
            let digits = std::str::from_utf8(&others[..2]).expect("digits");
            bytes.push(u8::from_str_radix(digits, 16).expect("digits"));
            rest = &others[2..];
        } else {
            bytes.push(*first);
        }
    }
    bytes
}

/// A header with its encoded words (`=?utf-8?b?…?=`) read; the space between two of them is none.
pub(crate) fn words(header: &str) -> String {
    let mut text = String::new();
    let mut rest = header;
    while let Some(at) = rest.find("=?") {
        let between = &rest[..at];
        if text.is_empty() || !between.trim().is_empty() {
            text.push_str(between);
        }
        let mut pieces = rest[at + 2..].splitn(4, '?');
        let word = (pieces.next(), pieces.next(), pieces.next(), pieces.next());
        let (Some(_), Some(encoding), Some(encoded), Some(after)) = word else { break };
        text.push_str(&match encoding {
            "b" | "B" => decode(encoded, "base64"),
            _ => String::from_utf8(quoted(&encoded.replace('_', " "), b'=')).expect("UTF-8"),
        });
        rest = after.strip_prefix('=').unwrap_or(after);
    }
    text.push_str(rest);
    text
}

/// The addresses of a header, without names.
pub(crate) fn addresses(header: &str) -> Vec<String> {
    let address = |one: &str| {
        let inner = one.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>'));
        inner.map_or(one, |(address, _)| address).trim().to_owned()
    };
    // Our people and customers have no comma in their names.
    header.split(',').map(address).filter(|address| !address.is_empty()).collect()
}

#[test]
fn mails_are_read_as_they_were_written() {
    let mail = Mail::new(
        b"Subject: =?utf-8?b?Z3LDvMOf?= =?utf-8?b?ZSE=?=\r\nContent-Type: multipart/alternative;\r\n \
          boundary=\"xx\"\r\n\r\n--xx\r\nContent-Type: text/plain; charset=utf-8\r\n\
          Content-Transfer-Encoding: quoted-printable\r\n\r\nSch=C3=B6n=\r\ne Gr=C3=BC=C3=9Fe=3D\r\n\r\n\
          --xx\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n\
          PGI+w6Q8L2I+\r\n\r\n--xx--\r\n",
    );
    let found = parts(&mail);
    assert_eq!(found.text.as_deref().map(str::trim_end), Some("Schöne Grüße="));
    assert_eq!(found.html.as_deref(), Some("<b>ä</b>"));
    assert_eq!(words(&mail.header("Subject").unwrap()), "grüße!");
    assert_eq!(words("plain =?utf-8?q?caf=C3=A9_x?= end"), "plain café x end");
    assert_eq!(addresses("\"Ana\" <ana@x.example>, b@x.example"), ["ana@x.example", "b@x.example"]);
}
