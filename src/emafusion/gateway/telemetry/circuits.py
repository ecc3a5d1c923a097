"""How the vendors stand, as gauges and probes read it.

Knows where an engine's providers keep their circuit breakers and their queues.
"""

from __future__ import annotations

from collections.abc import Mapping

from emafusion.client import Client
from emafusion.protocols import Provider
from emafusion.providers.resilience import Resilient


def breakers(client: Client) -> Mapping[str, str]:
    """The state of each model's circuit breaker; a model that was never asked has none."""
    found: dict[str, str] = {}
    states = {
        name: {circuit.upstream: str(circuit.state) for circuit in one.status().circuits}
        for name, one in _resilient(client).items()
    }
    for name, model in client.engine.models.items():
        state = states.get(model.provider, {}).get(model.upstream)
        if state is not None:
            found[name] = state
    return found


def queues(client: Client) -> Mapping[str, float]:
    """How many calls wait for their turn, by the provider's name."""
    return {name: float(one.status().waiting) for name, one in _resilient(client).items()}


def _resilient(client: Client) -> dict[str, Resilient]:
    found = {name: _within(one) for name, one in client.engine.providers.items()}
    return {name: one for name, one in found.items() if one is not None}


def _within(provider: Provider) -> Resilient | None:
    """The one with the breakers, however it is wrapped."""
    inner: object = provider
    while inner is not None and not isinstance(inner, Resilient):
        inner = getattr(inner, "inner", None)
    return inner
