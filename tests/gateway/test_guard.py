"""Who may come in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai as official
import pytest

from emafusion import gateway
from emafusion.errors import ConfigError

from .parts import Script, Served, client_of, served

KEY = "correct horse battery staple"
CHAT: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(scope="module")
def locked() -> Iterator[Served]:
    settings = gateway.Settings(api_key=KEY, hosts=None)
    with served(client_of({"small": Script()}), settings) as found:
        yield found


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1:8080", "[::1]:8080"])
def test_loopback_names_are_served(house: Served, host: str) -> None:
    assert house.ask(CHAT, host=host).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:8080",
        "localhost, evil.example",
        "10.0.0.1",
        "[::1",
        "",
    ],
)
def test_a_name_that_was_pointed_at_us_is_not(house: Served, host: str) -> None:
    reply = house.ask(CHAT, host=host)
    assert reply.status == 421
    assert reply.error["code"] == "unknown_host"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:3000", 200),
        ("http://127.0.0.1:8080", 200),
        ("https://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("null", 403),
    ],
)
def test_a_web_page_of_another_site_cannot_spend(house: Served, origin: str, status: int) -> None:
    assert house.ask(CHAT, origin=origin).status == status


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        KEY,
        "Bearer",
        "Bearer ",
        "Bearer \xff",
        f"Basic {KEY}",
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
    ],
)
def test_without_the_key_nothing_is_served(locked: Served, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    for method, path in [
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/models"),
        ("GET", "/v1/decisions/dec_1"),
        ("GET", "/V1/models"),
        ("GET", "/healthz/../v1/models"),
        ("GET", "/v1/models/%2e%2e/healthz"),
        ("GET", "/nowhere"),
    ]:
        reply = locked.ask(CHAT, method=method, path=path, **headers)
        assert reply.status == 401, path
        assert reply.error["code"] == "invalid_api_key"
        assert reply.headers["www-authenticate"] == "Bearer"


def test_with_the_key_it_is(locked: Served) -> None:
    with official.OpenAI(base_url=f"{locked.url}/v1", api_key=KEY, max_retries=0) as client:
        answer = client.chat.completions.create(**CHAT)
    assert answer.choices[0].message.content == "Paris."
    with (
        official.OpenAI(base_url=f"{locked.url}/v1", api_key="wrong", max_retries=0) as client,
        pytest.raises(official.AuthenticationError),
    ):
        client.models.list()


def test_health_needs_no_key(locked: Served) -> None:
    assert locked.get("/healthz").json == {"status": "ok"}


@pytest.mark.parametrize("key", ["", "  "])
def test_an_empty_key_is_no_key(key: str) -> None:
    with pytest.raises(ConfigError, match="empty"):
        gateway.Settings(api_key=key)


def test_settings_do_not_show_the_key() -> None:
    assert KEY not in repr(gateway.Settings(api_key=KEY))
