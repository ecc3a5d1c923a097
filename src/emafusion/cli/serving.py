"""``emafusion serve``: the engine behind the OpenAI protocol over HTTP."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Annotated

import typer

from emafusion.cli.console import note
from emafusion.cli.options import Config, open_settings, taking


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The options of ``serve``."""

    host: Annotated[str, typer.Option(help="The address to serve at.")] = "127.0.0.1"
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Its port; 0 for any that is free.")
    ] = 8080
    api_key_env: Annotated[
        str | None,
        typer.Option(
            "--api-key-env",
            metavar="NAME",
            help="The environment variable with the key that callers must send.",
        ),
    ] = None
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Serve other machines without a key.")
    ] = False
    config: Config = None


@taking(Serving)
def serve(options: Serving) -> None:
    """Serve the OpenAI protocol until interrupted."""
    from emafusion.cli.opening import open_at_once
    from emafusion.config.load import secret
    from emafusion.gateway.server import run
    from emafusion.gateway.settings import Settings

    named = options.api_key_env
    key = None if named is None else secret(f"env:{named}", "--api-key-env")
    client, fetching = open_at_once(open_settings(options.config))

    def ready(url: str) -> Coroutine[None, None, None] | None:
        note(f"serving {url}/v1 (Ctrl-C stops)")
        return fetching() if fetching else None

    run(
        client,
        host=options.host,
        port=options.port,
        settings=Settings(api_key=key),
        allow_remote=options.allow_remote,
        ready=ready,
    )
