"""Addresses that are asked most skip the router, and nobody can tell by the answers."""

from __future__ import annotations

import pytest
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from emafusion.gateway.straight import Straight


class Known(Exception):  # noqa: N818 - a test's own
    pass


class Kind(Known):
    pass


async def told(http: HttpRequest, failure: Exception) -> Response:
    return PlainTextResponse(f"{http.url.path} {type(failure).__name__}", status_code=418)


async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("elsewhere")(scope, receive, send)


async def works(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("straight")(scope, receive, send)


async def fails(scope: Scope, receive: Receive, send: Send) -> None:
    raise Kind


async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
    raise ZeroDivisionError


async def stops(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise Known


APP = Straight(
    elsewhere, {"/works": works, "/fails": fails, "/breaks": breaks, "/stops": stops}, {Known: told}
)


async def asked(path: str, method: str = "POST") -> tuple[int, str]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
    scope |= {"server": ("test", 80), "scheme": "http"}
    await APP(scope, receive, send)
    return sent[0]["status"], sent[1]["body"].decode()


async def test_its_addresses_are_found_by_their_path_alone() -> None:
    assert await asked("/works") == (200, "straight")
    assert await asked("/works", "GET") == (200, "elsewhere")
    assert await asked("/works/") == (200, "elsewhere")
    assert await asked("/other") == (200, "elsewhere")


async def test_a_failure_is_told_by_its_nearest_class() -> None:
    assert await asked("/fails") == (418, "/fails Kind")


async def test_what_is_unknown_or_too_late_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        await asked("/breaks")
    with pytest.raises(Known):
        await asked("/stops")
