//! The outside of a real daemon: what a mail server and a receiver got from it, and which events and failures its API
//! tells of, each as the scenario's own [`Happening`].

use std::collections::{BTreeMap, BTreeSet};

use adjutant::model::{Instant, Map, Text, Value};
use adjutant::scenario::Happening;

use crate::mime;
use crate::support::daemon::Daemon;
use crate::support::mail::Mail;
use crate::support::receiver::{Heard, Receiver, Reply};
use crate::support::smtp::{Attempt, Options, Smtp, Turn};

/// A page of a listing.
const PAGE: usize = 500;

/// See the module.
pub(crate) struct Outside {
    pub(crate) smtp: Smtp,
    pub(crate) receiver: Receiver,
    /// Mails by `Message-ID`, requests by `webhook-id`: what comes again must be the same.
    known: BTreeMap<String, String>,
    /// Mails in the order in which they came first, with everybody who got them.
    pub(crate) letters: Vec<(Vec<String>, Mail)>,
    /// Attempts and requests that were looked at.
    looked_at: (usize, usize),
    newest_event: u64,
    failed: BTreeSet<String>,
    /// What came again after a kill.
    pub(crate) again: usize,
}

impl Outside {
    pub(crate) fn new() -> Self {
        Self {
            smtp: Smtp::start(Options::default()),
            receiver: Receiver::start(|_| Reply::status(200)),
            known: BTreeMap::new(),
            letters: Vec::new(),
            looked_at: (0, 0),
            newest_event: 0,
            failed: BTreeSet::new(),
            again: 0,
        }
    }

    /// Of how many mails the client has not heard what became of them.
    pub(crate) fn unanswered(&self) -> usize {
        let silent = |attempt: &&Attempt| attempt.turn == Turn::TakenSilently;
        self.smtp.attempts().iter().filter(silent).count()
    }

    /// What happened since this was last called.
    ///
    /// # Panics
    /// If something came a second time and was not the same.
    pub(crate) fn fresh(&mut self, daemon: &Daemon, now: Instant) -> Vec<Happening> {
        let (attempts, heard) = (self.smtp.attempts(), self.receiver.heard());
        let (mails, requests) = self.looked_at;
        self.looked_at = (attempts.len(), heard.len());
        let mut fresh = Vec::new();
        for attempt in attempts[mails..].iter().filter(|attempt| attempt.taken()) {
            let mail = attempt.mail.as_ref().expect("what is taken is there");
            if self.is_new(mail.message_id(), &mail.raw) {
                self.letters.push((attempt.to.clone(), mail.clone()));
                fresh.push(Happening::new("email", now, "mail".into(), mail_fields(attempt, mail)));
            }
        }
        for request in &heard[requests..] {
            let id = request.header("webhook-id").expect("requests are known by their id");
            let said = format!("{} {} {:?}", request.method, request.path, request.body);
            if self.is_new(id.to_owned(), &said) {
                fresh.push(Happening::new(
                    "webhook",
                    now,
                    "request".into(),
                    request_fields(request),
                ));
            }
        }
        fresh.extend(self.events(daemon, now));
        fresh.extend(self.failures(daemon, now));
        fresh
    }

    fn is_new(&mut self, id: String, said: &str) -> bool {
        match self.known.get(&id) {
            None => {
                self.known.insert(id, said.to_owned());
                true
            }
            Some(before) => {
                assert_eq!(before, said, "{id} came again and says something else");
                self.again += 1;
                false
            }
        }
    }

    /// Events that rules emitted, and expressions that failed on any.
    fn events(&mut self, daemon: &Daemon, now: Instant) -> Vec<Happening> {
        let mut found = Vec::new();
        let (mut before, mut newest) = (String::new(), self.newest_event);
        loop {
            let page = daemon.get(&format!("/v1/events?limit={PAGE}{before}"));
            assert_eq!(page.status, 200, "{page:?}");
            let page = page.json()["events"].as_array().expect("a listing").clone();
            let fresh = page.iter().filter(|event| event["no"].as_u64() > Some(self.newest_event));
            for event in fresh.clone() {
                newest = newest.max(event["no"].as_u64().expect("a number"));
                let source = event["source"].as_str().expect("a source");
                if source == "adjutant" || source.starts_with("adjutant/") {
                    let workflow = source.trim_start_matches("adjutant/").into();
                    found.push(Happening::new("event", now, workflow, event_fields(event)));
                }
                for verdict in event["verdicts"].as_array().expect("verdicts") {
                    if verdict["code"] == "error" {
                        let workflow = verdict["workflow"].as_str().expect("a workflow");
                        let reason = verdict["detail"].as_str().unwrap_or_default();
                        found.push(failure(workflow, reason, now));
                    }
                }
            }
            match page.last().filter(|_| fresh.count() == PAGE) {
                Some(last) => before = format!("&before={}", last["no"]),
                None => break,
            }
        }
        self.newest_event = newest;
        // Oldest first, as everything else.
        found.reverse();
        found
    }

