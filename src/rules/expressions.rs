//! A look into the words of an expression, without running it: which names, functions and texts it
//! uses and where. Compiling and the rules of the language are the script room's.

use std::ops::Range;

/// A word of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word<'s> {
    /// A name or keyword.
    Name(&'s str),
    /// A text in double quotes, as written between them.
    Text(&'s str),
    /// Any other character that is not white space.
    Sign(char),
}

/// Whether a text is written as a path from one of `names`, such as `event.data.code`.
pub(super) fn is_path<N: AsRef<str>>(text: &str, names: &[N]) -> bool {
    let Some((first, rest)) = text.split_once('.') else { return false };
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    names.iter().any(|name| name.as_ref() == first) && rest.split('.').all(is_name)
}

/// What stands in the first `{{ … }}` of a text, if it begins with one of these names: how templates write an
/// expression.
pub(super) fn braced<'t, N: AsRef<str>>(text: &'t str, names: &[N]) -> Option<&'t str> {
    let (_, rest) = text.split_once("{{")?;
    let (inner, _) = rest.split_once("}}")?;
    let inner = inner.trim();
    let first = inner.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next()?;
    let is_known = names.iter().any(|name| name.as_ref() == first);
    Some(inner).filter(|inner| is_known && !inner.contains("${"))
}

/// A path in braces, or behind a `$`, that is no hole: `{event.data.id}`, `$event.data.id`, `$(vars.x)`. Gives it
/// as written, and the path.
pub(super) fn near_hole<'t, N: AsRef<str>>(
    text: &'t str,
    names: &[N],
) -> Option<(&'t str, &'t str)> {
    let holes = crate::script::holes(text);
    for (at, sign) in text.match_indices(['{', '$']) {
        if holes.iter().any(|hole| hole.contains(&at)) {
            continue;
        }
        let before = text[..at].chars().next_back();
        let rest = &text[at + 1..];
        let (open, close) = match (sign, rest.chars().next()) {
            ("{", _) if before.is_none_or(|c| !"${".contains(c)) => ("", Some('}')),
            ("$", Some('(')) => ("(", Some(')')),
            ("$", Some(c)) if c.is_ascii_alphabetic() => ("", None),
            _ => continue,
        };
        let inner = &rest[open.len()..];
        let name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let end = inner.find(|c| !name(c)).unwrap_or(inner.len());
        let path = inner[..end].trim_end_matches('.');
        if is_path(path, names) && close.is_none_or(|close| inner[end..].starts_with(close)) {
            let whole = 1 + open.len() + path.len() + close.map_or(0, char::len_utf8);
            return text.get(at..at + whole).map(|written| (written, path));
        }
    }
    None
}

/// The words of `source`, comments left out, with their bytes.
pub(super) fn words(source: &str) -> Vec<(Word<'_>, Range<usize>)> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(c) = source[at..].chars().next() {
        let rest = &source[at..];
        let (word, len) = if rest.starts_with("//") {
            (None, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (None, rest.find("*/").map_or(rest.len(), |end| end + 2))
        } else if c.is_alphabetic() || c == '_' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
            let name = &rest[..end.unwrap_or(rest.len())];
            (Some(Word::Name(name)), name.len())
        } else if c.is_ascii_digit() {
            // A number is of no interest, but its `.` must not look like a property.
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
            (None, end.unwrap_or(rest.len()))
        } else if c == '"' || c == '`' {
            let len = quoted(rest, c);
            let inner = rest.get(1..len.saturating_sub(1)).unwrap_or("");
            (Some(Word::Text(inner)), len)
        } else if c.is_whitespace() {
            (None, c.len_utf8())
        } else {
            (Some(Word::Sign(c)), c.len_utf8())
        };
        if let Some(word) = word {
            words.push((word, at..at + len));
        }
        at += len.max(1);
    }
    words
}

/// Length of a quoted text that begins `rest`, quotes included.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if !escaped && c == quote {
            return at + c.len_utf8();
        }
        escaped = !escaped && c == '\\';
    }
    rest.len()
}

