//! Reload in the real daemon: by command, by signal, by a changed file; whole or not at all; and a start
//! that finds the files broken.

mod support;

use std::time::Duration;

use serde_json::json;
use support::cli;
use support::daemon::Daemon;
use support::folder::Folder;
use support::wait_for;

/// Long enough for the daemon to notice something.
const SOON: Duration = Duration::from_secs(30);

/// Writes its version into a record, at once and after an event.
fn version(n: u32) -> String {
    format!(
        "workflow: versioned\ntriggers: [{{ event: demo.sent }}]\nsteps:\n  - record: ${{event.subject}}\n    \
         set: {{ began: {n} }}\n  - wait_for: demo.go\n    timeout: 1h\n  - record: ${{event.subject}}\n    \
         set: {{ ended: {n} }}\n"
    )
}

const BROKEN: &str =
    "workflow: versioned\ntriggers: [{ event: demo.sent }]\nsteps:\n  - emial: a@b.example\n";

fn field(daemon: &Daemon, record: &str, field: &str) -> Option<i64> {
    let answer = daemon.get(&format!("/v1/records/{record}"));
    let record: serde_json::Value = serde_json::from_str(&answer.body).ok()?;
    record.pointer(&format!("/fields/{field}")).and_then(serde_json::Value::as_i64)
}

fn becomes(daemon: &Daemon, record: &str, name: &str, value: i64) {
    wait_for(&format!("{record} {name} to be {value}"), SOON, || {
        (field(daemon, record, name) == Some(value)).then_some(())
    });
}

#[test]
fn rules_are_put_in_force_whole_or_not_at_all() {
    let mut daemon = Daemon::start(Folder::new("").rule("versioned.yaml", &version(1)));
    daemon.event("e-1", "demo.sent", "item/1", &json!({}));
    becomes(&daemon, "item/1", "began", 1);

    // By command, over the socket.
    daemon.folder.write("rules/versioned.yaml", &version(2));
    let said = daemon.run(&["reload"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("1 workflows"), "{said:?}");
    daemon.event("e-2", "demo.sent", "item/2", &json!({}));
    becomes(&daemon, "item/2", "began", 2);

    // With a mistake nothing changes, and the mistake is shown as `check` shows it.
    daemon.folder.write("rules/versioned.yaml", BROKEN);
    let said = daemon.run(&["reload"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("rules/versioned.yaml:4:5"), "{said:?}");
    assert!(said.err.contains("did you mean `email`"), "{said:?}");
    let answer = daemon.post("/-/reload", &[("content-type", "application/json")], "{}");
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(daemon.get("/-/ready").body.contains("degraded"));
    daemon.event("e-3", "demo.sent", "item/3", &json!({}));
    becomes(&daemon, "item/3", "began", 2);

    // A start that finds them broken goes on with the last good ones.
    daemon.kill();
    daemon.restart();
    assert!(daemon.get("/-/ready").body.contains("degraded"));
    assert!(daemon.log().contains("the last good rules are in force"), "{}", daemon.log());
    daemon.event("e-4", "demo.sent", "item/4", &json!({}));
    becomes(&daemon, "item/4", "began", 2);
    assert_eq!(daemon.stop().0, 0);
    assert_eq!(cli::run(&daemon.folder.path(""), &["serve", "--strict"]).code, 78);
    daemon.restart();

    // By signal.
    daemon.folder.write("rules/versioned.yaml", &version(3));
    daemon.signal("HUP");
    wait_for("the signal to be heard", SOON, || {
        daemon.get("/-/ready").body.contains("\"ready\"").then_some(())
    });
    daemon.event("e-5", "demo.sent", "item/5", &json!({}));
    becomes(&daemon, "item/5", "began", 3);

    // By the file itself.
    let reloads = || daemon.log().matches("other rules are in force").count();
    let before = reloads();
    daemon.folder.write("rules/versioned.yaml", &version(44));
    wait_for("the file to be seen", SOON, || (reloads() > before).then_some(()));
    daemon.event("e-6", "demo.sent", "item/6", &json!({}));
    becomes(&daemon, "item/6", "began", 44);

    // Each run ended with the rules it began with, over reloads and restarts.
    for item in 1..=6 {
        daemon.event(&format!("go-{item}"), "demo.go", &format!("item/{item}"), &json!({}));
    }
    for (item, version) in [(1, 1), (2, 2), (3, 2), (4, 2), (5, 3), (6, 44)] {
        becomes(&daemon, &format!("item/{item}"), "ended", version);
    }
}
