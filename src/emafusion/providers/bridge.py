"""Vendors with a wire format of their own, through one library that speaks them all: any-llm.

It knows any-llm's clients and errors; it does not know any vendor. any-llm answers in the OpenAI
format, so what comes back is read as any other.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from difflib import get_close_matches
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from emafusion.errors import (
    AuthenticationError,
    BadResponseError,
    ConfigError,
    MissingExtraError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from emafusion.providers import anthropics, marks, wire
from emafusion.providers.deadline import deadline_errors
from emafusion.providers.ending import ended
from emafusion.providers.redact import places, redacted
from emafusion.providers.refusals import rejected, retry_after_s
from emafusion.providers.rests import Rests
from emafusion.providers.retry import Allowance, retried
from emafusion.types import Call, Chunk, Completion, Model

if TYPE_CHECKING:
    from any_llm import AnyLLM
    from any_llm.exceptions import AnyLLMError

log = logging.getLogger("emafusion.providers")

T = TypeVar("T")
# any-llm's types are those of the vendors' packages, which need not be installed.
Ask: TypeAlias = Callable[[], Awaitable[Any]]
Pieces: TypeAlias = tuple[Any | None, AsyncIterator[Any]]

HEALTH_TIMEOUT_S = 3.0
HANDED_ON = frozenset(
    {
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "n",
        "parallel_tool_calls",
        "presence_penalty",
        "prompt_cache_key",
        "reasoning_effort",
        "response_format",
        "seed",
        "service_tier",
        "stop",
        "temperature",
        "tool_choice",
        "tools",
        "top_k",
        "top_logprobs",
        "top_p",
        "user",
    }
)
"""The parameters that become arguments of the vendor's package, where others could name another
model, another address for our key, or another header."""
LEFT_OUT = frozenset({"metadata", "prediction", "safety_identifier", "store", "verbosity"})
"""What clients send of their own accord and no answer depends on: notes, and hints."""
NEUTRAL: Final[Mapping[str, object]] = {
    "frequency_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "n": 1,
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "response_format": {"type": "text"},
    "stop": [],
    "tools": [],
    "top_logprobs": 0,
}
"""What some clients send to say nothing, although a vendor may not know the field."""
_UNKNOWN = re.compile(r"unexpected keyword argument '(\w{1,64})'")
"""What is said of an argument that the vendor's package does not have."""


