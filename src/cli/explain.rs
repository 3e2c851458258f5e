//! `adjutant explain`: why something did or did not happen.

use clap::Args;

use super::client::{Client, part, with_query};
use super::events::{came_again, words};
use super::runs::waiting;
use super::screen::{BAD, BOLD, DIM, Screen, put, styled};
use super::{Exit, Failure, story};
use crate::api::wire;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  adjutant explain 12                        each workflow that listens to event 12, clause by clause
  adjutant explain form-2026-0042            the same by the event's id
  adjutant explain 12 lead-response          only what this workflow makes of it
  adjutant explain 17-9f86d081884c7d65       why a run is where it is, and when it will move
  adjutant explain --run 17                  the same by its number

The verdicts are those of the moment when the event came. The clauses are looked at again, by the rules and
records as they are now.")]
pub(super) struct Explain {
    /// An event, by its number or id, or a run by its whole id
    #[arg(value_name = "EVENT|RUN")]
    what: String,
    /// Only this workflow
    workflow: Option<String>,
    /// It is a run, by its number
    #[arg(long)]
    run: bool,
}

pub(super) async fn run(
    explain: Explain,
    client: &Client,
    screen: &Screen,
) -> Result<Exit, Failure> {
    if explain.run || is_run(&explain.what) {
        let path = format!("/v1/runs/{}", part(&explain.what));
        let answer = client.get::<wire::Story>(&path).await?;
        screen.show(&answer.json, |screen| of_run(&answer.value, screen));
    } else {
        let path = format!("/v1/verdicts/{}", part(&explain.what));
        let path = with_query(&path, &[("workflow", explain.workflow)]);
        let answer = client.get::<wire::Verdicts>(&path).await?;
        screen.show(&answer.json, |screen| of_event(&answer.value, screen));
    }
    Ok(Exit::Fine)
}

