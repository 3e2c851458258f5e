//! The real daemon, a real mail server and what people do with what they get: they decide by a link, unsubscribe with one
//! click, pass things on from a shell; and the daemon is killed in between. Ledgers are verified, and tampering shows.

mod support;

use std::time::Duration;

use serde_json::json;
use support::daemon::Daemon;
use support::folder::Folder;
use support::mail::Mail;
use support::smtp::{Options, Smtp, Tls};
use support::{http, wait_for};

const RULES: &str = r#"
record: person
rows:
  mia: { email: mia@ops.example }
  max: { email: max@ops.example }
---
purpose: marketing
unsubscribe: true
---
record: decision
ledger: true
---
workflow: discount
triggers: [{ event: discount.requested }]
steps:
  - approve: [mia]
    timeout: 2d
    summary: ${event.data.percent} % for ${event.subject}
    id: decision
  - record: decision/${event.id}
    create: { outcome: "${steps.decision.outcome}", by: "${steps.decision.by}" }
---
workflow: news
triggers: [{ event: news.out }]
steps:
  - email: ${event.data.email}
    purpose: marketing
    subject: News
    text: Read this.
  - email: ${event.data.email}
    purpose: transactional
    subject: Receipt
    text: Keep this.
"#;

fn started() -> (Daemon, Smtp) {
    let smtp = Smtp::start(Options {
        tls: Tls::None,
        login: None,
        mechanisms: "PLAIN",
        script: Vec::new(),
    });
    let config = format!(
        "  public_url: https://ops.example.com\nsmtp:\n  host: localhost\n  port: {}\n  tls: none\n  \
         from: \"Ops <ops@example.com>\"\n",
        smtp.address().port()
    );
    (Daemon::start(Folder::new(&config).rule("people.yaml", RULES)), smtp)
}

/// The newest mail to somebody with this in its subject.
fn mail(smtp: &Smtp, to: &str, subject: &str) -> Mail {
    wait_for(&format!("a mail to {to}"), Duration::from_mins(1), || {
        smtp.mails().into_iter().rev().find(|mail| {
            mail.header("To").is_some_and(|header| header.contains(to))
                && mail.header("Subject").is_some_and(|header| header.contains(subject))
        })
    })
}

/// The paths of the links in a text, however its lines were folded.
fn links(text: &str) -> Vec<String> {
    let unfolded = text.replace("=\r\n", "").replace("=\n", "");
    let places = unfolded.match_indices("https://ops.example.com/links/");
    places
        .map(|(at, _)| {
            let rest = &unfolded[at + "https://ops.example.com".len()..];
            rest.split(['\r', '\n', '>', ' ']).next().unwrap_or_default().to_owned()
        })
        .collect()
}

fn send(daemon: &Daemon, method: &str, path: &str, body: &str) -> http::Answer {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    http::send(method, &daemon.url(path), &form, body).expect("an answer")
}

