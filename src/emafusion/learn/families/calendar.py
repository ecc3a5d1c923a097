"""Questions about dates, weekdays and clock times. Answers come from the standard library's
calendar, never from a table.
"""

from __future__ import annotations

import datetime
import random
from typing import Final

from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Difficulty
from emafusion.learn.families.family import Family, Item, exact, labelled
from emafusion.learn.families.people import MONTHS, WEEKDAYS

_NUMBER: Final = Grader(type="number")
_DATE: Final = Grader(type="date")


def _day(rng: random.Random) -> datetime.date:
    return datetime.date(rng.randint(2019, 2027), rng.randint(1, 12), rng.randint(1, 28))


def _weekday(rng: random.Random, level: Difficulty) -> Item:
    start = rng.randrange(7)
    if level == 1:
        n, way = rng.randint(1, 6), 1
    elif level == 2:
        n, way = rng.randint(7, 16), 1
    else:
        n, way = rng.randint(17, 60), rng.choice((1, -1))
    answer = WEEKDAYS[(start + way * n) % 7]
    days = "1 day" if n == 1 else f"{n} days"
    when = f"{days} after" if way == 1 else f"{days} before"
    grader = exact(others=[day for day in WEEKDAYS if day not in (answer, WEEKDAYS[start])])
    return Item(slots={"when": when, "start": WEEKDAYS[start]}, reference=answer, grader=grader)


def _shift(rng: random.Random, level: Difficulty) -> Item:
    day = _day(rng)
    if level == 1:
        n = rng.randint(1, max(1, 28 - day.day))
        after = day + datetime.timedelta(days=n)
    elif level == 2:
        n = rng.randint(10, 31)
        after = day + datetime.timedelta(days=n)
    else:
        n = -rng.randint(15, 75) if rng.random() < 0.5 else rng.randint(32, 75)
        after = day + datetime.timedelta(days=n)
    span = f"{abs(n)} day{'' if abs(n) == 1 else 's'} {'after' if n > 0 else 'before'}"
    return Item(
        slots={"span": span, "day": day.isoformat()}, reference=after.isoformat(), grader=_DATE
    )


def _difference(rng: random.Random, level: Difficulty) -> Item:
    day = _day(rng)
    n = {1: rng.randint(1, max(1, 28 - day.day)), 2: rng.randint(20, 60), 3: rng.randint(61, 300)}[
        level
    ]
    later = day + datetime.timedelta(days=n)
    slots = {"first": day.isoformat(), "second": later.isoformat()}
    return Item(slots=slots, reference=str(n), grader=_NUMBER)


def _format(rng: random.Random, level: Difficulty) -> Item:
    day = _day(rng)
    month = MONTHS[day.month - 1]
    shown = {
        1: f"{day.day} {month} {day.year}",
        2: f"{month[:3]}. {day.day}, {day.year}",
        3: f"the last day of {month} {day.year}",
    }[level]
    if level == 3:
        first = day.replace(day=1) + datetime.timedelta(days=32)
        day = first.replace(day=1) - datetime.timedelta(days=1)
    grader = Grader(type="date", params={"iso": True})
    return Item(slots={"shown": shown}, reference=day.isoformat(), grader=grader)


def _clock(rng: random.Random, level: Difficulty) -> Item:
    start = rng.randint(6, 18) * 60 + rng.choice((0, 10, 15, 20, 30, 40, 45, 50))
    span = {
        1: rng.choice((60, 120, 180, 30)),
        2: rng.randrange(35, 180, 5),
        3: rng.randrange(185, 600, 5),
    }[level]
    if level == 1:
        said = f"{span} minutes" if span < 60 else f"{span // 60} hour{'s' if span > 60 else ''}"
    else:
        said = f"{span} minutes" if span < 100 else f"{span // 60} hours {span % 60} minutes"
    end = (start + span) % 1440
    answer = f"{end // 60:02d}:{end % 60:02d}"
    short = f"{end // 60}:{end % 60:02d}"
    half = f"{(end // 60 - 1) % 12 + 1}:{end % 60:02d} {'pm' if end >= 720 else 'am'}"
    grader = exact(aliases=[short, half])
    slots = {"start": f"{start // 60:02d}:{start % 60:02d}", "span": said}
    return Item(slots=slots, reference=answer, grader=grader)


_MATHS: Final = labelled("mathematical_reasoning", "general", "free_text")
_COUNT: Final = labelled("mathematical_reasoning", "general", "number")

FAMILIES: Final = (
    Family(
        name="weekdays",
        labels=_MATHS,
        wordings=(
            "Which day of the week is {when} a {start}? Reply with the day only.",
            "Name the weekday {when} {start}.",
            "If today is {start}, what weekday is it {when} today? One word.",
            "{start}. Now go to {when} that. Which weekday? Only its name.",
        ),
        held_out=(
            "What weekday falls {when} {start}? Answer in one word.",
            "An event is {when} this {start}. On what day of the week does it fall?",
        ),
        draw=_weekday,
    ),
    Family(
        name="date_shifts",
        labels=_MATHS,
        wordings=(
            "What date is {span} {day}? Reply in the form YYYY-MM-DD.",
            "Give the date {span} {day} as YYYY-MM-DD, nothing else.",
            "{span} {day} is which date? (YYYY-MM-DD)",
            "Compute the calendar date that lies {span} {day}. Format: YYYY-MM-DD.",
        ),
        held_out=(
            "A deadline is {span} {day}. Write the deadline as YYYY-MM-DD.",
            "Starting from {day}, which date is {span} it? Use YYYY-MM-DD.",
        ),
        draw=_shift,
    ),
    Family(
        name="date_differences",
        labels=_COUNT,
        wordings=(
            "How many days are there from {first} to {second}? Reply with only the number.",
            "Count the days between {first} and {second} (the last day included, the first "
            "not). Number only.",
            "{second} is how many days after {first}? Just the number.",
            "Number of days from {first} until {second}:",
        ),
        held_out=(
            "Today is {first}. In how many days is it {second}? Number only.",
            "Subtract the date {first} from {second} and give the result in days.",
        ),
        draw=_difference,
    ),
    Family(
        name="date_formats",
        labels=labelled("rewriting", "general", "free_text"),
        wordings=(
            "Write {shown} as YYYY-MM-DD. Reply with the date only.",
            "Convert to ISO format (YYYY-MM-DD): {shown}",
            "{shown} in the form YYYY-MM-DD is:",
            "Give the date {shown} in year-month-day digits, like 2020-01-31.",
        ),
        held_out=(
            "Reformat this date as YYYY-MM-DD: {shown}",
            "How is {shown} written in the YYYY-MM-DD style? Only the date.",
        ),
        draw=_format,
    ),
    Family(
        name="clock_times",
        labels=_MATHS,
        wordings=(
            "It is {start}. What time is it {span} later? Reply as HH:MM.",
            "A meeting starts at {start} and lasts {span}. When does it end? HH:MM only.",
            "Add {span} to {start}. Give the time as HH:MM (24-hour clock).",
            "Start {start}, duration {span}, end (HH:MM):",
        ),
        held_out=(
            "A bus leaves at {start} and arrives {span} later. Arrival time in HH:MM?",
            "What does the clock show {span} after {start}? Use HH:MM.",
        ),
        draw=_clock,
    ),
)
