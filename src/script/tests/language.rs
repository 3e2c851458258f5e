//! What expressions mean.

use serde_json::json;

use super::super::{Condition, EvalError, Shape, Test};
use super::*;
use crate::model::{Span, limits};

#[test]
fn expressions_give_values() {
    for (source, expected) in [
        ("1 + 1", json!(2)),
        ("event.data.score >= 49", json!(true)),
        ("event.data.score < 49.5", json!(true)),
        ("event.data.score == 49.0", json!(true)),
        ("event.data.score == \"49\"", json!(false)),
        ("event.data.score != ()", json!(true)),
        ("event.data.none == ()", json!(true)),
        ("event.data.tags == [\"hot\", \"emea\"]", json!(true)),
        ("event.data.items[0] == #{ sku: \"a\", n: 2.0 }", json!(true)),
        ("\"hot\" in event.data.tags", json!(true)),
        ("\"cold\" in event.data.tags", json!(false)),
        ("event.data.email.to_lower()", json!("ana@x.example")),
        ("to_lower(event.data.email)", json!("ana@x.example")),
        ("event.data.name.trim().len()", json!(3)),
        ("trim(event.data.name)", json!("Äna")),
        ("event.data.email.split(\"@\")[1]", json!("x.example")),
        ("\"a b  c\".split()", json!(["a", "b", "c"])),
        ("\"a-b\".replace(\"-\", \"+\")", json!("a+b")),
        ("domain(event.data.email)", json!("x.example")),
        ("domain(\"nobody\")", json!(null)),
        ("event.data.tags.join(\", \")", json!("hot, emea")),
        ("event.data.items.map(|i| i.n * 10)", json!([20, 30])),
        ("event.data.items.filter(|i| i.n > 2).len()", json!(1)),
        ("event.data.items.some(|i| i.n > event.data.ratio * 5)", json!(true)),
        ("event.data.items.all(|i| i.n > vars.limit)", json!(false)),
        ("event.data.items.reduce(|sum, i| sum + i.n, 0)", json!(5)),
        ("event.data.items.map(|i| i.n).sum()", json!(5)),
        ("[1, 2.5].sum()", json!(3.5)),
        ("[3, 1.5, 2].sorted()", json!([1.5, 2, 3])),
        ("event.data.items.sorted(|i| -i.n).map(|i| i.sku)", json!(["b", "a"])),
        ("event.data.items.find(|i| i.sku == \"b\").n", json!(3)),
        ("[].first()", json!(null)),
        ("[1, 2].last()", json!(2)),
        ("event.data.keys().contains(\"score\")", json!(true)),
        ("round(2.345, 2)", json!(2.35)),
        ("round(2.5)", json!(3.0)),
        ("floor(3)", json!(3)),
        ("to_int(\" 12 \") + to_int(3.9)", json!(15)),
        ("to_float(\"1.5\")", json!(1.5)),
        ("not(vars.half)", json!(false)),
        ("!vars.half", json!(false)),
        ("if event.data.score > 40 { \"warm\" } else { \"cold\" }", json!("warm")),
        ("\"n=\" + event.data.score", json!("n=49")),
        ("`n=${event.data.score} ${event.data.new}`", json!("n=49 7")),
        ("\"abc\"[0] == \"a\"", json!(true)),
        ("json(event.data.tags)", json!("[\"hot\",\"emea\"]")),
        ("event.data.ratio.to_string()", json!("0.5")),
        ("min(1, 2.5)", json!(1.0)),
        ("max(\"a\", \"b\")", json!("b")),
        ("event.data.new + 1", json!(8)),
        ("event.data.in", json!("x")),
        ("event.data.größe", json!("L")),
        ("event.data?.größe", json!("L")),
        ("#{ größe: 1 }.größe", json!(1)),
        ("event.data.type", json!("t")),
        ("event.data.default", json!(1.0)),
        ("#{ new: event.data.new }.new", json!(7)),
        ("event.data?.nothing", json!(null)),
        ("event.data?.score", json!(49)),
        ("event.data?.none?.deeper?.still", json!(null)),
        ("old?.stage", json!(null)),
        ("old?.stage ?? \"new\"", json!("new")),
        ("event.data?.new", json!(7)),
        ("event.data.get(\"a\") ?? 5", json!(5)),
        ("().get(\"a\") ?? 5", json!(5)),
        ("record(\"lead/42\")?.owner", json!(null)),
        ("weekday(time(\"2026-03-02T10:00Z\"))", json!("mon")),
        ("date(event.time)", json!("2026-03-02")),
        ("date(time(\"2026-03-02T23:30Z\"), \"Europe/Berlin\")", json!("2026-03-03")),
        ("format(event.time, \"%d.%m.%Y %H:%M\", \"Europe/Berlin\")", json!("02.03.2026 10:00")),
        ("event.time.hour(\"Asia/Tokyo\")", json!(18)),
        ("year(event.time) * 100 + month(event.time)", json!(202_603)),
        ("(now - event.time).to_seconds()", json!(3600)),
        ("span(\"1500ms\").to_seconds()", json!(1.5)),
        ("bucket(\"x\", \"y\") < 10000", json!(true)),
        ("bucket(\"x\", \"y\") == bucket(\"x\", \"y\")", json!(true)),
    ] {
        assert_eq!(value(source).to_json(), expected, "{source}");
    }
}

