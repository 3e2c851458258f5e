"""An independent oracle for calendars: brute force over the minutes of a year.

Usage: calendar.py CASES SEED...

Knows nothing of how the daemon computes: it asks Python's zoneinfo for the civil time of every
single minute, notes which minutes are open, and counts. Prints JSON lines: a calendar
{"timezone", "open", "closed"}, then cases about it {"op", "at", …, "want"}; instants and spans are
microseconds. Every offset in use in the years tested is a whole number of minutes.
"""

import json
import random
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

MINUTE = 60_000_000
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
# A zone and a year in which something happens to its clocks: Kolkata has half an hour and no
# changes, Lord Howe changes by half an hour, Cairo and (until 2019) São Paulo change at midnight,
# Apia skipped a whole day.
ZONES = [
    ("Europe/Berlin", 2026),
    ("America/New_York", 2026),
    ("Asia/Kolkata", 2026),
    ("Australia/Lord_Howe", 2026),
    ("Africa/Cairo", 2026),
    ("America/Sao_Paulo", 2017),
    ("Pacific/Apia", 2011),
]


def hhmm(minute):
    return f"{minute // 60:02}:{minute % 60:02}"


def random_calendar(rng, zone, year):
    """A calendar as written in a rule file."""
    style = rng.randrange(4)
    if style == 0:
        rules = [("mon-fri", [(540, 1020)])]
    elif style == 1:
        rules = [("mon-thu", [(480, 720), (780, 1050)]), ("fri", [(480, 840)]), ("sun", [(0, 270)])]
    elif style == 2:
        rules = [("mon-sun", [(0, 1440)])]
    else:
        rules = []
        for day in DAYS:
            cuts = sorted(rng.sample(range(0, 1441, 15), 2 * rng.randrange(0, 3)))
            rules.append((day, list(zip(cuts[::2], cuts[1::2]))))
        rules.append(("sat-sun", [])) if rng.random() < 0.5 else None
        if not any(spans for _, spans in rules):
            rules.append(("wed", [(0, 1440)]))
    closed = set()
    for _ in range(rng.randrange(0, 8)):
        day = datetime(year, 1, 1) + timedelta(days=rng.randrange(365))
        closed.add(day.strftime("%Y-%m-%d" if rng.random() < 0.6 else "%m-%d"))
    return {
        "timezone": zone,
        "open": [[days, [f"{hhmm(a)}-{hhmm(b)}" for a, b in spans]] for days, spans in rules],
        "closed": sorted(closed),
    }


class Year:
    """The civil time of every minute from December before the year to February after it."""

    def __init__(self, zone, year):
        self.start = datetime(year - 1, 12, 15, tzinfo=timezone.utc)
        end = datetime(year + 1, 3, 1, tzinfo=timezone.utc)
        self.count = int((end - self.start) / timedelta(minutes=1))
        self.epoch = int(self.start.timestamp()) * 1_000_000
        tz = ZoneInfo(zone)
        self.civil = []  # (date, weekday, minute of the day)
        seconds = int(self.start.timestamp())
        for second in range(seconds, seconds + self.count * 60, 60):
            local = datetime.fromtimestamp(second, tz)
            self.civil.append((local.date(), local.weekday(), local.hour * 60 + local.minute))
        # where the clocks change, the next minute is not the next on the clock
        self.changes = [
            i for i in range(1, self.count)
            if (self.civil[i][2] - self.civil[i - 1][2]) % 1440 != 1
            or (self.civil[i][0] - self.civil[i - 1][0]).days > 1
        ]

    def open_minutes(self, calendar):
        """For every minute: is it open?"""
        week = [[] for _ in DAYS]
        for days, spans in calendar["open"]:
            first, _, last = days.partition("-")
            day = DAYS.index(first)
            while True:
                for span in spans:
                    a, b = span.split("-")
                    week[day].append((int(a[:2]) * 60 + int(a[3:]), int(b[:2]) * 60 + int(b[3:])))
                if DAYS[day] == (last or first):
                    break
                day = (day + 1) % 7
        closed = set(calendar["closed"])
        result, date_before, is_closed = [], None, False
        for date, weekday, minute in self.civil:
            if date != date_before:
                date_before = date
                is_closed = date.isoformat() in closed or date.isoformat()[5:] in closed
            result.append(not is_closed and any(a <= minute < b for a, b in week[weekday]))
        return result


