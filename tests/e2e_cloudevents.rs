//! Events come in as the CloudEvents SDK for Python, curl and plain HTTP clients send them, and each
//! is taken once. What the daemon understood is seen through a rule that tells a receiver.

mod support;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use support::daemon::{Daemon, structured};
use support::folder::Folder;
use support::receiver::{Heard, Receiver};
use support::{python, runs, wait_for};

/// Long enough for one event to come out again.
const SOON: Duration = Duration::from_secs(20);
/// Long enough for a second, wrong effect to show.
const QUIET: Duration = Duration::from_millis(1500);

const STRUCTURED: (&str, &str) = ("content-type", "application/cloudevents+json");
const BATCH: (&str, &str) = ("content-type", "application/cloudevents-batch+json");
const PLAIN: (&str, &str) = ("content-type", "application/json");

/// A daemon that tells `receiver` of every `demo.sent` what it understood.
fn echo(receiver: &Receiver) -> Daemon {
    let rule = format!(
        r"
workflow: echo
triggers: [{{ event: demo.* }}]
steps:
  - webhook: {}
    json:
      id: ${{event.id}}
      source: ${{event.source}}
      type: ${{event.type}}
      subject: ${{event.subject}}
      time: ${{event.time}}
      data: ${{event.data}}
",
        receiver.url("/echo")
    );
    let config = "webhooks:\n  allow_networks: [127.0.0.0/8]\n";
    Daemon::start(Folder::new(config).rule("echo.yaml", &rule))
}

/// Waits for the receiver to have heard of `count` events; answers them by id.
fn told(receiver: &Receiver, count: usize) -> BTreeMap<String, Value> {
    let heard = wait_for(&format!("{count} events"), SOON, || {
        let heard = receiver.heard();
        (heard.len() >= count).then_some(heard)
    });
    let bodies = heard.iter().map(Heard::json);
    bodies.map(|body| (body["id"].as_str().unwrap_or_default().to_owned(), body)).collect()
}

#[test]
fn the_python_sdk_sends_in_all_three_modes() {
    let receiver = Receiver::scripted(Vec::new());
    let daemon = echo(&receiver);
    for mode in ["binary", "structured", "batch"] {
        let said = python::run("send_events.py", &[&daemon.url("/v1/events"), mode, "3"]);
        let answers = said.json();
        let statuses = answers["statuses"].as_array().unwrap();
        assert!(statuses.iter().all(|status| status == 202), "{mode}: {answers}");
    }
    let told = told(&receiver, 9);
    assert_eq!(told.len(), 9);
    for mode in ["binary", "structured", "batch"] {
        for number in 0..3 {
            let event = &told[&format!("{mode}-{number}")];
            assert_eq!(event["source"], "https://shop.example/orders?x=ä b", "{mode}");
            assert_eq!(event["type"], "demo.sent");
            assert_eq!(event["subject"], format!("lead/{number}"));
            let data = &event["data"];
            assert_eq!(data["name"], "Zoë Ångström €", "{mode}");
            assert_eq!(data["score"], 0.5);
            assert_eq!(data["nothing"], Value::Null);
            assert_eq!(data["tags"], json!([{ "n": number }]));
            let time: jiff::Timestamp = event["time"].as_str().unwrap().parse().unwrap();
            assert_eq!(time.as_millisecond(), 1_772_443_800_250, "{mode}: {time}");
        }
    }
}

