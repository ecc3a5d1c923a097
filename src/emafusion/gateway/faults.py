"""Every failure in the shape and with the status that the clients of its address expect.

Knows emafusion's error tree, HTTP's statuses, and both protocols' errors: OpenAI's, and Anthropic's
below ``/v1/messages``. Shows an error's message and nothing else of it, and of what is the server's
own (where its databases and settings are) its kind alone: the log has the rest.
"""

from __future__ import annotations

import logging
import math

from msgspec import Struct
from starlette.responses import Response

from emafusion.errors import (
    AuthenticationError,
    BadResponseError,
    BudgetError,
    ContextTooLongError,
    DeadlineError,
    EmafusionError,
    ForbiddenError,
    LimitedError,
    NoModelError,
    OverloadedError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    RequestError,
    StoreError,
    StoreUnreachableError,
    UnavailableError,
    UnknownDecisionError,
    UnknownModelError,
)
from emafusion.gateway.replies import encode
from emafusion.types import Outcome

log = logging.getLogger("emafusion.gateway")

MESSAGES = "/v1/messages"
"""Where Anthropic's protocol is spoken."""
_MESSAGE_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


class Fault(Struct, frozen=True, kw_only=True):
    """One failure as a client sees it.

    ``retry`` false tells OpenAI's own clients not to ask again by themselves, which they else do
    after any 5xx: where asking again would only spend again.
    """

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    retry: bool = True
    retry_after_s: float | None = None

    @property
    def body(self) -> dict[str, object]:
        """The error as the protocol shapes it."""
        error = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        return {"error": error}

    @property
    def message_body(self) -> dict[str, object]:
        """The error as Anthropic's protocol shapes it, with two fields beyond its own."""
        kind = _MESSAGE_TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "")
        error = {"type": kind or "api_error", "message": self.message}
        return {"type": "error", "error": {**error, "param": self.param, "code": self.code}}

    @property
    def headers(self) -> dict[str, str]:
        """What the status alone does not say."""
        headers = {}
        if not self.retry:
            headers["x-should-retry"] = "false"
        if self.retry_after_s is not None:
            headers["retry-after"] = str(max(0, math.ceil(self.retry_after_s)))
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return headers

    def response(self, path: str = "") -> Response:
        """The whole response to a request of `path`."""
        body = self.message_body if path.startswith(MESSAGES) else self.body
        content = encode(body)
        return Response(content, self.status, self.headers, media_type="application/json")


class _Kind(Struct, frozen=True):
    status: int
    type: str
    code: str | None
    retry: bool = True


_INVALID = "invalid_request_error"
_KINDS: dict[type[EmafusionError], _Kind] = {
    RequestError: _Kind(400, _INVALID, None),
    UnknownModelError: _Kind(404, _INVALID, "model_not_found"),
    UnknownDecisionError: _Kind(404, _INVALID, "decision_not_found"),
    ContextTooLongError: _Kind(400, _INVALID, "context_length_exceeded"),
    NoModelError: _Kind(400, _INVALID, "no_model"),
    ForbiddenError: _Kind(403, "permission_error", "forbidden", retry=False),
    LimitedError: _Kind(429, "rate_limit_error", "rate_limit_exceeded"),
    OverloadedError: _Kind(503, "server_error", "overloaded"),
    BudgetError: _Kind(402, "insufficient_quota", "budget_exceeded"),
    ProviderError: _Kind(502, "upstream_error", "upstream_failed"),
    # Our key was refused, not the caller's: 401 would send them looking in the wrong place.
    AuthenticationError: _Kind(502, "upstream_error", "upstream_authentication", retry=False),
    RateLimitedError: _Kind(429, "rate_limit_error", "rate_limit_exceeded"),
    DeadlineError: _Kind(504, "upstream_error", "deadline_exceeded", retry=False),
    UnavailableError: _Kind(502, "upstream_error", "upstream_unavailable"),
    BadResponseError: _Kind(502, "upstream_error", "upstream_bad_response"),
    RejectedError: _Kind(400, _INVALID, "upstream_rejected"),
    # The answer was bought and could not be recorded: asking again would buy it again.
    StoreError: _Kind(503, "server_error", "record_unavailable", retry=False),
    StoreUnreachableError: _Kind(503, "server_error", "store_unreachable"),
    EmafusionError: _Kind(500, "server_error", "internal_error", retry=False),
}

_PASSING = (
    LimitedError,
    OverloadedError,
    RateLimitedError,
    UnavailableError,
    StoreUnreachableError,
)

UNEXPECTED = Fault(
    status=500,
    message="the server failed unexpectedly; its log says why",
    type="server_error",
    code="internal_error",
    retry=False,
)
STOPPING = Fault(
    status=503,
    message="the server is stopping; ask again",
    type="server_error",
    code="stopping",
    retry_after_s=1.0,
)
CROWDED = Fault(
    status=503,
    message="the server holds as much as it can; ask again",
    type="server_error",
    code="overloaded",
    retry_after_s=1.0,
)


def fault_of(error: EmafusionError, outcome: Outcome | None = None) -> Fault:
    """`error` as a client sees it; one that is not the client's doing is logged, too.

    Where nobody but the model that failed was asked, as far as `outcome` tells, what it says of the
    request is told as it says it, for the client may act on it.
    """
    kind = next(_KINDS[base] for base in type(error).__mro__ if base in _KINDS)
    if kind.status >= 500 and not isinstance(error, OverloadedError):
        log.warning("%s", one_line(_logged(error)))
    asked = {step.model for step in outcome.steps} if outcome is not None else ()
    told = error if isinstance(error, RejectedError) and len(asked) <= 1 else None
    return Fault(
        status=kind.status if told is None else told.status,
        message=_message(error, kind),
        type=kind.type,
        code=kind.code if told is None else told.code or kind.code,
        param=_param(error) if told is None else told.param,
        retry=kind.retry,
        retry_after_s=error.retry_after_s if isinstance(error, _PASSING) else None,
    )


def _message(error: EmafusionError, kind: _Kind) -> str:
    """What callers are told of `error`, whoever they are."""
    if isinstance(error, ProviderError) or kind.status < 500:
        return str(error)
    if isinstance(error, StoreUnreachableError):
        return "a database of this server's cannot be reached now; ask again"
    if isinstance(error, StoreError):
        return "a database of this server's cannot be written or read; its log says why"
    return UNEXPECTED.message if kind.status == 500 else str(error)


def _logged(error: EmafusionError) -> str:
    """What the log says of `error`: an upstream may quote what nobody may read there."""
    return error.kind if isinstance(error, ProviderError) else f"{type(error).__name__}: {error}"


def one_line(text: str) -> str:
    """`text` so that it can neither end a log's line nor start another."""
    return "".join(char if char.isprintable() else "�" for char in text)


def _param(error: EmafusionError) -> str | None:
    if isinstance(error, ContextTooLongError):
        return error.param or "messages"
    if isinstance(error, UnknownModelError):
        return error.param or "model"
    return error.param if isinstance(error, RequestError) else None
