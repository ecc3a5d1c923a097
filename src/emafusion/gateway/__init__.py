"""The OpenAI protocol over HTTP: any OpenAI client asks an engine through it, unchanged.

:func:`app` is the application for any ASGI server, :func:`run` serves it from one process.
"""

from __future__ import annotations

from emafusion.gateway.routes import app
from emafusion.gateway.server import run
from emafusion.gateway.settings import Settings

__all__ = ["Settings", "app", "run"]
