//! What a compiled template refers to, found without running it: files, filters, tests, variables.
//!
//! minijinja looks these up when a mail is rendered; a rule set must fail when it is loaded.

use std::collections::BTreeSet;
use std::ops::Range;

use minijinja::machinery::{Instruction, Instructions, get_compiled_template};
use minijinja::{Environment, ErrorKind, Template};

/// What the scope of a step may hold: a variable of any other name is a mistake.
pub const TEMPLATE_VARIABLES: [&str; 16] = [
    "event", "trigger", "vars", "steps", "args", "now", "run", "workflow", "error", "item",
    "index", "level", "summary", "severity", "links", "approval",
];

/// Those of them whose members a rule names itself.
pub(super) const MEMBERS: [&str; 3] = ["vars", "steps", "args"];

/// Instructions after a member within which a test or a default of it stands.
const LOOK: u32 = 8;

/// Filters worth suggesting.
const FILTERS: [&str; 34] = [
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "count",
    "date",
    "default",
    "dictsort",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "json",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "number",
    "replace",
    "round",
    "sort",
    "string",
    "sum",
    "title",
    "trim",
    "upper",
];

/// Something wrong at a place of the compiled text.
pub(super) struct Finding {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// What a template refers to.
#[derive(Default)]
pub(super) struct References {
    /// Files it includes, extends or imports, with their places. Those of `ignore missing` are there
    /// as well, marked.
    pub(super) files: Vec<(String, Range<usize>, bool)>,
    /// Names it gives values; an included file sees them.
    pub(super) assigned: BTreeSet<String>,
    /// Names it uses and does not assign, with their places.
    pub(super) used: Vec<(String, Range<usize>)>,
    /// What it reads of `vars`, `steps`, `args`, events and errors, with its places: `("vars", "name", …)`.
    pub(super) members: Vec<(String, String, Range<usize>)>,
    /// Those of them that it asks about, or gives a default: they may be missing.
    pub(super) handled: BTreeSet<(String, String)>,
    /// Unknown filters and tests, computed file names, `{% autoescape %}`.
    pub(super) findings: Vec<Finding>,
}

impl References {
    pub(super) fn of(env: &Environment<'_>, template: &Template<'_, '_>) -> Self {
        let mut found = Self::default();
        let compiled = get_compiled_template(template);
        let undeclared = template.undeclared_variables(false);
        let source = template.source();
        for instructions in std::iter::once(&compiled.instructions).chain(compiled.blocks.values())
        {
            let mut at = 0;
            while let Some(instruction) = instructions.get(at) {
                let before = at.checked_sub(1).and_then(|before| instructions.get(before));
                found.visit(env, instruction, before, || span(instructions, at));
                if let Instruction::Lookup(name) | Instruction::CallFunction(name, _) = instruction
                    && undeclared.contains(*name)
                    && !env.globals().any(|(known, _)| known == *name)
                {
                    let place = word(source, name, span(instructions, at));
                    found.member(instructions, at, name, source);
                    found.used.push(((*name).to_owned(), place));
                }
                at += 1;
            }
        }
        found
    }

    /// Notes `vars.name`, and whether what follows is there for the case that it is missing.
    fn member(&mut self, instructions: &Instructions<'_>, at: u32, root: &str, source: &str) {
        let Some(Instruction::GetAttr(name)) = instructions.get(at + 1) else { return };
        let handled = (at + 2..at + 2 + LOOK).map_while(|at| instructions.get(at)).find_map(
            |next| match next {
                Instruction::PerformTest("defined" | "undefined", ..)
                | Instruction::ApplyFilter("default" | "d", ..) => Some(true),
                Instruction::Emit => Some(false),
                _ => None,
            },
        );
        if handled == Some(true) {
            self.handled.insert((root.to_owned(), (*name).to_owned()));
        }
        if MEMBERS.contains(&root) || ["event", "trigger", "error"].contains(&root) {
            let whole = span(instructions, at + 1);
            let place = word_after_dot(source, root, name, whole);
            self.members.push((root.to_owned(), (*name).to_owned(), place));
        }
    }

