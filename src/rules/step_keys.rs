//! What a step is: its one main key, and whether its other keys belong to it.

use super::decode::{Fields, State, Table};
use super::flow::{Around, Common, Flow};
use super::yaml::{Entry, Kind, Node};
use super::{keys, suggest};

impl Flow<'_, '_> {
    /// Finds the one main key of a step.
    pub(super) fn main_key<'n>(
        &mut self,
        node: &'n Node,
    ) -> Option<(&'n Entry, &'static keys::StepTable)> {
        let sink = &mut self.cx.sink;
        let Kind::Map(entries) = &node.kind else {
            if !node.is_broken() {
                let written = node.scalar().map(|scalar| scalar.text.as_str()).unwrap_or_default();
                let help = match keys::step(written) {
                    Some(step) => format!("write `{}: …`: {}", step.main, step.about),
                    None => "write its main key and a value, such as `log: done`".to_owned(),
                };
                let message = format!("a step is an object, not {}", node.type_name());
                sink.error("wrong-type", node.head(), message).help(help);
            }
            return None;
        };
        let mains: Vec<_> =
            entries.iter().filter_map(|entry| Some((entry, keys::step(&entry.key)?))).collect();
        match mains[..] {
            [(main, table)] => {
                if table.fields.is_none() {
                    sink.later(main.key_span.clone(), &main.key).said(table.about);
                    return None;
                }
                Some((main, table))
            }
            [] => {
                let names = || keys::STEPS.iter().map(|step| step.main);
                let near = entries.iter().find_map(|entry| {
                    let known = keys::COMMON.key(&entry.key).is_some();
                    let near = suggest::nearest(&entry.key, names()).filter(|_| !known)?;
                    Some((entry, near))
                });
                if let Some((entry, near)) = near {
                    let message = format!("there is no step `{}`", entry.key);
                    sink.error("unknown-step-kind", entry.key_span.clone(), message)
                        .help(format!("did you mean `{near}`?"));
                } else if let Some(entry) = entries.iter().find(|entry| entry.key == "else") {
                    sink.error(
                        "no-main-key",
                        entry.key_span.clone(),
                        "`else` is not a step of its own",
                    )
                    .help("put it beside `then`, in the same item of the list");
                } else if let Some(owner) = owner_of(entries) {
                    let message = format!("this step has no `{owner}`");
                    sink.error("no-main-key", node.head(), message)
                        .help(format!("a step has exactly one main key, and its fields stand beside it: is a `- ` too many here, or `{owner}: …` missing?"));
                } else {
                    let built: Vec<_> = keys::STEPS
                        .iter()
                        .filter(|step| step.fields.is_some())
                        .map(|step| step.main)
                        .collect();
                    sink.error("no-main-key", node.head(), "this step does not say what it does")
                        .help(format!("it needs exactly one of {}", suggest::list(&built)));
                }
                None
            }
            _ => {
                let (first, second) = (mains[0].0, mains[1].0);
                let message = format!("`{}` and `{}` cannot be one step", first.key, second.key);
                let file = sink.file.name.clone();
                sink.error("two-main-keys", second.key_span.clone(), message)
                    .said("a second main key")
                    .also(&file, first.key_span.clone(), "the first")
                    .help("a step has exactly one main key: begin the second with `- `");
                None
            }
        }
    }

    /// Checks the keys of a step and reads the common ones that its action needs.
    pub(super) fn common<'n>(
        &mut self,
        node: &'n Node,
        main: &Entry,
        kind: &keys::StepTable,
        around: &Around,
    ) -> Option<Common<'n>> {
        let table = kind.fields.as_ref()?;
        let entries = node.entries()?;
        let sink = &mut self.cx.sink;
        if let Some(entry) = beneath(main, table) {
            let message = format!("`{}` stands under `{}`", entry.key, main.key);
            let file = sink.file.name.clone();
            sink.error("misplaced-key", entry.key_span.clone(), message)
                .also(&file, main.key_span.clone(), "the main key")
                .help(format!(
                    "the fields of a step stand beside its main key, indented like it: `{}: …` and below it `{}: …`",
                    main.key, entry.key
                ));
            return None;
        }
        for entry in entries {
            if entry.key == main.key || keys::COMMON.key(&entry.key).is_some() {
                continue;
            }
            match table.key(&entry.key) {
                Some(key) if key.state == State::Later => {
                    sink.later(entry.key_span.clone(), &entry.key);
                }
                Some(_) => {}
                None => {
                    let known = table.names().chain(keys::COMMON.names());
                    let near = suggest::nearest(&entry.key, known);
                    let owner = keys::STEPS.iter().find(|step| {
                        step.fields.as_ref().is_some_and(|table| table.key(&entry.key).is_some())
                    });
                    let help = match (near, owner) {
                        (Some(near), _) => format!("did you mean `{near}`?"),
                        (None, Some(owner)) => {
                            format!("it belongs to `{}` steps", owner.main)
                        }
                        (None, None) => {
                            let names: Vec<_> = table.names().collect();
                            match names.len() {
                                0 => format!(
                                    "it takes only {}",
                                    suggest::list(&["id", "if", "on_error"])
                                ),
                                _ => format!("its fields are {}", suggest::list(&names)),
                            }
                        }
                    };
                    let message = format!("{} has no field `{}`", table.what, entry.key);
                    sink.error("unknown-key", entry.key_span.clone(), message).help(help);
                }
            }
        }
        for key in table.keys.iter().filter(|key| key.state == State::Required) {
            if !entries.iter().any(|entry| entry.key == key.name) {
                let message = format!("{} needs `{}`", table.what, key.name);
                sink.error("missing-key", main.key_span.clone(), message).help(key.how_to_add());
            }
        }
        let fields = Fields::of(entries);
        let hours = match fields.get("hours") {
            Some(node) => self.cx.hours(node),
            None => around.hours.clone(),
        };
        Some(Common { fields, hours })
    }
}

/// A field of a step that is written under its main key, not beside it.
fn beneath<'n>(main: &'n Entry, table: &Table) -> Option<&'n Entry> {
    /// Whose value is text, and no object.
    const TEXTS: [&str; 14] = [
        "email", "webhook", "action", "script", "escalate", "record", "delay", "call", "emit",
        "metric", "log", "stop", "fail", "rhai",
    ];
    let entries = main.value.entries()?;
    let filter = main.key == "wait_for";
    if !filter && !TEXTS.contains(&main.key.as_str()) {
        return None;
    }
    entries.iter().find(|entry| {
        let field = table.key(&entry.key).is_some() || keys::COMMON.key(&entry.key).is_some();
        field && !(filter && keys::FILTER.key(&entry.key).is_some())
    })
}

/// The main key whose fields these are, if they are fields of one kind of step only.
fn owner_of(entries: &[Entry]) -> Option<&'static str> {
    keys::STEPS.iter().find_map(|step| {
        let table = step.fields.as_ref()?;
        entries.iter().any(|entry| table.key(&entry.key).is_some()).then_some(step.main)
    })
}
