//! [`Rewritten`]: the text handed to Rhai, and how its places map back to what a person wrote.
//!
//! Functions whose permission depends on who calls are another for each caller. And five things of our
//! language differ from Rhai's: words that Rhai reserves or cannot spell may be
//! property names (`event.data.new`, `event.data.größe`), `x?.a` also reads what is missing, `'x'` is refused in rules, and a closure may
//! use the variable it is called on: in `event.items.some(|i| i.n > event.limit)` Rhai holds `event`
//! while the closure runs and cannot read it again, so the closure is called on a copy of the items.
//! And nothing (`()`) in a hole of a back-tick text is an error, where Rhai prints nothing.

use std::ops::Range;

use rhai::Position;

use super::chains::chains;
use super::error::ScriptError;
use super::functions::{Caller, HOLE, OWN, OWNED, is_read_only, owned};
use super::lexer::{Kind, Token, closing, lex};

/// Words Rhai keeps for itself that are not keywords of its grammar.
const RESERVED: [&str; 43] = [
    "as",
    "async",
    "await",
    "call",
    "case",
    "curry",
    "debug",
    "default",
    "eval",
    "exit",
    "export",
    "Fn",
    "fn",
    "go",
    "goto",
    "import",
    "is",
    "is_def_fn",
    "is_def_var",
    "is_shared",
    "match",
    "module",
    "new",
    "nil",
    "null",
    "package",
    "print",
    "private",
    "protected",
    "public",
    "shared",
    "spawn",
    "static",
    "super",
    "sync",
    "this",
    "thread",
    "type_of",
    "use",
    "var",
    "void",
    "with",
    "yield",
];

/// Rhai's text made from ours.
#[derive(Clone, Debug)]
pub(super) struct Rewritten {
    /// What Rhai compiles.
    pub(super) text: String,
    /// Where pieces begin in `text` and in the original, in order.
    pieces: Vec<Piece>,
    /// Length of the original.
    length: usize,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    to: usize,
    from: usize,
    /// Taken over byte by byte; otherwise the whole piece stands for the place `from`.
    copied: bool,
}

impl Rewritten {
    /// Rewrites `source`, of a rule's expression or of a plugin; in rules, single quotes are an error.
    pub(super) fn new(source: &str, caller: Caller) -> Result<Self, ScriptError> {
        let single_quotes = caller.is_some();
        let tokens = lex(source);
        if let Some(quoted) = tokens.iter().find(|t| t.kind == Kind::Quoted && !single_quotes) {
            return Err(single_quoted(quoted, source));
        }
        let mut edits = words(&tokens, source);
        edits.extend(owned_calls(&tokens, source, caller));
        // In a plugin a hole may hold statements. Before the copies: where both begin, it is outside.
        if !single_quotes {
            edits.extend(holes(&tokens, source));
        }
        edits.extend(copies(&tokens, source));
        edits.sort_by_key(|edit| edit.replaced.start);
        let mut made = Self {
            text: String::with_capacity(source.len() + 16),
            pieces: vec![],
            length: source.len(),
        };
        let mut done = 0;
        for edit in edits {
            made.copy(source, done, edit.replaced.start);
            made.pieces.push(Piece { to: made.text.len(), from: edit.place, copied: false });
            made.text.push_str(&edit.with);
            done = edit.replaced.end;
        }
        made.copy(source, done, source.len());
        Ok(made)
    }

    /// The byte of the original that a position of Rhai's means; its end if Rhai named none.
    pub(super) fn offset(&self, position: Position) -> usize {
        let Some(line) = position.line() else { return self.length };
        let mut start = 0;
        for _ in 1..line {
            match self.text[start..].find('\n') {
                Some(newline) => start += newline + 1,
                None => return self.length,
            }
        }
        let column = position.position().unwrap_or(1) - 1;
        let rest = &self.text[start..];
        let at = start + rest.char_indices().nth(column).map_or(rest.len(), |(index, _)| index);
        let piece = self.pieces.partition_point(|piece| piece.to <= at);
        match piece.checked_sub(1).and_then(|piece| self.pieces.get(piece)) {
            Some(piece) if piece.copied => piece.from + (at - piece.to),
            Some(piece) => piece.from,
            None => at.min(self.length),
        }
    }

