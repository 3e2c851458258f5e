//! What is refused when rules are loaded: the place, the words, the help.

use super::super::{Condition, Shape};
use super::*;

/// A source, the word in it that is wrong, the message, the help.
const MISTAKES: &[(&str, &str, &str, &str)] = &[
    ("evnt.data.x > 1", "evnt", "there is no variable `evnt`", "did you mean `event`?"),
    ("\"ü\" == event.id && vras.x", "vras", "there is no variable `vras`", "did you mean `vars`?"),
    (
        "event.data.tier == gold",
        "gold",
        "there is no variable `gold`",
        "for a text, write \"gold\"; known here: event, vars, old, now",
    ),
    (
        "event.id.startsWith(\"x\")",
        "startsWith",
        "there is no function `startsWith`",
        "did you mean `starts_with(text, part)`?",
    ),
    (
        "ü_ + 1",
        "ü_",
        "`ü_` cannot be the name of a variable or a function",
        "their names have letters a to z, digits and `_`",
    ),
    ("lower(event.id)", "lower", "there is no function `lower`", "did you mean `to_lower(text)`?"),
    ("frobnicate(1)", "frobnicate", "there is no function `frobnicate`", ""),
    (
        "event.id.starts_with()",
        "starts_with",
        "`starts_with` takes 1 argument here, not 0",
        "`starts_with(text, part)`",
    ),
    (
        "record(1, 2, 3)",
        "record",
        "`record` takes 1 or 2 arguments here, not 3",
        "`record(address)` or `record(kind, id)`",
    ),
    (
        "now() > event.time",
        "now",
        "there is no function `now`",
        "`now` is a variable: write it without `()`",
    ),
    (
        "event.data.tags.push(1)",
        "push",
        "`push` changes a value, and an expression only reads",
        "write `list + [x]`",
    ),
    ("board(\"radar\")", "board", "`board` is not supported yet", ""),
    ("event.data.items.map(|i| f(i))", "f", "there is no function `f`", ""),
    (
        "event.data.items.some(|i| i.n > limit)",
        "limit",
        "there is no variable `limit`",
        "for a text, write \"limit\"; known here: event, vars, old, now",
    ),
    ("event.id = 1", "=", "unexpected `=`", "to compare, write `==`"),
    ("event.id and vars.x", "and", "unexpected `and`", "write `&&`"),
    ("event.id; 2", ";", "unexpected `;`", "an expression is one value, without `;`"),
    ("not vars.x", "not", "there is no variable `not`", "write `!x` or `not(x)`"),
    ("event.id === \"x\"", "===", "`===` is not an operator", "write `==`"),
    ("event.id == null", "null", "`null` is not a value", "write `()`"),
    ("event.id == 'x'", "'x'", "'x' is not a text: texts stand in double quotes", "write \"x\""),
    (
        "event.id == 'it'",
        "'it'",
        "'it' is not a text: texts stand in double quotes",
        "write \"it\"",
    ),
    (
        "let x = 1",
        "let",
        "`let` cannot stand in an expression",
        "an expression is one value; put more into a function of a plugin",
    ),
    (
        "[1].map(|x| x += 1)",
        "+=",
        "statements cannot stand in an expression",
        "an expression is one value; put more into a function of a plugin",
    ),
    ("this.x", "this", "`this` cannot be used", ""),
    ("std::x(1)", "std", "modules cannot be used", ""),
    ("(1 + 2", "(1 + 2", "", ""),
];

#[test]
fn mistakes_point_at_their_place_and_say_what_was_meant() {
    for &(source, word, message, help) in MISTAKES {
        let error = refused(source);
        if message.is_empty() {
            assert!(!error.message.is_empty());
            continue;
        }
        assert_eq!(error.message, message, "{source}");
        assert_eq!(error.help.as_deref().unwrap_or(""), help, "{source}");
        assert_eq!(error.offset, source.find(word).unwrap(), "{source}: {error:?}");
    }
}

