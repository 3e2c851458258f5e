//! The real binary against a real SMTP conversation and a real HTTP receiver: exactly the right
//! messages, under one effect key, signed so that independent code agrees.

mod support;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use support::daemon::Daemon;
use support::folder::Folder;
use support::receiver::{Receiver, Reply};
use support::smtp::{Options, Smtp, Tls, Turn};
use support::{python, runs};

/// Greets a lead by mail: two parts, retried soon.
const GREET: &str = r"
workflow: greet
triggers: [{ event: lead.created }]
steps:
  - email: ${event.data.email}
    id: mail
    purpose: transactional
    subject: Hello ${event.data.name}
    text: Welcome, ${event.data.name}!
    retry: { attempts: 4, initial: 100ms, max_wait: 1s }
";

/// A daemon whose mail goes to `smtp`, logging in as `bot`.
fn mailing(smtp: &Smtp, tls: &str, rule: &str) -> Daemon {
    let config = format!(
        "smtp:\n  host: localhost\n  port: {}\n  tls: {tls}\n  ca: ca.pem\n  username: bot\n  \
         password: smtp_password\n  from: \"Ops <ops@example.com>\"\n",
        smtp.address().port()
    );
    let folder = Folder::new(&config).rule("greet.yaml", rule).secret("smtp_password", "s3cret");
    folder.write("ca.pem", &smtp.ca);
    Daemon::start(folder)
}

fn login(tls: Tls, mechanisms: &'static str, script: Vec<Turn>) -> Smtp {
    Smtp::start(Options { tls, login: Some(("bot", "s3cret")), mechanisms, script })
}

fn lead(daemon: &Daemon) {
    let data = json!({ "name": "Zoë", "email": "zoe@x.example" });
    daemon.event("e-1", "lead.created", "lead/1", &data);
}

#[test]
fn a_mail_refused_for_now_is_sent_again_as_the_same_mail() {
    let script = vec![Turn::AtRcpt(451), Turn::AfterData(451)];
    let smtp = login(Tls::StartTls, "PLAIN LOGIN", script);
    let mut daemon = mailing(&smtp, "starttls", GREET);
    lead(&daemon);
    runs::story(&daemon, "greet", "done");

    let attempts = smtp.attempts();
    let turns: Vec<Turn> = attempts.iter().map(|attempt| attempt.turn).collect();
    assert_eq!(turns, [Turn::AtRcpt(451), Turn::AfterData(451), Turn::Accept]);
    for attempt in &attempts {
        assert!(attempt.encrypted);
        assert_eq!(attempt.login.as_ref().unwrap().0, "bot");
        assert_eq!(attempt.from, "ops@example.com");
        assert_eq!(attempt.to, ["zoe@x.example"]);
    }
    let refused = attempts[1].mail.as_ref().unwrap();
    let taken = attempts[2].mail.as_ref().unwrap();
    assert_eq!(refused.message_id(), taken.message_id());
    assert!(taken.message_id().starts_with("<eff_"), "{}", taken.message_id());
    assert_eq!(refused.body(), taken.body());
    assert_eq!(taken.header("Auto-Submitted").as_deref(), Some("auto-generated"));
    assert_eq!(taken.header("From").as_deref(), Some("Ops <ops@example.com>"));

    // It is over: neither time nor a restart sends it once more.
    assert_eq!(daemon.stop().0, 0);
    daemon.restart();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(smtp.attempts().len(), 3);
    assert!(!daemon.log().contains("s3cret"), "a secret is in the log");
}

