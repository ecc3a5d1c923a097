"""What a request's own parameters state about its labels: no guess is better than being told.

Knows two parameters of the OpenAI protocol, ``response_format`` and ``tools``; knows no text.
"""

from __future__ import annotations

from collections.abc import Mapping

from emafusion.types import Request

Axes = Mapping[str, Mapping[str, float]]
_JSON_SURE = 0.97
_TOOLS_LIKELY = 0.5


def stated(axes: Axes, request: Request) -> dict[str, Mapping[str, float]]:
    """`axes` moved towards what the parameters of `request` say.

    A ``response_format`` of JSON makes the format ``json``; offered ``tools`` make the task
    ``tool_use`` likely, not certain, since a model may leave them. A taxonomy without these labels
    is left as it is.
    """
    moved = dict(axes)
    asked = request.params.get("response_format")
    if isinstance(asked, Mapping) and str(asked.get("type", "")).startswith("json"):
        moved["format"] = _toward(moved["format"], "json", _JSON_SURE)
    if request.params.get("tools"):
        moved["task"] = _toward(moved["task"], "tool_use", _TOOLS_LIKELY)
    return moved


def _toward(shares: Mapping[str, float], label: str, weight: float) -> Mapping[str, float]:
    if label not in shares:
        return shares
    return {
        name: (1.0 - weight) * share + (weight if name == label else 0.0)
        for name, share in shares.items()
    }
