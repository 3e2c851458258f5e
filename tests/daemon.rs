//! The daemon without its API: a real sled store, submitters on many threads, a drain and another
//! start; and what becomes of submitters when the store fails.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use adjutant::actions::{Performer, Secrets, Settings as Actions};
use adjutant::daemon::{Daemon, Fatal, Handle, Health, Settings, Unavailable};
use adjutant::model::{Draft, Input, Instant, Map, Reply, Retention, Value};
use adjutant::pump::{Answer, Query};
use adjutant::rules::{Context, RuleSet, SourceFile, Sources};
use adjutant::store::{Fault, Faulty, MemoryStore, SledStore, Store, StoreError, When};

/// Each event makes a record and a mail.
const RULES: &str = r#"
workflow: note
triggers: [{ event: note.made }]
steps:
  - record: ${event.subject}
    set: { by: "${event.data.by}" }
  - email: ops@x.example
    purpose: internal
    subject: Note ${event.subject}
    text: Hello.
"#;

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_mins(1);
const SUBMITTERS: u64 = 8;
const EVENTS_EACH: u64 = 25;

fn rules() -> Arc<RuleSet> {
    let sources =
        Sources { rules: vec![SourceFile::new("rules/t.yaml", RULES)], ..Sources::default() };
    Arc::new(RuleSet::compile(&sources, &Context::default()).unwrap().0)
}

fn performer(outbox: &Path) -> Performer {
    let settings = Actions { outbox: outbox.to_owned(), ..Actions::default() };
    // No mail here says when it was sent.
    let clock = Arc::new(|| Instant::from_micros(0));
    Performer::new(&settings, Secrets::from_environment(), clock).unwrap()
}

fn settings() -> Settings {
    Settings { retention: Retention::default(), queue_bytes: 64 << 20, links: None }
}

async fn start(store: Arc<dyn Store>, dir: &Path) -> Daemon {
    let performer = performer(&dir.join("outbox"));
    ready(Daemon::start(store, rules(), performer, settings()).unwrap()).await
}

