"""``emafusion ask`` and ``emafusion explain``: one question, and why it was answered so.

The answer alone goes to stdout; what is to be said about it goes to stderr.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from emafusion.cli.console import note, print_json, say
from emafusion.cli.options import (
    Config,
    Json,
    Models,
    Prefer,
    names,
    open_settings,
    taking,
)
from emafusion.errors import RequestError

if TYPE_CHECKING:
    from emafusion.client import Client
    from emafusion.client import Options as Knobs
    from emafusion.config import Settings
    from emafusion.types import Answer, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """The options of ``ask``."""

    prompt: Annotated[
        str, typer.Argument(help='The question; "-" reads it from stdin.', show_default=False)
    ]
    prefer: Prefer = None
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", metavar="USD", help="Spend at most this much.")
    ] = None
    max_latency: Annotated[
        float | None, typer.Option("--max-latency", metavar="SECONDS", help="The deadline.")
    ] = None
    models: Models = None
    arrangement: Annotated[
        str | None, typer.Option(metavar="KIND", help="single, cascade, fusion, synthesis or auto.")
    ] = None
    private: Annotated[bool, typer.Option("--private", help="Private models only.")] = False
    explain: Annotated[bool, typer.Option("--explain", help="Say why, on stderr.")] = False
    stream: Annotated[
        bool | None,
        typer.Option("--stream/--no-stream", help="As it comes; by default on a terminal."),
    ] = None
    json: Json = False
    config: Config = None


@taking(Asking)
def ask(options: Asking) -> None:
    """Ask one question and print the answer."""
    prompt = _stdin() if options.prompt == "-" else options.prompt
    answer = asyncio.run(_ask(prompt, options))
    if options.json:
        print_json(_table(answer))
    if options.explain:
        note(answer.explain())
    elif sys.stderr.isatty() and not options.json:
        note(
            f"{answer.model} · P(right) {answer.confidence:.2f} · ${answer.cost_usd:.6f} · "
            f"{answer.latency_s:.1f} s · {answer.decision_id}"
        )


def explain(
    decision_id: Annotated[
        str, typer.Argument(help="The decision's id, dec_…", show_default=False)
    ],
    *,
    json: Json = False,
    config: Config = None,
) -> None:
    """Say why an earlier question was answered as it was."""
    outcome = asyncio.run(_find(open_settings(config), decision_id))
    if outcome is None:
        note(f"error: no decision {decision_id!r} in the record")
        raise typer.Exit(1)
    if json:
        print_json(outcome)
    else:
        say(outcome.explain())


async def _ask(prompt: str, options: Asking) -> Answer:
    from emafusion.cli.opening import open_ready

    settings = open_settings(options.config)
    named = names(options.models, settings.models)
    knobs = _knobs(options, named)
    async with await open_ready(settings, named=named) as client:
        streaming = sys.stdout.isatty() if options.stream is None else options.stream
        if options.json or not streaming:
            answer = await client.answer(prompt, **knobs)
            if not options.json:
                say(answer.text)
            return answer
        return await _stream(client, prompt, knobs)


async def _stream(client: Client, prompt: str, knobs: Knobs) -> Answer:
    from emafusion.types import Answer

    answer = None
    async for piece in client.stream(prompt, **knobs):
        if isinstance(piece, Answer):
            answer = piece
        else:
            say(piece.text, end="")
    say("")
    if answer is None:
        raise RequestError("the stream ended without an answer; ask again")
    return answer


async def _find(settings: Settings, decision_id: str) -> Outcome | None:
    from emafusion.config.build import recorder

    record = recorder(settings.record)
    try:
        return await record.find(decision_id)
    finally:
        await record.aclose()


def _knobs(options: Asking, named: tuple[str, ...] | None) -> Knobs:
    given = {
        "prefer": options.prefer,
        "max_cost_usd": options.max_cost,
        "max_latency_s": options.max_latency,
        "models": named,
        "arrangement": options.arrangement,
        "private": options.private or None,
    }
    knobs: Knobs = {name: value for name, value in given.items() if value is not None}  # type: ignore[assignment]  # the client checks the values
    return knobs


def _table(answer: Answer) -> dict[str, object]:
    return {
        "text": answer.text,
        "model": answer.model,
        "confidence": answer.confidence,
        "cost_usd": answer.cost_usd,
        "latency_s": answer.latency_s,
        "decision_id": answer.decision_id,
        "plan": str(answer.plan.arrangement),
        "explanation": answer.explain(),
    }


def _stdin() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise RequestError("stdin is not UTF-8 text") from error
