//! [`Scenario`]: a scenario file as data, every mistake in it reported with its place.

use std::ops::Range;

use jiff::tz::TimeZone;

use crate::model::{Address, Draft, Instant, Map, Name, Text, Value};
use crate::rules::decode::{Fields, Sink};
use crate::rules::yaml::{self, Kind, Node};
use crate::rules::{Diagnostic, SourceFile, suggest, zone};
use crate::triggers::{self, Around, FileReport};

use super::answers::Answer;
use super::expect::Expected;
use super::{clock, keys};

/// Where events come from that name no source.
const SOURCE: &str = "scenario";
/// Who does what no name is given for.
const PERSON: &str = "somebody";

/// A scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it shows.
    pub name: Text,
    /// Bytes of the name, for messages about the whole.
    pub place: Range<usize>,
    /// Rows of the table of responsibilities that it covers.
    pub proves: Vec<u32>,
    /// Other packs that it needs.
    pub packs: Vec<Name>,
    /// The zone of its times.
    pub(super) zone: TimeZone,
    /// When it begins.
    pub start: Instant,
    /// Records that are there before the rules are.
    pub given: Vec<(Address, Map)>,
    pub(super) answers: Vec<Answer>,
    pub(super) ordered: bool,
    /// What happens, in order.
    pub timeline: Vec<Entry>,
}

impl Scenario {
    /// Whether it says how the other side answers.
    #[must_use]
    pub fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }
}

/// An entry of the timeline.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When: what is due by then comes first.
    pub at: Instant,
    /// Its bytes, to point at.
    pub place: Range<usize>,
    /// What happens.
    pub verb: Verb,
    /// Everything sent since the entry before.
    pub expect: Vec<Expected>,
    /// Expressions that must hold, as they stand in the file.
    pub(super) checks: Vec<Node>,
}

impl Entry {
    /// The expressions that must hold after it.
    pub fn checks(&self) -> impl Iterator<Item = &str> {
        self.checks.iter().filter_map(|node| Some(&*node.scalar()?.text))
    }
}

/// What happens at an entry.
#[derive(Clone, Debug)]
pub enum Verb {
    /// Time passes.
    Pass,
    /// An event comes in.
    Event(Box<Draft>),
    /// A file is laid into the spool: its rows, and the report that tells of it.
    File(Vec<Draft>, Box<FileReport>),
    /// A person writes records.
    Set(Vec<(Address, Map)>),
    /// A person acknowledges an escalation, or resolves it.
    Escalation {
        /// It is acknowledged, else resolved.
        acknowledge: bool,
        /// Its policy.
        policy: Name,
        /// What it is about, if there are several.
        subject: Option<Text>,
        /// Who does it.
        by: Text,
    },
    /// A person decides an approval, or passes it on.
    Decide {
        /// The workflow that asks, or the purpose of mails that wait.
        approval: Name,
        /// What it is about, if there are several.
        subject: Option<Text>,
        /// Who decides.
        by: Text,
        /// What is decided.
        outcome: Option<Text>,
        /// Why.
        comment: Option<Text>,
        /// Whom it is passed on to, instead of an outcome.
        to: Option<Text>,
    },
    /// A person follows a link in a mail.
    Open {
        /// Which.
        link: Name,
        /// In the newest mail to this address; in that of any, otherwise.
        mail: Option<Text>,
        /// Its button is pressed, else it is only looked at.
        press: bool,
    },
    /// The rules of another folder are put in force.
    Reload(Text),
    /// A function of a plugin is called.
    Call {
        /// Which.
        function: Text,
        /// With what.
        args: Vec<Value>,
        /// What must come of it.
        wanted: Wanted,
    },
}

/// What a call of a function must come to.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// Any value.
    Anything,
    /// This value.
    Value(Value),
    /// A failure in words like these.
    Failure(Text),
}

