//! The stage: a real daemon in a folder of its own, with its mail server, its receiver and its clock; and the blows
//! that it gets.

use std::time::{Duration, Instant as Moment};

use adjutant::model::{Draft, Instant};
use serde_json::json;

use crate::clock::Clock;
use crate::outside::Outside;
use crate::rules::Rules;
use crate::support::chance::Chance;
use crate::support::daemon::Daemon;
use crate::support::folder::Folder;
use crate::support::http;
use crate::support::smtp::Turn;

/// How long everything that is due at an instant may take.
const REST: Duration = Duration::from_mins(1);
/// Clock steps that are struck at in one scenario at most, besides what is planned.
const STRIKES: usize = 2;
/// Of how many clock steps one is struck at.
const STEPS: u64 = 12;
/// A blow comes within so many microseconds of what it strikes at: an answer takes longer.
const BLOW: u64 = 4_000;
/// The socket of the clock, within the folder.
const CLOCK: &str = "clock.sock";

/// See the module.
pub(crate) struct Stage {
    pub(crate) daemon: Daemon,
    pub(crate) outside: Outside,
    pub(crate) rules: Rules,
    pub(crate) now: Instant,
    clock: Clock,
    pub(crate) chance: Chance,
    strikes: usize,
    /// Mails of which the daemon was killed before it knew what became of them.
    unanswered: usize,
    /// It was killed, and nobody has yet looked at what it left to be decided.
    is_shaken: bool,
    /// When and why it was killed.
    pub(crate) kills: Vec<String>,
}

impl Stage {
    /// A daemon at this time, with no rules but those of the test.
    pub(crate) fn new(now: Instant, chance: Chance) -> Self {
        let outside = Outside::new();
        let config = format!(
            "  public_url: https://adjutant.example\nwatch: false\nsmtp:\n  host: localhost\n  port: {}\n  \
             tls: none\n  from: \"Adjutant <adjutant@ops.example>\"\nwebhooks:\n  \
             allow_networks: [127.0.0.0/8]\n  endpoints: {{ crm: {{ url: \"{}\" }} }}\n\
             retention: {{ events: 1000d, runs: 1000d }}\n",
            outside.smtp.address().port(),
            outside.receiver.url("/crm"),
        );
        let folder = Folder::new(&config);
        crate::rules::copy(&crate::rules::shipped("../plugins"), &folder.path("plugins"));
        let rules = Rules::new(folder.path("rules"));
        let clock = Clock::listen(&folder.path(CLOCK));
        let daemon = Daemon::new(folder, vec![("ADJUTANT_TEST_CLOCK", CLOCK.to_owned())]);
        let mut stage = Self {
            daemon,
            outside,
            rules,
            now,
            clock,
            chance,
            strikes: 0,
            unanswered: 0,
            is_shaken: false,
            kills: Vec::new(),
        };
        stage.start();
        stage.rest();
        stage
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn start(&mut self) {
        self.daemon.spawn();
        self.clock.await_daemon();
        self.clock.set(self.now);
        self.daemon.await_ready();
    }

    /// SIGKILL, and another process.
    pub(crate) fn kill(&mut self, why: &str) {
        self.daemon.kill();
        self.kills.push(format!("{why} at {}", self.now));
        self.is_shaken = true;
        self.start();
    }

    /// The daemon will be killed while it waits for what becomes of a mail: of the one after so many others.
    pub(crate) fn kill_at_mail(&self, after: usize) {
        let turns = std::iter::repeat_n(Turn::Accept, after);
        self.outside.smtp.then(turns.chain([Turn::TakenSilently]));
    }

    /// Lets time pass, from one instant at which something is due to the next, until `until`; what is due then is
    /// done as well.
    pub(crate) fn pass(&mut self, until: Instant) {
        let mut due = self.settle();
        while due <= until {
            assert!(due > self.now, "at {}: what was due at {due} is left undone", self.now);
            due = self.step(due);
        }
        if until > self.now {
            self.step(until);
        }
    }

    /// Waits until nothing is left to do now; when something is due next.
    pub(crate) fn settle(&mut self) -> Instant {
        self.clock.set(self.now);
        self.rest()
    }

    fn step(&mut self, to: Instant) -> Instant {
        self.now = to;
        self.clock.set(to);
        if self.strikes < STRIKES && self.chance.one_in(STEPS) {
            self.strikes += 1;
            self.blow();
            self.kill("just after the clock was moved");
        }
        self.rest()
    }

    fn blow(&mut self) {
        std::thread::sleep(Duration::from_micros(self.chance.below(BLOW)));
    }

    fn rest(&mut self) -> Instant {
        let began = Moment::now();
        loop {
            if let Some(due) = self.clock.rest() {
                if !std::mem::take(&mut self.is_shaken) || !self.retry_held() {
                    return due;
                }
                self.clock.set(self.now);
            }
            if self.outside.unanswered() > self.unanswered {
                self.unanswered += 1;
                self.kill("with a mail under way");
            }
            assert!(began.elapsed() < REST, "at {} it does not come to rest", self.now);
        }
    }

    /// What a kill has left for a person to decide (`on_uncertain: hold`) is done again, as the person would. False if
    /// there is none.
    fn retry_held(&mut self) -> bool {
        let runs = self.daemon.get("/v1/runs?status=active&limit=500").json();
        let runs = runs["runs"].as_array().expect("a listing").clone();
        let held: Vec<_> = runs.iter().filter(|run| run["waits"]["state"] == "held").collect();
        for run in &held {
            let id = run["id"].as_str().expect("an id");
            let said = self.daemon.run(&["runs", "retry", id]);
            assert_eq!(said.code, 0, "{}", said.err);
        }
        !held.is_empty()
    }

    /// Hands in an event and waits for what it brings about. With a `blow` the process is killed meanwhile: whoever
    /// sends it has no answer then, or just had it, and sends it again if not.
    pub(crate) fn event(&mut self, draft: &Draft, blow: bool) {
        let url = self.daemon.url("/v1/events");
        let body = cloud_event(draft);
        let send = || {
            let head = [("content-type", "application/cloudevents+json")];
            http::send("POST", &url, &head, body.as_str())
        };
        let mut answer = None;
        if blow {
            std::thread::scope(|scope| {
                let sender = scope.spawn(send);
                self.blow();
                self.daemon.kill();
                answer = sender.join().expect("the sender ends").ok();
            });
            let known = if answer.is_some() { "answered" } else { "unanswered" };
            self.kill(&format!("with an event that was {known}"));
        }
        let answer = answer.unwrap_or_else(|| send().expect("an answer"));
        // 200: it is known already.
        assert!(matches!(answer.status, 200 | 202), "{answer:?}");
        self.settle();
    }
}

fn cloud_event(draft: &Draft) -> String {
    let mut event = json!({
        "specversion": "1.0",
        "id": &*draft.id,
        "source": &*draft.source,
        "type": &*draft.kind,
        "datacontenttype": "application/json",
        "data": draft.data.to_json(),
    });
    if let Some(subject) = &draft.subject {
        event["subject"] = json!(&**subject);
    }
    if let Some(time) = draft.time {
        event["time"] = json!(time.to_string());
    }
    event.to_string()
}
