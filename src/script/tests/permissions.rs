//! What plugins may do, and that they cannot do more.

use std::cell::Cell;

use super::*;
use crate::model::Map;

/// A plugin of a folder whose manifest permits this.
fn permitted(source: &str, permissions: Permissions) -> PluginSource {
    let settings = Some(Map::from([("greeting".into(), Value::from("hi"))]));
    PluginSource { grant: Grant { permissions, settings }, ..plugin("gift", source) }
}

fn refused(source: &str, permissions: Permissions) -> Vec<String> {
    let errors = Sandbox::new(&[permitted(source, permissions)]).unwrap_err();
    errors.into_iter().map(|(_, error)| error.message).collect()
}

fn leads() -> Permissions {
    Permissions {
        records: vec!["lead".into()],
        secrets: vec!["key".into()],
        ..Permissions::default()
    }
}

fn call(sandbox: &Sandbox, function: &str, args: &[Shared]) -> Result<Value, EvalError> {
    sandbox.call(function, args, scope_now(), &Book, &|| false)
}

fn scope_now() -> crate::model::Instant {
    "2026-03-02T10:00:00Z".parse().unwrap()
}

#[test]
fn a_function_without_its_permission_is_not_there() {
    let none = Permissions::default;
    for (source, message) in [
        ("fn f() { record(\"lead/1\") }", "this plugin has no permission for `record`"),
        ("fn f() { records(\"lead\") }", "this plugin has no permission for `records`"),
        (
            "fn f() { [1].map(|n| record(\"lead\", n)) }",
            "this plugin has no permission for `record`",
        ),
        ("fn f() { secret(\"key\") }", "this plugin has no permission for `secret`"),
    ] {
        assert_eq!(refused(source, none()), [message], "{source}");
    }
    for (source, message) in [
        ("fn f() { record(\"deal/1\") }", "this plugin has no permission for records of `deal`"),
        (
            "fn f() { records(\"deal\", \"a\", 1) }",
            "this plugin has no permission for records of `deal`",
        ),
        ("fn f() { secret(\"other\") }", "this plugin has no permission for the secret `other`"),
    ] {
        assert_eq!(refused(source, leads()), [message], "{source}");
    }
    // A single file may only compute.
    let bare = PluginSource { grant: Grant::default(), ..plugin("bare", "fn f() { settings() }") };
    let errors = Sandbox::new(&[bare]).unwrap_err();
    assert_eq!(errors[0].1.message, "this plugin has no settings");
}

#[test]
fn what_only_shows_at_run_time_is_refused_there() {
    let source = "fn of(address) { record(address).owner }\nfn every(kind) { records(kind).len() }\n\
                  fn each(list, f) { list.map(f) }";
    let sandbox = Sandbox::new(&[permitted(source, leads())]).unwrap();
    let text = |text: &str| Shared::new(text.into());
    assert_eq!(call(&sandbox, "of", &[text("lead/42")]).unwrap(), "ana".into());
    let why = call(&sandbox, "of", &[text("deal/1")]).unwrap_err().to_string();
    assert_eq!(why, "plugins/gift.rhai:1:18: this plugin has no permission for records of `deal`");
    assert!(call(&sandbox, "every", &[text("deal")]).is_err());
    // A rule may read what it likes, also in a closure that it gives to a plugin.
    let read = |source: &str| {
        let expr = sandbox.expr(source, &names()).unwrap_or_else(|e| panic!("{source}: {e:?}"));
        expr.eval(&scope(), &Book).map_err(|error| error.to_string())
    };
    assert_eq!(read("record(\"lead/42\").owner"), Ok("ana".into()));
    assert_eq!(read("record(\"deal/1\") == ()"), Ok(true.into()));
    assert!(read("of(\"deal/1\")").unwrap_err().contains("no permission"));
    assert_eq!(
        read("each([\"deal/1\"], |address| record(address) == ())"),
        Ok(Value::List(vec![true.into()]))
    );
}

#[test]
fn a_function_keeps_the_permissions_of_whoever_wrote_it() {
    // The first may read everything, and calls what it is given.
    let all = Permissions { records: vec!["*".into()], ..Permissions::default() };
    let open =
        permitted("fn each(list, f) { list.map(f) }\nfn named(list, name) { list.map(name) }", all);
    let mut closed = permitted(
        "fn peek(kind) { each([kind], |kind| record(kind, \"1\")) }\n\
         fn settled() { each([1], |n| settings().greeting) }\n\
         fn mapper() { |kind| record(kind, \"1\") }\n\
         fn by_name() { named([\"deal/1\"], \"rec\" + \"ord\") }\n\
         fn smuggle() { named([\"key\"], \"sec\" + \"ret\") }\n\
         fn asks(name) { secret(name) }",
        leads(),
    );
    (closed.name, closed.file) = ("closed".into(), "plugins/closed.rhai".into());
    closed.grant.settings = Some(Map::from([("greeting".into(), Value::from("mine"))]));
    let sandbox = Sandbox::new(&[open, closed]).unwrap();
    let called = |function: &str, arg: Option<&str>| {
        let args: Vec<Shared> = arg.into_iter().map(|arg| Shared::new(arg.into())).collect();
        call(&sandbox, function, &args).map_err(|error| error.to_string())
    };
    assert!(called("peek", Some("lead")).is_ok());
    assert!(
        called("peek", Some("deal")).unwrap_err().contains("no permission for records of `deal`")
    );
    assert_eq!(called("settled", None), Ok(Value::List(vec!["mine".into()])));
    assert!(called("by_name", None).is_err() && called("smuggle", None).is_err());
    assert!(called("asks", Some("key")).is_ok());
    assert!(
        called("asks", Some("smtp")).unwrap_err().contains("no permission for the secret `smtp`")
    );
    let rule = sandbox.expr("[\"deal\"].map(mapper())", &names()).unwrap().eval(&scope(), &Book);
    assert!(rule.unwrap_err().to_string().contains("no permission for records of `deal`"));
}

