//! Mistakes of YAML in words for people who do not know YAML.

use std::ops::Range;

use granit_parser::{ErrorKind, ScanError};

use super::diagnostic::{Diagnostic, SourceFile};
use super::yaml::NESTING;

/// A mistake in the syntax. `last` is where the last thing that was understood ends.
#[expect(clippy::too_many_lines, reason = "one arm for each kind of mistake")]
pub(super) fn explain(file: &SourceFile, error: &ScanError, last: usize) -> Diagnostic {
    let text = &*file.text;
    let at = error.marker().byte_offset().unwrap_or(last);
    let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let one = at..at + text[at..].chars().next().map_or(0, char::len_utf8);
    let fault = |span: Range<usize>, message: &str, help: &str| {
        let mut fault = Diagnostic::error("yaml", &file.name, span, message);
        if !help.is_empty() {
            fault.help(help);
        }
        fault
    };
    let opening = || {
        text.get(last..at)
            .and_then(|gap| gap.find(['"', '\'']))
            .map_or(one.clone(), |quote| last + quote..last + quote + 1)
    };
    match error.kind() {
        ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::ExpectedFlowSequenceSeparator
            if text[..at].ends_with('$') =>
        {
            let start = text[..at].rfind(['{', '[', ',', ':']).map_or(0, |before| before + 1);
            let start = start + (text[start..at].len() - text[start..at].trim_start().len());
            let end = text[at..].find('}').map_or(at, |close| at + close + 1);
            fault(
                start..end,
                "`${…}` inside `{ }` or `[ ]` must be quoted",
                &format!("quote it: \"{}\"", &text[start..end]),
            )
        }
        ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::UnexpectedEofFlowMapping => fault(
            one,
            "expected `,` or `}` here",
            "inside `{ }` entries are parted by commas, and text with `: , { } [ ]` in it is quoted",
        ),
        ErrorKind::ExpectedFlowSequenceSeparator | ErrorKind::UnexpectedEofFlowSequence => fault(
            one,
            "expected `,` or `]` here",
            "inside `[ ]` items are parted by commas, and text with `: , { } [ ]` in it is quoted",
        ),
        ErrorKind::UnclosedFlowCollection { open } => {
            let close = if *open == '[' { ']' } else { '}' };
            fault(one, &format!("this `{open}` is never closed"), &format!("add a `{close}`"))
        }
        ErrorKind::InvalidColonPlacement => fault(
            one,
            "a `:` cannot stand here: is a closing `]` or `}` missing before this line?",
            "",
        ),
        ErrorKind::MappingValueNotAllowed => {
            let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
            if text[line..at].contains(": ") {
                fault(one, "a second `: ` in one line", "quote the text that holds it: `\"…: …\"`")
            } else {
                fault(
                    one,
                    "this line is indented as if it belonged to the value above",
                    "indent it like the key it belongs beside, or quote the text if it is one",
                )
            }
        }
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => {
            // It may be found only behind what stands before it.
            let tab = (!text[at..].starts_with('\t'))
                .then(|| text[at..].match_indices('\t').map(|(tab, _)| at + tab))
                .and_then(|mut tabs| {
                    tabs.find(|tab| {
                        text[..*tab].trim_end_matches([' ', '\t']).ends_with(['\n', '-', ':'])
                    })
                });
            let one = tab.map_or(one, |tab| tab..tab + 1);
            fault(one, "a tab cannot indent in YAML", "use spaces")
        }
        ErrorKind::UnexpectedCharacter { character } => fault(
            one,
            &format!("text cannot begin with `{character}`"),
            "quote it: put the whole text in `\"…\"`",
        ),
        ErrorKind::CommentInterceptedScalar => fault(
            one,
            "a ` #` begins a comment, so the text ends here and the next line belongs to nothing",
            "quote the whole text, or write it as a block after `|`",
        ),
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent => {
            fault(opening(), "this quote is never closed", "add the closing quote")
        }
        ErrorKind::DocumentIndicatorInQuotedScalar => {
            fault(opening(), "this quote is not closed before the next document", "")
        }
        ErrorKind::InvalidTrailingDoubleQuotedScalar
        | ErrorKind::InvalidTrailingSingleQuotedScalar => fault(
            one,
            "there is more after the closing quote",
            "quote the whole text: in `'…'` it may hold `\"`, in `\"…\"` a quote is written `\\\"`; inside `{ }` and `[ ]` a comma ends a text without quotes",
        ),
        ErrorKind::UnknownQuotedScalarEscape => fault(
            one,
            "there is no such escape in `\"…\"`",
            "write `\\\\` for a backslash, or use `'…'`",
        ),
        ErrorKind::InvalidBlockScalarHeader => {
            let start = text[..at].rfind(['!', '|', '>']).unwrap_or(at);
            fault(
                start..one.end,
                "text cannot begin with `!`, `|` or `>` like this",
                "quote it: put the whole text in `\"…\"`; a condition may also say `not(…)`",
            )
        }
        ErrorKind::BlockSequenceEntryNotAllowed => {
            fault(one, "a list cannot begin here", "begin it on the next line, or write `[a, b]`")
        }
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::InvalidIndentation
            if text[at..].starts_with("---") =>
        {
            fault(
                at..at + 3,
                "a `---` that is indented begins no document",
                "put it at the beginning of its line",
            )
        }
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::InvalidIndentation => fault(
            one,
            "this line fits neither the list nor the keys above it",
            "indent it exactly like its siblings; a list item begins with `- `",
        ),
        ErrorKind::SimpleKeyExpected => {
            fault(one, "a key without `:`", "write `key: value`, or indent the line further")
        }
        ErrorKind::DirectiveDisallowed => {
            fault(one, "`%` directives are not used in rules", "take the line out")
        }
        ErrorKind::RecursionLimitExceeded => nesting(file, &one),
        other => fault(one, &other.to_string().to_lowercase(), ""),
    }
}