#[test]
fn statements_and_loops_are_refused() {
    for source in [
        "",
        "  ",
        "// only a comment",
        "while true { }",
        "for x in [1] { x }",
        "loop { }",
        "return 1",
        "{ 1 }",
        "{ let x = 1; x }",
        "fn f() { 1 }",
        "if true { let x = 1; x } else { 2 }",
        "[1].map(|x| { let y = x; y })",
        "[1].map(|x| return x)",
        "switch 1 { 1 => 2 }",
        "throw 1",
        "import \"x\" as y",
        "try { 1 } catch { 2 }",
        "event.data.score += 1",
        "1 2",
        "event.",
        "eval(\"1\")",
        "Fn(\"f\")",
        "Fn(\"f\").call()",
        "sleep(1)",
        "timestamp()",
        "exit()",
        "rand()",
        "curry(|x| x, 1)",
        "[1].map(|x| x).call(1)",
        "is_def_var(\"x\")",
        "print(1)",
        "debug(1)",
        "type_of(1)",
        "parse_json(\"1\")",
        "event.set(\"a\", 1)",
        "is_shared(event)",
        "global::x",
        "\"unclosed",
        "`unclosed ${",
        "call(|x| x, 1)",
        "event.data.tags.clear()",
        "take(event)",
        "event.data.tags.sort()",
        "event.tag",
        "event.set_tag(1)",
    ] {
        let error = sandbox().expr(source, &names());
        // A property may have any name; what cannot be read is found out when it is.
        if source == "event.tag" {
            assert!(error.is_ok());
        } else {
            assert!(error.is_err(), "{source}");
        }
    }
}

#[test]
fn conditions_and_shapes_count_from_the_start_of_their_text() {
    let source = "event.id == \"ü\" &&  vras.x > 1 && event.id == 'x'";
    let error = Condition::compile(&sandbox(), source, &names(), false).unwrap_err().remove(0);
    assert_eq!(error.offset, source.find("vras").unwrap());
    assert_eq!(error.len, 4);
    for source in ["a &&", "&& event.id", "event.id && && event.id", "(event.id && 1"] {
        assert!(Condition::compile(&sandbox(), source, &names(), false).is_err(), "{source}");
    }
    let source = "evnt.id && event.id == vras.x && scor(1)";
    let errors = Condition::compile(&sandbox(), source, &names(), false).unwrap_err();
    let offsets: Vec<_> = errors.iter().map(|error| error.offset).collect();
    assert_eq!(offsets, [0, 23, 33], "each clause has its own mistakes");
    let errors = Shape::parse(&sandbox(), "${evnt.id} ${} ${scor(scur(1))}", &names()).unwrap_err();
    let offsets: Vec<_> = errors.iter().map(|error| error.offset).collect();
    assert_eq!(offsets, [2, 11, 17, 22], "and so has each hole");
    for (source, word) in [
        ("5", "a number"),
        ("\"yes\"", "text"),
        ("[]", "a list"),
        ("event.id == \"x\" && event.n + 1", "the result of `+`"),
        ("#{ a: 1 }", "an object"),
    ] {
        let condition = Condition::compile(&sandbox(), source, &names(), false).unwrap();
        let error = condition.never_boolean().remove(0);
        assert_eq!(source[error.offset..].len(), error.len, "{source}: {error:?}");
        assert!(error.message.contains(word), "{source}: {}", error.message);
    }
    for (text, offset) in [
        ("grüße ${event.id} und ${vras.x}", "grüße ${event.id} und ${".len()),
        ("ü ${event.id", 3),
        ("ü ${}", 3),
        ("${ event.id.foo() }", "${ event.id.".len()),
        ("it's ${event.x['a']}", "it's ${event.x[".len()),
    ] {
        assert_eq!(Shape::text(&sandbox(), text, &names()).unwrap_err().offset, offset, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn compiling_never_panics(source in "\\PC*") {
        check_arbitrary(&source);
    }

    #[test]
    fn compiling_what_looks_like_an_expression_never_panics(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "event", ".", "?.", "data", "new", "(", ")", "[", "]", "{", "}", "#{", "\"", "`", "${",
                "'", "|", "||", "&&", "x", ",", ":", "1", "1.5", "..", " ", "\n", "ü", "//", "/*", "*/",
                "if", "else", "let", "=", "==", "<", "!", "-", "??", "\\", "fn", "switch", "=>", "_",
                "record", "len", "this", "::", "#\"", "$", "in", "not",
            ]),
            0..24,
        )
    ) {
        check_arbitrary(&parts.concat());
    }
}

/// Nothing panics, and every error lies within the text, between characters.
fn check_arbitrary(source: &str) {
    thread_local!(static SANDBOX: Sandbox = sandbox());
    SANDBOX.with(|sandbox| {
        let expr = sandbox.expr(source, &names());
        let _ = expr.as_ref().map(|expr| expr.eval(&scope(), &Book));
        let errors = [
            expr.err().map(|error| vec![error]),
            Condition::compile(sandbox, source, &names(), true).err(),
            Shape::parse(sandbox, source, &names()).err(),
        ];
        for error in errors.into_iter().flatten().flatten() {
            assert!(source.is_char_boundary(error.offset), "{source:?}: {error:?}");
            assert!(error.offset + error.len <= source.len(), "{source:?}: {error:?}");
        }
    });
    if let Ok(sandbox) = Sandbox::new(&[plugin("x", source)]) {
        let _ = sandbox.expr("f()", &names()).map(|expr| expr.eval(&scope(), &Book));
    }
}
