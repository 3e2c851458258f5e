//! Diagnostics for people, as rustc prints them, and for machines, as JSON.

use std::collections::HashMap;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value as Json, json};

use super::diagnostic::{Diagnostic, Label, Severity, SourceFile};

/// The texts that diagnostics point into, by the name shown to people.
#[derive(Clone, Debug, Default)]
pub struct Files<'a>(HashMap<&'a str, &'a SourceFile>);

/// How diagnostics look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Text only.
    Plain,
    /// With the colours of a terminal.
    Coloured,
}

impl<'a> Files<'a> {
    /// Of these files.
    pub fn of(files: impl IntoIterator<Item = &'a SourceFile>) -> Self {
        Self(files.into_iter().map(|file| (&*file.name, file)).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a SourceFile> {
        self.0.get(name).copied()
    }
}

/// Diagnostics one below the other, a blank line between them, each with the line of the file and a
/// caret below it.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], files: &Files<'_>, look: Look) -> String {
    let renderer = match look {
        Look::Plain => Renderer::plain(),
        Look::Coloured => Renderer::styled(),
    }
    .decor_style(DecorStyle::Ascii);
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&renderer.render(&[group(diagnostic, files)]));
        text.push_str("\n\n");
    }
    text
}

fn group<'d>(diagnostic: &'d Diagnostic, files: &Files<'d>) -> Group<'d> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(&diagnostic.message).id(diagnostic.code));
    for place in places(diagnostic) {
        let Some(file) = files.get(place.file) else {
            group = group.element(Origin::path(place.file));
            continue;
        };
        let mut snippet = Snippet::source(&*file.text).path(&*file.name).fold(true);
        for (kind, label) in place.labels {
            let span = within(file, label);
            let mut annotation = kind.span(span);
            if !label.text.is_empty() {
                annotation = annotation.label(&label.text);
            }
            snippet = snippet.annotation(annotation);
        }
        group = group.element(snippet);
    }
    match &diagnostic.help {
        Some(help) => group.element(Level::HELP.message(help)),
        None => group,
    }
}

/// The labels of one file.
struct Place<'d> {
    file: &'d str,
    labels: Vec<(AnnotationKind, &'d Label)>,
}

/// Labels by file, that of the caret first.
fn places(diagnostic: &Diagnostic) -> Vec<Place<'_>> {
    let primary = &diagnostic.primary;
    let mut places =
        vec![Place { file: &primary.file, labels: vec![(AnnotationKind::Primary, primary)] }];
    for label in &diagnostic.secondary {
        let labelled = (AnnotationKind::Context, label);
        match places.iter_mut().find(|place| *place.file == *label.file) {
            Some(place) => place.labels.push(labelled),
            None => places.push(Place { file: &label.file, labels: vec![labelled] }),
        }
    }
    places
}

/// The label's span, cut to the text.
fn within(file: &SourceFile, label: &Label) -> std::ops::Range<usize> {
    let boundary = |at: usize| {
        let at = at.min(file.text.len());
        (0..=at).rev().find(|at| file.text.is_char_boundary(*at)).unwrap_or(0)
    };
    let start = boundary(label.span.start);
    start..boundary(label.span.end).max(start)
}

/// Diagnostics as a JSON array of `{ severity, code, message, file, line, col, end: { line, col },
/// label, help, also: [{ file, line, col, end, label }] }`. Lines and columns count from 1, columns
/// in characters; they are missing for a file whose text is not at hand.
#[must_use]
pub fn to_json(diagnostics: &[Diagnostic], files: &Files<'_>) -> Json {
    let one = |diagnostic: &Diagnostic| {
        let mut object = json!({
            "severity": match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            "code": diagnostic.code,
            "message": diagnostic.message,
        });
        let also: Vec<Json> =
            diagnostic.secondary.iter().map(|label| placed(json!({}), label, files)).collect();
        object = placed(object, &diagnostic.primary, files);
        object["help"] = diagnostic.help.clone().into();
        object["also"] = Json::Array(also);
        object
    };
    Json::Array(diagnostics.iter().map(one).collect())
}

/// Adds a label's place to an object.
fn placed(mut object: Json, label: &Label, files: &Files<'_>) -> Json {
    object["file"] = (*label.file).into();
    if let Some(file) = files.get(&label.file) {
        let (line, col) = file.position(label.span.start);
        let (end_line, end_col) = file.position(label.span.end);
        object["line"] = line.into();
        object["col"] = col.into();
        object["end"] = json!({ "line": end_line, "col": end_col });
    }
    object["label"] = if label.text.is_empty() { Json::Null } else { label.text.as_str().into() };
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Vec<Diagnostic> {
        let mut error = Diagnostic::error("c", &"a.yaml".into(), 8..11, "no ☕");
        error.said("here").also(&"b.yaml".into(), 0..1, "there").help("tea");
        vec![error, Diagnostic::warning("io", &"lost.yaml".into(), 0..0, "could not be read")]
    }

    #[test]
    fn people_see_the_line_and_a_caret() {
        let files = [SourceFile::new("a.yaml", "é: x\n  ☕: yy\n"), SourceFile::new("b.yaml", "b")];
        let text = render(&found(), &Files::of(&files), Look::Plain);
        assert!(text.contains("error[c]: no ☕\n --> a.yaml:2:3\n"), "{text}");
        assert!(text.contains("::: b.yaml:1:1"), "{text}");
        assert!(text.contains("= help: tea"), "{text}");
        assert!(text.contains("warning[io]: could not be read\n--> lost.yaml"), "{text}");
        assert!(render(&found(), &Files::of(&files), Look::Coloured).contains("\u{1b}["));
    }

    #[test]
    fn machines_get_lines_and_columns_in_characters() {
        let files = [SourceFile::new("a.yaml", "é: x\n  ☕: yy\n"), SourceFile::new("b.yaml", "b")];
        let json = to_json(&found(), &Files::of(&files));
        assert_eq!(json[0]["line"], 2);
        assert_eq!(json[0]["col"], 3);
        assert_eq!(json[0]["also"][0]["file"], "b.yaml");
        assert_eq!(json[0]["help"], "tea");
        assert_eq!(json[1]["line"], Json::Null);
        assert_eq!(json[1]["severity"], "warning");
    }
}
