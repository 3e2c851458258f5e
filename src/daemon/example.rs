//! The examples of `ARCHITECTURE.md`, "To add an action" and "To add a trigger", at work in a daemon:
//! `echo:` says something back, and `nth:` starts a workflow with each n-th event of a key.

use std::sync::Arc;
use std::time::Duration;

use crate::actions::{self, Performer, Secrets};
use crate::model::{Draft, Input, Instant, Map, Retention, Status, Value};
use crate::pump::{Answer, Query};
use crate::rules::{Context, Files, Look, RuleSet, SourceFile, Sources, render};
use crate::store::MemoryStore;

use super::{Daemon, Handle, Health, Settings};

const RULES: &str = r#"
workflow: third
triggers: [{ nth: ping, by: "${event.subject}", n: 3 }]
steps:
  - echo: hello ${event.data.count}
    loud: true
    id: echo
  - record: ${event.data.last.subject}
    set: { said: "${steps.echo.said}" }
"#;

fn sources(text: &str) -> Sources {
    Sources { rules: vec![SourceFile::new("rules/t.yaml", text)], ..Sources::default() }
}

fn ping(id: u32, subject: &str) -> Input {
    Input::Event(Box::new(Draft {
        id: id.to_string().into(),
        source: "test".into(),
        kind: "ping".into(),
        subject: Some(subject.into()),
        time: None,
        data: Value::Null,
        extensions: Map::new(),
    }))
}

async fn soon<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            match look().await {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), found).await.expect("it happens soon")
}

async fn said(handle: &Handle, id: &str) -> Option<Value> {
    let query = Query::Lookup("thing".into(), id.into());
    match handle.ask(query).await {
        Ok(Answer::Value(record)) => record.get("said").cloned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_of_the_page_work() {
    let folder = tempfile::tempdir().unwrap();
    let rules = RuleSet::compile(&sources(RULES), &Context::default()).unwrap().0;
    let settings =
        actions::Settings { outbox: folder.path().to_owned(), ..actions::Settings::default() };
    let secrets = Secrets::new(None, std::iter::empty());
    let performer = Performer::new(&settings, secrets, Arc::new(Instant::default)).unwrap();
    let settings = Settings { retention: Retention::default(), queue_bytes: 1 << 20, links: None };
    let store = Arc::new(MemoryStore::new());
    let mut daemon = Daemon::start(store, Arc::new(rules), performer, settings).unwrap();
    let handle = daemon.handle();
    soon(async || (handle.health() == Health::Ready).then_some(())).await;
    for (id, subject) in
        [(1, "thing/a"), (2, "thing/b"), (3, "thing/a"), (4, "thing/b"), (5, "thing/a")]
    {
        handle.submit(ping(id, subject)).await.unwrap();
    }
    let spoken = soon(async || said(&handle, "a").await).await;
    assert_eq!(spoken, Value::from("HELLO 3"));
    assert_eq!(said(&handle, "b").await, None);
    let query = Query::Runs { status: Some(Status::Done), workflow: None, before: None, limit: 9 };
    let Ok(Answer::Runs(runs)) = handle.ask(query).await else { panic!("runs") };
    assert_eq!(runs.len(), 1);
    daemon.drain();
    daemon.over().await.unwrap();
}

#[test]
fn mistakes_in_the_examples_are_shown_like_any_other() {
    let text = RULES.replace("loud: true", "laud: true").replace("n: 3", "n: none");
    let sources = sources(&text);
    let found = RuleSet::compile(&sources, &Context::default()).unwrap_err();
    let shown = render(&found, &Files::of(sources.files()), Look::Plain);
    for line in
        ["an `echo` step has no field `laud`", "did you mean `loud`?", "`n` must be a whole number"]
    {
        assert!(shown.contains(line), "{shown}");
    }
}
