//! Many workflows listen to one type of event: who could take it is asked, the others can still say
//! why they did not.

use adjutant::model::{Code, Verdict};
use adjutant::pump::{Account, Answer, Query};
use serde_json::{Value as Json, json};

use crate::play::begin;
use crate::support::sim::Sim;

/// `count` workflows in two regions, in turns.
fn regions(count: usize) -> String {
    let region = |n: usize| if n.is_multiple_of(2) { "EU" } else { "US" };
    (0..count)
        .map(|n| {
            format!(
                "---\nworkflow: w-{n:03}\ntriggers:\n  - event: go\n    where: event.data.score >= 80 && \
                 event.data.region == \"{}\"\nsteps: [{{ log: \"{n}\" }}]\n",
                region(n)
            )
        })
        .collect::<Vec<_>>()
        .concat()
}

/// What is told about an event that is handed in now.
fn told(sim: &mut Sim, data: Json, workflow: Option<&str>) -> Account {
    use adjutant::model::View;
    sim.event("go", "s/1", data);
    let last = sim.state().next_event().0 - 1;
    let query = Query::Event { id: last.to_string().into(), workflow: workflow.map(Into::into) };
    match sim.ask(&query) {
        Answer::Event(Some(account)) => *account,
        other => panic!("{other:?}"),
    }
}

fn codes(verdicts: &[Verdict]) -> Vec<(&str, Code)> {
    verdicts.iter().map(|verdict| (&*verdict.workflow, verdict.code)).collect()
}

#[test]
fn all_that_match_start_in_order_however_many() {
    let mut sim = begin(&regions(300));
    sim.event("go", "s/1", json!({ "score": 90, "region": "EU" }));
    let started: Vec<_> = (1..=sim.runs()).map(|no| sim.run(no).workflow.to_string()).collect();
    let expected: Vec<_> = (0..300).step_by(2).map(|n| format!("w-{n:03}")).collect();
    assert_eq!(started, expected);
}

#[test]
fn who_was_not_asked_says_why_when_asked_for_it() {
    let mut sim = begin(&regions(100));
    let account = told(&mut sim, json!({ "score": 90, "region": "US" }), None);
    assert!(account.stored.verdicts.iter().all(|verdict| verdict.code == Code::Fired));
    assert_eq!(account.ruled_out.len(), 32, "a page of them");
    assert_eq!(account.others, 18);
    assert_eq!(codes(&account.ruled_out[..2]), [("w-000", Code::Where), ("w-002", Code::Where)]);
    let detail = account.ruled_out[0].detail.as_deref().unwrap();
    assert!(detail.contains("\"EU\"") && detail.contains("= \"US\""), "{detail}");

    let account = told(&mut sim, json!({ "score": 90, "region": "US" }), Some("w-098"));
    assert_eq!(codes(&account.ruled_out), [("w-098", Code::Where)]);
    assert_eq!(account.others, 0);
    let account = told(&mut sim, json!({ "score": 90, "region": "US" }), Some("w-099"));
    assert_eq!(codes(&account.ruled_out), [], "it was asked");
}

#[test]
fn an_event_that_expressions_fail_on_is_shown_to_all() {
    let mut sim = begin(&regions(100));
    let account = told(&mut sim, json!({ "score": "high", "region": "US" }), None);
    assert_eq!(account.stored.verdicts.len(), 32);
    assert!(account.stored.verdicts.iter().all(|verdict| verdict.code == Code::Error));
    assert_eq!((account.ruled_out.len(), account.others), (0, 0));
}

#[test]
fn a_few_are_all_asked_and_what_they_say_is_kept() {
    let mut sim = begin(&regions(4));
    let account = told(&mut sim, json!({ "score": 90, "region": "EU" }), None);
    let said = [Code::Fired, Code::Where, Code::Fired, Code::Where];
    assert_eq!(
        account.stored.verdicts.iter().map(|verdict| verdict.code).collect::<Vec<_>>(),
        said
    );
    assert!(account.ruled_out.is_empty());
}
