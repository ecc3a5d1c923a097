"""A key's terms hold whatever a request asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.errors import ForbiddenError
from emafusion.gateway.callers import ANYONE, Caller, Passage
from emafusion.gateway.terms import TermsGate, allowed
from emafusion.types import Knobs, Request, replace

MODELS = ("house", "large", "small")
POOLS = [MODELS]


POLICIES = {"cheap": Knobs(prefer=0.1, models=("large", "small")), "best": Knobs(min_quality=0.9)}


def chosen(policy: str | None) -> Knobs:
    return POLICIES[policy or ""]


async def passed(knobs: Knobs, caller: Caller) -> Knobs:
    passage = Passage(request=Request(id="d", messages=(), knobs=knobs), caller=caller)
    async with TermsGate(lambda: POOLS, chosen).open(passage):
        return passage.request.knobs


async def test_a_policy_fills_in_what_a_request_leaves_open() -> None:
    filled = await passed(Knobs(policy="cheap"), ANYONE)
    assert (filled.prefer, filled.models) == (0.1, ("large", "small"))
    asked = await passed(Knobs(policy="cheap", prefer=0.7, models=("house",)), ANYONE)
    assert (asked.prefer, asked.models) == (0.7, ("house",))
    key = Caller(prefer=0.6, min_quality=0.95)
    assert (await passed(Knobs(policy="best"), key)).min_quality == 0.95
    assert (await passed(Knobs(policy="best"), key)).prefer == 0.6
    assert (await passed(Knobs(policy="cheap"), key)).prefer == 0.1


async def test_a_key_takes_models_away_from_a_policy_s() -> None:
    key = Caller(models=frozenset({"house", "small"}))
    assert (await passed(Knobs(policy="cheap"), key)).models == ("small",)
    other = Caller(models=frozenset({"house"}))
    with pytest.raises(ForbiddenError, match="may use none of the models"):
        await passed(Knobs(policy="cheap"), other)


async def test_a_key_that_is_kept_to_a_policy_may_ask_for_less_not_for_more() -> None:
    key = Caller(policies=frozenset({"cheap"}))
    assert (await passed(Knobs(prefer=1.0, models=("small",)), key)).prefer == 0.1
    assert (await passed(Knobs(prefer=1.0, models=("small",)), key)).models == ("small",)
    with pytest.raises(ForbiddenError, match="'cheap' does not have model 'house'"):
        await passed(Knobs(models=("house", "small")), key)
    free = Caller(policies=None)
    assert (await passed(Knobs(policy="cheap", prefer=1.0), free)).prefer == 1.0


async def test_a_key_s_policies_bind() -> None:
    one = Caller(policies=frozenset({"cheap"}))
    assert (await passed(Knobs(), one)).prefer == 0.1
    assert await passed(Knobs(models=("large",), arrangement="single"), one) == Knobs(
        models=("large",), arrangement="single"
    )
    with pytest.raises(ForbiddenError, match="may not use policy 'best'; its key allows: cheap"):
        await passed(Knobs(policy="best"), one)
    two = Caller(policies=frozenset({"cheap", "best"}))
    for knobs in (Knobs(), Knobs(models=("large",)), Knobs(arrangement="single")):
        with pytest.raises(ForbiddenError, match="names no policy; its key allows: best, cheap"):
            await passed(knobs, two)
    usual = Caller(policies=frozenset({"cheap", "default"}))
    assert await passed(Knobs(), usual) == Knobs()


def test_a_key_without_terms_changes_nothing() -> None:
    knobs = Knobs(prefer=0.3, models=("large",))
    assert allowed(knobs, ANYONE, POOLS) is knobs


def test_a_key_narrows_the_pool_and_names_what_it_may_use() -> None:
    caller = Caller(models=frozenset({"small", "house", "gone"}))
    assert allowed(Knobs(), caller, POOLS).models == ("house", "small")
    assert allowed(Knobs(models=("small",)), caller, POOLS).models == ("small",)
    with pytest.raises(ForbiddenError, match="may not use model 'large'; it may use: house, small"):
        allowed(Knobs(models=("small", "large")), caller, POOLS)
    with pytest.raises(ForbiddenError, match="none of the models that are configured now"):
        allowed(Knobs(), Caller(models=frozenset({"gone"})), POOLS)


def test_a_key_adds_no_models_to_those_that_the_settings_chose() -> None:
    pools = [("small",), ("large", "small"), ("embedder", "large", "small")]
    for permitted, found in [
        ({"large", "small"}, ("small",)),
        ({"embedder", "large"}, ("large",)),
        ({"embedder"}, ("embedder",)),
    ]:
        caller = Caller(models=frozenset(permitted))
        assert allowed(Knobs(), caller, pools).models == found
    wide = Caller(models=frozenset({"large", "small"}))
    assert allowed(Knobs(models=("large",)), wide, pools).models == ("large",)


def test_a_key_s_default_yields_to_the_request_its_floor_does_not() -> None:
    caller = Caller(prefer=0.2, min_quality=0.8)
    assert allowed(Knobs(), caller, POOLS) == Knobs(prefer=0.2, min_quality=0.8)
    asked = Knobs(prefer=0.9, min_quality=0.5)
    assert allowed(asked, caller, POOLS) == Knobs(prefer=0.9, min_quality=0.8)


@given(
    permitted=st.none() | st.frozensets(st.sampled_from(MODELS), min_size=1),
    named=st.none() | st.lists(st.sampled_from(MODELS), min_size=1).map(tuple),
)
def test_no_request_gets_past_its_key(
    permitted: frozenset[str] | None, named: tuple[str, ...] | None
) -> None:
    caller = Caller(models=permitted)
    try:
        found = allowed(Knobs(models=named), caller, POOLS).models
    except ForbiddenError:
        assert permitted is not None
        assert named is not None
        assert not set(named) <= permitted
    else:
        assert permitted is None or (found is not None and set(found) <= permitted)


async def test_the_gate_changes_the_request_before_the_engine_sees_it() -> None:
    request = Request(id="r", messages=({"role": "user", "content": "hi"},))
    passage = Passage(request=request, caller=Caller(prefer=0.1))
    async with TermsGate(lambda: POOLS, chosen).open(passage):
        assert passage.request.knobs.prefer == 0.1
        assert passage.request.messages == request.messages


async def test_a_key_s_policy_keeps_its_callers_from_exploring() -> None:
    """Its prompts are not for models that it would not choose."""
    held = {"quiet": Knobs(explore=False), "open": Knobs(explore=True)}
    key = Caller(policies=frozenset(held))

    async def explored(policy: str, explore: bool | None) -> bool | None:
        asked = Knobs(policy=policy, explore=explore)
        passage = Passage(request=Request(id="d", messages=(), knobs=asked), caller=key)
        async with TermsGate(lambda: POOLS, lambda name: held[name or ""]).open(passage):
            return passage.request.knobs.explore

    assert await explored("quiet", True) is False
    assert await explored("open", False) is False
    assert await explored("open", None) is True


@pytest.mark.parametrize("name", ["models", "route", "fallbacks"])
async def test_a_key_s_models_cannot_be_got_around_through_an_upstream(name: str) -> None:
    request = Request(id="d", messages=(), params={name: ["large"], "seed": 1})
    gate = TermsGate(lambda: POOLS, chosen)
    with pytest.raises(ForbiddenError, match=f"{name!r} may not name others"):
        async with gate.open(Passage(request=request, caller=Caller(models=frozenset({"small"})))):
            pass
    kept = Knobs(policy="cheap")
    two = Passage(
        request=replace(request, knobs=kept), caller=Caller(policies=frozenset({"cheap"}))
    )
    with pytest.raises(ForbiddenError, match=f"{name!r} may not name others"):
        async with gate.open(two):
            pass
    async with gate.open(Passage(request=request, caller=Caller())):
        pass
