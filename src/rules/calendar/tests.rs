//! Calendars against worked examples and against their own laws; `tests/calendar_oracle.rs`
//! compares them with an independent computation.

use proptest::prelude::*;

use super::*;

/// A calendar of (days, hours) and closed days.
fn calendar(timezone: &str, open: &[(&str, &str)], closed: &[&str]) -> Calendar {
    Calendar::compile(&spec(timezone, open, closed)).unwrap()
}

fn spec(timezone: &str, open: &[(&str, &str)], closed: &[&str]) -> CalendarSpec {
    CalendarSpec {
        timezone: timezone.to_owned(),
        open: open
            .iter()
            .map(|(days, hours)| OpenRule {
                days: days.parse().unwrap(),
                hours: hours.split(", ").map(|span| span.parse().unwrap()).collect(),
            })
            .collect(),
        closed: closed.iter().map(|day| day.parse().unwrap()).collect(),
    }
}

/// Office hours in Berlin, closed over Easter 2026.
fn office() -> Calendar {
    calendar("Europe/Berlin", &[("mon-fri", "09:00-17:00")], &["2026-04-03", "2026-04-06", "12-25"])
}

/// Civil time in a calendar's zone.
fn at(calendar: &Calendar, text: &str) -> Instant {
    let civil: jiff::civil::DateTime = text.parse().unwrap();
    Instant::from_timestamp(civil.to_zoned(calendar.zone().clone()).unwrap().timestamp())
}

fn duration(text: &str) -> Duration {
    text.parse().unwrap()
}

#[track_caller]
fn ends(calendar: &Calendar, from: &str, length: &str, end: &str) {
    let found = calendar.end(at(calendar, from), duration(length));
    let shown = found.to_timestamp().to_zoned(calendar.zone().clone());
    assert_eq!(found, at(calendar, end), "{from} + {length} is {shown}, not {end}");
}

#[test]
fn a_complaint_over_easter() {
    let office = office();
    ends(&office, "2026-04-02T16:30", "1bh", "2026-04-07T09:30");
    ends(&office, "2026-04-02T16:30", "16bh", "2026-04-08T16:30");
    let used =
        office.open_between(at(&office, "2026-04-02T16:30"), at(&office, "2026-04-07T11:00"));
    assert_eq!(used, Span::from_secs(9_000));
    // resumed on Wednesday 10:00 with 13:30 of 16 hours left, warned at 12 of 16, or with 8 hours in all
    ends(&office, "2026-04-08T10:00", "810bm", "2026-04-09T15:30");
    ends(&office, "2026-04-08T10:00", "570bm", "2026-04-09T11:30");
    ends(&office, "2026-04-08T10:00", "330bm", "2026-04-08T15:30");
}

#[test]
fn open_time_over_the_start_of_summer_time() {
    let office = office();
    let end = office.end(at(&office, "2026-03-27T16:30"), duration("60bm"));
    assert_eq!(end.to_string(), "2026-03-30T07:30:00Z");
}

#[test]
fn open_days_keep_the_wall_time() {
    let office = office();
    ends(&office, "2026-03-06T15:00", "2bd", "2026-03-10T15:00");
    ends(&office, "2026-03-06T15:00", "1bd", "2026-03-09T15:00");
    // over Easter, and over the start of summer time
    ends(&office, "2026-04-02T10:00", "1bd", "2026-04-07T10:00");
    ends(&office, "2026-03-27T10:00", "1bd", "2026-03-30T10:00");
    // cut to the hours of the day
    ends(&office, "2026-03-06T07:00", "1bd", "2026-03-09T09:00");
    ends(&office, "2026-03-06T18:00", "1bd", "2026-03-09T17:00");
    // a closed day counts from the next opening
    ends(&office, "2026-03-07T11:00", "1bd", "2026-03-10T09:00");
    ends(&office, "2026-03-07T11:00", "0bd", "2026-03-09T09:00");
    ends(&office, "2026-03-06T18:00", "0bd", "2026-03-09T09:00");
}

#[test]
fn open_days_over_a_break_and_a_skipped_hour() {
    let lunch = calendar(
        "Europe/Berlin",
        &[("mon-fri", "09:00-12:00, 13:00-17:00"), ("sat", "09:00-12:00")],
        &[],
    );
    ends(&lunch, "2026-03-05T12:30", "1bd", "2026-03-06T13:00");
    ends(&lunch, "2026-03-06T15:00", "1bd", "2026-03-07T12:00");
    // a closing instant is closed: in a break the next opening follows, in the evening nothing does
    ends(&lunch, "2026-03-04T12:00", "1bd", "2026-03-05T13:00");
    ends(&lunch, "2026-03-04T17:00", "1bd", "2026-03-05T17:00");
    let nights = calendar("Europe/Berlin", &[("mon-sun", "00:00-06:00")], &[]);
    // 02:30 does not exist on 29 March: the clocks go from 02:00 to 03:00
    ends(&nights, "2026-03-28T02:30", "1bd", "2026-03-29T03:00");
    ends(&nights, "2026-03-28T02:30", "2bd", "2026-03-30T02:30");
    // and an hour is missing, or comes twice
    ends(&nights, "2026-03-29T00:00", "4bh", "2026-03-29T05:00");
    ends(&nights, "2026-10-25T00:00", "6bh", "2026-10-25T05:00");
}

