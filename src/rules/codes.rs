//! [`Code`]: what each kind of diagnostic means, for `adjutant check --explain`.
//!
//! The words are in `codes.md`, one section a code: what it is about, an example that is wrong and the same
//! mended. A test checks every example, and that no code is without one.

use std::sync::OnceLock;

/// What a code of a diagnostic means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The code: `unknown-key`.
    pub name: &'static str,
    /// What it means and what to do, as Markdown with its examples.
    pub text: &'static str,
}

/// An example of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// Whether the diagnostic must come of it, or must not.
    pub wrong: bool,
    /// Whether it is a configuration and no rule file.
    pub configuration: bool,
    /// The text; lines `#### NAME` begin further files.
    pub text: &'static str,
}

/// Every code, in order of name.
#[must_use]
pub fn all() -> &'static [Code] {
    static ALL: OnceLock<Vec<Code>> = OnceLock::new();
    ALL.get_or_init(|| {
        let sections = include_str!("codes.md").split("\n## ").skip(1);
        let mut all: Vec<Code> = sections
            .filter_map(|section| section.split_once('\n'))
            .map(|(name, text)| Code { name: name.trim(), text: text.trim() })
            .collect();
        all.sort_by_key(|code| code.name);
        all
    })
}

/// The code of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Code> {
    all().iter().find(|code| code.name == name)
}

impl Code {
    /// The first line of its text.
    #[must_use]
    pub fn summary(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default()
    }

    /// Its examples, in order.
    #[must_use]
    pub fn examples(&self) -> Vec<Example> {
        let mut found = Vec::new();
        let mut rest = self.text;
        while let Some((_, after)) = rest.split_once("\n```") {
            let Some((info, body)) = after.split_once('\n') else { break };
            let Some((text, behind)) = body.split_once("\n```") else { break };
            let words: Vec<&str> = info.split_whitespace().collect();
            found.push(Example {
                wrong: words.contains(&"wrong"),
                configuration: words.contains(&"config"),
                text,
            });
            rest = behind;
        }
        found
    }
}
