//! Functions of plugins, and mistakes in them.

use super::*;

const SCORING: &str = r#"
const LIMIT = 10;

/// Points for a lead:
/// more is better.
fn score(lead) {
    let points = 0;
    for item in lead.items { points += weight(item); }
    if lead?.vip ?? false { points += 100; }
    if lead.new > 5 { points += 1; }
    points.min(global::LIMIT)
}

private fn weight(item) { item.n }

fn owner_of(address) { record(address).owner }
fn changed(lead) { lead.score = 1000; lead.tags.push("x"); lead }
fn initial(name) { name[0] == 'a' }
"#;

#[test]
fn plugin_functions_are_global() {
    let sandbox = with_plugin(SCORING);
    let read = |source: &str| {
        sandbox
            .expr(source, &names())
            .unwrap_or_else(|e| panic!("{source}: {e:?}"))
            .eval(&scope(), &Book)
            .unwrap()
    };
    assert_eq!(read("score(event.data)"), Value::Int(6));
    assert_eq!(read("owner_of(event.subject)"), Value::from("ana"));
    assert_eq!(read("[\"a\", \"b\"].filter(|n| initial(n)).len()"), Value::Int(1));
    assert_eq!(read("[event.data].map(|d| score(d))"), Value::List(vec![Value::Int(6)]));
    assert_eq!(read("changed(event.data).score"), Value::Int(1000));
    assert_eq!(read("event.data.score"), Value::Int(49));
    let function = sandbox.functions().iter().find(|f| f.name == "score").unwrap();
    assert_eq!(function.params, ["lead"]);
    assert_eq!(function.plugin.as_deref(), Some("scoring"));
    assert_eq!(function.doc, "Points for a lead:\nmore is better.");
    assert!(sandbox.functions().iter().all(|f| f.name != "weight" && !f.name.contains('$')));
}

#[test]
fn plugin_functions_are_checked_where_they_are_called() {
    let sandbox = with_plugin(SCORING);
    for (source, message, help) in [
        ("scor(event)", "there is no function `scor`", "did you mean `score(lead)`?"),
        ("score()", "`score` takes 1 argument here, not 0", "`score(lead)`"),
        ("event.score()", "`score` is a function of a plugin, not a method", "write `score(lead)`"),
        ("weight(event)", "`weight` is private to its plugin", "remove `private` before its `fn`"),
    ] {
        let error = sandbox.expr(source, &names()).unwrap_err();
        assert_eq!(
            (error.message.as_str(), error.help.as_deref()),
            (message, Some(help)),
            "{source}"
        );
    }
}

#[test]
fn every_mistake_of_every_plugin_is_found() {
    let errors = Sandbox::new(&[
        plugin("one", "fn f(x) { lenght(x) + y_of(x) }\nfn g() { 1 }\nfn h() { secret(\"x\") }"),
        plugin(
            "two",
            "fn g() { 2 }\nprivate fn f(x) { x }\nlet top = 1;\nfn len(x) { 1 }\nfn t() { this }",
        ),
    ])
    .unwrap_err();
    let found: Vec<_> = errors
        .iter()
        .map(|(index, error)| (*index, error.offset, error.message.as_str()))
        .collect();
    for expected in [
        (0, 10, "there is no function `lenght`"),
        (0, 22, "there is no function `y_of`"),
        (1, 3, "`g()` is also defined in plugins/one.rhai"),
        (1, 35, "only functions and constants can stand here"),
        (1, 51, "`len(x)` is a function of the language"),
        (1, 73, "`this` cannot be used"),
    ] {
        assert!(found.contains(&expected), "{expected:?} not in {found:?}");
    }
    let secret = (0, 54, "this plugin has no permission for `secret`");
    assert!(found.contains(&secret), "{found:?}");
    let errors = Sandbox::new(&[plugin("a", "fn f( {"), plugin("b", "fn ü() {}")]).unwrap_err();
    assert_eq!(errors.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1]);
    let errors = Sandbox::new(&[plugin("a", "const LIMIT = 1;\nfn f() { LIMIT }")]).unwrap_err();
    assert_eq!(errors[0].1.offset, 26);
    assert!(errors[0].1.help.as_ref().unwrap().contains("global::LIMIT"));
}

#[test]
fn an_error_in_a_plugin_names_its_place() {
    let sandbox = with_plugin(
        "fn a(x) {\n    let u = \"ü\"; x.nothing\n}\nfn b(x) { throw \"no: \" + x }\n\
         fn c(l) { l.map(|x| x.nothing) }\nfn d(x) { x?.none?.x - 1 }\nfn e(x) { x < \"a\" }\n\
         fn g() { try { record(\"broken/1\") } catch { 5 } }",
    );
    let fail =
        |source: &str| sandbox.expr(source, &names()).unwrap().eval(&scope(), &Book).unwrap_err();
    for (source, expected) in [
        ("a(event)", "plugins/scoring.rhai:2:20: `x.nothing` is missing"),
        ("b(event.id)", "plugins/scoring.rhai:4:11: no: e-1"),
        ("c(event.data.items)", "plugins/scoring.rhai:5:23: `x.nothing` is missing"),
        ("e(1)", "plugins/scoring.rhai:7:13: a number and text cannot be ordered"),
    ] {
        assert_eq!(fail(source).to_string(), expected);
    }
    // A store that fails is never the plugin's to catch.
    assert!(matches!(fail("g()"), EvalError::Read(_)));
}