#[test]
fn open_time_stops_at_closing_and_starts_at_opening() {
    let office = office();
    ends(&office, "2026-03-04T16:30", "30bm", "2026-03-04T17:00");
    ends(&office, "2026-03-04T16:30", "31bm", "2026-03-05T09:01");
    ends(&office, "2026-03-06T17:58", "5bm", "2026-03-09T09:05");
    ends(&office, "2026-03-04T17:00", "0bm", "2026-03-05T09:00");
    ends(&office, "2026-03-04T10:00", "0bm", "2026-03-04T10:00");
}

#[test]
fn elapsed_time_moves_to_the_next_opening() {
    let office = office();
    ends(&office, "2026-03-05T10:00", "2d", "2026-03-09T09:00");
    ends(&office, "2026-03-05T10:00", "1h", "2026-03-05T11:00");
    ends(&office, "2026-03-05T16:00", "1h", "2026-03-06T09:00");
    ends(&office, "2026-12-24T16:30", "1h", "2026-12-28T09:00");
}

#[test]
fn opening_is_open_and_closing_is_not() {
    let office = office();
    assert!(office.is_open(at(&office, "2026-03-05T09:00")));
    assert!(office.is_open(at(&office, "2026-03-05T16:59:59.999999")));
    assert!(!office.is_open(at(&office, "2026-03-05T17:00")));
    assert!(!office.is_open(at(&office, "2026-04-03T10:00")));
    assert!(!office.is_open(at(&office, "2028-12-25T10:00")));
}

#[test]
fn a_day_that_a_zone_skips_is_no_open_day() {
    // Samoa crossed the date line: there was no 30 December 2011
    let apia = calendar("Pacific/Apia", &[("mon-sun", "09:00-17:00")], &[]);
    ends(&apia, "2011-12-29T10:00", "1bd", "2011-12-31T10:00");
    ends(&apia, "2011-12-29T16:00", "2bh", "2011-12-31T10:00");
}

#[test]
fn always_open_is_plain_time() {
    let always = calendar(
        "Australia/Lord_Howe",
        &[("mon-fri", "00:00-12:00, 12:00-24:00"), ("sat-sun", "00:00-24:00")],
        &[],
    );
    assert!(always.always);
    let now = at(&always, "2026-04-04T20:00");
    assert_eq!(always.end(now, duration("36bh")), now + Span::from_secs(36 * 3_600));
    assert_eq!(always.open_between(now, now + Span::from_days(9)), Span::from_days(9));
    ends(&always, "2026-04-04T20:00", "1bd", "2026-04-05T20:00");
    // the same without the short cut
    let nearly = calendar("Australia/Lord_Howe", &[("mon-sun", "00:00-24:00")], &["2200-01-01"]);
    assert!(!nearly.always);
    assert_eq!(nearly.end(now, duration("36bh")), now + Span::from_secs(36 * 3_600));
}

#[test]
fn searching_ends() {
    let office = office();
    for length in ["1000y", "8760000bh", "360000bd"] {
        assert_eq!(
            office
                .end(at(&office, "2026-01-01T00:00"), duration(length))
                .max(at(&office, "2900-01-01T00:00")),
            office.end(at(&office, "2026-01-01T00:00"), duration(length)),
            "{length}"
        );
    }
    for edge in [Instant::MIN, Instant::MAX, Instant::from_micros(i64::MAX)] {
        for length in ["1d", "1bh", "1bd"] {
            assert!(office.end(edge, duration(length)) >= edge.min(Instant::MAX));
        }
        assert_eq!(office.open_between(edge, edge), Span::ZERO);
    }
}

#[test]
fn mistakes_are_found_together() {
    let mut wrong =
        spec("Europe/Berlin", &[("mon-fri", "09:00-17:00"), ("fri", "16:00-20:00")], &[]);
    wrong.timezone = "Berlin".into();
    let errors = Calendar::compile(&wrong).unwrap_err();
    assert_eq!(errors.len(), 2);
    assert_eq!(errors[0].place, Place::Zone);
    assert_eq!(errors[1].place, Place::Hours(1, 0));
    assert_eq!(errors[1].to_string(), "`16:00-20:00` overlaps `09:00-17:00` on fri");
    let twice = spec("UTC", &[("mon-fri", "09:00-17:00, 10:00-11:00, 12:00-13:00")], &[]);
    assert_eq!(Calendar::compile(&twice).unwrap_err().len(), 2);
}

