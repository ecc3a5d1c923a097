"""Questions that pull fields out of a short text: contacts, invoices, orders, events, one field,
and the arguments of a tool call. The text is built from the fields, so the answer is known.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Final

from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Difficulty
from emafusion.learn.families.family import Draw, Family, Item, exact, labelled
from emafusion.learn.families.people import CITIES, COMPANIES, FIRST, GOODS, LAST, MONTHS

_JSON: Final = Grader(type="json")

_WORDINGS: Final = (
    "Extract {keys} from the text below. Reply with a JSON object only.\n\n{text}",
    "{text}\n\nReturn JSON with the keys {keys} and nothing else.",
    "Turn this message into JSON with keys {keys}:\n{text}",
    "Read the text and fill in this JSON: {form}\nText: {text}\nAnswer with the filled-in JSON.",
    "Output only a JSON object containing {keys}.\nInput: {text}",
)
_HELD_OUT: Final = (
    'From the following note, produce a JSON record (fields: {keys}).\nNote: "{text}"',
    "Which values do {keys} have here? Write them as one JSON object, no "
    "comments.\n---\n{text}\n---",
)


def _item(text: str, fields: Mapping[str, str | int | float], **slots: str) -> Item:
    keys = ", ".join(f'"{name}"' for name in fields)
    form = "{" + ", ".join(f'"{name}": ...' for name in fields) + "}"
    return Item(
        slots={"text": text, "keys": keys, "form": form, **slots},
        reference=json.dumps(fields, ensure_ascii=False),
        grader=_JSON,
    )


def _contact(rng: random.Random, level: Difficulty) -> Item:
    first, last, company = rng.choice(FIRST), rng.choice(LAST), rng.choice(COMPANIES)
    name, city = f"{first} {last}", rng.choice(CITIES)
    email = f"{first.lower()}.{last.lower()}@{company.split()[0].lower()}.example"
    phone = f"+{rng.randint(1, 98)} {rng.randint(100, 999)} {rng.randint(1000, 9999)}"
    if level == 1:
        text = rng.choice(
            (
                f"Name: {name}. Email: {email}. Phone: {phone}.",
                f"{name}, {email}, tel. {phone}",
                f"Contact {name} by email at {email} or by phone at {phone}.",
            )
        )
        return _item(text, {"name": name, "email": email, "phone": phone})
    if level == 2:
        text = rng.choice(
            (
                f"Hi, {name} here from {company}. Write to {email}; I'm based in {city}.",
                f"Please add {name} ({company}, {city}) to the list. The address is {email}.",
            )
        )
        return _item(text, {"name": name, "company": company, "city": city, "email": email})
    boss = f"{rng.choice(FIRST)} {rng.choice(LAST)}"
    text = (
        f"I used to report to {boss}, but since May my contact at {company} is {name}. "
        f"Skip the old number; {phone} is right now. They moved from {rng.choice(CITIES)} to "
        f"{city}."
    )
    return _item(text, {"name": name, "company": company, "phone": phone, "city": city})


def _invoice(rng: random.Random, level: Difficulty) -> Item:
    number = f"{rng.choice(('INV', 'A', 'R'))}-{rng.randint(1000, 9999)}"
    vendor, net = rng.choice(COMPANIES), rng.randint(40, 900)
    day, month = rng.randint(1, 28), rng.randint(1, 12)
    date = f"{rng.randint(2021, 2025)}-{month:02d}-{day:02d}"
    if level == 1:
        text = rng.choice(
            (
                f"Invoice {number} from {vendor}: total ${net}.00.",
                f"{vendor} sent invoice {number}. Amount due: ${net}.00.",
            )
        )
        return _item(text, {"invoice": number, "vendor": vendor, "total": net})
    if level == 2:
        text = rng.choice(
            (
                f"{vendor} | invoice no. {number} | issued {date} | total due {net}.50 EUR",
                f"Dated {date}, invoice {number} by {vendor} asks for {net}.50 EUR.",
            )
        )
        return _item(text, {"invoice": number, "date": date, "total": net + 0.5, "currency": "EUR"})
    tax = rng.randint(5, 60)
    text = (
        f"{vendor} bills you under {number}. Net amount {net} EUR, tax {tax} EUR, due on "
        f"{day} {MONTHS[month - 1]} {date[:4]}. (total = net + tax; due as YYYY-MM-DD)"
    )
    return _item(text, {"invoice": number, "net": net, "tax": tax, "total": net + tax, "due": date})


def _order(rng: random.Random, level: Difficulty) -> Item:
    goods, amount = rng.choice(GOODS), rng.randint(2, 60)
    city, customer = rng.choice(CITIES), rng.choice(FIRST)
    if level == 1:
        text = rng.choice(
            (
                f"{customer} ordered {amount} {goods}.",
                f"Order: {amount} {goods}, customer {customer}.",
                f"Please send {amount} {goods} to {customer}.",
            )
        )
        return _item(text, {"customer": customer, "item": goods, "quantity": amount})
    price = rng.randint(3, 40)
    if level == 2:
        text = (
            f"{customer} in {city} would like {amount} {goods} at ${price} each, "
            f"delivered by {rng.choice(('van', 'train', 'courier'))}."
        )
        fields = {"customer": customer, "city": city, "item": goods}
        return _item(text, {**fields, "quantity": amount, "unit_price": price})
    more = rng.randint(1, 9)
    text = (
        f"{customer} first asked for {amount} {goods}, then rang to add {more} more. "
        f"They cost ${price} apiece. (quantity = the final number, cost = for all of them)"
    )
    total = amount + more
    return _item(text, {"item": goods, "quantity": total, "cost": total * price})


def _event(rng: random.Random, level: Difficulty) -> Item:
    title = rng.choice(
        (
            "Budget review",
            "Team lunch",
            "Book club",
            "Yoga class",
            "Board meeting",
            "Design workshop",
            "Fire drill",
            "Piano recital",
        )
    )
    room, hour = f"Room {rng.randint(1, 40)}", rng.randint(8, 12)
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(2024, 2026)
    date = f"{year}-{month:02d}-{day:02d}"
    if level == 1:
        text = rng.choice(
            (
                f"{title}, {date}, {room}.",
                f"Reminder: {title} on {date} in {room}.",
            )
        )
        return _item(text, {"title": title, "date": date, "place": room})
    minutes = rng.choice((0, 15, 30, 45))
    time = f"{hour:02d}:{minutes:02d}"
    if level == 2:
        text = f"{title} takes place in {room} on {date} and starts at {time}. Bring a pen."
        return _item(text, {"title": title, "date": date, "time": time, "place": room})
    length = rng.choice((60, 90, 120))
    ends = hour * 60 + minutes + length
    text = (
        f"{title}: {day} {MONTHS[month - 1]} {year}, {room}, from {time}, lasting {length} "
        "minutes. "
        "(date as YYYY-MM-DD, start and end as HH:MM)"
    )
    end = f"{ends // 60:02d}:{ends % 60:02d}"
    return _item(text, {"title": title, "date": date, "start": time, "end": end})


def _field(rng: random.Random, level: Difficulty) -> Item:
    name, other = rng.sample(FIRST, 2)
    city, company, goods = rng.choice(CITIES), rng.choice(COMPANIES), rng.choice(GOODS)
    code = f"{rng.choice('BCDFGHK')}{rng.randint(10, 99)}{rng.choice('MNPRST')}"
    texts = {
        1: f"{name} lives in {city}, works for {company} and sells {goods}. The code is {code}.",
        2: f"Parcel {code} left {city} on Monday. {name} of {company} signed for the {goods}.",
        3: f"{other} meant to take the {goods} to {city}, but gave parcel {code} to {name} "
        "instead, "
        f"who handed it in at {company}.",
    }
    asked = {
        1: (("the city", city), ("the company", company), ("the code", code), ("the person", name)),
        2: (("the parcel code", code), ("the company", company), ("the city it left", city)),
        3: (
            ("the person who handed it in", name),
            ("the place it was handed in", company),
            ("the parcel code", code),
            ("the person who was meant to deliver it", other),
        ),
    }
    what, answer = rng.choice(asked[level])
    # A reply that repeats the text names the right value, and the wrong ones too.
    others = [value for value in (name, city, company, code) if value != answer]
    slots = {"text": texts[level], "what": what}
    return Item(slots=slots, reference=answer, grader=exact(others=others))


def _tool(rng: random.Random, level: Difficulty) -> Item:
    city, to = rng.sample(CITIES, 2)
    days, people = rng.randint(2, 9), rng.randint(2, 6)
    calls: dict[int, tuple[tuple[str, str, dict[str, str | int]], ...]] = {
        1: (
            ("get_weather(city)", f"How is the weather in {city}?", {"city": city}),
            ("get_time(city)", f"What time is it in {city} now?", {"city": city}),
        ),
        2: (
            (
                "get_forecast(city, days)",
                f"Forecast for {city}, next {days} days, please.",
                {"city": city, "days": days},
            ),
            (
                "find_train(start, end)",
                f"I'm in {city} and need a train to {to}.",
                {"start": city, "end": to},
            ),
        ),
        3: (
            (
                "book_hotel(city, nights, guests)",
                f"There are {people} of us and we stay in {to} for {days + 1} days, "
                f"so {days} nights. Then we drive on to {city}.",
                {"city": to, "nights": days, "guests": people},
            ),
            (
                "find_train(start, end, seats)",
                f"We want to get to {to} by rail, {people} adults and a child with a seat, "
                f"leaving {city}.",
                {"start": city, "end": to, "seats": people + 1},
            ),
        ),
    }
    signature, request, arguments = rng.choice(calls[level])
    name = signature.partition("(")[0]
    reference = json.dumps({"tool": name, "arguments": arguments})
    slots = {"signature": signature, "request": request}
    return Item(slots=slots, reference=reference, grader=_JSON)


def _records(name: str, domain: str, draw: Draw) -> Family:
    return Family(
        name=name,
        labels=labelled("extraction", domain, "json"),
        wordings=_WORDINGS,
        held_out=_HELD_OUT,
        draw=draw,
    )


FAMILIES: Final = (
    _records("contacts", "general", _contact),
    _records("invoices", "finance", _invoice),
    _records("orders", "business", _order),
    _records("events", "general", _event),
    Family(
        name="single_field",
        labels=labelled("extraction", "general", "free_text"),
        wordings=(
            "{text}\n\nWhat is {what}? Reply with only that.",
            "Find {what} in this text: {text}\nAnswer with the value only.",
            "Text: {text}\nExtract: {what}",
            "Copy out {what}, nothing else.\n\n{text}",
        ),
        held_out=(
            "{text} From this sentence, give me {what}.",
            'I only need {what} from this: "{text}"',
        ),
        draw=_field,
    ),
    Family(
        name="tool_calls",
        labels=labelled("tool_use", "general", "json"),
        wordings=(
            'You can call {signature}. User: "{request}"\n'
            'Reply with JSON only: {{"tool": ..., "arguments": {{...}}}}',
            'Tool: {signature}\nRequest: {request}\nWrite the call as {{"tool": name, '
            '"arguments": {{...}}}}.',
            'Which call answers "{request}"? Available: {signature}. '
            'Answer as JSON with "tool" and "arguments".',
            'Function {signature} exists. Produce the JSON call ("tool", "arguments") for: '
            "{request}",
        ),
        held_out=(
            "A user says: {request}\nCall {signature} by writing a JSON object with the keys "
            '"tool" '
            'and "arguments" (an object).',
            "Translate the request into a tool call. Signature: {signature}. Request: {request} "
            'Format: {{"tool": "...", "arguments": {{...}}}}',
        ),
        draw=_tool,
    ),
)
