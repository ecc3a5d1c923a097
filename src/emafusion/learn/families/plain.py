"""Easy questions as people type them: whole sentences, no instruction on the form of the answer.
Knows everyday wordings; the facts and the goods come from its siblings.
"""

from __future__ import annotations

import functools
import random
from typing import Final

from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Difficulty
from emafusion.learn.families import people
from emafusion.learn.families.facts import fact
from emafusion.learn.families.family import Family, Item, exact, labelled

_ASKED: Final = (
    "{question}",
    "Hi! {question}",
    "Quick question: {question}",
    "Can you help me? {question}",
    "I forgot something. {question}",
)
_ASKED_HELD_OUT: Final = ("{question} Thanks!", "Hello, I would like to know this. {question}")
_TOPICS: Final[dict[str, tuple[str, ...]]] = {
    "plain_places": ("capital", "continent"),
    "plain_knowledge": ("opposite", "young", "count", "colour", "superlative"),
    "plain_culture": ("author", "painter", "symbol", "currency"),
    "plain_terms": ("medicine", "law", "finance", "software", "science"),
}
_PRAISE: Final = (
    "The {thing} is wonderful, I love it.", "Best {thing} I have ever bought!",
    "I am very happy with this {thing}.", "The {thing} works perfectly. Great service!",
    "Excellent {thing}, thank you so much.", "What a fantastic {thing}!",
)  # fmt: skip
_BLAME: Final = (
    "The {thing} broke after one day. Terrible.", "Worst {thing} I have ever bought!",
    "I hate this {thing}, it is useless.", "The {thing} arrived broken and nobody helped me.",
    "Awful {thing}, I want my money back.", "What a disappointing {thing}.",
)  # fmt: skip
_THINGS: Final = (
    "phone", "laptop", "chair", "printer", "camera", "app", "hotel", "book", "jacket", "lamp",
    "blender", "course", "mattress", "monitor", "headset", "restaurant",
)  # fmt: skip
_SUBJECTS: Final = {
    "sports": ("The team won the football match on Sunday.", "She ran the marathon in three hours.",
               "The striker scored two goals.", "The tennis final was played in Paris."),
    "cooking": ("Fry the onions in butter.", "Bake the cake for forty minutes.",
                "Add salt and pepper to the soup.", "Boil the pasta until it is soft."),
    "finance": ("The bank raised its interest rate.", "Shares of the company fell today.",
                "The fund paid a dividend.", "Our quarterly revenue grew by a tenth."),
    "weather": ("Heavy rain is expected tomorrow.", "The storm brought strong winds.",
                "It will be sunny and warm.", "Snow fell all night in the north."),
}  # fmt: skip
_WORDS: Final = (
    "urgent", "welcome", "invoice", "meeting", "report", "sale", "closed", "open", "warning",
    "garden", "planet", "window", "orange", "market", "silver", "bridge", "letter", "coffee",
)  # fmt: skip
_PLURALS: Final = {
    "cat": "cats", "box": "boxes", "child": "children", "mouse": "mice", "city": "cities",
    "foot": "feet", "man": "men", "tooth": "teeth", "book": "books", "knife": "knives",
    "woman": "women", "baby": "babies", "bus": "buses", "leaf": "leaves", "car": "cars",
}  # fmt: skip
_PASTS: Final = {
    "go": "went", "see": "saw", "eat": "ate", "write": "wrote", "take": "took", "buy": "bought",
    "run": "ran", "give": "gave", "speak": "spoke", "begin": "began", "know": "knew",
    "think": "thought", "sing": "sang", "make": "made", "come": "came",
}  # fmt: skip


def _sentiment(rng: random.Random, _: Difficulty) -> Item:
    good = rng.random() < 0.5
    text = rng.choice(_PRAISE if good else _BLAME).format(thing=rng.choice(_THINGS))
    right, wrong = ("positive", "negative") if good else ("negative", "positive")
    return Item(slots={"text": text}, reference=right, grader=exact(others=(wrong,)))


def _subject(rng: random.Random, _: Difficulty) -> Item:
    right, wrong = rng.sample(sorted(_SUBJECTS), 2)
    pair = sorted((right, wrong))
    return Item(
        slots={"text": rng.choice(_SUBJECTS[right]), "a": pair[0], "b": pair[1]},
        reference=right,
        grader=exact(others=(wrong,)),
    )


def _contact(rng: random.Random, _: Difficulty) -> Item:
    name, company = rng.choice(people.FIRST), rng.choice(people.COMPANIES)
    mail = f"{name.lower()}@{company.split()[0].lower()}.example"
    city = rng.choice(people.CITIES)
    asked, answer = rng.choice(
        (("email address", mail), ("city", city), ("first name", name), ("company", company))
    )
    text = f"My name is {name}, I work for {company} in {city}. You can reach me at {mail}."
    return Item(slots={"text": text, "asked": asked}, reference=answer, grader=exact())


def _sum(rng: random.Random, _: Difficulty) -> Item:
    a, b = rng.randint(2, 12), rng.randint(2, 12)
    sign, value = rng.choice((("plus", a + b), ("times", a * b), ("minus", a - b)))
    if value < 0:
        a, b, value = b, a, -value
    return Item(
        slots={"question": f"What is {a} {sign} {b}?"},
        reference=str(value),
        grader=Grader(type="number"),
    )


