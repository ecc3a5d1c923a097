"""The turns of a chat are one conversation; chats of other tenants never are."""

from __future__ import annotations

from emafusion.gateway.callers import ANYONE, Caller
from emafusion.gateway.conversations import LONGEST, session
from emafusion.types import Message, Request

SYSTEM: Message = {"role": "system", "content": "Be brief."}
FIRST: Message = {"role": "user", "content": "What is a monad?"}
ANSWER: Message = {"role": "assistant", "content": "A monoid."}
NEXT: Message = {"role": "user", "content": "In which category?"}


def of(*messages: Message, caller: Caller = ANYONE, named: str = "") -> str:
    return session(Request(id="r", messages=messages), caller, named=named)


def test_later_turns_belong_to_the_first() -> None:
    first = of(SYSTEM, FIRST)
    assert of(SYSTEM, FIRST, ANSWER, NEXT) == first
    assert of(SYSTEM, FIRST, ANSWER, NEXT, ANSWER, FIRST) == first
    assert of({"role": "system", "content": "Be long."}, FIRST, ANSWER, NEXT) != first
    assert of(FIRST, ANSWER, NEXT) != first


def test_a_name_of_the_caller_s_own_comes_first() -> None:
    assert of(FIRST, named="a") == of(NEXT, named="a")
    assert of(FIRST, named="a") != of(FIRST, named="b")
    assert of(FIRST, named="x" * LONGEST) == of(NEXT, named="x" * 5000)


def test_tenants_share_no_conversation_whatever_they_call_it() -> None:
    one, other = Caller(key="k", team="red"), Caller(key="k", team="blue")
    assert of(FIRST, caller=one) != of(FIRST, caller=other)
    assert of(FIRST, caller=one, named="a") != of(FIRST, caller=other, named="a")
    # A tenant's name that ends as another's conversation begins.
    assert of(FIRST, caller=Caller(team="r"), named="ed:x") != of(
        FIRST, caller=Caller(team="red"), named=":x"
    )


def test_what_a_cache_shall_keep_makes_no_other_conversation() -> None:
    # Clients mark the end of each turn's prompt, and the marks of earlier turns are gone.
    part = {"type": "text", "text": "What is a monad?"}
    carried = {**part, "extra_content": {"anthropic": {"cache_control": {"type": "ephemeral"}}}}
    assert of({"role": "user", "content": [carried]}) == of(FIRST)
    plain = {**part, "cache_control": {"type": "ephemeral"}}
    assert of({"role": "user", "content": [plain]}) == of({"role": "user", "content": [part]})