#[test]
fn people_decide_by_a_link_and_the_ledger_shows_it() {
    let (mut daemon, smtp) = started();
    let ask =
        |id: &str| daemon.event(id, "discount.requested", "deal/7", &json!({ "percent": 20 }));
    ask("d-1");
    let asked = mail(&smtp, "mia@ops.example", "To decide");
    assert_eq!(asked.header("Subject").as_deref(), Some("To decide: 20 % for deal/7"));
    let [approve, reject] = &links(asked.body())[..] else { panic!("{}", asked.body()) };
    // Whoever opens links by themselves decides nothing.
    for method in ["GET", "HEAD"] {
        assert_eq!(send(&daemon, method, approve, "").status, 200);
    }
    let listed = daemon.run(&["approvals", "list", "--json"]).json();
    assert_eq!(listed["approvals"][0]["status"], "open");
    assert_eq!(listed["approvals"][0]["people"], json!(["mia"]));

    // Killed in between, and both know it still.
    daemon.kill();
    daemon.restart();
    let answer = send(&daemon, "POST", approve, "");
    assert!(answer.status == 200 && answer.body.contains("It is decided: approved"), "{answer:?}");
    wait_for("the decision", Duration::from_mins(1), || {
        daemon.get("/v1/records/decision/d-1").status.eq(&200).then_some(())
    });
    let again = send(&daemon, "POST", reject, "");
    assert!(again.status == 409 && again.body.contains("approved by mia"), "{again:?}");
    assert_eq!(daemon.get("/v1/records/decision/d-1").json()["fields"]["outcome"], "approved");
    let forged = format!("{approve}x");
    assert_eq!(send(&daemon, "POST", &forged, "").status, 403);

    // From a shell: passed on, and decided on behalf of the other.
    daemon.event("d-2", "discount.requested", "deal/8", &json!({ "percent": 30 }));
    mail(&smtp, "mia@ops.example", "30 %");
    let id = daemon.run(&["approvals", "list", "--json"]).json()["approvals"][0]["id"].clone();
    let id = id.as_str().unwrap();
    let said = daemon.run(&["approvals", "delegate", id, "--by", "mia", "--to", "max"]);
    assert_eq!(said.code, 0, "{}", said.err);
    mail(&smtp, "max@ops.example", "30 %");
    let refused = daemon.run(&["approvals", "decide", id, "approved", "--by", "mia"]);
    assert!(refused.code == 1 && refused.err.contains("does not ask mia"), "{}", refused.err);
    let said =
        daemon.run(&["approvals", "decide", id, "rejected", "--by", "max", "--comment", "no"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let shown = daemon.run(&["approvals", "show", id]);
    assert!(shown.out.contains("max chose rejected: no"), "{}", shown.out);
    wait_for("both decisions", Duration::from_mins(1), || {
        daemon.get("/v1/records/decision/d-2").status.eq(&200).then_some(())
    });

    // The ledger is sound, also beside a head that was kept.
    let head = daemon.run(&["audit", "head"]);
    daemon.folder.write("heads.json", &head.out);
    let verified = daemon.run(&["audit", "verify", "decision", "--head", "heads.json"]);
    assert!(
        verified.code == 0 && verified.out.contains("sound"),
        "{}{}",
        verified.out,
        verified.err
    );
    let text = head.out.replace("\"count\": 2", "\"count\": 3");
    daemon.folder.write("more.json", &text);
    let verified = daemon.run(&["audit", "verify", "--head", "more.json"]);
    assert!(
        verified.code == 1 && verified.out.contains("not signed by this state"),
        "{}",
        verified.out
    );
    assert_eq!(daemon.run(&["audit", "verify", "nothing"]).code, 2);
    assert_eq!(daemon.stop().0, 0);
}

#[test]
fn one_click_unsubscribes_and_looking_does_not() {
    let (mut daemon, smtp) = started();
    let out = |daemon: &Daemon, id: &str| {
        daemon.event(id, "news.out", "contact/1", &json!({ "email": "Zoe@x.example" }));
        wait_for("the receipt", Duration::from_mins(1), || {
            (smtp
                .mails()
                .iter()
                .filter(|mail| mail.header("Subject").as_deref() == Some("Receipt"))
                .count()
                == id[2..].parse::<usize>().unwrap())
            .then_some(())
        });
    };
    out(&daemon, "n-1");
    let news = mail(&smtp, "Zoe@x.example", "News");
    let head = news.header("List-Unsubscribe").unwrap();
    assert_eq!(news.header("List-Unsubscribe-Post").as_deref(), Some("List-Unsubscribe=One-Click"));
    let receipt = mail(&smtp, "Zoe@x.example", "Receipt");
    assert_eq!(receipt.header("List-Unsubscribe"), None);
    let link = links(&head).remove(0);
    for method in ["GET", "HEAD"] {
        assert_eq!(send(&daemon, method, &link, "").status, 200);
    }
    out(&daemon, "n-2");
    let sent = |subject: &str| {
        let is = |mail: &Mail| mail.header("Subject").as_deref() == Some(subject);
        smtp.mails().iter().filter(|mail| is(mail)).count()
    };
    assert_eq!(sent("News"), 2, "looking at a link changes nothing");
    // As RFC 8058 has it: no login, no cookie, only this body.
    let answer = send(&daemon, "POST", &link, "List-Unsubscribe=One-Click");
    assert!(answer.status == 200 && answer.body.contains("no more mail"), "{answer:?}");
    daemon.kill();
    daemon.restart();
    out(&daemon, "n-3");
    assert_eq!((sent("News"), sent("Receipt")), (2, 3));
    let record = daemon.get("/v1/records/suppression/marketing/zoe@x.example").json();
    assert_eq!(record["fields"]["reason"], "unsubscribed");
}
