//! Files of rows against the real daemon: laid into the spool, and sent by `adjutant import`. It is killed in the
//! middle of a large one, and still every row counts once.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use serde_json::{Value, json};
use support::daemon::Daemon;
use support::folder::Folder;
use support::wait_for;

/// Each row is counted by the record that it is about, so that one counted twice would show.
const RULES: &str = r#"
workflow: row-counted
triggers:
  - files: "leads/*"
    where: event.data.get("email") != "nobody@x.example"
  - event: lead.imported
steps:
  - record: seen/${event.data.email}
    set: { times: "${(old?.times ?? 0) + 1}", name: "${event.data.name}" }
---
workflow: file-told
triggers: [{ event: file.done }]
steps:
  - record: told/${event.id}
    set: { report: "${event.data}" }
"#;

const WAIT: Duration = Duration::from_mins(1);

fn started() -> Daemon {
    Daemon::start(Folder::new("").rule("rows.yaml", RULES))
}

/// Lays a file into the spool as programs should: under another name first.
fn lay(daemon: &Daemon, path: &str, content: &[u8]) {
    let place = daemon.folder.path(&format!("spool/{path}"));
    fs::create_dir_all(place.parent().expect("a folder")).expect("a folder");
    let part = place.with_extension("part");
    fs::write(&part, content).expect("a file");
    fs::rename(&part, &place).expect("renamed");
}

fn report(daemon: &Daemon, path: &str) -> Value {
    let place = daemon.folder.path(&format!("spool/{path}.report.json"));
    let text = wait_for(&format!("the report {path}"), WAIT, || fs::read_to_string(&place).ok());
    serde_json::from_str(&text).expect("a report is JSON")
}

fn records(daemon: &Daemon, kind: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let answer = daemon.get(&format!("/v1/records/{kind}?limit=1000{after}")).json();
        found.extend(answer["records"].as_array().cloned().unwrap_or_default());
        match answer["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return found,
        }
    }
}

/// Waits until so many addresses were seen, and each of them once.
fn seen_once(daemon: &Daemon, count: usize) {
    let seen = wait_for(&format!("{count} rows"), WAIT, || {
        let seen = records(daemon, "seen");
        (seen.len() >= count).then_some(seen)
    });
    assert_eq!(seen.len(), count);
    for record in seen {
        assert_eq!(record["fields"]["times"], json!(1), "{record}");
    }
}

#[test]
fn a_file_in_the_spool_is_read_row_by_row_and_put_aside_with_its_report() {
    let daemon = started();
    let table = "email;name\nana@x.example;Ana\nben@x.example\nnobody@x.example;No\n\"cy@x.example\";\"Cy; of X\"\n";
    lay(&daemon, "leads/march.csv", table.as_bytes());
    let told = report(&daemon, "done/leads/march.csv");
    for (key, value) in [("rows", 4), ("accepted", 3), ("known", 0), ("rejected", 1)] {
        assert_eq!(told[key], json!(value), "{told}");
    }
    seen_once(&daemon, 2);
    let rejects = daemon.folder.path("spool/done/leads/march.csv.rejects.ndjson");
    let reject: Value =
        serde_json::from_str(&fs::read_to_string(rejects).expect("rejects")).expect("JSON");
    assert_eq!(
        reject,
        json!({ "row": 2, "line": 3, "text": "ben@x.example",
                "reason": "it has 1 field, and the header has 2" })
    );
    wait_for("the file to be put aside", WAIT, || {
        daemon.folder.path("spool/done/leads/march.csv").exists().then_some(())
    });
    assert!(!daemon.folder.path("spool/leads/march.csv").exists());
    let heard = wait_for("file.done", WAIT, || records(&daemon, "told").pop());
    assert_eq!(heard["fields"]["report"]["file"], "leads/march.csv");
    assert_eq!(heard["fields"]["report"]["rejected"], 1);

    // The same again, under another name: nothing starts twice.
    lay(&daemon, "leads/again.csv", table.as_bytes());
    let told = report(&daemon, "done/leads/again.csv");
    assert_eq!((&told["accepted"], &told["known"]), (&json!(0), &json!(3)), "{told}");
    seen_once(&daemon, 2);

    // The rest of the formats; a row with an `id` is known by it in any file.
    lay(
        &daemon,
        "leads/a.ndjson",
        b"{\"id\":7,\"email\":\"di@x.example\",\"name\":\"Di\"}\n{\"id\":\n",
    );
    assert_eq!(report(&daemon, "done/leads/a.ndjson")["rejected"], 1);
    lay(
        &daemon,
        "leads/b.json",
        br#"[{"id":7,"email":"di@x.example","name":"Di"},{"id":7,"email":"x@x.example","name":"X"},3]"#,
    );
    let told = report(&daemon, "done/leads/b.json");
    for (key, value) in [("rows", 3), ("accepted", 0), ("known", 1), ("rejected", 2)] {
        assert_eq!(told[key], json!(value), "{told}");
    }
    let rejects = fs::read_to_string(daemon.folder.path("spool/done/leads/b.json.rejects.ndjson"));
    let rejects = rejects.expect("rejects");
    assert!(rejects.contains("came before, and said something else"), "{rejects}");
    seen_once(&daemon, 3);
}

