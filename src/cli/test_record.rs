//! `adjutant test --record EVENT…`: a scenario from what has happened.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::backtest::{compiled, past};
use super::client::{Client, part};
use super::rule_files::config_or_fail;
use super::screen::{self, put};
use super::{Exit, Failure, Globals};
use crate::api::wire;
use crate::daemon::Clock;
use crate::model::Instant;
use crate::rules::RuleSet;
use crate::scenario::{self, Pack};

/// Prints a scenario of these events, which the daemon still has.
pub(super) async fn run(events: &[String], globals: &Globals) -> Result<Exit, Failure> {
    let config = config_or_fail(globals)?;
    let client = Client::new(globals)?;
    let mut stored = Vec::new();
    for event in events {
        let answer = client.get::<wire::Event>(&format!("/v1/events/{}", part(event))).await?;
        stored.push(answer.value);
    }
    let (events, _) = past(&stored, Instant::MIN);
    let Some(first) = events.first() else {
        let failure = Failure::new(Exit::Usage, "none of these came from outside");
        return Err(failure.help("name the event that began it all: `adjutant events list`"));
    };
    let nothing =
        RuleSet::empty().map_err(|_| Failure::new(Exit::Failed, "no rules could be made"))?;
    let rules = compiled(&config.rules, &config)?;
    let pack =
        Pack { rules, nothing: Arc::new(nothing), reloads: std::collections::BTreeMap::new() };
    let subject = first.draft.subject.as_deref().unwrap_or("nobody");
    let name = format!("{} about {subject}, as it happened", first.draft.kind);
    let now = Clock::start().wall();
    let recorded =
        scenario::record(&pack, &name, &events, now, &config.timezone).map_err(|error| {
            Failure::new(Exit::Failed, format!("the play could not go on: {error}"))
        })?;
    let really = really(&stored, &client).await?;
    screen::say(&preface(&recorded.keys, &really));
    screen::say(&recorded.text);
    Ok(Exit::Fine)
}

/// Keys of the effects that were really begun because of these events.
async fn really(events: &[wire::Event], client: &Client) -> Result<BTreeSet<String>, Failure> {
    let mut keys = BTreeSet::new();
    let mut open: Vec<String> = events.iter().flat_map(|event| event.runs.clone()).collect();
    let mut seen = BTreeSet::new();
    while let Some(run) = open.pop() {
        if !seen.insert(run.clone()) {
            continue;
        }
        let story = client.get::<wire::Story>(&format!("/v1/runs/{}", part(&run))).await?.value;
        keys.extend(story.story.iter().filter_map(|entry| entry.effect.clone()));
        open.extend(story.children.iter().map(|child| child.id.clone()));
    }
    Ok(keys)
}

/// What the reader must know: how the play compares with what happened then.
fn preface(played: &BTreeSet<String>, really: &BTreeSet<String>) -> String {
    let mut text =
        String::from("# Recorded by `adjutant test --record`; read it before you keep it.\n");
    let missing = really.difference(played).count();
    if missing > 0 {
        let line = format_args!(
            "# {missing} of the {} mails and requests of then are not among these: rules or records were others.\n",
            really.len()
        );
        put(&mut text, line);
    }
    text
}