#[test]
fn instants_and_spans_are_types() {
    for (source, expected) in [
        ("now", at("2026-03-02T10:00:00Z")),
        ("time(\"2026-03-02T10:00Z\")", at("2026-03-02T10:00:00Z")),
        ("now + span(\"90d\")", at("2026-05-31T10:00:00Z")),
        ("now - span(\"1h\")", at("2026-03-02T09:00:00Z")),
        ("span(\"1h\") + now", at("2026-03-02T11:00:00Z")),
        ("now - event.time", Value::Span(Span::from_secs(3600))),
        ("span(\"1h\") + span(\"30m\") - span(\"15m\")", Value::Span(Span::from_secs(4500))),
        ("span(\"1h\") * 2", Value::Span(Span::from_secs(7200))),
        ("-span(\"1h\")", Value::Span(Span::from_secs(-3600))),
        ("[span(\"1h\"), span(\"1m\")].sum()", Value::Span(Span::from_secs(3660))),
        ("min(now, event.time)", at("2026-03-02T09:00:00Z")),
        ("time(\"2026-03-02T11:00:00+01:00\") == time(\"2026-03-02T10:00Z\")", Value::Bool(true)),
        ("event.time < now && now - event.time >= span(\"1h\")", Value::Bool(true)),
        ("`at ${event.time}`", Value::from("at 2026-03-02T09:00:00Z")),
        ("\"in \" + span(\"90s\")", Value::from("in PT90S")),
    ] {
        assert_eq!(value(source), expected, "{source}");
    }
    for source in
        ["time(\"2026-03-02\")", "time(\"2026-03-02T10:00\")", "span(\"2bd\")", "span(\"5\")"]
    {
        assert!(matches!(failure(source), EvalError::Failed(_)), "{source}");
    }
}

#[test]
fn ordering_different_types_is_an_error() {
    for (source, expected) in [
        ("event.data.score > \"5\"", "a number and text cannot be ordered"),
        ("event.data.none < 5", "nothing (`()`) and a number cannot be ordered"),
        ("event.data.tags < 5", "a list and a number cannot be ordered"),
        ("[1] < [2]", "a list has no order"),
        ("true < false", "a boolean has no order"),
        ("now > span(\"1h\")", "an instant and a span of time cannot be ordered"),
        ("event.time > \"2026\"", "an instant and text cannot be ordered"),
        ("0.0 / 0.0 < 1.0", "a number has no order"),
        ("[1, \"a\"].sorted()", "a number and text cannot be ordered"),
    ] {
        assert_eq!(failure(source).to_string(), expected, "{source}");
    }
}

#[test]
fn what_is_missing_is_named_as_written() {
    for (source, path) in [
        ("event.data.nothing", "event.data.nothing"),
        ("event.data.nothing.deeper", "event.data.nothing"),
        ("event.data.none.deeper", "event.data.none.deeper"),
        ("1 + event.data[\"nothing\"]", "event.data[\"nothing\"]"),
        ("\"ü\" + event.data.public", "event.data.public"),
        ("old.stage", "old.stage"),
        ("vars.twin[0].subject", "vars.twin[0]"),
        ("record(\"lead/7\").owner", "record(\"lead/7\").owner"),
        ("event.data.items.map(|i| i.price)", "i.price"),
        ("`ü ${event.data.nothing}`", "event.data.nothing"),
        ("event.data.items.map(|i| i.n + event.data.plus)", "event.data.plus"),
        ("event.data?.none.deeper", "event.data?.none.deeper"),
    ] {
        match failure(source) {
            EvalError::Missing(found) => assert_eq!(&*found, path, "{source}"),
            other => panic!("{source}: {other:?}"),
        }
    }
}