/// What an expression says about the world around it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mention<'s> {
    /// `steps.<id>`
    Step(&'s str),
    /// `vars.<name>`
    Var(&'s str),
    /// `secret(`
    Secret,
    /// `records("kind", "index", …)`
    Index(&'s str, &'s str),
    /// `span("5m")`
    Span(&'s str),
    /// `time("2026-03-02T10:00Z")`
    Time(&'s str),
}

/// Everything of interest that `source` mentions, with its bytes.
pub(super) fn mentions(source: &str) -> Vec<(Mention<'_>, Range<usize>)> {
    let words = words(source);
    let sign = |at: usize, c: char| matches!(words.get(at), Some((Word::Sign(s), _)) if *s == c);
    let mut found = Vec::new();
    for (at, (word, span)) in words.iter().enumerate() {
        let Word::Name(name) = word else { continue };
        if at > 0 && sign(at - 1, '.') {
            continue;
        }
        match *name {
            "steps" | "vars" => {
                let mut next = at + 1;
                if sign(next, '?') {
                    next += 1;
                }
                if !sign(next, '.') {
                    continue;
                }
                if let Some((Word::Name(member), place)) = words.get(next + 1)
                    && !sign(next + 2, '(')
                {
                    let mention =
                        if *name == "steps" { Mention::Step(member) } else { Mention::Var(member) };
                    found.push((mention, place.clone()));
                }
            }
            "span" | "time" if sign(at + 1, '(') && sign(at + 3, ')') => {
                if let Some((Word::Text(text), place)) = words.get(at + 2) {
                    let mention =
                        if *name == "span" { Mention::Span(text) } else { Mention::Time(text) };
                    found.push((mention, place.clone()));
                }
            }
            "secret" if sign(at + 1, '(') => found.push((Mention::Secret, span.clone())),
            "records" if sign(at + 1, '(') && sign(at + 3, ',') && sign(at + 5, ',') => {
                if let (Some((Word::Text(kind), _)), Some((Word::Text(index), place))) =
                    (words.get(at + 2), words.get(at + 4))
                {
                    found.push((Mention::Index(kind, index), place.clone()));
                }
            }
            _ => {}
        }
    }
    found
}

/// Every name and text in `source`: what could call a function, directly or by its name.
pub(super) fn callable(source: &str) -> impl Iterator<Item = &str> {
    words(source).into_iter().filter_map(|(word, _)| match word {
        Word::Name(name) | Word::Text(name) => Some(name),
        Word::Sign(_) => None,
    })
}

/// The functions that the source of a plugin defines.
pub(super) fn defined(source: &str) -> Vec<&str> {
    let words = words(source);
    words
        .windows(2)
        .filter_map(|pair| match (pair[0].0, pair[1].0) {
            (Word::Name("fn"), Word::Name(name)) => Some(name),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_are_found_with_their_place() {
        let source = r#"steps.owner.email + vars.x.steps.y + records("lead", "email", vars?.e)"#;
        let found = mentions(source);
        let said: Vec<_> = found.iter().map(|(m, span)| (m, &source[span.clone()])).collect();
        assert_eq!(
            said,
            [
                (&Mention::Step("owner"), "owner"),
                (&Mention::Var("x"), "x"),
                (&Mention::Index("lead", "email"), "\"email\""),
                (&Mention::Var("e"), "e"),
            ]
        );
        assert_eq!(mentions("vars.keys() + \"steps.x\" // steps.y"), []);
        assert_eq!(mentions("secret(\"x\")").len(), 1);
    }

    #[test]
    fn what_is_nearly_a_hole_is_found() {
        let names = ["event", "vars"];
        for (text, found) in [
            ("lead/{event.data.id}", Some(("{event.data.id}", "event.data.id"))),
            ("$event.subject", Some(("$event.subject", "event.subject"))),
            ("a $(vars.x) b", Some(("$(vars.x)", "vars.x"))),
            ("%{event.x}", Some(("{event.x}", "event.x"))),
            ("${event.x} {other.x} $5.20 {{ event.x }} {event}", None),
            ("$${event.x}", None),
            ("sent by $event.", None),
        ] {
            assert_eq!(near_hole(text, &names), found, "{text}");
        }
    }

    #[test]
    fn functions_of_a_plugin_are_found() {
        assert_eq!(
            defined("/// fn no\nfn score(x) { x }\nprivate fn help() { 1 }"),
            ["score", "help"]
        );
    }
}
