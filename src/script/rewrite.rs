//! [`Rewritten`]: the text handed to Rhai, and how its places map back to what a person wrote.
//!
//! Three things of our language differ from Rhai's: words that Rhai reserves may be property names
//! (`event.data.new`), `x?.a` also reads what is missing, and `'x'` is refused in rules.

use rhai::Position;

use super::error::ScriptError;
use super::lexer::{Kind, Token, lex};

/// Words Rhai keeps for itself that are not keywords of its grammar.
const RESERVED: [&str; 42] = [
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
    /// Rewrites `source`; in rules, single quotes are an error.
    pub(super) fn new(source: &str, single_quotes: bool) -> Result<Self, ScriptError> {
        let tokens = lex(source);
        if let Some(quoted) = tokens.iter().find(|t| t.kind == Kind::Quoted && !single_quotes) {
            return Err(single_quoted(quoted, source));
        }
        let mut made = Self {
            text: String::with_capacity(source.len() + 16),
            pieces: vec![],
            length: source.len(),
        };
        let mut done = 0;
        for (index, word) in tokens.iter().enumerate().filter(|(_, t)| t.kind == Kind::Word) {
            let before = index.checked_sub(1).and_then(|index| tokens.get(index));
            let after = tokens.get(index + 1);
            let Some(before) = before else { continue };
            let called = after.is_some_and(|token| token.is(source, "("));
            let name = word.of(source);
            let keyed = after.is_some_and(|token| token.is(source, ":"))
                && (before.is(source, "#{") || before.is(source, ","));
            if before.is(source, "?.") && !called {
                made.copy(source, done, before.end);
                made.insert(&format!("get(\"{name}\")"), word.start);
            } else if before.is(source, ".") && !called && is_reserved(name) {
                made.copy(source, done, before.start);
                made.insert(&format!("[\"{name}\"]"), word.start);
            } else if keyed && is_reserved(name) {
                made.copy(source, done, word.start);
                made.insert(&format!("\"{name}\""), word.start);
            } else {
                continue;
            }
            done = word.end;
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

    fn insert(&mut self, text: &str, from: usize) {
        self.pieces.push(Piece { to: self.text.len(), from, copied: false });
        self.text.push_str(text);
    }
}

/// Line and column, both from 1 and in characters, of a byte of `source`.
pub(super) fn line_and_column(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Whether Rhai would not take `word` as the name of a property.
fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word) || rhai::Token::lookup_symbol_from_syntax(word).is_some()
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
        Rewritten::new(source, false).unwrap().text
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
            (r#"".new ?.b""#, r#"".new ?.b""#),
            ("#{ new: 1, b: x.new }", r#"#{ "new": 1, b: x["new"] }"#),
            ("`a ${b.new}`", r#"`a ${b["new"]}`"#),
        ] {
            assert_eq!(rewritten(source), expected);
        }
    }

    #[test]
    fn places_map_back_to_the_original() {
        let source = "größe.new?.b +\n  ü?.c.zz";
        let made = Rewritten::new(source, false).unwrap();
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
        let error = Rewritten::new("ü == 'gold'", false).unwrap_err();
        assert_eq!((error.offset, error.len), (6, 6));
        assert_eq!(error.help.as_deref(), Some("write \"gold\""));
        assert!(Rewritten::new("x == 'g'", true).is_ok());
        assert!(Rewritten::new(r#"x == "it's" // 'a'"#, false).is_ok());
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