class Oracle:
    def __init__(self, year, calendar):
        self.year = year
        self.open = year.open_minutes(calendar)
        self.by_date = {}
        for index, (date, _, _) in enumerate(year.civil):
            if self.open[index]:
                self.by_date.setdefault(date, []).append(index)
        self.dates = sorted(self.by_date)

    def split(self, at):
        return divmod(at - self.year.epoch, MINUTE)

    def instant(self, minute, rest=0):
        if minute >= self.year.count - 1:
            raise IndexError
        return self.year.epoch + minute * MINUTE + rest

    def is_open(self, at):
        return self.open[self.split(at)[0]]

    def next_open(self, at):
        minute, rest = self.split(at)
        if self.open[minute]:
            return at
        minute += 1
        while not self.open[minute]:
            minute += 1
        return self.instant(minute)

    def end_open(self, at, span):
        """Walks minute by minute, using up the open ones."""
        if span == 0:
            return self.next_open(at)
        minute, rest = self.split(at)
        while True:
            if self.open[minute]:
                if span <= MINUTE - rest:
                    return self.instant(minute, rest + span)
                span -= MINUTE - rest
            minute, rest = minute + 1, 0

    def end_elapsed(self, at, span):
        return self.next_open(at + span)

    def end_days(self, at, days):
        if days == 0:
            return self.next_open(at)
        minute, rest = self.split(at)
        if self.year.civil[minute][0] not in self.by_date:
            minute, rest = self.split(self.next_open(at))
        date, _, wall = self.year.civil[minute]
        later = [other for other in self.dates if other > date]
        minutes = self.by_date[later[days - 1]]
        for index in minutes:
            here = self.year.civil[index][2]
            if here == wall:
                return self.instant(index, rest)
            if here > wall:
                return self.instant(index)
        return self.instant(minutes[-1] + 1)

    def open_between(self, a, b):
        if b <= a:
            return 0
        (first, rest), (last, end) = self.split(a), self.split(b)
        total = sum(self.open[first:last]) * MINUTE
        if self.open[first]:
            total -= rest
        if self.open[last]:
            total += end
        return total


def span(rng, most):
    """Mostly whole minutes, as in rules."""
    micros = rng.randrange(0, most)
    return micros if rng.random() < 0.2 else micros // MINUTE * MINUTE


def cases(rng, oracle, count):
    changes = oracle.year.changes
    edges = [i for i in range(1, oracle.year.count) if oracle.open[i] != oracle.open[i - 1]]
    made = 0
    while made < count:
        if changes and rng.random() < 0.3:
            minute = rng.choice(changes) + rng.randrange(-4_000, 4_000)
        elif edges and rng.random() < 0.3:
            minute = rng.choice(edges)
        else:
            minute = rng.randrange(25_000, oracle.year.count - 60_000)
        if not 0 <= minute < oracle.year.count - 20_000:
            continue
        at = oracle.instant(minute, rng.choice([0, 0, 0, rng.randrange(MINUTE)]))
        case = {"op": rng.choice(["is_open", "next_open", "elapsed", "open", "open", "days", "days", "between"]), "at": at}
        try:
            if case["op"] == "is_open":
                case["want"] = oracle.is_open(at)
            elif case["op"] == "next_open":
                case["want"] = oracle.next_open(at)
            elif case["op"] == "elapsed":
                case["span"] = span(rng, 12 * 1440 * MINUTE)
                case["want"] = oracle.end_elapsed(at, case["span"])
            elif case["op"] == "open":
                case["span"] = span(rng, rng.choice([60, 600, 3_000]) * MINUTE)
                case["want"] = oracle.end_open(at, case["span"])
            elif case["op"] == "days":
                case["days"] = rng.randrange(0, 12)
                case["want"] = oracle.end_days(at, case["days"])
            else:
                case["to"] = at + span(rng, 12 * 1440 * MINUTE) - MINUTE
                case["want"] = oracle.open_between(at, case["to"])
        except IndexError:
            continue  # the answer lies beyond the minutes that were looked at
        print(json.dumps(case))
        made += 1


def main():
    count, seeds = int(sys.argv[1]), sys.argv[2:]
    for zone, number in ZONES:
        year = Year(zone, number)
        for seed in seeds:
            rng = random.Random(f"{seed} {zone}")
            calendar = random_calendar(rng, zone, number)
            print(json.dumps(calendar))
            cases(rng, Oracle(year, calendar), count)


if __name__ == "__main__":
    main()
