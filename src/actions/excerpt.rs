//! What a remote side said, cut and cleaned for a message to people.

/// Characters of a remote text that a message quotes: a sentence or two.
const EXCERPT_CHARS: usize = 200;

/// One line of at most [`EXCERPT_CHARS`] characters without control characters.
pub(crate) fn excerpt(text: &str) -> String {
    let mut out = String::new();
    let mut gap = false;
    for (count, c) in text.trim().chars().enumerate() {
        if count == EXCERPT_CHARS {
            out.push('…');
            break;
        }
        if c.is_control() || c == ' ' {
            gap = true;
            continue;
        }
        if gap {
            out.push(' ');
            gap = false;
        }
        out.push(c);
    }
    out
}

/// An error with everything that led to it, innermost last, without repeating itself.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let said = inner.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = inner.source();
    }
    excerpt(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remote_text_becomes_one_short_line() {
        assert_eq!(excerpt(" a\r\n\tb  c\u{1b}[0m "), "a b c [0m");
        assert_eq!(excerpt(&"x".repeat(500)).chars().count(), 201);
    }
}
