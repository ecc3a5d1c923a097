"""The log: one safe line for each event, and nothing in it that anyone wrote."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.errors import UnavailableError
from emafusion.gateway.callers import Caller, Passage
from emafusion.gateway.operations import Operations
from emafusion.gateway.telemetry.logs import WAITING, JsonLog, configure
from emafusion.gateway.telemetry.observations import Observation
from emafusion.types import Request

from ..parts import Script, broken, client_of
from .house import asking, operated

SECRET = "sk-proj-0123456789abcdefghij"


@pytest.fixture
def told() -> Iterator[tuple[JsonLog, io.StringIO]]:
    stream = io.StringIO()
    log = JsonLog(stream)
    yield log, stream
    log.close()


def lines(log: JsonLog, stream: io.StringIO) -> list[dict[str, Any]]:
    """Every line, once all are written."""
    log.close()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def logger(log: JsonLog) -> logging.Logger:
    """A logger that writes to `log` alone."""
    found = logging.Logger("tests")
    found.addHandler(log)
    return found


@given(text=st.text() | st.sampled_from(["\n{}", '"}\n{"', "\x1b[31m", "\x9b2J", "\ud800", "\x00"]))
def test_whatever_is_logged_is_one_line_of_printable_json(text: str) -> None:
    stream = io.StringIO()
    log = JsonLog(stream)
    logger(log).warning("it said %s", text)
    seen = Observation("/v1/chat/completions", {"method": text or "?", "state": {}})
    seen.scope["state"]["caller"] = Caller(key=text, team=text)
    log.ended(seen)
    found = lines(log, stream)
    assert len(found) == 2
    assert all(" " <= char < "\x7f" for line in stream.getvalue().splitlines() for char in line)
    if text.isprintable() and text.isascii():
        assert found[1].get("key", "") == text


def test_keys_are_left_out_and_long_messages_cut(told: tuple[JsonLog, io.StringIO]) -> None:
    log, _ = told
    logger(log).info("refused %s: %s", SECRET, "word " * 1000)
    message = lines(*told)[0]["message"]
    assert SECRET not in message
    assert len(message) <= 300


def test_of_a_foreign_exception_the_place_is_told_and_not_the_words(
    told: tuple[JsonLog, io.StringIO],
) -> None:
    log, stream = told
    try:
        raise RuntimeError(f"the prompt was: my diagnosis, {SECRET}")
    except RuntimeError:
        logger(log).exception("a request failed unexpectedly")
    try:
        raise UnavailableError("the upstream closed early", "small")
    except UnavailableError:
        logger(log).exception("a call failed")
    foreign, ours = lines(*told)
    assert foreign["exception"] == "RuntimeError"
    assert "test_logs.py" in foreign["frames"][-1]
    assert ours["reason"] == "the upstream closed early"
    assert "diagnosis" not in stream.getvalue()


def test_each_request_is_one_line_without_its_content() -> None:
    scripts = {
        "small": Script(text="the answer is confidential"),
        "down": Script(failure=broken(UnavailableError, SECRET)),
    }
    stream = io.StringIO()
    log = JsonLog(stream)
    with operated(client_of(scripts), Operations(listeners=(log,))) as house:
        house.ask(asking("my private question", model="small", user="bob@example.org"))
        house.ask(asking("my private question", model="small", stream=True))
        house.ask(asking("my private question", model="down"))
        house.get("/v1/decisions/private")
        house.get("/healthz")
    whole, streamed, failed, lost = lines(log, stream)
    assert (whole["route"], whole["status"], whole["model"]) == (
        "/v1/chat/completions",
        200,
        "small",
    )
    assert whole["decision"].startswith("dec_")
    assert (whole["prompt_tokens"], whole["completion_tokens"]) == (11, 7)
    assert whole["cost_usd"] > 0
    assert (whole["stream"], streamed["stream"]) == (False, True)
    assert (failed["status"], failed["error"]) == (502, "UnavailableError")
    assert (lost["route"], lost["status"]) == ("/v1/decisions/{id}", 404)
    for content in ("private", "confidential", "bob", SECRET):
        assert content not in stream.getvalue()


class Stuck(io.StringIO):
    """A reader that reads nothing until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()

    def write(self, text: str) -> int:
        self.let.wait(10.0)
        return super().write(text)


def test_a_reader_that_is_too_slow_costs_lines_and_no_memory() -> None:
    stream = Stuck()
    log = JsonLog(stream)
    seen = Observation("/v1/chat/completions", {"method": "POST", "state": {}})
    for _ in range(2 * WAITING + 5):
        log.ended(seen)
    stream.let.set()
    found = lines(log, stream)
    requests = [line for line in found if line["message"] == "request"]
    dropped = sum(int(line["message"].split()[0]) for line in found if line not in requests)
    assert len(requests) + dropped == 2 * WAITING + 5
    assert dropped > 0


def test_everything_is_logged_once_it_is_configured() -> None:
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    stream = io.StringIO()
    log = configure("warning", stream=stream)
    try:
        logging.getLogger("emafusion.gateway").info("too low")
        logging.getLogger("uvicorn.error").warning("hello")
    finally:
        root.setLevel(before[0])
        root.handlers[:] = before[1]
    assert [line["message"] for line in lines(log, stream)] == ["hello"]


def test_a_passage_without_an_outcome_has_its_decision(
    told: tuple[JsonLog, io.StringIO],
) -> None:
    seen = Observation("/v1/chat/completions", {"method": "POST"})
    seen.passage = Passage(request=Request(id="dec_7", messages=()))
    seen.failure = "BudgetError"
    told[0].ended(seen)
    line = lines(*told)[0]
    assert (line["decision"], line["error"]) == ("dec_7", "BudgetError")
    assert "model" not in line
