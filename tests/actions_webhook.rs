//! Webhooks of the performer as a real HTTP receiver sees them, and what each answer comes to.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "support/command.rs"]
mod command;
mod support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use adjutant::actions::{Endpoint, Performer, Secrets, Settings};
use adjutant::model::{ActionKind, Command, Map, Outcome, Span, Value, limits};
use command::{NoTemplates, done, failed, list, message, retry, secrets, uncertain};
use support::pki::Authority;
use support::receiver::{Receiver, Reply};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const KEY: &str = "eff_09090909090909090909090909090909";

fn hook<const N: usize>(params: [(&str, Value); N]) -> Command {
    command::command(ActionKind::Webhook, 9, params)
}

fn local() -> Settings {
    let mut settings = Settings::default();
    settings.webhooks.allow_networks =
        vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
    settings
}

fn performer() -> Performer {
    command::performer(&local(), Secrets::default())
}

async fn send(performer: &Performer, command: &Command) -> Outcome {
    performer.perform(command, &NoTemplates).await
}

fn url(text: String) -> (&'static str, Value) {
    ("url", Value::from(text))
}

#[tokio::test]
async fn a_json_request_arrives_and_its_answer_is_the_result() {
    let receiver = Receiver::scripted(vec![
        Reply::status(201).header("X-Request-Id", "r-1").body("{\"id\": 7, \"ok\": true}"),
    ]);
    let json = Value::from([("b", Value::Int(1)), ("a", list(&["ü", "\u{1f680}"]))]);
    let command = hook([
        url(receiver.url("/in?x=1")),
        ("json", json),
        (
            "query",
            Value::from([
                ("q", Value::from("a b&c")),
                ("n", Value::Null),
                ("l", list(&["1", "2"])),
            ]),
        ),
        ("headers", Value::from([("X-Case", Value::Int(42)), ("X-None", Value::Null)])),
    ]);
    let outcome = send(&performer(), &command).await;
    let result = done(&outcome);
    assert_eq!(result.get("status"), Some(&Value::Int(201)));
    assert_eq!(result.get("body").unwrap().get("id"), Some(&Value::Int(7)));
    let headers = result.get("headers").unwrap();
    assert_eq!(headers.get("x-request-id"), Some(&Value::from("r-1")));
    assert_eq!(result.get("truncated"), None);

    let heard = receiver.heard().remove(0);
    assert_eq!(heard.method, "POST");
    assert_eq!(heard.path, "/in?x=1&l=1&l=2&q=a+b%26c");
    assert_eq!(heard.body, "{\"a\":[\"ü\",\"\u{1f680}\"],\"b\":1}");
    assert_eq!(heard.header("content-type"), Some("application/json"));
    assert_eq!(heard.header("content-length"), Some(&*heard.body.len().to_string()));
    assert_eq!(heard.header("idempotency-key"), Some(KEY));
    assert_eq!(heard.header("webhook-id"), Some(KEY));
    assert_eq!(heard.header("webhook-timestamp"), Some("1772445600"));
    assert_eq!(heard.header("webhook-signature"), None);
    assert_eq!(heard.header("user-agent"), Some(concat!("adjutant/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(heard.header("x-case"), Some("42"));
    assert_eq!(heard.header("x-none"), None);
}

#[tokio::test]
async fn forms_texts_and_empty_bodies_are_sent_as_they_are() {
    let receiver = Receiver::scripted(vec![]);
    let performer = performer();
    let form =
        Value::from([("a", Value::from("x y")), ("b", list(&["1", "2"])), ("c", Value::Null)]);
    done(&send(&performer, &hook([url(receiver.url("/f")), ("form", form)])).await);
    let text = ("body", Value::from("<x>ü</x>"));
    let headers = ("headers", Value::from([("Content-Type", Value::from("application/xml"))]));
    done(&send(&performer, &hook([url(receiver.url("/b")), text, headers])).await);
    done(&send(&performer, &hook([url(receiver.url("/g")), ("method", Value::from("get"))])).await);
    done(&send(&performer, &hook([url(receiver.url("/e"))])).await);
    let heard = receiver.heard();
    assert_eq!(heard[0].body, "a=x+y&b=1&b=2");
    assert_eq!(heard[0].header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(heard[1].body, "<x>ü</x>");
    assert_eq!(heard[1].header("content-type"), Some("application/xml"));
    assert_eq!((&*heard[2].method, heard[2].header("content-type")), ("GET", None));
    assert_eq!((&*heard[3].method, heard[3].body.len()), ("POST", 0));
    assert_eq!(heard[3].header("content-length").unwrap_or("0"), "0");
}

#[tokio::test]
async fn a_failing_receiver_is_tried_again_under_the_same_key() {
    let receiver = Receiver::scripted(vec![
        Reply::status(500).body("out of\r\norder"),
        Reply::status(429).header("Retry-After", "30"),
        Reply::status(503).header("Retry-After", "Mon, 02 Mar 2026 10:01:00 GMT"),
        Reply::status(200),
    ]);
    let performer = performer();
    let command = hook([url(receiver.url("/in")), ("json", Value::Int(1))]);
    let first = send(&performer, &command).await;
    assert_eq!(retry(&first), "http_500");
    assert!(message(&first).ends_with("answered 500: out of order"), "{first:?}");
    for (code, wait) in [("http_429", 30), ("http_503", 60)] {
        let outcome = send(&performer, &command).await;
        assert_eq!(retry(&outcome), code);
        assert!(
            matches!(outcome, Outcome::Retry { after: Some(after), .. } if after == Span::from_secs(wait))
        );
    }
    done(&send(&performer, &command).await);
    let heard = receiver.heard();
    assert!(heard.iter().all(|heard| heard.key() == KEY && heard.body == "1"));
    assert_eq!(heard.len(), 4);
}

#[tokio::test]
async fn final_answers_fail_and_expected_ones_do_not() {
    let performer = performer();
    let receiver = Receiver::scripted(vec![
        Reply::status(302).header("Location", "https://elsewhere.example/"),
        Reply::status(410),
        Reply::status(404),
        Reply::status(404),
    ]);
    let command = hook([url(receiver.url("/in"))]);
    let outcome = send(&performer, &command).await;
    assert_eq!(failed(&outcome), "http_302");
    assert!(message(&outcome).contains("redirects are not followed"), "{outcome:?}");
    assert_eq!(failed(&send(&performer, &command).await), "gone");
    assert_eq!(failed(&send(&performer, &command).await), "http_404");
    let expecting =
        hook([url(receiver.url("/in")), ("expect", Value::List(vec![Value::Int(404)]))]);
    let outcome = send(&performer, &expecting).await;
    assert_eq!(done(&outcome).get("status"), Some(&Value::Int(404)));
    assert_eq!(failed(&send(&performer, &expecting).await), "http_200");
    assert_eq!(receiver.count(), 5);
}

#[tokio::test]
async fn signatures_hold_for_independent_code() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let receiver = Receiver::scripted(vec![]);
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    receiver.keep_in(&ledger);
    let mut settings = local();
    settings.webhooks.secret = Some("general".parse().unwrap());
    let own = Endpoint {
        url: Some(receiver.url("/own").parse().unwrap()),
        secret: Some("own".parse().unwrap()),
        ..Endpoint::default()
    };
    settings.webhooks.endpoints = [("crm".into(), own)].into();
    let vault =
        secrets(&[("ADJUTANT_SECRET_GENERAL", secret), ("ADJUTANT_SECRET_OWN", "a raw key")]);
    // The package refuses old timestamps, so this one test lives in real time.
    #[allow(clippy::disallowed_methods, reason = "an independent verifier looks at its own clock")]
    let clock = Arc::new(|| adjutant::model::Instant::from_timestamp(jiff::Timestamp::now()));
    let performer = Performer::new(&settings, vault, clock).unwrap();
    let json = || ("json", Value::from([("test", Value::from("ü"))]));
    done(&send(&performer, &hook([url(receiver.url("/a")), json()])).await);
    done(&send(&performer, &hook([url(receiver.url("/b"))])).await);
    let said = support::python::run("verify_webhooks.py", &[secret, ledger.to_str().unwrap()]);
    assert_eq!(said.out.trim(), "2", "{}", said.err);

    done(&send(&performer, &hook([url(receiver.url("/c")), ("sign", Value::from(false))])).await);
    done(&send(&performer, &hook([("endpoint", Value::from("crm")), json()])).await);
    let heard = receiver.heard();
    assert_eq!(heard[2].header("webhook-signature"), None);
    let stamp = heard[3].header("webhook-timestamp").unwrap().parse().unwrap();
    let expected = adjutant::model::sign("a raw key", KEY, stamp, &heard[3].body).unwrap();
    assert_eq!(heard[3].header("webhook-signature"), Some(&*expected));
}

#[tokio::test]
async fn what_was_sent_without_an_answer_is_uncertain() {
    let receiver = Receiver::scripted(vec![
        Reply::none(),
        Reply::status(200).after(Duration::from_secs(5)),
        Reply::status(200).after(Duration::from_secs(5)),
    ]);
    let performer = performer();
    let mut command = hook([url(receiver.url("/in")), ("json", Value::Int(1))]);
    command.timeout = Some(Span::from_millis(300));
    assert_eq!(uncertain(&send(&performer, &command).await), "answer_lost");
    assert_eq!(uncertain(&send(&performer, &command).await), "timeout");
    let mut empty = hook([url(receiver.url("/in"))]);
    empty.timeout = Some(Span::from_millis(300));
    assert_eq!(uncertain(&send(&performer, &empty).await), "timeout");
    assert_eq!(receiver.count(), 3);
}

#[tokio::test]
async fn what_was_not_sent_is_tried_again() {
    let performer = performer();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outcome =
        send(&performer, &hook([url(format!("http://{free}/")), ("json", Value::Int(1))])).await;
    assert_eq!(retry(&outcome), "connect");

    // It takes connections and never greets: the request is still with us.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let mut command = hook([url(format!("https://{address}/")), ("json", Value::Int(1))]);
    command.timeout = Some(Span::from_millis(300));
    assert_eq!(retry(&send(&performer, &command).await), "timeout");

    let outcome = send(
        &performer,
        &hook([url("http://nobody.invalid/".to_owned()), ("json", Value::Int(1))]),
    )
    .await;
    assert_eq!(retry(&outcome), "dns", "{outcome:?}");
}

/// Answers each connection once with these bytes after reading a request, then hangs up.
fn raw(answer: &'static [u8], hold: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer);
            std::thread::sleep(hold);
        }
    });
    format!("http://{address}/")
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_judged_by_its_status() {
    let performer = performer();
    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
    let command = hook([url(raw(short, Duration::ZERO)), ("json", Value::Int(1))]);
    assert_eq!(uncertain(&send(&performer, &command).await), "answer_lost");
    let mut slow = hook([url(raw(short, Duration::from_secs(3))), ("json", Value::Int(1))]);
    slow.timeout = Some(Span::from_millis(300));
    let outcome = send(&performer, &slow).await;
    assert_eq!(uncertain(&outcome), "answer_lost");
    assert!(message(&outcome).contains("no answer in 0.3 s"), "{outcome:?}");
    let failing = b"HTTP/1.1 502 Bad\r\ncontent-length: 100\r\n\r\noops";
    let command = hook([url(raw(failing, Duration::ZERO)), ("json", Value::Int(1))]);
    let outcome = send(&performer, &command).await;
    assert_eq!(retry(&outcome), "http_502");
    assert!(message(&outcome).ends_with("oops"), "{outcome:?}");
    let nonsense = raw(b"SSH-2.0-OpenSSH\r\n", Duration::ZERO);
    let command = hook([url(nonsense), ("json", Value::Int(1))]);
    assert_eq!(uncertain(&send(&performer, &command).await), "answer_lost");
}

#[tokio::test]
async fn a_huge_answer_is_cut() {
    let huge = "ü".repeat(200_000);
    let receiver = Receiver::scripted(vec![Reply::status(200).body(&huge)]);
    let performer = performer();
    let outcome = send(&performer, &hook([url(receiver.url("/"))])).await;
    let result = done(&outcome);
    assert_eq!(result.get("truncated"), Some(&Value::from(true)));
    let body = result.get("body").unwrap().as_text().unwrap();
    assert!(body.len() <= limits::RESPONSE_BYTES && body.len() > limits::RESPONSE_BYTES - 4);
    assert!(body.chars().all(|c| c == 'ü'));
    assert!(result.weight() <= limits::RESULT_BYTES);
    // The next request is not disturbed by what was not read.
    done(&send(&performer, &hook([url(receiver.url("/"))])).await);
}

#[tokio::test]
async fn private_addresses_are_refused_unless_a_setting_allows_them() {
    let receiver = Receiver::scripted(vec![]);
    let port = receiver.url("").rsplit_once(':').unwrap().1.to_owned();
    let strict = command::performer(&Settings::default(), Secrets::default());
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "169.254.169.254",
        "10.0.0.1",
        "[fe80::1]",
        "[64:ff9b::7f00:1]",
    ] {
        let outcome = send(&strict, &hook([url(format!("http://{host}:{port}/"))])).await;
        assert_eq!(failed(&outcome), "network_refused", "{host}: {outcome:?}");
        assert!(message(&outcome).contains("webhooks.allow_networks"), "{outcome:?}");
    }
    let mut settings = Settings::default();
    let endpoint =
        Endpoint { url: Some(receiver.url("/").parse().unwrap()), ..Endpoint::default() };
    settings.webhooks.endpoints = [("crm".into(), endpoint)].into();
    let strict = command::performer(&settings, Secrets::default());
    let outcome = send(&strict, &hook([("endpoint", Value::from("crm"))])).await;
    assert_eq!(failed(&outcome), "network_refused");
    assert_eq!(receiver.count(), 0);
    done(&send(&performer(), &hook([url(format!("http://localhost:{port}/"))])).await);
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn nothing_from_outside_becomes_a_header_or_another_request() {
    let receiver = Receiver::scripted(vec![]);
    let performer = performer();
    let here = || url(receiver.url("/"));
    let header = |name: &str, value: &str| ("headers", Value::from([(name, Value::from(value))]));
    let cases = [
        (hook([here(), header("X-A", "1\r\nX-B: 2")]), "header"),
        (hook([here(), header("X-A\r\nX-B", "2")]), "header"),
        (hook([here(), header("Idempotency-Key", "mine")]), "header"),
        (hook([here(), header("webhook-signature", "v1,x")]), "header"),
        (hook([here(), header("Transfer-Encoding", "chunked")]), "header"),
        (hook([here(), header("Content-Length", "3")]), "header"),
        (hook([here(), header("Host", "evil.example")]), "header"),
        (hook([here(), ("headers", Value::from([("X", list(&["a"]))]))]), "header"),
        (hook([here(), header("X-A", &"x".repeat(20_000))]), "header"),
        (hook([url(receiver.url("/ HTTP/1.1\r\nX: y"))]), "url"),
        (hook([url("file:///etc/passwd".to_owned())]), "url"),
        (hook([url("/relative".to_owned())]), "url"),
        (hook([url("http://user:pass@127.0.0.1/".to_owned())]), "url"),
        (hook([url(format!("http://127.0.0.1/{}", "x".repeat(9_000)))]), "url"),
        (hook([here(), ("method", Value::from("GET /x"))]), "params"),
        (hook([here(), ("json", Value::Null), ("body", Value::from("x"))]), "params"),
        (hook([here(), ("expect", Value::List(vec![Value::Int(7)]))]), "params"),
        (hook([here(), ("form", Value::from([("a", Value::Map(Map::new()))]))]), "params"),
        (hook([]), "params"),
        (hook([here(), ("json", Value::from("\u{e000}secret:crm\u{e001}"))]), "secret"),
        (hook([url(receiver.url("/\u{e000}secret:crm\u{e001}"))]), "secret"),
    ];
    for (command, code) in cases {
        let outcome = send(&performer, &command).await;
        assert_eq!(failed(&outcome), code, "{:?}", command.params);
        assert!(!message(&outcome).contains(['\r', '\n']), "{outcome:?}");
    }
    assert_eq!(receiver.count(), 0);
}

#[tokio::test]
async fn secrets_are_filled_in_at_the_attempt_and_stay_secret() {
    let receiver = Receiver::start(|heard| {
        let echo = heard.header("authorization").unwrap_or_default().to_owned();
        let status = if heard.earlier == 0 { 200 } else { 400 };
        Reply::status(status).header("X-Echo", &echo).body(&format!("{{\"you\": \"{echo}\"}}"))
    });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("crm_token"), "t0ken-one\n").unwrap();
    let vault = Secrets::new(Some(folder.path().to_owned()), []);
    let performer = command::performer(&local(), vault);
    let mark = |name: &str| format!("\u{e000}secret:{name}\u{e001}");
    let command = |secret: &str| {
        hook([
            url(receiver.url("/")),
            (
                "headers",
                Value::from([("Authorization", Value::from(format!("Bearer {}", mark(secret))))]),
            ),
            ("query", Value::from([("key", Value::from(mark(secret)))])),
            ("secrets", list(&["crm_token", "missing"])),
        ])
    };
    let first = send(&performer, &command("crm_token")).await;
    done(&first);
    // A renewed credential counts at the next attempt.
    std::fs::write(folder.path().join("crm_token"), "t0ken-two\n").unwrap();
    let second = send(&performer, &command("crm_token")).await;
    assert_eq!(failed(&second), "http_400");
    let heard = receiver.heard();
    assert_eq!(heard[0].header("authorization"), Some("Bearer t0ken-one"));
    assert_eq!(heard[0].path, "/?key=t0ken-one");
    assert_eq!(heard[1].header("authorization"), Some("Bearer t0ken-two"));
    for outcome in [&first, &second] {
        let shown = format!("{outcome:?}");
        assert!(!shown.contains("t0ken") && shown.contains("[secret]"), "{shown}");
    }
    assert_eq!(retry(&send(&performer, &command("missing")).await), "secret");
    let other = send(&performer, &command("smtp_password")).await;
    assert_eq!(failed(&other), "secret");
    // An error of the connection names no query either.
    let mut gone = command("crm_token");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    if let Value::Map(map) = &mut gone.params {
        map.insert("url".into(), Value::from(format!("http://{free}/")));
    }
    let outcome = send(&performer, &gone).await;
    assert!(!format!("{outcome:?}").contains("t0ken"), "{outcome:?}");
    assert_eq!(receiver.count(), 2);
}

