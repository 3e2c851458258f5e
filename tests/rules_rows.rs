//! The table of `rules/README.md`, which says for each responsibility what does it and what shows it, is true: the
//! workflows are there, and the scenario file has a scenario that names the row.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Rows of the table: number, workflows, scenario files.
fn table(text: &str) -> Vec<(u32, Vec<String>, Vec<String>)> {
    let quoted = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let mut rows = Vec::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let Some(number) = cells.first().and_then(|cell| cell.parse().ok()) else { continue };
        let [_, _, workflows, scenarios] = cells[..] else { panic!("four columns: {line}") };
        rows.push((number, quoted(workflows), quoted(scenarios)));
    }
    rows
}

fn yaml_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            yaml_below(&path, found);
        } else if path.extension().is_some_and(|end| end == "yaml") {
            found.push(path);
        }
    }
}

/// The numbers in every `proves: […]` of a file.
fn proved(text: &str) -> BTreeSet<u32> {
    let lists = text.lines().filter_map(|line| line.trim().strip_prefix("proves: ["));
    let numbers = lists.flat_map(|list| list.trim_end_matches(']').split(','));
    numbers.filter_map(|number| number.trim().parse().ok()).collect()
}

#[test]
fn each_row_has_its_workflows_and_its_scenario() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let rows = table(&fs::read_to_string(rules.join("README.md")).expect("the table"));
    let mut files = Vec::new();
    yaml_below(&rules, &mut files);
    let texts: Vec<String> =
        files.iter().map(|file| fs::read_to_string(file).expect("a rule file")).collect();
    let declared: BTreeSet<&str> = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| {
            let kinds = ["workflow: ", "escalation: ", "sla: ", "team: ", "purpose: ", "record: "];
            kinds.iter().find_map(|kind| line.strip_prefix(kind))
        })
        .collect();
    let mut seen = BTreeSet::new();
    for (row, workflows, scenarios) in &rows {
        assert!(seen.insert(*row), "row {row} stands there twice");
        assert!(!workflows.is_empty() && !scenarios.is_empty(), "row {row} says nothing");
        for workflow in workflows {
            assert!(declared.contains(workflow.as_str()), "row {row}: there is no `{workflow}`");
        }
        for scenario in scenarios {
            let text = fs::read_to_string(rules.join(scenario));
            let text = text.unwrap_or_else(|_| panic!("row {row}: there is no {scenario}"));
            assert!(proved(&text).contains(row), "row {row}: {scenario} does not name it");
        }
    }
    // And nothing is proved that the table does not have.
    let named: BTreeSet<u32> = texts.iter().flat_map(|text| proved(text)).collect();
    let missing: Vec<_> = named.difference(&seen).collect();
    assert!(missing.is_empty(), "scenarios name rows that the table lacks: {missing:?}");
}
