//! [`Builder`]: from files to registered templates, with everything that is wrong with them.

use std::collections::BTreeSet;
use std::ops::Range;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};

use crate::model::Text;
use crate::script;

use super::super::{attributes, suggest};
use super::check::{MEMBERS, References, TEMPLATE_VARIABLES, nearest};
use super::source::{
    FileName, Kind, Layout, TEMPLATE_BYTES, TemplateError, TemplateSource, line_of,
};
use super::{
    APPROVAL_TEMPLATE, ESCALATION_TEMPLATE, File, Member, Templates, describe, language, values,
};

/// Instructions one part may take: about 20 ms, and a thousand times an ordinary mail.
const FUEL: u64 = 500_000;
/// Nested includes and macro calls cost about ten of these each.
const RECURSION: usize = 200;

/// Where a template says nothing: in its comments, and where it repeats what stands there.
fn silent(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (open, close) in [("{#", "#}"), ("{% raw", "endraw"), ("{%- raw", "endraw")] {
        for (at, _) in text.match_indices(open) {
            let end = text[at..].find(close).map_or(text.len(), |end| at + end);
            found.push(at..end);
        }
    }
    found
}

/// Reads, compiles and checks files, and collects what is wrong with them.
pub(super) struct Builder<'a> {
    sources: &'a [TemplateSource],
    /// Names that rules give to what they go through; `None`: of a stored version, whose names are not judged.
    items: Option<&'a BTreeSet<Text>>,
    errors: Vec<TemplateError>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(sources: &'a [TemplateSource], items: Option<&'a BTreeSet<Text>>) -> Self {
        Self { sources, items, errors: Vec::new() }
    }

    /// Fills `templates`; gives every mistake.
    pub(super) fn run(mut self, templates: &mut Templates) -> Vec<TemplateError> {
        self.read(templates);
        let references = self.compile(templates);
        self.check(templates, &references);
        if self.items.is_some() {
            self.holes(templates);
        }
        self.errors
    }

    fn error(&mut self, index: usize, span: Range<usize>, message: String, help: Option<String>) {
        let Some(source) = self.sources.get(index) else { return };
        // What is missing at the end is said to stand behind it.
        let inside = |at: usize| source.text.floor_char_boundary(at.min(source.text.len()));
        let span = inside(span.start)..inside(span.end);
        let line = line_of(&source.text, span.start);
        self.errors.push(TemplateError { index, span, line, message, help });
    }

    /// Takes names apart and finds subjects; built-in files come last and give way.
    fn read(&mut self, templates: &mut Templates) {
        let builtin = |name: &str, text: &str| TemplateSource {
            name: format!("{name}.txt").into(),
            file: format!("<built-in>/{name}.txt").into(),
            text: text.into(),
        };
        let builtins = [
            builtin(ESCALATION_TEMPLATE, include_str!("builtin/adjutant-escalation.txt")),
            builtin(APPROVAL_TEMPLATE, include_str!("builtin/adjutant-approval.txt")),
        ];
        for (index, source) in self.sources.iter().chain(&builtins).enumerate() {
            let builtin = index >= self.sources.len();
            let name = match FileName::parse(&source.name) {
                Ok(name) => name,
                Err(message) => {
                    let help =
                        "name it NAME.txt, NAME.html or, for a language, NAME.de.txt".to_owned();
                    self.error(index, 0..0, message, Some(help));
                    continue;
                }
            };
            if source.text.len() > TEMPLATE_BYTES {
                self.error(
                    index,
                    0..0,
                    format!("the file is larger than {} KiB", TEMPLATE_BYTES / 1024),
                    None,
                );
                continue;
            }
            let entry = templates.index.entry(name.base()).or_default();
            if builtin && !entry.is_empty() {
                continue;
            }
            if entry.contains_key(&name.locale) {
                let message = format!("`{}` is there twice", source.name);
                self.error(
                    index,
                    0..0,
                    message,
                    Some("case does not count in a language tag".into()),
                );
                continue;
            }
            entry.insert(name.locale.clone(), templates.files.len());
            templates.locales.insert(name.locale.clone());
            let layout = Layout::of(name.kind, &source.text);
            templates.files.push(File {
                source: source.clone(),
                name,
                layout,
                includes: BTreeSet::new(),
                members: Vec::new(),
                builtin,
            });
        }
    }

    /// Compiles each file once; gives what each part of it refers to.
    fn compile(&mut self, templates: &mut Templates) -> Vec<(usize, usize, References)> {
        let mut all = Vec::new();
        for file_no in 0..templates.files.len() {
            let file = &templates.files[file_no];
            for (key, range) in file.parts(&file.name.locale) {
                let start = range.start;
                let text = file.source.text[range].to_owned();
                let result = templates.env.add_template_owned(key.clone(), text);
                match result.and_then(|()| templates.env.get_template(&key)) {
                    Ok(template) => {
                        all.push((file_no, start, References::of(&templates.env, &template)));
                    }
                    Err(error) => {
                        let span = error.range().unwrap_or(0..0);
                        let index = self.index(file);
                        self.error(
                            index,
                            start + span.start..start + span.end,
                            describe(&error),
                            None,
                        );
                    }
                }
            }
        }
        all
    }

    /// Reports what rules would fill in, and templates do not.
    fn holes(&mut self, templates: &Templates) {
        for file in templates.files.iter().filter(|file| !file.builtin) {
            let text = &file.source.text;
            let silent = silent(text);
            for hole in script::holes(text) {
                if silent.iter().any(|range| range.contains(&hole.start)) {
                    continue;
                }
                let inner = text[hole.clone()].trim();
                let paths = script::paths(inner);
                // A path, and nothing else: anything more is none of ours.
                let is_ours = |path: &Vec<(&str, Range<usize>)>| {
                    path.len() > 1
                        && TEMPLATE_VARIABLES.contains(&path[0].0)
                        && path[0].1.start == 0
                        && path.last().is_some_and(|(_, span)| span.end == inner.len())
                };
                if paths.first().is_some_and(is_ours) {
                    let message = "`${…}` is text in a template".to_owned();
                    let help = Some(format!("templates write `{{{{ {inner} }}}}`"));
                    self.error(self.index(file), hole.start - 2..hole.end + 1, message, help);
                }
            }
        }
    }

    /// Checks what files say about each other.
    fn check(&mut self, templates: &mut Templates, references: &[(usize, usize, References)]) {
        let assigned: BTreeSet<&String> =
            references.iter().flat_map(|(_, _, found)| &found.assigned).collect();
        for (file_no, start, found) in references {
            let place = |span: &Range<usize>| start + span.start..start + span.end;
            let index = self.index(&templates.files[*file_no]);
            for finding in &found.findings {
                self.error(
                    index,
                    place(&finding.span),
                    finding.message.clone(),
                    finding.help.clone(),
                );
            }
            // an included file also sees what the including one assigned
            let included = templates.files[*file_no].layout.subject.is_none();
            let mut said = BTreeSet::new();
            for (name, span) in &found.used {
                let given = self.items.is_none_or(|items| items.contains(name.as_str()));
                let known = given
                    || TEMPLATE_VARIABLES.contains(&name.as_str())
                    || included && (assigned.contains(name) || name == "loop");
                if !known && said.insert(name) {
                    let help = nearest(name, TEMPLATE_VARIABLES.iter().copied()).map_or_else(
                        || format!("a template sees {}", TEMPLATE_VARIABLES.join(", ")),
                        |near| format!("did you mean `{near}`?"),
                    );
                    self.error(
                        index,
                        place(span),
                        format!("`{name}` is not known here"),
                        Some(help),
                    );
                }
            }
            let bold: Vec<_> = found
                .members
                .iter()
                .filter(|(root, name, _)| !found.handled.contains(&(root.clone(), name.clone())))
                .filter(|(root, ..)| !found.assigned.contains(root))
                .collect();
            let judged = self.items.is_some();
            for (root, name, span) in bold.iter().filter(|_| judged) {
                let wrong = match root.as_str() {
                    "event" | "trigger" => attributes::no_attribute(name)
                        .map(|(message, near)| (message, format!("did you mean `{near}`?"))),
                    "error" if !attributes::ERROR.contains(&name.as_str()) => {
                        let help = suggest::hint(name, attributes::ERROR).unwrap_or_default();
                        Some((format!("an error has no `{name}`"), help))
                    }
                    _ => None,
                };
                if let Some((message, help)) = wrong {
                    self.error(index, place(span), message, Some(help));
                }
            }
            let bold = bold.into_iter().filter(|(root, ..)| MEMBERS.contains(&root.as_str()));
            templates.files[*file_no].members.extend(bold.map(|(root, name, span)| Member {
                root: root.clone(),
                name: name.clone(),
                span: place(span),
            }));
            for (base, span, optional) in &found.files {
                self.check_include(templates, *file_no, base, place(span), *optional);
                templates.files[*file_no].includes.insert(base.clone());
            }
        }
        for file in &templates.files {
            self.check_locale(templates, file);
        }
    }

    fn check_include(
        &mut self,
        templates: &Templates,
        from: usize,
        base: &str,
        span: Range<usize>,
        optional: bool,
    ) {
        let file = &templates.files[from];
        let index = self.index(file);
        if templates.resolve(base, "").is_none() {
            let localised = FileName::parse(base)
                .ok()
                .filter(|name| !name.locale.is_empty())
                .map(|name| name.base());
            let help = match localised {
                Some(base) => {
                    Some(format!("write `{base}`: the locale of the mail chooses the file"))
                }
                None => nearest(base, templates.index.keys().map(String::as_str))
                    .map(|near| format!("did you mean `{near}`?")),
            };
            if !optional {
                self.error(index, span, format!("there is no template file `{base}`"), help);
            }
        } else if !base.ends_with(file.name.kind.suffix()) {
            let kind = file.name.kind.suffix();
            let help =
                "text in HTML would not be escaped, HTML in text would show its tags".to_owned();
            self.error(index, span, format!("a {kind} file can only use {kind} files"), Some(help));
        }
    }

    fn check_locale(&mut self, templates: &Templates, file: &File) {
        let (name, index) = (&file.name, self.index(file));
        if name.locale.is_empty() {
            return;
        }
        let default = templates.resolve(&name.base(), "");
        match name.kind {
            Kind::Txt => match default {
                None => self.error(
                    index,
                    0..0,
                    format!("there is no default `{}`", name.base()),
                    Some("it is sent where no language fits".into()),
                ),
                Some(default)
                    if default.layout.subject.is_some() != file.layout.subject.is_some() =>
                {
                    let message = format!(
                        "this file and `{}` do not both begin with `Subject:`",
                        default.source.name
                    );
                    self.error(
                        index,
                        0..0,
                        message,
                        Some("a mail has a subject in every language".into()),
                    );
                }
                Some(_) => {}
            },
            Kind::Html => {
                let text = templates
                    .resolve(&format!("{}.txt", name.stem), &name.locale)
                    .filter(|text| text.layout.subject.is_some());
                if text.is_some_and(|text| language(&text.name.locale) != language(&name.locale)) {
                    let help = format!(
                        "add `{}.{}.txt`: every mail has a text part in its language",
                        name.stem, name.locale
                    );
                    self.error(
                        index,
                        0..0,
                        format!("there is no text in the language of `{}`", file.source.name),
                        Some(help),
                    );
                }
            }
        }
    }

    /// The index of a file's source; out of range for a built-in one.
    fn index(&self, file: &File) -> usize {
        self.sources.iter().position(|source| source.name == file.source.name).unwrap_or(usize::MAX)
    }
}

/// Jinja with every limit set.
pub(super) fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    // names of missing values and byte ranges in errors need it
    env.set_debug(true);
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(RECURSION);
    env.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build()
            .unwrap_or_default(),
    );
    env.set_auto_escape_callback(|key| {
        if key.ends_with(Kind::Html.suffix()) { AutoEscape::Html } else { AutoEscape::None }
    });
    env.set_path_join_callback(|name, parent| {
        let locale = parent.split_once('/').map_or("", |(locale, _)| locale);
        format!("{locale}/{name}").into()
    });
    env.set_formatter(values::print);
    env.remove_filter("safe");
    env.add_filter("json", values::json);
    env.add_filter("date", values::date);
    env.add_filter("number", values::number);
    env
}
