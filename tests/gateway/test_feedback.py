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
    ("body", "param", "said"),
    [
        ({"score": 1}, "decision_id", "required field"),
        ({"decision_id": "d", "score": 1.5}, "score", "<= 1.0"),
        ({"decision_id": "d", "score": "good"}, "score", "`float`"),
        ({"decision_id": "d", "score": 1, "comments": "typo"}, None, "comments"),
        ({"decision_id": "d", "score": 1, "comment": "x" * 4001}, "comment", "4000"),
        ([], None, "must be a JSON object"),
        (b"\xff", None, "not"),
    ],
)
def test_a_malformed_opinion_is_refused_and_says_what_is_wrong(
    house: Served, body: object, param: str | None, said: str
) -> None:
    reply = house.ask(body, path="/v1/feedback")
    assert reply.status == 400
    assert reply.error["param"] == param
    assert said in reply.error["message"]
