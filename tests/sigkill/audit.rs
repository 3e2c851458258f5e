//! The audit: what was accepted against what the receiver heard and what the daemon says it ran. Pure,
//! and tried on samples with each thing that may go wrong.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::load::{Kind, Sent};
use crate::support::receiver::Heard;
use crate::support::smtp::Attempt;

/// One effect: an event's id and a step's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Effect {
    event: String,
    step: String,
}

impl Effect {
    fn new(event: &str, step: &str) -> Self {
        Self { event: event.to_owned(), step: step.to_owned() }
    }

    fn of(heard: &Heard) -> Self {
        let body = heard.json();
        Self::new(
            body["event"].as_str().unwrap_or_default(),
            body["step"].as_str().unwrap_or_default(),
        )
    }

    /// Whether it comes only after somebody answered.
    pub(crate) fn needs_answer(&self) -> bool {
        self.step == "resolved"
    }
}

/// What the relay heard, in the terms of the receiver: the `Message-ID` is the key, and the mail from its
/// first byte to its last is the content. A mail refused before its content came says nothing.
pub(crate) fn mails(attempts: &[Attempt]) -> Vec<Heard> {
    let with_content =
        attempts.iter().filter_map(|attempt| Some((attempt, attempt.mail.as_ref()?)));
    with_content
        .map(|(attempt, mail)| {
            let event = mail.header("Subject").unwrap_or_default();
            let body = json!({ "event": event, "step": "mail", "raw": mail.raw });
            Heard {
                at: Duration::ZERO,
                method: "MAIL".to_owned(),
                path: String::new(),
                headers: vec![("idempotency-key".to_owned(), mail.message_id())],
                body: body.to_string().into(),
                earlier: 0,
                status: attempt.taken().then_some(200),
            }
        })
        .collect()
}

/// Runs that have not come to their end, in words.
pub(crate) fn unfinished(runs: &[Value]) -> Vec<String> {
    let alive = runs.iter().filter(|run| run["status"] != "done");
    alive.map(|run| format!("{} is {}", run["id"], run["status"])).collect()
}

/// Steps that an event must lead to, and those that it may lead to.
fn steps(sent: &Sent) -> (&'static [&'static str], &'static [&'static str]) {
    match (sent.kind, sent.answered) {
        (Kind::Plain, _) => (&["only"], &[]),
        (Kind::Mails, _) => (&["mail"], &[]),
        (Kind::Waits, _) => (&["first", "second"], &[]),
        (Kind::Asks, _) => (&["asked"], &[]),
        (Kind::Ladder, true) => (&["resolved"], &["one", "two"]),
        (Kind::Ladder, false) => (&["one", "two", "resolved"], &[]),
    }
}

/// Every effect that what was accepted must have.
pub(crate) fn wanted(sent: &[Sent]) -> BTreeSet<Effect> {
    let accepted = sent.iter().filter(|event| event.accepted);
    accepted
        .flat_map(|event| steps(event).0.iter().map(|step| Effect::new(&event.id, step)))
        .collect()
}

/// Those of them that the receiver has not answered with success yet.
pub(crate) fn missing(wanted: &BTreeSet<Effect>, heard: &[Heard]) -> Vec<Effect> {
    let had: HashSet<Effect> =
        heard.iter().filter(|one| one.status == Some(200)).map(Effect::of).collect();
    wanted.iter().filter(|effect| !had.contains(effect)).cloned().collect()
}

