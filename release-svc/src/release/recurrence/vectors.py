#!/usr/bin/env python3
"""Writes vectors.json: dates of recurrence rules by python-dateutil, which shares no code with
Slipway. Run it with `pip install python-dateutil tzdata`; it writes to standard output.

A rule is expanded in local time, and each local time becomes an instant by the zone's rules: a time
that a change of the clocks skips moves forward, one that it repeats is the first. A plain monthly or
yearly rule counts from its start and falls back to the last day of a shorter month, which is what
relativedelta does.
"""

import json
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from dateutil.rrule import rrulestr

LIMIT = 8

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
KATHMANDU, SANTIAGO, AUCKLAND = "Asia/Kathmandu", "America/Santiago", "Pacific/Auckland"

# Rules from one Monday, in each of the zones.
EVERYWHERE = [
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=3",
    "FREQ=DAILY;COUNT=4",
    "FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR",
    "FREQ=DAILY;BYMONTH=1,11",
    "FREQ=DAILY;INTERVAL=10;UNTIL=20250420",
    "FREQ=WEEKLY",
    "FREQ=WEEKLY;INTERVAL=2",
    "FREQ=WEEKLY;BYDAY=MO,WE,FR",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU",
    "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=MO,SU",
    "FREQ=WEEKLY;INTERVAL=3;COUNT=6;BYDAY=TU,MO",
    "FREQ=WEEKLY;BYDAY=MO;UNTIL=20250407T060000Z",
    "FREQ=WEEKLY;BYMONTH=4;BYDAY=MO",
    "FREQ=MONTHLY",
    "FREQ=MONTHLY;INTERVAL=5",
    "FREQ=MONTHLY;COUNT=3",
    "FREQ=MONTHLY;BYDAY=1MO",
    "FREQ=MONTHLY;BYDAY=-1FR",
    "FREQ=MONTHLY;INTERVAL=2;BYDAY=-1MO",
    "FREQ=MONTHLY;BYDAY=5MO",
    "FREQ=MONTHLY;BYDAY=2TU,-2TH",
    "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
    "FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13",
    "FREQ=MONTHLY;BYMONTHDAY=-1",
    "FREQ=MONTHLY;BYMONTHDAY=1,15,-2",
    "FREQ=MONTHLY;BYMONTHDAY=31",
    "FREQ=MONTHLY;INTERVAL=18;BYMONTHDAY=10,11",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1,-2",
    "FREQ=MONTHLY;BYDAY=TU,WE,TH;BYSETPOS=3;COUNT=3",
    "FREQ=MONTHLY;BYMONTH=1,4,7,10;BYDAY=1MO",
    "FREQ=YEARLY",
    "FREQ=YEARLY;INTERVAL=2;COUNT=3",
    "FREQ=YEARLY;BYMONTH=3,9",
    "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU",
    "FREQ=YEARLY;BYMONTH=11;BYDAY=1TH",
    "FREQ=YEARLY;BYDAY=20MO",
    "FREQ=YEARLY;BYDAY=1MO,-1MO",
    "FREQ=YEARLY;BYMONTHDAY=15;BYMONTH=6,12",
    "FREQ=YEARLY;BYYEARDAY=1,100,-1",
    "FREQ=YEARLY;BYWEEKNO=20",
    "FREQ=YEARLY;BYWEEKNO=1,53;BYDAY=MO",
    "FREQ=YEARLY;BYWEEKNO=-1;BYDAY=FR",
    "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
    "FREQ=YEARLY;BYMONTH=1;BYDAY=MO,TU;BYSETPOS=2",
]

