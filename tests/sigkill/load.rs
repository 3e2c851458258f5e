//! The load: rules that do one thing each, and senders that do not give up until an event is accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::chance::Chance;
use crate::support::daemon::structured;
use crate::support::http;

/// Threads that send.
const SENDERS: u64 = 4;
/// Events of a batch request.
const BATCH: usize = 8;
/// How long a sender waits before it tries again.
const AGAIN: Duration = Duration::from_millis(40);

/// What an event sets off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One webhook.
    Plain,
    /// One mail.
    Mails,
    /// A webhook, a delay of a second, another webhook.
    Waits,
    /// A wait for an answer with a timeout, then a webhook.
    Asks,
    /// An escalation of two levels with a webhook each, until answered; then a webhook.
    Ladder,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Mails => "mails",
            Self::Waits => "waits",
            Self::Asks => "asks",
            Self::Ladder => "ladder",
        }
    }
}

/// An event that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// Its id; its subject is `load/` and this.
    pub(crate) id: String,
    /// What it sets off.
    pub(crate) kind: Kind,
    /// Answered 202; else the sender gave up on it and it may or may not be there.
    pub(crate) accepted: bool,
    /// An answer was sent soon after it, for kinds that wait for one.
    pub(crate) answered: bool,
    /// Requests it took.
    pub(crate) tries: usize,
}

/// The rules: what each kind sets off tells `url` which event and which step it is; a mail's subject is
/// its event.
pub(crate) fn rules(url: &str) -> String {
    let tell = |step: &str, more: &str| {
        format!(
            "webhook: {url}\n    json: {{ event: \"${{event.id}}\", step: {step}{more} }}\n    \
             retry: {{ attempts: 60, initial: 50ms, max_wait: 400ms }}\n"
        )
    };
    let level = |step: &str| tell(step, "").replace("\n    ", "\n        ");
    format!(
        r"
workflow: plain
triggers: [{{ event: load.plain }}]
steps:
  - {plain}
---
workflow: mails
triggers: [{{ event: load.mails }}]
steps:
  - email: lead@x.example
    purpose: transactional
    subject: ${{event.id}}
    text: Hello, ${{event.id}}.
    retry: {{ attempts: 60, initial: 50ms, max_wait: 400ms }}
---
workflow: waits
triggers: [{{ event: load.waits }}]
steps:
  - {first}
  - delay: 1s
  - {second}
---
workflow: asks
triggers: [{{ event: load.asks }}]
steps:
  - wait_for: load.answer
    id: answer
    timeout: 2s
  - {asked}
---
workflow: ladder
triggers: [{{ event: load.ladder }}]
steps:
  - escalate: up
    id: up
    summary: ${{event.id}} waits
    resolve: {{ event: load.answer }}
  - {resolved}
---
escalation: up
levels:
  - after: 300ms
    steps:
      - {one}
  - after: 1s
    steps:
      - {two}
",
        plain = tell("only", ""),
        first = tell("first", ""),
        second = tell("second", ""),
        asked = tell("asked", ", late: \"${steps.answer.timed_out}\""),
        resolved = tell("resolved", ""),
        one = level("one"),
        two = level("two"),
    )
}

/// Senders at work.
pub(crate) struct Senders {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Vec<Sent>>>,
}

impl Senders {
    /// Starts them.
    pub(crate) fn start(url: &str, chance: &mut Chance) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..SENDERS)
            .map(|number| {
                let mut sender = Sender {
                    number,
                    url: url.to_owned(),
                    chance: Chance::new(chance.next()),
                    sent: Vec::new(),
                    answers: Vec::new(),
                };
                let stop = Arc::clone(&stop);
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        sender.once();
                    }
                    sender.send_answers(true);
                    sender.sent
                })
            })
            .collect();
        Self { stop, threads }
    }

    /// Lets each finish what it is at; answers everything that was sent.
    pub(crate) fn finish(self) -> Vec<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().flat_map(|thread| thread.join().expect("a sender")).collect()
    }
}