/// Reads the scenarios of a file; with mistakes in it, as many as could be understood.
#[must_use]
pub fn parse(file: &SourceFile) -> (Vec<Scenario>, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let parsed = yaml::parse(file, &mut found);
    let mut scenarios = Vec::new();
    if found.iter().any(Diagnostic::is_error) {
        // What is not even YAML may mean anything.
        return (scenarios, found);
    }
    for document in &parsed.documents {
        let mut reader = Reader { sink: Sink::new(file, &mut found), zone: TimeZone::UTC };
        let mistakes = reader.sink.errors();
        let scenario = reader.scenario(&document.root);
        if reader.sink.errors() == mistakes {
            scenarios.extend(scenario);
        }
    }
    (scenarios, found)
}

struct Reader<'a> {
    sink: Sink<'a>,
    zone: TimeZone,
}

impl Reader<'_> {
    fn scenario(&mut self, root: &Node) -> Option<Scenario> {
        let fields = self.sink.fields(root, &keys::SCENARIO)?;
        if let Some(node) = fields.get("timezone")
            && let Some(name) = self.sink.text(node, "timezone")
        {
            match zone(name) {
                Ok(zone) => self.zone = zone,
                Err(error) => {
                    self.sink
                        .error("scenario-time", node.head(), error.message)
                        .maybe_help(error.help);
                }
            }
        }
        let start = fields.get("start").and_then(|node| self.time(node, "start", None));
        let name_node = fields.get("scenario")?;
        let name = self.sink.text(name_node, "scenario");
        let proves = self.list(&fields, "proves", |reader, node| {
            let number = reader.sink.whole(node, "proves", 1..=9_999)?;
            u32::try_from(number).ok()
        });
        let packs = self.list(&fields, "packs", |reader, node| {
            let text = reader.sink.text(node, "packs")?;
            Some(Name::from(text))
        });
        let answers =
            self.list(&fields, "answers", |reader, node| Answer::read(&mut reader.sink, node));
        let given = fields.get("given").map(|node| self.records(node, "given")).unwrap_or_default();
        let ordered = fields.get("ordered").and_then(|node| self.sink.boolean(node, "ordered"));
        let mut timeline = Vec::new();
        let mut before = start;
        let entries = fields.get("timeline").and_then(|node| self.sink.list(node, "timeline"));
        // Without a start no time of it means anything.
        let entries = entries.filter(|_| start.is_some());
        for (index, node) in entries.unwrap_or_default().iter().enumerate() {
            if let Some(entry) = self.entry(node, index, before) {
                before = Some(entry.at);
                timeline.push(entry);
            }
        }
        Some(Scenario {
            name: name?.into(),
            place: name_node.head(),
            proves,
            packs,
            zone: self.zone.clone(),
            start: start?,
            given,
            answers,
            ordered: ordered.unwrap_or(false),
            timeline,
        })
    }

    fn list<T>(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        mut read: impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Vec<T> {
        let items = fields.get(key).and_then(|node| self.sink.list(node, key)).unwrap_or_default();
        items.iter().filter_map(|node| read(self, node)).collect()
    }

    fn time(&mut self, node: &Node, what: &str, before: Option<Instant>) -> Option<Instant> {
        let text = self.sink.raw(node, what)?;
        match clock::read(text, &self.zone, before) {
            Ok(at) => Some(at),
            Err(why) => {
                self.sink.error("scenario-time", node.head(), why);
                None
            }
        }
    }

    /// Fields of records by address.
    fn records(&mut self, node: &Node, what: &str) -> Vec<(Address, Map)> {
        let mut records = Vec::new();
        for entry in self.sink.map(node, what).unwrap_or_default() {
            match entry.key.parse::<Address>() {
                Err(error) => {
                    self.sink
                        .error("address", entry.key_span.clone(), error.to_string())
                        .help("write `kind/id: { field: value }`");
                }
                Ok(address) => {
                    if self.sink.map(&entry.value, &entry.key).is_some()
                        && let Value::Map(fields) = entry.value.value()
                    {
                        records.push((address, fields));
                    }
                }
            }
        }
        records
    }

    fn entry(&mut self, node: &Node, index: usize, before: Option<Instant>) -> Option<Entry> {
        let fields = self.sink.fields(node, &keys::ENTRY)?;
        let at_node = fields.get("at")?;
        let at = self.time(at_node, "at", before)?;
        if before.is_some_and(|before| at < before) {
            self.sink
                .error("scenario-time", at_node.head(), "this is before the entry above it")
                .help("entries stand in the order of time; a bare time is on the day of the entry before: write the date");
        }
        let verb = self.verb(&fields, index)?;
        let expect =
            self.list(&fields, "expect", |reader, node| Expected::read(&mut reader.sink, node));
        let checks = match fields.get("check") {
            None => Vec::new(),
            Some(one) if one.scalar().is_some() => vec![one.clone()],
            Some(list) => self.list_of(list, "check"),
        };
        Some(Entry { at, place: at_node.head(), verb, expect, checks })
    }

    fn list_of(&mut self, node: &Node, what: &str) -> Vec<Node> {
        let items = self.sink.list(node, what).unwrap_or_default();
        items.iter().filter(|item| self.sink.raw(item, what).is_some()).cloned().collect()
    }

    fn verb(&mut self, fields: &Fields<'_>, index: usize) -> Option<Verb> {
        let verbs: Vec<_> =
            keys::VERBS.iter().filter(|(verb, _)| fields.get(verb).is_some()).collect();
        if let [(one, _), (other, _), ..] = verbs[..]
            && let Some(entry) = fields.entry(other)
        {
            let message = format!("an entry has either `{one}` or `{other}`");
            self.sink
                .error("scenario-verb", entry.key_span.clone(), message)
                .help("write a second entry with the same `at`");
        }
        for (verb, companions) in &keys::VERBS {
            for entry in companions.iter().filter_map(|key| fields.entry(key)) {
                if fields.get(verb).is_none() {
                    let message = format!("`{}` says nothing without `{verb}`", entry.key);
                    self.sink.error("useless-key", entry.key_span.clone(), message);
                }
            }
        }
        let Some((verb, _)) = verbs.first() else { return Some(Verb::Pass) };
        let node = fields.get(verb)?;
        match *verb {
            "event" => self.event(node, fields, index).map(|draft| Verb::Event(Box::new(draft))),
            "file" => self.file(node, fields),
            "set" => Some(Verb::Set(self.records(node, "set"))),
            "reload" => self.sink.text(node, "reload").map(|folder| Verb::Reload(folder.into())),
            "call" => {
                let function = self.sink.text(node, "call")?.into();
                let args = self.list(fields, "args", |_, node| Some(node.value()));
                let fails = fields.get("fails").and_then(|node| self.sink.text(node, "fails"));
                let wanted = match (fields.get("returns"), fails) {
                    (_, Some(why)) => Wanted::Failure(why.into()),
                    (Some(value), None) => Wanted::Value(value.value()),
                    (None, None) => Wanted::Anything,
                };
                Some(Verb::Call { function, args, wanted })
            }
            "open" => self.open(node),
            "decide" => self.decide(node),
            verb => self.escalation(node, verb == "acknowledge"),
        }
    }

    fn event(&mut self, node: &Node, fields: &Fields<'_>, index: usize) -> Option<Draft> {
        let kind = self.sink.text(node, "event")?;
        let mut parts = Map::new();
        for key in ["id", "subject", "data", "time"] {
            if let Some(node) = fields.get(key) {
                parts.insert(key.into(), node.value());
            }
        }
        let source = match fields.get("source") {
            Some(node) => Text::from(self.sink.text(node, "source")?),
            None => SOURCE.into(),
        };
        let id = Some(format!("entry-{}", index + 1));
        let around = Around { kind, may_choose: false, source: &source, id };
        match triggers::from_plugin(&Value::Map(parts), around) {
            Ok(draft) => Some(draft),
            Err(error) => {
                self.sink.error("scenario-event", node.head(), error.to_string());
                None
            }
        }
    }

    /// The events that a file in the spool becomes.
    fn file(&mut self, node: &Node, fields: &Fields<'_>) -> Option<Verb> {
        let path = self.sink.text(node, "file")?;
        let Some(text) = fields.get("text") else {
            self.sink
                .error("scenario-event", node.head(), "the file has no content")
                .help("write it under `text: |`");
            return None;
        };
        let text = self.sink.text(text, "text")?;
        match triggers::events_of(path, text.as_bytes()) {
            Ok((events, report)) => Some(Verb::File(events, Box::new(report))),
            Err(why) => {
                self.sink.error(
                    "scenario-event",
                    node.head(),
                    format!("`{path}` is no file of rows: {why}"),
                );
                None
            }
        }
    }

    fn open(&mut self, node: &Node) -> Option<Verb> {
        let fields = self.sink.fields(node, &keys::OPEN)?;
        let link = fields.get("link").and_then(|node| self.sink.name(node, "link"))?.into();
        let mail = fields.get("mail").and_then(|node| self.sink.text(node, "mail"));
        let press = match fields.get("method") {
            None => true,
            Some(_) => self.word(&fields, "method", &["POST", "GET", "HEAD"])? == "POST",
        };
        Some(Verb::Open { link, mail: mail.map(Text::from), press })
    }

    fn decide(&mut self, node: &Node) -> Option<Verb> {
        let fields = self.sink.fields(node, &keys::DECISION)?;
        let approval = fields.get("approval").and_then(|node| self.sink.name(node, "approval"))?;
        let text = |reader: &mut Self, key: &str| {
            fields.get(key).and_then(|node| reader.sink.text(node, key)).map(Text::from)
        };
        let (subject, comment) = (text(self, "subject"), text(self, "comment"));
        let (outcome, to) = (text(self, "outcome"), text(self, "to"));
        let by = text(self, "by")?;
        if outcome.is_some() == to.is_some() {
            self.sink
                .error("scenario-verb", node.head(), "a person either decides or passes it on")
                .help("write `outcome: approved`, or `to: PERSON`");
            return None;
        }
        Some(Verb::Decide { approval: approval.into(), subject, by, outcome, comment, to })
    }

    /// One of these words.
    fn word<'n>(&mut self, fields: &Fields<'n>, key: &str, words: &[&str]) -> Option<&'n str> {
        let node = fields.get(key)?;
        let word = self.sink.text(node, key)?;
        if words.contains(&word) {
            return Some(word);
        }
        let message = format!("`{key}` cannot be `{word}`");
        let help = suggest::hint(word, words.iter().copied());
        self.sink.error("unknown-word", node.head(), message).maybe_help(help);
        None
    }

    fn escalation(&mut self, node: &Node, acknowledge: bool) -> Option<Verb> {
        let fields = self.sink.fields(node, &keys::ESCALATION)?;
        let policy =
            fields.get("escalation").and_then(|node| self.sink.name(node, "escalation"))?;
        let text = |reader: &mut Self, key: &str| {
            fields.get(key).and_then(|node| reader.sink.text(node, key)).map(Text::from)
        };
        let subject = text(self, "subject");
        let by = text(self, "by").unwrap_or_else(|| PERSON.into());
        Some(Verb::Escalation { acknowledge, policy: policy.into(), subject, by })
    }
}

/// One of several tables, by the main key that an object has.
pub(super) fn by_main_key<'n>(
    sink: &mut Sink<'_>,
    node: &'n Node,
    tables: &'static [(&'static str, crate::rules::decode::Table)],
    what: &str,
) -> Option<(&'static str, Fields<'n>)> {
    let Kind::Map(entries) = &node.kind else {
        sink.wrong(node, what, "an object");
        return None;
    };
    let mains: Vec<&str> = tables.iter().map(|(main, _)| *main).collect();
    // The first that stands there: of an `action` also the address may be named.
    let first = entries.iter().find(|entry| mains.contains(&entry.key.as_str()));
    let Some((main, table)) =
        first.and_then(|entry| tables.iter().find(|(main, _)| *main == entry.key))
    else {
        let message = format!("{what} has one of {}", suggest::list(&mains));
        let near =
            entries.iter().find_map(|entry| suggest::nearest(&entry.key, mains.iter().copied()));
        sink.error("scenario-expect", node.head(), message)
            .maybe_help(near.map(|near| format!("did you mean `{near}`?")));
        return None;
    };
    sink.fields(node, table).map(|fields| (*main, fields))
}
