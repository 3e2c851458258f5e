//! The story of a run as people read it: what it is, what happened step by step, what it waits for.

use super::runs::{detail, waiting};
use super::screen::{BAD, BOLD, DIM, Screen, cut, put, styled};
use crate::api::wire;

/// Characters of a variable or a result.
const VALUE: usize = 160;

/// Lays the story out.
pub(super) fn tell(story: &wire::Story, screen: &Screen) -> String {
    let mut text = head(story, screen);
    text.push_str(&body(story, screen));
    if !story.children.is_empty() {
        put(&mut text, format_args!("\n{}\n", styled(BOLD, "called")));
        for child in &story.children {
            let detail = detail(child, screen);
            let detail = if detail.is_empty() { detail } else { format!(": {detail}") };
            let line =
                format_args!("  → {}  {}  {}{detail}\n", child.id, child.workflow, child.status);
            put(&mut text, line);
        }
    }
    text
}

fn head(story: &wire::Story, screen: &Screen) -> String {
    let run = &story.run;
    let status = if run.status == "failed" { BAD } else { BOLD };
    let title = styled(BOLD, format_args!("run {}  {}", run.id, run.workflow));
    let mut text = format!("{title}  {}\n", styled(status, &run.status));
    let mut field = |name: &str, value: String| {
        put(&mut text, format_args!("  {}  {value}\n", styled(DIM, format_args!("{name:9}"))));
    };
    if let Some(subject) = &run.subject {
        field("subject", subject.clone());
    }
    if let Some(key) = &run.key {
        field("key", key.clone());
    }
    match &story.event {
        Some(event) => {
            field(
                "event",
                format!("{} {} (id {}, source {})", event.no, event.r#type, event.id, event.source),
            );
        }
        None => field("event", format!("{} (no longer kept)", run.event)),
    }
    if let Some(parent) = &run.parent {
        field("called by", format!("run {parent}"));
    }
    field("began", screen.instant(&run.began));
    if let Some(ended) = &run.ended {
        field("ended", screen.instant(ended));
    }
    if let Some(reason) = &run.reason {
        field("because", format!("{} ({})", reason.message, reason.code));
    }
    if let Some(escalation) = &story.escalation {
        field("about", escalation.summary.clone());
        let taken = escalation.acknowledged.as_ref();
        let taken = taken.map(|taken| {
            format!(", acknowledged by {} at {}", taken.by, screen.instant(&taken.at))
        });
        field("level", format!("{}{}", escalation.level, taken.unwrap_or_default()));
    }
    if let Some(waits) = &run.waits {
        field("waits for", waiting(waits, screen));
        field("expires", screen.instant(&story.expires));
    }
    for listening in &story.listens {
        field("listens", format!("{} → {}", listening.words(), listening.to));
    }
    for (title, values) in [("vars", &story.vars), ("results", &story.steps)] {
        for (index, (name, value)) in values.iter().enumerate() {
            let title = if index == 0 { title } else { "" };
            field(title, format!("{name} = {}", cut(&value.to_string(), VALUE)));
        }
    }
    text
}

/// What happened: the days, under them the steps, under them what happened there.
fn body(story: &wire::Story, screen: &Screen) -> String {
    let mut text = String::new();
    let mut day = String::new();
    let mut at_step = None;
    for entry in &story.story {
        let this_day = screen.day(&entry.at);
        if this_day != day {
            put(&mut text, format_args!("\n{}\n", styled(DIM, &this_day)));
            day = this_day;
            at_step = None;
        }
        let depth = entry.step.as_ref().map_or(0, depth);
        let indent = "  ".repeat(depth);
        if let Some(step) = &entry.step
            && at_step != Some(step.pc)
        {
            put(&mut text, format_args!("            {indent}{}\n", label(step)));
        }
        at_step = entry.step.as_ref().map(|step| step.pc);
        let inner = if entry.step.is_some() { "  " } else { "" };
        let clock = styled(DIM, screen.clock(&entry.at));
        let bad = matches!(entry.what.as_str(), "failed" | "held")
            || entry.status.as_deref() == Some("failed");
        let said = if bad { styled(BAD, &entry.text) } else { entry.text.clone() };
        put(&mut text, format_args!("  {clock}  {indent}{inner}→ {said}{}\n", more(entry, screen)));
    }
    if let (Some(waits), Some(at)) = (&story.run.waits, &story.at) {
        let indent = "  ".repeat(depth(at));
        let now = styled(BOLD, "now");
        put(
            &mut text,
            format_args!(
                "  {now}       {indent}{} … waits for {}\n",
                label(at),
                waiting(waits, screen)
            ),
        );
    }
    text
}

/// What an entry adds to its words.
fn more(entry: &wire::Entry, screen: &Screen) -> String {
    let mut text = String::new();
    if let Some(until) = &entry.until {
        let word = if entry.what == "retrying" { "again at" } else { "until" };
        put(&mut text, format_args!(", {word} {}", screen.instant(until)));
    }
    if let Some(key) = &entry.effect {
        put(&mut text, format_args!("  {}", styled(DIM, key)));
    }
    text
}

/// `steps[3].then[0] email (id ack)`.
pub(super) fn label(step: &wire::StepRef) -> String {
    let path = step.path.clone().unwrap_or_else(|| format!("step {}", step.pc));
    let action = step.action.as_deref().map(|action| format!(" {action}")).unwrap_or_default();
    let id = step.id.as_deref().map(|id| format!(" (id {id})")).unwrap_or_default();
    format!("{}{action}{id}", styled(DIM, path))
}

/// How deep a step is nested in its workflow: `steps[3].then[0]` is one deep.
fn depth(step: &wire::StepRef) -> usize {
    step.path.as_deref().map_or(0, |path| path.matches('.').count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_story_reads_from_the_top() {
        let story: wire::Story = serde_json::from_value(json!({
            "run": {
                "id": "17-9f9f9f9f9f9f9f9f", "workflow": "lead-response", "status": "active",
                "subject": "lead/42", "event": 12, "began": "2026-03-02T23:59:59Z",
                "waits": {"what": "effect", "text": "another attempt of its webhook after 1", "until": "2026-03-03T00:00:05Z"},
            },
            "bundle": "01", "expires": "2027-03-03T00:00:00Z",
            "vars": {"email": "ana@x.example"}, "steps": {},
            "listens": [{"to": "exit", "events": ["lead.closed"], "subject": "lead/42"}],
            "at": {"pc": 1, "path": "steps[0].then[0]", "action": "webhook", "id": "crm"},
            "event": {
                "no": 12, "id": "e-1", "source": "crm", "type": "lead.created", "time": "2026-03-02T23:59:59Z",
                "accepted": "2026-03-02T23:59:59Z", "data": {}, "runs": [], "verdicts": [],
            },
            "story": [
                {"at": "2026-03-02T23:59:59Z", "what": "began", "text": "began with event 12"},
                {"at": "2026-03-02T23:59:59Z", "step": {"pc": 0, "path": "steps[0]", "action": "then"}, "what": "branch", "text": "then: 80 >= 80"},
                {"at": "2026-03-03T00:00:01Z", "step": {"pc": 1, "path": "steps[0].then[0]", "action": "webhook", "id": "crm"}, "what": "attempt", "text": "attempt 1 started", "effect": "eff_ab"},
                {"at": "2026-03-03T00:00:02Z", "step": {"pc": 1, "path": "steps[0].then[0]", "action": "webhook", "id": "crm"}, "what": "retrying", "text": "attempt 1 failed: 503", "until": "2026-03-03T00:00:05Z"},
            ],
            "children": [{"id": "18-00", "workflow": "ladder", "status": "done", "event": 12, "began": "2026-03-02T23:59:59Z"}],
        }))
        .unwrap();
        let text = anstream::adapter::strip_str(&tell(&story, &Screen::utc())).to_string();
        let wanted = "\
run 17-9f9f9f9f9f9f9f9f  lead-response  active
  subject    lead/42
  event      12 lead.created (id e-1, source crm)
  began      2026-03-02 23:59:59 UTC
  waits for  another attempt of its webhook after 1, at 2026-03-03 00:00:05 UTC
  expires    2027-03-03 00:00:00 UTC
  listens    lead.closed of lead/42 → exit
  vars       email = \"ana@x.example\"

Mon 2026-03-02 UTC
  23:59:59  → began with event 12
            steps[0] then
  23:59:59    → then: 80 >= 80

Tue 2026-03-03 UTC
              steps[0].then[0] webhook (id crm)
  00:00:01      → attempt 1 started  eff_ab
  00:00:02      → attempt 1 failed: 503, again at 2026-03-03 00:00:05 UTC
  now         steps[0].then[0] webhook (id crm) … waits for another attempt of its webhook after 1, at 2026-03-03 00:00:05 UTC

called
  → 18-00  ladder  done
";
        assert_eq!(text, wanted, "\n{text}");
    }
}
