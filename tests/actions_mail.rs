//! Mails of the performer as a real SMTP server sees them, and as files in the outbox.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "support/command.rs"]
mod command;
mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Mutex;

use adjutant::actions::{
    MailSettings, Performer, RenderedMail, Secrets, Settings, SmtpServer, SmtpTls, TemplateSource,
};
use adjutant::model::{ActionKind, Cause, Command, Map, Outcome, Span, Value};
use command::{NoTemplates, done, failed, list, message, retry, secrets, uncertain};
use support::smtp::{Options, Smtp, Tls, Turn};
use tempfile::TempDir;

const ID: &str = "eff_07070707070707070707070707070707@ops.example";

fn mail_settings(server: Option<SmtpServer>) -> Settings {
    let from = "Ops <ops@ops.example>".to_owned();
    Settings { mail: MailSettings { server, from, only_to: Vec::new() }, ..Settings::default() }
}

fn server_at(port: u16) -> SmtpServer {
    SmtpServer {
        host: "localhost".to_owned(),
        port,
        tls: SmtpTls::None,
        username: None,
        password: None,
        ca: None,
    }
}

/// Settings for the rig, with its authority in `folder`.
fn settings_for(smtp: &Smtp, folder: &TempDir) -> Settings {
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &smtp.ca).unwrap();
    let mut server = server_at(smtp.address().port());
    server.tls = match smtp.tls() {
        Tls::None => SmtpTls::None,
        Tls::StartTls => SmtpTls::Starttls,
        Tls::Implicit => SmtpTls::Tls,
    };
    if server.tls != SmtpTls::None {
        server.ca = Some(ca);
    }
    mail_settings(Some(server))
}

fn rig(script: Vec<Turn>) -> (Smtp, Performer) {
    let smtp = Smtp::start(Options { script, ..Options::default() });
    let settings = mail_settings(Some(server_at(smtp.address().port())));
    let performer = command::performer(&settings, Secrets::default());
    (smtp, performer)
}

fn mail<const N: usize>(params: [(&str, Value); N]) -> Command {
    let mut command = command::command(ActionKind::Email, 7, params);
    let defaults = [
        ("to", list(&["Ana <ana@x.example>"])),
        ("subject", Value::from("Hello")),
        ("text", Value::from("Hello Ana\n")),
        ("purpose", Value::from("transactional")),
    ];
    if let Value::Map(map) = &mut command.params {
        for (key, value) in defaults {
            map.entry(key.into()).or_insert(value);
        }
    }
    command
}

async fn send(performer: &Performer, command: &Command) -> Outcome {
    performer.perform(command, &NoTemplates).await
}

#[tokio::test]
async fn a_mail_arrives_and_a_repeat_is_the_same_to_the_byte() {
    let (smtp, performer) = rig(vec![]);
    let command = mail([
        ("cc", list(&["b@x.example"])),
        ("bcc", list(&["c@x.example", "ana@x.example"])),
        ("reply_to", Value::from("desk@ops.example")),
        ("headers", Value::from([("X-Case", Value::Int(42))])),
        ("text", Value::from("Dear Ana,\n.dot\nGrüße\n")),
        ("subject", Value::from("Grüße aus Köln")),
    ]);
    let first = send(&performer, &command).await;
    assert_eq!(done(&first), &Value::from([("message", Value::from(ID))]));
    let second = send(&performer, &command).await;
    assert_eq!(first, second);

    let attempts = smtp.attempts();
    assert_eq!(attempts[0].from, "ops@ops.example");
    // Ana is named twice and gets it once.
    assert_eq!(attempts[0].to, ["ana@x.example", "b@x.example", "c@x.example"]);
    let mails = smtp.mails();
    assert_eq!(mails[0].raw, mails[1].raw);
    let header = |name: &str| mails[0].header(name).unwrap_or_default();
    assert_eq!(header("Message-ID"), format!("<{ID}>"));
    assert_eq!(header("Date"), "Mon, 02 Mar 2026 09:55:00 +0000");
    assert_eq!(header("Auto-Submitted"), "auto-generated");
    assert_eq!(header("From"), "Ops <ops@ops.example>");
    assert_eq!(header("To"), "Ana <ana@x.example>");
    assert_eq!(header("Cc"), "b@x.example");
    assert_eq!(header("Reply-To"), "desk@ops.example");
    assert_eq!(header("X-Case"), "42");
    assert_eq!(header("Content-Type"), "text/plain; charset=utf-8");
    assert_eq!(mails[0].header("Bcc"), None);
    assert!(!mails[0].raw.contains("c@x.example"), "a blind copy is visible");
    assert!(header("Subject").starts_with("=?utf-8?"), "{}", header("Subject"));
    assert!(mails[0].raw.is_ascii());
    assert!(mails[0].body().contains("\r\n.dot\r\n"), "{}", mails[0].raw);
    assert!(mails[0].body().contains("Gr=C3=BC=C3=9Fe"), "{}", mails[0].raw);
}