class BridgeProvider:
    """Asks the models of one vendor in its own format.

    Parameters
    ----------
    vendor : str
        any-llm's name of the vendor, such as ``anthropic``, ``gemini`` or ``bedrock``. The vendor's
        own package must be installed: ``pip install 'any-llm-sdk[VENDOR]'``.
    api_key : str, optional
        The vendor's key; without it, the vendor's package looks where it always does.
    base_url : str, optional
        Another address than the vendor's.
    attempts : int, default 3
        How often a call is tried in all where the failure may pass.
    """

    def __init__(
        self,
        vendor: str,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        attempts: int = 3,
    ) -> None:
        known = vendors()
        if vendor not in known:
            close = get_close_matches(vendor, known, n=3) or known
            raise ConfigError(f"no vendor is named {vendor!r}; there are {', '.join(close)}")
        self.vendor = vendor
        self.attempts = attempts
        self._allowance = Allowance()
        self._rests = Rests()
        self._api_key = api_key
        self._base_url = base_url
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AnyLLM] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"BridgeProvider({self.vendor!r})"

    async def complete(self, call: Call) -> Completion:
        """The whole answer to `call`; raises a :class:`~emafusion.errors.ProviderError`."""
        with deadline_errors(call):
            async with asyncio.timeout(call.timeout_s):
                ask = await self._asker(call, stream=False)
                answer = await self._retried(call, ask)
        with self._errors(call):
            return wire.completion_of(_body(answer), call)

    async def stream(self, call: Call) -> AsyncGenerator[Chunk]:
        """The answer piece by piece; raises as :meth:`complete`."""
        deadline = asyncio.get_running_loop().time() + call.timeout_s
        with deadline_errors(call):
            async with asyncio.timeout_at(deadline):
                ask = await self._asker(call, stream=True)
                pieces = await self._retried(call, partial(_begun, ask))
            async with aclosing(ended(self._chunks(pieces, call, deadline), call)) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def healthy(self, model: Model) -> bool:
        """Whether the vendor lists its models to us within 3 s, where it has a list."""
        call = Call(model=model, messages=())
        with suppress(TimeoutError, ProviderError):
            await self._list(call)
            return True
        return False

    def reachable(self, model: Model) -> bool:
        """Whether `model` asks for no wait now; asks nobody."""
        return self._rests.over(model.upstream)

    async def aclose(self) -> None:
        """Close the vendor's connections, as far as its package has a way to."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        close = getattr(getattr(client, "client", None), "close", None)
        if close is not None:
            closing = close()
            if asyncio.iscoroutine(closing):
                await closing

    async def _list(self, call: Call) -> None:
        """Ask for the vendor's list of models, where it has one."""
        client = await self._client(call)
        if client.SUPPORTS_LIST_MODELS:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                with self._errors(call):
                    await client.alist_models()

    async def _client(self, call: Call) -> AnyLLM:
        """The running loop's client; its package's import takes seconds, so a thread does it."""
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = await asyncio.to_thread(self._made, call)
        return client

    def _made(self, call: Call) -> AnyLLM:
        from any_llm import AnyLLM
        from any_llm.exceptions import AnyLLMError

        options: dict[str, int] = {}
        try:
            if AnyLLM.get_provider_class(self.vendor).MAX_RETRIES_SUPPORT != "unsupported":
                options["max_retries"] = 0
            make: Callable[..., AnyLLM] = partial(AnyLLM.create, self.vendor)
            if self.vendor in anthropics.VENDORS:
                make = anthropics.telling(AnyLLM.get_provider_class(self.vendor))
            return make(
                api_key=self._api_key,
                api_base=self._base_url,
                unified_exceptions=True,
                **options,
            )
        except ImportError:
            # Not a ConfigError: the other models can still answer.
            raise UnavailableError(
                f"the vendor {self.vendor!r} needs a package of its own; run: "
                f"pip install 'any-llm-sdk[{self.vendor}]'",
                call.model.name,
            ) from None
        except AnyLLMError as error:
            raise self._error(error, call) from None

    async def _asker(self, call: Call, *, stream: bool) -> Ask:
        """What asks the vendor, once each time it is called."""
        client = await self._client(call)
        options = _options(call)
        messages = wire.messages_of(call)
        if self.vendor in anthropics.VENDORS:
            messages = marks.native(wire.led(call))
            options = anthropics.native(options, call.params)
        if stream and "stream_options" in call.params:
            options["stream_options"] = call.params["stream_options"]
        if client.TIMEOUT_SUPPORT != "unsupported":
            options["timeout"] = call.timeout_s
        return partial(
            client.acompletion,
            model=call.model.upstream,
            messages=[dict(message) for message in messages],
            stream=stream,
            **options,
        )

    async def _retried(self, call: Call, ask: Callable[[], Awaitable[T]]) -> T:
        async def attempt() -> T:
            turned: list[bool] = []
            asyncio.get_running_loop().call_soon(turned.append, True)
            try:
                with self._errors(call):
                    return await ask()
            except BadResponseError as error:
                if turned:
                    raise
                # The loop has not turned since, so nobody was asked: it is the request's fault.
                raise RejectedError(str(error), call.model.name) from error

        return await retried(
            attempt,
            attempts=self.attempts,
            within_s=call.timeout_s,
            allowance=self._allowance,
            asked=partial(self._rests.ask, call.model.upstream),
        )

    async def _chunks(self, pieces: Pieces, call: Call, deadline: float) -> AsyncGenerator[Chunk]:
        piece, rest = pieces
        try:
            while piece is not None:
                with self._errors(call):
                    chunk = wire.chunk_of(_body(piece))
                yield chunk
                with self._errors(call):
                    piece = await _next(rest, deadline)
        finally:
            await _close(rest)

    @contextmanager
    def _errors(self, call: Call) -> Iterator[None]:
        """Whatever the library and the vendor's package raise, as our errors."""
        from any_llm.exceptions import AnyLLMError

        name = call.model.name
        try:
            yield
        except AnyLLMError as error:
            raise self._error(error, call) from None
        except wire.Malformed as malformed:
            raise BadResponseError(
                f"the bridge to {self.vendor} brought no answer for {name!r}: {malformed}", name
            ) from None
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # What any-llm and the vendors' packages stumble over when they read an odd answer.
            raise BadResponseError(
                f"the bridge to {self.vendor} failed for {name!r}: {type(error).__name__}: "
                f"{self._text(error)}",
                name,
            ) from error

    def _error(self, error: AnyLLMError, call: Call) -> ProviderError:
        from any_llm import exceptions as theirs

        name = call.model.name
        text = f"{name!r} at {self.vendor}: {self._text(error)}"
        wait_s = retry_after_s(_headers(error))
        if isinstance(error, theirs.RateLimitError):
            return RateLimitedError(text, name, retry_after_s=wait_s)
        if isinstance(error, (theirs.AuthenticationError, theirs.MissingApiKeyError)):
            return AuthenticationError(f"{text}; check the provider's api_key", name)
        if isinstance(error.original_exception, ValueError):
            # The vendor's package could not read what came.
            return BadResponseError(text, name)
        status = error.status_code or 0
        if isinstance(error, _refusals()) or (400 <= status < 500 and status != 408):
            return self._rejected(error, text, call)
        if isinstance(error.original_exception, (TypeError, LookupError, AttributeError)):
            return BadResponseError(text, name)
        if not status:
            # Where we asked is for the log.
            log.warning("no answer for %r: %s", name, redacted(str(error), self._api_key))
            text = f"no answer from {self.vendor} for {name!r}"
        return UnavailableError(text, name, retry_after_s=wait_s)

    def _rejected(self, error: AnyLLMError, text: str, call: Call) -> RejectedError:
        """The error for a refused request; what the vendor does not take is told in our words."""
        name, untaken = call.model.name, _untaken(error)
        if untaken is None:
            status = error.status_code or 400
            return rejected(text, name, status=status, code=error.code, param=error.param)
        text = f"{name!r} at {self.vendor} takes no {redacted(untaken)}; leave it out"
        field = untaken.partition(" ")[0]
        return rejected(text, name, code="unsupported_parameter", param=field)

    def _text(self, error: Exception) -> str:
        return redacted(str(error), self._api_key, *places(self._base_url or ""))


