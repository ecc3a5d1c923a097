"""What callers say of answers: durable, once for each caller and decision."""

from __future__ import annotations

from pathlib import Path

import pytest

from emafusion.errors import UnknownDecisionError
from emafusion.protocols import Recorder
from emafusion.record import Memory, Store
from emafusion.types import Feedback, replace

from .looking import contents
from .outcomes import outcome


def _said(decision_id: str, score: float, *, caller: str = "a", comment: str = "") -> Feedback:
    return Feedback(
        decision_id=decision_id, score=score, created=2.0, caller=caller, comment=comment
    )


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def recorder(request: pytest.FixtureRequest, tmp_path: Path) -> Recorder:
    if request.param == "memory":
        return Memory()
    if request.param == "sqlite":
        return Store(tmp_path / "record.db")
    return Store(str(request.getfixturevalue("address")))


async def test_it_is_read_in_the_order_it_came(recorder: Recorder) -> None:
    for name in ("d1", "d2"):
        await recorder.record(outcome(name))
    await recorder.note(_said("d2", 1.0))
    await recorder.note(_said("d1", 0.0, comment="wrong"))
    assert [one for _, one in await recorder.noted()] == [
        _said("d2", 1.0),
        _said("d1", 0.0, comment="wrong"),
    ]
    await recorder.aclose()


async def test_who_reads_on_sees_what_is_new_or_changed_and_nothing_twice(
    recorder: Recorder,
) -> None:
    await recorder.record(outcome("d1"))
    await recorder.note(_said("d1", 1.0))
    await recorder.note(_said("d1", 0.5, caller="b"))
    last = (await recorder.noted())[-1][0]
    assert await recorder.noted(last) == ()
    await recorder.note(_said("d1", 0.0))
    assert [one for _, one in await recorder.noted(last)] == [_said("d1", 0.0)]
    assert len(await recorder.noted()) == 2
    await recorder.aclose()


async def test_the_same_opinion_again_is_not_written_again(recorder: Recorder) -> None:
    await recorder.record(outcome("d1"))
    await recorder.note(_said("d1", 1.0))
    first = await recorder.noted()
    await recorder.note(_said("d1", 1.0))
    assert await recorder.noted() == first
    await recorder.aclose()


async def test_an_unknown_decision_is_refused_and_others_in_the_batch_are_kept(
    recorder: Recorder,
) -> None:
    await recorder.record(outcome("d1"))
    with pytest.raises(UnknownDecisionError, match="'d9'"):
        await recorder.note(_said("d9", 1.0))
    await recorder.note(_said("d1", 1.0))
    assert len(await recorder.noted()) == 1
    await recorder.aclose()


async def test_a_record_without_content_keeps_no_comment(place: str) -> None:
    store = Store(place, store_content=False)
    await store.record(outcome("d1"))
    await store.note(_said("d1", 1.0, comment="Mr Smith's invoice"))
    await store.aclose()
    assert (await store.noted())[0][1] == _said("d1", 1.0)
    assert b"Smith" not in contents(place)


async def test_feedback_survives_the_process(place: str) -> None:
    first = Store(place)
    await first.record(outcome("d1"))
    await first.note(_said("d1", 0.25))
    await first.aclose()
    second = Store(place)
    assert [one.score for _, one in await second.noted()] == [0.25]
    await second.aclose()


async def test_half_a_surrogate_pair_does_not_lose_an_opinion(place: str) -> None:
    store = Store(place)
    await store.record(replace(outcome("d1"), caller="\ud800"))
    await store.note(_said("d1", 1.0, caller="\ud800", comment="\udc00"))
    with pytest.raises(UnknownDecisionError):
        await store.note(_said("\ud800", 1.0))
    asked = await store.find("d1")
    assert asked is not None
    said = (await store.noted())[0][1]
    assert said == _said("d1", 1.0, caller=asked.caller, comment="\ufffd")
    await store.aclose()
