//! [`spots`]: where the times of a rule file stand, and which of them its author has excused.
//!
//! A time is whatever says how long or when: a duration, alone or as a text in an expression, a clock time, a
//! percentage of a service level, the minute and hour of a schedule, and how many of something a span lets
//! through. They are found by their form, wherever in the file they stand: a table of rows that a workflow
//! reads its limits from is as much a part of the rules as its steps.

use std::ops::Range;

use crate::model::{Duration, Name};
use crate::rules::yaml::{self, Entry, Kind, Node};
use crate::rules::{Diagnostic, SourceFile};

/// What a comment begins with that excuses the times on its line, or on the next one if it has a line to itself.
const EXCUSE: &str = "# unnoticed:";
/// What holds a number that a span lets through, in its `max`.
const BOUNDS: [&str; 3] = ["cap", "guard", "throttle"];
/// Minutes of a day.
const DAY: u32 = 24 * 60;

/// A time in a rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// Its bytes.
    pub(super) at: Range<usize>,
    /// What is written there instead, one after the other: a unit less, and a unit more.
    pub(super) others: Vec<String>,
    /// The name that its document has.
    pub(super) document: Option<Name>,
    /// Its line, and that of the key it belongs to: a text of several lines cannot have a comment in it.
    lines: [u32; 2],
}

/// A comment that excuses times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excuse {
    /// Its bytes.
    pub(super) at: Range<usize>,
    /// Why nobody notices; empty if it does not say.
    pub(super) reason: String,
    /// The line of the times that it excuses.
    line: u32,
}

impl Excuse {
    /// Whether it is about a time.
    pub(super) fn covers(&self, spot: &Spot) -> bool {
        spot.lines.contains(&self.line)
    }
}

/// The times of a rule file, and the excuses in it; of one that cannot be read there are none.
pub(super) fn spots(file: &SourceFile) -> (Vec<Spot>, Vec<Excuse>) {
    let mut mistakes = Vec::new();
    let parsed = yaml::parse(file, &mut mistakes);
    if mistakes.iter().any(Diagnostic::is_error) {
        return (Vec::new(), Vec::new());
    }
    let mut finder = Finder { file, document: None, spots: Vec::new(), scalars: Vec::new() };
    for document in &parsed.documents {
        let first = document.root.entries().and_then(<[Entry]>::first);
        let name = first.and_then(|entry| entry.value.scalar());
        finder.document = name.map(|scalar| scalar.text.as_str().into());
        finder.node(&document.root, &[], document.root.span.start);
    }
    let excuses = excuses(file, &finder.scalars);
    let mut spots = finder.spots;
    // What an alias repeats stands in the file once.
    spots.sort_by_key(|spot| spot.at.start);
    spots.dedup_by(|one, other| one.at == other.at);
    (spots, excuses)
}

struct Finder<'f> {
    file: &'f SourceFile,
    document: Option<Name>,
    spots: Vec<Spot>,
    /// Bytes of every scalar: what looks like a comment in there is none.
    scalars: Vec<Range<usize>>,
}

impl Finder<'_> {
    /// `keys` lead to the node, and the last of them stands at the byte `key_at`.
    fn node(&mut self, node: &Node, keys: &[&str], key_at: usize) {
        match &node.kind {
            Kind::Broken => {}
            Kind::List(items) => items.iter().for_each(|item| self.node(item, keys, key_at)),
            Kind::Map(entries) => {
                for entry in entries {
                    let keys = [keys, &[entry.key.as_str()]].concat();
                    self.node(&entry.value, &keys, entry.key_span.start);
                }
            }
            Kind::Scalar(scalar) => {
                self.scalars.push(node.span.clone());
                for (part, others) in times(&scalar.text, keys) {
                    let at = node.place(&self.file.text, part.clone());
                    // Where escapes or folds lie within, it is not what a person would call a time.
                    if self.file.text.get(at.clone()) == scalar.text.get(part) {
                        let lines = [at.start, key_at].map(|byte| self.file.position(byte).0);
                        let document = self.document.clone();
                        self.spots.push(Spot { at, others, document, lines });
                    }
                }
            }
        }
    }
}

