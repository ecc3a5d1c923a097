"""GGUF model files, run in this process by llama.cpp (through xllamacpp).

It knows threads, deadlines and the runtime's own format (OpenAI's); it does not know where a file
comes from (:mod:`emafusion.providers.weights` does). A model is loaded at its first call and stays
in memory until :meth:`LocalProvider.aclose`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from emafusion.errors import (
    BadResponseError,
    MissingExtraError,
    ProviderError,
    RejectedError,
    UnavailableError,
)
from emafusion.providers import wire
from emafusion.providers.deadline import deadline_errors
from emafusion.providers.ending import ended
from emafusion.providers.weights import Weights
from emafusion.types import Call, Chunk, Completion, Model

if TYPE_CHECKING:
    from xllamacpp import Server

MOST_THREADS = 8
"""More threads than this slow small models down: they wait for memory, not for arithmetic."""
FEW_CORES = 2
"""With so few cores, the one left free would be worth more than the steadiness it buys."""
BATCH = 128
"""Prompt tokens evaluated at a time: between two batches a call can be stopped."""

Event = dict[str, object] | BaseException | None
"""What a call's thread sends its task: a chunk, the error that ended it, or the end."""


class LocalProvider:
    """Answers from model files in this process.

    Parameters
    ----------
    weights : Weights, optional
        Finds or fetches the file of ``Model.upstream``: ``sha256:…`` or a path.
    threads : int, optional
        CPU threads for one call; by default all cores but one, at most 8; both cores where there
        are two. One thread is the steadier choice on two cores that other work shares.
    slots : int, default 1
        Calls one model answers at the same time; each has the whole context window.
    """

    def __init__(
        self, *, weights: Weights | None = None, threads: int | None = None, slots: int = 1
    ) -> None:
        if find_spec("xllamacpp") is None:
            raise MissingExtraError("xllamacpp", "local")
        self.weights = weights or Weights()
        self.threads = threads or _threads(_cores())
        self.slots = slots
        self._engines: dict[str, _Engine] = {}
        self._guard = threading.Lock()
        # The runtime initialises process-wide tables and its log level: one load at a time.
        self._loading = threading.Lock()
        self._closed = False

    async def complete(self, call: Call) -> Completion:
        """The whole answer to `call`, with its tokens' log-probabilities."""
        gathered = wire.Gathered()
        async with aclosing(self.stream(call)) as chunks:
            async for chunk in chunks:
                gathered.add(chunk)
        return gathered.completion(call)

    async def stream(self, call: Call) -> AsyncGenerator[Chunk]:
        """The answer piece by piece; leaving the iteration stops the generation."""
        engine = self._engine(call.model)
        deadline = asyncio.get_running_loop().time() + call.timeout_s
        with deadline_errors(call):
            async with aclosing(ended(_chunks(engine, call, deadline), call)) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def prepare(self, model: Model) -> None:
        """Fetch and load `model` now, with no deadline; what the first call would do."""
        await self._engine(model).ready()

    async def healthy(self, model: Model) -> bool:
        """Whether `model`'s file is here and the runtime is installed."""
        if self._closed:
            return False
        return await asyncio.to_thread(self.weights.here, model.upstream) is not None

    async def aclose(self) -> None:
        """Stop every generation, join the threads and free the models' memory."""
        with self._guard:
            self._closed = True
            engines = list(self._engines.values())
            self._engines.clear()
        self.weights.close()
        for engine in engines:
            await asyncio.to_thread(engine.close)

    def _engine(self, model: Model) -> _Engine:
        with self._guard:
            if self._closed:
                raise UnavailableError("this local provider is closed; make a new one", model.name)
            engine = self._engines.get(model.upstream)
            if engine is None:
                engine = _Engine(model, load=self._load, slots=self.slots)
                self._engines[model.upstream] = engine
            return engine

    def _load(self, model: Model) -> Server:
        """The runtime with `model` in memory. Runs in a thread; fetches the file if need be."""
        path = self.weights.path(model.upstream, model=model.name)
        with self._loading:
            return _server(path, model, threads=self.threads, slots=self.slots)