#[tokio::test]
async fn an_endpoint_without_an_address_goes_to_the_outbox() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = local();
    settings.outbox = folder.path().to_owned();
    settings.webhooks.endpoints = [("crm".into(), Endpoint::default())].into();
    let performer =
        command::performer(&settings, secrets(&[("ADJUTANT_SECRET_CRM_TOKEN", "hunter2!")]));
    for name in ["crm", "unheard-of"] {
        let command = hook([
            ("endpoint", Value::from(name)),
            ("json", Value::from([("id", Value::Int(42))])),
            ("query", Value::from([("q", Value::from("a b"))])),
            (
                "headers",
                Value::from([(
                    "Authorization",
                    Value::from("Bearer \u{e000}secret:crm_token\u{e001}"),
                )]),
            ),
        ]);
        let outcome = send(&performer, &command).await;
        assert_eq!(send(&performer, &command).await, outcome);
        let result = done(&outcome);
        assert_eq!(result.get("status"), Some(&Value::Int(202)));
        let path = result.get("outbox").unwrap().as_text().unwrap();
        assert!(path.ends_with(&format!("20260302T095500.000000Z-{KEY}.http")), "{path}");
        let text = std::fs::read_to_string(path).unwrap();
        let expected = format!(
            "POST {{{{{name}}}}}?q=a+b HTTP/1.1\r\nauthorization: Bearer [secret crm_token]\r\n\
             content-type: application/json\r\naccept: */*\r\nuser-agent: adjutant/{}\r\n\
             idempotency-key: {KEY}\r\nwebhook-id: {KEY}\r\n\r\n{{\"id\":42}}",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(text, expected);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// A server that counts its connections and answers every request on them.
async fn counting(authority: Option<&Authority>) -> (u16, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let acceptor = authority.map(|a| tokio_rustls::TlsAcceptor::from(Arc::clone(&a.server)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            match acceptor.clone() {
                None => drop(tokio::spawn(answer(stream))),
                Some(acceptor) => drop(tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        answer(stream).await;
                    }
                })),
            }
        }
    });
    (port, count)
}

