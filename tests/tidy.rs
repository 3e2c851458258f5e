//! House rules that no compiler checks: who may import whom, how a file opens, what must not be left
//! behind, and that the documents name only things that exist.
//!
//! Every check is a pure function from text to findings with a sample that it must refuse, so that a
//! check that has gone blind is noticed.

#[path = "tidy/docs.rs"]
mod docs;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/lexer.rs"]
mod lexer;
#[path = "tidy/marks.rs"]
mod marks;
#[path = "tidy/tree.rs"]
mod tree;

use tree::{Finding, Source, Tree};

/// Fails with every finding, one a line.
fn check(rule: &str, findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{rule}\n{}", lines.join("\n"));
}

fn over_sources(tree: &Tree, find: impl Fn(&Source) -> Vec<Finding>) -> Vec<Finding> {
    tree.rust().iter().flat_map(find).collect()
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let tree = Tree::read();
    check("a room imports what the table does not allow:", &over_sources(&tree, imports::table));
}

#[test]
fn crates_stay_in_their_rooms() {
    let tree = Tree::read();
    check("a crate is used outside of its rooms:", &over_sources(&tree, imports::crates));
}

#[test]
fn every_file_says_what_it_is_for() {
    let tree = Tree::read();
    check("a file does not open with `//!`:", &over_sources(&tree, marks::opens_with_purpose));
}

#[test]
fn nothing_unfinished_is_left() {
    let tree = Tree::read();
    check("unfinished work is left in the code:", &over_sources(&tree, marks::unfinished));
}

#[test]
fn code_outside_of_tests_does_not_panic_on_purpose() {
    let tree = Tree::read();
    check("`unwrap` or `expect` outside of tests:", &over_sources(&tree, marks::panics));
}

#[test]
fn files_hold_one_idea() {
    let tree = Tree::read();
    check("a file is too long or has a name that says nothing:", &over_sources(&tree, marks::size));
}

#[test]
fn documents_name_only_what_exists() {
    let tree = Tree::read();
    check("a document names a path that does not exist:", &docs::paths(&tree));
}

#[test]
fn nothing_names_somebodys_machine() {
    let tree = Tree::read();
    check("a file names a path or a registry of one machine:", &docs::machines(&tree));
}
