"""What can be asked without asking a model."""

from __future__ import annotations

from typing import Any

import openai as official
import pytest

from .parts import Served

ASK: list[Any] = [{"role": "user", "content": "Hi"}]


def test_the_catalog_and_the_choice_are_listed(openai: official.OpenAI) -> None:
    names = [model.id for model in openai.models.list()]
    assert names[:3] == ["emafusion", "small", "large"]
    assert "nested/näme→" in names


def test_one_model_is_found_by_any_name(openai: official.OpenAI) -> None:
    for name in ("emafusion", "small", "nested/näme→"):
        assert openai.models.retrieve(name).id == name
    extra = openai.models.retrieve("small").model_extra or {}
    assert extra["emafusion"] == {
        "context_window": 8192,
        "max_output": 4096,
        "usd_per_mtok_in": 1.0,
        "usd_per_mtok_out": 2.0,
        "capabilities": ["json", "logprobs", "tools", "vision"],
        "visibility": "public",
    }
    with pytest.raises(official.NotFoundError, match="did you mean 'small'"):
        openai.models.retrieve("smalll")


def test_a_decision_is_explained(house: Served) -> None:
    knobs = {"models": ["small", "large"], "arrangement": "fusion"}
    answer = house.ask({"model": "emafusion", "messages": ASK, "emafusion": knobs})
    name = answer.headers["x-emafusion-decision"]
    decision = house.get(f"/v1/decisions/{name}").json
    assert decision["decision_id"] == name
    assert [step["model"] for step in decision["steps"]] == ["small", "large"]
    assert decision["plan"]["arrangement"] == {
        "arrangement": "fusion",
        "panel": ["small", "large"],
    }
    assert decision["explanation"].startswith(f"decision {name}\n")
    assert "vote(small, large)" in decision["explanation"]


def test_an_unknown_decision_is_not_found(house: Served) -> None:
    reply = house.get("/v1/decisions/dec_none")
    assert reply.status == 404
    assert reply.error["code"] == "decision_not_found"
    assert "dec_none" in reply.error["message"]


def test_health_is_cheap_and_answers_head(house: Served) -> None:
    assert house.get("/healthz").json == {"status": "ok"}
    head = house.ask(b"", method="HEAD", path="/healthz")
    assert (head.status, head.content) == (200, b"")
