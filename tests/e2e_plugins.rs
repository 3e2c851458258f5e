//! Plugins in the real daemon: actions that send, transforms of inbound webhooks, polls, and a plugin that
//! means no good.

#![allow(clippy::disallowed_methods, reason = "a real daemon is driven in real time")]

mod support;

use std::path::Path;
use std::time::Duration;

use adjutant::model::sign;
use serde_json::{Value as Json, json};
use support::daemon::Daemon;
use support::folder::Folder;
use support::receiver::{Receiver, Reply};
use support::{cli, wait_for};

/// Long enough for the daemon to do something.
const SOON: Duration = Duration::from_secs(30);

/// Copies a plugin that ships.
fn shipped(folder: &Folder, name: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins").join(name);
    let entries = std::fs::read_dir(from).expect("a plugin").flatten();
    for entry in entries.filter(|entry| entry.path().is_file()) {
        let text = std::fs::read_to_string(entry.path()).expect("a file");
        folder.write(&format!("plugins/{name}/{}", entry.file_name().to_string_lossy()), &text);
    }
}

fn record(daemon: &Daemon, address: &str) -> Option<Json> {
    let answer = daemon.get(&format!("/v1/records/{address}"));
    (answer.status == 200).then(|| answer.json()["fields"].clone())
}

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("after 1970").as_secs() as i64
}

#[test]
fn an_action_sends_with_its_secret_and_a_channel_gets_its_message() {
    let receiver =
        Receiver::scripted(vec![Reply::status(200), Reply::status(503), Reply::status(200)]);
    let config = "\
webhooks:
  allow_networks: [127.0.0.1]
  endpoints: { ops-chat: { url_secret: chat_url } }
plugin_settings: { chat: { format: mattermost, username: Desk } }
";
    let rules = r#"
workflow: told
triggers: [{ event: complaint.filed }]
steps:
  - action: chat
    args: { to: ops-chat, text: "${event.data.text}", fields: { Owner: ana } }
    id: chat
  - action: desk
    args: { base: "${event.data.base}", token: "${secret(\"rule_key\")}" }
    retry: { attempts: 3, initial: 100ms }
    id: desk
  - record: ${event.subject}
    set: { chat: "${steps.chat.status}", desk: "${steps.desk.status}" }
"#;
    let folder = Folder::new(config)
        .rule("told.yaml", rules)
        .secret("chat_url", &receiver.url("/services/T0/B0/very-secret-path"))
        .secret("desk_key", "hunter\"2\\")
        .secret("rule_key", "from the rule");
    shipped(&folder, "chat");
    folder.write(
        "plugins/desk/plugin.yaml",
        "name: desk\nversion: 1.0.0\npermissions: { hosts: [127.0.0.1], secrets: [desk_key] }\n",
    );
    folder.write(
        "plugins/desk/desk.rhai",
        "fn action_desk(args) { #{ url: args.base + \"/desk\", headers: #{ \"x-token\": args.token }, json: #{ key: secret(\"desk_key\") } } }",
    );
    let mut daemon = Daemon::start(folder);
    let data = json!({ "text": "it leaks", "base": receiver.url("") });
    daemon.event("e-1", "complaint.filed", "complaint/1", &data);
    wait_for("the record", SOON, || record(&daemon, "complaint/1"));
    assert_eq!(record(&daemon, "complaint/1"), Some(json!({ "chat": 200, "desk": 200 })));

    let chat = receiver.heard_at("/services/T0/B0/very-secret-path");
    assert_eq!(chat.len(), 1);
    assert_eq!(chat[0].json()["username"], "Desk");
    assert_eq!(chat[0].json()["attachments"][0]["text"], "it leaks");
    let desk = receiver.heard_at("/desk");
    assert_eq!(desk.len(), 2, "tried again after 503");
    assert_eq!((desk[0].key(), &desk[0].body), (desk[1].key(), &desk[1].body));
    assert_ne!(desk[0].key(), chat[0].key());
    assert_eq!(desk[0].json(), json!({ "key": "hunter\"2\\" }));
    assert_eq!(desk[0].header("x-token"), Some("from the rule"));

    // No secret is in a log, a story or the state.
    let story = daemon.run(&["runs", "show", "1", "--json"]);
    assert_eq!(story.code, 0, "{story:?}");
    daemon.stop();
    let mut everything = format!("{}{}", story.out, daemon.log()).into_bytes();
    for entry in walk(&daemon.folder.path("data")) {
        everything.extend(std::fs::read(entry).unwrap_or_default());
    }
    let everything = String::from_utf8_lossy(&everything);
    for secret in ["very-secret-path", "hunter", "from the rule"] {
        assert!(!everything.contains(secret), "`{secret}` is somewhere");
    }
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

const HOOKS: &str = "  hooks:
    - { path: contact, verify: none, transform: from_form }
    - { path: crm, verify: standard, secret: crm_hook }
    - { path: shop, verify: hmac, secret: shop_hook, header: X-Shop, id_header: X-Delivery, transform: from_shop }
";

const SHOP: &str = r#"
fn from_shop(request) {
    if request.body?.kind == "ping" { return (); }
    request.body.orders.map(|order| #{
        type: "order.placed",
        subject: `order/${order.no}`,
        data: #{ total: order.total, hook: request.hook, sender: request.headers.get("x-sender") },
    })
}
"#;

