//! [`Cx`]: what compiling one document needs at hand, and the pieces every document is made of:
//! conditions, shapes, durations and names of other documents.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::model::{Map, Name, Text, Value};
use crate::script::{Condition, Expr, Names, Sandbox, ScriptError, Shape};

use super::decode::Sink;
use super::diagnostic::Lines;
use super::directory::{Directory, Sort};
use super::expressions;
use super::program::Pc;
use super::reach::Read;
use super::suggest;
use super::yaml::{Kind, Node};

/// Compiles one document of one file.
pub(super) struct Cx<'a> {
    /// Where mistakes go.
    pub sink: Sink<'a>,
    /// The line of the rule file on which the text of `sink.file` begins, from 1.
    pub first_line: u32,
    /// The lines of that text.
    pub lines: &'a Lines,
    /// Compiles expressions.
    pub sandbox: &'a Sandbox,
    /// Everything that is declared; `None` for a stored bundle, whose live names are not resolved.
    pub directory: Option<&'a Directory>,
    /// What the document uses of others.
    pub used: Used,
    /// What the document declares for its own expressions.
    pub local: Local,
}

/// Bytes of one text in a rule: longer ones belong into templates.
const TEXT_BYTES: usize = 64 * 1024;

/// Something is wrong, and said already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported;

/// What a document uses of others.
#[derive(Debug, Default)]
pub(super) struct Used {
    /// Kinds of records whose changes it takes.
    pub kinds: BTreeSet<Text>,
    /// Workflows it calls, and where first.
    pub calls: BTreeMap<Name, Range<usize>>,
    /// Templates, and where first.
    pub templates: BTreeMap<Name, Range<usize>>,
    /// Names and texts in its expressions: whatever may be a function of a plugin.
    pub words: BTreeSet<Text>,
    /// A step that could not be compiled. What is wrong with it is reported; see
    /// [`super::bundle::compile`].
    pub dropped: Option<Range<usize>>,
}

/// What `steps.<id>` and `vars.<name>` may say.
#[derive(Debug, Default)]
pub(super) struct Local {
    /// Names of items and of their places, of every `foreach` around what is being compiled.
    pub items: Vec<Text>,
    /// Ids of steps, wherever they stand, and where each is given.
    pub ids: BTreeMap<Text, Given>,
    /// Variables, of the workflow and of every `vars:` step.
    pub vars: BTreeSet<Text>,
    /// Those of them that only steps set, and where first.
    pub set_later: BTreeMap<Text, Range<usize>>,
    /// The step that is being compiled.
    pub at: Option<Pc>,
    /// What the steps compiled so far read of results and variables.
    pub reads: Vec<Read>,
}

/// The id of a step.
#[derive(Clone, Debug)]
pub(super) struct Given {
    /// Where it is given.
    pub at: Range<usize>,
    /// The step's main key.
    pub main: Option<&'static str>,
}

/// Where an expression stands, which decides what it may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    names: &'static [&'static str],
    error: bool,
    old: bool,
    secret: bool,
}

impl Place {
    /// A trigger's `where` and `subject`, a workflow's `key`.
    pub(super) const TRIGGER: Self = Self::of(&["event"]);
    /// A workflow's `if` and `vars`.
    pub(super) const START: Self = Self::of(&["event", "vars"]);
    /// Steps, and filters in a running workflow.
    pub(super) const STEP: Self = Self::of(&["event", "trigger", "vars", "steps", "args"]);
    /// `becomes` of a change of a record.
    pub(super) const RECORD: Self = Self::of(&["record"]);
    /// A purpose's `allow`.
    pub(super) const PURPOSE: Self = Self::of(&["recipient"]);

    /// A team's `available` and `active`.
    pub(super) const TEAM: Self = Self::of(&["member"]);

