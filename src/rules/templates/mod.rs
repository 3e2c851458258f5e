//! [`Templates`]: what mails say, in Jinja, checked when the rules are loaded.
//!
//! A template NAME is a file `NAME.txt` whose first line is `Subject: …`, with an optional
//! `NAME.html`, each localised by suffix. Every other file can be included, extended or imported by
//! its name without a locale; the locale of the mail chooses the file.
//!
//! Lines that hold only a tag leave no empty line behind (`trim_blocks`, `lstrip_blocks`). HTML is
//! escaped, always: there is no way to mark data as safe. Rendering is a pure function of the files
//! and the scope, and it is bounded.

mod build;
mod check;
mod source;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;

use minijinja::{Environment, ErrorKind};

use crate::model::{Map, Text};

use build::{Builder, environment};
pub use check::TEMPLATE_VARIABLES;
use check::nearest;
use source::{FileName, Layout, fallbacks, line_of};
pub use source::{TEMPLATE_BYTES, TemplateError, TemplateSource};

/// Bytes of one rendered part; a longer mail is a mistake in a loop.
pub const RENDERED_BYTES: usize = 1024 * 1024;
/// The template of escalations that name none.
pub const ESCALATION_TEMPLATE: &str = "adjutant-escalation";
/// The template of approvals that name none.
pub const APPROVAL_TEMPLATE: &str = "adjutant-approval";

/// The templates that a rule file can name, compiled. Immutable; share it behind an `Arc`.
#[derive(Debug)]
pub struct Templates {
    env: Environment<'static>,
    files: Vec<File>,
    /// For each file name without its locale: locale → index in `files`. The default's key is empty.
    index: BTreeMap<String, BTreeMap<String, usize>>,
    /// Every locale any file has, and the empty default.
    locales: BTreeSet<String>,
}

/// `root.name` in a template.
#[derive(Debug)]
pub(super) struct Member {
    /// `vars`, `steps` or `args`.
    pub(super) root: String,
    /// Which of them.
    pub(super) name: String,
    /// Bytes of the file.
    pub(super) span: std::ops::Range<usize>,
}

#[derive(Debug)]
struct File {
    source: TemplateSource,
    name: FileName,
    layout: Layout,
    /// Names, without locale, of the files it includes.
    includes: BTreeSet<String>,
    /// What it reads of `vars`, `steps` and `args`.
    members: Vec<Member>,
    builtin: bool,
}

/// A rendered mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// One line without control characters.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part: there is one when `NAME.html` exists in the language of the text.
    pub html: Option<String>,
}

/// Why a template could not be rendered. Trying again gives the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct TemplateFault {
    /// The file as shown to people.
    pub file: Text,
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl Default for Templates {
    /// With the built-in templates only.
    fn default() -> Self {
        Self::build(&[], None).0
    }
}

impl Templates {
    /// Compiles the files that the rules of one folder see, with the built-in templates beneath.
    ///
    /// # Errors
    /// Every mistake of every file, with its place: syntax, unknown filters, tests, variables and
    /// files, a file name of another shape, a localised template without its default.
    pub fn compile(files: &[TemplateSource]) -> Result<Self, Vec<TemplateError>> {
        let (templates, errors) = Self::look(files, &BTreeSet::new());
        if errors.is_empty() { Ok(templates) } else { Err(errors) }
    }

    /// The same, with what can be said of the others where a file is wrong: only to be asked about, then.
    /// `items` are the names that rules give to what they go through.
    pub(super) fn look(
        files: &[TemplateSource],
        items: &BTreeSet<Text>,
    ) -> (Self, Vec<TemplateError>) {
        Self::build(files, Some(items))
    }

    /// From a stored version, which was sound when it was stored: what is judged more strictly now holds for it
    /// no more than for a run that has begun.
    ///
    /// # Errors
    /// A file that cannot be compiled at all.
    pub(super) fn again(files: &[TemplateSource]) -> Result<Self, Vec<TemplateError>> {
        let (templates, errors) = Self::build(files, None);
        if errors.is_empty() { Ok(templates) } else { Err(errors) }
    }

