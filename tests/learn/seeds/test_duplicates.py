from __future__ import annotations

import random

from emafusion.learn.seeds.duplicates import NEAR, pairs

WORDS = ("north", "river", "table", "seven", "quiet", "lamp", "order", "paper", "green", "window")


def long_text(seed: int, length: int = 80) -> list[str]:
    rng = random.Random(seed)
    return [rng.choice(WORDS) + str(rng.randrange(40)) for _ in range(length)]


def test_short_prompts_are_told_apart_by_a_word_and_not_by_punctuation() -> None:
    assert pairs(["What is 3 + 4?", "What is 3 + 5?", "what is  3 + 4"]) == [(0, 2)]


def test_one_changed_word_in_many_makes_a_near_duplicate() -> None:
    text = long_text(1)
    changed = [*text[:40], "changed", *text[41:]]
    assert pairs([" ".join(text), " ".join(long_text(2)), " ".join(changed)]) == [(0, 2)]


def test_the_exact_similarity_decides() -> None:
    found = 0
    for seed in range(40):
        text = long_text(seed)
        # Eight changed words leave some 60 % of the shingles.
        other = [f"other{n}" if n % 10 == 5 else word for n, word in enumerate(text)]
        assert pairs([" ".join(text), " ".join(other)]) == []
        near = [*text[:-1], "last"]
        assert len(near) - 2 - 1 >= NEAR * (len(near) - 2 + 1)
        found += pairs([" ".join(text), " ".join(near)]) == [(0, 1)]
    assert found == 40