#[tokio::test]
async fn connections_are_kept_between_mails() {
    let (smtp, performer) = rig(vec![Turn::Accept, Turn::HangUp]);
    for _ in 0..4 {
        done(&send(&performer, &mail([])).await);
    }
    // The second mail met a connection that broke, and went over a new one at once.
    let greetings = smtp.transcript().matches("C: EHLO").count();
    assert_eq!((smtp.mails().len(), greetings), (4, 2), "{}", smtp.transcript());
}

#[tokio::test]
async fn starttls_and_logins_work_with_an_authority_of_ones_own() {
    for (tls, mechanisms, expected) in [
        (Tls::StartTls, "PLAIN LOGIN", "PLAIN"),
        (Tls::StartTls, "LOGIN", "LOGIN"),
        (Tls::Implicit, "PLAIN", "PLAIN"),
    ] {
        let login = Some(("bot", "s3cret-Word"));
        let smtp = Smtp::start(Options { tls, login, mechanisms, ..Options::default() });
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings_for(&smtp, &folder);
        let server = settings.mail.server.as_mut().unwrap();
        server.username = Some("bot".to_owned());
        server.password = Some("smtp_password".parse().unwrap());
        let vault = secrets(&[("ADJUTANT_SECRET_SMTP_PASSWORD", "s3cret-Word")]);
        let performer = command::performer(&settings, vault);
        done(&send(&performer, &mail([])).await);
        let attempt = &smtp.attempts()[0];
        assert!(attempt.encrypted);
        assert_eq!(attempt.login, Some(("bot".to_owned(), expected)));
    }
}

#[tokio::test]
async fn a_wrong_password_fails_and_is_not_told() {
    let login = Some(("bot", "right"));
    let smtp = Smtp::start(Options { tls: Tls::StartTls, login, ..Options::default() });
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings_for(&smtp, &folder);
    let server = settings.mail.server.as_mut().unwrap();
    server.username = Some("bot".to_owned());
    server.password = Some("smtp_password".parse().unwrap());
    let vault = secrets(&[("ADJUTANT_SECRET_SMTP_PASSWORD", "wr0ng-Word")]);
    let performer = command::performer(&settings, vault);
    let outcome = send(&performer, &mail([])).await;
    assert_eq!(failed(&outcome), "smtp_535");
    assert!(message(&outcome).contains("login"), "{outcome:?}");
    for shown in [format!("{outcome:?}"), format!("{performer:?}"), format!("{settings:?}")] {
        assert!(!shown.contains("wr0ng-Word"), "{shown}");
    }
}

#[tokio::test]
async fn mail_is_never_sent_in_the_clear_by_accident() {
    // The relay does not offer STARTTLS.
    let smtp = Smtp::start(Options::default());
    let mut server = server_at(smtp.address().port());
    server.tls = SmtpTls::Starttls;
    let settings = mail_settings(Some(server));
    let performer = command::performer(&settings, Secrets::default());
    let outcome = send(&performer, &mail([])).await;
    assert_eq!(retry(&outcome), "tls");
    assert!(message(&outcome).contains("STARTTLS"), "{outcome:?}");

    // Its certificate is from an authority that nobody trusts.
    let smtp = Smtp::start(Options { tls: Tls::StartTls, ..Options::default() });
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings_for(&smtp, &folder);
    settings.mail.server.as_mut().unwrap().ca = None;
    let performer = command::performer(&settings, Secrets::default());
    let outcome = send(&performer, &mail([])).await;
    assert_eq!(retry(&outcome), "tls", "{outcome:?}");
    assert!(smtp.attempts().is_empty());
    assert!(!smtp.transcript().contains("MAIL FROM"), "{}", smtp.transcript());
}

#[tokio::test]
async fn answers_of_4xx_are_tried_again_and_5xx_are_final() {
    for (turn, code, passing) in [
        (Turn::AtRcpt(451), "smtp_451", true),
        (Turn::AtRcpt(550), "smtp_550", false),
        (Turn::AfterData(452), "smtp_452", true),
        (Turn::AfterData(554), "smtp_554", false),
    ] {
        let (smtp, performer) = rig(vec![turn]);
        let command = mail([]);
        let outcome = send(&performer, &command).await;
        assert_eq!(if passing { retry(&outcome) } else { failed(&outcome) }, code);
        assert!(message(&outcome).contains("as scripted"), "{outcome:?}");
        done(&send(&performer, &command).await);
        let mails = smtp.mails();
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].message_id(), format!("<{ID}>"));
        // Both went over the same connection: a refusal does not break it.
        assert_eq!(smtp.transcript().matches("C: EHLO").count(), 1, "{}", smtp.transcript());
    }
}

