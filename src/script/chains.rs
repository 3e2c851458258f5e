//! Chains such as `event.data.score` or `record(x).owner` in an expression: where they stand, and
//! how a condition is cut at its `&&`.

use std::ops::Range;

use super::lexer::{Kind, Token, closing, lex};

/// A variable or a call, and what is read from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    /// The whole of it.
    pub(super) range: Range<usize>,
    /// Where the word it begins with ends, or the call it begins with.
    pub(super) root: usize,
    /// `.a`, `?.a`, `[1]`, `.f(…)`, in order.
    pub(super) steps: Vec<Step>,
}

/// One step of a [`Chain`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// From its `.` or `[` to its end.
    pub(super) range: Range<usize>,
    /// Whether it is a call.
    pub(super) call: bool,
}

/// Every chain of `source`, outer ones before those in their arguments.
pub(super) fn chains(source: &str) -> Vec<Chain> {
    let tokens = lex(source);
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| tokens.get(before));
        let inside = before.is_some_and(|t| [".", "?.", "::"].iter().any(|dot| t.is(source, dot)));
        let keyword = rhai::Token::lookup_symbol_from_syntax(token.of(source)).is_some();
        if token.kind == Kind::Word && !inside && !keyword {
            found.push(chain(&tokens, source, index));
        }
    }
    found
}

/// The words of each path that begins with a variable, with their bytes: of `event.data.tags[0] == vars?.tag`
/// they are `event` `data` `tags` and `vars` `tag`. What follows a call or an index is left out.
#[must_use]
pub fn paths(source: &str) -> Vec<Vec<(&str, Range<usize>)>> {
    let word = |range: Range<usize>| {
        let text = source.get(range.clone())?;
        let name = text.trim_start_matches(['?', '.']).trim();
        let start =
            range.start + (text.len() - text.trim_start_matches(['?', '.']).trim_start().len());
        (!name.is_empty() && !name.starts_with('[')).then_some((name, start..start + name.len()))
    };
    let path = |chain: &Chain| {
        let root = word(chain.range.start..chain.root).filter(|(name, _)| !name.contains('('))?;
        let steps = chain
            .steps
            .iter()
            .map_while(|step| if step.call { None } else { word(step.range.clone()) });
        Some(std::iter::once(root).chain(steps).collect())
    };
    let own = parameters(source);
    let is_given = |path: &Vec<(&str, Range<usize>)>| !own.contains(&path[0].0);
    chains(source).iter().filter_map(path).filter(is_given).collect()
}

/// The parameters of every closure: `a` and `b` of `|a, b| …`, which hide what has the same name outside.
#[must_use]
pub fn parameters(source: &str) -> Vec<&str> {
    let tokens = lex(source);
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if !token.is(source, "|") {
            continue;
        }
        let mut names = Vec::new();
        for token in &tokens[at + 1..] {
            match token.kind {
                Kind::Word => names.push(token.of(source)),
                _ if token.is(source, ",") => {}
                _ if token.is(source, "|") => {
                    found.append(&mut names);
                    break;
                }
                _ => break,
            }
        }
    }
    found
}

/// The path as written, up to and including the step that stands at `offset`.
pub(super) fn path_at(source: &str, offset: usize) -> Option<&str> {
    chains(source)
        .iter()
        .flat_map(|chain| chain.steps.iter().map(move |step| (chain, step)))
        .filter(|(_, step)| step.range.contains(&offset))
        .min_by_key(|(_, step)| step.range.len())
        .and_then(|(chain, step)| source.get(chain.range.start..step.range.end))
}

/// The chains whose values explain why `clause` was false. A call that is the whole clause is itself
/// false, which says nothing: what it is called on and with does.
pub(super) fn operands(clause: &str) -> Vec<&str> {
    let all = chains(clause);
    let mut found: Vec<&str> = Vec::new();
    let mut covered = 0;
    for chain in &all {
        if chain.range.start < covered {
            continue;
        }
        let is_call = chain.steps.last().map_or_else(
            || clause.get(..chain.root).is_some_and(|text| text.ends_with(')')),
            |step| step.call,
        );
        let bare = clause.trim_start_matches('!').trim();
        let end = if is_call && clause.get(chain.range.clone()) == Some(bare) {
            match chain.steps.len() {
                0 => continue,
                1 => chain.root,
                n => chain.steps[n - 2].range.end,
            }
        } else {
            chain.range.end
        };
        covered = end;
        if let Some(text) = clause.get(chain.range.start..end)
            && !found.contains(&text)
        {
            found.push(text);
        }
    }
    found
}

/// The clauses of a condition: cut at each `&&` that stands outside of all brackets, unless an
/// operator that binds less (`||`, `|`, `^`, a closure) or a keyword makes that wrong.
pub(super) fn clauses(source: &str) -> Vec<Range<usize>> {
    let tokens = lex(source);
    let mut depth = 0_usize;
    let mut cuts = Vec::new();
    for token in &tokens {
        if token.opens(source) {
            depth += 1;
        } else if token.closes(source) {
            let Some(up) = depth.checked_sub(1) else {
                return std::iter::once(0..source.len()).collect();
            };
            depth = up;
        } else if depth == 0 {
            match token.of(source) {
                "&&" if token.kind == Kind::Symbol => cuts.push(token.start..token.end),
                "||" | "|" | "^" | "&" | "=>" | ";" if token.kind == Kind::Symbol => {
                    return std::iter::once(0..source.len()).collect();
                }
                "if" | "switch" | "else" if token.kind == Kind::Word => {
                    return std::iter::once(0..source.len()).collect();
                }
                _ => {}
            }
        }
    }
    let starts = std::iter::once(0).chain(cuts.iter().map(|cut| cut.end));
    let ends = cuts.iter().map(|cut| cut.start).chain(std::iter::once(source.len()));
    starts.zip(ends).map(|(start, end)| start..end).collect()
}

