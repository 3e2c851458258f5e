//! A budget that many runs draw on at once: what a step checks and the next one books cannot be overtaken, so no
//! more is ever reserved than is there, and nothing is lost on the way, whatever comes when and whatever crashes.

use serde_json::json;

use adjutant::model::Value;

use crate::play::{act, begin};
use crate::support::chance::Chance;
use crate::support::sim::Sim;

const TOTAL: i64 = 50_000;

const RULES: &str = r#"
record: fund
---
workflow: open
triggers: [{ event: open }]
steps:
  - record: fund/one
    set: { available: "${event.data.total}", reserved: 0, paid: 0 }
---
workflow: request
triggers: [{ event: request }]
vars: { amount: "${event.data.amount}" }
steps:
  - if: record("fund/one").available < vars.amount
    then:
      - emit: refused
      - stop: there is not so much left
  - record: fund/one
    set:
      available: ${old.available - vars.amount}
      reserved: ${old.reserved + vars.amount}
  - webhook: https://bank.example/ok
    json: { amount: "${vars.amount}" }
    on_error: continue
  - wait_for: claim
    id: claim
    timeout: 5d
  - if: steps.claim.timed_out
    then:
      - record: fund/one
        set:
          available: ${old.available + vars.amount}
          reserved: ${old.reserved - vars.amount}
      - stop: nobody claimed it
  # Less may be claimed than was reserved; the rest is free again.
  - vars: { paid: "${min(vars.amount, steps.claim.event.data.amount)}" }
  - record: fund/one
    set:
      reserved: ${old.reserved - vars.amount}
      paid: ${old.paid + vars.paid}
      available: ${old.available + vars.amount - vars.paid}
"#;

/// What is available, reserved and paid.
fn fund(sim: &Sim) -> (i64, i64, i64) {
    let of = |name: &str| match sim.field("fund/one", name) {
        Value::Int(amount) => amount,
        other => panic!("`{name}` is {other}"),
    };
    (of("available"), of("reserved"), of("paid"))
}

#[test]
fn a_budget_is_never_overdrawn_and_adds_up_at_every_moment() {
    let seed = Chance::seed("BUDGET_SEED");
    let mut chance = Chance::new(seed);
    let mut sim = begin(RULES);
    sim.event("open", "fund/one", json!({ "total": TOTAL }));
    let mut asked = 0;
    for _ in 0..200 {
        match chance.below(8) {
            0 => act(&mut sim, &format!("+{}h", 1 + chance.below(40))),
            1 if chance.one_in(3) => act(&mut sim, "restart"),
            2 if asked > 0 => {
                let which = 1 + chance.below(asked);
                let amount = 100 * (1 + chance.below(150));
                sim.event("claim", &format!("request/{which}"), json!({ "amount": amount }));
            }
            // Several at one instant: each is decided on what the one before has left.
            _ => {
                sim.pause();
                for _ in 0..=chance.below(4) {
                    asked += 1;
                    let amount = 100 * (1 + chance.below(120));
                    let data = json!({ "amount": amount });
                    sim.event("request", &format!("request/{asked}"), data);
                }
                sim.resume();
            }
        }
        let (available, reserved, paid) = fund(&sim);
        assert!(available >= 0 && reserved >= 0, "seed {seed}: {available} {reserved} {paid}");
        assert_eq!(available + reserved + paid, TOTAL, "seed {seed}");
    }
    let refused = sim.events_of("refused").len();
    assert!(refused > 0, "seed {seed}: the budget was never in question");
    act(&mut sim, "+30d");
    let (available, reserved, paid) = fund(&sim);
    assert_eq!((reserved, available + paid), (0, TOTAL), "seed {seed}");
    assert!(paid > 0, "seed {seed}");
}
