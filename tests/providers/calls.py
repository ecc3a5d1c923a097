"""Calls for the tests of providers."""

from __future__ import annotations

from emafusion.types import Call, Model


def model(upstream: str = "echo", *, system: str | None = None) -> Model:
    return Model(
        name=f"the-{upstream}",
        provider="tested",
        upstream=upstream,
        usd_per_mtok_in=1.0,
        usd_per_mtok_out=2.0,
        system=system,
    )


def call(
    upstream: str = "echo", *, prompt: str = "Hi there", timeout_s: float = 5.0, **params: object
) -> Call:
    return Call(
        model=model(upstream),
        messages=({"role": "user", "content": prompt},),
        params=params,
        timeout_s=timeout_s,
    )
