"""Everything operators get, put together as it was chosen.

Knows which parts a choice stands for; what they do is theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from pathlib import Path

from msgspec import Struct, field

from emafusion.client import Client
from emafusion.gateway.exchange import Exchange
from emafusion.gateway.operations import Operations
from emafusion.gateway.readiness import Check, Readiness, answering, recording
from emafusion.gateway.reload import Reload
from emafusion.gateway.telemetry import circuits
from emafusion.gateway.telemetry.accounting import Baseline
from emafusion.gateway.telemetry.logs import configure
from emafusion.gateway.telemetry.metrics import Metrics
from emafusion.gateway.telemetry.observations import Listener
from emafusion.gateway.telemetry.sampler import Sampler

Outgoing = ContextVar[Mapping[str, str]]
"""Headers that providers send along with a call; it has a default."""


class Collector(Struct, frozen=True, kw_only=True):
    """Where traces go, and which: as :class:`~emafusion.gateway.telemetry.export.Export`.

    ``content`` has them hold prompts and answers.
    """

    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict)
    service: str = "emafusion"
    share: float = 1.0
    content: bool = False


class Choices(Struct, frozen=True, kw_only=True):
    """What was chosen.

    ``baseline`` names the model that savings are reported against, ``by_key`` counts by key,
    ``log`` is the level of a log in JSON, ``watched`` a file whose change reloads; ``grace_s`` as
    for :class:`~emafusion.gateway.operations.Operations`.
    """

    baseline: str | None = None
    by_key: bool = False
    log: str | None = None
    collector: Collector | None = None
    watched: Path | None = None
    grace_s: float = 0.0


def assembled(
    exchange: Exchange,
    choices: Choices,
    *,
    make: Callable[[], Client] | None = None,
    folder: Path | None = None,
    checks: Mapping[str, Check] | None = None,
    outgoing: Outgoing | None = None,
) -> Operations:
    """What operators get of a server whose requests go through `exchange`.

    The first of the exchange's gates must be a
    :class:`~emafusion.gateway.telemetry.observations.Witness`.

    Parameters
    ----------
    exchange : Exchange
        Who has requests answered; not a request has been served yet.
    choices : Choices
        What was chosen.
    make : callable, optional
        Builds a client of the configuration as it is then; without it, nothing can be reloaded.
    folder : Path, optional
        Where workers share their counts.
    checks : mapping of str to Check, optional
        What must be in order beside the record and the models.
    outgoing : ContextVar, optional
        As for :class:`~emafusion.gateway.telemetry.traces.Traces`.

    Raises
    ------
    ConfigError, MissingExtraError
        A choice cannot be met.
    """

    def client() -> Client:
        return exchange.client

    attach, listeners, closing = _traced(choices.collector, outgoing)
    attach(client())
    if choices.log is not None:
        listeners.append(configure(choices.log))
    baseline = Baseline(lambda: client().engine.models, choices.baseline)
    metrics = Metrics(baseline, by_key=choices.by_key, folder=folder)
    listeners.append(metrics)
    reload = None
    if make is not None:
        reload = Reload(exchange, lambda: attach(make()), told=metrics.reloaded)
    readiness = _readiness(client, reload, checks or {})
    return Operations(
        readiness=readiness,
        listeners=tuple(listeners),
        metrics=metrics,
        sampler=_sampler(client, metrics, readiness),
        reload=reload,
        watched=choices.watched,
        grace_s=choices.grace_s,
        closing=closing,
    )


def _sampler(client: Callable[[], Client], metrics: Metrics, readiness: Readiness) -> Sampler:
    return Sampler(
        metrics,
        status=lambda: client().status(),
        breakers=lambda: circuits.breakers(client()),
        queues=lambda: circuits.queues(client()),
        ready=lambda: readiness.ready,
    )


def _readiness(
    client: Callable[[], Client], reload: Reload | None, checks: Mapping[str, Check]
) -> Readiness:
    """What must be in order: the record, a model that may be asked, and `checks`."""
    models = answering(client, lambda: circuits.breakers(client()))
    return Readiness(
        {"record": recording(client), "models": models, **checks},
        fields=dict if reload is None else reload.fields,
    )


Attach = Callable[[Client], Client]
"""Has a client's work traced, and gives it back."""


def _traced(
    collector: Collector | None, outgoing: Outgoing | None
) -> tuple[Attach, list[Listener], tuple[Callable[[], None], ...]]:
    """What has clients traced, who must be told of requests for it, and what ends it."""
    if collector is None:
        return (lambda client: client), [], ()
    from emafusion.gateway.telemetry.export import Export

    export = Export(
        collector.endpoint,
        headers=collector.headers,
        service=collector.service,
        share=collector.share,
    )
    # Only now: without the extra there is nothing that it could import.
    from emafusion.gateway.telemetry.traces import Traces

    traces = Traces(export.spans, export.measures, outgoing=outgoing, content=collector.content)

    def attach(client: Client) -> Client:
        traces.attach(client.engine)
        return client

    return attach, [traces], (export.close,)
