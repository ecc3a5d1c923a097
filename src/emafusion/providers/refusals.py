"""What an upstream's error says, as one of our errors.

It knows HTTP statuses and the OpenAI error shape; it does not know how the response was obtained.
"""

from __future__ import annotations

import math
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


def refusal(
    status: int,
    body: bytes,
    *,
    model: Model,
    headers: Mapping[str, str],
    secrets: Sequence[str | None] = (),
) -> ProviderError:
    """The error for a response of `status`; its text has no key in it."""
    said = redacted(_message(body), *secrets)
    name = model.name
    detail = f"{status}: {said}" if said else f"{status}"
    if status in {401, 403}:
        return AuthenticationError(
            f"the upstream of {name!r} refused the key ({detail}); check the provider's api_key",
            name,
        )
    if status == 429:
        wait = retry_after_s(headers)
        return RateLimitedError(
            f"the upstream of {name!r} limits us ({detail})", name, retry_after_s=wait
        )
    if status >= 500 or status == 408:
        return UnavailableError(f"the upstream of {name!r} failed ({detail})", name)
    if status >= 400:
        return RejectedError(f"{name!r} refused the request ({detail})", name)
    return BadResponseError(
        f"the upstream of {name!r} answered {status} instead of an answer; check its base_url", name
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
        return max(0.0, seconds) if math.isfinite(seconds) else None
    until = _date(value)
    if until is None:
        return None
    now = _date(headers.get("Date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def _date(text: str) -> datetime | None:
    """The moment that an HTTP date names; ``None`` where it is none."""
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date


def _message(body: bytes) -> str:
    """The human part of an error body: ``error.message``, or what there is."""
    try:
        content = msgspec.json.decode(body)
    except ValueError:
        # An HTML page or a proxy's note says nothing a user can act on.
        return ""
    if not wire.is_table(content):
        return ""
    error = content.get("error", content.get("message", content.get("detail")))
    if wire.is_table(error):
        error = error.get("message")
    return error if isinstance(error, str) else ""
