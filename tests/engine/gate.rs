//! The send gate: consent, suppression, caps, quiet hours and guards, for every recipient and at every attempt.

use adjutant::model::{Operator, RunNo, Value};
use serde_json::json;

use crate::play::{act, begin, lines};
use crate::support::sim::Sim;

fn rules(purpose: &str) -> String {
    format!(
        "purpose: marketing\n{purpose}---\nworkflow: w\ntriggers: [{{ event: go }}]\nsteps:\n  \
         - email: ${{event.subject}}\n    purpose: marketing\n    subject: x\n    text: y\n    id: mail\n  \
         - log: '${{json(steps.mail.get(\"suppressed\"))}}'\n---\n\
         workflow: contact\ntriggers: [{{ event: contact }}]\nsteps:\n  \
         - record: contact/${{event.subject}}\n    set: ${{event.data}}\n"
    )
}

fn sent(sim: &Sim) -> Vec<String> {
    sim.effects.iter().map(|one| format!("{} {}", &one.at.to_string()[5..16], one.to)).collect()
}

/// `message.suppressed` and `message.held`: reason and until when.
fn said(sim: &Sim, kind: &str) -> Vec<String> {
    let of = |event: &adjutant::model::Event, name: &str| {
        event.data.get(name).map(Value::to_string).unwrap_or_default()
    };
    sim.events_of(kind)
        .iter()
        .map(|event| format!("{} {}", of(event, "reason"), of(event, "until")).trim().to_owned())
        .collect()
}

