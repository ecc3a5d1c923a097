"""A request's class and its caller's name on the way in, with and without anything to mask it."""

from __future__ import annotations

import pytest

from emafusion.client import Client
from emafusion.errors import NoModelError, RequestError
from emafusion.gateway.accounts import Terms
from emafusion.gateway.callers import Caller, Passage
from emafusion.gateway.exchange import Exchange, owns, signed
from emafusion.gateway.shielding import classes, shielded
from emafusion.protect.placeholders import Mint
from emafusion.protect.rules import Rules
from emafusion.protect.shield import Shield
from emafusion.protect.structured import Structured
from emafusion.types import DataClass, Knobs, Request

from .parts import Script, catalog, client_of

MAIL = "jane.roe@harbour.example"


def header(value: str) -> tuple[bytes, bytes]:
    return b"x-emafusion-class", value.encode()


def asked(text: str, **fields: object) -> Request:
    messages = ({"role": "user", "content": text},)
    return Request(id="dec_1", messages=messages, **fields)  # type: ignore[arg-type]  # its fields


def masking() -> Client:
    client = client_of({"far": Script()})
    client.shield = Shield(Mint(b"a secret of sixteen bytes"), [Structured()], rules=Rules())
    return client


@pytest.mark.parametrize(
    ("headers", "own", "found"),
    [
        ([], None, ()),
        ([], "internal", ("internal",)),
        ([header("Restricted")], "public", ("restricted", "public")),
        ([header("public"), header("restricted")], None, ("public", "restricted")),
        ([header("restricted, public")], None, ("restricted", "public")),
    ],
)
def test_every_class_that_is_stated_counts(
    headers: list[tuple[bytes, bytes]], own: DataClass | None, found: tuple[str, ...]
) -> None:
    assert classes(headers, Caller(data_class=own)) == found


@pytest.mark.parametrize("value", ["secret", "", "restricted,", "public restricted"])
def test_a_class_that_is_not_known_is_refused(value: str) -> None:
    with pytest.raises(RequestError, match="must be one of public, internal"):
        classes([header(value)], Caller())


async def test_a_stated_class_holds_where_nothing_is_masked() -> None:
    client = client_of({"far": Script()})
    passage = Passage(request=asked("Hi"), stated=("public", "restricted"))
    with pytest.raises(NoModelError, match="restricted text"):
        await Exchange(client).answer(passage)
    passage = Passage(request=asked("Hi"), stated=("confidential",))
    answer = await Exchange(client).answer(passage)
    assert answer.outcome.protection is not None
    assert answer.outcome.protection.data_class == "confidential"
    assert answer.outcome.prompt == "Hi"


async def test_a_stated_class_never_lowers_another() -> None:
    client = masking()
    request = asked("Hi", knobs=Knobs(private=True))
    passage = Passage(request=request, stated=("public",))
    await shielded(passage, client)
    assert passage.request.knobs.private
    assert passage.request.protection is not None
    assert passage.request.protection.data_class == "internal"


async def test_a_callers_name_is_masked_behind_its_tenants() -> None:
    caller = Caller(key="k1", team=f"for {MAIL}", scopes=frozenset({"chat"}))
    request = asked("Hi", caller=signed(caller, MAIL), session="made of what it said")
    passage = Passage(request=request, caller=caller)
    await shielded(passage, masking())
    assert owns(caller, passage.request.caller)
    assert not passage.request.caller.endswith(MAIL)
    assert passage.request.session not in ("", request.session)
    again = Passage(request=request, caller=caller)
    await shielded(again, masking())
    assert again.request.session == passage.request.session
    assert again.request.caller == passage.request.caller


async def test_placeholders_of_earlier_turns_come_back_where_their_values_do() -> None:
    client = masking()
    first = Passage(request=asked(f"I am {MAIL}"))
    await shielded(first, client)
    earlier = first.request.messages
    for text, comes_back in ((f"Write to {MAIL}", True), ("Write to me", False)):
        request = Request(id="dec_2", messages=(*earlier, *asked(text).messages))
        passage = Passage(request=request, earlier=earlier)
        await shielded(passage, client)
        assert passage.request.messages[0] == earlier[0]
        assert passage.vault is not None
        said = passage.vault.unmask(str(earlier[0]["content"]))
        assert (said == f"I am {MAIL}") == comes_back


async def test_a_tools_result_that_is_restricted_does_not_go_back_to_who_called() -> None:
    models = [*catalog(["far"]), *catalog(["near"], visibility="private")]
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    client = client_of({"far": Script(tool_calls=(call,)), "near": Script()}, models=models)
    exchange = Exchange(client)
    tools = {"tools": [{"type": "function", "function": {"name": "f"}}]}
    request = asked("Who?", params=tools, knobs=Knobs(models=("far",)))
    await exchange.answer(Passage(request=request))
    turns = (
        *request.messages,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "a secret"},
    )
    back = Request(id="dec_2", messages=turns, params=tools)
    answer = await exchange.answer(Passage(request=back, stated=("restricted",)))
    assert answer.model == "near"


@pytest.mark.parametrize(
    ("key", "team", "both"),
    [
        (None, None, None),
        ("public", "restricted", "restricted"),
        ("confidential", None, "confidential"),
    ],
)
def test_a_key_and_its_team_state_the_higher_class(
    key: DataClass | None, team: DataClass | None, both: DataClass | None
) -> None:
    assert Terms(data_class=key).within(Terms(data_class=team)).data_class == both
