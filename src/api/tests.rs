//! Routes against a scripted engine: what is asked of it and how its answers look on the wire.

mod samples;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value as Json, json};

use super::ApiSettings;
use super::access::Peer;
use super::engine::Engine;
use super::routes::App;
use crate::daemon::{Health, Scope, TokenConfig, Unavailable};
use crate::model::*;
use crate::pump::{Account, Answer, Query};
use samples::{escalation, event, record, run, story};

const LOOPBACK: Peer = Peer::Tcp(IpAddr::V4(Ipv4Addr::LOCALHOST));

/// An engine that answers by rule and remembers what it was asked.
#[derive(Default)]
pub(super) struct Script {
    pub(super) inputs: Mutex<Vec<Input>>,
    queries: Mutex<Vec<Query>>,
    unavailable: Mutex<Option<Unavailable>>,
    starting: std::sync::atomic::AtomicBool,
}

impl Script {
    pub(super) async fn submit(&self, input: Input) -> Result<Reply, Unavailable> {
        if let Some(why) = self.unavailable.lock().unwrap().clone() {
            return Err(why);
        }
        let reply = match &input {
            Input::Event(draft) if &*draft.id == "conflict" => Reply::Refused(Refusal::Conflict {
                id: draft.id.clone(),
                source_name: draft.source.clone(),
            }),
            Input::Event(draft) if &*draft.id == "busy" => return Err(Unavailable::Busy(7)),
            Input::Event(draft) => {
                let mut inputs = self.inputs.lock().unwrap();
                inputs.push(input.clone());
                let event = EventNo(inputs.len() as u64);
                Reply::Accepted { event, duplicate: &*draft.id == "again" }
            }
            Input::Operator(_) => {
                self.inputs.lock().unwrap().push(input.clone());
                Reply::Done(Value::from("ok"))
            }
            other => panic!("{other:?}"),
        };
        tokio::task::yield_now().await;
        Ok(reply)
    }

    #[expect(clippy::unnecessary_wraps, reason = "the shape of the real one")]
    pub(super) fn ask(&self, query: Query) -> Result<Answer, Unavailable> {
        self.queries.lock().unwrap().push(query.clone());
        Ok(match query {
            Query::Runs { limit, .. } => {
                Answer::Runs((1..=limit.min(3) as u64).rev().map(|no| Arc::new(run(no))).collect())
            }
            Query::Run(id) if id.no == RunNo(17) => Answer::Story(Some(Box::new(story()))),
            Query::Run(_) => Answer::Story(None),
            Query::Ledgers => Answer::Heads(Vec::new()),
            Query::Reading(_) => Answer::Value(Value::Null),
            Query::Signed(_) => Answer::Signed(false),
            Query::Approvals { .. } => Answer::Records(Vec::new()),
            Query::Escalations { .. } => Answer::Runs(vec![Arc::new(escalation())]),
            Query::Events { .. } => Answer::Events(vec![Arc::new(event())]),
            Query::Event { id, .. } => Answer::Event((&*id == "12").then(|| {
                let (stored, ruled_out) = (Arc::new(event()), event().verdicts);
                Box::new(Account { stored, ruled_out, others: 7 })
            })),
            Query::Explain { id, .. } => {
                Answer::Explained((&*id == "12").then(|| (Arc::new(event()), Vec::new())))
            }
            Query::Plan(_) => Answer::Plan(crate::pump::Plan::default()),
            Query::Kinds => Answer::Kinds(vec!["lead".into()]),
            Query::Records { .. } => Answer::Records(vec![Arc::new(record("42"))]),
            Query::Lookup(..) | Query::LookupAll(..) => Answer::Values(None),
            Query::Record(address) => {
                Answer::Record(address.id.starts_with('4').then(|| Arc::new(record(&address.id))))
            }
        })
    }

    pub(super) fn health(&self) -> Health {
        if self.starting.load(Ordering::Relaxed) { Health::Starting } else { Health::Ready }
    }
}

/// The API before an engine that takes everything.
pub(super) fn app() -> Arc<App> {
    App::new(Engine::Scripted(Arc::default()), ApiSettings::new(new_id))
}