# Zone, start in local time, rule: changes of the clocks, short months, starts beside the rule.
SPECIAL = [
    # 02:30 is skipped on 30 March 2025, and happens twice on 26 October 2025.
    (BERLIN, "2025-03-28T02:30", "FREQ=DAILY"),
    (BERLIN, "2025-10-24T02:30", "FREQ=DAILY"),
    (BERLIN, "2025-03-23T02:30", "FREQ=WEEKLY"),
    (BERLIN, "2025-10-19T02:30", "FREQ=WEEKLY"),
    (BERLIN, "2025-01-30T02:30", "FREQ=MONTHLY"),
    (BERLIN, "2025-03-27T09:00", "FREQ=DAILY"),
    (BERLIN, "2025-10-23T09:00", "FREQ=DAILY"),
    (BERLIN, "2025-10-25T02:30", "FREQ=DAILY;UNTIL=20251026T003000Z"),
    (BERLIN, "2025-10-25T02:30", "FREQ=DAILY;UNTIL=20251026T002959Z"),
    # 02:30 is skipped on 9 March 2025 and 2031, and 01:30 happens twice on 2 November 2025.
    (NEW_YORK, "2025-03-07T02:30", "FREQ=DAILY"),
    (NEW_YORK, "2025-10-31T01:30", "FREQ=DAILY"),
    (NEW_YORK, "2025-03-06T09:00", "FREQ=DAILY;BYDAY=TH,FR,MO"),
    (NEW_YORK, "2025-10-27T17:00", "FREQ=WEEKLY"),
    (NEW_YORK, "2026-03-09T02:30", "FREQ=YEARLY"),
    # Half an hour is skipped at 02:00 on 5 October 2025, and repeated on 6 April 2025.
    (LORD_HOWE, "2025-10-03T02:15", "FREQ=DAILY"),
    (LORD_HOWE, "2025-04-04T01:45", "FREQ=DAILY"),
    # Midnight is skipped on 8 September 2024, and 23:30 happens twice on 6 April 2024.
    (SANTIAGO, "2024-09-06T00:00", "FREQ=DAILY;COUNT=5"),
    (SANTIAGO, "2024-09-06T00:30", "FREQ=DAILY;COUNT=5"),
    (SANTIAGO, "2024-04-05T23:30", "FREQ=DAILY;COUNT=4"),
    (AUCKLAND, "2025-09-26T02:30", "FREQ=DAILY"),
    (AUCKLAND, "2025-04-04T02:30", "FREQ=DAILY"),
    # A local date that is another one in UTC.
    (AUCKLAND, "2025-01-31T08:00", "FREQ=MONTHLY"),
    (NEW_YORK, "2025-01-31T23:30", "FREQ=MONTHLY"),
    (KATHMANDU, "2025-01-06T00:15", "FREQ=WEEKLY;BYDAY=MO"),
    # The last days of a month.
    ("UTC", "2025-01-31T09:00", "FREQ=MONTHLY"),
    ("UTC", "2024-01-31T09:00", "FREQ=MONTHLY;COUNT=5"),
    ("UTC", "2024-01-30T09:00", "FREQ=MONTHLY"),
    ("UTC", "2025-01-29T09:00", "FREQ=MONTHLY"),
    ("UTC", "2024-12-31T09:00", "FREQ=MONTHLY;INTERVAL=2"),
    ("UTC", "2024-02-29T09:00", "FREQ=MONTHLY"),
    ("UTC", "2024-02-29T09:00", "FREQ=YEARLY"),
    ("UTC", "2024-02-29T09:00", "FREQ=YEARLY;INTERVAL=2;UNTIL=20300301"),
    (BERLIN, "2024-08-31T09:00", "FREQ=MONTHLY;UNTIL=20250228"),
    (BERLIN, "2024-08-31T09:00", "FREQ=MONTHLY;UNTIL=20250227"),
    ("UTC", "2024-01-31T09:00", "FREQ=MONTHLY;BYMONTH=2,6,8"),
    ("UTC", "2023-01-31T09:00", "FREQ=YEARLY;BYMONTH=2,6"),
    ("UTC", "2025-01-31T09:00", "FREQ=MONTHLY;BYMONTHDAY=31"),
    ("UTC", "2024-02-29T09:00", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"),
    # A start that is not one of the rule's dates.
    ("UTC", "2025-01-08T09:00", "FREQ=WEEKLY;BYDAY=MO"),
    ("UTC", "2025-01-08T09:00", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO"),
    (BERLIN, "2025-01-08T09:00", "FREQ=MONTHLY;BYDAY=1MO"),
    (BERLIN, "2025-06-15T09:00", "FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=1"),
    # Dates that UNTIL includes and excludes.
    (BERLIN, "2025-01-06T09:00", "FREQ=DAILY;UNTIL=20250110T080000Z"),
    (BERLIN, "2025-01-06T09:00", "FREQ=DAILY;UNTIL=20250110T075959Z"),
    (BERLIN, "2025-01-06T09:00", "FREQ=DAILY;UNTIL=20250110T090000"),
    (BERLIN, "2025-01-06T09:00", "FREQ=DAILY;UNTIL=20250110T085959"),
    (NEW_YORK, "2025-01-06T22:00", "FREQ=DAILY;UNTIL=20250110"),
]


def parts_of(rule):
    return dict(part.split("=") for part in rule.split(";"))


def local_dates(rule, start):
    """The rule's local times from its start on, without UNTIL and COUNT."""
    parts = parts_of(rule)
    is_plain = set(parts) <= {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYMONTH"}
    interval = int(parts.get("INTERVAL", 1))
    if is_plain and parts["FREQ"] in ("MONTHLY", "YEARLY"):
        months = [int(month) for month in parts.get("BYMONTH", "").split(",") if month]
        if parts["FREQ"] == "MONTHLY":
            for step in range(2000):
                date = start + relativedelta(months=step * interval)
                if not months or date.month in months:
                    yield date
        else:
            for step in range(0, 200, interval):
                year = start.year + step
                for month in months or [start.month]:
                    date = start + relativedelta(year=year, month=month)
                    if date >= start:
                        yield date
        return
    if "BYWEEKNO" in parts and "BYDAY" not in parts:
        # RFC 5545 takes the weekday from the start, dateutil takes the whole week.
        parts["BYDAY"] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"][start.weekday()]
    bare = ";".join(f"{k}={v}" for k, v in parts.items() if k not in ("COUNT", "UNTIL"))
    yield from rrulestr(bare, dtstart=start)


def is_within(until, date, zone):
    if until is None:
        return True
    if len(until) == 8:
        return date.date() <= datetime.strptime(until, "%Y%m%d").date()
    if until.endswith("Z"):
        limit = datetime.strptime(until, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        return date.replace(tzinfo=zone).astimezone(timezone.utc) <= limit
    return date <= datetime.strptime(until, "%Y%m%dT%H%M%S")


def case(zone_name, start_text, rule):
    zone, start = ZoneInfo(zone_name), datetime.fromisoformat(start_text)
    parts, dates = parts_of(rule), []
    count = int(parts.get("COUNT", LIMIT + 1))
    # The first task is the first occurrence, also if the rule itself has not this date.
    for date in local_dates(rule, start):
        if date == start:
            continue
        if len(dates) + 1 >= count or not is_within(parts.get("UNTIL"), date, zone):
            break
        dates.append(date)
        if len(dates) == LIMIT:
            break
    to_utc = lambda date: date.replace(tzinfo=zone).astimezone(timezone.utc)
    text = lambda date: to_utc(date).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "zone": zone_name,
        "start": text(start),
        "rule": rule,
        "next": [text(date) for date in dates],
        "ends": len(dates) < LIMIT,
    }


def main():
    cases = [case(*special) for special in SPECIAL]
    for zone, start in [
        ("UTC", "2025-01-06T09:00"),
        (BERLIN, "2025-01-06T09:00"),
        (NEW_YORK, "2025-01-06T18:30"),
        (AUCKLAND, "2025-01-06T07:45"),
    ]:
        cases += [case(zone, start, rule) for rule in EVERYWHERE]
    rows = ",\n".join(json.dumps(one) for one in cases)
    print(f"[\n{rows}\n]")


main()
