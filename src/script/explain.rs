//! Rhai's errors in the words of people who write rules.

use rhai::{Dynamic, EvalAltResult, LexError, ParseError, ParseErrorType, Position};

use crate::model::Text;

use super::chains::path_at;
use super::check::covered;
use super::convert::{human_type, to_value, type_name};
use super::error::{EvalError, ScriptError};
use super::functions;
use super::grant::Grant;
use super::lexer::{Kind, lex};
use super::limits;
use super::rewrite::{Rewritten, line_and_column};
use super::suggest::closest;

/// A plugin's text, to name places in it.
#[derive(Clone, Debug)]
pub(super) struct PluginText {
    pub(super) file: Text,
    pub(super) source: Text,
    pub(super) rewritten: Rewritten,
    pub(super) grant: Grant,
}

/// Words that begin a statement.
const STATEMENTS: [&str; 15] = [
    "let", "const", "while", "loop", "for", "do", "return", "break", "continue", "throw", "try",
    "import", "export", "fn", "switch",
];

/// A compile error, with its place in `source`.
pub(super) fn parse_error<'n>(
    error: &ParseError,
    source: &str,
    rewritten: &Rewritten,
    names: impl IntoIterator<Item = &'n str>,
) -> ScriptError {
    let offset = rewritten.offset(error.position()).min(source.len());
    let tokens = lex(source);
    let at = tokens.iter().position(|token| (token.start..token.end).contains(&offset));
    let word = at.map_or("", |at| tokens[at].of(source));
    let before = at.and_then(|at| at.checked_sub(1)).map_or("", |at| tokens[at].of(source));
    let (message, help) = match error.err_type() {
        ParseErrorType::VariableUndefined(name) if foreign(name).is_some() => {
            (format!("there is no variable `{name}`"), foreign(name).map(str::to_owned))
        }
        ParseErrorType::VariableUndefined(name) => {
            let names: Vec<_> = names.into_iter().collect();
            let help = closest(name, names.iter().copied())
                .map(|meant| format!("did you mean `{meant}`?"))
                .or_else(|| {
                    Some(format!("for a text, write \"{name}\"; known here: {}", names.join(", ")))
                });
            (format!("there is no variable `{name}`"), help)
        }
        ParseErrorType::BadInput(_)
            if !word.is_ascii() && at.is_some_and(|at| tokens[at].kind == Kind::Word) =>
        {
            (
                format!("`{word}` cannot be the name of a variable or a function"),
                Some("their names have letters a to z, digits and `_`".to_owned()),
            )
        }
        ParseErrorType::Reserved(name) if matches!(name.as_str(), "null" | "nil" | "void") => {
            (format!("`{name}` is not a value"), Some("write `()`".to_owned()))
        }
        ParseErrorType::MismatchedType(..) if matches!(before, "||" | "&&") => (
            format!("`{before}` stands between conditions, and {word} is none"),
            Some(if before == "||" {
                "compare each: `x == \"a\" || x == \"b\"`; for a value where one may be missing, write `??`"
            } else {
                "compare each: `x == \"a\" && y == \"b\"`"
            }.to_owned()),
        ),
        _ if word == "this" => ("`this` cannot be used".to_owned(), None),
        _ if matches!(word, "===" | "!==") => {
            (format!("`{word}` is not an operator"), Some(format!("write `{}`", &word[..2])))
        }
        ParseErrorType::Reserved(name) => (format!("`{name}` cannot be used here"), None),
        _ if STATEMENTS.contains(&word) => (
            format!("`{word}` cannot stand in an expression"),
            Some("an expression is one value; put more into a function of a plugin".to_owned()),
        ),
        kind => {
            let word = if word.is_empty() { None } else { Some(word) };
            (plain(kind, word), word.and_then(|word| habit(word, before)))
        }
    };
    let place = covered(source, offset);
    ScriptError { offset: place.start, len: place.len(), message, help }
}

/// Words that other languages have, and what they are here.
fn foreign(word: &str) -> Option<&'static str> {
    Some(match word {
        "not" => "write `!x` or `not(x)`",
        "True" | "TRUE" => "write `true`",
        "False" | "FALSE" => "write `false`",
        "None" | "NULL" | "Null" | "undefined" => "write `()`",
        _ => return None,
    })
}