#[test]
fn a_calendar_that_does_not_open_is_refused() {
    let never = Calendar::compile(&spec("UTC", &[], &[])).unwrap_err();
    assert_eq!(
        (never[0].place, never[0].to_string().as_str()),
        (Place::Open, "the calendar is never open")
    );
    // every day of the year but 29 February
    let mut days: Vec<String> = (0..365)
        .map(|day| jiff::civil::date(2025, 1, 1).saturating_add(jiff::Span::new().days(day)))
        .map(|date| format!("{:02}-{:02}", date.month(), date.day()))
        .collect();
    let leap: Vec<&str> = days.iter().map(String::as_str).collect();
    let errors = Calendar::compile(&spec("UTC", &[("mon", "09:00-17:00")], &leap)).unwrap_err();
    assert_eq!(errors[0].place, Place::Closed);
    assert!(
        errors[0].to_string().starts_with("the calendar stays closed for more than five years"),
        "{}",
        errors[0]
    );
    // with one week left open it opens every year
    days.truncate(358);
    let most: Vec<&str> = days.iter().map(String::as_str).collect();
    assert!(Calendar::compile(&spec("UTC", &[("mon", "09:00-17:00")], &most)).is_ok());
}

fn any_calendar() -> impl Strategy<Value = Calendar> {
    let zones = prop::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Asia/Kolkata",
        "Australia/Lord_Howe",
        "Africa/Cairo",
        "Pacific/Chatham",
        "America/St_Johns",
    ]);
    let hours = prop::sample::select(vec![
        "09:00-17:00",
        "09:00-12:00, 13:00-17:00",
        "00:00-24:00",
        "00:00-03:30",
        "01:30-02:30, 22:00-24:00",
    ]);
    let days = prop::sample::select(vec!["mon-fri", "sat-mon", "wed", "mon-sun"]);
    let closed = prop::collection::vec(
        prop::sample::select(vec!["2026-03-29", "12-25", "10-25", "2026-11-01", "02-29"]),
        0..4,
    );
    (zones, hours, days, closed)
        .prop_map(|(zone, hours, days, closed)| calendar(zone, &[(days, hours)], &closed))
}

/// Any microsecond of 2025 to 2027, more often near where clocks change.
fn any_instant() -> impl Strategy<Value = Instant> {
    let near = prop::sample::select(vec![
        "2026-03-29T01:00:00Z",
        "2026-10-25T01:00:00Z",
        "2026-04-04T15:00:00Z",
        "2026-10-29T21:00:00Z",
        "2026-12-25T00:00:00Z",
    ]);
    prop_oneof![
        (1_735_689_600_000_000_i64..1_830_297_600_000_000).prop_map(Instant::from_micros),
        (near, -172_800_i64..172_800)
            .prop_map(|(near, secs)| near.parse::<Instant>().unwrap() + Span::from_secs(secs)),
    ]
}

fn any_span() -> impl Strategy<Value = Span> {
    prop_oneof![
        (0..400_i64).prop_map(|minutes| Span::from_secs(minutes * 60)),
        (0..3_000_000_000_000_i64).prop_map(Span::from_micros)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_next_opening_is_open_and_nothing_before_it_is(calendar in any_calendar(), at in any_instant(), share in 0.0..1.0_f64) {
        let open = calendar.next_open(at);
        prop_assert!(open >= at);
        prop_assert!(calendar.is_open(open));
        prop_assert_eq!(calendar.is_open(at), open == at);
        prop_assert_eq!(calendar.open_between(at, open), Span::ZERO);
        let within = at + Span::from_micros((open.since(at).as_micros() as f64 * share) as i64);
        prop_assert!(within >= open || !calendar.is_open(within));
    }

    #[test]
    fn open_time_adds_up(calendar in any_calendar(), at in any_instant(), first in any_span(), second in any_span()) {
        let middle = calendar.end(at, Duration::Open(first));
        prop_assert_eq!(calendar.open_between(at, middle), first);
        let end = calendar.end(middle, Duration::Open(second));
        prop_assert_eq!(calendar.open_between(at, end), first + second);
        if second > Span::ZERO {
            prop_assert_eq!(calendar.end(at, Duration::Open(first + second)), end);
        }
    }

    #[test]
    fn ends_keep_the_order_of_beginnings(calendar in any_calendar(), at in any_instant(), later in any_span(), span in any_span()) {
        for length in [Duration::Open(span), Duration::Elapsed(span)] {
            let (first, second) = (calendar.end(at, length), calendar.end(at + later, length));
            prop_assert!(at <= first && first <= second, "{length:?}: {first} {second}");
        }
    }

    #[test]
    fn open_days_end_on_an_open_day_within_its_hours(calendar in any_calendar(), at in any_instant(), days in 0..30_u32) {
        let end = calendar.end(at, Duration::OpenDays(days));
        let next = calendar.end(at, Duration::OpenDays(days + 1));
        prop_assert!(at <= end && end < next);
        // open, or exactly at closing
        prop_assert!(calendar.is_open(end) || calendar.is_open(Instant::from_micros(end.as_micros() - 1)));
    }
}