/// Runs curl; answers the status.
fn curl(url: &str, args: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--output", "/dev/null", "--write-out", "%{http_code}"])
        .args(args)
        .arg(url)
        .output()
        .expect("these tests need curl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn curl_sends_in_every_mode() {
    let receiver = Receiver::scripted(Vec::new());
    let daemon = echo(&receiver);
    let events = daemon.url("/v1/events");
    let binary = [
        "--header=ce-specversion: 1.0",
        "--header=ce-id: c-1",
        "--header=ce-source: /curl",
        "--header=ce-type: demo.sent",
        "--header=ce-subject: lead/%E2%82%AC",
        "--json",
        r#"{"n":1}"#,
    ];
    let binary = binary.iter().flat_map(|arg| match arg.split_once('=') {
        Some(("--header", value)) => vec!["--header", value],
        _ => vec![*arg],
    });
    assert_eq!(curl(&events, &binary.collect::<Vec<_>>()), "202");
    let one = structured("c-2", "demo.sent", "lead/2", &json!({ "n": 2 }));
    let kind = "content-type: application/cloudevents+json; charset=utf-8";
    assert_eq!(curl(&events, &["--header", kind, "--data-raw", &one]), "202");
    let batch = format!(
        "[{},{}]",
        structured("c-3", "demo.sent", "lead/3", &json!(3)),
        structured("c-4", "demo.sent", "lead/4", &json!([4]))
    );
    let kind = "content-type: application/cloudevents-batch+json";
    assert_eq!(curl(&events, &["--header", kind, "--data-raw", &batch]), "202");
    let plain = daemon.url("/v1/events/demo.sent?subject=lead/5");
    let key = ["--header", "Idempotency-Key: c-5", "--json", r#"{"n":5}"#];
    assert_eq!(curl(&plain, &key), "202");
    assert_eq!(curl(&plain, &["--json", r#"{"n":6}"#]), "202");

    let told = told(&receiver, 6);
    assert_eq!(told.len(), 6, "{told:?}");
    assert_eq!(told["c-1"]["subject"], "lead/€");
    assert_eq!(told["c-1"]["data"]["n"], 1);
    assert_eq!(told["c-2"]["source"], "/rig");
    assert_eq!(told["c-3"]["data"], 3);
    assert_eq!(told["c-4"]["data"], json!([4]));
    assert_eq!(told["c-5"]["source"], "local");
    assert_eq!(told["c-5"]["subject"], "lead/5");
    let unnamed = told.values().find(|event| event["data"]["n"] == 6).unwrap();
    assert_ne!(unnamed["id"], "", "an event without a key gets an id");
}

#[test]
fn an_event_is_taken_once_and_never_changed() {
    let receiver = Receiver::scripted(Vec::new());
    let mut daemon = echo(&receiver);
    let event = structured("d-1", "demo.sent", "lead/1", &json!({ "n": 1, "m": 2 }));
    let again = event.replace(r#""n":1,"m":2"#, r#""m":2,"n":1"#);
    assert_ne!(event, again);
    for body in [&event, &event, &again] {
        assert_eq!(daemon.post("/v1/events", &[STRUCTURED], body).status, 202);
    }
    runs::story(&daemon, "echo", "done");
    daemon.kill();
    daemon.restart();
    assert_eq!(daemon.post("/v1/events", &[STRUCTURED], &event).status, 202);

    let other = event.replace(r#""n":1"#, r#""n":9"#);
    let answer = daemon.post("/v1/events", &[STRUCTURED], &other);
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(answer.header("content-type").unwrap().starts_with("application/problem+json"));
    assert!(answer.body.contains("d-1"), "{answer:?}");

    let elsewhere = event.replace("/rig", "/other");
    assert_eq!(daemon.post("/v1/events", &[STRUCTURED], &elsewhere).status, 202);
    told(&receiver, 2);
    std::thread::sleep(QUIET);
    assert_eq!(receiver.count(), 2);
}

#[test]
fn a_batch_answers_for_each_event() {
    let receiver = Receiver::scripted(Vec::new());
    let daemon = echo(&receiver);
    let good = |id: &str, n: u64| structured(id, "demo.sent", "lead/1", &json!({ "n": n }));
    let first = format!("[{},{}]", good("b-1", 1), good("b-2", 2));
    assert_eq!(daemon.post("/v1/events", &[BATCH], &first).status, 202);

    let no_type = good("b-4", 4).replace(r#""type":"demo.sent","#, "");
    assert_ne!(no_type, good("b-4", 4));
    let mixed = format!("[{},{},{no_type},{}]", good("b-3", 3), good("b-1", 99), good("b-2", 2));
    let answer = daemon.post("/v1/events", &[BATCH], &mixed);
    assert_eq!(answer.status, 207, "{answer:?}");
    let results = answer.json()["results"].as_array().cloned().unwrap();
    let statuses: Vec<_> = results.iter().map(|one| one["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [202, 422, 400, 202], "{answer:?}");
    told(&receiver, 3);
    std::thread::sleep(QUIET);
    assert_eq!(receiver.count(), 3);
}

#[test]
fn what_is_no_event_is_refused_with_its_reason() {
    let receiver = Receiver::scripted(Vec::new());
    let daemon = echo(&receiver);
    let event = structured("r-1", "demo.sent", "lead/1", &json!({}));
    let deep = format!("{}1{}", "[".repeat(80), "]".repeat(80));
    let deep = event.replace(r#""data":{}"#, &format!(r#""data":{deep}"#));
    let large = event.replace(r#""data":{}"#, &format!(r#""data":"{}""#, "x".repeat(1_100_000)));
    let cases = [
        ("not JSON", event.replace("{}", "{"), STRUCTURED, 400),
        ("no id", event.replace(r#""id":"r-1","#, ""), STRUCTURED, 400),
        ("an unknown version", event.replace(r#""1.0""#, r#""9.0""#), STRUCTURED, 400),
        ("too deep", deep, STRUCTURED, 400),
        ("too large", large, STRUCTURED, 413),
        ("our own type", event.replace("demo.sent", "run.failed"), STRUCTURED, 400),
        ("a form, as a web page would send it", "a=b".to_owned(), FORM, 415),
    ];
    for (what, body, kind, status) in cases {
        let answer = daemon.post("/v1/events", &[kind], &body);
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        let kind = answer.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/problem+json"), "{what}: {answer:?}");
    }
    let strange = daemon.post("/v1/events", &[STRUCTURED, ("host", "evil.example")], &event);
    assert!((400..500).contains(&strange.status), "a strange Host: {strange:?}");
    // Nobody wants this one: it is accepted all the same.
    let unwanted = event.replace("demo.sent", "other.thing");
    assert_eq!(daemon.post("/v1/events", &[STRUCTURED], &unwanted).status, 202);
    let plain = daemon.post("/v1/events/demo.sent", &[PLAIN], "\u{feff}{");
    assert_eq!(plain.status, 400, "{plain:?}");
    std::thread::sleep(QUIET);
    assert_eq!(receiver.count(), 0);
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