/// Once it takes events.
async fn ready(daemon: Daemon) -> Daemon {
    let handle = daemon.handle();
    let ready = async {
        while handle.health() != Health::Ready {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(LONG, ready).await.expect("it gets ready");
    daemon
}

fn event(id: &str) -> Input {
    Input::Event(Box::new(Draft {
        id: id.into(),
        source: "test".into(),
        kind: "note.made".into(),
        subject: Some(format!("note/{id}").into()),
        time: None,
        data: Value::from([("by", "ana".into())]),
        extensions: Map::new(),
    }))
}

async fn end(daemon: &mut Daemon) -> Result<(), Fatal> {
    tokio::time::timeout(LONG, daemon.over()).await.expect("it comes to its end")
}

async fn records(handle: &Handle) -> usize {
    let query = Query::Records { kind: "note".into(), after: None, limit: 1_000 };
    match handle.ask(query).await {
        Ok(Answer::Records(found)) => found.len(),
        other => panic!("{other:?}"),
    }
}

fn mails(dir: &Path) -> usize {
    std::fs::read_dir(dir.join("outbox")).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_another_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = || Arc::new(SledStore::open(&dir.path().join("state")).unwrap());
    let mut daemon = start(store(), dir.path()).await;
    let threads: Vec<_> = (0..SUBMITTERS)
        .map(|thread| {
            let (handle, runtime) = (daemon.handle(), tokio::runtime::Handle::current());
            std::thread::spawn(move || {
                (0..EVENTS_EACH)
                    .map(|n| {
                        let input = event(&format!("{thread}-{n}"));
                        match runtime.block_on(handle.submit(input)) {
                            Ok(Reply::Accepted { event, duplicate: false }) => event,
                            other => panic!("{other:?}"),
                        }
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let mut numbers = BTreeSet::new();
    for thread in threads {
        let own = thread.join().unwrap();
        assert!(own.is_sorted(), "each sender's events are taken in its order");
        numbers.extend(own);
    }
    let all = (SUBMITTERS * EVENTS_EACH) as usize;
    assert_eq!(numbers.len(), all, "every event has a number of its own");
    assert_eq!(numbers.last().map(|no| no.0), Some(all as u64), "and none is left out");

    let handle = daemon.handle();
    daemon.drain();
    end(&mut daemon).await.unwrap();
    assert_eq!(handle.submit(event("late")).await, Err(Unavailable::Stopping));
    drop((daemon, handle));

    // The same folder, the same events: all known. What the drain cut short goes on.
    let mut daemon = start(store(), dir.path()).await;
    let handle = daemon.handle();
    for thread in 0..SUBMITTERS {
        for n in 0..EVENTS_EACH {
            let again = handle.submit(event(&format!("{thread}-{n}"))).await;
            assert!(matches!(again, Ok(Reply::Accepted { duplicate: true, .. })), "{again:?}");
        }
    }
    let done = async {
        while records(&handle).await < all || mails(dir.path()) < all {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, done).await.expect("every event has its record and its mail");
    daemon.drain();
    end(&mut daemon).await.unwrap();
    assert_eq!(mails(dir.path()), all, "one mail an event, over the restart too");
}

/// Starts on a store that fails at its n-th commit from now on, and submits until it has.
async fn fails(fault: Fault) -> Fatal {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Faulty::new(MemoryStore::new()));
    let mut daemon = start(store.clone(), dir.path()).await;
    let handle = daemon.handle();
    assert!(matches!(
        handle.submit(event("before")).await,
        Ok(Reply::Accepted { duplicate: false, .. })
    ));
    // The next commit fails, whichever it is, and all after it.
    for ahead in 1..=50 {
        store.plan(When::Commit(store.commits() + ahead), fault.clone());
    }
    let submitters: Vec<_> = (0..20)
        .map(|n| {
            let handle = handle.clone();
            tokio::spawn(async move { (n, handle.submit(event(&format!("n{n}"))).await) })
        })
        .collect();
    for submitter in submitters {
        let (n, answer) = tokio::time::timeout(LONG, submitter).await.unwrap().unwrap();
        assert!(
            matches!(answer, Err(Unavailable::Failed(_) | Unavailable::Stopping)),
            "event {n} was answered: {answer:?}"
        );
    }
    let fatal = end(&mut daemon).await.unwrap_err();
    let late = handle.submit(event("late")).await;
    assert_eq!(late, Err(Unavailable::Stopping), "nobody waits for a daemon that is gone");

    // What was acknowledged before is there; nothing else ever was.
    store.forgive();
    store.crash();
    let mut daemon = start(store, dir.path()).await;
    let again = daemon.handle().submit(event("before")).await;
    assert!(matches!(again, Ok(Reply::Accepted { duplicate: true, .. })), "{again:?}");
    let again = daemon.handle().submit(event("n1")).await;
    assert!(matches!(again, Ok(Reply::Accepted { .. })), "{again:?}");
    daemon.drain();
    end(&mut daemon).await.unwrap();
    fatal
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_fails_ends_the_daemon_and_acknowledges_nothing() {
    let why = StoreError::Io("the disk is gone".to_owned());
    let fatal = fails(Fault::Fail(why.clone())).await;
    assert!(matches!(&fatal, Fatal::Store(error) if *error == why), "{fatal:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_of_unknown_end_ends_the_daemon_and_acknowledges_nothing() {
    let why = StoreError::Unknown("no answer".to_owned());
    let fatal = fails(Fault::FailAfter(why.clone())).await;
    assert!(matches!(&fatal, Fatal::Store(error) if *error == why), "{fatal:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_panics_ends_the_daemon_and_acknowledges_nothing() {
    let fatal = fails(Fault::Panic).await;
    assert!(matches!(&fatal, Fatal::Store(StoreError::Unknown(_))), "{fatal:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_with_room_for_nothing_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { queue_bytes: 300, ..settings() };
    let store = Arc::new(MemoryStore::new());
    let mut daemon =
        Daemon::start(store, rules(), performer(&dir.path().join("outbox")), settings).unwrap();
    daemon = ready(daemon).await;
    let Input::Event(mut draft) = event("big") else { panic!("it is an event") };
    draft.extensions.insert("comment".into(), Value::text("x".repeat(1_000)));
    let answer = daemon.handle().submit(Input::Event(draft)).await;
    assert!(matches!(answer, Err(Unavailable::Busy(_))), "attributes count: {answer:?}");
    daemon.drain();
    end(&mut daemon).await.unwrap();
}
