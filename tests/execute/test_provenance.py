"""The laws of provenance: what is copied is traced, what is new is the writer's."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.execute.provenance import coverage, parts, provenance, tokens
from emafusion.types import Origin
from growth import LINEAR, growth

WORDS = ["apple", "river", "stone", "market", "engine", "glass", "winter", "orbit", "velvet"]
SENTENCES = st.lists(st.sampled_from(WORDS), min_size=3, max_size=9).map(
    lambda words: " ".join(words).capitalize() + "."
)
DRAFTS = st.lists(st.lists(SENTENCES, min_size=1, max_size=5), min_size=1, max_size=4)


@given(st.text())
def test_parts_tile_any_text(text: str) -> None:
    tiles = parts(text)
    assert "".join(text[start:end] for start, end in tiles) == text
    assert all(start < end for start, end in tiles)


@given(st.text(), st.lists(st.text(), max_size=3))
def test_origins_tile_the_text_in_order(text: str, drafts: list[str]) -> None:
    origins = provenance(text, drafts)
    position = 0
    for origin in origins:
        assert origin.start == position
        position = origin.end
    assert position == len(text)


@given(DRAFTS, st.data())
def test_copied_sentences_are_traced_to_their_draft(
    drafts: list[list[str]], data: st.DataObject
) -> None:
    place = st.integers(0, len(drafts) - 1)
    chosen = data.draw(st.lists(place, min_size=1, max_size=6))
    sentences = [data.draw(st.sampled_from(drafts[draft])) for draft in chosen]
    origins = provenance(" ".join(sentences), [" ".join(draft) for draft in drafts])
    assert len(origins) == len(sentences)
    for draft, origin in zip(chosen, origins, strict=True):
        assert draft in origin.drafts
        assert origin.support[origin.drafts.index(draft)] == 1.0


@given(DRAFTS, st.randoms(use_true_random=False))
def test_permuting_drafts_permutes_origins(drafts: list[list[str]], random: Random) -> None:
    texts = [" ".join(draft) for draft in drafts]
    order = list(range(len(texts)))
    random.shuffle(order)
    text = " ".join(sentence for draft in drafts for sentence in draft[:2])
    before = provenance(text, texts)
    after = provenance(text, [texts[place] for place in order])
    for old, new in zip(before, after, strict=True):
        moved = {order[draft]: s for draft, s in zip(new.drafts, new.support, strict=True)}
        assert moved == dict(zip(old.drafts, old.support, strict=True))


@given(DRAFTS)
def test_unrelated_text_has_no_origin(drafts: list[list[str]]) -> None:
    text = (
        "Bananas ripen faster beside each other. Nobody in the village knew why it rained.\n- Yes"
    )
    origins = provenance(text, [" ".join(draft) for draft in drafts])
    assert [origin.drafts for origin in origins] == [(), (), ()]
    assert coverage(origins, len(drafts)).own == pytest.approx(1.0)


@given(st.text(), st.lists(st.text(), max_size=3))
def test_shares_sum_to_one(text: str, drafts: list[str]) -> None:
    shares = coverage(provenance(text, drafts), len(drafts))
    assert sum(shares.drafts) + shares.own == pytest.approx(1.0 if text else 0.0)


def test_each_sentence_finds_the_draft_that_said_it() -> None:
    drafts = [
        "The bridge opened in 1932. It is painted grey every ten years.",
        "Trains cross the bridge every four minutes. Its span is 503 metres.",
    ]
    text = "The bridge opened in 1932. Its span is 503 metres. A toll has been paid since May."
    assert [origin.drafts for origin in provenance(text, drafts)] == [(0,), (1,), ()]


def test_a_reworded_sentence_is_traced_and_supported_less() -> None:
    drafts = ["The quarterly revenue of Norvik rose by 14 percent thanks to exports.", "Unknown."]
    (origin,) = provenance("Thanks to exports, Norvik's revenue rose 14 percent.", drafts)
    assert origin.drafts == (0,)
    assert origin.support[0] < 1.0


def test_words_in_another_order_count_for_less_than_a_literal_run() -> None:
    (origin,) = provenance("Velvet glass engine market.", ["Market velvet engine glass."])
    assert (origin.drafts, origin.support) == ((0,), (0.8,))


def test_a_word_or_two_are_traced_only_where_they_stand_alone() -> None:
    text = "In Oslo.\nMarket engine."
    drafts = ["The fair in Oslo opens.\nMarket engine", "Nothing of that kind."]
    assert [origin.drafts for origin in provenance(text, drafts)] == [(), (0,)]


def test_many_statements_of_common_words_take_linear_time() -> None:
    random = Random(4)
    words = [a + b for a in "abcdefghij" for b in "klmnopqrst"]
    drafts = [[" ".join(random.choices(words, k=29)) for _ in range(600)] for _ in range(3)]
    quarter, whole = ([".\n".join(draft[:size]) for draft in drafts] for size in (150, 600))
    assert growth(lambda texts: provenance(texts[0], texts), quarter, whole) < LINEAR


def test_what_both_said_came_from_both_and_counts_half_for_each() -> None:
    origins = provenance("Water boils at 100 degrees.", ["Water boils at 100 degrees."] * 2)
    assert origins == (Origin(start=0, end=27, drafts=(0, 1), support=(1.0, 1.0)),)
    assert coverage(origins, 2).drafts == (0.5, 0.5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Smith paid 3.50 euros. He left.", ["Dr. Smith paid 3.50 euros. ", "He left."]),
        ("1. Mix it.\n2. Bake it.", ["1. Mix it.\n", "2. Bake it."]),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ["| a | b |\n|---|---|\n", "| 1 | 2 |"]),
        ("```python\na = b. c\n}\n```\nDone.", ["```python\n", "a = b. c\n}\n```\n", "Done."]),
        ("東京は首都です。人口は多い。", ["東京は首都です。", "人口は多い。"]),
        ("\n\n  Hello there", ["\n\n  Hello there"]),
        ("...", ["..."]),
    ],
)
def test_a_text_falls_into_statements(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in parts(text)] == expected


def test_equal_numbers_are_equal_tokens() -> None:
    assert tokens("1,000 and 5.50 and 007 and ５") == ["1000", "and", "5.5", "and", "7", "and", "5"]


@pytest.mark.parametrize("piece", [".", "a. ", "a ", "1,", "'\"", "```\n", "the same words here. "])
def test_a_hostile_text_takes_linear_time(piece: str) -> None:
    quarter, whole = (piece * (size // len(piece)) for size in (10_000, 40_000))
    assert growth(lambda text: provenance(text, [text, text]), quarter, whole) < LINEAR


def test_what_is_too_long_to_read_is_one_part_of_unknown_origin() -> None:
    text = "word " * 50_000
    last = provenance(text, [text])[-1]
    assert (last.start, last.end, last.drafts) == (200_000, 250_000, ())
