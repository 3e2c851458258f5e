//! One play of a scenario: its timeline, and what is wrong with what happened.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::model::{Cause, Draft, EffectKey, Operator, Reply, Text, Value};
use crate::rules::RuleSet;
use crate::rules::yaml::Node;
use crate::script::{Condition, Names, Scope, Test};
use crate::triggers::FileReport;

use super::clock;
use super::coverage::Reached;
use super::effect::Happening;
use super::expect::{agrees, flow, matches};
use super::file::{Entry, Scenario, Verb, Wanted};
use super::judge::judge;
use super::ways::{Crashes, permuted};
use super::world::{Broken, World};

/// The rules that a scenario sees.
#[derive(Clone, Debug)]
pub struct Pack {
    /// Those in force at its start.
    pub rules: Arc<RuleSet>,
    /// No rules at all: what is there while the given records are written.
    pub nothing: Arc<RuleSet>,
    /// Those of the folders that it reloads, as it names them.
    pub reloads: BTreeMap<Text, Arc<RuleSet>>,
}

/// Something that is not as the scenario says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Bytes of the scenario's file, to point at.
    pub place: Range<usize>,
    /// What is wrong: one line.
    pub title: String,
    /// More about it.
    pub lines: Vec<String>,
}

/// How a scenario is played.
#[derive(Clone, Debug, Default)]
pub(super) struct How {
    /// Every event comes twice.
    pub(super) doubled: bool,
    /// In which of their orders the events of one instant come; `None`: as they stand. In another one, what is
    /// expected where is not looked at.
    pub(super) order: Option<u64>,
    /// When the process dies.
    pub(super) crashes: Option<Crashes>,
    /// The first failure is enough.
    pub(super) hasty: bool,
}

/// What came of a play.
#[derive(Debug, Default)]
pub(super) struct Played {
    pub(super) failures: Vec<Failure>,
    pub(super) ledger: BTreeMap<EffectKey, Happening>,
    /// The same and events, by entry, in the order of the file.
    pub(super) happened: Vec<Vec<Happening>>,
    pub(super) reached: Reached,
    pub(super) commits: usize,
    pub(super) crashed: usize,
}

/// What happens in a scenario as it stands, by entry of its timeline: mails with everything they say, requests, events,
/// failures. For whoever plays it elsewhere, and wants to know that the same comes of it.
///
/// # Errors
/// [`Broken`]: the engine or the store could not go on, which is our fault.
pub fn happenings(pack: &Pack, scenario: &Scenario) -> Result<Vec<Vec<Happening>>, Broken> {
    Ok(play(pack, scenario, &How::default())?.happened)
}

/// Plays a scenario.
pub(super) fn play(pack: &Pack, scenario: &Scenario, how: &How) -> Result<Played, Broken> {
    let Scenario { start, given, answers, .. } = scenario;
    let mut world = World::begin(&pack.rules, pack.nothing.clone(), *start, given, answers)?;
    if let Some(crashes) = &how.crashes {
        world.crash_at(crashes.clone());
    }
    let mut play = Play { pack, scenario, how, failures: Vec::new() };
    play.given(&world);
    let mut all = Vec::new();
    for entry in play.order() {
        if how.hasty && !play.failures.is_empty() {
            break;
        }
        world.pass(entry.at)?;
        play.verb(&mut world, entry)?;
        if how.order.is_none() {
            let happened = world.take_fresh();
            play.failures.extend(judge(scenario, entry, &happened));
            play.checks(&world, entry);
            all.push(happened);
        }
    }
    if how.order.is_none() {
        play.unsent(&world)?;
    }
    let reached = std::mem::take(&mut world.seen().reached);
    Ok(Played {
        failures: play.failures,
        ledger: std::mem::take(&mut world.ledger),
        happened: all,
        reached,
        commits: world.commits,
        crashed: world.crashed,
    })
}

struct Play<'p> {
    pack: &'p Pack,
    scenario: &'p Scenario,
    how: &'p How,
    failures: Vec<Failure>,
}

impl<'p> Play<'p> {
    fn fail(&mut self, place: &Range<usize>, title: impl Into<String>, lines: Vec<String>) {
        self.failures.push(Failure { place: place.clone(), title: title.into(), lines });
    }

