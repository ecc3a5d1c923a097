"""A provider that answers from a script: fast, repeatable, and able to fail on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import TypeAlias

from emafusion.errors import DeadlineError, RejectedError, UnavailableError
from emafusion.providers import wire
from emafusion.types import Call, Chunk, Completion, Model, content_text, replace

Reply: TypeAlias = str | Completion | Exception
"""A text, a whole completion, or the error to raise."""

Script: TypeAlias = Reply | Callable[[Call], Reply] | Mapping[str, Reply] | Sequence[Reply]


class ScriptedProvider:
    """Answers from a script and remembers every call.

    Parameters
    ----------
    script : str, Completion, Exception, callable, mapping or sequence
        One reply for every call; or a function of the :class:`~emafusion.types.Call`; or replies
        by the last user message's text, else by the model's name; or replies in the calls' order.
    delay_s : float, default 0
        Seconds before a reply; a call whose ``timeout_s`` is shorter raises
        :class:`~emafusion.errors.DeadlineError`.
    piece : int, default 8
        Characters of one piece when streaming.
    logprob : float, optional
        The log-probability that every token of a text reply gets; none by default.

    Attributes
    ----------
    calls : list of Call
        Every call, in order.
    cancelled : int
        Calls that were cancelled while they waited, and streams that were left early.
    """

    def __init__(
        self,
        script: Script = "scripted",
        *,
        delay_s: float = 0.0,
        piece: int = 8,
        logprob: float | None = None,
    ) -> None:
        self._script = script
        self.delay_s = delay_s
        self.piece = piece
        self.logprob = logprob
        self.calls: list[Call] = []
        self.cancelled = 0
        self.closed = False

    async def complete(self, call: Call) -> Completion:
        """The script's reply to `call`."""
        number = self._remember(call)
        await self._wait(call)
        return self._completion(call, number)

    async def stream(self, call: Call) -> AsyncGenerator[Chunk]:
        """The script's reply to `call`, in pieces of ``piece`` characters."""
        number = self._remember(call)
        await self._wait(call)
        completion = self._completion(call, number)
        done = False
        try:
            for start in range(0, len(completion.text), self.piece):
                yield Chunk(text=completion.text[start : start + self.piece])
            done = True
        finally:
            self.cancelled += not done
        yield Chunk(finish_reason=completion.finish_reason, usage=completion.usage)

    async def healthy(self, model: Model) -> bool:
        """Whether this provider is still open."""
        return not self.closed

    async def aclose(self) -> None:
        """Nothing is held; later calls fail."""
        self.closed = True

    def _remember(self, call: Call) -> int:
        if self.closed:
            raise UnavailableError("the scripted provider is closed", call.model.name)
        self.calls.append(call)
        return len(self.calls) - 1

    async def _wait(self, call: Call) -> None:
        name = call.model.name
        try:
            await asyncio.sleep(min(self.delay_s, call.timeout_s))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.delay_s > call.timeout_s:
            raise DeadlineError(f"{name!r} gave no answer in {call.timeout_s:g} s", name)

    def _completion(self, call: Call, number: int) -> Completion:
        reply = self._reply(call, number)
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Completion):
            return reply
        usage = replace(wire.estimated_usage(call, reply), counted=True)
        logprobs = None
        if self.logprob is not None:
            logprobs = (self.logprob,) * usage.completion_tokens
        return Completion(text=reply, usage=usage, logprobs=logprobs)

    def _reply(self, call: Call, number: int) -> Reply:
        script = self._script
        if isinstance(script, (str, Completion, Exception)):
            return script
        if callable(script):
            return script(call)
        name = call.model.name
        if isinstance(script, Mapping):
            for key in (_prompt(call), name):
                if key in script:
                    return script[key]
            raise RejectedError(f"the script has no reply for this prompt, nor for {name!r}", name)
        if number >= len(script):
            raise RejectedError(f"the script ended after {len(script)} replies", name)
        return script[number]


def _prompt(call: Call) -> str:
    """The last user message's text."""
    users = [message for message in call.messages if message.get("role") == "user"]
    return content_text(users[-1]) if users else ""