#[test]
fn errors_speak_our_language() {
    for (source, expected) in [
        (
            "event.data.score.nothing",
            "`event.data.score.nothing` cannot be read: a number has no property `nothing`",
        ),
        ("event.data.none.to_lower()", "`to_lower` does not work on nothing (`()`)"),
        ("event.data.score - \"a\"", "`-` does not work between a number and text"),
        ("\"a\" + event.data.none", "() cannot be part of a text; give it a value with `??`"),
        ("`a ${event.data.none}`", "() cannot be part of a text; give it a value with `??`"),
        ("event.data.none.to_string()", "() cannot be part of a text; give it a value with `??`"),
        ("1 / 0", "division by zero: 1 / 0"),
        ("1.0 / 0.0", "`1.0 / 0.0`: inf is not a number that can be kept"),
        ("|x| x", "`|x| x`: a function is not a value"),
        ("record(\"lead\")", "`lead` is not a record address: write kind/id, such as `lead/42`"),
        (
            "record(\"lead/\" + \"\")",
            "`lead/` is not a record address: write kind/id, such as `lead/42`",
        ),
        (
            "record(event.data.none)",
            "`record` needs an address such as \"lead/42\", not nothing (`()`)",
        ),
        (
            "records(\"lead\", \"owner\", \"\")",
            "`records(\"lead\", \"owner\", …)` looks for an empty text, which is no key",
        ),
        (
            "records(\"lead\", \"owner\", ())",
            "`records(\"lead\", \"owner\", …)` looks for (), which is no key",
        ),
        (
            "records(\"many\")",
            "more than 1000 rows of records in one expression; narrow the lookup",
        ),
        (
            "records(\"some\").len() + records(\"some\").len()",
            "more than 1000 rows of records in one expression; narrow the lookup",
        ),
    ] {
        assert_eq!(failure(source).to_string(), expected, "{source}");
    }
}

#[test]
fn records_are_read_through_the_host() {
    let read = |source: &str| compiled(source).eval(&scope(), &Book).unwrap();
    assert_eq!(read("record(event.subject).owner"), Value::from("ana"));
    assert_eq!(read("record(\"lead\", 42).score"), Value::Int(80));
    assert_eq!(read("record(\"lead/7\")"), Value::Null);
    assert_eq!(read("(record(\"absence\", \"ana\")?.ends ?? now) <= now"), Value::Bool(true));
    assert_eq!(
        read("record(\"consent\", event.data.email)?.marketing == true"),
        Value::Bool(false)
    );
    assert_eq!(read("(vars.twin + [event.data])[0].new"), Value::Int(7));
    assert_eq!(read("secret(\"crm\")"), Value::from(super::super::secret_marker("crm")));
    assert!(matches!(failure("secret(\"../x\")"), EvalError::Failed(_)));
    assert_eq!(read("records(\"lead\", \"owner\", \"ana\").len()"), Value::Int(1));
    for source in
        ["record(\"broken/1\")", "records(\"broken\").len()", "1 + record(\"broken\", 1).x"]
    {
        assert!(matches!(failure(source), EvalError::Read(_)), "{source}");
    }
}

#[test]
fn what_an_expression_calls_can_be_asked() {
    let expr = compiled("records(\"lead\", \"owner\", event.id).len() + \"a\".len()");
    assert!(expr.calls("records") && !expr.calls("record"));
    let calls: Vec<_> = expr.literal_calls("records").collect();
    assert_eq!(calls, [[Some(Value::from("lead")), Some(Value::from("owner")), None].as_slice()]);
    assert!(expr.variables().any(|name| name == "event"));
}

