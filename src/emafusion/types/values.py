"""What every noun is made of: the frozen base, and the names of its simple types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
Message: TypeAlias = Mapping[str, object]
"""One chat message as the OpenAI protocol spells it; unknown fields are kept."""

Probability = Annotated[float, Meta(ge=0.0, le=1.0)]
Axis = Literal["task", "complexity", "domain", "format"]
AXES: tuple[Axis, ...] = ("task", "complexity", "domain", "format")
Arrangement = Literal["auto", "single", "cascade", "fusion", "synthesis"]
Purpose = Literal["draft", "judge", "label", "write", "check", "embed"]
Visibility = Literal["public", "private"]


class Value(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of every noun: frozen, slotted, keyword-only."""
