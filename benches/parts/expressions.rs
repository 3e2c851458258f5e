//! Conditions and `${…}`: the event made readable for expressions, and what is done with it then.

use std::hint::black_box;

use adjutant::engine::event_value;
use adjutant::model::{Draft, Event, EventNo, Input, Lineage};
use adjutant::script::{Condition, Names, NoRecords, Sandbox, Scope, Shape, Shared, Test};
use criterion::Criterion;

use crate::driver::{NOW, lead};

pub(crate) fn benches(criterion: &mut Criterion) {
    let event = accepted(lead(1, "EU"));
    let sandbox = Sandbox::new(&[]).expect("no plugins, no mistakes");
    let names = Names::of(&["event"]);
    let now = event.accepted;
    let scope = || {
        let mut scope = Scope::new(now);
        scope.share("event", &Shared::new(event_value(&event)));
        scope
    };
    let compile = |source: &str| {
        Condition::compile(&sandbox, source, &names, true).expect("a good condition")
    };
    let holds = |condition: &Condition, scope: &Scope| {
        condition.test(scope, &NoRecords).expect("no error") == Test::True
    };

    let mut group = criterion.benchmark_group("expression");
    group.bench_function("make the event readable", |bencher| bencher.iter(|| black_box(scope())));
    let plain = compile("event.data.score >= 80 && event.data.region == \"EU\"");
    let function = compile("event.data.email.ends_with(\".example\") && event.data.score >= 80");
    let region = compile("event.data.region == \"US\"");
    let missing = compile("event.data.country == \"US\"");
    for (name, condition, expected) in [
        ("two comparisons", &plain, true),
        ("a function", &function, true),
        ("false, with the reason", &region, false),
        ("missing, with the reason", &missing, false),
    ] {
        let scope = scope();
        assert_eq!(holds(condition, &scope), expected, "{name}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(holds(black_box(condition), &scope)));
        });
    }
    group.bench_function("a function, with the conversion for Rhai", |bencher| {
        bencher.iter_batched(
            scope,
            |scope| black_box(holds(&function, &scope)),
            criterion::BatchSize::SmallInput,
        );
    });
    let text = "New EU lead ${event.data.name} (${event.data.email}) from ${event.data.company} \
                scored ${event.data.score}";
    let text = Shape::text(&sandbox, text, &names).expect("a good text");
    let id = Shape::text(&sandbox, "${event.id}", &names).expect("a good text");
    let body = Shape::Map(vec![("id".into(), id), ("text".into(), text)]);
    let scope = scope();
    group.bench_function("the JSON body of a webhook", |bencher| {
        bencher.iter(|| body.eval(black_box(&scope), &NoRecords).expect("no error"));
    });
    group.finish();
}

/// As the engine keeps it.
fn accepted(input: Input) -> Event {
    let Input::Event(draft) = input else { unreachable!("an event was asked for") };
    let Draft { id, source, kind, subject, data, extensions, .. } = *draft;
    let now = NOW.parse().expect("an instant");
    Event {
        no: EventNo(1),
        id,
        source,
        kind,
        subject,
        time: now,
        accepted: now,
        data,
        extensions,
        lineage: Lineage::default(),
    }
}
