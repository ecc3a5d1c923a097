"""Who may be asked at all: what models are said to offer, and what nobody said of them."""

from __future__ import annotations

import pytest

from emafusion.errors import ContextTooLongError, NoModelError
from emafusion.plan.eligible import eligible, settled
from emafusion.types import Knobs, Model, Request, Turn, replace

TOOLS = {"tools": [{"type": "function"}]}


def model(name: str, *offers: str, window: int = 4096, declared: bool = True) -> Model:
    return Model(
        name=name,
        provider="p",
        upstream=name,
        usd_per_mtok_in=1.0,
        usd_per_mtok_out=1.0,
        context_window=window,
        capabilities=frozenset(offers),
        declared=declared,
    )


def unsaid(name: str, window: int = 4096) -> Model:
    return model(name, window=window, declared=False)


def request(content: object = "Hi", **params: object) -> Request:
    return Request(id="x", messages=({"role": "user", "content": content},), params=params)


def names(asked: Request, *models: Model) -> list[str]:
    return [one.name for one in eligible(asked, models)]


def test_those_that_are_said_to_offer_it_come_before_those_of_which_nobody_said() -> None:
    plain, open_, able = model("plain", "json"), unsaid("open"), model("able", "tools")
    assert names(request(**TOOLS), plain, open_, able) == ["able"]
    assert names(request(**TOOLS), plain, open_) == ["open"]
    assert names(request(), plain, open_, able) == ["plain", "open", "able"]
    # A list that was written and is empty says that there is nothing.
    with pytest.raises(NoModelError):
        names(request(**TOOLS), model("bare"))


def test_where_those_that_offer_it_have_no_room_the_others_are_asked() -> None:
    long = request("word " * 1000, **TOOLS)
    able, wide = model("able", "tools", window=512), unsaid("open", window=8192)
    assert names(long, able, wide) == ["open"]
    with pytest.raises(ContextTooLongError, match="'open', holds 600"):
        names(long, able, unsaid("open", window=600))


def test_a_model_that_is_named_is_asked_whatever_is_said_of_it() -> None:
    named = replace(request(**TOOLS), knobs=Knobs(models=("plain",), arrangement="single"))
    assert names(named, model("plain", "json")) == ["plain"]
    several = replace(named, knobs=Knobs(models=("plain", "bare"), arrangement="single"))
    with pytest.raises(NoModelError):
        names(several, model("plain", "json"), model("bare"))


def test_who_called_tools_goes_on() -> None:
    asked = replace(request(**TOOLS), turn=Turn(model="plain"))
    assert names(asked, model("plain", "json"), model("able", "tools")) == ["plain", "able"]


def test_a_refusal_names_the_models_and_the_setting() -> None:
    models = [model(f"m{number}", "json") for number in range(10)]
    with pytest.raises(NoModelError) as refused:
        names(request(**TOOLS), *models[:2])
    for word in ("'tools'", "'capabilities'", "'m0', 'm1'", "[models.NAME]"):
        assert word in str(refused.value)
    with pytest.raises(NoModelError, match=r"'m7', …\)"):
        names(request(**TOOLS), *models)


@pytest.mark.parametrize(
    ("asked", "needs"),
    [
        (request([{"type": "image_url", "image_url": {"url": "data:,"}}]), "vision"),
        (request([{"type": "file", "file": {"file_data": "data:,"}}]), "vision"),
        (request([{"type": "input_audio", "input_audio": {}}]), "audio"),
        (request(modalities=["text", "audio"]), "audio"),
        (request(response_format={"type": "json_schema"}), "json"),
        (request(logprobs=True), "logprobs"),
        (request(functions=[{"name": "f"}]), "tools"),
    ],
)
def test_what_is_sent_and_asked_for_takes_a_model_that_has_it(asked: Request, needs: str) -> None:
    others = frozenset({"vision", "audio", "json", "logprobs", "tools"}) - {needs}
    assert names(asked, model("blind", *others), model("able", needs)) == ["able"]
    assert names(request(modalities=["text"]), model("blind")) == ["blind"]


def test_it_is_settled_who_answers_where_there_is_one_or_a_turn_is_not_over() -> None:
    one, two = model("one"), model("two")
    alone = replace(request(), knobs=Knobs(arrangement="single"))
    turn = replace(alone, turn=Turn(model="two"))
    assert settled(alone, [one], [one])
    assert not settled(alone, [one, two], [one]), "one of two is down: the other is judged"
    assert settled(turn, [one, two], [one, two])
    assert not settled(turn, [one, two], [one]), "it is down"
    assert not settled(request(), [one], [one]), "it may be asked more than once"
