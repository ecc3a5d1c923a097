"""Every error emafusion raises, as one tree.

A message says what was wrong and what to do about it; identifiers are shown with ``!r``.
What a user may see is the message alone: no error here carries a key, a prompt or an answer.

::

    EmafusionError
    ├── ConfigError            a setting is unknown, mistyped, or names what is not there
    │   └── MissingExtraError  names the ``pip install`` that is needed
    ├── RequestError           the caller's request cannot be served as it stands (HTTP 400)
    │   ├── UnknownModelError  no model of that name in the catalog (HTTP 404)
    │   ├── UnknownDecisionError  no decision of that identifier is on record (HTTP 404)
    │   ├── ContextTooLongError  the prompt fits no permitted model's context window
    │   └── NoModelError       the limits, capabilities and clearance leave no model
    ├── ForbiddenError         the caller's key does not allow this (HTTP 403)
    ├── LimitedError           the caller asks too often (HTTP 429); carries ``retry_after_s``
    ├── OverloadedError        there is too much under way to begin this too (HTTP 503)
    ├── BudgetError            the call would spend more than is allowed (HTTP 402)
    ├── ProviderError          a model could not answer (HTTP 502)
    │   ├── AuthenticationError   the upstream refused our key
    │   ├── RateLimitedError      the upstream asked us to slow down; carries ``retry_after_s``
    │   ├── DeadlineError         no answer before the deadline (HTTP 504)
    │   ├── UnavailableError      refused, reset, closed early, or a 5xx; carries ``retry_after_s``
    │   ├── BadResponseError      it answered, but not in its own protocol
    │   └── RejectedError         it understood the request and refused it (4xx); carries its code
    ├── StoreError             the record could not be written or read (HTTP 503)
    │   └── StoreUnreachableError  a database is away; carries ``retry_after_s``
    ├── ArtefactError          a fitted policy's folder is missing, damaged or of another version
    └── DataError              a file of queries, outcomes or questions is malformed
"""

from __future__ import annotations


class EmafusionError(Exception):
    """The root: catch this to catch everything emafusion raises on purpose."""


class ConfigError(EmafusionError):
    """A setting is unknown, of the wrong type, or names something that does not exist."""


class MissingExtraError(ConfigError):
    """An optional dependency is not installed.

    Parameters
    ----------
    package : str
        The module that could not be imported.
    extra : str
        The extra that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package!r} is not installed; run: pip install 'emafusion[{extra}]'",
        )
        self.package = package
        self.extra = extra


class RequestError(EmafusionError):
    """The request cannot be served as it stands.

    Parameters
    ----------
    message : str
        What was wrong and what to do.
    param : str, optional
        The field at fault, as the OpenAI error shape's ``param``.
    """

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class UnknownModelError(RequestError):
    """No model of that name is in the catalog."""


class UnknownDecisionError(RequestError):
    """No decision of that identifier is on record."""


class ContextTooLongError(RequestError):
    """The prompt and the room for its answer exceed every permitted model's context window."""


class NoModelError(RequestError):
    """Limits, capabilities and clearance together leave no model to ask."""


class ForbiddenError(EmafusionError):
    """The caller's key does not allow what was asked."""


class LimitedError(EmafusionError):
    """The caller asks more often, or for more, than its rate allows.

    Parameters
    ----------
    message : str
        Which rate, and how large it is.
    retry_after_s : float, optional
        Seconds after which the same request would be let in.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class OverloadedError(EmafusionError):
    """The server has as much under way as it can answer in time.

    Parameters
    ----------
    message : str
        What is full.
    retry_after_s : float, optional
        Seconds after which asking again is sensible.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BudgetError(EmafusionError):
    """A call was not made because it could exceed a spending limit: the request's, or a budget."""


class ProviderError(EmafusionError):
    """A model could not answer.

    Parameters
    ----------
    message : str
        What happened, without the upstream's own text where that may hold secrets.
    model : str
        The catalog name of the model that was asked.
    """

    def __init__(self, message: str, model: str) -> None:
        super().__init__(message)
        self.model = model

    @property
    def kind(self) -> str:
        """What failed at which model, without the upstream's words, which may quote the prompt."""
        return f"{type(self).__name__} of {self.model!r}"


class AuthenticationError(ProviderError):
    """The upstream refused our credentials (401 or 403)."""


class RateLimitedError(ProviderError):
    """The upstream is limiting us (429).

    Parameters
    ----------
    message, model
        As :class:`ProviderError`.
    retry_after_s : float, optional
        Seconds the upstream asked us to wait.
    """

    def __init__(self, message: str, model: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message, model)
        self.retry_after_s = retry_after_s


class DeadlineError(ProviderError):
    """No complete answer came before the call's deadline."""


class UnavailableError(ProviderError):
    """The upstream could not be reached, closed early, or answered 5xx.

    Parameters
    ----------
    message, model
        As :class:`ProviderError`.
    retry_after_s : float, optional
        Seconds the upstream asked us to wait.
    """

    def __init__(self, message: str, model: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message, model)
        self.retry_after_s = retry_after_s


class BadResponseError(ProviderError):
    """The upstream answered something that is not its own protocol."""


class RejectedError(ProviderError):
    """The upstream understood the request and refused it (a 4xx other than 401, 403, 408, 429).

    Parameters
    ----------
    message, model
        As :class:`ProviderError`.
    status : int, default 400
        The status to tell the caller: 400, 413 or 422.
    code, param : str, optional
        What is wrong and the field at fault, as the upstream names them.
    """

    def __init__(
        self,
        message: str,
        model: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message, model)
        self.status = status
        self.code = code
        self.param = param


class StoreError(EmafusionError):
    """A record could not be written or read."""


class StoreUnreachableError(StoreError):
    """A database of keys, budgets or the record does not answer now, and may soon.

    Parameters
    ----------
    message : str
        What cannot be done without it.
    retry_after_s : float
        Seconds after which asking again is sensible.
    """

    def __init__(self, message: str, *, retry_after_s: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ArtefactError(EmafusionError):
    """A fitted policy's folder is missing, damaged or of another version."""


class DataError(EmafusionError):
    """A file of queries, outcomes or questions is malformed."""