/// Everything that is wrong, in words.
pub(crate) fn audit(sent: &[Sent], heard: &[Heard], runs: &[Value]) -> Vec<String> {
    let mut wrong: Vec<String> = missing(&wanted(sent), heard)
        .iter()
        .map(|effect| format!("lost: {} of {}", effect.step, effect.event))
        .collect();
    let by_id: HashMap<&str, &Sent> = sent.iter().map(|event| (&*event.id, event)).collect();
    let mut keys: BTreeMap<Effect, BTreeSet<&str>> = BTreeMap::new();
    let mut contents: BTreeMap<&str, BTreeSet<&[u8]>> = BTreeMap::new();
    for one in heard {
        let effect = Effect::of(one);
        let known = by_id.get(&*effect.event).is_some_and(|event| {
            let (must, may) = steps(event);
            must.iter().chain(may).any(|step| *step == effect.step)
        });
        if !known {
            wrong.push(format!("nobody asked for: {}", String::from_utf8_lossy(&one.body)));
        }
        if one.key().is_empty() {
            wrong.push(format!("no key: {} of {}", effect.step, effect.event));
        }
        keys.entry(effect).or_default().insert(one.key());
        contents.entry(one.key()).or_default().insert(&one.body);
    }
    for (effect, keys) in keys.iter().filter(|(_, keys)| keys.len() > 1) {
        wrong.push(format!("{} of {} under {keys:?}", effect.step, effect.event));
    }
    for (key, contents) in contents.iter().filter(|(_, contents)| contents.len() > 1) {
        wrong.push(format!("{key} with {} different bodies", contents.len()));
    }
    wrong.extend(asked_too_early(&by_id, heard));
    wrong.extend(runs_twice(sent, runs));
    wrong.extend(unfinished(runs));
    wrong
}

/// A wait that nobody answered must say that its time was up.
fn asked_too_early(by_id: &HashMap<&str, &Sent>, heard: &[Heard]) -> Vec<String> {
    let asked = heard.iter().map(Heard::json).filter(|body| body["step"] == "asked");
    asked
        .filter(|body| {
            let event = body["event"].as_str().and_then(|id| by_id.get(id));
            event.is_some_and(|event| !event.answered) && body["late"] != true
        })
        .map(|body| format!("{} was answered by nobody and was not late", body["event"]))
        .collect()
}

/// Events with more than one run of a workflow, or accepted ones without any.
fn runs_twice(sent: &[Sent], runs: &[Value]) -> Vec<String> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for run in runs {
        let workflow = run["workflow"].as_str().unwrap_or_default();
        *counts.entry((workflow, run["subject"].as_str().unwrap_or_default())).or_default() += 1;
    }
    let twice = counts.iter().filter(|(_, count)| **count > 1);
    let mut wrong: Vec<String> = twice
        .map(|((workflow, subject), n)| format!("{n} runs of {workflow} for {subject}"))
        .collect();
    let ran: HashSet<&str> = counts.keys().map(|(_, subject)| *subject).collect();
    let without =
        sent.iter().filter(|one| one.accepted && !ran.contains(&*format!("load/{}", one.id)));
    wrong.extend(without.map(|event| format!("no run for {}", event.id)));
    wrong
}

/// What happened, in numbers.
pub(crate) struct Figures {
    /// Events answered 202.
    pub(crate) accepted: usize,
    resent: usize,
    runs: usize,
    effects: usize,
    requests: usize,
    repeats: usize,
    lost: usize,
}

