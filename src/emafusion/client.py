"""The engine for people: a question in, an answer out, asynchronously or not.

Knows how a call with keyword arguments becomes a request. Everything else is the engine's.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import aclosing
from numbers import Real
from typing import TYPE_CHECKING, Protocol, TypedDict, TypeVar, Unpack, runtime_checkable

import msgspec

from emafusion.engine import Engine
from emafusion.errors import RejectedError, RequestError
from emafusion.judge.vocabulary import vocabulary
from emafusion.protect.returning import asks_json, shown, unmasked
from emafusion.types import (
    Answer,
    Arrangement,
    Chunk,
    DataClass,
    Draft,
    Knobs,
    Message,
    Outcome,
    Purpose,
    Request,
    content_text,
)

if TYPE_CHECKING:
    from emafusion.protect.shield import Shield

T = TypeVar("T")

TOLD_ELSEWHERE = ("tool_calls", "function_call", "audio", "refusal")
"""Where an assistant's turn without content says what it has to say."""


class Options(TypedDict, total=False):
    """The knobs of one call; see :class:`~emafusion.types.Knobs`."""

    prefer: float
    max_cost_usd: float
    max_latency_s: float
    models: Sequence[str]
    arrangement: Arrangement
    private: bool
    explore: bool
    min_quality: float
    policy: str
    params: Mapping[str, object]


@runtime_checkable
class Warming(Protocol):
    """A provider whose first call would wait for more than its answer."""

    async def warm(self) -> None:
        """Do that now, without asking any model."""
        ...


class Beside(Protocol):
    """What goes on beside the requests."""

    def status(self) -> Mapping[str, object]:
        """What has come of it so far."""
        ...

    def start(self) -> object:
        """Begin."""
        ...

    def stop(self) -> None:
        """End it."""
        ...


class Mute:
    """A port that refuses: what runs with it asks no model."""

    async def complete(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        purpose: Purpose,
        params: Mapping[str, object] | None = None,
    ) -> Draft:
        """Raise :class:`~emafusion.errors.RejectedError`."""
        raise RejectedError(f"{model!r} is not asked: nobody has asked a question yet", model)


class Client:
    """Asks an engine.

    Parameters
    ----------
    engine : Engine
        What :func:`emafusion.load` built.
    beside : Beside, optional
        What goes on beside the requests; stopped when the client is closed.
    shield : Shield, optional
        What masks requests before anything sees them; without it they go as they come.

    Examples
    --------
    >>> answer = client.answer_sync("What is the capital of Australia?", prefer=0.7)
    >>> answer.text, answer.model, answer.cost_usd
    """

    def __init__(
        self, engine: Engine, *, beside: Beside | None = None, shield: Shield | None = None
    ) -> None:
        self.engine = engine
        self.shield = shield
        self._beside = beside
        self._begun = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    async def answer(self, messages: str | Sequence[Message], **options: Unpack[Options]) -> Answer:
        """Answer `messages`, a question or a chat.

        Raises
        ------
        RequestError
            A knob or the messages are malformed, or no model may or can answer them.
        BudgetError, ProviderError, StoreError
            As :meth:`emafusion.engine.Engine.serve`.
        """
        self.begin()
        asked = request(messages, **options)
        if self.shield is None:
            return await self.engine.serve(asked)
        found = await self.shield.protect(asked)
        answer = await self.engine.serve(found.request)
        return unmasked(answer, found.vault, in_json=asks_json(asked))

    def stream(
        self, messages: str | Sequence[Message], **options: Unpack[Options]
    ) -> AsyncGenerator[Chunk | Answer]:
        """Chunks as they come, and last the whole :class:`~emafusion.types.Answer`."""
        self.begin()
        asked = request(messages, **options)
        return self.engine.stream(asked) if self.shield is None else self._shown(asked)

    def answer_sync(self, messages: str | Sequence[Message], **options: Unpack[Options]) -> Answer:
        """:meth:`answer` for code that is not asynchronous; callable from any thread.

        Ctrl-C ends the calls under way, and what they cost is on record before it is raised here.
        """
        return self._wait(self.answer(messages, **options))

    def begin(self) -> None:
        """Begin what goes on beside the requests; the first of them does, if nobody did before."""
        with self._lock:
            begun, self._begun = self._begun, True
        if self._beside is not None and not begun:
            self._beside.start()

    async def warm(self) -> None:
        """Do now what the first question would wait for; no model is asked, nothing recorded."""
        if self.shield is not None:
            await self.shield.begin()
        for provider in self.engine.providers.values():
            if isinstance(provider, Warming):
                await provider.warm()
        await self.engine.stages.classifier.understand(request("Hello?"), Mute())
        vocabulary()

    async def find(self, decision_id: str) -> Outcome | None:
        """The record of an earlier decision, or ``None``."""
        return await self.engine.stages.recorder.find(decision_id)

    async def feedback(
        self, decision_id: str, score: float, *, caller: str = "", comment: str = ""
    ) -> None:
        """Put on record how good the answer of an earlier decision was, from 0 to 1.

        A later opinion of the same `caller` takes the place of an earlier one.

        Raises
        ------
        UnknownDecisionError
            No decision of that identifier is on record.
        RequestError
            The score is not a number between 0 and 1, or another argument no string.
        StoreError
            The opinion could not be recorded.
        """
        if not isinstance(score, Real) or not 0.0 <= score <= 1.0:
            raise RequestError(f"a score goes from 0 to 1, not to {score!r}", "score")
        texts = {"decision_id": decision_id, "caller": caller, "comment": comment}
        for name, text in texts.items():
            if not isinstance(text, str):
                raise RequestError(f"{name} is a string, not {text!r}", name)
        caller, comment = await self.keepable(decision_id, caller, comment)
        await self.engine.note(decision_id, float(score), caller=caller, comment=comment)

    async def keepable(
        self,
        decision_id: str,
        caller: str,
        comment: str,
        *,
        scope: str = "",
        stated: Sequence[DataClass] = (),
    ) -> tuple[str, str]:
        """`caller` and `comment` as they may be kept beside a decision; `scope` is whose they are.

        Of what no text may be kept of, the decision's or by the classes `stated`, no comment is and
        no name.
        """
        outcome = await self.find(decision_id) if caller or comment else None
        found = None if outcome is None else outcome.protection
        if "restricted" in stated or (found is not None and found.untold):
            return ("" if self.shield is None else self.shield.quoted(caller, scope=scope)), ""
        if self.shield is None:
            return caller, comment
        caller, comment = await self.shield.masked(caller, comment, scope=scope)
        return caller, comment

    def status(self) -> Mapping[str, object]:
        """What goes on beside the requests: what was learnt and explored, which models changed.

        Empty where nothing does.
        """
        return {} if self._beside is None else self._beside.status()

    async def aclose(self) -> None:
        """Finish what is pending and give everything back."""
        if self._beside is not None and self._begun:
            await asyncio.to_thread(self._beside.stop)
        try:
            await self.engine.aclose()
        finally:
            if self.shield is not None:
                await self.shield.aclose()

    def close(self) -> None:
        """:meth:`aclose` for code that is not asynchronous."""
        try:
            self._wait(self.aclose())
        finally:
            with self._lock:
                loop, self._loop = self._loop, None
            if loop is not None:
                loop.call_soon_threadsafe(loop.stop)

    async def __aenter__(self) -> Client:
        self.begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __enter__(self) -> Client:
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _shown(self, asked: Request) -> AsyncGenerator[Chunk | Answer]:
        """The answer to `asked`, which is masked, piece by piece as its caller reads it."""
        if self.shield is None:
            raise TypeError("nothing was masked")
        found = await self.shield.protect(asked)
        async with (
            aclosing(self.engine.stream(found.request)) as pieces,
            aclosing(shown(pieces, found.vault, in_json=asks_json(asked))) as told,
        ):
            async for piece in told:
                yield piece

    def _wait(self, work: Coroutine[object, object, T]) -> T:
        """What `work` comes to; an interrupted wait (Ctrl-C) is over when `work` has ended too."""
        loop = self._running()
        begun = asyncio.run_coroutine_threadsafe(_begun(work), loop)
        try:
            asyncio.run_coroutine_threadsafe(_ended(begun.result()), loop).result()
        except BaseException:
            task = begun.result()
            loop.call_soon_threadsafe(task.cancel)
            asyncio.run_coroutine_threadsafe(_ended(task), loop).result()
            raise
        return begun.result().result()

    def _running(self) -> asyncio.AbstractEventLoop:
        """One loop in one thread for all synchronous calls, so connections stay pooled."""
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                threading.Thread(target=_run, args=(loop,), name="emafusion", daemon=True).start()
                self._loop = loop
            return self._loop