#[test]
fn settings_are_those_of_the_plugin_that_asks() {
    let gift = permitted("fn greet(name) { settings().greeting + \" \" + name }", leads());
    let mut other =
        permitted("fn shout(name) { settings().greeting.to_upper() + greet(name) }", leads());
    (other.name, other.file) = ("other".into(), "plugins/other.rhai".into());
    other.grant.settings = Some(Map::from([("greeting".into(), Value::from("ho"))]));
    let sandbox = Sandbox::new(&[gift, other]).unwrap();
    let called = call(&sandbox, "shout", &[Shared::new("Ann".into())]);
    assert_eq!(called.unwrap(), "HOhi Ann".into());
}

#[test]
fn only_what_a_rule_made_may_stand_for_a_secret() {
    let sandbox = Sandbox::new(&[permitted("fn same(x) { x }", leads())]).unwrap();
    let mark = Value::from(secret_marker("key"));
    let kept = |arg: Shared| secrets_in(&call(&sandbox, "same", &[arg]).unwrap());
    assert_eq!(kept(Shared::trusted(mark.clone())), ["key".into()]);
    assert!(kept(Shared::new(mark)).is_empty());
}

/// Stops a script after so many looks at the clock.
fn stops(sandbox: &Sandbox, function: &str, looks: u32) -> String {
    let seen = Cell::new(0);
    let is_late = || {
        seen.set(seen.get() + 1);
        seen.get() > looks
    };
    let result = sandbox.call(function, &[], scope_now(), &Book, &is_late);
    result.expect_err("it goes on for ever").to_string()
}

#[test]
fn a_plugin_that_goes_on_for_ever_is_stopped_and_named() {
    let sandbox = with_plugin(
        "fn spin() { loop { } }\n\
         fn stubborn() { loop { try { loop { } } catch { } } }\n\
         fn deep(n) { deep(n + 1) }\n\
         fn deepest() { deep(0) }\n\
         fn grow() { let t = \"x\"; loop { t += t; } }\n\
         fn list() { let l = []; loop { l.push(l); } }\n\
         fn object() { let m = #{}; let n = 0; loop { m.set(`k${n}`, n); n += 1; } }\n\
         fn calls() { loop { deeper(20) } }\n\
         fn deeper(n) { if n > 0 { deeper(n - 1); deeper(n - 1) } }\n\
         fn throws() { throw #{ a: 1 } }\n\
         fn late() { [1, 2, 3].map(|n| { loop { } }) }",
    );
    for (function, message) in [
        ("spin", "plugins/scoring.rhai: `spin`: it was stopped: it took too long"),
        ("stubborn", "it was stopped: it took too long"),
        ("deepest", "functions call each other more than 24 deep"),
        ("grow", "a value grew too large"),
        ("list", "a value grew too large"),
        ("object", "it was stopped: it took too long"),
        ("calls", "it was stopped: it took too long"),
        ("late", "it was stopped: it took too long"),
        ("throws", "plugins/scoring.rhai:10:15"),
    ] {
        let why = stops(&sandbox, function, 200);
        assert!(
            why.starts_with("plugins/scoring.rhai:") && why.contains(message),
            "{function}: {why}"
        );
    }
    // Nothing of that is left behind.
    assert_eq!(call(&sandbox, "deeper", &[Shared::new(Value::Int(3))]).unwrap(), Value::Null);
}

#[test]
fn what_a_plugin_may_not_reach_does_not_compile() {
    for source in [
        "import \"os\" as os; fn f() { os::run() }",
        "fn f() { eval(\"1\") }",
        "fn f() { Fn(\"record\").call(\"lead/1\") }",
        "fn f() { let r = record; r.call(\"lead/1\") }",
        "fn f() { sleep(1) }",
        "fn f() { timestamp() }",
        "fn f() { rand() }",
        "fn f() { open_file(\"/etc/passwd\") }",
        "fn record(x) { 1 }",
        "fn f() { call(\"record\", \"lead/1\") + http::get(\"x\") }",
    ] {
        let bare = PluginSource { grant: Grant::default(), ..plugin("bare", source) };
        assert!(Sandbox::new(&[bare]).is_err(), "{source}");
    }
}

#[test]
fn a_function_off_the_loop_may_take_more_operations_than_an_expression() {
    let sandbox = with_plugin("fn work() { let n = 0; while n < 20000 { n += 1; } n }");
    assert_eq!(call(&sandbox, "work", &[]).unwrap(), Value::Int(20_000));
    let on_the_loop = sandbox.expr("work()", &names()).unwrap().eval(&scope(), &Book);
    assert!(on_the_loop.unwrap_err().to_string().contains("operations"));
    assert!(
        sandbox.defines("work", 0) && !sandbox.defines("work", 1) && !sandbox.defines("len", 1)
    );
}
