//! [`TemplateSource`]: one file of templates, its name taken apart and its subject line split off.
//!
//! `STEM.txt`, `STEM.html`, and localised `STEM.de.txt`, `STEM.de-CH.html`. Locales are looked up as
//! RFC 4647 §3.4 has it: `de-CH` → `de` → the file without a locale.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::model::{Text, is_name};

/// Bytes of one template file: far above any mail, far below what would hurt.
pub const TEMPLATE_BYTES: usize = 256 * 1024;

/// One file of a `templates/` folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TemplateSource {
    /// The file's name in the folder: `lead-ack.de.txt`.
    pub name: Text,
    /// The path as shown to people.
    pub file: Text,
    /// The text.
    pub text: Text,
}

/// A mistake in a template file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// Which of the sources.
    pub index: usize,
    /// Bytes of its text.
    pub span: Range<usize>,
    /// Line of its text, from 1.
    pub line: usize,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// What a file is sent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Txt,
    Html,
}

impl Kind {
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Txt => ".txt",
            Self::Html => ".html",
        }
    }
}

/// A file's name, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileName {
    /// `lead-ack`
    pub(super) stem: String,
    /// Lower case; empty for the default.
    pub(super) locale: String,
    pub(super) kind: Kind,
}

impl FileName {
    /// Takes `name` apart; the error says why that cannot be done.
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        let (rest, kind) = if let Some(rest) = name.strip_suffix(".txt") {
            (rest, Kind::Txt)
        } else if let Some(rest) = name.strip_suffix(".html") {
            (rest, Kind::Html)
        } else {
            return Err(format!("`{name}` is neither .txt nor .html"));
        };
        let (stem, locale) = rest.split_once('.').unwrap_or((rest, ""));
        if !is_name(stem) {
            return Err(format!(
                "`{stem}` cannot be the name of a template: lower-case letters, digits and `-`, a letter first"
            ));
        }
        if rest.contains('.') && !is_tag(locale) {
            return Err(format!("`{locale}` is not a language tag such as de or de-CH"));
        }
        Ok(Self { stem: stem.to_owned(), locale: locale.to_ascii_lowercase(), kind })
    }

    /// Its name without the locale, as in `{% include %}`.
    pub(super) fn base(&self) -> String {
        format!("{}{}", self.stem, self.kind.suffix())
    }
}

/// Whether `text` has the shape of a language tag: `de`, `de-CH`, `zh-Hant-TW`.
fn is_tag(text: &str) -> bool {
    let mut subtags = text.split('-');
    let language = subtags.next().unwrap_or_default();
    (2..=3).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphabetic())
        && subtags.all(|tag| {
            (1..=8).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

/// A lower-case tag, what remains when its last subtags are cut off one by one, and at last the
/// empty tag of the default.
pub(super) fn fallbacks(tag: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(tag), |tag| {
        if tag.is_empty() {
            return None;
        }
        let mut rest = tag.rsplit_once('-').map_or("", |(rest, _)| rest);
        // a single letter only introduces what was just cut off: `zh-x-private`
        while let Some((shorter, "x" | "u" | "t")) = rest.rsplit_once('-') {
            rest = shorter;
        }
        Some(rest)
    })
}

/// Where a mail's subject and body lie in a text file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// The subject's bytes, when the first line is `Subject: …`.
    pub(super) subject: Option<Range<usize>>,
    /// Where the body begins.
    pub(super) body: usize,
}

impl Layout {
    pub(super) fn of(kind: Kind, text: &str) -> Self {
        // some editors put a byte order mark first
        let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let line = text[start..].split_inclusive('\n').next().unwrap_or_default();
        let label = "subject:";
        let has_subject = kind == Kind::Txt
            && line.get(..label.len()).is_some_and(|head| head.eq_ignore_ascii_case(label));
        if !has_subject {
            return Self { subject: None, body: start };
        }
        let written = &line[label.len()..];
        let from = start + label.len() + (written.len() - written.trim_start().len());
        let mut body = start + line.len();
        for empty in ["\n", "\r\n"] {
            if text[body..].starts_with(empty) {
                body += empty.len();
                break;
            }
        }
        Self { subject: Some(from..from + written.trim().len()), body }
    }
}

/// The line, from 1, that a byte lies on.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_come_apart() {
        let name = FileName::parse("lead-ack.de-CH.html").unwrap();
        assert_eq!(
            (name.stem.as_str(), name.locale.as_str(), name.kind),
            ("lead-ack", "de-ch", Kind::Html)
        );
        assert_eq!(name.base(), "lead-ack.html");
        assert_eq!(FileName::parse("lead-ack.txt").unwrap().locale, "");
        for bad in [
            "lead-ack",
            "lead-ack.md",
            "Lead.txt",
            ".txt",
            "lead.deutsch.txt",
            "lead.de.at.txt",
            "lead..txt",
            "lead.d1.txt",
            "../x.txt",
        ] {
            assert!(FileName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn locales_fall_back_from_the_right() {
        let all = |tag: &'static str| fallbacks(tag).collect::<Vec<_>>();
        assert_eq!(all("de-ch"), ["de-ch", "de", ""]);
        assert_eq!(all("zh-hant-tw"), ["zh-hant-tw", "zh-hant", "zh", ""]);
        assert_eq!(all("zh-x-private"), ["zh-x-private", "zh", ""]);
        assert_eq!(all(""), [""]);
    }

    #[test]
    fn the_subject_is_the_first_line_and_one_empty_line_may_follow() {
        let parts = |text: &'static str| {
            let layout = Layout::of(Kind::Txt, text);
            (layout.subject.map(|range| &text[range]), &text[layout.body..])
        };
        assert_eq!(parts("Subject: Hi {{ x }} \n\nBody\n"), (Some("Hi {{ x }}"), "Body\n"));
        assert_eq!(parts("Subject: Hi\nBody\n"), (Some("Hi"), "Body\n"));
        assert_eq!(parts("Subject: Hi\r\n\r\n\r\nBody"), (Some("Hi"), "\r\nBody"));
        assert_eq!(parts("\u{feff}subject:Hi"), (Some("Hi"), ""));
        assert_eq!(parts("Subject:"), (Some(""), ""));
        assert_eq!(parts("Hello\nSubject: no"), (None, "Hello\nSubject: no"));
        assert_eq!(parts("Süb"), (None, "Süb"));
        assert_eq!(Layout::of(Kind::Html, "Subject: x").subject, None);
    }
}