#[tokio::test]
async fn an_answer_lost_after_the_data_is_uncertain() {
    let (smtp, performer) = rig(vec![Turn::TakenUnanswered]);
    let command = mail([]);
    assert_eq!(uncertain(&send(&performer, &command).await), "answer_lost");
    done(&send(&performer, &command).await);
    let mails = smtp.mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].raw, mails[1].raw);
}

/// A server that answers each line that begins with a word as listed, in order, and is silent
/// after the last. `.` is the end of the data. Gives its port, and the lines it read.
fn scripted(
    lines: Vec<(&'static str, &'static str)>,
) -> (u16, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut heard = Vec::new();
        for (word, answer) in lines {
            while !word.is_empty() {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    return heard;
                }
                let line = line.trim_end().to_owned();
                heard.push(line.clone());
                if line.starts_with(word) {
                    break;
                }
            }
            stream.write_all(answer.as_bytes()).unwrap();
        }
        // Silence, until the client has had enough.
        let rest = reader.lines().map_while(Result::ok);
        heard.extend(rest);
        heard
    });
    (port, thread)
}

fn performer_at(port: u16) -> Performer {
    command::performer(&mail_settings(Some(server_at(port))), Secrets::default())
}

#[tokio::test]
async fn a_timeout_is_uncertain_only_after_the_data() {
    let before = vec![("", "220 hi\r\n"), ("EHLO", "250 hi\r\n"), ("MAIL", "250 ok\r\n")];
    let mut after = before.clone();
    after.extend([("RCPT", "250 ok\r\n"), ("DATA", "354 go\r\n")]);
    for (script, whole) in [(vec![], false), (before, false), (after, true)] {
        let (port, thread) = scripted(script);
        let mut command = mail([]);
        command.timeout = Some(Span::from_millis(300));
        let outcome = send(&performer_at(port), &command).await;
        if whole {
            assert_eq!(uncertain(&outcome), "timeout");
        } else {
            assert_eq!(retry(&outcome), "timeout");
        }
        // The conversation was given up, not parked for the next mail.
        let heard = thread.join().unwrap();
        assert_eq!(heard.iter().any(|line| line == "."), whole, "{heard:?}");
    }
}

#[tokio::test]
async fn answers_out_of_step_are_not_taken_for_acceptance() {
    // One answer too many, as if somebody had slipped it in: every later one is read too early.
    let script = vec![
        ("", "220 hi\r\n"),
        ("EHLO", "250 hi\r\n250 slipped in\r\n"),
        ("MAIL", "250 ok\r\n"),
        ("RCPT", "250 ok\r\n"),
        ("DATA", "354 go\r\n"),
        (".", "554 refused\r\n"),
    ];
    let (port, thread) = scripted(script);
    let outcome = send(&performer_at(port), &mail([])).await;
    assert_eq!(retry(&outcome), "smtp");
    let heard = thread.join().unwrap();
    assert!(!heard.iter().any(|line| line == "."), "{heard:?}");
}

#[tokio::test]
async fn if_one_recipient_is_refused_nobody_gets_the_mail() {
    let script = vec![
        ("", "220 hi\r\n"),
        ("EHLO", "250 hi\r\n"),
        ("MAIL", "250 ok\r\n"),
        ("RCPT TO:<ana@x.example>", "250 ok\r\n"),
        ("RCPT TO:<busy@x.example>", "450 mailbox busy\r\n"),
        ("RCPT TO:<gone@x.example>", "550 no such user\r\n"),
        ("RSET", "250 ok\r\n"),
    ];
    let (port, thread) = scripted(script);
    let performer = performer_at(port);
    let to = list(&["ana@x.example", "busy@x.example", "gone@x.example"]);
    let outcome = send(&performer, &mail([("to", to)])).await;
    assert_eq!(failed(&outcome), "smtp_550");
    let said = message(&outcome);
    assert!(said.contains("gone@x.example (550 no such user)"), "{said}");
    assert!(said.contains("busy@x.example (450 mailbox busy)"), "{said}");
    assert!(said.contains("2 of 3"), "{said}");
    drop(performer);
    let heard = thread.join().unwrap();
    assert!(!heard.iter().any(|line| line == "DATA"), "{heard:?}");
}

