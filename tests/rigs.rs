//! The rigs themselves, against plain clients: what an end-to-end test sees is what happened.
#![allow(clippy::unwrap_used, reason = "a test's own tools may end the test")]
#![allow(clippy::disallowed_methods, reason = "a real process is watched in real time")]

mod support;

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, Tls as ClientTls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use support::receiver::{Receiver, Reply};
use support::smtp::{Options, Smtp, Tls, Turn};
use support::{http, python};

type Transport = AsyncSmtpTransport<Tokio1Executor>;

fn message() -> Message {
    let ann: Mailbox = "Ann <ann@x.example>".parse().unwrap();
    Message::builder()
        .from("Ops <ops@x.example>".parse().unwrap())
        .to(ann)
        .subject("Grüße, and a subject that is long enough to be folded over more than one line")
        .message_id(Some("<m-1@x.example>".to_owned()))
        .body(".dot first\r\nplain\r\n".to_owned())
        .unwrap()
}

fn transport(smtp: &Smtp, mechanism: Option<Mechanism>) -> Transport {
    let parameters = || {
        TlsParameters::builder("localhost".to_owned())
            .add_root_certificate(Certificate::from_pem(smtp.ca.as_bytes()).unwrap())
            .build()
            .unwrap()
    };
    let tls = match smtp.tls() {
        Tls::None => ClientTls::None,
        Tls::StartTls => ClientTls::Required(parameters()),
        Tls::Implicit => ClientTls::Wrapper(parameters()),
    };
    let mut builder =
        Transport::builder_dangerous("localhost").port(smtp.address().port()).tls(tls);
    if let Some(mechanism) = mechanism {
        let credentials = Credentials::new("bot".to_owned(), "s3cret".to_owned());
        builder = builder.credentials(credentials).authentication(vec![mechanism]);
    }
    builder.build()
}

async fn send(transport: &Transport) -> Result<(), Option<u16>> {
    let sent = transport.send(message()).await;
    sent.map(drop).map_err(|error| error.status().map(u16::from))
}