#[test]
fn what_cannot_be_read_is_refused_and_what_is_not_meant_is_left() {
    let daemon = started();
    lay(&daemon, "leads/twice.csv", b"email,email\na@x.example,b\n");
    let told = report(&daemon, "refused/leads/twice.csv");
    assert_eq!(told["error"], "two columns of the header are called `email`");
    lay(&daemon, "leads/table.xlsx", b"PK");
    let told = report(&daemon, "refused/leads/table.xlsx");
    assert!(told["error"].as_str().is_some_and(|why| why.contains(".csv")), "{told}");

    // Half-written, hidden, in another folder, or a link to what is not theirs to read.
    let spool = daemon.folder.path("spool");
    fs::write(daemon.folder.path("secret.csv"), "email,name\nsecret@x.example,S\n")
        .expect("a file");
    symlink(daemon.folder.path("secret.csv"), spool.join("leads/link.csv")).expect("a link");
    fs::write(spool.join("leads/.hidden.csv"), "email,name\nh@x.example,H\n").expect("a file");
    lay(&daemon, "others/o.csv", b"email,name\no@x.example,O\n");
    lay(&daemon, "leads/last.csv", b"email,name\nlast@x.example,L\n");
    report(&daemon, "done/leads/last.csv");
    seen_once(&daemon, 1);
    for path in ["leads/link.csv", "leads/.hidden.csv", "others/o.csv"] {
        assert!(spool.join(path).exists(), "{path} is left where it is");
    }
}

#[test]
fn a_daemon_that_is_killed_in_the_middle_of_a_file_counts_every_row_once() {
    const ROWS: usize = 6_000;
    let mut daemon = started();
    let rows = (0..ROWS).map(|row| format!("p{row}@x.example,P{row}\n"));
    let table: String = std::iter::once("email,name\n".to_owned()).chain(rows).collect();
    lay(&daemon, "leads/large.csv", table.as_bytes());
    wait_for("some rows to be taken in", WAIT, || {
        let taken = records(&daemon, "seen").len();
        (taken > 100).then_some(())
    });
    daemon.kill();
    assert!(!daemon.folder.path("spool/done/leads/large.csv").exists(), "it was not over yet");
    daemon.restart();
    let told = report(&daemon, "done/leads/large.csv");
    assert_eq!((&told["rows"], &told["accepted"]), (&json!(ROWS), &json!(ROWS)), "{told}");
    assert_eq!(told["resumed"], true, "{told}");
    seen_once(&daemon, ROWS);
}

#[test]
fn import_sends_rows_and_keeps_what_is_refused() {
    let daemon = started();
    daemon
        .folder
        .write("leads.csv", "email,name\nana@x.example,Ana\nben@x.example\ncy@x.example,Cy\n");
    let dry = daemon.run(&["import", "lead.imported", "leads.csv", "--dry-run"]);
    assert_eq!(dry.code, 1, "a row is none: {}", dry.out);
    assert!(dry.out.contains("leads.csv: 3 rows, 2 would be sent, 1 rejected"), "{}", dry.out);
    assert!(dry.out.contains("line 3: it has 1 field"), "{}", dry.out);
    assert!(records(&daemon, "seen").is_empty());

    let said = daemon.run(&["import", "lead.imported", "leads.csv", "--subject", "lead/{email}"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.out.contains("3 rows, 2 accepted, 1 rejected"), "{}", said.out);
    seen_once(&daemon, 2);
    let rejects =
        fs::read_to_string(daemon.folder.path("leads.csv.rejects.ndjson")).expect("rejects");
    assert!(rejects.contains("the header has 2") && rejects.lines().count() == 1, "{rejects}");

    let again = daemon.run(&[
        "import",
        "lead.imported",
        "leads.csv",
        "--subject",
        "lead/{email}",
        "--json",
    ]);
    let report: Value = serde_json::from_str(&again.out).expect("JSON");
    assert_eq!((&report[0]["accepted"], &report[0]["known"]), (&json!(0), &json!(2)));
    seen_once(&daemon, 2);

    let said = daemon.run(&["import", "run.failed", "leads.csv", "--id", "{email}"]);
    assert!(said.out.contains("3 rejected"), "{}", said.out);
    assert!(said.out.contains("made by the daemon alone"), "{}", said.out);
    let said = daemon.run(&["import", "lead.imported", "none.csv"]);
    assert_eq!(
        (said.code, said.err.contains("none.csv cannot be read")),
        (2, true),
        "{}",
        said.err
    );
}