struct Rig {
    script: Arc<Script>,
    app: Arc<App>,
}

struct Answered {
    status: u16,
    headers: axum::http::HeaderMap,
    body: Json,
}

fn new_id() -> Text {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!("fresh-{}", COUNT.fetch_add(1, Ordering::Relaxed)).into()
}

impl Rig {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut ApiSettings)) -> Self {
        let script = Arc::new(Script::default());
        let mut settings = ApiSettings::new(new_id);
        change(&mut settings);
        let app = App::new(Engine::Scripted(script.clone()), settings);
        Self { script, app }
    }

    async fn send(&self, peer: Peer, request: Request<Body>) -> Answered {
        let response = self.app.answer(peer, request).await;
        let (parts, body) = response.into_parts();
        let bytes: Bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Json::Null);
        Answered { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    async fn ask(&self, line: &str, pairs: &[(&str, &str)], body: impl Into<Body>) -> Answered {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        if method == "POST" && !pairs.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in pairs {
            request = request.header(*name, *value);
        }
        self.send(LOOPBACK, request.body(body.into()).unwrap()).await
    }

    async fn get(&self, path: &str) -> Answered {
        self.ask(&format!("GET {path}"), &[], Body::empty()).await
    }

    fn drafts(&self) -> Vec<Draft> {
        let inputs = self.script.inputs.lock().unwrap();
        inputs
            .iter()
            .map(|input| match input {
                Input::Event(draft) => (**draft).clone(),
                other => panic!("{other:?}"),
            })
            .collect()
    }
}

#[tokio::test]
async fn plain_json_is_taken() {
    let rig = Rig::new();
    let key = [("idempotency-key", "\"k-1\"")];
    let path = "POST /v1/events/lead.created?subject=lead%2F42";
    let answer = rig.ask(path, &key, r#"{"id":42}"#).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(
        answer.body,
        json!({"id": "k-1", "source": "local", "event": 1, "duplicate": false})
    );
    let drafts = rig.drafts();
    assert_eq!((&*drafts[0].kind, drafts[0].subject.as_deref()), ("lead.created", Some("lead/42")));
    assert_eq!(drafts[0].data, Value::from([("id", Value::Int(42))]));
    let answer = rig.ask("POST /v1/events/lead.created", &[], "").await;
    assert!(answer.body["id"].as_str().unwrap().starts_with("fresh-"), "{}", answer.body);
    let answer =
        rig.ask("POST /v1/events/lead.created", &[("idempotency-key", "again")], "1").await;
    assert_eq!((answer.status, &answer.body["duplicate"]), (202, &json!(true)));
}

