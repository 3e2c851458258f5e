//! Cuts the text of an expression or a plugin into tokens, with their place in bytes.
//!
//! Only as much of Rhai's grammar as is needed to skip texts and comments and to see words, brackets
//! and operators. It never fails: what it does not understand becomes a symbol of one character, and
//! Rhai itself says what is wrong with it.

/// How deep `${…}` in back-tick texts may nest before the rest is taken as text.
const INTERPOLATIONS: u32 = 16;

/// Operators of more than one character, the longest first where one begins another.
const SYMBOLS: [&str; 43] = [
    "...", "..=", "===", "!==", "<<=", ">>=", "**=", "::<", "#{", "?.", "?[", "??", "..", "=>",
    "==", "!=", "<=", ">=", "&&", "||", "::", "+=", "-=", "*=", "/=", "%=", "**", "<<", ">>", "|=",
    "&=", "^=", "++", "--", ":=", "->", "<-", "|>", "<|", "!.", "(*", "*)", ":;",
];

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word: a variable, a property, a function, a keyword.
    Word,
    /// A number.
    Number,
    /// A text, or a part of one between holes.
    Text,
    /// Something in single quotes.
    Quoted,
    /// An operator, a bracket, or anything else.
    Symbol,
}

/// A token and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Byte offset of its beginning.
    pub(super) start: usize,
    /// Byte offset after its end.
    pub(super) end: usize,
}

impl Token {
    /// Its text.
    pub(super) fn of<'s>(&self, source: &'s str) -> &'s str {
        source.get(self.start..self.end).unwrap_or("")
    }

    /// Whether it is this symbol.
    pub(super) fn is(&self, source: &str, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.of(source) == symbol
    }

    /// Whether it opens a bracket of any kind, a hole in a text included.
    pub(super) fn opens(&self, source: &str) -> bool {
        self.kind == Kind::Symbol && matches!(self.of(source), "(" | "[" | "?[" | "{" | "#{" | "${")
    }

    /// Whether it closes a bracket.
    pub(super) fn closes(&self, source: &str) -> bool {
        self.kind == Kind::Symbol && matches!(self.of(source), ")" | "]" | "}")
    }
}

/// All tokens of `source`; comments and blanks are left out.
pub(super) fn lex(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { source, at: 0, depth: 0, tokens: Vec::new() };
    while lexer.at < source.len() {
        // A closing brace without an opening one stops the lexer; here it is only a symbol.
        if lexer.until_brace() {
            lexer.symbol(1);
        }
    }
    lexer.tokens
}

/// Where the `}` stands that closes an expression beginning at `from`, just after its `${`.
pub(super) fn hole_end(source: &str, from: usize) -> Option<usize> {
    let mut lexer = Lexer { source, at: from, depth: 0, tokens: Vec::new() };
    lexer.until_brace().then_some(lexer.at)
}

/// The insides of every `${…}` of a text.
#[must_use]
pub fn holes(text: &str) -> Vec<std::ops::Range<usize>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(dollar) = text[at..].find('$').map(|found| at + found) {
        let rest = &text[dollar..];
        at = dollar + 1;
        if rest.starts_with("$${") {
            at = dollar + 3;
        } else if rest.starts_with("${")
            && let Some(end) = hole_end(text, dollar + 2)
        {
            found.push(dollar + 2..end);
            at = end + 1;
        }
    }
    found
}

