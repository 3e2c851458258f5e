//! What every file has and what none may have: its opening, its size and name, and leftovers.

use crate::tree::{Finding, Source};

/// Lines of a file under `src/`: more than this is more than one idea.
const LINES: usize = 500;
/// Lines of `main.rs`, which reads like a table of contents.
const MAIN_LINES: usize = 59;
/// Names that say nothing about what a file holds.
const EMPTY_NAMES: [&str; 5] = ["utils", "util", "helpers", "common", "imp"];
/// Words in comments that promise later work.
const PROMISES: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
/// Code that stands in for work not done, or hides a test.
const STAND_INS: [&str; 4] = ["todo!", "unimplemented!", "dbg!", "#[ignore"];
/// Calls that end the thread on bad input.
const PANICS: [&str; 3] = [".unwrap()", ".expect(", ".unwrap_err()"];

/// A file that does not begin by saying what it is for.
pub(crate) fn opens_with_purpose(source: &Source) -> Vec<Finding> {
    if source.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![Finding::new(&source.path, 1, "begin with `//!`: what is this file for")]
}

/// Promises in comments and stand-ins in code.
pub(crate) fn unfinished(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, (line, code)) in source.text.lines().zip(source.code.lines()).enumerate() {
        let promise = PROMISES.iter().find(|&&word| has_word(line, word));
        let stand_in = STAND_INS.iter().find(|&&word| code.contains(word));
        if let Some(what) = promise.or(stand_in) {
            findings.push(Finding::new(&source.path, number + 1, format!("`{what}`")));
        }
    }
    findings
}

/// Calls that panic in code that ships.
pub(crate) fn panics(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in source.shipped.lines().enumerate() {
        if let Some(call) = PANICS.iter().find(|&&call| line.contains(call)) {
            let what = format!("`{call}`: answer an error instead");
            findings.push(Finding::new(&source.path, number + 1, what));
        }
    }
    findings
}

/// Files that are too long or named for nothing.
pub(crate) fn size(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = source.text.lines().count();
    let most = match source.path.as_str() {
        "src/main.rs" => MAIN_LINES,
        path if path.starts_with("src/") => LINES,
        _ => usize::MAX,
    };
    if lines > most {
        findings.push(Finding::new(&source.path, lines, format!("{lines} lines, at most {most}")));
    }
    let mut parts = source.path.split('/').map(|part| part.trim_end_matches(".rs"));
    if let Some(name) = parts.find(|part| EMPTY_NAMES.contains(part)) {
        findings.push(Finding::new(
            &source.path,
            1,
            format!("`{name}` says nothing: name the idea"),
        ));
    }
    findings
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part)
    })
}

#[test]
fn leftovers_are_found() {
    let promise = format!("//! x\n// {}: later\n", PROMISES[0]);
    assert_eq!(unfinished(&Source::sample("src/a/x.rs", &promise)).len(), 1);
    let stand_in = format!("fn f() {{ {}() }}", STAND_INS[0]);
    assert_eq!(unfinished(&Source::sample("tests/x.rs", &stand_in)).len(), 1);
    assert_eq!(
        unfinished(&Source::sample("src/a/x.rs", "// mastodon\nlet s = \"dbg!\";")).len(),
        0
    );
    assert_eq!(panics(&Source::sample("src/a/x.rs", "fn f() { x.unwrap() }")).len(), 1);
    assert_eq!(panics(&Source::sample("src/a/x.rs", "x.unwrap_or(1); x.expect_err(2)")).len(), 0);
    assert_eq!(panics(&Source::sample("tests/x.rs", "fn f() { x.unwrap() }")).len(), 0);
}

#[test]
fn shapeless_files_are_found() {
    assert_eq!(opens_with_purpose(&Source::sample("src/a/x.rs", "use a;\n//! late")).len(), 1);
    assert_eq!(size(&Source::sample("src/a/x.rs", &"x\n".repeat(LINES + 1))).len(), 1);
    assert_eq!(size(&Source::sample("src/main.rs", &"x\n".repeat(60))).len(), 1);
    assert_eq!(size(&Source::sample("src/a/utils.rs", "//! x")).len(), 1);
    assert_eq!(size(&Source::sample("src/common/a.rs", "//! x")).len(), 1);
    assert!(size(&Source::sample("src/a/commons.rs", "//! x")).is_empty());
}
