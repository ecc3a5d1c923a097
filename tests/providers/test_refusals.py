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
from emafusion.providers.retry import asked_s

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


def told(status: int, **error: object) -> RejectedError:
    body = json.dumps({"error": {"message": "no", **error}}).encode()
    found = refusal(status, body, model=model(), headers={})
    assert isinstance(found, RejectedError)
    return found


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refusal_keeps_its_status_its_code_and_the_field(status: int) -> None:
    found = told(status, code="unsupported_value", param="messages[0].content")
    assert (found.status, found.code) == (status, "unsupported_value")
    assert found.param == "messages[0].content"


@pytest.mark.parametrize("status", [402, 404, 405, 409])
def test_what_is_no_word_on_the_request_is_told_as_no_such_word(status: int) -> None:
    found = told(status, code="model_not_found", param="model")
    assert (found.status, found.code, found.param) == (400, None, None)


@pytest.mark.parametrize(
    "name",
    [400, None, {}, "", "two words", "a\nb", "é", "x" * 65, "sk-proj-abcdefgh12345678", "a/b"],
)
def test_what_is_no_name_is_not_told(name: object) -> None:
    found = told(400, code=name, param=name)
    assert (found.code, found.param) == (None, None)


@pytest.mark.parametrize("status", [408, 429, 500, 503, 529])
def test_the_wait_that_is_asked_for_is_known(status: int) -> None:
    found = refusal(status, b"", model=model(), headers={"Retry-After": "2"})
    assert asked_s(found) == 2.0


def test_retry_after() -> None:
    assert retry_after_s({}) is None
    assert retry_after_s({"Retry-After": "1.5"}) == 1.5
    assert retry_after_s({"Retry-After": "-3"}) == 0
    assert retry_after_s({"Retry-After": "soon"}) is None
    assert retry_after_s({"Retry-After": "1e300"}) == 86_400
    assert retry_after_s({"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}) == 86_400
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
