//! Runs as people see them: through the daemon's HTTP API.

use std::time::Duration;

use serde_json::Value;

use super::daemon::Daemon;
use super::wait_for;

/// Longer than any run of these tests lives.
const LIFE: Duration = Duration::from_mins(1);
/// A page of the listing.
const PAGE: usize = 500;

/// A run with everything that happened to it.
pub(crate) struct Story {
    /// Its id.
    pub(crate) id: String,
    /// The API's answer, as text to look for things in.
    pub(crate) text: String,
}

/// Every run, newest first.
///
/// # Panics
/// If the daemon does not answer with a listing.
pub(crate) fn all(daemon: &Daemon) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    loop {
        let before = found.last().map(|run| format!("&before={}", number(run)));
        let path = format!("/v1/runs?limit={PAGE}{}", before.unwrap_or_default());
        let answer = daemon.get(&path);
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.json()["runs"].as_array().expect("a listing has `runs`").clone();
        if page.is_empty() {
            return found;
        }
        found.extend(page);
    }
}

/// The runs of a workflow.
pub(crate) fn of(daemon: &Daemon, workflow: &str) -> Vec<Value> {
    all(daemon).into_iter().filter(|run| run["workflow"] == workflow).collect()
}

/// Waits until the only run of a workflow has this status, and answers its whole story.
///
/// # Panics
/// If it never has, or there are several.
pub(crate) fn story(daemon: &Daemon, workflow: &str, status: &str) -> Story {
    let run = wait_for(&format!("{workflow} to be {status}"), LIFE, || {
        let runs = of(daemon, workflow);
        assert!(runs.len() < 2, "one event, two runs: {runs:?}");
        runs.into_iter().find(|run| run["status"] == status)
    });
    let id = run["id"].as_str().expect("a run has an id").to_owned();
    let answer = daemon.get(&format!("/v1/runs/{id}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    Story { id, text: answer.body }
}

/// Waits until this many runs of a workflow have ended well.
///
/// # Panics
/// If they never do.
pub(crate) fn ended(daemon: &Daemon, workflow: &str, count: usize) {
    wait_for(&format!("{count} runs of {workflow} to end"), LIFE, || {
        let runs = of(daemon, workflow);
        (runs.iter().filter(|run| run["status"] == "done").count() == count).then_some(())
    });
}

/// The place of a run in the order of starting: the number before the dash of its id.
pub(crate) fn number(run: &Value) -> u64 {
    let id = run["id"].as_str().expect("a run has an id");
    id.split('-').next().and_then(|no| no.parse().ok()).expect("an id begins with a number")
}
