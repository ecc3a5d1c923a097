"""A request on its way in as everything behind this may see it, and its answer as its caller does.

Knows what of a request is whose: a caller's name stands behind its tenant's, which stays readable,
for it says who may see a decision. What is masked and how, the client's shield knows.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from emafusion.client import Client
from emafusion.errors import RequestError
from emafusion.gateway.callers import Caller, Passage
from emafusion.gateway.conversations import session
from emafusion.protect.returning import asks_json, unmasked
from emafusion.protect.rules import Rules
from emafusion.protect.texts import ECHO
from emafusion.types import CLASSES, Answer, DataClass, Findings, highest, replace

HEADER = "x-emafusion-class"
_NAME = HEADER.encode()


def classes(headers: Iterable[tuple[bytes, bytes]], caller: Caller) -> tuple[DataClass, ...]:
    """The classes that `headers` and `caller`'s key give a request; the highest of them counts.

    Raises :class:`RequestError` for one that is not known.
    """
    told = [value.decode("latin-1") for name, value in headers if name == _NAME]
    if not told:
        return () if caller.data_class is None else (caller.data_class,)
    named = [one.strip().lower() for value in told for one in value.split(",")]
    try:
        found = msgspec.convert(named, tuple[DataClass, ...])
    except msgspec.ValidationError:
        raise RequestError(f"{HEADER} must be one of {', '.join(CLASSES)}", HEADER) from None
    return found if caller.data_class is None else (*found, caller.data_class)


async def shielded(passage: Passage, client: Client) -> None:
    """Mask `passage`, or class it at least where `client` masks nothing.

    Raises :class:`RequestError` where the rules refuse it.
    """
    if client.shield is None:
        _class(passage)
        return
    request, caller = passage.request, passage.caller
    whose = namespace(caller) if caller.key else ""
    named = replace(
        request,
        caller=request.caller.removeprefix(whose),
        params={**request.params, ECHO: passage.echo} if passage.echo else request.params,
        session="",
    )
    found = await client.shield.protect(
        named, scope=caller.tenant, stated=passage.stated, earlier=passage.earlier
    )
    params = dict(found.request.params)
    echo = params.pop(ECHO, None)
    masked = replace(found.request, caller=f"{whose}{found.request.caller}", params=params)
    if request.session:
        # The name it had is made of what it said.
        told = session(masked, caller, named=passage.conversation)
        masked = replace(masked, session=told)
    passage.request, passage.vault = masked, found.vault
    passage.echo = echo if isinstance(echo, dict) else {}


def shown(answer: Answer, passage: Passage) -> Answer:
    """`answer` as the caller of `passage` reads it."""
    if passage.vault is None:
        return answer
    return unmasked(answer, passage.vault, in_json=asks_json(passage.request))


def untold(passage: Passage) -> bool:
    """Whether no text of `passage` may be kept anywhere."""
    found = passage.request.protection
    return found is not None and found.untold


def namespace(caller: Caller) -> str:
    """The tenant, written so that no other's begins with it."""
    return caller.tenant.replace("%", "%25").replace("/", "%2F") + "/"


def _class(passage: Passage) -> None:
    """Keep `passage` to private models where its stated class asks for that."""
    if not passage.stated:
        return
    request, data_class = passage.request, highest(*passage.stated)
    private = Rules().private(data_class) or request.knobs.private
    found = Findings(data_class=data_class, private=private)
    knobs = replace(request.knobs, private=private)
    passage.request = replace(request, knobs=knobs, protection=found)
    if found.untold:
        # Without a secret there is no placeholder for who asked, only for whose key it is.
        whose = namespace(passage.caller) if passage.caller.key else ""
        passage.request = replace(passage.request, caller=whose)
