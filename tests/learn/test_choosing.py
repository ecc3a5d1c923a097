"""A short budget buys whole rows of fair samples, from models worth asking, and goes on alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from emafusion.learn import choosing
from emafusion.learn.bounds import Choose
from emafusion.learn.choosing import Batch, Known, following, members
from emafusion.learn.collect import Bounds, Report, collect
from emafusion.types import Call, Model
from learn.collecting import Bookkeeper, next_number, sums

pytest.importorskip("sklearn")

POOL = tuple(
    Model(name=name, provider="p", upstream=name, usd_per_mtok_in=0.0, usd_per_mtok_out=price)
    for name, price in (("cheap", 10.0), ("waste", 2000.0), ("dear", 300.0), ("twin", 12.0))
)
RIGHT = {"cheap": 5, "waste": 3, "dear": 9, "twin": 5}
"""In how many of ten questions each is right: nothing speaks for `waste`."""


class Encoder:
    """Two kinds of prompts, told apart by their first letter."""

    name = "kinds"
    dim = 2

    def encode(self, texts: Sequence[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        rng = np.random.default_rng(0)
        found = np.array([[1.0, 0.0] if text[0] == "a" else [0.0, 1.0] for text in texts])
        return (found + rng.normal(0.0, 0.01, found.shape)).astype(np.float32)


def known(rows: int, answered: int = 0, *, left: float, closed: bool = False) -> Known:
    """`answered` of `rows` questions have an answer of each of three models."""
    rng = np.random.default_rng(1)
    scores = np.full((rows, 3), np.nan)
    costs = np.full((rows, 3), np.nan)
    scores[:answered] = rng.random((answered, 3)) < (0.6, 0.3, 0.9)
    costs[:answered] = (0.001, 0.02, 0.01)
    return Known(
        scores=scores,
        costs=costs,
        closed=~np.isnan(scores) | closed,
        left_usd=left,
        prior_usd=np.array([0.002, 0.05, 0.03]),
    )


def first(known: Known) -> Batch | None:
    return next(following(known, range(len(known.scores))), None)


def test_every_prefix_covers_kinds_and_splits_in_proportion() -> None:
    prompts = [f"{'a' if number % 4 else 'b'}{number}" for number in range(400)]
    splits = ["test" if number % 5 == 0 else "train" for number in range(400)]
    found = choosing.order(prompts, splits, encoder=Encoder())
    assert sorted(found) == list(range(400))
    assert found == choosing.order(prompts, splits, encoder=Encoder())
    for size in (40, 100, 237):
        kinds = Counter(prompts[place][0] for place in found[:size])
        assert kinds["b"] == pytest.approx(size / 4, abs=7)
        tests = sum(splits[place] == "test" for place in found[:size])
        assert tests == pytest.approx(size / 5, abs=1.5)


def test_few_or_equal_prompts_have_an_order_too() -> None:
    assert sorted(choosing.order(["a"] * 50, ["train"] * 50, encoder=Encoder())) == list(range(50))
    assert choosing.order(["a"], ["val"], encoder=Encoder()) == [0]


def test_models_that_add_nothing_for_their_price_are_left_out() -> None:
    rng = np.random.default_rng(0)
    hard = rng.random(200)
    good = (hard < 0.9).astype(float)
    weak = (hard < 0.5).astype(float)
    scores = np.stack([weak, weak, good, weak * 0.0], axis=1)
    costs = np.tile([0.001, 0.02, 0.01, 0.001], (200, 1))
    # The two best by their means, cheap ones first among equals; the fourth is never right.
    assert members(scores, costs) == [0, 2]
    complementary = np.stack([weak * 0.0, weak, 1.0 - weak], axis=1)
    assert members(complementary, np.full((200, 3), 0.01)) == [1, 2]


def test_where_the_money_reaches_everything_is_bought() -> None:
    assert first(known(30, left=100.0)) == Batch(questions=tuple(range(30)), models=(0, 1, 2))
    assert first(known(30, 30, left=0.001)) is None
    assert first(known(30, left=1.0, closed=True)) is None


def test_the_first_questions_go_to_every_model_and_later_ones_to_those_worth_it() -> None:
    start = first(known(5000, left=3.0))
    assert start is not None
    assert start.models == (0, 1, 2)
    assert start.questions[0] == 0
    assert len(start.questions) <= choosing.FIRST_LOOK
    # 3 + 20 × .031 dollars, a fifth of them at .031 a question: 23, but never fewer than 60.
    core = [batch.questions for batch in following(known(5000, 20, left=3.0), range(5000))]
    assert core[0][0] == 20
    assert core[0][-1] <= choosing.CORE
    later = first(known(5000, 60, left=3.0))
    assert later is not None
    assert later.models == (0, 2)
    assert later.questions[0] == 60
    assert len(later.questions) == int(3.0 / 0.011 / 2)


def test_what_is_next_depends_on_what_is_recorded_alone() -> None:
    found = known(500, 60, left=1.0)
    assert list(following(found, range(500))) == list(following(found, range(500)))


def moody(call: Call) -> str:
    """Right as often as :data:`RIGHT` says, by the question."""
    told = next_number(call)
    return told if (int(told) * 7) % 10 < RIGHT[call.model.name] else "no idea"


async def bought(
    folder: Path, budget: float, *, choose: Choose = "auto", count: int = 250
) -> tuple[Report, Bookkeeper]:
    provider = Bookkeeper(moody)
    bounds = Bounds(budget_usd=budget, choose=choose, max_tokens=10)
    report = await collect(
        sums(count), POOL, providers={"p": provider}, folder=folder, bounds=bounds
    )
    return report, provider


def rows(folder: Path) -> dict[str, set[str]]:
    """The models that answered each question."""
    found: dict[str, set[str]] = {}
    for row in parquet.read_table(folder / "outcomes.parquet").to_pylist():
        found.setdefault(row["query_id"], set()).add(row["model"])
    return found


async def test_a_short_budget_buys_rows_that_a_fit_can_use(tmp_path: Path) -> None:
    everything = 250 * 3 * sum(model.usd_per_mtok_out for model in POOL) / 1e6
    budget = 0.35 * everything
    report, _ = await bought(tmp_path / "auto", budget)
    assert report.spent_usd <= budget
    assert report.spent_usd > 0.8 * budget
    asked = rows(tmp_path / "auto")
    assert sum(len(models) == 4 for models in asked.values()) >= choosing.CORE
    useful = sum({"cheap", "dear"} <= models for models in asked.values())
    await bought(tmp_path / "all", budget, choose="all")
    plain = sum({"cheap", "dear"} <= models for models in rows(tmp_path / "all").values())
    assert useful > 180
    assert plain < 30
    splits = parquet.read_table(tmp_path / "auto" / "queries.parquet")["split"].to_pylist()
    assert {"train", "val"} == set(splits)


async def test_a_run_that_goes_on_buys_what_it_would_have_bought(tmp_path: Path) -> None:
    budget = 0.6
    await bought(tmp_path / "once", budget, count=130)
    for part in (0.3, 0.8):
        await bought(tmp_path / "often", part * budget, count=130)
    _, provider = await bought(tmp_path / "often", budget, count=130)
    assert provider.asked
    once, often = rows(tmp_path / "once"), rows(tmp_path / "often")
    shared = sum(models == often.get(query) for query, models in once.items())
    assert shared > 0.9 * max(len(once), len(often))
    report, again = await bought(tmp_path / "once", budget, count=130)
    # A remainder too small for the dearest's next call may still buy a cheap one's.
    assert len(again.asked) < 10
    assert report.spent_usd <= budget


async def test_a_killed_collection_goes_on_with_the_same_cells(tmp_path: Path) -> None:
    class Dies(BaseException):  # a stand-in for a kill
        pass

    class Dying(Bookkeeper):
        def _note(self, call: Call) -> None:
            if len(self.asked) == 100:
                raise Dies
            super()._note(call)

    bounds = Bounds(budget_usd=0.6, choose="auto", max_tokens=10)
    with pytest.raises(Dies):
        await collect(
            sums(130), POOL, providers={"p": Dying(moody)}, folder=tmp_path / "a", bounds=bounds
        )
    _, rest = await bought(tmp_path / "a", 0.6, count=130)
    _, whole = await bought(tmp_path / "b", 0.6, count=130)
    # The call that was under way counts at its highest price: that much less is bought.
    assert len(set(whole.asked) - set(rest.asked)) <= 101
    assert rows(tmp_path / "a").keys() <= rows(tmp_path / "b").keys()