def request(messages: str | Sequence[Message], **options: Unpack[Options]) -> Request:
    """A request with a fresh identifier; raises :class:`RequestError` for a malformed one."""
    if isinstance(messages, str):
        messages = ({"role": "user", "content": messages},)
    settings = dict(options)
    params = settings.pop("params", {})
    unknown = settings.keys() - set(Knobs.__struct_fields__)
    if unknown:
        names = ", ".join(Knobs.__struct_fields__)
        raise RequestError(f"unknown knob {min(unknown)!r}; the knobs are {names}", min(unknown))
    try:
        knobs = msgspec.convert(settings, Knobs)
    except msgspec.ValidationError as wrong:
        raise RequestError(f"a knob has a wrong value: {wrong}") from wrong
    if not isinstance(params, Mapping):
        raise RequestError("params must be a mapping of the protocol's own fields", "params")
    for name in ("max_tokens", "max_completion_tokens", "n"):
        value = params.get(name, 1)
        if value is not None and (not isinstance(value, int) or value < 1):
            raise RequestError(f"{name} must be a whole number of at least 1", name)
    return Request(id=identifier(), messages=checked(messages), params=params, knobs=knobs)


def checked(messages: Sequence[Message]) -> tuple[Message, ...]:
    """`messages`, once they are known to be a chat; raises :class:`RequestError`."""
    if not messages:
        raise RequestError("messages is empty; give at least one user message", "messages")
    for place, message in enumerate(messages):
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise RequestError(f"messages[{place}] needs a role and a content", "messages")
        content = message.get("content")
        if content is None and not any(message.get(name) for name in TOLD_ELSEWHERE):
            raise RequestError(f"messages[{place}] has no content", "messages")
        if content is not None and not isinstance(content, (str, list, tuple)):
            raise RequestError(
                f"messages[{place}].content must be a string or a list of parts", "messages"
            )
    found = tuple(messages)
    if not any(_says(message) for message in found):
        raise RequestError("every message is empty; ask something", "messages")
    return found


def _says(message: Message) -> bool:
    """Whether `message` holds more than blanks: text, or a part that is no text."""
    content = message.get("content")
    parts = content if isinstance(content, (list, tuple)) else ()
    other = any(isinstance(part, Mapping) and part.get("type") != "text" for part in parts)
    return other or bool(content_text(message).strip())


def identifier() -> str:
    """A decision's identifier: 96 random bits."""
    return f"dec_{secrets.token_hex(12)}"


async def _begun(work: Coroutine[object, object, T]) -> asyncio.Task[T]:
    return asyncio.create_task(work)


async def _ended(task: asyncio.Task[T]) -> None:
    """Return once `task` has ended, however it did."""
    await asyncio.wait([task])


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.close()
