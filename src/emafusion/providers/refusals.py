"""What an upstream's error says, as one of our errors.

It knows HTTP statuses and the OpenAI error shape; it does not know how the response was obtained.
What an upstream says is data: nothing of it is told that is not a name or a short, clean line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from emafusion.errors import (
    AuthenticationError,
    BadResponseError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from emafusion.providers import wire
from emafusion.providers.redact import redacted
from emafusion.types import Model

LONGEST_WAIT_S = 86_400.0
"""A wait beyond this is told as this."""
SPOKEN = (400, 413, 422)
"""Statuses by which an upstream speaks of the caller's request, and not of our key or catalog."""
_CODE = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_PARAM = re.compile(r"[A-Za-z0-9_.\-\[\]]{1,64}")


def refusal(
    status: int,
    body: bytes,
    *,
    model: Model,
    headers: Mapping[str, str],
    secrets: Sequence[str | None] = (),
) -> ProviderError:
    """The error for a response of `status`; its text has no key in it."""
    error = _error(body)
    said = redacted(_message(error), *secrets)
    name = model.name
    detail = f"{status}: {said}" if said else f"{status}"
    if status in {401, 403}:
        return AuthenticationError(
            f"the upstream of {name!r} refused the key ({detail}); check the provider's api_key",
            name,
        )
    wait = retry_after_s(headers)
    if status == 429:
        return RateLimitedError(
            f"the upstream of {name!r} limits us ({detail})", name, retry_after_s=wait
        )
    if status >= 500 or status == 408:
        return UnavailableError(
            f"the upstream of {name!r} failed ({detail})", name, retry_after_s=wait
        )
    if status >= 400:
        text = f"{name!r} refused the request ({detail})"
        code, param = error.get("code"), error.get("param")
        return rejected(text, name, status=status, code=code, param=param)
    return BadResponseError(
        f"the upstream of {name!r} answered {status} instead of an answer; check its base_url", name
    )


def rejected(
    text: str, name: str, *, status: int = 400, code: object = None, param: object = None
) -> RejectedError:
    """The error for a request that the model `name` refused with `status`.

    Its code and the field at fault are told where they are names and the status is one of
    :data:`SPOKEN`. A 404 is none: the caller would look for a model, or an address, of ours.
    """
    if status not in SPOKEN:
        return RejectedError(text, name)
    return RejectedError(
        text, name, status=status, code=_name(code, _CODE), param=_name(param, _PARAM)
    )


def refusal_in(
    body: Mapping[str, object], model: Model, *, secrets: Sequence[str | None] = ()
) -> ProviderError:
    """The error for a body that carries ``error`` although its status was 200."""
    error = body.get("error")
    code = error.get("code") if wire.is_table(error) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    return refusal(status, msgspec.json.encode(body), model=model, headers={}, secrets=secrets)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait that `headers` ask for: as a number, or until a date.

    A date is counted from the response's own where it has one: our wall clock may be wrong.
    """
    value = headers.get("Retry-After")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        pass
    else:
        return min(max(0.0, seconds), LONGEST_WAIT_S) if math.isfinite(seconds) else None
    until = _date(value)
    if until is None:
        return None
    now = _date(headers.get("Date", "")) or datetime.now(UTC)
    return min(max(0.0, (until - now).total_seconds()), LONGEST_WAIT_S)


def _date(text: str) -> datetime | None:
    """The moment that an HTTP date names; ``None`` where it is none."""
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date


def _name(value: object, form: re.Pattern[str]) -> str | None:
    """`value` where it is a name of that `form`, and nothing like a key."""
    if not isinstance(value, str) or form.fullmatch(value) is None:
        return None
    return value if redacted(value) == value else None


def _error(body: bytes) -> Mapping[str, object]:
    """The error in `body`, wherever it stands; empty where there is none."""
    try:
        content = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        # An HTML page or a proxy's note says nothing a user can act on.
        return {}
    if not wire.is_table(content):
        return {}
    error = content.get("error")
    if isinstance(error, str):
        return {**content, "message": error}
    return error if wire.is_table(error) else content


def _message(error: Mapping[str, object]) -> str:
    """The human part of an error."""
    message = error.get("message", error.get("detail"))
    return message if isinstance(message, str) else ""
