"""Headers that go out with every call made within a context, beside a provider's own.

For marks that tie a call to the request it was made for, such as a trace's; never for keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType

HEADERS: ContextVar[Mapping[str, str]] = ContextVar(
    "emafusion_outgoing",
    default=MappingProxyType({}),
)
"""What goes out with the calls of this context."""
