//! Limits, and that evaluating changes nothing.

use super::*;

#[test]
fn runaway_plugins_are_stopped() {
    let sandbox = with_plugin(
        "fn forever() { while true { } }\n\
         fn deep(n) { deep(n + 1) }\n\
         fn ping(n) { pong(n) }\nfn pong(n) { [n].map(|x| ping(x)) }\n\
         fn doubling() { let s = \"x\"; loop { s += s; } }\n\
         fn growing() { let l = []; loop { l.push(l); } }\n\
         fn objects() { let m = #{}; let i = 0; loop { m[`k${i}`] = m; i += 1; } }\n\
         fn nested() { let l = []; for i in 0..400 { l = [l]; } l }\n\
         fn reads() { for i in 0..200 { record(\"lead/42\"); } }\n\
         fn replaced() { let s = \"x\"; for i in 0..18 { s += s; } s.replace(\"x\", s) }\n\
         fn joined() { let s = \"x\"; for i in 0..18 { s += s; } [s, s, s].join(s) }\n\
         fn counting() { for i in range(0, 1000000000) { } }",
    );
    for (source, expected) in [
        ("forever()", "more than 10000 operations"),
        ("deep(0)", "call each other more than 24 deep"),
        ("ping(0)", "more than"),
        ("doubling()", "grew too large"),
        ("growing()", "grew too large"),
        ("objects()", "grew too large"),
        ("nested()", "nests deeper than 64"),
        ("reads()", "more than 100 reads"),
        ("replaced()", "longer than"),
        ("joined()", "longer than"),
        ("counting()", "more than 10000 operations"),
    ] {
        let expr = sandbox.expr(source, &names()).unwrap_or_else(|e| panic!("{source}: {e:?}"));
        let error = expr.eval(&scope(), &Book).unwrap_err().to_string();
        assert!(error.contains(expected), "{source}: {error}");
    }
    assert!(sandbox.expr(&"(".repeat(10_000), &names()).is_err());
    assert!(sandbox.expr(&"-".repeat(10_000), &names()).is_err());
    assert!(sandbox.expr(&"[".repeat(10_000), &names()).is_err());
    assert!(sandbox.expr(&"1+".repeat(5_000), &names()).is_err());
    assert!(sandbox.expr(&format!("\"{}\"", "x".repeat(20_000)), &names()).is_err());
}

#[test]
fn deep_values_do_not_exhaust_the_stack() {
    let sandbox = with_plugin(
        "fn nest(n) { let l = 1; for i in range(0, n) { l = [l]; } l }\n\
         fn same(n) { nest(n) == nest(n) }\n\
         fn text(n) { nest(n).to_string() }\n\
         fn objects(n) { let l = 1; for i in range(0, n) { l = #{ a: l }; } l }",
    );
    // As deep as the operations allow.
    for source in ["nest(2000)", "same(1000)", "text(2000)", "objects(2000)", "json(nest(2000))"] {
        let result = sandbox.expr(source, &names()).unwrap().eval(&scope(), &NoRecords);
        match source {
            "same(1000)" => assert_eq!(result.unwrap(), Value::Bool(true)),
            _ => assert!(result.unwrap_err().to_string().contains("deeper than 64"), "{source}"),
        }
    }
    for (open, close) in
        [("(1+", ")"), ("[", "]"), ("#{a:", "}"), ("!(", ")"), ("-(", ")"), ("len([", "])")]
    {
        let accepted = (1..200).rev().find_map(|n| {
            sandbox.expr(&format!("{}1{}", open.repeat(n), close.repeat(n)), &names()).ok()
        });
        let expr = accepted.unwrap();
        assert!(expr.source().len() > 30, "{}", expr.source());
        let _ = expr.eval(&scope(), &NoRecords);
    }
}

#[test]
fn deep_calls_of_deep_expressions_do_not_exhaust_the_stack() {
    for (open, close) in
        [("[", "]"), ("(1+", ")"), ("if true {", "} else { 0 }"), ("[0].map(|x| ", ")")]
    {
        let deepest = (1..64).rev().find_map(|n| {
            let body = format!("{}deep(n + 1){}", open.repeat(n), close.repeat(n));
            Sandbox::new(&[plugin("deep", &format!("fn deep(n) {{ {body} }}"))]).ok()
        });
        let expr = deepest.unwrap().expr("deep(0)", &names()).unwrap();
        let error = expr.eval(&scope(), &NoRecords).unwrap_err().to_string();
        assert!(error.contains("24 deep") || error.contains("operations"), "{error}");
    }
}

#[test]
fn everything_can_be_sent_to_other_threads() {
    fn both<T: Send + Sync>() {}
    both::<Sandbox>();
    both::<Expr>();
    both::<super::super::Condition>();
    both::<super::super::Shape>();
    both::<Scope>();
}

#[test]
fn evaluating_changes_nothing() {
    let sandbox = with_plugin("fn spoil(x) { x.score = 0; x.tags.push(1); x.items[0].n = 9; x }");
    let scope = scope();
    for source in [
        "spoil(event.data)",
        "[event.data].map(|d| spoil(d))",
        "event.data.items.map(|i| spoil(event.data))",
        "event.data.name.trim()",
        "event.data.tags.map(|t| event.data.email + t)",
        "event.data.tags + [1]",
        "event.data.items.sorted(|i| -i.n)",
    ] {
        sandbox.expr(source, &names()).unwrap().eval(&scope, &NoRecords).unwrap();
        let after = sandbox.expr("event", &names()).unwrap().eval(&scope, &NoRecords).unwrap();
        assert_eq!(after, event(), "{source}");
    }
}

#[test]
fn a_scope_is_shared_by_threads_and_never_by_nested_evaluations() {
    struct Nested<'a>(&'a Scope, &'a Expr);
    impl Host for Nested<'_> {
        fn record(&self, _: &str, _: &str) -> Result<Value, ReadError> {
            Ok(Value::from(self.1.eval(self.0, &NoRecords).unwrap_err().to_string()))
        }
        fn records(
            &self,
            _: &str,
            _: Option<(&str, &Value)>,
        ) -> Result<Option<Vec<Value>>, ReadError> {
            Ok(None)
        }
    }
    let (scope, expr, ask) =
        (scope(), compiled("event.data.score + 1"), compiled("record(\"lead/1\")"));
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(expr.eval(&scope, &NoRecords).unwrap(), Value::Int(50));
                }
            });
        }
    });
    let answer = ask.eval(&scope, &Nested(&scope, &expr)).unwrap();
    assert!(answer.to_string().contains("same scope"), "{answer}");
}

#[test]
fn a_scope_may_be_set_again() {
    let mut scope = scope();
    for number in 0..3 {
        scope.set("vars", &Value::Int(number));
        let expr = compiled("vars");
        assert_eq!(expr.eval(&scope, &NoRecords).unwrap(), Value::Int(number));
    }
}
