"""The OpenAI protocol over HTTP: any OpenAI client asks an engine through it, unchanged.

:func:`app` is the application for any ASGI server, :func:`run` serves it from one process.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emafusion.gateway.routes import app
    from emafusion.gateway.server import run
    from emafusion.gateway.settings import Settings

__all__ = ["Settings", "app", "run"]

_PLACES = {"app": "routes", "run": "server", "Settings": "settings"}


def __getattr__(name: str) -> object:
    """Imported when it is asked for: the parent of several workers serves nothing itself."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