    /// Runs that failed. Who calls another says itself what comes of it.
    fn failures(&mut self, daemon: &Daemon, now: Instant) -> Vec<Happening> {
        let page = daemon.get(&format!("/v1/runs?status=failed&limit={PAGE}")).json();
        let runs = page["runs"].as_array().expect("a listing").clone();
        assert!(runs.len() < PAGE, "hardly anything may fail");
        let mut found = Vec::new();
        for run in runs.iter().filter(|run| run["parent"].is_null()) {
            if self.failed.insert(run["id"].as_str().expect("an id").to_owned()) {
                let workflow = run["workflow"].as_str().expect("a workflow");
                let reason = run["reason"]["message"].as_str().unwrap_or_default();
                found.push(failure(workflow, reason, now));
            }
        }
        found
    }
}

fn failure(workflow: &str, reason: &str, now: Instant) -> Happening {
    let fields =
        [("failed", workflow), ("reason", reason)].map(|(name, text)| (name.into(), text.into()));
    Happening::new("failed", now, workflow.into(), Map::from(fields))
}

fn event_fields(event: &serde_json::Value) -> Map {
    let mut fields = Map::from([("event".into(), Value::from_json(event["type"].clone()))]);
    if let Some(subject) = event["subject"].as_str() {
        fields.insert("subject".into(), subject.into());
    }
    fields.insert("data".into(), Value::from_json(event["data"].clone()));
    fields
}

/// A request as a rule would write it. Names of headers are in lower case.
fn request_fields(request: &Heard) -> Map {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let headers = request.headers.iter();
    let mut fields = Map::from([
        ("webhook".into(), Value::from(path.trim_start_matches('/'))),
        ("method".into(), request.method.as_str().into()),
        (
            "headers".into(),
            Value::Map(
                headers
                    .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
                    .collect(),
            ),
        ),
    ]);
    if !query.is_empty() {
        fields.insert("query".into(), pairs(query.as_bytes()));
    }
    let kind = request.header("content-type").unwrap_or_default();
    let (name, body) = if kind.starts_with("application/json") {
        ("json", Value::from_json(request.json()))
    } else if kind.starts_with("application/x-www-form-urlencoded") {
        ("form", pairs(&request.body))
    } else {
        ("body", String::from_utf8_lossy(&request.body).into_owned().into())
    };
    fields.insert(name.into(), body);
    fields
}

/// `a=1&b=2`
fn pairs(text: &[u8]) -> Value {
    let pairs = url::form_urlencoded::parse(text);
    Value::Map(pairs.map(|(name, value)| (Text::from(&*name), Value::from(&*value))).collect())
}

/// What a mail's reader sees. The template, the purpose and the locale are not among it.
fn mail_fields(attempt: &Attempt, mail: &Mail) -> Map {
    let header = |name: &str| mail.header(name).map(|value| mime::words(&value));
    let people = |name: &str| mime::addresses(&mail.header(name).unwrap_or_default());
    let (to, cc) = (people("To"), people("Cc"));
    let unseen = |address: &&String| !to.contains(address) && !cc.contains(address);
    let bcc = attempt.to.iter().filter(unseen).cloned().collect();
    let parts = mime::parts(mail);
    let headers = mail.headers().into_iter();
    let headers: Map =
        headers.map(|(name, value)| (name.into(), mime::words(&value).into())).collect();
    let found = [
        ("email", one_or_more(to)),
        ("cc", one_or_more(cc)),
        ("bcc", one_or_more(bcc)),
        ("from", one_or_more(people("From"))),
        ("reply_to", one_or_more(people("Reply-To"))),
        ("subject", header("Subject").map(Value::from)),
        ("text", parts.text.map(Value::from)),
        ("html", parts.html.map(Value::from)),
        ("headers", Some(Value::Map(headers))),
    ];
    found.into_iter().filter_map(|(name, value)| Some((Text::from(name), value?))).collect()
}

fn one_or_more(mut addresses: Vec<String>) -> Option<Value> {
    match addresses.len() {
        0 => None,
        1 => Some(addresses.remove(0).into()),
        _ => Some(Value::List(addresses.into_iter().map(Value::from).collect())),
    }
}
