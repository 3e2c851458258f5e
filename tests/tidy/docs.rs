//! What the documents say about the repository is true, and nothing says where it was written.

use crate::tree::{Finding, Tree, is};

/// Documents that must be there; the paths in every `.md` file are checked.
const DOCUMENTS: [&str; 3] = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"];
/// What a path in a document begins with; `src/` may be left out before a room.
const TOPS: [&str; 21] = [
    "src",
    "tests",
    "rules",
    "plugins",
    "examples",
    "benches",
    "packaging",
    ".ci",
    "docs",
    "model",
    "script",
    "engine",
    "store",
    "pump",
    "actions",
    "triggers",
    "daemon",
    "api",
    "cli",
    "scenario",
    "language",
];
/// Folders of one developer's machine, in two halves so that this file does not name them.
const MACHINES: [(&str, &str); 3] = [("/wo", "rk/"), ("/ro", "ot/"), ("/ho", "me/")];
/// Where the locked crates come from.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Paths in the documents that do not exist, relative to the repository, to `src/` or to the document.
/// A missing document is a finding.
pub(crate) fn paths(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = DOCUMENTS
        .iter()
        .filter(|document| !tree.has(document))
        .map(|document| Finding::new(document, 1, "is missing"))
        .collect();
    for (document, text) in tree.files().iter().filter(|(path, _)| is(path, "md")) {
        let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, path) in mentioned(text) {
            let places = [path.clone(), format!("src/{path}"), format!("{folder}/{path}")];
            if !places.iter().any(|place| tree.has(place)) {
                findings.push(Finding::new(document, line, format!("`{path}` does not exist")));
            }
        }
    }
    findings
}

/// Paths of developers' machines in any file, and sources of dependencies other than the public ones.
pub(crate) fn machines(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files() {
        findings.extend(machine_paths(path, text));
        findings.extend(private_sources(path, text));
    }
    findings
}

fn machine_paths(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (head, tail) in MACHINES {
            let folder = format!("{head}{tail}");
            let named = line.match_indices(&folder).any(|(at, _)| {
                !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-~}*".contains(c))
            });
            if named {
                findings.push(Finding::new(path, number + 1, format!("`{folder}`")));
            }
        }
    }
    findings
}

fn private_sources(path: &str, text: &str) -> Vec<Finding> {
    let bad = |line: &str| match path {
        "Cargo.lock" => line.starts_with("source = ") && !line.contains(CRATES_IO),
        _ if path.ends_with("requirements.txt") => line.contains("://") || line.starts_with("--"),
        _ => false,
    };
    let lines = text.lines().enumerate().filter(|(_, line)| bad(line));
    lines.map(|(number, line)| Finding::new(path, number + 1, line.to_owned())).collect()
}

/// What a document says in back-ticks, or links to, that looks like a path of this repository.
fn mentioned(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        let ticked = line.split('`').skip(1).step_by(2);
        found.extend(ticked.filter_map(as_path).map(|path| (number + 1, path)));
        let linked = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let local = linked.filter(|link| !link.contains(':') && !link.starts_with('#'));
        found.extend(
            local.map(|link| (number + 1, link.split('#').next().unwrap_or_default().to_owned())),
        );
    }
    found
}

fn as_path(text: &str) -> Option<String> {
    let top = text.split('/').next().unwrap_or_default();
    let shaped = text.contains('/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "./_-*<>{}…".contains(c));
    if !shaped || !TOPS.contains(&top) {
        return None;
    }
    // Of `rules/*/tests/` and `plugins/<name>.rhai`, only the folder before the pattern is a fact.
    let fixed: Vec<&str> =
        text.split('/').take_while(|part| !part.contains(['*', '<', '>', '{', '}', '…'])).collect();
    Some(fixed.join("/"))
}

#[test]
fn paths_are_told_from_other_words() {
    let text = "See `src/model/run.rs`, `rules/*/x.yaml`, `lead/42`, `a/b` and [it](docs/x.md#y).\n```\n`src/no`\n```\n";
    let found: Vec<String> = mentioned(text).into_iter().map(|(_, path)| path).collect();
    assert_eq!(found, ["src/model/run.rs", "rules", "docs/x.md"]);
}

#[test]
fn machines_are_noticed() {
    let (head, tail) = MACHINES[0];
    let line = format!("see {head}{tail}shared");
    assert_eq!(machine_paths("x", &line).len(), 1);
    assert!(machine_paths("x", &format!("net{head}{tail}")).is_empty());
    assert_eq!(private_sources("Cargo.lock", "source = \"git+https://x\"").len(), 1);
    assert!(private_sources("Cargo.lock", &format!("source = \"{CRATES_IO}\"")).is_empty());
    assert_eq!(private_sources("tests/python/requirements.txt", "--index-url x").len(), 1);
}