/// Whether a text is the whole id of a run: its number, and 16 hexadecimal digits.
fn is_run(text: &str) -> bool {
    text.split_once('-').is_some_and(|(no, check)| {
        no.bytes().all(|byte| byte.is_ascii_digit())
            && !no.is_empty()
            && check.len() == 16
            && check.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

fn of_event(told: &wire::Verdicts, screen: &Screen) -> String {
    let event = &told.event;
    let subject = event.subject.as_deref().unwrap_or("–");
    let title = styled(BOLD, format_args!("event {}  {}", event.no, event.r#type));
    let mut text = format!("{title}  {subject}\n");
    if !event.runs.is_empty() {
        put(&mut text, format_args!("  started run {}\n", event.runs.join(", run ")));
    }
    if let Some(again) = came_again(event, screen) {
        put(&mut text, format_args!("  came again {again}\n"));
    }
    if told.workflows.is_empty() {
        text.push_str("  no workflow listens to events of this type\n");
    }
    for one in &told.workflows {
        let said = match &one.verdict {
            Some(verdict) => words(&verdict.code, verdict.detail.as_deref()),
            None => {
                "not asked then: the event's data rule it out, or it was not there yet".to_owned()
            }
        };
        put(&mut text, format_args!("\n  {}  {said}\n", styled(BOLD, &one.workflow)));
        for clause in &one.clauses {
            text.push_str(&line(clause));
        }
        if let (Some(key), Some(mode)) = (&one.key, &one.mode) {
            put(&mut text, format_args!("    {}  {key} (mode: {mode})\n", styled(DIM, "key")));
        }
    }
    // A run that was woken is no workflow that was asked.
    let others = event
        .verdicts
        .iter()
        .filter(|verdict| !told.workflows.iter().any(|one| one.verdict.as_ref() == Some(verdict)));
    for verdict in others {
        let said = words(&verdict.code, verdict.detail.as_deref());
        put(&mut text, format_args!("\n  {}  {said}\n", styled(BOLD, &verdict.workflow)));
    }
    text
}

/// A clause: whether it holds, and what it compares.
fn line(clause: &wire::Clause) -> String {
    let mark = match clause.held {
        Some(true) => "✓".to_owned(),
        Some(false) => styled(BAD, "✗"),
        None => styled(BAD, "?"),
    };
    let mut text = format!("    {mark} {}  {}", styled(DIM, &clause.place), clause.clause);
    let operands: Vec<String> =
        clause.operands.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    if !operands.is_empty() {
        put(
            &mut text,
            format_args!("  {}", styled(DIM, format_args!("({})", operands.join(", ")))),
        );
    }
    if let Some(error) = &clause.error {
        put(&mut text, format_args!("  {}", styled(BAD, error)));
    }
    text.push('\n');
    text
}

fn of_run(told: &wire::Story, screen: &Screen) -> String {
    let run = &told.run;
    let title = styled(BOLD, format_args!("run {}  {}", run.id, run.workflow));
    let mut text = format!("{title}  {}\n", run.status);
    match &told.event {
        Some(event) => put(
            &mut text,
            format_args!(
                "  It began on {} with event {} ({}).\n",
                screen.instant(&run.began),
                event.no,
                event.r#type
            ),
        ),
        None => put(&mut text, format_args!("  It began on {}.\n", screen.instant(&run.began))),
    }
    text.push_str(&would(told));
    if let Some(at) = &told.at {
        put(&mut text, format_args!("  It stands at {}", story::label(at)));
        match &run.waits {
            Some(waits) => {
                put(&mut text, format_args!(" and waits for {}.\n", waiting(waits, screen)));
            }
            None => text.push_str(".\n"),
        }
        text.push_str("  It moves when\n");
        for way in ways(told, screen) {
            put(&mut text, format_args!("    – {way}\n"));
        }
    } else {
        let why = run.reason.as_ref().map(|reason| format!(": {}", reason.message));
        let ended = run.ended.as_deref().map_or_else(String::new, |at| screen.instant(at));
        put(&mut text, format_args!("  It ended on {ended}{}.\n", why.unwrap_or_default()));
    }
    put(&mut text, format_args!("  The whole story: adjutant runs show {}\n", run.id));
    text
}

/// What a run in shadow mode would have done; nothing, of any other run.
fn would(told: &wire::Story) -> String {
    if !told.run.shadow {
        return String::new();
    }
    let mut text = "  It is in shadow mode: it decides, and performs nothing.\n".to_owned();
    for entry in &told.story {
        let Some(said) = entry.text.strip_prefix("in shadow mode: ") else { continue };
        let step = entry.step.as_ref().map(story::label).unwrap_or_default();
        put(&mut text, format_args!("    – {step}: {said}\n"));
    }
    text
}

/// Everything that would make a living run go on.
fn ways(told: &wire::Story, screen: &Screen) -> Vec<String> {
    let mut ways = Vec::new();
    if let Some(waits) = &told.run.waits {
        ways.push(match waits.what.as_str() {
            "event" => format!("an event comes: {}", waits.text),
            _ => format!("this is over: {}", waits.text),
        });
        if let Some(until) = &waits.until {
            ways.push(format!("it is {}", screen.instant(until)));
        }
    }
    for child in
        told.children.iter().filter(|child| matches!(child.status.as_str(), "active" | "queued"))
    {
        ways.push(format!("run {} ({}) ends, which is {}", child.id, child.workflow, child.status));
    }
    for listening in &told.listens {
        ways.push(format!("an event comes: {} → {}", listening.words(), listening.to));
    }
    ways.push(format!("its lifetime is over: {}", screen.instant(&told.expires)));
    ways.push("a person ends it: adjutant runs cancel".to_owned());
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_told_from_events() {
        assert!(is_run("17-9f86d081884c7d65"));
        for text in ["17", "form-2026-0042", "17-9f86", "-9f86d081884c7d65", "x-9f86d081884c7d65"] {
            assert!(!is_run(text), "{text}");
        }
    }

    #[test]
    fn each_clause_is_told_with_its_operands() {
        let told: wire::Verdicts = serde_json::from_value(serde_json::json!({
            "event": {
                "no": 12, "id": "e-1", "source": "crm", "type": "lead.created", "subject": "lead/42",
                "time": "2026-03-02T10:00:00Z", "accepted": "2026-03-02T10:00:01Z",
                "data": {}, "runs": [], "verdicts": [{ "workflow": "vip", "code": "woke" }],
                "again": ["2026-03-02T10:00:05Z"],
            },
            "workflows": [{
                "workflow": "lead-response",
                "verdict": { "workflow": "lead-response", "code": "if", "detail": "lead.score >= 80 was false: lead.score = 49" },
                "clauses": [
                    { "place": "triggers[0].where", "clause": "event.data.email != \"\"", "held": true, "operands": [["event.data.email", "\"a\""]] },
                    { "place": "if", "clause": "lead.score >= 80", "held": false, "operands": [["lead.score", "49"]] },
                ],
                "key": "lead/42", "mode": "single",
            }],
        }))
        .unwrap();
        let text = anstream::adapter::strip_str(&of_event(&told, &Screen::utc())).to_string();
        assert_eq!(
            text,
            "event 12  lead.created  lead/42\n  \
             came again on 2026-03-02 10:00:05 UTC; it was known, so nothing was done\n\n  \
             lead-response  `if`: lead.score >= 80 was false: lead.score = 49\n    \
             ✓ triggers[0].where  event.data.email != \"\"  (event.data.email = \"a\")\n    \
             ✗ if  lead.score >= 80  (lead.score = 49)\n    \
             key  lead/42 (mode: single)\n\n  \
             vip  a waiting run went on\n"
        );
    }
}