#[tokio::test(flavor = "multi_thread")]
async fn smtp_encrypts_authenticates_and_answers_as_scripted() {
    let login = Some(("bot", "s3cret"));
    for (tls, mechanisms, mechanism) in [
        (Tls::StartTls, "PLAIN", Mechanism::Plain),
        (Tls::Implicit, "LOGIN", Mechanism::Login),
        (Tls::None, "PLAIN LOGIN", Mechanism::Plain),
    ] {
        let script = vec![Turn::AtRcpt(451), Turn::AfterData(554), Turn::HangUp];
        let smtp = Smtp::start(Options { tls, login, mechanisms, script });
        let client = transport(&smtp, Some(mechanism));
        assert_eq!(send(&client).await, Err(Some(451)), "{}", smtp.transcript());
        assert_eq!(send(&client).await, Err(Some(554)), "{}", smtp.transcript());
        assert_eq!(send(&client).await, Err(None), "{}", smtp.transcript());
        assert_eq!(send(&client).await, Ok(()), "{}", smtp.transcript());

        let attempts = smtp.attempts();
        assert_eq!(attempts.len(), 4);
        assert!(attempts[0].mail.is_none() && attempts[1].mail.is_some());
        let [mail] = &smtp.mails()[..] else { panic!("one mail was taken") };
        assert_eq!(mail.message_id(), "<m-1@x.example>");
        assert!(mail.header("subject").unwrap().contains("=?utf-8?"));
        assert!(mail.body().contains("\r\nplain\r\n") && mail.body().starts_with(".dot"));
        let last = &attempts[3];
        assert_eq!(last.from, "ops@x.example");
        assert_eq!(last.to, ["ann@x.example"]);
        assert_eq!(last.encrypted, tls != Tls::None);
        assert_eq!(last.login.as_ref().unwrap().0, "bot");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn smtp_refuses_what_is_not_encrypted_or_not_authenticated() {
    let login = Some(("bot", "other"));
    let smtp = Smtp::start(Options { tls: Tls::StartTls, login, ..Options::default() });
    assert_eq!(send(&transport(&smtp, None)).await, Err(Some(530)));
    assert_eq!(send(&transport(&smtp, Some(Mechanism::Plain))).await, Err(Some(535)));
    let plain = Transport::builder_dangerous("localhost").port(smtp.address().port()).build();
    assert_eq!(send(&plain).await, Err(Some(530)));
    assert!(smtp.attempts().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn smtp_can_take_a_mail_and_not_say_so() {
    let script = vec![Turn::TakenUnanswered];
    let smtp = Smtp::start(Options { script, ..Options::default() });
    assert_eq!(send(&transport(&smtp, None)).await, Err(None));
    assert_eq!(smtp.mails().len(), 1);
}

#[test]
fn receiver_answers_as_scripted_and_keeps_count_by_key() {
    let receiver = Receiver::scripted(vec![
        Reply::status(500),
        Reply::status(429).header("retry-after", "1"),
        Reply::none(),
        Reply::status(200).body("{\"n\":1}").after(Duration::from_millis(150)),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    receiver.keep_in(&path);
    let post = |key| {
        let headers = [("idempotency-key", key), ("content-type", "application/json")];
        http::send("POST", &receiver.url("/in?a=b"), &headers, "{\"x\":2}")
    };
    assert_eq!(post("k").unwrap().status, 500);
    assert_eq!(post("k").unwrap().header("retry-after"), Some("1"));
    assert!(post("l").is_err());
    let began = Instant::now();
    assert_eq!(post("k").unwrap().json()["n"], 1);
    assert!(began.elapsed() >= Duration::from_millis(150));

    let heard = receiver.heard_at("/in?a=b");
    assert_eq!(heard.iter().map(|one| one.earlier).collect::<Vec<_>>(), [0, 1, 0, 2]);
    let statuses: Vec<_> = heard.iter().map(|one| one.status).collect();
    assert_eq!(statuses, [Some(500), Some(429), None, Some(200)]);
    assert_eq!(heard[3].json()["x"], 2);
    assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 4);
}

/// Signs as Standard Webhooks has it, so that the verifier is seen to pass and to refuse.
fn signed(id: &str, secret: &[u8], body: &str) -> Vec<(String, String)> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let stamp = now.as_secs().to_string();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
    mac.update(format!("{id}.{stamp}.{body}").as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let pairs =
        [("webhook-id", id), ("webhook-timestamp", &stamp), ("webhook-signature", &signature)];
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn python_tells_a_good_signature_from_a_bad_one() {
    let receiver = Receiver::scripted(Vec::new());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    receiver.keep_in(&path);
    let headers = signed("eff_1", b"a secret of 24 bytes....", "{}");
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (&**n, &**v)).collect();
    assert_eq!(http::send("POST", &receiver.url("/"), &headers, "{}").unwrap().status, 200);
    let ledger = path.to_str().unwrap();
    let secret = format!("whsec_{}", STANDARD.encode(b"a secret of 24 bytes...."));
    let said = python::run("verify_webhooks.py", &[&secret, ledger]);
    assert_eq!((said.code, said.out.trim()), (0, "1"), "{}", said.err);
    let other = format!("whsec_{}", STANDARD.encode(b"another of 24 bytes....."));
    assert_eq!(python::run("verify_webhooks.py", &[&other, ledger]).code, 1);
}

#[test]
fn python_sends_all_three_modes() {
    let receiver = Receiver::scripted(Vec::new());
    for mode in ["binary", "structured", "batch"] {
        let path = format!("/{mode}");
        let said = python::run("send_events.py", &[&receiver.url(&path), mode, "2"]);
        let heard = receiver.heard_at(&path);
        let statuses = said.json()["statuses"].as_array().unwrap().len();
        assert_eq!(statuses, if mode == "batch" { 1 } else { 2 });
        assert_eq!(heard.len(), statuses);
        let kind = heard[0].header("content-type").unwrap();
        match mode {
            "binary" => {
                assert_eq!(heard[1].header("ce-id"), Some("binary-1"));
                assert_eq!(heard[1].json()["tags"][0]["n"], 1);
            }
            "structured" => assert_eq!(kind, "application/cloudevents+json"),
            _ => {
                assert_eq!(kind, "application/cloudevents-batch+json");
                assert_eq!(heard[0].json()[1]["id"], "batch-1");
            }
        }
    }
}
