"""Which conversation a request belongs to: what its caller says, else what its beginning tells.

Knows chat messages. What is made of a conversation, the plan knows.
"""

from __future__ import annotations

import hashlib

import msgspec

from emafusion.gateway.callers import Caller
from emafusion.providers.marks import FIELD, unmarked
from emafusion.types import Message, Request

_encode = msgspec.json.Encoder(order="deterministic").encode
_MARK = FIELD.encode()
LONGEST = 200
"""Characters of a name that a caller gives; more would be a way to fill our memory."""


def session(request: Request, caller: Caller, *, named: str = "") -> str:
    """The conversation of `request`, as no other tenant's is called.

    Every turn of a chat sends its earlier ones again, so whatever comes before the first answer
    tells it apart: the system's words and the user's first. Two chats that begin with the same
    words are taken for one, which costs a wrong guess of what a vendor's cache holds, no more.

    Parameters
    ----------
    request : Request
        At least one message.
    caller : Caller
        Whose it is.
    named : str
        The caller's own name for it (``x-emafusion-session``), if it gives one.
    """
    told = named[:LONGEST].encode() if named else _beginning(request)
    whose = f"{len(caller.tenant)}:{caller.tenant}".encode()
    return hashlib.blake2b(whose + told, digest_size=12).hexdigest()


def _beginning(request: Request) -> bytes:
    """The messages before the first answer."""
    found: list[Message] = []
    for message in request.messages:
        if message.get("role") == "assistant":
            break
        found.append(message)
    told = _encode(found)
    # Of all a message says, only what a cache shall keep is said anew in each turn.
    return _encode(unmarked(found)) if _MARK in told else told
