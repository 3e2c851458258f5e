//! Which types of events the shipped rules hear, and which they make themselves.

use std::collections::BTreeSet;
use std::path::Path;

use adjutant::rules::yaml::{self, Node};
use adjutant::rules::{SourceFile, Sources};

/// Keys whose values are types of events that a rule hears.
const HEARS: [&str; 4] = ["event", "wait_for", "count", "absent"];
/// Families of types that only the daemon makes.
const OWN: [&str; 10] = [
    "message.",
    "escalation.",
    "approval.",
    "sla.",
    "run.",
    "effect.",
    "record.",
    "obligation.",
    // Of files in the spool.
    "file.",
    "storm.",
];

/// Types that are heard, and types that are emitted.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) heard: BTreeSet<String>,
    pub(crate) emitted: BTreeSet<String>,
}

impl Heard {
    /// Of some rule files.
    pub(crate) fn of(files: &[SourceFile]) -> Self {
        let mut heard = Self::default();
        for file in files {
            let mut mistakes = Vec::new();
            for document in yaml::parse(file, &mut mistakes).documents {
                heard.node(&document.root);
            }
        }
        heard.heard.retain(|kind| !OWN.iter().any(|own| kind.starts_with(own)));
        heard
    }

    fn node(&mut self, node: &Node) {
        for item in node.items().unwrap_or_default() {
            self.node(item);
        }
        for entry in node.entries().unwrap_or_default() {
            let words =
                std::iter::once(&entry.value).chain(entry.value.items().unwrap_or_default());
            let words = words.filter_map(Node::scalar).map(|scalar| scalar.text.clone());
            // What is counted, or absent, is so of something; else it is a field of that name.
            let counted = matches!(&*entry.key, "count" | "absent") && node.get("by").is_none();
            if HEARS.contains(&entry.key.as_str()) && !counted {
                self.heard.extend(words);
            } else if entry.key == "emit" {
                self.emitted.extend(words);
            }
            self.node(&entry.value);
        }
    }
}

/// The shipped rules and plugins as they are.
pub(crate) fn shipped() -> Sources {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Sources::read(&[root.join("rules")], &[root.join("plugins")]).expect("they can be read")
}

/// The types in the table of what the rules expect.
pub(crate) fn expected() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/README.md");
    let text = std::fs::read_to_string(path).expect("the table");
    let table = text.split("## The events these rules expect").nth(1).expect("its heading");
    let rows = table.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    rows.take_while(|line| line.starts_with('|'))
        .flat_map(|line| line.split('|').nth(1).unwrap_or_default().split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}