/// A tag, which is nearly always a negation without quotes.
pub(super) fn tag(file: &SourceFile, tag: &Range<usize>, value: &Range<usize>) -> Diagnostic {
    let written = &file.text[tag.clone()];
    let end = if value.start >= tag.end { value.end.max(tag.end) } else { tag.end };
    let whole = file.text[tag.start..end].trim_end();
    let message = format!("`{written}` without quotes is a YAML tag, not text");
    let mut error =
        Diagnostic::error("tag", &file.name, tag.start..tag.start + whole.len(), message);
    // The tag is what the `!` negates; what follows it stays as it is.
    let negated = written.trim_start_matches('!');
    let bare = negated.strip_prefix('(').and_then(|inner| inner.strip_suffix(')'));
    let rest = whole.strip_prefix(written).unwrap_or_default();
    error.help(if written.starts_with("!!") || negated.is_empty() || is_open(negated) {
        "quote it".to_owned()
    } else {
        let quoted = whole.replace('"', "\\\"");
        format!("quote it (`\"{quoted}\"`), or write `not({}){rest}`", bare.unwrap_or(negated))
    });
    error
}

/// `*name` without an anchor of that name.
pub(super) fn unknown_alias(file: &SourceFile, name: &str, bytes: &Range<usize>) -> Diagnostic {
    let message = format!("there is no anchor `&{name}` for this alias");
    let mut error = Diagnostic::error("alias", &file.name, bytes.clone(), message);
    error.help(format!("quote it if you mean the text: `\"*{name}\"`"));
    error
}

/// Too deep.
pub(super) fn nesting(file: &SourceFile, bytes: &Range<usize>) -> Diagnostic {
    let message = format!("lists and objects are nested more than {NESTING} deep");
    Diagnostic::error("nesting", &file.name, bytes.clone(), message)
}

/// A plain scalar (at `span`) that a ` #` cut off, if what follows looks like text rather than a
/// comment: no space after the `#`, or a quote, bracket or `${` left open before it.
pub(super) fn cut_off(
    file: &SourceFile,
    span: &Range<usize>,
    rest: &str,
    comment: &Range<usize>,
) -> Option<Diagnostic> {
    let text = &file.text[span.clone()];
    let glued = rest[1..].starts_with(|c: char| c.is_alphanumeric() || c == '{' || c == '"');
    if !glued && !is_open(text) {
        return None;
    }
    let message = "a ` #` begins a comment, so the text ends here";
    let mut error = Diagnostic::error("cut-off", &file.name, comment.clone(), message);
    error.said("not part of the text").also(&file.name, span.clone(), "all that is left of it");
    error.help(if is_open(text) {
        "quote the whole text"
    } else {
        "quote the whole text; if it is a comment, put a space after `#`"
    });
    Some(error)
}

/// Whether quotes or brackets are left open at the end of a text.
fn is_open(text: &str) -> bool {
    let mut open: Vec<char> = Vec::new();
    let mut quote = false;
    let mut escaped = false;
    for c in text.chars() {
        if quote {
            quote = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '"' => quote = true,
            '(' | '[' | '{' => open.push(c),
            ')' | ']' | '}' => drop(open.pop()),
            _ => {}
        }
    }
    quote || !open.is_empty()
}
