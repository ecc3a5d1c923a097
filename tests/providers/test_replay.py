from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from emafusion.errors import DataError, RejectedError, UnavailableError
from emafusion.providers.replay import ReplayProvider
from emafusion.testing import check_provider
from emafusion.types import Usage

from .calls import call, model

Rows = Sequence[dict[str, object]]


def write(folder: Path, *, responses: bool = True, **more: object) -> Path:
    folder.mkdir(exist_ok=True)
    queries: list[dict[str, object]] = [
        {"query_id": f"q{i}", "prompt": f"prompt {i}"} for i in range(3)
    ]
    queries += [{"query_id": f"twin{i}", "prompt": "the same"} for i in range(2)]
    pairs = [(query["query_id"], name) for query in queries for name in ("echo", "other")]
    pairs.remove(("q2", "other"))
    outcomes: Rows = [
        {
            "query_id": query,
            "model": name,
            "score": 0.5,
            "answer": None if query == "q1" else f"{query}'s answer",
            "cost_usd": 0.25,
            "prompt_tokens": 11,
            "completion_tokens": 4,
            **more,
        }
        for query, name in pairs
    ]
    texts: Rows = [{"query_id": q, "model": m, "response": f"{m} says {q}"} for q, m in pairs]
    save(folder / "queries.parquet", queries)
    save(folder / "outcomes.parquet", outcomes)
    if responses:
        save(folder / "responses.parquet", texts)
    return folder


def save(path: Path, rows: Rows) -> None:
    parquet.write_table(pa.Table.from_pylist(list(rows)), path)


async def test_it_keeps_the_contract(tmp_path: Path) -> None:
    await check_provider(ReplayProvider(write(tmp_path)), model(), prompt="prompt 0")


async def test_the_recorded_answer_comes_back(tmp_path: Path) -> None:
    completion = await ReplayProvider(write(tmp_path)).complete(call(prompt="prompt 1"))
    assert completion.text == "echo says q1"
    assert completion.usage == Usage(prompt_tokens=11, completion_tokens=4)
    assert completion.raw == {"score": 0.5, "query_id": "q1", "cost_usd": 0.25}
    assert completion.logprobs is None


async def test_without_responses_the_extracted_answer_is_the_text(tmp_path: Path) -> None:
    provider = ReplayProvider(write(tmp_path, responses=False))
    assert (await provider.complete(call(prompt="prompt 0"))).text == "q0's answer"
    assert (await provider.complete(call(prompt="prompt 1"))).text == ""


async def test_the_log_probabilities_keep_their_mean_and_minimum(tmp_path: Path) -> None:
    folder = write(tmp_path, mean_logprob=-0.5, min_logprob=-1.4, finish_reason="length")
    completion = await ReplayProvider(folder).complete(call(prompt="prompt 0"))
    assert completion.finish_reason == "length"
    assert completion.logprobs is not None
    assert len(completion.logprobs) == 4
    assert sum(completion.logprobs) / 4 == pytest.approx(-0.5)
    assert min(completion.logprobs) == -1.4


async def test_of_several_samples_the_first_is_given(tmp_path: Path) -> None:
    folder = write(tmp_path)
    for name, column in (("outcomes", "answer"), ("responses", "response")):
        rows = parquet.read_table(folder / f"{name}.parquet").to_pylist()
        samples = [{**row, "sample": s, column: f"sample {s}"} for row in rows for s in (1, 0)]
        save(folder / f"{name}.parquet", samples)
    completion = await ReplayProvider(folder).complete(call(prompt="prompt 0"))
    assert completion.text == "sample 0"


async def test_queries_of_one_text_are_told_apart_by_their_id(tmp_path: Path) -> None:
    provider = ReplayProvider(write(tmp_path))
    with pytest.raises(RejectedError, match=r"2 queries .* have this text; name one"):
        await provider.complete(call(prompt="the same"))
    named = call(prompt="the same", metadata={"query_id": "twin1"})
    assert (await provider.complete(named)).text == "echo says twin1"


@pytest.mark.parametrize(
    ("prompt", "upstream", "message"),
    [
        ("prompt 9", "echo", "is not among the queries of"),
        ("prompt 2", "other", "no outcome of 'other' for query 'q2'"),
        ("prompt 0", "nobody", "no outcome of 'nobody' for query 'q0'"),
    ],
)
async def test_what_was_not_recorded_is_refused(
    prompt: str, upstream: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(RejectedError, match=message):
        await ReplayProvider(write(tmp_path)).complete(call(upstream, prompt=prompt))


async def test_health_is_a_matter_of_being_recorded(tmp_path: Path) -> None:
    provider = ReplayProvider(write(tmp_path / "there"))
    assert await provider.healthy(model("echo"))
    assert not await provider.healthy(model("nobody"))
    assert not await ReplayProvider(tmp_path / "nowhere").healthy(model("echo"))
    await provider.aclose()
    assert not await provider.healthy(model("echo"))
    with pytest.raises(UnavailableError, match="closed"):
        await provider.complete(call(prompt="prompt 0"))


async def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"queries\.parquet' is missing; name a folder"):
        await ReplayProvider(tmp_path / "nowhere").complete(call())
    folder = write(tmp_path / "there")
    save(folder / "outcomes.parquet", [{"query_id": "q0", "model": "echo"}])
    with pytest.raises(DataError, match=r"outcomes\.parquet' lacks the column 'score'"):
        await ReplayProvider(folder).complete(call())
    (folder / "outcomes.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"outcomes\.parquet' cannot be read"):
        await ReplayProvider(folder).complete(call())


async def test_the_files_are_read_once(tmp_path: Path) -> None:
    folder = write(tmp_path / "there")
    provider = ReplayProvider(folder)
    first = await provider.complete(call(prompt="prompt 0"))
    for path in folder.iterdir():
        path.unlink()
    assert await provider.complete(call(prompt="prompt 0")) == first