def _story(rng: random.Random, _: Difficulty) -> Item:
    name, fruit = rng.choice(people.FIRST), rng.choice(people.FRUITS)
    a, b = rng.randint(3, 12), rng.randint(2, 9)
    if rng.random() < 0.5:
        text, value = f"{name} has {a} {fruit} and buys {b} more.", a + b
    else:
        text, value = f"{name} has {a + b} {fruit} and gives away {b}.", a
    return Item(
        slots={"question": f"{text} How many {fruit} does {name} have now?"},
        reference=str(value),
        grader=Grader(type="number"),
    )


def _word(rng: random.Random, _: Difficulty) -> Item:
    kind = rng.randrange(4)
    if kind == 0:
        word = rng.choice(_WORDS)
        question, answer = f'How do you write "{word}" in capital letters?', word.upper()
    elif kind == 1:
        word = rng.choice(sorted(_PLURALS))
        question, answer = f'What is the plural of "{word}"?', _PLURALS[word]
    elif kind == 2:
        word = rng.choice(sorted(_PASTS))
        question, answer = f'What is the past tense of "{word}"?', _PASTS[word]
    else:
        word = rng.choice(_WORDS)
        question, answer = f'What is the first letter of the word "{word}"?', word[0]
    return Item(slots={"question": question}, reference=answer, grader=exact())


def _snippet(rng: random.Random, _: Difficulty) -> Item:
    word, other, n = rng.choice(_WORDS), rng.choice(_WORDS), rng.randint(2, 9)
    code, answer = rng.choice(
        (
            (f'print("{word}")', word),
            (f'print("{word}".upper())', word.upper()),
            (f'print("{word} {other}")', f"{word} {other}"),
            (f"print({n} + {n + 3})", str(2 * n + 3)),
            (f'print(len("{word}"))', str(len(word))),
        )
    )
    return Item(
        slots={"code": code},
        reference=answer,
        grader=Grader(type="number") if answer.isdigit() else exact(),
    )


def _facts(area: str) -> Family:
    return Family(
        name=area,
        labels=labelled("question_answering", "general", "free_text", complexity="recall"),
        wordings=_ASKED,
        held_out=_ASKED_HELD_OUT,
        draw=functools.partial(fact, _TOPICS[area]),
        levels=(1, 1, 1, 2),
        weight=2,
    )


FAMILIES: Final = (
    *map(_facts, _TOPICS),
    Family(
        name="plain_sentiment",
        labels=labelled("classification", "business", "free_text"),
        wordings=(
            'Is this review positive or negative? "{text}"',
            'A customer wrote: "{text}" Is that positive or negative?',
            '"{text}" Would you say this is positive or negative?',
            'Please tell me if this feedback is positive or negative: "{text}"',
        ),
        held_out=(
            'How does this customer feel, positive or negative? "{text}"',
            'We received this comment: "{text}" Is it negative or positive?',
        ),
        draw=_sentiment,
        levels=(1,),
        weight=2,
    ),
    Family(
        name="plain_subject",
        labels=labelled("classification", "general", "free_text"),
        wordings=(
            'Is this sentence about {a} or {b}? "{text}"',
            '"{text}" Is that about {a} or about {b}?',
            'What is the topic of this sentence, {a} or {b}? "{text}"',
            'Does this belong to {a} or to {b}? "{text}"',
        ),
        held_out=(
            'Which topic fits better, {a} or {b}? "{text}"',
            'I read this: "{text}" Is it about {b} or {a}?',
        ),
        draw=_subject,
        levels=(1,),
    ),
    Family(
        name="plain_contact",
        labels=labelled("extraction", "business", "free_text"),
        wordings=(
            "{text} What is the {asked}?",
            "What is the {asked} in this message? {text}",
            'Find the {asked} in this text: "{text}"',
            "{text}\nPlease give me the {asked}.",
        ),
        held_out=(
            'Which {asked} is mentioned here? "{text}"',
            "I need the {asked} from this message. {text}",
        ),
        draw=_contact,
        levels=(1,),
        weight=2,
    ),
    Family(
        name="plain_sum",
        labels=labelled("mathematical_reasoning", "mathematics", "number"),
        wordings=_ASKED,
        held_out=_ASKED_HELD_OUT,
        draw=_sum,
        levels=(1,),
    ),
    Family(
        name="plain_story",
        labels=labelled("mathematical_reasoning", "mathematics", "number"),
        wordings=_ASKED,
        held_out=_ASKED_HELD_OUT,
        draw=_story,
        levels=(1,),
    ),
    Family(
        name="plain_word",
        labels=labelled("rewriting", "general", "free_text"),
        wordings=_ASKED,
        held_out=_ASKED_HELD_OUT,
        draw=_word,
        levels=(1,),
        weight=2,
    ),
    Family(
        name="plain_snippet",
        labels=labelled("code_understanding", "software", "free_text"),
        wordings=(
            "What does this Python code print?\n{code}",
            "What is printed by {code} in Python?",
            "If I run {code}, what will I see?",
            "Tell me the output of this Python line: {code}",
        ),
        held_out=("What will {code} show in Python?", "What comes out of {code}?"),
        draw=_snippet,
        levels=(1,),
    ),
)
"""Families of plain questions; all their facts keep the split they have elsewhere."""
