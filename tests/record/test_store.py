"""The store on a healthy database: what goes in comes out, durably, and many share one commit."""

from __future__ import annotations

import asyncio
import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings

from emafusion.errors import StoreError
from emafusion.record import ModelTotals, Store
from emafusion.types import Feedback, Outcome, replace

from .looking import contents, held, rows
from .outcomes import outcome, outcomes


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Store, asyncio.Runner]]:
    if request.param == "sqlite":
        store = Store(tmp_path_factory.mktemp("running") / "record.db", synchronous="normal")
    else:
        store = Store(request.getfixturevalue("postgres").fresh(), synchronous="normal")
    with asyncio.Runner() as runner:
        yield store, runner
        runner.run(store.aclose())


@settings(max_examples=50, deadline=None)
@given(drawn=outcomes)
def test_an_outcome_comes_back_as_it_went_in(
    running: tuple[Store, asyncio.Runner], drawn: Outcome
) -> None:
    store, runner = running
    recorded = replace(drawn, decision_id=str(uuid4()))
    runner.run(store.record(recorded))
    assert runner.run(store.find(recorded.decision_id)) == recorded


async def test_nothing_recorded_is_nothing_found(store: Store) -> None:
    assert await store.find("absent") is None
    assert await store.recent(5) == ()
    assert await store.recorded() == ()
    assert await store.noted() == ()
    assert (await store.totals()).decisions == 0
    await store.ready()


async def test_looking_makes_no_file(tmp_path: Path) -> None:
    store = Store(tmp_path / "record.db")
    assert await store.find("absent") is None
    assert store.path is not None
    assert not store.path.exists()


async def test_the_columns_say_what_the_outcome_says(store: Store, place: str) -> None:
    await store.record(outcome("d1"))
    assert rows(
        place,
        "SELECT id, model, arrangement, confidence, cost_usd, latency_s, finish_reason, tier, error"
        " FROM decisions",
    ) == [("d1", "l", "cascade", 0.93, 0.003, 0.4, "stop", 1, None)]
    assert rows(
        place, "SELECT seq, model, purpose, cost_usd, prompt_tokens, completion_tokens FROM calls"
    ) == [(0, "s", "draft", 0.001, 10, 5), (1, "l", "draft", 0.002, 12, 7)]
    assert rows(place, "SELECT judge, draft, score FROM verdicts") == [("rules", 0, 0.4)]


async def test_a_request_that_found_no_plan_is_recorded(store: Store, place: str) -> None:
    await store.record(replace(outcome("d1", error="no model"), plan=None))
    assert rows(place, "SELECT arrangement, error FROM decisions") == [(None, "no model")]


async def test_without_content_texts_are_absent_and_the_prompt_is_its_hash(place: str) -> None:
    store = Store(place, store_content=False)
    full = outcome("d1")
    await store.record(full)
    await store.aclose()
    found = await store.find("d1")
    assert found is not None
    assert (found.prompt, found.text) == ("", "")
    assert [step.text for step in found.steps] == ["", ""]
    assert [step.usage for step in found.steps] == [step.usage for step in full.steps]
    assert found.plan == full.plan
    sha256 = hashlib.sha256(full.prompt.encode()).hexdigest()
    assert rows(place, "SELECT prompt_sha256 FROM decisions") == [(sha256,)]
    everything = contents(place)
    for secret in (full.prompt, "'41'", '"text":"51"'):
        assert secret.encode() not in everything


@pytest.mark.parametrize("odd", ["\0", "a\0\x10b\x100", "\x10", "\ufffd\uffff", "\x01\x7f\r\n\\"])
async def test_every_character_is_kept_in_every_column(store: Store, odd: str) -> None:
    plain = outcome("d1", error=odd)
    step = replace(plain.steps[0], model=odd, text=odd, error=odd, finish_reason=odd)
    whole = replace(
        plain,
        decision_id=odd,
        prompt=odd,
        model=odd,
        finish_reason=odd,
        steps=(step,),
        verdicts=(replace(plain.verdicts[0], judge=odd, reason=odd),),
    )
    await store.record(whole)
    await store.record(whole)
    assert await store.find(odd) == whole
    assert set((await store.totals()).models) == {odd}
    said = Feedback(decision_id=odd, caller=odd, comment=odd, score=1.0, created=2.0)
    await store.note(said)
    assert [one for _, one in await store.noted()] == [said]


async def test_what_is_recorded_is_read_on_in_order(store: Store) -> None:
    for name in ("b", "a", "c"):
        await store.record(outcome(name, created=-1.5e9 if name == "a" else 1.0))
    [first, *rest] = await store.recorded(limit=1)
    assert rest == []
    later = await store.recorded(first[0])
    assert [one.decision_id for _, one in (first, *later)] == ["b", "a", "c"]
    assert await store.recorded(later[-1][0]) == ()