fn chain(tokens: &[Token], source: &str, first: usize) -> Chain {
    let start = tokens[first].start;
    let mut last = first;
    if let Some(close) = call_end(tokens, source, first + 1) {
        last = close;
    }
    let root = tokens[last].end;
    let mut steps = Vec::new();
    while let Some(next) = tokens.get(last + 1) {
        let name = tokens.get(last + 2);
        let begin = next.start;
        if (next.is(source, ".") || next.is(source, "?."))
            && name.is_some_and(|name| name.kind == Kind::Word)
        {
            let call = call_end(tokens, source, last + 3);
            last = call.unwrap_or(last + 2);
            steps.push(Step { range: begin..tokens[last].end, call: call.is_some() });
        } else if (next.is(source, "[") || next.is(source, "?["))
            && let Some(close) = closing(tokens, source, last + 1)
        {
            last = close;
            steps.push(Step { range: begin..tokens[last].end, call: false });
        } else {
            break;
        }
    }
    Chain { range: start..tokens[last].end, root, steps }
}

fn call_end(tokens: &[Token], source: &str, open: usize) -> Option<usize> {
    tokens.get(open).filter(|token| token.is(source, "("))?;
    closing(tokens, source, open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_cut_where_that_is_the_same() {
        for (source, expected) in [
            ("a && b", vec!["a ", " b"]),
            ("a", vec!["a"]),
            ("a && (b && c) && d", vec!["a ", " (b && c) ", " d"]),
            ("a && b || c", vec!["a && b || c"]),
            ("x.some(|t| t && y) && b", vec!["x.some(|t| t && y) ", " b"]),
            ("if a && b { c } else { d }", vec!["if a && b { c } else { d }"]),
            (r#"x == "a && b" && c"#, vec![r#"x == "a && b" "#, " c"]),
            ("x == `${a && b}` && c", vec!["x == `${a && b}` ", " c"]),
            ("a) && b", vec!["a) && b"]),
            ("a ?? b && c", vec!["a ?? b ", " c"]),
        ] {
            let cut: Vec<_> = clauses(source).into_iter().map(|range| &source[range]).collect();
            assert_eq!(cut, expected);
        }
    }

    #[test]
    fn the_path_of_a_place_is_what_was_written() {
        let source = r#"a.b.c == record(x.y).owner.z["k"]"#;
        for (word, path) in [
            ("b", "a.b"),
            ("c", "a.b.c"),
            ("y", "x.y"),
            ("owner", "record(x.y).owner"),
            ("k", r#"record(x.y).owner.z["k"]"#),
        ] {
            let offset = source.find(word).unwrap();
            assert_eq!(path_at(source, offset), Some(path));
        }
        assert_eq!(path_at(source, 0), None);
    }

    #[test]
    fn paths_are_words_up_to_a_call_or_an_index() {
        let source =
            r#"event.data.tags[0] == vars?.tag.len() && record("a/1").x > score(steps.a .b)"#;
        let found = paths(source);
        let words: Vec<Vec<&str>> =
            found.iter().map(|path| path.iter().map(|(word, _)| *word).collect()).collect();
        assert_eq!(
            words,
            [vec!["event", "data", "tags"], vec!["vars", "tag"], vec!["steps", "a", "b"]]
        );
        for (word, range) in found.iter().flatten() {
            assert_eq!(&source[range.clone()], *word);
        }
    }

    #[test]
    fn parameters_of_closures_hide_what_is_outside() {
        let source = "event.l.filter(|event, n| event.date > n.x || vars.a).len()";
        assert_eq!(parameters(source), ["event", "n"]);
        let words: Vec<&str> = paths(source).iter().map(|path| path[0].0).collect();
        assert_eq!(words, ["vars"], "who names one `event` may mean it everywhere");
        assert!(parameters("a || b | c").is_empty());
    }

    #[test]
    fn operands_are_what_explains_a_clause() {
        for (clause, expected) in [
            ("event.data.score >= 80", vec!["event.data.score"]),
            ("a.b == c.d", vec!["a.b", "c.d"]),
            ("vars.twin.len() > 0", vec!["vars.twin.len()"]),
            ("a.tags.contains(b.c)", vec!["a.tags", "b.c"]),
            ("!a.tags.contains(b.c)", vec!["a.tags", "b.c"]),
            ("not(vars.half)", vec!["vars.half"]),
            ("a.x == a.x", vec!["a.x"]),
            ("score(a.b) > 3", vec!["score(a.b)"]),
            ("1 == 2", vec![]),
        ] {
            assert_eq!(operands(clause), expected);
        }
    }
}
