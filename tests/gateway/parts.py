"""An engine of real stages over scripted models, and a real server around it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from emafusion import gateway
from emafusion.client import Client
from emafusion.engine import Engine, Stages
from emafusion.errors import ProviderError
from emafusion.gateway.exchange import Exchange
from emafusion.gateway.server import _protocol
from emafusion.judge import CalibratedPanel
from emafusion.plan import UtilityPlanner
from emafusion.predict import Union
from emafusion.protect import VisibilityProtector
from emafusion.protect.shield import Shield
from emafusion.protocols import Classifier, Port, Provider, Recorder, Splitter
from emafusion.record import Memory
from emafusion.types import (
    Call,
    Chunk,
    Completion,
    Feedback,
    Labels,
    Model,
    Outcome,
    Request,
    Usage,
)

USAGE = Usage(prompt_tokens=11, completion_tokens=7, cached_tokens=3, reasoning_tokens=2)


@dataclass
class Script:
    """What one model does: its answer, what it takes, and how it fails."""

    text: str = "Paris."
    raw: Mapping[str, object] | None = None
    chunks: Sequence[Mapping[str, object]] = ()
    wait_s: float = 0.0
    pace_s: float = 0.0
    failure: Exception | None = None
    fails_after: int = 0
    tool_calls: tuple[Mapping[str, object], ...] = ()
    usage: Usage = USAGE
    calls: list[Call] = field(default_factory=list)
    cancelled: int = 0
    spoken: int = 0

    def copies(self) -> Iterator[Chunk]:
        """The stream's pieces."""
        if self.chunks:
            for raw in self.chunks:
                yield _read(raw)
            return
        for word in self.text.split(" "):
            yield Chunk(text=f"{word} ")
        yield Chunk(finish_reason="stop", usage=self.usage)


def _read(raw: Mapping[str, Any]) -> Chunk:
    choice: Mapping[str, Any] = next(
        (one for one in raw["choices"] if one.get("index", 0) == 0), {}
    )
    return Chunk(
        text=choice.get("delta", {}).get("content") or "",
        finish_reason=choice.get("finish_reason"),
        usage=USAGE if raw.get("usage") else None,
        raw=raw,
    )


class Scripted:
    """A provider whose models do what their scripts say."""

    def __init__(self, scripts: Mapping[str, Script]) -> None:
        self.scripts = scripts
        self.closed = False

    async def complete(self, call: Call) -> Completion:
        script = await self._begin(call)
        if script.failure is not None:
            raise script.failure
        choices: Any = (script.raw or {}).get("choices") or [{}]
        return Completion(
            text=script.text,
            usage=script.usage,
            raw=script.raw,
            tool_calls=script.tool_calls,
            finish_reason=choices[0].get("finish_reason", "stop"),
        )

    async def stream(self, call: Call) -> AsyncIterator[Chunk]:
        script = await self._begin(call)
        try:
            for place, chunk in enumerate(script.copies()):
                if script.failure is not None and place >= script.fails_after:
                    raise script.failure
                script.spoken += 1
                yield chunk
                await asyncio.sleep(script.pace_s)
        except (asyncio.CancelledError, GeneratorExit):
            script.cancelled += 1
            raise

    async def _begin(self, call: Call) -> Script:
        script = self.scripts[call.model.upstream]
        script.calls.append(call)
        try:
            await asyncio.sleep(script.wait_s)
        except asyncio.CancelledError:
            script.cancelled += 1
            raise
        return script

    async def healthy(self, model: Model) -> bool:
        return True

    async def aclose(self) -> None:
        self.closed = True


class Unlabelled:
    """A classifier with nothing to say."""

    async def understand(self, request: Request, port: Port) -> Labels:
        return Labels(axes={})


class Now:
    """This machine's clocks."""

    def now(self) -> float:
        return time.time()

    def tick(self) -> float:
        return time.monotonic()


