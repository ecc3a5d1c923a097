"""``emafusion serve``: the engine behind the vendors' protocols over HTTP."""

from __future__ import annotations

import socket
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emafusion.cli.console import note
from emafusion.cli.options import Config, open_settings, taking

if TYPE_CHECKING:
    from emafusion.client import Client
    from emafusion.config import Settings as Configured
    from emafusion.gateway.settings import Settings

BEYOND_DRAIN_S = 10.0
"""What a worker may take to end, beyond what its requests under way may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The options of ``serve``."""

    host: Annotated[str, typer.Option(help="The address to serve at.")] = "127.0.0.1"
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Its port; 0 for any that is free.")
    ] = 8080
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default the settings'.")
    ] = None
    api_key_env: Annotated[
        str | None,
        typer.Option(
            "--api-key-env",
            metavar="NAME",
            help="The environment variable with a key that may do everything.",
        ),
    ] = None
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Serve other machines without a key.")
    ] = False
    inherited: Annotated[int | None, typer.Option("--inherited", hidden=True)] = None
    leash: Annotated[int | None, typer.Option("--leash", hidden=True)] = None
    config: Config = None


@taking(Serving)
def serve(options: Serving) -> None:
    """Serve the protocols of OpenAI and Anthropic until interrupted."""
    settings = open_settings(options.config)
    bounds = _bounds(options, settings)
    workers = options.workers or settings.gateway.workers
    if workers > 1 and options.leash is None:
        raise typer.Exit(_keep(options, settings, workers))
    _serve(options, settings, bounds)


def _bounds(options: Serving, settings: Configured) -> Settings:
    """The gateway's own settings; raises ``ConfigError`` where anyone could spend our money."""
    from emafusion.config.load import secret
    from emafusion.gateway.server import answering_to
    from emafusion.gateway.settings import Settings

    named = options.api_key_env
    key = None if named is None else secret(f"env:{named}", "--api-key-env")
    keyed = settings.gateway.accounts is not None
    return answering_to(
        options.host,
        Settings(api_key=key, drain_s=settings.gateway.drain_s),
        allow_remote=options.allow_remote or keyed,
    )


def _serve(options: Serving, settings: Configured, bounds: Settings) -> None:
    """Serve from this process."""
    from emafusion.cli.opening import open_at_once
    from emafusion.config.load import environment
    from emafusion.gateway.opening import opened
    from emafusion.gateway.server import bind, serve
    from emafusion.gateway.workers import Leash

    client, fetching = open_at_once(settings)
    chosen = [settings]

    def make() -> Client:
        chosen[0] = open_settings(options.config)
        return open_at_once(chosen[0])[0]

    def ready(url: str) -> Coroutine[None, None, None] | None:
        if options.leash is None:
            note(f"serving {url}/v1 (Ctrl-C stops)")
        return fetching() if fetching else None

    exchange, operations = opened(
        settings, client, make=make, environment=environment(), chosen=lambda: chosen[0]
    )
    if options.inherited is None:
        bound = bind(options.host, options.port)
    else:
        bound = socket.socket(fileno=options.inherited)
    serve(
        exchange,
        bound,
        settings=bounds,
        ready=ready,
        operations=operations,
        leash=None if options.leash is None else Leash(options.leash),
    )


def _keep(options: Serving, settings: Configured, workers: int) -> int:
    """Keep so many workers serving; the exit status."""
    from emafusion.config.load import environment
    from emafusion.gateway.server import bind
    from emafusion.gateway.workers import Workers

    bound = bind(options.host, options.port)
    host, port = bound.getsockname()[:2]
    note(f"{workers} workers serve http://{host}:{port}/v1 (Ctrl-C stops)")

    def command(inherited: int, leash: int) -> list[str]:
        own = ["--inherited", str(inherited), "--leash", str(leash), *_again(options)]
        return [sys.executable, "-m", "emafusion", "serve", *own]

    chosen = settings.gateway
    kept = Workers(
        command,
        bound,
        count=workers,
        stop_s=chosen.grace_s + chosen.drain_s + BEYOND_DRAIN_S,
        environment=environment(),
    )
    return kept.run()


def _again(options: Serving) -> list[str]:
    """The options that workers are given as well."""
    found = ["--host", options.host]
    if options.api_key_env is not None:
        found += ["--api-key-env", options.api_key_env]
    if options.allow_remote:
        found.append("--allow-remote")
    if options.config is not None:
        found += ["--config", str(Path(options.config).absolute())]
    return found
