"""What callers think of answers, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from .parts import Served

ASK: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]


def _asked(house: Served, **more: object) -> str:
    answer = house.ask({"model": "small", "messages": ASK, **more})
    assert answer.status == 200
    return str(answer.headers["x-emafusion-decision"])


def test_an_opinion_is_kept_with_its_decision(house: Served) -> None:
    name = _asked(house, user="jo")
    reply = house.ask({"decision_id": name, "score": 0.5, "user": "jo"}, path="/v1/feedback")
    assert (reply.status, reply.json) == (200, {"decision_id": name, "recorded": True})
    assert house.get(f"/v1/decisions/{name}").json["caller"] == "jo"


def test_an_unknown_decision_is_not_found(house: Served) -> None:
    reply = house.ask({"decision_id": "dec_none", "score": 1}, path="/v1/feedback")
    assert reply.status == 404
    assert reply.error["code"] == "decision_not_found"


@pytest.mark.parametrize(
    "body",
    [
        {"score": 1},
        {"decision_id": "d", "score": 1.5},
        {"decision_id": "d", "score": "good"},
        {"decision_id": "d", "score": 1, "comments": "typo"},
        {"decision_id": "d", "score": 1, "comment": "x" * 4001},
        [],
    ],
)
def test_a_malformed_opinion_is_refused_and_says_what_is_needed(
    house: Served, body: object
) -> None:
    reply = house.ask(body, path="/v1/feedback")
    assert reply.status == 400
    assert "decision_id and a score from 0 to 1" in reply.error["message"]