class Refusing:
    """A recorder that fails as one with a full disk does."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    async def record(self, outcome: Outcome) -> None:
        raise self.failure

    async def note(self, feedback: Feedback) -> None:
        raise self.failure

    async def noted(self, after: int = 0, limit: int = 1000) -> tuple[tuple[int, Feedback], ...]:
        return ()

    async def find(self, decision_id: str) -> Outcome | None:
        raise self.failure

    async def aclose(self) -> None:
        pass


def catalog(names: Sequence[str], **changes: Any) -> list[Model]:
    """Models in order of price, each able to do everything."""
    able = frozenset({"tools", "json", "vision", "logprobs"})
    return [
        Model(
            name=name,
            provider="scripted",
            upstream=name,
            usd_per_mtok_in=1.0 + place,
            usd_per_mtok_out=2.0 + place,
            **{"capabilities": able, **changes},
        )
        for place, name in enumerate(names)
    ]


def client_of(
    scripts: Mapping[str, Script],
    *,
    models: Sequence[Model] = (),
    recorder: Recorder | None = None,
    classifier: Classifier | None = None,
    providers: Mapping[str, Provider] | None = None,
    splitter: Splitter | None = None,
    shield: Shield | None = None,
) -> Client:
    """A client of an engine whose models do what `scripts` say."""
    stages = Stages(
        protector=VisibilityProtector(),
        classifier=classifier or Unlabelled(),
        predictor=Union(),
        planner=UtilityPlanner(),
        panel=CalibratedPanel(),
        recorder=recorder or Memory(),
        splitter=splitter,
    )
    engine = Engine(
        stages,
        models or catalog(list(scripts)),
        providers={"scripted": Scripted(scripts), **(providers or {})},
        clock=Now(),
    )
    return Client(engine, shield=shield)


@dataclass(frozen=True)
class Served:
    """A server that listens, and what it serves."""

    url: str
    port: int
    client: Client
    server: uvicorn.Server

    def ask(
        self,
        body: object,
        *,
        method: str = "POST",
        path: str = "/v1/chat/completions",
        **headers: str,
    ) -> Reply:
        """One request without any client's help."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(link):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            link.request(method, path, body=data, headers=named)
            response = link.getresponse()
            return Reply(response.status, dict(response.getheaders()), response.read())

    def script(self, model: str) -> Script:
        """What `model` does."""
        provider = self.client.engine.providers["scripted"]
        assert isinstance(provider, Scripted)
        return provider.scripts[model]

    def get(self, path: str, **headers: str) -> Reply:
        """One ``GET``."""
        return self.ask(b"", method="GET", path=path, **headers)


@dataclass(frozen=True)
class Reply:
    """A response as it came."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> Any:
        return self.json["error"]

    @property
    def events(self) -> list[Any]:
        """The stream's data, comments left out; ``[DONE]`` as it is."""
        found = []
        for block in self.content.decode().split("\n\n"):
            if block.startswith("data: "):
                data = block.removeprefix("data: ")
                found.append(data if data == "[DONE]" else json.loads(data))
        return found


@contextlib.contextmanager
def served(client: Client | Exchange, settings: gateway.Settings | None = None) -> Iterator[Served]:
    """The gateway to `client`, listening on a port of its own in another thread."""
    settings = settings or gateway.Settings()
    asked = client.client if isinstance(client, Exchange) else client
    config = uvicorn.Config(
        gateway.app(client, settings),
        port=0,
        http=_protocol(settings),
        ws="none",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Served(f"http://127.0.0.1:{port}", port, asked, server)
    finally:
        server.should_exit = True
        thread.join()


def until(true: Any, *, within_s: float = 30.0) -> None:
    """Wait until `true()`; long enough for a machine that is busy."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def broken(kind: type[ProviderError], message: str = "broken") -> ProviderError:
    """A provider's failure."""
    return kind(message, "model")