#[test]
fn a_mail_refused_for_good_fails_its_run() {
    let smtp = login(Tls::Implicit, "LOGIN", vec![Turn::AtRcpt(550)]);
    let daemon = mailing(&smtp, "tls", GREET);
    lead(&daemon);
    let story = runs::story(&daemon, "greet", "failed");
    assert!(story.text.contains("550"), "{}", story.text);
    assert_eq!(smtp.attempts().len(), 1);

    // A dead letter can be sent after all; it is a new effect, for the old one failed for good.
    let id = story.id.as_str();
    let said = daemon.run(&["runs", "retry", id]);
    assert_eq!(said.code, 0, "{}", said.err);
    runs::story(&daemon, "greet", "done");
    assert_eq!(smtp.mails().len(), 1);
    assert_eq!(smtp.attempts()[1].login.as_ref().unwrap().1, "LOGIN");
}

#[test]
fn a_mail_whose_answer_was_lost_is_repeated_under_the_same_key() {
    let smtp = login(Tls::StartTls, "PLAIN", vec![Turn::TakenUnanswered]);
    let daemon = mailing(&smtp, "starttls", GREET);
    lead(&daemon);
    runs::story(&daemon, "greet", "done");
    let mails = smtp.mails();
    assert_eq!(mails.len(), 2, "{}", smtp.transcript());
    assert_eq!(mails[0].message_id(), mails[1].message_id());
    assert_eq!(mails[0].body(), mails[1].body());
}

#[test]
fn a_relay_that_nobody_vouches_for_gets_nothing() {
    let smtp = login(Tls::StartTls, "PLAIN", Vec::new());
    let daemon = mailing(&smtp, "starttls", GREET);
    drop(daemon);
    let other = login(Tls::StartTls, "PLAIN", Vec::new());
    let config = format!(
        "smtp:\n  host: localhost\n  port: {}\n  ca: ca.pem\n  username: bot\n  password: \
         smtp_password\n  from: ops@example.com\n",
        other.address().port()
    );
    let folder = Folder::new(&config).rule("greet.yaml", GREET).secret("smtp_password", "s3cret");
    folder.write("ca.pem", &smtp.ca);
    let daemon = Daemon::start(folder);
    lead(&daemon);
    runs::story(&daemon, "greet", "failed");
    assert!(other.attempts().is_empty());
    assert!(!other.transcript().contains("AUTH "), "{}", other.transcript());
}

/// Tells the CRM about a lead and uses what it answers.
fn crm_rule(url: &str) -> String {
    format!(
        r#"
workflow: crm
triggers: [{{ event: lead.created }}]
steps:
  - webhook: {url}
    id: told
    headers: {{ X-Trace: "${{event.id}}" }}
    json: {{ lead: "${{event.subject}}", name: "${{event.data.name}}" }}
    retry: {{ attempts: 5, initial: 100ms, max_wait: 5s }}
  - record: ${{event.subject}}
    set: {{ crm: "${{steps.told.body.id}}", status: "${{steps.told.status}}" }}
"#
    )
}

/// A daemon that may reach this machine and signs what it sends.
fn hooking(rule: &str, more: &str) -> Folder {
    let secret = format!("whsec_{}", STANDARD.encode(SIGNING));
    let config = format!("webhooks:\n  secret: hook_signing\n{more}");
    Folder::new(&config).rule("crm.yaml", rule).secret("hook_signing", &secret)
}

const SIGNING: &[u8] = b"thirty-two bytes of signing key!";
const LOOPBACK: &str = "  allow_networks: [127.0.0.0/8]\n";

