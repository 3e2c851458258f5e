//! Just enough of Rust's lexical grammar to tell code from comments, literals and test-only items.
//! Everything it removes is replaced by spaces, so that lines and columns stay.

/// Blanks comments and the insides of string, byte, raw and character literals.
pub(crate) fn blank_literals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => line_end(&chars, at),
            '/' if chars.get(at + 1) == Some(&'*') => comment_end(&chars, at),
            '"' => string_end(&chars, at),
            'r' | 'b' | 'c' if !follows_word(&chars, at) => prefixed_end(&chars, at),
            '\'' => char_end(&chars, at),
            _ => at,
        };
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Blanks everything but the ends of lines.
pub(crate) fn blank(code: &str) -> String {
    code.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect()
}

/// Blanks items under `#[cfg(test)]` and `#[test]`; answers the names of `mod name;` among them.
/// `code` has no literals any more.
pub(crate) fn blank_test_items(code: &str) -> (String, Vec<String>) {
    let mut out = code.to_owned();
    let mut modules = Vec::new();
    for mark in ["#[cfg(test)]", "#[test]"] {
        while let Some(start) = out.find(mark) {
            let item = start + mark.len();
            let end = item_end(&out[item..]) + item;
            let words: Vec<&str> = out[item..end].split_whitespace().collect();
            if let Some(place) = words.iter().position(|&word| word == "mod")
                && let Some(name) = words.get(place + 1).and_then(|word| word.strip_suffix(';'))
            {
                modules.push(name.to_owned());
            }
            out.replace_range(start..end, &blank(&out[start..end]));
        }
    }
    (out, modules)
}

/// Where the item at the start of `code` ends: after its `;`, or after its closing brace.
fn item_end(code: &str) -> usize {
    let mut depth = 0usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && c == '}' {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

fn line_end(chars: &[char], at: usize) -> usize {
    chars[at..].iter().position(|&c| c == '\n').map_or(chars.len(), |n| at + n)
}

fn comment_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0usize;
    let mut here = at;
    while here < chars.len() {
        match (chars[here], chars.get(here + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                here += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                here += 2;
                if depth == 0 {
                    return here;
                }
            }
            _ => here += 1,
        }
    }
    here
}

fn string_end(chars: &[char], quote: usize) -> usize {
    let mut here = quote + 1;
    while here < chars.len() {
        match chars[here] {
            '\\' => here += 2,
            '"' => return here + 1,
            _ => here += 1,
        }
    }
    chars.len()
}

/// The end of `r"…"`, `r#"…"#`, `b"…"`, `br"…"`, `c"…"`, `b'x'`; `at` itself if it is a plain word.
fn prefixed_end(chars: &[char], at: usize) -> usize {
    let mut here = at + 1;
    let mut raw = chars[at] == 'r';
    if !raw && chars.get(here) == Some(&'r') {
        raw = true;
        here += 1;
    }
    if !raw {
        return match chars.get(here) {
            Some('"') => string_end(chars, here),
            Some('\'') if chars[at] == 'b' => char_end(chars, here),
            _ => at,
        };
    }
    let hashes = chars[here..].iter().take_while(|&&c| c == '#').count();
    if chars.get(here + hashes) != Some(&'"') {
        return at;
    }
    let mut end = here + hashes + 1;
    while end < chars.len() {
        let closes = chars[end] == '"'
            && chars[end + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes;
        if closes {
            return end + 1 + hashes;
        }
        end += 1;
    }
    chars.len()
}

/// The end of a character literal; `at` itself if the quote begins a lifetime.
fn char_end(chars: &[char], at: usize) -> usize {
    match chars.get(at + 1) {
        Some('\\') => {
            let close = chars[at + 3..].iter().position(|&c| c == '\'');
            close.map_or(at, |n| at + 3 + n + 1)
        }
        Some(_) if chars.get(at + 2) == Some(&'\'') => at + 3,
        _ => at,
    }
}

fn follows_word(chars: &[char], at: usize) -> bool {
    at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_')
}

#[test]
fn literals_and_comments_are_not_code() {
    let text = "a /* x /* y */ z */ b // c\nlet s = \"q\\\"r\"; let t = r#\"u\"v\"#; w('\\'', 'k', &'life b\"m\")";
    let code = blank_literals(text);
    assert_eq!(code.chars().count(), text.chars().count());
    for gone in ["x", "y", "z", "// c", "q", "r\\", "u", "v", "k", "m"] {
        assert!(!code.contains(gone), "{gone} in {code}");
    }
    for kept in ["a ", " b ", "let s", "let t", "w(", "&'life"] {
        assert!(code.contains(kept), "{kept} in {code}");
    }
}

#[test]
fn items_for_tests_end_where_they_end() {
    let code = "#[cfg(test)]\nuse a::{b, c};\nfn kept() {}\n#[cfg(test)]\nmod far;\n#[test]\nfn t() { {} }\nlet also;";
    let (out, modules) = blank_test_items(code);
    assert!(out.contains("kept") && out.contains("also"));
    assert!(!out.contains("b, c") && !out.contains("fn t"));
    assert_eq!(modules, ["far"]);
}
