//! `pick:` the person of a team whose turn it is.
//!
//! Turns are dealt as packets are in fair queueing: each member has a place on a line, the one who can
//! be picked and is furthest behind is picked and moves ahead by a distance that is shorter the more it
//! weighs. Who cannot be picked (is away, or has as much as its caps allow) stays where it is, so it
//! is the next one as soon as it can be; and moves on from where the others are by then, so it has one
//! turn more and not all that it missed. After Goyal, Vin and Cheng, "Start-time Fair Queueing" (1996).

use std::collections::BTreeSet;

use crate::model::{Cause, Instant, Map, PERSON, Span, Text, Value, Window};
use crate::rules::{Member, Team};
use crate::script::{Host as _, Scope, Shape, Test};

use super::advance::{Cursor, Flow};
use super::reads::Reads;
use super::stage::Stage;
use super::start::{Fault, clipped};
use super::steps::eval;
use super::watch::{PICK, window_key};

/// How far a member of weight 1 moves: divisible by every weight up to 20, and within a ten-millionth by any.
const TURN: i64 = 232_792_560;
/// In a team's window: how far those are who were picked.
const FRONT: &str = "";
const HOUR: Span = Span::from_secs(3_600);
const DAY: Span = Span::from_days(1);

/// The team in force.
pub(super) fn team<'s>(stage: &Stage<'s>, name: &str) -> Result<&'s Team, Fault> {
    stage
        .rules
        .teams
        .get(name.trim())
        .ok_or_else(|| Cause::new("team", format!("there is no team `{name}` any more")).into())
}

/// The record of a person, or null.
pub(super) fn person(stage: &Stage<'_>, id: &str) -> Result<Value, Fault> {
    Ok(Reads(stage).record(PERSON, id)?)
}

/// Members who are there at present, with their records; the fallback if nobody is.
pub(super) fn reachable(stage: &Stage<'_>, team: &Team) -> Result<Vec<(Text, Value)>, Fault> {
    let mut found = Vec::new();
    for member in &team.members {
        if away(stage, team, member)?.is_none() {
            found.push((member.id.clone(), person(stage, &member.id)?));
        }
    }
    if found.is_empty() {
        found.push((team.fallback.clone(), person(stage, &team.fallback)?));
    }
    Ok(found)
}

/// Does a `pick:` step.
pub(super) fn step(
    stage: &mut Stage<'_>,
    cursor: &Cursor,
    name: &str,
    except: Option<&Shape>,
) -> Result<Flow, Fault> {
    let team = team(stage, name)?;
    let except = match except {
        Some(shape) => ids(&eval(stage, cursor, shape)?)?,
        None => BTreeSet::new(),
    };
    let turns = Turns::read(stage, team)?;
    let mut skipped = Vec::new();
    let mut picked = None;
    for (member, place) in turns.in_order(team) {
        match unfit(stage, team, member, &except)? {
            Some(why) => skipped.push(format!("{}: {why}", member.id)),
            None => {
                picked = Some((member, place));
                break;
            }
        }
    }
    let id = picked.map_or(&team.fallback, |(member, _)| &member.id);
    let record = person(stage, id)?;
    if record == Value::Null {
        let message = format!("the fallback of the team `{name}`, `{PERSON}/{id}`, is not there");
        return Err(Cause::new("team", message).into());
    }
    let mut said = match picked {
        Some(_) => id.to_string(),
        None => format!("{id}, the fallback"),
    };
    if !skipped.is_empty() {
        said = format!("{said} ({})", skipped.join(", "));
    }
    let said = clipped(&said);
    if cursor.run.shadow {
        return Ok(Flow::Would(record, said));
    }
    if let Some((member, place)) = picked {
        turns.take(stage, team, member, place)?;
        count(stage, team, member)?;
    }
    Ok(Flow::Done(record, said))
}

/// The ids in `except`: one, or a list.
fn ids(value: &Value) -> Result<BTreeSet<Text>, Cause> {
    match value {
        Value::Null => Ok(BTreeSet::new()),
        Value::Text(text) => {
            Ok(BTreeSet::from([text.strip_prefix("person:").unwrap_or(text).into()]))
        }
        Value::List(items) => {
            let mut all = BTreeSet::new();
            for item in items {
                all.extend(ids(item)?);
            }
            Ok(all)
        }
        other => Err(Cause::new(
            "team",
            format!("`except` has {} in it; it lists ids of people", other.type_name()),
        )),
    }
}