/// The times in a text: their bytes, and what to write instead.
fn times(text: &str, keys: &[&str]) -> Vec<(Range<usize>, Vec<String>)> {
    let whole = |others: Vec<String>| vec![(0..text.len(), others)];
    if text.parse::<Duration>().is_ok() {
        return whole(stepped(text));
    }
    if text.strip_suffix('%').is_some_and(is_number) {
        return whole(stepped(text));
    }
    let bounded = matches!(keys, [.., bound, "max"] if BOUNDS.contains(bound));
    if bounded && is_number(text) {
        return whole(stepped(text));
    }
    if keys.last() == Some(&"schedule") {
        // Minute and hour; which days those are is another question.
        let fields = parts(text, " ").into_iter().take(2);
        return fields
            .filter(|part| is_number(&text[part.clone()]))
            .map(|part| (part.clone(), stepped(&text[part])))
            .collect();
    }
    let clocks: Vec<_> = parts(text, "-")
        .into_iter()
        .map(|part| clock(&text[part.clone()]).map(|others| (part, others)))
        .collect();
    if let Some(clocks) = clocks.into_iter().collect::<Option<Vec<_>>>() {
        return clocks;
    }
    // Texts in an expression: every second piece between quotes.
    parts(text, "\"")
        .into_iter()
        .skip(1)
        .step_by(2)
        .filter(|part| text[part.clone()].parse::<Duration>().is_ok())
        .map(|part| (part.clone(), stepped(&text[part])))
        .collect()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Bytes of the pieces between separators.
fn parts(text: &str, separator: &str) -> Vec<Range<usize>> {
    let mut from = 0;
    let mut parts = Vec::new();
    for piece in text.split(separator) {
        parts.push(from..from + piece.len());
        from += piece.len() + separator.len();
    }
    parts
}

/// The same with one less, and one more, of its smallest unit: that of the last number.
fn stepped(text: &str) -> Vec<String> {
    let digit = |c: char| c.is_ascii_digit();
    let end = text.rfind(digit).map_or(0, |last| last + 1);
    let start = text[..end].trim_end_matches(digit).len();
    let Ok(number) = text[start..end].parse::<u64>() else { return Vec::new() };
    let with = |number: u64| format!("{}{number}{}", &text[..start], &text[end..]);
    number.checked_sub(1).into_iter().chain(number.checked_add(1)).map(with).collect()
}

/// A clock time a minute earlier and a minute later; `None` if it is none.
fn clock(text: &str) -> Option<Vec<String>> {
    let (hours, minutes) = text.split_once(':').filter(|(hours, minutes)| {
        hours.len() == 2 && minutes.len() == 2 && is_number(hours) && is_number(minutes)
    })?;
    let at = hours.parse::<u32>().ok()? * 60 + minutes.parse::<u32>().ok()?;
    let others = at.checked_sub(1).into_iter().chain([at + 1]);
    Some(
        others.filter(|at| *at <= DAY).map(|at| format!("{:02}:{:02}", at / 60, at % 60)).collect(),
    )
}

/// The comments that excuse times.
fn excuses(file: &SourceFile, scalars: &[Range<usize>]) -> Vec<Excuse> {
    let lines: Vec<&str> = file.text.lines().collect();
    let is_text = |at: usize| scalars.iter().any(|scalar| scalar.contains(&at));
    let mut excuses = Vec::new();
    for (at, _) in file.text.match_indices(EXCUSE).filter(|(at, _)| !is_text(*at)) {
        let (line, _) = file.position(at);
        let rest = file.text[at..].lines().next().unwrap_or_default();
        let alone = |line: u32| {
            let text = lines.get(line as usize - 1).copied().unwrap_or("-").trim_start();
            text.is_empty() || text.starts_with('#')
        };
        let mut meant = line;
        while alone(meant) {
            meant += 1;
        }
        let reason = rest[EXCUSE.len()..].trim().to_owned();
        excuses.push(Excuse { at: at..at + rest.len(), reason, line: meant });
    }
    excuses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(text: &str) -> Vec<(String, String)> {
        let file = SourceFile::new("a.yaml", text);
        let (spots, _) = spots(&file);
        spots
            .into_iter()
            .map(|spot| (text[spot.at.clone()].to_owned(), spot.others.join(" ")))
            .collect()
    }

    #[test]
    fn times_are_found_wherever_they_stand() {
        let text = "\
workflow: a   # 3d in a comment
description: three 4d days
after: 0m
quoted: ['90s', \"P1DT2H\"]
rows: { x: { limit: 2bd } }
open: { mon-fri: \"09:00-17:00\", sat: \"00:00-24:00\" }
warn: [75%]
cap: { max: 2, per: day }
max: 7
schedule: \"30 8 * * 1-5\"
where: >-
  event.time > now
  - span(\"30d\") && name == \"5 d\"
again: &again 7d
and: *again
";
        let expected = [
            ("0m", "1m"),
            ("90s", "89s 91s"),
            ("P1DT2H", "P1DT1H P1DT3H"),
            ("2bd", "1bd 3bd"),
            ("09:00", "08:59 09:01"),
            ("17:00", "16:59 17:01"),
            ("00:00", "00:01"),
            ("24:00", "23:59"),
            ("75%", "74% 76%"),
            ("2", "1 3"),
            ("30", "29 31"),
            ("8", "7 9"),
            ("30d", "29d 31d"),
            ("7d", "6d 8d"),
        ];
        let expected = expected.map(|(was, is)| (was.to_owned(), is.to_owned()));
        assert_eq!(changes(text), expected);
    }

    #[test]
    fn an_excuse_is_about_its_line_or_the_next() {
        let text = "\
workflow: a
delay: 1d  # unnoticed: beside it
# unnoticed: above it
# and more
timeout: 2d
long: >-  # unnoticed: a text of several lines
  span(
  \"3d\")
said: 'no # unnoticed: comment'
free: 4d
";
        let file = SourceFile::new("a.yaml", text);
        let (spots, excuses) = spots(&file);
        let of = |spot: &Spot| {
            let found = excuses.iter().find(|excuse| excuse.covers(spot));
            (&text[spot.at.clone()], found.map(|excuse| excuse.reason.as_str()))
        };
        assert_eq!(
            spots.iter().map(of).collect::<Vec<_>>(),
            [
                ("1d", Some("beside it")),
                ("2d", Some("above it")),
                ("3d", Some("a text of several lines")),
                ("4d", None),
            ]
        );
        assert_eq!(excuses.len(), 3);
    }
}
