from __future__ import annotations

import random
import re

import pytest

from emafusion.learn.families import Split
from emafusion.learn.seeds import Seed, Wording, frames
from emafusion.learn.seeds.seed import ALL

SPLITS: tuple[Split, ...] = ("train", "val", "test")
TEXT = "Please classify the following {kind}: {prompt} {context}"


def composed(
    split: Split, *, text: str = "Please classify {what}.", context: str = TEXT
) -> set[str]:
    wording = Wording(id="w0", text=text, splits=ALL)
    seed = Seed(
        name="s",
        source="s.toml",
        wordings=(wording,),
        context="{body}",
        grader={"type": "exact"},
        variations=frozenset(frames.KINDS),
    )
    scope = {"what": "the following message", "body": context}
    return {
        frames.compose(seed, wording, scope, split=split, rng=random.Random(n)).prompt
        for n in range(400)
    }


@pytest.mark.parametrize("split", SPLITS)
def test_values_and_context_stay_as_they_are(split: Split) -> None:
    prompts = composed(split)
    assert len(prompts) > 60
    for prompt in prompts:
        # Typos touch the template's words alone, and each text stands there once.
        assert prompt.count(TEXT) == 1
        assert prompt.count("the following message") == 1
        assert re.search(r"(?i)p\w*e\w* c\w+ the following message\.", prompt)


def test_a_wording_may_place_its_context() -> None:
    for prompt in composed("train", text="Read {context} and sort {what}.", context="{prompt}!"):
        assert "Read {prompt}! and sort the following message." in prompt


def test_the_test_split_has_frames_of_its_own() -> None:
    around, layouts = frames.shipped()
    for frame in (*around, *layouts):
        assert frame.train
        assert frame.held_out
        assert not set(frame.train) & set(frame.held_out)
        for text in (*frame.train, *frame.held_out):
            assert text.count("{prompt}") == 1
            assert text.count("{context}") == (frame.kind == "order")
    assert {frame.kind for frame in around} | {"order", "typos"} == set(frames.KINDS)
    plain = "Please classify the following message.\n\n" + TEXT
    assert composed("train") & composed("test") <= {plain} | {
        prompt for prompt in composed("test") if prompt.endswith("message.\n\n" + TEXT)
    }


def test_a_demand_for_brevity_is_never_framed_with_show_your_working() -> None:
    kinds = frozenset({"format"})
    for n in range(100):
        rng = random.Random(n)
        framed = frames.surround(
            "2 + 2? Only the number.", kinds=kinds, grader="number", split="train", rng=rng
        )
        assert "step by step" not in framed.prompt