impl Figures {
    /// Counts.
    pub(crate) fn of(sent: &[Sent], heard: &[Heard], runs: &[Value]) -> Self {
        let mut done: HashSet<&str> = HashSet::new();
        let mut repeats = 0;
        for one in heard {
            repeats += usize::from(done.contains(one.key()));
            if one.status == Some(200) {
                done.insert(one.key());
            }
        }
        Self {
            accepted: sent.iter().filter(|event| event.accepted).count(),
            resent: sent.iter().filter(|event| event.tries > 1).count(),
            runs: runs.len(),
            effects: done.len(),
            requests: heard.len(),
            repeats,
            lost: missing(&wanted(sent), heard).len(),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, resent, runs, effects, requests, repeats, lost } = self;
        write!(
            f,
            "{accepted} events accepted ({resent} sent more than once), {runs} runs, {effects} effects \
             in {requests} requests, {repeats} repeated after success, lost {lost}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::mail::Mail;
    use crate::support::smtp::Turn;

    fn sent(id: &str, kind: Kind, answered: bool) -> Sent {
        Sent { id: id.to_owned(), kind, accepted: true, answered, tries: 1 }
    }

    fn heard(key: &str, body: &str, status: u16) -> Heard {
        Heard {
            at: Duration::ZERO,
            method: "POST".to_owned(),
            path: "/".to_owned(),
            headers: vec![("idempotency-key".to_owned(), key.to_owned())],
            body: body.to_owned().into(),
            earlier: 0,
            status: Some(status),
        }
    }

    fn run(workflow: &str, id: &str) -> Value {
        json!({ "id": "1", "workflow": workflow, "subject": format!("load/{id}"), "status": "done" })
    }

    #[test]
    fn what_went_well_is_not_found_fault_with() {
        let sent = [sent("a", Kind::Plain, false)];
        let body = r#"{"event":"a","step":"only"}"#;
        let heard = [heard("k", body, 500), heard("k", body, 200), heard("k", body, 200)];
        let runs = [run("plain", "a")];
        assert_eq!(audit(&sent, &heard, &runs), Vec::<String>::new());
        let figures = Figures::of(&sent, &heard, &runs);
        assert_eq!((figures.requests, figures.effects, figures.repeats), (3, 1, 1));
    }

    #[test]
    fn everything_that_may_go_wrong_is_found() {
        let sent = [sent("a", Kind::Plain, false), sent("q", Kind::Asks, false)];
        let only = r#"{"event":"a","step":"only"}"#;
        let asked = r#"{"event":"q","step":"asked","late":true}"#;
        let good = vec![heard("k", only, 200), heard("l", asked, 200)];
        let runs = vec![run("plain", "a"), run("asks", "q")];
        assert!(audit(&sent, &good, &runs).is_empty());
        let with = |one: Heard| [good.clone(), vec![one]].concat();
        let cases = [
            ("lost", vec![good[1].clone()], runs.clone()),
            ("lost", vec![good[1].clone(), heard("k", only, 500)], runs.clone()),
            ("under", with(heard("k2", only, 200)), runs.clone()),
            ("different bodies", with(heard("k", &only.replace(':', ": "), 200)), runs.clone()),
            ("nobody asked", with(heard("x", r#"{"event":"b","step":"only"}"#, 200)), runs.clone()),
            ("nobody asked", with(heard("x", r#"{"event":"a","step":"two"}"#, 200)), runs.clone()),
            ("no key", with(heard("", only, 200)), runs.clone()),
            ("not late", with(heard("l", &asked.replace("true", "false"), 200)), runs.clone()),
            ("2 runs", good.clone(), [runs.clone(), vec![run("plain", "a")]].concat()),
            ("is \"active\"", good.clone(), {
                let mut late = runs.clone();
                late[0]["status"] = "active".into();
                late
            }),
            ("no run", good.clone(), vec![run("asks", "q")]),
        ];
        for (what, heard, runs) in cases {
            let wrong = audit(&sent, &heard, &runs).join("; ");
            assert!(wrong.contains(what), "{what}: {wrong}");
        }
    }

    #[test]
    fn mails_are_heard_like_requests() {
        let mail = |subject: &str| {
            Some(Mail { raw: format!("Message-ID: <k@x>\r\nSubject: {subject}\r\n\r\nx") })
        };
        let attempt = |mail, turn| Attempt {
            from: String::new(),
            to: Vec::new(),
            mail,
            turn,
            encrypted: false,
            login: None,
        };
        let sent = [sent("m", Kind::Mails, false)];
        let runs = [run("mails", "m")];
        let refused = attempt(None, Turn::AtRcpt(451));
        let again = attempt(mail("m"), Turn::AfterData(452));
        let taken = attempt(mail("m"), Turn::Accept);
        let good = mails(&[refused.clone(), again.clone(), taken.clone()]);
        assert_eq!((good.len(), audit(&sent, &good, &runs)), (2, Vec::new()));
        assert!(audit(&sent, &mails(&[refused, again]), &runs)[0].contains("lost"));
        let mut other = taken.clone();
        other.mail.as_mut().unwrap().raw.push('y');
        assert!(audit(&sent, &mails(&[taken, other]), &runs)[0].contains("different bodies"));
    }

    #[test]
    fn ladders_are_wanted_whole_unless_answered_soon() {
        assert_eq!(wanted(&[sent("a", Kind::Ladder, true)]).len(), 1);
        let all = wanted(&[sent("a", Kind::Ladder, false)]);
        assert_eq!(all.iter().filter(|effect| !effect.needs_answer()).count(), 2);
    }
}