#[tokio::test]
async fn a_relay_that_is_not_there_is_tried_again() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let outcome = send(&performer_at(free), &mail([])).await;
    assert_eq!(retry(&outcome), "connect");
    assert!(message(&outcome).contains("localhost"), "{outcome:?}");
}

#[tokio::test]
async fn nothing_from_outside_becomes_a_header_or_a_recipient() {
    let (smtp, performer) = rig(vec![]);
    let cases: Vec<(Command, &str)> = vec![
        (mail([("subject", Value::from("Hi\r\nBcc: eve@x.example"))]), "header"),
        (mail([("subject", Value::from("Hi\nthere"))]), "header"),
        (mail([("to", list(&["ana@x.example\r\nRCPT TO:<eve@x.example>"]))]), "address"),
        (mail([("to", list(&["ana@x.example, eve@x.example"]))]), "address"),
        (mail([("to", list(&["Ana\r\nBcc: eve@x.example <ana@x.example>"]))]), "address"),
        (mail([("to", list(&[]))]), "address"),
        (mail([("to", list(&[""]))]), "address"),
        (mail([("cc", list(&["x"]))]), "address"),
        (mail([("reply_to", Value::from("a@x.example\nX: y"))]), "address"),
        (mail([("from", Value::from("a@x.example>\nX: y"))]), "address"),
        (
            mail([("headers", Value::from([("X-A", Value::from("1\r\nBcc: eve@x.example"))]))]),
            "header",
        ),
        (mail([("headers", Value::from([("X-A\r\nBcc", Value::from("1"))]))]), "header"),
        (mail([("headers", Value::from([("X A", Value::from("1"))]))]), "header"),
        (mail([("headers", Value::from([("bcc", Value::from("eve@x.example"))]))]), "header"),
        (mail([("headers", Value::from([("Message-Id", Value::from("<x>"))]))]), "header"),
        (mail([("headers", Value::from([("Content-Type", Value::from("text/html"))]))]), "header"),
        (mail([("text", Value::from("\u{e000}secret:crm\u{e001}"))]), "secret"),
        (mail([("to", Value::Int(7))]), "params"),
        (mail([("subject", Value::Null)]), "params"),
        (mail([("template", Value::from("missing"))]), "template"),
    ];
    for (command, code) in cases {
        let outcome = send(&performer, &command).await;
        assert_eq!(failed(&outcome), code, "{:?}", command.params);
        assert!(!message(&outcome).contains(['\r', '\n']), "{outcome:?}");
    }
    let many: Vec<String> = (0..101).map(|n| format!("p{n}@x.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(failed(&send(&performer, &mail([("to", list(&many))])).await), "recipients");
    done(&send(&performer, &mail([("to", list(&many[1..]))])).await);
    assert_eq!(smtp.attempts().len(), 1);
    assert_eq!(smtp.attempts()[0].to.len(), 100);
}

/// Renders what it was given, and keeps the scope.
#[derive(Default)]
struct Spy(Mutex<Vec<(String, Option<String>, Map)>>);

impl TemplateSource for Spy {
    fn render(&self, name: &str, locale: Option<&str>, scope: &Map) -> Result<RenderedMail, Cause> {
        let seen = (name.to_owned(), locale.map(str::to_owned), scope.clone());
        self.0.lock().unwrap().push(seen);
        Ok(RenderedMail {
            subject: "Prüfung \u{1f680}".to_owned(),
            text: "plain part".to_owned(),
            html: Some("<p>rich part \u{1f680}</p>".to_owned()),
        })
    }
}

#[tokio::test]
async fn a_template_sees_the_scope_and_gives_both_parts() {
    let (smtp, performer) = rig(vec![]);
    let command = mail([
        ("template", Value::from("lead-ack")),
        ("locale", Value::from("de-AT")),
        ("args", Value::from([("who", Value::from("Ana"))])),
        ("to", list(&["Жанна <ana@münchen.example>"])),
    ]);
    let spy = Spy::default();
    done(&performer.perform(&command, &spy).await);
    done(&performer.perform(&command, &spy).await);
    let (name, locale, scope) = spy.0.lock().unwrap().remove(0);
    assert_eq!((&*name, locale.as_deref()), ("lead-ack", Some("de-AT")));
    assert_eq!(scope["args"].get("who"), Some(&Value::from("Ana")));
    assert_eq!(scope["vars"].get("n"), Some(&Value::Int(3)));
    assert_eq!(scope["now"], Value::Instant(command.armed));
    assert_eq!(scope["event"].get("type"), Some(&Value::from("lead.created")));
    assert_eq!(scope["event"].get("subject"), Some(&Value::from("lead/42")));
    let email = scope["event"].get("data").and_then(|data| data.get("email"));
    assert_eq!(email, Some(&Value::from("ana@x.example")));

    assert_eq!(smtp.attempts()[0].to, ["ana@xn--mnchen-3ya.example"]);
    let mail = &smtp.mails()[0];
    assert_eq!(mail.raw, smtp.mails()[1].raw);
    let kind = mail.header("Content-Type").unwrap();
    assert!(kind.starts_with("multipart/alternative"), "{kind}");
    let plain = mail.body().find("text/plain; charset=utf-8").unwrap();
    let rich = mail.body().find("text/html; charset=utf-8").unwrap();
    assert!(plain < rich, "{}", mail.raw);
    assert!(mail.raw.is_ascii());
    assert!(mail.header("To").unwrap().starts_with("=?utf-8?"), "{}", mail.raw);
}

#[tokio::test]
async fn only_to_holds_everybody_else_back() {
    let smtp = Smtp::start(Options::default());
    let mut settings = mail_settings(Some(server_at(smtp.address().port())));
    settings.mail.only_to = vec!["*@example.com".to_owned()];
    let performer = command::performer(&settings, Secrets::default());
    let outcome = send(&performer, &mail([("to", list(&["ana@x.example"]))])).await;
    assert_eq!(done(&outcome), &Value::from([("suppressed", Value::from("only_to"))]));
    assert!(smtp.attempts().is_empty());

    let both = mail([
        ("to", list(&["ana@x.example", "QA@Example.com"])),
        ("bcc", list(&["eve@x.example"])),
    ]);
    let outcome = send(&performer, &both).await;
    assert_eq!(done(&outcome).get("held_back"), Some(&list(&["ana@x.example", "eve@x.example"])));
    assert_eq!(smtp.attempts()[0].to, ["QA@example.com"]);
    assert_eq!(smtp.mails()[0].header("To").unwrap(), "QA@example.com");
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn without_a_server_mail_goes_to_the_outbox_once() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("deep/outbox");
    let settings = Settings { outbox: outbox.clone(), ..mail_settings(None) };
    let performer = command::performer(&settings, Secrets::default());
    let command = mail([("bcc", list(&["c@x.example"]))]);
    let outcome = send(&performer, &command).await;
    assert_eq!(send(&performer, &command).await, outcome);
    let mut later = mail([]);
    later.key.0.0 = [1; 16];
    later.armed = "2026-03-02T10:00:00.5Z".parse().unwrap();
    done(&send(&performer, &later).await);

    let first = "20260302T095500.000000Z-eff_07070707070707070707070707070707.eml";
    let second = "20260302T100000.500000Z-eff_01010101010101010101010101010101.eml";
    assert_eq!(files(&outbox), [first, second]);
    assert_eq!(done(&outcome).get("message"), Some(&Value::from(ID)));
    let path = outbox.join(first);
    assert_eq!(done(&outcome).get("outbox"), Some(&Value::from(path.display().to_string())));
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains("Bcc: c@x.example\r\n") && text.contains("Hello Ana"), "{text}");

    // A folder that cannot be written may be mended.
    std::fs::write(folder.path().join("file"), "").unwrap();
    let settings = Settings { outbox: folder.path().join("file/outbox"), ..mail_settings(None) };
    let performer = command::performer(&settings, Secrets::default());
    assert_eq!(retry(&send(&performer, &command).await), "outbox");
}

#[test]
fn every_wrong_setting_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let junk = folder.path().join("junk.pem");
    std::fs::write(&junk, "not a certificate").unwrap();
    let mut server = server_at(25);
    server.tls = SmtpTls::Starttls;
    server.ca = Some(junk.clone());
    server.username = Some("bot".to_owned());
    let mut settings = mail_settings(Some(server));
    settings.mail.from = "nobody".to_owned();
    settings.mail.only_to = vec!["example.com".to_owned()];
    settings.webhooks.ca = Some(folder.path().join("missing.pem"));
    settings.webhooks.secret = Some("hook_signing".parse().unwrap());
    let clock = std::sync::Arc::new(adjutant::model::Instant::default);
    let errors = Performer::new(&settings, Secrets::default(), clock).unwrap_err();
    let named: Vec<&str> = errors.iter().map(|error| error.setting.as_str()).collect();
    for setting in
        ["smtp.from", "smtp.only_to", "smtp.username", "smtp.ca", "webhooks.ca", "webhooks.secret"]
    {
        assert!(named.contains(&setting), "{setting} in {errors:?}");
    }
}
