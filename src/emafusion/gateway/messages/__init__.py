"""Anthropic's messages protocol, translated to the chat protocol and back."""

from __future__ import annotations

from emafusion.gateway.messages.counting import Counting
from emafusion.gateway.messages.dialect import Messages

__all__ = ["Counting", "Messages"]