#[tokio::test]
async fn what_cannot_be_taken_is_a_problem() {
    let rig = Rig::with(|settings| settings.event_bytes = 64);
    let long = format!("\"{}\"", "x".repeat(100));
    for (line, pairs, body, status, detail) in [
        (
            "POST /v1/events/x",
            &[][..],
            "{",
            400,
            "the body is not valid JSON: EOF while parsing an object at line 1 column 1",
        ),
        ("POST /v1/events/x?subjekt=y", &[], "{}", 400, "`subjekt` is not a parameter here"),
        ("POST /v1/events/run.failed", &[], "{}", 400, "made by the daemon alone"),
        ("POST /v1/events/", &[], "{}", 400, "`type` must not be empty"),
        ("POST /v1/events", &[], "{}", 400, "this is no CloudEvent"),
        ("POST /v1/events/x", &[], &*long, 413, "at most 64 bytes"),
        ("POST /v1/events/x", &[("content-type", "text/plain")], "{}", 415, "send JSON"),
        (
            "POST /v1/events/x",
            &[("idempotency-key", "conflict")],
            "{}",
            422,
            "known with another payload",
        ),
        (
            "POST /v1/events/x",
            &[("idempotency-key", "busy")],
            "{}",
            503,
            "more waiting than it may hold",
        ),
        ("POST /v1/eventsx", &[], "{}", 404, "there is no route /v1/eventsx"),
        ("POST /v1/runs", &[], "{}", 405, "/v1/runs does not take POST"),
        ("GET /v1/runs?status=old", &[], "", 400, "`old` is not a status"),
        ("GET /v1/runs?stat=done", &[], "", 400, "unknown field `stat`"),
        ("GET /v1/runs?limit=0", &[], "", 400, "from 1 to 1000"),
        ("GET /v1/runs/x", &[], "", 400, "`x` is not a run id"),
        ("GET /v1/runs/99", &[], "", 404, "there is no run 99"),
        ("GET /v1/runs/17-0000000000000001", &[], "", 404, "there is no run 17-0000000000000001"),
        ("GET /v1/events?type=lead*", &[], "", 400, "`lead*` is not a type"),
        ("GET /v1/events/9", &[], "", 404, "there is no event 9"),
        ("GET /v1/records/Lead", &[], "", 400, "cannot be a record kind"),
        ("GET /v1/records/lead/5", &[], "", 404, "there is no record lead/5"),
        ("POST /v1/runs/17/cancel", &[], r#"{"why":1}"#, 400, "unknown field `why`"),
    ] {
        let answer = rig.ask(line, pairs, body.to_owned()).await;
        assert_eq!(answer.status, status, "{line}: {}", answer.body);
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{line}");
        assert_eq!(answer.body["status"], json!(status), "{line}");
        let told = answer.body["detail"].as_str().unwrap();
        assert!(told.contains(detail), "{line}: {told}");
        assert_eq!(answer.headers.contains_key("retry-after"), status == 503, "{line}");
    }
    *rig.script.unavailable.lock().unwrap() = Some(Unavailable::DiskFull);
    let answer = rig.ask("POST /v1/events/x", &[], "1").await;
    assert_eq!((answer.status, &answer.body["code"]), (503, &json!("disk-full")));
}

#[tokio::test]
async fn a_batch_answers_for_each_event() {
    let rig = Rig::new();
    let event = |id: &str| json!({"specversion": "1.0", "id": id, "source": "s", "type": "t"});
    let head = [("content-type", "application/cloudevents-batch+json")];
    let all = json!([event("1"), event("2")]).to_string();
    let answer = rig.ask("POST /v1/events", &head, all).await;
    assert_eq!(answer.status, 202);
    assert_eq!(
        answer.body["results"][1],
        json!({"status": 202, "id": "2", "source": "s", "event": 2, "duplicate": false})
    );
    let mixed = json!([event("3"), {"id": ""}, event("conflict"), event("busy"), event("4")]);
    let answer = rig.ask("POST /v1/events", &head, mixed.to_string()).await;
    assert_eq!((answer.status, &answer.headers["retry-after"]), (207, &"7".parse().unwrap()));
    let statuses: Vec<_> = answer.body["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [202, 400, 422, 503, 202]);
    let ids: Vec<_> = rig.drafts().iter().map(|draft| draft.id.to_string()).collect();
    assert_eq!(ids, ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn cloudevents_are_taken_in_binary_and_structured_mode() {
    let rig = Rig::new();
    let head = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "crm"),
        ("ce-type", "note"),
        ("content-type", "text/plain"),
    ];
    assert_eq!(rig.ask("POST /v1/events", &head, "hello").await.status, 202);
    let event =
        json!({"specversion": "1.0", "id": "2", "source": "crm", "type": "note", "data": 1});
    let head = [("content-type", "application/cloudevents+json; charset=utf-8")];
    assert_eq!(rig.ask("POST /v1/events", &head, event.to_string()).await.status, 202);
    let data: Vec<_> = rig.drafts().into_iter().map(|draft| draft.data).collect();
    assert_eq!(data, [Value::from("hello"), Value::Int(1)]);
}

#[tokio::test]
async fn a_run_tells_its_story() {
    let rig = Rig::new();
    let answer = rig.get("/v1/runs/17-9f9f9f9f9f9f9f9f").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body = answer.body;
    assert_eq!(body["run"]["id"], "17-9f9f9f9f9f9f9f9f");
    let effect = format!("eff_{}", "ab".repeat(16));
    assert_eq!(
        body["run"]["waits"],
        json!({
            "what": "effect", "text": "another attempt of its webhook after 1",
            "until": "2026-03-02T10:00:05Z", "effect": effect, "state": "backoff", "attempts": 1,
        })
    );
    assert_eq!(
        body["listens"],
        json!([{"to": "exit", "events": ["lead.closed"], "subject": "lead/42"}])
    );
    assert_eq!(
        body["story"][3],
        json!({
            "at": "2026-03-02T10:00:02Z",
            "step": {"pc": 1, "path": "steps[0].then[0]", "action": "webhook", "id": "crm"},
            "what": "retrying", "text": "attempt 1 failed: 503 from crm", "attempt": 1,
            "until": "2026-03-02T10:00:05Z", "cause": {"code": "http_503", "message": "503 from crm"},
        })
    );
    assert_eq!(body["event"]["verdicts"][0]["code"], "where");
    assert_eq!(body["children"][0]["parent"], "17");
}

#[tokio::test]
async fn listings_come_in_pages() {
    let rig = Rig::new();
    let answer =
        rig.get("/v1/runs?limit=2&status=active&workflow=lead-response&before=9-00ff").await;
    assert_eq!(answer.body["next"], "1");
    assert_eq!(answer.body["runs"].as_array().unwrap().len(), 2);
    let asked = rig.script.queries.lock().unwrap().pop();
    assert!(matches!(
        asked,
        Some(Query::Runs { status: Some(Status::Active), before: Some(RunNo(9)), limit: 2, .. })
    ));
    assert_eq!(rig.get("/v1/runs").await.body.get("next"), None);
    assert_eq!(rig.get("/v1/events?type=lead.*&limit=1").await.body["next"], 12);
    let records = rig.get("/v1/records/lead?limit=1").await.body;
    assert_eq!(records["next"], "42");
    assert_eq!(records["records"][0]["fields"], json!({"stage": "new"}));
    assert_eq!(rig.get("/v1/records/lead/4/2").await.body["id"], "4/2");
    let escalations = rig.get("/v1/escalations").await.body;
    assert_eq!(escalations["escalations"][0]["acknowledged"]["by"], "ana");
}

#[tokio::test]
async fn operators_are_known_by_name() {
    let rig = Rig::new();
    let post = |path: &str, body: &str| {
        Request::builder()
            .method("POST")
            .uri(path)
            .header("adjutant-user", "ana")
            .body(Body::from(body.to_owned()))
            .unwrap()
    };
    for (path, body) in [
        ("/v1/runs/17/cancel", r#"{"reason":"a mistake"}"#),
        ("/v1/runs/17/retry", r#"{"assume_done":true}"#),
        ("/v1/escalations/17/acknowledge", ""),
        ("/v1/escalations/17/resolve", "{}"),
    ] {
        let answer = rig.send(Peer::Socket, post(path, body)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert_eq!(answer.body, json!({"id": "17-9f9f9f9f9f9f9f9f", "result": "ok"}));
    }
    let inputs = rig.script.inputs.lock().unwrap();
    let all = format!("{inputs:?}");
    assert_eq!(all.matches("by: \"ana\"").count(), 4, "{all}");
    assert!(all.contains("reason: Some(\"a mistake\")") && all.contains("assume_done: true"));
}

#[tokio::test]
async fn health_is_open_and_says_little() {
    let rig = Rig::with(|settings| {
        settings.tokens =
            vec![TokenConfig { name: "x".into(), scopes: vec![Scope::Read], sha256: [0; 32] }];
    });
    assert_eq!(rig.get("/v1/runs").await.status, 401);
    assert_eq!(rig.get("/-/healthy").await.body, json!({"status": "healthy"}));
    assert_eq!(rig.get("/-/ready").await.status, 200);
    rig.script.starting.store(true, Ordering::Relaxed);
    let answer = rig.get("/-/ready").await;
    assert_eq!((answer.status, &answer.headers["retry-after"]), (503, &"1".parse().unwrap()));
    assert_eq!(rig.get("/-/healthy").await.status, 200);
}