/// The index of the token that closes the bracket which token `open` opens.
pub(super) fn closing(tokens: &[Token], source: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        if token.opens(source) {
            depth += 1;
        } else if token.closes(source) {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(index);
            }
        }
    }
    None
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    depth: u32,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    /// Goes on to the first unmatched `}` (true) or to the end (false).
    fn until_brace(&mut self) -> bool {
        let mut open = 0_usize;
        while let Some(c) = self.peek() {
            match c {
                '}' if open == 0 => return true,
                '}' => {
                    open -= 1;
                    self.symbol(1);
                }
                '{' => {
                    open += 1;
                    self.symbol(1);
                }
                '#' if self.rest().starts_with("#{") => {
                    open += 1;
                    self.symbol(2);
                }
                _ => self.one(c),
            }
        }
        false
    }

    fn one(&mut self, c: char) {
        let rest = self.rest();
        if c.is_whitespace() {
            self.at += c.len_utf8();
        } else if rest.starts_with("//") {
            self.at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            self.block_comment();
        } else if c == '"' {
            self.text();
        } else if c == '`' {
            self.template();
        } else if c == '\'' {
            self.quoted();
        } else if c == '#' && rest.trim_start_matches('#').starts_with('"') {
            self.raw_text();
        } else if c.is_ascii_digit() {
            self.number();
        } else if c == '_' || c.is_alphabetic() {
            let length = rest.find(|c: char| c != '_' && !c.is_alphanumeric());
            self.push(Kind::Word, length.unwrap_or(rest.len()));
        } else {
            let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
            // `(*`, `*)` and `:;` are reserved by Rhai; taken apart, brackets still match.
            let length = symbol.map_or(c.len_utf8(), |symbol| match *symbol {
                "(*" | "*)" | ":;" => 1,
                other => other.len(),
            });
            self.symbol(length);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_u32;
        while self.at < self.source.len() {
            let rest = self.rest();
            if rest.starts_with("/*") {
                depth += 1;
                self.at += 2;
            } else if rest.starts_with("*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return;
                }
            } else {
                self.skip();
            }
        }
    }

    /// `"…"` with `\` escapes; a doubled quote stands for one.
    fn text(&mut self) {
        let start = self.at;
        self.at += 1;
        while let Some(c) = self.peek() {
            self.skip();
            match c {
                '\\' => self.skip(),
                '"' if self.peek() == Some('"') => self.skip(),
                '"' => break,
                _ => {}
            }
        }
        self.tokens.push(Token { kind: Kind::Text, start, end: self.at });
    }

    /// `#"…"#` with any number of `#`.
    fn raw_text(&mut self) {
        let rest = self.rest();
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        let close = format!("\"{}", "#".repeat(hashes));
        let body = hashes + 1;
        let length = rest[body..].find(&close).map_or(rest.len(), |end| body + end + close.len());
        self.push(Kind::Text, length);
    }

    /// A text in back-ticks, with `${…}` holes; a doubled back-tick stands for one.
    fn template(&mut self) {
        let mut start = self.at;
        self.at += 1;
        while let Some(c) = self.peek() {
            if c == '`' {
                self.skip();
                if self.peek() != Some('`') {
                    break;
                }
                self.skip();
            } else if self.rest().starts_with("${") && self.depth < INTERPOLATIONS {
                self.tokens.push(Token { kind: Kind::Text, start, end: self.at });
                self.symbol(2);
                self.depth += 1;
                let closed = self.until_brace();
                self.depth -= 1;
                if closed {
                    self.symbol(1);
                }
                start = self.at;
            } else {
                self.skip();
            }
        }
        self.tokens.push(Token { kind: Kind::Text, start, end: self.at });
    }

    /// `'…'` on one line; a lone quote is a symbol.
    fn quoted(&mut self) {
        let rest = self.rest();
        let mut escaped = false;
        for (index, c) in rest.char_indices().skip(1) {
            match c {
                '\n' => break,
                '\'' if !escaped => return self.push(Kind::Quoted, index + 1),
                _ => escaped = c == '\\' && !escaped,
            }
        }
        self.symbol(1);
    }

    fn number(&mut self) {
        let bytes = self.rest().as_bytes();
        let digits = |from: usize, hex: bool| {
            bytes[from..]
                .iter()
                .take_while(|b| {
                    b.is_ascii_digit() || **b == b'_' || (hex && b.is_ascii_alphabetic())
                })
                .count()
        };
        let radix = bytes.len() > 1 && bytes[0] == b'0' && b"xXoObB".contains(&bytes[1]);
        let mut length = if radix { 2 + digits(2, true) } else { digits(0, false) };
        if !radix && bytes.get(length) == Some(&b'.') && next_is_digit(bytes, length + 1) {
            length += 1 + digits(length + 1, false);
        }
        if !radix && matches!(bytes.get(length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
            if next_is_digit(bytes, length + 1 + sign) {
                length += 1 + sign + digits(length + 1 + sign, false);
            }
        }
        self.push(Kind::Number, length);
    }

    fn symbol(&mut self, length: usize) {
        self.push(Kind::Symbol, length);
    }

    fn push(&mut self, kind: Kind, length: usize) {
        let start = self.at;
        self.at += length;
        self.tokens.push(Token { kind, start, end: self.at });
    }

    fn rest(&self) -> &str {
        &self.source[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }
}

fn next_is_digit(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<&str> {
        lex(source).iter().map(|token| token.of(source)).collect()
    }

    #[test]
    fn texts_and_comments_hide_what_is_in_them() {
        assert_eq!(words(r#"a == "x && \" }" // b"#), ["a", "==", r#""x && \" }""#]);
        assert_eq!(words("a /* b /* c */ d */ e"), ["a", "e"]);
        assert_eq!(words(r#""a""b" c"#), [r#""a""b""#, "c"]);
        assert_eq!(words(r##"#"a"b"# c"##), [r##"#"a"b"#"##, "c"]);
        assert_eq!(words("`a ${b.c} d` e"), ["`a ", "${", "b", ".", "c", "}", " d`", "e"]);
    }

    #[test]
    fn numbers_end_where_ranges_and_methods_begin() {
        assert_eq!(
            words("1.5 1..2 1.abs() 0x1F 1e-3 1_000"),
            ["1.5", "1", "..", "2", "1", ".", "abs", "(", ")", "0x1F", "1e-3", "1_000"]
        );
    }

    #[test]
    fn single_quotes_are_seen_and_lone_ones_harmless() {
        assert_eq!(lex("x == 'abc'")[2].kind, Kind::Quoted);
        assert_eq!(words("it's }"), ["it", "'", "s", "}"]);
    }

    #[test]
    fn a_hole_ends_at_its_own_brace() {
        for (text, end) in [
            ("a}", Some(1)),
            ("#{a: {b}}.c}x", Some(11)),
            (r#""}" + `${"}"}`}"#, Some(14)),
            ("a", None),
            (r#""}"#, None),
            ("größe}", Some(7)),
        ] {
            assert_eq!(hole_end(text, 0), end, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_text_is_cut_without_panic_and_in_order(source in "\\PC*|[\\x00-\\x7f]*") {
            let mut at = 0;
            for token in lex(&source) {
                proptest::prop_assert!(token.start >= at && token.end >= token.start);
                proptest::prop_assert!(source.get(token.start..token.end).is_some());
                at = token.end;
            }
        }
    }
}
