//! The patterns of `examples/patterns/` on virtual time.

use adjutant::model::Value;
use serde_json::json;

use crate::shipped::start_with;
use crate::support::sim::{Sim, at};

fn start(now: &str) -> Sim {
    start_with("examples/patterns/rules", &["examples/patterns/plugins", "plugins"], now)
}

/// Events of a type so far.
fn events(sim: &mut Sim, kind: &str) -> Vec<(String, serde_json::Value)> {
    let all = sim.events_of(kind);
    all.into_iter()
        .map(|event| {
            let subject = event.subject.as_deref().unwrap_or_default().to_owned();
            (subject, event.data.to_json())
        })
        .collect()
}

#[test]
fn the_third_concern_within_thirty_days_is_a_complaint() {
    let mut sim = start("2026-03-02T09:00:00Z");
    let concern = |sim: &mut Sim, text: &str| {
        let data = json!({ "text": text, "email": "a@x.example", "about": "price" });
        sim.event("concern.logged", "customer/7", data);
    };
    concern(&mut sim, "long ago");
    sim.until("2026-04-05T09:00:00Z");
    concern(&mut sim, "too dear");
    concern(&mut sim, "and slow");
    assert!(events(&mut sim, "complaint.filed").is_empty());
    sim.until("2026-04-20T09:00:00Z");
    concern(&mut sim, "and loud");
    concern(&mut sim, "a fourth");
    let filed = events(&mut sim, "complaint.filed");
    assert_eq!(filed.len(), 1, "{filed:?}");
    assert_eq!(filed[0].0, "complaint/customer/7/2026-04-20");
    assert_eq!(filed[0].1["text"], "too dear; and slow; and loud");
    assert_eq!(sim.field("metric/concerns_total{about=\"price\"}", "value"), Value::Int(5));
}

#[test]
fn a_theme_that_spikes_is_told_once_a_week_and_briefed_each_quarter() {
    let mut sim = start("2026-03-23T09:00:00Z");
    for n in 0..25 {
        sim.event(
            "feedback.received",
            "",
            json!({ "theme": "delivery", "text": format!("late {n}") }),
        );
    }
    sim.event("feedback.received", "", json!({ "theme": "praise", "text": "thanks" }));
    let told = |sim: &Sim| sim.effects.iter().filter(|effect| effect.to == "ops-chat").count();
    assert_eq!((told(&sim), events(&mut sim, "theme.spiked").len()), (1, 1));
    // 1 April 2026 is a Wednesday.
    sim.until("2026-04-01T07:00:00Z");
    let mails = sim.effects.iter().filter_map(|effect| effect.said.clone());
    let brief =
        mails.into_iter().find(|(subject, _)| subject.starts_with("What")).expect("a brief");
    assert_eq!(brief.0, "What customers said, until 2026-04-01");
    assert_eq!(brief.1.trim(), "25  delivery\n1  praise");
    for n in 0..12 {
        sim.event(
            "feedback.received",
            "",
            json!({ "theme": "delivery", "text": format!("again {n}") }),
        );
    }
    assert_eq!(told(&sim), 2);
}

#[test]
fn a_deal_rots_when_idle_without_a_next_step() {
    let mut sim = start("2026-03-02T09:00:00Z");
    let next = "2026-03-19T10:00:00+01:00";
    sim.event("deal.step.planned", "deal/1", json!({ "owner": "ana", "next_step": next }));
    sim.until("2026-03-19T08:59:00Z");
    assert!(sim.effects.is_empty(), "idle for more than two weeks, with a next step ahead");
    sim.until("2026-03-19T09:00:00Z");
    assert_eq!(events(&mut sim, "deal.stale").len(), 1);
    assert_eq!(sim.effects.last().map(|effect| &*effect.to), Some("ana@ops.example"));
    // Two working days from Thursday.
    sim.until("2026-03-23T08:59:00Z");
    assert_eq!(sim.effects.len(), 1);
    sim.until("2026-03-23T09:00:00Z");
    assert_eq!(sim.effects.last().map(|effect| &*effect.to), Some("max@ops.example"));
    // What happens begins the watch anew, and winning ends it.
    sim.event("deal.activity", "deal/2", json!({ "owner": "ana" }));
    sim.until("2026-04-01T09:00:00Z");
    sim.event("deal.activity", "deal/2", json!({}));
    sim.until("2026-04-14T09:00:00Z");
    sim.event("deal.stage.changed", "deal/2", json!({ "stage": "won" }));
    sim.until("2026-06-01T09:00:00Z");
    assert_eq!(events(&mut sim, "deal.stale").len(), 1);
}

#[test]
fn reports_are_asked_for_chased_and_said_to_be_overdue() {
    // 1 March 2026 is a Sunday: the request comes on Monday.
    let mut sim = start("2026-02-27T09:00:00Z");
    sim.until("2026-03-02T07:59:00Z");
    assert!(sim.effects.is_empty());
    sim.until("2026-03-02T08:00:00Z");
    let subject = |sim: &Sim, at: usize| sim.effects[at].said.clone().unwrap_or_default().0;
    assert_eq!((sim.effects.len(), subject(&sim, 0)), (2, "Your report for 2026-02".to_owned()));
    sim.event("report.received", "department/sales", json!({}));
    // Five working days on.
    sim.until("2026-03-09T08:00:00Z");
    assert_eq!((sim.effects.len(), &*sim.effects[2].to), (3, "ana@ops.example"));
    assert_eq!(subject(&sim, 2), "Your report for 2026-02 is due");
    sim.until("2026-03-11T07:59:00Z");
    assert!(events(&mut sim, "report.overdue").is_empty());
    sim.until("2026-03-11T08:00:00Z");
    let overdue = events(&mut sim, "report.overdue");
    assert_eq!(overdue, [("department/marketing".to_owned(), json!({ "month": "2026-02" }))]);
}

#[test]
fn a_figure_raises_an_alert_at_the_third_miss_and_clears_it_above_95_percent() {
    let mut sim = start("2026-03-10T17:00:00Z");
    let days = [("10", 91.0), ("11", 88.1), ("12", 86.7), ("13", 82.5), ("16", 92.3), ("17", 95.4)];
    let mut seen = Vec::new();
    for (day, percent) in days {
        sim.until(&format!("2026-03-{day}T17:00:00Z"));
        sim.event("kpi.observed", "kpi/sales", json!({ "value": percent, "target": 100 }));
        let raised = events(&mut sim, "kpi.alert.raised").len();
        seen.push((raised, events(&mut sim, "kpi.alert.cleared").len()));
    }
    assert_eq!(seen, [(0, 0), (0, 0), (0, 0), (1, 0), (1, 0), (1, 1)]);
    // Raised on Friday evening, told on Monday morning, and the chief two open hours later.
    let told: Vec<_> = sim.effects.iter().filter(|effect| effect.said.is_some()).collect();
    let when = |n: usize| (told[n].at, &*told[n].to);
    assert_eq!(when(0), (at("2026-03-16T08:00:00Z"), "max@ops.example"));
    assert_eq!(when(1), (at("2026-03-16T10:00:00Z"), "cro@ops.example"));
    // Over the weekend and after the last day nothing came.
    sim.until("2026-03-18T19:00:00Z");
    assert_eq!(events(&mut sim, "metric.stale").len(), 2);
}
