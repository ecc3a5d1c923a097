"""How far a collection may go: money, concurrency, patience. Knows no question and no model."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Choose = Literal["auto", "all"]


class Bounds(Struct, frozen=True, kw_only=True):
    """How far a collection may go.

    ``budget_usd`` bounds what the whole folder has cost, earlier runs and calls of unknown ending
    included, in US dollars; ``None`` sets no bound. ``per_model`` calls of one model run at a time,
    of at most ``models_at_once`` models. ``max_failures`` failures in a row end a model's turn.
    ``retry_failed`` asks again what was refused for good. ``choose`` says what to buy where the
    budget does not reach for every cell: one model's after another's (``"all"``), or those that
    are worth most to a fit (``"auto"``; see :mod:`emafusion.learn.choosing`). ``per_minute`` calls
    of one provider are begun in any minute; ``None`` sets no bound.
    """

    budget_usd: float | None = None
    per_model: int = 1
    models_at_once: int = 1
    samples: int = 1
    max_tokens: int = 220
    temperature: float = 0.0
    timeout_s: float = 120.0
    max_failures: int = 5
    retry_failed: bool = False
    choose: Choose = "all"
    per_minute: int | None = None
