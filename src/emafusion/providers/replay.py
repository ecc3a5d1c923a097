"""Answers from a folder of recorded outcomes: the models of a benchmark, without calling them.

It knows the interchange format (``queries``, ``outcomes`` and ``responses.parquet``); it does not
know whether an answer is right, though it hands on the score that was recorded.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.errors import DataError, MissingExtraError, RejectedError, UnavailableError
from emafusion.providers import wire
from emafusion.types import Call, Chunk, Completion, Model, Usage, content_text

if TYPE_CHECKING:
    import pyarrow as pa

QUERIES = ("query_id", "prompt")
TOKENS = ("prompt_tokens", "completion_tokens")
OUTCOMES = ("query_id", "model", "score", "answer", "cost_usd", *TOKENS)
OPTIONAL = ("sample", "mean_logprob", "min_logprob", "finish_reason")
RESPONSES = ("query_id", "model", "response")


class ReplayProvider:
    """Gives every call the answer that was recorded for its prompt and model.

    The query is found by the text of the last user message, exactly, or by the ``query_id`` in the
    call's ``metadata`` parameter where several queries share a text. A model is found by
    ``Model.upstream``. Of several recorded samples the first is given.

    The completion's ``raw`` holds ``score``, ``query_id`` and ``cost_usd`` as recorded. Where the
    record has only the mean and the minimum of the log-probabilities, ``logprobs`` has the same
    length, mean and minimum.

    Parameters
    ----------
    folder : Path
        The recorded outcomes. Read at the first call.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._recorded: _Recorded | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"ReplayProvider({str(self.folder)!r})"

    async def complete(self, call: Call) -> Completion:
        """The recorded answer to `call`.

        Raises
        ------
        RejectedError
            No such prompt, or no outcome of the model for it, is recorded.
        DataError
            The folder is not one of recorded outcomes.
        """
        if self._closed:
            raise UnavailableError("this replay is closed; make a new one", call.model.name)
        recorded = self._recorded
        if recorded is None:
            recorded = await asyncio.to_thread(self._read)
        return recorded.completion(call, self.folder)

    async def stream(self, call: Call) -> AsyncGenerator[Chunk]:
        """The recorded answer to `call` in one piece; raises as :meth:`complete`."""
        completion = await self.complete(call)
        yield Chunk(text=completion.text)
        yield Chunk(finish_reason=completion.finish_reason, usage=completion.usage)

    async def healthy(self, model: Model) -> bool:
        """Whether any outcome of `model` is recorded."""
        if self._closed:
            return False
        try:
            recorded = await asyncio.to_thread(self._read)
        except DataError:
            return False
        return model.upstream in recorded.models

    async def aclose(self) -> None:
        """Forget the outcomes; later calls fail."""
        self._closed = True
        self._recorded = None

    def _read(self) -> _Recorded:
        with self._lock:
            if self._recorded is None:
                self._recorded = _Recorded(self.folder)
            return self._recorded