const TAKERS: &str = r#"
workflow: forms
triggers: [{ event: form.submitted }]
steps:
  - record: ${"form/" + event.data.answers.email}
    set: { form: "${event.data.form}", name: "${event.data.answers.name}" }
---
workflow: crm
triggers: [{ webhook: crm, where: event.data.kind == "lead" }]
steps:
  - record: ${"crm/" + event.data.id}
    set: { seen: "${(old?.seen ?? 0) + 1}" }
---
workflow: orders
triggers: [{ event: order.placed }]
steps:
  - record: ${event.subject}
    set: { total: "${event.data.total}", sender: "${event.data.sender}" }
  - metric: orders_total
    labels: { hook: "${event.data.hook}" }
  - metric: orders_value
    add: ${event.data.total}
"#;

fn hmac_hex(key: &str, body: &str) -> String {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let mac = Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).expect("any key");
    let bytes = mac.chain_update(body.as_bytes()).finalize().into_bytes();
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

#[test]
fn inbound_webhooks_are_verified_and_transformed() {
    let folder = Folder::new(HOOKS)
        .rule("takers.yaml", TAKERS)
        .secret("crm_hook", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        .secret("shop_hook", "between us");
    shipped(&folder, "forms");
    folder.write("plugins/shop.rhai", SHOP);
    let daemon = Daemon::start(folder);

    // Standard Webhooks: no token, only the signature; a repeated delivery is known.
    let body = r#"{"kind":"lead","id":"7"}"#;
    let deliver = |id: &str, at: i64, body: &str, signature: &str| {
        let at = at.to_string();
        let headers = [
            ("content-type", "application/json"),
            ("webhook-id", id),
            ("webhook-timestamp", &*at),
            ("webhook-signature", signature),
        ];
        daemon.post("/hooks/crm", &headers, body)
    };
    let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let signed = |id: &str, at: i64| sign(key, id, at, body.as_bytes()).expect("a key");
    let at = now();
    let first = deliver("msg_1", at, body, &signed("msg_1", at));
    assert_eq!(first.status, 202, "{first:?}");
    let again = deliver("msg_1", at, body, &signed("msg_1", at));
    assert_eq!(again.json()["events"][0]["duplicate"], true, "{again:?}");
    assert_eq!(first.json()["events"][0]["event"], again.json()["events"][0]["event"]);
    wait_for("the lead", SOON, || record(&daemon, "crm/7"));
    assert_eq!(record(&daemon, "crm/7"), Some(json!({ "seen": 1 })));
    for (what, answer) in [
        ("another body", deliver("msg_2", at, "{}", &signed("msg_2", at))),
        ("another id", deliver("msg_3", at, body, &signed("msg_2", at))),
        ("too old", deliver("msg_4", at - 301, body, &signed("msg_4", at - 301))),
        ("unsigned", daemon.post("/hooks/crm", &[("content-type", "application/json")], body)),
    ] {
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        assert_eq!(answer.json()["code"], "signature", "{what}: {answer:?}");
    }

    // An HMAC of the raw body, a transform that makes several events, or none.
    let orders = r#"{"orders":[{"no":1,"total":5},{"no":2,"total":7.5}]}"#;
    let shop = |id: &str, body: &str, signature: &str| {
        let headers = [
            ("content-type", "application/json"),
            ("x-shop", signature),
            ("x-delivery", id),
            ("x-sender", "till 3"),
        ];
        daemon.post("/hooks/shop", &headers, body)
    };
    let answer = shop("d-1", orders, &hmac_hex("between us", orders));
    assert_eq!(
        (answer.status, answer.json()["events"].as_array().map(Vec::len)),
        (202, Some(2)),
        "{answer:?}"
    );
    assert_eq!(answer.json()["events"][1]["id"], "d-1/1");
    let again = shop("d-1", orders, &hmac_hex("between us", orders));
    assert_eq!(again.json()["events"][0]["duplicate"], true, "{again:?}");
    let ping = r#"{"kind":"ping"}"#;
    let answer = shop("d-2", ping, &hmac_hex("between us", ping));
    assert_eq!((answer.status, answer.json()), (202, json!({ "events": [] })));
    assert_eq!(shop("d-3", orders, &hmac_hex("between you", orders)).status, 401);
    // A transform that fails: the sender keeps it and tries again; the log names the place.
    let odd = r#"{"orders":5}"#;
    let answer = shop("d-4", odd, &hmac_hex("between us", odd));
    assert_eq!(answer.status, 500, "{answer:?}");
    assert!(!answer.body.contains("shop.rhai"), "{answer:?}");
    assert!(daemon.log().contains("plugins/shop.rhai:4:"), "{}", daemon.log());
    wait_for("the orders", SOON, || record(&daemon, "order/2"));
    assert_eq!(record(&daemon, "order/2"), Some(json!({ "total": 7.5, "sender": "till 3" })));
    let metrics = wait_for("the metrics", SOON, || {
        let answer = daemon.get("/metrics");
        answer.body.contains("orders_value 12.5").then_some(answer)
    });
    assert!(
        metrics.body.contains("# TYPE orders_total counter\norders_total{hook=\"shop\"} 2\n"),
        "{metrics:?}"
    );

    // Without verification it is let in like any other request.
    let json = [("content-type", "application/json")];
    let answer = daemon.post("/hooks/contact", &json, r#"{"Email":"a@x.example","Name":"Ann"}"#);
    assert_eq!(answer.status, 202, "{answer:?}");
    wait_for("the form", SOON, || record(&daemon, "form/a@x.example"));
    assert_eq!(
        record(&daemon, "form/a@x.example"),
        Some(json!({ "form": "contact", "name": "Ann" }))
    );
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(
        daemon.post("/hooks/contact", &form, "email=a").status,
        415,
        "a page could send this"
    );
    let page = [("content-type", "application/json"), ("origin", "https://evil.example")];
    assert_eq!(daemon.post("/hooks/contact", &page, "{}").status, 403);
    assert_eq!(daemon.post("/hooks/nothing", &json, "{}").status, 404);
    assert_eq!(daemon.get("/hooks/crm").status, 405);
}

#[test]
fn a_form_with_a_token_is_taken() {
    let sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"; // of `test`
    let http =
        format!("  tokens: [{{ name: forms, scopes: [ingest], sha256: \"{sha256}\" }}]\n{HOOKS}");
    let folder = Folder::new(&http)
        .rule("takers.yaml", TAKERS)
        .secret("crm_hook", "a")
        .secret("shop_hook", "b");
    shipped(&folder, "forms");
    folder.write("plugins/shop.rhai", SHOP);
    let daemon = Daemon::start(folder);
    let form = ("content-type", "application/x-www-form-urlencoded");
    let body = "email=b%40x.example&name=Bo+Berg";
    assert_eq!(daemon.post("/hooks/contact", &[form], body).status, 401);
    let answer = daemon.post("/hooks/contact", &[form, ("authorization", "Bearer test")], body);
    assert_eq!(answer.status, 202, "{answer:?}");
    let shown = wait_for("the form", SOON, || {
        let shown = daemon.run(&["records", "show", "form/b@x.example", "--json"]);
        (shown.code == 0).then_some(shown)
    });
    assert_eq!(shown.json()["fields"]["name"], "Bo Berg");
}

#[test]
fn a_hook_that_cannot_work_keeps_the_daemon_from_starting() {
    let folder = Folder::new(HOOKS)
        .rule("takers.yaml", TAKERS)
        .secret("crm_hook", "a")
        .secret("shop_hook", "b");
    let said = cli::run(&folder.path(""), &["check"]);
    assert_eq!(said.code, 1, "{said:?}");
    for missing in ["from_form", "from_shop"] {
        let message = format!("is transformed by `{missing}`, which no plugin has");
        assert!(said.err.contains(&message) || said.out.contains(&message), "{said:?}");
    }
    shipped(&folder, "forms");
    folder.write("plugins/shop.rhai", SHOP);
    assert_eq!(cli::run(&folder.path(""), &["check"]).code, 0);
    std::fs::remove_file(folder.path("credentials/shop_hook")).expect("it was there");
    let said = cli::run(&folder.path(""), &["serve"]);
    assert_eq!(said.code, 78, "{said:?}");
    assert!(said.err.contains("http.hooks of `shop`: secret"), "{said:?}");
}

#[test]
fn a_poll_brings_what_is_new_once_over_a_kill() {
    let receiver = Receiver::start(|heard| {
        let since: usize =
            heard.path.split_once("since=").map_or(0, |(_, n)| n.parse().unwrap_or(0));
        let items: Vec<Json> = (since + 1..=since + 2).map(|no| json!({ "no": no })).collect();
        Reply::status(200).body(&json!({ "items": items }).to_string())
    });
    let plugin = r#"
fn tickets(cursor) {
    #{ url: settings().base + "/tickets", query: #{ since: cursor ?? 0 } }
}

fn tickets(cursor, answer) {
    let items = answer.body.items;
    #{
        cursor: items.last().no,
        events: items.map(|item| #{ id: item.no, subject: `ticket/${item.no}`, data: item }),
    }
}
"#;
    let manifest = "name: desk\nversion: 1.0.0\npermissions: { hosts: [127.0.0.1] }\nsettings: { required: [base] }\n";
    let rules = "workflow: tickets\ntriggers: [{ poll: tickets, every: 5s }]\nsteps:\n  \
                 - record: ${event.subject}\n    set: { times: \"${(old?.times ?? 0) + 1}\" }\n";
    let config = format!(
        "webhooks: {{ allow_networks: [127.0.0.1] }}\nplugin_settings: {{ desk: {{ base: \"{}\" }} }}\n",
        receiver.url("")
    );
    let folder = Folder::new(&config).rule("tickets.yaml", rules);
    folder.write("plugins/desk/plugin.yaml", manifest);
    folder.write("plugins/desk/desk.rhai", plugin);
    let mut daemon = Daemon::start(folder);
    wait_for("the first tickets", SOON, || record(&daemon, "ticket/2"));
    daemon.kill();
    daemon.restart();
    wait_for("tickets after the kill", SOON, || record(&daemon, "ticket/6"));
    for no in 1..=6 {
        let seen = record(&daemon, &format!("ticket/{no}"));
        assert_eq!(seen, Some(json!({ "times": 1 })), "ticket {no}");
    }
    let heard = receiver.heard();
    assert!(heard.iter().all(|heard| heard.method == "GET"), "{heard:?}");
}

#[test]
fn a_plugin_that_means_no_good_harms_nothing_else() {
    let plugin = r#"
fn action_spin(args) { loop { } }
fn action_grow(args) { let all = []; loop { all.push("x".to_string() + all.len()); } }
fn spin_quickly(x) { loop { } }
fn action_deep(args) { deeper(0) }
fn deeper(n) { deeper(n + 1) }
fn action_elsewhere(args) { #{ url: "http://127.0.0.1:1/" } }
"#;
    let rules = r#"
workflow: spin
triggers: [{ event: bad.spin }]
steps: [{ action: spin, timeout: 2s }]
---
workflow: grow
triggers: [{ event: bad.grow }]
steps: [{ action: grow, timeout: 2s }]
---
workflow: deep
triggers: [{ event: bad.deep }]
steps: [{ action: deep }]
---
workflow: elsewhere
triggers: [{ event: bad.elsewhere }]
steps: [{ action: elsewhere }]
---
workflow: condition
triggers: [{ event: bad.condition, where: spin_quickly(event) }]
steps: [{ log: never }]
---
workflow: good
triggers: [{ event: good.came }]
steps: [{ record: "${event.subject}", set: { ok: true } }]
"#;
    let folder = Folder::new("").rule("rules.yaml", rules);
    folder.write("plugins/bad.rhai", plugin);
    let daemon = Daemon::start(folder);
    let kinds = ["spin", "grow", "deep", "elsewhere", "condition"];
    for (round, kind) in (0..4).flat_map(|round| kinds.map(|kind| (round, kind))) {
        daemon.event(&format!("{kind}-{round}"), &format!("bad.{kind}"), "bad/1", &json!({}));
    }
    // While all of that is under way, others are served as if nothing were.
    for no in 0..50 {
        let began = std::time::Instant::now();
        daemon.event(&format!("good-{no}"), "good.came", &format!("good/{no}"), &json!({}));
        assert!(began.elapsed() < SOON, "an event waited {:?}", began.elapsed());
    }
    wait_for("all that is good", SOON, || record(&daemon, "good/49"));
    let failed = wait_for("all that is bad to be stopped", 3 * SOON, || {
        let runs = daemon.get("/v1/runs?status=failed&limit=100").json();
        let runs = runs["runs"].as_array().cloned().unwrap_or_default();
        (runs.len() == 16).then_some(runs)
    });
    let text = serde_json::to_string(&failed).expect("JSON");
    for said in [
        "plugins/bad.rhai: `action_spin`: it was stopped: it took too long (called at rules/rules.yaml:4)",
        "functions call each other more than 24 deep",
        "requests to `127.0.0.1` are not in `permissions.hosts`",
    ] {
        assert!(text.contains(said), "{said} is not in {text}");
    }
    let grown =
        text.contains("a value grew too large") || text.contains("`action_grow`: it was stopped");
    assert!(grown, "{text}");
    let event = daemon.get("/v1/events/condition-0");
    assert!(event.body.contains("`spin_quickly`: more than 10000 operations"), "{event:?}");
    daemon.event("last", "good.came", "good/last", &json!({}));
    wait_for("it to go on", SOON, || record(&daemon, "good/last"));
}
