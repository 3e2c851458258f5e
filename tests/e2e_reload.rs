//! Reload in the real daemon: by command, by signal, by a changed file; whole or not at all; and a start
//! that finds the files broken.

#![allow(clippy::disallowed_methods, reason = "a real daemon is driven in real time")]

mod support;

use std::time::Duration;

use serde_json::json;
use support::daemon::{Daemon, structured};
use support::folder::Folder;
use support::{cli, http, wait_for};

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

/// Waits for an event, or counts one at once; both say by which version.
fn busy(n: usize) -> String {
    format!(
        "workflow: waits\ntriggers: [{{ event: a.waits }}]\nsteps:\n  - wait_for: a.go\n    timeout: 1h\n  - \
         record: ${{event.subject}}\n    set: {{ began: {n} }}\n---\nworkflow: counts\ntriggers: [{{ event: \
         b.came }}]\nsteps:\n  - record: ${{event.subject}}\n    set: {{ by: {n}, times: \
         '${{(old?.times ?? 0) + 1}}' }}\n"
    )
}

/// Sends events `from..to` of a type, each about `kind/number`, and requires that all are accepted.
fn send(url: &str, kind: &str, record: &str, numbers: std::ops::Range<usize>) {
    let event =
        |n: usize| structured(&format!("{kind}-{n}"), kind, &format!("{record}/{n}"), &json!({}));
    let events: Vec<String> = numbers.map(event).collect();
    let media = [("content-type", "application/cloudevents-batch+json")];
    let body = format!("[{}]", events.join(","));
    let answer = http::send("POST", url, &media, body).expect("an answer");
    assert_eq!(answer.status, 202, "{answer:?}");
}

/// A field of every record of a kind.
fn fields(daemon: &Daemon, kind: &str, field: &str) -> Vec<i64> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = daemon.get(&format!("/v1/records/{kind}?limit=1000{after}")).json();
        let records = page["records"].as_array().expect("a page of records");
        found.extend(records.iter().filter_map(|record| record["fields"][field].as_i64()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return found,
        }
    }
}

#[test]
fn a_reload_every_second_under_load_harms_nothing() {
    const WAITING: usize = 1_000;
    const SECONDS: usize = 8;
    const PER_SECOND: usize = 1_000;
    let daemon = Daemon::start(Folder::new("").rule("busy.yaml", &busy(0)));
    let url = daemon.url("/v1/events");
    for from in (0..WAITING).step_by(250) {
        send(&url, "a.waits", "waited", from..from + 250);
    }
    let load = std::thread::spawn(move || {
        let began = std::time::Instant::now();
        for part in 0..SECONDS * 10 {
            let from = part * PER_SECOND / 10;
            send(&url, "b.came", "came", from..from + PER_SECOND / 10);
            let due = Duration::from_millis(100) * (part as u32 + 1);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
    });
    for second in 1..SECONDS {
        let broken = second % 3 == 0;
        let rules = if broken { BROKEN.to_owned() } else { busy(second) };
        daemon.folder.write("rules/busy.yaml", &rules);
        let said = daemon.run(&["reload"]);
        assert_eq!(said.code, i32::from(broken), "{said:?}");
        std::thread::sleep(Duration::from_millis(700));
    }
    load.join().expect("every event was accepted");
    for from in (0..WAITING).step_by(250) {
        send(&daemon.url("/v1/events"), "a.go", "waited", from..from + 250);
    }
    wait_for("the waiting runs to end", SOON, || {
        (fields(&daemon, "waited", "began").len() == WAITING).then_some(())
    });
    let ended = fields(&daemon, "waited", "began");
    assert!(ended.iter().all(|version| *version == 0), "each with the rules it began with");
    wait_for("every event to be counted", SOON, || {
        (fields(&daemon, "came", "by").len() == SECONDS * PER_SECOND).then_some(())
    });
    assert!(
        fields(&daemon, "came", "times").iter().all(|times| *times == 1),
        "no event started two"
    );
    let versions: std::collections::BTreeSet<i64> =
        fields(&daemon, "came", "by").into_iter().collect();
    assert!(versions.len() >= 4 && !versions.contains(&3), "several were in force: {versions:?}");
    let failed = daemon.get("/v1/runs?status=failed").json();
    assert_eq!(failed["runs"].as_array().map(Vec::len), Some(0), "{failed}");
}