    fn copy(&mut self, source: &str, from: usize, to: usize) {
        self.pieces.push(Piece { to: self.text.len(), from, copied: true });
        self.text.push_str(source.get(from..to).unwrap_or(""));
    }
}

/// One change to the text.
struct Edit {
    replaced: Range<usize>,
    with: String,
    /// The place of the original that the new text stands for.
    place: usize,
}

/// Property names that Rhai would not take, and `?.`.
fn words(tokens: &[Token], source: &str) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (index, word) in tokens.iter().enumerate().filter(|(_, t)| t.kind == Kind::Word) {
        let Some(before) = index.checked_sub(1).and_then(|index| tokens.get(index)) else {
            continue;
        };
        let after = tokens.get(index + 1);
        let called = after.is_some_and(|token| token.is(source, "("));
        let keyed = after.is_some_and(|token| token.is(source, ":"))
            && (before.is(source, "#{") || before.is(source, ","));
        let name = word.of(source);
        let (start, with) = if before.is(source, "?.") && !called {
            (word.start, format!("get(\"{name}\")"))
        } else if before.is(source, ".") && !called && is_reserved(name) {
            (before.start, format!("[\"{name}\"]"))
        } else if keyed && is_reserved(name) {
            (word.start, format!("\"{name}\""))
        } else {
            continue;
        };
        edits.push(Edit { replaced: start..word.end, with, place: word.start });
    }
    edits
}

/// Calls of functions of which each caller has its own.
fn owned_calls(tokens: &[Token], source: &str, caller: Caller) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (index, word) in tokens.iter().enumerate().filter(|(_, t)| t.kind == Kind::Word) {
        let name = word.of(source);
        let called = tokens.get(index + 1).is_some_and(|token| token.is(source, "("));
        let before = index.checked_sub(1).and_then(|index| tokens.get(index));
        let defined = before.is_some_and(|token| token.of(source) == "fn");
        if called && !defined && OWNED.contains(&name) {
            let with = owned(name, caller);
            edits.push(Edit { replaced: word.start..word.end, with, place: word.start });
        }
    }
    edits
}

/// A call around what stands in each hole of a back-tick text.
fn holes(tokens: &[Token], source: &str) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (index, open) in tokens.iter().enumerate().filter(|(_, token)| token.is(source, "${")) {
        let Some(close) = closing(tokens, source, index).filter(|close| *close > index + 1) else {
            continue;
        };
        let (start, end) = (open.end, tokens[close].start);
        edits.push(Edit { replaced: start..start, with: format!("{HOLE}("), place: start });
        edits.push(Edit { replaced: end..end, with: ")".to_owned(), place: end });
    }
    edits
}

/// Copies for what a closure is called on, where the closure uses the same variable.
fn copies(tokens: &[Token], source: &str) -> Vec<Edit> {
    let mut edits = Vec::new();
    for chain in chains(source) {
        let start = chain.range.start;
        let root =
            tokens.iter().find(|token| token.start == start).map_or("", |token| token.of(source));
        for step in chain.steps.iter().filter(|step| step.call) {
            let inside: Vec<_> = tokens.iter().filter(|t| step.range.contains(&t.start)).collect();
            let name = inside.get(1).map_or("", |token| token.of(source));
            let closure = inside.iter().any(|t| t.is(source, "|") || t.is(source, "||"));
            let again = inside.windows(2).any(|pair| {
                pair[1].kind == Kind::Word && pair[1].of(source) == root && !pair[0].is(source, ".")
            });
            if closure && again && is_read_only(name) {
                edits.push(Edit { replaced: start..start, with: format!("{OWN}("), place: start });
                let end = step.range.start;
                edits.push(Edit { replaced: end..end, with: ")".to_owned(), place: end });
            }
        }
    }
    edits
}

