//! The binary's contract with shells and systemd: exit codes, signals, and commands over the socket.

mod support;

use std::time::Duration;

use serde_json::json;
use support::cli;
use support::daemon::Daemon;
use support::folder::Folder;
use support::receiver::{Receiver, Reply};
use support::{runs, wait_for};

/// Long enough for the daemon to notice something.
const SOON: Duration = Duration::from_secs(20);

const NOTE: &str = r"
workflow: note
triggers: [{ event: demo.sent }]
steps:
  - record: ${event.subject}
    set: { seen: true }
";

#[test]
fn commands_that_need_the_daemon_say_that_it_is_not_there() {
    let folder = Folder::new("").rule("note.yaml", NOTE);
    for args in [
        &["runs", "list"][..],
        &["emit", "demo.sent", "--subject", "lead/1"],
        &["records", "list", "lead"],
        &["escalations", "list"],
        &["events", "list"],
    ] {
        let said = cli::run(&folder.path(""), args);
        assert_eq!(said.code, 69, "{args:?}: {said:?}");
        assert!(!said.err.is_empty() && said.out.is_empty(), "{args:?}: {said:?}");
    }
}

#[test]
fn usage_and_configuration_have_their_own_codes() {
    let folder = Folder::new("").rule("note.yaml", NOTE);
    let root = folder.path("");
    assert_eq!(cli::run(&root, &["nonsense"]).code, 2);
    assert_eq!(cli::run(&root, &["serve", "--nonsense"]).code, 2);
    assert_eq!(cli::run(&root, &["--version"]).code, 0);
    assert_eq!(cli::run(&root, &["--config", "missing.yaml", "serve"]).code, 78);

    folder.write("bad.yaml", "data_dirr: x\n");
    for args in [["--config", "bad.yaml", "serve"], ["serve", "--config", "bad.yaml"]] {
        let said = cli::run(&root, &args);
        assert_eq!(said.code, 78, "{said:?}");
        assert!(said.err.contains("bad.yaml:1:1") && said.err.contains("data_dir"), "{said:?}");
    }
    folder.write("open.yaml", "data_dir: data\nhttp: { listen: \"0.0.0.0:8750\" }\n");
    let said = cli::run(&root, &["--config", "open.yaml", "serve"]);
    assert_eq!(said.code, 78, "an open address without tokens: {said:?}");
}

#[test]
fn check_points_at_every_mistake() {
    let folder = Folder::new("").rule("note.yaml", NOTE);
    let root = folder.path("");
    let said = cli::run(&root, &["check"]);
    assert_eq!(said.code, 0, "{said:?}");
    folder.write(
        "rules/bad.yaml",
        "workflow: bad\ntriggers: [{ event: a.b }]\nsteps:\n  - emial: a@b.example\n  - delay: 5\n",
    );
    let said = cli::run(&root, &["check"]);
    assert_eq!(said.code, 1, "{said:?}");
    let text = format!("{}{}", said.out, said.err);
    assert!(text.contains("rules/bad.yaml:4:") && text.contains("`email`"), "{text}");
    assert!(text.contains("rules/bad.yaml:5:"), "{text}");

    // Nothing was ever loaded from this folder, so there is no last good version to go on with.
    assert_eq!(cli::run(&root, &["serve"]).code, 78);
}

#[test]
fn commands_talk_to_the_daemon_over_its_socket() {
    let daemon = Daemon::start(Folder::new("").rule("note.yaml", NOTE));
    let said = daemon.run(&[
        "emit",
        "demo.sent",
        "--subject",
        "lead/7",
        "--data",
        r#"{"a":1}"#,
        "--id",
        "m-1",
    ]);
    assert_eq!(said.code, 0, "{said:?}");
    let story = runs::story(&daemon, "note", "done");
    let id = story.id.as_str();

    let listed = daemon.run(&["runs", "list", "--json"]).json();
    assert!(listed.to_string().contains(id), "{listed}");
    let shown = daemon.run(&["runs", "show", id]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.out.contains("note") && shown.out.contains("done"), "{}", shown.out);
    assert!(!shown.out.contains('\u{1b}'), "NO_COLOR is honoured");
    let record = daemon.run(&["records", "show", "lead/7", "--json"]).json();
    assert!(record.to_string().contains("\"seen\":true"), "{record}");
    let events = daemon.run(&["events", "list", "--json"]).json();
    assert!(events.to_string().contains("m-1"), "{events}");
    let missing = daemon.run(&["runs", "show", "999"]);
    assert_eq!(missing.code, 1, "{missing:?}");

    assert_eq!(daemon.get("/-/healthy").status, 200);
    assert_eq!(daemon.get("/-/ready").status, 200);
}

#[test]
fn a_second_daemon_keeps_off_the_same_state() {
    let daemon = Daemon::start(Folder::new("").rule("note.yaml", NOTE));
    let said = daemon.run(&["serve"]);
    assert!(matches!(said.code, 74 | 75 | 78), "{said:?}");
    assert!(said.err.contains("data") || said.err.contains("listen"), "{said:?}");
    assert_eq!(daemon.get("/-/ready").status, 200);
}

#[test]
fn sigterm_lets_what_is_under_way_end() {
    let receiver = Receiver::scripted(vec![Reply::status(200).after(Duration::from_secs(2))]);
    let rule = format!(
        "workflow: slow\ntriggers: [{{ event: demo.sent }}]\nsteps:\n  - webhook: {}\n",
        receiver.url("/slow")
    );
    let config = "webhooks:\n  allow_networks: [127.0.0.0/8]\n";
    let mut daemon = Daemon::start(Folder::new(config).rule("slow.yaml", &rule));
    daemon.event("s-1", "demo.sent", "lead/1", &json!({}));
    wait_for("the request", SOON, || (receiver.count() == 1).then_some(()));
    let (code, took) = daemon.stop();
    assert_eq!(code, 0, "{}", daemon.log());
    assert!(took < Duration::from_secs(20), "{took:?}");

    daemon.restart();
    runs::story(&daemon, "slow", "done");
    assert_eq!(receiver.count(), 1, "a request that ended before the stop is not repeated");
}
