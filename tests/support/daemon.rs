//! The real daemon as a process: started, asked, killed, started again. It never outlives its handle.

use std::fs::File;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::cli::{self, Said};
use super::folder::Folder;
use super::http::{self, Answer};
use super::wait_for;

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_mins(1);
/// How long a stop may take, which lets what is under way end.
const STOP: Duration = Duration::from_mins(1);
/// Lines of the log shown when a test fails.
const LOG_LINES: usize = 80;

/// A folder and the daemon that runs in it, or not.
pub(crate) struct Daemon {
    /// Its folder.
    pub(crate) folder: Folder,
    child: Option<Child>,
    /// Variables of its environment besides the usual ones.
    environment: Vec<(&'static str, String)>,
}

impl Daemon {
    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// If it ends instead, or takes too long.
    pub(crate) fn start(folder: Folder) -> Self {
        let mut daemon = Self::new(folder, Vec::new());
        daemon.spawn();
        daemon.await_ready();
        daemon
    }

    /// Not started yet, and with these variables when it is.
    pub(crate) fn new(folder: Folder, environment: Vec<(&'static str, String)>) -> Self {
        Self { folder, child: None, environment }
    }

    /// Starts the process without waiting for anything.
    pub(crate) fn spawn(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = File::options().create(true).append(true).open(self.folder.path("daemon.log"));
        let log = log.expect("a log file");
        let child = cli::command(&self.folder.path(""), &["serve"])
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdout(log.try_clone().expect("one more handle"))
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        self.child = Some(child);
    }

    /// Waits until it says that it is ready.
    ///
    /// # Panics
    /// If it ends instead, or takes too long.
    pub(crate) fn await_ready(&mut self) {
        let url = self.url("/-/ready");
        let child = self.child.as_mut().expect("it was spawned");
        wait_for("the daemon to be ready", START, || {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                panic!("the daemon ended with {status} instead of getting ready");
            }
            http::send("GET", &url, &[], "").ok().filter(|answer| answer.status == 200)
        });
    }

    /// SIGKILL: it gets no chance to do anything.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Either fails only when it is gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and waits for its end: the exit code (-1 for a signal) and how long it took.
    ///
    /// # Panics
    /// If it goes on living.
    pub(crate) fn stop(&mut self) -> (i32, Duration) {
        let began = Instant::now();
        self.signal("TERM");
        let mut child = self.child.take().expect("it runs");
        let status = wait_for("the daemon to stop", STOP, || {
            child.try_wait().expect("a child can be waited for")
        });
        (status.code().unwrap_or(-1), began.elapsed())
    }

    /// Sends a signal by name. The shell's own `kill` does it: there is no safe call in std.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("it runs").id();
        let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {id}")).status();
        assert!(sent.expect("there is a shell").success(), "the daemon cannot be signalled");
    }

    /// Starts it again in the same folder and waits until it is ready.
    pub(crate) fn restart(&mut self) {
        self.spawn();
        self.await_ready();
    }

    /// An address on it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.folder.port)
    }

    /// GET.
    ///
    /// # Panics
    /// If there is no answer.
    pub(crate) fn get(&self, path: &str) -> Answer {
        http::send("GET", &self.url(path), &[], "").expect("an answer")
    }

    /// POST.
    ///
    /// # Panics
    /// If there is no answer.
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        http::send("POST", &self.url(path), headers, body).expect("an answer")
    }

    /// Sends an event as structured CloudEvents JSON: `id`, `type`, `subject` and `data`.
    ///
    /// # Panics
    /// If it was not accepted.
    pub(crate) fn event(&self, id: &str, kind: &str, subject: &str, data: &serde_json::Value) {
        let answer = self.post(
            "/v1/events",
            &[("content-type", "application/cloudevents+json")],
            &structured(id, kind, subject, data),
        );
        assert_eq!(answer.status, 202, "{answer:?}");
    }

    /// Runs one of the binary's commands against it.
    pub(crate) fn run(&self, args: &[&str]) -> Said {
        cli::run(&self.folder.path(""), args)
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path("daemon.log")).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(LOG_LINES)..];
            super::say(&format!("--- the daemon's log ends:\n{}\n---", tail.join("\n")));
        }
    }
}

/// An event from the source `/rig` as structured CloudEvents JSON.
pub(crate) fn structured(id: &str, kind: &str, subject: &str, data: &serde_json::Value) -> String {
    serde_json::json!({
        "specversion": "1.0", "id": id, "source": "/rig", "type": kind, "subject": subject,
        "datacontenttype": "application/json", "data": data,
    })
    .to_string()
}
