//! What leaves the house: a mail from its template, and the request of a webhook.

use std::hint::black_box;

use adjutant::actions::render;
use adjutant::model::{Map, Value};
use adjutant::rules::{TemplateSource, Templates};
use criterion::Criterion;

use crate::driver::Driver;

const MAIL: &str = "\
Subject: New lead {{ args.name }}
Hello {{ args.owner }},

{{ args.name }} of {{ args.company }} wrote to us.
{% if args.score >= 80 %}
Please call today: the score is {{ args.score }}.
{% endif %}
{% for product in args.products %}
- {{ product.name }}: {{ product.count }}
{% endfor %}
";

const WEBHOOK: &str = r#"
workflow: w
triggers: [{ event: lead.created }]
steps:
  - webhook: http://127.0.0.1:9900/hook
    json: { id: "${event.id}", text: "New EU lead ${event.data.name} (${event.data.email}) from ${event.data.company} scored ${event.data.score}" }
"#;

pub(crate) fn benches(criterion: &mut Criterion) {
    let source =
        TemplateSource { name: "lead.txt".into(), file: "lead.txt".into(), text: MAIL.into() };
    let templates = Templates::compile(&[source]).expect("a good template");
    let product = |name: &str, count| Value::from([("name", name.into()), ("count", count)]);
    let args = Value::from([
        ("owner", "Grace Hopper".into()),
        ("name", "Ada Lovelace".into()),
        ("company", "Analytical Engines Ltd".into()),
        ("score", Value::Int(87)),
        (
            "products",
            Value::List(vec![
                product("difference engine", Value::Int(1)),
                product("punched cards", Value::Int(4_000)),
            ]),
        ),
    ]);
    let scope: Map = [("args".into(), args)].into();
    let mut driver = Driver::new(WEBHOOK);
    let input = driver.lead("EU");
    driver.take(input);
    driver.finish();
    let command = driver.commands.pop().expect("one webhook");

    let mut group = criterion.benchmark_group("render");
    group.bench_function("a mail", |bencher| {
        bencher.iter(|| templates.render("lead", None, black_box(&scope)).expect("no error"));
    });
    group.bench_function("a webhook", |bencher| {
        bencher.iter(|| render::webhook(black_box(&command)).expect("no error"));
    });
    group.finish();
}
