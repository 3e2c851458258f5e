//! The shipped rules: they give no warning, each sample event starts something, and their scenarios pass as they stand.
//! What the scenarios say is played in all ways, with a crash after every commit, by `adjutant test`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use adjutant::rules::{Context, Files, Look, RuleSet, Sources, render};
use serde_json::Value as Json;

use crate::support::sim::{Sim, at};

/// With the rules and plugins of these folders, which give no warning.
pub(crate) fn start_with(rules: &str, plugins: &[&str], now: &str) -> Sim {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let plugins: Vec<_> = plugins.iter().map(|folder| root.join(folder)).collect();
    let sources = Sources::read(&[root.join(rules)], &plugins).expect("the folders are there");
    let context = Context {
        endpoints: vec!["crm".into(), "ops-chat".into()],
        timezone: "UTC".into(),
        ..Context::default()
    };
    let rules = match RuleSet::compile(&sources, &context) {
        Ok((rules, warnings)) => {
            assert!(
                warnings.is_empty(),
                "{}",
                render(&warnings, &Files::of(sources.files()), Look::Plain)
            );
            rules
        }
        Err(found) => panic!("{}", render(&found, &Files::of(sources.files()), Look::Plain)),
    };
    Sim::with_rules(Arc::new(rules), at(now))
}

#[test]
fn every_sample_event_is_one_that_some_shipped_rule_takes() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let sources = Sources::read(&[root.join("rules")], &[root.join("plugins")]).expect("folders");
    let mut seen = 0;
    for file in std::fs::read_dir(root.join("examples/events")).expect("samples").flatten() {
        let text = std::fs::read_to_string(file.path()).expect("a sample");
        let event: Json = serde_json::from_str(&text).expect("JSON");
        let kind = event["type"].as_str().expect("a type");
        let taken = sources.rules.iter().any(|rule| rule.text.contains(kind));
        assert!(taken, "nobody listens to {}", file.path().display());
        seen += 1;
    }
    assert!(seen >= 5, "{seen} samples");
}

#[test]
fn the_scenarios_of_the_shipped_rules_pass() {
    let root = env!("CARGO_MANIFEST_DIR");
    let tested = Command::new(env!("CARGO_BIN_EXE_adjutant"))
        .current_dir(root)
        .args(["test", "--plain", "--full-coverage", "--color", "never"])
        .output()
        .expect("the binary runs");
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stdout));
}
