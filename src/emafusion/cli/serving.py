"""``emafusion serve``: the engine behind the vendors' protocols over HTTP."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from emafusion.cli.console import note
from emafusion.cli.options import Config, taking
from emafusion.errors import ConfigError, EmafusionError

if TYPE_CHECKING:
    from emafusion.cli.source import Source
    from emafusion.client import Client
    from emafusion.config import Settings as Configured
    from emafusion.gateway.settings import Settings
    from emafusion.gateway.texts import Start
    from emafusion.gateway.workers import Leash

log = logging.getLogger("emafusion.serving")

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
    began: Annotated[Path, typer.Option("--began", hidden=True)] = Path()
    taken: Annotated[Path, typer.Option("--taken", hidden=True)] = Path()
    keyed: Annotated[bool, typer.Option("--keyed", hidden=True)] = False
    config: Config = None


class Chosen(NamedTuple):
    """The settings that a process serves with, and how others are taken up."""

    settings: Configured
    """In effect from the start."""
    taken: Configured
    """What was taken up last; some of it may wait for a restart."""
    again: Callable[[], Configured]
    """Reads the settings anew."""


@taking(Serving)
def serve(options: Serving) -> None:
    """Serve the protocols of OpenAI and Anthropic until interrupted."""
    if options.leash is not None:
        _work(options, options.leash)
        return
    from emafusion.cli.source import Source

    source = Source(options.config)
    text = source.text()
    settings = source.settings(text)
    bounds = _bounds(options, settings)
    if source.built_in:
        note(f"there is no {str(source.path)!r}; the built-in settings serve")
    if (options.workers or settings.gateway.workers) > 1:
        raise typer.Exit(_keep(options, source, text))
    _serve(options, Chosen(settings, settings, source.settings), bounds)


def _work(options: Serving, number: int) -> None:
    """Serve as a worker, and tell the parent where that cannot begin."""
    from emafusion.gateway.workers import Leash

    leash = Leash(number)
    try:
        chosen = _handed(options)
        _serve(options, chosen, _bounds(options, chosen.settings), leash=leash)
    except EmafusionError as error:
        leash.tell(str(error))
        raise


def _handed(options: Serving) -> Chosen:
    """What the parent of this worker had in use when it was started, and what it offers later."""
    from emafusion.config.load import parse
    from emafusion.gateway.opening import resumed
    from emafusion.gateway.texts import offered

    name = str(options.config)
    began, taken = (parse(file.read_text("utf-8"), name) for file in (options.began, options.taken))
    if options.keyed and began.gateway.accounts is None:
        raise ConfigError(
            f"{name}: gateway.accounts is gone, and callers would need no key any more: "
            "put it back, or stop the server and start it anew if you mean it"
        )
    folder = options.taken.parent
    return Chosen(resumed(began, taken), taken, lambda: parse(offered(folder), name))


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


def _serve(
    options: Serving, chosen: Chosen, bounds: Settings, *, leash: Leash | None = None
) -> None:
    """Serve from this process."""
    from emafusion.cli.opening import open_at_once
    from emafusion.config.load import environment
    from emafusion.gateway.opening import opened
    from emafusion.gateway.server import bind, serve

    settings = chosen.settings
    client, fetching = open_at_once(settings)
    last = [chosen.taken]

    def make() -> Client:
        last[0] = chosen.again()
        return open_at_once(last[0])[0]

    def ready(url: str) -> Coroutine[None, None, None] | None:
        if leash is None:
            _say(settings, f"serving {url}/v1 (Ctrl-C stops)")
        return fetching() if fetching else None

    exchange, operations = opened(
        settings, client, make=make, environment=environment(), chosen=lambda: last[0]
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
        leash=leash,
    )


def _keep(options: Serving, source: Source, text: str) -> int:
    """Keep workers serving; the exit status."""
    from emafusion.config.load import environment
    from emafusion.gateway.server import bind
    from emafusion.gateway.telemetry.logs import configure
    from emafusion.gateway.texts import Texts
    from emafusion.gateway.workers import Workers

    settings = source.settings(text)
    chosen = settings.gateway
    if settings.telemetry.log == "json":
        configure()
    bound = bind(options.host, options.port)
    host, port = bound.getsockname()[:2]
    count = options.workers or chosen.workers
    _say(settings, f"{count} workers serve http://{host}:{port}/v1 (Ctrl-C stops)")
    again = _again(options, source.path, keyed=chosen.accounts is not None)

    def command(inherited: int, leash: int, start: Start) -> list[str]:
        own = ["--inherited", str(inherited), "--leash", str(leash)]
        own += ["--began", str(start.began), "--taken", str(start.taken)]
        return [sys.executable, "-m", "emafusion", "serve", *own, *again]

    kept = Workers(
        command,
        bound,
        count=count,
        stop_s=chosen.grace_s + chosen.drain_s + BEYOND_DRAIN_S,
        environment=environment(),
        texts=Texts(text, source.text),
    )
    return kept.run()


def _say(settings: Configured, text: str) -> None:
    """Tell whoever started us, as a line of the log where that is JSON."""
    if settings.telemetry.log == "json":
        log.info(text)
    else:
        note(text)


def _again(options: Serving, path: Path, *, keyed: bool) -> list[str]:
    """The options that workers are given as well, and what they must know of the parent's."""
    found = ["--host", options.host, "--config", str(path)]
    if options.api_key_env is not None:
        found += ["--api-key-env", options.api_key_env]
    if options.allow_remote:
        found.append("--allow-remote")
    if keyed:
        found.append("--keyed")
    return found