    /// The names that `template:` may give, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.index.keys().filter_map(|base| base.strip_suffix(".txt")).filter(|name| self.has(name))
    }

    /// Whether `template: name` exists.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.resolve(&format!("{name}.txt"), "").is_some_and(|file| file.layout.subject.is_some())
    }

    /// Why [`Templates::has`] is false, with what was probably meant.
    #[must_use]
    pub fn explain_missing(&self, name: &str) -> (String, Option<String>) {
        if let Some(file) = self.resolve(&format!("{name}.txt"), "") {
            let help =
                "begin it with a line `Subject: …`; without one it can only be included".to_owned();
            return (format!("`{}` has no subject", file.source.file), Some(help));
        }
        if self.index.contains_key(&format!("{name}.html")) {
            return (
                format!("there is `{name}.html`, but no `{name}.txt`"),
                Some("every mail has a text part".into()),
            );
        }
        let help = nearest(name, self.names()).map_or_else(
            || format!("write templates/{name}.txt, its first line `Subject: …`"),
            |near| format!("did you mean `{near}`?"),
        );
        (format!("there is no template `{name}`"), Some(help))
    }

    /// The names of the source files that rendering `name` may read, in any locale, with everything
    /// they include: what must be pinned. Built-in templates have none.
    #[must_use]
    pub fn referenced(&self, name: &str) -> BTreeSet<Text> {
        self.read_by(name).into_iter().map(|file| file.source.name.clone()).collect()
    }

    /// What rendering `name` may read of `vars`, `steps` and `args`, with the file each stands in.
    pub(super) fn members(&self, name: &str) -> impl Iterator<Item = (&Text, &Member)> {
        let files = self.read_by(name).into_iter();
        files.flat_map(|file| file.members.iter().map(move |member| (&file.source.file, member)))
    }

    /// The files that rendering `name` may read, built-in ones left out.
    fn read_by(&self, name: &str) -> Vec<&File> {
        let mut open = vec![format!("{name}.txt"), format!("{name}.html")];
        let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
        while let Some(base) = open.pop() {
            if !seen.insert(base.clone()) {
                continue;
            }
            for index in self.index.get(&base).into_iter().flat_map(BTreeMap::values) {
                let file = &self.files[*index];
                if !file.builtin {
                    found.push(file);
                }
                open.extend(file.includes.iter().cloned());
            }
        }
        found
    }

    /// Renders a mail in the closest locale there is.
    ///
    /// # Errors
    /// [`TemplateFault`]: a name or attribute that is missing, a value that is nothing, a filter on
    /// the wrong type, an empty subject, or more work or output than allowed.
    pub fn render(
        &self,
        name: &str,
        locale: Option<&str>,
        scope: &Map,
    ) -> Result<Rendered, TemplateFault> {
        let wanted = locale.unwrap_or_default().to_ascii_lowercase().replace('_', "-");
        let locale = fallbacks(&wanted).find(|tag| self.locales.contains(*tag)).unwrap_or_default();
        let text_base = format!("{name}.txt");
        let Some(file) =
            self.resolve(&text_base, locale).filter(|file| file.layout.subject.is_some())
        else {
            let message = self.explain_missing(name).0;
            return Err(TemplateFault { file: text_base.into(), line: 1, message });
        };
        let scope = values::scope(scope);
        let subject = one_line(&self.part(&format!("{locale}/{text_base}#subject"), &scope)?);
        if subject.is_empty() {
            return Err(TemplateFault {
                file: file.source.file.clone(),
                line: 1,
                message: "the subject is empty".into(),
            });
        }
        let text = self.part(&format!("{locale}/{text_base}"), &scope)?;
        let html_base = format!("{name}.html");
        // German text with English HTML would be read as English: the text goes alone then
        let html = match self.resolve(&html_base, locale) {
            Some(html) if language(&html.name.locale) == language(&file.name.locale) => {
                Some(self.part(&format!("{locale}/{html_base}"), &scope)?)
            }
            _ => None,
        };
        Ok(Rendered { subject, text, html })
    }

    /// Renders one registered template.
    fn part(&self, key: &str, scope: &minijinja::Value) -> Result<String, TemplateFault> {
        let mut out = Bounded::default();
        let done = self
            .env
            .get_template(key)
            .and_then(|template| template.render_captured_to(scope.clone(), &mut out).map(drop));
        if out.full {
            let (file, _) = self.origin(key);
            let message = format!("the result is larger than {} KiB", RENDERED_BYTES / 1024);
            return Err(TemplateFault { file, line: 1, message });
        }
        done.map_err(|error| self.fault(key, &error))?;
        String::from_utf8(out.bytes).map_err(|_| TemplateFault {
            file: self.origin(key).0,
            line: 1,
            message: "the result is not UTF-8".into(),
        })
    }

    /// The error at the bottom: an include wraps those of the file included.
    fn fault(&self, key: &str, error: &minijinja::Error) -> TemplateFault {
        let mut inner = error;
        while let Some(next) =
            std::error::Error::source(inner).and_then(|source| source.downcast_ref())
        {
            inner = next;
        }
        let (file, lines) = self.origin(inner.name().unwrap_or(key));
        TemplateFault { file, line: lines + inner.line().unwrap_or(1), message: describe(inner) }
    }

    /// The file behind a registered name, and how many of its lines come before what was compiled.
    fn origin(&self, key: &str) -> (Text, usize) {
        let (locale, base) = key.split_once('/').unwrap_or(("", key));
        let (base, subject) =
            base.strip_suffix("#subject").map_or((base, false), |base| (base, true));
        match self.resolve(base, locale) {
            Some(file) => {
                let lines =
                    if subject { 0 } else { line_of(&file.source.text, file.layout.body) - 1 };
                (file.source.file.clone(), lines)
            }
            None => (key.into(), 0),
        }
    }

    /// The file that `base` means in a locale.
    fn resolve(&self, base: &str, locale: &str) -> Option<&File> {
        let locales = self.index.get(base)?;
        fallbacks(locale).find_map(|tag| locales.get(tag)).map(|index| &self.files[*index])
    }

    fn build(
        sources: &[TemplateSource],
        items: Option<&BTreeSet<Text>>,
    ) -> (Self, Vec<TemplateError>) {
        let mut templates = Self {
            env: environment(),
            files: Vec::new(),
            index: BTreeMap::new(),
            locales: BTreeSet::from([String::new()]),
        };
        let mut errors = Builder::new(sources, items).run(&mut templates);
        errors.sort_by_key(|error| (error.index, error.span.start));
        templates.register();
        (templates, errors)
    }

    /// Registers every file under every locale: `de-ch/footer.txt` is what that locale sees of it.
    fn register(&mut self) {
        let mut parts = Vec::new();
        for locale in &self.locales {
            for file in self.index.keys().filter_map(|base| self.resolve(base, locale)) {
                parts.extend(
                    file.parts(locale)
                        .into_iter()
                        .map(|(key, range)| (key, file.source.text[range].to_owned())),
                );
            }
        }
        for (key, text) in parts {
            // what does not compile was reported, and nothing is rendered then
            let _ = self.env.add_template_owned(key, text);
        }
    }
}