/// Why a member cannot be picked this time.
fn unfit(
    stage: &Stage<'_>,
    team: &Team,
    member: &Member,
    except: &BTreeSet<Text>,
) -> Result<Option<Text>, Fault> {
    if except.contains(&member.id) {
        return Ok(Some("excepted".into()));
    }
    if let Some(why) = away(stage, team, member)? {
        return Ok(Some(why));
    }
    let times = stage.window(&member_key(team, member))?.unwrap_or_default().times;
    for (cap, span, unit) in [(member.cap.hour, HOUR, "hour"), (member.cap.day, DAY, "day")] {
        let Some(cap) = cap else { continue };
        let since = stage.now - span;
        let count = times.iter().filter(|at| **at > since).count();
        if count >= cap as usize {
            return Ok(Some(format!("{count} of {cap} a {unit}").into()));
        }
    }
    if let (Some(cap), Some(active)) = (member.cap.active, &team.active) {
        let count = active.eval(&scope_of(stage, member), &Reads(stage))?;
        let full = match &count {
            Value::Int(count) => *count >= i64::from(cap),
            Value::Float(count) => *count >= f64::from(cap),
            other => {
                let message = format!(
                    "`active` of the team `{}` is {}, not a number",
                    team.name,
                    other.type_name()
                );
                return Err(Cause::new("team", message).into());
            }
        };
        if full {
            return Ok(Some(format!("{count} of {cap} active").into()));
        }
    }
    Ok(None)
}

/// Why a member is not there.
fn away(stage: &Stage<'_>, team: &Team, member: &Member) -> Result<Option<Text>, Fault> {
    if person(stage, &member.id)? == Value::Null {
        return Ok(Some("no such person".into()));
    }
    let Some(available) = &team.available else { return Ok(None) };
    Ok(match available.test(&scope_of(stage, member), &Reads(stage))? {
        Test::True => None,
        Test::False(_) => Some("not available".into()),
    })
}

fn scope_of(stage: &Stage<'_>, member: &Member) -> Scope {
    let mut scope = Scope::new(stage.now);
    scope.set("member", &Value::Text(member.id.clone()));
    scope
}

fn member_key(team: &Team, member: &Member) -> crate::model::WindowKey {
    window_key("", PICK, Some(&format!("{}/{}", team.name, member.id)))
}

/// Remembers a pick for the caps.
fn count(stage: &mut Stage<'_>, team: &Team, member: &Member) -> Result<(), Fault> {
    let cap = member.cap.hour.max(member.cap.day);
    let Some(most) = cap else { return Ok(()) };
    let now = stage.now;
    let key = member_key(team, member);
    let mut times: Vec<Instant> = stage.window(&key)?.unwrap_or_default().times;
    times.retain(|at| *at > now - DAY);
    times.push(now);
    // As many as can be asked for: more than a cap allows never count.
    let many = times.len().saturating_sub(most as usize);
    times.drain(..many);
    let window = Window { due: Some(now + DAY), times, ..Window::default() };
    Ok(stage.put_window(key, Some(window))?)
}

/// Where the members of a team are.
struct Turns {
    places: Map,
    front: i64,
}

impl Turns {
    fn read(stage: &Stage<'_>, team: &Team) -> Result<Self, Fault> {
        let window = stage.window(&window_key("", PICK, Some(&team.name)))?.unwrap_or_default();
        let places = match window.last {
            Value::Map(places) => places,
            _ => Map::new(),
        };
        let front = match places.get(FRONT) {
            Some(Value::Int(front)) => *front,
            _ => 0,
        };
        Ok(Self { places, front })
    }

    /// The members with their places, who is next first. Those who are new begin where the others are, one
    /// after the other.
    fn in_order<'t>(&self, team: &'t Team) -> Vec<(&'t Member, i64)> {
        let many = team.members.len().max(1) as i64;
        let mut all: Vec<_> = team
            .members
            .iter()
            .enumerate()
            .map(|(at, member)| match self.places.get(&member.id) {
                Some(Value::Int(place)) => (member, *place),
                _ => (member, self.front.saturating_add(distance(member) * at as i64 / many)),
            })
            .collect();
        all.sort_by_key(|(_, place)| *place);
        all
    }

    /// A member has its turn.
    fn take(
        self,
        stage: &mut Stage<'_>,
        team: &Team,
        picked: &Member,
        place: i64,
    ) -> Result<(), Fault> {
        let front = self.front.max(place);
        let mut places = Map::from([(FRONT.into(), Value::Int(front))]);
        for (member, place) in self.in_order(team) {
            let place = if member.id == picked.id {
                // Who makes up for a turn stands behind those who are there already.
                front.saturating_add(distance(member)).saturating_add(i64::from(place < front))
            } else {
                place
            };
            places.insert(member.id.clone(), Value::Int(place));
        }
        let key = window_key("", PICK, Some(&team.name));
        let window = Window { last: Value::Map(places), ..Window::default() };
        Ok(stage.put_window(key, Some(window))?)
    }
}

fn distance(member: &Member) -> i64 {
    TURN / i64::from(member.weight.max(1))
}
