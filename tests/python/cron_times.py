"""All instants of cron expressions in a year, by cronsim: one JSON object a line.

Arguments: the year, then zones. Expressions are read from standard input, one a line.
"""

import json
import sys
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

from cronsim import CronSim

year, zones = int(sys.argv[1]), sys.argv[2:]
expressions = [line.strip() for line in sys.stdin if line.strip()]
for zone in zones:
    for expression in expressions:
        start = datetime(year, 1, 1, tzinfo=timezone.utc).astimezone(ZoneInfo(zone))
        end = datetime(year + 1, 1, 1, tzinfo=timezone.utc).timestamp()
        found = []
        for at in CronSim(expression, start):
            seconds = int(at.timestamp())
            if seconds >= end:
                break
            found.append(seconds)
        print(json.dumps({"zone": zone, "cron": expression, "at": found}))
