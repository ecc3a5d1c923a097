"""What vendors of Anthropic's format take and tell beyond what any-llm translates of it.

It knows that format's fields and any-llm's arguments; it does not know how a call is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emafusion.providers import marks, wire

if TYPE_CHECKING:
    from any_llm import AnyLLM

VENDORS = frozenset({"anthropic", "azureanthropic", "vertexaianthropic"})
"""any-llm's names of them."""


def native(options: Mapping[str, Any], params: Mapping[str, object]) -> dict[str, Any]:
    """The arguments `options` of a call with `params`, in the words of this format.

    Tools keep their marks, the user and thinking are told as the format has them, and a hint that
    it has not is left out.
    """
    found = {name: value for name, value in options.items() if name != "prompt_cache_key"}
    longest = found.pop("max_completion_tokens", None)
    if longest is not None:
        found.setdefault("max_tokens", longest)
    body: dict[str, object] = {}
    tools = marks.native_tools(params.get("tools"))
    if tools is not None:
        # any-llm's own would lose their marks.
        body["tools"] = tools
    user = found.pop("user", None)
    if user is not None:
        body["metadata"] = {"user_id": user}
    thinking = params.get(wire.THINKING)
    if wire.is_table(thinking):
        body["thinking"] = thinking
        if "budget_tokens" in thinking:
            # The effort was made of it, for those who know no budgets.
            found.pop("reasoning_effort", None)
    return {**found, "extra_body": body} if body else found


def telling(kind: type[AnyLLM]) -> type[AnyLLM]:
    """`kind`, its answers telling at which of the caller's sequences they stopped.

    As ``stop_reason`` of a choice, which is how other upstreams tell it.
    """

    def whole(response: Any) -> Any:
        answer = kind._convert_completion_response(response)
        return _stopped(answer, getattr(response, "stop_sequence", None))

    def piece(response: Any, **options: Any) -> Any:
        chunk = kind._convert_completion_chunk_response(response, **options)
        delta = getattr(response, "delta", None)
        return _stopped(chunk, getattr(delta, "stop_sequence", None))

    told = {
        "_convert_completion_response": staticmethod(whole),
        "_convert_completion_chunk_response": staticmethod(piece),
    }
    return type(kind.__name__, (kind,), told)


def _stopped(answer: Any, sequence: object) -> Any:
    """`answer`, a whole one or a piece, with the `sequence` that ended it, if one did."""
    if isinstance(sequence, str) and answer.choices:
        answer.choices[0].stop_reason = sequence
    return answer
