"""A model joins a policy that was fitted without it, from sixty of its recorded answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from emafusion import encoders
from emafusion.config.build import replaying
from emafusion.errors import DataError
from emafusion.evaluate.recorded import read
from emafusion.learn.probing import choosing, joining, reading
from emafusion.learn.probing.joining import Joined
from emafusion.learn.probing.known import Answers, Known
from emafusion.providers.replay import ReplayProvider
from emafusion.types import Knobs, Model, Request

from .conftest import NEWCOMER, OUTCOMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

PRICES = {"smollm2-135m": 0.01, NEWCOMER: 0.03, "qwen2.5-coder-1.5b": 0.1}


def models(**prices: float) -> list[Model]:
    told = {**PRICES, **prices}
    return [
        Model(name=n, provider="p", upstream=n, usd_per_mtok_in=p, usd_per_mtok_out=2.0 * p)
        for n, p in told.items()
    ]


def asked(known: Known, prefer: float, row: int = 0) -> Request:
    content = known.material.recorded.prompts[row]
    return Request(
        id=f"{prefer}:{row}",
        messages=({"role": "user", "content": content},),
        knobs=Knobs(prefer=prefer),
    )


@pytest.fixture(scope="module")
def said(known: Known, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """The newcomer's recorded answers to sixty rows, read from a folder of their own."""
    rows = choosing.informative(*known.columns(), 60)
    return probes(known, rows, tmp_path_factory.mktemp("probes"))


def probes(known: Known, rows: NDArray[np.int64], folder: Path) -> Answers:
    import pyarrow.compute as pc
    from pyarrow import array, parquet

    names = array([known.material.recorded.queries[row] for row in rows.tolist()])
    for name in ("queries", "outcomes", "responses"):
        table = parquet.read_table(OUTCOMES / f"{name}.parquet")
        table = table.filter(pc.is_in(table["query_id"], value_set=names))
        if name != "queries":
            table = table.filter(pc.equal(table["model"], NEWCOMER))
        parquet.write_table(table, folder / f"{name}.parquet")
    return reading.answers(known, folder, NEWCOMER)


@pytest.fixture(scope="module")
def joined(known: Known, said: Answers) -> Joined:
    return joining.join(known, said)


def test_the_newcomer_is_forecast_as_it_is(joined: Joined, known: Known) -> None:
    whole = read(OUTCOMES)
    scores = whole.scores[:, whole.models.index(NEWCOMER)]
    rows = [whole.queries.index(name) for name in known.material.recorded.queries]
    mean, error = joined.quality
    assert abs(mean - float(np.nanmean(scores[rows]))) < 3.0 * error
    assert error < 0.08
    assert joined.like["qwen2.5-coder-1.5b"] > joined.like["smollm2-135m"]


def test_nothing_of_the_others_is_retrained(joined: Joined, known: Known) -> None:
    before, after = known.artefact.under("predict"), joined.artefact.under("predict")
    for name, array in before.items():
        kept = after[name] if array.shape == after[name].shape else after[name][..., :-1]
        assert np.array_equal(kept, array), name
    heads = known.artefact.arrays["judge/head_weights"]
    assert np.array_equal(joined.artefact.arrays["judge/head_weights"][:-1, 1:], heads[:, 1:])
    assert joined.artefact.manifest.pool == (*known.artefact.manifest.pool, NEWCOMER)


async def test_the_engine_serves_it_at_once(joined: Joined, known: Known) -> None:
    """Live decisions over recorded answers: the newcomer is asked, and may be left out."""
    parts = {"p": ReplayProvider(OUTCOMES)}
    engine = replaying(joined.artefact, models(), parts)
    called = set()
    for row in range(0, 60, 6):
        if known.material.recorded.queries[row] in answered():
            answer = await engine.serve(asked(known, 0.3, row))
            called |= set(answer.plan.arrangement.models)
            assert 0.0 <= answer.confidence <= 1.0
    assert NEWCOMER in called


def answered() -> set[str]:
    whole = read(OUTCOMES)
    full = np.asarray(~np.isnan(whole.scores).any(axis=1))
    return {name for name, every in zip(whole.queries, full.tolist(), strict=True) if every}


def test_equal_answers_give_equal_policies(joined: Joined, known: Known, said: Answers) -> None:
    again = joining.join(known, said)
    for name, array in again.artefact.arrays.items():
        assert np.array_equal(array, joined.artefact.arrays[name]), name


def test_fewer_probes_leave_more_doubt(joined: Joined, known: Known, said: Answers) -> None:
    few = Answers(
        rows=said.rows[:15],
        recorded=said.recorded.rows(list(range(15))),
        surfaces=said.surfaces[:15],
        answers=said.answers[:15],
        chosen=said.chosen[:15],
        flagged=said.flagged[:15],
    )
    found = joining.join(known, few)
    assert found.quality[1] > joined.quality[1]
    spreads = [
        float(
            np.asarray(one.artefact.under("predict")["weights"], float)[:, :, -1].std(axis=0).mean()
        )
        for one in (found, joined)
    ]
    assert spreads[0] > spreads[1]


def test_what_cannot_join_is_refused(
    joined: Joined, known: Known, said: Answers, outcomes: Path
) -> None:
    grown = Known(
        artefact=joined.artefact,
        material=known.material,
        evidence=known.evidence,
        bills=known.bills,
        option_prior=known.option_prior,
    )
    with pytest.raises(DataError, match=r"knows 'qwen2\.5-coder-0\.5b' already"):
        joining.join(grown, said)
    with pytest.raises(DataError, match=r"no outcomes of 'qwen2\.5-coder-0\.5b'"):
        reading.known(outcomes, joined.artefact, encoders.default())


@pytest.mark.parametrize("prefer", [0.1, 0.3, 0.5, 0.7])
async def test_a_dearer_model_is_not_asked_more(
    joined: Joined, known: Known, prefer: float
) -> None:
    """Prices are read at each request: the same policy, another price, another choice."""
    before = await shares(joined, known, prefer, models())
    after = await shares(joined, known, prefer, models(**{NEWCOMER: 3.0}))
    assert after[NEWCOMER] <= before[NEWCOMER]
    cheaper = await shares(joined, known, prefer, models(**{"qwen2.5-coder-1.5b": 0.001}))
    assert cheaper["qwen2.5-coder-1.5b"] >= before["qwen2.5-coder-1.5b"]


@pytest.mark.parametrize("gone", [NEWCOMER, "smollm2-135m", "qwen2.5-coder-1.5b"])
async def test_a_removed_model_is_never_asked_again(
    joined: Joined, known: Known, gone: str
) -> None:
    left = [model for model in models() if model.name != gone]
    for prefer in (0.0, 0.3, 0.8, 1.0):
        found = await shares(joined, known, prefer, left)
        assert gone not in found or found[gone] == 0.0
        assert sum(found.values()) > 0.0


async def shares(
    joined: Joined, known: Known, prefer: float, pool: list[Model]
) -> dict[str, float]:
    """How often each model is asked first, over some prompts."""
    engine = replaying(joined.artefact, pool, {"p": ReplayProvider(OUTCOMES)})
    counts = {model.name: 0.0 for model in models()}
    complete = answered()
    for row in range(0, 80, 8):
        if known.material.recorded.queries[row] in complete:
            answer = await engine.serve(asked(known, prefer, row))
            arrangement = answer.plan.arrangement
            counts[getattr(arrangement, "start", arrangement.models[0])] += 1.0
    return counts