impl File {
    /// What is compiled of it: the name it is registered under in a locale, and its bytes.
    fn parts(&self, locale: &str) -> Vec<(String, Range<usize>)> {
        let base = self.name.base();
        let mut parts =
            vec![(format!("{locale}/{base}"), self.layout.body..self.source.text.len())];
        if let Some(subject) = &self.layout.subject {
            parts.push((format!("{locale}/{base}#subject"), subject.clone()));
        }
        parts
    }
}

/// What an error says to people, with the piece of the template it is about.
fn describe(error: &minijinja::Error) -> String {
    let excerpt = error
        .range()
        .zip(error.template_source())
        .and_then(|(range, source)| excerpt(source, range))
        .filter(|text| text.len() < 80);
    let detail = error.detail().unwrap_or_default();
    match (error.kind(), excerpt) {
        (ErrorKind::UndefinedError, Some(excerpt)) if detail.is_empty() => {
            format!("`{excerpt}` is missing")
        }
        (ErrorKind::UndefinedError, _) => detail.replace("is undefined", "is missing"),
        (_, Some(excerpt)) if detail == values::NOTHING => format!("`{excerpt}` {detail}"),
        (_, None) if detail == values::NOTHING => format!("a value {detail}"),
        (ErrorKind::OutOfFuel, _) => "the template does too much: is a loop too long?".into(),
        (ErrorKind::SyntaxError | ErrorKind::InvalidOperation, _) if !detail.is_empty() => {
            detail.to_owned()
        }
        (kind, _) if !detail.is_empty() => format!("{kind}: {detail}"),
        (kind, Some(excerpt)) => format!("{kind}: `{excerpt}`"),
        (kind, None) => kind.to_string(),
    }
}

/// The expression at `range`, on one line. minijinja leaves out what stands before a dot.
fn excerpt(source: &str, range: Range<usize>) -> Option<String> {
    let mut text = source.get(range.clone())?;
    if text.starts_with('.') {
        let path = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let before = source[..range.start].trim_end_matches(path).len();
        text = source.get(before..range.end)?;
    }
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Without line breaks and control characters: data cannot add a header to a mail.
fn one_line(text: &str) -> String {
    text.split(char::is_control)
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The language of a tag, without region and script.
fn language(tag: &str) -> &str {
    tag.split('-').next().unwrap_or_default()
}

/// Takes so many bytes and no more.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > RENDERED_BYTES {
            self.full = true;
            return Err(io::Error::other("too much output"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