#[test]
fn quiet_hours_are_those_of_the_recipient() {
    let rules = rules(
        "quiet: \"21:00-08:00\"\nzone: '${record(\"contact\", recipient)?.zone ?? \"Europe/Berlin\"}'\n",
    );
    let mut sim = begin(&rules);
    act(&mut sim, r#"contact ny@x.example {"zone": "America/New_York"}"#);
    act(&mut sim, r#"contact odd@x.example {"zone": "Middle/Earth"}"#);
    act(&mut sim, "@2026-03-02T22:40:00Z");
    for to in ["a@x.example", "NY@x.example", "odd@x.example"] {
        act(&mut sim, &format!("go {to}"));
    }
    act(&mut sim, "+1d");
    assert_eq!(
        sent(&sim),
        [
            "03-02T22:40 NY@x.example",
            "03-03T07:00 a@x.example",
            // A zone that is none is as good as the configured one, UTC here.
            "03-03T08:00 odd@x.example",
        ]
    );
    assert_eq!(
        said(&sim, "message.held"),
        ["quiet 2026-03-03T07:00:00Z", "quiet 2026-03-03T08:00:00Z"]
    );
}

#[test]
fn caps_are_by_the_day_of_the_recipient_and_what_is_over_waits_for_the_next() {
    let rules = rules("zone: Europe/Berlin\ncap: { max: 2, per: day }\nquiet: \"21:00-08:00\"\n");
    let mut sim = begin(&rules);
    act(&mut sim, "@2026-03-02T12:00:00Z");
    for _ in 0..5 {
        act(&mut sim, "go ana@x.example");
    }
    sim.event("go", "Ana <ANA@x.example>", json!({}));
    act(&mut sim, "go ben@x.example");
    act(&mut sim, "+3d");
    let ana = |at: &str| format!("{at} ana@x.example");
    assert_eq!(
        sent(&sim),
        [
            ana("03-02T12:00"),
            ana("03-02T12:00"),
            "03-02T12:00 ben@x.example".to_owned(),
            ana("03-03T07:00"),
            ana("03-03T07:00"),
            ana("03-04T07:00"),
            "03-04T07:00 Ana <ANA@x.example>".to_owned(),
        ]
    );
    let until = |at: &str| format!("cap {at}");
    let first = vec![until("2026-03-02T23:00:00Z"); 4];
    let second = vec![until("2026-03-03T23:00:00Z"); 2];
    assert_eq!(said(&sim, "message.suppressed"), [first, second].concat());
}

#[test]
fn a_cap_by_a_span_of_time_moves_with_it() {
    let rules = rules("cap: { max: 2, per: 1h }\n");
    let mut sim = begin(&rules);
    for line in ["go a@x.example", "+30m", "go a@x.example", "go a@x.example", "+2h"] {
        act(&mut sim, line);
    }
    assert_eq!(
        sent(&sim),
        ["03-02T09:00 a@x.example", "03-02T09:30 a@x.example", "03-02T10:00 a@x.example"]
    );
}

#[test]
fn attempts_that_fail_count_once() {
    let rules = rules("cap: { max: 2, per: day }\n");
    let mut sim = begin(&rules);
    act(&mut sim, "go retry-retry-ok@x.example");
    act(&mut sim, "+1h");
    act(&mut sim, "go retry-retry-ok@x.example");
    act(&mut sim, "+1h");
    assert_eq!(sim.effects.len(), 6, "three attempts each");
    act(&mut sim, "go retry-retry-ok@x.example");
    act(&mut sim, "+1h");
    assert_eq!(sim.effects.len(), 6);
}

#[test]
fn what_would_be_held_beyond_its_end_is_not_sent_at_all() {
    let rules = rules("cap: { max: 1, per: day }\nexpires: 2h\n");
    let mut sim = begin(&rules);
    act(&mut sim, "go a@x.example");
    act(&mut sim, "go a@x.example");
    assert_eq!(sim.effects.len(), 1);
    assert_eq!(said(&sim, "message.suppressed"), ["expired"]);
    assert!(lines(&mut sim).contains(&r#"09:00:00 w: "expired""#.to_owned()));
}

#[test]
fn who_unsubscribes_gets_no_more_of_it_from_then_on() {
    let rules = rules("unsubscribe: true\nquiet: \"21:00-08:00\"\n")
        + "---\n\
        workflow: receipt\ntriggers: [{ event: bought }]\nsteps:\n  - email: ${event.subject}\n    \
        purpose: transactional\n    subject: x\n    text: '${suppressed(event.subject, \"marketing\")}'\n";
    let mut sim = begin(&rules);
    act(&mut sim, "@2026-03-02T22:00:00Z");
    sim.event("go", "Ana <ANA@x.example>", json!({}));
    act(&mut sim, "go ben@x.example");
    let unsubscribe = || Operator::Unsubscribe {
        purpose: "marketing".into(),
        address: "Ana <ana@x.example>".into(),
        run: RunNo(1),
    };
    sim.operator(unsubscribe());
    sim.operator(unsubscribe());
    sim.restart();
    // What was queued already is stopped as well; what belongs to a purchase is not.
    act(&mut sim, "+1d");
    act(&mut sim, "bought ana@x.example");
    assert_eq!(sent(&sim), ["03-03T08:00 ben@x.example", "03-03T22:00 ana@x.example"]);
    assert_eq!(sim.effects[1].said.as_ref().unwrap().1, "true");
    assert_eq!(said(&sim, "message.suppressed"), ["unsubscribed"]);
    assert_eq!(sim.events_of("message.unsubscribed").len(), 1, "told once");
    let place = "suppression/marketing/ana@x.example";
    assert_eq!(sim.field(place, "reason"), "unsubscribed".into());
}

#[test]
fn over_the_guard_a_person_is_asked() {
    let guarded = rules("guard: { max: 2, per: 1h }\n");
    let approved = |outcome: &str| {
        let mut sim = begin(&guarded);
        for at in 0..5 {
            act(&mut sim, &format!("go a{at}@x.example"));
        }
        act(&mut sim, "+3h");
        assert_eq!(sim.effects.len(), 2, "not even when the hour is over");
        assert_eq!(sim.field("approval/guard-marketing", "status"), "open".into());
        assert_eq!(said(&sim, "message.held").len(), 3, "each said once");
        let decide = Operator::Decide {
            approval: "guard-marketing".into(),
            outcome: outcome.into(),
            comment: None,
            asked_only: false,
            by: "tom".into(),
        };
        sim.operator(decide);
        act(&mut sim, "+10m");
        sim
    };
    let sim = approved("approved");
    assert_eq!(sim.effects.len(), 5);
    let mut sim = approved("rejected");
    assert_eq!(sim.effects.len(), 2);
    assert_eq!(said(&sim, "message.suppressed"), ["guard"; 3]);
    // The next ones are counted anew.
    act(&mut sim, "go b@x.example");
    assert_eq!(sim.effects.len(), 3);
}

#[test]
fn a_bulk_run_over_the_guard_performs_nothing_and_asks() {
    let rules = "purpose: marketing\nguard: { max: 3, per: 1h }\n---\nworkflow: w\ntriggers: [{ event: go }]\n\
        steps:\n  - foreach: ${event.data.to}\n    steps:\n      - email: ${item}\n        purpose: marketing\n        \
        subject: x\n        text: y\n";
    let mut sim = begin(rules);
    sim.event("go", "s", json!({ "to": ["a@x.example", "b@x.example"] }));
    assert_eq!(sim.effects.len(), 2);
    sim.event("go", "s", json!({ "to": ["c@x.example", "d@x.example"] }));
    assert_eq!(sim.effects.len(), 2, "not even the one that would be let out");
    let open = sim.ask(&adjutant::pump::Query::Approvals { all: false, limit: 10 });
    let adjutant::pump::Answer::Records(open) = open else { panic!("records") };
    let summary = open[0].fields["summary"].to_string();
    assert_eq!(
        summary,
        "w: 2 items send 2 mails of marketing, and its guard lets out 1 more at present"
    );
}

/// Never more than the cap on any day of any recipient, and nobody's mail is lost, whatever comes when and whatever
/// crashes.
#[test]
fn caps_hold_whatever_comes() {
    use crate::support::chance::Chance;
    let seed = Chance::seed("GATE_SEED");
    let mut chance = Chance::new(seed);
    let rules = rules("zone: Europe/Berlin\ncap: { max: 2, per: day }\nquiet: \"22:00-06:30\"\n");
    let mut sim = begin(&rules);
    let who = ["a@x.example", "b@x.example", "c@x.example"];
    for _ in 0..150 {
        match chance.below(5) {
            0 => act(&mut sim, &format!("+{}m", 1 + chance.below(400))),
            1 if chance.one_in(4) => act(&mut sim, "restart"),
            _ => act(&mut sim, &format!("go {}", who[chance.below(3) as usize])),
        }
    }
    let came = sim.events_of("go").len();
    act(&mut sim, "+90d");
    assert_eq!(sim.effects.len(), came, "seed {seed}");
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let mut days = std::collections::BTreeMap::new();
    for one in &sim.effects {
        let local = one.at.to_timestamp().to_zoned(zone.clone());
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        assert!((390..1_320).contains(&minute), "seed {seed}: {local}");
        *days.entry((one.to.clone(), local.date())).or_insert(0) += 1;
    }
    assert!(days.values().all(|count| *count <= 2), "seed {seed}: {days:?}");
}
