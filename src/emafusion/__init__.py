"""The best answer for the money: routes, cascades and fuses language models.

>>> import emafusion
>>> fusion = emafusion.load()
>>> answer = fusion.answer_sync("What is the capital of Australia?", prefer=0.7)
>>> answer.text, answer.model, answer.confidence, answer.cost_usd
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emafusion.errors import EmafusionError
from emafusion.types import Answer, Chunk, Knobs, Model, Outcome, Plan, Request

if TYPE_CHECKING:
    from pathlib import Path

    from emafusion.client import Client

__version__ = "0.1.0"
__all__ = [
    "Answer",
    "Chunk",
    "EmafusionError",
    "Knobs",
    "Model",
    "Outcome",
    "Plan",
    "Request",
    "__version__",
    "load",
]


def load(path: str | Path | None = None) -> Client:
    """A client for the settings file at `path`.

    Without a path: ``$EMAFUSION_CONFIG``, else ``./emafusion.toml``, else the embedded default,
    three small open models that need no key. Local models whose files are not here yet are left
    out (``emafusion models pull`` fetches them); where that leaves none, the smallest is fetched
    at its first call.

    Raises
    ------
    ConfigError
        The file cannot be read or does not make sense; the message says which key and why.
    ArtefactError
        The fitted policy cannot be read.
    """
    from emafusion import config

    settings = config.load(path if path is not None else config.default_path())
    return config.build(config.available(settings))
