"""Questions in other words: those that ask the same are found, others never."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.gateway.caches import SameQuestion
from emafusion.gateway.caches.wording import LONGEST, read
from growth import LINEAR, growth

from . import pairs
from .parts import House, hit, scope

SAME = [
    ("What is the capital of France?", "what's the capital of france"),
    ("What is the capital of France?", "Can you tell me what the capital of France is?"),
    (
        "What is the capital of France?",
        "Hi, could you please tell me the capital of France? Thanks!",
    ),
    ("How do I sort a list in Python?", "In Python, how can I sort a list?"),
    ("Summarise the plot of Hamlet.", "Could you summarize the plot of Hamlet for me?"),
    ("What does ubiquitous mean?", "Define ubiquitous."),
    ("Which country is largest?", "what country is largest"),
    ("Don’t cats swim?", "don't cats swim"),
    ("¿Cuál es la capital?", "¿cuál   es la Capital?"),
]
DIFFERENT = [
    ("What is 5!", "What is 5?"),
    ("What is x²+1 at 3?", "What is x2+1 at 3?"),
    ("What is .NET?", "What is net?"),
    ("Is a != b?", "Is a = b?"),
    ("Explain CO poisoning", "Explain Co poisoning"),
    ("Tell us about it", "Tell US about it"),
    ("Recipes for Turkey in May", "Recipes for turkey in May"),
    ("Translate to French: thank you", "Translate to French: please"),
    ("Translate to French: hello, thanks", "Translate to French: hello"),
    ("What is a buy order?", "What is a purchase order?"),
    ("What is the meaning of life?", "Define life"),
    ("Tell me a joke", "What is a joke?"),
    ("What is best for me?", "What is best?"),
    ("Hello Kitty's creator", "Kitty's creator"),
    ("Does Bob owe Alice?", "Does Alice owe Bob?"),
    ("Who wins the cup?", "Who won the cup?"),
    ("What is -5 + 3?", "What is 5 + 3?"),
    ("Is 10% more than 3?", "Is 10 more than 3?"),
    ('Spell "Ship"', 'Spell "ship"'),
    ("Which is heavier, 1 kg or 1 lb?", "Which is heavier, 1 lb or 1 kg?"),
    ("Can you swim?", "Can I swim?"),
    ("Is it legal?", "Is it not legal?"),
    ("What is the plural of ox?", "What is the plural of oxen?"),
    ("Name a president", "Name presidents"),
    ("What is the Cure?", "What is the cure?"),
    ("You are a doctor?", "You are a doctor."),
    ("Do you know Latin?", "Latin?"),
    ("How many letters are in colour?", "How many letters are in color?"),
    ("How do Americans spell colour?", "How do Americans spell color?"),
    (
        "Where does the comma go in lets eat, grandma?",
        "Where does the comma go in lets eat grandma?",
    ),
    ("Count the words: I'm here", "Count the words: I am here"),
    ("Is paris written correctly?", "Is Paris written correctly?"),
    ("How many apostrophes are in don't?", "How many apostrophes are in do not?"),
    ("Rewrite: I can't come", "Rewrite: I can not come"),
]


def same(one: str, other: str) -> bool:
    """Whether an answer to `one` is given to `other`."""
    words = read(one)
    return words is not None and words == read(other)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_question_reads_the_same(one: str, other: str) -> None:
    assert same(one, other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_another_question_reads_otherwise(one: str, other: str) -> None:
    assert not same(one, other)


@pytest.mark.parametrize("text", ["", " \n", "x" * 601, "```a```", "f(x) {1}", "a_b", "m.n(1)"])
def test_nothing_code_and_long_texts_have_no_reading(text: str) -> None:
    assert read(text) is None


def test_false_hits_are_rarer_than_one_in_a_thousand() -> None:
    """2,000 pairs that differ in a number, name, role, unit, date, negation, opposite or tense."""
    found = [pair for pair in pairs.different(2000, seed=1) if same(pair[0], pair[1])]
    assert len(found) <= 2, found


def test_a_fair_share_of_paraphrases_is_found() -> None:
    found = [same(one, other) for one, other in pairs.same(1000, seed=1)]
    assert sum(found) / len(found) > 0.3


def test_the_changes_all_occur() -> None:
    assert {name for _, _, name in pairs.different(1000)} == set(pairs.CHANGES)


@given(text=st.text(max_size=700))
def test_any_text_can_be_read(text: str) -> None:
    words = read(text)
    assert words is None or 0 < len(words) <= 80


@given(text=st.text(alphabet="ab 5!?.,'\"tellmehowx", max_size=30), digit=st.integers(0, 9))
def test_numbers_are_never_lost(text: str, digit: int) -> None:
    one, other = read(f"{text} {digit}"), read(f"{text} {(digit + 1) % 10}")
    assert one is None or one != other


async def test_a_reworded_question_is_answered_from_the_cache() -> None:
    house = House(key=SameQuestion(scope))
    first = await house.ask("What is the capital of France?")
    again = await house.ask("Can you tell me what the capital of France is?")
    assert again.reply_headers["x-emafusion-cache"] == "similar"
    assert again.reply_headers["x-emafusion-cached-decision"] == first.request.id
    assert house.calls == 1


@pytest.mark.parametrize(
    "told",
    [
        {"history": ({"role": "system", "content": "Answer in French."},)},
        {"history": ({"role": "user", "content": "x"}, {"role": "assistant", "content": "y"})},
        {"max_tokens": 3},
        {"response_format": {"type": "json_object"}},
        {"team": "blue"},
    ],
)
async def test_everything_else_must_be_equal(told: dict[str, object]) -> None:
    house = House(key=SameQuestion(scope))
    await house.ask("What is the capital of France?")
    assert not hit(await house.ask("what's the capital of france", **told))


async def test_questions_of_several_parts_are_not_compared() -> None:
    key = SameQuestion(scope)
    house = House()
    picture = house.passage()
    parts = [{"type": "text", "text": "Who?"}, {"type": "image_url", "image_url": {"url": "u"}}]
    assert key.of(house.passage("Who?")) is not None
    assert key.of(house.passage(parts)) is None  # type: ignore[arg-type]
    assert key.of(house.passage("x", history=picture.request.messages)) is not None


@pytest.mark.parametrize("piece", ["'", '"', "a'", "1-", "hi, ", "please "])
def test_hostile_texts_are_read_in_linear_time(piece: str) -> None:
    """What regular expressions find hard, in the few characters that are read at all."""
    quarter, whole = (piece * (size // len(piece)) for size in (LONGEST // 4, LONGEST))
    assert growth(lambda text: [read(text) for _ in range(30)], quarter, whole) < LINEAR
