"""OpenAI's responses protocol, translated to the chat protocol and back."""

from __future__ import annotations

from emafusion.gateway.responses.dialect import Responses
from emafusion.gateway.responses.shelf import Memory, Noted, Shelf
from emafusion.gateway.responses.stored import stored

__all__ = ["Memory", "Noted", "Responses", "Shelf", "stored"]