#[test]
fn a_webhook_is_repeated_under_one_key_until_it_is_taken() {
    let receiver = Receiver::scripted(vec![
        Reply::status(500),
        Reply::status(429).header("retry-after", "2"),
        Reply::status(200).body(r#"{"id":"crm-7"}"#),
    ]);
    let folder = hooking(&crm_rule(&receiver.url("/leads?from=adjutant")), LOOPBACK);
    let ledger = folder.path("ledger");
    receiver.keep_in(&ledger);
    let mut daemon = Daemon::start(folder);
    lead(&daemon);
    runs::story(&daemon, "crm", "done");

    let heard = receiver.heard();
    let statuses: Vec<_> = heard.iter().map(|one| one.status).collect();
    assert_eq!(statuses, [Some(500), Some(429), Some(200)]);
    let first = &heard[0];
    assert!(first.key().starts_with("eff_"), "{:?}", first.headers);
    for one in &heard {
        assert_eq!((&*one.method, &*one.path), ("POST", "/leads?from=adjutant"));
        assert_eq!(one.key(), first.key());
        assert_eq!(one.header("webhook-id"), Some(first.key()));
        assert_eq!(one.header("x-trace"), Some("e-1"));
        assert_eq!(one.header("content-type"), Some("application/json"));
        assert_eq!(one.body, first.body);
        assert_eq!(one.json(), json!({ "lead": "lead/1", "name": "Zoë" }));
    }
    let pause = heard[2].at.checked_sub(heard[1].at).unwrap();
    assert!(pause >= Duration::from_secs(2), "Retry-After: 2 was not honoured: {pause:?}");

    // Independent code agrees with every signature.
    let secret = format!("whsec_{}", STANDARD.encode(SIGNING));
    let said = python::run("verify_webhooks.py", &[&secret, ledger.to_str().unwrap()]);
    assert_eq!((said.code, said.out.trim()), (0, "3"), "{}", said.err);

    // The answer became the step's result.
    let record = daemon.run(&["records", "show", "lead/1", "--json"]).json();
    assert!(record.to_string().contains("crm-7"), "{record}");

    assert_eq!(daemon.stop().0, 0);
    daemon.restart();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(receiver.count(), 3);
}

#[test]
fn a_webhook_does_not_follow_a_redirect() {
    let elsewhere = Receiver::scripted(Vec::new());
    let receiver =
        Receiver::scripted(vec![Reply::status(307).header("location", &elsewhere.url("/x"))]);
    let daemon = Daemon::start(hooking(&crm_rule(&receiver.url("/leads")), LOOPBACK));
    lead(&daemon);
    let story = runs::story(&daemon, "crm", "failed");
    assert!(story.text.contains("307"), "{}", story.text);
    assert_eq!((receiver.count(), elsewhere.count()), (1, 0));
}

#[test]
fn a_webhook_reaches_no_private_network_unless_allowed() {
    let receiver = Receiver::scripted(Vec::new());
    for host in ["127.0.0.1", "localhost"] {
        let url = receiver.url("/leads").replace("127.0.0.1", host);
        let daemon = Daemon::start(hooking(&crm_rule(&url), ""));
        lead(&daemon);
        let story = runs::story(&daemon, "crm", "failed");
        assert!(story.text.contains("allow_networks"), "{}", story.text);
    }
    assert_eq!(receiver.count(), 0);
}

#[test]
fn a_webhook_that_is_not_answered_in_time_is_repeated() {
    let receiver =
        Receiver::scripted(vec![Reply::status(200).after(Duration::from_secs(5)), Reply::none()]);
    let rule = crm_rule(&receiver.url("/leads"))
        .replace("    retry:", "    timeout: 500ms\n    retry:")
        .replace("steps.told.body.id", "steps.told.status");
    let daemon = Daemon::start(hooking(&rule, LOOPBACK));
    lead(&daemon);
    runs::story(&daemon, "crm", "done");
    let heard = receiver.heard();
    assert_eq!(heard.len(), 3);
    assert!(heard.iter().all(|one| one.key() == heard[0].key() && one.body == heard[0].body));
}

#[test]
fn an_endpoint_without_an_address_gets_files_in_the_outbox() {
    let rule = crm_rule("crm").replace("steps.told.body.id", "steps.told.status");
    for config in ["", "  endpoints: { crm: {} }\n"] {
        let daemon = Daemon::start(hooking(&rule, config));
        lead(&daemon);
        runs::story(&daemon, "crm", "done");
        let files = daemon.folder.texts("outbox", ".http");
        assert_eq!(files.len(), 1, "{config}");
        assert!(files[0].1.contains("\"lead\":\"lead/1\""), "{}", files[0].1);
    }
}
