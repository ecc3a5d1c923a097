"""What no text may be kept of, or no public model may see, is so on later ways, too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest

from emafusion.client import Client
from emafusion.errors import BadResponseError, ProviderError, RejectedError, UnavailableError
from emafusion.protect.entities import Entity
from emafusion.protect.placeholders import ANY, Mint
from emafusion.protect.rules import Rules
from emafusion.protect.shield import Shield
from emafusion.types import Feedback

from .parts import Reply, Script, Served, broken, catalog, client_of, served

MAIL = "jane.roe@harbour.example"
RESTRICTED = {"x_emafusion_class": "restricted"}


class Finds:
    """A detector of the words it is given."""

    name = "words"

    def __init__(self, *words: str) -> None:
        self._words = words

    async def detect(self, text: str) -> Sequence[Entity]:
        places = [(text.find(word), word) for word in self._words]
        return [
            Entity(kind="EMAIL", start=start, end=start + len(word))
            for start, word in places
            if start >= 0
        ]


def shield(*words: str) -> Shield:
    return Shield(Mint(b"a secret of sixteen bytes"), [Finds(*words)], rules=Rules())


def two(near: Script, *words: str) -> Client:
    """A public model and a private one; `words` are masked, if any."""
    models = [*catalog(["far"]), *catalog(["near"], visibility="private")]
    client = client_of({"far": Script(), "near": near}, models=models)
    client.shield = shield(*words) if words else None
    return client


def respond(house: Served, model: str, said: str = "Hello", **fields: Any) -> Reply:
    return house.ask({"model": model, "input": said, **fields}, path="/v1/responses")


def heard(house: Served, model: str = "far") -> str:
    return str([list(call.messages) for call in house.script(model).calls])


@pytest.mark.parametrize("words", [("unheard of",), ()])
def test_a_turn_for_private_models_leads_to_no_public_one(words: tuple[str, ...]) -> None:
    with served(two(Script(text="A secret plan."), *words)) as house:
        first = respond(house, "near", emafusion={"private": True})
        assert first.status == 200
        refused = respond(house, "far", previous_response_id=first.json["id"])
        assert (refused.status, refused.error["code"]) == (400, "no_model")
        again = respond(house, "near", previous_response_id=first.json["id"])
        assert again.status == 200
        assert not house.script("far").calls


def test_what_a_private_model_said_is_masked_for_the_next() -> None:
    with served(two(Script(text=f"Ask {MAIL}."), MAIL)) as house:
        first = respond(house, "near", "Who?")
        assert respond(house, "far", previous_response_id=first.json["id"]).status == 200
        assert MAIL not in heard(house)
        assert "Ask [EMAIL_" in heard(house)


def test_rules_that_come_later_hold_for_earlier_turns() -> None:
    with served(two(Script())) as house:
        first = respond(house, "far", f"I am {MAIL}, code halcyon")
        assert MAIL in heard(house)
        for words in ((MAIL,), (MAIL, "halcyon")):
            house.script("far").calls.clear()
            house.client.shield = shield(*words)
            assert respond(house, "far", previous_response_id=first.json["id"]).status == 200
            assert not [word for word in words if word in heard(house)]


@pytest.mark.parametrize("kind", [UnavailableError, BadResponseError, RejectedError])
@pytest.mark.parametrize("stream", [False, True])
def test_what_an_upstream_quotes_is_not_logged(
    kind: type[ProviderError], stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    client = two(Script(failure=broken(kind, "cannot serve: a secret plan")))
    body = {"model": "near", "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    with caplog.at_level(logging.DEBUG), served(client) as house:
        house.ask(body, **RESTRICTED)
    assert "secret plan" not in caplog.text
    if kind is not RejectedError:
        assert f"{kind.__name__} of 'model'" in caplog.text


def noted(house: Served) -> list[Feedback]:
    record = house.client.engine.stages.recorder
    return [one for _, one in asyncio.run(record.noted())]


@pytest.mark.parametrize("words", [(MAIL,), ()])
@pytest.mark.parametrize("classed", ["decision", "feedback"])
def test_an_opinion_on_what_is_restricted_is_a_number(words: tuple[str, ...], classed: str) -> None:
    asked = {"model": "near", "messages": [{"role": "user", "content": "Hi"}], "user": "jo"}
    with served(two(Script(), *words)) as house:
        reply = house.ask(asked, **(RESTRICTED if classed == "decision" else {}))
        name = reply.headers["x-emafusion-decision"]
        body = {"decision_id": name, "score": 0.5, "user": "jo", "comment": "a secret plan"}
        headers = RESTRICTED if classed == "feedback" else {}
        assert house.ask(body, path="/v1/feedback", **headers).status == 200
        [opinion] = noted(house)
        assert opinion.comment == ""
        assert bool(ANY.fullmatch(opinion.caller)) == bool(words)
        assert opinion.caller != "jo"
        if classed == "decision":
            shown = house.get(f"/v1/decisions/{name}").json.get("caller", "")
            assert shown == opinion.caller


def test_an_opinion_is_else_kept_whole() -> None:
    asked = {"model": "near", "messages": [{"role": "user", "content": "Hi"}]}
    with served(two(Script())) as house:
        name = house.ask(asked).headers["x-emafusion-decision"]
        body = {"decision_id": name, "score": 0.5, "user": "jo", "comment": "so so"}
        assert house.ask(body, path="/v1/feedback", x_emafusion_class="internal").status == 200
        [opinion] = noted(house)
        assert (opinion.caller, opinion.comment) == ("jo", "so so")


def test_an_opinions_class_must_be_known() -> None:
    with served(two(Script())) as house:
        body = {"decision_id": "dec_1", "score": 0.5}
        assert house.ask(body, path="/v1/feedback", x_emafusion_class="secret").status == 400