def vendors() -> tuple[str, ...]:
    """The vendors that the installed any-llm knows; raises :class:`MissingExtraError` without it.

    Read from its folder: importing it takes a second.
    """
    spec = find_spec("any_llm")
    if spec is None or spec.origin is None:
        raise MissingExtraError("any_llm", "bridge")
    folder = Path(spec.origin).parent / "providers"
    return tuple(sorted(path.parent.name for path in folder.glob("*/__init__.py")))


def _options(call: Call) -> dict[str, Any]:
    """The parameters of `call` as any-llm's arguments; raises :class:`RejectedError` for others."""
    body = wire.request_body(call, stream=False)
    body = {n: v for n, v in body.items() if n not in NEUTRAL or v not in (None, NEUTRAL[n])}
    options = {name: value for name, value in body.items() if name in HANDED_ON}
    for name, value in body.items():
        if value is not None and name not in HANDED_ON | LEFT_OUT | wire.OURS:
            raise rejected(
                f"{name[:60]!r} cannot be handed on to {call.model.name!r}; leave it out",
                call.model.name,
                code="unsupported_parameter",
                param=name,
            )
    return options


def _untaken(error: AnyLLMError) -> str | None:
    """A field, or a use of one, that the vendor or any-llm does not take, where `error` says so."""
    from any_llm.exceptions import UnsupportedParameterError

    if isinstance(error, UnsupportedParameterError):
        return error.parameter_name
    found = _UNKNOWN.search(str(error.original_exception))
    typed = isinstance(error.original_exception, TypeError)
    return found.group(1) if typed and found is not None else None


def _headers(error: AnyLLMError) -> Mapping[str, str]:
    """The headers of the response that `error` tells of, as far as its package keeps them."""
    response = getattr(error.original_exception, "response", None)
    headers = getattr(response, "headers", None)
    asked = getattr(error, "retry_after", None)
    if isinstance(headers, Mapping) and (asked is None or "Retry-After" in headers):
        return headers
    return {} if asked is None else {"Retry-After": str(asked)}


def _refusals() -> tuple[type[AnyLLMError], ...]:
    """any-llm's errors that say that the request itself is at fault."""
    from any_llm import exceptions as theirs

    return (
        theirs.InvalidRequestError,
        theirs.ModelNotFoundError,
        theirs.ContextLengthExceededError,
        theirs.ContentFilterError,
        theirs.UnsupportedParameterError,
        theirs.InsufficientFundsError,
    )


async def _next(pieces: AsyncIterator[Any], deadline: float) -> Any | None:
    async with asyncio.timeout_at(deadline):
        return await anext(pieces, None)


async def _begun(ask: Ask) -> Pieces:
    """A stream and its first piece: some vendors' packages do not ask before it is wanted."""
    pieces = aiter(await ask())
    return await anext(pieces, None), pieces


def _body(answer: Any) -> dict[str, object]:
    body: dict[str, object] = answer.model_dump(mode="json", exclude_none=True)
    return body


async def _close(pieces: object) -> None:
    """Close a stream that was left early."""
    close = getattr(pieces, "aclose", None)
    if close is not None:
        await close()
