"""The record that is turned off still explains the last few decisions."""

from __future__ import annotations

import pytest

from emafusion.errors import StoreError
from emafusion.protocols import Recorder
from emafusion.record import Memory, Store
from emafusion.types import replace

from .outcomes import outcome


async def test_it_keeps_the_last_and_forgets_the_oldest() -> None:
    memory = Memory(limit=2)
    recorder: Recorder = memory
    for i in range(3):
        await recorder.record(outcome(f"d{i}", created=float(i)))
    assert await recorder.find("d0") is None
    assert await recorder.find("d2") == outcome("d2", created=2.0)
    assert [o.decision_id for o in await memory.recent(9)] == ["d2", "d1"]
    await recorder.aclose()
    assert await recorder.find("d2") is None


async def test_another_outcome_under_a_known_id_is_refused() -> None:
    memory = Memory()
    await memory.record(outcome("d1"))
    await memory.record(outcome("d1"))
    with pytest.raises(StoreError, match="'d1'"):
        await memory.record(replace(outcome("d1"), text="52"))


async def test_it_adds_up_as_the_store_does(store: Store) -> None:
    memory = Memory()
    for i in range(3):
        for recorder in (memory, store):
            await recorder.record(outcome(f"d{i}", created=float(i), error="gone" if i else None))
    ours, theirs = await memory.totals(since=1.0), await store.totals(since=1.0)
    assert (ours.decisions, ours.failed) == (theirs.decisions, theirs.failed) == (2, 2)
    assert ours.cost_usd == pytest.approx(theirs.cost_usd)
    assert set(ours.models) == set(theirs.models)
    for name, model in ours.models.items():
        assert model.cost_usd == pytest.approx(theirs.models[name].cost_usd)
        assert model.completion_tokens == theirs.models[name].completion_tokens
