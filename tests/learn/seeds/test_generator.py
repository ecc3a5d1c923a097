from __future__ import annotations

from pathlib import Path

import pytest

from emafusion.learn.seeds import Seed, read
from emafusion.learn.seeds.generator import Supply, reworded, supply, values
from emafusion.learn.synthesise import from_seeds
from emafusion.testing import ScriptedProvider
from emafusion.types import Call, Model, content_text

pytest.importorskip("pyarrow")

SEEDS = """
[[seed]]
name = "labels"
wordings = ["Write a label for {product} in at most 5 words.", "Label {product}: 5 words, no more."]
held_out = ["What would you print on {product}? Use 5 words."]
grader = { type = "constraint", max_words = 5, include = ["{product}"] }
labels = { task = "generation", domain = "business", format = "free_text" }
[seed.slots]
product = { generate = "short product names", count = 6, values = ["Kite"] }
"""
MODEL = Model(
    name="writer", provider="house", upstream="w", usd_per_mtok_in=1.0, usd_per_mtok_out=10.0
)
LISTED = """Here are some:
1. Lantern
2. **Brook**
- Kite
* {evil}
- a name that goes on for far too many words to fit
Fern"""


def scripted(call: Call) -> str:
    asked = content_text(call.messages[-1])
    if "Write a list" in asked:
        return LISTED
    original = asked.rpartition("\n\n")[2]
    # The second wording loses its number.
    return "Say: " + (original.replace("5", "five") if "no more" in original else original)


async def supplied(
    folder: Path, provider: ScriptedProvider, *, budget: float | None = 1.0
) -> tuple[Seed, Supply]:
    path = folder / "seeds.toml"
    path.write_text(SEEDS)
    made, told = await supply(
        read([path]), MODEL, providers={"house": provider}, folder=folder, budget_usd=budget
    )
    (seed,) = made
    assert isinstance(seed, Seed)
    return seed, told


async def test_values_and_wordings_are_checked_and_join_the_seed(tmp_path: Path) -> None:
    seed, told = await supplied(tmp_path, ScriptedProvider(scripted))
    slot = seed.slots["product"]
    assert [slot.at(n) for n in range(slot.size)] == ["Kite", "Lantern", "Brook", "Fern"]
    written = {w.id: w for w in seed.wordings if w.generator == "writer"}
    assert set(written) == {"gw0", "gh0"}
    assert written["gh0"].splits == {"test"}
    assert "test" not in written["gw0"].splits
    assert (told.values, told.wordings, told.dropped, told.stopped) == (
        3,
        2,
        3,
        None,
    )  # the failed wording is asked for three times
    assert told.spent_usd > 0
    made = from_seeds([seed], 40, seed=1)
    models = {
        question.provenance["generator"]
        for part in made.questions.values()
        for question in part
        if str(question.provenance["wording"]).startswith("g")
    }
    assert models == {"writer"}


async def test_nothing_is_paid_twice_and_the_result_is_the_same(tmp_path: Path) -> None:
    provider = ScriptedProvider(scripted)
    first, told = await supplied(tmp_path, provider)
    calls = len(provider.calls)
    assert told.calls == calls == 7
    second, again = await supplied(tmp_path, provider)
    assert len(provider.calls) == calls
    assert (again.calls, again.spent_usd) == (0, told.spent_usd)
    assert first == second


async def test_the_budget_is_never_exceeded(tmp_path: Path) -> None:
    provider = ScriptedProvider(scripted)
    seed, told = await supplied(tmp_path, provider, budget=0.0045)
    assert told.stopped is not None
    assert "budget" in told.stopped
    assert 0 < len(provider.calls) < 4
    assert told.spent_usd <= 0.0045
    # What was not supplied is not missed: the seed's own values and wordings remain.
    assert seed.slots["product"].size >= 1
    assert len(seed.wordings) >= 3


def test_values_are_short_lines() -> None:
    assert values("1) Ash\n2) Oak.\nash\n\n<b>x</b>\n```\n\x07bell") == ["Ash", "Oak"]
    assert values("") == []
    assert values("Ash, Oak and birch, ash, Elm.") == ["Ash", "Oak and birch", "Elm"]
    assert values("Ash, Oak") == ["Ash, Oak"]


async def test_what_is_lacking_is_asked_for_again_and_told_what_is_there(tmp_path: Path) -> None:
    names = iter(("Ash\nOak", "Elm\nFir", "Yew\nBox"))

    def growing(call: Call) -> str:
        asked = content_text(call.messages[-1])
        return next(names) if "Write a list" in asked else "no"

    provider = ScriptedProvider(growing)
    seed, told = await supplied(tmp_path, provider)
    slot = seed.slots["product"]
    assert [slot.at(n) for n in range(slot.size)] == ["Kite", "Ash", "Oak", "Elm", "Fir", "Yew"]
    lists = [text for call in provider.calls if "list" in (text := content_text(call.messages[-1]))]
    assert len(lists) == 3
    assert "Kite, Ash, Oak" in lists[1]
    assert (told.values, told.wordings) == (5, 0)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('"Could you sort {x} as big, small or odd? One word."', True),
        ("Here is the rewrite:\nSort {x} into big, small or odd; only the word.", True),
        ("Could you sort this as big, small or odd? One word.", False),
        ("Sort {x} and {x} as big, small or odd. One word.", False),
        ("Sort {x} as big or small. One word.", False),
        ("Is {x} rather big, small or odd?", False),
        ("Sort {x} as big, small or odd. One word. {y}", False),
        ("Sort {x} as big, small or odd. One word. ```rm```", False),
        ("{x} big small odd one word " * 9, False),
        ("", False),
    ],
)
def test_a_wording_must_keep_what_it_asks(text: str, kept: bool) -> None:
    found = reworded(text, "Classify {x} as big, small or odd. Reply with one word.")
    assert (found is not None) is kept


def test_a_wording_keeps_numbers_quotes_and_capitals() -> None:
    original = 'Give {x} as JSON with the key "sum" and 2 decimals.'
    assert reworded('JSON please: {x}, key "sum", 2 decimals.', original)
    assert reworded('JSON please: {x}, key "sum", two decimals.', original) is None
    assert reworded("JSON please: {x}, key sum, 2 decimals.", original) is None
    assert reworded("Write one sentence about {x}.", "Write something about {x}.")
    assert reworded("Write something about {x}.", "Write one sentence about {x}.") is None
    assert reworded('An object please: {x}, key "sum", 2 decimals.', original) is None
