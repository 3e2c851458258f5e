//! Diagnostics for other programs: SARIF 2.1.0 and the workflow commands of GitHub Actions.

use serde_json::{Value as Json, json};

use super::codes;
use super::diagnostic::{Diagnostic, Label, Severity, SourceFile};
use super::render::Files;

/// <https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json>
const SARIF: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// As SARIF 2.1.0: one run, a rule for each code, a result for each diagnostic. Columns count characters.
/// <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>
#[must_use]
pub fn to_sarif(diagnostics: &[Diagnostic], files: &Files<'_>) -> Json {
    let mut names: Vec<&str> = diagnostics.iter().map(|one| one.code).collect();
    names.sort_unstable();
    names.dedup();
    let rules: Vec<Json> = names
        .iter()
        .map(|name| {
            let summary = codes::find(name).map_or(*name, codes::Code::summary);
            json!({ "id": name, "shortDescription": { "text": summary } })
        })
        .collect();
    let results: Vec<Json> = diagnostics
        .iter()
        .map(|one| {
            let message = match &one.help {
                Some(help) => format!("{} ({help})", one.message),
                None => one.message.clone(),
            };
            let related: Vec<Json> = one
                .secondary
                .iter()
                .enumerate()
                .map(|(id, label)| {
                    let mut place = location(label, files);
                    place["id"] = id.into();
                    place["message"] = json!({ "text": label.text });
                    place
                })
                .collect();
            json!({
                "ruleId": one.code,
                "ruleIndex": names.iter().position(|name| *name == one.code),
                "level": level(one.severity),
                "message": { "text": message },
                "locations": [location(&one.primary, files)],
                "relatedLocations": related,
            })
        })
        .collect();
    json!({
        "$schema": SARIF,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "adjutant",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn location(label: &Label, files: &Files<'_>) -> Json {
    let uri: String = label.file.split('/').map(escaped_segment).collect::<Vec<_>>().join("/");
    let mut physical = json!({ "artifactLocation": { "uri": uri } });
    if let Some(((line, column), (end_line, end_column))) = span(label, files) {
        physical["region"] = json!({
            "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column,
        });
    }
    json!({ "physicalLocation": physical })
}

/// Lines and columns of a label, from 1; `None` for a file whose text is not at hand.
fn span(label: &Label, files: &Files<'_>) -> Option<((u32, u32), (u32, u32))> {
    let file: &SourceFile = files.get(&label.file)?;
    Some((file.position(label.span.start), file.position(label.span.end)))
}

fn escaped_segment(segment: &str) -> String {
    percent_encoding::utf8_percent_encode(segment, percent_encoding::NON_ALPHANUMERIC)
        .to_string()
        .replace("%2E", ".")
        .replace("%2D", "-")
        .replace("%5F", "_")
}

/// As workflow commands of GitHub Actions, a line each, which become annotations of the change.
/// <https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions>
#[must_use]
pub fn to_github(diagnostics: &[Diagnostic], files: &Files<'_>) -> String {
    let mut text = String::new();
    for one in diagnostics {
        let mut fields = vec![format!("file={}", property(&one.primary.file))];
        if let Some(((line, column), (end_line, end_column))) = span(&one.primary, files) {
            fields.push(format!("line={line},endLine={end_line}"));
            // Columns are for one line only.
            if line == end_line {
                fields.push(format!("col={column},endColumn={}", end_column.max(column)));
            }
        }
        fields.push(format!("title={}", property(one.code)));
        let message = match &one.help {
            Some(help) => format!("{}\nhelp: {help}", one.message),
            None => one.message.clone(),
        };
        text.push_str("::");
        text.push_str(level(one.severity));
        text.push(' ');
        text.push_str(&fields.join(","));
        text.push_str("::");
        text.push_str(&data(&message));
        text.push('\n');
    }
    text
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