#[test]
fn conditions_say_why_they_are_false() {
    let check = |source: &str, lenient| {
        let condition = Condition::compile(&sandbox(), source, &names(), lenient).unwrap();
        condition.test(&scope(), &Book)
    };
    for (source, why) in [
        ("event.data.score >= 80", "event.data.score >= 80 was false: event.data.score = 49"),
        (
            "event.data.score > 1 && event.data.email == \"x\" && 1 > 2",
            "event.data.email == \"x\" was false: event.data.email = \"ANA@x.example\"",
        ),
        (
            "!event.data.tags.contains(\"hot\")",
            "!event.data.tags.contains(\"hot\") was false: event.data.tags = [\"hot\",\"emea\"]",
        ),
        ("not(vars.half)", "not(vars.half) was false: vars.half = true"),
        ("vars.twin.len() > 0", "vars.twin.len() > 0 was false: vars.twin.len() = 0"),
        (
            "record(event.subject).score > 80",
            "record(event.subject).score > 80 was false: record(event.subject).score = 80",
        ),
        (
            "event.data.none == 1 || 1 > 2",
            "event.data.none == 1 || 1 > 2 was false: event.data.none = ()",
        ),
        (
            "event.data.nothing > 3 && 1 == 1",
            "event.data.nothing > 3 was false: event.data.nothing is missing",
        ),
        (
            "vars.limit < event.data.score",
            "vars.limit < event.data.score was false: vars.limit = 50, event.data.score = 49",
        ),
    ] {
        assert_eq!(check(source, true).unwrap(), Test::False(why.into()));
    }
    assert_eq!(
        check("event.data.score\n   >= 80", true).unwrap(),
        Test::False("event.data.score >= 80 was false: event.data.score = 49".into())
    );
    assert_eq!(check("event.data.score == 49 && vars.half", false).unwrap(), Test::True);
    assert!(matches!(check("event.data.nothing > 3", false), Err(EvalError::Missing(_))));
    assert!(matches!(check("record(\"broken/1\") == ()", true), Err(EvalError::Read(_))));
    let long = format!("event.data.email == \"{}\"", "ü".repeat(300));
    let Test::False(why) = check(&long, true).unwrap() else { panic!() };
    assert!(why.len() <= limits::VERDICT_BYTES && why.contains('…'), "{why}");
}

#[test]
fn a_condition_must_give_a_boolean() {
    let fail = |source: &str| {
        let condition = Condition::compile(&sandbox(), source, &names(), true).unwrap();
        condition.test(&scope(), &NoRecords).unwrap_err().to_string()
    };
    assert_eq!(fail("1 + 2"), "the condition gave 3 (a number); it must give true or false");
    assert_eq!(
        fail("true && event.data.email"),
        "`event.data.email` gave \"ANA@x.example\" (text); it must give true or false"
    );
    assert_eq!(fail("()"), "the condition gave nothing (`()`); it must give true or false");
}

#[test]
fn shapes_fill_in_their_holes() {
    let fill =
        |text: &str| Shape::text(&sandbox(), text, &names()).unwrap().eval(&scope(), &NoRecords);
    for (text, expected) in [
        ("plain $ text", json!("plain $ text")),
        ("$${x} and $$", json!("${x} and $$")),
        ("${event.data.score}", json!(49)),
        ("${event.data.tags}", json!(["hot", "emea"])),
        ("score ${event.data.score}!", json!("score 49!")),
        ("${event.data.email.to_lower()}/${event.data.ratio}", json!("ana@x.example/0.5")),
        ("at ${now}", json!("at 2026-03-02T10:00:00Z")),
        ("${#{ a: \"}\", b: #{ c: 1 } }.b.c}", json!(1)),
        ("x${\"}\" + `${\"}\"}`}y", json!("x}}y")),
        ("tags ${event.data.tags}", json!("tags [\"hot\",\"emea\"]")),
        ("${event.data.none}", json!(null)),
        (" ${event.data.score}", json!(" 49")),
        ("$$${event.data.score}", json!("$${event.data.score}")),
    ] {
        assert_eq!(fill(text).unwrap().to_json(), expected, "{text}");
    }
    assert_eq!(
        fill("a ${event.data.none}").unwrap_err().to_string(),
        "`event.data.none` is () inside a text"
    );
    assert!(matches!(fill("a ${event.data.nothing}"), Err(EvalError::Missing(_))));
    let map = Shape::Map(vec![
        ("a".into(), Shape::text(&sandbox(), "${event.id}", &names()).unwrap()),
        ("b".into(), Shape::List(vec![Shape::text(&sandbox(), "x${event.id}", &names()).unwrap()])),
    ]);
    assert_eq!(
        map.eval(&scope(), &NoRecords).unwrap().to_json(),
        json!({ "a": "e-1", "b": ["xe-1"] })
    );
    assert_eq!(map.exprs().len(), 2);
}