class _Engine:
    """One model in memory, and the threads that wait for it."""

    def __init__(self, model: Model, *, load: Callable[[Model], Server], slots: int) -> None:
        self.model = model
        self._load = load
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._closing = threading.Event()
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix=f"local-{model.name}")

    async def ready(self) -> None:
        """Load the model if it is not yet."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._loaded)

    async def run(self, body: bytes, deadline: float) -> AsyncGenerator[dict[str, object]]:
        """The runtime's chunks for the request `body`; leaving the iteration stops it.

        Raises ``TimeoutError`` where none comes before `deadline`, in the loop's time.
        """
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event] = asyncio.Queue()
        stop = threading.Event()

        def send(event: Event) -> None:
            if not stop.is_set():
                loop.call_soon_threadsafe(events.put_nowait, event)

        future = self._threads.submit(self._generate, body, send, stop)
        future.add_done_callback(lambda done: send(self._end(done)))
        try:
            while True:
                async with asyncio.timeout_at(deadline):
                    event = await events.get()
                if event is None:
                    return
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            stop.set()
            future.cancel()

    def close(self) -> None:
        """Stop what runs, join the threads, free the memory."""
        self._closing.set()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._server = None

    def _loaded(self) -> Server:
        with self._lock:
            if self._server is None:
                self._server = self._load(self.model)
            return self._server

    def _generate(self, body: bytes, send: Callable[[Event], None], stop: threading.Event) -> None:
        """Run one request to its end. Runs in a thread."""

        def receive(data: bytes) -> bool:
            # What is raised in here the runtime swallows: say it through `send` instead.
            if self._closing.is_set() or stop.is_set():
                return True
            try:
                send(msgspec.json.decode(data, type=dict[str, object]))
            except ValueError as error:
                send(BadResponseError(f"the local runtime sent no JSON: {error}", self.model.name))
                return True
            return False

        try:
            self._loaded().handle_chat_completions(body, receive)
        except (ValueError, RuntimeError) as error:
            # Raised for a request the runtime will not take, before the first token.
            raise RejectedError(
                f"{self.model.name!r} cannot take this request: {error}", self.model.name
            ) from None

    def _end(self, done: Future[None]) -> BaseException | None:
        """How a request's thread ended: the error to raise, or none."""
        if done.cancelled() or self._closing.is_set():
            return UnavailableError("the local provider was closed", self.model.name)
        return done.exception()


def _cores() -> int:
    """The cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _threads(cores: int) -> int:
    """Threads for one call on a machine of `cores`.

    The runtime's threads wait for each other without sleeping, many times a token: where one of
    them shares its core with anything else, all the others burn theirs until it is back. So one
    core is left to the rest of the machine, unless that would halve the speed.
    """
    return min(cores if cores <= FEW_CORES else cores - 1, MOST_THREADS)


def _server(path: Path, model: Model, *, threads: int, slots: int) -> Server:
    """A quiet runtime with `path` loaded, reachable from this process alone."""
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path = str(path)
    params.n_ctx = model.context_window * slots
    params.n_parallel = slots
    params.n_batch = params.n_ubatch = BATCH
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.verbosity = -1
    params.cache_ram_mib = 0
    params.warmup = params.ui = params.endpoint_slots = False
    # The runtime always listens somewhere; here, on a socket nobody else can open.
    folder = tempfile.mkdtemp(prefix="emafusion-")
    try:
        params.hostnames = [str(Path(folder) / "llama.sock")]
        return Server(params)
    except RuntimeError:
        raise UnavailableError(
            f"{model.name!r} could not be loaded from {str(path)!r}: the file is damaged, is not "
            f"GGUF, or memory is short; delete it to fetch it again",
            model.name,
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _body(call: Call) -> bytes:
    """The request for the runtime: log-probabilities on, the answer bounded, progress reported."""
    body: dict[str, object] = {"max_tokens": call.model.max_output, "logprobs": True}
    body |= wire.request_body(call, stream=True)
    if "max_completion_tokens" in body:
        body["max_tokens"] = body.pop("max_completion_tokens")
    if body.get("logprobs"):
        body.setdefault("top_logprobs", 1)
    body["return_progress"] = True
    return wire.encoded(body, call)


async def _chunks(engine: _Engine, call: Call, deadline: float) -> AsyncGenerator[Chunk]:
    async with aclosing(engine.run(_body(call), deadline)) as bodies:
        async for body in bodies:
            if "prompt_progress" not in body:
                yield _chunk(body, call.model)


def _chunk(body: dict[str, object], model: Model) -> Chunk:
    """The piece in the runtime's `body`; its error as a :class:`ProviderError`."""
    error = body.get("error")
    if wire.is_table(error):
        raise _refusal(error, model)
    try:
        return wire.chunk_of(body)
    except wire.Malformed as malformed:
        raise BadResponseError(
            f"the local runtime answered {model.name!r} oddly: {malformed}", model.name
        ) from None


def _refusal(error: object, model: Model) -> ProviderError:
    table = error if wire.is_table(error) else {}
    if table.get("type") == "exceed_context_size_error":
        return RejectedError(
            f"the prompt has {table.get('n_prompt_tokens')} tokens and {model.name!r} takes "
            f"{model.context_window}; shorten it or use a model with a larger context window",
            model.name,
        )
    message = str(table.get("message", "no reason given"))[:300]
    if table.get("code") == 400:
        return RejectedError(f"{model.name!r} refused the request: {message}", model.name)
    return UnavailableError(f"{model.name!r} failed: {message}", model.name)