class _Recorded:
    """The folder in memory: texts stay in their columns, and are found by row."""

    def __init__(self, folder: Path) -> None:
        queries = _table(folder / "queries.parquet", QUERIES)
        outcomes = _table(folder / "outcomes.parquet", OUTCOMES, optional=OPTIONAL)
        if "sample" in outcomes.column_names:
            outcomes = outcomes.sort_by("sample")
        self._columns: dict[str, pa.Array] = {
            name: outcomes[name].combine_chunks() for name in outcomes.column_names
        }
        self._rows = _rows(outcomes)
        self._queries: dict[str, list[str]] = {}
        for query, prompt in zip(
            queries["query_id"].to_pylist(), queries["prompt"].to_pylist(), strict=True
        ):
            self._queries.setdefault(prompt, []).append(query)
        self.models = frozenset(model for _, model in self._rows)
        self._responses: pa.Array | None = None
        self._response_rows: Mapping[tuple[str, str], int] = {}
        if (folder / "responses.parquet").exists():
            responses = _table(folder / "responses.parquet", RESPONSES, optional=("sample",))
            if "sample" in responses.column_names:
                responses = responses.sort_by("sample")
            self._responses = responses["response"].combine_chunks()
            self._response_rows = _rows(responses)

    def completion(self, call: Call, folder: Path) -> Completion:
        query = self._query(call, folder)
        row = self._rows.get((query, call.model.upstream))
        if row is None:
            raise RejectedError(
                f"no outcome of {call.model.upstream!r} for query {query!r} is recorded in "
                f"{str(folder)!r}; collect it, or take the model out of the pool",
                call.model.name,
            )
        outcome = _Outcome(**{name: column[row].as_py() for name, column in self._columns.items()})
        return outcome.completion(self._response(query, call.model.upstream))

    def _query(self, call: Call, folder: Path) -> str:
        metadata = call.params.get("metadata")
        given = metadata.get("query_id") if wire.is_table(metadata) else None
        if isinstance(given, str):
            return given
        users = [message for message in call.messages if message.get("role") == "user"]
        known = self._queries.get(content_text(users[-1]), []) if users else []
        if len(known) == 1:
            return known[0]
        if known:
            raise RejectedError(
                f"{len(known)} queries in {str(folder)!r} have this text; name one in the call's "
                f"metadata: {{'query_id': {known[0]!r}}}",
                call.model.name,
            )
        raise RejectedError(
            f"this prompt is not among the queries of {str(folder)!r}; a replay answers only "
            f"prompts that were recorded, to the letter",
            call.model.name,
        )

    def _response(self, query: str, model: str) -> str | None:
        row = self._response_rows.get((query, model))
        if row is None or self._responses is None:
            return None
        response = self._responses[row].as_py()
        return response if isinstance(response, str) else None


class _Outcome(Struct, frozen=True, kw_only=True):
    """One row of ``outcomes.parquet``."""

    query_id: str
    model: str
    score: float
    answer: str | None
    cost_usd: float
    prompt_tokens: int
    completion_tokens: int
    sample: int = 0
    mean_logprob: float | None = None
    min_logprob: float | None = None
    finish_reason: str | None = None

    def completion(self, response: str | None) -> Completion:
        text = self.answer if response is None else response
        return Completion(
            text=text or "",
            usage=Usage(prompt_tokens=self.prompt_tokens, completion_tokens=self.completion_tokens),
            finish_reason=self.finish_reason or "stop",
            logprobs=self._logprobs(),
            answer=self.answer,
            raw={"score": self.score, "query_id": self.query_id, "cost_usd": self.cost_usd},
        )

    def _logprobs(self) -> tuple[float, ...] | None:
        """As many log-probabilities as tokens, of the recorded mean and minimum."""
        count, mean, least = self.completion_tokens, self.mean_logprob, self.min_logprob
        if mean is None or count < 1:
            return None
        if least is None or count == 1:
            return (mean,) * count
        other = min(0.0, (count * mean - least) / (count - 1))
        return (least, *(other,) * (count - 1))


def _rows(table: pa.Table) -> dict[tuple[str, str], int]:
    """The row of each query and model: the first where there are several."""
    pairs = zip(table["query_id"].to_pylist(), table["model"].to_pylist(), strict=True)
    rows: dict[tuple[str, str], int] = {}
    for row, pair in enumerate(pairs):
        rows.setdefault(pair, row)
    return rows


def _table(path: Path, needed: Sequence[str], *, optional: Sequence[str] = ()) -> pa.Table:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "learn") from error
    try:
        there = parquet.read_schema(path).names
        missing = [name for name in needed if name not in there]
        if missing:
            raise DataError(f"{str(path)!r} lacks the column {missing[0]!r}")
        columns = [*needed, *(name for name in optional if name in there)]
        return parquet.read_table(path, columns=columns)
    except FileNotFoundError:
        raise DataError(
            f"{str(path)!r} is missing; name a folder of recorded outcomes, which has "
            f"queries.parquet and outcomes.parquet"
        ) from None
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{str(path)!r} cannot be read: {error}") from None