async def test_half_a_surrogate_pair_does_not_lose_the_record(store: Store, place: str) -> None:
    plain = outcome("d1")
    steps = (replace(plain.steps[0], text="\ud83d"), plain.steps[1])
    broken = replace(plain, prompt="broken \ud83d emoji", error="\udc00", steps=steps)
    await store.record(broken)
    found = await store.find("d1")
    assert found is not None
    assert (found.prompt, found.error) == ("broken \ufffd emoji", "\ufffd")
    assert found.steps == (replace(steps[0], text="\ufffd"), steps[1])


@pytest.mark.parametrize("cost_usd", [float("nan"), float("inf")])
async def test_what_could_not_be_read_back_is_refused(store: Store, cost_usd: float) -> None:
    with pytest.raises(StoreError, match=r"'d1' cannot be recorded.*cost_usd"):
        await store.record(replace(outcome("d1"), cost_usd=cost_usd))
    await store.record(outcome("d2"))
    assert await store.find("d2") is not None


async def test_recording_the_same_again_is_no_error(store: Store, place: str) -> None:
    await asyncio.gather(store.record(outcome("d1")), store.record(outcome("d1")))
    await store.record(outcome("d1"))
    assert rows(place, "SELECT count(*) FROM calls") == [(2,)]


async def test_another_outcome_under_a_known_id_is_refused_and_spoils_no_other(
    store: Store,
) -> None:
    await store.record(outcome("d1"))
    results = await asyncio.gather(
        store.record(outcome("d0")),
        store.record(replace(outcome("d1"), text="52")),
        store.record(outcome("d2")),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), StoreError, type(None)]
    assert "'d1' is already recorded" in str(results[1])
    kept = await store.find("d1")
    assert kept is not None
    assert kept.text == "51"
    assert await store.find("d2") is not None


async def test_concurrent_outcomes_share_commits(place: str) -> None:
    store = Store(place, busy_timeout_s=30.0)
    await store.ready()
    with held(place):
        waiting = [asyncio.create_task(store.record(outcome(f"d{i}"))) for i in range(200)]
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in waiting)
    await asyncio.gather(*waiting)
    await store.aclose()
    assert rows(place, "SELECT count(*) FROM decisions") == [(200,)]
    assert store.commits <= 3


async def test_the_newest_come_first(store: Store) -> None:
    for i in (2, 0, 3, 1):
        await store.record(outcome(f"d{i}", created=float(i)))
    assert [o.decision_id for o in await store.recent(3)] == ["d3", "d2", "d1"]


async def test_totals_add_up_from_calls_and_respect_the_period(store: Store) -> None:
    await store.record(outcome("d0", created=10.0))
    await store.record(outcome("d1", created=20.0, error="gone"))
    everything, late = await store.totals(), await store.totals(since=20.0)
    assert (everything.decisions, everything.failed, late.decisions) == (2, 1, 1)
    assert everything.cost_usd == pytest.approx(0.006)
    assert sum(m.cost_usd for m in everything.models.values()) == pytest.approx(0.006)
    assert late.models["l"] == ModelTotals(
        calls=1, cost_usd=0.002, prompt_tokens=12, completion_tokens=7
    )


async def test_waiting_for_room_is_bounded_and_loses_nothing(place: str) -> None:
    store = Store(place, max_pending=2)
    await asyncio.gather(*(store.record(outcome(f"d{i}")) for i in range(50)))
    await store.aclose()
    assert rows(place, "SELECT count(*) FROM decisions") == [(50,)]


async def test_a_cancelled_wait_does_not_undo_the_writing(store: Store) -> None:
    task = asyncio.create_task(store.record(outcome("d1")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.aclose()
    assert await store.find("d1") is not None


async def test_closing_writes_what_is_pending_and_ends_recording(store: Store) -> None:
    tasks = [asyncio.create_task(store.record(outcome(f"d{i}"))) for i in range(20)]
    await asyncio.sleep(0)
    await store.aclose()
    await asyncio.gather(*tasks)
    with pytest.raises(StoreError, match="closed"):
        await store.record(outcome("late"))
    await store.aclose()


def test_one_store_serves_several_event_loops(place: str) -> None:
    store = Store(place)
    asyncio.run(store.record(outcome("d1")))
    asyncio.run(store.record(outcome("d2")))
    assert asyncio.run(store.find("d1")) is not None
    asyncio.run(store.aclose())


async def test_the_file_and_its_new_folders_are_the_owners_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "a" / "b" / "record.db")
    await store.record(outcome("d1"))
    found = modes(tmp_path)
    await store.aclose()
    assert found == {
        "a": 0o700,
        "b": 0o700,
        "record.db": 0o600,
        "record.db-wal": 0o600,
        "record.db-shm": 0o600,
    }
