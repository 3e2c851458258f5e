//! What people do in a scenario, done as people do it: with the command line, and with the links in their mails.

use std::path::Path;

use adjutant::model::{Address, Draft, Map, Value};
use adjutant::scenario::Verb;

use crate::mime;
use crate::rules::WRITE;
use crate::stage::Stage;
use crate::support::mail::Mail;
use crate::support::{cli, http};

/// Where links in mails lead, live as well as on virtual time.
const PUBLIC: &str = "https://adjutant.example";

impl Stage {
    /// Does what an entry says. `blow`: the daemon is killed while an event comes in.
    pub(crate) fn play(&mut self, verb: &Verb, file: &Path, number: usize, blow: bool) {
        match verb {
            Verb::Pass => {}
            Verb::Event(draft) => self.event(draft, blow),
            Verb::Set(records) => self.write(records, &format!("set-{number}")),
            Verb::Escalation { acknowledge, policy, subject, by } => {
                let found = self.listed("/v1/escalations", "escalations", |one| {
                    one["policy"] == **policy && is_about(&one["subject"], subject.as_deref())
                });
                let word = if *acknowledge { "ack" } else { "resolve" };
                self.command(by, &["escalations", word, &found]);
            }
            Verb::Decide { approval, subject, by, outcome, comment, to } => {
                let found = self.listed("/v1/records/approval", "records", |one| {
                    let fields = &one["fields"];
                    fields["status"] == "open"
                        && [&fields["purpose"], &fields["workflow"]].contains(&&(**approval).into())
                        && is_about(&fields["about"], subject.as_deref())
                });
                let mut words = match (outcome, to) {
                    (_, Some(to)) => vec!["approvals", "delegate", &found, "--to", to],
                    (outcome, None) => {
                        vec!["approvals", "decide", &found, outcome.as_deref().unwrap_or_default()]
                    }
                };
                words.extend(["--by", by]);
                words.extend(comment.as_deref().into_iter().flat_map(|why| ["--comment", why]));
                self.command(by, &words);
            }
            Verb::Open { link, mail, press } => self.open(link, mail.as_deref(), *press),
            Verb::Reload(folder) => {
                self.rules.replace(&file.parent().expect("a folder").join(&**folder));
                self.reload();
            }
            Verb::File(_, report) => {
                panic!("`{}`: files are tried live in tests/e2e_files.rs", report.file)
            }
            Verb::Call { function, .. } => {
                panic!("`{function}`: nobody calls a function of a plugin from outside")
            }
        }
        self.settle();
    }

    /// Puts the rules of the folder in force.
    pub(crate) fn reload(&mut self) {
        self.command("somebody", &["reload"]);
        self.settle();
    }

    /// Writes records by a rule of the test's own: people have no door for that.
    pub(crate) fn write(&mut self, records: &[(Address, Map)], id: &str) {
        for (at, (address, fields)) in records.iter().enumerate() {
            let data = Map::from([
                ("address".into(), Value::from(address.to_string())),
                ("fields".into(), Value::Map(fields.clone())),
            ]);
            self.event(&rig_event(WRITE, &format!("{id}-{at}"), data), false);
        }
    }

    /// Why a check does not hold now; `None`: it does.
    pub(crate) fn check(&mut self, name: &str) -> Option<String> {
        self.event(&rig_event(name, name, Map::new()), false);
        let event = self.daemon.get(&format!("/v1/events/{name}"));
        let event = event.json();
        let verdicts = event["verdicts"].as_array().expect("verdicts");
        let verdict = verdicts.iter().find(|verdict| verdict["workflow"] == name);
        let Some(verdict) = verdict else { return Some(format!("nobody looked at it: {event}")) };
        (verdict["code"] != "fired").then(|| verdict.to_string())
    }

    /// The id of the only thing in a listing that is meant.
    fn listed(
        &self,
        path: &str,
        key: &str,
        is_meant: impl Fn(&serde_json::Value) -> bool,
    ) -> String {
        let listing = self.daemon.get(path).json();
        let all = listing[key].as_array().expect("a listing");
        let found: Vec<_> = all.iter().filter(|one| is_meant(one)).collect();
        let [one] = &found[..] else { panic!("{} of {path} are meant: {listing}", found.len()) };
        one["id"].as_str().expect("an id").to_owned()
    }

    /// A command in somebody's hands.
    fn command(&self, by: &str, words: &[&str]) {
        let mut command = cli::command(&self.daemon.folder.path(""), words);
        let output = command.env_remove("SUDO_USER").env("USER", by).output();
        let said = cli::said(&output.expect("the binary starts"));
        assert_eq!(said.code, 0, "{words:?}: {}{}", said.out, said.err);
    }

    /// Follows a link of the newest mail that has it. One that is only looked at is looked at in both ways.
    fn open(&self, name: &str, to: Option<&str>, press: bool) {
        let letters = self.outside.letters.iter().rev();
        let to_them = letters.filter(|(people, _)| {
            to.is_none_or(|to| to == "*" || people.iter().any(|one| one.eq_ignore_ascii_case(to)))
        });
        let path = to_them.map(|(_, mail)| mail).find_map(|mail| self.link(name, mail));
        let path = path.unwrap_or_else(|| panic!("no mail to {to:?} has a link `{name}`"));
        let (methods, body) = if press {
            (&["POST"][..], "List-Unsubscribe=One-Click")
        } else {
            (&["GET", "HEAD"][..], "")
        };
        for method in methods {
            let form = [("content-type", "application/x-www-form-urlencoded")];
            let answer = http::send(method, &self.daemon.url(&path), &form, body);
            let answer = answer.expect("an answer");
            assert_eq!(answer.status, 200, "{method} {name}: {answer:?}");
        }
    }

    /// The path of a link in a mail: that of the head to unsubscribe, others by what their button says.
    fn link(&self, name: &str, mail: &Mail) -> Option<String> {
        if name == "unsubscribe" {
            return paths(&mail.header("List-Unsubscribe")?).into_iter().next();
        }
        let text = mime::parts(mail).text.unwrap_or_default();
        paths(&text).into_iter().find(|path| {
            let page = self.daemon.get(path).body.to_lowercase();
            page.contains(&format!("<button>{name}</button>"))
        })
    }
}

/// The paths of the links in a text.
fn paths(text: &str) -> Vec<String> {
    let ends = |c: char| c.is_whitespace() || c == '>';
    let pieces = text.split(PUBLIC).skip(1);
    pieces.map(|piece| piece.split(ends).next().unwrap_or_default().to_owned()).collect()
}

fn is_about(found: &serde_json::Value, subject: Option<&str>) -> bool {
    subject.is_none_or(|subject| found == subject)
}

/// An event of the test's own.
fn rig_event(kind: &str, id: &str, data: Map) -> Draft {
    Draft {
        id: id.into(),
        source: "/rig".into(),
        kind: kind.into(),
        subject: None,
        time: None,
        data: Value::Map(data),
        extensions: Map::new(),
    }
}