/// Answers the ladders that nobody answered.
pub(crate) fn answer_the_rest(url: &str, sent: &[Sent]) {
    for event in sent.iter().filter(|event| event.kind == Kind::Ladder && !event.answered) {
        insist(url, "application/cloudevents+json", &answer(&event.id), None);
    }
}

struct Sender {
    number: u64,
    url: String,
    chance: Chance,
    sent: Vec<Sent>,
    /// Answers to send, and when.
    answers: Vec<(Instant, String)>,
}

impl Sender {
    fn once(&mut self) {
        std::thread::sleep(self.chance.millis(5, 35));
        self.send_answers(false);
        match self.chance.below(20) {
            0 => self.batch(),
            1..7 => self.single(Kind::Plain),
            7..10 => self.single(Kind::Mails),
            10..14 => self.single(Kind::Waits),
            14..17 => self.single(Kind::Asks),
            _ => self.single(Kind::Ladder),
        }
    }

    fn single(&mut self, kind: Kind) {
        let id = self.next_id(kind, 0);
        let body = event(kind, &id);
        // A few senders do not care enough to try again.
        let patience = (kind == Kind::Plain && self.chance.below(10) == 0).then_some(1);
        let tries = insist(&self.url, "application/cloudevents+json", &body, patience);
        let answered = matches!(kind, Kind::Asks | Kind::Ladder) && self.chance.below(2) == 0;
        if answered {
            self.answers.push((Instant::now() + self.chance.millis(1, 1_500), id.clone()));
        }
        let accepted = tries.is_some();
        self.sent.push(Sent { id, kind, accepted, answered, tries: tries.unwrap_or(1) });
    }

    fn batch(&mut self) {
        let kind = Kind::Plain;
        let ids: Vec<String> = (0..BATCH).map(|part| self.next_id(kind, part)).collect();
        let events: Vec<String> = ids.iter().map(|id| event(kind, id)).collect();
        let body = format!("[{}]", events.join(","));
        let tries = insist(&self.url, "application/cloudevents-batch+json", &body, None);
        let tries = tries.unwrap_or(1);
        let sent = |id| Sent { id, kind, accepted: true, answered: false, tries };
        self.sent.extend(ids.into_iter().map(sent));
    }

    fn send_answers(&mut self, all: bool) {
        let now = Instant::now();
        let (due, later): (Vec<_>, Vec<_>) =
            self.answers.drain(..).partition(|(at, _)| all || *at <= now);
        self.answers = later;
        for (_, id) in due {
            insist(&self.url, "application/cloudevents+json", &answer(&id), None);
        }
    }

    fn next_id(&self, kind: Kind, part: usize) -> String {
        format!("{}-{}-{}-{part}", kind.name(), self.number, self.sent.len())
    }
}

/// Sends until it is accepted, or `patience` is at its end: how many requests it took.
///
/// # Panics
/// If the daemon refuses it for good.
fn insist(url: &str, kind: &str, body: &str, patience: Option<usize>) -> Option<usize> {
    let mut tries = 0;
    loop {
        tries += 1;
        match http::send("POST", url, &[("content-type", kind)], body) {
            Ok(answer) if answer.status == 202 => return Some(tries),
            Ok(answer) if answer.status < 500 && ![207, 429].contains(&answer.status) => {
                panic!("refused: {answer:?}: {body}")
            }
            // Busy, starting, stopping, or gone.
            Ok(_) | Err(_) => {}
        }
        if patience.is_some_and(|most| tries >= most) {
            return None;
        }
        std::thread::sleep(AGAIN);
    }
}

fn event(kind: Kind, id: &str) -> String {
    structured(id, &format!("load.{}", kind.name()), &format!("load/{id}"), &json!({ "id": id }))
}

fn answer(id: &str) -> String {
    structured(&format!("answer-{id}"), "load.answer", &format!("load/{id}"), &json!({}))
}