async fn answer(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) {
    let mut request = [0; 8192];
    while let Ok(1..) = stream.read(&mut request).await {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    }
}

#[tokio::test]
async fn connections_are_kept_alive() {
    let (port, connections) = counting(None).await;
    let performer = performer();
    for _ in 0..20 {
        done(&send(&performer, &hook([url(format!("http://127.0.0.1:{port}/"))])).await);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn https_needs_a_certificate_that_is_trusted() {
    let authority = Authority::new();
    let (port, connections) = counting(Some(&authority)).await;
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &authority.pem).unwrap();
    let mut settings = local();
    settings.webhooks.ca = Some(ca);
    let command = hook([url(format!("https://localhost:{port}/")), ("json", Value::Int(1))]);
    done(&send(&command::performer(&settings, Secrets::default()), &command).await);
    let outcome = send(&performer(), &command).await;
    assert_eq!(retry(&outcome), "tls");
    assert!(message(&outcome).contains("certificate"), "{outcome:?}");
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn many_requests_go_out_at_once() {
    let receiver = Receiver::start(|_| Reply::status(200).after(Duration::from_millis(100)));
    let performer = Arc::new(performer());
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..limits::HOST_REQUESTS {
        let performer = Arc::clone(&performer);
        let command = hook([url(receiver.url(&format!("/{n}"))), ("json", Value::Int(1))]);
        tasks.spawn(async move { send(&performer, &command).await });
    }
    while let Some(outcome) = tasks.join_next().await {
        done(&outcome.unwrap());
    }
    assert_eq!(receiver.count(), limits::HOST_REQUESTS);
}