    fn at(&self, entry: &Entry) -> String {
        clock::say(entry.at, &self.scenario.zone)
    }

    /// The entries in the order in which they are played.
    fn order(&self) -> Vec<&'p Entry> {
        let timeline = &self.scenario.timeline;
        let Some(number) = self.how.order else { return timeline.iter().collect() };
        let together = |a: &Entry, b: &Entry| {
            let event = |entry: &Entry| matches!(entry.verb, Verb::Event(_));
            a.at == b.at && event(a) && event(b)
        };
        timeline
            .chunk_by(together)
            .flat_map(|group| permuted(&group.iter().collect::<Vec<_>>(), number))
            .collect()
    }

    /// Records that are given and that the rules ship themselves.
    fn given(&mut self, world: &World) {
        for why in &world.refused {
            self.fail(&self.scenario.place.clone(), why, Vec::new());
        }
        let rules = world.rules().clone();
        for (address, _) in &self.scenario.given {
            let kind = rules.records.get(&address.kind);
            if kind.is_some_and(|kind| kind.rows.contains_key(&address.id)) {
                let title = format!("`{address}` is shipped with the rules and cannot be given");
                self.fail(&self.scenario.place.clone(), title, Vec::new());
            }
        }
    }

    /// An event comes, twice if everything does.
    fn event(&self, world: &mut World, draft: &Draft) -> Result<Reply, Broken> {
        let reply = world.event(draft.clone())?;
        if self.how.doubled && matches!(reply, Reply::Accepted { .. }) {
            world.event(draft.clone())?;
        }
        Ok(reply)
    }

    /// A file is read: its rows come, and then what tells of it.
    fn file(
        &self,
        world: &mut World,
        rows: &[Draft],
        mut report: FileReport,
    ) -> Result<Reply, Broken> {
        for row in rows {
            let known = world.knows(row)?;
            match self.event(world, row)? {
                Reply::Accepted { .. } if known => report.known += 1,
                Reply::Accepted { .. } => report.accepted += 1,
                _ => report.rejected += 1,
            }
        }
        self.event(world, &report.event())
    }

    fn verb(&mut self, world: &mut World, entry: &Entry) -> Result<(), Broken> {
        let reply = match &entry.verb {
            Verb::Pass => return Ok(()),
            Verb::Event(draft) => self.event(world, draft)?,
            Verb::File(rows, report) => self.file(world, rows, (**report).clone())?,
            Verb::Set(records) => {
                let mut last = Reply::Done(Value::Null);
                for (address, fields) in records {
                    let (address, fields) = (address.clone(), fields.clone());
                    last =
                        world.operator(Operator::Write { address, fields, by: "person".into() })?;
                    if matches!(last, Reply::Refused(_)) {
                        break;
                    }
                }
                last
            }
            Verb::Escalation { acknowledge, policy, subject, by } => {
                let found: Vec<_> = world
                    .ladders()?
                    .into_iter()
                    .filter(|(_, name, about)| {
                        name == policy && (subject.is_none() || about == subject)
                    })
                    .collect();
                let [(run, ..)] = found[..] else {
                    let title = match found.len() {
                        0 => format!("no escalation `{policy}` is up"),
                        many => format!("{many} escalations `{policy}` are up: name the `subject`"),
                    };
                    self.fail(&entry.place, title, Vec::new());
                    return Ok(());
                };
                let by = by.clone();
                world.operator(if *acknowledge {
                    Operator::Acknowledge { run, by }
                } else {
                    Operator::Resolve { run, by }
                })?
            }
            Verb::Decide { approval, subject, by, outcome, comment, to } => {
                let found: Vec<_> = world
                    .approvals()?
                    .into_iter()
                    .filter(|open| {
                        open.asks == *approval && (subject.is_none() || open.about == *subject)
                    })
                    .collect();
                let [open] = &found[..] else {
                    let title = match found.len() {
                        0 => format!("no approval of `{approval}` is open"),
                        many => {
                            format!("{many} approvals of `{approval}` are open: name the `subject`")
                        }
                    };
                    self.fail(&entry.place, title, Vec::new());
                    return Ok(());
                };
                let (approval, by, asked_only) = (open.id.clone(), by.clone(), open.asked);
                world.operator(match (outcome, to) {
                    (_, Some(to)) => Operator::Delegate { approval, to: to.clone(), by },
                    (outcome, None) => {
                        let (outcome, comment) =
                            (outcome.clone().unwrap_or_default(), comment.clone());
                        Operator::Decide { approval, outcome, comment, asked_only, by }
                    }
                })?
            }
            Verb::Open { link, mail, press } => match world.open(link, mail.as_deref(), *press)? {
                Ok(Some(reply)) => reply,
                Ok(None) => return Ok(()),
                Err(why) => {
                    self.fail(&entry.place, "this link cannot be followed", vec![why]);
                    return Ok(());
                }
            },
            Verb::Reload(folder) => {
                match self.pack.reloads.get(folder) {
                    Some(rules) => {
                        world.seen().is_over = true;
                        world.put_in_force(rules.clone())?;
                    }
                    None => self.fail(&entry.place, format!("`{folder}` was not read"), Vec::new()),
                }
                return Ok(());
            }
            Verb::Call { function, args, wanted } => {
                self.call(entry, function, world.call(function, args), wanted);
                return Ok(());
            }
        };
        if let Reply::Refused(refusal) = reply {
            self.fail(&entry.place, "the engine refused this", vec![refusal.to_string()]);
        }
        Ok(())
    }

    /// What a function of a plugin came to.
    fn call(&mut self, entry: &Entry, name: &str, came: Result<Value, Cause>, wanted: &Wanted) {
        let (title, lines) = match (came, wanted) {
            (Ok(_), Wanted::Anything) => return,
            (Ok(value), Wanted::Value(wanted)) if agrees(wanted, &value) => return,
            (Err(cause), Wanted::Failure(why)) if matches(why, &cause.message) => return,
            (Ok(value), Wanted::Value(wanted)) => (
                format!("`{name}` did not return what was expected"),
                vec![format!("expected  {}", flow(wanted)), format!("returned  {}", flow(&value))],
            ),
            (Ok(value), Wanted::Failure(_)) => {
                (format!("`{name}` did not fail"), vec![format!("returned  {}", flow(&value))])
            }
            (Err(cause), _) => (format!("`{name}` failed"), vec![cause.message.to_string()]),
        };
        self.fail(&entry.place, title, lines);
    }

    fn checks(&mut self, world: &World, entry: &Entry) {
        for node in &entry.checks {
            let Some(scalar) = node.scalar() else { continue };
            if let Some(failure) = self.check(world, entry, node, &scalar.text) {
                self.failures.push(failure);
            }
        }
    }

    fn check(&self, world: &World, entry: &Entry, node: &Node, text: &str) -> Option<Failure> {
        let failure = |title: String, lines: Vec<String>| {
            Some(Failure { place: node.span.clone(), title, lines })
        };
        let when = self.at(entry);
        let names = Names::default();
        let condition = match Condition::compile(&world.rules().sandbox, text, &names, false) {
            Ok(condition) => condition,
            Err(mut errors) => {
                let first = errors.swap_remove(0);
                return failure(first.message, first.help.into_iter().collect());
            }
        };
        match condition.test(&Scope::new(world.now()), &world.host()) {
            Ok(Test::True) => None,
            Ok(Test::False(why)) => {
                failure(format!("at {when}: the check does not hold"), vec![why.to_string()])
            }
            Err(error) => failure(format!("at {when}: the check failed"), vec![error.to_string()]),
        }
    }

    /// What was announced and not sent when the timeline is over.
    fn unsent(&mut self, world: &World) -> Result<(), Broken> {
        let unsent = world.unsent()?;
        if !unsent.is_empty() {
            let lines = unsent
                .iter()
                .map(|(workflow, action)| format!("+ {action} of {workflow}"))
                .collect();
            let place =
                self.scenario.timeline.last().map_or(&self.scenario.place, |last| &last.place);
            let place = place.clone();
            self.fail(&place, "the timeline is over and this is still to be sent", lines);
        }
        Ok(())
    }
}
