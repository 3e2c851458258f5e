//! Other rules while runs are alive: a run keeps the version it began with.

use std::sync::Arc;

use crate::play::{START, act, lines};
use crate::support::sim::{Setup, Sim};

fn setup(word: &str, options: &str) -> Setup {
    let rules = format!(
        "workflow: w\ntriggers: [{{ event: go }}]\nkey: ${{event.subject}}\n{options}\nsteps:\n  - delay: 1h\n  \
         - log: {word} ${{greeting()}}\n  - email: a@x.example\n    purpose: internal\n    template: mail\n"
    );
    Setup::rules(&rules)
        .template("mail.txt", &format!("Subject: {word}\n\nHello\n"))
        .plugin("greet", &format!("fn greeting() {{ \"plugin {word}\" }}\n"))
}

fn change(sim: &mut Sim, setup: &Setup) {
    sim.restart_with(Arc::new(setup.compile().unwrap_or_else(|text| panic!("{text}"))));
}

#[test]
fn runs_finish_on_the_version_they_began_with() {
    let mut sim = Sim::start(&setup("old", ""), START);
    act(&mut sim, "go s");
    change(&mut sim, &setup("new", ""));
    act(&mut sim, "go s");
    act(&mut sim, "+2h");
    let said = |sim: &Sim| -> Vec<String> {
        sim.effects.iter().map(|effect| effect.said.clone().expect("a mail").0).collect()
    };
    assert_eq!(said(&sim), ["old", "new"]);
    assert!(sim.log.contains(&"10:00:00 w: old plugin old".to_owned()), "{:?}", sim.log);
    assert!(sim.log.contains(&"10:00:00 w: new plugin new".to_owned()), "{:?}", sim.log);
    // Also when the workflow is gone.
    act(&mut sim, "go s");
    change(
        &mut sim,
        &Setup::rules("workflow: other\ntriggers: [{ event: other }]\nsteps: [{ log: x }]\n"),
    );
    act(&mut sim, "+2h");
    assert_eq!(said(&sim), ["old", "new", "new"]);
}

#[test]
fn who_waits_in_a_queue_goes_on_when_the_queue_is_gone() {
    for options in ["mode: parallel", "mode: single", "mode: queued", "max: 1", "max: 5"] {
        let mut sim = Sim::start(&setup("old", "mode: queued"), START);
        for _ in 0..3 {
            act(&mut sim, "go s");
        }
        change(&mut sim, &setup("new", options));
        act(&mut sim, "+5h");
        assert_eq!(sim.effects.len(), 3, "{options}: {:#?}", lines(&mut sim));
    }
}