/// Line and column, both from 1 and in characters, of a byte of `source`.
pub(super) fn line_and_column(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Whether Rhai would not take `word` as the name of a property: a word of its own, or letters that
/// are not ASCII.
fn is_reserved(word: &str) -> bool {
    !word.is_ascii()
        || RESERVED.contains(&word)
        || rhai::Token::lookup_symbol_from_syntax(word).is_some()
}

fn single_quoted(token: &Token, source: &str) -> ScriptError {
    let quoted = token.of(source);
    let inner = quoted.trim_matches('\'').replace("\\'", "'").replace('"', "\\\"");
    ScriptError {
        offset: token.start,
        len: token.end - token.start,
        message: format!("{quoted} is not a text: texts stand in double quotes"),
        help: Some(format!("write \"{inner}\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(source: &str) -> String {
        Rewritten::new(source, None).unwrap().text
    }

    #[test]
    fn only_what_rhai_does_not_take_is_changed() {
        for (source, expected) in [
            ("event.data.score", "event.data.score"),
            ("event.data.new == 1", r#"event.data["new"] == 1"#),
            ("a.in.type.default", r#"a["in"].type["default"]"#),
            ("a?.b ?? 1", r#"a?.get("b") ?? 1"#),
            ("a?.b.c?.new", r#"a?.get("b").c?.get("new")"#),
            ("a?.len()", "a?.len()"),
            ("a.call(1)", "a.call(1)"),
            ("a.größe.b", r#"a["größe"].b"#),
            (r#"".new ?.b""#, r#"".new ?.b""#),
            ("#{ new: 1, b: x.new }", r#"#{ "new": 1, b: x["new"] }"#),
            ("`a ${b.new}`", r#"`a ${hole__(b["new"])}`"#),
            ("a.b.map(|x| x.c + 1)", "a.b.map(|x| x.c + 1)"),
            ("a.b.map(|x| x.a)", "a.b.map(|x| x.a)"),
            ("a.b.map(|x| x + a.c)", "own__(a.b).map(|x| x + a.c)"),
            (
                "a.b.map(|x| x + a.c).filter(|x| x > a.new)",
                "own__(own__(a.b).map(|x| x + a.c)).filter(|x| x > a[\"new\"])",
            ),
            ("`${a.b(|x| x)}`", "`${hole__(a.b(|x| x))}`"),
            ("`${a.map(|x| x + a)}`", "`${hole__(own__(a).map(|x| x + a))}`"),
            ("a.retain(|x| x > a.len())", "a.retain(|x| x > a.len())"),
        ] {
            assert_eq!(rewritten(source), expected);
        }
    }

    #[test]
    fn places_map_back_to_the_original() {
        let source = "größe.new?.b +\n  ü?.c.zz";
        let made = Rewritten::new(source, None).unwrap();
        for word in ["größe", "new", "b", "+", "c", "zz"] {
            let in_text = made.text.find(word).unwrap();
            let (line, column) = line_and_column(&made.text, in_text);
            let position = Position::new(line as u16, column as u16);
            let expected = source.find(word).unwrap();
            assert_eq!(made.offset(position), expected, "{word}");
        }
        assert_eq!(made.offset(Position::NONE), source.len());
    }

    #[test]
    fn single_quotes_say_what_to_write() {
        let error = Rewritten::new("ü == 'gold'", None).unwrap_err();
        assert_eq!((error.offset, error.len), (6, 6));
        assert_eq!(error.help.as_deref(), Some("write \"gold\""));
        assert!(Rewritten::new("x == 'g'", Some(0)).is_ok());
        assert!(Rewritten::new(r#"x == "it's" // 'a'"#, None).is_ok());
    }

    #[test]
    fn every_word_rhai_refuses_as_a_property_is_known() {
        let engine = rhai::Engine::new_raw();
        for word in
            RESERVED.into_iter().chain(["in", "if", "let", "true", "type", "return", "yield"])
        {
            let source = rewritten(&format!("x.{word}"));
            assert!(engine.compile_expression(&source).is_ok(), "{source}");
        }
    }
}