    const fn of(names: &'static [&'static str]) -> Self {
        Self { names, error: false, old: false, secret: false }
    }

    /// Whether a variable is there.
    pub(super) fn sees(self, name: &str) -> bool {
        self.names.contains(&name)
    }

    /// Whether a secret may be used.
    pub(super) const fn takes_secret(self) -> bool {
        self.secret
    }

    /// Whether `error` is there.
    pub(super) const fn sees_error(self) -> bool {
        self.error
    }

    /// In an `on_error` block.
    pub(super) const fn with_error(self) -> Self {
        Self { error: true, ..self }
    }

    /// In the `set` of a record.
    pub(super) const fn with_old(self) -> Self {
        Self { old: true, ..self }
    }

    /// In the headers and the query of a webhook.
    pub(super) const fn with_secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// What expressions see here, within loops over items of these names.
    fn names(self, items: &[Text]) -> Names {
        let mut names = Names::of(self.names);
        if self.names.contains(&"steps") {
            for item in items {
                names = names.and(item.to_string());
            }
        }
        if self.error {
            names = names.and("error");
        }
        if self.old {
            names = names.and("old");
        }
        names
    }
}

impl Cx<'_> {
    /// The line of the rule file a byte stands on.
    pub(super) fn line(&self, at: usize) -> u32 {
        self.first_line - 1 + self.lines.line(at)
    }

    /// Reports the mistakes of what is written in a scalar's text.
    fn script_errors(&mut self, node: &Node, errors: Vec<ScriptError>) {
        for error in errors {
            self.script_error(node, error);
        }
    }

    fn script_error(&mut self, node: &Node, error: ScriptError) {
        let start = error.offset;
        let span = node.place(&self.sink.file.text, start..start + error.len.max(1));
        let word = node.scalar().and_then(|scalar| scalar.text.get(start..start + error.len));
        let elsewhere = word.and_then(elsewhere);
        if let (Some(word), Some(directory)) = (word, self.directory)
            && directory.lost.contains(word)
        {
            return;
        }
        self.sink
            .error("expression", span, error.message)
            .maybe_help(error.help)
            .maybe_help(elsewhere.map(str::to_owned));
    }

    /// A condition: an expression that decides.
    pub(super) fn condition(
        &mut self,
        node: &Node,
        what: &str,
        place: Place,
        lenient: bool,
    ) -> Option<Condition> {
        let source = self.sink.raw(node, what)?;
        let trimmed = source.trim();
        let holes = crate::script::holes(trimmed);
        if trimmed.starts_with("${") && !holes.is_empty() {
            let mut inner = trimmed.to_owned();
            for hole in holes.iter().rev() {
                inner.replace_range(hole.end..=hole.end, "");
                inner.replace_range(hole.start - 2..hole.start, "");
            }
            let message = format!("`{what}` is an expression already: it takes no `${{…}}`");
            self.sink
                .error("expression", node.head(), message)
                .help(format!("write `{}`", inner.trim()));
            return None;
        }
        self.check_mentions(node, source, 0, place, lenient);
        match Condition::compile(self.sandbox, source, &place.names(&self.local.items), lenient) {
            Ok(condition) => {
                let wrong = condition.never_boolean();
                // A stored version was sound when it was stored.
                if wrong.is_empty() || self.directory.is_none() {
                    return Some(condition);
                }
                self.script_errors(node, wrong);
                None
            }
            Err(errors) => {
                self.script_errors(node, errors);
                None
            }
        }
    }

    /// A bare expression.
    pub(super) fn expression(&mut self, node: &Node, what: &str, place: Place) -> Option<Expr> {
        let source = self.sink.raw(node, what)?;
        self.check_mentions(node, source, 0, place, false);
        match self.sandbox.parse(source, &place.names(&self.local.items)) {
            Ok(expr) => Some(expr),
            Err(errors) => {
                self.script_errors(node, errors);
                None
            }
        }
    }

    /// Any YAML with `${…}` in it.
    pub(super) fn shape(&mut self, node: &Node, place: Place) -> Option<Shape> {
        match &node.kind {
            Kind::Broken => None,
            Kind::Scalar(scalar) => match scalar.value() {
                Value::Text(_) => {
                    self.warn_of_path(node, &scalar.text, place);
                    self.scalar_shape(node, &scalar.text, place)
                }
                other => Some(Shape::Literal(other)),
            },
            Kind::List(items) => {
                let shapes: Vec<_> = items.iter().map(|item| self.shape(item, place)).collect();
                let shapes: Option<Vec<_>> = shapes.into_iter().collect();
                shapes.map(Shape::List).map(fold_literal)
            }
            Kind::Map(entries) => {
                let mut shapes = Vec::with_capacity(entries.len());
                let mut complete = true;
                for entry in entries {
                    if entry.key.contains("${") {
                        self.sink
                            .error(
                                "not-literal",
                                entry.key_span.clone(),
                                "a key cannot be computed",
                            )
                            .help("keys are literal; use a `rhai` step to build an object");
                        complete = false;
                    }
                    match self.shape(&entry.value, place) {
                        Some(shape) => shapes.push((Text::from(entry.key.as_str()), shape)),
                        None => complete = false,
                    }
                }
                complete.then(|| fold_literal(Shape::Map(shapes)))
            }
        }
    }

    /// A scalar that must be text (or a `${…}` that gives it), not empty.
    pub(super) fn text_shape(&mut self, node: &Node, what: &str, place: Place) -> Option<Shape> {
        let text = self.sink.raw(node, what)?;
        if text.trim().is_empty() {
            self.sink.error("empty-value", node.head(), format!("`{what}` is empty"));
            return None;
        }
        // A type of events may well be called `event.sent`.
        if what != "emit" {
            self.warn_of_path(node, text, place);
        }
        self.scalar_shape(node, text, place)
    }

    /// A text that is written as the path of a value is probably meant to be that value.
    fn warn_of_path(&mut self, node: &Node, text: &str, place: Place) {
        if expressions::is_path(text, &place.names(&self.local.items).0) {
            let message = format!("`{text}` is text here, not its value");
            self.sink
                .warning("bare-path", node.head(), message)
                .help(format!("for the value, write `${{{text}}}`"));
        }
    }

    /// The shape of a text that is the text of the scalar `node`.
    pub(super) fn scalar_shape(&mut self, node: &Node, text: &str, place: Place) -> Option<Shape> {
        if text.len() > TEXT_BYTES {
            let message = format!("this text is longer than {} KiB", TEXT_BYTES / 1024);
            self.sink
                .error("too-large", node.head(), message)
                .help("put long texts into a template");
            return None;
        }
        match Shape::parse(self.sandbox, text, &place.names(&self.local.items)) {
            Ok(shape) => {
                let names = place.names(&self.local.items).0;
                if let Some(inner) = expressions::braced(text, &names) {
                    let message = format!("`{{{{ {inner} }}}}` is text here, not an expression");
                    self.sink
                        .warning("braces", node.head(), message)
                        .help(format!("rules write `${{{inner}}}`; `{{{{ }}}}` is for templates"));
                }
                if let Some((written, path)) = expressions::near_hole(text, &names) {
                    let message = format!("`{written}` is text here, not a value");
                    self.sink
                        .warning("braces", node.head(), message)
                        .help(format!("for the value, write `${{{path}}}`"));
                }
                let mut from = 0;
                for expr in shape.exprs() {
                    let source = expr.source();
                    if let Some(found) = text[from..].find(source) {
                        self.check_mentions(node, source, from + found, place, false);
                        from += found + source.len();
                    }
                }
                Some(shape)
            }
            Err(errors) => {
                self.script_errors(node, errors);
                None
            }
        }
    }

    /// The recipient `person:ID` for an id that is the text of a scalar.
    pub(super) fn person_shape(&mut self, node: &Node, what: &str, place: Place) -> Option<Shape> {
        const PREFIX: &str = "person:";
        let id = self.sink.raw(node, what)?.trim();
        if id.is_empty() {
            self.sink.error("recipient", node.head(), "a person's id is empty");
            return None;
        }
        // Compiled once as it stands, so that a mistake is reported where it is.
        self.scalar_shape(node, id, place)?;
        let names = place.names(&self.local.items);
        Shape::text(self.sandbox, &format!("{PREFIX}{id}"), &names).ok()
    }

    /// Named values: headers, `vars`.
    pub(super) fn named(
        &mut self,
        node: &Node,
        what: &str,
        place: Place,
    ) -> Option<Vec<(Text, Shape)>> {
        let entries = self.sink.map(node, what)?;
        let mut shapes = Vec::with_capacity(entries.len());
        for entry in entries {
            let shape = self.shape(&entry.value, place);
            shapes.push(shape.map(|shape| (Text::from(entry.key.as_str()), shape)));
        }
        shapes.into_iter().collect()
    }

    /// The name of another document, which must exist.
    pub(super) fn reference(&mut self, node: &Node, what: &str, sort: Sort) -> Option<Name> {
        let name = self.sink.name(node, what)?;
        self.known(node, name, sort).then(|| name.into())
    }

    /// Whether there is a document of this name, which `node` mentions; if not, that is reported.
    pub(super) fn known(&mut self, node: &Node, name: &str, sort: Sort) -> bool {
        let Some(directory) = self.directory else { return true };
        if directory.knows(sort, name) || directory.incomplete {
            return true;
        }
        let message = format!("there is no {} `{name}`", sort.word());
        let help =
            suggest::hint(name, directory.names(sort)).unwrap_or_else(|| sort.how_to_declare(name));
        self.sink.error(sort.code(), node.head(), message).help(help);
        false
    }

    /// `retry` or `hold`: whether an attempt whose fate is not known is held for a person.
    pub(super) fn on_uncertain(&mut self, node: &Node) -> Option<bool> {
        let word = self.sink.raw(node, "on_uncertain")?;
        self.choice(node, "on_uncertain", word, &[("retry", false), ("hold", true)])
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        node: &Node,
        what: &str,
        word: &str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let found = choices.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
        if found.is_none() {
            let hint = suggest::hint(word, choices.iter().map(|(name, _)| *name));
            self.sink
                .error("unknown-word", node.head(), format!("`{what}` cannot be `{word}`"))
                .maybe_help(hint);
        }
        found
    }

    /// A plain value without `${…}`, for data shipped with the rules.
    pub(super) fn literal(&mut self, node: &Node) -> Option<Value> {
        match &node.kind {
            Kind::Broken => None,
            Kind::Scalar(scalar) if scalar.text.contains("${") => {
                self.sink.error(
                    "not-literal",
                    node.head(),
                    "rows are literal: `${…}` is not filled in here",
                );
                None
            }
            Kind::Scalar(scalar) => Some(scalar.value()),
            Kind::List(items) => {
                let items: Vec<_> = items.iter().map(|item| self.literal(item)).collect();
                items.into_iter().collect::<Option<_>>().map(Value::List)
            }
            Kind::Map(entries) => {
                let pairs: Vec<_> = entries
                    .iter()
                    .map(|entry| {
                        Some((Text::from(entry.key.as_str()), self.literal(&entry.value)?))
                    })
                    .collect();
                pairs.into_iter().collect::<Option<Map>>().map(Value::Map)
            }
        }
    }
}

/// A list or object without holes as one literal, so that it is not built again at each evaluation.
fn fold_literal(shape: Shape) -> Shape {
    shape.literal().map_or(shape, Shape::Literal)
}

/// Where a name of the language may be used, for one that stands in the wrong place.
fn elsewhere(name: &str) -> Option<&'static str> {
    Some(match name {
        "error" => "`error` is there only in the steps of an `on_error` or `on_failure`",
        "old" => "`old` is there only in the `set` of a `record` step",
        "recipient" => "`recipient` is there only in the `allow` of a purpose",
        "steps" | "args" => {
            "`steps` and `args` are there only in steps and in the filters of a running workflow"
        }
        "trigger" => {
            "in a trigger the arriving event is `event`; `trigger` is for steps and later filters"
        }
        "vars" => "`vars` are there only in a workflow's `if` and `vars` and in its steps",
        "event" => "no event is at hand here",
        "item" | "index" => "`item` and `index` are there only in the steps of a `foreach`",
        "member" => "`member` is there only in the `available` and `active` of a team",
        "record" => "there is no such variable here; `record(\"kind/id\")` reads a record",
        _ => return None,
    })
}
