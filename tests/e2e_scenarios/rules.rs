//! The rules of the stage: those that are shipped, as they are, and beside them some of the test's own. These write
//! the records that a scenario gives and sets, for which people have no door, and they ask the daemon whether what a
//! scenario checks is so: each check is the condition of a workflow, and the verdict about it is the answer.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use adjutant::scenario::Scenario;

/// The event with which the test writes a record.
pub(crate) const WRITE: &str = "rig.write";

const WRITER: &str = "\
workflow: rig-write
triggers: [{ event: rig.write }]
steps:
  - record: ${event.data.address}
    set: ${event.data.fields}
";

/// Where the shipped rules are.
pub(crate) fn shipped(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rules").join(relative)
}

/// The name of a check: its workflow and the type of its event.
pub(crate) fn check_name(entry: usize, check: usize) -> String {
    format!("rig-check-{entry}-{check}")
}

/// The folder of rules that the daemon reads.
pub(crate) struct Rules {
    folder: PathBuf,
}

impl Rules {
    /// With nothing in it but what the test itself writes with.
    pub(crate) fn new(folder: PathBuf) -> Self {
        write(&folder.join("rig-write.yaml"), WRITER);
        Self { folder }
    }

    /// Puts in what a scenario of this file sees: its pack, the packs it names and what all packs share; and its
    /// checks.
    pub(crate) fn put(&self, file: &Path, scenario: &Scenario) {
        let pack = file.ancestors().nth(2).expect("a scenario lies in `tests` of a pack");
        let shared = fs::read_dir(shipped("")).expect("the shipped rules");
        for path in
            shared.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file())
        {
            if path.extension().is_some_and(|end| end == "yaml") {
                copy(&path, &self.folder.join(path.file_name().expect("a name")));
            }
        }
        let others = scenario.packs.iter().map(|name| shipped(name));
        for pack in others.chain([pack.to_owned()]) {
            copy(&pack, &self.folder.join("packs").join(pack.file_name().expect("a name")));
        }
        write(&self.folder.join("rig-checks.yaml"), &checks(scenario));
    }

    /// Puts another folder in the place of all packs.
    pub(crate) fn replace(&self, by: &Path) {
        fs::remove_dir_all(self.folder.join("packs")).expect("packs");
        copy(by, &self.folder.join("packs/edited"));
    }
}

fn checks(scenario: &Scenario) -> String {
    let mut text = String::new();
    for (entry, one) in scenario.timeline.iter().enumerate() {
        for (check, condition) in one.checks().enumerate() {
            let (name, condition) = (check_name(entry, check), serde_json::Value::from(condition));
            let _ = write!(
                text,
                "---\nworkflow: {name}\ntriggers:\n  - event: {name}\n    where: {condition}\n\
                 steps: [{{ log: it holds }}]\n"
            );
        }
    }
    text
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

/// Copies a file or a folder with everything in it, byte by byte. Scenarios stay behind: they are no rules.
pub(crate) fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::copy(from, to).expect("a copy");
        return;
    }
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        if name != "tests" {
            copy(&path, &to.join(name));
        }
    }
}
