//! The rules of the language's own examples, cut to what is supported, on virtual time.

use crate::support::sim::{Setup, Sim};
use serde_json::json;

const SIMPLE: &str = r#"
record: lead
index: [email]
---
record: person
rows:
  ana: { email: ana@ops.example }
  tom: { email: tom@ops.example }
---
workflow: lead-response
triggers:
  - event: lead.created
    where: event.data.email != ""
key: ${event.subject}
mode: single
vars:
  email: ${event.data.email.to_lower()}
steps:
  - record: ${event.subject}
    set: { stage: new, email: "${vars.email}" }
  - email: ${vars.email}
    purpose: transactional
    subject: Thank you
    text: We call you.
  - escalate: unaccepted
    summary: Lead ${event.data.id} waits
    resolve: { event: lead.accepted }
    id: accepted
  - record: ${event.subject}
    set: { stage: accepted, owner: "${steps.accepted.event.data.by}" }
---
escalation: unaccepted
levels:
  - { after: 5m, notify: [ana] }
  - { after: 5m, notify: [tom] }
"#;

#[test]
fn a_lead_escalates_until_somebody_accepts() {
    let mut sim = Sim::start(&Setup::rules(SIMPLE), "2026-03-02T09:00:00Z");
    sim.event("lead.created", "lead/42", json!({ "id": 42, "email": "ANA@x.example" }));
    assert_eq!(sim.seen(), ["2026-03-02T09:00:00Z ana@x.example email"]);
    sim.until("2026-03-02T09:07:00Z");
    assert_eq!(sim.seen(), ["2026-03-02T09:05:00Z ana@ops.example adjutant-escalation"]);
    sim.event("lead.accepted", "lead/42", json!({ "by": "dan" }));
    assert_eq!(sim.field("lead/42", "owner"), "dan".into());
    sim.until("2026-03-03T09:07:00Z");
    assert!(sim.seen().is_empty());
}
