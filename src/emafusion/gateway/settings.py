"""What the gateway can be told: its key and its bounds. Knows no engine and no socket."""

from __future__ import annotations

from dataclasses import dataclass, field

from emafusion.errors import ConfigError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the gateway behaves towards its callers.

    Parameters
    ----------
    api_key : str, optional
        What callers must send as ``Authorization: Bearer …``; without it everyone is served.
    hosts : frozenset of str, optional
        The names a request may address us by, without port. Set on a loopback address, where it
        keeps web pages from reaching us through a name of their own (DNS rebinding); ``None``
        accepts any.
    max_body_bytes : int
        The longest request body.
    max_head_bytes : int
        About how long a request's line and headers may be.
    body_timeout_s : float
        How long a caller may take to send its body, seconds.
    max_held_bytes : int
        How much the bodies of all requests under way may take together, and what is made of them.
    max_connections : int
        How many connections a process has open at once.
    head_timeout_s : float
        How long a connection may be open without a whole request's head, seconds.
    keep_alive_s : float
        How long a connection is kept for another request, seconds: longer than balancers keep it.
    write_timeout_s : float
        How long a caller may read nothing of what it is sent, seconds.
    heartbeat_s : float
        A stream is never silent for longer, seconds: a comment is sent.
    drain_s : float
        How long requests under way may take to finish when the server stops, seconds.
    """

    api_key: str | None = field(default=None, repr=False)
    hosts: frozenset[str] | None = LOOPBACK
    max_body_bytes: int = 32 * 2**20
    max_head_bytes: int = 64 * 2**10
    body_timeout_s: float = 60.0
    max_held_bytes: int = 256 * 2**20
    max_connections: int = 10_000
    head_timeout_s: float = 30.0
    keep_alive_s: float = 75.0
    write_timeout_s: float = 60.0
    heartbeat_s: float = 1.0
    drain_s: float = 30.0

    def __post_init__(self) -> None:
        if self.api_key is not None and not self.api_key.strip():
            raise ConfigError("the API key is empty: set a key of some length, or none")