/// What people write who know other languages.
fn habit(word: &str, before: &str) -> Option<String> {
    let write = match (word, before) {
        ("and", _) => "write `&&`",
        ("or", _) => "write `||`",
        (_, "and") => "write `&&` for `and`",
        (_, "or") => "write `||` for `or`",
        ("=", _) => "to compare, write `==`",
        (";", _) => "an expression is one value, without `;`",
        ("<>", _) => "write `!=`",
        ("?", _) => "write `if a { b } else { c }`",
        _ => return None,
    };
    Some(write.to_owned())
}

fn plain(kind: &ParseErrorType, word: Option<&str>) -> String {
    match kind {
        ParseErrorType::UnexpectedEOF => "the expression ends too early".to_owned(),
        ParseErrorType::BadInput(LexError::UnterminatedString) => {
            "this text is not closed".to_owned()
        }
        ParseErrorType::BadInput(LexError::UnexpectedInput(input)) => {
            format!("unexpected `{}`", word.unwrap_or(input))
        }
        ParseErrorType::BadInput(LexError::MalformedEscapeSequence(escape)) => {
            format!("`{escape}` is not an escape; a backslash is written `\\\\`")
        }
        ParseErrorType::MissingToken(token, why) => format!("expected `{token}` {why}"),
        ParseErrorType::ModuleUndefined(_) => "modules cannot be used".to_owned(),
        ParseErrorType::ExprTooDeep => "the expression nests too deep".to_owned(),
        ParseErrorType::MismatchedType(wanted, got) => {
            format!("expected {}, not {}", human_type(wanted), human_type(got))
        }
        ParseErrorType::ExprExpected(_) => match word {
            Some(word) => format!("unexpected `{word}`"),
            None => "the expression ends too early".to_owned(),
        },
        other => lower_first(&other.to_string()).replace('\'', "`"),
    }
}

/// A failed evaluation of `source`.
pub(super) fn eval_error(
    error: EvalAltResult,
    source: &str,
    rewritten: &Rewritten,
    plugins: &[PluginText],
) -> EvalError {
    let (error, plugin) = innermost(error, plugins);
    let position = error.position();
    let place = plugin.map(|plugin| {
        let (line, column) = line_and_column(&plugin.source, plugin.rewritten.offset(position));
        format!("{}:{line}:{column}: ", plugin.file)
    });
    let path = match plugin {
        Some(plugin) => path_at(&plugin.source, plugin.rewritten.offset(position)),
        None => path_at(source, rewritten.offset(position)),
    };
    let missing = match &error {
        EvalAltResult::ErrorPropertyNotFound(name, _)
        | EvalAltResult::ErrorVariableNotFound(name, _) => Some(path.unwrap_or(name)),
        EvalAltResult::ErrorArrayBounds(_, index, _) => {
            return absent(path.map_or_else(|| format!("[{index}]"), str::to_owned), place);
        }
        EvalAltResult::ErrorIndexingType(types, _) if types.starts_with("()") => path,
        _ => None,
    };
    if let Some(missing) = missing {
        return absent(missing.to_owned(), place);
    }
    let text = sentence(&error, path);
    match place {
        Some(place) => EvalError::InPlugin(format!("{place}{text}").into()),
        None => EvalError::Failed(text.into()),
    }
}

/// In a plugin a missing property is the plugin's mistake, never a reason for a `where` to be false.
fn absent(path: String, place: Option<String>) -> EvalError {
    match place {
        Some(place) => EvalError::InPlugin(format!("{place}`{path}` is missing").into()),
        None => EvalError::Missing(path.into()),
    }
}

/// The error itself, and the plugin it happened in.
fn innermost(error: EvalAltResult, plugins: &[PluginText]) -> (EvalAltResult, Option<&PluginText>) {
    let (mut error, mut place) = (error, None);
    loop {
        match error {
            EvalAltResult::ErrorInFunctionCall(_, file, inner, _) => {
                // A closure inside of a plugin's function names no file of its own.
                place = plugins.iter().find(|plugin| *plugin.file == *file).or(place);
                error = *inner;
            }
            EvalAltResult::ErrorInModule(_, inner, _) => error = *inner,
            error => return (error, place),
        }
    }
}

