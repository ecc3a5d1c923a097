"""The collector pays for no answer twice, never overspends, and loses nothing to a crash."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from emafusion.errors import (
    AuthenticationError,
    ConfigError,
    DataError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    StoreError,
    UnavailableError,
)
from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Question
from emafusion.learn.collect import Bounds, Progress, Report, collect
from emafusion.learn.interchange import read_questions
from emafusion.learn.journal import Answered, Journal, Split
from emafusion.learn.purse import Purse
from emafusion.types import Call, Model
from learn.collecting import CHEAP, DEAR, Bookkeeper, next_number, sums

TABLES = ("queries.parquet", "outcomes.parquet", "responses.parquet", "models.csv")
Table = list[dict[str, object]]


async def run(
    folder: Path,
    provider: Bookkeeper,
    *,
    questions: int = 6,
    models: Sequence[Model] = (CHEAP, DEAR),
    bounds: Bounds | None = None,
) -> Report:
    return await collect(
        sums(questions), models, providers={"p": provider}, folder=folder, bounds=bounds
    )


def table(folder: Path, name: str) -> Table:
    rows: Table = parquet.read_table(folder / f"{name}.parquet").to_pylist()
    return rows


def listing(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def cells(folder: Path) -> list[tuple[object, object]]:
    return [(row["query_id"], row["model"]) for row in table(folder, "outcomes")]


def kill_after(calls: int, folder: Path, diary: Path) -> None:
    """Have another process collect 120 cells, and end it with ``kill -9`` after `calls` calls."""
    child = subprocess.Popen(
        [sys.executable, "-m", "learn.collecting_child", str(folder), str(diary), "60"],
        cwd=Path(__file__).parents[1],
    )
    deadline = time.monotonic() + 30
    while not diary.exists() or diary.read_text().count("\n") < calls:
        assert time.monotonic() < deadline, "the child never got going"
        assert child.poll() is None, "the child ended before it could be killed"
        time.sleep(0.01)
    child.kill()
    assert child.wait() == -signal.SIGKILL


async def test_the_tables_hold_every_answer_with_its_mark_and_its_price(tmp_path: Path) -> None:
    wrong = sums(6)[2].prompt
    provider = Bookkeeper(lambda call: "77" if wrong in str(call.messages) else next_number(call))
    report = await run(tmp_path, provider)

    assert (report.total, report.answered, report.asked) == (12, 12, 12)
    outcomes = table(tmp_path, "outcomes")
    assert Counter(row["score"] for row in outcomes) == {1.0: 10, 0.0: 2}
    first = outcomes[0]
    assert first["answer"] == "1"
    assert first["cost_usd"] == pytest.approx((20 * 10 + 3 * 100) / 1e6)
    assert first["mean_logprob"] == pytest.approx(-0.3)
    assert first["min_logprob"] == -0.5
    assert (first["prompt_tokens"], first["completion_tokens"]) == (20, 3)
    assert first["finish_reason"] == "stop"
    assert [row["response"] for row in table(tmp_path, "responses")][:2] == ["1", "1"]
    assert [row["prompt"] for row in table(tmp_path, "queries")] == [q.prompt for q in sums(6)]
    prices = (tmp_path / "models.csv").read_text().splitlines()
    assert prices == [
        "model,usd_per_mtok_in,usd_per_mtok_out",
        "cheap,10.0,100.0",
        "dear,50.0,500.0",
    ]
    assert [tally.accuracy for tally in report.tallies] == pytest.approx([5 / 6, 5 / 6])
    assert set(listing(tmp_path)) == {*TABLES, "journal.jsonl"}


async def test_a_held_out_wording_is_test_and_never_trained_on(tmp_path: Path) -> None:
    everything = [*sums(30), *(replace(q, prompt=q.prompt + "!") for q in sums(5, held_out=True))]
    await collect(everything, [CHEAP], providers={"p": Bookkeeper()}, folder=tmp_path)
    splits = {row["prompt"]: row["split"] for row in table(tmp_path, "queries")}
    assert {splits[q.prompt] for q in everything if q.held_out} == {"test"}
    assert {splits[q.prompt] for q in everything if not q.held_out} == {"train", "val"}


async def test_splits_are_kept_as_they_are_given(tmp_path: Path) -> None:
    questions = sums(6)
    given: dict[Split, list[Question]] = {"val": questions[:4], "train": questions[4:]}
    await collect(given, [CHEAP], providers={"p": Bookkeeper()}, folder=tmp_path)
    found = [(row["prompt"], row["split"]) for row in table(tmp_path, "queries")]
    assert found == [(q.prompt, split) for split, those in given.items() for q in those]


async def test_a_second_run_asks_nothing_and_a_larger_one_only_what_is_new(tmp_path: Path) -> None:
    await run(tmp_path, Bookkeeper())
    again, larger = Bookkeeper(), Bookkeeper()
    await run(tmp_path, again)
    assert again.asked == []
    await run(tmp_path, larger, questions=7)
    assert larger.asked == [("cheap", sums(7)[6].prompt), ("dear", sums(7)[6].prompt)]
    assert len(cells(tmp_path)) == 14


async def test_samples_are_cells_of_their_own(tmp_path: Path) -> None:
    provider = Bookkeeper()
    await run(tmp_path, provider, questions=2, bounds=Bounds(samples=3))
    assert len(provider.asked) == 12
    assert [row["sample"] for row in table(tmp_path, "outcomes")][:3] == [0, 1, 2]


async def test_a_killed_run_goes_on_and_pays_for_no_recorded_answer_twice(tmp_path: Path) -> None:
    folder, diary = tmp_path / "out", tmp_path / "diary"
    kill_after(25, folder, diary)
    paid = [tuple(line.split("\t")) for line in diary.read_text().splitlines()]
    with Journal(folder) as journal:
        recorded = {row.cell for row in journal.rows() if isinstance(row, Answered)}
    # At most the four calls under way at that moment have no answer.
    assert len(paid) - 4 <= len(recorded) <= len(paid)

    provider = Bookkeeper(seconds=0.001)
    report = await run(folder, provider, questions=60)
    assert len(provider.asked) == 120 - len(recorded)
    prompts = {question.id: question.prompt for question in sums(60)}
    known = {(model, prompts[query]) for query, model, _ in recorded}
    assert not known & set(provider.asked)
    assert report.answered == len(cells(folder)) == len(set(cells(folder))) == 120


async def test_a_torn_last_line_is_cut_off_and_its_cell_asked_again(tmp_path: Path) -> None:
    await run(tmp_path, Bookkeeper())
    journal = tmp_path / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-40])
    provider = Bookkeeper()
    report = await run(tmp_path, provider)
    assert report.repaired
    assert provider.asked == [("dear", sums(6)[5].prompt)]
    assert len(cells(tmp_path)) == 12


async def test_a_damaged_line_is_named_not_skipped(tmp_path: Path) -> None:
    await run(tmp_path, Bookkeeper())
    journal = tmp_path / "journal.jsonl"
    lines = journal.read_bytes().split(b"\n")
    lines[3] = b"\x00\x00"
    journal.write_bytes(b"\n".join(lines))
    with pytest.raises(DataError, match="line 4 is damaged"):
        await run(tmp_path, Bookkeeper())


@pytest.mark.parametrize("per_model", [1, 8])
async def test_the_budget_holds_however_many_calls_run_together(
    tmp_path: Path, per_model: int
) -> None:
    budget = 0.25
    provider = Bookkeeper(seconds=0.001)
    bounds = Bounds(budget_usd=budget, per_model=per_model, models_at_once=2, max_tokens=200)
    report = await run(tmp_path, provider, questions=60, bounds=bounds)
    spent = sum(float(str(row["cost_usd"])) for row in table(tmp_path, "outcomes"))
    assert 0 < spent <= report.spent_usd <= budget
    assert 0 < report.answered < report.total
    assert "budget of $0.25" in report.stopped["dear"]


@pytest.mark.parametrize("per_model", [1, 8])
async def test_answers_longer_than_allowed_exceed_the_budget_by_one_at_most(
    tmp_path: Path, per_model: int
) -> None:
    provider = Bookkeeper(seconds=0.001, tokens=1000)  # $0.1 each, where $0.01 was foreseen
    bounds = Bounds(budget_usd=0.45, per_model=per_model, max_tokens=100)
    report = await run(tmp_path, provider, questions=30, models=(CHEAP,), bounds=bounds)
    assert provider.most_under_way == 1
    assert report.answered == 4, "a tenfold cost is set aside once it was seen"
    assert report.spent_usd <= 0.45
    bounds = Bounds(budget_usd=0.46, per_model=per_model, max_tokens=100)
    report = await run(tmp_path, provider, questions=30, models=(CHEAP,), bounds=bounds)
    assert report.answered == 5, "a new run has seen nothing yet"
    assert report.spent_usd < 0.46 + 0.11


async def test_a_model_that_keeps_to_its_bound_is_asked_several_questions_at_once_on_a_budget(
    tmp_path: Path,
) -> None:
    provider = Bookkeeper(seconds=0.001)
    bounds = Bounds(budget_usd=100.0, per_model=4)
    report = await run(tmp_path, provider, questions=20, models=(CHEAP,), bounds=bounds)
    assert report.answered == 20
    assert provider.most_under_way == 4


async def test_a_call_of_unknown_ending_counts_at_its_highest_price(tmp_path: Path) -> None:
    def broken(call: Call) -> ProviderError:
        return UnavailableError("closed early", call.model.name)

    bounds = Bounds(max_tokens=100, max_failures=2)
    report = await run(tmp_path, Bookkeeper(broken), bounds=bounds)
    assert report.spent_usd > 2 * 100 * 100 / 1e6
    assert report.answered == 0
    assert cells(tmp_path) == []
    assert "2 calls in a row failed" in report.stopped["cheap"]


async def test_what_failed_for_the_moment_is_asked_again_and_what_was_refused_is_not(
    tmp_path: Path,
) -> None:
    questions = sums(6)

    def moody(call: Call) -> str | ProviderError:
        prompt = str(call.messages[-1]["content"])
        if prompt == questions[1].prompt:
            return RejectedError("too long", call.model.name)
        if prompt == questions[4].prompt:
            return UnavailableError("resting", call.model.name)
        return next_number(call)

    first = await run(tmp_path, Bookkeeper(moody))
    assert {row.error for row in first.failed} == {
        "RejectedError: too long",
        "UnavailableError: resting",
    }
    assert len(cells(tmp_path)) == 8
    second, third = Bookkeeper(), Bookkeeper()
    report = await run(tmp_path, second)
    assert second.asked == [(model, questions[4].prompt) for model in ("cheap", "dear")]
    assert {row.query_id for row in report.failed} == {questions[1].id}
    report = await run(tmp_path, third, bounds=Bounds(retry_failed=True))
    assert third.asked == [(model, questions[1].prompt) for model in ("cheap", "dear")]
    assert report.failed == ()


async def test_a_refused_key_ends_the_models_turn_at_once(tmp_path: Path) -> None:
    def refused(call: Call) -> str | ProviderError:
        if call.model.name == "cheap":
            return AuthenticationError("the key was refused", "cheap")
        return next_number(call)

    provider = Bookkeeper(refused)
    report = await run(tmp_path, provider)
    assert Counter(model for model, _ in provider.asked) == {"cheap": 1, "dear": 6}
    assert report.stopped == {"cheap": "the key was refused"}


async def test_a_corrected_reference_changes_marks_without_a_call(tmp_path: Path) -> None:
    wrong = [replace(question, reference="-5") for question in sums(3)]
    await collect(wrong, [CHEAP], providers={"p": Bookkeeper()}, folder=tmp_path)
    assert {row["score"] for row in table(tmp_path, "outcomes")} == {0.0}
    provider = Bookkeeper()
    await collect(sums(3), [CHEAP], providers={"p": provider}, folder=tmp_path)
    assert {row["score"] for row in table(tmp_path, "outcomes")} == {1.0}
    assert provider.asked == []


async def test_concurrency_is_bounded_and_loading_is_in_no_latency(tmp_path: Path) -> None:
    provider = Bookkeeper(seconds=0.01)
    await run(tmp_path / "a", provider, bounds=Bounds(per_model=3))
    assert provider.most_under_way == 3
    await run(tmp_path / "b", Bookkeeper(loading_s=0.2))
    latencies = [float(str(row["latency_s"])) for row in table(tmp_path / "b", "outcomes")]
    assert max(latencies) < 0.2


async def test_progress_counts_to_the_end_and_tells_marks(tmp_path: Path) -> None:
    heard: list[Progress] = []
    await collect(
        sums(3), [CHEAP], providers={"p": Bookkeeper()}, folder=tmp_path, progress=heard.append
    )
    assert [(p.done, p.total, p.score) for p in heard] == [(1, 3, 1.0), (2, 3, 1.0), (3, 3, 1.0)]
    assert heard[-1].spent_usd == pytest.approx(3 * 0.0005)


async def test_two_collections_never_write_one_folder(tmp_path: Path) -> None:
    with Journal(tmp_path), pytest.raises(StoreError, match="another collection"):
        await run(tmp_path, Bookkeeper())


async def test_a_full_disk_is_named_and_loses_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    await run(tmp_path, Bookkeeper(), questions=2)
    before = (tmp_path / "journal.jsonl").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 400, limits[1]))
    try:
        with pytest.raises(StoreError, match="File too large; check the folder"):
            await run(tmp_path, Bookkeeper(), questions=9)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    report = await run(tmp_path, Bookkeeper(), questions=9)
    assert not report.repaired
    assert len(cells(tmp_path)) == 18


@pytest.mark.parametrize(
    ("bounds", "said"), [(Bounds(per_model=0), "per_model"), (Bounds(samples=0), "samples")]
)
async def test_a_bound_that_makes_no_sense_is_refused(
    tmp_path: Path, bounds: Bounds, said: str
) -> None:
    with pytest.raises(ConfigError, match=f"{said} must be at least 1, not 0"):
        await run(tmp_path, Bookkeeper(), bounds=bounds)


async def test_what_cannot_be_marked_is_found_before_anything_is_paid(tmp_path: Path) -> None:
    provider = Bookkeeper()
    bad = replace(sums(1)[0], reference="a dozen", grader=Grader(type="number"))
    with pytest.raises(DataError, match="not a number"):
        await collect([bad], [CHEAP], providers={"p": provider}, folder=tmp_path)
    with pytest.raises(ConfigError, match="'cheap' needs the provider 'p'; there are none"):
        await collect(sums(1), [CHEAP], providers={}, folder=tmp_path)
    assert provider.asked == []


@given(
    limit=st.floats(0.0, 10.0),
    calls=st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.0, 1.0)), max_size=12),
)
def test_a_purse_never_overspends_under_any_interleaving(
    limit: float, calls: list[tuple[float, float]]
) -> None:
    async def spend(purse: Purse, most: float, share: float) -> None:
        ticket = await purse.reserve(most)
        if ticket is not None:
            await asyncio.sleep(0)
            await purse.settle(ticket, most * share)

    async def everyone() -> Purse:
        purse = Purse(limit)
        await asyncio.gather(*(spend(purse, most, share) for most, share in calls))
        return purse

    assert asyncio.run(everyone()).spent <= limit * (1 + 1e-12)


async def test_questions_come_back_from_the_folder_as_they_were(tmp_path: Path) -> None:
    given: dict[Split, list[Question]] = {
        "train": sums(4),
        "test": [replace(q, prompt=q.prompt + "!", held_out=True) for q in sums(2)],
    }
    bounds = Bounds(budget_usd=0.0235)
    await collect(given, [CHEAP], providers={"p": Bookkeeper()}, folder=tmp_path, bounds=bounds)
    assert len(table(tmp_path, "queries")) < 6
    assert read_questions(tmp_path) == given


def test_a_folder_of_bad_questions_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no questions; `emafusion synthesise`"):
        read_questions(tmp_path)
    good = {
        "query_id": "1", "split": "val", "prompt": "p", "reference": "1",
        "grader": '{"type": "number"}', "labels": "{}",
    }  # fmt: skip
    for change, said in (
        ({"split": "dev"}, "query '1': its split is 'dev'"),
        ({"grader": "{"}, "query '1': its grader is '{', which is not JSON"),
        ({"grader": '{"type": "x"}'}, "query '1': unknown grader type 'x'"),
    ):
        parquet.write_table(pa.Table.from_pylist([good | change]), tmp_path / "queries.parquet")
        with pytest.raises(DataError, match=re.escape(said)):
            read_questions(tmp_path)
    (tmp_path / "queries.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="cannot read"):
        read_questions(tmp_path)


async def test_a_provider_that_cannot_load_a_model_ends_its_turn(tmp_path: Path) -> None:
    class Broken(Bookkeeper):
        async def prepare(self, model: Model) -> None:
            raise UnavailableError(f"{model.name!r} has no file", model.name)

    provider = Broken()
    report = await run(tmp_path, provider)
    assert provider.asked == []
    assert report.stopped == {"cheap": "'cheap' has no file", "dear": "'dear' has no file"}


async def test_calls_of_a_provider_keep_their_pace(tmp_path: Path) -> None:
    began: list[float] = []

    def timed(call: Call) -> str:
        began.append(time.monotonic())
        return next_number(call)

    bounds = Bounds(per_minute=1500, per_model=6, models_at_once=2)
    start = time.monotonic()
    await run(tmp_path, Bookkeeper(timed), questions=3, bounds=bounds)
    assert len(began) == 6
    # One may come late where the machine is busy, and the next then sooner after it; none is early.
    assert all(at - start > 0.04 * turn - 0.005 for turn, at in enumerate(sorted(began)))


async def test_a_provider_that_asks_for_a_wait_gets_it(tmp_path: Path) -> None:
    began: list[float] = []

    def busy(call: Call) -> str | ProviderError:
        began.append(time.monotonic())
        if len(began) == 1:
            return RateLimitedError("slow down", call.model.name, retry_after_s=0.1)
        return next_number(call)

    report = await run(tmp_path, Bookkeeper(busy), questions=2, bounds=Bounds(per_model=2))
    assert report.answered == 4
    assert report.failed == ()
    # The call that was under way comes through; whatever is begun afterwards waits.
    assert began[2] - began[0] > 0.09


@pytest.mark.parametrize("asked", [None, 3600.0])
async def test_a_provider_that_will_not_rest_soon_has_failed(
    tmp_path: Path, asked: float | None
) -> None:
    def closed(call: Call) -> ProviderError:
        return RateLimitedError("come tomorrow", call.model.name, retry_after_s=asked)

    provider = Bookkeeper(closed)
    report = await run(tmp_path, provider, bounds=Bounds(max_failures=2))
    assert len(provider.asked) == 4
    assert report.spent_usd == 0.0
    assert "2 calls in a row failed" in report.stopped["dear"]
