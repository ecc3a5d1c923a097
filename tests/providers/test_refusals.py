from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from emafusion.errors import (
    AuthenticationError,
    BadResponseError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from emafusion.providers.refusals import refusal, refusal_in, retry_after_s

from .calls import model


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (302, BadResponseError),
        (400, RejectedError),
        (401, AuthenticationError),
        (403, AuthenticationError),
        (404, RejectedError),
        (408, UnavailableError),
        (422, RejectedError),
        (429, RateLimitedError),
        (500, UnavailableError),
        (529, UnavailableError),
    ],
)
def test_each_status_has_its_error(status: int, error: type[ProviderError]) -> None:
    found = refusal(status, b"", model=model(), headers={})
    assert type(found) is error
    assert found.model == "the-echo"
    assert str(status) in str(found)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "too bad"}},
        {"error": "too bad"},
        {"message": "too bad"},
        {"detail": "too bad"},
    ],
)
def test_the_upstreams_words_are_repeated(body: object) -> None:
    found = refusal(400, json.dumps(body).encode(), model=model(), headers={})
    assert str(found) == "'the-echo' refused the request (400: too bad)"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"error": {}}', b"\xff"])
def test_what_says_nothing_is_left_out(body: bytes) -> None:
    assert str(refusal(400, body, model=model(), headers={})).endswith("(400)")


def test_an_error_in_an_answer_has_its_own_code() -> None:
    limited = refusal_in({"error": {"code": 429, "message": "slow"}}, model())
    assert isinstance(limited, RateLimitedError)
    assert isinstance(refusal_in({"error": "broken"}, model()), UnavailableError)
    assert isinstance(refusal_in({"error": {"code": "odd"}}, model()), UnavailableError)


def test_retry_after() -> None:
    assert retry_after_s({}) is None
    assert retry_after_s({"Retry-After": "1.5"}) == 1.5
    assert retry_after_s({"Retry-After": "-3"}) == 0
    assert retry_after_s({"Retry-After": "soon"}) is None
    soon = datetime.now(UTC) + timedelta(seconds=30)
    assert retry_after_s({"Retry-After": format_datetime(soon, usegmt=True)}) == pytest.approx(
        30, abs=2
    )
    assert retry_after_s({"Retry-After": "Wed, 21 Oct 2015 07:28:00"}) == 0


def test_a_date_is_counted_from_the_answers_own() -> None:
    """Our wall clock may be years off: the wait is not."""
    headers = {
        "Date": "Wed, 21 Oct 2015 07:28:00 GMT",
        "Retry-After": "Wed, 21 Oct 2015 07:28:20 GMT",
    }
    assert retry_after_s(headers) == 20