fn sentence(error: &EvalAltResult, path: Option<&str>) -> String {
    match error {
        EvalAltResult::ErrorDotExpr(text, _) => {
            let property = text.split('\'').nth(1).unwrap_or("");
            let of = text.split('\'').nth(3).map_or("this", human_type);
            format!(
                "`{}` cannot be read: {of} has no property `{property}`",
                path.unwrap_or(property)
            )
        }
        EvalAltResult::ErrorIndexingType(types, _) => {
            let (of, with) = types.split_once('[').unwrap_or((types, "?]"));
            format!(
                "{} has no `[…]` with {}",
                human_type(of),
                human_type(with.trim_end_matches(']'))
            )
        }
        EvalAltResult::ErrorFunctionNotFound(signature, _) => wrong_types(signature),
        EvalAltResult::ErrorMismatchDataType(wanted, got, _)
        | EvalAltResult::ErrorMismatchOutputType(wanted, got, _) => {
            format!("expected {}, not {}", human_type(wanted), human_type(got))
        }
        EvalAltResult::ErrorTooManyOperations(_) => format!(
            "more than {} operations: too much work for an expression; a step `script` gives a function more time",
            limits::OPERATIONS
        ),
        EvalAltResult::ErrorTerminated(why, _) => format!("it was stopped: {}", thrown_text(why)),
        EvalAltResult::ErrorStackOverflow(_) => {
            format!("functions call each other more than {} deep", limits::CALL_LEVELS)
        }
        EvalAltResult::ErrorTooManyVariables(_) => {
            format!("more than {} variables in a function", limits::VARIABLES)
        }
        EvalAltResult::ErrorDataTooLarge(what, _) => format!(
            "a value grew too large ({}): at most {} bytes of text, {} elements, {} members",
            lower_first(what),
            limits::TEXT_BYTES,
            limits::LIST_ITEMS,
            limits::MAP_ITEMS
        ),
        EvalAltResult::ErrorRuntime(thrown, _) => thrown_text(thrown),
        EvalAltResult::ErrorStringBounds(length, index, _) => {
            format!("a text of {length} characters has no character {index}")
        }
        EvalAltResult::ErrorArithmetic(text, _) => lower_first(text),
        other => {
            // Rhai's own text without its place, which counts in what was rewritten.
            let text = other.to_string();
            let end = if other.position().is_none() {
                text.len()
            } else {
                text.rfind(" (").unwrap_or(text.len())
            };
            lower_first(&text[..end])
        }
    }
}

/// What a plugin threw, or what a function of ours says.
fn thrown_text(thrown: &Dynamic) -> String {
    match to_value(thrown) {
        Ok(value) if value.is_null() => "it failed without saying why".to_owned(),
        Ok(value) => value.to_string(),
        Err(_) => format!("{} was thrown", type_name(thrown)),
    }
}

/// From Rhai's `name (type, type)`.
fn wrong_types(signature: &str) -> String {
    let (name, types) = signature.split_once(" (").unwrap_or((signature, ""));
    let name = functions::plain(name);
    let types: Vec<_> = types
        .strip_suffix(')')
        .unwrap_or(types)
        .split(", ")
        .filter(|t| !t.is_empty())
        .map(human_type)
        .collect();
    let operator = !name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    match &types[..] {
        [a, b] if operator => format!("`{name}` does not work between {a} and {b}"),
        [] => format!("there is no function `{name}` without arguments"),
        [a] => format!("`{name}` does not work on {a}"),
        [first, rest @ ..] => {
            format!("`{name}` does not work on {first} with {}", rest.join(" and "))
        }
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// The names of functions defined in a plugin, with how many parameters and where.
pub(super) fn definitions(source: &str) -> Vec<(String, usize, usize)> {
    let tokens = lex(source);
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        if token.kind != Kind::Word || token.of(source) != "fn" {
            continue;
        }
        let Some(name) = tokens.get(index + 1).filter(|name| name.kind == Kind::Word) else {
            continue;
        };
        let params = tokens[index + 2..]
            .iter()
            .take_while(|token| !token.is(source, ")"))
            .filter(|token| token.kind == Kind::Word)
            .count();
        found.push((name.of(source).to_owned(), params, name.start));
    }
    found
}

/// The place of the start of an AST node that has no position of its own: the whole text.
pub(super) fn at(
    position: Position,
    source: &str,
    rewritten: &Rewritten,
    message: String,
) -> ScriptError {
    let place = covered(source, rewritten.offset(position));
    ScriptError { offset: place.start, len: place.len(), message, help: None }
}
