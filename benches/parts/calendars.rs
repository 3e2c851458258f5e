//! Business time: where durations end, and when it opens next.

use std::hint::black_box;

use adjutant::model::{Duration, Instant};
use adjutant::rules::{Calendar, CalendarSpec, OpenRule};
use criterion::Criterion;

pub(crate) fn benches(criterion: &mut Criterion) {
    let rule = OpenRule {
        days: "mon-fri".parse().expect("days"),
        hours: ["09:00-12:00", "13:00-17:00"].map(|span| span.parse().expect("hours")).into(),
    };
    let closed = ["12-25", "12-26", "01-01", "2026-04-03", "2026-04-06"];
    let spec = CalendarSpec {
        timezone: "Europe/Berlin".to_owned(),
        open: vec![rule],
        closed: closed.iter().map(|day| day.parse().expect("a day")).collect(),
    };
    let calendar = Calendar::compile(&spec).expect("a good calendar");
    let instant = |text: &str| text.parse::<Instant>().expect("an instant");
    let (monday, easter) = (instant("2026-03-02T09:30:00Z"), instant("2026-04-02T16:30:00Z"));

    let mut group = criterion.benchmark_group("calendar");
    for (name, length) in
        [("add 4bh", "4bh"), ("add 2bd", "2bd"), ("add 60bd", "60bd"), ("add 4h", "4h")]
    {
        let length: Duration = length.parse().expect("a duration");
        group.bench_function(name, |bencher| {
            bencher.iter(|| calendar.end(black_box(monday), length));
        });
    }
    group.bench_function("next opening over Easter", |bencher| {
        bencher.iter(|| calendar.next_open(black_box(easter)));
    });
    group.bench_function("open time in five weeks", |bencher| {
        bencher.iter(|| calendar.open_between(black_box(monday), easter));
    });
    group.finish();
}