    fn visit(
        &mut self,
        env: &Environment<'_>,
        instruction: &Instruction<'_>,
        before: Option<&Instruction<'_>>,
        span: impl Fn() -> Range<usize>,
    ) {
        match instruction {
            Instruction::StoreLocal(name) => {
                self.assigned.insert((*name).to_owned());
            }
            Instruction::ApplyFilter(name, ..) => {
                let missing = env.empty_state().apply_filter(name, &[]).is_err_and(|error| error.kind() == ErrorKind::UnknownFilter);
                if missing {
                    self.find(span(), format!("there is no filter `{name}`"), filter_help(name));
                }
            }
            Instruction::PerformTest(name, ..) => {
                let missing = env.empty_state().perform_test(name, &[]).is_err_and(|error| error.kind() == ErrorKind::UnknownTest);
                if missing {
                    self.find(span(), format!("there is no test `{name}`"), Some("such as `is defined`, `is none`, `is in`".into()));
                }
            }
            Instruction::Include(optional) => self.file(before, span(), *optional),
            Instruction::LoadBlocks => self.file(before, span(), false),
            Instruction::PushAutoEscape => self.find(
                span(),
                "escaping cannot be switched".into(),
                Some("`.html` files are escaped, `.txt` files are not; HTML comes only from templates, never from data".into()),
            ),
            _ => {}
        }
    }

    fn file(&mut self, name: Option<&Instruction<'_>>, span: Range<usize>, optional: bool) {
        let names: Option<Vec<String>> = match name {
            Some(Instruction::LoadConst(value)) => match value.as_str() {
                Some(name) => Some(vec![name.to_owned()]),
                None => value
                    .try_iter()
                    .ok()
                    .and_then(|items| items.map(|item| item.as_str().map(str::to_owned)).collect()),
            },
            _ => None,
        };
        match names {
            Some(names) => {
                self.files.extend(names.into_iter().map(|name| (name, span.clone(), optional)));
            }
            None => self.find(
                span,
                "the name of the file is computed".into(),
                Some(
                    "name it literally, so that `check` can find it; choose with `{% if %}`".into(),
                ),
            ),
        }
    }

    fn find(&mut self, span: Range<usize>, message: String, help: Option<String>) {
        self.findings.push(Finding { span, message, help });
    }
}

fn filter_help(name: &str) -> Option<String> {
    if name == "safe" {
        return Some("HTML comes only from templates, never from data".into());
    }
    nearest(name, FILTERS.iter().copied()).map(|near| format!("did you mean `{near}`?"))
}

/// The candidate most like `name`, if any is much like it.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(candidate, name), candidate))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

fn span(instructions: &Instructions<'_>, at: u32) -> Range<usize> {
    instructions
        .get_span(at)
        .map_or(0..0, |span| span.start_offset as usize..span.end_offset as usize)
}

/// Where `name` stands within `span`, which covers the whole expression around it.
fn word(source: &str, name: &str, span: Range<usize>) -> Range<usize> {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let Some(text) = source.get(span.clone()) else { return span };
    text.match_indices(name)
        .find(|(at, _)| {
            !text[..*at].ends_with(part_of_word)
                && !text[at + name.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
        })
        .map_or(span.clone(), |(at, _)| span.start + at..span.start + at + name.len())
}

/// Where `name` of `root.name` stands within `span`.
fn word_after_dot(source: &str, root: &str, name: &str, span: Range<usize>) -> Range<usize> {
    let Some(text) = source.get(span.clone()) else { return span };
    let whole = format!("{root}.{name}");
    let found = word(source, &whole, span.clone());
    if text.contains(&whole) { found.start + root.len() + 1..found.end } else { span }
}
